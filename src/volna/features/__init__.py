"""Samples to spectra and descriptors, in numpy.

``frames`` cuts samples, ``spectrum`` makes spectra, ``descriptors`` reads single frames, ``rhythm`` and
``modulation`` read their course over time, and ``recipe`` puts them together into the vector and the log-mel of a
track. The listening room reads more: ``pitch``, ``formants``, ``beats``, ``tonal``, ``loudness``, ``wavelet``,
``sinusoids``, ``constant_q``, ``scalogram``; ``named`` is every descriptor of a frame by its name. ``inputs``,
``picture``, ``wide`` and ``machine`` are what models and tasks hear.
"""

from __future__ import annotations

__all__ = [
    "beats", "blocks", "constant_q", "constants", "definition", "descriptors", "formants", "frames", "inputs",
    "loudness", "machine", "modulation", "named", "over_time", "picture", "pitch", "recipe", "rhythm", "scalogram",
    "sinusoids", "spectrum", "tonal", "wavelet", "wide",
]  # fmt: skip
