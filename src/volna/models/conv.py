"""The convolutional autoencoder: 3 x 3 kernels with stride, batch norm, GELU, and the same backwards.

Time is divided by 16 (one latent every 16 frames, 0.4 s at 40 frames a second), frequency is halved at every layer and
then folded into the latent by one linear map, so that a latent sees all bands at once. Beside the convolutions runs a
linear path, each way one map of 16 frames: training starts it as the principal components of the library, so that the
convolutions learn what a linear autoencoder misses. Without it, 400 steps left more than twice the error of PCA.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from volna.models.layers import pad_frames, pool
from volna.models.pca import PcaAutoencoder

__all__ = ["ConvAutoencoder", "ConvConfig"]

N_TIME_HALVINGS = 4  # the first four layers halve time as well as frequency: a stride of 16 frames
_SMALL = 0.1  # what the convolutions add when training starts


@dataclass(frozen=True)
class ConvConfig:
    """Size of a :class:`ConvAutoencoder`.

    ``n_mels`` bands in; ``latent`` numbers every 16 frames; ``channels`` of each layer, at least four; ``projection``
    numbers that the contrastive loss compares; ``decoder_width``, the decoder's channels as a share of the encoder's:
    half costs the vectors nothing and saves a quarter of a step.
    """

    n_mels: int = 72
    latent: int = 64
    channels: tuple[int, ...] = (16, 32, 64, 96, 128)
    projection: int = 64
    decoder_width: float = 0.5


def _halved(n: int) -> int:
    return (n + 1) // 2


class _Down(nn.Sequential):
    """3 x 3 convolution with stride, batch norm, GELU: ``(B, C, F, T) -> (B, C', F / 2, T / time)``."""

    def __init__(self, n_in: int, n_out: int, time: int) -> None:
        conv = nn.Conv2d(n_in, n_out, 3, stride=(2, time), padding=1, bias=False)
        super().__init__(conv, nn.BatchNorm2d(n_out), nn.GELU())


class _Up(nn.Module):
    """The mirror of ``_Down``, cropped to the ``n_bands`` that its mirror was given; the last one is linear."""

    def __init__(self, n_in: int, n_out: int, time: int, n_bands: int, last: bool) -> None:
        super().__init__()
        self.n_bands = n_bands
        self.conv = nn.ConvTranspose2d(
            n_in, n_out, 3, stride=(2, time), padding=1, output_padding=(1, time - 1), bias=last
        )
        self.norm = nn.Identity() if last else nn.BatchNorm2d(n_out)
        self.act = nn.Identity() if last else nn.GELU()

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.norm(self.conv(x)[:, :, : self.n_bands]))


class ConvAutoencoder(nn.Module):
    """Conditioned log-mel ``(B, n_mels, T)`` <-> latent ``(B, latent, ceil(T / 16))``.

    Examples
    --------
    >>> model = ConvAutoencoder(ConvConfig(n_mels=20, latent=8, channels=(4, 4, 4, 4))).eval()
    >>> out = model(torch.zeros(2, 20, 50))
    >>> out["latent"].shape, out["mel"].shape
    (torch.Size([2, 8, 4]), torch.Size([2, 20, 50]))
    """

    stride = 2**N_TIME_HALVINGS

    def __init__(self, config: ConvConfig) -> None:
        super().__init__()
        self.config = config
        widths = (1, *config.channels)
        times = [2 if i < N_TIME_HALVINGS else 1 for i in range(len(config.channels))]
        bands = [config.n_mels]
        for _ in config.channels:
            bands.append(_halved(bands[-1]))
        self.down = nn.Sequential(*(_Down(widths[i], widths[i + 1], times[i]) for i in range(len(times))))
        self.fold = nn.Conv1d(widths[-1] * bands[-1], config.latent, 1)
        back = [1, *(max(1, round(config.decoder_width * width)) for width in config.channels)]
        self.unfold = nn.Conv1d(config.latent, back[-1] * bands[-1], 1)
        self.up = nn.Sequential(
            *(_Up(back[i + 1], back[i], times[i], bands[i], last=i == 0) for i in reversed(range(len(times))))
        )
        self._top = (back[-1], bands[-1])
        self.linear_in = nn.Conv1d(config.n_mels, config.latent, self.stride, stride=self.stride)
        self.linear_out = nn.ConvTranspose1d(config.latent, config.n_mels, self.stride, stride=self.stride)
        # Only the contrastive loss looks through this head: what it throws away stays in the embedding.
        self.head = nn.Sequential(
            nn.Linear(2 * config.latent, 2 * config.latent), nn.GELU(), nn.Linear(2 * config.latent, config.projection)
        )

    def features(self, mel: Tensor) -> Tensor:
        """The layer before the latent, ``(B, n_mels, T) -> (B, C * F, ceil(T / 16))``: what a track is pooled from.

        Measured, it ranks better than the latent, which is what is left of it for the decoder's sake.
        """
        return self.down(pad_frames(mel, self.stride)[:, None]).flatten(1, 2)

    def encode(self, mel: Tensor) -> Tensor:
        """``(B, n_mels, T) -> (B, latent, ceil(T / 16))``; the last frame is repeated up to a multiple of 16."""
        return self.fold(self.features(mel)) + self.linear_in(pad_frames(mel, self.stride))

    def decode(self, latent: Tensor, n_frames: int | None = None) -> Tensor:
        """``(B, latent, N) -> (B, n_mels, n_frames)``, 16 frames a latent where ``n_frames`` is not given."""
        x = torch.unflatten(self.unfold(latent), 1, self._top)  # (B, C, F, N)
        return (self.up(x)[:, 0] + self.linear_out(latent))[..., :n_frames]

    def forward(self, mel: Tensor) -> dict[str, Tensor]:
        latent = self.encode(mel)
        return {"mel": self.decode(latent, mel.shape[-1]), "latent": latent}

    def project(self, latent: Tensor) -> Tensor:
        """Pooled latents through the head of the contrastive loss: ``(B, latent, N) -> (B, projection)``."""
        return self.head(pool(latent))

    @torch.no_grad()
    def start_from(self, pca: PcaAutoencoder) -> None:
        """Begin as the linear autoencoder, each latent scaled to unit spread, with little from the convolutions."""
        spread = pca.spread.clamp(min=1e-3)[:, None]
        shape = (-1, self.config.n_mels, self.stride)
        into, out = pca.components / spread, pca.components * spread
        mean = pca.mean.reshape(shape[1:]).mean(dim=1)  # over the frames of a patch
        self.linear_in.load_state_dict({"weight": into.reshape(shape), "bias": -into @ pca.mean})
        self.linear_out.load_state_dict({"weight": out.reshape(shape), "bias": mean})
        for parameter in (*self.fold.parameters(), *self.up[-1].parameters()):
            parameter.mul_(_SMALL)
