"""The sounds between two described ones, aligned in time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from volna.errors import InputError
from volna.tasks.generation.blending import slerp
from volna.tasks.generation.stretching import at_times, between, stretched, warping_path
from volna.tasks.generation.wholes import Described

__all__ = ["ALIGNMENTS", "between_sounds"]

ALIGNMENTS = ("warp", "stretch")
FINE = 4  # steps of a warping path for each latent


def between_sounds(
    first: Described, second: Described, shares: Sequence[float], *, align: str, stride: int
) -> list[Described]:
    """The sounds at some shares of the way: latents on the great circle, time, length and level in between.

    Raises
    ------
    InputError
        Another alignment.

    Examples
    --------
    >>> sound = Described(np.ones((2, 5), np.float32), 20, -1.0)
    >>> between_sounds(sound, sound, [0.5], align="warp", stride=4)[0].latent.shape
    (2, 5)
    """
    if align not in ALIGNMENTS:
        raise InputError(f"expected an alignment out of {', '.join(ALIGNMENTS)}, got {align!r}")
    path = _path(first, second, align)
    return [_between(first, second, path, share, stride) for share in shares]


def _path(first: Described, second: Described, align: str) -> NDArray[np.int64]:
    """Pairs of moments in steps of a quarter of a latent."""
    fine = [at_times(each.latent, np.arange(FINE * (each.latent.shape[1] - 1) + 1) / FINE) for each in (first, second)]
    if align == "warp":
        return warping_path(*fine)
    n = max(each.shape[1] for each in fine)
    return np.stack([np.linspace(0, each.shape[1] - 1, n).round().astype(np.int64) for each in fine], axis=1)


def _between(first: Described, second: Described, path: NDArray[np.int64], share: float, stride: int) -> Described:
    n_frames = round((1 - share) * first.n_frames + share * second.n_frames)
    level = (1 - share) * first.level + share * second.level
    n = -(-n_frames // stride)
    in_first, in_second = (stretched(when[None], n)[0] / FINE for when in between(path, share))
    latent = slerp(at_times(first.latent, in_first), at_times(second.latent, in_second), share)
    return Described(latent, n_frames, level)
