"""The catalogue: what is written comes back, all of it or nothing, whatever happens meanwhile."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest

from volna.errors import InputError, LibraryError, ModelError, ModelMismatch
from volna.library.store import (
    Analysed,
    Catalogue,
    Counts,
    Failed,
    FileRecord,
    Linked,
    Recorded,
    default_library_path,
)
from volna.library.store.schema import SCHEMA_VERSION
from volna.library.tags import Tags

DATA = Path(__file__).parent / "data"
SPACE = "descriptors/1"


def song(n: int, path: str | None = None, *, tags: Tags | None = None, **changes) -> Analysed:
    """Track number `n`, with descriptors that tell it from the others."""
    values = {
        "path": path or f"/music/{n:03d}.mp3",
        "size": 1000 + n,
        "mtime_ns": 10**18 + n,
        "tags": tags or Tags(f"Artist {n}", "Album", f"Title {n}", 2000 + n, "Rock", n),
        "audio_hash": f"{n:032x}",
        "duration_s": 180.0 + n,
        "short": False,
        "tempo_bpm": 100.0 + n,
        "descriptors": np.arange(4, dtype=np.float32) + n,
    }
    return Analysed(**(values | changes))


def run_python(code: str, *arguments: object) -> subprocess.Popen[str]:
    """Start `code` in a process of its own, with this module's helpers at hand."""
    head = "import os, sys, time, numpy as np\nfrom test_library_store import *\n"
    paths = [str(Path(__file__).parent), *sys.path]
    return subprocess.Popen(
        [sys.executable, "-c", head + code, *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> str:
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return out


@pytest.fixture
def path(tmp_path):
    return tmp_path / "library.db"


@pytest.fixture
def library(path):
    with Catalogue.open(path, create=True) as catalogue:
        yield catalogue


def raw(path: Path, sql: str, *values: object) -> list[tuple]:
    """Look at the file behind the catalogue's back."""
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        return connection.execute(sql, values).fetchall()
    finally:
        connection.close()


# --- writing and reading back


def test_a_library_is_in_wal_mode_and_waits_for_the_disk(library, path):
    assert raw(path, "PRAGMA journal_mode") == [("wal",)]
    assert library._connection.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
    assert library._connection.execute("PRAGMA foreign_keys").fetchone() == (1,)
    assert library._connection.execute("PRAGMA busy_timeout").fetchone()[0] >= 30_000


def test_what_is_recorded_comes_back(library):
    recorded = library.record(analysed=[song(1), song(2, short=True, tempo_bpm=None)])
    first, second = library.tracks()
    assert recorded == Recorded({first.path: first.id, second.path: second.id})
    assert (first.path, first.artist, first.title, first.album) == ("/music/001.mp3", "Artist 1", "Title 1", "Album")
    assert (first.year, first.genre, first.track_number, first.duration_s) == (2001, "Rock", 1, 181.0)
    assert (first.short, first.tempo_bpm, first.audio_hash, first.copies) == (False, 101.0, f"{1:032x}", ())
    assert (second.short, second.tempo_bpm) == (True, None)
    ids, matrix = library.vectors(SPACE)
    assert (ids.dtype, matrix.dtype, ids.tolist()) == (np.int64, np.float32, [first.id, second.id])
    np.testing.assert_array_equal(matrix, [song(1).descriptors, song(2).descriptors])


def test_vectors_are_little_endian_float32(library, path):
    library.record(analysed=[song(1, descriptors=np.array([1.0, -2.5]))])
    assert raw(path, "SELECT vector FROM vectors") == [(b"\x00\x00\x80\x3f\x00\x00\x20\xc0",)]


@pytest.mark.parametrize(
    "name",
    [
        "with blanks.mp3",
        "Björk/日本.flac",
        "bad \udcff\udcfe utf8.mp3",
        "two\nlines.mp3",
        "'quo\"tes.mp3",
        "%_?*[a].mp3",
    ],
)
def test_any_path_survives(library, name):
    path = f"/music/{name}"
    library.record(analysed=[song(1, path)], failed=[Failed(path + "x", 1, 2, f"cannot open {path}")])
    (row,) = library.tracks()
    assert row.path == path
    assert library.files_under(["/music"])[path] == FileRecord(1001, 10**18 + 1, "ok", None, row.id, "1")
    assert library.find(path)[0].id == row.id
    assert library.failures()[0][0] == path + "x"
    assert library.mark_gone([path]) == library.revive([path]) == library.forget([path]) == 1


def test_recording_again_changes_nothing(library):
    batch = {"analysed": [song(1), song(2)], "failed": [Failed("/music/bad.mp3", 0, 1, "the file is empty")]}
    first = library.record(**batch)
    before = (library.tracks(), library.files_under(["/"]), library.counts())
    assert library.record(**batch) == first
    assert (library.tracks(), library.files_under(["/"]), library.counts()) == before


def test_an_empty_batch_writes_nothing(library):
    before = library.generation
    assert library.record() == Recorded()
    assert library.mark_gone(["/nowhere"]) == library.revive([]) == library.forget(["/nowhere"]) == 0
    library.use_features("1")
    library.use_features("1")
    assert library.generation == before + 1


def test_copies_are_one_track(library):
    ids = library.record(analysed=[song(1, "/b.mp3"), song(1, "/a.mp3", tags=Tags("Other"))]).track_ids
    linked = library.record(linked=[Linked("/c.mp3", 5, 6, Tags("Third"), ids["/b.mp3"])])
    (row,) = library.tracks()
    assert linked.track_ids == {"/c.mp3": row.id}
    assert (row.path, row.artist, row.copies) == ("/a.mp3", "Other", ("/b.mp3", "/c.mp3"))
    assert library.counts() == Counts(tracks=1, files=3, failed=0, gone=0, short=0, hours=181 / 3600)
    library.mark_gone(["/a.mp3"])
    assert library.tracks([row.id])[0].path == "/b.mp3"


def test_a_file_retagged_keeps_its_track(library):
    track_id = library.record(analysed=[song(1)]).track_ids["/music/001.mp3"]
    library.record(linked=[Linked("/music/001.mp3", 1050, 99, Tags("New Artist", title="New"), track_id)])
    (row,) = library.tracks()
    assert (row.id, row.artist, row.title, row.copies) == (track_id, "New Artist", "New", ())


def test_a_link_to_a_track_forgotten_meanwhile_is_handed_back(library):
    assert library.record(linked=[Linked("/x.mp3", 1, 1, Tags(), 77)], analysed=[song(1)]).unlinked == ("/x.mp3",)
    assert list(library.files_under(["/"])) == ["/music/001.mp3"]


def test_a_file_with_new_audio_leaves_its_old_track(library):
    library.record(analysed=[song(1), song(2)])
    library.record(analysed=[song(3, "/music/001.mp3")])
    library.record(failed=[Failed("/music/002.mp3", 9, 9, "no sound in it")])
    assert [row.audio_hash for row in library.tracks()] == [f"{3:032x}"]
    assert library.vectors(SPACE)[0].tolist() == [library.tracks()[0].id]
    assert list(library.track_ids_by_hash()) == [f"{3:032x}"]
    assert library.failures() == [("/music/002.mp3", "no sound in it")]
    assert library.files_under(["/music/002.mp3"])["/music/002.mp3"].features_version == "1"


def test_a_batch_is_written_whole_or_not_at_all(library):
    library.record(analysed=[song(1)])
    before = (library.generation, library.files_under(["/"]))
    with pytest.raises(LibraryError, match="NaN"):
        library.record(analysed=[song(2), song(3, descriptors=np.full(4, np.nan))])
    with pytest.raises(ModelMismatch, match=r"expected vectors of shape \(4,\)"):
        library.record(analysed=[song(2), song(3, descriptors=np.ones(5))])
    with pytest.raises(ModelMismatch, match="vectors of 4 numbers, got 5"):
        library.record(analysed=[song(3, descriptors=np.ones(5))])
    with pytest.raises(ValueError, match="vector_space"):
        library.record(analysed=[song(2, vector=np.ones(3))])
    with pytest.raises(ModelError, match="no model abc"):
        library.record(analysed=[song(2, vector=np.ones(3))], vector_space="abc")
    assert (library.generation, library.files_under(["/"])) == before


def test_the_generation_counts_writes(library):
    seen = [library.generation]
    for write in (
        lambda: library.record(analysed=[song(1)]),
        lambda: library.mark_gone(["/music/001.mp3"]),
        lambda: library.add_model("m", b"", 1, 2),
        lambda: library.forget(["/music"]),
    ):
        write()
        seen.append(library.generation)
    assert seen == list(range(seen[0], seen[0] + 5))


def test_settings(library):
    assert library.get_setting("segment") is None
    assert library.set_setting("segment", "spread", once=True) == "spread"
    assert library.set_setting("segment", "start", once=True) == "spread"
    assert library.set_setting("colour", "blue") == "blue"
    with pytest.raises(ValueError, match="counted"):
        library.set_setting("generation", "1")


# --- gone, back, forgotten, moved


def test_gone_tracks_are_not_searched_and_come_back_whole(library):
    library.record(analysed=[song(1), song(2)], failed=[Failed("/music/bad.mp3", 1, 1, "damaged")])
    one, two = (row.id for row in library.tracks())
    assert library.mark_gone(["/music/001.mp3", "/music/001.mp3", "/music/bad.mp3", "/other"]) == 1
    assert [row.id for row in library.tracks()] == library.track_ids().tolist() == [two]
    assert library.vectors(SPACE)[0].tolist() == [two]
    assert (library.count(SPACE), library.missing("later"), library.find("Title 1")) == (1, [two], [])
    assert library.counts() == Counts(1, 1, 0, 1, 0, 182 / 3600)  # a failure that is gone is not listed
    assert library.track_ids_by_hash() == {f"{1:032x}": one, f"{2:032x}": two}
    assert library.files_under(["/"])["/music/001.mp3"].state == "gone"
    assert library.revive(["/music/001.mp3", "/music/002.mp3"]) == 1
    assert library.vectors(SPACE)[0].tolist() == [one, two]


def test_forgetting_takes_files_folders_and_their_tracks(library):
    paths = ["/m/rock/a", "/m/rock/deep/b", "/m/rock2/c", "/m/rock.mp3", "/m/roc", "/n/copy"]
    for n, path in enumerate(paths[:5]):
        library.record(analysed=[song(n, path)])
    library.record(analysed=[song(0, "/n/copy")])
    ids = {row.path: row.id for row in library.tracks()}
    assert library.forget(["/m/rock/", "/m/roc"]) == 3
    assert sorted(library.files_under(["/"])) == ["/m/rock.mp3", "/m/rock2/c", "/n/copy"]
    assert sorted(library.vectors(SPACE)[0]) == sorted([ids["/m/rock/a"], ids["/m/rock.mp3"], ids["/m/rock2/c"]])
    assert library.forget(["/"]) == 3
    assert len(library.vectors(SPACE)[0]) == len(library.track_ids_by_hash()) == 0
    new = library.record(analysed=[song(9)]).track_ids["/music/009.mp3"]
    assert new > max(ids.values())  # an id is never used twice


def test_files_under_looks_only_beneath_the_roots(library):
    library.record(analysed=[song(1, "/m/a/x"), song(2, "/m/ab/y"), song(3, "/m/a")])
    assert set(library.files_under(["/m/a"])) == {"/m/a", "/m/a/x"}
    assert set(library.files_under(["/m/a/x", "/m/ab"])) == {"/m/a/x", "/m/ab/y"}
    assert library.files_under([]) == {}


@pytest.fixture
def moved(library, tmp_path):
    """A track known at old/a.mp3, just linked to new/a.mp3, where it now lies."""
    (tmp_path / "old").mkdir()
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "a.mp3").write_bytes(b"x")
    old, new = str(tmp_path / "old" / "a.mp3"), str(tmp_path / "new" / "a.mp3")
    track_id = library.record(analysed=[song(1, old)]).track_ids[old]
    library.record(linked=[Linked(new, 1, 1, Tags(), track_id)])
    return track_id, old, new


def test_the_old_path_of_a_moved_file_is_dropped(library, moved, tmp_path):
    track_id, old, new = moved
    (tmp_path / "old" / "cover.jpg").write_bytes(b"")
    assert library.drop_moved([track_id]) == [old]
    assert list(library.files_under(["/"])) == [new]
    assert library.drop_moved([track_id]) == []


def test_a_copy_is_not_a_move(library, moved):
    track_id, old, new = moved
    Path(old).write_bytes(b"x")
    assert library.drop_moved([track_id]) == []
    assert set(library.files_under(["/"])) == {old, new}


def test_an_emptied_folder_is_judged_only_within_the_paths_of_the_run(library, moved, tmp_path):
    track_id, old, _ = moved
    assert library.drop_moved([track_id]) == []  # old/ may be the place of a disk
    assert library.drop_moved([track_id], roots=[str(tmp_path)], protected=[str(tmp_path / "old")]) == []
    assert library.drop_moved([track_id], roots=[str(tmp_path)]) == [old]


def test_a_track_never_loses_its_last_file_by_a_move(library, moved, tmp_path):
    track_id, *_ = moved
    (tmp_path / "new" / "a.mp3").unlink()
    assert library.drop_moved([track_id], roots=[str(tmp_path)]) == []


# --- searching


@pytest.fixture
def shelf(library):
    rows = [
        Tags("Nina", "Blues", "Sinner", 1965, "Jazz"),
        Tags("nina ", "Live", "My Baby", 1990, "jazz"),
        Tags("ÉMILIE", None, "Été", 1999, "Pop"),
        Tags(None, None, "noise", None, None),
    ]
    songs = [song(n, tags=tags, tempo_bpm=None if n == 4 else 90.0 + n, short=n == 4) for n, tags in enumerate(rows, 1)]
    library.record(analysed=songs)
    return library


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ([], [1, 2, 3, 4]),
        ([("artist", "=", "NINA")], [1, 2]),
        ([("artist", "=", "émilie")], [3]),
        ([("artist", "!=", "nina")], [3, 4]),
        ([("genre", "in", ["JAZZ", "rap"])], [1, 2]),
        ([("genre", "in", [])], []),
        ([("year", "range", (1990, 1999))], [2, 3]),
        ([("year", "range", (None, 1989))], [1]),
        ([("year", "range", (None, None))], [1, 2, 3]),
        ([("bpm", "range", (92, None))], [2, 3]),
        ([("short", "=", False)], [1, 2, 3]),
        ([("short", "=", True)], [4]),
        ([("genre", "=", "jazz"), ("year", "!=", 1965)], [2]),
        ([("title", "=", "x' OR 1=1 --")], []),
    ],
)
def test_filters(shelf, where, expected):
    found = shelf.track_ids(where)
    assert found.dtype == np.int64
    assert found.tolist() == expected == [row.id for row in shelf.tracks(where=where)]


