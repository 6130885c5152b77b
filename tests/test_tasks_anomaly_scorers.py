"""Scorers, forest, autoencoder, fusion, thresholds, measures: against references, and by what they promise."""

from __future__ import annotations

import numpy as np
import pytest

from volna.errors import InputError
from volna.features.machine import STACK
from volna.tasks.anomaly import autoencoder, scorers
from volna.tasks.anomaly.forest import fit_forest, forest_score
from volna.tasks.anomaly.fusion import SCORERS, WEIGHTS, fit_scale, fused, on_scale, shares_of
from volna.tasks.anomaly.measures import arithmetic_mean, harmonic_mean, section_score
from volna.tasks.anomaly.thresholds import threshold_of


def normal_rows(n: int = 300, dim: int = 6, seed: int = 0) -> np.ndarray:
    """Correlated rows."""
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, dim)) @ np.random.default_rng(9).standard_normal((dim, dim))


# Scorers


def test_pca_scores_what_scikit_learn_leaves_over() -> None:
    from sklearn.decomposition import PCA

    rows, new = normal_rows(), normal_rows(20, seed=1)
    fitted = scorers.fit_pca(rows, 0.9)
    reference = PCA(n_components=len(fitted["axes"])).fit(rows)
    left = new - reference.inverse_transform(reference.transform(new))
    assert scorers.pca_score(fitted, new) == pytest.approx(np.sqrt((left**2).mean(axis=1)), rel=1e-4)
    explained = np.cumsum(PCA().fit(rows).explained_variance_ratio_)
    assert len(fitted["axes"]) == int(np.searchsorted(explained, 0.9)) + 1


def test_whitening_gives_the_mahalanobis_distance_of_the_shrunk_covariance() -> None:
    from scipy.spatial.distance import mahalanobis
    from sklearn.covariance import ledoit_wolf_shrinkage

    rows, new = normal_rows(), normal_rows(5, seed=1)
    whitened = scorers.whiten(scorers.fit_whitening(rows), new)
    share = max(scorers.SHRINKAGE_SHARE * ledoit_wolf_shrinkage(rows), 1e-4)
    covariance = np.cov(rows.T, bias=True)
    shrunk = (1 - share) * covariance + share * np.trace(covariance) / 6 * np.eye(6)
    for row, one in zip(new, whitened, strict=True):
        expected = mahalanobis(row, rows.mean(axis=0), np.linalg.inv(shrunk))
        assert float(np.sqrt((one**2).sum())) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(("n", "dim"), [(2, 50), (10, 300)])
def test_fewer_rows_than_elements_are_whitened_all_the_same(n: int, dim: int) -> None:
    rows = np.random.default_rng(0).standard_normal((n, dim))
    assert np.isfinite(scorers.whiten(scorers.fit_whitening(rows), rows)).all()


def test_neighbours_find_what_lies_far_off_and_forgive_a_rare_kind() -> None:
    rng = np.random.default_rng(0)
    dense, sparse = 0.1 * rng.standard_normal((60, 5)), 6.0 + 1.5 * rng.standard_normal((8, 5))
    rows = np.concatenate([dense, sparse])
    fitted = scorers.fit_neighbours(rows, np.arange(len(rows)))
    near_dense, near_sparse, far = np.full((1, 5), 0.1), np.full((1, 5), 6.5), np.full((1, 5), -8.0)
    score = [float(scorers.neighbour_score(fitted, row)[0]) for row in (near_dense, near_sparse, far)]
    assert score[2] > 3 * max(score[:2])
    plain = {"rows": fitted["rows"], "density": np.ones(len(rows))}
    without = [float(scorers.neighbour_score(plain, row)[0]) for row in (near_dense, near_sparse)]
    assert score[1] / score[0] < 0.5 * without[1] / without[0]  # the density is what forgives


