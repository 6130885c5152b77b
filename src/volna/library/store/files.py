"""Files: what a run found is written here, batch by batch, and read back before the next run.

Functions over an open connection, inside the transaction of their caller; `Catalogue` documents the public face.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from volna.errors import LibraryError
from volna.library.store import spaces
from volna.library.store.rows import Analysed, Failed, FileRecord, Linked, Recorded
from volna.library.tags import Tags

__all__ = [
    "check_readable",
    "counts_of_files",
    "drop_moved",
    "drop_orphans",
    "failures",
    "files_under",
    "forget",
    "mark_gone",
    "record",
    "revive",
    "to_blob",
    "track_ids_by_hash",
    "under",
]

_UPSERT_TRACK = """
    INSERT INTO tracks (audio_hash, duration_s, short, tempo_bpm, features_version) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (audio_hash) DO UPDATE SET duration_s = excluded.duration_s, short = excluded.short,
        tempo_bpm = excluded.tempo_bpm, features_version = excluded.features_version
    RETURNING id"""

_REPLACE_FILE = """
    INSERT OR REPLACE INTO files (path, size, mtime_ns, state, reason, track_id, failed_version,
                                  artist, album, title, year, genre, track_number)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"""


def to_blob(path: str | os.PathLike[str]) -> bytes:
    """The bytes of an absolute path."""
    return os.fsencode(os.path.abspath(path))


def under(paths: Iterable[str | os.PathLike[str]]) -> Iterator[tuple[str, tuple[bytes, bytes, bytes]]]:
    """For each path a condition on ``path``: that file, or anything beneath that folder."""
    for path in paths:
        exact = to_blob(path)
        separator = os.fsencode(os.sep)
        start = exact if exact.endswith(separator) else exact + separator
        yield "(path = ? OR (path >= ? AND path < ?))", (exact, start, start[:-1] + bytes([start[-1] + 1]))


def files_under(connection: sqlite3.Connection, roots: Iterable[str | os.PathLike[str]]) -> dict[str, FileRecord]:
    known: dict[str, FileRecord] = {}
    for condition, values in under(roots):
        rows = connection.execute(
            f"""SELECT path, size, mtime_ns, state, reason, track_id, coalesce(failed_version, features_version)
            FROM files LEFT JOIN tracks ON tracks.id = track_id WHERE {condition}""",
            values,
        )
        known.update((os.fsdecode(row[0]), FileRecord._make(row[1:])) for row in rows)
    return known


def track_ids_by_hash(
    connection: sqlite3.Connection, version: str, hashes: Sequence[str] | None = None
) -> dict[str, int]:
    chosen, values = "", [version]
    if hashes is not None:
        chosen, values = "AND audio_hash IN (SELECT value FROM json_each(?))", [version, json.dumps(list(hashes))]
    return dict(
        connection.execute(f"SELECT audio_hash, id FROM tracks WHERE features_version = ? {chosen}", values).fetchall()
    )


def record(
    connection: sqlite3.Connection,
    version: str,
    vector_space: str | None,
    analysed: Sequence[Analysed],
    linked: Sequence[Linked],
    failed: Sequence[Failed],
) -> Recorded:
    touched = _tracks_of(connection, [item.path for group in (analysed, linked, failed) for item in group])
    track_ids = _record_analysed(connection, version, vector_space, analysed)
    unlinked: list[str] = []
    for item in linked:
        if connection.execute("SELECT 1 FROM tracks WHERE id = ?", (item.track_id,)).fetchone():
            _put_file(connection, item, track_id=item.track_id, tags=item.tags)
            track_ids[item.path] = item.track_id
        else:
            unlinked.append(item.path)
    for broken in failed:
        _put_file(connection, broken, reason=broken.reason, version=version)
    drop_orphans(connection, touched)
    return Recorded(track_ids, tuple(unlinked))


def _record_analysed(
    connection: sqlite3.Connection, version: str, vector_space: str | None, analysed: Sequence[Analysed]
) -> dict[str, int]:
    track_ids: dict[str, int] = {}
    for item in analysed:
        values = (item.audio_hash, item.duration_s, bool(item.short), item.tempo_bpm, version)
        # fetchall: an unfinished RETURNING statement would keep the transaction open
        [(track_id,)] = connection.execute(_UPSERT_TRACK, values).fetchall()
        track_ids[item.path] = track_id
        _put_file(connection, item, track_id=track_id, tags=item.tags)
    spaces.put_vectors(
        connection,
        spaces.descriptor_space(version),
        [(track_ids[item.path], item.descriptors) for item in analysed],
    )
    vectors = [(track_ids[item.path], item.vector) for item in analysed if item.vector is not None]
    if vectors:
        if vector_space is None:
            raise ValueError("vectors came without vector_space, the id of the model that made them")
        spaces.put_vectors(connection, vector_space, vectors)
    return track_ids


def _put_file(
    connection: sqlite3.Connection,
    item: Analysed | Linked | Failed,
    *,
    track_id: int | None = None,
    tags: Tags | None = None,
    reason: str | None = None,
    version: str | None = None,
) -> None:
    tags = tags or Tags()
    state = "failed" if track_id is None else "ok"
    texts = [_clean(text) for text in (tags.artist, tags.album, tags.title, tags.genre)]
    values: tuple[Any, ...] = (
        *(to_blob(item.path), item.size, item.mtime_ns, state, _clean(reason), track_id, version),
        *(*texts[:3], tags.year, texts[3], tags.track_number),
    )
    connection.execute(_REPLACE_FILE, values)


def _clean(text: str | None) -> str | None:
    """Text that SQLite can keep: half characters, as in a path quoted by a reason, become question marks."""
    return text.encode("utf-8", "replace").decode() if text is not None else None


def _tracks_of(connection: sqlite3.Connection, paths: Iterable[str]) -> set[int]:
    found: set[int] = set()
    for path in paths:
        row = connection.execute(
            "SELECT track_id FROM files WHERE path = ? AND track_id IS NOT NULL", (to_blob(path),)
        ).fetchone()
        found.update(row or ())
    return found


def drop_orphans(connection: sqlite3.Connection, track_ids: Iterable[int]) -> None:
    """Delete those of the tracks that have no file left, with their vectors; a gone file still counts."""
    space_ids = [space_id for (space_id,) in connection.execute("SELECT id FROM spaces")]
    for track_id in track_ids:
        if connection.execute("SELECT 1 FROM files WHERE track_id = ? LIMIT 1", (track_id,)).fetchone() is None:
            for space_id in space_ids:
                connection.execute("DELETE FROM vectors WHERE space_id = ? AND track_id = ?", (space_id, track_id))
            connection.execute("DELETE FROM tracks WHERE id = ?", (track_id,))


def mark_gone(connection: sqlite3.Connection, paths: Iterable[str]) -> int:
    """Tracks of gone files are kept, so that what comes back needs no analysis; a gone failure is dropped."""
    n_gone = 0
    for path in paths:
        blob = to_blob(path)
        n_gone += connection.execute(
            "UPDATE files SET state = 'gone' WHERE path = ? AND state = 'ok'", (blob,)
        ).rowcount
        connection.execute("DELETE FROM files WHERE path = ? AND state = 'failed'", (blob,))
    return n_gone


def revive(connection: sqlite3.Connection, paths: Iterable[str]) -> int:
    back = ((to_blob(path),) for path in paths)
    return connection.executemany("UPDATE files SET state = 'ok' WHERE path = ? AND state = 'gone'", back).rowcount


def forget(connection: sqlite3.Connection, paths: Iterable[str | os.PathLike[str]]) -> int:
    n_files = 0
    for condition, values in under(paths):
        rows = connection.execute(f"DELETE FROM files WHERE {condition} RETURNING track_id", values).fetchall()
        n_files += len(rows)
        drop_orphans(connection, {track_id for (track_id,) in rows if track_id is not None})
    return n_files


def drop_moved(
    connection: sqlite3.Connection, track_ids: Iterable[int], roots: Sequence[str], protected: Sequence[str]
) -> list[str]:
    moved: list[str] = []
    for track_id in set(track_ids):
        rows = connection.execute("SELECT path, state FROM files WHERE track_id = ?", (track_id,)).fetchall()
        vanished = [path for path, _ in rows if _has_vanished(os.fsdecode(path), roots, protected)]
        present = [path for path, state in rows if state == "ok" and path not in vanished]
        if present:
            connection.executemany("DELETE FROM files WHERE path = ?", [(path,) for path in vanished])
            moved.extend(os.fsdecode(path) for path in vanished)
    return moved


def _has_vanished(path: str, roots: Sequence[str], protected: Sequence[str]) -> bool:
    """True when the file is surely not there; an empty folder outside `roots` may be a disk that is not mounted."""
    try:
        os.lstat(path)
        return False
    except (FileNotFoundError, NotADirectoryError):
        pass  # not there: what is left to tell is whether its disk is
    except OSError:
        return False
    if any(_is_under(path, folder) for folder in protected):
        return False
    return any(_is_under(path, folder) for folder in roots) or not _nearest_folder_is_empty(path)


def _is_under(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


def _nearest_folder_is_empty(path: str) -> bool:
    folder = os.path.dirname(path)
    while not os.path.isdir(folder):
        folder = os.path.dirname(folder)
    try:
        with os.scandir(folder) as entries:
            return next(entries, None) is None
    except OSError:
        return True


def failures(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    rows = connection.execute("SELECT path, reason FROM files WHERE state = 'failed' ORDER BY path")
    return [(os.fsdecode(path), reason or "") for path, reason in rows]


def counts_of_files(connection: sqlite3.Connection) -> dict[str, int]:
    """State -> number of files."""
    return dict(connection.execute("SELECT state, count(*) FROM files GROUP BY state").fetchall())


def check_readable(connection: sqlite3.Connection) -> None:
    """Read every page; raise when one is damaged."""
    (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise LibraryError(f"the library is damaged: {verdict}")
