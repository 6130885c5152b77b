"""One row for every variant that was trained: genre P@10, genre MAP, mood P@10, for three ways to read the network.

python scripts/experiments/compare.py --work /tmp/volna_experiments
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import numpy as np
from fuse import Scores, descriptors, mean_scores
from score import block, evaluate, join, load_library, standardise, unit

from volna.features.recipe import DESCRIPTOR_WEIGHTS

READINGS = {"latent mean+spread": ("z_mean", "z_std"), "latent mean": ("z_mean",), "layer before": ("h_mean",)}
WEIGHT = 0.5


def told(scores: Scores) -> str:
    return " ".join(f"{np.nanmean(scores[key]):.3f}" for key in ("g_p10", "g_ap", "m_p10"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("/tmp/volna_experiments"))
    options = parser.parse_args()
    lib = load_library(options.work)
    hand = unit(standardise(descriptors(options.work), clip=4.0) * DESCRIPTOR_WEIGHTS)
    groups: dict[str, list[Path]] = {}
    for path in sorted((options.work / "runs").glob("*_[0-9].npz")):
        groups.setdefault(re.sub(r"_\d$", "", path.stem), []).append(path)
    print("variant (seeds): " + " | ".join(READINGS) + f" | descriptors + {WEIGHT:g} layer before | CPU-s")
    for name, paths in groups.items():
        found: dict[str, list[Scores]] = {}
        seconds = []
        for path in paths:
            with np.load(path) as file:
                seconds.append(float(file["seconds"]))
                for reading, keys in READINGS.items():
                    x = block(np.concatenate([file[key] for key in keys], 1))
                    found.setdefault(reading, []).append(evaluate(x, lib))
                found.setdefault("both", []).append(evaluate(join({"d": hand, "a": x}, {"d": 1.0, "a": WEIGHT}), lib))
        columns = " | ".join(told(mean_scores(runs)) for runs in found.values())
        print(f"{name:24s} ({len(paths)}) {columns} | {np.mean(seconds):.0f}")


if __name__ == "__main__":
    main()
