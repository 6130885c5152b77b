"""volna.vectors: standardising, joining, exact search, hubs, copies."""

from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import pytest

from volna import metrics
from volna.vectors import (
    CLIP,
    COPY_COSINE,
    PRIOR_TRACKS,
    JoinedRows,
    Standardiser,
    corrected,
    crowding,
    hub_sample,
    join,
    nearest,
    same_recording,
    top_k,
    unit_rows,
)


def vectors_of(n: int, dim: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, dim)).astype(np.float32)


def hubby(n: int = 1500, n_hubs: int = 15) -> tuple[np.ndarray, np.ndarray]:
    """Unit rows in 3 families of 30 clusters, and labels; the first tracks lie in the middle of a family."""
    rng = np.random.default_rng(1)
    families = 0.5 * rng.normal(size=(3, 64))
    clusters = families[np.arange(30) % 3] + 0.45 * rng.normal(size=(30, 64))
    labels = np.arange(n) % 30
    vectors = clusters[labels] + rng.normal(size=(n, 64)) * rng.uniform(0.4, 1.2, (n, 1))
    vectors[:n_hubs] = families[np.arange(n_hubs) % 3] + 0.15 * rng.normal(size=(n_hubs, 64))
    return unit_rows(vectors), labels


# --- Standardiser


def test_columns_of_a_library_get_centre_zero_and_spread_one() -> None:
    raw = vectors_of(5000, 3) * [1.0, 500.0, 1e-3] + [0.0, 4000.0, 7.0]
    values = Standardiser.fit(raw).transform(raw)
    assert values.dtype == np.float32
    assert np.allclose(np.median(values, axis=0), 0.0, atol=1e-3)
    assert np.allclose(values.std(axis=0), 1.0, atol=0.05)


def test_outliers_move_neither_centre_nor_spread() -> None:
    raw = vectors_of(1000, 4)
    spoiled = raw.copy()
    spoiled[:50] = 1e9
    clean, fitted = Standardiser.fit(raw), Standardiser.fit(spoiled)
    assert np.abs(fitted.centre - clean.centre).max() < 0.15
    assert np.abs(fitted.spread / clean.spread - 1).max() < 0.15
    assert np.abs(fitted.transform(spoiled)).max() == CLIP


def test_elements_without_spread_say_nothing() -> None:
    raw = np.column_stack(
        [vectors_of(200, 1)[:, 0], np.full(200, 1234.5), np.full(200, 1e6) + np.arange(200) % 2 * 1e-3]
    )
    values = Standardiser.fit(raw).transform(raw + np.array([0, 1, 1]))
    assert values[:, 0].any()
    assert not values[:, 1:].any()


def test_an_element_that_is_mostly_one_value_keeps_its_rare_ones() -> None:
    raw = np.zeros((1000, 1))
    raw[:200, 0] = np.linspace(1, 2, 200)
    assert Standardiser.fit(raw).spread[0] > 0


def test_unknown_elements_count_for_nothing() -> None:
    raw = vectors_of(300, 3)
    raw[::2, 1] = np.nan
    raw[5, 2] = np.inf
    fitted = Standardiser.fit(raw)
    assert fitted.transform(raw)[0, 1] == 0
    assert np.isfinite(fitted.rows(raw)).all()
    assert np.isfinite(Standardiser.fit(np.full((4, 2), np.nan)).rows(raw[:, :2])).all()


@pytest.mark.parametrize("n", [1, 30, 99, 100, 5000])
def test_a_small_library_leans_on_the_prior(n: int) -> None:
    raw = vectors_of(n, 2) * 2 + 10
    alone = Standardiser.fit(raw)
    with_prior = Standardiser.fit(raw, prior=(np.zeros(2), np.ones(2)))
    trust = min(1.0, n / PRIOR_TRACKS)
    assert np.allclose(with_prior.centre, trust * alone.centre, atol=1e-4)
    assert np.allclose(with_prior.spread, trust * alone.spread + (1 - trust), atol=1e-4)
    assert with_prior.n_tracks == n


def test_one_track_with_a_prior_has_a_direction() -> None:
    row = Standardiser.fit(np.array([[3.0, 1.0]]), prior=(np.zeros(2), np.ones(2))).rows(np.array([3.0, 1.0]))
    assert np.linalg.norm(row) == pytest.approx(1.0)


