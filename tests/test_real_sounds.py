"""The main job on real sounds: music, recordings kept twice, and files that are odd or damaged on purpose.

Needs the folder of sounds beside the checkout and is skipped where that is absent.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import volna
from volna.library.store import Catalogue
from volna.tasks.similarity import fold_copies
from volna.workflows.common import open_current_index
from volna.workflows.results import IndexSummary

N_GENRES, N_CLIPS = 4, 3
PROGRAMMERS_WORDS = re.compile(
    r"Traceback|\w+(Error|Exception)\b|\b0x[0-9a-f]+|<\w+|\berrno\b|\bNone\b|\bnan\b|object at|\\n"
)


def index(paths: list[Path], library: Path) -> IndexSummary:
    summary = volna.index(paths, library=library, jobs=2, train_time_s=0)
    parts = summary.analysed + summary.unchanged + summary.moved + summary.failed + summary.excluded
    assert summary.found == parts == summary.analysed + summary.moved + len(summary.failures)
    return summary


def folder_of(real_sounds: Path, name: str) -> Path:
    folder = real_sounds / name
    if not folder.is_dir():
        pytest.skip(f"needs the real sounds of {name}")
    return folder


# Music


@pytest.fixture(scope="module")
def music(real_sounds, tmp_path_factory):
    """A dozen clips of four genres in a library, and one clip that is not in it."""
    genres = sorted(path for path in folder_of(real_sounds, "music/genres").iterdir() if path.is_dir())[:N_GENRES]
    clips = [clip for genre in genres for clip in sorted(genre.glob("*.mp3"))[: N_CLIPS + 1]]
    outside = clips.pop()
    library = tmp_path_factory.mktemp("music") / "library.db"
    kept = [clip for clip in clips if clip.name != sorted(clip.parent.glob("*.mp3"))[N_CLIPS].name]
    summary = index(kept, library)
    assert (summary.analysed, summary.failed) == (len(kept), 0)
    return library, kept, outside


def test_a_second_run_does_nothing(music):
    library, clips, _ = music
    again = volna.index(clips, library=library, jobs=2)
    assert (again.analysed, again.unchanged) == (0, len(clips))
    assert again.seconds < 5


def test_every_clip_has_neighbours_and_a_reason(music):
    library, clips, outside = music
    for clip in [*clips, outside]:
        found = volna.similar(clip, library=library, n=5).results
        assert len(found) == 5
        assert str(clip) not in {match.path for match in found}
        assert all(np.isfinite(match.similarity) and match.why for match in found)


def test_the_playlist_leads_to_the_files(music, tmp_path):
    library, clips, outside = music
    for number, seed in enumerate((clips[0], outside)):
        made = volna.wave([seed], library=library, n=8)
        assert len(made.results) == 8
        volna.save_playlist(made.results, tmp_path / f"{number}.m3u8")
        lines = (tmp_path / f"{number}.m3u8").read_text(encoding="utf-8").splitlines()
        places = [tmp_path / line for line in lines if not line.startswith("#")]
        assert [place.resolve() for place in places] == [Path(match.path).resolve() for match in made.results]
        assert all(re.match(r"#EXTINF:\d+,.", line) for line in lines[1::2])


# Recordings kept twice


@pytest.fixture(scope="module")
def pairs(real_sounds, tmp_path_factory):
    """Fourteen recordings at 22.05 kHz mono and at 44.1 kHz stereo: the library, and (low, high) of each."""
    folder = folder_of(real_sounds, "music/pairs")
    high = sorted(folder.glob("*.hq.ogg"))
    library = tmp_path_factory.mktemp("pairs") / "library.db"
    assert index([folder], library).failed == 0
    return library, [(path.with_name(path.name.replace(".hq.ogg", ".ogg")), path) for path in high]


def test_the_better_copy_of_a_recording_is_the_nearest_track(pairs):
    library, recordings = pairs
    missed = [low.name for low, high in recordings if _nearest(library, low).path != str(high)]
    assert missed == []


def test_most_better_copies_are_known_as_the_same_recording(pairs):
    library, recordings = pairs
    known = [low.name for low, _ in recordings if _nearest(library, low).why == "the same recording"]
    assert len(known) >= 0.7 * len(recordings), sorted({low.name for low, _ in recordings} - set(known))


def test_no_two_different_recordings_are_taken_for_one(pairs):
    library, recordings = pairs
    twins = {str(path): {str(other) for other in pair} for pair in recordings for path in pair}
    with Catalogue.open(library) as catalogue:
        tracks = catalogue.tracks()
        rows = open_current_index(catalogue).rows("descriptors", [track.id for track in tracks])
    first = fold_copies(rows, np.array([track.duration_s for track in tracks]), "descriptors")
    wrong = [
        (a.path, tracks[k].path) for a, k in zip(tracks, first, strict=True) if tracks[k].path not in twins[a.path]
    ]
    assert wrong == []


def _nearest(library: Path, path: Path):
    return volna.similar(path, library=library, n=1).results[0]


# Odd files


def test_every_odd_file_is_analysed_or_has_a_reason_a_person_understands(real_sounds, tmp_path, capfd):
    folder = folder_of(real_sounds, "odd_files")
    library = tmp_path / "library.db"
    summary = index([folder], library)
    out, err = capfd.readouterr()
    assert "Traceback" not in out + err
    n_files = sum(path.is_file() for path in folder.rglob("*"))
    assert summary.found + summary.other == n_files
    for failure in summary.failures:
        assert failure.reason.strip()
        assert not PROGRAMMERS_WORDS.search(failure.reason), failure
    with Catalogue.open(library) as catalogue:
        ids, vectors = catalogue.vectors(catalogue.descriptor_space)
        tracks = catalogue.tracks()
    assert len(ids) == len(tracks) == summary.analysed
    assert np.isfinite(vectors).all()
    assert summary.analysed >= 50  # the rest are silent, too short, or damaged
    again = volna.index([folder], library=library, jobs=2, train_time_s=0)
    assert (again.analysed, again.failed) == (0, summary.failed)
    for track in tracks[:: max(1, len(tracks) // 10)]:
        assert all(np.isfinite(match.similarity) for match in volna.similar(track.id, library=library).results)
