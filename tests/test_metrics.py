"""volna.metrics against hand-made rankings, references and simulated chance."""

from __future__ import annotations

import numpy as np
import pytest

from volna import metrics


def test_missing_names_are_never_one_group() -> None:
    codes = metrics.group_codes(["a", None, "b", "", None, "a"])
    assert codes[0] == codes[5]
    assert len(set(codes.tolist())) == 5


def test_a_query_is_never_given_itself_nor_its_artist() -> None:
    rng = np.random.default_rng(0)
    similar, artists = rng.normal(size=(40, 40)), np.arange(40) % 7
    ranking = metrics.rank_excluding(similar, artists, artists)
    for query, row in enumerate(ranking):
        shown = row[row >= 0]
        assert set(shown) == set(np.flatnonzero(artists != artists[query]))
        assert (np.diff(similar[query, shown]) <= 0).all()
        assert (row[len(shown) :] == -1).all()


def test_a_cut_ranking_is_the_head_of_the_whole_and_a_stranger_excludes_nothing() -> None:
    similar = np.random.default_rng(1).normal(size=(5, 30))
    groups = np.arange(30)
    whole = metrics.rank_excluding(similar, np.arange(5), groups)
    assert np.array_equal(metrics.rank_excluding(similar, np.arange(5), groups, 4), whole[:, :4])
    stranger = metrics.rank_excluding(similar, np.full(5, -1), groups)
    assert (stranger >= 0).all()


def test_equal_similarities_rank_by_column() -> None:
    assert metrics.rank_excluding(np.zeros((1, 4)), np.array([1]), np.arange(4)).tolist() == [[0, 2, 3, -1]]


def test_precision_counts_what_is_shown() -> None:
    ranking = np.array([[3, 1, 2, 4], [5, -1, -1, -1], [-1, -1, -1, -1]])
    relevant = np.array([[True, False, True, False], [True, False, False, False], [False] * 4])
    assert metrics.precision_at_k(relevant, ranking, 1)[:2].tolist() == [1.0, 1.0]
    assert metrics.precision_at_k(relevant, ranking, 4)[:2].tolist() == [0.5, 1.0]
    assert np.isnan(metrics.precision_at_k(relevant, ranking, 4)[2])


def test_labels_may_be_several_for_a_track() -> None:
    moods = np.array([[1, 0, 1], [0, 1, 0], [0, 0, 1]], dtype=bool)
    assert metrics.relevance(np.array([[1, 2, -1]]), moods[:1], moods).tolist() == [[False, True, False]]


def test_average_precision_agrees_with_scikit_learn() -> None:
    sklearn_metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(2)
    scores, truth = rng.normal(size=(20, 50)), rng.random((20, 50)) < 0.2
    order = np.argsort(-scores, axis=1)
    found = metrics.average_precision(np.take_along_axis(truth, order, axis=1))
    expected = [sklearn_metrics.average_precision_score(t, s) for t, s in zip(truth, scores, strict=True)]
    assert np.allclose(found, expected)
    assert np.isnan(metrics.average_precision(np.zeros((1, 5), bool))[0])


def test_chance_is_what_random_orders_score() -> None:
    rng = np.random.default_rng(3)
    for n, n_relevant in ((12, 3), (30, 1), (9, 9)):
        relevant = np.zeros((4000, n), dtype=bool)
        relevant[:, :n_relevant] = True
        relevant = rng.permuted(relevant, axis=1)
        expected = metrics.chance_average_precision(np.array([n_relevant]), np.array([n]))[0]
        assert metrics.average_precision(relevant).mean() == pytest.approx(expected, abs=0.015)
        everything = np.tile(np.arange(n), (4000, 1))
        share = metrics.chance_precision(relevant, everything)
        assert share == pytest.approx(n_relevant / n)
        assert metrics.precision_at_k(relevant, everything, 5).mean() == pytest.approx(share[0], abs=0.015)


def test_occurrence_counts_only_the_first_k() -> None:
    ranking = np.array([[1, 2, 3], [2, 3, -1], [1, -1, -1]])
    assert metrics.k_occurrence(ranking, 5, 2).tolist() == [0, 2, 2, 1, 0]
    assert metrics.never_recommended(metrics.k_occurrence(ranking, 5, 2)) == pytest.approx(0.4)


def test_hubness_is_the_skewness_of_scipy() -> None:
    stats = pytest.importorskip("scipy.stats")
    counts = np.random.default_rng(4).poisson(3, 300)
    assert metrics.hubness(counts) == pytest.approx(float(stats.skew(counts)))
    assert metrics.hubness(np.full(9, 10)) == 0.0
    assert metrics.hubness(np.array([])) == 0.0


def test_an_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    covered = 0
    for trial in range(100):
        rng = np.random.default_rng(trial)
        groups = np.repeat(np.arange(40), 5)
        values = 0.3 + np.repeat(rng.normal(0, 0.1, 40), 5) + rng.normal(0, 0.05, 200)
        _, low, high = metrics.bootstrap_interval(values, groups, n_resamples=200)
        covered += low <= 0.3 <= high
    assert covered >= 87


def test_tracks_of_one_artist_are_not_independent() -> None:
    groups = np.repeat(np.arange(10), 20)
    values = np.repeat(np.random.default_rng(5).normal(size=10), 20)
    _, low, high = metrics.bootstrap_interval(values, groups)
    _, low_alone, high_alone = metrics.bootstrap_interval(values, np.arange(200))
    assert high - low > 3 * (high_alone - low_alone)


def test_the_bootstrap_repeats_by_seed_and_leaves_nan_out() -> None:
    values, groups = np.random.default_rng(6).random(50), np.arange(50) // 2
    first = metrics.bootstrap_interval(values, groups, seed=1)
    assert first == metrics.bootstrap_interval(values, groups, seed=1)
    assert first != metrics.bootstrap_interval(values, groups, seed=2)
    holed = np.append(values, np.nan)
    assert metrics.bootstrap_interval(holed, np.append(groups, 99), seed=1) == first
    assert all(np.isnan(metrics.bootstrap_interval(np.array([np.nan]), np.array([0]))))


def test_pairing_sees_a_small_steady_gain_that_two_intervals_hide() -> None:
    rng = np.random.default_rng(7)
    second, groups = rng.random(200), np.arange(200) // 4
    first = second + 0.02 + rng.normal(0, 0.01, 200)
    mean, low, high = metrics.bootstrap_difference(first, second, groups)
    assert 0 < low < mean < high < 0.03
    alone = [metrics.bootstrap_interval(values, groups) for values in (first, second)]
    assert alone[0][1] < alone[1][2]


def test_intervals_of_hubness_bracket_it() -> None:
    counts, groups = np.random.default_rng(8).poisson(4, 400), np.arange(400) // 3
    for statistic in (metrics.hubness, metrics.never_recommended):
        value, low, high = metrics.interval_over_tracks(statistic, counts, groups, n_resamples=200)
        assert low <= value <= high
        assert value == statistic(counts)
