"""Spaces and the models that make them. Vectors of two spaces are never mixed: the space is part of the key.

A space is ``descriptors/<features version>``, or the id of a model. Vectors are kept raw, as little-endian
float32; whoever searches standardises them.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import numpy as np

from volna.errors import LibraryError, ModelError, ModelMismatch
from volna.library.store.rows import ModelRow

__all__ = [
    "activate_model",
    "active_model",
    "add_model",
    "answering_descriptors",
    "count",
    "delete_space",
    "descriptor_space",
    "drop_old_descriptors",
    "missing",
    "model_bytes",
    "models",
    "names",
    "pending_model",
    "put_vectors",
    "vectors",
    "vectors_of",
]

DESCRIPTORS = "descriptors/"
CHUNK_ROWS = 4096  # rows joined at a time, so that a large space is in memory once

_PRESENT = "SELECT DISTINCT track_id FROM files WHERE state = 'ok' AND track_id IS NOT NULL"


def descriptor_space(version: str) -> str:
    """Name of the space of one version of the descriptors."""
    return DESCRIPTORS + version


def names(connection: sqlite3.Connection) -> list[str]:
    """Spaces that hold a vector, descriptors first."""
    rows = connection.execute(
        "SELECT name FROM spaces WHERE EXISTS (SELECT 1 FROM vectors WHERE space_id = spaces.id) ORDER BY id"
    )
    return sorted((name for (name,) in rows), key=lambda name: not name.startswith(DESCRIPTORS))


def put_vectors(connection: sqlite3.Connection, space: str, rows: Sequence[tuple[int, np.ndarray]]) -> None:
    """Insert or replace vectors; those of a track deleted meanwhile are left out."""
    if not rows:
        return
    dim = len(rows[0][1])
    space_id = _space_id(connection, space, dim)
    blobs = [(space_id, _to_blob(vector, space, dim), int(track_id)) for track_id, vector in rows]
    connection.executemany(
        "INSERT OR REPLACE INTO vectors (space_id, track_id, vector) SELECT ?, id, ? FROM tracks WHERE id = ?",
        [(space_id, blob, track_id) for space_id, blob, track_id in blobs],
    )


def _to_blob(vector: np.ndarray, space: str, dim: int) -> bytes:
    if np.shape(vector) != (dim,):
        raise ModelMismatch(f"space {space}: expected vectors of shape ({dim},), got {np.shape(vector)}")
    if not np.isfinite(vector).all():
        raise LibraryError(f"space {space}: a vector holds NaN or infinity")
    return np.ascontiguousarray(vector, dtype="<f4").tobytes()


def _space_id(connection: sqlite3.Connection, space: str, dim: int) -> int:
    known = connection.execute("SELECT id, dim FROM spaces WHERE name = ?", (space,)).fetchone()
    if known is None:
        if not space.startswith(DESCRIPTORS):
            _model(connection, space)  # a training that another one has overtaken must not leave vectors behind
        known = connection.execute(
            "INSERT INTO spaces (name, dim) VALUES (?, ?) RETURNING id, dim", (space, dim)
        ).fetchall()[0]
    if known[1] != dim:
        raise ModelMismatch(f"space {space}: expected vectors of {known[1]} numbers, got {dim}")
    return int(known[0])


def vectors(connection: sqlite3.Connection, space: str) -> tuple[np.ndarray, np.ndarray]:
    found = connection.execute("SELECT id, dim FROM spaces WHERE name = ?", (space,)).fetchone()
    if found is None:
        return np.empty(0, dtype=np.int64), np.empty((0, 0), dtype=np.float32)
    space_id, dim = found
    (n_tracks,) = connection.execute("SELECT count(*) FROM tracks").fetchone()
    cursor = connection.execute(
        "SELECT track_id, vector FROM vectors WHERE space_id = ? ORDER BY track_id", (space_id,)
    )
    ids, matrix = _read(cursor, n_tracks, dim)
    absent = _absent(connection)
    if len(absent) == 0:
        return ids, matrix
    keep = ~np.isin(ids, absent)
    return ids[keep], matrix[keep]


def _absent(connection: sqlite3.Connection) -> np.ndarray:
    """Tracks all of whose files are gone."""
    rows = connection.execute(
        """SELECT DISTINCT track_id FROM files WHERE state = 'gone' AND track_id NOT IN
        (SELECT track_id FROM files WHERE state = 'ok' AND track_id IS NOT NULL)"""
    ).fetchall()
    return np.array([track_id for (track_id,) in rows], dtype=np.int64)


def _read(cursor: sqlite3.Cursor, at_most: int, dim: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows of (id, blob) as ids and a matrix, filled in place: a library is never in memory twice."""
    ids = np.empty(at_most, dtype=np.int64)
    matrix = np.empty((at_most, dim), dtype=np.float32)
    end = 0
    while rows := cursor.fetchmany(CHUNK_ROWS):
        chunk_ids, blobs = zip(*rows, strict=True)
        start, end = end, end + len(rows)
        ids[start:end] = chunk_ids
        matrix[start:end] = np.frombuffer(b"".join(blobs), dtype="<f4").reshape(-1, dim)
    return ids[:end], matrix[:end]


