"""`anomaly train`, `predict`, `evaluate` on machines made here: files, sections, groups, bad input, the commands."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from click.testing import CliRunner

from volna.audio.encode import encode
from volna.errors import InputError, ModelError, VolnaError
from volna.pool import Outcome, Pool, _call
from volna.synthesis.machine_faults import add_fault, make_fault
from volna.tasks.anomaly import forest
from volna.training import frame_autoencoder
from volna.workflows import anomaly, anomaly_files, anomaly_jobs, anomaly_judging, anomaly_measuring, each_file

RATE = 16_000


class InlinePool(Pool):
    """A pool without processes: what children do, this process does."""

    def run(self, tasks: Any, on_message: Any = None) -> Iterator[Outcome]:
        if self.setup:
            _call(self.setup.function, self.setup.arguments, lambda message: None)
        for task in tasks:
            try:
                yield Outcome(task, result=_call(task.function, task.arguments, lambda message: None))
            except VolnaError as error:
                yield Outcome(task, reason=str(error))


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """In this process, with an autoencoder of a few steps and a forest of a few trees."""
    monkeypatch.setattr(anomaly, "Pool", InlinePool)
    monkeypatch.setattr(each_file, "Pool", InlinePool)
    monkeypatch.setattr(frame_autoencoder, "train_frames", partial(frame_autoencoder.train_frames, n_steps=5))
    monkeypatch.setattr(forest, "N_TREES", 5)


def machine(seed: int, hum_hz: float = 50.0, duration_s: float = 1.5) -> np.ndarray:
    rng = np.random.default_rng(seed)
    seconds = np.arange(round(duration_s * RATE)) / RATE
    tone = sum(np.sin(2 * np.pi * k * hum_hz * seconds + rng.uniform(0, 6)) / k for k in range(1, 5))
    return (0.05 * tone + 0.05 * rng.standard_normal(len(seconds))).astype(np.float32)


def write(path: Path, samples: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    encode(path, samples, RATE)
    return path


def broken(seed: int, kind: str = "clicks") -> np.ndarray:
    clean = machine(seed)
    return add_fault(clean, make_fault(kind, len(clean), RATE, np.random.default_rng(seed)), 0.0)


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Normal and broken recordings, and two files that hold no sound."""
    folder = tmp_path_factory.mktemp("plant")
    for k in range(6):
        write(folder / "normal" / f"{'abcdef'[k]}{k}x.wav", machine(k))
    for k in range(3):
        write(folder / "broken" / f"{'ghi'[k]}{k}x.wav", broken(50 + k))
    (folder / "normal" / "bad.wav").write_bytes(b"RIFF this is no sound at all")
    write(folder / "normal" / "silent.wav", np.zeros(RATE, np.float32))
    return folder


