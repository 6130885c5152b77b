"""The coded audio of a few windows of a file: its packets, and a hash that names the recording.

Times are in seconds from the start of the track: what encoders put before the first sample is dropped, as players do.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import av

__all__ = ["CodedWindow", "CodedWindows", "audio_hash"]

HASH_BYTES = 16
# The hash covers whole seconds strictly inside a window, counted from this phase: when a re-tagged copy declares a
# duration some milliseconds longer, the windows move by as much and still cover the same packets. The phase keeps the
# edges away from where round durations put the windows (0, .25, .5, .75 s).
PHASE_S = 0.37


@dataclass
class CodedWindow:
    """The packets of one window, the preroll's among them, in order."""

    start_s: float
    duration_s: float
    whole: bool = False  # the window is the whole file: nothing is cut off, whatever the header says
    packets: list[av.Packet[Any]] = field(default_factory=list)
    n_bytes: int = 0
    end_s: float = 0.0  # end of the last packet
    ended: bool = False  # the file ended before the window did

    @property
    def longer(self) -> bool:
        """The whole file was asked for, and there is much more of it than it declares."""
        return self.whole and not self.ended

    @property
    def missing_s(self) -> float:
        """How much of the window lies after the last packet of the file."""
        if not self.ended:
            return 0.0
        return min(self.duration_s, max(0.0, self.start_s + self.duration_s - max(self.end_s, self.start_s)))

    def hashed_span(self) -> tuple[float, float]:
        """The part of the window that the hash covers: whole seconds, and everything of a whole file."""
        if self.whole:
            return -math.inf, math.inf
        begin, end = self.start_s, self.start_s + self.duration_s
        low, high = math.ceil(begin - PHASE_S) + PHASE_S, math.floor(end - PHASE_S) + PHASE_S
        return (low, high) if high > low else (begin, end)


@dataclass(frozen=True)
class CodedWindows:
    """What ``AudioFile.read`` returns: the windows, and the hash of their packets (32 hexadecimal digits)."""

    windows: tuple[CodedWindow, ...]
    audio_hash: str

    @property
    def n_bytes(self) -> int:
        return sum(window.n_bytes for window in self.windows)


def audio_hash(
    codec: str,
    duration_s: float,
    windows: Iterable[CodedWindow],
    time_base: float,
    zero: int,
    end: int | None = None,
) -> str:
    """BLAKE2b over the codec, the duration and the packets of the windows: no tags, no pictures, no name.

    ``zero`` is the timestamp that counts as time zero here, in units of ``time_base`` seconds; ``end`` the byte at
    which the audio of the file ends, where a last packet may run into the tags behind it.
    The duration is rounded to seconds (half-way between the phases above); for a whole file its packets tell it better.
    """
    windows = list(windows)
    whole = any(window.whole for window in windows)
    digest = hashlib.blake2b(digest_size=HASH_BYTES)
    digest.update(f"{codec} {'whole' if whole else math.floor(duration_s + 1.0 - PHASE_S)}".encode())
    for window in windows:
        first_s, last_s = window.hashed_span()
        low, high = first_s / time_base + zero, last_s / time_base + zero
        digest.update(b"|")
        for packet in window.packets:
            if packet.pts is not None and low <= packet.pts < high:
                digest.update(packet if end is None or packet.pos is None else memoryview(packet)[: end - packet.pos])
    return digest.hexdigest()
