"""Small models of every architecture, and sounds that they learn in a second."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import torch

from volna.models.checkpoint import build
from volna.models.pca import fit_pca
from volna.training.state import own_parameters

N_MELS = 20
_CHANNELS = (8, 8, 8, 16)
TINY: dict[str, dict[str, Any]] = {
    "conv": {"channels": _CHANNELS},
    "dense": {"hidden": (48, 32)},
    "recurrent": {"hidden": 40},
    "memory": {"hidden": 40, "heads": 6, "slots": 16},
    "variational": {"channels": _CHANNELS},
    "denoising": {"channels": _CHANNELS, "noise": 1.0},
    "masked": {"width": 32, "depth": 2, "context": 4, "hidden": 0.25},
    "adversarial": {"channels": _CHANNELS, "judge": (4, 8)},
}
LATENT = 12


def tiny(name: str, n_mels: int = N_MELS, **settings: Any) -> Any:
    return build(name, {"latent": LATENT, **TINY.get(name, {}), "n_mels": n_mels, **settings})


def sounds(n: int, n_frames: int = 64, seed: int = 0) -> torch.Tensor:
    """Smooth spectra that move slowly in time: (n, N_MELS, n_frames), mean 0, spread about 1."""
    rng = np.random.default_rng(seed)
    bands, frames = np.linspace(0, 1, N_MELS), np.arange(n_frames) / 64
    shapes = np.stack([np.cos(np.pi * k * bands) for k in range(1, 5)])
    speeds = rng.uniform(0.5, 2.0, (n, 4, 1))
    gains = np.cos(2 * np.pi * (speeds * frames + rng.random((n, 4, 1))))
    return torch.from_numpy(np.einsum("kf,nkt->nft", shapes, gains).astype(np.float32))


def losses(model: Any, mels: torch.Tensor, weight: float = 0.01) -> torch.Tensor:
    """The reconstruction and, by ``weight``, what else the model names."""
    out = model(mels)
    named = sum(value for name, value in out.items() if name not in ("mel", "latent"))
    return (out["mel"] - mels).square().mean() + weight * named


def fitted(name: str, mels: torch.Tensor, n_steps: int, weight: float = 0.01, **settings: Any) -> Any:
    """A model fitted to these windows: by gradient where it has parameters, in closed form where it has none."""
    torch.manual_seed(0)
    model = tiny(name, **settings)
    if not list(model.parameters()):
        return fit_pca(mels.numpy(), model.config)
    model.train()
    own = own_parameters(model)  # a discriminator stays as it is
    optimizer = torch.optim.AdamW(own)
    for step in range(n_steps):
        for group in optimizer.param_groups:
            group["lr"] = 1e-2 * min(1.0, 2 * (1 - step / n_steps))
        optimizer.zero_grad()
        losses(model, mels, weight).backward()
        torch.nn.utils.clip_grad_norm_(own, 1.0)
        optimizer.step()
    return model.eval()


@functools.cache
def learnt(name: str) -> Any:
    """One model an architecture, fitted once for all tests that only look."""
    return fitted(name, sounds(32), 60)


def error(model: Any, mels: torch.Tensor) -> float:
    with torch.inference_mode():
        return float((model(mels)["mel"] - mels).square().mean())
