"""Peaks and gaps: nearer to the sound before the damage than doing nothing, and consistent with what is known."""

import numpy as np
import pytest

from volna.errors import InputError
from volna.features.restoration import declip, extrapolate, fill
from volna.synthesis.voice import speech_like

RATE = 8000


def sdr_db(made: np.ndarray, real: np.ndarray) -> float:
    return float(10 * np.log10(np.sum(real**2) / np.sum((made - real) ** 2)))


def voice(seed: int = 0, rate: int = RATE, duration_s: float = 2.0) -> np.ndarray:
    return 0.8 * speech_like(duration_s, rate, seed, pauses=0.2)


@pytest.mark.parametrize("drive_db", [6.0, 12.0])
@pytest.mark.parametrize("rate", [8000, 16_000])
def test_cut_peaks_come_nearer_to_what_they_were(drive_db: float, rate: int) -> None:
    sound = voice(1, rate)
    rail = float(np.abs(sound).max() * 10 ** (-drive_db / 20))
    cut = np.clip(sound, -rail, rail)
    made = declip(cut, np.abs(cut) >= rail, rail, rate)
    assert sdr_db(made, sound) > sdr_db(cut, sound) + 5


def test_samples_that_were_not_cut_stay_and_those_that_were_reach_the_rail() -> None:
    sound = voice(2)
    rail = float(np.abs(sound).max() / 3)
    cut = np.clip(sound, -rail, rail)
    mask = np.abs(cut) >= rail
    made = declip(cut, mask, rail, RATE)
    np.testing.assert_array_equal(made[~mask], cut[~mask])
    assert np.all(np.abs(made[mask]) >= rail - 1e-6)
    assert np.all(np.sign(made[mask]) == np.sign(cut[mask]))
    assert np.abs(made).max() <= 4 * rail + 1e-6


def test_nothing_cut_is_nothing_changed() -> None:
    sound = voice(3)
    assert declip(sound, np.zeros(len(sound), bool), 1.0, RATE) is sound


@pytest.mark.parametrize("n", [1, 5, 100, 511])
def test_short_sounds_are_declipped_without_a_fault(n: int) -> None:
    sound = np.full(n, 0.5, np.float32)
    made = declip(sound, np.ones(n, bool), 0.5, RATE)
    assert made.shape == (n,)
    assert np.isfinite(made).all()


@pytest.mark.parametrize(("mask", "rail"), [(np.zeros(3, bool), 1.0), (np.zeros(4, bool), 0.0)])
def test_what_makes_no_sense_is_refused(mask: np.ndarray, rail: float) -> None:
    with pytest.raises(InputError, match="level above 0"):
        declip(np.zeros(4, np.float32), mask, rail, RATE)


@pytest.mark.parametrize(("gap_s", "least_db"), [(0.005, 25), (0.02, 10), (0.05, 6)])
def test_a_gap_in_a_chord_is_filled(gap_s: float, least_db: float) -> None:
    t = np.arange(RATE) / RATE
    sound = sum(np.sin(2 * np.pi * f * t) for f in (220, 277, 330)).astype(np.float32) / 3
    begin, end = 4000, 4000 + round(gap_s * RATE)
    assert sdr_db(fill(sound, begin, end, RATE), sound[begin:end]) > least_db


def test_gaps_in_a_voice_are_nearer_than_silence() -> None:
    sound, length = voice(4, duration_s=4.0), round(0.01 * RATE)
    level = sound.std()
    places = [at for at in range(1000, len(sound) - 1000, 700) if sound[at : at + length].std() > level]
    wrong = sum(float(np.sum((fill(sound, at, at + length, RATE) - sound[at : at + length]) ** 2)) for at in places)
    silent = sum(float(np.sum(sound[at : at + length] ** 2)) for at in places)
    assert len(places) > 5
    assert wrong < 0.5 * silent


def test_what_is_in_the_gap_is_not_looked_at() -> None:
    sound = voice(5)
    other = sound.copy()
    other[5000:5100] = 9.0
    np.testing.assert_array_equal(fill(sound, 5000, 5100, RATE), fill(other, 5000, 5100, RATE))


def test_gaps_at_the_ends_are_filled_from_one_side() -> None:
    t = np.arange(2000) / RATE
    sound = np.sin(2 * np.pi * 300 * t).astype(np.float32)
    assert sdr_db(fill(sound, 0, 40, RATE), sound[:40]) > 10
    assert sdr_db(fill(sound, 1960, 2000, RATE), sound[1960:]) > 10


def test_nothing_to_learn_from_gives_silence() -> None:
    assert not fill(np.zeros(500, np.float32), 100, 150, RATE).any()
    assert fill(np.ones(3, np.float32), 0, 3, RATE).tolist() == [0, 0, 0]
    assert extrapolate(np.ones(4), 5, 3, RATE) is None


@pytest.mark.parametrize(("begin", "end"), [(-1, 5), (5, 5), (8, 11)])
def test_a_gap_outside_the_sound_is_refused(begin: int, end: int) -> None:
    with pytest.raises(InputError, match="gap inside"):
        fill(np.zeros(10, np.float32), begin, end, RATE)


def test_a_loud_transient_is_not_blown_up() -> None:
    rng = np.random.default_rng(0)
    sound = (rng.standard_normal(4000) * np.exp(np.linspace(-6, 0, 4000))).astype(np.float32)
    made = fill(sound, 3000, 3400, RATE)
    assert np.abs(made).max() <= 1.5 * np.abs(sound).max() + 1e-6
