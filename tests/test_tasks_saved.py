"""A saved task: arrays and plain values, the same bytes for the same content, and nothing that runs code."""

from __future__ import annotations

import io
import json
import pickle

import numpy as np
import pytest

from volna.errors import ModelError
from volna.tasks import saved

ARRAYS = {"weights": np.arange(6, dtype=np.float32).reshape(2, 3), "model": np.frombuffer(b"inside", np.uint8)}
SETTINGS = {"classes": ["cat", "eel"], "sharpness": 1.5, "note": "grün", "nothing": None}


@pytest.fixture
def content() -> bytes:
    return saved.to_bytes("classifier", ARRAYS, SETTINGS)


def test_what_was_saved_comes_back(content: bytes, tmp_path) -> None:
    path = tmp_path / "a.model"
    path.write_bytes(content)
    for read in (saved.from_bytes(content, "classifier"), saved.load(path, "classifier")):
        assert read.settings == SETTINGS
        assert read.keys() == ARRAYS.keys()
        assert all((read[name] == array).all() and read[name].dtype == array.dtype for name, array in ARRAYS.items())
        assert read["model"].tobytes() == b"inside"


def test_equal_content_gives_equal_bytes(content: bytes) -> None:
    turned = {name: ARRAYS[name] for name in reversed(ARRAYS)}
    assert saved.to_bytes("classifier", turned, dict(reversed(SETTINGS.items()))) == content
    file = io.BytesIO()
    saved.write(file, "classifier", ARRAYS, SETTINGS)
    assert file.getvalue() == content


def test_arrays_in_any_order_of_memory_are_saved_as_they_read(content: bytes) -> None:
    turned = {"weights": np.asfortranarray(ARRAYS["weights"]), "rows": ARRAYS["weights"][:, ::2]}
    read = saved.from_bytes(saved.to_bytes("scorer", turned, {}), "scorer")
    assert (read["weights"] == ARRAYS["weights"]).all()
    assert (read["rows"] == ARRAYS["weights"][:, ::2]).all()


def test_no_arrays_or_settings_at_all_is_a_file_too() -> None:
    read = saved.from_bytes(saved.to_bytes("words", {}, {}), "words")
    assert (dict(read), read.settings) == ({}, {})


def test_another_kind_is_named(content: bytes) -> None:
    with pytest.raises(ModelError, match=r"expected a file of kind volna-scorer, this one is of kind volna-classifier"):
        saved.from_bytes(content, "scorer", "a.model")


def test_a_later_version_is_refused(content: bytes) -> None:
    later = content.replace(b'\\"version\\": 1', b'\\"version\\": 9')
    assert later != content
    with pytest.raises(ModelError, match="later Volna"):
        saved.from_bytes(later, "classifier")


@pytest.mark.parametrize(
    "other",
    [
        b"",
        b"RIFF and so on, no model",
        pickle.dumps({"weights": 1}),
        (20).to_bytes(8, "little") + b'{"__metadata__": {}}',
        (1 << 40).to_bytes(8, "little") + b"x" * 50,
        json.dumps({"volna": 1}).encode(),
    ],
)
def test_what_is_no_such_file_is_refused(other: bytes) -> None:
    with pytest.raises(ModelError, match="none of Volna's or it is damaged"):
        saved.from_bytes(other, "classifier")


def test_a_file_that_is_cut_short_is_damaged(content: bytes) -> None:
    for length in range(0, len(content) - 1, 7):
        with pytest.raises(ModelError):
            saved.from_bytes(content[:length], "classifier")


def test_a_missing_file_is_said(tmp_path) -> None:
    with pytest.raises(ModelError, match=r"gone\.model: cannot be read: No such file"):
        saved.load(tmp_path / "gone.model", "classifier")


def test_numbers_that_json_cannot_hold_are_not_written() -> None:
    with pytest.raises(ValueError, match="JSON"):
        saved.to_bytes("classifier", {}, {"loss": float("nan")})
