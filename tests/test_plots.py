"""Pictures: they are written, they show what they are given, and they need nothing but matplotlib when drawn."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from volna.errors import VolnaError
from volna.features.recipe import ANALYSIS
from volna.features.spectrum import MelConfig, fft_frequencies, mel_filters
from volna.plots import figure
from volna.plots import training as plots

pytest.importorskip("matplotlib", reason="pictures need matplotlib")

HISTORY = [
    {"step": 50, "train_loss": 0.9, "val_loss": 0.8},
    {"step": 100, "train_loss": None, "val_loss": float("inf")},
    {"step": 150, "train_loss": 0.5, "val_loss": 0.6},
]


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


def a_pair(name: str = "a.wav", error_db: float = 0.0, n_frames: int = 90) -> plots.Reconstruction:
    mel = np.random.default_rng(0).normal(0, 15, (ANALYSIS.n_mels, n_frames)).astype(np.float32)
    return plots.Reconstruction(name, mel, mel + np.float32(error_db))


def read_png(data: bytes) -> np.ndarray:
    from matplotlib.image import imread

    return np.asarray(imread(io.BytesIO(data)))


def test_a_curve_holds_every_finite_loss_and_the_baselines(drawn: list[Any], tmp_path: Path) -> None:
    plots.draw_training_curve(HISTORY, tmp_path / "c.png", baselines={"PCA": 0.4, "mean spectrum": 1.0}, title="t $x")
    axes = drawn[0].axes[0]
    lines = {line.get_label(): line for line in axes.get_lines()}
    assert set(lines) == {"training, input masked", "held out", "PCA, held out", "mean spectrum, held out"}
    held_out = lines["held out"].get_ydata()
    assert [held_out[0], held_out[2]] == [0.8, 0.6]
    assert np.isnan(held_out[1])
    assert list(lines["held out"].get_xdata()) == [50, 100, 150]
    assert len({line.get_linestyle() for line in lines.values()}) == 4  # told apart without colour
    assert axes.get_xlabel() == "step"
    assert "squared" in axes.get_ylabel()
    assert read_png((tmp_path / "c.png").read_bytes()).std() > 0.01


def test_the_axis_names_the_loss(drawn: list[Any]) -> None:
    for loss, words in (("mae", "absolute"), ("spectral_convergence", "spectral"), ("other", "other")):
        plots.draw_training_curve(HISTORY[:1], io.BytesIO(), loss=loss)
        assert words in drawn[-1].axes[0].get_ylabel()


def test_reconstructions_share_colours_and_have_units(drawn: list[Any]) -> None:
    file = io.BytesIO()
    pairs = [a_pair(), a_pair("b" * 60 + ".wav", error_db=3.0, n_frames=40)]
    plots.draw_reconstructions(pairs, file, ANALYSIS, "model")
    axes = drawn[0].axes
    images = [image for one in axes[:4] for image in one.get_images()]
    assert len({image.get_clim() for image in images}) == 1
    assert {image.get_cmap().name for image in images} == {"cividis"}
    assert [one.get_title() for one in axes[:4]][2:] == ["error 0.0 dB (rms)", "error 3.0 dB (rms)"]
    assert axes[1].get_title().endswith("b.wav")
    assert len(axes[1].get_title()) < 40
    assert {one.get_xlabel() for one in axes[2:4]} == {"time in s"}
    assert "Hz" in axes[0].get_ylabel()
    assert "dB" in axes[4].get_ylabel()
    assert axes[0].get_xlim()[1] == pytest.approx(90 * ANALYSIS.hop_length / ANALYSIS.sample_rate)
    assert read_png(file.getvalue()).shape[2] == 4


@pytest.mark.parametrize("config", [ANALYSIS, MelConfig(sample_rate=22_050, n_mels=40, fmax_hz=8_000, mel_scale="htk")])
def test_ticks_stand_at_the_bands_of_their_frequencies(config: MelConfig) -> None:
    places, labels = figure.mel_ticks(config)
    assert len(places) >= 5
    filters, hz = mel_filters(config), fft_frequencies(config.sample_rate, config.n_fft)
    for place, label in zip(places, labels, strict=True):
        if float(label) >= 500:  # below, a band is narrower than the bins of the transform
            nearest = int(np.argmax(filters[:, np.argmin(np.abs(hz - float(label)))]))
            assert abs(nearest - place) <= 1.0


def test_names_that_no_font_can_draw_are_no_trouble() -> None:
    file = io.BytesIO()
    plots.draw_reconstructions([a_pair("音$楽_\n\udcff.wav")], file, ANALYSIS, "$\\frac")
    assert file.getvalue().startswith(b"\x89PNG")


def test_nothing_to_draw_is_an_error() -> None:
    with pytest.raises(VolnaError, match="none"):
        plots.draw_training_curve([], io.BytesIO())
    with pytest.raises(VolnaError, match="none"):
        plots.draw_reconstructions([], io.BytesIO(), ANALYSIS)


def test_without_matplotlib_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figure, "can_draw", lambda: False)
    with pytest.raises(VolnaError, match=r"volna\[plots\]"):
        plots.draw_training_curve(HISTORY, io.BytesIO())


def test_importing_and_asking_does_not_load_matplotlib() -> None:
    code = "import sys; from volna.plots import figure; figure.can_draw(); print('matplotlib' in sys.modules)"
    paths = ":".join(filter(None, sys.path))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={"PYTHONPATH": paths})
    assert done.stdout.strip() == "False", done.stderr
