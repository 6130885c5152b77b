"""A codec: log-mel -> latent -> whole numbers -> log-mel -> sound.

The latent is the one of a linear autoencoder of patches of frames (principal components, `models.pca`), which a small
network refines on either side. It is made of whole numbers by finite scalar quantisation (Mentzer et al. 2023): every
number is bounded and rounded to one of a few levels, and gradients pass through the rounding as if it were not there.
Here the step is a choice, the same for all numbers of a latent, and the count of levels follows from how much a number
varies; what varies by less than the step has one level and costs nothing (the reverse water-filling of rate-distortion
theory). So one model knows every rate between a coarse and a fine step, and is trained on all of them. As the numbers
are entropy coded, rare outer levels are nearly free: the bound is a clamp at four standard deviations, no tanh.

Conventions: mels ``(batch, n_mels, n_frames)`` as `volna.features.sounding.sounding_mel`, latents and symbols
``(batch, n_dims, n_latents)``, steps ``(batch,)``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from volna.errors import ModelError
from volna.models.pca import PcaAutoencoder, PcaConfig
from volna.models.vocoder import Backbone, Vocoder, VocoderConfig

__all__ = ["MOST_LEVELS", "Codec", "CodecConfig", "half_levels"]

REACH = 4.0  # standard deviations that the levels cover on either side
LEAST = 0.4  # of a step: what varies by less has one level
MOST_LEVELS = 1023  # of a number: a bound for the tables, which the steps that are used do not reach
USUAL_STEP = 2.0


@dataclass(frozen=True)
class CodecConfig:
    """Sizes of a `Codec`.

    Attributes
    ----------
    vocoder : dict
        Fields of `volna.models.vocoder.VocoderConfig`, its mel among them.
    stride : int
        Frames of a latent.
    n_dims : int
        Numbers of a latent, at most.
    width, depth, kernel : int
        Of the networks that refine latent and mel.
    """

    vocoder: dict[str, Any]
    stride: int = 4
    n_dims: int = 128
    width: int = 96
    depth: int = 2
    kernel: int = 5

    def __post_init__(self) -> None:
        if min(self.stride, self.n_dims, self.width, self.depth, self.kernel) < 1 or not self.kernel % 2:
            raise ModelError(f"expected sizes of at least 1 and an odd kernel, got {self}")

    @property
    def vocoder_config(self) -> VocoderConfig:
        """Sizes of the vocoder at the end."""
        return VocoderConfig(**self.vocoder)

    @property
    def context(self) -> int:
        """Latents on either side that an output of either network hears."""
        return (self.kernel // 2) * (self.depth + 1)


class Codec(nn.Module):
    """The linear autoencoder, what refines it, and the vocoder.

    Examples
    --------
    >>> from dataclasses import asdict
    >>> from volna.features.sounding import sounding_config
    >>> vocoder = asdict(VocoderConfig(asdict(sounding_config(8_000)), dim=16, depth=1))
    >>> model = Codec(CodecConfig(vocoder, n_dims=8, width=16)).eval()
    >>> model.mel_of(model.symbols_of(torch.zeros(1, 64, 10), 1.0), 1.0).shape
    torch.Size([1, 64, 12])
    """

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        self.config = config
        n_mels, d = config.vocoder_config.mel_config.n_mels, config.n_dims
        self.linear = PcaAutoencoder(PcaConfig(n_mels, d, config.stride))
        self.encoder = Backbone(d, config.width, config.depth, config.kernel)
        self.to_latent = _silent_linear(config.width, d)
        self.decoder = Backbone(d + 1, config.width, config.depth, config.kernel)
        self.to_mel = _silent_linear(config.width, n_mels * config.stride)
        self.vocoder = Vocoder(config.vocoder_config)

    @property
    def spread(self) -> Tensor:
        """Standard deviation of the linear latents, ``(n_dims,)``."""
        return self.linear.spread.float()

    def latent_of(self, mel: Tensor) -> Tensor:
        """Latents before they are rounded; the last frame is repeated up to whole patches."""
        linear = self.linear.encode(mel)
        scaled = linear / self.spread.clamp(min=1e-3)[:, None]
        refined: Tensor = linear + self.to_latent(self.encoder(scaled)).transpose(1, 2)
        return refined

    def quantised(self, latent: Tensor, step: Tensor) -> Tensor:
        """Latents rounded to their levels, ``(B, n_dims, n_latents)``; gradients pass."""
        size = step[:, None, None]
        bound = half_levels(self.spread, step)[:, :, None] * size
        bounded = torch.maximum(torch.minimum(latent, bound), -bound)
        rounded = torch.round(bounded / size) * size
        return bounded + (rounded - bounded).detach()

    def mel_from(self, quantised: Tensor, step: Tensor) -> Tensor:
        """Log-mel ``(B, n_mels, stride * n_latents)`` of quantised latents."""
        scaled = quantised / self.spread.clamp(min=1e-3)[:, None]
        coarse = torch.log(step / USUAL_STEP)[:, None, None].expand(-1, 1, quantised.shape[2])
        refined = self.to_mel(self.decoder(torch.cat([scaled, coarse], 1)))  # (B, n_latents, n_mels * stride)
        mel = self.linear.decode(quantised)
        added = refined.unflatten(2, (-1, self.config.stride)).transpose(1, 2).flatten(2)
        return mel + added

    def symbols_of(self, mel: Tensor, step: float) -> Tensor:
        """Whole numbers from 0 on, int32 ``(B, n_dims, n_latents)``."""
        half = half_levels(self.spread, torch.tensor([step]))[0][:, None]
        rounded = torch.round(self.latent_of(mel) / step)
        return (torch.maximum(torch.minimum(rounded, half), -half) + half).to(torch.int32)

    def mel_of(self, symbols: Tensor, step: float) -> Tensor:
        """Log-mel of whole numbers."""
        half = half_levels(self.spread, torch.tensor([step]))[0][:, None]
        steps = torch.full((len(symbols),), step)
        return self.mel_from((symbols.float() - half) * step, steps)


def half_levels(spread: Tensor, step: Tensor) -> Tensor:
    """Levels on either side of zero: float ``(B, n_dims)`` of whole numbers, for spreads ``(n_dims,)``, steps ``(B,)``.

    Examples
    --------
    >>> half_levels(torch.tensor([10.0, 1.0, 0.3]), torch.tensor([1.0])).tolist()
    [[40.0, 4.0, 0.0]]
    """
    ratio = spread[None] / step[:, None]
    return torch.where(ratio > LEAST, torch.ceil(REACH * ratio).clamp(1, MOST_LEVELS // 2), torch.zeros_like(ratio))


def _silent_linear(n_inputs: int, n_outputs: int) -> nn.Linear:
    """A layer that begins as nothing, so that the linear autoencoder is where the training starts."""
    layer = nn.Linear(n_inputs, n_outputs)
    nn.init.normal_(layer.weight, std=1e-3 / math.sqrt(n_inputs))
    nn.init.zeros_(layer.bias)
    return layer
