"""The convolutional autoencoder of the package with every knob that was tried, augmentations and objectives."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

DB_PER_UNIT = 13.0  # one unit of the conditioned input, about
FRAMES_PER_S = 12_000 / 280
N_SPEEDS = 4


@dataclass(frozen=True)
class Settings:
    """One variant. Amounts of augmentations are in dB, bands or frames; 0 leaves one out."""

    steps: int = 800
    batch: int = 32
    n_frames: int = 128
    lr: float = 2e-3
    weight_decay: float = 0.01
    channels: tuple[int, ...] = (16, 32, 64, 96, 128)
    light: float = 1.0  # width of the decoder against the encoder's
    latent: int = 64
    reconstruct: float = 1.0
    contrast: float = 1.0
    objective: str = "info_nce"
    temperature: float = 0.1
    soft: float = 0.1  # temperature of the targets of "soft"
    projection: int = 64
    hidden: int = 128
    predict: float = 0.0  # weight of predicting the hand-made descriptors
    bands: int = 15
    frames: int = 29
    n_masks: int = 1
    gain: float = 4.0
    eq: float = 0.0
    noise: float = 0.0
    cut: float = 0.0  # probability that the top bands fall silent
    mix: float = 0.0  # probability that another clip plays softly behind
    stretch: float = 0.0  # largest relative change of speed
    shift: float = 0.0  # largest shift in bands
    near: bool = False  # both windows from neighbouring places instead of anywhere in the track
    remove_mean: float = 0.0  # share of each window's band means that is taken out; below 0 a random share
    dropout: float = 0.0
    views: int = 2  # windows of a track in a batch
    ema: float = 0.98
    songs: bool = False  # train on the unlabelled songs too
    every: int = 1  # train on every n-th clip only
    layout: str = "low"
    pooling: str = "both"  # what the contrast sees: "both" mean and spread, "spread", or "modulation"
    halvings: int = 4  # layers that halve time: a latent every 2 ** halvings frames
    floor: float = 80.0  # dB under the clip's loudest cell
    extra: dict[str, Any] = field(default_factory=dict)


def _down(n_in: int, n_out: int, time: int) -> nn.Sequential:
    conv = nn.Conv2d(n_in, n_out, 3, stride=(2, time), padding=1, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(n_out), nn.GELU())


class Up(nn.Module):
    """The mirror of a downward layer, cropped to its bands."""

    def __init__(self, n_in: int, n_out: int, time: int, n_bands: int, last: bool) -> None:
        super().__init__()
        self.n_bands = n_bands
        self.conv = nn.ConvTranspose2d(n_in, n_out, 3, (2, time), 1, (1, time - 1), bias=last)
        self.norm = nn.Identity() if last else nn.BatchNorm2d(n_out)
        self.act = nn.Identity() if last else nn.GELU()

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.norm(self.conv(x)[:, :, : self.n_bands]))


class Network(nn.Module):
    """``(B, n_mels, T)`` to a latent every 16 frames, back, and to the heads of the objectives."""

    def __init__(self, s: Settings, n_mels: int, n_descriptors: int, n_tracks: int) -> None:
        super().__init__()
        widths = (1, *s.channels)
        times = [2 if i < s.halvings else 1 for i in range(len(s.channels))]
        self.stride = 2**s.halvings
        bands = [n_mels]
        for _ in s.channels:
            bands.append((bands[-1] + 1) // 2)
        self.down = nn.Sequential(*(_down(widths[i], widths[i + 1], times[i]) for i in range(len(times))))
        self.fold = nn.Conv1d(widths[-1] * bands[-1], s.latent, 1)
        back = [1, *(max(8, int(w * s.light)) for w in s.channels)]
        self.top = (back[-1], bands[-1])
        self.unfold = nn.Conv1d(s.latent, back[-1] * bands[-1], 1)
        self.up = nn.Sequential(
            *(Up(back[i + 1], back[i], times[i], bands[i], i == 0) for i in reversed(range(len(times))))
        )
        n_pooled = s.latent * {"both": 2, "spread": 1, "modulation": N_SPEEDS}[s.pooling]
        self.head = nn.Sequential(
            nn.Dropout(s.dropout), nn.Linear(n_pooled, s.hidden), nn.GELU(), nn.Linear(s.hidden, s.projection)
        )
        self.guess = nn.Sequential(nn.Linear(n_pooled, 128), nn.GELU(), nn.Linear(128, max(n_descriptors, 1)))
        self.proxies = nn.Parameter(torch.randn(n_tracks if s.objective == "proxy" else 1, s.projection))

    def hidden(self, mel: Tensor) -> Tensor:
        """The layer before the latent, bands folded into channels: ``(B, C F, T / 16)``."""
        missing = -mel.shape[-1] % self.stride
        mel = F.pad(mel, (0, missing), mode="replicate") if missing else mel
        x = mel[:, None].contiguous(memory_format=torch.channels_last)
        return self.down(x).flatten(1, 2)

    def decode(self, latent: Tensor, n_frames: int) -> Tensor:
        x = self.unfold(latent).unflatten(1, self.top).contiguous(memory_format=torch.channels_last)
        return self.up(x)[:, 0, :, :n_frames]


def pool(latent: Tensor, s: Settings) -> Tensor:
    """What the contrast compares, ``(B, latent, T) -> (B, n)``."""
    if s.pooling == "modulation":
        return modulation(latent, s.halvings).flatten(1)
    spread = (latent.var(-1, unbiased=False) + 1e-5).sqrt()
    return spread if s.pooling == "spread" else torch.cat([latent.mean(-1), spread], 1)


def modulation(latent: Tensor, halvings: int) -> Tensor:
    """Log strength of the fluctuation of each latent at each speed: ``(B, latent, T) -> (B, latent, N_SPEEDS)``."""
    n, rate = latent.shape[-1], FRAMES_PER_S / 2**halvings
    hz = torch.arange(n // 2 + 1) * rate / n
    edges = torch.logspace(np.log10(0.3), np.log10(min(rate / 2, 16.0)) + 0.01, N_SPEEDS + 1)
    masks = ((hz[:, None] >= edges[:-1]) & (hz[:, None] < edges[1:])).float()
    window = torch.hann_window(n)
    spectrum = torch.fft.rfft((latent - latent.mean(-1, keepdim=True)) * window)
    power = (spectrum.real.square() + spectrum.imag.square()) @ masks / window.sum()
    return 0.5 * torch.log(power + 1e-3)


def _uniform(n: int, low: float, high: float) -> Tensor:
    return low + (high - low) * torch.rand(n)


def _mask(x: Tensor, axis: int, widest: int) -> Tensor:
    n = x.shape[axis]
    width = torch.randint(0, widest + 1, (len(x),)).float()
    start = torch.rand(len(x)) * (n - width)
    place = torch.arange(n)[None]
    hidden = (place >= start[:, None]) & (place < (start + width)[:, None])
    return hidden[:, :, None] if axis == 1 else hidden[:, None, :]


def warp(x: Tensor, stretch: float, shift: float) -> Tensor:
    """Change speed and pitch of log-mels a little, by bilinear interpolation; the window keeps its length."""
    n = len(x)
    theta = torch.zeros(n, 2, 3)
    theta[:, 0, 0] = 1 + _uniform(n, -stretch, stretch)
    theta[:, 1, 1] = 1
    theta[:, 1, 2] = _uniform(n, -shift, shift) * 2 / x.shape[1]
    grid = F.affine_grid(theta, [n, 1, *x.shape[1:]], align_corners=False)
    return F.grid_sample(x[:, None], grid, padding_mode="reflection", align_corners=False)[:, 0]


def augment(x: Tensor, s: Settings) -> tuple[Tensor, Tensor]:
    """Target and input of the autoencoder from clean windows ``(B, n_mels, T)``."""
    n, n_mels, _ = x.shape
    if s.stretch or s.shift:
        x = warp(x, s.stretch, s.shift)
    if s.remove_mean:
        share = s.remove_mean if s.remove_mean > 0 else torch.rand(n, 1, 1)
        x = x - share * x.mean(-1, keepdim=True)
    target = x + s.gain / DB_PER_UNIT * torch.randn(n, 1, 1)
    seen = target
    if s.mix:
        other = target.roll(int(torch.randint(1, n, ())), 0) - (_uniform(n, 3, 15) / DB_PER_UNIT)[:, None, None]
        both = torch.logaddexp(seen * 3, other * 3) / 3  # 13 dB a unit: exp(3 u) is the power
        seen = torch.where(torch.rand(n, 1, 1) < s.mix, both, seen)
    if s.eq:
        places = torch.linspace(0, np.pi, n_mels)[None, None]
        orders = torch.arange(1, 5)[None, :, None]
        curve = (torch.randn(n, 4, 1) / orders.sqrt() * torch.cos(orders * places)).sum(1)
        seen = seen + (s.eq / DB_PER_UNIT * curve)[:, :, None]
    if s.cut:
        top = _uniform(n, 0.6, 1.0) * n_mels
        silent = (torch.arange(n_mels)[None] > top[:, None]) & (torch.rand(n, 1) < s.cut)
        seen = torch.where(silent[:, :, None], seen.amin((1, 2), keepdim=True), seen)
    if s.noise:
        seen = seen + s.noise / DB_PER_UNIT * torch.randn_like(seen)
    for _ in range(s.n_masks):
        if s.bands:
            seen = seen.masked_fill(_mask(seen, 1, s.bands), 0.0)
        if s.frames:
            seen = seen.masked_fill(_mask(seen, 2, s.frames), 0.0)
    return target, seen


def _off_diagonal(square: Tensor) -> Tensor:
    return square - torch.diag(square.diagonal())


def contrast(a: Tensor, b: Tensor, tracks: Tensor, net: Network, s: Settings, alike: Tensor) -> Tensor:
    """Two places of a track belong together: ``a`` and ``b`` are ``(B, D)``; ``alike`` the descriptors' cosines."""
    if s.objective == "soft":
        cosines = F.normalize(a, dim=1) @ F.normalize(b, dim=1).T / s.temperature
        wanted = F.softmax(alike / s.soft, dim=1)
        return (F.cross_entropy(cosines, wanted) + F.cross_entropy(cosines.T, wanted)) / 2
    if s.objective == "info_nce":
        cosines = F.normalize(a, dim=1) @ F.normalize(b, dim=1).T / s.temperature
        own = torch.arange(len(a))
        return (F.cross_entropy(cosines, own) + F.cross_entropy(cosines.T, own)) / 2
    if s.objective == "nt_xent":
        z = F.normalize(torch.cat([a, b]), dim=1)
        cosines = (z @ z.T / s.temperature).fill_diagonal_(-1e9)
        return F.cross_entropy(cosines, torch.arange(len(z)).roll(len(a)))
    if s.objective == "proxy":
        z = F.normalize(torch.cat([a, b]), dim=1) @ F.normalize(net.proxies, dim=1).T / s.temperature
        return F.cross_entropy(z, tracks.repeat(2), label_smoothing=0.1)
    if s.objective == "vicreg":
        parts = []
        for z in (a, b):
            centred = z - z.mean(0)
            covariance = _off_diagonal(centred.T @ centred / (len(z) - 1)).square().sum() / z.shape[1]
            parts.append(F.relu(1 - (z.var(0) + 1e-4).sqrt()).mean() / 2 + covariance / 25)
        return F.mse_loss(a, b) + parts[0] + parts[1]
    if s.objective == "barlow":
        za, zb = ((z - z.mean(0)) / (z.std(0) + 1e-4) for z in (a, b))
        c = za.T @ zb / len(a)
        return ((1 - c.diagonal()).square().sum() + 0.005 * _off_diagonal(c).square().sum()) / a.shape[1]
    raise ValueError(s.objective)
