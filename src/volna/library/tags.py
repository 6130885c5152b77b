"""Tags: who plays what, from the container's metadata, falling back to the file name where that is safe.

A wrong artist is worse than an unknown one, since playlists space artists and the evaluation leaves out hits of the
same one. So None means unknown, "Unknown Artist" and its like become None, and a name is only taken from folders
whose form says that they are named by artist.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from volna.library.genres import GENRES, genre_of

__all__ = [
    "Tags",
    "clean",
    "from_metadata",
    "from_path",
    "is_nobody",
    "year_of",
]


@dataclass(frozen=True)
class Tags:
    """What a file says of its music; None is unknown."""

    artist: str | None = None
    album: str | None = None
    title: str | None = None
    year: int | None = None
    genre: str | None = None
    track_number: int | None = None


# Keys as libav gives them, then what containers call them where libav passes their own names through: ID3v2 frames,
# iTunes atoms, RIFF INFO chunks, ASF attributes, Vorbis and APE names in free spelling.
ARTIST = ("artist", "tpe1", "©art", "iart", "performer", "wm/author", "author")
ALBUM_ARTIST = ("album_artist", "albumartist", "album artist", "tpe2", "aart", "wm/albumartist")
ALBUM = ("album", "talb", "©alb", "iprd", "wm/albumtitle")
TITLE = ("title", "tit2", "©nam", "inam")
YEAR = (
    "date",
    "year",
    "tdrc",
    "tyer",
    "©day",
    "icrd",
    "wm/year",
    "originaldate",
    "original_date",
    "originalyear",
    "tdor",
)
GENRE = ("genre", "tcon", "©gen", "ignr", "wm/genre")
TRACK = ("track", "tracknumber", "track_number", "trck", "trkn", "itrk", "iprt", "wm/tracknumber")

NOBODY = frozenset(
    """unknown|unknown artist|unknown album|unknown title|untitled|various|various artists|va|v.a.|v/a|no artist|
