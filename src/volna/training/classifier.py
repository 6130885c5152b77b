"""Train a classifier of pictures, ask it, and see what it looked at.

Whole groups of sounds are held out. A training stops where the loss on them stops falling, and the same sounds set the
temperature of its probabilities. Where the part held out was large, as it is with few groups, a second training of the
same length then takes every sound. A frozen body is asked once for what it sees in each window, and the head alone is
trained on that.

Everything random depends on the seed and the number of the step alone: where the time budget does not cut it short,
equal sounds and settings give equal bytes on one machine.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from volna.errors import InputError
from volna.models.backbone import backbone_on
from volna.models.classifier import PictureClassifier
from volna.models.classifier_file import KINDS, TrainedClassifier, build_classifier, to_bytes
from volna.models.classifier_use import (
    check_pictures,
    class_activation,
    conditioned,
    few_threads,
    first_filters,
    predict_probabilities,
)
from volna.models.layers import Normalisation, fit_normalisation
from volna.models.vision import VISION, vision_on
from volna.training.classifier_data import hold_out
from volna.training.classifier_loop import (
    REPORT_EVERY_S,
    FeatureSource,
    Fitted,
    Recipe,
    Source,
    WindowSource,
    best_temperature,
    fit_steps,
    scores_of,
)
from volna.training.clock import Clock

__all__ = [
    "class_activation",
    "first_filters",
    "fit_classifier",
    "fit_task",
    "predict_probabilities",
    "predict_task",
]

Array = NDArray[np.float32]

TOP_DB = 80.0  # as the pictures are made
BAND_MEAN_SHARE = 0.0
LEAST_FRAMES, MOST_FRAMES, LENGTH_PERCENTILE = 32, 200, 95.0
HELD_SHARE = 0.2  # of the sounds; more where there are few groups
REFIT_ABOVE = 0.12  # held out more than this of the sounds: train again with all of them
FIRST_SHARE = 0.4  # of the time, for the training that only validates
MOST_SEEN = 500  # frames of a window that a vision network sees, in whatever size it has
FEATURES_SHARE = 0.8  # of the progress, where a frozen body is asked first
LEAST_S = 0.01
LEAST_HELD = 8  # sounds; fewer set no temperature
LEAST_STEPS_SHARE = 0.75  # of the usual number of steps, for the second training, however early the first one stopped
RECIPES = {
    "new": Recipe(),
    "fine-tuned": Recipe(lr=5e-4),
    "frozen": Recipe(lr=1e-2, weight_decay=0.1, least_steps=200, most_steps=400, ema=0.9),
}


def fit_classifier(
    pictures: Sequence[NDArray[Any]],
    labels: ArrayLike,
    groups: ArrayLike,
    *,
    kind: str = "cnn",
    n_classes: int,
    seed: int = 0,
    time_budget_s: float = 120.0,
    checkpoint: bytes | None = None,
    weights: str | None = None,
    freeze: bool = True,
    progress: Callable[[dict[str, Any]], None] | None = None,
) -> bytes:
    """Train a classifier of pictures; returns the bytes of its file.

    Parameters
    ----------
    pictures
        One a sound, ``(n_mels, n_frames)`` in dB, lengths may differ: `volna.features.picture.picture`, or for a
        backbone the log-mel that its autoencoder was trained on (`volna.models.backbone.mel_config_of`).
    labels
        Integers from 0 to ``n_classes - 1``, one a sound.
    groups
        Speaker, actor, artist or recording of each sound: no group is both trained on and validated.
    kind
        ``"cnn"``, ``"crnn"``, ``"backbone"``, ``"resnet50"``, ``"efficientnet"`` or ``"vgg16"``.
    seed
        Of everything random.
    time_budget_s
        A limit in seconds for the training, which small sets do not reach; what a frozen body sees of the sounds is
        asked for before that.
    checkpoint
        The autoencoder, for ``kind="backbone"``.
    weights
        A file with the weights of a vision network; None looks into the user's caches.
    freeze
        Of a backbone or a vision network: leave the body as it was learnt and train the head alone.
    progress
        Called about twice a second with ``step, fraction, train_loss, val_loss, seconds, eta_s``.

    Raises
    ------
    InputError
        No such kind, nothing to train on, or pictures, labels and groups that do not fit each other.
    ModelError
        The checkpoint or the weights cannot be used, or the loss is not finite.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> sounds = [rng.normal(-60.0, 5.0, (16, 20)) for _ in range(8)]
    >>> model = fit_classifier(sounds, [0, 1] * 4, list("aabbccdd"), n_classes=2, time_budget_s=1.0)
    >>> predict_probabilities(model, sounds).shape
    (8, 2)
    """
    steps = _fit(pictures, labels, groups, kind, n_classes, seed, time_budget_s, checkpoint, weights, freeze)
    while True:
        try:
            event = next(steps)
        except StopIteration as stop:
            return stop.value
        if progress:
            progress(event)


def fit_task(settings: Mapping[str, Any]) -> Generator[tuple[str, dict[str, Any]], Any, bytes]:
    """:func:`fit_classifier` for a child process: yields ``("progress", event)`` and returns the bytes.

    ``settings`` holds ``pictures``, ``labels``, ``groups``, ``kind``, ``n_classes`` and any other of its options.
    """
    options = {"seed": 0, "time_budget_s": 120.0, "checkpoint": None, "weights": None, "freeze": True}
    if unknown := sorted(set(settings) - {"pictures", "labels", "groups", "kind", "n_classes", *options}):
        raise InputError(f"a setting of the training does not exist: {', '.join(unknown)}")
    steps = _fit(**{**options, **settings})
    while True:
        try:
            event = next(steps)
        except StopIteration as stop:
            return stop.value
        yield "progress", event


def predict_task(model: bytes, pictures: Sequence[NDArray[Any]]) -> NDArray[np.float64]:
    """:func:`predict_probabilities` for a child process."""
    return predict_probabilities(model, pictures)


@dataclass(frozen=True)
class _Job:
    """What is trained: a network, what it is fed, the classes, how, and until when; what share of it all is behind."""

    network: nn.Module
    source: Source
    labels: NDArray[np.int64]
    n_classes: int
    recipe: Recipe
    seed: int
    started: float
    budget_s: float
    behind: float


class _Head(nn.Module):
    """The last layer of a classifier by itself, on features of the whole: ``(B, D) -> (B, n_classes)``."""

    def __init__(self, model: PictureClassifier) -> None:
        super().__init__()
        self.dropout, self.head = model.dropout, model.head

    def forward(self, features: Tensor) -> Tensor:
        return self.head(self.dropout(features))


def _fit(
    pictures: Sequence[NDArray[Any]],
    labels: ArrayLike,
    groups: ArrayLike,
    kind: str,
    n_classes: int,
    seed: int,
    time_budget_s: float,
    checkpoint: bytes | None,
    weights: str | None,
    freeze: bool,
) -> Generator[dict[str, Any], None, bytes]:
    """:func:`fit_classifier` as a generator of its progress events."""
    started = time.perf_counter()
    targets = _checked(pictures, labels, groups, kind, n_classes)
    with few_threads():
        torch.manual_seed(seed)
        model, normalisation = _new_model(kind, pictures, n_classes, checkpoint, weights)
        n_frames = _window_of([picture.shape[1] for picture in pictures], MOST_SEEN if kind in VISION else MOST_FRAMES)
        source: Source = WindowSource(conditioned(pictures, normalisation), n_frames)
        frozen = freeze and hasattr(model, "body")
        network: Any = model
        network = network.to(memory_format=torch.channels_last)  # measured: a step takes half as long
        if frozen:
            source, network = (yield from _features(model, source, len(pictures))), _Head(model)
            started = time.perf_counter()
        recipe = RECIPES["frozen" if frozen else "fine-tuned" if hasattr(model, "body") else "new"]
        behind = FEATURES_SHARE if frozen else 0.0
        job = _Job(network, source, targets, n_classes, recipe, seed, started, time_budget_s, behind)
        held = hold_out(targets, np.asarray(groups).tolist(), share=HELD_SHARE, seed=seed)
        kept, temperature, summary = yield from _train(job, held)
    _take_over(model, kept, frozen)
    summary |= {"kind": kind, "frozen": frozen, "seed": seed, "n_sounds": len(pictures)}
    return to_bytes(TrainedClassifier(model, kind, normalisation, n_frames, temperature, summary))


def _train(job: _Job, held: NDArray[np.bool_]) -> Generator[dict[str, Any], None, tuple[Fitted, float, dict[str, Any]]]:
    """One training that validates and, where that held much back, a second one on everything."""
    again = float(held.mean()) > REFIT_ABOVE
    share = FIRST_SHARE if again else 1.0
    begun = {name: tensor.clone() for name, tensor in job.network.state_dict().items()}
    usual = job.recipe.steps(len(held) - int(held.sum()))
    first = kept = yield from _stage(job, held, usual, 0.0, share)
    temperature = 1.0
    if held.sum() >= LEAST_HELD:
        sounds = np.flatnonzero(held)
        scores = scores_of(first.network, job.source, sounds.tolist())
        temperature = best_temperature(scores, job.labels[sounds])
    if again:
        job.network.load_state_dict(begun)
        steps = round(max(first.step, LEAST_STEPS_SHARE * usual) * len(held) / float((~held).sum()))
        steps = min(steps, job.recipe.most_steps)  # as many epochs of more sounds
        kept = yield from _stage(job, np.zeros_like(held), steps, share, 1.0)
    summary = {
        "n_held_out": int(held.sum()),
        "stopped": kept.stopped,
        "steps": kept.step,
        "val_loss": None if np.isnan(first.loss) else first.loss,
        "refit": again,
        "history": first.history,
    }
    return kept, temperature, summary


def _stage(
    job: _Job, held: NDArray[np.bool_], n_steps: int, begin: float, end: float
) -> Generator[dict[str, Any], None, Fitted]:
    """A training that may use its share of the time, its events moved to where it stands in the whole."""
    now = time.perf_counter()
    clock = Clock(now, max(job.started + end * job.budget_s - now, LEAST_S))
    steps = fit_steps(job.network, job.source, job.labels, held, job.n_classes, job.recipe, n_steps, clock, job.seed)
    while True:
        try:
            event = next(steps)
        except StopIteration as stop:
            return stop.value
        done = begin + (end - begin) * event["fraction"]
        seconds = time.perf_counter() - job.started
        eta_s = round(seconds * (1 - done) / done, 1) if done else None
        fraction = job.behind + (1 - job.behind) * done
        yield event | {"fraction": fraction, "seconds": round(seconds, 2), "eta_s": eta_s}


def _new_model(
    kind: str, pictures: Sequence[NDArray[Any]], n_classes: int, checkpoint: bytes | None, weights: str | None
) -> tuple[PictureClassifier, Normalisation]:
    """The network before its training, and how its pictures are conditioned."""
    n_mels = pictures[0].shape[0]
    if kind == "backbone":
        if checkpoint is None:
            raise InputError("a backbone needs an autoencoder: give the bytes of a checkpoint")
        model, read = backbone_on(checkpoint, n_classes)
        check_pictures(pictures, int(read.config.n_mels))
        return model, read.normalisation
    normalisation = replace(
        fit_normalisation(([picture] for picture in pictures), top_db=TOP_DB), band_mean_share=BAND_MEAN_SHARE
    )
    if kind in VISION:
        return vision_on(kind, n_classes, weights), normalisation
    return build_classifier(kind, {"n_mels": n_mels, "n_classes": n_classes}), normalisation


def _checked(
    pictures: Sequence[NDArray[Any]], labels: ArrayLike, groups: ArrayLike, kind: str, n_classes: int
) -> NDArray[np.int64]:
    """The labels, once everything fits."""
    if kind not in KINDS:
        raise InputError(f"expected kind to be one of {', '.join(KINDS)}, got {kind!r}")
    targets = np.asarray(labels)
    if not len(pictures):
        raise InputError("expected at least one picture to train on, got none")
    if targets.shape != (len(pictures),) or len(np.asarray(groups)) != len(pictures):
        counts = f"{len(pictures)} pictures, {targets.size} labels and {np.size(groups)} groups"
        raise InputError(f"expected a label and a group for every picture, got {counts}")
    if targets.dtype.kind not in "iu" or targets.min() < 0 or targets.max() >= n_classes:
        raise InputError(f"expected labels that are integers from 0 to {n_classes - 1}")
    check_pictures(pictures, np.shape(pictures[0])[0] if np.ndim(pictures[0]) == 2 else 0)
    return targets.astype(np.int64)


def _window_of(lengths: Sequence[int], most: int) -> int:
    """Frames of a window: nearly all of short sounds whole, a few seconds of long ones."""
    return round(float(np.clip(np.percentile(lengths, LENGTH_PERCENTILE), LEAST_FRAMES, most)))


def _features(
    model: PictureClassifier, source: Source, n_sounds: int
) -> Generator[dict[str, Any], None, FeatureSource]:
    """What a frozen body sees in every window of every sound."""
    model.eval()
    started = time.perf_counter()
    clock = Clock(started, None)
    features = []
    for sound in range(n_sounds):
        with torch.no_grad():
            features.append(model.pooled(model.maps(source.whole(sound))))
        if clock.due("report", REPORT_EVERY_S):
            done = (sound + 1) / n_sounds
            eta_s = round(clock.seconds() * (1 - done) / done, 1)
            yield {"step": 0, "fraction": FEATURES_SHARE * done, "train_loss": None, "val_loss": None} | {
                "seconds": round(clock.seconds(), 2),
                "eta_s": eta_s,
            }
    return FeatureSource(features)


def _take_over(model: PictureClassifier, kept: Fitted, frozen: bool) -> None:
    weights = kept.network.state_dict()
    model.load_state_dict(weights, strict=not frozen)
    model.eval().requires_grad_(False)
