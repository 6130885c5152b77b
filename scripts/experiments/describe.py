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
from prepare import LONGEST_S, copies, decode, rows_of

from volna.features.recipe import ANALYSIS, DESCRIPTOR_NAMES, analyse


def describe(samples: np.ndarray, rate: int) -> np.ndarray:
    """The package's descriptors of a clip, raw."""
    if rate != ANALYSIS.sample_rate:
        samples = soxr.resample(samples, rate, ANALYSIS.sample_rate, quality="HQ")
    return analyse([samples]).descriptors


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path("/tmp/volna_experiments"))
    parser.add_argument("--sets", nargs="+", default=["genres", "moods", "instruments", "esc10", "pairs"])
    parser.add_argument("--copies", action="store_true", help="also of each clip's copies (gain, resample, mp3, shift)")
    options = parser.parse_args()
    for name in options.sets:
        values: dict[str, list[np.ndarray]] = {}
        for row in rows_of(options.data, name):
            samples, rate = decode(options.data / row["file"], LONGEST_S)
            values.setdefault("values", []).append(describe(samples, rate))
            if options.copies and name in ("genres", "moods"):
                for change, changed, new_rate in copies(samples, rate):
                    values.setdefault(change, []).append(describe(changed, new_rate))
        stacked = {key: np.stack(rows) for key, rows in values.items()}
        np.savez(options.work / f"descriptors_{name}.npz", **stacked, names=np.array(DESCRIPTOR_NAMES))
        print(name, len(values["values"]))


if __name__ == "__main__":
    main()
