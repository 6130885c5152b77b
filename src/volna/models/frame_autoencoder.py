"""A small dense autoencoder of a few stacked spectrum frames, the usual baseline for the sounds of machines.

The shape is that of the baseline of DCASE Task 2 (Koizumi et al. 2020, "Description and discussion on DCASE2020
challenge task 2"): layers of ReLU with batch normalisation, a narrow middle, and back. It is trained on normal sounds
alone, so what it cannot give back is not normal. Once trained, every batch normalisation is a linear map and joins the
layer before it: what is kept is a list of matrices, which numpy applies without torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

__all__ = ["FrameAutoencoder", "FrameAutoencoderConfig", "layers_of"]


@dataclass(frozen=True)
class FrameAutoencoderConfig:
    """``n_in`` numbers in and out, ``latent`` in the middle, ``hidden`` units of the layers on either side."""

    n_in: int = 320
    latent: int = 16
    hidden: tuple[int, ...] = (128, 128)


class FrameAutoencoder(nn.Module):
    """Standardised stacked frames ``(B, n_in)`` -> the same, through a middle of ``latent`` numbers.

    Examples
    --------
    >>> FrameAutoencoder(FrameAutoencoderConfig(n_in=20, latent=4))(torch.zeros(3, 20)).shape
    torch.Size([3, 20])
    """

    def __init__(self, config: FrameAutoencoderConfig) -> None:
        super().__init__()
        self.config = config
        sizes = (config.n_in, *config.hidden, config.latent, *config.hidden[::-1])
        self.body = nn.Sequential(*(layer for a, b in pairwise(sizes) for layer in _layer(a, b)))
        self.out = nn.Linear(sizes[-1], config.n_in)

    def forward(self, rows: Tensor) -> Tensor:
        return self.out(self.body(rows))


def _layer(n_in: int, n_out: int) -> Sequence[nn.Module]:
    return nn.Linear(n_in, n_out), nn.BatchNorm1d(n_out), nn.ReLU()


@torch.inference_mode()
def layers_of(model: FrameAutoencoder) -> list[tuple[np.ndarray, np.ndarray]]:
    """Matrices and offsets, float32 ``(n_out, n_in)`` and ``(n_out,)``, with a ReLU after each but the last.

    Batch normalisation is folded in: ``g (W x + b - m) / s + h = (g / s) W x + (g / s) (b - m) + h``.

    Examples
    --------
    >>> [matrix.shape for matrix, _ in layers_of(FrameAutoencoder(FrameAutoencoderConfig(20, 4, (8,))))]
    [(8, 20), (4, 8), (8, 4), (20, 8)]
    """
    folded = []
    blocks = list(model.body)
    for linear, norm in zip(blocks[::3], blocks[1::3], strict=True):
        assert isinstance(linear, nn.Linear)
        assert isinstance(norm, nn.BatchNorm1d)
        assert norm.running_mean is not None
        assert norm.running_var is not None
        scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        folded.append((linear.weight * scale[:, None], (linear.bias - norm.running_mean) * scale + norm.bias))
    folded.append((model.out.weight, model.out.bias))
    return [(matrix.detach().numpy().copy(), offset.detach().numpy().copy()) for matrix, offset in folded]
