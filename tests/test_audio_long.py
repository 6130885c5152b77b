"""Ten hours: the windows are read, not the file; in memory and time that do not grow with it."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from test_audio_sounds import NO_XING, VBR, make, without_id3v2

HOURS = 10
CHILD = """
import sys, tracemalloc
import numpy as np
from volna.audio import open_audio, windows_of

def status(key):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) / 1024 for line in file if line.startswith(key))

read = lambda: int(open("/proc/self/io").read().split()[1]) / 2**20
before, read_before = status("VmHWM"), read()
with open_audio(sys.argv[1]) as file:
    windows = file.decode(file.read_segment(), 16000)
assert [len(w) for w in windows] == [160000] * 3
assert all(np.std(w) > float(sys.argv[2]) for w in windows)
print(file.duration_s, status("VmHWM") - before, read() - read_before)
"""


def measured(path: Path, least_std: float = 0.01) -> tuple[float, float, float]:
    """Duration in seconds, peak memory above that of the imports in MB, and MB read, of one analysis."""
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(path), str(least_std)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    duration_s, memory_mb, read_mb = map(float, done.stdout.split())
    return duration_s, memory_mb, read_mb


@pytest.fixture(scope="module")
def _linux():
    if not os.path.exists("/proc/self/io"):
        pytest.skip("memory and bytes read are taken from /proc, which this system does not have")


def repeated(source: Path, target: Path, times: int) -> Path:
    piece = without_id3v2(source.read_bytes())
    with open(target, "wb") as file:
        for _ in range(times):
            file.write(piece)
    return target


@pytest.mark.usefixtures("_linux")
@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("a.mp3", {"bit_rate": 8000, "container_options": NO_XING}),
        ("vbr.mp3", {"options": VBR, "container_options": NO_XING}),
        ("a.aac", {"bit_rate": 16000}),
    ],
    ids=["constant", "variable", "adts"],
)
def test_ten_hours_of_bare_frames(tmp_path, name, how):
    piece = make(tmp_path, name, 60.0, rate=8000, n_channels=1, **how)
    path = repeated(piece, tmp_path / f"long{piece.suffix}", HOURS * 60)
    duration_s, memory_mb, read_mb = measured(path)
    path.unlink()
    assert duration_s == pytest.approx(HOURS * 3600, rel=0.02)
    assert memory_mb < 60
    assert read_mb < 12


@pytest.mark.usefixtures("_linux")
@pytest.mark.parametrize("declared", [True, False])
def test_ten_hours_of_wav(tmp_path, declared):
    """A sparse file of 576 MB; and one whose header, written before the recording, does not know its length."""
    path = tmp_path / "long.wav"
    n_bytes = HOURS * 3600 * 16000
    size = n_bytes if declared else 0xFFFFFFFF
    with open(path, "wb") as file:
        head = struct.pack("<IHHIIHH", 16, 1, 1, 8000, 16000, 2, 16)
        file.write(b"RIFF" + struct.pack("<I", min(size + 36, 0xFFFFFFFF)) + b"WAVEfmt " + head)
        file.write(b"data" + struct.pack("<I", size))
        file.truncate(44 + n_bytes)
    duration_s, memory_mb, read_mb = measured(path, -1.0)
    path.unlink()
    assert duration_s == pytest.approx(HOURS * 3600)
    assert memory_mb < 60
    assert read_mb < 12
