"""Scalogram: the continuous wavelet transform with Morlet's wavelet, as a picture of power over time and pitch.

Morlet's wavelet is a tone under a Gaussian; its spectrum is a Gaussian around the tone (Torrence and Compo 1998, table
1, with w0 = 6). Scaled so that a sine of amplitude A comes out as A at its own frequency, whatever its scale (Liu,
Liang and Weisberg 2007); the textbooks' unit energy would favour low tones. Low sounds get fine pitch and coarse time,
high sounds the other way round.

A column is the mean power over one hop around its centre, so that no click falls between two columns.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike

from volna.errors import InputError
from volna.features.constant_q import (
    Band,
    Bank,
    band_signal,
    cut_bands,
    pitch_frequencies,
    stretch_of,
)
from volna.features.frames import Floats, checked

__all__ = ["HIGHEST_SHARE", "morlet_bank", "scalogram", "scalogram_blocks"]

OMEGA = 6.0  # w0: radians of the tone in one standard deviation of the Gaussian
REACH = 5.0  # standard deviations, in time and in frequency; e^-12.5 is -109 dB
HIGHEST_SHARE = 0.8  # of half the sample rate: above, a good part of the Gaussian would be cut off
BINS_PER_OCTAVE = 12


def scalogram(
    samples: ArrayLike,
    sample_rate: float,
    *,
    hop_length: int = 512,
    fmin_hz: float = 32.703,
    fmax_hz: float | None = None,
    bins_per_octave: int = BINS_PER_OCTAVE,
) -> Floats:
    """Power of the continuous wavelet transform of a sound.

    Parameters
    ----------
    samples : array_like
        ``(n_samples,)``.
    sample_rate : float
        Hz.
    hop_length : int
        Samples a column; 1 gives every sample.
    fmin_hz, fmax_hz : float
        The lowest band, and the highest there may be; 0.8 of half the sample rate by default.

    Returns
    -------
    ndarray
        float32 ``(n_bins, 1 + n_samples // hop_length)``, squared amplitude; lowest band first.

    Raises
    ------
    InputError
        When the samples are none, or the bands do not fit below half the sample rate.

    Examples
    --------
    >>> tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(22_050) / 22_050)
    >>> power = scalogram(tone, 22_050, fmin_hz=55.0)
    >>> int(power[:, 20].argmax()), round(float(power[:, 20].max()), 3)  # three octaves above, 0.5 squared
    (36, 0.25)
    """
    highest_hz = HIGHEST_SHARE * sample_rate / 2 if fmax_hz is None else fmax_hz
    bank = morlet_bank(sample_rate, hop_length, fmin_hz, highest_hz, bins_per_octave)
    return np.concatenate(list(scalogram_blocks([checked(samples)], bank)), axis=1)


def scalogram_blocks(blocks: Iterable[Floats], bank: Bank) -> Iterator[Floats]:
    """The scalogram of a sound that comes in blocks: float32 ``(n_bins, n_frames)`` each."""
    for spectrum, k in cut_bands(blocks, bank):
        yield np.stack([_mean_power(spectrum, band, bank) for band in bank.bands])[:, :k]


def _mean_power(spectrum: np.ndarray, band: Band, bank: Bank) -> Floats:
    """Mean power over each hop, from as many values a hop as the width of the band asks for."""
    n_hops = bank.n_samples // bank.hop_length
    per_hop = 1 << max(0, int(np.ceil(np.log2(len(band.values) / n_hops))))
    values = band_signal(spectrum, band, bank, per_hop)
    power: Floats = (values.real**2 + values.imag**2).mean(axis=0)
    return power


@lru_cache(maxsize=4)
def morlet_bank(sample_rate: float, hop_length: int, fmin_hz: float, fmax_hz: float, bins_per_octave: int) -> Bank:
    """Morlet's wavelets as responses over the bins of a stretch.

    Raises
    ------
    InputError
        When the bands do not fit below half the sample rate.
    """
    if fmax_hz > sample_rate / 2:
        raise InputError(f"expected fmax_hz of at most {sample_rate / 2:g} Hz (half the sample rate), got {fmax_hz:g}")
    frequencies_hz = pitch_frequencies(fmin_hz, fmax_hz, bins_per_octave)
    spread_s = OMEGA / (2.0 * np.pi * fmin_hz)
    n_samples, n_frames, margin = stretch_of(REACH * spread_s * sample_rate, hop_length)
    bands = tuple(_gaussian(hz * n_samples / sample_rate, n_samples) for hz in frequencies_hz)
    return Bank(bands, frequencies_hz.astype(np.float32), hop_length, n_samples, n_frames, margin)


def _gaussian(centre: float, n_samples: int) -> Band:
    """``2 exp(-((f / centre - 1) w0)^2 / 2)`` over the bins where it counts, ``centre`` in bins."""
    spread = centre / OMEGA
    first = max(0, int(centre - REACH * spread))
    last = min(n_samples // 2, int(np.ceil(centre + REACH * spread)))
    bins = np.arange(first, last + 1)
    return Band(first, (2.0 * np.exp(-0.5 * ((bins - centre) / spread) ** 2)).astype(np.float32))
