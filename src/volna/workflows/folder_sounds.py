"""The sounds of a folder as a training needs them: heard once, kept beside the output, none dropped for its length."""

from __future__ import annotations

import io
import zipfile
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from volna.embedding import Recognised
from volna.errors import InputError, ModelError
from volna.features.constants import descriptor_priors
from volna.features.recipe import DESCRIPTOR_WEIGHTS, SHORT_DURATION_S
from volna.library import tags
from volna.library.walk import walk
from volna.pool import Pool, Task
from volna.vectors import Standardiser
from volna.workflows import learning
from volna.workflows.common import TIMEOUT_S, Progress
from volna.workflows.files import new_file
from volna.workflows.results import Failure

if TYPE_CHECKING:
    from volna.training.dataset import MelCache

__all__ = ["FolderSounds", "hear_folder"]

MOST_SOUNDS = 10_000  # drawn at random from a folder that has more; their log-mels take 1 GB at most
DESCRIPTORS = "descriptors.npz"  # beside the log-mels: a resumed training hears nothing again


@dataclass
class FolderSounds:
    """What was heard of a folder: the path of each hash, the artist of each that has one, and what was not used."""

    found: int
    paths: dict[str, str] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)
    n_short: int = 0
    n_copies: int = 0
    n_left_out: int = 0
    failures: list[Failure] = field(default_factory=list)
    descriptors: dict[str, np.ndarray] = field(default_factory=dict)

    def rows(self) -> dict[str, np.ndarray]:
        """How the sounds are by their descriptors, a row of length 1 for each hash: what softens the contrast."""
        raw = np.stack([self.descriptors[key] for key in self.paths])
        standardiser = Standardiser.fit(raw, prior=descriptor_priors(), weights=np.asarray(DESCRIPTOR_WEIGHTS))
        return dict(zip(self.paths, standardiser.rows(raw), strict=True))

    def sum(self) -> dict[str, int]:
        """``found`` is the sum of the others and of ``n_tracks``, except ``short``, which are among those used."""
        return {
            "found": self.found,
            "short": self.n_short,
            "copies": self.n_copies,
            "failed": len(self.failures),
            "left_out": self.n_left_out,
        }


def hear_folder(
    folder: str | Path, cache_folder: Path, heard: str, seed: int, n_jobs: int, progress: Progress
) -> FolderSounds:
    """Bring what a training hears of a folder into the cache, decoding only what it lacks; drop all else.

    Raises
    ------
    InputError
        No such folder, or no audio files in it.
    ModelError
        None of its sounds could be heard.
    """
    from volna.training.dataset import MelCache

    scan = walk([Path(folder).expanduser()], on_folder=lambda n: progress("Scanning", n, None, "files"))
    if scan.missing:
        raise InputError(f"{folder}: no such folder")
    if not scan.found:
        raise InputError(f"{folder}: no audio files there, so nothing to train on")
    files = learning.draw_sample((found.path for found in scan.found), MOST_SOUNDS, seed)
    sounds, cache = FolderSounds(len(scan.found), n_left_out=len(scan.found) - len(files)), MelCache(cache_folder)
    sounds.descriptors = _read_descriptors(cache_folder / DESCRIPTORS)
    try:
        _hear(files, sounds, cache, heard, n_jobs, progress)
    finally:
        _write_descriptors(cache_folder / DESCRIPTORS, sounds)
    for key in set(cache.keys()) - set(sounds.paths):  # of an earlier run: no longer under the folder
        cache.path(key).unlink(missing_ok=True)
    kept = set(cache.keys())
    sounds.n_left_out += sum(key not in kept for key in sounds.paths)
    if not kept:
        first = f": {sounds.failures[0].path}: {sounds.failures[0].reason}" if sounds.failures else ""
        raise ModelError(f"{folder}: none of its {sounds.found} sounds could be heard{first}")
    return sounds


def _hear(files: list[str], sounds: FolderSounds, cache: MelCache, heard: str, n_jobs: int, progress: Progress) -> None:
    tasks = (Task("volna.workflows.jobs:analyse", (path, "spread", str(cache.folder), heard), path) for path in files)
    with Pool(min(n_jobs, len(files)), timeout_s=TIMEOUT_S) as pool:
        outcomes = pool.run(tasks, lambda _, key: "known" if key in cache and key in sounds.descriptors else "new")
        for done, outcome in enumerate(outcomes, 1):
            if outcome.reason is None:
                _count(sounds, outcome.task.tag, outcome.result)
            else:
                path = outcome.task.tag
                sounds.failures.append(Failure(path, outcome.reason.removeprefix(f"{path}: ")))
            progress("Listening", done, len(files), f"{len(sounds.failures)} failed" if sounds.failures else "")


def _count(sounds: FolderSounds, path: str, heard: Any) -> None:
    if not isinstance(heard, Recognised):
        sounds.descriptors[heard.audio_hash] = heard.descriptors
    if heard.audio_hash in sounds.paths:
        sounds.n_copies += 1
        return
    sounds.paths[heard.audio_hash] = path
    sounds.n_short += heard.duration_s < SHORT_DURATION_S
    artist = tags.from_metadata(heard.metadata, path).artist
    if artist:
        sounds.groups[heard.audio_hash] = artist


def _read_descriptors(file: Path) -> dict[str, np.ndarray]:
    with suppress(OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile), np.load(file) as table:
        return dict(zip(table["keys"].tolist(), table["descriptors"], strict=True))
    return {}  # a missing or damaged one costs time, nothing else


def _write_descriptors(file: Path, sounds: FolderSounds) -> None:
    """Of the sounds heard now; those of an earlier run that are no longer under the folder are dropped."""
    keys = [key for key in sounds.paths if key in sounds.descriptors]
    if not keys:
        return
    buffer = io.BytesIO()
    np.savez(buffer, keys=np.array(keys), descriptors=np.stack([sounds.descriptors[key] for key in keys]))
    with new_file(file, force=True) as target:
        target.write(buffer.getvalue())
