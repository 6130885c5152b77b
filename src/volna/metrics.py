"""Pure scores of a ranking: how good the neighbours are, and how fairly they are spread.

Conventions
-----------
A *ranking* is an integer array ``(n_queries, k)`` of column indices, best first; ``-1`` means "nothing more".
``relevant`` is a bool array of the same shape. A score per query is float64 ``(n_queries,)`` in [0, 1], NaN where it is
not defined; means leave NaN out. Groups are the independent units of the bootstrap: artists, speakers, folds.

The same-artist filter follows Flexer and Schnitzer (2010), "Effects of album and artist filters in audio similarity
computed for very large music databases": every other track of the query's artist leaves the ranking before anything is
counted, because an album recognises itself by its mastering.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

__all__ = [
    "average_precision",
    "bootstrap_difference",
    "bootstrap_interval",
    "chance_average_precision",
    "chance_precision",
    "group_codes",
    "hubness",
    "interval_over_tracks",
    "k_occurrence",
    "never_recommended",
    "precision_at_k",
    "rank_excluding",
    "relevance",
]

N_BOOTSTRAP = 1000


def group_codes(names: Sequence[Any]) -> np.ndarray:
    """Number the groups; a missing name (None or empty) is a group of its own, never one shared group.

    Parameters
    ----------
    names : sequence of hashable or None
        One artist (speaker, fold, ...) for each of the n tracks.

    Returns
    -------
    codes : ndarray, int64 (n,)
        Equal numbers for equal names.

    Examples
    --------
    >>> group_codes(["a", None, "a", None]).tolist()
    [0, 1, 0, 2]
    """
    known: dict[Any, int] = {}
    codes = np.empty(len(names), dtype=np.int64)
    n_groups = 0
    for row, name in enumerate(names):
        if name is None or name == "":
            codes[row], n_groups = n_groups, n_groups + 1
            continue
        if name not in known:
            known[name], n_groups = n_groups, n_groups + 1
        codes[row] = known[name]
    return codes


def rank_excluding(
    similarities: np.ndarray, query_groups: np.ndarray, groups: np.ndarray, k: int | None = None
) -> np.ndarray:
    """Rank all tracks for each query, with the tracks of the query's group, itself among them, taken out.

    Parameters
    ----------
    similarities : ndarray, float (n_queries, n)
        Larger is nearer; compared within a row only.
    query_groups, groups : ndarray, int (n_queries,) and (n,)
        From `group_codes`. With ``arange(n)`` for the groups a query's own column alone is taken out; with ``-1`` for
        a query nothing is.
    k : int, optional
        Keep the first k; all of them when None.

    Returns
    -------
    ranking : ndarray, int64 (n_queries, min(k, n))
        Columns, best first, equal similarities by column; ``-1`` after the last allowed one.

    Examples
    --------
    >>> rank_excluding(np.array([[1.0, 0.9, 0.2, 0.5]]), np.array([0]), np.array([0, 0, 1, 2])).tolist()
    [[3, 2, -1, -1]]
    """
    excluded = np.asarray(query_groups)[:, None] == np.asarray(groups)[None, :]
    worst_first = np.where(excluded, np.inf, -np.asarray(similarities))
    order = np.argsort(worst_first, axis=1, kind="stable")[:, :k]
    allowed = np.arange(order.shape[1])[None, :] < (excluded.shape[1] - excluded.sum(axis=1))[:, None]
    return np.where(allowed, order, -1)


def relevance(ranking: np.ndarray, query_labels: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Which ranked tracks share a label with their query.

    Parameters
    ----------
    ranking : ndarray, int (n_queries, k)
    query_labels : ndarray (n_queries,) or bool (n_queries, n_labels)
        One label a track, or a row of flags where a track may carry several labels.
    labels : ndarray (n,) or bool (n, n_labels)

    Returns
    -------
    relevant : ndarray, bool (n_queries, k)
        False where the ranking holds ``-1``.

    Examples
    --------
    >>> relevance(np.array([[1, 2, -1]]), np.array(["jazz"]), np.array(["jazz", "rock", "jazz"])).tolist()
    [[False, True, False]]
    """
    found = np.asarray(labels)[np.maximum(ranking, 0)]
    wanted = np.asarray(query_labels)[:, None]
    same = (found & wanted).any(axis=2) if found.ndim == 3 else found == wanted
    return np.asarray(same & (ranking >= 0))


