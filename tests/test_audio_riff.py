"""WAV headers: every field at its place, every contradiction said, and no file so damaged that reading it fails."""

from __future__ import annotations

import struct
import tracemalloc
import uuid
from pathlib import Path

import numpy as np
import pytest

from volna.audio.encode import encode
from volna.audio.riff import WavHeader, read_wav_header
from volna.audio.riff_checks import Facts, contradictions_of
from volna.audio.riff_fields import fields_of
from volna.errors import AudioError

PCM_GUID = uuid.UUID("00000001-0000-0010-8000-00aa00389b71")


def chunk(code: bytes, body: bytes, order: str = "<", size: int | None = None) -> bytes:
    declared = len(body) if size is None else size
    return code + struct.pack(order + "I", declared) + body + b"\0" * (len(body) & 1)


def fmt(
    tag: int = 1,
    channels: int = 1,
    rate: int = 8000,
    bits: int = 16,
    *,
    order: str = "<",
    more: bytes = b"",
    **other: int,
) -> bytes:
    align = other.get("align", channels * ((bits + 7) // 8))
    byte_rate = other.get("byte_rate", rate * align)
    return chunk(b"fmt ", struct.pack(order + "HHIIHH", tag, channels, rate, byte_rate, align, bits) + more, order)


def wav(
    *chunks: bytes, form: bytes = b"RIFF", order: str = "<", size: int | None = None, kind: bytes = b"WAVE"
) -> bytes:
    body = kind + b"".join(chunks)
    return form + struct.pack(order + "I", len(body) if size is None else size) + body


DATA = chunk(b"data", bytes(200))


@pytest.fixture
def header_of(tmp_path: Path):
    def read(content: bytes) -> WavHeader:
        path = tmp_path / "a.wav"
        path.write_bytes(content)
        header = read_wav_header(path)
        assert header is not None
        return header

    return read


def only(header: WavHeader) -> str:
    assert len(header.contradictions) == 1, header.contradictions
    return header.contradictions[0]


# Fields


def test_the_canonical_header_is_read_field_by_field(header_of) -> None:
    header = header_of(wav(fmt(channels=2, rate=44100), DATA))
    assert [(f.offset, f.size, f.name, f.value) for f in header.fields] == [
        (0, 4, "ChunkID", "RIFF"),
        (4, 4, "ChunkSize", 236),
        (8, 4, "Format", "WAVE"),
        (12, 4, "Subchunk1ID", "fmt "),
        (16, 4, "Subchunk1Size", 16),
        (20, 2, "AudioFormat", 1),
        (22, 2, "NumChannels", 2),
        (24, 4, "SampleRate", 44100),
        (28, 4, "ByteRate", 176400),
        (32, 2, "BlockAlign", 4),
        (34, 2, "BitsPerSample", 16),
        (36, 4, "Subchunk2ID", "data"),
        (40, 4, "Subchunk2Size", 200),
    ]
    assert header.contradictions == []
    assert [(c.id, c.offset, c.declared_size, c.size) for c in header.chunks] == [
        ("fmt ", 12, 16, 16),
        ("data", 36, 200, 200),
    ]
    assert header.value("fmt ", "AudioFormat") == 1
    assert header.value("fmt ", "cbSize") is None
    assert "PCM" in next(f.meaning for f in header.fields if f.name == "AudioFormat")


@pytest.mark.parametrize(
    "codec", ["pcm_u8", "pcm_s16le", "pcm_s24le", "pcm_s32le", "pcm_f32le", "pcm_f64le", "pcm_alaw", "adpcm_ms"]
)
@pytest.mark.parametrize("n_channels", [1, 2])
def test_what_libav_writes_has_no_contradiction_and_the_bits_of_its_codec(
    tmp_path, codec: str, n_channels: int
) -> None:
    samples = 0.1 * np.random.default_rng(0).standard_normal((n_channels, 4000))
    header = read_wav_header(encode(tmp_path / "a.wav", samples, 22050, codec=codec, tags={"title": "Ünter"}))
    assert header is not None
    assert header.contradictions == []
    bits = {"pcm_u8": 8, "pcm_s16le": 16, "pcm_s24le": 24, "pcm_alaw": 8, "adpcm_ms": 4, "pcm_f64le": 64}.get(codec, 32)
    assert header.bits == bits
    assert header.value("LIST", "INAM") == "Ünter"
    assert header.value("fmt ", "SampleRate") == 22050


def test_big_endian_files_are_read_in_their_order(header_of) -> None:
    header = header_of(wav(fmt(rate=8000, order=">"), chunk(b"data", bytes(20), ">"), form=b"RIFX", order=">"))
    assert (header.form, header.byte_order, header.contradictions) == ("RIFX", "big", [])
    assert header.value("fmt ", "SampleRate") == 8000


@pytest.mark.parametrize("form", [b"RF64", b"BW64"])
def test_sizes_beyond_4_gb_come_from_ds64(header_of, form: bytes) -> None:
    extra = struct.pack("<4sQ", b"huge", 6)
    ds64 = chunk(b"ds64", struct.pack("<QQQI", 298, 200, 100, 1) + extra)
    content = wav(
        ds64,
        fmt(),
        chunk(b"data", bytes(200), size=0xFFFFFFFF),
        chunk(b"huge", b"abcdef", size=0xFFFFFFFF),
        form=form,
        size=0xFFFFFFFF,
    )
    header = header_of(content)
    assert header.contradictions == []
    assert [(c.id, c.size) for c in header.chunks[-2:]] == [("data", 200), ("huge", 6)]
    assert header.value("ds64", "chunkId[0]") == "huge"
    assert header.value("ds64", "sampleCount") == 100


def test_rf64_without_its_sizes_is_said(header_of) -> None:
    assert "ds64" in only(header_of(wav(fmt(), DATA, form=b"RF64")))


def test_the_extensible_part_is_read(header_of) -> None:
    more = struct.pack("<HHI", 22, 20, 0b11) + PCM_GUID.bytes_le
    header = header_of(wav(fmt(0xFFFE, channels=2, bits=24, more=more), chunk(b"data", bytes(60))))
    assert header.contradictions == []
    assert header.bits == 20
    assert header.value("fmt ", "SubFormat") == str(PCM_GUID)
    words = {f.name: f.meaning for f in header.fields}
    assert (words["dwChannelMask"], words["SubFormat"]) == ("FL FR", "PCM, integers")
    assert [
        f.offset for f in header.fields if f.name in ("cbSize", "wValidBitsPerSample", "dwChannelMask", "SubFormat")
    ] == [36, 38, 40, 44]


def test_chunks_of_other_programs_are_listed_and_read_where_they_are_known(header_of) -> None:
    cue = struct.pack("<I", 1) + struct.pack("<II4sIII", 7, 50, b"data", 0, 0, 50)
    info = b"INFO" + chunk(b"IART", b"Nina\0") + chunk(b"ICMT", b"odd")
    labels = b"adtl" + chunk(b"labl", struct.pack("<I", 7) + b"verse\0")
    unknown = chunk(b"xyz ", b"12345")
    header = header_of(wav(fmt(), unknown, DATA, chunk(b"cue ", cue), chunk(b"LIST", info), chunk(b"LIST", labels)))
    assert header.contradictions == []
    assert [c.id for c in header.chunks] == ["fmt ", "xyz ", "data", "cue ", "LIST", "LIST"]
    assert header.chunks[2].offset == 36 + 8 + 6  # after a byte of padding
    assert header.value("LIST", "IART") == "Nina"
    assert header.value("LIST", "ICMT") == "odd"
    assert header.value("LIST", "labl") == "verse"
    assert header.value("cue ", "dwSampleOffset[0]") == 50


def test_a_broadcast_extension_tells_its_loudness_from_version_2_on() -> None:
    body = bytearray(602)
    body[:5], body[256:260], body[320:330] = b"Voice", b"Desk", b"2020-01-02"
    struct.pack_into("<QH", body, 338, 8000 * 3600, 2)
    struct.pack_into("<hhhhh", body, 412, -2312, 345, -105, -1800, -2000)
    fields = {f.name: f for f in fields_of(b"bext", bytes(body) + b"A=PCM\r\n", 100, "<")}
    assert fields["Description"].value == "Voice"
    assert fields["OriginationDate"].value == "2020-01-02"
    assert fields["TimeReference"].value == 28_800_000
    assert (fields["LoudnessValue"].meaning, fields["LoudnessValue"].offset) == ("-23.12 LUFS", 512)
    assert fields["CodingHistory"].value == "A=PCM"
    struct.pack_into("<H", body, 346, 1)
    assert "LoudnessValue" not in {f.name for f in fields_of(b"bext", bytes(body), 0, "<")}


# Contradictions


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (wav(fmt(byte_rate=1), DATA), "ByteRate is 1, but 8000 Hz x 1 x 16 bits / 8 is 16000"),
        (wav(fmt(align=3, byte_rate=16000), chunk(b"data", bytes(6))), "but 1 channel x 16 bits need 2"),
        (wav(fmt(), DATA, size=1000), "764 are missing"),
        (wav(fmt(), DATA, size=100), "136 lie beyond"),
        (wav(fmt(), DATA, size=0), "a stream"),
        (wav(fmt(), DATA, size=0xFFFFFFFF), "a stream"),
        (wav(fmt(), chunk(b"data", bytes(200), size=0)), "unknown length; 200 bytes of data are there"),
        (wav(fmt(), chunk(b"data", bytes(200), size=0xFFFFFFFF)), "unknown length; 200 bytes of data are there"),
        (wav(fmt(), chunk(b"data", bytes(200), size=300)), "ends after 200: 100 are missing"),
        (wav(fmt(), chunk(b"data", b"")), "is empty"),
        (wav(fmt(channels=2), chunk(b"data", bytes(10))), "no multiple of BlockAlign, 4: 2 are left over"),
        (wav(fmt()), "there is no chunk 'data'"),
        (wav(DATA, fmt()), "comes before 'fmt '"),
        (wav(fmt(), DATA, DATA), "2 chunks 'data'"),
        (wav(fmt(channels=0, align=0), DATA), "NumChannels is 0"),
        (wav(fmt(rate=0), DATA), "SampleRate is 0"),
        (wav(fmt(tag=0x1234), DATA), "0x1234 is not known"),
        (wav(fmt(3, bits=48), DATA), "48 for floats"),
        (wav(fmt(0xFFFE, more=struct.pack("<HHI", 22, 20, 4) + PCM_GUID.bytes_le), DATA), "wValidBitsPerSample is 20"),
        (wav(fmt(0xFFFE, more=struct.pack("<HHI", 22, 16, 3) + PCM_GUID.bytes_le), DATA), "2 places for 1 channel"),
        (wav(fmt(0xFFFE), DATA), "Subchunk1Size is 16 instead of 40"),
        (wav(fmt(more=struct.pack("<H", 9)), DATA), "cbSize is 9, but only 0 bytes"),
        (wav(fmt(), chunk(b"fact", struct.pack("<I", 7)), DATA), "says 7 samples per channel, the data holds 100"),
        (wav(fmt(), DATA, kind=b"AVI "), "Format is 'AVI '"),
        (wav(fmt(), DATA) + b"\xff\x00junk and more", "are no chunk"),
    ],
)  # fmt: skip
def test_a_contradiction_is_said(header_of, content: bytes, words: str) -> None:
    assert any(words in said for said in header_of(content).contradictions), header_of(content).contradictions


