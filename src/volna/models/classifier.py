"""Networks that name a picture: a small convolutional one, and one that reads on in time with a recurrent layer.

Both take conditioned log-mels ``(B, n_mels, T)`` of any length from one frame up and give one score per class,
``(B, n_classes)``, before the softmax. Both begin with one layer of 5 x 5 filters over the picture itself, which are
few and large enough to be looked at.

The contract of every classifier, here and in `volna.models.backbone` and `volna.models.vision`: ``maps(mel)`` are
features with a place, ``(B, C, F', T')``, which a class-activation picture weighs; ``pooled(maps)`` are features of the
whole, ``(B, D)``, which a frozen body is asked for once; ``head`` makes scores of them.

A convolution slides over frequency as over time, but a tone at 200 Hz is not one at 400. The place of each band is
given as a second channel beside the picture, and the classes are read from each part of the spectrum by itself: the
mean over all bands in their place cost .12 of digits of unheard speakers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["CLASSIFIERS", "CnnClassifier", "CnnConfig", "CrnnClassifier", "CrnnConfig", "PictureClassifier"]

SEEN_AFTER = 2  # layers: fine enough to show where (16 parts of 64 bands, 40 ms), late enough to know what


@dataclass(frozen=True)
class CnnConfig:
    """``n_mels`` bands in, ``n_classes`` scores out; ``channels`` of the layers, the first of which are the filters.

    ``time`` divides the frames at each layer, as 2 divides the bands; ``dropout`` is of what the classes are read from.
    """

    n_mels: int = 64
    n_classes: int = 2
    channels: tuple[int, ...] = (16, 32, 64, 128)
    time: tuple[int, ...] = (2, 2, 2, 1)
    dropout: float = 0.3


@dataclass(frozen=True)
class CrnnConfig:
    """As :class:`CnnConfig`; ``hidden`` units of the recurrent layer, each way."""

    n_mels: int = 64
    n_classes: int = 2
    channels: tuple[int, ...] = (16, 32, 64)
    time: tuple[int, ...] = (2, 2, 1)
    hidden: int = 64
    dropout: float = 0.3


class PictureClassifier(nn.Module):
    """What every classifier shares: scores from pooled maps, ``(B, n_mels, T) -> (B, n_classes)``."""

    config: Any
    dropout: nn.Module
    head: nn.Module

    def maps(self, mel: Tensor) -> Tensor:
        """Features with a place: ``(B, n_mels, T) -> (B, C, F', T')``."""
        raise NotImplementedError

    def pooled(self, maps: Tensor) -> Tensor:
        """Features of the whole: ``(B, C, F', T') -> (B, D)``."""
        raise NotImplementedError

    def read(self, maps: Tensor) -> Tensor:
        """Scores from the maps: ``(B, C, F', T') -> (B, n_classes)``."""
        return self.head(self.dropout(self.pooled(maps)))

    def forward(self, mel: Tensor) -> Tensor:
        return self.read(self.maps(mel))


class CnnClassifier(PictureClassifier):
    """Convolutions, then the mean and the maximum over time, in each part of the spectrum.

    Examples
    --------
    >>> CnnClassifier(CnnConfig(n_classes=10)).eval()(torch.zeros(2, 64, 37)).shape
    torch.Size([2, 10])
    """

    def __init__(self, config: CnnConfig) -> None:
        super().__init__()
        self.config = config
        self.layers = _layers(config.channels, config.time)
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(config.channels[-1] * _parts(config), config.n_classes)

    def maps(self, mel: Tensor) -> Tensor:
        return self.layers[:SEEN_AFTER](_with_places(mel))

    def pooled(self, maps: Tensor) -> Tensor:
        parts = self.layers[SEEN_AFTER:](maps).flatten(1, 2)  # (B, C * F', T')
        return parts.mean(dim=2) + parts.amax(dim=2)


class CrnnClassifier(PictureClassifier):
    """Convolutions, then a GRU over the frames both ways, and the mean and maximum of its states over time.

    Examples
    --------
    >>> CrnnClassifier(CrnnConfig(n_classes=10)).eval()(torch.zeros(2, 64, 37)).shape
    torch.Size([2, 10])
    """

    def __init__(self, config: CrnnConfig) -> None:
        super().__init__()
        self.config = config
        self.layers = _layers(config.channels, config.time)
        self.recurrent = nn.GRU(
            config.channels[-1] * _parts(config), config.hidden, batch_first=True, bidirectional=True
        )
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(2 * config.hidden, config.n_classes)

    def maps(self, mel: Tensor) -> Tensor:
        return self.layers[:SEEN_AFTER](_with_places(mel))

    def pooled(self, maps: Tensor) -> Tensor:
        parts = self.layers[SEEN_AFTER:](maps).flatten(1, 2).transpose(1, 2)  # (B, T', C * F')
        states, _ = self.recurrent(self.dropout(parts))  # (B, T', 2 * hidden)
        return states.mean(dim=1) + states.amax(dim=1)


def _parts(config: CnnConfig | CrnnConfig) -> int:
    """Parts of the spectrum that are left after the last layer."""
    n_bands = config.n_mels
    for _ in config.channels:
        n_bands = -(-n_bands // 2)
    return n_bands


def _with_places(mel: Tensor) -> Tensor:
    """The picture and the place of each band in [-1, 1]: ``(B, n_mels, T) -> (B, 2, n_mels, T)``."""
    places = torch.linspace(-1.0, 1.0, mel.shape[1], device=mel.device)[None, :, None].expand_as(mel)
    return torch.stack([mel, places], dim=1)


class _First(nn.Sequential):
    """5 x 5 filters over the picture, batch norm, ReLU: ``(B, 2, F, T) -> (B, C, F / 2, T / time)``, rounded up."""

    def __init__(self, n_out: int, time: int) -> None:
        conv = nn.Conv2d(2, n_out, 5, stride=(2, time), padding=2, bias=False)
        super().__init__(conv, nn.BatchNorm2d(n_out), nn.ReLU())


class _Layer(nn.Sequential):
    """3 x 3 filters, batch norm, ReLU, mean over cells: ``(B, C, F, T) -> (B, C', F / 2, T / time)``, rounded up."""

    def __init__(self, n_in: int, n_out: int, time: int) -> None:
        conv = nn.Conv2d(n_in, n_out, 3, padding=1, bias=False)
        pool = nn.AvgPool2d((2, time), ceil_mode=True, count_include_pad=False)
        super().__init__(conv, nn.BatchNorm2d(n_out), nn.ReLU(), pool)


def _layers(channels: tuple[int, ...], time: tuple[int, ...]) -> nn.Sequential:
    rest = zip(channels[:-1], channels[1:], time[1:], strict=True)
    return nn.Sequential(_First(channels[0], time[0]), *(_Layer(a, b, t) for a, b, t in rest))


CLASSIFIERS: dict[str, tuple[Any, Any]] = {"cnn": (CnnConfig, CnnClassifier), "crnn": (CrnnConfig, CrnnClassifier)}
