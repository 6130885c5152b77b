"""What the architectures share: conditioning of the input, padding in time, pooling over time.

Conventions
-----------
A log-mel is ``(n_mels, n_frames)`` in dB, as ``features.spectrum.log_mel`` makes it; a conditioned log-mel has the same
shape, in units of the training set's spread, with the track's own level taken out. A latent is
``(batch, latent, n_frames / stride)``; features are what stands before it, ``(batch, n_features, n_frames / stride)``.
A track is the mean and the spread of its features over time, ``(2 * n_features,)``: the order of events does not
matter, how they vary does. `volna.models.reading` makes them its vector.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

__all__ = [
    "Autoencoder",
    "Normalisation",
    "condition",
    "fit_normalisation",
    "pad_frames",
    "pool",
    "pool_log_mels",
    "scale",
    "track_level",
]

Array = NDArray[np.float32]

TOP_DB = 55.0  # what lies further below a track's loudest cell is residue of the codec; 80 ranks worse
BAND_MEAN_SHARE = 0.75  # of each window's band means that is taken out; 0 and 1 rank worse
_EPSILON = 1e-5  # under the root of the spread, so that its gradient stays finite on a constant latent


@dataclass(frozen=True)
class Normalisation:
    """How a log-mel in dB becomes the input of a model; saved in the checkpoint.

    Attributes
    ----------
    top_db
        Every cell is raised to at least this many dB below the track's loudest cell.
    mean_db
        Mean of each band, dB relative to the track's level, over the training tracks, ``n_mels`` values; empty for 0.
    std_db
        Spread over all cells of the training tracks around ``mean_db``, in dB, > 0.
    band_mean_share
        Share of a window's own band means that is taken out: most of the colour of a recording is its microphone and
        its master, the rest is its instruments.
    """

    top_db: float = TOP_DB
    mean_db: tuple[float, ...] = ()
    std_db: float = 15.0
    band_mean_share: float = 0.0


class Autoencoder(Protocol):
    """The contract of every entry of ``MODELS``; ``tests/test_models_contract.py`` runs it over all of them."""

    config: Any
    stride: int
    training: bool

    def features(self, mel: Tensor) -> Tensor: ...

    def encode(self, mel: Tensor) -> Tensor: ...

    def decode(self, latent: Tensor, n_frames: int | None = None) -> Tensor: ...

    def __call__(self, mel: Tensor) -> dict[str, Tensor]: ...  # "mel", "latent", and losses by name


def condition(log_mels: Sequence[NDArray[Any]], normalisation: Normalisation) -> list[Array]:
    """Take a track's own level out of its log-mels, so that turning the volume changes nothing.

    Parameters
    ----------
    log_mels
        The windows of one track, each ``(n_mels, n_frames)`` in dB; lengths may differ.
    normalisation
        Floor and scale, from the checkpoint.

    Returns
    -------
    list of float32 arrays
        Same shapes, roughly zero mean and unit spread over a library. Windows share one level, so that a quiet
        passage of a loud track stays quiet.

    Examples
    --------
    >>> soft = [np.array([[-30.0, -50.0]], dtype=np.float32)]
    >>> condition(soft, Normalisation(std_db=10.0))[0].tolist()
    [[1.0, -1.0]]
    """
    if not log_mels:
        return []
    floor, level = track_level(log_mels, normalisation.top_db)
    clamped = [np.maximum(mel.astype(np.float32, copy=False), np.float32(floor)) for mel in log_mels]
    return [scale(mel - np.float32(level), normalisation) for mel in clamped]


def scale(mel: Array, normalisation: Normalisation) -> Array:
    """Second half of :func:`condition`: ``(..., n_mels, n_frames)``, dB relative to the track's level, to the input."""
    mean_db = np.asarray(normalisation.mean_db or (0.0,), dtype=np.float32)[:, None]
    scaled = (mel - mean_db) * np.float32(1.0 / normalisation.std_db)
    return np.asarray(scaled - np.float32(normalisation.band_mean_share) * scaled.mean(axis=-1, keepdims=True))


