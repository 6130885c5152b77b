"""The header of a WAV file, field by field with offsets, and what in it contradicts itself.

::

    offset  0  ChunkID    RIFF (RIFX: big-endian; RF64, BW64: sizes beyond 4 GB stand in a chunk `ds64`)
            4  ChunkSize  bytes that follow
            8  Format     WAVE
           12  chunks:    id (4 bytes), size (4 bytes), body, and a byte of padding where the size is odd

Only headers are read, never the sound, so that a file of 100 GB takes no longer and no more memory than one of 100 kB.
A damaged file never raises: what can be read is told, and what is wrong with it stands in ``contradictions``, in words.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from volna.audio.riff_checks import Facts, contradictions_of
from volna.audio.riff_fields import Field, fields_of, shown_id
from volna.audio.source import SourceFile, StrPath, explained, open_regular

__all__ = ["Chunk", "WavHeader", "read_wav_header"]

FORMS = (b"RIFF", b"RIFX", b"RF64", b"BW64")
IN_DS64 = 0xFFFFFFFF  # "see the chunk ds64"; in plain RIFF the mark of a stream whose length was not known
MOST_CHUNKS = 256
MOST_BODY = 1 << 16  # bytes of a chunk that are looked into


@dataclass(frozen=True)
class Chunk:
    """A chunk: its id, where its eight header bytes start, the size it declares, and the bytes of it that are there."""

    id: str
    offset: int
    declared_size: int
    size: int


@dataclass
class WavHeader:
    """What the header of a WAV file says.

    Attributes
    ----------
    form : ``"RIFF"``, ``"RIFX"``, ``"RF64"`` or ``"BW64"``.
    byte_order : ``"little"`` or ``"big"``.
    file_size : bytes.
    fields : every field that was read, in the order of the file.
    chunks : every chunk, in the order of the file.
    contradictions : what does not agree, in words; empty for a sound header.
    """

    form: str
    byte_order: str
    file_size: int
    fields: list[Field] = field(default_factory=list)
    chunks: list[Chunk] = field(default_factory=list)
    contradictions: list[str] = field(default_factory=list)

    def value(self, chunk: str, name: str) -> int | str | None:
        """The value of a field, the first of that name; None where there is none."""
        return next((f.value for f in self.fields if (f.chunk, f.name) == (chunk, name)), None)

    @property
    def bits(self) -> int | None:
        """Bits of a sample that count: wValidBitsPerSample where it makes sense, else BitsPerSample; None for neither.

        ADPCM and other codecs have a number here as well: their coded bits.
        """
        bits, valid = self.value("fmt ", "BitsPerSample"), self.value("fmt ", "wValidBitsPerSample")
        if not isinstance(bits, int) or not bits:
            return None
        return valid if isinstance(valid, int) and 0 < valid <= bits else bits


def read_wav_header(path: StrPath) -> WavHeader | None:
    """Read the header of a WAV file.

    Parameters
    ----------
    path
        Any file.

    Returns
    -------
    WavHeader or None
        None for a file that does not start with RIFF, RIFX, RF64 or BW64.

    Raises
    ------
    AudioError
        The file is missing, empty, a folder, or cannot be read.

    Examples
    --------
    >>> header = read_wav_header("talk.wav")  # doctest: +SKIP
    >>> header.value("fmt ", "SampleRate"), header.contradictions  # doctest: +SKIP
    (44100, [])
    """
    with explained(path):
        file, size = open_regular(path)
        with file:
            form = _at(file, 0, 4)
            if form not in FORMS:
                return None
            return _Walk(file, size, form).header()


def _at(file: SourceFile, offset: int, size: int) -> bytes:
    file.seek(offset)
    found = file.read(size)
    file.check()
    return found


class _Walk:
    """One pass over the chunks of a file."""

    def __init__(self, file: SourceFile, size: int, form: bytes) -> None:
        self.file, self.size = file, size
        self.order = ">" if form == b"RIFX" else "<"
        self.out = WavHeader(form.decode("ascii"), "big" if self.order == ">" else "little", size)
        self.facts = Facts(file_size=size, form=self.out.form)
        self.sizes: dict[str, int] = {}  # of chunks, from ds64

    def header(self) -> WavHeader:
        head = _at(self.file, 0, 12)
        self.out.fields.append(Field(self.out.form, "ChunkID", 0, 4, self.out.form, f"{self.out.byte_order}-endian"))
        if len(head) >= 8:
            self.facts.riff_size = self._number(head[4:8])
            self._add(self.out.form, "ChunkSize", 4, 4, self.facts.riff_size, "bytes that follow the first 8")
        if len(head) == 12:
            self._add(self.out.form, "Format", 8, 4, shown_id(head[8:12]))
            self.facts.kind = shown_id(head[8:12])
        self._chunks()
        self.facts.values = {(f.chunk, f.name): f.value for f in reversed(self.out.fields)}
        self.facts.chunks = [(chunk.id, chunk.offset, chunk.declared_size, chunk.size) for chunk in self.out.chunks]
        self.out.contradictions = contradictions_of(self.facts)
        return self.out

    def _number(self, raw: bytes) -> int:
        (value,) = struct.unpack(self.order + "I", raw)
        return int(value)

    def _add(self, chunk: str, name: str, offset: int, size: int, value: int | str, meaning: str = "") -> None:
        self.out.fields.append(Field(chunk, name, offset, size, value, meaning))

    def _chunks(self) -> None:
        at = 12
        while at + 8 <= self.size:
            if len(self.out.chunks) == MOST_CHUNKS:
                self.facts.remarks.append(f"more than {MOST_CHUNKS} chunks: the rest, from byte {at} on, was not read")
                return
            head = _at(self.file, at, 8)
            if len(head) < 8 or not _is_id(head[:4]):
                break
            at = self._chunk(head[:4], at, self._number(head[4:]))
        if at < self.size:
            self.facts.rest = (at, self.size - at)

    def _chunk(self, code: bytes, at: int, declared: int) -> int:
        """Take one chunk; return where the next one starts."""
        name = shown_id(code)
        size = self._real_size(code, at, declared)
        there = max(0, min(size, self.size - at - 8))
        self.out.chunks.append(Chunk(name, at, declared, there))
        if name == "fmt ":
            names = ("Subchunk1ID", "Subchunk1Size")
        elif name == "data":
            names = ("Subchunk2ID", "Subchunk2Size")
        else:
            names = ("ChunkID", "ChunkSize")
        self._add(name, names[0], at, 4, name, MEANINGS.get(code, ""))
        self._add(name, names[1], at + 4, 4, declared, "bytes")
        if name != "data":
            body = _at(self.file, at + 8, min(there, MOST_BODY))
            fields = fields_of(code, body, at + 8, self.order)
            self.out.fields += fields
            if name == "ds64":
                self._sizes_beyond_4_gb(fields)
        return at + 8 + size + self._padding(at + 8 + size, size)

    def _sizes_beyond_4_gb(self, fields: list[Field]) -> None:
        values = {f.name: f.value for f in fields}
        if isinstance(size := values.get("dataSize"), int):
            self.sizes["data"] = size
        for number in range(len(fields)):
            code, size = values.get(f"chunkId[{number}]"), values.get(f"chunkSize[{number}]")
            if isinstance(code, str) and isinstance(size, int):
                self.sizes[f"{code:<4}"] = size

    def _real_size(self, code: bytes, at: int, declared: int) -> int:
        """The size of a chunk in bytes: from ds64 where that has it, to the end of the file where nobody knew it."""
        name, left = shown_id(code), self.size - at - 8
        if declared == IN_DS64 and name in self.sizes and self.out.form in ("RF64", "BW64"):
            return self.sizes[name]
        if code == b"data" and declared == 0 and left >= 8 and not _is_id(_at(self.file, at + 8, 4)):
            return left
        return left if code == b"data" and declared == IN_DS64 else declared

    def _padding(self, end: int, size: int) -> int:
        """The byte after a chunk of odd size, which some programs forget."""
        if not size & 1 or end >= self.size:
            if size & 1 and end == self.size:
                self.facts.remarks.append("the last chunk has an odd size and no byte of padding after it")
            return size & 1
        if _at(self.file, end, 1) != b"\0" and _is_id(_at(self.file, end, 4)):
            self.facts.remarks.append(f"the chunk that ends at byte {end} has an odd size and no byte of padding")
            return 0
        return 1


def _is_id(code: bytes) -> bool:
    """Whether four bytes can be the id of a chunk: printable letters, and not blanks alone."""
    return len(code) == 4 and all(32 <= byte < 127 for byte in code) and code != b"    "


MEANINGS = {
    b"fmt ": "the format of the sound",
    b"data": "the sound itself",
    b"LIST": "a list of smaller chunks",
    b"fact": "the number of samples, for formats that do not tell",
    b"bext": "broadcast extension, EBU Tech 3285",
    b"cue ": "cue points",
    b"smpl": "how a sampler plays it",
    b"inst": "how a sampler plays it",
    b"ds64": "sizes of 64 bits",
    b"JUNK": "room left free",
    b"junk": "room left free",
    b"FLLR": "room left free",
    b"PAD ": "room left free",
    b"PEAK": "the loudest samples",
    b"iXML": "production notes as XML",
    b"axml": "notes as XML",
    b"chna": "channels of an audio definition model",
    b"_PMX": "Adobe XMP",
    b"id3 ": "ID3 tags",
    b"ID3 ": "ID3 tags",
    b"acid": "loops for ACID",
    b"afsp": "notes of the AFsp package",
    b"levl": "peak envelope, EBU Tech 3285 supplement 3",
    b"mext": "MPEG extension, EBU Tech 3285 supplement 1",
}
