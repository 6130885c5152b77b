"""The command line: options in, one workflow called, text, JSON and exit codes out.

The workflows are replaced by fakes that return fixed results and record what they were called with.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from volna import workflows
from volna.cli import main, options, output, reports
from volna.cli.progress import Progress
from volna.errors import InputError, LibraryError
from volna.workflows.embedding_files import EmbedSummary
from volna.workflows.models import ExportReport, ModelReport
from volna.workflows.results import DemoReport, Evaluation, Failure, IndexSummary, Match, Playlist, Row, Similar, Status

Run = Callable[..., SimpleNamespace]


def a_match(rank: int = 1, path: str = "/music/a b/Ada - Waves.flac", **changes: Any) -> Match:
    fields: dict[str, Any] = {
        "rank": rank, "id": 7, "path": path, "artist": "Ada", "title": "Waves", "album": "Sea", "similarity": 0.9625,
        "distance": 0.0375, "why": "96 / 97 BPM, similar brightness", "duration_s": 200.0,
    }  # fmt: skip
    return Match(**{**fields, **changes})


def a_summary(**changes: Any) -> IndexSummary:
    fields: dict[str, Any] = {"found": 9, "analysed": 4, "unchanged": 2, "moved": 1, "failed": 1, "excluded": 1}
    failures = [Failure("/music/broken.mp3", "holds no audio")]
    return IndexSummary(**{**fields, "other": 3, "model": "abc", "seconds": 75.2, "failures": failures, **changes})


def an_evaluation() -> Evaluation:
    share, spread = (0.512, 0.481, 0.548), (1.25, 0.9, 1.6)
    row = Row("descriptors", share, share, share, share, spread, (0.104, 0.08, 0.13))
    return Evaluation("genre tags", 120, 6, [row], ["2 tracks have no artist"])


def a_model(**changes: Any) -> ModelReport:
    mel = {"n_mels": 64, "fmin_hz": 30.0, "fmax_hz": 4700.0, "mel_scale": "slaney", "n_fft": 768, "hop_length": 280,
           "sample_rate": 12000}  # fmt: skip
    summary = {"n_training": 9, "n_validation": 1, "steps": 800, "stopped": "steps", "val_loss": 0.25,
               "val_loss_pca": 0.3, "val_loss_mean_spectrum": 0.9}  # fmt: skip
    fields: dict[str, Any] = {
        "id": "5f0c2a7be1d94c33", "file": "m.safetensors", "n_bytes": 1_600_000, "architecture": "conv",
        "config": {"latent": 64, "channels": (16, 32)}, "n_parameters": 417993, "stride": 16, "dim": 64,
        "input": "log-mel", "mel_config": mel, "normalisation": {"std_db": 9.0}, "summary": summary, "version": "0.1.0",
    }  # fmt: skip
    return ModelReport(**{**fields, **changes})


RESULTS: dict[str, Any] = {
    "index": a_summary(),
    "similar": Similar("Ada - Sea", "both", [a_match(), a_match(2, title="海の歌")], ["no model yet"]),
    "wave": Playlist(["Ada - Sea"], "both", {"n": 2}, [a_match(), a_match(2)], ["artist gap 5 -> 2"]),
    "journey": Playlist(["A", "B"], "both", {"n": 2}, [a_match()]),
    "train": {"model": "abc", "validation_loss": 0.123456, "tracks": 3000, "config": {"model": "conv"}},
    "evaluate": an_evaluation(),
    "status": Status("/l.db", 240, 241, 1, 0, 2, 0.7, "spread", "abc", 240, 240, ["descriptors", "autoencoder"]),
    "failures": [Failure("/music/broken.mp3", "holds no audio")],
    "forget": 3,
    "save_playlist": None,
    "embed": EmbedSummary("v.npz", "autoencoder", "abc", False, 3, 2, 1, 2, 64, 1.2,
                          [Failure("/music/broken.mp3", "holds no audio")], ["a remark"]),
    "train_folder": {"output": "m.safetensors", "n_tracks": 7, "pictures": ["m.curve.png"], "config": {"model": "conv"},
                     "failures": [Failure("/music/broken.mp3", "holds no audio")], "notes": ["a remark"]},
    "model_show": a_model(),
    "export_model": ExportReport(["onnx/encoder.onnx"], 20, True, 1.2e-7, ["a remark"]),
}  # fmt: skip
RESULTS["demo"] = DemoReport(
    folder="volna-demo", library="volna-demo/library.db", index=a_summary(), similar=RESULTS["similar"],
    playlist=RESULTS["wave"], playlist_path="volna-demo/wave.m3u8", evaluation=an_evaluation(), seconds=150.0,
    notes=["The music is synthetic."],
)  # fmt: skip

COMMANDS = {
    "index": ["index", "/music"],
    "similar": ["similar", "ada"],
    "wave": ["wave", "ada"],
    "journey": ["journey", "ada", "bob"],
    "train": ["train"],
    "evaluate": ["evaluate"],
    "embed": ["embed", "/music", "-o", "v.npz"],
    "model_show": ["model", "show"],
    "status": ["status"],
    "failures": ["failures"],
    "forget": ["forget", "/music"],
    "demo": ["demo"],
}


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Call ``run(*argv, index=...)`` to run the command line; a keyword replaces a result, or raises an error."""
    monkeypatch.delenv("VOLNA_LIBRARY", raising=False)

    def run_main(*argv: str, **results: Any) -> SimpleNamespace:
        calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []

        def fake(name: str, result: Any) -> Callable[..., Any]:
            def workflow(*args: Any, **kwargs: Any) -> Any:
                kwargs.pop("progress", None)
                calls.append((name, args, kwargs))
                if isinstance(result, BaseException):
                    raise result
                return result

            return workflow

        for name, result in {**RESULTS, **results}.items():
            monkeypatch.setitem(vars(workflows), name, fake(name, result))  # its own attributes are made lazily
        code = main(argv)
        printed = capsys.readouterr()
        return SimpleNamespace(code=code, out=printed.out, err=printed.err, calls=calls)

    return run_main


