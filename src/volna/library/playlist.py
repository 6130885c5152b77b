"""A playlist worth hearing: each track near the last and near the seeds, artists and albums spaced, nothing twice.

The rules are pure functions on arrays; `compose_wave` feeds them from the index with one search.

What is kept whatever happens: the filters, no recording twice and none of a seed, nothing nearer to an avoided track
than to every seed, no short track unless a seed is short. What gives way when nothing else is left, in this order and
by as little as will do: the album gap, the artist gap, the number of tracks per artist. `Ordered.relaxed` says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from volna.errors import InputError
from volna.library.index import Condition, Index
from volna.library.spacing import DEFAULT_RULES, Rules, Spacing, name_codes
from volna.vectors import corrected, same_recording

__all__ = ["Ordered", "Rules", "Tracks", "compose_wave", "copies_of", "copies_of_any", "gather", "spaced", "wave"]

NEAR_LAST = 0.5  # weight of the similarity to the last track beside that to the seeds
AVOID = 0.5  # weight of the similarity to the nearest avoided track
SEED_SOFTNESS = 0.15  # cosine; small: near any one seed, large: near all of them on average
SEED_BALANCE = 0.02  # cosine that a seed loses with each track it has had more than the least served one
# Hubs are held back a little further than in a list of similar tracks: near the seeds and the last, they gain twice.
# Measured on clustered libraries of 2 000 tracks with 20 hubs: of 200 lists of 30, one track is in up to 18 at 0.5, in
# 10 at 0.6; from 0.7 on the loners take the place of the hubs.
HUB_WEIGHT = 0.6
EXPLORE = 0.03  # standard deviation of the seeded luck: among near-equal tracks it decides
POOL = 1_000  # candidates from one search, at least, ...
POOL_PER_TRACK = 20  # ... and so many for each track wanted
POOL_PER_SEED = 200
POOL_GROWTH, POOL_LIMIT = 4, 16_000  # a pool that cannot keep the rules is widened before they are relaxed


@dataclass(frozen=True)
class Tracks:
    """What the rules look at, for n tracks.

    Attributes
    ----------
    ids : ndarray, int64 (n,)
        ``-1`` for a sound that is not in the library.
    rows : ndarray, float32 (n, dim), of length 1
    crowding : ndarray, float32 (n,)
        From `Index.crowding`.
    durations_s : ndarray, float64 (n,)
    short : ndarray, bool (n,)
    artists, albums, titles : tuple of (str or None), n each
        None, empty and "Unknown Artist" are unknown: never one artist.
    """

    ids: np.ndarray
    rows: np.ndarray
    crowding: np.ndarray
    durations_s: np.ndarray
    short: np.ndarray
    artists: tuple[str | None, ...]
    albums: tuple[str | None, ...]
    titles: tuple[str | None, ...]

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, positions: Sequence[int]) -> Tracks:
        """Some of the tracks."""
        arrays = (getattr(self, name)[list(positions)] for name in ("ids", "rows", "crowding", "durations_s", "short"))
        names = (tuple(held[at] for at in positions) for held in (self.artists, self.albums, self.titles))
        return Tracks(*arrays, *names)

    @cached_property
    def tags(self) -> np.ndarray:
        """Artist and title in one string for each track, empty where either is unknown: str (n,)."""
        pairs = zip(self.artists, self.titles, strict=True)
        both = [f"{a}\n{t}".casefold() if a and t else "" for a, t in pairs]
        return np.array(both, dtype=np.str_)


@dataclass(frozen=True)
class Ordered:
    """Tracks in playing order: ``positions`` int64 (n,) in the candidates, ``ids``, and the rules that gave way."""

    positions: np.ndarray
    ids: np.ndarray
    relaxed: tuple[str, ...] = ()


def copies_of(tracks: Tracks, row: np.ndarray, duration_s: float, tags: str, space: str) -> np.ndarray:
    """Which tracks hold the same recording as another one, bool (n,); ``tags`` is its element of `Tracks.tags`."""
    tagged = (tracks.tags == tags) & (tags != "")
    return same_recording(tracks.rows @ row, tracks.durations_s, duration_s, space, tagged)


def copies_of_any(tracks: Tracks, others: Tracks, space: str) -> np.ndarray:
    """Which tracks are one of the others, or hold its recording, bool (n,)."""
    found = np.isin(tracks.ids, others.ids[others.ids >= 0])
    for row in range(len(others)):
        found |= copies_of(tracks, others.rows[row], float(others.durations_s[row]), str(others.tags[row]), space)
    return found


def wave(
    candidates: Tracks,
    seeds: Tracks,
    n: int,
    *,
    space: str,
    avoid: Tracks | None = None,
    rules: Rules = DEFAULT_RULES,
    seed: int = 0,
) -> Ordered:
    """Choose and order n of the candidates, greedily: near the seeds, near the last, within the rules.

    The score of a candidate is ``softmax-mean over seeds of s(seed, c) + 0.5 s(last, c) - 0.5 max(0, cos(avoided, c))
    + luck`` with ``s`` the similarity corrected for hubs.

    Parameters
    ----------
    candidates : Tracks
        The pool: everything that passes the filters.
    seeds : Tracks
        At least one; never in the result.
    n : int
        How many are wanted; fewer come back when the pool has no more.
    space : str
        Of the rows, for the threshold of copies.
    avoid : Tracks, optional
        Negative seeds.
    rules : Rules
    seed : int
        Of the luck: the same seed gives the same playlist.

    Returns
    -------
    ordered : Ordered
    """
    if not len(seeds):
        raise InputError("expected at least one track to start from")
    possible = ~copies_of_any(candidates, seeds, space)
    if not seeds.short.any():
        possible &= ~candidates.short
    to_seeds = np.stack(
        [corrected(candidates.rows @ row, candidates.crowding, HUB_WEIGHT) for row in seeds.rows]
    )  # (n_seeds, pool)
    liking = EXPLORE * np.random.default_rng(seed).standard_normal(len(candidates))
    if avoid is not None and len(avoid):
        to_avoid = (candidates.rows @ avoid.rows.T).max(axis=1)
        possible &= ~copies_of_any(candidates, avoid, space)
        possible &= to_avoid <= (candidates.rows @ seeds.rows.T).max(axis=1)
        liking -= AVOID * np.maximum(0.0, to_avoid)
    return _walk(candidates, seeds, n, space, rules, possible, to_seeds, liking)


def _walk(
    pool: Tracks,
    seeds: Tracks,
    n: int,
    space: str,
    rules: Rules,
    possible: np.ndarray,
    to_seeds: np.ndarray,
    liking: np.ndarray,
) -> Ordered:
    artists, albums, spacing = spaced(pool, seeds, rules)
    served = np.zeros(len(seeds))
    chosen: list[int] = []
    while len(chosen) < n and possible.any():
        balanced = to_seeds - SEED_BALANCE * (served - served.min())[:, None]
        score = soft_maximum(balanced) + liking
        if chosen:
            score += NEAR_LAST * corrected(pool.rows @ pool.rows[chosen[-1]], pool.crowding, HUB_WEIGHT)
        best = int(np.where(spacing.least_broken(possible), score, -np.inf).argmax())
        chosen.append(best)
        spacing.play(artists[best], albums[best])
        served[to_seeds[:, best].argmax()] += 1
        possible &= ~copies_of(pool, pool.rows[best], float(pool.durations_s[best]), str(pool.tags[best]), space)
        possible[best] = False
    positions = np.array(chosen, dtype=np.int64)
    return Ordered(positions, pool.ids[positions], spacing.relaxed())


def soft_maximum(values: np.ndarray) -> np.ndarray:
    """``softness * log(mean(exp(x / softness)))`` over the first axis: between mean and maximum, float (n,)."""
    top = values.max(axis=0)
    return np.asarray(top + SEED_SOFTNESS * np.log(np.exp((values - top) / SEED_SOFTNESS).mean(axis=0)))


def spaced(pool: Tracks, before: Tracks, rules: Rules) -> tuple[np.ndarray, np.ndarray, Spacing]:
    """Codes of artists and albums of the pool, int64 (n,) each, and the state of the rules after the seeds."""
    artists = name_codes([*pool.artists, *before.artists])
    albums = name_codes([*pool.albums, *before.albums])
    n = len(pool)
    spacing = Spacing(artists[:n], albums[:n], rules)
    for artist, album in zip(artists[n:], albums[n:], strict=True):
        # an artist or album that no candidate has needs no spacing
        spacing.play(artist if artist in artists[:n] else -1, album if album in albums[:n] else -1, counts=False)
    return artists[:n], albums[:n], spacing


def gather(index: Index, catalogue: Any, space: str, ids: Sequence[int] | np.ndarray) -> Tracks:
    """Look up what the rules need to know of some tracks of a library."""
    rows = {row.id: row for row in catalogue.tracks([int(track_id) for track_id in ids])}
    ids = np.array([track_id for track_id in ids if track_id in rows], dtype=np.int64)  # one may have gone meanwhile
    found = [rows[track_id] for track_id in ids.tolist()]
    return Tracks(
        ids,
        index.rows(space, ids),
        index.crowding(space, ids),
        np.array([row.duration_s for row in found], dtype=np.float64),
        np.array([row.short for row in found], dtype=bool),
        tuple(row.artist for row in found),
        tuple(row.album for row in found),
        tuple(row.title for row in found),
    )


def compose_wave(
    index: Index,
    catalogue: Any,
    space: str,
    seeds: Tracks,
    n: int,
    *,
    avoid: Tracks | None = None,
    rules: Rules = DEFAULT_RULES,
    where: Sequence[Condition] = (),
    seed: int = 0,
) -> Ordered:
    """A wave over a library: one search for the pool, filters before the top-k, and `wave` on what it finds.

    Where the pool cannot keep the rules a wider one is searched first, up to 16 000 candidates: one prolific artist
    around the seed must not relax them. Parameters as for `wave`, `gather` and `Index.search`.
    """
    filters = [*where] if seeds.short.any() else [*where, ("short", "=", False)]
    size = max(POOL, POOL_PER_TRACK * n)
    while True:
        per_seed = max(POOL_PER_SEED, size // len(seeds))
        found, _ = index.search(space, seeds.rows, per_seed, where=filters, exclude=seeds.ids[seeds.ids >= 0])
        ids = np.unique(found[found >= 0])
        made = wave(gather(index, catalogue, space, ids), seeds, n, space=space, avoid=avoid, rules=rules, seed=seed)
        whole = bool((found < 0).any()) or per_seed >= len(index.ids(space))
        if whole or size >= POOL_LIMIT or (len(made.ids) == n and not made.relaxed):
            return made
        size = min(POOL_LIMIT, POOL_GROWTH * size)
