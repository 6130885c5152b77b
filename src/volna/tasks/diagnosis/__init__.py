"""What is wrong with a recording: one detector a file, fed block by block, so that hours need the memory of seconds.

::

    with open_channels("talk.wav") as sound:
        found = diagnose(sound.blocks(), sound.sample_rate)
    found.findings, found.measures

Its measure of success is in docs/diagnosis.md: the share of injected faults found, and of clean sounds flagged.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from volna.tasks.diagnosis.bandwidth import Bandwidth
from volna.tasks.diagnosis.clicks import Clicks
from volna.tasks.diagnosis.clipping import Clipping
from volna.tasks.diagnosis.finding import Finding, Floats, Piece
from volna.tasks.diagnosis.gaps import Gaps
from volna.tasks.diagnosis.levels import Levels
from volna.tasks.diagnosis.noise import Noise
from volna.tasks.diagnosis.spectra import frame_length, spectra
from volna.tasks.diagnosis.steady import SteadyFaults

__all__ = ["KINDS", "Diagnosis", "Finding", "diagnose"]

KINDS = (
    "clipping", "hum", "whistle", "dropout", "frozen", "silence", "clicks", "dc_offset", "dead_channel",
    "inverted_channel", "low_level", "band_limited", "transcoded", "noise",
)  # fmt: skip
CONTEXT_S = 0.5


@dataclass(frozen=True)
class Diagnosis:
    """Findings in the order of ``KINDS``; measures by name: numbers, or None where they cannot be told."""

    duration_s: float
    sample_rate: int
    n_channels: int
    findings: tuple[Finding, ...]
    measures: dict[str, Any] = field(default_factory=dict)


def diagnose(blocks: Iterable[Floats], sample_rate: int, *, lossy: bool = False) -> Diagnosis:
    """Look for faults in a sound.

    Parameters
    ----------
    blocks
        float32 ``(n_channels, n_samples)`` one after another, best of 10 s each; hum and whistles are looked for
        within a block.
    lossy
        Whether the file is coded with loss, so that an early end of the spectrum is the codec's.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> sound = np.clip(0.5 * rng.standard_normal((1, 44100)), -1, 1).astype(np.float32)
    >>> [finding.kind for finding in diagnose([np.clip(2 * sound, -1, 1)], 44100).findings]
    ['clipping']
    """
    detectors: _Detectors | None = None
    for piece in _pieces(blocks, sample_rate):
        detectors = detectors or _Detectors(len(piece.samples), sample_rate)
        detectors.add(piece)
    return detectors.diagnosis(lossy) if detectors else Diagnosis(0.0, sample_rate, 0, ())


class _Detectors:
    def __init__(self, n_channels: int, sample_rate: int) -> None:
        self.n_channels, self.sample_rate, self.n = n_channels, sample_rate, 0
        self.clipping, self.levels, self.clicks = Clipping(n_channels), Levels(n_channels), Clicks(n_channels)
        self.gaps, self.bandwidth = Gaps(n_channels, sample_rate), Bandwidth(sample_rate)
        self.steady, self.noise = SteadyFaults(), Noise(sample_rate, frame_length(sample_rate))

    def add(self, piece: Piece) -> None:
        self.n = piece.end
        for detector in (self.clipping, self.levels, self.clicks, self.gaps):
            detector.add(piece)
        power = spectra(piece)
        self.bandwidth.add(power)
        self.noise.add(power)
        self.steady.add(piece, power)

    def diagnosis(self, lossy: bool) -> Diagnosis:
        duration_s = self.n / self.sample_rate
        found = [
            *self.clipping.findings(), *self.steady.findings(), *self.gaps.findings(), *self.clicks.findings(),
            *self.levels.findings(duration_s), *self.bandwidth.findings(duration_s, lossy),
            *self.noise.findings(duration_s),
        ]  # fmt: skip
        found.sort(key=lambda finding: (KINDS.index(finding.kind), finding.channel or 0))
        measures = self.levels.measures() | self.noise.measures() | self.bandwidth.measures()
        return Diagnosis(round(duration_s, 4), self.sample_rate, self.n_channels, tuple(found), measures)


def _pieces(blocks: Iterable[Floats], sample_rate: int) -> Iterator[Piece]:
    """Every block with half a second of its neighbours; a short last block joins the one before it.

    ::

        blocks   |----- 0 -----|----- 1 -----|-- 2 --|
        piece 0  |-------------+--|
        piece 1             |--+-------------+--|
    """
    context = round(CONTEXT_S * sample_rate)
    before: Floats | None = None
    current: Floats | None = None
    start = 0
    for block in blocks:
        if current is not None:
            if block.shape[1] < current.shape[1] // 2:
                current = np.concatenate([current, block], axis=1)
                continue
            yield _piece(before, current, block[:, :context], start, sample_rate)
            start += current.shape[1]
            before = current[:, -context:]
        current = block
    if current is not None:
        yield _piece(before, current, current[:, :0], start, sample_rate)


def _piece(before: Floats | None, current: Floats, after: Floats, start: int, sample_rate: int) -> Piece:
    parts = [part for part in (before, current, after) if part is not None]
    n_before = 0 if before is None else before.shape[1]
    samples = np.concatenate(parts, axis=1) if len(parts) > 1 else current
    return Piece(samples, start - n_before, start, start + current.shape[1], sample_rate)
