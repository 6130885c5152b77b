"""A tiny codec for tests: principal components of made sounds, networks as they begin, tables of the same sounds."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from volna.models.codec_file import TrainedCodec, as_stored, from_bytes, to_bytes
from volna.training.clips import Clips
from volna.training.codec import CodecTraining, train_codec
from volna.training.fit import FitConfig, run_through
from volna.workflows.making.codec_jobs import settings_of

SAMPLE_RATE = 8000
TINY = CodecTraining(n_frames=16, batch_size=4, n_dims=24, width=8, dim=8, depth=1)


def made_sound(seed: int, duration_s: float = 3.0, sample_rate: int = SAMPLE_RATE) -> np.ndarray:
    """Notes with overtones over a little noise, float32 ``(n_samples,)``."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(duration_s * sample_rate)) / sample_rate
    pitch = 110.0 * 2 ** (rng.integers(0, 24, 64)[(t * 4).astype(int) % 64] / 12)
    turns = 2 * np.pi * np.cumsum(pitch) / sample_rate
    loud = 0.2 * np.exp(-3.0 * ((t * 4) % 1.0))
    tone = sum(np.sin(h * turns) / h for h in range(1, 5)) * loud
    return (tone + 0.003 * rng.standard_normal(len(t))).astype(np.float32)


def clips(n: int = 6, sample_rate: int = SAMPLE_RATE) -> Clips:
    """Clips to learn from."""
    sounds = tuple(made_sound(seed, 3.0, sample_rate) for seed in range(n))
    return Clips(sounds[1:], sounds[:1], sample_rate)


def codec_bytes(seed: int = 0) -> bytes:
    """A codec file at 8 kHz with three rates."""
    return _made(seed)


@lru_cache(maxsize=4)
def _made(seed: int) -> bytes:
    fit = FitConfig(max_steps=2, time_budget_s=None, seed=seed)
    fitted = run_through(train_codec(clips(), replace(TINY, fit=fit)))
    model = as_stored(fitted.model)
    return to_bytes(TrainedCodec(model, settings_of(model, clips(), (0.5, 1.0, 2.0)), fitted.summary))


def codec(seed: int = 0) -> TrainedCodec:
    """The codec of `codec_bytes`."""
    return from_bytes(codec_bytes(seed), name="tiny")


def codec_file(folder: Path, seed: int = 0) -> Path:
    """The codec of `codec_bytes` as a file."""
    path = folder / "tiny.codec"
    path.write_bytes(codec_bytes(seed))
    return path
