"""Flat tops: stretches where the wave runs into a level and stays there, at full scale or, after rescaling, below.

A smooth peak bends into its top; a clipped one meets it with a corner. So a stretch counts when at least three samples
are equal within a quantisation step, the wave leaves them towards zero by much more than that, and others
do so at the very same level. A square wave does all of it, but jumps from rail to rail: that is a shape, not a fault.
"""

from __future__ import annotations

import numpy as np

from volna.tasks.diagnosis.finding import Finding, Floats, Piece, Span, certainty, join_spans, runs

__all__ = ["Clipping"]

LEAST_RUN = 3  # samples
CORNER = 4.0  # steps at the ends of a flat top, in tolerances: a smooth peak that looks flat leaves by less than 3
RELATIVE_TOLERANCE = 1e-4  # of the highest sample
LEAST_LEVEL = 0.2  # of the highest sample: lower stretches are no tops
LEAST_RUNS, LEAST_RUNS_A_SECOND = 6, 20  # at one level, in a piece, or in a second of it
MOST_BEYOND = 0.5  # samples beyond the level, as a share of those on it
LONG_TOP = 6.0  # samples: mean of tops that jumps surround; those of clipped noise are shorter
JUMP = 0.5  # of the rail: a run that both sides leave by more in one sample is part of a square wave
LEAST_PILE, PILE, LEAST_LEVELS = 0.002, 15.0, 100  # share of samples at the top; against strips below; levels there
QUANTUM_SAMPLES = 50_000


class Clipping:
    """Counts flat tops, channel by channel."""

    def __init__(self, n_channels: int) -> None:
        self.spans: list[list[Span]] = [[] for _ in range(n_channels)]
        self.n_clipped = np.zeros(n_channels, np.int64)
        self.n_runs = np.zeros(n_channels, np.int64)
        self.rails = np.zeros(n_channels)
        self.n = 0

    def add(self, piece: Piece) -> None:
        self.n += piece.end - piece.begin
        for channel, samples in enumerate(piece.own):
            if self._count(channel, samples, piece.begin, piece.sample_rate, LEAST_RUNS):
                continue
            for at in range(0, len(samples), piece.sample_rate):  # a clipped passage, louder ones around it
                part = samples[at : at + piece.sample_rate]
                self._count(channel, part, piece.begin + at, piece.sample_rate, LEAST_RUNS_A_SECOND)

    def _count(self, channel: int, samples: Floats, begin: int, rate: int, least: int) -> bool:
        """Count the flat tops of a stretch, where it has any that are no square's."""
        starts, ends, rail = flat_tops(samples, least)
        if not len(starts) or _is_square(samples, starts, ends, rail):
            return False
        self.spans[channel] += list(zip((begin + starts) / rate, (begin + ends) / rate, strict=True))
        self.spans[channel] = list(join_spans(self.spans[channel], 0.1))
        self.n_clipped[channel] += int((ends - starts).sum())
        self.n_runs[channel] += len(starts)
        self.rails[channel] = max(self.rails[channel], rail)
        return True

    def findings(self) -> list[Finding]:
        return [self._finding(int(channel)) for channel in np.flatnonzero(self.n_runs)]

    def _finding(self, channel: int) -> Finding:
        share = 100.0 * float(self.n_clipped[channel]) / max(self.n, 1)
        rail_db = 20 * np.log10(self.rails[channel])
        where = "at full scale" if rail_db > -0.1 else f"at {rail_db:.1f} dBFS, so the level was changed afterwards"
        return Finding(
            "clipping",
            round(share, 4),
            "% of samples",
            certainty(np.log2(self.n_runs[channel] / LEAST_RUNS)),
            f"{self.n_runs[channel]} peaks are cut off flat {where}.",
            int(channel) + 1,
            tuple(self.spans[channel]),
        )


