"""The plain loop of the models that make sound: vocoder, denoiser, codec, generator.

A step draws a batch, adds the losses and moves the weights; a step that is not finite is undone at a lower rate. The
learning rate warms up and falls along a cosine over whichever runs out first, steps or time. A moving average of the
weights is what is validated and kept: the best one, or the last where nothing is held out.

Everything random depends on the seed and the number of the step, so a training that was killed and taken up again ends
at the very same weights (one machine, a number of steps given, no time budget).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from volna.errors import InputError
from volna.training.clock import Clock, event, mean, schedule
from volna.training.state import (
    TrainingState,
    load_state,
    move,
    new_state,
    own_parameters,
    remember_best,
    save_state,
    undo,
    update_average,
)

__all__ = ["FitConfig", "Fitted", "fit", "run_through"]

SAVE_EVERY_S = 20.0
REPORT_EVERY_S = 0.5

Losses = Tensor | Mapping[str, Tensor]


@dataclass(frozen=True)
class FitConfig:
    """Settings of a training; ``max_steps`` and ``time_budget_s``: whichever comes first.

    ``patience`` counts validations without a better loss. With ``time_budget_s=None`` the result depends on the seed
    and the data alone.
    """

    lr: float = 1e-3
    weight_decay: float = 0.01
    max_steps: int = 20_000
    time_budget_s: float | None = 600.0
    warm_up: float = 0.03
    clip: float = 1.0
    ema: float = 0.999
    val_every: int = 200
    patience: int = 25
    seed: int = 0


@dataclass
class Fitted:
    """The kept weights in evaluation mode, one dict a validation, and what was used in plain JSON values."""

    model: Any
    history: list[dict[str, Any]]
    summary: dict[str, Any]


def fit(
    model: nn.Module,
    draw: Callable[[np.random.Generator], Any],
    loss_of: Callable[[Any, Any, float], Losses],
    *,
    validate: Callable[[Any], float] | None,
    config: FitConfig | None = None,
    state_file: Path | None = None,
    fingerprint: str = "",
    judge_loss_of: Callable[[Any, Any], Tensor] | None = None,
) -> Generator[dict[str, Any], None, Fitted]:
    """Train a model, as a generator of progress events that returns what is kept.

    Parameters
    ----------
    model
        Changed in place. A part called ``discriminator`` is left to ``judge_loss_of``.
    draw
        Makes the batch of a step from its generator of random numbers.
    loss_of
        Loss of ``(model, batch, done)``, ``done`` the share of the training that is behind; several are added up.
    validate
        Loss of the averaged model on what is held out, the lower the better; None to keep the last average.
    state_file
        Where the training is saved about every 20 s and at its end, and taken up from. None: it is not.
    fingerprint
        Names the settings and the sounds; the state of another one is left aside.
    judge_loss_of
        Loss of the discriminator, ``(model, batch)``; it has an optimiser and a step of its own.

    Raises
    ------
    InputError
        A setting that makes no sense.
    ModelError
        The loss stays not finite.

    Examples
    --------
    >>> line, config = nn.Linear(1, 1), FitConfig(max_steps=50, time_budget_s=None)
    >>> steps = fit(line, lambda rng: torch.ones(4, 1), lambda m, x, done: (m(x) - 2 * x).square().mean(),
    ...             validate=None, config=config)
    >>> run_through(steps).summary["steps"]
    50
    """
    config = config or FitConfig()
    _check(config)
    state = new_state(model, "adamw", config.lr, config.weight_decay)
    resumed = state_file is not None and load_state(state_file, state, fingerprint)
    clock = Clock(time.perf_counter() - state.seconds, config.time_budget_s)
    while (stopped := _why_stop(state, config, clock)) is None:
        done = clock.done(state.step / config.max_steps)
        rng = np.random.default_rng([config.seed, 21, state.step])
        torch.manual_seed(config.seed * 1_000_003 + state.step)  # for what draws noise or drops out
        _take_step(state, draw(rng), loss_of, judge_loss_of, config, done)
        state.seconds = clock.seconds()
        if state.step % config.val_every == 0 or state.step == config.max_steps:
            _validate(state, validate)
        if state_file is not None and clock.due("save", SAVE_EVERY_S):
            save_state(state_file, state, fingerprint)
        if state.step == 1 or clock.due("report", REPORT_EVERY_S):
            yield event(state, config.max_steps, clock)
    if not state.history or state.history[-1]["step"] != state.step:
        _validate(state, validate)
    if state_file is not None:
        save_state(state_file, state, fingerprint)
    if state.best:
        state.average.load_state_dict(state.best)
    summary = {"steps": state.step, "seconds": round(state.seconds, 1), "stopped": stopped, "resumed": resumed}
    summary |= {"n_undone": state.n_undone, "val_loss": state.best_loss if state.best else None, "seed": config.seed}
    return Fitted(state.average.eval(), state.history, summary)


def run_through(
    steps: Generator[dict[str, Any], None, Fitted], progress: Callable[[dict[str, Any]], None] | None = None
) -> Fitted:
    """Run a training to its end in this process, and return its result."""
    while True:
        try:
            event = next(steps)
        except StopIteration as stop:
            return stop.value
        if progress:
            progress(event)


def _check(config: FitConfig) -> None:
    for name in ("lr", "max_steps", "clip", "val_every", "patience"):
        if not getattr(config, name) > 0:
            raise InputError(f"expected {name} above 0, got {getattr(config, name)!r}")
    if config.time_budget_s is not None and not config.time_budget_s > 0:
        raise InputError(f"expected a time budget above 0 s, got {config.time_budget_s:g}")


def _take_step(
    state: TrainingState,
    batch: Any,
    loss_of: Callable[[Any, Any, float], Losses],
    judge_loss_of: Callable[[Any, Any], Tensor] | None,
    config: FitConfig,
    done: float,
) -> None:
    rate = config.lr * state.rate_scale * schedule(done, config.warm_up)
    buffers = [buffer.clone() for buffer in state.model.buffers()]  # running means take in what is not finite
    state.model.train()
    state.optimizer.zero_grad(set_to_none=True)
    losses = loss_of(state.model, batch, done)
    loss = losses if isinstance(losses, Tensor) else torch.stack(list(losses.values())).sum()
    torch.autograd.backward(loss)
    length = torch.nn.utils.clip_grad_norm_(own_parameters(state.model), config.clip)
    state.step += 1
    if not (torch.isfinite(loss) and torch.isfinite(length)):
        undo(state, buffers)
        return
    move(state.optimizer, rate)
    state.losses.append(float(loss.detach()))
    if not isinstance(losses, Tensor):
        for name, value in losses.items():
            state.named.setdefault(name, []).append(float(value.detach()))
    if judge_loss_of is not None and state.opponent is not None:
        _train_judge(state, batch, judge_loss_of, config, rate)
    update_average(state, config.ema)


def _train_judge(
    state: TrainingState, batch: Any, judge_loss_of: Callable[[Any, Any], Tensor], config: FitConfig, rate: float
) -> None:
    """A step of the discriminator; what the model's own loss left in its gradients is thrown away first."""
    assert state.opponent is not None
    state.opponent.zero_grad(set_to_none=True)
    loss = judge_loss_of(state.model, batch)
    torch.autograd.backward(loss)
    length = torch.nn.utils.clip_grad_norm_(state.model.discriminator.parameters(), config.clip)
    state.named.setdefault("discriminator", []).append(float(loss.detach()))
    if torch.isfinite(loss) and torch.isfinite(length):
        move(state.opponent, rate)


@torch.no_grad()
def _validate(state: TrainingState, validate: Callable[[Any], float] | None) -> None:
    entry: dict[str, Any] = {"step": state.step, "train_loss": mean(state.losses), "seconds": round(state.seconds, 2)}
    if validate is not None:
        loss = float(validate(state.average.eval()))
        remember_best(state, loss if math.isfinite(loss) else math.inf)
        entry["val_loss"] = loss
    state.history.append(entry | {name: mean(values) for name, values in state.named.items()})
    state.losses, state.named = [], {}


def _why_stop(state: TrainingState, config: FitConfig, clock: Clock) -> str | None:
    if state.step >= config.max_steps:
        return "steps"
    if clock.fraction() >= 1.0 and state.step:
        return "time"
    return "early" if state.stale >= config.patience else None
