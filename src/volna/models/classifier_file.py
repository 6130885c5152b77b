"""A trained classifier as one small file: weights and all that is needed to use them, nothing that runs code.

As `volna.models.checkpoint` writes autoencoders: a safetensors file whose ``__metadata__`` holds one entry, ``volna``,
a JSON object with sorted keys (format, version, kind, config, normalisation, n_frames, temperature, summary). Equal
classifiers give equal bytes. The weights of a body that was learnt elsewhere travel inside.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import torch

from volna.errors import ModelError
from volna.models.backbone import BackboneClassifier, BackboneConfig
from volna.models.classifier import CLASSIFIERS, PictureClassifier
from volna.models.layers import Normalisation
from volna.models.vision import VISION, VisionClassifier, VisionConfig
from volna.models.weights_file import fill, read_weights, write_weights

__all__ = ["FORMAT_VERSION", "KINDS", "TrainedClassifier", "build_classifier", "from_bytes", "to_bytes"]

FORMAT_VERSION = 1  # raise it when an older Volna could not use the file
_FORMAT = "volna-picture-classifier"

KINDS: dict[str, tuple[Any, Any]] = {
    **CLASSIFIERS,
    "backbone": (BackboneConfig, BackboneClassifier),
    **dict.fromkeys(VISION, (VisionConfig, VisionClassifier)),
}


@dataclass
class TrainedClassifier:
    """A classifier and all that is needed to use it.

    Attributes
    ----------
    model
        In evaluation mode, on the CPU.
    kind
        A key of ``KINDS``.
    normalisation
        How a picture is conditioned.
    n_frames
        Frames of the windows that it was trained on; longer pictures are read in such windows.
    temperature
        Scores are divided by it before the softmax (Guo et al. 2017), so that probabilities are those of being right.
    summary
        What the training used and reached: plain JSON values.
    """

    model: PictureClassifier
    kind: str
    normalisation: Normalisation
    n_frames: int
    temperature: float = 1.0
    summary: dict[str, Any] = field(default_factory=dict)

    @property
    def n_mels(self) -> int:
        """Bands of the pictures."""
        config = self.model.config
        own = getattr(config, "n_mels", None) or getattr(config, "body", {}).get("n_mels")
        return int(own or len(self.normalisation.mean_db))


def build_classifier(kind: str, config: Mapping[str, Any]) -> PictureClassifier:
    """An untrained classifier of ``KINDS[kind]``.

    Raises
    ------
    ModelError
        No such kind, or a setting that it does not know.
    """
    if kind not in KINDS:
        raise ModelError(f"expected one of the classifiers {', '.join(KINDS)}, got {kind!r}")
    config_class, model_class = KINDS[kind]
    known = {f.name for f in fields(config_class)}
    if unknown := sorted(set(config) - known):
        raise ModelError(f"the classifier {kind!r} has no setting {', '.join(unknown)}; it has {', '.join(known)}")
    given = {name: tuple(value) if isinstance(value, list) else value for name, value in config.items()}
    model: PictureClassifier = model_class(config_class(**given))
    return model


def to_bytes(trained: TrainedClassifier) -> bytes:
    """The classifier as the bytes of a safetensors file."""
    header = {
        "kind": trained.kind,
        "config": asdict(trained.model.config),
        "normalisation": asdict(trained.normalisation),
        "n_frames": trained.n_frames,
        "temperature": trained.temperature,
        "summary": trained.summary,
    }
    return write_weights(_FORMAT, FORMAT_VERSION, header, trained.model)


def from_bytes(data: bytes, *, source: str = "the classifier") -> TrainedClassifier:
    """Rebuild a classifier from what :func:`to_bytes` returned.

    Raises
    ------
    ModelError
        No classifier of pictures, damaged, or written by a newer Volna.
    """
    header, tensors = read_weights(data, _FORMAT, FORMAT_VERSION, what="a classifier of pictures", source=source)
    try:
        with torch.device("meta"):  # sizes only: a file cannot ask for more memory than its own weights
            model = build_classifier(header["kind"], header["config"])
        fill(model, tensors)
        normalisation = dict(header["normalisation"])
        normalisation["mean_db"] = tuple(normalisation["mean_db"])
        n_frames, temperature = int(header["n_frames"]), float(header["temperature"])
        if n_frames < 1 or not 0 < temperature < float("inf"):
            raise ModelError("its settings make no sense")
        summary = dict(header["summary"])
        return TrainedClassifier(model, header["kind"], Normalisation(**normalisation), n_frames, temperature, summary)
    except ModelError as error:
        raise ModelError(f"{source}: {error}") from error
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError, MemoryError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ModelError(f"{source} is damaged: {reason}; train it again") from error
