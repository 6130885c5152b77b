"""Samples to spectra and descriptors, in numpy.

``frames`` cuts samples, ``spectrum`` makes spectra, ``descriptors`` reads single frames, ``rhythm`` and
``modulation`` read their course over time, and ``recipe`` puts them together into the vector and the log-mel of a
track.
"""

from __future__ import annotations

__all__ = ["constants", "descriptors", "frames", "modulation", "recipe", "rhythm", "spectrum"]
