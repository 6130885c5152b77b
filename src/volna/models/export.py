"""A model as ONNX: its encoder and its decoder, for programs that have neither Python nor torch.

Conventions: ``encoder.onnx`` takes ``mel``, a conditioned log-mel float32 ``(batch, n_mels, n_frames)`` where
``n_frames`` is a multiple of the model's stride (repeat the last frame up to one), and gives ``latent``
``(batch, latent, n)`` and ``features`` ``(batch, n_features, n)``, what a track's vector is pooled from.
``decoder.onnx`` takes ``latent`` and gives ``mel``. Neither holds an STFT: ``model.json`` says how the log-mel is made
and conditioned, and where a model (`masked`) reads only so many latents at a time: cut longer sounds into such parts.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import os
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from volna.errors import ModelError
from volna.models.checkpoint import Checkpoint, from_bytes

__all__ = ["NAMES", "TOLERANCE", "export_onnx"]

NAMES = ("encoder.onnx", "decoder.onnx", "model.json")
NEEDED = ("onnx", "onnxscript")  # torch's exporter is written with the second
TOLERANCE = 1e-3  # of the largest value: float32 sums in another order, and no more
_OPSET_OF_TRACES = 18
_SHAPES = ((1, 1), (3, 7))  # batch and latents of the check: neither is that of the example


class _Encoder(nn.Module):
    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, mel: Tensor) -> tuple[Tensor, Tensor]:
        return self.model.encode(mel), self.model.features(mel)


class _Decoder(nn.Module):
    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, latent: Tensor) -> Tensor:
        return self.model.decode(latent)


def export_onnx(checkpoint: Checkpoint | bytes, folder: str | os.PathLike[str]) -> dict[str, Any]:
    """Write encoder, decoder and a description into a folder; each file whole or not at all, older ones replaced.

    Parameters
    ----------
    checkpoint
        A loaded checkpoint, or the bytes of one.
    folder
        Created when missing.

    Returns
    -------
    dict
        ``opset``, ``checked`` (False where onnxruntime is not installed) and ``largest_difference`` between
        onnxruntime and torch as a share of the largest value (None unless checked).

    Raises
    ------
    ModelError
        ``onnx`` or ``onnxscript`` is missing, the architecture cannot be exported, or onnxruntime disagrees with torch.
    """
    if missing := [name for name in NEEDED if importlib.util.find_spec(name) is None]:
        raise ModelError(f"the export needs {' and '.join(missing)}: pip install 'volna[onnx]'")
    checkpoint = from_bytes(checkpoint) if isinstance(checkpoint, bytes) else checkpoint
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target, prefix=".export-") as work:
        opset = _write_graphs(checkpoint, Path(work))
        difference = _largest_difference(checkpoint.model, Path(work))
        if difference is not None and difference > TOLERANCE:
            raise ModelError(f"the exported model does not agree with torch: they differ by {difference:.2g}")
        (Path(work) / "model.json").write_text(json.dumps(_description(checkpoint), indent=2) + "\n")
        for name in NAMES:
            os.replace(Path(work) / name, target / name)
    return {"opset": opset, "checked": difference is not None, "largest_difference": difference}


def _write_graphs(checkpoint: Checkpoint, folder: Path) -> int:
    """Both graphs into the folder; their opset."""
    model = checkpoint.model
    most = getattr(model.config, "context", None)  # a transformer cuts what is longer, which a graph cannot
    batch, n = torch.export.Dim("batch"), torch.export.Dim("n", max=most)
    mel = torch.zeros(2, checkpoint.config.n_mels, 3 * model.stride)
    latent = model.encode(mel)
    graphs = (
        (_Encoder(model), mel, {0: batch, 2: model.stride * n}, ["mel"], ["latent", "features"]),
        (_Decoder(model), latent, {0: batch, 2: n}, ["latent"], ["mel"]),
    )
    write = _program if any(isinstance(part, nn.MultiheadAttention) for part in model.modules()) else _trace
    opset = 0
    for name, (module, example, shape, given, made) in zip(NAMES, graphs, strict=False):
        try:
            with _quiet():
                write(module.eval(), example, shape, given, made, str(folder / name))
        except Exception as error:  # the exporter has no error of its own for what it cannot translate
            line = (str(error) or type(error).__name__).splitlines()[0]
            raise ModelError(f"the model {checkpoint.architecture!r} cannot be exported to ONNX: {line}") from error
        opset = _checked_opset(folder / name, checkpoint.architecture)
    return opset


def _program(
    module: nn.Module, example: Tensor, shape: dict[int, Any], given: list[str], made: list[str], path: str
) -> None:
    """By torch's newer exporter: the older one fixes the batch of an attention."""
    program = torch.onnx.export(
        module, (example,), dynamo=True, verbose=False, input_names=given, output_names=made, dynamic_shapes=(shape,)
    )
    assert program is not None
    program.save(path)


