"""Work done in child processes, so that one crash, one hang or one bad file costs one file.

A task is the name of a function, ``"package.module:function"``, and its arguments. The function may
return its result, or be a generator that talks with the parent while it works::

    def task(path):
        answer = yield ("hash", "5f0c…")     # the parent's `on_message(task, message)` gives the answer
        return answer

Children are plain ``python -m volna.pool`` processes fed through pipes rather than ``multiprocessing``
workers: they need no ``if __name__ == "__main__"`` in the caller's script, work in notebooks, and never
inherit the threads of a parent that has imported torch. Each runs at low priority, with one
numeric thread unless told otherwise, ignores Ctrl-C (the parent decides) and ends when its parent does.

Frames on the pipes are an 8-byte little-endian length and a pickle; both ends are this very file.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import pickle
import selectors
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from inspect import isgenerator
from types import TracebackType
from typing import Any, BinaryIO

from volna.errors import VolnaError

__all__ = ["Outcome", "Pool", "Task", "default_jobs"]

LENGTH_BYTES = 8
NICENESS = 10
POLL_S = 0.2
WORKER_BYTES = 400_000_000  # a worker with torch loaded; used to bound how many are started by default
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)


@dataclass(frozen=True)
class Task:
    """A function by name, its arguments, and whatever the caller wants back with the outcome."""

    function: str
    arguments: tuple[Any, ...] = ()
    tag: Any = None


@dataclass(frozen=True)
class Outcome:
    """What became of a task: its result, or a reason in words."""

    task: Task
    result: Any = None
    reason: str | None = None

    @property
    def ok(self) -> bool:
        return self.reason is None


def default_jobs() -> int:
    """Number of workers when nobody says: every core this process may use, as long as memory lasts."""
    affinity = getattr(os, "sched_getaffinity", None)
    n_cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    try:
        memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return n_cores
    return max(1, min(n_cores, memory_bytes // 2 // WORKER_BYTES))


class Pool:
    """A handful of child processes that run named functions.

    Parameters
    ----------
    n_jobs : int
        Number of processes.
    timeout_s : float or None
        A task that takes longer is killed with its process; ``None`` waits for ever.
    setup : Task or None
        Run once in every process before its first task (to load a model, say); its result is dropped.
    n_threads : int
        Numeric threads of each process.

    Examples
    --------
    >>> with Pool(1) as pool:
    ...     [outcome.result for outcome in pool.run([Task("math:sqrt", (9.0,))])]
    [3.0]
    """

    def __init__(
        self, n_jobs: int, *, timeout_s: float | None = None, setup: Task | None = None, n_threads: int = 1
    ) -> None:
        self.n_jobs = max(1, n_jobs)
        self.timeout_s = timeout_s
        self.setup = setup
        self.n_threads = n_threads
        self._idle: list[_Worker] = []
        self._busy: dict[_Worker, Task] = {}
        self._selector = selectors.DefaultSelector()

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def run(
        self, tasks: Iterable[Task | None], on_message: Callable[[Task, Any], Any] | None = None
    ) -> Iterator[Outcome]:
        """Run `tasks` and yield an `Outcome` for each, in order of completion.

        `tasks` is drawn lazily, one at a time as processes become free, so it may be a generator, even one that
        looks at earlier outcomes: it yields None when it has nothing before the next outcome. `on_message` answers
        what a generator task yields.
        """
        source = iter(tasks)
        exhausted = False
        while True:
            while not exhausted and len(self._busy) < self.n_jobs:
                task = next(source, None)
                if task is None:
                    exhausted = True
                else:
                    self._start(task)
            if not self._busy:
                return
            for outcome in self._wait(on_message):
                exhausted = False  # a generator of tasks may have more once it has seen this outcome
                yield outcome

    def close(self) -> None:
        """End every process, at once."""
        for worker in [*self._idle, *self._busy]:
            worker.kill()
        self._idle.clear()
        self._busy.clear()
        self._selector.close()

    def _start(self, task: Task) -> None:
        worker = self._idle.pop() if self._idle else _Worker(self.setup, self.n_threads)
        self._busy[worker] = task
        self._selector.register(worker.output, selectors.EVENT_READ, worker)
        worker.assign(task, self.timeout_s)

    def _wait(self, on_message: Callable[[Task, Any], Any] | None) -> list[Outcome]:
        """Outcomes that have come in since; perhaps none."""
        outcomes = []
        for key, _ in self._selector.select(timeout=POLL_S):
            worker = key.data
            for kind, payload in worker.receive():
                if kind == "message":
                    worker.send(on_message(self._busy[worker], payload) if on_message else None)
                elif kind == "result":
                    outcomes.append(Outcome(self._release(worker, keep=True), result=payload))
                elif kind == "error":
                    outcomes.append(Outcome(self._release(worker, keep=True), reason=payload))
                else:
                    outcomes.append(Outcome(self._release(worker, keep=False), reason=payload))
        now_s = time.monotonic()
        for worker in [worker for worker in self._busy if worker.deadline_s < now_s]:
            reason = f"gave no answer within {self.timeout_s:.0f} s, so its process was stopped"
            outcomes.append(Outcome(self._release(worker, keep=False), reason=reason))
        return outcomes

    def _release(self, worker: _Worker, *, keep: bool) -> Task:
        task = self._busy.pop(worker)
        self._selector.unregister(worker.output)
        if keep:
            self._idle.append(worker)
        else:
            worker.kill()
        return task


class _Worker:
    """One child process, seen from the parent."""

    def __init__(self, setup: Task | None, n_threads: int) -> None:
        environment = os.environ | dict.fromkeys(THREAD_VARIABLES, str(n_threads))
        environment["PYTHONPATH"] = os.pathsep.join(entry for entry in sys.path if entry)
        command = [sys.executable, "-m", "volna.pool"]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, bufsize=0
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.input, self.output = self.process.stdin, self.process.stdout
        self.deadline_s = float("inf")
        self._received = bytearray()
        self._setup = setup

    def assign(self, task: Task, timeout_s: float | None) -> None:
        self.deadline_s = float("inf") if timeout_s is None else time.monotonic() + timeout_s
        self.send((self._setup, task.function, task.arguments))
        self._setup = None

    def send(self, content: Any) -> None:
        with contextlib.suppress(OSError):  # the process has died: its closed output says so, with the reason
            _write_frame(self.input, content)

    def receive(self) -> list[tuple[str, Any]]:
        """Whole frames that have arrived; ``("died", reason)`` when the process has ended."""
        chunk = os.read(self.output.fileno(), 1 << 20)
        if not chunk:
            return [("died", _reason_of_death(self.process.wait()))]
        self._received += chunk
        frames = []
        while len(self._received) >= LENGTH_BYTES:
            end = LENGTH_BYTES + int.from_bytes(self._received[:LENGTH_BYTES], "little")
            if len(self._received) < end:
                break
            frames.append(pickle.loads(self._received[LENGTH_BYTES:end]))
            del self._received[:end]
        return frames

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self.input.close()
        self.output.close()


def _reason_of_death(return_code: int) -> str:
    if return_code >= 0:
        return f"its process ended without an answer (exit code {return_code})"
    name = signal.Signals(-return_code).name
    hint = ", perhaps for want of memory" if name == "SIGKILL" else ""
    return f"the decoder crashed on it ({name}{hint})"


def _write_frame(stream: BinaryIO | Any, content: Any) -> None:
    body = pickle.dumps(content, protocol=pickle.HIGHEST_PROTOCOL)
    frame = memoryview(len(body).to_bytes(LENGTH_BYTES, "little") + body)
    while frame:  # an unbuffered pipe may take less than it is given
        frame = frame[stream.write(frame) :]


def _read_frame(stream: BinaryIO) -> Any:
    header = stream.read(LENGTH_BYTES)
    if len(header) < LENGTH_BYTES:
        raise EOFError
    return pickle.loads(stream.read(int.from_bytes(header, "little")))


def _call(function: str, arguments: tuple[Any, ...], talk: Callable[[Any], Any]) -> Any:
    """Run a named function; if it is a generator, pass on what it yields and send it the answers."""
    module, name = function.split(":")
    value = getattr(importlib.import_module(module), name)(*arguments)
    if not isgenerator(value):
        return value
    try:
        message = next(value)
        while True:
            message = value.send(talk(message))
    except StopIteration as stop:
        return stop.value


def _serve(source: BinaryIO, sink: BinaryIO) -> None:
    """The life of a child: a task in, its messages and result out, until the parent closes the pipe."""

    def talk(message: Any) -> Any:
        _write_frame(sink, ("message", message))
        return _read_frame(source)

    def attempt(function: str, arguments: tuple[Any, ...]) -> tuple[str, Any]:
        try:
            return "result", _call(function, arguments, talk)
        except VolnaError as error:
            return "error", str(error)
        except (EOFError, BrokenPipeError):
            raise
        except Exception as error:
            traceback.print_exc()  # a bug: standard error keeps the traceback, the run goes on
            return "error", f"{type(error).__name__}: {error}"

    set_up: tuple[str, Any] = ("result", None)
    while True:
        setup, function, arguments = _read_frame(source)
        if setup is not None:
            set_up = attempt(setup.function, setup.arguments)
        # Without its setup a child can do nothing: every task gets the reason.
        _write_frame(sink, set_up if set_up[0] == "error" else attempt(function, arguments))


def _end_with_parent() -> None:
    """End this process soon after its parent, even in the middle of a task."""
    parent = os.getppid()
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(1)


def _main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    source = os.fdopen(os.dup(0), "rb")
    sink = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # a stray print in a library must not break the frames
    try:
        _serve(source, sink)
    except (EOFError, BrokenPipeError):
        os._exit(0)  # the parent is gone; nothing is left to clean


if __name__ == "__main__":
    # This file runs as __main__, but frames hold volna.pool.Task: import that name once, not twice.
    from volna.pool import _main as main

    main()
