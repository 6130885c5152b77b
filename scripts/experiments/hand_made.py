"""Score the hand-made blocks, alone and joined.

python scripts/experiments/hand_made.py --work /tmp/volna_experiments
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from blocks import BLOCKS
from score import block, evaluate, line, load_library, load_mels


def compute(work: Path) -> dict[str, np.ndarray]:
    """Blocks of every music clip, cached in ``blocks.npz``."""
    path = work / "blocks.npz"
    if not path.exists():
        mels = load_mels(work, "genres") + load_mels(work, "moods")
        np.savez(path, **{name: np.stack([f(mel) for mel in mels]).astype(np.float32) for name, f in BLOCKS.items()})
    with np.load(path) as file:
        return dict(file)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("/tmp/volna_experiments"))
    options = parser.parse_args()
    lib = load_library(options.work)
    blocks = compute(options.work)
    for name, x in blocks.items():
        print(line(f"{name} ({x.shape[1]})", evaluate(block(x), lib)))


if __name__ == "__main__":
    main()
