"""The fully connected autoencoder: patches of 16 frames through layers of ReLU to a bottleneck and back.

What Hinton and Salakhutdinov (2006) put in place of principal components. Time is cut, not convolved: a patch knows
nothing of its neighbours, so what this gains over PCA is what bends are worth, and what conv gains over this is what
sharing weights along both axes is worth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from volna.models.layers import pad_frames

__all__ = ["DenseAutoencoder", "DenseConfig"]


@dataclass(frozen=True)
class DenseConfig:
    """``n_mels`` bands in; ``latent`` numbers for every patch of ``patch`` frames; ``hidden`` units of each layer."""

    n_mels: int = 72
    latent: int = 64
    patch: int = 16
    hidden: tuple[int, ...] = (192, 128)


def _layers(sizes: Sequence[int]) -> nn.Sequential:
    """A linear map and a ReLU from each size to the next."""
    pairs = [(nn.Linear(a, b), nn.ReLU()) for a, b in pairwise(sizes)]
    return nn.Sequential(*(layer for pair in pairs for layer in pair))


class DenseAutoencoder(nn.Module):
    """Conditioned log-mel ``(B, n_mels, T)`` <-> latent ``(B, latent, ceil(T / patch))``.

    Examples
    --------
    >>> out = DenseAutoencoder(DenseConfig(n_mels=20, latent=8))(torch.zeros(2, 20, 50))
    >>> out["latent"].shape, out["mel"].shape
    (torch.Size([2, 8, 4]), torch.Size([2, 20, 50]))
    """

    def __init__(self, config: DenseConfig) -> None:
        super().__init__()
        self.config = config
        self.stride = config.patch
        sizes = (config.n_mels * config.patch, *config.hidden)
        self.down = _layers(sizes)
        self.bottleneck = nn.Linear(sizes[-1], config.latent)
        self.up = _layers((config.latent, *config.hidden[::-1]))
        self.out = nn.Linear(sizes[1] if config.hidden else config.latent, sizes[0])

    def features(self, mel: Tensor) -> Tensor:
        """The last layer before the bottleneck, ``(B, n_mels, T) -> (B, hidden[-1], ceil(T / patch))``."""
        patches = torch.unflatten(pad_frames(mel, self.stride), 2, (-1, self.stride))  # (B, n_mels, N, patch)
        return self.down(patches.transpose(1, 2).flatten(2)).transpose(1, 2)

    def encode(self, mel: Tensor) -> Tensor:
        """``(B, n_mels, T) -> (B, latent, ceil(T / patch))``; the last frame is repeated up to a multiple."""
        return self.bottleneck(self.features(mel).transpose(1, 2)).transpose(1, 2)

    def decode(self, latent: Tensor, n_frames: int | None = None) -> Tensor:
        """``(B, latent, N) -> (B, n_mels, n_frames)``, ``patch`` frames a latent where ``n_frames`` is not given."""
        patches = self.out(self.up(latent.transpose(1, 2)))  # (B, N, n_mels * patch)
        mel = torch.unflatten(patches, 2, (self.config.n_mels, self.stride)).transpose(1, 2)  # (B, n_mels, N, patch)
        return mel.flatten(2)[..., :n_frames]

    def forward(self, mel: Tensor) -> dict[str, Tensor]:
        latent = self.encode(mel)
        return {"mel": self.decode(latent, mel.shape[-1]), "latent": latent}
