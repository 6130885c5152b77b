"""The log-mel that sound is made from again, and how far what was made is from what was meant."""

from __future__ import annotations

import librosa
import numpy as np
import pytest

from volna.errors import InputError
from volna.features.sound_distance import mel_distance, multi_resolution_stft, si_sdr_db
from volna.features.sounding import FLOOR, SOUNDING_RATES, choose_rate, sounding_config, sounding_mel

RATE = 16_000


@pytest.fixture
def tone() -> np.ndarray:
    t = np.arange(RATE) / RATE
    return (0.3 * np.sin(2 * np.pi * 440 * t) + 0.1 * np.sin(2 * np.pi * 1320 * t)).astype(np.float32)


@pytest.fixture
def noise() -> np.ndarray:
    return np.random.default_rng(0).standard_normal(RATE).astype(np.float32)


@pytest.mark.parametrize("rate", SOUNDING_RATES)
def test_the_log_mel_agrees_with_librosa(rate):
    config = sounding_config(rate)
    x = np.random.default_rng(1).standard_normal(rate // 2).astype(np.float32) * 0.1
    power = librosa.feature.melspectrogram(
        y=x, sr=rate, n_fft=config.n_fft, hop_length=config.hop_length, n_mels=config.n_mels, pad_mode="constant"
    )
    expected = 0.5 * np.log(np.maximum(power, 1e-10))
    assert sounding_mel(x, config) == pytest.approx(expected, abs=1e-3)
    assert config.hop_length * 4 == config.n_fft


def test_no_band_is_empty():
    from volna.features.spectrum import mel_filters

    for rate in SOUNDING_RATES:
        assert mel_filters(sounding_config(rate)).any(axis=1).all()


def test_a_gain_shifts_every_value(tone):
    config = sounding_config(RATE)
    loud, soft = sounding_mel(tone, config), sounding_mel(tone / 2, config)
    sounding = soft > FLOOR + 1
    assert (loud - soft)[sounding] == pytest.approx(np.log(2), abs=1e-3)


def test_silence_is_the_floor():
    assert sounding_mel(np.zeros(1000), sounding_config(8000)) == pytest.approx(FLOOR, abs=1e-4)


def test_other_rates_are_refused():
    with pytest.raises(InputError, match="expected a sample_rate of 8000"):
        sounding_config(11_025)


def test_the_rate_of_a_folder():
    assert choose_rate([8000, 8000, 48_000]) == 8000
    assert choose_rate([48_000]) == 44_100
    assert choose_rate([4000]) == 8000
    with pytest.raises(InputError, match="none"):
        choose_rate([])


def test_si_sdr_of_noise_is_the_ratio(noise, tone):
    noise = noise - noise.mean()
    wanted_db = 10.0
    scaled = noise * np.linalg.norm(tone) / np.linalg.norm(noise) * 10 ** (-wanted_db / 20)
    assert si_sdr_db(tone + scaled, tone) == pytest.approx(wanted_db, abs=0.3)
    assert si_sdr_db(0.1 * (tone + scaled), tone) == pytest.approx(si_sdr_db(tone + scaled, tone), abs=1e-3)
    assert si_sdr_db(noise, tone) < -20


@pytest.mark.parametrize("distance", [multi_resolution_stft, lambda a, b: mel_distance(a, b, RATE)])
def test_distances_grow_with_the_noise(distance, noise, tone):
    assert distance(tone, tone) == 0
    values = [distance(tone + level * noise, tone) for level in (1e-4, 1e-3, 1e-2, 1e-1)]
    assert values == sorted(values)
    assert values[0] > 0


def test_a_gain_of_six_decibels_is_six_decibels_of_mel(noise):
    assert mel_distance(2 * noise, noise, RATE) == pytest.approx(6.02, abs=0.01)


@pytest.mark.parametrize("score", [si_sdr_db, multi_resolution_stft, lambda a, b: mel_distance(a, b, RATE)])
def test_unequal_lengths_are_refused(score, tone):
    with pytest.raises(InputError, match="one length"):
        score(tone[:-1], tone)


def test_a_silent_reference_is_refused(tone):
    for score in (si_sdr_db, multi_resolution_stft):
        with pytest.raises(InputError, match="silence"):
            score(tone, np.zeros_like(tone))
