"""Where the audio of a file of bare frames lies (MP3, MP2, AAC in ADTS), read from the bytes themselves.

Such a file usually has tags stuck on both ends. libav guesses its duration from the file's size when no Xing header
tells it, so the guess moves with every tag that is added. Here the tags are cut off first, and a constant bit rate is
recognised: then byte and time are proportional, and any window is reached by one seek. The mean length of the frames of
a long file is taken from samples of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

__all__ = ["MpegLayout", "mpeg_layout", "trailing_tags"]

LOOK = 8192  # bytes read to find a frame
LONGEST = 2881  # bytes of an MPEG frame; ADTS allows 8191, but 3 kB is far above what anybody encodes
HEADER = 7  # bytes that a parser needs
ADTS_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)
N_PROBES = 12  # places where the bit rate is looked at
N_PROBED = 8  # frames at each
N_SPOTS = 96  # places where the frames of a long file are measured, 8 KiB each
GOLDEN = 0.6180339887498949  # spreads places evenly, and in step with nothing
SAMPLE_RATES = (44100, 48000, 32000)  # MPEG 1; halved for MPEG 2, halved again for MPEG 2.5
KBIT_1 = {
    1: (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    2: (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    3: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
}
KBIT_2 = {
    1: (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    2: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    3: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}


@dataclass(frozen=True)
class Frame:
    """One frame header: what is equal in all frames of a stream, and what may change."""

    kind: tuple[int, int, int]  # version, layer, sample rate in Hz
    samples: int
    bit_rate: int
    length: int  # bytes, padding included


@dataclass(frozen=True)
class MpegLayout:
    """The audio of the file: bytes ``[first, end)``, frames of ``n_samples`` at ``sample_rate`` Hz.

    ``constant`` tells that the bit rate does not change, ``frame_bytes`` is then the exact mean length of a frame; else
    an estimate, or None in files shorter than asked. ``has_header`` tells that a Xing, Info or VBRI header gives the
    number of frames.
    """

    first: int
    end: int
    n_samples: int
    sample_rate: int
    frame_bytes: float | None
    constant: bool
    has_header: bool

    @property
    def n_frames(self) -> int | None:
        """Number of frames: exact at a constant bit rate, else an estimate, or None."""
        return None if self.frame_bytes is None else round((self.end - self.first) / self.frame_bytes)

    @property
    def frame_s(self) -> float:
        return self.n_samples / self.sample_rate


def mpeg_layout(file: BinaryIO, size: int, container: str, long_bytes: int) -> MpegLayout | None:
    """Find the audio of an open file of ``size`` bytes; None when it does not look like one of these.

    ``container`` is libav's ``mp3`` or ``aac``. Frames of a changing length are measured in files above ``long_bytes``.
    """
    parse = _parse if container == "mp3" else _parse_adts
    start = _skip_leading_tags(file, size)
    end = trailing_tags(file, size, start)
    found = _find_frame(file, start, end, parse)
    if found is None:
        return None
    first, frame, block = found
    mark = next((m for m in (b"Xing", b"Info", b"VBRI") if m in block[4 : min(frame.length, 200)]), b"")
    if mark:
        first += frame.length
        found = _find_frame(file, first, end, parse)
        if found is None:
            return None
        first, frame, block = found
    sample_rate = frame.kind[2]
    constant = frame.bit_rate > 0 and mark not in (b"Xing", b"VBRI") and _is_constant(file, first, end, frame)
    if constant:
        mean: float | None = frame.samples * frame.bit_rate / 8 / sample_rate
    else:
        mean = _mean_length(file, first, end, frame, parse) if end - first > long_bytes else None
    return MpegLayout(first, end, frame.samples, sample_rate, mean, constant, bool(mark))


def _is_constant(file: BinaryIO, first: int, end: int, frame: Frame) -> bool:
    """Is the bit rate the same at several places of the file?"""
    for at in _places(first, end, N_PROBES):
        for i, other in enumerate(_frames_at(file, at, end, _parse)):
            if (other.kind, other.bit_rate) != (frame.kind, frame.bit_rate):
                return False
            if i == N_PROBED:
                break
    return True


def _mean_length(file: BinaryIO, first: int, end: int, frame: Frame, parse: Parser) -> float | None:
    """Mean bytes a frame, where bytes are sampled evenly: the harmonic mean over the places, which weighs time."""
    n_bytes = n_frames = 0.0
    for at in _places(first, end, N_SPOTS):
        lengths = [other.length for other in _frames_at(file, at, end, parse) if other.kind == frame.kind]
        if lengths:
            n_bytes += 1.0
            n_frames += len(lengths) / sum(lengths)
    return n_bytes / n_frames if n_frames else None


def _places(first: int, end: int, n: int) -> list[int]:
    return sorted(first + int((end - first) * (i * GOLDEN % 1.0)) for i in range(n))


def _frames_at(file: BinaryIO, start: int, end: int, parse: Parser) -> Iterator[Frame]:
    """The consecutive frames in the 8 KiB at a place."""
    found = _find_frame(file, start, end, parse)
    if found is None:
        return
    at, frame, block = 0, found[1], found[2]
    following: Frame | None = frame
    while following is not None:
        yield following
        at += following.length
        following = parse(block[at : at + HEADER])


def _find_frame(file: BinaryIO, start: int, end: int, parse: Parser) -> tuple[int, Frame, bytes] | None:
    """The first frame at or after ``start`` that is followed by another of its kind (or by the end)."""
    for _ in range(8):  # junk of up to 64 KiB
        block = _read_at(file, start, min(LOOK, end - start))
        at = block.find(b"\xff")
        while at >= 0:
            frame = parse(block[at : at + HEADER])
            if frame is not None and _followed(block, at, frame, parse, at_end=start + at + frame.length >= end):
                return start + at, frame, block[at:]
            at = block.find(b"\xff", at + 1)
        if len(block) < LOOK:
            return None
        start += LOOK - LONGEST  # overlap: a frame that began in this block and ended in the next
    return None


def _followed(block: bytes, at: int, frame: Frame, parse: Parser, *, at_end: bool) -> bool:
    if at_end:
        return True
    following = parse(block[at + frame.length : at + frame.length + HEADER])
    return following is not None and following.kind == frame.kind


def _parse(header: bytes) -> Frame | None:
    """Four bytes of an MPEG audio frame header (ISO 11172-3, section 2.4.1.3), or None."""
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE0 != 0xE0:
        return None
    version, layer = header[1] >> 3 & 3, 4 - (header[1] >> 1 & 3)  # version 3 = MPEG 1, 2 = MPEG 2, 0 = MPEG 2.5
    rate, index = header[2] >> 2 & 3, header[2] >> 4
    if version == 1 or layer == 4 or rate == 3 or index in (0, 15):  # 0 is "free format": left to libav
        return None
    sample_rate = SAMPLE_RATES[rate] >> {3: 0, 2: 1, 0: 2}[version]
    bit_rate = 1000 * (KBIT_1 if version == 3 else KBIT_2)[layer][index]
    samples = 384 if layer == 1 else 576 if layer == 3 and version != 3 else 1152
    padding = header[2] >> 1 & 1
    slot = 4 if layer == 1 else 1
    length = (samples // 8 * bit_rate // sample_rate // slot + padding) * slot
    return Frame((version, layer, sample_rate), samples, bit_rate, length)


def _parse_adts(header: bytes) -> Frame | None:
    """The header of an AAC frame in ADTS (ISO 14496-3, 1.A.2.2), or None. Its bit rate is not written there: 0."""
    if len(header) < HEADER or header[0] != 0xFF or header[1] & 0xF6 != 0xF0:
        return None
    rate = header[2] >> 2 & 15
    length = (header[3] & 3) << 11 | header[4] << 3 | header[5] >> 5
    if rate >= len(ADTS_RATES) or length < HEADER:
        return None
    return Frame((header[1] >> 3 & 1, header[2] >> 6, ADTS_RATES[rate]), 1024 * (1 + (header[6] & 3)), 0, length)


Parser = Callable[[bytes], Frame | None]


def _skip_leading_tags(file: BinaryIO, size: int) -> int:
    """End of the ID3v2 tags at the start (there may be several)."""
    at = 0
    while at < size:
        head = _read_at(file, at, 10)
        if len(head) < 10 or head[:3] != b"ID3":
            return at
        length = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]  # four bytes of seven bits each
        at += 10 + length + (10 if head[5] & 0x10 else 0)  # with a footer
    return size


def trailing_tags(file: BinaryIO, size: int, start: int = 0) -> int:
    """Start of the ID3v1, Lyrics3, APE and ID3v2 tags at the end (there may be several)."""
    end = size
    for _ in range(16):
        before = end
        tail = _read_at(file, max(start, end - 227), min(227, end - start))
        if tail[-128:-125] == b"TAG":
            end -= 227 if tail[:4] == b"TAG+" else 128
        elif tail[-32:-24] == b"APETAGEX":
            length = int.from_bytes(tail[-20:-16], "little")
            end -= length + (32 if tail[-9] & 0x80 else 0)  # with a header
        elif tail[-9:] == b"LYRICS200" and tail[-15:-9].isdigit():
            end -= int(tail[-15:-9]) + 15
        elif tail[-10:-7] == b"3DI":
            end -= 20 + (tail[-4] << 21 | tail[-3] << 14 | tail[-2] << 7 | tail[-1])
        if end == before or end <= start:
            return before if end <= start else end
    return end


def _read_at(file: BinaryIO, at: int, n: int) -> bytes:
    """Read without moving the file's position, which libav has in use."""
    before = file.tell()
    file.seek(at)
    data = file.read(max(0, n))
    file.seek(before)
    return data
