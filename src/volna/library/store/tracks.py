"""Tracks as a search sees them: recordings with at least one present file, chosen by id, by filter or by words."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from volna.errors import InputError
from volna.library.store.files import counts_of_files, to_blob
from volna.library.store.rows import Condition, Counts, TrackRow

__all__ = [
    "FIELDS",
    "counts",
    "distinct",
    "find",
    "fold",
    "teach",
    "track_ids",
    "tracks",
    "words_in",
]

FIELDS = {
    "artist": "artist",
    "album": "album",
    "title": "title",
    "genre": "genre",
    "year": "year",
    "bpm": "tempo_bpm",
    "duration_s": "duration_s",
    "short": "short",
}
_TEXT = {"artist", "album", "title", "genre"}

_COLUMNS = """id, path, artist, title, album, year, genre, track_number, duration_s, short, tempo_bpm, audio_hash"""


def fold(text: Any) -> Any:
    """Text for comparing: no case, in every alphabet, and no blanks around. Known to SQL as ``fold``."""
    return text.strip().casefold() if isinstance(text, str) else text


def words_in(words: str, artist: str | None, title: str | None, path: bytes) -> bool:
    """Whether folded words are a part of "artist - title" or of the file's name. Known to SQL as ``words_in``."""
    if words in f"{artist or ''} - {title or ''}".casefold():
        return True
    return words in os.path.basename(os.fsdecode(path)).casefold()


def teach(connection: sqlite3.Connection) -> None:
    """Give a connection the two functions that the queries here use."""
    connection.create_function("fold", 1, fold, deterministic=True)
    connection.create_function("words_in", 4, words_in, deterministic=True)


def tracks(
    connection: sqlite3.Connection, ids: Iterable[int] | None, where: Sequence[Condition] | None
) -> list[TrackRow]:
    conditions, values = _conditions(where or ())
    wanted = None if ids is None else [int(track_id) for track_id in ids]
    if wanted is not None:
        conditions.append("id IN (SELECT value FROM json_each(?))")
        values.append(json.dumps(wanted))
    rows = connection.execute(f"SELECT {_COLUMNS} FROM present{_sql(conditions)} ORDER BY id", values).fetchall()
    copies = _copies(connection, wanted)
    found = {row[0]: _row(row, copies.get(row[0], ())) for row in rows}
    return list(found.values()) if wanted is None else [found[track_id] for track_id in wanted if track_id in found]


def _row(row: tuple[Any, ...], paths: Sequence[str]) -> TrackRow:
    path = os.fsdecode(row[1])
    copies = tuple(other for other in paths if other != path)
    values = [row[0], path, *row[2:9], bool(row[9]), *row[10:], copies]
    return TrackRow(*values)


def _copies(connection: sqlite3.Connection, wanted: Sequence[int] | None) -> dict[int, list[str]]:
    """Present paths of the tracks that have several."""
    several = "SELECT track_id FROM files WHERE state = 'ok' {} GROUP BY track_id HAVING count(*) > 1"
    chosen = "" if wanted is None else "AND track_id IN (SELECT value FROM json_each(?))"
    rows = connection.execute(
        f"""SELECT track_id, path FROM files WHERE state = 'ok' AND track_id IN ({several.format(chosen)})
        ORDER BY path""",
        () if wanted is None else (json.dumps(wanted),),
    )
    found: dict[int, list[str]] = {}
    for track_id, path in rows:
        found.setdefault(track_id, []).append(os.fsdecode(path))
    return found


def track_ids(connection: sqlite3.Connection, where: Sequence[Condition] | None) -> np.ndarray:
    conditions, values = _conditions(where or ())
    rows = connection.execute(f"SELECT id FROM present{_sql(conditions)} ORDER BY id", values).fetchall()
    return np.array([track_id for (track_id,) in rows], dtype=np.int64)


def _sql(conditions: Sequence[str]) -> str:
    return " WHERE " + " AND ".join(conditions) if conditions else ""


def _conditions(where: Sequence[Condition]) -> tuple[list[str], list[Any]]:
    conditions: list[str] = []
    values: list[Any] = []
    for field, op, value in where:
        condition, new = _condition(field, op, value)
        conditions.append(condition)
        values.extend(new)
    return conditions, values


def _condition(field: str, op: str, value: Any) -> tuple[str, list[Any]]:
    """One filter as SQL; an unknown value (NULL) is equal to nothing, and differs from everything."""
    if field not in FIELDS:
        raise InputError(f"filter {field!r}: expected one of {', '.join(FIELDS)}")
    column = f"fold({FIELDS[field]})" if field in _TEXT else FIELDS[field]
    if op == "=":
        return f"{column} = ?", [fold(value)]
    if op == "!=":
        return f"{column} IS NOT ?", [fold(value)]
    if op == "in":
        return f"{column} IN (SELECT value FROM json_each(?))", [json.dumps([fold(item) for item in value])]
    if op == "range":
        low, high = value
        return f"{column} BETWEEN coalesce(?, {column}) AND coalesce(?, {column})", [fold(low), fold(high)]
    raise InputError(f"filter {field} {op!r}: expected one of =, !=, in, range")


def distinct(connection: sqlite3.Connection, field: str) -> dict[Any, int]:
    """Known values of a field, with the number of present tracks of each, most frequent first."""
    if field not in FIELDS:
        raise InputError(f"field {field!r}: expected one of {', '.join(FIELDS)}")
    column = FIELDS[field]
    rows = connection.execute(
        f"SELECT {column}, count(*) AS n FROM present WHERE {column} IS NOT NULL GROUP BY {column} ORDER BY n DESC, 1"
    )
    return dict(rows.fetchall())


def find(connection: sqlite3.Connection, text: str, limit: int) -> list[int]:
    exact = _by_path(connection, text)
    if not exact and text.strip().isascii() and text.strip().isdigit():
        exact = connection.execute("SELECT id FROM present WHERE id = ?", (min(int(text), 2**62),)).fetchall()
    if not exact and text.strip():
        exact = connection.execute(
            """SELECT DISTINCT track_id FROM files WHERE state = 'ok' AND words_in(?, artist, title, path)
            ORDER BY track_id LIMIT ?""",
            (text.strip().casefold(), limit),
        ).fetchall()
    return [track_id for (track_id,) in exact]


def _by_path(connection: sqlite3.Connection, text: str) -> list[tuple[int]]:
    if "\0" in text:
        return []
    for path in dict.fromkeys((to_blob(text), os.fsencode(os.path.realpath(text)))):
        rows = connection.execute("SELECT track_id FROM files WHERE path = ? AND state = 'ok'", (path,)).fetchall()
        if rows:
            return rows
    return []


def counts(connection: sqlite3.Connection) -> Counts:
    files = counts_of_files(connection)
    n_tracks, n_short, seconds = connection.execute(
        """SELECT count(*), coalesce(sum(short), 0), coalesce(sum(duration_s), 0) FROM tracks
        WHERE id IN (SELECT track_id FROM files WHERE state = 'ok')"""
    ).fetchone()
    return Counts(
        tracks=n_tracks,
        files=files.get("ok", 0),
        failed=files.get("failed", 0),
        gone=files.get("gone", 0),
        short=n_short,
        hours=seconds / 3600,
    )