no title|none|null|n/a|noname|no name|неизвестный исполнитель|неизвестен|неизвестный|неизвестный альбом|
разные исполнители|verschiedene interpreten|unbekannter künstler|artiste inconnu|artista desconocido|-|?|.""".replace(
        "\n", ""
    ).split("|")
)


def from_metadata(metadata: Mapping[str, str], path: str | os.PathLike[str]) -> Tags:
    """Tags of a file.

    Parameters
    ----------
    metadata : mapping of str to str
        Keys and values as libav gives them, container and stream together.
    path : path
        Path of the file; its name gives what the metadata lacks, at least a title.

    Returns
    -------
    Tags
        With a title always; year in 1800-2099, track number in 1-999.

    Examples
    --------
    >>> from_metadata({"artist": "Nina", "date": "1965-05-01", "genre": "(8)", "track": "3/12"}, "/m/03 - Sinner.flac")
    Tags(artist='Nina', album=None, title='Sinner', year=1965, genre='Jazz', track_number=3)
    """
    raw = {key.strip().lower(): value for key, value in metadata.items() if isinstance(value, str)}
    artist = _known(raw, ARTIST) or _known(raw, ALBUM_ARTIST)
    title = _known(raw, TITLE)
    named = from_path(path)
    if artist is None and (title is None or _same(title, named.title)):
        artist = named.artist
    return Tags(
        artist=artist,
        album=_known(raw, ALBUM) or (named.album if _same(artist, named.artist) else None),
        title=title or _title(path, artist),
        year=year_of(_values(raw, YEAR)) or (named.year if _same(artist, named.artist) else None),
        genre=genre_of(_text(raw, GENRE)),
        track_number=_number(_text(raw, TRACK)) or named.track_number,
    )


def _title(path: str | os.PathLike[str], artist: str | None) -> str | None:
    """The title in the file's name, with the name before it where that is not the artist's."""
    _, rest = _split_number(_stem(path))
    before, _ = _split_artist(rest)
    return rest if artist and before and not _same(artist, before) else from_path(path).title


# --- metadata


def _values(raw: Mapping[str, str], keys: Iterable[str]) -> list[str]:
    return [clean(raw[key]) for key in keys if raw.get(key, "").strip("\0 ")]


def _text(raw: Mapping[str, str], keys: Iterable[str]) -> str | None:
    return next((value for value in _values(raw, keys) if value), None)


def _known(raw: Mapping[str, str], keys: Iterable[str]) -> str | None:
    return next((value for value in _values(raw, keys) if value and not is_nobody(value)), None)


def is_nobody(name: str) -> bool:
    """Whether a name only says that there is none.

    Examples
    --------
    >>> is_nobody("<Unknown>"), is_nobody("Various Artists"), is_nobody("Nina")
    (True, True, False)
    """
    return name.casefold().strip(" <>[]()\"'") in NOBODY or not name.strip(" _-.?*")


def clean(text: str) -> str:
    """One line of plain text: several values joined, blanks and control characters gone, a broken encoding mended."""
    values = (" ".join(_printable(_mend(value)).split()) for value in text.split("\0"))
    return "; ".join(dict.fromkeys(value for value in values if value))


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in text)


def _mend(text: str) -> str:
    """Undo the two common accidents: UTF-8 or Windows-1251 bytes that were read as Latin-1.

    Examples
    --------
    >>> _mend("BjÃ¶rk"), _mend("Ïåñíÿ"), _mend("Motörhead")
    ('Björk', 'Песня', 'Motörhead')
    """
    if text.isascii():
        return text
    try:
        octets = text.encode("latin-1")
    except UnicodeEncodeError:
        return text  # it holds letters that Latin-1 has not, so it was not read as Latin-1
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        return _mend_cyrillic(text, octets)


def _mend_cyrillic(text: str, octets: bytes) -> str:
    """Words of accented letters only are no language in Latin letters; misread Russian consists of them."""
    words = [word for word in re.findall(r"[^\W\d_]+", text) if not word.isascii()]
    accented = [
        word for word in words if len(word) >= 3 and all("À" <= letter <= "ÿ" or letter in "¸¨" for letter in word)
    ]
    return octets.decode("cp1251", "replace") if accented and len(accented) * 2 > len(words) else text


def year_of(texts: Iterable[str]) -> int | None:
    """The year in the first text that holds one, 1800-2099: at its start, as a number of its own, or anywhere.

    Examples
    --------
    >>> year_of(["0000", "20031224"]), year_of(["3/12/1999"]), year_of(["unknown"])
    (2003, 1999, None)
    """
    year = r"(?:18|19|20)\d\d"
    for text in texts:
        found = re.match(rf"\s*({year})", text) or re.search(rf"(?<!\d)({year})(?!\d)", text)
        if found:
            return int(found[1])
    return None


def _number(text: str | None) -> int | None:
    """Track "3/12" is 3; vinyl's "A3" is unknown."""
    found = re.match(r"\s*(\d{1,3})(?!\d)", text or "")
    return (int(found[1]) or None) if found else None


def _same(one: str | None, other: str | None) -> bool:
    return one is not None and other is not None and one.casefold() == other.casefold()


# --- file names

# "03 - Title", "03. Title", "03_Title", "1-03 Title", "03 Title"; but "99 Luftballons" and "7 rings" are titles, so a
# number with nothing but a blank after it needs a zero or a disc before it. Four digits are a year or a title.
NUMBERED = re.compile(
    r"(?:\d-(?P<of_disc>\d\d)[ ._-]+"
    r"|(?P<plain>\d{1,3})(?:\s*[.)_](?!\d)\s*|\s*-\s+|\s+-\s*)"
    r"|(?P<padded>0\d{1,2})[ -]\s*)(?=\S)"
)
NUMBER_INSIDE = re.compile(r"(?:(?P<album>.+) - )?(?P<number>\d{1,3}) - (?P<title>.+)")  # what follows "Artist - "
# What follows a dash in "Song - Live": the dash then parts a title from its version, not an artist from a title.
NOT_A_TITLE = re.compile(
    r"live|live (?:at|in|from|on|version|session)\b.*|bonus(?: track)?|mono|stereo|karaoke"
    r"|(?:(?:radio|single|album|original|extended|acoustic|live|club|\d{4}) )?"
    r"(?:edit|mix|version|remaster(?:ed)?|remix|demo|instrumental|acoustic|take)(?: (?:version|mix|\d{1,4}))?"
    r"|(?:part|pt\.?|vol\.?|volume|cd|disc|no\.?) ?(?:\d+|[ivx]+|one|two|three)",
    re.IGNORECASE,
)
EXTENSION = re.compile(r"(?<=.)\.\w{1,6}$")  # ". Artist - Title" is none
ALBUM_WITH_YEAR = re.compile(
    r"\s*(?:[\[(]?((?:19|20)\d\d)[\])]?\s*[-–.]?\s+(.+)|(.+?)\s*[\[(]((?:19|20)\d\d)[\])])\s*$"
)
# Folders whose name is no artist's; genres are no artists either.
SHELVES = frozenset(
    """music|my music|audio|mp3|flac|ogg|songs|albums|singles|compilations|media|new|downloads|download|desktop|
documents|lossless|lossy|soundtracks|ost|collection|misc|various|itunes|itunes media|torrents|inbox|unsorted|
sorted|library|музыка|загрузки|musik|musique|música|musica|mnt|home|users|volumes|tmp|data|old|other|best""".replace(
        "\n", ""
    ).split("|")
) | {genre.casefold() for genre in GENRES}


