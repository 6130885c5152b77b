"""Pictures of sounds for networks: full band at any rate, one step of time, and what a tone looks like."""

from __future__ import annotations

import numpy as np
import pytest

from volna.errors import InputError
from volna.features.picture import MAX_SAMPLE_RATE, N_MELS, PICTURE, TOP_DB, picture, picture_config
from volna.features.spectrum import LOG_MEL_TOP_DB, hz_to_mel, log_mel, mel_filters

RATES = (8_000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000)


def tone(hz: float, sample_rate: int, duration_s: float = 0.5) -> np.ndarray:
    return np.sin(2 * np.pi * hz * np.arange(round(duration_s * sample_rate)) / sample_rate).astype(np.float32)


@pytest.mark.parametrize("rate", RATES)
def test_one_step_of_time_and_the_whole_band_at_every_rate(rate: int) -> None:
    config = picture_config(rate)
    assert config.sample_rate == min(rate, MAX_SAMPLE_RATE)
    assert config.fmax_hz == config.sample_rate / 2
    assert config.n_mels == N_MELS
    assert config.frames_per_s == pytest.approx(100, rel=0.01)
    assert (mel_filters(config).max(axis=1) > 0).all()  # no band falls between two bins


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("hz", [440.0, 3_100.0])
def test_a_tone_is_brightest_in_its_own_band(rate: int, hz: float) -> None:
    config = picture_config(rate)
    low, high, wanted = hz_to_mel([config.fmin_hz, config.fmax_hz, hz], config.mel_scale)
    place = (wanted - low) / (high - low) * (N_MELS + 1) - 1
    found = picture(tone(hz, rate), rate).mean(axis=1).argmax()
    assert abs(found - place) <= 1


def test_frames_are_centred_and_counted() -> None:
    assert picture(np.ones(1), 16_000).shape == (N_MELS, 1)
    assert picture(tone(500, 16_000, 1.0), 16_000).shape == (N_MELS, 101)
    click = np.zeros(16_000, np.float32)
    click[8_000] = 1
    levels = picture(click, 16_000).mean(axis=0)
    assert levels.argmax() == 50


def test_it_is_the_log_mel_with_a_deeper_floor() -> None:
    rng = np.random.default_rng(0)
    samples = rng.standard_normal(8_000).astype(np.float32)  # noise: nothing is far below the loudest
    np.testing.assert_allclose(picture(samples, 16_000), log_mel(samples, PICTURE), atol=1e-4)
    seen = picture(tone(440, 16_000), 16_000)
    assert LOG_MEL_TOP_DB < np.ptp(seen) <= TOP_DB + 1e-3


def test_a_gain_shifts_every_cell_alike() -> None:
    samples = tone(440, 16_000)
    np.testing.assert_allclose(picture(samples / 10, 16_000), picture(samples, 16_000) - 20, atol=1e-2)


def test_another_rate_is_resampled_to_that_of_the_settings() -> None:
    config = picture_config(16_000)
    same, resampled = picture(tone(440, 16_000), 16_000, config), picture(tone(440, 44_100), 44_100, config)
    assert same.shape == resampled.shape
    inner = slice(5, -5)
    assert np.abs(same[:, inner].max(axis=0) - resampled[:, inner].max(axis=0)).max() < 0.1
    assert same[:, inner].argmax(axis=0).tolist() == resampled[:, inner].argmax(axis=0).tolist()


def test_silence_is_flat_and_finite() -> None:
    seen = picture(np.zeros(4_000), 8_000)
    assert np.isfinite(seen).all()
    assert np.ptp(seen) == 0


@pytest.mark.parametrize("samples", [[], [[0.0, 1.0]], [0.0, np.nan]])
def test_what_is_no_sound_is_refused(samples: list) -> None:
    with pytest.raises(InputError):
        picture(samples, 16_000)


def test_a_rate_below_a_thousand_is_refused() -> None:
    with pytest.raises(InputError, match=r"at least 1000 Hz.*got 500"):
        picture_config(500)
