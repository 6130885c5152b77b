"""The classical recipe: samples of a track to one vector of named descriptors, and the log-mel for the autoencoder.

One short-time Fourier transform a window serves everything. The statistics (mean, standard deviation) run over all
frames of all windows of a track that can be heard at all; the vector is raw, always finite, always
``len(DESCRIPTOR_NAMES)`` long. A search standardises every element with the library's own centre and spread and then
multiplies by `DESCRIPTOR_WEIGHTS`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike

from volna.errors import AudioError, InputError
from volna.features import descriptors as d
from volna.features import modulation, rhythm
from volna.features.frames import Floats, checked
from volna.features.spectrum import (
    LOG_MEL_AMIN,
    LOG_MEL_TOP_DB,
    MelConfig,
    fft_frequencies,
    mel_power,
    power_spectrum,
    power_to_db,
    stft,
)

__all__ = [
    "ANALYSIS",
    "DESCRIPTOR_NAMES",
    "DESCRIPTOR_WEIGHTS",
    "FEATURES_VERSION",
    "GROUPS",
    "GROUP_WEIGHTS",
    "HEARD_DB",
    "MIN_DURATION_S",
    "NO_TEMPO_BPM",
    "SHORT_DURATION_S",
    "SILENCE_DBFS",
    "Analysis",
    "analyse",
    "features_version",
    "group_of",
    "names_of",
]

# Chosen by measurement (rate, bands and frames made no difference beyond the noise, so the cheapest that suits):
# 12 kHz because codecs cut above and half the samples are half the work, 4.7 kHz because low-bitrate MP3 and full-band
# files then look alike, 64 ms frames every 23 ms so that 3 s are 128 steps, from 30 Hz because an offset of the samples
# leaks below it.
ANALYSIS = MelConfig(
    sample_rate=12_000, n_fft=768, hop_length=280, n_mels=64, fmin_hz=30.0, fmax_hz=4_700.0, mel_scale="slaney"
)

N_MFCC, N_CONTRAST, N_CHROMA = 20, 7, 12
CONTRAST_FMIN_HZ = 100.0  # six octaves above it just fit under half the analysis rate
N_FLUCTUATION_BANDS, N_FLUCTUATION_SPEEDS = 6, 6
N_MODULATION_MFCC, N_MODULATION_BANDS = 24, 5  # 30 x 6 finds no more, and every element takes memory for every track

MIN_DURATION_S = 0.1
SHORT_DURATION_S = 3.0  # a shorter sound is repeated until it fills this
SILENCE_DBFS = -70.0  # a sound whose every window peaks below this (offset removed) is silence
# Frames whose loudest band is further below the loudest of the track are left out of the statistics; less than the
# range of the log-mel, or none would be.
HEARD_DB = 50.0
MAX_PEAK = 1_000.0  # times full scale; a decoder that returns more has read something else than sound
NO_TEMPO_BPM = rhythm.PRIOR_BPM  # stands in the vector where there is no pulse; pulse_clarity is then 0

_SHAPES = ("centroid", "rolloff", "bandwidth", "flatness", "flux", "zero_crossing_rate", "rms")


def _numbered(name: str, n: int) -> tuple[str, ...]:
    return tuple(f"{name}_{k}" for k in range(1, n + 1))


def _mean_std(names: Sequence[str]) -> tuple[str, ...]:
    return (*(f"{name}_mean" for name in names), *(f"{name}_std" for name in names))


# The elements of the vector, by group, in order. mfcc_1 is the level (librosa's index 0); chroma_1 belongs to the
# strongest pitch class of the track, chroma_12 to the weakest: songs are alike in any key, and so measured better.
GROUPS: dict[str, tuple[str, ...]] = {
    "mfcc": (*_mean_std(_numbered("mfcc", N_MFCC)), *(f"{name}_delta_std" for name in _numbered("mfcc", N_MFCC))),
    "shape": _mean_std(_SHAPES),
    "contrast": _mean_std(_numbered("contrast", N_CONTRAST)),
    "chroma": _mean_std(_numbered("chroma", N_CHROMA)),
    "rhythm": ("tempo_bpm", "pulse_clarity"),
    "fluctuation": tuple(
        f"fluctuation_band_{band}_speed_{speed}"
        for band in range(1, N_FLUCTUATION_BANDS + 1)
        for speed in range(1, N_FLUCTUATION_SPEEDS + 1)
    ),
    "modulation": tuple(
        f"modulation_{k}_{band}" for k in range(1, N_MODULATION_MFCC + 1) for band in range(1, N_MODULATION_BANDS + 1)
    ),
}

# How much a group counts in the cosine, whatever its size. Round numbers on a broad plateau, not an optimum: each may
# move by half without a difference beyond the noise, except that without modulation P@10 by genre falls from .32 to
# .29, without chroma by mood, without shape among instruments.
GROUP_WEIGHTS = {
    "mfcc": 0.4,
    "shape": 0.6,
    "contrast": 0.4,
    "chroma": 0.6,
    "rhythm": 0.2,
    "fluctuation": 0.3,
    "modulation": 1.0,
}

DESCRIPTOR_NAMES: tuple[str, ...] = tuple(name for names in GROUPS.values() for name in names)
DESCRIPTOR_WEIGHTS: Floats = np.concatenate(
    [np.full(len(names), GROUP_WEIGHTS[group] / np.sqrt(len(names)), np.float32) for group, names in GROUPS.items()]
)

# Raise it when a definition changes that no setting shows: vectors of two versions cannot be compared.
_DEFINITIONS = 2


def features_version(config: MelConfig) -> str:
    """Return the version of the descriptors and log-mels under given settings.

    Examples
    --------
    >>> features_version(ANALYSIS) == FEATURES_VERSION
    True
    """
    speeds = (rhythm.MIN_MODULATION_HZ, rhythm.MAX_MODULATION_HZ, *modulation.band_edges_hz(N_MODULATION_BANDS))
    segments = (modulation.SEGMENT_FRAMES, modulation.SEGMENT_STEP, modulation.STILL_DB)
    levels = (HEARD_DB, LOG_MEL_TOP_DB, LOG_MEL_AMIN)
    settings = repr((config, levels, CONTRAST_FMIN_HZ, SHORT_DURATION_S, speeds, segments, DESCRIPTOR_NAMES))
    return f"{_DEFINITIONS}-{hashlib.sha256(settings.encode()).hexdigest()[:8]}"


FEATURES_VERSION = features_version(ANALYSIS)


@dataclass(frozen=True)
class Analysis:
    """What one decoding of a track yields.

    Attributes
    ----------
    descriptors : ndarray
        float32 ``(len(DESCRIPTOR_NAMES),)``, raw, finite.
    log_mels : list of ndarray
        One float32 ``(n_mels, n_frames)`` for every window, dB against a power of 1, none more than 55 dB below the
        loudest cell of the track. A window under 0.1 s is left out; a short sound makes one window of three seconds.
    short : bool
        The sound lasts less than three seconds and was repeated to fill them.
    """

    descriptors: Floats
    log_mels: list[Floats]
    short: bool


def names_of(group: str) -> tuple[str, ...]:
    """Return the names of a group of descriptors, in the order of the vector.

    Parameters
    ----------
    group : str
        A key of `GROUPS`, or ``"mfcc60"`` for the classical 60 MFCC statistics (mean, std, std of the deltas).

    Raises
    ------
    InputError
        When there is no such group.

    Examples
    --------
    >>> names_of("rhythm")
    ('tempo_bpm', 'pulse_clarity')
    """
    return DESCRIPTOR_NAMES[group_of(group)]


def group_of(group: str) -> slice:
    """Return where a group of descriptors lies in the vector; see `names_of`.

    Examples
    --------
    >>> group_of("mfcc60")
    slice(0, 60, None)
    """
    key = "mfcc" if group == "mfcc60" else group
    if key not in GROUPS:
        raise InputError(f"group must be one of mfcc60, {', '.join(GROUPS)}, got {group!r}")
    start = DESCRIPTOR_NAMES.index(GROUPS[key][0])
    return slice(start, start + len(GROUPS[key]))


def analyse(windows: Sequence[ArrayLike], config: MelConfig = ANALYSIS) -> Analysis:
    """Turn the samples of a track into descriptors and log-mel spectra.

    Parameters
    ----------
    windows : sequence of array_like
        Samples ``(n_samples,)`` of one or more windows of the track, at ``config.sample_rate``, full scale at 1.
    config : MelConfig
        The descriptors of two different settings cannot be compared.

    Returns
    -------
    Analysis

    Raises
    ------
    AudioError
        When all windows together last less than 0.1 s, hold nothing but silence, or exceed full scale absurdly.
    InputError
        When a window is not one-dimensional or holds NaN or infinity.

    Examples
    --------
    >>> tone = 0.1 * np.sin(2 * np.pi * 440 * np.arange(60_000) / 12_000)
    >>> analysis = analyse([tone])
    >>> brightness = analysis.descriptors[DESCRIPTOR_NAMES.index("centroid_mean")]
    >>> bool(430 < brightness < 460), analysis.log_mels[0].shape
    (True, (64, 215))
    """
    _keep_freed_memory()
    sounds, short = _usable(windows, config)
    frames, mels = zip(*(_frame_values(sound, config) for sound in sounds), strict=True)
    mel_db = power_to_db(np.concatenate(mels, axis=1), amin=LOG_MEL_AMIN, top_db=LOG_MEL_TOP_DB)
    log_mels = np.split(mel_db, np.cumsum([mel.shape[1] for mel in mels])[:-1], axis=1)
    loudest = mel_db.max(axis=0)
    heard = loudest >= loudest.max() - HEARD_DB
    cepstra = [d.mfcc(mel, max(N_MFCC, N_MODULATION_MFCC)) for mel in log_mels]
    groups = [
        _mfcc_statistics([cepstrum[:N_MFCC] for cepstrum in cepstra], heard),
        *_frame_statistics(np.concatenate(frames, axis=1)[:, heard]),
        _rhythm_values(log_mels, config, short),
        _modulation_values([cepstrum[:N_MODULATION_MFCC] for cepstrum in cepstra], config),
    ]
    vector = np.concatenate(groups).astype(np.float32)
    return Analysis(vector, log_mels, short)


@lru_cache(maxsize=1)
def _keep_freed_memory() -> None:
    """Make glibc reuse freed arrays instead of returning each to the system and faulting it in again.

    Freeing one large block raises its threshold for that; no page of the block is touched. Without it an analysis costs
    1.6 times the CPU time; other allocators take no notice.
    """
    np.empty(30_000_000, dtype=np.uint8)


def _usable(windows: Sequence[ArrayLike], config: MelConfig) -> tuple[list[Floats], bool]:
    """The windows worth analysing, and whether they had to be repeated; raises when there is nothing to hear."""
    sounds = [checked(window) for window in windows if np.size(window)]
    n_samples = sum(map(len, sounds))
    if n_samples < MIN_DURATION_S * config.sample_rate:
        raise AudioError(f"expected at least {MIN_DURATION_S} s of sound, got {n_samples / config.sample_rate:.3f} s")
    swing = max(float(np.ptp(sound)) / 2 for sound in sounds)  # the peak, whatever the offset
    if swing > MAX_PEAK:
        raise AudioError(f"expected samples of about 1 at full scale, got a peak of {swing:.3g}: damaged, or not sound")
    if swing < 10 ** (SILENCE_DBFS / 20):
        level = f"{20 * np.log10(swing):.0f} dBFS" if swing > 0 else "digital zero"
        raise AudioError(f"holds only silence: expected a peak above {SILENCE_DBFS:.0f} dBFS, got {level}")
    n_wanted = round(SHORT_DURATION_S * config.sample_rate)
    if n_samples < n_wanted:
        return [np.resize(np.concatenate(sounds), n_wanted)], True
    return [sound for sound in sounds if len(sound) >= MIN_DURATION_S * config.sample_rate], False


def _frame_values(samples: Floats, config: MelConfig) -> tuple[Floats, Floats]:
    """Every descriptor but the MFCC, ``(n_values, n_frames)``, and the mel power, ``(n_mels, n_frames)``."""
    power = power_spectrum(stft(samples, config.n_fft, config.hop_length, config.window))
    magnitude = np.sqrt(power)
    hz = fft_frequencies(config.sample_rate, config.n_fft)
    rows = [
        d.centroid(magnitude, hz),  # in the order of _SHAPES
        d.rolloff(magnitude, hz),
        d.bandwidth(magnitude, hz),
        d.flatness(magnitude),
        d.flux(magnitude),
        d.zero_crossing_rate(samples, config.n_fft, config.hop_length),
        d.rms(samples, config.n_fft, config.hop_length),
        *d.contrast(magnitude, hz, fmin_hz=CONTRAST_FMIN_HZ, n_bands=N_CONTRAST - 1),
        *d.chroma(power, config.sample_rate),
    ]
    return np.stack(rows), mel_power(power, config)


def _mfcc_statistics(cepstra: list[Floats], heard: np.ndarray) -> Floats:
    """The classical 60: mean, spread, and spread of the deltas; slopes never run from one window into the next."""
    values = np.concatenate(cepstra, axis=1)[:, heard]
    slopes = np.concatenate([d.delta(cepstrum) for cepstrum in cepstra], axis=1)[:, heard]
    return np.concatenate([values.mean(axis=1), values.std(axis=1), slopes.std(axis=1)])


def _frame_statistics(values: Floats) -> list[Floats]:
    """Mean and spread of the rows of `_frame_values`, group after group."""
    means, spreads = values.mean(axis=1), values.std(axis=1)
    statistics = []
    first = 0
    for n in (len(_SHAPES), N_CONTRAST, N_CHROMA):
        rows = np.arange(first, first + n)
        if first + n == len(values):  # chroma: the strongest pitch class first
            rows = rows[np.argsort(-means[rows], kind="stable")]
        statistics += [means[rows], spreads[rows]]
        first += n
    return statistics


def _rhythm_values(log_mels: list[Floats], config: MelConfig, short: bool) -> Floats:
    onsets = [] if short else [rhythm.onset_strength(mel) for mel in log_mels]  # repeating a note makes a false pulse
    bpm, clarity = rhythm.tempo(onsets, config.frames_per_s)
    pattern = rhythm.fluctuation_pattern(
        log_mels, config.frames_per_s, n_bands=N_FLUCTUATION_BANDS, n_modulations=N_FLUCTUATION_SPEEDS
    )
    return np.array([NO_TEMPO_BPM if np.isnan(bpm) else bpm, clarity, *pattern.ravel()], dtype=np.float32)


def _modulation_values(cepstra: list[Floats], config: MelConfig) -> Floats:
    return modulation.cepstral_modulation(cepstra, config.frames_per_s, n_bands=N_MODULATION_BANDS).ravel()
