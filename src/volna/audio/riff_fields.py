"""What stands in the chunks of a WAV file, field by field: `fmt `, `ds64`, `fact`, `bext`, `cue `, `smpl` and LIST.

A chunk is taken from its bytes alone, so that every field has an offset, a size, a value and, where it helps, words.
Sources: Microsoft's "Multimedia Programming Interface and Data Specifications 1.0" and "Multiple Channel Audio Data and
WAVE Files"; EBU Tech 3285 (bext), EBU Tech 3306 and ITU-R BS.2088 (ds64).
"""

from __future__ import annotations

import struct
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass

__all__ = ["EXTENSIBLE", "FORMATS", "Field", "fields_of", "shown_id"]

FORMATS = {
    0x0001: "PCM, integers",
    0x0002: "Microsoft ADPCM",
    0x0003: "IEEE float",
    0x0006: "A-law",
    0x0007: "mu-law",
    0x0011: "IMA ADPCM",
    0x0020: "Yamaha ADPCM",
    0x0031: "GSM 6.10",
    0x0040: "G.721 ADPCM",
    0x0050: "MPEG",
    0x0055: "MP3",
    0x0092: "AC-3 over S/PDIF",
    0x00FF: "AAC",
    0x0160: "Windows Media Audio 1",
    0x0161: "Windows Media Audio 2",
    0x0162: "Windows Media Audio Pro",
    0x2000: "AC-3",
    0x2001: "DTS",
    0x566F: "Vorbis",
    0xF1AC: "FLAC",
    0xFFFE: "extensible: SubFormat says which",
}
EXTENSIBLE = 0xFFFE
GUID_END = uuid.UUID("00000000-0000-0010-8000-00aa00389b71").bytes_le[4:]  # of all formats that have a number
AMBISONIC_END = uuid.UUID("00000000-0721-11d3-8644-c8c1ca000000").bytes_le[4:]
SPEAKERS = (  # by bit of dwChannelMask
    *("FL", "FR", "FC", "LFE", "BL", "BR", "FLC", "FRC", "BC"),
    *("SL", "SR", "TC", "TFL", "TFC", "TFR", "TBL", "TBC", "TBR"),
)
LONGEST_TEXT = 200  # characters shown
MOST_ITEMS = 64  # cue points or loops shown of one chunk


@dataclass(frozen=True)
class Field:
    """One field of a header: where it stands, how many bytes it takes, its value, and what that means."""

    chunk: str
    name: str
    offset: int
    size: int
    value: int | str
    meaning: str = ""


Words = Callable[[int], str]
Spec = tuple[str, str, Words | None]  # name, letter of `struct` or number of bytes of text, words


def shown_id(code: bytes) -> str:
    r"""A four-letter code as text: letters as they are, other bytes written out.

    Examples
    --------
    >>> shown_id(b"fmt "), shown_id(b"a\x00bc")
    ('fmt ', 'a\\x00bc')
    """
    return "".join(chr(byte) if 32 <= byte < 127 else f"\\x{byte:02x}" for byte in code)


def fields_of(chunk: bytes, body: bytes, offset: int, order: str) -> list[Field]:
    """The fields in the body of a chunk; none for a chunk that is not known.

    Parameters
    ----------
    chunk : bytes
        Its id, four bytes.
    body : bytes
        What follows the id and the size; may be cut short, and then the fields that are whole are given.
    offset : int
        Where the body starts in the file, in bytes.
    order : {"<", ">"}
        Byte order: little-endian, or big-endian in RIFX.

    Examples
    --------
    >>> fields_of(b"fact", (44100).to_bytes(4, "little"), 48, "<")
    [Field(chunk='fact', name='dwSampleLength', offset=48, size=4, value=44100, meaning='samples per channel')]
    """
    if chunk == b"LIST":
        return list(_list(body, offset, order))
    fields = list(_read(chunk, SPECS.get(chunk, ()), body, offset, order))
    if chunk == b"fmt ":
        fields += _format_end(fields, body, offset, order)
    if chunk in ITEMS and len(fields) >= ITEMS[chunk][0]:
        fields += _items(chunk, fields, body, offset, order)
    if chunk == b"bext" and len(fields) == len(SPECS[chunk]) and int(fields[-1].value) >= 2:
        fields += _read(chunk, LOUDNESS, body, offset, order, LOUDNESS_AT)
    if chunk == b"bext" and len(body) > BEXT_BYTES:
        history = _text(body[BEXT_BYTES:])
        fields.append(Field("bext", "CodingHistory", offset + BEXT_BYTES, len(body) - BEXT_BYTES, history))
    return fields


