import json

import numpy as np
import pytest
from click.testing import CliRunner
from test_inversion import vowel

from volna.audio.encode import encode
from volna.cli.vocode_commands import COMMANDS, training_report, vocode_report
from volna.workflows.making.vocoder_learning import VocoderReport
from volna.workflows.making.vocoding import VocodeReport
from volna.workflows.results import Failure

(VOCODE,) = COMMANDS
MADE = VocodeReport("a.wav", "b.wav", "neural", 16, "m.vocoder", 16_000, 80, 2, 61.2, 0.8, 1.5, 40.8)
TRAINED = VocoderReport(
    "m.vocoder", 16_000, 5, 4, 1, 1, 0, 75.0, 3_200_000, 900, "time", False, False, 1.75, 12_000_000, 610.0,
    [{"step": 900, "val_loss": 1.75}], [Failure("x.wav", "is broken")], ["a note"],
)  # fmt: skip


@pytest.fixture
def verbs(monkeypatch):
    """What the commands ask of the workflows, answered at once."""
    from volna import workflows

    asked = {}

    def vocode(source, output, **options):
        asked.update(source=source, output=output, **options)
        return MADE

    def vocode_train(folder, output, **options):
        asked.update(folder=folder, output=output, **options)
        return TRAINED

    monkeypatch.setattr(workflows, "vocode", vocode, raising=False)
    monkeypatch.setattr(workflows, "vocode_train", vocode_train, raising=False)
    return asked


def run(*args):
    return CliRunner().invoke(VOCODE, [str(arg) for arg in args])


def test_a_file_needs_no_word(verbs):
    result = run("a.wav", "-o", "b.wav", "--with", "griffin-lim", "--iterations", "32", "--sample-rate", "16000")
    assert result.exit_code == 0, result.output
    assert verbs["source"] == "a.wav"
    assert (verbs["method"], verbs["n_iterations"], verbs["sample_rate"]) == ("griffin-lim", 32, 16_000)
    assert not verbs["force"]
    assert "b.wav: 1 min 1 s, 16000 Hz, stereo, from 80 bands" in result.stdout
    assert "neural, 16 iterations, m.vocoder; 1.5 s, 40.8 times real time" in result.stdout


def test_by_default_the_workflow_chooses(verbs):
    assert run("a.wav", "-o", "b.wav").exit_code == 0
    assert (verbs["method"], verbs["n_iterations"], verbs["sample_rate"], verbs["model"]) == (None, None, None, None)


def test_training(verbs):
    result = run("train", "sounds", "-o", "m.vocoder", "--time-budget", "90s", "--adversarial", "--seed", "3")
    assert result.exit_code == 0, result.output
    assert (verbs["folder"], verbs["train_time_s"], verbs["seed"]) == ("sounds", 90.0, 3)
    assert verbs["adversarial"]
    assert not verbs["resume"]
    assert "3.2 million parameters, 12.0 MB" in result.stdout
    assert "loss 1.750 on 1 held out" in result.stdout
    assert "x.wav" in result.stderr
    assert "a note" in result.stderr


def test_ten_minutes_by_default(verbs):
    run("train", "sounds")
    assert verbs["train_time_s"] == 600.0
    assert verbs["output"] == "vocoder.safetensors"


@pytest.mark.parametrize("args", [("a.wav", "-o", "b.wav"), ("train", "sounds")])
def test_json(verbs, args):
    result = run(*args, "--json")
    told = json.loads(result.stdout)
    assert told == (TRAINED if args[0] == "train" else MADE).as_dict()


@pytest.mark.parametrize(
    "args",
    [("a.wav",), ("a.wav", "-o", "b.wav", "--with", "magic"), ("a.wav", "-o", "b", "--sample-rate", "7"), ("train",)],
)
def test_usage_errors(verbs, args):
    result = run(*args)
    assert result.exit_code == 2
    assert not verbs


def test_help_names_both():
    result = run("--help")
    assert result.exit_code == 0
    for word in ("--with", "--iterations", "--sample-rate", "--json", "train", "MEL.npy"):
        assert word in result.stdout
    assert "--time-budget" in run("train", "--help").stdout


def test_without_a_model_or_a_loss():
    assert "griffin-lim, 64 iterations; " in vocode_report(VocodeReport("a", "b", "griffin-lim", 64))[1]
    assert "held out" not in training_report(VocoderReport(**{**vars(TRAINED), "val_loss": None}))[1]


def test_from_end_to_end(tmp_path, monkeypatch):
    from volna import workflows
    from volna.workflows.making import vocoding

    monkeypatch.setattr(workflows, "vocode", vocoding.vocode, raising=False)
    encode(tmp_path / "a.wav", 0.5 * vowel(0.3), 8_000)
    result = run(tmp_path / "a.wav", "-o", tmp_path / "b.wav", "--iterations", 2, "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["duration_s"] == 0.3
    assert (tmp_path / "b.wav").stat().st_size > 44 + np.dtype(np.int16).itemsize * 2_000
