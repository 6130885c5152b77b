"""The variational autoencoder: conv whose latent is a Gaussian, so that latents drawn at random sound like something.

The encoder gives a mean and a variance for every latent; training draws from them (the reparametrisation of Kingma and
Welling, 2014) and pays ``kl``, the distance from the standard normal. Two things keep the latent from dying: the
weight of ``kl`` rises with training (Bowman et al., 2016, see ``TrainConfig.loss_warm_up``), and the first
``free_bits`` of every latent cost nothing (Kingma et al., 2016).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from volna.models.conv import ConvAutoencoder, ConvConfig
from volna.models.layers import pad_frames

__all__ = ["VariationalAutoencoder", "VariationalConfig", "kl_to_standard_normal"]

_FIRST_LOG_VARIANCE = -4.0  # training starts nearly without noise, as conv
_MOST_LOG_VARIANCE = 8.0  # either way, so that the exponential stays finite


@dataclass(frozen=True)
class VariationalConfig(ConvConfig):
    """As :class:`~volna.models.conv.ConvConfig`; ``free_bits`` of each latent cost nothing, in bits."""

    free_bits: float = 0.05


def kl_to_standard_normal(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Divergence of ``N(mean, exp(log_variance))`` from ``N(0, 1)`` in nats, element by element.

    Examples
    --------
    >>> float(kl_to_standard_normal(torch.tensor(1.0), torch.tensor(0.0)))
    0.5
    """
    return (mean.square() + log_variance.exp() - 1 - log_variance) / 2


class VariationalAutoencoder(ConvAutoencoder):
    """``encode`` gives the mean; ``forward`` draws around it while training and names the loss ``kl``.

    Examples
    --------
    >>> model = VariationalAutoencoder(VariationalConfig(n_mels=20, latent=8, channels=(4, 4, 4, 4))).eval()
    >>> sorted(model(torch.zeros(2, 20, 50))), model.sample(3, 40).shape
    (['kl', 'latent', 'mel'], torch.Size([3, 20, 40]))
    """

    config: VariationalConfig

    def __init__(self, config: VariationalConfig) -> None:
        super().__init__(config)
        self.fold_variance = nn.Conv1d(self.fold.in_channels, config.latent, 1)
        nn.init.zeros_(self.fold_variance.weight)
        nn.init.constant_(self.fold_variance.bias, _FIRST_LOG_VARIANCE)  # type: ignore[arg-type]

    def posterior(self, mel: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of the latent, each ``(B, latent, ceil(T / 16))``."""
        features = self.features(mel)
        mean = self.fold(features) + self.linear_in(pad_frames(mel, self.stride))
        return mean, self.fold_variance(features).clamp(-_MOST_LOG_VARIANCE, _MOST_LOG_VARIANCE)

    def forward(self, mel: Tensor) -> dict[str, Tensor]:
        mean, log_variance = self.posterior(mel)
        noise = torch.randn_like(mean) if self.training else torch.zeros_like(mean)
        latent = mean + noise * (log_variance / 2).exp()
        nats = kl_to_standard_normal(mean, log_variance).mean(dim=(0, 2))  # (latent,)
        # Over the cells that a latent stands for, as the reconstruction is a mean over cells: a weight fits all sizes.
        kl = nats.clamp(min=self.config.free_bits * math.log(2)).sum() / (self.config.n_mels * self.stride)
        return {"mel": self.decode(latent, mel.shape[-1]), "latent": mean, "kl": kl}

    @torch.no_grad()
    def sample(self, n: int, n_frames: int, seed: int = 0) -> Tensor:
        """``n`` conditioned log-mels that nobody played, ``(n, n_mels, n_frames)``, from latents drawn at random."""
        columns = -(-n_frames // self.stride)
        generator = torch.Generator().manual_seed(seed)
        latent = torch.randn(n, self.config.latent, columns, generator=generator)
        return self.decode(latent.to(self.fold.weight), n_frames)

    @torch.no_grad()
    def interpolate(self, first: Tensor, second: Tensor, n: int) -> Tensor:
        """``n`` steps on the line between the latents of two log-mels ``(n_mels, T)``: ``(n, n_mels, T)``."""
        ends = self.encode(torch.stack([first, second]))
        shares = torch.linspace(0, 1, n)[:, None, None]
        return self.decode((1 - shares) * ends[0] + shares * ends[1], first.shape[-1])
