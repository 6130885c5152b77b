"""The walk counts every audio file once, and nothing is called gone that may only be out of reach."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from volna.library.ignore import is_excluded, rules_in
from volna.library.scan import Changes, FoundFile, compare, walk
from volna.library.store import FileRecord

FLAC = b"fLaC" + bytes(60)


def put(folder: Path, *names: str, content: bytes = b"x") -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def names(scan, folder: Path) -> list[str]:
    return sorted(os.path.relpath(found.path, folder) for found in scan.found)


def known_of(scan, state: str = "ok", version: str = "1") -> dict[str, FileRecord]:
    """A catalogue that holds what a scan found."""
    reason, track_id = ("damaged", None) if state == "failed" else (None, 1)
    return {
        found.path: FileRecord(found.size, found.mtime_ns, state, reason, track_id, version) for found in scan.found
    }


def relative(changes: Changes, folder: Path) -> list[str]:
    return sorted(os.path.relpath(path, folder) for path in changes.gone)


# --- the walk


def test_audio_is_found_everywhere_and_the_rest_is_counted(tmp_path):
    put(tmp_path, "a.mp3", "deep/er/b.FLAC", "deep/c.opus", "cover.jpg", "deep/notes.txt", "album.cue", "._a.mp3")
    scan = walk([tmp_path])
    assert names(scan, tmp_path) == ["a.mp3", "deep/c.opus", "deep/er/b.FLAC"]
    assert (scan.n_other, scan.n_excluded, scan.n_audio) == (4, 0, 3)
    status = (tmp_path / "a.mp3").stat()
    assert FoundFile(str(tmp_path / "a.mp3"), 1, status.st_mtime_ns) in scan.found


def test_the_signature_decides_where_the_extension_says_nothing(tmp_path):
    put(tmp_path, "song", "song.part", "cover.jpg", content=FLAC)
    put(tmp_path, "noise", "noise.xyz", "empty")
    scan = walk([tmp_path])
    assert names(scan, tmp_path) == ["song", "song.part"]
    assert scan.n_other == 4


def test_a_known_unchanged_file_is_not_opened(tmp_path, monkeypatch):
    put(tmp_path, "song", content=FLAC)
    known = known_of(walk([tmp_path]))
    monkeypatch.setattr("volna.library.walk.looks_like_audio", lambda path: pytest.fail("opened"))
    assert len(walk([tmp_path], known=known).found) == 1


def test_an_empty_audio_file_is_found(tmp_path):
    put(tmp_path, "empty.mp3", content=b"")
    assert walk([tmp_path]).found[0].size == 0


def test_folders_with_a_dot_are_skipped(tmp_path):
    put(tmp_path, ".Trash/a.mp3", ".git/b.mp3", "ok/.c.mp3")
    assert names(walk([tmp_path]), tmp_path) == ["ok/.c.mp3"]


def test_paths_that_overlap_count_once(tmp_path):
    put(tmp_path, "rock/a.mp3", "b.mp3")
    roots = [tmp_path / "rock", tmp_path, tmp_path / "rock" / "a.mp3", str(tmp_path) + "/rock/../rock"]
    scan = walk(roots)
    assert names(scan, tmp_path) == ["b.mp3", "rock/a.mp3"]
    assert scan.not_judged == set()


def test_odd_names_survive(tmp_path):
    odd = [b"two\nlines.mp3", "日本 ö.mp3".encode(), b" blank .mp3"]
    if os.uname().sysname == "Linux":
        odd.append(b"bad\xff\xfe.mp3")
    for name in odd:
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).write_bytes(b"x")
    found = [os.fsencode(os.path.basename(item.path)) for item in walk([tmp_path]).found]
    assert sorted(found) == sorted(odd)


def test_links_are_followed_and_loops_end(tmp_path):
    put(tmp_path, "music/a.mp3", "other/b.mp3", "other/c.mp3")
    (tmp_path / "music" / "loop").symlink_to(tmp_path / "music")
    (tmp_path / "music" / "self").symlink_to("self")
    (tmp_path / "music" / "linked").symlink_to(tmp_path / "other")
    (tmp_path / "music" / "again").symlink_to(tmp_path / "other")
    (tmp_path / "music" / "0.mp3").symlink_to("a.mp3")
    scan = walk([tmp_path / "music"])
    assert names(scan, tmp_path / "music") == ["a.mp3", "again/b.mp3", "again/c.mp3"]
    assert str(tmp_path / "music" / "0.mp3") in scan.not_judged


def test_what_is_reached_twice_is_known_by_its_real_path(tmp_path):
    put(tmp_path, "z/a.mp3")
    (tmp_path / "b").symlink_to("z")
    (tmp_path / "a.mp3").symlink_to("z/a.mp3")
    assert names(walk([tmp_path]), tmp_path) == ["z/a.mp3"]


def test_pipes_are_never_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.mp3")
    os.mkfifo(tmp_path / "pipe")
    scan = walk([tmp_path])
    assert (scan.found, scan.n_other) == ([], 2)


def test_progress_is_told(tmp_path):
    put(tmp_path, "a/1.mp3", "b/2.mp3")
    seen: list[int] = []
    walk([tmp_path], on_folder=seen.append)
    assert seen == sorted(seen)  # however many folders there are, and in whatever order
    assert {0, 1, 2} == set(seen)


# --- exclusion


def test_excluded_audio_is_counted_and_adds_up(tmp_path):
    put(tmp_path, "a.mp3", "live/b.mp3", "live/deep/c.mp3", "live/cover.jpg", "d.wav")
    scan = walk([tmp_path], exclude=["live", "*.wav"])
    assert names(scan, tmp_path) == ["a.mp3"]
    assert (scan.n_excluded, scan.n_other, scan.n_audio) == (3, 1, 4)


@pytest.mark.parametrize(
    ("pattern", "left"),
    [
        ("b.mp3", ["a.mp3", "x/c.mp3"]),
        ("*.mp3", []),
        ("?.mp3", []),
        ("[ab].mp3", ["x/c.mp3"]),
        ("[!ab].mp3", ["a.mp3", "b.mp3", "x/b.mp3"]),
        ("x", ["a.mp3", "b.mp3"]),
        ("x/", ["a.mp3", "b.mp3"]),
        ("a.mp3/", ["a.mp3", "b.mp3", "x/b.mp3", "x/c.mp3"]),
        ("x/b.mp3", ["a.mp3", "b.mp3", "x/c.mp3"]),
        ("x/*", ["a.mp3", "b.mp3"]),
        ("x/**", ["a.mp3", "b.mp3"]),
        ("**/b.mp3", ["a.mp3", "x/c.mp3"]),
        ("*/b.mp3", ["a.mp3", "b.mp3", "x/c.mp3"]),
        ("./x", ["a.mp3", "b.mp3"]),
        ("X", ["a.mp3", "b.mp3", "x/b.mp3", "x/c.mp3"]),
        ("[z-a]", ["a.mp3", "b.mp3", "x/b.mp3", "x/c.mp3"]),
        ("", ["a.mp3", "b.mp3", "x/b.mp3", "x/c.mp3"]),
    ],
)
def test_patterns(tmp_path, pattern, left):
    put(tmp_path, "a.mp3", "b.mp3", "x/b.mp3", "x/c.mp3")
    assert names(walk([tmp_path], exclude=[pattern]), tmp_path) == left


def test_patterns_may_be_absolute_or_from_the_working_directory(tmp_path, monkeypatch):
    put(tmp_path, "music/live/a.mp3", "music/b.mp3")
    monkeypatch.chdir(tmp_path)
    for pattern in (str(tmp_path / "music" / "live"), "music/live", "music/live/*.mp3"):
        assert names(walk(["music"], exclude=[pattern]), tmp_path) == ["music/b.mp3"]
    assert walk(["music/live", "music/b.mp3"], exclude=["live", "*.mp3"]).n_excluded == 2  # also the paths given


def test_volnaignore(tmp_path):
    put(tmp_path, "a.mp3", "b.wav", "keep.wav", "x/live/c.mp3", "x/d.mp3", "x/e.mp3", "y/d.mp3")
    (tmp_path / ".volnaignore").write_text("# takes\n*.wav\n!keep.wav\nlive/\n\n", encoding="utf-8")
    (tmp_path / "x" / ".volnaignore").write_text("/d.mp3\r\n", encoding="utf-8")
    scan = walk([tmp_path])
    assert names(scan, tmp_path) == ["a.mp3", "keep.wav", "x/e.mp3", "y/d.mp3"]
    assert (scan.n_excluded, scan.n_other) == (3, 2)
    assert names(walk([tmp_path / "x"]), tmp_path) == ["x/e.mp3"]  # the one above applies here, too


def test_an_empty_volnaignore_says_nothing(tmp_path):
    put(tmp_path, "a.mp3", ".volnaignore", content=b"")
    assert names(walk([tmp_path]), tmp_path) == ["a.mp3"]


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("a/**/b", "/m/a/b", True),
        ("a/**/b", "/m/a/x/y/b", True),
        ("a/b", "/m/x/a/b", False),
        ("\\#1", "/m/#1", True),
        ("\\*", "/m/x", False),
        ("\\*", "/m/*", True),
        ("[a-c&&b~]x", "/m/&x", True),
        ("[]]", "/m/]", True),
        ("Bjo\u0308rk", "/m/Björk", True),
        ("a*", "/m/a\nb", True),
        ("*", "/n/x", False),
    ],
)
def test_rules_in_the_manner_of_gitignore(pattern, path, expected):
    assert is_excluded(rules_in("/m", pattern), path, is_folder=False) is expected


# --- comparing with the catalogue


@pytest.fixture
def music(tmp_path):
    """A folder with four songs in three places, all known to the catalogue."""
    put(tmp_path, "a.mp3", "rock/b.mp3", "rock/c.mp3", "jazz/d.mp3")
    return tmp_path


def test_nothing_new(music):
    scan = walk([music])
    assert compare(scan, known_of(scan), features_version="1") == Changes(unchanged=scan.found)


def test_every_found_file_is_sorted_once(music):
    before = walk([music])
    known = known_of(before)
    put(music, "new.mp3", "rock/b.mp3", content=b"longer")
    os.utime(music / "a.mp3", ns=(1, 1))
    (music / "rock" / "c.mp3").unlink()
    known[str(music / "jazz" / "d.mp3")] = known[str(music / "jazz" / "d.mp3")]._replace(state="gone")
    scan = walk([music])
    changes = compare(scan, known)
    assert [Path(found.path).name for found in changes.new] == ["new.mp3"]
    assert sorted(Path(found.path).name for found in changes.changed) == ["a.mp3", "b.mp3"]
    assert [Path(path).name for path in changes.back] == ["d.mp3"]
    assert (relative(changes, music), changes.unchanged, changes.warnings) == (["rock/c.mp3"], [], [])


def test_what_failed_is_not_tried_again_until_something_changes(music):
    scan = walk([music])
    known = known_of(scan, "failed")
    changes = compare(scan, known, features_version="1")
    assert changes.failed_before == [(found.path, "damaged") for found in scan.found]
    assert compare(scan, known, features_version="2").changed == scan.found
    assert compare(scan, known, features_version="1", retry=True).changed == scan.found


def test_other_features_want_an_analysis(music):
    scan = walk([music])
    assert compare(scan, known_of(scan), features_version="2").changed == scan.found
    assert compare(scan, known_of(scan, "gone"), features_version="2").changed == scan.found


def test_gone_is_judged_only_under_the_paths_given(music):
    known = known_of(walk([music]))
    shutil.rmtree(music / "rock")
    (music / "jazz" / "d.mp3").unlink()
    put(music, "jazz/e.mp3")
    jazz = {path: record for path, record in known.items() if "jazz" in path}
    assert relative(compare(walk([music / "jazz"]), jazz), music) == ["jazz/d.mp3"]
    assert relative(compare(walk([music]), known), music) == ["jazz/d.mp3", "rock/b.mp3", "rock/c.mp3"]


def test_what_is_gone_already_is_not_gone_again(music):
    known = known_of(walk([music]), "gone")
    (music / "a.mp3").unlink()
    assert compare(walk([music]), known).gone == []


def test_a_missing_path_proves_nothing(music):
    known = known_of(walk([music]))
    shutil.rmtree(music / "rock")
    (music / "a.mp3").unlink()
    changes = compare(walk([music / "rock", music / "jazz"]), known)
    assert changes.gone == []  # a.mp3 is known and under neither path
    assert changes.suspicious_roots == [str(music / "rock")]
    assert changes.warnings[0].startswith(f"{music / 'rock'} is not there: 2 known files were left as before")
    assert compare(walk([music / "nowhere"]), {}).warnings == [f"{music / 'nowhere'} is not there"]
    gone_file = compare(walk([music / "jazz" / "d.mp3", music / "x.mp3"]), {})
    assert gone_file.suspicious_roots == [str(music / "x.mp3")]


@pytest.mark.parametrize("left", [[], ["cover.jpg"]])
def test_a_path_suddenly_without_music_proves_nothing(music, left):
    known = {path: record for path, record in known_of(walk([music])).items() if "rock" in path}
    shutil.rmtree(music / "rock")
    (music / "rock").mkdir()
    put(music / "rock", *left)
    changes = compare(walk([music / "rock"]), known)
    assert (changes.gone, changes.suspicious_roots) == ([], [str(music / "rock")])
    assert ("is empty: 2" if not left else "holds no music any more: 2") in changes.warnings[0]
    put(music / "rock", "new.mp3")
    assert len(compare(walk([music / "rock"]), known).gone) == 2


def test_an_empty_folder_within_may_be_the_place_of_a_disk(music):
    known = known_of(walk([music]))
    shutil.rmtree(music / "rock")
    (music / "rock").mkdir()
    (music / "never held anything").mkdir()
    changes = compare(walk([music]), known)
    assert (changes.gone, changes.emptied, changes.suspicious_roots) == ([], [str(music / "rock")], [])
    assert len(changes.warnings) == 1
    put(music, "rock/cover.jpg")
    assert relative(compare(walk([music]), known), music) == ["rock/b.mp3", "rock/c.mp3"]


def test_an_unreadable_folder_proves_nothing(music, monkeypatch):
    known = known_of(walk([music]))
    scandir = os.scandir

    def refuse(path):
        if str(path).endswith("rock"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    (music / "jazz" / "d.mp3").unlink()
    put(music, "jazz/cover.jpg")
    changes = compare(walk([music]), known)
    assert relative(changes, music) == ["jazz/d.mp3"]
    assert changes.suspicious_roots == [str(music / "rock")]
    assert changes.warnings == [f"{music / 'rock'} cannot be read: 2 known files were left as before"]
    excluded = compare(walk([music], exclude=["rock"]), known)
    assert (relative(excluded, music), excluded.warnings) == (["jazz/d.mp3"], [])


def test_a_link_that_leads_nowhere_proves_nothing(music):
    put(music / "disk", "e.mp3")
    (music / "link.mp3").symlink_to(music / "disk" / "e.mp3")
    (music / "cover.jpg").symlink_to("nowhere.jpg")
    known = known_of(walk([music])) | {str(music / "link.mp3"): FileRecord(1, 1, "ok", None, 1, "1")}
    (music / "disk" / "e.mp3").rename(music / "disk" / "f.mp3")
    changes = compare(walk([music]), known)
    assert relative(changes, music) == ["disk/e.mp3"]
    assert changes.warnings == [f"links that lead nowhere: 1, such as {music / 'link.mp3'}"]


def test_a_file_reached_another_way_is_not_gone(music):
    other = music.parent / (music.name + " other")
    put(other, "x.mp3")
    (music / "link").symlink_to(other)
    known = known_of(walk([music]))
    assert str(music / "link" / "x.mp3") in known
    changes = compare(walk([music, other]), known)
    assert (changes.gone, changes.warnings) == ([], [])
    assert [found.path for found in changes.new] == [str(other / "x.mp3")]


def test_a_file_excluded_now_leaves_the_library(music):
    known = known_of(walk([music]))
    changes = compare(walk([music], exclude=["rock"]), known)
    assert relative(changes, music) == ["rock/b.mp3", "rock/c.mp3"]
    everything = compare(walk([music], exclude=["*.mp3"]), known)
    assert (len(everything.gone), everything.warnings) == (4, [])


def test_many_warnings_are_cut_short(tmp_path):
    put(tmp_path, *(f"{n}/a.mp3" for n in range(50)))
    known = known_of(walk([tmp_path]))
    for n in range(50):
        (tmp_path / str(n) / "a.mp3").unlink()
    put(tmp_path, "b.mp3")
    changes = compare(walk([tmp_path]), known)
    assert (len(changes.emptied), len(changes.warnings)) == (50, 21)
    assert changes.warnings[-1] == "and 30 more folders in which nothing was judged gone"
