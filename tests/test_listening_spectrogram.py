"""`spectrogram`: librosa's numbers from files, pictures of every size, folders, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner

from volna import workflows
from volna.audio.encode import encode
from volna.cli import picture_commands
from volna.errors import AudioError, InputError
from volna.features import over_time
from volna.features.over_time import KINDS
from volna.workflows.listening.spectrogram import spectrogram
from volna.workflows.listening.spectrograms import spectrograms

RATE = 22_050


@pytest.fixture
def file(tmp_path) -> Path:
    """Two seconds of a chord with noise, as floats, so that a reference reads the very same samples."""
    return encode(tmp_path / "chord.wav", chord(), RATE, codec="pcm_f32le")


def chord(duration_s: float = 2.0, rate: int = RATE) -> np.ndarray:
    seconds = np.arange(round(duration_s * rate)) / rate
    notes = sum(np.sin(2 * np.pi * hz * seconds) for hz in (220.0, 277.18, 329.63))
    return (0.2 * notes + 0.01 * np.random.default_rng(0).standard_normal(len(seconds))).astype(np.float32)


@pytest.fixture
def run(monkeypatch):
    """Run a command of the module by its words; the result has ``return_value``, ``stdout``, ``stderr``."""
    for verb in ("spectrogram", "spectrograms"):
        place = "spectrogram" if verb == "spectrogram" else "spectrograms"
        monkeypatch.setitem(workflows._PLACES, verb, f"listening.{place}")
    return lambda *words: CliRunner().invoke(
        picture_commands.spectrogram, [str(word) for word in words], standalone_mode=False
    )


# Numbers


def references(librosa, samples: np.ndarray) -> dict[str, np.ndarray]:
    return {
        "mel": librosa.power_to_db(librosa.feature.melspectrogram(y=samples, sr=RATE), ref=np.max),
        "linear": librosa.amplitude_to_db(np.abs(librosa.stft(samples)), ref=np.max),
        "mfcc": librosa.feature.mfcc(y=samples, sr=RATE),
        "chroma": librosa.feature.chroma_stft(y=samples, sr=RATE, tuning=0.0),
        "cqt": librosa.amplitude_to_db(np.abs(librosa.cqt(samples, sr=RATE, tuning=0.0)), ref=np.max),
    }


def test_defaults_are_librosas(file) -> None:
    librosa = pytest.importorskip("librosa")
    tolerance = {"mel": 0.01, "linear": 0.05, "mfcc": 0.05, "chroma": 1e-3, "cqt": np.inf}
    for kind, expected in references(librosa, chord()).items():
        made = spectrogram(file, kind=kind)
        assert made.values.dtype == np.float32
        assert made.values.shape == expected.shape, kind
        assert np.abs(made.values - expected).max() < tolerance[kind], kind
        if kind == "cqt":  # in dB the faint cells differ by more: librosa drops a hundredth of each kernel
            loud = expected > -15
            assert np.abs(made.values - expected)[loud].max() < 1.0


def test_axes_are_those_of_the_file(file) -> None:
    made = spectrogram(file, start_s=0.5, duration_s=1.0, hop_length=441)
    assert made.times_s[0] == 0.5
    np.testing.assert_allclose(np.diff(made.times_s), 0.02)
    assert made.times_s[-1] == pytest.approx(1.5)
    assert made.duration_s == pytest.approx(1.0)
    assert made.frequencies_hz is not None
    assert len(made.frequencies_hz) == 128
    loudest = made.frequencies_hz[made.values[:, 25].argmax()]
    assert loudest in made.frequencies_hz[np.argsort(np.abs(made.frequencies_hz - 277))[:6]]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("n", "rate"), [(1, 44_100), (2, 8_000), (2_205, 8_000), (4_800, 96_000)])
def test_tiny_files_of_any_rate_are_drawn(kind: str, n: int, rate: int, tmp_path) -> None:
    path = encode(tmp_path / "tiny.wav", chord(1.0, rate)[100 : 100 + n], rate)
    made = spectrogram(path, kind=kind, output=tmp_path / "tiny.png" if n == 1 else None)
    assert made.values.shape[1] == 1 + n // 512
    assert np.isfinite(made.values).all()
    if n == 1:
        assert (tmp_path / "tiny.png").stat().st_size > 1_000


@pytest.mark.parametrize("kind", KINDS)
def test_silence_makes_no_noise(kind: str, tmp_path) -> None:
    path = encode(tmp_path / "silence.wav", np.zeros(20_000), RATE)
    made = spectrogram(path, kind=kind, output=tmp_path / "silence.png", raw=True, top_db=70.0)
    if kind in ("mel", "linear", "cqt", "wavelet"):
        assert (made.values == -70.0).all()
    assert np.isfinite(made.values).all()


def test_channels_are_mixed_and_told(tmp_path) -> None:
    path = encode(tmp_path / "two.wav", np.stack([chord(), np.zeros_like(chord())]), RATE, codec="pcm_f32le")
    halved = encode(tmp_path / "one.wav", chord() / 2, RATE, codec="pcm_f32le")
    made = spectrogram(path)
    assert "2 channels" in made.notes[0]
    np.testing.assert_allclose(made.values, spectrogram(halved).values, atol=1e-3)


def test_the_reference_is_a_power(file) -> None:
    to_max, to_one = spectrogram(file), spectrogram(file, ref=1.0)
    difference = to_one.values - to_max.values
    assert np.ptp(difference) < 1e-3
    assert to_max.values.max() == pytest.approx(0.0, abs=1e-5)
    assert spectrogram(file, ref=100.0).values.max() == pytest.approx(to_one.values.max() - 20, abs=1e-3)


def test_long_files_say_that_columns_are_means(file, monkeypatch) -> None:
    monkeypatch.setattr(over_time, "MOST_COLUMNS", 40)
    made = spectrogram(file)
    assert made.frames_per_column == 4
    assert made.values.shape[1] == 22
    assert made.times_s[0] == pytest.approx(1.5 * 512 / RATE)
    assert any("mean of 4 frames" in note for note in made.notes)


# Files


def test_without_an_output_nothing_is_written(file) -> None:
    before = sorted(file.parent.iterdir())
    assert spectrogram(file).output is None
    assert sorted(file.parent.iterdir()) == before


def test_a_bare_picture_is_as_large_as_the_array(file, tmp_path) -> None:
    image = pytest.importorskip("PIL.Image")
    made = spectrogram(file, output=tmp_path / "bare.png", raw=True, cmap="gray")
    with image.open(tmp_path / "bare.png") as picture:
        assert picture.size == made.values.shape[::-1]
        again = np.asarray(picture).astype(float)[::-1] / 255 * 80 - 80
    np.testing.assert_allclose(again, made.values, atol=0.17)


def test_arrays_are_written(file, tmp_path) -> None:
    made = spectrogram(file, output=tmp_path / "x.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "x.npy"), made.values)
    spectrogram(file, output=tmp_path / "x.npz")
    with np.load(tmp_path / "x.npz") as kept:
        np.testing.assert_array_equal(kept["values"], made.values)
        np.testing.assert_array_equal(kept["times_s"], made.times_s)
        np.testing.assert_array_equal(kept["frequencies_hz"], made.frequencies_hz)


def test_nothing_is_replaced_unasked(file, tmp_path) -> None:
    spectrogram(file, output=tmp_path / "x.png")
    before = (tmp_path / "x.png").read_bytes()
    with pytest.raises(InputError, match="--force"):
        spectrogram(file, output=tmp_path / "x.png", kind="linear")
    assert (tmp_path / "x.png").read_bytes() == before
    spectrogram(file, output=tmp_path / "x.png", kind="linear", force=True)
    assert (tmp_path / "x.png").read_bytes() != before


def test_one_frame_is_the_nearest(file) -> None:
    made = spectrogram(file, show_frame_s=1.0)
    shown = made.as_dict()["frame"]
    assert shown["time_s"] == pytest.approx(1.0, abs=512 / RATE / 2)
    assert shown["values"] == made.values[:, made.frame].tolist()
    with pytest.raises(InputError, match="expected a frame between"):
        spectrogram(file, show_frame_s=9.0)


@pytest.mark.parametrize(
    "options",
    [
        {"kind": "fourier"},
        {"window": "blackman"},
        {"output": "x.jpg"},
        {"output": "x.npy", "raw": True},
        {"output": "x.png", "raw": True, "show_frame_s": 0.5},
        {"output": "x.png", "cmap": "no such"},
        {"start_s": -1.0},
        {"duration_s": 0.0},
        {"fmin_hz": 5_000.0, "fmax_hz": 100.0},
        {"fmax_hz": 20_000.0},
    ],
)
def test_what_makes_no_sense_is_refused(file, tmp_path, monkeypatch, options: dict) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError):
        spectrogram(file, **options)
    assert not list(tmp_path.glob("x.*"))


def test_what_is_no_sound_is_refused(file, tmp_path) -> None:
    (tmp_path / "text.wav").write_text("no sound")
    for name in ("text.wav", "missing.wav"):
        with pytest.raises(AudioError, match=name):
            spectrogram(tmp_path / name)
    with pytest.raises(AudioError, match="inside the file"):
        spectrogram(file, start_s=100.0)


# Folders


@pytest.fixture
def folder(tmp_path) -> Path:
    for name in ("a.wav", "deep/b.wav", "deep/c.wav", "deep/c.flac"):
        path = tmp_path / "sounds" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        encode(path, chord(0.3), RATE)
    (tmp_path / "sounds" / "broken.wav").write_bytes(b"RIFF....WAVE")
    return tmp_path / "sounds"


def size_of(path: Path) -> tuple[int, int]:
    image = pytest.importorskip("PIL.Image")
    with image.open(path) as picture:
        return picture.size


def test_a_folder_becomes_a_folder(folder, tmp_path) -> None:
    said = []
    options = {"raw": True, "cmap": "gray", "n_mels": 32, "jobs": 1}
    out = tmp_path / "pictures"
    summary = spectrograms(folder, out, progress=lambda *args: said.append(args), **options)
    names = sorted(str(path.relative_to(out)) for path in out.rglob("*.png"))
    assert names == ["a.png", "deep/b.png", "deep/c.flac.png", "deep/c.wav.png"]
    assert size_of(out / "a.png") == (13, 32)
    assert (summary.found, summary.written, summary.kept, summary.failed) == (5, 4, 0, 1)
    assert summary.failures[0].path.endswith("broken.wav")
    assert ("Drawing", 5, 5, "1 failed") in said
    before = (out / "a.png").read_bytes()
    (out / "deep/b.png").unlink()
    again = spectrograms(folder, out, **options | {"n_mels": 16})
    assert (again.written, again.kept, again.failed) == (1, 3, 1)
    assert "kept" in again.notes[0]
    assert (out / "a.png").read_bytes() == before
    forced = spectrograms(folder, out, force=True, **options | {"n_mels": 16})
    assert (forced.written, forced.kept) == (4, 0)
    assert size_of(out / "a.png") == (13, 16)


def test_options_of_a_folder_are_checked_before_the_work(folder, tmp_path) -> None:
    for options in ({"kind": "fourier"}, {"cmap": "no such"}, {"raw": True, "show_frame_s": 0.1}):
        with pytest.raises(InputError):
            spectrograms(folder, tmp_path / "pictures", **options)
    assert not (tmp_path / "pictures").exists()
    with pytest.raises(InputError, match="cannot be made"):
        spectrograms(folder, folder / "a.wav" / "pictures")


# The command


def test_the_command_draws_and_tells(run, file, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = run(file, "--kind", "chroma", "--show-frame", "1")
    assert done.return_value == 0, done.output
    assert "chroma spectrogram of chord.wav: 2.0 s at 22050 Hz" in done.stdout
    assert (tmp_path / "spectrogram.png").exists()
    assert isinstance(run(file).exception, InputError)


def test_the_command_prints_json(run, file, tmp_path) -> None:
    done = run(file, "-o", tmp_path / "x.npy", "--json", "--ref", "1.0", "--hop", "256", "--top-db", "60")
    told = json.loads(done.stdout)
    assert told["output"] == str(tmp_path / "x.npy")
    assert (told["n_bands"], told["n_frames"], told["hop_length"], told["ref"]) == (128, 173, 256, 1.0)
    assert told["highest"] - told["lowest"] <= 60.001
    assert isinstance(run(file, "--ref", "loud").exception, click.UsageError)


def test_the_command_takes_a_folder(run, folder, tmp_path) -> None:
    done = run(folder, "-o", tmp_path / "pictures", "--raw", "--jobs", "1")
    assert done.return_value == 0
    assert "4 of 5 sounds drawn" in done.stdout
    assert "broken.wav" in done.stderr
    (tmp_path / "empty").mkdir()
    nothing = run(tmp_path / "empty", "-o", tmp_path / "none", "--json")
    assert nothing.return_value == 1
    assert json.loads(nothing.stdout)["found"] == 0
    assert "found no sounds" in nothing.stderr


# Real sounds


def test_odd_files_give_a_picture_or_a_reason(real_sounds) -> None:
    files = [path for path in sorted((real_sounds / "odd_files").rglob("*")) if path.is_file()][::12]
    assert files
    n_drawn = 0
    for path in files:
        try:
            n_drawn += np.isfinite(spectrogram(path, duration_s=3.0).values).all()
        except AudioError:  # a reason; anything else is a crash
            continue
    assert n_drawn
