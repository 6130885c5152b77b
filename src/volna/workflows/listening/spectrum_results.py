"""What `spectrum` returns: plain dataclasses, turned into the documented JSON by ``as_dict``."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from volna.features.definition import Leakage, TimesOfTransforms

__all__ = ["Definition", "Peak", "Resynthesis", "Spectrum", "Window"]


@dataclass(frozen=True)
class Peak:
    """A tone: its frequency, the nearest note (A4 = 440 Hz) and the cents above it, its level re a full-scale sine."""

    frequency_hz: float
    note: str | None
    cents: float | None
    level_db: float


@dataclass(frozen=True)
class Window:
    """What a window does to any tone, and to the strongest of this sound (None where there is none)."""

    window: str
    theory: Leakage
    measured: Leakage | None


@dataclass(frozen=True)
class Definition:
    """The transform by its sum beside the fast one, over ``n_samples`` of the sound; differences of the values."""

    n_samples: int
    largest_difference: float
    relative_difference: float  # re the largest value
    times: TimesOfTransforms


@dataclass(frozen=True)
class Resynthesis:
    """The sound of the strongest sinusoids; ``snr_db`` is the sound over what is missing, None for a held frame."""

    output: str
    n_sinusoids: int
    duration_s: float
    snr_db: float | None


@dataclass
class Spectrum:
    """What a sound is made of.

    Attributes
    ----------
    frequencies_hz, levels_db : ndarray
        ``(n_bins,)``; dB re a full-scale sine (a sine of amplitude 1 peaks at 0 dB; noise falls by 3 dB whenever
        ``n_fft`` doubles). Bins are half as far apart as ``n_fft`` has them: frames are filled with zeros to twice
        their length.
    peaks : list of Peak
        Strongest first.
    at_s : float or None
        Middle of the one frame, or None for the mean of all.
    """

    path: str
    at_s: float | None
    sample_rate: int
    n_fft: int
    window: str
    n_frames: int
    duration_s: float
    frequencies_hz: np.ndarray
    levels_db: np.ndarray
    peaks: list[Peak]
    windows: list[Window] | None = None
    definition: Definition | None = None
    resynthesis: Resynthesis | None = None
    plot: str | None = None
    notes: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Everything but the spectrum itself."""
        return {name: value for name, value in asdict(self).items() if name not in ("frequencies_hz", "levels_db")}
