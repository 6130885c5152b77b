"""Peaks between the bins, notes, side lobes told apart, and sound made of sinusoids again."""

from __future__ import annotations

import numpy as np
import pytest

from volna.errors import InputError
from volna.features.sinusoids import (
    amplitude_spectrum,
    find_peaks,
    held_tones,
    leakage_db,
    note_of,
    rebuild,
    sinusoids,
)

RATE = 16_000


def tones(*parts: tuple[float, float], n: int = RATE, phase: float = 0.3) -> np.ndarray:
    """Sum of cosines ``(Hz, amplitude)``, float32."""
    seconds = np.arange(n) / RATE
    return sum(a * np.cos(2 * np.pi * hz * seconds + phase * k) for k, (hz, a) in enumerate(parts, 1)).astype(
        np.float32
    )


@pytest.mark.parametrize(
    ("hz", "note", "cents"),
    [(440.0, "A4", 0.0), (261.6256, "C4", 0.0), (27.5, "A0", 0.0), (452.0, "A4", 46.6), (16.352, "C0", 0.0)],
)
def test_notes_are_those_of_the_tempered_scale(hz: float, note: str, cents: float) -> None:
    name, deviation = note_of(hz)
    assert name == note
    assert deviation == pytest.approx(cents, abs=0.05)


def test_below_hearing_there_is_no_note() -> None:
    assert note_of(5.0) is None
    assert note_of(0.0) is None


@pytest.mark.parametrize("window", ["hann", "hamming", "rectangular"])
@pytest.mark.parametrize("place", [100.0, 100.27, 100.5, 3.4, 500.9])
def test_a_tone_between_bins_is_placed_and_measured(window: str, place: float) -> None:
    frame = 0.25 * np.cos(2 * np.pi * place * np.arange(1_024) / 1_024 + 1.0).astype(np.float32)
    found = find_peaks(amplitude_spectrum(frame[None], window), 1, window)
    assert found.frequencies_hz[0, 0] == pytest.approx(place, abs=0.15 if window == "rectangular" else 0.02)
    assert 20 * np.log10(found.amplitudes[0, 0] / 0.25) == pytest.approx(
        0.0, abs=1.0 if window == "rectangular" else 0.1
    )


def test_phases_are_those_of_the_middle_of_the_frame() -> None:
    n = np.arange(1_024)
    frame = np.cos(2 * np.pi * 50.3 / 1_024 * (n - 512) + 0.7).astype(np.float32)
    assert find_peaks(amplitude_spectrum(frame[None]), 1).phases[0, 0] == pytest.approx(0.7, abs=0.01)


@pytest.mark.parametrize("window", ["hann", "hamming", "rectangular"])
def test_side_lobes_are_no_tones(window: str) -> None:
    frame = np.cos(2 * np.pi * 100.37 * np.arange(1_024) / 1_024).astype(np.float32)
    found = find_peaks(amplitude_spectrum(frame[None], window), 20, window)
    assert (found.amplitudes[1:] < 1e-4).all()


def test_a_faint_tone_beyond_the_leakage_is_found() -> None:
    n = np.arange(1_024)
    frame = np.cos(2 * np.pi * 100.4 / 1_024 * n) + 0.003 * np.cos(2 * np.pi * 160 / 1_024 * n)
    found = find_peaks(amplitude_spectrum(frame[None].astype(np.float32)), 2)
    assert found.frequencies_hz[:, 0] == pytest.approx([100.4, 160.0], abs=0.05)


@pytest.mark.parametrize(("window", "side_lobe_db"), [("hann", -31.5), ("hamming", -42.7), ("rectangular", -13.3)])
def test_leakage_falls_and_has_the_side_lobes_of_harris(window: str, side_lobe_db: float) -> None:
    envelope = leakage_db(window)
    null = {"hann": 2, "hamming": 2, "rectangular": 1}[window]
    assert (np.diff(envelope) <= 0).all()
    assert envelope[0] == pytest.approx(0.0, abs=1e-4)
    assert envelope[null * 16 + 1] == pytest.approx(side_lobe_db, abs=0.3)


def test_peaks_of_many_frames_are_those_of_each() -> None:
    frames = np.random.default_rng(0).standard_normal((5, 512)).astype(np.float32)
    spectra = amplitude_spectrum(frames)
    together = find_peaks(spectra, 4)
    for t in range(5):
        alone = find_peaks(spectra[t : t + 1], 4)
        np.testing.assert_allclose(together.amplitudes[:, t], alone.amplitudes[:, 0], rtol=1e-5)
    assert (np.diff(together.amplitudes, axis=0) <= 0).all()


def test_silence_has_no_tones() -> None:
    assert not sinusoids(np.zeros(4_000), RATE, 3).amplitudes.any()


@pytest.mark.parametrize("parts", [[(440.0, 0.5)], [(220.0, 0.3), (1_234.5, 0.2), (3_000.0, 0.05)]])
def test_steady_tones_come_back(parts: list) -> None:
    sound = tones(*parts)
    again = rebuild(sinusoids(sound, RATE, len(parts)), len(sound), RATE)
    inner = slice(2_048, -2_048)
    assert again.shape == sound.shape
    assert again.dtype == np.float32
    snr_db = 10 * np.log10(np.sum(sound[inner] ** 2) / np.sum((sound - again)[inner] ** 2))
    assert snr_db > 40


def test_a_gliding_voice_comes_back_and_more_sinusoids_are_better() -> None:
    seconds = np.arange(2 * RATE) / RATE
    turns = 2 * np.pi * np.cumsum(150 + 30 * np.sin(2 * np.pi * 3 * seconds)) / RATE
    voice = sum(np.sin(k * turns) / k for k in range(1, 11)).astype(np.float32) * 0.2
    snr_db = []
    for n in (1, 4, 16):
        again = rebuild(sinusoids(voice, RATE, n, n_fft=1_024), len(voice), RATE, hop_length=256)
        snr_db.append(10 * np.log10(np.sum(voice**2) / np.sum((voice - again) ** 2)))
    assert snr_db == sorted(snr_db)
    assert snr_db[-1] > 13


def test_fewer_sinusoids_than_asked_for_is_no_error() -> None:
    assert sinusoids(tones((440.0, 0.5)), RATE, 200, n_fft=128).amplitudes.shape[0] == 200
    with pytest.raises(InputError, match="at least one"):
        sinusoids(tones((440.0, 0.5)), RATE, 0)


def test_held_tones_have_their_levels_and_no_clicks() -> None:
    sound = held_tones([440.0, 1_000.0], [0.5, 0.25], 1.0, RATE)
    found = find_peaks(amplitude_spectrum(sound[None, 4_000:8_096]), 2)
    assert found.amplitudes[:, 0] == pytest.approx([0.5, 0.25], abs=0.01)
    assert abs(sound[[0, -1]]).max() < 1e-6
    assert not held_tones([], [], 1.0, RATE).any()
