"""A folder of made-up music: artists with habits, albums, titles, tags, in the formats that people have."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from volna.errors import InputError
from volna.synthesis.song import Habits, habits_of, write_song
from volna.synthesis.styles import STYLES, master

__all__ = ["SAMPLE_RATE_HZ", "Clip", "plan", "render", "styles", "write_collection"]

Samples = npt.NDArray[np.float32]

SAMPLE_RATE_HZ = 22050
DURATION_S = 10.0
ARTISTS_A_STYLE = 5
SONGS_AN_ALBUM = 3
SONGS_AN_ARTIST = 25
MAX_CLIPS = 1000  # of 8 styles with 5 artists of 25 songs
EXTENSIONS = (".flac", ".flac", ".mp3", ".ogg", ".m4a")  # FLAC twice: it is written ten times as fast as the others
MAX_THREADS = 4

ADJECTIVES = "Paper Copper Northern Velvet Hollow Amber Quiet Electric Salt Winter Crooked Silver Distant Golden"
NOUNS = "Harbour Lanterns Orchard Signals Meadow Engines Sparrows Tide Parade Letters Rivers Attic Comets Bridges"
MOMENTS = "Morning Midnight Summer October Sunday Evening Yesterday Tomorrow April Dawn Noon Autumn"
THINGS = "Rain Windows Trains Dust Fires Maps Gardens Shadows Mirrors Stairs Oceans Kites Echoes Stones Clouds"


@dataclass(frozen=True)
class Clip:
    """One clip to come: everything but its samples."""

    style: str
    artist: str
    album: str
    title: str
    year: int
    track: int
    habits: Habits
    seed: tuple[int, int, int]
    extension: str

    def path(self, folder: Path) -> Path:
        return folder / self.style / f"{self.artist} - {self.title}{self.extension}"

    def tags(self) -> dict[str, str]:
        names = {"artist": self.artist, "album": self.album, "title": self.title, "genre": self.style}
        return {**names, "date": str(self.year), "track": str(self.track)}


def styles() -> tuple[str, ...]:
    """The names of the styles.

    Examples
    --------
    >>> len(styles())
    8
    """
    return tuple(STYLES)


def render(
    style: str,
    seed: int | np.random.Generator = 0,
    habits: Habits | None = None,
    duration_s: float = DURATION_S,
    sample_rate: int = SAMPLE_RATE_HZ,
) -> Samples:
    """One clip of music.

    Parameters
    ----------
    style:
        One of `styles`.
    seed:
        What makes this song differ from the artist's others.
    habits:
        The artist; a new one by default.
    duration_s, sample_rate:
        Length in seconds, and samples a second.

    Returns
    -------
    samples : float32 (n_samples,)
        Mono, in [-1, 1].

    Raises
    ------
    InputError
        When there is no such style, or the length makes no sense.

    Examples
    --------
    >>> render("jazz", seed=1, duration_s=2).shape
    (44100,)
    """
    if style not in STYLES:
        raise InputError(f"expected one of the styles {', '.join(STYLES)}, got {style!r}")
    if not 0.1 <= duration_s <= 600:
        raise InputError(f"expected a duration between 0.1 and 600 s, got {duration_s}")
    rng = np.random.default_rng(seed)
    song = write_song(rng, habits_of(rng) if habits is None else habits, duration_s, sample_rate)
    return master(STYLES[style](song), song)


def plan(n_clips: int, seed: int) -> list[Clip]:
    """What `write_collection` will write: the styles in turn, five artists each, albums of three songs."""
    rng = np.random.default_rng(seed)
    artist_names = _pairs(rng, ADJECTIVES, NOUNS)
    clips: list[Clip] = []
    for style in STYLES:
        for _ in range(ARTISTS_A_STYLE):
            clips += _songs(rng, style, artist_names.pop(), seed)
    # The nth song of every artist before the next one, and the styles in turn: any beginning of it is balanced.
    order = sorted(range(len(clips)), key=lambda k: (k % SONGS_AN_ARTIST, k // SONGS_AN_ARTIST % ARTISTS_A_STYLE, k))
    return [clips[k] for k in order[:n_clips]]


def _songs(rng: np.random.Generator, style: str, artist: str, seed: int) -> list[Clip]:
    """All the songs of a new artist."""
    habits = habits_of(rng)
    first_year = int(rng.integers(1968, 2000))
    artist_seed = int(rng.integers(2**32))
    titles = _pairs(rng, MOMENTS, THINGS)
    return [
        Clip(
            style=style,
            artist=artist,
            album=titles[-1 - nth // SONGS_AN_ALBUM],
            title=titles[nth],
            year=first_year + nth // SONGS_AN_ALBUM,
            track=nth % SONGS_AN_ALBUM + 1,
            habits=habits,
            seed=(seed, artist_seed, nth),
            extension=EXTENSIONS[int(rng.integers(len(EXTENSIONS)))],
        )
        for nth in range(SONGS_AN_ARTIST)
    ]


def _pairs(rng: np.random.Generator, first: str, second: str) -> list[str]:
    pairs = [f"{a} {b}" for a in first.split() for b in second.split()]
    return [pairs[k] for k in rng.permutation(len(pairs))]


def write_collection(
    folder: str | Path,
    n_clips: int = 240,
    seed: int = 0,
    progress: Callable[[str, int, int | None, str], None] | None = None,
) -> list[Path]:
    """Write a collection of tagged clips into `folder`/style/artist - title.

    A clip that is already there is left as it is, so that an interrupted run goes on where it stopped.

    Parameters
    ----------
    folder:
        Where to; made when it is not there.
    n_clips:
        How many, at most 1000; the styles take turns.
    seed:
        The same seed gives the same music.
    progress:
        Called as ``progress(stage, done, total, note)``.

    Returns
    -------
    paths : list of Path
        The files, in the order of the plan.

    Raises
    ------
    InputError
        When `n_clips` makes no sense.
    OSError
        When the folder cannot be written.
    """
    if not 1 <= n_clips <= MAX_CLIPS:
        raise InputError(f"expected 1 to {MAX_CLIPS} clips, got {n_clips}")
    report = progress or (lambda stage, done, total, note: None)
    clips = plan(n_clips, seed)
    paths = [clip.path(Path(folder)) for clip in clips]
    for folder_of_style in {path.parent for path in paths}:
        folder_of_style.mkdir(parents=True, exist_ok=True)
    # Threads, because numpy's transforms and the encoders let go of the interpreter; every clip has its own generator.
    with ThreadPoolExecutor(min(MAX_THREADS, os.cpu_count() or 1)) as pool:
        try:
            report("Synthesising", 0, n_clips, "")
            for done, style in enumerate(pool.map(_write, clips, paths), 1):
                report("Synthesising", done, n_clips, style)
        except BaseException:  # Ctrl-C as well: do not finish the queue first
            pool.shutdown(cancel_futures=True)
            raise
    return paths


def _write(clip: Clip, path: Path) -> str:
    """Write one clip unless it is there; a half-written one cannot be, because files appear under their name whole."""
    if not path.exists():
        from volna.audio.encode import encode  # here, because rendering needs no encoder

        samples = render(clip.style, np.random.default_rng(clip.seed), clip.habits)
        encode(path, samples, SAMPLE_RATE_HZ, tags=clip.tags())
    return clip.style
