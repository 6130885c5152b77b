"""A sound before and after its noise was taken out: two spectrograms, one above the other, of one scale."""

from __future__ import annotations

import numpy as np

from volna.errors import InputError
from volna.plots.figure import COLOUR_MAP, Target, new_figure, save_figure, short_name
from volna.plots.spectra import band_ticks

__all__ = ["draw_before_after"]

RANGE_DB = 70.0  # below the loudest
LONGEST_TITLE = 84


def draw_before_after(
    before: np.ndarray,
    after: np.ndarray,
    file: Target,
    *,
    frequencies_hz: np.ndarray,
    duration_s: float,
    title: str = "",
    names: tuple[str, str] = ("before", "after"),
) -> None:
    """Draw two spectrograms of the same bands.

    Parameters
    ----------
    before, after
        ``(n_bands, n_frames)`` in dB, lowest band first, on one scale; the numbers of frames may differ.
    file
        Where the PNG goes: a path, replaced where it exists, or a binary file.
    frequencies_hz
        Middle of every band, ``(n_bands,)``.
    duration_s
        Of both.

    Raises
    ------
    InputError
        The numbers of bands differ.
    VolnaError
        matplotlib is not installed.
    """
    if len(before) != len(after) or len(before) != len(frequencies_hz):
        raise InputError(f"expected as many bands in both, got {len(before)} and {len(after)}")
    figure = new_figure(9.0, 6.4)
    rows = figure.subplots(2, 1, sharex=True, sharey=True)
    high = float(max(before.max(), after.max()))
    places, labels = band_ticks(frequencies_hz)
    for axes, values, name in zip(rows, (before, after), names, strict=True):
        image = axes.imshow(
            values, origin="lower", aspect="auto", cmap=COLOUR_MAP, vmin=high - RANGE_DB, vmax=high,
            interpolation="auto", interpolation_stage="data", extent=(0.0, duration_s, -0.5, len(values) - 0.5),
        )  # fmt: skip
        axes.set_title(name, fontsize=9, loc="left")
        axes.set_ylabel("frequency in Hz, mel scale")
        axes.set_yticks(places, labels)
    rows[-1].set_xlabel("time in s")
    figure.colorbar(image, ax=rows, label="level in dB", extend="min", pad=0.02)
    figure.suptitle(short_name(title, LONGEST_TITLE), fontsize=11)
    save_figure(figure, file)
