"""Pictures on their way into a classifier: which are held out, windows of one length, and what is done to them.

Everything random comes from a generator that the caller seeds. A window is ``(n_mels, n_frames)`` of a conditioned
picture (`volna.models.layers.condition`); a shorter sound stands somewhere in it, with its own faintest level around.

What is done to a window in training, all of it cheap, is what differs between two recordings of the same thing: the
length of a speaker's vocal tract and the size of a machine (the bands are stretched: Jaitly and Hinton 2013), speed
(Ko et al. 2015), loudness, the colour of a microphone (a smooth curve over the bands), and hidden spans of bands and
frames (SpecAugment: Park et al. 2019). Two windows are then mixed with their labels (mix-up: Zhang et al. 2018).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from volna.models.classifier_use import placed
from volna.training.augment import jitter_gain, mask_bands_and_frames

__all__ = ["Augment", "class_weights", "draw_windows", "hold_out", "mix_up", "spoil"]

Array = NDArray[np.float32]

N_SPLITS = 200  # divisions of the groups that are tried


@dataclass(frozen=True)
class Augment:
    """How strongly a training window is changed; 0 leaves a change out.

    ``warp`` and ``stretch``: the most that bands and time are scaled, as shares; ``gain`` and ``colour`` in units of
    the conditioned picture (about 15 dB); ``mask_bands`` and ``mask_frames`` the widest mask as shares of an axis, of
    which there are ``n_masks`` each; ``mix_up`` the parameter of the beta distribution of the shares.
    """

    warp: float = 0.07
    stretch: float = 0.2
    gain: float = 0.2
    colour: float = 0.3
    mask_bands: float = 0.2
    mask_frames: float = 0.2
    n_masks: int = 2
    mix_up: float = 0.3


def hold_out(
    labels: NDArray[np.int64], groups: Sequence[object], *, share: float = 0.2, seed: int = 0
) -> NDArray[np.bool_]:
    """Which sounds validate: whole groups, about ``share`` of the sounds, the classes as they are among all.

    Of some random divisions the best is taken. Every class must keep a sound to train on; where the groups do not
    allow that (there is one group, or one a class), nothing is held out.

    Parameters
    ----------
    labels, groups
        Of each sound.

    Returns
    -------
    bool ``(n,)``, true for what is held out; all false where nothing can be.

    Examples
    --------
    >>> held = hold_out(np.array([0, 1] * 4), ["a", "a", "b", "b", "c", "c", "d", "d"], share=0.25)
    >>> int(held.sum())
    2
    """
    names, of = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    n_classes = int(labels.max(initial=0)) + 1
    table = np.zeros((len(names), n_classes))
    np.add.at(table, (of, labels), 1)
    total = table.sum(axis=0)
    best, lowest = np.zeros(len(names), bool), np.inf
    rng = np.random.default_rng([seed, 11])
    for _ in range(N_SPLITS if len(names) > 1 else 0):
        order = rng.permutation(len(names))
        sizes = np.cumsum(table[order].sum(axis=1))
        n_held = min(1 + int(np.argmin(np.abs(sizes - share * len(labels)))), len(names) - 1)
        held = table[order[:n_held]].sum(axis=0)
        if np.any((total - held)[total > 0] < 1):
            continue
        cost = float(np.abs(held - share * total).sum()) + 0.5 * share * float(total[held == 0].sum())
        if cost < lowest:
            best, lowest = np.zeros(len(names), bool), cost
            best[order[:n_held]] = True
    return best[of]


def class_weights(labels: NDArray[np.int64], n_classes: int) -> Array:
    """Weight of each class, inverse to how often it comes, so that all classes weigh alike; mean over sounds 1.

    Examples
    --------
    >>> class_weights(np.array([0, 0, 0, 1]), 2).round(2)
    array([0.67, 2.  ], dtype=float32)
    """
    counts = np.bincount(labels, minlength=n_classes)
    present = np.maximum(counts, 1)
    return np.asarray(np.where(counts > 0, len(labels) / (np.sum(counts > 0) * present), 0.0), np.float32)


def draw_windows(
    pictures: Sequence[Array], n_frames: int, rng: np.random.Generator, augment: Augment | None = None
) -> Tensor:
    """One window from a random place of each picture, stretched in time and bands: float32 ``(B, n_mels, n_frames)``.

    Without ``augment`` nothing is stretched.
    """
    stretch, warp = (augment.stretch, augment.warp) if augment else (0.0, 0.0)
    wide = int(np.ceil(n_frames * (1 + stretch)))
    places = np.stack([_random_place(picture, wide, rng) for picture in pictures])
    x = torch.from_numpy(np.ascontiguousarray(places, np.float32))
    if not stretch and not warp:
        return x
    n = len(pictures)
    speed = rng.uniform(1 - stretch, 1 + stretch, n) * n_frames / wide  # share of the wide window that is read
    offset = rng.uniform(-1, 1, n) * np.maximum(1 - speed, 0)
    scale = rng.uniform(1 - warp, 1 + warp, n)
    return _resampled(x, n_frames, speed, offset, scale)


def spoil(windows: Tensor, rng: np.random.Generator, augment: Augment) -> Tensor:
    """Gain, colour and masks: ``(B, n_mels, T)``, same shape."""
    mels = jitter_gain(windows.numpy(), rng, augment.gain)
    if augment.colour:
        mels = mels + _colours(len(mels), mels.shape[1], rng, augment.colour)
    widest = {
        "n_bands": round(augment.mask_bands * mels.shape[1]),
        "n_frames": round(augment.mask_frames * mels.shape[2]),
    }
    for _ in range(augment.n_masks):
        mels = mask_bands_and_frames(mels, rng, **widest)
    return torch.from_numpy(np.asarray(mels, np.float32))


def mix_up(inputs: Tensor, targets: Tensor, rng: np.random.Generator, amount: float) -> tuple[Tensor, Tensor]:
    """Each input mixed with another of the batch, and their targets ``(B, n_classes)`` in the same shares.

    Shares are drawn from Beta(amount, amount), the larger one kept by the input itself.
    """
    if not amount:
        return inputs, targets
    drawn = rng.beta(amount, amount, len(inputs))
    share = torch.from_numpy(np.maximum(drawn, 1 - drawn).astype(np.float32))
    other = torch.from_numpy(rng.permutation(len(inputs)))
    of_input = share.reshape(-1, *(1,) * (inputs.ndim - 1))
    return of_input * inputs + (1 - of_input) * inputs[other], (
        share[:, None] * targets + (1 - share[:, None]) * targets[other]
    )


def _random_place(picture: Array, n_frames: int, rng: np.random.Generator) -> Array:
    low, high = sorted((0, picture.shape[1] - n_frames))  # before its beginning where it is shorter
    return placed(picture, n_frames, int(rng.integers(low, high + 1)))


def _resampled(
    x: Tensor, n_frames: int, speed: NDArray[np.float64], offset: NDArray[np.float64], scale: NDArray[np.float64]
) -> Tensor:
    """Read ``(B, F, T)`` at stretched places, linearly: ``(B, F, n_frames)``; bands are scaled from the lowest up."""
    columns = (
        torch.linspace(-1, 1, n_frames)[None] * torch.from_numpy(speed)[:, None] + torch.from_numpy(offset)[:, None]
    )
    rows = (torch.linspace(0, 2, x.shape[1])[None] * torch.from_numpy(scale)[:, None]) - 1
    shape = (len(x), x.shape[1], n_frames)
    grid = torch.stack([columns[:, None, :].expand(shape), rows[:, :, None].expand(shape)], dim=3).float()
    return F.grid_sample(x[:, None], grid, padding_mode="border", align_corners=True)[:, 0]


def _colours(n: int, n_mels: int, rng: np.random.Generator, amount: float) -> Array:
    """Smooth random curves over the bands: ``(n, n_mels, 1)``, sums of the first cosines, spread ``amount``."""
    places = (np.arange(n_mels) + 0.5) / n_mels
    waves = np.cos(np.pi * np.arange(1, 4)[:, None] * places)  # (3, n_mels)
    weights = rng.standard_normal((n, 3)) * amount * np.sqrt(2 / 3)
    return np.asarray((weights @ waves)[:, :, None], np.float32)
