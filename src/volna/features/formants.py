"""Formants: the resonances of a vocal tract, from linear prediction (LPC) of short frames.

The sound is resampled to 11 kHz (five formants below 5.5 kHz, as of an adult), its treble lifted, and every frame
modelled as an all-pole filter by Burg's method (Burg 1975; Childers 1978). A pair of complex poles r exp(±i theta) is a
resonance at theta fs / (2 pi) Hz, -3 dB wide -ln(r) fs / pi Hz (Markel and Gray 1976). The settings are those of Praat
(Boersma): 25 ms Gaussian window, two poles for every formant and none left over.

Conventions
-----------
* Frame ``t`` is centred on sample ``t * hop_length``, ``n_frames = 1 + n_samples // hop_length``.
* A frame in which a formant is missing has NaN in its place. Silence has none; noise and music have resonances too, but
  they are nobody's vowels.

Measure: deviation in per cent from the resonances of synthesised vowels. A voice of 250 Hz and more shows its harmonics
rather than the resonances between them; that is a limit of the method.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from volna.audio.signal import resample
from volna.errors import InputError
from volna.features.frames import Floats, checked, pre_emphasis

__all__ = ["N_FORMANTS", "Formants", "burg", "formants"]

N_FORMANTS = 3
CEILING_HZ = 5500.0  # of an adult's five formants; 5000 Hz suits long vocal tracks, 8000 Hz children
HZ_PER_FORMANT = 1100.0
LOWEST_HZ, WIDEST_HZ = 90.0, 600.0  # poles below are the tilt of the spectrum, wider ones the shape of the source
WINDOW_S = 0.025  # effective length; the Gaussian reaches over twice that
EMPHASIS_FROM_HZ = 50.0  # +6 dB an octave above, against the tilt of the glottal source
QUIETEST = 1e-10  # mean square of a frame: what lies below is silence
_FRAMES_AT_ONCE = 4096

Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class Formants:
    """Resonances over time.

    Attributes
    ----------
    times_s : ndarray
        float64 ``(n_frames,)``, centres of the frames.
    frequencies_hz, bandwidths_hz : ndarray
        float32 ``(3, n_frames)``, F1 to F3 in rising order and how wide each is, NaN where there is none.
    """

    times_s: Doubles
    frequencies_hz: Floats
    bandwidths_hz: Floats


def formants(
    samples: ArrayLike, sample_rate: float, hop_length: int = 512, *, ceiling_hz: float = CEILING_HZ
) -> Formants:
    """Track the first three formants.

    Parameters
    ----------
    samples : array_like
        ``(n_samples,)``, mono.
    sample_rate : float
        Hz; a rate under twice the ceiling lowers the ceiling to its half, with fewer poles.
    hop_length : int
        In samples at ``sample_rate``.
    ceiling_hz : float
        Up to where five formants are expected.

    Returns
    -------
    Formants

    Raises
    ------
    InputError
        For samples that are none, a hop under one, or a ceiling not above zero.

    Examples
    --------
    >>> noise = np.random.default_rng(0).standard_normal(16_000)
    >>> formants(noise, 16_000).frequencies_hz.shape
    (3, 32)
    """
    x = checked(samples)
    if hop_length < 1 or not ceiling_hz > 0 or not sample_rate > 0:
        raise InputError(
            f"expected hop, ceiling and rate above 0, got {hop_length}, {ceiling_hz:g} Hz and {sample_rate:g} Hz"
        )
    rate = min(float(sample_rate), 2.0 * ceiling_hz)
    order = max(2, 2 * round(rate / 2 / (HZ_PER_FORMANT * ceiling_hz / CEILING_HZ)))
    lifted = pre_emphasis(resample(x, sample_rate, rate), float(np.exp(-2 * np.pi * EMPHASIS_FROM_HZ / rate)))
    length = max(2 * order, round(2 * WINDOW_S * rate))
    centres = np.arange(0, len(x) + 1, hop_length)
    starts = np.round(centres * (rate / sample_rate)).astype(int)
    views = np.lib.stride_tricks.sliding_window_view(np.pad(lifted, (length // 2, length)), length)
    window = _gaussian(length)
    frequencies, bandwidths = np.full((2, N_FORMANTS, len(starts)), np.nan, dtype=np.float32)
    for begin in range(0, len(starts), _FRAMES_AT_ONCE):
        frames = views[np.minimum(starts[begin : begin + _FRAMES_AT_ONCE], len(views) - 1)] * window
        heard = np.einsum("tn,tn->t", frames, frames) > QUIETEST * length
        at = begin + np.flatnonzero(heard)
        if len(at):
            frequencies[:, at], bandwidths[:, at] = _resonances(burg(frames[heard], order), rate)
    return Formants(centres / sample_rate, frequencies, bandwidths)


def burg(frames: NDArray[np.floating], order: int) -> Doubles:
    """Linear prediction by Burg's method: a stable all-pole filter for every frame, all frames at once.

    The reflection coefficient of each step minimises the sum of the forward and backward prediction errors.

    Parameters
    ----------
    frames : ndarray
        ``(n_frames, n_samples)``, more samples than the order.
    order : int
        Number of poles.

    Returns
    -------
    ndarray
        float64 ``(n_frames, order + 1)``, the filter's denominator 1, a1, a2 ...; a silent frame gives 1, 0, 0 ...

    Examples
    --------
    >>> tone = np.cos(0.5 * np.pi * np.arange(400))[None, :]  # a pair of poles at +-i: 1 + z^-2
    >>> burg(tone, 2).round(6) + 0.0
    array([[1., 0., 1.]])
    """
    forward = np.asarray(frames, dtype=np.float64)
    backward = forward
    filters = np.zeros((len(forward), order + 1))
    filters[:, 0] = 1.0
    for step in range(1, order + 1):
        ahead, behind = forward[:, 1:], backward[:, :-1]
        power = np.einsum("tn,tn->t", ahead, ahead) + np.einsum("tn,tn->t", behind, behind)
        product = np.einsum("tn,tn->t", ahead, behind)
        reflection = np.divide(-2.0 * product, power, out=np.zeros_like(power), where=power > 0)[:, None]
        filters[:, 1 : step + 1] += reflection * filters[:, step - 1 :: -1][:, :step]
        forward, backward = ahead + reflection * behind, behind + reflection * ahead
    return filters


def _gaussian(length: int) -> Floats:
    """Praat's window: exp(-12 x^2) over -1 to 1, lowered so that it ends at zero."""
    edge = np.exp(-12.0)
    x = (np.arange(length) + 0.5) / length * 2.0 - 1.0
    return ((np.exp(-12.0 * x * x) - edge) / (1.0 - edge)).astype(np.float32)


