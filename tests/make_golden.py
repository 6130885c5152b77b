"""Write the golden numbers of the recipe: ``PYTHONPATH=src python tests/make_golden.py``.

Run it only when a definition changed on purpose; then `FEATURES_VERSION` must change, too.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from volna.features.recipe import ANALYSIS, DESCRIPTOR_NAMES, FEATURES_VERSION, analyse

GOLDEN = Path(__file__).parent / "golden" / "recipe.json"


def golden_sound() -> np.ndarray:
    """Eight seconds of a bass line, a chord and a hi-hat at 105 BPM; float32 at the analysis rate."""
    t = np.arange(8 * ANALYSIS.sample_rate) / ANALYSIS.sample_rate
    since_beat = t % (60 / 105)
    note = np.array([55.0, 65.4, 73.4, 82.4])[(t // (120 / 105)).astype(int) % 4]
    bass = np.sin(2 * np.pi * np.cumsum(note) / ANALYSIS.sample_rate) * np.exp(-3 * since_beat)
    chord = sum(np.sin(2 * np.pi * hz * t) / k for k, hz in enumerate((220.0, 261.6, 329.6, 440.0), start=1))
    hiss = (np.arange(len(t)) * 7919 % 1_009 / 504.5 - 1) * np.exp(-since_beat / 0.03)  # noise without a generator
    return (0.3 * bass + 0.1 * chord + 0.15 * hiss).astype(np.float32)


def golden_vector() -> dict[str, float]:
    """Every descriptor of the golden sound, heard as two windows of four seconds."""
    descriptors = analyse(np.split(golden_sound(), 2)).descriptors
    return {name: float(f"{value:.5g}") for name, value in zip(DESCRIPTOR_NAMES, descriptors, strict=True)}


if __name__ == "__main__":
    GOLDEN.parent.mkdir(exist_ok=True)
    content = {"features_version": FEATURES_VERSION, "descriptors": golden_vector()}
    GOLDEN.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    print(f"wrote {GOLDEN}")
