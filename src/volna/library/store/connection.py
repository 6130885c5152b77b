"""Opening the library file, transactions, and SQLite's errors in words.

Conventions: every connection is in autocommit; `reading` and `writing` open the transactions. A write waits up to
`BUSY_TIMEOUT_S` for another process, and has reached the disk when it returns (WAL, ``synchronous=FULL``).
"""

from __future__ import annotations

import os
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from volna.errors import LibraryError
from volna.library.store.schema import APPLICATION_ID, MIGRATIONS, PAGE_SIZE, SCHEMA_VERSION

__all__ = [
    "BUSY_TIMEOUT_S",
    "close",
    "connect",
    "default_library_path",
    "in_words",
    "reading",
    "transaction",
    "writing",
]

BUSY_TIMEOUT_S = 60.0

# Primary result codes of SQLite (the low byte of an extended one); sqlite.org/rescode.html
_MEANING = {
    sqlite3.SQLITE_BUSY: f"another program has kept the library locked for {BUSY_TIMEOUT_S:.0f} s; try again later",
    sqlite3.SQLITE_LOCKED: "the library is locked; try again later",
    sqlite3.SQLITE_READONLY: "the library can only be read here: it, or its folder, is not writable",
    sqlite3.SQLITE_FULL: "the disk is full; nothing already in the library is lost, make room and run again",
    sqlite3.SQLITE_IOERR: "the disk could not be read or written; nothing already committed is lost",
    sqlite3.SQLITE_CORRUPT: "the library is damaged; restore a copy, or move it away and index again",
    sqlite3.SQLITE_NOTADB: "this is not a Volna library; name another file, or move this one away",
    sqlite3.SQLITE_CANTOPEN: "the library cannot be opened: it, or its folder, is missing or not accessible",
    sqlite3.SQLITE_PERM: "the library cannot be opened: permission denied",
    sqlite3.SQLITE_AUTH: "the library cannot be opened: permission denied",
    sqlite3.SQLITE_NOLFS: "the file system has no room for a file this large",
    sqlite3.SQLITE_TOOBIG: "a value is too large for the library",
}


def default_library_path() -> Path:
    """Where the library is when none is named: ``VOLNA_LIBRARY``, or ``library.db`` in the user's data folder.

    Examples
    --------
    >>> from unittest.mock import patch
    >>> with patch.dict("os.environ", VOLNA_LIBRARY="/music/volna.db"):
    ...     default_library_path().name
    'volna.db'
    """
    named = os.environ.get("VOLNA_LIBRARY")
    if named:
        return Path(named).expanduser()
    from platformdirs import user_data_dir

    return Path(user_data_dir("volna", appauthor=False)) / "library.db"


def connect(path: Path, *, create: bool) -> sqlite3.Connection:
    """Open a library at its current schema; see `Catalogue.open`."""
    _check_place(path, create=create)
    with in_words(path):
        connection = _open(path, "rwc" if create else "rw") if _writable(path) else _open_read_only(path)
        try:
            _prepare(connection, path)
        except BaseException:
            connection.close()
            raise
    return connection


def close(connection: sqlite3.Connection) -> None:
    """Close; what was not committed is rolled back."""
    connection.close()


def _check_place(path: Path, *, create: bool) -> None:
    """Say plainly what SQLite would call "unable to open database file"."""
    try:
        if path.is_dir():
            raise LibraryError(
                f"{path}: a folder, and the library is a file; name a file such as {path / 'library.db'}"
            )
        if path.exists() and (path.stat().st_size or create):
            return
        if not create:
            raise LibraryError(f"no library at {path}; make one with: volna index FOLDER")
        path.parent.mkdir(parents=True, exist_ok=True)
        if not os.access(path.parent, os.W_OK):
            raise LibraryError(f"{path}: cannot make a library here, the folder is not writable")
    except OSError as error:
        raise LibraryError(f"{path}: cannot reach the library: {error.strerror or error}") from error


