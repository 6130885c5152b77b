"""A confusion matrix as files: the picture, and the table beside it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from volna.errors import InputError
from volna.plots.figure import can_draw
from volna.plots.scores import draw_confusion
from volna.workflows.classify_answers import write_table
from volna.workflows.files import check_free, new_file

__all__ = ["confusion_files", "write_confusion"]


def confusion_files(confusion: str | Path | None, force: bool) -> list[Path]:
    """The picture and the table beside it, both free to be written; none where no picture was asked for.

    Raises
    ------
    InputError
        The name is none of a picture, a file is in the way, or matplotlib is missing.
    """
    if confusion is None:
        return []
    picture = Path(confusion).expanduser()
    if picture.suffix.lower() != ".png":
        raise InputError(f"{picture}: expected the name of a picture that ends in .png")
    if not can_draw():
        raise InputError("pictures need matplotlib: pip install 'volna[plots]'")
    files = [picture, picture.with_suffix(".csv")]
    for file in files:
        check_free(file, force=force)
    return files


def write_confusion(
    confusion: Sequence[Sequence[int]], labels: Sequence[str], files: Sequence[Path], force: bool, title: str = ""
) -> list[str]:
    """Write what `confusion_files` prepared, rows what is true, columns what was said; the names of the files."""
    if not files:
        return []
    with new_file(files[0], force=force) as file:
        draw_confusion(np.array(confusion), list(labels), file, title=title)
    with new_file(files[1], force=force) as file:
        numbers = [[label, *map(str, row)] for label, row in zip(labels, confusion, strict=True)]
        write_table(file, [["truth", *labels], *numbers])
    return [str(file) for file in files]
