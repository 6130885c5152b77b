"""Descriptors of frames: their properties, and librosa as the reference."""

from __future__ import annotations

import doctest
import warnings

import numpy as np
import pytest

from volna.errors import InputError
from volna.features import descriptors as d
from volna.features import spectrum as s

RATE, N_FFT, HOP = 12_000, 768, 280
HZ = s.fft_frequencies(RATE, N_FFT)


@pytest.fixture(scope="module")
def librosa():
    return pytest.importorskip("librosa", reason="the reference, librosa, is not installed")


@pytest.fixture(scope="module")
def sound() -> np.ndarray:
    """Two seconds of a chord with a beat, over noise that comes and goes."""
    t = np.arange(2 * RATE) / RATE
    chord = sum(np.sin(2 * np.pi * hz * t) / k for k, hz in enumerate((220.0, 277.2, 329.6, 880.0, 2_640.0), start=1))
    hiss = np.random.default_rng(1).standard_normal(len(t)) * (0.02 + 0.1 * (t % 0.5 < 0.05))
    return (0.2 * chord * np.exp(-4 * (t % 0.5)) + hiss).astype(np.float32)


@pytest.fixture(scope="module")
def power(sound) -> np.ndarray:
    return s.power_spectrum(s.stft(sound, N_FFT, HOP))


@pytest.fixture(scope="module")
def magnitude(power) -> np.ndarray:
    return np.sqrt(power)


PER_FRAME = {
    "centroid": lambda m: d.centroid(m, HZ),
    "bandwidth": lambda m: d.bandwidth(m, HZ),
    "rolloff": lambda m: d.rolloff(m, HZ),
    "flatness": d.flatness,
    "flux": d.flux,
    "contrast": lambda m: d.contrast(m, HZ, fmin_hz=100.0),
    "chroma": lambda m: d.chroma(m**2, RATE),
}


def test_examples():
    assert doctest.testmod(d, extraglobs={"np": np}).failed == 0


def test_mfcc_agree_with_librosa(librosa, power):
    mel_db = s.power_to_db(s.mel_power(power, s.MelConfig()))
    np.testing.assert_allclose(d.mfcc(mel_db), librosa.feature.mfcc(S=mel_db, n_mfcc=20), atol=1e-3)


@pytest.mark.parametrize("width", [3, 9])
def test_deltas_agree_with_librosa(librosa, width):
    values = np.random.default_rng(0).standard_normal((4, 30)).astype(np.float32)
    np.testing.assert_allclose(d.delta(values, width), librosa.feature.delta(values, width=width), atol=1e-6)


def test_deltas_of_too_few_frames_are_zero():
    assert not d.delta(np.ones((2, 8), np.float32)).any()
    assert d.delta(np.ones((2, 0), np.float32)).shape == (2, 0)


def test_centroid_agrees_with_librosa(librosa, magnitude):
    np.testing.assert_allclose(
        d.centroid(magnitude, HZ), librosa.feature.spectral_centroid(S=magnitude, sr=RATE)[0], rtol=1e-4
    )


def test_bandwidth_agrees_with_librosa(librosa, magnitude):
    np.testing.assert_allclose(
        d.bandwidth(magnitude, HZ), librosa.feature.spectral_bandwidth(S=magnitude, sr=RATE)[0], rtol=1e-4
    )


@pytest.mark.parametrize("share", [0.01, 0.5, 0.85, 0.99])
def test_rolloff_agrees_with_librosa_to_a_bin(librosa, magnitude, share):
    expected = librosa.feature.spectral_rolloff(S=magnitude, sr=RATE, roll_percent=share)[0]
    ours = d.rolloff(magnitude, HZ, share)
    assert np.abs(ours - expected).max() <= HZ[1]  # sums in another order may round across a bin
    assert (ours == expected).mean() > 0.95


def test_rolloff_over_energy_is_lower(magnitude, power):
    assert d.rolloff(power, HZ).mean() < d.rolloff(magnitude, HZ).mean()


def test_flatness_agrees_with_librosa(librosa, magnitude):
    np.testing.assert_allclose(d.flatness(magnitude), librosa.feature.spectral_flatness(S=magnitude)[0], rtol=1e-3)


