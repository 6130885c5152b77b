"""`embed`: the vectors of any sounds as a table in a file, for programs of one's own.

A row is a file, or a window of about 3 s of one, with its path, start and duration in seconds and its raw vector. Raw:
standardise the columns before comparing rows, as Volna's own search does.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from volna.errors import InputError, ModelError
from volna.features.recipe import ANALYSIS, DESCRIPTOR_NAMES, FEATURES_VERSION
from volna.pool import Task, default_jobs
from volna.workflows.common import TIMEOUT_S, Progress, hears_as_now, library_path, open_library, silent
from volna.workflows.each_file import as_failure, files_under, work_on
from volna.workflows.files import check_free, new_file
from volna.workflows.jobs import Placed
from volna.workflows.models import describe, read_model
from volna.workflows.results import Failure
from volna.workflows.tables import Batch, check_ending, write_csv, write_parquet

__all__ = ["FORMATS", "EmbedSummary", "Table", "VectorSource", "embed", "vector_source"]

SPACES = ("descriptors", "autoencoder")
WINDOWS_TIMEOUT_S = 1800.0  # hours of sound are minutes of work


@dataclass
class EmbedSummary:
    """The sum of a run of `embed`: ``found = embedded + failed``, in files; ``rows`` of ``dim`` numbers each."""

    output: str
    by: str = "descriptors"
    model: str | None = None
    windows: bool = False
    found: int = 0
    embedded: int = 0
    failed: int = 0
    rows: int = 0
    dim: int = 0
    seconds: float = 0.0
    failures: list[Failure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Table:
    """What is written: ``vectors`` float32 ``(n, dim)``, a path, start and duration for each row, names of the columns.

    ``space`` names what made the vectors; only those of one space can be compared.
    """

    paths: list[str]
    start_s: np.ndarray
    duration_s: np.ndarray
    vectors: np.ndarray
    names: tuple[str, ...]
    space: str


@dataclass(frozen=True)
class VectorSource:
    """What makes the vectors: the checkpoint's bytes, or None for descriptors, and which part of a file is heard."""

    by: str
    checkpoint: bytes | None = None
    model: str | None = None
    segment: str = "spread"
    notes: tuple[str, ...] = ()


