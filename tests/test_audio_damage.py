"""Damaged, odd and impossible files: decoded to finite samples, or refused with a sentence. Nothing in between."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from test_audio_sounds import RATE, VBR, make, music

from volna.audio import decode, encode, open_audio
from volna.errors import AudioError

ODD = Path(__file__).parents[2] / "shared" / "data" / "odd_files"
MAIN = ("a.mp3", "vbr.mp3", "a.flac", "a.m4a", "a.opus", "a.wav", "a.wv", "a.wma", "a.aac", "a.aiff", "a.mka", "a.tta")


def heard(path):
    """Seconds in every window of the usual segment, and the duration the file turned out to have."""
    with open_audio(path) as file:
        windows = file.decode(file.read_segment(), 8000)
        assert all(np.isfinite(w).all() for w in windows)
        return [len(w) / 8000 for w in windows], file.duration_s


def refused(path):
    with pytest.raises(AudioError) as caught:
        heard(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    return message.removeprefix(f"{path}: ")


def test_files_that_cannot_be_opened_say_why(tmp_path):
    assert refused(tmp_path / "missing.mp3") == "there is no such file"
    assert refused(tmp_path) == "this is a folder, not a file"
    (tmp_path / "empty.mp3").touch()
    assert refused(tmp_path / "empty.mp3") == "the file is empty"
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.mp3")
        assert refused(tmp_path / "pipe.mp3") == "this is not a regular file"
    assert "cannot be opened" in refused("zero\x00.mp3")
    assert "cannot be opened" in refused(tmp_path / ("x" * 300))


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission(tmp_path):
    path = make(tmp_path, "a.wav", 0.5)
    path.chmod(0)
    assert refused(path) == "no permission to read this file"


@pytest.mark.parametrize(
    "data",
    [b"hello, world\n" * 99, b"\x89PNG\r\n\x1a\n" + bytes(500), b"ID3\x03\x00\x00\x00\x00\x00\x00", b"\x00" * 999],
)
def test_what_is_no_audio_says_so(tmp_path, data):
    path = tmp_path / "song.mp3"
    path.write_bytes(data)
    assert refused(path)


def test_a_film_without_sound_says_so(tmp_path):
    import av

    path = tmp_path / "film.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 32
        stream.pix_fmt = "yuv420p"
        container.mux(stream.encode(av.VideoFrame(32, 32, "yuv420p")))
        container.mux(stream.encode(None))
    assert refused(path) == "there is no audio in this file"


@pytest.mark.parametrize("name", [name for name in MAIN if name != "a.m4a"])
@pytest.mark.parametrize("seconds", [5.0, 50.0])
def test_a_file_broken_off_late_is_taken_for_what_it_holds(tmp_path, name, seconds):
    path = make(tmp_path, name, seconds, **({"options": VBR} if name == "vbr.mp3" else {}))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 7 // 10])
    windows, duration_s = heard(path)
    assert 0.3 * seconds < duration_s < 0.85 * seconds
    if seconds > 30:
        assert all(9.5 < window <= 10.0 for window in windows)


@pytest.mark.parametrize("name", ["a.mp3", "vbr.mp3", "a.flac", "a.wv", "a.tta", "a.mka", "a.aiff"])
def test_a_file_broken_off_early_says_what_was_expected_and_what_came(tmp_path, name):
    path = make(tmp_path, name, 50.0, **({"options": VBR} if name == "vbr.mp3" else {}))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 4])
    message = refused(path)
    assert message.startswith("expected ")
    assert "declares 0:50" in message


def test_an_m4a_without_its_index_is_refused(tmp_path):
    path = make(tmp_path, "a.m4a", 5.0)
    path.write_bytes(path.read_bytes()[:-4000])
    assert refused(path)


@pytest.mark.parametrize("name", ["a.flac", "a.m4a", "a.opus"])
def test_a_hole_in_a_window_is_an_error(tmp_path, name):
    path = make(tmp_path, name, 50.0)
    data = bytearray(path.read_bytes())
    hole = slice(len(data) * 45 // 100, len(data) * 55 // 100)
    data[hole] = np.random.default_rng(0).bytes(hole.stop - hole.start)
    path.write_bytes(data)
    assert refused(path)


@pytest.mark.parametrize("name", ["a.mp3", "a.flac", "a.m4a", "a.aac"])
def test_a_scratch_is_forgiven(tmp_path, name):
    path = make(tmp_path, name, 50.0)
    data = bytearray(path.read_bytes())
    at = len(data) // 2
    data[at : at + 100] = np.random.default_rng(0).bytes(100)
    path.write_bytes(data)
    windows, _ = heard(path)
    assert all(9.0 <= seconds <= 10.0 for seconds in windows)


def float_wav(path, samples):
    data = np.asarray(samples, "<f4").tobytes()
    head = struct.pack("<IHHIIHH", 16, 3, 1, 8000, 32000, 4, 32)
    path.write_bytes(
        b"RIFF" + struct.pack("<I", 36 + len(data)) + b"WAVEfmt " + head + b"data" + struct.pack("<I", len(data)) + data
    )
    return path


@pytest.mark.parametrize(
    ("value", "said"), [(np.nan, "no numbers"), (np.inf, "no numbers"), (32768.0, "32768 times beyond")]
)
def test_samples_that_are_none_are_refused(tmp_path, value, said):
    x = music(2.0, 8000, 1)[0]
    x[5000] = value
    message = refused(float_wav(tmp_path / "x.wav", x))
    assert "expected samples between -1 and 1" in message
    assert said in message


def test_samples_somewhat_beyond_full_scale_are_not(tmp_path):
    x = 6 * music(2.0, 8000, 1)[0]
    np.testing.assert_allclose(decode(float_wav(tmp_path / "x.wav", x), sample_rate=8000), x)


@pytest.mark.parametrize("total", [0, 1, 10**10])
def test_a_wrong_number_of_samples_in_flac(tmp_path, total):
    """STREAMINFO may say nothing, too little, or what no file of this size can hold."""
    path = make(tmp_path, "a.flac", 40.0)
    data = bytearray(path.read_bytes())
    data[21] = data[21] & 0xF0 | total >> 32
    data[22:26] = (total & 0xFFFFFFFF).to_bytes(4, "big")
    path.write_bytes(data)
    if total == 10**10:
        assert "declares" in refused(path)
    else:
        windows, duration_s = heard(path)
        assert duration_s == pytest.approx(40.0, abs=0.2)
        assert windows == [10.0] * 3


@pytest.mark.parametrize("size", [0, 1, 0xFFFFFFFF])
def test_a_wrong_size_in_wav(tmp_path, size):
    path = make(tmp_path, "a.wav", 40.0)
    data = bytearray(path.read_bytes())
    at = data.index(b"data") + 4
    data[at : at + 4] = struct.pack("<I", size)
    path.write_bytes(data)
    if size == 1:  # a file that says it is empty is believed
        assert refused(path)
    else:
        assert heard(path) == ([10.0] * 3, pytest.approx(40.0))


def test_a_flac_header_that_contradicts_its_frames(tmp_path):
    """The frames are right, as they are where the bit depth changes; libav holds to the header and has to be helped."""
    x = music(4.0, RATE, 1)
    path = encode(tmp_path / "a.flac", x, RATE)
    data = bytearray(path.read_bytes())
    data[20] |= 0x01  # STREAMINFO now claims 24 bits instead of 16
    data[21] = data[21] & 0x0F | 0x70
    path.write_bytes(data)
    np.testing.assert_allclose(decode(path, sample_rate=RATE), x[0], atol=2**-14)


def test_noise_in_place_of_files_never_raises_anything_else(tmp_path):
    rng = np.random.default_rng(1)
    n_refused = 0
    for i in range(120):
        name = MAIN[i % len(MAIN)]
        path = make(tmp_path, name, 3.0)
        data = bytearray(path.read_bytes())
        n = len(data)
        kind = i // len(MAIN) % 4
        if kind == 0:
            data = data[: rng.integers(1, n)]
        elif kind == 1:
            for at in rng.integers(0, min(n, 400), 12):
                data[at] = rng.integers(0, 256)
        elif kind == 2:
            for at in rng.integers(0, n, 200):
                data[at] = rng.integers(0, 256)
        else:
            del data[rng.integers(0, n // 2) : rng.integers(n // 2, n)]
        path.write_bytes(data)
        try:
            heard(path)
        except AudioError:
            n_refused += 1
    assert 10 < n_refused < 110


SCAN = """
import sys, numpy as np
from pathlib import Path
from volna.audio import open_audio
from volna.errors import AudioError
for path in sorted(p for p in Path(sys.argv[1]).rglob("*") if p.is_file()):
    print("?", path.relative_to(sys.argv[1]), flush=True)
    try:
        with open_audio(path) as file:
            windows = file.decode(file.read_segment(), 16000)
        assert all(np.isfinite(w).all() and len(w) for w in windows)
        print("+", path.relative_to(sys.argv[1]), flush=True)
    except AudioError as error:
        print("-", path.relative_to(sys.argv[1]), "|", str(error).removeprefix(f"{path}: "), flush=True)
"""
VALID = ("decoder_flac/uncommon", "decoder_wavefile", "decoder_corrupt_real_flac", "decoder_hound")
NOT_VALID = ("fuzz/", "ieeefloat")  # those of 32-bit floats hold 1019 and -16411, far beyond full scale


@pytest.mark.skipif(not ODD.is_dir(), reason="no folder of odd files beside the checkout")
def test_every_odd_file_is_decoded_or_refused():
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", SCAN, str(ODD)], capture_output=True, text=True, timeout=120, check=False
    )
    lines = done.stdout.splitlines()
    assert done.returncode == 0, (lines[-1:], done.stderr[-2000:])
    assert done.stderr == ""
    results = [line for line in lines if line[0] in "+-"]
    assert len(results) == sum(path.is_file() for path in ODD.rglob("*"))
    for line in results:
        name = line[2:].split(" | ")[0]
        if name.startswith(VALID) and not any(part in name for part in NOT_VALID):
            assert line[0] == "+", line
        if line[0] == "-":
            assert len(line.split(" | ")[1]) > 10, line