def test_a_filter_that_makes_no_sense_is_an_input_error(shelf):
    with pytest.raises(InputError, match="expected one of artist"):
        shelf.track_ids([("colour", "=", "red")])
    with pytest.raises(InputError, match="expected one of =, !=, in, range"):
        shelf.track_ids([("year", "<", 1990)])
    with pytest.raises(InputError, match="field 'colour'"):
        shelf.distinct("colour")


def test_tracks_come_in_the_order_asked(shelf):
    assert [row.id for row in shelf.tracks([3, 1, 99, 2])] == [3, 1, 2]
    assert [row.id for row in shelf.tracks(np.array([3, 1]), where=[("artist", "=", "nina")])] == [1]
    assert shelf.tracks([]) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/music/002.mp3", [2]),
        ("3", [3]),
        ("99999999999999999999999", []),
        ("nina", [1, 2]),
        ("Nina - sin", [1]),
        ("émilie - éTÉ", [3]),
        ("004.MP3", [4]),
        ("music", []),  # a folder's name is no match
        ("%", []),
        ("", []),
        ("nul\0byte", []),
    ],
)
def test_find(shelf, text, expected):
    assert [row.id for row in shelf.find(text)] == expected


def test_find_takes_relative_paths_links_and_a_limit(library, tmp_path, monkeypatch):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    path = os.path.realpath(tmp_path / "real" / "song.mp3")
    library.record(analysed=[song(1, path)])
    monkeypatch.chdir(tmp_path)
    assert library.find("real/song.mp3") == library.find("link/song.mp3") == library.find("song") != []
    library.record(analysed=[song(n) for n in range(2, 40)])
    assert len(library.find("Title", limit=7)) == 7


