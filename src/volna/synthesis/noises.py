"""Noises as they stand behind speech, made on the spot: to train a denoiser on, or to try one with.

Every kind is a family: the seed draws its colour, pace and parts, so that no two are alike. All give float32
``(n_samples,)`` whose highest absolute sample is 1.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from volna.errors import InputError
from volna.synthesis.voice import speech_like

__all__ = ["NOISES", "noise_like"]

Samples = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Rng = np.random.Generator

LOWEST_HZ = 30.0


def noise_like(kind: str, duration_s: float = 3.0, sample_rate: int = 16_000, seed: int = 0) -> Samples:
    """A noise of one kind.

    Parameters
    ----------
    kind : str
        A key of ``NOISES``.
    duration_s, sample_rate
        At least 2000 Hz.
    seed : int
        Draws which noise of its kind it is.

    Raises
    ------
    InputError
        For an unknown kind, and numbers out of range.

    Examples
    --------
    >>> noise_like("rain", 0.5, 8000, seed=1).shape
    (4000,)
    """
    if kind not in NOISES:
        raise InputError(f"expected a noise out of {', '.join(NOISES)}, got {kind!r}")
    if not 0 < duration_s <= 3600 or sample_rate < 2000:
        raise InputError(f"expected up to an hour at 2000 Hz or more, got {duration_s} s at {sample_rate} Hz")
    n = max(1, round(duration_s * sample_rate))
    wave = NOISES[kind](n, sample_rate, np.random.default_rng(seed))[:n]
    highest = float(np.abs(wave).max())
    return (wave / highest if highest > 0 else wave).astype(np.float32)


# --- parts


def _coloured(n: int, sample_rate: int, rng: Rng, gain: Callable[[Doubles], Doubles]) -> Doubles:
    """Gaussian noise with a magnitude over frequency, root mean square 1."""
    f = np.maximum(np.fft.rfftfreq(n, 1 / sample_rate), 1.0)
    bins = np.fft.rfft(rng.standard_normal(n)) * gain(f) * (f > LOWEST_HZ)
    return _unit(np.fft.irfft(bins, n))


def _unit(x: Doubles) -> Doubles:
    level = float(np.sqrt(np.mean(x * x)))
    return x / level if level > 0 else x


def _curve(rng: Rng, slope: float, spread_db: float, per_octave: float = 1.5) -> Callable[[Doubles], Doubles]:
    """A random magnitude: `slope` dB an octave, and bends of `spread_db` on the way."""
    knots = np.arange(np.log2(LOWEST_HZ), np.log2(24_000), 1 / per_octave)
    levels = slope * (knots - knots[0]) + rng.normal(0, spread_db, len(knots))
    return lambda f: 10 ** (np.interp(np.log2(f), knots, levels) / 20)


def _band(low_hz: float, high_hz: float) -> Callable[[Doubles], Doubles]:
    return lambda f: 1 / np.sqrt((1 + (low_hz / f) ** 4) * (1 + (f / high_hz) ** 4))


def _wander(n: int, sample_rate: int, rng: Rng, rate_hz: float, depth_db: float) -> Doubles:
    """A loudness that drifts: normal in dB, new every ``1 / rate_hz`` seconds."""
    knots = max(2, int(n / sample_rate * rate_hz) + 2)
    levels = np.interp(np.linspace(0, knots - 1, n), np.arange(knots), rng.normal(0, depth_db, knots))
    return 10 ** (levels / 20)


def _harmonics(n: int, sample_rate: int, rng: Rng, f0: Doubles | float, n_partials: int, fall_db: float) -> Doubles:
    """Partials of a pitch that may move, each at a random level around a fall with its number."""
    turns = np.cumsum(np.broadcast_to(f0, n)) / sample_rate
    out = np.zeros(n)
    highest = float(np.max(f0))
    for k in range(1, n_partials + 1):
        if k * highest > 0.49 * sample_rate:
            break
        out += 10 ** ((-fall_db * np.log2(k) + rng.normal(0, 4)) / 20) * np.sin(2 * np.pi * (k * turns + rng.random()))
    return _unit(out)


def _strikes(
    n: int, sample_rate: int, rng: Rng, times_s: Doubles, ring_hz: tuple[float, float], decay_s: tuple[float, float]
) -> Doubles:
    """Resonant knocks at some times: three decaying modes each, of one thing that is struck again and again."""
    modes = rng.uniform(*ring_hz, size=3)
    decays = rng.uniform(*decay_s, size=3)
    t = np.arange(max(2, round(4 * decays.max() * sample_rate))) / sample_rate
    knock = sum(np.exp(-t / d) * np.sin(2 * np.pi * min(m, 0.45 * sample_rate) * t) for m, d in zip(modes, decays))  # noqa: B905
    hits = np.zeros(n)
    places = np.minimum((times_s * sample_rate).astype(int), n - 1)
    np.add.at(hits, places, 10 ** (rng.normal(0, 4, len(places)) / 20))
    return _unit(_convolved(hits, np.asarray(knock)))


def _convolved(x: Doubles, response: Doubles) -> Doubles:
    size = 1 << int(np.ceil(np.log2(len(x) + len(response))))
    return np.fft.irfft(np.fft.rfft(x, size) * np.fft.rfft(response, size), size)[: len(x)]


def _at_random(rng: Rng, rate_hz: float, duration_s: float) -> Doubles:
    return np.sort(rng.uniform(0, duration_s, max(1, rng.poisson(rate_hz * duration_s))))


def _every(rng: Rng, period_s: float, duration_s: float, jitter: float = 0.03) -> Doubles:
    times = np.arange(rng.random() * period_s, max(duration_s, 1.01 * period_s), period_s)
    return np.clip(times + rng.normal(0, jitter * period_s, len(times)), 0, duration_s)


# --- kinds


def _hiss(n: int, sample_rate: int, rng: Rng) -> Doubles:
    """Steady noise of any colour."""
    return _coloured(n, sample_rate, rng, _curve(rng, rng.uniform(-7, 2), rng.uniform(0, 6)))


def _swell(n: int, sample_rate: int, rng: Rng) -> Doubles:
    """Noise of any colour that comes and goes, its bands by themselves."""
    parts = [_hiss(n, sample_rate, rng) * _wander(n, sample_rate, rng, rng.uniform(0.3, 6), rng.uniform(2, 7))
             for _ in range(2)]  # fmt: skip
    return parts[0] + rng.uniform(0, 1) * parts[1]


def _car(n: int, sample_rate: int, rng: Rng) -> Doubles:
    """Inside a moving car: rumble that falls steeply, the engine's partials, some hiss of the road."""
    rumble = _coloured(n, sample_rate, rng, _curve(rng, rng.uniform(-9, -4), 3))
    engine = _harmonics(n, sample_rate, rng, rng.uniform(25, 70) * _wander(n, sample_rate, rng, 0.5, 0.5), 16, 5)
    road = _coloured(n, sample_rate, rng, _band(300, rng.uniform(1000, 3000)))
    road *= _wander(n, sample_rate, rng, 2, 2)
    return rumble + rng.uniform(0, 0.6) * engine + rng.uniform(0.1, 0.7) * road


