"""How fast training runs, and where the time goes: ``python benchmarks/training.py [--model conv] [--threads 1 2]``.

Log-mels of noise stand in for music, the speed does not depend on what they hold. Printed: windows a second for each
number of threads (each in a process of its own) and their ratio, the share of drawing batches, how long
the default training takes at that speed, and peak memory. Run it on an idle machine: threads that wait for one another
suffer most from others' work.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time

N_TRACKS, N_MELS, N_FRAMES_OF_WINDOW = 200, 64, 428  # three windows of 10 s at 42.9 frames a second


def measure(model: str, n_threads: int, n_steps: int) -> dict[str, float]:
    import numpy as np

    from volna.training.dataset import MelCache, batches, scan_tracks
    from volna.training.loop import TrainConfig, train

    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        cache = MelCache(folder)
        for i in range(N_TRACKS):
            cache.put(f"{i:04}", [rng.normal(-40, 10, (N_MELS, N_FRAMES_OF_WINDOW)) for _ in range(3)])
        config = TrainConfig(model, max_steps=n_steps, time_budget_s=None, val_every=10**6, n_threads=n_threads)
        started = time.perf_counter()
        summary = train(folder, config).summary
        total_s = time.perf_counter() - started
        draws = batches(cache, scan_tracks(cache)[0], batch_size=config.batch_size)
        started = time.perf_counter()
        for _ in range(10):
            next(draws)
        draw_s = (time.perf_counter() - started) / 10
    return {
        "windows_per_s": summary["windows_per_s"],
        "draw_share": draw_s * summary["windows_per_s"] / (2 * config.batch_size),
        "around_s": total_s - 2 * config.batch_size * n_steps / summary["windows_per_s"],
        "default_s": 2 * config.batch_size * TrainConfig().max_steps / summary["windows_per_s"],
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform == "linux" else 1024**2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="conv", help="a trained one of volna.models.MODELS")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(options.model, options.one, options.steps)))
        return
    print("threads  windows/s  ratio  drawing  before and after  default training  peak memory")
    first = 0.0
    for n in options.threads:
        command = [sys.executable, __file__, "--one", str(n), "--steps", str(options.steps)]
        command += ["--model", options.model]
        got = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])
        first = first or got["windows_per_s"]
        print(
            f"{n:7}  {got['windows_per_s']:9.0f}  {got['windows_per_s'] / first:5.2f}  {got['draw_share']:7.1%}"
            f"  {got['around_s']:14.1f} s  {got['default_s']:14.0f} s  {got['peak_mb']:8.0f} MB"
        )


if __name__ == "__main__":
    main()
