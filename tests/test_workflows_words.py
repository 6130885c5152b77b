"""`words` end to end on words made on the spot: train, predict, predict in segments, evaluate, the command line."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from volna import workflows
from volna.audio.encode import encode
from volna.cli.words_commands import words as words_command
from volna.errors import AudioError, InputError, ModelError
from volna.tasks.words.choosing import HmmSettings
from volna.tasks.words.decisions import NONE
from volna.workflows import words_learning
from volna.workflows.words import words_predict, words_train
from volna.workflows.words_evaluating import words_evaluate
from volna.workflows.words_jobs import fit_crnn, hear_word, hear_words, network_picture

RATE = 16_000
# Formants in Hz of the sounds that a word runs through.
WORDS = {
    "aiu": ((750, 1200), (300, 2200), (330, 800)),
    "uia": ((330, 800), (300, 2200), (750, 1200)),
    "iai": ((300, 2200), (750, 1200), (300, 2200)),
}


def spoken(word: str, speaker: int, take: int, seconds: float = 0.5) -> np.ndarray:
    """A buzz with two moving resonances; speakers differ in pitch and length of the vocal tract, takes in speed."""
    rng = np.random.default_rng([speaker, take, len(word), ord(word[0])])
    n = round(seconds * rng.uniform(0.8, 1.2) * RATE)
    t = np.arange(n) / RATE
    pitch = (110, 140, 190, 230)[speaker] * rng.uniform(0.95, 1.05)
    shape = np.array(WORDS[word]) * (1.0, 1.04, 1.1, 1.14)[speaker]
    places = np.linspace(0, len(shape) - 1, n)
    formants = np.stack([np.interp(places, np.arange(len(shape)), shape[:, k]) for k in range(2)])
    sound = np.zeros(n)
    for k in range(1, int(3500 / pitch)):
        gain = sum(1 / (1 + ((k * pitch - formant) / 120) ** 2) for formant in formants)
        sound += gain * np.sin(2 * np.pi * k * pitch * t)
    sound *= np.sin(np.pi * np.arange(n) / n) ** 0.3
    return (0.2 * sound / np.abs(sound).max() + 1e-4 * rng.standard_normal(n)).astype(np.float32)


def table_of(file: str | Path) -> list[dict[str, str]]:
    with open(file, newline="") as text:
        return list(csv.DictReader(text))


@pytest.fixture(scope="module", autouse=True)
def one_setting():
    """What is chosen is tested with the tasks; here one setting of the hidden Markov models is enough."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(words_learning, "HMM_GRID", (HmmSettings(6, 1),))
        yield


@pytest.fixture(scope="module")
def recordings(tmp_path_factory) -> Path:
    """Three words by three speakers, three takes each; a silent file and one that is no sound."""
    folder = tmp_path_factory.mktemp("spoken") / "words"
    for word in WORDS:
        (folder / word).mkdir(parents=True)
        for speaker in range(3):
            for take in range(3):
                encode(folder / word / f"s{speaker}_{take}.wav", spoken(word, speaker, take), RATE)
    encode(folder / "aiu" / "s0_hush.wav", np.zeros(RATE, np.float32), RATE)
    (folder / "uia" / "s1_bad.wav").write_bytes(b"RIFF no sound")
    return folder


@pytest.fixture(scope="module")
def trained(recordings: Path, tmp_path_factory):
    file = tmp_path_factory.mktemp("model") / "words.model"
    return file, words_train(recordings, file, kind="hmm+dtw", group_from=r"(s\d)_", jobs=1)


@pytest.fixture(scope="module")
def new_words(tmp_path_factory) -> dict[str, Path]:
    """Words of a speaker that was not there in training."""
    folder = tmp_path_factory.mktemp("new")
    files = {word: folder / f"{word}.wav" for word in WORDS}
    for word, file in files.items():
        encode(file, spoken(word, 3, 0), RATE)
    return files


# Training


def test_training_says_what_it_learnt_and_what_failed(trained) -> None:
    file, summary = trained
    assert summary.words == {"aiu": 9, "iai": 9, "uia": 9}
    assert (summary.n_groups, summary.grouped, summary.kind) == (3, True, "hmm+dtw")
    assert summary.held_out["hmm+dtw"]["accuracy"] > 0.9
    assert summary.n_bytes == file.stat().st_size
    assert set(summary.settings) == {"hmm", "dtw"}
    assert {Path(failure.path).name for failure in summary.failures} == {"s0_hush.wav", "s1_bad.wav"}
    json.dumps(summary.as_dict())


