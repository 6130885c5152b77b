"""The tables of the catalogue, and how an older library becomes a current one.

::

    tracks (one recording) 1 ──── n files (a path that holds it)
       1 │
         n vectors n ──── 1 spaces ("descriptors/<version>", or the id of a model)      models      meta

Paths are BLOBs, the bytes of the file system, so that invalid UTF-8 and newlines survive. A vector is a BLOB of
little-endian float32, ``dim`` of them. Track ids are never used twice, so a derived index cannot mistake one
track for another. ``meta.generation`` counts write transactions: whoever derives something remembers it.

Each migration is applied once, in a transaction of its own with the ``user_version`` that says so.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

__all__ = ["APPLICATION_ID", "MIGRATIONS", "PAGE_SIZE", "SCHEMA_VERSION"]

APPLICATION_ID = 0x566F6C6E  # "Voln": tells a library from any other SQLite file
PAGE_SIZE = 16384  # bytes; vectors of up to 1000 floats stay inside their page


def m001_tracks_files_vectors(connection: sqlite3.Connection) -> None:
    for statement in (
        "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
        """CREATE TABLE tracks (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            audio_hash TEXT NOT NULL UNIQUE,
            duration_s REAL NOT NULL,
            short INTEGER NOT NULL,
            tempo_bpm REAL,
            features_version TEXT NOT NULL
        )""",
        """CREATE TABLE files (
            path BLOB PRIMARY KEY,
            size INTEGER NOT NULL,
            mtime_ns INTEGER NOT NULL,
            state TEXT NOT NULL CHECK (state IN ('ok', 'failed', 'gone')),
            reason TEXT,
            track_id INTEGER REFERENCES tracks (id),
            artist TEXT, album TEXT, title TEXT, year INTEGER, genre TEXT, track_number INTEGER
        ) WITHOUT ROWID""",
        "CREATE INDEX files_by_track ON files (track_id, state)",
        "CREATE TABLE spaces (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, dim INTEGER NOT NULL)",
        # No foreign key to tracks: it would want a second index as large as the vectors are many.
        """CREATE TABLE vectors (
            space_id INTEGER NOT NULL, track_id INTEGER NOT NULL, vector BLOB NOT NULL,
            PRIMARY KEY (space_id, track_id)
        ) WITHOUT ROWID""",
        """CREATE TABLE models (
            id TEXT PRIMARY KEY, created TEXT NOT NULL, trained_on INTEGER NOT NULL, dim INTEGER NOT NULL,
            active INTEGER NOT NULL, checkpoint BLOB NOT NULL
        )""",
        "INSERT INTO meta VALUES ('generation', '0')",
    ):
        connection.execute(statement)


def m002_version_of_failures(connection: sqlite3.Connection) -> None:
    """A file that failed is tried again only when the features have changed since."""
    connection.execute("ALTER TABLE files ADD COLUMN failed_version TEXT")


def m003_present_tracks(connection: sqlite3.Connection) -> None:
    """Tracks that have a file, each with the first of its present ones."""
    connection.execute(
        """CREATE VIEW present AS
        SELECT t.id, t.audio_hash, t.duration_s, t.short, t.tempo_bpm,
               f.path, f.artist, f.title, f.album, f.year, f.genre, f.track_number
        FROM tracks t JOIN files f ON f.track_id = t.id
        WHERE f.state = 'ok' AND NOT EXISTS (
            SELECT 1 FROM files g WHERE g.track_id = f.track_id AND g.state = 'ok' AND g.path < f.path)"""
    )


MIGRATIONS: tuple[Callable[[sqlite3.Connection], None], ...] = (
    m001_tracks_files_vectors,
    m002_version_of_failures,
    m003_present_tracks,
)
SCHEMA_VERSION = len(MIGRATIONS)
