"""`log_mel` and `describe`: what Volna hears in one file, as arrays and numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from volna.audio.decode import decode
from volna.embedding import hear
from volna.features import spectrum
from volna.features.recipe import ANALYSIS, DESCRIPTOR_NAMES

__all__ = ["describe", "log_mel"]


def log_mel(path: str | Path, *, start_s: float = 0.0, duration_s: float | None = None) -> np.ndarray:
    """The log-mel spectrogram of a file, as the autoencoders see it.

    Parameters
    ----------
    path : str or Path
        Any audio file that libav decodes.
    start_s, duration_s : float
        The part wanted; to the end of the file when no duration is given.

    Returns
    -------
    numpy.ndarray
        float32 ``(n_mels, n_frames)``, power in dB re full scale squared.

    Raises
    ------
    AudioError
        The file cannot be decoded.

    Examples
    --------
    >>> log_mel("song.mp3", duration_s=10).shape  # doctest: +SKIP
    (64, 429)
    """
    samples = decode(path, sample_rate=ANALYSIS.sample_rate, start_s=start_s, duration_s=duration_s)
    return spectrum.log_mel(samples, ANALYSIS)


def describe(path: str | Path, *, segment: str = "spread") -> dict[str, float]:
    """Every descriptor of a file by its name.

    Parameters
    ----------
    path : str or Path
        Any audio file that libav decodes.
    segment : {"spread", "start", "middle", "end"}
        Which windows of the file are heard.

    Returns
    -------
    dict of str to float
        Frequencies in Hz, tempo in beats per minute, RMS of samples in [-1, 1]; see `volna.features.recipe`.

    Raises
    ------
    AudioError
        The file cannot be decoded, is silent, or lasts less than 0.1 s.

    Examples
    --------
    >>> describe("song.mp3")["tempo_bpm"]  # doctest: +SKIP
    97.4
    """
    return dict(zip(DESCRIPTOR_NAMES, hear(path, segment).descriptors.tolist(), strict=True))
