"""Sounds for the tests of the diagnosis: clean ones that look faulty, and one that every fault can be put into."""

from __future__ import annotations

import numpy as np

from volna.synthesis import signals
from volna.tasks.diagnosis import Finding, diagnose

RATE = 22_050


def music(seed: int = 0, duration_s: float = 5.0, rate: int = RATE) -> np.ndarray:
    """Two channels of plucked chords, a bass, and a hat of noise on every beat: moving, and full-band."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(duration_s * rate)) / rate
    since_beat = t % 0.4
    roots = rng.choice([220.0, 247.0, 262.0, 294.0, 330.0], 32)[(t // 0.8).astype(int) % 32]
    phase = 2 * np.pi * np.cumsum(roots) / rate
    chord = sum(np.sin(k * phase) / k for k in (1, 2, 3, 4, 5, 6)) * np.exp(-2 * since_beat)
    left, right = (0.15 * rng.standard_normal(len(t)) * (np.exp(-25 * since_beat) + 0.05) for _ in "lr")
    both = np.stack([chord + left + 0.3 * right, 0.8 * chord + right + 0.3 * left])
    return (0.5 * both / np.abs(both).max()).astype(np.float32)


def sixteen_bits(samples: np.ndarray) -> np.ndarray:
    return (np.clip(np.rint(samples * 32768), -32768, 32767) / 32768).astype(np.float32)


def found_in(samples: np.ndarray, rate: int = RATE, **options) -> dict[str, Finding]:
    """The findings by kind, of several channels the surest."""
    findings = diagnose([np.atleast_2d(sixteen_bits(samples))], rate, **options).findings
    return {finding.kind: finding for finding in sorted(findings, key=lambda finding: finding.certainty)}


def tone(kind: str = "tone", duration_s: float = 4.0, **options) -> np.ndarray:
    return signals.synthesise(kind, duration_s=duration_s, sample_rate=RATE, **options)


def touches(finding: Finding, at_s: float, within_s: float = 0.02) -> bool:
    """Whether one of the spans holds a moment, nearly."""
    return any(begin - within_s <= at_s <= end + within_s for begin, end in finding.spans)
