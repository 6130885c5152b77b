"""The jobs that run in child processes; each is called by name through `volna.pool`.

A job returns only what the catalogue keeps: log-mels stay in the child, or go from there into the cache.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from volna.audio.decode import open_audio
from volna.embedding import Recognised, Track, current_embedder, hear, hear_halves, listen
from volna.errors import AudioError, InputError
from volna.features import recipe
from volna.features.inputs import n_rows
from volna.features.recipe import ANALYSIS, SILENCE_DBFS, Analysis

if TYPE_CHECKING:
    from volna.training.dataset import MelCache

__all__ = [
    "Heard",
    "Part",
    "Placed",
    "analyse",
    "cache_again",
    "describe_model",
    "embed_again",
    "embed_cached",
    "hear_parts",
    "pca_vectors",
    "placed_vectors",
    "reconstruct_held_out",
    "training_config",
]

# A gain is added in dB, and masks hide bands: neither has a meaning in cepstra or samples.
UNSPOILT = {"mfcc": {"gain": 0.0, "mask_bands": 4}, "wave": {"gain": 0.0, "mask_bands": 0}}
WINDOW_S = 3.0  # of `placed_vectors`; a file is cut into equal windows of about this
WINDOWS_AT_ONCE = 10  # so that a file of hours takes no more memory than a song


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


def analyse(
    path: str, segment: str, cache_folder: str | None, input: str = "log-mel"
) -> Generator[str, str | None, Heard | Recognised]:
    """Analyse one file unless the parent knows its hash; embed it, or cache what a training hears of it."""
    track = yield from listen(path, segment, input)
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


@dataclass(frozen=True)
class Placed:
    """A raw vector, float32 ``(dim,)``, and the part of its file that it is of."""

    start_s: float
    duration_s: float
    vector: np.ndarray


def placed_vectors(path: str, segment: str, windowed: bool) -> list[Placed]:
    """The vector of a file, or one for every window of about 3 s of it; descriptors where this process has no model.

    A window is heard as a file of its own would be; windows of silence are left out.
    """
    if windowed:
        return _window_vectors(path)
    embedder = current_embedder()
    track = hear(path, segment, embedder.input if embedder else "log-mel")
    vector = embedder.embed(track.log_mels) if embedder else track.descriptors
    return [Placed(0.0, track.duration_s, vector)]


def _window_vectors(path: str) -> list[Placed]:
    placed: list[Placed] = []
    with open_audio(path) as audio:
        audio.read_segment()  # corrects a duration that is declared wrongly
        n = max(1, round(audio.duration_s / WINDOW_S))
        length_s = audio.duration_s / n
        for first in range(0, n, WINDOWS_AT_ONCE):
            some = min(WINDOWS_AT_ONCE, n - first)
            (samples,) = audio.decode(audio.read([(first * length_s, some * length_s)]), ANALYSIS.sample_rate)
            for k, window in enumerate(np.array_split(samples, some), first):
                silent = float(np.ptp(window)) / 2 < 10 ** (SILENCE_DBFS / 20)
                if n == 1 or not silent:
                    vector = _vector_of(window)
                    placed.append(Placed(k * length_s, length_s, vector))
    if not placed:
        raise AudioError(f"{path}: holds only silence")
    return placed


def _vector_of(samples: np.ndarray) -> np.ndarray:
    embedder = current_embedder()
    if embedder is not None and embedder.input != "log-mel":
        return embedder.embed_samples(samples)
    heard = recipe.analyse([samples], ANALYSIS)
    return embedder.embed(heard.log_mels) if embedder else heard.descriptors


def describe_model(checkpoint: bytes, source: str) -> dict[str, Any]:
    """What a checkpoint says of itself, as plain values; `source` is named in errors."""
    from volna.models.checkpoint import from_bytes

    model = from_bytes(checkpoint, source=source)
    normalisation = asdict(model.normalisation)
    normalisation.pop("mean_db")
    return {
        "id": model.id,
        "architecture": model.architecture,
        "config": asdict(model.config),
        "n_parameters": sum(parameter.numel() for parameter in model.model.parameters()),
        "stride": model.model.stride,
        "dim": model.dim,
        "input": model.input,
        "mel_config": model.mel_config,
        "normalisation": normalisation,
        "summary": model.summary,
        "version": model.version,
    }


def training_config(choices: Mapping[str, Any], presets: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a training that was chosen in words; refuses what does not exist, before anything is heard.

    Sizes of a preset that an architecture does not have are left out; ``latent`` goes before the preset's.
    """
    from volna.models import MODELS
    from volna.models.checkpoint import build
    from volna.training.losses import RECONSTRUCTION
    from volna.training.state import OPTIMIZERS

    for name, known in {"preset": presets, "model": MODELS, "loss": RECONSTRUCTION, "optimizer": OPTIMIZERS}.items():
        if choices[name] not in known:
            raise InputError(f"expected {name} to be one of {', '.join(known)}, got {choices[name]!r}")
    settings = dict(presets[choices["preset"]])
    heard = choices["input"]
    if (heard == "wave") != (choices["model"] == "wave"):
        raise InputError(f"the input wave and the model wave go together, got {heard} and {choices['model']}")
    sizes = {field.name for field in fields(MODELS[choices["model"]][0])}
    wanted = settings.pop("model_config", {}) | ({"latent": choices["latent"]} if choices["latent"] else {})
    settings["model_config"] = {name: size for name, size in wanted.items() if name in sizes}
    build(choices["model"], settings["model_config"] | {"n_mels": n_rows(heard)})
    named = {name: choices[name] for name in ("model", "input", "loss", "optimizer")}
    return settings | UNSPOILT.get(heard, {}) | named


def reconstruct_held_out(
    checkpoint: bytes, cache_folder: str, groups: dict[str, str], n: int, n_frames: int
) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """Key, original and reconstruction, in dB, of the beginnings of some cached tracks that a training held out."""
    from volna.models.checkpoint import from_bytes
    from volna.models.reconstruction import reconstruct
    from volna.training.dataset import scan_tracks, split_tracks

    model, cache = from_bytes(checkpoint), _open_cache(cache_folder)
    used = model.summary["config"]
    _, held_out = split_tracks(scan_tracks(cache)[0], groups=groups, share=used["val_share"], seed=used["seed"])
    shown = []
    for track in held_out[:n]:
        original, reconstructed = reconstruct(model, (cache.get(track.key) or [])[:1])[0]
        shown.append((track.key, original[:, :n_frames], reconstructed[:, :n_frames]))
    return shown
