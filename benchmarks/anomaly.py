"""Faults injected into recordings of normal machines: the AUC of every scorer against the signal-to-noise ratio.

    python benchmarks/anomaly.py [sets...] [--seeds 0 1 2] [--sounds DIR] [--faults report|design]

Normal recordings (four machines of MIMII in pieces of 2 s, ESC-10's helicopter and chainsaw, normal heart sounds) are
split by source. A detector learns from the clean sounds of some sources; of the others every clip is tested clean and
with a fault (bearing clicks, a belt's whistle, a rub, a knock) at -20 to +10 dB, made at the recording's own rate and
brought to its level. The faults that the design was chosen on (`DESIGN`) and those reported (`REPORT`) share no rate of
turning and no pitch. The heart murmurs against normal hearts are the real case.

The clips are those of `shared/data/sounds` beside the checkout, or of --sounds.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from volna.audio.channels import read_channels
from volna.audio.signal import level_db, resample, to_mono
from volna.features.machine import MACHINE, STACK, MachineSound, hear_machine
from volna.synthesis.machine_faults import FAULTS, FaultRange, add_fault, make_fault
from volna.tasks.anomaly import detector
from volna.tasks.anomaly.fusion import SCORERS
from volna.tasks.groups import inner_folds
from volna.tasks.scores import auc
from volna.training.frame_autoencoder import train_frames

__all__ = ["DESIGN", "REPORT", "SETS", "clips_of", "main"]

SOUNDS = Path(__file__).parents[2] / "shared" / "data" / "sounds"
SNRS_DB = (-20, -15, -10, -5, 0, 5, 10)
MEAN_OVER = (-10, -5, 0, 5, 10)
DESIGN = (FaultRange((12.0, 18.0), (1_200.0, 1_700.0)), FaultRange((30.0, 38.0), (3_000.0, 4_000.0)))
REPORT = (
    FaultRange((19.0, 28.0), (1_800.0, 2_800.0)),
    FaultRange((8.0, 11.0), (4_200.0, 6_000.0)),
    FaultRange((40.0, 50.0), (700.0, 1_100.0)),
)
METHODS = ("fused", *SCORERS, "loudness")
N_FOLDS, HELD_OUT_FOLDS = 4, 3
PIECE_S = 2.0
HEARTS_STEP = 4  # every fourth normal heart: a quarter of the time, as many sources

Clip = tuple[str, np.ndarray, int]  # source, samples (n_samples,), rate in Hz
Heard = tuple[MachineSound, float]  # and its level in dB


def clips_of(name: str, sounds: Path) -> list[Clip]:
    """Normal recordings of a set with the source each comes from."""
    if name == "mimii":
        clips = []
        for machine in ("fan", "pump", "slider", "valve"):
            samples, rate = _read(sounds / "machine_mimii8" / f"{machine}_normal_ch0.flac")
            n = round(PIECE_S * rate)
            # One recording of each machine: its fifths are the sources, so a fifth is judged by the other four.
            clips += [(str(k), samples[k * n : (k + 1) * n], rate) for k in range(len(samples) // n)]
        return clips
    if name == "heart":
        files = sorted((sounds / "heart_yaseen" / "N").glob("*.flac"))[::HEARTS_STEP]
        return [(str(k // 3), *_read(file)) for k, file in enumerate(files)]  # neighbours in the list may be one person
    files = sorted(
        (sounds / "env_esc10" / {"helicopter": "007_Helicopter", "chainsaw": "008_Chainsaw"}[name]).glob("*")
    )
    return [(file.name.split("-")[1], *_read(file)) for file in files]


SETS = ("mimii", "helicopter", "chainsaw", "heart")


def _read(file: Path) -> tuple[np.ndarray, int]:
    samples, rate = read_channels(file)
    return to_mono(samples), rate


def _hear(samples: np.ndarray, rate: int) -> Heard:
    return hear_machine(resample(samples, rate, MACHINE.sample_rate)), level_db(samples)


def _heard(clips: Sequence[Clip], ranges: Sequence[FaultRange], seed: int) -> list[dict[Any, Heard]]:
    """Every clip clean (None) and with every fault at every ratio."""
    heard = []
    for k, (_, samples, rate) in enumerate(clips):
        one: dict[Any, Heard] = {None: _hear(samples, rate)}
        for number, kind in enumerate(FAULTS):
            rng = np.random.default_rng([seed, k, number])
            fault = make_fault(kind, len(samples), rate, rng, ranges[(k + number + seed) % len(ranges)])
            one |= {(kind, snr): _hear(add_fault(samples, fault, snr), rate) for snr in SNRS_DB}
        heard.append(one)
    return heard


def _fitted(sounds: Sequence[MachineSound], seed: int) -> dict[str, np.ndarray]:
    scaling = detector.fit_scaling(sounds)
    layers = train_frames(detector.standardised_mels(scaling, sounds), STACK, seed=seed)
    return detector.fit_scorers(scaling, sounds, layers, seed)


def _scores(arrays: Mapping[str, np.ndarray], normal_db: tuple[float, float], heard: Heard) -> list[float]:
    judged = detector.judge(arrays, heard[0])
    return [judged.score, *judged.by_scorer.values(), abs(heard[1] - normal_db[0]) / normal_db[1]]


def _aucs(clips: Sequence[Clip], heard: Sequence[dict[Any, Heard]], seed: int) -> dict[Any, np.ndarray]:
    """AUC of every method for every fault and ratio, the mean over the folds: ``(n_methods,)`` each."""
    sources = sorted({source for source, _, _ in clips})
    order = np.random.default_rng(seed).permutation(len(sources))
    fold_of = {sources[k]: place % N_FOLDS for place, k in enumerate(order)}
    found: dict[Any, list[np.ndarray]] = {}
    for fold in range(N_FOLDS):
        learnt = [k for k, clip in enumerate(clips) if fold_of[clip[0]] != fold]
        tested = [k for k in range(len(clips)) if k not in set(learnt)]
        normal = [heard[k][None][0] for k in learnt]
        held_out = []
        for left, held in inner_folds([""] * len(learnt), [clips[k][0] for k in learnt], HELD_OUT_FOLDS, seed):
            arrays = _fitted([normal[k] for k in left], seed)
            held_out += [detector.raw_scores(arrays, normal[k]) for k in held]
        arrays = _fitted(normal, seed) | detector.calibrate(held_out)
        levels = np.array([heard[k][None][1] for k in learnt])
        normal_db = float(levels.mean()), max(float(levels.std()), 0.1)
        scores = {key: np.array([_scores(arrays, normal_db, heard[k][key]) for k in tested]) for key in heard[0]}
        truth = np.repeat([False, True], len(tested))
        for key in heard[0]:
            if key is not None:
                both = np.concatenate([scores[None], scores[key]])
                found.setdefault(key, []).append(np.array([auc(truth, column) for column in both.T]))
    return {key: np.mean(values, axis=0) for key, values in found.items()}


def _report(title: str, runs: Sequence[dict[Any, np.ndarray]]) -> None:
    print(f"\n{title}: AUC by ratio in dB, mean over {len(FAULTS)} faults and {len(runs)} seeds")
    print(f"{'':13s}" + "".join(f"{snr:>7d}" for snr in SNRS_DB) + "   mean -10..10   " + "  ".join(FAULTS))
    for m, method in enumerate(METHODS):
        by_snr = [np.mean([run[kind, snr][m] for run in runs for kind in FAULTS]) for snr in SNRS_DB]
        by_kind = [np.mean([run[kind, snr][m] for run in runs for snr in MEAN_OVER]) for kind in FAULTS]
        mean = np.mean([by_snr[SNRS_DB.index(snr)] for snr in MEAN_OVER])
        print(f"{method:13s}" + "".join(f"{v:7.3f}" for v in by_snr) + f"{mean:12.3f}     "
              + "  ".join(f"{v:.3f}" for v in by_kind))  # fmt: skip


def _paired(runs: Mapping[str, Sequence[dict[Any, np.ndarray]]]) -> None:
    """The fused score against each method; seeds share their clips, so the unit of the interval is a fault in a set."""
    blocks = [
        np.mean([run[kind, snr] for run in of_set for snr in MEAN_OVER], axis=0)
        for of_set in runs.values()
        for kind in FAULTS
    ]
    table, rng = np.array(blocks), np.random.default_rng(0)
    print(f"\nfused less each method, mean AUC over -10..10 dB, 95 % interval over {len(table)} faults in sets")
    for m, method in enumerate(METHODS[1:], 1):
        gain = table[:, 0] - table[:, m]
        draws = gain[rng.integers(0, len(gain), (2000, len(gain)))].mean(axis=1)
        low, high = np.percentile(draws, [2.5, 97.5])
        print(f"{method:13s} {gain.mean():+.4f} ({low:+.4f} to {high:+.4f})   own mean {table[:, m].mean():.4f}")
    print(f"{'fused':13s} own mean {table[:, 0].mean():.4f}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("sets", nargs="*", default=list(SETS), help=", ".join(SETS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--sounds", type=Path, default=SOUNDS)
    parser.add_argument("--faults", choices=("report", "design"), default="report")
    options = parser.parse_args(arguments)
    if not options.sounds.is_dir():
        print(f"{options.sounds}: no such folder; name the sounds with --sounds", file=sys.stderr)
        return 1
    runs: dict[str, list[dict[Any, np.ndarray]]] = {}
    for name in options.sets:
        started_s = time.monotonic()
        clips = clips_of(name, options.sounds)
        for seed in options.seeds:
            heard = _heard(clips, REPORT if options.faults == "report" else DESIGN, seed)
            runs.setdefault(name, []).append(_aucs(clips, heard, seed))
        seconds = (time.monotonic() - started_s) / len(options.seeds)
        _report(f"{name}, {len(clips)} clips, {seconds:.0f} s a seed", runs[name])
        sys.stdout.flush()
    _paired(runs)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
