"""Settings of the recognisers, chosen by how well words are told whose group was held out; never by the test part.

Every function here is one step that can run in a child process: what it takes and gives are arrays.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from volna.tasks.groups import Fold
from volna.tasks.words.decisions import Said, log_loss_of, said_by_dtw, said_by_hmm
from volna.tasks.words.dtw import medoids, word_distances
from volna.tasks.words.features import cepstra
from volna.tasks.words.hmm import WordHmms, fit_hmms, log_likelihoods

__all__ = [
    "DTW_GRID",
    "HMM_GRID",
    "Apart",
    "DtwSettings",
    "HmmSettings",
    "best",
    "fit_hmm",
    "held_out_dtw",
    "held_out_hmm",
    "hmm_says",
    "joined",
    "spread_over",
    "templates_among",
    "templates_of",
]


@dataclass(frozen=True)
class HmmSettings:
    """``variance``: whether cepstra are also scaled to unit spread over each word."""

    n_states: int
    n_mixtures: int
    variance: bool = False

    def as_dict(self) -> dict[str, int | bool]:
        return asdict(self)


@dataclass(frozen=True)
class DtwSettings:
    """``n_templates`` medoids of every word, 0 for all recordings; the mean over ``n_nearest`` of them counts."""

    n_templates: int
    n_nearest: int

    def as_dict(self) -> dict[str, int]:
        return asdict(self)


@dataclass(frozen=True)
class Apart:
    """Warped distances of n words to m of them: ``values`` float32 ``(n, m)``, ``columns`` int64 ``(m,)``, ascending.

    A distance is learnt from nothing, so that it may be known before the words are split.
    """

    values: np.ndarray
    columns: np.ndarray

    def between(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """The distances of some words to some of `columns`."""
        return np.asarray(self.values[np.ix_(rows, np.searchsorted(self.columns, columns))])


HMM_GRID = (HmmSettings(6, 1), HmmSettings(10, 1), HmmSettings(8, 1, True), HmmSettings(5, 2))
DTW_GRID = (DtwSettings(0, 1), DtwSettings(0, 5), DtwSettings(0, 10), DtwSettings(20, 1), DtwSettings(20, 5))


def fit_hmm(
    log_mels: Sequence[np.ndarray], truth: np.ndarray, n_words: int, settings: HmmSettings, seed: int = 0
) -> tuple[WordHmms, float]:
    """Models of every word, and the seconds that they took."""
    started_s = time.process_time()
    rows = [cepstra(each, variance=settings.variance) for each in log_mels]
    size = {"n_states": settings.n_states, "n_mixtures": settings.n_mixtures}
    return fit_hmms(rows, truth, n_words, **size, seed=seed), time.process_time() - started_s


def hmm_says(hmms: WordHmms, log_mels: Sequence[np.ndarray], settings: HmmSettings) -> Said:
    """What models of words say of other words."""
    rows = [cepstra(each, variance=settings.variance) for each in log_mels]
    return said_by_hmm(log_likelihoods(hmms, rows), np.array([len(row) for row in rows]))


def templates_of(apart: np.ndarray, truth: np.ndarray, n_templates: int) -> np.ndarray:
    """Row numbers of the recordings that are kept as templates, ``n_templates`` medoids a word or all with 0.

    Examples
    --------
    >>> templates_of(np.zeros((4, 4)), np.array([0, 0, 1, 1]), 1).tolist()
    [0, 2]
    """
    if not n_templates:
        return np.arange(len(truth))
    of_word = [np.flatnonzero(truth == word) for word in np.unique(truth)]
    kept = [rows[medoids(apart[np.ix_(rows, rows)], n_templates)] for rows in of_word]
    return np.sort(np.concatenate(kept))


def held_out_hmm(
    log_mels: Sequence[np.ndarray],
    truth: np.ndarray,
    train: np.ndarray,
    test: np.ndarray,
    n_words: int,
    settings: HmmSettings,
    seed: int = 0,
) -> Said:
    """What models of the words of a training part say of the test part; a word that is not there is the unlikeliest."""
    present, numbers = np.unique(truth[train], return_inverse=True)
    hmms, _ = fit_hmm([log_mels[k] for k in train], numbers, len(present), settings, seed)
    return spread_over(hmm_says(hmms, [log_mels[k] for k in test], settings), present, n_words)


def held_out_dtw(
    apart: Apart, truth: np.ndarray, train: np.ndarray, test: np.ndarray, n_words: int, settings: DtwSettings
) -> Said:
    """What templates out of a training part say of the test part."""
    kept = templates_among(apart, truth, train, settings)
    present, numbers = np.unique(truth[kept], return_inverse=True)
    far = word_distances(apart.between(test, kept), numbers, len(present), settings.n_nearest)
    return spread_over(said_by_dtw(far), present, n_words)


def templates_among(apart: Apart, truth: np.ndarray, rows: np.ndarray, settings: DtwSettings) -> np.ndarray:
    """Which of some words are kept as templates, int64, ascending."""
    rows = np.intersect1d(rows, apart.columns)
    return np.asarray(rows[templates_of(apart.between(rows, rows), truth[rows], settings.n_templates)])


def spread_over(said: Said, present: np.ndarray, n_words: int) -> Said:
    """Scores of the words `present` as scores of all words, of which the others are as unlikely as the unlikeliest.

    Examples
    --------
    >>> spread_over(Said(np.array([[2.0, 1.0]]), np.zeros(1)), np.array([0, 2]), 3).scores.tolist()
    [[2.0, 1.0, 1.0]]
    """
    scores = np.repeat(said.scores.min(axis=1, keepdims=True), n_words, axis=1)
    scores[:, present] = said.scores
    return Said(scores, said.evidence)


def joined(parts: Sequence[Said], folds: Sequence[Fold]) -> Said:
    """What was said of the test part of every fold, in the order of the words."""
    order = np.argsort(np.concatenate([test for _, test in folds]))
    return Said(np.concatenate([p.scores for p in parts])[order], np.concatenate([p.evidence for p in parts])[order])


def best(found: Sequence[Said], truth: np.ndarray) -> int:
    """Which of several has the lowest log loss; of equal ones the first."""
    return int(np.argmin([log_loss_of(said, truth) for said in found]))
