"""A variational autoencoder of sounds to be made: sounding log-mels with a latent every four frames.

The autoencoders that a library is searched by keep one latent every 16 frames, which is enough to tell sounds apart;
here a latent has to give the sound back. Patches of four frames pass ConvNeXt blocks along time (Liu et al., 2022; in
one dimension as in Vocos, Siuzdak 2023), all bands at once, and the same backwards. Beside the blocks runs a linear
path that training starts as principal components of patches, as in `volna.models.conv`.

A small ``kl`` keeps the latents near a Gaussian, so that points between sounds decode to sounds; what the whole of a
sound is like is the matter of the prior (`volna.tasks.generation`), fitted when the autoencoder is done.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from volna.models.layers import pad_frames
from volna.models.variational import kl_to_standard_normal

__all__ = ["Generator", "GeneratorConfig"]

_FIRST_LOG_VARIANCE = -4.0  # training starts nearly without noise
_MOST_LOG_VARIANCE = 8.0
_LEAST_LOG_SPREAD, _MOST_LOG_SPREAD = -4.0, 1.0  # of a cell, in units of the conditioned log-mel
_FIRST_LOG_SPREAD = -2.5
_SMALL = 0.1  # what the blocks add to the linear path when training starts


@dataclass(frozen=True)
class GeneratorConfig:
    """Size of a :class:`Generator`.

    ``n_mels`` bands; ``latent`` numbers every ``stride`` frames; ``dim`` channels and ``depth`` blocks, each way;
    ``free_bits`` of each latent cost nothing.
    """

    n_mels: int = 128
    latent: int = 32
    stride: int = 4
    dim: int = 160
    depth: int = 3
    free_bits: float = 0.25


class _Block(nn.Module):
    """ConvNeXt along time: a wide convolution of each channel, then two maps of all channels; ``(B, C, T)``."""

    def __init__(self, dim: int, kernel: int = 7, widen: int = 3) -> None:
        super().__init__()
        self.along_time = nn.Conv1d(dim, dim, kernel, padding=kernel // 2, groups=dim)
        self.norm = nn.LayerNorm(dim)
        self.widen = nn.Linear(dim, widen * dim)
        self.narrow = nn.Linear(widen * dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.along_time(x).transpose(1, 2))  # (B, T, C)
        return x + self.narrow(F.gelu(self.widen(y))).transpose(1, 2)


class Generator(nn.Module):
    """Conditioned log-mel ``(B, n_mels, T)`` <-> latent ``(B, latent, ceil(T / stride))``.

    Examples
    --------
    >>> model = Generator(GeneratorConfig(n_mels=20, latent=4, dim=16, depth=1)).eval()
    >>> out = model(torch.zeros(2, 20, 50))
    >>> out["latent"].shape, out["mel"].shape
    (torch.Size([2, 4, 13]), torch.Size([2, 20, 50]))
    """

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        self.config = config
        n, dim, latent, stride = config.n_mels, config.dim, config.latent, config.stride
        self.patch_in = nn.Conv1d(n, dim, 2 * stride, stride=stride, padding=stride // 2)
        self.down = nn.Sequential(*(_Block(dim) for _ in range(config.depth)))
        self.fold = nn.Conv1d(dim, latent, 1)
        self.fold_variance = nn.Conv1d(dim, latent, 1)
        self.unfold = nn.Conv1d(latent, dim, 3, padding=1)
        self.up = nn.Sequential(*(_Block(dim) for _ in range(config.depth)))
        self.patch_out = nn.ConvTranspose1d(dim, n, 2 * stride, stride=stride, padding=stride // 2)
        self.spread_out = nn.ConvTranspose1d(dim, n, 2 * stride, stride=stride, padding=stride // 2)
        self.linear_in = nn.Conv1d(n, latent, stride, stride=stride)
        self.linear_out = nn.ConvTranspose1d(latent, n, stride, stride=stride)
        nn.init.zeros_(self.fold_variance.weight)
        nn.init.constant_(self.fold_variance.bias, _FIRST_LOG_VARIANCE)  # type: ignore[arg-type]
        nn.init.zeros_(self.spread_out.weight)
        nn.init.constant_(self.spread_out.bias, _FIRST_LOG_SPREAD)  # type: ignore[arg-type]

    @property
    def stride(self) -> int:
        """Frames for every latent."""
        return self.config.stride

    def posterior(self, mel: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of the latent, each ``(B, latent, ceil(T / stride))``."""
        padded = pad_frames(mel, self.stride)
        features = self.down(self.patch_in(padded))
        mean = self.fold(features) + self.linear_in(padded)
        return mean, self.fold_variance(features).clamp(-_MOST_LOG_VARIANCE, _MOST_LOG_VARIANCE)

    def encode(self, mel: Tensor) -> Tensor:
        """``(B, n_mels, T) -> (B, latent, ceil(T / stride))``; the last frame is repeated up to a multiple."""
        return self.posterior(mel)[0]

    def decode(self, latent: Tensor, n_frames: int | None = None) -> Tensor:
        """``(B, latent, N) -> (B, n_mels, n_frames)``, ``stride`` frames a latent where ``n_frames`` is not given."""
        return self.decode_spread(latent, n_frames)[0]

    def decode_spread(self, latent: Tensor, n_frames: int | None = None) -> tuple[Tensor, Tensor]:
        """As :meth:`decode`, and the logarithm of how far cells lie from it, of the same shape."""
        features = self.up(self.unfold(latent))
        mel = self.patch_out(features) + self.linear_out(latent)
        # Cut off, so that what says how wrong the decoder is has no say in how it decodes.
        log_spread = self.spread_out(features.detach()).clamp(_LEAST_LOG_SPREAD, _MOST_LOG_SPREAD)
        return mel[..., :n_frames], log_spread[..., :n_frames]

    def forward(self, mel: Tensor) -> dict[str, Tensor]:
        """``mel`` given back, ``latent``, and ``kl`` in nats for every cell of the log-mel."""
        mean, log_variance = self.posterior(mel)
        noise = torch.randn_like(mean) if self.training else torch.zeros_like(mean)
        latent = mean + noise * (log_variance / 2).exp()
        nats = kl_to_standard_normal(mean, log_variance).mean(dim=(0, 2))  # (latent,)
        kl = nats.clamp(min=self.config.free_bits * math.log(2)).sum() / (self.config.n_mels * self.stride)
        decoded, log_spread = self.decode_spread(latent, mel.shape[-1])
        return {"mel": decoded, "log_spread": log_spread, "latent": mean, "kl": kl}

    @torch.no_grad()
    def start_from(self, patches: Tensor) -> None:
        """Begin as the principal components of patches ``(n, n_mels, stride)``, with little from the blocks."""
        rows = patches.flatten(1)
        mean = rows.mean(dim=0)
        values, vectors = torch.linalg.eigh((rows - mean).T @ (rows - mean) / len(rows))
        components = vectors.flip(1)[:, : self.config.latent].T  # (latent, n_mels * stride)
        spread = values.flip(0)[: self.config.latent].clamp(min=1e-6).sqrt()[:, None]
        shape = (-1, self.config.n_mels, self.stride)
        into, out = components / spread, components * spread
        self.linear_in.load_state_dict({"weight": into.reshape(shape), "bias": -into @ mean})
        self.linear_out.load_state_dict({"weight": out.reshape(shape), "bias": mean.reshape(shape[1:]).mean(dim=1)})
        for parameter in (*self.fold.parameters(), *self.patch_out.parameters()):
            parameter.mul_(_SMALL)
