"""The loop: learns, resumes to the same weights, survives what goes wrong, keeps to its time."""

from __future__ import annotations

import itertools
import shutil
from dataclasses import replace
from itertools import islice, pairwise
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from volna.errors import InputError, ModelError
from volna.models.checkpoint import from_bytes
from volna.training import clock as clock_module
from volna.training import loop
from volna.training.dataset import MelCache
from volna.training.loop import STATE_NAME, TrainConfig, train, train_steps, train_task
from volna.training.losses import mse

N_MELS = 12
TINY = TrainConfig(
    model_config={"latent": 8, "channels": (4, 4, 4, 4)},
    batch_size=4,
    n_frames=32,
    max_steps=6,
    time_budget_s=None,
    val_every=2,
    n_threads=1,
)


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """Twenty tracks: each its own slope over the bands and its own pulse in time."""
    rng = np.random.default_rng(0)
    cache = MelCache(tmp_path_factory.mktemp("filled"))
    bands = np.linspace(-1, 1, N_MELS)[:, None]
    for i in range(20):
        slope, period = rng.uniform(-25, 25), rng.uniform(6, 20)
        phases = rng.uniform(0, 6, 2)
        windows = [slope * bands + 10 * np.sin(np.arange(90) / period * 6.28 + p) - 40 for p in phases]
        cache.put(f"{i:02}", [w + rng.standard_normal(w.shape) for w in windows])
    return cache.folder


@pytest.fixture(scope="module")
def whole(filled):
    """A training that nothing interrupted."""
    return train(filled, TINY)


@pytest.fixture
def folder(filled, tmp_path):
    return shutil.copytree(filled, tmp_path / "cache", ignore=shutil.ignore_patterns("*.state"))


def weights(result) -> dict[str, torch.Tensor]:
    return from_bytes(result.checkpoint).model.state_dict()


def run_until(step: int, folder, config) -> None:
    """Train up to a step and stop as a killed process does: nothing is tidied up."""
    for event in train_steps(folder, config):
        if event["step"] == step:
            return
    raise AssertionError("the training ended before that")


@pytest.fixture
def every_step(monkeypatch):
    monkeypatch.setattr(loop, "SAVE_EVERY_S", 0.0)
    monkeypatch.setattr(loop, "REPORT_EVERY_S", 0.0)


def test_learns_and_says_what_it_did(folder):
    result = train(folder, replace(TINY, max_steps=60, val_every=20, lr=5e-3), mel_config={"n_mels": N_MELS})
    checkpoint = from_bytes(result.checkpoint)
    assert [entry["step"] for entry in result.history] == [20, 40, 60]
    assert result.history[-1]["val_loss"] < result.history[0]["val_loss"]
    assert result.summary["val_loss"] < 0.4 * result.summary["val_loss_mean_spectrum"]
    assert result.summary["val_loss_pca"] < result.summary["val_loss_mean_spectrum"]
    assert (result.summary["n_training"], result.summary["n_validation"]) == (18, 2)
    assert result.summary["stopped"] == "steps"
    assert checkpoint.summary == result.summary
    assert checkpoint.mel_config == {"n_mels": N_MELS}
    assert checkpoint.config.n_mels == N_MELS
    assert len(checkpoint.normalisation.mean_db) == N_MELS
    assert checkpoint.reading.dim == checkpoint.dim == result.summary["dim"]
    assert (checkpoint.reading.spread > 0).all()


@pytest.mark.parametrize(
    "setting",
    [
        {"loss": "mae"},
        {"loss": "bce"},
        {"loss": "spectral_convergence"},
        {"contrast_weight": 0.0},
        {"contrast": "vicreg"},
        {"optimizer": "sgd"},
    ],
)
def test_other_settings_train_too(folder, setting):
    result = train(folder, replace(TINY, max_steps=2, **setting))
    assert np.isfinite(result.summary["val_loss"])


def test_same_seed_same_model(folder, whole):
    again = train(folder, TINY)
    for name, tensor in weights(whole).items():
        assert torch.equal(tensor, weights(again)[name]), name
    other = train(folder, replace(TINY, seed=1))
    assert not torch.equal(weights(whole)["fold.weight"], weights(other)["fold.weight"])


@pytest.mark.parametrize("step", [1, 4])
def test_a_killed_training_ends_at_the_same_weights(folder, whole, every_step, step):
    run_until(step, folder, TINY)
    resumed = train(folder, TINY, resume_from=folder / STATE_NAME)
    assert resumed.summary["resumed"]
    for name, tensor in weights(whole).items():
        assert torch.equal(tensor, weights(resumed)[name]), name
    assert [e["val_loss"] for e in resumed.history] == [e["val_loss"] for e in whole.history]
    assert [e["train_loss"] for e in resumed.history] == [e["train_loss"] for e in whole.history]


