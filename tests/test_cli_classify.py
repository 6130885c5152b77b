"""`volna classify` on the command line: options reach the workflows, results reach standard output."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from volna import workflows
from volna.cli.classify_commands import BY, KINDS, classify
from volna.tasks.classification import KINDS as OF_VECTORS
from volna.tasks.scores import ClassScore
from volna.workflows.classify import ClassifyTraining
from volna.workflows.classify_answers import ClassifyPredictions, Prediction
from volna.workflows.classify_measuring import ClassifyEvaluation, ScoreRow
from volna.workflows.classify_model import NETWORKS, VIEWS
from volna.workflows.classify_seeing import ClassifySeen
from volna.workflows.classify_segments import LabelledSpan
from volna.workflows.results import Failure

FAILED = [Failure("bad.wav", "holds only silence")]


@pytest.fixture
def said(monkeypatch):
    """Workflows that remember what they were asked and answer something small."""
    asked: dict[str, tuple] = {}
    answers = {
        "classify_train": ClassifyTraining(
            "s.model", "auto", "auto", {"cat": 4, "dog": 5}, 3, True, ["1.00 svm 10 on patch"],
            {"accuracy": 0.9, "log_loss": 0.3, "calibration_error": 0.05}, 1.0, 2_000_000, 3.0, FAILED, ["a note"],
        ),
        "classify_predict": ClassifyPredictions(["cat", "dog"], [Prediction("a.wav", "cat", 0.9, (0.9, 0.1))]),
        "classify_evaluate": ClassifyEvaluation(
            "sounds", "auto", "auto", ["cat", "dog"], 9, 3, True, 3, 2,
            [ScoreRow("chance", (0.5, 0.4, 0.6), 0.5), ScoreRow("auto on auto", (0.9, 0.8, 1.0), 0.9, 0.3, 0.05)],
            (0.4, 0.2, 0.6), "chance", [ClassScore("cat", 4, 1.0, 0.75, 0.857)], [[3, 1], [0, 5]], ["x"],
        ),
    }  # fmt: skip

    def fake(name: str):
        def call(*args, progress=None, **options):
            asked[name] = (args, options)
            return answers[name]

        return call

    for name in answers:
        monkeypatch.setattr(workflows, name, fake(name), raising=False)
    return asked, answers


def run(*words: str):
    return CliRunner().invoke(classify, [*words], catch_exceptions=False)


def test_choices_are_those_of_the_workflows() -> None:
    assert set(KINDS) == {*OF_VECTORS, *NETWORKS}
    assert set(BY) == set(VIEWS)


def test_train_passes_its_options_on(said) -> None:
    done = run("train", "sounds", "-o", "s.model", "--with", "svm", "--by", "both", "--group-from", "a(b)", "--force")
    args, options = said[0]["classify_train"]
    assert args == ("sounds", "s.model")
    assert (options["kind"], options["by"], options["group_from"], options["force"]) == ("svm", "both", "a(b)", True)
    assert options["train_time_s"] == 120.0
    assert done.exit_code == 0
    assert "9 files, 2 labels, 3 groups" in done.stdout
    assert "accuracy 0.900" in done.stdout
    assert "failed: bad.wav: holds only silence" in done.stderr
    assert "a note" in done.stderr


def test_predict_prints_a_line_a_file(said) -> None:
    done = run("predict", "a.wav", "b", "--model", "s.model", "-o", "out.csv", "--threshold", "0.7")
    args, options = said[0]["classify_predict"]
    assert args == (["a.wav", "b"],)
    assert (options["model"], options["output"], options["threshold"], options["segments"]) == (
        "s.model", "out.csv", 0.7, False,
    )  # fmt: skip
    assert done.stdout.splitlines()[1].split() == ["a.wav", "cat", "0.90"]


def test_predict_prints_spans_and_fails_where_nothing_was_heard(said) -> None:
    answer = said[1]["classify_predict"]
    answer.segment_s, answer.hop_s, answer.results = 1.0, 0.5, []
    answer.spans = [LabelledSpan("a.wav", 0.0, 2.5, "dog", 0.8)]
    done = run("predict", "a.wav", "--model", "m", "--segments", "--segment-s", "1", "--hop-s", "0.5")
    assert done.stdout.splitlines()[1].split() == ["a.wav", "0.00", "2.50", "dog", "0.80"]
    answer.spans = []
    answer.failures = FAILED
    done = CliRunner().invoke(classify, ["predict", "a.wav", "--model", "m"], standalone_mode=False)
    assert done.return_value == 1
    assert "nothing could be heard" in done.stderr


def test_evaluate_prints_every_method_and_label(said) -> None:
    done = run("evaluate", "sounds", "--seeds", "2", "--pitch", "--train-time", "30s", "--confusion", "c.png")
    _, options = said[0]["classify_evaluate"]
    assert (options["seeds"], options["pitch"], options["train_time_s"], options["confusion"]) == (
        2,
        True,
        30.0,
        "c.png",
    )
    assert run("evaluate", "sounds").exit_code == 0
    assert said[0]["classify_evaluate"][1]["pitch"] is None
    for text in ("chance", "0.900", "0.800-1.000", "+0.400 (+0.200 to +0.600) over the best baseline", "0.86"):
        assert text in done.stdout


@pytest.mark.parametrize(
    "words", [("train", "s", "-o", "m"), ("predict", "a", "--model", "m"), ("evaluate", "s")], ids=lambda w: w[0]
)
def test_json_is_the_whole_answer(said, words: tuple[str, ...]) -> None:
    done = run(*words, "--json")
    assert json.loads(done.stdout) == json.loads(json.dumps(said[1][f"classify_{words[0]}"].as_dict()))


def test_wrong_words_are_refused() -> None:
    assert run("train", "s", "-o", "m", "--with", "forest").exit_code == 2
    assert run("predict", "a").exit_code == 2
    assert run("evaluate", "s", "--folds", "1").exit_code == 2


def test_see_prints_the_label_and_the_files(monkeypatch) -> None:
    asked = {}

    def fake(*args, **options):
        asked.update(options, path=args[0])
        return ClassifySeen("a.wav", "cat", 0.7, "a.png", "f.png")

    monkeypatch.setattr(workflows, "classify_see", fake, raising=False)
    done = run("see", "a.wav", "--model", "m", "-o", "a.png", "--filters", "f.png", "--label", "cat")
    assert (asked["path"], asked["label"], asked["filters"], asked["force"]) == ("a.wav", "cat", "f.png", False)
    assert done.stdout.splitlines() == ["cat (0.70)", "wrote a.png", "wrote f.png"]
