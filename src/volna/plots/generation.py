"""A sheet of made sounds: their spectrograms side by side, on the same axes."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from volna.errors import VolnaError
from volna.features.spectrum import MelConfig
from volna.plots.figure import COLOUR_MAP, Target, mel_ticks, new_figure, plain_text, save_figure, short_name

__all__ = ["draw_sheet"]

MOST_DRAWN = 48
DB_PER_NAT = 20 / math.log(10)
SHOWN_DB = 70.0  # below the loudest cell of each sound, so that soft ones can be seen beside loud ones


def draw_sheet(
    log_mels: Sequence[np.ndarray], titles: Sequence[str], file: Target, config: MelConfig, *, title: str = ""
) -> None:
    """Draw spectrograms in rows of up to six; of more than 48 the first.

    Parameters
    ----------
    log_mels
        float32 ``(n_mels, n_frames)`` each, natural logarithm of the amplitude, as `volna.features.sounding` has it.
    titles
        One for each.
    file
        Where the PNG goes: a path, replaced where it exists, or a binary file.
    config
        How the log-mels were made.

    Raises
    ------
    VolnaError
        matplotlib is not installed, or there is nothing to draw.
    """
    if not log_mels:
        raise VolnaError("expected at least one sound to draw, got none")
    shown = [np.asarray(mel) * DB_PER_NAT for mel in log_mels[:MOST_DRAWN]]
    n_columns = min(len(shown), 4 if len(shown) <= 8 else 6) if len(shown) != 7 else 7
    n_rows = -(-len(shown) // n_columns)
    figure = new_figure(2.2 * n_columns + 1.6, 2.0 * n_rows + 1.0)
    grid = figure.subplots(n_rows, n_columns, squeeze=False, sharex=True, sharey=True)
    longest_s = max(mel.shape[1] for mel in shown) / config.frames_per_s
    bands, labels = mel_ticks(config)
    for axes, mel, name in zip(grid.flat, shown, titles, strict=False):
        image = axes.imshow(
            mel - mel.max(), origin="lower", aspect="auto", cmap=COLOUR_MAP, vmin=-SHOWN_DB, vmax=0,
            interpolation="nearest", extent=(0, mel.shape[1] / config.frames_per_s, -0.5, len(mel) - 0.5),
        )  # fmt: skip
        axes.set_title(short_name(name, 24), fontsize=8)
        axes.set_xlim(0, longest_s)
        axes.set_yticks(bands, labels, fontsize=7)
        axes.tick_params(axis="x", labelsize=7)
    for axes in list(grid.flat)[len(shown) :]:
        axes.set_visible(False)
    for k, axes in enumerate(grid.flat):
        below = k + n_columns
        axes.tick_params(labelbottom=below >= len(shown))
        if below >= len(shown):
            axes.set_xlabel("time in s", fontsize=8)
    figure.supylabel("frequency in Hz, mel scale", fontsize=9)
    figure.colorbar(image, ax=grid, label="dB re the sound's loudest cell")
    figure.suptitle(plain_text(title), fontsize=10)
    save_figure(figure, file)