def test_a_finished_training_resumes_to_itself(filled, whole):
    again = train(filled, TINY, resume_from=filled / STATE_NAME)
    assert again.summary["resumed"]
    assert torch.equal(weights(whole)["fold.weight"], weights(again)["fold.weight"])


@pytest.mark.parametrize("what", ["missing", "garbage", "cut", "other settings", "other tracks"])
def test_a_state_that_does_not_fit_is_left_aside(filled, folder, whole, what):
    state = folder / STATE_NAME
    config = replace(TINY, max_steps=1)
    data = (filled / STATE_NAME).read_bytes()
    if what != "missing":
        state.write_bytes({"garbage": b"not a state", "cut": data[:2000]}.get(what, data))
    if what == "other settings":
        config = replace(config, lr=1e-3)
    elif what == "other tracks":
        MelCache(folder).path("03").unlink()
    result = train(folder, config, resume_from=state)
    assert not result.summary["resumed"]
    assert result.summary["steps"] == 1


def test_a_state_never_runs_code(folder, tmp_path):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "owned"), "w"))

    torch.save({"fingerprint": Evil()}, folder / STATE_NAME)
    config = replace(TINY, max_steps=1)
    assert not train(folder, config, resume_from=folder / STATE_NAME).summary["resumed"]
    assert not (tmp_path / "owned").exists()


def test_steps_that_are_not_finite_are_undone_at_a_lower_rate(folder, whole, monkeypatch):
    calls = iter(range(1000))

    def sometimes_nan(predicted, target):
        broken = predicted.requires_grad and next(calls) in (2, 4)  # steps, not validations
        return mse(predicted, target) * (float("nan") if broken else 1.0)

    monkeypatch.setitem(loop.RECONSTRUCTION, "mse", sometimes_nan)
    result = train(folder, TINY)
    assert result.summary["n_undone"] == 2
    assert result.summary["steps"] == 6
    assert all(bool(torch.isfinite(t.float()).all()) for t in weights(result).values())
    assert result.history[-1]["lr"] == pytest.approx(whole.history[-1]["lr"] / 4)


def test_a_batch_that_is_not_finite_leaves_no_trace(folder, monkeypatch):
    draw = loop.batches

    def poisoned(*args, **kwargs):
        for i, pairs in enumerate(draw(*args, **kwargs)):
            yield np.full_like(pairs, np.nan) if i == 3 else pairs

    monkeypatch.setattr(loop, "batches", poisoned)
    result = train(folder, TINY)
    assert result.summary["n_undone"] == 1
    assert np.isfinite(result.summary["val_loss"])


def test_a_training_that_is_never_finite_gives_up_with_a_reason(folder, monkeypatch):
    monkeypatch.setitem(loop.RECONSTRUCTION, "mse", lambda a, b: mse(a, b) * float("nan"))
    with pytest.raises(ModelError, match="does not converge"):
        train(folder, replace(TINY, max_steps=100))


def test_stops_early_where_nothing_gets_better_and_keeps_the_best(folder, monkeypatch):
    losses = iter([0.5, 0.3, 0.4, 0.6, 0.7, 0.8, 0.9])
    monkeypatch.setattr(loop, "reconstruction_loss", lambda *args: next(losses))
    result = train(folder, replace(TINY, max_steps=100, patience=3))
    assert result.summary["stopped"] == "early"
    assert result.summary["steps"] == 10
    assert result.summary["val_loss"] == 0.3


@pytest.fixture
def slow_clock(monkeypatch):
    """Every look at the clock takes a tenth of a second, so that no test depends on the machine."""
    ticks = itertools.count()
    clock = SimpleNamespace(perf_counter=lambda: next(ticks) / 10)
    monkeypatch.setattr(loop, "time", clock)
    monkeypatch.setattr(clock_module, "time", clock)


def test_keeps_to_its_time(folder, slow_clock):
    result = train(folder, replace(TINY, max_steps=10**6, time_budget_s=10.0, val_every=10**6))
    assert result.summary["stopped"] == "time"
    assert 3 < result.summary["steps"] < 50
    assert np.isfinite(result.summary["val_loss"])
    assert result.summary["seconds"] == pytest.approx(10.0, abs=3.0)


