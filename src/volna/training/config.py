"""The settings of a training: what there is to choose, what is usual, what makes no sense."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from volna.errors import InputError
from volna.features.inputs import INPUTS
from volna.models import MODELS
from volna.training.losses import CONTRAST, RECONSTRUCTION
from volna.training.state import OPTIMIZERS

__all__ = ["DEVICES", "LOSS_WEIGHTS", "TrainConfig", "check", "plain"]

DEVICES = ("auto", "cpu", "cuda")
LOSS_WEIGHTS = {
    "kl": 0.1,  # nats a cell: twice the variance that the decoder may leave, were it a Gaussian
    "memory/entropy": 2e-4,  # as in Gong et al. (2019)
    "adversarial": 0.01,
}


@dataclass(frozen=True)
class TrainConfig:
    """All settings of a training; times in seconds, ``gain`` in units of the conditioned input (about 9 dB each).

    ``input`` says what the cache holds, see `volna.features.inputs`. ``device``: ``"auto"`` is a GPU where torch finds
    one, else the processor.

    ``max_steps`` and ``time_budget_s``: whichever comes first. With ``time_budget_s=None`` the result depends on the
    seed and the data alone. ``patience`` counts validations without a better loss. ``mask_bands`` and ``mask_frames``
    are the widest masks; ``contrast_weight=0`` leaves the contrast out. ``softness`` divides the cosines of the rows
    that a training is given (see `volna.training.loop.train`) before they become soft targets; 0 for hard ones.

    ``loss_weights`` weigh what a model names beside the reconstruction, over :data:`LOSS_WEIGHTS`; a name in neither
    weighs 1. They rise from 0 along a line over the first ``loss_warm_up`` of the training. A loss of weight 0 is left
    out, the discriminator with ``adversarial``.
    """

    model: str = "conv"
    input: str = "log-mel"
    model_config: Mapping[str, Any] = field(default_factory=dict)
    loss: str = "mse"
    optimizer: str = "adamw"
    lr: float = 2e-3
    weight_decay: float = 0.01
    batch_size: int = 32
    n_frames: int = 128
    max_steps: int = 800
    time_budget_s: float | None = 300.0
    warm_up: float = 0.08
    clip: float = 1.0
    ema: float = 0.98
    mask_bands: int = 15
    mask_frames: int = 29
    gain: float = 0.3
    contrast: str = "info_nce"
    contrast_weight: float = 1.0
    temperature: float = 0.1
    softness: float = 0.25
    loss_weights: Mapping[str, float] = field(default_factory=dict)
    loss_warm_up: float = 0.3
    val_every: int = 50
    val_share: float = 0.1
    patience: int = 12
    seed: int = 0
    n_threads: int | None = None
    device: str = "auto"

    def weight(self, name: str, done: float) -> float:
        """Weight of a named loss when ``done`` of the training is behind."""
        rise = min(done / self.loss_warm_up, 1.0) if self.loss_warm_up else 1.0
        return rise * self.loss_weights.get(name, LOSS_WEIGHTS.get(name, 1.0))


def plain(config: TrainConfig) -> dict[str, Any]:
    """The settings as they are after a round trip through JSON."""
    mappings = {"model_config": dict(config.model_config), "loss_weights": dict(config.loss_weights)}
    return dict(json.loads(json.dumps(vars(config) | mappings)))


def check(config: TrainConfig) -> None:
    for setting, value, known in (
        ("model", config.model, MODELS),
        ("input", config.input, INPUTS),
        ("device", config.device, DEVICES),
        ("loss", config.loss, RECONSTRUCTION),
        ("contrast", config.contrast, CONTRAST),
        ("optimizer", config.optimizer, OPTIMIZERS),
    ):
        if value not in known:
            raise InputError(f"expected {setting} to be one of {', '.join(known)}, got {value!r}")
    for name in ("lr", "batch_size", "n_frames", "max_steps", "clip", "val_every", "temperature"):
        if not getattr(config, name) > 0:
            raise InputError(f"expected {name} above 0, got {getattr(config, name)!r}")