def _street(n: int, sample_rate: int, rng: Rng) -> Doubles:
    """Cars that pass, over a distant rumble, at times a horn or steps."""
    duration_s = n / sample_rate
    t = np.arange(n) / sample_rate
    out = _coloured(n, sample_rate, rng, _curve(rng, rng.uniform(-6, -3), 3)) * _wander(n, sample_rate, rng, 1, 2)
    for when in _at_random(rng, 0.4, duration_s):
        near = 1 / (1 + ((t - when) / rng.uniform(0.4, 2.0)) ** 2)
        out += rng.uniform(0.5, 3) * near * _coloured(n, sample_rate, rng, _band(100, rng.uniform(800, 4000)))
    if rng.random() < 0.2:
        sounding = (t > rng.random() * duration_s) & (t % 1.0 < rng.uniform(0.2, 0.8))
        out += rng.uniform(0.3, 2) * sounding * _harmonics(n, sample_rate, rng, rng.uniform(300, 600), 10, 3)
    if rng.random() < 0.4:
        out += rng.uniform(0.1, 0.6) * _strikes(
            n, sample_rate, rng, _every(rng, 0.55, duration_s), (200, 2500), (0.01, 0.03)
        )
    return out


def _train(n: int, sample_rate: int, rng: Rng) -> Doubles:
    """In or beside a train: rumble, wheels over the joints of the rails, rattling, a squeal."""
    duration_s = n / sample_rate
    out = _coloured(n, sample_rate, rng, _curve(rng, rng.uniform(-6, -2), 4)) * _wander(n, sample_rate, rng, 2, 2)
    period_s = rng.uniform(0.3, 1.2)
    beats = np.concatenate([_every(rng, period_s, duration_s), _every(rng, period_s, duration_s) + 0.1 * period_s])
    out += rng.uniform(0.3, 1.5) * _strikes(n, sample_rate, rng, beats, (80, 900), (0.02, 0.08))
    out += rng.uniform(0, 0.6) * _strikes(
        n, sample_rate, rng, _at_random(rng, 25, duration_s), (500, 4000), (0.003, 0.02)
    )
    if rng.random() < 0.3:
        squeal = rng.uniform(800, 3000) * _wander(n, sample_rate, rng, 1, 0.3)
        out += (
            rng.uniform(0.1, 0.6) * _harmonics(n, sample_rate, rng, squeal, 2, 6) * _wander(n, sample_rate, rng, 1, 8)
        )
    return out


