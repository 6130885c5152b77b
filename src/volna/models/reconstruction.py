"""What a model gives back of a sound, in dB, for people to look at beside the original."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from volna.models.checkpoint import Checkpoint
from volna.models.layers import condition, track_level

__all__ = ["reconstruct"]

Array = NDArray[np.float32]


@torch.inference_mode()
def reconstruct(checkpoint: Checkpoint, log_mels: Sequence[NDArray[Any]]) -> list[tuple[Array, Array]]:
    """Encode and decode the windows of one track.

    Parameters
    ----------
    checkpoint
        The model, in evaluation mode, and how its input is conditioned.
    log_mels
        The windows, each ``(n_mels, n_frames)`` in dB.

    Returns
    -------
    list of (original, reconstruction)
        Of each window, float32 ``(n_mels, n_frames)``, dB relative to the track's level. What the conditioning takes
        out of a window is put back into its reconstruction, so the two differ by the model's error alone.
    """
    if not log_mels:
        return []
    normalisation = checkpoint.normalisation
    floor, level = track_level(log_mels, normalisation.top_db)
    mean_db = np.asarray(normalisation.mean_db or (0.0,), dtype=np.float32)[:, None]
    pairs = []
    for mel, conditioned in zip(log_mels, condition(log_mels, normalisation), strict=True):
        original = np.maximum(mel.astype(np.float32, copy=False), np.float32(floor)) - np.float32(level)
        taken_out = (original - mean_db) / np.float32(normalisation.std_db) - conditioned
        decoded = checkpoint.model(torch.from_numpy(conditioned)[None])["mel"][0].numpy()
        pairs.append((original, np.asarray((decoded + taken_out) * np.float32(normalisation.std_db) + mean_db)))
    return pairs
