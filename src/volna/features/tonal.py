"""Harmony: where the pitch classes of a frame lie on the net of tones."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from volna.features.frames import Floats, frozen

__all__ = ["TONNETZ_AXES", "tonnetz"]

TONNETZ_AXES = ("fifth_x", "fifth_y", "minor_x", "minor_y", "major_x", "major_y")

# Turns of each circle that a semitone makes (in half turns), and the circle's radius: fifths, minor and major thirds.
_HALF_TURNS, _RADII = (7 / 6, 3 / 2, 2 / 3), (1.0, 1.0, 0.5)
_TINY = np.float32(np.finfo(np.float32).tiny)


def tonnetz(chroma: Floats) -> Floats:
    """Tonal centroids (Harte, Sandler and Gasser 2006): the chroma as a point on three circles.

    On each circle pitch classes a fifth, a minor third or a major third apart are neighbours, so chords that sound
    related lie close together and a chord change is a jump.

    Parameters
    ----------
    chroma : ndarray
        float32 ``(12, n_frames)``, C first, not negative, any scale.

    Returns
    -------
    ndarray
        float32 ``(6, n_frames)``, rows as `TONNETZ_AXES` names them, in [-1, 1] (major thirds in [-0.5, 0.5]); a frame
        without energy gives zeros.

    Examples
    --------
    >>> fifth = np.zeros((12, 1), dtype=np.float32)
    >>> fifth[[0, 7]] = 1.0  # C and G are neighbours on the first circle, so its centroid is far out
    >>> tonnetz(fifth)[:2, 0].round(2)
    array([0.25, 0.93], dtype=float32)
    """
    total: Floats = chroma.sum(axis=0)
    share = (chroma / np.maximum(total, _TINY)).astype(np.float32)
    return (share.T @ _circles().T).T


@lru_cache(maxsize=1)
def _circles() -> Floats:
    """Each pitch class on each circle: float32 ``(6, 12)``."""
    angles = np.pi * np.outer(_HALF_TURNS, np.arange(12))
    points = np.stack([np.sin(angles), np.cos(angles)], axis=1) * np.array(_RADII)[:, None, None]
    return frozen(points.reshape(6, 12))