def _writable(path: Path) -> bool:
    """WAL wants to write beside the library, too."""
    return os.access(path.parent, os.W_OK) and (not path.exists() or os.access(path, os.W_OK))


def _open(path: Path, mode: str, *, immutable: bool = False) -> sqlite3.Connection:
    address = f"file:{quote(os.fsencode(path.absolute()))}?mode={mode}" + ("&immutable=1" if immutable else "")
    return sqlite3.connect(address, uri=True, timeout=BUSY_TIMEOUT_S, isolation_level=None)


def _open_read_only(path: Path) -> sqlite3.Connection:
    """A library on a read-only disk answers, unless a log beside it holds writes that only a writer can apply."""
    connection = _open(path, "ro")
    try:
        connection.execute("PRAGMA user_version").fetchone()
        return connection
    except sqlite3.OperationalError as error:
        connection.close()
        log = path.with_name(path.name + "-wal")
        if log.exists() and log.stat().st_size:
            raise LibraryError(
                f"{path}: was not closed properly and can only be read here; open it once where it is writable"
            ) from error
        return _open(path, "ro", immutable=True)  # nobody can be writing: no locks, no log


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    if application != APPLICATION_ID and (application or version or _has_tables(connection)):
        raise LibraryError(f"{path}: this is a database of another program, not a Volna library; name another file")
    if version > SCHEMA_VERSION:
        raise LibraryError(
            f"{path}: made by a newer Volna (schema {version}, this one knows {SCHEMA_VERSION}); update Volna to use it"
        )
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = FULL")
    if sys.platform == "darwin":  # there fsync does not reach the disk
        connection.execute("PRAGMA fullfsync = ON")
    if version < SCHEMA_VERSION:
        _migrate(connection, new=application != APPLICATION_ID)


def _has_tables(connection: sqlite3.Connection) -> bool:
    return connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone() is not None


def _migrate(connection: sqlite3.Connection, *, new: bool) -> None:
    if new:
        connection.execute(f"PRAGMA page_size = {PAGE_SIZE}")
        connection.execute("PRAGMA journal_mode = WAL")
    for number, migration in enumerate(MIGRATIONS, 1):
        with transaction(connection):
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version < number:  # read inside the transaction: another process may have been faster
                migration(connection)
                connection.execute(f"PRAGMA user_version = {number}")
                connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")


@contextmanager
def transaction(connection: sqlite3.Connection, kind: str = "IMMEDIATE") -> Iterator[sqlite3.Connection]:
    """All of it or nothing, whatever ends it."""
    connection.execute(f"BEGIN {kind}")
    try:
        yield connection
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:  # SQLite itself rolls back on a full disk
            connection.execute("ROLLBACK")


@contextmanager
def reading(connection: sqlite3.Connection, path: Path) -> Iterator[sqlite3.Connection]:
    """One consistent view of the library, however much others write meanwhile."""
    with in_words(path):
        if connection.in_transaction:
            yield connection
        else:
            with transaction(connection, "DEFERRED"):
                yield connection


@contextmanager
def writing(connection: sqlite3.Connection, path: Path) -> Iterator[sqlite3.Connection]:
    """One atomic write; the generation goes up when anything changed."""
    with in_words(path), transaction(connection):
        before = connection.total_changes
        yield connection
        if connection.total_changes != before:
            connection.execute("UPDATE meta SET value = CAST(value AS INTEGER) + 1 WHERE key = 'generation'")


@contextmanager
def in_words(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into one line; misuse of the module (a bug) keeps its traceback."""
    try:
        yield
    except (sqlite3.ProgrammingError, sqlite3.InterfaceError):
        raise
    except sqlite3.DatabaseError as error:
        code = getattr(error, "sqlite_errorcode", None)
        meaning = _MEANING.get(code & 0xFF) if code is not None else None
        if meaning is None and isinstance(error, sqlite3.IntegrityError):
            raise
        raise LibraryError(f"{path}: {meaning or error}") from error
