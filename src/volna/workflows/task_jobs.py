"""The job of every task with labels: hear a file once, and return each of the vectors that were asked for.

It runs in child processes (``"volna.workflows.task_jobs:hear_sound"``); a model for the autoencoder's vector is loaded
by the pool's setup, ``Task("volna.embedding:use_model", (checkpoint,))``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from volna.audio.coded import CodedWindows
from volna.audio.decode import AudioFile, open_audio
from volna.embedding import current_embedder
from volna.errors import AudioError, InputError
from volna.features import wide
from volna.features.picture import picture, picture_config
from volna.features.recipe import ANALYSIS, MIN_DURATION_S, SILENCE_DBFS, analyse
from volna.features.wide import NUISANCE_NAMES, WIDE

__all__ = ["NUISANCE_NAMES", "PARTS", "PITCH_NAMES", "HeardSound", "Segment", "hear_segments", "hear_sound", "rate_of"]

# What may be wanted of a file, by the name of the attribute of `HeardSound`.
PARTS = ("descriptors", "log_mels", "autoencoder", "mfcc", "log_mel", "spectrum", "patch", "pitch", "picture")
_OF_RECIPE = {"descriptors", "log_mels", "autoencoder"}
_OF_WIDE = {
    "mfcc": wide.wide_mfcc_statistics,
    "log_mel": wide.wide_log_mel_statistics,
    "spectrum": wide.wide_spectrum,
    "patch": wide.patch,
}
PITCH_NAMES = ("f0_median", "f0_low", "f0_high", "voiced", "formant_1", "formant_2", "formant_3")
PITCH_RATE, LOWEST_PITCH_HZ, HIGHEST_PITCH_HZ = 16_000, 60.0, 500.0
SHORT_S = 3.0
SEGMENTS_AT_ONCE = 20  # so that a file of hours takes no more memory than a song

Windows = list[np.ndarray]


@dataclass
class HeardSound:
    """What was heard of one file; what was not asked for is None (lists: empty).

    Attributes
    ----------
    duration_s : float
    short : bool
        Under three seconds: the recipe's parts heard it repeated, the others as it is.
    nuisance : ndarray
        float32 ``(5,)``, `NUISANCE_NAMES`; always there.
    descriptors, autoencoder : ndarray
        The recipe's 270 numbers to 4.7 kHz; the vector of the model in use, None where there is none.
    mfcc, log_mel : ndarray
        Baselines: 60 cepstral statistics; mean and spread of the 64 bands of `volna.features.wide.WIDE`.
    spectrum, patch : ndarray
        Full-band statistics; a picture of fixed size, see `volna.features.wide`.
    pitch : ndarray
        `PITCH_NAMES`: logarithm of F0 (median, tenth and ninetieth percentile), share of voiced frames, and of the
        medians of the first three formants.
    log_mels : list of ndarray
        float32 ``(64, n_frames)`` in dB for every window, of the recipe: what autoencoders hear.
    picture : ndarray
        float32 ``(64, n_frames)``, all windows on end, see `volna.features.picture`: what networks look at.
    """

    duration_s: float
    short: bool
    nuisance: np.ndarray
    descriptors: np.ndarray | None = None
    autoencoder: np.ndarray | None = None
    mfcc: np.ndarray | None = None
    log_mel: np.ndarray | None = None
    spectrum: np.ndarray | None = None
    patch: np.ndarray | None = None
    pitch: np.ndarray | None = None
    log_mels: list[np.ndarray] = field(default_factory=list)
    picture: np.ndarray | None = None


@dataclass(frozen=True)
class Segment:
    """A part of a long file; ``sound`` is None where there is silence."""

    start_s: float
    end_s: float
    sound: HeardSound | None


def hear_sound(
    path: str,
    want: tuple[str, ...] = ("descriptors", "mfcc", "log_mel"),
    segment: str = "spread",
    picture_rate: int | None = None,
) -> HeardSound:
    """Hear a file and return what is wanted of it.

    Parameters
    ----------
    path : str
        Any audio file that libav decodes.
    want : tuple of str
        Names of `PARTS`; more parts take more time, ``pitch`` by far the most.
    segment : {"spread", "start", "middle", "end"}
        Which windows of a file over 30 s are heard.
    picture_rate : int, optional
        The sample rate that the picture is made for, so that those of several files are alike; by default the file's.

    Raises
    ------
    AudioError
        The file cannot be decoded, is silent, or lasts less than 0.1 s.
    InputError
        Something else was wanted.

    Examples
    --------
    >>> hear_sound("dog.wav", ("mfcc",)).mfcc.shape  # doctest: +SKIP
    (60,)
    """
    _check_wanted(want)
    with open_audio(path) as audio:
        coded = audio.read_segment(segment)
        rate = picture_rate or audio.sample_rate

        def windows_at(sample_rate: int) -> Windows:
            return audio.decode(coded, sample_rate)

        try:
            return _heard(windows_at, audio.duration_s, want, rate)
        except InputError as error:
            raise AudioError(f"{path}: {error}") from error


def hear_segments(
    path: str, want: tuple[str, ...], segment_s: float, hop_s: float, picture_rate: int | None = None
) -> Iterator[Segment]:
    """Hear a file in segments, a step apart; the last one ends where the file does.

    A file that is shorter than a segment is one. Memory is bounded, however long the file.

    Raises
    ------
    AudioError
        The file cannot be decoded.
    InputError
        The lengths make no sense.
    """
    _check_wanted(want)
    if not (segment_s >= MIN_DURATION_S and 0 < hop_s <= segment_s):
        raise InputError(
            f"expected segments of {MIN_DURATION_S} s or more and a step no longer, got {segment_s:g} and {hop_s:g} s"
        )
    with open_audio(path) as audio:
        audio.read_segment()  # corrects a duration that is declared wrongly
        last_s = max(0.0, audio.duration_s - segment_s)
        n = 1 + math.ceil(last_s / hop_s - 1e-6)
        starts = np.minimum(np.arange(n) * hop_s, last_s)
        rate = picture_rate or audio.sample_rate
        for first in range(0, n, SEGMENTS_AT_ONCE):
            some = starts[first : first + SEGMENTS_AT_ONCE]
            end_s = min(float(some[-1]) + segment_s, audio.duration_s)
            coded = audio.read([(float(some[0]), end_s - float(some[0]))])
            decoded: dict[int, np.ndarray] = {}
            for start_s in some:
                windows_at = _part(audio, coded, decoded, float(start_s - some[0]), segment_s)
                stop_s = min(float(start_s) + segment_s, audio.duration_s)
                yield Segment(float(start_s), stop_s, _heard_or_none(windows_at, stop_s - float(start_s), want, rate))


def rate_of(path: str) -> int:
    """The sample rate of a file, in Hz."""
    with open_audio(path) as audio:
        return audio.sample_rate


def _check_wanted(want: tuple[str, ...]) -> None:
    if unknown := set(want) - set(PARTS):
        raise InputError(f"expected parts out of {', '.join(PARTS)}, got {', '.join(sorted(unknown))}")


def _part(
    audio: AudioFile, coded: CodedWindows, decoded: dict[int, np.ndarray], from_s: float, length_s: float
) -> Callable[[int], Windows]:
    """The samples of one segment of a block at any rate; the block is decoded once a rate."""

    def windows_at(sample_rate: int) -> Windows:
        if sample_rate not in decoded:
            decoded[sample_rate] = audio.decode(coded, sample_rate)[0]
        first = round(from_s * sample_rate)
        return [decoded[sample_rate][first : first + round(length_s * sample_rate)]]

    return windows_at


def _heard_or_none(
    windows_at: Callable[[int], Windows], duration_s: float, want: tuple[str, ...], rate: int
) -> HeardSound | None:
    try:
        return _heard(windows_at, duration_s, want, rate)
    except AudioError:
        return None


def _heard(windows_at: Callable[[int], Windows], duration_s: float, want: tuple[str, ...], rate: int) -> HeardSound:
    windows = [window for window in windows_at(WIDE.sample_rate) if len(window)]
    length_s = sum(map(len, windows)) / WIDE.sample_rate
    if length_s < MIN_DURATION_S:
        raise AudioError(f"expected at least {MIN_DURATION_S} s of sound, got {length_s:.3f} s")
    if max(float(np.ptp(window)) / 2 for window in windows) < 10 ** (SILENCE_DBFS / 20):
        raise AudioError(f"holds only silence: expected a peak above {SILENCE_DBFS:.0f} dBFS")
    heard = HeardSound(duration_s, length_s < SHORT_S, wide.nuisance(windows, WIDE.sample_rate, duration_s))
    if _OF_RECIPE & set(want):
        _add_recipe(heard, windows_at(ANALYSIS.sample_rate), want)
    if _OF_WIDE.keys() & set(want):
        log_mels = wide.wide_log_mels(windows)
        for name in _OF_WIDE.keys() & set(want):
            setattr(heard, name, _OF_WIDE[name](log_mels))
    if "pitch" in want:
        heard.pitch = pitch_statistics(np.concatenate(windows_at(PITCH_RATE)), PITCH_RATE)
    if "picture" in want:
        config = picture_config(rate)
        samples = np.concatenate(windows_at(config.sample_rate))
        heard.picture = picture(samples, config.sample_rate, config)
    return heard


def _add_recipe(heard: HeardSound, windows: Windows, want: tuple[str, ...]) -> None:
    analysis = analyse(windows, ANALYSIS)
    heard.descriptors = analysis.descriptors if "descriptors" in want else None
    heard.log_mels = analysis.log_mels if "log_mels" in want else []
    embedder = current_embedder() if "autoencoder" in want else None
    heard.autoencoder = embedder.embed(analysis.log_mels) if embedder else None


def pitch_statistics(samples: np.ndarray, sample_rate: int) -> np.ndarray:
    """Pitch and formants of a voice, float32 ``(len(PITCH_NAMES),)``; zeros where nothing is voiced."""
    from volna.features.formants import formants
    from volna.features.pitch import yin

    pitch = yin(samples, sample_rate, LOWEST_PITCH_HZ, HIGHEST_PITCH_HZ)
    voiced = np.asarray(pitch.voiced, bool) & np.isfinite(pitch.f0_hz)
    values = np.zeros(len(PITCH_NAMES), np.float32)
    if voiced.any():
        values[:3] = np.percentile(np.log(pitch.f0_hz[voiced]), [50, 10, 90])
    values[3] = voiced.mean() if len(voiced) else 0.0
    for k, track in enumerate(formants(samples, sample_rate).frequencies_hz[:3], 4):
        known = track[np.isfinite(track) & (track > 0)]
        values[k] = np.log(np.median(known)) if known.size else 0.0
    return values
