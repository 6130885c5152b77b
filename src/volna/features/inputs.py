"""What an autoencoder may be given: the log-mel spectrogram, or one of the three other inputs of the textbook.

All are ``(n_rows, n_frames)`` at the frame rate of the analysis, so that every model takes any of them:

======== ====== ==============================================================================================
input    rows   a column
======== ====== ==============================================================================================
log-mel  64     power of the mel bands in dB: what Volna searches by
linear   301    power of the bins of the Fourier transform up to the highest mel band, in dB
mfcc     20     the first cepstral coefficients of the log-mel, without the zeroth, which is the level
wave     280    the samples of one hop, the window's level set to 1: for the model ``wave``, an encoder in one dimension
======== ====== ==============================================================================================
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from volna.errors import InputError
from volna.features.frames import Floats, checked
from volna.features.recipe import ANALYSIS
from volna.features.spectrum import dct_matrix, log_mel, power_spectrum, power_to_db, stft

__all__ = ["FLOORS_DB", "INPUTS", "N_MFCC", "as_input", "n_rows"]

INPUTS = ("log-mel", "linear", "mfcc", "wave")
N_MFCC = 20
# How far below the loudest cell of a sound nothing is told apart; cepstra and samples have no loudest cell.
FLOORS_DB = {"log-mel": 55.0, "linear": 55.0, "mfcc": 1e6, "wave": 1e6}
QUIETEST = 1e-5  # a window below this level is not raised: it is silence
_N_BINS = 1 + int(ANALYSIS.fmax_hz * ANALYSIS.n_fft / ANALYSIS.sample_rate)
_ROWS = {"log-mel": ANALYSIS.n_mels, "linear": _N_BINS, "mfcc": N_MFCC, "wave": ANALYSIS.hop_length}


def n_rows(name: str) -> int:
    """Rows of an input.

    Raises
    ------
    InputError
        There is no such input.

    Examples
    --------
    >>> n_rows("mfcc")
    20
    """
    if name not in _ROWS:
        raise InputError(f"expected input to be one of {', '.join(INPUTS)}, got {name!r}")
    return _ROWS[name]


def as_input(samples: ArrayLike, name: str) -> Floats:
    """Samples as the input of a model.

    Parameters
    ----------
    samples
        ``(n_samples,)`` at the rate of the analysis, 12 kHz.
    name
        One of `INPUTS`.

    Returns
    -------
    float32 ``(n_rows(name), n_frames)``.

    Raises
    ------
    InputError
        There is no such input, or the samples are none.

    Examples
    --------
    >>> as_input(np.ones(2800), "wave").shape
    (280, 10)
    """
    rows = n_rows(name)
    if name == "log-mel":
        return log_mel(samples, ANALYSIS)
    if name == "linear":
        power = power_spectrum(stft(samples, ANALYSIS.n_fft, ANALYSIS.hop_length, ANALYSIS.window))[:rows]
        return power_to_db(power, amin=1e-15, top_db=FLOORS_DB["linear"])
    if name == "mfcc":
        return dct_matrix(1 + rows, ANALYSIS.n_mels)[1:] @ log_mel(samples, ANALYSIS)
    return _hops(checked(samples), rows)


def _hops(samples: Floats, length: int) -> Floats:
    """Samples hop by hop, ``(length, n_hops)``, the end filled with zeros, root mean square 1."""
    level = float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))
    padded = np.pad(samples, (0, -len(samples) % length)) / np.float32(max(level, QUIETEST))
    return np.ascontiguousarray(padded.reshape(-1, length).T)
