"""`Catalogue`: one library file, opened. What the rest of Volna sees of the store."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from volna.errors import LibraryError
from volna.library.store import connection as sqlite
from volna.library.store import files, spaces, tracks
from volna.library.store.rows import (
    Analysed,
    Condition,
    Counts,
    Failed,
    FileRecord,
    Linked,
    ModelRow,
    Recorded,
    TrackRow,
)

__all__ = ["Catalogue"]


class Catalogue:
    """A library: files, tracks, vectors by space, models, settings. Open it with `Catalogue.open`, in a ``with``.

    Every write is one transaction and returns when it is on the disk; readers and one writer at a time may share
    the file, each in a process and a `Catalogue` of its own. Every method raises `LibraryError`, with one line that
    says what to do, when the disk is full, the file damaged, locked or only readable; nothing committed is lost.

    Attributes
    ----------
    path : pathlib.Path
        The library file.

    Examples
    --------
    >>> import tempfile, numpy as np
    >>> from volna.library.tags import Tags
    >>> with tempfile.TemporaryDirectory() as folder, Catalogue.open(folder + "/library.db", create=True) as library:
    ...     tone = Analysed("/music/tone.wav", 1000, 1, Tags("Me"), "0f", 3.0, False, None, np.ones(4, np.float32))
    ...     recorded = library.record(analysed=[tone])
    ...     [row.artist for row in library.tracks()], library.vectors("descriptors/1")[1].shape
    (['Me'], (1, 4))
    """

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._connection = connection
        tracks.teach(connection)

    @classmethod
    def open(cls, path: str | os.PathLike[str], *, create: bool = False) -> Catalogue:
        """Open a library, bringing it to the current schema; without `create` it must exist.

        A library that can only be read opens for reading.

        Raises
        ------
        LibraryError
            There is none, it cannot be made here, or it is not a library, damaged, or made by a newer Volna.
        """
        return cls(Path(path), sqlite.connect(Path(path), create=create))

    def close(self) -> None:
        """Close the file; an object that is closed answers nothing more."""
        sqlite.close(self._connection)

    def __enter__(self) -> Catalogue:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A block in which all reads see the same state, whatever other processes write meanwhile."""
        with sqlite.reading(self._connection, self.path) as connection:
            yield connection

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with sqlite.writing(self._connection, self.path) as connection:
            yield connection

    # --- settings

    @property
    def generation(self) -> int:
        """Number of write transactions so far: a derived index remembers it and knows how far behind it is."""
        return int(self.get_setting("generation") or 0)

    @property
    def features_version(self) -> str:
        """Version of the descriptors that new tracks get."""
        return self.get_setting("features_version") or "1"

    @property
    def descriptor_space(self) -> str:
        """The descriptor space to search: after an update of the features the old one, until the new one is full."""
        with self.reading() as connection:
            return spaces.answering_descriptors(connection, self.features_version)

    def get_setting(self, key: str) -> str | None:
        """A setting, or None when it was never made."""
        with self.reading() as connection:
            row = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return row[0] if row else None

    def set_setting(self, key: str, value: str, *, once: bool = False) -> str:
        """Make a setting and return it; with `once` the first value stays, and is returned."""
        if key == "generation":
            raise ValueError("the generation is counted, not set")
        conflict = "NOTHING" if once else "UPDATE SET value = excluded.value WHERE value != excluded.value"
        with self._writing() as connection:
            connection.execute(f"INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO {conflict}", (key, value))
        return self.get_setting(key) or value

    def use_features(self, version: str) -> None:
        """Say which version of the descriptors is recorded from now on; tracks of another one want an analysis."""
        if self.get_setting("features_version") != version:
            self.set_setting("features_version", version)

    def drop_old_descriptors(self) -> None:
        """Delete the descriptors of older versions, once the current one holds as many tracks."""
        with self._writing() as connection:
            spaces.drop_old_descriptors(connection, self.features_version)

    # --- files

    def files_under(self, roots: Iterable[str | os.PathLike[str]]) -> dict[str, FileRecord]:
        """Every file known at or beneath the paths given, by absolute path."""
        with self.reading() as connection:
            return files.files_under(connection, roots)

    def track_ids_by_hash(self, hashes: Sequence[str] | None = None) -> dict[str, int]:
        """Hash of the coded audio -> track id, of all tracks at the current features version (or of these hashes)."""
        with self.reading() as connection:
            return files.track_ids_by_hash(connection, self.features_version, hashes)

    def record(
        self,
        *,
        analysed: Sequence[Analysed] = (),
        linked: Sequence[Linked] = (),
        failed: Sequence[Failed] = (),
        vector_space: str | None = None,
    ) -> Recorded:
        """Write a batch, all of it or nothing; writing it again changes nothing.

        Parameters
        ----------
        analysed, linked, failed : sequences
            Files that were listened to, recognised by their hash, or could not be analysed.
        vector_space : str, optional
            Id of the model that made the vectors in `analysed`; needed when there are any.

        Returns
        -------
        Recorded
            Track of each path, and the linked paths whose track has been forgotten meanwhile.

        Raises
        ------
        LibraryError
            The write failed, or a vector is not finite. Nothing was written.
        ModelError
            The model of `vector_space` is no longer in the library, or its vectors have another length.
        """
        if not (analysed or linked or failed):
            return Recorded()
        with self._writing() as connection:
            return files.record(connection, self.features_version, vector_space, analysed, linked, failed)

    def mark_gone(self, paths: Iterable[str]) -> int:
        """Files that are no longer there; returns how many were present. Their tracks wait for them."""
        with self._writing() as connection:
            return files.mark_gone(connection, paths)

    def revive(self, paths: Iterable[str]) -> int:
        """Gone files that are back unchanged; returns how many were gone."""
        with self._writing() as connection:
            return files.revive(connection, paths)

    def forget(self, paths: Iterable[str | os.PathLike[str]]) -> int:
        """Remove files, or folders with all in them; returns the number of files. Nothing on the disk is touched."""
        with self._writing() as connection:
            return files.forget(connection, paths)

    def drop_moved(
        self, track_ids: Iterable[int], *, roots: Sequence[str] = (), protected: Sequence[str] = ()
    ) -> list[str]:
        """Drop the old paths of tracks that were just linked to a new one, where the old path exists no more.

        Parameters
        ----------
        track_ids : iterable of int
            Tracks of the files just linked.
        roots : sequence of str
            The PATHS of the run: beneath them an empty folder is a folder that was emptied. Elsewhere it may be a
            disk that is not mounted, and nothing in it is dropped.
        protected : sequence of str
            Folders in which nothing may be judged (`volna.library.scan.Changes.suspicious_roots`).

        Returns
        -------
        list of str
            The paths dropped.
        """
        with self._writing() as connection:
            return files.drop_moved(connection, track_ids, roots, protected)

    def failures(self) -> list[tuple[str, str]]:
        """Files that could not be analysed, as (path, reason), by path."""
        with self.reading() as connection:
            return files.failures(connection)

    # --- tracks

    def tracks(self, ids: Iterable[int] | None = None, where: Sequence[Condition] | None = None) -> list[TrackRow]:
        """Tracks with a present file: all, those of `ids` in that order, or those that pass the filters.

        A filter is ``(field, op, value)``: field artist, album, title, genre, year, bpm, duration_s or short; op
        ``=``, ``!=``, ``in`` (a list) or ``range`` (low and high, both included, None for open). Text is compared
        without case. What is unknown equals nothing and lies in no range, so ``!=`` keeps it.
        """
        with self.reading() as connection:
            return tracks.tracks(connection, ids, where)

    def track_ids(self, where: Sequence[Condition] | None = None) -> np.ndarray:
        """Ids of the present tracks that pass the filters, int64 ``(n,)``, ascending."""
        with self.reading() as connection:
            return tracks.track_ids(connection, where)

    def distinct(self, field: str) -> dict[Any, int]:
        """The known values of a field with the number of tracks of each, most frequent first."""
        with self.reading() as connection:
            return tracks.distinct(connection, field)

    def find(self, text: str, *, limit: int = 20) -> list[TrackRow]:
        """Present tracks meant by a path, an id, or a part of "artist - title" or of a file name; at most `limit`."""
        with self.reading() as connection:
            return tracks.tracks(connection, tracks.find(connection, text, limit), None)

    def counts(self) -> Counts:
        """The library in numbers."""
        with self.reading() as connection:
            return tracks.counts(connection)

    # --- vectors

    def spaces(self) -> list[str]:
        """Names of the spaces that hold a vector, descriptors first."""
        with self.reading() as connection:
            return spaces.names(connection)

    def vectors(self, space: str) -> tuple[np.ndarray, np.ndarray]:
        """All vectors of the present tracks in a space.

        Returns
        -------
        ids : numpy.ndarray
            int64 ``(n,)``, ascending.
        matrix : numpy.ndarray
            float32 ``(n, dim)``, raw; ``(0, 0)`` for a space that does not exist.
        """
        with self.reading() as connection:
            return spaces.vectors(connection, space)

    def vectors_of(self, space: str, ids: Iterable[int]) -> np.ndarray:
        """Vectors of some tracks, float32 ``(len(ids), dim)``, in that order; LibraryError where one is missing."""
        with self.reading() as connection:
            return spaces.vectors_of(connection, space, ids)

    def count(self, space: str) -> int:
        """Number of present tracks that have a vector in the space."""
        with self.reading() as connection:
            return spaces.count(connection, space)

    def missing(self, space: str) -> list[int]:
        """Ids of the present tracks that lack a vector in the space, ascending: where a re-embedding goes on."""
        with self.reading() as connection:
            return spaces.missing(connection, space)

    def add_vectors(self, space: str, ids: Sequence[int] | np.ndarray, matrix: np.ndarray) -> None:
        """Write vectors, float32 ``(len(ids), dim)``, in one transaction; tracks deleted meanwhile are left out."""
        if len(ids) != len(matrix):
            raise ValueError(f"expected one vector an id, got {len(ids)} ids and {len(matrix)} vectors")
        with self._writing() as connection:
            spaces.put_vectors(connection, space, list(zip(ids, matrix, strict=True)))

    # --- models

    def add_model(self, model_id: str, checkpoint: bytes, trained_on: int, dim: int) -> None:
        """Keep a model, not yet active: the space that answers stays the same until `activate_model`."""
        with self._writing() as connection:
            spaces.add_model(connection, model_id, checkpoint, trained_on, dim)

    def activate_model(self, model_id: str) -> None:
        """Let the space of a model answer, and delete older models with their vectors, in one transaction."""
        with self._writing() as connection:
            spaces.activate_model(connection, model_id)

    def active_model(self) -> ModelRow | None:
        """The model whose space answers."""
        with self.reading() as connection:
            return spaces.active_model(connection)

    def pending_model(self) -> ModelRow | None:
        """The newest model that is kept but does not answer yet: its embedding was interrupted."""
        with self.reading() as connection:
            return spaces.pending_model(connection)

    def model_bytes(self, model_id: str) -> bytes:
        """The checkpoint of a model; ModelError when the library does not hold it."""
        with self.reading() as connection:
            return spaces.model_bytes(connection, model_id)

    def check(self) -> None:
        """Read the whole file; LibraryError when a page of it is damaged."""
        with self.reading() as connection:
            try:
                files.check_readable(connection)
            except LibraryError as error:
                raise LibraryError(f"{self.path}: {error}; restore a copy, or move it away and index again") from error
