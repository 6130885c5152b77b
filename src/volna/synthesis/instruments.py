"""Instruments: each function renders one note or one stroke, as float32 samples (n_samples,) around full scale.

Everything is written so that numpy does the loops. A held tone reads one period of a wave from a table; a string is a
table whose harmonics fade from period to period, which is what the loop of Karplus and Strong (1983) does, computed in
closed form.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

__all__ = ["bell", "crackle", "envelope", "held", "hertz", "kick", "noise_hit", "pluck", "spectrum", "tone_hit"]

Samples = npt.NDArray[np.float32]

TABLE = 4096  # points of a period
MAX_HARMONICS = 48


def hertz(midi: float) -> float:
    """Frequency of a MIDI note in Hz.

    Examples
    --------
    >>> hertz(69)
    440.0
    """
    return 440.0 * 2.0 ** ((midi - 69) / 12)


def envelope(n: int, sample_rate: int, attack_s: float, release_s: float, curve: float = 1.0) -> Samples:
    """A rise, a plateau and a fall over `n` samples, in [0, 1]; `curve` above 1 makes both steeper at the top."""
    t = np.arange(n, dtype=np.float32) / sample_rate
    rise = np.minimum(t / max(attack_s, 1e-3), 1.0)
    fall = np.clip((n / sample_rate - t) / max(release_s, 1e-3), 0.0, 1.0)
    return ((rise * fall) ** curve).astype(np.float32)


def spectrum(shape: str, brightness: float = 0.5) -> tuple[float, ...]:
    """Amplitudes of the harmonics of a wave: ``saw``, ``square``, ``pulse`` (1/8), ``triangle``, ``reed`` or ``soft``.

    `brightness` in [0, 1] sets how slowly the upper harmonics fall.
    """
    h = np.arange(1, MAX_HARMONICS + 1)
    amplitudes = {
        "saw": 1 / h,
        "square": (h % 2) / h,
        "pulse": np.abs(np.sin(np.pi * h / 8)) / h,
        "triangle": (h % 2) / h**2,
        "reed": np.exp(-(((h - 4) / 3) ** 2)) + 0.5 / h,
        "soft": 1 / h**2,
    }[shape]
    return tuple(amplitudes * np.exp(-(h - 1) * 0.5 * (1 - brightness) ** 2))


@lru_cache(maxsize=512)
def _period(amplitudes: tuple[float, ...], n_harmonics: int) -> Samples:
    spectrum_of_period = np.zeros(TABLE // 2 + 1, dtype=complex)
    # Phases that differ keep the peak low (Schroeder 1970); the ear hardly minds.
    h = np.arange(1, n_harmonics + 1)
    spectrum_of_period[1 : n_harmonics + 1] = np.array(amplitudes[:n_harmonics]) * np.exp(1j * np.pi * h * h / 16)
    wave = np.fft.irfft(spectrum_of_period)
    return (wave / np.abs(wave).max()).astype(np.float32)


def _n_harmonics(frequency_hz: float, sample_rate: int) -> int:
    return max(1, min(MAX_HARMONICS, int(0.45 * sample_rate / frequency_hz)))


def held(
    frequency_hz: float,
    n: int,
    sample_rate: int,
    amplitudes: tuple[float, ...],
    *,
    vibrato: float = 0.0,
    phase: float = 0.0,
) -> Samples:
    """A held tone of `n` samples with the given harmonics; `vibrato` is its depth as a share of the frequency."""
    table = _period(amplitudes, _n_harmonics(frequency_hz, sample_rate))
    turns = np.arange(n) * (frequency_hz / sample_rate) + phase
    if vibrato:
        rate_hz = 5.3
        t = np.arange(n, dtype=np.float32) * (2 * np.pi * rate_hz / sample_rate)
        turns += vibrato * frequency_hz / (2 * np.pi * rate_hz) * np.sin(t + 6 * phase)
    return table[(turns * TABLE).astype(np.int64) & (TABLE - 1)]


def pluck(
    frequency_hz: float,
    n: int,
    sample_rate: int,
    *,
    brightness: float = 0.5,
    damping: float = 1.0,
    position: float = 0.2,
) -> Samples:
    """A plucked or struck string of `n` samples.

    Harmonic h starts at ``|sin(pi h position)| / h**(2 - brightness)`` and falls by
    ``exp(-damping (1 + h**1.5 / 8) t)``: the upper ones die first.
    """
    h = np.arange(_n_harmonics(frequency_hz, sample_rate) + 1)
    start = np.abs(np.sin(np.pi * h * position)) / np.maximum(h, 1) ** (2 - brightness) * np.exp(2j * h * h)
    start[0] = 0
    n_periods = int(n * frequency_hz / sample_rate) + 2
    fade = np.exp(-damping * (1 + h**1.5 / 8) / frequency_hz)
    points = 4 * len(h)
    periods = np.fft.irfft(start * fade ** np.arange(n_periods)[:, None], n=points, axis=1)
    wave = np.interp(np.arange(n) * (frequency_hz * points / sample_rate), np.arange(periods.size), periods.ravel())
    return (wave / (np.abs(wave).max() + 1e-9)).astype(np.float32)


def bell(
    frequency_hz: float, n: int, sample_rate: int, *, ratio: float = 3.5, index: float = 2.0, decay: float = 3.0
) -> Samples:
    """A bell or an electric piano by frequency modulation (Chowning 1973), fading by ``exp(-decay t)``."""
    t = np.arange(n, dtype=np.float32) / sample_rate
    angle = np.float32(2 * np.pi * frequency_hz) * t
    wave = np.sin(angle + index * np.exp(-2 * decay * t) * np.sin(ratio * angle)) * np.exp(-decay * t)
    return wave.astype(np.float32)


def kick(sample_rate: int, *, low_hz: float = 50.0, punch: float = 0.5, length_s: float = 0.3) -> Samples:
    """A bass drum: a sine that falls to `low_hz`; `punch` in [0, 1] is how high it starts."""
    t = np.arange(int(length_s * sample_rate), dtype=np.float32) / sample_rate
    sweep = low_hz * t + (40 + 200 * punch) / 35 * (1 - np.exp(-35 * t))
    return (np.sin(2 * np.pi * sweep) * np.exp(-4 * t / length_s)).astype(np.float32)


def tone_hit(sample_rate: int, *, frequency_hz: float, length_s: float) -> Samples:
    """A tom, a timpani or the body of a snare: two modes of a membrane (ratio 1.59) that fade."""
    t = np.arange(int(length_s * sample_rate), dtype=np.float32) / sample_rate
    angle = np.float32(2 * np.pi * frequency_hz) * t
    return ((0.7 * np.sin(angle) + 0.3 * np.sin(1.59 * angle)) * np.exp(-5 * t / length_s)).astype(np.float32)


def noise_hit(
    rng: np.random.Generator,
    sample_rate: int,
    *,
    low_hz: float,
    high_hz: float,
    length_s: float,
    attack_s: float = 0.001,
) -> Samples:
    """A stroke of noise between two frequencies: a hat, a snare, a brush, a shaker, a clap."""
    n = int(length_s * sample_rate)
    bins = np.fft.rfft(rng.standard_normal(n))
    frequencies = np.fft.rfftfreq(n, 1 / sample_rate)
    bins *= 1 / (1 + (low_hz / np.maximum(frequencies, 1)) ** 4) / (1 + (frequencies / high_hz) ** 4)
    wave = np.fft.irfft(bins, n=n)
    t = np.arange(n) / sample_rate
    wave *= np.minimum(t / attack_s, 1) * np.exp(-5 * t / length_s)
    return (wave / (np.abs(wave).max() + 1e-9)).astype(np.float32)


def crackle(rng: np.random.Generator, n: int, sample_rate: int, *, per_second: float = 12.0) -> Samples:
    """The dust of an old record: rare clicks over a little hiss."""
    noise = 0.02 * rng.standard_normal(n).astype(np.float32)
    at = rng.integers(0, n, size=rng.poisson(per_second * n / sample_rate))
    noise[at] += rng.uniform(-1, 1, size=at.size).astype(np.float32)
    return noise
