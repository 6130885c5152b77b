"""What `similar` promises, on libraries made of numbers and a few of sounds."""

from __future__ import annotations

import json
import os
import pkgutil
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import SAMPLE_RATE, sound
from synthetic_library import analysed, copy_of, fill, fill_with_model, songs, tiny_model

import volna
from volna.audio.encode import encode
from volna.cli import main
from volna.errors import AudioError, InputError, LibraryError, ModelError
from volna.features.recipe import ANALYSIS, DESCRIPTOR_NAMES, FEATURES_VERSION, names_of
from volna.library.index import index_folder
from volna.library.store import Catalogue
from volna.tasks.similarity import GROUPS
from volna.vectors import FUSION
from volna.workflows.common import keep_model, open_current_index

SPACES = ("descriptors", "autoencoder", "both")


# The answer


def test_the_tracks_of_its_kind_come_first(library):
    tracks = songs(40)
    ids = fill(library, tracks)
    found = volna.similar(ids[6], library=library, n=9)
    assert [track.rank for track in found.results] == list(range(1, 10))
    assert {(track.id - 1) % 4 for track in found.results} == {2}
    for match in found.results:
        song = tracks[ids.index(match.id)]
        assert (match.path, match.artist, match.title, match.album) == (song.path, song.artist, song.title, song.album)
        assert match.duration_s == song.duration_s
        assert -1 <= match.similarity <= 1
        assert match.distance == pytest.approx(1 - match.similarity, abs=1e-9)
        assert match.why


@pytest.mark.parametrize("by", SPACES)
def test_a_track_is_never_its_own_answer_and_none_comes_twice(library, by):
    ids = fill_with_model(library, songs(12))
    for track in ids:
        found = [match.id for match in volna.similar(track, library=library, n=100, by=by).results]
        assert sorted(found) == sorted(set(ids) - {track})


def test_the_similarity_is_the_cosine_of_standardised_vectors(library):
    ids = fill(library, songs(20))
    with Catalogue.open(library) as catalogue:
        rows = open_current_index(catalogue).rows("descriptors", ids)
    for match in volna.similar(ids[0], library=library, n=5).results:
        assert match.similarity == pytest.approx(float(rows[0] @ rows[ids.index(match.id)]), abs=1e-4)


def test_both_is_the_weighted_mean_of_the_two(library):
    ids = fill_with_model(library, songs(15))
    by = {space: volna.similar(ids[0], library=library, n=20, by=space).results for space in SPACES}
    single = {space: {match.id: match.similarity for match in by[space]} for space in FUSION}
    weights = {space: weight**2 / sum(w**2 for w in FUSION.values()) for space, weight in FUSION.items()}
    for match in by["both"]:
        expected = sum(weights[space] * single[space][match.id] for space in FUSION)
        assert match.similarity == pytest.approx(expected, abs=2e-4)


def test_why_says_the_tempo_and_what_is_close(library):
    first, *others = songs(30)
    twin = replace(first, path="/music/twin.mp3", title="twin", duration_s=999.0, tempo_bpm=82.0)
    fill(library, [first, twin, *others])
    best = volna.similar("tune 0", library=library).results[0]
    assert best.title == "twin"
    assert best.why.startswith("80 / 82 BPM, similar ")


@pytest.mark.parametrize("n", [1, 3, 10, 1000])
def test_as_many_as_asked_for_or_as_there_are(library, n):
    fill(library, songs(6))
    assert len(volna.similar("tune 0", library=library, n=n).results) == min(n, 5)


def test_a_library_of_one_track_has_nothing_to_offer(library):
    fill(library, songs(1))
    assert volna.similar("tune 0", library=library).results == []


def test_nothing_can_be_asked_for_less_than_one_track(library):
    fill(library, songs(2))
    with pytest.raises(InputError, match="at least 1"):
        volna.similar("tune 0", library=library, n=0)


# TRACK


