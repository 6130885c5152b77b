"""A path becomes an open libav container, or an ``AudioError`` that a person understands.

Files are opened by Python and handed to libav as objects. So a name is only a name: invalid UTF-8, newlines,
``concat:`` or ``%03d`` mean nothing special, and a playlist cannot make libav open another file or an address.
"""

from __future__ import annotations

import errno
import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import av
import av.error
import av.logging
from av.container import InputContainer

from volna.errors import AudioError

__all__ = ["SourceFile", "StrPath", "explained", "fail", "open_container", "open_regular"]

StrPath = str | os.PathLike[str]

av.logging.set_level(None)  # nothing on stderr: what goes wrong is raised, in our words

RIFF = (b"RIFF", b"RIFX", b"RF64", b"BW64")
# libav looks for DTS hidden in 16-bit WAV, in up to 5 MB: 24 ms of CPU a file. A DTS frame has 16 kB at most.
RIFF_PROBE = {"probesize": "32768"}
# Checksums of Ogg pages and others; and no protocol at all, for playlists that would open other files or addresses.
OPTIONS = {"err_detect": "crccheck", "protocol_whitelist": "none"}


def fail(path: StrPath, reason: str) -> NoReturn:
    """Raise ``AudioError`` with the message ``path: reason``."""
    raise AudioError(f"{os.fspath(path)}: {reason}")


class SourceFile(io.FileIO):
    """A file that libav reads. It never raises: PyAV prints what is raised here. The first error is kept instead."""

    error: OSError | None = None

    def read(self, size: int | None = -1, /) -> bytes:
        try:
            return super().read(-1 if size is None else size) or b""
        except OSError as error:
            self.error = self.error or error
            return b""

    def seek(self, offset: int, whence: int = 0, /) -> int:
        try:
            return super().seek(offset, whence)
        except (OSError, OverflowError):  # damaged files send libav to places before the start
            return -errno.EINVAL

    def check(self) -> None:
        """Raise the error that a read met with, if any."""
        if self.error is not None:
            raise self.error


def open_regular(path: StrPath) -> tuple[SourceFile, int]:
    """Open a regular file for reading, unbuffered, and give its size in bytes; refuse all else by name."""
    try:
        file = SourceFile(os.fspath(path), "rb", opener=_opener)
    except FileNotFoundError:
        fail(path, "there is no such file")
    except IsADirectoryError:
        fail(path, "this is a folder, not a file")
    except PermissionError:
        fail(path, "no permission to read this file")
    except (OSError, ValueError) as error:
        fail(path, f"the file cannot be opened: {getattr(error, 'strerror', None) or error}")
    status = os.fstat(file.fileno())
    if not stat.S_ISREG(status.st_mode) or status.st_size == 0:
        file.close()
        fail(path, "the file is empty" if stat.S_ISREG(status.st_mode) else "this is not a regular file")
    return file, status.st_size


def _opener(path: str, flags: int) -> int:
    # O_NONBLOCK: opening a named pipe that nobody writes to would wait for ever.
    descriptor = os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
    if stat.S_ISDIR(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise IsADirectoryError(path)
    return descriptor


def open_container(file: SourceFile) -> InputContainer:
    """Let libav recognise and open ``file``, which stays open as long as the container is used."""
    file.seek(0)
    magic = file.read(4)
    file.seek(0)
    options = {**OPTIONS, **RIFF_PROBE} if magic in RIFF else OPTIONS
    # Bytes that are not UTF-8 are kept as surrogates here; `AudioFile.metadata` puts them right.
    return av.open(file, "r", options=options, metadata_errors="surrogateescape", io_open=_refuse)


def _refuse(url: str, flags: int, options: object) -> NoReturn:
    raise PermissionError("a file may not open other files")


@contextmanager
def explained(path: StrPath) -> Iterator[None]:
    """Turn whatever libav or the system raises into an ``AudioError`` with the path and a sentence."""
    try:
        yield
    except AudioError:
        raise
    except av.error.FFmpegError as error:
        raise AudioError(f"{os.fspath(path)}: {_sentence(error)}") from error
    except MemoryError as error:
        raise AudioError(f"{os.fspath(path)}: decoding it would take more memory than there is") from error
    except EOFError as error:
        raise AudioError(f"{os.fspath(path)}: the file ends before any audio") from error
    except OSError as error:
        raise AudioError(f"{os.fspath(path)}: the file cannot be read: {error.strerror or error}") from error
    except (OverflowError, ValueError) as error:
        raise AudioError(f"{os.fspath(path)}: its headers make no sense ({error})") from error


def _sentence(error: av.error.FFmpegError) -> str:
    if isinstance(error, av.error.InvalidDataError):
        return "this is not audio that can be read, or it is damaged (libav: invalid data)"
    if isinstance(error, av.error.EOFError):
        return "the file ends before any audio"
    if isinstance(error, (av.error.DecoderNotFoundError, av.error.DemuxerNotFoundError)):
        return "there is no decoder for this kind of audio"
    if isinstance(error, av.error.PatchWelcomeError):
        return "this variant of the format is not supported by libav"
    if isinstance(error, av.error.MemoryError):
        return "decoding it would take more memory than there is, so its headers are probably damaged"
    return f"this audio cannot be read (libav: {(error.strerror or str(error)).lower()})"
