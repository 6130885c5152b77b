"""`evaluate`: how good the neighbours are, beside chance and plain baselines, on the user's own library.

With labels (a CSV, the folder's name, or genre tags) a neighbour is right when it has the label of the query; other
tracks of the query's artist are taken out of its ranking first, so that nobody scores by finding the album again.
Without labels a neighbour is right when it is the other half of the query's own track.

The tracks evaluated are heard again, because the baselines need what the catalogue does not keep: the log-mel for
its principal components, and the two halves.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from volna import metrics
from volna.errors import LibraryError
from volna.features.recipe import DESCRIPTOR_NAMES, names_of
from volna.library.index import BOTH, SPACES, Settings
from volna.library.store import Catalogue, TrackRow
from volna.pool import Pool, Task, default_jobs
from volna.tasks.similarity import chance, retrieve, scores
from volna.vectors import FUSION, HUB_WEIGHT, Standardiser, join
from volna.workflows.common import TIMEOUT_S, Progress, open_library, silent, space_settings
from volna.workflows.jobs import Part
from volna.workflows.labels import Labels, read_labels
from volna.workflows.learning import draw_sample
from volna.workflows.results import Evaluation, Row

__all__ = ["evaluate"]

MAX_TRACKS = 1500
MIN_TRACKS = 4
N_LATENT = 64


def evaluate(
    *,
    library: str | Path | None = None,
    labels: str | Path | None = None,
    labels_from: str | None = None,
    seed: int = 0,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Measure the rankings of a library, each with a 95 % bootstrap interval over artists.

    Parameters
    ----------
    library : str or Path, optional
        The library file; by default ``VOLNA_LIBRARY`` or the one in the user's data folder.
    labels : str or Path, optional
        A CSV with the columns ``path`` (absolute, or relative to the CSV) and ``label``, and optionally ``artist``;
        ``FILE:COLUMN`` takes the labels from another column.
    labels_from : {"folder", "genre"}, optional
        The name of a file's folder, or its genre tag. Without either: genre tags where two genres have ten
        tracks each, else the two halves of every track.
    seed : int
        Draws the tracks (at most 1 500) and the resamples.
    jobs : int, optional
        Processes; all cores by default.
    progress : callable, optional
        ``progress(stage, done, total, note)``.

    Returns
    -------
    Evaluation
        One row per method: chance, descriptors, 60 MFCC statistics, PCA of the log-mel, autoencoder, both.

    Raises
    ------
    InputError
        The CSV cannot be used, or no two labels are left.
    LibraryError
        There is no library, or it is too small to measure.

    Examples
    --------
    >>> evaluate(library="music.db", labels_from="genre").rows[0].name  # doctest: +SKIP
    'chance'
    """
    progress = progress or silent
    with open_library(library) as catalogue:
        rows = [row for row in catalogue.tracks() if not row.short]
        table = read_labels(rows, labels, labels_from)
        rows = [row for row in rows if table is None or row.path in table.labels]
        chosen = set(draw_sample((row.path for row in rows), MAX_TRACKS, seed))
        n_known, rows = len(rows), [row for row in rows if row.path in chosen]
        if len(rows) < MIN_TRACKS:
            raise LibraryError(f"{catalogue.path}: expected at least {MIN_TRACKS} tracks to evaluate, got {len(rows)}")
        rows, methods = _hear(catalogue, rows, table is None, jobs or default_jobs(), progress)
        priors = space_settings(catalogue)
    scored = _score(methods, priors, *_targets(rows, table), seed=seed, progress=progress)
    name = "the other half of the track" if table is None else table.name
    n_labels = 0 if table is None else len({table.labels[row.path] for row in rows})
    notes = [*_notes(rows, table), *_notes_of_methods(len(rows), len(chosen), n_known, methods)]
    return Evaluation(name, len(rows), n_labels, scored, notes)


@dataclass
class _Vectors:
    """One method's raw vectors: of the queries and of what they are ranked against, float32 ``(n, dim)`` each."""

    queries: np.ndarray
    collection: np.ndarray


