"""A denoiser: power spectra of noisy sound -> a gain for every bin. Recurrent-convolutional, some 0.3 M parameters.

It sees frames of 32 ms, 16 ms apart, whose bins lie 31.25 Hz apart at every sample rate (see
`volna.features.denoise_frames`), up to ``n_bins``; the missing bins of a sound of a lower rate are silence to it. What
the Wiener gain makes of them (`volna.features.wiener`) is an input as well, and what comes out corrects it: learning
begins where the classical method ends. ::

    log power, Wiener gain -> bands (fine up to 2 kHz, wider above)
        -> 3 convolutions: bands / 2 each, time / 2 -> linear -> GRU, both ways in time -> linear
        -> 3 transposed convolutions, with what came in added -> two maps

The first map corrects the gain of every band; the second says how much the bins of a band differ by their power, so
that the gains resolve harmonics where bands are wide. Gains are real: phases stay.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from volna.errors import ModelError

__all__ = ["Denoiser", "DenoiserConfig", "band_matrix", "log_power"]

FLOOR = 1e-9  # of power, relative to the mean of the stretch: -90 dB
CENTRE, SPREAD = -8.0, 5.0  # of log powers, about what speech in noise has: inputs near 0, of size 1
SURE = 0.02  # Wiener gains count as at least that, and at most one less that: their logits stay small
# Nothing is turned down by more than 26 dB: what is left hides the warbling, which is worth 0.1 PESQ.
LEAST_GAIN = 0.05
BANDS_A_FACTOR_OF_4 = 64  # above the linear ones
N_LAYERS = 3
TIME_STRIDE = 2  # of the second layer


@dataclass(frozen=True)
class DenoiserConfig:
    """Sizes of a `Denoiser`.

    Attributes
    ----------
    n_bins : int
        Bins it hears, 31.25 Hz apart: 257 up to 8 kHz.
    n_linear : int
        Bins that are a band each; above them a band is wider by a constant factor of its frequency.
    channels : tuple of int
        Maps after each layer.
    width, hidden : int
        Of a frame between convolutions and GRU, and of the GRU in each direction.
    """

    n_bins: int = 257
    n_linear: int = 64
    channels: tuple[int, ...] = (12, 24, 32)
    width: int = 128
    hidden: int = 96

    def __post_init__(self) -> None:
        if len(self.channels) != N_LAYERS or min(*self.channels, self.width, self.hidden, self.n_linear) < 1:
            raise ModelError(f"expected {N_LAYERS} numbers of channels and sizes of at least 1, got {self}")
        if not 16 <= self.n_bins <= 4096 or max(*self.channels, self.width, self.hidden) > 4096:
            raise ModelError(f"expected 16 to 4096 bins and sizes up to 4096, got {self}")


def band_matrix(n_bins: int, n_linear: int) -> Tensor:
    """Which bins a band is the mean of: float32 ``(n_bands, n_bins)``, rows add up to 1; 8 divides ``n_bands``.

    Triangles between centres that are one bin apart up to ``n_linear``, then 64 to a factor of four; bands that fill
    up to a multiple of 8 are empty.

    Examples
    --------
    >>> band_matrix(257, 64).shape, band_matrix(129, 64).shape
    (torch.Size([136, 257]), torch.Size([104, 129]))
    """
    centres = [float(k) for k in range(min(n_linear, n_bins))]
    step = 4 ** (1 / BANDS_A_FACTOR_OF_4)
    while centres[-1] < n_bins - 1:
        centres.append(max(centres[-1] + 1, centres[-1] * step))
    places = torch.tensor(centres)
    bins = torch.arange(n_bins, dtype=torch.float32)
    left = torch.cat([places[:1] - 1, places[:-1]])[:, None]
    right = torch.cat([places[1:], places[-1:] + 1])[:, None]
    here = places[:, None]
    weights = torch.minimum((bins - left) / (here - left), (right - bins) / (right - here)).clamp(min=0)
    weights = weights[weights.sum(dim=1) > 0]
    weights = weights / weights.sum(dim=1, keepdim=True)
    return torch.cat([weights, weights.new_zeros(-len(weights) % 2**N_LAYERS, n_bins)])


def log_power(power: Tensor) -> Tensor:
    """Natural logarithm of power relative to its mean over the stretch, floored: ``(B, T, n_bins)``, same shape."""
    level = power.mean(dim=(1, 2), keepdim=True).clamp(min=1e-20)
    return torch.log(power / level + FLOOR)


class Denoiser(nn.Module):
    """Gains from power spectra and the Wiener gains of the same frames.

    Shape
    -----
    Two of ``(B, T, n_bins)`` float32, squared magnitudes of any level and gains in [0, 1], to gains in (0.05, 1) of the
    same shape.

    Examples
    --------
    >>> Denoiser(DenoiserConfig())(torch.rand(2, 21, 257), torch.rand(2, 21, 257)).shape
    torch.Size([2, 21, 257])
    """

    bands: Tensor
    back: Tensor

    def __init__(self, config: DenoiserConfig) -> None:
        super().__init__()
        self.config = config
        with torch.device("cpu"):  # not learnt, so not in the file
            matrix = band_matrix(config.n_bins, config.n_linear)
        self.register_buffer("bands", matrix, persistent=False)
        # Bins from bands: each is the mean of the bands it is in, by its share.
        self.register_buffer("back", matrix / matrix.sum(dim=0).clamp(min=1e-6), persistent=False)
        c1, c2, c3 = config.channels
        self.down = nn.ModuleList([_down(2, c1, 1), _down(c1, c2, TIME_STRIDE), _down(c2, c3, 1)])
        self.beside = nn.ModuleList(nn.Conv2d(c, c, 1) for c in config.channels)
        self.up = nn.ModuleList([_up(c1, 2, 1, last=True), _up(c2, c1, TIME_STRIDE), _up(c3, c2, 1)])
        n_flat = c3 * len(matrix) // 2**N_LAYERS
        self.narrow = nn.Sequential(nn.Linear(n_flat, config.width), nn.LayerNorm(config.width), nn.ReLU())
        self.memory = nn.GRU(config.width, config.hidden, batch_first=True, bidirectional=True)
        self.widen = nn.Linear(2 * config.hidden, n_flat)

    def forward(self, power: Tensor, wiener: Tensor) -> Tensor:
        n_frames = power.shape[1]
        known = torch.logit(wiener.clamp(SURE, 1 - SURE))
        fine = (log_power(power) - CENTRE) / SPREAD  # (B, T, n_bins)
        coarse = fine @ self.bands.T  # (B, T, n_bands)
        x = torch.stack([coarse, 0.5 * (known @ self.bands.T)], dim=1)  # (B, 2, T, n_bands)
        x = functional.pad(x, (0, 0, 0, -n_frames % TIME_STRIDE))
        kept = []
        for layer in self.down:
            x = layer(x)
            kept.append(x)
        b, c, t, f = x.shape
        frames = self.narrow(x.transpose(1, 2).reshape(b, t, c * f))  # (B, T / 2, width)
        frames = self.widen(self.memory(frames)[0])  # (B, T / 2, c * f)
        x = frames.reshape(b, t, c, f).transpose(1, 2)
        for layer, beside, skipped in zip(self.up[::-1], self.beside[::-1], kept[::-1], strict=True):
            x = layer(x + beside(skipped))
        level, contrast = (x[:, :, :n_frames] @ self.back).unbind(dim=1)  # (B, T, n_bins) each
        gains = torch.sigmoid(known + level + contrast * (fine - coarse @ self.back))
        return LEAST_GAIN + (1 - LEAST_GAIN) * gains


def _down(n_in: int, n_out: int, stride: int) -> nn.Module:
    """Half the bands; sees three frames and five bands."""
    conv = nn.Conv2d(n_in, n_out, (3, 5), stride=(stride, 2), padding=(1, 2), bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(n_out), nn.ReLU())


def _up(n_in: int, n_out: int, stride: int, *, last: bool = False) -> nn.Module:
    """Twice the bands. The last layer begins near zero: the gains are then those that came in."""
    kernel = (4 if stride == TIME_STRIDE else 3, 4)
    conv = nn.ConvTranspose2d(n_in, n_out, kernel, stride=(stride, 2), padding=(1, 1), bias=last)
    if last:
        with torch.no_grad():
            conv.weight.mul_(0.1)
        return conv
    return nn.Sequential(conv, nn.BatchNorm2d(n_out), nn.ReLU())
