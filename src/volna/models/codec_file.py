"""A trained codec as one small file: weights, rates, and the frequency tables of each, nothing that runs code.

Weights are kept as float16. The tables are whole numbers (`volna.tasks.range_coding`), less one so that they fit in
int16, those of a setting one after another without the places beyond each alphabet. A ``.volna`` file names the codec
that made it by `id_of`.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from volna.errors import ModelError
from volna.features.spectrum import MelConfig
from volna.models.codec import Codec, CodecConfig, half_levels
from volna.models.weights_file import bytes_of, fill, read_weights, unpacking, write_tensors

__all__ = [
    "FORMAT",
    "FORMAT_VERSION",
    "Setting",
    "TrainedCodec",
    "as_stored",
    "from_bytes",
    "id_of",
    "load",
    "to_bytes",
]

FORMAT = "volna-codec"
FORMAT_VERSION = 1  # raise it when an older Volna could not use the file
N_CONTEXTS = 6  # as volna.tasks.range_coding; a file with another number is refused


@dataclass(frozen=True)
class Setting:
    """One of a codec's rates.

    Attributes
    ----------
    step : what latents are rounded to.
    bit_rate : bits a second of one channel, of the sounds that the codec was trained on.
    frequencies, contexts : of `volna.tasks.range_coding.Tables`.
    """

    step: float
    bit_rate: int
    frequencies: NDArray[np.uint16]
    contexts: NDArray[np.uint8]


@dataclass
class TrainedCodec:
    """A codec and all that is needed to use it.

    Attributes
    ----------
    model : Codec
        In evaluation mode, on the CPU.
    settings : sequence of Setting
        Rates, from the lowest to the highest.
    summary : dict
        What the training used and reached: plain JSON values.
    id, name : str
        See `id_of`; the name of its file without the ending, for people.
    """

    model: Codec
    settings: Sequence[Setting]
    summary: dict[str, Any] = field(default_factory=dict)
    id: str = ""
    name: str = "codec"

    @property
    def mel_config(self) -> MelConfig:
        """How the sound that it hears is described."""
        return self.model.config.vocoder_config.mel_config

    @property
    def sample_rate(self) -> int:
        """Hz, inside."""
        return self.mel_config.sample_rate

    def n_levels(self, setting: int) -> NDArray[np.int64]:
        """Size of each number's alphabet, ``(n_dims,)``."""
        return levels_of(self.model, self.settings[setting].step)


def levels_of(model: Codec, step: float) -> NDArray[np.int64]:
    """Levels of each number of a latent at a step, ``(n_dims,)``, odd."""
    half: NDArray[np.float32] = half_levels(model.spread, torch.tensor([step]))[0].numpy()
    return np.asarray(2 * half.astype(np.int64) + 1)


def id_of(data: bytes) -> str:
    """16 hexadecimal digits: the start of the SHA-256 of the file."""
    return hashlib.sha256(data).hexdigest()[:16]


def as_stored(model: Codec) -> Codec:
    """The model with its weights rounded to what a file keeps, in place: what is counted then is what is used."""
    for tensor in model.state_dict().values():
        if tensor.dtype == torch.float32:
            tensor.copy_(tensor.half().float())
    return model


def to_bytes(trained: TrainedCodec) -> bytes:
    """The codec as the bytes of a safetensors file; equal codecs give equal bytes."""
    state = trained.model.state_dict()
    tensors = {name: t.half() if t.dtype == torch.float32 else t for name, t in state.items()}
    rates = []
    for number, setting in enumerate(trained.settings):
        inside = setting.frequencies[:, 0] > 0  # (n_dims, n_levels)
        flat = setting.frequencies.transpose(0, 2, 1)[inside].astype(np.int64) - 1
        tensors[f"settings.{number}.frequencies"] = torch.from_numpy(flat.astype(np.int16))
        tensors[f"settings.{number}.contexts"] = torch.from_numpy(setting.contexts[inside])
        rates.append({"step": setting.step, "bit_rate": setting.bit_rate})
    header = {"config": asdict(trained.model.config), "settings": rates, "summary": trained.summary}
    return write_tensors(FORMAT, FORMAT_VERSION, header, tensors)


def from_bytes(data: bytes, *, source: str = "the codec", name: str = "codec") -> TrainedCodec:
    """Rebuild a codec from what `to_bytes` returned.

    Raises
    ------
    ModelError
        No codec, damaged, or written by a newer Volna.
    """
    header, tensors = read_weights(data, FORMAT, FORMAT_VERSION, what="a codec", source=source)
    with unpacking(source, "volna codec train"):
        with torch.device("meta"):  # sizes only: a file cannot ask for more memory than its own weights
            model = Codec(_config(header["config"]))
        weights = {key: tensor for key, tensor in tensors.items() if not key.startswith("settings.")}
        fill(model, {key: t.float() if t.dtype == torch.float16 else t for key, t in weights.items()})
        settings = [_setting(model, rate, tensors, number) for number, rate in enumerate(header["settings"])]
        if not settings:
            raise ModelError("it knows no rate")
        return TrainedCodec(model, tuple(settings), dict(header["summary"]), id_of(data), name)


def load(path: str | os.PathLike[str]) -> TrainedCodec:
    """Read a codec from its file.

    Raises
    ------
    ModelError
        The file is missing, unreadable, no codec, damaged, or written by a newer Volna.
    """
    return from_bytes(bytes_of(path, "the codec"), source=os.fspath(path), name=Path(path).stem)


def _setting(model: Codec, rate: Mapping[str, Any], tensors: Mapping[str, Tensor], number: int) -> Setting:
    step, bit_rate = float(rate["step"]), int(rate["bit_rate"])
    if not (0 < step < float("inf") and 0 < bit_rate < 1 << 31):
        raise ModelError(f"its setting {number} makes no sense")
    n_levels = levels_of(model, step)
    inside = np.arange(int(n_levels.max())) < n_levels[:, None]
    flat = tensors[f"settings.{number}.frequencies"].numpy().astype(np.int64) + 1
    frequencies = np.zeros((*inside.shape, N_CONTEXTS), np.uint16)
    frequencies[inside] = flat.reshape(-1, N_CONTEXTS)
    contexts = np.ones(inside.shape, np.uint8)
    contexts[inside] = tensors[f"settings.{number}.contexts"].numpy()
    return Setting(step, bit_rate, np.ascontiguousarray(frequencies.transpose(0, 2, 1)), contexts)


def _config(given: Mapping[str, Any]) -> CodecConfig:
    if unknown := sorted(set(given) - {f.name for f in fields(CodecConfig)}):
        raise ModelError(f"it has settings that a codec does not know: {', '.join(unknown)}")
    return CodecConfig(**given)
