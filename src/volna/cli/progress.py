"""Progress on standard error: a bar for every stage on a terminal, elsewhere a plain line now and then.

A workflow calls ``progress(stage, done, total, note)``; `Progress` is such a callable.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import Any, TextIO

from volna.cli.output import duration_text, printable

__all__ = ["Progress"]

FIRST_LINE_S = 2.0  # what is over sooner needs no line
EVERY_S = 30.0
EVERY_FRACTION = 0.1
BAR = "{desc:<14} {percentage:3.0f}% |{bar}| {n_fmt}/{total_fmt}  {elapsed}, {remaining} left{postfix}"
ROWS = 20  # only one bar is ever up; without a number tqdm asks the terminal, and hides the bar if that says 0
COUNTER = "{desc:<14} {n_fmt}  {elapsed}{postfix}"


def _columns(stream: TextIO) -> int:
    """Columns of the terminal behind `stream`; 80 where it does not say (tqdm itself would draw nothing there)."""
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except (OSError, ValueError):
        return 80


class Progress:
    """The progress of one command; use it as a context manager, so that the last bar is closed.

    Parameters
    ----------
    stream:
        Where to write; standard error by default.
    clock:
        Seconds, for tests.
    """

    def __init__(self, stream: TextIO | None = None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.stream = sys.stderr if stream is None else stream
        self.clock = clock
        self.bars = self.stream.isatty()
        self.stage: str | None = None
        self.bar: Any = None

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __call__(self, stage: str, done: int, total: int | None = None, note: str = "") -> None:
        """Report that `done` of `total` (None: not known) steps of `stage` are done."""
        if stage != self.stage:
            self._open(stage, done, total)
        if self.bars:
            self._draw(done, total, note)
        else:
            self._write(done, total, note)

    def close(self) -> None:
        """Finish the bar of the current stage."""
        if self.bar is not None:
            self.bar.close()
        self.bar = self.stage = None

    def _open(self, stage: str, done: int, total: int | None) -> None:
        self.close()
        self.stage = stage
        self.started, self.first_done = self.clock(), done
        self.last_line: tuple[float, int] | None = None
        if self.bars:
            from tqdm import tqdm

            tqdm.monitor_interval = 0  # no thread of its own: workers may be forked while a bar is up
            # smoothing=0: the time left follows the mean speed of the whole stage, so it does not jump about.
            self.bar = tqdm(
                desc=printable(stage),
                total=total,
                initial=done,
                file=self.stream,
                smoothing=0,
                ncols=_columns(self.stream),
                nrows=ROWS,
                bar_format=COUNTER if total is None else BAR,
            )

    def _draw(self, done: int, total: int | None, note: str) -> None:
        if total != self.bar.total:
            self.bar.total = total
            self.bar.bar_format = COUNTER if total is None else BAR
        self.bar.set_postfix_str(printable(note), refresh=False)
        self.bar.update(done - self.bar.n)
        if done == total:
            self.bar.refresh()  # update() redraws ten times a second at most, and would miss the last one

    def _write(self, done: int, total: int | None, note: str) -> None:
        now = self.clock()
        if not self._line_due(now, done, total):
            return
        self.last_line = (now, done)
        share = f"{done}" if total is None else f"{done}/{total}"
        left = self._time_left(now, done, total)
        text = f"{self.stage}: {share}{left}{f', {note}' if note else ''}"
        print(printable(text), file=self.stream, flush=True)

    def _time_left(self, now: float, done: int, total: int | None) -> str:
        rate = (done - self.first_done) / max(now - self.started, 1e-9)
        if total is None or rate <= 0 or done >= total:
            return ""
        return f", {duration_text((total - done) / rate)} left"

    def _line_due(self, now: float, done: int, total: int | None) -> bool:
        if self.last_line is None:
            return now - self.started >= FIRST_LINE_S
        time_since, done_since = now - self.last_line[0], done - self.last_line[1]
        if done_since and done == total:
            return True
        far = total is not None and done_since >= EVERY_FRACTION * total and time_since >= FIRST_LINE_S
        return far or time_since >= EVERY_S
