"""Sounds with a label, and with the group (speaker, artist, source recording) that a split must not tear apart.

A folder with one folder per label, or with labels in the names of its files, or a CSV with the columns ``path``,
``label`` and, where there is one, ``group`` (paths relative to the CSV).
"""

from __future__ import annotations

import csv
import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from volna.errors import InputError
from volna.workflows.common import Progress
from volna.workflows.each_file import files_under
from volna.workflows.results import Failure

__all__ = ["GROUP_COLUMNS", "LabelledFiles", "looks_like_one_source", "read_labelled"]

GROUP_COLUMNS = ("group", "speaker", "actor", "artist", "artist_group", "fold", "source")


@dataclass(frozen=True)
class LabelledFiles:
    """Files in order, each with its label and its group; ``grouped`` tells whether any group was given.

    Without one, every file is a group of its own. ``empty`` are folders of labels in which no sound lies.
    """

    paths: tuple[str, ...]
    labels: tuple[str, ...]
    groups: tuple[str, ...]
    grouped: bool
    failures: tuple[Failure, ...] = ()
    empty: tuple[str, ...] = ()

    @property
    def classes(self) -> tuple[str, ...]:
        """The labels, each once, sorted."""
        return tuple(sorted(set(self.labels)))

    def only(self, paths: Sequence[str]) -> LabelledFiles:
        """The files of these paths, in this order, as when the others could not be read."""
        place = {path: k for k, path in enumerate(self.paths)}
        kept = [place[path] for path in paths]
        return LabelledFiles(
            tuple(self.paths[k] for k in kept),
            tuple(self.labels[k] for k in kept),
            tuple(self.groups[k] for k in kept),
            self.grouped,
            self.failures,
            self.empty,
        )


def read_labelled(
    source: str | Path,
    *,
    label_from: str | None = None,
    group_from: str | None = None,
    label_column: str = "label",
    group_column: str | None = None,
    progress: Progress | None = None,
) -> LabelledFiles:
    r"""Read a folder per label, labels in names, or a CSV, and the group of every file.

    Parameters
    ----------
    source
        A folder whose folders are the labels (what lies deeper belongs to the first of them), or a CSV.
    label_from
        A regular expression searched in the path relative to the folder; its first group, or the whole match, is the
        label: ``"^(\d)_"``. A file whose path it does not match is a failure. None: the first folder is the label.
    group_from
        A regular expression searched in the path relative to the folder (or in the CSV's path); its first group, or
        the whole match, names the group: ``"actor_(\d+)"``.
    label_column, group_column
        Columns of a CSV; by default ``label`` and the first of group, speaker, actor, artist, artist_group, fold,
        source that it has.

    Raises
    ------
    InputError
        The source is missing or empty, a column is missing, the expression is none or matches no file.

    Examples
    --------
    >>> read_labelled("digits", group_from=r"_(\w+)_\d+\.wav$").classes  # doctest: +SKIP
    ('0', '1', '2')
    """
    place = Path(source).expanduser()
    if place.is_dir():
        rows, failures = _from_folder(place, label_from, progress)
    elif place.is_file() and label_from is not None:
        raise InputError(f"{place}: --label-from goes with a folder; a CSV has a column of labels (--label-column)")
    elif place.is_file():
        rows, failures = _from_csv(place, label_column, group_column), []
    else:
        raise InputError(f"{place}: expected a folder with one folder per label, or a CSV; there is no such thing")
    if not rows:
        raise InputError(f"{place}: expected sounds in one folder per label, found none")
    in_folders = place.is_dir() and label_from is None
    empty = _empty_folders(place, {label for _, label, _, _ in rows}) if in_folders else ()
    names = [name for _, _, _, name in rows]
    given = [group for _, _, group, _ in rows]
    groups = _by_expression("--group-from", group_from, names) if group_from is not None else given
    grouped = any(groups)
    return LabelledFiles(
        tuple(path for path, _, _, _ in rows),
        tuple(label for _, label, _, _ in rows),
        tuple(group or f"file {path}" for group, (path, _, _, _) in zip(groups, rows, strict=True)),
        grouped,
        tuple(failures),
        empty,
    )


