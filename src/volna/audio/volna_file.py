"""The ``.volna`` container: a header, then blocks that stand alone, each with its own check sum.

::

    header                block 0          block 1                  block n
    magic ... CRC32 | sync index length CRC32 payload | sync ... | sync ...

Numbers are little-endian. `docs/codec.md` gives the format to the byte. Nothing here knows what a payload means beyond
its head (how many latents, what each channel is), and nothing is believed before its CRC has been checked; what is
damaged is passed over to the next block that is whole.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import BinaryIO, NamedTuple

from volna.errors import AudioError, InputError

__all__ = [
    "CODED",
    "MAGIC",
    "MOST_CHANNELS",
    "SAME",
    "SILENT",
    "Block",
    "Header",
    "Payload",
    "Writer",
    "pack_header",
    "pack_payload",
    "read_blocks",
    "read_header",
    "unpack_payload",
]

MAGIC = b"\x89VOLNA\r\n"  # as PNG's: the first byte is no text, and a change of line ends shows
VERSION = 1
SYNC = b"\xf5\x56"
MOST_CHANNELS = 8
MOST_HZ = 1_000_000  # a rate that only a forged header has would make the sound as large as it likes
MOST_PAYLOAD = (1 << 16) - 1
# Blocks in a row that are taken for lost, about an hour, when a later one is whole; beyond, the file ends here.
MOST_LOST = 720
MOST_TRIED = 10_000  # places that look like a block and are none: a file with more is not searched on

CODED, SAME, SILENT = 0, 1, 2  # what a channel of a block is: coded, equal to the first one, nothing but zeros

_HEADER = struct.Struct("<8sBBBBIQI8sHI")  # 42 bytes, then the name and the CRC32
_BLOCK = struct.Struct("<2sIHI")  # 12 bytes: sync, index, length of the payload, CRC32 of index, length and payload
_CRC = struct.Struct("<I")
_N_LATENTS = struct.Struct("<H")
_UNKNOWN = (1 << 64) - 1, (1 << 32) - 1


@dataclass(frozen=True)
class Header:
    """What a file says of itself.

    Attributes
    ----------
    sample_rate, n_channels, n_samples : of the sound that was encoded; ``n_samples`` per channel, None in a file that
        was never finished.
    n_blocks : None likewise.
    model_id : 16 hexadecimal digits, the start of the SHA-256 of the model file.
    model_name : what the model was called, for people; at most 255 bytes of UTF-8.
    setting : which of the model's rates.
    bit_rate : bits a second and channel that this setting was chosen for.
    n_latents : latents in a block; the last one may have fewer.
    """

    sample_rate: int
    n_channels: int
    n_samples: int | None
    n_blocks: int | None
    model_id: str
    model_name: str
    setting: int
    bit_rate: int
    n_latents: int


class Block(NamedTuple):
    """``payload`` is None where the block is lost or damaged."""

    number: int
    payload: bytes | None


class Payload(NamedTuple):
    """``kinds``: `CODED`, `SAME` or `SILENT` for each channel; ``data``: the range coder's words."""

    n_latents: int
    kinds: tuple[int, ...]
    data: bytes


def pack_header(header: Header) -> bytes:
    """The header as bytes, its CRC32 at the end.

    Raises
    ------
    InputError
        A number is out of its range.

    Examples
    --------
    >>> len(pack_header(Header(16000, 1, None, None, "00" * 8, "default", 0, 1500, 80)))
    53
    """
    name = header.model_name.encode("utf-8")[:255].decode("utf-8", "ignore").encode("utf-8")
    n_samples, n_blocks = (
        unknown if value is None else value
        for value, unknown in zip((header.n_samples, header.n_blocks), _UNKNOWN, strict=True)
    )
    if not 1 <= header.n_channels <= MOST_CHANNELS:
        raise InputError(f"expected 1 to {MOST_CHANNELS} channels, got {header.n_channels}")
    if not 1 <= header.sample_rate <= MOST_HZ:
        raise InputError(f"expected a sample rate of up to {MOST_HZ} Hz, got {header.sample_rate}")
    try:
        packed = _HEADER.pack(
            MAGIC, VERSION, header.setting, header.n_channels, len(name), header.sample_rate, n_samples, n_blocks,
            bytes.fromhex(header.model_id), header.n_latents, header.bit_rate,
        )  # fmt: skip
    except (struct.error, ValueError) as error:
        raise InputError(f"the header of a .volna file cannot hold {header}: {error}") from error
    return packed + name + _CRC.pack(zlib.crc32(packed + name))