def _hear(
    catalogue: Catalogue, rows: list[TrackRow], halves: bool, n_jobs: int, progress: Progress
) -> tuple[list[TrackRow], dict[str, _Vectors]]:
    """Hear the tracks again; those that could be heard, and the raw vectors of each method."""
    model = catalogue.active_model()
    setup = Task("volna.embedding:use_model", (catalogue.model_bytes(model.id),)) if model else None
    segment = catalogue.get_setting("segment") or "spread"
    suffixes = ("a", "b") if halves else ("",)
    heard: dict[int, list[Part]] = {}
    reason = ""
    with tempfile.TemporaryDirectory(prefix="volna-evaluate-") as folder:
        tasks = (
            Task("volna.workflows.jobs:hear_parts", (row.path, segment, folder, _keys(row, suffixes)), row)
            for row in rows
        )
        with Pool(n_jobs, timeout_s=TIMEOUT_S, setup=setup) as pool:
            for done, outcome in enumerate(pool.run(tasks), 1):
                if outcome.ok:
                    heard[outcome.task.tag.id] = outcome.result
                else:
                    reason = f"{outcome.task.tag.path}: {outcome.reason}"
                progress("Listening", done, len(rows), "")
        rows = [row for row in rows if row.id in heard]
        if len(rows) < MIN_TRACKS:
            raise LibraryError(f"{catalogue.path}: only {len(rows)} tracks could be heard again; {reason}")
        keys = [key for suffix in suffixes for row in rows for key in _keys(row, (suffix,))]
        n_latent = model.dim if model else N_LATENT
        with Pool(1, n_threads=n_jobs) as pool:
            (principal,) = pool.run([Task("volna.workflows.jobs:pca_vectors", (folder, keys, n_latent))])
    parts = [[heard[row.id][side] for row in rows] for side in range(len(suffixes))]
    descriptors = [np.stack([part.descriptors for part in side]) for side in parts]
    mfcc = [DESCRIPTOR_NAMES.index(name) for name in names_of("mfcc60")]
    methods = {"descriptors": descriptors, "60 MFCC statistics": [side[:, mfcc] for side in descriptors]}
    if principal.ok:
        methods[f"PCA of the log-mel, {n_latent}"] = np.split(principal.result, len(suffixes))
    if model:
        methods["autoencoder"] = [np.stack([part.vector for part in side if part.vector is not None]) for side in parts]
    return rows, {name: _Vectors(sides[0], sides[-1]) for name, sides in methods.items()}


def _keys(row: TrackRow, suffixes: Sequence[str]) -> list[str]:
    return [f"{row.audio_hash}{suffix}" for suffix in suffixes]


def _targets(rows: Sequence[TrackRow], table: Labels | None) -> tuple[np.ndarray, np.ndarray]:
    """What is right (equal labels) and what is left out (equal groups), int64 ``(n,)`` each."""
    n = len(rows)
    if table is None:
        return np.arange(n), np.arange(n)
    labels = metrics.group_codes([table.labels[row.path] for row in rows])
    artists = [table.groups.get(row.path) or (row.artist or "").casefold() or None for row in rows]
    return labels, metrics.group_codes(artists)


def _score(
    methods: dict[str, _Vectors],
    settings: Settings,
    labels: np.ndarray,
    groups: np.ndarray,
    *,
    seed: int,
    progress: Progress,
) -> list[Row]:
    """The table: chance first, each method in its own space as a search uses it, the fusion last."""
    sides: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for name, vectors in methods.items():
        prior, weights = settings.priors.get(name), settings.weights.get(name)
        fitted = Standardiser.fit(vectors.collection, prior=prior, weights=weights)
        sides[name] = fitted.rows(vectors.queries), fitted.rows(vectors.collection)
    if "autoencoder" in sides:
        both = zip(*(sides[part] for part in FUSION), strict=True)
        queries, collection = (join(list(side), list(FUSION.values())) for side in both)
        sides[BOTH] = queries, collection
    halves = np.array_equal(labels, np.arange(len(labels)))  # the other half is no hit of the same artist: keep it in
    query_rows = np.full(len(labels), -1) if halves else None
    table: list[Row] = []
    for done, (name, (queries, collection)) in enumerate(sides.items(), 1):
        hub_weight = HUB_WEIGHT if name in SPACES else 0.0  # baselines as they are, spaces as `similar` ranks them
        found = retrieve(collection, labels, groups, queries=queries, query_rows=query_rows, hub_weight=hub_weight)
        if not table:
            table.append(Row("chance", **chance(found, groups, seed=seed)))
        table.append(Row(name, **scores(found, groups, seed=seed)))
        progress("Scoring", done, len(sides), name)
    return table


def _notes(rows: Sequence[TrackRow], table: Labels | None) -> list[str]:
    if table is None:
        return ["No labels: a neighbour is right when it is the other half of the query's own track."]
    n_unknown = sum(not (table.groups.get(row.path) or row.artist) for row in rows)
    return (
        [f"{n_unknown} tracks have no artist tag: hits of the same artist cannot be taken out for them."]
        if n_unknown
        else []
    )


def _notes_of_methods(n_heard: int, n_chosen: int, n_known: int, methods: dict[str, _Vectors]) -> list[str]:
    """What is missing from the table, in sentences."""
    notes = []
    if n_chosen < n_known:
        notes.append(f"A random sample of {n_chosen} of {n_known} tracks.")
    if n_heard < n_chosen:
        notes.append(f"Left out, because they could not be heard again: {n_chosen - n_heard} of {n_chosen} tracks.")
    if "autoencoder" not in methods:
        notes.append("No autoencoder yet (volna train makes one), so its row and the fusion's are missing.")
    return notes