def precision_at_k(relevant: np.ndarray, ranking: np.ndarray, k: int) -> np.ndarray:
    """Share of relevant tracks among the first k, per query.

    Parameters
    ----------
    relevant : ndarray, bool (n_queries, >= k or all there are)
    ranking : ndarray, int, same shape
    k : int

    Returns
    -------
    precision : ndarray, float64 (n_queries,), in [0, 1]
        Divided by the number of tracks there are to show where that is below k; NaN where it is 0.

    Examples
    --------
    >>> precision_at_k(np.array([[True, False, True]]), np.array([[4, 2, 7]]), 2).tolist()
    [0.5]
    """
    shown = (ranking[:, :k] >= 0).sum(axis=1)
    hits = relevant[:, :k].sum(axis=1)
    return np.where(shown > 0, hits / np.maximum(shown, 1), np.nan)


def average_precision(relevant: np.ndarray) -> np.ndarray:
    """Mean of the precision at the rank of every relevant track, per query; its mean over queries is MAP.

    Manning, Raghavan and Schuetze (2008), *Introduction to Information Retrieval*, section 8.4. The ranking has to be
    complete (`rank_excluding` without k): a cut ranking scores as if the rest were not relevant and not wanted.

    Parameters
    ----------
    relevant : ndarray, bool (n_queries, n)

    Returns
    -------
    precision : ndarray, float64 (n_queries,), in [0, 1]
        NaN where nothing is relevant.

    Examples
    --------
    >>> average_precision(np.array([[True, False, True]])).round(3).tolist()
    [0.833]
    """
    precision = np.cumsum(relevant, axis=1) / np.arange(1, relevant.shape[1] + 1)
    n_relevant = relevant.sum(axis=1)
    total = (precision * relevant).sum(axis=1)
    return np.where(n_relevant > 0, total / np.maximum(n_relevant, 1), np.nan)


def chance_precision(relevant: np.ndarray, ranking: np.ndarray) -> np.ndarray:
    """Expected precision of a random order, at any k: the share of relevant tracks in a complete ranking.

    Parameters
    ----------
    relevant, ranking : ndarray (n_queries, n)
        As for `precision_at_k`, complete.

    Returns
    -------
    precision : ndarray, float64 (n_queries,)

    Examples
    --------
    >>> chance_precision(np.array([[True, False, False, False]]), np.array([[0, 1, 2, -1]])).round(3).tolist()
    [0.333]
    """
    return precision_at_k(relevant, ranking, relevant.shape[1])


def chance_average_precision(n_relevant: np.ndarray, n_ranked: np.ndarray) -> np.ndarray:
    """Expected average precision of a random order of n tracks with R relevant ones, in closed form.

    ``(H(n) + (R - 1) (n - H(n)) / (n - 1)) / n`` with the harmonic number ``H(n)``: the relevant track at rank i has
    precision ``(1 + (i - 1)(R - 1) / (n - 1)) / i`` on average (Bestgen 2015, "Exact expected average precision of the
    random baseline for system evaluation").

    Parameters
    ----------
    n_relevant, n_ranked : ndarray, int (n_queries,)

    Returns
    -------
    precision : ndarray, float64 (n_queries,)
        NaN where nothing is relevant.

    Examples
    --------
    >>> chance_average_precision(np.array([1]), np.array([2])).tolist()
    [0.75]
    """
    n = np.asarray(n_ranked, dtype=np.float64)
    found = np.asarray(n_relevant, dtype=np.float64)
    sums = np.concatenate([[0.0], np.cumsum(1.0 / np.arange(1, int(n.max(initial=1)) + 1))])
    harmonic = sums[np.asarray(n_ranked, dtype=np.int64)]
    expected = (harmonic + (found - 1) * (n - harmonic) / np.maximum(n - 1, 1)) / np.maximum(n, 1)
    return np.where(found > 0, expected, np.nan)


def k_occurrence(ranking: np.ndarray, n_tracks: int, k: int = 10) -> np.ndarray:
    """How often each track stands in somebody's first k (Radovanović et al. 2010, "Hubs in space").

    Parameters
    ----------
    ranking : ndarray, int (n_queries, >= k or all there are)
    n_tracks : int
    k : int

    Returns
    -------
    counts : ndarray, int64 (n_tracks,)

    Examples
    --------
    >>> k_occurrence(np.array([[1, 2], [2, 0], [0, -1]]), 3, k=1).tolist()
    [1, 1, 1]
    """
    shown = ranking[:, :k]
    return np.bincount(shown[shown >= 0], minlength=n_tracks).astype(np.int64)


def hubness(counts: np.ndarray) -> float:
    """Skewness of the k-occurrence: 0 when all are recommended alike, above 1 when a few tracks crowd every list.

    ``E[(N_k - mean)^3] / std^3`` (Radovanović et al. 2010, eq. 1; Schnitzer et al. 2012 for music).

    Parameters
    ----------
    counts : ndarray (n_tracks,)
        From `k_occurrence`.

    Examples
    --------
    >>> round(hubness(np.array([0, 0, 0, 4])), 3)
    1.155
    """
    values = np.asarray(counts, dtype=np.float64)
    if values.size == 0:
        return 0.0
    centred = values - values.mean()
    spread = float(np.sqrt((centred**2).mean()))
    return float((centred**3).mean() / spread**3) if spread > 0 else 0.0