def _machinery(n: int, sample_rate: int, rng: Rng) -> Doubles:
    """A motor and what it drives: partials, strikes at its turns, noise in step with it."""
    duration_s, turns_hz = n / sample_rate, rng.uniform(2, 25)
    motor = _harmonics(n, sample_rate, rng, rng.uniform(40, 400), 30, rng.uniform(1, 6))
    strikes = _strikes(n, sample_rate, rng, _every(rng, 1 / turns_hz, duration_s), (150, 5000), (0.003, 0.03))
    step = 1 + rng.uniform(0, 0.9) * np.sin(2 * np.pi * turns_hz * np.arange(n) / sample_rate)
    return (
        rng.uniform(0, 1) * motor
        + rng.uniform(0, 1.2) * strikes
        + rng.uniform(0.3, 1) * step * _hiss(n, sample_rate, rng)
    )


def _fan(n: int, sample_rate: int, rng: Rng) -> Doubles:
    """A fan: broad noise and the tone of the blades."""
    air = _coloured(n, sample_rate, rng, _curve(rng, rng.uniform(-5, -1), 3))
    return air + rng.uniform(0, 0.5) * _harmonics(n, sample_rate, rng, rng.uniform(60, 500), 8, 8)


def _hum(n: int, sample_rate: int, rng: Rng) -> Doubles:
    """The mains and its partials, with a little hiss."""
    tone = _harmonics(n, sample_rate, rng, rng.choice([50.0, 60.0, 100.0, 120.0]), 40, rng.uniform(1, 6))
    return tone + rng.uniform(0.02, 0.4) * _hiss(n, sample_rate, rng)


def _rain(n: int, sample_rate: int, rng: Rng) -> Doubles:
    """Drops without number over a hiss."""
    drops = np.zeros(n)
    places = rng.integers(0, n, max(1, int(n / sample_rate * rng.uniform(50, 800))))
    np.add.at(drops, places, rng.exponential(1.0, len(places)) ** 1.5)
    t = np.arange(max(2, round(0.004 * sample_rate))) / sample_rate
    drop = np.exp(-t / 0.0007) * np.sin(2 * np.pi * min(rng.uniform(800, 4000), 0.45 * sample_rate) * t)
    hiss = _coloured(n, sample_rate, rng, _curve(rng, rng.uniform(-1, 2), 3))
    return _unit(_convolved(drops, drop)) + rng.uniform(0.3, 1.5) * hiss


def _wind(n: int, sample_rate: int, rng: Rng) -> Doubles:
    """Gusts at a microphone: low, and never still."""
    low = _coloured(n, sample_rate, rng, lambda f: 1 / (1 + (f / rng.uniform(60, 300)) ** 1.5))
    return low * _wander(n, sample_rate, rng, 2, 6) + 0.05 * _hiss(n, sample_rate, rng)


def _clatter(n: int, sample_rate: int, rng: Rng) -> Doubles:
    """Knocks, keys and dishes, one after another, over a quiet room."""
    duration_s = n / sample_rate
    out = rng.uniform(0.02, 0.2) * _hiss(n, sample_rate, rng)
    for _ in range(int(rng.integers(1, 4))):
        times = _at_random(rng, rng.uniform(0.7, 8), duration_s)
        out += rng.uniform(0.4, 1) * _strikes(n, sample_rate, rng, times, (300, 6000), (0.002, 0.06))
    return out


def _babble(n: int, sample_rate: int, rng: Rng) -> Doubles:
    """Many talk at once, some nearer than others, in a room that hums a little."""
    out = rng.uniform(0.02, 0.3) * _coloured(n, sample_rate, rng, _curve(rng, rng.uniform(-6, -3), 2))
    n_talkers = int(rng.integers(4, 9))
    for _ in range(n_talkers):
        voice = speech_like(n / sample_rate + 0.01, sample_rate, int(rng.integers(1 << 31)), 0.5)[:n]
        out += 10 ** (rng.normal(0, 3) / 20) * _unit(voice.astype(np.float64)) / np.sqrt(n_talkers)
    return out


def _tune(n: int, sample_rate: int, rng: Rng) -> Doubles:
    """Chords that change, as music from the next room."""
    out, at = np.zeros(n), 0
    while at < n:
        length = min(n - at, max(1, round(rng.uniform(0.15, 0.8) * sample_rate)))
        fade = np.minimum(1, np.arange(length) / max(1, 0.01 * sample_rate)) * np.exp(-np.arange(length) / sample_rate)
        for note in 110 * 2 ** (rng.integers(0, 36, size=int(rng.integers(1, 4))) / 12):
            out[at : at + length] += fade * _harmonics(length, sample_rate, rng, float(note), 8, rng.uniform(4, 10))
        at += length
    return out + 0.05 * _hiss(n, sample_rate, rng)


NOISES: dict[str, Callable[[int, int, Rng], Doubles]] = {
    "hiss": _hiss, "swell": _swell, "car": _car, "street": _street, "train": _train, "machinery": _machinery,
    "fan": _fan, "hum": _hum, "rain": _rain, "wind": _wind, "clatter": _clatter, "babble": _babble, "tune": _tune,
}  # fmt: skip
