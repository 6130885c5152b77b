"""Every architecture through the loop: named losses by their weights, a discriminator, and the same weights resumed."""

from __future__ import annotations

import runpy
from argparse import Namespace
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_models import TINY as TINY_CONFIGS

from volna.models import MODELS
from volna.models.checkpoint import build, from_bytes
from volna.models.layers import Normalisation
from volna.training import loop
from volna.training.config import LOSS_WEIGHTS
from volna.training.dataset import MelCache
from volna.training.loop import STATE_NAME, TrainConfig, train, train_steps
from volna.training.state import new_state, own_parameters
from volna.training.step import take_step

TINY = TrainConfig(batch_size=4, n_frames=32, max_steps=4, time_budget_s=None, val_every=2, n_threads=1)
N_MELS = 12


def settings(name: str) -> dict[str, object]:
    return {"latent": 12, **TINY_CONFIGS.get(name, {})}


def config(name: str, **others: object) -> TrainConfig:
    return replace(TINY, model=name, model_config=settings(name), **others)


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    cache = MelCache(tmp_path / "cache")
    for i in range(8):
        slope = rng.uniform(-25, 25) * np.linspace(-1, 1, N_MELS)[:, None]
        cache.put(f"{i:02}", [slope + 5 * rng.standard_normal((N_MELS, 70)) - 40 for _ in range(2)])
    return cache.folder


def weights(checkpoint: bytes) -> dict[str, torch.Tensor]:
    return from_bytes(checkpoint).model.state_dict()


@pytest.mark.parametrize("name", MODELS)
def test_trains_and_reports_its_gap_to_pca(folder, name):
    result = train(folder, config(name))
    assert np.isfinite([result.summary[key] for key in ("val_loss", "val_loss_pca", "val_loss_mean_spectrum")]).all()
    checkpoint = from_bytes(result.checkpoint)
    assert checkpoint.architecture == name
    assert checkpoint.embed([np.full((N_MELS, 40), -40.0, np.float32)]).shape == (checkpoint.dim,)


@pytest.mark.parametrize(("name", "loss"), [("variational", "kl"), ("memory", "memory/entropy")])
def test_named_losses_are_reported_and_count(folder, name, loss):
    with_it = train(folder, config(name, loss_weights={loss: 100.0}, max_steps=8))
    without = train(folder, config(name, loss_weights={loss: 0.0}, max_steps=8))
    assert with_it.history[-1][loss] < without.history[-1][loss]


@pytest.mark.parametrize("name", ["variational", "memory", "adversarial"])
def test_a_killed_training_ends_at_the_same_weights(folder, monkeypatch, name):
    monkeypatch.setattr(loop, "SAVE_EVERY_S", 0.0)
    monkeypatch.setattr(loop, "REPORT_EVERY_S", 0.0)
    whole = train(folder, config(name))
    for event in train_steps(folder, config(name)):
        if event["step"] == 3:
            break
    resumed = train(folder, config(name), resume_from=folder / STATE_NAME)
    assert resumed.summary["resumed"]
    for key, tensor in weights(whole.checkpoint).items():
        assert torch.equal(tensor, weights(resumed.checkpoint)[key]), key
    losses = [[{k: v for k, v in e.items() if k != "seconds"} for e in r.history] for r in (whole, resumed)]
    assert losses[0] == losses[1]


def test_the_discriminator_has_an_optimiser_of_its_own():
    model = build("adversarial", {"n_mels": N_MELS, **settings("adversarial")})
    state = new_state(model, "adamw", 1e-3, 0.0)
    theirs = {id(p) for p in model.discriminator.parameters()}
    assert {id(p) for group in state.opponent.param_groups for p in group["params"]} == theirs
    own = {id(p) for group in state.optimizer.param_groups for p in group["params"]}
    assert own == {id(p) for p in model.parameters()} - theirs


def test_a_plain_model_has_no_opponent():
    conv = build("conv")
    assert new_state(conv, "adamw", 1e-3, 0.0).opponent is None
    assert len(own_parameters(conv)) == len(list(conv.parameters()))


@pytest.mark.parametrize("weight", [0.0, 1e-6])
def test_the_discriminator_learns_to_tell_unless_it_has_no_say(weight):
    pairs = np.random.default_rng(0).standard_normal((4, 2, N_MELS, 32)).astype(np.float32)
    torch.manual_seed(0)
    model = build("adversarial", {"n_mels": N_MELS, **settings("adversarial")})
    before = [p.clone() for p in model.discriminator.parameters()]
    state = new_state(model, "adamw", 1e-2, 0.0)
    chosen = config("adversarial", loss_weights={"adversarial": weight})
    for _ in range(12):
        take_step(state, pairs, Normalisation(std_db=1.0), chosen, rate=1e-2, done=1.0)
    moved = [not torch.equal(a, b) for a, b in zip(before, model.discriminator.parameters(), strict=True)]
    assert all(moved) if weight else not any(moved)
    if weight:
        assert state.named["discriminator"][-1] < state.named["discriminator"][0]


def test_weights_of_losses_rise_and_can_be_chosen():
    assert TINY.weight("kl", 1.0) == LOSS_WEIGHTS["kl"]
    assert TINY.weight("kl", 0.0) == 0.0
    assert TINY.weight("kl", TINY.loss_warm_up / 2) == pytest.approx(LOSS_WEIGHTS["kl"] / 2)
    assert TINY.weight("something new", 1.0) == 1.0
    assert replace(TINY, loss_weights={"kl": 3.0}, loss_warm_up=0.0).weight("kl", 0.0) == 3.0


def test_the_comparison_gives_a_row_for_a_model(folder):
    script = runpy.run_path(str(Path(__file__).parents[1] / "scripts" / "compare_models.py"))
    heard = {f"{i:02}": (f"label {i % 2}", f"artist {i}") for i in range(8)}
    options = Namespace(latent=4, batch=4, steps=2, seed=0)
    for name in ("pca", "dense", script["CONTRAST"]):
        cells = [cell.strip() for cell in script["compare"](name, MelCache(folder), heard, options).split("|")][1:-1]
        assert cells[0] == name
        assert float(cells[1]) > 0
        assert 0 <= float(cells[3]) <= 1
    assert float(script["compare"]("pca", MelCache(folder), heard, options).split("|")[3]) == 1.0