def never_recommended(counts: np.ndarray) -> float:
    """Share of tracks that stand in nobody's first k, in [0, 1] ("anti-hubs").

    Parameters
    ----------
    counts : ndarray (n_tracks,)
        From `k_occurrence`.

    Examples
    --------
    >>> never_recommended(np.array([0, 3, 1, 0]))
    0.5
    """
    return float(np.mean(np.asarray(counts) == 0)) if len(counts) else 0.0


def _resamples(groups: np.ndarray, n_resamples: int, seed: int) -> Iterator[np.ndarray]:
    """How often each row counts in each resample of whole groups, drawn with replacement: int64 (n,)."""
    _, codes = np.unique(groups, return_inverse=True)
    n_groups = int(codes.max(initial=-1)) + 1
    rng = np.random.default_rng(seed)
    for _ in range(n_resamples):
        drawn = np.bincount(rng.integers(0, n_groups, n_groups), minlength=n_groups)
        yield drawn[codes]


def _percentiles(values: list[float], level: float) -> tuple[float, float]:
    finite = np.array([value for value in values if np.isfinite(value)])
    if finite.size == 0:
        return float("nan"), float("nan")
    tail = 50.0 * (1.0 - level)
    low, high = np.percentile(finite, [tail, 100.0 - tail])
    return float(low), float(high)


def _weighted_mean(values: np.ndarray, weights: np.ndarray) -> float:
    total = float(weights.sum())
    return float(values @ weights) / total if total > 0 else float("nan")


def bootstrap_interval(
    values: np.ndarray,
    groups: np.ndarray,
    *,
    n_resamples: int = N_BOOTSTRAP,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[float, float, float]:
    """Mean of a score per query with its percentile bootstrap interval over groups.

    Whole artists are drawn with replacement, because tracks of one artist are not independent (Davison and Hinkley
    1997, section 3.8, one-stage cluster bootstrap).

    Parameters
    ----------
    values : ndarray, float (n,)
        NaN rows are left out.
    groups : ndarray, int (n,)
    n_resamples, level, seed
        1000 resamples and a 95 % interval by default; the same seed gives the same interval.

    Returns
    -------
    mean, low, high : float

    Examples
    --------
    >>> mean, low, high = bootstrap_interval(np.array([0.0, 1.0, 1.0, 0.0]), np.array([0, 1, 2, 3]))
    >>> mean, low < mean < high
    (0.5, True)
    """
    values = np.asarray(values, dtype=np.float64)
    known = np.isfinite(values)
    values, groups = values[known], np.asarray(groups)[known]
    if values.size == 0:
        return float("nan"), float("nan"), float("nan")
    means = [_weighted_mean(values, counts) for counts in _resamples(groups, n_resamples, seed)]
    return (float(values.mean()), *_percentiles(means, level))


def bootstrap_difference(
    first: np.ndarray,
    second: np.ndarray,
    groups: np.ndarray,
    *,
    n_resamples: int = N_BOOTSTRAP,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[float, float, float]:
    """Mean of ``first - second`` over the same queries, with its paired bootstrap interval over groups.

    An interval that excludes 0 says that the first method is better (or worse) beyond the luck of these artists.

    Examples
    --------
    >>> bootstrap_difference(np.array([0.6, 0.8]), np.array([0.5, 0.7]), np.array([0, 1]))[0].__round__(3)
    0.1
    """
    difference = np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64)
    return bootstrap_interval(difference, groups, n_resamples=n_resamples, level=level, seed=seed)


def interval_over_tracks(
    statistic: Callable[[np.ndarray], float],
    counts: np.ndarray,
    groups: np.ndarray,
    *,
    n_resamples: int = N_BOOTSTRAP,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[float, float, float]:
    """Interval of a statistic of the k-occurrence (`hubness`, `never_recommended`) over groups of tracks.

    The neighbours are computed once, on the whole library; a resample draws whole artists and takes their counts as
    they are. Repeated tracks are never ranked again: copies of a track would be one another's neighbours.

    Examples
    --------
    >>> interval_over_tracks(never_recommended, np.array([0, 1, 2, 1]), np.array([0, 1, 2, 3]))[0]
    0.25
    """
    counts = np.asarray(counts)
    draws = [statistic(np.repeat(counts, times)) for times in _resamples(groups, n_resamples, seed)]
    return (statistic(counts), *_percentiles(draws, level))