def test_a_track_is_named_by_path_id_or_words(library, tmp_path, monkeypatch):
    tracks = songs(12)
    ids = fill(library, tracks)
    for named in (tracks[7].path, Path(tracks[7].path), ids[7], str(ids[7]), "artist 7 - tune 7", "ARTIST 7 - TUNE 7"):
        assert volna.similar(named, library=library, n=1).query == "artist 7 - tune 7"
    assert volna.similar("7 - tune", library=library, n=1).query == "artist 7 - tune 7"
    monkeypatch.chdir(tmp_path)
    (tmp_path / str(ids[7])).mkdir()  # a folder of that name is no track
    assert volna.similar(str(ids[7]), library=library, n=1).query == "artist 7 - tune 7"


def test_a_file_is_known_through_a_link_and_from_home(library, tmp_path):
    home = Path.home()
    real = home / "real" / "a.mp3"
    real.parent.mkdir()
    real.write_bytes(b"never decoded")
    (home / "linked").symlink_to(home / "real")
    (only, *others) = songs(5)
    fill(library, [replace(only, path=str(real)), *others])
    for named in (real, home / "linked" / "a.mp3", "~/real/a.mp3", "~/linked/../real/a.mp3"):
        assert volna.similar(named, library=library, n=1).query == "artist 0 - tune 0"
    real.unlink()  # the disk is away, the library is not
    assert volna.similar("~/real/a.mp3", library=library, n=1).query == "artist 0 - tune 0"


def test_a_whole_name_is_not_ambiguous_for_being_a_part_of_another(library):
    first, second, third, *others = songs(9)
    tracks = [
        replace(first, title="Blue"),
        replace(second, title="Blue in Green"),
        replace(third, title="blue"),
        *others,
    ]
    fill(library, tracks)
    assert volna.similar("artist 0 - blue", library=library, n=1).query == "artist 0 - Blue"
    assert volna.similar("Blue in", library=library, n=1).query == "artist 1 - Blue in Green"
    with pytest.raises(LibraryError) as error:
        volna.similar("BLUE ", library=library)
    assert len(str(error.value).splitlines()) == 3


def test_words_that_fit_several_tracks_list_the_candidates(library):
    tracks = songs(24)
    ids = fill(library, tracks)
    with pytest.raises(LibraryError) as error:
        volna.similar("artist 3", library=library)
    first, *lines = str(error.value).splitlines()
    assert "'artist 3'" in first
    assert lines == [f"  {ids[k]}  artist 3 - tune {k}  ({tracks[k].path})" for k in (3, 13, 23)]
    with pytest.raises(LibraryError) as error:
        volna.similar("artist", library=library)
    assert len(str(error.value).splitlines()) == 12
    assert str(error.value).endswith("...")


@pytest.mark.parametrize("named", ["no such song", "", "/no/such/file.mp3", "9999", "bad \udcff byte", "nul \0 byte"])
def test_an_unknown_track_is_one_line(library, named):
    fill(library, songs(3))
    with pytest.raises(LibraryError, match="no track") as error:
        volna.similar(named, library=library)
    assert "\n" not in str(error.value)


def test_an_id_is_never_taken_for_a_part_of_a_title(library):
    fill(library, [replace(song, title=f"opus {k + 90}") for k, song in enumerate(songs(3))])
    with pytest.raises(LibraryError, match="no track 91"):
        volna.similar(91, library=library)
    assert volna.similar("91", library=library, n=1).query == "artist 1 - opus 91"


def test_untagged_tracks_go_by_their_file_name(library):
    tracks = [replace(song, artist=None, title=None) for song in songs(4)]
    fill(library, tracks)
    assert volna.similar("003.mp3", library=library, n=1).query == "003.mp3"


# Spaces