# Every command


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_calls_its_workflow_once_and_prints_something(run: Run, name: str) -> None:
    done = run(*COMMANDS[name])
    assert done.code == 0
    assert [call[0] for call in done.calls] == [name]
    assert done.out.strip()


@pytest.mark.parametrize("name", COMMANDS)
def test_json_is_one_object_on_one_line(run: Run, name: str) -> None:
    done = run(*COMMANDS[name], "--json")
    assert done.code == 0
    assert done.out.count("\n") == 1
    assert done.out.isascii()
    assert isinstance(json.loads(done.out), dict)


@pytest.mark.parametrize("name", COMMANDS)
def test_library_is_passed_from_the_option(run: Run, name: str) -> None:
    assert run(*COMMANDS[name], "--library", "x.db").calls[0][2]["library"] == "x.db"


def test_library_is_passed_from_the_environment_but_never_to_the_demo(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VOLNA_LIBRARY", "env.db")
    libraries = {name: run(*argv).calls[0][2]["library"] for name, argv in COMMANDS.items()}
    assert libraries.pop("demo") is None
    assert set(libraries.values()) == {"env.db"}


# Options


def test_index_unpacks_its_options(run: Run) -> None:
    done = run("index", "a", "b", "--segment", "start", "--jobs", "3", "--exclude", "*.wav", "--exclude", "x/*",
               "--train-time", "90s", "--seed", "5")  # fmt: skip
    expected = {"segment": "start", "jobs": 3, "exclude": ("*.wav", "x/*"), "train_time_s": 90.0, "seed": 5}
    assert done.calls == [("index", (["a", "b"],), {**expected, "library": None})]


def test_index_leaves_choices_to_the_workflow_by_default(run: Run) -> None:
    expected = {"segment": None, "jobs": None, "exclude": (), "train_time_s": 300.0, "seed": 0, "library": None}
    assert run("index", "a").calls == [("index", (["a"],), expected)]


def test_wave_unpacks_its_options(run: Run) -> None:
    done = run("wave", "a", "b", "--not", "c", "-n", "30", "--max-per-artist", "2", "--artist-gap", "7", "--bpm",
               "90-130", "--year", "1990-1999", "--genre", "Jazz", "--seed", "4", "--by", "descriptors")  # fmt: skip
    ranges = {"bpm": (90.0, 130.0), "year": (1990, 1999), "genre": "Jazz"}
    rules = {"max_per_artist": 2, "artist_gap": 7, "n": 30, "by": "descriptors", "seed": 4}
    assert done.calls == [("wave", (["a", "b"],), {"avoid": ["c"], "library": None, **ranges, **rules})]


def test_similar_and_journey_unpack_their_options(run: Run) -> None:
    assert run("similar", "a", "-n", "5").calls == [("similar", ("a",), {"n": 5, "by": None, "library": None})]
    expected = {"n": 20, "by": None, "seed": 0, "library": None}
    assert run("journey", "a", "b").calls == [("journey", ("a", "b"), expected)]


def test_evaluate_takes_labels_from_one_place(run: Run) -> None:
    assert run("evaluate", "--labels", "l.csv").calls[0][2]["labels"] == "l.csv"
    assert run("evaluate", "--labels-from", "folder").calls[0][2]["labels_from"] == "folder"
    assert run("evaluate", "--labels", "l.csv", "--labels-from", "folder").code == 2


CHOICES = {
    "model": "conv", "latent": None, "loss": "mse", "optimizer": "adamw", "preset": "small", "device": "auto",
}  # fmt: skip


def test_train_without_a_folder_is_the_library(run: Run) -> None:
    expected = {**CHOICES, "library": None, "train_time_s": 300.0, "seed": 0, "jobs": None}
    assert run("train").calls == [("train", (), expected)]
    assert run("train", "--latent", "32", "--resume").calls[0][2] == {**expected, "latent": 32}


def test_train_with_a_folder_makes_a_file(run: Run) -> None:
    done = run("train", "f", "-o", "m.safetensors", "--model", "pca", "--latent", "8", "--loss", "mae", "--optimizer",
               "sgd", "--preset", "tiny", "--time-budget", "90s", "--resume", "--seed", "3", "--device", "cpu",
               "--force", "--jobs", "2", "--input", "mfcc")  # fmt: skip
    chosen = {"model": "pca", "latent": 8, "loss": "mae", "optimizer": "sgd", "preset": "tiny"}
    rest = {"train_time_s": 90.0, "resume": True, "seed": 3, "device": "cpu", "force": True, "jobs": 2, "input": "mfcc"}
    assert done.calls == [("train_folder", ("f", "m.safetensors"), {**chosen, **rest})]
    assert "config" not in done.out
    assert "a remark" in done.err
    assert "holds no audio" in done.err
    assert "holds no audio" not in done.out
    assert run("train", "f").calls[0][1] == ("f", "model.safetensors")
    failures = json.loads(run("train", "f", "--json").out)["failures"]
    assert failures == [{"path": "/music/broken.mp3", "reason": "holds no audio"}]


def test_train_takes_a_folder_or_a_library(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run("train", "f", "--library", "l.db").code == 2
    assert run("train", "-o", "m.safetensors").code == 2
    assert run("train", "--device", "tpu").code == 2
    monkeypatch.setenv("VOLNA_LIBRARY", "env.db")
    assert run("train", "f").calls[0][0] == "train_folder"


def test_embed_unpacks_its_options(run: Run) -> None:
    done = run("embed", "a", "b", "-o", "v.csv", "--model", "m", "--by", "autoencoder", "--windows", "--force",
               "--jobs", "2")  # fmt: skip
    rest = {"model": "m", "by": "autoencoder", "windows": True, "force": True, "jobs": 2, "library": None}
    assert done.calls == [("embed", (["a", "b"], "v.csv"), rest)]
    assert "2 files of 64 numbers" in done.out
    assert "broken.mp3: holds no audio" in done.err
    assert run("embed", "a").code == 2  # no output


@pytest.mark.parametrize("extra", [[], ["--json"]])
def test_embed_exits_1_only_when_there_is_nothing(run: Run, extra: list[str]) -> None:
    failed = [Failure(f"/{k}.mp3", "holds no audio") for k in range(12)]
    done = run("embed", "a", "-o", "v.npz", *extra, embed=EmbedSummary("v.npz", found=12, failed=12, failures=failed))
    assert done.code == 1
    assert "nothing could be embedded" in done.err
    assert done.err.count("holds no audio") == 12
    assert bool(done.out) == bool(extra)


def test_a_model_is_shown_beside_what_learns_little(run: Run) -> None:
    done = run("model", "show", "m.safetensors")
    assert done.calls == [("model_show", ("m.safetensors",), {"library": None})]
    for part in ("5f0c2a7be1d94c33", "conv, 417993", "64 bands", "12000 Hz", "0.37 s", "9 sounds, 1 held out", "0.25",
                 "PCA of the same size 0.3", "the mean spectrum 0.9"):  # fmt: skip
        assert part in done.out
    assert json.loads(run("model", "show", "m", "--json").out)["losses"] == {
        "model": 0.25, "pca": 0.3, "mean_spectrum": 0.9
    }  # fmt: skip
    bare = run("model", "show", "m", model_show=a_model(mel_config={}, summary={}))
    assert bare.code == 0


def test_export_passes_its_folder(run: Run) -> None:
    done = run("model", "export", "m", "-o", "onnx", "--force")
    assert done.calls == [("export_model", ("m", "onnx"), {"force": True})]
    assert "agree to 1e-07" in done.out
    assert "a remark" in done.err
    assert run("model", "export", "m").code == 2
    assert run("model").code == 2


def test_m3u_writes_the_results(run: Run) -> None:
    for name in ("similar", "wave", "journey"):
        done = run(*COMMANDS[name], "--m3u", "x.m3u8")
        assert done.calls[1] == ("save_playlist", (RESULTS[name].results, "x.m3u8"), {})
        assert "wrote x.m3u8" in done.err
        assert "wrote" not in done.out


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("5m", 300), ("1h", 3600), ("0", 0), ("45", 45), ("1h30m", 5400), ("1.5m", 90)]
)
def test_durations(text: str, seconds: float) -> None:
    assert options.parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "m", "5 minutes", "-5m", "5m1h", "nan", "1d"])
