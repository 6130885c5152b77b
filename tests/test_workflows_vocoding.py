from dataclasses import asdict

import numpy as np
import pytest
import torch
from test_inversion import CONFIG, vowel

from volna.audio.channels import read_channels
from volna.audio.encode import encode
from volna.errors import AudioError, InputError, ModelError
from volna.features.sound_distance import mel_distance, multi_resolution_stft
from volna.features.sounding import sounding_config, sounding_mel
from volna.models import vocoder_file
from volna.models.vocoder import Vocoder, VocoderConfig
from volna.models.vocoder_file import TrainedVocoder
from volna.pool import Outcome
from volna.training.vocoder import train_task
from volna.workflows.making import vocoder_learning, vocoding
from volna.workflows.making.vocoder_learning import keep_sounds, rates_of, vocode_train
from volna.workflows.making.vocoding import mels_of, vocode

RATE = 8_000


@pytest.fixture
def talk(tmp_path):
    """A file of 1.5 s at 8 kHz."""
    path = tmp_path / "talk.wav"
    encode(path, 0.5 * vowel(1.5), RATE)
    return path


@pytest.fixture
def model(tmp_path):
    """A vocoder that has learnt nothing."""
    torch.manual_seed(0)
    network = Vocoder(VocoderConfig(asdict(CONFIG), dim=8, depth=1))
    path = tmp_path / "small.vocoder"
    path.write_bytes(vocoder_file.to_bytes(TrainedVocoder(network)))
    return path


@pytest.mark.parametrize("n", [1, 127, 128, 4_000, 20_000])
@pytest.mark.parametrize("block", [100, 7_000])
def test_the_mel_of_blocks_is_that_of_the_whole(n, block, monkeypatch):
    monkeypatch.setattr(vocoding, "PIECE_FRAMES", 16)
    sound = vowel(3.0)[:n]
    n_samples = []
    blocks = (sound[None, a : a + block] for a in range(0, n, block))
    mel = np.concatenate(list(mels_of(blocks, CONFIG, n_samples)), axis=2)[0]
    whole = sounding_mel(sound, CONFIG)
    assert mel.shape == whole.shape
    assert np.abs(mel - whole).max() < 1e-3
    assert n_samples == [n]


@pytest.mark.parametrize("neural", [False, True])
def test_a_sound_comes_back_with_its_length_rate_and_level(talk, model, tmp_path, neural):
    made = vocode(talk, tmp_path / "again.wav", model=model if neural else None)
    assert made.method == ("neural" if neural else "griffin-lim")
    samples, rate = read_channels(tmp_path / "again.wav")
    real = read_channels(talk).samples
    assert rate == made.sample_rate == RATE
    assert samples.shape == real.shape
    assert made.duration_s == 1.5
    assert 0.6 < float(samples.std() / real.std()) < 1.3
    assert multi_resolution_stft(samples[0], real[0]) < 2.0
    assert made.as_dict()["n_mels"] == 64


def test_channels_are_made_each_by_itself(tmp_path):
    both = np.stack([0.5 * vowel(1.0, 120.0), 0.5 * vowel(1.0, 200.0)])
    encode(tmp_path / "both.wav", both, RATE)
    assert vocode(tmp_path / "both.wav", tmp_path / "again.wav").n_channels == 2
    made = read_channels(tmp_path / "again.wav").samples
    for k in (0, 1):
        assert mel_distance(made[k], both[k], RATE) < 0.6 * mel_distance(made[k], both[1 - k], RATE)


@pytest.mark.parametrize("neural", [False, True])
def test_long_sounds_have_no_seams(tmp_path, model, monkeypatch, neural):
    monkeypatch.setattr(vocoding, "PIECE_FRAMES", 96)
    sound = (0.3 * np.sin(2 * np.pi * 440 * np.arange(5 * RATE) / RATE)).astype(np.float32)
    encode(tmp_path / "tone.wav", sound, RATE)
    vocode(tmp_path / "tone.wav", tmp_path / "again.wav", model=model if neural else None)
    made = read_channels(tmp_path / "again.wav").samples[0]
    assert len(made) == len(sound)
    levels = np.sqrt(np.square(made[: 4 * RATE + 7_000].reshape(-1, 1_000)).mean(axis=1))
    assert levels[1:-1].min() > 0.6 * np.median(levels)


def test_the_rate_is_the_nearest_one_or_the_one_asked_for(tmp_path):
    encode(tmp_path / "a.wav", 0.5 * vowel(0.4), 11_025)
    assert vocode(tmp_path / "a.wav", tmp_path / "b.wav", n_iterations=1).sample_rate == 8_000
    assert vocode(tmp_path / "a.wav", tmp_path / "c.wav", n_iterations=1, sample_rate=16_000).sample_rate == 16_000
    assert read_channels(tmp_path / "c.wav").sample_rate == 16_000


