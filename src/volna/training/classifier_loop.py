"""The loop of a classifier: draw, step, validate on whole groups held out, stop where that no longer helps.

A source gives what the network is fed: windows of pictures, changed anew at every step, or, for a frozen body, what it
saw in each window. The network maps either to one score a class.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from volna.errors import ModelError
from volna.models.classifier_use import cut_windows, mean_scores
from volna.models.precision import short_numbers
from volna.training.classifier_data import Augment, class_weights, draw_windows, mix_up, spoil
from volna.training.clock import Clock, event, schedule
from volna.training.state import TrainingState, new_state, remember_best, update_average

__all__ = [
    "REPORT_EVERY_S",
    "FeatureSource",
    "Fitted",
    "Recipe",
    "Source",
    "WindowSource",
    "best_temperature",
    "fit_steps",
    "scores_of",
]

Array = NDArray[np.float32]

REPORT_EVERY_S = 0.5
FEWEST_STEPS = 5  # however little time there is
TEMPERATURES = np.geomspace(0.5, 6.0, 97)  # not lower: a part held out that is all right would make it sure of all


@dataclass(frozen=True)
class Recipe:
    """Settings of a training.

    ``n_epochs`` over the sounds, within ``least_steps`` and ``most_steps``; ``warm_up`` the share over which the rate
    rises before it falls along a cosine; ``ema`` of the average that is kept; ``smoothing`` of the labels; validated
    ``n_validations`` times, and stopped after ``patience`` of them without a better loss.
    """

    lr: float = 3e-3
    weight_decay: float = 0.02
    batch_size: int = 32
    n_epochs: int = 40
    least_steps: int = 200
    most_steps: int = 500
    warm_up: float = 0.1
    ema: float = 0.98
    clip: float = 2.0
    smoothing: float = 0.05
    n_validations: int = 12
    patience: int = 5
    augment: Augment = field(default_factory=Augment)

    def steps(self, n_sounds: int) -> int:
        """Number of steps for so many sounds."""
        wanted = math.ceil(self.n_epochs * n_sounds / self.batch_size)
        return min(max(wanted, self.least_steps), self.most_steps)


class Source(Protocol):
    """Sounds as inputs of a network: some of each at random for a step, all of each to judge."""

    def draw(self, chosen: Sequence[int], rng: np.random.Generator, augment: Augment) -> Tensor: ...

    def whole(self, sound: int) -> Tensor: ...


@dataclass(frozen=True)
class WindowSource:
    """Windows of ``n_frames`` of conditioned pictures, each ``(n_mels, n_frames of the sound)``."""

    pictures: Sequence[Array]
    n_frames: int

    def draw(self, chosen: Sequence[int], rng: np.random.Generator, augment: Augment) -> Tensor:
        return spoil(draw_windows([self.pictures[i] for i in chosen], self.n_frames, rng, augment), rng, augment)

    def whole(self, sound: int) -> Tensor:
        return torch.from_numpy(cut_windows(self.pictures[sound], self.n_frames))


@dataclass(frozen=True)
class FeatureSource:
    """What a frozen body saw: ``(k, n_features)`` of each sound, a row a window."""

    features: Sequence[Tensor]

    def draw(self, chosen: Sequence[int], rng: np.random.Generator, augment: Augment) -> Tensor:
        return torch.stack([self.features[i][int(rng.integers(len(self.features[i])))] for i in chosen])

    def whole(self, sound: int) -> Tensor:
        return self.features[sound]


@dataclass(frozen=True)
class Fitted:
    """A network as it is kept, the step that it is of, and its loss on what was held out (NaN where nothing was)."""

    network: nn.Module
    step: int
    loss: float
    history: list[dict[str, Any]]
    stopped: str


def fit_steps(
    network: nn.Module,
    source: Source,
    labels: NDArray[np.int64],
    held: NDArray[np.bool_],
    n_classes: int,
    recipe: Recipe,
    n_steps: int,
    clock: Clock,
    seed: int,
) -> Generator[dict[str, Any], None, Fitted]:
    """Train on the sounds that are not ``held``, as a generator of its progress events.

    Raises
    ------
    ModelError
        The loss is not finite.
    """
    state = new_state(network, "adamw", recipe.lr, recipe.weight_decay)
    weights = torch.from_numpy(class_weights(labels[~held], n_classes))
    order = _orders(np.flatnonzero(~held), recipe.batch_size, seed)
    held_out = np.flatnonzero(held).tolist()
    every = max(1, n_steps // recipe.n_validations)
    stopped = "steps"
    while state.step < n_steps:
        done = clock.done(state.step / n_steps)
        if done >= 1.0 and state.step >= FEWEST_STEPS:
            stopped = "time"
            break
        chosen = next(order)
        loss = _take_step(state, source, chosen, labels[chosen], weights, recipe, schedule(done, recipe.warm_up), seed)
        if not math.isfinite(loss):
            raise ModelError("the training does not converge: the loss is not finite")
        state.losses.append(loss)
        if held_out and (state.step % every == 0 or state.step == n_steps):
            _validate(state, source, labels, held_out, weights)
            if state.stale >= recipe.patience:
                stopped = "early"
                break
        if state.step == 1 or clock.due("report", REPORT_EVERY_S):
            yield event(state, n_steps, clock)
    if not state.best:
        return Fitted(state.average, state.step, math.nan, state.history, stopped)
    state.average.load_state_dict(state.best)
    best = min(state.history, key=lambda entry: float(entry["val_loss"]))
    return Fitted(state.average, int(best["step"]), state.best_loss, state.history, stopped)


def scores_of(network: nn.Module, source: Source, sounds: Sequence[int]) -> NDArray[np.float64]:
    """Scores of whole sounds, the mean over their windows: ``(n, n_classes)``, before the softmax."""
    return mean_scores(network.eval(), (source.whole(sound) for sound in sounds))


def best_temperature(scores: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """What scores are divided by so that their softmax is likeliest: temperature scaling (Guo et al. 2017).

    Examples
    --------
    >>> sure = np.array([[9.0, 0.0], [9.0, 0.0], [0.0, 9.0], [9.0, 0.0]])
    >>> best_temperature(sure, np.array([0, 0, 1, 1])) > 2  # one of four is wrong: not that sure
    True
    """
    losses = []
    for temperature in TEMPERATURES:
        scaled = scores / temperature
        scaled = scaled - scaled.max(axis=1, keepdims=True)
        log_total = np.log(np.exp(scaled).sum(axis=1))
        losses.append(float(np.mean(log_total - scaled[np.arange(len(labels)), labels])))
    return float(TEMPERATURES[int(np.argmin(losses))])


def _take_step(
    state: TrainingState,
    source: Source,
    chosen: NDArray[np.intp],
    labels: NDArray[np.int64],
    weights: Tensor,
    recipe: Recipe,
    rate: float,
    seed: int,
) -> float:
    rng = np.random.default_rng([seed, 12, state.step])
    torch.manual_seed(seed * 1_000_003 + state.step)  # for what is dropped out
    inputs = source.draw(chosen.tolist(), rng, recipe.augment)
    n_classes = len(weights)
    targets = F.one_hot(torch.from_numpy(labels), n_classes).float()
    targets = targets * (1 - recipe.smoothing) + recipe.smoothing / n_classes
    inputs, targets = mix_up(inputs, targets, rng, recipe.augment.mix_up)
    state.model.train()
    state.optimizer.zero_grad(set_to_none=True)
    with torch.autocast("cpu", torch.bfloat16, enabled=short_numbers()):
        scores = state.model(inputs)
    loss = _loss(scores.float(), targets, weights)
    torch.autograd.backward(loss)
    torch.nn.utils.clip_grad_norm_([p for p in state.model.parameters() if p.grad is not None], recipe.clip)
    for group in state.optimizer.param_groups:
        group["lr"] = recipe.lr * rate
    state.optimizer.step()
    state.step += 1
    update_average(state, recipe.ema)
    return float(loss.detach())


def _loss(scores: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Cross-entropy with shares of classes as targets, each class by its weight."""
    return -(targets * weights * F.log_softmax(scores, dim=1)).sum(dim=1).mean()


def _validate(
    state: TrainingState, source: Source, labels: NDArray[np.int64], held_out: list[int], weights: Tensor
) -> None:
    scores = torch.from_numpy(scores_of(state.average, source, held_out)).float()
    wanted = F.one_hot(torch.from_numpy(labels[held_out]), len(weights)).float()
    loss = float(_loss(scores, wanted, weights))
    accuracy = float((scores.argmax(dim=1).numpy() == labels[held_out]).mean())
    remember_best(state, loss if math.isfinite(loss) else math.inf)
    train_loss = sum(state.losses) / len(state.losses) if state.losses else math.nan
    state.history.append({"step": state.step, "train_loss": train_loss, "val_loss": loss, "val_accuracy": accuracy})
    state.losses = []


def _orders(sounds: NDArray[np.intp], batch_size: int, seed: int) -> Generator[NDArray[np.intp], None, None]:
    """Batches without end, every sound once before any comes again; a small set fills a batch more than once."""
    rng = np.random.default_rng([seed, 13])
    queue = np.empty(0, dtype=np.intp)
    while True:
        while len(queue) < batch_size:
            queue = np.concatenate([queue, rng.permutation(sounds)])
        yield queue[:batch_size]
        queue = queue[batch_size:]
