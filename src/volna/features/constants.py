"""Shipped centre and spread of every descriptor, for libraries too small to have statistics of their own.

They come from the music that Volna synthesises (`volna.synthesis`); ``scripts/make_constants.py`` makes them again
after a change of the descriptors. Standardising shrinks a library's own statistics towards them under 100 tracks.
"""

from __future__ import annotations

import json
from functools import lru_cache
from importlib.resources import files

import numpy as np

from volna.features.recipe import DESCRIPTOR_NAMES, FEATURES_VERSION

__all__ = ["FILE_NAME", "descriptor_priors"]

FILE_NAME = "constants.json"


@lru_cache(maxsize=1)
def descriptor_priors() -> tuple[np.ndarray, np.ndarray]:
    """Centre and spread of the descriptors over synthesised music.

    Returns
    -------
    tuple of numpy.ndarray
        Centre and spread, float32 ``(n_descriptors,)`` each, in the order of `DESCRIPTOR_NAMES`.

    Examples
    --------
    >>> centre, spread = descriptor_priors()
    >>> len(centre) == len(DESCRIPTOR_NAMES) and bool((spread > 0).all())
    True
    """
    table = json.loads(files("volna.features").joinpath(FILE_NAME).read_text())
    assert table["features_version"] == FEATURES_VERSION, "run scripts/make_constants.py after a change of the features"
    values = np.array([table["descriptors"][name] for name in DESCRIPTOR_NAMES], dtype=np.float32)
    return values[:, 0], values[:, 1]
