"""Pictures of sound over time: spectrograms of every kind, with axes for people and bare ones for models."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from volna.errors import InputError, VolnaError
from volna.plots.figure import (
    BLACK,
    BLUE,
    COLOUR_MAP,
    Target,
    can_draw,
    new_figure,
    plain_text,
    save_figure,
    short_name,
)

__all__ = ["band_ticks", "check_colours", "draw_raw", "draw_spectrogram"]

CLOSEST = 0.045  # labels nearer than this share of the axis would touch
FEW_ROWS = 40  # rows of a picture that are drawn as sharp stripes
MOST_PIXELS = 700
LONGEST_TITLE = 84  # characters of a line


def check_colours(name: str) -> None:
    """Refuse a colour map that there is not, before the work begins.

    Raises
    ------
    VolnaError
        matplotlib is not installed.
    InputError
        It knows no such colour map.
    """
    if not can_draw():
        raise VolnaError("pictures need matplotlib: pip install 'volna[plots]'")
    from matplotlib import colormaps

    if name not in colormaps:
        raise InputError(f"expected a colour map of matplotlib, as cividis, viridis, magma or gray, got {name!r}")


def band_ticks(frequencies_hz: np.ndarray) -> tuple[list[float], list[str]]:
    """Places of round frequencies among bands, and their labels in Hz, none so close that they touch.

    Parameters
    ----------
    frequencies_hz
        ``(n_bands,)``, rising: the middles of the bands.

    Examples
    --------
    >>> band_ticks(np.array([50.0, 100.0, 200.0, 400.0, 800.0]))
    ([0.0, 1.0, 2.0, 3.25], ['50', '100', '200', '500'])
    """
    n_bands = len(frequencies_hz)
    places: list[float] = []
    labels: list[str] = []
    for hz in _round_frequencies(frequencies_hz):
        place = float(np.interp(hz, frequencies_hz, np.arange(n_bands)))
        if not places or place - places[-1] > CLOSEST * n_bands:
            places.append(place)
            labels.append(f"{hz:g}")
    return places, labels


def _round_frequencies(frequencies_hz: np.ndarray) -> list[float]:
    """Steps of 1, 2, 5 in every decade, or even ones where the bands are evenly spaced or span little."""
    low, high = float(frequencies_hz[0]), float(frequencies_hz[-1])
    steps = np.diff(frequencies_hz)
    rising = [k * 10.0**decade for decade in range(6) for k in (1, 2, 5)]
    shown = [hz for hz in rising if low <= hz <= high]
    if len(shown) >= 3 and not np.allclose(steps, steps[0], rtol=1e-2):
        return shown
    if high <= low:
        return [low]
    from matplotlib.ticker import MaxNLocator

    return [float(hz) for hz in MaxNLocator(9, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high) if low <= hz <= high]


def draw_spectrogram(
    values: np.ndarray,
    file: Target,
    *,
    times_s: np.ndarray,
    step_s: float,
    frequencies_hz: np.ndarray | None = None,
    rows: Sequence[str] = (),
    y_label: str = "frequency in Hz",
    value_label: str = "level in dB",
    limits: tuple[float, float] | None = None,
    extend: str = "neither",
    frame: int | None = None,
    cmap: str = COLOUR_MAP,
    title: str = "",
    subtitle: str = "",
) -> None:
    """Draw a spectrogram with its axes, a colour bar and a title.

    Parameters
    ----------
    values
        ``(n_bands, n_frames)``, lowest band first.
    file
        Where the PNG goes: a path, replaced where it exists, or a binary file.
    times_s, step_s
        Middle of every frame ``(n_frames,)``, and what lies between two.
    frequencies_hz, rows
        Middle of every band ``(n_bands,)``, or, where bands are none of frequency, what they are called.
    limits
        Values of the darkest and the brightest colour; those of ``values`` by default.
    extend
        Which ends of the colour bar have values beyond: ``"neither"``, ``"min"``, ``"max"`` or ``"both"``.
    frame
        Number of a frame whose spectrum is drawn beside the picture.

    Raises
    ------
    VolnaError
        matplotlib is not installed.
    """
    figure = new_figure(9.0, 4.5)
    panels = [figure.add_subplot()] if frame is None else list(figure.subplots(1, 2, width_ratios=(4, 1), sharey=True))
    axes = panels[0]
    low, high = limits or (float(values.min()), float(values.max()))
    high = high if high > low else low + 1.0
    edges_s = (float(times_s[0]) - step_s / 2, float(times_s[-1]) + step_s / 2)
    few = len(values) <= FEW_ROWS
    image = axes.imshow(
        _thinned(values, MOST_PIXELS) if few else values, origin="lower", aspect="auto", cmap=cmap, vmin=low, vmax=high,
        interpolation="nearest" if few else "auto", interpolation_stage="data",
        extent=(*edges_s, -0.5, len(values) - 0.5),
    )  # fmt: skip
    axes.set_xlim(float(times_s[0]) if len(times_s) > 1 else edges_s[0], edges_s[1])
    axes.set_xlabel("time in s")
    axes.set_ylabel(y_label)
    _set_rows(axes, values, frequencies_hz, rows)
    if frame is not None:
        _add_frame(panels, values[:, frame], float(times_s[frame]), (low, high), value_label)
    figure.colorbar(image, ax=panels, label=value_label, extend=extend, pad=0.02)
    figure.suptitle(short_name(title, LONGEST_TITLE), fontsize=11)
    axes.set_title(plain_text(subtitle), fontsize=8, loc="left")
    save_figure(figure, file)


def _thinned(values: np.ndarray, most: int) -> np.ndarray:
    """At most so many columns, each a mean: rows high enough to be told apart must not be blurred into one another."""
    n_frames = values.shape[1]
    if n_frames <= most:
        return values
    edges = np.linspace(0, n_frames, most + 1).astype(int)[:-1]
    return np.add.reduceat(values, edges, axis=1) / np.diff(np.append(edges, n_frames))


def _set_rows(axes: Any, values: np.ndarray, frequencies_hz: np.ndarray | None, rows: Sequence[str]) -> None:
    if frequencies_hz is not None:
        axes.set_yticks(*band_ticks(frequencies_hz))
    elif len(rows) <= FEW_ROWS:
        axes.set_yticks(range(len(rows)), rows, fontsize=9 if len(rows) <= 24 else 6)


def _add_frame(
    panels: list[Any], spectrum: np.ndarray, time_s: float, limits: tuple[float, float], value_label: str
) -> None:
    """A line where the frame is, and its values over the same bands."""
    picture, beside = panels
    for colour, width in (("white", 2.6), (BLACK, 1.0)):
        picture.axvline(time_s, color=colour, linewidth=width)
    beside.plot(spectrum, np.arange(len(spectrum)), color=BLUE, linewidth=1)
    low, high = min(limits[0], float(spectrum.min())), max(limits[1], float(spectrum.max()))
    beside.set_xlim(low - 0.02 * (high - low), high + 0.02 * (high - low))
    beside.set_xlabel(value_label.split(" re ")[0].split(",")[0])
    beside.set_title(f"at {time_s:.3f} s", fontsize=9)
    beside.grid(alpha=0.3)
    beside.tick_params(labelleft=False)


def draw_raw(values: np.ndarray, file: Target, *, limits: tuple[float, float], cmap: str = COLOUR_MAP) -> None:
    """Write values as a bare PNG, a pixel each, highest band on top: as wide as there are frames, as high as bands.

    With the colour map ``gray`` it has one channel of 8 bits, otherwise three. What black and white stand for is in the
    picture's text fields ``low`` and ``high``.

    Raises
    ------
    VolnaError
        matplotlib is not installed.
    """
    check_colours(cmap)
    from matplotlib import colormaps
    from PIL import Image  # matplotlib does not go without it
    from PIL.PngImagePlugin import PngInfo

    low, high = limits
    scaled = np.clip((values[::-1] - low) / max(high - low, 1e-9), 0.0, 1.0)
    if cmap == "gray":
        pixels = np.rint(scaled * 255.0).astype(np.uint8)
    else:
        pixels = np.ascontiguousarray(colormaps[cmap](scaled, bytes=True)[..., :3])
    fields = PngInfo()
    fields.add_text("low", f"{low:g}")
    fields.add_text("high", f"{high:g}")
    whole = io.BytesIO()
    Image.fromarray(pixels).save(whole, format="PNG", pnginfo=fields)
    if isinstance(file, str) or hasattr(file, "__fspath__"):
        with open(file, "wb") as written:
            written.write(whole.getvalue())
    else:
        file.write(whole.getvalue())
