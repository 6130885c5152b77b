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

__version__ = "0.1.0"

_PLACES = {
    "index": "volna.workflows",
    "similar": "volna.workflows",
    "wave": "volna.workflows",
    "journey": "volna.workflows",
    "train": "volna.workflows",
    "train_folder": "volna.workflows",
    "embed": "volna.workflows",
    "model_show": "volna.workflows",
    "export_model": "volna.workflows",
    "evaluate": "volna.workflows",
    "status": "volna.workflows",
    "failures": "volna.workflows",
    "forget": "volna.workflows",
    "save_playlist": "volna.workflows",
    "demo": "volna.workflows",
    "embed_file": "volna.embedding",
    "log_mel": "volna.workflows",
    "describe": "volna.workflows",
    "TrackVectors": "volna.transformer",
    "VolnaError": "volna.errors",
}

__all__ = [
    "TrackVectors",
    "VolnaError",
    "demo",
    "describe",
    "embed",
    "embed_file",
    "evaluate",
    "export_model",
    "failures",
    "forget",
    "index",
    "journey",
    "log_mel",
    "model_show",
    "save_playlist",
    "similar",
    "status",
    "train",
    "train_folder",
    "wave",
]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'volna' has no attribute {name!r}")
    return getattr(import_module(_PLACES[name]), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
