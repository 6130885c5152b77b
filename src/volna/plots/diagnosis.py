"""A picture of a check: waveform and spectrogram of a sound with its findings marked and named."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from volna.features.spectrum import power_spectrum, stft
from volna.plots.figure import (
    BLACK,
    BLUE,
    COLOUR_MAP,
    GREEN,
    ORANGE,
    PURPLE,
    SKY,
    VERMILION,
    Target,
    new_figure,
    save_figure,
    short_name,
)

__all__ = ["Mark", "draw_diagnosis"]

N_FFT = 2048
MOST_COLUMNS = 1200
TOP_DB = 90.0
COLOURS = (VERMILION, BLUE, GREEN, ORANGE, PURPLE, SKY, BLACK)
LEAST_WIDTH = 0.003  # of the picture: a click is one sample long


class Mark(NamedTuple):
    """A finding's name and one of its spans in seconds."""

    kind: str
    begin_s: float
    end_s: float


def draw_diagnosis(
    samples: NDArray[np.float32],
    sample_rate: int,
    marks: Sequence[Mark],
    file: Target,
    *,
    title: str = "",
    start_s: float = 0.0,
) -> None:
    """Draw a sound with what was found in it.

    Parameters
    ----------
    samples
        float32 ``(n_channels, n_samples)``, full scale at 1.
    marks
        Spans in seconds from the start of the file.
    file
        Where the PNG goes: a path, replaced where it exists, or a binary file.
    start_s
        Time of the first sample.

    Raises
    ------
    VolnaError
        matplotlib is not installed.
    """
    kinds = list(dict.fromkeys(mark.kind for mark in marks))
    end_s = start_s + samples.shape[1] / sample_rate
    figure = new_figure(9.0, 5.4 + 0.22 * len(kinds))
    heights = [0.25 + 0.28 * len(kinds), 1.5, 3.0]
    rows = (
        figure.subplots(3, 1, sharex=True, height_ratios=heights)
        if kinds
        else [None, *figure.subplots(2, 1, sharex=True)]
    )
    if kinds:
        _draw_marks(rows[0], marks, kinds, start_s, end_s)
    _draw_wave(rows[1], samples, sample_rate, start_s, end_s)
    image = _draw_spectrogram(rows[2], samples, sample_rate, start_s, end_s)
    for row in rows[1:]:
        for mark in marks:
            left, width = _extent(mark, start_s, end_s)
            if width < 0.9 * (end_s - start_s):
                row.axvspan(left, left + width, color=COLOURS[kinds.index(mark.kind) % len(COLOURS)], alpha=0.35, lw=0)
    figure.colorbar(image, ax=rows[2], label="level in dB re full scale", pad=0.01)
    rows[2].set_xlim(start_s, end_s)
    rows[2].set_xlabel("time in s")
    text = ", ".join(kind.replace("_", " ") for kind in kinds) or "nothing found"
    figure.suptitle(f"{short_name(title, 60)}: {text}" if len(text) < 60 else short_name(title, 60), fontsize=10)
    save_figure(figure, file)


def _extent(mark: Mark, start_s: float, end_s: float) -> tuple[float, float]:
    """Where a mark begins and how wide it is drawn, never too narrow to be seen."""
    left, right = max(mark.begin_s, start_s), min(mark.end_s, end_s)
    width = max(right - left, LEAST_WIDTH * (end_s - start_s))
    return left, width


def _draw_marks(axes: Any, marks: Sequence[Mark], kinds: list[str], start_s: float, end_s: float) -> None:
    """One lane a kind, with its name."""
    for lane, kind in enumerate(kinds):
        colour = COLOURS[lane % len(COLOURS)]
        spans = [_extent(mark, start_s, end_s) for mark in marks if mark.kind == kind and mark.begin_s < end_s]
        axes.broken_barh(spans, (lane - 0.35, 0.7), facecolors=colour)
    axes.set_yticks(range(len(kinds)), [kind.replace("_", " ") for kind in kinds])
    axes.set_ylim(len(kinds) - 0.5, -0.5)
    axes.grid(axis="x", alpha=0.3)


def _draw_wave(axes: Any, samples: NDArray[np.float32], sample_rate: int, start_s: float, end_s: float) -> None:
    """The lowest and highest sample of every column, one curve a channel."""
    step = max(1, samples.shape[1] // MOST_COLUMNS)
    n = samples.shape[1] // step
    for channel, (wave, colour) in enumerate(zip(samples, (BLUE, ORANGE, GREEN, PURPLE) * 2, strict=False)):
        columns = wave[: n * step].reshape(n, step)
        times = start_s + (np.arange(n) + 0.5) * step / sample_rate
        axes.fill_between(
            times, columns.min(axis=1), columns.max(axis=1), color=colour, alpha=0.6, linewidth=0.5,
            label=f"channel {channel + 1}",
        )  # fmt: skip
    axes.set_ylabel("amplitude\n(full scale 1)")
    highest = max(0.01, 1.05 * float(np.abs(samples).max(initial=0.0)))
    axes.set_ylim(-highest, highest)
    if len(samples) > 1:
        axes.legend(loc="upper right", fontsize=7, ncols=len(samples), framealpha=0.8)


def _draw_spectrogram(axes: Any, samples: NDArray[np.float32], sample_rate: int, start_s: float, end_s: float) -> Any:
    """Mean power of the channels, linear in frequency, so that a brick wall and harmonics show as they are."""
    hop = max(N_FFT // 4, samples.shape[1] // MOST_COLUMNS)
    power = np.mean([power_spectrum(stft(wave, N_FFT, hop)) for wave in samples], axis=0) * (4 / N_FFT) ** 2
    level = 10 * np.log10(power + 1e-14)
    highest = max(float(level.max()), -60.0)
    axes.set_ylabel("frequency in kHz")
    return axes.imshow(
        level, origin="lower", aspect="auto", cmap=COLOUR_MAP, vmin=highest - TOP_DB, vmax=highest,
        interpolation="nearest", extent=(start_s, end_s, 0, sample_rate / 2000),
    )  # fmt: skip
