"""The container: its bytes, what it says of damage, and that no file can hurt."""

from __future__ import annotations

import io
import time
import zlib

import numpy as np
import pytest

from volna.audio import volna_file as container
from volna.audio.volna_file import CODED, SAME, SILENT, Block, Header, Payload, Writer
from volna.errors import AudioError, InputError

HEADER = Header(44_100, 2, None, None, "0123456789abcdef", "talks", 3, 1500, 80)


def written(n_blocks: int = 6, n_samples: int = 1_000_000, size: int = 50) -> bytes:
    file = io.BytesIO()
    writer = Writer(file, HEADER)
    for number in range(n_blocks):
        writer.block(container.pack_payload(Payload(80, (CODED, SILENT), bytes([number]) * size)))
    writer.close(n_samples)
    return file.getvalue()


def read(data: bytes) -> tuple[Header, list[Block]]:
    file = io.BytesIO(data)
    return container.read_header(file), list(container.read_blocks(file))


def test_a_header_comes_back_with_the_length_written_at_the_end() -> None:
    header, blocks = read(written())
    assert header == Header(44_100, 2, 1_000_000, 6, "0123456789abcdef", "talks", 3, 1500, 80)
    assert [block.number for block in blocks] == list(range(6))
    assert container.unpack_payload(blocks[4].payload, header) == Payload(80, (CODED, SILENT), b"\x04" * 50)


def test_the_format_is_the_documented_one_to_the_byte() -> None:
    data = written(1, 7, size=4)
    assert data[:8] == b"\x89VOLNA\r\n"
    assert data[8:12] == bytes([1, 3, 2, 5])  # version, setting, channels, length of the name
    assert data[12:16] == (44_100).to_bytes(4, "little")
    assert data[16:24] == (7).to_bytes(8, "little")
    assert data[24:28] == (1).to_bytes(4, "little")
    assert data[28:36] == bytes.fromhex("0123456789abcdef")
    assert data[36:38] == (80).to_bytes(2, "little")
    assert data[38:42] == (1500).to_bytes(4, "little")
    assert data[42:47] == b"talks"
    assert data[47:51] == zlib.crc32(data[:47]).to_bytes(4, "little")
    block = data[51:]
    assert block[:8] == b"\xf5\x56" + bytes(4) + (8).to_bytes(2, "little")
    assert block[8:12] == zlib.crc32(block[2:8] + block[12:]).to_bytes(4, "little")
    assert block[12:] == b"\x50\x00" + bytes([CODED, SILENT]) + bytes(4)


def test_a_file_that_was_never_finished_says_so() -> None:
    file = io.BytesIO()
    Writer(file, HEADER).block(container.pack_payload(Payload(1, (CODED, SAME), b"")))
    header, blocks = read(file.getvalue())
    assert (header.n_samples, header.n_blocks, len(blocks)) == (None, None, 1)


@pytest.mark.parametrize(("data", "words"), [(b"", "empty"), (b"RIFF" + bytes(60), "something else")])
def test_another_kind_of_file_is_told(data: bytes, words: str) -> None:
    with pytest.raises(AudioError, match=words):
        container.read_header(io.BytesIO(data))


def test_a_later_version_and_a_damaged_header_are_told() -> None:
    data = bytearray(written())
    data[8] = 2
    with pytest.raises(AudioError, match="later Volna"):
        container.read_header(io.BytesIO(data))
    for place in range(9, 51):
        data = bytearray(written())
        data[place] ^= 0x10
        with pytest.raises(AudioError, match="header is damaged"):
            container.read_header(io.BytesIO(data))


def test_damage_costs_one_block_and_the_rest_is_found_again() -> None:
    data = bytearray(written())
    data[51 + 66 * 2 + 30] ^= 1  # in the payload of block 2
    _, blocks = read(bytes(data))
    assert [(block.number, block.payload is None) for block in blocks] == [(k, k == 2) for k in range(6)]
    data = bytearray(written())
    data[51 + 66 * 2 + 6] ^= 0xFF  # its length
    _, blocks = read(bytes(data))
    assert [block.number for block in blocks if block.payload is None] == [2]


def test_missing_bytes_and_bytes_too_many_cost_what_they_hit() -> None:
    data = written()
    _, blocks = read(data[:200] + data[210:])
    assert [block.number for block in blocks if block.payload is None] == [2]
    _, blocks = read(data[:51] + b"\xf5\x56garbage" * 20 + data[51:])
    assert [block.payload is None for block in blocks] == [False] * 6


def test_a_file_cut_anywhere_gives_the_blocks_before_the_cut() -> None:
    data = written()
    for cut in range(51, len(data) + 1):
        _, blocks = read(data[:cut])
        assert [block.number for block in blocks] == list(range((cut - 51) // 66))


def test_flipped_bits_never_hurt() -> None:
    rng, data = np.random.default_rng(0), written(40)
    started = time.perf_counter()
    for _ in range(300):
        broken = bytearray(data)
        for place in rng.integers(0, len(data), int(rng.integers(1, 40))):
            broken[place] ^= int(rng.integers(1, 256))
        try:
            header, blocks = read(bytes(broken))
        except AudioError:
            continue
        assert len(blocks) <= 40
        for block in blocks:
            if block.payload is not None:
                container.unpack_payload(block.payload, header)
    assert time.perf_counter() - started < 10


def test_a_file_of_nothing_but_marks_ends_soon() -> None:
    started = time.perf_counter()
    _, blocks = read(written()[:51] + b"\xf5\x56" * 500_000)
    assert blocks == []
    assert time.perf_counter() - started < 5


def test_a_forged_number_of_a_block_makes_no_hours_of_silence() -> None:
    file = io.BytesIO()
    writer = Writer(file, HEADER)
    writer.block(b"a")
    writer.n_blocks = 1_000_000
    writer.block(b"b")
    writer.close(10)
    assert [block.number for block in read(file.getvalue())[1]] == [0]


def test_what_a_file_cannot_hold_is_refused() -> None:
    with pytest.raises(InputError, match="channels"):
        container.pack_header(Header(8000, 9, None, None, "00" * 8, "", 0, 1, 1))
    with pytest.raises(InputError, match="sample rate"):
        container.pack_header(Header(1 << 31, 1, None, None, "00" * 8, "", 0, 1, 1))
    with pytest.raises(InputError, match="cannot hold"):
        container.pack_header(Header(8000, 1, None, None, "00" * 8, "", 300, 1, 1))
    with pytest.raises(InputError, match="bytes a block"):
        Writer(io.BytesIO(), HEADER).block(bytes(70_000))


def test_a_long_name_is_cut_between_letters() -> None:
    header = container.read_header(io.BytesIO(container.pack_header(Header(8, 1, 1, 1, "00" * 8, "ä" * 200, 0, 1, 1))))
    assert header.model_name == "ä" * 127


@pytest.mark.parametrize("data", [b"", b"\x01\x00", b"\x00\x00\x00\x00", b"\x51\x00\x00\x00", b"\x01\x00\x01\x00",
                                  b"\x01\x00\x00\x07"])  # fmt: skip
def test_a_payload_that_contradicts_the_header_is_damage(data: bytes) -> None:
    with pytest.raises(AudioError):
        container.unpack_payload(data, HEADER)
