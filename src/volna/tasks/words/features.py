"""What a word looks like: log-mel pictures of 25 ms frames every 10 ms, and mel cepstra with their slopes.

Conventions: a log-mel is float32 ``(n_mels, n_frames)`` in dB; cepstra are float32 ``(n_frames, n_cepstra)``, a frame
a row, as hmmlearn wants them. Both are of one word, cut by `volna.tasks.words.endpoints`.
"""

from __future__ import annotations

import numpy as np

from volna.features.descriptors import mfcc
from volna.features.frames import Floats, checked, frame, pre_emphasis, window_of
from volna.features.spectrum import MelConfig, mel_filters, power_spectrum, power_to_db, rfft
from volna.tasks.words.endpoints import FRAME_LENGTH, HOP_LENGTH, SAMPLE_RATE

__all__ = ["N_CEPSTRA", "WORD_MEL", "cepstra", "of_one_length", "word_log_mel"]

WORD_MEL = MelConfig(
    sample_rate=SAMPLE_RATE, n_fft=256, hop_length=HOP_LENGTH, n_mels=26, fmin_hz=100.0, fmax_hz=3_800.0,
    window="hamming", mel_scale="htk",
)  # fmt: skip
PRE_EMPHASIS = 0.97
N_MFCC = 13
N_CEPSTRA = 3 * N_MFCC
DELTA_WIDTH = 5  # frames
# Noise and room differ between recordings in what lies far below the peak. Measured on FSDD, one speaker left out:
# 25 dB .83, 30 dB .84, 40 dB .82, 60 dB .81.
TOP_DB = 30.0
LOUDEST_PERCENT = 99.0


def word_log_mel(samples: Floats) -> Floats:
    """Log-mel of a word, float32 ``(26, n_frames)`` in dB, at most 80 dB below its loudest cell.

    Pre-emphasis 0.97, Hamming windows of 25 ms every 10 ms, 26 mel filters from 100 to 3 800 Hz.

    Parameters
    ----------
    samples : ndarray
        float32 ``(n_samples,)`` at 8 kHz; what is shorter than a frame is filled up with zeros.

    Examples
    --------
    >>> word_log_mel(np.ones(280, np.float32)).shape
    (26, 2)
    """
    sound = pre_emphasis(checked(samples), PRE_EMPHASIS)
    sound = np.pad(sound, (0, max(0, FRAME_LENGTH - len(sound))))
    frames = frame(sound, FRAME_LENGTH, HOP_LENGTH, centre=False).T
    spectrum = rfft(frames * window_of("hamming", FRAME_LENGTH, periodic=False), WORD_MEL.n_fft)
    power = power_spectrum(spectrum).astype(np.float32)
    return power_to_db(mel_filters(WORD_MEL, None) @ power.T, amin=1e-15)


def cepstra(log_mel: Floats, *, variance: bool = False) -> Floats:
    """Mel cepstra of a word with their slopes and the slopes of those, the mean of each taken out.

    Taking the mean out removes the microphone and half of the speaker (cepstral mean normalisation, Atal 1974).

    Parameters
    ----------
    log_mel : ndarray
        float32 ``(n_mels, n_frames)``, dB.
    variance : bool
        Also scale each coefficient to unit spread over the word: best for distances, where every coefficient counts
        alike; models with variances of their own do better without. (A sine lifter, as of HTK, scales coefficients,
        too, and so changes nothing in either.)

    Returns
    -------
    ndarray
        float32 ``(n_frames, 39)``: 13 coefficients, their slopes, the slopes of the slopes.

    Examples
    --------
    >>> cepstra(np.zeros((26, 5), np.float32)).shape
    (5, 39)
    """
    floor = np.percentile(log_mel, LOUDEST_PERCENT) - TOP_DB
    still = mfcc(np.maximum(log_mel, np.float32(floor)), N_MFCC)
    slope = _slope(still)
    rows = np.concatenate([still, slope, _slope(slope)]).T
    rows = rows - rows.mean(axis=0)
    if variance:
        rows = rows / (rows.std(axis=0) + np.float32(1e-2))
    return np.ascontiguousarray(rows, np.float32)


def _slope(values: Floats) -> Floats:
    """Least-squares slope over 5 frames, the ends continued: what `delta` gives, defined for one frame, too."""
    half = DELTA_WIDTH // 2
    padded = np.pad(values, ((0, 0), (half, half)), mode="edge")
    n = values.shape[1]
    total = np.zeros_like(values)
    for k in range(1, half + 1):
        total += np.float32(k) * (padded[:, half + k :][:, :n] - padded[:, half - k :][:, :n])
    total /= np.float32(2 * sum(k * k for k in range(1, half + 1)))
    return total


def of_one_length(rows: np.ndarray, n_frames: int) -> np.ndarray:
    """A word stretched linearly to so many frames: float32 ``(n_frames, n_values)``.

    The first step of Myers, Rabiner and Rosenberg (1980), "normalize and warp", which measured better than warping
    words of their own lengths.

    Examples
    --------
    >>> of_one_length(np.array([[0.0], [2.0]]), 3)[:, 0].tolist()
    [0.0, 1.0, 2.0]
    """
    place = np.linspace(0.0, len(rows) - 1.0, n_frames)
    left = np.floor(place).astype(int)
    share = (place - left)[:, None]
    right = np.minimum(left + 1, len(rows) - 1)
    return np.asarray(rows[left] * (1.0 - share) + rows[right] * share, np.float32)
