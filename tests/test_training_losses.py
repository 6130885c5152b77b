"""Losses and augmentation: what they are zero at, what they punish."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from volna.training.augment import jitter_gain, mask_bands_and_frames
from volna.training.losses import CONTRAST, RECONSTRUCTION, barlow_twins, info_nce, spectral_convergence, vicreg


@pytest.mark.parametrize("name", RECONSTRUCTION)
def test_reconstruction_is_zero_at_the_target_and_grows(name):
    target = torch.randn(2, 4, 8)
    loss = RECONSTRUCTION[name]
    assert float(loss(target, target)) == 0.0
    assert 0 < float(loss(target + 0.5, target)) < float(loss(target + 1.0, target))


@pytest.mark.parametrize("name", RECONSTRUCTION)
@pytest.mark.parametrize("offset", [1.0, -1.0, 0.0])
def test_reconstruction_pulls_towards_the_target_and_is_at_rest_there(name, offset):
    target = torch.randn(2, 4, 8)
    made = (target + offset).requires_grad_()
    RECONSTRUCTION[name](made, target).backward()
    assert made.grad is not None
    pull = made.grad * (made.grad.abs() > 1e-8)
    assert torch.equal(pull.sign(), torch.full_like(target, offset).sign())


def test_reconstruction_against_its_definition():
    target, made = torch.randn(2, 4, 8), torch.randn(2, 4, 8)
    x, y = target.numpy(), made.numpy()
    relative = [np.linalg.norm(b - a) / np.linalg.norm(a) for a, b in zip(x, y, strict=True)]
    p, q = 1 / (1 + np.exp(-x)), 1 / (1 + np.exp(-y))
    divergence = p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))
    expected = {"mse": np.mean((x - y) ** 2), "mae": np.mean(np.abs(x - y))}
    expected |= {"spectral_convergence": np.mean(relative), "bce": np.mean(divergence)}
    assert {name: float(loss(made, target)) for name, loss in RECONSTRUCTION.items()} == pytest.approx(
        expected, rel=1e-4
    )


def test_predicting_the_mean_has_a_spectral_convergence_of_one():
    target = torch.randn(3, 4, 8)
    assert float(spectral_convergence(torch.zeros_like(target), target)) == pytest.approx(1.0)
    assert float(spectral_convergence(torch.zeros(3, 4, 8), torch.zeros(3, 4, 8))) == 0.0


@pytest.mark.parametrize("name", CONTRAST)
def test_pairs_that_belong_together_cost_less(name):
    torch.manual_seed(0)
    first = torch.randn(32, 8)
    together = float(CONTRAST[name](first, first + 0.01 * torch.randn(32, 8), 0.1))
    apart = float(CONTRAST[name](first, torch.randn(32, 8), 0.1))
    assert together < apart


@pytest.mark.parametrize("name", CONTRAST)
def test_collapse_costs_more_than_spread_pairs(name):
    torch.manual_seed(0)
    spread = torch.randn(64, 8)
    same = torch.ones(64, 8)
    assert float(CONTRAST[name](same, same, 0.1)) > float(CONTRAST[name](spread, spread, 0.1))


def test_info_nce_of_indistinguishable_rows_is_log_of_the_batch():
    same = torch.ones(16, 4)
    assert float(info_nce(same, same)) == pytest.approx(math.log(16), rel=1e-5)
    assert float(info_nce(same[:1], same[:1])) == 0.0


def test_info_nce_against_its_definition():
    torch.manual_seed(0)
    a, b = torch.randn(5, 3), torch.randn(5, 3)
    cosines = np.array([[float(torch.cosine_similarity(x, y, dim=0)) for y in b] for x in a]) / 0.2
    rows = np.log(np.exp(cosines).sum(axis=1)) - np.diag(cosines)
    columns = np.log(np.exp(cosines).sum(axis=0)) - np.diag(cosines)
    assert float(info_nce(a, b, 0.2)) == pytest.approx((rows.mean() + columns.mean()) / 2, rel=1e-5)


@pytest.mark.parametrize("loss", [vicreg, barlow_twins])
def test_gradients_are_finite_even_on_constant_rows(loss):
    z = torch.ones(4, 3, requires_grad=True)
    loss(z, z * 1.0).backward()
    assert z.grad is not None
    assert bool(torch.isfinite(z.grad).all())


def test_masks_hide_one_span_of_bands_and_one_of_frames():
    mels = np.ones((200, 20, 64), dtype=np.float32)
    masked = mask_bands_and_frames(mels, np.random.default_rng(0), n_bands=5, n_frames=12)
    bands = (masked == 0).all(axis=2)
    frames = (masked == 0).all(axis=1)
    assert bands.sum(axis=1).max() == 5
    assert frames.sum(axis=1).max() == 12
    assert {int(n) for n in bands.sum(axis=1)} == set(range(6))
    for row in (*bands, *frames):
        assert np.abs(np.diff(row.astype(int))).sum() <= 2  # one span
    np.testing.assert_array_equal(masked == 0, bands[:, :, None] | frames[:, None, :])
    assert mels.min() == 1  # the target is left alone


def test_masks_never_hide_everything():
    mels = np.ones((50, 1, 3), dtype=np.float32)
    masked = mask_bands_and_frames(mels, np.random.default_rng(0), n_bands=15, n_frames=29)
    assert (masked.sum(axis=(1, 2)) >= 2).all()


def test_no_masks_no_change():
    mels = np.ones((3, 4, 5), dtype=np.float32)
    np.testing.assert_array_equal(mask_bands_and_frames(mels, np.random.default_rng(0), n_bands=0, n_frames=0), mels)
    np.testing.assert_array_equal(jitter_gain(mels, np.random.default_rng(0), 0.0), mels)


def test_gain_moves_a_whole_window():
    mels = np.zeros((500, 4, 5), dtype=np.float32)
    moved = jitter_gain(mels, np.random.default_rng(0), 0.3)
    assert np.ptp(moved, axis=(1, 2)).max() == 0
    assert moved[:, 0, 0].std() == pytest.approx(0.3, rel=0.15)
    assert moved.dtype == np.float32
