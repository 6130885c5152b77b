"""Make the shipped statistics of the descriptors again: ``python scripts/make_constants.py``.

Synthesises the demo's clips in memory, analyses them, and writes the median and the robust spread of every
descriptor to ``src/volna/features/constants.json``. Run it after every change of the descriptors.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from volna.audio.signal import resample
from volna.features import recipe
from volna.synthesis import SAMPLE_RATE_HZ, habits_of, render, styles

N_ARTISTS, N_CLIPS = 5, 4
OUTPUT = Path(__file__).parents[1] / "src" / "volna" / "features" / "constants.json"


def main() -> None:
    """Write the file and say how many clips it rests on."""
    vectors = []
    for style in styles():
        for artist in range(N_ARTISTS):
            habits = habits_of(np.random.default_rng([artist, 7]))
            for clip in range(N_CLIPS):
                samples = render(style, np.random.default_rng([artist, clip]), habits)
                samples = resample(samples, SAMPLE_RATE_HZ, recipe.ANALYSIS.sample_rate)
                vectors.append(recipe.analyse([samples]).descriptors)
    matrix = np.stack(vectors)
    low, centre, high = np.percentile(matrix, [25, 50, 75], axis=0)
    # A descriptor that hardly moves in synthesised music still needs a spread to be divided by.
    spread = np.maximum((high - low) / 1.349, 0.25 * matrix.std(axis=0) + 1e-6)
    table = {
        name: [float(f"{c:.5g}"), float(f"{s:.5g}")]
        for name, c, s in zip(recipe.DESCRIPTOR_NAMES, centre, spread, strict=True)
    }
    OUTPUT.write_text(json.dumps({"features_version": recipe.FEATURES_VERSION, "descriptors": table}, indent=1) + "\n")
    sys.stdout.write(f"{OUTPUT.name}: {len(table)} descriptors over {len(vectors)} clips\n")


if __name__ == "__main__":
    main()
