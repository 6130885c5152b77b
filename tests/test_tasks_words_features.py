"""Log-mels and cepstra of words, held to librosa where it has them, and to what the docstrings promise."""

from __future__ import annotations

import librosa
import numpy as np
import pytest
import scipy.fft

from volna.tasks.words.features import (
    N_CEPSTRA,
    cepstra,
    of_one_length,
    word_log_mel,
)


def sound(seed: int = 0, n: int = 4000) -> np.ndarray:
    rng = np.random.default_rng(seed)
    t = np.arange(n) / 8000
    tones = sum(np.sin(2 * np.pi * f * t * (1 + 0.1 * t)) for f in (220.0, 660.0, 1500.0))
    return (0.1 * tones + 0.01 * rng.standard_normal(n)).astype(np.float32)


def test_the_log_mel_is_librosas() -> None:
    samples = sound()
    emphasised = np.append(samples[0], samples[1:] - 0.97 * samples[:-1])
    window = np.hamming(200)
    frames = np.stack([emphasised[k : k + 200] * window for k in range(0, len(samples) - 199, 80)])
    power = np.abs(np.fft.rfft(frames, 256)) ** 2
    bank = librosa.filters.mel(sr=8000, n_fft=256, n_mels=26, fmin=100, fmax=3800, htk=True, norm=None)
    np.testing.assert_allclose(word_log_mel(samples), 10 * np.log10(bank @ power.T), atol=0.01)


@pytest.mark.parametrize("n", [1, 10, 199, 200])
def test_a_sound_of_one_frame_has_one(n: int) -> None:
    log_mel = word_log_mel(sound(n=n))
    assert log_mel.shape == (26, 1)
    rows = cepstra(log_mel, variance=True)
    assert rows.shape == (1, N_CEPSTRA)
    assert np.isfinite(rows).all()


def test_cepstra_are_lifter_free_dct_with_librosas_slopes_inside() -> None:
    log_mel = np.clip(word_log_mel(sound()), -30, None)  # within 30 dB: the floor takes nothing away
    rows = cepstra(log_mel)
    floor = np.percentile(log_mel, 99) - 30
    still = scipy.fft.dct(np.maximum(log_mel, floor), axis=0, norm="ortho")[:13]
    np.testing.assert_allclose(rows[:, :13].T, still - still.mean(axis=1, keepdims=True), atol=1e-3)
    slope = librosa.feature.delta(still, width=5)
    inner = slice(2, -2)
    found = rows[:, 13:26].T
    offset = (slope - found)[:, inner]
    np.testing.assert_allclose(offset, np.broadcast_to(offset[:, :1], offset.shape), atol=1e-3)


def test_means_are_taken_out_and_spreads_are_one() -> None:
    rows = cepstra(word_log_mel(sound()), variance=True)
    np.testing.assert_allclose(rows.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(rows.std(axis=0), 1, atol=0.15)


@pytest.mark.parametrize("variance", [False, True])
def test_a_gain_and_a_microphone_change_nothing(variance: bool) -> None:
    samples = sound()
    once = cepstra(word_log_mel(samples), variance=variance)
    np.testing.assert_allclose(cepstra(word_log_mel(0.05 * samples), variance=variance), once, atol=2e-2)
    colour = np.linspace(-3, 3, 26, dtype=np.float32)[:, None]  # a smooth filter adds the same to every frame
    quiet = cepstra(np.clip(word_log_mel(samples), -25, None) + colour, variance=variance)
    assert np.corrcoef(quiet.ravel(), once.ravel())[0, 1] > 0.9


def test_what_lies_far_below_the_word_does_not_matter() -> None:
    log_mel = word_log_mel(sound())
    faint = np.where(log_mel < log_mel.max() - 45, log_mel - 20, log_mel)
    np.testing.assert_array_equal(cepstra(faint), cepstra(log_mel))


def test_silence_stays_finite() -> None:
    assert np.isfinite(cepstra(word_log_mel(np.zeros(800, np.float32)), variance=True)).all()


def test_one_length_keeps_the_ends_and_a_line() -> None:
    line = np.linspace(0, 5, 11)[:, None] * np.ones((1, 3))
    for n in (2, 7, 40):
        stretched = of_one_length(line, n)
        np.testing.assert_allclose(stretched[:, 0], np.linspace(0, 5, n), atol=1e-6)
    assert of_one_length(np.ones((1, 4)), 6).shape == (6, 4)
