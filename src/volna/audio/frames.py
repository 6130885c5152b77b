"""Coded packets become checked float32 mono samples.

Every frame that libav returns is taken on its own: a stream may change its rate, its channels or its sample format at
any frame. Frames of one kind are gathered in a run, one array, and mixed down and resampled together.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import av
import av.error
import numpy as np
from av.audio.codeccontext import AudioCodecContext
from numpy.typing import NDArray

from volna.audio.odd24 import as_integers
from volna.audio.signal import Samples, peak, resample, to_mono

__all__ = ["LOWEST_HZ", "Decoded", "Run", "decode_packet", "decode_packets"]

# libav sample format -> numpy type, value of silence, value of full scale; planar formats end in "p"
FORMATS: dict[str, tuple[type[np.generic], float, float]] = {
    "u8": (np.uint8, 128.0, 2.0**7),
    "s16": (np.int16, 0.0, 2.0**15),
    "s32": (np.int32, 0.0, 2.0**31),  # 20 and 24 bits come shifted up
    "s64": (np.int64, 0.0, 2.0**63),
    "flt": (np.float32, 0.0, 1.0),
    "dbl": (np.float64, 0.0, 1.0),
}
LOWEST_HZ, HIGHEST_HZ = 500, 12_288_000  # outside of these, soxr has nothing sensible to do and the header is wrong


@dataclass
class Run:
    """Consecutive frames of one rate, layout and format, in one growing array of the decoder's own type."""

    kind: tuple[int, int, str]  # sample rate in Hz, channels, libav format
    store: NDArray[Any]  # (n_channels, capacity) if planar, else (1, capacity * n_channels)
    n: int = 0  # samples a channel

    @classmethod
    def like(cls, frame: av.AudioFrame, capacity: int) -> Run:
        name = frame.format.name
        n_channels = frame.layout.nb_channels
        planar = name.endswith("p")
        dtype = FORMATS[name.removesuffix("p")][0]
        shape = (n_channels, capacity) if planar else (1, capacity * n_channels)
        return cls((frame.sample_rate, n_channels, name), np.empty(shape, dtype))

    def add(self, frame: av.AudioFrame) -> None:
        n, width = frame.samples, 1 if len(self.store) == self.kind[1] else self.kind[1]
        begin, end = self.n * width, (self.n + n) * width
        if end > self.store.shape[1]:
            grown = np.empty((len(self.store), 2 * end), self.store.dtype)
            grown[:, :begin] = self.store[:, :begin]
            self.store = grown
        for row, plane in zip(self.store, frame.planes, strict=False):
            row[begin:end] = np.frombuffer(plane, self.store.dtype, n * width)  # type: ignore[call-overload]
        self.n += n

    def mono(self, begin: int, end: int) -> Samples:
        """Samples ``begin`` to ``end`` of the mix, scaled to [-1, 1]."""
        with np.errstate(over="ignore", invalid="ignore"):  # damaged floats: the peak tells
            return to_mono(self.channels(begin, end))

    def channels(self, begin: int, end: int) -> Samples:
        """Samples ``begin`` to ``end`` of every channel, scaled to [-1, 1]: float32 ``(n_channels, n)``."""
        _, n_channels, name = self.kind
        packed = not name.endswith("p")
        channels = self.store[0, : self.n * n_channels].reshape(-1, n_channels).T if packed else self.store[:, : self.n]
        _, zero, full = FORMATS[name.removesuffix("p")]
        with np.errstate(over="ignore", invalid="ignore"):  # damaged floats: the peak tells
            x = channels[:, begin:end].astype(np.float32, copy=False)
            if full != 1.0:
                x -= np.float32(zero)
                x *= np.float32(1.0 / full)
            return x


