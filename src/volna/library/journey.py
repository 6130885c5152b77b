"""A walk from one track to another, in which every step leads on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from volna.errors import InputError
from volna.library.index import Condition, Index
from volna.library.playlist import (
    EXPLORE,
    HUB_WEIGHT,
    NEAR_LAST,
    Ordered,
    Tracks,
    copies_of,
    copies_of_any,
    gather,
    spaced,
)
from volna.library.spacing import DEFAULT_RULES, Rules, name_codes
from volna.vectors import corrected, unit_rows

__all__ = ["compose_journey", "journey", "targets"]

LOOK_AHEAD = 4  # steps
POOL_PER_STEP = 100
POOL_GROWTH, POOL_LIMIT = 4, 1_600


def targets(start: np.ndarray, end: np.ndarray, n: int) -> np.ndarray:
    """Points at equal angles on the great circle from one row to another (slerp, Shoemake 1985).

    Parameters
    ----------
    start, end : ndarray, float32 (dim,), of length 1
    n : int
        Number of points, both ends among them; at least 2.

    Returns
    -------
    points : ndarray, float32 (n, dim), of length 1

    Examples
    --------
    >>> targets(np.array([1.0, 0.0]), np.array([0.0, 1.0]), 3)[1].round(3).tolist()
    [0.7070000171661377, 0.7070000171661377]
    """
    share = np.linspace(0.0, 1.0, n)[:, None]
    angle = float(np.arccos(np.clip(start @ end, -1.0, 1.0)))
    if np.sin(angle) < 1e-3:  # the same place, or opposite ones, between which every way is as short
        return unit_rows((1 - share) * start + share * end)
    return unit_rows((np.sin((1 - share) * angle) * start + np.sin(share * angle) * end) / np.sin(angle))


def journey(
    candidates: Tracks,
    ends: Tracks,
    n: int,
    *,
    space: str,
    rules: Rules = DEFAULT_RULES,
    seed: int = 0,
) -> Ordered:
    """Choose and order the n - 2 tracks between two ends.

    How far a track has come is ``cos(end, track) - cos(start, track)``; it never falls from one track to the next. Step
    by step the candidates between the last track and the share of the way that is due are scored by their similarity to
    the point of the way and to the last track, corrected for hubs; where there is none, the next one ahead is taken.

    Parameters
    ----------
    candidates : Tracks
    ends : Tracks
        Two: the start and the end.
    n : int
        With both ends; at least 2.
    space, rules, seed
        As for `volna.library.playlist.wave`.

    Returns
    -------
    ordered : Ordered
        Without the ends; fewer than n - 2 where nothing is left ahead.
    """
    if len(ends) != 2 or n < 2:
        raise InputError(f"expected a start, an end and at least 2 tracks, got {len(ends)} ends and {n} tracks")
    start, end = ends.rows
    possible = ~copies_of_any(candidates, ends, space)
    if not ends.short.any():
        possible &= ~candidates.short
    came = candidates.rows @ end - candidates.rows @ start
    due = np.quantile(came[possible], np.linspace(0, 1, n)) if possible.any() else np.zeros(n)
    points = targets(start, end, n)
    luck = EXPLORE * np.random.default_rng(seed).standard_normal(len(candidates))
    artists, albums, spacing = spaced(candidates, ends.take([0]), rules)
    of_end = _shared_with_end(candidates, ends)
    last, chosen = start, list[int]()
    for step in range(1, n - 1):
        ahead = possible & (came >= came[chosen[-1]]) if chosen else possible
        if not ahead.any():
            break
        soon = n - 1 - step <= rules.artist_gap
        window = _window(ahead, came, due[step:], spacing.keeps() & ~(of_end & soon))
        there = candidates.rows @ (points[step] + NEAR_LAST * last)
        score = corrected(there, (1 + NEAR_LAST) * candidates.crowding, HUB_WEIGHT)
        best = int(np.where(spacing.least_broken(window), score + luck, -np.inf).argmax())
        chosen.append(best)
        last = candidates.rows[best]
        spacing.play(artists[best], albums[best])
        possible &= ~copies_of(candidates, last, float(candidates.durations_s[best]), str(candidates.tags[best]), space)
        possible[best] = False
    positions = np.array(chosen, dtype=np.int64)
    return Ordered(positions, candidates.ids[positions], spacing.relaxed())


def _shared_with_end(candidates: Tracks, ends: Tracks) -> np.ndarray:
    """Which candidates are by the artist of the end, bool (n,): they are spaced from it, too."""
    codes = name_codes([ends.artists[1], *candidates.artists])
    return np.asarray((codes[1:] == codes[0]) & (codes[0] >= 0))


def _window(ahead: np.ndarray, came: np.ndarray, due: np.ndarray, keeps: np.ndarray) -> np.ndarray:
    """The candidates for one step, bool (n,): up to the way that is due, a few steps further to keep the rules."""
    for limit in due[:LOOK_AHEAD]:
        window = ahead & (came <= limit) & keeps
        if window.any():
            return np.asarray(window)
    window = ahead & (came <= due[0])
    return np.asarray(window if window.any() else ahead & (came <= came[ahead].min()))


def compose_journey(
    index: Index,
    catalogue: Any,
    space: str,
    ends: Tracks,
    n: int,
    *,
    rules: Rules = DEFAULT_RULES,
    where: Sequence[Condition] = (),
    seed: int = 0,
) -> Ordered:
    """A journey over a library: one search around the points of the way gives the pool, `journey` chooses from it."""
    filters = [*where] if ends.short.any() else [*where, ("short", "=", False)]
    points, per_step = targets(ends.rows[0], ends.rows[1], n), POOL_PER_STEP
    while True:
        found, _ = index.search(space, points, per_step, where=filters, exclude=ends.ids[ends.ids >= 0])
        ids = np.unique(found[found >= 0])
        made = journey(gather(index, catalogue, space, ids), ends, n, space=space, rules=rules, seed=seed)
        whole = bool((found < 0).any()) or per_step >= len(index.ids(space))
        if whole or per_step >= POOL_LIMIT or (len(made.ids) == n - 2 and not made.relaxed):
            return made
        per_step *= POOL_GROWTH
