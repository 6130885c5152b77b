"""What comes back from anomaly detection, and its tables in the form of DCASE Task 2."""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from volna.tasks.anomaly.measures import SectionScore
from volna.workflows.files import check_free, new_file
from volna.workflows.results import Failure

__all__ = [
    "AnomalyEvaluation",
    "AnomalyPrediction",
    "AnomalyTraining",
    "FileScore",
    "MethodScore",
    "TrainedSection",
    "check_tables",
    "write_tables",
]


@dataclass(frozen=True)
class TrainedSection:
    """A machine that was learnt: files and windows of a second, and the score above which a file is abnormal."""

    section: str
    n_files: int
    n_windows: int
    threshold: float


@dataclass
class AnomalyTraining:
    """The sum of `anomaly train`."""

    output: str
    sections: list[TrainedSection]
    n_bytes: int
    seconds: float
    failures: list[Failure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class FileScore:
    """One recording judged.

    ``score`` is in spreads of held-out normal scores; ``highest_s`` is where the time line is highest; ``start_s`` and
    ``timeline`` are the windows and their scores, on a scale of their own with ``window_threshold``.
    """

    path: str
    section: str
    score: float
    threshold: float
    abnormal: bool
    by_scorer: dict[str, float]
    highest_s: float
    window_threshold: float
    start_s: np.ndarray
    timeline: np.ndarray

    def as_dict(self) -> dict[str, Any]:
        values = dict(vars(self))
        return values | {"start_s": self.start_s.tolist(), "timeline": self.timeline.tolist()}


@dataclass
class AnomalyPrediction:
    """The answer to `anomaly predict`; ``written`` are the tables and pictures."""

    model: str
    files: list[FileScore]
    written: list[str]
    seconds: float
    failures: list[Failure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return {**vars(self), "files": [file.as_dict() for file in self.files], "failures": _dicts(self.failures)}


@dataclass(frozen=True)
class MethodScore:
    """A method over all sections: mean AUC and pAUC, each ``(value, low, high)`` with a 95 % interval over groups."""

    method: str
    auc: tuple[float, float, float]
    pauc: tuple[float, float, float]


@dataclass
class AnomalyEvaluation:
    """The answer to `anomaly evaluate`: sections by the fused score, means over them, and every method beside it."""

    sections: list[SectionScore]
    arithmetic_mean: dict[str, float]
    harmonic_mean: dict[str, float]
    methods: list[MethodScore]
    written: list[str]
    seconds: float
    failures: list[Failure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def _dicts(failures: Sequence[Failure]) -> list[dict[str, str]]:
    return [vars(failure) for failure in failures]


Scored = tuple[str, str, float, bool]  # path, section, score, abnormal


def _as_rows(files: Iterable[FileScore | Scored]) -> list[Scored]:
    return [(f.path, f.section, f.score, f.abnormal) if isinstance(f, FileScore) else f for f in files]


def write_tables(
    files: Sequence[FileScore] | Sequence[Scored], folder: str | Path, *, force: bool = False
) -> list[str]:
    """Write scores and decisions, a pair of tables for every section, and the time lines where there are any.

    ``anomaly_score_SECTION.csv`` has a file name and its score in a line, ``decision_result_SECTION.csv`` a file name
    and 1 for abnormal or 0; neither has a header.

    Raises
    ------
    InputError
        One of them exists and `force` is not given.
    """
    place = Path(folder).expanduser()
    place.mkdir(parents=True, exist_ok=True)
    rows = _as_rows(files)
    written = []
    for section in sorted({section for _, section, _, _ in rows}):
        own = [(path, score, said) for path, other, score, said in rows if other == section]
        names = _names([path for path, _, _ in own])
        scores = [[name, f"{score:.6g}"] for name, (_, score, _) in zip(names, own, strict=True)]
        decisions = [[name, str(int(said))] for name, (_, _, said) in zip(names, own, strict=True)]
        for kind, table in (("anomaly_score", scores), ("decision_result", decisions)):
            written.append(_write(place / f"{kind}_{_safe(section)}.csv", table, force))
    if lines := [line for file in files if isinstance(file, FileScore) for line in _time_line(file)]:
        written.append(_write(place / "time_line.csv", [["path", "start_s", "score", "above"], *lines], force))
    return written


def check_tables(sections: Iterable[str], folder: str | Path, *, force: bool = False) -> None:
    """Refuse a folder in which a table of these sections lies already, before the work begins."""
    place = Path(folder).expanduser()
    if not place.exists():
        return
    for section in sections:
        for kind in ("anomaly_score", "decision_result"):
            check_free(place / f"{kind}_{_safe(section)}.csv", force=force)


def _time_line(file: FileScore) -> list[list[str]]:
    return [
        [file.path, f"{start_s:.1f}", f"{score:.6g}", str(int(score > file.window_threshold))]
        for start_s, score in zip(file.start_s.tolist(), file.timeline.tolist(), strict=True)
    ]


def _names(paths: Sequence[str]) -> list[str]:
    """File names, or whole paths where two files share a name."""
    names = [os.path.basename(path) for path in paths]
    return names if len(set(names)) == len(names) else list(paths)


def _safe(section: str) -> str:
    return re.sub(r"[^\w.-]+", "_", section) or "_"


def _write(target: Path, rows: Sequence[Sequence[str]], force: bool) -> str:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(rows)
    with new_file(target, force=force) as file:
        file.write(text.getvalue().encode("utf-8", "surrogateescape"))
    return str(target)
