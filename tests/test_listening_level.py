"""`level`: levels of known sounds, the intensity of a calibrated one, and what silence answers."""

from __future__ import annotations

import io
import json
import math
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from volna import workflows
from volna.audio.encode import encode, encode_blocks
from volna.cli import files_commands
from volna.cli.files_reports import level_report
from volna.errors import InputError
from volna.features.loudness import measure_loudness
from volna.workflows.listening.level import AIR_DENSITY, SOUND_SPEED, LevelReport, intensity, level, level_of

RATE = 16_000


def write(path: Path, samples: np.ndarray, rate: int = RATE) -> str:
    return str(encode(path, samples, rate, codec="pcm_f32le"))


def sine(hz: float = 1000.0, amplitude: float = 0.5, duration_s: float = 4.0) -> np.ndarray:
    return amplitude * np.sin(2 * np.pi * hz * np.arange(round(duration_s * RATE)) / RATE)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(workflows._PLACES, "level", "listening.level")
    return lambda *words: CliRunner().invoke(files_commands.level, [*map(str, words)], standalone_mode=False)


def test_the_levels_of_a_sine_are_those_of_the_textbook(tmp_path: Path) -> None:
    found = level_of(write(tmp_path / "a.wav", sine()))
    assert found.peak_dbfs == pytest.approx(20 * math.log10(0.5), abs=1e-4)
    assert found.rms_dbfs == pytest.approx(20 * math.log10(0.5) - 3.0103, abs=1e-4)
    assert found.crest_db == pytest.approx(3.0103, abs=1e-3)
    assert found.true_peak_dbtp == pytest.approx(-6.02, abs=0.1)
    assert found.integrated_lufs == pytest.approx(20 * math.log10(0.5) - 3.0, abs=0.1)
    assert found.loudness_range_lu == pytest.approx(0.0, abs=0.1)
    assert found.duration_s == 4.0
    assert found.channels[0].dc_offset == pytest.approx(0.0, abs=1e-6)


def test_channels_are_told_apart(tmp_path: Path) -> None:
    spike = np.zeros(4 * RATE)
    spike[3 * RATE] = -0.9
    found = level_of(write(tmp_path / "a.wav", np.stack([sine(amplitude=0.25), 0.1 + spike])))
    left, right = found.channels
    assert left.peak_dbfs == pytest.approx(-12.04, abs=0.01)
    assert (right.peak_at_s, right.peak_dbfs) == (3.0, pytest.approx(20 * math.log10(0.8), abs=1e-4))
    assert right.dc_offset == pytest.approx(0.1, abs=1e-4)
    assert found.peak_dbfs == right.peak_dbfs
    power = (10 ** (left.rms_dbfs / 10) + 10 ** (right.rms_dbfs / 10)) / 2
    assert found.rms_dbfs == pytest.approx(10 * math.log10(power), abs=1e-6)


def test_samples_reach_higher_between_themselves(tmp_path: Path) -> None:
    n = np.arange(RATE)
    fade = np.minimum(1, np.minimum(n, n[::-1]) / 1000)
    between = fade * np.sin(np.pi / 4 + np.pi / 2 * n)
    found = level_of(write(tmp_path / "a.wav", between))
    assert found.peak_dbfs == pytest.approx(-3.01, abs=0.01)
    assert found.true_peak_dbtp == pytest.approx(0.0, abs=0.1)


def test_the_curves_are_those_of_the_meter(tmp_path: Path) -> None:
    sound = (0.1 * np.random.default_rng(0).standard_normal(25 * RATE)).astype(np.float32)  # more than two blocks
    found = level_of(write(tmp_path / "a.wav", sound))
    whole = measure_loudness(sound, RATE)
    assert np.allclose(found.momentary_lufs, whole.momentary_lufs, atol=1e-6)
    assert found.momentary_at_s[0] == pytest.approx(0.4)
    assert found.momentary_at_s[-1] == pytest.approx(25.0)
    assert found.short_term_at_s[0] == pytest.approx(3.0)
    assert found.short_term_at_s[-1] == pytest.approx(25.0)
    assert "momentary_lufs" not in found.as_dict()


# Intensity


def test_a_pascal_of_a_sine_is_94_db() -> None:
    amplitude_pa = math.sqrt(2.0)
    heard = intensity(amplitude_pa / math.sqrt(2) / 20, amplitude_pa / 20, 20.0)
    assert heard.rms_pa == pytest.approx(1.0)
    assert heard.amplitude_pa == pytest.approx(amplitude_pa)
    assert heard.peak_pa == pytest.approx(amplitude_pa)
    assert heard.intensity_w_m2 == pytest.approx(amplitude_pa**2 / (2 * AIR_DENSITY * SOUND_SPEED))
    assert heard.intensity_level_db == pytest.approx(10 * math.log10(heard.intensity_w_m2 / 1e-12))
    assert heard.sound_pressure_level_db == pytest.approx(93.979, abs=1e-3)
    assert heard.sound_pressure_level_db - heard.intensity_level_db == pytest.approx(0.14, abs=0.01)


