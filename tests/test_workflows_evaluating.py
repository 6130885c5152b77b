"""What `evaluate` promises: its labels, and the sums of its table on spaces whose answer is known."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import SAMPLE_RATE, sound
from synthetic_library import DIM, fill, fill_with_model, songs, tiny_model

import volna
from volna.audio.encode import encode
from volna.cli import main
from volna.errors import InputError, LibraryError
from volna.library.store import Catalogue
from volna.workflows import evaluating
from volna.workflows.common import keep_model
from volna.workflows.evaluating import _Vectors
from volna.workflows.labels import read_labels
from volna.workflows.results import Evaluation, Row

SHARES = ("precision_at_1", "precision_at_5", "precision_at_10", "mean_average_precision", "never_recommended")


@pytest.fixture
def evaluate(library, monkeypatch):
    """`evaluate` over vectors that are given instead of heard: a function of the tracks gives those of each method."""

    def run(vectors, **options) -> dict[str, Row]:
        def hear(catalogue, rows, halves, n_jobs, progress):
            return rows, {name: _Vectors(*sides) for name, sides in vectors(rows, halves).items()}

        monkeypatch.setattr(evaluating, "_hear", hear)
        table = volna.evaluate(library=library, **options)
        for row in table.rows:
            check(row)
        run.table = table
        return {row.name: row for row in table.rows}

    return run


def check(row: Row) -> None:
    for name in (*SHARES, "hubness"):
        value, low, high = getattr(row, name)
        assert low <= value + 1e-9
        assert value <= high + 1e-9
        assert name not in SHARES or 0 <= value <= 1


def coded(values: list[object], seed: int = 0, noise: float = 0.1) -> np.ndarray:
    """A random direction for each value, and little noise: equal values are near, float32 (n, 30)."""
    rng = np.random.default_rng(seed)
    directions = {value: rng.normal(0, 1, 30) for value in sorted({str(value) for value in values})}
    return np.array([directions[str(value)] + rng.normal(0, noise, 30) for value in values], np.float32)


def same(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return rows, rows


# The sums


def test_chance_is_the_share_of_the_label_and_a_good_space_beats_it(library, evaluate):
    fill(library, [replace(song, artist=f"artist {k}") for k, song in enumerate(songs(80))])

    def vectors(rows, halves):
        assert not halves
        return {"good": same(coded([row.genre for row in rows], noise=0.5)), "poor": same(coded([r.id for r in rows]))}

    rows = evaluate(vectors, labels_from="genre")
    assert list(rows) == ["chance", "good", "poor"]
    for name in SHARES[:3]:
        assert getattr(rows["chance"], name)[0] == pytest.approx(19 / 79)
        assert getattr(rows["good"], name)[0] > 0.95
        assert abs(getattr(rows["poor"], name)[0] - 19 / 79) < 0.15
    assert rows["good"].mean_average_precision[1] > rows["chance"].mean_average_precision[2]
    table = evaluate.table
    assert (table.labels, table.n_tracks, table.n_labels) == ("genre", 80, 4)


def test_a_track_never_counts_itself(library, evaluate):
    fill(library, [replace(song, artist=f"artist {k}", genre=f"g{k % 40}") for k, song in enumerate(songs(80))])
    rows = evaluate(lambda rows, _: {"itself": same(coded([row.id for row in rows]))}, labels_from="genre")
    assert rows["itself"].precision_at_1[0] < 0.1


def test_hits_of_the_same_artist_are_taken_out(library, evaluate):
    tracks = [replace(song, artist=f"artist {k % 20}", genre=f"g{k % 4}") for k, song in enumerate(songs(100))]
    fill(library, tracks)
    rows = evaluate(lambda rows, _: {"artists": same(coded([row.artist for row in rows]))}, labels_from="genre")
    assert rows["artists"].precision_at_1[0] < 0.6  # an artist has one genre: with its own hits it would be 1
    assert rows["chance"].precision_at_1[0] == pytest.approx(20 / 95)


def test_artists_that_are_not_tagged_are_not_one_and_it_is_said(library, evaluate):
    fill(library, [replace(song, artist=None if k < 7 else song.artist) for k, song in enumerate(songs(40))])
    evaluate(lambda rows, _: {"x": same(coded([row.genre for row in rows]))}, labels_from="genre")
    assert any(note.startswith("7 tracks have no artist") for note in evaluate.table.notes)


def test_the_spaces_are_measured_as_they_are_searched_and_joined(library, evaluate):
    fill_with_model(library, songs(60, artists=60))

    def vectors(rows, _):
        with Catalogue.open(library) as catalogue:
            ids = [row.id for row in rows]
            raw = catalogue.vectors_of(catalogue.descriptor_space, ids), catalogue.vectors_of("fake", ids)
        return {"descriptors": same(raw[0]), "autoencoder": same(raw[1])}

    rows = evaluate(vectors, labels_from="genre")
    assert list(rows) == ["chance", "descriptors", "autoencoder", "both"]
    assert all(rows[name].precision_at_1[0] > 0.8 for name in ("descriptors", "autoencoder", "both"))


def test_hubness_and_what_is_never_recommended(library, evaluate):
    fill(library, songs(100, artists=100))

    def vectors(rows, _):  # two camps, each with two hubs in its middle
        camp = np.where(np.arange(len(rows)) % 2, 1.0, -1.0)[:, None] * np.random.default_rng(1).normal(0, 1, 30)
        own = coded([row.id for row in rows], noise=0.0)
        fair = (0.5 * camp + own).astype(np.float32)
        own[:4] *= 0.2
        return {"hubs": same((0.5 * camp + own).astype(np.float32)), "fair": same(fair)}

    rows = evaluate(vectors, labels_from="genre")
    assert rows["hubs"].hubness[0] > 1.5
    assert rows["hubs"].hubness[0] > rows["fair"].hubness[2]
    assert rows["hubs"].never_recommended[0] >= rows["fair"].never_recommended[0]


def test_the_same_seed_gives_the_same_table(library, evaluate):
    fill(library, songs(40))

    def vectors(rows, _):
        return {"x": same(coded([row.genre for row in rows], noise=3.0))}

    first, again = (evaluate(vectors, labels_from="genre", seed=3) for _ in range(2))
    assert first == again
    assert first != evaluate(vectors, labels_from="genre", seed=4)


def test_a_half_finds_the_other_half_of_its_track(library, evaluate):
    fill(library, [replace(song, genre=None) for song in songs(40)])

    def vectors(rows, halves):
        assert halves
        ids = [row.id for row in rows]
        return {"good": (coded(ids), coded(ids)), "random": (coded(ids), coded(ids, seed=1))}

    rows = evaluate(vectors)
    assert rows["good"].precision_at_1[0] == 1.0
    assert rows["good"].precision_at_5[0] == pytest.approx(1 / 5)
    assert rows["good"].mean_average_precision[0] == 1.0
    assert rows["chance"].precision_at_1[0] == pytest.approx(1 / 40)
    assert rows["random"].precision_at_1[0] < 0.2
    table = evaluate.table
    assert (table.labels, table.n_tracks, table.n_labels) == ("the other half of the track", 40, 0)
    assert "No labels" in table.notes[0]


def test_what_the_table_lacks_is_said(library, evaluate, monkeypatch):
    fill(library, songs(40))
    monkeypatch.setattr(evaluating, "MAX_TRACKS", 30)
    evaluate(lambda rows, _: {"x": same(coded([row.genre for row in rows]))}, labels_from="genre")
    notes = " ".join(evaluate.table.notes)
    assert evaluate.table.n_tracks == 30
    assert "30 of 40" in notes
    assert "volna train" in notes


def test_short_sounds_are_left_out(library, evaluate):
    fill(library, [replace(song, short=k < 10) for k, song in enumerate(songs(40))])
    evaluate(lambda rows, _: {"x": same(coded([row.genre for row in rows]))}, labels_from="genre")
    assert evaluate.table.n_tracks == 30


@pytest.mark.parametrize("n", [0, 1, 3])
def test_a_library_too_small_to_measure_is_one_line(library, n):
    fill(library, songs(n))
    with pytest.raises(LibraryError, match="at least 4 tracks") as error:
        volna.evaluate(library=library)
    assert "\n" not in str(error.value)


# The labels


def rows_of(library: Path, tracks: list) -> list:
    fill(library, tracks)
    with Catalogue.open(library) as catalogue:
        return catalogue.tracks()


def test_without_labels_genres_are_taken_where_two_have_ten_tracks(library):
    rows = rows_of(library, songs(41, kinds=4))
    assert read_labels(rows[:36], None, None) is None  # nine of each
    table = read_labels(rows, None, None)
    assert table is not None
    assert (table.name, len(table.labels), len(set(table.labels.values()))) == ("genre", 41, 4)
    assert set(read_labels(rows[:38], None, None).labels.values()) == {"genre 0", "genre 1"}


def test_labels_from_folders_and_genres(library):
    tracks = songs(12, kinds=3)
    tracks[0] = replace(tracks[0], genre="GENRE 0")
    rows = rows_of(library, tracks)
    assert read_labels(rows, None, "folder").labels[tracks[4].path] == "kind 1"
    assert set(read_labels(rows, None, "genre").labels.values()) == {"genre 0", "genre 1", "genre 2"}
    with pytest.raises(InputError, match="expected one of folder, genre"):
        read_labels(rows, None, "moon")
    with pytest.raises(InputError, match="give one"):
        read_labels(rows, "labels.csv", "folder")


def test_one_label_is_none(library):
    rows = rows_of(library, songs(12, kinds=1))
    for source in ("folder", "genre"):
        with pytest.raises(InputError, match="two labels"):
            read_labels(rows, None, source)
    singles = rows_of(library.with_name("b.db"), [replace(song, genre=song.title) for song in songs(6)])
    with pytest.raises(InputError, match="two labels"):
        read_labels(singles, None, "genre")


@pytest.fixture
def in_tmp(library, tmp_path):
    """Eight tracks that lie in the folder of the CSV; the files need not exist."""
    return rows_of(library, songs(8, kinds=2, folder=str(tmp_path / "music"))), tmp_path / "labels.csv"


def test_labels_from_a_csv(in_tmp):
    rows, file = in_tmp
    relative = [Path(row.path).relative_to(file.parent) for row in rows]
    lines = [f'"{path}",{"ab"[k % 2]},{"" if k == 7 else k // 2}' for k, path in enumerate(relative)]
    file.write_text("\ufeffpath,label,artist\n" + "\n".join(lines), encoding="utf-8")
    table = read_labels(rows, file, None)
    assert table.labels == {row.path: "ab"[k % 2] for k, row in enumerate(rows)}
    assert table.groups == {row.path: str(k // 2) for k, row in enumerate(rows[:7])}
    assert "labels.csv" in table.name


def test_absolute_paths_another_column_and_lines_of_other_files(in_tmp):
    rows, file = in_tmp
    lines = [f"{row.path},x,{k % 2}" for k, row in enumerate(rows)] + ["/else/where.mp3,x,9", "", ",x,1"]
    file.write_text("path,label,mood\n" + "\n".join(lines))
    assert set(read_labels(rows, f"{file}:mood", None).labels.values()) == {"0", "1"}
    with pytest.raises(InputError, match="two labels"):
        read_labels(rows, file, None)


def test_a_csv_may_name_a_copy_of_a_track(library, tmp_path):
    tracks = [replace(song, copies=(f"/copies/{k}.mp3",)) for k, song in enumerate(songs(8))]
    rows = rows_of(library, tracks)
    file = tmp_path / "labels.csv"
    file.write_text("path,label\n" + "\n".join(f"/copies/{k}.mp3,{k % 2}" for k in range(8)))
    assert len(read_labels(rows, file, None).labels) == 8


def test_names_that_are_not_utf8_are_matched(library, tmp_path):
    tracks = [replace(song, path=f"/music/bad \udcff {k}.mp3") for k, song in enumerate(songs(4))]
    rows = rows_of(library, tracks)
    file = tmp_path / "labels.csv"
    file.write_bytes(b"path,label\n" + b"".join(b"/music/bad \xff %d.mp3,%d\n" % (k, k % 2) for k in range(4)))
    assert len(read_labels(rows, file, None).labels) == 4


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read"),
        ("", "got nothing"),
        ("path,label\n", "two labels"),
        ("file,label\na,b\n", "columns path and label, got file, label"),
        ("path,kind\na,b\n", "columns path and label, got path, kind"),
        ("path;label\na;b\n", "got path;label"),
        ("path\na,b,c\n", "columns path and label, got path"),
        ("path,label\n/no/such.mp3,x\n/nor/this.mp3,y\n", "none of its 2 paths"),
        ('path,label\n"' + "x" * 200_000 + '",y\n', "cannot be read"),
    ],
)
def test_a_csv_that_cannot_be_used_is_one_clear_line(in_tmp, content, message):
    rows, file = in_tmp
    if content is not None:
        file.write_text(content)
    with pytest.raises(InputError, match=message) as error:
        read_labels(rows, file, None)
    assert str(file) in str(error.value) or file.name in str(error.value)
    assert "\n" not in str(error.value)


# On sounds


@pytest.fixture(scope="module")
def heard(tmp_path_factory):
    """Twelve real sounds in two folders, six tunes each played twice, and an untrained model; tests only read it."""
    folder = tmp_path_factory.mktemp("heard")
    library = folder / "library.db"
    for kind in ("dark", "bright"):
        (folder / kind).mkdir()
        for k in range(6):
            samples = sound(k, 3.2) if kind == "dark" else np.diff(sound(40 + k, 3.2), prepend=0)
            encode(folder / kind / f"{k}.wav", samples, SAMPLE_RATE, tags={"artist": f"{kind} {k}"})
    with Catalogue.open(library, create=True) as catalogue:
        keep_model(catalogue, "tiny", tiny_model(), trained_on=12, dim=DIM)
        catalogue.activate_model("tiny")
    volna.index([folder], library=library, jobs=2, train_time_s=0)
    return library


METHODS = ["chance", "descriptors", "60 MFCC statistics", f"PCA of the log-mel, {DIM}", "autoencoder", "both"]


def test_all_methods_stand_side_by_side(heard, capsys):
    assert main(["evaluate", "--labels-from", "folder", "--jobs", "1", "--json", "--library", str(heard)]) == 0
    table = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in table["rows"]] == METHODS
    assert (table["labels"], table["n_tracks"], table["n_labels"]) == ("folder", 12, 2)
    assert table["rows"][0]["precision_at_1"][0] == pytest.approx(5 / 11)
    assert table["rows"][1]["precision_at_1"][0] > 0.8
    assert all(math.isfinite(value) for row in table["rows"] for name in SHARES for value in row[name])


def test_halves_of_sounds(heard):
    stages = set()
    table = volna.evaluate(library=heard, jobs=1, progress=lambda stage, *_: stages.add(stage))
    assert [row.name for row in table.rows] == METHODS
    rows = {row.name: row for row in table.rows}
    assert rows["chance"].precision_at_1[0] == pytest.approx(1 / 12)
    assert rows["descriptors"].precision_at_1[0] > 0.3
    assert stages == {"Listening", "Scoring"}


def test_sounds_that_have_gone_are_left_out_and_said(heard, tmp_path):
    library = tmp_path / "library.db"
    fill(library, songs(6, folder=str(tmp_path / "gone")))
    with pytest.raises(LibraryError, match=r"only 0 tracks could be heard again; /.*/gone/.*: "):
        volna.evaluate(library=library, labels_from="folder", jobs=1)
    folder = tmp_path / "some"
    shutil.copytree(heard.parent / "dark", folder / "dark")
    shutil.copytree(heard.parent / "bright", folder / "bright")
    library.unlink()
    volna.index([folder], library=library, jobs=1, train_time_s=0)
    (folder / "dark" / "0.wav").unlink()
    table = volna.evaluate(library=library, labels_from="folder", jobs=1)
    assert isinstance(table, Evaluation)
    assert table.n_tracks == 11
    assert any("1 of 12 tracks" in note for note in table.notes)
    assert [row.name for row in table.rows] == [name.replace(f", {DIM}", ", 64") for name in METHODS[:4]]
