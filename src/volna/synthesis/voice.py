"""Speech-like sound with no words in it: a source and a filter that move as those of a talker do.

A talker is drawn (pitch, its range, length of the vocal tract, pace, breath); phrases of syllables follow, each a
consonant (hiss, burst, nasal or none) and a vowel, with pauses between. The source is a train of pulses whose spectrum
falls by 12 dB an octave, or noise, or both; the filter is the product of four formants on their way from one target to
the next (Klatt 1980), put on in short-time spectra. For mixtures to learn from, and for the babble of many talkers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from volna.errors import InputError

__all__ = ["Talker", "speech_like", "talker"]

Samples = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]

CONTROL_S = 0.005  # step of everything that moves
LOWEST_HZ = 70.0  # a train of pulses has an offset, a voice none
LIP_HZ = 200.0  # above it the source falls by 6 dB an octave: 12 of the glottis less 6 of the lips' radiation
# Corners of the vowels of men (Peterson and Barney 1952): F1, F2, F3; vowels are drawn between them. F4 stands still.
VOWELS_HZ = np.array([[730, 1090, 2440], [530, 1840, 2480], [270, 2290, 3010], [570, 840, 2410], [300, 870, 2240],
                      [490, 1350, 1690], [660, 1720, 2410], [640, 1190, 2390]], float)  # fmt: skip
F4_HZ = 3500.0
WIDTHS_HZ = np.array([70.0, 100.0, 160.0, 250.0])
HISSES_HZ = ((4500.0, 2500.0), (2800.0, 1200.0), (6500.0, 3000.0), (1500.0, 1500.0))  # centre and width: s, sh, f, h
NASAL_HZ = np.array([280.0, 1100.0, 2300.0])
MAX_S = 3600.0


@dataclass(frozen=True)
class Talker:
    """One voice: pitch in Hz and its spread in octaves, length of the tract against a man's, pace, breath in [0, 1]."""

    pitch_hz: float
    liveliness: float
    tract: float
    pace: float
    breath: float


@dataclass
class _Score:
    """What moves, one value a control step: loudness of voice and hiss, pitch, formants ``(n, 3)``, centre of hiss."""

    voice: Doubles
    hiss: Doubles
    pitch: Doubles
    formants: Doubles
    centre: Doubles
    width: Doubles


def talker(rng: np.random.Generator) -> Talker:
    """A voice drawn at random: a man's, a woman's or a child's.

    Examples
    --------
    >>> 60 < talker(np.random.default_rng(0)).pitch_hz < 400
    True
    """
    deep = rng.random() < 0.5
    pitch = rng.uniform(80, 160) if deep else rng.uniform(150, 300)
    tract = rng.uniform(0.92, 1.05) if deep else rng.uniform(0.75, 0.92)
    return Talker(pitch, rng.uniform(0.08, 0.3), tract, rng.uniform(0.8, 1.3), rng.uniform(0.0, 0.3) ** 2)


def speech_like(duration_s: float = 3.0, sample_rate: int = 16_000, seed: int = 0, pauses: float = 1.0) -> Samples:
    """Speech-like sound of one talker.

    Parameters
    ----------
    duration_s : float
        Up to an hour.
    sample_rate : int
        Hz, at least 2000.
    seed : int
        Draws the talker and what is said.
    pauses : float
        Length of the pauses between phrases, relative to usual ones; 0 for none.

    Returns
    -------
    ndarray
        float32 ``(n_samples,)``, highest absolute sample 1.

    Raises
    ------
    InputError
        For a duration or rate out of range.

    Examples
    --------
    >>> speech_like(0.5, 8000, seed=3).shape
    (4000,)
    """
    if not 0 < duration_s <= MAX_S or sample_rate < 2000:
        raise InputError(f"expected up to {MAX_S:.0f} s at 2000 Hz or more, got {duration_s} s at {sample_rate} Hz")
    rng = np.random.default_rng(seed)
    n = max(1, round(duration_s * sample_rate))
    who = talker(rng)
    score = _score(who, rng, int(np.ceil(duration_s / CONTROL_S)) + 2, pauses)
    return _sung(score, who, rng, n, sample_rate)


def _score(who: Talker, rng: np.random.Generator, n_steps: int, pauses: float) -> _Score:
    """Phrases of syllables until there are enough control steps."""
    voice, hiss, pitch = (np.zeros(n_steps) for _ in range(3))
    formants, centre, width = np.tile(NASAL_HZ, (n_steps, 1)), np.full(n_steps, 4000.0), np.full(n_steps, 2000.0)
    score = _Score(voice, hiss, pitch, formants, centre, width)
    at, left = int(rng.integers(0, 60) * pauses), 0
    phrase_pitch = 1.0
    while at < n_steps:
        if left == 0:
            left, phrase_pitch = int(rng.integers(3, 14)), 2 ** rng.normal(0.1, 0.1)
            at += int(rng.uniform(20, 120) * pauses)
        at = _syllable(score, who, rng, at, phrase_pitch)
        phrase_pitch *= 0.97  # a phrase falls
        left -= 1
    score.pitch = np.where(score.pitch > 0, score.pitch, who.pitch_hz)
    for values, steps in ((score.voice, 5), (score.hiss, 3), (score.pitch, 13), (score.centre, 5), (score.width, 5)):
        values[:] = _smooth(values, steps)
    score.formants = np.stack([_smooth(column, 11) for column in score.formants.T], axis=1)
    return score


