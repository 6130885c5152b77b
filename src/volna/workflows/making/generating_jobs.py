"""The jobs of `generate train` that run in child processes."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from os import fsencode
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from volna.audio.decode import open_audio
from volna.audio.signal import resample
from volna.errors import AudioError, InputError
from volna.features.frames import Floats
from volna.features.sounding import sounding_config, sounding_mel
from volna.tasks.generation.attributes import ATTRIBUTES, directions, measured
from volna.tasks.generation.sounds import SILENCE, as_picture, cut, loudness
from volna.tasks.generation.texture import N_RATES, gains_between, grain, grain_share, plane_power
from volna.tasks.generation.wholes import Described, fit_space
from volna.workflows.making.generating_maker import Maker, maker_of

if TYPE_CHECKING:
    from volna.models.generator import Generator as Model

__all__ = ["Kept", "keep_pictures", "length_and_rate", "train_task"]

SEMITONES = (0, -2, -1, 1, 2)  # pitches at which a sound is learnt; the prior is fitted on the first alone
MOST_READ_S = 120.0  # of a file
N_CALIBRATED = 256  # sounds that gains are measured on
HELD_SHARE, LEAST_FILES = 0.1, 10  # with fewer files nothing is held out


@dataclass(frozen=True)
class Kept:
    """A sound that was kept: its file, its level, its attributes, and the ends of its pictures in the file."""

    name: str
    level: float
    attributes: Floats
    ends: tuple[int, ...]


def length_and_rate(path: str) -> tuple[float, int]:
    """Duration in seconds and sample rate in Hz of a file."""
    with open_audio(path) as file:
        if file.sample_rate <= 0:
            raise AudioError(f"{path}: does not say its sample rate")
        return file.duration_s, file.sample_rate


def keep_pictures(path: str, sample_rate: int, longest_s: float, folder: str) -> list[Kept]:
    """Cut the sounds out of a file and keep their pictures at several pitches, float16, one file for each sound.

    Raises
    ------
    AudioError
        It cannot be decoded, or is silent.
    """
    with open_audio(path) as file:
        coded = file.read([(0.0, min(file.duration_s, MOST_READ_S))])
        samples = file.decode(coded, sample_rate)[0]
    sounds = cut(samples, sample_rate, longest_s)
    if not sounds:
        raise AudioError(f"{path}: expected a sound of 0.05 s or more, found silence")
    stem = blake2b(fsencode(path), digest_size=8).hexdigest()
    return [_kept(sound, sample_rate, Path(folder), f"{stem}-{k}") for k, sound in enumerate(sounds)]


def _kept(sound: Floats, sample_rate: int, folder: Path, name: str) -> Kept:
    config = sounding_config(sample_rate)
    # Played at another rate: pitch and formants move together, as between a small and a large instrument.
    shifted = [resample(sound, sample_rate, sample_rate * 2 ** (-s / 12)) if s else sound for s in SEMITONES]
    pictures = [as_picture(sounding_mel(each, config)) for each in shifted]
    np.save(folder / f"{name}.npy", np.concatenate([picture for picture, _ in pictures], axis=1).astype(np.float16))
    ends = np.cumsum([picture.shape[1] for picture, _ in pictures])
    return Kept(name, pictures[0][1], measured(sound, sample_rate), tuple(int(end) for end in ends))


@dataclass
class _Sounds:
    """All kept sounds in memory maps; ``held`` are indices."""

    kept: list[Kept]
    pictures: list[list[NDArray]]
    held: list[int]


def _open(folder: Path, kept: Sequence[Kept], seed: int) -> _Sounds:
    pictures = []
    for sound in kept:
        whole = np.load(folder / f"{sound.name}.npy", mmap_mode="r")
        pictures.append(np.split(whole, sound.ends[:-1], axis=1))
    files = sorted({sound.name.split("-")[0] for sound in kept})
    n_held = round(HELD_SHARE * len(files)) if len(files) >= LEAST_FILES else 0
    drawn = {files[k] for k in np.random.default_rng([seed, 23]).permutation(len(files))[:n_held]}
    return _Sounds(list(kept), pictures, [k for k, sound in enumerate(kept) if sound.name.split("-")[0] in drawn])


def train_task(task: Mapping[str, Any]) -> Generator[tuple[str, dict[str, Any]], Any, dict[str, Any]]:
    """Train, as a task of `volna.pool`: yields ``("progress", event)``, returns ``generator``, history, summary.

    ``task``: ``folder``, ``kept``, ``sample_rate``, ``longest_s``, ``settings`` of
    `volna.training.generator.GeneratorTraining`, ``fit`` of `volna.training.fit.FitConfig`, ``state_file``,
    ``fingerprint``.
    """
    from volna.models.generator_file import to_bytes
    from volna.training.generator import GeneratorTraining, Pictures, train_generator

    seed = int(task["fit"].get("seed", 0))
    sounds = _open(Path(task["folder"]), task["kept"], seed)
    try:
        settings = GeneratorTraining(**task["settings"])
        settings = replace(settings, fit=replace(settings.fit, **task["fit"]))
    except TypeError as error:
        raise InputError(f"a setting of the training does not exist: {error}") from error
    held = set(sounds.held)
    training = [each for k, each in enumerate(sounds.pictures) if k not in held]
    pictures = Pictures(training, [sounds.pictures[k][0] for k in sounds.held], SILENCE)
    state_file = Path(task["state_file"]) if task.get("state_file") else None
    steps = train_generator(pictures, settings, state_file=state_file, fingerprint=task.get("fingerprint", ""))
    while True:
        try:
            event = next(steps)
        except StopIteration as stop:
            fitted = stop.value
            break
        yield "progress", event
    summary = fitted.summary | {"n_sounds": len(sounds.kept), "n_held": len(held), "longest_s": task["longest_s"]}
    maker = fitted_maker(fitted.model, sounds, task["sample_rate"], summary, seed)
    return {"generator": to_bytes(maker.trained), "history": fitted.history, "summary": maker.trained.summary}


def fitted_maker(model: Model, sounds: _Sounds, sample_rate: int, summary: dict[str, Any], seed: int) -> Maker:
    """The prior, the attributes and what restores detail, fitted on the sounds as the autoencoder describes them."""
    from volna.models.generator_file import TrainedGenerator
    from volna.models.generator_use import encoded

    described = []
    for kept, pictures in zip(sounds.kept, sounds.pictures, strict=True):
        latent = encoded(model, pictures[0], SILENCE)
        described.append(Described(latent, pictures[0].shape[1], kept.level))
    space = fit_space(described)
    points = np.stack([space.vector(sound) for sound in described])
    slopes, fit = directions(points, np.stack([kept.attributes for kept in sounds.kept]))
    n_mels = model.config.n_mels
    arrays = {f"space.{name}": array for name, array in space.arrays().items()} | {"points": points, "slopes": slopes}
    arrays |= {"gains": np.ones((n_mels, N_RATES), np.float32), "grain": np.ones(1, np.float32)}
    arrays |= {"louder": np.zeros(1, np.float32)}
    arrays |= {"spread_scale": np.ones(n_mels, np.float32)}
    known = {name: round(float(value), 3) for name, value in zip(ATTRIBUTES, fit, strict=True) if np.isfinite(value)}
    summary = summary | {"attributes": known, "n_dims": points.shape[1], "n_points": space.n_points}
    maker = maker_of(TrainedGenerator(model, sounding_config(sample_rate), arrays, summary))
    _calibrate(maker, sounds, described, np.random.default_rng([seed, 24]))
    return maker


def _calibrate(maker: Maker, sounds: _Sounds, described: Sequence[Described], rng: np.random.Generator) -> None:
    """Measure on real sounds how much detail decoding loses, and keep what brings it back.

    Gains measured on drawn sounds would be larger, because points between sounds decode to more of a blur; measured,
    they lift the blur as well and make the sounds worse.
    """
    arrays = maker.trained.arrays
    every = rng.permutation(len(described))[:N_CALIBRATED]
    real = plane_power(np.asarray(sounds.pictures[k][0], np.float64) for k in every)
    unheard = np.array(sounds.held[:N_CALIBRATED], int) if len(sounds.held) > 3 else every
    arrays["spread_scale"] = _spread_scale(maker, sounds, described, unheard)
    share, arrays["gains"] = _detail(maker, [described[k] for k in every], real, rng)
    arrays["grain"] = np.array([share], np.float32)
    # The grain lifts the loudest cell, to which the level belongs, more than it lifts the sound.
    quieter = [
        loudness(np.asarray(sounds.pictures[k][0], np.float32)) - loudness(maker.picture(described[k], rng))
        for k in every
    ]
    arrays["louder"] = np.array([np.mean(quieter)], np.float32)


def _spread_scale(maker: Maker, sounds: _Sounds, described: Sequence[Described], which: NDArray) -> Floats:
    """How much further real cells lie from the decoded ones than the decoder says, for each band."""
    from volna.models.generator_use import decoded

    error, said = np.zeros(maker.trained.model.config.n_mels), np.full(maker.trained.model.config.n_mels, 1e-9)
    for k in which:
        mean, spread = decoded(maker.trained.model, described[k].latent, described[k].n_frames, SILENCE)
        error += np.abs(np.asarray(sounds.pictures[k][0], np.float32) - mean).sum(axis=1)
        said += spread.sum(axis=1)
    return np.asarray(np.clip(error / said, 0.25, 4.0), np.float32)


def _detail(maker: Maker, some: Sequence[Described], real: NDArray, rng: np.random.Generator) -> tuple[float, Floats]:
    """The share of grain and the gains that give these sounds the plane power of real ones."""
    from volna.models.generator_use import decoded

    scale = maker.trained.arrays["spread_scale"][:, None]
    means, noises = [], []
    for sound in some:
        mean, spread = decoded(maker.trained.model, sound.latent, sound.n_frames, SILENCE)
        means.append(mean)
        noises.append(grain(sound.n_frames, maker.trained.mel_config, rng) * spread * scale)
    share = grain_share(real, plane_power(means), plane_power(noises))
    made = plane_power(mean + share * noise for mean, noise in zip(means, noises, strict=True))
    return share, gains_between(made, real)
