"""Tags: every container's spelling is understood, and no artist is invented."""

from __future__ import annotations

import pytest

from volna.library.genres import GENRES, genre_of
from volna.library.tags import Tags, clean, from_metadata, from_path


def tags(path: str = "/m/file.mp3", **metadata: str) -> Tags:
    return from_metadata(metadata, path)


@pytest.mark.parametrize(
    "metadata",
    [
        {"artist": "A", "album": "B", "title": "T", "date": "1999-05-01", "genre": "Rock", "track": "3/12"},
        {"ARTIST": "A", "ALBUM": "B", "TITLE": "T", "YEAR": "1999", "GENRE": "Rock", "TRACKNUMBER": "03"},
        {"album_artist": "A", "album": "B", "title": "T", "tyer": "1999", "genre": "(17)", "track": "3"},
        {"tpe1": "A", "talb": "B", "tit2": "T", "tdrc": "1999", "tcon": "17", "trck": "3/4"},
        {"©art": "A", "©alb": "B", "©nam": "T", "©day": "1999-01-01T08:00:00Z", "©gen": "Rock", "trkn": "3/0"},
        {
            "wm/albumartist": "A",
            "wm/albumtitle": "B",
            "title": "T",
            "wm/year": "1999",
            "wm/genre": "Rock",
            "wm/tracknumber": "3",
        },
        {"iart": "A", "iprd": "B", "inam": "T", "icrd": "1999", "ignr": "Rock", "iprt": "3"},
    ],
)
def test_every_container_says_the_same(metadata):
    assert from_metadata(metadata, "/x/y.mp3") == Tags("A", "B", "T", 1999, "Rock", 3)


def test_the_artist_comes_before_the_album_artist():
    assert tags(artist="A", album_artist="Various Artists").artist == "A"
    assert tags(artist=" \0", album_artist="B").artist == "B"


@pytest.mark.parametrize(
    "name", ["Unknown Artist", "<unknown>", "[Unknown]", "various artists", "VA", "", " ", "-", "\0", "?", "N/A"]
)
def test_nobody_is_no_artist(name):
    assert tags(artist=name).artist is None
    assert tags(album_artist=name).artist is None


def test_blanks_and_control_characters_go():
    assert tags(title="  A\tsong\r\n with \x07 gaps\0 ").title == "A song with gaps"
    assert tags(artist="One\0Two\0One\0").artist == "One; Two"
    assert clean("\ufeffx\u200b") == "x"


@pytest.mark.parametrize(
    ("broken", "mended"),
    [
        ("BjÃ¶rk", "Björk"),
        ("Êèíî", "Кино"),
        ("Ãðóïïà êðîâè (live)", "Группа крови (live)"),
        ("Motörhead", "Motörhead"),
        ("Sigur Rós", "Sigur Rós"),
        ("Émilie", "Émilie"),
        ("Кино", "Кино"),
        ("été à Noël", "été à Noël"),
    ],
)
def test_broken_encodings_are_mended(broken, mended):
    assert tags(artist=broken).artist == mended


@pytest.mark.parametrize(
    ("text", "year"),
    [
        *(("1999", 1999), ("1999-01", 1999), ("20031224", 2003), ("24.12.2003", 2003), ("c. 1850", 1850)),
        *(("0000", None), ("99", None), ("2200", None), ("x", None)),
    ],
)
def test_years(text, year):
    assert tags(date=text).year == year
    assert tags(date=text, originaldate="1988").year == (year or 1988)


@pytest.mark.parametrize(
    ("text", "number"),
    [("3", 3), ("03/12", 3), (" 7 of 9", 7), ("0", None), ("A3", None), ("1999", None), ("", None)],
)
def test_track_numbers(text, number):
    assert tags(track=text).track_number == number


@pytest.mark.parametrize(
    ("text", "genre"),
    [
        *(("Rock", "Rock"), ("(17)", "Rock"), ("17", "Rock"), ("(17)Rock", "Rock"), ("(4)Eurodisco", "Eurodisco")),
        *(("(51)(39)", "Techno-Industrial; Noise"), ("(RX)", "Remix"), ("Rock; Rock;Pop", "Rock; Pop")),
        *(("255", None), ("(255)", None), ("unknown", None), ("", None), ("(Live) Jazz", "(Live) Jazz"), ("²", "²")),
    ],
)
def test_genres(text, genre):
    assert genre_of(text) == genre
    assert tags(genre=text).genre == genre


def test_the_numbers_of_id3():
    assert (len(GENRES), GENRES[0], GENRES[79], GENRES[80], GENRES[147]) == (
        148,
        "Blues",
        "Hard Rock",
        "Folk",
        "Synthpop",
    )


