"""The autoencoder of the raw wave: strided convolutions in one dimension, and the same backwards.

Its input is samples, written hop by hop as ``(n_mels, n_frames)``: ``n_mels`` is the hop. They are laid end to end,
and the encoder strides over them until one latent stands for 16 frames (a front end learned instead of a spectrum, in
the manner of Sainath et al., 2015, and of the encoders of neural codecs, Zeghidour et al., 2021). With MSE it has to
hit the phase of every sample, which is why it learns slowly.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from volna.models.layers import pad_frames, pool

__all__ = ["WaveAutoencoder", "WaveConfig", "strides_of"]

STRIDE = 16
_LARGEST = 8  # stride of a layer, where the hop's factors allow it


@dataclass(frozen=True)
class WaveConfig:
    """``n_mels`` samples a frame in; ``latent`` numbers every 16 frames; ``first_channels`` after the first layer, then
    twice as many after each, up to ``most_channels``; ``projection`` numbers that the contrastive loss compares.
    """

    n_mels: int = 280
    latent: int = 64
    first_channels: int = 24
    most_channels: int = 96
    projection: int = 64


def strides_of(n: int) -> list[int]:
    """Factors of ``n``, neighbours multiplied while they stay small: the strides of layers that divide it away.

    Examples
    --------
    >>> strides_of(280 * 16)
    [8, 8, 2, 5, 7]
    """
    factors: list[int] = []
    left = n
    for prime in range(2, n + 1):
        while left % prime == 0:
            left //= prime
            if factors and factors[-1] * prime <= _LARGEST:
                factors[-1] *= prime
            else:
                factors.append(prime)
    return factors


class WaveAutoencoder(nn.Module):
    """Samples by hop ``(B, n_mels, T)`` <-> latent ``(B, latent, ceil(T / 16))``.

    Examples
    --------
    >>> model = WaveAutoencoder(WaveConfig(n_mels=20, latent=8, first_channels=4, most_channels=8)).eval()
    >>> out = model(torch.zeros(2, 20, 50))
    >>> out["latent"].shape, out["mel"].shape
    (torch.Size([2, 8, 4]), torch.Size([2, 20, 50]))
    """

    stride = STRIDE

    def __init__(self, config: WaveConfig) -> None:
        super().__init__()
        self.config = config
        strides = strides_of(config.n_mels * STRIDE)
        widths = [1, *(min(config.first_channels * 2**k, config.most_channels) for k in range(len(strides)))]
        pairs = list(zip(strides, widths, widths[1:], strict=False))
        self.down = nn.Sequential(*(_down(n_in, n_out, stride) for stride, n_in, n_out in pairs))
        self.fold = nn.Conv1d(widths[-1], config.latent, 1)
        self.unfold = nn.Conv1d(config.latent, widths[-1], 1)
        self.up = nn.Sequential(*(_up(n_out, n_in, stride, n_in == 1) for stride, n_in, n_out in reversed(pairs)))
        self.head = nn.Sequential(
            nn.Linear(2 * config.latent, 2 * config.latent), nn.GELU(), nn.Linear(2 * config.latent, config.projection)
        )

    def features(self, mel: Tensor) -> Tensor:
        """The layer before the latent, ``(B, n_mels, T) -> (B, channels, ceil(T / 16))``."""
        return self.down(pad_frames(mel, STRIDE).transpose(1, 2).flatten(1)[:, None])

    def encode(self, mel: Tensor) -> Tensor:
        """``(B, n_mels, T) -> (B, latent, ceil(T / 16))``; the last frame is repeated up to a multiple of 16."""
        return self.fold(self.features(mel))

    def decode(self, latent: Tensor, n_frames: int | None = None) -> Tensor:
        """``(B, latent, N) -> (B, n_mels, n_frames)``, 16 frames a latent where ``n_frames`` is not given."""
        samples = self.up(self.unfold(latent))[:, 0]
        return torch.unflatten(samples, 1, (-1, self.config.n_mels)).transpose(1, 2)[..., :n_frames]

    def forward(self, mel: Tensor) -> dict[str, Tensor]:
        latent = self.encode(mel)
        return {"mel": self.decode(latent, mel.shape[-1]), "latent": latent}

    def project(self, latent: Tensor) -> Tensor:
        """Pooled latents through the head of the contrastive loss: ``(B, latent, N) -> (B, projection)``."""
        return self.head(pool(latent))


def _down(n_in: int, n_out: int, stride: int) -> nn.Sequential:
    """Twice as long a kernel as its stride, so that neighbours overlap: ``(B, C, n) -> (B, C', n / stride)``."""
    before = stride // 2
    return nn.Sequential(
        nn.ConstantPad1d((before, stride - before), 0.0),
        nn.Conv1d(n_in, n_out, 2 * stride, stride, bias=False),
        nn.BatchNorm1d(n_out),
        nn.GELU(),
    )


def _up(n_in: int, n_out: int, stride: int, last: bool) -> nn.Sequential:
    """The mirror of ``_down``; the last one is linear."""
    before = stride // 2
    conv = nn.ConvTranspose1d(n_in, n_out, 2 * stride, stride, bias=last)
    crop = nn.ConstantPad1d((-before, before - stride), 0.0)
    return nn.Sequential(conv, crop) if last else nn.Sequential(conv, crop, nn.BatchNorm1d(n_out), nn.GELU())
