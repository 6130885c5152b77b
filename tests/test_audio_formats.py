"""Which files are audio, by name and by their first bytes."""

from __future__ import annotations

import os

import numpy as np
import pytest
from test_audio_sounds import id3v2, make

from volna.audio import AUDIO_EXTENSIONS, looks_like_audio
from volna.audio.encode import ENCODERS


def test_the_formats_people_have_are_known_by_extension():
    common = ".mp3 .flac .ogg .oga .opus .m4a .m4b .mp4 .aac .wav .aif .aiff .wma .wv .ape .mpc .tta .dsf .ac3 .mka"
    assert set(common.split()) <= AUDIO_EXTENSIONS
    assert all(extension == extension.lower() and extension[0] == "." for extension in AUDIO_EXTENSIONS)
    assert set(ENCODERS) <= AUDIO_EXTENSIONS


def test_what_is_no_audio_is_not():
    others = ".jpg .png .txt .nfo .cue .log .m3u .m3u8 .pls .mid .mod .mkv .avi .mov .webm .pdf .lrc .ts .ra.txt"
    assert not set(others.split()) & AUDIO_EXTENSIONS


@pytest.mark.parametrize("extension", sorted(set(ENCODERS) - {".mka", ".mp4", ".wma"}))  # mostly films
def test_every_format_is_known_by_its_first_bytes(tmp_path, extension):
    path = make(tmp_path, "sound" + extension, 0.5)
    nameless = path.rename(tmp_path / "nameless")
    assert looks_like_audio(nameless)


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"\xff",
        b"\xff\xfeH\x00e\x00l\x00l\x00o\x00",  # UTF-16 text
        b"\xff\xd8\xff\xe0\x00\x10JFIF\x00",
        b"\x89PNG\r\n\x1a\n",
        b"#EXTM3U\n",
        b"MThd\x00\x00\x00\x06",
        b"RIFF\x00\x00\x00\x00AVI LIST",
        b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00",
        b"OggS\x00\x02" + bytes(22) + b"\x80theora\x03\x02",
        b"%PDF-1.7",
    ],
)
def test_other_files_do_not_look_like_audio(tmp_path, head):
    path = tmp_path / "file"
    path.write_bytes(head)
    assert not looks_like_audio(path)


def test_a_tag_looks_like_audio(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(id3v2(100))
    assert looks_like_audio(path)


def test_missing_files_folders_and_pipes_do_not_look_like_audio(tmp_path):
    assert not looks_like_audio(tmp_path)
    assert not looks_like_audio(tmp_path / "missing")
    assert not looks_like_audio("with\x00zero")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        assert not looks_like_audio(tmp_path / "pipe")


def test_random_bytes_seldom_look_like_audio(tmp_path):
    rng = np.random.default_rng(0)
    path = tmp_path / "noise"
    n = 0
    for _ in range(300):
        path.write_bytes(rng.bytes(64))
        n += looks_like_audio(path)
    assert n <= 3
