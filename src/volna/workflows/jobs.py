"""The jobs that run in child processes; each is called by name through `volna.pool`.

A job returns only what the catalogue keeps: log-mels stay in the child, or go from there into the cache.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from volna.embedding import Recognised, Track, current_embedder, hear, hear_halves, listen
from volna.features.recipe import ANALYSIS, Analysis

if TYPE_CHECKING:
    from volna.training.dataset import MelCache

__all__ = ["Heard", "Part", "analyse", "cache_again", "embed_again", "embed_cached", "hear_parts", "pca_vectors"]


@dataclass(frozen=True)
class Heard:
    """What the catalogue keeps of an analysed file; ``vector`` is None without a model."""

    audio_hash: str
    duration_s: float
    metadata: dict[str, str]
    descriptors: np.ndarray
    tempo_bpm: float | None
    short: bool
    vector: np.ndarray | None


@dataclass(frozen=True)
class Part:
    """A track, or half of one, as an evaluation needs it."""

    descriptors: np.ndarray
    vector: np.ndarray | None


def analyse(path: str, segment: str, cache_folder: str | None) -> Generator[str, str | None, Heard | Recognised]:
    """Analyse one file unless the parent knows its hash; embed it, or cache its log-mels for training."""
    track = yield from listen(path, segment)
    if isinstance(track, Recognised):
        return track
    if cache_folder is not None:
        _cache(track.audio_hash, track.log_mels, cache_folder)
    embedder = current_embedder()
    vector = embedder.embed(track.log_mels) if embedder else None
    return Heard(
        track.audio_hash,
        track.duration_s,
        track.metadata,
        track.descriptors,
        track.tempo_bpm,
        track.short,
        vector,
    )


def cache_again(path: str, segment: str, cache_folder: str) -> str:
    """Put the log-mels of a file that was analysed before into the cache; return its hash."""
    track = hear(path, segment)
    _cache(track.audio_hash, track.log_mels, cache_folder)
    return track.audio_hash


def embed_again(path: str, segment: str) -> tuple[str, np.ndarray]:
    """Embed a file that was analysed before; return its hash and vector."""
    embedder = current_embedder()
    assert embedder is not None, "use_model() comes first"
    track = hear(path, segment)
    return track.audio_hash, embedder.embed(track.log_mels)


def embed_cached(cache_folder: str, audio_hashes: list[str]) -> list[np.ndarray | None]:
    """Vectors of cached tracks, None where the cache has lost one."""
    embedder = current_embedder()
    assert embedder is not None, "use_model() comes first"
    cache = _open_cache(cache_folder)
    vectors: list[np.ndarray | None] = []
    for audio_hash in audio_hashes:
        log_mels = cache.get(audio_hash)
        vectors.append(embedder.embed(log_mels) if log_mels else None)
    return vectors


def hear_parts(path: str, segment: str, cache_folder: str, keys: list[str]) -> list[Part]:
    """Hear a file whole (one key) or in two halves (two keys); cache the log-mels, return descriptors and vectors."""
    analyses: Sequence[Track | Analysis] = [hear(path, segment)] if len(keys) == 1 else hear_halves(path, segment)
    embedder = current_embedder()
    parts = []
    for key, analysis in zip(keys, analyses, strict=True):
        _cache(key, analysis.log_mels, cache_folder)
        vector = embedder.embed(analysis.log_mels) if embedder else None
        parts.append(Part(analysis.descriptors, vector))
    return parts


def pca_vectors(cache_folder: str, keys: list[str], n_latent: int) -> np.ndarray:
    """Vectors of cached log-mels by their own principal components, pooled as an autoencoder's latents are."""
    from volna.models.layers import condition, fit_normalisation, pool_log_mels
    from volna.models.pca import PcaConfig, fit_pca

    cache = _open_cache(cache_folder)
    normalisation = fit_normalisation(cache.get(key) or [] for key in keys)
    config = PcaConfig(n_mels=ANALYSIS.n_mels, latent=n_latent)
    mels = (mel for key in keys for mel in condition(cache.get(key) or [], normalisation))
    model = fit_pca(mels, config)
    return np.stack([pool_log_mels(model, cache.get(key) or [], normalisation) for key in keys])


@lru_cache(maxsize=1)
def _open_cache(folder: str) -> MelCache:
    """One object a process: it counts the folder's bytes once, not at every track."""
    from volna.training.dataset import MelCache

    return MelCache(Path(folder))


def _cache(key: str, log_mels: list[np.ndarray], cache_folder: str) -> None:
    with suppress(OSError):  # a full disk costs the training a track, not the library its analysis
        _open_cache(cache_folder).put(key, log_mels)
