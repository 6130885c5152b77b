"""Scan: how what lies on the disk differs from what the catalogue knows.

`walk` finds the files (`volna.library.walk`), `compare` sets them against the catalogue; neither writes anything.
A file is *gone* only when its absence proves something: it lay beneath a path that was given, that could be read, and
that holds music still. An empty folder may be the place of a disk that is not mounted, so it proves nothing.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from volna.library.store.rows import FileRecord
from volna.library.walk import FoundFile, Scan, walk

__all__ = ["Changes", "FoundFile", "Scan", "compare", "walk"]

MOST_WARNINGS = 20


@dataclass
class Changes:
    """How the disk differs from the catalogue. Every found file is in exactly one of the first five lists.

    Attributes
    ----------
    new, changed, unchanged : list of FoundFile
        ``changed``: another size or time, or analysed by other features.
    failed_before : list of (str, str)
        Path and reason of the files that failed and are unchanged since: not tried again.
    back : list of str
        Gone, and there again unchanged.
    gone : list of str
        Paths that the catalogue knows, and that the disk has no more or that a pattern now leaves out.
    suspicious_roots : list of str
        Paths and folders that are missing, unreadable or suddenly without music: nothing beneath was judged gone.
    emptied : list of str
        Folders beneath the paths given that hold nothing at all any more; nothing beneath was judged gone either.
    warnings : list of str
        A sentence for each reason not to judge.
    """

    new: list[FoundFile] = field(default_factory=list)
    changed: list[FoundFile] = field(default_factory=list)
    unchanged: list[FoundFile] = field(default_factory=list)
    failed_before: list[tuple[str, str]] = field(default_factory=list)
    back: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    suspicious_roots: list[str] = field(default_factory=list)
    emptied: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def compare(
    scan: Scan, known: Mapping[str, FileRecord], *, features_version: str | None = None, retry: bool = False
) -> Changes:
    """Sort what a walk found by what the catalogue knew of it; see `Changes`.

    Parameters
    ----------
    scan : Scan
    known : mapping of str to FileRecord
        `Catalogue.files_under` of the same paths.
    features_version : str, optional
        Files analysed by another version, or failed with it, count as changed.
    retry : bool
        Try again what failed before.

    Returns
    -------
    Changes
    """
    changes = Changes()
    for found in scan.found:
        _sort(found, known.get(found.path), changes, features_version, retry)
    _judge(scan, known, changes)
    return changes


def _sort(
    found: FoundFile, record: FileRecord | None, changes: Changes, features_version: str | None, retry: bool
) -> None:
    if record is None:
        changes.new.append(found)
    elif (record.size, record.mtime_ns) != (found.size, found.mtime_ns) or (
        features_version is not None and record.features_version != features_version
    ):
        changes.changed.append(found)
    elif record.state == "failed":
        if retry:
            changes.changed.append(found)
        else:
            changes.failed_before.append((found.path, record.reason or ""))
    elif record.state == "gone":
        changes.back.append(found.path)
    else:
        changes.unchanged.append(found)


def _judge(scan: Scan, known: Mapping[str, FileRecord], changes: Changes) -> None:
    """Split the absent files into gone ones and those that nobody can judge now."""
    present = {found.path for found in scan.found}
    absent = [path for path, record in known.items() if path not in present and record.state != "gone"]
    reasons = _reasons_not_to_judge(scan, absent)
    roots = set(scan.roots)
    doubts = Counter[str]()  # folder -> absent files beneath it
    verdicts: dict[str, tuple[bool, str | None]] = {}  # folder -> whether beneath a root, what casts a doubt on it
    for path in absent:
        folder = os.path.dirname(path)
        if folder not in verdicts:
            above = _upwards(folder)
            verdicts[folder] = not roots.isdisjoint(above), next((f for f in reversed(above) if f in reasons), None)
        asked, doubt = verdicts[folder]
        doubt = doubt or (path if path in reasons else None)
        if doubt is not None:
            doubts[doubt] += 1
        elif asked or path in roots:
            changes.gone.append(path)
    _explain(scan, reasons, doubts, changes)


def _reasons_not_to_judge(scan: Scan, absent: Sequence[str]) -> dict[str, str]:
    """Folder -> why nothing beneath it can be judged; an empty reason needs no sentence."""
    reasons = dict.fromkeys([*scan.not_judged, *scan.dangling], "")
    reasons |= dict.fromkeys(scan.empty, "is empty")
    reasons |= dict.fromkeys(scan.unreadable, "cannot be read")
    with_audio = _at_and_above([found.path for found in scan.found]) | _at_and_above(scan.excluded)
    for root in _at_and_above(absent).intersection(scan.roots) - with_audio:
        reasons.setdefault(root, "holds no music any more")
    return reasons | dict.fromkeys(scan.missing, "is not there")


def _explain(scan: Scan, reasons: Mapping[str, str], doubts: Counter[str], changes: Changes) -> None:
    for folder in sorted(doubts.keys() | {*scan.missing, *scan.unreadable}):
        if not reasons[folder]:
            continue
        emptied = reasons[folder] == "is empty" and folder not in scan.roots
        (changes.emptied if emptied else changes.suspicious_roots).append(folder)
        changes.warnings.append(_sentence(folder, reasons[folder], doubts[folder]))
    if len(changes.warnings) > MOST_WARNINGS:
        n_more = len(changes.warnings) - MOST_WARNINGS
        changes.warnings[MOST_WARNINGS:] = [f"and {n_more} more folders in which nothing was judged gone"]
    if scan.dangling:
        changes.warnings.append(f"links that lead nowhere: {len(scan.dangling)}, such as {scan.dangling[0]}")


def _sentence(folder: str, reason: str, n_files: int) -> str:
    if not n_files:
        return f"{folder} {reason}"
    files = "1 known file was" if n_files == 1 else f"{n_files} known files were"
    hint = "" if reason == "cannot be read" else "; if it is no disk to be mounted, use: volna forget"
    return f"{folder} {reason}: {files} left as before{hint}"


def _at_and_above(paths: Iterable[str]) -> set[str]:
    """The paths and all folders above them."""
    found: set[str] = set()
    for path in paths:
        found.add(path)
        folder = os.path.dirname(path)
        while folder not in found:
            found.add(folder)
            folder = os.path.dirname(folder)
    return found


def _upwards(folder: str) -> list[str]:
    """The folder and those above it, innermost first."""
    above = [folder]
    while (parent := os.path.dirname(above[-1])) != above[-1]:
        above.append(parent)
    return above