@pytest.mark.parametrize(("fmin_hz", "n_bands"), [(100.0, 6), (150.0, 5), (40.0, 6)])
def test_contrast_agrees_with_librosa(librosa, magnitude, fmin_hz, n_bands):
    expected = librosa.feature.spectral_contrast(S=magnitude, sr=RATE, fmin=fmin_hz, n_bands=n_bands)
    np.testing.assert_allclose(d.contrast(magnitude, HZ, fmin_hz=fmin_hz, n_bands=n_bands), expected, atol=1e-3)


def test_contrast_agrees_with_librosa_at_its_own_defaults(librosa, sound):
    magnitude = np.abs(s.stft(sound, 2048, 512))
    expected = librosa.feature.spectral_contrast(S=magnitude, sr=22_050)
    np.testing.assert_allclose(d.contrast(magnitude, s.fft_frequencies(22_050, 2048)), expected, atol=1e-3)


def test_contrast_refuses_bands_above_half_the_rate(magnitude):
    with pytest.raises(InputError, match="6000 Hz"):
        d.contrast(magnitude, HZ, fmin_hz=200.0, n_bands=6)


@pytest.mark.parametrize("tuning", [0.0, 0.3])
def test_chroma_agree_with_librosa(librosa, power, tuning):
    expected = librosa.feature.chroma_stft(S=power, sr=RATE, tuning=tuning)
    np.testing.assert_allclose(d.chroma(power, RATE, tuning=tuning), expected, atol=1e-4)


def test_zero_crossing_rate_agrees_with_librosa(librosa, sound):
    expected = librosa.feature.zero_crossing_rate(sound, frame_length=N_FFT, hop_length=HOP)[0]
    np.testing.assert_allclose(d.zero_crossing_rate(sound, N_FFT, HOP), expected, atol=1e-6)


def test_rms_agrees_with_librosa(librosa, sound):
    expected = librosa.feature.rms(y=sound, frame_length=N_FFT, hop_length=HOP)[0]
    np.testing.assert_allclose(d.rms(sound, N_FFT, HOP), expected, rtol=1e-4, atol=1e-7)


def test_a_tone_is_narrow_and_where_it_should_be():
    tone = np.sin(2 * np.pi * 1_500 * np.arange(RATE) / RATE).astype(np.float32)
    magnitude = np.abs(s.stft(tone, N_FFT, HOP))[:, 5:-5]
    assert d.centroid(magnitude, HZ) == pytest.approx(1_500, rel=0.01)
    assert d.rolloff(magnitude, HZ) == pytest.approx(1_500, rel=0.02)
    assert (d.bandwidth(magnitude, HZ) < 100).all()
    assert (d.flatness(magnitude) < 1e-3).all()
    assert d.zero_crossing_rate(tone, N_FFT, HOP)[5:-5] == pytest.approx(0.25, abs=0.01)
    assert d.rms(tone, N_FFT, HOP)[5:-5] == pytest.approx(np.sqrt(0.5), rel=0.01)


def test_noise_is_wide_and_flat():
    noise = np.random.default_rng(0).standard_normal(5 * RATE).astype(np.float32)
    magnitude = np.abs(s.stft(noise, N_FFT, HOP))
    assert d.centroid(magnitude, HZ).mean() == pytest.approx(3_000, rel=0.02)
    assert d.flatness(magnitude).mean() > 0.4
    assert d.contrast(magnitude, HZ, fmin_hz=100.0).mean() < 15


@pytest.mark.parametrize("name", PER_FRAME)
def test_the_level_does_not_matter(name, magnitude):
    np.testing.assert_allclose(PER_FRAME[name](2 * magnitude), PER_FRAME[name](magnitude), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", PER_FRAME)
@pytest.mark.parametrize("level", [0.0, 1e-30, 1e-42])
def test_silence_and_denormals_stay_finite(name, level):
    frames = np.full((len(HZ), 4), level, dtype=np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        values = PER_FRAME[name](frames)
    assert np.isfinite(values).all()
    assert values.dtype == np.float32


def test_flux_hears_a_change_of_spectrum_and_not_a_fall():
    one, two = np.eye(8, dtype=np.float32)[:2]
    flux = d.flux(np.stack([one, one, two, 0 * two, two], axis=1))
    np.testing.assert_allclose(flux, [0, 0, 1, 0, 1])
