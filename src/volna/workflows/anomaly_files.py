"""Which sounds there are, and of each whether it is normal, which machine (section) and which source (group)."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from volna.errors import InputError
from volna.workflows.common import Progress
from volna.workflows.each_file import files_under
from volna.workflows.labelled import GROUP_COLUMNS
from volna.workflows.results import Failure

__all__ = ["ONE_SECTION", "MachineFile", "read_machines", "section_of"]

ONE_SECTION = "all"  # the name where there is but one machine
FOLDER = "folder"  # --section-from folder: the first folder is the machine


@dataclass(frozen=True)
class MachineFile:
    """A sound: ``label`` is empty where none was asked for or found, ``group`` where none was given."""

    path: str
    name: str  # relative to the folder, or as the CSV has it
    label: str = ""
    section: str = ONE_SECTION
    group: str = ""


def read_machines(
    source: str | Path,
    *,
    labelled: bool,
    label_from: str | None = None,
    section_from: str | None = None,
    group_from: str | None = None,
    progress: Progress | None = None,
) -> tuple[list[MachineFile], list[Failure]]:
    """The sounds of a folder or a CSV (``path`` and, where there are any, ``label``, ``section``, ``group``).

    Parameters
    ----------
    labelled
        Labels are wanted: of the CSV, by ``label_from``, or the name of the first folder (the second one where the
        first is the section). Files without one are failures.
    label_from, section_from, group_from
        Regular expressions searched in the path relative to the folder (or in the CSV's path); the first group, or the
        whole match, is the name. ``section_from="folder"`` takes the first folder.

    Raises
    ------
    InputError
        The source is missing or empty, a column is missing, or an expression is none or matches no file.
    """
    place = Path(source).expanduser()
    if place.is_dir():
        files, failures = files_under([place], progress)
        root = os.path.abspath(place)
        found = [MachineFile(path, os.path.relpath(path, root)) for path in files]
    elif place.is_file():
        found, failures = _from_csv(place), []
    else:
        raise InputError(f"{place}: expected a folder with sounds, or a CSV; there is no such thing")
    if not found:
        raise InputError(f"{place}: expected sounds, found none")
    sections = _sections(found, section_from)
    groups = _named(found, group_from, "--group-from") if group_from else [file.group for file in found]
    labels = _labels(found, label_from, section_from == FOLDER) if labelled else [""] * len(found)
    kept = []
    for file, label, section, group in zip(found, labels, sections, groups, strict=True):
        missing = "label" if labelled and not label else "section" if not section else ""
        if missing:
            failures.append(Failure(file.path, f"has no {missing}"))
        else:
            kept.append(replace(file, label=label, section=section, group=group))
    if not kept:
        raise InputError(f"{place}: expected sounds with a {'label and a ' if labelled else ''}section, found none")
    return kept, failures


def section_of(path: str, roots: Sequence[str], section_from: str | None, known: Sequence[str]) -> str:
    """The section of a file to be judged, or "" where it cannot be told; of a single one, that one."""
    if len(known) == 1:
        return known[0]
    if section_from is None or section_from == FOLDER:
        folders = Path(path).parts[:-1]
        return next((folder for folder in reversed(folders) if folder in known), "")
    inside = [os.path.relpath(path, root) for root in roots if os.path.isdir(root) and path.startswith(root)]
    names = [*inside, os.path.basename(path), path]
    matches = (re.search(section_from, name) for name in names)
    return next((_text(match) for match in matches if match), "")


def _from_csv(file: Path) -> list[MachineFile]:
    try:
        with open(file, newline="", encoding="utf-8-sig", errors="surrogateescape") as text:
            reader = csv.DictReader(text)
            table, header = list(reader), list(reader.fieldnames or ())
    except (OSError, csv.Error) as error:
        raise InputError(f"{file}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if "path" not in header:
        raise InputError(f"{file}: expected a CSV with the column path, got {', '.join(header) or 'nothing'}")
    group = next((column for column in GROUP_COLUMNS if column in header), "")
    return [
        MachineFile(
            os.path.abspath(file.parent / line["path"]),
            line["path"],
            line.get("label") or "",
            line.get("section") or ("" if "section" in header else ONE_SECTION),
            (line.get(group) or "") if group else "",
        )
        for line in table
        if line["path"]
    ]


def _sections(files: Sequence[MachineFile], section_from: str | None) -> list[str]:
    if section_from is None:
        return [file.section for file in files]
    if section_from == FOLDER:
        return [Path(file.name).parts[0] if len(Path(file.name).parts) > 1 else "" for file in files]
    return _named(files, section_from, "--section-from")


def _labels(files: Sequence[MachineFile], label_from: str | None, after_section: bool) -> list[str]:
    if label_from is not None:
        return _named(files, label_from, "--label-from")
    if any(file.label for file in files):
        return [file.label for file in files]
    place = 1 if after_section else 0
    parts = [Path(file.name).parts[:-1] for file in files]
    return [folders[place] if len(folders) > place else "" for folders in parts]


def _named(files: Sequence[MachineFile], expression: str, option: str) -> list[str]:
    try:
        pattern = re.compile(expression)
    except re.error as error:
        raise InputError(f"{option}: {expression!r} is no regular expression: {error}") from error
    matches = [pattern.search(file.name) for file in files]
    if not any(matches):
        raise InputError(f"{option}: {expression!r} matches none of the {len(files)} paths, as {files[0].name!r}")
    return [_text(match) if match else "" for match in matches]


def _text(match: re.Match[str]) -> str:
    return (match[1] if match.re.groups else match[0]) or ""
