"""Steady lines in the spectrum: mains hum, and whistles as of a monitor, a converter or a bad ground.

Tones are what music is made of, so a line is a fault only when it is steady where the rest is not: it stays at one
frequency and one level for the whole of ten seconds while the sound around it moves, or stands in noise. In a sound
made of steady tones only, a line is taken for a fault when it is much weaker than the others and no overtone of theirs.

Hum is looked for at 50 and 60 Hz and their multiples, to a quarter of a hertz, in frames of two seconds; that tells it
from the note G1 (49.0 Hz). It must not be most of the sound.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from volna.audio.signal import resample
from volna.features.frames import window_of
from volna.features.spectrum import power_spectrum, rfft
from volna.tasks.diagnosis.finding import Finding, Floats, Piece, Span, certainty, join_spans
from volna.tasks.diagnosis.spectra import frame_length

__all__ = ["Lines"]

LEAST_S = 2.0
QUIET_PERCENTILE = 25.0  # of the frames: what a line still has when the rest is quiet
NEAR_BINS, LOCAL_BINS = 3, 20
PROMINENCE_DB = 12.0
STEADY_LINE_DB, STEADY_DB = 3.2, 2.0  # from the 25th to the 75th percentile of the frames
LOWEST_WHISTLE_HZ, LOWEST_FAMILY_HZ = 800.0, 300.0
WEAKER_DB, MUCH_WEAKER_DB = 0.0, 18.0  # than the rest: where it moves, and where it is steady itself
WHISTLE_FAINTEST_DB = -42.0
FAMILY_DB = 12.0  # other lines within so much: a chord
CLEARLY_DB = 6.0  # weaker than every other fundamental
FAR_ABOVE = 2.2  # times the strongest line of a sound of steady tones: nearer are sidebands
STEADY_SHARE = 0.5  # of the rest's power in steady lines: a sound of steady tones
MANY_LINES = 12
LINE_OFF_HZ = 1.5
HANN_BINS, OFFSET_BINS = 1.5, 3  # a line's power over its bins adds to 1.5 times its peak; bins that an offset fills
HARMONIC, MOST_OFF, MOST_RATIO = 0.006, 0.1, 40.0  # of the ratio of two lines to a whole number; up to that ratio
HUM_RATE, HUM_FRAME_S, HUM_HARMONICS = 1000, 2.0, 8
HUM_OFF_HZ = 0.25
HUM_PROMINENCE_DB = 3.5  # of a multiple, over the highest within five and a half hertz
HUM_NEEDED_DB = (14.0, 20.0, 14.0)  # sum of them: of one, two (among the first two multiples), three or more
HUM_WEAKER_DB, HUM_MUCH_WEAKER_DB = 3.0, 12.0
HUM_FAINTEST_DB, HUM_FAINT_DB = -30.0, -30.0  # below is aliasing, or nothing that is heard


class Line(NamedTuple):
    """A steady line: Hz, power, and how far it stands out in dB."""

    hz: float
    power: float
    prominence_db: float


class Lines:
    """Judges every piece by itself and collects where lines stand."""

    def __init__(self) -> None:
        self.whistles: dict[float, list[tuple[Span, float, float]]] = {}
        self.hums: dict[int, list[tuple[Span, float, float]]] = {}

    def add(self, piece: Piece, power: Floats) -> None:
        """A piece and its `spectra`."""
        span = (piece.begin / piece.sample_rate, piece.end / piece.sample_rate)
        if span[1] - span[0] < LEAST_S or len(power) < 8 or float(power.max()) < 1e-9:
            return
        lines = steady_lines(power, piece.sample_rate)
        total = _total(power)
        hum = find_hum(piece, lines, total)
        if hum:
            self.hums.setdefault(hum[0], []).append((span, hum[1], hum[2]))
        for line in find_whistles(lines, total, hum[0] if hum else 0):
            known = next((hz for hz in self.whistles if abs(hz - line.hz) < max(3.0, 0.003 * hz)), line.hz)
            below = 10 * np.log10(line.power / total)
            self.whistles.setdefault(known, []).append((span, below, line.prominence_db))

    def findings(self) -> list[Finding]:
        found = []
        for mains, places in self.hums.items():
            level = float(np.median([level for _, level, _ in places]))
            text = f"Mains hum of {mains} Hz and its multiples, {-level:.0f} dB below the sound."
            sure = certainty(float(np.median([sure for _, _, sure in places])))
            found.append(Finding("hum", round(level, 1), "dB re sound", sure, text, None, _spans(places)))
        for hz, places in self.whistles.items():
            level = float(np.median([level for _, level, _ in places]))
            text = f"A steady whistle at {hz:.0f} Hz, {-level:.0f} dB below the sound."
            excess = float(np.median([prominence for _, _, prominence in places])) - PROMINENCE_DB
            found.append(
                Finding("whistle", round(level, 1), "dB re sound", certainty(excess / 4), text, None, _spans(places))
            )
        return found


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
        shift = _parabola(middle[k - 1 : k + 2])
        power_of_line = float((10 ** (middle[k - 1 : k + 2] / 10)).sum()) / HANN_BINS
        lines.append(Line(float(k + shift) * hz_a_bin, power_of_line, float(prominence[k])))
    return lines


def find_whistles(lines: list[Line], total: float, mains: int) -> list[Line]:
    """The lines that are no part of the sound; `total` is its mean power, `mains` a hum that was found, or 0."""
    others = [line for line in lines if not (mains and _is_multiple(line.hz, mains, 0.5))]
    steady = sum(line.power for line in others)
    whistles = []
    for line in others:
        if line.hz < LOWEST_WHISTLE_HZ:
            continue
        rest = max(total - line.power, 1e-12)
        level = 10 * np.log10(line.power / rest)
        family = [one for one in others if one is not line and _ratio_db(one, line) > -FAMILY_DB]
        if level < WHISTLE_FAINTEST_DB:
            continue
        if (steady - line.power) / rest > STEADY_SHARE:  # a sound of steady tones
            above = line.hz > FAR_ABOVE * max(others, key=lambda one: one.power).hz
            own = [one for one in others if one is line or not any(_related(other, one) for other in others)]
            weakest = line in own and all(_ratio_db(one, line) > CLEARLY_DB for one in own if one is not line)
            fault = level < -MUCH_WEAKER_DB and above and weakest and not any(_related(one, line) for one in others)
        else:
            alone = not any(one.hz > LOWEST_FAMILY_HZ or _related(one, line) for one in family)
            fault = level < -WEAKER_DB and alone
        if fault:
            whistles.append(line)
    return whistles


def find_hum(piece: Piece, lines: list[Line], total: float) -> tuple[int, float, float] | None:
    """The mains frequency, the level of the hum in dB against the sound, and how far it is beyond doubt; or None."""
    own = piece.own.mean(axis=0) if len(piece.own) > 1 else piece.own[0]
    if float(np.abs(own).max()) < 1e-5:
        own = piece.own[0]
    slow = resample(own, piece.sample_rate, HUM_RATE)
    n = round(HUM_FRAME_S * HUM_RATE)
    if len(slow) < n:
        return None
    frames = np.lib.stride_tricks.sliding_window_view(slow, n)[:: n // 4]
    power = power_spectrum(rfft(frames * window_of("hann", n) * np.float32(4 / n)))
    best = None
    for mains in (50, 60):
        found = [_hum_line(power, h * mains, h) for h in range(1, HUM_HARMONICS + 1) if h * mains < 0.48 * HUM_RATE]
        there = [line for line in found if line is not None]
        prominence = sum(line.prominence_db for line in there)
        low = any(line is not None for line in found[:2])
        needed = {0: np.inf, 1: HUM_NEEDED_DB[0] if low else np.inf, 2: HUM_NEEDED_DB[1] if low else np.inf}
        hum, sure = sum(line.power for line in there), (prominence - needed.get(len(there), HUM_NEEDED_DB[2])) / 5
        if sure < 0:
            continue
        if best is None or sure > best[2]:
            places = [line.hz / h for h, line in enumerate(found, 1) if line is not None]
            best = (mains, hum, sure, float(np.median(places)))
    if best is None:
        return None
    mains, hum, sure, base = best
    others = [line for line in lines if not _is_multiple(line.hz, base, LINE_OFF_HZ)]
    multiples = sum(line.power for line in lines if _is_multiple(line.hz, base, LINE_OFF_HZ))
    rest = max(total - max(hum, multiples), 1e-12)
    level = 10 * np.log10(hum / rest)
    steady = sum(line.power for line in others) / rest > STEADY_SHARE or len(others) > MANY_LINES
    most, least = (-HUM_MUCH_WEAKER_DB, HUM_FAINT_DB) if steady else (-HUM_WEAKER_DB, HUM_FAINTEST_DB)
    return (mains, level, sure) if least < level < most else None


def _hum_line(power: Floats, hz: float, harmonic: int) -> Line | None:
    """The steady line at a multiple of the mains, in spectra of half a hertz a bin."""
    bin_hz = 1 / HUM_FRAME_S
    low, middle = 10 * np.log10(np.percentile(power, [QUIET_PERCENTILE, 50], axis=0) + 1e-16)
    k = round(hz / bin_hz)
    k = k - 1 + int(low[k - 1 : k + 2].argmax())
    place = (k + _parabola(low[k - 1 : k + 2])) * bin_hz
    if abs(place - hz) > HUM_OFF_HZ * max(1, harmonic / 2):
        return None
    sides = np.concatenate([low[k - 11 : k - 2], low[k + 3 : k + 12]])
    prominence = float(low[k] - sides.max())
    if prominence < HUM_PROMINENCE_DB or middle[k] - low[k] > STEADY_DB:
        return None
    return Line(place, float(10 ** (low[k] / 10)), prominence)


def _total(power: Floats) -> float:
    """Mean power of the spectra but for an offset, in the scale of a line's: a sine of amplitude 1 has 1."""
    return float(power[:, OFFSET_BINS:].sum(axis=1, dtype=np.float64).mean()) / HANN_BINS + 1e-12


def _parabola(levels: np.ndarray) -> float:
    """Where the peak of three levels in dB lies, in bins from the middle one."""
    left, middle, right = (float(level) for level in levels)
    bend = left - 2 * middle + right
    return 0.0 if bend >= 0 else float(np.clip(0.5 * (left - right) / bend, -0.5, 0.5))


def _is_multiple(hz: float, base: float, within_hz: float) -> bool:
    return abs(hz - base * round(hz / base)) < within_hz + 0.001 * hz and hz > base / 2


def _ratio_db(one: Line, other: Line) -> float:
    return float(10 * np.log10(one.power / other.power))


def _related(one: Line, line: Line) -> bool:
    """Whether one line is an overtone of the other, or both of the fundamental that lies a third or half below."""
    if one is line:
        return False
    low, high = sorted((one.hz, line.hz))
    ratio = high / low
    near = min(HARMONIC * ratio, MOST_OFF)
    return ratio < MOST_RATIO and abs(ratio - round(ratio)) < near and one.power > line.power


def _spans(places: list[tuple[Span, float, float]]) -> tuple[Span, ...]:
    return join_spans((span for span, _, _ in places), 0.5)
