"""The discrete wavelet transform: octave bands that keep their time, their energies, and noise taken out of them.

Every step halves the band: the detail of level j covers sample_rate / 2^(j+1) to sample_rate / 2^j, and what is left
below the last level is the approximation (Mallat 1989). Coefficients lie as PyWavelets has them, from low to high:
``[a_L, d_L, ..., d_2, d_1]``, float32 ``(..., n_coefficients)`` each, the sound continued symmetrically at its ends.

Noise spreads evenly over the coefficients, sound gathers in few: coefficients below a threshold are taken for noise.

Measure: a reconstruction without thresholds is the sound to 1e-6; denoising, the gain in signal-to-noise ratio.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volna.errors import InputError
from volna.features.frames import Floats

__all__ = [
    "KINDS",
    "MAX_LEVEL",
    "NOISES",
    "RULES",
    "Band",
    "Statistics",
    "bands_of",
    "context_of",
    "decompose",
    "delay_of",
    "frame_energies",
    "is_orthogonal",
    "level_for",
    "noise_levels",
    "reconstruct",
    "shrink",
    "statistics",
    "thresholds",
]

KINDS = ("soft", "hard")
RULES = ("universal", "bayes")
NOISES = ("white", "coloured")
MAX_LEVEL = 16
MEDIAN_OF_NORMAL = 0.6744897501960817  # of the absolute value, at a standard deviation of one

Coefficients = list[Floats]
Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class Band:
    """One band of a decomposition: ``"d1"`` is the finest detail, ``"a5"`` the rest below five of them; edges in Hz."""

    name: str
    low_hz: float
    high_hz: float


@dataclass(frozen=True)
class Statistics:
    """What thresholds are made of, for every channel and band: float64 ``(n_channels, n_bands)``, from low to high.

    ``medians`` are of the absolute coefficients, ``squares`` their sum of squares, ``counts`` ``(n_bands,)``.
    """

    medians: Doubles
    squares: Doubles
    counts: Doubles


@lru_cache(maxsize=16)
def _wavelet(name: str) -> Any:
    """PyWavelets' own wavelet; its list of names is long, so a wrong one is answered with the families."""
    import pywt

    # dmey is a filter cut short, which is 0.6 % off when it has put a sound together again.
    if name not in pywt.wavelist(kind="discrete") or name == "dmey":
        families = ", ".join(family for family in pywt.families(short=True)[:7] if family != "dmey")
        raise InputError(
            f"expected a discrete wavelet of PyWavelets ({families}, each with its number as db4), got {name!r}"
        )
    return pywt.Wavelet(name)


def is_orthogonal(wavelet: str) -> bool:
    """Whether the energies of the bands add up to that of the sound.

    Examples
    --------
    >>> is_orthogonal("db4"), is_orthogonal("bior2.2")
    (True, False)
    """
    return bool(_wavelet(wavelet).orthogonal)


def level_for(n_samples: int, wavelet: str = "db4", level: int = 5) -> int:
    """The level asked, or the deepest at which a coefficient still sees more of the sound than of its ends.

    Raises
    ------
    InputError
        For an unknown wavelet or a level outside 1 to 16.

    Examples
    --------
    >>> level_for(44_100, "db4", 5), level_for(60, "db4", 5), level_for(1)
    (5, 3, 0)
    """
    import pywt

    if not 1 <= level <= MAX_LEVEL:
        raise InputError(f"expected a level from 1 to {MAX_LEVEL}, got {level}")
    length = _wavelet(wavelet).dec_len
    return min(level, pywt.dwt_max_level(n_samples, length)) if n_samples >= length else 0


def bands_of(level: int, sample_rate: float) -> list[Band]:
    """The bands of a decomposition, from low to high.

    Examples
    --------
    >>> [(band.name, band.low_hz, band.high_hz) for band in bands_of(2, 8000)]
    [('a2', 0.0, 1000.0), ('d2', 1000.0, 2000.0), ('d1', 2000.0, 4000.0)]
    """
    details = [Band(f"d{j}", sample_rate / 2 ** (j + 1), sample_rate / 2**j) for j in range(level, 0, -1)]
    return [Band(f"a{level}", 0.0, sample_rate / 2 ** (level + 1)), *details]


