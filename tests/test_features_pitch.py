"""F0 tracking: tones and voices of known pitch, voicing, and librosa's pYIN."""

from __future__ import annotations

import time

import librosa
import numpy as np
import pytest

from volna.errors import InputError
from volna.features.pitch import frame_length_for, pyin, yin

RATE = 22_050


def tone(hz: float, rate: int = RATE, duration_s: float = 1.0, n_harmonics: int = 5) -> np.ndarray:
    t = np.arange(round(duration_s * rate)) / rate
    parts = [np.sin(2 * np.pi * hz * k * t + k) / k for k in range(1, n_harmonics + 1) if hz * k < rate / 2]
    return (0.3 * np.sum(parts, axis=0)).astype(np.float32)


def glide(f0_hz: np.ndarray, rate: int = RATE) -> np.ndarray:
    """A buzz of ten harmonics whose F0 follows a curve, one value a sample."""
    phase = 2 * np.pi * np.cumsum(f0_hz) / rate
    return (0.1 * sum(np.sin(k * phase) / k for k in range(1, 11))).astype(np.float32)


def cents(found_hz: np.ndarray, true_hz: np.ndarray | float) -> np.ndarray:
    return 1200 * np.abs(np.log2(found_hz / true_hz))


@pytest.mark.parametrize("track", [yin, pyin])
@pytest.mark.parametrize("rate", [16_000, 22_050, 44_100, 96_000])
@pytest.mark.parametrize("hz", [82.4, 196.0, 440.0, 880.0])
def test_steady_tones_are_within_5_cents(track, rate: int, hz: float) -> None:
    pitch = track(tone(hz, rate, 0.6), rate)
    inner = slice(4, -4)
    assert pitch.voiced[inner].all()
    assert cents(pitch.f0_hz[inner], hz).max() < 5.0


@pytest.mark.parametrize("track", [yin, pyin])
def test_a_telephone_line_is_enough(track) -> None:
    pitch = track(tone(150.0, 8_000), 8_000)
    assert cents(pitch.f0_hz[2:-2], 150.0).max() < 5.0


@pytest.mark.parametrize("track", [yin, pyin])
def test_a_missing_fundamental_is_found(track) -> None:
    t = np.arange(RATE) / RATE
    x = sum(np.sin(2 * np.pi * 200 * k * t) for k in (3, 4, 5)).astype(np.float32)
    assert cents(track(x, RATE).f0_hz[4:-4], 200.0).max() < 10.0


@pytest.mark.parametrize("track", [yin, pyin])
def test_level_and_offset_do_not_matter(track) -> None:
    x = tone(220.0)
    reference = track(x, RATE).f0_hz
    np.testing.assert_allclose(track(0.01 * x + 0.2, RATE).f0_hz[4:-4], reference[4:-4], rtol=1e-3)


def test_a_vibrato_is_followed_in_time() -> None:
    t = np.arange(2 * RATE) / RATE
    true = 220 * 2 ** (0.5 / 12 * np.sin(2 * np.pi * 5 * t))
    pitch = pyin(glide(true), RATE, hop_length=256)
    at = true[np.minimum((pitch.times_s * RATE).astype(int), len(true) - 1)]
    error = cents(pitch.f0_hz, at)[8:-8]
    assert np.median(error) < 12  # a frame averages over part of the swing of 50 cents
    assert error.max() < 45
    late = np.roll(at, 4)  # 46 ms off: the track is in time, not beside it
    assert np.median(cents(pitch.f0_hz, late)[8:-8]) > 2 * np.median(error)


def test_voice_pause_voice() -> None:
    rng = np.random.default_rng(0)
    x = np.concatenate([tone(130.0), 0.02 * rng.standard_normal(RATE).astype(np.float32), tone(330.0)])
    pitch = pyin(x, RATE)
    truth = (np.abs(pitch.times_s - 0.5) < 0.45) | (np.abs(pitch.times_s - 2.5) < 0.45)
    pause = np.abs(pitch.times_s - 1.5) < 0.4
    assert pitch.voiced[truth].mean() > 0.97
    assert pitch.voiced[pause].mean() < 0.15
    assert np.isnan(pitch.f0_hz[~pitch.voiced]).all()
    assert pitch.voiced_probability[truth].mean() > 0.9
    assert pitch.voiced_probability[pause].mean() < 0.1


@pytest.mark.parametrize("track", [yin, pyin])
def test_noise_and_silence_have_no_pitch(track) -> None:
    noise = np.random.default_rng(1).standard_normal(RATE).astype(np.float32)
    assert yin(noise, RATE).voiced.mean() < 0.02
    assert track(noise, RATE).voiced_probability.mean() < 0.2
    for quiet in (np.zeros(RATE, np.float32), np.full(RATE, 0.3, np.float32), 1e-6 * noise):
        assert not track(quiet, RATE).voiced.any()


@pytest.mark.parametrize("track", [yin, pyin])
@pytest.mark.parametrize("n", [1, 2, 511, 512, 513, 6_000])
def test_any_length_gives_its_frames(track, n: int) -> None:
    pitch = track(tone(220.0)[:n], RATE)
    assert pitch.f0_hz.shape == pitch.voiced.shape == pitch.times_s.shape == (1 + n // 512,)
    assert pitch.f0_hz.dtype == pitch.voiced_probability.dtype == np.float32
    assert ((pitch.voiced_probability >= 0) & (pitch.voiced_probability <= 1)).all()


def against_librosa(x: np.ndarray, rate: int) -> tuple[float, float]:
    """Share of frames with the same voicing, and of frames voiced in both that are within 20 cents."""
    ours = pyin(x, rate)
    f0, voiced, _ = librosa.pyin(x, fmin=65, fmax=1000, sr=rate, frame_length=frame_length_for(rate), hop_length=512)
    both = voiced & ours.voiced
    return float((voiced == ours.voiced).mean()), float((cents(ours.f0_hz[both], f0[both]) < 20).mean())


def test_pyin_agrees_with_librosa_on_tones() -> None:
    notes = np.concatenate([tone(hz, RATE, 0.5) for hz in (110.0, 164.8, 220.0, 329.6, 587.3)])
    voicing, pitch = against_librosa(notes, RATE)
    assert voicing > 0.97
    assert pitch > 0.95


def test_pyin_agrees_with_librosa_on_a_voice() -> None:
    t = np.arange(3 * RATE) / RATE
    breath = 0.003 * np.random.default_rng(2).standard_normal(len(t)).astype(np.float32)
    x = glide(180 * 2 ** (0.4 * np.sin(2 * np.pi * 0.7 * t))) * (np.sin(2 * np.pi * 1.1 * t) > -0.3) + breath
    voicing, pitch = against_librosa(x.astype(np.float32), RATE)
    assert voicing > 0.92
    assert pitch > 0.9


def test_pyin_is_fast_enough() -> None:
    x = tone(220.0, 44_100, 10.0)
    pyin(x[:44_100], 44_100)
    started = time.process_time()
    pyin(x, 44_100)
    assert time.process_time() - started < 3.0  # 0.2 s on a free core


def test_wrong_ranges_are_refused() -> None:
    x = tone(220.0)
    with pytest.raises(InputError, match="fmin_hz < fmax_hz"):
        yin(x, RATE, 500.0, 100.0)
    with pytest.raises(InputError, match="quarter of the sample rate"):
        pyin(x, 2_000, 65.0, 900.0)
    with pytest.raises(InputError, match="two periods"):
        pyin(x, RATE, frame_length=128)
    with pytest.raises(InputError, match="finite"):
        yin(np.array([0.0, np.nan]), RATE)
