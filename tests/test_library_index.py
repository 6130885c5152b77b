"""volna.library.index: search, filters, the files beside the library, and the catalogue as its only truth."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from volna.errors import InputError, LibraryError, ModelError, ModelMismatch
from volna.library.index import Index, Settings, build, index_folder, open_index
from volna.library.store import Analysed, Catalogue
from volna.library.tags import Tags
from volna.vectors import FUSION, HUB_WEIGHT, Standardiser, join

NAMES = {"descriptors": "descriptors/1", "autoencoder": "model-a"}


class Shelf:
    """A catalogue of two spaces in memory, that counts how often its vectors were read."""

    def __init__(self, n: int = 200, n_embedded: int | None = None) -> None:
        rng = np.random.default_rng(0)
        self.generation, self.reads = 1, 0
        ids = np.arange(10, 10 + n)
        descriptors = (5 + 100 * rng.normal(size=(n, 6))).astype(np.float32)
        latents = rng.normal(size=(n, 4)).astype(np.float32)
        kept = slice(0, n if n_embedded is None else n_embedded)
        self.held = {"descriptors/1": (ids, descriptors), "model-a": (ids[kept], latents[kept])}
        self.seen: list[Any] = []

    def vectors(self, space: str) -> tuple[np.ndarray, np.ndarray]:
        self.reads += 1
        return self.held.get(space, (np.empty(0, np.int64), np.empty((0, 0), np.float32)))

    def track_ids(self, where: Sequence[Any] | None = None) -> np.ndarray:
        self.seen.append(where)
        return self.held["descriptors/1"][0][::3]


def brute_force(index: Index, space: str, query: int, k: int) -> list[int]:
    ids = index.ids(space)
    rows = index.rows(space, ids)
    similar = rows @ rows[list(ids).index(query)]
    return [int(ids[row]) for row in np.argsort(-similar, kind="stable")[:k]]


@pytest.mark.parametrize("space", ["descriptors", "autoencoder", "both"])
def test_search_misses_nothing(space: str) -> None:
    index = build(Shelf(), NAMES)
    queries = np.array([10, 57, 209])
    ids, similar = index.search(space, index.rows(space, queries), 15, hub_weight=0)
    for query, found in zip(queries.tolist(), ids.tolist(), strict=True):
        assert found == brute_force(index, space, query, 15)
    assert index.exact
    assert ids[:, 0].tolist() == queries.tolist()
    assert np.allclose(similar[:, 0], 1.0, atol=1e-5)
    assert (np.diff(similar, axis=1) <= 1e-6).all()


def test_descriptors_are_standardised_by_the_library_itself() -> None:
    shelf = Shelf()
    ids, raw = shelf.held["descriptors/1"]
    index = build(shelf, NAMES)
    assert np.allclose(index.rows("descriptors", ids), Standardiser.fit(raw).rows(raw), atol=1e-6)


def test_both_joins_the_spaces_and_holds_the_tracks_that_have_the_two() -> None:
    index = build(Shelf(n_embedded=50), NAMES)
    assert index.spaces == ["descriptors", "autoencoder", "both"]
    assert index.ids("both").tolist() == list(range(10, 60))
    parts = [index.rows(space, [12, 40]) for space in FUSION]
    assert np.allclose(index.rows("both", [12, 40]), join(parts, list(FUSION.values())), atol=1e-6)
    assert index.search("both", index.rows("both", [12]), 500)[0].shape == (1, 50)
    with pytest.raises(LibraryError, match="track 70 has no vector"):
        index.rows("both", [70])


def test_hubs_are_held_back_in_the_order_and_not_in_the_figure() -> None:
    index = build(Shelf(), NAMES)
    row = index.rows("descriptors", [33])
    plain, corrected = (
        dict(zip(i[0], s[0], strict=True))
        for i, s in (index.search("descriptors", row, 200, hub_weight=0), index.search("descriptors", row, 200))
    )
    assert plain.keys() == corrected.keys()
    assert list(plain) != list(corrected)
    assert all(abs(plain[track] - corrected[track]) < 1e-6 for track in plain)
    scores = [similar - HUB_WEIGHT * index.crowding("descriptors", [track])[0] for track, similar in corrected.items()]
    assert scores == sorted(scores, reverse=True)


def test_filters_and_exclusions_come_before_the_best_are_chosen() -> None:
    shelf = Shelf()
    index = build(shelf, NAMES)
    where = [("genre", "in", ["jazz"]), ("bpm", "range", (90, 130))]
    ids, _ = index.search("descriptors", index.rows("descriptors", [10]), 40, where=where, exclude=[10, 13])
    assert shelf.seen == [where]
    assert set(ids[0].tolist()) <= set(shelf.track_ids().tolist()) - {10, 13}
    assert (ids >= 0).all()
    ids, similar = index.search("descriptors", index.rows("descriptors", [10]), 100, where=where)
    n_passing = len(shelf.track_ids())
    assert (ids[0, n_passing:] == -1).all()
    assert np.isnan(similar[0, n_passing:]).all()


def test_a_sound_from_outside_lands_where_its_twin_is() -> None:
    shelf = Shelf()
    index = build(shelf, NAMES)
    raw = {"descriptors": shelf.held["descriptors/1"][1][7], "autoencoder": shelf.held["model-a"][1][7]}
    for space in index.spaces:
        ids, similar = index.search(space, index.query(space, raw, NAMES), 1, hub_weight=0)
        assert (ids[0, 0], round(float(similar[0, 0]), 4)) == (17, 1.0)
    with_hole = {"descriptors": np.where(np.arange(6) == 2, np.nan, raw["descriptors"])}
    assert np.isfinite(index.query("descriptors", with_hole)).all()


def test_vectors_of_two_models_are_never_compared() -> None:
    shelf = Shelf()
    index = build(shelf, NAMES)
    latent = shelf.held["model-a"][1][0]
    with pytest.raises(ModelMismatch, match=r"model-a .* model-b"):
        index.query("autoencoder", {"autoencoder": latent}, {"autoencoder": "model-b"})
    with pytest.raises(ModelMismatch):
        index.query("autoencoder", {"autoencoder": latent[:-1]})
    with pytest.raises(ModelMismatch):
        index.search("both", index.rows("descriptors", [10]), 3)


def test_a_missing_space_names_the_command_that_makes_it() -> None:
    index = build(Shelf(), {"descriptors": "descriptors/1"})
    assert index.spaces == ["descriptors"]
    for space in ("autoencoder", "both"):
        with pytest.raises(ModelError, match="volna train"):
            index.search(space, np.zeros((1, 4)), 3)
    with pytest.raises(LibraryError, match="volna index"):
        build(Shelf(0), NAMES).search("descriptors", np.zeros((1, 6)), 3)
    with pytest.raises(InputError, match="descriptors, autoencoder, both"):
        index.search("mfcc", np.zeros((1, 4)), 3)


def test_a_small_library_uses_the_priors() -> None:
    prior = (np.zeros(6, np.float32), np.full(6, 100, np.float32))
    index = build(Shelf(1), NAMES, Settings(priors={"descriptors": prior}))
    assert np.linalg.norm(index.rows("descriptors", [10])) == pytest.approx(1.0)


# --- the files


def same_answers(first: Index, second: Index) -> bool:
    return (
        all(
            np.array_equal(
                first.search(space, first.rows(space, [20, 30]), 9)[0],
                second.search(space, second.rows(space, [20, 30]), 9)[0],
            )
            for space in first.spaces
        )
        and first.spaces == second.spaces
    )


def test_the_second_opening_reads_no_vectors(tmp_path: Path) -> None:
    shelf, folder = Shelf(n_embedded=150), index_folder(tmp_path / "library.db")
    made = open_index(shelf, NAMES, folder)
    reads = shelf.reads

    def never() -> Settings:
        raise AssertionError("settings are only needed to make an index")

    opened = open_index(shelf, NAMES, folder, settings=never)
    assert shelf.reads == reads
    assert same_answers(made, opened)
    assert same_answers(build(shelf, NAMES), opened)
    assert folder.name == "library.db-index"
    assert isinstance(opened._spaces["descriptors"].rows.parts[0], np.memmap)


def test_an_index_behind_its_catalogue_is_made_again(tmp_path: Path) -> None:
    shelf = Shelf()
    old = open_index(shelf, NAMES, tmp_path / "i")
    ids, raw = shelf.held["descriptors/1"]
    shelf.held["descriptors/1"] = np.append(ids, 999), np.vstack([raw, raw[:1]])
    shelf.generation += 2
    assert old.behind == 2
    new = open_index(shelf, NAMES, tmp_path / "i")
    assert new.behind == 0
    assert 999 in new.ids("descriptors")
    assert len(old.ids("descriptors")) == 200  # what is open goes on answering
    assert same_answers(old, old)
    assert len([entry for entry in (tmp_path / "i").iterdir() if entry.is_dir()]) == 1


@pytest.mark.parametrize("change", ["model", "settings"])
def test_another_model_or_other_settings_make_it_again(tmp_path: Path, change: str) -> None:
    shelf = Shelf()
    open_index(shelf, NAMES, tmp_path / "i")
    shelf.held["model-b"] = shelf.held["model-a"]
    reads = shelf.reads
    if change == "model":
        assert open_index(shelf, {**NAMES, "autoencoder": "model-b"}, tmp_path / "i").names["autoencoder"] == "model-b"
    else:
        open_index(shelf, NAMES, tmp_path / "i", settings_version="2")
    assert shelf.reads > reads


def damage(folder: Path, how: str) -> None:
    manifest = folder / "manifest.json"
    (rows,) = folder.glob("*/rows-descriptors.npy")
    if how == "cut rows":
        os.truncate(rows, rows.stat().st_size // 2)
    elif how == "no rows":
        rows.unlink()
    elif how == "not numpy":
        rows.with_name("ids-autoencoder.npy").write_bytes(b"music")
    elif how == "half a manifest":
        manifest.write_text(manifest.read_text()[:100])
    elif how == "odd manifest":
        manifest.write_text("[]")
    else:
        values = json.loads(manifest.read_text())
        values["standardisers"]["descriptors"]["centre"][0] += 1
        manifest.write_text(json.dumps(values))


@pytest.mark.parametrize(
    "how", ["cut rows", "no rows", "not numpy", "half a manifest", "odd manifest", "other numbers"]
)
def test_damage_is_noticed_and_repaired(tmp_path: Path, how: str) -> None:
    shelf = Shelf()
    made = build(shelf, NAMES)
    open_index(shelf, NAMES, tmp_path / "i")
    damage(tmp_path / "i", how)
    reads = shelf.reads
    assert same_answers(made, open_index(shelf, NAMES, tmp_path / "i"))
    assert shelf.reads > reads
    reads = shelf.reads
    open_index(shelf, NAMES, tmp_path / "i")
    assert shelf.reads == reads


def test_where_nothing_can_be_written_the_index_is_in_memory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    index = open_index(Shelf(), NAMES, tmp_path / "file" / "index")
    assert index.search("both", index.rows("both", [10]), 3)[0][0, 0] == 10
    assert open_index(Shelf(), NAMES, None).spaces == index.spaces


def test_a_write_that_fails_leaves_the_old_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf, folder = Shelf(), tmp_path / "i"
    open_index(shelf, NAMES, folder)
    before = (folder / "manifest.json").read_bytes()

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("volna.library.index.os.fsync", full)
    shelf.generation += 1
    assert open_index(shelf, NAMES, folder).behind == 0
    assert (folder / "manifest.json").read_bytes() == before
    assert len(list(folder.iterdir())) == 2


def test_a_change_while_it_is_made_leaves_it_behind_and_never_ahead(tmp_path: Path) -> None:
    shelf = Shelf()
    read = shelf.vectors

    def changing(space: str) -> tuple[np.ndarray, np.ndarray]:
        shelf.generation += 1
        return read(space)

    shelf.vectors = changing  # type: ignore[method-assign]
    assert open_index(shelf, NAMES, tmp_path / "i").behind > 0


def test_over_a_real_catalogue(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    tracks = [
        Analysed(
            f"/m/{k}.mp3",
            1,
            1,
            Tags("A" if k % 2 else "B"),
            f"{k:032x}",
            100.0 + k,
            k % 5 == 0,
            100.0 + k,
            rng.normal(size=6).astype(np.float32),
        )
        for k in range(40)
    ]
    with Catalogue.open(tmp_path / "library.db", create=True) as catalogue:
        catalogue.record(analysed=tracks)
        names = {"descriptors": catalogue.descriptor_space}
        index = open_index(catalogue, names, index_folder(catalogue.path))
        assert index.behind == 0
        first = int(index.ids("descriptors")[0])
        where = [("artist", "=", "b"), ("short", "=", False), ("bpm", "range", (None, 130))]
        ids, _ = index.search("descriptors", index.rows("descriptors", [first]), 40, where=where)
        found = catalogue.tracks(ids[ids >= 0].tolist())
        assert len(found) == 12
        assert all(row.artist == "B" and not row.short and (row.tempo_bpm or 0) <= 130 for row in found)
        catalogue.forget(["/m/1.mp3"])
        assert index.behind == 1
        assert len(open_index(catalogue, names, index_folder(catalogue.path)).ids("descriptors")) == 39


def test_the_index_asks_three_things_of_a_catalogue() -> None:
    shelf = Shelf()
    thin = SimpleNamespace(generation=shelf.generation, vectors=shelf.vectors, track_ids=shelf.track_ids)
    assert build(thin, NAMES).spaces == ["descriptors", "autoencoder", "both"]
