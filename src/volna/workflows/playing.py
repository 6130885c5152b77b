"""`wave` and `journey`: playlists from the library, and the file that a player opens."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from volna.errors import InputError
from volna.features.recipe import DESCRIPTOR_NAMES
from volna.library.index import Index
from volna.library.journey import compose_journey
from volna.library.m3u import Entry, write_m3u8
from volna.library.playlist import Ordered, Tracks, compose_wave
from volna.library.spacing import Rules
from volna.library.store import Catalogue, Condition
from volna.tasks.similarity import explain
from volna.workflows.common import open_current_index, open_library
from volna.workflows.results import Match, Playlist
from volna.workflows.searching import Query, choose_space, find_query, match_of

__all__ = ["journey", "save_playlist", "wave"]

OUTSIDE = -1  # the id of a sound that is not in the library


def wave(
    tracks: Sequence[str | Path | int],
    *,
    avoid: Sequence[str | Path | int] = (),
    library: str | Path | None = None,
    n: int = 50,
    by: str | None = None,
    max_per_artist: int = 3,
    artist_gap: int = 5,
    bpm: tuple[float, float] | None = None,
    year: tuple[int, int] | None = None,
    genre: str | None = None,
    seed: int = 0,
) -> Playlist:
    """Make a playlist that sounds like one or several tracks: each track near the last one and near the seeds.

    Parameters
    ----------
    tracks, avoid : sequence of str, Path or int
        Seeds, and tracks to stay away from: paths, ids, parts of "artist - title", or files outside the library.
    library : str or Path, optional
        The library file; by default ``VOLNA_LIBRARY`` or the one in the user's data folder.
    n : int
        Number of tracks; the seeds are not among them.
    by : {"both", "autoencoder", "descriptors"}, optional
        As for `similar`.
    max_per_artist, artist_gap : int
        At most so many tracks of an artist, at least so many others between two of them. Unknown artists are not
        one artist. With too few candidates the album gap (3), then the artist gap, then the number per artist give
        way, and ``relaxed`` says so; no recording ever comes twice.
    bpm, year : tuple of (low, high), optional
        Both ends included; tracks without a tempo or year do not pass.
    genre : str, optional
        The genre tag, in any case; where a tag names several, "Rock; Pop", one is enough.
    seed : int
        Decides among near-equal tracks; the same seed gives the same playlist.

    Returns
    -------
    Playlist
        In playing order; ``similarity`` is to the nearest seed.

    Raises
    ------
    LibraryError
        There is no library, or a track is not found or ambiguous.
    InputError
        An option makes no sense.

    Examples
    --------
    >>> [match.title for match in wave(["nina simone"], library="music.db", n=3).results]  # doctest: +SKIP
    ['Sinnerman', 'Strange Fruit', 'At Last']
    """
    _check_n(n, 1)
    if not tracks:
        raise InputError("expected at least one track to start from, got none")
    rules = Rules(max_per_artist, artist_gap)
    settings: dict[str, Any] = {
        "n": n,
        "max_per_artist": max_per_artist,
        "artist_gap": artist_gap,
        "album_gap": rules.album_gap,
    }
    settings |= {"bpm": bpm, "year": year, "genre": genre, "seed": seed}
    with open_library(library) as catalogue:
        by, notes = choose_space(catalogue, by)
        index = open_current_index(catalogue)
        seeds = [find_query(catalogue, index, track, by) for track in tracks]
        avoided = [find_query(catalogue, index, track, by) for track in avoid]
        ordered = compose_wave(
            index,
            catalogue,
            by,
            _tracks(index, by, seeds),
            n,
            avoid=_tracks(index, by, avoided) if avoided else None,
            rules=rules,
            where=_filters(catalogue, bpm, year, genre),
            seed=seed,
        )
        results = _results(catalogue, index, by, seeds, ordered.ids)
    settings["avoid"] = [query.name for query in avoided]
    return _playlist(seeds, by, settings, results, ordered, n, notes)


def journey(
    start: str | Path | int,
    end: str | Path | int,
    *,
    library: str | Path | None = None,
    n: int = 20,
    by: str | None = None,
    seed: int = 0,
) -> Playlist:
    """Make a playlist that walks from one track to another in small steps.

    Parameters
    ----------
    start, end : str, Path or int
        As for `wave`; the first and the last track of the playlist where they are in the library.
    library, by, seed
        As for `wave`.
    n : int
        Number of tracks, with the ends that are in the library.

    Returns
    -------
    Playlist
        In playing order; ``similarity`` is to the nearer end.

    Raises
    ------
    LibraryError
        There is no library, or a track is not found or ambiguous.
    InputError
        Fewer than two tracks were asked for, or both ends are the same.

    Examples
    --------
    >>> len(journey("erik satie", "slayer", library="music.db", n=12).results)  # doctest: +SKIP
    12
    """
    _check_n(n, 2)
    with open_library(library) as catalogue:
        by, notes = choose_space(catalogue, by)
        index = open_current_index(catalogue)
        ends = [find_query(catalogue, index, track, by) for track in (start, end)]
        if ends[0].id is not None and ends[0].id == ends[1].id:
            raise InputError(f"a journey needs two tracks, got {ends[0].name!r} twice")
        n_outside = sum(query.id is None for query in ends)  # an end that the library lacks is no line of the playlist
        ordered = compose_journey(index, catalogue, by, _tracks(index, by, ends), n + n_outside, seed=seed)
        first, last = ([query.id] if query.id is not None else [] for query in ends)
        results = _results(catalogue, index, by, ends, [*first, *ordered.ids.tolist(), *last])
    return _playlist(ends, by, {"n": n, "seed": seed}, results, ordered, n, notes)


def save_playlist(results: Sequence[Match], path: str | Path) -> None:
    """Write tracks as an M3U8 playlist, with paths relative to it; a playlist that is there is replaced.

    Raises
    ------
    LibraryError
        The folder is missing or cannot be written.

    Examples
    --------
    >>> save_playlist(wave(["nina simone"]).results, "wave.m3u8")  # doctest: +SKIP
    """
    entries = [Entry(match.path, match.duration_s, match.artist, match.title) for match in results]
    write_m3u8(entries, os.path.expanduser(os.fspath(path)))


def _check_n(n: int, least: int) -> None:
    if n < least:
        raise InputError(f"n: expected at least {least}, got {n}")


def _filters(
    catalogue: Catalogue, bpm: tuple[float, float] | None, year: tuple[int, int] | None, genre: str | None
) -> list[Condition]:
    where: list[Condition] = []
    for field, span in (("bpm", bpm), ("year", year)):
        if span is not None:
            if span[0] > span[1]:
                raise InputError(f"{field}: expected low to high, got {span[0]:g} to {span[1]:g}")
            where.append((field, "range", span))
    return [*where, ("genre", "in", _tags_naming(catalogue, genre))] if genre else where


def _tags_naming(catalogue: Catalogue, genre: str) -> list[str]:
    """The genre tags of the library that are a genre, or name it among others."""
    wanted = genre.strip().casefold()
    tags = [str(tag) for tag in catalogue.distinct("genre")]
    return [tag for tag in tags if wanted in (tag.casefold(), *(part.strip().casefold() for part in tag.split(";")))]


def _tracks(index: Index, by: str, queries: Sequence[Query]) -> Tracks:
    """Queries as the playlist rules see tracks."""
    crowding = [0.0 if query.id is None else float(index.crowding(by, [query.id])[0]) for query in queries]
    return Tracks(
        np.array([OUTSIDE if query.id is None else query.id for query in queries], dtype=np.int64),
        np.concatenate([query.row for query in queries]),
        np.array(crowding, dtype=np.float32),
        np.array([query.duration_s for query in queries]),
        np.array([query.short for query in queries]),
        tuple(query.artist for query in queries),
        tuple(query.album for query in queries),
        tuple(query.title for query in queries),
    )


def _results(
    catalogue: Catalogue, index: Index, by: str, queries: Sequence[Query], ids: Sequence[int] | np.ndarray
) -> list[Match]:
    """Tracks in the order given, each with its similarity to the nearest query and why."""
    tracks = catalogue.tracks(int(track_id) for track_id in ids)  # without one that has gone meanwhile
    wanted = [track.id for track in tracks]
    if not wanted:
        return []
    cosines = index.rows(by, wanted) @ np.concatenate([query.row for query in queries]).T  # (n, n_queries)
    descriptors = catalogue.vectors_of(index.names["descriptors"], wanted)
    scale = index.standardisers["descriptors"]
    results = []
    for place, track in enumerate(tracks):
        nearest = int(np.argmax(cosines[place]))
        why = explain(queries[nearest].descriptors, descriptors[place], DESCRIPTOR_NAMES, scale)
        results.append(match_of(track, place + 1, cosines[place, nearest], why))
    return results


def _playlist(
    queries: Sequence[Query],
    by: str,
    settings: dict[str, Any],
    results: list[Match],
    ordered: Ordered,
    n: int,
    notes: list[str],
) -> Playlist:
    if len(results) < n:
        notes = [*notes, f"only {len(results)} of {n} tracks: the library has no more that fit"]
    return Playlist([query.name for query in queries], by, settings, results, list(ordered.relaxed), notes)