def test_weights_scale_elements_after_standardising() -> None:
    raw = vectors_of(500, 2)
    values = Standardiser.fit(raw, weights=np.array([2.0, 0.0])).transform(raw)
    assert np.allclose(values[:, 0], 2 * Standardiser.fit(raw).transform(raw)[:, 0])
    assert not values[:, 1].any()


def test_a_standardiser_survives_json_to_the_bit() -> None:
    fitted = Standardiser.fit(vectors_of(100, 5) * 1e-3, weights=np.linspace(0, 1, 5))
    back = Standardiser.from_dict(json.loads(json.dumps(fitted.to_dict())))
    assert back.version == fitted.version
    assert np.array_equal(back.transform(fitted.centre + 1), fitted.transform(fitted.centre + 1))


def test_the_version_follows_the_numbers() -> None:
    raw = vectors_of(100, 5)
    assert Standardiser.fit(raw).version == Standardiser.fit(raw).version
    assert Standardiser.fit(raw).version != Standardiser.fit(raw + 1).version
    changed = Standardiser.fit(raw).to_dict()
    changed["centre"][0] += 1
    with pytest.raises(ValueError, match="version"):
        Standardiser.from_dict(changed)


def test_more_rows_than_needed_give_almost_the_same_fit() -> None:
    raw = vectors_of(60_000, 2)
    fitted = Standardiser.fit(raw)
    assert fitted.n_tracks == 60_000
    assert np.allclose(fitted.spread, 1.0, atol=0.05)


# --- rows


def test_unit_rows_have_length_one_and_zeros_stay() -> None:
    rows = unit_rows(np.vstack([vectors_of(10, 7), np.zeros((1, 7))]))
    assert rows.dtype == np.float32
    assert np.allclose(np.linalg.norm(rows[:-1], axis=1), 1.0)
    assert not rows[-1].any()


def test_a_joined_similarity_is_the_weighted_mean_of_the_cosines() -> None:
    parts, weights = [unit_rows(vectors_of(20, 8, 1)), unit_rows(vectors_of(20, 5, 2))], [1.0, 0.6]
    joined = join(parts, weights)
    cosines = [part @ part.T for part in parts]
    expected = (1.0 * cosines[0] + 0.36 * cosines[1]) / 1.36
    assert np.allclose(joined @ joined.T, expected, atol=1e-6)
    assert np.allclose(JoinedRows(parts, weights=weights).similarities(joined), expected, atol=1e-6)
    assert np.allclose(JoinedRows(parts, weights=weights).take(np.arange(20)), joined)


def test_parts_may_cover_different_tracks() -> None:
    first, second = unit_rows(vectors_of(6, 4, 1)), unit_rows(vectors_of(3, 4, 2))
    pick = np.array([1, 4, 5])
    rows = JoinedRows([first, second], [pick, None])
    expected = join([first[pick], second])
    assert len(rows) == 3
    assert np.allclose(rows.take(np.array([2, 0])), expected[[2, 0]])
    assert np.allclose(rows.similarities(expected), expected @ expected.T, atol=1e-6)


@pytest.mark.parametrize("k", [0, 1, 7, 50, 80])
def test_top_k_is_the_head_of_a_full_sort(k: int) -> None:
    scores = np.random.default_rng(0).integers(0, 9, (4, 50)).astype(np.float32)  # many ties
    columns, best = top_k(scores, k)
    values = np.sort(scores, axis=1)[:, ::-1][:, :k]
    assert np.array_equal(best, values)
    assert np.array_equal(np.take_along_axis(scores, columns, axis=1), values)
    for row, found in zip(scores, columns, strict=True):
        assert len(set(found.tolist())) == len(found)
        assert all(a < b for a, b in pairwise(found) if row[a] == row[b])


def test_a_filter_comes_before_the_selection() -> None:
    scores = np.arange(100, dtype=np.float32)[None]
    allowed = np.zeros(100, dtype=bool)
    allowed[[3, 8]] = True
    assert top_k(scores, 5, allowed)[0].tolist() == [[8, 3, -1, -1, -1]]


