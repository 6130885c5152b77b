"""Onsets, tempo, fluctuation: clicks of known tempo, sounds without one, librosa as the reference."""

from __future__ import annotations

import doctest

import numpy as np
import pytest

from volna.features import rhythm as r
from volna.features.spectrum import MelConfig, log_mel

CONFIG = MelConfig()
RATE, FPS = CONFIG.sample_rate, CONFIG.frames_per_s


@pytest.fixture(scope="module")
def librosa():
    return pytest.importorskip("librosa", reason="the reference, librosa, is not installed")


def click_train(bpm: float, seconds: float = 10.0, seed: int = 0) -> np.ndarray:
    """Short bursts of noise on every beat, over a quiet hiss."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds * RATE)) / RATE
    since_beat = t % (60.0 / bpm)
    return (rng.standard_normal(len(t)) * (0.3 * np.exp(-since_beat / 0.02) + 1e-3)).astype(np.float32)


def tempo_of(*sounds: np.ndarray) -> r.Tempo:
    return r.tempo([r.onset_strength(log_mel(sound, CONFIG)) for sound in sounds], FPS)


def test_examples():
    assert doctest.testmod(r, extraglobs={"np": np}).failed == 0


@pytest.mark.parametrize("bpm", [70, 90, 100, 120, 128, 150, 165])
def test_a_click_train_has_its_tempo(bpm):
    found = tempo_of(click_train(bpm), click_train(bpm, seed=1))
    assert found.bpm == pytest.approx(bpm, rel=0.03)
    assert found.clarity > 0.5


@pytest.mark.parametrize("bpm", [90, 120, 150])
def test_four_seconds_are_enough(bpm):
    assert tempo_of(click_train(bpm, seconds=4.0)).bpm == pytest.approx(bpm, rel=0.03)


def test_windows_of_one_track_help_each_other():
    rng = np.random.default_rng(0)
    unclear = [click_train(100, seed=k) + 0.2 * rng.standard_normal(10 * RATE).astype(np.float32) for k in range(3)]
    assert tempo_of(*unclear).bpm == pytest.approx(100, rel=0.03)


def test_the_level_does_not_move_the_tempo():
    assert tempo_of(0.1 * click_train(90)).bpm == pytest.approx(tempo_of(click_train(90)).bpm, rel=1e-3)


def test_noise_has_no_clear_pulse():
    noise = 0.1 * np.random.default_rng(0).standard_normal(10 * RATE).astype(np.float32)
    assert tempo_of(noise).clarity < 0.2


@pytest.mark.parametrize(
    "sound",
    [
        np.zeros(5 * RATE, np.float32),
        np.full(5 * RATE, 0.5, np.float32),
        np.zeros(0, np.float32),
        click_train(120, seconds=1.0),
        click_train(120, seconds=0.3),
    ],
    ids=["silence", "constant", "nothing", "one second", "one note"],
)
def test_what_has_no_tempo_gives_nan_without_a_word(sound):
    onsets = [r.onset_strength(log_mel(sound, CONFIG))] if len(sound) else []
    bpm, clarity = r.tempo(onsets, FPS)
    assert np.isnan(bpm)
    assert clarity == 0.0


def test_a_padded_note_does_not_break_anything():
    padded = np.concatenate([click_train(120, seconds=0.3), np.zeros(5 * RATE, np.float32)])
    bpm, clarity = tempo_of(padded)
    assert np.isnan(bpm) or 30 <= bpm <= 300
    assert 0 <= clarity <= 1


def test_onset_strength_agrees_with_librosa(librosa):
    mel_db = log_mel(click_train(120), CONFIG)
    expected = librosa.onset.onset_strength(S=mel_db, sr=RATE, center=False)
    np.testing.assert_allclose(r.onset_strength(mel_db), expected, atol=1e-4)


def test_tempo_agrees_with_librosa_on_a_steady_beat(librosa):
    onset = r.onset_strength(log_mel(click_train(110), CONFIG))
    theirs = librosa.feature.tempo(onset_envelope=onset, sr=RATE, hop_length=CONFIG.hop_length)[0]
    assert r.tempo([onset], FPS).bpm == pytest.approx(theirs, rel=0.04)  # theirs is a whole number of frames


def test_autocorrelation_by_definition():
    x = np.random.default_rng(0).standard_normal(50).astype(np.float32)
    centred = x - x.mean()
    expected = [(centred[: 50 - k] * centred[k:]).mean() for k in range(10)]
    np.testing.assert_allclose(r.autocorrelation(x, 10), np.array(expected) / expected[0], atol=1e-5)


@pytest.mark.parametrize("hz", [1.0, 2.0, 4.0, 8.0])
def test_a_fluctuation_shows_at_its_speed_and_in_its_band(hz):
    mel_db = np.zeros((64, 430), np.float32)
    mel_db[40:50] = 10 * np.sin(2 * np.pi * hz * np.arange(430) / FPS)
    pattern = r.fluctuation_pattern([mel_db], FPS, n_bands=8, n_modulations=6)
    band, speed = np.unravel_index(pattern.argmax(), pattern.shape)
    edges = r.modulation_edges_hz(6)
    assert band == 5
    assert edges[speed] <= hz * 1.01
    assert hz * 0.99 <= edges[speed + 1]


def test_the_median_ignores_one_odd_window():
    steady = log_mel(click_train(120), CONFIG)
    odd = 50 * np.random.default_rng(0).standard_normal(steady.shape).astype(np.float32)
    alone = r.fluctuation_pattern([steady], FPS)
    together = r.fluctuation_pattern([steady, steady, odd], FPS)
    assert np.abs(together - alone).max() < 0.5 * alone.max()


@pytest.mark.parametrize("n_frames", [0, 1, 2, 30, 129])
def test_patterns_of_short_and_still_sounds_are_finite(n_frames):
    pattern = r.fluctuation_pattern([np.zeros((64, n_frames), np.float32)], FPS, n_bands=6, n_modulations=6)
    assert pattern.shape == (6, 6)
    assert not pattern.any()