def test_distinct_counts_the_tracks_of_each_value(shelf):
    assert shelf.distinct("genre") == {"Jazz": 1, "Pop": 1, "jazz": 1}
    assert list(shelf.distinct("artist").values()) == [1, 1, 1]


# --- spaces and models


def test_a_space_is_filled_bit_by_bit(library):
    library.record(analysed=[song(n) for n in (1, 2, 3)])
    library.add_model("m1", b"weights", trained_on=3, dim=2)
    assert library.missing("m1") == [1, 2, 3]
    library.add_vectors("m1", np.array([3, 1]), np.array([[3, 3], [1, 1]]))
    assert (library.count("m1"), library.missing("m1"), library.spaces()) == (2, [2], [SPACE, "m1"])
    ids, matrix = library.vectors("m1")
    assert (ids.tolist(), matrix.tolist()) == ([1, 3], [[1, 1], [3, 3]])
    assert library.vectors_of("m1", [3, 1, 3]).tolist() == [[3, 3], [1, 1], [3, 3]]
    with pytest.raises(LibraryError, match="track 2 has no vector in the space m1"):
        library.vectors_of("m1", [1, 2])
    library.add_vectors("m1", [2, 99], np.ones((2, 2)))  # 99 was deleted meanwhile
    assert library.missing("m1") == []


