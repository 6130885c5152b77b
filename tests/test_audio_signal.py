"""Mixing, levels and resampling."""

from __future__ import annotations

import numpy as np
import pytest

from volna.audio.signal import FLOOR_DB, level_db, peak, resample, to_mono
from volna.errors import InputError


def tone(hz: float, rate: int, seconds: float = 1.0) -> np.ndarray:
    return np.sin(2 * np.pi * hz * np.arange(round(rate * seconds)) / rate).astype(np.float32)


def test_mono_is_the_mean_of_the_channels():
    x = np.random.default_rng(0).standard_normal((3, 1000)).astype(np.float32)
    np.testing.assert_allclose(to_mono(x), x.mean(axis=0), atol=1e-6)
    assert to_mono(x).dtype == np.float32


def test_mono_stays_as_it_is():
    x = tone(440, 8000)
    assert np.array_equal(to_mono(x), x)
    assert np.array_equal(to_mono(x[None]), x)


def test_channels_in_opposite_phase_do_not_become_silence():
    x = tone(440, 8000)
    assert np.array_equal(to_mono(np.stack([x, -x])), x)
    assert np.array_equal(to_mono(np.stack([0 * x, x, -x])), x), "the first channel that sounds"


def test_silence_stays_silence():
    assert not to_mono(np.zeros((2, 100), np.float32)).any()


def test_a_quiet_recording_is_mixed_like_any_other():
    x = 1e-3 * np.stack([tone(440, 8000), tone(550, 8000)])
    np.testing.assert_allclose(to_mono(x), x.mean(axis=0), atol=1e-9)


@pytest.mark.parametrize("shape", [(0, 5), (1, 2, 3)])
def test_mono_refuses_what_is_no_sound(shape):
    with pytest.raises(InputError, match="n_channels"):
        to_mono(np.zeros(shape))


def test_level_and_peak():
    assert level_db(tone(100, 8000)) == pytest.approx(-3.0103, abs=1e-3)  # a sine wave: 1/sqrt(2)
    assert level_db(np.ones(5)) == 0.0
    assert level_db(np.zeros(5)) == level_db(np.zeros(0)) == FLOOR_DB
    assert peak(np.array([0.1, -0.7, 0.5])) == pytest.approx(0.7)
    assert peak(np.zeros(0)) == 0.0
    assert np.isnan(peak(np.array([0.0, np.nan])))


@pytest.mark.parametrize(("from_hz", "to_hz"), [(44100, 16000), (8000, 16000), (48000, 44100)])
def test_resampling_keeps_a_tone_and_the_length(from_hz, to_hz):
    y = resample(tone(440, from_hz, 2.0), from_hz, to_hz)
    want = tone(440, to_hz, 2.0)
    assert abs(len(y) - len(want)) <= 1
    inner = slice(1000, len(want) - 1000)
    np.testing.assert_allclose(y[inner], want[inner], atol=1e-3)


def test_resampling_removes_what_the_lower_rate_cannot_hold():
    assert level_db(resample(tone(10_000, 44100), 44100, 16000)[500:-500]) < -100


def test_resampling_works_on_channels_and_at_the_same_rate():
    x = np.stack([tone(440, 8000), tone(550, 8000)])
    y = resample(x, 8000, 4000)
    assert y.shape == (2, 4000)
    np.testing.assert_allclose(y[1], resample(x[1], 8000, 4000), atol=1e-6)
    assert resample(x, 8000, 8000) is x


def test_resampling_refuses_rates_that_are_none():
    with pytest.raises(InputError, match="above 0"):
        resample(np.zeros(4), 0, 16000)
