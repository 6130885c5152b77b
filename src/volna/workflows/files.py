"""Files that people asked for: written whole or not at all, and never over another one unasked."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from volna.errors import InputError

__all__ = ["check_free", "new_file"]


def check_free(path: Path, *, force: bool = False) -> None:
    """Refuse a place where no file can be made, or where one lies already, before the work begins.

    Raises
    ------
    InputError
        The folder is missing, a folder has that name, or a file has it and `force` is not given.
    """
    if not path.parent.is_dir():
        raise InputError(f"{path}: expected a folder that exists, {path.parent} does not")
    if path.is_dir():
        raise InputError(f"{path}: expected the name of a file, this is a folder")
    if path.exists() and not force:
        raise InputError(f"{path}: exists already; --force replaces it")


@contextlib.contextmanager
def new_file(path: Path, *, force: bool = False) -> Iterator[BinaryIO]:
    """A file to write, which takes its name when the block has ended without an error.

    Raises
    ------
    InputError
        As `check_free`, or the disk refuses.

    Examples
    --------
    >>> with new_file(Path("vectors.npz")) as file:  # doctest: +SKIP
    ...     file.write(b"...")
    """
    check_free(path, force=force)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        check_free(path, force=force)  # somebody may have been faster
        os.replace(temporary, path)
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)
