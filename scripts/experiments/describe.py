"""The package's own descriptors of every clip, for the tables: ``descriptors_SET.npz``.

    python scripts/experiments/describe.py --data DIR --work /tmp/volna_experiments
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import soxr
from prepare import LONGEST_S, decode, rows_of

from volna.features.recipe import ANALYSIS, DESCRIPTOR_NAMES, analyse


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path("/tmp/volna_experiments"))
    parser.add_argument("--sets", nargs="+", default=["genres", "moods", "instruments", "esc10"])
    options = parser.parse_args()
    for name in options.sets:
        rows = []
        for row in rows_of(options.data, name):
            samples, rate = decode(options.data / row["file"], LONGEST_S)
            if rate != ANALYSIS.sample_rate:
                samples = soxr.resample(samples, rate, ANALYSIS.sample_rate, quality="HQ")
            rows.append(analyse([samples]).descriptors)
        np.savez(options.work / f"descriptors_{name}.npz", values=np.stack(rows), names=np.array(DESCRIPTOR_NAMES))
        print(name, len(rows))


if __name__ == "__main__":
    main()