def test_a_space_that_does_not_exist_is_empty(library):
    ids, matrix = library.vectors("nothing")
    assert (ids.shape, matrix.shape, library.count("nothing")) == ((0,), (0, 0), 0)
    assert library.vectors_of("nothing", []).shape[0] == 0
    with pytest.raises(ModelError, match="volna train"):
        library.add_vectors("nothing", [1], np.ones((1, 2)))
    with pytest.raises(ValueError, match="one vector an id"):
        library.add_vectors("nothing", [1, 2], np.ones((1, 2)))


def test_the_old_model_answers_until_the_new_one_is_activated(library):
    library.add_model("old", b"1", 1, 2)
    library.activate_model("old")
    library.record(analysed=[song(1, vector=np.zeros(2)), song(2, vector=np.ones(2))], vector_space="old")
    library.add_model("new", b"2", 2, 3)
    library.add_model("new", b"2", 2, 3)  # an interrupted run says it again
    library.add_vectors("new", [1], np.ones((1, 3)))
    assert (library.active_model().id, library.pending_model().id) == ("old", "new")
    assert library.count("old") == 2
    library.add_vectors("new", library.missing("new"), np.ones((1, 3)))
    library.activate_model("new")
    active = library.active_model()
    assert (active.id, active.trained_on, active.dim, active.active) == ("new", 2, 3, True)
    assert (library.pending_model(), library.spaces(), library.count("old")) == (None, [SPACE, "new"], 0)
    assert library.model_bytes("new") == b"2"
    with pytest.raises(ModelError, match="no model old"):
        library.model_bytes("old")
    with pytest.raises(ModelError, match="no model old"):
        library.add_vectors("old", [1], np.ones((1, 2)))  # a training that was overtaken leaves nothing behind


