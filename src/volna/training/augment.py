"""What is done to a batch before the model sees it: numpy, from a generator that the step seeds.

The gain jitter changes input and target alike; the masks hide bands and frames of the input only, so that the model
must infer them from the rest instead of copying.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["jitter_gain", "mask_bands_and_frames"]

Array = NDArray[np.float32]


def jitter_gain(mels: Array, rng: np.random.Generator, amount: float) -> Array:
    """Add one normally distributed offset to each window: ``(B, n_mels, T)``, ``amount`` in units of the input."""
    offsets = rng.standard_normal((len(mels), 1, 1), dtype=np.float32)
    return mels + np.float32(amount) * offsets


def mask_bands_and_frames(mels: Array, rng: np.random.Generator, *, n_bands: int, n_frames: int) -> Array:
    """Set at most ``n_bands`` neighbouring bands and ``n_frames`` neighbouring frames of each window to 0, its mean.

    Widths and places are uniform, as in SpecAugment (Park et al., 2019). Never more than half of an axis is hidden.

    Examples
    --------
    >>> masked = mask_bands_and_frames(np.ones((4, 8, 32), np.float32), np.random.default_rng(0), n_bands=4, n_frames=8)
    >>> bool((masked == 0).any()), masked.shape
    (True, (4, 8, 32))
    """
    hidden_bands = _spans(rng, len(mels), mels.shape[1], n_bands)[:, :, None]
    hidden_frames = _spans(rng, len(mels), mels.shape[2], n_frames)[:, None, :]
    return np.where(hidden_bands | hidden_frames, np.float32(0), mels)


def _spans(rng: np.random.Generator, n: int, length: int, widest: int) -> NDArray[np.bool_]:
    """``n`` rows of ``length``, each true on one random span of at most ``widest``."""
    widths = rng.integers(0, min(widest, length // 2) + 1, size=n)
    starts = (rng.random(n) * (length - widths + 1)).astype(int)
    places = np.arange(length)
    return (places >= starts[:, None]) & (places < (starts + widths)[:, None])