def test_a_model_file_is_never_replaced_unasked(recordings: Path, trained) -> None:
    with pytest.raises(InputError, match="exists already"):
        words_train(recordings, trained[0], kind="dtw")


def test_a_word_of_two_recordings_is_refused_in_a_sentence(recordings: Path, tmp_path) -> None:
    table = tmp_path / "few.csv"
    rows = [(f"{word}/s0_{take}.wav", word) for word in WORDS for take in range(2 if word == "iai" else 3)]
    table.write_text("path,label\n" + "\n".join(f"{recordings / path},{word}" for path, word in rows))
    with pytest.raises(InputError, match=r"at least 3 files for every label, found 2 for 'iai'"):
        words_train(table, tmp_path / "few.model", kind="hmm", jobs=1)
    assert not (tmp_path / "few.model").exists()


def test_three_recordings_of_one_speaker_are_enough(recordings: Path, tmp_path) -> None:
    table = tmp_path / "three.csv"
    rows = [f"{recordings / word / f's0_{take}.wav'},{word},anna" for word in WORDS for take in range(3)]
    table.write_text("path,label,speaker\n" + "\n".join(rows))
    summary = words_train(table, tmp_path / "three.model", kind="dtw", jobs=1)
    assert not summary.grouped
    assert "speaker" in summary.notes[0]
    said = words_predict([recordings / "uia" / "s1_2.wav"], tmp_path / "three.model", jobs=1)
    assert said.results[0].word == "uia"


def test_an_unknown_recogniser_is_refused(recordings: Path, tmp_path) -> None:
    with pytest.raises(InputError, match="with: expected one of auto, hmm, dtw, crnn"):
        words_train(recordings, tmp_path / "m", kind="gmm")


# Predicting


def test_words_of_another_speaker_are_told(trained, new_words) -> None:
    said = words_predict(list(new_words.values()), trained[0], jobs=1)
    assert said.words == ["aiu", "iai", "uia"]
    assert {Path(each.path).stem: each.word for each in said.results} == {word: word for word in WORDS}
    for each in said.results:
        assert each.second != each.word
        assert each.probability > each.second_probability
        assert each.end_s > each.start_s


def test_silence_and_faint_noise_around_a_word_change_nothing(trained, tmp_path) -> None:
    rng = np.random.default_rng(0)
    word = spoken("uia", 1, 9)
    before, after = np.zeros(2 * RATE, np.float32), np.zeros(RATE, np.float32)
    padded = np.concatenate([before, word, after])
    sounds = {"alone": word, "padded": padded, "noisy": padded + 3e-4 * rng.standard_normal(len(padded))}
    for name, sound in sounds.items():
        encode(tmp_path / f"{name}.wav", sound.astype(np.float32), RATE)
    said = {Path(each.path).stem: each for each in words_predict([tmp_path], trained[0], jobs=1).results}
    assert {each.word for each in said.values()} == {"uia"}
    for name in ("padded", "noisy"):
        assert said[name].probability == pytest.approx(said["alone"].probability, abs=0.1)
        assert said[name].start_s - 2.0 == pytest.approx(said["alone"].start_s, abs=0.05)


