"""Noises and voices that are made: finite, full scale, each of its kind, and like no other of it."""

import numpy as np
import pytest

from volna.errors import InputError
from volna.synthesis.noises import NOISES, noise_like
from volna.synthesis.voice import speech_like, talker

RATE = 8000


@pytest.mark.parametrize("kind", NOISES)
def test_a_noise_is_sound_and_its_seed_draws_it(kind: str) -> None:
    noise = noise_like(kind, 1.0, RATE, seed=3)
    assert noise.shape == (RATE,)
    assert noise.dtype == np.float32
    assert np.isfinite(noise).all()
    assert np.abs(noise).max() == pytest.approx(1)
    np.testing.assert_array_equal(noise, noise_like(kind, 1.0, RATE, seed=3))
    assert np.abs(noise - noise_like(kind, 1.0, RATE, seed=4)).max() > 0.1


@pytest.mark.parametrize("kind", NOISES)
@pytest.mark.parametrize("rate", [2000, 16_000])
def test_short_noises_and_other_rates_do_no_harm(kind: str, rate: int) -> None:
    for duration_s in (1 / rate, 0.01, 0.3):
        assert np.isfinite(noise_like(kind, duration_s, rate, seed=1)).all()


def test_wind_is_low_and_rain_is_not() -> None:
    def low(kind: str) -> float:
        power = np.abs(np.fft.rfft(noise_like(kind, 2.0, RATE, seed=5))) ** 2
        return float(power[: len(power) // 8].sum() / power.sum())

    assert low("wind") > 0.9
    assert low("rain") < 0.5


@pytest.mark.parametrize(("kind", "duration_s", "rate"), [("silence", 1, RATE), ("rain", 0, RATE), ("rain", 1, 100)])
def test_noises_that_cannot_be_are_refused(kind: str, duration_s: float, rate: int) -> None:
    with pytest.raises(InputError, match="expected"):
        noise_like(kind, duration_s, rate)


def test_a_voice_has_the_pitch_of_its_talker() -> None:
    rng = np.random.default_rng(7)
    who = talker(rng)
    voice = speech_like(6.0, RATE, seed=7, pauses=0.0)
    envelope = np.abs(np.fft.rfft(np.maximum(voice, 0) ** 2, 1 << 17))
    hz = np.arange(len(envelope)) * RATE / (1 << 17)
    window = (hz > 60) & (hz < 400)
    assert hz[window][envelope[window].argmax()] == pytest.approx(who.pitch_hz, rel=0.35)


def test_a_voice_pauses_and_speaks() -> None:
    voice = speech_like(8.0, RATE, seed=1)
    level = np.sqrt(np.mean(voice.reshape(-1, 160) ** 2, axis=1))
    assert np.mean(level < 0.02 * level.max()) > 0.05
    assert np.mean(level > 0.1 * level.max()) > 0.2


def test_a_voice_has_no_offset() -> None:
    voice = speech_like(4.0, RATE, seed=2)
    assert abs(voice.mean()) < 0.1 * voice.std()


def test_a_voice_out_of_range_is_refused() -> None:
    with pytest.raises(InputError, match="2000 Hz"):
        speech_like(1.0, 500)