def _trace(
    module: nn.Module, example: Tensor, shape: dict[int, Any], given: list[str], made: list[str], path: str
) -> None:
    """By torch's older exporter, ten times as fast; the newer also unrolls a recurrent cell to the example's length."""
    axes = {name: {0: "batch", 2: "frames"} for name in (*given, *made)}
    torch.onnx.export(
        module, (example,), path, dynamo=False, input_names=given, output_names=made, dynamic_axes=axes,
        opset_version=_OPSET_OF_TRACES,
    )  # fmt: skip


def _checked_opset(path: Path, architecture: str) -> int:
    """The opset of a graph, which must take any number of sounds of any length."""
    import onnx

    graph = onnx.load(str(path))
    batch, _, length = graph.graph.input[0].type.tensor_type.shape.dim
    for what, dimension in (("number of sounds", batch), ("length of sound", length)):
        if dimension.HasField("dim_value"):
            raise ModelError(
                f"the model {architecture!r} cannot be exported to ONNX: its {path.stem} would take one {what} only"
            )
    return max(int(entry.version) for entry in graph.opset_import if entry.domain in ("", "ai.onnx"))


@torch.inference_mode()
def _largest_difference(model: Any, folder: Path) -> float | None:
    """Between onnxruntime and torch over both graphs, as a share of the largest value; None without onnxruntime."""
    if importlib.util.find_spec("onnxruntime") is None:
        return None
    import onnxruntime

    cpu = {"providers": ["CPUExecutionProvider"]}
    encoder, decoder = (onnxruntime.InferenceSession(str(folder / name), **cpu) for name in NAMES[:2])
    rng = np.random.default_rng(0)
    largest = 0.0
    for batch, n in _SHAPES:
        n = min(n, getattr(model.config, "context", n))
        mel = rng.standard_normal((batch, model.config.n_mels, n * model.stride)).astype(np.float32)
        latent, features = encoder.run(["latent", "features"], {"mel": mel})
        (decoded,) = decoder.run(["mel"], {"latent": latent})
        ours = (model.encode(torch.from_numpy(mel)), model.features(torch.from_numpy(mel)))
        pairs = [*zip((latent, features), ours, strict=True), (decoded, model.decode(torch.from_numpy(latent)))]
        largest = max(largest, *(_difference(theirs, own.numpy()) for theirs, own in pairs))
    return largest


def _difference(theirs: np.ndarray, own: np.ndarray) -> float:
    if theirs.shape != own.shape:
        return float("inf")
    return float(np.abs(theirs - own).max() / max(float(np.abs(own).max()), 1e-6))


def _description(checkpoint: Checkpoint) -> dict[str, Any]:
    """How the input is made and what comes out, beside the graphs."""
    return {
        "id": checkpoint.id,
        "architecture": checkpoint.architecture,
        "config": asdict(checkpoint.config),
        "mel_config": checkpoint.mel_config,
        "normalisation": asdict(checkpoint.normalisation),
        "stride": checkpoint.model.stride,
        "most_latents": getattr(checkpoint.config, "context", None),  # at a time; None for any number
        "input": "log-mel in dB; raise every cell to top_db below the loudest of the track, subtract the mean of all "
        "cells of the track, subtract mean_db of each band, divide by std_db, subtract band_mean_share times the mean "
        "of each band over the window; repeat the last frame up to a multiple of stride",
    }


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporter warns of its own insides, and of packages that it could also translate."""
    logger = logging.getLogger("torch.onnx")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)
