"""Formants: vowels made by a source and a filter with known resonances."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import lfilter

from volna.errors import InputError
from volna.features.formants import burg, formants

# F1 to F3 of men (Peterson and Barney 1952).
VOWELS = {
    "a": (730, 1090, 2440),
    "e": (530, 1840, 2480),
    "i": (270, 2290, 3010),
    "o": (570, 840, 2410),
    "u": (300, 870, 2240),
    "er": (490, 1350, 1690),
}
BANDWIDTHS = (60, 90, 120, 150, 200)


def vowel(
    formants_hz: tuple[int, ...], f0_hz: float = 130.0, rate: int = 16_000, duration_s: float = 0.5
) -> np.ndarray:
    """Pulses with the tilt of a glottis (-12 dB an octave above 100 Hz), resonators, radiation (+6 dB an octave)."""
    n = round(duration_s * rate)
    sway = 1 + 0.01 * np.sin(2 * np.pi * 5 * np.arange(n) / rate)
    x = np.diff(np.floor(np.cumsum(f0_hz / rate * sway)), prepend=0.0)
    pole = np.exp(-2 * np.pi * 100 / rate)
    x = lfilter([1.0], np.convolve([1, -pole], [1, -pole]), x)
    for hz, width in zip((*formants_hz, 3500, 4500), BANDWIDTHS, strict=True):
        if hz < rate / 2:
            r = np.exp(-np.pi * width / rate)
            denominator = [1, -2 * r * np.cos(2 * np.pi * hz / rate), r * r]
            x = lfilter([sum(denominator)], denominator, x)
    x = lfilter([1, -1], [1], x)
    return (0.3 * x / np.abs(x).max()).astype(np.float32)


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100, 96_000])
@pytest.mark.parametrize("name", VOWELS)
def test_vowels_of_a_man_are_within_6_and_3_per_cent(name: str, rate: int) -> None:
    true = np.array(VOWELS[name])
    found = np.nanmedian(formants(vowel(VOWELS[name], 130.0, rate), rate).frequencies_hz, axis=1)
    error = np.abs(found / true - 1)
    assert error[0] < 0.06  # F1 leans towards the nearest harmonic
    assert error[1:].max() < 0.03


@pytest.mark.parametrize("name", VOWELS)
def test_a_higher_voice_is_within_11_and_5_per_cent(name: str) -> None:
    true = np.array(VOWELS[name])
    found = np.nanmedian(formants(vowel(VOWELS[name], 200.0), 16_000).frequencies_hz, axis=1)
    error = np.abs(found / true - 1)
    assert error[0] < 0.11
    assert error[1:].max() < 0.05


def test_bandwidths_are_of_the_right_size() -> None:
    found = np.nanmedian(formants(vowel(VOWELS["a"]), 16_000).bandwidths_hz, axis=1)
    assert ((found > 20) & (found < 250)).all()


def test_the_frames_follow_the_sound() -> None:
    x = np.concatenate([vowel(VOWELS["a"]), vowel(VOWELS["i"])])
    found = formants(x, 16_000, hop_length=160)
    assert found.times_s[1] == 0.01
    first, second = found.frequencies_hz[1, 10:45], found.frequencies_hz[1, 55:90]
    assert np.nanmedian(first) == pytest.approx(1090, rel=0.05)
    assert np.nanmedian(second) == pytest.approx(2290, rel=0.05)


def test_formants_rise_and_lie_below_the_ceiling() -> None:
    noise = np.random.default_rng(0).standard_normal(20_000).astype(np.float32)
    found = formants(noise, 44_100, ceiling_hz=5000.0).frequencies_hz
    f1, f2, f3 = found[:, np.isfinite(found).all(axis=0)]
    assert (f1 < f2).all()
    assert (f2 < f3).all()
    assert f3.max() < 5000


def test_silence_has_none() -> None:
    assert np.isnan(formants(np.zeros(8000, np.float32), 16_000).frequencies_hz).all()


@pytest.mark.parametrize(("n", "rate"), [(1, 44_100), (1, 8_000), (100, 96_000), (3_000, 1_000), (50, 60)])
def test_short_sounds_and_low_rates_give_frames(n: int, rate: int) -> None:
    x = np.random.default_rng(0).standard_normal(n).astype(np.float32)
    found = formants(x, rate)
    assert found.frequencies_hz.shape == found.bandwidths_hz.shape == (3, 1 + n // 512)


def burg_by_the_book(frame: np.ndarray, order: int) -> np.ndarray:
    """One frame, sums written out (Burg 1975), to hold the version for all frames to."""
    ahead, behind, a = frame[1:], frame[:-1], np.ones(1)
    for _ in range(order):
        k = -2 * sum(f * b for f, b in zip(ahead, behind, strict=True)) / (np.sum(ahead**2) + np.sum(behind**2))
        a = np.append(a, 0.0) + k * np.append(a, 0.0)[::-1]
        ahead, behind = (ahead + k * behind)[1:], (behind + k * ahead)[:-1]
    return a


def test_burg_is_the_books_for_every_frame() -> None:
    frames = np.random.default_rng(3).standard_normal((4, 300)).cumsum(axis=1)
    expected = np.stack([burg_by_the_book(frame, 6) for frame in frames])
    np.testing.assert_allclose(burg(frames, 6), expected, atol=1e-9)


def test_burg_finds_the_filter_that_made_the_sound() -> None:
    true = [1, -1.2, 0.8]
    noise = np.random.default_rng(5).standard_normal((1, 20_000))
    np.testing.assert_allclose(burg(lfilter([1.0], true, noise, axis=1), 2)[0], true, atol=0.02)


def test_burg_filters_are_stable() -> None:
    frames = np.random.default_rng(4).standard_normal((20, 60)).cumsum(axis=1)
    poles = [np.abs(np.roots(row)) for row in burg(frames, 10)]
    assert np.max(poles) <= 1.0 + 1e-9


def test_wrong_settings_are_refused() -> None:
    with pytest.raises(InputError, match="above 0"):
        formants(np.ones(100), 16_000, hop_length=0)
    with pytest.raises(InputError, match="shape"):
        formants(np.ones((2, 100)), 16_000)