@pytest.mark.parametrize(
    ("name", "artist", "title", "number"),
    [
        ("Nina Simone - Sinnerman", "Nina Simone", "Sinnerman", None),
        ("03. Nina Simone - Sinnerman", "Nina Simone", "Sinnerman", 3),
        ("03 - Nina Simone - Sinnerman", "Nina Simone", "Sinnerman", 3),
        ("Nina Simone - 03 - Sinnerman", "Nina Simone", "Sinnerman", 3),
        ("Nina Simone – Sinnerman", "Nina Simone", "Sinnerman", None),
        ("Nina_Simone_-_Sinnerman", "Nina Simone", "Sinnerman", None),
        ("03 - Sinnerman", None, "Sinnerman", 3),
        ("03. Sinnerman", None, "Sinnerman", 3),
        ("3) Sinnerman", None, "Sinnerman", 3),
        ("03_Sinnerman", None, "Sinnerman", 3),
        ("03 Sinnerman", None, "Sinnerman", 3),
        ("1-03 Sinnerman", None, "Sinnerman", 3),
        ("Sinnerman", None, "Sinnerman", None),
        ("50 Cent - In Da Club", "50 Cent", "In Da Club", None),
        ("M83 - Intro", "M83", "Intro", None),
        ("99 Luftballons", None, "99 Luftballons", None),
        ("7 rings", None, "7 rings", None),
        ("1979", None, "1979", None),
        ("1.5 Degrees", None, "1.5 Degrees", None),
        ("9 - 5", None, "9 - 5", None),
        ("Hello - Live", None, "Hello - Live", None),
        ("Hello - Live at the Opera", None, "Hello - Live at the Opera", None),
        ("Hello - 2011 Remaster", None, "Hello - 2011 Remaster", None),
        ("Hello - Part 2", None, "Hello - Part 2", None),
        ("Jay-Z", None, "Jay-Z", None),
        ("Unknown Artist - Sinnerman", None, "Sinnerman", None),
    ],
)
def test_file_names(name, artist, title, number):
    for path in (f"/home/me/Music/{name}.mp3", f"relative/{name}.flac", f"/{name}"):
        assert from_path(path) == Tags(artist=artist, title=title, track_number=number)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("Nina Simone - Pastel Blues/10 - Sinnerman.mp3", ("Nina Simone", "Pastel Blues", None)),
        ("Nina Simone - Pastel Blues (1965)/10 - Sinnerman.mp3", ("Nina Simone", "Pastel Blues", 1965)),
        ("Nina Simone/1965 - Pastel Blues/10 - Sinnerman.mp3", ("Nina Simone", "Pastel Blues", 1965)),
        ("Nina Simone/Pastel Blues [1965]/10 - Sinnerman.mp3", ("Nina Simone", "Pastel Blues", 1965)),
        ("Nina Simone/Pastel Blues/10 - Sinnerman.mp3", (None, None, None)),  # Rock/Favourites looks the same
        ("Rock/1965 - Best/10 - Sinnerman.mp3", (None, None, None)),
        ("Music/1965 - Best/10 - Sinnerman.mp3", (None, None, None)),
        ("Various Artists/1965 - Best/10 - Sinnerman.mp3", (None, None, None)),
        ("Nina Simone - Pastel Blues/Sinnerman.mp3", (None, None, None)),
    ],
)
def test_folders_are_trusted_only_when_their_form_says_so(path, expected):
    found = from_path(f"/data/{path}")
    assert (found.artist, found.album, found.year) == expected
    assert found.title == "Sinnerman"


def test_the_name_fills_what_the_tags_leave_open():
    assert from_path("/m/A - B - 03 - T.mp3") == Tags("A", "B", "T", None, None, 3)
    assert from_metadata({}, "/m/03. A - T.mp3") == Tags("A", None, "T", None, None, 3)
    assert from_metadata({"artist": "A"}, "/m/a - T.mp3").title == "T"
    assert from_metadata({"artist": "B"}, "/m/03 - A - T.mp3") == Tags("B", None, "A - T", None, None, 3)
    assert from_metadata({"artist": "B"}, "/m/A - Best/03 - T.mp3") == Tags("B", None, "T", None, None, 3)
    assert from_metadata({"title": "t"}, "/m/A - T.mp3") == Tags("A", None, "t")
    assert from_metadata({"title": "Other"}, "/m/A - T.mp3") == Tags(None, None, "Other")
    assert from_metadata({"artist": "A"}, "/m/A - Best (1999)/03 - T.mp3") == Tags("A", "Best", "T", 1999, None, 3)


@pytest.mark.parametrize(
    "name", ["\udcff\udcfe.mp3", "a\nb.mp3", ".mp3", " .mp3", "-.mp3", "A - .mp3", " - .mp3", "", "🎵.flac", "_" * 300]
)
def test_there_is_always_a_title(name):
    found = from_path(f"/m/{name}")
    assert found.title
    assert found.title.isprintable()
    found.title.encode()
    assert found.artist is None


def test_metadata_of_the_wrong_kind_is_left_out():
    assert from_metadata({"artist": None, "date": 1999}, "/m/T.mp3") == Tags(title="T")  # type: ignore[dict-item]
