"""The spectra that several detectors look at: frames of some 190 ms, 5 Hz a bin, the mean power of all channels."""

from __future__ import annotations

import numpy as np

from volna.features.frames import window_of
from volna.features.spectrum import power_spectrum, rfft
from volna.tasks.diagnosis.finding import Floats, Piece

__all__ = ["frame_length", "spectra"]

FRAME_S = 0.16


def frame_length(sample_rate: int) -> int:
    """The power of two nearest above 160 ms."""
    return 1 << int(np.ceil(np.log2(max(256, FRAME_S * sample_rate))))


def spectra(piece: Piece) -> Floats:
    """Mean power over channels of frames half a frame apart, float32 ``(n_frames, n_bins)``; no frame where too short.

    Scaled so that a sine of amplitude 1 peaks at 1, and white noise of power p has a mean of ``6 p / n_fft``.
    """
    n_fft = frame_length(piece.sample_rate)
    own = piece.own
    if own.shape[1] < n_fft:
        return np.zeros((0, n_fft // 2 + 1), np.float32)
    window = window_of("hann", n_fft) * np.float32(4.0 / n_fft)
    total = None
    for samples in own:
        frames = np.lib.stride_tricks.sliding_window_view(samples, n_fft)[:: n_fft // 2]
        power = power_spectrum(rfft(frames * window))
        total = power if total is None else total + power
    assert total is not None
    return total / np.float32(len(own))
