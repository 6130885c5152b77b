"""A scikit-learn transformer: paths of sounds in, vectors out, so that the vectors fit into any pipeline.

Examples
--------
>>> from sklearn.pipeline import make_pipeline
>>> from sklearn.linear_model import LogisticRegression
>>> pipeline = make_pipeline(TrackVectors(), LogisticRegression(max_iter=1000))
>>> pipeline.fit(paths, labels).score(other_paths, other_labels)  # doctest: +SKIP
0.87
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from volna.embedding import Embedder, hear
from volna.errors import InputError
from volna.features.constants import descriptor_priors
from volna.features.recipe import DESCRIPTOR_NAMES, DESCRIPTOR_WEIGHTS
from volna.vectors import FUSION, Standardiser, join

__all__ = ["TrackVectors"]


class TrackVectors(TransformerMixin, BaseEstimator):
    """Turn paths into rows of numbers, standardised as a library of the sounds that it was fitted on would be.

    Parameters
    ----------
    model : str, Path or None
        A checkpoint file. None: the descriptors alone.
    by : {"descriptors", "autoencoder", "both"} or None
        The space; None takes "both" with a model and "descriptors" without.
    segment : {"spread", "start", "middle", "end"}
        Which windows of a file are heard.

    Attributes
    ----------
    standardisers_ : dict of str to Standardiser
        Of each space used, from the paths given to `fit`; under 100 of them shrunk towards the shipped constants.
    n_features_out_ : int
        Length of a row.

    Examples
    --------
    >>> TrackVectors().fit(paths).transform(paths).shape  # doctest: +SKIP
    (120, 330)
    """

    def __init__(self, model: str | Path | None = None, *, by: str | None = None, segment: str = "spread") -> None:
        self.model = model
        self.by = by
        self.segment = segment

    def fit(self, X: Sequence[str | Path], y: Any = None) -> TrackVectors:
        """Hear the sounds and learn their statistics.

        Raises
        ------
        AudioError
            A file cannot be analysed.
        InputError
            The space needs a model and there is none, or there is no path.
        """
        self.fit_transform(X, y)
        return self

    def fit_transform(self, X: Sequence[str | Path], y: Any = None, **_: Any) -> np.ndarray:
        """As `fit` and `transform`, hearing every sound once; float32 ``(n, n_features_out_)``."""
        embedder = self._embedder()
        raw = self._hear(X, embedder)
        priors, weights = {"descriptors": descriptor_priors()}, {"descriptors": DESCRIPTOR_WEIGHTS}
        if embedder is not None and embedder.checkpoint.reading is not None:
            scale = embedder.checkpoint.reading.scale
            priors["autoencoder"], weights["autoencoder"] = (np.zeros_like(scale), scale), scale
        self.standardisers_ = {
            space: Standardiser.fit(vectors, prior=priors[space], weights=weights.get(space))
            for space, vectors in raw.items()
        }
        rows = self._rows(raw)
        self.n_features_out_ = rows.shape[1]
        return rows

    def transform(self, X: Sequence[str | Path]) -> np.ndarray:
        """One row of length 1 for every path, float32 ``(n, n_features_out_)``; products of rows are cosines."""
        check_is_fitted(self)
        return self._rows(self._hear(X, self._embedder()))

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names of the columns: descriptors by name, latents by number."""
        check_is_fitted(self)
        names = []
        for space, standardiser in self.standardisers_.items():
            latents = [f"latent_{place}" for place in range(standardiser.centre.size)]
            names += list(DESCRIPTOR_NAMES) if space == "descriptors" else latents
        return np.array(names, dtype=object)

    def _embedder(self) -> Embedder | None:
        """The model, loaded, where the space wants it."""
        by = self._space()
        if by == "descriptors":
            return None
        if self.model is None:
            raise InputError(f"by={by!r} needs a model; give the path of a checkpoint as model=")
        return Embedder(self.model)

    def _space(self) -> str:
        by = self.by or ("both" if self.model else "descriptors")
        if by not in ("descriptors", "autoencoder", "both"):
            raise InputError(f"by: expected descriptors, autoencoder or both, got {by!r}")
        return by

    def _hear(self, paths: Sequence[str | Path], embedder: Embedder | None) -> dict[str, np.ndarray]:
        """Raw vectors of each space, in the order of `FUSION`."""
        if isinstance(paths, str | Path) or not len(paths):
            raise InputError(f"expected a list of at least one path, got {paths!r}")
        tracks = [hear(path, self.segment) for path in paths]
        raw = {}
        if self._space() != "autoencoder":
            raw["descriptors"] = np.stack([track.descriptors for track in tracks])
        if embedder is not None:
            raw["autoencoder"] = np.stack([embedder.embed(track.log_mels) for track in tracks])
        return raw

    def _rows(self, raw: dict[str, np.ndarray]) -> np.ndarray:
        rows = [self.standardisers_[space].rows(vectors) for space, vectors in raw.items()]
        return rows[0] if len(rows) == 1 else join(rows, [FUSION[space] for space in raw])
