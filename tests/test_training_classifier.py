"""The training of classifiers: what is held out, what is done to windows, and that it learns, the same every time."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from volna.errors import InputError, ModelError
from volna.models import checkpoint as autoencoders
from volna.models.classifier_file import from_bytes
from volna.models.layers import Normalisation
from volna.pool import Pool, Task
from volna.training import classifier as training
from volna.training.classifier import class_activation, fit_classifier, fit_task, predict_probabilities
from volna.training.classifier_data import Augment, class_weights, draw_windows, hold_out, mix_up, spoil
from volna.training.classifier_loop import Recipe, WindowSource, best_temperature

N_MELS = 16
NOTHING = Augment(warp=0, stretch=0, gain=0, colour=0, mask_bands=0, mask_frames=0, n_masks=0, mix_up=0)


@pytest.fixture(autouse=True)
def short(monkeypatch):
    """Steps enough for a tone, not for a word."""
    quick = Recipe(batch_size=8, least_steps=60, most_steps=60, n_validations=4, ema=0.9)
    frozen = replace(quick, lr=1e-2)
    monkeypatch.setattr(training, "RECIPES", {"new": quick, "fine-tuned": frozen, "frozen": frozen})


def tones(n: int = 24, seed: int = 0, wide: int = 24) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """Noise with a tone in a low band (class 0) or a high one (class 1), lengths and levels differing; four groups."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    sounds = []
    for label in labels:
        sound = rng.normal(-60, 3, (N_MELS, int(rng.integers(wide // 2, 2 * wide)))) + rng.uniform(-20, 20)
        sound[12 if label else 3] += 30
        sounds.append(sound.astype(np.float32))
    return sounds, labels, np.arange(n) // 2 % 4


def accuracy(model: bytes, sounds: list[np.ndarray], labels: np.ndarray) -> float:
    return float((predict_probabilities(model, sounds).argmax(axis=1) == labels).mean())


# It learns


@pytest.mark.parametrize("kind", ["cnn", "crnn"])
def test_tones_in_noise_are_told_apart_and_seen_where_they_are(kind: str) -> None:
    sounds, labels, groups = tones()
    model = fit_classifier(sounds, labels, groups, kind=kind, n_classes=2)
    unheard, wanted, _ = tones(seed=1)
    assert accuracy(model, unheard, wanted) > 0.9
    summary = from_bytes(model).summary
    assert summary["kind"] == kind
    assert summary["refit"]  # of four groups, one was held out
    assert summary["n_held_out"] == 6
    if kind == "cnn":
        low, high = (class_activation(model, unheard[k], k).mean(axis=1) for k in (0, 1))
        assert low[:8].mean() > low[8:].mean()
        assert high[8:].mean() > high[:8].mean()


def test_the_same_seed_gives_the_same_bytes() -> None:
    sounds, labels, groups = tones(8)

    def learnt(seed: int) -> bytes:
        before = torch.get_rng_state(), torch.get_num_threads()
        data = fit_classifier(sounds, labels, groups, n_classes=2, seed=seed)
        assert torch.equal(torch.get_rng_state(), before[0])
        assert torch.get_num_threads() == before[1]
        torch.rand(3)  # whatever else is drawn elsewhere
        return data

    first, second, other = learnt(0), learnt(0), learnt(1)
    assert first == second
    assert first != other


def test_a_frozen_backbone_keeps_its_body_and_a_fine_tuned_one_moves_it() -> None:
    torch.manual_seed(0)
    model = autoencoders.build("conv", {"n_mels": N_MELS, "latent": 8, "channels": (4, 8, 8, 8)}).train()
    for _ in range(60):  # as a trained one: every layer has the spread that its batch norm knows
        model(torch.randn(16, N_MELS, 48))
    model.eval()
    data = autoencoders.to_bytes(autoencoders.Checkpoint(model, "conv", {}, Normalisation(55.0, (), 9.0)))
    sounds, labels, groups = tones()
    for freeze in (True, False):
        fitted = fit_classifier(sounds, labels, groups, kind="backbone", n_classes=2, checkpoint=data, freeze=freeze)
        body = from_bytes(fitted).model.body.state_dict()
        same = [torch.equal(body[name], tensor) for name, tensor in model.state_dict().items() if "down" in name]
        assert all(same) == freeze
        assert from_bytes(fitted).summary["frozen"] == freeze
        assert from_bytes(fitted).normalisation == Normalisation(55.0, (), 9.0)
        assert accuracy(fitted, *tones(seed=1)[:2]) > 0.8
    with pytest.raises(InputError, match="needs an autoencoder"):
        fit_classifier(sounds, labels, groups, kind="backbone", n_classes=2)


def test_class_weights_bring_back_a_rare_class(monkeypatch) -> None:
    rng = np.random.default_rng(0)
    labels = np.array([0] * 45 + [1] * 5)
    sounds = [rng.normal(-60, 4, (N_MELS, 32)).astype(np.float32) for _ in labels]
    for sound, label in zip(sounds, labels, strict=True):
        sound[8] += 1.5 + 2 * label  # hardly to be told apart: without weights it pays to say 0 always
    rare = {}
    for name in ("with", "without"):
        if name == "without":
            flat = "volna.training.classifier_loop.class_weights"
            monkeypatch.setattr(flat, lambda labels, n: np.ones(n, np.float32))
        model = fit_classifier(sounds, labels, np.arange(50), n_classes=2)
        rare[name] = float(predict_probabilities(model, sounds)[labels == 1, 1].mean())
    assert rare["with"] > rare["without"] + 0.1


def test_a_long_sound_is_read_in_windows_and_a_very_short_one_too() -> None:
    sounds, labels, groups = tones()
    model = fit_classifier(sounds, labels, groups, n_classes=2)
    long = np.concatenate([sound + 0 for sound in sounds[1::2]], axis=1)
    assert predict_probabilities(model, [long])[0].argmax() == 1
    assert np.isfinite(predict_probabilities(model, [sounds[0][:, :1]])).all()


def test_a_training_stops_in_time_and_says_so(monkeypatch) -> None:
    monkeypatch.setitem(training.RECIPES, "new", Recipe(least_steps=100_000, most_steps=100_000))
    sounds, labels, groups = tones()
    events: list[dict] = []
    started = time.perf_counter()
    model = fit_classifier(sounds, labels, groups, n_classes=2, time_budget_s=1.5, progress=events.append)
    summary = from_bytes(model).summary
    assert summary["stopped"] == "time"
    assert time.perf_counter() - started < 20
    fractions = [event["fraction"] for event in events]
    assert fractions == sorted(fractions)
    assert all(0 <= fraction <= 1 for fraction in fractions)
    assert all({"step", "fraction", "train_loss", "val_loss", "seconds", "eta_s"} == event.keys() for event in events)


def test_it_stops_early_where_the_held_out_groups_say_something_else(monkeypatch) -> None:
    recipe = Recipe(batch_size=8, least_steps=200, most_steps=200, n_validations=20, patience=2, ema=0.5)
    monkeypatch.setitem(training.RECIPES, "new", recipe)
    sounds, labels, _ = tones(20)
    groups = np.arange(20) // 2
    held = hold_out(labels, groups.tolist(), share=training.HELD_SHARE)
    lied = np.where(held, 1 - labels, labels)  # what is learnt makes these ever worse
    summary = from_bytes(fit_classifier(sounds, lied, groups, n_classes=2)).summary
    best = min(summary["history"], key=lambda entry: entry["val_loss"])
    assert len(summary["history"]) < 20
    assert best["step"] < summary["history"][-1]["step"]
    assert summary["val_loss"] == pytest.approx(best["val_loss"])


def test_the_jobs_for_child_processes_say_how_far_they_are() -> None:
    sounds, labels, groups = tones(8)
    settings = {"pictures": sounds, "labels": labels, "groups": groups, "kind": "cnn", "n_classes": 2}
    heard = []
    with Pool(1) as pool:
        task = Task("volna.training.classifier:fit_task", ({**settings, "time_budget_s": 0.5},))
        (outcome,) = pool.run([task], lambda task, message: heard.append(message))
        assert outcome.ok, outcome.reason
        task = Task("volna.training.classifier:predict_task", (outcome.result, sounds))
        (predicted,) = pool.run([task])
    assert predicted.result.shape == (8, 2)
    assert {kind for kind, _ in heard} == {"progress"}
    with pytest.raises(InputError, match="does not exist: colour"):
        next(fit_task({**settings, "colour": 1}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pictures": [], "labels": [], "groups": []}, "at least one picture"),
        ({"labels": [0, 1]}, "8 pictures, 2 labels and 8 groups"),
        ({"labels": [0, 1, 2, 3] * 2}, "integers from 0 to 1"),
        ({"labels": [0.5] * 8}, "integers from 0 to 1"),
        ({"labels": [-1] * 8}, "integers from 0 to 1"),
        ({"kind": "oracle"}, "one of cnn, crnn, backbone, resnet50, efficientnet, vgg16, got 'oracle'"),
        ({"pictures": [np.zeros((N_MELS, 4))] * 7 + [np.zeros((3, 4))]}, "number 7"),
        ({"pictures": [np.full((N_MELS, 4), np.inf)] * 8}, "finite pictures"),
    ],
)
def test_what_does_not_fit_together_is_refused(changes: dict, message: str) -> None:
    sounds, labels, groups = tones(8)
    options = {"pictures": sounds, "labels": labels, "groups": groups, "n_classes": 2, **changes}
    with pytest.raises(InputError, match=message):
        fit_classifier(**options)


@pytest.mark.parametrize("groups", [[0] * 6, [0, 0, 0, 1, 1, 1]])
def test_groups_that_cannot_be_divided_still_train(groups: list[int]) -> None:
    sounds, _, _ = tones(6)
    model = fit_classifier(sounds, [0, 0, 0, 1, 1, 1], groups, n_classes=2, time_budget_s=2.0)
    trained = from_bytes(model)
    assert (trained.summary["n_held_out"], trained.temperature, trained.summary["val_loss"]) == (0, 1.0, None)


def test_a_silent_or_constant_sound_breaks_nothing() -> None:
    sounds, labels, groups = tones(8)
    sounds[0][:] = -150.0
    model = fit_classifier(sounds, labels, groups, n_classes=2, time_budget_s=2.0)
    assert np.isfinite(predict_probabilities(model, sounds)).all()


def test_a_loss_that_is_not_finite_ends_the_training(monkeypatch) -> None:
    monkeypatch.setitem(training.RECIPES, "new", replace(training.RECIPES["new"], smoothing=float("nan")))
    sounds, labels, groups = tones(8)
    with pytest.raises(ModelError, match="does not converge"):
        fit_classifier(sounds, labels, groups, n_classes=2)


# What is held out


@pytest.mark.parametrize("n_groups", [2, 4, 10])
def test_whole_groups_are_held_out_and_every_class_keeps_some(n_groups: int) -> None:
    rng = np.random.default_rng(0)
    labels, groups = rng.integers(0, 3, 120), rng.integers(0, n_groups, 120)
    held = hold_out(labels, groups.tolist(), share=0.2)
    assert not set(groups[held]) & set(groups[~held])
    assert set(labels[~held]) == {0, 1, 2}
    assert 0 < held.mean() < 0.65
    if n_groups == 10:
        assert 0.1 < held.mean() < 0.3
    assert np.array_equal(held, hold_out(labels, groups.tolist(), share=0.2))


def test_speakers_of_either_sex_are_held_out_where_a_group_has_one_class() -> None:
    groups = np.repeat(np.arange(16), 5)
    labels = groups % 2
    held = hold_out(labels, groups.tolist(), share=0.25)
    assert set(labels[held]) == {0, 1}
    assert held.sum() == 20


def test_nothing_is_held_out_where_a_class_would_be_lost() -> None:
    assert not hold_out(np.array([0, 0, 1, 1]), ["a", "a", "b", "b"]).any()
    assert not hold_out(np.array([0, 1]), ["a", "a"]).any()


# What is done to windows


def test_windows_have_one_length_whatever_the_sounds() -> None:
    rng = np.random.default_rng(0)
    sounds = [rng.standard_normal((N_MELS, n)).astype(np.float32) for n in (1, 31, 32, 33, 400)]
    for augment in (None, Augment(), NOTHING):
        windows = draw_windows(sounds, 32, np.random.default_rng(1), augment)
        assert windows.shape == (5, N_MELS, 32)
        assert windows.dtype == torch.float32
        assert torch.isfinite(windows).all()


def test_without_changes_a_window_is_a_piece_of_the_sound() -> None:
    sound = np.arange(N_MELS * 50, dtype=np.float32).reshape(N_MELS, 50)
    windows = draw_windows([sound] * 20, 32, np.random.default_rng(0), NOTHING).numpy()
    starts = windows[:, 0, 0].astype(int)
    assert len(set(starts)) > 5
    assert all(
        np.array_equal(window, sound[:, start : start + 32]) for window, start in zip(windows, starts, strict=True)
    )


def test_bands_are_stretched_as_by_a_longer_throat_and_time_as_by_a_slower_tongue() -> None:
    sound = np.zeros((64, 400), np.float32)
    sound[40] = 1.0
    found = draw_windows([sound] * 60, 100, np.random.default_rng(0), replace(NOTHING, warp=0.2)).mean(dim=2).argmax(1)
    assert 31 <= found.min() <= 36  # 40 / 1.2 to 40 / 0.8
    assert 44 <= found.max() <= 51
    clicks = np.zeros((4, 400), np.float32)
    clicks[:, ::20] = 1.0
    spoken = draw_windows([clicks] * 60, 100, np.random.default_rng(0), replace(NOTHING, stretch=0.3))
    counts = (spoken[:, 0] > 0.25).float().diff(dim=1).clamp(min=0).sum(dim=1)
    assert counts.min() <= 4
    assert counts.max() >= 6


def test_masks_hide_no_more_than_they_may() -> None:
    windows = torch.ones(50, 40, 100)
    masked = spoil(windows, np.random.default_rng(0), replace(NOTHING, mask_bands=0.25, mask_frames=0.1, n_masks=1))
    bands = (masked == 0).all(dim=2).sum(dim=1)
    frames = (masked == 0).all(dim=1).sum(dim=1)
    assert masked.shape == windows.shape
    assert 5 < bands.max() <= 10
    assert 5 < frames.max() <= 10
    assert set(masked.unique().tolist()) == {0.0, 1.0}


def test_colour_is_smooth_and_gain_is_even() -> None:
    windows = torch.zeros(200, 40, 3)
    coloured = spoil(windows, np.random.default_rng(0), replace(NOTHING, colour=0.5)).numpy()
    assert np.ptp(coloured, axis=2).max() == 0
    assert np.abs(np.diff(coloured[:, :, 0], axis=1)).max() < 0.4
    assert 0.35 < coloured.std() < 0.65
    louder = spoil(windows, np.random.default_rng(0), replace(NOTHING, gain=0.5)).numpy()
    assert np.ptp(louder.reshape(200, -1), axis=1).max() == 0
    assert 0.4 < louder[:, 0, 0].std() < 0.6


def test_mix_up_mixes_inputs_and_targets_in_the_same_shares() -> None:
    inputs = torch.eye(16)[:, :, None].expand(16, 16, 5)
    targets = torch.eye(16)
    mixed, wanted = mix_up(inputs, targets, np.random.default_rng(0), 0.4)
    torch.testing.assert_close(mixed[:, :, 2], wanted)
    torch.testing.assert_close(wanted.sum(dim=1), torch.ones(16))
    assert (wanted.diagonal() >= 0.5).all()
    assert (wanted.diagonal() < 1).any()
    same, _ = mix_up(inputs, targets, np.random.default_rng(0), 0.0)
    assert same is inputs


def test_weights_of_classes_even_out_their_numbers() -> None:
    labels = np.array([0] * 6 + [1] * 3 + [3])
    weights = class_weights(labels, 4)
    assert weights[2] == 0
    np.testing.assert_allclose(np.bincount(labels, minlength=4) * weights, [10 / 3, 10 / 3, 0, 10 / 3], rtol=1e-6)


def test_the_source_judges_the_whole_sound() -> None:
    source = WindowSource([np.arange(200, dtype=np.float32).reshape(2, 100)], 32)
    windows = source.whole(0)
    assert windows[0, 0, 0] == 0
    assert windows[-1, 0, -1] == 99


# Probabilities


def test_the_temperature_makes_probabilities_those_of_being_right() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, 4000)
    honest = rng.standard_normal((4000, 4))
    honest = np.log(np.exp(honest) / np.exp(honest).sum(axis=1, keepdims=True))
    labels = (rng.random((4000, 1)) > np.cumsum(np.exp(honest), axis=1)).sum(axis=1)  # drawn as the scores say
    assert best_temperature(honest, labels) == pytest.approx(1.0, abs=0.1)
    assert best_temperature(3 * honest, labels) == pytest.approx(3.0, abs=0.3)
