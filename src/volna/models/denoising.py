"""The denoising autoencoder (Vincent et al., 2008): conv that is shown a spoilt input and asked for the clean one.

While training, ``forward`` spoils its input in three ways, each window its own: noise is added in power, the gain is
moved, and a span of bands is hidden. The loss stays against the clean input, which the loop holds. In evaluation mode
nothing is spoilt.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from volna.models.conv import ConvAutoencoder, ConvConfig

__all__ = ["DenoisingAutoencoder", "DenoisingConfig", "add_noise", "hide_bands"]

_UNIT_DB = 9.0  # about: a conditioned log-mel counts in spreads of its library
_NEPERS = _UNIT_DB * math.log(10) / 10  # of power, a unit


@dataclass(frozen=True)
class DenoisingConfig(ConvConfig):
    """As :class:`~volna.models.conv.ConvConfig`, and how much is spoilt; 0 leaves each out.

    ``noise``: the loudest noise has the power of a cell at this many units above -3, the quietest lies at -3;
    ``gain``: spread of the offset, in units of the input (about 9 dB); ``bands``: the largest share of bands hidden.
    """

    noise: float = 3.0
    gain: float = 0.3
    bands: float = 0.25


def add_noise(mel: Tensor, level: Tensor) -> Tensor:
    """Add the power of noise to a conditioned log-mel.

    Parameters
    ----------
    mel
        ``(B, n_mels, T)``.
    level
        Level of the noise in the units of ``mel``, broadcast to its shape.

    Examples
    --------
    >>> [round(x, 2) for x in add_noise(torch.tensor([-9.0, 0.0, 9.0]), torch.tensor(0.0)).tolist()]
    [0.0, 0.33, 9.0]
    """
    return torch.logaddexp(mel * _NEPERS, level * _NEPERS) / _NEPERS


def hide_bands(mel: Tensor, share: float) -> Tensor:
    """Set one span of at most ``share`` of the bands of each window ``(B, n_mels, T)`` to 0, the mean."""
    n, n_mels, _ = mel.shape
    widths = (torch.rand(n, 1) * (share * n_mels + 1)).floor()
    starts = (torch.rand(n, 1) * (n_mels - widths + 1)).floor()
    bands = torch.arange(n_mels)
    hidden = (bands >= starts) & (bands < starts + widths)  # (B, n_mels)
    return mel.masked_fill(hidden[:, :, None].to(mel.device), 0.0)


class DenoisingAutoencoder(ConvAutoencoder):
    """``forward`` spoils its input while training; ``corrupt`` does it on request.

    Examples
    --------
    >>> model = DenoisingAutoencoder(DenoisingConfig(n_mels=20, latent=8, channels=(4, 4, 4, 4)))
    >>> model.corrupt(torch.zeros(2, 20, 50)).shape
    torch.Size([2, 20, 50])
    """

    config: DenoisingConfig

    def __init__(self, config: DenoisingConfig) -> None:
        super().__init__(config)

    def corrupt(self, mel: Tensor) -> Tensor:
        """A spoilt copy of ``(B, n_mels, T)``, drawn from torch's own generator."""
        if self.config.noise:
            level = torch.rand(len(mel), 1, 1, device=mel.device) * self.config.noise - 3
            mel = add_noise(mel, level + 0.5 * torch.randn_like(mel))
        mel = mel + self.config.gain * torch.randn(len(mel), 1, 1, device=mel.device)
        return hide_bands(mel, self.config.bands) if self.config.bands else mel

    def forward(self, mel: Tensor) -> dict[str, Tensor]:
        return super().forward(self.corrupt(mel) if self.training else mel)
