"""Mains hum: steady lines at 50 or 60 Hz and their multiples, under a sound that is made of something else.

Looked for to a quarter of a hertz in frames of two seconds, which tells hum from the note G1 (49.0 Hz). What repeats
with a beat has lines all over, as far apart as the beat is fast; hum has none beside it. And it must not be most of the
sound: a voice on 100 Hz is none.
"""

from __future__ import annotations

import numpy as np

from volna.audio.signal import resample
from volna.features.frames import window_of
from volna.features.spectrum import power_spectrum, rfft
from volna.tasks.diagnosis.finding import Floats, Piece
from volna.tasks.diagnosis.lines import QUIET_PERCENTILE, Line, is_multiple, parabola

__all__ = ["find_hum"]

MAINS_HZ = (50, 60)
RATE, FRAME_S, HARMONICS = 1000, 2.0, 8
OFF_HZ = 0.25
STEADY_DB = 2.0  # from the 25th percentile of the frames to the median
PROMINENCE_DB = 3.5  # of a multiple, over the highest beside it
NEEDED_DB = (14.0, 20.0, 14.0)  # sum of them: of one, two (among the first two multiples), three or more
WEAKER_DB, MUCH_WEAKER_DB = 3.0, 6.0  # than the rest: where it moves, and where it is steady itself
FAINTEST_DB = -30.0  # below is aliasing, or nothing that is heard
STEADY_SHARE, MANY_LINES = 0.5, 12  # of the rest's power in steady lines, or so many: a sound of steady tones
LINE_OFF_HZ = 1.5


def find_hum(piece: Piece, lines: list[Line], total: float) -> tuple[int, float, float] | None:
    """The mains frequency, the level of the hum in dB against the rest, and how far it is beyond doubt; or None.

    `lines` are the steady ones of the piece, `total` its mean power.
    """
    power = _slow_spectra(piece)
    if power is None:
        return None
    low, middle = 10 * np.log10(np.percentile(power, [QUIET_PERCENTILE, 50], axis=0) + 1e-16)
    surest, mains, there = max(
        ((_sureness(found := _multiples(low, middle, mains)), mains, found) for mains in MAINS_HZ), key=lambda x: x[0]
    )
    if surest < 0:
        return None
    base = float(np.median([line.hz / harmonic for harmonic, line in there.items()]))
    hum = sum(line.power for line in there.values())
    multiples = sum(line.power for line in lines if is_multiple(line.hz, base, LINE_OFF_HZ))
    others = [line for line in lines if not is_multiple(line.hz, base, LINE_OFF_HZ)]
    rest = max(total - max(hum, multiples), 1e-12)
    steady = sum(line.power for line in others) / rest > STEADY_SHARE or len(others) > MANY_LINES
    level = float(10 * np.log10(hum / rest))
    return (mains, level, surest) if FAINTEST_DB < level < -(MUCH_WEAKER_DB if steady else WEAKER_DB) else None


def _slow_spectra(piece: Piece) -> Floats | None:
    """Power spectra of half a hertz a bin up to 500 Hz; None where the piece is too short."""
    own = piece.own.mean(axis=0) if len(piece.own) > 1 else piece.own[0]
    if float(np.abs(own).max()) < 1e-5:  # two channels in opposite phase
        own = piece.own[0]
    slow, n = resample(own, piece.sample_rate, RATE), round(FRAME_S * RATE)
    if len(slow) < n:
        return None
    frames = np.lib.stride_tricks.sliding_window_view(slow, n)[:: n // 4]
    return power_spectrum(rfft(frames * window_of("hann", n) * np.float32(4 / n)))


def _sureness(there: dict[int, Line]) -> float:
    """By how much the multiples stand out more than they need to, 1 for every 5 dB; below 0 where they do not."""
    if not there or (len(there) < 3 and min(there) > 2):
        return -np.inf
    needed = NEEDED_DB[min(len(there), 3) - 1]
    return float(sum(line.prominence_db for line in there.values()) - needed) / 5


def _multiples(low: Floats, middle: Floats, mains: int) -> dict[int, Line]:
    """The steady lines at multiples of the mains, by their number."""
    found = {h: _line_at(low, middle, h * mains, h) for h in range(1, HARMONICS + 1) if h * mains < 0.48 * RATE}
    return {harmonic: line for harmonic, line in found.items() if line is not None}


def _line_at(low: Floats, middle: Floats, hz: float, harmonic: int) -> Line | None:
    k = round(hz * FRAME_S)
    k = k - 1 + int(low[k - 1 : k + 2].argmax())
    place = (k + parabola(low[k - 1 : k + 2])) / FRAME_S
    if abs(place - hz) > OFF_HZ * max(1, harmonic / 2) or middle[k] - low[k] > STEADY_DB:
        return None
    # A note nearby stands on one side; the lines of a beat (2 Hz apart at 120 a minute) stand on both.
    near = max(low[k - 7 : k - 2].max(), low[k + 3 : k + 8].max())
    far = min(low[k - 11 : k - 7].max(), low[k + 8 : k + 12].max())
    prominence = float(low[k] - max(near, far))
    return Line(place, float(10 ** (low[k] / 10)), prominence) if prominence >= PROMINENCE_DB else None