def decompose(samples: Floats, wavelet: str = "db4", level: int = 5) -> Coefficients:
    """Split a sound into its bands.

    Parameters
    ----------
    samples : ndarray
        float32 ``(n_samples,)`` or ``(n_channels, n_samples)``.
    wavelet : str
        A discrete wavelet of PyWavelets.
    level : int
        1 to 16; a sound too short for it is split as deep as `level_for` says, down to not at all.

    Returns
    -------
    list of ndarray
        ``[a_L, d_L, ..., d_1]``, float32 ``(n_coefficients,)`` or ``(n_channels, n_coefficients)`` each.

    Raises
    ------
    InputError
        For an unknown wavelet or a level outside 1 to 16.

    Examples
    --------
    >>> [len(c) for c in decompose(np.ones(1000, dtype=np.float32), "haar", 3)]
    [125, 125, 250, 500]
    """
    import pywt

    x = np.asarray(samples, dtype=np.float32)
    depth = level_for(x.shape[-1], wavelet, level)
    return list(pywt.wavedec(x, _wavelet(wavelet), level=depth, mode="symmetric")) if depth else [x]


def reconstruct(coefficients: Sequence[Floats], n_samples: int, wavelet: str = "db4") -> Floats:
    """Put a sound together from its bands, the inverse of `decompose`: float32 ``(..., n_samples)``.

    Examples
    --------
    >>> sound = np.sin(np.arange(100)).astype(np.float32)
    >>> bool(np.abs(reconstruct(decompose(sound), 100) - sound).max() < 1e-6)
    True
    """
    import pywt

    sound = pywt.waverec(list(coefficients), _wavelet(wavelet), mode="symmetric")
    return np.asarray(sound[..., :n_samples], dtype=np.float32)


def delay_of(level: int, wavelet: str = "db4") -> float:
    """How many samples before ``2^level * k`` the middle of what coefficient ``k`` of a level sees lies.

    Examples
    --------
    >>> delay_of(1, "haar"), delay_of(1, "db4")
    (-0.5, 2.5)
    """
    step = 2**level
    return (_wavelet(wavelet).dec_len - 1) * (step - 1) / 2 - (step - 1)


def context_of(wavelet: str, level: int) -> int:
    """Samples on either side, a multiple of ``2^level``, beyond which a piece is as if cut from the whole sound.

    Examples
    --------
    >>> context_of("db4", 5)
    512
    """
    return int(2 * _wavelet(wavelet).dec_len * 2**level)


def frame_energies(samples: Floats, wavelet: str, level: int, frame_length: int, hop_length: int) -> Floats:
    """Mean square of every band in every frame; over orthogonal bands they add up to the frame's mean square.

    Parameters
    ----------
    samples : ndarray
        float32 ``(n_samples,)``.
    frame_length, hop_length : int
        Frames are centred, see `volna.features.frames.frame`.

    Returns
    -------
    ndarray
        float32 ``(level + 1, n_frames)``, from low to high, linear. Of a sound too short for some levels their rows
        are NaN, and the first is what lies below those there are.

    Examples
    --------
    >>> tone = np.sin(np.pi / 3 * np.arange(4096)).astype(np.float32)  # a third of half the rate: in d2
    >>> frame_energies(tone, "db4", 3, 512, 512)[:, 4].round(2)
    array([0.  , 0.03, 0.43, 0.04], dtype=float32)
    """
    centres = np.arange(0, len(samples) + 1, hop_length)
    energies = np.full((level + 1, len(centres)), np.nan, dtype=np.float32)
    coefficients = decompose(samples, wavelet, level)
    depths = [len(coefficients) - 1, *range(len(coefficients) - 1, 0, -1)]
    rows = [0, *range(level + 2 - len(coefficients), level + 1)]
    for row, depth, band in zip(rows, depths, coefficients, strict=True):
        running = np.concatenate([[0.0], np.cumsum(np.square(band, dtype=np.float64))])
        delay = delay_of(depth, wavelet) if depth else 0.0
        # Fractions of a coefficient count as fractions of its energy, so that short frames work at deep levels.
        first, last = (
            np.interp((centres + half + delay) / 2**depth, np.arange(len(running)), running)
            for half in (-frame_length / 2, frame_length / 2)
        )
        energies[row] = (last - first) / frame_length
    return energies


