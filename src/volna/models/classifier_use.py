"""A trained classifier at work: probabilities of the classes, and what the network saw.

A picture is conditioned (`volna.models.layers.condition`) and read in windows of the length that the network was
trained on::

    |--------------- picture ---------------|
    |--- 0 ---|    |--- 2 ---|    |--- 4 ---|      half overlapping, evenly spread, none over the end;
         |--- 1 ---|    |--- 3 ---|                a shorter picture stands in the middle of one window
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from volna.errors import InputError
from volna.models.classifier_file import TrainedClassifier, from_bytes
from volna.models.layers import Normalisation, condition
from volna.models.vision import VISION

__all__ = [
    "check_pictures",
    "class_activation",
    "conditioned",
    "cut_windows",
    "few_threads",
    "first_filters",
    "mean_scores",
    "placed",
    "predict_probabilities",
    "window_starts",
]

Array = NDArray[np.float32]

N_THREADS = 2  # at most: more of them make a step of a small network no faster
SCORED_AT_ONCE = 64  # windows
MOST_WINDOWS = 40  # of one sound: evenly spread over a long one


def predict_probabilities(model: bytes, pictures: Sequence[NDArray[Any]]) -> NDArray[np.float64]:
    """Probabilities of the classes for each picture: float64 ``(n, n_classes)``, rows sum to 1.

    A long picture is read in half overlapping windows, whose scores are averaged before the softmax.

    Parameters
    ----------
    model
        The bytes that `volna.training.classifier.fit_classifier` returned.
    pictures
        Each ``(n_mels, n_frames)`` in dB, made as those that it was trained on.

    Raises
    ------
    InputError
        A picture has another number of bands, no frame, or values that are not finite.
    ModelError
        The bytes are no classifier, or damaged.
    """
    trained = from_bytes(model)
    check_pictures(pictures, trained.n_mels)
    if not len(pictures):
        return np.zeros((0, trained.model.config.n_classes))
    with few_threads():
        whole = (_whole(picture, trained) for picture in pictures)
        scores = mean_scores(trained.model, whole) / trained.temperature
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def class_activation(model: bytes, picture: NDArray[Any], class_index: int) -> Array:
    """Where in a picture the network saw a class: Grad-CAM (Selvaraju et al. 2017), place by place.

    Every cell of the network's maps times how much the score of the class rises with it, summed over the maps, only
    what speaks for the class, drawn up to the size of the picture. The rise is not averaged over places (as Draelos
    and Carin 2020 propose), because these networks read each part of the spectrum by itself. Overlapping windows are
    averaged.

    Parameters
    ----------
    picture
        ``(n_mels, n_frames)`` in dB, made as those that it was trained on.
    class_index
        0 to ``n_classes - 1``.

    Returns
    -------
    float32 ``(n_mels, n_frames)`` in [0, 1]; the strongest place is 1, all is 0 where nothing speaks for the class.

    Raises
    ------
    InputError
        There is no such class, or the picture does not fit the model.
    ModelError
        The bytes are no classifier, or damaged.
    """
    trained = from_bytes(model)
    n_classes = int(trained.model.config.n_classes)
    if not 0 <= class_index < n_classes:
        raise InputError(f"expected a class from 0 to {n_classes - 1}, got {class_index}")
    check_pictures([picture], trained.n_mels)
    mel = conditioned([picture], trained.normalisation)[0]
    total, count = np.zeros(mel.shape), np.zeros(mel.shape[1])
    with few_threads():
        for start in window_starts(mel.shape[1], trained.n_frames):
            seen = _activation(trained, placed(mel, trained.n_frames, start), class_index)
            inside = slice(max(start, 0), start + trained.n_frames)
            seen = seen[:, max(-start, 0) :][:, : mel.shape[1]]
            total[:, inside] += seen
            count[inside] += 1
    mean = total / count
    strongest = float(mean.max())
    return np.asarray(mean / strongest if strongest > 0 else mean, np.float32)


def first_filters(model: bytes) -> Array:
    """The filters that a network lays over the picture first: float32 ``(n_filters, bands, frames)``.

    Of a vision network the three colours are summed, as it sees the same picture in each, and the bands turned, as it
    sees low frequencies at the bottom. Of a transformer they are what its words answer to.

    Raises
    ------
    InputError
        The first layer is no set of filters over bands and frames.
    ModelError
        The bytes are no classifier, or damaged.
    """
    trained = from_bytes(model)
    body: Any = getattr(trained.model, "body", None)
    if hasattr(body, "words"):
        return np.asarray(body.words.weight.unflatten(1, (body.config.patch_bands, -1)).numpy(), np.float32)
    kernels = next((layer.weight for layer in trained.model.modules() if isinstance(layer, nn.Conv2d)), None)
    if kernels is None:
        raise InputError(f"the first layer of this {trained.kind} is no set of filters over bands and frames")
    if trained.kind in VISION:
        return np.ascontiguousarray(kernels.sum(dim=1).flip(1).numpy(), np.float32)
    return np.ascontiguousarray(kernels[:, 0].numpy(), np.float32)


def conditioned(pictures: Sequence[NDArray[Any]], normalisation: Normalisation) -> list[Array]:
    """Each picture by itself: its level out, its floor raised, its bands standardised; same shapes."""
    return [condition([picture], normalisation)[0] for picture in pictures]


def window_starts(n_total: int, n_frames: int) -> list[int]:
    """Where the windows of a picture begin: below 0 for a picture that is shorter than one.

    Examples
    --------
    >>> window_starts(30, 10), window_starts(4, 10)
    ([0, 5, 10, 15, 20], [-3])
    """
    spare = n_total - n_frames
    if spare <= 0:
        return [-(-spare // 2)]
    n_windows = min(1 + -(-2 * spare // n_frames), MOST_WINDOWS)
    return [int(start) for start in np.linspace(0, spare, n_windows).round()]


def placed(mel: Array, n_frames: int, start: int) -> Array:
    """The window of ``n_frames`` that begins at ``start``; before and after the picture is its faintest value."""
    if start >= 0 and start + n_frames <= mel.shape[1]:
        return mel[:, start : start + n_frames]
    window = np.full((mel.shape[0], n_frames), mel.min(), np.float32)
    window[:, -start : -start + mel.shape[1]] = mel
    return window


def cut_windows(mel: Array, n_frames: int) -> Array:
    """Windows over a whole picture, as drawn above: ``(n_windows, n_mels, n_frames)``."""
    return np.stack([placed(mel, n_frames, start) for start in window_starts(mel.shape[1], n_frames)])


@torch.inference_mode()
def mean_scores(network: Callable[[Tensor], Tensor], sounds: Iterator[Tensor]) -> NDArray[np.float64]:
    """Scores of sounds, each given by the windows of it: their mean, ``(n, n_classes)``, before the softmax."""
    out: list[Tensor] = []
    waiting: list[Tensor] = []

    def score() -> None:
        scores = torch.cat([network(part) for part in torch.split(torch.cat(waiting), SCORED_AT_ONCE)])
        out.extend(part.mean(dim=0) for part in torch.split(scores, [len(windows) for windows in waiting]))
        waiting.clear()

    for windows in sounds:
        waiting.append(windows)
        if sum(map(len, waiting)) >= SCORED_AT_ONCE:
            score()
    if waiting:
        score()
    return torch.stack(out).double().numpy()


def check_pictures(pictures: Sequence[NDArray[Any]], n_mels: int) -> None:
    """Raise InputError where a picture is no finite ``(n_mels, n_frames)`` of at least one frame."""
    for k, picture in enumerate(pictures):
        if np.ndim(picture) != 2 or picture.shape[0] != n_mels or not picture.shape[1]:
            raise InputError(f"expected pictures of shape ({n_mels}, n_frames), got {np.shape(picture)} for number {k}")
        if not np.isfinite(picture).all():
            raise InputError(f"expected finite pictures, got NaN or infinity in number {k}")


@contextlib.contextmanager
def few_threads() -> Iterator[None]:
    """At most two threads of torch, and its random state as it was before."""
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    torch.set_num_threads(min(threads, N_THREADS))
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.set_rng_state(state)


def _whole(picture: NDArray[Any], trained: TrainedClassifier) -> Tensor:
    return torch.from_numpy(cut_windows(conditioned([picture], trained.normalisation)[0], trained.n_frames))


def _activation(trained: TrainedClassifier, window: Array, class_index: int) -> Array:
    """What speaks for a class in one window: ``(n_mels, n_frames)``, at least 0, in units of the score."""
    with torch.no_grad():
        maps = trained.model.maps(torch.from_numpy(np.ascontiguousarray(window))[None])
    maps = maps.clone().requires_grad_(True)
    trained.model.read(maps)[0, class_index].backward()  # type: ignore[no-untyped-call]
    assert maps.grad is not None
    seen = F.relu((maps.grad * maps.detach()).sum(dim=1, keepdim=True))
    return np.asarray(F.interpolate(seen, window.shape, mode="bilinear", align_corners=False)[0, 0].numpy(), np.float32)
