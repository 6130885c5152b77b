"""Constant Q, the scalogram, and spectrograms of every kind from blocks: against librosa, against their definitions."""

from __future__ import annotations

import numpy as np
import pytest

from volna.errors import InputError
from volna.features import blocks, over_time
from volna.features.constant_q import C1_HZ, constant_q, pitch_frequencies
from volna.features.over_time import KINDS, Settings, make_spectrogram
from volna.features.scalogram import scalogram

RATE = 22_050


def tone(hz: float, duration_s: float = 1.0, rate: int = RATE) -> np.ndarray:
    return np.sin(2 * np.pi * hz * np.arange(round(duration_s * rate)) / rate).astype(np.float32)


def noise(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(n).astype(np.float32)


# Constant Q


@pytest.mark.parametrize(
    ("name", "tolerance"),
    [("tone", 0.01), ("chord", 0.015), ("noise", 0.05)],
)
def test_constant_q_is_librosas(name: str, tolerance: float) -> None:
    # librosa resamples octave by octave and drops a hundredth of each kernel; ours does neither. Differences are
    # measured against the loudest value.
    librosa = pytest.importorskip("librosa")
    sounds = {
        "tone": tone(440.0, 2.0),
        "chord": sum(tone(hz, 2.0) for hz in (65.4, 261.6, 329.6, 392.0, 1760.0)),
        "noise": noise(2 * RATE),
    }
    ours = np.abs(constant_q(sounds[name], RATE))
    theirs = np.abs(librosa.cqt(sounds[name], sr=RATE, tuning=0.0))
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() < tolerance * theirs.max()


def test_constant_q_is_the_sum_of_its_definition() -> None:
    sound, hop, k, frame = noise(RATE), 512, 40, 21
    hz = C1_HZ * 2 ** (k / 12)
    length = (4 ** (1 / 12) + 1) / (4 ** (1 / 12) - 1) * RATE / hz
    n = np.arange(-int(length / 2), int(length / 2) + 1)
    window = 0.5 + 0.5 * np.cos(2 * np.pi * n / length)
    kernel = window / window.sum() * np.exp(-2j * np.pi * hz / RATE * n)
    expected = np.sqrt(length) * np.sum(kernel * sound[frame * hop + n])
    assert abs(constant_q(sound, RATE, hop_length=hop)[k, frame] - expected) < 1e-3 * abs(expected)


@pytest.mark.parametrize("k", [0, 33, 83])
def test_a_tone_peaks_in_its_band_at_its_level(k: int) -> None:
    hz = C1_HZ * 2 ** (k / 12)
    magnitude = np.abs(constant_q(0.5 * tone(hz, 2.0), RATE))[:, 43]
    length = (4 ** (1 / 12) + 1) / (4 ** (1 / 12) - 1) * RATE / hz
    assert magnitude.argmax() == k
    assert magnitude[k] == pytest.approx(0.25 * np.sqrt(length), rel=2e-3)


def test_bands_beyond_half_the_rate_are_refused() -> None:
    with pytest.raises(InputError, match="highest band of at most"):
        constant_q(noise(100), 8_000, n_bins=90)
    with pytest.raises(InputError, match="fmin_hz"):
        pitch_frequencies(0.0, 100.0)


# Scalogram


def test_the_scalogram_is_morlets_transform_by_its_sum() -> None:
    sound, rate = noise(4_000), 8_000
    hz = pitch_frequencies(200.0, 2_000.0, 2)
    power = scalogram(sound, rate, hop_length=1, fmin_hz=200.0, fmax_hz=2_000.0, bins_per_octave=2)
    for k, middle_hz in enumerate(hz):
        scale = 6.0 / (2 * np.pi * middle_hz) * rate
        n = np.arange(-int(6 * scale), int(6 * scale) + 1)
        bell = np.exp(-0.5 * (n / scale) ** 2)
        expected = 2 * np.abs(np.convolve(sound, bell / bell.sum() * np.exp(2j * np.pi * middle_hz / rate * n), "same"))
        assert np.abs(np.sqrt(power[k, : len(sound)]) - expected).max() < 1e-4 * expected.max()


def test_the_scalogram_is_pywavelets_within_its_precision() -> None:
    # PyWavelets integrates a table of the wavelet and takes differences, which costs it some percent; its unit energy
    # is undone by 2 / sqrt(scale).
    pywt = pytest.importorskip("pywt")
    sound, rate, hz = noise(8_000), 8_000, 220.0
    scale = 6.0 / (2 * np.pi) * rate / hz
    theirs, _ = pywt.cwt(sound, [scale], f"cmor2.0-{6.0 / (2 * np.pi):.10f}", method="fft", precision=14)
    expected = np.abs(theirs[0]) * 2 / np.sqrt(scale)
    ours = np.sqrt(scalogram(sound, rate, hop_length=1, fmin_hz=hz, fmax_hz=hz))[0, : len(sound)]
    assert np.abs(ours - expected)[1000:-1000].max() < 0.03 * expected.max()


@pytest.mark.parametrize("at", [4_096, 4_200, 4_351, 4_352, 4_500])
def test_columns_of_the_scalogram_miss_no_click(at: int) -> None:
    click = np.eye(1, 8_192, at, dtype=np.float32)[0]
    every = scalogram(click, RATE, hop_length=1, fmin_hz=1_000.0).sum(axis=1)
    columns = scalogram(click, RATE, hop_length=512, fmin_hz=1_000.0)
    np.testing.assert_allclose(columns.sum(axis=1), every / 512, rtol=1e-3)
    assert columns[:, 7].max() < 1e-3 * columns.max()  # and it stays where it is
    assert columns[:, 10].max() < 1e-3 * columns.max()


def test_a_tone_has_its_amplitude_in_the_scalogram_whatever_its_pitch() -> None:
    power = scalogram(0.5 * tone(110.0) + 0.5 * tone(3_520.0), RATE, fmin_hz=110.0)
    assert np.sqrt(power[[0, 60], 20]) == pytest.approx([0.5, 0.5], abs=2e-3)


def test_wavelets_beyond_half_the_rate_are_refused() -> None:
    with pytest.raises(InputError, match="half the sample rate"):
        scalogram(noise(100), 8_000, fmax_hz=5_000.0)


# Blocks


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", [1, 700, 30_001])
def test_blocks_of_any_size_give_the_same(kind: str, n: int) -> None:
    sound = noise(n)
    whole = make_spectrogram([sound], RATE, Settings(kind)).values
    in_pieces = make_spectrogram(np.array_split(sound, min(n, 7)), RATE, Settings(kind)).values
    assert whole.shape[1] == 1 + n // 512
    np.testing.assert_allclose(whole, in_pieces, atol=1e-3)


@pytest.mark.parametrize("hop", [100, 3_000])
def test_many_stretches_are_one_transform(hop: int, monkeypatch: pytest.MonkeyPatch) -> None:
    librosa = pytest.importorskip("librosa")
    monkeypatch.setattr(over_time, "MOST_AT_ONCE", 16)
    sound = noise(100_000)
    made = make_spectrogram(np.array_split(sound, 5), RATE, Settings("linear", hop_length=hop, ref=1.0, top_db=None))
    expected = np.abs(librosa.stft(sound, hop_length=hop)) ** 2
    np.testing.assert_allclose(10 ** (made.values / 10), expected, rtol=1e-3, atol=1e-3)


def test_long_sounds_are_averaged_not_thinned(monkeypatch: pytest.MonkeyPatch) -> None:
    sound = noise(512 * 99)  # 100 frames
    every = 10 ** (make_spectrogram([sound], RATE, Settings(ref=1.0, hop_length=512)).values / 10)
    monkeypatch.setattr(over_time, "MOST_COLUMNS", 30)
    made = make_spectrogram([sound], RATE, Settings(ref=1.0))
    assert (made.per_column, made.values.shape[1]) == (4, 25)
    np.testing.assert_allclose(10 ** (made.values / 10), every.reshape(128, 25, 4).mean(axis=2), rtol=1e-4)
    assert make_spectrogram([sound], RATE, Settings(hop_length=512)).per_column == 1


def test_what_would_not_fit_into_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "MOST_CELLS", 1_000)
    with pytest.raises(InputError, match="larger hop"):
        make_spectrogram([noise(RATE)], RATE, Settings(hop_length=100))
    with pytest.raises(InputError, match="at least one sample"):
        make_spectrogram([], RATE, Settings())


