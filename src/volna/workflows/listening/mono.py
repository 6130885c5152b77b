"""The sound of a file, or of a span of it, as blocks of one channel at the file's own rate: hours in the memory of
seconds."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from volna.audio.channels import ChannelStream, open_channels
from volna.audio.signal import Samples, to_mono
from volna.errors import AudioError, InputError
from volna.workflows.common import Progress, silent

__all__ = ["MonoSound", "mono_sound"]

BLOCK_S = 10.0


@dataclass
class MonoSound:
    """An open file: its rate in Hz, its channels, which are mixed by their mean, and the blocks to be read once.

    ``n_read`` are the samples that the blocks have given so far, of the span.
    """

    sample_rate: int
    n_channels: int
    blocks: Iterator[Samples]
    n_read: int = 0

    @property
    def read_s(self) -> float:
        return self.n_read / self.sample_rate

    @property
    def notes(self) -> list[str]:
        return [f"{self.n_channels} channels, mixed by their mean"] if self.n_channels > 1 else []


@contextlib.contextmanager
def mono_sound(
    path: str | Path, *, start_s: float = 0.0, duration_s: float | None = None, progress: Progress | None = None
) -> Iterator[MonoSound]:
    """Open a file, or a span of it, as blocks of float32 ``(n_samples,)``.

    Raises
    ------
    AudioError
        The file cannot be decoded, or the span begins after its end.
    InputError
        The span makes no sense.

    Examples
    --------
    >>> with mono_sound("talk.wav") as sound:  # doctest: +SKIP
    ...     n = sum(len(block) for block in sound.blocks)
    """
    lasting = duration_s is None or duration_s > 0
    if not (start_s >= 0 and math.isfinite(start_s) and lasting):
        raise InputError(f"expected a span that starts at 0 s or later and lasts, got {(start_s, duration_s)}")
    with open_channels(path) as stream:
        sound = MonoSound(stream.sample_rate, stream.n_channels, iter(()))
        sound.blocks = _blocks(stream, sound, start_s, duration_s, progress or silent)
        yield sound


def _blocks(
    stream: ChannelStream, sound: MonoSound, start_s: float, duration_s: float | None, said: Progress
) -> Iterator[Samples]:
    rate = stream.sample_rate
    begin = round(start_s * rate)
    end = (1 << 62) if duration_s is None else begin + max(1, round(duration_s * rate))
    total_s = round(min(end / rate, stream.duration_s))
    at = 0
    for block in stream.blocks(BLOCK_S):
        part = block[:, max(0, begin - at) : max(0, end - at)]
        at += block.shape[1]
        said("Reading", min(round(at / rate), total_s), total_s, "s of sound")
        if part.shape[1]:
            sound.n_read += part.shape[1]
            yield to_mono(part)
        if at >= end:
            break
    if not sound.n_read:
        raise AudioError(
            f"{stream.path}: expected a span inside the file, got one from {start_s:g} s of {at / rate:g} s"
        )
