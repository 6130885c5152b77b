"""From pooled features to a track's vector: standardise, clip, and keep the directions that vary most.

The features are hundreds of numbers that say much the same; their principal components say it in 64. They are *not*
rescaled to one spread: that would be whitening, which lifts noise to the level of music and, measured, ranks far worse.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["DIM", "Reading", "fit_reading"]

Array = NDArray[np.float32]

DIM = 64  # 48 to 128 rank alike
CLIP = 4.0  # spreads; what lies further out says no more than that
_LEAST_SPREAD = 1e-6


@dataclass(frozen=True)
class Reading:
    """How a model's pooled features are read, fitted on its training tracks.

    Attributes
    ----------
    centre, spread
        Median and robust spread of the pooled features, float32 ``(n_pooled,)``.
    components
        Orthonormal rows, the one along which tracks vary most first, float32 ``(dim, n_pooled)``.
    scale
        Spread of each element of the vectors, float32 ``(dim,)``: what a search, which standardises, weighs them by.

    Examples
    --------
    >>> reading = fit_reading(np.random.default_rng(0).standard_normal((50, 10)).astype(np.float32), dim=3)
    >>> reading.vectors(np.zeros(10, np.float32)).shape
    (3,)
    """

    centre: Array
    spread: Array
    components: Array
    scale: Array

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return len(self.components)

    def vectors(self, pooled: Array) -> Array:
        """``(..., n_pooled) -> (..., dim)``, float32."""
        return np.asarray(self._standardised(pooled) @ self.components.T, dtype=np.float32)

    def _standardised(self, pooled: Array) -> Array:
        return np.clip((pooled - self.centre) / self.spread, -CLIP, CLIP)


def fit_reading(pooled: Array, dim: int = DIM) -> Reading:
    """Fit on the pooled features of tracks, float32 ``(n_tracks, n_pooled)``.

    With few tracks there are fewer directions than `dim`, at least one. The largest weight of every component is
    positive, so that equal data give equal readings.
    """
    low, centre, high = np.percentile(pooled, [25, 50, 75], axis=0)
    spread = np.maximum((high - low) / 1.349, _LEAST_SPREAD)
    plain = Reading(centre.astype(np.float32), spread.astype(np.float32), np.zeros((0, 0), np.float32), centre[:0])
    standardised = plain._standardised(pooled).astype(np.float64)
    _, _, rows = np.linalg.svd(standardised - standardised.mean(axis=0), full_matrices=False)
    rows = rows[: max(1, min(dim, len(pooled) - 1))]
    rows = rows * np.sign(rows[np.arange(len(rows)), np.abs(rows).argmax(axis=1)])[:, None]
    vectors = standardised @ rows.T
    scale = np.maximum(vectors.std(axis=0), _LEAST_SPREAD)
    return Reading(plain.centre, plain.spread, rows.astype(np.float32), scale.astype(np.float32))
