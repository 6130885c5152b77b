"""A picture of a judged recording: what it sounds like, where it is not normal, and how that goes over time."""

from __future__ import annotations

import numpy as np

from volna.errors import VolnaError
from volna.features.machine import MACHINE, WINDOW_S
from volna.plots.figure import (
    BLUE,
    COLOUR_MAP,
    VERMILION,
    Target,
    mel_ticks,
    new_figure,
    plain_text,
    save_figure,
    short_name,
)

__all__ = ["draw_anomaly"]

USUAL, MOST_TIMES = 1.0, 3.0  # times the usual error: where the colours of the errors begin and end
FAINTEST_DB = -50.0
LOUDEST_SHARE = 99.8  # percentile


def draw_anomaly(
    mel: np.ndarray,
    errors: np.ndarray,
    start_s: np.ndarray,
    timeline: np.ndarray,
    file: Target,
    *,
    first_s: float = 0.0,
    window_threshold: float = 0.0,
    score: float | None = None,
    threshold: float | None = None,
    title: str = "",
) -> None:
    """Draw the log-mel, the autoencoder's errors and the time line of scores, one above the other.

    Parameters
    ----------
    mel, errors : ndarray
        float ``(n_mels, n_frames)``: dB re the mean of the bands, and errors in times the usual one.
    start_s, timeline : ndarray
        ``(n_windows,)``: where windows of a second begin, and their scores; those outside the picture are left out.
    file
        Where the PNG goes: a path, replaced where it exists, or a binary file.
    first_s : float
        Where the picture begins in the recording.
    window_threshold : float
        Drawn across the time line.
    score, threshold : float, optional
        Of the whole recording, for the heading.

    Raises
    ------
    VolnaError
        matplotlib is not installed, or there is nothing to draw.
    """
    if mel.size == 0 or mel.shape != errors.shape:
        raise VolnaError(f"expected a spectrogram and errors of one shape, got {mel.shape} and {errors.shape}")
    figure = new_figure(8.0, 7.0)
    panels = figure.subplots(3, 1, sharex=True, height_ratios=(3, 3, 2))
    last_s = first_s + mel.shape[1] / MACHINE.frames_per_s
    extent = (first_s, last_s, -0.5, MACHINE.n_mels - 0.5)
    loudest = float(np.percentile(mel, LOUDEST_SHARE))
    pictures = (
        (mel, max(FAINTEST_DB, float(mel.min())), loudest, "log-mel spectrogram", "dB re mean"),
        (errors, USUAL, MOST_TIMES, "where the autoencoder errs", "times the usual\nerror (rms)"),
    )
    bands, labels = mel_ticks(MACHINE)
    for axes, (cells, low, high, name, unit) in zip(panels, pictures, strict=False):
        image = axes.imshow(
            cells, origin="lower", aspect="auto", cmap=COLOUR_MAP, vmin=low, vmax=max(high, low + 1e-3),
            interpolation="nearest", extent=extent,
        )  # fmt: skip
        axes.set_title(name, fontsize=9, loc="left")
        axes.set_yticks(bands, labels, fontsize=8)
        axes.set_ylabel("frequency in Hz")
        figure.colorbar(image, ax=axes, label=unit, pad=0.01)
    _draw_time_line(panels[2], start_s, timeline, window_threshold)
    panels[2].set_xlim(first_s, last_s)
    figure.suptitle(_heading(title, score, threshold), fontsize=10)
    save_figure(figure, file)


def _draw_time_line(axes: object, start_s: np.ndarray, timeline: np.ndarray, window_threshold: float) -> None:
    from matplotlib.axes import Axes

    assert isinstance(axes, Axes)
    middle_s = np.asarray(start_s) + WINDOW_S / 2
    above = np.asarray(timeline) > window_threshold
    axes.plot(middle_s, timeline, color=BLUE, marker=".", label="score of a window of 1 s")
    axes.plot(middle_s[above], np.asarray(timeline)[above], color=VERMILION, marker="D", linestyle="none",
              label="above the threshold")  # fmt: skip
    axes.axhline(window_threshold, color=VERMILION, linestyle="--", label="threshold of windows")
    if len(timeline) and float(np.max(timeline)) > 20 * max(abs(window_threshold), 1.0):
        axes.set_yscale("symlog", linthresh=max(abs(window_threshold), 1.0))
    axes.set_xlabel("time in s")
    axes.set_ylabel("score, in spreads\nof normal windows")
    axes.set_title("time line", fontsize=9, loc="left")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8, frameon=False, ncols=3, loc="lower right", bbox_to_anchor=(1.0, 1.0), borderaxespad=0.2)


def _heading(title: str, score: float | None, threshold: float | None) -> str:
    name = short_name(title, 60)
    if score is None or threshold is None:
        return name
    verdict = "abnormal" if score > threshold else "normal"
    return plain_text(f"{verdict}: score {score:.2f}, threshold {threshold:.2f}") + f"\n{name}"