@pytest.mark.parametrize(
    "options",
    [
        {"kind": "other"},
        {"window": "other"},
        {"n_fft": 1},
        {"hop_length": 0},
        {"top_db": 0.0},
        {"ref": -1.0},
        {"kind": "chroma", "fmax_hz": 1_000.0},
    ],
)
def test_settings_that_make_no_sense_are_refused(options: dict) -> None:
    with pytest.raises(InputError):
        Settings(**options)


@pytest.mark.parametrize("kind", ["mel", "linear", "cqt", "wavelet"])
def test_bands_outside_the_sound_are_refused(kind: str) -> None:
    with pytest.raises(InputError):
        make_spectrogram([noise(8_000)], 8_000, Settings(kind, fmax_hz=9_000.0))


@pytest.mark.parametrize("kind", ["mel", "linear", "cqt", "wavelet"])
def test_frequencies_name_the_bands(kind: str) -> None:
    made = make_spectrogram([tone(1_000.0)], RATE, Settings(kind))
    assert made.frequencies_hz is not None
    assert len(made.frequencies_hz) == len(made.values)
    loudest_hz = made.frequencies_hz[made.values[:, 20].argmax()]
    assert loudest_hz == pytest.approx(1_000.0, rel=0.04)


@pytest.mark.parametrize("kind", ["linear", "cqt", "wavelet"])
def test_a_range_of_frequencies_is_cut_out(kind: str) -> None:
    sound = noise(RATE)
    made = make_spectrogram([sound], RATE, Settings(kind, fmin_hz=200.0, fmax_hz=800.0, ref=1.0))
    assert made.frequencies_hz is not None
    assert 200 <= made.frequencies_hz[0] < 212
    assert 750 < made.frequencies_hz[-1] <= 800.1


@pytest.mark.parametrize("kind", ["mel", "linear", "cqt", "wavelet"])
def test_silence_is_the_bottom_of_the_range(kind: str) -> None:
    values = make_spectrogram([np.zeros(5_000, np.float32)], RATE, Settings(kind, top_db=60.0)).values
    assert (values == -60.0).all()


def test_empty_mel_bands_are_told() -> None:
    made = make_spectrogram([noise(4_000)], RATE, Settings(n_fft=256))
    assert "mel bands lie between two bins" in made.notes[0]
    with pytest.raises(InputError, match="larger n_fft"):
        make_spectrogram([noise(4_000)], RATE, Settings(n_fft=256, n_mels=4, fmin_hz=10.0, fmax_hz=20.0))
