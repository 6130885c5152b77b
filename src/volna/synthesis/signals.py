"""Test signals: tones, chirps, coloured noise, click tracks, chords and vowels, each known exactly.

Every function returns mono float32 ``(n_samples,)`` whose highest absolute sample is 1, without fades; `synthesise`
chooses one by name, sets the level, fades the ends and lays out channels. Waves with corners are made from their
harmonics below half the sample rate, so nothing aliases.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from volna.errors import InputError

__all__ = [
    "CHORDS",
    "COLOURS",
    "FORMANTS_HZ",
    "KINDS",
    "SHAPES",
    "chirp",
    "chord",
    "chord_frequencies",
    "clicks",
    "noise",
    "synthesise",
    "tone",
    "vowel",
]

Samples = npt.NDArray[np.float32]

SHAPES = ("sine", "square", "saw", "triangle")
COLOURS = {"white": 0, "pink": -1, "brown": -2, "blue": 1, "violet": 2}  # power by frequency: f ** exponent
CHORDS = {
    "": (0, 4, 7), "m": (0, 3, 7), "7": (0, 4, 7, 10), "maj7": (0, 4, 7, 11), "m7": (0, 3, 7, 10), "6": (0, 4, 7, 9),
    "m6": (0, 3, 7, 9), "dim": (0, 3, 6), "dim7": (0, 3, 6, 9), "aug": (0, 4, 8), "sus2": (0, 2, 7), "sus4": (0, 5, 7),
    "5": (0, 7),
}  # fmt: skip
STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
# First three formants of men, Peterson and Barney (1952), and their bandwidths as usual in synthesis (Klatt 1980).
FORMANTS_HZ = {
    "a": (730, 1090, 2440), "e": (530, 1840, 2480), "i": (270, 2290, 3010), "o": (570, 840, 2410),
    "u": (300, 870, 2240),
}  # fmt: skip
BANDWIDTHS_HZ = (60.0, 90.0, 150.0)
POINTS_A_HARMONIC = 16  # of the table of one period: linear interpolation then errs by less than -60 dB
LOWEST_NOISE_HZ = 10.0  # coloured noise is level below: brown noise would otherwise be one slow drift
CLICK_HZ, CLICK_S = 1000.0, 0.03
MAX_SAMPLES = 1 << 30


def tone(
    frequencies_hz: Sequence[float] = (440.0,), duration_s: float = 3.0, sample_rate: int = 44100, shape: str = "sine"
) -> Samples:
    """One or more steady tones at equal strength.

    Parameters
    ----------
    frequencies_hz
        Each above 0 and below half the sample rate.
    shape : {"sine", "square", "saw", "triangle"}
        Fourier series up to half the sample rate, as printed in textbooks.

    Raises
    ------
    InputError
        For another shape, no frequency, or one out of range.

    Examples
    --------
    >>> tone([1000.0], 1.0, 8000).shape
    (8000,)
    """
    if shape not in SHAPES:
        raise InputError(f"shape: expected one of {', '.join(SHAPES)}, got {shape!r}")
    if not len(frequencies_hz):
        raise InputError("expected at least one frequency, got none")
    for frequency in frequencies_hz:
        _check_frequency(frequency, sample_rate)
    waves = [_periodic(f, duration_s, sample_rate, lambda h, _f: _series(shape, h)) for f in frequencies_hz]
    return _to_peak(np.sum(waves, axis=0))


def chirp(
    from_hz: float = 100.0,
    to_hz: float = 8000.0,
    duration_s: float = 3.0,
    sample_rate: int = 44100,
    sweep: str = "linear",
) -> Samples:
    """A sine whose frequency runs from one value to another, evenly in Hz or (``"log"``) in octaves.

    Examples
    --------
    >>> chirp(100, 3000, 2.0, 8000, "log").shape
    (16000,)
    """
    if sweep not in ("linear", "log"):
        raise InputError(f"sweep: expected linear or log, got {sweep!r}")
    _check_frequency(from_hz, sample_rate)
    _check_frequency(to_hz, sample_rate)
    n = _n_samples(duration_s, sample_rate)
    t = np.arange(n) / sample_rate
    if sweep == "linear" or from_hz == to_hz:
        turns = from_hz * t + (to_hz - from_hz) / (2 * duration_s) * t**2
    else:  # integral of from * (to / from) ** (t / duration)
        rate = np.log(to_hz / from_hz) / duration_s
        turns = from_hz * np.expm1(rate * t) / rate
    return _to_peak(np.sin(2 * np.pi * turns))


def noise(colour: str = "white", duration_s: float = 3.0, sample_rate: int = 44100, seed: int = 0) -> Samples:
    """Gaussian noise whose power density falls or rises with frequency.

    White 0, pink -3, brown -6, blue +3 and violet +6 dB an octave, from 10 Hz up; level below that.

    Examples
    --------
    >>> noise("pink", 0.5, 8000, seed=3).shape
    (4000,)
    """
    if colour not in COLOURS:
        raise InputError(f"colour: expected one of {', '.join(COLOURS)}, got {colour!r}")
    n = _n_samples(duration_s, sample_rate)
    bins = np.fft.rfft(np.random.default_rng(seed).standard_normal(n))
    frequencies = np.maximum(np.fft.rfftfreq(n, 1 / sample_rate), LOWEST_NOISE_HZ)
    bins *= (frequencies / LOWEST_NOISE_HZ) ** (COLOURS[colour] / 2)
    if n > 1:
        bins[0] = 0.0  # no offset
    return _to_peak(np.fft.irfft(bins, n))


def clicks(bpm: float = 120.0, duration_s: float = 3.0, sample_rate: int = 44100, accent: int = 0) -> Samples:
    """A metronome: bursts of 1 kHz that fade within 30 ms, from time 0 on.

    Parameters
    ----------
    bpm
        Clicks a minute, above 0 to 1200.
    accent
        Every so many clicks one an octave higher and twice as strong, beginning with the first; 0 for none.
    """
    if not 0 < bpm <= 1200:
        raise InputError(f"expected 0 to 1200 clicks a minute, got {bpm}")
    n = _n_samples(duration_s, sample_rate)
    samples = np.zeros(n)
    t = np.arange(round(CLICK_S * sample_rate)) / sample_rate
    for k, start in enumerate(np.arange(0, duration_s, 60 / bpm)):
        strong = accent > 0 and k % accent == 0
        frequency = min(CLICK_HZ * (2 if strong else 1), sample_rate / 4)
        burst = (2 if strong else 1) * np.sin(2 * np.pi * frequency * t) * np.exp(-5 * t / CLICK_S) * (1 - t / CLICK_S)
        begin = round(start * sample_rate)
        samples[begin : begin + len(burst)] += burst[: n - begin]
    return _to_peak(samples)


def chord(notes: str = "C", duration_s: float = 3.0, sample_rate: int = 44100, shape: str = "triangle") -> Samples:
    """A chord by its name (``Am7``) or its notes (``C4 E4 G4``), see `chord_frequencies`.

    Examples
    --------
    >>> chord("Am", 0.5, 8000).shape
    (4000,)
    """
    return tone(chord_frequencies(notes), duration_s, sample_rate, shape)


def chord_frequencies(notes: str) -> list[float]:
    """Frequencies in Hz, equal temperament with A4 at 440 Hz; a chord by name stands on the fourth octave.

    Raises
    ------
    InputError
        The text is neither the name of a chord nor a row of notes.

    Examples
    --------
    >>> [round(f, 1) for f in chord_frequencies("Am")]
    [440.0, 523.3, 659.3]
    >>> [round(f, 1) for f in chord_frequencies("A3 C#4")]
    [220.0, 277.2]
    """
    words = notes.replace(",", " ").split()
    if len(words) == 1 and (match := re.fullmatch(r"([A-Ga-g])([#b]?)(.*)", words[0])) and match[3] in CHORDS:
        root = _midi(match[1], match[2], 4)
        return [_hertz(root + step) for step in CHORDS[match[3]]]
    found = [re.fullmatch(r"([A-Ga-g])([#b]?)(-?\d)", word) for word in words]
    if not found or not all(found):
        names = ", ".join(f"C{name}" for name in CHORDS)
        raise InputError(f"expected a chord such as {names}, or notes such as 'C4 E4 G4', got {notes!r}")
    return [_hertz(_midi(match[1], match[2], int(match[3]))) for match in found if match]


def vowel(name: str = "a", f0_hz: float = 120.0, duration_s: float = 3.0, sample_rate: int = 44100) -> Samples:
    """A vowel held on one pitch: harmonics that fall by 6 dB an octave, lifted by the three formants.

    The source falls by 12 dB an octave and the lips radiate with 6 dB an octave (Fant 1960); every formant is a
    resonance of two poles.

    Examples
    --------
    >>> vowel("i", 200.0, 0.5, 16000).shape
    (8000,)
    """
    if name not in FORMANTS_HZ:
        raise InputError(f"vowel: expected one of {', '.join(FORMANTS_HZ)}, got {name!r}")
    _check_frequency(f0_hz, sample_rate)

    def spectrum(h: npt.NDArray[np.float64], frequency: float) -> npt.NDArray[np.complex128]:
        s = 1j * h * frequency
        response: npt.NDArray[np.complex128] = (1.0 / h).astype(np.complex128)
        for centre, width in zip(FORMANTS_HZ[name], BANDWIDTHS_HZ, strict=True):
            response *= centre**2 / (s**2 + s * width + centre**2)
        return response

    return _to_peak(_periodic(f0_hz, duration_s, sample_rate, spectrum))


KINDS: dict[str, Callable[..., Samples]] = {
    "tone": tone, "chirp": chirp, "noise": noise, "clicks": clicks, "chord": chord, "vowel": vowel,
}  # fmt: skip


def synthesise(
    kind: str,
    *,
    duration_s: float = 3.0,
    sample_rate: int = 44100,
    n_channels: int = 1,
    level_db: float = -6.0,
    fade_s: float = 0.01,
    seed: int = 0,
    **options: Any,
) -> Samples:
    """A test signal by name, ready to be written.

    Parameters
    ----------
    kind
        A key of ``KINDS``; `options` are those of its function.
    level_db
        Of the highest sample, dBFS, at most 0.
    n_channels
        1 to 8, the same in each; noise is independent in each.
    fade_s
        Rise and fall at the ends (half a cosine), at most half the duration.

    Returns
    -------
    float32 ``(n_samples,)``, or ``(n_channels, n_samples)`` for more than one channel.

    Raises
    ------
    InputError
        For an unknown kind or option, and for numbers out of range.

    Examples
    --------
    >>> synthesise("noise", colour="pink", n_channels=2, duration_s=0.5, sample_rate=8000).shape
    (2, 4000)
    """
    if kind not in KINDS:
        raise InputError(f"expected one of {', '.join(KINDS)}, got {kind!r}")
    if not -200 <= level_db <= 0:
        raise InputError(f"expected a level of at most 0 dBFS, got {level_db}")
    if not 1 <= n_channels <= 8:
        raise InputError(f"expected 1 to 8 channels, got {n_channels}")
    n = _n_samples(duration_s, sample_rate)
    seeds = [{"seed": seed + k} for k in range(n_channels)] if kind == "noise" else [{}]
    try:
        waves = [KINDS[kind](duration_s=duration_s, sample_rate=sample_rate, **options, **extra) for extra in seeds]
    except TypeError as error:
        raise InputError(f"{kind}: {str(error).split(') ')[-1].split('() ')[-1]}") from error
    samples = np.stack(waves * (n_channels // len(waves))) * _fades(n, sample_rate, fade_s) * 10 ** (level_db / 20)
    out = samples.astype(np.float32)
    return out if n_channels > 1 else out[0]


def _fades(n: int, sample_rate: int, fade_s: float) -> npt.NDArray[np.float64]:
    n_fade = min(round(max(fade_s, 0.0) * sample_rate), n // 2)
    rise = 0.5 - 0.5 * np.cos(np.pi * (np.arange(n_fade) + 0.5) / max(n_fade, 1))
    return np.concatenate([rise, np.ones(n - 2 * n_fade), rise[::-1]])


def _series(shape: str, h: npt.NDArray[np.float64]) -> npt.NDArray[np.complex128]:
    """Coefficients of the Fourier series in sines: ``sum_h real(a_h) sin(h w t) + imag(a_h) cos(h w t)``."""
    odd = h % 2
    return {
        "sine": (h == 1) + 0j,
        "square": odd / h + 0j,
        "saw": -((-1) ** h) / h + 0j,
        "triangle": odd * np.where(h % 4 == 1, 1.0, -1.0) / h**2 + 0j,
    }[shape]


def _periodic(
    frequency_hz: float, duration_s: float, sample_rate: int, coefficients: Callable[..., npt.NDArray[np.complex128]]
) -> npt.NDArray[np.float64]:
    """A wave from the coefficients of its harmonics below half the rate, read from a table of one period."""
    n = _n_samples(duration_s, sample_rate)
    h = np.arange(1, max(1, int(np.ceil(sample_rate / 2 / frequency_hz)) - 1) + 1, dtype=np.float64)
    a = coefficients(h, frequency_hz)
    used = int(np.flatnonzero(np.abs(a)).max(initial=0)) + 1
    phase = np.arange(n) * (frequency_hz / sample_rate)
    if used <= 8:  # exact where it is cheap: a sine is a sine
        angles = 2 * np.pi * phase
        return np.sum([x.real * np.sin(k * angles) + x.imag * np.cos(k * angles) for k, x in zip(h, a[:used])], axis=0)  # noqa: B905
    size = 1 << int(np.ceil(np.log2(POINTS_A_HARMONIC * 2 * used)))
    bins = np.zeros(size // 2 + 1, dtype=complex)
    bins[1 : used + 1] = (a[:used].imag - 1j * a[:used].real) * size / 2
    table = np.fft.irfft(bins)
    place = (phase % 1.0) * size
    left = place.astype(np.int64)
    share = place - left
    return table[left % size] * (1 - share) + table[(left + 1) % size] * share


def _to_peak(samples: npt.NDArray[Any]) -> Samples:
    highest = float(np.max(np.abs(samples)))
    return (samples / highest if highest > 0 else samples).astype(np.float32)


def _n_samples(duration_s: float, sample_rate: int) -> int:
    if not 100 <= sample_rate <= 768_000:
        raise InputError(f"expected a sample rate of 100 to 768000 Hz, got {sample_rate}")
    if not (0 < duration_s < np.inf and 1 <= round(duration_s * sample_rate) <= MAX_SAMPLES):
        raise InputError(f"expected a duration above 0 s and of at most {MAX_SAMPLES} samples, got {duration_s} s")
    return round(duration_s * sample_rate)


def _check_frequency(frequency_hz: float, sample_rate: int) -> None:
    if not 0 < frequency_hz < sample_rate / 2:
        half = f"{sample_rate / 2:g} Hz (half the sample rate)"
        raise InputError(f"expected frequencies above 0 and below {half}, got {frequency_hz:g} Hz")


def _midi(letter: str, sign: str, octave: int) -> int:
    return 12 * (octave + 1) + STEPS[letter.upper()] + {"#": 1, "b": -1, "": 0}[sign]


def _hertz(midi: float) -> float:
    from volna.synthesis.instruments import hertz

    return hertz(midi)