def test_rows_of_one_file_are_no_neighbours_of_one_another() -> None:
    rows = np.repeat(np.eye(4), 5, axis=0)  # four files, each with five equal windows
    alone = scorers.fit_neighbours(rows, np.repeat(np.arange(4), 5))
    assert (alone["density"] > 0.1).all()
    assert (scorers.fit_neighbours(rows, np.arange(20))["density"] < 1e-3).all()


def test_neighbours_are_capped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scorers, "MOST_NEIGHBOURS", 50)
    assert scorers.fit_neighbours(normal_rows(), np.arange(300))["rows"].shape == (50, 7)


# Forest


@pytest.mark.parametrize("n", [2, 5, 60, 600])
def test_the_forest_gives_what_scikit_learn_gives(n: int) -> None:
    from sklearn.ensemble import IsolationForest

    rows = normal_rows(n).astype(np.float32)
    new = 2.0 * normal_rows(40, seed=1).astype(np.float32)
    reference = IsolationForest(n_estimators=100, max_samples=min(256, n), random_state=7).fit(rows)
    assert forest_score(fit_forest(rows, seed=7), new) == pytest.approx(-reference.score_samples(new), abs=1e-12)


# Autoencoder


def test_layers_run_in_numpy_as_in_torch() -> None:
    import torch

    from volna.models.frame_autoencoder import FrameAutoencoder, FrameAutoencoderConfig, layers_of

    torch.manual_seed(0)
    model = FrameAutoencoder(FrameAutoencoderConfig(STACK * 4, 3, (8, 6)))
    rows = torch.randn(64, STACK * 4)
    for _ in range(5):
        model(rows)  # the batch normalisation gathers its statistics
    model.eval()
    mel = np.random.default_rng(0).standard_normal((4, 30)).astype(np.float32)
    stacked = torch.from_numpy(autoencoder.stacked_frames(mel, STACK))
    with torch.inference_mode():
        expected = (model(stacked) - stacked).square().numpy()
    assert autoencoder.run_errors(autoencoder.as_arrays(layers_of(model)), mel) == pytest.approx(expected, abs=1e-5)


def test_training_learns_what_is_usual_and_errs_on_what_is_not() -> None:
    from volna.training.frame_autoencoder import train_frames

    rng = np.random.default_rng(0)
    pattern = rng.standard_normal((8, 1)) * np.sin(np.arange(400) / 7.0) + 0.1 * rng.standard_normal((8, 400))
    usual = pattern.astype(np.float32)
    layers = train_frames([usual[:, :300], usual[:, 300:302]], STACK, latent=4, n_steps=60, seed=1)
    arrays = autoencoder.as_arrays(layers)
    strange = usual[:, 300:].copy()
    strange[3, 40:60] += 4.0
    usual_error = autoencoder.run_errors(arrays, usual[:, 300:])
    errors = autoencoder.run_errors(arrays, strange)
    assert usual_error.mean() < 0.5 * (usual**2).mean()
    picture = autoencoder.error_picture(errors, autoencoder.cell_errors([usual_error]))
    assert picture.shape == strange.shape
    band, frame = np.unravel_index(picture.argmax(), picture.shape)
    assert band == 3
    assert 38 <= frame < 62
    again = train_frames([usual[:, :300], usual[:, 300:302]], STACK, latent=4, n_steps=60, seed=1)
    assert all(
        np.array_equal(a, b) for one, two in zip(layers, again, strict=True) for a, b in zip(one, two, strict=True)
    )


def test_a_run_never_reaches_from_one_sound_into_the_next() -> None:
    from volna.training.frame_autoencoder import _starts, train_frames

    assert _starts([4, 3], 3).tolist() == [0, 1, 4]
    with pytest.raises(InputError, match="at least 5 frames"):
        train_frames([np.zeros((4, 3), np.float32)], 5)


