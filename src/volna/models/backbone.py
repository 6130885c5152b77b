"""A classifier on the encoder of an autoencoder: what was learnt without labels, and one linear layer on top.

Any of `volna.models.MODELS` serves: `conv`, whose maps keep bands and time apart, or `masked`, a transformer that reads
a spectrogram as words. The body stays as it was learnt (frozen) or is trained on with the head (fine-tuned); that is
the training's choice, not the model's. Pictures are made and conditioned as the autoencoder's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from volna.features.spectrum import MelConfig
from volna.models.checkpoint import Checkpoint, build, from_bytes
from volna.models.classifier import PictureClassifier
from volna.models.layers import pool

__all__ = ["BackboneClassifier", "BackboneConfig", "backbone_on", "mel_config_of"]


@dataclass(frozen=True)
class BackboneConfig:
    """``architecture`` and ``body``: a key of ``MODELS`` and its configuration; ``n_classes`` scores out."""

    architecture: str = "conv"
    body: Mapping[str, Any] = field(default_factory=dict)
    n_classes: int = 2
    dropout: float = 0.2


class BackboneClassifier(PictureClassifier):
    """Features of an autoencoder, their mean and spread over time, and one linear layer on the standardised ones.

    Examples
    --------
    >>> small = {"n_mels": 20, "latent": 8, "channels": (4, 4, 4, 4)}
    >>> BackboneClassifier(BackboneConfig("conv", small, n_classes=3)).eval()(torch.zeros(2, 20, 50)).shape
    torch.Size([2, 3])
    """

    def __init__(self, config: BackboneConfig) -> None:
        super().__init__()
        self.config = config
        self.body = build(config.architecture, config.body)
        self.dropout = nn.Dropout(config.dropout)
        n_features = 2 * _n_features(self.body)
        self.head = nn.Sequential(nn.BatchNorm1d(n_features, affine=False), nn.Linear(n_features, config.n_classes))

    def maps(self, mel: Tensor) -> Tensor:
        """The layer before the latent: ``(B, n_mels, T) -> (B, C, F', ceil(T / 16))``."""
        features: Tensor = self.body.features(mel)
        sizes = self.body.config
        if hasattr(sizes, "channels"):
            return torch.unflatten(features, 1, (sizes.channels[-1], -1))
        if hasattr(sizes, "patch_bands"):
            return torch.unflatten(features, 1, (-1, sizes.width)).transpose(1, 2)
        return features[:, :, None]

    def pooled(self, maps: Tensor) -> Tensor:
        return pool(maps.flatten(1, 2))


def backbone_on(checkpoint: bytes, n_classes: int) -> tuple[BackboneClassifier, Checkpoint]:
    """An untrained head on a trained autoencoder, and the checkpoint, which knows how pictures are conditioned.

    Raises
    ------
    ModelError
        The bytes are no autoencoder's.
    """
    read = from_bytes(checkpoint, source="the backbone")
    model = BackboneClassifier(BackboneConfig(read.architecture, asdict(read.config), n_classes))
    model.body.load_state_dict(read.model.state_dict())
    return model, read


def mel_config_of(checkpoint: bytes) -> MelConfig:
    """How the pictures for a backbone must be made: the log-mel that the autoencoder was trained on.

    Raises
    ------
    ModelError
        The bytes are no autoencoder's.
    """
    return MelConfig(**from_bytes(checkpoint, source="the backbone").mel_config)


def _n_features(body: Any) -> int:
    """Length of ``features`` at one place in time, found by asking."""
    parameter = next(iter(body.parameters()))
    training = body.training
    with torch.no_grad():
        n = int(body.eval().features(torch.zeros(1, body.config.n_mels, body.stride, device=parameter.device)).shape[1])
    body.train(training)
    return n