def test_what_is_no_duration_is_refused(run: Run, text: str) -> None:
    with pytest.raises(ValueError, match="expected a time"):
        options.parse_duration(text)
    assert run("index", "a", f"--train-time={text}").code == 2


def test_ranges(run: Run) -> None:
    assert options.parse_span("90-130") == (90, 130)
    assert options.parse_span("90.5 - 130") == (90.5, 130)
    assert run("wave", "a", "--year", "1994").calls[0][2]["year"] == (1994, 1994)


@pytest.mark.parametrize(
    "argv", ["--bpm 120", "--bpm 130-90", "--year nineties", "--year 1999-1990", "-n 0", "--by ear", "--colour"]
)
def test_wrong_usage_is_exit_code_2_on_standard_error(run: Run, argv: str) -> None:
    done = run("wave", "a", *argv.split())
    assert (done.code, done.out, done.calls) == (2, "", [])
    assert "Error" in done.err


# Exit codes


def test_an_error_is_one_line_and_exit_code_1(run: Run) -> None:
    done = run("similar", "ada", similar=LibraryError("no library at /l.db; `volna index PATH` makes one"))
    assert (done.code, done.out) == (1, "")
    assert done.err == "volna: no library at /l.db; `volna index PATH` makes one\n"


def test_a_message_with_line_breaks_stays_one_line(run: Run) -> None:
    assert run("similar", "ada", similar=InputError("no file a\nb.mp3")).err == "volna: no file a\\nb.mp3\n"