def test_errors_of_windows_are_means_of_their_runs() -> None:
    errors = np.zeros((60, 10))
    errors[31:] = 1.0
    found = autoencoder.window_errors(errors, np.array([0.0, 0.9]), 1.0)
    assert found[0] == 0.0
    assert found[1] == pytest.approx(1.0, abs=0.15)


# Fusion


def test_one_scale_and_the_weighted_mean() -> None:
    held = np.random.default_rng(0).normal([5.0, -1.0], [2.0, 0.1], (2_000, 2))
    scaled = on_scale(held, *fit_scale(held))
    assert scaled.mean(axis=0) == pytest.approx([0, 0], abs=1e-9)
    assert scaled.std(axis=0) == pytest.approx([1, 1], abs=1e-9)
    assert set(WEIGHTS) == set(SCORERS)
    ones = np.ones((3, len(SCORERS)))
    assert fused(ones, shares_of()) == pytest.approx([1.0, 1.0, 1.0])
    only = shares_of(["forest"])
    assert fused(np.arange(5.0)[None], only).tolist() == [4.0]
    for wrong in ([], ["guess"]):
        with pytest.raises(InputError, match="scorers: expected some of"):
            shares_of(wrong)
    assert np.isfinite(on_scale(np.ones((1, 1)), *fit_scale(np.ones((4, 1))))).all()


# Thresholds


def test_thresholds_by_quantile_and_by_gamma() -> None:
    scores = np.random.default_rng(0).gamma(3.0, 2.0, 20_000) - 4.0  # some are negative
    assert threshold_of(scores) == pytest.approx(np.quantile(scores, 0.9))
    for quantile in (0.5, 0.9, 0.99):
        assert threshold_of(scores, "gamma", quantile) == pytest.approx(np.quantile(scores, quantile), abs=0.25)
    few = scores[:5]
    assert threshold_of(few, "gamma", 0.99) > few.max()  # looks further than the largest of few
    assert threshold_of(np.ones(4), "gamma") == 1.0
    assert threshold_of(-scores, "gamma") == pytest.approx(np.quantile(-scores, 0.9), abs=1.0)  # skewed the other way


@pytest.mark.parametrize(
    ("scores", "method", "quantile", "message"),
    [
        ([], "quantile", 0.9, "finite scores"),
        ([np.nan], "quantile", 0.9, "finite scores"),
        ([1.0], "guess", 0.9, "threshold: expected one of"),
        ([1.0], "gamma", 1.0, "between 0 and 1"),
    ],
)
def test_thresholds_refuse_nonsense(scores: list[float], method: str, quantile: float, message: str) -> None:
    with pytest.raises(InputError, match=message):
        threshold_of(scores, method, quantile)


# Measures


def test_a_section_is_measured_as_scikit_learn_measures() -> None:
    from sklearn.metrics import f1_score, precision_score, recall_score, roc_auc_score

    rng = np.random.default_rng(0)
    truth = rng.random(200) < 0.4
    scores = rng.standard_normal(200) + truth
    said = scores > 0.8
    found = section_score("fan", truth, scores, said)
    assert found.auc == pytest.approx(roc_auc_score(truth, scores))
    assert found.pauc == pytest.approx(roc_auc_score(truth, scores, max_fpr=0.1))
    expected = [measure(truth, said) for measure in (precision_score, recall_score, f1_score)]
    assert [found.precision, found.recall, found.f1] == pytest.approx(expected)
    assert (found.n_normal, found.n_abnormal) == (int((~truth).sum()), int(truth.sum()))


def test_means_over_sections() -> None:
    assert harmonic_mean([0.5, 1.0, float("nan")]) == pytest.approx(2 / 3)
    assert harmonic_mean([0.0, 1.0]) == 0.0
    assert arithmetic_mean([]) != arithmetic_mean([])
    nothing = section_score("fan", np.array([True, False]), np.array([1.0, 2.0]), np.array([False, False]))
    assert (nothing.precision, nothing.recall, nothing.f1) == (0.0, 0.0, 0.0)