@pytest.mark.parametrize("neural", [False, True])
def test_a_mel_is_made_audible(tmp_path, model, neural):
    sound = 0.5 * vowel(1.0)[: 62 * 128]
    np.save(tmp_path / "mel.npy", sounding_mel(sound, CONFIG))
    settings = {"model": model} if neural else {"sample_rate": RATE}
    made = vocode(tmp_path / "mel.npy", tmp_path / "again.wav", **settings)
    samples = read_channels(tmp_path / "again.wav").samples
    assert samples.shape == (1, len(sound))
    assert made.duration_s == pytest.approx(len(sound) / RATE, abs=1e-3)
    assert mel_distance(samples[0], sound, RATE) < 6.0


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((63, 5)), "64"),
        (np.zeros(64), "64"),
        (np.zeros((64, 0)), "64"),
        (np.full((64, 5), np.nan), "finite"),
        (np.full((64, 5), -80 + 120.0), "dB"),
        (np.zeros((64, 5), dtype=complex), "complex"),
    ],
)
def test_what_is_no_mel_says_so(tmp_path, array, words):
    np.save(tmp_path / "mel.npy", array)
    with pytest.raises(InputError, match=words):
        vocode(tmp_path / "mel.npy", tmp_path / "a.wav", sample_rate=RATE)
    assert not (tmp_path / "a.wav").exists()


def test_files_that_are_no_arrays_say_so(tmp_path):
    (tmp_path / "mel.npy").write_text("no array")
    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    for name in ("mel.npy", "objects.npy", "missing.npy"):
        with pytest.raises(InputError, match=name):
            vocode(tmp_path / name, tmp_path / "a.wav", sample_rate=RATE)


def test_a_mel_needs_a_rate(tmp_path):
    np.save(tmp_path / "mel.npy", np.zeros((64, 5)))
    with pytest.raises(InputError, match="sample-rate"):
        vocode(tmp_path / "mel.npy", tmp_path / "a.wav")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"method": "neural"}, "--model"),
        ({"method": "vocoder"}, "griffin-lim"),
        ({"n_iterations": -1}, "iterations"),
        ({"sample_rate": 7_000}, "sample_rate"),
    ],
)
def test_settings_that_make_no_sense_are_refused(talk, tmp_path, settings, words):
    with pytest.raises(InputError, match=words):
        vocode(talk, tmp_path / "a.wav", **settings)


def test_a_model_is_no_use_to_griffin_lim_and_has_its_own_rate(talk, model, tmp_path):
    with pytest.raises(InputError, match="leave out"):
        vocode(talk, tmp_path / "a.wav", method="griffin-lim", model=model)
    with pytest.raises(ModelError, match="8000 Hz"):
        vocode(talk, tmp_path / "a.wav", model=model, sample_rate=16_000)


def test_wrong_files_say_what_they_are(talk, tmp_path):
    with pytest.raises(ModelError, match="not a vocoder"):
        vocode(talk, tmp_path / "a.wav", model=talk)
    with pytest.raises(ModelError, match="cannot read"):
        vocode(talk, tmp_path / "a.wav", model=tmp_path / "none.vocoder")
    (tmp_path / "text.wav").write_text("no sound")
    with pytest.raises(AudioError, match=r"text\.wav"):
        vocode(tmp_path / "text.wav", tmp_path / "a.wav")
    with pytest.raises(AudioError, match=r"none\.wav"):
        vocode(tmp_path / "none.wav", tmp_path / "a.wav")
    assert not (tmp_path / "a.wav").exists()


def test_nothing_is_overwritten_unasked(talk, tmp_path):
    target = tmp_path / "a.wav"
    target.write_bytes(b"mine")
    with pytest.raises(InputError, match="--force"):
        vocode(talk, target)
    assert target.read_bytes() == b"mine"
    vocode(talk, target, force=True, n_iterations=1)
    assert read_channels(target).samples.shape == (1, 12_000)


def test_an_unknown_ending_is_refused_before_the_work(talk, tmp_path):
    with pytest.raises(InputError, match="ends in"):
        vocode(talk, tmp_path / "a.xyz")


@pytest.mark.parametrize("neural", [False, True])
@pytest.mark.parametrize("n", [1, 100, 300])
def test_the_shortest_sounds(tmp_path, model, n, neural):
    encode(tmp_path / "short.wav", np.full(n, 0.1), RATE)
    vocode(tmp_path / "short.wav", tmp_path / "a.wav", model=model if neural else None)
    assert read_channels(tmp_path / "a.wav").samples.shape == (1, n)


