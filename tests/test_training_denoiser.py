"""Mixtures made on the fly and the training on them."""

import numpy as np
import pytest
import torch

from volna.models.denoiser import Denoiser, DenoiserConfig
from volna.models.denoiser_file import from_bytes
from volna.training import clips, denoiser, mixtures
from volna.training.denoiser import DenoiserTraining, as_tensors, gain_db, loss_of, train_denoiser, train_task
from volna.training.fit import run_through
from volna.training.mixtures import Clip, Material, batch_of, synthetic_noise, synthetic_voice

RATE, N_BINS = 8000, 129
SMALL = DenoiserConfig(n_bins=N_BINS, channels=(4, 6, 8), width=16, hidden=12)


@pytest.fixture(scope="module")
def material() -> Material:
    rng = np.random.default_rng(0)
    voices = [synthetic_voice(RATE, rng) for _ in range(3)]
    noises = [synthetic_noise(kind, RATE, rng) for kind in ("hiss", "car", "clatter")]
    return Material(voices[:2], noises, voices[2:], RATE, N_BINS)


def test_the_parts_of_a_batch_fit_each_other(material: Material) -> None:
    batch = batch_of(material, 6, np.random.default_rng(1), 1.0)
    shape = batch.noisy.shape
    assert shape[0] == 6
    assert shape[2] == N_BINS
    for part in (batch.clean, batch.turn, batch.used, batch.wiener):
        assert part.shape == shape
        assert part.dtype == np.float32
        assert np.isfinite(part).all()
    np.testing.assert_allclose(np.mean(batch.noisy**2, axis=(1, 2)), 1, rtol=1e-3)
    assert np.abs(batch.turn).max() <= 1 + 1e-4
    assert not batch.noisy[batch.used == 0].any()


def test_ratios_are_drawn_from_the_range(monkeypatch: pytest.MonkeyPatch, material: Material) -> None:
    monkeypatch.setattr(mixtures, "NEARLY_CLEAN", 0.0)
    monkeypatch.setattr(mixtures, "NO_SPEECH", 0.0)
    monkeypatch.setattr(mixtures, "SNR_DB", (6.0, 6.0))
    monkeypatch.setattr(mixtures, "NARROW", 0.0)
    batch = batch_of(material, 16, np.random.default_rng(2))
    noise = batch.noisy**2 + batch.clean**2 - 2 * batch.noisy * batch.clean * batch.turn
    snr_db = 10 * np.log10(np.sum(batch.clean**2, axis=(1, 2)) / np.sum(noise, axis=(1, 2)))
    assert np.abs(snr_db - 6).max() < 2.5  # of waves; their spectra, windowed, differ a little


def test_some_mixtures_have_no_treble_and_some_no_speech(monkeypatch: pytest.MonkeyPatch, material: Material) -> None:
    monkeypatch.setattr(mixtures, "NARROW_HZ", (1000.0, 3000.0))
    monkeypatch.setattr(mixtures, "NARROW", 1.0)
    monkeypatch.setattr(mixtures, "NO_SPEECH", 0.5)
    batch = batch_of(material, 24, np.random.default_rng(3), 0.6)
    used = batch.used[:, 0].sum(axis=1)
    assert len(set(used.tolist())) > 3
    silent = ~batch.clean.any(axis=(1, 2))
    assert 4 <= silent.sum() <= 20
    assert batch.noisy[silent].any()


def test_mixtures_depend_on_the_seed_alone(material: Material) -> None:
    one, same, other = (batch_of(material, 2, np.random.default_rng(seed), 0.5).noisy for seed in (4, 4, 5))
    np.testing.assert_array_equal(one, same)
    assert np.abs(one - other).max() > 0.1


def test_the_loss_is_least_for_the_clean_sound(material: Material) -> None:
    inputs = as_tensors(batch_of(material, 8, np.random.default_rng(6), 1.0))
    noisy, clean = inputs[0], inputs[1]

    def loss(gains: torch.Tensor) -> float:
        return float(sum(loss_of(lambda power, wiener: gains, inputs).values()))

    ideal = (clean / noisy.clamp(min=1e-6)).clamp(max=1)
    assert loss(ideal) < loss(inputs[4]) < loss(torch.full_like(noisy, 0.05))
    assert loss(ideal) < loss(torch.ones_like(noisy))


def test_a_few_mixtures_are_learnt_by_heart(material: Material) -> None:
    torch.manual_seed(0)
    model = Denoiser(SMALL)
    inputs = as_tensors(batch_of(material, 4, np.random.default_rng(7), 1.0))
    descent = torch.optim.Adam(model.parameters(), 0.01)
    losses = []
    for _ in range(60):
        descent.zero_grad()
        loss = torch.stack(list(loss_of(model, inputs).values())).sum()
        loss.backward()
        descent.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0] - 0.4
    ours, wiener = gain_db(model.eval(), inputs)
    assert ours > wiener


def test_training_runs_and_tells_how_good_it_is(monkeypatch: pytest.MonkeyPatch, material: Material) -> None:
    for name, value in {"N_FIRST": 1, "VOICES_FIRST": 1, "HELD_NOISES": 1, "N_HELD_OUT": 4}.items():
        monkeypatch.setattr(denoiser, name, value)
    monkeypatch.setattr(mixtures, "CLIP_S", 1.5)
    training = DenoiserTraining(RATE, N_BINS, batch=2, max_steps=3, time_budget_s=None, val_every=2)
    results = [
        run_through(train_denoiser(material.clean, material.voices, None, training, config=SMALL)) for _ in range(2)
    ]
    assert results[0].summary["steps"] == 3
    assert np.isfinite([results[0].summary[key] for key in ("gain_db", "wiener_gain_db", "val_loss")]).all()
    for one, same in zip(results[0].model.state_dict().values(), results[1].model.state_dict().values(), strict=True):
        torch.testing.assert_close(one, same, atol=0, rtol=0)


def test_the_task_makes_a_file_of_what_was_kept(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    from volna.audio.encode import encode

    monkeypatch.setattr(denoiser, "VOICES_FIRST", 1)
    monkeypatch.setattr(denoiser, "N_HELD_OUT", 2)
    names = []
    for k in range(3):
        path = encode(tmp_path / f"{k}.wav", 0.1 * np.random.default_rng(k).standard_normal(RATE), RATE)
        names.append(clips.keep_sound(str(path), str(tmp_path), RATE, 10.0)[0])
    kept = {"folder": str(tmp_path), "names": names, "tops_hz": [3000.0, 4000.0, 4000.0]}
    training = {"sample_rate": RATE, "n_bins": N_BINS, "batch": 2, "max_steps": 1, "time_budget_s": None}
    rest = {"state_file": None, "fingerprint": "", "n_threads": 1}
    task = train_task({"training": training, "clean": kept, "noises": kept, **rest})
    while True:
        try:
            assert next(task)[0] == "progress"
        except StopIteration as stop:
            result = stop.value
            break
    assert from_bytes(result["denoiser"]).summary["steps"] == 1
    tops = sorted(clip.top_hz for part in denoiser._opened(kept, DenoiserTraining(RATE)) for clip in part)
    assert tops == [3000.0, 4000.0, 4000.0]


def test_clips_of_any_length_make_speech() -> None:
    rng = np.random.default_rng(0)
    short = [Clip(rng.standard_normal(n).astype(np.float32), 4000.0) for n in (1, 40, 900)]
    material = Material(short, short, [], RATE, N_BINS)
    batch = batch_of(material, 2, rng, 0.4)
    assert np.isfinite(batch.noisy).all()
    assert batch.noisy.any()
