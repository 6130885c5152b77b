"""`words evaluate`: how well words of speakers never heard are told, by each recogniser, beside what is easy.

Nested cross-validation: what is chosen is chosen inside the training part of each fold. Every baseline is fitted and
tested on the same folds. Figures are means over seeds; intervals resample whole groups.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from volna.errors import InputError
from volna.pool import Task, default_jobs
from volna.tasks import saved, scores
from volna.tasks.groups import Fold, grouped_folds
from volna.tasks.words.choosing import Apart, hmm_says
from volna.tasks.words.decisions import Calibration, Said, calibrate, decide, said_by_dtw
from volna.tasks.words.dtw import word_distances
from volna.tasks.words.model import KIND, WITH
from volna.workflows.classify_answers import write_table
from volna.workflows.common import Progress, silent
from volna.workflows.confusion import confusion_files, write_confusion
from volna.workflows.files import check_free, new_file
from volna.workflows.labelled import read_labelled
from volna.workflows.results import Failure
from volna.workflows.words import AUTO, model_of, needed
from volna.workflows.words_learning import (
    HeardWords,
    Learnt,
    Plan,
    distances_between,
    hear_labelled_words,
    learn,
    run_all,
)

__all__ = ["WordsEvaluation", "WordsRow", "words_evaluate"]

NETWORKS_TIME_S = 100.0  # all trainings of networks together, where nobody says how long they may take
CHANCE = "chance: by the shares of the words"
BASELINES = {"nuisance": "nuisance (length, levels) + LR", "mfcc": "MFCC statistics + LR"}
NAMES = {
    "hmm": "hidden Markov models",
    "dtw": "dynamic time warping",
    "crnn": "CRNN",
    "hmm+dtw": "HMM and DTW together",
    "all": "all three together",
}
Interval = tuple[float, float, float]


@dataclass(frozen=True)
class WordsRow:
    """One method. ``accuracy`` is ``(value, low, high)``, 95 % over groups; what does not apply is None.

    ``spread`` is the standard deviation of the accuracy over seeds; ``train_s`` and ``n_bytes`` are of one fold, the
    time on one core without the choice of settings.
    """

    kind: str
    name: str
    accuracy: Interval
    spread: float | None = None
    log_loss: float | None = None
    train_s: float | None = None
    n_bytes: int | None = None


@dataclass
class WordsEvaluation:
    """The answer to `words evaluate`; the confusion is that of ``kind`` with the first seed."""

    source: str
    kind: str
    words: list[str]
    n_files: int
    n_groups: int
    grouped: bool
    folds: int
    seeds: int
    rows: list[WordsRow]
    per_group: dict[str, dict[str, float]]
    confusion: list[list[int]]
    chosen: list[dict[str, Any]]
    output: str | None = None
    confusion_files: list[str] = field(default_factory=list)
    seconds: float = 0.0
    failures: list[Failure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass
class _Method:
    """What one method said of every word, one entry a seed, and what it cost, one entry a fold."""

    answers: list[np.ndarray] = field(default_factory=list)
    probabilities: list[np.ndarray] = field(default_factory=list)
    train_s: list[float] = field(default_factory=list)
    n_bytes: list[int] = field(default_factory=list)


def words_evaluate(
    source: str | Path,
    *,
    kind: str = AUTO,
    label_from: str | None = None,
    group_from: str | None = None,
    label_column: str = "label",
    group_column: str | None = None,
    folds: int = 5,
    seeds: int = 1,
    train_time_s: float | None = None,
    confusion: str | Path | None = None,
    output: str | Path | None = None,
    seed: int = 0,
    force: bool = False,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> WordsEvaluation:
    """Measure how well words are told, by nested cross-validation over groups (speakers).

    Parameters
    ----------
    source, label_from, group_from, label_column, group_column
        As for `volna.workflows.words.words_train`.
    kind : str
        ``hmm``, ``dtw``, ``crnn``, ``hmm+dtw`` measures only that; ``auto`` and ``all`` every recogniser, side by side
        and together.
    folds : int
        Of the outer cross-validation; up to eight groups are left out one by one whatever this says.
    seeds : int
        How many times everything is done.
    train_time_s : float, optional
        The longest training of one network; by default so that all of them take about 100 s.
    confusion : str or Path, optional
        A PNG of which word is taken for which; the same numbers go into a CSV beside it.
    output : str or Path, optional
        A CSV of what was said with the first seed, each while the file's group was held out.
    seed, force, jobs, progress
        As everywhere.

    Raises
    ------
    InputError
        Nothing can be learnt from the labels, or an output exists.

    Examples
    --------
    >>> words_evaluate("digits", group_from=r"_(\\w+)_").rows[-1].accuracy[0]  # doctest: +SKIP
    0.87
    """
    started_s, said = time.monotonic(), progress or silent
    if seeds < 1:
        raise InputError(f"seeds: expected 1 or more, got {seeds}")
    which = needed(kind)
    pictures = confusion_files(confusion, force)
    target = Path(output).expanduser() if output else None
    if target is not None:
        check_free(target, force=force)
    files = read_labelled(
        source, label_from=label_from, group_from=group_from, label_column=label_column, group_column=group_column,
        progress=said,
    )  # fmt: skip
    heard = hear_labelled_words(files, baselines=True, jobs=jobs, progress=said)
    apart = distances_between(heard, jobs, said, seed) if "dtw" in which else None
    n_folds = len(_folds(heard, folds, seed))
    share_s = NETWORKS_TIME_S * min(jobs or default_jobs(), n_folds) / (n_folds * seeds)
    methods: dict[str, _Method] = {}
    chosen: list[dict[str, Any]] = []
    for each_seed in range(seed, seed + seeds):
        plan = Plan(which, train_time_s or share_s, seed=each_seed)
        chosen += _one_seed(heard, apart, plan, folds, methods, jobs, said)
    baselines = _baseline_hits(heard, _folds(heard, folds, seed), jobs, said)
    answer = _evaluation(heard, methods, baselines, str(source), kind, n_folds)
    answer.chosen = chosen[:n_folds]
    if target is not None:
        with new_file(target, force=force) as file:
            write_table(file, _held_out_table(heard, methods[answer.kind]))
        answer.output = str(target)
    title = f"{NAMES[answer.kind]}, groups held out"
    answer.confusion_files = write_confusion(answer.confusion, answer.words, pictures, force, title)
    answer.seconds = round(time.monotonic() - started_s, 1)
    return answer


def _folds(heard: HeardWords, n_folds: int, seed: int) -> list[Fold]:
    return grouped_folds(heard.files.labels, heard.files.groups, n_folds, seed)


def _one_seed(
    heard: HeardWords,
    apart: Apart | None,
    plan: Plan,
    n_folds: int,
    methods: dict[str, _Method],
    jobs: int | None,
    progress: Progress,
) -> list[dict[str, Any]]:
    """Learn every fold, add what every method says to `methods`, and tell which settings were chosen."""
    folds = _folds(heard, n_folds, plan.seed)
    parts = [train for train, _ in folds], [test for _, test in folds]
    learnt = learn(heard, *parts, plan, apart=apart, jobs=jobs, progress=progress)
    order = np.argsort(np.concatenate([test for _, test in folds]))
    says = [_says(heard, each, apart, test) for each, (_, test) in zip(learnt, folds, strict=True)]
    for kind in (name for name, parts in WITH.items() if set(parts) <= set(plan.which)):
        method = methods.setdefault(kind, _Method())
        probabilities = []
        for each, said in zip(learnt, says, strict=True):
            calibration = _calibration(each, heard.truth[each.rows], kind)
            probabilities.append(decide({part: said[part] for part in WITH[kind]}, calibration).probabilities)
            method.train_s.append(sum(each.seconds[part] for part in WITH[kind]))
            method.n_bytes.append(len(saved.to_bytes(KIND, *model_of(each, heard, kind, calibration, {}).as_saved())))
        method.probabilities.append(np.concatenate(probabilities)[order])
        method.answers.append(method.probabilities[-1].argmax(axis=1))
    return [_chosen(each) for each in learnt]


def _says(heard: HeardWords, learnt: Learnt, apart: Apart | None, test: np.ndarray) -> dict[str, Said]:
    """What each recogniser says of the test part."""
    said: dict[str, Said] = {}
    if learnt.hmms is not None and learnt.hmm_settings is not None:
        said["hmm"] = hmm_says(learnt.hmms, [heard.words[k].log_mel for k in test], learnt.hmm_settings)
    if apart is not None and learnt.templates is not None and learnt.dtw_settings is not None:
        kept, n_words = learnt.templates, len(heard.files.classes)
        far = word_distances(apart.between(test, kept), heard.truth[kept], n_words, learnt.dtw_settings.n_nearest)
        said["dtw"] = said_by_dtw(far)
    if learnt.network_says is not None:
        said["crnn"] = learnt.network_says
    return said


def _calibration(learnt: Learnt, truth: np.ndarray, kind: str) -> Calibration:
    """Of the recognisers that were heard on words held out; a network brings the temperature of its own training."""
    held_out = {part: learnt.held_out[part] for part in WITH[kind] if part in learnt.held_out}
    found = calibrate(held_out, truth) if held_out else Calibration({}, {}, 1.0, 0.0)
    if "crnn" not in WITH[kind]:
        return found
    sharpness, evidence = {**found.sharpness, "crnn": 1.0}, {**found.evidence, "crnn": (0.0, 1.0)}
    return Calibration(sharpness, evidence, found.fused_sharpness, 0.0)


def _chosen(learnt: Learnt) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    if learnt.hmm_settings is not None:
        settings["hmm"] = learnt.hmm_settings.as_dict()
    if learnt.dtw_settings is not None:
        settings["dtw"] = learnt.dtw_settings.as_dict()
    return settings


def _baseline_hits(
    heard: HeardWords, folds: Sequence[Fold], jobs: int | None, progress: Progress
) -> dict[str, np.ndarray]:
    """How often each baseline is right about each word, float64 ``(n,)``."""
    vectors = {name: np.stack([getattr(word, name) for word in heard.words]) for name in BASELINES}
    files = heard.files
    tasks = [
        Task("volna.workflows.words_jobs:baselines_of_fold", (vectors, files.labels, files.groups, train, test), k)
        for k, (train, test) in enumerate(folds)
    ]
    found = run_all(tasks, jobs, progress, "Baselines")
    order = np.argsort(np.concatenate([test for _, test in folds]))
    hits = {"chance": np.concatenate([found[k][1] for k in range(len(folds))])[order]}
    for name in BASELINES:
        hits[name] = np.concatenate([found[k][0][name] for k in range(len(folds))])[order].astype(np.float64)
    return hits


def _evaluation(
    heard: HeardWords,
    methods: dict[str, _Method],
    baselines: dict[str, np.ndarray],
    source: str,
    kind: str,
    n_folds: int,
) -> WordsEvaluation:
    files, truth = heard.files, heard.truth
    shown = kind if kind in methods else "all"
    names = {"chance": CHANCE} | BASELINES
    hits = dict(baselines)
    rows = [WordsRow(name, names[name], scores.grouped_interval(hits[name], files.groups)) for name in names]
    for name, method in methods.items():
        hits[name] = np.mean([truth == answers for answers in method.answers], axis=0)
        rows.append(_row(name, method, truth, files.groups))
    n_words, groups = len(files.classes), np.asarray(files.groups)
    per_group = {
        str(group): {name: float(values[groups == group].mean()) for name, values in hits.items()}
        for group in (np.unique(groups) if files.grouped else ())
    }
    return WordsEvaluation(
        source=source,
        kind=shown,
        words=list(files.classes),
        n_files=len(truth),
        n_groups=len(set(files.groups)),
        grouped=files.grouped,
        folds=n_folds,
        seeds=len(methods[shown].answers),
        rows=rows,
        per_group=per_group,
        confusion=scores.confusion(truth, methods[shown].answers[0], n_words).tolist(),
        chosen=[],
        failures=heard.failures,
        notes=heard.notes,
    )


def _row(kind: str, method: _Method, truth: np.ndarray, groups: Sequence[str]) -> WordsRow:
    right = [(truth == answers).astype(np.float64) for answers in method.answers]
    return WordsRow(
        kind,
        NAMES[kind],
        scores.grouped_interval(np.mean(right, axis=0), groups),
        float(np.std([each.mean() for each in right], ddof=1)) if len(right) > 1 else None,
        float(np.mean([scores.log_loss(truth, each) for each in method.probabilities])),
        round(float(np.mean(method.train_s)), 2),
        round(float(np.mean(method.n_bytes))),
    )


def _held_out_table(heard: HeardWords, method: _Method) -> list[list[str]]:
    """Header and rows of the CSV: what was said of each file while its group was held out."""
    words = heard.files.classes
    rows = [["path", "truth", "group", "word", "probability"]]
    files = heard.files
    for path, label, group, p in zip(files.paths, files.labels, files.groups, method.probabilities[0], strict=True):
        rows.append([path, label, group, words[int(p.argmax())], f"{p.max():.4f}"])
    return rows
