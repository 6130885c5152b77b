"""Who is taken for whom: a table of confusions as a picture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from volna.plots.figure import COLOUR_MAP, Target, new_figure, save_figure, short_name

__all__ = ["draw_confusion"]

MOST_NUMBERS = 30  # classes; with more the cells are too small for a number
CELL, LEAST, MOST = 0.45, 4.0, 14.0  # inches


def draw_confusion(table: np.ndarray, labels: Sequence[str], file: Target, *, title: str = "") -> None:
    """Draw how often each label (row) was taken for each (column).

    Parameters
    ----------
    table : ndarray
        int ``(n_labels, n_labels)``, counts.
    labels : sequence of str
    file : path or binary file
        A PNG.
    title : str

    Raises
    ------
    VolnaError
        matplotlib is not installed.

    Examples
    --------
    >>> draw_confusion(np.array([[9, 1], [2, 8]]), ["cat", "dog"], "confusion.png")  # doctest: +SKIP
    """
    n = len(labels)
    names = [short_name(label, 20) for label in labels]
    side = min(max(CELL * n + 2.0, LEAST), MOST)
    figure = new_figure(side + 1.0, side)
    axes = figure.add_subplot()
    share = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    picture = axes.imshow(share, cmap=COLOUR_MAP, vmin=0.0, vmax=1.0)
    axes.set_xticks(range(n), names, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(n), names)
    axes.set_xlabel("answered")
    axes.set_ylabel("true label")
    if title:
        axes.set_title(short_name(title, 60))
    if n <= MOST_NUMBERS:
        for row, column in zip(*np.nonzero(table), strict=True):
            colour = "black" if share[row, column] > 0.6 else "white"
            axes.text(column, row, str(table[row, column]), ha="center", va="center", color=colour, fontsize=9)
    figure.colorbar(picture, ax=axes, label="share of the true label", shrink=0.8)
    save_figure(figure, file)