def statistics(coefficients: Sequence[Floats]) -> Statistics:
    """What thresholds need of a decomposition; ``(n_coefficients,)`` counts as one channel."""
    bands = [np.atleast_2d(band) for band in coefficients]
    return Statistics(
        np.stack([np.median(np.abs(band), axis=1) for band in bands], axis=1).astype(np.float64),
        np.stack([np.einsum("cn,cn->c", band, band, dtype=np.float64) for band in bands], axis=1),
        np.array([band.shape[1] for band in bands], dtype=np.float64),
    )


def noise_levels(of: Statistics, noise: str = "white") -> Doubles:
    """Standard deviation of the noise in every band: float64 ``(n_channels, n_bands)``.

    The median of the absolute coefficients over 0.6745, which the few large ones of the sound barely move (Donoho and
    Johnstone 1994): of the finest detail for white noise, of each detail for coloured (Johnstone and Silverman 1997).
    The approximation takes that of the deepest detail.

    Examples
    --------
    >>> hiss = np.random.default_rng(0).normal(0, 0.1, 40_000).astype(np.float32)
    >>> noise_levels(statistics(decompose(hiss)))[0].round(2)
    array([0.1, 0.1, 0.1, 0.1, 0.1, 0.1])
    """
    if noise not in NOISES:
        raise InputError(f"expected noise out of {', '.join(NOISES)}, got {noise!r}")
    sigmas = of.medians / MEDIAN_OF_NORMAL
    if noise == "white":
        return np.repeat(sigmas[:, -1:], sigmas.shape[1], axis=1)
    return np.concatenate([sigmas[:, 1:2], sigmas[:, 1:]], axis=1) if sigmas.shape[1] > 1 else sigmas


def thresholds(of: Statistics, sigmas: Doubles, rule: str = "universal") -> Doubles:
    """The threshold of every band, float64 ``(n_channels, n_bands)``; that of the approximation is 0.

    ``"universal"`` is sigma sqrt(2 ln N), which nothing of N samples of noise is likely to pass (Donoho and Johnstone
    1994). ``"bayes"`` is sigma^2 / sigma_x, near the best for Laplacian coefficients of that spread (BayesShrink:
    Chang, Yu and Vetterli 2000); a band in which there is nothing but noise is emptied (infinity).

    Raises
    ------
    InputError
        For another rule.

    Examples
    --------
    >>> one = Statistics(np.ones((1, 2)), np.full((1, 2), 500.0), np.array([100.0, 100.0]))
    >>> thresholds(one, np.ones((1, 2)), "bayes")  # sigma_x^2 = 500 / 100 - 1
    array([[0. , 0.5]])
    """
    if rule not in RULES:
        raise InputError(f"expected a threshold out of {', '.join(RULES)}, got {rule!r}")
    if rule == "universal":
        limits = sigmas * np.sqrt(2.0 * np.log(max(2.0, float(of.counts.sum()))))
    else:
        spread = np.sqrt(np.maximum(of.squares / of.counts - sigmas**2, 0.0))
        limits = np.full(sigmas.shape, np.inf)
        np.divide(sigmas**2, spread, out=limits, where=spread > 0)
    limits[:, 0] = 0.0
    return np.where(sigmas > 0, limits, 0.0)


def shrink(coefficients: Floats, threshold: Doubles, kind: str = "soft") -> Floats:
    """Set small coefficients to zero; ``"soft"`` also moves the others towards it by the threshold.

    Parameters
    ----------
    coefficients : ndarray
        float32 ``(n_channels, n_coefficients)``.
    threshold : ndarray
        ``(n_channels,)``.

    Raises
    ------
    InputError
        For another kind.

    Examples
    --------
    >>> shrink(np.array([[-3.0, 0.5, 2.0]], dtype=np.float32), np.array([1.0]))
    array([[-2.,  0.,  1.]], dtype=float32)
    """
    if kind not in KINDS:
        raise InputError(f"expected a denoising out of {', '.join(KINDS)}, got {kind!r}")
    limit = np.asarray(threshold, dtype=np.float32)[:, None]
    if kind == "hard":
        return np.where(np.abs(coefficients) > limit, coefficients, np.float32(0.0))
    return np.asarray(np.sign(coefficients) * np.maximum(np.abs(coefficients) - limit, np.float32(0.0)))
