"""A file of any length as overlapping pieces, so that what looks at neighbours sees no seams, and hours need the memory
of seconds."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from volna.audio.channels import ChannelStream
from volna.audio.signal import Samples
from volna.errors import AudioError, InputError
from volna.workflows.common import Progress, silent

__all__ = ["Piece", "channel_blocks", "check_span", "pieces_of", "resampled"]

BLOCK_S = 10.0


class Piece(NamedTuple):
    """``samples`` ``(..., n)``, of which ``length`` from ``left`` on are the piece; the rest is its surroundings.

    ``begin`` is the place of the piece in the sound, ``last`` whether the sound ends with it.
    """

    samples: Samples
    left: int
    length: int
    begin: int
    last: bool


def check_span(start_s: float, duration_s: float | None) -> None:
    """Refuse a span that begins before the sound, or does not last.

    Raises
    ------
    InputError
        It is such a one.
    """
    if not (start_s >= 0 and math.isfinite(start_s) and (duration_s is None or duration_s > 0)):
        raise InputError(f"expected a span that starts at 0 s or later and lasts, got {(start_s, duration_s)}")


def channel_blocks(
    stream: ChannelStream, *, start_s: float = 0.0, duration_s: float | None = None, progress: Progress | None = None
) -> Iterator[Samples]:
    """The channels of an open file, or of a span of it, in blocks of float32 ``(n_channels, n_samples)``.

    Raises
    ------
    AudioError
        The file cannot be decoded, or the span begins after its end.
    InputError
        The span makes no sense.
    """
    check_span(start_s, duration_s)
    said, rate = progress or silent, stream.sample_rate
    begin = round(start_s * rate)
    end = (1 << 62) if duration_s is None else begin + max(1, round(duration_s * rate))
    total_s = math.ceil(min(end / rate, stream.duration_s))
    at = n_given = 0
    for block in stream.blocks(BLOCK_S):
        part = block[:, max(0, begin - at) : max(0, end - at)]
        at += block.shape[1]
        if part.shape[1]:
            n_given += part.shape[1]
            yield part
        said("Listening", min(at // rate, total_s), total_s, "s of sound")
        if at >= end:
            break
    if not n_given:
        raise AudioError(
            f"{stream.path}: expected a span inside the file, got one from {start_s:g} s of {at / rate:g} s"
        )


def resampled(blocks: Iterable[Samples], from_hz: int, to_hz: int | None) -> Iterator[Samples]:
    """Blocks at another rate (soxr HQ, without seams); as they are for the same rate, or None."""
    if to_hz is None or to_hz == from_hz:
        yield from blocks
        return
    import soxr

    stream, n_channels = None, 1
    for block in blocks:
        n_channels = len(block)
        stream = stream or soxr.ResampleStream(from_hz, to_hz, n_channels, dtype="float32")
        yield np.ascontiguousarray(stream.resample_chunk(np.ascontiguousarray(block.T)).reshape(-1, n_channels).T)
    if stream is not None:
        rest = stream.resample_chunk(np.zeros((0, n_channels), np.float32), last=True)
        yield np.ascontiguousarray(rest.reshape(-1, n_channels).T)


def pieces_of(blocks: Iterable[Samples], length: int, context: int) -> Iterator[Piece]:
    """Cut sound that comes in blocks into pieces with their surroundings.

    ::

        |--left--|------ length ------|--context--|        the next piece begins where this one ends
        samples

    Parameters
    ----------
    blocks
        float32 ``(..., n_samples)``, one after another.
    length
        Samples a piece; the last one takes what is left, at most ``length + context``.
    context
        Samples before and after each that are there as well, where the sound has them.

    Examples
    --------
    >>> sound = np.arange(7, dtype=np.float32)
    >>> [(p.samples.tolist(), p.left, p.length, p.last) for p in pieces_of([sound], 3, 1)]
    [([0.0, 1.0, 2.0, 3.0], 0, 3, False), ([2.0, 3.0, 4.0, 5.0, 6.0], 1, 4, True)]
    """
    held: Samples | None = None
    begin = left = 0
    for block in blocks:
        held = block if held is None else np.concatenate([held, block], axis=-1)
        while held.shape[-1] - left > length + context:
            yield Piece(held[..., : left + length + context], left, length, begin, False)
            begin += length
            dropped = max(0, left + length - context)
            held, left = held[..., dropped:], left + length - dropped
    if held is not None and held.shape[-1] > left:
        yield Piece(held, left, held.shape[-1] - left, begin, True)
