"""`anomaly evaluate`: how well abnormal recordings are told from held-out normal ones, beside simpler methods."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from volna.errors import InputError
from volna.features.wide import NUISANCE_NAMES
from volna.tasks.anomaly import detector
from volna.tasks.anomaly.fusion import SCORERS
from volna.tasks.anomaly.measures import MAX_FPR, SectionScore, arithmetic_mean, harmonic_mean, section_score
from volna.tasks.groups import grouped_folds, inner_folds
from volna.tasks.scores import auc, grouped_interval, partial_auc
from volna.workflows.anomaly import HELD_OUT_FOLDS, Limits, Part, check_settings, fit_parts, hear_all, one_source_note
from volna.workflows.anomaly_files import MachineFile, read_machines
from volna.workflows.anomaly_jobs import HeardMachine
from volna.workflows.anomaly_results import AnomalyEvaluation, MethodScore, check_tables, write_tables
from volna.workflows.common import Progress, silent

__all__ = ["anomaly_evaluate"]

METHODS = ("fused", *SCORERS, "loudness", "nuisance", "chance")
LEVEL = NUISANCE_NAMES.index("level_db")
MEASURES = ("auc", "pauc", "precision", "recall", "f1")
N_RESAMPLES = 500


@dataclass(frozen=True)
class _Tested:
    """The files of all sections, each scored once: ``scores`` ``(n, n_methods)``, ``decisions`` by the fused score."""

    files: list[MachineFile]
    scores: np.ndarray
    decisions: np.ndarray


def anomaly_evaluate(
    source: str | Path,
    *,
    normal: str = "normal",
    label_from: str | None = None,
    section_from: str | None = None,
    group_from: str | None = None,
    folds: int = 5,
    threshold: str = "quantile",
    quantile: float = 0.9,
    scorers: Sequence[str] | None = None,
    seed: int = 0,
    output: str | Path | None = None,
    force: bool = False,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> AnomalyEvaluation:
    """Learn from normal recordings and test on other normal ones and all abnormal ones, split by group.

    Every file is tested once, by a detector that has learnt from no file of its group; the threshold of each detector
    comes from normal files held out of its own learning.

    Parameters
    ----------
    source : str or Path
        A folder with a folder for each label, or a CSV with ``path``, ``label`` and, where there are any, ``section``
        and ``group``.
    normal : str
        The label of normal recordings; every other label is abnormal.
    label_from, section_from, group_from : str, optional
        Regular expressions searched in the relative path, see `volna.workflows.anomaly_files.read_machines`.
    folds : int
        Parts that are tested in turn; with eight groups or fewer each is a part of its own.
    threshold, quantile, scorers, seed
        As in `volna.workflows.anomaly.anomaly_train`.
    output : str or Path, optional
        A folder for the tables of scores and decisions in the form of DCASE Task 2.

    Returns
    -------
    AnomalyEvaluation

    Raises
    ------
    InputError
        No normal or no abnormal recordings, too few normal ones of a section, or a setting that makes no sense.

    Examples
    --------
    >>> anomaly_evaluate("hearts", normal="N").harmonic_mean["auc"]  # doctest: +SKIP
    0.99
    """
    started_s, said = time.monotonic(), progress or silent
    check_settings(threshold, quantile, scorers)
    rules = {"label_from": label_from, "section_from": section_from, "group_from": group_from}
    files, failures = read_machines(source, labelled=True, progress=progress, **rules)
    _check_labels(files, normal)
    if output is not None:
        check_tables({file.section for file in files}, output, force=force)
    heard, failed = hear_all(files, jobs, said)
    files = [file for file in files if file.path in heard]
    failures += failed
    _check_labels(files, normal)
    tested = []
    for section in sorted({file.section for file in files}):
        own = [file for file in files if file.section == section]
        _check_section(own, section, normal)
        stage = f"Testing {section}" if len(own) < len(files) else "Testing"
        sounds = [heard[file.path] for file in own]
        tested.append(_tested(own, sounds, normal, folds, (threshold, quantile, scorers), seed, jobs, said, stage))
    every = _Tested(
        [file for part in tested for file in part.files],
        np.concatenate([part.scores for part in tested]),
        np.concatenate([part.decisions for part in tested]),
    )
    sections = [_section(part, normal) for part in tested]
    rows = list(zip([f.path for f in every.files], [f.section for f in every.files], every.scores[:, 0].tolist(),
                    every.decisions.tolist(), strict=True))  # fmt: skip
    written = write_tables(rows, output, force=force) if output is not None else []
    return AnomalyEvaluation(
        sections,
        {name: arithmetic_mean([getattr(section, name) for section in sections]) for name in MEASURES},
        {name: harmonic_mean([getattr(section, name) for section in sections]) for name in MEASURES},
        _methods(every, normal, seed),
        written,
        round(time.monotonic() - started_s, 1),
        failures,
        one_source_note(files),
    )


def _check_labels(files: Sequence[MachineFile], normal: str) -> None:
    labels = sorted({file.label for file in files})
    if normal not in labels:
        found = ", ".join(map(repr, labels[:6])) or "none"
        raise InputError(f"expected recordings with the label {normal!r}, found {found}; --normal names the normal one")
    if len(labels) < 2:
        raise InputError(f"expected abnormal recordings beside the normal ones, found only {normal!r}")


def _check_section(files: Sequence[MachineFile], section: str, normal: str) -> None:
    n_normal = sum(file.label == normal for file in files)
    if n_normal < detector.LEAST_FILES + 1:
        raise InputError(
            f"section {section!r}: expected at least {detector.LEAST_FILES + 1} normal recordings, got {n_normal};"
            f" {detector.LEAST_FILES} to learn from while another one is tested"
        )


def _tested(
    files: list[MachineFile], heard: Sequence[HeardMachine], normal: str, n_folds: int, limits: Limits,
    seed: int, jobs: int | None, said: Progress, stage: str,
) -> _Tested:  # fmt: skip
    """Score every file of a section once, by a detector that has not learnt from its group."""
    is_normal = np.array([file.label == normal for file in files])
    groups = [file.group or file.path for file in files]
    parts: list[Part] = []
    spans = []
    for train, test in grouped_folds(is_normal.tolist(), groups, n_folds, seed):
        learnt = train[is_normal[train]]
        if len(learnt) < detector.LEAST_FILES:
            raise InputError(
                f"section {files[0].section!r}: only {len(learnt)} normal recordings are of other groups than those"
                f" tested; expected at least {detector.LEAST_FILES}, so use other groups, or none"
            )
        inner = inner_folds([""] * len(learnt), [groups[k] for k in learnt], HELD_OUT_FOLDS, seed)
        first = len(parts)
        parts += [(learnt[left].tolist(), learnt[held].tolist(), False) for left, held in inner]
        parts.append((learnt.tolist(), test.tolist(), False))
        spans.append((first, len(parts), learnt, test))
    results = fit_parts(heard, parts, seed, jobs, said, stage)
    scores, decisions = np.zeros((len(files), len(METHODS))), np.zeros(len(files), bool)
    for first, last, learnt, test in spans:
        held_out = [raw for _, raws in results[first : last - 1] for raw in raws]
        calibration = detector.calibrate(held_out, *limits)
        for k, raw in zip(test.tolist(), results[last - 1][1], strict=True):
            judged = detector.judge_raw(calibration, raw, heard[k].sound.start_s)
            scores[k, : 1 + len(SCORERS)] = [judged.score, *judged.by_scorer.values()]
            decisions[k] = judged.abnormal
        scores[test, 1 + len(SCORERS) :] = _baselines([heard[k] for k in learnt], [heard[k] for k in test])
    return _Tested(files, scores, decisions)


def _baselines(learnt: Sequence[HeardMachine], test: Sequence[HeardMachine]) -> np.ndarray:
    """How far level alone, and all five numbers that need no listening, lie from normal; and chance: ``(n, 3)``."""
    normal = np.stack([one.nuisance for one in learnt]).astype(np.float64)
    away = (np.stack([one.nuisance for one in test]) - normal.mean(axis=0)) / np.maximum(normal.std(axis=0), 1e-3)
    return np.stack([np.abs(away[:, LEVEL]), np.sqrt((away**2).mean(axis=1)), np.zeros(len(away))], axis=1)


def _section(part: _Tested, normal: str) -> SectionScore:
    abnormal = np.array([file.label != normal for file in part.files])
    return section_score(part.files[0].section, abnormal, part.scores[:, 0], part.decisions)


def _methods(every: _Tested, normal: str, seed: int) -> list[MethodScore]:
    abnormal = np.array([file.label != normal for file in every.files])
    section = np.unique([file.section for file in every.files], return_inverse=True)[1]
    groups = [file.group or file.path for file in every.files]
    if len({(file.group, file.section) for file in every.files}) > len({file.group for file in every.files}):
        groups = [f"{file.section} {group}" for file, group in zip(every.files, groups, strict=True)]

    def interval(column: np.ndarray, partial: bool) -> tuple[float, float, float]:
        def mean(rows: np.ndarray) -> float:
            values = []
            for k in np.unique(section):
                own = rows[section[rows] == k]
                one = partial_auc(abnormal[own], column[own], MAX_FPR) if partial else auc(abnormal[own], column[own])
                values.append(one)
            return arithmetic_mean(values)

        return grouped_interval(mean, groups, seed, n_resamples=N_RESAMPLES)

    scored = [
        MethodScore(name, interval(every.scores[:, k], False), interval(every.scores[:, k], True))
        for k, name in enumerate(METHODS)
    ]
    flat = (0.5, 0.5, 0.5)  # chance is known, it needs no interval
    return [replace(one, auc=flat, pauc=flat) if one.method == "chance" else one for one in scored]
