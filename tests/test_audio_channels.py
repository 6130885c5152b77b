"""Whole files with all their channels: sample by sample what was written, in blocks of any length."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from volna.audio import decode, encode, open_channels, read_channels
from volna.errors import AudioError, InputError

RATE = 22_050
# How far a channel may be from what was written, relative to its level: 16 bits, 24 bits, or none of both.
LOSSLESS = {"a.wav": 1e-4, "a.flac": 1e-4, "a.aiff": 1e-4, "a.wv": 1e-4}
LOSSY = ("a.mp3", "a.ogg", "a.opus", "a.m4a")


def stereo(duration_s: float = 3.3, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    seconds = np.arange(round(duration_s * RATE)) / RATE
    left = 0.4 * np.sin(2 * np.pi * 440 * seconds) + 0.01 * rng.standard_normal(len(seconds))
    right = 0.2 * np.sin(2 * np.pi * 1000 * seconds)
    return np.stack([left, right]).astype(np.float32)


@pytest.mark.parametrize("name", LOSSLESS)
def test_every_channel_comes_back_as_it_was(tmp_path: Path, name: str) -> None:
    written = stereo()
    encode(tmp_path / name, written, RATE)
    samples, sample_rate = read_channels(tmp_path / name)
    assert (sample_rate, samples.shape, samples.dtype) == (RATE, written.shape, np.float32)
    assert np.abs(samples - written).max() < LOSSLESS[name]


@pytest.mark.parametrize("name", [*LOSSLESS, *LOSSY])
def test_the_mix_is_what_decode_gives(tmp_path: Path, name: str) -> None:
    encode(tmp_path / name, stereo(), RATE)
    samples, sample_rate = read_channels(tmp_path / name)
    mono = decode(tmp_path / name, sample_rate=sample_rate)
    n = min(len(mono), samples.shape[1])
    assert abs(len(mono) - samples.shape[1]) <= 1
    assert np.abs(samples[:, :n].mean(axis=0) - mono[:n]).max() < 1e-6


@pytest.mark.parametrize("name", ["a.wav", "a.mp3"])
@pytest.mark.parametrize("block_s", [0.01, 0.5, 1.0, 100.0])
def test_blocks_put_together_are_the_file(tmp_path: Path, name: str, block_s: float) -> None:
    encode(tmp_path / name, stereo(), RATE)
    whole = read_channels(tmp_path / name).samples
    with open_channels(tmp_path / name) as sound:
        blocks = list(sound.blocks(block_s))
        length = round(block_s * sound.sample_rate)
    assert all(block.shape == (2, length) for block in blocks[:-1])
    assert 0 < blocks[-1].shape[1] <= length
    assert np.array_equal(np.concatenate(blocks, axis=1), whole)


@pytest.mark.parametrize("name", ["a.wav", "a.mp3", "a.opus"])
def test_a_span_begins_at_its_very_sample(tmp_path: Path, name: str) -> None:
    encode(tmp_path / name, stereo(), RATE)
    whole, rate = read_channels(tmp_path / name)
    span, _ = read_channels(tmp_path / name, start_s=1.25, duration_s=0.5)
    begin = round(1.25 * rate)
    assert np.array_equal(span, whole[:, begin : begin + round(0.5 * rate)])
    assert read_channels(tmp_path / name, start_s=3.0, duration_s=60.0).samples.shape[1] == whole.shape[1] - 3 * rate


def test_a_span_that_makes_no_sense(tmp_path: Path) -> None:
    encode(tmp_path / "a.wav", stereo(), RATE)
    with pytest.raises(AudioError, match=r"from 9\.0 s of 3\.3 s"):
        read_channels(tmp_path / "a.wav", start_s=9.0)
    for wrong in ({"start_s": -1.0}, {"duration_s": 0.0}, {"start_s": float("nan")}):
        with pytest.raises(InputError, match="span"):
            read_channels(tmp_path / "a.wav", **wrong)


def test_a_file_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("no sound at all, " * 100)
    (tmp_path / "empty.wav").write_bytes(b"")
    for name in ("text.wav", "empty.wav", "missing.wav"):
        with pytest.raises(AudioError, match=name):
            read_channels(tmp_path / name)


def test_a_file_that_was_cut_off_is_told_from_a_whole_one(tmp_path: Path) -> None:
    encode(tmp_path / "a.flac", stereo(10.0), RATE)
    content = (tmp_path / "a.flac").read_bytes()
    (tmp_path / "cut.flac").write_bytes(content[: len(content) // 4])
    with pytest.raises(AudioError, match="truncated or damaged"):
        read_channels(tmp_path / "cut.flac")


def test_samples_that_are_no_numbers(tmp_path: Path) -> None:
    import struct

    for name, value in (("nan.wav", float("nan")), ("huge.wav", 1e9)):
        data = struct.pack("<f", value) * 4000
        form = struct.pack("<HHIIHH", 3, 1, 8000, 32000, 4, 32)  # one channel of float samples
        head = struct.pack("<4sI4s4sI", b"RIFF", 36 + len(data), b"WAVE", b"fmt ", len(form)) + form
        head += struct.pack("<4sI", b"data", len(data))
        (tmp_path / name).write_bytes(head + data)
        with pytest.raises(AudioError, match="expected samples between"):
            read_channels(tmp_path / name)


def test_a_stream_that_changes_its_rate_and_channels(tmp_path: Path) -> None:
    parts = []
    for rate, samples in ((22_050, stereo(1.0)), (44_100, stereo(1.0)[0])):
        encode(tmp_path / "part.mp3", samples, rate, bit_rate=64_000)
        parts.append((tmp_path / "part.mp3").read_bytes())
    (tmp_path / "both.mp3").write_bytes(b"".join(parts))
    samples, rate = read_channels(tmp_path / "both.mp3")
    assert (rate, len(samples)) == (22_050, 2)
    assert samples.shape[1] / rate > 1.2  # the second part lasts half as long, as its rate is doubled


def test_hours_take_the_memory_of_a_block(tmp_path: Path) -> None:
    import tracemalloc

    encode(tmp_path / "long.flac", np.zeros(600 * 8000, np.float32), 8000)
    with open_channels(tmp_path / "long.flac") as sound:
        tracemalloc.start()
        n = sum(block.shape[1] for block in sound.blocks(1.0))
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert n == 600 * 8000
    assert most < 4e6  # the whole is 19 MB
