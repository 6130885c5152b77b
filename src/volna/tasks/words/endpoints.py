"""Where words begin and end, by energy, so that silence around them does not matter.

Conventions: samples are float32 ``(n_samples,)`` at ``SAMPLE_RATE``; levels are those of 25 ms, taken
every 2.5 ms.
"""

from __future__ import annotations

import numpy as np

from volna.features.frames import Floats, checked, frame

__all__ = [
    "FRAME_LENGTH",
    "HOP_LENGTH",
    "SAMPLE_RATE",
    "cut_word",
    "frame_levels_db",
    "without_offset",
    "word_bounds",
    "word_spans",
]

SAMPLE_RATE = 8_000  # Hz; telephone speech, which every recording has: a word is told by what lies below 4 kHz
FRAME_LENGTH = 200  # samples, 25 ms
HOP_LENGTH = 80  # samples, 10 ms
LEVEL_HOP = 20  # samples: levels are taken every 2.5 ms, so that their peak hardly depends on where frames begin

BELOW_PEAK_DB = 30.0  # what lies further below the loudest frame is not the word; 25 and 40 dB measured worse
ABOVE_NOISE_DB = 6.0
LEAST_RANGE_DB = 6.0  # the threshold never comes closer to the peak than this, whatever the noise
NOISE_FRAMES = 40  # 0.1 s
STEADY_DB = 3.0  # the levels of noise spread less than this; those of speech more
PAUSE_S = 0.3  # the closure of a stop consonant lasts 0.2 s at most
LEAST_S = 0.07  # shorter is a click
FINE_SAMPLES = 40  # 5 ms: a period of most voices
MARGIN_S = 0.03  # onsets and fadings that lie under the threshold; 0, 10 and 50 ms measured worse on FSDD
FLOOR_DB = -120.0
HIGH_PASS = 0.98  # pole of the filter that takes out an offset


def without_offset(samples: Floats) -> Floats:
    """Take out what does not sound: a constant, and what moves slower than about 25 Hz; float32, same shape.

    y[n] = x[n] - x[n-1] + 0.98 y[n-1], as if the first sample had lasted for ever before. Zeros before a word change
    nothing of it, which taking out the mean would.

    Examples
    --------
    >>> without_offset(np.full(4, 0.5, np.float32)).tolist()
    [0.0, 0.0, 0.0, 0.0]
    """
    from scipy.signal import lfilter

    sound = checked(samples)
    return np.asarray(lfilter([1.0, -1.0], [1.0, -HIGH_PASS], sound - sound[0]), np.float32)


def frame_levels_db(samples: Floats) -> np.ndarray:
    """Level of 25 ms every 2.5 ms in dBFS (root mean square), float64 ``(n_frames,)``, at least -120 dB.

    A sound shorter than a frame is filled up with zeros.

    Examples
    --------
    >>> frame_levels_db(np.zeros(240, np.float32)).tolist()
    [-120.0, -120.0, -120.0]
    """
    sound = checked(samples)
    sound = np.pad(sound, (0, max(0, FRAME_LENGTH - len(sound))))
    frames = frame(sound, FRAME_LENGTH, LEVEL_HOP, centre=False).T
    power = np.einsum("tn,tn->t", frames, frames, dtype=np.float64) / FRAME_LENGTH
    return np.asarray(10 * np.log10(np.maximum(power, 10 ** (FLOOR_DB / 10))))


