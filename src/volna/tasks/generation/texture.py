"""What a decoder leaves out: the grain of noise, and the contrast that means between sounds lose.

A decoder gives the mean of what a cell could be; a spectrogram of means is smooth, which no real one is, and is heard
as a blur. Two things bring the grain back. First, noise as noise looks in a log-mel (`grain`: analysed noise, so that
neighbouring frames and bands hang together as they do in sound), as strong in every cell as the decoder says it is
wrong there. Second, gains in the plane of the two-dimensional cosine transform (`plane_power`), which give the made
pictures the power that real ones have at every scale of frequency and time: the modulation spectrum filter of Takamichi
et al. (2014) over all bands, after the global variance of Toda and Tokuda (2007).
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from volna.features.frames import Floats, frozen
from volna.features.sounding import sounding_mel
from volna.features.spectrum import MelConfig

__all__ = ["N_RATES", "gains_between", "grain", "grain_share", "plane_power", "with_gains"]

N_RATES = 16  # parts of the modulation spectrum, from standing still to the change of every frame
LEAST_GAIN, MOST_GAIN = 0.5, 2.5
MOST_SHARE = 1.5
EDGE = 8  # frames at both ends of analysed noise that are left out


def grain(n_frames: int, config: MelConfig, rng: np.random.Generator) -> Floats:
    """The log-mel of white noise around its mean, its mean deviation 1 in every band: ``(n_mels, n_frames)``.

    Examples
    --------
    >>> from volna.features.sounding import sounding_config
    >>> noise = grain(400, sounding_config(8_000), np.random.default_rng(0))
    >>> noise.shape, round(float(np.abs(noise).mean()), 1)
    ((64, 400), 1.0)
    """
    mean, deviation = _noise_statistics(config)
    return (_noise(n_frames, config, rng) - mean[:, None]) / deviation[:, None]


def _noise(n_frames: int, config: MelConfig, rng: np.random.Generator) -> Floats:
    samples = rng.standard_normal((n_frames + 2 * EDGE) * config.hop_length).astype(np.float32)
    return sounding_mel(samples, config)[:, EDGE : EDGE + n_frames]


@lru_cache(maxsize=8)
def _noise_statistics(config: MelConfig) -> tuple[Floats, Floats]:
    noise = _noise(1000, config, np.random.default_rng(0))
    mean = noise.mean(axis=1)
    return frozen(mean), frozen(np.abs(noise - mean[:, None]).mean(axis=1))


def plane_power(pictures: Iterable[NDArray]) -> NDArray[np.float64]:
    """Mean power of pictures ``(n_mels, n_frames)`` by scale of frequency and rate of change: ``(n_mels, N_RATES)``.

    Examples
    --------
    >>> flat = np.ones((8, 40))
    >>> power = plane_power([flat])
    >>> power.shape, bool(power[1:].max() < 1e-20)  # a flat picture has power at scale 0 alone
    ((8, 16), True)
    """
    from scipy.fft import dctn

    each = []
    for picture in pictures:
        power = dctn(np.asarray(picture, np.float64), norm="ortho") ** 2 / picture.shape[1]
        where = _rates(picture.shape[1])
        counts = np.bincount(where, minlength=N_RATES)
        sums = np.stack([np.bincount(where, row, N_RATES) for row in power])
        filled = counts > 0
        each.append(np.where(filled, sums / np.maximum(counts, 1), sums[:, :1]))
    return np.mean(each, axis=0)


def grain_share(real: NDArray, mean: NDArray, noise: NDArray) -> float:
    """How much of the grain gives made pictures the quick changes of real ones, 0 to 1.5.

    Grain and picture are independent, so their powers add up; over the upper half of the rates, where little but grain
    is, ``mean + share^2 noise = real``.

    Parameters
    ----------
    real, mean, noise
        `plane_power` of real pictures, of decoded ones, and of their grain.

    Examples
    --------
    >>> grain_share(np.full((8, 16), 2.0), np.ones((8, 16)), np.full((8, 16), 4.0))
    0.5
    """
    quick = slice(N_RATES // 2, None)
    missing = float((real[:, quick] - mean[:, quick]).sum())
    return float(np.sqrt(np.clip(missing / max(float(noise[:, quick].sum()), 1e-12), 0.0, MOST_SHARE**2)))


def gains_between(made: NDArray, real: NDArray) -> Floats:
    """What brings pictures of one mean `plane_power` to another, in amplitude, 0.5 to 2.5.

    Examples
    --------
    >>> float(gains_between(np.ones((8, 16)), np.full((8, 16), 4.0))[1, 0])
    2.0
    """
    gains = np.sqrt(real / np.maximum(made, 1e-12))
    return np.asarray(np.clip(gains, LEAST_GAIN, MOST_GAIN), np.float32)


def with_gains(picture: NDArray, gains: NDArray) -> Floats:
    """A picture with every scale and rate multiplied by its gain; its mean stays.

    Examples
    --------
    >>> picture = np.random.default_rng(0).standard_normal((8, 40))
    >>> bool(np.allclose(with_gains(picture, np.ones((8, N_RATES))), picture, atol=1e-6))
    True
    """
    from scipy.fft import dctn, idctn

    plane = dctn(np.asarray(picture, np.float64), norm="ortho")
    mean = plane[0, 0]
    plane *= gains[:, _rates(picture.shape[1])]
    plane[0, 0] = mean
    return np.asarray(idctn(plane, norm="ortho"), np.float32)


def _rates(n_frames: int) -> NDArray[np.intp]:
    """The part of the modulation spectrum that each coefficient of ``n_frames`` belongs to."""
    return np.arange(n_frames) * N_RATES // n_frames