def _read(chunk: bytes, specs: tuple[Spec, ...], body: bytes, offset: int, order: str, at: int = 0) -> Iterator[Field]:
    for name, kind, words in specs:
        size = int(kind) if kind.isdigit() else struct.calcsize(order + kind)
        piece = body[at : at + size]
        if len(piece) < size:
            return
        if kind.isdigit():
            yield Field(shown_id(chunk), name, offset + at, size, _text(piece))
        else:
            (value,) = struct.unpack(order + kind, piece)
            yield Field(shown_id(chunk), name, offset + at, size, value, words(value) if words else "")
        at += size


def _text(raw: bytes) -> str:
    text = raw.split(b"\0", 1)[0]
    try:
        shown = text.decode("utf-8")
    except UnicodeDecodeError:
        shown = text.decode("cp1252", "replace")
    shown = shown.strip()
    return shown if len(shown) <= LONGEST_TEXT else shown[:LONGEST_TEXT] + "…"


# --- fmt


def _speakers(mask: int) -> str:
    names = [name for bit, name in enumerate(SPEAKERS) if mask >> bit & 1]
    if mask >> len(SPEAKERS):
        names.append("others")
    return " ".join(names) or "no places given"


def _format_end(fields: list[Field], body: bytes, offset: int, order: str) -> list[Field]:
    """What follows the 16 bytes that every format has."""
    more = list(_read(b"fmt ", (("cbSize", "H", lambda n: f"{n} bytes of extension"),), body, offset, order, 16))
    if not more or fields[0].value != EXTENSIBLE:
        return more
    more += _read(b"fmt ", EXTENSION, body, offset, order, 18)
    guid = body[24:40]
    if len(guid) == 16:
        code = uuid.UUID(bytes_le=guid) if order == "<" else uuid.UUID(bytes=guid)
        more.append(Field("fmt ", "SubFormat", offset + 24, 16, str(code), _subformat(code)))
    return more


def _subformat(code: uuid.UUID) -> str:
    little = code.bytes_le
    tag = int.from_bytes(little[:2], "little")
    known = little[2:4] == b"\0\0" and little[4:] in (GUID_END, AMBISONIC_END)
    kind = FORMATS.get(tag, f"format {tag:#06x}") if known else "not a known format"
    return kind + (", ambisonic B-format" if known and little[4:] == AMBISONIC_END else "")


# --- the others


