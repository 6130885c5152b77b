"""Before and after the loop: the data of a training made ready, and the trained model made into a checkpoint that says
how good it is.

The measure is the reconstruction error on windows of whole tracks held out, beside two predictions that need no
network: the mean spectrum (what a model that learnt nothing gives) and principal components at the same size and rate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from volna.errors import ModelError
from volna.features.inputs import FLOORS_DB
from volna.models.checkpoint import Checkpoint, to_bytes
from volna.models.layers import Normalisation, condition, fit_normalisation, pool_log_mels
from volna.models.pca import PcaAutoencoder
from volna.models.reading import Reading, fit_reading
from volna.training.clock import Clock
from volna.training.dataset import MelCache, Track, scan_tracks, split_tracks, tile_frames
from volna.training.devices import device_of

__all__ = ["Data", "conditioned", "finish", "prepare", "reconstruction_loss"]

SCAN_DB = 80.0  # log-mels come with a floor of their own, 55 dB
N_HELD_OUT = 256  # windows that validate
N_FITTED = 400  # tracks whose spread sets the scale of the input
N_PCA = 150  # tracks that the principal components are fitted on: about 10 000 patches
N_READING = 1000  # tracks whose pooled features say how they are read ...
N_READING_LEAST = 200  # ... and so many even when the time is up
_BATCH = 64


@dataclass
class Data:
    """The tracks of a training: which train, which validate, and how their log-mels are conditioned."""

    cache: MelCache
    training: list[Track]
    validation: list[Track]
    unusable: list[str]
    normalisation: Normalisation
    held_out: Tensor  # (n, n_mels, n_frames), conditioned windows of the validation tracks

    @property
    def n_mels(self) -> int:
        return self.training[0].n_mels


def prepare(
    cache: MelCache,
    *,
    groups: Mapping[str, str] | None,
    n_frames: int,
    val_share: float,
    seed: int,
    input: str = "log-mel",
) -> Data:
    """Scan the cache, hold out whole tracks, fit the conditioning on the rest, cut the windows that validate."""
    floor_db = FLOORS_DB[input]
    tracks, unusable = scan_tracks(cache, top_db=max(floor_db, SCAN_DB))
    if not tracks:
        raise ModelError(f"expected log-mels to train on in {cache.folder}, found none that can be read")
    training, validation = split_tracks(tracks, groups=groups, share=val_share, seed=seed)
    fitted = sample(training, N_FITTED, seed)
    cached = (windows for track in fitted if (windows := cache.get(track.key)))
    normalisation = fit_normalisation(cached, top_db=floor_db)
    each = -(-N_HELD_OUT // len(validation))
    cut: list[NDArray[np.float32]] = []
    for track in validation:
        cut += _segments(condition(cache.get(track.key) or [], normalisation), n_frames, min(each, 6))
    if not cut:
        raise ModelError(f"the log-mels that were to validate in {cache.folder} went away: index again")
    return Data(cache, training, validation, unusable, normalisation, torch.from_numpy(np.stack(cut[:N_HELD_OUT])))


def sample(tracks: list[Track], n: int, seed: int) -> list[Track]:
    """At most ``n`` tracks drawn without replacement, in the order given."""
    chosen = np.random.default_rng([seed, 4]).permutation(len(tracks))[:n]
    return [tracks[i] for i in sorted(chosen)]


@torch.inference_mode()
def reconstruction_loss(model: Any, windows: Tensor, loss: Callable[[Tensor, Tensor], Tensor]) -> float:
    """Mean loss over windows ``(n, n_mels, n_frames)``, every window weighing the same, on the model's own device."""
    model.eval()
    parts = torch.split(windows.to(device_of(model)), _BATCH)
    total = sum([float(loss(model(part)["mel"], part)) * len(part) for part in parts])
    return total / len(windows)


def finish(
    model: Any,
    pca: PcaAutoencoder,
    data: Data,
    mel_config: dict[str, Any],
    loss: Callable[[Tensor, Tensor], Tensor],
    clock: Clock,
    used: dict[str, Any],
) -> tuple[bytes, dict[str, Any]]:
    """The checkpoint of a trained model and the summary in it: ``used``, the counts of tracks and the baselines."""
    summary = {
        **used,
        "n_tracks": len({track.key for track in data.training + data.validation}),
        "n_training": len(data.training),
        "n_validation": len(data.validation),
        "n_tiled": sum(max(track.n_frames) < data.held_out.shape[2] for track in data.training),
        "n_unusable": len(data.unusable),
        "n_parameters": sum(p.numel() for p in model.parameters()),
        "val_loss_mean_spectrum": float(loss(torch.zeros_like(data.held_out), data.held_out)),
        "val_loss_pca": reconstruction_loss(pca, data.held_out, loss),
    }
    reading = _fit_reading(model, data, clock)
    summary["dim"] = reading.dim
    summary["seconds"] = round(clock.seconds(), 2)
    architecture = used["config"]["model"]
    return to_bytes(Checkpoint(model, architecture, mel_config, data.normalisation, reading, summary)), summary


def conditioned(data: Data) -> Iterator[NDArray[np.float32]]:
    """Conditioned windows ``(n_mels, n_frames)`` of some training tracks, for the principal components."""
    for track in sample(data.training, N_PCA, 0):
        yield from condition(data.cache.get(track.key) or [], data.normalisation)


def _fit_reading(model: Any, data: Data, clock: Clock) -> Reading:
    """How the model's features are read, from the training tracks."""
    pooled = []
    for track in sample(data.training, N_READING, 0):
        if windows := data.cache.get(track.key):
            pooled.append(pool_log_mels(model, windows, data.normalisation))
        if clock.over() and len(pooled) >= N_READING_LEAST:
            break
    if not pooled:
        raise ModelError(f"the log-mels in {data.cache.folder} went away during the training: index again")
    return fit_reading(np.stack(pooled))


def _segments(windows: list[NDArray[np.float32]], n_frames: int, n: int) -> list[NDArray[np.float32]]:
    """At most ``n`` cuts of ``n_frames``, taken in turn from each window; a short window is tiled to one cut."""
    cuts = [
        (start, index, tile_frames(mel[:, start : start + n_frames], n_frames))
        for index, mel in enumerate(windows)
        for start in range(0, max(mel.shape[1] - n_frames, 0) + 1, n_frames)
    ]
    return [cut for _, _, cut in sorted(cuts, key=lambda c: c[:2])[:n]]
