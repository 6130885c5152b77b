"""The same job for every file at or under some paths, in child processes: what comes back, and what failed and why."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from volna.errors import InputError
from volna.library.walk import Scan, walk
from volna.pool import Outcome, Pool, Task, default_jobs
from volna.workflows.common import TIMEOUT_S, Progress, silent
from volna.workflows.results import Failure

__all__ = ["as_failure", "each_file", "files_under", "not_there", "work_on"]


def files_under(paths: Sequence[str | Path], progress: Progress | None = None) -> tuple[list[str], list[Failure]]:
    """The audio files at or under some paths, by extension or content, and what was named but is none.

    Raises
    ------
    InputError
        No path was given, or one text instead of a list.

    Examples
    --------
    >>> files_under(["sounds"])  # doctest: +SKIP
    (['/home/me/sounds/a.wav', '/home/me/sounds/b.wav'], [])
    """
    if isinstance(paths, str | Path) or not len(paths):
        raise InputError(f"expected a list of at least one path, got {paths!r}")
    said = progress or silent
    scan = walk([Path(path).expanduser() for path in paths], on_folder=lambda n: said("Scanning", n, None, "files"))
    return [found.path for found in scan.found], not_there(scan)


def not_there(scan: Scan) -> list[Failure]:
    """What was named and is not among the files found, each with its reason."""
    found = {file.path for file in scan.found}
    named = [root for root in scan.roots if os.path.isfile(root) and root not in found | scan.not_judged]
    return [
        *(Failure(path, "no such file or folder") for path in scan.missing),
        *(Failure(path, "the folder cannot be read") for path in scan.unreadable),
        *(Failure(path, "a link that leads nowhere") for path in scan.dangling if path not in scan.missing),
        *(Failure(path, "does not look like audio") for path in named),
    ]


def as_failure(outcome: Outcome) -> Failure:
    """The failure of a task whose tag is the path, its reason without the path."""
    path = outcome.task.tag
    return Failure(path, (outcome.reason or "").removeprefix(f"{path}: "))


def work_on(
    files: Iterable[str],
    n_files: int,
    task: str,
    arguments: tuple[Any, ...] = (),
    *,
    jobs: int | None = None,
    timeout_s: float = TIMEOUT_S,
    setup: Task | None = None,
    on_done: Callable[[int], None] = lambda done: None,
) -> Iterator[Outcome]:
    """Call ``task(file, *arguments)`` for every file in child processes; outcomes in the order they are ready.

    `task` is ``"module:function"``; the tag of every outcome is its file. A crash, a hang or an error of one file is
    that file's outcome and nobody else's.
    """
    if not n_files:
        return
    tasks = (Task(task, (file, *arguments), file) for file in files)
    with Pool(min(jobs or default_jobs(), n_files), timeout_s=timeout_s, setup=setup) as pool:
        for done, outcome in enumerate(pool.run(tasks), 1):
            on_done(done)
            yield outcome


def each_file(
    paths: Sequence[str | Path],
    task: str,
    arguments: tuple[Any, ...] = (),
    *,
    stage: str,
    jobs: int | None = None,
    timeout_s: float = TIMEOUT_S,
    setup: Task | None = None,
    progress: Progress | None = None,
) -> tuple[dict[str, Any], list[Failure]]:
    """Call ``task(file, *arguments)`` for every audio file at or under `paths`, in child processes.

    Parameters
    ----------
    paths
        Files, and folders, walked recursively.
    task
        ``"module:function"``, importable in a fresh Python; what it takes and returns is pickled.
    stage
        What the progress bar says, as ``"Checking"``.
    setup
        Called once in every child before the first file, as with a model.

    Returns
    -------
    dict, list of Failure
        Results by file, in the order of the walk; everything named or found that gave none, with its reason.

    Raises
    ------
    InputError
        No path was given.

    Examples
    --------
    >>> each_file(["sounds"], "volna.workflows.jobs:measure", stage="Measuring")  # doctest: +SKIP
    """
    said = progress or silent
    files, failures = files_under(paths, progress)
    results: dict[str, Any] = {}

    def report(done: int) -> None:
        said(stage, done, len(files), f"{len(failures)} failed" if failures else "")

    for outcome in work_on(
        files, len(files), task, arguments, jobs=jobs, timeout_s=timeout_s, setup=setup, on_done=report
    ):
        if outcome.ok:
            results[outcome.task.tag] = outcome.result
        else:
            failures.append(as_failure(outcome))
    return {file: results[file] for file in files if file in results}, failures
