"""A trained vocoder as one small file: weights and all that is needed to use them, nothing that runs code."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import torch

from volna.errors import ModelError
from volna.features.spectrum import MelConfig
from volna.models.vocoder import Vocoder, VocoderConfig
from volna.models.weights_file import bytes_of, fill, read_weights, unpacking, write_weights

__all__ = ["FORMAT", "FORMAT_VERSION", "TrainedVocoder", "from_bytes", "load", "to_bytes"]

FORMAT = "volna-vocoder"
FORMAT_VERSION = 1  # raise it when an older Volna could not use the file


@dataclass
class TrainedVocoder:
    """A vocoder and all that is needed to use it.

    Attributes
    ----------
    model : Vocoder
        In evaluation mode, on the CPU.
    summary : dict
        What the training used and reached: plain JSON values.
    """

    model: Vocoder
    summary: dict[str, Any] = field(default_factory=dict)

    @property
    def mel_config(self) -> MelConfig:
        """How the sound that it hears is described."""
        return self.model.config.mel_config

    @property
    def sample_rate(self) -> int:
        """Hz, of what it makes."""
        return self.mel_config.sample_rate


def to_bytes(trained: TrainedVocoder) -> bytes:
    """The vocoder as the bytes of a safetensors file; equal vocoders give equal bytes."""
    header = {"config": asdict(trained.model.config), "summary": trained.summary}
    return write_weights(FORMAT, FORMAT_VERSION, header, trained.model)


def from_bytes(data: bytes, *, source: str = "the vocoder") -> TrainedVocoder:
    """Rebuild a vocoder from what :func:`to_bytes` returned.

    Raises
    ------
    ModelError
        No vocoder, damaged, or written by a newer Volna.
    """
    header, tensors = read_weights(data, FORMAT, FORMAT_VERSION, what="a vocoder", source=source)
    with unpacking(source, "volna vocode train"):
        with torch.device("meta"):  # sizes only: a file cannot ask for more memory than its own weights
            model = Vocoder(_config(header["config"]))
        fill(model, tensors)
        return TrainedVocoder(model, dict(header["summary"]))


def load(path: str | os.PathLike[str]) -> TrainedVocoder:
    """Read a vocoder from its file.

    Raises
    ------
    ModelError
        The file is missing, unreadable, no vocoder, damaged, or written by a newer Volna.
    """
    return from_bytes(bytes_of(path, "the vocoder"), source=os.fspath(path))


def _config(given: Mapping[str, Any]) -> VocoderConfig:
    if unknown := sorted(set(given) - {f.name for f in fields(VocoderConfig)}):
        raise ModelError(f"it has settings that a vocoder does not know: {', '.join(unknown)}")
    return VocoderConfig(**given)