def test_the_best_space_there_is_answers_and_a_line_says_when_it_is_not_both(library, tmp_path):
    fill(library, songs(8))
    found = volna.similar("tune 0", library=library)
    assert found.by == "descriptors"
    assert len(found.notes) == 1
    assert "volna train" in found.notes[0]
    assert volna.similar("tune 0", library=library, by="descriptors").notes == []
    fill_with_model(tmp_path / "other.db", songs(8))
    found = volna.similar("tune 0", library=tmp_path / "other.db")
    assert (found.by, found.notes) == ("both", [])


@pytest.mark.parametrize("by", ["autoencoder", "both"])
def test_a_missing_space_names_the_command_that_makes_it(library, make_music, by):
    (outside,) = make_music(1)
    fill(library, songs(3))
    for track in ("tune 0", outside):
        with pytest.raises(ModelError, match="volna train"):
            volna.similar(track, library=library, by=by)


def test_an_unknown_space_is_refused(library):
    fill(library, songs(3))
    with pytest.raises(InputError, match="descriptors, autoencoder, both"):
        volna.similar("tune 0", library=library, by="magic")


def test_a_track_that_a_space_lacks_is_said_with_the_command(library):
    fill_with_model(library, songs(6))
    late = replace(songs(7)[6], title="late")
    fill(library, [late])
    with pytest.raises(LibraryError, match=r"artist 6 - late: not in the space both yet.*volna index"):
        volna.similar("late", library=library)
    assert len(volna.similar("late", library=library, by="descriptors").results) == 6
    assert "late" not in {match.title for match in volna.similar("tune 0", library=library).results}


@pytest.mark.parametrize("length", [270, 150])
def test_a_library_of_older_features_says_what_to_do(library, length):
    with Catalogue.open(library, create=True) as catalogue:
        catalogue.use_features("1-older")
        for song in songs(3):
            old = replace(analysed(song, song.path), descriptors=np.ones(length, np.float32))
            catalogue.record(analysed=[old])
    for ask in (volna.similar, lambda track, **options: volna.wave([track], **options)):
        with pytest.raises(LibraryError, match="volna index") as error:
            ask("tune 0", library=library)
        assert FEATURES_VERSION in str(error.value)


# Copies


def test_copies_of_the_query_are_one_line_at_the_top(library):
    first, *others = songs(10)
    copies = [copy_of(first, f"/other/{k}.flac", seed=k, title=f"rip {k}") for k in range(3)]
    ids = fill(library, [first, *others, *copies])
    found = volna.similar("tune 0", library=library, n=100).results
    assert found[0].why == "the same recording"
    assert {found[0].path, *found[0].copies} == {copy.path for copy in copies}
    assert len(found) == 1 + len(others)
    assert not {match.id for match in found[1:]} & {ids[0], *ids[-3:]}


def test_files_of_one_track_are_copies_whichever_is_asked_for(library):
    first, *others = songs(5)
    first = replace(first, copies=("/other/a.mp3", "/other/b.mp3"))
    fill(library, [first, *others])
    for named in ("tune 0", *(first.path, *first.copies)):
        best = volna.similar(named, library=library).results[0]
        expected = {first.path, *first.copies} - {first.path if named == "tune 0" else named}
        assert {best.path, *best.copies} == expected
        assert (best.rank, best.similarity, best.distance, best.why) == (1, 1.0, 0.0, "the same recording")


def test_copies_of_one_another_are_one_line(library):
    tracks = songs(8)
    tracks += [copy_of(tracks[5], "/other/5.flac", title="live at home")]
    fill(library, tracks)
    found = volna.similar("tune 1", library=library, n=100).results
    assert len(found) == 7
    (folded,) = [match for match in found if match.copies]
    assert {folded.path, *folded.copies} == {tracks[5].path, "/other/5.flac"}


def test_the_same_sound_at_another_length_is_another_recording(library):
    first, *others = songs(5)
    fill(library, [first, copy_of(first, "/other/edit.mp3", title="edit", duration_s=300.0), *others])
    best = volna.similar("tune 0", library=library).results[0]
    assert (best.title, best.copies) == ("edit", ())
    assert best.why != "the same recording"