def test_a_full_disk_is_one_line_and_a_bug_keeps_its_traceback(run: Run) -> None:
    done = run("index", "a", index=OSError(28, "No space left on device", "/l.db"))
    assert (done.code, done.err) == (1, "volna: /l.db: No space left on device\n")
    with pytest.raises(ZeroDivisionError):
        run("index", "a", index=ZeroDivisionError())


def test_ctrl_c_is_130_and_says_what_is_kept(run: Run) -> None:
    done = run("index", "a", index=KeyboardInterrupt())
    assert done.code == 130
    assert "analysed so far is kept" in done.err
    assert len(done.err.strip().splitlines()) == 1
    assert run("status", status=KeyboardInterrupt()).code == 130


@pytest.mark.parametrize(
    ("summary", "code", "reason"),
    [
        ({"failed": 5}, 0, ""),
        ({"analysed": 0, "moved": 0}, 0, ""),  # all of it known
        ({"found": 0, "analysed": 0, "unchanged": 0, "moved": 0, "failed": 0, "excluded": 0}, 1, "no audio files"),
        ({"analysed": 0, "unchanged": 0, "moved": 0}, 1, "none of the 9 audio files"),
        ({"analysed": 0, "unchanged": 0, "moved": 0, "failed": 0, "excluded": 9}, 1, "excluded"),
    ],
)
@pytest.mark.parametrize("extra", [[], ["--json"]])
def test_index_exits_1_only_when_there_is_nothing(
    run: Run, summary: dict[str, int], code: int, reason: str, extra: list[str]
) -> None:
    done = run("index", "a", *extra, index=a_summary(**summary))
    assert done.code == code
    assert reason in done.err
    assert bool(done.err) == bool(code)


