"""Time made comparable: sequences brought to one length, two sounds laid over one another.

Sequences are ``(n_values, n)``, time along the last axis, as log-mels and latents are.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from volna.features.frames import Floats

__all__ = ["MOST_POINTS", "at_times", "between", "stretched", "warping_path"]

MOST_POINTS = 32
BAND = 0.15  # of the duration: beyond it notes of other pitch, alike in no frame, are laid over one another anyhow


def at_times(sequence: NDArray, times: NDArray) -> Floats:
    """A sequence at times counted in its own steps, linear between them and constant beyond its ends.

    Examples
    --------
    >>> at_times(np.array([[0.0, 1.0, 2.0]]), np.array([0.5, 5.0])).tolist()
    [[0.5, 2.0]]
    """
    last = sequence.shape[1] - 1
    t = np.clip(times, 0, last)
    low = np.minimum(t.astype(int), max(last - 1, 0))
    high, share = np.minimum(low + 1, last), (t - low)[None]
    return np.asarray(sequence[:, low] * (1 - share) + sequence[:, high] * share, np.float32)


def stretched(sequence: NDArray, n: int) -> Floats:
    """A sequence with ``n`` steps from its first to its last.

    Examples
    --------
    >>> stretched(np.array([[0.0, 2.0]]), 3).tolist()
    [[0.0, 1.0, 2.0]]
    """
    return at_times(sequence, np.linspace(0, sequence.shape[1] - 1, n))


def warping_path(first: NDArray, second: NDArray, *, band: float = BAND) -> NDArray[np.int64]:
    """Which frames of two sounds belong together, by dynamic time warping over Euclidean distances.

    Symmetric steps of Sakoe and Chiba (1978): on in one of them, or in both at twice the cost, so that neither way is
    cheaper for its length.

    Parameters
    ----------
    first, second
        ``(n_values, n)`` and ``(n_values, m)``.
    band
        How far the path may leave the diagonal, as a share of the length of both.

    Returns
    -------
    ndarray
        int64 ``(n_pairs, 2)``, from ``(0, 0)`` to ``(n - 1, m - 1)``, neither column ever falls.

    Examples
    --------
    >>> warping_path(np.array([[0.0, 1.0, 1.0]]), np.array([[0.0, 0.0, 1.0]]), band=1.0).tolist()
    [[0, 0], [0, 1], [1, 2], [2, 2]]
    """
    a, b = np.asarray(first, np.float64), np.asarray(second, np.float64)
    squares = (a**2).sum(0)[:, None] + (b**2).sum(0)[None] - 2 * a.T @ b
    cost = np.sqrt(np.maximum(squares, 0.0))
    n, m = cost.shape
    total = np.full((n + 1, m + 1), np.inf)
    total[0, 0] = 0.0
    width = max(band, 1.0 / max(min(n, m) - 1, 1))  # a step of the shorter one at least, or no path is left
    for i in range(n):
        for j in range(m):
            if abs(i / max(n - 1, 1) - j / max(m - 1, 1)) > width:
                continue
            here = cost[i, j]
            total[i + 1, j + 1] = min(total[i, j] + 2 * here, total[i, j + 1] + here, total[i + 1, j] + here)
    return _traced(total, cost)


def _traced(total: NDArray, cost: NDArray) -> NDArray[np.int64]:
    i, j = cost.shape[0] - 1, cost.shape[1] - 1
    path = [(i, j)]
    while i or j:
        ways = ((total[i, j] + 2 * cost[i, j], i - 1, j - 1), (total[i, j + 1] + cost[i, j], i - 1, j))
        _, i, j = min(*ways, (total[i + 1, j] + cost[i, j], i, j - 1))
        path.append((i, j))
    return np.array(path[::-1], np.int64)


def between(path: NDArray[np.int64], share: float) -> tuple[NDArray, NDArray]:
    """Times in both sounds for every frame of the sound that lies a share of the way from the first to the second.

    Parameters
    ----------
    path
        Of `warping_path`.
    share
        0 gives the time of the first sound, 1 that of the second.

    Returns
    -------
    tuple of ndarray
        ``(n_frames,)`` each: where to look in the first and in the second.

    Examples
    --------
    >>> between(np.array([[0, 0], [1, 2]]), 0.5)
    (array([0. , 0.5, 1. ]), array([0., 1., 2.]))
    """
    own = (1 - share) * path[:, 0] + share * path[:, 1]
    n = round(float(own[-1])) + 1
    wanted = np.linspace(0, own[-1], n)
    # Where several pairs share a time (one sound stands still at an end of the share), their middle is taken.
    times, where = np.unique(own, return_inverse=True)
    means = [np.bincount(where, path[:, k]) / np.bincount(where) for k in (0, 1)]
    return np.interp(wanted, times, means[0]), np.interp(wanted, times, means[1])
