"""The rules of the house, held by reading the sources: imports go down, starts are light, what is public is named."""

from __future__ import annotations

import ast
import importlib
import os
import pkgutil
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

import click
import pytest

import volna
from volna import workflows
from volna.cli import commands
from volna.cli.groups import VerbGroup

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "volna"
FILES = sorted(PACKAGE.rglob("*.py"))

# Rows of the house from the bottom up: a module imports only from rows below its own, and from its own room.
ROWS = (
    {"errors"},
    {"audio", "metrics", "vectors", "pool"},
    {"features", "synthesis"},
    {"models"},
    {"embedding"},
    {"training", "tasks", "library", "plots"},
    {"workflows"},
    {"cli", "transformer"},
    {"__main__"},
)
TORCH_ROOMS = {"models", "embedding", "training"}
TORCH_AT_TOP = {"models", "training"}
MAX_LINES = 400


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def row_of(room: str) -> int:
    rows = [number for number, rooms in enumerate(ROWS) if room in rooms]
    assert rows, f"the room {room!r} has no row in tests/test_guards.py"
    return rows[0]


def imports_of(path: Path, *, top_level_only: bool = False) -> Iterator[str]:
    """Full names of what a file imports, ``volna.x.y`` for relative ones; TYPE_CHECKING blocks left out."""
    package = ["volna", *path.relative_to(PACKAGE).parts[:-1]]
    waiting: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            waiting.extend(node.orelse)
            continue
        if top_level_only and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{module}.{alias.name}" for alias in node.names)
        waiting.extend(ast.iter_child_nodes(node))


def violations(path: Path) -> list[str]:
    room = room_of(path)
    if room == "__init__":
        return []
    rooms = {name.split(".")[1] for name in imports_of(path) if name.startswith("volna.")}
    others = {other for other in rooms if other != room and not other.startswith("__")}
    return [f"{room} imports {other}" for other in sorted(others) if row_of(other) >= row_of(room)]


# Imports


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_down(path: Path) -> None:
    assert violations(path) == []


def test_the_import_rule_is_able_to_fail(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys.modules[__name__], "PACKAGE", tmp_path)
    path = tmp_path / "audio" / "wrong.py"
    path.parent.mkdir()
    path.write_text(
        "from typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    import volna.cli\n"
        "from . import decode\nfrom ..metrics import x\nfrom volna import errors\n"
        "def f():\n    import volna.models.layers\n    import torch.nn\n"
    )
    assert violations(path) == ["audio imports metrics", "audio imports models"]
    assert any(name.startswith("torch") for name in imports_of(path))
    assert not any(name.startswith("torch") for name in imports_of(path, top_level_only=True))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_torch_stays_in_its_rooms(path: Path) -> None:
    def imports_torch(*, top_level_only: bool) -> bool:
        return any(name.split(".")[0] == "torch" for name in imports_of(path, top_level_only=top_level_only))

    assert not imports_torch(top_level_only=False) or room_of(path) in TORCH_ROOMS
    assert not imports_torch(top_level_only=True) or room_of(path) in TORCH_AT_TOP


HEAVY = ("torch", "scipy", "sklearn", "matplotlib", "librosa", "av")


@pytest.mark.parametrize(
    ("code", "absent"),
    [
        ("import volna", (*HEAVY, "numpy")),
        ("import volna.cli", (*HEAVY, "numpy")),
        ("from volna.cli import main; main(['--help'])", (*HEAVY, "numpy")),
        ("from volna.cli import main; main(['similar', '--help'])", (*HEAVY, "numpy")),
        ("from volna.workflows import similar, wave, journey", (*HEAVY, "soxr")),
        ("from volna.workflows import status, failures, forget", (*HEAVY, "soxr")),
        ("import volna.library.store, volna.vectors, volna.metrics, volna.tasks.similarity", HEAVY),
    ],
)
def test_starts_are_light(code: str, absent: tuple[str, ...]) -> None:
    report = f"import sys; print(*(name for name in {absent!r} if name in sys.modules), file=sys.stderr)"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{report}"], capture_output=True, text=True, env=environment, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.strip() == ""


# Modules


def module_names() -> list[str]:
    found = pkgutil.walk_packages([str(PACKAGE)], prefix="volna.")
    return ["volna", *(module.name for module in found if module.name != "volna.__main__")]


