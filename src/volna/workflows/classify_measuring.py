"""`classify evaluate`: how well labels are told on groups that were not there in training, beside what is easy.

Nested cross-validation: whatever is chosen (classifier, strength, which vectors) is chosen inside the training part of
each fold. Every baseline is fitted and tested on the same folds. Figures are means over seeds; intervals resample whole
groups. The table of confusions, the figures per label and the predictions are those of the first seed.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from volna.errors import InputError, ModelError
from volna.metrics import bootstrap_difference, group_codes
from volna.pool import Pool, Task, default_jobs
from volna.tasks import scores
from volna.tasks.baselines import BASELINES
from volna.tasks.groups import grouped_folds
from volna.tasks.scores import ClassScore
from volna.workflows.classify import network_settings
from volna.workflows.classify_answers import prediction, prediction_rows, write_table
from volna.workflows.classify_jobs import FoldAnswers
from volna.workflows.classify_model import pictures_of, stacked
from volna.workflows.classify_sounds import HeardSet, Hearing, hear_labelled, hearing_of
from volna.workflows.common import Progress, silent
from volna.workflows.confusion import confusion_files, write_confusion
from volna.workflows.files import check_free, new_file
from volna.workflows.labelled import read_labelled
from volna.workflows.results import Failure

__all__ = ["ClassifyEvaluation", "ScoreRow", "classify_evaluate"]

BY_VOICE = ({"male", "female"}, {"m", "f"}, {"man", "woman"}, {"men", "women"})  # labels that pitch may tell
NETWORKS_TIME_S = 150.0  # all trainings together, where nobody says how long one may take
Interval = tuple[float, float, float]


@dataclass(frozen=True)
class ScoreRow:
    """One method. ``accuracy`` is ``(value, low, high)``, 95 % over groups; calibration only where there is any."""

    name: str
    accuracy: Interval
    balanced_accuracy: float
    log_loss: float | None = None
    calibration_error: float | None = None


@dataclass
class ClassifyEvaluation:
    """The answer to `classify evaluate`; ``rows`` begin with chance and end with the model."""

    source: str
    kind: str
    by: str
    labels: list[str]
    n_files: int
    n_groups: int
    grouped: bool
    folds: int
    seeds: int
    rows: list[ScoreRow]
    over_best_baseline: Interval
    best_baseline: str
    per_label: list[ClassScore]
    confusion: list[list[int]]
    chosen: list[str]
    output: str | None = None
    confusion_files: list[str] = field(default_factory=list)
    seconds: float = 0.0
    failures: list[Failure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass
class _Answers:
    """What one seed says of every file, in the order of the files."""

    probabilities: np.ndarray
    answers: dict[str, np.ndarray]
    prior: np.ndarray
    chosen: list[str]


def classify_evaluate(
    source: str | Path,
    *,
    kind: str = "auto",
    by: str = "auto",
    model: str | Path | None = None,
    weights: str | Path | None = None,
    fine_tune: bool = False,
    label_from: str | None = None,
    group_from: str | None = None,
    label_column: str = "label",
    group_column: str | None = None,
    folds: int = 5,
    seeds: int = 3,
    pitch: bool | None = None,
    train_time_s: float | None = None,
    confusion: str | Path | None = None,
    output: str | Path | None = None,
    library: str | Path | None = None,
    seed: int = 0,
    force: bool = False,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> ClassifyEvaluation:
    """Measure how well labels are told, by nested cross-validation over groups.

    Parameters
    ----------
    source, kind, by, model, weights, fine_tune, label_from, group_from, label_column, group_column
        As for `volna.workflows.classify.classify_train`.
    folds : int
        Of the outer cross-validation; up to eight groups are left out one by one whatever this says.
    seeds : int
        How many times everything is done; figures are means.
    pitch : bool, optional
        Show what pitch and formants alone give; by default where the labels are those of women and men.
    train_time_s : float, optional
        The longest training of one network; by default so that all of them take about two and a half minutes.
    confusion : str or Path, optional
        A PNG of who is taken for whom; the same numbers go into a CSV beside it.
    output : str or Path, optional
        A CSV of the predictions of the first seed, each made while the file's group was held out.
    library, seed, force, jobs, progress
        As everywhere.

    Raises
    ------
    InputError
        Nothing can be learnt from the labels, or an output exists.

    Examples
    --------
    >>> classify_evaluate("sounds", group_from=r"fold(\\d)").rows[-1].accuracy[0]  # doctest: +SKIP
    0.9
    """
    started_s, said = time.monotonic(), progress or silent
    if seeds < 1:
        raise InputError(f"seeds: expected 1 or more, got {seeds}")
    pictures = confusion_files(confusion, force)
    target = Path(output).expanduser() if output else None
    if target is not None:
        check_free(target, force=force)
    hearing = hearing_of(kind, by, model, library)
    files = read_labelled(
        source, label_from=label_from, group_from=group_from, label_column=label_column, group_column=group_column,
        progress=said,
    )  # fmt: skip
    of_voice = {label.lower() for label in files.classes} in BY_VOICE
    heard = hear_labelled(files, hearing, more=_beside(of_voice if pitch is None else pitch), jobs=jobs, progress=said)
    settings = network_settings(hearing, weights, fine_tune, train_time_s or 0.0) if hearing.is_network else None
    runs = _all_runs(heard, hearing, settings, folds, range(seed, seed + seeds), jobs, said)
    answer = _evaluation(heard, runs, str(source), kind, by)
    if target is not None:
        with new_file(target, force=force) as file:
            write_table(file, _held_out_rows(heard, runs[0]))
        answer.output = str(target)
    answer.confusion_files = write_confusion(answer.confusion, answer.labels, pictures, force)
    answer.seconds = round(time.monotonic() - started_s, 1)
    return answer


def _beside(pitch: bool) -> list[str]:
    """The parts of a sound that the baselines want; the nuisance values are always there."""
    return [each.view for each in BASELINES if each.view != "nuisance" and (pitch or each.view != "pitch")]


def _all_runs(
    heard: HeardSet,
    hearing: Hearing,
    settings: dict[str, Any] | None,
    n_folds: int,
    seeds: Sequence[int],
    jobs: int | None,
    progress: Progress,
) -> list[_Answers]:
    """What each seed says of every file, every fold of it in a child process."""
    files = heard.files
    plan = [(s, fold) for s in seeds for fold in grouped_folds(files.labels, files.groups, n_folds, s)]
    n_jobs = min(jobs or default_jobs(), len(plan))
    if settings and not settings["time_budget_s"]:
        settings["time_budget_s"] = NETWORKS_TIME_S * n_jobs / len(plan)
    done: dict[int, FoldAnswers] = {}
    with Pool(n_jobs) as pool:
        for outcome in pool.run(_tasks(heard, hearing, settings, plan)):
            if not outcome.ok:
                raise ModelError(f"a fold of the evaluation failed: {outcome.reason}")
            done[outcome.task.tag] = outcome.result
            progress("Evaluating", len(done), len(plan), "")
    return [_joined([(fold[1], done[k]) for k, (of, fold) in enumerate(plan) if of == s], files.labels) for s in seeds]


def _tasks(
    heard: HeardSet, hearing: Hearing, settings: dict[str, Any] | None, plan: Sequence[tuple[int, Any]]
) -> Iterator[Task]:
    beside = [each.view for each in BASELINES if getattr(heard.sounds[0], each.view) is not None]
    baselines = stacked(heard.sounds, beside)
    labels, groups = heard.files.labels, heard.files.groups
    shown = pictures_of(heard.sounds, hearing.kind) if settings else stacked(heard.sounds, hearing.views)
    name = "fold_of_network" if settings else "fold_of_vectors"
    for k, (seed, (train, test)) in enumerate(plan):
        how = (hearing.kind, seed) if settings is None else (settings, seed)
        arguments = (shown, baselines, labels, groups, train, test, *how)
        yield Task(f"volna.workflows.classify_jobs:{name}", arguments, k)


def _joined(parts: Sequence[tuple[np.ndarray, FoldAnswers]], labels: Sequence[str]) -> _Answers:
    """The answers of all folds of one seed, in the order of the files."""
    order = np.argsort(np.concatenate([test for test, _ in parts]))
    answers = {
        name: np.array([label for _, fold in parts for label in fold.answers[name]], dtype=object)[order]
        for name in parts[0][1].answers
    }
    return _Answers(
        np.concatenate([fold.probabilities for _, fold in parts])[order],
        answers,
        np.concatenate([fold.prior for _, fold in parts])[order],
        [fold.chosen for _, fold in parts],
    )


def _evaluation(heard: HeardSet, runs: Sequence[_Answers], source: str, kind: str, by: str) -> ClassifyEvaluation:
    files, classes = heard.files, list(heard.files.classes)
    truth = np.array([classes.index(label) for label in files.labels])
    said = [run.probabilities.argmax(axis=1) for run in runs]
    hits = np.mean([truth == answers for answers in said], axis=0)
    name = f"{kind} on {'pictures' if runs[0].chosen[0] == kind else by}"
    model = ScoreRow(
        name,
        scores.grouped_interval(hits, files.groups),
        _mean(scores.balanced_accuracy(truth, answers) for answers in said),
        _mean(scores.log_loss(truth, run.probabilities) for run in runs),
        _mean(scores.calibration_error(truth, run.probabilities) for run in runs),
    )
    beside = _baseline_hits(runs, files.labels)
    rows = [
        ScoreRow(each, scores.grouped_interval(values, files.groups), balanced)
        for each, (values, balanced) in beside.items()
    ]
    best = max(rows, key=lambda row: row.accuracy[0]).name
    table = scores.confusion(truth, said[0], len(classes))
    return ClassifyEvaluation(
        source=source,
        kind=kind,
        by=by,
        labels=classes,
        n_files=len(truth),
        n_groups=len(set(files.groups)),
        grouped=files.grouped,
        folds=len(runs[0].chosen),
        seeds=len(runs),
        rows=[*rows, model],
        over_best_baseline=bootstrap_difference(hits, beside[best][0], group_codes(list(files.groups))),
        best_baseline=best,
        per_label=scores.class_scores(table, classes),
        confusion=table.tolist(),
        chosen=runs[0].chosen,
        failures=heard.failures,
        notes=heard.notes,
    )


def _baseline_hits(runs: Sequence[_Answers], labels: Sequence[str]) -> dict[str, tuple[np.ndarray, float]]:
    """How often each baseline is right about every file, mean over seeds, and its balanced accuracy."""
    names = {"majority": "chance: the most frequent label"} | {each.view: each.name for each in BASELINES}
    truth = np.array(labels, dtype=object)
    found: dict[str, tuple[np.ndarray, float]] = {}
    for view, name in names.items():
        if view not in runs[0].answers:
            continue
        hits = np.mean([run.answers[view] == truth for run in runs], axis=0)
        found[name] = (hits, _mean_recall(hits, truth))
    prior = np.mean([run.prior for run in runs], axis=0)
    return {"chance: by the shares of the labels": (prior, _mean_recall(prior, truth))} | found


def _mean_recall(hits: np.ndarray, truth: np.ndarray) -> float:
    return float(np.mean([hits[truth == label].mean() for label in set(truth)]))


def _mean(values: Iterable[float]) -> float:
    return float(np.mean(list(values)))


def _held_out_rows(heard: HeardSet, run: _Answers) -> list[list[str]]:
    """The predictions of one seed, with what is true beside them."""
    classes = heard.files.classes
    made = [prediction(p, row, classes) for p, row in zip(heard.files.paths, run.probabilities, strict=True)]
    rows = prediction_rows(made, classes)
    beside = [["truth", "group"], *map(list, zip(heard.files.labels, heard.files.groups, strict=True))]
    return [[*row[:1], *more, *row[1:]] for row, more in zip(rows, beside, strict=True)]