def test_a_newer_training_survives_the_activation_of_an_older_one(library):
    for model_id in ("a", "b", "c"):
        library.add_model(model_id, b"", 1, 2)
    library.activate_model("b")
    assert library.pending_model().id == "c"
    with pytest.raises(ModelError, match="no model a"):
        library.activate_model("a")
    assert library.active_model().id == "b"


def test_new_features_answer_when_they_hold_as_many_tracks_as_the_old(library):
    library.record(analysed=[song(1), song(2)])
    library.use_features("2")
    assert library.track_ids_by_hash() == {}  # all want an analysis
    assert library.files_under(["/"])["/music/001.mp3"].features_version == "1"
    library.record(analysed=[song(1, descriptors=np.ones(7))])
    library.drop_old_descriptors()
    assert library.descriptor_space == "descriptors/1"
    assert library.track_ids_by_hash() == {f"{1:032x}": 1}
    assert library.track_ids_by_hash([f"{2:032x}", "x"]) == {}
    library.record(analysed=[song(2, descriptors=np.ones(7))])
    assert library.descriptor_space == "descriptors/2"
    library.drop_old_descriptors()
    assert library.spaces() == ["descriptors/2"]


# --- several at once


def test_a_block_of_reads_sees_one_state(library, path):
    library.record(analysed=[song(1)])
    with Catalogue.open(path) as other, other.reading():
        before = other.generation
        library.record(analysed=[song(2)])
        assert (len(other.tracks()), len(other.vectors(SPACE)[0]), other.generation) == (1, 1, before)
    with Catalogue.open(path) as other:
        assert len(other.tracks()) == 2


WRITER = """
name, n_batches = sys.argv[2], int(sys.argv[3])
with Catalogue.open(sys.argv[1], create=True) as library:
    print("open", flush=True)
    for batch in range(n_batches):
        songs = [song(n, f"/shared/{n}.mp3") for n in range(batch * 5, batch * 5 + 5)]
        own = song(batch, f"/{name}/{batch}.mp3")
        library.record(analysed=[*songs, own], failed=[Failed(f"/{name}/bad{batch}", 1, 1, "bad")])
        print(batch, flush=True)
"""


