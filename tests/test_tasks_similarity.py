"""volna.tasks.similarity: reasons that are true, copies folded, rankings scored as they are shown."""

from __future__ import annotations

import numpy as np
import pytest

from volna import metrics
from volna.features.recipe import DESCRIPTOR_NAMES
from volna.tasks import similarity
from volna.tasks.similarity import chance, explain, fold_copies, retrieve, scores
from volna.vectors import Standardiser, unit_rows

NAMES = DESCRIPTOR_NAMES
SCALE = Standardiser(np.zeros(len(NAMES)), np.ones(len(NAMES)), np.ones(len(NAMES)))


def sound(seed: int, *, bpm: float = 100.0, clarity: float = 0.5) -> np.ndarray:
    vector = np.random.default_rng(seed).normal(size=len(NAMES)).astype(np.float32)
    vector[NAMES.index("tempo_bpm")], vector[NAMES.index("pulse_clarity")] = bpm, clarity
    return vector


def with_group(query: np.ndarray, other: np.ndarray, *groups: str) -> np.ndarray:
    """The other sound with some groups of descriptors moved next to those of the query, and all others far away."""
    made = query + 3.0 * np.sign(other)
    for group in groups:
        members = [row for row, name in enumerate(NAMES) if similarity.re.fullmatch(similarity.GROUPS[group][0], name)]
        made[members] = query[members] + 0.01
    made[[NAMES.index("tempo_bpm"), NAMES.index("pulse_clarity")]] = 180.0, 0.5
    return made


def test_every_group_finds_its_descriptors() -> None:
    found = {
        group: [name for name in NAMES if similarity.re.fullmatch(pattern, name)]
        for group, (pattern, *_) in similarity.GROUPS.items()
    }
    assert all(len(names) >= 2 for names in found.values())
    assert len(found["timbre"]) == 19
    assert "mfcc_1_mean" not in found["timbre"]
    every = [name for names in found.values() for name in names]
    assert len(every) == len(set(every))


@pytest.mark.parametrize("group", list(similarity.GROUPS))
def test_only_the_close_group_is_named(group: str) -> None:
    query = sound(0)
    assert explain(query, with_group(query, sound(1), group), NAMES, SCALE) == f"similar {group}"


def test_the_closest_groups_come_first_and_no_more_than_asked() -> None:
    query = sound(0)
    match = with_group(query, sound(1), "timbre", "brightness", "harmony")
    match[NAMES.index("centroid_mean")] += 0.2
    assert explain(query, match, NAMES, SCALE) == "similar timbre and harmony"
    assert explain(query, match, NAMES, SCALE, n_words=1) in ("similar timbre", "similar harmony")


def test_nothing_is_claimed_of_what_is_far() -> None:
    query = sound(0)
    assert explain(query, with_group(query, sound(1)), NAMES, SCALE) == "overall sound"


@pytest.mark.parametrize(
    ("bpm", "clarity", "said"),
    [
        (97.0, 0.5, True),
        (103.9, 0.5, True),
        (105.0, 0.5, False),
        (200.0, 0.5, False),
        (97.0, 0.02, False),
        (np.nan, 0.5, False),
    ],
)
def test_a_tempo_is_named_where_both_have_one(bpm: float, clarity: float, said: bool) -> None:
    why = explain(sound(0, bpm=100.0), sound(1, bpm=bpm, clarity=clarity), NAMES, SCALE)
    assert ("BPM" in why) == said
    if said:
        assert why.startswith(f"100 / {bpm:.0f} BPM")


def test_reasons_do_not_depend_on_weights_and_skip_what_is_unknown() -> None:
    query = sound(0)
    match = with_group(query, sound(1), "timbre", "brightness")
    heavy = Standardiser(SCALE.centre, SCALE.spread, np.full(len(NAMES), 5.0))
    assert explain(query, match, NAMES, heavy) == explain(query, match, NAMES, SCALE)
    match[NAMES.index("centroid_mean")] = np.nan
    assert explain(query, match, NAMES, SCALE) == "similar timbre"


# --- copies


def noisy(row: np.ndarray, amount: float, seed: int = 9) -> np.ndarray:
    return unit_rows(row + amount * np.random.default_rng(seed).normal(size=row.shape) / np.sqrt(row.shape[-1]))


def test_copies_fold_into_the_first_and_different_tracks_do_not() -> None:
    one, other = unit_rows(np.random.default_rng(0).normal(size=(2, 100)))
    album_mate = noisy(one, 0.5)  # about .89
    rows = np.stack([one, noisy(one, 0.1), other, album_mate, noisy(other, 0.1), noisy(one, 0.15)])
    durations = np.array([200.0, 200.1, 180.0, 199.0, 180.9, 260.0])
    assert fold_copies(rows, durations, "both").tolist() == [0, 0, 2, 3, 2, 5]


