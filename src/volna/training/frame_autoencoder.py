"""Train the small autoencoder of stacked frames on normal sounds: some seconds on one core.

Adam over random runs of frames, the rate up and down once (Smith and Topin 2019, "Super-convergence"). The same rows
and the same seed give the same layers on one machine.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from volna.errors import InputError
from volna.models.frame_autoencoder import FrameAutoencoder, FrameAutoencoderConfig, layers_of

__all__ = ["train_frames"]

BATCH = 256
HIGHEST_RATE = 4e-3
WEIGHT_DECAY = 1e-4


def train_frames(
    mels: Sequence[np.ndarray], n_stacked: int, *, latent: int = 16, n_steps: int = 300, seed: int = 0
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Learn to give back every run of ``n_stacked`` frames of some sounds.

    Parameters
    ----------
    mels
        Standardised log-mels, float32 ``(n_mels, n_frames)`` each; those shorter than a run are left out.
    n_stacked
        Frames in a run.
    latent
        Numbers in the middle of the autoencoder.
    n_steps
        Steps of 256 runs each.

    Returns
    -------
    list of (matrix, offset)
        As `volna.models.frame_autoencoder.layers_of`; the input is a run with its frames one after another.

    Raises
    ------
    InputError
        No sound is as long as a run.

    Examples
    --------
    >>> noise = np.random.default_rng(0).standard_normal((4, 100)).astype(np.float32)
    >>> len(train_frames([noise], 2, latent=2, n_steps=3))
    6
    """
    usable = [mel for mel in mels if mel.shape[1] >= n_stacked]
    if not usable:
        raise InputError(f"expected a sound of at least {n_stacked} frames to learn from, got none")
    frames = torch.from_numpy(np.ascontiguousarray(np.concatenate(usable, axis=1).T, dtype=np.float32))
    starts = torch.from_numpy(_starts([mel.shape[1] for mel in usable], n_stacked))
    run = torch.arange(n_stacked)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = FrameAutoencoder(FrameAutoencoderConfig(n_stacked * frames.shape[1], latent)).train()
        optimizer = torch.optim.AdamW(model.parameters(), HIGHEST_RATE, weight_decay=WEIGHT_DECAY)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, HIGHEST_RATE, total_steps=n_steps)
        for _ in range(n_steps):
            chosen = starts[torch.randint(len(starts), (BATCH,))]
            rows = frames[chosen[:, None] + run].flatten(1)  # (BATCH, n_stacked * n_mels)
            loss = torch.nn.functional.mse_loss(model(rows), rows)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
    return layers_of(model.eval())


def _starts(lengths: Sequence[int], n_stacked: int) -> np.ndarray:
    """Frames where a run may begin without reaching into the next sound."""
    first = np.cumsum([0, *lengths[:-1]])
    return np.concatenate([begin + np.arange(n - n_stacked + 1) for begin, n in zip(first, lengths, strict=True)])