def test_each_row_is_its_own_nearest_and_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = JoinedRows([unit_rows(vectors_of(300, 16))])
    whole = nearest(rows, rows.take(slice(0, 300)), 4)
    monkeypatch.setattr("volna.vectors.rows.BLOCK_VALUES", 700)
    blocked = nearest(rows, rows.take(slice(0, 300)), 4)
    assert whole[0][:, 0].tolist() == list(range(300))
    assert np.array_equal(whole[0], blocked[0])
    assert np.allclose(whole[1], blocked[1], atol=1e-6)
    assert whole[1].max() <= 1.0


def test_a_penalty_changes_the_order_and_not_the_cosine() -> None:
    rows = JoinedRows([unit_rows(np.array([[1.0, 0.0], [0.9, 0.1], [0.5, 0.5]]))])
    plain = nearest(rows, rows.take(slice(0, 1)), 3)
    moved = nearest(rows, rows.take(slice(0, 1)), 3, penalty=np.array([0.0, 0.9, 0.0], np.float32))
    assert plain[0].tolist() == [[0, 1, 2]]
    assert moved[0].tolist() == [[0, 2, 1]]
    assert np.allclose(np.sort(plain[1]), np.sort(moved[1]))


def test_nothing_to_find_is_no_error() -> None:
    rows = JoinedRows([np.zeros((0, 4), np.float32)])
    assert nearest(rows, np.zeros((2, 4), np.float32), 5)[0].shape == (2, 0)
    assert crowding(rows, hub_sample(0)).shape == (0,)
    assert crowding(JoinedRows([np.ones((1, 1), np.float32)]), hub_sample(1)).tolist() == [0.0]


# --- hubs


def test_the_correction_removes_hubs_and_keeps_precision() -> None:
    rows, labels = hubby()
    similar = rows @ rows.T
    everyone, alone = np.arange(len(rows)), np.arange(len(rows))
    crowded = crowding(JoinedRows([rows]), hub_sample(len(rows)))
    found = {}
    for name, ranked_by in {"plain": similar, "corrected": corrected(similar, crowded)}.items():
        ranking = metrics.rank_excluding(ranked_by, everyone, alone, 10)
        counts = metrics.k_occurrence(ranking, len(rows))
        precision = metrics.precision_at_k(metrics.relevance(ranking, labels, labels), ranking, 10)[15:].mean()
        found[name] = metrics.hubness(counts), counts[:15].max(), precision, metrics.never_recommended(counts)
    assert found["plain"][0] > 1.5
    assert found["corrected"][0] < 0.7 * found["plain"][0]
    assert found["corrected"][1] < 0.5 * found["plain"][1]
    assert found["corrected"][2] > found["plain"][2] - 0.02
    assert found["corrected"][3] <= min(0.02, found["plain"][3])


def test_crowding_is_centred_blocked_and_leaves_oneself_out(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = JoinedRows([np.eye(40, dtype=np.float32)])  # nobody is near anybody
    assert np.abs(crowding(rows, hub_sample(40))).max() < 1e-6
    spread = JoinedRows([hubby()[0]])
    whole = crowding(spread, hub_sample(1500, 400))
    monkeypatch.setattr("volna.vectors.hubs.BLOCK_VALUES", 5_000)
    assert np.allclose(crowding(spread, hub_sample(1500, 400)), whole, atol=1e-6)
    assert abs(whole.mean()) < 1e-6


def test_the_sample_is_fixed_bounded_and_without_repeats() -> None:
    for n in (0, 3, 6_000, 1_000_000):
        sample = hub_sample(n)
        assert np.array_equal(sample, hub_sample(n))
        assert len(sample) == len(np.unique(sample)) <= 5_000
        assert len(sample) >= min(n, 2_000)


# --- copies


@pytest.mark.parametrize("space", list(COPY_COSINE))
def test_one_recording_is_alike_in_sound_and_in_length(space: str) -> None:
    similar = np.array([0.999, 0.999, 0.999, 0.93, 0.999])
    durations = np.array([200.0, 201.5, 260.0, 200.0, 0.0])
    assert same_recording(similar, durations, 200.0, space).tolist() == [True, True, False, False, True]


def test_equal_tags_need_less_likeness_but_the_same_length() -> None:
    similar, durations = np.array([0.85, 0.85, 0.5]), np.array([200.0, 300.0, 200.0])
    assert same_recording(similar, durations, 200.0, "both", np.ones(3, bool)).tolist() == [True, False, False]
    assert not same_recording(similar, durations, 200.0, "both", np.zeros(3, bool)).any()