def test_time_of_earlier_runs_counts(folder, every_step, slow_clock):
    config = replace(TINY, max_steps=10**6, time_budget_s=10.0)
    for event in train_steps(folder, config):
        if event["seconds"] > 5.0:
            break
    steps = event["step"]
    result = train(folder, config, resume_from=folder / STATE_NAME)
    assert result.summary["resumed"]
    assert steps < result.summary["steps"] < 3 * steps
    assert result.summary["seconds"] == pytest.approx(10.0, abs=3.0)


def test_progress_counts_up_to_one(folder, every_step):
    events: list[dict] = []
    train(folder, TINY, progress=events.append)
    assert [event["step"] for event in events] == list(range(1, 7))
    assert events[-1]["fraction"] == 1.0
    assert all(a["fraction"] < b["fraction"] for a, b in pairwise(events))
    assert set(events[0]) == {"step", "fraction", "train_loss", "val_loss", "seconds", "eta_s"}
    assert events[0]["train_loss"] > 0
    assert events[-1]["eta_s"] == 0.0


def test_task_yields_progress_and_returns_plain_values(folder, every_step):
    settings = {
        "model_config": {"latent": 8, "channels": [4, 4, 4, 4]},
        "max_steps": 3,
        "batch_size": 4,
        "n_frames": 32,
    }
    task = train_task({"cache_folder": str(folder), "config": settings, "mel_config": {"n_mels": N_MELS}})
    kinds = []
    reply = None
    while True:
        try:
            kind, payload = task.send(reply)
        except StopIteration as stop:
            result = stop.value
            break
        kinds.append((kind, payload["step"]))
    assert kinds == [("progress", 1), ("progress", 2), ("progress", 3)]
    assert set(result) == {"checkpoint", "history", "summary"}
    assert from_bytes(result["checkpoint"]).mel_config == {"n_mels": N_MELS}


def test_task_takes_up_a_killed_training_unless_told_not_to(folder, every_step):
    settings = {"cache_folder": folder, "config": dict(vars(TINY))}
    list(islice(train_task(settings), 3))
    assert not _finished(train_task({**settings, "resume": False}))["summary"]["resumed"]
    assert _finished(train_task(settings))["summary"]["resumed"]


def _finished(task):
    while True:
        try:
            next(task)
        except StopIteration as stop:
            return stop.value


@pytest.mark.parametrize("lengths", [[1], [5, 2], [40]])
def test_a_single_tiny_track_trains(tmp_path, lengths):
    cache = MelCache(tmp_path)
    cache.put("only", [np.random.default_rng(0).standard_normal((N_MELS, n)) for n in lengths])
    result = train(tmp_path, replace(TINY, max_steps=3))
    assert result.summary["n_tracks"] == 1
    assert result.summary["n_tiled"] == (0 if max(lengths) >= 32 else 1)
    assert np.isfinite(result.summary["val_loss"])


def test_silent_tracks_do_no_harm(folder):
    MelCache(folder).put("silent", [np.full((N_MELS, 90), -100.0)])
    assert np.isfinite(train(folder, replace(TINY, max_steps=2)).summary["val_loss"])


def test_damaged_tracks_are_counted_not_fatal(folder):
    (folder / "03.mel").write_bytes(b"broken")
    result = train(folder, replace(TINY, max_steps=1))
    assert (result.summary["n_unusable"], result.summary["n_tracks"]) == (1, 19)


def test_an_empty_cache_is_an_error(tmp_path):
    with pytest.raises(ModelError, match="expected log-mels to train on"):
        train(tmp_path)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"model": "fog"}, "expected model to be one of conv"),
        ({"loss": "fog"}, "expected loss to be one of mse, mae"),
        ({"optimizer": "fog"}, "expected optimizer to be one of adamw"),
        ({"contrast": "fog"}, "expected contrast to be one of info_nce"),
        ({"lr": 0.0}, "expected lr above 0"),
        ({"max_steps": -1}, "expected max_steps above 0"),
    ],
)
def test_settings_that_make_no_sense(folder, setting, message):
    with pytest.raises(InputError, match=message):
        train(folder, replace(TINY, **setting))


def test_a_setting_that_does_not_exist(folder):
    with pytest.raises(InputError, match="does not exist"):
        next(train_task({"cache_folder": folder, "config": {"colour": 1}}))


def test_the_random_state_and_threads_of_the_caller_are_left_alone(folder):
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    train(folder, replace(TINY, max_steps=1))
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), state)


def test_the_closed_form_needs_no_steps(folder):
    result = train(folder, replace(TINY, model="pca", model_config={"latent": 8}))
    assert result.summary["val_loss"] == pytest.approx(result.summary["val_loss_pca"])
    assert result.history == []
