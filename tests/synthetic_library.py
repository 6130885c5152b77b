"""Libraries made of numbers: tracks with descriptors and latents put straight into a catalogue, nothing decoded.

The sound of a track is drawn around the middle of its kind, in spreads of the shipped constants, so that tracks of one
kind are near one another, and it is given a tempo, which `describe` and the filters see.
"""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from volna.features.constants import descriptor_priors
from volna.features.recipe import ANALYSIS, DESCRIPTOR_NAMES, FEATURES_VERSION
from volna.library.store import Analysed, Catalogue
from volna.library.tags import Tags
from volna.workflows.common import keep_model

__all__ = [
    "DIM",
    "Song",
    "analysed",
    "copy_of",
    "fill",
    "fill_with_model",
    "songs",
    "statistics_of_a_model",
    "tiny_model",
]

DIM = 8  # numbers in a vector of the fake and of the tiny model


@dataclass(frozen=True)
class Song:
    """A track to be: its tags, and its sound in spreads of each descriptor and latent."""

    path: str
    sound: np.ndarray
    latent: np.ndarray
    artist: str | None = None
    title: str | None = None
    album: str | None = None
    year: int | None = None
    genre: str | None = None
    duration_s: float = 200.0
    short: bool = False
    tempo_bpm: float | None = 100.0
    copies: tuple[str, ...] = field(default=())

    @property
    def descriptors(self) -> np.ndarray:
        """Raw, float32 ``(n_descriptors,)``."""
        centre, spread = descriptor_priors()
        raw = (centre + self.sound * spread).astype(np.float32)
        raw[DESCRIPTOR_NAMES.index("tempo_bpm")] = self.tempo_bpm or 120.0
        raw[DESCRIPTOR_NAMES.index("pulse_clarity")] = 0.5 if self.tempo_bpm else 0.0
        return raw


def songs(n: int, *, kinds: int = 4, artists: int = 10, seed: int = 0, folder: str = "/music") -> list[Song]:
    """``n`` tracks of some kinds: track k is of kind ``k % kinds``, by ``artist k % artists``, called ``tune k``."""
    rng = np.random.default_rng(seed)
    sounds, latents = rng.normal(0, 1, (kinds, len(DESCRIPTOR_NAMES))), rng.normal(0, 1, (kinds, DIM))
    return [
        Song(
            path=f"{folder}/kind {k % kinds}/{k:03}.mp3",
            sound=sounds[k % kinds] + rng.normal(0, 0.8, len(DESCRIPTOR_NAMES)),
            latent=latents[k % kinds] + rng.normal(0, 0.5, DIM),
            artist=f"artist {k % artists}",
            title=f"tune {k}",
            album=f"album {k % (2 * artists)}",
            year=1980 + k % 40,
            genre=f"genre {k % kinds}",
            duration_s=120.0 + 3 * k,
            tempo_bpm=80.0 + k % 60,
        )
        for k in range(n)
    ]


def copy_of(song: Song, path: str, *, seed: int = 0, **changes: object) -> Song:
    """The same recording in another format: almost the same numbers, another file, another hash."""
    noise = np.random.default_rng(seed).normal(0, 0.02, song.sound.shape)
    return replace(song, path=path, sound=song.sound + noise, **changes)


def fill(library: Path, tracks: Sequence[Song], *, model: str | None = None) -> list[int]:
    """Put the tracks into a library, with the vectors of a model where one is named; return their ids."""
    rows = []
    for song in tracks:
        vector = song.latent.astype(np.float32) if model else None
        rows += [analysed(song, path, vector) for path in (song.path, *song.copies)]
    with Catalogue.open(library, create=True) as catalogue:
        catalogue.use_features(FEATURES_VERSION)
        recorded = catalogue.record(analysed=rows, vector_space=model)
    return [recorded.track_ids[song.path] for song in tracks]


def analysed(song: Song, path: str, vector: np.ndarray | None = None) -> Analysed:
    """What an analysis of a file that holds the song would give to the catalogue."""
    tags = Tags(song.artist, song.album, song.title, song.year, song.genre)
    audio_hash = hashlib.blake2b(song.sound.tobytes() + os.fsencode(song.path), digest_size=16).hexdigest()
    measures = (song.duration_s, song.short, song.tempo_bpm)
    return Analysed(path, 1000, 1, tags, audio_hash, *measures, song.descriptors, vector)


def fill_with_model(library: Path, tracks: Sequence[Song], checkpoint: bytes | None = None) -> list[int]:
    """As `fill`, with an active model: only the statistics of one, unless the bytes of a checkpoint are given."""
    with Catalogue.open(library, create=True) as catalogue:
        keep_model(catalogue, "fake", checkpoint or statistics_of_a_model(), trained_on=len(tracks), dim=DIM)
    ids = fill(library, tracks, model="fake")
    with Catalogue.open(library) as catalogue:
        catalogue.activate_model("fake")
    return ids


def statistics_of_a_model() -> bytes:
    """What a search reads of a checkpoint."""
    from safetensors.numpy import save

    return save({"reading.scale": np.ones(DIM, np.float32)})


@functools.cache
def tiny_model() -> bytes:
    """A checkpoint of a real, untrained model that can embed what `volna` hears."""
    import torch

    from volna.models.checkpoint import Checkpoint, build, to_bytes
    from volna.models.layers import Normalisation, pool_log_mels
    from volna.models.reading import fit_reading

    torch.manual_seed(0)
    model = build("conv", {"n_mels": ANALYSIS.n_mels, "latent": DIM, "channels": (4, 4, 4, 4)}).eval()
    noise = np.random.default_rng(0).normal(-40, 10, (30, ANALYSIS.n_mels, 128)).astype(np.float32)
    pooled = np.stack([pool_log_mels(model, [mel], Normalisation()) for mel in noise])
    return to_bytes(Checkpoint(model, "conv", {}, Normalisation(), fit_reading(pooled, dim=DIM)))
