"""The picture of rate against distance."""

from __future__ import annotations

import io
import struct

import pytest

from volna.plots.codec import SCORES, draw_rates

ROWS = [
    {"codec": codec, "kbps": kbps * (1 + k), "scores": {"mel_db": 4 - k - 0.1 * kbps, "stft": 1.0, "si_sdr_db": -10.0}}
    for k, codec in enumerate(("volna", "mel + griffin-lim", "opus", "mp3"))
    for kbps in (0.8, 1.5, 3.0)
]


def size_of(data: bytes) -> tuple[int, int]:
    return struct.unpack(">II", data[16:24])


def test_a_panel_for_every_score() -> None:
    pytest.importorskip("matplotlib")
    whole, one = io.BytesIO(), io.BytesIO()
    draw_rates(ROWS, whole, title="4 sounds, at 16000 Hz")
    draw_rates([row | {"scores": {"mel_db": row["scores"]["mel_db"]}} for row in ROWS], one)
    assert whole.getvalue().startswith(b"\x89PNG")
    assert size_of(whole.getvalue())[0] == len(SCORES) * size_of(one.getvalue())[0]


def test_one_point_is_drawn_too() -> None:
    pytest.importorskip("matplotlib")
    file = io.BytesIO()
    draw_rates(ROWS[:1], file)
    assert len(file.getvalue()) > 5000
