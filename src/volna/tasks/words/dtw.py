"""Dynamic time warping: a word is what its nearest templates are, each laid over it with time stretched to fit.

Words are stretched to one length first, then warped within a band around the diagonal (Sakoe and Chiba 1978,
"Dynamic programming algorithm optimization for spoken word recognition", symmetric form, slope constraint P = 0)::

    template  |           . . # #        D(i, j) = min( D(i-1, j)   +     d(i, j),
              |       . . # # . .                       D(i-1, j-1) + 2 * d(i, j),
              |   . . # . . . .                         D(i, j-1)   +     d(i, j) )
              | . # # . . .
              | # . . .                  distance = D(I-1, J-1) / (I + J), d Euclidean, |i - j| <= band
              +--------------- word

Conventions: words are float32 ``(n, N_FRAMES, D)``, of ``cepstra(variance=True)``, so that every value counts alike.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from volna.errors import InputError
from volna.tasks.words.features import of_one_length

__all__ = ["BAND", "N_FRAMES", "as_templates", "distances", "medoids", "word_distances"]

N_FRAMES = 32
BAND = 6  # frames of 32: a fifth of the word


def as_templates(words: Sequence[np.ndarray]) -> np.ndarray:
    """Words of any lengths as templates: float32 ``(n, N_FRAMES, D)``.

    Examples
    --------
    >>> as_templates([np.zeros((5, 39)), np.zeros((80, 39))]).shape
    (2, 32, 39)
    """
    return np.stack([of_one_length(word, N_FRAMES) for word in words])


def distances(word: np.ndarray, templates: np.ndarray, *, band: int = BAND) -> np.ndarray:
    """Warped distance of a word to every template: float32 ``(n,)``, a mean Euclidean distance per frame.

    Parameters
    ----------
    word : ndarray
        ``(n_frames, D)``.
    templates : ndarray
        ``(n, n_frames, D)``, of the same length.
    band : int
        Frames that the two may run apart; 0 compares frame by frame.

    Raises
    ------
    InputError
        Word and templates differ in shape.

    Examples
    --------
    >>> ramp = np.arange(4, dtype=np.float32)[:, None]
    >>> late = np.array([0, 0, 1, 3], dtype=np.float32)[:, None]
    >>> distances(ramp, np.stack([ramp, late])).tolist()
    [0.0, 0.125]
    """
    if templates.ndim != 3 or templates.shape[1:] != word.shape:
        raise InputError(f"expected templates of shape (n, {word.shape[0]}, {word.shape[1]}), got {templates.shape}")
    n, n_frames, _ = templates.shape
    local = _local(np.asarray(word, np.float32), np.asarray(templates, np.float32))
    reached = np.full((n_frames, n_frames, n), np.inf, np.float32)
    for i in range(n_frames):
        for j in range(max(0, i - band), min(n_frames, i + band + 1)):
            best = 2 * local[i, j] if i == j == 0 else np.full(n, np.inf, np.float32)
            if i and j:
                best = reached[i - 1, j - 1] + 2 * local[i, j]
            if i:
                best = np.minimum(best, reached[i - 1, j] + local[i, j])
            if j:
                best = np.minimum(best, reached[i, j - 1] + local[i, j])
            reached[i, j] = best
    return np.asarray(reached[-1, -1] / np.float32(2 * n_frames))


def _local(word: np.ndarray, templates: np.ndarray) -> np.ndarray:
    """Euclidean distance of every frame to every frame of each template: float32 ``(n_frames, n_frames, n)``."""
    across = templates.transpose(1, 2, 0)  # (T, D, n): the templates lie along the memory, for all that follows
    squares = (word**2).sum(axis=1)[:, None, None] + (across**2).sum(axis=1)[None] - 2 * (word @ across).swapaxes(0, 1)
    return np.asarray(np.sqrt(np.maximum(squares, 0)), np.float32)


def medoids(apart: np.ndarray, n: int) -> np.ndarray:
    """The `n` recordings of a word that stand for all: int64, row numbers in ascending order.

    Chosen one by one: each next one lowers the distance of all recordings to their nearest chosen one the most (the
    "build" step of Kaufman and Rousseeuw's PAM, 1990).

    Parameters
    ----------
    apart : ndarray
        ``(m, m)`` distances of the recordings of one word.

    Examples
    --------
    >>> place = np.array([0.0, 1.0, 2.0, 10.0, 11.0, 12.0])
    >>> medoids(np.abs(place[:, None] - place), 2).tolist()
    [2, 4]
    """
    nearest = np.full(len(apart), np.inf)
    chosen: list[int] = []
    for _ in range(min(n, len(apart))):
        cost = np.minimum(nearest[None], apart).sum(axis=1)
        cost[chosen] = np.inf
        chosen.append(int(cost.argmin()))
        nearest = np.minimum(nearest, apart[chosen[-1]])
    return np.array(sorted(chosen), np.int64)


def word_distances(apart: np.ndarray, labels: np.ndarray, n_words: int, n_nearest: int) -> np.ndarray:
    """Distance to each word: the mean over its nearest templates, float64 ``(n, n_words)``.

    Several templates are needed where speakers differ: the nearest single one may be a freak.

    Parameters
    ----------
    apart : ndarray
        ``(n, n_templates)``.
    labels : ndarray
        int ``(n_templates,)``, the word of each; every word at least once.

    Examples
    --------
    >>> word_distances(np.array([[1.0, 3.0, 4.0]]), np.array([0, 0, 1]), 2, 2).tolist()
    [[2.0, 4.0]]
    """
    rows = [np.sort(apart[:, labels == word], axis=1)[:, :n_nearest].mean(axis=1) for word in range(n_words)]
    return np.stack(rows, axis=1).astype(np.float64)
