"""Training of the autoencoder of a generator on pictures of sounds.

A step sees short cuts of many sounds. The loss is the absolute and the squared error of a cell, a little of the ``kl``
that keeps latents near a Gaussian, and the likelihood of the error under the spread that the decoder says for every
cell (Laplace), from which the grain of the sound is drawn again.
"""

from __future__ import annotations

from collections.abc import Generator as Steps
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from volna.errors import InputError
from volna.models.generator import Generator, GeneratorConfig
from volna.models.precision import short_numbers
from volna.training.fit import FitConfig, Fitted, fit

__all__ = ["GeneratorTraining", "Pictures", "cut_out", "train_generator"]

Floats = NDArray[np.float32]

N_PATCHES = 20_000  # that the linear path is fitted on
N_HELD = 64  # cuts that validate
SPREAD_WEIGHT = 0.1


@dataclass(frozen=True)
class GeneratorTraining:
    """Settings: sizes of the `Generator`, cuts of ``n_frames``, ``batch_size`` of them a step, weight of ``kl``."""

    latent: int = 32
    stride: int = 4
    dim: int = 160
    depth: int = 3
    n_frames: int = 64
    batch_size: int = 32
    kl_weight: float = 0.02
    fit: FitConfig = field(default_factory=lambda: FitConfig(lr=1e-3, ema=0.998, val_every=100))


@dataclass(frozen=True)
class Pictures:
    """What is trained on: for every sound its pictures ``(n_mels, n_frames)``, as at several pitches.

    ``held`` are pictures of other sounds, to validate on; ``silence`` is the value of a cell where nothing is.
    """

    sounds: Sequence[Sequence[NDArray]]
    held: Sequence[NDArray]
    silence: float


def train_generator(
    pictures: Pictures, settings: GeneratorTraining, *, state_file: Path | None = None, fingerprint: str = ""
) -> Steps[dict[str, Any], None, Fitted]:
    """Train a `Generator`, as `volna.training.fit.fit` does.

    Raises
    ------
    InputError
        No pictures, or a setting that makes no sense.

    Examples
    --------
    >>> from volna.training.fit import run_through
    >>> pictures = Pictures([[np.zeros((8, 40), np.float32)]], [], silence=-1.5)
    >>> tiny = GeneratorTraining(latent=2, dim=8, depth=1, batch_size=2, fit=FitConfig(max_steps=2, time_budget_s=None))
    >>> run_through(train_generator(pictures, tiny)).summary["steps"]
    2
    """
    if not pictures.sounds:
        raise InputError("expected the pictures of one sound at least, got none")
    torch.manual_seed(settings.fit.seed)
    n_mels, n = len(pictures.sounds[0][0]), settings.n_frames
    sizes = {name: getattr(settings, name) for name in ("latent", "stride", "dim", "depth")}
    model = Generator(GeneratorConfig(n_mels=n_mels, **sizes))

    def draw(rng: np.random.Generator, n_cuts: int = settings.batch_size) -> Tensor:
        chosen = [pictures.sounds[int(k)] for k in rng.integers(len(pictures.sounds), size=n_cuts)]
        return torch.from_numpy(
            np.stack([cut_out(each[int(rng.integers(len(each)))], n, pictures.silence, rng) for each in chosen])
        )

    def loss_of(model: Any, mel: Tensor, done: float) -> dict[str, Tensor]:
        with torch.autocast("cpu", torch.bfloat16, enabled=short_numbers()):
            out = model(mel)
        error = out["mel"].float() - mel
        log_spread = out["log_spread"].float()
        likely = log_spread + error.detach().abs() * (-log_spread).exp()
        return {
            "error": error.abs().mean() + error.square().mean(),
            "kl": settings.kl_weight * out["kl"].float(),
            "spread": SPREAD_WEIGHT * likely.mean(),
        }

    rng = np.random.default_rng([settings.fit.seed, 22])
    held = (
        [cut_out(pictures.held[k % len(pictures.held)], n, pictures.silence, rng) for k in range(N_HELD)]
        if (pictures.held)
        else []
    )

    @torch.no_grad()
    def validate(model: Any) -> float:
        mel = torch.from_numpy(np.stack(held))
        error = model(mel)["mel"] - mel
        return float(error.abs().mean() + error.square().mean())

    model.start_from(_patches(draw(rng, 512), settings.stride))
    return (
        yield from fit(
            model,
            draw,
            loss_of,
            validate=validate if held else None,
            config=settings.fit,
            state_file=state_file,
            fingerprint=fingerprint,
        )
    )


def cut_out(picture: NDArray, n_frames: int, silence: float, rng: np.random.Generator) -> Floats:
    """``n_frames`` from a random place of a picture that goes on as silence before and after: ``(n_mels, n_frames)``.

    Examples
    --------
    >>> cut_out(np.ones((2, 3)), 8, 0.0, np.random.default_rng(0)).shape
    (2, 8)
    """
    margin = n_frames // 4
    length = picture.shape[1]
    begin = int(rng.integers(-margin, max(length + margin - n_frames, -margin) + 1))
    out = np.full((len(picture), n_frames), silence, np.float32)
    first, last = max(begin, 0), min(begin + n_frames, length)
    out[:, first - begin : last - begin] = picture[:, first:last]
    return out


def _patches(cuts: Tensor, stride: int) -> Tensor:
    """Patches ``(n, n_mels, stride)`` of cuts ``(B, n_mels, T)``."""
    patches = cuts.unfold(2, stride, stride).permute(0, 2, 1, 3).flatten(0, 1)
    return patches[torch.randperm(len(patches))[:N_PATCHES]]
