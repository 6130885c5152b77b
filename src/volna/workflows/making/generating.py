"""`generate` and `morph`: new sounds like those that a model has learnt, and sounds between two."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from volna.audio.signal import level_db
from volna.errors import InputError
from volna.features.frames import Floats
from volna.features.sounding import sounding_mel
from volna.workflows.common import Progress, silent
from volna.workflows.files import check_free
from volna.workflows.making.generating_maker import Maker, heard_for, load_maker

if TYPE_CHECKING:
    from volna.tasks.generation.wholes import Described

__all__ = ["Generated", "MadeSound", "Morphed", "generate", "morph"]

MOST = 10_000  # sounds at once
FORMAT = ".wav"


@dataclass(frozen=True)
class MadeSound:
    """A sound that was written; ``share`` is its place between the two sounds of a morph."""

    path: str
    seed: int
    duration_s: float
    level_db: float
    attributes: dict[str, float | None]
    share: float | None = None


@dataclass
class Generated:
    """What `generate` made, and how."""

    model: str
    output: str
    sample_rate: int
    seed: int
    temperature: float
    like: str | None
    distance: float | None
    wanted: dict[str, float]
    vocoder: str | None
    sheet: str | None
    seconds: float
    sounds: list[MadeSound]
    notes: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass
class Morphed:
    """What `morph` made: the first sound is nearest to ``first``, the last to ``second``."""

    model: str
    first: str
    second: str
    output: str
    sample_rate: int
    align: str
    vocoder: str | None
    sheet: str | None
    seconds: float
    sounds: list[MadeSound]
    notes: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def generate(
    model: str | Path,
    output: str | Path,
    *,
    n: int = 8,
    seed: int = 0,
    temperature: float = 1.0,
    like: str | Path | None = None,
    distance: float = 0.5,
    wanted: Mapping[str, float] | None = None,
    duration_s: float | None = None,
    vocoder: str | Path | None = None,
    sheet: str | Path | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> Generated:
    """Make new sounds.

    Parameters
    ----------
    model : str or Path
        A file of `volna generate train`.
    output : str or Path
        A folder, made where there is none; the sounds are ``generated-001.wav`` and on.
    n : int
        How many.
    seed : int
        The same seed gives the same sounds.
    temperature : float
        How far the sounds spread: under 1 they are nearer to those learnt.
    like : str or Path, optional
        Vary this sound instead of drawing from all.
    distance : float
        With `like`: how far from it, in distances between neighbouring sounds; 0 gives it back.
    wanted : mapping of str to float, optional
        Attributes by name (brighter, louder, longer, noisier, higher) in units of their spread among the sounds learnt.
    duration_s : float, optional
        Stretch or shrink every sound to so many seconds.
    vocoder : str or Path, optional
        A file of `volna vocode train` for the same mel; Griffin-Lim by default.
    sheet : str or Path, optional
        A PNG with the spectrograms.
    force : bool
        Replace files that exist.
    progress : callable, optional
        ``progress(stage, done, total, note)``.

    Returns
    -------
    Generated

    Raises
    ------
    InputError
        A number out of range, an unknown attribute, or a file exists.
    ModelError
        The model or the vocoder cannot be read, or they do not fit each other.
    AudioError
        The sound to vary cannot be read, or is silent.

    Examples
    --------
    >>> len(generate("notes.generator", "new", n=4).sounds)  # doctest: +SKIP
    4
    """
    started_s = time.monotonic()
    _check_number(n, 1)
    names = [f"generated-{k:03d}{FORMAT}" for k in range(1, n + 1)]
    places = _places(output, names, sheet, force)
    maker = load_maker(model, vocoder)
    described, notes = _described(maker, n, seed, temperature, like, distance, dict(wanted or {}))
    described = [_of_duration(maker, sound, duration_s) for sound in described]
    sounds, log_mels = _write(maker, places, described, seed, None, progress or silent)
    result = Generated(
        model=str(model),
        output=str(output),
        sample_rate=maker.sample_rate,
        seed=seed,
        temperature=temperature,
        like=None if like is None else str(like),
        distance=None if like is None else distance,
        wanted=dict(wanted or {}),
        vocoder=None if vocoder is None else str(vocoder),
        sheet=None if sheet is None else str(sheet),
        seconds=0.0,
        sounds=sounds,
        notes=notes,
    )
    _draw_sheet(sheet, log_mels, [place.stem for place in places], maker, "", force)
    result.seconds = round(time.monotonic() - started_s, 1)
    return result


def morph(
    first: str | Path,
    second: str | Path,
    output: str | Path,
    *,
    model: str | Path,
    n: int = 7,
    align: str = "warp",
    seed: int = 0,
    vocoder: str | Path | None = None,
    sheet: str | Path | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> Morphed:
    """Make the sounds between two, from the first to the second.

    Parameters
    ----------
    first, second : str or Path
        Sounds; of longer files the first sound is taken.
    output : str or Path
        A folder, made where there is none; the sounds are ``morph-1.wav`` and on.
    model : str or Path
        A file of `volna generate train`, of sounds of this kind.
    n : int
        How many, both ends counted.
    align : {"warp", "stretch"}
        What of one sound belongs to what of the other: what is alike (dynamic time warping), or what is at the same
        share of its duration.
    seed, vocoder, sheet, force, progress
        See `generate`.

    Returns
    -------
    Morphed

    Raises
    ------
    InputError
        A number out of range, or a file exists.
    ModelError
        As `generate`.
    AudioError
        A sound cannot be read, or is silent.

    Examples
    --------
    >>> morph("flute.wav", "oboe.wav", "between", model="notes.generator").sounds[3].share  # doctest: +SKIP
    0.5
    """
    from volna.workflows.making.morphing import between_sounds

    started_s = time.monotonic()
    _check_number(n, 2)
    places = _places(output, [f"morph-{k:0{len(str(n))}d}{FORMAT}" for k in range(1, n + 1)], sheet, force)
    maker = load_maker(model, vocoder)
    ends = heard_for(maker, first), heard_for(maker, second)
    shares = [float(share) for share in np.linspace(0, 1, n)]
    described = between_sounds(*ends, shares, align=align, stride=maker.stride)
    sounds, log_mels = _write(maker, places, described, seed, shares, progress or silent)
    result = Morphed(
        model=str(model),
        first=str(first),
        second=str(second),
        output=str(output),
        sample_rate=maker.sample_rate,
        align=align,
        vocoder=None if vocoder is None else str(vocoder),
        sheet=None if sheet is None else str(sheet),
        seconds=0.0,
        sounds=sounds,
    )
    titles = [f"{share:.0%}" for share in shares]
    _draw_sheet(sheet, log_mels, titles, maker, f"{Path(first).stem} to {Path(second).stem}", force)
    result.seconds = round(time.monotonic() - started_s, 1)
    return result


def _check_number(n: int, least: int) -> None:
    if not least <= n <= MOST:
        raise InputError(f"expected {least} to {MOST} sounds, got {n}")


def _places(output: str | Path, names: list[str], sheet: str | Path | None, force: bool) -> list[Path]:
    """Where the sounds go; refuses before the work begins."""
    folder = Path(output).expanduser()
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: expected a folder to write to, this is a file")
    if not folder.parent.is_dir():
        raise InputError(f"{folder}: expected a folder inside one that exists, {folder.parent} does not")
    places = [folder / name for name in names]
    if folder.is_dir():
        for place in places:
            check_free(place, force=force)
    if sheet is not None:
        from volna.plots.figure import can_draw

        if not can_draw():
            raise InputError("pictures need matplotlib: pip install 'volna[plots]'")
        drawn = Path(sheet).expanduser()
        if folder.is_dir() or drawn.parent != folder:  # else it lies in the folder that is about to be made
            check_free(drawn, force=force)
    return places


def _described(
    maker: Maker,
    n: int,
    seed: int,
    temperature: float,
    like: str | Path | None,
    distance: float,
    wanted: dict[str, float],
) -> tuple[list[Described], list[str]]:
    """New sounds as latents."""
    from volna.tasks.generation.attributes import towards
    from volna.tasks.generation.prior import draw, vary

    points, rng = maker.points, np.random.default_rng([seed, 30])
    move = towards(points, maker.trained.arrays["slopes"], wanted)
    if like is None:
        drawn = draw(points, n, rng, temperature=temperature) + move
        return [maker.space.sound(point, maker.stride) for point in drawn], []
    heard = heard_for(maker, like)
    point, detail = maker.space.vector(heard), maker.space.detail(heard)
    detail *= np.float32(max(0.0, 1.0 - distance / 2))  # what is its own alone goes as it is left behind
    varied = [vary(points, point, distance, rng) + move for _ in range(n)]
    return [maker.space.sound(each, maker.stride, detail) for each in varied], []


def _of_duration(maker: Maker, sound: Described, duration_s: float | None) -> Described:
    from volna.tasks.generation.stretching import stretched
    from volna.tasks.generation.wholes import Described

    if duration_s is None:
        return sound
    if not 0.05 <= duration_s <= 60:
        raise InputError(f"expected a duration of 0.05 to 60 s, got {duration_s:g}")
    config = maker.trained.mel_config
    n_frames = 1 + max(1, round(duration_s * config.frames_per_s))
    return Described(stretched(sound.latent, -(-n_frames // maker.stride)), n_frames, sound.level)


def _write(
    maker: Maker,
    places: list[Path],
    described: list[Described],
    seed: int,
    shares: list[float] | None,
    progress: Progress,
) -> tuple[list[MadeSound], list[Floats]]:
    """Make every sound audible and write it."""
    from volna.audio.encode import encode

    places[0].parent.mkdir(exist_ok=True)
    written, log_mels = [], []
    for k, (place, samples) in enumerate(_audible(maker, places, described, seed)):
        encode(place, samples, maker.sample_rate)
        share = None if shares is None else round(shares[k], 4)
        written.append(_made(place, samples, maker.sample_rate, seed + k, share))
        log_mels.append(sounding_mel(samples, maker.trained.mel_config))
        progress("Making", k + 1, len(places), "")
    return written, log_mels


def _audible(maker: Maker, places: list[Path], described: list[Described], seed: int) -> Iterator[tuple[Path, Floats]]:
    for k, (place, sound) in enumerate(zip(places, described, strict=True)):
        yield place, maker.made(sound, seed + k)[1]


def _made(place: Path, samples: Floats, sample_rate: int, seed: int, share: float | None) -> MadeSound:
    from volna.tasks.generation.attributes import ATTRIBUTES, measured

    values = measured(samples, sample_rate)
    attributes = {
        name: round(float(value), 4) if np.isfinite(value) else None
        for name, value in zip(ATTRIBUTES, values, strict=True)
    }
    return MadeSound(
        str(place), seed, round(len(samples) / sample_rate, 3), round(level_db(samples), 2), attributes, share
    )


def _draw_sheet(
    sheet: str | Path | None, log_mels: list[Floats], titles: list[str], maker: Maker, title: str, force: bool
) -> None:
    if sheet is None:
        return
    from volna.plots.generation import draw_sheet
    from volna.workflows.files import new_file

    with new_file(Path(sheet).expanduser(), force=force) as file:
        draw_sheet(log_mels, titles, file, maker.trained.mel_config, title=title)
