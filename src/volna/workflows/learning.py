"""Training on the library itself, and moving a library into the space of a new model.

The order, in `index` as in `train`: draw a random sample of tracks, have their log-mels in a cache beside the library,
train in a child process, keep the model as *pending*, give every track a vector, and only then make it the *active*
one: until that moment searches use the old space. Each step finds what an interrupted run has left and goes on.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from volna.errors import InputError, LibraryError
from volna.features.recipe import ANALYSIS, FEATURES_VERSION
from volna.library.store import Catalogue
from volna.pool import Pool, Task, default_jobs
from volna.vectors import Standardiser
from volna.workflows.common import TIMEOUT_S, Progress, keep_model, open_library, silent, space_settings, train_in_child

__all__ = [
    "PRESETS",
    "SAMPLE_TRACKS",
    "THRESHOLD_TRACKS",
    "cache_folder",
    "clear_cache",
    "complete_space",
    "draw_sample",
    "fit",
    "train",
    "train_on_cache",
    "training_config",
    "training_lock",
]

# Chosen, not measured: a network learns from 54 tracks as well as from 217 (docs/embedding.md), but what it adds to the
# descriptors is small, so a small library is spared torch and minutes of training.
THRESHOLD_TRACKS = 200
SAMPLE_TRACKS = 3000
GROWTH = 4  # past this many times the training size a new training is suggested
CHUNK_TRACKS = 64
CHOICES: dict[str, Any] = {  # by default
    "model": "conv",
    "input": "log-mel",
    "latent": None,
    "loss": "mse",
    "optimizer": "adamw",
    "preset": "small",
}
# What a preset changes in the training's settings; sizes that an architecture does not have are left out of it.
PRESETS: dict[str, dict[str, Any]] = {
    "tiny": {
        "model_config": {"channels": (8, 12, 16, 24), "width": 32, "depth": 1, "latent": 16},
        "max_steps": 100,
        "val_every": 20,
    },
    "small": {},
    "gpu": {
        "model_config": {"channels": (32, 64, 128, 192, 256), "width": 256, "depth": 6},
        "batch_size": 64,
        "max_steps": 4000,
    },
}


def cache_folder(catalogue: Catalogue) -> Path:
    """Where log-mels wait between analysis and training: a folder beside the library, at most 1 GB, for a while.

    Each version of the features has its own, so that what an interrupted run of an older Volna left is not trained on.
    """
    return catalogue.path.with_name(catalogue.path.name + "-cache") / FEATURES_VERSION


def clear_cache(catalogue: Catalogue) -> None:
    """Remove the cached log-mels, unless another run is training on them."""
    folder = cache_folder(catalogue)
    if folder.parent.exists():
        with training_lock(folder) as free:
            if free:
                shutil.rmtree(folder.parent, ignore_errors=True)


def draw_sample(paths: Iterable[str], n: int, seed: int) -> list[str]:
    """A random sample of `n` paths, the same in every run, so that an interrupted one can be taken up again."""

    def key(path: str) -> bytes:
        return hashlib.blake2b(os.fsencode(path), digest_size=8, salt=seed.to_bytes(8, "little")).digest()

    return sorted(paths, key=key)[:n]


@contextlib.contextmanager
def training_lock(folder: Path) -> Iterator[bool]:
    """Hold the library's training lock; gives False when another run is training."""
    import fcntl

    folder.mkdir(parents=True, exist_ok=True)
    with open(folder.with_name(folder.name + ".lock"), "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
            return
        yield True


def cache_tracks(
    catalogue: Catalogue, track_ids: list[int], segment: str, folder: Path, n_jobs: int, progress: Progress
) -> None:
    """Bring the log-mels of tracks that were analysed before into the cache, decoding only what it lacks."""
    from volna.training.dataset import MelCache

    cache = MelCache(folder)
    rows = [row for row in catalogue.tracks(track_ids) if row.audio_hash not in cache]
    tasks = (Task("volna.workflows.jobs:cache_again", (row.path, segment, str(folder)), row) for row in rows)
    with Pool(min(n_jobs, max(1, len(rows))), timeout_s=TIMEOUT_S) as pool:
        for done, _ in enumerate(pool.run(tasks), 1):  # a file that fails now is simply not trained on
            progress("Listening again", done, len(rows), "")


def training_config(pool: Pool, **chosen: Any) -> dict[str, Any]:
    """Settings of `volna.training.loop.TrainConfig` for what was chosen of `CHOICES`, empty for the defaults.

    A child of `pool` checks them, which knows the architectures: this process never loads torch.

    Raises
    ------
    InputError
        Something chosen does not exist.
    """
    choices = CHOICES | chosen
    if choices == CHOICES:
        return {}
    latent = choices["latent"]
    if latent is not None and latent < 1:
        raise InputError(f"expected latent to be at least 1, got {latent}")
    (outcome,) = pool.run([Task("volna.workflows.jobs:training_config", (choices, PRESETS))])
    if outcome.reason is not None:
        raise InputError(outcome.reason)
    config: dict[str, Any] = outcome.result
    return config


def train_on_cache(
    pool: Pool,
    folder: Path,
    config: Mapping[str, Any],
    groups: Mapping[str, str],
    *,
    rows: Mapping[str, np.ndarray] | None = None,
    resume: bool = True,
    log_folder: Path | None = None,
    go_on: str = "run `volna train` to go on from its last state",
    progress: Progress = silent,
) -> dict[str, Any]:
    """Train on the log-mels of a folder in a child of `pool`: its ``checkpoint`` (bytes), ``history``, ``summary``.

    Raises
    ------
    ModelError
        The training ended without a model; `go_on` says what to do.
    """
    settings = {
        "cache_folder": str(folder),
        "mel_config": asdict(ANALYSIS),
        "groups": dict(groups),
        "rows": rows,
        "config": dict(config),
        "resume": resume,
        "log_folder": str(log_folder) if log_folder else None,
    }

    return train_in_child(pool, "volna.training.loop:train_task", settings, progress, go_on=go_on)


def descriptor_rows(catalogue: Catalogue, folder: Path) -> dict[str, np.ndarray]:
    """How the cached tracks sound by their descriptors, a row of length 1 for each hash: what softens the contrast."""
    from volna.training.dataset import MelCache

    tracks = {row.id: row.audio_hash for row in catalogue.tracks()}
    ids, raw = catalogue.vectors(catalogue.descriptor_space)
    cached = set(MelCache(folder).keys())
    places = [place for place, track_id in enumerate(ids.tolist()) if tracks.get(track_id) in cached]
    if not places:
        return {}
    settings = space_settings(catalogue)
    prior, weights = settings.priors.get("descriptors"), settings.weights.get("descriptors")
    rows = Standardiser.fit(raw[places], prior=prior, weights=weights).rows(raw[places])
    return {tracks[int(ids[place])]: row for place, row in zip(places, rows, strict=True)}


def fit(
    catalogue: Catalogue,
    folder: Path,
    *,
    time_budget_s: float,
    seed: int,
    n_jobs: int,
    progress: Progress,
    config: Mapping[str, Any] | None = None,
) -> tuple[str, dict[str, Any]]:
    """Train on the cached log-mels in a child process and keep the result as the pending model.

    Returns
    -------
    tuple of str and dict
        The model's id and the summary of the training.

    Raises
    ------
    ModelError
        The training ended without a model.
    """
    # No artist is both trained on and held out: an album's sound would flatter the validation.
    groups = {row.audio_hash: row.artist for row in catalogue.tracks() if row.artist}
    settings = {**(config or {}), "time_budget_s": time_budget_s, "seed": seed, "n_threads": n_jobs}
    with Pool(1, n_threads=n_jobs) as pool:
        rows = descriptor_rows(catalogue, folder)
        result = train_on_cache(pool, folder, settings, groups, rows=rows, progress=progress)
    checkpoint, summary = result["checkpoint"], result["summary"]
    model_id = hashlib.sha256(checkpoint).hexdigest()[:16]
    keep_model(catalogue, model_id, checkpoint, trained_on=summary["n_tracks"], dim=summary["dim"])
    return model_id, summary


def complete_space(
    catalogue: Catalogue, model_id: str, folder: Path, segment: str, n_jobs: int, progress: Progress
) -> int:
    """Give every present track a vector of the model, from the cache where it can; then make the model the active one.

    Returns
    -------
    int
        Number of tracks whose files could not be heard again; they stay without a vector.
    """
    setup = Task("volna.embedding:use_model", (catalogue.model_bytes(model_id),))
    _embed_cached(catalogue, model_id, folder, setup, progress)
    rows = catalogue.tracks(catalogue.missing(model_id))
    n_failed = 0
    if rows:
        tasks = (Task("volna.workflows.jobs:embed_again", (row.path, segment), row) for row in rows)
        with (
            Pool(min(n_jobs, len(rows)), timeout_s=TIMEOUT_S, setup=setup) as pool,
            _Vectors(catalogue, model_id) as out,
        ):
            for done, outcome in enumerate(pool.run(tasks), 1):
                row = outcome.task.tag
                if outcome.ok and outcome.result[0] == row.audio_hash:
                    out.add(row.id, outcome.result[1])
                else:
                    n_failed += 1
                progress("Embedding", done, len(rows), "")
    catalogue.activate_model(model_id)
    return n_failed


def _embed_cached(catalogue: Catalogue, model_id: str, folder: Path, setup: Task, progress: Progress) -> None:
    from volna.training.dataset import MelCache

    cache = MelCache(folder)
    rows = [row for row in catalogue.tracks(catalogue.missing(model_id)) if row.audio_hash in cache]
    chunks = [rows[start : start + CHUNK_TRACKS] for start in range(0, len(rows), CHUNK_TRACKS)]
    tasks = (
        Task("volna.workflows.jobs:embed_cached", (str(folder), [row.audio_hash for row in chunk]), chunk)
        for chunk in chunks
    )
    with Pool(1, setup=setup) as pool, _Vectors(catalogue, model_id) as out:
        done = 0
        for outcome in pool.run(tasks):
            for row, vector in zip(outcome.task.tag, outcome.result or [], strict=False):
                if vector is not None:
                    out.add(row.id, vector)
            done += len(outcome.task.tag)
            progress("Embedding", done, len(rows), "from the cache")


class _Vectors:
    """Vectors on their way into the catalogue, committed in batches and at the end, whatever ends it."""

    def __init__(self, catalogue: Catalogue, space: str) -> None:
        self.catalogue = catalogue
        self.space = space
        self.rows: list[tuple[int, np.ndarray]] = []

    def __enter__(self) -> _Vectors:
        return self

    def add(self, track_id: int, vector: np.ndarray) -> None:
        self.rows.append((track_id, vector))
        if len(self.rows) >= CHUNK_TRACKS:
            self.commit()

    def commit(self) -> None:
        if self.rows:
            ids, vectors = zip(*self.rows, strict=True)
            self.catalogue.add_vectors(self.space, np.array(ids, dtype=np.int64), np.stack(vectors))
            self.rows = []

    def __exit__(self, *_: object) -> None:
        self.commit()


def train(
    *,
    library: str | Path | None = None,
    train_time_s: float = 300.0,
    seed: int = 0,
    jobs: int | None = None,
    progress: Progress | None = None,
    model: str = "conv",
    latent: int | None = None,
    loss: str = "mse",
    optimizer: str = "adamw",
    preset: str = "small",
    device: str = "auto",
) -> dict[str, Any]:
    """Train a new autoencoder on the library, embed every track with it, then let it answer.

    Parameters
    ----------
    library : str or Path, optional
        The library file; by default ``VOLNA_LIBRARY`` or the one in the user's data folder.
    train_time_s : float
        Seconds of training at most.
    seed : int
        Draws the sample of at most 3 000 tracks and the initial weights.
    jobs : int, optional
        Processes for the analysis and threads for the training; all cores by default.
    progress : callable, optional
        ``progress(stage, done, total, note)``.
    model, latent, loss, optimizer, preset, device
        What is trained and how, see `volna.train_folder`.

    Returns
    -------
    dict
        ``id``, ``n_tracks``, ``seconds`` and what the training loop reports of its losses.

    Raises
    ------
    LibraryError
        There is no library, or it has too few tracks.
    ModelError
        The training ended without a model.

    Examples
    --------
    >>> train(library="music.db", train_time_s=60)["id"]  # doctest: +SKIP
    '5f0c2a7be1d94c33'
    """
    started_s = time.monotonic()
    n_jobs = jobs or default_jobs()
    progress = progress or silent
    with Pool(1) as pool:
        config = training_config(pool, model=model, latent=latent, loss=loss, optimizer=optimizer, preset=preset)
        config |= {"device": device}
    with open_library(library) as catalogue:
        segment = catalogue.get_setting("segment") or "spread"
        folder = cache_folder(catalogue)
        rows = {row.path: row.id for row in catalogue.tracks()}
        if len(rows) < 2:
            raise LibraryError(f"{catalogue.path}: training needs at least two tracks, the library has {len(rows)}")
        with training_lock(folder) as free:
            if not free:
                raise LibraryError(f"{catalogue.path}: another run is training on this library; wait for it to end")
            sample = [rows[path] for path in draw_sample(rows, SAMPLE_TRACKS, seed)]
            cache_tracks(catalogue, sample, segment, folder, n_jobs, progress)
            model_id, summary = fit(
                catalogue,
                folder,
                time_budget_s=train_time_s,
                seed=seed,
                n_jobs=n_jobs,
                progress=progress,
                config=config,
            )
            n_failed = complete_space(catalogue, model_id, folder, segment, n_jobs, progress)
        clear_cache(catalogue)
    return summary | {"id": model_id, "not_embedded": n_failed, "seconds": round(time.monotonic() - started_s, 1)}
