"""Modulation of cepstra: tremolos of known speed and depth, noise, and sounds that hardly move or last."""

from __future__ import annotations

import doctest

import numpy as np
import pytest

from volna.features import modulation as m
from volna.features.descriptors import mfcc
from volna.features.recipe import ANALYSIS, GROUPS, analyse, group_of
from volna.features.spectrum import log_mel

RATE, FPS = ANALYSIS.sample_rate, ANALYSIS.frames_per_s
STILL = np.log(m.STILL_DB)


def tremolo(hz: float, seconds: float = 10.0, depth: float = 0.5) -> np.ndarray:
    """Noise whose loudness swells ``hz`` times a second."""
    t = np.arange(round(seconds * RATE)) / RATE
    noise = 0.1 * np.random.default_rng(0).standard_normal(len(t))
    return (noise * (1 + depth * np.sin(2 * np.pi * hz * t))).astype(np.float32)


def wave(hz: float, n_frames: int, *, size_db: float = 1.0) -> np.ndarray:
    return (size_db * np.sin(2 * np.pi * hz * np.arange(n_frames) / FPS)).astype(np.float32)


def cepstra(sound: np.ndarray, n_mfcc: int = 8) -> np.ndarray:
    return mfcc(log_mel(sound, ANALYSIS), n_mfcc)


def in_vector(sound: np.ndarray) -> np.ndarray:
    """The block of the recipe's vector, one row for each MFCC."""
    return analyse([sound]).descriptors[group_of("modulation")].reshape(24, 5)


def test_examples():
    assert doctest.testmod(m, extraglobs={"np": np}).failed == 0


@pytest.mark.parametrize("hz", [0.5, 1.0, 2.5, 4.0, 6.0, 12.0])
def test_a_tremolo_peaks_in_its_band_of_the_level(hz):
    level = m.cepstral_modulation([cepstra(tremolo(hz))], FPS)[0]
    edges = m.band_edges_hz(5)
    band = int(level.argmax())
    assert edges[band] <= hz < edges[band + 1]


def test_the_vector_holds_the_tremolo_under_its_name():
    block = in_vector(tremolo(4.0))
    assert GROUPS["modulation"][block[0].argmax()] == "modulation_1_4"  # 3.7 to 8.6 Hz
    assert block[0, 3] > block[1:, 3].max() + 1.0  # the level swells, the shape of the spectrum does not


def test_names_run_over_bands_within_coefficients():
    names = GROUPS["modulation"]
    assert len(names) == 24 * 5
    assert names[:6] == (*(f"modulation_1_{band}" for band in range(1, 6)), "modulation_2_1")
    assert names[-1] == "modulation_24_5"


def test_twice_the_movement_is_twice_the_value():
    once, twice = (m.cepstral_modulation([wave(4.0, 512, size_db=size)[None]], FPS)[0, 3] for size in (1.0, 2.0))
    assert np.exp(once) == pytest.approx(np.sqrt(0.5), rel=0.03)  # the root mean square of a sine
    assert twice - once == pytest.approx(np.log(2), abs=0.02)


def test_the_power_of_noise_is_its_variance():
    noise = 3 * np.random.default_rng(0).standard_normal((4, 20_000), dtype=np.float32)
    power = m.modulation_power([noise])
    assert power.shape == (1 + (20_000 - 256) // 128, 4, 129)
    np.testing.assert_allclose(power.sum(axis=-1).mean(axis=0), 9.0, rtol=0.1)


def test_gain_changes_nothing():
    loud, soft = in_vector(tremolo(4.0)), in_vector(0.1 * tremolo(4.0))
    np.testing.assert_allclose(soft, loud, atol=2e-3)


def test_a_shift_changes_little_and_another_speed_much():
    sound = tremolo(4.0, 11.0)
    here, later, other = in_vector(sound[: 10 * RATE]), in_vector(sound[RATE:]), in_vector(tremolo(1.0))
    assert np.abs(later - here)[0].max() < 0.5 < np.abs(other - here)[0].max()


def test_segments_are_averaged_over_windows_and_never_run_across():
    still, moving = np.zeros((1, 256), np.float32), wave(4.0, 256)[None]
    alone = np.exp(m.cepstral_modulation([moving], FPS)) - m.STILL_DB
    both = np.exp(m.cepstral_modulation([still, moving], FPS)) - m.STILL_DB
    np.testing.assert_allclose(both, alone / 2, rtol=1e-3, atol=1e-5)
    steps = [np.full((1, 300), level, np.float32) for level in (0.0, 40.0)]  # a step between windows is no movement
    np.testing.assert_allclose(m.cepstral_modulation(steps, FPS), STILL, atol=1e-3)


@pytest.mark.parametrize("n_frames", [1, 2, 30, 129, 255, 256, 257, 1_290])
def test_any_length_gives_the_same_shape(n_frames):
    noise = np.random.default_rng(0).standard_normal((3, n_frames), dtype=np.float32)
    values = m.cepstral_modulation([noise, noise[:, :1]], FPS)
    assert values.shape == (3, 5)
    assert values.dtype == np.float32
    assert np.isfinite(values).all()


def test_a_short_window_is_repeated():
    period = wave(FPS / 64, 64)[None]  # four of them make a segment, without a seam
    np.testing.assert_allclose(
        m.cepstral_modulation([period], FPS), m.cepstral_modulation([np.tile(period, (1, 4))], FPS), atol=1e-5
    )


def test_what_never_moves_is_still():
    np.testing.assert_allclose(m.cepstral_modulation([np.full((2, 300), -80, np.float32)], FPS), STILL, atol=1e-3)


@pytest.mark.parametrize("silence_s", [0.0, 1.0, 20.0])
def test_a_note_before_silence_is_finite(silence_s):
    note = np.concatenate([tremolo(4.0, 0.3), np.zeros(round(silence_s * RATE), np.float32)])
    block = in_vector(note)
    assert np.isfinite(block).all()
    assert (block >= STILL - 1e-3).all()


def test_input_stays_as_it_was():
    rows = np.random.default_rng(0).standard_normal((3, 300), dtype=np.float32)
    before = rows.copy()
    m.cepstral_modulation([rows, rows[:, :100]], FPS)
    np.testing.assert_array_equal(rows, before)


def test_a_slow_frame_rate_leaves_fast_bands_empty():
    values = m.cepstral_modulation([np.random.default_rng(0).standard_normal((2, 400), dtype=np.float32)], 10.0)
    assert np.isfinite(values).all()
    np.testing.assert_allclose(values[:, 4], STILL, atol=1e-5)  # nothing above 5 Hz
