"""Descriptors of single frames: what one slice of the spectrum is like.

Conventions
-----------
* Every function takes the shared spectrum ``(n_bins, n_frames)`` (magnitude unless it says power), or samples, and
  returns float32 ``(n_frames,)`` or ``(n_values, n_frames)``.
* Definitions and defaults are librosa's wherever librosa has the descriptor; the tests hold each to it.
* A silent frame gives zero (flatness: one), never NaN.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from volna.errors import InputError
from volna.features.frames import Floats, frame
from volna.features.spectrum import dct_matrix, power_to_db

__all__ = [
    "bandwidth",
    "centroid",
    "chroma",
    "chroma_filters",
    "contrast",
    "delta",
    "flatness",
    "flux",
    "mfcc",
    "rms",
    "rolloff",
    "zero_crossing_rate",
]

_ROLLOFF_BLOCK = 16  # bins
_TINY = np.float32(np.finfo(np.float32).tiny)


def mfcc(mel_db: Floats, n_mfcc: int = 20) -> Floats:
    """Mel-frequency cepstral coefficients: the orthonormal DCT-II of a log-mel spectrum.

    Parameters
    ----------
    mel_db : ndarray
        float32 ``(n_mels, n_frames)``, dB.
    n_mfcc : int
        How many to keep; the first is the level (sqrt(n_mels) times the mean dB), the others describe the shape.

    Returns
    -------
    ndarray
        float32 ``(n_mfcc, n_frames)``, dB.

    Examples
    --------
    >>> level, tilt = mfcc(np.full((64, 1), -10, dtype=np.float32), 2)[:, 0]
    >>> round(float(level), 3), bool(abs(tilt) < 1e-4)  # a flat spectrum has a level and no shape
    (-80.0, True)
    """
    return (mel_db.T @ dct_matrix(n_mfcc, mel_db.shape[0]).T).T


def delta(values: Floats, width: int = 9) -> Floats:
    """Slope over time: the least-squares line through ``width`` frames (Furui 1986; librosa ``delta``).

    The first and last ``width // 2`` frames repeat the nearest slope; fewer than ``width`` frames give zeros.

    Parameters
    ----------
    values : ndarray
        float32 ``(n_values, n_frames)``.
    width : int
        Odd number of frames, 3 or more.

    Returns
    -------
    ndarray
        float32, same shape, change per frame.

    Examples
    --------
    >>> delta(2 * np.arange(10, dtype=np.float32)[None, :])[0, :3]
    array([2., 2., 2.], dtype=float32)
    """
    half = width // 2
    n_inner = values.shape[-1] - 2 * half
    if n_inner < 1:
        return np.zeros_like(values)
    inner = np.zeros((values.shape[0], n_inner), dtype=np.float32)
    for k in range(1, half + 1):
        ahead, behind = values[:, half + k :][:, :n_inner], values[:, half - k :][:, :n_inner]
        inner += np.float32(k) * (ahead - behind)
    inner /= np.float32(2 * sum(k * k for k in range(1, half + 1)))
    return np.pad(inner, ((0, 0), (half, half)), mode="edge")


def centroid(magnitude: Floats, frequencies_hz: Floats) -> Floats:
    """Centre of gravity of the spectrum in Hz, the measure of brightness: ``(n_frames,)``.

    Examples
    --------
    >>> centroid(np.array([[1.0], [1.0]], dtype=np.float32), np.array([0, 100], dtype=np.float32))
    array([50.], dtype=float32)
    """
    return (magnitude.T @ frequencies_hz) / _total(magnitude)


def bandwidth(magnitude: Floats, frequencies_hz: Floats) -> Floats:
    """Spread of the spectrum around its centroid in Hz (square root of the second central moment): ``(n_frames,)``.

    Examples
    --------
    >>> bandwidth(np.array([[1.0], [1.0]], dtype=np.float32), np.array([0, 100], dtype=np.float32))
    array([50.], dtype=float32)
    """
    distance = frequencies_hz - centroid(magnitude, frequencies_hz)[:, None]
    distance *= distance
    return np.sqrt(np.einsum("tf,tf->t", magnitude.T, distance) / _total(magnitude))


def rolloff(magnitude: Floats, frequencies_hz: Floats, share: float = 0.85) -> Floats:
    """Frequency in Hz below which ``share`` of the spectrum lies: ``(n_frames,)``.

    librosa adds up magnitudes. Textbooks often add up energy: pass the power spectrum instead, and the result is lower,
    because the loud low bins count for more.

    Examples
    --------
    >>> spectrum = np.array([[3.0], [1.0], [1.0]], dtype=np.float32)
    >>> hz = np.array([0, 100, 200], dtype=np.float32)
    >>> rolloff(spectrum, hz), rolloff(spectrum**2, hz)
    (array([200.], dtype=float32), array([100.], dtype=float32))
    """
    rows, t = magnitude.T, np.arange(magnitude.shape[1])
    starts = np.arange(0, rows.shape[1], _ROLLOFF_BLOCK)  # a running sum of all bins takes three times as long
    running = np.cumsum(np.add.reduceat(rows, starts, axis=1), axis=1)
    wanted = np.float32(share) * running[:, -1]
    block = (running >= wanted[:, None]).argmax(axis=1)
    before = np.where(block > 0, running[t, block - 1], np.float32(0.0))
    bins = np.minimum(starts[block][:, None] + np.arange(_ROLLOFF_BLOCK), rows.shape[1] - 1)
    fine = before[:, None] + np.cumsum(rows[t[:, None], bins], axis=1)
    fine[:, -1] = np.inf  # the block holds it, whatever the rounding
    return frequencies_hz[bins[t, (fine >= wanted[:, None]).argmax(axis=1)]]


def flatness(magnitude: Floats, amin: float = 1e-10) -> Floats:
    """Geometric over arithmetic mean of the power: 0 for a tone, towards 1 for noise: ``(n_frames,)``.

    Examples
    --------
    >>> flatness(np.ones((8, 1), dtype=np.float32))
    array([1.], dtype=float32)
    """
    power = np.maximum(np.float32(amin), magnitude**2)
    n_bins = np.float32(len(power))
    return np.exp(_sum(np.log(power)) / n_bins) / (_sum(power) / n_bins)


def flux(magnitude: Floats) -> Floats:
    """Spectral flux: how much louder each bin became since the last frame, as a Euclidean norm: ``(n_frames,)``.

    Frames are first scaled to sum to one, so that the flux does not depend on the level; the first frame gives 0
    (Dixon 2006, half-wave rectified).

    Examples
    --------
    >>> flux(np.array([[1.0, 0.0], [0.0, 1.0]], dtype=np.float32))
    array([0., 1.], dtype=float32)
    """
    shape = magnitude / _total(magnitude)
    rise = (shape[:, 1:] - shape[:, :-1]).T
    np.maximum(rise, 0.0, out=rise)
    return np.pad(np.sqrt(np.einsum("tf,tf->t", rise, rise)), (1, 0))


def contrast(
    magnitude: Floats, frequencies_hz: Floats, *, fmin_hz: float = 200.0, n_bands: int = 6, quantile: float = 0.02
) -> Floats:
    """Spectral contrast (Jiang et al. 2002): how far peaks stand above valleys, in octave bands.

    Parameters
    ----------
    magnitude : ndarray
        float32 ``(n_bins, n_frames)``.
    frequencies_hz : ndarray
        ``(n_bins,)``, evenly spaced from 0.
    fmin_hz : float
        Top of the first band, which starts at 0; each following band is an octave, the last goes to the end.
    n_bands : int
        Octaves above ``fmin_hz``.
    quantile : float
        Share of a band's bins that make its peak, and its valley (at least one bin).

    Returns
    -------
    ndarray
        float32 ``(n_bands + 1, n_frames)``, dB (10 log10 of magnitudes, as librosa has it).

    Raises
    ------
    InputError
        When the last band would begin above the highest frequency.

    Examples
    --------
    >>> noise = np.random.default_rng(0).random((385, 4), dtype=np.float32)
    >>> contrast(noise, np.arange(385, dtype=np.float32) * 15.625, fmin_hz=100).shape
    (7, 4)
    """
    peak = np.empty((n_bands + 1, magnitude.shape[1]), dtype=np.float32)
    valley = np.empty_like(peak)
    n_bins, nyquist_hz = len(frequencies_hz), float(frequencies_hz[-1])
    bands = _contrast_bands(n_bins, nyquist_hz, fmin_hz, n_bands, quantile)
    for band, (first, last, n_extreme) in enumerate(bands):
        rows = magnitude[first:last].T  # one frame in one piece
        if n_extreme == 1:
            rows.max(axis=1, out=peak[band])
            rows.min(axis=1, out=valley[band])
            continue
        ordered = np.sort(rows, axis=1)
        ordered[:, -n_extreme:].mean(axis=1, out=peak[band])
        ordered[:, :n_extreme].mean(axis=1, out=valley[band])
    return power_to_db(peak) - power_to_db(valley)


@lru_cache(maxsize=16)
def _contrast_bands(
    n_bins: int, nyquist_hz: float, fmin_hz: float, n_bands: int, quantile: float
) -> list[tuple[int, int, int]]:
    """First bin, end bin and number of extreme bins of every band, with librosa's treatment of the edges."""
    if not 0 < fmin_hz * 2.0 ** (n_bands - 1) < nyquist_hz:
        raise InputError(
            f"expected 0 < fmin_hz * 2 ** (n_bands - 1) < {nyquist_hz:g} Hz, "
            f"got fmin_hz={fmin_hz:g} and n_bands={n_bands}"
        )
    frequencies_hz = np.linspace(0.0, nyquist_hz, n_bins)
    edges = np.concatenate([[0.0], fmin_hz * 2.0 ** np.arange(n_bands + 1)])
    bands = []
    for k in range(n_bands + 1):
        inside = np.flatnonzero((frequencies_hz >= edges[k]) & (frequencies_hz <= edges[k + 1]))
        first = int(inside[0]) - (k > 0)  # a band begins one bin early ...
        last = n_bins if k == n_bands else int(inside[-1]) + 1
        n_extreme = max(1, int(np.rint(quantile * (last - first))))
        bands.append((first, last - (k < n_bands), n_extreme))  # ... and ends one bin early
    return bands


