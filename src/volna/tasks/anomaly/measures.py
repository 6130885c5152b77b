"""How good a detector is, in the form of DCASE Task 2: per section and over all of them.

The measure of success is the AUC, beside it the partial AUC up to a tenth of false alarms (McClish's standardised
form, chance .5), and precision, recall and F1 at the threshold. Over sections: the arithmetic and the harmonic mean;
the harmonic one, on which the field ranks, lets no section be given up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from volna.tasks.scores import auc, partial_auc

__all__ = ["MAX_FPR", "SectionScore", "arithmetic_mean", "harmonic_mean", "section_score"]

MAX_FPR = 0.1


@dataclass(frozen=True)
class SectionScore:
    """One machine: how many recordings, AUC, pAUC, and at the threshold precision, recall and F1, all in [0, 1]."""

    section: str
    n_normal: int
    n_abnormal: int
    auc: float
    pauc: float
    precision: float
    recall: float
    f1: float


def section_score(section: str, abnormal: np.ndarray, scores: np.ndarray, decisions: np.ndarray) -> SectionScore:
    """The measures of one section.

    Parameters
    ----------
    abnormal : ndarray
        bool ``(n,)``, the truth.
    scores : ndarray
        float ``(n,)``, higher is more abnormal.
    decisions : ndarray
        bool ``(n,)``, what the threshold says.

    Returns
    -------
    SectionScore
        AUC and pAUC are NaN where one kind is missing; precision is 0 where nothing was called abnormal.

    Examples
    --------
    >>> truth, scores = np.array([False, False, True, True]), np.array([0.1, 0.6, 0.5, 0.9])
    >>> one = section_score("fan", truth, scores, scores > 0.4)
    >>> one.auc, round(one.precision, 2), one.recall
    (0.75, 0.67, 1.0)
    """
    truth, said = np.asarray(abnormal, bool), np.asarray(decisions, bool)
    hits = int((truth & said).sum())
    precision = hits / int(said.sum()) if said.any() else 0.0
    recall = hits / int(truth.sum()) if truth.any() else float("nan")
    f1 = 2.0 * hits / (int(truth.sum()) + int(said.sum())) if truth.any() or said.any() else float("nan")
    return SectionScore(
        section, int((~truth).sum()), int(truth.sum()), auc(truth, scores), partial_auc(truth, scores, MAX_FPR),
        precision, recall, f1,
    )  # fmt: skip


def arithmetic_mean(values: Sequence[float]) -> float:
    """Mean of what is known; NaN where nothing is.

    Examples
    --------
    >>> arithmetic_mean([0.5, 1.0, float("nan")])
    0.75
    """
    known = [value for value in values if np.isfinite(value)]
    return float(np.mean(known)) if known else float("nan")


def harmonic_mean(values: Sequence[float]) -> float:
    """Harmonic mean of what is known, 0 where one is 0; NaN where nothing is known.

    Examples
    --------
    >>> harmonic_mean([0.5, 1.0])
    0.6666666666666666
    """
    known = [value for value in values if np.isfinite(value)]
    if not known:
        return float("nan")
    return float(len(known) / sum(1.0 / value for value in known)) if min(known) > 0 else 0.0
