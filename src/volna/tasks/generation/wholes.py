"""A whole sound as one vector: its latents at evenly spread moments, how long it is and how loud.

Sounds differ in length, so latents are read at ``n_points`` moments from the first to the last, and the length is a
number of its own. Principal components keep nearly all of what differs between the sounds; everything that is drawn,
varied or moved is moved among them. Nothing here says what is likely: that is `prior`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volna.features.frames import Floats
from volna.tasks.generation.stretching import MOST_POINTS, stretched

__all__ = ["Described", "Space", "fit_space"]

KEPT = 0.99  # of the variance of latents
MOST_COMPONENTS = 256
EXTRA_WEIGHT = 0.2  # of the spread of length and of level, beside 1 of all latents together: neither rules distances


@dataclass(frozen=True)
class Described:
    """A sound as latents ``(n_latent, n)``, its number of mel frames, and its level in nats."""

    latent: Floats
    n_frames: int
    level: float


@dataclass(frozen=True)
class Space:
    """Where whole sounds are points: float32 vectors ``(n_components + 2,)``, their latents spread by 1 in all.

    Attributes
    ----------
    centre, components, scale
        Mean of the latents at their moments, ``(n_latent * n_points,)``; orthonormal rows; what divides the scores.
    extra_mean, extra_spread
        ``(2,)``: of the logarithm of the number of frames, and of the level.
    least, most
        ``(2,)``: the range of both among the sounds it was fitted on; nothing is made outside it.
    """

    n_points: int
    centre: NDArray
    components: NDArray
    scale: float
    extra_mean: NDArray
    extra_spread: NDArray
    least: NDArray
    most: NDArray

    def vector(self, sound: Described) -> Floats:
        """The point of a sound."""
        points = stretched(sound.latent, self.n_points).ravel() - self.centre
        extra = (_extra(sound) - self.extra_mean) / self.extra_spread * EXTRA_WEIGHT
        return np.asarray(np.r_[self.components @ points / self.scale, extra], np.float32)

    def sound(self, vector: NDArray, stride: int, detail: NDArray | None = None) -> Described:
        """The sound at a point; ``detail`` ``(n_latent, n_points)`` is added to its latents (see `detail`)."""
        points = self.centre + (vector[:-2] * self.scale) @ self.components
        extra = vector[-2:] / EXTRA_WEIGHT * self.extra_spread + self.extra_mean
        log_frames, level = np.clip(extra, self.least, self.most)
        n_frames = max(2, round(float(np.exp(log_frames))))
        latent = points.reshape(-1, self.n_points) + (0 if detail is None else detail)
        return Described(stretched(latent, -(-n_frames // stride)), n_frames, float(level))

    def detail(self, sound: Described) -> Floats:
        """What the components do not keep of a sound, ``(n_latent, n_points)``."""
        points = stretched(sound.latent, self.n_points).ravel() - self.centre
        left = points - (self.components @ points) @ self.components
        return np.asarray(left.reshape(-1, self.n_points), np.float32)

    def arrays(self) -> dict[str, NDArray]:
        """All of it by name, for a file."""
        return {name: np.asarray(getattr(self, name), np.float32) for name in _ARRAYS} | {
            "sizes": np.array([self.n_points, self.scale], np.float32)
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any]) -> Space:
        """What `arrays` gave."""
        n_points, scale = arrays["sizes"]
        parts = {name: np.asarray(arrays[name]) for name in _ARRAYS}
        return cls(n_points=int(n_points), scale=float(scale), **parts)


_ARRAYS = ("centre", "components", "extra_mean", "extra_spread", "least", "most")


def fit_space(sounds: Sequence[Described]) -> Space:
    """The space of some sounds.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> sounds = [Described(rng.standard_normal((4, n)).astype(np.float32), 4 * n, -1.0) for n in (5, 8, 9)]
    >>> space = fit_space(sounds)
    >>> back = space.sound(space.vector(sounds[1]), 4)
    >>> back.n_frames, back.latent.shape
    (32, (4, 8))
    """
    n_points = min(MOST_POINTS, max(2, *(sound.latent.shape[1] for sound in sounds)))
    rows = np.stack([stretched(sound.latent, n_points).ravel() for sound in sounds]).astype(np.float64)
    centre = rows.mean(axis=0)
    _, singular, components = np.linalg.svd(rows - centre, full_matrices=False)
    share = np.cumsum(singular**2) / max(float((singular**2).sum()), 1e-12)
    n = min(int(np.searchsorted(share, KEPT)) + 1, MOST_COMPONENTS, len(components))
    extra = np.stack([_extra(sound) for sound in sounds])
    return Space(
        n_points=n_points,
        centre=centre,
        components=components[:n],
        scale=float(np.sqrt((singular**2).sum() / len(rows))) or 1.0,
        extra_mean=extra.mean(axis=0),
        extra_spread=np.maximum(extra.std(axis=0), 1e-3),
        least=extra.min(axis=0),
        most=extra.max(axis=0),
    )


def _extra(sound: Described) -> NDArray[np.float64]:
    return np.array([np.log(max(sound.n_frames, 1)), sound.level])
