"""Pictures of a training: its curve, and what a model gives back of sounds beside the originals.

matplotlib is imported when something is drawn, never before, and draws into a file by itself (Agg): no window, no
global setting touched. Colours are those of Okabe and Ito, and cividis, which the colour-blind tell apart; every line
has its own dashes as well.
"""

from __future__ import annotations

import importlib.util
import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from volna.errors import VolnaError
from volna.features.spectrum import MelConfig, hz_to_mel, mel_to_hz

__all__ = ["Reconstruction", "can_draw", "draw_reconstructions", "draw_training_curve"]

Target = str | Path | BinaryIO

BLUE, ORANGE, GREEN, BLACK = "#0072B2", "#E69F00", "#009E73", "#000000"
COLOUR_MAP = "cividis"
LEVEL_LINES = ((GREEN, "-."), (BLACK, ":"))
TICKS_HZ = (100, 250, 500, 1000, 2000, 4000, 8000, 16000)
DOTS_PER_INCH = 120
LOUDEST_SHARE = 99.5  # percentile of the cells that the colours span
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


def can_draw() -> bool:
    """Whether matplotlib is installed; it is not imported for that."""
    return importlib.util.find_spec("matplotlib") is not None


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
    figure = _figure(6.4, 4.0)
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
    axes.set_title(_plain(title), fontsize=10)
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    figure.legend(loc="outside lower center", ncols=4, frameon=False, fontsize=8)
    _save(figure, file)


def draw_reconstructions(pairs: Sequence[Reconstruction], file: Target, config: MelConfig, title: str = "") -> None:
    """Draw originals above their reconstructions, a column each, all in the same colours.

    Parameters
    ----------
    pairs
        At least one; both pictures of a pair have the same shape.
    file
        Where the PNG goes: a path, replaced where it exists, or a binary file.
    config
        How the log-mels were made, for the axes in seconds and hertz.

    Raises
    ------
    VolnaError
        matplotlib is not installed, or there is nothing to draw.
    """
    if not pairs:
        raise VolnaError("expected at least one sound to draw, got none")
    figure = _figure(3.2 * len(pairs) + 1.2, 5.2)
    grid = figure.subplots(2, len(pairs), squeeze=False, sharex="col", sharey=True)
    cells = np.concatenate([pair.original.ravel() for pair in pairs])
    low, high = np.percentile(cells, [100 - LOUDEST_SHARE, LOUDEST_SHARE])
    for column, pair in zip(grid.T, pairs, strict=True):
        error = float(np.sqrt(np.mean((pair.original - pair.reconstructed) ** 2)))
        for axes, mel, name in zip(
            column, (pair.original, pair.reconstructed), (pair.name, f"error {error:.1f} dB (rms)"), strict=True
        ):
            seconds = mel.shape[1] * config.hop_length / config.sample_rate
            image = axes.imshow(
                mel, origin="lower", aspect="auto", cmap=COLOUR_MAP, vmin=low, vmax=high, interpolation="nearest",
                extent=(0, seconds, -0.5, config.n_mels - 0.5),
            )  # fmt: skip
            axes.set_title(_short(name), fontsize=9)
        column[-1].set_xlabel("time in s")
    bands, labels = _ticks(config)
    for axes, name in zip(grid[:, 0], ("original", "reconstruction"), strict=True):
        axes.set_yticks(bands, labels)
        axes.set_ylabel(f"{name}\nfrequency in Hz, mel scale")
    figure.colorbar(image, ax=grid, label="dB re the sound's mean level")
    figure.suptitle(_plain(title), fontsize=10)
    _save(figure, file)


def _figure(width: float, height: float) -> Any:
    if not can_draw():
        raise VolnaError("pictures need matplotlib: pip install 'volna[plots]'")
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=DOTS_PER_INCH, layout="constrained")


def _save(figure: Any, file: Target) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas: Any = FigureCanvasAgg(figure)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # a box stands for it in the picture
        canvas.print_png(str(file) if isinstance(file, Path) else file)


def _number(value: Any) -> float:
    return math.nan if value is None or not math.isfinite(value) else float(value)


def _ticks(config: MelConfig) -> tuple[list[float], list[str]]:
    """Places of round frequencies among the bands, whose centres are equally spaced in mel."""
    edges = hz_to_mel(np.array([config.fmin_hz, config.fmax_hz]), config.mel_scale)
    centres = mel_to_hz(np.linspace(edges[0], edges[1], config.n_mels + 2), config.mel_scale)[1:-1]
    shown = [hz for hz in TICKS_HZ if centres[0] <= hz <= centres[-1]]
    return [float(np.interp(hz, centres, np.arange(config.n_mels))) for hz in shown], [str(hz) for hz in shown]


def _short(name: str, most: int = 34) -> str:
    return _plain(name if len(name) <= most else "…" + name[1 - most :])


def _plain(text: str) -> str:
    """Without what matplotlib would take for mathematics, and what no font can draw."""
    return "".join(c if c.isprintable() else "?" for c in text).replace("$", r"\$")
