"""Crash, hang and error each cost one task; messages go both ways; nothing is left running."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from volna.errors import AudioError
from volna.pool import Outcome, Pool, Task, default_jobs

HERE = "test_pool"


def double(value):
    return 2 * value


def refuse(path):
    raise AudioError(f"{path}: expected sound, got none")


def stumble():
    raise KeyError("odd")


def crash():
    os.kill(os.getpid(), signal.SIGSEGV)


def leave():
    os._exit(7)


def hang():
    time.sleep(60)


def converse(name):
    first = yield ("question", name)
    second = yield ("question", first)
    return (first, second)


def surroundings():
    return os.environ["OMP_NUM_THREADS"], os.nice(0)


def chatter():
    print("this must not reach the frames")
    return "quiet"


STATE = {}


def remember(value):
    STATE["value"] = value


def recall():
    return STATE["value"], os.getpid()


def large(n_bytes):
    return bytes(n_bytes)


def run_one(name, *arguments, **options) -> Outcome:
    on_message = options.pop("on_message", None)
    with Pool(1, **options) as pool:
        (outcome,) = pool.run([Task(f"{HERE}:{name}", arguments)], on_message)
    return outcome


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parent))


def test_every_task_gets_one_outcome_and_keeps_its_tag():
    tasks = [Task(f"{HERE}:double", (n,), tag=n) for n in range(20)]
    with Pool(2) as pool:
        outcomes = list(pool.run(tasks))
    assert sorted(o.task.tag for o in outcomes) == list(range(20))
    assert all(o.ok and o.result == 2 * o.task.tag for o in outcomes)


@pytest.mark.parametrize(
    ("name", "words"),
    [("stumble", "KeyError"), ("crash", "SIGSEGV"), ("leave", "exit code 7")],
)
def test_a_fault_costs_one_task_and_has_a_reason(name, words, capfd):
    with Pool(1) as pool:
        tasks = [Task(f"{HERE}:{name}"), Task(f"{HERE}:double", (4,))]
        first, second = pool.run(tasks)
    assert not first.ok
    assert words in first.reason
    assert second.result == 8


def test_a_volna_error_gives_its_own_sentence():
    assert run_one("refuse", "a.mp3").reason == "a.mp3: expected sound, got none"


def test_a_hang_is_stopped_and_the_next_task_runs():
    with Pool(1, timeout_s=1.5) as pool:
        first, second = pool.run([Task(f"{HERE}:hang"), Task(f"{HERE}:double", (1,))])
    assert "1.5" in first.reason or "2 s" in first.reason
    assert second.result == 2


def test_messages_are_answered():
    outcome = run_one("converse", "a", on_message=lambda task, message: message[1] + "!")
    assert outcome.result == ("a!", "a!!")


def test_children_have_one_thread_and_low_priority():
    threads, niceness = run_one("surroundings").result
    assert threads == "1"
    assert niceness >= 10
    assert run_one("surroundings", n_threads=3).result[0] == "3"


def test_prints_of_a_task_do_not_break_the_frames(capfd):
    assert run_one("chatter").result == "quiet"


def test_setup_runs_once_in_each_process():
    with Pool(2, setup=Task(f"{HERE}:remember", ("model",))) as pool:
        outcomes = list(pool.run(Task(f"{HERE}:recall") for _ in range(8)))
    assert {o.result[0] for o in outcomes} == {"model"}
    assert len({o.result[1] for o in outcomes}) <= 2


def test_a_setup_that_fails_fails_every_task_with_its_reason():
    setup = Task(f"{HERE}:refuse", ("model",))
    with Pool(1, setup=setup) as pool:
        outcomes = list(pool.run(Task(f"{HERE}:double", (n,)) for n in range(3)))
    assert [o.reason for o in outcomes] == ["model: expected sound, got none"] * 3


def test_large_results_and_arguments_pass():
    assert len(run_one("large", 5_000_000).result) == 5_000_000
    assert run_one("double", "x" * 3_000_000).result == "x" * 6_000_000


def test_tasks_are_drawn_lazily_and_may_depend_on_outcomes():
    pending = [Task(f"{HERE}:double", (1,))]

    def source():
        while True:
            yield pending.pop() if pending else None

    results = []
    with Pool(1) as pool:
        for outcome in pool.run(source()):
            results.append(outcome.result)
            if len(results) < 4:
                pending.append(Task(f"{HERE}:double", (outcome.result,)))
    assert results == [2, 4, 8, 16]


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks at /proc")
def test_a_killed_parent_leaves_no_children():
    script = (
        "from volna.pool import Pool, Task\n"
        "pool = Pool(1)\n"
        "for o in pool.run([Task('os:getpid'), Task('time:sleep', (600,))]):\n"
        "    print(o.result, flush=True)\n"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, env=environment)
    child = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 20
    while Path(f"/proc/{child}").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
        if "Z" in Path(f"/proc/{child}/stat").read_text().split(")")[1][:3]:
            break  # ended; nobody reaps it in a container without init
    else:
        assert not Path(f"/proc/{child}").exists()


def test_default_jobs_is_within_the_machine():
    assert 1 <= default_jobs() <= os.cpu_count()
