"""Clicks: single samples, or a handful, that a linear prediction from the samples before cannot explain.

Drums, plucked strings, glottal pulses and the corners of saws surprise a prediction as well. What makes a click is that
it is alone (the prediction errs far less within 50 ms around it) and that nothing else happens: the same sound goes on
after it, so that a prediction fitted before it still holds after it, and the level is the same. A metronome over
silence has no such sound around it and is left alone.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from volna.tasks.diagnosis.finding import Finding, Floats, Piece, Span, certainty, join_spans

__all__ = ["Clicks", "prediction_error"]

ORDER = 24
FRAME_S = 0.04
BLOCK_S = 0.0025
AROUND_BLOCKS = 20  # on each side
RIVALS = 4  # the error of a click is compared with the fourth largest block around
NEXT_BLOCKS = 3  # on each side, but for the next one: the error of a click is compared with their largest
SURPRISE = 2.6
MOST_CANDIDATES = 60  # a piece and channel
SIDE_S, GUARD_S = 0.02, 0.002
SAME_ERROR, SAME_LEVEL = 2.2, 2.0  # after against before, at most
BLATANT = 15.0
WIDEST_S, UNEXPLAINED = 0.0002, 0.1  # of an added spike; energy of the errors that it leaves
BACKGROUND = 3e-4  # of full scale: below, it is silence that clicks
LEAST_HEIGHT = 0.004
# Doublings of the surprise of all clicks together, and of a single one, which may be the attack of something.
LEAST_STRENGTH, LONE_CLICK = 3.5, 4.5
NOISE_FLOOR = 1e-9
WHITE = 1e-6  # noise added to the correlation, -60 dB: keeps the recursion stable for pure tones


class Clicks:
    """Collects the clicks of every channel."""

    def __init__(self, n_channels: int) -> None:
        self.at: list[list[Span]] = [[] for _ in range(n_channels)]
        self.surprise: list[list[float]] = [[] for _ in range(n_channels)]

    def add(self, piece: Piece) -> None:
        for channel, samples in enumerate(piece.samples):
            for place, surprise in find_clicks(samples, piece.sample_rate):
                at = piece.start + place
                if piece.begin <= at < piece.end:
                    self.at[channel].append((at / piece.sample_rate, (at + 1) / piece.sample_rate))
                    self.surprise[channel].append(surprise)

    def findings(self) -> list[Finding]:
        found = []
        for channel, (spans, surprise) in enumerate(zip(self.at, self.surprise, strict=True)):
            strength = float(np.sum(np.log2(surprise))) if spans else 0.0
            if strength > (LEAST_STRENGTH if len(spans) > 1 else LONE_CLICK):
                text = f"{len(spans)} clicks: spikes of a few samples over a sound that goes on unchanged."
                sure = certainty(strength / 2 - 1)
                where = join_spans(spans, 0.001)
                found.append(
                    Finding(
                        "clicks", len(spans), "clicks", sure, text.replace("1 clicks", "1 click"), channel + 1, where
                    )
                )
        return found


def find_clicks(samples: Floats, sample_rate: int) -> list[tuple[int, float]]:
    """Places of clicks and how many times their error exceeds that of their surroundings."""
    block = max(16, round(BLOCK_S * sample_rate))
    frame_length = max(8 * ORDER, round(FRAME_S * sample_rate))
    if len(samples) < 4 * frame_length:
        return []
    error = np.abs(prediction_error(samples, frame_length))
    highest = error[: len(error) // block * block].reshape(-1, block).max(axis=1)
    padded = np.pad(highest, AROUND_BLOCKS, mode="reflect" if len(highest) > AROUND_BLOCKS else "edge")
    around = np.lib.stride_tricks.sliding_window_view(padded, 2 * AROUND_BLOCKS + 1)
    rival = np.partition(around, -RIVALS, axis=1)[:, -RIVALS] + NOISE_FLOOR
    near = np.delete(around, np.s_[AROUND_BLOCKS - 1 : AROUND_BLOCKS + 2], axis=1)
    near = near[:, AROUND_BLOCKS - 1 - NEXT_BLOCKS : AROUND_BLOCKS - 1 + NEXT_BLOCKS].max(axis=1)
    ratio = highest / np.maximum(rival, near)
    candidates = np.flatnonzero((ratio > SURPRISE) & (highest > LEAST_HEIGHT))
    if len(candidates) > MOST_CANDIDATES:
        candidates = np.sort(candidates[np.argsort(ratio[candidates])[-MOST_CANDIDATES:]])
    clicks: list[tuple[int, float]] = []
    for k in candidates:
        at = int(k * block + error[k * block : (k + 1) * block].argmax())
        new = not clicks or at - clicks[-1][0] > GUARD_S * sample_rate
        if new and _is_short(error, at, sample_rate) and _sound_goes_on(samples, at, sample_rate, float(ratio[k])):
            clicks.append((at, float(ratio[k])))
    return clicks


def prediction_error(samples: Floats, frame_length: int) -> NDArray[np.float32]:
    """Error of predicting every sample from the 24 before it, fitted frame by frame; float32, same shape.

    Coefficients by the autocorrelation method (Hann window over twice the frame) and Levinson's recursion, as in
    Makhoul, "Linear prediction: a tutorial review", 1975.
    """
    n_frames = -(-len(samples) // frame_length)
    padded = np.pad(samples, (ORDER + frame_length // 2, n_frames * frame_length - len(samples) + frame_length))
    wide = np.lib.stride_tricks.sliding_window_view(padded[ORDER:], 2 * frame_length)[::frame_length][:n_frames]
    coefficients = _fit(wide).astype(np.float32)
    start = frame_length // 2
    rows = np.lib.stride_tricks.sliding_window_view(padded[start:], frame_length + ORDER)[::frame_length][:n_frames]
    error = rows[:, ORDER:].copy()
    for lag in range(1, ORDER + 1):
        error -= coefficients[:, lag - 1 : lag] * rows[:, ORDER - lag : ORDER - lag + frame_length]
    return error.ravel()[: len(samples)]


def _fit(frames: NDArray[np.float32]) -> NDArray[np.float64]:
    """Prediction coefficients of every row, ``(n_rows, 24)``."""
    import scipy.fft

    n = frames.shape[1]
    windowed = frames * np.hanning(n).astype(np.float32)
    bins = scipy.fft.rfft(windowed, scipy.fft.next_fast_len(n + ORDER, real=True), axis=1)
    size = scipy.fft.next_fast_len(n + ORDER, real=True)
    correlation = scipy.fft.irfft(bins.real**2 + bins.imag**2, size, axis=1)[:, : ORDER + 1].astype(np.float64)
    correlation[:, 0] = correlation[:, 0] * (1 + WHITE) + 1e-9
    a = np.zeros((len(frames), ORDER))
    left = correlation[:, 0].copy()
    for k in range(ORDER):
        reflection = (correlation[:, k + 1] - (a[:, :k] * correlation[:, k:0:-1]).sum(axis=1)) / left
        np.clip(reflection, -0.999999, 0.999999, out=reflection)
        a[:, :k] -= reflection[:, None] * a[:, :k][:, ::-1]
        a[:, k] = reflection
        left *= np.maximum(1 - reflection**2, 1e-9)
    return a


def _is_short(error: Floats, at: int, sample_rate: int) -> bool:
    """Whether the error is small again within milliseconds on both sides."""
    near, guard, far = (round(s * sample_rate) for s in (GUARD_S / 4, GUARD_S, 3 * GUARD_S))
    sides = np.concatenate([error[max(0, at - far) : max(0, at - near)], error[at + guard : at + far]])
    return bool(sides.max(initial=0.0) * SURPRISE < error[at])


def _sound_goes_on(samples: Floats, at: int, sample_rate: int, surprise: float) -> bool:
    """Whether a prediction fitted on either side of a place holds on the other, at the same level."""
    side, guard = max(4 * ORDER, round(SIDE_S * sample_rate)), max(8, round(GUARD_S * sample_rate))
    if at < guard + side or at + guard + side > len(samples):
        return False
    before, after = samples[at - guard - side : at - guard], samples[at + guard : at + guard + side]
    level = [float(np.sqrt(np.mean(part**2))) for part in (before, after)]
    if min(level) < BACKGROUND or max(level) > SAME_LEVEL * min(level):
        return False
    fitted = _fit(np.stack([before, after]))
    errors = np.array([[_error_of(part, a) for part in (before, after)] for a in fitted])  # [fitted on, measured on]
    if not _is_added(samples, at, sample_rate, fitted[0]):
        return False
    if surprise > BLATANT:
        return True  # a clear spike; a sweep is never quite what it was before
    own = np.diag(errors) + NOISE_FLOOR
    return bool(own.max() < SAME_ERROR * own.min() and (errors[[0, 1], [1, 0]] < SAME_ERROR * own).all())


def _is_added(samples: Floats, at: int, sample_rate: int, a: NDArray[np.float64]) -> bool:
    """Whether a few added samples explain the errors at a place: an additive outlier in the sense of Fox (1972).

    Each added sample d disturbs its own prediction and the next 24, by d times (1, -a1, ... -a24); what starts there
    and goes on (a drum, a note struck again) leaves errors that no few samples explain.
    """
    width = max(8, round(WIDEST_S * sample_rate))
    begin, end = at - width // 2, at + width
    if begin < ORDER or end + 2 * ORDER > len(samples):
        return False
    rows = np.lib.stride_tricks.sliding_window_view(
        samples[begin - ORDER : end + 2 * ORDER].astype(np.float64), ORDER + 1
    )
    error = rows[:, -1] - rows[:, ORDER - 1 :: -1] @ a
    pattern = np.zeros((len(error), end - begin))
    for k in range(end - begin):
        pattern[k : k + ORDER + 1, k] = [1.0, *-a]
    left = error - pattern @ np.linalg.lstsq(pattern, error, rcond=None)[0]
    return bool((left**2).sum() < UNEXPLAINED * (error**2).sum())


def _error_of(samples: Floats, coefficients: NDArray[np.float64]) -> float:
    rows = np.lib.stride_tricks.sliding_window_view(samples.astype(np.float64), ORDER + 1)
    return float(np.sqrt(np.mean((rows[:, -1] - rows[:, ORDER - 1 :: -1] @ coefficients) ** 2)))