def _items(chunk: bytes, fields: list[Field], body: bytes, offset: int, order: str) -> Iterator[Field]:
    """The cue points, loops or table entries, as many as the chunk says and holds."""
    first, count_at, specs = ITEMS[chunk]
    at = fields[first - 1].offset + fields[first - 1].size - offset
    width = sum(int(kind) if kind.isdigit() else struct.calcsize(order + kind) for _, kind, _ in specs)
    n = min(int(fields[count_at].value), MOST_ITEMS, (len(body) - at) // width)
    for number in range(n):
        for field in _read(chunk, specs, body, offset, order, at + number * width):
            yield Field(field.chunk, f"{field.name}[{number}]", field.offset, field.size, field.value, field.meaning)


def _list(body: bytes, offset: int, order: str) -> Iterator[Field]:
    kind = body[:4]
    if len(kind) < 4:
        return
    meaning = {b"INFO": "texts", b"adtl": "labels of cue points"}.get(kind, "")
    yield Field("LIST", "ListType", offset, 4, shown_id(kind), meaning)
    at = 4
    while at + 8 <= len(body):
        code, size = body[at : at + 4], struct.unpack(order + "I", body[at + 4 : at + 8])[0]
        piece = body[at + 8 : at + 8 + size]
        if kind == b"INFO":
            yield Field("LIST", shown_id(code), offset + at + 8, len(piece), _text(piece), INFO.get(code, ""))
        elif kind == b"adtl" and len(piece) >= 4:
            skip = 20 if code == b"ltxt" else 4
            cue = struct.unpack(order + "I", piece[:4])[0]
            words = f"of cue point {cue}"
            yield Field("LIST", shown_id(code), offset + at + 8, len(piece), _text(piece[skip:]), words)
        at += 8 + size + (size & 1)


def _format_name(tag: int) -> str:
    return FORMATS.get(tag, "not a known format") + f" ({tag:#06x})"


def _unit(unit: str) -> Words:
    return lambda value: unit


def _hundredths(unit: str) -> Words:
    return lambda value: f"{value / 100:.2f} {unit}"


INFO = {
    b"IART": "artist",
    b"ICMT": "comment",
    b"ICOP": "copyright",
    b"ICRD": "date",
    b"IENG": "engineer",
    b"IGNR": "genre",
    b"IKEY": "keywords",
    b"INAM": "title",
    b"IPRD": "album",
    b"IPRT": "track",
    b"ISFT": "software",
    b"ISRC": "source",
    b"ITCH": "technician",
    b"ITRK": "track",
}
BEXT_BYTES = 602
LOUDNESS_AT = 412  # of version 2, after the 64 bytes of an UMID
LOUDNESS: tuple[Spec, ...] = tuple(
    (name, "h", _hundredths(unit))
    for name, unit in (
        ("LoudnessValue", "LUFS"),
        ("LoudnessRange", "LU"),
        ("MaxTruePeakLevel", "dBTP"),
        ("MaxMomentaryLoudness", "LUFS"),
        ("MaxShortTermLoudness", "LUFS"),
    )
)
EXTENSION: tuple[Spec, ...] = (
    ("wValidBitsPerSample", "H", _unit("bits that count")),
    ("dwChannelMask", "I", _speakers),
)
SPECS: dict[bytes, tuple[Spec, ...]] = {
    b"fmt ": (
        ("AudioFormat", "H", _format_name),
        ("NumChannels", "H", None),
        ("SampleRate", "I", _unit("Hz")),
        ("ByteRate", "I", _unit("bytes a second")),
        ("BlockAlign", "H", _unit("bytes a sample of all channels")),
        ("BitsPerSample", "H", None),
    ),
    b"ds64": (
        ("riffSize", "Q", _unit("bytes that follow the first 8")),
        ("dataSize", "Q", _unit("bytes of sound")),
        ("sampleCount", "Q", _unit("samples per channel")),
        ("tableLength", "I", _unit("sizes of other chunks")),
    ),
    b"fact": (("dwSampleLength", "I", _unit("samples per channel")),),
    b"bext": (
        ("Description", "256", None),
        ("Originator", "32", None),
        ("OriginatorReference", "32", None),
        ("OriginationDate", "10", None),
        ("OriginationTime", "8", None),
        ("TimeReference", "Q", _unit("samples since midnight")),
        ("Version", "H", None),
    ),
    b"cue ": (("dwCuePoints", "I", _unit("points")),),
    b"smpl": (
        ("dwManufacturer", "I", None),
        ("dwProduct", "I", None),
        ("dwSamplePeriod", "I", _unit("nanoseconds a sample")),
        ("dwMIDIUnityNote", "I", _unit("MIDI note")),
        ("dwMIDIPitchFraction", "I", None),
        ("dwSMPTEFormat", "I", None),
        ("dwSMPTEOffset", "I", None),
        ("cSampleLoops", "I", _unit("loops")),
        ("cbSamplerData", "I", None),
    ),
    b"inst": (
        ("bUnshiftedNote", "B", _unit("MIDI note")),
        ("chFineTune", "b", _unit("cents")),
        ("chGain", "b", _unit("dB")),
        ("bLowNote", "B", None),
        ("bHighNote", "B", None),
        ("bLowVelocity", "B", None),
        ("bHighVelocity", "B", None),
    ),
    b"PEAK": (("version", "I", None), ("timeStamp", "I", _unit("seconds since 1970"))),
}
# Fields before the items, which of them is their count, and the fields of one.
ITEMS: dict[bytes, tuple[int, int, tuple[Spec, ...]]] = {
    b"ds64": (4, 3, (("chunkId", "4", None), ("chunkSize", "Q", _unit("bytes")))),
    b"cue ": (
        1,
        0,
        (
            ("dwName", "I", None),
            ("dwPosition", "I", _unit("samples")),
            ("fccChunk", "4", None),
            ("dwChunkStart", "I", None),
            ("dwBlockStart", "I", None),
            ("dwSampleOffset", "I", _unit("samples")),
        ),
    ),
    b"smpl": (
        9,
        7,
        (
            ("dwIdentifier", "I", None),
            ("dwType", "I", None),
            ("dwStart", "I", _unit("samples")),
            ("dwEnd", "I", _unit("samples")),
            ("dwFraction", "I", None),
            ("dwPlayCount", "I", None),
        ),
    ),
}
