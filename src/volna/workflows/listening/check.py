"""`check`: what a trained ear would flag in recordings, file by file, in child processes."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from volna.errors import InputError
from volna.tasks.diagnosis import Diagnosis, Finding, diagnose
from volna.workflows.common import Progress
from volna.workflows.each_file import each_file
from volna.workflows.files import check_free, new_file
from volna.workflows.results import Failure

__all__ = ["CheckSummary", "Checked", "check", "check_file"]

TIMEOUT_S = 3600.0  # ten hours of sound take some ten minutes
LOSSLESS = ("flac", "alac", "wavpack", "tta", "ape", "tak", "shorten", "truehd", "mlp", "wmalossless", "als", "dsd")
PLOT_S = 60.0  # of a long file, so much is drawn, around its first finding


@dataclass(frozen=True)
class Checked:
    """One file: its findings, and its measures by name."""

    path: str
    duration_s: float
    sample_rate: int
    n_channels: int
    findings: tuple[Finding, ...]
    measures: dict[str, Any] = field(default_factory=dict)
    plot: str | None = None

    def as_dict(self) -> dict[str, Any]:
        return {**vars(self), "findings": [finding.as_dict() for finding in self.findings]}


@dataclass
class CheckSummary:
    """The sum of a check: ``found = clean + flagged + failed``, in files."""

    found: int = 0
    clean: int = 0
    flagged: int = 0
    failed: int = 0
    seconds: float = 0.0
    kinds: dict[str, int] = field(default_factory=dict)
    results: list[Checked] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return {
            **vars(self),
            "results": [result.as_dict() for result in self.results],
            "failures": [asdict(failure) for failure in self.failures],
        }


def check(
    *paths: str | Path,
    plot: str | Path | None = None,
    force: bool = False,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> CheckSummary:
    """Look for faults of recordings: clipping, hum, whistles, dropouts, clicks and others.

    Parameters
    ----------
    paths : str or Path
        Files, and folders, walked recursively.
    plot : str or Path, optional
        Pictures with the findings marked: a ``.png`` for one file, else a folder, made where it is missing, in which
        every flagged file gets one.
    force : bool
        Replace pictures that exist.
    jobs : int, optional
        Processes; all cores by default.
    progress : callable, optional
        ``progress(stage, done, total, note)``.

    Returns
    -------
    CheckSummary
        ``results`` in the order of the walk, each with its findings; what could not be read is in ``failures``.

    Raises
    ------
    InputError
        No path was given, or a picture cannot be written.

    Examples
    --------
    >>> check("talk.wav").results[0].findings  # doctest: +SKIP
    (Finding(kind='hum', measure=-24.1, ...),)
    """
    started_s = time.monotonic()
    if not paths:
        raise InputError("expected at least one file or folder, got none")
    target = None if plot is None else _plot_place(Path(plot).expanduser(), paths, force)
    results, failures = each_file(
        paths, "volna.workflows.listening.check:check_file", (target, force),
        stage="Checking", jobs=jobs, timeout_s=TIMEOUT_S, progress=progress,
    )  # fmt: skip
    summary = CheckSummary(results=list(results.values()), failures=failures)
    summary.failed = len(failures)
    summary.found = len(results) + len(failures)
    summary.flagged = sum(bool(result.findings) for result in summary.results)
    summary.clean = len(results) - summary.flagged
    for result in summary.results:
        for kind in {finding.kind for finding in result.findings}:
            summary.kinds[kind] = summary.kinds.get(kind, 0) + 1
    summary.kinds = dict(sorted(summary.kinds.items(), key=lambda item: (-item[1], item[0])))
    summary.seconds = round(time.monotonic() - started_s, 1)
    return summary


def check_file(path: str, plot: str | None = None, force: bool = False) -> Checked:
    """Check one file, and draw it where a picture is wanted; runs in a child process.

    Raises
    ------
    AudioError
        The file cannot be read.
    """
    from volna.audio.channels import open_channels
    from volna.audio.decode import open_audio

    with open_audio(path) as file:
        lossy = not _is_lossless(file.codec)
    with open_channels(path) as sound:
        diagnosis = diagnose(sound.blocks(), sound.sample_rate, lossy=lossy)
    drawn = _draw(path, plot, force, diagnosis) if plot else None
    return Checked(
        path, diagnosis.duration_s, diagnosis.sample_rate, diagnosis.n_channels, diagnosis.findings,
        diagnosis.measures, drawn,
    )  # fmt: skip


def _is_lossless(codec: str) -> bool:
    return codec.startswith(("pcm_", *LOSSLESS)) and codec not in ("pcm_alaw", "pcm_mulaw")


def _plot_place(place: Path, paths: Sequence[str | Path], force: bool) -> str:
    """A picture's name for a single file, or the folder of pictures, which is made."""
    if place.suffix.lower() == ".png":
        if len(paths) != 1 or Path(paths[0]).expanduser().is_dir():
            raise InputError(f"{place}: expected a folder for the pictures of several files")
        check_free(place, force=force)
        return str(place)
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{place}: no folder can be made there: {error.strerror or error}") from error
    return str(place)


def _draw(path: str, plot: str, force: bool, diagnosis: Diagnosis) -> str | None:
    """Draw the file, or a minute of it from shortly before its first finding; in a folder, flagged files only."""
    from volna.audio.channels import read_channels
    from volna.plots.diagnosis import Mark, draw_diagnosis

    target = Path(plot)
    if target.suffix.lower() != ".png":
        if not diagnosis.findings:
            return None
        target = _free_name(target, path)
    marks = [
        Mark(finding.kind, begin, end)
        for finding in diagnosis.findings
        for begin, end in finding.spans or ((0.0, diagnosis.duration_s),)
    ]
    first_s = min((mark.begin_s for mark in marks), default=0.0)
    start_s = 0.0 if diagnosis.duration_s <= PLOT_S else max(0.0, min(first_s - 2, diagnosis.duration_s - PLOT_S))
    samples, sample_rate = read_channels(path, start_s=start_s, duration_s=PLOT_S)
    with new_file(target, force=force) as file:
        draw_diagnosis(samples, sample_rate, marks, file, title=os.path.basename(path), start_s=start_s)
    return str(target)


def _free_name(folder: Path, path: str) -> Path:
    """A name made of the file's and its folder's: files of one name in several folders get pictures of their own."""
    import hashlib

    name = Path(path)
    tag = hashlib.sha256(os.fsencode(name.parent)).hexdigest()[:6]
    return folder / f"{name.name}-{tag}.png"
