"""What in the header of a WAV file contradicts itself, the file's length, or the rules of the format."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from volna.audio.riff_fields import EXTENSIBLE, FORMATS

__all__ = ["Facts", "contradictions_of"]

UNKNOWN = 0xFFFFFFFF
PCM, FLOAT, ALAW, MULAW = 1, 3, 6, 7
CONSTANT = (PCM, FLOAT, ALAW, MULAW)  # formats whose sizes follow from rate, channels and bits
MOST_CHANNELS = 64  # more is rather a damaged header than a recording


@dataclass
class Facts:
    """What was read: sizes, the value of every field by chunk and name, chunks as (id, offset, declared, there)."""

    file_size: int
    form: str
    kind: str | None = None
    riff_size: int | None = None
    values: dict[tuple[str, str], int | str] = field(default_factory=dict)
    chunks: list[tuple[str, int, int, int]] = field(default_factory=list)
    rest: tuple[int, int] | None = None  # where bytes start that are no chunk, and how many
    remarks: list[str] = field(default_factory=list)

    def number(self, name: str, chunk: str = "fmt ") -> int | None:
        value = self.values.get((chunk, name))
        return value if isinstance(value, int) else None


def contradictions_of(facts: Facts) -> list[str]:
    """Everything that does not agree, one sentence each; empty for a sound header.

    Examples
    --------
    >>> contradictions_of(Facts(file_size=12, form="RIFF", kind="AVI ", riff_size=4))[0]
    "Format is 'AVI ', not 'WAVE'"
    """
    checks = (_form, _riff_size, _chunks, _format, _format_sizes, _bits, _data, _fact)
    return [*(said for check in checks for said in check(facts)), *facts.remarks]


def _form(facts: Facts) -> Iterator[str]:
    if facts.kind is None:
        yield f"the file has {facts.file_size} bytes: too few for the 12 that every RIFF file starts with"
    elif facts.kind != "WAVE":
        yield f"Format is {facts.kind!r}, not 'WAVE'"
    if facts.form in ("RF64", "BW64") and not any(chunk[0] == "ds64" for chunk in facts.chunks):
        yield f"{facts.form} without the chunk 'ds64', which holds its sizes"


def _riff_size(facts: Facts) -> Iterator[str]:
    declared, follow, where = facts.riff_size, facts.file_size - 8, "ChunkSize"
    if declared == UNKNOWN and facts.form in ("RF64", "BW64"):
        declared, where = facts.number("riffSize", "ds64"), "riffSize in ds64"
    if declared is None or declared == follow:
        return
    if declared in (0, UNKNOWN):
        yield f"{where} is {declared}, as written by a program that did not know the length (a stream); {follow} follow"
    elif declared > follow:
        yield f"{where} says that {declared} bytes follow, the file has {follow}: {declared - follow} are missing"
    elif facts.file_size % 2 == 0 and declared == follow - 1:
        yield f"{where} says {declared}, but {follow} bytes follow: the padding of the last chunk is not counted"
    else:
        yield f"{where} says that {declared} bytes follow, but {follow} do: {follow - declared} lie beyond"


def _chunks(facts: Facts) -> Iterator[str]:
    names = [name for name, *_ in facts.chunks]
    for name in ("fmt ", "data"):
        if facts.kind == "WAVE" and name not in names:
            yield f"there is no chunk {name!r}"
        elif names.count(name) > 1:
            yield f"there are {names.count(name)} chunks {name!r}; one was expected"
    if "fmt " in names and "data" in names and names.index("data") < names.index("fmt "):
        yield "the chunk 'data' comes before 'fmt '"
    for name, offset, declared, there in facts.chunks:
        if name != "data" and declared > there and not (declared == UNKNOWN and "ds64" in names):
            yield f"the chunk {name!r} at byte {offset} says {declared} bytes, {there} are there"
    if facts.rest:
        at, n = facts.rest
        yield f"the {n} byte{'' if n == 1 else 's'} from byte {at} on are no chunk"


def _tag(facts: Facts) -> int | None:
    """The number of the format, looked up in SubFormat where the header is extensible."""
    tag = facts.number("AudioFormat")
    guid = facts.values.get(("fmt ", "SubFormat"))
    return int(guid[:8], 16) if tag == EXTENSIBLE and isinstance(guid, str) else tag


def _format(facts: Facts) -> Iterator[str]:
    size, tag = facts.number("Subchunk1Size"), facts.number("AudioFormat")
    if size is None:
        return
    if size < 16:
        yield f"Subchunk1Size is {size}: 'fmt ' has at least 16 bytes"
    if tag == EXTENSIBLE and size < 40:
        yield f"the format is extensible, but Subchunk1Size is {size} instead of 40"
    more = facts.number("cbSize")
    if more is not None and more > size - 18:
        yield f"cbSize is {more}, but only {size - 18} bytes of 'fmt ' follow it"
    if tag is not None and tag not in FORMATS:
        yield f"AudioFormat {tag:#06x} is not known"
    for name in ("NumChannels", "SampleRate"):
        if facts.number(name) == 0:
            yield f"{name} is 0"
    if (channels := facts.number("NumChannels") or 0) > MOST_CHANNELS:
        yield f"NumChannels is {channels}"
    mask = facts.number("dwChannelMask")
    if mask and channels and mask.bit_count() != channels:
        yield f"dwChannelMask names {mask.bit_count()} places for {channels} channels"


def _format_sizes(facts: Facts) -> Iterator[str]:
    rate, channels, bits = (facts.number(name) for name in ("SampleRate", "NumChannels", "BitsPerSample"))
    byte_rate, align = facts.number("ByteRate"), facts.number("BlockAlign")
    if rate is None or channels is None or bits is None or byte_rate is None or align is None:
        return
    if _tag(facts) in CONSTANT and bits:
        width = -(-bits // 8)  # a sample takes whole bytes
        if align != channels * width:
            yield (
                f"BlockAlign is {align}, but {channels} channel{'' if channels == 1 else 's'} x {bits} bits need"
                f" {channels * width} bytes"
            )
        if byte_rate != rate * channels * width:
            yield f"ByteRate is {byte_rate}, but {rate} Hz x {channels} x {bits} bits / 8 is {rate * channels * width}"
    elif not align:
        yield "BlockAlign is 0"


def _bits(facts: Facts) -> Iterator[str]:
    tag, bits, valid = _tag(facts), facts.number("BitsPerSample"), facts.number("wValidBitsPerSample")
    if bits is None:
        return
    if tag == PCM and not 1 <= bits <= 64:
        yield f"BitsPerSample is {bits} for integers"
    if tag == PCM and bits % 8 and valid is None:
        yield f"BitsPerSample is {bits}, not a multiple of 8: only an extensible header can say so"
    if tag == FLOAT and bits not in (16, 32, 64):
        yield f"BitsPerSample is {bits} for floats: 32 or 64 were expected"
    if tag in (ALAW, MULAW) and bits != 8:
        yield f"BitsPerSample is {bits}: {FORMATS[tag]} has 8"
    if valid is not None and valid > bits:
        yield f"wValidBitsPerSample is {valid}, more than the {bits} bits of its container"


def _data(facts: Facts) -> Iterator[str]:
    found = next((chunk for chunk in facts.chunks if chunk[0] == "data"), None)
    if found is None:
        return
    _, offset, declared, there = found
    in_ds64 = facts.number("dataSize", "ds64")
    if declared == UNKNOWN and in_ds64 is not None and facts.form in ("RF64", "BW64"):
        declared = in_ds64
    if declared == UNKNOWN or (declared == 0 and there):
        yield f"Subchunk2Size is {declared}, as written to a stream of unknown length; {there} bytes of data are there"
    elif declared > there:
        yield f"the data should have {declared} bytes, but the file ends after {there}: {declared - there} are missing"
    elif there == 0:
        yield f"the chunk 'data' at byte {offset} is empty"
    align = facts.number("BlockAlign")
    if align and there % align:
        yield f"{there} bytes of data are no multiple of BlockAlign, {align}: {there % align} are left over"


def _fact(facts: Facts) -> Iterator[str]:
    said = facts.number("dwSampleLength", "fact")
    align = facts.number("BlockAlign")
    data = next((there for name, _, _, there in facts.chunks if name == "data"), None)
    if said is None or not align or data is None or _tag(facts) not in CONSTANT:
        return
    if said not in (UNKNOWN, data // align):
        yield f"'fact' says {said} samples per channel, the data holds {data // align}"
