"""Sounds made on the spot, a library of one's own for every test, and a small model trained once."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

SAMPLE_RATE = 16_000


@pytest.fixture(autouse=True)
def own_folders(tmp_path, monkeypatch):
    """No test sees, or touches, the library of whoever runs it."""
    monkeypatch.setenv("VOLNA_LIBRARY", str(tmp_path / "own" / "library.db"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "own"))
    monkeypatch.setenv("HOME", str(tmp_path / "own"))
    (tmp_path / "own").mkdir()


def sound(seed: int, duration_s: float = 4.0) -> np.ndarray:
    """A tune that no other seed plays: plucked tones at a tempo over soft noise, float32 ``(n,)``."""
    rng = np.random.default_rng(seed)
    seconds = np.arange(round(duration_s * SAMPLE_RATE)) / SAMPLE_RATE
    beat_s = rng.uniform(0.3, 0.7)
    since_beat = seconds % beat_s
    notes = rng.choice([220.0, 261.6, 329.6, 392.0, 523.3, 659.3], size=64)
    pitch = notes[(seconds // beat_s).astype(int) % 64]
    overtones = sum(np.sin(2 * np.pi * k * pitch * seconds) * rng.uniform(0.1, 1) / k for k in range(1, 6))
    samples = 0.2 * overtones * np.exp(-since_beat * rng.uniform(2, 9))
    return (samples + rng.uniform(0.001, 0.03) * rng.standard_normal(len(seconds))).astype(np.float32)


@pytest.fixture
def make_music(tmp_path):
    """A function that writes ``n`` tagged sounds into a folder and returns their paths."""
    from volna.audio.encode import encode

    def make(n: int, folder: str = "music", *, extension: str = "wav", duration_s: float = 4.0, first: int = 0):
        paths = []
        for seed in range(first, first + n):
            path = tmp_path / folder / f"artist {seed % 5} - tune {seed}.{extension}"
            path.parent.mkdir(parents=True, exist_ok=True)
            tags = {"artist": f"artist {seed % 5}", "title": f"tune {seed}", "album": f"album {seed % 3}"}
            tags |= {"genre": ("folk", "noise")[seed % 2], "date": str(1980 + seed)}
            encode(path, sound(seed, duration_s), SAMPLE_RATE, tags=tags)
            paths.append(path)
        return paths

    return make


@pytest.fixture
def library(tmp_path) -> Path:
    """Where the library of a test goes."""
    return tmp_path / "library.db"


@pytest.fixture(scope="session")
def real_sounds() -> Path:
    """The folder of real sounds beside the checkout; tests that want it are skipped where it is absent."""
    folder = Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("needs the folder of real sounds beside the checkout")
    return folder


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    """Numeric libraries in children of tests keep to one thread, as the machine is shared by the suite."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
