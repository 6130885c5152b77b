"""Trainings on other inputs, on a device, with logs: what they hear is what their models hear afterwards."""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import SAMPLE_RATE, sound

from volna.audio.encode import encode
from volna.embedding import Embedder, embed_file
from volna.errors import InputError
from volna.features.inputs import INPUTS, as_input, n_rows
from volna.models.checkpoint import from_bytes
from volna.models.pca import PcaConfig, fit_pca
from volna.models.wave import WaveAutoencoder, WaveConfig, strides_of
from volna.training import devices, logs
from volna.training.dataset import MelCache
from volna.training.loop import TrainConfig, train

QUICK: dict[str, Any] = {"batch_size": 4, "n_frames": 32, "max_steps": 4, "val_every": 2, "time_budget_s": None}
SMALL = {
    "conv": {"channels": (4, 4, 4, 8), "latent": 8},
    "wave": {"first_channels": 4, "most_channels": 8, "latent": 8},
}


def cache_of(folder: Path, name: str, n: int = 6) -> MelCache:
    cache = MelCache(folder)
    for seed in range(n):
        samples = np.repeat(sound(seed, 2.0), 1)[:24_000]
        cache.put(f"{seed:032x}", [as_input(samples, name)])
    return cache


@pytest.mark.parametrize("name", INPUTS)
def test_a_model_of_every_input_knows_what_it_hears(name: str, tmp_path: Path) -> None:
    model = "wave" if name == "wave" else "conv"
    cache = cache_of(tmp_path / "cache", name)
    config = TrainConfig(model=model, input=name, model_config=SMALL[model], **QUICK)
    result = train(cache.folder, config)
    checkpoint = from_bytes(result.checkpoint)
    assert (checkpoint.input, checkpoint.config.n_mels) == (name, n_rows(name))
    encode(tmp_path / "a.wav", sound(1), SAMPLE_RATE)
    vector = embed_file(tmp_path / "a.wav", Embedder(checkpoint))
    assert vector.shape == (checkpoint.dim,)
    assert np.isfinite(vector).all()


@pytest.mark.parametrize("name", ["mfcc", "wave"])
def test_what_has_no_loudest_cell_is_not_cut_below_it(name: str, tmp_path: Path) -> None:
    cache = cache_of(tmp_path / "cache", name)
    model = "wave" if name == "wave" else "conv"
    checkpoint = from_bytes(
        train(cache.folder, TrainConfig(model=model, input=name, model_config=SMALL[model], **QUICK)).checkpoint
    )
    assert checkpoint.normalisation.top_db > 1000


def test_strides_multiply_to_the_hop() -> None:
    for n in (1, 2, 20, 72, 280, 301, 73):
        assert int(np.prod(strides_of(n * 16))) == n * 16


def test_the_wave_model_learns_a_wave() -> None:
    torch.manual_seed(0)
    model = WaveAutoencoder(WaveConfig(n_mels=40, latent=16, first_channels=8, most_channels=32))
    phase = torch.rand(64, 1) * 6.28
    samples = torch.sin(torch.arange(40 * 32) * 0.05 + phase)
    x = samples.reshape(64, 32, 40).transpose(1, 2)
    optimizer = torch.optim.AdamW(model.parameters(), 5e-3)
    for _ in range(60):
        loss = torch.nn.functional.mse_loss(model(x)["mel"], x)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert float(loss.detach()) < 0.5 * float(x.square().mean())  # silence would leave all of it


def test_principal_components_of_wide_inputs_are_those_of_all_eigenvectors(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(6, 30))
    mels = [(mixing.T @ rng.normal(size=(6, 64))).astype(np.float32) for _ in range(8)]
    whole = fit_pca(mels, PcaConfig(30, 4, 2))
    monkeypatch.setattr("volna.models.pca.LARGEST_WHOLE", 10)
    some = fit_pca(mels, PcaConfig(30, 4, 2))
    assert torch.allclose(whole.spread, some.spread, rtol=1e-3)
    assert torch.allclose(whole.components, some.components, atol=1e-3)
    again = fit_pca(mels, PcaConfig(30, 4, 2))
    assert torch.equal(some.components, again.components)


def test_a_gpu_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert devices.choose_device("auto") == torch.device("cpu")
    with pytest.raises(InputError, match="torch finds no GPU"):
        devices.choose_device("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert devices.choose_device("auto") == torch.device("cuda")
    assert devices.choose_device("cpu") == torch.device("cpu")


def test_validations_are_logged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[tuple[str, float, int]] = []

    class Writer:
        def __init__(self, folder: str) -> None:
            self.folder = folder

        def add_scalar(self, name: str, value: float, step: int) -> None:
            written.append((name, value, step))

        def flush(self) -> None:
            pass

    monkeypatch.setattr(logs, "can_log", lambda: True)
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", types.SimpleNamespace(SummaryWriter=Writer))
    cache = cache_of(tmp_path / "cache", "log-mel")
    result = train(cache.folder, TrainConfig(model_config=SMALL["conv"], **QUICK), log_folder=tmp_path / "logs")
    losses = [(value, step) for name, value, step in written if name == "val_loss"]
    assert losses == [(entry["val_loss"], entry["step"]) for entry in result.history]


def test_without_tensorboard_nothing_is_logged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "can_log", lambda: False)
    logs.open_log(tmp_path / "logs")({"step": 1, "val_loss": 0.5})
    assert not (tmp_path / "logs").exists()
