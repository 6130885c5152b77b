"""What a classifier has to beat: chance, what a recording tells unheard, and plain statistics with a plain classifier.

A classifier that is no better than the *nuisance* baseline (duration, level, noise floor, peak, offset) may have learnt
how the recordings were made. Each baseline is fitted and tested on the very folds of the model beside it, its
strength of regularisation chosen inside the training part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from volna.tasks.classification import VectorClassifier

__all__ = ["BASELINES", "Baseline", "baseline_answers", "majority_answers", "prior_hits"]


@dataclass(frozen=True)
class Baseline:
    """A baseline with a vector of its own: the attribute of a heard sound that holds it, and how it is called."""

    view: str
    name: str


BASELINES = (
    Baseline("nuisance", "nuisance (length, levels) + LR"),
    Baseline("mfcc", "MFCC statistics + LR"),
    Baseline("log_mel", "log-mel statistics + LR"),
    Baseline("pitch", "pitch and formants + LR"),
)


def majority_answers(train_labels: Sequence[str], n: int) -> list[str]:
    """The most frequent label of the training part, `n` times; of equally frequent ones the first by name.

    Examples
    --------
    >>> majority_answers(["b", "a", "b"], 2)
    ['b', 'b']
    """
    labels, counts = np.unique(np.asarray(train_labels, dtype=object).astype(str), return_counts=True)
    return [str(labels[counts.argmax()])] * n


def prior_hits(train_labels: Sequence[str], test_labels: Sequence[str]) -> np.ndarray:
    """How often an answer drawn with the shares of the training part is right, for each test file: float64 ``(n,)``.

    Examples
    --------
    >>> prior_hits(["a", "a", "a", "b"], ["a", "b"]).tolist()
    [0.75, 0.25]
    """
    train = np.asarray(train_labels, dtype=object).astype(str)
    return np.array([float(np.mean(train == label)) for label in test_labels])


def baseline_answers(
    vectors: np.ndarray,
    labels: Sequence[str],
    groups: Sequence[str],
    train: np.ndarray,
    test: np.ndarray,
    seed: int = 0,
) -> list[str]:
    """What logistic regression on one kind of vector says of the test part.

    Parameters
    ----------
    vectors : ndarray
        ``(n, dim)``, of all files.
    train, test : ndarray
        Row numbers.

    Examples
    --------
    >>> x = np.array([[0.0], [0.1], [0.2], [1.0], [1.1], [1.2], [1.3]])
    >>> baseline_answers(x, ["a"] * 3 + ["b"] * 4, list("abcdefg"), np.arange(6), np.array([6]))
    ['b']
    """
    model = VectorClassifier(kind="logistic", seed=seed)
    model.fit({"only": vectors[train]}, [labels[k] for k in train], [groups[k] for k in train])
    return model.predict({"only": vectors[test]})
