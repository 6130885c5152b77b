"""How good answers are: of classifiers (accuracy, per label, calibration) and of scores (AUC, pAUC).

Conventions
-----------
``truth`` and ``answers`` are integer class numbers ``(n,)``; ``probabilities`` are float ``(n, n_classes)``, rows that
sum to 1. For scores, ``positive`` is bool ``(n,)`` and a larger score means "more likely positive". Groups are the
units of the bootstrap, as in `volna.metrics`: an interval that resamples single files would be too narrow.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from volna.metrics import N_BOOTSTRAP, bootstrap_interval, group_codes

__all__ = [
    "ClassScore",
    "accuracy",
    "auc",
    "balanced_accuracy",
    "calibration_error",
    "class_scores",
    "confusion",
    "grouped_interval",
    "log_loss",
    "partial_auc",
]


@dataclass(frozen=True)
class ClassScore:
    """One label: how many files of it, precision, recall and their harmonic mean, all in [0, 1]."""

    label: str
    n: int
    precision: float
    recall: float
    f1: float


def accuracy(truth: np.ndarray, answers: np.ndarray) -> float:
    """Share of right answers.

    Examples
    --------
    >>> accuracy(np.array([0, 1, 1]), np.array([0, 1, 0])).__round__(3)
    0.667
    """
    return float(np.mean(np.asarray(truth) == np.asarray(answers))) if len(truth) else float("nan")


def confusion(truth: np.ndarray, answers: np.ndarray, n_classes: int) -> np.ndarray:
    """How often each class (row) was taken for each (column): int64 ``(n_classes, n_classes)``.

    Examples
    --------
    >>> confusion(np.array([0, 1, 1]), np.array([0, 1, 0]), 2).tolist()
    [[1, 0], [1, 1]]
    """
    table = np.zeros((n_classes, n_classes), np.int64)
    np.add.at(table, (np.asarray(truth), np.asarray(answers)), 1)
    return table


def balanced_accuracy(truth: np.ndarray, answers: np.ndarray) -> float:
    """Mean recall over the classes that occur, so that a rare class counts as much as a frequent one.

    Examples
    --------
    >>> balanced_accuracy(np.array([0, 0, 0, 1]), np.array([0, 0, 0, 0]))
    0.5
    """
    truth, right = np.asarray(truth), np.asarray(truth) == np.asarray(answers)
    return float(np.mean([right[truth == k].mean() for k in np.unique(truth)])) if len(truth) else float("nan")


def class_scores(table: np.ndarray, labels: Sequence[str]) -> list[ClassScore]:
    """Precision, recall and F1 of every class of a `confusion`; 0 where a class was never answered.

    Examples
    --------
    >>> class_scores(np.array([[1, 0], [1, 1]]), ["cat", "dog"])[1]
    ClassScore(label='dog', n=2, precision=1.0, recall=0.5, f1=0.6666666666666666)
    """
    rows = []
    for k, label in enumerate(labels):
        hits, asked, answered = int(table[k, k]), int(table[k].sum()), int(table[:, k].sum())
        f1 = 2 * hits / (asked + answered) if asked + answered else 0.0
        rows.append(ClassScore(label, asked, hits / answered if answered else 0.0, hits / asked if asked else 0.0, f1))
    return rows


def log_loss(truth: np.ndarray, probabilities: np.ndarray, least: float = 1e-6) -> float:
    """Mean of ``-ln p(true class)`` in nats; a probability counts as `least` at least.

    Examples
    --------
    >>> round(log_loss(np.array([0]), np.array([[0.5, 0.5]])), 3)
    0.693
    """
    p = np.asarray(probabilities, np.float64)[np.arange(len(truth)), np.asarray(truth)]
    return float(-np.log(np.maximum(p, least)).mean()) if len(truth) else float("nan")


def calibration_error(truth: np.ndarray, probabilities: np.ndarray, n_bins: int = 10) -> float:
    """Expected calibration error: how far confidence and share of right answers lie apart, in [0, 1].

    ``sum_b n_b / n |accuracy_b - confidence_b|`` over bins of equal width (Guo et al. 2017, "On calibration of modern
    neural networks", eq. 3).

    Examples
    --------
    >>> calibration_error(np.array([0, 1]), np.array([[0.5, 0.5], [0.5, 0.5]]))
    0.0
    """
    p = np.asarray(probabilities, np.float64)
    confidence, right = p.max(axis=1), p.argmax(axis=1) == np.asarray(truth)
    bins = np.minimum((confidence * n_bins).astype(int), n_bins - 1)
    gaps = [abs(right[bins == b].sum() - confidence[bins == b].sum()) for b in np.unique(bins)]
    return float(sum(gaps) / len(p)) if len(p) else float("nan")


def auc(positive: np.ndarray, scores: np.ndarray) -> float:
    """Area under the ROC curve: how often a positive scores above a negative, ties half (Mann and Whitney 1947).

    NaN where there are only positives or only negatives.

    Examples
    --------
    >>> auc(np.array([False, False, True, True]), np.array([0.1, 0.4, 0.35, 0.8]))
    0.75
    """
    positive, scores = np.asarray(positive, bool), np.asarray(scores, np.float64)
    n_positive, n_negative = int(positive.sum()), int((~positive).sum())
    if not n_positive or not n_negative:
        return float("nan")
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]  # equal scores share the mean of their ranks
    return float((ranks[positive].sum() - n_positive * (n_positive + 1) / 2) / (n_positive * n_negative))


def partial_auc(positive: np.ndarray, scores: np.ndarray, max_fpr: float = 0.1) -> float:
    """Area under the ROC curve up to a false-positive rate, standardised so that chance is 0.5 and perfect is 1.

    ``(1 + (A - m) / (M - m)) / 2`` with ``m = max_fpr^2 / 2`` and ``M = max_fpr`` (McClish 1989), as scikit-learn's
    ``roc_auc_score(max_fpr=)``, which DCASE Task 2 uses.

    Examples
    --------
    >>> partial_auc(np.array([False, False, True, True]), np.array([0.1, 0.2, 0.35, 0.8]))
    1.0
    """
    positive, scores = np.asarray(positive, bool), np.asarray(scores, np.float64)
    if not positive.any() or positive.all():
        return float("nan")
    _, place = np.unique(-scores, return_inverse=True)
    hits = np.bincount(place, weights=positive)
    alarms = np.bincount(place, weights=~positive)
    tpr = np.concatenate([[0.0], np.cumsum(hits) / hits.sum()])
    fpr = np.concatenate([[0.0], np.cumsum(alarms) / alarms.sum()])
    # The curve may rise straight up at max_fpr: what lies there counts only on the side of the smaller rate.
    stop = int(np.searchsorted(fpr, max_fpr, side="right"))
    if stop < len(fpr):
        at = tpr[stop - 1] + (tpr[stop] - tpr[stop - 1]) * (max_fpr - fpr[stop - 1]) / (fpr[stop] - fpr[stop - 1])
        fpr, tpr = np.append(fpr[:stop], max_fpr), np.append(tpr[:stop], at)
    area, low = float((np.diff(fpr) * (tpr[1:] + tpr[:-1]) / 2).sum()), max_fpr**2 / 2
    return 0.5 * (1.0 + (area - low) / (max_fpr - low))


def grouped_interval(
    score: np.ndarray | Callable[[np.ndarray], float],
    groups: Sequence[Any],
    seed: int = 0,
    *,
    n_resamples: int = N_BOOTSTRAP,
    level: float = 0.95,
) -> tuple[float, float, float]:
    """A score with its percentile bootstrap interval, whole groups drawn with replacement.

    Parameters
    ----------
    score : ndarray (n,) or callable
        One value for each file, as ``truth == answers``, whose mean is meant; or a function that takes row numbers,
        int64 and repeated as drawn, and returns the score of these rows (for AUC, balanced accuracy).
    groups : sequence (n,)
        A missing one (None or empty) is a group of its own.
    seed, n_resamples, level
        The same seed gives the same interval.

    Returns
    -------
    value, low, high : float
        NaN where nothing is defined. With one group low and high are NaN: nothing is known about another one.

    Examples
    --------
    >>> value, low, high = grouped_interval(np.array([1.0, 1.0, 0.0, 1.0]), ["a", "a", "b", "c"])
    >>> value, low < value <= high
    (0.75, True)
    """
    codes = group_codes(list(groups))
    n_groups = int(codes.max(initial=-1)) + 1
    if not callable(score):
        value, low, high = bootstrap_interval(score, codes, n_resamples=n_resamples, level=level, seed=seed)
        return (value, low, high) if n_groups > 1 else (value, float("nan"), float("nan"))
    value = float(score(np.arange(len(codes))))
    if n_groups < 2:
        return value, float("nan"), float("nan")
    rows = [np.flatnonzero(codes == k) for k in range(n_groups)]
    rng = np.random.default_rng(seed)
    draws = [score(np.concatenate([rows[k] for k in rng.integers(0, n_groups, n_groups)])) for _ in range(n_resamples)]
    known = np.array([draw for draw in draws if np.isfinite(draw)])
    if not known.size:
        return value, float("nan"), float("nan")
    low, high = np.percentile(known, [50 * (1 - level), 50 * (1 + level)])
    return value, float(low), float(high)