def flat_tops(samples: Floats, least: int = LEAST_RUNS) -> tuple[np.ndarray, np.ndarray, float]:
    """Starts and ends of the flat tops at the most common level, and that level; empty where there are too few."""
    highest = float(np.abs(samples).max(initial=0.0))
    nothing = np.zeros(0, np.int64), np.zeros(0, np.int64), 0.0
    if highest < 1e-3 or len(samples) < 8:
        return nothing
    tolerance = max(RELATIVE_TOLERANCE * highest, 1.01 * _quantum(samples, highest))
    steps = np.abs(np.diff(samples))
    high = np.abs(samples) > LEAST_LEVEL * highest
    same = (steps <= tolerance) & high[1:] & high[:-1]
    starts, ends = _long_runs(same)
    inside = (starts > 0) & (ends < len(samples))
    starts, ends = starts[inside], ends[inside]
    if not len(starts):
        return _piled_up(samples, highest, tolerance)
    sign = np.sign(samples[starts])
    bounds = np.stack([starts, ends], axis=1).ravel()
    top = np.maximum.reduceat(np.abs(samples), bounds)[::2]
    sag = top - np.minimum.reduceat(np.abs(samples), bounds)[::2]
    before, after = top - sign * samples[starts - 1], top - sign * samples[ends]
    corner = np.maximum(before, after) > np.maximum(CORNER * tolerance, CORNER * sag + 3 * tolerance)
    corner &= (sag <= 1.5 * tolerance) & (np.minimum(before, after) > 2 * sag + 2 * tolerance)
    starts, ends, top = starts[corner], ends[corner], top[corner]
    if len(top) < least:
        return _piled_up(samples, highest, tolerance)
    in_order = np.sort(top)
    n_near = np.searchsorted(in_order, in_order + 4 * tolerance, "right") - np.arange(len(in_order))
    rail = float(in_order[n_near.argmax()])
    if n_near.max() < least:
        return nothing
    at_rail = (top >= rail - tolerance) & (top <= rail + 5 * tolerance)
    beyond = np.count_nonzero(np.abs(samples) > rail + 6 * tolerance)
    if beyond >= MOST_BEYOND * (ends - starts)[at_rail].sum():
        return nothing
    return *_all_at(samples, rail - tolerance, rail + 5 * tolerance), rail


def _all_at(samples: Floats, low: float, high: float) -> tuple[np.ndarray, np.ndarray]:
    """Every top of two samples or more between two levels: once the level is known, these count as well."""
    found = [runs((side >= low) & (side <= high)) for side in (samples, -samples)]
    starts, ends = (np.concatenate(both) for both in zip(*found, strict=True))
    order = np.argsort(starts)
    starts, ends = starts[order], ends[order]
    long = ends - starts >= LEAST_RUN - 1
    return starts[long], ends[long]


def _piled_up(samples: Floats, highest: float, tolerance: float) -> tuple[np.ndarray, np.ndarray, float]:
    """Flat tops of a sample or two, as of high tones and noise: far more samples at the highest level than just below.

    A smooth wave has at most some 3 times as many there as in the strips of that width below (the arcsine law). A sine
    whose period is a whole number of samples visits few levels only, which tells nothing.
    """
    size = np.abs(samples)
    near = size[size > 0.9 * highest]
    at_top = near >= highest - tolerance
    below = near[~at_top & (near < highest - tolerance)]
    strips = np.count_nonzero(below >= highest - 41 * tolerance) / 40
    levels, times = np.unique(np.rint(below / max(tolerance, 1e-6)), return_counts=True)
    needed = max(LEAST_PILE * len(samples), PILE * strips, PILE * times.max(initial=0) / 2)
    if at_top.sum() < needed or len(levels) < LEAST_LEVELS:
        return np.zeros(0, np.int64), np.zeros(0, np.int64), 0.0
    starts, ends = runs(size >= highest - tolerance)
    inside = (starts > 1) & (ends < len(samples) - 1)
    return starts[inside], ends[inside], highest


def _long_runs(same: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Runs of at least three samples, from the mask of equal neighbours."""
    starts, ends = runs(same)
    long = ends - starts >= LEAST_RUN - 1
    return starts[long], ends[long] + 1


def _quantum(samples: Floats, highest: float) -> float:
    """The quantisation step near the top: exactly where it is 16 bits or fewer, else the least usual gap."""
    loud = np.unique(np.abs(samples[np.abs(samples) > 0.5 * highest][:QUANTUM_SAMPLES]))
    on_grid = np.rint(loud * 32768)
    if np.abs(loud * 32768 - on_grid).max(initial=0.0) < 1e-2:
        return float(np.gcd.reduce(on_grid.astype(np.int64))) / 32768 if len(loud) > 1 else 1 / 32768
    gaps = np.diff(loud)
    gaps = gaps[gaps > 1e-7]
    return float(np.percentile(gaps, 2)) if len(gaps) > 20 else 0.0


def _is_square(samples: Floats, starts: np.ndarray, ends: np.ndarray, rail: float) -> bool:
    """Whether most flat tops are left by a jump within one or two samples, and are long or most of the wave."""
    jump_before = np.abs(samples[starts] - samples[np.maximum(starts - 2, 0)])
    jump_after = np.abs(samples[ends - 1] - samples[np.minimum(ends + 1, len(samples) - 1)])
    jumps = np.median(np.minimum(jump_before, jump_after)) > JUMP * rail
    sounding = np.count_nonzero(np.abs(samples) > 0.02 * rail)
    on_rail = ends - starts
    return bool(jumps and (on_rail.sum() > 0.5 * sounding or on_rail.mean() > LONG_TOP))
