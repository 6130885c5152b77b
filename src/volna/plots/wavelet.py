"""Pictures of a discrete wavelet decomposition: the bands over time, one above the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from volna.errors import VolnaError
from volna.plots.figure import BLUE, SKY, VERMILION, Target, new_figure, plain_text, save_figure

__all__ = ["BandCurve", "draw_wavelet"]

BAND_HEIGHT, WIDTH = 0.85, 8.0  # inches


@dataclass(frozen=True)
class BandCurve:
    """One band over time, as the lowest and highest coefficient of every column of the picture.

    Attributes
    ----------
    name : str
    low_hz, high_hz : float
    times_s, lowest, highest : ndarray
        ``(n_columns,)``.
    kept : ndarray or None
        Lowest and highest after denoising, ``(2, n_columns)``.
    threshold : float
        0 for none.
    """

    name: str
    low_hz: float
    high_hz: float
    times_s: np.ndarray
    lowest: np.ndarray
    highest: np.ndarray
    kept: np.ndarray | None = None
    threshold: float = 0.0


def draw_wavelet(
    bands: Sequence[BandCurve], file: Target, *, span_s: tuple[float, float] | None = None, title: str = ""
) -> None:
    """Draw bands from the highest at the top to the lowest, each on a scale of its own.

    Parameters
    ----------
    bands
        In the order to draw, at least one.
    file
        Where the PNG goes: a path, replaced where it exists, or a binary file.
    span_s
        First and last second of the sound; those of the first and last column by default.

    Raises
    ------
    VolnaError
        matplotlib is not installed, or there is nothing to draw.
    """
    if not bands:
        raise VolnaError("expected at least one band to draw, got none")
    figure = new_figure(WIDTH, 1.1 + BAND_HEIGHT * len(bands))
    rows = figure.subplots(len(bands), 1, sharex=True, squeeze=False)[:, 0]
    denoised = any(band.kept is not None for band in bands)
    for axes, band in zip(rows, bands, strict=True):
        _draw_band(axes, band, denoised)
        axes.set_ylabel(f"{band.name}\n{_span(band)}", rotation=0, ha="right", va="center", fontsize=8)
    rows[-1].set_xlabel("time in s")
    rows[-1].set_xlim(*(span_s or _limits(bands)))
    figure.supylabel("coefficients, each band on its own scale", fontsize=9)
    figure.suptitle(plain_text(title), fontsize=10)
    if denoised:
        handles = {
            label: handle for axes in rows for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
        }
        figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=3, frameon=False, fontsize=8)
    save_figure(figure, file)


def _draw_band(axes, band: BandCurve, denoised: bool) -> None:  # type: ignore[no-untyped-def]
    _fill(axes, band.times_s, band.lowest, band.highest, SKY if denoised else BLUE, "as it was")
    if band.kept is not None:
        _fill(axes, band.times_s, band.kept[0], band.kept[1], BLUE, "kept")
    largest = max(float(np.abs(band.lowest).max(initial=0.0)), float(np.abs(band.highest).max(initial=0.0)), 1e-9)
    if 0 < band.threshold <= largest:
        for level in (-band.threshold, band.threshold):
            axes.axhline(level, color=VERMILION, linestyle="--", linewidth=0.8, label="threshold")
    axes.set_ylim(-1.08 * largest, 1.08 * largest)
    axes.set_yticks([-largest, 0.0, largest], [f"{-largest:.2g}", "0", f"{largest:.2g}"], fontsize=7)
    axes.grid(axis="x", alpha=0.3)


def _fill(axes, times_s: np.ndarray, low: np.ndarray, high: np.ndarray, colour: str, label: str) -> None:  # type: ignore[no-untyped-def]
    """From the lowest to the highest; the line keeps visible what is thinner than a pixel."""
    axes.fill_between(times_s, low, high, color=colour, linewidth=0.6, label=label)


def _limits(bands: Sequence[BandCurve]) -> tuple[float, float]:
    first = min(float(band.times_s[0]) for band in bands)
    last = max(float(band.times_s[-1]) for band in bands)
    return (first, last) if last > first else (first - 0.5, last + 0.5)


def _span(band: BandCurve) -> str:
    if band.high_hz < 1000:
        return f"{band.low_hz:.0f}-{band.high_hz:.0f} Hz"
    return f"{band.low_hz / 1000:.3g}-{band.high_hz / 1000:.3g} kHz"
