"""Onsets and beats: click tracks whose times are known, and librosa on the same curves."""

from __future__ import annotations

import librosa
import numpy as np
import pytest

from volna.features.beats import f_measure, onset_frames, times_of, track_beats
from volna.features.rhythm import Tempo, onset_strength
from volna.features.spectrum import MelConfig, mel_power, power_spectrum, power_to_db, stft

RATE, HOP, N_FFT = 22_050, 512, 2048
FRAMES_PER_S = RATE / HOP


def clicks(times_s: np.ndarray, duration_s: float, noise: float = 1e-3) -> np.ndarray:
    x = noise * np.random.default_rng(0).standard_normal(round(duration_s * RATE))
    t = np.arange(round(0.05 * RATE)) / RATE
    click = 0.5 * np.sin(2 * np.pi * 1000 * t) * np.exp(-80 * t)
    for start in np.round(times_s * RATE).astype(int):
        x[start : start + len(click)] += click[: len(x) - start]
    return x.astype(np.float32)


def curve_of(x: np.ndarray) -> np.ndarray:
    config = MelConfig(RATE, N_FFT, HOP, 128, 0.0, RATE / 2)
    return onset_strength(power_to_db(mel_power(power_spectrum(stft(x, N_FFT, HOP)), config)))


def seconds(frames: np.ndarray, x: np.ndarray) -> np.ndarray:
    return times_of(frames, FRAMES_PER_S, N_FFT / RATE, len(x) / RATE)


@pytest.mark.parametrize("bpm", [60, 75, 90, 110, 120, 135, 150, 165])
def test_beats_of_click_tracks(bpm: int) -> None:
    true = np.arange(0.5, 19.6, 60 / bpm)
    x = clicks(true, 20.0)
    assert f_measure(seconds(track_beats(curve_of(x), FRAMES_PER_S), x), true) > 0.95


def test_beats_go_on_through_a_bar_of_rest_and_over_weak_ones() -> None:
    true = np.arange(0.5, 19.6, 0.5)
    loud = np.delete(true, [*range(16, 20), 25, 31])
    x = clicks(loud, 20.0)
    assert f_measure(seconds(track_beats(curve_of(x), FRAMES_PER_S), x), true) > 0.95


def test_beats_follow_a_tempo_that_drifts() -> None:
    true = 0.5 + np.cumsum(np.linspace(0.52, 0.48, 36))
    x = clicks(true, 20.0)
    assert f_measure(seconds(track_beats(curve_of(x), FRAMES_PER_S), x), true) > 0.95


@pytest.mark.slow  # librosa compiles its tracker at every start
@pytest.mark.parametrize("bpm", [80, 100, 120])
def test_beats_agree_with_librosa(bpm: int) -> None:
    x = clicks(np.arange(0.7, 19.5, 60 / bpm), 20.0, noise=0.01)
    _, theirs = librosa.beat.beat_track(y=x, sr=RATE, bpm=bpm, units="time")
    ours = seconds(track_beats(curve_of(x), FRAMES_PER_S, Tempo(bpm, 1.0)), x)
    assert f_measure(ours, theirs) > 0.95


def test_onsets_are_those_of_librosa() -> None:
    rng = np.random.default_rng(2)
    x = clicks(np.sort(rng.uniform(0.2, 9.5, 30)), 10.0)
    curve = curve_of(x)
    theirs = librosa.onset.onset_detect(onset_envelope=curve, sr=RATE, hop_length=HOP)
    np.testing.assert_array_equal(onset_frames(curve, FRAMES_PER_S), theirs)


def test_onsets_are_on_time() -> None:
    true = np.array([0.5, 0.9, 1.6, 2.3, 2.45, 3.3])
    x = clicks(true, 4.0)
    found = seconds(onset_frames(curve_of(x), FRAMES_PER_S), x)
    assert f_measure(found[found > 0.1], true, 0.05) == 1.0  # the noise begins at 0, which is an onset too


@pytest.mark.parametrize("find", [onset_frames, track_beats])
def test_nothing_that_moves_no_events(find) -> None:
    for curve in (np.zeros(400), np.full(400, 2e-3), np.zeros(1), np.zeros(0)):
        assert find(curve.astype(np.float32), FRAMES_PER_S).tolist() == []


def test_one_note_is_an_onset_and_no_beat() -> None:
    x = clicks(np.array([0.1]), 0.3, noise=0.0)
    assert len(onset_frames(curve_of(x), FRAMES_PER_S)) == 1
    assert len(track_beats(curve_of(x), FRAMES_PER_S)) == 0


def test_the_end_of_a_sound_is_no_event() -> None:
    assert times_of(np.array([0, 10]), 10.0, 0.2, 1.05).tolist() == [0.1]
    x = clicks(np.array([0.5, 1.0]), 1.6, noise=0.0)
    x += 0.3 * np.sin(2 * np.pi * 200 * np.arange(len(x)) / RATE).astype(np.float32)  # cut off amid its sound
    assert onset_frames(curve_of(x), FRAMES_PER_S)[-1] / FRAMES_PER_S > 1.5
    assert seconds(onset_frames(curve_of(x), FRAMES_PER_S), x)[-1] == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize(
    ("found", "true", "expected"),
    [
        ([], [], 1.0),
        ([1.0], [], 0.0),
        ([], [1.0], 0.0),
        ([1.0, 1.01], [1.0], 2 / 3),  # a true event counts once
        ([0.95, 2.0], [1.0, 2.05], 1.0),
        ([1.2], [1.0], 0.0),
    ],
)
def test_the_f_measure(found: list[float], true: list[float], expected: float) -> None:
    assert f_measure(np.array(found), np.array(true)) == pytest.approx(expected)
