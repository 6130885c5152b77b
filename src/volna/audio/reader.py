"""Seeking and demuxing: the packets of a window, with timestamps that can be trusted.

Most containers have an index or can be bisected, and libav seeks in them exactly. Streams of bare frames have neither:

* MPEG audio at a constant bit rate: byte and time are proportional, so one byte seek lands on the right frame, and
  frames are numbered by their position. No scan, and nothing depends on the tags around the audio.
* MPEG audio at a variable bit rate and AAC, longer than ``SCAN_BYTES``: a byte seek by proportion. Where a window lies
  is then approximate, but always the same.
* all others: libav walks over the frames, about 0.5 us each, and seeks exactly.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import av
import av.error
from av.audio.codeccontext import AudioCodecContext
from av.audio.stream import AudioStream

from volna.audio.coded import CodedWindow
from volna.audio.mpeg import MpegLayout, mpeg_layout, trailing_tags
from volna.audio.source import StrPath, fail, open_container, open_regular

__all__ = ["Reader"]

PREROLL_S = 0.25  # decoded before a window and dropped: lossy decoders need it to settle
MPEG_PREROLL_FRAMES = 12  # the bit reservoir reaches back 511 bytes: ten small frames
SBR_PREROLL_S = 1.0  # HE-AAC repeats the header of its upper band about twice a second
DELAY_S = 0.1  # encoders put less than this before the first sample
WHOLE_SLACK_S = 5.0  # a whole file is read this far beyond its declared end
SCAN_BYTES = 24 << 20
MOST_BYTES = 384 << 20  # of packets held for one window: 30 s of anything real is less
LONGEST_S = 3.6e6  # 1000 hours
BROKEN_SHARE = 0.5  # a file that holds less of what it declares is broken: left to be found out when it is decoded
LEAST_BITS = 1.0  # a second: coded silence is about 10
# Bare streams, whose duration libav guesses from the size of the file and the bit rate of its first frames
BARE = frozenset({"mp3", "aac", "ac3", "eac3", "dts", "mlp", "truehd", "loas"})
# Streams that libav reads to the end of the file, tags and all
TAGGED = BARE | {"flac", "wv", "tta"}
MOST_STUMBLES = 32
GRID_BYTES = 2.5  # how far from its place a frame of a constant bit rate may end: the byte that some have more
MOST_ASTRAY = 16  # frames off their places in a window; more, and the bit rate is not constant
FAR = 1 << 60

Timed = Iterator[tuple[int, int, "av.Packet[Any]"]]  # timestamp, duration, packet


class Reader:
    """An open container, its first audio stream, and where time zero is.

    ``origin`` is the timestamp of the first sample, in units of ``time_base`` seconds; ``measured`` tells that
    ``duration_s`` was found by walking over the packets; ``audio_end`` is the first byte of the tags after the audio,
    where there may be some.
    """

    def __init__(self, path: StrPath) -> None:
        self.path = path
        self._file, self.size = open_regular(path)
        try:
            self._open()
            self._file.check()
            self.origin = self.stream.start_time or 0
            self._anchored = self.stream.start_time is not None
            self.preroll_s = self._preroll()
            self._layout = self._find_layout()
            self.audio_end = trailing_tags(self._file, self.size) if self.format in TAGGED else None
            self.measured = False
            self.duration_s = self._duration()
        except BaseException:
            self._file.close()
            raise

    def _open(self) -> None:
        self.container = open_container(self._file)
        self.format = self.container.format.name
        self.stream = self._first_audio()
        self.context: AudioCodecContext = self.stream.codec_context
        self.context.thread_count = 1
        if self.context.name == "flac":
            self.context.options = {"err_detect": "crccheck+explode"}  # a bad frame is an error, not noise
        if not self.stream.time_base:
            fail(self.path, "its audio stream has no clock")
        self.time_base = float(self.stream.time_base)
        self._expected: int | None = self.origin if hasattr(self, "origin") else self.stream.start_time or 0
        self._fresh = True

    def _first_audio(self) -> AudioStream:
        streams = self.container.streams.audio
        for stream in streams:
            if stream.codec_context is not None:
                return stream
        fail(self.path, "there is no decoder for its audio" if streams else "there is no audio in this file")

    def _find_layout(self) -> MpegLayout | None:
        if self.format not in ("mp3", "aac"):
            return None
        return mpeg_layout(self._file, self.size, self.format, SCAN_BYTES)

    def _preroll(self) -> float:
        if self.format == "mp3":
            return max(PREROLL_S, MPEG_PREROLL_FRAMES * 1152 / max(8000, self.stream.sample_rate or 0))
        if self.context.name.startswith("aac") and "HE" in str(self.context.profile or ""):
            return SBR_PREROLL_S
        return PREROLL_S

    @property
    def hash_zero(self) -> int:
        """The timestamp that counts as zero in the hash.

        The encoder's delay moves ``origin`` by some milliseconds when a file is remuxed, and the hash does not follow.
        """
        return self.origin if abs(self.origin) * self.time_base > DELAY_S else 0

    def close(self) -> None:
        """Close container and file; twice is harmless."""
        self.container.close()
        self._file.close()

    # -- duration ------------------------------------------------------------------------------------------------

    def _duration(self) -> float:
        declared = self._declared()
        layout = self._layout
        with_header = layout is not None and layout.has_header
        if layout is not None and layout.n_frames is not None and (layout.constant or not with_header):
            counted = layout.n_frames * layout.frame_s
            # A header's count leaves the encoder's padding out; of a file that was cut, the frames are the truth.
            agree = 0 <= counted - declared < 2 * DELAY_S or counted < BROKEN_SHARE * declared
            return declared if with_header and agree and self._plausible(declared) else counted
        if (with_header or self.format not in BARE) and self._plausible(declared):
            return declared
        measured = self.measure_end()
        if measured <= 0:
            fail(self.path, "no audio was found in it")
        self.measured = True
        return measured

    def _declared(self) -> float:
        if self.stream.duration:
            return self.stream.duration * self.time_base
        return (self.container.duration or 0) / 1e6

    def _plausible(self, duration_s: float) -> bool:
        return 0 < duration_s < LONGEST_S and duration_s * LEAST_BITS <= 8 * self.size

    def measure_end(self) -> float:
        """The end of the last packet in seconds, found by walking over the packets without decoding them."""
        if self.format in BARE:
            self._walk_in_c()
        else:
            self._restart()
        end = self.origin
        for timestamp, duration, _ in self._timed():
            end = max(end, timestamp + duration)
        return (end - self.origin) * self.time_base

    def _walk_in_c(self) -> None:
        """Make libav index the whole stream by seeking beyond its end, and stand at the last packet it found."""
        self._restart()  # the index of a container that was sought in by bytes is wrong
        self._fresh = False
        with contextlib.suppress(av.error.FFmpegError):  # there is nothing there
            self.container.seek(FAR, stream=self.stream)
        entries = self.stream.index_entries
        if len(entries) > 1:
            self._seek(entries[-1].timestamp)
        else:
            self._restart()

    def packets(self) -> Iterator[av.Packet[Any]]:
        """Every packet from the start of the file on, in order."""
        self._restart()
        return (packet for _, _, packet in self._timed())

    # -- packets -------------------------------------------------------------------------------------------------

    def read(self, window: CodedWindow) -> CodedWindow:
        """Fill a window with its packets and those of the preroll."""
        begin_s, end_s = window.start_s - self.preroll_s, window.start_s + window.duration_s
        if window.whole:
            begin_s, end_s = -math.inf, end_s + WHOLE_SLACK_S
        if begin_s > 0:
            if self._by_bytes() and self._read_by_bytes(window, begin_s, end_s):
                return window
            with contextlib.suppress(av.error.FFmpegError):  # cannot seek: read from the start
                self._seek(self.origin + math.floor(begin_s / self.time_base))
                if self._collect(window, self._timed(), begin_s, end_s):
                    return window
        self._restart()
        self._collect(window, self._timed(), begin_s, end_s)
        return window

    def _seek(self, timestamp: int) -> None:
        self._fresh, self._expected = False, None
        self.container.seek(timestamp, stream=self.stream)
        if self.format in BARE:  # some of these forget the time when they seek; their index knows
            entries = self.stream.index_entries
            at = entries.search_timestamp(timestamp)
            self._expected = entries[at].timestamp if at >= 0 else None

    def _restart(self) -> None:
        """Begin again at the start of the file, with a new container: some demuxers cannot seek at all."""
        if not self._fresh:
            self.container.close()
            self._open()

    def _packets(self) -> Iterator[av.Packet[Any]]:
        """What libav reads from here on, but for tags at the end of the file.

        Where it stumbles over something that is not audio, it is told to go on.
        """
        end, n_stumbles = self.audio_end or FAR, 0
        while n_stumbles < MOST_STUMBLES:
            try:
                for packet in self.container.demux(self.stream):
                    if packet.size and (packet.pos is None or packet.pos < end):
                        yield packet
                self._file.check()
                return
            except av.error.InvalidDataError:
                n_stumbles += 1

    def _timed(self) -> Timed:
        """The packets from here on; those before the first timestamp are dropped."""
        anchored, self._fresh = self._anchored or not self._fresh, False
        for packet in self._packets():
            timestamp = packet.pts if packet.pts is not None else packet.dts
            if timestamp is None:
                timestamp = self._expected
            if timestamp is None:
                continue
            if not anchored:  # a stream cut out of a longer one, as FLAC without a header
                self.origin, self._anchored = (timestamp if abs(timestamp) * self.time_base > DELAY_S else 0), True
                anchored = True
            packet.pts = timestamp
            self._expected = timestamp + (packet.duration or 0)
            yield timestamp, packet.duration or 0, packet

    def _collect(self, window: CodedWindow, packets: Timed, begin_s: float, end_s: float) -> bool:
        """Put the packets between two times into the window; False when they begin too late: a bad seek."""
        low = begin_s / self.time_base
        high = end_s / self.time_base
        window.packets, window.n_bytes, window.ended = [], 0, True
        end = 0
        for timestamp, duration, packet in packets:
            begin = timestamp - self.origin
            if begin >= high:
                window.ended = False
                break
            end = begin + duration
            if end > low or begin >= low:
                self._keep(window, packet)
        window.end_s = end * self.time_base
        if not window.packets:
            return False
        first_s = (int(window.packets[0].pts or 0) - self.origin) * self.time_base
        return window.whole or first_s < window.start_s + 0.1 * window.duration_s

    def _keep(self, window: CodedWindow, packet: av.Packet[Any]) -> None:
        window.packets.append(packet)
        window.n_bytes += packet.size
        if window.n_bytes > MOST_BYTES:
            fail(self.path, f"more than {MOST_BYTES >> 20} MB of coded audio in {window.duration_s:.0f} s")

    # -- MPEG audio, by position ---------------------------------------------------------------------------------

    def _by_bytes(self) -> bool:
        layout = self._layout
        return layout is not None and layout.frame_bytes is not None

    def _read_by_bytes(self, window: CodedWindow, begin_s: float, end_s: float) -> bool:
        layout = self._layout
        assert layout is not None
        # Frame lengths that change: by share of the whole, so that errors do not add up.
        n_frames = (self.duration_s + self.origin * self.time_base) / layout.frame_s
        length = (
            layout.frame_bytes if layout.constant and layout.frame_bytes else (layout.end - layout.first) / n_frames
        )
        # The parser may need some frames to get in step.
        index = max(0, math.floor((begin_s + self.origin * self.time_base) / layout.frame_s) - 3)
        self._fresh, self._expected = False, None
        self.container.seek(round(layout.first + index * length), stream=self.stream, unsupported_byte_offset=True)
        self._n_astray = 0
        found = self._collect(window, self._numbered(layout, length), begin_s, end_s)
        if self._n_astray > MOST_ASTRAY:
            self._mistaken(layout)
            return False
        return found

    def _numbered(self, layout: MpegLayout, length: float) -> Timed:
        """Packets numbered by the position of their ends: a seek falls into a frame, and its rest comes first.

        At a constant bit rate every frame ends where its number says, within the byte that is added to some.
        """
        ticks = round(layout.frame_s / self.time_base)
        index: int | None = None
        for packet in self._packets():
            end = int(packet.pos or 0) + packet.size - layout.first
            by_position = round(end / length)
            if layout.constant and abs(end - by_position * length) > GRID_BYTES:
                self._n_astray += 1
                if self._n_astray > MOST_ASTRAY:
                    return
                continue
            index = by_position - 1 if layout.constant or index is None else index + 1
            packet.pts = index * ticks
            yield index * ticks, ticks, packet

    def _mistaken(self, layout: MpegLayout) -> None:
        """The bit rate changes after all: forget what was concluded from it; ``duration_s`` may be another now."""
        self._layout = replace(layout, frame_bytes=None, constant=False)
        self._restart()
        self.duration_s = self._duration()