Row = tuple[str, str, str, str]  # path, label, group or "", name that --group-from looks at


def _from_folder(folder: Path, label_from: str | None, progress: Progress | None) -> tuple[list[Row], list[Failure]]:
    files, failures = files_under([folder], progress)
    root = os.path.abspath(folder)
    names = [os.path.relpath(file, root) for file in files]
    if label_from is not None and names:
        labels, without = _by_expression("--label-from", label_from, names), "--label-from finds no label in its path"
    else:
        labels = [name.partition(os.sep)[0] if os.sep in name else "" for name in names]
        without = "lies beside the folders of the labels, not in one (--label-from finds labels in names)"
    rows = [(file, label, "", name) for file, label, name in zip(files, labels, names, strict=True) if label]
    failures += [Failure(file, without) for file, label in zip(files, labels, strict=True) if not label]
    return rows, failures


def _empty_folders(folder: Path, labels: set[str]) -> tuple[str, ...]:
    """Folders that name a label but hold no sound; hidden ones mean nothing."""
    try:
        found = [entry.name for entry in os.scandir(folder) if entry.is_dir() and not entry.name.startswith(".")]
    except OSError:
        return ()
    return tuple(sorted(set(found) - labels))


def _from_csv(file: Path, label_column: str, group_column: str | None) -> list[Row]:
    try:
        with open(file, newline="", encoding="utf-8-sig", errors="surrogateescape") as text:
            reader = csv.DictReader(text)
            table, header = list(reader), list(reader.fieldnames or ())
    except (OSError, csv.Error) as error:
        raise InputError(f"{file}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
    wanted = ["path", label_column, *([group_column] if group_column else [])]
    if missing := [column for column in wanted if column not in header]:
        raise InputError(
            f"{file}: expected a CSV with the columns {', '.join(wanted)}, got {', '.join(header) or 'nothing'}"
            f" ({', '.join(missing)} missing)"
        )
    group = group_column or next((column for column in GROUP_COLUMNS if column in header), None)
    rows: dict[str, Row] = {}
    for line in table:
        if line["path"] and line[label_column]:
            path = os.path.abspath(os.path.join(file.parent, line["path"]))
            rows[path] = (path, line[label_column], (line[group] or "") if group else "", line["path"])
    return list(rows.values())


def _by_expression(option: str, expression: str, names: Sequence[str]) -> list[str]:
    """What the expression finds in each name, empty where it finds nothing."""
    try:
        pattern = re.compile(expression)
    except re.error as error:
        raise InputError(f"{option}: {expression!r} is no regular expression: {error}") from error
    matches = [pattern.search(name) for name in names]
    if not any(matches):
        raise InputError(f"{option}: {expression!r} matches none of the {len(names)} paths, as {names[0]!r}")
    return [(match[1] if match.re.groups else match[0]) or "" if match else "" for match in matches]


def looks_like_one_source(files: LabelledFiles) -> str | None:
    """A beginning of names that many files share, as takes of one speaker or slices of one recording do; else None.

    Names are cut at their last number or letter after a separator: ``dog_12.wav`` and ``dog_13.wav`` share ``dog``.
    Only a beginning that some, and not all, files of a label share says something.
    """
    stems = [re.sub(r"[ _.-]*(\d+|[A-Za-z])$", "", Path(path).stem) for path in files.paths]
    counts = Counter(zip(files.labels, stems, strict=True))
    sizes = Counter(files.labels)
    shared = [(n, stem) for (label, stem), n in counts.items() if stem and 2 <= n < sizes[label]]
    if sum(n for n, _ in shared) < 0.5 * len(files.paths):
        return None
    return max(shared)[1]
