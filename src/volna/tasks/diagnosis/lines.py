"""Steady lines in the spectrum, and how they relate: what hum and whistles are made of, and many a sound as well.

A line is steady when it stays at one frequency and one level for the whole of a piece, some ten seconds. Powers are in
the scale of `spectra`: a sine of amplitude 1 has 1.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from volna.tasks.diagnosis.finding import Floats
from volna.tasks.diagnosis.spectra import frame_length

__all__ = ["Line", "is_multiple", "is_related", "parabola", "ratio_db", "steady_lines", "total_power"]

QUIET_PERCENTILE = 25.0  # of the frames: what a line still has when the rest is quiet
NEAR_BINS, LOCAL_BINS = 3, 20
PROMINENCE_DB = 12.0
STEADY_LINE_DB = 3.2  # from the 25th to the 75th percentile of the frames
HANN_BINS, OFFSET_BINS = 1.5, 3  # a line's power over its bins adds to 1.5 times its peak; bins that an offset fills
HARMONIC, MOST_OFF, MOST_RATIO = 0.006, 0.1, 40.0  # of the ratio of two lines to a whole number; up to that ratio


class Line(NamedTuple):
    """A steady line: Hz, power, and how far it stands out in dB."""

    hz: float
    power: float
    prominence_db: float


def steady_lines(power: Floats, sample_rate: int) -> list[Line]:
    """Narrow lines that keep their level in all of the frames ``(n_frames, n_bins)``."""
    low, middle, high = 10 * np.log10(np.percentile(power, [QUIET_PERCENTILE, 50, 75], axis=0) + 1e-16)
    around = np.lib.stride_tricks.sliding_window_view(np.pad(low, LOCAL_BINS, mode="edge"), 2 * LOCAL_BINS + 1)
    prominence = low - np.median(around, axis=1)
    peak = (low[1:-1] >= low[:-2]) & (low[1:-1] > low[2:])
    wanted = np.flatnonzero(peak & (prominence[1:-1] > PROMINENCE_DB) & ((high - low)[1:-1] < STEADY_LINE_DB)) + 1
    hz_a_bin = sample_rate / frame_length(sample_rate)
    lines = []
    for k in wanted:
        sides = [low[max(0, k - NEAR_BINS)], low[min(len(low) - 1, k + NEAR_BINS)]]
        if low[k] - max(sides) < PROMINENCE_DB / 2:
            continue  # a broad hill
        shift = parabola(middle[k - 1 : k + 2])
        power_of_line = float((10 ** (middle[k - 1 : k + 2] / 10)).sum()) / HANN_BINS
        lines.append(Line(float(k + shift) * hz_a_bin, power_of_line, float(prominence[k])))
    return lines


def total_power(power: Floats) -> float:
    """Mean power of the spectra but for an offset, in the scale of a line's."""
    return float(power[:, OFFSET_BINS:].sum(axis=1, dtype=np.float64).mean()) / HANN_BINS + 1e-12


def parabola(levels: np.ndarray) -> float:
    """Where the peak of three levels in dB lies, in bins from the middle one."""
    left, middle, right = (float(level) for level in levels)
    bend = left - 2 * middle + right
    return 0.0 if bend >= 0 else float(np.clip(0.5 * (left - right) / bend, -0.5, 0.5))


def is_multiple(hz: float, base: float, within_hz: float) -> bool:
    """Whether a frequency is a multiple of another, to so many hertz and a thousandth."""
    return abs(hz - base * round(hz / base)) < within_hz + 0.001 * hz and hz > base / 2


def ratio_db(one: Line, other: Line) -> float:
    """By how many dB a line is stronger than another."""
    return float(10 * np.log10(one.power / other.power))


def is_related(one: Line, line: Line) -> bool:
    """Whether a line is an overtone of a stronger one, or that one an overtone of it."""
    if one is line or one.power <= line.power:
        return False
    low, high = sorted((one.hz, line.hz))
    ratio = high / low
    return ratio < MOST_RATIO and abs(ratio - round(ratio)) < min(HARMONIC * ratio, MOST_OFF)
