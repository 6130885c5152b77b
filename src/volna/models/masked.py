"""The masked autoencoder: a spectrogram cut into patches as words, most of them hidden, all of them to be predicted.

After He et al. (2022) and Huang et al. (2022): a transformer reads only the patches that are left, so training costs a
fraction of a full reading, and a light decoder writes the whole. Two things differ, for the sake of the contract of
all models: the patches of a column (16 frames) are folded into one latent, so that there is a bottleneck; and the loss
is over all cells, so that an unspoilt input is reconstructed too. Outside training nothing is hidden.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from volna.models.layers import pad_frames

__all__ = ["MaskedAutoencoder", "MaskedConfig"]

STRIDE = 16


@dataclass(frozen=True)
class MaskedConfig:
    """``n_mels`` bands in; ``latent`` numbers every 16 frames; a word is ``patch_bands`` bands by 16 frames.

    ``width``, ``heads`` and ``depth`` of the transformer; ``context`` columns are read together, a longer window is
    cut; ``hidden``, the share of words hidden while training.
    """

    n_mels: int = 72
    latent: int = 64
    patch_bands: int = 8
    width: int = 80
    heads: int = 4
    depth: int = 3
    context: int = 8
    hidden: float = 0.6


def _block(width: int, heads: int) -> nn.TransformerEncoderLayer:
    return nn.TransformerEncoderLayer(
        width, heads, 4 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
    )


def time_places(n: int, width: int) -> Tensor:
    """Sines and cosines of the place in time (Vaswani et al., 2017): ``(n, width)``."""
    rates = torch.exp(torch.arange(0, width, 2) * (-math.log(100.0) / width))
    angles = torch.arange(n)[:, None] * rates
    return torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1)[:, :width]


def cut(x: Tensor, length: int) -> Tensor:
    """``(B, C, T) -> (B * k, C, length)``, the end repeated; what is not longer than ``length`` stays as it is."""
    if x.shape[2] <= length:
        return x
    return torch.unflatten(pad_frames(x, length), 2, (-1, length)).transpose(1, 2).flatten(0, 1)


def join(x: Tensor, n: int) -> Tensor:
    """The way back from :func:`cut`, the repeated end still there: ``(n * k, C, L) -> (n, C, k * L)``."""
    return torch.unflatten(x, 0, (n, -1)).transpose(1, 2).flatten(2)


class MaskedAutoencoder(nn.Module):
    """Conditioned log-mel ``(B, n_mels, T)`` <-> latent ``(B, latent, ceil(T / 16))``.

    Examples
    --------
    >>> model = MaskedAutoencoder(MaskedConfig(n_mels=20, latent=8, width=16, depth=1)).eval()
    >>> out = model(torch.zeros(2, 20, 200))
    >>> out["latent"].shape, out["mel"].shape
    (torch.Size([2, 8, 13]), torch.Size([2, 20, 200]))
    """

    stride = STRIDE

    def __init__(self, config: MaskedConfig) -> None:
        super().__init__()
        self.config = config
        self.rows = -(-config.n_mels // config.patch_bands)
        n_cells = config.patch_bands * STRIDE
        self.words = nn.Linear(n_cells, config.width)
        self.row_places = nn.Parameter(0.02 * torch.randn(self.rows, config.width))
        self.hidden_word = nn.Parameter(0.02 * torch.randn(config.width))
        self.blocks = nn.ModuleList(_block(config.width, config.heads) for _ in range(config.depth))
        self.norm = nn.LayerNorm(config.width)
        self.fold = nn.Linear(self.rows * config.width, config.latent)
        self.unfold = nn.Linear(config.latent, config.width)
        self.light = _block(config.width, config.heads)
        self.out = nn.Linear(config.width, self.rows * n_cells)

    def features(self, mel: Tensor) -> Tensor:
        """The words of each column side by side, ``(B, n_mels, T) -> (B, rows * width, ceil(T / 16))``."""
        return self._columns(mel, hide=False)

    def encode(self, mel: Tensor) -> Tensor:
        """``(B, n_mels, T) -> (B, latent, ceil(T / 16))``, nothing hidden."""
        return self._fold(self.features(mel))

    def decode(self, latent: Tensor, n_frames: int | None = None) -> Tensor:
        """``(B, latent, N) -> (B, n_mels, n_frames)``, 16 frames a latent where ``n_frames`` is not given."""
        n, _, n_columns = latent.shape
        columns = self.unfold(cut(latent, self.config.context).transpose(1, 2))  # (B', N', width)
        columns = self.light(columns + time_places(columns.shape[1], self.config.width).to(columns))
        cells = torch.unflatten(self.out(columns), 2, (-1, STRIDE))  # (B', N', rows * patch_bands, 16)
        mel = join(cells.transpose(1, 2).flatten(2), n)
        return mel[:, : self.config.n_mels, : n_columns * STRIDE][..., :n_frames]

    def forward(self, mel: Tensor) -> dict[str, Tensor]:
        latent = self._fold(self._columns(mel, hide=self.training and self.config.hidden > 0))
        return {"mel": self.decode(latent, mel.shape[-1]), "latent": latent}

    def draw_visible(self, n: int, n_words: int) -> Tensor:
        """Which words of each of ``n`` windows are left: ``(n, n_visible)``, drawn from torch's own generator."""
        n_visible = max(1, round((1 - self.config.hidden) * n_words))
        return torch.rand(n, n_words).argsort(dim=1)[:, :n_visible]

    def _fold(self, columns: Tensor) -> Tensor:
        return self.fold(columns.transpose(1, 2)).transpose(1, 2)

    def _columns(self, mel: Tensor, *, hide: bool) -> Tensor:
        padded = pad_frames(mel, STRIDE)
        windows = cut(padded, self.config.context * STRIDE)  # (B', n_mels, 16 N')
        words = self._words(windows)
        places = time_places(windows.shape[2] // STRIDE, self.config.width).to(words)[:, None] + self.row_places
        words = words + places.flatten(0, 1)
        words = self._read_some(words) if hide else self._read(words)
        columns = torch.unflatten(words, 1, (-1, self.rows)).flatten(2).transpose(1, 2)  # (B', rows * width, N')
        return join(columns, mel.shape[0])[..., : padded.shape[2] // STRIDE]

    def _words(self, mel: Tensor) -> Tensor:
        """``(B, n_mels, 16 N) -> (B, N * rows, width)``, the rows of a column beside each other."""
        padded = F.pad(mel, (0, 0, 0, -mel.shape[1] % self.config.patch_bands))
        cells = torch.unflatten(torch.unflatten(padded, 2, (-1, STRIDE)), 1, (self.rows, -1))  # (B, rows, bands, N, 16)
        return self.words(cells.permute(0, 3, 1, 2, 4).flatten(3).flatten(1, 2))

    def _read(self, words: Tensor) -> Tensor:
        for block in self.blocks:
            words = block(words)
        return self.norm(words)

    def _read_some(self, words: Tensor) -> Tensor:
        """Read the words that are left; the others are one learned word, the same everywhere."""
        visible = self.draw_visible(*words.shape[:2]).to(words.device)[..., None].expand(-1, -1, words.shape[2])
        return self.hidden_word.expand_as(words).scatter(1, visible, self._read(words.gather(1, visible)))
