"""Sounds and byte surgery shared by the tests of the audio room. No tests in here."""

from __future__ import annotations

import struct
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from volna.audio import encode

RATE = 22050
_made: dict[str, bytes] = {}


def music(seconds: float, rate: int = RATE, n_channels: int = 2, seed: int = 0) -> NDArray[np.float32]:
    """Something that changes all the time and is loud enough: a wandering tone and swelling noise."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds * rate)) / rate
    noise = rng.standard_normal((n_channels, len(t)))
    channels = [
        0.2 * np.sin(2 * np.pi * (220 + 10 * seed + 40 * np.sin(0.7 * t)) * t + c)
        + 0.03 * noise[c] * (1 + np.sin(2 * np.pi * t / 3))
        for c in range(n_channels)
    ]
    return np.asarray(channels, np.float32)


def make(folder: Path, name: str, seconds: float = 36.5, **how: object) -> Path:
    """A file of the format that its name asks for; ``how`` goes to ``encode``. Encoded once, then copied."""
    key = f"{name} {seconds} {sorted(how.items())}"
    path = folder / name
    if key not in _made:
        rate = int(how.pop("rate", RATE))  # type: ignore[call-overload]
        sound = music(seconds, rate, int(how.pop("n_channels", 2)), int(how.pop("seed", 0)))  # type: ignore[call-overload]
        if path.suffix == ".mp3":  # LAME at its fastest
            how["options"] = {"compression_level": "9", **how.get("options", {})}  # type: ignore[dict-item]
        _made[key] = encode(path, sound, rate, **how).read_bytes()  # type: ignore[arg-type]
    path.write_bytes(_made[key])
    return path


VBR = {"flags": "+qscale", "global_quality": str(4 * 118)}
NO_XING = {"write_xing": "0", "id3v2_version": "0"}


def remux(source: Path, target: Path, tags: dict[str, str], **options: str) -> Path:
    """Copy the packets into a new file with other tags, as ``ffmpeg -c copy`` does."""
    with av.open(str(source)) as old, av.open(str(target), "w", options=options) as new:
        new.metadata.update(tags)
        stream = old.streams.audio[0]
        copy = new.add_stream_from_template(stream)
        for packet in old.demux(stream):
            if packet.size:
                packet.stream = copy
                new.mux(packet)
    return target


def id3v2(n_picture: int = 50_000) -> bytes:
    """An ID3v2.3 tag with a title and a picture."""
    title = b"\x00Another title"
    picture = b"\x00image/jpeg\x00\x03\x00" + b"\xff\xd8\xff\xe0" + b"\xff\xfb\x90\x64" * (n_picture // 4)
    frames = b"".join(
        name + struct.pack(">I", len(body)) + b"\x00\x00" + body
        for name, body in ((b"TIT2", title), (b"APIC", picture))
    )
    n = len(frames)
    size = bytes((n >> 21 & 127, n >> 14 & 127, n >> 7 & 127, n & 127))
    return b"ID3\x03\x00\x00" + size + frames


def id3v1() -> bytes:
    return b"TAG" + b"Some title".ljust(30, b"\0") + b"Someone".ljust(30, b"\0") + bytes(64) + b"\x11"


def apev2() -> bytes:
    value = b"Someone else" * 40
    item = struct.pack("<II", len(value), 0) + b"Artist\x00" + value
    size = len(item) + 32
    head = b"APETAGEX" + struct.pack("<IIII", 2000, size, 1, 0xA0000000) + bytes(8)
    foot = b"APETAGEX" + struct.pack("<IIII", 2000, size, 1, 0x80000000) + bytes(8)
    return head + item + foot


def without_id3v2(data: bytes) -> bytes:
    if data[:3] != b"ID3":
        return data
    return data[10 + (data[6] << 21 | data[7] << 14 | data[8] << 7 | data[9]) :]


def flac_with_blocks(data: bytes, n_padding: int, n_picture: int) -> bytes:
    """The same FLAC frames behind STREAMINFO and other blocks: padding, a picture, other comments."""
    at, stream_info = 4, b""
    while True:
        kind, size = data[at], int.from_bytes(data[at + 1 : at + 4], "big")
        if kind & 127 == 0:
            stream_info = data[at + 4 : at + 4 + size]
        at += 4 + size
        if kind & 128:
            break
    comment = b"TITLE=Something else"
    comments = struct.pack("<I", 4) + b"test" + struct.pack("<I", 1) + struct.pack("<I", len(comment)) + comment
    mime = b"image/jpeg"
    picture = (
        struct.pack(">II", 3, len(mime)) + mime + struct.pack(">IIIIII", 0, 1, 1, 24, 0, n_picture) + bytes(n_picture)
    )
    blocks = [(0, stream_info), (4, comments), (6, picture), (1, bytes(n_padding))]
    head = b"".join(
        bytes([kind | (128 if i == len(blocks) - 1 else 0)]) + len(body).to_bytes(3, "big") + body
        for i, (kind, body) in enumerate(blocks)
    )
    return b"fLaC" + head + data[at:]


def wav_with_chunks(data: bytes, before: bytes, after: bytes) -> bytes:
    """The same WAV with a LIST/INFO chunk before its data and an id3 chunk after it."""
    at = data.index(b"data")
    info = b"INFOINAM" + struct.pack("<I", len(before)) + before + bytes(len(before) % 2)
    middle = b"LIST" + struct.pack("<I", len(info)) + info
    end = b"id3 " + struct.pack("<I", len(after)) + after + bytes(len(after) % 2)
    fmt = data.index(b"fmt ")
    body = b"WAVE" + data[fmt : fmt + 8 + int.from_bytes(data[fmt + 4 : fmt + 8], "little")] + middle + data[at:] + end
    return b"RIFF" + struct.pack("<I", len(body)) + body
