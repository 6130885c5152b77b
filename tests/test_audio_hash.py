"""The hash names the recording: the same under other tags, names and containers, another for other sound."""

from __future__ import annotations

import shutil
import struct

import numpy as np
import pytest
from test_audio_sounds import (
    NO_XING,
    RATE,
    VBR,
    apev2,
    flac_with_blocks,
    id3v1,
    id3v2,
    make,
    music,
    remux,
    wav_with_chunks,
    without_id3v2,
)

from volna.audio import encode, open_audio

SECONDS = (12.7, 36.24, 47.0)  # whole; and three windows, whose edges fall anywhere
TAGS = {"title": "x" * 3000, "artist": "y", "comment": "z" * 70000}  # several Ogg pages


def name_of(path, segment="spread"):
    with open_audio(path) as file:
        coded = file.read_segment(segment)
        file.decode(coded, 8000)
        return coded.audio_hash


def written(path, data):
    path.write_bytes(data)
    return name_of(path)


@pytest.mark.parametrize("seconds", SECONDS)
@pytest.mark.parametrize(
    "how",
    [
        {},
        {"container_options": NO_XING},
        {"options": VBR},
        {"options": VBR, "container_options": NO_XING},
    ],
    ids=["cbr", "bare cbr", "vbr", "bare vbr"],
)
def test_mp3_under_other_tags(tmp_path, seconds, how):
    path = make(tmp_path, "a.mp3", seconds, **how)
    want, bare, other = name_of(path), without_id3v2(path.read_bytes()), tmp_path / "other.mp3"
    assert len(want) == 32
    for data in (
        bare,
        id3v2() + bare,
        id3v2(300_000) + bare,
        id3v2(20) + id3v2() + bare,
        bare + id3v1(),
        bare + apev2(),
        bare + apev2() + id3v1(),
        id3v2() + bare + apev2() + id3v1(),
    ):
        assert written(other, data) == want
    assert name_of(remux(path, other, TAGS)) == want, "ffmpeg adds a Xing header"


@pytest.mark.parametrize("seconds", SECONDS)
def test_flac_under_other_tags(tmp_path, seconds):
    path = make(tmp_path, "a.flac", seconds)
    want, data, other = name_of(path), path.read_bytes(), tmp_path / "other.flac"
    for n_padding, n_picture in ((0, 0), (8192, 200_000), (500_000, 10)):
        assert written(other, flac_with_blocks(data, n_padding, n_picture)) == want
    assert written(other, id3v2() + data) == want
    assert written(other, data + id3v1()) == want
    assert name_of(remux(path, other, TAGS)) == want


@pytest.mark.parametrize("seconds", SECONDS)
def test_wav_under_other_tags(tmp_path, seconds):
    path = make(tmp_path, "a.wav", seconds)
    want, data, other = name_of(path), path.read_bytes(), tmp_path / "other.wav"
    assert written(other, wav_with_chunks(data, b"Title", id3v2())) == want
    assert written(other, wav_with_chunks(data, b"T" * 99_999, id3v2(1001))) == want
    assert name_of(remux(path, other, TAGS)) == want


@pytest.mark.parametrize("seconds", SECONDS)
@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("a.m4a", {}),
        ("a.m4a", {"codec": "alac"}),
        ("a.opus", {}),
        ("a.ogg", {"codec": "vorbis"}),
        *((f"a.{extension}", {}) for extension in ("oga", "wv", "wma", "aiff", "mka", "aac")),
    ],
)
def test_other_containers_under_other_tags(tmp_path, seconds, name, how):
    path = make(tmp_path, name, seconds, **how)
    want = name_of(path)
    assert name_of(remux(path, tmp_path / f"other-{name}", TAGS)) == want
    if name == "a.m4a":  # the index before the audio
        assert name_of(remux(path, tmp_path / f"fast-{name}", TAGS, movflags="faststart")) == want
    copy = tmp_path / "sub" / ("renamed " + name)
    copy.parent.mkdir()
    shutil.copy(path, copy)
    assert name_of(copy) == want


def test_m4a_with_a_larger_tag_in_place(tmp_path):
    """What a tag editor does when the tags grow: everything behind them moves, and the table of offsets with it."""
    path = make(tmp_path, "a.m4a", 36.0)
    fast = remux(path, tmp_path / "fast.m4a", {}, movflags="faststart")
    data = bytearray(fast.read_bytes())
    grown = 54_321
    moov = data.index(b"moov") - 4
    size = int.from_bytes(data[moov : moov + 4], "big")
    free = struct.pack(">I", grown) + b"free" + bytes(grown - 8)
    at = data.index(b"stco")
    for i in range(int.from_bytes(data[at + 8 : at + 12], "big")):
        place = slice(at + 12 + 4 * i, at + 16 + 4 * i)
        data[place] = (int.from_bytes(data[place], "big") + grown).to_bytes(4, "big")
    changed = bytes(data[: moov + size]) + free + bytes(data[moov + size :])
    assert written(tmp_path / "grown.m4a", changed) == name_of(path)


@pytest.mark.parametrize("segment", ["start", "middle", "end"])
def test_other_segments_have_a_hash_of_their_own(tmp_path, segment):
    path = make(tmp_path, "a.mp3", 70.0)
    other = tmp_path / "b.mp3"
    other.write_bytes(id3v2() + path.read_bytes() + id3v1())
    assert name_of(other, segment) == name_of(path, segment) != name_of(path)


@pytest.mark.parametrize("name", ["a.mp3", "a.flac", "a.m4a", "a.opus", "a.wav"])
def test_other_recordings_have_other_hashes(tmp_path, name):
    names = [name_of(make(tmp_path, name, seconds, seed=seed)) for seconds in (5.0, 40.0) for seed in (0, 1)]
    assert len(set(names)) == 4


@pytest.mark.parametrize("name", ["a.flac", "a.wav", "a.mp3"])
def test_changed_audio_has_another_hash(tmp_path, name):
    x = music(40.0)
    before = name_of(encode(tmp_path / name, x, RATE))
    x[:, 20 * RATE] += 0.3  # one sample, in the middle of the middle window
    assert name_of(encode(tmp_path / name, x, RATE)) != before


def test_codec_and_duration_count(tmp_path):
    silence = np.zeros((1, 60 * 8000), np.float32)
    names = set()
    for name, codec in (("a.wav", None), ("b.wav", "pcm_alaw"), ("a.flac", None)):
        for seconds in (40, 50, 60):
            names.add(name_of(encode(tmp_path / name, silence[:, : seconds * 8000], 8000, codec=codec)))
    assert len(names) == 9
