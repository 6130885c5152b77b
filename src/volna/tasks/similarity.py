"""Similar tracks: why two of them are alike, which are one recording, and how good a ranking is.

Its measure of success is precision@10 with same-artist hits removed, at a hubness below 1.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from volna import metrics
from volna.vectors import HUB_WEIGHT, JoinedRows, Standardiser, corrected, crowding, hub_sample, same_recording

__all__ = ["Retrieval", "Scores", "chance", "explain", "fold_copies", "retrieve", "scores"]

# Group of descriptors -> which names, and the root mean square difference of two tracks (in spreads) that the nearest
# 20 % and the nearest 5 % of random pairs stay under, over 217 clips of popular music. Under the first is "similar".
GROUPS = {
    "timbre": (r"mfcc_(?!1_)\d+_mean", 1.1, 0.9),
    "brightness": (r"(centroid|rolloff)_mean", 0.35, 0.14),
    "texture": (r"(flatness|zero_crossing_rate|bandwidth)_mean", 0.55, 0.28),
    "contrast": (r"contrast_\d+_mean", 0.8, 0.55),
    "harmony": (r"chroma_\w+_mean", 0.55, 0.3),
    "rhythm": (r"fluctuation_\w+", 0.9, 0.67),
    "dynamics": (r"(rms|mfcc_1)_(std|delta_std)", 0.75, 0.45),
    "loudness": (r"(rms|mfcc_1)_mean", 0.45, 0.22),
}
TEMPO, CLARITY = "tempo_bpm", "pulse_clarity"
SAME_TEMPO = 0.04  # the difference that listeners and tempo evaluations (MIREX) call the same tempo
CLEAR_PULSE = 0.1  # below it, a shift of one second already changed the tempo that was found
NOTHING_CLOSE = "overall sound"

TOP = 10  # as in precision@10 and 10-occurrence
BLOCK_VALUES = 2_000_000  # similarities ranked at once; a ranking takes about 40 bytes for each

Scores = dict[str, tuple[float, float, float]]


def explain(
    query: np.ndarray, match: np.ndarray, names: Sequence[str], standardiser: Standardiser, *, n_words: int = 2
) -> str:
    """Say in words what two tracks share, and nothing that they do not.

    Parameters
    ----------
    query, match : ndarray, float32 (dim,)
        Raw descriptors.
    names : sequence of str
        What each element is: ``DESCRIPTOR_NAMES``.
    standardiser : Standardiser
        Of the library.
    n_words : int
        Name at most so many groups of descriptors, the closest first.

    Returns
    -------
    why : str
        Like ``"96 / 97 BPM, similar brightness and timbre"``; ``"overall sound"`` where no group by itself is close.

    Examples
    --------
    >>> names = ["tempo_bpm", "pulse_clarity", "centroid_mean", "rolloff_mean"]
    >>> library = Standardiser(np.array([110, 0.4, 1500, 3000]), np.array([30, 0.2, 500, 900]), np.ones(4))
    >>> explain(np.array([96, 0.5, 900, 2000]), np.array([97, 0.5, 950, 2050]), names, library)
    '96 / 97 BPM, similar brightness'
    >>> explain(np.array([96, 0.5, 900, 2000]), np.array([140, 0.5, 2600, 3900]), names, library)
    'overall sound'
    """
    query, match = np.asarray(query, np.float32), np.asarray(match, np.float32)
    words = _similar_groups(query, match, tuple(names), standardiser)[:n_words]
    said = [_tempo(query, match, list(names)), "similar " + " and ".join(words) if words else ""]
    return ", ".join(part for part in said if part) or NOTHING_CLOSE


def _similar_groups(query: np.ndarray, match: np.ndarray, names: tuple[str, ...], scale: Standardiser) -> list[str]:
    """Groups in which the two are close, closest first."""
    distance = _unweighted(query, scale) - _unweighted(match, scale)
    close = []
    for group, (pattern, near, very_near) in GROUPS.items():
        members = [row for row, name in enumerate(names) if re.fullmatch(pattern, name) and scale.spread[row] > 0]
        if members and np.isfinite(query[members]).all() and np.isfinite(match[members]).all():
            apart = float(np.sqrt(np.mean(distance[members] ** 2)))
            if apart <= near:
                close.append(((near - apart) / (near - very_near), group))
    return [group for _, group in sorted(close, key=lambda found: -found[0])]


def _unweighted(vector: np.ndarray, scale: Standardiser) -> np.ndarray:
    return Standardiser(scale.centre, scale.spread, np.ones_like(scale.spread)).transform(vector)


def _tempo(query: np.ndarray, match: np.ndarray, names: list[str]) -> str:
    """``"96 / 97 BPM"`` where both have a clear pulse of one tempo, else nothing."""
    if TEMPO not in names:
        return ""
    tempos = float(query[names.index(TEMPO)]), float(match[names.index(TEMPO)])
    if CLARITY in names and min(query[names.index(CLARITY)], match[names.index(CLARITY)]) < CLEAR_PULSE:
        return ""
    if not (np.isfinite(tempos).all() and min(tempos) > 0) or max(tempos) / min(tempos) > 1 + SAME_TEMPO:
        return ""
    return f"{tempos[0]:.0f} / {tempos[1]:.0f} BPM"


def fold_copies(
    rows: np.ndarray, durations_s: np.ndarray, space: str, titles: Sequence[tuple[str | None, str | None]] | None = None
) -> np.ndarray:
    """Find in a ranked list the tracks that are a recording which stands above them.

    Parameters
    ----------
    rows : ndarray, float32 (n, dim), of length 1
        Best first; put the query itself at 0 to fold its copies, too. Pairs are compared: a page, not a library.
    durations_s : ndarray, float (n,)
    space : {"descriptors", "autoencoder", "both"}
    titles : sequence of (artist, title), optional
        Two tracks tagged alike need less likeness in sound; see `volna.vectors.same_recording`.

    Returns
    -------
    first : ndarray, int64 (n,)
        The position of the first track that holds the same recording; its own where none stands above it.

    Examples
    --------
    >>> rows = np.array([[1, 0], [0, 1], [1, 0]], dtype=np.float32)
    >>> fold_copies(rows, np.array([200.0, 200.0, 200.3]), "both").tolist()
    [0, 1, 0]
    """
    rows, durations_s = np.asarray(rows, np.float32), np.asarray(durations_s, np.float64)
    first = np.arange(len(rows))
    for row in range(len(rows)):
        if first[row] != row:
            continue
        below = np.arange(row + 1, len(rows))
        tagged = (
            None
            if titles is None
            else np.array([_tagged_alike(titles[row], titles[other]) for other in below.tolist()])
        )
        same = same_recording(rows[below] @ rows[row], durations_s[below], durations_s[row], space, tagged)
        copies = below[same & (first[below] == below)]
        first[copies] = row
    return first


def _tagged_alike(one: tuple[str | None, str | None], other: tuple[str | None, str | None]) -> bool:
    return all(one) and [str(part).casefold().strip() for part in one] == [
        str(part).casefold().strip() for part in other
    ]


@dataclass(frozen=True)
class Retrieval:
    """What a ranking found, per query: float64 (n_queries,), NaN for queries that nothing could answer.

    ``counts`` is how often each of the n tracks stood in the first 10 of a query, same artists included, int64 (n,).
    """

    precision_at_1: np.ndarray
    precision_at_5: np.ndarray
    precision_at_10: np.ndarray
    average_precision: np.ndarray
    chance_precision: np.ndarray
    chance_average_precision: np.ndarray
    counts: np.ndarray


def retrieve(
    rows: np.ndarray,
    labels: np.ndarray,
    groups: np.ndarray,
    *,
    queries: np.ndarray | None = None,
    query_labels: np.ndarray | None = None,
    query_rows: np.ndarray | None = None,
    hub_weight: float = HUB_WEIGHT,
) -> Retrieval:
    """Rank everything for every query, as `similar` does, and compare with the labels, in blocks.

    Parameters
    ----------
    rows : ndarray, float32 (n, dim), of length 1
    labels : ndarray (n,), or bool (n, n_labels) where a track may carry several
    groups : ndarray, int (n,)
        Artists, from `volna.metrics.group_codes`: a query never counts tracks of its own.
    queries, query_labels, query_rows
        Other queries than all the rows: float32 (n_queries, dim), their labels, and int (n_queries,), which row a query
        is. With ``-1`` it is none of them and nothing is taken out, as when one half of a track has to find the other.
    hub_weight : float

    Returns
    -------
    found : Retrieval
    """
    queries = rows if queries is None else queries
    query_labels = labels if query_labels is None else query_labels
    query_rows = np.arange(len(rows)) if query_rows is None else np.asarray(query_rows)
    query_groups = np.where(query_rows >= 0, groups[query_rows], -1)
    joined = JoinedRows([np.asarray(rows, np.float32)])
    crowded = crowding(joined, hub_sample(len(rows)))
    counts = np.zeros(len(rows), dtype=np.int64)
    blocks = []
    step = max(1, BLOCK_VALUES // max(1, len(rows)))
    for start in range(0, len(queries), step):
        part = slice(start, start + step)
        ranked_by = corrected(joined.similarities(queries[part]), crowded, hub_weight)
        ranking = metrics.rank_excluding(ranked_by, query_groups[part], groups)
        blocks.append(_per_query(metrics.relevance(ranking, query_labels[part], labels), ranking))
        shown = metrics.rank_excluding(ranked_by, query_rows[part], np.arange(len(rows)), TOP)
        counts += metrics.k_occurrence(shown, len(rows), TOP)
    return Retrieval(*np.concatenate(blocks, axis=1), counts)  # type: ignore[call-arg]


def _per_query(relevant: np.ndarray, ranking: np.ndarray) -> np.ndarray:
    """The six scores of `Retrieval` that are per query, float64 (6, n_queries)."""
    values = np.stack(
        [
            *(metrics.precision_at_k(relevant, ranking, k) for k in (1, 5, TOP)),
            metrics.average_precision(relevant),
            metrics.chance_precision(relevant, ranking),
            metrics.chance_average_precision(relevant.sum(axis=1), (ranking >= 0).sum(axis=1)),
        ]
    )
    return np.where(relevant.any(axis=1), values, np.nan)


def scores(found: Retrieval, groups: np.ndarray, query_groups: np.ndarray | None = None, *, seed: int = 0) -> Scores:
    """Means with 95 % bootstrap intervals over groups: ``{name: (value, low, high)}``.

    The names are ``precision_at_1``, ``_5``, ``_10``, ``mean_average_precision``, ``hubness``, ``never_recommended``.
    """
    query_groups = groups if query_groups is None else query_groups
    per_query = {
        "precision_at_1": found.precision_at_1,
        "precision_at_5": found.precision_at_5,
        "precision_at_10": found.precision_at_10,
        "mean_average_precision": found.average_precision,
    }
    table = {name: metrics.bootstrap_interval(row, query_groups, seed=seed) for name, row in per_query.items()}
    table["hubness"] = metrics.interval_over_tracks(metrics.hubness, found.counts, groups, seed=seed)
    table["never_recommended"] = metrics.interval_over_tracks(
        metrics.never_recommended, found.counts, groups, seed=seed
    )
    return table


def chance(found: Retrieval, groups: np.ndarray, query_groups: np.ndarray | None = None, *, seed: int = 0) -> Scores:
    """What a random order scores on the same queries, like `scores`: in closed form, hubness by drawing lists."""
    n, n_queries = len(found.counts), len(found.precision_at_1)
    rng = np.random.default_rng(seed)
    lists = [rng.choice(n, min(TOP, n), replace=False) for _ in range(n_queries)]
    counts = np.bincount(np.concatenate(lists), minlength=n) if lists else np.zeros(n, dtype=np.int64)
    expected, average = found.chance_precision, found.chance_average_precision
    return scores(
        Retrieval(expected, expected, expected, average, expected, average, counts), groups, query_groups, seed=seed
    )
