"""``python -m volna`` is the ``volna`` command."""

from __future__ import annotations

import sys

from volna.cli import main

__all__: list[str] = []

if __name__ == "__main__":
    sys.exit(main())
