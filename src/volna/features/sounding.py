"""The log-mel that sound is made from again.

Unlike the log-mel that a library is searched by (12 kHz, 64 bands, relative to the loudest cell), this one covers the
whole band of its rate and keeps the level, so that a vocoder can give back what was there.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike

from volna.errors import InputError
from volna.features.frames import Floats, checked
from volna.features.spectrum import MelConfig, mel_power, power_spectrum, stft

__all__ = ["AMIN", "FLOOR", "SOUNDING_RATES", "choose_rate", "sounding_config", "sounding_mel"]

AMIN = 1e-5  # amplitudes below it, about -130 dB under a full-scale tone, are silence
FLOOR = math.log(AMIN)
# Rate in Hz: n_fft, hop_length, n_mels. Frames of 43 to 64 ms, four over every sample: enough for phases to agree.
_FRAMES = {
    8_000: (512, 128, 64),
    16_000: (1_024, 256, 80),
    22_050: (1_024, 256, 96),
    24_000: (1_024, 256, 96),
    44_100: (2_048, 512, 128),
    48_000: (2_048, 512, 128),
}
SOUNDING_RATES = tuple(_FRAMES)
_CHOSEN = (8_000, 16_000, 24_000, 44_100)  # what a folder is brought to


def sounding_config(sample_rate: int) -> MelConfig:
    """How sound of a rate is described so that it can be made again.

    Parameters
    ----------
    sample_rate
        Hz, one of `SOUNDING_RATES`.

    Raises
    ------
    InputError
        Another rate.

    Examples
    --------
    >>> sounding_config(16_000).n_mels
    80
    """
    if sample_rate not in _FRAMES:
        rates = ", ".join(map(str, SOUNDING_RATES))
        raise InputError(f"expected a sample_rate of {rates} Hz, got {sample_rate}: resample the sound first")
    n_fft, hop_length, n_mels = _FRAMES[sample_rate]
    return MelConfig(sample_rate, n_fft, hop_length, n_mels, fmin_hz=0.0, fmax_hz=sample_rate / 2)


def choose_rate(rates: Iterable[float]) -> int:
    """The rate that a folder of sounds is brought to: half of its files have as much, or nearly.

    Parameters
    ----------
    rates
        Sample rates of the files in Hz.

    Returns
    -------
    int
        8 000, 16 000, 24 000 or 44 100 Hz, the highest that the median of the rates reaches to within a tenth.

    Raises
    ------
    InputError
        No rates.

    Examples
    --------
    >>> choose_rate([44_100, 48_000, 8_000]), choose_rate([22_050])
    (44100, 24000)
    """
    known = sorted(rates)
    if not known:
        raise InputError("expected the rate of one file at least, got none")
    middle = known[len(known) // 2]
    return max([rate for rate in _CHOSEN if rate <= 1.1 * middle], default=_CHOSEN[0])


def sounding_mel(samples: ArrayLike, config: MelConfig) -> Floats:
    """Logarithm of the amplitude in mel bands, the level kept.

    Parameters
    ----------
    samples
        ``(n_samples,)`` at ``config.sample_rate``, full scale at 1.
    config
        See `sounding_config`.

    Returns
    -------
    ndarray
        float32 ``(n_mels, 1 + n_samples // hop_length)``: natural logarithm of the square root of `mel_power`, at least
        `FLOOR`. Frame ``t`` is centred on sample ``t * hop_length``; beyond the ends are zeros.

    Raises
    ------
    InputError
        When samples are empty, not one-dimensional or not finite.

    Examples
    --------
    >>> config = sounding_config(8_000)
    >>> sounding_mel(np.zeros(8_000), config).shape, round(float(sounding_mel(np.zeros(8_000), config)[0, 0]), 2)
    ((64, 63), -11.51)
    """
    spectrum = stft(checked(samples), config.n_fft, config.hop_length, config.window)
    power = mel_power(power_spectrum(spectrum), config)
    return (np.log(np.maximum(power, np.float32(AMIN**2))) * np.float32(0.5)).astype(np.float32, copy=False)
