"""What a recording has lost, guessed from what is left: peaks that were cut off, short stretches that are missing.

Peaks (declipping): the samples that were not cut stay, those that were must lie at or beyond the level of the cut, and
among all such sounds a sparse spectrum is sought (A-SPADE: Kitic, Bertin and Gribonval 2015). Missing stretches: the
sound before is continued forwards, the sound after backwards, both by linear prediction, and one fades into the other
(Kauppinen and Roth 2002).

Measure: SI-SDR against the sound before the damage, beside doing nothing, docs/denoising.md.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from volna.errors import InputError
from volna.features.frames import Floats, window_of

__all__ = ["MOST_FILLED_S", "declip", "extrapolate", "fill"]

Mask = NDArray[np.bool_]
Doubles = NDArray[np.float64]

FRAME_S, HOPS = 0.064, 4  # of declipping
REDUNDANCY = 2  # bins against samples
SHARE = 1 / 256  # of the frame's samples: so many bins more the spectrum may have after every step
MOST_STEPS = 128
NEAR = 0.01  # of the frame's size: sparse and consistent are then the same sound
FRAMES_AT_ONCE = 256
MOST_PEAK = 4.0  # times the level of the cut: no peak comes out higher

MOST_FILLED_S = 0.06
ORDER_S, MOST_ORDER = 0.02, 1000  # of the prediction: what repeats within it goes on
LEARNT_S, LEAST_LEARNT = 0.1, 32  # from so much on a side; samples
LEAKAGE = 1e-9  # of the power, added: the prediction stays stable
DAMPING_S = 0.25  # what is continued falls to a third within it


def declip(samples: Floats, cut: Mask, rail: float, sample_rate: float) -> Floats:
    """Peaks put back where they were cut off.

    Parameters
    ----------
    samples : ndarray
        float32 ``(n_samples,)``.
    cut : ndarray
        bool ``(n_samples,)``: where the samples are not the sound's but the level of the cut.
    rail : float
        That level, above 0.
    sample_rate : float
        Hz.

    Returns
    -------
    ndarray
        float32 ``(n_samples,)``; changed only where ``cut``, and there at least ``rail`` in size.

    Raises
    ------
    InputError
        The shapes differ, or ``rail`` is not above 0.

    Examples
    --------
    >>> tone = np.sin(np.arange(4000) / 9).astype(np.float32)
    >>> clipped = np.clip(tone, -0.6, 0.6)
    >>> made = declip(clipped, np.abs(clipped) >= 0.6, 0.6, 8000)
    >>> bool(np.std(made - tone) < 0.3 * np.std(clipped - tone))
    True
    """
    if samples.shape != cut.shape or samples.ndim != 1 or not rail > 0:
        raise InputError(f"expected samples, a mask of their shape and a level above 0, got {samples.shape}, {rail}")
    hop = max(4, round(sample_rate * FRAME_S / HOPS))
    n_fft = hop * HOPS
    if not cut.any():
        return samples
    edge = n_fft - hop
    after = -(len(samples) + edge) % hop + edge
    padded, mask = np.pad(samples, (edge, after)), np.pad(cut, (edge, after))
    frames = np.lib.stride_tricks.sliding_window_view(padded, n_fft)[::hop]
    masks = np.lib.stride_tricks.sliding_window_view(mask, n_fft)[::hop]
    window = window_of("hann", n_fft)
    out = np.zeros(len(padded), np.float64)
    touched = np.flatnonzero(masks.any(axis=1))
    made = frames * window
    for k in range(0, len(touched), FRAMES_AT_ONCE):
        part = touched[k : k + FRAMES_AT_ONCE]
        made[part] = _sparse(frames[part], masks[part], rail, window)
    for k, frame in enumerate(made):  # windows that overlap by three quarters add up to two
        out[k * hop : k * hop + n_fft] += frame
    out = out[edge : edge + len(samples)] * (2 / HOPS)
    # Between frames that disagree the mean is taken; it keeps the bound.
    peaks = np.clip(np.abs(out), rail, MOST_PEAK * rail) * np.sign(samples)
    return np.where(cut, peaks, samples).astype(np.float32)


def _sparse(frames: Floats, cut: Mask, rail: float, window: Floats) -> Floats:
    """Windowed frames ``(n_frames, n_fft)`` with sparse spectra, consistent with what is known of them."""
    import scipy.fft

    n_fft = frames.shape[1]
    known = (frames * window).astype(np.float32)
    low = np.where(cut & (frames > 0), rail * window, np.where(cut, -np.inf, known)).astype(np.float32)
    high = np.where(cut & (frames < 0), -rail * window, np.where(cut, np.inf, known)).astype(np.float32)
    size = np.linalg.norm(known, axis=1) + 1e-12
    made, result = known.copy(), known.copy()
    slack = np.zeros((len(frames), REDUNDANCY * n_fft // 2 + 1), np.complex64)
    left, more = np.arange(len(frames)), max(1, round(SHARE * n_fft))
    scale = np.float32(np.sqrt(REDUNDANCY * n_fft))
    for step in range(1, MOST_STEPS + 1):
        spectrum = scipy.fft.rfft(made, REDUNDANCY * n_fft) / scale
        wanted = _largest(spectrum + slack, step * more)
        made = (scipy.fft.irfft(wanted - slack, REDUNDANCY * n_fft)[:, :n_fft] * scale).astype(np.float32)
        made = np.clip(made, low[left], high[left])
        spectrum = scipy.fft.rfft(made, REDUNDANCY * n_fft) / scale
        slack += spectrum - wanted
        far = np.sqrt(2.0) * np.linalg.norm(spectrum - wanted, axis=1) > NEAR * size[left]
        result[left] = made
        if step * more >= slack.shape[1] // 2:
            break
        left, made, slack = left[far], made[far], slack[far]
        if not len(left):
            break
    return result


def _largest(spectrum: NDArray[np.complex64], n: int) -> NDArray[np.complex64]:
    """Every row with its ``n`` largest bins, the others zero."""
    power = spectrum.real**2 + spectrum.imag**2
    least = np.partition(power, -n, axis=1)[:, -n]
    return np.where(power >= least[:, None], spectrum, np.complex64(0))


def fill(samples: Floats, begin: int, end: int, sample_rate: float) -> Floats:
    """A missing stretch, made from what lies before and after it.

    Parameters
    ----------
    samples : ndarray
        float32 ``(n_samples,)``; what lies in ``[begin, end)`` is not looked at.
    begin, end : int
        The gap, in samples.
    sample_rate : float
        Hz.

    Returns
    -------
    ndarray
        float32 ``(end - begin,)``; zeros where there is too little sound on both sides to learn from.

    Raises
    ------
    InputError
        The gap does not lie in the sound.

    Examples
    --------
    >>> tone = np.sin(np.arange(4000) / 9).astype(np.float32)
    >>> bool(np.abs(fill(tone, 2000, 2100, 8000) - tone[2000:2100]).max() < 0.05)
    True
    """
    if not 0 <= begin < end <= len(samples):
        raise InputError(f"expected a gap inside {len(samples)} samples, got {begin} to {end}")
    n, most = end - begin, max(LEAST_LEARNT, round(LEARNT_S * sample_rate))
    order = min(MOST_ORDER, round(ORDER_S * sample_rate))
    before, after = samples[max(0, begin - most) : begin], samples[end : end + most][::-1]
    sides = [extrapolate(side, n, order, sample_rate) for side in (before, after)]
    forwards, backwards = sides[0], None if sides[1] is None else sides[1][::-1]
    if forwards is None or backwards is None:
        one = forwards if forwards is not None else backwards
        return np.zeros(n, np.float32) if one is None else one.astype(np.float32)
    there = (np.arange(n) + 1) / (n + 1)
    turn = np.cos(np.pi / 2 * there) ** 2
    return (forwards * turn + backwards * (1 - turn)).astype(np.float32)


def extrapolate(samples: Floats, n: int, order: int, sample_rate: float) -> Doubles | None:
    """The next ``n`` samples by linear prediction (Burg's method); None where there is too little to learn from.

    Examples
    --------
    >>> tone = np.sin(np.arange(800) / 9)
    >>> bool(np.abs(extrapolate(tone[:700], 50, 32, 8000) - tone[700:750]).max() < 0.05)
    True
    """
    x = np.asarray(samples, np.float64)
    order = min(order, len(x) // 3)
    if len(x) < LEAST_LEARNT or not np.any(x):
        return None
    a = _burg(x, order)
    from scipy.signal import lfilter, lfiltic

    # x[t] = -sum a[k] x[t - k]: the filter goes on by itself from the last samples.
    state = lfiltic([1.0], a, x[: -order - 1 : -1])
    out, _ = lfilter([1.0], a, np.zeros(n), zi=state)
    out = out * np.exp(-np.arange(n) / (DAMPING_S * sample_rate))
    return np.clip(out, -1.5 * np.abs(x).max(), 1.5 * np.abs(x).max())


def _burg(x: Doubles, order: int) -> Doubles:
    """Coefficients ``(order + 1,)`` of the prediction error filter, the first one 1 (Burg 1975); stable by itself."""
    a = np.ones(1)
    forward, backward = x[1:].copy(), x[:-1].copy()
    power = LEAKAGE * float(x @ x) + 1e-20
    for _ in range(order):
        k = -2.0 * float(forward @ backward) / (float(forward @ forward + backward @ backward) + power)
        a = np.concatenate([a, [0.0]]) + k * np.concatenate([a, [0.0]])[::-1]
        forward, backward = (forward + k * backward)[1:], (backward + k * forward)[:-1]
    return a
