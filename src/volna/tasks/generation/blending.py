"""Ways between two latents."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from volna.features.frames import Floats

__all__ = ["slerp"]

_PARALLEL = 1e-4  # radians: below it, the arc is a line


def slerp(first: NDArray, second: NDArray, share: float) -> Floats:
    """The point a share of the way along the great circle between two vectors, column by column (Shoemake, 1985).

    Latents of a Gaussian lie near a sphere; the straight line between two of them leads through its inside, where no
    sound is. Lengths go evenly from the one to the other, so both ends are met exactly.

    Parameters
    ----------
    first, second
        ``(n_values, n)``.
    share
        0 to 1.

    Examples
    --------
    >>> slerp(np.array([[1.0], [0.0]]), np.array([[0.0], [1.0]]), 0.5).round(3).ravel().tolist()
    [0.7070000171661377, 0.7070000171661377]
    """
    a, b = np.asarray(first, np.float64), np.asarray(second, np.float64)
    lengths = [np.maximum(np.linalg.norm(x, axis=0), 1e-12) for x in (a, b)]
    unit = [x / length for x, length in zip((a, b), lengths, strict=True)]
    angle = np.arccos(np.clip((unit[0] * unit[1]).sum(axis=0), -1, 1))
    sine = np.where(angle < _PARALLEL, 1.0, np.sin(angle))
    near = (angle < _PARALLEL) | (sine < _PARALLEL)  # alike or opposite: no great circle, or any
    weights = (
        np.where(near, 1 - share, np.sin((1 - share) * angle) / sine),
        np.where(near, share, np.sin(share * angle) / sine),
    )
    length = (1 - share) * lengths[0] + share * lengths[1]
    blend = weights[0] * unit[0] + weights[1] * unit[1]
    return np.asarray(blend * length, np.float32)
