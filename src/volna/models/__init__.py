"""Autoencoders: conditioned log-mel <-> latent. One architecture a file, its frozen configuration beside it.

``MODELS`` maps the name of an architecture to its configuration and its class. The contract (see
:class:`volna.models.layers.Autoencoder`): ``encode(mel (B, n_mels, T)) -> (B, latent, ceil(T / stride))``,
``decode(latent, n_frames) -> (B, n_mels, n_frames)``, ``forward(mel) -> {"mel", "latent", ...}``; any number of bands,
any number of frames from one up. What else ``forward`` returns are scalars, losses by name such as ``kl``, which
training adds by their weights. A model that has a ``discriminator`` has its ``discriminator_loss`` too.
"""

from __future__ import annotations

from typing import Any

from volna.models.adversarial import AdversarialAutoencoder, AdversarialConfig
from volna.models.conv import ConvAutoencoder, ConvConfig
from volna.models.denoising import DenoisingAutoencoder, DenoisingConfig
from volna.models.dense import DenseAutoencoder, DenseConfig
from volna.models.masked import MaskedAutoencoder, MaskedConfig
from volna.models.memory import MemoryAutoencoder, MemoryConfig
from volna.models.pca import PcaAutoencoder, PcaConfig
from volna.models.recurrent import RecurrentAutoencoder, RecurrentConfig
from volna.models.variational import VariationalAutoencoder, VariationalConfig
from volna.models.wave import WaveAutoencoder, WaveConfig

__all__ = ["MODELS"]

MODELS: dict[str, tuple[Any, Any]] = {
    "conv": (ConvConfig, ConvAutoencoder),
    "pca": (PcaConfig, PcaAutoencoder),
    "dense": (DenseConfig, DenseAutoencoder),
    "recurrent": (RecurrentConfig, RecurrentAutoencoder),
    "memory": (MemoryConfig, MemoryAutoencoder),
    "variational": (VariationalConfig, VariationalAutoencoder),
    "denoising": (DenoisingConfig, DenoisingAutoencoder),
    "masked": (MaskedConfig, MaskedAutoencoder),
    "adversarial": (AdversarialConfig, AdversarialAutoencoder),
    "wave": (WaveConfig, WaveAutoencoder),
}
