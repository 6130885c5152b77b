"""Faults: each has the rate, pitch and length it was asked for, and a mixture keeps the level of the recording."""

from __future__ import annotations

import numpy as np
import pytest

from volna.errors import InputError
from volna.synthesis.machine_faults import (
    CLICKS_PER_TURN,
    FAULTS,
    FaultRange,
    add_fault,
    bearing_clicks,
    belt_whistle,
    knock,
    make_fault,
    rub,
)

RATE = 16_000


def rms(samples: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))


def strongest_hz(samples: np.ndarray, low: float = 0.0, high: float = np.inf) -> float:
    power = np.abs(np.fft.rfft(samples * np.hanning(len(samples)))) ** 2
    hz = np.fft.rfftfreq(len(samples), 1 / RATE)
    power[(hz < low) | (hz > high)] = 0
    return float(hz[power.argmax()])


def envelope(samples: np.ndarray, n: int = 32) -> np.ndarray:
    """Mean power of runs of ``n`` samples, its mean taken out."""
    power = (samples[: len(samples) // n * n].reshape(-1, n).astype(np.float64) ** 2).mean(axis=1)
    return power - power.mean()


@pytest.mark.parametrize("kind", FAULTS)
@pytest.mark.parametrize(("n_samples", "rate"), [(1, RATE), (700, 8_000), (RATE, RATE), (44_100, 44_100)])
def test_every_fault_is_as_long_as_asked_finite_and_of_unit_level(kind: str, n_samples: int, rate: int) -> None:
    made = make_fault(kind, n_samples, rate, np.random.default_rng(3))
    assert made.shape == (n_samples,)
    assert made.dtype == np.float32
    assert np.isfinite(made).all()
    if n_samples >= 700 and kind != "clicks":  # clicks may all lie outside 90 ms
        assert rms(made) == pytest.approx(1.0, abs=1e-3)


def test_the_same_generator_gives_the_same_fault_and_another_seed_another() -> None:
    one, same, other = (make_fault("rub", 8_000, RATE, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(one, same)
    assert not np.allclose(one, other)


def test_clicks_come_at_the_rate_of_the_flaw_and_ring_at_the_resonance() -> None:
    made = bearing_clicks(4 * RATE, RATE, 20.0, 3_000.0, np.random.default_rng(0))
    assert strongest_hz(made) == pytest.approx(3_000.0, abs=250.0)
    power = np.abs(np.fft.rfft(envelope(made)))
    hz = np.fft.rfftfreq(len(envelope(made)), 32 / RATE)
    heard = (hz > 40) & (hz < 100)
    assert hz[heard][power[heard].argmax()] == pytest.approx(20.0 * CLICKS_PER_TURN, rel=0.02)


def test_clicks_are_peaky_and_a_whistle_is_not() -> None:
    clicks = bearing_clicks(RATE, RATE, 15.0, 3_000.0, np.random.default_rng(0))
    whistle = belt_whistle(RATE, RATE, 15.0, 3_000.0, np.random.default_rng(0))
    assert np.mean(clicks**4) > 3 * np.mean(whistle**4)
    assert strongest_hz(whistle) == pytest.approx(3_000.0, rel=0.02)


def test_a_rub_stays_in_its_octave_and_touches_once_a_turn() -> None:
    made = rub(2 * RATE, RATE, 12.0, 1_500.0, np.random.default_rng(0))
    power = np.abs(np.fft.rfft(made)) ** 2
    hz = np.fft.rfftfreq(len(made), 1 / RATE)
    inside = power[(hz > 1_500 / 1.5) & (hz < 1_500 * 1.5)].sum()
    assert inside / power.sum() > 0.98
    course = np.abs(np.fft.rfft(envelope(made)))
    turns = np.fft.rfftfreq(len(envelope(made)), 32 / RATE)
    low = (turns > 4) & (turns < 40)
    assert turns[low][course[low].argmax()] == pytest.approx(12.0, abs=0.6)
    assert np.mean(np.abs(made) < 0.01) > 0.6  # three quarters of a turn without contact


def test_a_knock_is_rare_low_and_never_missing() -> None:
    for seed in range(5):
        made = knock(RATE, RATE, 20.0, 1_600.0, np.random.default_rng(seed))
        assert np.abs(made).max() > 3.0
        assert strongest_hz(made) < 1_600.0
    assert np.mean(np.abs(knock(4 * RATE, RATE, 20.0, 1_600.0, np.random.default_rng(0))) < 0.05) > 0.4


@pytest.mark.parametrize("kind", FAULTS)
def test_a_pitch_beyond_the_rate_is_lowered(kind: str) -> None:
    made = make_fault(kind, 8_000, 8_000, np.random.default_rng(0), FaultRange((20.0, 20.1), (6_000.0, 6_001.0)))
    power = np.abs(np.fft.rfft(made * np.hanning(len(made)))) ** 2
    assert rms(made) == pytest.approx(1.0, abs=1e-3)
    assert power.argmax() < 0.95 * len(power)


@pytest.mark.parametrize("snr_db", [-20.0, 0.0, 10.0])
def test_a_mixture_has_the_level_of_the_recording_and_the_ratio_asked_for(snr_db: float) -> None:
    rng = np.random.default_rng(0)
    clean = 0.03 * rng.standard_normal(RATE).astype(np.float32)
    fault = make_fault("whistle", RATE, RATE, rng)
    mixed = add_fault(clean, 7.0 * fault, snr_db)
    assert rms(mixed) == pytest.approx(rms(clean), rel=1e-4)
    share, *_ = np.linalg.lstsq(
        np.stack([clean, fault], axis=1).astype(np.float64), mixed.astype(np.float64), rcond=None
    )
    assert 20 * np.log10(abs(share[1]) * rms(fault) / (abs(share[0]) * rms(clean))) == pytest.approx(snr_db, abs=0.2)


def test_what_makes_no_sense_is_refused() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(InputError, match="expected a fault out of"):
        make_fault("rust", 10, RATE, rng)
    with pytest.raises(InputError, match="at least one sample"):
        make_fault("rub", 0, RATE, rng)
    with pytest.raises(InputError, match="as long as the recording"):
        add_fault(np.ones(5), np.ones(6), 0.0)
    with pytest.raises(InputError, match="silence"):
        add_fault(np.zeros(5), np.ones(5), 0.0)
    with pytest.raises(InputError, match="finite"):
        add_fault(np.array([np.nan, 1.0]), np.ones(2), 0.0)
