"""Pictures of spectra: sizes and pixels of the bare ones, ticks that do not touch, labels that are not cut."""

from __future__ import annotations

import io

import numpy as np
import pytest

from volna.errors import InputError
from volna.plots import figure
from volna.plots.spectra import band_ticks, check_colours, draw_raw, draw_spectrogram
from volna.plots.spectrum import Curves, draw_spectrum

image = pytest.importorskip("PIL.Image")
pytest.importorskip("matplotlib")


def values(n_bands: int = 32, n_frames: int = 50) -> np.ndarray:
    return np.random.default_rng(0).uniform(-80, 0, (n_bands, n_frames)).astype(np.float32)


def drawn(**options) -> np.ndarray:
    file = io.BytesIO()
    shown = options.pop("values", values())
    options = {"times_s": np.arange(shown.shape[1]) * 0.1, "step_s": 0.1} | options
    draw_spectrogram(shown, file, **options)
    return np.asarray(image.open(file).convert("RGB"))


def edges_are_white(pixels: np.ndarray) -> bool:
    return all((side == 255).all() for side in (pixels[:2], pixels[-2:], pixels[:, :2], pixels[:, -2:]))


@pytest.mark.parametrize(
    "options",
    [
        {"frequencies_hz": np.linspace(0, 4_000, 32)},
        {"frequencies_hz": np.geomspace(32.7, 20_000, 32), "frame": 7, "title": "a very long name " * 12},
        {"rows": [str(k) for k in range(32)], "extend": "both", "limits": (-10.0, 10.0), "value_label": "coefficient"},
        {"values": values(12, 1), "rows": list("abcdefghijkl"), "frame": 0},
        {"values": values(12, 5_000), "rows": list("abcdefghijkl"), "title": "5 $ for 5_0^0 $ \u97f3 \x07"},
        {"values": np.full((32, 3), -80.0), "frequencies_hz": np.linspace(100, 101, 32)},
        {"values": values(1, 1), "frequencies_hz": np.array([440.0]), "y_label": "frequency in Hz, logarithmic"},
    ],
)
def test_nothing_is_cut_at_the_edges(options: dict) -> None:
    pixels = drawn(**options)
    assert pixels.shape == (540, 1080, 3)
    assert edges_are_white(pixels)


def test_loud_cells_are_bright_and_low_bands_are_below() -> None:
    shown = np.full((32, 50), -80.0)
    shown[:4] = 0.0  # a loud lowest eighth
    pixels = drawn(values=shown, frequencies_hz=np.linspace(0, 4_000, 32), limits=(-80.0, 0.0)).astype(int)
    inside = pixels[:, 400]
    yellow = np.flatnonzero((inside[:, 0] > 200) & (inside[:, 2] < 120))
    blue = np.flatnonzero((inside[:, 0] < 50) & (inside[:, 2] > 60))
    assert len(blue) > 5 * len(yellow) > 100
    assert yellow.min() > blue.max()


def test_a_frame_beside_the_picture_changes_it() -> None:
    assert not np.array_equal(drawn(rows=["x"] * 32), drawn(rows=["x"] * 32, frame=3))


@pytest.mark.parametrize(
    ("frequencies_hz", "labels"),
    [
        (np.linspace(0, 8_000, 100), ["0", "1000", "2000", "3000", "4000", "5000", "6000", "7000", "8000"]),
        (np.geomspace(50, 5_000, 80), ["50", "100", "200", "500", "1000", "2000", "5000"]),
        (np.array([440.0]), ["440"]),
    ],
)
def test_ticks_are_round(frequencies_hz: np.ndarray, labels: list) -> None:
    places, found = band_ticks(frequencies_hz)
    assert found == labels
    assert places == sorted(places)
    np.testing.assert_allclose(
        np.interp(places, range(len(frequencies_hz)), frequencies_hz), [float(label) for label in found], rtol=0.02
    )


def test_ticks_do_not_touch() -> None:
    hz = 700 * (10 ** (np.linspace(0, 3_900, 128) / 2595) - 1)
    places, _ = band_ticks(hz)
    assert np.diff(places).min() > 0.04 * 128


def test_a_bare_picture_has_a_pixel_for_every_value() -> None:
    shown = values(32, 50)
    for cmap, mode in (("gray", "L"), ("cividis", "RGB")):
        file = io.BytesIO()
        draw_raw(shown, file, limits=(-80.0, 0.0), cmap=cmap)
        picture = image.open(file)
        assert (picture.size, picture.mode) == ((50, 32), mode)
        assert (picture.text["low"], picture.text["high"]) == ("-80", "0")


def test_gray_values_come_back() -> None:
    shown = values(16, 20)
    file = io.BytesIO()
    draw_raw(shown, file, limits=(-80.0, 0.0), cmap="gray")
    again = np.asarray(image.open(file)).astype(float)[::-1] / 255 * 80 - 80
    np.testing.assert_allclose(again, shown, atol=0.16)


def test_values_beyond_the_limits_are_clipped() -> None:
    file = io.BytesIO()
    draw_raw(np.array([[-100.0, 20.0]]), file, limits=(-80.0, 0.0), cmap="gray")
    assert np.asarray(image.open(file)).tolist() == [[0, 255]]


def test_a_bare_picture_goes_into_a_path(tmp_path) -> None:
    draw_raw(values(), tmp_path / "bare.png", limits=(-80.0, 0.0))
    with image.open(tmp_path / "bare.png") as picture:
        assert picture.size == (50, 32)


def test_unknown_colours_are_refused() -> None:
    check_colours("magma")
    with pytest.raises(InputError, match="colour map"):
        check_colours("no such map")


def spectrum_pixels(levels_db: np.ndarray, **options) -> np.ndarray:
    file = io.BytesIO()
    draw_spectrum(np.arange(len(levels_db)) * 10.0, levels_db, file, **options)
    return np.asarray(image.open(file).convert("RGB"))


@pytest.mark.parametrize("levels_db", [np.linspace(-20, -90, 800), np.full(800, -180.0), np.linspace(-10, -180, 65)])
def test_a_spectrum_with_all_its_panels_is_not_cut(levels_db: np.ndarray) -> None:
    line = np.linspace(-12, 12, 100), np.linspace(-90, 0, 100)
    words = "12345.6 Hz  D#10 +49 ct  -123.4 dB"
    pixels = spectrum_pixels(
        levels_db,
        peaks=[(60.0 + 30 * k, -30.0 - k, words) for k in range(15)],
        windows=Curves(dict.fromkeys(("hann", "hamming", "rectangular"), line), {}),
        times=((64, 128), (1e-4, 4e-4), (1e-6, 2e-6)),
        title="a long name of a file " * 10,
        subtitle="mean spectrum, 1 frame",
    )
    assert edges_are_white(pixels)
    assert pixels.shape[1] == 1080


def test_panels_make_the_picture_higher() -> None:
    levels_db = np.linspace(-20, -90, 800)
    alone = spectrum_pixels(levels_db)
    timed = spectrum_pixels(levels_db, times=((64, 128), (1e-4, 4e-4), (1e-6, 2e-6)))
    assert timed.shape[0] > 1.5 * alone.shape[0]


def test_without_matplotlib_one_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figure.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(Exception, match="pip install"):
        drawn()
    with pytest.raises(Exception, match="pip install"):
        check_colours("gray")
