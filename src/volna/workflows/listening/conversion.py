"""What `convert` has written, and what that cost."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

__all__ = ["Conversion", "remarks"]

FLOAT_BITS = 25  # of a sample near full scale: decoded sound is float32, 24 bits and a sign
MANY_BITS = 16  # from here on nobody hears what dither does


@dataclass(frozen=True)
class Conversion:
    """What was written, and what it cost.

    Attributes
    ----------
    source, output : the files; ``codec`` of the output, ``lossy`` where that leaves something out by itself.
    from_rate, to_rate : Hz, of the source and after ``--rate``; ``file_rate`` of the output.
    n_channels, n_samples : of the output before its codec; ``duration_s``.
    bits : of the quantiser, None for none; ``dither``; ``file_bits`` of a sample in the output, None for lossy codecs
        and floats.
    filtered : whether a change of rate went through the anti-alias filter.
    folded_db : power above half the new rate, relative to all: with the filter it is removed, without it folds down.
        None where the rate does not fall.
    peak_dbfs, rms_dbfs : after the change of rate, before the bits.
    snr_db : measured: power of the sound over that of what quantising added; infinite where it added nothing, not a
        number for silence. None without ``bits``, as the next three.
    full_scale_snr_db : theory, of a full-scale sine: 6.02 N + 1.76, with dither 4.77 less.
    expected_snr_db : theory, of a sound of this level.
    n_clipped : samples beyond the outermost value of the quantiser.
    notes : remarks for people.
    """

    source: str
    output: str
    codec: str
    lossy: bool
    from_rate: int
    to_rate: int
    file_rate: int
    n_channels: int
    n_samples: int
    duration_s: float
    bits: int | None
    dither: bool
    file_bits: int | None
    filtered: bool
    folded_db: float | None
    peak_dbfs: float
    rms_dbfs: float
    snr_db: float | None = None
    full_scale_snr_db: float | None = None
    expected_snr_db: float | None = None
    n_clipped: int | None = None
    notes: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """None for what is infinite or not a number."""
        return {
            key: None if isinstance(value, float) and not math.isfinite(value) else value
            for key, value in asdict(self).items()
        }


def remarks(done: Conversion, n_damaged: int, *, lossy_source: bool = False) -> list[str]:
    """What people should know about a conversion, in words."""
    notes = [*_bits_notes(done)] if done.bits else []
    if done.bits and lossy_source:
        notes.append("the source is lossy: what its codec added counts as sound here, not as noise")
    if done.file_rate != done.to_rate:
        notes.append(f"{done.codec} has no rate of {done.to_rate} Hz: the file has {done.file_rate} Hz")
    if done.peak_dbfs > 0 and done.file_bits and not done.bits:
        notes.append("samples beyond full scale were clipped")
    if done.peak_dbfs == -math.inf:
        notes.append("the sound is digital silence")
    if n_damaged:
        notes.append(f"{n_damaged} damaged packets of the source were left out")
    return notes


def _bits_notes(done: Conversion) -> Iterator[str]:
    bits = done.bits or 0
    if done.lossy:
        yield (
            f"the figures are of {bits}-bit quantisation alone; {done.codec} is lossy and adds errors of its own"
            " after it"
        )
    elif done.file_bits and done.file_bits > bits:
        yield f"the {bits}-bit values are kept in samples of {done.file_bits} bits, the smallest that hold them"
    if done.file_rate != done.to_rate and not done.lossy:
        yield "the change to the file's rate came after the quantisation, and blurs its steps"
    if bits >= FLOAT_BITS:
        yield f"decoded sound has {FLOAT_BITS} bits at most: finer steps than that change little or nothing"
    if done.snr_db == math.inf:
        yield f"rounding to {bits} bits changed nothing: the samples were on these steps already"
    elif not done.dither and bits < MANY_BITS and done.snr_db is not None and math.isfinite(done.snr_db):
        yield "without dither the error follows the sound: distortion rather than noise (--dither)"
    if done.n_clipped:
        yield f"{done.n_clipped} samples lay beyond the outermost step and were clipped"
