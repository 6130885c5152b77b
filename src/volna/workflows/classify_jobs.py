"""What of the classification runs in child processes: folds of an evaluation, trainings, answers for files."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from volna import embedding
from volna.tasks.baselines import baseline_answers, majority_answers, prior_hits
from volna.tasks.classification import VectorClassifier
from volna.workflows.classify_model import Classifier, classifier_from, pictures_of
from volna.workflows.task_jobs import hear_segments, hear_sound

__all__ = [
    "FoldAnswers",
    "Labelled",
    "fit_network",
    "fold_of_network",
    "fold_of_vectors",
    "label_file",
    "see_file",
    "use_classifier",
]


@dataclass
class FoldAnswers:
    """What is said of the test part of one fold, by the model and by the baselines.

    ``probabilities`` are float64 ``(n_test, n_classes)`` in the order of all labels; ``answers`` are labels by the name
    of the baseline; ``prior`` is how often an answer drawn by the shares of the labels would be right.
    """

    probabilities: np.ndarray
    answers: dict[str, list[str]]
    prior: np.ndarray
    chosen: str


@dataclass
class Labelled:
    """Probabilities of one file, or of its segments: float64 ``(n, n_classes)``, NaN where there is silence."""

    start_s: np.ndarray
    end_s: np.ndarray
    probabilities: np.ndarray


def fold_of_vectors(
    views: Mapping[str, np.ndarray],
    baselines: Mapping[str, np.ndarray],
    labels: Sequence[str],
    groups: Sequence[str],
    train: np.ndarray,
    test: np.ndarray,
    kind: str,
    seed: int,
) -> FoldAnswers:
    """Choose and fit a classifier of vectors on the training part; what it and the baselines say of the test part."""
    classes = sorted(set(labels))
    train_labels = [labels[k] for k in train]
    model = VectorClassifier(kind=kind, seed=seed)
    model.fit({name: rows[train] for name, rows in views.items()}, train_labels, [groups[k] for k in train])
    made = model.predict_proba({name: rows[test] for name, rows in views.items()})
    probabilities = np.zeros((len(test), len(classes)))
    probabilities[:, [classes.index(label) for label in model.classes_]] = made
    chosen = ", ".join(f"{part.weight:.2f} {part.kind} {part.c:g} on {part.view}" for part in model.parts_)
    return _with_baselines(probabilities, baselines, labels, groups, train, test, seed, chosen)


def fold_of_network(
    pictures: Sequence[np.ndarray],
    baselines: Mapping[str, np.ndarray],
    labels: Sequence[str],
    groups: Sequence[str],
    train: np.ndarray,
    test: np.ndarray,
    settings: Mapping[str, Any],
    seed: int,
) -> Generator[Any, Any, FoldAnswers]:
    """Train a network on the training part; what it and the baselines say of the test part."""
    classes = sorted(set(labels))
    chosen = [pictures[k] for k in train]
    numbers = np.array([classes.index(labels[k]) for k in train])
    network = yield from fit_network(settings, chosen, numbers, [groups[k] for k in train], len(classes), seed)
    from volna.models.classifier_use import predict_probabilities

    probabilities = np.asarray(predict_probabilities(network, [pictures[k] for k in test]))
    return _with_baselines(probabilities, baselines, labels, groups, train, test, seed, settings["kind"])


def fit_network(
    settings: Mapping[str, Any],
    pictures: Sequence[np.ndarray],
    numbers: np.ndarray,
    groups: Sequence[str],
    n_classes: int,
    seed: int,
) -> Generator[Any, Any, bytes]:
    """Train a network; says how far it is on the way."""
    from volna.training.classifier import fit_task

    given = {"pictures": pictures, "labels": numbers, "groups": np.asarray(groups), "n_classes": n_classes}
    network: bytes = yield from fit_task({**settings, **given, "seed": seed})
    return network


def _with_baselines(
    probabilities: np.ndarray,
    baselines: Mapping[str, np.ndarray],
    labels: Sequence[str],
    groups: Sequence[str],
    train: np.ndarray,
    test: np.ndarray,
    seed: int,
    chosen: str,
) -> FoldAnswers:
    train_labels = [labels[k] for k in train]
    answers = {"majority": majority_answers(train_labels, len(test))}
    for name, vectors in baselines.items():
        answers[name] = baseline_answers(vectors, labels, groups, train, test, seed)
    return FoldAnswers(probabilities, answers, prior_hits(train_labels, [labels[k] for k in test]), chosen)


_classifier: Classifier | None = None


def use_classifier(content: bytes) -> None:
    """Load the classifier that `label_file` asks (the setup of a pool)."""
    global _classifier
    _classifier = classifier_from(content)
    embedding.use_model(_classifier.checkpoint if "autoencoder" in _classifier.want else None)


def label_file(path: str, segment_s: float | None, hop_s: float | None) -> Labelled:
    """What the classifier says of a file, or of each segment of it."""
    assert _classifier is not None, "use_classifier() comes first"
    if segment_s is None or hop_s is None:
        sound = hear_sound(path, _classifier.want, picture_rate=_classifier.picture_rate)
        return Labelled(np.zeros(1), np.array([sound.duration_s]), _classifier.probabilities([sound]))
    places: list[tuple[float, float]] = []
    rows: list[np.ndarray] = []
    silence = np.full(len(_classifier.classes), np.nan)
    for segment in hear_segments(path, _classifier.want, segment_s, hop_s, _classifier.picture_rate):
        places.append((segment.start_s, segment.end_s))
        rows.append(_classifier.probabilities([segment.sound])[0] if segment.sound else silence)
    starts, ends = np.array(places).T
    return Labelled(starts, ends, np.stack(rows))


def see_file(
    path: str, label: str | None, with_filters: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None, int, float]:
    """The picture of a file, what spoke in it for a label, the first filters, the label's number and probability."""
    from volna.models.classifier_use import class_activation, first_filters

    assert _classifier is not None, "use_classifier() comes first"
    assert _classifier.network is not None
    sound = hear_sound(path, _classifier.want, picture_rate=_classifier.picture_rate)
    (shown,) = pictures_of([sound], _classifier.kind)
    (probabilities,) = _classifier.probabilities([sound])
    k = _classifier.classes.index(label) if label is not None else int(probabilities.argmax())
    activation = class_activation(_classifier.network, shown, k)
    filters = first_filters(_classifier.network) if with_filters else None
    return shown, activation, filters, k, float(probabilities[k])
