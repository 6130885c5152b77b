"""`spectrograms`: a picture for every sound under a folder, for people to leaf through and for models of vision."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterable, Set
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from volna.errors import InputError
from volna.features.over_time import Settings
from volna.plots.figure import COLOUR_MAP
from volna.workflows.common import Progress, silent
from volna.workflows.each_file import as_failure, files_under, work_on
from volna.workflows.listening.spectrogram import check_drawing, spectrogram
from volna.workflows.results import Failure

__all__ = ["Spectrograms", "draw_one", "place_of", "spectrograms"]

TIMEOUT_S = 1800.0  # hours of sound are minutes of work


@dataclass
class Spectrograms:
    """The sum of a folder: ``found = written + kept + failed``; ``kept`` were there before."""

    output: str
    kind: str = "mel"
    found: int = 0
    written: int = 0
    kept: int = 0
    failed: int = 0
    seconds: float = 0.0
    failures: list[Failure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def spectrograms(
    folder: str | Path,
    output: str | Path,
    *,
    force: bool = False,
    jobs: int | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> Spectrograms:
    """A picture for every sound under a folder, in folders of the same names, in child processes.

    A picture that is there already is kept, so that a run that was stopped goes on; ``force`` makes it again. Of
    sounds that differ only in their extension the pictures keep it: ``a.wav.png``, ``a.mp3.png``.

    Parameters
    ----------
    folder : str or Path
        Walked recursively.
    output : str or Path
        A folder, made where it is missing.
    jobs : int, optional
        Processes; all cores by default.
    **options
        Those of `spectrogram`.

    Returns
    -------
    Spectrograms
        What could not be drawn is in its ``failures``.

    Raises
    ------
    InputError
        An option makes no sense, or the folder for the pictures cannot be made.

    Examples
    --------
    >>> spectrograms("sounds", "pictures", raw=True).written  # doctest: +SKIP
    400
    """
    started_s = time.monotonic()
    said, target = progress or silent, Path(output).expanduser()
    _check_options(options)
    root = os.path.abspath(Path(folder).expanduser())
    files, failures = files_under([folder], progress)
    clashing = _clashing(files)
    places = {file: place_of(file, root, target, clashing) for file in files}
    todo = [file for file, place in places.items() if force or not place.exists()]
    _make_folders({target, *(places[file].parent for file in todo)})
    summary = Spectrograms(
        os.path.abspath(target), options.get("kind", "mel"), failures=failures, kept=len(places) - len(todo)
    )
    summary.found = len(files) + len(failures)

    def report(done: int) -> None:
        said("Drawing", done, len(todo), f"{len(failures)} failed" if failures else "")

    task = "volna.workflows.listening.spectrograms:draw_one"
    arguments = (root, target, clashing, options | {"force": force})
    for outcome in work_on(todo, len(todo), task, arguments, jobs=jobs, timeout_s=TIMEOUT_S, on_done=report):
        summary.written += outcome.ok
        if not outcome.ok:
            failures.append(as_failure(outcome))
    summary.failed = len(failures)
    if summary.kept:
        summary.notes.append(f"{summary.kept} were there already and were kept; --force makes them again")
    summary.seconds = round(time.monotonic() - started_s, 1)
    return summary


def draw_one(file: str, root: str, target: Path, clashing: Set[str], options: dict[str, Any]) -> None:
    """One picture of a folder; called in a child."""
    spectrogram(file, output=place_of(file, root, target, clashing), **options)


def place_of(file: str, root: str, target: Path, clashing: Set[str]) -> Path:
    """Where the picture of a file goes: the same path under another root.

    Examples
    --------
    >>> place_of("/sounds/dogs/rex.wav", "/sounds", Path("pictures"), set()).as_posix()
    'pictures/dogs/rex.png'
    """
    inside = os.path.relpath(file, root)
    if inside == os.curdir or inside.startswith(os.pardir):  # a single file, or one reached by a link
        inside = os.path.basename(file)
    name = inside if file in clashing else os.path.splitext(inside)[0]
    return target / f"{name}.png"


def _clashing(files: Iterable[str]) -> frozenset[str]:
    """Files that differ from another one in their extension only."""
    files = list(files)
    stems = Counter(os.path.splitext(file)[0] for file in files)
    return frozenset(file for file in files if stems[os.path.splitext(file)[0]] > 1)


def _check_options(options: dict[str, Any]) -> None:
    """Refuse before the work what no file could be drawn with."""
    named = {field.name for field in fields(Settings)}
    Settings(**{name: value for name, value in options.items() if name in named})
    check_drawing(".png", bool(options.get("raw")), options.get("show_frame_s"), options.get("cmap", COLOUR_MAP))


def _make_folders(folders: Iterable[Path]) -> None:
    for folder in folders:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{folder}: cannot be made: {error.strerror or error}") from error
