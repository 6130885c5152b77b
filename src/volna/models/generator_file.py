"""A trained generator as one small file: autoencoder, prior, and what restores detail; nothing that runs code."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from volna.errors import ModelError
from volna.features.spectrum import MelConfig
from volna.models.generator import Generator, GeneratorConfig
from volna.models.weights_file import bytes_of, fill, read_weights, unpacking, write_tensors

__all__ = ["FORMAT", "FORMAT_VERSION", "TrainedGenerator", "from_bytes", "load", "to_bytes"]

FORMAT = "volna-generator"
FORMAT_VERSION = 1  # raise it when an older Volna could not use the file
_ARRAYS = {  # what `arrays` must hold, and its number of dimensions
    "points": 2,
    "slopes": 2,
    "gains": 2,
    "grain": 1,
    "louder": 1,
    "spread_scale": 1,
    "space.centre": 1,
    "space.components": 2,
    "space.extra_mean": 1,
    "space.extra_spread": 1,
    "space.least": 1,
    "space.most": 1,
    "space.sizes": 1,
}


@dataclass
class TrainedGenerator:
    """A generator and all that is needed to use it.

    Attributes
    ----------
    model : Generator
        In evaluation mode, on the CPU.
    mel_config : MelConfig
        How the sound that it makes is described.
    arrays : dict
        float32 by name: ``points`` of the sounds learnt, the ``space`` they lie in, ``slopes`` of the attributes, and
        what restores detail: ``gains`` by scale and rate, the share of ``grain``, ``louder`` in nats, ``spread_scale``
        of each band.
    summary : dict
        What the training used and reached: plain JSON values.
    """

    model: Generator
    mel_config: MelConfig
    arrays: dict[str, NDArray]
    summary: dict[str, Any] = field(default_factory=dict)

    @property
    def sample_rate(self) -> int:
        """Hz, of what it makes."""
        return self.mel_config.sample_rate


def to_bytes(trained: TrainedGenerator) -> bytes:
    """The generator as the bytes of a safetensors file; equal generators give equal bytes."""
    header = {"config": asdict(trained.model.config), "mel": asdict(trained.mel_config), "summary": trained.summary}
    tensors = {f"model.{name}": tensor for name, tensor in trained.model.state_dict().items()}
    tensors |= {
        f"prior.{name}": torch.from_numpy(np.array(array, np.float32)) for name, array in trained.arrays.items()
    }
    return write_tensors(FORMAT, FORMAT_VERSION, header, tensors)


def from_bytes(data: bytes, *, source: str = "the generator") -> TrainedGenerator:
    """Rebuild a generator from what :func:`to_bytes` returned.

    Raises
    ------
    ModelError
        No generator, damaged, or written by a newer Volna.
    """
    header, tensors = read_weights(data, FORMAT, FORMAT_VERSION, what="a generator", source=source)
    with unpacking(source, "volna generate train"):
        with torch.device("meta"):  # sizes only: a file cannot ask for more memory than its own weights
            model = Generator(GeneratorConfig(**header["config"]))
        fill(model, {name.removeprefix("model."): t for name, t in tensors.items() if name.startswith("model.")})
        arrays = {name.removeprefix("prior."): t.numpy() for name, t in tensors.items() if name.startswith("prior.")}
        mel = MelConfig(**header["mel"])
        _check(arrays, model.config, mel)
        return TrainedGenerator(model, mel, arrays, dict(header["summary"]))


def _check(arrays: Mapping[str, NDArray], config: GeneratorConfig, mel: MelConfig) -> None:
    for name, ndim in _ARRAYS.items():
        if name not in arrays or arrays[name].ndim != ndim or not np.isfinite(arrays[name]).all():
            raise ModelError(f"its {name} are missing, not finite or of another shape")
    n_values, n_dims = config.latent * int(arrays["space.sizes"][0]), arrays["points"].shape[1]
    shapes = {
        "space.centre": (n_values,),
        "space.components": (n_dims - 2, n_values),
        "slopes": (len(arrays["slopes"]), n_dims),
        "spread_scale": (config.n_mels,),
        "grain": (1,),
        "louder": (1,),
    }
    wrong = [name for name, shape in shapes.items() if arrays[name].shape != shape]
    if wrong or config.n_mels != mel.n_mels or len(arrays["gains"]) != config.n_mels:
        raise ModelError(f"its parts do not fit each other ({', '.join(wrong) or 'bands'})")


def load(path: str | os.PathLike[str]) -> TrainedGenerator:
    """Read a file that `volna generate train` wrote.

    Raises
    ------
    ModelError
        The file is missing, unreadable, no generator, damaged, or written by a newer Volna.
    """
    return from_bytes(bytes_of(path, "the generator"), source=os.fspath(path))
