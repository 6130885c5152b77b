"""The autoencoder with a memory: recurrent, and what is written is read from learned slots (Gong et al., 2019).

The latent is a *question*. Each of its parts is compared with the slots of a memory (cosine, sharpened, softmax: the
content addressing of Graves et al., 2014), and only the weighted mean of the slots goes on to the writer. The slots are
weights of the model, the same for every sound: they come to hold what the library is made of, whereas attention looks
at the states of the sound at hand. A low entropy of the reading is asked for, so that a sound is made of few slots.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from volna.errors import ModelError
from volna.models.recurrent import STRIDE, FrameReader, FrameWriter

__all__ = ["MemoryAutoencoder", "MemoryConfig"]

_FIRST_SHARPNESS = 5.0


@dataclass(frozen=True)
class MemoryConfig:
    """``n_mels`` bands in; ``latent`` numbers every 16 frames, in ``heads`` parts that read ``slots`` slots each."""

    n_mels: int = 72
    latent: int = 64
    hidden: int = 128
    cell: str = "gru"
    heads: int = 8
    slots: int = 64


class MemoryAutoencoder(nn.Module):
    """Conditioned log-mel ``(B, n_mels, T)`` <-> latent ``(B, latent, ceil(T / 16))``, through a memory.

    Examples
    --------
    >>> model = MemoryAutoencoder(MemoryConfig(n_mels=20, latent=8, hidden=12, heads=2, slots=5))
    >>> out = model(torch.zeros(2, 20, 50))
    >>> out["mel"].shape, model.weights(out["latent"]).shape
    (torch.Size([2, 20, 50]), torch.Size([2, 4, 2, 5]))
    """

    stride = STRIDE

    def __init__(self, config: MemoryConfig) -> None:
        super().__init__()
        if config.latent % config.heads:
            raise ModelError(f"expected a latent that {config.heads} heads divide, got {config.latent}")
        self.config = config
        self.reader = FrameReader(config.n_mels, config.hidden, config.cell)
        self.fold = nn.Linear(config.hidden, config.latent)
        self.slots = nn.Parameter(torch.randn(config.heads, config.slots, config.latent // config.heads))
        self.log_sharpness = nn.Parameter(torch.full((config.heads, 1), _FIRST_SHARPNESS).log())
        self.writer = FrameWriter(config.latent, config.hidden, config.cell)
        self.out = nn.Linear(config.hidden, config.n_mels)

    def features(self, mel: Tensor) -> Tensor:
        """The reader's states, ``(B, n_mels, T) -> (B, hidden, ceil(T / 16))``."""
        return self.reader(mel)

    def encode(self, mel: Tensor) -> Tensor:
        """``(B, n_mels, T) -> (B, latent, ceil(T / 16))``: what the memory is asked."""
        return self.fold(self.features(mel).transpose(1, 2)).transpose(1, 2)

    def weights(self, latent: Tensor) -> Tensor:
        """Share of each slot in what is read: ``(B, latent, N) -> (B, N, heads, slots)``, sum 1 over the slots."""
        n, _, n_columns = latent.shape
        question = latent.transpose(1, 2).reshape(n, n_columns, self.config.heads, -1)  # (B, N, heads, d)
        # reshape and products of matrices rather than unflatten and einsum, whose ONNX export fixes the batch.
        cosines = F.normalize(question, dim=-1)[..., None, :] @ F.normalize(self.slots, dim=-1).transpose(1, 2)
        return (self.log_sharpness.exp() * cosines[..., 0, :]).softmax(dim=-1)

    def read(self, weights: Tensor) -> Tensor:
        """The slots in these shares: ``(B, N, heads, slots) -> (B, latent, N)``."""
        return (weights[..., None, :] @ self.slots).flatten(2).transpose(1, 2)

    def decode(self, latent: Tensor, n_frames: int | None = None) -> Tensor:
        """``(B, latent, N) -> (B, n_mels, n_frames)``, 16 frames a latent where ``n_frames`` is not given."""
        return self._write(self.read(self.weights(latent)))[..., :n_frames]

    def forward(self, mel: Tensor) -> dict[str, Tensor]:
        latent = self.encode(mel)
        weights = self.weights(latent)
        entropy = torch.special.entr(weights).sum(dim=-1).mean()
        return {
            "mel": self._write(self.read(weights))[..., : mel.shape[-1]],
            "latent": latent,
            "memory/entropy": entropy,
        }

    def _write(self, read: Tensor) -> Tensor:
        return self.out(self.writer(read)).transpose(1, 2)
