"""A second `volna index` over a large library with nothing new: seconds, stage by stage, and next to a bare walk.

Makes that many small files in folders of a hundred, and a catalogue that knows them all, with descriptors and vectors
of a model, in a folder of its own that it removes. Prints each stage, what a bare `os.walk` with `os.stat` of the same
files costs, and the whole command in a fresh process. The files are in the disk's cache: a cold disk adds its own time.

Run: python benchmarks/reindex.py [FILES, default 100000]
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np

from volna.features.recipe import DESCRIPTOR_NAMES, FEATURES_VERSION
from volna.library.scan import compare, walk
from volna.library.store import Analysed, Catalogue
from volna.library.tags import from_path
from volna.workflows.common import keep_model

DIM = 64
BATCH = 1000
T = TypeVar("T")


def make_files(root: Path, n_files: int) -> list[Path]:
    """Small files in folders like those of a collection."""
    paths = []
    for n in range(n_files):
        folder = root / f"Artist {n // 1000:03d} ä" / f"Album {n // 100:04d}"
        if n % 100 == 0:
            folder.mkdir(parents=True, exist_ok=True)
        paths.append(folder / f"{n % 100:02d} - Artist {n // 1000} - A title of usual length {n}.mp3")
        paths[-1].write_bytes(b"ID3" + n.to_bytes(4, "big"))
    return paths


def make_library(library: Path, paths: list[Path]) -> None:
    """A catalogue that knows the files as they are, with a model and its vectors."""
    rng = np.random.default_rng(0)
    with Catalogue.open(library, create=True) as catalogue:
        catalogue.use_features(FEATURES_VERSION)
        catalogue.set_setting("segment", "spread")
        keep_model(catalogue, "benchmark", b"", trained_on=len(paths), dim=DIM)
        catalogue.activate_model("benchmark")
        for start in range(0, len(paths), BATCH):
            rows = [_row(path, rng) for path in paths[start : start + BATCH]]
            catalogue.record(analysed=rows, vector_space="benchmark")


def _row(path: Path, rng: np.random.Generator) -> Analysed:
    status = path.stat()
    return Analysed(
        path=str(path),
        size=status.st_size,
        mtime_ns=status.st_mtime_ns,
        tags=from_path(path),
        audio_hash=rng.bytes(16).hex(),
        duration_s=200.0,
        short=False,
        tempo_bpm=120.0,
        descriptors=rng.random(len(DESCRIPTOR_NAMES), dtype=np.float32),
        vector=rng.random(DIM, dtype=np.float32),
    )


def bare_walk(root: Path) -> int:
    """Every file's status, and nothing else."""
    return sum(len([os.stat(os.path.join(top, name)) for name in names]) for top, _, names in os.walk(root))


def timed(name: str, work: Callable[[], T], bare_s: float | None = None) -> tuple[T, float]:
    """Do it, print how long it took, give back both."""
    started = time.perf_counter()
    result = work()
    seconds = time.perf_counter() - started
    ratio = f"{seconds / bare_s:>10.1f}" if bare_s else ""
    print(f"{name:<44}{seconds:>9.2f}{ratio}", flush=True)
    return result, seconds


def stages(root: Path, library: Path) -> None:
    """The stages of a run in this process."""
    print(f"{'':<44}{'seconds':>9}{'x bare':>10}")
    _, bare_s = timed("bare os.walk and os.stat", lambda: bare_walk(root), None)
    catalogue, _ = timed("open the library", lambda: Catalogue.open(library), bare_s)
    with catalogue:
        known, _ = timed("read what is known", lambda: catalogue.files_under([root]), bare_s)
        scan, _ = timed("walk", lambda: walk([root], known=known), bare_s)
        changes, _ = timed("compare", lambda: compare(scan, known, features_version=FEATURES_VERSION), bare_s)
        assert len(changes.unchanged) == len(known), "something was new"
        hashes, _ = timed("read the hashes", catalogue.track_ids_by_hash, bare_s)
        assert len(hashes) == len(known)


def command(root: Path, library: Path) -> None:
    """The whole command in a fresh process, nothing new to it."""
    call = [sys.executable, "-m", "volna", "index", str(root), "--library", str(library), "--json"]
    done, _ = timed("volna index, the whole command", lambda: subprocess.run(call, capture_output=True, text=True))
    unit = 1 if sys.platform == "darwin" else 1024  # ru_maxrss is in bytes there, in kilobytes elsewhere
    peak_mb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * unit / 1e6
    print(f"its peak memory: {peak_mb:.0f} MB\n{(done.stdout or done.stderr).strip().splitlines()[-1]}")


def main() -> None:
    n_files = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    with tempfile.TemporaryDirectory(prefix="volna-reindex-") as folder:
        root, library = Path(folder) / "music", Path(folder) / "library.db"
        paths, _ = timed(f"(make {n_files} files)", lambda: make_files(root, n_files))
        timed("(make the library)", lambda: make_library(library, paths))
        stages(root, library)
        command(root, library)


if __name__ == "__main__":
    main()
