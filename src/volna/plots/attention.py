"""What a classifier looked at: the place of a class in the picture of a sound, and the filters of the first layer."""

from __future__ import annotations

import math

import numpy as np

from volna.errors import VolnaError
from volna.features.frames import Floats
from volna.features.spectrum import MelConfig
from volna.plots.figure import COLOUR_MAP, Target, mel_ticks, new_figure, plain_text, save_figure

__all__ = ["draw_class_activation", "draw_first_filters"]

LOUDEST_SHARE = 99.5  # percentile of the cells that the colours span
SHOWN_DB = 70.0  # below it
LEVELS = (0.25, 0.5, 0.75)  # shares of the strongest place that the lines are drawn at
DARKEST = 0.8  # share of the light that is taken where nothing was seen
MOST_FILTERS, FILTERS_A_ROW = 64, 8


def draw_class_activation(
    picture: Floats, activation: Floats, file: Target, config: MelConfig, *, class_name: str = "", title: str = ""
) -> None:
    """Draw the picture of a sound above the same picture, dark where the network saw nothing of a class.

    Parameters
    ----------
    picture, activation
        ``(n_mels, n_frames)``, in dB and in [0, 1], as `volna.models.classifier_use.class_activation` gives it.
    file
        Where the PNG goes: a path, replaced where it exists, or a binary file.
    config
        How the picture was made, for the axes in seconds and hertz.
    class_name
        Of the class that was asked for.

    Raises
    ------
    VolnaError
        matplotlib is not installed, or the two do not have the same shape.

    Examples
    --------
    >>> from io import BytesIO
    >>> config = MelConfig(sample_rate=16_000, n_mels=8, fmax_hz=8_000.0)
    >>> draw_class_activation(np.zeros((8, 20), np.float32), np.ones((8, 20), np.float32), BytesIO(), config)
    """
    shape = (config.n_mels, *np.shape(picture)[1:])
    if np.shape(picture) != shape or np.shape(activation) != shape or len(shape) != 2:
        raise VolnaError(
            f"expected a picture and an activation of shape ({config.n_mels}, n_frames), "
            f"got {np.shape(picture)} and {np.shape(activation)}"
        )
    figure = new_figure(7.2, 5.2)
    rows = figure.subplots(2, 1, sharex=True, sharey=True)
    high = float(np.percentile(picture, LOUDEST_SHARE))
    seconds = picture.shape[1] * config.hop_length / config.sample_rate
    extent = (0.0, seconds, -0.5, config.n_mels - 0.5)
    names = ("the sound", f"what spoke for {plain_text(class_name)}" if class_name else "what the network saw")
    for axes, name in zip(rows, names, strict=True):
        level = axes.imshow(
            picture, origin="lower", aspect="auto", cmap=COLOUR_MAP, vmin=high - SHOWN_DB, vmax=high,
            interpolation="nearest", extent=extent,
        )  # fmt: skip
        axes.set_title(name, fontsize=9, loc="left")
        axes.set_ylabel("frequency in Hz, mel scale")
    _shade(rows[1], activation, extent)
    rows[0].set_yticks(*mel_ticks(config), fontsize=7)
    rows[1].tick_params(axis="y", labelsize=7)
    rows[1].set_xlabel("time in s")
    figure.colorbar(level, ax=rows, label="level in dB")
    figure.suptitle(plain_text(title), fontsize=10)
    save_figure(figure, file)


def draw_first_filters(filters: Floats, file: Target, *, title: str = "") -> None:
    """Draw the filters that a network lays over a picture first, strongest first.

    Parameters
    ----------
    filters
        ``(n_filters, bands, frames)``, as `volna.models.classifier_use.first_filters` gives them; of more than 64 the
        strongest are drawn.
    file
        Where the PNG goes: a path, replaced where it exists, or a binary file.

    Raises
    ------
    VolnaError
        matplotlib is not installed, or there is nothing to draw.

    Examples
    --------
    >>> from io import BytesIO
    >>> draw_first_filters(np.random.default_rng(0).standard_normal((4, 5, 5)).astype(np.float32), BytesIO())
    """
    if np.ndim(filters) != 3 or not np.size(filters):
        raise VolnaError(f"expected filters of shape (n_filters, bands, frames), got {np.shape(filters)}")
    strength = np.sqrt(np.square(filters, dtype=np.float64).sum(axis=(1, 2)))
    shown = np.argsort(-strength, kind="stable")[:MOST_FILTERS]
    n_rows = math.ceil(len(shown) / FILTERS_A_ROW)
    figure = new_figure(7.2, 0.85 * n_rows + 1.3)
    grid = figure.subplots(n_rows, FILTERS_A_ROW, squeeze=False)
    for axes in grid.ravel():
        axes.set_axis_off()
    for axes, k in zip(grid.ravel(), shown, strict=False):
        most = float(np.abs(filters[k]).max()) or 1.0
        image = axes.imshow(
            filters[k] / most, origin="lower", cmap="PuOr_r", vmin=-1.0, vmax=1.0, interpolation="nearest"
        )
        axes.set_title(f"{strength[k]:.2f}", fontsize=7)
    bar = figure.colorbar(image, ax=grid, label="weight, each filter by itself", shrink=0.9)
    bar.set_ticks([-1, 0, 1], labels=["against", "0", "for"])
    figure.supxlabel(f"{filters.shape[2]} frames wide, {filters.shape[1]} bands high; number: strength", fontsize=8)
    figure.suptitle(plain_text(title), fontsize=10)
    save_figure(figure, file)


def _shade(axes: object, activation: Floats, extent: tuple[float, float, float, float]) -> None:
    """Darken what was not seen, and lines around what was."""
    veil = np.zeros((*activation.shape, 4), np.float32)
    veil[..., 3] = DARKEST * (1.0 - np.sqrt(np.clip(activation, 0.0, 1.0)))
    axes.imshow(veil, origin="lower", aspect="auto", interpolation="nearest", extent=extent)  # type: ignore[attr-defined]
    if float(activation.max()) > float(activation.min()) and min(activation.shape) > 1:
        axes.contour(  # type: ignore[attr-defined]
            activation, levels=LEVELS, colors="white", linewidths=(0.5, 0.9, 1.3), extent=extent
        )
