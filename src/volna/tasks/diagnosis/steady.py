"""Hum and whistles of a whole file: every piece is judged by itself, and what several have in common is one finding."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from volna.tasks.diagnosis.finding import Finding, Floats, Piece, Span, certainty, join_spans
from volna.tasks.diagnosis.hum import find_hum
from volna.tasks.diagnosis.lines import PROMINENCE_DB, steady_lines, total_power
from volna.tasks.diagnosis.whistles import find_whistles

__all__ = ["SteadyFaults"]

LEAST_S, LEAST_FRAMES = 2.0, 8
SAME_HZ, SAME_SHARE = 3.0, 0.003  # two pieces have one whistle


class Place(NamedTuple):
    """Where a fault stands, its level in dB against the sound, and how far it is beyond doubt."""

    span: Span
    level_db: float
    sure: float


class SteadyFaults:
    """Collects where hum and whistles stand."""

    def __init__(self) -> None:
        self.whistles: dict[float, list[Place]] = {}
        self.hums: dict[int, list[Place]] = {}

    def add(self, piece: Piece, power: Floats) -> None:
        """A piece and its `spectra`."""
        span = (piece.begin / piece.sample_rate, piece.end / piece.sample_rate)
        if span[1] - span[0] < LEAST_S or len(power) < LEAST_FRAMES or float(power.max()) < 1e-9:
            return
        lines, total = steady_lines(power, piece.sample_rate), total_power(power)
        hum = find_hum(piece, lines, total)
        if hum:
            self.hums.setdefault(hum[0], []).append(Place(span, hum[1], hum[2]))
        for line in find_whistles(lines, total, hum[0] if hum else 0):
            known = (hz for hz in self.whistles if abs(hz - line.hz) < max(SAME_HZ, SAME_SHARE * hz))
            level = float(10 * np.log10(line.power / total))
            sure = (line.prominence_db - PROMINENCE_DB) / 4
            self.whistles.setdefault(next(known, line.hz), []).append(Place(span, level, sure))

    def findings(self) -> list[Finding]:
        hums = [("hum", f"Mains hum of {mains} Hz and its multiples", at) for mains, at in self.hums.items()]
        whistles = [("whistle", f"A steady whistle at {hz:.0f} Hz", at) for hz, at in self.whistles.items()]
        return [_finding(*found) for found in hums + whistles]


def _finding(kind: str, what: str, places: list[Place]) -> Finding:
    level = float(np.median([place.level_db for place in places]))
    sure = certainty(float(np.median([place.sure for place in places])))
    spans = join_spans((place.span for place in places), 0.5)
    return Finding(kind, round(level, 1), "dB re sound", sure, f"{what}, {-level:.0f} dB below the sound.", None, spans)
