"""Small operations on samples: mix, level, resample.

Conventions: samples are float32 in [-1, 1]; mono is ``(n_samples,)``, several channels are ``(n_channels, n_samples)``;
rates are in Hz, levels in dB relative to full scale (a square wave of amplitude 1 has 0 dBFS).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import soxr
from numpy.typing import NDArray

from volna.errors import InputError

__all__ = ["FLOOR_DB", "decibels", "level_db", "peak", "resample", "to_mono"]

FLOOR_DB = -120.0  # level given to digital silence, below the 16-bit noise floor of -98 dBFS
CANCELLED = 1e-4  # -80 dB: a mix this far below its channels is what is left of two channels in opposite phase

Samples = NDArray[np.float32]


def to_mono(channels: NDArray[Any]) -> Samples:
    """Mix channels down to one by their mean.

    Where the mean cancels (channels in opposite phase) and the channels themselves are not silent, the first channel
    that sounds is taken instead, so that such a recording is not mistaken for silence.

    Parameters
    ----------
    channels
        Floating point, shape ``(n_channels, n_samples)``, or ``(n_samples,)``, which is returned as it is.

    Returns
    -------
    float32, shape ``(n_samples,)``.

    Raises
    ------
    InputError
        When the array has neither one nor two dimensions, or has no channel.

    Examples
    --------
    >>> to_mono(np.array([[1.0, 0.5], [0.0, 0.5]])).tolist()
    [0.5, 0.5]
    >>> to_mono(np.array([[1.0, -1.0], [-1.0, 1.0]])).tolist()
    [1.0, -1.0]
    """
    x = np.asarray(channels)
    if x.ndim == 1:
        return np.asarray(x, np.float32)
    if x.ndim != 2 or not len(x):
        raise InputError(f"expected samples of shape (n_channels, n_samples), got {x.shape}")
    if len(x) == 1:
        return np.asarray(x[0], np.float32)
    mixed = x[0].astype(np.float32)
    for channel in x[1:]:
        mixed += channel
    mixed *= np.float32(1.0 / len(x))
    if peak(mixed) < 0.05:  # only a quiet mix can be a cancelled one; the check is then worth its time
        loudest = max(peak(channel) for channel in x)
        if peak(mixed) < CANCELLED * loudest:
            return np.asarray(next(c for c in x if peak(c) > 0.1 * loudest), np.float32)
    return np.asarray(mixed, np.float32)


def peak(samples: NDArray[Any]) -> float:
    """Largest absolute sample, 0.0 for an empty array.

    Examples
    --------
    >>> peak(np.array([0.25, -0.5]))
    0.5
    """
    if not np.size(samples):
        return 0.0
    return float(max(np.max(samples), -np.min(samples)))


def decibels(ratio: float, factor: float = 20.0) -> float:
    """``factor log10(ratio)``: 20 for amplitudes, 10 for powers; minus infinity for zero and below.

    Examples
    --------
    >>> decibels(0.1), decibels(0.1, 10.0), decibels(0.0)
    (-20.0, -10.0, -inf)
    """
    return factor * math.log10(ratio) if ratio > 0 else -math.inf


def level_db(samples: NDArray[Any], floor_db: float = FLOOR_DB) -> float:
    """Root mean square level in dBFS, never below ``floor_db``.

    ``20 log10(sqrt(mean(x^2)))``, computed in float64. Any shape; empty arrays and silence give ``floor_db``.

    Examples
    --------
    >>> level_db(np.full(8, 0.1, dtype=np.float32))
    -20.0
    """
    x = np.asarray(samples).ravel()
    if not x.size:
        return floor_db
    power = float(np.dot(x, x) if x.dtype == np.float64 else np.einsum("i,i->", x, x, dtype=np.float64)) / x.size
    return max(floor_db, round(10.0 * float(np.log10(power)), 6)) if power > 0 else floor_db


def resample(samples: NDArray[Any], from_hz: float, to_hz: float) -> Samples:
    """Change the sample rate with soxr HQ (flat to 0.91 of the lower Nyquist frequency, aliases below -100 dB).

    Parameters
    ----------
    samples
        Floating point, ``(n_samples,)`` or ``(n_channels, n_samples)``.
    from_hz, to_hz
        Rates in Hz, both above zero.

    Returns
    -------
    float32 with ``round(n_samples * to_hz / from_hz)`` samples (within one), same number of dimensions.

    Raises
    ------
    InputError
        When a rate is not above zero.

    Examples
    --------
    >>> resample(np.zeros(44100, dtype=np.float32), 44100, 16000).shape
    (16000,)
    """
    if not (from_hz > 0 and to_hz > 0):
        raise InputError(f"expected sample rates above 0 Hz, got {from_hz} and {to_hz}")
    x = np.asarray(samples, dtype=np.float32)
    if from_hz == to_hz or not x.size:
        return x
    y = soxr.resample(x.T if x.ndim == 2 else x, from_hz, to_hz, quality="HQ")
    return np.ascontiguousarray(y.T, dtype=np.float32) if x.ndim == 2 else y.astype(np.float32, copy=False)
