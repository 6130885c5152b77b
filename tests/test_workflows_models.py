"""Models as files, vectors as tables: `train_folder`, `model_show`, `export_model`, `embed`, on sounds made here."""

from __future__ import annotations

import csv
import importlib.util
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import SAMPLE_RATE, sound
from synthetic_library import fill_with_model, songs, tiny_model

import volna
from volna.audio.encode import encode
from volna.embedding import Embedder, embed_file, hear, use_model
from volna.errors import InputError, ModelError, VolnaError
from volna.features.recipe import ANALYSIS, DESCRIPTOR_NAMES, FEATURES_VERSION
from volna.library.store import Catalogue
from volna.models import export
from volna.plots.figure import can_draw
from volna.pool import Outcome, Pool, _call
from volna.workflows import each_file, files, folder_sounds, learning
from volna.workflows import models as workflow

N = 9  # usable sounds of the folder


class InlinePool(Pool):
    """A pool without processes, each of which would load torch again: what children do, this process does."""

    def run(self, tasks: Any, on_message: Any = None) -> Iterator[Outcome]:
        use_model(None)
        if self.setup:
            _call(self.setup.function, self.setup.arguments, lambda message: None)
        for task in tasks:
            try:
                result = _call(task.function, task.arguments, partial(on_message or (lambda *_: None), task))
            except VolnaError as error:
                yield Outcome(task, reason=str(error))
            else:
                yield Outcome(task, result=result)