def read_header(file: BinaryIO, name: str = "this file") -> Header:
    """Read the header; the file then stands at its first block.

    Raises
    ------
    AudioError
        No such file, of a later version, or the header is damaged.
    """
    start = file.read(_HEADER.size)
    if start[: len(MAGIC)] != MAGIC:
        got = "an empty file" if not start else "something else"
        raise AudioError(f"{name}: expected a .volna file (volna encode makes them), got {got}")
    if len(start) > len(MAGIC) and start[len(MAGIC)] > VERSION:
        raise AudioError(f"{name}: was written by a later Volna (version {start[len(MAGIC)]}); update Volna")
    damaged = AudioError(f"{name}: its header is damaged, so nothing of it can be decoded")
    if len(start) < _HEADER.size:
        raise damaged
    fields = _HEADER.unpack(start)
    _, _, setting, n_channels, n_name, sample_rate, n_samples, n_blocks, model_id, n_latents, bit_rate = fields
    rest = file.read(n_name + _CRC.size)
    crc = zlib.crc32(start + rest[:n_name])
    sound = len(rest) == n_name + _CRC.size and _CRC.unpack(rest[n_name:])[0] == crc
    if not sound or not 1 <= n_channels <= MOST_CHANNELS or not 1 <= sample_rate <= MOST_HZ or not n_latents:
        raise damaged
    return Header(
        sample_rate,
        n_channels,
        None if n_samples == _UNKNOWN[0] else n_samples,
        None if n_blocks == _UNKNOWN[1] else n_blocks,
        model_id.hex(),
        rest[:n_name].decode("utf-8", "replace"),
        setting,
        bit_rate,
        n_latents,
    )


class Writer:
    """Writes blocks one after another, and at the end the header again, with the length that is known by then.

    Examples
    --------
    >>> import io
    >>> file = io.BytesIO()
    >>> writer = Writer(file, Header(16000, 1, None, None, "00" * 8, "default", 0, 1500, 80))
    >>> writer.block(pack_payload(Payload(1, (CODED,), b"....")))
    >>> writer.close(16000)
    >>> _ = file.seek(0)
    >>> read_header(file).n_samples, [block.number for block in read_blocks(file)]
    (16000, [0])
    """

    def __init__(self, file: BinaryIO, header: Header) -> None:
        self.file, self.header = file, header
        self.n_blocks = 0
        file.write(pack_header(header))

    def block(self, payload: bytes) -> None:
        """Append a block.

        Raises
        ------
        InputError
            The payload is longer than a block can be.
        """
        if len(payload) > MOST_PAYLOAD:
            raise InputError(f"expected at most {MOST_PAYLOAD} bytes a block, got {len(payload)}: choose a lower rate")
        crc = _block_crc(self.n_blocks, payload)
        self.file.write(_BLOCK.pack(SYNC, self.n_blocks, len(payload), crc) + payload)
        self.n_blocks += 1

    def close(self, n_samples: int) -> None:
        """Put the length in the header; the file itself stays open."""
        self.file.seek(0)
        self.file.write(pack_header(replace(self.header, n_samples=n_samples, n_blocks=self.n_blocks)))
        self.file.seek(0, 2)


def _block_crc(index: int, payload: bytes) -> int:
    return zlib.crc32(payload, zlib.crc32(struct.pack("<IH", index, len(payload))))


def read_blocks(file: BinaryIO) -> Iterator[Block]:
    """The blocks from where the file stands, in order; those that are lost before a whole one come with None.

    Damage at the end gives nothing: whoever knows how many blocks there should be sees that some are missing.
    """
    at, expected = file.tell(), 0
    while (found := _next_block(file, at, expected)) is not None:
        at, block = found
        for lost in range(expected, block.number):
            yield Block(lost, None)
        yield block
        expected = block.number + 1


def _next_block(file: BinaryIO, at: int, expected: int) -> tuple[int, Block] | None:
    """The first whole block at or after a place, and where it ends."""
    for place in _places(file, at):
        file.seek(place)
        head = file.read(_BLOCK.size)
        if len(head) < _BLOCK.size:
            return None
        _, index, length, crc = _BLOCK.unpack(head)
        if not expected <= index <= expected + MOST_LOST:
            continue
        payload = file.read(length)
        if len(payload) == length and _block_crc(index, payload) == crc:
            return place + _BLOCK.size + length, Block(index, payload)
    return None


def _places(file: BinaryIO, at: int) -> Iterator[int]:
    """Where the two bytes of `SYNC` stand, from a place on, but not without end."""
    n_tried, size = 0, 1 << 12
    while n_tried < MOST_TRIED:
        file.seek(at)
        piece = file.read(size)
        found = piece.find(SYNC)
        while found >= 0 and n_tried < MOST_TRIED:
            n_tried += 1
            yield at + found
            found = piece.find(SYNC, found + 1)
        if len(piece) < size:
            return
        at += size - 1  # the two bytes may lie across the cut


def pack_payload(payload: Payload) -> bytes:
    """A payload as bytes: uint16 number of latents, a byte for each channel, the range coder's words.

    Examples
    --------
    >>> pack_payload(Payload(2, (CODED, SAME), b"abcd"))
    b'\\x02\\x00\\x00\\x01abcd'
    """
    return _N_LATENTS.pack(payload.n_latents) + bytes(payload.kinds) + payload.data


def unpack_payload(data: bytes, header: Header) -> Payload:
    """What `pack_payload` was given.

    Raises
    ------
    AudioError
        It contradicts the header or itself.
    """
    begin = _N_LATENTS.size + header.n_channels
    if len(data) < begin:
        raise AudioError(f"expected a block of at least {begin} bytes, got {len(data)}")
    (n_latents,), kinds = _N_LATENTS.unpack(data[: _N_LATENTS.size]), tuple(data[_N_LATENTS.size : begin])
    if not 1 <= n_latents <= header.n_latents or max(kinds) > SILENT or kinds[0] == SAME:
        raise AudioError("a block contradicts the header: damaged")
    return Payload(n_latents, kinds, data[begin:])
