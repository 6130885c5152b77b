"""ONNX of every model of the family: any number of sounds of any length, and what torch gives."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_models import tiny

from volna.errors import ModelError
from volna.models import MODELS, export
from volna.models.checkpoint import Checkpoint, to_bytes
from volna.models.layers import Normalisation

onnx = pytest.importorskip("onnx", reason="needs onnx: pip install 'volna[onnx]'")
onnxruntime = pytest.importorskip("onnxruntime", reason="needs onnxruntime: pip install 'volna[onnx]'")
pytest.importorskip("onnxscript", reason="needs onnxscript: pip install 'volna[onnx]'")


def checkpoint_of(architecture: str) -> Checkpoint:
    torch.manual_seed(0)
    checkpoint = Checkpoint(tiny(architecture).eval(), architecture, {}, Normalisation())
    to_bytes(checkpoint)
    return checkpoint


SLOW = pytest.param("masked", marks=pytest.mark.slow)  # torch's newer exporter takes half a minute


@pytest.mark.parametrize("architecture", [*(name for name in MODELS if name != "masked"), SLOW])
def test_every_model_comes_out_as_it_is_in_torch(architecture: str, tmp_path: Path) -> None:
    checkpoint = checkpoint_of(architecture)
    done = export.export_onnx(checkpoint, tmp_path)
    assert done["checked"]
    assert done["largest_difference"] < 1e-4
    model, about = checkpoint.model, json.loads((tmp_path / "model.json").read_text())
    n = min(5, about["most_latents"] or 5)
    mel = torch.randn(4, model.config.n_mels, n * model.stride)  # neither batch nor length of the exporter's example
    session = onnxruntime.InferenceSession(str(tmp_path / "encoder.onnx"))
    (latent,) = session.run(["latent"], {"mel": mel.numpy()})
    with torch.inference_mode():
        wanted = model.encode(mel).numpy()
    assert latent.shape == wanted.shape
    assert np.abs(latent - wanted).max() < 1e-4 * max(1.0, np.abs(wanted).max())


@pytest.mark.parametrize("architecture", ["recurrent", "memory"])
def test_a_recurrent_cell_stays_one(architecture: str, tmp_path: Path) -> None:
    export.export_onnx(checkpoint_of(architecture), tmp_path)
    for name in ("encoder.onnx", "decoder.onnx"):
        operations = [node.op_type for node in onnx.load(str(tmp_path / name)).graph.node]
        assert "GRU" in operations
        assert "Loop" not in operations


@pytest.mark.parametrize(
    ("shape", "what"), [((2, 20, "n"), "number of sounds"), (("batch", 20, 48), "length of sound")]
)
def test_a_graph_of_one_size_is_refused(shape: tuple[int | str, ...], what: str, tmp_path: Path) -> None:
    kind = onnx.TensorProto.FLOAT
    given, made = (onnx.helper.make_tensor_value_info(name, kind, shape) for name in ("mel", "latent"))
    graph = onnx.helper.make_graph([onnx.helper.make_node("Identity", ["mel"], ["latent"])], "g", [given], [made])
    onnx.save(onnx.helper.make_model(graph), str(tmp_path / "encoder.onnx"))
    with pytest.raises(ModelError, match=f"its encoder would take one {what} only"):
        export._checked_opset(tmp_path / "encoder.onnx", "recurrent")


def test_a_disagreement_is_no_export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "TOLERANCE", -1.0)
    with pytest.raises(ModelError, match="does not agree with torch"):
        export.export_onnx(checkpoint_of("dense"), tmp_path / "onnx")
    assert list((tmp_path / "onnx").iterdir()) == []
