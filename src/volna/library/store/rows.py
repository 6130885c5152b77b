"""What goes into the catalogue and what comes out of it, as plain data.

Conventions: paths are absolute ``str`` with surrogate escapes for bytes that are not UTF-8; times are nanoseconds
as ``os.stat`` gives them; None is unknown.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np

from volna.library.tags import Tags

__all__ = ["Analysed", "Condition", "Counts", "Failed", "FileRecord", "Linked", "ModelRow", "Recorded", "TrackRow"]

Condition = tuple[str, Literal["=", "!=", "in", "range"], Any]  # (field, op, value)


@dataclass(frozen=True, slots=True)
class Analysed:
    """A file that was listened to. ``descriptors`` and ``vector`` are float32 ``(dim,)``, raw and finite."""

    path: str
    size: int
    mtime_ns: int
    tags: Tags
    audio_hash: str
    duration_s: float
    short: bool
    tempo_bpm: float | None
    descriptors: np.ndarray
    vector: np.ndarray | None = None


@dataclass(frozen=True, slots=True)
class Linked:
    """A file whose coded audio is that of a known track: moved, renamed, re-tagged or copied."""

    path: str
    size: int
    mtime_ns: int
    tags: Tags
    track_id: int


@dataclass(frozen=True, slots=True)
class Failed:
    """A file that could not be analysed, and why, in words a person understands."""

    path: str
    size: int
    mtime_ns: int
    reason: str


class FileRecord(NamedTuple):
    """What the catalogue knows of one path. A tuple, because a hundred thousand of them are read at once."""

    size: int
    mtime_ns: int
    state: str  # "ok", "failed" or "gone"
    reason: str | None
    track_id: int | None
    features_version: str | None  # the version that analysed it, or failed to


@dataclass(frozen=True, slots=True)
class TrackRow:
    """One recording: its first present file, the other present paths that hold it, its tags and measures."""

    id: int
    path: str
    artist: str | None
    title: str | None
    album: str | None
    year: int | None
    genre: str | None
    track_number: int | None
    duration_s: float
    short: bool
    tempo_bpm: float | None
    audio_hash: str
    copies: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ModelRow:
    """A trained model without its weights; ``active`` is the one whose space answers."""

    id: str
    created: str  # ISO 8601, UTC
    trained_on: int  # tracks
    dim: int
    active: bool


@dataclass(frozen=True, slots=True)
class Recorded:
    """What `Catalogue.record` wrote: the track of each analysed or linked path, and the paths it could not link
    because another process had forgotten their track; those want an analysis."""

    track_ids: dict[str, int] = field(default_factory=dict)
    unlinked: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Counts:
    """The library in numbers. Tracks, short and hours count recordings with a present file."""

    tracks: int
    files: int
    failed: int
    gone: int
    short: int
    hours: float
