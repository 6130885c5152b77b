"""The file of a model: round trip, refusal of what is not one, nothing that runs code."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest
import torch
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from volna.errors import ModelError
from volna.models.checkpoint import FORMAT_VERSION, Checkpoint, build, from_bytes, load, model_id, save, to_bytes
from volna.models.layers import Normalisation
from volna.models.reading import fit_reading


@pytest.fixture
def checkpoint() -> Checkpoint:
    torch.manual_seed(0)
    model = build("conv", {"n_mels": 10, "latent": 4, "channels": (4, 4, 4, 4)}).eval()
    return Checkpoint(
        model,
        "conv",
        {"sample_rate": 16000, "n_mels": 10},
        Normalisation(mean_db=(0.5,) * 10, std_db=9.0),
        reading=fit_reading(np.random.default_rng(0).standard_normal((20, 8)).astype(np.float32), dim=3),
        summary={"n_tracks": 3, "val_loss": None},
    )


def altered(data: bytes, tensors: dict | None = None, **changes: object) -> bytes:
    """The same file with entries of its header, or tensors, replaced."""
    length = int.from_bytes(data[:8], "little")
    header = json.loads(json.loads(data[8 : 8 + length])["__metadata__"]["volna"])
    return save_tensors({**load_tensors(data), **(tensors or {})}, {"volna": json.dumps({**header, **changes})})


def test_save_and_load(checkpoint, tmp_path):
    path = tmp_path / "models" / "модель.safetensors"
    path.parent.mkdir()
    name = save(path, checkpoint)
    again = load(path)
    assert name == again.id == model_id(path.read_bytes())
    assert len(name) == 16
    assert again.mel_config == checkpoint.mel_config
    assert again.summary == checkpoint.summary
    for name, values in vars(checkpoint.reading).items():
        np.testing.assert_array_equal(getattr(again.reading, name), values)
    assert again.dim == 3
    mels = [np.random.default_rng(1).uniform(-60, 0, (10, 40)).astype(np.float32)]
    np.testing.assert_array_equal(again.embed(mels), checkpoint.embed(mels))
    assert again.embed(mels).shape == (3,)
    assert [p.name for p in path.parent.iterdir()] == [path.name]  # nothing temporary is left


def test_equal_models_have_equal_ids_and_others_do_not(checkpoint):
    first = to_bytes(checkpoint)
    assert to_bytes(checkpoint) == first
    with torch.no_grad():
        next(checkpoint.model.parameters()).add_(1e-3)
    to_bytes(checkpoint)
    assert checkpoint.id != model_id(first)


def test_the_mel_config_belongs_to_the_id(checkpoint):
    before = model_id(to_bytes(checkpoint))
    checkpoint.mel_config["n_mels"] = 11
    assert model_id(to_bytes(checkpoint)) != before


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"RIFF",
        b"\xff" * 100,
        pickle.dumps({"a": 1}),
        save_tensors({"a": torch.zeros(2)}),
        b"\x02" + b"\0" * 7 + b"{}",
    ],
    ids=["empty", "short", "garbage", "pickle", "other safetensors", "no metadata"],
)
def test_what_is_not_a_model_is_refused(data):
    with pytest.raises(ModelError, match=r"it\.bin is not a Volna autoencoder"):
        from_bytes(data, source="it.bin")


def test_a_damaged_file_is_refused_wherever_it_is_cut(checkpoint):
    data = to_bytes(checkpoint)
    for cut in range(0, len(data) - 1, 997):
        with pytest.raises(ModelError, match="the model"):
            from_bytes(data[:cut])


def test_a_newer_format_is_named(checkpoint):
    with pytest.raises(ModelError, match=r"written by a newer Volna \(format 2, this one reads up to 1\): update"):
        from_bytes(altered(to_bytes(checkpoint), format_version=FORMAT_VERSION + 1))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"architecture": "fog"}, "expected one of the models"),
        ({"config": {"n_mels": 10, "latent": 4, "channels": [4, 4, 4, 4], "colour": 1}}, "no setting colour"),
        ({"config": {"n_mels": 10, "latent": 4, "channels": [4, 4, 4, 9]}}, "is damaged"),
        ({"config": {"n_mels": 10, "latent": 4, "channels": [10**7] * 4}}, "is damaged"),
        ({"config": {"n_mels": "many"}}, "is damaged"),
        ({"normalisation": {"floor": 3}}, "is damaged"),
        ({"mel_config": None}, "is damaged"),
        ({"format_version": "one"}, "is not a Volna autoencoder"),
    ],
)
def test_a_header_that_does_not_fit_is_an_error(checkpoint, changes, message):
    with pytest.raises(ModelError, match=message):
        from_bytes(altered(to_bytes(checkpoint), **changes))


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"model.fold.bias": torch.full((4,), float("nan"))}, "not finite"),
        ({"model.fold.bias": torch.zeros(4, dtype=torch.float64)}, "float64, expected torch.float32"),
        ({"model.extra": torch.zeros(1)}, "is damaged"),
        ({"reading.scale": torch.zeros(7)}, "do not fit each other"),
    ],
)
def test_tensors_that_do_not_fit_are_an_error(checkpoint, tensors, message):
    with pytest.raises(ModelError, match=message):
        from_bytes(altered(to_bytes(checkpoint), tensors))


def test_files_that_cannot_be_read_or_written(checkpoint, tmp_path):
    with pytest.raises(ModelError, match=r"cannot read the model .*nowhere"):
        load(tmp_path / "nowhere")
    with pytest.raises(ModelError, match="cannot write the model to"):
        save(tmp_path / "no folder" / "model", checkpoint)
