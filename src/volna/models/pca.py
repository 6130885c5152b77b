"""The linear autoencoder in closed form: principal components of patches of 16 frames.

Same latent size and same rate as the convolutional one, so it is the baseline beside every other: what an autoencoder
gains over it is what depth is worth. Fitted from a running covariance, one track in memory at a time.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from volna.errors import ModelError
from volna.models.layers import pad_frames

__all__ = ["PcaAutoencoder", "PcaConfig", "fit_pca"]

LARGEST_WHOLE = 2048  # rows of a covariance whose eigenvectors are all computed


@dataclass(frozen=True)
class PcaConfig:
    """``n_mels`` bands in; ``latent`` numbers for every patch of ``patch`` frames."""

    n_mels: int = 72
    latent: int = 64
    patch: int = 16


class PcaAutoencoder(nn.Module):
    """Conditioned log-mel ``(B, n_mels, T)`` <-> latent ``(B, latent, ceil(T / patch))``, both ways linear.

    Nothing in it is trained by gradient: ``components`` ``(latent, n_mels * patch)``, orthonormal rows, ``mean`` and
    the ``spread`` of each latent, ``(latent,)``, come from :func:`fit_pca`.
    """

    components: Tensor
    mean: Tensor
    spread: Tensor

    def __init__(self, config: PcaConfig) -> None:
        super().__init__()
        self.config = config
        self.stride = config.patch
        size = config.n_mels * config.patch
        self.register_buffer("components", torch.zeros(config.latent, size))
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("spread", torch.zeros(config.latent))

    def features(self, mel: Tensor) -> Tensor:
        """What a track's vector is pooled from: here the latents themselves."""
        return self.encode(mel)

    def encode(self, mel: Tensor) -> Tensor:
        """``(B, n_mels, T) -> (B, latent, ceil(T / patch))``; the last frame is repeated up to a multiple."""
        patches = torch.unflatten(pad_frames(mel, self.stride), 2, (-1, self.stride))  # (B, n_mels, N, patch)
        patches = patches.transpose(1, 2).flatten(2)  # (B, N, n_mels * patch)
        return ((patches - self.mean) @ self.components.T).transpose(1, 2)

    def decode(self, latent: Tensor, n_frames: int | None = None) -> Tensor:
        """``(B, latent, N) -> (B, n_mels, n_frames)``, ``patch`` frames a latent where ``n_frames`` is not given."""
        patches = latent.transpose(1, 2) @ self.components + self.mean  # (B, N, n_mels * patch)
        mel = torch.unflatten(patches, 2, (self.config.n_mels, self.stride)).transpose(1, 2)  # (B, n_mels, N, patch)
        return mel.flatten(2)[..., :n_frames]

    def forward(self, mel: Tensor) -> dict[str, Tensor]:
        latent = self.encode(mel)
        return {"mel": self.decode(latent, mel.shape[-1]), "latent": latent}


def fit_pca(log_mels: Iterable[NDArray[Any]], config: PcaConfig) -> PcaAutoencoder:
    """The best linear autoencoder of patches, by the eigenvectors of their covariance.

    Parameters
    ----------
    log_mels
        Conditioned log-mels ``(n_mels, n_frames)``, any lengths; read once, never held together.
    config
        A latent larger than the number of patches is allowed: the spare components stay zero.

    Returns
    -------
    PcaAutoencoder
        In evaluation mode. The largest weight of each component is positive, so that equal data give equal models.

    Raises
    ------
    ModelError
        No log-mel came, or one with another number of bands.
    """
    size = config.n_mels * config.patch
    total, gram, n = np.zeros(size), np.zeros((size, size)), 0
    for mel in log_mels:
        patches = _patches(mel, config)
        total += patches.sum(axis=0, dtype=np.float64)
        gram += patches.T @ patches  # float32 within one track, float64 over tracks
        n += len(patches)
    if n == 0:
        raise ModelError("expected at least one log-mel to fit the principal components, got none")
    mean = total / n
    keep = min(config.latent, size, max(n - 1, 0))
    values, vectors = _largest(gram / n - np.outer(mean, mean), keep)
    rows = vectors.T
    rows = rows * np.sign(rows[np.arange(keep), np.abs(rows).argmax(axis=1)])[:, None]
    model = PcaAutoencoder(config).eval()
    model.components[:keep] = torch.from_numpy(np.ascontiguousarray(rows)).float()
    model.spread[:keep] = torch.from_numpy(np.sqrt(np.maximum(values, 0.0)))
    model.mean.copy_(torch.from_numpy(mean))
    return model


def _largest(covariance: NDArray[np.float64], k: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The ``k`` largest eigenvalues, falling, and their vectors as columns.

    Of large matrices (a linear spectrum, samples) all of them would take a minute; Lanczos finds the few in seconds.
    """
    size = len(covariance)
    if size <= LARGEST_WHOLE or k >= size - 1 or k == 0:
        values, vectors = np.linalg.eigh(covariance)
    else:
        from scipy.sparse.linalg import eigsh

        values, vectors = eigsh(covariance, k, v0=np.ones(size))  # a fixed beginning: equal data, equal models
    order = np.argsort(values)[::-1][:k]
    return values[order], vectors[:, order]


def _patches(mel: NDArray[Any], config: PcaConfig) -> NDArray[np.float32]:
    if mel.ndim != 2 or mel.shape[0] != config.n_mels or mel.shape[1] == 0:
        raise ModelError(f"expected a log-mel of {config.n_mels} bands and at least one frame, got shape {mel.shape}")
    padded = np.pad(mel, ((0, 0), (0, -mel.shape[1] % config.patch)), mode="edge").astype(np.float32, copy=False)
    n = padded.shape[1] // config.patch
    return padded.reshape(config.n_mels, n, config.patch).transpose(1, 0, 2).reshape(n, -1)