def track_level(log_mels: Sequence[NDArray[Any]], top_db: float = TOP_DB) -> tuple[float, float]:
    """Floor (``top_db`` below the loudest cell) and level (mean of all cells above it) of one track, both in dB."""
    floor = max(float(mel.max()) for mel in log_mels) - top_db
    clamped = [np.maximum(mel.astype(np.float32, copy=False), floor) for mel in log_mels]
    n_cells = sum(mel.size for mel in clamped)
    return floor, sum(float(mel.sum(dtype=np.float64)) for mel in clamped) / n_cells


def fit_normalisation(tracks: Iterable[Sequence[NDArray[Any]]], *, top_db: float = TOP_DB) -> Normalisation:
    """Mean of each band and overall spread of tracks whose own levels are taken out; every track weighs the same.

    ``tracks`` yields the windows of one track at a time, each ``(n_mels, n_frames)`` in dB; a track without any is
    passed over.
    """
    n_tracks, first, second = 0, np.zeros(0), np.zeros(0)
    for windows in tracks:
        if not windows:
            continue
        floor, level = track_level(windows, top_db)
        cells = (
            np.concatenate([np.maximum(mel.astype(np.float32, copy=False), floor) for mel in windows], axis=1) - level
        )
        mean, square = cells.mean(axis=1, dtype=np.float64), np.square(cells).mean(axis=1, dtype=np.float64)
        first, second = (mean, square) if n_tracks == 0 else (first + mean, second + square)
        n_tracks += 1
    if n_tracks == 0:
        return Normalisation(top_db, band_mean_share=BAND_MEAN_SHARE)
    mean_db = first / n_tracks
    variance = float(np.mean(second / n_tracks - mean_db**2))
    # Three decimals of a dB: the header stays short, and equal inputs give equal bytes.
    means = tuple(round(float(m), 3) for m in mean_db)
    return Normalisation(top_db, means, round(max(variance, 1.0) ** 0.5, 3), BAND_MEAN_SHARE)


def pad_frames(mel: Tensor, multiple: int) -> Tensor:
    """Repeat the last frame up to a multiple of ``multiple``: ``(B, n_mels, T) -> (B, n_mels, T')``."""
    missing = -mel.shape[-1] % multiple
    return F.pad(mel, (0, missing), mode="replicate") if missing else mel


def pool(latent: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean and spread over time: ``(B, latent, T) -> (B, 2 * latent)``.

    ``mask`` is ``(B, T)``, true where a latent counts (a padded batch of windows of different lengths).
    """
    if mask is None:
        mean = latent.mean(dim=-1)
        variance = (latent - mean[..., None]).square().mean(dim=-1)
    else:
        weight = mask[:, None, :].to(latent.dtype)
        total = weight.sum(dim=-1).clamp(min=1.0)
        mean = (latent * weight).sum(dim=-1) / total
        variance = ((latent - mean[..., None]).square() * weight).sum(dim=-1) / total
    return torch.cat([mean, (variance + _EPSILON).sqrt()], dim=1)


@torch.inference_mode()
def pool_log_mels(model: Autoencoder, log_mels: Sequence[NDArray[Any]], normalisation: Normalisation) -> Array:
    """What a model hears in a track: condition, take the features, pool them over all frames of all windows.

    Parameters
    ----------
    model
        In evaluation mode (``load`` and ``from_bytes`` return it so).
    log_mels
        The windows, each ``(n_mels, n_frames)`` in dB with ``n_frames`` at least 1; lengths may differ.

    Returns
    -------
    float32 ``(2 * n_features,)``.
    """
    windows = condition(log_mels, normalisation)
    lengths = sorted({mel.shape[1] for mel in windows})
    features = []
    for length in lengths:  # windows of one length go through together
        batch = torch.from_numpy(np.stack([mel for mel in windows if mel.shape[1] == length]))
        features.append(model.features(batch).transpose(0, 1).flatten(1))  # (n_features, n_windows * T / stride)
    return pool(torch.cat(features, dim=1)[None])[0].numpy()
