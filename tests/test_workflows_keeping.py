"""What `status`, `failures` and `forget` promise, and that docs/json.md names every key of every ``--json``."""

from __future__ import annotations

import dataclasses
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from synthetic_library import DIM, analysed, fill, fill_with_model, songs, statistics_of_a_model

import volna
from volna.cli import main
from volna.errors import LibraryError
from volna.features.recipe import DESCRIPTOR_NAMES, FEATURES_VERSION
from volna.library.store import Catalogue, Failed
from volna.workflows import results
from volna.workflows.common import keep_model

DOCS = Path(__file__).parents[1] / "docs"


def fail(library: Path, **reasons: str) -> None:
    with Catalogue.open(library, create=True) as catalogue:
        failed = [Failed(f"/music/{name}.mp3", 10, 1, reason) for name, reason in reasons.items()]
        catalogue.record(failed=failed)


# status


def test_status_counts_what_the_library_holds(library):
    tracks = [replace(song, short=k < 2, duration_s=1800.0) for k, song in enumerate(songs(6))]
    tracks[5] = replace(tracks[5], copies=("/other/a.mp3", "/other/b.mp3"))
    fill(library, tracks)
    fail(library, broken="holds no audio")
    with Catalogue.open(library) as catalogue:
        catalogue.set_setting("segment", "start")
        catalogue.mark_gone([tracks[0].path, "/other/a.mp3"])
    state = volna.status(library)
    assert (state.tracks, state.files, state.failed, state.gone, state.short) == (5, 6, 1, 2, 1)
    assert state.hours == pytest.approx(2.5)
    assert (state.segment, state.library) == ("start", str(library))
    assert (state.model, state.embedded, state.trained_on, state.spaces) == (None, 0, 0, ["descriptors"])
    assert state.notes == []


def test_status_of_a_model_and_of_one_that_waits(library):
    fill_with_model(library, songs(8))
    state = volna.status(library)
    assert (state.model, state.embedded, state.trained_on) == ("fake", 8, 8)
    assert state.spaces == ["descriptors", "autoencoder", "both"]
    with Catalogue.open(library) as catalogue:
        keep_model(catalogue, "next", statistics_of_a_model(), trained_on=8, dim=DIM)
        catalogue.add_vectors("next", [1, 2, 3], np.ones((3, DIM), np.float32))
    state = volna.status(library)
    assert state.model == "fake"
    assert any("3 of 8" in note and "volna index" in note for note in state.notes)


def test_status_of_an_empty_library_and_of_none(library):
    with pytest.raises(LibraryError, match="volna index"):
        volna.status(library)
    Catalogue.open(library, create=True).close()
    state = volna.status(library)
    assert (state.tracks, state.files, state.hours, state.spaces, state.segment) == (0, 0, 0, [], "spread")


def test_status_says_when_older_features_still_answer(library):
    with Catalogue.open(library, create=True) as catalogue:
        catalogue.use_features("1-older")
        old = np.ones(len(DESCRIPTOR_NAMES) - 1, np.float32)
        catalogue.record(analysed=[replace(analysed(song, song.path), descriptors=old) for song in songs(3)])
        catalogue.use_features(FEATURES_VERSION)
    (note,) = volna.status(library).notes
    assert "0 of 3" in note
    assert "volna index" in note


def test_the_library_of_the_environment_is_the_default(tmp_path, monkeypatch):
    fill(tmp_path / "named.db", songs(3))
    monkeypatch.setenv("VOLNA_LIBRARY", str(tmp_path / "named.db"))
    assert volna.status().tracks == 3
    assert volna.failures() == []
    assert volna.similar("tune 0").results


# failures


def test_failures_are_listed_by_path_with_their_reason(library):
    fail(library, b="holds no audio", a="silent")
    assert volna.failures(library) == [
        results.Failure("/music/a.mp3", "silent"),
        results.Failure("/music/b.mp3", "holds no audio"),
    ]


# forget


def test_a_file_or_a_folder_is_forgotten_and_nothing_on_disk_touched(library, tmp_path):
    tracks = songs(12, folder=str(tmp_path))
    (tmp_path / "kind 1").mkdir()
    Path(tracks[1].path).write_text("music")
    ids = fill(library, tracks)
    assert volna.forget([tracks[0].path], library) == 1
    assert volna.forget([tmp_path / "kind 1"], library) == 3
    assert Path(tracks[1].path).read_text() == "music"
    assert volna.status(library).tracks == 8
    assert {match.id for match in volna.similar(ids[2], library=library).results}.isdisjoint({ids[0], *ids[1::4]})
    assert volna.forget([tracks[0].path], library) == 0
    assert volna.forget([tmp_path / "kind"], library) == 0  # no part of a name
    assert volna.forget([tmp_path], library) == 8


