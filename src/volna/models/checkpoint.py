"""A model as one small file: weights and all that is needed to use them, nothing that runs code.

The file is a safetensors file. Its ``__metadata__`` holds one entry, ``volna``: a JSON object with sorted keys (format,
version, architecture, config, mel_config, normalisation, summary). Its tensors are the weights (``model.*``) and the
reading of its features (``reading.*``, see `volna.models.reading`).
Equal models give equal bytes; the id of a model is the first 16 hexadecimal digits of the SHA-256 of the bytes, so an
id names exactly one set of weights and one way of making log-mels.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

import volna
from volna.errors import ModelError
from volna.models import MODELS
from volna.models.layers import Normalisation, pool_log_mels
from volna.models.reading import Reading

__all__ = ["FORMAT_VERSION", "Checkpoint", "build", "fill", "from_bytes", "load", "model_id", "save", "to_bytes"]

FORMAT_VERSION = 1  # raise it when an older Volna could not use the file
_FORMAT = "volna-model"
_MAX_HEADER_BYTES = 10_000_000


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
        "format": _FORMAT,
        "format_version": FORMAT_VERSION,
        "volna_version": checkpoint.version,
        "architecture": checkpoint.architecture,
        "config": asdict(checkpoint.config),
        "mel_config": checkpoint.mel_config,
        "normalisation": asdict(checkpoint.normalisation),
        "summary": checkpoint.summary,
    }
    tensors = {f"model.{name}": t.detach().cpu().contiguous() for name, t in checkpoint.model.state_dict().items()}
    for name, values in (vars(checkpoint.reading) if checkpoint.reading else {}).items():
        tensors[f"reading.{name}"] = torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32).copy())
    # One entry only: the order of several would not be the same from one run to the next.
    data = save_tensors(tensors, {"volna": json.dumps(header, sort_keys=True, allow_nan=False)})
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
    header = _header(data, source)
    try:
        tensors = load_tensors(data)
        with torch.device("meta"):  # sizes only: a file cannot ask for more memory than its own weights
            model = build(header["architecture"], header["config"])
        _check_finite(tensors)
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
    except (SafetensorError, KeyError, TypeError, ValueError, AttributeError, RuntimeError, MemoryError) as error:
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


def _header(data: bytes, source: str) -> dict[str, Any]:
    """The JSON header, read by hand: eight bytes of length, then the table of safetensors with its metadata."""
    refusal = f"{source} is not a Volna model"
    length = int.from_bytes(data[:8], "little")
    if len(data) < 8 or not 2 <= length <= min(len(data) - 8, _MAX_HEADER_BYTES):
        raise ModelError(refusal)
    try:
        header = json.loads(json.loads(data[8 : 8 + length])["__metadata__"]["volna"])
        version = header["format_version"] if header["format"] == _FORMAT else None
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ModelError(refusal) from error
    if not isinstance(version, int):
        raise ModelError(refusal)
    if version > FORMAT_VERSION:
        formats = f"format {version}, this one reads up to {FORMAT_VERSION}"
        raise ModelError(f"{source} was written by a newer Volna ({formats}): update Volna")
    return dict(header)


def _reading(tensors: dict[str, Tensor]) -> Reading | None:
    if "reading.components" not in tensors:
        return None
    reading = Reading(*(tensors[f"reading.{f.name}"].numpy() for f in fields(Reading)))
    dim, n_pooled = reading.components.shape
    if reading.scale.shape != (dim,) or {reading.centre.shape, reading.spread.shape} != {(n_pooled,)}:
        raise ModelError("the parts of its reading do not fit each other")
    return reading


def fill(model: Any, weights: Mapping[str, Tensor]) -> None:
    """Put the weights in place, the very tensors of the file; every name, shape and type must agree.

    Raises
    ------
    ModelError
        A value is not finite, or a tensor is of another type.
    RuntimeError
        A name or a shape is another.
    """
    _check_finite(weights)
    expected = model.state_dict()
    if bad := [name for name, t in weights.items() if name in expected and t.dtype != expected[name].dtype]:
        raise ModelError(f"{bad[0]} is {weights[bad[0]].dtype}, expected {expected[bad[0]].dtype}")
    model.load_state_dict(dict(weights), strict=True, assign=True)
    model.eval().requires_grad_(False)


def _check_finite(tensors: Mapping[str, Tensor]) -> None:
    if bad := [name for name, t in tensors.items() if t.is_floating_point() and not bool(torch.isfinite(t).all())]:
        raise ModelError(f"holds values that are not finite in {bad[0]}")


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
