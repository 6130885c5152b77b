"""Volna listens to a folder of sounds, learns an autoencoder from it, and finds what sounds alike.

The same verbs as the command line, as functions::

    import volna
    volna.index(["~/Music"])
    for match in volna.similar("nina simone - feeling good").results:
        print(match.rank, match.artist, match.title, match.why)

Nothing heavy is imported before it is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from volna import workflows

__version__ = "0.1.0"

_ELSEWHERE = {
    "TrackVectors": "volna.transformer",
    "VolnaError": "volna.errors",
    "embed_file": "volna.embedding",
}

# The verbs are named in one place; `volna.features` is the package, so that verb is `volna.workflows.features`.
__all__ = [*(verb for verb in workflows.__all__ if verb != "features"), *_ELSEWHERE]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'volna' has no attribute {name!r}")
    return getattr(import_module(_ELSEWHERE.get(name, "volna.workflows")), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
