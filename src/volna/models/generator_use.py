"""A generator at work: numpy in, numpy out.

Pictures are those of `volna.tasks.generation.sounds`, float32 ``(n_mels, n_frames)``; latents ``(latent, n)``.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from volna.features.frames import Floats
from volna.models.generator import Generator

__all__ = ["decoded", "encoded"]

MARGIN = 4  # latents of silence at both ends, so that a sound begins and ends as it did in training


@torch.inference_mode()
def encoded(model: Generator, picture: NDArray, silence: float) -> Floats:
    """The latents of a picture, float32 ``(latent, ceil(n_frames / stride))``."""
    n = -(-picture.shape[1] // model.stride)
    around = MARGIN * model.stride
    missing = n * model.stride - picture.shape[1]
    padded = np.pad(picture, ((0, 0), (around, around + missing)), constant_values=silence)
    latent = model.encode(torch.from_numpy(np.asarray(padded, np.float32))[None])[0].numpy()
    return np.asarray(latent[:, MARGIN : MARGIN + n])


@torch.inference_mode()
def decoded(model: Generator, latent: NDArray, n_frames: int, silence: float) -> tuple[Floats, Floats]:
    """The picture of latents ``(latent, n)``, and how far cells lie from it on average; ``(n_mels, n_frames)`` each."""
    quiet = torch.full((1, model.config.n_mels, (2 * MARGIN + 1) * model.stride), silence)
    edge = model.encode(quiet)[:, :, MARGIN : MARGIN + 1].expand(1, -1, MARGIN)
    whole = torch.cat([edge, torch.from_numpy(np.asarray(latent, np.float32))[None], edge], dim=2)
    picture, log_spread = model.decode_spread(whole)
    first = MARGIN * model.stride
    parts = (picture, log_spread.exp())
    made, spread = (part[0, :, first : first + n_frames].numpy() for part in parts)
    return np.asarray(made), np.asarray(spread)