def from_path(path: str | os.PathLike[str]) -> Tags:
    """What the name of a file, and of its folders where that is safe, says; always a title.

    ``Artist - Title`` and ``03. Artist - Title`` name an artist. A numbered file takes it from its folder when that is
    named ``Artist - Album``, and from the folder above when the album's carries a year: ``Artist/1999 - Album``.
    ``Artist/Album`` is not enough: ``Rock/Favourites`` looks the same.

    Examples
    --------
    >>> from_path("/music/03. Nina Simone - Sinnerman.mp3")
    Tags(artist='Nina Simone', album=None, title='Sinnerman', year=None, genre=None, track_number=3)
    >>> from_path("/music/Nina Simone - Pastel Blues/10 - Sinnerman.mp3").artist
    'Nina Simone'
    """
    track_number, rest = _split_number(_stem(path))
    artist, title = _split_artist(rest)
    if artist is None and track_number is not None:
        folder = _from_folders(path)
        return Tags(folder.artist, folder.album, title, folder.year, None, track_number)
    inside = NUMBER_INSIDE.fullmatch(title) if artist else None
    if inside:
        return Tags(artist, inside["album"], inside["title"], track_number=int(inside["number"]) or None)
    return Tags(artist=artist, title=title, track_number=track_number)


def _stem(path: str | os.PathLike[str]) -> str:
    """The file's name without extension as clean text, never empty."""
    name = os.path.basename(os.fspath(path))
    readable = _readable(EXTENSION.sub("", name))
    if " " not in readable:
        readable = readable.replace("_", " ")
    return " ".join(readable.split()) or _readable(name) or "untitled"


def _readable(name: str) -> str:
    """Bytes that are not UTF-8 become question marks, line breaks become blanks."""
    return _printable(os.fsencode(name).decode("utf-8", "replace")).strip()


def _split_number(stem: str) -> tuple[int | None, str]:
    found = NUMBERED.match(stem)
    if not found or stem[found.end() :].isdigit():
        return None, stem
    number = found["of_disc"] or found["padded"] or found["plain"]
    return int(number) or None, stem[found.end() :]


def _split_artist(text: str) -> tuple[str | None, str]:
    """ "Artist - Title"; "Song - Live" is a title, and so is what has a number for an artist."""
    artist, separator, title = text.replace(" – ", " - ").partition(" - ")
    artist, title = artist.strip(), title.strip()
    if not separator or not artist or not title or NOT_A_TITLE.fullmatch(title) or not re.search(r"[^\W\d_]", artist):
        return None, text
    return (None if is_nobody(artist) else artist), title


def _from_folders(path: str | os.PathLike[str]) -> Tags:
    above, folder = (_readable(name) for name in _two_folders(path))
    artist, album = _split_artist(folder)
    if artist is not None:
        dated = ALBUM_WITH_YEAR.match(album)
        return Tags(artist=artist, album=_album(dated) or album, year=_album_year(dated))
    dated = ALBUM_WITH_YEAR.match(folder)
    if dated and above and above.casefold() not in SHELVES and not is_nobody(above):
        return Tags(artist=above, album=_album(dated), year=_album_year(dated))
    return Tags()


def _two_folders(path: str | os.PathLike[str]) -> tuple[str, str]:
    parent = os.path.dirname(os.path.abspath(os.fspath(path)))
    return os.path.basename(os.path.dirname(parent)), os.path.basename(parent)


def _album(dated: re.Match[str] | None) -> str | None:
    return (dated[2] or dated[3]) if dated else None


def _album_year(dated: re.Match[str] | None) -> int | None:
    return int(dated[1] or dated[4]) if dated else None
