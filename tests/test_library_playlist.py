"""Playlists: the properties that make one worth hearing, on a clustered library; and the file that players open."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote_to_bytes

import numpy as np
import pytest

from volna.errors import InputError, LibraryError
from volna.library.index import Index, build
from volna.library.journey import compose_journey, journey, targets
from volna.library.m3u import Entry, m3u8, write_m3u8
from volna.library.playlist import Tracks, compose_wave, gather, wave
from volna.library.spacing import Rules, Spacing, name_codes
from volna.vectors import unit_rows

N, N_CLUSTERS, N_HUBS, DIM = 2000, 40, 20, 64
SPACE = "descriptors"


class ClusteredLibrary:
    """2 000 tracks in 40 clusters of 4 families, 12 artists a cluster, 3 albums an artist; 20 tracks are hubs.

    A hub lies in the middle of a family: nearer to most of its 500 tracks than those of their own cluster.
    """

    generation = 1

    def __init__(self) -> None:
        rng = np.random.default_rng(1)
        families = 0.5 * rng.normal(size=(4, DIM))
        clusters = families[np.arange(N_CLUSTERS) % 4] + 0.45 * rng.normal(size=(N_CLUSTERS, DIM))
        self.labels = np.arange(N) % N_CLUSTERS
        spread = rng.uniform(0.4, 1.2, (N, 1))
        self.raw = (clusters[self.labels] + spread * rng.normal(size=(N, DIM))).astype(np.float32)
        self.raw[:N_HUBS] = families[np.arange(N_HUBS) % 4] + 0.15 * rng.normal(size=(N_HUBS, DIM))
        self.rows = [self._row(at) for at in range(N)]

    def _row(self, at: int) -> Any:
        turn = at // N_CLUSTERS
        artist = f"artist {self.labels[at]}/{turn % 12}"
        return SimpleNamespace(
            id=at + 1,
            artist=artist,
            album=f"{artist}, album {turn // 12 % 3}",
            title=f"title {at}",
            duration_s=150.0 + 7.0 * (at % 31),
            short=False,
        )

    def vectors(self, space: str) -> tuple[np.ndarray, np.ndarray]:
        return np.arange(1, N + 1), self.raw

    def track_ids(self, where: Sequence[Any] | None = None) -> np.ndarray:
        wanted = dict.fromkeys(("short", "artist"))
        wanted.update({field: value for field, op, value in where or () if op == "="})
        rows = [row for row in self.rows if wanted["short"] is None or row.short == wanted["short"]]
        return np.array([row.id for row in rows if wanted["artist"] in (None, row.artist)])

    def tracks(self, ids: Sequence[int]) -> list[Any]:
        return [self.rows[track_id - 1] for track_id in ids]


@pytest.fixture(scope="module")
def library() -> ClusteredLibrary:
    return ClusteredLibrary()


@pytest.fixture(scope="module")
def index(library: ClusteredLibrary) -> Index:
    return build(library, {SPACE: "d"})


SEEDS = [N_HUBS + 20 + (k % N_CLUSTERS) + N_CLUSTERS * (7 * (k // N_CLUSTERS) + 1) for k in range(200)]  # 5 a cluster


@pytest.fixture(scope="module")
def playlists(library: ClusteredLibrary, index: Index) -> list[list[int]]:
    """200 playlists of 20 from 200 seeds."""
    return [make(library, index, [seed]) for seed in SEEDS]


def make(library: ClusteredLibrary, index: Index, seeds: list[int], n: int = 20, **options: Any) -> list[int]:
    return compose_wave(index, library, SPACE, gather(index, library, SPACE, seeds), n, **options).ids.tolist()


def median_step(index: Index, ids: Sequence[int]) -> float:
    rows = index.rows(SPACE, list(ids))
    return float(np.median((rows[1:] * rows[:-1]).sum(axis=1)))


def broken_gaps(names: Sequence[str | None], gap: int) -> int:
    return sum(names[at] is not None and names[at] in names[max(0, at - gap) : at] for at in range(len(names)))


# --- the properties


def test_artists_and_albums_are_spaced_and_nothing_comes_twice(
    library: ClusteredLibrary, playlists: list[list[int]]
) -> None:
    for seed, ids in zip(SEEDS, playlists, strict=True):
        rows = library.tracks(ids)
        artists, albums = [row.artist for row in rows], [row.album for row in rows]
        assert len(set(ids)) == len(ids) == 20
        assert seed not in ids
        assert max(Counter(artists).values()) <= 3
        assert broken_gaps([library.rows[seed - 1].artist, *artists], 5) == 0  # the seed has just been heard
        assert broken_gaps(albums, 3) == 0


def test_each_step_is_small(library: ClusteredLibrary, index: Index, playlists: list[list[int]]) -> None:
    top = [index.search(SPACE, index.rows(SPACE, [seed]), 20, exclude=[seed], hub_weight=0)[0][0] for seed in SEEDS]
    rng = np.random.default_rng(0)
    steps = {
        "wave": np.mean([median_step(index, ids) for ids in playlists]),
        "top-k": np.mean([median_step(index, ids.tolist()) for ids in top]),
        "random": np.mean([median_step(index, 1 + rng.permutation(N)[:20]) for _ in SEEDS]),
    }
    assert steps["random"] < 0.1
    assert steps["wave"] > steps["random"] + 0.3
    assert steps["wave"] > 0.9 * steps["top-k"]


def test_playlists_stay_near_their_seed(library: ClusteredLibrary, playlists: list[list[int]]) -> None:
    at_home = [
        np.mean(library.labels[np.array(ids) - 1] == library.labels[seed - 1])
        for seed, ids in zip(SEEDS, playlists, strict=True)
    ]
    assert np.mean(at_home) > 0.6


def test_no_track_is_in_more_than_one_playlist_of_twenty(index: Index, playlists: list[list[int]]) -> None:
    counts = Counter(track for ids in playlists for track in ids)
    top = Counter(
        int(track)
        for seed in SEEDS
        for track in index.search(SPACE, index.rows(SPACE, [seed]), 20, exclude=[seed], hub_weight=0)[0][0]
    )
    allowed = 0.05 * len(playlists)
    assert max(counts.values()) <= allowed
    assert max(top.values()) > allowed  # plain top-k breaks it


# --- seeds


def test_a_playlist_repeats_by_seed_and_differs_between_seeds(library: ClusteredLibrary, index: Index) -> None:
    first = make(library, index, [100], seed=1)
    assert first == make(library, index, [100], seed=1)
    others = [make(library, index, [100], seed=seed) for seed in range(2, 8)]
    assert all(other != first for other in others)
    assert (
        np.mean([len(set(first) & set(other)) for other in others]) > 5
    )  # near-equal tracks change places, not the style


def test_several_seeds_are_all_heard(library: ClusteredLibrary, index: Index) -> None:
    seeds = [121, 142, 163]  # three clusters of three families
    ids = make(library, index, seeds, n=45)
    nearest = (index.rows(SPACE, ids) @ index.rows(SPACE, seeds).T).argmax(axis=1)
    assert np.bincount(nearest, minlength=3).min() >= 9


def test_avoided_sounds_stay_away(library: ClusteredLibrary, index: Index) -> None:
    seed = 121
    plain = make(library, index, [seed], n=30)
    avoided = plain[4]
    away = gather(index, library, SPACE, [avoided])
    ids = make(library, index, [seed], n=30, avoid=away)
    similar = index.rows(SPACE, ids) @ np.concatenate([index.rows(SPACE, [seed]), away.rows]).T
    assert avoided not in ids
    assert (similar[:, 1] <= similar[:, 0] + 1e-6).all()
    assert similar[:, 1].mean() < (index.rows(SPACE, plain) @ away.rows[0]).mean() - 0.05


def test_filters_hold_whatever_the_rules_lose(library: ClusteredLibrary, index: Index) -> None:
    artist = library.rows[500].artist
    seeds = gather(index, library, SPACE, [100])
    made = compose_wave(index, library, SPACE, seeds, 20, where=[("artist", "=", artist)])
    assert {row.artist for row in library.tracks(made.ids.tolist())} == {artist}
    assert made.relaxed[-1] == f"tracks per artist 3 -> {len(made.ids)}"
    assert len(made.ids) == sum(row.artist == artist for row in library.rows) < 20


def test_a_wider_pool_comes_before_a_broken_rule(
    library: ClusteredLibrary, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("volna.library.playlist.POOL", 20)
    monkeypatch.setattr("volna.library.playlist.POOL_PER_TRACK", 1)
    monkeypatch.setattr("volna.library.playlist.POOL_PER_SEED", 20)
    made = compose_wave(index, library, SPACE, gather(index, library, SPACE, [100]), 40, rules=Rules(1, 39))
    assert made.relaxed == ()
    assert len({row.artist for row in library.tracks(made.ids.tolist())}) == len(made.ids) == 40


# --- the rules on small pools


def pool(n: int, seed: int = 0, **changes: Any) -> Tracks:
    """n tracks near one another, every one of another artist and album."""
    rng = np.random.default_rng(seed)
    rows = unit_rows(np.ones(32) + 0.6 * rng.normal(size=(n, 32)))
    names = tuple(str(k) for k in range(n))
    made = Tracks(
        np.arange(n), rows, np.zeros(n, np.float32), 100.0 + 5.0 * np.arange(n), np.zeros(n, bool), names, names, names
    )
    return replace(made, **changes)


def parts(tracks: Tracks) -> tuple[Tracks, Tracks]:
    """All but the first as candidates, the first as the seed."""
    return tracks.take(list(range(1, len(tracks)))), tracks.take([0])


def test_unknown_artists_are_not_one_artist() -> None:
    unknown = (None, "", "Unknown Artist", "<unknown>", "VARIOUS ARTISTS") * 6
    candidates, seeds = parts(pool(30, artists=unknown, albums=(None,) * 30))
    made = wave(candidates, seeds, 29, space=SPACE)
    assert len(made.ids) == 29
    assert made.relaxed == ()


def test_one_name_in_many_spellings_is_one_artist() -> None:
    codes = name_codes(["Sigur Rós", "SIGUR  RÓS", "Sigur Rós feat. X", "Sigur Rós (ft. Y)", "Sigur", "Featherstone"])
    assert codes.tolist() == [0, 0, 0, 0, 1, 2]


def test_the_rules_give_way_in_the_stated_order_and_no_further_than_needed() -> None:
    def made(artists: Sequence[str], albums: Sequence[str | None], n: int) -> tuple[str, ...]:
        candidates, seeds = parts(pool(len(artists), artists=tuple(artists), albums=tuple(albums)))
        found = wave(candidates, seeds, n, space=SPACE)
        assert len(found.ids) == n
        return found.relaxed

    names = [str(k) for k in range(13)]
    assert made(names, names, 12) == ()
    assert made(names, ["one"] * 13, 12) == ("album gap 3 -> 0",)
    four = ["seed", *(["a", "b", "c", "d"] * 3)]
    assert made(four, [None] * 13, 12) == ("artist gap 5 -> 3",)
    assert made(["seed", *(["a", "b"] * 6)], [None] * 13, 12) == ("artist gap 5 -> 1", "tracks per artist 3 -> 6")
    assert made(["seed", *["a"] * 6], ["seed", *["x"] * 6], 6) == (
        "album gap 3 -> 0",
        "artist gap 5 -> 0",
        "tracks per artist 3 -> 6",
    )


def test_spacing_prefers_the_least_harm() -> None:
    spacing = Spacing(np.array([0, 1, -1]), np.array([0, 0, 0]), Rules(1, 5, 3))
    spacing.play(0, 0)
    assert spacing.least_broken(np.ones(3, bool)).tolist() == [False, True, True]
    assert spacing.least_broken(np.array([True, True, False])).tolist() == [False, True, False]
    assert spacing.relaxed() == ("album gap 3 -> 0",)


def test_a_recording_comes_once_in_whatever_copy() -> None:
    tracks = pool(40)
    rows, durations = tracks.rows.copy(), tracks.durations_s.copy()
    for copy, original in ((11, 10), (12, 10), (21, 0), (31, 30)):
        rows[copy] = unit_rows(rows[original] + 0.01 * rows[5])
        durations[copy] = durations[original] + 0.3
    durations[31] += 60.0  # the same music at another length is not the same recording
    candidates, seeds = parts(replace(tracks, rows=rows, durations_s=durations))
    ids = wave(candidates, seeds, 39, space=SPACE).ids.tolist()
    assert len({10, 11, 12} & set(ids)) == 1
    assert not {0, 21} & set(ids)
    assert {30, 31} <= set(ids)
    assert len(ids) == 39 - 3


def test_the_same_tags_and_length_are_the_same_recording_at_less_likeness() -> None:
    tracks = pool(6)
    rows = tracks.rows.copy()
    rows[4] = unit_rows(rows[3] + 0.5 * np.eye(32, dtype=np.float32)[0])
    assert 0.8 < rows[4] @ rows[3] < 0.96
    alike = {"rows": rows, "durations_s": np.array([50.0, 60, 70, 80, 80, 90])}
    candidates, seeds = parts(replace(tracks, **alike))
    assert len(wave(candidates, seeds, 5, space=SPACE).ids) == 5
    tagged = replace(
        tracks, **alike, artists=("0", "1", "2", "A", "a", "5"), titles=("0", "1", "2", "Song", "song", "5")
    )
    candidates, seeds = parts(tagged)
    assert len(wave(candidates, seeds, 5, space=SPACE).ids) == 4


@pytest.mark.parametrize("seed_is_short", [False, True])
def test_short_tracks_are_kept_out_unless_a_seed_is_short(seed_is_short: bool) -> None:
    candidates, seeds = parts(pool(20, short=np.arange(20) % 2 == (0 if seed_is_short else 1)))
    ids = wave(candidates, seeds, 19, space=SPACE).ids
    assert len(ids) == (19 if seed_is_short else 9)


def test_an_empty_pool_gives_an_empty_playlist_and_no_seed_an_error() -> None:
    candidates, seeds = parts(pool(1))
    assert wave(candidates, seeds, 5, space=SPACE).ids.tolist() == []
    with pytest.raises(InputError, match="at least one track"):
        wave(pool(3), pool(3).take([]), 5, space=SPACE)
    with pytest.raises(InputError, match="at least 1 track per artist"):
        Rules(max_per_artist=0)


# --- journey


def test_targets_are_evenly_spaced_between_the_ends() -> None:
    start, end = unit_rows(np.random.default_rng(0).normal(size=(2, 16)))
    points = targets(start, end, 9)
    steps = (points[1:] * points[:-1]).sum(axis=1)
    assert np.allclose(points[[0, -1]], [start, end], atol=1e-6)
    assert np.ptp(steps) < 1e-5
    assert np.isfinite(targets(start, start, 4)).all()
    assert np.isfinite(targets(start, -start, 5)).all()


@pytest.mark.parametrize(("start", "end"), [(121, 142), (300, 1777), (700, 711)])
def test_a_journey_leads_on_with_every_step(library: ClusteredLibrary, index: Index, start: int, end: int) -> None:
    ends = gather(index, library, SPACE, [start, end])
    made = compose_journey(index, library, SPACE, ends, 20)
    rows = index.rows(SPACE, [start, *made.ids, end])
    came = rows @ (ends.rows[1] - ends.rows[0])
    assert len(made.ids) == 18
    assert made.relaxed == ()
    assert (np.diff(came) >= 0).all()
    random_steps = [median_step(index, 1 + np.random.default_rng(k).permutation(N)[:20]) for k in range(20)]
    assert np.median((rows[1:] * rows[:-1]).sum(axis=1)) > np.mean(random_steps) + 0.15
    half = len(rows) // 2
    assert (rows[1:half] @ ends.rows[0]).mean() > (rows[1:half] @ ends.rows[1]).mean()
    assert (rows[half:-1] @ ends.rows[1]).mean() > (rows[half:-1] @ ends.rows[0]).mean()
    artists = [row.artist for row in library.tracks([start, *made.ids.tolist(), end])]
    assert broken_gaps(artists, 5) == 0
    assert made.ids.tolist() == compose_journey(index, library, SPACE, ends, 20).ids.tolist()


def test_a_journey_needs_two_ends_and_may_find_nothing_between() -> None:
    tracks = pool(2)
    assert journey(tracks.take([]), tracks, 10, space=SPACE).ids.tolist() == []
    assert journey(tracks, tracks, 10, space=SPACE).ids.tolist() == []
    assert journey(pool(9), tracks, 2, space=SPACE).ids.tolist() == []
    with pytest.raises(InputError, match="a start, an end"):
        journey(pool(9), tracks.take([0]), 10, space=SPACE)


def test_a_journey_brings_no_recording_twice() -> None:
    tracks = pool(30)
    rows = tracks.rows.copy()
    rows[20:] = unit_rows(rows[10:20] + 0.001)
    doubled = replace(tracks, rows=rows, durations_s=np.full(30, 200.0))
    made = journey(doubled.take(list(range(1, 29))), doubled.take([0, 29]), 25, space=SPACE)
    assert len({track % 10 + 10 if track >= 20 else track for track in made.ids.tolist()}) == len(made.ids)
    assert 19 not in made.ids  # the end itself


# --- the file


def read_back(playlist: Path) -> list[Path]:
    """What a player would open: paths relative to the playlist, file URIs decoded."""
    found = []
    for line in playlist.read_bytes().split(b"\n"):
        if line and not line.startswith(b"#"):
            uri = line.startswith(b"file://")
            found.append(playlist.parent / os.fsdecode(unquote_to_bytes(line[7:]) if uri else line))
    return found


ODD_NAMES = [
    b"plain.mp3",
    b"with space.flac",
    "Bj\u00f6rk \u2013 \u97f3\u697d.ogg".encode(),
    b"latin1 caf\xe9.mp3",
    b"#1 hit.mp3",
    b"new\nline.mp3",
    b"carriage\rreturn.mp3",
    b" leading.mp3",
    b"http: not.mp3",
    b"50%25 off.mp3",
    b"ends in a space ",
]


@pytest.mark.parametrize("name", ODD_NAMES)
@pytest.mark.parametrize("place", ["same", "below", "beside"])
def test_every_name_is_found_again(tmp_path: Path, name: bytes, place: str) -> None:
    music = tmp_path / {"same": "lists", "below": "lists/a/b", "beside": "music"}[place]
    music.mkdir(parents=True)
    (tmp_path / "lists").mkdir(exist_ok=True)
    track = os.path.join(os.fsencode(music), name)
    try:
        with open(track, "wb"):
            pass
    except OSError:
        pytest.skip("this file system does not take the name")
    playlist = tmp_path / "lists" / "wave.m3u8"
    write_m3u8([Entry(os.fsdecode(track), 61.4, "A", "T")], playlist)
    assert [os.path.realpath(os.fsencode(path)) for path in read_back(playlist)] == [os.path.realpath(track)]
    lines = playlist.read_bytes().split(b"\n")
    assert lines[:2] == [b"#EXTM3U", b"#EXTINF:61,A - T"]
    assert len(lines) == 4
    assert lines[3] == b""
    assert not lines[2].startswith(b"/")


def test_the_folder_can_be_moved_with_its_music(tmp_path: Path) -> None:
    (tmp_path / "disk" / "music").mkdir(parents=True)
    (tmp_path / "disk" / "music" / "a.mp3").write_bytes(b"x")
    write_m3u8([Entry(str(tmp_path / "disk/music/a.mp3"))], tmp_path / "disk" / "list.m3u8")
    (tmp_path / "disk").rename(tmp_path / "elsewhere")
    assert read_back(tmp_path / "elsewhere" / "list.m3u8")[0].read_bytes() == b"x"


def test_paths_lead_out_of_a_linked_folder(tmp_path: Path) -> None:
    for folder in ("music", "real/deep/lists"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "music" / "a.mp3").write_bytes(b"x")
    (tmp_path / "lists").symlink_to(tmp_path / "real/deep/lists")
    write_m3u8([Entry(str(tmp_path / "music/a.mp3"))], tmp_path / "lists" / "w.m3u8")
    assert read_back(tmp_path / "lists" / "w.m3u8")[0].read_bytes() == b"x"


def test_information_stays_on_its_line_and_is_never_missing() -> None:
    entries = [
        Entry("/m/a.mp3", 0.0, "New\nLine", "Car\rriage\u2028"),
        Entry("/m/No tags.mp3", 0.4),
        Entry("/m/b.mp3", 12.0, None, "Only title"),
        Entry("/m/c.mp3", 12.0, "caf\udce9", "x"),
    ]
    lines = m3u8(entries, "/m").split(b"\n")
    assert lines[1::2][:4] == [
        b"#EXTINF:-1,New Line - Car riage",
        b"#EXTINF:1,No tags",
        b"#EXTINF:12,Only title",
        b"#EXTINF:12,caf\xe9 - x",
    ]
    assert m3u8([], "/m") == b"#EXTM3U\n"


def test_another_drive_gets_an_absolute_path(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_way(*_: Any) -> str:
        raise ValueError("path is on mount 'D:', start on mount 'C:'")

    monkeypatch.setattr("volna.library.m3u.os.path.relpath", no_way)
    assert m3u8([Entry("/m/a.mp3")], "/m").split(b"\n")[2] == os.path.realpath("/m/a.mp3").encode()


def test_writing_replaces_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    playlist = tmp_path / "lists" / "w.m3u8"
    playlist.parent.mkdir()
    write_m3u8([Entry("/m/a.mp3")], playlist)
    write_m3u8([Entry("/m/b.mp3")], playlist)
    before = playlist.read_bytes()
    assert b"b.mp3" in before

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("volna.library.m3u.os.replace", full)
    with pytest.raises(LibraryError, match=r"w\.m3u8: cannot write the playlist: No space left"):
        write_m3u8([Entry("/m/c.mp3")], playlist)
    assert playlist.read_bytes() == before
    assert [entry.name for entry in playlist.parent.iterdir()] == ["w.m3u8"]


def test_a_missing_folder_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(LibraryError, match="cannot write the playlist"):
        write_m3u8([], tmp_path / "no" / "w.m3u8")


def test_a_playlist_is_readable_like_any_file(tmp_path: Path) -> None:
    (tmp_path / "other").write_text("")
    write_m3u8([], tmp_path / "w.m3u8")
    assert (tmp_path / "w.m3u8").stat().st_mode == (tmp_path / "other").stat().st_mode
