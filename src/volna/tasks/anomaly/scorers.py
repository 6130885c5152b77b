"""Five ways to say how far a sound lies from the normal ones, each a pair of functions: fit to arrays, score rows.

Rows are the standardised descriptions of windows (`volna.features.machine`), or their means over some seconds: what
does not change from window to window adds up in a mean, and what scatters by chance does not. All scores are float64
``(n,)``, higher is more abnormal, in units of their own; `volna.tasks.anomaly.fusion` puts them on one scale.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

__all__ = [
    "fit_neighbours",
    "fit_pca",
    "fit_whitening",
    "neighbour_score",
    "pca_score",
    "whiten",
]

PCA_SHARE = 0.98  # of the variance of normal sounds is explained; the rest is where faults show
N_DENSITY = 4  # neighbours by which the density around a normal row is measured
MOST_NEIGHBOURS = 4_000  # rows kept for the nearest neighbours: some 5 MB
SHRINKAGE_SHARE = 0.2  # of the shrinkage of Ledoit and Wolf: faults show where normal sounds hardly vary
CHUNK_ROWS = 512

Arrays = dict[str, np.ndarray]


def fit_pca(rows: np.ndarray, share: float = PCA_SHARE) -> Arrays:
    """The axes that explain a share of the variance: ``mean`` ``(dim,)``, ``axes`` ``(n_axes, dim)``.

    Examples
    --------
    >>> fit_pca(np.random.default_rng(0).standard_normal((50, 4)), 0.5)["axes"].shape
    (2, 4)
    """
    mean = rows.mean(axis=0)
    _, spread, axes = np.linalg.svd(rows - mean, full_matrices=False)
    explained = np.cumsum(spread**2) / max(float(np.sum(spread**2)), 1e-30)
    n_axes = min(int(np.searchsorted(explained, share)) + 1, len(axes))
    return {"mean": mean.astype(np.float32), "axes": axes[:n_axes].astype(np.float32)}


def pca_score(fitted: Mapping[str, np.ndarray], rows: np.ndarray) -> np.ndarray:
    """Root mean square of what the axes leave over.

    Examples
    --------
    >>> pca_score({"mean": np.zeros(2), "axes": np.array([[1.0, 0.0]])}, np.array([[5.0, 2.0]])).round(3).tolist()
    [1.414]
    """
    centred = np.asarray(rows, np.float64) - fitted["mean"]
    left = centred - (centred @ fitted["axes"].T) @ fitted["axes"]
    return np.asarray(np.sqrt(np.mean(left**2, axis=1)))


def fit_whitening(rows: np.ndarray) -> Arrays:
    """What makes normal rows uncorrelated with variance 1: ``mean`` ``(dim,)``, ``root`` ``(dim, dim)``.

    The covariance is shrunk towards a multiple of the identity, by a share of what Ledoit and Wolf (2004) find best
    for the covariance itself, so that it can be inverted however few the rows are.

    Examples
    --------
    >>> rows = np.random.default_rng(0).standard_normal((2_000, 3)) * [1.0, 2.0, 3.0]
    >>> whiten(fit_whitening(rows), rows).std(axis=0).round(1).tolist()
    [1.0, 1.0, 1.0]
    """
    from sklearn.covariance import ledoit_wolf_shrinkage

    mean = rows.mean(axis=0)
    share = max(SHRINKAGE_SHARE * float(ledoit_wolf_shrinkage(rows)), 1e-4)
    covariance = np.atleast_2d(np.cov(rows.T, bias=True))
    even = max(float(np.trace(covariance)) / len(covariance), 1e-6)
    shrunk = (1.0 - share) * covariance + share * even * np.eye(len(covariance))
    root = np.linalg.cholesky(np.linalg.inv(shrunk))
    return {"mean": mean.astype(np.float32), "root": root.astype(np.float32)}


def whiten(fitted: Mapping[str, np.ndarray], rows: np.ndarray) -> np.ndarray:
    """Rows whose root mean square is the Mahalanobis distance over the root of the dimension, float64 ``(n, dim)``.

    Examples
    --------
    >>> whiten({"mean": np.ones(1), "root": np.array([[0.5]])}, np.array([[5.0]])).tolist()
    [[2.0]]
    """
    return np.asarray((np.asarray(rows, np.float64) - fitted["mean"]) @ fitted["root"])


def fit_neighbours(whitened: np.ndarray, owners: np.ndarray, seed: int = 0) -> Arrays:
    """Normal rows to be near to, and how near normal rows are to each of them.

    Parameters
    ----------
    whitened : ndarray
        ``(n, dim)``, see `whiten`.
    owners : ndarray
        int ``(n,)``: rows of one owner (a file) are no neighbours of one another, or every file would look dense.

    Returns
    -------
    dict of ndarray
        ``rows`` float32 ``(m, dim + 1)`` of length 1, ``density`` float32 ``(m,)``: mean cosine distance to the
        nearest rows of other owners.

    Examples
    --------
    >>> fit_neighbours(np.eye(6), np.arange(6))["density"].shape
    (6,)
    """
    if len(whitened) > MOST_NEIGHBOURS:
        chosen = np.sort(np.random.default_rng(seed).permutation(len(whitened))[:MOST_NEIGHBOURS])
        whitened, owners = whitened[chosen], owners[chosen]
    rows = _directions(whitened)
    density = np.empty(len(rows), np.float32)
    for first in range(0, len(rows), CHUNK_ROWS):
        part = slice(first, first + CHUNK_ROWS)
        far = 1.0 - rows[part] @ rows.T
        far[owners[part, None] == owners[None, :]] = np.inf
        nearest = np.sort(far, axis=1)[:, :N_DENSITY]
        density[part] = np.where(np.isfinite(nearest), nearest, 0.0).sum(axis=1) / np.maximum(
            np.isfinite(nearest).sum(axis=1), 1
        )
    return {"rows": rows.astype(np.float32), "density": np.maximum(density, 1e-6)}


def neighbour_score(fitted: Mapping[str, np.ndarray], whitened: np.ndarray) -> np.ndarray:
    """Cosine distance to the nearest normal row, over what is usual around that row.

    The local density normalisation of Wilkinghoff et al. (2025, "Local density-based anomaly score normalization for
    domain generalization"): a rare kind of normal sound is not abnormal for being rare.

    Examples
    --------
    >>> fitted = fit_neighbours(np.eye(6), np.arange(6))
    >>> bool(neighbour_score(fitted, -9.0 * np.ones((1, 6)))[0] > 1.0)
    True
    """
    rows = _directions(whitened)
    parts = [rows[k : k + CHUNK_ROWS] for k in range(0, len(rows), CHUNK_ROWS)]
    near = [((1.0 - part @ fitted["rows"].T.astype(np.float64)) / fitted["density"]).min(axis=1) for part in parts]
    return np.concatenate(near)


def _directions(whitened: np.ndarray) -> np.ndarray:
    """Rows of length 1 with one more element that was the same in all before, so that a row's length counts too.

    Without it the cosine would only see which way a row lies off the mean, and a normal row lies off it as well, by
    chance, in any direction.
    """
    same = np.full((len(whitened), 1), np.sqrt(whitened.shape[1]))
    rows = np.concatenate([np.asarray(whitened, np.float64), same], axis=1)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))
