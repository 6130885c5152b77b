"""The commands `encode`, `decode` and `codec`: what they print, where, and their exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from codec_models import TINY, codec, codec_bytes, codec_file, made_sound

from volna.audio.encode import encode as write_sound
from volna.cli import codec_commands
from volna.errors import VolnaError
from volna.workflows.making import codec_training
from volna.workflows.making.codec_training import codec_train


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    return write_sound(tmp_path / "in.wav", made_sound(0, 12.0), 8000)


def run(*arguments: str | Path) -> Result:
    command = {command.name: command for command in codec_commands.COMMANDS}[str(arguments[0])]
    return CliRunner().invoke(command, [str(argument) for argument in arguments[1:]], standalone_mode=False)


def test_there_and_back_with_json(tmp_path: Path, sound: Path) -> None:
    model = codec_file(tmp_path)
    done = run("encode", sound, tmp_path / "x.volna", "--model", model, "--kbps", "1", "--json")
    report = json.loads(done.stdout)
    assert report["n_bytes"] == (tmp_path / "x.volna").stat().st_size
    assert report["model_id"] == codec().id
    done = run("decode", tmp_path / "x.volna", tmp_path / "out.wav", "--model", model, "--json")
    assert json.loads(done.stdout)["n_samples"] == 12 * 8000
    assert done.return_value == 0
    text = run("encode", sound, tmp_path / "x.volna", "--model", model, "--force").stdout
    assert "kbit/s" in text
    assert f"model tiny ({codec().id})" in text


def test_damage_is_told_on_the_error_stream_and_by_the_exit_code(tmp_path: Path, sound: Path) -> None:
    model = codec_file(tmp_path)
    run("encode", sound, tmp_path / "x.volna", "--model", model)
    data = bytearray((tmp_path / "x.volna").read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "x.volna").write_bytes(bytes(data))
    done = run("decode", tmp_path / "x.volna", tmp_path / "out.wav", "--model", model)
    assert done.return_value == codec_commands.DAMAGED == 3
    assert "damaged, silence instead: 5.0 to 10.0 s" in done.stderr
    assert "12 s at 8000 Hz" in done.stdout


def test_errors_are_volnas(tmp_path: Path, sound: Path) -> None:
    done = run("encode", sound, tmp_path / "x.volna", "--model", tmp_path / "missing")
    assert isinstance(done.exception, VolnaError)
    done = run("codec", "train", tmp_path / "nowhere", "-o", tmp_path / "m.codec")
    assert isinstance(done.exception, VolnaError)


def test_a_codec_is_trained_resumed_and_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "sounds"
    folder.mkdir()
    for seed in range(3):
        write_sound(folder / f"{seed}.wav", made_sound(seed, 2.0), 8000)
    (folder / "broken.wav").write_bytes(b"RIFF" + bytes(40))
    sizes = {name: getattr(TINY, name) for name in ("n_frames", "batch_size", "n_dims", "width", "dim", "depth")}
    monkeypatch.setattr(codec_training, "SIZES", sizes)
    arguments = ("codec", "train", folder, "-o", tmp_path / "m.codec", "--jobs", "1", "--time-budget", "2s")
    done = run(*arguments, "--json")
    report = json.loads(done.stdout)
    assert (report["found"], report["n_sounds"], report["failed"], report["sample_rate"]) == (4, 3, 1, 8000)
    assert report["steps"] > 0
    assert "broken.wav" in done.stderr
    assert "a codec of so little" in done.stderr
    again = run(*arguments, "--resume")
    assert again.exception is None
    assert "rates in kbit/s" in again.stdout
    with pytest.raises(VolnaError, match="--force"):
        codec_train(folder, tmp_path / "m.codec")
    assert run("encode", folder / "0.wav", tmp_path / "x.volna", "--model", tmp_path / "m.codec").exception is None


def test_an_evaluation_sets_codecs_side_by_side(tmp_path: Path, sound: Path) -> None:
    model = codec_file(tmp_path)
    write_sound(tmp_path / "silent.wav", made_sound(0, 1.0) * 0, 8000)
    paths = (sound, tmp_path / "silent.wav", "--model", model, "--kbps", "1", "--jobs", "1")
    done = run("codec", "evaluate", *paths, "-o", tmp_path / "curve.png", "--json")
    report = json.loads(done.stdout)
    assert report["n_files"] == 1
    assert "silent.wav" in done.stderr
    rows = {(row["codec"], row["rate_kbps"]): row for row in report["rows"]}
    assert set(rows) == {("volna", 1.0), ("mel + griffin-lim", 1.0), *(("opus", k) for k in (6.0, 8.0, 12.0)),
                         *(("mp3", k) for k in (8.0, 16.0, 24.0))}  # fmt: skip
    assert rows["volna", 1.0]["kbps"] == rows["mel + griffin-lim", 1.0]["kbps"]
    assert rows["volna", 1.0]["kbps"] < rows["opus", 6.0]["kbps"] < rows["mp3", 24.0]["kbps"]
    assert rows["mp3", 24.0]["scores"]["si_sdr_db"] > 10  # the delay of MP3 is taken out
    assert rows["opus", 12.0]["scores"]["si_sdr_db"] > 5
    assert set(rows["volna", 1.0]["scores"]) == {"si_sdr_db", "stft", "mel_db"}
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")


def test_the_default_model_is_small_and_works(tmp_path: Path, sound: Path) -> None:
    from volna.workflows.making.compressing import DEFAULT_MODEL

    assert DEFAULT_MODEL.stat().st_size < 1.6e6
    assert run("encode", sound, tmp_path / "x.volna", "--kbps", "1.5").exception is None
    assert run("decode", tmp_path / "x.volna", tmp_path / "out.wav").return_value == 0


def test_every_command_explains_itself() -> None:
    for command in codec_commands.COMMANDS:
        assert "Example:" in (command.help or "")
    assert len(codec_bytes()) > 1000