def test_processes_that_write_at_once_corrupt_nothing(path):
    processes = [run_python(WRITER, path, name, 20) for name in "abc"]  # all three try to make the library, too
    for process in processes:
        finish(process)
    with Catalogue.open(path) as library:
        library.check()
        assert library.counts().tracks == 100
        assert (library.counts().files, library.counts().failed) == (160, 60)
        assert len(library.vectors(SPACE)[0]) == 100
        assert library.tracks([library.find("/a/0.mp3")[0].id])[0].copies == ("/b/0.mp3", "/c/0.mp3", "/shared/0.mp3")


def test_a_kill_loses_no_more_than_the_batch_in_hand(path):
    process = run_python(WRITER, path, "a", 100_000)
    assert process.stdout.readline() == "open\n"
    for _ in range(10):
        process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    out, _ = process.communicate()
    committed = int(out.split()[-1]) + 1 if out.split() else 10
    with Catalogue.open(path) as library:
        library.check()
        counts = library.counts()
        batches = counts.failed
        assert committed <= batches <= committed + 1  # the last one may be committed and not yet told
        assert (counts.tracks, counts.files) == (5 * batches, 6 * batches)
        assert len(library.vectors(SPACE)[0]) == counts.tracks
        library.record(analysed=[song(10**6)])


def test_a_library_that_stays_locked_is_told_in_a_line(library, path):
    library._connection.execute("PRAGMA busy_timeout = 50")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(LibraryError, match="another program has kept the library locked"):
        library.record(analysed=[song(1)])
    assert library.tracks() == []  # readers do not wait
    other.execute("ROLLBACK")
    other.close()
    library.record(analysed=[song(1)])


# --- what can be wrong with the file


def one_line(error: pytest.ExceptionInfo[LibraryError], path: Path) -> str:
    message = str(error.value)
    assert str(path) in message
    assert "\n" not in message
    return message


def test_no_library(path):
    with pytest.raises(LibraryError, match="make one with: volna index FOLDER") as error:
        Catalogue.open(path)
    one_line(error, path)
    assert not path.exists()
    path.touch()
    with pytest.raises(LibraryError, match="no library at"):
        Catalogue.open(path)
    Catalogue.open(path, create=True).close()
    Catalogue.open(path).close()


def test_a_library_makes_its_folder(tmp_path):
    odd = tmp_path / "not yet" / "50% of #1?" / os.fsdecode(b"\xff") / "library.db"
    Catalogue.open(odd, create=True).close()
    assert odd.exists()


@pytest.mark.parametrize("content", [b"not a database, but long enough to look at " * 100, b"RIFF", bytes(100_000)])
def test_a_file_that_is_no_database(path, content):
    path.write_bytes(content)
    for create in (False, True):
        with pytest.raises(LibraryError) as error:
            Catalogue.open(path, create=create)
        assert "not a Volna library" in one_line(error, path)
    assert path.read_bytes() == content


def test_a_database_of_another_program(path):
    raw(path, "CREATE TABLE bookmarks (url)")
    with pytest.raises(LibraryError, match="of another program") as error:
        Catalogue.open(path, create=True)
    one_line(error, path)
    assert raw(path, "SELECT name FROM sqlite_master") == [("bookmarks",)]


def test_a_folder_in_its_place(tmp_path):
    with pytest.raises(LibraryError, match="a folder") as error:
        Catalogue.open(tmp_path, create=True)
    one_line(error, tmp_path)


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(LibraryError) as error:
        Catalogue.open(tmp_path / "file" / "library.db", create=True)
    one_line(error, tmp_path)


def test_a_damaged_library(path):
    with Catalogue.open(path, create=True) as library:
        library.record(analysed=[song(n, descriptors=np.ones(200)) for n in range(200)])
    content = bytearray(path.read_bytes())
    content[40_000:] = b"\xa5" * (len(content) - 40_000)
    path.write_bytes(content)
    with Catalogue.open(path) as library:
        with pytest.raises(LibraryError, match="damaged; restore a copy") as error:
            library.vectors(SPACE)
        one_line(error, path)
        with pytest.raises(LibraryError, match="damaged"):
            library.check()


