"""`classify train`: learn labels from sounds, and write what was learnt into a file."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from volna.errors import ModelError
from volna.pool import Pool, Task, default_jobs
from volna.tasks import scores
from volna.tasks.classification import VectorClassifier
from volna.workflows.classify_model import Classifier, classifier_bytes, pictures_of, stacked
from volna.workflows.classify_sounds import HeardSet, Hearing, hear_labelled, hearing_of
from volna.workflows.common import Progress, silent
from volna.workflows.files import check_free, new_file
from volna.workflows.labelled import read_labelled
from volna.workflows.results import Failure

__all__ = ["ClassifyTraining", "classify_train", "network_settings"]

SHORTEST_SEGMENT_S, LONGEST_SEGMENT_S = 0.5, 10.0
TRAIN_TIME_S = 120.0


@dataclass
class ClassifyTraining:
    """What a training of a classifier made, and how well it did on groups held out while it was chosen.

    ``held_out`` holds accuracy, log loss and calibration error; these chose the classifier, so an evaluation is a
    little lower. None for networks.
    """

    output: str
    kind: str
    by: str
    labels: dict[str, int]
    n_groups: int
    grouped: bool
    chosen: list[str]
    held_out: dict[str, float] | None
    segment_s: float
    n_bytes: int = 0
    seconds: float = 0.0
    failures: list[Failure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def classify_train(
    source: str | Path,
    output: str | Path,
    *,
    kind: str = "auto",
    by: str = "auto",
    model: str | Path | None = None,
    weights: str | Path | None = None,
    fine_tune: bool = False,
    label_from: str | None = None,
    group_from: str | None = None,
    label_column: str = "label",
    group_column: str | None = None,
    train_time_s: float = TRAIN_TIME_S,
    library: str | Path | None = None,
    seed: int = 0,
    force: bool = False,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> ClassifyTraining:
    """Learn to tell the labels of sounds, and write what was learnt into a file.

    Parameters
    ----------
    source : str or Path
        A folder with a folder per label, or a CSV (path, label and, where known, group).
    output : str or Path
        The model file.
    kind : str
        ``auto``, ``logistic`` or ``svm`` on vectors; ``cnn``, ``crnn``, ``backbone``, ``resnet50``, ``efficientnet`` or
        ``vgg16`` on pictures.
    by : str
        The vectors: ``auto``, ``descriptors``, ``spectrum``, ``patch``, ``autoencoder`` or ``both``.
    model : str or Path, optional
        An autoencoder's checkpoint; by default the library's where one is needed.
    weights : str or Path, optional
        Of a vision network.
    fine_tune : bool
        Train the body of a backbone or vision network as well.
    label_from, group_from, label_column, group_column
        See `volna.workflows.labelled.read_labelled`.
    train_time_s : float
        The longest training of a network.
    library, seed, force, jobs, progress
        As everywhere.

    Raises
    ------
    InputError
        The output exists, or nothing can be learnt from the labels.
    ModelError
        An autoencoder is needed and missing, or cannot be used.

    Examples
    --------
    >>> classify_train("sounds", "sounds.model").held_out["accuracy"]  # doctest: +SKIP
    0.91
    """
    started_s, said = time.monotonic(), progress or silent
    target = Path(output).expanduser()
    check_free(target, force=force)
    hearing = hearing_of(kind, by, model, library)
    files = read_labelled(
        source, label_from=label_from, group_from=group_from, label_column=label_column, group_column=group_column,
        progress=said,
    )  # fmt: skip
    heard = hear_labelled(files, hearing, jobs=jobs, progress=said)
    if hearing.is_network:
        settings = network_settings(hearing, weights, fine_tune, train_time_s)
        classifier = _train_network(heard, hearing, settings, seed, said)
    else:
        classifier = _train_vectors(heard, hearing, seed, said)
    content = classifier_bytes(classifier)
    with new_file(target, force=force) as file:
        file.write(content)
    return _training(classifier, heard, by, str(target), len(content), time.monotonic() - started_s)


def network_settings(
    hearing: Hearing, weights: str | Path | None, fine_tune: bool, train_time_s: float
) -> dict[str, Any]:
    """What the training of a network is told, but for the sounds."""
    return {
        "kind": hearing.kind,
        "checkpoint": hearing.checkpoint,
        "weights": str(Path(weights).expanduser()) if weights else None,
        "freeze": not fine_tune,
        "time_budget_s": train_time_s,
    }


def _train_vectors(heard: HeardSet, hearing: Hearing, seed: int, progress: Progress) -> Classifier:
    progress("Training", 0, None, "")
    files = heard.files
    learnt = VectorClassifier(kind=hearing.kind, seed=seed)
    learnt.fit(stacked(heard.sounds, hearing.views), files.labels, files.groups)
    truth = np.array([learnt.classes_.index(label) for label in files.labels])
    about = {
        "accuracy": scores.accuracy(truth, learnt.held_out_.argmax(axis=1)),
        "log_loss": scores.log_loss(truth, learnt.held_out_),
        "calibration_error": scores.calibration_error(truth, learnt.held_out_),
    }
    checkpoint = hearing.checkpoint if "autoencoder" in learnt.views_ else None
    return Classifier(
        hearing.kind, learnt.classes_, learnt, None, checkpoint, None, _segment_s(heard), {"held_out": about}
    )


def _train_network(
    heard: HeardSet, hearing: Hearing, settings: dict[str, Any], seed: int, progress: Progress
) -> Classifier:
    files = heard.files
    numbers = np.array([files.classes.index(label) for label in files.labels])
    pictures = pictures_of(heard.sounds, hearing.kind)
    arguments = (settings, pictures, numbers, files.groups, len(files.classes), seed)

    def report(task: Task, message: Any) -> None:
        progress("Training", round(1000 * message[1].get("fraction", 0.0)), 1000, "")

    with Pool(1, n_threads=default_jobs()) as pool:
        (outcome,) = pool.run([Task("volna.workflows.classify_jobs:fit_network", arguments)], report)
    if not outcome.ok:
        raise ModelError(f"the training failed: {outcome.reason}")
    return Classifier(
        hearing.kind, files.classes, None, outcome.result, None, heard.picture_rate, _segment_s(heard), {}
    )


def _segment_s(heard: HeardSet) -> float:
    """The usual length of the sounds, within bounds."""
    usual = float(np.median([sound.duration_s for sound in heard.sounds]))
    return round(min(max(usual, SHORTEST_SEGMENT_S), LONGEST_SEGMENT_S), 3)


def _training(
    classifier: Classifier, heard: HeardSet, by: str, output: str, n_bytes: int, seconds: float
) -> ClassifyTraining:
    parts = classifier.vectors.parts_ if classifier.vectors else []
    return ClassifyTraining(
        output=output,
        kind=classifier.kind,
        by=by,
        labels=dict(sorted(Counter(heard.files.labels).items())),
        n_groups=len(set(heard.files.groups)),
        grouped=heard.files.grouped,
        chosen=[f"{part.weight:.2f} {part.kind} {part.c:g} on {part.view}" for part in parts] or [classifier.kind],
        held_out=classifier.about.get("held_out"),
        segment_s=classifier.segment_s,
        n_bytes=n_bytes,
        seconds=round(seconds, 1),
        failures=heard.failures,
        notes=heard.notes,
    )
