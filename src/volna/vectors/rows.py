"""Rows of length 1: made, joined over several spaces, and searched exactly."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["BLOCK_VALUES", "FUSION", "JoinedRows", "join", "nearest", "top_k", "unit_rows"]

FUSION = {"descriptors": 1.0, "autoencoder": 0.6}  # weights of the spaces joined in `both`: docs/embedding.md
BLOCK_VALUES = 16_000_000  # similarities held at once: 64 MB of float32


def unit_rows(vectors: np.ndarray) -> np.ndarray:
    """Scale vectors to length 1; a vector of zeros stays one.

    Parameters
    ----------
    vectors : ndarray, float (..., dim), finite

    Returns
    -------
    rows : ndarray, float32 (..., dim)

    Examples
    --------
    >>> unit_rows(np.array([[3.0, 4.0], [0.0, 0.0]])).round(3).tolist()
    [[0.6000000238418579, 0.800000011920929], [0.0, 0.0]]
    """
    rows = np.asarray(vectors, dtype=np.float32)
    lengths = np.sqrt(np.einsum("...d,...d->...", rows, rows))[..., None]
    return np.asarray(rows / np.where(lengths > 0, lengths, 1.0), dtype=np.float32)


def _shares(n_parts: int, weights: Sequence[float] | None) -> np.ndarray:
    """Weights scaled to a sum of squares of 1: float32 (n_parts,)."""
    given = np.ones(n_parts) if weights is None else np.asarray(weights, dtype=np.float64)
    return np.asarray(given / np.sqrt((given**2).sum()), dtype=np.float32)


def join(parts: Sequence[np.ndarray], weights: Sequence[float] | None = None) -> np.ndarray:
    """Join the rows of several spaces into one: similarity = ``sum_i w_i^2 cos_i / sum_i w_i^2``.

    Parameters
    ----------
    parts : sequence of ndarray, float32 (..., dim_i)
        Rows of length 1, the same tracks in the same order in each.
    weights : sequence of float, optional
        One a part, equal when left out.

    Returns
    -------
    rows : ndarray, float32 (..., sum of dim_i), of length 1

    Examples
    --------
    >>> a, b = join([np.eye(2)[0], np.eye(2)[0]], [1, 3]), join([np.eye(2)[0], np.eye(2)[1]], [1, 3])
    >>> round(float(a @ b), 3)
    0.1
    """
    shares = _shares(len(parts), weights)
    return np.concatenate([share * np.asarray(part, np.float32) for share, part in zip(shares, parts, strict=True)], -1)


class JoinedRows:
    """The rows of n tracks in one or several spaces, joined without a copy (the matrices may be memory maps).

    Parameters
    ----------
    parts : sequence of ndarray, float32 (n_i, dim_i)
        Rows of length 1.
    picks : sequence of (ndarray, int64 (n,) or None), optional
        Which row of each part belongs to each of the n tracks; None: all of them, in order.
    weights : sequence of float, optional
        As for `join`.

    Examples
    --------
    >>> rows = JoinedRows([np.eye(2, dtype=np.float32), np.eye(2, dtype=np.float32)[::-1]])
    >>> rows.similarities(rows.take(np.array([0]))).round(3).tolist()
    [[1.0, 0.0]]
    """

    def __init__(
        self,
        parts: Sequence[np.ndarray],
        picks: Sequence[np.ndarray | None] | None = None,
        weights: Sequence[float] | None = None,
    ) -> None:
        self.parts = tuple(parts)
        self.picks = tuple(picks) if picks is not None else (None,) * len(self.parts)
        self.shares = _shares(len(self.parts), weights)
        self.dim = sum(part.shape[1] for part in self.parts)

    def __len__(self) -> int:
        pick = self.picks[0]
        return len(self.parts[0]) if pick is None else len(pick)

    def take(self, indices: np.ndarray | slice) -> np.ndarray:
        """The joined rows of some of the n tracks: float32 (n_taken, dim)."""
        taken = [part[indices if pick is None else pick[indices]] for part, pick in self._pairs()]
        return join(taken, self.shares.tolist())

    def similarities(self, queries: np.ndarray) -> np.ndarray:
        """Cosine of every query with every track: float32 (n_queries, dim) -> float32 (n_queries, n)."""
        total: np.ndarray | None = None
        start = 0
        for (part, pick), share in zip(self._pairs(), self.shares, strict=True):
            columns = share * np.asarray(queries[:, start : start + part.shape[1]], dtype=np.float32)
            products = columns @ part.T
            if pick is not None:
                products = products[:, pick]
            total = products if total is None else np.add(total, products, out=total)
            start += part.shape[1]
        assert total is not None
        return total

    def _pairs(self) -> list[tuple[np.ndarray, np.ndarray | None]]:
        return list(zip(self.parts, self.picks, strict=True))


def top_k(scores: np.ndarray, k: int, allowed: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The k largest scores of each row, largest first, equal ones by column.

    Parameters
    ----------
    scores : ndarray, float (n_queries, n)
    k : int
    allowed : ndarray, bool (n,) or (n_queries, n), optional
        Columns that may be returned: a filter applied before the selection, never after it.

    Returns
    -------
    columns : ndarray, int64 (n_queries, min(k, n))
        ``-1`` where fewer are allowed.
    best : ndarray, float32, same shape
        ``-inf`` there.

    Examples
    --------
    >>> top_k(np.array([[0.1, 0.9, 0.5]]), 2, np.array([True, False, True]))[0].tolist()
    [[2, 0]]
    """
    scores = np.asarray(scores, dtype=np.float32)
    if allowed is not None:
        scores = np.where(allowed, scores, np.float32(-np.inf))
    k = max(0, min(k, scores.shape[1]))
    if k == 0:
        return np.empty((len(scores), 0), np.int64), np.empty((len(scores), 0), np.float32)
    columns = (
        np.argpartition(scores, -k, axis=1)[:, -k:] if k < scores.shape[1] else np.tile(np.arange(k), (len(scores), 1))
    )
    best = np.take_along_axis(scores, columns, axis=1)
    order = np.lexsort((columns, -best), axis=1)
    columns, best = np.take_along_axis(columns, order, axis=1), np.take_along_axis(best, order, axis=1)
    return np.where(np.isneginf(best), -1, columns), best


