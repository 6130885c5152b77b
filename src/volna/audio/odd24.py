"""24 bits in four bytes: WAV files that libav takes for something else.

A WAV file of 24-bit samples in blocks of four bytes holds integers, at the low or at the high end of the four bytes.
libav reads all of them as "24.0 float", a format of one old editor, and so returns silence or noise without a word.
The bytes themselves tell the three apart.
"""

from __future__ import annotations

from typing import Any

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext
from numpy.typing import NDArray

__all__ = ["as_integers"]

CONFUSED = "pcm_f24le"
Packets = list["av.Packet[Any]"]


def as_integers(
    context: AudioCodecContext, packets: list[av.Packet[Any]]
) -> tuple[AudioCodecContext, list[av.Packet[Any]]]:
    """A decoder and packets that mean what the file means; what was given, for every other codec."""
    if context.name != CONFUSED or not packets:
        return context, packets
    values = [np.frombuffer(bytes(packet), "<i4", packet.size // 4) for packet in packets]
    shift = _shift(np.concatenate(values))
    if shift is None:
        return context, packets
    integers = AudioCodecContext.create("pcm_s32le", "r")
    integers.layout, integers.sample_rate, integers.thread_count = context.layout, context.sample_rate, 1
    return integers, [_like(packet, value << shift) for packet, value in zip(packets, values, strict=True)]


def _shift(values: NDArray[Any]) -> int | None:
    """Bits to shift up, or None for floats of a magnitude between 1 and 2^23 (or zero)."""
    at_high_end = not np.any(values & 0xFF)
    if not at_high_end and np.all(np.isin(values >> 24, (0, -1))):
        return 8
    magnitude = np.abs(values.view("<f4"))
    floats = np.all((magnitude == 0) | ((magnitude >= 2.0**-8) & (magnitude <= 2.0**24)))
    return 0 if at_high_end and not floats else None


def _like(packet: av.Packet[Any], values: NDArray[Any]) -> av.Packet[Any]:
    made = av.Packet(values.astype("<i4").tobytes())
    made.pts, made.time_base = packet.pts, packet.time_base
    return made
