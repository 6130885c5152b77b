"""Rhythm: onsets, tempo and fluctuation patterns, from a log-mel spectrum that is already there.

Conventions
-----------
* ``mel_db`` is a log-mel spectrum in dB, float32 ``(n_mels, n_frames)``; ``frames_per_s`` says how fast it runs.
* A sound without a pulse (silence, one short note, a steady tone) has ``Tempo(nan, 0.0)``; nothing warns or fails.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from volna.features.frames import Floats, frozen
from volna.features.modulation import modulation_frequencies_hz, modulation_power
from volna.features.spectrum import rfft

__all__ = ["Tempo", "autocorrelation", "fluctuation_pattern", "modulation_edges_hz", "onset_strength", "tempo"]

MIN_BPM, MAX_BPM = 30.0, 300.0
PRIOR_BPM, PRIOR_OCTAVES = 120.0, 1.0  # the log-normal prior of librosa (Ellis 2007): people tap near 120
MIN_PULSE_S = 2.0  # below this, not even four beats at 120 BPM: no tempo
_FLAT_DB = 0.05  # an onset curve that never rises by more than this is numerical noise

MIN_MODULATION_HZ, MAX_MODULATION_HZ = 0.5, 10.0  # of the fluctuation pattern


class Tempo(NamedTuple):
    """The pulse of a sound: beats per minute (NaN when there is none), and how clear it is, 0 to 1."""

    bpm: float
    clarity: float


def onset_strength(mel_db: Floats) -> Floats:
    """How much louder each frame is than the one before, averaged over bands; falling bands count as zero.

    Spectral flux in dB, as in librosa's ``onset_strength`` (Böck and Widmer 2013) without its shift by half a frame.

    Parameters
    ----------
    mel_db : ndarray
        float32 ``(n_mels, n_frames)``.

    Returns
    -------
    ndarray
        float32 ``(n_frames,)``, dB per frame, not negative, the first value 0.

    Examples
    --------
    >>> onset_strength(np.array([[0.0, 6.0, 0.0], [0.0, 2.0, 2.0]], dtype=np.float32))
    array([0., 4., 0.], dtype=float32)
    """
    rows = np.ascontiguousarray(mel_db.T)
    onset = np.zeros(len(rows), dtype=np.float32)
    onset[1:] = np.maximum(rows[1:] - rows[:-1], 0.0).mean(axis=1)
    return onset


def autocorrelation(values: Floats, n_lags: int) -> Floats:
    """Similarity of a curve to itself after 0, 1, 2 ... frames; zero lag is 1, a flat curve gives zeros.

    The mean is removed first, and every lag is divided by the number of products it had.

    Parameters
    ----------
    values : ndarray
        float32 ``(n_frames,)``.
    n_lags : int
        How many lags to return, at most ``n_frames``.

    Returns
    -------
    ndarray
        float32 ``(n_lags,)``, at most about 1.

    Examples
    --------
    >>> autocorrelation(np.array([1, 0, 1, 0, 1, 0, 1, 0], dtype=np.float32), 3)
    array([ 1., -1.,  1.], dtype=float32)
    """
    centred = values - values.mean()
    n = len(centred)
    spectrum = rfft(centred, 2 ** int(np.ceil(np.log2(n + n_lags))))  # no lag wraps around
    raw = np.fft.irfft(spectrum.real**2 + spectrum.imag**2)[:n_lags] / (n - np.arange(n_lags))
    if raw[0] <= np.finfo(np.float32).tiny:
        return np.zeros(n_lags, dtype=np.float32)
    return (raw / raw[0]).astype(np.float32)


def tempo(onsets: Sequence[Floats], frames_per_s: float) -> Tempo:
    """Estimate one tempo from the onset curves of the windows of a track.

    The autocorrelations of the windows are averaged and weighted by a log-normal prior centred at 120 BPM, one octave
    wide; the best lag between 30 and 300 BPM is refined by a parabola. The prior decides between a beat and its half: a
    plain pulse faster than 170 BPM (120 times the root of 2) is reported at half its speed, as librosa does.

    Parameters
    ----------
    onsets : sequence of ndarray
        Onset curves, float32 ``(n_frames,)`` each; windows under two seconds are left out.
    frames_per_s : float

    Returns
    -------
    Tempo
        ``bpm`` in [30, 300] and ``clarity`` in (0, 1] (the averaged autocorrelation at that lag); NaN and 0 when no
        window is long enough or nothing in it moves.

    Examples
    --------
    >>> clicks = np.zeros(400, dtype=np.float32)
    >>> clicks[::20] = 1.0  # every half second at 40 frames a second
    >>> round(tempo([clicks], 40.0).bpm, 1)
    120.0
    >>> tempo([np.zeros(400, dtype=np.float32)], 40.0)
    Tempo(bpm=nan, clarity=0.0)
    """
    n_lags = int(np.ceil(frames_per_s * 60.0 / MIN_BPM)) + 2
    usable = [o for o in onsets if len(o) >= MIN_PULSE_S * frames_per_s and float(o.max()) > _FLAT_DB]
    if not usable:
        return Tempo(float("nan"), 0.0)
    correlation = np.zeros(n_lags)
    counts = np.zeros(n_lags)
    for onset in usable:
        n = min(n_lags, len(onset) - int(frames_per_s) // 2)  # the last lags of a short window have too few products
        correlation[:n] += autocorrelation(onset, n)
        counts[:n] += 1
    correlation /= np.maximum(counts, 1.0)
    return _best_lag(correlation, frames_per_s)


def _best_lag(correlation: np.ndarray, frames_per_s: float) -> Tempo:
    """The best peak of an autocorrelation under the prior; a parabola places peaks between lags."""
    # A beat rarely takes a whole number of frames; unsmoothed, a multiple of it that happens to would win.
    smooth = np.convolve(correlation, np.array([1, 4, 6, 4, 1]) / 16, mode="same")
    before, here, after = smooth[:-2], smooth[1:-1], smooth[2:]
    lags = 1 + np.flatnonzero((here > 0.0) & (here > before) & (here >= after))
    before, here, after = smooth[lags - 1], smooth[lags], smooth[lags + 1]
    shift = 0.5 * (before - after) / (before - 2.0 * here + after)
    height = here - 0.25 * (before - after) * shift
    bpm = 60.0 * frames_per_s / (lags + shift)
    height[(bpm < MIN_BPM) | (bpm > MAX_BPM)] = 0.0
    if not height.any():
        return Tempo(float("nan"), 0.0)
    best = int(np.argmax(height * np.exp(-0.5 * (np.log2(bpm / PRIOR_BPM) / PRIOR_OCTAVES) ** 2)))
    return Tempo(float(bpm[best]), float(min(1.0, max(correlation[lags[best]], height[best]))))


def fluctuation_pattern(
    windows: Sequence[Floats], frames_per_s: float, *, n_bands: int = 12, n_modulations: int = 12
) -> Floats:
    """How strongly the loudness of each band fluctuates at each speed (Pampalk 2001).

    The log-mel bands are averaged into ``n_bands`` groups; the spectrum of each group over 6 s is taken (see
    `modulation_power`), summed into ``n_modulations`` speeds, evenly spaced in log frequency from 0.5 to 10 Hz (30 to
    600 a minute), and weighted by how strongly such a fluctuation is felt (Fastl 1982, strongest at 4 Hz). The median
    over all segments of all windows is the pattern.

    Parameters
    ----------
    windows : sequence of ndarray
        Log-mel spectra in dB, float32 ``(n_mels, n_frames)`` each.
    frames_per_s : float
    n_bands, n_modulations : int
        Size of the pattern.

    Returns
    -------
    ndarray
        float32 ``(n_bands, n_modulations)``, root mean square in dB, not negative; zeros for a sound that never
        changes.

    Examples
    --------
    >>> t = np.arange(400) / 40.0
    >>> beat = np.sin(2 * np.pi * 4.0 * t).astype(np.float32) * np.ones((24, 1), dtype=np.float32)
    >>> pattern = fluctuation_pattern([beat], 40.0, n_bands=2)
    >>> int(pattern[0].argmax()), modulation_edges_hz(12)[8:10].round(2)
    (8, array([3.68, 4.73]))
    """
    groups = [_grouped(mel_db, n_bands) for mel_db in windows if mel_db.shape[1]]
    if not groups:
        return np.zeros((n_bands, n_modulations), dtype=np.float32)
    patterns = np.sqrt(modulation_power(groups) @ _modulation_weights(frames_per_s, n_modulations))
    return np.median(patterns, axis=0).astype(np.float32)  # over segments


def modulation_edges_hz(n_modulations: int) -> np.ndarray:
    """Return the borders of the modulation bands in Hz, float64 ``(n_modulations + 1,)``.

    Examples
    --------
    >>> modulation_edges_hz(2).round(2)
    array([ 0.5 ,  2.24, 10.  ])
    """
    return np.geomspace(MIN_MODULATION_HZ, MAX_MODULATION_HZ, n_modulations + 1)


def _grouped(mel_db: Floats, n_bands: int) -> Floats:
    """Means of neighbouring bands: ``(n_mels, n_frames) -> (n_bands, n_frames)``."""
    starts = np.linspace(0, mel_db.shape[0], n_bands + 1).astype(int)
    groups = np.add.reduceat(mel_db.T, starts[:-1], axis=1) / np.diff(starts).astype(np.float32)
    return groups.astype(np.float32, copy=False).T


@lru_cache(maxsize=16)
def _modulation_weights(frames_per_s: float, n_modulations: int) -> Floats:
    """Sums modulation bins into log-spaced triangles and weights them: ``(n_bins, n_modulations)``."""
    hz = modulation_frequencies_hz(frames_per_s)
    edges = np.log2(modulation_edges_hz(n_modulations))
    centres, step = (edges[1:] + edges[:-1]) / 2, edges[1] - edges[0]
    position = np.log2(np.maximum(hz, hz[1] / 2))[:, None]
    # Low bands are narrower than a bin: a triangle at least one bin wide interpolates between bins.
    width = np.maximum(step, np.log2(1.0 + hz[1] / 2.0**centres))
    weights = np.maximum(0.0, 1.0 - np.abs(position - centres) / width)
    felt = 1.0 / (2.0**centres / 4.0 + 4.0 / 2.0**centres)
    return frozen(weights * felt**2)
