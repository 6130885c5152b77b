"""Playlists that players open: extended M3U in UTF-8 (``.m3u8``).

``#EXTM3U``, then for each track a line ``#EXTINF:seconds,Artist - Title`` and a line with its path, relative to the
folder of the playlist, so that a disk with music and playlists on it can be carried about. On another drive, where no
relative path exists, it is absolute. The bytes of a name that is not UTF-8 are written as they are. A name that begins
with ``#`` is led in by ``./``. A path that holds a line break, or ends in a space, cannot stand on a line: it becomes a
``file://`` URI with percent-encoding, which most players understand.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote_from_bytes

from volna.errors import LibraryError

__all__ = ["Entry", "m3u8", "write_m3u8"]

_BREAKS = "\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"  # whatever some reader takes for the end of a line


@dataclass(frozen=True)
class Entry:
    """One line of a playlist: an absolute path, its duration in seconds (0: unknown), artist and title."""

    path: str
    duration_s: float = 0.0
    artist: str | None = None
    title: str | None = None


def m3u8(entries: Iterable[Entry], folder: str | os.PathLike[str]) -> bytes:
    """Format a playlist that will lie in ``folder``.

    Examples
    --------
    >>> m3u8([Entry("/music/a/b.mp3", 61.6, "Nina", "Blue")], "/music/lists").decode().splitlines()
    ['#EXTM3U', '#EXTINF:62,Nina - Blue', '../a/b.mp3']
    """
    lines = [b"#EXTM3U"]
    for entry in entries:
        lines += [_information(entry), _location(entry.path, os.path.realpath(folder))]
    return b"\n".join(lines) + b"\n"


def write_m3u8(entries: Iterable[Entry], path: str | os.PathLike[str]) -> None:
    """Write a playlist, whole or not at all; one that is there is replaced.

    Raises
    ------
    LibraryError
        Where the folder is missing or cannot be written.
    """
    path = Path(path)
    try:
        # a link, say a playlist kept elsewhere, is written through; paths are relative to where the file really lies
        target = path.resolve()
        content = m3u8(entries, target.parent)
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=".volna-", suffix=".tmp")
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(content)
            os.chmod(temporary, target.stat().st_mode & 0o777 if target.exists() else 0o666 & ~_umask())
            os.replace(temporary, target)
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary)
            raise
    except OSError as error:
        raise LibraryError(f"{path}: cannot write the playlist: {error.strerror or error}") from error


def _umask() -> int:
    """The mask of the process; it can only be read by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _information(entry: Entry) -> bytes:
    title = entry.title or Path(entry.path).stem
    text = f"{entry.artist} - {title}" if entry.artist else title
    seconds = max(1, round(entry.duration_s)) if entry.duration_s > 0 else -1
    plain = " ".join(text.translate({ord(character): " " for character in _BREAKS}).split())
    return f"#EXTINF:{seconds},".encode() + plain.encode("utf-8", "surrogateescape")


def _location(path: str, folder: str) -> bytes:
    # "../" leads to the parent of where a linked folder really is, so links are followed first; the name stays
    path = os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))
    if any(character in path for character in "\n\r") or path != path.rstrip():
        return b"file://" + quote_from_bytes(os.fsencode(path), safe="/").encode("ascii")
    try:
        relative = os.path.relpath(path, folder)
    except ValueError:  # another drive
        return os.fsencode(path)
    line = os.fsencode(relative)
    # players trim lines, take "#" for a comment and "word:" for the scheme of an address
    misread = line[:1] in b"# \t" or b":" in line.split(os.sep.encode())[0]
    return b"./" + line if misread else line
