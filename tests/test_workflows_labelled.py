"""Labels and groups from folders and tables, and what is said when they make no sense."""

from __future__ import annotations

import numpy as np
import pytest

from volna.audio.encode import encode
from volna.errors import InputError
from volna.workflows.labelled import LabelledFiles, looks_like_one_source, read_labelled


@pytest.fixture
def folder(tmp_path):
    """Two labels, one of them with a folder deeper, and things that are no sounds."""
    sound = 0.1 * np.random.default_rng(0).standard_normal(800).astype(np.float32)
    for name in ("dog/a_1.wav", "dog/a_2.wav", "dog/day 2/b_1.wav", "cat/b_2.wav", "beside.wav"):
        path = tmp_path / "sounds" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        encode(path, sound, 8000)
    (tmp_path / "sounds" / "cat" / "notes.txt").write_text("no sound")
    return tmp_path / "sounds"


def test_a_folder_is_a_label_however_deep(folder) -> None:
    files = read_labelled(folder)
    assert files.classes == ("cat", "dog")
    assert sorted(zip([path.rsplit("/", 1)[1] for path in files.paths], files.labels, strict=True)) == [
        ("a_1.wav", "dog"),
        ("a_2.wav", "dog"),
        ("b_1.wav", "dog"),
        ("b_2.wav", "cat"),
    ]
    assert not files.grouped
    assert len(set(files.groups)) == 4  # every file is one of its own


def test_what_lies_beside_the_labels_is_listed(folder) -> None:
    (failure,) = read_labelled(folder).failures
    assert failure.path.endswith("beside.wav")
    assert "beside the folders of the labels" in failure.reason


def test_folders_without_a_sound_are_empty_labels(folder) -> None:
    (folder / "eel").mkdir()
    (folder / ".hidden").mkdir()
    assert read_labelled(folder).empty == ("eel",)


def test_an_expression_names_the_groups(folder) -> None:
    files = read_labelled(folder, group_from=r"([ab])_\d")
    assert files.grouped
    assert sorted(files.groups) == ["a", "a", "b", "b"]
    whole = read_labelled(folder, group_from=r"day \d")
    assert sorted(whole.groups)[0] == "day 2"
    assert sum(group.startswith("file ") for group in whole.groups) == 3  # no match: a group of its own


def test_labels_may_stand_in_the_names(folder) -> None:
    files = read_labelled(folder, label_from=r"([ab])_\d")
    assert sorted(files.labels) == ["a", "a", "b", "b"]
    (failure,) = files.failures
    assert failure.path.endswith("beside.wav")
    assert "--label-from" in failure.reason
    assert files.empty == ()
    for expression, message in (("(", "--label-from: '\\(' is no"), ("zebra", "--label-from: 'zebra' matches none")):
        with pytest.raises(InputError, match=message):
            read_labelled(folder, label_from=expression)


def test_a_table_has_its_labels_in_a_column(tmp_path) -> None:
    (tmp_path / "t.csv").write_text("path,label\na.wav,yes\n")
    with pytest.raises(InputError, match="--label-column"):
        read_labelled(tmp_path / "t.csv", label_from="a")


@pytest.mark.parametrize(("expression", "message"), [("(", "no regular expression"), ("zebra", "matches none")])
def test_expressions_that_do_not_work_are_refused(folder, expression: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_labelled(folder, group_from=expression)


def test_a_table_gives_labels_and_groups(tmp_path) -> None:
    table = tmp_path / "labels.csv"
    table.write_text("path,label,speaker\nx/1.wav,yes,ada\nx/2.wav,no,\n,no,ada\nx/3.wav,,ada\n", encoding="utf-8-sig")
    files = read_labelled(table)
    assert files.paths == (str(tmp_path / "x/1.wav"), str(tmp_path / "x/2.wav"))  # rows without a label say nothing
    assert files.labels == ("yes", "no")
    assert files.groups[0] == "ada"
    assert files.groups[1].startswith("file ")
    assert read_labelled(table, label_column="speaker", group_column="label").labels == ("ada",) * 2


def test_an_expression_goes_before_the_column(tmp_path) -> None:
    table = tmp_path / "labels.csv"
    table.write_text("path,label,group\na1.wav,x,g\nb1.wav,x,g\n")
    assert read_labelled(table).groups == ("g", "g")
    assert read_labelled(table, group_from=r"^[ab]").groups == ("a", "b")


@pytest.mark.parametrize(
    ("content", "message"),
    [("file,label\na,b\n", "path missing"), ("path,kind\na,b\n", "label missing"), ("", "got nothing"),
     ("path,label\n", "found none")],
)  # fmt: skip
def test_tables_that_say_nothing_are_refused(tmp_path, content: str, message: str) -> None:
    table = tmp_path / "labels.csv"
    table.write_text(content)
    with pytest.raises(InputError, match=message):
        read_labelled(table)


def test_nothing_there_and_nothing_in_it_are_refused(tmp_path) -> None:
    with pytest.raises(InputError, match="there is no such thing"):
        read_labelled(tmp_path / "gone")
    with pytest.raises(InputError, match="found none"):
        read_labelled(tmp_path)


def test_some_files_can_be_left_out(folder) -> None:
    files = read_labelled(folder)
    kept = files.only(files.paths[2:0:-1])
    assert kept.paths == files.paths[2:0:-1]
    assert kept.labels == files.labels[2:0:-1]
    assert kept.failures == files.failures


def named(**stems: list[str]) -> LabelledFiles:
    rows = [(f"/s/{label}/{stem}.wav", label) for label, names in stems.items() for stem in names]
    return LabelledFiles(
        tuple(path for path, _ in rows), tuple(label for _, label in rows), tuple(path for path, _ in rows), False
    )


def test_names_that_begin_alike_are_noticed() -> None:
    takes = named(yes=["ada_1", "ada_2", "bob_1", "bob_2"], no=["ada_1", "ada_2", "bob_1", "bob_2"])
    assert looks_like_one_source(takes) in {"ada", "bob"}
    assert looks_like_one_source(named(yes=["1", "2", "3"], no=["4", "5", "6"])) is None
    assert looks_like_one_source(named(dog=["dog 1", "dog 2"], cat=["cat 1", "cat 2"])) is None  # the label itself
    assert looks_like_one_source(named(a=["rain", "wind", "sea"], b=["saw", "drill", "fan"])) is None