# Files outside


@pytest.fixture(scope="module")
def heard(tmp_path_factory):
    """A library of eight sounds that were really decoded, with an untrained model; tests only read it."""
    folder = tmp_path_factory.mktemp("heard")
    (folder / "music").mkdir()
    for k in range(8):
        tags = {"artist": f"artist {k}", "title": f"tune {k}"}
        encode(folder / "music" / f"{k}.wav", sound(k, 3.5), SAMPLE_RATE, tags=tags)
    library = folder / "library.db"
    with Catalogue.open(library, create=True) as catalogue:
        keep_model(catalogue, "tiny", tiny_model(), trained_on=8, dim=8)
        catalogue.activate_model("tiny")
    volna.index([folder / "music"], library=library, jobs=1, train_time_s=0)
    return library, folder / "music"


def test_a_file_outside_is_analysed_and_lands_beside_its_like(heard, tmp_path):
    library, _ = heard
    encode(tmp_path / "new.flac", 0.8 * sound(5, 3.5), SAMPLE_RATE, tags={"artist": "somebody", "title": "new"})
    found = volna.similar(tmp_path / "new.flac", library=library)
    assert (found.query, found.by) == ("somebody - new", "both")
    assert found.results[0].title == "tune 5"
    assert len(found.results) == 8
    with Catalogue.open(library) as catalogue:
        assert len(catalogue.tracks()) == 8  # it was not added


@pytest.mark.parametrize("by", ["descriptors", "both"])
def test_identical_audio_outside_is_one_line_at_the_top(heard, tmp_path, by):
    library, music = heard
    copy = shutil.copy(music / "3.wav", tmp_path / "another name.wav")
    found = volna.similar(copy, library=library, by=by).results
    assert (found[0].path, found[0].why) == (str(music / "3.wav"), "the same recording")
    assert found[0].similarity == pytest.approx(1.0, abs=1e-3)
    assert [match.why for match in found].count("the same recording") == 1
    assert len(found) == 8


def test_an_untagged_file_outside_has_a_name(heard, tmp_path):
    encode(tmp_path / "Nina - Blue.wav", sound(77, 3.5), SAMPLE_RATE)
    assert "Blue" in volna.similar(tmp_path / "Nina - Blue.wav", library=heard[0], by="descriptors").query


@pytest.mark.parametrize(
    ("name", "reason"), [("silence.wav", "silen"), ("text.mp3", "text.mp3"), ("empty.mp3", "empty")]
)
def test_a_file_outside_that_cannot_be_heard_has_a_reason(heard, tmp_path, name, reason):
    (tmp_path / "text.mp3").write_bytes(b"nothing to hear here" * 99)
    (tmp_path / "empty.mp3").touch()
    encode(tmp_path / "silence.wav", np.zeros(SAMPLE_RATE * 4, np.float32), SAMPLE_RATE)
    with pytest.raises(AudioError, match=reason) as error:
        volna.similar(tmp_path / name, library=heard[0], by="descriptors")
    assert str(error.value).count(str(tmp_path / name)) == 1


# Libraries that are not as they should be


def test_no_library_and_an_empty_one_name_the_command(library):
    with pytest.raises(LibraryError, match="volna index"):
        volna.similar("x", library=library)
    Catalogue.open(library, create=True).close()
    with pytest.raises(LibraryError, match="no track"):
        volna.similar("x", library=library)


@pytest.mark.parametrize("damage", ["deleted", "manifest", "arrays", "a file"])
def test_an_index_that_is_lost_or_damaged_is_made_again(library, damage):
    fill_with_model(library, songs(12))
    before = volna.similar("tune 0", library=library)
    folder = index_folder(library)
    assert list(folder.rglob("*.npy"))
    if damage == "manifest":
        (folder / "manifest.json").write_bytes(b"{\0")
    elif damage == "arrays":
        for path in folder.rglob("*.npy"):
            path.write_bytes(path.read_bytes()[:100])
    else:
        shutil.rmtree(folder)
    if damage == "a file":
        folder.write_text("in the way")
    assert volna.similar("tune 0", library=library) == before