def test_a_library_of_a_newer_version(path):
    Catalogue.open(path, create=True).close()
    raw(path, f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    with pytest.raises(LibraryError, match="made by a newer Volna") as error:
        Catalogue.open(path)
    one_line(error, path)


def test_a_full_disk_loses_nothing(library, path):
    library.record(analysed=[song(1)])
    (n_pages,) = library._connection.execute("PRAGMA page_count").fetchone()
    library._connection.execute(f"PRAGMA max_page_count = {n_pages}")
    with pytest.raises(LibraryError, match="the disk is full") as error:
        library.record(analysed=[song(n) for n in range(2, 500)])
    one_line(error, path)
    assert [row.path for row in library.tracks()] == ["/music/001.mp3"]
    library._connection.execute("PRAGMA max_page_count = 1000000")
    library.record(analysed=[song(n) for n in range(2, 500)])
    assert library.counts().tracks == 499
    library.check()


READER = """
if os.getuid() == 0:
    os.setuid(65534)  # root may write anywhere
try:
    with Catalogue.open(sys.argv[1]) as library:
        print(len(library.tracks()), len(library.vectors(SPACE)[0]))
        try:
            library.record(analysed=[song(1)])
        except LibraryError as error:
            print(error)
except LibraryError as error:
    print(error)
"""


@pytest.fixture
def open_folder():
    """A folder that other users can reach, which pytest's own are not."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)
        os.chmod(folder, 0o755)


@pytest.mark.skipif(os.name == "nt", reason="permissions of POSIX")
def test_a_library_that_can_only_be_read_answers(open_folder):
    path = open_folder / "library.db"
    with Catalogue.open(path, create=True) as library:
        library.record(analysed=[song(1), song(2)])
    path.chmod(0o444)
    open_folder.chmod(0o555)
    counts, refusal = finish(run_python(READER, path)).splitlines()
    assert counts == "2 2"
    assert refusal == f"{path}: the library can only be read here: it, or its folder, is not writable"


@pytest.mark.skipif(os.name == "nt", reason="permissions of POSIX")
def test_a_read_only_library_that_was_not_closed_is_never_read_in_part(open_folder):
    path = open_folder / "library.db"
    code = "library = Catalogue.open(sys.argv[1], create=True); library.record(analysed=[song(1)]); os._exit(0)"
    finish(run_python(code, path))
    Path(f"{path}-shm").unlink()
    for file in open_folder.iterdir():
        file.chmod(0o444)
    open_folder.chmod(0o555)
    out = finish(run_python(READER, path))
    assert out.startswith("1 1\n") or "open it once where it is writable" in out


@pytest.mark.skipif(os.name == "nt", reason="permissions of POSIX")
def test_a_folder_that_is_not_writable(open_folder):
    open_folder.chmod(0o555)
    code = READER.replace("sys.argv[1])", "sys.argv[1], create=True)")
    out = finish(run_python(code, open_folder / "library.db"))
    assert out == f"{open_folder / 'library.db'}: cannot make a library here, the folder is not writable\n"


# --- older libraries


def test_an_old_library_is_brought_up_to_date(path):
    connection = sqlite3.connect(path, isolation_level=None)
    connection.executescript((DATA / "old_library.sql").read_text())
    connection.close()
    with Catalogue.open(path) as library:
        (nina,) = library.tracks()
        copies = ("/music/nina.flac",)
        assert (nina.path, nina.copies, nina.artist) == ("/music/copy \udcff\udcfe.flac", copies, "Nina")
        assert library.counts() == Counts(1, 2, 1, 1, 0, 200.5 / 3600)
        assert library.vectors(library.active_model().id)[1].tolist() == [[1, 2, 3]]
        assert library.files_under(["/"])["/music/broken.mp3"].features_version is None  # worth another try
        library.record(analysed=[song(5)])
        library.check()
    assert raw(path, "PRAGMA user_version") == [(SCHEMA_VERSION,)]
    Catalogue.open(path).close()


def test_the_library_is_where_the_user_says(monkeypatch, tmp_path):
    monkeypatch.setenv("VOLNA_LIBRARY", str(tmp_path / "mine.db"))
    assert default_library_path() == tmp_path / "mine.db"
    monkeypatch.delenv("VOLNA_LIBRARY")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert default_library_path().name == "library.db"
    assert "volna" in default_library_path().parts


def test_a_large_batch_of_ids_is_one_question(library):
    library.record(analysed=[song(n) for n in range(1, 200)])
    started = time.monotonic()
    assert len(library.tracks(range(100_000))) == 199
    assert time.monotonic() - started < 10