def nearest(
    rows: JoinedRows,
    queries: np.ndarray,
    k: int,
    *,
    penalty: np.ndarray | None = None,
    allowed: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """The k nearest tracks of each query by exact search: one matrix product and a partial sort, in bounded memory.

    Parameters
    ----------
    rows : JoinedRows of n tracks
    queries : ndarray, float32 (n_queries, dim), of length 1
    k : int
    penalty : ndarray, float32 (n,), optional
        Subtracted before ranking: `HUB_WEIGHT` times `crowding`.
    allowed : ndarray, bool (n,) or (n_queries, n), optional

    Returns
    -------
    indices : ndarray, int64 (n_queries, min(k, n)), ``-1`` where fewer are allowed
    cosines : ndarray, float32, same shape, NaN there
        Similarities without the penalty: in the order of the ranking, so not always falling.
    """
    n, k = len(rows), max(0, min(k, len(rows)))
    indices = np.full((len(queries), k), -1, dtype=np.int64)
    cosines = np.full((len(queries), k), np.nan, dtype=np.float32)
    step = max(1, BLOCK_VALUES // max(1, n))
    for start in range(0, len(queries) if k else 0, step):
        block = slice(start, start + step)
        similar = rows.similarities(queries[block])
        mask = allowed[block] if allowed is not None and allowed.ndim == 2 else allowed
        found, _ = top_k(similar if penalty is None else similar - penalty, k, mask)
        indices[block] = found
        cosines[block] = np.where(found >= 0, np.take_along_axis(similar, np.maximum(found, 0), axis=1), np.nan)
    return indices, np.clip(cosines, -1.0, 1.0)
