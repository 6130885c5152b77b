"""What is not normal, learnt from normal sounds alone; begin reading at ``detector``.

``scorers``, ``forest`` and ``autoencoder`` each say how far a sound lies from the normal ones, ``fusion`` puts them on
one scale, ``thresholds`` says where normal ends, ``measures`` how good that is.
"""

from __future__ import annotations

__all__ = ["autoencoder", "detector", "forest", "fusion", "measures", "scorers", "thresholds"]
