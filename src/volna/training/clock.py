"""How far a training is: its time out of a budget, its learning rate, what is told of it on the way."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from typing import Any

from volna.training.state import TrainingState

__all__ = ["Clock", "event", "mean", "schedule"]

END_SHARE, END_AT_MOST_S = 0.08, 15.0  # of a time budget, kept for what comes after the steps
TIME_COUNTS_FROM = 0.25  # of the time


@dataclass
class Clock:
    """Time used since ``started``, out of a budget that keeps some seconds for the end."""

    started: float  # of ``time.perf_counter``, moved back by what earlier runs used
    budget_s: float | None
    _last: dict[str, float] = field(default_factory=dict)

    def seconds(self) -> float:
        return time.perf_counter() - self.started

    def fraction(self) -> float:
        """Share of the time of the loop that is used, 0 without a budget."""
        if self.budget_s is None:
            return 0.0
        return self.seconds() / max(self.budget_s - min(END_SHARE * self.budget_s, END_AT_MOST_S), 1e-9)

    def done(self, of_steps: float) -> float:
        """How much of a training is behind: of its steps, or of the time where that runs out first.

        At first steps alone decide, so that a training with time to spare is the same every time.
        """
        of_time = self.fraction()
        return min(max(of_steps, of_time if of_time > TIME_COUNTS_FROM else 0.0), 1.0)

    def over(self) -> bool:
        return self.budget_s is not None and self.seconds() > self.budget_s

    def due(self, what: str, every_s: float) -> bool:
        """True when ``every_s`` seconds passed since it was last true for ``what``, or since the first question."""
        now = time.perf_counter()
        if now - self._last.setdefault(what, now if every_s else 0.0) < every_s:
            return False
        self._last[what] = now
        return True


def schedule(done: float, warm_up: float) -> float:
    """Share of the learning rate: a line up to 1 over ``warm_up``, then half a cosine down to 0.01."""
    if done < warm_up:
        return (done + 0.01) / (warm_up + 0.01)
    return 0.01 + 0.99 * (1 + math.cos(math.pi * min((done - warm_up) / (1 - warm_up), 1.0))) / 2


def event(state: TrainingState, max_steps: int, clock: Clock) -> dict[str, Any]:
    """How far a training is, as it is told."""
    done = min(max(state.step / max_steps, clock.fraction()), 1.0)
    last = state.history[-1] if state.history else {}
    return {
        "step": state.step,
        "fraction": done,
        "train_loss": mean(state.losses) or last.get("train_loss"),
        "val_loss": last.get("val_loss"),
        "seconds": round(clock.seconds(), 2),
        "eta_s": round(clock.seconds() * (1 - done) / done, 1) if done else None,
    }


def mean(values: list[float]) -> float | None:
    """Their mean; None of none."""
    return sum(values) / len(values) if values else None
