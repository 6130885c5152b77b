"""Conditioning, padding, pooling and the vector of a track."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from volna.models.checkpoint import build
from volna.models.layers import (
    BAND_MEAN_SHARE,
    Normalisation,
    condition,
    fit_normalisation,
    pad_frames,
    pool,
    pool_log_mels,
)


def track(seed: int = 0, lengths: tuple[int, ...] = (40, 40, 25)) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    slope = -np.linspace(0, 40, 20, dtype=np.float32)[:, None]
    return [(slope + 8 * rng.standard_normal((20, n)) - 30).astype(np.float32) for n in lengths]


def small_model():
    torch.manual_seed(0)
    return build("conv", {"n_mels": 20, "latent": 6, "channels": (4, 4, 4, 4)}).eval()


def test_gain_changes_nothing():
    louder = [mel + 6.0 for mel in track()]
    for one, other in zip(condition(track(), Normalisation()), condition(louder, Normalisation()), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_windows_of_a_track_share_one_level():
    quiet, loud = condition([np.full((4, 8), -50.0), np.full((4, 8), -10.0)], Normalisation(std_db=20.0))
    np.testing.assert_allclose(quiet, -1.0)
    np.testing.assert_allclose(loud, 1.0)


def test_what_lies_far_below_the_loudest_cell_does_not_count():
    deep, shallow = track(), track()
    deep[0][:, 3], shallow[0][:, 3] = -300.0, -150.0
    for one, other in zip(condition(deep, Normalisation()), condition(shallow, Normalisation()), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_share_of_the_colour_of_each_window_is_taken_out():
    brighter = [mel + np.linspace(0, 6, 20, dtype=np.float32)[:, None] for mel in track()]
    apart = {}
    for share in (0.0, 0.5, 1.0):
        normalisation = Normalisation(band_mean_share=share)
        pairs = zip(condition(track(), normalisation), condition(brighter, normalisation), strict=True)
        apart[share] = np.mean([np.abs(one.mean(axis=1) - other.mean(axis=1)).mean() for one, other in pairs])
    assert apart[0.5] == pytest.approx(apart[0.0] / 2, rel=1e-3)
    assert apart[1.0] == pytest.approx(0.0, abs=1e-5)


def test_silence_stays_finite():
    (mel,) = condition([np.full((20, 5), -100.0, dtype=np.float32)], Normalisation())
    np.testing.assert_array_equal(mel, 0.0)
    assert condition([], Normalisation()) == []


def test_normalisation_makes_zero_mean_bands_and_unit_spread():
    tracks = [track(seed) for seed in range(5)]
    normalisation = replace(fit_normalisation(tracks), band_mean_share=0.0)
    cells = np.concatenate([np.concatenate(condition(windows, normalisation), axis=1) for windows in tracks], axis=1)
    np.testing.assert_allclose(cells.mean(axis=1), 0.0, atol=1e-3)
    assert cells.std() == pytest.approx(1.0, abs=0.01)
    assert len(normalisation.mean_db) == 20


def test_normalisation_of_constant_or_no_tracks_is_usable():
    assert fit_normalisation([[np.zeros((3, 4), dtype=np.float32)]]).std_db == 1.0
    assert fit_normalisation([]) == Normalisation(band_mean_share=BAND_MEAN_SHARE)
    assert fit_normalisation([[], track()]) == fit_normalisation([track()])


def test_padding_repeats_the_last_frame():
    mel = torch.arange(6.0).reshape(1, 2, 3)
    padded = pad_frames(mel, 4)
    assert padded.tolist() == [[[0, 1, 2, 2], [3, 4, 5, 5]]]
    assert pad_frames(padded, 4) is padded


def test_pool_is_mean_and_spread_over_time():
    latent = torch.randn(3, 5, 40)
    pooled = pool(latent)
    torch.testing.assert_close(pooled[:, :5], latent.mean(dim=2))
    torch.testing.assert_close(pooled[:, 5:], latent.std(dim=2, correction=0), rtol=1e-3, atol=1e-3)


def test_pool_leaves_masked_latents_out():
    latent = torch.randn(2, 5, 12)
    mask = torch.arange(12)[None] < torch.tensor([[12], [7]])
    pooled = pool(latent, mask)
    torch.testing.assert_close(pooled[0], pool(latent[:1])[0])
    torch.testing.assert_close(pooled[1], pool(latent[1:, :, :7])[0])


def test_pool_has_a_finite_gradient_on_a_constant_latent():
    latent = torch.ones(1, 3, 4, requires_grad=True)
    pool(latent).sum().backward()
    assert latent.grad is not None
    assert bool(torch.isfinite(latent.grad).all())


def test_a_vector_does_not_depend_on_gain_or_on_the_order_of_windows():
    model, windows = small_model(), track()
    vector = pool_log_mels(model, windows, Normalisation())
    assert vector.shape == (16,)  # mean and spread of 4 channels in 2 bands
    assert vector.dtype == np.float32
    np.testing.assert_allclose(pool_log_mels(model, [mel - 6 for mel in windows], Normalisation()), vector, atol=1e-4)
    np.testing.assert_allclose(pool_log_mels(model, windows[::-1], Normalisation()), vector, atol=1e-4)


@pytest.mark.parametrize("lengths", [(1,), (7,), (400, 3)])
def test_any_length_has_a_finite_vector(lengths):
    assert np.isfinite(pool_log_mels(small_model(), track(lengths=lengths), Normalisation())).all()