def _resonances(filters: Doubles, rate: float) -> tuple[Floats, Floats]:
    """The lowest narrow pole pairs of each filter, ``(3, n_frames)`` frequencies and bandwidths in Hz."""
    order = filters.shape[1] - 1
    companion = np.zeros((len(filters), order, order))
    companion[:, np.arange(1, order), np.arange(order - 1)] = 1.0
    companion[:, 0] = -filters[:, 1:]
    poles = np.linalg.eigvals(companion)
    hz = np.angle(poles) * (rate / (2 * np.pi))
    width = -np.log(np.maximum(np.abs(poles), 1e-12)) * (rate / np.pi)
    usable = (hz > LOWEST_HZ) & (hz < rate / 2 - LOWEST_HZ) & (width < WIDEST_HZ)
    hz = np.where(usable, hz, np.inf)
    lowest = np.argsort(hz, axis=1)[:, :N_FORMANTS]
    found, widths = np.take_along_axis(hz, lowest, axis=1), np.take_along_axis(width, lowest, axis=1)
    missing = ~np.isfinite(found)
    frequencies, bandwidths = np.full((2, N_FORMANTS, len(filters)), np.nan, dtype=np.float32)
    n_found = found.shape[1]  # fewer than three where the rate is very low
    frequencies[:n_found] = np.where(missing, np.nan, found).T
    bandwidths[:n_found] = np.where(missing, np.nan, widths).T
    return frequencies, bandwidths
