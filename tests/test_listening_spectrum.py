"""`spectrum`: levels and notes of known tones, scipy's mean, sounds rebuilt, windows, and the definition."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from volna import workflows
from volna.audio.channels import read_channels
from volna.audio.encode import encode
from volna.cli import picture_commands
from volna.errors import AudioError, InputError
from volna.workflows.listening.spectrum import spectrum

RATE = 16_000
TONES = ((440.0, 0.5), (1_318.51, 0.25), (3_000.0, 0.05))


def tones(*parts: tuple[float, float], n: int = 2 * RATE, rate: int = RATE) -> np.ndarray:
    seconds = np.arange(n) / rate
    return sum((a * np.sin(2 * np.pi * hz * seconds) for hz, a in parts), np.zeros(n)).astype(np.float32)


@pytest.fixture
def write(tmp_path):
    def write(samples: np.ndarray, rate: int = RATE, name: str = "sound.wav") -> Path:
        return encode(tmp_path / name, samples, rate, codec="pcm_f32le")

    return write


@pytest.fixture
def run(monkeypatch):
    monkeypatch.setitem(workflows._PLACES, "spectrum", "listening.spectrum")
    return lambda *words: CliRunner().invoke(picture_commands.spectrum, [str(word) for word in words])


# The mean and its peaks


@pytest.mark.parametrize("window", ["hann", "hamming", "rectangular"])
def test_the_mean_is_scipys_welch(write, window: str) -> None:
    signal = pytest.importorskip("scipy.signal")
    samples = np.random.default_rng(0).standard_normal(3 * RATE + 77).astype(np.float32) * 0.1
    found = spectrum(write(samples), n_fft=1_024, window=window)
    name = {"rectangular": "boxcar"}.get(window, window)
    hz, power = signal.welch(samples.astype(float), RATE, name, 1_024, nfft=2_048, scaling="spectrum")
    assert found.n_frames == (len(samples) - 1_024) // 512 + 1
    np.testing.assert_allclose(found.frequencies_hz, hz)
    # A sine of amplitude A is A there, its square half as a power: 3.01 dB.
    np.testing.assert_allclose(found.levels_db[1:-1], 10 * np.log10(2 * power[1:-1]), atol=0.01)


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100, 96_000])
def test_known_tones_are_found_with_their_levels(write, rate: int) -> None:
    found = spectrum(write(tones(*TONES, n=2 * rate, rate=rate), rate), n_peaks=3)
    assert [peak.frequency_hz for peak in found.peaks] == pytest.approx([hz for hz, _ in TONES], abs=0.1)
    assert [peak.level_db for peak in found.peaks] == pytest.approx([-6.02, -12.04, -26.02], abs=0.1)
    assert [peak.note for peak in found.peaks] == ["A4", "E6", "F#7"]
    assert [peak.cents for peak in found.peaks] == pytest.approx([0.0, 0.0, 23.5], abs=0.4)


def test_one_frame_is_that_of_its_time(write) -> None:
    sound = np.concatenate([tones((440.0, 0.5), n=RATE), tones((1_000.0, 0.25), n=RATE)])
    path = write(sound)
    first, second = spectrum(path, at_s=0.5), spectrum(path, at_s=1.5)
    assert first.peaks[0].frequency_hz == pytest.approx(440.0, abs=0.1)
    assert second.peaks[0].frequency_hz == pytest.approx(1_000.0, abs=0.1)
    assert second.peaks[0].level_db == pytest.approx(-12.04, abs=0.05)
    assert (first.n_frames, first.at_s) == (1, 0.5)
    assert spectrum(path, at_s=0.0).peaks[0].frequency_hz == pytest.approx(440.0, abs=1.0)
    with pytest.raises(AudioError, match="inside the file"):
        spectrum(path, at_s=2.05)


def test_a_span_is_all_that_is_heard(write) -> None:
    path = write(np.concatenate([tones((440.0, 0.5), n=RATE), tones((1_000.0, 0.5), n=RATE)]))
    assert [p.note for p in spectrum(path, start_s=0.0, duration_s=0.9, n_peaks=1).peaks] == ["A4"]
    assert [p.note for p in spectrum(path, start_s=1.1, n_peaks=1).peaks] == ["B5"]


@pytest.mark.parametrize("n", [1, 2, 100, 800])
def test_tiny_sounds_are_no_error(write, n: int, tmp_path) -> None:
    plot = tmp_path / "x.png" if n == 1 else None
    found = spectrum(write(tones((2_000.0, 0.5), n=n)), compare_windows=True, plot=plot)
    assert np.isfinite(found.levels_db).all()
    if n >= 800:
        assert found.peaks[0].frequency_hz == pytest.approx(2_000.0, abs=1.0)


def test_noise_and_silence_have_no_peaks(write) -> None:
    noise = 0.1 * np.random.default_rng(0).standard_normal(4 * RATE).astype(np.float32)
    assert spectrum(write(noise)).peaks == []
    silent = spectrum(write(np.zeros(RATE)), compare_windows=True, by_definition=True)
    assert silent.peaks == []
    assert [entry.measured for entry in silent.windows or []] == [None] * 3
    assert spectrum(write(np.full(RATE, 0.5))).peaks == []  # an offset is no tone


# Sound from sinusoids


def read(path: Path) -> np.ndarray:
    return read_channels(path).samples[0]


def test_a_sound_is_rebuilt_as_long_and_as_loud(write, tmp_path) -> None:
    samples = tones(*TONES)
    found = spectrum(write(samples), resynthesise=3, output=tmp_path / "again.wav")
    again = read(tmp_path / "again.wav")
    assert again.shape == samples.shape
    inner = slice(1_000, -1_000)
    assert np.abs(again - samples)[inner].max() < 0.005
    assert found.resynthesis is not None
    assert found.resynthesis.snr_db is not None
    assert found.resynthesis.snr_db > 20
    fewer = spectrum(write(samples), resynthesise=1, output=tmp_path / "one.wav").resynthesis
    assert fewer is not None
    # What is missing are the two fainter tones: 0.25 over 0.065, and the edges.
    assert fewer.snr_db == pytest.approx(10 * np.log10(0.315 / 0.065), abs=0.5)


def test_one_frame_is_held(write, tmp_path) -> None:
    path = write(tones(*TONES))
    found = spectrum(path, at_s=1.0, resynthesise=2, n_peaks=1, output=tmp_path / "held.flac")
    assert found.resynthesis is not None
    assert (found.resynthesis.n_sinusoids, found.resynthesis.duration_s, found.resynthesis.snr_db) == (2, 2.0, None)
    again = spectrum(tmp_path / "held.flac")
    assert [peak.note for peak in again.peaks[:2]] == ["A4", "E6"]
    assert [peak.level_db for peak in again.peaks[:2]] == pytest.approx([-6.0, -12.0], abs=0.1)


def test_silence_is_rebuilt_as_silence(write, tmp_path) -> None:
    found = spectrum(write(np.zeros(RATE)), resynthesise=5, output=tmp_path / "again.wav")
    assert found.resynthesis is not None
    assert found.resynthesis.snr_db is None
    assert not read(tmp_path / "again.wav").any()


# Windows and the definition


def test_windows_do_to_a_tone_what_theory_says(write) -> None:
    found = spectrum(write(tones((1_003.3, 0.5))), compare_windows=True)
    assert [entry.window for entry in found.windows or []] == ["rectangular", "hamming", "hann"]
    for entry in found.windows or []:
        assert entry.measured is not None
        assert entry.measured.frequency_hz == pytest.approx(1_003.3, abs=0.2)
        assert entry.measured.main_lobe_bins == pytest.approx(entry.theory.main_lobe_bins, abs=0.3)
        assert entry.measured.side_lobe_db == pytest.approx(entry.theory.side_lobe_db, abs=1.0)


def test_the_definition_gives_the_same_numbers(write) -> None:
    found = spectrum(write(tones(*TONES)), by_definition=True).definition
    assert found is not None
    assert found.n_samples == 1_024
    assert 0 <= found.relative_difference < 1e-12
    assert len(found.times.sizes) == len(found.times.definition_s) == len(found.times.fast_s)


# Files and refusals


def test_a_picture_has_all_that_was_asked_for(write, tmp_path) -> None:
    image = pytest.importorskip("PIL.Image")
    path = write(tones(*TONES))
    spectrum(path, plot=tmp_path / "small.png")
    full = spectrum(path, compare_windows=True, by_definition=True, plot=tmp_path / "full.png")
    assert full.plot == str(tmp_path / "full.png")
    with image.open(tmp_path / "full.png") as large, image.open(tmp_path / "small.png") as small:
        assert large.height > 2 * small.height


@pytest.mark.parametrize(
    "options",
    [
        {"window": "blackman"},
        {"n_fft": 8},
        {"n_peaks": -1},
        {"resynthesise": 3},
        {"output": "x.wav"},
        {"resynthesise": 0, "output": "x.wav"},
        {"resynthesise": 3, "output": "x.txt"},
        {"plot": "x.jpg"},
        {"at_s": 1.0, "start_s": 0.5},
        {"at_s": -1.0},
        {"start_s": -1.0},
        {"resynthesise": 3, "output": "taken.wav"},
        {"plot": "taken.png"},
    ],
)
def test_what_makes_no_sense_is_refused(write, tmp_path, monkeypatch, options: dict) -> None:
    monkeypatch.chdir(tmp_path)
    path = write(tones(*TONES, n=1_000))
    for name in ("taken.wav", "taken.png"):
        (tmp_path / name).write_bytes(b"taken")
    with pytest.raises(InputError):
        spectrum(path, **options)
    assert not list(tmp_path.glob("x.*"))
    assert (tmp_path / "taken.wav").read_bytes() == (tmp_path / "taken.png").read_bytes() == b"taken"


def test_what_is_no_sound_is_refused(tmp_path) -> None:
    (tmp_path / "text.wav").write_text("no sound")
    with pytest.raises(AudioError):
        spectrum(tmp_path / "text.wav")


# The command


def test_the_command_prints_a_table(run, write, tmp_path) -> None:
    done = run(write(tones(*TONES)), "--peaks", "3", "--resynthesise", "3", "-o", tmp_path / "x.wav")
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert lines[0] == "mean spectrum of sound.wav: 14 frames of 4096 samples (hann) at 16000 Hz"
    rows = [line.split() for line in lines[3:6]]
    assert [(row[2], row[4]) for row in rows] == [("A4", "-6.0"), ("E6", "-12.0"), ("F#7", "-26.0")]
    assert [float(row[1]) for row in rows] == pytest.approx([440.0, 1_318.51, 3_000.0], abs=0.05)
    assert "rebuilt from 3 sinusoids a frame" in done.stdout
    assert (tmp_path / "x.wav").exists()


def test_the_command_prints_windows_and_times(run, write) -> None:
    done = run(write(tones(*TONES)), "--compare-windows", "--by-definition")
    assert "-31.47" in done.stdout
    assert "times as long" in done.stdout


def test_the_command_prints_json(run, write) -> None:
    told = json.loads(run(write(tones(*TONES)), "--json", "--compare-windows").stdout)
    assert [peak["note"] for peak in told["peaks"][:3]] == ["A4", "E6", "F#7"]
    assert told["windows"][2]["theory"]["window"] == "hann"
    assert told["resynthesis"] is told["definition"] is told["plot"] is None


@pytest.mark.parametrize("words", [["--resynthesise", "3"], ["-o", "x.wav"], ["--at", "1", "--start", "1"]])
def test_the_command_refuses_half_of_a_pair(run, write, words: list) -> None:
    assert run(write(tones(*TONES)), *words).exit_code == 2


# Real sounds


def test_notes_of_instruments_are_what_their_names_say(real_sounds) -> None:
    flutes = sorted((real_sounds / "music" / "instruments").rglob("flute_*_long_*normal.mp3"))[:6]
    if not flutes:
        pytest.skip("needs single notes of a flute")
    right = 0
    for path in flutes:
        name = path.name.split("_")[1].replace("s", "#")
        right += any(peak.note == name for peak in spectrum(path, n_peaks=3).peaks)
    assert right >= len(flutes) - 1
