"""How fast a library of 100 000 tracks is searched, and in how much memory.

    python benchmarks/search.py [--tracks 100000] [--keep FOLDER]

Makes a catalogue of clustered vectors (the descriptors' length, and latents of 64), its index, and prints, from this
one run: making both, a query once loaded, filters, many queries at once, a whole process from start to output, its
peak memory, and the recall against sorting everything in float64 (1.000: the search is exact). Beside the time on the
clock stands the processors' time, which a busy machine changes less.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from safetensors.numpy import save

from volna.features.recipe import DESCRIPTOR_NAMES, DESCRIPTOR_WEIGHTS, FEATURES_VERSION
from volna.library.index import Index, Settings, index_folder, open_index
from volna.library.store import Analysed, Catalogue
from volna.library.tags import Tags
from volna.vectors import FUSION
from volna.workflows.common import keep_model

LATENT = 64
N_CLUSTERS = 400
BATCH = 5_000
MODEL = "0123456789abcdef"

PROCESS = """
import sys, resource
from pathlib import Path
from volna.library.index import index_folder, open_index
from volna.library.store import Catalogue
with Catalogue.open(sys.argv[1]) as catalogue:
    names = {"descriptors": catalogue.descriptor_space, "autoencoder": catalogue.active_model().id}
    index = open_index(catalogue, names, index_folder(catalogue.path))
    ids, similar = index.search("both", index.rows("both", [int(sys.argv[2])]), 20)
    for row in catalogue.tracks(ids[0].tolist()):
        print(row.artist, row.title)
status = Path("/proc/self/status")  # what getrusage says on Linux counts the parent's memory at the fork, too
if status.exists():
    print(int(status.read_text().split("VmHWM:")[1].split()[0]) * 1024, file=sys.stderr)
else:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)
"""


def clustered(n: int, dim: int, seed: int) -> np.ndarray:
    """Vectors around some hundred centres, float32 (n, dim)."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((N_CLUSTERS, dim), dtype=np.float32)
    return centres[np.arange(n) % N_CLUSTERS] + rng.standard_normal((n, dim), dtype=np.float32)


def fill(catalogue: Catalogue, n: int) -> None:
    """Record n tracks with descriptors and latents."""
    catalogue.use_features(FEATURES_VERSION)
    keep_model(catalogue, MODEL, save({"reading.scale": np.ones(LATENT, np.float32)}), n, LATENT)
    descriptors, latents = clustered(n, len(DESCRIPTOR_NAMES), 0), clustered(n, LATENT, 1)
    for start in range(0, n, BATCH):
        catalogue.record(
            analysed=[track(at, descriptors[at], latents[at]) for at in range(start, min(n, start + BATCH))],
            vector_space=MODEL,
        )
    catalogue.activate_model(MODEL)


def track(at: int, descriptors: np.ndarray, vector: np.ndarray) -> Analysed:
    tags = Tags(f"Artist {at % 9000}", f"Album {at % 20000}", f"Title {at}", 1960 + at % 60, f"Genre {at % 30}", 1)
    path = f"/music/{at % 9000}/{at % 20000}/{at}.mp3"
    return Analysed(
        path, 5_000_000, at, tags, f"{at:032x}", 120.0 + at % 200, False, 60.0 + at % 100, descriptors, vector
    )


def open_it(catalogue: Catalogue) -> Index:
    names = {"descriptors": catalogue.descriptor_space, "autoencoder": MODEL}
    settings = Settings(weights={"descriptors": DESCRIPTOR_WEIGHTS})
    return open_index(catalogue, names, index_folder(catalogue.path), settings=lambda: settings)


Times = tuple[float, float]  # on the clock and of the processors, seconds


def say(what: str, times: Times, note: str = "") -> None:
    print(f"{what:<50}{1000 * times[0]:>10.1f} ms {1000 * times[1]:>10.1f} ms CPU  {note}", flush=True)


def clocks() -> Times:
    used = os.times()
    return time.perf_counter(), used.user + used.system + used.children_user + used.children_system


def time_of(action: Callable[[], object]) -> Times:
    before = clocks()
    action()
    after = clocks()
    return after[0] - before[0], after[1] - before[1]


def median_of(action: Callable[[], object], repeats: int = 15) -> Times:
    """Median on the clock, mean of the processors (their clock ticks in hundredths of a second)."""
    action()
    times = np.array([time_of(action) for _ in range(repeats)])
    return float(np.median(times[:, 0])), float(times[:, 1].mean())


def recall(index: Index, space: str, queries: np.ndarray, k: int = 20) -> float:
    """Share of the true k nearest, sorted in float64, that the search returns."""
    ids = index.ids(space)
    rows = index.rows(space, ids).astype(np.float64)
    found, _ = index.search(space, index.rows(space, queries), k, hub_weight=0)
    truth = [set(ids[np.argsort(-(rows @ rows[np.searchsorted(ids, query)]))[:k]].tolist()) for query in queries]
    return float(np.mean([len(true & set(row)) / k for true, row in zip(truth, found.tolist(), strict=True)]))


def loaded(catalogue: Catalogue, index: Index) -> None:
    """Queries of an open index."""
    for space in (*FUSION, "both"):
        row = index.rows(space, [77])
        say(
            f"similar, {space}, loaded",
            median_of(lambda space=space, row=row: index.search(space, row, 21, exclude=[77])),
        )
    where = [("genre", "=", "Genre 7"), ("bpm", "range", (90, 130))]
    row = index.rows("both", [77])
    say("similar, both, with a genre and a tempo", median_of(lambda: index.search("both", row, 21, where=where), 5))
    many = index.rows("both", np.arange(1, 101))
    wall, used = median_of(lambda: index.search("both", many, 20), 3)
    say("100 queries at once, each", (wall / 100, used / 100))
    print(f"{'recall@20 against brute force':<50}{recall(index, 'both', np.arange(1, 400, 20)):>10.3f}")


def process(command: list[str], name: str) -> None:
    """A whole process, from start to its last line."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    last: list[subprocess.CompletedProcess[str]] = []

    def run() -> None:
        done = subprocess.run([sys.executable, *command], capture_output=True, text=True, env=environment, check=False)
        last[:] = [done]

    times = median_of(run, 5)
    lines = last[0].stderr.strip().splitlines()[-1:]
    if last[0].returncode:
        print(f"{name}: not measured ({lines})")
    else:
        say(name, times, f"peak {float(lines[0]) / 1e6:.0f} MB" if lines and lines[0].isdigit() else "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tracks", type=int, default=100_000)
    parser.add_argument("--keep", type=Path, help="folder for the library; used again when it is there")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="volna-search-") as folder:
        path = (options.keep or Path(folder)) / "library.db"
        path.parent.mkdir(parents=True, exist_ok=True)
        known = path.exists()
        with Catalogue.open(path, create=True) as catalogue:
            if not known:
                say(f"recording {options.tracks} tracks", time_of(lambda: fill(catalogue, options.tracks)))
            note = "(already there: opened)" if index_folder(path).exists() else ""
            say("making the index", time_of(lambda: open_it(catalogue)), note)
            say("opening the index", median_of(lambda: open_it(catalogue), 5))
            loaded(catalogue, open_it(catalogue))
        process(["-c", PROCESS, str(path), "77"], "process: open, search both, print 20 tracks")
        process(["-m", "volna", "similar", "77", "--library", str(path)], "process: volna similar")


if __name__ == "__main__":
    main()
