"""The closed form against scikit-learn, and its edges."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from volna.errors import ModelError
from volna.models.pca import PcaConfig, fit_pca

CONFIG = PcaConfig(n_mels=6, latent=5, patch=4)


def log_mels(n_frames: int = 40, n: int = 6) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    mix = rng.standard_normal((6, 3))
    return [(mix @ rng.standard_normal((3, n_frames)) + 1 + 0.1 * rng.standard_normal((6, n_frames))) for _ in range(n)]


def test_same_subspace_as_scikit_learn():
    mels = [mel.astype(np.float32) for mel in log_mels()]
    patches = np.concatenate([mel.reshape(6, 10, 4).transpose(1, 0, 2).reshape(10, 24) for mel in mels])
    reference = PCA(5, svd_solver="full").fit(patches)
    model = fit_pca(mels, CONFIG)
    cosines = np.abs((model.components.numpy() * reference.components_).sum(axis=1))
    np.testing.assert_allclose(cosines, 1.0, atol=1e-4)
    np.testing.assert_allclose(model.mean.numpy(), reference.mean_, atol=1e-5)
    latent = model.encode(torch.from_numpy(np.stack(mels))).transpose(1, 2).reshape(-1, 5).numpy()
    np.testing.assert_allclose(latent.var(axis=0), reference.explained_variance_ * 59 / 60, rtol=1e-3)


def test_enough_components_reconstruct_exactly():
    mels = [mel.astype(np.float32) for mel in log_mels()]
    model = fit_pca(mels, PcaConfig(n_mels=6, latent=24, patch=4))
    batch = torch.from_numpy(np.stack(mels))
    torch.testing.assert_close(model(batch)["mel"], batch, rtol=1e-3, atol=1e-3)


def test_fits_from_an_iterator_and_short_windows():
    model = fit_pca((mel[:, :3].astype(np.float32) for mel in log_mels()), CONFIG)
    assert model(torch.zeros(1, 6, 3))["mel"].shape == (1, 6, 3)


def test_spare_components_stay_zero():
    model = fit_pca([np.ones((6, 4), dtype=np.float32), np.zeros((6, 4), dtype=np.float32)], CONFIG)
    assert bool((model.components[1:] == 0).all())
    assert bool(torch.isfinite(model.components).all())


def test_equal_data_give_equal_models():
    one, other = fit_pca(log_mels(), CONFIG), fit_pca(log_mels(), CONFIG)
    assert torch.equal(one.components, other.components)


def test_nothing_to_fit_or_other_bands_is_an_error():
    with pytest.raises(ModelError, match="at least one log-mel"):
        fit_pca([], CONFIG)
    with pytest.raises(ModelError, match=r"expected a log-mel of 6 bands.*got shape \(7, 4\)"):
        fit_pca([np.zeros((7, 4), dtype=np.float32)], CONFIG)
