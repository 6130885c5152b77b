"""Labels of an evaluation: from a CSV, from folder names, or from genre tags."""

from __future__ import annotations

import csv
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from volna.errors import InputError
from volna.library.store import TrackRow

__all__ = ["LABEL_SOURCES", "Labels", "read_labels"]

LABEL_SOURCES = ("folder", "genre")
LABEL_COLUMNS = ("label", "class", "genre", "primary_genre")
GROUP_COLUMNS = ("group", "artist_group", "artist")
MIN_GENRES, MIN_TRACKS_OF_A_GENRE = 2, 10


@dataclass(frozen=True)
class Labels:
    """A label of each path, and the group (artist) of those that the source of the labels names one for."""

    name: str
    labels: dict[str, str]
    groups: dict[str, str] = field(default_factory=dict)


def read_labels(rows: Sequence[TrackRow], file: str | Path | None, source: str | None) -> Labels | None:
    """Labels of the tracks; None when there are none and the halves of the tracks have to do.

    Raises
    ------
    InputError
        Both a file and a source were given, the source is unknown, or nothing usable came of them.
    """
    if file is not None and source is not None:
        raise InputError("expected labels from a CSV or from folder or genre, got both; give one of them")
    if source not in (None, *LABEL_SOURCES):
        raise InputError(f"labels-from: expected one of {', '.join(LABEL_SOURCES)}, got {source!r}")
    if file is not None:
        return _checked(_from_csv(rows, str(file)))
    if source == "folder":
        return _checked(Labels("folder", {row.path: Path(row.path).parent.name for row in rows}))
    genres = Labels("genre", {row.path: row.genre.casefold() for row in rows if row.genre})
    if source == "genre":
        return _checked(genres)
    counts = Counter(genres.labels.values())
    large = {genre for genre, n in counts.items() if n >= MIN_TRACKS_OF_A_GENRE}
    if len(large) < MIN_GENRES:
        return None
    return Labels("genre", {path: genre for path, genre in genres.labels.items() if genre in large})


def _checked(labels: Labels) -> Labels:
    """Drop labels of a single track, which nothing can match; at least two labels have to be left."""
    counts = Counter(labels.labels.values())
    kept = {path: label for path, label in labels.labels.items() if counts[label] > 1}
    if len(set(kept.values())) < 2:
        raise InputError(
            f"labels by {labels.name}: expected at least two labels with two tracks of the library each, "
            f"got {len(set(kept.values()))}"
        )
    return Labels(labels.name, kept, labels.groups)


def _from_csv(rows: Sequence[TrackRow], given: str) -> Labels:
    """Read ``path,label[,artist]``; ``FILE:COLUMN`` takes the labels from another column."""
    file, column = os.path.expanduser(given), None
    if not Path(file).exists() and ":" in file:
        file, column = file.rsplit(":", 1)
    try:
        with open(file, newline="", encoding="utf-8-sig", errors="surrogateescape") as text:
            reader = csv.DictReader(text)
            table, header = list(reader), list(reader.fieldnames or ())
    except (OSError, csv.Error) as error:
        raise InputError(f"{file}: the labels cannot be read: {getattr(error, 'strerror', None) or error}") from error
    label_column = column or next((name for name in LABEL_COLUMNS if name in header), None)
    if "path" not in header or label_column not in header:
        raise InputError(
            f"{file}: expected a CSV with the columns path and {column or 'label'}, "
            f"got {', '.join(header) or 'nothing'}"
        )
    group_column = next((name for name in GROUP_COLUMNS if name in header), None)
    tracks = {path: row.path for row in rows for path in (row.path, *row.copies)}
    labels, groups = {}, {}
    for line in table:
        named = os.path.abspath(os.path.join(os.path.dirname(file), line["path"] or ""))
        path = tracks.get(named) or tracks.get(os.path.realpath(named))
        if path and line[label_column]:
            labels[path] = line[label_column]
            if group_column and line[group_column]:
                groups[path] = line[group_column]
    if table and not labels:
        raise InputError(f"{file}: none of its {len(table)} paths is a track of the library with a label")
    return Labels(f"{Path(file).name}, {label_column}", labels, groups)
