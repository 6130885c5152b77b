"""`classify see`: where in the picture of a sound a network saw a label, and the filters that it looks through."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

from volna.errors import InputError, ModelError
from volna.features.picture import picture_config
from volna.features.recipe import ANALYSIS
from volna.plots.attention import draw_class_activation, draw_first_filters
from volna.plots.figure import can_draw
from volna.pool import Pool, Task
from volna.workflows.classify_model import classifier_from, read_classifier
from volna.workflows.common import TIMEOUT_S
from volna.workflows.files import check_free, new_file

__all__ = ["ClassifySeen", "classify_see"]


@dataclass
class ClassifySeen:
    """What was drawn: the label that was asked for, its probability for this sound, and the files."""

    path: str
    label: str
    probability: float
    output: str
    filters: str | None = None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def classify_see(
    path: str | Path,
    model: str | Path,
    output: str | Path,
    *,
    label: str | None = None,
    filters: str | Path | None = None,
    force: bool = False,
) -> ClassifySeen:
    """Draw what spoke for a label in a sound, as a network saw it.

    Parameters
    ----------
    path : str or Path
        A sound.
    model : str or Path
        A file of `classify_train` with a network.
    output : str or Path
        A PNG: the log-mel, and below it the places that spoke for the label (Grad-CAM, Selvaraju et al. 2017).
    label : str, optional
        By default the likeliest one.
    filters : str or Path, optional
        A PNG of the filters of the network's first layer.
    force : bool
        Replace files that exist.

    Raises
    ------
    InputError
        The model does not know the label, or an output exists.
    ModelError
        The model cannot be read, or has no network.

    Examples
    --------
    >>> classify_see("dog.wav", "sounds.model", "dog.png").label  # doctest: +SKIP
    'dog'
    """
    if not can_draw():
        raise InputError("pictures need matplotlib: pip install 'volna[plots]'")
    targets = [Path(name).expanduser() for name in (output, filters) if name]
    for target in targets:
        check_free(target, force=force)
    content = read_classifier(model)
    classifier = classifier_from(content, str(model))
    if classifier.network is None:
        raise ModelError(f"{model}: looks at no pictures, it hears vectors; train one with --with cnn or crnn")
    if label is not None and label not in classifier.classes:
        raise InputError(f"label: expected one of {', '.join(classifier.classes)}, got {label!r}")
    setup = Task("volna.workflows.classify_jobs:use_classifier", (content,))
    with Pool(1, timeout_s=TIMEOUT_S, setup=setup) as pool:
        (outcome,) = pool.run([Task("volna.workflows.classify_jobs:see_file", (str(path), label, filters is not None))])
    if not outcome.ok:
        raise InputError(f"{path}: {(outcome.reason or '').removeprefix(f'{path}: ')}")
    picture, activation, layer, k, probability = outcome.result
    config = ANALYSIS if classifier.picture_rate is None else picture_config(classifier.picture_rate)
    name, title = classifier.classes[k], Path(path).name

    def sound(file: BinaryIO) -> None:
        draw_class_activation(picture, activation, file, config, class_name=name, title=title)

    _write(targets[0], sound, force)
    if filters:
        _write(targets[1], lambda file: draw_first_filters(layer, file, title=Path(model).name), force)
    return ClassifySeen(str(path), name, probability, str(targets[0]), str(targets[1]) if filters else None)


def _write(target: Path, draw: Callable[[BinaryIO], None], force: bool) -> None:
    with new_file(target, force=force) as file:
        draw(file)
