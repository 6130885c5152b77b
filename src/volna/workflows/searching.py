"""`similar`: the tracks that sound most like one, from the library or from any file."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from volna.errors import AudioError, InputError, LibraryError, ModelError
from volna.features.recipe import DESCRIPTOR_NAMES, FEATURES_VERSION
from volna.library import tags
from volna.library.index import SPACES, Index
from volna.library.store import Catalogue, TrackRow
from volna.pool import Pool, Task
from volna.tasks.similarity import explain, fold_copies
from volna.workflows.common import TIMEOUT_S, hears_as_now, open_current_index, open_library
from volna.workflows.results import Match, Similar

if TYPE_CHECKING:
    from volna.workflows.jobs import Heard  # its import loads the decoder, which a search in the library does not need

__all__ = ["Query", "choose_space", "find_query", "match_of", "similar"]

N_CANDIDATES_SHOWN = 10
N_CANDIDATES = 1000  # among which one that is called just so is looked for
SAME_RECORDING = "the same recording"
DESCRIPTORS_NOW = f"descriptors/{FEATURES_VERSION}"  # what this version of Volna hears, and explains


@dataclass(frozen=True)
class Query:
    """A track to search by: its name, its row in the space asked, its raw descriptors; ``id`` None if outside."""

    name: str
    id: int | None
    row: np.ndarray
    descriptors: np.ndarray
    duration_s: float
    short: bool
    artist: str | None = None
    title: str | None = None
    album: str | None = None
    copies: tuple[str, ...] = field(default=())


def similar(
    track: str | Path | int, *, library: str | Path | None = None, n: int = 20, by: str | None = None
) -> Similar:
    """Find the tracks of a library that sound most like one.

    Parameters
    ----------
    track : str, Path or int
        A track of the library (a path, an id, or a part of "artist - title" that is unambiguous), or any audio
        file outside it, which is then analysed.
    library : str or Path, optional
        The library file; by default ``VOLNA_LIBRARY`` or the one in the user's data folder.
    n : int
        Number of tracks wanted.
    by : {"both", "autoencoder", "descriptors"}, optional
        The space searched; "both" where the library has a model, else "descriptors".

    Returns
    -------
    Similar
        Best first; ``similarity`` is a cosine of standardised vectors in [-1, 1]. Tracks that are hubs, near to
        everybody, rank a little lower than their cosine. Copies of the query are one line, at the top.

    Raises
    ------
    LibraryError
        There is no library, or no such track, or several; the message lists them.
    ModelError
        The space asked for needs a model that the library does not have.
    AudioError
        The file outside the library cannot be analysed.

    Examples
    --------
    >>> similar("nina simone - feeling good", library="music.db", n=5).results[0].why  # doctest: +SKIP
    '96 / 97 BPM, similar brightness and timbre'
    """
    if n < 1:
        raise InputError(f"n: expected at least 1, got {n}")
    with open_library(library) as catalogue:
        by, notes = choose_space(catalogue, by)
        index = open_current_index(catalogue)
        query = find_query(catalogue, index, track, by)
        left_out = [] if query.id is None else [query.id]
        ids, similarities = index.search(by, query.row, 2 * n + N_CANDIDATES_SHOWN, exclude=left_out)
        found = ids[0] >= 0
        matches = _matches(catalogue, index, by, query, ids[0][found], similarities[0][found])
    return Similar(query.name, by, matches[:n], notes)


def choose_space(catalogue: Catalogue, by: str | None) -> tuple[str, list[str]]:
    """The space to search, and a line that says so when it is not the best there could be.

    Raises
    ------
    InputError
        No such space.
    LibraryError
        Another version of the features described the library: its numbers mean something else.
    """
    if by is not None and by not in SPACES:
        raise InputError(f"by: expected one of {', '.join(SPACES)}, got {by!r}")
    answering = catalogue.descriptor_space
    if answering != DESCRIPTORS_NOW and catalogue.count(answering):
        raise LibraryError(
            f"{catalogue.path}: another version of Volna described most of these tracks ({answering}, this one makes "
            f"{DESCRIPTORS_NOW}); describe them again with: volna index FOLDER"
        )
    if by is not None:
        return by, []
    if catalogue.active_model() is not None:
        return "both", []
    return "descriptors", ["by descriptors alone: this library has no autoencoder yet (volna train makes one)"]


def find_query(catalogue: Catalogue, index: Index, track: str | Path | int, by: str) -> Query:
    """The track that was meant, in the library or outside it.

    Raises
    ------
    LibraryError
        No track is meant, or several are.
    """
    if isinstance(track, int):
        rows = catalogue.tracks([track])
        if not rows:
            raise LibraryError(f"no track {track}: expected the id of a track of the library")
        return _query_inside(catalogue, index, rows[0], by)
    text = os.fspath(track)
    path = os.path.abspath(os.path.expanduser(text))
    rows = _at_path(catalogue, path) if os.path.exists(path) or os.sep in text else []
    if rows:
        return _query_inside(catalogue, index, rows[0], by, path)
    if os.path.isfile(path):
        return _query_outside(catalogue, index, path, by)
    rows = _find(catalogue, text)
    if not rows:
        raise LibraryError(f"no track {text!r}: expected a path, an id, or a part of 'artist - title' of the library")
    rows = [row for row in rows if _is_called(row, text)] or rows
    if len(rows) > 1:
        lines = [f"  {row.id}  {name_of(row)}  ({row.path})" for row in rows[:N_CANDIDATES_SHOWN]]
        more = ["  ..."] if len(rows) > N_CANDIDATES_SHOWN else []
        raise LibraryError("\n".join([f"{text!r} could be several tracks; take an id or say more:", *lines, *more]))
    return _query_inside(catalogue, index, rows[0], by)


def _at_path(catalogue: Catalogue, path: str) -> list[TrackRow]:
    """The track of the file at an absolute path, or at what that is a link to."""
    places = {path, os.path.realpath(path)}
    return [row for row in _find(catalogue, path) if not places.isdisjoint((row.path, *row.copies))]


def _find(catalogue: Catalogue, text: str) -> list[TrackRow]:
    try:
        return catalogue.find(text, limit=N_CANDIDATES)
    except UnicodeEncodeError:  # the bytes of some path, and no part of a title
        return []


def _is_called(row: TrackRow, text: str) -> bool:
    """Whether a text is the whole name of a track, or its whole title: "Blue" is no "Blue in Green"."""
    return text.strip().casefold() in (name_of(row).casefold(), (row.title or "").casefold())


def name_of(row: TrackRow) -> str:
    """Artist and title as people write them."""
    return f"{row.artist} - {row.title}" if row.artist else row.title or Path(row.path).name


def _query_inside(catalogue: Catalogue, index: Index, row: TrackRow, by: str, path: str | None = None) -> Query:
    """A track of the library; ``path`` says which of its files was named, where it has several."""
    if row.id not in index.ids(by):
        raise LibraryError(
            f"{name_of(row)}: not in the space {by} yet; complete it with: volna index FOLDER, or search by another"
        )
    paths = (row.path, *row.copies)
    named = next((held for held in paths if path and held in (path, os.path.realpath(path))), row.path)
    return Query(
        name=name_of(row),
        id=row.id,
        row=index.rows(by, [row.id]),
        descriptors=catalogue.vectors_of(index.names["descriptors"], [row.id])[0],
        duration_s=row.duration_s,
        short=row.short,
        artist=row.artist,
        title=row.title,
        album=row.album,
        copies=tuple(held for held in paths if held != named),
    )


def _query_outside(catalogue: Catalogue, index: Index, path: str, by: str) -> Query:
    """Analyse a file that the library does not hold, in a child process like any other file."""
    setup, made_by = None, {"descriptors": DESCRIPTORS_NOW}
    if by != "descriptors":
        model = catalogue.active_model()
        if model is None:
            raise ModelError(f"{by}: this library has no autoencoder yet; make one with: volna train")
        if not hears_as_now(catalogue, model.id):
            raise ModelError(f"{by}: the autoencoder is of an older Volna; bring the library up to date: volna index")
        setup = Task("volna.embedding:use_model", (catalogue.model_bytes(model.id),))
        made_by["autoencoder"] = model.id
    segment = catalogue.get_setting("segment") or "spread"
    with Pool(1, timeout_s=TIMEOUT_S, setup=setup) as pool:
        tasks = [Task("volna.workflows.jobs:analyse", (path, segment, None))]
        (outcome,) = pool.run(tasks, lambda task, audio_hash: "new")
    if outcome.reason is not None:
        raise AudioError(outcome.reason if path in outcome.reason else f"{path}: {outcome.reason}")
    heard: Heard = outcome.result
    raw = {"descriptors": heard.descriptors}
    if heard.vector is not None:
        raw["autoencoder"] = heard.vector
    known = tags.from_metadata(heard.metadata, path)
    name = f"{known.artist} - {known.title}" if known.artist else known.title or path
    return Query(
        name,
        None,
        np.atleast_2d(index.query(by, raw, made_by)),
        heard.descriptors,
        heard.duration_s,
        heard.short,
        known.artist,
        known.title,
        known.album,
    )


def _matches(
    catalogue: Catalogue, index: Index, by: str, query: Query, ids: np.ndarray, similarities: np.ndarray
) -> list[Match]:
    """Answers in ranking order: copies of the query in one line at the top, copies of one another in one line each."""
    tracks = catalogue.tracks(ids.tolist())
    cosines = dict(zip(ids.tolist(), similarities.tolist(), strict=True))
    tracks = [track for track in tracks if track.id in cosines]
    rows = np.concatenate([query.row, index.rows(by, [track.id for track in tracks])]) if tracks else query.row
    durations = np.array([query.duration_s, *(track.duration_s for track in tracks)])
    titles = [(query.artist, query.title), *((track.artist, track.title) for track in tracks)]
    leaders = fold_copies(rows, durations, by, titles)[1:] - 1  # -1: a copy of the query itself
    descriptors = catalogue.vectors_of(index.names["descriptors"], [track.id for track in tracks])
    matches = _copies_of_query(
        query, [track for track, leader in zip(tracks, leaders, strict=True) if leader < 0], cosines
    )
    for place, (track, leader) in enumerate(zip(tracks, leaders, strict=True)):
        if leader != place:
            continue
        why = explain(query.descriptors, descriptors[place], DESCRIPTOR_NAMES, index.standardisers["descriptors"])
        folded = [other for other, lead in zip(tracks, leaders, strict=True) if lead == place and other is not track]
        matches.append(match_of(track, len(matches) + 1, cosines[track.id], why, folded))
    return matches


def _copies_of_query(query: Query, tracks: Sequence[TrackRow], cosines: dict[int, float]) -> list[Match]:
    """One line for all copies of the query: tracks that are the same recording, and other files of its own track."""
    if tracks:
        match = match_of(tracks[0], 1, cosines[tracks[0].id], SAME_RECORDING, tracks[1:], query.copies)
        return [match]
    if query.id is None or not query.copies:
        return []
    return [
        Match(
            rank=1,
            id=query.id,
            path=query.copies[0],
            artist=query.artist,
            title=query.title,
            album=query.album,
            similarity=1.0,
            distance=0.0,
            why=SAME_RECORDING,
            duration_s=query.duration_s,
            copies=query.copies[1:],
        )
    ]


def match_of(
    track: TrackRow,
    rank: int,
    similarity: float,
    why: str,
    folded: Iterable[TrackRow] = (),
    more_copies: Sequence[str] = (),
) -> Match:
    """One line of an answer."""
    copies = (*track.copies, *(path for other in folded for path in (other.path, *other.copies)), *more_copies)
    similarity = round(float(np.clip(similarity, -1.0, 1.0)), 4)
    return Match(
        rank=rank,
        id=track.id,
        path=track.path,
        artist=track.artist,
        title=track.title,
        album=track.album,
        similarity=similarity,
        distance=round(1.0 - similarity, 4),
        why=why,
        duration_s=track.duration_s,
        copies=copies,
    )
