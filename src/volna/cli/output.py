"""What reaches standard output: aligned tables, JSON, and text that is safe to print.

Conventions: results go to standard output, everything else to standard error. On a terminal a table is cut to its
width; in a pipe nothing is cut. Control characters of tags and paths are shown, never sent to the terminal.
"""

from __future__ import annotations

import json
import math
import shutil
import sys
import textwrap
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any

__all__ = [
    "clip",
    "duration_text",
    "emit_json",
    "note",
    "pad",
    "printable",
    "say",
    "table",
    "text_width",
    "width",
    "wrap",
]

UNLIMITED = 1_000_000  # columns: the width of a pipe
PROSE = 100  # columns: longer lines are hard to read


def say(text: str = "") -> None:
    """Print a line of the result."""
    print(text, file=sys.stdout)


def note(text: str) -> None:
    """Print a remark on standard error."""
    print(printable(text), file=sys.stderr)


def emit_json(value: Any) -> None:
    """Print `value` as one line of ASCII JSON; numbers that JSON cannot hold (NaN, infinity) become null.

    ASCII, because a path that is not valid UTF-8 holds lone surrogates: escaped, they survive any pipe and Python's
    ``json.loads`` followed by ``os.fsencode`` gives the original bytes back.
    """
    print(json.dumps(_plain(value), ensure_ascii=True, allow_nan=False), file=sys.stdout)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    if hasattr(value, "as_dict"):
        return _plain(value.as_dict())
    if hasattr(value, "tolist"):  # numpy scalars and arrays, without importing numpy
        return _plain(value.tolist())
    return str(value)  # paths


def width() -> int:
    """Columns to fill: those of the terminal, or no limit when standard output is none."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else UNLIMITED


def printable(text: str) -> str:
    r"""`text` on one line, its control characters written out.

    Examples
    --------
    >>> print(printable("a\nb\x1b[31m"))
    a\nb\x1b[31m
    """
    if text.isprintable():
        return text
    return "".join(_shown(character) for character in text)


def _shown(character: str) -> str:
    # Cc: control; Cf: direction marks, which would turn the rest of a line around; Zl, Zp: line separators;
    # Cs: bytes of a path that are not valid UTF-8.
    hidden = unicodedata.category(character) in ("Cc", "Cf", "Zl", "Zp", "Cs")
    return character.encode("unicode_escape").decode("ascii") if hidden else character


def text_width(text: str) -> int:
    """Columns that `text` takes in a terminal: East Asian wide characters take two, combining marks none.

    Examples
    --------
    >>> text_width("abc"), text_width("\u97f3\u697d"), text_width("e\u0301")
    (3, 4, 1)
    """
    if text.isascii():
        return len(text)
    return sum(_character_width(character) for character in text)


def _character_width(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def clip(text: str, columns: int, *, keep_end: bool = False) -> str:
    """`text` in at most `columns` columns, cut at its end (or, for paths, at its start) with an ellipsis."""
    if text_width(text) <= columns:
        return text
    kept, left = "", columns - 1
    for character in reversed(text) if keep_end else text:
        left -= _character_width(character)
        if left < 0:
            break
        kept = character + kept if keep_end else kept + character
    return "…" + kept if keep_end else kept + "…"


def pad(text: str, columns: int, *, right: bool = False) -> str:
    """`text` filled with spaces to `columns` columns, aligned left or right."""
    space = " " * max(0, columns - text_width(text))
    return space + text if right else text + space


def wrap(text: str) -> list[str]:
    """`text` in lines that fit the terminal, its words kept whole."""
    return textwrap.wrap(printable(text), min(width(), PROSE), break_long_words=False, break_on_hyphens=False)


def table(
    rows: Iterable[Sequence[str]],
    *,
    head: Sequence[str] = (),
    right: Sequence[int] = (),
    paths: Sequence[int] = (),
    columns: int | None = None,
) -> list[str]:
    """Lines of an aligned table.

    Parameters
    ----------
    rows:
        Cells, the same number in every row.
    head:
        Column titles.
    right:
        Numbers of the columns that are aligned right, which are never cut; the others give way, the widest first.
    paths:
        Numbers of the columns that are cut at their start, because their end says more.
    columns:
        Columns to stay within; the width of the terminal when None.

    Examples
    --------
    >>> table([("Ada", "1.5"), ("Grace", "12.0")], right=[1], columns=80)
    ['Ada     1.5', 'Grace  12.0']
    """
    cells = [[printable(cell) for cell in row] for row in ([head, *rows] if head else rows)]
    if not cells:
        return []
    widths = [max(text_width(row[k]) for row in cells) for k in range(len(cells[0]))]
    widths = _fit(widths, set(right), width() if columns is None else columns)
    return [
        "  ".join(pad(clip(row[k], w, keep_end=k in paths), w, right=k in right) for k, w in enumerate(widths)).rstrip()
        for row in cells
    ]


def _fit(widths: list[int], fixed: set[int], columns: int) -> list[int]:
    """Widths narrowed to fit `columns`, taking from the widest column that may shrink."""
    widths = list(widths)
    free = [k for k in range(len(widths)) if k not in fixed]
    while free and sum(widths) + 2 * (len(widths) - 1) > columns:
        widest = max(free, key=lambda k: widths[k])
        if widths[widest] <= 4:  # narrower says nothing
            break
        widths[widest] -= 1
    return widths


def duration_text(seconds: float) -> str:
    """A duration for people.

    Examples
    --------
    >>> duration_text(0.84), duration_text(75.0), duration_text(7260.0)
    ('0.8 s', '1 min 15 s', '2 h 1 min')
    """
    if seconds < 59.5:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"