def test_help_version_and_no_command(run: Run) -> None:
    assert run("--help").code == 0
    assert run("--version").out.startswith("volna ")
    assert run("unheard-of").code == 2


# JSON


def test_index_json_has_the_documented_keys(run: Run) -> None:
    found = json.loads(run("index", "a", "--json").out.splitlines()[-1])
    keys = "found analysed unchanged moved failed excluded other gone model seconds failures notes"
    assert set(found) == set(keys.split())
    assert found["failures"] == [{"path": "/music/broken.mp3", "reason": "holds no audio"}]
    assert found["found"] == sum(found[k] for k in ("analysed", "unchanged", "moved", "failed", "excluded"))


def test_similar_and_wave_json_have_the_documented_keys(run: Run) -> None:
    similar = json.loads(run("similar", "ada", "--json").out)
    assert {"query", "by", "results"} <= set(similar)
    keys = {"rank", "id", "path", "artist", "title", "album", "similarity", "distance", "why"}
    assert all(keys <= set(match) for match in similar["results"])
    wave = json.loads(run("wave", "ada", "--json").out)
    assert {"query", "by", "settings", "results", "relaxed"} <= set(wave)
    assert keys <= set(wave["results"][0])


def test_evaluate_json_holds_the_table(run: Run) -> None:
    row = json.loads(run("evaluate", "--json").out)["rows"][0]
    assert row["name"] == "descriptors"
    assert row["precision_at_10"] == [0.512, 0.481, 0.548]


def test_paths_that_are_not_utf8_survive_json(run: Run) -> None:
    raw = b"/music/caf\xe9 \n\xff.mp3"
    failed = [Failure(os.fsdecode(raw), "holds no audio")]
    path = json.loads(run("failures", "--json", failures=failed).out)["failures"][0]["path"]
    assert os.fsencode(path) == raw


def test_json_has_no_nan(run: Run) -> None:
    done = run("train", "--json", train={"loss": float("nan"), "path": Path("a"), "best": float("inf")})
    assert json.loads(done.out) == {"loss": None, "path": "a", "best": None}


# Text


