"""The variants that were tried, by name: what differs from ``Settings()``."""

from __future__ import annotations

from typing import Any

QUICK: dict[str, Any] = {"steps": 400, "light": 0.5}  # for choosing what is worth a full run

VARIANTS: dict[str, dict[str, Any]] = {
    "base": {},
    "plain": {"contrast": 0.0, "bands": 0, "frames": 0, "gain": 0.0},
    "masked": {"contrast": 0.0},
}
_CHANGES: dict[str, dict[str, Any]] = {
    "base": {},
    "plain": {"contrast": 0.0, "bands": 0, "frames": 0, "gain": 0.0},
    "masked": {"contrast": 0.0},
    "contrast_only": {"reconstruct": 0.0},
    "vicreg": {"objective": "vicreg"},
    "barlow": {"objective": "barlow"},
    "nt_xent": {"objective": "nt_xent"},
    "proxy": {"objective": "proxy"},
    "predict": {"predict": 1.0},
    "predict_only": {"predict": 1.0, "contrast": 0.0},
    "eq": {"eq": 3.0},
    "mix": {"mix": 0.5},
    "warp": {"stretch": 0.1, "shift": 2.0},
    "temp2": {"temperature": 0.2},
    "temp5": {"temperature": 0.5},
    "long": {"n_frames": 256},
    "batch64": {"batch": 64},
    "latent128": {"latent": 128},
    "latent32": {"latent": 32},
    "masks2": {"n_masks": 2},
    "songs": {"songs": True},
    "near": {"near": True},
    "remove_half": {"remove_mean": 0.5},
    "remove_all": {"remove_mean": 1.0},
    "contrast3": {"contrast": 3.0},
}
VARIANTS |= {f"q_{name}": {**QUICK, **changes} for name, changes in _CHANGES.items()}
_REMOVED = ("warp", "temp2", "temp5", "long", "mix", "predict", "predict_only", "barlow", "vicreg", "proxy", "contrast_only", "contrast3", "masked", "batch64", "songs", "latent128", "near")
VARIANTS |= {f"r_{name}": {**QUICK, "remove_mean": 1.0, **_CHANGES[name]} for name in _REMOVED}
VARIANTS["q_remove_random"] = {**QUICK, "remove_mean": -1.0}
VARIANTS |= {f"r_floor{db}": {**QUICK, "remove_mean": 1.0, "floor": float(db)} for db in (40, 50, 60)}
VARIANTS["q_floor50"] = {**QUICK, "floor": 50.0}
BETTER: dict[str, Any] = {**QUICK, "remove_mean": 0.5, "floor": 55.0}
VARIANTS |= {f"b_{name}": {**BETTER, **changes} for name, changes in _CHANGES.items()}
VARIANTS |= {
    "s_64": {**BETTER, "pooling": "spread"},
    "s_128": {**BETTER, "pooling": "spread", "latent": 128},
    "s_128_8": {**BETTER, "pooling": "spread", "latent": 128, "halvings": 3},
    "m_32": {**BETTER, "pooling": "modulation", "latent": 32, "halvings": 2, "channels": (16, 24, 32, 48, 64)},
    "m_64": {**BETTER, "pooling": "modulation", "latent": 64, "halvings": 2, "channels": (16, 24, 32, 48, 64)},
    "m_64_8": {**BETTER, "pooling": "modulation", "latent": 64, "halvings": 3},
}
_LONG: dict[str, Any] = {**BETTER, "n_frames": 256}
VARIANTS |= {
    "c_a": {**_LONG, "predict": 1.0},
    "c_b": {**_LONG, "predict": 1.0, "remove_mean": 1.0},
    "c_c": {**_LONG, "stretch": 0.1, "shift": 2.0},
    "c_d": {**_LONG, "remove_mean": 1.0},
    "c_e": {**_LONG, "reconstruct": 0.0},
    "c_f": {**_LONG, "temperature": 0.3, "remove_mean": 0.75},
}
VARIANTS |= {
    "d_soft": {**BETTER, "objective": "soft"},
    "d_soft2": {**BETTER, "objective": "soft", "soft": 0.2},
    "d_soft_long": {**_LONG, "objective": "soft", "batch": 64},
    "d_predict3": {**BETTER, "predict": 3.0},
}
VARIANTS |= {
    "d_soft5": {**BETTER, "objective": "soft", "soft": 0.5},
    "e_soft": {**_LONG, "objective": "soft", "soft": 0.25, "remove_mean": 0.75},
    "e_wide": {**_LONG, "objective": "soft", "soft": 0.25, "channels": (24, 48, 96, 128, 192)},
}
VARIANTS["final"] = _LONG  # what the package takes over
VARIANTS["final_soft"] = VARIANTS["e_soft"]