@pytest.mark.parametrize("neural", [False, True])
def test_silence_is_said(tmp_path, model, neural):
    encode(tmp_path / "silent.wav", np.zeros(4_000), RATE)
    made = vocode(tmp_path / "silent.wav", tmp_path / "a.wav", model=model if neural else None)
    assert any("silent" in note for note in made.notes)
    assert np.abs(read_channels(tmp_path / "a.wav").samples).max() < 1e-3


def test_the_work_is_told(talk, tmp_path):
    told = []
    vocode(talk, tmp_path / "a.wav", n_iterations=1, progress=lambda *args: told.append(args))
    assert told[-1] == ("Listening", 1, 2, "s of sound")


@pytest.fixture
def folder(tmp_path):
    sounds = tmp_path / "sounds"
    sounds.mkdir()
    for k in range(4):
        encode(sounds / f"{k}.wav", 0.5 * vowel(0.6, 100.0 + 30 * k, seed=k), RATE)
    return sounds


@pytest.fixture(autouse=True)
def small_networks(monkeypatch):
    monkeypatch.setattr(vocoder_learning, "SIZES", {"dim": 8, "depth": 1, "n_frames": 8, "batch_size": 2})


@pytest.fixture
def no_child(monkeypatch):
    """The training runs in this process, which has torch already."""

    class Here:
        def __init__(self, *_, **__): ...

        def __enter__(self):
            return self

        def __exit__(self, *_): ...

        def run(self, tasks, on_message):
            (task,) = tasks
            work = train_task({**task.arguments[0], "n_threads": 1})
            while True:
                try:
                    on_message(task, next(work))
                except StopIteration as stop:
                    return [Outcome(task, stop.value)]

    monkeypatch.setattr(vocoder_learning, "Pool", Here)


def test_a_folder_becomes_a_vocoder(folder, tmp_path, no_child):
    (folder / "broken.wav").write_bytes(b"RIFF0000WAVE")
    target = tmp_path / "a.vocoder"
    made = vocode_train(folder, target, steps=3, jobs=1)
    assert (made.found, made.n_sounds, made.failed, made.n_held_out) == (5, 4, 1, 1)
    assert made.steps == 3
    assert made.sample_rate == RATE
    assert made.failures[0].path.endswith("broken.wav")
    assert made.n_bytes == target.stat().st_size
    assert vocoder_file.load(target).summary["steps"] == 3
    with pytest.raises(InputError, match="--force"):
        vocode_train(folder, target, steps=3, jobs=1)
    again = vocode_train(folder, target, steps=5, jobs=1, resume=True)
    assert again.resumed
    assert again.steps == 5
    assert vocode(folder / "0.wav", tmp_path / "a.wav", model=target).sample_rate == RATE


@pytest.mark.slow  # a child of low priority that loads torch
def test_a_training_runs_in_a_child(folder, tmp_path):
    assert vocode_train(folder, tmp_path / "a.vocoder", steps=1, jobs=1).steps == 1


def test_nothing_to_resume_is_said(folder, tmp_path, no_child):
    made = vocode_train(folder, tmp_path / "a.vocoder", steps=1, jobs=1, resume=True)
    assert any("nothing to resume" in note for note in made.notes)


@pytest.mark.parametrize(
    ("settings", "words"), [({"sample_rate": 9_000}, "9000"), ({"train_time_s": 0}, "budget"), ({"steps": 0}, "step")]
)
def test_trainings_that_make_no_sense_are_refused(folder, tmp_path, settings, words):
    with pytest.raises(InputError, match=words):
        vocode_train(folder, tmp_path / "a.vocoder", **settings)


def test_folders_without_sound_are_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no audio"):
        vocode_train(tmp_path / "empty", tmp_path / "a.vocoder")
    with pytest.raises(InputError, match="no such"):
        vocode_train(tmp_path / "missing", tmp_path / "a.vocoder")
    encode(tmp_path / "empty" / "silent.wav", np.zeros(4_000), RATE)
    with pytest.raises(ModelError, match="silence"):
        vocode_train(tmp_path / "empty", tmp_path / "a.vocoder", jobs=1)


def test_what_other_sounds_left_is_cleared_away(folder, tmp_path):
    work = tmp_path / "work"
    first, _ = keep_sounds(folder, work, jobs=1)
    (folder / "0.wav").unlink()
    second, left_out = keep_sounds(folder, work, jobs=1)
    assert (len(first.names), len(second.names), left_out) == (4, 3, 0)
    assert {path.name for path in work.glob("*.npy")} == set(second.names)
    assert second.sample_rate == RATE


def test_rates_of_files(folder):
    (folder / "none.wav").write_text("none")
    assert rates_of([str(folder / "0.wav"), str(folder / "none.wav")]) == [RATE]


def test_every_rate_has_a_mel():
    assert {sounding_config(rate).sample_rate for rate in (8_000, 44_100)} == {8_000, 44_100}
