"""Rate against distance: what codecs lose at how many bits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from volna.plots.figure import BLUE, GREEN, ORANGE, VERMILION, Target, new_figure, save_figure, short_name

__all__ = ["SCORES", "draw_rates"]

# Name of a score, the label of its axis, and which way is better.
SCORES = {
    "mel_db": "mel distance in dB\n(lower is nearer)",
    "stft": "multi-resolution STFT distance\n(lower is nearer)",
    "si_sdr_db": "SI-SDR in dB\n(higher is nearer)",
}
_LOOKS = {
    "volna": (BLUE, "o", "-"),
    "mel + griffin-lim": (ORANGE, "s", "--"),
    "opus": (GREEN, "^", "-."),
    "mp3": (VERMILION, "v", ":"),
}


def draw_rates(rows: Sequence[Mapping[str, Any]], file: Target, *, title: str = "") -> None:
    """Draw one panel a score: bits on the disk to the right, a line for every codec.

    Parameters
    ----------
    rows
        ``codec``, ``kbps`` on the disk and ``scores``, as `volna.workflows.making.codec_evaluating.CodecRow`.
    file
        A PNG: a path or a binary file.
    title
        Above.

    Raises
    ------
    VolnaError
        matplotlib is not installed.

    Examples
    --------
    >>> draw_rates([{"codec": "volna", "kbps": 1.5, "scores": {"mel_db": 3.0}}], "curve.png")  # doctest: +SKIP
    """
    shown = [name for name in SCORES if all(name in row["scores"] for row in rows)]
    figure = new_figure(4.4 * len(shown), 4.2)
    panels = figure.subplots(1, len(shown), squeeze=False)[0]
    for axes, name in zip(panels, shown, strict=True):
        for codec in dict.fromkeys(row["codec"] for row in rows):
            points = sorted((row["kbps"], row["scores"][name]) for row in rows if row["codec"] == codec)
            colour, marker, dashes = _LOOKS.get(codec, (BLUE, "o", "-"))
            axes.plot(*zip(*points, strict=True), dashes, color=colour, marker=marker, label=codec)
        _rate_axis(axes, [row["kbps"] for row in rows])
        axes.set_ylabel(SCORES[name])
        axes.grid(True, alpha=0.3)
    panels[0].legend()
    if title:
        figure.suptitle(short_name(title, 90))
    save_figure(figure, file)


def _rate_axis(axes: Any, kbps: Sequence[float]) -> None:
    """A logarithmic axis with plain numbers."""
    low, high = 0.85 * min(kbps), 1.2 * max(kbps)
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    ticks = [rate for rate in (0.25, 0.5, 1, 2, 4, 8, 16, 32, 64) if low <= rate <= high]
    axes.set_xticks(ticks, [f"{rate:g}" for rate in ticks])
    axes.minorticks_off()
    axes.set_xlabel("kbit/s on the disk")
