"""What several verbs share: the progress callable, the time a file may take, where the library is."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from volna.errors import ModelError
from volna.features.constants import descriptor_priors
from volna.features.recipe import DESCRIPTOR_WEIGHTS, FEATURES_VERSION
from volna.library.index import Index, Settings, index_folder, open_index
from volna.library.store import Catalogue, ModelRow, default_library_path
from volna.pool import Pool, Task
from volna.vectors import CLIP, FUSION

__all__ = [
    "SEGMENTS",
    "TIMEOUT_S",
    "Progress",
    "hears_as_now",
    "keep_model",
    "library_path",
    "names_of_spaces",
    "newest_model",
    "open_current_index",
    "open_library",
    "silent",
    "space_settings",
    "train_in_child",
]

SEGMENTS = ("spread", "start", "middle", "end")
GO_ON = "--resume goes on from its last state"
TIMEOUT_S = 60.0  # an analysis takes some 30 ms; a network disk on a busy machine gets its time

Progress = Callable[[str, int, int | None, str], None]  # (stage, done, total, note)


def silent(stage: str, done: int, total: int | None, note: str = "") -> None:
    """A progress callable that says nothing."""


def library_path(library: str | Path | None) -> Path:
    """The library named, or the default one."""
    return Path(library).expanduser() if library is not None else default_library_path()


def open_library(library: str | Path | None, *, create: bool = False) -> Catalogue:
    """Open the library named, or the default one; the caller closes it (``with``)."""
    return Catalogue.open(library_path(library), create=create)


def newest_model(catalogue: Catalogue) -> ModelRow | None:
    """The model that new tracks are embedded with: one that waits to be complete, else the active one."""
    for model in (catalogue.pending_model(), catalogue.active_model()):
        if model is not None and hears_as_now(catalogue, model.id):
            return model
    return None


def hears_as_now(catalogue: Catalogue, model_id: str) -> bool:
    """Whether a model was trained on the log-mels that are made now; after a change of them it only answers."""
    return catalogue.get_setting(f"features of {model_id}") == FEATURES_VERSION


def keep_model(catalogue: Catalogue, model_id: str, checkpoint: bytes, trained_on: int, dim: int) -> None:
    """Keep a new model as the pending one, and what it was trained to hear."""
    catalogue.set_setting(f"features of {model_id}", FEATURES_VERSION)
    catalogue.add_model(model_id, checkpoint, trained_on=trained_on, dim=dim)


def names_of_spaces(catalogue: Catalogue) -> dict[str, str]:
    """Which vectors of the catalogue answer now: descriptors of one version, latents of the active model."""
    names = {"descriptors": catalogue.descriptor_space}
    model = catalogue.active_model()
    return names | {"autoencoder": model.id} if model else names


def open_current_index(catalogue: Catalogue) -> Index:
    """The index of a library, made again where it is behind."""
    return open_index(
        catalogue,
        names_of_spaces(catalogue),
        index_folder(catalogue.path),
        settings=partial(space_settings, catalogue),
        settings_version=_settings_version(),
    )


def _settings_version() -> str:
    """Changes with whatever shapes the rows besides the vectors, so that an index of older settings is made again."""
    centre, spread = descriptor_priors()
    numbers = centre.tobytes() + spread.tobytes() + DESCRIPTOR_WEIGHTS.tobytes()
    return hashlib.sha256(numbers + repr((FUSION, CLIP)).encode()).hexdigest()[:16]


def space_settings(catalogue: Catalogue) -> Settings:
    """The shipped statistics of the descriptors, and those that the model has of its training tracks."""
    priors, weights = {}, {}
    if catalogue.descriptor_space == f"descriptors/{FEATURES_VERSION}":  # older descriptors are other elements
        priors["descriptors"], weights["descriptors"] = descriptor_priors(), np.asarray(DESCRIPTOR_WEIGHTS)
    model = catalogue.active_model()
    if model is not None:
        from safetensors import SafetensorError  # the statistics alone need no torch
        from safetensors.numpy import load

        tensors: dict[str, np.ndarray] = {}
        with suppress(SafetensorError):  # a damaged model embeds nothing more, but its vectors still answer
            tensors = load(catalogue.model_bytes(model.id))
        if "reading.scale" in tensors:  # a model without a reading is standardised by the library alone
            scale = tensors["reading.scale"]
            priors["autoencoder"] = np.zeros_like(scale), scale
            weights["autoencoder"] = scale  # so that standardising does not whiten, see volna.models.reading
    return Settings(priors=priors, weights=weights)


def train_in_child(
    pool: Pool, function: str, settings: Mapping[str, Any], progress: Progress, *, go_on: str = GO_ON
) -> dict[str, Any]:
    """Run a training in a child of `pool`, telling its losses on the way, and return its result.

    Raises
    ------
    ModelError
        The training ended without a model; `go_on` says what to do.
    """

    def report(_: Task, message: tuple[str, dict[str, Any]]) -> None:
        event = message[1]
        losses = {"loss": event["train_loss"], "held out": event["val_loss"]}
        note = ", ".join(f"{name} {value:.3f}" for name, value in losses.items() if value is not None)
        progress("Training", round(1000 * event["fraction"]), 1000, note)

    (outcome,) = pool.run([Task(function, (dict(settings),))], report)
    if outcome.reason is not None:
        raise ModelError(f"the training stopped: {outcome.reason}; {go_on}")
    result: dict[str, Any] = outcome.result
    return result
