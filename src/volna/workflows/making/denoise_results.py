"""What `denoise` has written, and what was done to it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["Denoised", "remarks"]


@dataclass
class Denoised:
    """What was written, and what was done to it.

    Attributes
    ----------
    source, output : the files; ``plot`` the picture, or None.
    method : one of ``METHODS``; ``model`` the id of the denoiser, or None.
    strength : from 0 to 1.
    sample_rate, file_rate : Hz, of the source and of the output.
    n_channels, n_samples, duration_s : of the sound.
    level_before_db, level_after_db : root mean square, dBFS, before and after noise was taken out.
    removed_db : level of what was taken out, relative to what was there; None where nothing was.
    peak_dbfs : of the result before it was turned down by ``turned_down_db``.
    n_declipped : samples put back by ``declip``; None without it. ``rail_dbfs``: where each channel was cut.
    n_filled, filled_s, n_too_long : gaps filled, their length in all, and gaps too long for it; None without ``fill``.
    seconds : of work; ``times_real_time`` the duration over that.
    notes : remarks for people.
    """

    source: str
    output: str
    method: str
    model: str | None
    strength: float
    sample_rate: int
    file_rate: int
    n_channels: int
    n_samples: int
    duration_s: float
    level_before_db: float
    level_after_db: float
    removed_db: float | None
    peak_dbfs: float
    turned_down_db: float
    n_declipped: int | None = None
    rail_dbfs: list[float | None] | None = None
    n_filled: int | None = None
    filled_s: float | None = None
    n_too_long: int | None = None
    plot: str | None = None
    seconds: float = 0.0
    times_real_time: float = 0.0
    notes: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """None for what is infinite."""
        return {
            key: None if isinstance(value, float) and not math.isfinite(value) else value
            for key, value in vars(self).items()
        }


def remarks(done: Denoised, *, top_hz: float | None, n_damaged: int) -> list[str]:
    """What people should know about it, in words; ``top_hz`` is what the model hears, None without one."""
    notes = []
    if done.method == "wiener":
        notes.append("no model given: by Wiener filter; volna denoise train makes a model of your own speech")
    if top_hz is not None and done.sample_rate / 2 > top_hz:
        notes.append(f"the model hears up to {top_hz:g} Hz: above that, by Wiener filter")
    if done.turned_down_db > 0:
        notes.append(f"turned down by {done.turned_down_db:.1f} dB, so that no peak is clipped")
    if done.n_declipped == 0:
        notes.append("no clipped peaks were found")
    if done.n_filled == 0 and not done.n_too_long:
        notes.append("no gaps were found")
    if done.n_too_long:
        notes.append(f"{done.n_too_long} gaps are too long to be filled, and were left")
    if done.file_rate != done.sample_rate:
        suffix = Path(done.output).suffix
        notes.append(f"{suffix} has no rate of {done.sample_rate} Hz: the file has {done.file_rate} Hz")
    if n_damaged:
        notes.append(f"{n_damaged} damaged packets of the source were left out")
    return notes
