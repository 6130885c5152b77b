"""`synth` as a function and as a command: files that hold what was asked for, and refusals in words."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner

from volna.audio.channels import read_channels
from volna.cli.check_commands import OPTIONS
from volna.cli.check_commands import synth as command
from volna.errors import AudioError, InputError
from volna.synthesis.signals import KINDS
from volna.workflows.listening.synth import synth


def run(*words):
    return CliRunner().invoke(command, [str(word) for word in words])


@pytest.fixture(autouse=True)
def verbs(monkeypatch):
    """The command finds its function whether or not it is listed among the verbs yet."""
    from volna import workflows

    monkeypatch.setitem(workflows._PLACES, "synth", "listening.synth")


def test_the_samples_come_back_with_how_they_were_made():
    made = synth("tone", frequencies_hz=[500.0], duration_s=0.5, sample_rate=8000, level_db=-20.0)
    assert made.samples.shape == (4000,)
    about = made.as_dict()
    assert (about["n_channels"], about["duration_s"], about["peak_db"], about["output"]) == (1, 0.5, -20.0, None)
    assert about["settings"]["frequencies_hz"] == [500.0]
    json.dumps(about)


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.mp3", "a.ogg"])
def test_files_of_several_formats_hold_the_sound(tmp_path, name):
    made = synth("chord", tmp_path / name, notes="Am", duration_s=1.0, n_channels=2, sample_rate=48000)
    back = read_channels(tmp_path / name)
    assert back.samples.shape[0] == 2
    assert back.samples.shape[1] / back.sample_rate == pytest.approx(1.0, abs=0.05)
    level = np.abs(np.fft.rfft(back.samples[0]))
    peak_hz = level.argmax() * back.sample_rate / back.samples.shape[1]
    assert min(abs(peak_hz - hz) for hz in (440.0, 523.25, 659.26)) < 3
    assert made.output == str(tmp_path / name)


def test_a_lossless_file_holds_the_very_samples(tmp_path):
    made = synth("noise", tmp_path / "n.wav", colour="pink", seed=4, duration_s=0.3)
    np.testing.assert_allclose(read_channels(tmp_path / "n.wav").samples[0], made.samples, atol=1 / 32768)


def test_nothing_is_overwritten_unasked(tmp_path):
    synth("tone", tmp_path / "a.wav", duration_s=0.1)
    before = (tmp_path / "a.wav").read_bytes()
    with pytest.raises(InputError, match="exists already"):
        synth("noise", tmp_path / "a.wav", duration_s=0.1)
    assert (tmp_path / "a.wav").read_bytes() == before
    synth("noise", tmp_path / "a.wav", duration_s=0.1, force=True)
    assert (tmp_path / "a.wav").read_bytes() != before


@pytest.mark.parametrize(
    ("kind", "output", "options", "words"),
    [("tone", "a.xyz", {}, "expected a name that ends in"), ("tone", "missing/a.wav", {}, "does not"),
     ("bang", None, {}, "expected one of tone"), ("noise", None, {"bpm": 3}, "bpm"),
     ("tone", None, {"frequencies_hz": [30000.0]}, "half the sample rate")],
)  # fmt: skip
def test_refusals_say_what_was_expected(tmp_path, kind, output, options, words):
    with pytest.raises((InputError, AudioError), match=words):
        synth(kind, output and tmp_path / output, **options)
    assert list(tmp_path.iterdir()) == [tmp_path / "own"]


@pytest.mark.parametrize(
    "words",
    [("tone", "--frequency", 300, "--frequency", 500, "--shape", "saw"),
     ("noise", "--colour", "violet", "--channels", 2), ("clicks", "--bpm", 90, "--accent", 4),
     ("chirp", "--start-frequency", 20, "--end-frequency", 3000, "--sweep", "log"),
     ("chord", "--notes", "C4 E4"), ("vowel", "--vowel", "o", "--f0", 200)],
    ids=lambda words: words[0],
)  # fmt: skip
def test_the_command_writes_every_kind(tmp_path, words):
    result = run(*words, "-o", tmp_path / "a.wav", "--duration", 0.5, "--rate", 8000)
    assert result.exit_code == 0, result.output
    assert f"{words[0]}, 0.5 s" in result.output
    assert read_channels(tmp_path / "a.wav").samples.shape[1] == 4000


def test_the_command_prints_json(tmp_path):
    result = run("clicks", "-o", tmp_path / "a.wav", "--json")
    assert json.loads(result.stdout)["kind"] == "clicks"


def test_an_option_of_another_kind_is_refused(tmp_path):
    result = run("noise", "-o", tmp_path / "a.wav", "--bpm", 100)
    assert result.exit_code == 2
    assert "--bpm does not go with noise" in result.output


def test_the_command_knows_every_kind():
    assert set(OPTIONS) == set(KINDS)
