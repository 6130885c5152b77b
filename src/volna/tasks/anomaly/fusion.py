"""Scores of several scorers on one scale, and their sum.

Each score is taken in units of its own scatter among held-out normal recordings, so that 0 is usual and 3 is rare for
every scorer, and the weighted mean of them is the fused score.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from volna.errors import InputError

__all__ = ["SCORERS", "WEIGHTS", "fit_scale", "fused", "on_scale", "shares_of"]

SCORERS = ("autoencoder", "pca", "mahalanobis", "neighbours", "forest")
# Chosen on faults of other turns and pitches than those reported in docs/anomaly.md. Frames alone (autoencoder) and
# random cuts (forest) lowered the sum there, so by default they are shown beside it and have no part in it.
WEIGHTS: Mapping[str, float] = {
    "autoencoder": 0.0,
    "pca": 0.5,
    "mahalanobis": 1.0,
    "neighbours": 1.0,
    "forest": 0.0,
}
LEAST_SPREAD = 1e-6


def fit_scale(held_out: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and spread of each scorer among held-out normal scores.

    Parameters
    ----------
    held_out : ndarray
        ``(n, n_scorers)``.

    Returns
    -------
    mean, spread : ndarray
        float64 ``(n_scorers,)``, the spread above 0.

    Examples
    --------
    >>> fit_scale(np.array([[1.0], [3.0]]))
    (array([2.]), array([1.]))
    """
    return held_out.mean(axis=0), np.maximum(held_out.std(axis=0), LEAST_SPREAD)


def on_scale(scores: np.ndarray, mean: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Scores ``(n, n_scorers)`` in spreads above the mean.

    Examples
    --------
    >>> on_scale(np.array([[5.0]]), np.array([2.0]), np.array([1.0])).tolist()
    [[3.0]]
    """
    return np.asarray((scores - mean) / spread)


def shares_of(scorers: Sequence[str] | None = None) -> np.ndarray:
    """The share of each scorer in the sum, float64 ``(n_scorers,)``: `WEIGHTS`, or even among those named.

    Raises
    ------
    InputError
        None is named, or one that does not exist.

    Examples
    --------
    >>> shares_of(["pca", "forest"]).tolist()
    [0.0, 0.5, 0.0, 0.0, 0.5]
    """
    if scorers is not None and (not scorers or set(scorers) - set(SCORERS)):
        raise InputError(f"scorers: expected some of {', '.join(SCORERS)}, got {', '.join(scorers) or 'none'}")
    weights = WEIGHTS if scorers is None else dict.fromkeys(scorers, 1.0)
    shares = np.array([weights.get(name, 0.0) for name in SCORERS])
    return np.asarray(shares / shares.sum())


def fused(scaled: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """The weighted mean over scorers, ``(n, n_scorers)`` by ``(n_scorers,)``: float64 ``(n,)``.

    Examples
    --------
    >>> fused(np.array([[1.0, 3.0]]), np.array([0.25, 0.75])).tolist()
    [2.5]
    """
    return np.asarray(scaled @ shares)
