"""Which whole sounds are likely, and how to draw new ones.

The prior is a mixture of Gaussians. With few sounds a mixture of few broad ones fills the space between sounds with
points that decode to a blur, so the default has one small Gaussian at every sound, its covariance that of the
differences to the nearest sounds: the manifold Parzen windows of Vincent and Bengio (2003). It spreads along the ways
on which sounds differ, and nowhere else. ``"mixture"`` (a handful of Gaussians, their number chosen by held-out
likelihood) and ``"gaussian"`` (one) are there to be measured beside it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from volna.errors import InputError
from volna.features.frames import Floats

__all__ = ["KINDS", "WIDTH", "draw", "nearest_distance", "vary"]

KINDS = ("neighbours", "mixture", "gaussian")
N_NEIGHBOURS = 5
# How far a drawn sound is from the one it began at, as a share of the way to the neighbours; measured, see
# docs/generation.md: less copies, more blurs.
WIDTH = 0.8
NUMBERS_TRIED = (1, 2, 4, 8, 16, 32)
_REGULAR = 1e-4  # added to the variances of a mixture
N_AROUND = 10  # sounds that tell in which directions one may be varied


def draw(
    points: NDArray, n: int, rng: np.random.Generator, *, temperature: float = 1.0, kind: str = "neighbours"
) -> Floats:
    """New points among those of sounds.

    Parameters
    ----------
    points
        ``(n_sounds, n_dims)``, at least two.
    n
        How many to draw.
    temperature
        Scales the spread: 0 gives the centres of the Gaussians, for the default kind the sounds themselves.
    kind
        One of `KINDS`.

    Returns
    -------
    ndarray
        float32 ``(n, n_dims)``.

    Raises
    ------
    InputError
        Too few sounds, another kind, or a negative temperature.

    Examples
    --------
    >>> points = np.random.default_rng(0).standard_normal((20, 3))
    >>> draw(points, 4, np.random.default_rng(1)).shape
    (4, 3)
    """
    if kind not in KINDS:
        raise InputError(f"expected a prior out of {', '.join(KINDS)}, got {kind!r}")
    if len(points) < 2:
        raise InputError(f"expected two sounds or more to draw others from, got {len(points)}")
    if not 0 <= temperature < float("inf"):
        raise InputError(f"expected a temperature of 0 or more, got {temperature}")
    if kind == "neighbours":
        return _beside_sounds(np.asarray(points, np.float64), n, rng, temperature)
    return _from_mixture(np.asarray(points, np.float64), n, rng, temperature, 1 if kind == "gaussian" else None)


def _beside_sounds(points: NDArray, n: int, rng: np.random.Generator, temperature: float) -> Floats:
    k = min(N_NEIGHBOURS, len(points) - 1)
    rounds = -(-n // len(points))  # every sound once before any twice
    begun = np.concatenate([rng.permutation(len(points)) for _ in range(rounds)])[:n]
    weights = rng.standard_normal((n, k)) * temperature * WIDTH / np.sqrt(k)
    drawn = points[begun]
    nearest = np.stack([_nearest(points, point, k + 1)[1:] for point in drawn])
    return np.asarray(drawn + np.einsum("nk,nkd->nd", weights, points[nearest] - drawn[:, None]), np.float32)


def _from_mixture(points: NDArray, n: int, rng: np.random.Generator, temperature: float, number: int | None) -> Floats:
    fitted = _mixture(points, _best_number(points) if number is None else number)
    which = rng.choice(len(fitted.weights_), size=n, p=fitted.weights_)
    spread = np.sqrt(fitted.covariances_[which])
    return np.asarray(fitted.means_[which] + temperature * spread * rng.standard_normal(spread.shape), np.float32)


def _mixture(points: NDArray, number: int) -> Any:
    from sklearn.mixture import GaussianMixture

    return GaussianMixture(number, covariance_type="diag", reg_covar=_REGULAR, random_state=0).fit(points)


def _best_number(points: NDArray) -> int:
    """The number of Gaussians under which held-out sounds are likeliest, in four folds."""
    fold = np.random.default_rng(0).permutation(len(points)) % 4
    scores = {
        number: float(np.mean([_mixture(points[fold != k], number).score(points[fold == k]) for k in range(4)]))
        for number in NUMBERS_TRIED
        if number <= (fold != 0).sum() // 2
    }
    return max(scores, key=lambda number: scores[number], default=1)


def _nearest(points: NDArray, point: NDArray, n: int) -> NDArray[np.intp]:
    return np.argsort(((points - point) ** 2).sum(axis=1))[:n]


def nearest_distance(points: NDArray) -> float:
    """Median distance from a sound to its nearest other one: the unit in which sounds are varied.

    Examples
    --------
    >>> nearest_distance(np.array([[0.0], [1.0], [3.0]]))
    1.0
    """
    x = np.asarray(points, np.float64)
    squares = (x**2).sum(1)[:, None] + (x**2).sum(1)[None] - 2 * x @ x.T
    np.fill_diagonal(squares, np.inf)
    return float(np.median(np.sqrt(np.maximum(squares.min(axis=1), 0.0))))


def vary(points: NDArray, point: NDArray, distance: float, rng: np.random.Generator) -> Floats:
    """A point at a distance from another, in a direction in which the sounds around it differ.

    Parameters
    ----------
    points
        ``(n_sounds, n_dims)``.
    point
        ``(n_dims,)``, of a sound that need not be among them.
    distance
        0 or more; 1 is the median distance from a sound to its nearest other one.

    Raises
    ------
    InputError
        A negative distance.

    Examples
    --------
    >>> points = np.random.default_rng(0).standard_normal((20, 3))
    >>> moved = vary(points, points[0], 2.0, np.random.default_rng(1))
    >>> round(float(np.linalg.norm(moved - points[0])) / nearest_distance(points), 3)
    2.0
    """
    if not 0 <= distance < float("inf"):
        raise InputError(f"expected a distance of 0 or more, got {distance}")
    around = points[_nearest(points, point, N_AROUND + 1)]
    way = rng.standard_normal(len(around)) @ (around - around.mean(axis=0))
    length = max(float(np.linalg.norm(way)), 1e-12)
    return np.asarray(point + way / length * distance * nearest_distance(points), np.float32)