def test_one_of_two_files_is_forgotten_and_the_track_stays(library):
    tracks = songs(3)
    fill(library, [replace(tracks[0], copies=("/other/copy.mp3",)), *tracks[1:]])
    assert volna.forget([tracks[0].path], library) == 1
    assert volna.status(library).tracks == 3
    assert volna.similar("tune 1", library=library).results
    assert volna.similar("/other/copy.mp3", library=library).query == "artist 0 - tune 0"


def test_failures_and_what_is_gone_are_forgotten_too(library):
    tracks = songs(3)
    fill(library, tracks)
    fail(library, broken="holds no audio")
    with Catalogue.open(library) as catalogue:
        catalogue.mark_gone([tracks[0].path])
    assert volna.forget(["/music"], library) == 4
    state = volna.status(library)
    assert (state.tracks, state.failed, state.gone) == (0, 0, 0)


def test_paths_from_home_and_names_that_are_no_text(library):
    home = Path.home()
    bad = songs(2)[1]
    fill(library, [replace(songs(1)[0], path=f"{home}/music/a.mp3"), replace(bad, path="/music/bad \udcff\n.mp3")])
    assert volna.forget(["~/music"], library) == 1
    assert volna.forget(["/music/bad \udcff\n.mp3"], library) == 1


# The commands, and JSON as a contract


def documented(section: str) -> list[str]:
    """The keys in the table of a section of docs/json.md, in order."""
    text = (DOCS / "json.md").read_text(encoding="utf-8")
    found = re.search(rf"^#+ `?{re.escape(section)}`?\n(.*?)(?=^#|\Z)", text, flags=re.M | re.S)
    assert found, f"docs/json.md has no section {section!r}"
    return re.findall(r"^\| `(\w+)` \|", found[1], flags=re.M)


@pytest.mark.parametrize(
    ("section", "result"),
    [
        ("volna index --json", results.IndexSummary),
        ("volna similar --json", results.Similar),
        ("A track", results.Match),
        ("volna wave --json", results.Playlist),
        ("volna journey --json", results.Playlist),
        ("volna evaluate --json", results.Evaluation),
        ("A row", results.Row),
        ("volna status --json", results.Status),
        ("A failure", results.Failure),
        ("volna demo --json", results.DemoReport),
    ],
)
def test_the_documentation_names_every_key(section, result):
    assert documented(section) == [field.name for field in dataclasses.fields(result)]


@pytest.mark.parametrize("section", ["wave", "journey"])
def test_the_documentation_names_every_setting(library, section):
    fill(library, songs(6))
    made = volna.wave([1], library=library) if section == "wave" else volna.journey(1, 2, library=library)
    assert documented(f"Settings of {section}") == list(made.settings)


def test_the_documentation_names_what_training_tells(make_music, library, tmp_path):
    make_music(4, duration_s=3.2)
    volna.index([tmp_path / "music"], library=library, jobs=1, train_time_s=0)
    summary = volna.train(library=library, train_time_s=1, jobs=1)
    assert sorted(documented("volna train --json")) == sorted(summary)


@pytest.mark.parametrize("command", ["status", "failures", "similar", "wave", "journey", "forget", "index"])
def test_every_json_is_one_object_with_the_documented_keys(library, tmp_path, capsys, command):
    fill(library, songs(6))
    fail(library, broken="holds no audio")
    arguments = {"similar": ["1"], "wave": ["1"], "journey": ["1", "2"], "forget": ["/x"], "index": [str(tmp_path)]}
    code = main([command, *arguments.get(command, []), "--json", "--library", str(library)])
    answer = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert code == (1 if command == "index" else 0)  # an empty folder
    assert list(answer) == documented(f"volna {command} --json")
    for match in answer.get("results", []):
        assert list(match) == documented("A track")
    for failure in answer.get("failures", []):
        assert list(failure) == documented("A failure")


def test_the_examples_of_the_documentation_are_json():
    blocks = re.findall(r"^```json\n(.*?)^```", (DOCS / "json.md").read_text(encoding="utf-8"), flags=re.M | re.S)
    assert len(blocks) >= 8
    for block in blocks:
        json.loads(block)
