"""The genres that ID3 writes as numbers: 0-79 of ID3v1, 80-147 as Winamp extended them."""

from __future__ import annotations

import re

__all__ = ["GENRES", "genre_of"]

GENRES = tuple(
    """Blues|Classic Rock|Country|Dance|Disco|Funk|Grunge|Hip-Hop|Jazz|Metal|New Age|Oldies|Other|Pop|R&B|Rap|Reggae|
Rock|Techno|Industrial|Alternative|Ska|Death Metal|Pranks|Soundtrack|Euro-Techno|Ambient|Trip-Hop|Vocal|
Jazz+Funk|Fusion|Trance|Classical|Instrumental|Acid|House|Game|Sound Clip|Gospel|Noise|Alternative Rock|Bass|
Soul|Punk|Space|Meditative|Instrumental Pop|Instrumental Rock|Ethnic|Gothic|Darkwave|Techno-Industrial|
Electronic|Pop-Folk|Eurodance|Dream|Southern Rock|Comedy|Cult|Gangsta|Top 40|Christian Rap|Pop/Funk|Jungle|
Native American|Cabaret|New Wave|Psychedelic|Rave|Showtunes|Trailer|Lo-Fi|Tribal|Acid Punk|Acid Jazz|Polka|
Retro|Musical|Rock & Roll|Hard Rock|Folk|Folk-Rock|National Folk|Swing|Fast Fusion|Bebop|Latin|Revival|Celtic|
Bluegrass|Avantgarde|Gothic Rock|Progressive Rock|Psychedelic Rock|Symphonic Rock|Slow Rock|Big Band|Chorus|
Easy Listening|Acoustic|Humour|Speech|Chanson|Opera|Chamber Music|Sonata|Symphony|Booty Bass|Primus|Porn Groove|
Satire|Slow Jam|Club|Tango|Samba|Folklore|Ballad|Power Ballad|Rhythmic Soul|Freestyle|Duet|Punk Rock|Drum Solo|
A Cappella|Euro-House|Dance Hall|Goa|Drum & Bass|Club-House|Hardcore|Terror|Indie|BritPop|Afro-Punk|Polsk Punk|
Beat|Christian Gangsta Rap|Heavy Metal|Black Metal|Crossover|Contemporary Christian|Christian Rock|Merengue|
Salsa|Thrash Metal|Anime|JPop|Synthpop""".replace("\n", "").split("|")
)
LETTERS = {"RX": "Remix", "CR": "Cover"}
UNKNOWN = frozenset(("unknown", "genre", "none", "undefined", "<unknown>", "n/a", "-", "misc", "default"))


def genre_of(text: str | None) -> str | None:
    """A genre in words: ID3 numbers are looked up, and several joined.

    Examples
    --------
    >>> genre_of("(17)"), genre_of("17"), genre_of("(4)Eurodisco"), genre_of("(51)(39)"), genre_of("255")
    ('Rock', 'Rock', 'Eurodisco', 'Techno-Industrial; Noise', None)
    """
    if text is None:
        return None
    names = [name for part in text.split(";") for name in _names(part.strip())]
    known = dict.fromkeys(name for name in names if name and name.casefold() not in UNKNOWN)
    return "; ".join(known) or None


def _names(text: str) -> list[str]:
    if text.isascii() and text.isdigit():
        return _numbered(text)
    codes, rest = [], text
    while found := re.match(r"\((\d{1,3}|RX|CR)\)", rest):
        codes.append(found[1])
        rest = rest[found.end() :]
    if rest.strip():
        return [rest.strip()]  # a refinement says more than the number before it
    return [name for code in codes for name in _numbered(code)]


def _numbered(code: str) -> list[str]:
    if code in LETTERS:
        return [LETTERS[code]]
    return [GENRES[int(code)]] if int(code) < len(GENRES) else []
