"""A picture of the loudness of a sound over time."""

from __future__ import annotations

import math

import numpy as np

from volna.features.loudness import HOP_S, MOMENTARY_S, SHORT_TERM_S
from volna.plots.figure import BLACK, BLUE, ORANGE, Target, new_figure, save_figure, short_name

__all__ = ["draw_loudness"]

LOWEST_LUFS = -70.0  # the absolute gate
MINUTES_FROM_S = 180.0


def draw_loudness(
    momentary_lufs: np.ndarray,
    short_term_lufs: np.ndarray,
    file: Target,
    *,
    integrated_lufs: float,
    range_lu: float = math.nan,
    title: str = "",
) -> None:
    """Draw momentary and short-term loudness over time, with the integrated loudness as a line.

    Parameters
    ----------
    momentary_lufs, short_term_lufs : ndarray
        ``(n,)``, one every 0.1 s, as `volna.features.loudness.Loudness` has them; what lies below -70 LUFS is drawn
        there.
    file : str, Path or binary file
        The PNG.
    integrated_lufs, range_lu : float
        In LUFS and LU; the legend leaves out what is not finite.

    Raises
    ------
    VolnaError
        matplotlib is not installed.
    """
    figure = new_figure(8, 4)
    axes = figure.add_subplot()
    end_s = MOMENTARY_S + HOP_S * max(0, len(momentary_lufs) - 1)
    unit_s, unit = (60.0, "min") if end_s > MINUTES_FROM_S else (1.0, "s")
    for values, first_s, colour, width, label in (
        (momentary_lufs, MOMENTARY_S, ORANGE, 0.8, "momentary, 0.4 s"),
        (short_term_lufs, SHORT_TERM_S, BLUE, 1.8, "short-term, 3 s"),
    ):
        if len(values):
            at = (first_s + HOP_S * np.arange(len(values))) / unit_s
            axes.plot(at, np.maximum(values, LOWEST_LUFS), color=colour, linewidth=width, label=label)
    if math.isfinite(integrated_lufs):
        spread = f", range {range_lu:.1f} LU" if math.isfinite(range_lu) else ""
        label = f"integrated {integrated_lufs:.1f} LUFS{spread}"
        axes.axhline(integrated_lufs, color=BLACK, linestyle="--", linewidth=1.2, label=label)
    axes.set_xlim(0, max(end_s, 1.0) / unit_s)
    axes.set_ylim(*_limits(momentary_lufs, integrated_lufs))
    axes.set_xlabel(f"time ({unit})")
    axes.set_ylabel("loudness (LUFS)")
    axes.grid(alpha=0.3)
    if axes.get_legend_handles_labels()[0]:
        figure.legend(loc="outside lower center", ncols=3, fontsize=9, frameon=False)
    axes.set_title(short_name(title, 70))
    save_figure(figure, file)


def _limits(momentary_lufs: np.ndarray, integrated_lufs: float) -> tuple[float, float]:
    heard = [*momentary_lufs[momentary_lufs > LOWEST_LUFS], integrated_lufs]
    heard = [value for value in heard if math.isfinite(value)] or [LOWEST_LUFS, -20.0]
    low = max(LOWEST_LUFS, 10 * math.floor((min(heard) - 3) / 10))
    return low - 1, max(low + 10, 5 * math.ceil((max(heard) + 2) / 5))
