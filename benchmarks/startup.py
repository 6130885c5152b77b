"""How long a command takes to start: `volna --help`, imports, next to a bare Python, each in a fresh process.

Prints milliseconds and the ratio to a bare interpreter, the median and the fastest of several runs in turns (so that a
busy machine slows all of them alike), and which heavy packages a start has imported (none should be).

Run: python benchmarks/startup.py [RUNS]
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time

HEAVY = ("torch", "scipy", "sklearn", "matplotlib", "librosa", "av", "numpy")
CASES = {
    "python": "pass",
    "volna --help": "import sys; from volna.cli import main; sys.exit(main(['--help']))",
    "volna similar --help": "import sys; from volna.cli import main; sys.exit(main(['similar', '--help']))",
    "import volna": "import volna",
    "import volna.workflows": "import volna.workflows",
    "import numpy": "import numpy",
}


def run(code: str) -> float:
    """Seconds from the start of a process that runs `code` to its end."""
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def imported(code: str) -> str:
    """The heavy packages that `code` imports."""
    report = f"print(*(m for m in {HEAVY!r} if m in sys.modules), file=sys.stderr)"
    begin = f"import atexit, sys; atexit.register(lambda: {report})"
    done = subprocess.run([sys.executable, "-c", f"{begin}\n{code}"], check=True, capture_output=True, text=True)
    return done.stderr.splitlines()[-1] or "-"


def main() -> None:
    n_runs = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    times: dict[str, list[float]] = {name: [] for name in CASES}
    for name in CASES:
        run(CASES[name])  # the first run reads the disk
    for _ in range(n_runs):
        for name, code in CASES.items():
            times[name].append(run(code))
    bare = statistics.median(times["python"])
    print(f"{n_runs} runs each, Python {sys.version.split()[0]}, {os.cpu_count()} cores")
    print(f"{'':<24}{'median ms':>10}{'fastest ms':>12}{'x python':>10}  heavy imports")
    for name, values in times.items():
        middle, best = statistics.median(values), min(values)
        print(f"{name:<24}{1000 * middle:>10.0f}{1000 * best:>12.0f}{middle / bare:>10.1f}  {imported(CASES[name])}")


if __name__ == "__main__":
    main()