def test_the_sum_of_an_index_run_adds_up_and_is_aligned(run: Run) -> None:
    lines = run("index", "a").out.splitlines()
    counts = {line.split()[0]: line for line in lines if len(line.split()) > 1 and line.split()[1].isdigit()}
    parts = ("analysed", "unchanged", "moved", "failed", "excluded")
    assert sum(int(counts[name].split()[1]) for name in parts) == int(counts["found"].split()[1])
    ends = {line.index(line.split()[1]) + len(line.split()[1]) for line in counts.values()}
    assert len(ends) == 1
    assert any("volna similar" in line for line in lines)


def test_ten_failures_are_shown_and_the_rest_is_counted(run: Run) -> None:
    failed = [Failure(f"/music/{k:02}.mp3", "holds no audio") for k in range(13)]
    text = run("index", "a", index=a_summary(failed=13, failures=failed)).out
    assert "09.mp3" in text
    assert "10.mp3" not in text
    assert "3 more" in text
    assert "volna failures" in text


def test_remarks_go_to_standard_error_and_results_to_standard_output(run: Run) -> None:
    done = run("similar", "ada")
    assert "no model yet" in done.err
    assert "no model yet" not in done.out
    assert "Waves" in done.out
    assert "artist gap 5 -> 2" in run("wave", "ada").err


@pytest.mark.parametrize("columns", [60, 80, 120, 200])
@pytest.mark.parametrize("name", ["index", "similar", "wave", "evaluate", "status", "failures", "demo"])
def test_text_stays_within_the_terminal(run: Run, monkeypatch: pytest.MonkeyPatch, name: str, columns: int) -> None:
    for module in (output, reports):
        monkeypatch.setattr(module, "width", lambda: columns)
    long = [a_match(title="音楽" * 40, path="/music/" + "x" * 200 + "/end.flac", why="similar " * 30)]
    failed = [Failure("/music/" + "y" * 200, "holds no audio " * 3)]
    results = {"similar": Similar("q" * 300, "both", long), "failures": failed, "index": a_summary(failures=failed)}
    lines = run(*COMMANDS[name], **results).out.splitlines()
    too_wide = [line for line in lines if output.text_width(line) > max(columns, 80)]
    assert not too_wide


def test_a_narrow_table_of_tracks_still_shows_the_end_of_the_path(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reports, "width", lambda: 80)
    found = Similar("q", "both", [a_match(path="/music/" + "x" * 200 + "/end.flac")])
    assert "end.flac" in run("similar", "ada", similar=found).out


def test_a_pipe_gets_one_whole_line_a_track(run: Run) -> None:
    long = "/music/" + "x" * 300 + ".flac"
    lines = run("similar", "ada", similar=Similar("q", "both", [a_match(path=long)])).out.splitlines()
    assert [line for line in lines if long in line and "96 / 97 BPM" in line and "Waves" in line]


def test_training_is_reported_without_its_configuration(run: Run) -> None:
    assert run("train").out.splitlines() == ["model            abc", "validation loss  0.1235", "tracks           3000"]


def test_the_demo_shows_every_step_and_says_that_it_is_synthetic(run: Run) -> None:
    text = run("demo").out
    for part in ("indexed", "similar", "wave", "evaluate", "SYNTHETIC", "volna index ~/Music", "2 min 30 s"):
        assert part in text
    assert text.count("next:") == 1


def test_control_characters_of_tags_never_reach_the_terminal(run: Run) -> None:
    found = Similar("q", "both", [a_match(title="a\x1b[2Jb\nc\u202e", path="/m/\udcff.mp3")])
    text = run("similar", "ada", similar=found).out
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "a\\x1b[2Jb\\nc" in text
    assert "\\udcff.mp3" in text


def test_wide_characters_are_aligned() -> None:
    lines = output.table([("音楽", "1"), ("music", "22"), ("e\u0301", "3")], right=[1], columns=80)
    assert {output.text_width(line) for line in lines} == {output.text_width("music  22")}


def test_clip_keeps_within_its_columns() -> None:
    for text in ("plain text", "音楽を聴く", "a音b楽c"):
        for columns in range(1, 12):
            for keep_end in (False, True):
                assert output.text_width(output.clip(text, columns, keep_end=keep_end)) <= columns


def test_a_table_without_rows_is_empty() -> None:
    assert output.table([], columns=80) == []


