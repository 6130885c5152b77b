"""A trained classifier of sounds as one file: what it hears, what it has learnt, and the models it needs, inside.

The file is a safetensors file (`volna.tasks.saved`) of kind ``classifier``: the machines of the vectors as arrays, or a
network and an autoencoder as bytes. Nothing in it runs code, and it needs no other file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from volna.errors import InputError, ModelError
from volna.features.recipe import FEATURES_VERSION
from volna.features.wide import WIDE_VERSION
from volna.tasks import saved
from volna.tasks.classification import VectorClassifier
from volna.workflows.task_jobs import HeardSound

__all__ = ["NETWORKS", "VIEWS", "Classifier", "classifier_bytes", "classifier_from", "read_classifier", "views_of"]

FILE_KIND = "classifier"
NETWORKS = ("cnn", "crnn", "backbone", "resnet50", "efficientnet", "vgg16")

# What vectors a sound gets for each answer to "by"; "auto" takes the autoencoder's as well where a model is named.
VIEWS: dict[str, tuple[str, ...]] = {
    "auto": ("descriptors", "spectrum", "patch"),
    "descriptors": ("descriptors",),
    "spectrum": ("spectrum",),
    "patch": ("patch",),
    "autoencoder": ("autoencoder",),
    "both": ("descriptors", "autoencoder"),
}


@dataclass
class Classifier:
    """What `classify train` makes.

    Attributes
    ----------
    kind : str
        As asked for: ``auto``, ``logistic``, ``svm``, or one of `NETWORKS`.
    classes : tuple of str
        Columns of the probabilities.
    vectors : VectorClassifier or None
        None where a network answers.
    network, checkpoint : bytes or None
        The network; the autoencoder whose vectors are heard.
    picture_rate : int or None
        The sample rate that pictures are made for; None where none are.
    segment_s : float
        The usual length of the training sounds, from 0.5 to 10 s: what segments of long recordings should have.
    about : dict
        What it was trained on and how well it did on groups held out: plain JSON values.
    """

    kind: str
    classes: tuple[str, ...]
    vectors: VectorClassifier | None = None
    network: bytes | None = None
    checkpoint: bytes | None = None
    picture_rate: int | None = None
    segment_s: float = 1.0
    about: dict[str, Any] = field(default_factory=dict)

    @property
    def want(self) -> tuple[str, ...]:
        """The parts of a sound that it needs, see `volna.workflows.task_jobs`."""
        if self.vectors is not None:
            return self.vectors.views_
        return ("log_mels",) if self.kind == "backbone" else ("picture",)

    def probabilities(self, sounds: Sequence[HeardSound]) -> np.ndarray:
        """Calibrated probabilities, float64 ``(n, n_classes)``."""
        if self.vectors is not None:
            return self.vectors.predict_proba(stacked(sounds, self.want))
        from volna.models.classifier_use import predict_probabilities

        assert self.network is not None
        return np.asarray(predict_probabilities(self.network, pictures_of(sounds, self.kind)))


def views_of(by: str, *, with_model: bool = False) -> tuple[str, ...]:
    """The vectors that are meant.

    Examples
    --------
    >>> views_of("both")
    ('descriptors', 'autoencoder')
    """
    if by not in VIEWS:
        raise InputError(f"by: expected one of {', '.join(VIEWS)}, got {by!r}")
    return (*VIEWS[by], "autoencoder") if by == "auto" and with_model else VIEWS[by]


def stacked(sounds: Sequence[HeardSound], names: Sequence[str]) -> dict[str, np.ndarray]:
    """The vectors of several sounds: float32 ``(n, dim)`` by name."""
    return {name: np.stack([getattr(sound, name) for sound in sounds]) for name in names}


def pictures_of(sounds: Sequence[HeardSound], kind: str) -> list[np.ndarray]:
    """What a network looks at: a backbone the log-mel of its autoencoder, the others the picture."""
    if kind == "backbone":
        return [np.concatenate(sound.log_mels, axis=1) for sound in sounds]
    return [sound.picture for sound in sounds if sound.picture is not None]


def classifier_bytes(model: Classifier) -> bytes:
    """The bytes of its file; equal classifiers give equal bytes."""
    arrays, learnt = model.vectors.as_saved() if model.vectors else ({}, None)
    inside = {"network": model.network, "autoencoder": model.checkpoint}
    arrays |= {name: np.frombuffer(content, np.uint8) for name, content in inside.items() if content}
    settings = {
        "kind": model.kind,
        "classes": list(model.classes),
        "vectors": learnt,
        "picture_rate": model.picture_rate,
        "segment_s": model.segment_s,
        "hears": [FEATURES_VERSION, WIDE_VERSION],
        "about": model.about,
    }
    return saved.to_bytes(FILE_KIND, arrays, settings)


def classifier_from(content: bytes, name: str = "this model") -> Classifier:
    """The classifier in the bytes of a file.

    Raises
    ------
    ModelError
        They are of no classifier, damaged, or of a Volna that hears other vectors.
    """
    read = saved.from_bytes(content, FILE_KIND, name)
    try:
        return _rebuilt(read, read.settings, name)
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{name}: the file is damaged ({type(error).__name__}: {error})") from error


def _rebuilt(arrays: Mapping[str, np.ndarray], settings: Mapping[str, Any], name: str) -> Classifier:
    if settings["hears"] != [FEATURES_VERSION, WIDE_VERSION]:
        raise ModelError(f"{name}: was trained on other vectors than this version of Volna makes; train it again")
    learnt = settings["vectors"]
    return Classifier(
        kind=settings["kind"],
        classes=tuple(settings["classes"]),
        vectors=VectorClassifier.from_saved(arrays, learnt) if learnt else None,
        network=arrays["network"].tobytes() if "network" in arrays else None,
        checkpoint=arrays["autoencoder"].tobytes() if "autoencoder" in arrays else None,
        picture_rate=settings["picture_rate"],
        segment_s=float(settings["segment_s"]),
        about=dict(settings["about"]),
    )


def read_classifier(path: str | Path) -> bytes:
    """The bytes of a file that must hold a classifier.

    Raises
    ------
    ModelError
        It cannot be read, or holds none.
    """
    try:
        content = Path(path).expanduser().read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror or error}") from error
    classifier_from(content, str(path))
    return content
