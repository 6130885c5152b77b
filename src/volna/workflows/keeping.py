"""`status`, `failures`, `forget`: looking after a library."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from volna.features.recipe import FEATURES_VERSION
from volna.library.index import SPACES
from volna.workflows.common import library_path, newest_model, open_library
from volna.workflows.results import Failure, Status

__all__ = ["failures", "forget", "status"]


def status(library: str | Path | None = None) -> Status:
    """What a library holds.

    Parameters
    ----------
    library : str or Path, optional
        The library file; by default ``VOLNA_LIBRARY`` or the one in the user's data folder.

    Raises
    ------
    LibraryError
        There is no library, or it cannot be read.

    Examples
    --------
    >>> status("music.db").tracks  # doctest: +SKIP
    1204
    """
    with open_library(library) as catalogue:
        counts = catalogue.counts()
        active, newest = catalogue.active_model(), newest_model(catalogue)
        embedded = catalogue.count(active.id) if active else 0
        report = Status(
            library=str(library_path(library)),
            tracks=counts.tracks,
            files=counts.files,
            failed=counts.failed,
            gone=counts.gone,
            short=counts.short,
            hours=counts.hours,
            segment=catalogue.get_setting("segment") or "spread",
            model=active.id if active else None,
            embedded=embedded,
            trained_on=active.trained_on if active else 0,
            spaces=list(SPACES) if embedded else ["descriptors"] if counts.tracks else [],
        )
        if newest and not newest.active:
            done = catalogue.count(newest.id)
            report.notes.append(
                f"Model {newest.id} is waiting: {done} of {counts.tracks} tracks embedded; `volna index` goes on."
            )
        older, current = catalogue.descriptor_space, f"descriptors/{FEATURES_VERSION}"
        if older != current and counts.tracks:
            done = catalogue.count(current)
            report.notes.append(
                f"Another version of Volna described these tracks: {done} of {counts.tracks} are described again; "
                "`volna index` goes on."
            )
    return report


def failures(library: str | Path | None = None) -> list[Failure]:
    """The files that could not be analysed, with the reason of each.

    Examples
    --------
    >>> failures("music.db")[0].reason  # doctest: +SKIP
    'silent: no window is louder than -70 dB'
    """
    with open_library(library) as catalogue:
        return [Failure(path, reason) for path, reason in catalogue.failures()]


def forget(paths: Sequence[str | Path], library: str | Path | None = None) -> int:
    """Remove files, or all files under folders, from a library; nothing on disk is touched.

    Returns
    -------
    int
        Number of files removed.

    Examples
    --------
    >>> forget(["~/Music/Audiobooks"], "music.db")  # doctest: +SKIP
    12
    """
    with open_library(library) as catalogue:
        return catalogue.forget([str(Path(path).expanduser()) for path in paths])