@lru_cache(maxsize=16)
def chroma_filters(sample_rate: float, n_fft: int, tuning: float = 0.0, n_chroma: int = 12) -> Floats:
    """Weights that fold the bins of a power spectrum into pitch classes (Ellis 2007, as in librosa).

    A Gaussian around every pitch class, every bin's weights scaled to unit norm, octaves weighted by a Gaussian
    two octaves wide around 880 Hz.

    Parameters
    ----------
    sample_rate : float
        Hz.
    n_fft : int
        Frame length.
    tuning : float
        Deviation from A = 440 Hz in semitones (in bins of the chroma).

    Returns
    -------
    ndarray
        float32 ``(n_chroma, 1 + n_fft // 2)``, first row C; shared and read-only.

    Examples
    --------
    >>> chroma_filters(12_000, 768).shape
    (12, 385)
    """
    hz = np.linspace(0.0, sample_rate, n_fft, endpoint=False)[1:]
    position = n_chroma * np.log2(hz / (440.0 * 2.0 ** (tuning / n_chroma) / 16.0))
    position = np.concatenate([[position[0] - 1.5 * n_chroma], position])  # bin 0 has no pitch: 1.5 octaves lower
    width = np.concatenate([np.maximum(np.diff(position), 1.0), [1.0]])
    distance = position - np.arange(n_chroma)[:, None]
    half = np.round(n_chroma / 2)
    distance = np.remainder(distance + half + 10 * n_chroma, n_chroma) - half
    weights = np.exp(-0.5 * (2.0 * distance / width) ** 2)
    weights /= np.linalg.norm(weights, axis=0)
    weights *= np.exp(-0.5 * ((position / n_chroma - 5.0) / 2.0) ** 2)
    filters: Floats = np.roll(weights, -3 * (n_chroma // 12), axis=0)[:, : 1 + n_fft // 2].astype(np.float32)
    filters.setflags(write=False)
    return filters


def chroma(power: Floats, sample_rate: float, *, tuning: float = 0.0) -> Floats:
    """Energy of the 12 pitch classes, the strongest of each frame scaled to 1: ``(12, n_frames)``, C first.

    librosa estimates the tuning by default; here it is 0 (A = 440 Hz) unless given.

    Examples
    --------
    >>> a440 = np.zeros((401, 1), dtype=np.float32)
    >>> a440[44] = 1.0  # 8 kHz, n_fft 800: bins of 10 Hz
    >>> int(chroma(a440, 8_000).argmax())  # C, C#, D ... A
    9
    """
    n_fft = 2 * (power.shape[0] - 1)
    raw = (power.T @ chroma_filters(sample_rate, n_fft, tuning).T).T
    loudest: Floats = raw.max(axis=0)
    loudest[loudest < _TINY] = 1.0
    return raw / loudest


def zero_crossing_rate(samples: Floats, frame_length: int, hop_length: int) -> Floats:
    """Share of neighbouring samples in a frame whose signs differ: ``(1 + n_samples // hop_length,)`` in [0, 1].

    Centred frames, ends padded with the first and last sample, as librosa does it (a zero counts as positive, and so
    does anything within 1e-10 of it).

    Examples
    --------
    >>> zero_crossing_rate(np.array([1, -1] * 8, dtype=np.float32), 4, 4)
    array([0.25, 0.75, 0.75, 0.75, 0.25], dtype=float32)
    """
    padded = np.pad(samples, frame_length // 2, mode="edge")
    negative = padded < np.float32(-1e-10)
    crossings = np.zeros(len(padded) + 1, dtype=np.int32)  # running count; the first sample of a frame never counts
    np.cumsum(negative[1:] != negative[:-1], out=crossings[2:])
    starts = np.arange(0, len(padded) - frame_length + 1, hop_length)
    counts = crossings[starts + frame_length] - crossings[starts + 1]
    rate: Floats = (counts / np.float32(frame_length)).astype(np.float32)
    return rate


def rms(samples: Floats, frame_length: int, hop_length: int) -> Floats:
    """Root mean square of centred frames, ends padded with zeros: ``(1 + n_samples // hop_length,)``, linear.

    Examples
    --------
    >>> rms(np.ones(8, dtype=np.float32), 4, 4).round(3)
    array([0.707, 1.   , 0.707], dtype=float32)
    """
    frames = frame(samples, frame_length, hop_length).T
    level: Floats = np.sqrt(np.einsum("tn,tn->t", frames, frames) / np.float32(frame_length))
    return level


def _total(magnitude: Floats) -> NDArray[np.float32]:
    """Sum over bins, with one in place of nothing: a silent frame divides to zero."""
    total = _sum(magnitude)
    return np.where(total > _TINY, total, np.float32(1.0))


def _sum(values: Floats) -> NDArray[np.float32]:
    """Sum over bins; a product with ones takes half the time of numpy's sum."""
    return values.T @ np.ones(len(values), dtype=np.float32)
