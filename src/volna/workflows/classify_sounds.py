"""What training and evaluating a classifier share: labelled sounds, each heard once in the ways that are wanted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from volna.errors import InputError
from volna.pool import Task
from volna.tasks.classification import KINDS
from volna.tasks.groups import check_classes
from volna.workflows.classify_model import NETWORKS, views_of
from volna.workflows.common import Progress
from volna.workflows.each_file import as_failure, work_on
from volna.workflows.embedding_files import vector_source
from volna.workflows.labelled import LabelledFiles, looks_like_one_source
from volna.workflows.results import Failure
from volna.workflows.task_jobs import HeardSound

__all__ = ["HeardSet", "Hearing", "hear_labelled", "hearing_of"]

N_RATES = 50  # files asked for their sample rate, spread over all


@dataclass(frozen=True)
class Hearing:
    """What a classifier hears: ``kind`` as asked for, vectors, parts of a sound, an autoencoder's checkpoint."""

    kind: str
    views: tuple[str, ...]
    parts: tuple[str, ...]
    checkpoint: bytes | None = None

    @property
    def is_network(self) -> bool:
        return self.kind in NETWORKS


@dataclass
class HeardSet:
    """Labelled files that could be heard, what was heard of each, and what could not be."""

    files: LabelledFiles
    sounds: list[HeardSound]
    failures: list[Failure]
    picture_rate: int | None = None
    notes: list[str] = field(default_factory=list)


def hearing_of(kind: str, by: str, model: str | Path | None, library: str | Path | None) -> Hearing:
    """What is heard for a kind of classifier and a choice of vectors.

    Raises
    ------
    InputError
        No such kind or vectors, or a model that would not be used.
    ModelError
        An autoencoder is needed and there is none, or it cannot be used.
    """
    if kind not in (*KINDS, *NETWORKS):
        raise InputError(f"with: expected one of {', '.join((*KINDS, *NETWORKS))}, got {kind!r}")
    if kind in NETWORKS:
        if by != "auto":
            raise InputError(f"with {kind} sounds are looked at as pictures: leave out --by")
        views: tuple[str, ...] = ()
        parts: tuple[str, ...] = ("log_mels",) if kind == "backbone" else ("picture",)
    else:
        views = parts = views_of(by, with_model=model is not None)
    if kind == "backbone" or "autoencoder" in parts:
        return Hearing(kind, views, parts, vector_source(model, "autoencoder", library).checkpoint)
    if model is not None:
        raise InputError(f"the model is not used by {by} with {kind}: leave out one of them")
    return Hearing(kind, views, parts)


def hear_labelled(
    files: LabelledFiles,
    hearing: Hearing,
    *,
    more: Sequence[str] = (),
    jobs: int | None = None,
    progress: Progress,
) -> HeardSet:
    """Hear every file once; `more` names further parts wanted.

    Raises
    ------
    InputError
        Nothing can be learnt from the labels.
    """
    expected = (*files.classes, *files.empty)
    check_classes(files.labels, expected=expected)  # before anything is heard
    failures = list(files.failures)
    rate = _usual_rate(files.paths, jobs) if "picture" in hearing.parts else None
    setup = Task("volna.embedding:use_model", (hearing.checkpoint,)) if "autoencoder" in hearing.parts else None
    arguments = ((*hearing.parts, *more), "spread", rate)
    heard: dict[str, HeardSound] = {}

    def report(done: int) -> None:
        progress("Hearing", done, len(files.paths), f"{len(failures)} failed" if failures else "")

    task = "volna.workflows.task_jobs:hear_sound"
    for outcome in work_on(files.paths, len(files.paths), task, arguments, jobs=jobs, setup=setup, on_done=report):
        if outcome.ok:
            heard[outcome.task.tag] = outcome.result
        else:
            failures.append(as_failure(outcome))
    files = _as_groups(files.only([path for path in files.paths if path in heard]))
    check_classes(files.labels, files.groups if files.grouped else None, expected=expected, failed=len(failures))
    return HeardSet(files, [heard[path] for path in files.paths], failures, rate, _notes(files))


def _as_groups(files: LabelledFiles) -> LabelledFiles:
    """As they are, or every file a group of its own where all are of one."""
    if not files.grouped or len(set(files.groups)) > 1:
        return files
    groups = tuple(f"file {path}" for path in files.paths)
    return LabelledFiles(files.paths, files.labels, groups, False, files.failures, files.empty)


def _notes(files: LabelledFiles) -> list[str]:
    if files.grouped:
        return []
    alike = looks_like_one_source(files)
    if alike is None:
        return ["no groups were given, so every file counts as a source of its own"]
    return [
        f"many names begin alike, as {alike!r}: if these are parts of one recording, or takes of one speaker, the"
        " figures are too good; name the groups with --group-from or a CSV column"
    ]


def _usual_rate(paths: Sequence[str], jobs: int | None) -> int | None:
    """The sample rate of most of the files, in Hz; None where none can be opened."""
    some = [paths[k] for k in np.unique(np.linspace(0, len(paths) - 1, N_RATES).astype(int))]
    rates = [
        outcome.result
        for outcome in work_on(some, len(some), "volna.workflows.task_jobs:rate_of", jobs=jobs)
        if outcome.ok
    ]
    return max(Counter(rates).items(), key=lambda item: (item[1], item[0]))[0] if rates else None
