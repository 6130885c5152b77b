"""The walk: which audio files lie on the disk.

It reads folders, never the inside of a file but for the first bytes of one whose extension says nothing. Its rules:

- audio is known by its extension, or by its signature where the extension says nothing; all else is ``other``;
- folders whose name begins with a dot, and the ``._`` twins that macOS leaves on foreign disks, are no music;
- links to folders and files are followed, and what is reached twice is counted once, by its real path if possible;
- pipes, sockets and devices are never opened.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from volna.audio.formats import AUDIO_EXTENSIONS, looks_like_audio
from volna.library.ignore import IGNORE_FILE, Rule, is_excluded, read_rules, rules_above, rules_of
from volna.library.store.rows import FileRecord

__all__ = ["FoundFile", "Scan", "walk"]

# Never worth a look inside: what usually lies beside music.
NOT_AUDIO = frozenset(
    (
        *(".bmp", ".gif", ".ico", ".jpeg", ".jpg", ".png", ".psd", ".svg", ".tif", ".tiff", ".webp"),
        *(".accurip", ".cue", ".log", ".lrc", ".m3u", ".m3u8", ".md5", ".nfo", ".pls", ".sfv", ".srt"),
        *(".csv", ".doc", ".docx", ".epub", ".htm", ".html", ".ini", ".json", ".md", ".pdf", ".rtf", ".txt", ".xml"),
        *(".7z", ".db", ".dll", ".exe", ".gz", ".lnk", ".py", ".rar", ".sh", ".sqlite", ".torrent", ".url", ".zip"),
    )
)


class FoundFile(NamedTuple):
    """An audio file on the disk. A tuple, because there may be a hundred thousand."""

    path: str
    size: int
    mtime_ns: int


@dataclass
class Scan:
    """What a walk has found.

    Attributes
    ----------
    roots : list of str
        The paths given, absolute.
    found : list of FoundFile
        Audio, in the order of the walk, every file once.
    excluded : list of str
        Audio left out by a pattern; `n_excluded` is their number.
    n_other : int
        Files that are no audio.
    unreadable, missing, dangling : list of str
        Folders that could not be listed; roots that do not exist; links to audio that lead nowhere.
    empty : set of str
        Folders with nothing at all in them, such as the place of a disk that is not mounted.
    not_judged : set of str
        Folders and files that are there and were not counted: reached another way, or excluded and unreadable.
    """

    roots: list[str] = field(default_factory=list)
    found: list[FoundFile] = field(default_factory=list)
    excluded: list[str] = field(default_factory=list)
    n_other: int = 0
    unreadable: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    dangling: list[str] = field(default_factory=list)
    empty: set[str] = field(default_factory=set)
    not_judged: set[str] = field(default_factory=set)

    @property
    def n_excluded(self) -> int:
        """Number of audio files left out by a pattern."""
        return len(self.excluded)

    @property
    def n_audio(self) -> int:
        """All audio: what was found and what was excluded."""
        return len(self.found) + self.n_excluded


def walk(
    paths: Iterable[str | os.PathLike[str]],
    *,
    exclude: Sequence[str] = (),
    known: Mapping[str, FileRecord] | None = None,
    on_folder: Callable[[int], None] | None = None,
) -> Scan:
    """Find the audio files at and beneath some paths.

    Parameters
    ----------
    paths : iterable of path
        Folders or files.
    exclude : sequence of str
        Patterns, see `volna.library.ignore`; ``.volnaignore`` files apply in and beneath their folder as well.
    known : mapping of str to FileRecord, optional
        What the catalogue knows; a file without a telling extension that is known unchanged is not opened.
    on_folder : callable, optional
        Called with the number of audio files so far after every folder.

    Returns
    -------
    Scan

    Examples
    --------
    >>> import tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = (pathlib.Path(folder) / "song.mp3").write_bytes(b"")
    ...     _ = (pathlib.Path(folder) / "cover.jpg").write_bytes(b"")
    ...     scan = walk([folder])
    >>> len(scan.found), scan.n_other
    (1, 1)
    """
    roots = list(dict.fromkeys(os.path.abspath(os.fspath(path)) for path in paths))
    walker = _Walker(Scan(roots), known or {}, on_folder)
    for root in roots:
        walker.enter(root, exclude)
    walker.finish()
    return walker.scan


class _Folder(NamedTuple):
    """A folder still to be read."""

    path: str
    real: str  # without links
    rules: list[Rule]  # of --exclude and of the .volnaignore files above
    excluded: bool


class _Walker:
    """One walk: what it has found, and what it has seen so far.

    Folders and files are told apart by their real path: inodes are not to be trusted on network and FUSE disks.
    """

    def __init__(self, scan: Scan, known: Mapping[str, FileRecord], on_folder: Callable[[int], None] | None) -> None:
        self.scan = scan
        self.known = known
        self.on_folder = on_folder
        self.folders_seen: dict[str, str] = {}  # real path -> path
        self.files_seen: dict[str, str] = {}
        self.linked_folders: list[_Folder] = []
        self.linked_files: list[tuple[str, bool]] = []

    def enter(self, root: str, exclude: Sequence[str]) -> None:
        """Walk one of the paths given."""
        try:
            status = os.stat(root)
        except OSError as error:
            absent = isinstance(error, FileNotFoundError | NotADirectoryError)
            (self.scan.missing if absent else self.scan.unreadable).append(root)
            return
        is_folder = stat.S_ISDIR(status.st_mode)
        rules = rules_above(root) + rules_of(exclude, root if is_folder else os.path.dirname(root))
        excluded = is_excluded(rules, root, is_folder=is_folder)
        if is_folder:
            self._walk(_Folder(root, os.path.realpath(root), rules, excluded))
        else:
            self._take(root, os.path.realpath(root), status, excluded)

    def finish(self) -> None:
        """Follow the links last, so that what is reached twice is known by its real path."""
        while self.linked_folders:
            self._walk(self.linked_folders.pop(0))
        for path, excluded in self.linked_files:
            try:
                self._take(path, os.path.realpath(path), os.stat(path), excluded)
            except OSError:
                self._take_dangling(path)

    def _walk(self, top: _Folder) -> None:
        waiting = [top]
        while waiting:
            folder = waiting.pop()
            waiting.extend(reversed(self._read(folder)))
            if self.on_folder:
                self.on_folder(self.scan.n_audio)

    def _read(self, folder: _Folder) -> list[_Folder]:
        """Take the files of one folder; return its folders."""
        if self._seen(self.folders_seen, folder.path, folder.real):
            return []
        try:
            with os.scandir(folder.path) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError:
            self._cannot_read(folder)
            return []
        if not entries:
            self.scan.empty.add(folder.path)
        if any(entry.name == IGNORE_FILE for entry in entries):
            folder = folder._replace(rules=folder.rules + read_rules(folder.path))
        return [inner for entry in entries if (inner := self._entry(entry, folder)) is not None]

    def _seen(self, seen: dict[str, str], path: str, real: str) -> bool:
        first = seen.get(real)
        if first is None:
            seen[real] = path
            return False
        if first != path:
            self.scan.not_judged.add(path)
        return True

    def _cannot_read(self, folder: _Folder) -> None:
        if folder.excluded:
            self.scan.not_judged.add(folder.path)
        elif folder.path not in self.scan.unreadable:
            self.scan.unreadable.append(folder.path)

    def _entry(self, entry: os.DirEntry[str], folder: _Folder) -> _Folder | None:
        try:
            if entry.is_dir():
                return self._folder(entry, folder)
            excluded = self._excluded(entry.path, folder, is_folder=False)
            if entry.is_symlink():
                self.linked_files.append((entry.path, excluded))
            else:
                self._take(entry.path, os.path.join(folder.real, entry.name), entry.stat(), excluded)
        except FileNotFoundError:  # vanished since the listing
            pass
        except OSError:
            self._take_dangling(entry.path) if entry.is_symlink() else self._cannot_read(folder)
        return None

    def _folder(self, entry: os.DirEntry[str], above: _Folder) -> _Folder | None:
        if entry.name.startswith("."):
            return None
        excluded = self._excluded(entry.path, above, is_folder=True)
        if entry.is_symlink():
            self.linked_folders.append(_Folder(entry.path, os.path.realpath(entry.path), above.rules, excluded))
            return None
        return _Folder(entry.path, os.path.join(above.real, entry.name), above.rules, excluded)

    def _excluded(self, path: str, folder: _Folder, *, is_folder: bool) -> bool:
        return folder.excluded or (bool(folder.rules) and is_excluded(folder.rules, path, is_folder=is_folder))

    def _take(self, path: str, real: str, status: os.stat_result, excluded: bool) -> None:
        """Count one file, once."""
        if self._seen(self.files_seen, path, real):
            return
        found = FoundFile(path, status.st_size, status.st_mtime_ns)
        if not (stat.S_ISREG(status.st_mode) and self._is_audio(found)):
            self.scan.n_other += 1
        elif excluded:
            self.scan.excluded.append(path)
        else:
            self.scan.found.append(found)

    def _is_audio(self, found: FoundFile) -> bool:
        name = os.path.basename(found.path)
        extension = os.path.splitext(name)[1].lower()
        if name.startswith("._") or name == IGNORE_FILE or extension in NOT_AUDIO:
            return False
        if extension in AUDIO_EXTENSIONS:
            return True
        record = self.known.get(found.path)
        if record is not None and (record.size, record.mtime_ns) == (found.size, found.mtime_ns):
            return True
        try:
            return looks_like_audio(found.path)
        except OSError:
            return False

    def _take_dangling(self, path: str) -> None:
        """A link to a file that is not there, perhaps on a disk that is not mounted."""
        if os.path.splitext(path)[1].lower() in AUDIO_EXTENSIONS or path in self.known:
            self.scan.dangling.append(path)
        else:
            self.scan.n_other += 1
