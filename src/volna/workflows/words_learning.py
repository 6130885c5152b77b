"""What training and evaluating share: words heard once, and recognisers of several training parts learnt side by side.

A training part is all words (`words train`) or those of a fold (`words evaluate`). Within it settings are chosen and
calibrated on inner folds by group; every fit of every part runs in one pool of child processes.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from volna.errors import ModelError
from volna.pool import Pool, Task, default_jobs
from volna.tasks.groups import Fold, check_classes, inner_folds
from volna.tasks.words.choosing import (
    DTW_GRID,
    HMM_GRID,
    Apart,
    DtwSettings,
    HmmSettings,
    best,
    held_out_dtw,
    joined,
    templates_among,
)
from volna.tasks.words.decisions import Said
from volna.tasks.words.dtw import as_templates
from volna.tasks.words.features import cepstra
from volna.tasks.words.hmm import WordHmms
from volna.workflows.common import Progress
from volna.workflows.each_file import as_failure, work_on
from volna.workflows.labelled import LabelledFiles, looks_like_one_source
from volna.workflows.results import Failure
from volna.workflows.words_jobs import HeardWord

__all__ = ["HeardWords", "Learnt", "Plan", "distances_between", "hear_labelled_words", "learn", "run_all"]

MOST_CHOOSING = 300  # words that one inner fit is made of: enough to tell settings apart
MOST_TEMPLATES = 1500  # a distance takes 20 microseconds
DTW_BLOCK = 50
N_INNER = 3


@dataclass
class HeardWords:
    """Labelled words that could be heard, in the order of the files, and what could not be."""

    files: LabelledFiles
    words: list[HeardWord]
    failures: list[Failure]
    notes: list[str] = field(default_factory=list)

    @property
    def truth(self) -> np.ndarray:
        """The number of the label of each, int64 ``(n,)``."""
        return np.array([self.files.classes.index(label) for label in self.files.labels])

    @property
    def log_mels(self) -> list[np.ndarray]:
        return [word.log_mel for word in self.words]


@dataclass
class Learnt:
    """What was learnt of one training part.

    Attributes
    ----------
    rows : ndarray
        Its words, row numbers.
    held_out : dict of str to Said
        What recognisers with the settings chosen say of its own words, each while its group was left out.
    hmm_settings, hmms, dtw_settings, templates, network
        As they were chosen and fitted; ``templates`` are row numbers.
    network_says : Said
        What the network says of the words that it was asked about.
    seconds : dict of str to float
        How long the last fit took, without the choosing.
    """

    rows: np.ndarray
    held_out: dict[str, Said] = field(default_factory=dict)
    hmm_settings: HmmSettings | None = None
    hmms: WordHmms | None = None
    dtw_settings: DtwSettings | None = None
    templates: np.ndarray | None = None
    network: bytes | None = None
    network_says: Said | None = None
    seconds: dict[str, float] = field(default_factory=dict)


def hear_labelled_words(files: LabelledFiles, *, baselines: bool, jobs: int | None, progress: Progress) -> HeardWords:
    """Hear every file once.

    Raises
    ------
    InputError
        Nothing can be learnt from the labels: a word has one or two recordings, or one group.
    """
    expected = (*files.classes, *files.empty)
    check_classes(files.labels, expected=expected)
    failures = list(files.failures)
    heard: dict[str, HeardWord] = {}

    def report(done: int) -> None:
        progress("Hearing", done, len(files.paths), f"{len(failures)} failed" if failures else "")

    task = "volna.workflows.words_jobs:hear_word"
    for outcome in work_on(files.paths, len(files.paths), task, (baselines,), jobs=jobs, on_done=report):
        if outcome.ok:
            heard[outcome.task.tag] = outcome.result
        else:
            failures.append(as_failure(outcome))
    kept = files.only([path for path in files.paths if path in heard])
    if kept.grouped and len(set(kept.groups)) < 2:  # one speaker: every file is a group of its own
        names = tuple(f"file {path}" for path in kept.paths)
        kept = LabelledFiles(kept.paths, kept.labels, names, False, kept.failures, kept.empty)
    check_classes(kept.labels, kept.groups if kept.grouped else None, expected=expected, failed=len(failures))
    return HeardWords(kept, [heard[path] for path in kept.paths], failures, _notes(kept))


def _notes(files: LabelledFiles) -> list[str]:
    if files.grouped:
        return []
    alike = looks_like_one_source(files)
    like = f" (many names begin alike, as {alike!r})" if alike else ""
    return [
        f"no groups were given{like}, so every file counts as a speaker of its own: figures say how well these speakers"
        " are understood, not how well another one would be; name the speakers with --group-from or a CSV column"
    ]


def run_all(tasks: Sequence[Task], jobs: int | None, progress: Progress, stage: str) -> dict[Any, Any]:
    """The results of tasks in child processes, by their tags.

    Raises
    ------
    ModelError
        One of them failed.
    """
    results: dict[Any, Any] = {}
    if not tasks:
        return results
    progress(stage, 0, len(tasks), "")
    with Pool(min(jobs or default_jobs(), len(tasks))) as pool:
        for outcome in pool.run(tasks):
            if not outcome.ok:
                raise ModelError(f"a part of the work failed: {outcome.reason}")
            results[outcome.task.tag] = outcome.result
            progress(stage, len(results), len(tasks), "")
    return results


def distances_between(heard: HeardWords, jobs: int | None, progress: Progress, seed: int = 0) -> Apart:
    """Warped distances of all words to all, or to as many of every label as can be afforded."""
    rows = as_templates([cepstra(each, variance=True) for each in heard.log_mels])
    columns = _some_of_each(heard.truth, np.arange(len(rows)), MOST_TEMPLATES, seed)
    templates = rows[columns]
    tasks = [
        Task("volna.workflows.words_jobs:dtw_block", (rows[start : start + DTW_BLOCK], templates), start)
        for start in range(0, len(rows), DTW_BLOCK)
    ]
    blocks = run_all(tasks, jobs, progress, "Warping")
    return Apart(np.concatenate([blocks[start] for start in sorted(blocks)]), columns)


def _some_of_each(truth: np.ndarray, rows: np.ndarray, most: int, seed: int) -> np.ndarray:
    """At most so many rows, as many of each word, drawn at random; ascending."""
    if len(rows) <= most:
        return rows
    each = max(3, most // len(np.unique(truth[rows])))
    rng = np.random.default_rng(seed)
    of_word = [rows[truth[rows] == word] for word in np.unique(truth[rows])]
    return np.sort(np.concatenate([rng.permutation(members)[:each] for members in of_word]))


@dataclass(frozen=True)
class Plan:
    """What is learnt: which recognisers, the longest training of one network, whether networks are calibrated, too."""

    which: tuple[str, ...]
    crnn_time_s: float = 60.0
    crnn_held_out: bool = False
    seed: int = 0


def learn(
    heard: HeardWords,
    parts: Sequence[np.ndarray],
    others: Sequence[np.ndarray],
    plan: Plan,
    *,
    apart: Apart | None = None,
    jobs: int | None = None,
    progress: Progress,
) -> list[Learnt]:
    """Choose, calibrate and fit the recognisers of several training parts.

    Parameters
    ----------
    parts : sequence of ndarray
        Row numbers of the words of each training part.
    others : sequence of ndarray
        For each part, row numbers of the words that its network is asked about.
    apart : Apart or None
        Needed for ``dtw``.
    """
    splits = [_inner(heard, rows, plan.seed) for rows in parts]
    tasks = [task for k in range(len(parts)) for task in _tasks(heard, k, parts[k], others[k], splits[k], plan)]
    tasks.sort(key=lambda task: task.tag[0] != "crnn")  # the longest first
    done = run_all(tasks, jobs, progress, "Choosing")
    learnt = [Learnt(rows) for rows in parts]
    for k, (each, folds) in enumerate(zip(learnt, splits, strict=True)):
        here = heard.truth[each.rows]
        if "hmm" in plan.which:
            found = [joined([done["hmm", k, f, g] for f in range(len(folds))], folds) for g in range(len(HMM_GRID))]
            chosen = best(found, here)
            each.hmm_settings, each.held_out["hmm"] = HMM_GRID[chosen], found[chosen]
        if apart is not None:
            _choose_dtw(each, apart, heard, folds)
        if "crnn" in plan.which:
            each.network, each.network_says, each.seconds["crnn"] = done["crnn", k, -1, 0]
        if "crnn" in plan.which and plan.crnn_held_out:
            each.held_out["crnn"] = joined([done["crnn", k, f, 0][1] for f in range(len(folds))], folds)
    _fit_hmms(heard, learnt, plan.seed, jobs, progress)
    return learnt


def _inner(heard: HeardWords, rows: np.ndarray, seed: int) -> list[Fold]:
    """Folds by group inside a training part, as positions in `rows`."""
    labels, groups = heard.files.labels, heard.files.groups
    return inner_folds([labels[k] for k in rows], [groups[k] for k in rows], N_INNER, seed)


def _tasks(
    heard: HeardWords, part: int, rows: np.ndarray, others: np.ndarray, folds: Sequence[Fold], plan: Plan
) -> Iterator[Task]:
    """The fits of one training part that need no other fit; tags are (what, part, fold, setting)."""
    truth, log_mels, n_words = heard.truth, heard.log_mels, len(heard.files.classes)
    for f, (train, test) in enumerate(folds):
        if "hmm" in plan.which:
            some = _some_of_each(truth, rows[train], MOST_CHOOSING, plan.seed)
            both = np.concatenate([some, rows[test]])
            shown = [log_mels[k] for k in both], truth[both], np.arange(len(some)), np.arange(len(some), len(both))
            for g, settings in enumerate(HMM_GRID):
                arguments = (*shown, n_words, settings, plan.seed)
                yield Task("volna.workflows.words_jobs:say_of_fold", arguments, ("hmm", part, f, g))
        if "crnn" in plan.which and plan.crnn_held_out:
            yield _network_task(heard, rows[train], rows[test], plan, ("crnn", part, f, 0))
    if "crnn" in plan.which:
        yield _network_task(heard, rows, others, plan, ("crnn", part, -1, 0))


def _network_task(heard: HeardWords, train: np.ndarray, asked: np.ndarray, plan: Plan, tag: tuple[Any, ...]) -> Task:
    log_mels, groups = heard.log_mels, heard.files.groups
    shown = [log_mels[k] for k in train], heard.truth[train], [groups[k] for k in train], len(heard.files.classes)
    arguments = (*shown, [log_mels[k] for k in asked], plan.seed, plan.crnn_time_s)
    return Task("volna.workflows.words_jobs:fit_crnn", arguments, tag)


def _choose_dtw(each: Learnt, apart: Apart, heard: HeardWords, folds: Sequence[Fold]) -> None:
    started_s = time.process_time()
    truth, n_words, rows = heard.truth, len(heard.files.classes), each.rows
    found = [
        joined([held_out_dtw(apart, truth, rows[train], rows[test], n_words, g) for train, test in folds], folds)
        for g in DTW_GRID
    ]
    chosen = best(found, truth[rows])
    each.dtw_settings, each.held_out["dtw"] = DTW_GRID[chosen], found[chosen]
    each.templates = templates_among(apart, truth, rows, DTW_GRID[chosen])
    each.seconds["dtw"] = time.process_time() - started_s


def _fit_hmms(heard: HeardWords, learnt: Sequence[Learnt], seed: int, jobs: int | None, progress: Progress) -> None:
    truth, log_mels, n_words = heard.truth, heard.log_mels, len(heard.files.classes)
    tasks = [
        Task(
            "volna.workflows.words_jobs:fit_words",
            ([log_mels[i] for i in each.rows], truth[each.rows], n_words, each.hmm_settings, seed),
            k,
        )
        for k, each in enumerate(learnt)
        if each.hmm_settings is not None
    ]
    for k, (hmms, seconds) in run_all(tasks, jobs, progress, "Training").items():
        learnt[k].hmms, learnt[k].seconds["hmm"] = hmms, seconds
