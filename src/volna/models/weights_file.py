"""A model as one small file: a safetensors file with one JSON header, and nothing that runs code.

The ``__metadata__`` of the file holds one entry, ``volna``: a JSON object with sorted keys, of which ``format`` and
``format_version`` say what the file is. Equal models give equal bytes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor, nn

from volna.errors import InputError, ModelError

__all__ = [
    "bytes_of",
    "check_finite",
    "fill",
    "format_of",
    "header_of",
    "read_weights",
    "unpacking",
    "write_tensors",
    "write_weights",
]

_MAX_HEADER_BYTES = 10_000_000
# What the files of Volna are, in words; a message names the kind that came.
_WORDS = {
    "volna-model": "an autoencoder",
    "volna-picture-classifier": "a classifier of pictures",
    "volna-vocoder": "a vocoder",
    "volna-denoiser": "a denoiser",
    "volna-codec": "a codec",
    "volna-generator": "a generator",
}


def write_tensors(form: str, version: int, header: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> bytes:
    """Tensors and a header of plain JSON values as the bytes of a file.

    Raises
    ------
    ValueError
        The header holds what JSON does not know (a bug).
    """
    whole = {**header, "format": form, "format_version": version}
    own = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    # One entry only: the order of several would not be the same from one run to the next.
    data: bytes = save_tensors(own, {"volna": json.dumps(whole, sort_keys=True, allow_nan=False)})
    return data


def write_weights(form: str, version: int, header: Mapping[str, Any], model: nn.Module) -> bytes:
    """`write_tensors` of all weights of a model."""
    return write_tensors(form, version, header, model.state_dict())


def format_of(data: bytes) -> str | None:
    """What kind of file this is, such as ``"volna-vocoder"``; None for one that is none of Volna's.

    Examples
    --------
    >>> format_of(b"RIFF") is None
    True
    """
    header = _read_header(data)
    form = header.get("format") if header else None
    return form if isinstance(form, str) else None


def header_of(data: bytes, form: str, version: int, *, what: str, source: str) -> dict[str, Any]:
    """The JSON header of a file that must be of a kind.

    Raises
    ------
    ModelError
        It is of another kind, none of Volna's, or written by a newer Volna.
    """
    header = _read_header(data)
    found = header.get("format") if header else None
    if header is None or found != form:
        kind = _WORDS.get(found) if isinstance(found, str) else None
        came = f"it is {kind}" if kind else "it is no model of Volna's, or damaged"
        raise ModelError(f"{source} is not {what}: {came}")
    written = header.get("format_version")
    if not isinstance(written, int):
        raise ModelError(f"{source} is not {what}: it is damaged")
    if written > version:
        formats = f"format {written}, this one reads up to {version}"
        raise ModelError(f"{source} was written by a newer Volna ({formats}): update Volna")
    return header


def read_weights(
    data: bytes, form: str, version: int, *, what: str, source: str
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Header and tensors of a file, see `header_of`.

    Raises
    ------
    ModelError
        As `header_of`, or the tensors are damaged.
    """
    header = header_of(data, form, version, what=what, source=source)
    try:
        return header, load_tensors(data)
    except (SafetensorError, ValueError, RuntimeError, MemoryError) as error:
        raise ModelError(f"{source} is damaged: {str(error).splitlines()[0]}") from error


def fill(model: Any, weights: Mapping[str, Tensor]) -> None:
    """Put the weights in place, the very tensors of the file; every name, shape and type must agree.

    Raises
    ------
    ModelError
        A value is not finite, or a tensor is of another type.
    RuntimeError
        A name or a shape is another.
    """
    check_finite(weights)
    expected = model.state_dict()
    if bad := [name for name, t in weights.items() if name in expected and t.dtype != expected[name].dtype]:
        raise ModelError(f"{bad[0]} is {weights[bad[0]].dtype}, expected {expected[bad[0]].dtype}")
    model.load_state_dict(dict(weights), strict=True, assign=True)
    model.eval().requires_grad_(False)


@contextmanager
def unpacking(source: str, again: str) -> Iterator[None]:
    """Whatever goes wrong inside becomes one error in words: a file that contradicts itself is damaged.

    Raises
    ------
    ModelError
        Something did; ``again`` is the command that makes such a file.
    """
    try:
        yield
    except (
        ModelError,
        InputError,
        KeyError,
        TypeError,
        ValueError,
        AttributeError,
        RuntimeError,
        MemoryError,
    ) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ModelError(f"{source} is damaged: {reason}; train it again with `{again}`") from error


def bytes_of(path: str | os.PathLike[str], what: str) -> bytes:
    """The bytes of a model file.

    Raises
    ------
    ModelError
        It is missing or cannot be read.
    """
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ModelError(f"cannot read {what} {os.fspath(path)}: {error.strerror or error}") from error


def check_finite(tensors: Mapping[str, Tensor]) -> None:
    """Refuse tensors that hold what is not finite.

    Raises
    ------
    ModelError
        One does; it is named.
    """
    if bad := [name for name, t in tensors.items() if t.is_floating_point() and not bool(torch.isfinite(t).all())]:
        raise ModelError(f"holds values that are not finite in {bad[0]}")


def _read_header(data: bytes) -> dict[str, Any] | None:
    """By hand: eight bytes of length, then the table of safetensors with its metadata."""
    length = int.from_bytes(data[:8], "little")
    if len(data) < 8 or not 2 <= length <= min(len(data) - 8, _MAX_HEADER_BYTES):
        return None
    try:
        header = json.loads(json.loads(data[8 : 8 + length])["__metadata__"]["volna"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return header if isinstance(header, dict) else None
