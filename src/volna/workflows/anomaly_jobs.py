"""The jobs of anomaly detection that run in child processes: hear a file, fit and score, judge a file with a model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from volna.audio.channels import open_channels
from volna.audio.signal import level_db, resample, to_mono
from volna.errors import AudioError, ModelError
from volna.features.machine import MACHINE, PIECE_S, STACK, WINDOW_S, MachineSound, hear_machine, joined
from volna.features.wide import nuisance
from volna.tasks import saved
from volna.tasks.anomaly import detector
from volna.tasks.anomaly.detector import Judgement, RawScores
from volna.workflows.anomaly_files import section_of

__all__ = ["HeardMachine", "fit_part", "hear_file", "judge_file", "pack", "use_detector"]

LEAST_S = 0.1
SILENT_DBFS = -90.0  # below the noise of 16 bits: nothing was recorded
LEAST_PIECE_S = 8.0  # a shorter rest joins the piece before
PICTURE_S = 60.0  # of a long recording, around its highest score

Arrays = dict[str, np.ndarray]
_detector: dict[str, Any] = {}


@dataclass(frozen=True)
class HeardMachine:
    """A file as the detectors hear it, and the five numbers that need no listening (`volna.features.wide`)."""

    sound: MachineSound
    nuisance: np.ndarray


def hear_file(path: str) -> HeardMachine:
    """Read a file of any length, a piece at a time.

    Raises
    ------
    AudioError
        The file cannot be decoded, is silent, or lasts less than 0.1 s.
    """
    heard: list[MachineSound | None] = []
    first: np.ndarray | None = None
    n_samples = 0
    for piece in _pieces(path):
        loud = level_db(piece) > SILENT_DBFS
        heard.append(hear_machine(piece) if loud else None)
        first = piece if first is None or (loud and heard[:-1].count(None) == len(heard) - 1) else first
        n_samples += len(piece) if len(heard) == 1 else round(PIECE_S * MACHINE.sample_rate)
    if first is None or n_samples < LEAST_S * MACHINE.sample_rate:
        raise AudioError(f"{path}: expected at least {LEAST_S} s of sound, got {n_samples / MACHINE.sample_rate:.3f} s")
    sound = joined(heard)
    if sound is None:
        raise AudioError(f"{path}: holds only silence: expected a level above {SILENT_DBFS:.0f} dBFS")
    return HeardMachine(sound, nuisance([first], MACHINE.sample_rate, n_samples / MACHINE.sample_rate))


def _pieces(path: str) -> Iterator[np.ndarray]:
    """Mono pieces at the rate of `MACHINE`, each `PIECE_S` and the half second after it; the last one as it comes."""
    with open_channels(path) as stream:
        rate, waiting = stream.sample_rate, None
        for block in stream.blocks(PIECE_S):
            mono = to_mono(block)
            if waiting is not None and len(mono) >= LEAST_PIECE_S * rate:
                yield resample(np.concatenate([waiting, mono[: round(WINDOW_S / 2 * rate)]]), rate, MACHINE.sample_rate)
                waiting = mono
            else:
                waiting = mono if waiting is None else np.concatenate([waiting, mono])
        if waiting is not None and len(waiting):
            yield resample(waiting, rate, MACHINE.sample_rate)


def pack(folder: str | Path, sounds: Sequence[MachineSound]) -> None:
    """Leave sounds in a folder, from where `fit_part` takes those it is told to."""
    mels = np.concatenate([sound.mel.T for sound in sounds]) if sounds else np.zeros((0, MACHINE.n_mels))
    np.save(Path(folder) / "mels.npy", mels.astype(np.float32))
    np.save(Path(folder) / "windows.npy", np.concatenate([sound.windows for sound in sounds]))
    np.save(Path(folder) / "starts.npy", np.concatenate([sound.start_s for sound in sounds]))
    lengths = [[sound.mel.shape[1], len(sound.windows)] for sound in sounds]
    np.save(Path(folder) / "ends.npy", np.cumsum(np.array(lengths, np.int64), axis=0))


def _unpack(folder: str | Path, which: Sequence[int]) -> list[MachineSound]:
    mels = np.load(Path(folder) / "mels.npy", mmap_mode="r")
    windows, starts = np.load(Path(folder) / "windows.npy", mmap_mode="r"), np.load(Path(folder) / "starts.npy")
    ends = np.concatenate([[[0, 0]], np.load(Path(folder) / "ends.npy")])
    return [
        MachineSound(
            np.ascontiguousarray(mels[ends[k, 0] : ends[k + 1, 0]].T),
            np.array(windows[ends[k, 1] : ends[k + 1, 1]]),
            starts[ends[k, 1] : ends[k + 1, 1]],
        )
        for k in which
    ]


def fit_part(
    folder: str, learnt: Sequence[int], scored: Sequence[int], keep: bool, seed: int
) -> tuple[Arrays | None, list[RawScores]]:
    """Fit a detector on some of the packed sounds, score others with it, and return it where it is to be kept."""
    from volna.training.frame_autoencoder import train_frames

    sounds = _unpack(folder, learnt)
    scaling = detector.fit_scaling(sounds)
    layers = train_frames(detector.standardised_mels(scaling, sounds), STACK, seed=seed)
    arrays = detector.fit_scorers(scaling, sounds, layers, seed)
    raw = [detector.raw_scores(arrays, sound) for sound in _unpack(folder, scored)]
    return (arrays if keep else None), raw


def use_detector(content: bytes, name: str) -> None:
    """Hold the sections of a saved detector ready in this process, for `judge_file`."""
    model = saved.from_bytes(content, "anomaly", name)
    names = model.settings.get("sections", [])
    try:
        sections = {
            str(section): {key.split("/", 1)[1]: array for key, array in model.items() if key.startswith(f"{k}/")}
            for k, section in enumerate(names)
        }
        if not sections or any("held.shares" not in arrays for arrays in sections.values()):
            raise ModelError(f"{name}: expected a calibrated detector of at least one section; train it again")
    except (TypeError, IndexError) as error:
        raise ModelError(f"{name}: the file is damaged ({error})") from error
    _detector.clear()
    _detector.update(sections)


def judge_file(
    path: str, roots: Sequence[str], section_from: str | None, picture: bool
) -> tuple[Judgement, dict[str, np.ndarray] | None]:
    """Judge a file with the detector of its section; with a picture, also its log-mel and where the errors are.

    Raises
    ------
    AudioError
        As `hear_file`, or the section of the file is none of the model's.
    """
    section = section_of(path, roots, section_from, list(_detector))
    arrays = _detector.get(section)
    if arrays is None:
        raise AudioError(f"{path}: its section is {section!r}, expected one that was learnt: {', '.join(_detector)}")
    sound = hear_file(path).sound
    judgement = detector.judge(arrays, sound)
    if not picture:
        return judgement, None
    highest_s = float(sound.start_s[int(judgement.timeline.argmax())])
    first_s = max(0.0, min(highest_s - PICTURE_S / 2, sound.mel.shape[1] / MACHINE.frames_per_s - PICTURE_S))
    span = slice(round(first_s * MACHINE.frames_per_s), round((first_s + PICTURE_S) * MACHINE.frames_per_s))
    shown = {"mel": sound.mel[:, span], "errors": detector.error_picture(arrays, sound)[:, span]}
    return judgement, shown | {"first_s": np.array(first_s)}
