"""Clips of sound for training: files decoded once to one rate and kept as arrays, then cut at random.

The files of a folder are decoded in children (`keep_sound`), each into a float32 ``.npy`` in a work folder, from which
`Clips` reads by memory map: hours of sound need no memory, and a training that is taken up again decodes nothing.
Whole files are held out to validate on; of a single file, its end.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from volna.audio.decode import open_audio
from volna.audio.signal import peak
from volna.errors import AudioError, InputError

__all__ = ["HELD_SHARE", "MOST_S", "Clips", "keep_sound", "open_clips", "span_of_files"]

Floats = NDArray[np.float32]

HELD_SHARE = 0.1  # of the files
MOST_HELD = 64
MOST_S = 2 * 3600.0  # of sound that is kept in all: what minutes of training never hear twice
LEAST_SPAN_S = 20.0  # of a file, where there are too many for all of each
SILENT = 1e-4  # -80 dBFS: a clip that never gets louder teaches nothing
N_TRIES = 4


@dataclass(frozen=True)
class Clips:
    """Sounds at one rate to cut clips from.

    Attributes
    ----------
    sounds, held
        float32 ``(n_samples,)`` each: to train on, and to validate on.
    sample_rate
        Hz.
    """

    sounds: tuple[Floats, ...]
    held: tuple[Floats, ...]
    sample_rate: int

    @property
    def seconds(self) -> float:
        """Of sound to train on."""
        return sum(map(len, self.sounds)) / self.sample_rate

    def draw(self, rng: np.random.Generator, n: int, length: int, *, margin: int = 0) -> Floats:
        """Clips at random, every moment of every sound as likely; short sounds are joined until a clip is full.

        Parameters
        ----------
        n, length : int
            Number of clips, and their samples.
        margin : int
            Zeros that count as part of each sound before its start and after its end, as half a frame would see them.

        Returns
        -------
        ndarray
            float32 ``(n, length)``.

        Examples
        --------
        >>> clips = Clips((np.ones(10, np.float32),), (), 8000)
        >>> clips.draw(np.random.default_rng(0), 2, 4).tolist()
        [[1.0, 1.0, 1.0, 1.0], [1.0, 1.0, 1.0, 1.0]]
        """
        weights = np.array([len(sound) for sound in self.sounds], dtype=np.float64)
        weights /= weights.sum()
        return np.stack([self._heard(rng, weights, length, margin) for _ in range(n)])

    def held_clips(self, n: int, length: int, *, margin: int = 0) -> Floats:
        """Up to ``n`` clips from the middles of what is held out, always the same ones: float32 ``(<= n, length)``."""
        clips = []
        for sound in self.held[:n]:
            whole = np.pad(np.asarray(sound), margin)
            start = max(0, (len(whole) - length) // 2)
            clip = whole[start : start + length]
            clips.append(np.pad(clip, (0, length - len(clip))))
        return np.stack(clips) if clips else np.zeros((0, length), np.float32)

    def _heard(self, rng: np.random.Generator, weights: NDArray[np.float64], length: int, margin: int) -> Floats:
        for _ in range(N_TRIES):
            clip = self._clip(rng, weights, length, margin)
            if peak(clip) > SILENT:
                break
        return clip

    def _clip(self, rng: np.random.Generator, weights: NDArray[np.float64], length: int, margin: int) -> Floats:
        clip = np.zeros(length, dtype=np.float32)
        filled = 0
        while filled < length:
            sound = self.sounds[int(rng.choice(len(self.sounds), p=weights))]
            n = len(sound) + 2 * margin
            room = length - filled
            begin = int(rng.integers(n - room + 1)) if n > room else 0
            if filled and n > room:
                begin = 0  # a sound that is joined on starts at its start
            part = np.asarray(sound[max(0, begin - margin) : max(0, begin + room - margin)])
            at = filled + max(0, margin - begin)
            part = part[: max(0, length - at)]
            clip[at : at + len(part)] = part
            filled += min(n - begin, room)
        return clip


def span_of_files(n_files: int, *, most_s: float = MOST_S) -> float:
    """Seconds to keep of each file, so that all together stay within ``most_s``.

    Examples
    --------
    >>> span_of_files(10), span_of_files(7200)
    (720.0, 20.0)
    """
    return max(LEAST_SPAN_S, most_s / max(1, n_files))


def keep_sound(path: str, folder: str, sample_rate: int, span_s: float, seed: int = 0) -> tuple[str, float]:
    """Decode a file, or a random span of it, and keep it in ``folder``; a file that is kept already is not read again.

    Parameters
    ----------
    sample_rate
        Hz, of what is kept.
    span_s
        Seconds at most.

    Returns
    -------
    name, seconds
        Of the array in ``folder``, and of its sound.

    Raises
    ------
    AudioError
        The file cannot be decoded, or is silent.

    Examples
    --------
    >>> keep_sound("a.wav", "work", 16_000, 60.0)  # doctest: +SKIP
    ('5f0c2a7be1d94c33.npy', 3.2)
    """
    about = os.stat(path)
    key = f"{os.path.abspath(path)}|{about.st_mtime_ns}|{about.st_size}|{sample_rate}|{span_s}|{seed}"
    name = hashlib.blake2b(os.fsencode(key), digest_size=8).hexdigest() + ".npy"
    target = Path(folder) / name
    if target.exists():
        return name, np.load(target, mmap_mode="r").shape[0] / sample_rate
    with open_audio(path) as file:
        spare_s = max(0.0, file.duration_s - span_s)
        start_s = spare_s * float(np.random.default_rng([seed, *key.encode()]).random()) if spare_s else 0.0
        samples = file.decode(file.read([(start_s, min(span_s, file.duration_s))]), sample_rate)[0]
    if peak(samples) <= SILENT:
        raise AudioError(f"{path}: expected a sound to learn from, got silence")
    temporary = target.with_suffix(f".{os.getpid()}.tmp")
    with open(temporary, "wb") as out:
        np.save(out, samples.astype(np.float32, copy=False))
    os.replace(temporary, target)
    return name, len(samples) / sample_rate


def open_clips(
    folder: str | os.PathLike[str],
    names: Sequence[str],
    sample_rate: int,
    *,
    held_share: float = HELD_SHARE,
    groups: Sequence[str] | None = None,
    seed: int = 0,
) -> Clips:
    """The kept sounds, some held out.

    Parameters
    ----------
    names
        What `keep_sound` returned.
    held_share
        Share of the files (or of the groups) that is held out; at least one where there are several, 0 for none.
    groups
        One for each name, as the speaker: a group is held out whole.

    Raises
    ------
    InputError
        No names.

    Examples
    --------
    >>> open_clips("work", ["5f0c2a7be1d94c33.npy"], 16_000).seconds  # doctest: +SKIP
    3.2
    """
    if not names:
        raise InputError("expected one sound to learn from at least, got none")
    sounds = [np.load(Path(folder) / name, mmap_mode="r") for name in names]
    if held_share <= 0:
        return Clips(tuple(sounds), (), sample_rate)
    if len(sounds) == 1:
        cut = len(sounds[0]) - max(1, round(held_share * len(sounds[0])))
        return (
            Clips((sounds[0][:cut],), (sounds[0][cut:],), sample_rate) if cut else Clips(tuple(sounds), (), sample_rate)
        )
    held = _held(list(groups or names), held_share, seed)
    train = tuple(sound for sound, out in zip(sounds, held, strict=True) if not out)
    kept = tuple(sound for sound, out in zip(sounds, held, strict=True) if out)
    return Clips(train, kept, sample_rate)


def _held(groups: Sequence[str], share: float, seed: int) -> list[bool]:
    """Which sounds are held out: whole groups, at least one and never all."""
    names = sorted(set(groups))
    if len(names) == 1:
        names = groups = [str(k) for k in range(len(groups))]
    n_held = min(max(1, round(share * len(names))), len(names) - 1, MOST_HELD)
    order = np.random.default_rng([seed, 31]).permutation(len(names))
    out = {names[k] for k in order[:n_held]}
    return [group in out for group in groups]
