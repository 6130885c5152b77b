"""What can go wrong, as one small tree.

::

    VolnaError
    ├── AudioError      a file that cannot be decoded, or that holds no usable sound
    ├── LibraryError    the catalogue: missing, corrupt, locked, not writable, or a track it does not hold
    ├── ModelError      a checkpoint that cannot be read, or a model that is missing
    │   └── ModelMismatch   vectors of two different models were about to be compared
    └── InputError      an argument or option that makes no sense

A message says what was expected, what came, which file, and what to do. ``volna.cli`` turns any
of these into one line on standard error and exit code 1; everything else is a bug and keeps its traceback.
"""

__all__ = ["AudioError", "InputError", "LibraryError", "ModelError", "ModelMismatch", "VolnaError"]


class VolnaError(Exception):
    """Root of every error that Volna raises on purpose."""


class AudioError(VolnaError):
    """A file cannot be decoded, or holds no usable sound."""


class LibraryError(VolnaError):
    """The catalogue is missing, corrupt, locked or not writable, or does not hold what was asked for."""


class ModelError(VolnaError):
    """A model is missing, or its checkpoint cannot be read."""


class ModelMismatch(ModelError):
    """Vectors of two different models were about to be compared."""


class InputError(VolnaError):
    """An argument or option makes no sense."""