# Progress


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_plain_progress_is_a_line_now_and_then() -> None:
    stream, clock = io.StringIO(), Clock()
    with Progress(stream, clock=clock) as progress:
        for done in range(1001):
            clock.now = 0.1 * done  # 100 s
            progress("analysing", done, 1000)
    lines = stream.getvalue().splitlines()
    assert 5 <= len(lines) <= 15
    assert lines[0] == "analysing: 20/1000, 1 min 38 s left"
    assert lines[-1] == "analysing: 1000/1000"


def test_plain_progress_of_a_short_stage_says_nothing() -> None:
    stream, clock = io.StringIO(), Clock()
    with Progress(stream, clock=clock) as progress:
        for done in range(10):
            clock.now = 0.1 * done
            progress("scanning", done, 10)
    assert stream.getvalue() == ""


def test_plain_progress_of_a_slow_stage_speaks_twice_a_minute() -> None:
    stream, clock = io.StringIO(), Clock()
    with Progress(stream, clock=clock) as progress:
        for done in range(100):
            clock.now = 1.0 * done
            progress("scanning", done, None, "deep/folder")
    lines = stream.getvalue().splitlines()
    assert lines == [f"scanning: {done}, deep/folder" for done in (2, 32, 62, 92)]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_bars_one_a_stage_each_reaching_its_end() -> None:
    stream = Terminal()
    with Progress(stream) as progress:
        progress("scanning", 3, None)
        for stage in ("analysing", "training"):
            for done in range(11):
                progress(stage, done, 10, "loss 0.5")
    lines = [line.split("\r")[-1] for line in stream.getvalue().split("\n")]
    assert [line.split()[0] for line in lines if line.strip()] == ["scanning", "analysing", "training"]
    assert all("10/10" in line for line in lines if line.strip() and "scanning" not in line)
    assert "loss 0.5" in stream.getvalue()


def test_a_bar_is_drawn_on_a_terminal_that_does_not_tell_its_size(monkeypatch: pytest.MonkeyPatch) -> None:
    pty = pytest.importorskip("pty", reason="needs a pseudo-terminal")
    ours, theirs = pty.openpty()  # it says 0 columns
    with os.fdopen(theirs, "w") as stream:
        monkeypatch.setattr(sys, "stderr", stream)
        with Progress() as progress:
            progress("analysing", 3, 10)
    assert b"3/10" in os.read(ours, 4096)
    os.close(ours)


# The real process


def python(code: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), **environment}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, env=env, timeout=60)


FAKE_FAILURES = """
import sys
from types import ModuleType
import volna
from volna.workflows.results import Failure
workflows = ModuleType("volna.workflows")
workflows.failures = lambda library: [Failure("/m/\\udcff\\u00e9.mp3", "no audio")] * 20000
sys.modules["volna.workflows"] = volna.workflows = workflows
from volna.cli import main
"""


@pytest.mark.parametrize("encoding", ["ascii", "utf-8", "latin-1"])
def test_any_path_prints_in_any_encoding(encoding: str) -> None:
    done = python(FAKE_FAILURES + 'sys.exit(main(["failures"]))', PYTHONIOENCODING=encoding)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"\\udcff" in done.stdout


def test_a_closed_pipe_is_quiet() -> None:
    code = FAKE_FAILURES + 'sys.exit(main(["failures"]))'
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(timeout=60) == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, a disk that is always full")
def test_a_full_disk_under_standard_output_is_one_line() -> None:
    code = FAKE_FAILURES + 'sys.exit(main(["failures"]))'
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with open("/dev/full", "w") as full:
        done = subprocess.run([sys.executable, "-c", code], stdout=full, stderr=subprocess.PIPE, env=env, timeout=60)
    assert (done.returncode, done.stderr) == (1, b"volna: output: No space left on device\n")


def test_python_m_volna_is_the_command() -> None:
    done = python("import runpy; runpy.run_module('volna', run_name='__main__')")
    assert b"Usage" in done.stdout + done.stderr
