"""The index: the catalogue's vectors made comparable and searched exactly. Derived: it can be thrown away at any time.

For each space it holds the track ids, the standardised rows, how crowded the neighbourhood of each track is, and the
standardiser. They lie in the folder ``<library>-index`` as ``.npy`` files that are mapped, not read, so that a search
starts at once and its memory is shared. A manifest, replaced last and atomically, names the folder of the files that
are complete and the generation of the catalogue that they show; readers of an older one keep what they have open.

Spaces: ``descriptors``, ``autoencoder`` (of one model), and ``both``, the tracks that have the two, joined.
"""

from __future__ import annotations

import json
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from volna.errors import InputError, LibraryError, ModelError, ModelMismatch
from volna.vectors import FUSION, HUB_WEIGHT, JoinedRows, Standardiser, crowding, hub_sample, join, nearest

__all__ = ["BOTH", "SPACES", "Index", "Settings", "Source", "build", "index_folder", "open_index"]

BOTH = "both"
SPACES = ("descriptors", "autoencoder", BOTH)
FORMAT = 1
STRAY_S = 3600.0  # a folder that no manifest names may be one that another process is still writing, for an hour
BLOCK_ROWS = 8192

Condition = tuple[str, str, Any]  # (field, "=" | "!=" | "in" | "range", value)


class Source(Protocol):
    """What the index needs of the catalogue."""

    @property
    def generation(self) -> int: ...

    def vectors(self, space: str) -> tuple[np.ndarray, np.ndarray]: ...

    def track_ids(self, where: Any) -> Iterable[int]: ...


@dataclass(frozen=True)
class Settings:
    """How raw vectors are made comparable.

    Attributes
    ----------
    priors : mapping of space to (centre, spread)
        For libraries under 100 tracks; float (dim,) each.
    weights : mapping of space to float (dim,)
        Importance of the elements.
    """

    priors: Mapping[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)
    weights: Mapping[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True)
class Space:
    """One searchable space: track ids int64 (n,) rising, their rows, and crowding float32 (n,)."""

    ids: np.ndarray
    rows: JoinedRows
    crowding: np.ndarray


