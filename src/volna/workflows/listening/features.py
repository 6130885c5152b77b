"""`features`: every descriptor of sounds by name, over each file or frame by frame, as a table in a file.

The verb is named like the package `volna.features`, which holds the functions on samples; call it as
``volna.workflows.features``.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from volna.errors import VolnaError
from volna.features.named import FrameSettings
from volna.workflows.common import Progress, silent
from volna.workflows.each_file import as_failure, files_under, work_on
from volna.workflows.files import check_free, new_file
from volna.workflows.listening.measuring import FileFeatures, Hearing, measure_file
from volna.workflows.results import Failure
from volna.workflows.tables import Batch, check_ending, write_csv, write_json, write_parquet

__all__ = ["ENDINGS", "Features", "features"]

ENDINGS = (".csv", ".parquet", ".json")
TIMEOUT_S = 3600.0  # ten hours of sound take about one
ABOUT = ("sample_rate", "n_channels", "start_s", "duration_s", "n_frames", "tempo_bpm", "pulse_clarity",
         "integrated_lufs", "voiced_share")  # fmt: skip


@dataclass
class Features:
    """The answer to `features`: one entry a file, in the order of the walk.

    ``frames`` of the files are filled where they were asked for and no output was; with one they are in it.
    """

    files: list[FileFeatures]
    settings: FrameSettings
    per_frame: bool = False
    output: str | None = None
    events: str | None = None
    failures: list[Failure] = field(default_factory=list)
    seconds: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        return vars(self) | {
            "files": [file.as_dict() for file in self.files],
            "settings": asdict(self.settings),
            "failures": [vars(failure) for failure in self.failures],
        }


def features(
    paths: Sequence[str | Path],
    output: str | Path | None = None,
    *,
    per_frame: bool = False,
    n_fft: int = 2048,
    hop_length: int = 512,
    n_mels: int = 128,
    n_mfcc: int = 20,
    pre_emphasis: float = 0.0,
    f0: str = "pyin",
    wavelet: str = "db4",
    level: int = 5,
    rate: int | None = None,
    start_s: float = 0.0,
    duration_s: float | None = None,
    force: bool = False,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> Features:
    """Measure every descriptor of sounds.

    Parameters
    ----------
    paths : sequence of str or Path
        Files, and folders, walked recursively.
    output : str or Path, optional
        ``.csv`` or ``.parquet``: a row a file, or a frame, and onsets and beats in a second table beside it, named
        ``NAME.events.csv``; ``.json``: an object with everything.
    per_frame : bool
        One row for every frame, with its time, instead of means and spreads over the file.
    n_fft, hop_length, n_mels, n_mfcc, pre_emphasis, f0, wavelet, level
        See `volna.features.named.FrameSettings`.
    rate : int, optional
        Resample to so many Hz before; the file's own rate by default.
    start_s, duration_s : float
        The part of every file that is heard; to its end by default.
    force : bool
        Replace outputs that exist.
    jobs : int, optional
        Processes; all cores by default. A single file is measured in this one.
    progress : callable, optional
        ``progress(stage, done, total, note)``.

    Returns
    -------
    Features
        What could not be measured is in its ``failures``; where nothing could, no file is written.

    Raises
    ------
    InputError
        A setting makes no sense; the output exists, has another ending, or cannot be written.

    Examples
    --------
    >>> features(["song.mp3"]).files[0].values["centroid_hz_mean"]  # doctest: +SKIP
    1830.2
    """
    started_s = time.monotonic()
    settings = FrameSettings(
        n_fft=n_fft, hop_length=hop_length, n_mels=n_mels, n_mfcc=n_mfcc, pre_emphasis=pre_emphasis, f0=f0,
        wavelet=wavelet, level=level,
    )  # fmt: skip
    hearing = Hearing(settings, rate, start_s, duration_s)
    target, events = _targets(output, force)
    result = Features([], settings, per_frame)
    stream = _heard(paths, hearing, per_frame, jobs, progress or silent, result)
    if target is None:
        result.files.extend(stream)
    else:
        _write(stream, target, events, force, result)
    result.seconds = round(time.monotonic() - started_s, 1)
    return result


def _targets(output: str | Path | None, force: bool) -> tuple[Path | None, Path | None]:
    """Where the tables go, checked before the work."""
    if output is None:
        return None, None
    target = Path(output).expanduser()
    ending = check_ending(target, ENDINGS)
    events = None if ending == ".json" else target.with_suffix(f".events{target.suffix}")
    for path in (target, events):
        if path is not None:
            check_free(path, force=force)
    return target, events


def _heard(
    paths: Sequence[str | Path], hearing: Hearing, per_frame: bool, jobs: int | None, said: Progress, result: Features
) -> Iterator[FileFeatures]:
    """The files in the order of the walk, as soon as all before them are there; failures go into the result."""
    files, missing = files_under(paths, said)
    result.failures += missing
    if len(files) == 1:
        try:
            yield measure_file(files[0], hearing, per_frame, said)
        except VolnaError as error:
            result.failures.append(Failure(files[0], str(error).removeprefix(f"{files[0]}: ")))
        return
    done: dict[str, FileFeatures | None] = {}
    waiting = iter(files)
    following = next(waiting, None)

    def report(n_done: int) -> None:
        said("Measuring", n_done, len(files), f"{len(result.failures)} failed" if result.failures else "")

    task, arguments = "volna.workflows.listening.measuring:measure_file", (hearing, per_frame)
    for outcome in work_on(files, len(files), task, arguments, jobs=jobs, timeout_s=TIMEOUT_S, on_done=report):
        done[outcome.task.tag] = outcome.result if outcome.ok else None
        if not outcome.ok:
            result.failures.append(as_failure(outcome))
        while following in done:
            ready = done.pop(following)
            following = next(waiting, None)
            if ready is not None:
                yield ready


def _write(stream: Iterator[FileFeatures], target: Path, events: Path | None, force: bool, result: Features) -> None:
    first = next(stream, None)
    if first is None:
        return
    ending = target.suffix.lower()
    files = _kept(itertools.chain([first], stream), result)
    with new_file(target, force=force) as file:
        if events is None:
            rest = {"settings": asdict(result.settings), "failures": [vars(f) for f in result.failures]}
            write_json((one.as_dict() for one in files), rest, "files", file)
        else:
            write = write_csv if ending == ".csv" else write_parquet
            write(_frame_rows(files) if result.per_frame else _file_rows(files), file)
    result.output = str(target)
    if events is not None:
        with new_file(events, force=force) as file:
            write(_event_rows(result.files), file)
        result.events = str(events)


def _kept(files: Iterator[FileFeatures], result: Features) -> Iterator[FileFeatures]:
    """The files as they come; the result keeps them without their frames once those are written."""
    for one in files:
        yield one
        one.frames, one.times_s = {}, np.zeros(0)
        result.files.append(one)


def _file_rows(files: Iterator[FileFeatures]) -> Iterator[Batch]:
    for one in files:
        about = {name: [getattr(one, name)] for name in ABOUT}
        counts = {"n_onsets": [len(one.onsets_s)], "n_beats": [len(one.beats_s)]}
        yield {"path": [one.path]} | about | counts | {name: [value] for name, value in one.values.items()}


def _frame_rows(files: Iterator[FileFeatures]) -> Iterator[Batch]:
    for one in files:
        yield {"path": [one.path] * one.n_frames, "time_s": one.times_s.round(6), **one.frames}


def _event_rows(files: Sequence[FileFeatures]) -> Iterator[Batch]:
    """Onsets and beats of every file in order of time; files without any are not there."""
    for one in files:
        rows = [("onset", t) for t in one.onsets_s.tolist()] + [("beat", t) for t in one.beats_s.tolist()]
        rows.sort(key=lambda row: row[1])
        yield {"path": [one.path] * len(rows), "kind": [kind for kind, _ in rows], "time_s": [t for _, t in rows]}
