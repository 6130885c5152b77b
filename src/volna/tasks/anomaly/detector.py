"""A detector of one kind of machine: learnt from normal sounds alone, held as plain arrays.

::

    samples -> MachineSound -> five scores of every window -> means over up to 10 s (blocks) -> one scale, fused
                                        |                                |
                                    time line                score of the file: its highest block

The measure of success is the AUC of files, see `volna.tasks.anomaly.measures`. The autoencoder's layers are trained
elsewhere and handed in: tasks know no torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from volna.errors import InputError
from volna.features.machine import PULSES, SHAPE, WINDOW_S, MachineSound
from volna.tasks.anomaly import autoencoder, forest, scorers
from volna.tasks.anomaly.fusion import SCORERS, fit_scale, fused, on_scale, shares_of
from volna.tasks.anomaly.thresholds import threshold_of

__all__ = [
    "LEAST_FILES",
    "Judgement",
    "RawScores",
    "calibrate",
    "error_picture",
    "fit_scaling",
    "fit_scorers",
    "judge",
    "judge_raw",
    "raw_scores",
    "standardised_mels",
]

LEAST_FILES = 3  # of normal sound: two to learn from while the third is held out
BLOCK_WINDOWS, BLOCK_STEP = 19, 9  # 10 s and about half of it, in windows that step by half a second
CLIP = 8.0  # spreads: one wild element does not speak for all
LEAST_SPREAD = 0.1  # dB (or nepers): what never varies in training still may by that much
LEAST_MEL_SPREAD_DB = 0.5

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class RawScores:
    """Scores before they are on one scale: ``blocks`` ``(n_blocks, 5)``, ``windows`` ``(n_windows, 5)``, `SCORERS`."""

    blocks: np.ndarray
    windows: np.ndarray


@dataclass(frozen=True)
class Judgement:
    """What a detector says of a sound.

    Attributes
    ----------
    score : float
        Fused, in spreads of held-out normal scores: 0 is usual.
    abnormal : bool
        The score is above the threshold.
    by_scorer : dict of str to float
        Each scorer's own, on the same scale.
    start_s, timeline : ndarray
        Where each window begins, and its fused score on the scale of windows; ``(n_windows,)``.
    """

    score: float
    abnormal: bool
    by_scorer: dict[str, float]
    start_s: np.ndarray
    timeline: np.ndarray


def fit_scaling(sounds: Sequence[MachineSound]) -> Arrays:
    """Centre and spread of the elements of windows and of the mel bands over normal sounds.

    Raises
    ------
    InputError
        There are fewer than two sounds.
    """
    if len(sounds) < 2:
        raise InputError(f"expected at least two normal sounds to learn from, got {len(sounds)}")
    windows = np.concatenate([sound.windows for sound in sounds]).astype(np.float64)
    mels = np.concatenate([sound.mel for sound in sounds], axis=1).astype(np.float64)
    return {
        "scale.centre": windows.mean(axis=0).astype(np.float32),
        "scale.spread": np.maximum(windows.std(axis=0), LEAST_SPREAD).astype(np.float32),
        "mel.centre": mels.mean(axis=1).astype(np.float32),
        "mel.spread": np.maximum(mels.std(axis=1), LEAST_MEL_SPREAD_DB).astype(np.float32),
    }


def standardised_mels(arrays: Mapping[str, np.ndarray], sounds: Sequence[MachineSound]) -> list[np.ndarray]:
    """The log-mels as the autoencoder sees them, float32 ``(n_mels, n_frames)`` each."""
    centre, spread = arrays["mel.centre"][:, None], arrays["mel.spread"][:, None]
    return [((sound.mel - centre) / spread).astype(np.float32) for sound in sounds]


def fit_scorers(
    scaling: Arrays, sounds: Sequence[MachineSound], layers: Sequence[tuple[np.ndarray, np.ndarray]], seed: int = 0
) -> Arrays:
    """All that is learnt from normal sounds, as named arrays; not yet calibrated.

    Parameters
    ----------
    scaling
        From `fit_scaling`, of the same sounds.
    layers
        Of an autoencoder trained on the `standardised_mels` of the same sounds.
    """
    rows = [_standardised(scaling, sound) for sound in sounds]
    owners = np.repeat(np.arange(len(rows)), [len(part) for part in rows])
    joined = np.concatenate(rows)
    pulses, shape = scorers.fit_whitening(joined[:, PULSES]), scorers.fit_whitening(joined[:, SHAPE])
    whitened = scorers.whiten(shape, joined[:, SHAPE])
    encoder = autoencoder.as_arrays(layers)
    errors = (autoencoder.run_errors(encoder, standardised_mels(scaling, [sound])[0]) for sound in sounds)
    parts: dict[str, Arrays] = {
        "ae": encoder | {"usual": autoencoder.cell_errors(errors)},
        "pca": scorers.fit_pca(joined),
        "pulses": pulses,
        "shape": shape,
        "near": scorers.fit_neighbours(whitened, owners, seed),
        "forest": forest.fit_forest(np.abs(whitened), seed),
    }
    return scaling | {f"{part}.{name}": array for part, arrays in parts.items() for name, array in arrays.items()}


def raw_scores(arrays: Mapping[str, np.ndarray], sound: MachineSound) -> RawScores:
    """The scores of a sound by every scorer, each in its own unit."""
    rows = _standardised(arrays, sound)
    pulses = scorers.whiten(_part(arrays, "pulses"), rows[:, PULSES])
    shape = scorers.whiten(_part(arrays, "shape"), rows[:, SHAPE])
    errors = autoencoder.run_errors(_part(arrays, "ae"), standardised_mels(arrays, [sound])[0])
    own = np.stack(
        [
            autoencoder.window_errors(errors, sound.start_s, WINDOW_S),
            forest.forest_score(_part(arrays, "forest"), np.abs(shape)),
        ],
        axis=1,
    )
    parts = rows, pulses, shape, own
    return RawScores(*(_scored(arrays, *(_means(part, size) for part in parts)) for size in (BLOCK_WINDOWS, 1)))


def calibrate(
    held_out: Sequence[RawScores],
    threshold: str = "quantile",
    quantile: float = 0.9,
    fused_scorers: Sequence[str] | None = None,
) -> Arrays:
    """The scale of the scores and the thresholds, from normal sounds that each were scored without being learnt from.

    Returns
    -------
    dict of ndarray
        ``held.mean``, ``held.spread`` ``(5,)`` of blocks, ``held.window_mean``, ``held.window_spread`` of windows;
        ``held.threshold`` ``(1,)`` of files, ``held.window_threshold`` ``(1,)``, below which all windows of so many
        normal files stay; ``held.scores`` ``(n,)``, the fused scores that the threshold comes from; ``held.shares``
        ``(5,)`` of the scorers in the sum.
    """
    shares = shares_of(fused_scorers)
    mean, spread = fit_scale(np.concatenate([raw.blocks for raw in held_out]))
    window_mean, window_spread = fit_scale(np.concatenate([raw.windows for raw in held_out]))
    files = np.array([fused(on_scale(raw.blocks, mean, spread), shares).max() for raw in held_out])
    loudest = [fused(on_scale(raw.windows, window_mean, window_spread), shares).max() for raw in held_out]
    return {
        "held.mean": mean,
        "held.spread": spread,
        "held.window_mean": window_mean,
        "held.window_spread": window_spread,
        "held.threshold": np.array([threshold_of(files, threshold, quantile)]),
        "held.window_threshold": np.array([threshold_of(loudest, threshold, quantile)]),
        "held.scores": files,
        "held.shares": shares,
    }


def judge(arrays: Mapping[str, np.ndarray], sound: MachineSound) -> Judgement:
    """What a calibrated detector says of a sound."""
    return judge_raw(arrays, raw_scores(arrays, sound), sound.start_s)


def judge_raw(calibration: Mapping[str, np.ndarray], raw: RawScores, start_s: np.ndarray) -> Judgement:
    """What raw scores mean, by what `calibrate` gave."""
    blocks = on_scale(raw.blocks, calibration["held.mean"], calibration["held.spread"])
    windows = on_scale(raw.windows, calibration["held.window_mean"], calibration["held.window_spread"])
    score = float(fused(blocks, calibration["held.shares"]).max())
    by_scorer = dict(zip(SCORERS, blocks.max(axis=0).tolist(), strict=True))
    abnormal = score > float(calibration["held.threshold"][0])
    return Judgement(score, abnormal, by_scorer, start_s, fused(windows, calibration["held.shares"]))


def error_picture(arrays: Mapping[str, np.ndarray], sound: MachineSound) -> np.ndarray:
    """Where the autoencoder errs, float32 ``(n_mels, n_frames)``; 1 is the usual error of a band."""
    part = _part(arrays, "ae")
    errors = autoencoder.run_errors(part, standardised_mels(arrays, [sound])[0])
    return autoencoder.error_picture(errors, part["usual"])


def _standardised(arrays: Mapping[str, np.ndarray], sound: MachineSound) -> np.ndarray:
    rows = (sound.windows.astype(np.float64) - arrays["scale.centre"]) / arrays["scale.spread"]
    return np.asarray(np.clip(rows, -CLIP, CLIP))


def _part(arrays: Mapping[str, np.ndarray], part: str) -> Arrays:
    return {name.removeprefix(f"{part}."): array for name, array in arrays.items() if name.startswith(f"{part}.")}


def _scored(
    arrays: Mapping[str, np.ndarray], rows: np.ndarray, pulses: np.ndarray, shape: np.ndarray, own: np.ndarray
) -> np.ndarray:
    """Columns in the order of `SCORERS`: PCA hears whole windows, Mahalanobis their pulses, neighbours their shape."""
    columns = (
        own[:, 0],
        scorers.pca_score(_part(arrays, "pca"), rows),
        np.sqrt(np.mean(pulses**2, axis=1)),
        scorers.neighbour_score(_part(arrays, "near"), shape),
        own[:, 1],
    )
    return np.stack(columns, axis=1)


def _means(rows: np.ndarray, size: int) -> np.ndarray:
    """Means over runs of ``size`` rows, the last run at the end; over all rows where there are fewer.

    ::

        rows    0 1 2 3 4 5 6 7 8 9 ...
        size 4  |-----|               step: half of it
                    |-----|
    """
    if size <= 1:
        return rows
    if len(rows) <= size:
        return rows.mean(axis=0, keepdims=True)
    first = np.unique(np.append(np.arange(0, len(rows) - size, BLOCK_STEP), len(rows) - size))
    sums = np.concatenate([np.zeros((1, rows.shape[1])), np.cumsum(rows, axis=0, dtype=np.float64)])
    return np.asarray((sums[first + size] - sums[first]) / size)
