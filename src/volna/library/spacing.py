"""Rules of spacing: how many tracks of an artist, how far apart, and which rule gives way first."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from volna.errors import InputError

__all__ = ["DEFAULT_RULES", "Rules", "Spacing", "name_codes"]

_UNKNOWN = {"", "unknown", "unknown artist", "<unknown>", "[unknown]", "various", "various artists", "va"}
_GUESTS = re.compile(r"\s+[(\[]?(feat|ft|featuring)\b\.?.*$")
_LONG_AGO = -1_000_000


@dataclass(frozen=True)
class Rules:
    """At most ``max_per_artist`` tracks of an artist, at least so many others between two of an artist or an album."""

    max_per_artist: int = 3
    artist_gap: int = 5
    album_gap: int = 3

    def __post_init__(self) -> None:
        if self.max_per_artist < 1 or self.artist_gap < 0 or self.album_gap < 0:
            raise InputError(f"expected at least 1 track per artist and gaps of 0 or more, got {self}")


DEFAULT_RULES = Rules()


def name_codes(names: Iterable[str | None]) -> np.ndarray:
    """Number names so that equal ones are equal, whatever the case and the guests; ``-1`` is unknown: int64 (n,).

    Examples
    --------
    >>> name_codes(["Nina", "NINA feat. Otto", None, "Unknown Artist", "Otto"]).tolist()
    [0, 0, -1, -1, 1]
    """
    known: dict[str, int] = {}
    codes = []
    for name in names:
        plain = _GUESTS.sub("", " ".join((name or "").casefold().split()))
        codes.append(-1 if plain in _UNKNOWN else known.setdefault(plain, len(known)))
    return np.array(codes, dtype=np.int64)


class Spacing:
    """What the tracks played so far allow: a running state of the rules over a pool of candidates."""

    def __init__(self, artists: np.ndarray, albums: np.ndarray, rules: Rules) -> None:
        self.rules = rules
        self._artists, self._albums = artists, albums
        self._played = np.zeros(artists.max(initial=-1) + 1, dtype=np.int64)
        self._artist_at = np.full(artists.max(initial=-1) + 1, _LONG_AGO)
        self._album_at = np.full(albums.max(initial=-1) + 1, _LONG_AGO)
        self._now = 0
        self._worst = [0, 0, 0]

    def play(self, artist: int, album: int, *, counts: bool = True) -> None:
        """Note a track; the seeds, heard before the first, are spaced but do not count."""
        if artist >= 0:
            self._played[artist] += counts
            self._artist_at[artist] = self._now
        if album >= 0:
            self._album_at[album] = self._now
        self._now += 1

    def shortages(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """By how much each candidate breaks each rule now: tracks per artist, artist gap, album gap; int (n,) each."""
        artist, album = np.maximum(self._artists, 0), np.maximum(self._albums, 0)
        nothing = np.zeros(len(self._artists), dtype=np.int64)
        excess, near_artist, near_album = nothing, nothing, nothing
        if len(self._played):
            excess = np.maximum(0, self._played[artist] + 1 - self.rules.max_per_artist)
            near_artist = np.maximum(0, self.rules.artist_gap - (self._now - 1 - self._artist_at[artist]))
            excess, near_artist = (np.where(self._artists >= 0, found, 0) for found in (excess, near_artist))
        if len(self._album_at):
            near_album = np.maximum(0, self.rules.album_gap - (self._now - 1 - self._album_at[album]))
            near_album = np.where(self._albums >= 0, near_album, 0)
        return excess, near_artist, near_album

    def keeps(self) -> np.ndarray:
        """The candidates that break no rule now, bool (n,)."""
        return np.asarray(sum(self.shortages()) == 0)

    def least_broken(self, possible: np.ndarray) -> np.ndarray:
        """The possible candidates that break the rules least, bool (n,): the order of relaxing is in the weights."""
        excess, near_artist, near_album = self.shortages()
        cost = (excess * (self.rules.artist_gap + 1) + near_artist) * (self.rules.album_gap + 1) + near_album
        cost = np.where(possible, cost, np.iinfo(np.int64).max)
        best = int(cost.argmin())
        for rule, shortage in enumerate((near_album, near_artist, excess)):
            self._worst[rule] = max(self._worst[rule], int(shortage[best]))
        return np.asarray(possible & (cost == cost[best]))

    def relaxed(self) -> tuple[str, ...]:
        """The rules that gave way, and how far, in the order of relaxing."""
        rules, (album, artist, excess) = self.rules, self._worst
        said = [
            f"album gap {rules.album_gap} -> {rules.album_gap - album}" if album else "",
            f"artist gap {rules.artist_gap} -> {rules.artist_gap - artist}" if artist else "",
            f"tracks per artist {rules.max_per_artist} -> {rules.max_per_artist + excess}" if excess else "",
        ]
        return tuple(line for line in said if line)
