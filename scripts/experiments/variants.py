"""The variants that were tried, by name: what differs from ``Settings()``.

``q_``: 400 steps and a decoder of half the width, for choosing. ``r_``: the same with every window's band means taken
out of input and target. ``b_``: half of them taken out, and a floor of 55 dB. The rest are combinations.
"""

from __future__ import annotations

from typing import Any

QUICK: dict[str, Any] = {"steps": 400, "light": 0.5}
BETTER: dict[str, Any] = {**QUICK, "remove_mean": 0.5, "floor": 55.0}
LONG: dict[str, Any] = {**BETTER, "n_frames": 256}

CHANGES: dict[str, dict[str, Any]] = {
    "base": {},
    "plain": {"contrast": 0.0, "bands": 0, "frames": 0, "gain": 0.0},
    "masked": {"contrast": 0.0},
    "contrast_only": {"reconstruct": 0.0},
    "contrast3": {"contrast": 3.0},
    "vicreg": {"objective": "vicreg"},
    "barlow": {"objective": "barlow"},
    "nt_xent": {"objective": "nt_xent"},
    "proxy": {"objective": "proxy"},
    "soft": {"objective": "soft"},
    "soft2": {"objective": "soft", "soft": 0.2},
    "soft5": {"objective": "soft", "soft": 0.5},
    "predict": {"predict": 1.0},
    "predict3": {"predict": 3.0},
    "predict_only": {"predict": 1.0, "contrast": 0.0},
    "eq": {"eq": 3.0},
    "mix": {"mix": 0.5},
    "noise": {"noise": 3.0},
    "cut": {"cut": 0.5},
    "warp": {"stretch": 0.1, "shift": 2.0},
    "masks2": {"n_masks": 2},
    "temp2": {"temperature": 0.2},
    "temp5": {"temperature": 0.5},
    "near": {"near": True},
    "batch64": {"batch": 64},
    "songs": {"songs": True},
    "half": {"every": 2},
    "quarter": {"every": 4},
    "long": {"n_frames": 256},
    "latent32": {"latent": 32},
    "latent128": {"latent": 128},
    "spread": {"pooling": "spread"},
    "spread128": {"pooling": "spread", "latent": 128},
    "modulation": {"pooling": "modulation", "halvings": 3},
    "modulation4": {
        "pooling": "modulation",
        "latent": 32,
        "halvings": 2,
        "channels": (16, 24, 32, 48, 64),
    },
}

VARIANTS: dict[str, dict[str, Any]] = {
    **{name: CHANGES[name] for name in ("base", "plain", "masked")},
    **{f"q_{name}": {**QUICK, **changes} for name, changes in CHANGES.items()},
    **{f"r_{name}": {**QUICK, "remove_mean": 1.0, **changes} for name, changes in CHANGES.items()},
    **{f"b_{name}": {**BETTER, **changes} for name, changes in CHANGES.items()},
    "q_remove_half": {**QUICK, "remove_mean": 0.5},
    "r_floor50": {**QUICK, "remove_mean": 1.0, "floor": 50.0},
    "long_predict": {**LONG, "predict": 1.0},
    "long_predict_removed": {**LONG, "predict": 1.0, "remove_mean": 1.0},
    "long_soft": {**LONG, "objective": "soft", "soft": 0.25, "remove_mean": 0.75},
    "long_soft64": {**LONG, "objective": "soft", "batch": 64},
    "long_soft_wide": {**LONG, "objective": "soft", "soft": 0.25, "channels": (24, 48, 96, 128, 192)},
    "long": LONG,  # own track right, every other wrong
    "long_removed": {**LONG, "remove_mean": 0.75},
    "long_soft_half": {**LONG, "objective": "soft", "soft": 0.25},
    "removed": {**BETTER, "remove_mean": 0.75},
    "kept": {**BETTER, "objective": "soft", "soft": 0.25, "remove_mean": 0.75},  # what the package takes over
    "long_soft800": {**LONG, "objective": "soft", "soft": 0.25, "remove_mean": 0.75, "steps": 800},
    "long_soft4": {**LONG, "objective": "soft", "soft": 0.4, "remove_mean": 0.75},
}