def vectors_of(connection: sqlite3.Connection, space: str, ids: Iterable[int]) -> np.ndarray:
    wanted = [int(track_id) for track_id in ids]
    rows = connection.execute(
        """SELECT track_id, vector FROM vectors WHERE space_id = (SELECT id FROM spaces WHERE name = ?)
        AND track_id IN (SELECT value FROM json_each(?))""",
        (space, json.dumps(wanted)),
    )
    found = {track_id: np.frombuffer(blob, dtype="<f4").astype(np.float32) for track_id, blob in rows}
    for track_id in wanted:
        if track_id not in found:
            raise LibraryError(f"track {track_id} has no vector in the space {space}")
    return np.stack([found[track_id] for track_id in wanted]) if wanted else np.empty((0, 0), dtype=np.float32)


def count(connection: sqlite3.Connection, space: str) -> int:
    (n_vectors,) = connection.execute(
        f"""SELECT count(*) FROM vectors WHERE space_id = (SELECT id FROM spaces WHERE name = ?)
        AND track_id IN ({_PRESENT})""",
        (space,),
    ).fetchone()
    return int(n_vectors)


def missing(connection: sqlite3.Connection, space: str) -> list[int]:
    rows = connection.execute(
        f"""{_PRESENT} AND track_id NOT IN
        (SELECT track_id FROM vectors WHERE space_id = (SELECT id FROM spaces WHERE name = ?)) ORDER BY track_id""",
        (space,),
    )
    return [track_id for (track_id,) in rows]


def delete_space(connection: sqlite3.Connection, space: str) -> None:
    """Delete a space and its vectors."""
    connection.execute("DELETE FROM vectors WHERE space_id = (SELECT id FROM spaces WHERE name = ?)", (space,))
    connection.execute("DELETE FROM spaces WHERE name = ?", (space,))


def answering_descriptors(connection: sqlite3.Connection, version: str) -> str:
    """The descriptor space to search: the current version's, or an older one while that still holds more tracks."""
    current = descriptor_space(version)
    older = [name for name in names(connection) if name.startswith(DESCRIPTORS) and name != current]
    if not older:
        return current
    return max([current, *reversed(older)], key=lambda name: count(connection, name))  # current wins a tie


def drop_old_descriptors(connection: sqlite3.Connection, version: str) -> None:
    """Delete the descriptors of other versions, once the current one answers."""
    current = descriptor_space(version)
    if answering_descriptors(connection, version) == current:
        for name in names(connection):
            if name.startswith(DESCRIPTORS) and name != current:
                delete_space(connection, name)


# --- models


def add_model(connection: sqlite3.Connection, model_id: str, checkpoint: bytes, trained_on: int, dim: int) -> None:
    """Keep a model, inactive: the old space answers until `activate_model`."""
    created = datetime.now(UTC).isoformat(timespec="microseconds")
    connection.execute(
        """INSERT INTO models (id, created, trained_on, dim, active, checkpoint) VALUES (?, ?, ?, ?, 0, ?)
        ON CONFLICT (id) DO NOTHING""",
        (model_id, created, trained_on, dim, checkpoint),
    )


def activate_model(connection: sqlite3.Connection, model_id: str) -> None:
    """Let a model's space answer; older models go with their vectors, a newer pending one stays."""
    created = _model(connection, model_id).created
    old = connection.execute("SELECT id FROM models WHERE id != ? AND (active OR created <= ?)", (model_id, created))
    for (old_id,) in old.fetchall():
        delete_space(connection, old_id)
        connection.execute("DELETE FROM models WHERE id = ?", (old_id,))
    connection.execute("UPDATE models SET active = 1 WHERE id = ?", (model_id,))


def models(connection: sqlite3.Connection) -> list[ModelRow]:
    """All models, newest first."""
    rows = connection.execute("SELECT id, created, trained_on, dim, active FROM models ORDER BY created DESC, id")
    return [ModelRow(model_id, created, n, dim, bool(active)) for model_id, created, n, dim, active in rows]


def active_model(connection: sqlite3.Connection) -> ModelRow | None:
    return next((model for model in models(connection) if model.active), None)


def pending_model(connection: sqlite3.Connection) -> ModelRow | None:
    """The newest model that does not answer yet."""
    return next((model for model in models(connection) if not model.active), None)


def model_bytes(connection: sqlite3.Connection, model_id: str) -> bytes:
    _model(connection, model_id)
    (checkpoint,) = connection.execute("SELECT checkpoint FROM models WHERE id = ?", (model_id,)).fetchone()
    return bytes(checkpoint)


def _model(connection: sqlite3.Connection, model_id: str) -> ModelRow:
    found = next((model for model in models(connection) if model.id == model_id), None)
    if found is None:
        raise ModelError(f"the library holds no model {model_id}; make one with: volna train")
    return found
