"""What every picture shares: a figure without a window, colours, a file that is replaced, text that can be drawn.

matplotlib is imported when something is drawn, never before, and draws into a file by itself (Agg): no window, no
global setting touched. Colours are those of Okabe and Ito, and cividis, which the colour-blind tell apart; every line
has its own dashes as well.
"""

from __future__ import annotations

import importlib.util
import warnings
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from volna.errors import VolnaError
from volna.features.spectrum import MelConfig, hz_to_mel, mel_to_hz

__all__ = [
    "BLACK",
    "BLUE",
    "COLOUR_MAP",
    "GREEN",
    "ORANGE",
    "PURPLE",
    "SKY",
    "TICKS_HZ",
    "VERMILION",
    "Target",
    "can_draw",
    "mel_ticks",
    "new_figure",
    "plain_text",
    "save_figure",
    "short_name",
]

Target = str | Path | BinaryIO

BLUE, ORANGE, GREEN, BLACK = "#0072B2", "#E69F00", "#009E73", "#000000"
VERMILION, SKY, PURPLE = "#D55E00", "#56B4E9", "#CC79A7"
COLOUR_MAP = "cividis"
TICKS_HZ = (100, 250, 500, 1000, 2000, 4000, 8000, 16000)
DOTS_PER_INCH = 120


def can_draw() -> bool:
    """Whether matplotlib is installed; it is not imported for that."""
    return importlib.util.find_spec("matplotlib") is not None


def new_figure(width: float, height: float) -> Any:
    """A figure of so many inches, laid out so that no label is cut.

    Raises
    ------
    VolnaError
        matplotlib is not installed.
    """
    if not can_draw():
        raise VolnaError("pictures need matplotlib: pip install 'volna[plots]'")
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=DOTS_PER_INCH, layout="constrained")


def save_figure(figure: Any, file: Target) -> None:
    """Write a figure as PNG into a path, replaced where it exists, or a binary file."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas: Any = FigureCanvasAgg(figure)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # a box stands for it in the picture
        canvas.print_png(str(file) if isinstance(file, Path) else file)


def mel_ticks(config: MelConfig) -> tuple[list[float], list[str]]:
    """Places of round frequencies among the bands, whose centres are equally spaced in mel."""
    edges = hz_to_mel(np.array([config.fmin_hz, config.fmax_hz]), config.mel_scale)
    centres = mel_to_hz(np.linspace(edges[0], edges[1], config.n_mels + 2), config.mel_scale)[1:-1]
    shown = [hz for hz in TICKS_HZ if centres[0] <= hz <= centres[-1]]
    return [float(np.interp(hz, centres, np.arange(config.n_mels))) for hz in shown], [str(hz) for hz in shown]


def short_name(name: str, most: int = 34) -> str:
    """The end of a name, where it is long, as text that can be drawn."""
    return plain_text(name if len(name) <= most else "…" + name[1 - most :])


def plain_text(text: str) -> str:
    """Without what matplotlib would take for mathematics, and what no font can draw."""
    return "".join(c if c.isprintable() else "?" for c in text).replace("$", r"\$")
