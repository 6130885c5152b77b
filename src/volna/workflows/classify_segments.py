"""Labels along the time of long recordings: overlapping segments become spans that touch and never overlap.

::

    segments   |--- dog .9 ---|                 each with its probabilities
                     |--- dog .7 ---|
                           |--- rain .8 --|
    cells      |-----|-----|--|-----|-----|     between any two borders: the mean of the segments that cover it
    spans      |----- dog -----|-- rain --|     neighbours of one label joined
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

if TYPE_CHECKING:
    from volna.workflows.classify_jobs import Labelled

__all__ = ["NONE", "LabelledSpan", "segment_table", "spans_of", "write_audacity"]

NONE = "none"


@dataclass(frozen=True)
class LabelledSpan:
    """A part of a file with one label, ``none`` where no label is probable enough; ``probability`` is a mean."""

    path: str
    start_s: float
    end_s: float
    label: str
    probability: float


def spans_of(path: str, labelled: Labelled, classes: Sequence[str], threshold: float) -> list[LabelledSpan]:
    """The spans of one file, from its start to its end.

    A span is ``none`` where its likeliest label stays below `threshold`; its probability is then that of the label
    that was not believed, 0 for silence.
    """
    borders = np.unique(np.concatenate([labelled.start_s, labelled.end_s]).round(6))
    spans: list[LabelledSpan] = []
    lengths: list[float] = []
    for start_s, end_s in itertools.pairwise(borders.tolist()):
        covering = (labelled.start_s <= start_s + 1e-6) & (labelled.end_s >= end_s - 1e-6)
        rows = labelled.probabilities[covering]
        rows = rows[np.isfinite(rows).all(axis=1)]
        mean = rows.mean(axis=0) if len(rows) else np.zeros(len(classes))
        k = int(mean.argmax())
        label = classes[k] if mean[k] >= threshold and len(rows) else NONE
        _append(spans, lengths, LabelledSpan(path, start_s, end_s, label, float(mean[k])))
    return spans


def _append(spans: list[LabelledSpan], lengths: list[float], cell: LabelledSpan) -> None:
    """Add a cell, or lengthen the last span by it where the label is the same."""
    length = cell.end_s - cell.start_s
    if not spans or spans[-1].label != cell.label:
        spans.append(cell)
        lengths.append(length)
        return
    last, total = spans[-1], lengths[-1] + length
    probability = (last.probability * lengths[-1] + cell.probability * length) / total
    spans[-1], lengths[-1] = LabelledSpan(cell.path, last.start_s, cell.end_s, cell.label, probability), total


def segment_table(spans: Sequence[LabelledSpan]) -> list[list[str]]:
    """Header and rows of a CSV of spans."""
    rows = [["path", "start_s", "end_s", "label", "probability"]]
    for span in spans:
        rows.append([span.path, f"{span.start_s:.3f}", f"{span.end_s:.3f}", span.label, f"{span.probability:.4f}"])
    return rows


def write_audacity(file: BinaryIO, spans: Sequence[LabelledSpan]) -> None:
    """Write the spans that have a label as a label track: start, end and label, parted by tabs.

    Where there are several files, each begins where the one before it ends, as when Audacity puts them on end.
    """
    offset_s, path, end_s = 0.0, None, 0.0
    for span in spans:
        if path is not None and span.path != path:
            offset_s += end_s
        path, end_s = span.path, span.end_s
        if span.label != NONE:
            label = " ".join(span.label.split())
            line = f"{offset_s + span.start_s:.6f}\t{offset_s + span.end_s:.6f}\t{label}\n"
            file.write(line.encode("utf-8", "surrogateescape"))
