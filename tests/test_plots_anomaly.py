"""The picture of a judged recording shows what it is given."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from volna.errors import VolnaError
from volna.features.machine import MACHINE
from volna.plots import anomaly as plots

pytest.importorskip("matplotlib", reason="pictures need matplotlib")

N_FRAMES = 157  # 5 s


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The figures that were saved, in order."""
    figures: list[Any] = []
    save = plots.save_figure

    def keep(figure: Any, file: Any) -> None:
        figures.append(figure)
        save(figure, file)

    monkeypatch.setattr(plots, "save_figure", keep)
    return figures


def a_sound() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    mel = rng.normal(-10, 5, (MACHINE.n_mels, N_FRAMES))
    errors = np.ones_like(mel)
    errors[20:25, 60:80] = 6.0
    start_s = np.arange(9) * 0.5
    return mel, errors, start_s, np.where(start_s == 2.0, 5.0, 0.1)


def test_three_panels_on_one_time_axis_with_units(drawn: list[Any], tmp_path: Path) -> None:
    plots.draw_anomaly(
        *a_sound(), tmp_path / "a.png", window_threshold=2.0, score=3.25, threshold=1.5, title="fan $1.wav"
    )
    spectrogram, errors, line, *bars = drawn[0].axes
    assert spectrogram.get_xlim() == line.get_xlim() == pytest.approx((0.0, N_FRAMES / MACHINE.frames_per_s))
    assert line.get_xlabel() == "time in s"
    assert spectrogram.get_ylabel() == errors.get_ylabel() == "frequency in Hz"
    assert {bar.get_ylabel() for bar in bars} == {"dB re mean", "times the usual\nerror (rms)"}
    assert drawn[0].get_suptitle() == "abnormal: score 3.25, threshold 1.50\nfan \\$1.wav"
    assert (tmp_path / "a.png").read_bytes()[:4] == b"\x89PNG"


def test_the_time_line_marks_what_lies_above_the_threshold(drawn: list[Any]) -> None:
    plots.draw_anomaly(*a_sound(), io.BytesIO(), window_threshold=2.0)
    curve, above, limit = drawn[0].axes[2].get_lines()
    assert curve.get_ydata() == pytest.approx(a_sound()[3])
    assert above.get_xdata() == pytest.approx([2.5])  # the middle of the window
    assert set(limit.get_ydata()) == {2.0}


def test_the_errors_are_drawn_as_they_are(drawn: list[Any]) -> None:
    mel, errors, start_s, line = a_sound()
    plots.draw_anomaly(mel, errors, start_s, line, io.BytesIO(), first_s=30.0)
    image = drawn[0].axes[1].get_images()[0]
    assert np.asarray(image.get_array()) == pytest.approx(errors)
    assert image.get_extent()[0] == 30.0


def test_normal_is_said_too_and_huge_scores_fit(drawn: list[Any]) -> None:
    mel, errors, start_s, line = a_sound()
    plots.draw_anomaly(mel, errors, start_s, 1e4 * line, io.BytesIO(), window_threshold=2.0, score=0.0, threshold=1.0)
    assert drawn[0].get_suptitle().startswith("normal: score 0.00")
    assert drawn[0].axes[2].get_yscale() == "symlog"


def test_silence_and_nothing() -> None:
    flat = np.full((MACHINE.n_mels, 10), -70.0)
    plots.draw_anomaly(flat, np.ones_like(flat), np.zeros(0), np.zeros(0), io.BytesIO())
    with pytest.raises(VolnaError, match="of one shape"):
        plots.draw_anomaly(flat, np.ones((3, 3)), np.zeros(0), np.zeros(0), io.BytesIO())
