"""How like real sounds generated ones are, without being copies, and how unlike one another.

Every figure is taken on vectors of sounds, such as `volna embed` writes: standardised and projected by the training
sounds alone (`Axes`), because a covariance of 270 numbers cannot be had from a few hundred sounds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from volna.errors import InputError
from volna.features.frames import Floats

__all__ = ["Axes", "copying", "diversity", "fit_axes", "frechet_distance"]


@dataclass(frozen=True)
class Axes:
    """Principal components of standardised vectors."""

    mean: NDArray
    spread: NDArray
    components: NDArray

    def __call__(self, vectors: NDArray) -> Floats:
        """``(n, n_values) -> (n, n_components)``."""
        return np.asarray((vectors - self.mean) / self.spread @ self.components.T, np.float32)


def fit_axes(vectors: NDArray, n_components: int) -> Axes:
    """The axes of the vectors of the training sounds.

    Examples
    --------
    >>> fit_axes(np.random.default_rng(0).standard_normal((30, 8)), 4)(np.zeros((2, 8))).shape
    (2, 4)
    """
    x = np.asarray(vectors, np.float64)
    mean, spread = x.mean(axis=0), np.maximum(x.std(axis=0), 1e-6)
    _, _, components = np.linalg.svd((x - mean) / spread, full_matrices=False)
    return Axes(mean, spread, components[:n_components])


def frechet_distance(first: NDArray, second: NDArray) -> float:
    """The Frechet distance between Gaussians fitted to two sets of vectors (Dowson and Landau, 1982; Heusel, 2017).

    ``|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2))``. Few vectors raise it: two halves of one set are not at 0. Compare
    only distances of equal counts.

    Parameters
    ----------
    first, second
        ``(n, n_dims)``, more of them than dimensions.

    Raises
    ------
    InputError
        Fewer than two vectors, or different dimensions.

    Examples
    --------
    >>> x = np.random.default_rng(0).standard_normal((500, 3))
    >>> round(frechet_distance(x, x + 1), 3)
    3.0
    """
    a, b = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if min(len(a), len(b)) < 2 or a.shape[1:] != b.shape[1:]:
        raise InputError(f"expected two sets of vectors of one size, got {a.shape} and {b.shape}")
    apart = float(((a.mean(axis=0) - b.mean(axis=0)) ** 2).sum())
    c1, c2 = np.atleast_2d(np.cov(a.T)), np.atleast_2d(np.cov(b.T))
    values, vectors = np.linalg.eigh(c1)
    root = vectors * np.sqrt(np.maximum(values, 0.0)) @ vectors.T
    middle = np.linalg.eigvalsh(root @ c2 @ root)  # of (C1 C2), made symmetric
    return apart + float(np.trace(c1 + c2) - 2 * np.sqrt(np.maximum(middle, 0.0)).sum())


def copying(generated: NDArray, training: NDArray, held_out: NDArray) -> float:
    """Median distance of generated sounds to the nearest training sound over that of held-out real ones.

    Copies give 0, sounds as new as unheard real ones 1.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> training, held_out = rng.standard_normal((2, 50, 3))
    >>> copying(training[:9], training, held_out)
    0.0
    """
    return _median_nearest(generated, training) / max(_median_nearest(held_out, training), 1e-12)


def _median_nearest(some: NDArray, others: NDArray) -> float:
    return float(np.median(_distances(some, others).min(axis=1)))


def diversity(vectors: NDArray) -> float:
    """Mean distance between two of the sounds.

    Examples
    --------
    >>> diversity(np.array([[0.0], [3.0]]))
    3.0
    """
    apart = _distances(vectors, vectors)
    return float(apart[np.triu_indices(len(apart), 1)].mean())


def _distances(a: NDArray, b: NDArray) -> NDArray[np.float64]:
    """Differences, not the product of sums: a copy is at 0 exactly."""
    x, y = np.asarray(a, np.float64), np.asarray(b, np.float64)
    return np.stack([np.sqrt(((y - row) ** 2).sum(axis=1)) for row in x])
