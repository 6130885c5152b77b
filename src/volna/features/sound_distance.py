"""How far a sound that was made is from the one that was meant: pure scores of samples against samples."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from volna.errors import InputError
from volna.features.frames import Floats, checked
from volna.features.spectrum import MelConfig, mel_power, power_spectrum, stft

__all__ = ["RESOLUTIONS", "mel_distance", "multi_resolution_stft", "si_sdr_db"]

RESOLUTIONS = ((512, 128), (1_024, 256), (2_048, 512))  # n_fft, hop_length
AMIN = 1e-5
SI_SDR_MOST_DB = 100.0  # float32 knows no better
_N_MELS = 80


def _pair(estimate: ArrayLike, reference: ArrayLike) -> tuple[Floats, Floats]:
    made, real = checked(estimate), checked(reference)
    if made.shape != real.shape:
        raise InputError(f"expected two sounds of one length, got {len(made)} and {len(real)} samples")
    return made, real


def si_sdr_db(estimate: ArrayLike, reference: ArrayLike) -> float:
    """Scale-invariant ratio of signal to distortion (Le Roux et al. 2019, "SDR: half-baked or well done?").

    Parameters
    ----------
    estimate, reference
        ``(n_samples,)`` each; the means are taken out.

    Returns
    -------
    float
        dB, from -100 to 100; the higher, the nearer.

    Raises
    ------
    InputError
        The lengths differ, or the reference is silent.

    Examples
    --------
    >>> tone = np.sin(np.arange(8000) / 5)
    >>> si_sdr_db(3 * tone, tone)
    100.0
    """
    made, real = (x.astype(np.float64) - x.mean(dtype=np.float64) for x in _pair(estimate, reference))
    energy = float(real @ real)
    if energy <= 1e-12 * len(real):
        raise InputError("expected a reference that sounds, got silence")
    target = (float(made @ real) / energy) * real
    wanted, rest = float(target @ target), float(np.sum((made - target) ** 2))
    db = 10.0 * np.log10(max(wanted, 1e-30) / max(rest, 1e-30))
    return float(np.clip(db, -SI_SDR_MOST_DB, SI_SDR_MOST_DB))


def multi_resolution_stft(estimate: ArrayLike, reference: ArrayLike) -> float:
    """Spectral convergence and log-magnitude distance, mean over three resolutions (Yamamoto et al. 2020).

    Parameters
    ----------
    estimate, reference
        ``(n_samples,)`` each, of one rate.

    Returns
    -------
    float
        0 for equal sounds; about 1 and more for different ones. Magnitudes below 1e-5 of the loudest of the reference
        count as that.

    Raises
    ------
    InputError
        The lengths differ, or the reference is silent.

    Examples
    --------
    >>> tone = np.sin(np.arange(8000) / 5)
    >>> multi_resolution_stft(tone, tone)
    0.0
    """
    made, real = _pair(estimate, reference)
    if not float(np.abs(real).max()) > 0:
        raise InputError("expected a reference that sounds, got silence")
    total = 0.0
    for n_fft, hop_length in RESOLUTIONS:
        a, b = (np.sqrt(power_spectrum(stft(x, n_fft, hop_length))) for x in (made, real))
        floor = AMIN * float(b.max())
        convergence = float(np.linalg.norm(a - b) / np.linalg.norm(b))
        logs = float(np.mean(np.abs(np.log(np.maximum(a, floor)) - np.log(np.maximum(b, floor)))))
        total += convergence + logs
    return total / len(RESOLUTIONS)


def mel_distance(estimate: ArrayLike, reference: ArrayLike, sample_rate: int) -> float:
    """Mean difference of two log-mel spectra of 80 bands, in dB.

    Parameters
    ----------
    estimate, reference
        ``(n_samples,)`` each.
    sample_rate
        Hz.

    Returns
    -------
    float
        dB, 0 for equal sounds; what lies 80 dB below the loudest cell of the reference is silence.

    Raises
    ------
    InputError
        The lengths differ.

    Examples
    --------
    >>> tone = np.sin(np.arange(8000) / 5)
    >>> mel_distance(tone, tone, 8000)
    0.0
    """
    made, real = _pair(estimate, reference)
    n_fft = 2 ** round(np.log2(sample_rate * 0.064))
    config = MelConfig(sample_rate, n_fft, n_fft // 4, _N_MELS, fmin_hz=0.0, fmax_hz=sample_rate / 2)
    a, b = (mel_power(power_spectrum(stft(x, n_fft, n_fft // 4)), config) for x in (made, real))
    floor = max(1e-8 * float(b.max()), 1e-12)
    return float(10.0 * np.mean(np.abs(np.log10(np.maximum(a, floor)) - np.log10(np.maximum(b, floor)))))
