"""`classify predict`: the labels of sounds, or of the parts of long ones."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from volna.errors import InputError
from volna.features.recipe import MIN_DURATION_S
from volna.pool import Task
from volna.workflows.classify_model import classifier_from, read_classifier
from volna.workflows.classify_segments import LabelledSpan, segment_table, spans_of, write_audacity
from volna.workflows.common import TIMEOUT_S, Progress
from volna.workflows.each_file import each_file
from volna.workflows.files import check_free, new_file
from volna.workflows.results import Failure

__all__ = ["ClassifyPredictions", "Prediction", "classify_predict", "prediction", "prediction_rows", "write_table"]

SEGMENTS_TIMEOUT_S = 3600.0  # hours of sound are minutes of work


@dataclass(frozen=True)
class Prediction:
    """The likeliest label of a file, its probability, and that of every label in the order of the classifier."""

    path: str
    label: str
    probability: float
    probabilities: tuple[float, ...]


@dataclass
class ClassifyPredictions:
    """What a classifier says of files: one `Prediction` each, or, of segments, spans with a label."""

    classes: list[str]
    results: list[Prediction]
    spans: list[LabelledSpan] = field(default_factory=list)
    segment_s: float | None = None
    hop_s: float | None = None
    output: str | None = None
    audacity: str | None = None
    seconds: float = 0.0
    failures: list[Failure] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def classify_predict(
    paths: Sequence[str | Path],
    model: str | Path,
    *,
    output: str | Path | None = None,
    segments: bool = False,
    segment_s: float | None = None,
    hop_s: float | None = None,
    threshold: float = 0.5,
    audacity: str | Path | None = None,
    force: bool = False,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> ClassifyPredictions:
    """Say the label of every sound, or of every part of long ones.

    Parameters
    ----------
    paths : sequence of str or Path
        Files, and folders, walked recursively.
    model : str or Path
        A file of `classify_train`.
    output : str or Path, optional
        A CSV: path, label, probability and a column per label; with segments path, start_s, end_s, label, probability.
    segments : bool
        Label the parts of every file instead of the file: neighbours of one label are joined.
    segment_s, hop_s : float, optional
        How much is heard at once, and the step; by default the usual length of the training sounds, and half of it.
    threshold : float
        A part whose likeliest label is less probable is ``none``.
    audacity : str or Path, optional
        A label file for Audacity, of the spans that are not ``none``; several files follow one another in time.
    force, jobs, progress
        As everywhere.

    Returns
    -------
    ClassifyPredictions
        What could not be heard is in its ``failures``.

    Raises
    ------
    InputError
        No path, an output that exists, lengths that make no sense.
    ModelError
        The model cannot be read.

    Examples
    --------
    >>> classify_predict(["new.wav"], "sounds.model").results[0].label  # doctest: +SKIP
    'dog'
    """
    started_s = time.monotonic()
    targets = [Path(name).expanduser() if name else None for name in (output, audacity)]
    for target in filter(None, targets):
        check_free(target, force=force)
    content = read_classifier(model)
    classifier = classifier_from(content, str(model))
    length_s = (segment_s or classifier.segment_s) if segments or audacity or segment_s or hop_s else None
    step_s = (hop_s or length_s / 2) if length_s else None
    check_lengths(length_s, step_s)
    setup = Task("volna.workflows.classify_jobs:use_classifier", (content,))
    found, failures = each_file(
        paths,
        "volna.workflows.classify_jobs:label_file",
        (length_s, step_s),
        stage="Listening",
        jobs=jobs,
        timeout_s=SEGMENTS_TIMEOUT_S if length_s else TIMEOUT_S,
        setup=setup,
        progress=progress,
    )
    answer = ClassifyPredictions(list(classifier.classes), [], [], length_s, step_s, failures=failures)
    for path in found:
        if length_s:
            answer.spans += spans_of(path, found[path], classifier.classes, threshold)
        else:
            answer.results.append(prediction(path, found[path].probabilities[0], classifier.classes))
    _write_predictions(answer, *targets, force=force)
    answer.seconds = round(time.monotonic() - started_s, 1)
    return answer


def check_lengths(segment_s: float | None, hop_s: float | None) -> None:
    """Refuse segments that make no sense, before anything is heard."""
    if segment_s is not None and hop_s is not None and not (segment_s >= MIN_DURATION_S and 0 < hop_s <= segment_s):
        raise InputError(
            f"expected segments of {MIN_DURATION_S} s or more and a step no longer, got {segment_s:g} and {hop_s:g} s"
        )


def prediction(path: str, probabilities: np.ndarray, classes: Sequence[str]) -> Prediction:
    """The likeliest label of one row of probabilities."""
    k = int(np.argmax(probabilities))
    return Prediction(path, classes[k], float(probabilities[k]), tuple(map(float, probabilities)))


def _write_predictions(answer: ClassifyPredictions, output: Path | None, audacity: Path | None, *, force: bool) -> None:
    if not answer.results and not answer.spans:
        return
    if output is not None:
        rows = segment_table(answer.spans) if answer.segment_s else prediction_rows(answer.results, answer.classes)
        with new_file(output, force=force) as file:
            write_table(file, rows)
        answer.output = str(output)
    if audacity is not None:
        with new_file(audacity, force=force) as file:
            write_audacity(file, answer.spans)
        answer.audacity = str(audacity)


def prediction_rows(results: Sequence[Prediction], classes: Sequence[str]) -> list[list[str]]:
    """Header and rows of a CSV of predictions."""
    rows = [["path", "label", "probability", *classes]]
    for each in results:
        rows.append([each.path, each.label, *(f"{p:.4f}" for p in (each.probability, *each.probabilities))])
    return rows


def write_table(file: BinaryIO, rows: Sequence[Sequence[str]]) -> None:
    """Write rows as CSV: UTF-8; paths that are not UTF-8 keep their bytes."""
    text = io.TextIOWrapper(file, encoding="utf-8", errors="surrogateescape", newline="", write_through=True)
    csv.writer(text, lineterminator="\n").writerows(rows)
    text.detach()