def embed(
    paths: Sequence[str | Path],
    output: str | Path,
    *,
    model: str | Path | None = None,
    by: str | None = None,
    windows: bool = False,
    library: str | Path | None = None,
    force: bool = False,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> EmbedSummary:
    """Write the vectors of sounds into a file.

    Parameters
    ----------
    paths : sequence of str or Path
        Files, and folders, walked recursively.
    output : str or Path
        The table: ``.npz``, ``.csv``, or, where pyarrow is installed, ``.parquet``.
    model : str or Path, optional
        A checkpoint file; by default the active model of the library, where there is one.
    by : {"autoencoder", "descriptors"}, optional
        What to write; the autoencoder's vectors where there is a model, else the descriptors.
    windows : bool
        A row for every window of about 3 s (each file is cut into equal ones; silent ones are left out) instead of one
        for every file.
    library : str or Path, optional
        The library file; by default ``VOLNA_LIBRARY`` or the one in the user's data folder, where it exists.
    force : bool
        Replace an output that exists.
    jobs : int, optional
        Processes; all cores by default.
    progress : callable, optional
        ``progress(stage, done, total, note)``.

    Returns
    -------
    EmbedSummary
        What could not be embedded is in its ``failures``; where nothing could, no file is written.

    Raises
    ------
    InputError
        The output exists, has another ending, or cannot be written.
    ModelError
        The model cannot be read, hears other log-mels than are made now, or is missing.

    Examples
    --------
    >>> embed(["sounds"], "vectors.npz").rows  # doctest: +SKIP
    400
    """
    started_s = time.monotonic()
    target = Path(output).expanduser()
    write = _writer(target)
    check_free(target, force=force)
    source = vector_source(model, by, library)
    progress = progress or silent
    files, missing = files_under(paths, progress)
    summary = EmbedSummary(str(target), source.by, source.model, windows, notes=list(source.notes))
    summary.failures += missing
    placed = _hear(files, source, windows, jobs or default_jobs(), progress, summary)
    summary.failed, summary.embedded = len(summary.failures), len(placed)
    summary.found = summary.embedded + summary.failed
    if placed:
        table = _table(files, placed, source)
        summary.rows, summary.dim = table.vectors.shape
        with new_file(target, force=force) as file:
            write(table, file)
    summary.seconds = round(time.monotonic() - started_s, 1)
    return summary


def _writer(target: Path) -> Callable[[Table, BinaryIO], None]:
    return FORMATS[check_ending(target, tuple(FORMATS))]


def vector_source(model: str | Path | None, by: str | None, library: str | Path | None) -> VectorSource:
    """Which vectors were meant: of the model named, of the library's, or descriptors."""
    if by is not None and by not in SPACES:
        raise InputError(f"by: expected one of {', '.join(SPACES)}, got {by!r}")
    if model is not None:
        if by == "descriptors":
            raise InputError("by descriptors no model is used: leave out one of the two")
        checkpoint = read_model(model)
        about = describe(checkpoint, str(model))
        if about["mel_config"] != asdict(ANALYSIS):
            raise ModelError(f"{model}: hears other log-mels than this version of Volna makes; train again")
        return VectorSource("autoencoder", checkpoint, about["id"])
    return _source_of_library(by, library)


def _source_of_library(by: str | None, library: str | Path | None) -> VectorSource:
    if not library_path(library).exists():
        if by == "autoencoder":
            raise ModelError("there is no library with a model; name one with --model FILE (volna train makes one)")
        notes = (f"by descriptors: there is no library at {library_path(library)}",) if library and not by else ()
        return VectorSource("descriptors", notes=notes)
    with open_library(library) as catalogue:
        segment = catalogue.get_setting("segment") or "spread"
        active = None if by == "descriptors" else catalogue.active_model()
        usable = active is not None and hears_as_now(catalogue, active.id)
        if active is not None and usable:
            return VectorSource("autoencoder", catalogue.model_bytes(active.id), active.id, segment)
    if by == "autoencoder":
        why = "is of an older Volna; bring it up to date: volna index" if active else "is missing; volna train makes it"
        raise ModelError(f"{library_path(library)}: its autoencoder {why}")
    notes = ("by descriptors: the library's autoencoder is of an older Volna",) if active else ()
    return VectorSource("descriptors", segment=segment, notes=notes)


def _hear(
    files: list[str], source: VectorSource, windows: bool, n_jobs: int, progress: Progress, summary: EmbedSummary
) -> dict[str, list[Placed]]:
    """The vectors of each file that has any; failures go into the summary."""
    placed: dict[str, list[Placed]] = {}
    if not files:
        return placed
    setup = Task("volna.embedding:use_model", (source.checkpoint,)) if source.checkpoint else None
    timeout_s = WINDOWS_TIMEOUT_S if windows else TIMEOUT_S

    def report(done: int) -> None:
        failed = len(summary.failures)
        progress("Embedding", done, len(files), f"{failed} failed" if failed else "")

    task, arguments = "volna.workflows.jobs:placed_vectors", (source.segment, windows)
    for outcome in work_on(
        files, len(files), task, arguments, jobs=n_jobs, timeout_s=timeout_s, setup=setup, on_done=report
    ):
        if outcome.ok:
            placed[outcome.task.tag] = outcome.result
        else:
            summary.failures.append(as_failure(outcome))
    return placed


def _table(files: list[str], placed: dict[str, list[Placed]], source: VectorSource) -> Table:
    """Rows in the order of the walk, and of time within a file."""
    rows = [(path, row) for path in files for row in placed.get(path, [])]
    vectors = np.stack([row.vector for _, row in rows]).astype(np.float32, copy=False)
    latents = tuple(f"latent_{k}" for k in range(vectors.shape[1]))
    return Table(
        paths=[path for path, _ in rows],
        start_s=np.array([row.start_s for _, row in rows]),
        duration_s=np.array([row.duration_s for _, row in rows]),
        vectors=vectors,
        names=latents if source.model else DESCRIPTOR_NAMES,
        space=source.model or f"descriptors/{FEATURES_VERSION}",
    )


def _write_npz(table: Table, file: BinaryIO) -> None:
    """``vectors``, ``paths``, ``start_s``, ``duration_s``, ``names`` and ``space``; no pickles, no objects."""
    np.savez(
        file,
        vectors=table.vectors,
        paths=np.array(table.paths, dtype=np.str_),
        start_s=table.start_s,
        duration_s=table.duration_s,
        names=np.array(table.names, dtype=np.str_),
        space=np.array(table.space, dtype=np.str_),
    )


def _columns(table: Table) -> Batch:
    """A column for each element of the vectors, after where the row is from."""
    where = {"path": table.paths, "start_s": table.start_s.round(3), "duration_s": table.duration_s.round(3)}
    return where | {name: table.vectors[:, k] for k, name in enumerate(table.names)}


def _write_csv(table: Table, file: BinaryIO) -> None:
    write_csv([_columns(table)], file)


def _write_parquet(table: Table, file: BinaryIO) -> None:
    """The columns of the CSV, vectors as float32; the space is in the metadata of the schema."""
    write_parquet([_columns(table)], file, {"volna_space": table.space})


FORMATS: dict[str, Callable[[Table, BinaryIO], None]] = {
    ".npz": _write_npz,
    ".csv": _write_csv,
    ".parquet": _write_parquet,
}
