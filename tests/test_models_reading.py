"""From pooled features to a vector: directions kept, never whitened, safe with few tracks."""

from __future__ import annotations

import numpy as np

from volna.models.reading import CLIP, fit_reading


def pooled(n: int = 200, n_pooled: int = 30, n_causes: int = 4) -> np.ndarray:
    rng = np.random.default_rng(0)
    causes = rng.standard_normal((n, n_causes)) * [4, 3, 2, 1]
    features = causes @ rng.standard_normal((n_causes, n_pooled)) + 0.1 * rng.standard_normal((n, n_pooled))
    return (100 + 7 * features).astype(np.float32)


def test_components_are_orthonormal_and_ordered():
    reading = fit_reading(pooled(), dim=6)
    np.testing.assert_allclose(reading.components @ reading.components.T, np.eye(6), atol=1e-5)
    assert (np.diff(reading.scale) < 0).all()
    assert reading.dim == 6


def test_vectors_keep_the_distances_of_the_standardised_features():
    data = pooled()
    reading = fit_reading(data, dim=4)
    standardised = np.clip((data - reading.centre) / reading.spread, -CLIP, CLIP)
    vectors = reading.vectors(data)
    wanted = np.linalg.norm(standardised[:50, None] - standardised[None, :50], axis=2)
    found = np.linalg.norm(vectors[:50, None] - vectors[None, :50], axis=2)
    assert np.corrcoef(wanted.ravel(), found.ravel())[0, 1] > 0.99


def test_vectors_are_not_whitened():
    reading = fit_reading(pooled(), dim=4)
    np.testing.assert_allclose(reading.vectors(pooled()).std(axis=0), reading.scale, rtol=0.01)
    assert reading.scale[0] > 1.5 * reading.scale[-1]


def test_few_tracks_and_constant_features_are_read_without_a_fault():
    one = fit_reading(pooled(n=1))
    assert one.dim == 1
    few = fit_reading(pooled(n=5))
    assert few.dim == 4
    still = fit_reading(np.ones((10, 6), np.float32), dim=3)
    assert np.isfinite(still.vectors(np.full(6, 1e9, np.float32))).all()


def test_equal_data_give_equal_readings():
    first, second = fit_reading(pooled()), fit_reading(pooled())
    for name in vars(first):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