def word_spans(samples: Floats, *, pause_s: float = PAUSE_S, least_s: float = LEAST_S) -> list[tuple[int, int]]:
    """First and end sample of every stretch of sound between pauses.

    A frame belongs to a word where its level is within 30 dB of the loudest, and 6 dB above the noise where there is
    any: what is steady at both ends of the recording (Rabiner and Sambur 1975 take its beginning). Around the first and
    the last frame, the ends are found to the sample, so that frames counted from there are the same wherever
    the word stands in its recording.

    Parameters
    ----------
    samples : ndarray
        float32 ``(n_samples,)`` at `SAMPLE_RATE`.
    pause_s : float
        A longer gap separates two words.
    least_s : float
        A shorter stretch is a click and left out, unless nothing else is there.

    Returns
    -------
    list of (start, end)
        In order, samples. Empty for silence.

    Examples
    --------
    >>> tone = np.sin(np.arange(4000, dtype=np.float32))
    >>> quiet = np.zeros(4000, np.float32)
    >>> word_spans(np.concatenate([quiet, tone, quiet, tone]))
    [(4001, 8000), (12001, 16000)]
    """
    around = np.pad(checked(samples), FRAME_LENGTH)  # so that a word cut to its ends is heard as any other
    levels = frame_levels_db(around)
    threshold_db = _threshold_db(levels)
    on = np.flatnonzero(levels > threshold_db)
    if levels.max() <= FLOOR_DB or not len(on):
        return []
    cuts = np.flatnonzero(np.diff(on) * LEVEL_HOP > pause_s * SAMPLE_RATE) + 1
    runs = [(int(run[0]), int(run[-1]) + 1) for run in np.split(on, cuts)]
    words = [run for run in runs if (run[1] - run[0]) * LEVEL_HOP >= least_s * SAMPLE_RATE] or [max(runs, key=_length)]
    ends = [_outermost(run, around, 10 ** (threshold_db / 20)) for run in words]
    return [(max(0, start - FRAME_LENGTH), min(end - FRAME_LENGTH, len(samples))) for start, end in ends]


def word_bounds(samples: Floats) -> tuple[int, int] | None:
    """First and end sample of the word in a recording of one; of several stretches the one of most energy, or None.

    Examples
    --------
    >>> tone = np.sin(np.arange(4000, dtype=np.float32))
    >>> word_bounds(np.concatenate([np.zeros(8000, np.float32), tone]))
    (8001, 12000)
    """
    spans = word_spans(samples)
    if not spans:
        return None
    return max(spans, key=lambda span: float(np.sum(np.square(samples[span[0] : span[1]], dtype=np.float64))))


def cut_word(samples: Floats, bounds: tuple[int, int]) -> Floats:
    """The samples of a word with 30 ms before and after it, zeros where the recording has none.

    Examples
    --------
    >>> cut_word(np.ones(1000, np.float32), (0, 1000)).shape
    (1480,)
    """
    margin = round(MARGIN_S * SAMPLE_RATE)
    start, end = bounds[0] - margin, bounds[1] + margin
    inside = samples[max(0, start) : end]
    return np.pad(inside, (max(0, -start), max(0, end - len(samples))))


def _length(run: tuple[int, int]) -> int:
    return run[1] - run[0]


def _threshold_db(levels: np.ndarray) -> float:
    peak = float(levels.max())
    above_noise = min(_noise_db(levels) + ABOVE_NOISE_DB, peak - LEAST_RANGE_DB)
    return max(peak - BELOW_PEAK_DB, above_noise)


def _noise_db(levels: np.ndarray) -> float:
    """Level of the noise around the word: that of the first and the last 0.1 s, where both are steady and alike.

    -120 dB where they are not, as in a word cut to its ends. A quiet steady stretch alone is no noise: it may be an s.
    """
    inside = levels[FRAME_LENGTH // LEVEL_HOP : -(FRAME_LENGTH // LEVEL_HOP)]  # without the zeros around
    if len(inside) < 4 * NOISE_FRAMES:
        return FLOOR_DB
    ends = inside[:NOISE_FRAMES], inside[-NOISE_FRAMES:]
    means = [float(end.mean()) for end in ends]
    steady = max(float(end.std()) for end in ends) < STEADY_DB and abs(means[0] - means[1]) < STEADY_DB
    return max(means) if steady else FLOOR_DB


def _outermost(run: tuple[int, int], sound: Floats, threshold: float) -> tuple[int, int]:
    """Where the level of 5 ms first and last exceeds the threshold, in a run of frames and one frame around it."""
    start = max(0, run[0] * LEVEL_HOP - FRAME_LENGTH)
    inside = sound[start : (run[1] - 1) * LEVEL_HOP + 2 * FRAME_LENGTH].astype(np.float64)
    total = np.cumsum(np.pad(np.square(inside), (FINE_SAMPLES, 0)))
    loud = np.flatnonzero(total[FINE_SAMPLES:] - total[:-FINE_SAMPLES] > FINE_SAMPLES * threshold**2)
    if not len(loud):
        return run[0] * LEVEL_HOP, (run[1] - 1) * LEVEL_HOP + FRAME_LENGTH
    # The end of the first loud 5 ms and the beginning of the last: both lie within the recording.
    first, last = int(loud[0]), int(loud[-1]) + 2 - FINE_SAMPLES
    return start + first, start + max(first + 1, last)
