"""`check` as a function and as a command: files, folders, bad files, pictures, exit codes."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner
from diagnosis_sounds import RATE, music

from volna.audio.encode import encode
from volna.cli.check_commands import check as command
from volna.errors import AudioError, InputError
from volna.synthesis import faults
from volna.tasks.diagnosis import KINDS
from volna.workflows.each_file import files_under
from volna.workflows.listening.check import check, check_file
from volna.workflows.results import Failure


@pytest.fixture(autouse=True)
def verbs(monkeypatch):
    from volna import workflows

    monkeypatch.setitem(workflows._PLACES, "check", "listening.check")


@pytest.fixture
def in_process(monkeypatch):
    """No child processes: starting them costs more than the files."""

    def each(paths, task, arguments, *, stage, jobs, timeout_s, progress):
        files, failures = files_under(paths)
        results = {}
        for file in files:
            try:
                results[file] = check_file(file, *arguments)
            except AudioError as error:
                failures.append(Failure(file, str(error)))
        return results, failures

    monkeypatch.setattr("volna.workflows.listening.check.each_file", each)


@pytest.fixture
def sounds(tmp_path):
    """A folder with a clean, a clipped and an inverted file, and one that is no sound."""
    folder = tmp_path / "sounds"
    folder.mkdir()
    encode(folder / "a clean.wav", music(), RATE)
    encode(folder / "b clipped.flac", faults.clip(music()), RATE)
    encode(folder / "c inverted.wav", faults.inverted_channel(music()), RATE)
    (folder / "d broken.wav").write_bytes(b"RIFF\x10\x00\x00\x00WAVEfmt junk")
    return folder


def test_a_folder_is_checked_and_what_cannot_be_read_is_listed(sounds):
    said = []
    summary = check(sounds, jobs=1, progress=lambda *words: said.append(words))
    assert (summary.found, summary.clean, summary.flagged, summary.failed) == (4, 1, 2, 1)
    kinds = [[finding.kind for finding in result.findings] for result in summary.results]
    assert [sorted(set(found)) for found in kinds] == [[], ["clipping"], ["inverted_channel"]]
    assert summary.kinds == {"clipping": 1, "inverted_channel": 1}
    assert summary.failures[0].path.endswith("d broken.wav")
    assert ("Checking", 4) in {(stage, done) for stage, done, *_ in said}
    assert json.loads(json.dumps(summary.as_dict()))["results"][1]["findings"][0]["kind"] == "clipping"


def test_measures_are_there_for_clean_files_too(sounds):
    checked = check_file(str(sounds / "a clean.wav"))
    assert checked.findings == ()
    assert checked.measures["peak_db"] == pytest.approx(-6.02, abs=0.05)
    assert {"noise_floor_db", "snr_db", "cut_off_hz", "correlation", "offset", "rms_db"} <= set(checked.measures)


def test_a_lossy_file_is_not_blamed_for_its_codec(tmp_path):
    rng = np.random.default_rng(0)
    wide = (0.1 * rng.standard_normal((2, 4 * 44100))).astype(np.float32)
    encode(tmp_path / "a.mp3", wide, 44100, bit_rate=128_000)
    assert check_file(str(tmp_path / "a.mp3")).findings == ()


def test_pictures_of_flagged_files_go_into_a_folder(sounds, tmp_path, in_process):
    summary = check(sounds, plot=tmp_path / "pictures", jobs=1)
    drawn = sorted(path.name for path in (tmp_path / "pictures").iterdir())
    assert [name.split(".")[0] for name in drawn] == ["b clipped", "c inverted"]
    assert summary.results[0].plot is None
    assert (tmp_path / "pictures" / drawn[0]).read_bytes().startswith(b"\x89PNG")


def test_a_single_file_may_name_its_picture(sounds, tmp_path, in_process):
    check(sounds / "a clean.wav", plot=tmp_path / "a.png", jobs=1)
    assert (tmp_path / "a.png").stat().st_size > 10_000
    with pytest.raises(InputError, match="exists already"):
        check(sounds / "a clean.wav", plot=tmp_path / "a.png", jobs=1)
    with pytest.raises(InputError, match="expected a folder"):
        check(sounds, plot=tmp_path / "b.png", jobs=1)


def test_no_path_is_refused():
    with pytest.raises(InputError, match="at least one"):
        check()


@pytest.mark.parametrize(("names", "code"), [(["a clean.wav"], 0), (["b clipped.flac"], 3), (["d broken.wav"], 1)])
def test_exit_codes(sounds, names, code, in_process):
    result = CliRunner().invoke(
        command, [*(str(sounds / name) for name in names), "--jobs", "1"], standalone_mode=False
    )
    assert result.return_value == code, result.output


def test_the_report_names_place_and_sentence_and_a_bad_file_does_not_hide_the_rest(sounds, in_process):
    result = CliRunner().invoke(command, [str(sounds), "--jobs", "1"], standalone_mode=False)
    assert result.return_value == 3
    assert "peaks are cut off flat" in result.stdout
    assert "wrong polarity" in result.stdout
    assert "nothing found" in result.stdout
    assert "4 files in" in result.stdout
    assert "1 could not be read" in result.stdout
    assert "d broken.wav" in result.stderr


def test_many_files_become_a_table(sounds, in_process):
    for k in range(6):
        encode(sounds / f"x{k}.wav", faults.offset(music(k, 2.0), 0.1), RATE)
    result = CliRunner().invoke(command, [str(sounds), "--jobs", "1"], standalone_mode=False)
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["file", "found", "certainty"]
    assert sum("dc offset" in line for line in lines) == 6
    assert any(line.split() == ["dc_offset", "6"] for line in lines)


def test_json_is_one_object(sounds, in_process):
    result = CliRunner().invoke(command, [str(sounds), "--json", "--jobs", "1"], standalone_mode=False)
    told = json.loads(result.stdout)
    assert told["flagged"] == 2
    assert {finding["kind"] for checked in told["results"] for finding in checked["findings"]} <= set(KINDS)


def test_speech_and_music_of_people_are_read_without_complaint(real_sounds):
    files = sorted((real_sounds / "music" / "pairs").glob("*.hq.ogg"))
    if not files:
        pytest.skip("needs the pairs of recordings")
    checked = check_file(str(files[-1]))
    assert checked.duration_s > 1