def test_padding_is_expected_and_its_absence_said(header_of) -> None:
    odd = chunk(b"data", bytes(3))
    assert header_of(wav(fmt(bits=8), odd)).contradictions == []
    without = wav(fmt(bits=8), b"data" + struct.pack("<I", 3) + b"\x01\x02\x03", chunk(b"LIST", b"INFO"))
    header = header_of(without)
    assert [c.id for c in header.chunks] == ["fmt ", "data", "LIST"]
    assert "no byte of padding" in only(header)
    assert "no byte of padding" in only(header_of(wav(fmt(bits=8), odd[:-1])))
    assert "padding of the last chunk is not counted" in only(header_of(wav(fmt(bits=8), odd, size=39)))


def test_three_bytes_a_sample_in_a_container_of_four_is_a_contradiction_not_an_error(header_of) -> None:
    header = header_of(wav(fmt(bits=24, align=4, byte_rate=32000), chunk(b"data", bytes(40))))
    assert header.bits == 24
    assert len(header.contradictions) == 2


# Damage


def test_every_cut_and_every_flipped_byte_is_survived(tmp_path: Path) -> None:
    more = struct.pack("<HHI", 22, 20, 0b11) + PCM_GUID.bytes_le
    cue = struct.pack("<I", 1) + struct.pack("<II4sIII", 7, 50, b"data", 0, 0, 50)
    content = wav(
        fmt(0xFFFE, bits=24, more=more), chunk(b"cue ", cue), chunk(b"LIST", b"INFO" + chunk(b"IART", b"x")), DATA
    )
    path = tmp_path / "a.wav"
    rng = np.random.default_rng(0)
    for cut in range(4, 190):
        path.write_bytes(content[:cut])
        header = read_wav_header(path)
        assert header is not None
        assert header.contradictions
    for _ in range(300):
        damaged = bytearray(content)
        for at in rng.integers(4, 190, size=3):
            damaged[at] = rng.integers(256)
        path.write_bytes(damaged)
        assert read_wav_header(path) is not None


