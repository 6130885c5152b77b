"""What a diagnosis says: findings, and the piece of sound that every detector is handed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Finding", "Piece", "certainty", "join_spans", "runs"]

Floats = NDArray[np.float32]
Span = tuple[float, float]
LEAST_GAP_S = 0.05
MOST_SPANS = 200  # more are joined over longer pauses: a list of ten thousand clicks helps nobody


class Piece(NamedTuple):
    """A stretch of sound with some context: ``samples`` float32 ``(n_channels, n)``, the first at ``start``.

    An event belongs to the piece whose ``[begin, end)`` (samples from the start of the file) holds it.
    """

    samples: Floats
    start: int
    begin: int
    end: int
    sample_rate: int

    @property
    def own(self) -> Floats:
        """The samples without the context."""
        return self.samples[:, self.begin - self.start : self.end - self.start]


@dataclass(frozen=True)
class Finding:
    """One fault: what, where, how much, how sure, and a sentence.

    ``channel`` counts from 1, None for all or the mix; ``spans`` are ``(start_s, end_s)`` in order; ``certainty`` is in
    [0, 1], 0.5 where the measure just reaches the threshold.
    """

    kind: str
    measure: float
    unit: str
    certainty: float
    sentence: str
    channel: int | None = None
    spans: tuple[Span, ...] = field(default=())

    def as_dict(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "channel": self.channel,
            "spans": [list(span) for span in self.spans],
            "measure": self.measure,
            "unit": self.unit,
            "certainty": self.certainty,
            "sentence": self.sentence,
        }


def certainty(excess: float) -> float:
    """From how far beyond its threshold a measure lies: 0.5 at 0, 0.75 at 1, 0.875 at 2, at most 0.99.

    Examples
    --------
    >>> certainty(1.0)
    0.75
    """
    return round(float(min(0.99, 1.0 - 0.5 * 2.0 ** -max(0.0, excess))), 3)


def join_spans(spans: Iterable[Span], gap_s: float = 0.25) -> tuple[Span, ...]:
    """Spans in order, those less than `gap_s` apart as one; at most 200, for which `gap_s` is doubled as needed.

    Examples
    --------
    >>> join_spans([(1.0, 1.5), (0.0, 0.9), (4.0, 5.0)])
    ((0.0, 1.5), (4.0, 5.0))
    """
    joined: list[list[float]] = []
    for begin, end in sorted(spans):
        if joined and begin - joined[-1][1] <= gap_s:
            joined[-1][1] = max(joined[-1][1], end)
        else:
            joined.append([begin, end])
    if len(joined) > MOST_SPANS:
        return join_spans([(begin, end) for begin, end in joined], max(2 * gap_s, LEAST_GAP_S))
    return tuple((round(float(begin), 4), round(float(end), 4)) for begin, end in joined)


def runs(mask: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Starts and ends (exclusive) of the stretches where `mask` ``(n,)`` holds.

    Examples
    --------
    >>> starts, ends = runs(np.array([False, True, True, False, True]))
    >>> starts.tolist(), ends.tolist()
    ([1, 4], [3, 5])
    """
    edges = np.flatnonzero(mask[1:] != mask[:-1]) + 1
    starts, ends = edges[::2], edges[1::2]
    if mask.size and mask[0]:
        starts, ends = np.concatenate([[0], edges[1::2]]), edges[::2]
    if len(ends) < len(starts):
        ends = np.concatenate([ends, [mask.size]])
    return starts.astype(np.int64), ends.astype(np.int64)
