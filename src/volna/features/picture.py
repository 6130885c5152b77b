"""Pictures of sounds for networks that classify: the log-mel over the whole band of the file.

The recipe's log-mel stops at 4.7 kHz, because music is compared across codecs. What tells rain from a frying pan, or an
``s`` from an ``f``, lies above. A picture therefore reaches up to half the sample rate (16 kHz at most), with 64 bands
and a frame every 10 ms whatever the rate, so that one network serves digits of 0.4 s at 8 kHz, five seconds of rain at
44.1 kHz and half a minute of music.
"""

from __future__ import annotations

from numpy.typing import ArrayLike

from volna.errors import InputError
from volna.features.frames import Floats, checked
from volna.features.spectrum import LOG_MEL_AMIN, MelConfig, mel_power, power_spectrum, power_to_db, stft

__all__ = ["HOP_S", "MAX_SAMPLE_RATE", "N_MELS", "PICTURE", "TOP_DB", "picture", "picture_config"]

MAX_SAMPLE_RATE = 32_000  # Hz; above 16 kHz most microphones and codecs hold nothing
MIN_SAMPLE_RATE = 1_000  # Hz; below it 64 bands are narrower than the bins of any frame that a short sound fills
N_MELS = 64
HOP_S = 0.010
FRAME_S = 0.048  # long enough that the lowest bands are wider than a bin
FMIN_HZ = 30.0
TOP_DB = 80.0  # below the loudest cell; the recipe's 55 hides the breath of consonants and the room
_FFT_STEP, _MIN_FFT = 64, 256


def picture_config(sample_rate: int) -> MelConfig:
    """Settings of the pictures of sounds of one sample rate.

    Parameters
    ----------
    sample_rate
        Of the files, in Hz, at least 1000. Above 32 kHz the pictures are made at 32 kHz: decode at the
        ``sample_rate`` of what is returned.

    Raises
    ------
    InputError
        The rate is below 1 kHz.

    Examples
    --------
    >>> config = picture_config(44_100)
    >>> config.sample_rate, config.fmax_hz, config.n_mels, config.frames_per_s
    (32000, 16000.0, 64, 100.0)
    """
    if sample_rate < MIN_SAMPLE_RATE:
        raise InputError(f"expected sounds of at least {MIN_SAMPLE_RATE} Hz for a picture, got {sample_rate}")
    rate = min(int(sample_rate), MAX_SAMPLE_RATE)
    n_fft = max(_MIN_FFT, _FFT_STEP * round(rate * FRAME_S / _FFT_STEP))
    return MelConfig(rate, n_fft, round(rate * HOP_S), N_MELS, FMIN_HZ, rate / 2)


PICTURE = picture_config(16_000)


def picture(samples: ArrayLike, sample_rate: int, config: MelConfig | None = None) -> Floats:
    """The picture of a sound.

    Parameters
    ----------
    samples : array_like
        ``(n_samples,)``, mono, full scale at 1.
    sample_rate : int
        Hz.
    config : MelConfig, optional
        The settings, those of a trained model for instance; by default :func:`picture_config` of the rate. Samples of
        another rate are resampled.

    Returns
    -------
    ndarray
        float32 ``(n_mels, 1 + n_samples // hop_length)``, dB against a power of 1, at most 80 dB below the loudest
        cell.

    Raises
    ------
    InputError
        When samples are empty, not one-dimensional or not finite.

    Examples
    --------
    >>> picture([0.0] * 16_000, 16_000).shape
    (64, 101)
    """
    config = config or picture_config(sample_rate)
    sound = checked(samples)
    if sample_rate != config.sample_rate:
        from volna.audio.signal import resample

        sound = checked(resample(sound, sample_rate, config.sample_rate))
    power = power_spectrum(stft(sound, config.n_fft, config.hop_length, config.window))
    return power_to_db(mel_power(power, config), amin=LOG_MEL_AMIN, top_db=TOP_DB)