def test_a_file_without_end_of_chunks_is_given_up(header_of) -> None:
    header = header_of(wav(fmt(), *[chunk(b"JUNK", b"")] * 5000, DATA))
    assert len(header.chunks) == 256
    assert any("more than 256 chunks" in said for said in header.contradictions)


def test_the_sound_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "long.wav"
    with open(path, "wb") as file:
        file.write(wav(fmt(), chunk(b"data", b"", size=2_000_000_000), size=2_000_000_036))
        file.truncate(2_000_000_044)  # sparse
    tracemalloc.start()
    header = read_wav_header(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert header is not None
    assert header.contradictions == []
    assert peak < 1_000_000


def test_other_files_are_none_and_missing_ones_an_error(tmp_path: Path) -> None:
    other = tmp_path / "a.flac"
    other.write_bytes(b"fLaC and more")
    assert read_wav_header(other) is None
    for path, words in ((tmp_path / "none.wav", "no such file"), (tmp_path, "folder")):
        with pytest.raises(AudioError, match=words):
            read_wav_header(path)


def test_a_sound_header_needs_no_words() -> None:
    good = Facts(8, "RIFF", "WAVE", 0, {}, [("fmt ", 12, 16, 16), ("data", 36, 4, 4)])
    assert contradictions_of(good) == []
    good.remarks.append("a remark")
    assert contradictions_of(good) == ["a remark"]


def test_odd_files_are_read(real_sounds: Path) -> None:
    headers = {path.name: read_wav_header(path) for path in (real_sounds / "odd_files").rglob("*.wav")}
    assert len(headers) > 40
    assert all(headers.values())
    good = headers["RF64-16bit-8kHz-stereo-reaper.wav"]
    assert good is not None
    assert (good.form, good.value("ds64", "sampleCount"), good.contradictions) == ("RF64", 77499, [])
    fuzzed = [header for name, header in headers.items() if name.startswith(("crash", "oom"))]
    assert fuzzed
    assert all(header.contradictions for header in fuzzed if header)
