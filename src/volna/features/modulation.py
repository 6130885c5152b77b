"""Modulation: how fast and how strongly the rows of a spectrum or cepstrum move, from 0.3 to 20 times a second.

Conventions
-----------
* ``rows`` are float32 ``(n_rows, n_frames)``, in dB; ``frames_per_s`` says how fast they run.
* Segments of 256 frames (6 s at the analysis rate), stepping by 128, never run from one window into the next.
* Power is in dB squared: summed over all bins it is the mean square of a row around its mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from volna.features.frames import Floats, frozen, window_of
from volna.features.spectrum import rfft

__all__ = ["band_edges_hz", "cepstral_modulation", "modulation_frequencies_hz", "modulation_power"]

SEGMENT_FRAMES, SEGMENT_STEP = 256, 128
MIN_MODULATION_HZ, MAX_MODULATION_HZ = 0.3, 20.0  # from a bar of slow music to where flutter becomes roughness
STILL_DB = 0.01  # added before the logarithm: a coefficient that moves by less than this stands still


def cepstral_modulation(cepstra: Sequence[Floats], frames_per_s: float, *, n_bands: int = 5) -> Floats:
    """How strongly each cepstral coefficient moves at each speed.

    The modulation spectrum of every MFCC over 6 s, summed into bands evenly spaced in log frequency from 0.3 to 20 Hz,
    averaged over all segments of all windows (McKinney and Breebaart 2003, "Features for audio and music
    classification"; Lee, Shih, Yu and Lin 2009, "Automatic music genre classification based on modulation spectral
    analysis of spectral and cepstral features"). Lee et al. keep the peaks and valleys of each band; here it is the
    root mean square, as a logarithm.

    Parameters
    ----------
    cepstra : sequence of ndarray
        MFCC of the windows of a track, float32 ``(n_mfcc, n_frames)`` each; a window under 6 s is repeated to fill
        them.
    frames_per_s : float
    n_bands : int
        Bands of modulation.

    Returns
    -------
    ndarray
        float32 ``(n_mfcc, n_bands)``, natural logarithm of dB, between log(0.01) and about 6; independent of the gain.

    Examples
    --------
    >>> t = np.arange(512) / 40.0
    >>> tremolo = np.sin(2 * np.pi * 4.0 * t).astype(np.float32)[None, :]
    >>> np.exp(cepstral_modulation([tremolo], 40.0)).round(2)  # 1 dB, nearly all from 3.7 to 8.6 Hz
    array([[0.01, 0.01, 0.02, 0.72, 0.01]], dtype=float32)
    """
    power = modulation_power(cepstra)
    rms = np.sqrt(power @ _bands(frames_per_s, n_bands))  # (n_segments, n_mfcc, n_bands)
    return np.log(rms.mean(axis=0) + np.float32(STILL_DB))


def modulation_power(windows: Sequence[Floats]) -> Floats:
    """Power spectra over time of rows, cut into segments.

    Parameters
    ----------
    windows : sequence of ndarray
        float32 ``(n_rows, n_frames)`` each, with at least one frame.

    Returns
    -------
    ndarray
        float32 ``(n_segments, n_rows, 129)``; the segments of all windows, one after another, and bins as in
        `modulation_frequencies_hz`.

    Examples
    --------
    >>> noise = np.random.default_rng(0).standard_normal((3, 1000), dtype=np.float32)
    >>> modulation_power([noise, noise]).shape
    (12, 3, 129)
    """
    segments = np.concatenate([_segments(rows) for rows in windows])
    segments -= segments.mean(axis=-1, keepdims=True)
    window = window_of("hann", SEGMENT_FRAMES)
    segments *= window * np.float32(np.sqrt(2.0 / (SEGMENT_FRAMES * np.sum(window**2))))
    spectrum = rfft(segments)
    return spectrum.real**2 + spectrum.imag**2


def _segments(rows: Floats) -> Floats:
    """``(n_rows, n_frames) -> (n_segments, n_rows, 256)``, a copy."""
    n_frames = rows.shape[1]
    if n_frames < SEGMENT_FRAMES:
        return rows[None, :, np.arange(SEGMENT_FRAMES) % n_frames]
    starts = range(0, n_frames - SEGMENT_FRAMES + 1, SEGMENT_STEP)
    return np.stack([rows[:, start : start + SEGMENT_FRAMES] for start in starts])


def modulation_frequencies_hz(frames_per_s: float) -> np.ndarray:
    """Return the frequency of every bin of `modulation_power` in Hz, float64 ``(129,)``.

    Examples
    --------
    >>> modulation_frequencies_hz(40.0)[[0, 1, -1]]
    array([ 0.     ,  0.15625, 20.     ])
    """
    return np.arange(1 + SEGMENT_FRAMES // 2) * (frames_per_s / SEGMENT_FRAMES)


def band_edges_hz(n_bands: int) -> np.ndarray:
    """Return the borders of the bands of `cepstral_modulation` in Hz, float64 ``(n_bands + 1,)``.

    Examples
    --------
    >>> band_edges_hz(5).round(2)
    array([ 0.3 ,  0.69,  1.61,  3.73,  8.63, 20.  ])
    """
    return np.geomspace(MIN_MODULATION_HZ, MAX_MODULATION_HZ, n_bands + 1)


@lru_cache(maxsize=16)
def _bands(frames_per_s: float, n_bands: int) -> Floats:
    """Which bin belongs to which band, 0 or 1: ``(129, n_bands)``."""
    hz, edges = modulation_frequencies_hz(frames_per_s)[:, None], band_edges_hz(n_bands)
    return frozen(((hz >= edges[:-1]) & (hz < edges[1:])).astype(np.float32))
