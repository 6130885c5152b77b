"""`index`: a folder becomes a library. Scan, compare, analyse what is new, train when it pays, embed.

The run in one picture::

    scan ── compare with the catalogue ──┬─ unchanged, failed before, excluded: counted
                                         ├─ gone, back: marked
                                         └─ new and changed ─ a child reads the coded audio and asks:
                                                 hash known? ── yes ── link the file, nothing is decoded
                                                      └── no ── decode, describe, embed, commit in batches

When the library first has enough tracks for a model, a random sample of them is analysed first, the model is
trained on it (`volna.workflows.learning`), and all the others are analysed and embedded in one pass.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from volna.embedding import Recognised
from volna.errors import InputError, ModelError
from volna.features.recipe import FEATURES_VERSION
from volna.library import tags
from volna.library.scan import FoundFile, compare, walk
from volna.library.store import Analysed, Catalogue, Failed, Linked
from volna.pool import Outcome, Pool, Task, default_jobs
from volna.workflows import learning
from volna.workflows.common import (
    SEGMENTS,
    TIMEOUT_S,
    Progress,
    newest_model,
    open_current_index,
    open_library,
    silent,
)
from volna.workflows.jobs import Heard
from volna.workflows.results import Failure, IndexSummary

__all__ = ["AnalysisRun", "index"]

BATCH_FILES = 64
BATCH_S = 2.0
NOT_COMMITTED = -1


@dataclass
class AnalysisRun:
    """The analysis of a list of files into one catalogue, and the count of what became of them."""

    catalogue: Catalogue
    segment: str
    n_jobs: int
    progress: Progress
    summary: IndexSummary
    roots: Sequence[str] = ()
    protected: Sequence[str] = ()  # folders where nothing is judged gone: a disk may be missing there
    gone: frozenset[str] = frozenset()  # paths that this run found missing
    later: tuple[int, float] = (0, 0.0)  # files and seconds that the whole run still has to come after this stage
    timeout_s: float = TIMEOUT_S
    embed_into: str | None = None  # the space of the vectors that come with the analysis
    known: dict[str, int] = field(default_factory=dict)  # audio hash -> track id, NOT_COMMITTED until it has one
    _in_hand: dict[str, str] = field(default_factory=dict)  # audio hash -> path that a child is analysing
    _analysed: list[Analysed] = field(default_factory=list)
    _failed: list[Failed] = field(default_factory=list)
    _recognised: list[tuple[FoundFile, Recognised]] = field(default_factory=list)
    _waiting: deque[FoundFile] = field(default_factory=deque)
    _committed_s: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.known = self.catalogue.track_ids_by_hash()

    def analyse(self, files: Sequence[FoundFile], stage: str, *, cache: Path | None, checkpoint: bytes | None) -> None:
        """Analyse `files` in child processes; every outcome is committed within a batch or two seconds."""
        if not files:
            return
        setup = Task("volna.embedding:use_model", (checkpoint,)) if checkpoint else None
        self._waiting = deque(files)
        started_s, done = time.monotonic(), 0
        self.progress(stage, 0, len(files), "")
        with Pool(min(self.n_jobs, len(files)), timeout_s=self.timeout_s, setup=setup) as pool:
            try:
                while self._waiting:  # a commit may queue files again, see `_listen_after_all`
                    for outcome in pool.run(self._tasks(cache), self._answer):
                        if self._take(outcome):
                            done = min(done + 1, len(files))
                            self.progress(stage, done, len(files), self._outlook(started_s, done, len(files)))
                    self._commit()
            finally:  # also on Ctrl-C: only what the children have in hand is lost
                self._commit()

    def _outlook(self, started_s: float, done: int, n_files: int) -> str:
        """When the whole run will be over, where more is to come than this stage."""
        n_later, later_s = self.later
        if not n_later and not later_s:
            return ""
        seconds = (time.monotonic() - started_s) / done * (n_files - done + n_later) + later_s
        return f"all in about {seconds / 3600:.1f} h" if seconds > 5400 else f"all in about {seconds / 60:.0f} min"

    def _tasks(self, cache: Path | None) -> Iterator[Task | None]:
        folder = str(cache) if cache else None
        while True:
            found = self._waiting.popleft() if self._waiting else None
            yield Task("volna.workflows.jobs:analyse", (found.path, self.segment, folder), found) if found else None

    def _answer(self, task: Task, audio_hash: str) -> str:
        """Tell a child whether the audio it has just hashed is new."""
        if audio_hash in self.known:
            return "known"
        if audio_hash in self._in_hand:
            return "later"
        self._in_hand[audio_hash] = task.tag.path
        return "new"

    def _take(self, outcome: Outcome) -> bool:
        """Keep one outcome; False when the file has to wait for its twin, which is being analysed."""
        found: FoundFile = outcome.task.tag
        result = outcome.result
        if isinstance(result, Recognised) and result.answer == "later":
            self._waiting.append(found)
            return False
        self._in_hand = {audio_hash: path for audio_hash, path in self._in_hand.items() if path != found.path}
        if outcome.reason is not None:
            self._fail(found, outcome.reason)
        elif isinstance(result, Recognised):
            self._recognised.append((found, result))
            self.summary.moved += 1
        else:
            self.known[result.audio_hash] = NOT_COMMITTED
            self._analysed.append(_row(found, result))
            self.summary.analysed += 1
        n_waiting = len(self._analysed) + len(self._failed) + len(self._recognised)
        if n_waiting >= BATCH_FILES or time.monotonic() - self._committed_s > BATCH_S:
            self._commit()
        return True

    def _fail(self, found: FoundFile, reason: str) -> None:
        reason = reason.removeprefix(f"{found.path}: ")  # it stands beside the path
        self._failed.append(Failed(found.path, found.size, found.mtime_ns, reason))
        self.summary.failed += 1
        self.summary.failures.append(Failure(found.path, reason))

    def _commit(self) -> None:
        """Write what has come in: first the new tracks, then the files that hold a track known by then."""
        recorded = self.catalogue.record(analysed=self._analysed, failed=self._failed, vector_space=self.embed_into)
        for row in self._analysed:
            self.known[row.audio_hash] = recorded.track_ids[row.path]
        if self._recognised:
            linked = [_link(found, seen, self.known[seen.audio_hash]) for found, seen in self._recognised]
            recorded = self.catalogue.record(linked=linked)
            moved_from = self.catalogue.drop_moved(
                [row.track_id for row in linked], roots=self.roots, protected=self.protected
            )
            self.summary.gone -= len(self.gone.intersection(moved_from))  # moved, not gone
            self._listen_after_all(set(recorded.unlinked))
        self._analysed, self._failed, self._recognised = [], [], []
        self._committed_s = time.monotonic()

    def _listen_after_all(self, unlinked: set[str]) -> None:
        """Queue files whose track another process has forgotten since this run began."""
        for found, seen in self._recognised:
            if found.path in unlinked:
                self.known.pop(seen.audio_hash, None)
                self._waiting.append(found)
                self.summary.moved -= 1


def _row(found: FoundFile, heard: Heard) -> Analysed:
    return Analysed(
        path=found.path,
        size=found.size,
        mtime_ns=found.mtime_ns,
        tags=tags.from_metadata(heard.metadata, found.path),
        audio_hash=heard.audio_hash,
        duration_s=heard.duration_s,
        short=heard.short,
        tempo_bpm=heard.tempo_bpm,
        descriptors=heard.descriptors,
        vector=heard.vector,
    )


def _link(found: FoundFile, seen: Recognised, track_id: int) -> Linked:
    return Linked(found.path, found.size, found.mtime_ns, tags.from_metadata(seen.metadata, found.path), track_id)


def index(
    paths: Sequence[str | Path],
    *,
    library: str | Path | None = None,
    segment: str | None = None,
    jobs: int | None = None,
    exclude: Sequence[str] = (),
    train_time_s: float = 300.0,
    seed: int = 0,
    progress: Progress | None = None,
) -> IndexSummary:
    """Bring a library up to date with files and folders of music; the first time, make it.

    Parameters
    ----------
    paths : sequence of str or Path
        Folders, walked recursively, and files.
    library : str or Path, optional
        The library file; by default ``VOLNA_LIBRARY`` or the one in the user's data folder.
    segment : {"spread", "start", "middle", "end"}, optional
        Which windows are heard; settled by the first run on a library, "spread" unless said.
    jobs : int, optional
        Processes; by default one for every core, as long as memory lasts.
    exclude : sequence of str
        Globs of files and folders to leave out, beside those in ``.volnaignore`` files.
    train_time_s : float
        Seconds of training at most, when the library first has enough tracks for a model; 0 for none.
    seed : int
        Draws the training sample and the initial weights.
    progress : callable, optional
        ``progress(stage, done, total, note)``.

    Returns
    -------
    IndexSummary
        ``found = analysed + unchanged + moved + failed + excluded``.

    Raises
    ------
    InputError
        An unknown segment, or another one than the library was made with.
    LibraryError
        The library cannot be opened or written.

    Examples
    --------
    >>> index(["~/Music"], library="music.db").found  # doctest: +SKIP
    1204
    """
    started_s = time.monotonic()
    progress = progress or silent
    with open_library(library, create=True) as catalogue:
        catalogue.use_features(FEATURES_VERSION)
        segment = _settle_segment(catalogue, segment)
        run, files = _start(catalogue, paths, exclude, segment, jobs or default_jobs(), progress)
        if _training_due(catalogue, files, train_time_s):
            files = _learn(run, files, train_time_s, seed)
        _analyse_rest(run, files)
        catalogue.drop_old_descriptors()
        _advise(catalogue, run.summary)
        if catalogue.counts().tracks:
            open_current_index(catalogue)  # made now, so that the first search need not
    run.summary.seconds = round(time.monotonic() - started_s, 2)
    return run.summary


def _settle_segment(catalogue: Catalogue, asked: str | None) -> str:
    """One library, one way of listening: vectors of different windows would not compare."""
    if asked is not None and asked not in SEGMENTS:
        raise InputError(f"segment: expected one of {', '.join(SEGMENTS)}, got {asked!r}")
    settled = catalogue.get_setting("segment")
    if settled is None:
        settled = asked or SEGMENTS[0]
        settled = catalogue.set_setting("segment", settled, once=True)
    if asked not in (None, settled):
        raise InputError(
            f"{catalogue.path}: this library listens to {settled!r}, not {asked!r}; "
            "keep to that, or make another with --library FILE"
        )
    return settled


def _start(
    catalogue: Catalogue,
    paths: Sequence[str | Path],
    exclude: Sequence[str],
    segment: str,
    n_jobs: int,
    progress: Progress,
) -> tuple[AnalysisRun, list[FoundFile]]:
    """Scan and compare: a run whose summary counts what needs no analysis, and the files that do."""
    roots = [Path(path).expanduser() for path in paths]
    progress("Scanning", 0, None, "")
    known = catalogue.files_under(roots)
    scan = walk(roots, exclude=exclude, known=known, on_folder=lambda n: progress("Scanning", n, None, "audio files"))
    changes = compare(scan, known, features_version=FEATURES_VERSION)
    n_gone = catalogue.mark_gone(changes.gone)
    catalogue.revive(changes.back)
    summary = IndexSummary(
        found=scan.n_audio,
        unchanged=len(changes.unchanged) + len(changes.back),
        failed=len(changes.failed_before),
        excluded=scan.n_excluded,
        other=scan.n_other,
        gone=n_gone,
        failures=[Failure(path, reason) for path, reason in changes.failed_before],
        notes=list(changes.warnings),
    )
    run = AnalysisRun(catalogue, segment, n_jobs, progress, summary)
    run.roots, run.protected, run.gone = scan.roots, changes.suspicious_roots, frozenset(changes.gone)
    return run, [*changes.new, *changes.changed]


def _training_due(catalogue: Catalogue, files: Sequence[FoundFile], train_time_s: float) -> bool:
    if train_time_s <= 0 or newest_model(catalogue) is not None:
        return False
    return catalogue.counts().tracks + len(files) >= learning.THRESHOLD_TRACKS


def _learn(run: AnalysisRun, files: list[FoundFile], train_time_s: float, seed: int) -> list[FoundFile]:
    """Analyse a random sample, train on it, and keep the model; give back the files that are left to analyse."""
    catalogue = run.catalogue
    folder = learning.cache_folder(catalogue)
    with learning.training_lock(folder) as free:
        if not free:
            run.summary.notes.append("Another run is training on this library: this one describes, and embeds later.")
            return files
        known = {row.path: row.id for row in catalogue.tracks()}
        sample = set(learning.draw_sample({*known, *(found.path for found in files)}, learning.SAMPLE_TRACKS, seed))
        first = [found for found in files if found.path in sample]
        rest = [found for found in files if found.path not in sample]
        run.later = len(rest), train_time_s
        run.analyse(first, "Listening", cache=folder, checkpoint=None)
        run.later = 0, 0.0
        if catalogue.counts().tracks + len(rest) < learning.THRESHOLD_TRACKS:
            return rest
        again = [track_id for path, track_id in known.items() if path in sample]
        learning.cache_tracks(catalogue, again, run.segment, folder, run.n_jobs, run.progress)
        try:
            learning.fit(
                catalogue, folder, time_budget_s=train_time_s, seed=seed, n_jobs=run.n_jobs, progress=run.progress
            )
        except ModelError as error:  # the descriptors are safe: go on with them, and say so
            run.summary.notes.append(str(error))
    return rest


def _analyse_rest(run: AnalysisRun, files: Sequence[FoundFile]) -> None:
    """Analyse `files`, embedding them in the same pass where there is a model, and complete its space."""
    catalogue = run.catalogue
    model = newest_model(catalogue)
    checkpoint = catalogue.model_bytes(model.id) if model and files else None
    run.embed_into = model.id if model else None
    run.analyse(files, "Analysing", cache=None, checkpoint=checkpoint)
    folder = learning.cache_folder(catalogue)
    if model is not None:
        if not model.active or len(catalogue.missing(model.id)):
            learning.complete_space(catalogue, model.id, folder, run.segment, run.n_jobs, run.progress)
        learning.clear_cache(catalogue)
        run.summary.model = model.id


def _advise(catalogue: Catalogue, summary: IndexSummary) -> None:
    """What the user may want to know about the model, in a sentence."""
    n_tracks = catalogue.counts().tracks
    model = catalogue.active_model()
    if model is None and n_tracks < learning.THRESHOLD_TRACKS:
        summary.notes.append(
            f"Descriptors only: with {learning.THRESHOLD_TRACKS} tracks (now {n_tracks}) Volna trains an autoencoder "
            "on your own music, and `similar` and `wave` rank with both."
        )
    elif model is None:
        summary.notes.append("No model yet: `volna train` learns one from this library.")
    elif n_tracks > learning.GROWTH * model.trained_on:
        summary.notes.append(
            f"The library has grown to {n_tracks} tracks, the model has learnt from {model.trained_on}: "
            "`volna train` learns from them all."
        )
