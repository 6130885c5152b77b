"""The same job for many files: results in order, every failure with its reason, nothing dropped."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from conftest import SAMPLE_RATE, sound

from volna.audio import encode
from volna.errors import AudioError, InputError
from volna.workflows.each_file import each_file, files_under


def length_of(path: str, factor: int = 1) -> int:
    """The job of these tests: runs in child processes, so it is found by the name of this module."""
    if "crash" in path:
        os._exit(9)
    if "refused" in path:
        raise AudioError(f"{path}: expected better")
    return factor * os.path.getsize(path)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]))
    place = tmp_path / "sounds"
    (place / "deeper").mkdir(parents=True)
    for name in ("b.wav", "deeper/a.wav", "crash.wav", "refused.wav"):
        encode(place / name, sound(1, 0.2), SAMPLE_RATE)
    (place / "cover.jpg").write_bytes(b"\xff\xd8\xff\xe0" + b"0" * 100)
    return place


def test_one_bad_file_costs_one_file(folder: Path) -> None:
    seen: list[tuple[str, int, int | None]] = []
    results, failures = each_file(
        [folder],
        "test_workflows_each_file:length_of",
        (2,),
        stage="Measuring",
        jobs=2,
        progress=lambda stage, done, total, note: seen.append((stage, done, total)),
    )
    size = os.path.getsize(folder / "b.wav")
    assert {os.path.relpath(path, folder): n for path, n in results.items()} == {
        "b.wav": 2 * size,
        "deeper/a.wav": 2 * size,
    }
    reasons = {Path(failure.path).name: failure.reason for failure in failures}
    assert reasons["refused.wav"] == "expected better"
    assert reasons["crash.wav"]
    assert set(reasons) == {"refused.wav", "crash.wav"}
    assert seen[-1] == ("Measuring", 4, 4)


def test_results_come_in_the_order_of_the_walk(folder: Path) -> None:
    files, _ = files_under([folder])
    results, failures = each_file([folder], "test_workflows_each_file:length_of", stage="Measuring", jobs=2)
    failed = {failure.path for failure in failures}
    assert list(results) == [file for file in files if file not in failed]


def test_what_was_named_and_is_none_is_said(folder: Path) -> None:
    (folder / "text.txt").write_text("words")
    files, failures = files_under([folder / "b.wav", folder / "missing.wav", folder / "text.txt"])
    assert [Path(file).name for file in files] == ["b.wav"]
    assert {Path(failure.path).name: failure.reason for failure in failures} == {
        "missing.wav": "no such file or folder",
        "text.txt": "does not look like audio",
    }


def test_no_file_starts_no_process(tmp_path: Path) -> None:
    assert each_file([tmp_path], "no_such_module:job", stage="Nothing") == ({}, [])


def test_a_path_instead_of_a_list() -> None:
    for wrong in ("music", [], Path("music")):
        with pytest.raises(InputError, match="list of at least one path"):
            files_under(wrong)  # type: ignore[arg-type]