def test_what_is_no_word_is_none_of_these(trained, tmp_path) -> None:
    rng = np.random.default_rng(0)
    encode(tmp_path / "hiss.wav", (0.1 * rng.standard_normal(RATE // 2)).astype(np.float32), RATE)
    said = words_predict([tmp_path], trained[0], output=tmp_path / "said.csv", jobs=1)
    assert said.results[0].label == NONE
    assert said.results[0].word in WORDS
    rows = table_of(tmp_path / "said.csv")
    assert rows[0]["label"] == NONE
    assert float(rows[0]["evidence"]) == pytest.approx(said.results[0].evidence, abs=1e-3)


def test_more_evidence_may_be_asked_for(trained, new_words) -> None:
    said = words_predict([new_words["aiu"]], trained[0], least_evidence=1e6, jobs=1)
    assert (said.results[0].label, said.results[0].word) == (NONE, "aiu")
    said = words_predict([new_words["aiu"]], trained[0], least_evidence=-1e6, jobs=1)
    assert said.results[0].label == "aiu"


def test_the_words_of_a_recording_are_found_one_by_one(trained, tmp_path) -> None:
    order = ("uia", "aiu", "iai", "uia")
    pause = np.zeros(round(0.6 * RATE), np.float32)
    starts_s, sound = [], [pause]
    for take, word in enumerate(order):
        starts_s.append(sum(map(len, sound)) / RATE)
        sound += [spoken(word, 2, 20 + take), pause]
    for name in ("a.wav", "b.wav"):
        encode(tmp_path / name, np.concatenate(sound), RATE)
    track = tmp_path / "labels.txt"
    said = words_predict([tmp_path / "a.wav", tmp_path / "b.wav"], trained[0], audacity=track, jobs=1)
    assert [each.word for each in said.results] == list(order) * 2
    assert [each.start_s for each in said.results[:4]] == pytest.approx(starts_s, abs=0.06)
    lines = [line.split("\t") for line in track.read_text().splitlines()]
    known = [each for each in said.results if each.label != NONE]
    assert [label for _, _, label in lines] == [each.word for each in known]
    length_s = sum(map(len, sound)) / RATE
    offsets = [length_s * (Path(each.path).name == "b.wav") for each in known]
    expected = [each.start_s + offset for each, offset in zip(known, offsets, strict=True)]
    assert [float(start) for start, _, _ in lines] == pytest.approx(expected, abs=1e-3)


def test_files_that_hold_no_word_are_listed(trained, tmp_path) -> None:
    encode(tmp_path / "short.wav", np.ones(200, np.float32) * 0.1, RATE)
    encode(tmp_path / "hush.wav", np.zeros(RATE, np.float32), RATE)
    t = np.arange(8 * RATE) / RATE
    encode(tmp_path / "long.wav", (0.1 * np.sin(700 * t)).astype(np.float32), RATE)
    (tmp_path / "text.wav").write_text("nothing to hear")
    said = words_predict([tmp_path, tmp_path / "missing.wav"], trained[0], output=tmp_path / "none.csv", jobs=1)
    reasons = {Path(failure.path).name: failure.reason for failure in said.failures}
    assert said.results == []
    assert set(reasons) == {"short.wav", "hush.wav", "long.wav", "text.wav", "missing.wav"}
    assert "at least 0.1 s" in reasons["short.wav"]
    assert "only silence" in reasons["hush.wav"]
    assert "word of 5 s at most" in reasons["long.wav"]
    assert not (tmp_path / "none.csv").exists()


def test_a_model_of_another_kind_is_refused(tmp_path, new_words) -> None:
    (tmp_path / "other.model").write_bytes(b"nothing of Volna's")
    with pytest.raises(ModelError, match="expected a file of kind volna-words"):
        words_predict(list(new_words.values()), tmp_path / "other.model")


def test_a_recording_of_a_minute_is_no_word_but_may_hold_some(tmp_path) -> None:
    file = tmp_path / "minute.wav"
    encode(file, np.concatenate([np.zeros(61 * RATE, np.float32), spoken("aiu", 0, 0)]), RATE)
    with pytest.raises(AudioError, match=r"60 s at most, got .* --segments"):
        hear_word(str(file))
    length_s, found = hear_words(str(file))
    assert length_s == pytest.approx(61.5, abs=0.2)
    assert len(found) == 1


# The network


def test_a_network_learns_words_and_says_what_it_thinks(recordings: Path) -> None:
    heard = [hear_word(str(file)).log_mel for file in sorted(recordings.glob("*/s[01]_[01].wav"))]
    truth = np.repeat(np.arange(3), 4)
    steps = fit_crnn(heard, truth, ["a", "b"] * 6, 3, heard[:2], 0, 1.5)
    try:
        while True:
            assert next(steps)[0] == "progress"
    except StopIteration as stop:
        network, said, seconds = stop.value
    assert said.scores.shape == (2, 3)
    assert np.isfinite(said.scores).all()
    assert (len(network) > 1000, seconds > 0) == (True, True)
    assert np.ptp(network_picture(heard[0])) <= 60


# Evaluating


@pytest.fixture(scope="module")
def measured(recordings: Path, tmp_path_factory):
    folder = tmp_path_factory.mktemp("measured")
    files = {"output": folder / "said.csv", "confusion": folder / "words.png"}
    return words_evaluate(recordings, kind="hmm+dtw", group_from=r"(s\d)_", jobs=1, **files)


def test_the_evaluation_shows_every_recogniser_beside_what_is_easy(measured) -> None:
    rows = {row.kind: row for row in measured.rows}
    assert list(rows) == ["chance", "nuisance", "mfcc", "hmm", "dtw", "hmm+dtw"]
    assert rows["chance"].accuracy[0] == pytest.approx(1 / 3)
    assert rows["hmm+dtw"].accuracy[0] > 0.9 > rows["nuisance"].accuracy[0]
    assert rows["hmm"].n_bytes + rows["dtw"].n_bytes == pytest.approx(rows["hmm+dtw"].n_bytes, rel=0.05)
    assert rows["hmm"].train_s > 0
    assert rows["nuisance"].train_s is None
    assert (measured.folds, measured.n_groups, measured.n_files) == (3, 3, 27)
    assert set(measured.per_group) == {"s0", "s1", "s2"}
    assert len(measured.chosen) == 3
    json.dumps(measured.as_dict())


def test_the_files_of_an_evaluation_agree_with_it(measured) -> None:
    rows = table_of(measured.output)
    table = np.array(measured.confusion)
    assert len(rows) == table.sum() == 27
    assert sum(row["truth"] == row["word"] for row in rows) == np.trace(table)
    picture, numbers = map(Path, measured.confusion_files)
    assert picture.read_bytes()[:4] == b"\x89PNG"
    assert numbers.read_text().startswith("truth,aiu,iai,uia\n")


def test_labels_that_are_shuffled_are_not_learnt(recordings: Path, tmp_path) -> None:
    rng = np.random.default_rng(1)
    files = sorted(recordings.glob("*/s?_[0-2].wav"))
    labels = rng.permutation(np.repeat(list(WORDS), 9))
    table = tmp_path / "shuffled.csv"
    rows = [f"{file},{label},{file.name[:2]}" for file, label in zip(files, labels, strict=True)]
    table.write_text("path,label,group\n" + "\n".join(rows))
    measured = words_evaluate(table, kind="dtw", jobs=1)
    assert measured.rows[-1].accuracy[0] < 0.6


# The command line


@pytest.fixture
def run(monkeypatch):
    """A function that runs `volna words`, whether or not the verbs are registered already."""
    for name, verb in {"train": words_train, "predict": words_predict, "evaluate": words_evaluate}.items():
        monkeypatch.setattr(workflows, f"words_{name}", verb, raising=False)
    return lambda *arguments: CliRunner().invoke(words_command, [*map(str, arguments)], catch_exceptions=False)


def test_what_was_learnt_is_printed(run, trained, monkeypatch) -> None:
    monkeypatch.setattr(workflows, "words_train", lambda source, output, **options: trained[1])
    done = run("train", "digits", "-o", "digits.model", "--with", "hmm+dtw", "--train-time", "2m")
    assert done.exit_code == 0
    assert "27 files, 3 words, 3 groups" in done.stdout
    assert "n_states" in done.stdout
    assert "s0_hush.wav" in done.stderr
    assert json.loads(run("train", "digits", "-o", "m", "--json").stdout)["kind"] == "hmm+dtw"


def test_predictions_are_printed_as_text_and_json(run, trained, new_words) -> None:
    done = run("predict", new_words["uia"], "--model", trained[0], "--json", "--jobs", 1)
    answer = json.loads(done.stdout)
    assert answer["results"][0]["word"] == "uia"
    assert answer["kind"] == "hmm+dtw"
    shown = run("predict", *new_words.values(), "--model", trained[0], "--segments", "--jobs", 1).stdout
    assert "from s" in shown
    assert "uia.wav" in shown


def test_the_evaluation_is_printed_as_a_table(run, measured, monkeypatch) -> None:
    asked = {}
    monkeypatch.setattr(workflows, "words_evaluate", lambda source, **options: asked.update(options) or measured)
    done = run("evaluate", "digits", "--with", "hmm+dtw", "--group-from", r"(s\d)_", "--seeds", 2)
    assert done.exit_code == 0
    assert (asked["kind"], asked["group_from"], asked["seeds"]) == ("hmm+dtw", r"(s\d)_", 2)
    for text in ("dynamic time warping", "MFCC statistics + LR", "s2", "words.png", "27 files, 3 words"):
        assert text in done.stdout
    assert json.loads(run("evaluate", "digits", "--json").stdout)["rows"][0]["kind"] == "chance"


# Real sounds


@pytest.mark.slow
def test_digits_of_a_speaker_never_heard(real_sounds: Path, tmp_path) -> None:
    files = sorted((real_sounds / "sounds" / "words_fsdd").glob("*.wav"))
    table = tmp_path / "digits.csv"
    rows = [f"{file},{file.stem.split('_')[0]},{file.stem.split('_')[1]}" for file in files]
    table.write_text("path,label,group\n" + "\n".join(rows))
    measured = words_evaluate(table, kind="hmm+dtw")
    accuracy = {row.kind: row.accuracy[0] for row in measured.rows}
    assert accuracy["hmm"] >= 0.70
    assert accuracy["hmm+dtw"] >= 0.80
    assert accuracy["hmm+dtw"] > accuracy["mfcc"] + 0.1
