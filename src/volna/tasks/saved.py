"""What a task has learnt, as one small file: arrays and plain values in a safetensors file, nothing that runs code.

The ``__metadata__`` of the file has one entry, ``volna``: a JSON object with the format ``volna-<kind>``, the version,
and the settings. A model file that a task needs (an autoencoder) travels inside, as an array of bytes, so that the
file loads anywhere.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any, BinaryIO

import numpy as np

from volna.errors import ModelError

__all__ = ["FORMAT_VERSION", "Saved", "from_bytes", "load", "to_bytes", "write"]

FORMAT_VERSION = 1  # raise it when an older Volna could not use the file
MAX_HEADER_BYTES = 100_000_000


class Saved(dict[str, np.ndarray]):
    """Arrays by name, with ``settings``: plain JSON values."""

    def __init__(self, arrays: Mapping[str, np.ndarray], settings: Mapping[str, Any]) -> None:
        super().__init__(arrays)
        self.settings = dict(settings)


def to_bytes(kind: str, arrays: Mapping[str, np.ndarray], settings: Mapping[str, Any]) -> bytes:
    """The bytes of a file of one kind, as ``"classifier"``; equal content gives equal bytes.

    Examples
    --------
    >>> from_bytes(to_bytes("scorer", {"w": np.zeros(3)}, {"k": 5}), "scorer").settings["k"]
    5
    """
    from safetensors.numpy import save

    about = {"format": f"volna-{kind}", "version": FORMAT_VERSION, "settings": dict(settings)}
    header = json.dumps(about, sort_keys=True, allow_nan=False)
    content: bytes = save({name: np.ascontiguousarray(array) for name, array in arrays.items()}, {"volna": header})
    return content


def write(file: BinaryIO, kind: str, arrays: Mapping[str, np.ndarray], settings: Mapping[str, Any]) -> None:
    """Write a file of one kind into an open binary file."""
    file.write(to_bytes(kind, arrays, settings))


def load(path: str | os.PathLike[str], kind: str) -> Saved:
    """Read a file that must be of one kind.

    Raises
    ------
    ModelError
        The file cannot be read, is no such file, is of another kind, or was written by a later version.
    """
    try:
        with open(path, "rb") as file:
            content = file.read()
    except OSError as error:
        raise ModelError(f"{os.fspath(path)}: cannot be read: {error.strerror or error}") from error
    return from_bytes(content, kind, os.fspath(path))


def from_bytes(content: bytes, kind: str, name: str = "this model") -> Saved:
    """What the bytes of a file hold; see `load`."""
    from safetensors import SafetensorError
    from safetensors.numpy import load as load_arrays

    about = _about(content)
    expected = f"volna-{kind}"
    if about is None:
        raise ModelError(f"{name}: expected a file of kind {expected}, this is none of Volna's or it is damaged")
    if about.get("format") != expected:
        raise ModelError(f"{name}: expected a file of kind {expected}, this one is of kind {about.get('format')}")
    if not isinstance(about.get("version"), int) or about["version"] > FORMAT_VERSION:
        raise ModelError(f"{name}: was written by a later Volna (format {about.get('version')}); update Volna")
    try:
        return Saved(load_arrays(content), about.get("settings", {}))
    except SafetensorError as error:
        raise ModelError(f"{name}: the file is damaged ({error})") from error


def _about(content: bytes) -> dict[str, Any] | None:
    """The JSON object in the header of a safetensors file; None where there is none."""
    length = int.from_bytes(content[:8], "little")
    if not 0 < length <= min(MAX_HEADER_BYTES, len(content) - 8):
        return None
    try:
        about = json.loads(json.loads(content[8 : 8 + length])["__metadata__"]["volna"])
    except (ValueError, KeyError, TypeError):
        return None
    return about if isinstance(about, dict) else None
