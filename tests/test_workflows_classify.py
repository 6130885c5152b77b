"""`classify` end to end on sounds made on the spot: train, predict, predict in segments, evaluate."""

from __future__ import annotations

import csv
import json
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from volna.audio.encode import encode
from volna.errors import InputError, ModelError
from volna.tasks import saved
from volna.workflows.classify import classify_train
from volna.workflows.classify_answers import classify_predict
from volna.workflows.classify_jobs import Labelled
from volna.workflows.classify_measuring import classify_evaluate
from volna.workflows.classify_model import classifier_bytes, classifier_from, views_of
from volna.workflows.classify_segments import LabelledSpan, spans_of, write_audacity

RATE = 16_000
BY = {"by": "patch", "kind": "logistic", "jobs": 1}  # the quickest to learn


def sound(label: str, seed: int, seconds: float = 0.6) -> np.ndarray:
    """Hiss, a low hum or a beep, each with noise and a level of its own."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds * RATE)) / RATE
    noise = rng.standard_normal(len(t))
    kinds = {
        "hiss": noise,
        "hum": np.sin(2 * np.pi * rng.uniform(90, 130) * t) + 0.1 * noise,
        "beep": np.sin(2 * np.pi * rng.uniform(2500, 3500) * t) + 0.1 * noise,
    }
    return (rng.uniform(0.03, 0.2) * kinds[label]).astype(np.float32)


@pytest.fixture(scope="module")
def sounds(tmp_path_factory) -> Path:
    """Three labels of eight sounds by four makers, a silent one and one that is no sound."""
    folder = tmp_path_factory.mktemp("labelled") / "sounds"
    for label in ("hiss", "hum", "beep"):
        (folder / label).mkdir(parents=True)
        for k in range(8):
            encode(folder / label / f"maker{k % 3}_{k}.wav", sound(label, 10 * k + len(label)), RATE)
    encode(folder / "hum" / "maker0_hush.wav", np.zeros(RATE, np.float32), RATE)
    (folder / "hum" / "maker1_bad.wav").write_bytes(b"RIFF no sound")
    return folder


@pytest.fixture(scope="module")
def trained(sounds: Path, tmp_path_factory):
    file = tmp_path_factory.mktemp("model") / "sounds.model"
    return file, classify_train(sounds, file, group_from=r"(maker\d)", **BY)


# Training


def test_training_says_what_it_learnt_from_and_what_failed(trained) -> None:
    file, summary = trained
    assert summary.labels == {"beep": 8, "hiss": 8, "hum": 8}
    assert (summary.n_groups, summary.grouped) == (3, True)
    assert summary.held_out["accuracy"] > 0.9
    assert summary.n_bytes == file.stat().st_size
    assert summary.segment_s == pytest.approx(0.6)
    assert {Path(failure.path).name for failure in summary.failures} == {"maker0_hush.wav", "maker1_bad.wav"}
    json.dumps(summary.as_dict())


def test_equal_sounds_give_an_equal_file(sounds: Path, trained, tmp_path) -> None:
    again = tmp_path / "again.model"
    classify_train(sounds, again, group_from=r"(maker\d)", **BY)
    assert again.read_bytes() == trained[0].read_bytes()


def test_a_model_file_is_never_replaced_unasked(sounds: Path, trained) -> None:
    with pytest.raises(InputError, match="exists already"):
        classify_train(sounds, trained[0], **BY)


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ({"a": 3, "b": 2}, "at least 3 files for every label, found 2 for 'b'"),
        ({"a": 3, "b": 3, "c": 0}, "none for 'c'"),
        ({"a": 3}, "two labels or more, found only 'a'"),
    ],
)
def test_labels_that_cannot_be_learnt_are_one_sentence(tmp_path, counts, message: str) -> None:
    for label, n in counts.items():
        (tmp_path / "few" / label).mkdir(parents=True)
        for k in range(n):
            encode(tmp_path / "few" / label / f"{k}.wav", sound("hiss", k), RATE)
    with pytest.raises(InputError, match=message):
        classify_train(tmp_path / "few", tmp_path / "x.model", **BY)
    assert not (tmp_path / "x.model").exists()


def test_choices_that_contradict_are_refused(sounds: Path, tmp_path) -> None:
    with pytest.raises(InputError, match="with: expected one of"):
        classify_train(sounds, tmp_path / "x", kind="forest")
    with pytest.raises(InputError, match="by: expected one of"):
        classify_train(sounds, tmp_path / "x", by="smell")
    with pytest.raises(InputError, match="leave out --by"):
        classify_train(sounds, tmp_path / "x", kind="cnn", by="patch")
    with pytest.raises(InputError, match="model is not used"):
        classify_train(sounds, tmp_path / "x", by="patch", model="some.safetensors")
    with pytest.raises(ModelError, match="no library with a model"):
        classify_train(sounds, tmp_path / "x", by="both")
    assert views_of("auto", with_model=True)[-1] == "autoencoder"


# The file


def test_a_damaged_model_is_refused_and_so_is_one_that_hears_otherwise(trained, tmp_path) -> None:
    content = trained[0].read_bytes()
    bad = tmp_path / "bad.model"
    bad.write_bytes(content[: len(content) // 2])
    with pytest.raises(ModelError, match="damaged"):
        classify_predict([trained[0]], bad)
    read = saved.from_bytes(content, "classifier")
    other = saved.to_bytes("classifier", read, read.settings | {"hears": ["0", "0"]})
    with pytest.raises(ModelError, match="train it again"):
        classifier_from(other)
    with pytest.raises(ModelError, match="cannot be read"):
        classify_predict([trained[0]], tmp_path / "gone.model")


def test_a_classifier_survives_its_bytes(trained) -> None:
    content = trained[0].read_bytes()
    assert classifier_bytes(classifier_from(content)) == content


# Predicting


def test_new_sounds_get_their_labels_and_a_table(trained, tmp_path) -> None:
    for k, label in enumerate(("hum", "beep", "hiss")):
        encode(tmp_path / f"{label}.wav", sound(label, 900 + k), RATE)
    (tmp_path / "bad.wav").write_bytes(b"nothing")
    said = classify_predict([tmp_path], trained[0], output=tmp_path / "labels.csv", jobs=1)
    assert [(Path(each.path).stem, each.label) for each in said.results] == [(x, x) for x in ("beep", "hiss", "hum")]
    assert all(sum(each.probabilities) == pytest.approx(1.0) for each in said.results)
    assert [Path(failure.path).name for failure in said.failures] == ["bad.wav"]
    with open(tmp_path / "labels.csv", newline="") as text:
        rows = list(csv.DictReader(text))
    assert list(rows[0]) == ["path", "label", "probability", "beep", "hiss", "hum"]
    assert float(rows[0]["beep"]) == pytest.approx(said.results[0].probability, abs=1e-4)
    json.dumps(said.as_dict())


def test_a_long_recording_is_labelled_along_its_time(trained, tmp_path) -> None:
    parts = [sound("hum", 1, 3.0), np.zeros(3 * RATE, np.float32), sound("beep", 2, 3.0), sound("hiss", 3, 3.0)]
    encode(tmp_path / "day.wav", np.concatenate(parts), RATE)
    said = classify_predict(
        [tmp_path / "day.wav"], trained[0], segments=True, threshold=0.6,
        output=tmp_path / "spans.csv", audacity=tmp_path / "labels.txt", jobs=1,
    )  # fmt: skip
    wanted = {1.5: "hum", 4.5: "none", 7.5: "beep", 10.5: "hiss"}
    for second, label in wanted.items():
        assert [span.label for span in said.spans if span.start_s <= second < span.end_s] == [label]
    assert said.spans[0].start_s == 0.0
    assert said.spans[-1].end_s == pytest.approx(12.0, abs=0.01)
    assert all(a.end_s == b.start_s and a.label != b.label for a, b in pairwise(said.spans))
    lines = [line.split("\t") for line in (tmp_path / "labels.txt").read_text().splitlines()]
    assert all(len(line) == 3 and float(line[0]) < float(line[1]) and line[2] != "none" for line in lines)
    assert {"hum", "beep", "hiss"} == {line[2] for line in lines}
    with open(tmp_path / "spans.csv", newline="") as text:
        assert next(csv.reader(text)) == ["path", "start_s", "end_s", "label", "probability"]


def test_outputs_that_exist_and_lengths_that_make_no_sense_are_refused(trained, sounds: Path, tmp_path) -> None:
    (tmp_path / "old.csv").write_text("mine")
    with pytest.raises(InputError, match="exists already"):
        classify_predict([sounds], trained[0], output=tmp_path / "old.csv")
    with pytest.raises(InputError, match="expected segments of"):
        classify_predict([sounds], trained[0], segment_s=1.0, hop_s=2.0)
    assert (tmp_path / "old.csv").read_text() == "mine"


def test_spans_are_the_mean_of_the_segments_that_cover_them() -> None:
    p = np.array([[0.9, 0.1], [0.5, 0.5], [0.1, 0.9], [np.nan, np.nan]])
    labelled = Labelled(np.array([0.0, 1.0, 2.0, 4.0]), np.array([2.0, 3.0, 4.0, 6.0]), p)
    spans = spans_of("a", labelled, ["x", "y"], 0.65)
    assert spans == [
        LabelledSpan("a", 0.0, 2.0, "x", pytest.approx(0.8)),  # .9 alone, then the mean of .9 and .5
        LabelledSpan("a", 2.0, 4.0, "y", pytest.approx(0.8)),
        LabelledSpan("a", 4.0, 6.0, "none", 0.0),
    ]
    assert spans_of("a", labelled, ["x", "y"], 0.95)[0].label == "none"


def test_several_files_follow_one_another_in_audacity(tmp_path) -> None:
    spans = [
        LabelledSpan("a", 0.0, 1.0, "none", 0.1),
        LabelledSpan("a", 1.0, 3.0, "two\twords", 0.9),
        LabelledSpan("b", 0.0, 2.0, "x", 0.9),
    ]
    with open(tmp_path / "t.txt", "wb") as file:
        write_audacity(file, spans)
    assert (tmp_path / "t.txt").read_text() == "1.000000\t3.000000\ttwo words\n3.000000\t5.000000\tx\n"


# Evaluating


@pytest.fixture(scope="module")
def measured(sounds: Path, tmp_path_factory):
    out = tmp_path_factory.mktemp("measured")
    found = classify_evaluate(
        sounds, group_from=r"(maker\d)", seeds=2, confusion=out / "c.png", output=out / "p.csv", **BY
    )
    return out, found


def test_every_baseline_stands_beside_the_model(measured) -> None:
    _, found = measured
    names = [row.name for row in found.rows]
    assert names == [
        "chance: by the shares of the labels",
        "chance: the most frequent label",
        "nuisance (length, levels) + LR",
        "MFCC statistics + LR",
        "log-mel statistics + LR",
        "logistic on patch",
    ]
    accuracy = {row.name: row.accuracy for row in found.rows}
    assert accuracy["logistic on patch"][0] > 0.9
    assert accuracy["chance: by the shares of the labels"][0] == pytest.approx(1 / 3)
    assert accuracy["nuisance (length, levels) + LR"][0] < accuracy["logistic on patch"][0]
    assert all(low <= value <= high for value, low, high in accuracy.values())
    assert (found.n_files, found.n_groups, found.folds, found.seeds) == (24, 3, 3, 2)
    assert len(found.failures) == 2
    json.dumps(found.as_dict())


def test_the_confusions_are_a_picture_and_a_table(measured) -> None:
    out, found = measured
    assert (out / "c.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    with open(out / "c.csv", newline="") as text:
        rows = list(csv.reader(text))
    assert rows[0] == ["truth", "beep", "hiss", "hum"]
    assert [[int(cell) for cell in row[1:]] for row in rows[1:]] == found.confusion
    assert np.sum(found.confusion) == 24
    assert [each.n for each in found.per_label] == [8, 8, 8]


def test_predictions_are_kept_with_what_is_true(measured) -> None:
    out, found = measured
    with open(out / "p.csv", newline="") as text:
        rows = list(csv.DictReader(text))
    right = Counter(row["truth"] == row["label"] for row in rows)
    assert right[True] == np.trace(found.confusion)
    assert {row["group"] for row in rows} == {"maker0", "maker1", "maker2"}


def test_files_that_look_like_one_source_are_warned_about(tmp_path) -> None:
    for label in ("hum", "beep"):
        (tmp_path / "s" / label).mkdir(parents=True)
        for k in range(4):
            encode(tmp_path / "s" / label / f"{('ada', 'bob')[k % 2]}_{k}.wav", sound(label, k), RATE)
    found = classify_train(tmp_path / "s", tmp_path / "x.model", **BY)
    assert any("begin alike" in note and "--group-from" in note for note in found.notes)
    assert not found.grouped


def test_a_label_of_one_group_cannot_be_measured(tmp_path) -> None:
    for label, maker in (("hum", "ada"), ("beep", "bob")):
        (tmp_path / "s" / label).mkdir(parents=True)
        for k in range(3):
            encode(tmp_path / "s" / label / f"{maker}_{k}.wav", sound(label, k), RATE)
    with pytest.raises(InputError, match="are of one group"):
        classify_evaluate(tmp_path / "s", group_from=r"(ada|bob)", **BY)


def test_a_picture_needs_its_ending(sounds: Path) -> None:
    with pytest.raises(InputError, match=r"ends in \.png"):
        classify_evaluate(sounds, confusion="c.jpg")
    with pytest.raises(InputError, match="1 or more, got 0"):
        classify_evaluate(sounds, seeds=0)
