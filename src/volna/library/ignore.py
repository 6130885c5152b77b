"""Which paths a scan leaves out: ``--exclude GLOB`` and ``.volnaignore`` files.

A pattern is written as in a ``.gitignore``: ``*`` and ``?`` stay within one name, ``**`` crosses folders, a slash at
the end means folders only, a pattern without another slash fits a name at any depth and one with a slash fits the
path from the folder it was written for. What lies in an excluded folder is excluded.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

__all__ = ["IGNORE_FILE", "Rule", "is_excluded", "read_rules", "rules_above", "rules_in", "rules_of"]

IGNORE_FILE = ".volnaignore"


@dataclass(frozen=True)
class Rule:
    """One pattern: a regular expression for absolute paths."""

    expression: re.Pattern[str]
    folders_only: bool
    includes: bool  # written with "!": takes back what an earlier rule left out


def is_excluded(rules: Sequence[Rule], path: str, *, is_folder: bool) -> bool:
    """The last rule that fits decides.

    Examples
    --------
    >>> rules = rules_in("/music", "*.wav\\n!keep.wav")
    >>> is_excluded(rules, "/music/a/b.wav", is_folder=False), is_excluded(rules, "/music/a/keep.wav", is_folder=False)
    (True, False)
    """
    composed = _compose(path)
    for rule in reversed(rules):
        if (is_folder or not rule.folders_only) and rule.expression.fullmatch(composed):
            return not rule.includes
    return False


def rules_of(globs: Iterable[str], root: str) -> list[Rule]:
    """Rules of ``--exclude``: a name, an absolute path, or a path from `root` or from the working directory."""
    rules: list[Rule] = []
    for glob in globs:
        pattern = os.path.expanduser(glob).removeprefix("./")
        if pattern.startswith("/") or "/" not in pattern.rstrip("/"):
            rules.extend(_rule("/", pattern))
        else:
            rules.extend([*_rule(root, pattern), *_rule(os.getcwd(), pattern)])
    return rules


def rules_in(folder: str, text: str) -> list[Rule]:
    """Rules of a ``.volnaignore`` in `folder`, given its text."""
    rules: list[Rule] = []
    for line in text.removeprefix("\ufeff").split("\n"):  # splitlines() knows ends of lines that names may hold
        pattern = line.rstrip()
        if not pattern or pattern.startswith("#"):
            continue
        includes = pattern.startswith("!")
        rules.extend(_rule(folder, pattern[1:] if includes else pattern, includes=includes))
    return rules


def rules_above(folder: str) -> list[Rule]:
    """Rules of the ``.volnaignore`` files in the folders above, outermost first."""
    above: list[str] = []
    while (parent := os.path.dirname(folder)) != folder:
        above.append(parent)
        folder = parent
    return [rule for parent in reversed(above) for rule in read_rules(parent)]


def read_rules(folder: str) -> list[Rule]:
    """Rules of the ``.volnaignore`` of one folder; none where there is no such file or it cannot be read."""
    try:
        with open(os.path.join(folder, IGNORE_FILE), "rb") as file:
            return rules_in(folder, os.fsdecode(file.read()))
    except OSError:
        return []


def _rule(folder: str, pattern: str, *, includes: bool = False) -> list[Rule]:
    """The pattern as a rule for absolute paths beneath `folder`; an empty pattern is none."""
    body = pattern.rstrip("/")
    if not body.strip("/"):
        return []
    prefix = re.escape(_compose(folder.rstrip("/"))) + "/"
    anywhere = "" if "/" in body else "(?:.*/)?"
    expression = re.compile(prefix + anywhere + _translate(_compose(body.lstrip("/"))), re.DOTALL)
    return [Rule(expression, pattern.endswith("/"), includes)]


_TOKENS = re.compile(
    r"\\(?P<plain>.)|(?P<deep>\*\*/)|(?P<rest>/\*\*$)|(?P<any>\*+)|(?P<one>\?)|(?P<set>\[[!^]?\]?[^]/]*\])"
)


def _translate(pattern: str) -> str:
    """A glob as a regular expression."""
    out, end = [], 0
    for match in _TOKENS.finditer(pattern):
        out.append(re.escape(pattern[end : match.start()]))
        out.append(_token(match))
        end = match.end()
    return "".join(out) + re.escape(pattern[end:])


def _token(match: re.Match[str]) -> str:
    if match["set"]:
        return _set(match["set"][1:-1])
    if match["plain"]:
        return re.escape(match["plain"])
    return {"deep": "(?:.*/)?", "rest": "/.+", "any": "[^/]*", "one": "[^/]"}[str(match.lastgroup)]


def _set(inside: str) -> str:
    """``[a-z]``, ``[!a-z]``; one that means nothing, such as ``[z-a]``, stands for itself."""
    negated = inside[0] in "!^"
    members = re.sub(r"([^\w-])", r"\\\1", inside[negated:]).replace("--", "-\\-")
    expression = f"(?!/)[{'^' if negated else ''}{members}]"
    try:
        re.compile(expression)
    except re.error:
        return re.escape(f"[{inside}]")
    return expression


def _compose(text: str) -> str:
    """One spelling for accented letters: macOS may give them in two characters, patterns are typed in one."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)
