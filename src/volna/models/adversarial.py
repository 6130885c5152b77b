"""The adversarial autoencoder: conv whose decoder also plays against a discriminator of patches.

A mean squared error is content with a blur. The discriminator (Isola et al., 2017) looks at small patches and says real
or made; the decoder is asked to please it as well, with the hinge losses of Lim and Ye (2017). ``forward`` names the
decoder's side ``adversarial``, while training only; ``discriminator_loss`` is the other side, which the loop minimises
with an optimiser of its own over ``discriminator``.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F

from volna.models.conv import ConvAutoencoder, ConvConfig

__all__ = ["AdversarialAutoencoder", "AdversarialConfig"]


@dataclass(frozen=True)
class AdversarialConfig(ConvConfig):
    """As :class:`~volna.models.conv.ConvConfig`; ``judge``, channels of the discriminator's layers."""

    judge: tuple[int, ...] = (16, 32)


def _discriminator(channels: tuple[int, ...]) -> nn.Sequential:
    """``(B, 1, n_mels, T)`` -> a score for every patch, above 0 for real; a patch is 15 x 15 cells by default."""
    layers: list[nn.Module] = []
    for n_in, n_out in zip((1, *channels[:-1]), channels, strict=True):
        layers += [nn.Conv2d(n_in, n_out, 3, stride=2, padding=1), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, nn.Conv2d(channels[-1], 1, 3, padding=1))


class AdversarialAutoencoder(ConvAutoencoder):
    """Conv, and a discriminator that only training uses.

    Examples
    --------
    >>> import torch
    >>> model = AdversarialAutoencoder(AdversarialConfig(n_mels=20, latent=8, channels=(4, 4, 4, 4)))
    >>> mel = torch.zeros(2, 20, 50)
    >>> sorted(model(mel)), sorted(model.eval()(mel))
    (['adversarial', 'latent', 'mel'], ['latent', 'mel'])
    """

    config: AdversarialConfig

    def __init__(self, config: AdversarialConfig) -> None:
        super().__init__(config)
        self.discriminator = _discriminator(config.judge)

    def judge(self, mel: Tensor) -> Tensor:
        """Scores of the patches of a log-mel: ``(B, n_mels, T) -> (B, n_mels / 4, T / 4)``."""
        return self.discriminator(mel[:, None])[:, 0]

    def forward(self, mel: Tensor) -> dict[str, Tensor]:
        out = super().forward(mel)
        return out | {"adversarial": -self.judge(out["mel"]).mean()} if self.training else out

    def discriminator_loss(self, made: Tensor, real: Tensor) -> Tensor:
        """Hinge: nothing to pay where real patches score above 1 and made ones below -1."""
        return (F.relu(1 - self.judge(real)).mean() + F.relu(1 + self.judge(made)).mean()) / 2
