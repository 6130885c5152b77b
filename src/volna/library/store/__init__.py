"""The catalogue: everything that Volna knows of a library, in one SQLite file. The only room with SQL.

Rooms: `schema` (tables and migrations), `connection` (opening, transactions, errors in words), `rows` (what goes
in and comes out), `files` and `tracks` (writing and reading), `spaces` (vectors and models), `catalogue` (the
class that joins them, all that the rest of Volna sees).
"""

from volna.library.store.catalogue import Catalogue
from volna.library.store.connection import default_library_path
from volna.library.store.rows import (
    Analysed,
    Condition,
    Counts,
    Failed,
    FileRecord,
    Linked,
    ModelRow,
    Recorded,
    TrackRow,
)

__all__ = [
    "Analysed",
    "Catalogue",
    "Condition",
    "Counts",
    "Failed",
    "FileRecord",
    "Linked",
    "ModelRow",
    "Recorded",
    "TrackRow",
    "default_library_path",
]
