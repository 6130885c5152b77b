"""A model as one small file: weights and all that is needed to use them, nothing that runs code.

The file is a safetensors file. Its ``__metadata__`` holds one entry, ``volna``: a JSON object with sorted keys (format,
version, architecture, config, mel_config, normalisation, summary). Its tensors are the weights (``model.*``) and the
reading of its features (``reading.*``, see `volna.models.reading`).
Equal models give equal bytes; the id of a model is the first 16 hexadecimal digits of the SHA-256 of the bytes, so an
id names exactly one set of weights and one way of making log-mels.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import volna
from volna.errors import ModelError
from volna.models import MODELS
from volna.models.layers import Normalisation, pool_log_mels
from volna.models.reading import Reading
from volna.models.weights_file import check_finite, fill, read_weights, write_tensors

__all__ = ["FORMAT_VERSION", "Checkpoint", "build", "from_bytes", "load", "model_id", "save", "to_bytes"]

FORMAT_VERSION = 1  # raise it when an older Volna could not use the file
_FORMAT = "volna-model"


@dataclass
class Checkpoint:
    """A model and all that is needed to use it.

    Attributes
    ----------
    model
        In evaluation mode, on the CPU.
    architecture
        A key of ``MODELS``.
    mel_config
        The settings of the log-mel that it was trained on, ``dataclasses.asdict`` of ``features.spectrum.MelConfig``.
    normalisation
        How a log-mel is conditioned.
    reading
        How its pooled features become a track's vector; None before it was fitted: the features themselves.
    summary
        What the training used and reached: plain JSON values.
    version
        The Volna that wrote it.
    id
        16 hexadecimal digits; empty until the checkpoint has been written or read.
    """

    model: Any
    architecture: str
    mel_config: dict[str, Any]
    normalisation: Normalisation
    reading: Reading | None = None
    summary: dict[str, Any] = field(default_factory=dict)
    version: str = ""
    id: str = ""

    @property
    def config(self) -> Any:
        """The frozen configuration that the model was built from."""
        return self.model.config

    @property
    def input(self) -> str:
        """What the model hears, one of `volna.features.inputs.INPUTS`."""
        return str(self.summary.get("config", {}).get("input", "log-mel"))

    @property
    def dim(self) -> int:
        """Length of a track's vector; 0 before the reading was fitted."""
        return self.reading.dim if self.reading else 0

    def embed(self, log_mels: Sequence[NDArray[Any]]) -> NDArray[np.float32]:
        """One vector of a track from its windows, each ``(n_mels, n_frames)`` in dB: float32 ``(dim,)``, raw."""
        pooled = pool_log_mels(self.model, log_mels, self.normalisation)
        return self.reading.vectors(pooled) if self.reading else pooled


def build(architecture: str, config: Mapping[str, Any] | None = None) -> Any:
    """An untrained model of ``MODELS[architecture]``; ``config`` overrides the defaults of its configuration.

    Raises
    ------
    ModelError
        No such architecture, or a setting that it does not know.
    """
    if architecture not in MODELS:
        raise ModelError(f"expected one of the models {', '.join(MODELS)}, got {architecture!r}")
    config_class, model_class = MODELS[architecture]
    known = {f.name for f in fields(config_class)}
    given = {name: tuple(value) if isinstance(value, list) else value for name, value in (config or {}).items()}
    if unknown := sorted(set(given) - known):
        raise ModelError(f"the model {architecture!r} has no setting {', '.join(unknown)}; it has {', '.join(known)}")
    return model_class(config_class(**given))


def model_id(data: bytes) -> str:
    """The id of a checkpoint: the first 16 hexadecimal digits of the SHA-256 of its bytes."""
    return hashlib.sha256(data).hexdigest()[:16]


def to_bytes(checkpoint: Checkpoint) -> bytes:
    """The checkpoint as the bytes of a safetensors file; sets ``checkpoint.id`` and ``checkpoint.version``."""
    checkpoint.version = checkpoint.version or str(getattr(volna, "__version__", "0"))
    header = {
        "volna_version": checkpoint.version,
        "architecture": checkpoint.architecture,
        "config": asdict(checkpoint.config),
        "mel_config": checkpoint.mel_config,
        "normalisation": asdict(checkpoint.normalisation),
        "summary": checkpoint.summary,
    }
    tensors = {f"model.{name}": t for name, t in checkpoint.model.state_dict().items()}
    for name, values in (vars(checkpoint.reading) if checkpoint.reading else {}).items():
        tensors[f"reading.{name}"] = torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32).copy())
    data = write_tensors(_FORMAT, FORMAT_VERSION, header, tensors)
    checkpoint.id = model_id(data)
    return data


def from_bytes(data: bytes, *, source: str = "the model") -> Checkpoint:
    """Rebuild a checkpoint from the bytes of its file.

    Parameters
    ----------
    data
        What :func:`to_bytes` returned.
    source
        Named in the error messages, usually the path.

    Raises
    ------
    ModelError
        Not a Volna model, damaged, or written by a newer Volna.
    """
    header, tensors = read_weights(data, _FORMAT, FORMAT_VERSION, what="a Volna autoencoder", source=source)
    try:
        with torch.device("meta"):  # sizes only: a file cannot ask for more memory than its own weights
            model = build(header["architecture"], header["config"])
        check_finite(tensors)
        fill(model, {name.removeprefix("model."): t for name, t in tensors.items() if name.startswith("model.")})
        normalisation = dict(header["normalisation"])
        normalisation["mean_db"] = tuple(normalisation["mean_db"])
        checkpoint = Checkpoint(
            model=model,
            architecture=header["architecture"],
            mel_config=dict(header["mel_config"]),
            normalisation=Normalisation(**normalisation),
            reading=_reading(tensors),
            summary=dict(header["summary"]),
            version=str(header["volna_version"]),
            id=model_id(data),
        )
    except ModelError as error:
        raise ModelError(f"{source}: {error}") from error
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError, MemoryError) as error:
        raise ModelError(f"{source} is damaged: {_first_line(error)}; train again with `volna train`") from error
    return checkpoint


def save(path: str | os.PathLike[str], checkpoint: Checkpoint) -> str:
    """Write the checkpoint to ``path``, whole or not at all, and return its id."""
    target = Path(path)
    data = to_bytes(checkpoint)
    try:
        descriptor, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, target)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise ModelError(f"cannot write the model to {target}: {error.strerror or error}") from error
    return checkpoint.id


def load(path: str | os.PathLike[str]) -> Checkpoint:
    """Read a checkpoint that :func:`save` wrote.

    Raises
    ------
    ModelError
        The file is missing, unreadable, not a Volna model, damaged, or written by a newer Volna.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise ModelError(f"cannot read the model {os.fspath(path)}: {error.strerror or error}") from error
    return from_bytes(data, source=os.fspath(path))


def _reading(tensors: dict[str, Tensor]) -> Reading | None:
    if "reading.components" not in tensors:
        return None
    reading = Reading(*(tensors[f"reading.{f.name}"].numpy() for f in fields(Reading)))
    dim, n_pooled = reading.components.shape
    if reading.scale.shape != (dim,) or {reading.centre.shape, reading.spread.shape} != {(n_pooled,)}:
        raise ModelError("the parts of its reading do not fit each other")
    return reading


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
