"""How long `volna index` takes on a new library, without an option: 30 tracks, 3 000, and 100 000 extrapolated.

    python benchmarks/indexing.py [--tracks 30 1000 3000] [--keep FOLDER] [--train-time 300] [--jobs 1 2]

Makes that many MP3 of 30 s, each a different collage of synthesised music, indexes them into a new library in a child
process, and prints for each size: seconds in all, seconds of training, tracks per second of the rest, peak memory of
the largest process. The last line extrapolates 100 000 tracks from the rate of the largest size: it is not measured.
With ``--jobs 1 2`` it prints what a second process is worth on the descriptors of the smallest size of at least 200.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from volna.audio.encode import encode
from volna.synthesis import SAMPLE_RATE_HZ, render, styles

DURATION_S, PIECE_S = 30, 5
N_BASES = 4  # clips of each style that the collages are cut from
LARGE = 100_000
N_TURNS = 3


def bases() -> list[np.ndarray]:
    """Clips of every style, the same in every run."""
    return [render(style, np.random.default_rng([n, k])) for k, style in enumerate(styles()) for n in range(N_BASES)]


def make_one(arguments: tuple[list[np.ndarray], int, Path]) -> None:
    """One track: pieces of one or two clips at random places and levels, so that no two tracks are the same."""
    clips, number, path = arguments
    rng = np.random.default_rng(number)
    chosen = [clips[i] for i in rng.integers(0, len(clips), 2)]
    n_piece = PIECE_S * SAMPLE_RATE_HZ
    pieces = []
    for _ in range(DURATION_S // PIECE_S):
        clip = chosen[int(rng.random() < 0.2)]
        start = int(rng.integers(0, len(clip) - n_piece))
        pieces.append(clip[start : start + n_piece] * rng.uniform(0.5, 1.0))
    encode(path, np.concatenate(pieces).astype(np.float32), SAMPLE_RATE_HZ, bit_rate=96_000)


def make_music(folder: Path, n: int) -> None:
    """Write the tracks that are not there yet."""
    clips = bases()
    paths = [folder / f"{number // 100:04d}" / f"{number:06d}.mp3" for number in range(n)]
    for parent in {path.parent for path in paths}:
        parent.mkdir(parents=True, exist_ok=True)
    wanted = [(clips, number, path) for number, path in enumerate(paths) if not path.exists()]
    with ProcessPoolExecutor() as pool:
        list(pool.map(make_one, wanted, chunksize=16))


def index(folders: list[Path], library: Path, *options: str) -> dict[str, Any]:
    """Run `volna index` in a process of its own; its JSON, with wall seconds and peak memory of the largest process."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-m", "volna", "index", *map(str, folders), "--library", str(library), "--json"]
    started = time.perf_counter()
    done = subprocess.run([*command, *options], env=environment, stdout=subprocess.PIPE, check=True)
    summary: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return summary | {"wall_s": time.perf_counter() - started, "peak_mb": peak / 1e6}


def training_seconds(library: Path) -> float:
    """What the training took, as the checkpoint says; 0 without a model."""
    from volna.library.store import Catalogue
    from volna.models.checkpoint import from_bytes

    with Catalogue.open(library) as catalogue:
        model = catalogue.active_model()
        return float(from_bytes(catalogue.model_bytes(model.id)).summary["seconds"]) if model else 0.0


def folders_of(music: Path, n: int) -> list[Path]:
    """The files of a size, as paths to index: whole folders of a hundred, and single files for the rest."""
    folders = [music / f"{number:04d}" for number in range(n // 100)]
    return folders + sorted((music / f"{n // 100:04d}").glob("*.mp3"))[: n % 100]


def main() -> None:
    """Make, index, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tracks", type=int, nargs="+", default=[30, 1000, 3000])
    parser.add_argument("--train-time", default="300")
    parser.add_argument("--jobs", type=int, nargs="*", default=[])
    parser.add_argument("--keep", type=Path, help="make the music here and leave it")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        music = (arguments.keep or Path(temporary)) / "music"
        make_music(music, max(arguments.tracks))
        seconds_a_track, training_s = 0.0, 0.0
        for n in sorted(arguments.tracks):
            library = Path(temporary) / f"{n}.db"
            summary = index(folders_of(music, n), library, "--train-time", arguments.train_time)
            training_s = training_seconds(library)
            rest_s = summary["wall_s"] - training_s
            seconds_a_track = rest_s / n
            print(
                f"{n:7d} tracks: {summary['wall_s']:7.1f} s in all, training {training_s:5.1f} s, "
                f"{1 / seconds_a_track:5.1f} tracks/s besides, peak {summary['peak_mb']:.0f} MB, "
                f"model {summary['model'] or 'none'}",
                flush=True,
            )
        hours = (LARGE * seconds_a_track + training_s) / 3600
        print(f"{LARGE:7d} tracks, extrapolated from that rate: {hours:.1f} h")
        n = min((size for size in arguments.tracks if size >= 200), default=max(arguments.tracks))
        rates: dict[int, list[float]] = {jobs: [] for jobs in arguments.jobs}
        for turn in range(N_TURNS):  # in turn, so that a busy moment of the machine does not fall on one of them
            for jobs in arguments.jobs:
                library = Path(temporary) / f"jobs-{jobs}-{turn}.db"
                summary = index(folders_of(music, n), library, "--train-time", "0", "--jobs", str(jobs))
                rates[jobs].append(n / summary["wall_s"])
        for jobs in arguments.jobs:
            ratios = sorted(rate / first for rate, first in zip(rates[jobs], rates[arguments.jobs[0]], strict=True))
            shown = ", ".join(f"{ratio:.2f}" for ratio in ratios)
            print(f"{jobs} process(es): {np.median(rates[jobs]):.1f} tracks/s; ratio {np.median(ratios):.2f} ({shown})")


if __name__ == "__main__":
    main()
