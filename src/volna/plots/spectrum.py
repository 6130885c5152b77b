"""Pictures of one spectrum: its peaks by number and name, what windows leak, and what two transforms cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from volna.plots.figure import (
    BLACK,
    BLUE,
    GREEN,
    ORANGE,
    VERMILION,
    Target,
    new_figure,
    plain_text,
    save_figure,
    short_name,
)

__all__ = ["Curves", "draw_spectrum"]

LINES = {"rectangular": (VERMILION, "-"), "hamming": (GREEN, "--"), "hann": (BLUE, "-.")}
LOWEST_HZ = 20.0
RANGE_DB = 100.0  # below the highest point: what lies further down is not drawn
WINDOW_RANGE_DB = 90.0
CLOSEST = 0.018  # numbers nearer than this share of the axis would touch
LONGEST_TITLE = 70


@dataclass(frozen=True)
class Curves:
    """What windows do to a tone, by name: ``theory`` ``(bins, dB)`` and ``measured`` ``(Hz, dB)``, each ``(n,)``."""

    theory: Mapping[str, tuple[np.ndarray, np.ndarray]]
    measured: Mapping[str, tuple[np.ndarray, np.ndarray]]


def draw_spectrum(
    frequencies_hz: np.ndarray,
    levels_db: np.ndarray,
    file: Target,
    *,
    peaks: Sequence[tuple[float, float, str]] = (),
    windows: Curves | None = None,
    times: tuple[Sequence[int], Sequence[float], Sequence[float]] | None = None,
    title: str = "",
    subtitle: str = "",
) -> None:
    """Draw a spectrum over a logarithmic frequency axis.

    Parameters
    ----------
    frequencies_hz, levels_db
        ``(n_bins,)``, dB re a full-scale sine.
    file
        Where the PNG goes: a path, replaced where it exists, or a binary file.
    peaks
        ``(frequency in Hz, level in dB, words)`` each: they get numbers, and a list beside the picture explains them.
    windows
        Draws two panels below: what windows do in theory, and to the strongest peak.
    times
        Draws a panel below: sizes, seconds by the definition, seconds by the fast transform.

    Raises
    ------
    VolnaError
        matplotlib is not installed.
    """
    rows = 1 + (windows is not None) + (times is not None)
    figure = new_figure(9.0, 1.2 + 3.1 * rows)
    parts = figure.subfigures(rows, 1, height_ratios=[1.25] + [1.0] * (rows - 1), squeeze=False)[:, 0]
    _draw_levels(parts[0].add_subplot(), frequencies_hz, levels_db, peaks, subtitle)
    if windows is not None:
        _draw_windows(parts[1].subplots(1, 2), windows)
    if times is not None:
        _draw_times(parts[rows - 1].add_subplot(), *times)
    figure.suptitle(short_name(title, LONGEST_TITLE), fontsize=11)
    save_figure(figure, file)


def _draw_levels(
    axes: Any, frequencies_hz: np.ndarray, levels_db: np.ndarray, peaks: Sequence[tuple[float, float, str]], title: str
) -> None:
    high_hz = float(frequencies_hz[-1])
    low_hz = min(max(LOWEST_HZ, float(frequencies_hz[1])), high_hz / 10)
    heard = levels_db[frequencies_hz >= low_hz]
    top = float(heard.max())
    lowest = max(float(heard.min()), top - RANGE_DB)
    axes.plot(frequencies_hz[1:], levels_db[1:], color=BLUE, linewidth=0.9)
    axes.set_xscale("log")
    axes.set_xlim(low_hz, high_hz)
    axes.set_ylim(lowest - 2.0, top + 0.12 * max(20.0, top - lowest))
    shown = [hz for hz in (20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000) if low_hz <= hz <= high_hz]
    axes.set_xticks(shown, [str(hz) for hz in shown])
    axes.set_xticks([], minor=True)
    axes.set_xlabel("frequency in Hz")
    axes.set_ylabel("level in dB re a full-scale sine")
    axes.set_title(plain_text(title), fontsize=8, loc="left")
    axes.grid(alpha=0.3)
    _number_peaks(axes, peaks, np.log(high_hz / low_hz))


def _number_peaks(axes: Any, peaks: Sequence[tuple[float, float, str]], span: float) -> None:
    """Dots on the peaks, numbers above those that have room for one, and what they stand for on the right."""
    numbered: list[float] = []
    for number, (hz, level_db, _) in enumerate(peaks, 1):
        axes.plot([hz], [level_db], marker="o", markersize=3.5, color=VERMILION)
        if all(abs(np.log(hz / other)) > CLOSEST * span for other in numbered):
            numbered.append(hz)
            axes.annotate(
                str(number), (hz, level_db), xytext=(0, 4), textcoords="offset points", ha="center", fontsize=8
            )
    if peaks:
        text = "\n".join(f"{number:2d}  {plain_text(words)}" for number, (_, _, words) in enumerate(peaks, 1))
        axes.annotate(
            text, (1.0, 1.0), xytext=(8, 0), xycoords="axes fraction", textcoords="offset points", va="top",
            family="monospace", fontsize=8, annotation_clip=False,
        )  # fmt: skip


def _draw_windows(panels: Sequence[Any], curves: Curves) -> None:
    for axes, lines in zip(panels, (curves.theory, curves.measured), strict=True):
        for name, (x, levels_db) in lines.items():
            colour, dashes = LINES.get(name, (BLACK, ":"))
            axes.plot(x, levels_db, color=colour, linestyle=dashes, linewidth=1.1, label=name)
        top = max((float(levels_db.max()) for _, levels_db in lines.values()), default=0.0)
        axes.set_ylim(top - WINDOW_RANGE_DB, top + 4.0)
        axes.grid(alpha=0.3)
        axes.margins(x=0)
    panels[0].set_title("what a window does to a tone, in theory", fontsize=9)
    panels[0].set_xlabel("distance from the tone in bins")
    panels[0].set_ylabel("level in dB re the tone")
    panels[0].legend(fontsize=8, loc="upper right", framealpha=0.9)
    panels[1].set_title("and to the strongest peak of this sound", fontsize=9)
    panels[1].set_xlabel("frequency in Hz")
    panels[1].set_ylabel("level in dB re a full-scale sine")
    if not curves.measured:
        panels[1].text(0.5, 0.5, "nothing to measure", transform=panels[1].transAxes, ha="center")


def _draw_times(axes: Any, sizes: Sequence[int], definition_s: Sequence[float], fast_s: Sequence[float]) -> None:
    n = np.asarray(sizes, dtype=float)
    axes.plot(n, 1000 * np.asarray(definition_s), color=VERMILION, marker="o", label="its sum, measured")
    axes.plot(n, 1000 * np.asarray(fast_s), color=BLUE, marker="s", label="fast transform, measured")
    for cost, end, colour, label in (
        (n**2, definition_s[-1], ORANGE, "proportional to N²"),
        (n * np.log2(n), fast_s[-1], BLACK, "proportional to N log N"),
    ):
        axes.plot(n, 1000 * end * cost / cost[-1], color=colour, linestyle=":", linewidth=1.2, label=label)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks(n, [str(size) for size in sizes])
    axes.set_xlabel("samples N")
    axes.set_ylabel("time in ms")
    axes.set_title("one transform by the definition, and by the fast algorithm", fontsize=9)
    axes.legend(fontsize=8, loc="upper left", ncols=2)
    axes.grid(alpha=0.3)
