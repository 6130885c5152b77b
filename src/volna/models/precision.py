"""Which numbers a processor is quick with."""

from __future__ import annotations

from functools import lru_cache

import torch

__all__ = ["short_numbers"]


@lru_cache(maxsize=1)
def short_numbers() -> bool:
    """Whether this processor multiplies bfloat16 by itself; a step then takes half the time and learns as much."""
    found = torch.cpu.get_capabilities()
    return bool(found.get("avx512_bf16") or found.get("amx_bf16"))