def test_tags_decide_where_the_sound_alone_does_not() -> None:
    one = unit_rows(np.random.default_rng(0).normal(size=100))
    rows, durations = np.stack([one, noisy(one, 0.5)]), np.array([200.0, 200.2])
    assert fold_copies(rows, durations, "both", [("A", "Song"), ("a", "song ")]).tolist() == [0, 0]
    assert fold_copies(rows, durations, "both", [("A", "Song"), ("A", "Other")]).tolist() == [0, 1]
    assert fold_copies(rows, durations, "both", [(None, "Song"), (None, "Song")]).tolist() == [0, 1]
    assert fold_copies(rows[:0], durations[:0], "both").tolist() == []


# --- retrieval


def clustered(n: int = 240, noise: float = 0.7) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    labels = np.arange(n) % 6
    centres = rng.normal(size=(6, 24))
    return unit_rows(centres[labels] + noise * rng.normal(size=(n, 24))), labels, np.arange(n) // 12 * 6 + labels


def test_good_vectors_score_high_and_random_ones_at_chance() -> None:
    rows, labels, artists = clustered()
    good = retrieve(rows, labels, artists)
    blind = retrieve(unit_rows(np.random.default_rng(2).normal(size=rows.shape)), labels, artists)
    assert good.precision_at_10.mean() > 0.8
    for score, expected in (
        (blind.precision_at_10, blind.chance_precision),
        (blind.average_precision, blind.chance_average_precision),
    ):
        assert np.nanmean(score) == pytest.approx(np.nanmean(expected), abs=0.03)
    assert np.allclose(good.chance_precision, blind.chance_precision)


def test_tracks_of_the_same_artist_earn_nothing() -> None:
    rows = unit_rows(np.repeat(np.random.default_rng(3).normal(size=(30, 16)), 4, axis=0))
    artists = np.repeat(np.arange(30), 4)
    labels = artists % 3
    assert retrieve(rows, labels, np.arange(120)).precision_at_1.mean() == 1.0
    assert retrieve(rows, labels, artists).precision_at_1.mean() < 0.6


def test_a_query_that_nothing_could_answer_does_not_count() -> None:
    rows, labels, artists = clustered(60)
    labels = labels.copy()
    labels[7] = 99
    found = retrieve(rows, labels, artists)
    assert np.flatnonzero(np.isnan(found.precision_at_10)).tolist() == [7]
    assert np.flatnonzero(np.isnan(found.chance_precision)).tolist() == [7]


def test_blocks_and_a_part_of_the_queries_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, labels, artists = clustered()
    whole = retrieve(rows, labels, artists)
    monkeypatch.setattr(similarity, "BLOCK_VALUES", 1000)
    blocked = retrieve(rows, labels, artists)
    assert np.array_equal(whole.counts, blocked.counts)
    assert np.allclose(whole.average_precision, blocked.average_precision)
    part = np.arange(0, 240, 7)
    some = retrieve(rows, labels, artists, queries=rows[part], query_labels=labels[part], query_rows=part)
    assert np.allclose(some.precision_at_5, whole.precision_at_5[part])
    assert some.counts.sum() == 10 * len(part)


def test_one_half_of_a_track_finds_the_other() -> None:
    rng = np.random.default_rng(4)
    tracks = rng.normal(size=(50, 32))
    first, second = (unit_rows(tracks + 0.3 * rng.normal(size=tracks.shape)) for _ in range(2))
    everyone, nobody = np.arange(50), np.full(50, -1)
    found = retrieve(second, everyone, everyone, queries=first, query_rows=nobody)
    assert found.precision_at_1.mean() == 1.0
    assert found.average_precision.mean() == 1.0
    assert found.chance_precision == pytest.approx(1 / 50)


def test_the_counts_are_of_the_lists_that_users_see() -> None:
    rows, labels, artists = clustered()
    found = retrieve(rows, labels, artists, hub_weight=0)
    ranking = metrics.rank_excluding(rows @ rows.T, np.arange(240), np.arange(240), 10)
    assert np.array_equal(found.counts, metrics.k_occurrence(ranking, 240))


def test_a_table_row_has_six_figures_with_their_intervals() -> None:
    rows, labels, artists = clustered()
    found = retrieve(rows, labels, artists)
    table, random = scores(found, artists), chance(found, artists)
    assert list(table) == [
        "precision_at_1",
        "precision_at_5",
        "precision_at_10",
        "mean_average_precision",
        "hubness",
        "never_recommended",
    ]
    for value, low, high in table.values():
        assert low <= value <= high
    assert table == scores(found, artists)
    assert table["precision_at_10"][1] > random["precision_at_10"][2]
    assert abs(random["hubness"][0]) < 0.8