@pytest.mark.skipif(os.name == "nt", reason="permissions of POSIX")
@pytest.mark.parametrize("indexed", [True, False])
def test_a_library_that_can_only_be_read_answers(tmp_path, indexed):
    warm = tmp_path / "warm.db"
    fill_with_model(warm, songs(2))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        library = folder / "library.db"
        fill_with_model(library, songs(12))
        expected = volna.similar("tune 0", library=library, n=3)
        if not indexed:
            shutil.rmtree(index_folder(library))
        for path in (*folder.rglob("*"), folder):
            path.chmod(0o555)
        code = (
            "import os, sys, volna\n"
            "volna.similar('tune 0', library=sys.argv[1])  # imports what another user may not be able to read\n"
            "if os.getuid() == 0: os.setuid(65534)  # root may write anywhere\n"
            "print([match.id for match in volna.similar('tune 0', library=sys.argv[2], n=3).results])"
        )
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        command = [sys.executable, "-c", code, str(warm), str(library)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
        folder.chmod(0o755)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout) == [match.id for match in expected.results]
        assert index_folder(library).exists() == indexed


# The command


def test_the_command_prints_one_object(library, capsys):
    tracks = [replace(song, path=f"/music/bad \udcff {k}\n.mp3") for k, song in enumerate(songs(6))]
    fill(library, tracks)
    assert main(["similar", "tune 0", "-n", "3", "--json", "--library", str(library)]) == 0
    out, err = capsys.readouterr()
    answer = json.loads(out)
    assert list(answer) == ["query", "by", "results", "notes"]
    assert (answer["query"], answer["by"], len(answer["results"])) == ("artist 0 - tune 0", "descriptors", 3)
    assert os.fsencode(answer["results"][0]["path"]).startswith(b"/music/bad \xff ")
    assert "volna train" in err


def test_the_command_writes_a_playlist(library, tmp_path, capsys):
    fill(library, songs(6))
    target = tmp_path / "near.m3u8"
    assert main(["similar", "tune 0", "-n", "2", "--m3u", str(target), "--library", str(library)]) == 0
    assert target.read_text().splitlines()[0] == "#EXTM3U"
    assert len(target.read_text().splitlines()) == 5


@pytest.mark.parametrize("argv", [["no such song"], ["tune"], ["tune 0", "--by", "both"]])
def test_the_command_fails_with_exit_code_1_and_no_traceback(library, capsys, argv):
    fill(library, songs(6))
    assert main(["similar", *argv, "--library", str(library)]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("volna: ")
    assert "Traceback" not in err


# The documentation

SIMILARITY = (Path(__file__).parents[1] / "docs" / "similarity.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(("name", "value"), re.findall(r"^\| `(volna[\w.]+)` \| `?(.+?)`? \|$", SIMILARITY, flags=re.M))
def test_the_numbers_in_the_documentation_are_those_of_the_code(name, value):
    place, attribute = name.rsplit(".", 1)
    holder = pkgutil.resolve_name(place)
    assert getattr(holder, attribute) == json.loads(value)


def test_the_documentation_of_why_and_of_the_vector_is_true():
    rows = re.findall(r"^\| (\w+) \| [^|]+ \| ([\d.]+) \|$", SIMILARITY, flags=re.M)
    assert {word: float(least) for word, least in rows} == {word: group[1] for word, group in GROUPS.items()}
    assert f"{len(DESCRIPTOR_NAMES)} named numbers" in SIMILARITY
    assert f"mono at {ANALYSIS.sample_rate / 1000:g} kHz" in SIMILARITY
    assert f"{len(names_of('modulation'))} numbers\n  about modulation" in SIMILARITY
    assert f"w_a = {FUSION['autoencoder']:g}" in SIMILARITY
