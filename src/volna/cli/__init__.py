"""The ``volna`` command: one command a workflow, no logic.

``main`` the group, and errors as one line · ``commands`` options in, one workflow called · ``options`` parsers ·
``output`` text and JSON on standard output · ``reports`` results as text · ``progress`` bars on standard error.
Nothing heavier than click is imported before a command runs.
"""

from __future__ import annotations

from volna.cli.main import main

__all__ = ["main"]