def test_calibration_moves_the_level_and_nothing_else(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", sine())
    one, ten = level_of(path, 1.0), level_of(path, 10.0)
    assert level_of(path).intensity is None
    assert ten.intensity.intensity_level_db - one.intensity.intensity_level_db == pytest.approx(20.0)
    assert ten.rms_dbfs == one.rms_dbfs
    for wrong in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(InputError, match="above 0 Pa"):
            level([path], full_scale_pa=wrong)


# Edges


def test_silence_is_minus_infinity_and_null(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", np.zeros((2, 4 * RATE)))
    found = level_of(path, 1.0)
    assert found.peak_dbfs == found.rms_dbfs == found.integrated_lufs == found.true_peak_dbtp == -math.inf
    assert math.isnan(found.crest_db)
    plain = found.as_dict()
    assert plain["peak_dbfs"] is plain["crest_db"] is plain["intensity"]["intensity_level_db"] is None
    text = "\n".join(level_report(LevelReport([found])))
    assert "silence" in text
    assert "nan" not in text
    json.dumps(plain, allow_nan=False)


@pytest.mark.parametrize("n_samples", [1, 100, RATE])
def test_short_sounds_have_levels_and_a_remark(tmp_path: Path, n_samples: int) -> None:
    found = level_of(write(tmp_path / "a.wav", np.full(n_samples, 0.5)))
    assert found.rms_dbfs == pytest.approx(-6.02, abs=0.01)
    assert math.isfinite(found.integrated_lufs)
    assert any("shorter than" in note for note in found.notes)


def test_what_lies_beyond_full_scale_is_said(tmp_path: Path) -> None:
    found = level_of(write(tmp_path / "a.wav", sine(amplitude=1.5)))
    assert found.peak_dbfs == pytest.approx(3.52, abs=0.01)
    assert any("beyond full scale" in note for note in found.notes)


def test_long_files_are_measured_in_blocks(tmp_path: Path) -> None:
    import tracemalloc

    block = (0.1 * np.random.default_rng(0).standard_normal((1, 10 * RATE))).astype(np.float32)
    peaks = []
    for n_blocks in (3, 20):
        encode_blocks(tmp_path / "a.wav", (block for _ in range(n_blocks)), RATE)
        tracemalloc.start()
        level_of(str(tmp_path / "a.wav"))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.3 * peaks[0]


# The command


def test_a_folder_is_a_table_and_bad_files_are_listed(tmp_path: Path, run, make_music) -> None:
    make_music(3, duration_s=1.0)
    (tmp_path / "music" / "broken.wav").write_bytes(b"RIFF")
    done = run(tmp_path / "music", "--full-scale-pa", 2, "--jobs", 1)
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert len(lines) == 4
    assert "LUFS" in lines[0]
    assert "L_I" in lines[0]
    assert "broken.wav" in done.stderr
    alone = run(tmp_path / "music" / "broken.wav")
    assert alone.return_value == 1
    assert "nothing could be measured" in alone.stderr


def test_one_file_is_told_in_full(tmp_path: Path, run) -> None:
    path = write(tmp_path / "a.wav", np.stack([sine(), 0.5 * sine()]))
    text = "\n".join(level_report(LevelReport([level_of(path, 20.0)])))
    for words in ("true peak", "crest factor", "LUFS", "DC offset", "W/m2", "re 1e-12", "re 20 uPa", "channel"):
        assert words in text
    printed = json.loads(run(path, "--json").stdout, parse_constant=pytest.fail)
    assert printed == {"files": [level_of(path).as_dict()], "failures": []}


def test_the_picture_is_of_one_file_and_never_replaces_another(tmp_path: Path, run) -> None:
    pytest.importorskip("matplotlib")
    path = write(tmp_path / "a $x.wav", sine(duration_s=5.0))
    target = tmp_path / "loudness.png"
    assert run(path, "--plot", target).return_value == 0
    assert target.read_bytes()[:4] == b"\x89PNG"
    with pytest.raises(InputError, match="--force"):
        level([path], plot=target)
    for paths in ([path, path], [tmp_path]):
        with pytest.raises(InputError, match="one file"):
            level(paths, plot=tmp_path / "b.png")


@pytest.mark.parametrize("duration_s", [0.0, 0.3, 5.0, 400.0])
@pytest.mark.parametrize("lufs", [-20.0, -math.inf])
def test_any_curve_can_be_drawn(duration_s: float, lufs: float) -> None:
    pytest.importorskip("matplotlib")
    from volna.plots.loudness import draw_loudness

    momentary = np.full(max(0, round(10 * duration_s) - 3), lufs)
    picture = io.BytesIO()
    draw_loudness(momentary, momentary[:-26], picture, integrated_lufs=lufs, range_lu=math.nan, title="a $ b")
    assert picture.getvalue()[:4] == b"\x89PNG"
