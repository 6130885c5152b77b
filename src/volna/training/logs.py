"""TensorBoard logs of a training, where TensorBoard is installed; nothing where it is not."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

__all__ = ["can_log", "open_log"]


def can_log() -> bool:
    """Whether TensorBoard is installed; it is not imported for that."""
    return importlib.util.find_spec("tensorboard") is not None


def open_log(folder: Path | None) -> Callable[[Mapping[str, Any]], None]:
    """A function that logs one validation: every finite number in it but ``step``, at its step.

    Examples
    --------
    >>> open_log(None)({"step": 50, "val_loss": 0.8})
    """
    if folder is None or not can_log():
        return lambda entry: None
    from torch.utils.tensorboard import SummaryWriter

    writer = SummaryWriter(str(folder))

    def log(entry: Mapping[str, Any]) -> None:
        for name, value in entry.items():
            if name != "step" and isinstance(value, int | float) and math.isfinite(value):
                writer.add_scalar(name, value, entry["step"])
        writer.flush()

    return log
