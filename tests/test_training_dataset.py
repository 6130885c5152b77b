"""The cache of log-mels, the split by whole tracks, the batches."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest

from volna.errors import InputError, ModelError
from volna.training.dataset import MelCache, Track, batches, draw_pairs, scan_tracks, split_tracks, tile_frames


def mel(n_frames: int = 60, seed: int = 0, n_mels: int = 8) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal((n_mels, n_frames)) * 10 - 40).astype(np.float32)


@pytest.fixture
def cache(tmp_path) -> MelCache:
    cache = MelCache(tmp_path / "cache")
    for i in range(6):
        assert cache.put(f"track{i}", [mel(60, i), mel(60, i + 10)])
    return cache


def tracks_of(n: int) -> list[Track]:
    return [Track(f"t{i}", 8, (60,), -80.0, -40.0) for i in range(n)]


def test_what_is_put_comes_back(cache):
    first, second = cache.get("track3")
    np.testing.assert_allclose(first, mel(60, 3), atol=0.04)
    np.testing.assert_allclose(second, mel(60, 13), atol=0.04)
    assert first.dtype == np.float32
    assert cache.keys() == [f"track{i}" for i in range(6)]
    assert len(cache) == 6
    assert "track3" in cache
    assert "track9" not in cache


def test_another_process_sees_the_same(cache):
    again = MelCache(cache.folder)
    assert again.keys() == cache.keys()
    assert again.n_bytes == cache.n_bytes == sum(path.stat().st_size for path in cache.folder.iterdir())


def test_a_track_put_twice_counts_once(cache):
    before = cache.n_bytes
    cache.put("track0", [mel(60, 99), mel(60, 98)])
    assert cache.n_bytes == before
    assert len(cache) == 6


def test_reads_part_of_a_window(cache):
    np.testing.assert_allclose(cache.read("track2", 1, 20, 16), mel(60, 12)[:, 20:36], atol=0.04)


def test_stays_within_its_size(tmp_path):
    cache = MelCache(tmp_path / "cache", max_bytes=5000)
    assert not cache.full
    kept = [cache.put(f"t{i}", [mel(60, i)]) for i in range(10)]
    assert kept == [True] * 4 + [False] * 6
    assert cache.full
    assert sum(path.stat().st_size for path in cache.folder.iterdir()) <= 5000
    assert len(cache) == 4


def test_missing_and_damaged_files_are_no_tracks(cache):
    path = cache.path("track1")
    path.write_bytes(path.read_bytes()[:-10])
    cache.path("track2").write_bytes(b"noise")
    cache.path("track3").write_bytes(b"")
    cache.put("other", [mel(60, n_mels=9)])
    cache.put("infinite", [np.full((8, 60), np.inf, dtype=np.float32)])
    assert cache.get("track1") is None
    assert cache.get("nowhere") is None
    tracks, unusable = scan_tracks(cache, n_mels=8)
    assert [track.key for track in tracks] == ["track0", "track4", "track5"]
    assert unusable == ["infinite", "other", "track1", "track2", "track3"]


def test_a_killed_write_leaves_no_track(cache):
    (cache.folder / ".track7.mel.abc123").write_bytes(b"half")
    assert len(cache) == 6


def test_clear_removes_everything(cache):
    (cache.folder / ".track7.mel.abc123").write_bytes(b"half")
    (cache.folder / "training.state").write_bytes(b"state")
    cache.clear()
    assert not cache.folder.exists()


def test_clear_leaves_what_is_not_its_own(cache):
    (cache.folder / "letter.txt").write_text("keep")
    cache.clear()
    assert [path.name for path in cache.folder.iterdir()] == ["letter.txt"]


@pytest.mark.parametrize("key", ["", "../up", "a/b", "a.b"])
def test_a_key_is_never_a_path(cache, key):
    with pytest.raises(InputError, match="expected a key of letters and digits"):
        cache.put(key, [mel()])


def test_an_empty_track_is_an_error(cache):
    with pytest.raises(InputError, match="at least one window"):
        cache.put("empty", [np.zeros((8, 0), dtype=np.float32)])


def test_scan_measures_floor_and_level(cache):
    tracks, _ = scan_tracks(cache, top_db=20.0)
    windows = cache.get("track0")
    cells = np.concatenate(windows, axis=1)
    assert tracks[0].floor_db == pytest.approx(cells.max() - 20)
    assert tracks[0].level_db == pytest.approx(np.maximum(cells, cells.max() - 20).mean(), abs=1e-4)
    assert tracks[0].n_frames == (60, 60)


def test_split_holds_out_whole_tracks():
    training, validation = split_tracks(tracks_of(100))
    assert len(validation) == 10
    assert {t.key for t in training} | {t.key for t in validation} == {t.key for t in tracks_of(100)}
    assert not set(training) & set(validation)
    assert split_tracks(tracks_of(100)) == (training, validation)
    assert split_tracks(tracks_of(100), seed=1) != (training, validation)


def test_split_holds_out_whole_groups():
    groups = {f"t{i}": f"artist {i // 7}" for i in range(90)}
    training, validation = split_tracks(tracks_of(100), groups=groups)
    names = [{groups.get(t.key, t.key) for t in part} for part in (training, validation)]
    assert not names[0] & names[1]
    assert 5 <= len(validation) <= 20


@pytest.mark.parametrize("n", [2, 3, 5])
def test_split_of_few_tracks_holds_one_out(n):
    training, validation = split_tracks(tracks_of(n))
    assert (len(training), len(validation)) == (n - 1, 1)


def test_split_with_a_single_group_uses_it_twice():
    assert split_tracks(tracks_of(1)) == (tracks_of(1), tracks_of(1))
    one = {f"t{i}": "the only one" for i in range(4)}
    assert split_tracks(tracks_of(4), groups=one) == (tracks_of(4), tracks_of(4))


def test_split_never_trains_on_less_than_it_holds_out_for_one_huge_artist():
    groups = {f"t{i}": "huge" if i < 90 else f"small {i}" for i in range(100)}
    for seed in range(10):
        training, validation = split_tracks(tracks_of(100), groups=groups, seed=seed)
        assert len(training) > len(validation)


def test_tiling_repeats():
    short = np.arange(6, dtype=np.float32).reshape(2, 3)
    np.testing.assert_array_equal(tile_frames(short, 7)[0], [0, 1, 2, 0, 1, 2, 0])
    np.testing.assert_array_equal(tile_frames(short, 2)[0], [0, 1])


def test_pairs_are_two_places_of_one_track_relative_to_its_level(cache):
    tracks, _ = scan_tracks(cache)
    pairs = draw_pairs(cache, tracks[:2], np.random.default_rng(0), n_frames=32)
    assert pairs.shape == (2, 2, 8, 32)
    windows = [window - np.float32(tracks[0].level_db) for window in cache.get("track0")]
    for place in pairs[0]:
        found = [np.allclose(place, w[:, s : s + 32], atol=1e-3) for w in windows for s in range(29)]
        assert sum(found) == 1
    assert not np.allclose(pairs[0, 0], pairs[0, 1])


def test_short_tracks_are_tiled_not_dropped(tmp_path):
    cache = MelCache(tmp_path)
    cache.put("short", [mel(3)])
    tracks, _ = scan_tracks(cache)
    (pair,) = draw_pairs(cache, tracks, np.random.default_rng(0), n_frames=16)
    np.testing.assert_array_equal(pair[0], pair[1])
    np.testing.assert_array_equal(pair[0][:, :3], pair[0][:, 3:6])


def test_every_track_comes_once_an_epoch(cache):
    tracks, _ = scan_tracks(cache)
    seen = [
        tuple(round(float(x), 3) for x in pair[:, 0, 0])
        for b in islice(batches(cache, tracks, batch_size=2, n_frames=60), 3)
        for pair in b
    ]
    assert len(set(seen)) == 6


def test_batches_depend_on_seed_and_step_alone(cache):
    tracks, _ = scan_tracks(cache)
    whole = list(islice(batches(cache, tracks, batch_size=4, n_frames=16), 5))
    later = list(islice(batches(cache, tracks, batch_size=4, n_frames=16, first_step=3), 2))
    np.testing.assert_array_equal(whole[3:], later)
    other = next(batches(cache, tracks, batch_size=4, n_frames=16, seed=1))
    assert not np.array_equal(whole[0], other)


def test_a_file_that_goes_away_is_replaced_by_another(cache):
    tracks, _ = scan_tracks(cache)
    cache.path("track0").unlink()
    cache.path("track1").write_bytes(b"broken")
    assert next(batches(cache, tracks, batch_size=6, n_frames=16)).shape == (6, 2, 8, 16)
    for track in tracks:
        cache.path(track.key).unlink(missing_ok=True)
    with pytest.raises(ModelError, match="can be read any more"):
        next(batches(cache, tracks, batch_size=6))


def test_no_track_at_all_is_an_error(cache):
    with pytest.raises(ModelError, match="got none"):
        next(batches(cache, []))
