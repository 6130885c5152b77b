"""What can be asked of a new sound in words: brighter, louder, longer, noisier, higher.

Each is measured on the samples of every sound, and ridge regression finds how it follows from a sound's point. Asking
for half a unit more moves the point along the direction that a Gaussian over the sounds expects there, so that what
goes with it goes along: louder notes are brighter. One unit is the spread of the attribute among the sounds learnt.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from volna.audio.signal import level_db
from volna.errors import InputError
from volna.features import descriptors
from volna.features.frames import Floats
from volna.features.spectrum import fft_frequencies, stft

__all__ = ["ATTRIBUTES", "Directions", "directions", "measured", "towards"]

# Name: what is measured. NaN where a sound has no such thing.
ATTRIBUTES = {
    "brighter": "logarithm of the spectral centroid, weighted by loudness",
    "louder": "level in dB",
    "longer": "logarithm of the duration",
    "noisier": "logarithm of the spectral flatness, weighted by loudness",
    "higher": "logarithm of the median F0, where there is one",
}
N_FFT, HOP = 1024, 256
LOWEST_F0_HZ, HIGHEST_F0_HZ = 50.0, 2000.0
VOICED_SHARE = 0.3  # of the frames: with fewer a sound has no pitch
RIDGE = 0.1  # of the mean variance of a dimension times the number of sounds
LEAST_SOUNDS = 8  # with fewer no attribute is learnt

Directions = NDArray[np.float32]


def measured(samples: Floats, sample_rate: int) -> Floats:
    """The attributes of a sound, float32 ``(5,)`` in the order of `ATTRIBUTES`.

    Examples
    --------
    >>> tone = np.sin(2 * np.pi * 440 * np.arange(8000) / 8000).astype(np.float32)
    >>> np.exp(measured(tone, 8000)[[2, 4]]).round().tolist()  # longer, higher
    [1.0, 441.0]
    """
    magnitude = np.abs(stft(samples, N_FFT, HOP))
    weight = (magnitude**2).sum(axis=0)
    weight = weight / max(float(weight.sum()), 1e-12)
    centroid = descriptors.centroid(magnitude, fft_frequencies(sample_rate, N_FFT))
    flatness = descriptors.flatness(magnitude)
    bright = np.log(max(float(centroid @ weight), 1.0))
    noisy = np.log(max(float(flatness @ weight), 1e-9))
    long = np.log(len(samples) / sample_rate)
    return np.array([bright, level_db(samples), long, noisy, _log_pitch(samples, sample_rate)], np.float32)


def _log_pitch(samples: Floats, sample_rate: int) -> float:
    from volna.features.pitch import yin

    try:
        pitch = yin(samples, sample_rate, LOWEST_F0_HZ, min(HIGHEST_F0_HZ, sample_rate / 4))
    except InputError:  # too short for a pitch
        return float("nan")
    voiced = np.asarray(pitch.voiced, bool) & np.isfinite(pitch.f0_hz)
    if not len(voiced) or voiced.mean() < VOICED_SHARE:
        return float("nan")
    return float(np.log(np.median(pitch.f0_hz[voiced])))


def directions(points: NDArray, values: NDArray) -> tuple[Directions, Floats]:
    """How attributes follow from points: slopes ``(n_attributes, n_dims)`` a unit, and how well (R squared).

    Parameters
    ----------
    points
        ``(n_sounds, n_dims)``.
    values
        ``(n_sounds, n_attributes)``, NaN where a sound has no such thing.

    Returns
    -------
    tuple
        Zero slopes, and NaN, for an attribute that is known of fewer than 8 sounds or alike in all. R squared is that
        of sounds left out of the regression, in four folds.

    Examples
    --------
    >>> points = np.random.default_rng(0).standard_normal((50, 3))
    >>> slopes, fit = directions(points, 10 * points[:, :1])
    >>> bool(slopes[0, 0] > 10 * abs(slopes[0, 1])), bool(fit[0] > 0.9)
    (True, True)
    """
    slopes = np.zeros((values.shape[1], points.shape[1]), np.float32)
    fit = np.full(values.shape[1], np.nan, np.float32)
    for k, column in enumerate(values.T):
        known = np.isfinite(column)
        if known.sum() < LEAST_SOUNDS or column[known].std() < 1e-6:
            continue
        unit = (column[known] - column[known].mean()) / column[known].std()
        x = np.asarray(points[known], np.float64)
        slopes[k], fit[k] = _ridge(x, unit), _held_out_fit(x, unit)
    return slopes, fit


def _ridge(x: NDArray, y: NDArray) -> NDArray:
    x = x - x.mean(axis=0)
    gram = x.T @ x
    return np.linalg.solve(gram + RIDGE * np.trace(gram) / len(gram) * np.eye(len(gram)), x.T @ (y - y.mean()))


def _held_out_fit(x: NDArray, y: NDArray) -> float:
    fold = np.random.default_rng(0).permutation(len(x)) % 4
    said = np.zeros(len(x))
    for k in range(4):
        learnt = fold != k
        said[~learnt] = (x[~learnt] - x[learnt].mean(axis=0)) @ _ridge(x[learnt], y[learnt]) + y[learnt].mean()
    return float(1 - ((y - said) ** 2).sum() / ((y - y.mean()) ** 2).sum())


def towards(points: NDArray, slopes: Directions, wanted: Mapping[str, float]) -> Floats:
    """How to move a point so that its attributes change as wanted, ``(n_dims,)``.

    The move of a Gaussian with the covariance of ``points`` given the change: ``C B (B' C B)^-1 x``, for the attributes
    wanted alone; the others follow.

    Parameters
    ----------
    slopes
        Of `directions`, for all of `ATTRIBUTES`.
    wanted
        Units by name; unknown names are refused.

    Raises
    ------
    InputError
        No such attribute, or the sounds did not teach it.
    """
    names = list(ATTRIBUTES)
    if unknown := [name for name in wanted if name not in names]:
        raise InputError(f"expected attributes out of {', '.join(names)}, got {unknown[0]!r}")
    asked = {name: value for name, value in wanted.items() if value}
    if not asked:
        return np.zeros(points.shape[1], np.float32)
    rows = np.asarray(slopes, np.float64)[[names.index(name) for name in asked]]
    if dead := [name for name, row in zip(asked, rows, strict=True) if not row.any()]:
        raise InputError(f"the sounds that the model learnt do not teach what {dead[0]} is")
    covariance = np.cov(np.asarray(points, np.float64).T)
    spread = covariance @ rows.T  # (n_dims, n_asked)
    inner = rows @ spread
    amount = np.linalg.solve(inner + 1e-6 * np.trace(inner) * np.eye(len(inner)), np.array(list(asked.values())))
    return np.asarray(spread @ amount, np.float32)
