"""Scores against scikit-learn, intervals against what must be true of them."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as reference

from volna.tasks import scores


@pytest.fixture
def answers() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 4, 200)
    return truth, np.where(rng.random(200) < 0.7, truth, rng.integers(0, 3, 200))


def test_answers_are_scored_as_scikit_learn_does(answers) -> None:
    truth, said = answers
    table = scores.confusion(truth, said, 4)
    assert table.tolist() == reference.confusion_matrix(truth, said).tolist()
    assert scores.accuracy(truth, said) == pytest.approx(reference.accuracy_score(truth, said))
    assert scores.balanced_accuracy(truth, said) == pytest.approx(reference.balanced_accuracy_score(truth, said))
    theirs = reference.precision_recall_fscore_support(truth, said, zero_division=0)
    mine = scores.class_scores(table, list("abcd"))
    for k, row in enumerate(mine):
        assert (row.precision, row.recall, row.f1, row.n) == pytest.approx([values[k] for values in theirs])


def test_a_class_that_is_never_answered_scores_zero() -> None:
    table = scores.confusion(np.array([0, 1]), np.array([0, 0]), 3)
    assert [row.f1 for row in scores.class_scores(table, list("abc"))] == pytest.approx([2 / 3, 0, 0])


def test_log_loss_is_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(1)
    p = rng.dirichlet(np.ones(3), 50)
    truth = rng.integers(0, 3, 50)
    assert scores.log_loss(truth, p) == pytest.approx(reference.log_loss(truth, p, labels=[0, 1, 2]))
    assert np.isfinite(scores.log_loss(np.array([0]), np.array([[0.0, 1.0]])))


def test_calibration_error_sees_boldness() -> None:
    rng = np.random.default_rng(2)
    truth = (rng.random(4000) < 0.3).astype(int)  # 70 % are of class 0
    honest = np.tile([0.7, 0.3], (4000, 1))
    bold = np.tile([0.99, 0.01], (4000, 1))
    assert scores.calibration_error(truth, honest) < 0.02
    assert scores.calibration_error(truth, bold) == pytest.approx(0.29, abs=0.02)


@pytest.mark.parametrize("digits", [0, 1, 6])  # with many ties, some, none
def test_areas_are_those_of_scikit_learn(digits: int) -> None:
    rng = np.random.default_rng(digits)
    for n in (6, 30, 300):
        positive = rng.permutation(n) < n // 3
        values = np.round(rng.normal(size=n) + positive, digits)
        assert scores.auc(positive, values) == pytest.approx(reference.roc_auc_score(positive, values))
        for share in (0.1, 0.37):
            theirs = reference.roc_auc_score(positive, values, max_fpr=share)
            assert scores.partial_auc(positive, values, share) == pytest.approx(theirs)


def test_areas_of_one_class_are_not_defined() -> None:
    assert np.isnan(scores.auc(np.array([True, True]), np.array([1.0, 2.0])))
    assert np.isnan(scores.partial_auc(np.array([False]), np.array([1.0])))


def test_intervals_that_resample_groups_are_wider_where_groups_differ() -> None:
    hits = np.repeat([1.0, 1.0, 0.0, 1.0, 0.0, 1.0], 20)  # each group all right or all wrong
    groups = np.repeat(list("abcdef"), 20)
    value, low, high = scores.grouped_interval(hits, groups)
    _, low_of_files, high_of_files = scores.grouped_interval(hits, np.arange(120))
    assert value == pytest.approx(2 / 3)
    assert high - low > 2 * (high_of_files - low_of_files)


def test_a_function_of_rows_is_resampled_as_their_mean_is() -> None:
    rng = np.random.default_rng(3)
    hits, groups = rng.random(90), np.repeat(np.arange(9), 10)
    plain = scores.grouped_interval(hits, groups)
    called = scores.grouped_interval(lambda rows: float(hits[rows].mean()), groups, n_resamples=2000)
    assert called == pytest.approx(plain, abs=0.02)
    assert scores.grouped_interval(hits, groups, seed=5) == scores.grouped_interval(hits, groups, seed=5)


def test_one_group_says_nothing_about_others() -> None:
    for score in (np.array([1.0, 0.0]), lambda rows: 0.5):
        value, low, high = scores.grouped_interval(score, ["a", "a"])
        assert value == 0.5
        assert np.isnan([low, high]).all()
