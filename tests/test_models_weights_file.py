"""The one file format of every model that is not an autoencoder: what is refused, and in which words."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from volna.errors import ModelError
from volna.models.weights_file import fill, format_of, read_weights, write_tensors, write_weights

ASKED = {"what": "a denoiser", "source": "it.bin"}


def some() -> nn.Module:
    torch.manual_seed(0)
    return nn.Linear(3, 2)


def test_a_round_trip_gives_the_same_bytes_and_weights():
    model = some()
    data = write_weights("volna-denoiser", 1, {"sample_rate": 8000}, model)
    header, tensors = read_weights(data, "volna-denoiser", 1, **ASKED)
    assert header["sample_rate"] == 8000
    assert all(torch.equal(tensors[name], t) for name, t in model.state_dict().items())
    assert write_tensors("volna-denoiser", 1, {"sample_rate": 8000}, tensors) == data
    assert format_of(data) == "volna-denoiser"


def test_another_kind_is_named():
    data = write_weights("volna-vocoder", 1, {}, some())
    with pytest.raises(ModelError, match=r"it\.bin is not a denoiser: it is a vocoder"):
        read_weights(data, "volna-denoiser", 1, **ASKED)


@pytest.mark.parametrize(
    "data", [b"", b"RIFF", b"\xff" * 100, b"\x02" + b"\0" * 7 + b"{}", b"\x09" + b"\0" * 7 + b"[" * 9]
)
def test_what_is_no_model_is_refused(data):
    assert format_of(data) is None
    with pytest.raises(ModelError, match="is not a denoiser: it is no model of Volna's, or damaged"):
        read_weights(data, "volna-denoiser", 1, **ASKED)


def test_a_newer_file_asks_for_an_update():
    data = write_weights("volna-denoiser", 2, {}, some())
    with pytest.raises(ModelError, match=r"newer Volna \(format 2, this one reads up to 1\): update"):
        read_weights(data, "volna-denoiser", 1, **ASKED)


def test_a_file_cut_off_is_damaged():
    data = write_weights("volna-denoiser", 1, {}, some())
    for cut in range(0, len(data), 7):
        with pytest.raises(ModelError, match=r"it\.bin"):
            read_weights(data[:cut], "volna-denoiser", 1, **ASKED)


def test_a_header_knows_json_only():
    with pytest.raises(ValueError, match="JSON compliant"):
        write_weights("volna-denoiser", 1, {"loss": float("nan")}, some())


def test_filling_checks_values_types_and_shapes():
    model, weights = some(), some().state_dict()
    fill(model, weights)
    assert not model.training
    with pytest.raises(ModelError, match="not finite in bias"):
        fill(model, {**weights, "bias": torch.full((2,), float("inf"))})
    with pytest.raises(ModelError, match=r"bias is torch\.float64"):
        fill(model, {**weights, "bias": torch.zeros(2, dtype=torch.float64)})
    with pytest.raises(RuntimeError):
        fill(model, {**weights, "bias": torch.zeros(3)})
