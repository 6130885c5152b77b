"""The picture of confusions: drawn for few and many labels, with names that would trip a drawing."""

from __future__ import annotations

import io

import numpy as np
import pytest

from volna.plots.scores import draw_confusion


@pytest.mark.parametrize("n", [2, 10, 60])
def test_confusions_are_drawn_for_any_number_of_labels(n: int) -> None:
    table = np.random.default_rng(0).integers(0, 9, (n, n))
    names = [f"label {k}" for k in range(n)]
    names[0] = "a $very$ long name of a label, with 音 and\nmore"
    file = io.BytesIO()
    draw_confusion(table, names, file, title="who is taken for whom")
    assert file.getvalue()[:8] == b"\x89PNG\r\n\x1a\n"


def test_an_empty_row_is_drawn_too(tmp_path) -> None:
    draw_confusion(np.array([[3, 0], [0, 0]]), ["a", "b"], tmp_path / "c.png")
    assert (tmp_path / "c.png").stat().st_size > 5000
