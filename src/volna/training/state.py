"""The state of a training: all that a step changes, in one object that can be saved and taken up again.

A state file is a dictionary of tensors, numbers and texts, read with ``torch.load(weights_only=True)``: nothing in it
runs code. It is written beside and renamed, so a run killed while writing leaves the previous one.
"""

from __future__ import annotations

import copy
import io
import os
import pickle
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from volna.errors import ModelError
from volna.training.dataset import write_whole

__all__ = [
    "OPTIMIZERS",
    "TrainingState",
    "load_state",
    "move",
    "new_state",
    "own_parameters",
    "remember_best",
    "save_state",
    "undo",
    "update_average",
]

N_UNDONE_AT_MOST = 20
OPTIMIZERS: dict[str, Any] = {
    "adamw": torch.optim.AdamW,
    "adam": torch.optim.Adam,
    "sgd": lambda parameters, lr, weight_decay: torch.optim.SGD(
        parameters, lr=lr, weight_decay=weight_decay, momentum=0.9, nesterov=True
    ),
    "rmsprop": torch.optim.RMSprop,
}


@dataclass
class TrainingState:
    """Weights, their moving average, the optimiser's memory, and counters.

    ``best`` is the moving average at its lowest validation loss. ``rate_scale`` is halved by every step undone.
    ``stale`` counts validations without a better loss; ``seconds`` is the time used so far, earlier runs included.
    """

    model: Any
    average: Any
    optimizer: torch.optim.Optimizer
    opponent: torch.optim.Optimizer | None = None  # of the model's discriminator, where it has one
    step: int = 0
    seconds: float = 0.0
    rate_scale: float = 1.0
    n_undone: int = 0
    stale: int = 0
    best_loss: float = float("inf")
    best: dict[str, Tensor] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)  # of the steps since the last validation ...
    named: dict[str, list[float]] = field(default_factory=dict)  # ... and what the model names beside


_NUMBERS = ("step", "seconds", "rate_scale", "n_undone", "stale", "best_loss", "history", "losses", "named")


def new_state(model: nn.Module, optimizer: str, lr: float, weight_decay: float) -> TrainingState:
    """A training about to take its first step."""
    average = copy.deepcopy(model).eval().requires_grad_(False)
    own = OPTIMIZERS[optimizer](own_parameters(model), lr=lr, weight_decay=weight_decay)
    judge = getattr(model, "discriminator", None)
    opponent = OPTIMIZERS[optimizer](judge.parameters(), lr=lr, weight_decay=weight_decay) if judge else None
    return TrainingState(model, average, own, opponent)


def own_parameters(model: nn.Module) -> list[nn.Parameter]:
    """The parameters of a model without those of its discriminator."""
    return [p for name, p in model.named_parameters() if not name.startswith("discriminator.")]


@torch.no_grad()
def update_average(state: TrainingState, decay: float) -> None:
    """Move the average towards the weights; faster at first, so that it forgets where it began."""
    weight = 1.0 - min(decay, (1 + state.step) / (10 + state.step))
    for mean, new in zip(state.average.state_dict().values(), state.model.state_dict().values(), strict=True):
        if mean.is_floating_point():
            mean.lerp_(new, weight)
        else:
            mean.copy_(new)


def move(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """One step of an optimiser at a learning rate."""
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.step()


@torch.no_grad()
def undo(state: TrainingState, buffers: list[Tensor]) -> None:
    """Take back a step that was not finite: running means as they were, half the rate from here on.

    Raises
    ------
    ModelError
        Too many were.
    """
    for buffer, before in zip(state.model.buffers(), buffers, strict=True):
        buffer.copy_(before)
    state.rate_scale /= 2
    state.n_undone += 1
    if state.n_undone > N_UNDONE_AT_MOST:
        raise ModelError(
            f"the training does not converge: the loss was not finite {state.n_undone} times; try a lower lr"
        )


def remember_best(state: TrainingState, loss: float) -> None:
    """Keep the average where it validates best so far, and count the validations since."""
    if loss < state.best_loss:
        state.best_loss, state.stale = loss, 0
        state.best = {name: tensor.clone() for name, tensor in state.average.state_dict().items()}
    else:
        state.stale += 1


def save_state(path: Path, state: TrainingState, fingerprint: str) -> None:
    """Write the state, whole or not at all. ``fingerprint`` names the settings and the tracks that it belongs to."""
    content = {
        "fingerprint": fingerprint,
        "model": state.model.state_dict(),
        "average": state.average.state_dict(),
        "optimizer": state.optimizer.state_dict(),
        "opponent": state.opponent.state_dict() if state.opponent else None,
        "best": state.best,
        **{name: getattr(state, name) for name in _NUMBERS},
    }
    buffer = io.BytesIO()
    torch.save(content, buffer)
    write_whole(path, buffer.getvalue())


def load_state(path: str | os.PathLike[str], state: TrainingState, fingerprint: str) -> bool:
    """Take up the saved training in place of the fresh ``state``; False where there is none, or it is another's."""
    try:
        content = torch.load(path, weights_only=True)
        if content["fingerprint"] != fingerprint:
            return False
        state.model.load_state_dict(content["model"])
        state.average.load_state_dict(content["average"])
        state.optimizer.load_state_dict(content["optimizer"])
        if state.opponent:
            state.opponent.load_state_dict(content["opponent"])
        state.best = dict(content["best"])
        for name in _NUMBERS:
            setattr(state, name, content[name])
    except (OSError, RuntimeError, KeyError, TypeError, ValueError, EOFError, AttributeError, pickle.UnpicklingError):
        return False
    return True
