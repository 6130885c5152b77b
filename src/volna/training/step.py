"""One step of training: spoil the input, add the losses, move the weights; undo it where it is not finite.

The loop knows no architecture. What a model returns beside ``mel`` and ``latent`` are losses by name, added by the
weights of the settings; a model with a ``discriminator`` has it trained by an optimiser of its own, after the step.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from volna.models.layers import Normalisation, scale
from volna.training.augment import jitter_gain, mask_bands_and_frames
from volna.training.config import TrainConfig
from volna.training.devices import device_of
from volna.training.losses import CONTRAST, RECONSTRUCTION
from volna.training.state import TrainingState, move, own_parameters, undo, update_average

__all__ = ["take_step"]


def take_step(
    state: TrainingState,
    pairs: NDArray[np.float32],
    normalisation: Normalisation,
    config: TrainConfig,
    rate: float,
    done: float,
    rows: NDArray[np.float32] | None = None,
) -> None:
    """One step on pairs ``(B, 2, n_mels, T)`` in dB relative to the level, ``done`` of the training behind.

    ``rows`` ``(B, d)``, of length 1, say how alike the tracks of the batch are.
    """
    torch.manual_seed(config.seed * 1_000_003 + state.step)  # for models that draw noise
    rng = np.random.default_rng([config.seed, 3, state.step])
    clean = scale(np.concatenate([pairs[:, 0], pairs[:, 1]]), normalisation)
    clean = jitter_gain(clean, rng, config.gain)
    seen = mask_bands_and_frames(clean, rng, n_bands=config.mask_bands, n_frames=config.mask_frames)
    device = device_of(state.model)
    target = torch.from_numpy(clean).to(device)
    # Weights only move by a finite gradient of limited length, so they stay finite; running means of batch norm do not.
    buffers = [buffer.clone() for buffer in state.model.buffers()]

    state.model.train()
    state.optimizer.zero_grad(set_to_none=True)
    out = state.model(torch.from_numpy(seen).to(device))
    reconstruction = RECONSTRUCTION[config.loss](out["mel"], target)
    loss = _add_others(reconstruction, out, state, config, done, _wanted(rows, config, device))
    torch.autograd.backward(loss)
    length = torch.nn.utils.clip_grad_norm_(own_parameters(state.model), config.clip)

    state.step += 1
    if torch.isfinite(loss) and torch.isfinite(length):
        move(state.optimizer, rate)
        if state.opponent is not None and config.weight("adversarial", 1.0):
            _train_discriminator(state, out["mel"].detach(), target, config, rate)
        update_average(state, config.ema)
        state.losses.append(float(reconstruction.detach()))
    else:
        undo(state, buffers)


def _wanted(rows: NDArray[np.float32] | None, config: TrainConfig, device: torch.device) -> Tensor | None:
    """Soft targets of the contrast, ``(B, B)``: a track that sounds like another may be taken for it now and then.

    Told that every other track is wrong, a network learns to recognise recordings; this way it learns what they share.
    """
    if rows is None or not config.softness:
        return None
    return torch.softmax(torch.from_numpy(rows @ rows.T).to(device) / config.softness, dim=1)


def _add_others(
    loss: Tensor,
    out: dict[str, Tensor],
    state: TrainingState,
    config: TrainConfig,
    done: float,
    wanted: Tensor | None,
) -> Tensor:
    """The contrast where the model has a head for it, and every loss that it names."""
    if config.contrast_weight and hasattr(state.model, "project"):
        first, second = state.model.project(out["latent"]).chunk(2)
        loss = loss + config.contrast_weight * CONTRAST[config.contrast](first, second, config.temperature, wanted)
    for name in sorted(out.keys() - {"mel", "latent"}):
        state.named.setdefault(name, []).append(float(out[name].detach()))
        if weight := config.weight(name, done):
            loss = loss + weight * out[name]
    return loss


def _train_discriminator(state: TrainingState, made: Tensor, real: Tensor, config: TrainConfig, rate: float) -> None:
    """Its own step; what the decoder's loss left in its gradients is thrown away first."""
    assert state.opponent is not None
    state.opponent.zero_grad(set_to_none=True)
    loss = state.model.discriminator_loss(made, real)
    torch.autograd.backward(loss)
    length = torch.nn.utils.clip_grad_norm_(state.model.discriminator.parameters(), config.clip)
    state.named.setdefault("discriminator", []).append(float(loss.detach()))
    if torch.isfinite(loss) and torch.isfinite(length):
        move(state.opponent, rate)