@dataclass
class Decoded:
    """What came out of the packets of one window, before it is judged.

    ``first_s`` is the time of the first sample, in seconds from the start of the track;
    ``failure`` is libav's last word.
    """

    runs: list[Run] = field(default_factory=list)
    first_s: float | None = None
    n_holes: int = 0  # packets that failed, with good ones after them
    n_trailing: int = 0  # packets that failed at the end
    failure: str = ""

    def samples(self, start_s: float, duration_s: float, sample_rate: int) -> tuple[Samples, float, float]:
        """The window as mono samples at ``sample_rate``, its true length in seconds, and its peak.

        A window that starts at minus infinity, and lasts for ever, is everything that was decoded.
        """
        skip_s = max(0.0, start_s - (start_s if self.first_s is None else self.first_s)) if start_s > -np.inf else 0.0
        left_s, parts, got_s, loudest = duration_s, [], 0.0, 0.0
        for run in self.runs:
            rate = run.kind[0]
            begin = round(min(run.n, skip_s * rate))
            end = round(min(run.n, begin + left_s * rate))
            skip_s, left_s = skip_s - begin / rate, left_s - (end - begin) / rate
            if end > begin:
                mono = run.mono(begin, end)
                loudest = max(loudest, (p if np.isfinite(p := peak(mono)) else np.inf))
                parts.append(_resampled(mono, rate, sample_rate) if np.isfinite(loudest) else mono)
                got_s += (end - begin) / rate
        joined = np.concatenate(parts) if len(parts) > 1 else parts[0] if parts else np.zeros(0, np.float32)
        return joined, got_s, loudest


def _resampled(mono: Samples, rate: int, sample_rate: int) -> Samples:
    """At the rate asked; one sample where there are too few for any."""
    samples = resample(mono, rate, sample_rate)
    return samples if samples.size else mono[:1]


def decode_packets(
    context: AudioCodecContext, packets: list[av.Packet[Any]], time_base: float, origin: int, length_s: float
) -> Decoded:
    """Decode the packets of one window, in order, skipping those that fail.

    ``origin`` is the timestamp of the start of the track, in units of ``time_base`` seconds; ``length_s`` is about how
    much sound to expect, which only sizes the first array.
    """
    context.flush_buffers()
    context, packets = as_integers(context, packets)
    out = Decoded()
    for packet in [*packets, None]:
        try:
            context, frames = decode_packet(context, packet)
        except av.error.EOFError:
            break
        except av.error.FFmpegError as error:
            out.n_trailing += packet is not None
            out.failure = (error.strerror or str(error)).lower()
            continue
        if frames:
            out.n_holes, out.n_trailing = out.n_holes + out.n_trailing, 0
        for frame in frames:
            _take(out, frame, packet.pts if packet else None, (time_base, origin), length_s)
    return out


def decode_packet(
    context: AudioCodecContext, packet: av.Packet[Any] | None
) -> tuple[AudioCodecContext, list[av.AudioFrame]]:
    """Decode a packet; a FLAC frame that contradicts the file's header, by itself.

    FLAC frames describe themselves, and the format lets bit depth or block size change. libav holds to the header of
    the file, so a decoder that never saw it takes over. A damaged frame still fails, by its checksum.
    """
    try:
        return context, context.decode(packet)
    except av.error.InvalidDataError:
        if packet is None or context.name != "flac":
            raise
    fresh = AudioCodecContext.create("flac", "r")
    fresh.thread_count, fresh.options = 1, context.options
    return fresh, fresh.decode(packet)


def _take(
    out: Decoded, frame: av.AudioFrame, packet_pts: int | None, clock: tuple[float, int], length_s: float
) -> None:
    rate = frame.sample_rate
    kind = (rate, frame.layout.nb_channels, frame.format.name)
    if not LOWEST_HZ <= rate <= HIGHEST_HZ:
        raise ValueError(f"a sample rate of {rate} Hz")
    if out.first_s is None:
        time_base, origin = clock
        pts = frame.pts if frame.pts is not None else packet_pts
        out.first_s = 0.0 if pts is None else (pts - origin) * time_base
    if not out.runs or out.runs[-1].kind != kind:
        capacity = frame.samples + (int(length_s * rate) if not out.runs else frame.samples)
        out.runs.append(Run.like(frame, capacity))
    out.runs[-1].add(frame)
