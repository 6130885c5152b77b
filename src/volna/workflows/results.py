"""What the verbs return: plain dataclasses, turned into the documented JSON by ``as_dict``."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

__all__ = ["DemoReport", "Evaluation", "Failure", "IndexSummary", "Match", "Playlist", "Row", "Similar", "Status"]


@dataclass(frozen=True)
class Failure:
    """A file that could not be analysed, and why."""

    path: str
    reason: str


@dataclass
class IndexSummary:
    """The sum of one indexing run: ``found = analysed + unchanged + moved + failed + excluded``."""

    found: int = 0
    analysed: int = 0
    unchanged: int = 0
    moved: int = 0  # recognised by its coded audio: moved, renamed, re-tagged or copied
    failed: int = 0
    excluded: int = 0
    other: int = 0  # covers, texts, cue sheets: not audio, not in `found`
    gone: int = 0
    model: str | None = None
    seconds: float = 0.0
    failures: list[Failure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Match:
    """One track in an answer. ``similarity`` is a cosine in [-1, 1], ``distance`` is one minus it."""

    rank: int
    id: int
    path: str
    artist: str | None
    title: str | None
    album: str | None
    similarity: float
    distance: float
    why: str
    duration_s: float = 0.0
    copies: tuple[str, ...] = ()  # other paths that hold the same recording


@dataclass
class Similar:
    """The answer to ``similar``: the query, the space asked, and the tracks, nearest first."""

    query: str
    by: str
    results: list[Match]
    notes: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass
class Playlist:
    """The answer to ``wave`` and ``journey``: tracks in playing order, the settings, the rules relaxed."""

    query: list[str]
    by: str
    settings: dict[str, Any]
    results: list[Match]
    relaxed: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Row:
    """One line of the evaluation table; every figure is ``(value, low, high)``, a 95 % interval over artists."""

    name: str
    precision_at_1: tuple[float, float, float]
    precision_at_5: tuple[float, float, float]
    precision_at_10: tuple[float, float, float]
    mean_average_precision: tuple[float, float, float]
    hubness: tuple[float, float, float]
    never_recommended: tuple[float, float, float]


@dataclass
class Evaluation:
    """The answer to ``evaluate``: which labels were asked for, over how many tracks, one row per method."""

    labels: str
    n_tracks: int
    n_labels: int
    rows: list[Row]
    notes: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass
class Status:
    """What a library holds."""

    library: str
    tracks: int
    files: int
    failed: int
    gone: int
    short: int
    hours: float
    segment: str
    model: str | None
    embedded: int
    trained_on: int
    spaces: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass
class DemoReport:
    """What the demo did, step by step; the music, and so every figure, is synthetic."""

    folder: str
    library: str
    index: IndexSummary
    similar: Similar
    playlist: Playlist
    playlist_path: str
    evaluation: Evaluation
    seconds: float
    notes: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)
