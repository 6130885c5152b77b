"""`info`: what files are, good and damaged, as a report, as text and as JSON."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from volna import workflows
from volna.audio.encode import encode
from volna.cli import files_commands
from volna.errors import AudioError, InputError
from volna.workflows.listening.info import info, info_of

TONE = 0.2 * np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(workflows._PLACES, "info", "listening.info")
    return lambda *words: CliRunner().invoke(files_commands.info, [*map(str, words)], standalone_mode=False)


@pytest.mark.parametrize(
    ("name", "codec", "wanted", "depth", "lossy"),
    [
        ("a.wav", None, "pcm_s16le", 16, False),
        ("a.wav", "pcm_s24le", "pcm_s24le", 24, False),
        ("a.wav", "pcm_u8", "pcm_u8", 8, False),
        ("a.wav", "pcm_f32le", "pcm_f32le", 32, False),
        ("a.wav", "pcm_alaw", "pcm_alaw", 8, True),
        ("a.aiff", None, "pcm_s16be", 16, False),
        ("a.flac", None, "flac", 16, False),
        ("a.oga", None, "flac", 16, False),
        ("a.m4a", "alac", "alac", 16, False),
        ("a.tta", None, "tta", 16, False),
        ("a.mp3", None, "mp3", None, True),
        ("a.opus", None, "opus", None, True),
        ("a.m4a", None, "aac", None, True),
    ],
)
def test_codec_depth_and_duration(tmp_path: Path, name, codec, wanted, depth, lossy) -> None:
    path = encode(tmp_path / name, np.stack([TONE, TONE]), 16_000, codec=codec, tags={"title": "A tone"})
    found = info_of(str(path))
    assert (found.codec, found.bit_depth, found.lossy, found.n_channels) == (wanted, depth, lossy, 2)
    assert found.sample_rate == (48_000 if wanted == "opus" else 16_000)
    assert found.duration_s == pytest.approx(1.0, abs=0.15)
    assert found.size_bytes == path.stat().st_size
    assert found.mean_bit_rate_bps == pytest.approx(8 * found.size_bytes / found.duration_s, rel=0.01)
    assert (found.wav is not None) == name.endswith(".wav")
    assert found.error is None
    if name not in ("a.tta",):  # no tags there
        assert found.tags["title"] == "A tone"


def test_a_wav_file_whose_sound_is_gone_still_shows_its_header(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.wav", TONE, 16_000)
    path.write_bytes(path.read_bytes()[:40])
    found = info_of(str(path))
    assert found.error
    assert str(path) not in found.error
    assert found.wav is not None
    assert found.wav.value("fmt ", "SampleRate") == 16_000
    assert any("no chunk 'data'" in said for said in found.wav.contradictions)
    report = info([path])
    assert [failure.path for failure in report.failures] == [str(path)]
    assert len(report.files) == 1


def test_what_is_no_audio_is_an_error_and_in_a_report_a_failure(tmp_path: Path, make_music) -> None:
    paths = make_music(2, "mixed", duration_s=0.5)
    (tmp_path / "mixed" / "broken.flac").write_bytes(b"fLaC" + bytes(100))
    with pytest.raises(AudioError):
        info_of(str(tmp_path / "mixed" / "broken.flac"))
    report = info([tmp_path / "mixed", tmp_path / "nothing.wav"])
    assert sorted(file.path for file in report.files) == sorted(map(str, paths))
    assert sorted(Path(failure.path).name for failure in report.failures) == ["broken.flac", "nothing.wav"]
    with pytest.raises(InputError, match="at least one path"):
        info([])


def test_the_text_holds_the_table_of_the_header(tmp_path: Path, run) -> None:
    path = encode(tmp_path / "a.wav", TONE, 16_000, codec="pcm_s24le", tags={"title": "Tone\x1b[31m"})
    done = run(path)
    assert done.exit_code == 0, done.output
    for words in ("pcm_s24le", "24 bits", "16000 Hz", "Subchunk1Size", "BlockAlign", "agrees with itself"):
        assert words in done.stdout
    row = next(line for line in done.stdout.splitlines() if "SampleRate" in line)
    assert row.split()[:2] == ["24", "4"]
    assert "\x1b" not in done.stdout
    data = bytearray(path.read_bytes())
    data[28:32] = (1).to_bytes(4, "little")
    path.write_bytes(data)
    assert "ByteRate is 1, but" in run(path).stdout


def test_many_files_have_a_line_each(tmp_path: Path, run, make_music) -> None:
    paths = make_music(11, duration_s=0.1)
    data = bytearray(paths[0].read_bytes())
    paths[0].write_bytes(data[:-10])
    lines = run(tmp_path / "music", "--jobs", 1).stdout.splitlines()
    assert len(lines) == 12
    assert sum("contradiction" in line for line in lines) == 1
    assert sum("agrees" in line for line in lines) == 10


def test_the_json_is_the_report_and_the_exit_code_says_whether_there_was_any(tmp_path: Path, run) -> None:
    path = encode(tmp_path / "a.wav", TONE, 16_000)
    done = run(path, tmp_path / "none.wav", "--json")
    assert done.return_value == 0
    printed = json.loads(done.stdout)
    assert printed == json.loads(json.dumps(info([path, tmp_path / "none.wav"]).as_dict()))
    assert printed["files"][0]["wav"]["fields"][0]["name"] == "ChunkID"
    assert printed["failures"][0]["reason"] == "no such file or folder"
    path.write_bytes(path.read_bytes()[:40])
    for words in ([tmp_path / "none.wav"], [path]):
        done = run(*words)
        assert done.return_value == 1
        assert "nothing could be read" in done.stderr


def test_odd_files_all_have_an_answer(real_sounds: Path) -> None:
    report = info([real_sounds / "odd_files"], jobs=2)
    assert len(report.files) > 120
    assert all(failure.reason for failure in report.failures)
    depths = {Path(file.path).name: file.bit_depth for file in report.files}
    assert depths["07 - 15 bit per sample.flac"] == 15
    assert depths["27bit-8kHz-noBext-mono.wav"] == 27
    assert depths["pcmwaveformat-24bit-4byte-48kHz-stereo.wav"] == 24
