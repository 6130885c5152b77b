"""What a run of `index` promises, on files made on the spot."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from conftest import SAMPLE_RATE, sound

import volna
from volna.audio.encode import encode
from volna.errors import InputError, LibraryError
from volna.library.scan import FoundFile
from volna.library.store import Catalogue
from volna.workflows import learning
from volna.workflows.common import silent
from volna.workflows.indexing import AnalysisRun
from volna.workflows.results import IndexSummary


def index(paths, library, **options):
    options = {"jobs": 1, "train_time_s": 0} | options
    summary = volna.index(paths, library=library, **options)
    parts = summary.analysed + summary.unchanged + summary.moved + summary.failed + summary.excluded
    assert summary.found == parts, summary
    return summary


def test_a_first_run_analyses_everything_and_the_sum_adds_up(make_music, library, tmp_path):
    make_music(3)
    (tmp_path / "music" / "cover.jpg").write_bytes(b"\xff\xd8\xff")
    (tmp_path / "music" / "notes.txt").write_text("nothing to hear")
    (tmp_path / "music" / "broken.mp3").write_bytes(b"this is no sound at all" * 50)
    summary = index([tmp_path / "music"], library)
    assert (summary.found, summary.analysed, summary.failed, summary.other) == (4, 3, 1, 2)
    assert summary.failures[0].path.endswith("broken.mp3")
    assert "Traceback" not in summary.failures[0].reason
    assert summary.model is None
    assert "200" in summary.notes[-1]  # what more music would add


def test_a_second_run_analyses_nothing_and_remembers_the_failures(make_music, library, tmp_path):
    make_music(2)
    (tmp_path / "music" / "broken.flac").write_bytes(b"fLaC" + bytes(100))
    index([tmp_path / "music"], library)
    again = index([tmp_path / "music"], library)
    assert (again.analysed, again.unchanged, again.failed) == (0, 2, 1)
    assert volna.failures(library)[0].reason == again.failures[0].reason


def test_a_changed_file_is_analysed_again(make_music, library, tmp_path):
    first, _ = make_music(2)
    index([tmp_path / "music"], library)
    encode(first, sound(99), SAMPLE_RATE)
    again = index([tmp_path / "music"], library)
    assert (again.analysed, again.unchanged) == (1, 1)
    with Catalogue.open(library) as catalogue:
        assert len(catalogue.tracks()) == 2


@pytest.mark.parametrize("extension", ["mp3", "flac", "m4a", "ogg", "wav"])
def test_moved_and_copied_files_are_recognised_by_their_sound(make_music, library, tmp_path, extension):
    first, second = make_music(2, extension=extension)
    index([tmp_path / "music"], library)
    (tmp_path / "music" / "new place").mkdir()
    moved = first.rename(tmp_path / "music" / "new place" / ("renamed" + first.suffix))
    shutil.copy(second, tmp_path / "music" / ("a copy" + second.suffix))
    again = index([tmp_path / "music"], library)
    assert (again.analysed, again.moved, again.unchanged, again.gone) == (0, 2, 1, 0)
    with Catalogue.open(library) as catalogue:
        rows = {row.path: row for row in catalogue.tracks()}
    assert len(rows) == 2
    assert str(moved) in rows


def test_copies_met_in_one_run_are_analysed_once(make_music, library, tmp_path):
    (only,) = make_music(1)
    for n in range(4):
        shutil.copy(only, only.with_name(f"copy {n}.wav"))
    summary = index([tmp_path / "music"], library, jobs=2)
    assert (summary.analysed, summary.moved) == (1, 4)


def test_a_retagged_file_is_recognised_and_shows_its_new_tags(make_music, library, tmp_path):
    (only,) = make_music(1, extension="mp3")
    index([tmp_path / "music"], library)
    audio = only.read_bytes()
    title = b"\x03another title"
    frame = b"TIT2" + len(title).to_bytes(4, "big") + b"\0\0" + title
    start = 10 + int.from_bytes(bytes(audio[6:10]), "big") if audio[:3] == b"ID3" else 0
    only.write_bytes(b"ID3\x03\0\0" + bytes([0, 0, len(frame) >> 7, len(frame) & 127]) + frame + audio[start:])
    again = index([tmp_path / "music"], library)
    assert (again.analysed, again.moved) == (0, 1)
    with Catalogue.open(library) as catalogue:
        assert catalogue.tracks()[0].title == "another title"


def test_what_is_gone_comes_back_without_analysis(make_music, library, tmp_path):
    first, _ = make_music(2)
    index([tmp_path / "music"], library)
    away = first.rename(tmp_path / "away.wav")
    assert index([tmp_path / "music"], library).gone == 1
    away.rename(first)
    again = index([tmp_path / "music"], library)
    assert (again.analysed, again.unchanged, again.gone) == (0, 2, 0)


@pytest.mark.parametrize("how", ["missing", "empty"])
def test_an_unmounted_disk_makes_nothing_gone(make_music, library, tmp_path, how):
    make_music(3)
    index([tmp_path / "music"], library)
    (tmp_path / "music").rename(tmp_path / "elsewhere")
    if how == "empty":
        (tmp_path / "music").mkdir()
    summary = index([tmp_path / "music"], library)
    assert summary.gone == 0
    assert any(str(tmp_path / "music") in note for note in summary.notes)
    assert volna.status(library).tracks == 3


def test_gone_is_judged_only_under_the_paths_given(make_music, library, tmp_path):
    make_music(2, "one")
    others = make_music(2, "two", first=10)
    index([tmp_path / "one", tmp_path / "two"], library)
    others[0].unlink()
    assert index([tmp_path / "one"], library).gone == 0
    assert index([tmp_path / "two"], library).gone == 1


def test_excluded_files_are_counted_and_not_heard(make_music, library, tmp_path):
    make_music(3)
    make_music(2, "music/talk", first=20)
    (tmp_path / "music" / ".volnaignore").write_text("talk/\n")
    assert index([tmp_path / "music"], library).excluded == 2
    summary = index([tmp_path / "music"], library, exclude=["*tune 1*"])
    assert (summary.excluded, summary.unchanged) == (3, 2)


def test_silence_and_crumbs_fail_with_a_reason_and_short_sounds_do_not(library, tmp_path):
    folder = tmp_path / "music"
    folder.mkdir()
    encode(folder / "silence.wav", np.zeros(SAMPLE_RATE * 4, np.float32), SAMPLE_RATE)
    encode(folder / "crumb.wav", sound(1, 0.05), SAMPLE_RATE)
    encode(folder / "short.wav", sound(2, 0.3), SAMPLE_RATE)
    (folder / "empty.mp3").touch()
    summary = index([folder], library)
    assert (summary.analysed, summary.failed) == (1, 3)
    reasons = {os.path.basename(failure.path): failure.reason for failure in summary.failures}
    assert "silen" in reasons["silence.wav"]
    assert "0.1 s" in reasons["crumb.wav"]
    assert "empty" in reasons["empty.mp3"]
    assert volna.status(library).short == 1


def test_odd_names_survive(make_music, library, tmp_path):
    (only,) = make_music(1)
    names = [b"with space.wav", "Ünïcödé ☂.wav".encode(), b"bad \xff byte.wav", b"two\nlines.wav", b"%d:what?.wav"]
    for seed, name in enumerate(names):
        encode(only, sound(100 + seed), SAMPLE_RATE)
        os.rename(os.fsencode(only), os.path.join(os.fsencode(only.parent), name))
    assert index([tmp_path / "music"], library).analysed == len(names)
    with Catalogue.open(library) as catalogue:
        assert {os.path.basename(os.fsencode(row.path)) for row in catalogue.tracks()} == set(names)
    assert index([tmp_path / "music"], library).unchanged == len(names)


def test_the_way_of_listening_is_settled_once(make_music, library, tmp_path):
    make_music(1)
    index([tmp_path / "music"], library, segment="start")
    index([tmp_path / "music"], library)
    with pytest.raises(InputError, match="'start'"):
        index([tmp_path / "music"], library, segment="end")
    with pytest.raises(InputError, match="expected one of"):
        index([tmp_path / "music"], tmp_path / "other.db", segment="chorus")


def test_a_missing_folder_is_said_and_a_corrupt_library_is_kept(tmp_path, library):
    summary = index([tmp_path / "nowhere"], library)
    assert summary.found == 0
    assert "nowhere" in " ".join(summary.notes)
    library.write_bytes(b"this is not a library" * 100)
    with pytest.raises(LibraryError, match=str(library)):
        index([tmp_path], library)
    assert library.read_bytes().startswith(b"this is not")


def test_forgotten_files_leave_the_library(make_music, library, tmp_path):
    first, _, _ = make_music(3)
    index([tmp_path / "music"], library)
    assert volna.forget([first], library) == 1
    assert volna.status(library).tracks == 2
    assert volna.forget([tmp_path / "music"], library) == 2


def run_in_a_process(folder, library, **options):
    script = (
        "import volna; from volna.workflows import indexing; indexing.BATCH_FILES = 4\n"
        f"volna.index([{str(folder)!r}], library={str(library)!r}, train_time_s=0, jobs=2)"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    return subprocess.Popen([sys.executable, "-c", script], env=environment, stderr=subprocess.PIPE, **options)


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT])
def test_an_interrupted_run_is_taken_up_where_it_stopped(make_music, library, tmp_path, end):
    n = 50
    make_music(n, duration_s=3.2)
    process = run_in_a_process(tmp_path / "music", library)
    deadline = time.monotonic() + 60
    kept = 0
    while not kept and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
        if library.exists() and library.stat().st_size:
            with Catalogue.open(library) as catalogue:
                kept = len(catalogue.tracks())
    process.send_signal(end)
    process.communicate()
    with Catalogue.open(library) as catalogue:
        catalogue.check()
        kept = len(catalogue.tracks())
    again = index([tmp_path / "music"], library, jobs=2)
    assert kept > 0
    assert (again.unchanged, again.analysed) == (kept, n - kept)


def test_two_runs_at_once_make_one_library(make_music, library, tmp_path):
    make_music(16, duration_s=3.2)
    processes = [run_in_a_process(tmp_path / "music", library) for _ in range(2)]
    errors = [process.communicate()[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], errors
    with Catalogue.open(library) as catalogue:
        catalogue.check()
        assert len(catalogue.tracks()) == 16


def test_crossing_the_threshold_trains_embeds_and_clears_the_cache(make_music, library, tmp_path, monkeypatch):
    monkeypatch.setattr(learning, "THRESHOLD_TRACKS", 12)
    make_music(10)
    assert index([tmp_path / "music"], library, train_time_s=4).model is None
    make_music(4, first=10)
    summary = index([tmp_path / "music"], library, train_time_s=4)
    assert summary.analysed == 4
    assert summary.model
    assert not library.with_name(library.name + "-cache").exists()
    state = volna.status(library)
    assert (state.model, state.embedded, state.trained_on) == (summary.model, 14, 14)
    make_music(2, first=30)  # later tracks are embedded by the model that is there
    again = index([tmp_path / "music"], library, train_time_s=4)
    assert (again.model, volna.status(library).embedded) == (summary.model, 16)
    assert again.notes == []


def test_a_library_that_has_outgrown_its_model_is_told_so(make_music, library, tmp_path, monkeypatch):
    monkeypatch.setattr(learning, "THRESHOLD_TRACKS", 3)
    monkeypatch.setattr(learning, "GROWTH", 2)
    make_music(3)
    index([tmp_path / "music"], library, train_time_s=2)
    make_music(4, first=10)
    assert "volna train" in index([tmp_path / "music"], library, train_time_s=2).notes[-1]
    summary = volna.train(library=library, train_time_s=2, jobs=1)
    state = volna.status(library)
    assert (state.model, state.trained_on, state.embedded) == (summary["id"], 7, 7)
    with Catalogue.open(library) as catalogue:
        assert sorted(catalogue.spaces()) == sorted([catalogue.descriptor_space, summary["id"]])


def test_only_a_sample_is_trained_on_and_all_are_embedded(make_music, library, tmp_path, monkeypatch):
    monkeypatch.setattr(learning, "THRESHOLD_TRACKS", 6)
    monkeypatch.setattr(learning, "SAMPLE_TRACKS", 6)
    make_music(10)
    index([tmp_path / "music"], library, train_time_s=2)
    state = volna.status(library)
    assert (state.trained_on, state.embedded, state.tracks) == (6, 10, 10)


def test_the_sample_is_the_same_in_every_run():
    paths = [f"/music/{n}.mp3" for n in range(100)]
    drawn = learning.draw_sample(paths, 10, 0)
    assert drawn == learning.draw_sample(reversed(paths), 10, 0)
    assert drawn != learning.draw_sample(paths, 10, 1)
    assert len(set(drawn)) == 10


def test_a_run_that_another_process_trains_for_describes_only(make_music, library, tmp_path, monkeypatch):
    monkeypatch.setattr(learning, "THRESHOLD_TRACKS", 3)
    make_music(4)
    with Catalogue.open(library, create=True) as catalogue:
        folder = learning.cache_folder(catalogue)
    with learning.training_lock(folder) as free:
        assert free
        summary = index([tmp_path / "music"], library, train_time_s=2)
    assert summary.analysed == 4
    assert summary.model is None
    assert any("training" in note for note in summary.notes)
    assert index([tmp_path / "music"], library, train_time_s=2).model


def test_a_first_run_decodes_no_file_twice(make_music, library, tmp_path, monkeypatch):
    monkeypatch.setattr(learning, "THRESHOLD_TRACKS", 6)
    monkeypatch.setattr(learning, "SAMPLE_TRACKS", 6)
    make_music(10)
    heard = {}

    def progress(stage, done, total, note=""):
        heard[stage, note if stage == "Embedding" else ""] = done

    index([tmp_path / "music"], library, train_time_s=2, progress=progress)
    decoding = {stage: done for (stage, note), done in heard.items() if note != "from the cache"}
    assert decoding["Listening"] + decoding["Analysing"] == 10
    assert not {"Listening again", "Embedding"} & set(decoding)  # the sample is embedded from the cache
    assert heard["Embedding", "from the cache"] == 6


def test_the_outlook_counts_what_comes_after_this_stage(library):
    with Catalogue.open(library, create=True) as catalogue:
        run = AnalysisRun(catalogue, "spread", 1, silent, IndexSummary())
        started_s = time.monotonic() - 100.0  # 100 files in 100 s
        assert run._outlook(started_s, 100, 200) == ""
        run.later = (900, 300.0)
        assert run._outlook(started_s, 100, 200) == "all in about 22 min"  # 1000 s of files and 300 s of training
        run.later = (99_900, 300.0)
        assert run._outlook(started_s, 100, 200) == "all in about 27.9 h"


def test_a_file_whose_track_was_forgotten_meanwhile_is_analysed_after_all(make_music, library, tmp_path):
    (only,) = make_music(1)
    index([tmp_path / "music"], library)
    shutil.copy(only, only.with_name("copy.wav"))
    with Catalogue.open(library) as catalogue:
        run = AnalysisRun(catalogue, "spread", 1, silent, IndexSummary())
        catalogue.forget([only])  # by another process, since the run read what is known
        copy = only.with_name("copy.wav")
        found = FoundFile(str(copy), copy.stat().st_size, copy.stat().st_mtime_ns)
        run.analyse([found], "Analysing", cache=None, checkpoint=None)
        assert (run.summary.analysed, run.summary.moved) == (1, 0)
        assert [row.path for row in catalogue.tracks()] == [str(copy)]
