"""Pictures of what a classifier saw: they are drawn, show what they are told, and refuse what does not fit."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest

from volna.errors import VolnaError
from volna.features.picture import PICTURE, picture
from volna.plots import attention
from volna.plots.attention import draw_class_activation, draw_first_filters

pytest.importorskip("matplotlib", reason="pictures need matplotlib, the extra `plots`")


def sound_and_activation() -> tuple[np.ndarray, np.ndarray]:
    samples = np.sin(2 * np.pi * 1_000 * np.arange(16_000) / 16_000)
    seen = picture(samples, 16_000)
    activation = np.zeros_like(seen)
    activation[20:30, 40:60] = 1.0
    return seen, activation


def drawn(draw, *args, **options):
    """The figure that was to be saved, and the size of the picture."""
    import matplotlib.image

    figures = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(attention, "save_figure", lambda figure, file: figures.append(figure))
        draw(*args, BytesIO(), *options.pop("after", ()), **options)
    file = BytesIO()
    attention.save_figure(figures[0], file)
    file.seek(0)
    return figures[0], matplotlib.image.imread(file)


def test_the_sound_is_dark_where_nothing_was_seen() -> None:
    seen, activation = sound_and_activation()
    figure, pixels = drawn(draw_class_activation, seen, activation, after=(PICTURE,), class_name="tone", title="a tone")
    assert pixels.shape[:2] == (624, 864)
    top, bottom, *_ = figure.axes
    veil = bottom.images[1].get_array()[..., 3]
    assert veil[25, 50] == 0
    assert veil[5, 5] > 0.5
    assert "what spoke for tone" in [bottom.get_title(loc="left")]
    assert bottom.get_xlabel() == "time in s"
    assert bottom.images[0].get_extent()[1] == pytest.approx(1.01)
    assert [label.get_text() for label in top.get_yticklabels()][:2] == ["100", "250"]
    assert len(bottom.collections) > 0  # the lines around it


@pytest.mark.parametrize("n_frames", [1, 2, 400])
def test_any_length_and_an_activation_of_nothing_are_drawn(tmp_path: Path, n_frames: int) -> None:
    seen = np.full((64, n_frames), -60, np.float32)
    for activation in (np.zeros_like(seen), np.ones_like(seen)):
        draw_class_activation(seen, activation, tmp_path / "seen.png", PICTURE, class_name="a $strange$ name\n")
        assert (tmp_path / "seen.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("n_mels", "n_frames"),
    [(63, 10), (64, 9)],
)
def test_pictures_of_other_sizes_are_refused(n_mels: int, n_frames: int) -> None:
    with pytest.raises(VolnaError, match=r"shape \(64, n_frames\)"):
        draw_class_activation(np.zeros((64, 10)), np.zeros((n_mels, n_frames)), BytesIO(), PICTURE)


@pytest.mark.parametrize("n", [1, 8, 9, 100])
def test_filters_are_drawn_strongest_first(n: int) -> None:
    filters = np.random.default_rng(0).standard_normal((n, 5, 3)).astype(np.float32)
    figure, pixels = drawn(draw_first_filters, filters, title="first layer")
    shown = [axes for axes in figure.axes if axes.images and axes.get_title()]
    strengths = [float(axes.get_title()) for axes in shown]
    assert len(shown) == min(n, attention.MOST_FILTERS)
    assert strengths == sorted(strengths, reverse=True)
    strongest = np.sqrt(np.square(filters).sum(axis=(1, 2))).argmax()
    image = np.asarray(shown[0].images[0].get_array())
    np.testing.assert_allclose(image, filters[strongest] / np.abs(filters[strongest]).max(), rtol=1e-6)
    assert pixels.shape[1] == 864


def test_a_filter_of_zeros_is_drawn(tmp_path: Path) -> None:
    draw_first_filters(np.zeros((2, 5, 5), np.float32), tmp_path / "filters.png")
    assert (tmp_path / "filters.png").stat().st_size > 1_000


@pytest.mark.parametrize("filters", [np.zeros((0, 5, 5)), np.zeros((5, 5))])
def test_what_is_no_set_of_filters_is_refused(filters: np.ndarray) -> None:
    with pytest.raises(VolnaError, match="expected filters of shape"):
        draw_first_filters(filters, BytesIO())


def test_without_matplotlib_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("volna.plots.figure.can_draw", lambda: False)
    with pytest.raises(VolnaError, match=r"pip install 'volna\[plots\]'"):
        draw_first_filters(np.ones((1, 2, 2)), BytesIO())