def _syllable(score: _Score, who: Talker, rng: np.random.Generator, at: int, phrase_pitch: float) -> int:
    """One consonant and one vowel from step `at` on; the step after them."""
    kind = rng.choice(["hiss", "burst", "nasal", "voiced", "none"], p=[0.25, 0.25, 0.2, 0.15, 0.15])
    loud = 10 ** (rng.normal(0, 3) / 20)
    length = max(2, int(rng.uniform(8, 22) / who.pace))
    if kind in ("hiss", "burst", "voiced"):
        centre, width = HISSES_HZ[rng.integers(len(HISSES_HZ))]
        quiet = length // 2 if kind == "burst" else 0
        part = slice(at + quiet, at + (quiet + 3 if kind == "burst" else length))
        score.hiss[part] = loud * rng.uniform(0.1, 0.6)
        score.centre[at : at + length], score.width[at : at + length] = centre / who.tract**0.5, width
        score.voice[at : at + length] = 0.3 * loud if kind == "voiced" else 0.0
        at += length
    elif kind == "nasal":
        score.voice[at : at + length] = 0.35 * loud
        score.formants[at : at + length] = NASAL_HZ / who.tract
        at += length
    pair = rng.integers(len(VOWELS_HZ), size=2)
    target = VOWELS_HZ[pair[0]] + rng.random() * (VOWELS_HZ[pair[1]] - VOWELS_HZ[pair[0]])
    length = max(6, int(rng.uniform(14, 44) / who.pace))
    part = slice(at, at + length)
    score.voice[part] = loud
    score.hiss[part] += loud * who.breath * 0.2
    n = len(score.pitch[part])
    turn = np.linspace(rng.normal(0, who.liveliness), rng.normal(0, who.liveliness), length)[:n]
    score.pitch[part] = who.pitch_hz * phrase_pitch * 2**turn
    score.formants[part] = target / who.tract
    return at + length


def _smooth(values: Doubles, n_steps: int) -> Doubles:
    """A moving mean, the ends continued."""
    half = n_steps // 2
    return np.convolve(np.pad(values, half, mode="edge"), np.ones(n_steps) / n_steps, "valid")


def _sung(score: _Score, who: Talker, rng: np.random.Generator, n: int, sample_rate: int) -> Samples:
    """Sources in time, filters in short-time spectra of 16 ms that overlap by three quarters."""
    step = max(1, round(CONTROL_S * 0.8 * sample_rate))
    n_fft = 4 * step
    n_frames = n // step + 4
    time_s = np.arange(n_frames) * step / sample_rate

    def at(values: Doubles, where_s: Doubles) -> Doubles:
        return np.interp(where_s, np.arange(len(values)) * CONTROL_S, values)

    moment_s = (np.arange(n_frames * step + n_fft) - n_fft / 2) / sample_rate
    phase = np.cumsum(at(score.pitch, moment_s) * (1 + 0.01 * rng.standard_normal(len(moment_s)))) / sample_rate
    voice = np.diff(np.floor(phase), prepend=0.0)  # one sample of 1 a period
    voice *= np.sqrt(sample_rate / np.maximum(at(score.pitch, moment_s), 1.0))
    hiss = rng.standard_normal(len(moment_s))
    f = np.asarray(np.fft.rfftfreq(n_fft, 1 / sample_rate), np.float64)
    formants = np.stack([at(column, time_s) for column in score.formants.T], axis=1)
    voiced = _vowel_filter(f, formants, who.tract) * at(score.voice, time_s)[:, None]
    centre, width = at(score.centre, time_s)[:, None], at(score.width, time_s)[:, None]
    hissed = at(score.hiss, time_s)[:, None] / (1 + ((f - centre) / (0.5 * width)) ** 2)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_fft) / n_fft)
    out = np.zeros((n_frames + 4) * step)
    for source, response in ((voice, voiced), (hiss, hissed)):
        frames = np.lib.stride_tricks.sliding_window_view(source, n_fft)[::step][:n_frames] * window
        shaped = np.fft.irfft(np.fft.rfft(frames, axis=1) * response[: len(frames)], n_fft, axis=1) * window
        for k in range(4):
            out[k * step : (k + len(frames)) * step] += shaped[:, k * step : (k + 1) * step].ravel()
    sound = out[n_fft // 2 : n_fft // 2 + n]
    highest = float(np.abs(sound).max())
    return (sound / highest if highest > 0 else sound).astype(np.float32)


def _vowel_filter(f: Doubles, formants: Doubles, tract: float) -> Doubles:
    """Magnitude of source slope and formants, ``(n_frames, n_bins)``."""
    slope = 1 / np.sqrt((1 + (f / LIP_HZ) ** 2) * (1 + (LOWEST_HZ / np.maximum(f, 1.0)) ** 4))
    response = slope[None].repeat(len(formants), axis=0)
    s = 2j * np.pi * f
    fourth = np.full((len(formants), 1), F4_HZ / tract)
    for centres, width in zip(np.hstack([formants, fourth]).T, WIDTHS_HZ, strict=True):
        w = 2 * np.pi * centres[:, None]
        response = response * np.abs(w**2 / (s**2 + s * 2 * np.pi * width + w**2))
    return response
