"""Score the hand-made blocks: alone, by the floor of the log-mel, by the number of coefficients, and joined.

python scripts/experiments/hand_made.py --work /tmp/volna_experiments --tables blocks floors modulation
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from blocks import BLOCKS, mfcc, mfcc60, mfcc_modulation, patch_spread
from score import Library, block, evaluate, join, line, load_library, load_mels, paired

FLOORS_DB = (40, 45, 50, 55, 60, 70, 80)


def compute(work: Path) -> dict[str, np.ndarray]:
    """Blocks of every music clip at a floor of 80 dB, cached in ``blocks.npz``."""
    path = work / "blocks.npz"
    if not path.exists():
        mels = load_mels(work, "genres") + load_mels(work, "moods")
        np.savez(path, **{name: np.stack([f(mel) for mel in mels]).astype(np.float32) for name, f in BLOCKS.items()})
    with np.load(path) as file:
        return dict(file)


def stacked(function: Callable[[np.ndarray], np.ndarray], mels: list[np.ndarray], floor_db: float) -> np.ndarray:
    """A block of every clip, the log-mel cut ``floor_db`` under its loudest cell."""
    return block(np.stack([function(np.maximum(mel, mel.max() - floor_db)) for mel in mels]))


def table_of_blocks(work: Path, lib: Library, mels: list[np.ndarray]) -> None:
    """Every block alone, and what it adds to the cepstral modulation."""
    blocks = {name: block(x) for name, x in compute(work).items()}
    best = evaluate(blocks["mfcc_modulation"], lib)
    artist = lib.artist[: lib.n_genres]
    for name, x in blocks.items():
        print(line(f"{name} ({x.shape[1]})", evaluate(x, lib)))
        both = evaluate(join({"m": blocks["mfcc_modulation"], "b": x}, {"m": 1.0, "b": 0.5}), lib)
        genre, mood = paired(both["g_ap"], best["g_ap"], artist), paired(both["m_p10"], best["m_p10"], lib.artist)
        told = "MAP {:+.3f} [{:+.3f}, {:+.3f}]; mood P@10 {:+.3f} [{:+.3f}, {:+.3f}]".format(*genre, *mood)
        print("    joined to the modulation with weight 0.5:", told)


def table_of_floors(work: Path, lib: Library, mels: list[np.ndarray]) -> None:
    """How far below the loudest cell the log-mel should reach."""
    for name, function in (("modulation", mfcc_modulation), ("mfcc60", mfcc60), ("patch_spread", patch_spread)):
        for floor in FLOORS_DB:
            print(line(f"{name}, floor {floor} dB", evaluate(stacked(function, mels, floor), lib)))


def table_of_modulation(work: Path, lib: Library, mels: list[np.ndarray]) -> None:
    """How many coefficients, how many bands of modulation, up to which speed."""
    for n, n_bands, top in ((13, 6, 20), (20, 6, 20), (30, 6, 20), (40, 6, 20), (64, 6, 20), (30, 4, 12), (30, 1, 20)):
        x = stacked(lambda mel, n=n, b=n_bands, t=top: mfcc_modulation(mel, n, b, t), mels, 55)
        print(line(f"{n} MFCC, {n_bands} bands to {top} Hz", evaluate(x, lib)))
    for n in (13, 20, 30):
        print(line(f"mean of {n} MFCC", evaluate(stacked(lambda mel, n=n: mfcc(mel, n).mean(1), mels, 55), lib)))


TABLES = {"blocks": table_of_blocks, "floors": table_of_floors, "modulation": table_of_modulation}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("/tmp/volna_experiments"))
    parser.add_argument("--tables", nargs="+", choices=TABLES, default=list(TABLES))
    options = parser.parse_args()
    lib = load_library(options.work)
    mels = load_mels(options.work, "genres") + load_mels(options.work, "moods")
    for name in options.tables:
        print(f"-- {name}")
        TABLES[name](options.work, lib, mels)


if __name__ == "__main__":
    main()