@pytest.fixture
def inline(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for module in (workflow, learning, each_file, folder_sounds):
        monkeypatch.setattr(module, "Pool", InlinePool)
    yield
    use_model(None)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine sounds, three of them far under 3 s, a copy of one, and a file that is none."""
    root = tmp_path_factory.mktemp("sounds")
    for seed in range(N):
        encode(root / f"tune {seed}.wav", sound(seed, 0.4 if seed < 3 else 4.0), SAMPLE_RATE)
    (root / "copy.wav").write_bytes((root / "tune 5.wav").read_bytes())
    (root / "broken.mp3").write_bytes(b"this is no sound at all" * 50)
    (root / "notes.txt").write_text("nothing to hear")
    return root


@pytest.fixture(scope="module")
def trained(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A model trained on the folder for a few steps, and the summary."""
    path = tmp_path_factory.mktemp("model") / "m.safetensors"
    return path, train(folder, path)


def train(folder: Path, path: Path, **options: Any) -> dict[str, Any]:
    options = {"preset": "tiny", "train_time_s": 2.0, "jobs": 1, "latent": 6} | options
    return volna.train_folder(folder, path, **options)


def embed(paths: Any, output: Path, **options: Any) -> Any:
    return volna.embed(paths, output, **{"jobs": 1, **options})


# train_folder


def test_every_usable_sound_is_used_and_the_sum_adds_up(trained: tuple[Path, dict[str, Any]]) -> None:
    _, summary = trained
    assert (summary["found"], summary["n_tracks"], summary["copies"], summary["failed"]) == (N + 2, N, 1, 1)
    assert summary["found"] == sum(summary[name] for name in ("n_tracks", "copies", "failed", "left_out"))
    assert summary["short"] == 3
    assert summary["failures"][0].path.endswith("broken.mp3")
    assert summary["config"]["model_config"]["latent"] == 6  # before that of the preset


def test_the_model_is_one_file_that_embeds(trained: tuple[Path, dict[str, Any]], folder: Path) -> None:
    path, summary = trained
    embedder = Embedder(path)
    assert embedder.id == summary["id"]
    vector = embed_file(folder / "tune 4.wav", embedder)
    assert vector.shape == (summary["dim"],)
    assert np.isfinite(vector).all()


@pytest.mark.skipif(not can_draw(), reason="pictures need matplotlib")
def test_two_pictures_lie_beside_the_model(trained: tuple[Path, dict[str, Any]]) -> None:
    path, summary = trained
    names = [f"{path.name}.curve.png", f"{path.name}.reconstruction.png"]
    assert [Path(picture).name for picture in summary["pictures"]] == names
    assert all((path.parent / name).read_bytes().startswith(b"\x89PNG") for name in names)


def test_nothing_else_is_left_but_the_work_folder(trained: tuple[Path, dict[str, Any]]) -> None:
    path, summary = trained
    others = {found.name for found in path.parent.iterdir()} - {Path(name).name for name in summary["pictures"]}
    assert others == {path.name, f"{path.name}.work"}


@pytest.mark.usefixtures("inline")
def test_resume_goes_on_and_its_absence_begins_anew(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("volna.workflows.models.can_draw", lambda: False)
    path = tmp_path / "m.safetensors"
    options: dict[str, Any] = {"train_time_s": 60.0, "jobs": 1}
    preset = {"model_config": {"channels": (4, 4, 4, 4)}, "val_every": 2, "n_frames": 32}
    monkeypatch.setitem(learning.PRESETS, "tiny", {**preset, "max_steps": 4})
    first = train(folder, path, **options)
    assert (first["steps"], first["resumed"]) == (4, False)
    assert any("volna[plots]" in line for line in first["notes"])
    with pytest.raises(InputError, match="--force"):
        train(folder, path, **options)
    monkeypatch.setitem(learning.PRESETS, "tiny", {**preset, "max_steps": 6})
    further = train(folder, path, resume=True, **options)
    assert (further["steps"], further["resumed"]) == (6, True)
    anew = train(folder, path, force=True, **options)
    assert (anew["steps"], anew["resumed"]) == (6, False)
    assert anew["found"] == further["found"]
    other = train(folder, path, resume=True, seed=1, **options)
    assert other["resumed"] is False
    assert any("nothing to resume" in line for line in other["notes"])


KILLED = """
import os, signal, sys
sys.path[:0] = [{tests!r}]
from test_workflows_models import PLAIN_TINY, InlinePool
from volna.training import loop
from volna.workflows import folder_sounds, learning, models
for module in (models, learning, folder_sounds):
    module.Pool = InlinePool
loop.SAVE_EVERY_S = loop.REPORT_EVERY_S = 0.0
learning.PRESETS["tiny"] = PLAIN_TINY
models.can_draw = lambda: False

def progress(stage, done, total, note=""):
    if stage == "Training" and done > 400:
        os.kill(os.getpid(), signal.SIGKILL)

models.train_folder({folder!r}, {output!r}, preset="tiny", train_time_s=3600.0, jobs=1, progress=progress)
"""
PLAIN_TINY: dict[str, Any] = {
    "model_config": {"channels": (4, 4, 4, 4)},
    "val_every": 3,
    "n_frames": 32,
    "max_steps": 9,
}


@pytest.mark.usefixtures("inline")
def test_a_training_killed_in_the_middle_ends_at_the_same_model(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("volna.workflows.models.can_draw", lambda: False)
    monkeypatch.setitem(learning.PRESETS, "tiny", PLAIN_TINY)
    options: dict[str, Any] = {"preset": "tiny", "train_time_s": 3600.0, "jobs": 1}
    whole = volna.train_folder(folder, tmp_path / "whole.safetensors", **options)

    output = tmp_path / "m.safetensors"
    code = KILLED.format(tests=str(Path(__file__).parent), folder=str(folder), output=str(output))
    killed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert not output.exists()
    resumed = volna.train_folder(folder, output, resume=True, **options)
    assert resumed["resumed"] is True
    assert embeds(output, folder) == pytest.approx(embeds(tmp_path / "whole.safetensors", folder), abs=0.0)
    assert resumed["steps"] == whole["steps"] == 9


def embeds(model: Path, folder: Path) -> np.ndarray:
    return embed_file(folder / "tune 4.wav", Embedder(model))


@pytest.mark.usefixtures("inline")
def test_one_short_sound_is_enough(tmp_path: Path) -> None:
    only = tmp_path / "one" / "note.wav"
    only.parent.mkdir()
    encode(only, sound(1, 0.3), SAMPLE_RATE)
    summary = train(only.parent, tmp_path / "m.safetensors", train_time_s=1.0)
    assert (summary["found"], summary["n_tracks"], summary["short"]) == (1, 1, 1)
    assert (tmp_path / "m.safetensors").exists()


@pytest.mark.usefixtures("inline")
def test_sounds_of_an_earlier_run_are_not_trained_on(folder: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    heard = folder_sounds.hear_folder(folder, work, "log-mel", 0, 1, lambda *_: None)
    assert len(heard.paths) == N
    few = tmp_path / "few"
    few.mkdir()
    (few / "a.wav").write_bytes((folder / "tune 7.wav").read_bytes())
    again = folder_sounds.hear_folder(few, work, "log-mel", 0, 1, lambda *_: None)
    assert [found.stem for found in work.glob("*.mel")] == list(again.paths)
    assert list(folder_sounds._read_descriptors(work / folder_sounds.DESCRIPTORS)) == list(again.paths)


@pytest.mark.usefixtures("inline")
def test_what_was_heard_is_not_heard_again_and_softens_the_contrast(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = folder_sounds.hear_folder(folder, tmp_path, "log-mel", 0, 1, lambda *_: None)
    rows = first.rows()
    assert list(rows) == list(first.paths)
    assert all(np.linalg.norm(row) == pytest.approx(1.0, abs=1e-5) for row in rows.values())

    def heard_again(*_: Any) -> None:
        raise AssertionError("decoded twice")

    with monkeypatch.context() as patch:
        patch.setattr("volna.features.recipe.analyse", heard_again)
        again = folder_sounds.hear_folder(folder, tmp_path, "log-mel", 0, 1, lambda *_: None)
    assert all(np.array_equal(again.rows()[key], row) for key, row in rows.items())
    (tmp_path / folder_sounds.DESCRIPTORS).write_bytes(b"PK damaged")
    once_more = folder_sounds.hear_folder(folder, tmp_path, "log-mel", 0, 1, lambda *_: None)
    assert all(np.array_equal(once_more.rows()[key], row) for key, row in rows.items())


@pytest.mark.usefixtures("inline")
def test_the_training_is_given_how_alike_the_sounds_are(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {}
    own = learning.train_on_cache

    def train_on_cache(*arguments: Any, rows: Any, **options: Any) -> Any:
        given.update(rows)
        return own(*arguments, rows=rows, **options)

    monkeypatch.setattr(learning, "train_on_cache", train_on_cache)
    assert train(folder, tmp_path / "m.safetensors", train_time_s=1.0)["n_tracks"] == len(given)


@pytest.mark.usefixtures("inline")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"device": "tpu"}, "auto, cpu, cuda"),
        ({"model": "oracle"}, "conv"),
        ({"loss": "guess"}, "mse, mae"),
        ({"preset": "huge"}, "tiny, small, gpu"),
        ({"latent": 0}, "at least 1"),
    ],
)
def test_what_does_not_exist_is_refused_before_anything_is_heard(
    tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        train(tmp_path / "absent", tmp_path / "m.safetensors", **options)
    assert list(tmp_path.glob("m.*")) == []


@pytest.mark.usefixtures("inline")
def test_a_folder_without_sounds_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for name, message in (("empty", "no audio"), ("absent", "no such folder")):
        with pytest.raises(InputError, match=message):
            train(tmp_path / name, tmp_path / "m.safetensors")
    (tmp_path / "empty" / "a.mp3").write_bytes(b"no sound" * 100)
    with pytest.raises(ModelError, match="none of its 1 sounds"):
        train(tmp_path / "empty", tmp_path / "m.safetensors")
    assert not (tmp_path / "m.safetensors").exists()


@pytest.mark.usefixtures("inline")
def test_every_preset_fits_every_architecture() -> None:
    from volna.models import MODELS
    from volna.workflows.jobs import training_config

    for model in MODELS:
        for preset in learning.PRESETS:
            heard = "wave" if model == "wave" else "log-mel"
            choices = {**learning.CHOICES, "model": model, "input": heard, "preset": preset}
            config = training_config(choices, learning.PRESETS)
            assert config["model"] == model
    assert learning.training_config(Pool(1)) == {}  # the default is the training loop's own
    for model, heard in (("conv", "wave"), ("wave", "log-mel")):
        with pytest.raises(InputError, match="the input wave and the model wave go together"):
            training_config({**learning.CHOICES, "model": model, "input": heard}, learning.PRESETS)


def test_the_command_line_offers_what_there_is() -> None:
    from volna.cli import options
    from volna.features.inputs import INPUTS
    from volna.models import MODELS
    from volna.training.config import DEVICES
    from volna.training.losses import RECONSTRUCTION
    from volna.training.state import OPTIMIZERS

    assert set(options.ARCHITECTURES) == set(MODELS)
    assert set(options.LOSSES) == set(RECONSTRUCTION)
    assert options.INPUTS == INPUTS
    assert options.DEVICES == DEVICES == workflow.DEVICES
    assert set(options.OPTIMIZERS) == set(OPTIMIZERS)
    assert set(options.PRESETS) == set(learning.PRESETS)
    assert set(workflow.ONNX_FILES) == set(export.NAMES)


# model_show


@pytest.mark.usefixtures("inline")
def test_show_says_what_a_model_is(trained: tuple[Path, dict[str, Any]]) -> None:
    path, summary = trained
    shown = volna.model_show(path)
    assert (shown.id, shown.architecture, shown.config["latent"]) == (summary["id"], "conv", 6)
    assert shown.n_bytes == path.stat().st_size
    assert shown.mel_config["sample_rate"] == ANALYSIS.sample_rate
    assert shown.losses["model"] == summary["val_loss"]
    assert shown.losses["mean_spectrum"] == summary["val_loss_mean_spectrum"]
    assert shown.losses["pca"] == summary["val_loss_pca"]
    assert json.loads(json.dumps(shown.as_dict()))["summary"]["n_tracks"] == N


@pytest.mark.usefixtures("inline")
def test_show_without_a_file_is_the_model_of_the_library(library: Path) -> None:
    fill_with_model(library, songs(3), tiny_model())
    assert volna.model_show(library=library).architecture == "conv"


@pytest.mark.usefixtures("inline")
def test_what_is_no_model_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(b"no model")
    with pytest.raises(ModelError, match=r"a\.safetensors is not a Volna autoencoder"):
        volna.model_show(tmp_path / "a.safetensors")
    with pytest.raises(ModelError, match="cannot read"):
        volna.model_show(tmp_path / "absent")


# export_model


@pytest.mark.usefixtures("inline")
def test_the_export_needs_onnx_and_says_so(
    trained: tuple[Path, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "NEEDED", ("onnx_that_is_absent",))
    with pytest.raises(ModelError, match=r"onnx_that_is_absent: pip install 'volna\[onnx\]'"):
        export.export_onnx(trained[0].read_bytes(), tmp_path)
    assert list(tmp_path.glob("*.onnx")) == []


@pytest.mark.usefixtures("inline")
def test_an_export_does_not_replace_another(trained: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    (tmp_path / "decoder.onnx").write_bytes(b"mine")
    with pytest.raises(InputError, match="--force"):
        volna.export_model(trained[0], tmp_path)
    assert (tmp_path / "decoder.onnx").read_bytes() == b"mine"


@pytest.mark.skipif(
    not all(importlib.util.find_spec(name) for name in ("onnx", "onnxscript", "onnxruntime")),
    reason="needs onnx, onnxscript and onnxruntime: pip install 'volna[onnx]'",
)
def test_the_exported_model_agrees_with_torch(trained: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    import onnx

    exported = volna.export_model(trained[0], tmp_path / "onnx")
    assert exported.checked
    assert exported.largest_difference is not None
    assert exported.largest_difference < 1e-4
    assert sorted(path.name for path in (tmp_path / "onnx").iterdir()) == ["decoder.onnx", "encoder.onnx", "model.json"]
    operations = {node.op_type for node in onnx.load(str(tmp_path / "onnx" / "encoder.onnx")).graph.node}
    assert not operations & {"STFT", "DFT"}
    about = json.loads((tmp_path / "onnx" / "model.json").read_text())
    assert (about["id"], about["stride"]) == (trained[1]["id"], 16)


# embed


@pytest.mark.usefixtures("inline")
def test_a_row_a_file_as_the_library_would_hear_it(folder: Path, tmp_path: Path) -> None:
    summary = embed([folder / "tune 4.wav", folder / "tune 0.wav"], tmp_path / "v.npz")
    table = np.load(tmp_path / "v.npz", allow_pickle=False)
    assert (summary.by, summary.model, summary.rows, summary.dim) == ("descriptors", None, 2, len(DESCRIPTOR_NAMES))
    assert table["vectors"].dtype == np.float32
    assert table["paths"].tolist() == [str(folder / "tune 4.wav"), str(folder / "tune 0.wav")]
    assert np.array_equal(table["vectors"][0], hear(folder / "tune 4.wav").descriptors)
    assert table["duration_s"] == pytest.approx([4.0, 0.4], abs=0.01)
    assert tuple(table["names"]) == DESCRIPTOR_NAMES
    assert str(table["space"]) == f"descriptors/{FEATURES_VERSION}"


def test_a_model_gives_its_vectors(trained: tuple[Path, dict[str, Any]], folder: Path, tmp_path: Path) -> None:
    path, about = trained
    summary = embed([folder], tmp_path / "v.npz", model=path)
    assert (summary.by, summary.model, summary.dim) == ("autoencoder", about["id"], about["dim"])
    assert (summary.found, summary.embedded, summary.failed) == (N + 2, N + 1, 1)
    assert summary.failures[0].path.endswith("broken.mp3")
    assert not summary.failures[0].reason.startswith("/")
    table = np.load(tmp_path / "v.npz")
    row = table["paths"].tolist().index(str(folder / "tune 8.wav"))
    assert np.allclose(table["vectors"][row], embed_file(folder / "tune 8.wav", path), atol=1e-5)


@pytest.mark.usefixtures("inline")
def test_windows_cover_a_file_and_are_heard_as_files_of_their_own(tmp_path: Path) -> None:
    parts = [sound(seed, 3.0) for seed in (1, 2)]
    for part in parts:  # or the resampler would ring into the silence beside it
        part[:800] = part[-800:] = 0
    samples = np.concatenate([parts[0], np.zeros(3 * SAMPLE_RATE, np.float32), parts[1]])
    encode(tmp_path / "long.wav", samples, SAMPLE_RATE)
    encode(tmp_path / "part.wav", parts[1], SAMPLE_RATE)
    summary = embed([tmp_path / "long.wav", tmp_path / "part.wav"], tmp_path / "v.csv", windows=True)
    assert summary.rows == 3  # the window of silence is left out
    with open(tmp_path / "v.csv", newline="", encoding="utf-8") as file:
        head, *rows = csv.reader(file)
    assert head == ["path", "start_s", "duration_s", *DESCRIPTOR_NAMES]
    assert [[float(cell) for cell in row[1:3]] for row in rows] == [[0, 3], [6, 3], [0, 3]]
    vectors = np.array([row[3:] for row in rows], dtype=np.float32)
    spread = np.abs(vectors[0] - vectors[2]) + 1e-3
    assert np.mean(np.abs(vectors[1] - vectors[2]) / spread) < 0.2  # but for what the resampler saw at the cut


@pytest.mark.usefixtures("inline")
def test_csv_and_npz_hold_the_same_numbers(folder: Path, tmp_path: Path) -> None:
    for name in ("v.npz", "v.csv"):
        embed([folder / "tune 6.wav"], tmp_path / name)
    rows = list(csv.reader((tmp_path / "v.csv").read_text().splitlines()))
    assert np.array_equal(np.array(rows[1][3:], dtype=np.float32), np.load(tmp_path / "v.npz")["vectors"][0])


@pytest.mark.usefixtures("inline")
def test_parquet_where_pyarrow_is_and_a_message_where_not(folder: Path, tmp_path: Path) -> None:
    if importlib.util.find_spec("pyarrow") is None:
        with pytest.raises(InputError, match=r"volna\[parquet\]"):
            embed([folder], tmp_path / "v.parquet")
        return
    from pyarrow import parquet

    embed([folder / "tune 6.wav"], tmp_path / "v.parquet")
    table = parquet.read_table(tmp_path / "v.parquet")
    assert table.column_names == ["path", "start_s", "duration_s", *DESCRIPTOR_NAMES]
    assert table.schema.metadata[b"volna_space"].startswith(b"descriptors/")


@pytest.mark.usefixtures("inline")
def test_nothing_is_overwritten_or_left_half_done(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "v.npz"
    target.write_bytes(b"mine")
    with pytest.raises(InputError, match="--force"):
        embed([folder], target)
    assert target.read_bytes() == b"mine"
    embed([folder / "tune 6.wav"], target, force=True)
    assert np.load(target)["vectors"].shape[0] == 1
    before = target.read_bytes()
    with pytest.raises(TypeError), files.new_file(target, force=True) as file:
        file.writelines([b"half", "no bytes"])  # type: ignore[list-item]
    assert target.read_bytes() == before
    assert sorted(found.name for found in tmp_path.iterdir()) == ["own", "v.npz"]


@pytest.mark.usefixtures("inline")
def test_where_nothing_can_be_embedded_nothing_is_written(folder: Path, tmp_path: Path) -> None:
    summary = embed([folder / "broken.mp3", folder / "absent.wav", folder / "notes.txt"], tmp_path / "v.npz")
    assert (summary.found, summary.embedded, summary.failed) == (3, 0, 3)
    reasons = {Path(failure.path).name: failure.reason for failure in summary.failures}
    assert reasons["absent.wav"] == "no such file or folder"
    assert "audio" in reasons["notes.txt"]
    assert not (tmp_path / "v.npz").exists()


@pytest.mark.usefixtures("inline")
def test_a_library_that_is_not_there_yet_is_no_trouble(folder: Path, tmp_path: Path) -> None:
    summary = embed([folder / "tune 6.wav"], tmp_path / "v.npz", library=tmp_path / "absent.db")
    assert (summary.by, summary.rows) == ("descriptors", 1)
    assert "no library at" in summary.notes[0]


@pytest.mark.usefixtures("inline")
def test_the_library_decides_what_is_written(folder: Path, library: Path, tmp_path: Path) -> None:
    fill_with_model(library, songs(3), tiny_model())
    with Catalogue.open(library) as catalogue:
        catalogue.set_setting("features of fake", FEATURES_VERSION)
    options: dict[str, Any] = {"library": library, "force": True}
    paths = [folder / "tune 6.wav"]
    assert embed(paths, tmp_path / "v.npz", **options).model == "fake"
    assert embed(paths, tmp_path / "v.npz", by="descriptors", **options).model is None
    with Catalogue.open(library) as catalogue:
        catalogue.set_setting("features of fake", "older")
    old = embed(paths, tmp_path / "v.npz", **options)
    assert old.by == "descriptors"
    assert "older" in old.notes[0]
    with pytest.raises(ModelError, match="volna index"):
        embed(paths, tmp_path / "v.npz", by="autoencoder", **options)


@pytest.mark.usefixtures("inline")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"by": "ear"}, "by: expected"),
        ({"by": "autoencoder"}, "--model"),
        ({"by": "descriptors", "model": "m.safetensors"}, "leave out"),
        ({"model": "absent.safetensors"}, "cannot read"),
        ({"output": "v.xlsx"}, r"\.npz, \.csv, \.parquet"),
        ({"output": "absent/v.npz"}, "does not"),
    ],
)
def test_what_makes_no_sense_is_refused(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    output = tmp_path / options.pop("output", "v.npz")
    with pytest.raises((InputError, ModelError), match=message):
        embed([tmp_path], output, **options)


@pytest.mark.usefixtures("inline")
def test_a_model_of_other_log_mels_is_refused(tmp_path: Path) -> None:
    (tmp_path / "old.safetensors").write_bytes(tiny_model())  # says nothing of its log-mels
    with pytest.raises(ModelError, match="other log-mels"):
        embed([tmp_path], tmp_path / "v.npz", model=tmp_path / "old.safetensors")


@pytest.mark.usefixtures("inline")
@pytest.mark.skipif(os.name != "posix", reason="needs names that are any bytes")
def test_names_that_are_not_utf8_survive(folder: Path, tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/caf\xe9.wav"
    with open(path, "wb") as file:
        file.write((folder / "tune 6.wav").read_bytes())
    for name in ("v.npz", "v.csv"):
        embed([os.fsdecode(path)], tmp_path / name)
    assert os.fsencode(str(np.load(tmp_path / "v.npz")["paths"][0])) == path
    assert path in (tmp_path / "v.csv").read_bytes()


def test_a_training_that_had_no_time_says_so() -> None:
    summary = {"stopped": "time", "steps": 2, "n_training": 100, "config": {"batch_size": 32}}
    (remark,) = workflow.too_short(summary)
    assert "after 2 steps" in remark
    assert workflow.too_short(summary | {"steps": 4}) == []
    assert workflow.too_short(summary | {"stopped": "steps"}) == []
