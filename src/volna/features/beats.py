"""Events in time: onsets by peak picking, beats by dynamic programming, from a curve of onset strength.

Conventions
-----------
* ``onset`` is a curve as of `volna.features.rhythm.onset_strength`, float32 ``(n_frames,)``, not negative, and
  ``frames_per_s`` says how fast it runs.
* Functions return frames, rising, as intp ``(n_events,)``; `times_of` turns them into seconds. A centred frame hears an
  event half a frame before its own centre gets there, `times_of` takes that back, as librosa does.
* No pulse, no beats; nothing that moves, no onsets. Nothing warns or fails.

Measure: F-measure of events within 70 ms of the true ones (beats), 50 ms (onsets).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from volna.features.frames import Floats
from volna.features.rhythm import Tempo, tempo

__all__ = ["Frames", "f_measure", "onset_frames", "times_of", "track_beats"]

Frames = NDArray[np.intp]

# Peak picking of Böck, Krebs and Schedl (2012) with librosa's settings, found by a large search.
PEAK_S = 0.03  # an onset is the highest of the frames so long before it
MEAN_S = 0.10  # ... and stands out from the mean of so long around it
WAIT_S = 0.03  # ... and so long after the onset before
STANDS_OUT = 0.07  # of the range of the curve
FLAT_DB = 0.05  # a curve that never rises by more is numerical noise

TIGHTNESS = 100.0  # how much a beat off the tempo costs against a weak onset (Ellis 2007)
WEAK = 0.5  # of the root mean square of the beats' strengths: the ends of the chain that stay below are left out
SMOOTHING = 1 / 32  # of a beat: standard deviation of the bell that onsets are blurred with


def onset_frames(onset: Floats, frames_per_s: float) -> Frames:
    """Find onsets: peaks of the curve that stand out from their surroundings.

    Parameters
    ----------
    onset : ndarray
        float32 ``(n_frames,)``.
    frames_per_s : float

    Returns
    -------
    ndarray
        Frames, the same as librosa's ``onset_detect`` on the same curve.

    Examples
    --------
    >>> curve = np.zeros(100, dtype=np.float32)
    >>> curve[[20, 50, 80]] = 1.0
    >>> onset_frames(curve, 43.0).tolist()
    [20, 50, 80]
    """
    if not len(onset) or float(onset.max()) <= FLAT_DB:
        return np.zeros(0, dtype=np.intp)
    curve = onset - onset.min()
    curve = curve / curve.max()
    before, around, wait = (int(seconds * frames_per_s) for seconds in (PEAK_S, MEAN_S, WAIT_S))
    highest = _running(curve, before, 1, np.fmax.reduce)
    mean = _running(curve, around, around + 1, np.nanmean)
    peaks = np.flatnonzero((curve == highest) & (curve >= mean + STANDS_OUT))
    kept: list[int] = []
    for peak in peaks.tolist():
        if not kept or peak > kept[-1] + wait:
            kept.append(peak)
    return np.array(kept, dtype=np.intp)


def _running(curve: Floats, n_before: int, n_from_here: int, reduce: object) -> Floats:
    """A statistic of ``curve[t - n_before : t + n_from_here]`` at every ``t``; beyond the ends is nothing."""
    padded = np.pad(curve, (n_before, n_from_here - 1), constant_values=np.nan)
    views = np.lib.stride_tricks.sliding_window_view(padded, n_before + n_from_here)
    values: Floats = reduce(views, axis=1)  # type: ignore[operator]
    return values


def track_beats(onset: Floats, frames_per_s: float, pulse: Tempo | None = None) -> Frames:
    """Find the beats: frames that are as strong as can be and a beat of the tempo apart (Ellis 2007).

    The score of a beat at ``t`` is its strength plus the best of ``score(s) - 100 log((t - s) / period)^2`` over the
    frames ``s`` from half a period to two periods earlier; the chain of the highest score is read back from its end.

    Parameters
    ----------
    onset : ndarray
        float32 ``(n_frames,)``.
    frames_per_s : float
    pulse : Tempo, optional
        By default `volna.features.rhythm.tempo` of the curve.

    Returns
    -------
    ndarray
        Frames; none where there is no tempo.

    Examples
    --------
    >>> curve = np.zeros(400, dtype=np.float32)
    >>> curve[10::20] = 1.0  # every half second at 40 frames a second
    >>> track_beats(curve, 40.0)[:4]
    array([10, 30, 50, 70])
    """
    pulse = tempo([onset], frames_per_s) if pulse is None else pulse
    if not np.isfinite(pulse.bpm) or len(onset) < 2 or float(onset.max()) <= FLAT_DB:
        return np.zeros(0, dtype=np.intp)
    period = max(1.0, float(np.round(60.0 * frames_per_s / pulse.bpm)))
    strength = _blurred(onset / onset.std(ddof=1), period)
    score, previous = _chains(strength, period)
    t = int(score.argmax())
    beats = []
    while t >= 0:
        beats.append(t)
        t = int(previous[t])
    return _without_weak_ends(np.array(beats[::-1], dtype=np.intp), strength)


def _blurred(curve: Floats, period: float) -> NDArray[np.float64]:
    offsets = np.arange(-period, period + 1)
    bell = np.exp(-0.5 * (offsets / (period * SMOOTHING)) ** 2)
    whole: NDArray[np.float64] = np.convolve(curve, bell)
    return whole[int(period) : int(period) + len(curve)]


def _chains(strength: NDArray[np.float64], period: float) -> tuple[NDArray[np.float64], Frames]:
    """The score of the best chain that ends at each frame, and the beat before it (-1: none)."""
    gaps = np.arange(int(np.round(period / 2)), int(2 * period) + 1)
    gaps = gaps[gaps > 0]
    cost = TIGHTNESS * np.log(gaps / period) ** 2
    score = strength.copy()
    previous = np.full(len(strength), -1, dtype=np.intp)
    for t in range(len(strength)):
        n_reachable = int(np.searchsorted(gaps, t, side="right"))
        if not n_reachable:
            continue
        reached = score[t - gaps[:n_reachable]] - cost[:n_reachable]
        best = int(reached.argmax())
        if reached[best] > 0:  # else a chain begins here
            score[t] += reached[best]
            previous[t] = t - gaps[best]
    return score, previous


def _without_weak_ends(beats: Frames, strength: NDArray[np.float64]) -> Frames:
    """Without the beats that the chain runs on with before the music begins and after it has ended."""
    smooth = np.convolve(strength[beats], [0.25, 0.5, 0.25], mode="same")
    loud = np.flatnonzero(smooth > WEAK * np.sqrt(np.mean(smooth**2)))
    return beats[loud[0] : loud[-1] + 1] if len(loud) else beats[:0]


def times_of(frames: Frames, frames_per_s: float, frame_length_s: float, duration_s: float) -> NDArray[np.float64]:
    """Seconds of events found in the onset strength of centred frames.

    Parameters
    ----------
    frames : ndarray
        intp ``(n_events,)``.
    frames_per_s, frame_length_s : float
        Of the spectrum the curve was made of. A frame first hears an event when it is half a frame length ahead.
    duration_s : float
        A frame that first hears an event beyond it hears the end of the sound: such events are left out.

    Examples
    --------
    >>> times_of(np.array([10, 30, 79]), 40.0, 0.1, 2.0)
    array([0.3, 0.8])
    """
    times_s: NDArray[np.float64] = frames / frames_per_s + frame_length_s / 2
    return times_s[times_s < duration_s]


def f_measure(found_s: NDArray[np.floating], true_s: NDArray[np.floating], within_s: float = 0.07) -> float:
    """How well events were found: the harmonic mean of precision and recall, in [0, 1].

    Every true event counts for one found event at most, and the other way round. Two empty lists agree: 1.

    Examples
    --------
    >>> f_measure(np.array([0.5, 1.0, 3.0]), np.array([0.52, 1.0]))
    0.8
    """
    if not len(found_s) and not len(true_s):
        return 1.0
    hits, k = 0, 0
    for time_s in true_s:
        while k < len(found_s) and found_s[k] < time_s - within_s:
            k += 1
        if k < len(found_s) and found_s[k] <= time_s + within_s:
            hits, k = hits + 1, k + 1
    return 2.0 * hits / (len(found_s) + len(true_s))
