"""Tables for programs of one's own: rows that come file by file become CSV, Parquet or JSON.

A batch is a mapping of column names to equally long sequences, the columns of every batch the same; nothing is held
but the batch at hand. In CSV numbers have nine digits, so that a float32 comes back as it was, and what is not known is
an empty cell; in Parquet it is NaN, in JSON null.
"""

from __future__ import annotations

import csv
import importlib.util
import io
import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from volna.errors import InputError

__all__ = ["Batch", "check_ending", "plain", "write_csv", "write_json", "write_parquet"]

Batch = Mapping[str, Any]  # sequences or arrays


def check_ending(target: Path, endings: Sequence[str]) -> str:
    """The ending of a table's name, in lower case.

    Raises
    ------
    InputError
        For another ending than those, and for Parquet where pyarrow is not installed.
    """
    ending = target.suffix.lower()
    if ending not in endings:
        raise InputError(f"{target}: expected a name that ends in {', '.join(endings)}")
    if ending == ".parquet" and importlib.util.find_spec("pyarrow") is None:
        others = ", ".join(other for other in endings if other != ".parquet")
        raise InputError(f"writing parquet needs pyarrow: pip install 'volna[parquet]', or write {others}")
    return ending


def write_csv(batches: Iterable[Batch], file: BinaryIO) -> None:
    """UTF-8; paths that are not UTF-8 keep their bytes."""
    text = io.TextIOWrapper(file, encoding="utf-8", errors="surrogateescape", newline="", write_through=True)
    rows = csv.writer(text, lineterminator="\n")
    named = False
    for batch in batches:
        if not named:
            rows.writerow(list(batch))
            named = True
        columns = [[_cell(value) for value in _listed(column)] for column in batch.values()]
        rows.writerows(zip(*columns, strict=True))
    text.detach()


def _cell(value: Any) -> Any:
    if isinstance(value, float):
        return f"{value:.9g}" if math.isfinite(value) else ""
    return "" if value is None else value


def _listed(column: Sequence[Any]) -> list[Any]:
    return column.tolist() if isinstance(column, np.ndarray) else list(column)


def write_parquet(batches: Iterable[Batch], file: BinaryIO, metadata: Mapping[str, str] | None = None) -> None:
    """A row group for every batch; bytes of a path that are no UTF-8 become replacement characters."""
    import pyarrow
    from pyarrow import parquet

    writer = None
    for batch in batches:
        columns = {name: _utf8(column) for name, column in batch.items()}
        table = pyarrow.table(columns).replace_schema_metadata(metadata)
        writer = writer or parquet.ParquetWriter(file, table.schema)
        writer.write_table(table.cast(writer.schema))
    if writer is not None:
        writer.close()


def _utf8(column: Sequence[Any]) -> Any:
    if isinstance(column, np.ndarray):
        return column
    return [os.fsencode(value).decode("utf-8", "replace") if isinstance(value, str) else value for value in column]


def write_json(items: Iterable[Mapping[str, Any]], rest: Mapping[str, Any], key: str, file: BinaryIO) -> None:
    """One object: the items in a list under ``key``, an item a line, then ``rest``, read when the items are written."""
    file.write(f"{{{json.dumps(key)}: [\n".encode())
    for number, item in enumerate(items):
        file.write((",\n" if number else "").encode() + json.dumps(plain(item), allow_nan=False).encode())
    tail = "".join(f", {json.dumps(name)}: {json.dumps(plain(value), allow_nan=False)}" for name, value in rest.items())
    file.write(f"\n]{tail}}}\n".encode())


def plain(value: Any) -> Any:
    """Arrays as lists, and what JSON has no number for as None.

    Examples
    --------
    >>> plain({"f0_hz": np.array([220.0, np.nan])})
    {'f0_hz': [220.0, None]}
    """
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    return value
