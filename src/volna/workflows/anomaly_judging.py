"""`anomaly predict`: recordings judged by a saved detector, with tables and pictures."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from volna.errors import ModelError, VolnaError
from volna.features.machine import MACHINE_VERSION
from volna.plots.anomaly import draw_anomaly
from volna.plots.figure import can_draw
from volna.pool import Task
from volna.tasks import saved
from volna.tasks.anomaly.detector import Judgement
from volna.workflows.anomaly import KIND, LONG_TIMEOUT_S
from volna.workflows.anomaly_files import section_of
from volna.workflows.anomaly_results import AnomalyPrediction, FileScore, check_tables, write_tables
from volna.workflows.common import Progress, silent
from volna.workflows.each_file import as_failure, files_under, work_on
from volna.workflows.files import new_file

__all__ = ["anomaly_predict"]


def anomaly_predict(
    paths: Sequence[str | Path],
    model: str | Path,
    *,
    output: str | Path | None = None,
    plot: str | Path | None = None,
    force: bool = False,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> AnomalyPrediction:
    """Judge recordings: a score and a decision for each, where it is highest, and a time line.

    Parameters
    ----------
    paths : sequence of str or Path
        Files, and folders, walked recursively.
    model : str or Path
        From `anomaly_train`.
    output : str or Path, optional
        A folder for ``anomaly_score_SECTION.csv`` (file, score), ``decision_result_SECTION.csv`` (file, 0 or 1),
        both without a header as DCASE Task 2 wants them, and ``time_line.csv``.
    plot : str or Path, optional
        A folder for a picture of every file.

    Returns
    -------
    AnomalyPrediction

    Raises
    ------
    ModelError
        The model cannot be read, or hears other features than are made now.
    InputError
        No path was given, or an output exists.

    Examples
    --------
    >>> anomaly_predict(["today.wav"], "fan.volna").files[0].abnormal  # doctest: +SKIP
    False
    """
    started_s, said = time.monotonic(), progress or silent
    content, known, section_from, limits = _read_model(model)
    if plot is not None and not can_draw():
        raise VolnaError("pictures need matplotlib: pip install 'volna[plots]'")
    files, failures = files_under(paths, progress)
    if output is not None:
        check_tables(known, output, force=force)
    roots = [os.path.abspath(os.path.expanduser(path)) for path in paths]
    sections = {file: section_of(file, roots, section_from, known) for file in files}
    scores: dict[str, FileScore] = {}
    drawn: list[str] = []
    outcomes = work_on(
        files,
        len(files),
        "volna.workflows.anomaly_jobs:judge_file",
        (roots, section_from, plot is not None),
        jobs=jobs,
        timeout_s=LONG_TIMEOUT_S,
        setup=Task("volna.workflows.anomaly_jobs:use_detector", (content, str(model))),
        on_done=lambda done: said("Judging", done, len(files), f"{len(failures)} failed" if failures else ""),
    )
    for outcome in outcomes:
        path = str(outcome.task.tag)
        if not outcome.ok:
            failures.append(as_failure(outcome))
            continue
        judgement, picture = outcome.result
        scores[path] = _file_score(path, sections[path], judgement, *limits[sections[path]])
        if plot is not None and picture is not None:
            drawn.append(_draw(scores[path], picture, Path(plot).expanduser(), force))
    ordered = [scores[file] for file in files if file in scores]
    written = write_tables(ordered, output, force=force) if output is not None and ordered else []
    seconds = round(time.monotonic() - started_s, 1)
    return AnomalyPrediction(str(model), ordered, written + sorted(drawn), seconds, failures)


def _read_model(model: str | Path) -> tuple[bytes, list[str], str | None, dict[str, tuple[float, float]]]:
    """Its bytes, its sections, how files tell theirs, and the thresholds of files and of windows by section."""
    place = Path(model).expanduser()
    read = saved.load(place, KIND)
    settings = read.settings
    if settings.get("hears") != MACHINE_VERSION:
        raise ModelError(f"{model}: hears other features than this version of Volna makes; train it again")
    known = [str(section) for section in settings.get("sections", [])]
    try:
        limits = {
            section: (float(read[f"{k}/held.threshold"][0]), float(read[f"{k}/held.window_threshold"][0]))
            for k, section in enumerate(known)
        }
    except (KeyError, IndexError) as error:
        raise ModelError(f"{model}: the file is damaged ({error} is missing)") from error
    return place.read_bytes(), known, settings.get("section_from"), limits


def _file_score(path: str, section: str, judgement: Judgement, limit: float, window_limit: float) -> FileScore:
    top = int(judgement.timeline.argmax())
    return FileScore(
        path, section, judgement.score, limit, judgement.abnormal, judgement.by_scorer,
        float(judgement.start_s[top]), window_limit, judgement.start_s, judgement.timeline,
    )  # fmt: skip


def _draw(score: FileScore, picture: Mapping[str, np.ndarray], folder: Path, force: bool) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{Path(score.path).stem}.png"
    number = 2
    while not force and target.exists():
        target, number = folder / f"{Path(score.path).stem} {number}.png", number + 1
    with new_file(target, force=force) as file:
        draw_anomaly(
            picture["mel"], picture["errors"], score.start_s, score.timeline, file, first_s=float(picture["first_s"]),
            window_threshold=score.window_threshold, score=score.score, threshold=score.threshold,
            title=Path(score.path).name,
        )  # fmt: skip
    return str(target)
