"""`demo`: the whole job without any music at hand: synthesise, index, train, search, play, measure."""

from __future__ import annotations

import time
from pathlib import Path

from volna.errors import InputError, LibraryError
from volna.synthesis import write_collection
from volna.workflows.common import Progress, silent
from volna.workflows.evaluating import evaluate
from volna.workflows.indexing import index
from volna.workflows.playing import save_playlist, wave
from volna.workflows.results import DemoReport
from volna.workflows.searching import similar

__all__ = ["demo"]

N_CLIPS = 240
TRAIN_TIME_S = 60.0


def demo(
    folder: str | Path = "volna-demo",
    *,
    library: str | Path | None = None,
    n_clips: int = N_CLIPS,
    train_time_s: float = TRAIN_TIME_S,
    seed: int = 0,
    progress: Progress | None = None,
) -> DemoReport:
    """Synthesise clips in eight styles and do the whole job on them; needs no music and no network.

    Parameters
    ----------
    folder : str or Path
        Where the clips, the library and the playlist go; clips that are there already are kept.
    library : str or Path, optional
        The library file; by default one in `folder`, never the user's own.
    n_clips : int
        Number of clips of 10 s.
    train_time_s : float
        Seconds of training at most.
    seed : int
        Of the music, the training and the playlist.
    progress : callable, optional
        ``progress(stage, done, total, note)``.

    Returns
    -------
    DemoReport

    Raises
    ------
    InputError
        The folder cannot be written.

    Examples
    --------
    >>> demo("volna-demo").playlist_path  # doctest: +SKIP
    'volna-demo/wave.m3u8'
    """
    started_s = time.monotonic()
    progress = progress or silent
    folder = Path(folder)
    library = folder / "library.db" if library is None else Path(library)
    music = folder / "music"
    try:
        paths = write_collection(music, n_clips, seed, progress)
    except OSError as error:
        raise InputError(f"{folder}: the demo's music cannot be written: {error.strerror or error}") from error
    summary = index([music], library=library, train_time_s=train_time_s, seed=seed, progress=progress)
    if not summary.analysed + summary.unchanged + summary.moved:
        raise LibraryError(f"{library}: none of the demo's {summary.found} clips could be analysed")
    nearest = similar(paths[0], library=library, n=10)
    playlist = wave([paths[0]], library=library, n=20, seed=seed)
    playlist_path = folder / "wave.m3u8"
    save_playlist(playlist.results, playlist_path)
    table = evaluate(library=library, labels_from="genre", seed=seed, progress=progress)
    notes = ["The music is synthetic: the figures show that every step works, not how well it ranks real music."]
    seconds = round(time.monotonic() - started_s, 1)
    return DemoReport(str(folder), str(library), summary, nearest, playlist, str(playlist_path), table, seconds, notes)
