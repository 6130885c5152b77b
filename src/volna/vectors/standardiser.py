"""Every element of a vector on the scale of the library: centre, spread, and how far out a sound is."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from volna.vectors.rows import unit_rows

__all__ = ["CLIP", "PRIOR_TRACKS", "Standardiser"]

CLIP = 4.0  # standardised values beyond it say "far out" and no more: one odd element must not be the whole cosine
PRIOR_TRACKS = 100  # from this many tracks on, a library is its own reference
FIT_ROWS = 20_000  # the quartiles of more rows are known to 1 % of the spread already
IQR_OF_NORMAL = 1.349  # interquartile range of a normal distribution, in standard deviations
P90_OF_NORMAL = 3.290  # range from its 5th to its 95th percentile


@dataclass(frozen=True)
class Standardiser:
    """Centre and spread of every element of a space, robust to outliers, with the library as its own reference.

    ``transform`` gives ``weights * clip((x - centre) / spread, -CLIP, CLIP)``; 0 for NaN and where there is no spread.

    Attributes
    ----------
    centre, spread : ndarray, float32 (dim,)
        In the units of the elements; a spread of 0 marks an element that says nothing.
    weights : ndarray, float32 (dim,)
        Applied after standardising; ones unless given.
    n_tracks : int
        How many tracks it was fitted on.
    version : str
        16 hexadecimal digits of all the numbers above: equal versions standardise equally.
    """

    centre: np.ndarray
    spread: np.ndarray
    weights: np.ndarray
    n_tracks: int = 0
    version: str = field(init=False)

    def __post_init__(self) -> None:
        digest = hashlib.blake2b(digest_size=8)
        for name in ("centre", "spread", "weights"):
            values = np.ascontiguousarray(getattr(self, name), dtype="<f4")
            object.__setattr__(self, name, values)
            digest.update(values.tobytes())
        object.__setattr__(self, "version", digest.hexdigest())

    @classmethod
    def fit(
        cls,
        vectors: np.ndarray,
        *,
        prior: tuple[np.ndarray, np.ndarray] | None = None,
        weights: np.ndarray | None = None,
    ) -> Standardiser:
        """Measure the centre (median) and the spread (interquartile range / 1.349) of every element.

        Where more than half of the tracks share one value the range between the 5th and 95th percentiles stands in for
        the quartiles. Under 100 tracks both are shrunk towards the prior:
        ``(n * measured + (100 - n) * prior) / 100``.

        Parameters
        ----------
        vectors : ndarray, float (n_tracks, dim)
            Raw; NaN and infinite elements are left out. Beyond 20 000 rows, 20 000 spread over them evenly are used.
        prior : (centre, spread) of float (dim,), optional
            The constants shipped with the recipe; without them, what was measured stands alone.
        weights : ndarray, float (dim,), optional
            Importance of the elements; 0 leaves one out.

        Returns
        -------
        standardiser : Standardiser

        Examples
        --------
        >>> fitted = Standardiser.fit(np.array([[0.0, 7.0], [1.0, 7.0], [2.0, 7.0], [3.0, 7.0], [400.0, 7.0]]))
        >>> fitted.transform(np.array([[2.0, 7.0], [1e9, 9.0]])).tolist()
        [[0.0, 0.0], [4.0, 0.0]]
        """
        vectors = np.asarray(vectors)
        n_tracks, dim = vectors.shape
        chosen = np.linspace(0, n_tracks - 1, FIT_ROWS).astype(np.int64) if n_tracks > FIT_ROWS else slice(None)
        centre, spread, known = _robust(vectors[chosen])
        if prior is not None:
            trust = np.where(known > 0, min(1.0, n_tracks / PRIOR_TRACKS), 0.0)
            centre = trust * centre + (1 - trust) * np.asarray(prior[0], dtype=np.float64)
            spread = trust * spread + (1 - trust) * np.asarray(prior[1], dtype=np.float64)
        return cls(centre, spread, np.ones(dim) if weights is None else np.asarray(weights), n_tracks)

    def transform(self, vectors: np.ndarray) -> np.ndarray:
        """Standardise raw vectors.

        Parameters
        ----------
        vectors : ndarray, float (..., dim)

        Returns
        -------
        standardised : ndarray, float32 (..., dim), within +-CLIP times the weights, finite
        """
        scale = np.where(self.spread > 0, 1.0 / np.where(self.spread > 0, self.spread, 1.0), 0.0).astype(np.float32)
        values = np.asarray(vectors, dtype=np.float32) - self.centre
        values *= scale
        np.clip(values, -CLIP, CLIP, out=values)
        np.nan_to_num(values, copy=False, nan=0.0)
        values *= self.weights
        return np.asarray(values)

    def rows(self, vectors: np.ndarray) -> np.ndarray:
        """Standardise and scale to length 1: float32 ``(..., dim)``."""
        return unit_rows(self.transform(vectors))

    def to_dict(self) -> dict[str, Any]:
        """As plain lists, for JSON."""
        values = {name: getattr(self, name).astype(float).tolist() for name in ("centre", "spread", "weights")}
        return {**values, "n_tracks": self.n_tracks, "version": self.version}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Standardiser:
        """The inverse of ``to_dict``; ValueError where the numbers are not those that the version was made of."""
        centre, spread, weights = (np.array(values[name], np.float32) for name in ("centre", "spread", "weights"))
        made = cls(centre, spread, weights, int(values["n_tracks"]))
        if made.version != values["version"]:
            raise ValueError(f"standardiser of version {values['version']} holds the numbers of {made.version}")
        return made


def _robust(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Centre, spread and number of known values of each column, float64 (dim,); a column at a time: little memory."""
    dim = vectors.shape[1]
    centre, spread, known = np.zeros(dim), np.zeros(dim), np.zeros(dim)
    for column in range(dim):
        values = np.asarray(vectors[:, column], dtype=np.float64)
        values = values[np.isfinite(values)]
        known[column] = values.size
        if values.size:
            p5, p25, p50, p75, p95 = np.percentile(values, [5, 25, 50, 75, 95])
            width = (p75 - p25) / IQR_OF_NORMAL or (p95 - p5) / P90_OF_NORMAL
            centre[column] = p50
            # a spread of rounding errors only would blow them up to +-CLIP
            spread[column] = width if width > 1e-6 * abs(p50) else 0.0
    return centre, spread, known
