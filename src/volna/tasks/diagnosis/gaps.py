"""Sound that is missing: dropouts (short, cut out mid-level), samples that froze, and long digital silence.

A pause between words or notes fades; a dropout is cut. A cut is where the wave is still loud one and a half
milliseconds before it is gone. Notes without fades are cut as well, so many gaps that take a good part of the sound
are its rhythm; and as every drum begins abruptly, a gap that only ends so is none.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from volna.tasks.diagnosis.finding import Finding, Floats, Piece, certainty, join_spans, runs

__all__ = ["Gap", "Gaps", "still_stretches"]

STEP_16_BIT = 1.01 / 32768  # what counts as zero
LEAST_S = 0.003
EDGE_S, SLOPE_S, AROUND_S = 0.001, 0.005, 0.06
STILL_LOUD = 0.35  # highest sample of the last EDGE_S against the level of the last AROUND_S, for a cut
STILL_SLOPE = 0.35  # level of the last SLOPE_S against it, for the cut of a long gap
LEAST_SHARE = 0.25  # of the sound's level, for a cut
ONE_SIDED_S = 0.1  # a gap cut at its beginning only counts up to here
DROPOUT_S = 0.4  # longer ones are silence
SILENCE_S = 5.0  # that fades in and out, or lies at an end, counts from here
RHYTHM_GAPS, RHYTHM_SHARE = 2, 0.16
PAUSE_S, PAUSE_SHARE, MANY_GAPS = 0.15, 0.08, 8  # gaps mostly as long, or so many, are rests with a smaller share
LEAST_PAUSE_S, LONG_GAP_S = 0.05, 0.12
FROZEN_S = 0.004
MOVING = 4 / 32768  # median step of the samples around: a slow wave in 16 bits stands still now and then


class Gap(NamedTuple):
    """In samples from the start of the file; whether the sound before and after it is cut; frozen or zero; no fades."""

    begin: int
    end: int
    cut_before: bool
    cut_after: bool
    is_frozen: bool
    is_steep: bool


class Gaps:
    """Collects the still stretches of every channel."""

    def __init__(self, n_channels: int, sample_rate: int) -> None:
        self.rate = sample_rate
        self.gaps: list[list[Gap]] = [[] for _ in range(n_channels)]
        self.n = 0

    def add(self, piece: Piece) -> None:
        self.n = piece.end
        for channel, samples in enumerate(piece.samples):
            for gap in still_stretches(samples, piece):
                if gap.begin < piece.end and gap.end > piece.begin:
                    self._keep(channel, gap)

    def _keep(self, channel: int, gap: Gap) -> None:
        """A gap may go on in the next piece, whose context begins inside it."""
        gaps = self.gaps[channel]
        while gaps and gaps[-1].end >= gap.begin and gaps[-1].is_frozen == gap.is_frozen:
            last = gaps.pop()
            first = last if last.begin <= gap.begin else gap
            final = last if last.end >= gap.end else gap
            steep = first.is_steep and final.is_steep
            gap = Gap(first.begin, final.end, first.cut_before, final.cut_after, gap.is_frozen, steep)
        gaps.append(gap)

    def findings(self) -> list[Finding]:
        if self.n and all(self._silent_throughout(gaps) for gaps in self.gaps):
            text = "The whole file is digital silence."
            duration_s = round(self.n / self.rate, 4)
            return [Finding("silence", duration_s, "s", 0.99, text, None, ((0.0, duration_s),))]
        by_channel = [self._judged(gaps) for gaps in self.gaps]
        if len(by_channel) > 1 and all(one == by_channel[0] for one in by_channel):
            return [found for kind, gaps in by_channel[0].items() if (found := self._finding(kind, gaps, None))]
        return [
            found
            for channel, kinds in enumerate(by_channel)
            if not self._silent_throughout(self.gaps[channel])
            for kind, gaps in kinds.items()
            if (found := self._finding(kind, gaps, channel + 1))
        ]

    def _silent_throughout(self, gaps: list[Gap]) -> bool:
        return len(gaps) == 1 and not gaps[0].is_frozen and gaps[0].begin == 0 and gaps[0].end >= self.n

    def _judged(self, gaps: list[Gap]) -> dict[str, list[Gap]]:
        """Which gaps are faults: dropouts, frozen samples, silences."""
        frozen = [gap for gap in gaps if gap.is_frozen and (gap.cut_before or gap.cut_after)]
        frozen = [gap for gap in frozen if gap.begin > 0 and gap.end < self.n]
        zero = [gap for gap in gaps if not gap.is_frozen]
        inner = [gap for gap in zero if gap.begin > 0 and gap.end < self.n]
        cut = [gap for gap in inner if gap.cut_before and gap.cut_after]
        short = [gap for gap in inner if gap.cut_before and not gap.cut_after and self._seconds(gap) <= ONE_SIDED_S]
        if self._is_rhythm(inner):
            cut, short = [], []
        if len(inner) > 2 * len(cut + short):
            short = []  # where most gaps fade, half a cut is one by chance
        if any(gap not in cut + short and self._seconds(gap) > LEAST_PAUSE_S for gap in inner):
            cut = [gap for gap in cut if self._seconds(gap) < LONG_GAP_S]  # where there are pauses, it may be one
        dropouts = sorted([gap for gap in cut if self._seconds(gap) <= DROPOUT_S] + short)
        silences = [gap for gap in cut if self._seconds(gap) > DROPOUT_S and gap.is_steep]
        silences += [gap for gap in zero if self._seconds(gap) >= SILENCE_S and gap not in silences]
        return {"dropout": dropouts, "frozen": frozen, "silence": sorted(silences)}

    def _is_rhythm(self, inner: list[Gap]) -> bool:
        """Whether the sound is made of pieces without fades: most gaps are cut, and together they are long."""
        lengths = [gap.end - gap.begin for gap in inner if gap.cut_before]
        if len(lengths) < RHYTHM_GAPS or len(lengths) <= len(inner) / 2:
            return False
        pauses = float(np.median(lengths)) >= PAUSE_S * self.rate or len(lengths) >= MANY_GAPS
        return sum(lengths) > (PAUSE_SHARE if pauses else RHYTHM_SHARE) * self.n

    def _seconds(self, gap: Gap) -> float:
        return (gap.end - gap.begin) / self.rate

    def _finding(self, kind: str, gaps: list[Gap], channel: int | None) -> Finding | None:
        if not gaps:
            return None
        total_s = sum(self._seconds(gap) for gap in gaps)
        longest_ms = 1000 * max(self._seconds(gap) for gap in gaps)
        text = {
            "dropout": f"The sound is cut out {len(gaps)} times, for up to {longest_ms:.0f} ms.",
            "frozen": f"The wave stands still {len(gaps)} times, for up to {longest_ms:.0f} ms.",
            "silence": f"There is digital silence for up to {longest_ms / 1000:.1f} s.",
        }[kind].replace(" 1 times", " once")
        sided = np.mean([gap.cut_before + gap.cut_after for gap in gaps])
        sure = certainty(sided + np.log2(len(gaps)) + np.log2(max(1.0, longest_ms / 10)) / 2)
        spans = join_spans(((gap.begin / self.rate, gap.end / self.rate) for gap in gaps), 0.0)
        return Finding(kind, round(total_s, 4), "s", sure, text, channel, spans)


def still_stretches(samples: Floats, piece: Piece) -> list[Gap]:
    """The stretches of a channel that are zero or that do not change."""
    zero = np.abs(samples) <= STEP_16_BIT
    level = float(np.sqrt(np.mean(samples**2)))
    share = np.count_nonzero(~zero) / max(1, len(zero))
    loud = LEAST_SHARE * level / max(share, 1e-6) ** 0.5
    gaps = [_gap(samples, piece, s, e, loud, False) for s, e in _long(zero, LEAST_S * piece.sample_rate)]
    resting = np.abs(samples - np.float32(np.median(samples[::7]))) <= STEP_16_BIT  # silence with an offset
    same = np.concatenate([[False], np.diff(samples) == 0]) & ~zero & ~resting
    for s, e in _long(same, FROZEN_S * piece.sample_rate):
        before, after = (
            samples[max(0, s - 1 - piece.sample_rate // 20) : s - 1],
            samples[e : e + piece.sample_rate // 20],
        )
        around = np.concatenate([before, after])
        # A clipped top or a square wave stands still at its extreme; a buffer that hangs, anywhere.
        if len(around) < 2 or np.median(np.abs(np.diff(around))) < MOVING:
            continue
        low, high = float(around.min()), float(around.max())
        if 0.05 * (high - low) < float(samples[s]) - low < 0.95 * (high - low):
            gaps.append(_gap(samples, piece, s - 1, e, loud, True))
    return sorted(gaps)


def _long(mask: np.ndarray, least: float) -> list[tuple[int, int]]:
    starts, ends = runs(mask)
    long = ends - starts >= least
    return list(zip(starts[long].tolist(), ends[long].tolist(), strict=True))


def _gap(samples: Floats, piece: Piece, begin: int, end: int, loud: float, is_frozen: bool) -> Gap:
    rate = piece.sample_rate
    edge, slope, around = max(1, round(EDGE_S * rate)), round(SLOPE_S * rate), round(AROUND_S * rate)

    def cut(far: Floats) -> tuple[bool, bool]:
        """Of the samples before a gap, the last one next to it: whether they are cut, and whether without a fade."""
        if len(far) < 2 * slope:
            return False, False
        level = float(np.sqrt(np.mean(far**2)))
        here = float(np.abs(far[-edge:]).max())
        steep = float(np.sqrt(np.mean(far[-slope:] ** 2))) > STILL_SLOPE * level
        return here > loud and here > STILL_LOUD * level, steep

    before, steep_before = cut(samples[max(0, begin - around) : begin])
    after, steep_after = cut(samples[end : end + around][::-1])
    return Gap(piece.start + begin, piece.start + end, before, after, is_frozen, steep_before and steep_after)