@pytest.fixture(scope="module")
def model(plant: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trained once."""
    target = tmp_path_factory.mktemp("model") / "fan.volna"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(anomaly, "Pool", InlinePool)
        patch.setattr(each_file, "Pool", InlinePool)
        patch.setattr(frame_autoencoder, "train_frames", partial(frame_autoencoder.train_frames, n_steps=5))
        patch.setattr(forest, "N_TREES", 5)
        trained = anomaly.anomaly_train(plant / "normal", target)
    assert [(s.section, s.n_files) for s in trained.sections] == [("all", 6)]
    assert {Path(failure.path).name for failure in trained.failures} == {"bad.wav", "silent.wav"}
    assert trained.n_bytes == target.stat().st_size < 3_000_000
    assert json.dumps(trained.as_dict())
    return target


# Predicting


def table(path: Path) -> list[list[str]]:
    with open(path, newline="") as file:
        return list(csv.reader(file))


def test_broken_machines_score_above_the_threshold(plant: Path, model: Path, tmp_path: Path) -> None:
    heard = [write(tmp_path / f"new{k}.wav", machine(70 + k)) for k in range(2)]
    found = anomaly_judging.anomaly_predict([plant / "broken", *heard], model)
    assert [file.abnormal for file in found.files[:3]] == [True] * 3
    assert min(file.score for file in found.files[:3]) > max(file.score for file in found.files[3:])
    assert found.files[0].timeline.shape == found.files[0].start_s.shape
    assert json.loads(json.dumps(found.as_dict()))["files"][0]["section"] == "all"


def test_tables_are_in_the_form_of_the_field(plant: Path, model: Path, tmp_path: Path) -> None:
    found = anomaly_judging.anomaly_predict([plant / "broken"], model, output=tmp_path / "out")
    names = {Path(path).name for path in found.written}
    assert names == {"anomaly_score_all.csv", "decision_result_all.csv", "time_line.csv"}
    scores = table(tmp_path / "out" / "anomaly_score_all.csv")
    assert [(row[0], float(row[1])) for row in scores] == [
        (Path(file.path).name, pytest.approx(file.score, rel=1e-4)) for file in found.files
    ]
    decisions = table(tmp_path / "out" / "decision_result_all.csv")
    assert [row[1] for row in decisions] == ["1", "1", "1"]
    assert table(tmp_path / "out" / "time_line.csv")[0] == ["path", "start_s", "score", "above"]
    with pytest.raises(InputError, match="exists already"):
        anomaly_judging.anomaly_predict([plant / "broken"], model, output=tmp_path / "out")
    anomaly_judging.anomaly_predict([plant / "broken"], model, output=tmp_path / "out", force=True)


def test_a_picture_of_every_file(plant: Path, model: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    found = anomaly_judging.anomaly_predict([plant / "broken" / "g0x.wav"], model, plot=tmp_path / "p")
    assert found.written == [str(tmp_path / "p" / "g0x.png")]
    again = anomaly_judging.anomaly_predict([plant / "broken" / "g0x.wav"], model, plot=tmp_path / "p")
    assert again.written == [str(tmp_path / "p" / "g0x 2.png")]  # never over another one


def test_bad_files_are_listed_and_skipped(plant: Path, model: Path, tmp_path: Path) -> None:
    found = anomaly_judging.anomaly_predict([plant / "normal", tmp_path / "missing.wav"], model)
    reasons = {Path(failure.path).name: failure.reason for failure in found.failures}
    assert set(reasons) == {"bad.wav", "silent.wav", "missing.wav"}
    assert "silence" in reasons["silent.wav"]
    assert len(found.files) == 6


def test_a_file_that_is_no_model_is_refused(plant: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError):
        anomaly_judging.anomaly_predict([plant], plant / "normal" / "a0x.wav")
    with pytest.raises(ModelError):
        anomaly_judging.anomaly_predict([plant], tmp_path / "missing")


# Files of any length


def test_a_long_file_is_heard_in_pieces(tmp_path: Path) -> None:
    samples = np.concatenate([machine(k, duration_s=10.0) for k in range(7)])
    heard = anomaly_jobs.hear_file(str(write(tmp_path / "long.wav", samples)))
    assert heard.sound.start_s[-1] == pytest.approx(69.0)
    assert heard.sound.mel.shape[1] == pytest.approx(70 * 31.25, abs=2)
    assert np.diff(heard.sound.start_s) == pytest.approx(0.5)
    assert heard.nuisance[0] == pytest.approx(np.log(70.0), abs=0.15)


def test_one_sample_is_refused_and_a_tenth_of_a_second_is_not(tmp_path: Path) -> None:
    with pytest.raises(VolnaError, match=r"at least 0\.1 s"):
        anomaly_jobs.hear_file(str(write(tmp_path / "one.wav", np.ones(1, np.float32))))
    assert len(anomaly_jobs.hear_file(str(write(tmp_path / "tenth.wav", machine(0)[:1700]))).sound.windows) == 1


# Training


def test_too_few_and_none(plant: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="expected sounds, found none"):
        anomaly.anomaly_train(tmp_path / "empty", tmp_path / "m")
    for k in range(2):
        write(tmp_path / "two" / f"{k}.wav", machine(k))
    with pytest.raises(InputError, match="at least 3 normal recordings, got 2"):
        anomaly.anomaly_train(tmp_path / "two", tmp_path / "m")
    with pytest.raises(InputError, match="there is no such thing"):
        anomaly.anomaly_train(tmp_path / "missing", tmp_path / "m")
    with pytest.raises(InputError, match="between 0 and 1"):
        anomaly.anomaly_train(plant, tmp_path / "m", quantile=2.0)
    assert not (tmp_path / "m").exists()


def test_every_section_has_its_own_detector(tmp_path: Path) -> None:
    for k in range(3):
        write(tmp_path / "normal" / "fan" / f"{k}.wav", machine(k, 50.0))
        write(tmp_path / "normal" / "pump" / f"{k}.wav", machine(k, 170.0))
    trained = anomaly.anomaly_train(
        tmp_path / "normal", tmp_path / "m", section_from="folder", threshold="gamma", quantile=0.95
    )
    assert [section.section for section in trained.sections] == ["fan", "pump"]
    write(tmp_path / "today" / "fan" / "x.wav", machine(9, 50.0))
    write(tmp_path / "today" / "pump" / "x.wav", machine(9, 50.0))  # a fan among the pumps
    write(tmp_path / "today" / "mill" / "x.wav", machine(9, 50.0))
    found = anomaly_judging.anomaly_predict([tmp_path / "today"], tmp_path / "m", output=tmp_path / "out")
    assert [file.section for file in found.files] == ["fan", "pump"]
    assert found.files[1].score > found.files[0].score
    assert [Path(failure.path).parent.name for failure in found.failures] == ["mill"]
    assert (tmp_path / "out" / "anomaly_score_pump.csv").exists()


def test_sections_by_expression() -> None:
    assert anomaly_files.section_of("/d/fan_3.wav", ["/d"], r"^([a-z]+)_", ["fan", "pump"]) == "fan"
    assert anomaly_files.section_of("/d/9.wav", ["/d"], r"^([a-z]+)_", ["fan", "pump"]) == ""
    assert anomaly_files.section_of("/d/9.wav", ["/d"], None, ["all"]) == "all"


# Evaluating


def test_evaluation_beside_baselines(plant: Path, tmp_path: Path) -> None:
    found = anomaly_measuring.anomaly_evaluate(plant, output=tmp_path / "out", folds=2)
    methods = {method.method: method.auc for method in found.methods}
    assert tuple(methods) == anomaly_measuring.METHODS
    assert methods["fused"][0] >= 0.9
    assert methods["chance"] == (0.5, 0.5, 0.5)
    low, high = methods["fused"][1:]
    assert low <= methods["fused"][0] <= high
    section = found.sections[0]
    assert (section.section, section.n_normal, section.n_abnormal) == ("all", 6, 3)
    assert found.arithmetic_mean["auc"] == pytest.approx(found.harmonic_mean["auc"]) == section.auc
    assert {Path(path).name for path in found.written} == {"anomaly_score_all.csv", "decision_result_all.csv"}
    assert {Path(failure.path).name for failure in found.failures} == {"bad.wav", "silent.wav"}
    assert json.dumps(found.as_dict())


def test_no_group_is_on_both_sides(plant: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open(tmp_path / "list.csv", "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "label", "group", "section"])
        for k, name in enumerate("abcdef"):
            rows.writerow([plant / "normal" / f"{name}{k}x.wav", "ok", f"day {k // 2}", "fan"])
        for k, name in enumerate("ghi"):
            rows.writerow([plant / "broken" / f"{name}{k}x.wav", "worn", f"day {k}", "fan"])
    seen: list[Any] = []
    fit = anomaly_measuring.fit_parts
    monkeypatch.setattr(
        anomaly_measuring, "fit_parts", lambda heard, parts, *rest: seen.extend(parts) or fit(heard, parts, *rest)
    )
    found = anomaly_measuring.anomaly_evaluate(tmp_path / "list.csv", normal="ok")
    day = [0, 0, 1, 1, 2, 2, 0, 1, 2]
    assert seen
    for learnt, scored, _ in seen:
        assert {day[k] for k in learnt}.isdisjoint({day[k] for k in scored})
        assert max(learnt) < 6  # from normal recordings alone
    assert found.sections[0].section == "fan"


def test_labels_that_cannot_be_tested(plant: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--normal names the normal one"):
        anomaly_measuring.anomaly_evaluate(plant, normal="healthy")
    for k in range(5):
        write(tmp_path / "only" / "normal" / f"{k}.wav", machine(k))
    with pytest.raises(InputError, match="expected abnormal recordings"):
        anomaly_measuring.anomaly_evaluate(tmp_path / "only")
    write(tmp_path / "few" / "broken" / "a.wav", broken(0))
    for k in range(2):
        write(tmp_path / "few" / "normal" / f"{k}.wav", machine(k))
    with pytest.raises(InputError, match="at least 4 normal recordings, got 2"):
        anomaly_measuring.anomaly_evaluate(tmp_path / "few")
    with pytest.raises(InputError, match="no regular expression"):
        anomaly_measuring.anomaly_evaluate(plant, group_from="(")
    with pytest.raises(InputError, match="matches none"):
        anomaly_measuring.anomaly_evaluate(plant, label_from="zzz")


def test_names_that_look_like_one_source_are_remarked() -> None:
    files = [anomaly_files.MachineFile(f"/d/{stem}_{k}.wav", "") for stem in ("fan", "mill") for k in range(3)]
    assert "--group-from" in anomaly.one_source_note(files)[0]
    grouped = [anomaly_files.MachineFile(file.path, "", group="g") for file in files]
    assert anomaly.one_source_note(grouped) == []


# Commands


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The group, whether or not the package names its workflows already."""
    from volna import workflows
    from volna.cli.anomaly_commands import anomaly as group

    places = {"anomaly_train": "anomaly", "anomaly_predict": "anomaly_judging", "anomaly_evaluate": "anomaly_measuring"}
    monkeypatch.setattr(workflows, "_PLACES", workflows._PLACES | places)
    return group


def test_the_commands_print_tables_and_json(plant: Path, model: Path, tmp_path: Path, commands: Any) -> None:
    run = CliRunner()
    trained = run.invoke(commands, ["train", str(plant / "normal"), "-o", str(tmp_path / "m")])
    assert trained.exit_code == 0, trained.output
    assert "threshold" in trained.stdout
    assert "silent.wav" in trained.stderr
    said = run.invoke(commands, ["predict", str(plant / "broken"), "--model", str(model)])
    assert "3 of 3 abnormal" in said.stdout
    parsed = json.loads(
        run.invoke(commands, ["predict", str(plant / "broken"), "--model", str(model), "--json"]).stdout
    )
    assert parsed["files"][0]["abnormal"] is True
    measured = run.invoke(commands, ["evaluate", str(plant), "--folds", "2"])
    assert "harmonic mean" in measured.stdout
    assert "loudness" in measured.stdout


def test_every_command_parses_its_examples(commands: Any) -> None:
    for command in commands.commands.values():
        assert command.short_help
        assert "Example:" in command.help
        assert all(option.help for option in command.params if isinstance(option, click.Option))
        words = [line.split()[2:] for line in command.help.splitlines() if line.strip().startswith("volna anomaly")]
        assert words
