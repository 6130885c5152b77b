"""The fundamental frequency of a single voice or instrument over time: YIN, and probabilistic YIN.

Conventions
-----------
* ``samples`` are ``(n_samples,)``, mono. Frames are centred: frame ``t`` is centred on sample ``t * hop_length``, the
  ends are padded with zeros, ``n_frames = 1 + n_samples // hop_length``.
* Both measure how unlike a frame is to itself shifted by a lag (de Cheveigné and Kawahara 2002, equations 6 to 8), with
  the paper's integration window of fixed length, half a frame.
* Where nothing is voiced ``f0_hz`` is NaN. Several notes at once have no single F0: what comes out is one of them.

Measure: cents between the estimate and the truth over voiced frames, and the share of frames whose voicing is right.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from volna.errors import InputError
from volna.features.frames import Floats, checked
from volna.features.spectrum import rfft

__all__ = ["Pitch", "frame_length_for", "pyin", "yin"]

FMIN_HZ, FMAX_HZ = 65.0, 1000.0  # a bass voice to a soprano
YIN_THRESHOLD = 0.15  # of the normalised difference: de Cheveigné and Kawahara use 0.1 to 0.15
QUIETEST = 1e-10  # mean square of a frame (-100 dBFS): below lies what resampling and dither leave, not a voice

# The settings of the published pYIN (Mauch and Dixon 2014), as in librosa.
N_THRESHOLDS = 100
THRESHOLD_BETA = (2.0, 18.0)  # prior of the threshold, mean 0.1
TROUGH_DECAY = 2.0  # earlier troughs are likelier by exp(2) each
NO_TROUGH_PROBABILITY = 0.01  # of the deepest trough under each threshold that none undercuts
BINS_PER_SEMITONE = 10
FASTEST_OCTAVES_PER_S = 35.92
SWITCH_PROBABILITY = 0.01  # voiced to unvoiced or back, from one frame to the next

_FRAMES_AT_ONCE = 512  # keeps the memory of an hour that of seconds
_NEGLIGIBLE = 1e-6  # probability of a threshold above which thresholds are left out

Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class Pitch:
    """F0 over time.

    Attributes
    ----------
    times_s : ndarray
        float64 ``(n_frames,)``, centres of the frames.
    f0_hz : ndarray
        float32 ``(n_frames,)``, NaN where unvoiced.
    voiced : ndarray
        bool ``(n_frames,)``.
    voiced_probability : ndarray
        float32 ``(n_frames,)`` in [0, 1]; of `yin` one minus the aperiodicity.
    """

    times_s: Doubles
    f0_hz: Floats
    voiced: NDArray[np.bool_]
    voiced_probability: Floats


def frame_length_for(sample_rate: float, fmin_hz: float = FMIN_HZ) -> int:
    """The usual frame: the power of two that holds four periods of the lowest pitch, as 2048 at 22.05 kHz.

    Examples
    --------
    >>> frame_length_for(22_050), frame_length_for(8_000)
    (2048, 512)
    """
    return int(2 ** np.ceil(np.log2(4.0 * sample_rate / fmin_hz)))


def yin(
    samples: ArrayLike,
    sample_rate: float,
    fmin_hz: float = FMIN_HZ,
    fmax_hz: float = FMAX_HZ,
    frame_length: int | None = None,
    hop_length: int = 512,
    *,
    threshold: float = YIN_THRESHOLD,
) -> Pitch:
    """Track F0 with YIN: in every frame the first lag whose normalised difference dips below a threshold.

    Parameters
    ----------
    samples : array_like
        ``(n_samples,)``.
    sample_rate : float
        Hz.
    fmin_hz, fmax_hz : float
        Lowest and highest F0; the highest is at most a quarter of the sample rate.
    frame_length : int, optional
        In samples; half of it is compared with itself. By default `frame_length_for`.
    hop_length : int
        In samples.
    threshold : float
        A frame whose every dip is above it is unvoiced (in (0, 1]; lower is stricter).

    Returns
    -------
    Pitch

    Raises
    ------
    InputError
        For samples that are none, or ranges that contradict one another.

    Examples
    --------
    >>> tone = np.sin(2 * np.pi * 220 * np.arange(8000) / 8000)
    >>> yin(tone, 8000).f0_hz[3:6].round()
    array([220., 220., 220.], dtype=float32)
    """
    x, lags, length = _prepared(samples, sample_rate, fmin_hz, fmax_hz, frame_length, hop_length)
    f0, aperiodicity = [], []
    for difference in _differences(x, lags, length, hop_length):
        lag, dip = _first_dip(difference, threshold)
        shift = _shifts(difference)[np.arange(len(lag)), lag]
        f0.append(sample_rate / (lags[0] + lag + shift))
        aperiodicity.append(dip)
    level = np.concatenate(aperiodicity)
    voiced = level < threshold
    return _pitch(np.concatenate(f0), voiced, np.clip(1.0 - level, 0.0, 1.0), sample_rate, hop_length)


def pyin(
    samples: ArrayLike,
    sample_rate: float,
    fmin_hz: float = FMIN_HZ,
    fmax_hz: float = FMAX_HZ,
    frame_length: int | None = None,
    hop_length: int = 512,
) -> Pitch:
    """Track F0 with probabilistic YIN (Mauch and Dixon 2014): the most probable path through the dips of all frames.

    Every frame gives candidates with probabilities, summed over a prior of YIN's threshold; a hidden Markov model over
    pitches of 10 cents, voiced and unvoiced, finds the path. ``f0_hz`` is the candidate on the path itself (refined
    between lags), where librosa returns the 10-cent grid.

    Parameters
    ----------
    samples, sample_rate, fmin_hz, fmax_hz, frame_length, hop_length
        See `yin`.

    Returns
    -------
    Pitch
        ``voiced_probability`` is the sum over a frame's candidates.

    Raises
    ------
    InputError
        For samples that are none, or ranges that contradict one another.

    Examples
    --------
    >>> tone = np.sin(2 * np.pi * 220 * np.arange(8000) / 8000)
    >>> pitch = pyin(tone, 8000)
    >>> float(np.nanmedian(pitch.f0_hz).round()), bool(pitch.voiced[2:-2].all())
    (220.0, True)
    """
    x, lags, length = _prepared(samples, sample_rate, fmin_hz, fmax_hz, frame_length, hop_length)
    n_bins = int(np.floor(12 * BINS_PER_SEMITONE * np.log2(fmax_hz / fmin_hz))) + 1
    observed, hz, chance = [], [], []
    for difference in _differences(x, lags, length, hop_length):
        frames, columns, probabilities = _candidates(difference)
        candidates_hz = sample_rate / (lags[0] + columns + _shifts(difference)[frames, columns])
        bins = np.round(12 * BINS_PER_SEMITONE * np.log2(candidates_hz / fmin_hz)).astype(int)
        inside = (bins >= 0) & (bins < n_bins)
        frames, bins = frames[inside], bins[inside]
        grid = np.zeros((2, len(difference), n_bins), dtype=np.float32)
        grid[0, frames, bins] = probabilities[inside]
        grid[1, frames, bins] = candidates_hz[inside]
        observed.append(grid[0])
        hz.append(grid[1])
        chance.append(np.clip(grid[0].sum(axis=1), 0.0, 1.0))
    probability, f0_hz = np.concatenate(observed), np.concatenate(hz)
    voiced_probability = np.concatenate(chance)
    steps = round(FASTEST_OCTAVES_PER_S * 12 * hop_length / sample_rate) * BINS_PER_SEMITONE
    path, voiced = _best_path(probability, voiced_probability, max(1, steps // 2))
    grid_hz = fmin_hz * 2.0 ** (path / (12 * BINS_PER_SEMITONE))
    on_path = f0_hz[np.arange(len(path)), path]
    return _pitch(np.where(on_path > 0, on_path, grid_hz), voiced, voiced_probability, sample_rate, hop_length)


def _pitch(
    f0_hz: NDArray[Any], voiced: NDArray[np.bool_], probability: NDArray[Any], sample_rate: float, hop_length: int
) -> Pitch:
    times_s = np.arange(len(f0_hz), dtype=np.float64) * (hop_length / sample_rate)
    f0 = np.where(voiced, f0_hz, np.nan).astype(np.float32)
    return Pitch(times_s, f0, voiced, probability.astype(np.float32))


def _prepared(
    samples: ArrayLike, sample_rate: float, fmin_hz: float, fmax_hz: float, frame_length: int | None, hop_length: int
) -> tuple[Floats, tuple[int, int], int]:
    """Samples without their offset, the first and last lag, and the length of a frame."""
    x = checked(samples)
    if not 0 < fmin_hz < fmax_hz <= sample_rate / 4:
        raise InputError(
            f"expected 0 < fmin_hz < fmax_hz <= {sample_rate / 4:g} Hz (a quarter of the sample rate), "
            f"got {fmin_hz:g} and {fmax_hz:g}"
        )
    length = frame_length_for(sample_rate, fmin_hz) if frame_length is None else frame_length
    lags = int(np.floor(sample_rate / fmax_hz)) - 1, int(np.ceil(sample_rate / fmin_hz)) + 1
    if hop_length < 1 or length // 2 < lags[1]:
        raise InputError(
            f"expected frames of {2 * lags[1]} samples or more (two periods of {fmin_hz:g} Hz) and a hop of one or "
            f"more, got {length} and {hop_length}"
        )
    return x - x.mean(dtype=np.float64).astype(np.float32), lags, length


def _differences(x: Floats, lags: tuple[int, int], length: int, hop_length: int) -> Iterator[Floats]:
    """The cumulative mean normalised difference of some frames at a time, ``(n_frames, n_lags)``.

    d(k) = sum of (x[j] - x[j + k])^2 over the W = length // 2 samples j of the window
         = energy(0) + energy(k) - 2 r(k), the correlation r by one product of spectra: with k <= W nothing wraps.
    """
    first, last = lags
    window = length // 2
    padded = np.pad(x, ((window + last) // 2, length))  # what is compared, not the frame, is centred
    energy = np.concatenate([[0.0], np.cumsum(np.square(padded, dtype=np.float64))])
    starts = np.arange(0, len(x) + 1, hop_length)
    views = np.lib.stride_tricks.sliding_window_view(padded, length)
    over = np.arange(1, last + 1, dtype=np.float32)
    for begin in range(0, len(starts), _FRAMES_AT_ONCE):
        at = starts[begin : begin + _FRAMES_AT_ONCE]
        frames = views[at]
        shifted = at[:, None] + np.arange(last + 1)
        power = (energy[shifted + window] - energy[shifted]).astype(np.float32)
        d = power[:, :1] + power - 2.0 * _correlation(frames, window, last + 1)
        np.maximum(d, 0.0, out=d)
        mean = np.cumsum(d[:, 1:], axis=1) / over
        silent = power[:, 0] + power[:, -1] < 2 * window * QUIETEST
        mean[silent] = 0.0
        normalised = np.ones(mean.shape, dtype=np.float32)
        np.divide(d[:, 1:], mean, out=normalised, where=mean > 0)
        yield normalised[:, first - 1 :]


def _correlation(frames: Floats, window: int, n_lags: int) -> Floats:
    """Products of the first `window` samples with the frame shifted by 0, 1, 2 ... samples: ``(n_frames, n_lags)``."""
    import scipy.fft

    length = frames.shape[1]
    spectrum = rfft(frames)
    spectrum *= np.conj(rfft(frames[:, :window], length))
    correlation: Floats = scipy.fft.irfft(spectrum, length)[:, :n_lags]
    return correlation


def _shifts(difference: Floats) -> Floats:
    """Where the parabola through three lags has its lowest point, relative to the middle one; 0 where it has none."""
    shift = np.zeros_like(difference)
    before, here, after = difference[:, :-2], difference[:, 1:-1], difference[:, 2:]
    bend, slope = before + after - 2 * here, (after - before) / 2
    inner = shift[:, 1:-1]
    np.divide(-slope, bend, out=inner, where=np.abs(slope) < np.abs(bend))
    return shift


def _troughs(difference: Floats) -> NDArray[np.bool_]:
    """Local minima along the lags; the outermost lags are only there to judge their neighbours."""
    trough = np.zeros(difference.shape, dtype=np.bool_)
    here = difference[:, 1:-1]
    trough[:, 1:-1] = (here < difference[:, :-2]) & (here <= difference[:, 2:])
    return trough


def _first_dip(difference: Floats, threshold: float) -> tuple[NDArray[np.intp], Floats]:
    """Column and depth of the first trough below the threshold, or of the deepest of all lags."""
    below = _troughs(difference) & (difference < threshold)
    deepest = 1 + difference[:, 1:-1].argmin(axis=1)
    column = np.where(below.any(axis=1), below.argmax(axis=1), deepest)
    return column, difference[np.arange(len(column)), column]


@lru_cache(maxsize=1)
def _thresholds() -> tuple[Floats, Floats]:
    """Upper edges of the thresholds that have any weight, and their prior probabilities, float32."""
    import scipy.special

    edges = np.linspace(0.0, 1.0, N_THRESHOLDS + 1)
    below = scipy.special.betainc(*THRESHOLD_BETA, edges)
    n_used = int(np.argmax(1.0 - below < _NEGLIGIBLE))
    return edges[1 : n_used + 1].astype(np.float32), np.diff(below)[:n_used].astype(np.float32)


def _candidates(difference: Floats) -> tuple[NDArray[np.intp], NDArray[np.intp], Floats]:
    """Frames and columns of the troughs that may be the period, and the probability of each.

    Under every threshold the troughs below it share its prior, earlier ones more (a truncated geometric law); where
    none is below, a hundredth of the prior goes to the deepest.
    """
    edges, prior = _thresholds()
    trough = _troughs(difference)
    heights = np.where(trough, difference, np.inf)
    deepest = heights.argmin(axis=1)
    rows = np.flatnonzero(trough.any(axis=1))
    trough &= difference < edges[-1]
    trough[rows, deepest[rows]] = True
    frames, columns = np.nonzero(trough)
    height = difference[frames, columns]
    below = height[:, None] < edges  # (n_troughs, n_thresholds)
    starts = np.flatnonzero(np.diff(frames, prepend=-1))
    counts = np.diff(np.append(starts, len(frames)))
    running = np.cumsum(below, axis=0, dtype=np.int32)
    before = np.concatenate([np.zeros((1, len(edges)), np.int32), running])
    place = before[:-1] - np.repeat(before[starts], counts, axis=0)
    total = np.repeat(before[starts + counts] - before[starts], counts, axis=0)
    share = np.exp(-TROUGH_DECAY * place.astype(np.float32)) * np.float32(1.0 - np.exp(-TROUGH_DECAY))
    share /= 1.0 - np.exp(-TROUGH_DECAY * np.maximum(total, 1).astype(np.float32))
    probability = (share * below) @ prior
    is_deepest = columns == deepest[frames]
    probability[is_deepest] += NO_TROUGH_PROBABILITY * (~below[is_deepest] @ prior)
    return frames, columns, probability


def _best_path(
    probability: Floats, voiced_probability: Floats, half_width: int
) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Viterbi over voiced and unvoiced pitches: the bin of each frame, and whether it is voiced.

    A pitch moves by at most `half_width` bins between frames, with a triangular law, so the step looks at a band
    around every bin instead of at all pairs. Row 0 of a score is voiced, row 1 unvoiced.
    """
    n_frames, n_bins = probability.shape
    half_width = min(half_width, n_bins - 1)
    triangle = 1.0 - np.abs(np.arange(-half_width, half_width + 1)) / (half_width + 1)
    # A law cut off at the ends is scaled up, so that every pitch goes somewhere with probability one.
    leaving = np.log(np.convolve(np.ones(n_bins), triangle, mode="full")[half_width : half_width + n_bins])
    step = np.log(triangle).astype(np.float32)
    stay, switch = np.float32(np.log(1.0 - SWITCH_PROBABILITY)), np.float32(np.log(SWITCH_PROBABILITY))
    tiny = np.finfo(np.float32).tiny
    unvoiced = np.log(np.maximum((1.0 - voiced_probability) / n_bins, tiny))
    came_from = np.empty((n_frames, 2, n_bins), dtype=np.int16)
    switched = np.empty((n_frames, 2, n_bins), dtype=np.bool_)
    padded = np.full((2, n_bins + 2 * half_width), -np.inf, dtype=np.float32)
    bands = np.lib.stride_tricks.sliding_window_view(padded, 2 * half_width + 1, axis=1)
    score = np.zeros((2, n_bins), dtype=np.float32)
    for t in range(n_frames):
        if t:
            padded[:, half_width : half_width + n_bins] = score - leaving
            reached = bands + step  # (2, n_bins, width)
            came_from[t] = reached.argmax(axis=2)
            best = np.take_along_axis(reached, came_from[t][..., None].astype(np.intp), axis=2)[..., 0]
            switched[t] = best[::-1] + switch > best + stay
            score = np.where(switched[t], best[::-1] + switch, best + stay)
        score[0] += np.log(np.maximum(probability[t], tiny))
        score[1] += unvoiced[t]
        score -= score.max()
    return _walked_back(score, came_from, switched, half_width)


def _walked_back(
    score: Floats, came_from: NDArray[np.int16], switched: NDArray[np.bool_], half_width: int
) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    n_frames, _, n_bins = came_from.shape
    path = np.empty(n_frames, dtype=np.intp)
    row, column = divmod(int(score.argmax()), n_bins)
    voiced = np.empty(n_frames, dtype=np.bool_)
    for t in range(n_frames - 1, -1, -1):
        path[t], voiced[t] = column, row == 0
        if t:
            row = 1 - row if switched[t, row, column] else row
            column += int(came_from[t, row, column]) - half_width
    return path, voiced
