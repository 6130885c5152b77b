"""Pictures of a training: its curve, and what a model gives back of sounds beside the originals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import numpy as np

from volna.errors import VolnaError
from volna.features.spectrum import MelConfig
from volna.plots.figure import (
    BLACK,
    BLUE,
    COLOUR_MAP,
    GREEN,
    ORANGE,
    Target,
    mel_ticks,
    new_figure,
    plain_text,
    save_figure,
    short_name,
)

__all__ = ["Reconstruction", "draw_reconstructions", "draw_training_curve"]

LEVEL_LINES = ((GREEN, "-."), (BLACK, ":"))
LOUDEST_SHARE = 99.5  # percentile of the cells that the colours span
ROWS = {
    "log-mel": "frequency in Hz, mel scale",
    "linear": "frequency in Hz",
    "mfcc": "cepstral coefficient",
    "wave": "sample of the hop",
}
LOSSES = {
    "mse": "mean squared error",
    "mae": "mean absolute error",
    "bce": "binary cross-entropy",
    "spectral_convergence": "spectral convergence",
}


@dataclass(frozen=True)
class Reconstruction:
    """A sound as it was and as the model gives it back, float32 ``(n_mels, n_frames)`` in dB re its level."""

    name: str
    original: np.ndarray
    reconstructed: np.ndarray


def draw_training_curve(
    history: Sequence[Mapping[str, Any]],
    file: Target,
    *,
    loss: str = "mse",
    baselines: Mapping[str, float] | None = None,
    title: str = "",
) -> None:
    """Draw the losses of a training over its steps.

    Parameters
    ----------
    history
        One entry a validation, with ``step``, ``train_loss`` and ``val_loss``; losses may be None or not finite.
    file
        Where the PNG goes: a path, replaced where it exists, or a binary file.
    loss
        A key of the losses of training, for the name of the axis; any other is written as it is.
    baselines
        Losses to draw as level lines, by name.

    Raises
    ------
    VolnaError
        matplotlib is not installed, or there is nothing to draw.
    """
    if not history:
        raise VolnaError("expected at least one validation to draw, got none")
    figure = new_figure(6.4, 4.0)
    axes = figure.add_subplot()
    steps = [entry["step"] for entry in history]
    for key, label, colour, dashes, marker in (
        ("train_loss", "training, input masked", ORANGE, "--", "s"),
        ("val_loss", "held out", BLUE, "-", "o"),
    ):
        values = [_number(entry.get(key)) for entry in history]
        axes.plot(steps, values, color=colour, linestyle=dashes, marker=marker, markersize=3, label=label)
    for (name, value), (colour, dashes) in zip((baselines or {}).items(), cycle(LEVEL_LINES), strict=False):
        axes.axhline(value, color=colour, linestyle=dashes, linewidth=1, label=f"{name}, held out")
    axes.set_xlabel("step")
    unit = " per cell\n(1 = spread of the input)" if loss in ("mse", "mae") else ""
    axes.set_ylabel(f"{LOSSES.get(loss, loss)}{unit}")
    axes.set_title(plain_text(title), fontsize=10)
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    figure.legend(loc="outside lower center", ncols=4, frameon=False, fontsize=8)
    save_figure(figure, file)


def draw_reconstructions(
    pairs: Sequence[Reconstruction], file: Target, config: MelConfig, title: str = "", *, heard: str = "log-mel"
) -> None:
    """Draw originals above their reconstructions, a column each, all in the same colours.

    Parameters
    ----------
    pairs
        At least one; both pictures of a pair have the same shape.
    file
        Where the PNG goes: a path, replaced where it exists, or a binary file.
    config
        How the log-mels were made, for the axes in seconds and hertz.
    heard
        What the rows are, one of `volna.features.inputs.INPUTS`.

    Raises
    ------
    VolnaError
        matplotlib is not installed, or there is nothing to draw.
    """
    if not pairs:
        raise VolnaError("expected at least one sound to draw, got none")
    figure = new_figure(3.2 * len(pairs) + 1.2, 5.2)
    grid = figure.subplots(2, len(pairs), squeeze=False, sharex="col", sharey=True)
    cells = np.concatenate([pair.original.ravel() for pair in pairs])
    unit = " dB" if heard in ("log-mel", "linear") else ""
    low, high = np.percentile(cells, [100 - LOUDEST_SHARE, LOUDEST_SHARE])
    for column, pair in zip(grid.T, pairs, strict=True):
        error = float(np.sqrt(np.mean((pair.original - pair.reconstructed) ** 2)))
        for axes, mel, name in zip(
            column,
            (pair.original, pair.reconstructed),
            (pair.name, f"error {error:.1f}{unit} (rms)" if unit else f"error {error:.2g} (rms)"),
            strict=True,
        ):
            seconds = mel.shape[1] * config.hop_length / config.sample_rate
            image = axes.imshow(
                mel, origin="lower", aspect="auto", cmap=COLOUR_MAP, vmin=low, vmax=high, interpolation="nearest",
                extent=(0, seconds, -0.5, len(mel) - 0.5),
            )  # fmt: skip
            axes.set_title(short_name(name), fontsize=9)
        column[-1].set_xlabel("time in s")
    bands, labels = _rows(config, heard, len(pairs[0].original))
    for axes, name in zip(grid[:, 0], ("original", "reconstruction"), strict=True):
        axes.set_yticks(bands, labels)
        axes.set_ylabel(f"{name}\n{ROWS[heard]}")
    figure.colorbar(image, ax=grid, label=f"{unit.strip() or 'value'} re the sound's mean")
    figure.suptitle(plain_text(title), fontsize=10)
    save_figure(figure, file)


def _number(value: Any) -> float:
    return math.nan if value is None or not math.isfinite(value) else float(value)


def _rows(config: MelConfig, heard: str, n_rows: int) -> tuple[list[float], list[str]]:
    """Where the rows of an input are labelled, and how."""
    if heard == "log-mel":
        return mel_ticks(config)
    if heard == "linear":
        hz = np.arange(1000, n_rows * config.sample_rate / config.n_fft, 1000)
        return list(hz * config.n_fft / config.sample_rate), [f"{value:.0f}" for value in hz]
    first = 1 if heard == "mfcc" else 0
    rows = np.linspace(0, n_rows - 1, 5).round()
    return list(rows), [f"{row + first:.0f}" for row in rows]
