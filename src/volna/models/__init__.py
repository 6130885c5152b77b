"""Autoencoders: conditioned log-mel <-> latent. One architecture a file, its frozen configuration beside it.

``MODELS`` maps the name of an architecture to its configuration and its class. The contract (see
:class:`volna.models.layers.Autoencoder`): ``encode(mel (B, n_mels, T)) -> (B, latent, ceil(T / stride))``,
``decode(latent, n_frames) -> (B, n_mels, n_frames)``, ``forward(mel) -> {"mel", "latent"}``; any number of bands, any
number of frames from one up.
"""

from __future__ import annotations

from typing import Any

from volna.models.conv import ConvAutoencoder, ConvConfig
from volna.models.pca import PcaAutoencoder, PcaConfig

__all__ = ["MODELS"]

MODELS: dict[str, tuple[Any, Any]] = {
    "conv": (ConvConfig, ConvAutoencoder),
    "pca": (PcaConfig, PcaAutoencoder),
}
