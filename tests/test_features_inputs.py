"""The inputs beside the log-mel: what their rows are, and that every one has the same frames."""

from __future__ import annotations

import librosa
import numpy as np
import pytest

from volna.errors import InputError
from volna.features.inputs import INPUTS, as_input, n_rows
from volna.features.recipe import ANALYSIS
from volna.features.spectrum import log_mel

RATE = ANALYSIS.sample_rate


def tone(hz: float, duration_s: float = 2.0, level: float = 0.3) -> np.ndarray:
    return (level * np.sin(2 * np.pi * hz * np.arange(round(duration_s * RATE)) / RATE)).astype(np.float32)


@pytest.mark.parametrize("name", INPUTS)
@pytest.mark.parametrize("n_samples", [1, 279, 280, 5600])
def test_every_input_has_its_rows_and_about_the_same_frames(name: str, n_samples: int) -> None:
    x = as_input(np.full(n_samples, 0.1, np.float32), name)
    assert x.dtype == np.float32
    assert x.shape[0] == n_rows(name)
    assert abs(x.shape[1] - (1 + n_samples // ANALYSIS.hop_length)) <= 1
    assert np.isfinite(x).all()


def test_the_log_mel_is_the_log_mel() -> None:
    assert np.array_equal(as_input(tone(440), "log-mel"), log_mel(tone(440), ANALYSIS))


def test_the_linear_spectrum_is_that_of_librosa() -> None:
    samples = tone(1000) + 0.01 * np.random.default_rng(0).standard_normal(2 * RATE).astype(np.float32)
    power = (
        np.abs(librosa.stft(samples, n_fft=ANALYSIS.n_fft, hop_length=ANALYSIS.hop_length, pad_mode="constant")) ** 2
    )
    wanted = librosa.power_to_db(power[: n_rows("linear")], amin=1e-15, top_db=55)
    assert np.abs(as_input(samples, "linear") - wanted).max() < 0.02


def test_the_peak_of_the_linear_spectrum_is_where_the_tone_is() -> None:
    place = as_input(tone(2000), "linear").mean(axis=1).argmax()
    assert abs(place * RATE / ANALYSIS.n_fft - 2000) < RATE / ANALYSIS.n_fft


def test_cepstra_know_no_level() -> None:
    loud, soft = as_input(tone(440), "mfcc"), as_input(0.1 * tone(440), "mfcc")
    assert np.abs(loud - soft).max() < 1e-3


def test_the_wave_is_the_samples_themselves_at_level_one() -> None:
    samples = tone(300, 1.0, level=0.02)
    hops = as_input(samples, "wave")
    laid = hops.T.ravel()[: len(samples)]
    assert np.corrcoef(laid, samples)[0, 1] > 0.999999
    assert np.sqrt(np.mean(laid**2)) == pytest.approx(1.0, abs=1e-3)
    assert np.array_equal(as_input(np.zeros(560), "wave"), np.zeros((280, 2)))


def test_an_input_that_does_not_exist() -> None:
    with pytest.raises(InputError, match="log-mel, linear, mfcc, wave, got 'cqt'"):
        as_input(tone(440), "cqt")
