"""What `wave` and `journey` promise, and the playlists that they write. The rules alone: test_library_playlist.py."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote_to_bytes

import numpy as np
import pytest
from conftest import SAMPLE_RATE, sound
from synthetic_library import copy_of, fill, fill_with_model, songs

import volna
from volna.audio.encode import encode
from volna.cli import main
from volna.errors import InputError, LibraryError, ModelError
from volna.library.store import Catalogue
from volna.workflows.common import open_current_index
from volna.workflows.results import Match


def gaps(names: list[str | None]) -> int:
    """The least number of others between two of one name."""
    places: dict[str | None, int] = {}
    least = len(names)
    for place, name in enumerate(names):
        if name in places:
            least = min(least, place - places[name] - 1)
        places[name] = place
    return least


# wave


def test_a_wave_starts_near_its_seed_and_brings_nothing_twice(library):
    tracks = songs(200, artists=60)
    ids = fill(library, tracks)
    made = volna.wave(["tune 3"], library=library, n=20)
    found = [match.id for match in made.results]
    assert [match.rank for match in made.results] == list(range(1, 21))
    assert len(set(found)) == 20
    assert ids[3] not in found
    assert {ids.index(track) % 4 for track in found} == {3}
    assert (made.query, made.relaxed) == (["artist 3 - tune 3"], [])


def test_artists_and_albums_keep_their_distance(library):
    fill(library, songs(300, kinds=1, artists=30))
    made = volna.wave(["tune 0"], library=library, n=40)
    artists = [match.artist for match in made.results]
    assert made.relaxed == []
    assert max(artists.count(artist) for artist in artists) <= 3
    assert gaps(artists) >= 5
    assert gaps([match.album for match in made.results]) >= 3


def test_the_number_and_the_gap_are_options(library):
    fill(library, songs(300, kinds=1, artists=30))
    artists = [match.artist for match in volna.wave([1], library=library, n=20, max_per_artist=1).results]
    assert len(set(artists)) == 20
    artists = [match.artist for match in volna.wave([1], library=library, n=20, artist_gap=9).results]
    assert gaps(artists) >= 9
    for wrong in ({"max_per_artist": 0}, {"artist_gap": -1}, {"n": 0}, {"bpm": (130, 90)}, {"year": (2000, 1990)}):
        with pytest.raises(InputError):
            volna.wave([1], library=library, **wrong)


def test_untagged_artists_are_unknown_not_one_artist(library):
    fill(library, [replace(song, artist=None, album=None) for song in songs(60, kinds=1)])
    made = volna.wave([1], library=library, n=30)
    assert (len(made.results), made.relaxed) == (30, [])


def test_rules_give_way_in_the_stated_order_and_it_says_so(library):
    fill(library, songs(30, kinds=1, artists=1))
    made = volna.wave([1], library=library, n=20)
    assert len(made.results) == 20
    assert [line.split(" ->")[0] for line in made.relaxed] == ["album gap 3", "artist gap 5", "tracks per artist 3"]


def test_too_few_tracks_are_said(library):
    fill(library, songs(8))
    made = volna.wave([1], library=library, n=50)
    assert len(made.results) == 7
    assert any("only 7 of 50" in note for note in made.notes)


def test_a_wave_repeats_with_its_seed_and_differs_with_another(library):
    fill(library, songs(200, kinds=1, artists=60))
    made = [volna.wave([1], library=library, n=20, seed=seed).results for seed in (0, 0, 1)]
    assert made[0] == made[1]
    assert made[0] != made[2]


def test_several_seeds_are_all_heard_and_the_similarity_is_to_the_nearest(library):
    ids = fill(library, songs(80, artists=40))
    made = volna.wave(["tune 0", ids[1]], library=library, n=20)
    assert {(ids.index(match.id)) % 4 for match in made.results} == {0, 1}
    assert made.query == ["artist 0 - tune 0", "artist 1 - tune 1"]
    with Catalogue.open(library) as catalogue:
        index = open_current_index(catalogue)
        cosines = index.rows("descriptors", [m.id for m in made.results]) @ index.rows("descriptors", ids[:2]).T
    assert [match.similarity for match in made.results] == pytest.approx(cosines.max(axis=1), abs=1e-4)


def test_what_is_not_wanted_stays_away(library):
    ids = fill(library, songs(80, artists=40))
    alone = volna.wave(["tune 0", "tune 1"], library=library, n=20)
    made = volna.wave(["tune 0", "tune 1"], avoid=["tune 5"], library=library, n=15)
    assert any(ids.index(match.id) % 4 == 1 for match in alone.results)
    assert not any(ids.index(match.id) % 4 == 1 for match in made.results)
    assert made.settings["avoid"] == ["artist 5 - tune 5"]


def test_filters_come_before_the_choice(library):
    fill(library, songs(400, kinds=2, artists=80))
    made = volna.wave([1], library=library, n=10, bpm=(100, 104), year=(2000, 2009))
    assert made.results
    with Catalogue.open(library) as catalogue:
        rows = catalogue.tracks([match.id for match in made.results])
    assert all(100 <= row.tempo_bpm <= 104 and 2000 <= row.year <= 2009 for row in rows)
    passing = [song for song in songs(400, kinds=2, artists=80) if 100 <= song.tempo_bpm <= 104]
    passing = [song for song in passing if 2000 <= song.year <= 2009]
    assert len(made.results) == min(10, len(passing))


@pytest.mark.parametrize("genre", ["jazz", " JAZZ ", "Fusion", "Jazz; Fusion"])
def test_a_genre_is_found_in_any_case_and_among_several(library, genre):
    tracks = [replace(song, genre=("rock", "Jazz; Fusion", None)[k % 3]) for k, song in enumerate(songs(30))]
    ids = fill(library, tracks)
    made = volna.wave([ids[0]], library=library, n=50, genre=genre)
    assert {match.id for match in made.results} == {ids[k] for k in range(1, 30, 3)}


def test_what_is_unknown_passes_no_filter(library):
    tracks = [replace(song, year=None, tempo_bpm=None, genre=None) for song in songs(10)]
    fill(library, tracks)
    for only in ({"bpm": (1, 999)}, {"year": (1, 9999)}, {"genre": "genre 1"}):
        made = volna.wave([1], library=library, n=5, **only)
        assert made.results == []
        assert any("only 0 of 5" in note for note in made.notes)


def test_short_sounds_are_kept_out_unless_a_seed_is_short(library):
    tracks = songs(20, kinds=1, artists=20)
    tracks = [
        replace(song, short=k >= 10, duration_s=2.0 if k >= 10 else 200.0 + 9 * k) for k, song in enumerate(tracks)
    ]
    ids = fill(library, tracks)
    assert {match.id for match in volna.wave([ids[0]], library=library, n=50).results} == set(ids[1:10])
    assert {match.id for match in volna.wave([ids[15]], library=library, n=50).results} > set(ids[:10])
    assert {match.id for match in volna.similar(ids[0], library=library, n=50).results} == set(ids[1:])


def test_a_recording_comes_once_and_never_that_of_a_seed(library):
    tracks = songs(20, kinds=1, artists=20)
    copies = [copy_of(tracks[k], f"/other/{k}.flac", title=f"rip {k}") for k in (0, 5, 6)]
    ids = fill(library, [*tracks, *copies])
    found = {match.id for match in volna.wave([ids[0]], library=library, n=50).results}
    assert not found & {ids[0], ids[20]}
    assert len(found) == 19
    assert len(found & {ids[5], ids[21]}) == len(found & {ids[6], ids[22]}) == 1


def test_a_wave_wants_a_seed_that_exists_and_a_space_that_exists(library):
    fill(library, songs(5))
    with pytest.raises(InputError, match="at least one track"):
        volna.wave([], library=library)
    with pytest.raises(LibraryError, match="no track 'nobody'"):
        volna.wave(["tune 0", "nobody"], library=library)
    with pytest.raises(LibraryError, match="several"):
        volna.wave(["tune 0"], avoid=["tune"], library=library)
    with pytest.raises(ModelError, match="volna train"):
        volna.wave(["tune 0"], library=library, by="both")


@pytest.mark.parametrize("by", ["descriptors", "autoencoder", "both"])
def test_every_space_makes_a_wave_and_a_journey(library, by):
    fill_with_model(library, songs(40, artists=40))
    assert len(volna.wave(["tune 0"], library=library, n=9, by=by).results) == 9
    assert len(volna.journey("tune 0", "tune 1", library=library, n=9, by=by).results) == 9
    assert volna.wave(["tune 0"], library=library, n=3).by == "both"


# journey


def test_a_journey_walks_from_one_end_to_the_other(library):
    ids = fill(library, songs(200, kinds=6, artists=60))
    made = volna.journey("tune 0", "tune 1", library=library, n=12)
    found = [match.id for match in made.results]
    assert (found[0], found[-1], len(found), len(set(found))) == (ids[0], ids[1], 12, 12)
    assert made.query == ["artist 0 - tune 0", "artist 1 - tune 1"]
    with Catalogue.open(library) as catalogue:
        rows = open_current_index(catalogue).rows("descriptors", found)
    came = rows @ rows[-1] - rows @ rows[0]
    assert (np.diff(came) >= -1e-6).all()
    assert made.results == volna.journey("tune 0", "tune 1", library=library, n=12).results


def test_the_shortest_journeys(library):
    ids = fill(library, songs(10))
    assert [m.id for m in volna.journey(1, 2, library=library, n=2).results] == ids[:2]
    assert len(volna.journey(1, 2, library=library, n=50).results) <= 10
    with pytest.raises(InputError, match="at least 2"):
        volna.journey(1, 2, library=library, n=1)
    with pytest.raises(InputError, match="twice"):
        volna.journey(1, "tune 0", library=library)


def test_a_journey_through_an_empty_land_says_so(library):
    fill(library, songs(3))
    made = volna.journey(1, 2, library=library, n=20)
    assert len(made.results) <= 3
    assert any(f"only {len(made.results)} of 20" in note for note in made.notes)


def test_seeds_and_ends_may_lie_outside_the_library(library, make_music, tmp_path):
    make_music(8, duration_s=3.2)
    volna.index([tmp_path / "music"], library=library, jobs=1, train_time_s=0)
    outside = [tmp_path / name for name in ("a.wav", "b.wav")]
    for seed, path in enumerate(outside):
        encode(path, sound(50 + seed, 3.2), SAMPLE_RATE)
    assert len(volna.wave(outside[:1], library=library, n=5).results) == 5
    found = volna.journey(outside[0], "tune 4", library=library, n=5)
    assert len(found.results) == 5
    assert found.results[-1].title == "tune 4"
    assert found.notes == volna.wave([1], library=library, n=1).notes  # nothing but the line about the space


# The playlist


def locations(playlist: Path) -> list[Path]:
    """What a player would open."""
    lines = [line for line in playlist.read_bytes().split(b"\n") if line and not line.startswith(b"#")]
    plain = [unquote_to_bytes(line[7:]) if line.startswith(b"file://") else line for line in lines]
    return [playlist.parent / os.fsdecode(line) for line in plain]


def matches(paths: list[Path]) -> list[Match]:
    return [Match(k, k, str(path), "A", "T", None, 0.5, 0.5, "", 61.4) for k, path in enumerate(paths, 1)]


@pytest.mark.parametrize("where", [".", "lists", "music/below"])
def test_the_paths_lead_to_the_files_from_wherever_the_playlist_is(tmp_path, where):
    names = [b"plain.mp3", b"two\nlines.mp3", b"bad \xff byte.mp3", "Ünï ☂.mp3".encode(), b"#1.mp3", b"a:b.mp3"]
    (tmp_path / "music").mkdir()
    (tmp_path / where).mkdir(exist_ok=True)
    paths = [Path(os.fsdecode(os.path.join(os.fsencode(tmp_path / "music"), name))) for name in names]
    for number, path in enumerate(paths):
        path.write_text(str(number))
    volna.save_playlist(matches(paths), tmp_path / where / "list.m3u8")
    playlist = tmp_path / where / "list.m3u8"
    assert [path.read_text() for path in locations(playlist)] == [str(number) for number in range(len(names))]
    text = playlist.read_bytes().split(b"\n")
    assert text[0] == b"#EXTM3U"
    assert text.count(b"#EXTINF:61,A - T") == len(names)
    assert not any(line.startswith(b"/") for line in text)


def test_a_playlist_in_a_missing_folder_is_an_error(tmp_path):
    with pytest.raises(LibraryError, match="cannot write"):
        volna.save_playlist([], tmp_path / "nowhere" / "list.m3u8")


# The commands


def test_wave_and_journey_print_one_object_with_their_settings(library, capsys):
    fill(library, songs(30, artists=30))
    options = ["--not", "2", "-n", "4", "--bpm", "80-200", "--year", "1980-2030", "--seed", "7", "--artist-gap", "2"]
    assert main(["wave", "tune 0", *options, "--json", "--library", str(library)]) == 0
    made = json.loads(capsys.readouterr().out)
    assert list(made) == ["query", "by", "settings", "results", "relaxed", "notes"]
    assert made["settings"] == {
        "n": 4, "max_per_artist": 3, "artist_gap": 2, "album_gap": 3, "bpm": [80, 200], "year": [1980, 2030],
        "genre": None, "seed": 7, "avoid": ["artist 1 - tune 1"],
    }  # fmt: skip
    assert len(made["results"]) == 4
    assert main(["journey", "tune 0", "tune 1", "-n", "4", "--json", "--library", str(library)]) == 0
    walked = json.loads(capsys.readouterr().out)
    assert list(walked) == list(made)
    assert walked["settings"] == {"n": 4, "seed": 0}
    assert walked["query"] == ["artist 0 - tune 0", "artist 1 - tune 1"]


@pytest.mark.parametrize("verb", [["wave", "tune 0"], ["journey", "tune 0", "tune 1"]])
def test_the_commands_write_a_playlist_and_say_what_gave_way(library, tmp_path, capsys, verb):
    fill(library, songs(12, kinds=1, artists=1))
    target = tmp_path / "made.m3u8"
    assert main([*verb, "-n", "8", "--m3u", str(target), "--library", str(library)]) == 0
    out, err = capsys.readouterr()
    assert "artist gap 5 ->" in err
    assert "volna train" in err
    assert len(locations(target)) == 8
    assert "artist 0" in out