@pytest.mark.parametrize("name", module_names())
def test_every_module_names_what_is_public_and_says_what_it_is_for(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__doc__
    if len(ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8")).body) == 1:
        return  # a package that only says what its modules are for
    modules = {found.name for found in pkgutil.iter_modules(getattr(module, "__path__", []))}
    assert [public for public in module.__all__ if public not in modules and not hasattr(module, public)] == []
    assert len(set(module.__all__)) == len(module.__all__)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_modules_stay_readable(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) < MAX_LINES


# Commands


def commands_in(
    group: Iterable[click.Command], above: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command by its words; those of a group as well as the group itself, and what it does by default."""
    for command in group:
        words = (*above, str(command.name))
        yield words, command
        if isinstance(command, VerbGroup):
            yield words, command.commands[command.default]
        if isinstance(command, click.Group):
            default = getattr(command, "default", None)
            yield from commands_in((c for name, c in command.commands.items() if name != default), words)


EVERY_COMMAND = list(commands_in(commands.COMMANDS))


def examples_of(command: click.Command) -> list[list[str]]:
    lines = (line.strip() for line in (command.help or "").split("Example:")[-1].splitlines())
    return [shlex.split(line)[1:] for line in lines if line.startswith("volna ")]


@pytest.mark.parametrize(("words", "command"), EVERY_COMMAND, ids=[" ".join(words) for words, _ in EVERY_COMMAND])
def test_every_command_has_help_with_an_example_that_parses(words: tuple[str, ...], command: click.Command) -> None:
    assert command.help
    assert "Example:" in command.help
    assert command.short_help
    assert all(option.help for option in command.params if isinstance(option, click.Option))
    examples = examples_of(command)
    assert examples
    for example in examples:
        assert tuple(example[: len(words)]) == words
        command.make_context(words[-1], example[len(words) :])


def test_every_workflow_has_its_command() -> None:
    named = {command.name for command in commands.COMMANDS}
    verbs = [words for words, command in EVERY_COMMAND if not isinstance(command, click.Group)]
    assert named >= {"index", "similar", "wave", "journey", "train", "evaluate", "status", "failures", "forget", "demo"}
    assert [words for words in verbs if not {"_".join(words), "_".join(reversed(words))} & set(workflows.__all__)] == []


# Papers


def paper(name: str) -> str:
    path = ROOT / name
    if not path.exists():
        pytest.skip(f"{name} is not written yet")
    return path.read_text(encoding="utf-8")


def test_the_readme_names_every_command() -> None:
    text = paper("README.md")
    named = [" ".join(["volna", *words]) for words, _ in EVERY_COMMAND]
    assert [name for name in named if name not in text] == []


def test_the_readme_names_only_commands_that_exist() -> None:
    blocks = re.findall(r"^```\w*\n(.*?)^```", paper("README.md"), flags=re.DOTALL | re.MULTILINE)
    lines = (line for block in blocks for line in block.splitlines())
    used = {match[1] for line in lines if (match := re.match(r"(?:\$ )?(?:\./)?volna(?:\.sh)? ([a-z]+)", line))}
    assert used <= {command.name for command in commands.COMMANDS}


def test_versions_agree() -> None:
    settings = tomllib.loads(paper("pyproject.toml"))
    assert settings["project"]["version"] == volna.__version__
    headings = re.findall(
        r"^## \[?([0-9][^\] ]*|Unreleased)", paper("CHANGELOG.md"), flags=re.MULTILINE | re.IGNORECASE
    )
    released = [heading for heading in headings if heading[0].isdigit()]
    assert released[:1] == [volna.__version__]


def project_files() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT, capture_output=True)
    if listed.returncode:
        pytest.skip("not a git checkout, so there is no list of the project's files")
    return [ROOT / os.fsdecode(name) for name in listed.stdout.split(b"\0") if name]


def test_no_file_names_the_machine_it_was_written_on() -> None:
    # Absolute paths of one machine: a home folder, a workplace, a folder of packages.
    private = re.compile(rb"(?<![\w.~/-])/(?:wor" + rb"k|op" + rb"t|roo" + rb"t)/[\w.]+")
    named = {}
    for path in project_files():
        if path.is_file() and (found := private.search(path.read_bytes())):
            named[str(path.relative_to(ROOT))] = found[0]
    assert named == {}


# Set-up


@pytest.mark.parametrize("name", ["volna.sh", "test.sh", "scripts/setup.sh", ".ci/run"])
def test_shell_scripts_parse(name: str) -> None:
    done = subprocess.run(["sh", "-n", str(ROOT / name)], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_ci_runs_the_test_command_and_nothing_else() -> None:
    lines = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line and not line.startswith("#")] == ['exec "$(dirname -- "$0")/../test.sh"']
    if (ROOT / "README.md").exists():
        assert "./test.sh" in paper("README.md")
        assert "./volna.sh demo" in paper("README.md")