class Index:
    """Exact search over the vectors of a catalogue; made by `open_index` or `build`.

    Attributes
    ----------
    generation : int
        Of the catalogue, when the index was made.
    names : dict of space to str
        What the vectors of each space were made by: the version of the descriptors, the id of the model.
    standardisers : dict of space to Standardiser
    exact : bool
        Always True: no neighbour is ever missed.
    """

    exact = True

    def __init__(
        self,
        source: Source,
        generation: int,
        names: Mapping[str, str],
        standardisers: Mapping[str, Standardiser],
        spaces: Mapping[str, Space],
    ) -> None:
        self.source = source
        self.generation = generation
        self.names = dict(names)
        self.standardisers = dict(standardisers)
        self._spaces = dict(spaces)

    @property
    def behind(self) -> int:
        """How many changes of the catalogue the index has not seen."""
        return int(self.source.generation) - self.generation

    @property
    def spaces(self) -> list[str]:
        """The spaces that hold at least one track, in the order of `SPACES`."""
        return [name for name in SPACES if name in self._spaces and len(self._spaces[name].ids)]

    def ids(self, space: str) -> np.ndarray:
        """Ids of the tracks in a space, int64 (n,), rising."""
        return self._space(space).ids

    def rows(self, space: str, ids: Sequence[int] | np.ndarray) -> np.ndarray:
        """Rows of some tracks, float32 (len(ids), dim), of length 1: what `search` takes as queries."""
        return self._space(space).rows.take(self._where(space, ids))

    def crowding(self, space: str, ids: Sequence[int] | np.ndarray) -> np.ndarray:
        """How near to everybody some tracks are, float32 (len(ids),); see `volna.vectors.crowding`."""
        return np.asarray(self._space(space).crowding[self._where(space, ids)])

    def query(self, space: str, raw: Mapping[str, np.ndarray], made_by: Mapping[str, str] | None = None) -> np.ndarray:
        """Make the row of a sound that is not in the library, on the library's own scale.

        Parameters
        ----------
        space : {"descriptors", "autoencoder", "both"}
        raw : mapping of space to float (dim,)
            Raw vectors; ``both`` needs the two.
        made_by : mapping of space to str, optional
            As `names`: ModelMismatch where it differs.

        Returns
        -------
        row : ndarray, float32 (dim,)
        """
        self._space(space)
        parts = _parts(space)
        for part in parts:
            vector, standardiser = np.asarray(raw[part]), self.standardisers[part]
            made = (made_by or {}).get(part, self.names[part])
            if made != self.names[part] or vector.shape != standardiser.centre.shape:
                raise ModelMismatch(
                    f"{part}: the library holds vectors of {self.names[part]} ({standardiser.centre.size} numbers), "
                    f"the sound has one of {made} ({vector.size}); vectors of two models cannot be compared"
                )
        rows = [self.standardisers[part].rows(raw[part]) for part in parts]
        return join(rows, [FUSION[part] for part in parts])

    def search(
        self,
        space: str,
        queries: np.ndarray,
        k: int,
        *,
        where: Sequence[Condition] | None = None,
        exclude: Iterable[int] = (),
        hub_weight: float = HUB_WEIGHT,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Find the k best tracks for every query.

        Parameters
        ----------
        space : {"descriptors", "autoencoder", "both"}
        queries : ndarray, float32 (n_queries, dim)
            From `rows` or `query`.
        k : int
        where : list of (field, op, value), optional
            Filters, applied before the best are chosen.
        exclude : ids that are never returned.
        hub_weight : float
            How far hubs are held back; 0 ranks by the cosine alone.

        Returns
        -------
        ids : ndarray, int64 (n_queries, min(k, n)), best first, ``-1`` where fewer tracks pass
        similarities : ndarray, float32, same shape, cosines in [-1, 1], NaN there
            Uncorrected, so within a list they do not always fall.
        """
        held = self._space(space)
        queries = np.atleast_2d(np.asarray(queries, dtype=np.float32))
        if queries.shape[1] != held.rows.dim:
            raise ModelMismatch(f"{space}: a query of {queries.shape[1]} numbers, the index has {held.rows.dim}")
        allowed = self._allowed(held, where, exclude)
        penalty = hub_weight * held.crowding if hub_weight else None
        found, similarities = nearest(held.rows, queries, k, penalty=penalty, allowed=allowed)
        return np.where(found >= 0, held.ids[np.maximum(found, 0)], -1), similarities

    def _allowed(self, held: Space, where: Sequence[Condition] | None, exclude: Iterable[int]) -> np.ndarray | None:
        allowed: np.ndarray | None = None
        if where:
            passing = self.source.track_ids(list(where))
            passing = passing if isinstance(passing, np.ndarray) else np.fromiter(passing, dtype=np.int64)
            allowed = np.isin(held.ids, passing)
        left_out = np.fromiter(exclude, dtype=np.int64)
        if left_out.size:
            allowed = np.ones(len(held.ids), dtype=bool) if allowed is None else allowed
            allowed &= ~np.isin(held.ids, left_out)
        return allowed

    def _space(self, space: str) -> Space:
        if space not in SPACES:
            raise InputError(f"no space is called {space!r}; there are {', '.join(SPACES)}")
        if space in self._spaces and len(self._spaces[space].ids):
            return self._spaces[space]
        if space == "descriptors" or "descriptors" not in self.spaces:
            raise LibraryError("the library holds no analysed track yet; add some with: volna index FOLDER")
        raise ModelError(
            f"the library has no autoencoder yet, so nothing to search by {space}; make one with: volna train"
        )

    def _where(self, space: str, ids: Sequence[int] | np.ndarray) -> np.ndarray:
        held, wanted = self._space(space).ids, np.asarray(ids, dtype=np.int64)
        places = np.minimum(np.searchsorted(held, wanted), len(held) - 1)
        missing = wanted[held[places] != wanted]
        if missing.size:
            raise LibraryError(f"track {missing[0]} has no vector in the space {space!r}")
        return np.asarray(places)


def index_folder(library: Path) -> Path:
    """Where the index of a library lies: beside it."""
    return library.with_name(library.name + "-index")


def open_index(
    source: Source,
    names: Mapping[str, str],
    folder: Path | None = None,
    *,
    settings: Callable[[], Settings] = Settings,
    settings_version: str = "",
) -> Index:
    """Open the index of a catalogue, or make it where it is missing, damaged or behind.

    Parameters
    ----------
    source : Catalogue
    names : mapping of space to str
        Which vectors of the catalogue are the space ``descriptors`` and, where there is a model, ``autoencoder``.
    folder : Path, optional
        From `index_folder`; in memory only where it is None or cannot be written.
    settings : callable
        Called only when the index has to be made, so that a search need not load what makes them.
    settings_version : str
        An index made with another is made again.

    Returns
    -------
    index : Index, not behind
    """
    stamp = {"format": FORMAT, "generation": int(source.generation), "names": dict(names), "settings": settings_version}
    if folder is not None:
        found = _load(source, folder, stamp)
        if found is not None:
            return found
    made = build(source, names, settings())
    if folder is not None and made.generation == stamp["generation"]:
        with suppress(OSError):  # a read-only or full disk: the index in memory answers as well
            _save(made, folder, stamp)
            return _load(source, folder, stamp) or made
    return made


def build(source: Source, names: Mapping[str, str], settings: Settings | None = None) -> Index:
    """Make an index in memory from the vectors of a catalogue."""
    settings = settings or Settings()
    generation = int(source.generation)  # read first: what changes meanwhile leaves the index behind, never ahead
    ids: dict[str, np.ndarray] = {}
    rows: dict[str, np.ndarray] = {}
    standardisers: dict[str, Standardiser] = {}
    for space, name in names.items():
        found, vectors = source.vectors(name)
        if not len(found):
            continue
        order = np.argsort(found, kind="stable")
        fitted = Standardiser.fit(vectors, prior=settings.priors.get(space), weights=settings.weights.get(space))
        ids[space], rows[space] = np.asarray(found, dtype=np.int64)[order], _standardised(fitted, vectors, order)
        standardisers[space] = fitted
    spaces = _assemble(ids, rows)
    return Index(source, generation, names, standardisers, spaces)


def _standardised(standardiser: Standardiser, vectors: np.ndarray, order: np.ndarray) -> np.ndarray:
    rows = np.empty(vectors.shape, dtype=np.float32)
    for start in range(0, len(rows), BLOCK_ROWS):
        rows[start : start + BLOCK_ROWS] = standardiser.rows(vectors[order[start : start + BLOCK_ROWS]])
    return rows


def _parts(space: str) -> tuple[str, ...]:
    return tuple(FUSION) if space == BOTH else (space,)


def _assemble(
    ids: Mapping[str, np.ndarray], rows: Mapping[str, np.ndarray], crowded: Mapping[str, np.ndarray] | None = None
) -> dict[str, Space]:
    """The spaces over these parts, ``both`` where the two are there; crowding is computed unless given."""
    spaces = {}
    for space in SPACES:
        parts = _parts(space)
        if any(part not in ids for part in parts):
            continue
        common = ids[parts[0]]
        for part in parts[1:]:
            common = common if np.array_equal(common, ids[part]) else np.intersect1d(common, ids[part])
        picks = [None if len(common) == len(ids[part]) else np.searchsorted(ids[part], common) for part in parts]
        joined = JoinedRows([rows[part] for part in parts], picks, [FUSION[part] for part in parts])
        known = crowding(joined, hub_sample(len(common))) if crowded is None else crowded[space]
        spaces[space] = Space(common, joined, known)
    return spaces


# On disk: <folder>/manifest.json {"format", "generation", "names", "settings", "folder", "standardisers"}
#          <folder>/<random>/{ids,rows}-<part>.npy, crowding-<space>.npy


def _save(index: Index, folder: Path, stamp: Mapping[str, Any]) -> None:
    """Write the files into a new folder, then the manifest that names it, then drop what no manifest names."""
    folder.mkdir(parents=True, exist_ok=True)
    inside = folder / uuid.uuid4().hex[:12]
    try:
        inside.mkdir()
        for name, space in index._spaces.items():
            _write_array(inside / f"crowding-{name}.npy", space.crowding)
            if name != BOTH:
                _write_array(inside / f"ids-{name}.npy", space.ids)
                _write_array(inside / f"rows-{name}.npy", space.rows.parts[0])
        standardisers = {space: fitted.to_dict() for space, fitted in index.standardisers.items()}
        before = _manifest(folder).get("folder")
        _write_manifest(folder, {**stamp, "folder": inside.name, "standardisers": standardisers})
    except BaseException:
        shutil.rmtree(inside, ignore_errors=True)
        raise
    _tidy(folder, keep=inside.name, drop=before)


def _write_array(path: Path, values: np.ndarray) -> None:
    with path.open("wb") as stream:
        np.save(stream, values)
        stream.flush()
        os.fsync(stream.fileno())  # the manifest must never reach the disk before what it names


def _write_manifest(folder: Path, values: Mapping[str, Any]) -> None:
    temporary = folder / f"manifest-{uuid.uuid4().hex[:12]}.tmp"
    try:
        with temporary.open("w", encoding="utf-8") as stream:
            json.dump(values, stream)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, folder / "manifest.json")
    finally:
        temporary.unlink(missing_ok=True)


def _manifest(folder: Path) -> dict[str, Any]:
    try:
        values = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}


def _tidy(folder: Path, *, keep: str, drop: str | None) -> None:
    for entry in folder.iterdir():
        with suppress(OSError):
            old = entry.stat().st_mtime < time.time() - STRAY_S
            if entry.is_dir() and entry.name != keep and (entry.name == drop or old):
                shutil.rmtree(entry, ignore_errors=True)
            elif entry.suffix == ".tmp" and old:
                entry.unlink()


def _load(source: Source, folder: Path, stamp: Mapping[str, Any]) -> Index | None:
    """The index on disk if it carries this stamp and is whole, else None."""
    manifest = _manifest(folder)
    if any(manifest.get(key) != value for key, value in stamp.items()):
        return None
    try:
        inside = folder / manifest["folder"]
        standardisers = {space: Standardiser.from_dict(found) for space, found in manifest["standardisers"].items()}
        ids = {space: np.load(inside / f"ids-{space}.npy") for space in standardisers}
        rows = {space: np.load(inside / f"rows-{space}.npy", mmap_mode="r") for space in standardisers}
        known = [space for space in SPACES if all(part in ids for part in _parts(space))]
        crowded = {space: np.load(inside / f"crowding-{space}.npy") for space in known}
        spaces = _assemble(ids, rows, crowded)
        if any(not len(held.ids) == len(held.rows) == len(held.crowding) for held in spaces.values()):
            return None
    except (OSError, ValueError, KeyError, TypeError, EOFError, AttributeError):
        return None
    return Index(source, int(manifest["generation"]), manifest["names"], standardisers, spaces)
