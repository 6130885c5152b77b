"""Where a training runs: the processor, or a GPU where torch finds one."""

from __future__ import annotations

from itertools import chain
from typing import Any

import torch

from volna.errors import InputError

__all__ = ["choose_device", "device_of"]


def choose_device(name: str) -> torch.device:
    """The device of a name: ``"auto"`` is a GPU where torch finds one, else the processor.

    Raises
    ------
    InputError
        ``"cuda"`` was asked for and there is none.

    Examples
    --------
    >>> choose_device("cpu")
    device(type='cpu')
    """
    found = torch.cuda.is_available()
    if name == "cuda" and not found:
        raise InputError("device cuda: torch finds no GPU here (the CPU build has none); use --device cpu or auto")
    return torch.device("cuda" if found and name != "cpu" else "cpu")


def device_of(model: Any) -> torch.device:
    """Where the weights of a model lie."""
    return next(tensor.device for tensor in chain(model.parameters(), model.buffers()))
