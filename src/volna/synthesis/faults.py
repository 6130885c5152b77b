"""Faults of recordings, put into a sound on purpose: to try a detector on, or an ear.

Every function takes float samples ``(n_channels, n_samples)`` or ``(n_samples,)`` and gives float32 of the same shape.
Places are drawn from a seed and are returned by none: compare with the original where they matter.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from volna.audio.signal import level_db, resample
from volna.errors import InputError

__all__ = [
    "FAULTS",
    "band_limit",
    "clicks",
    "clip",
    "dead_channel",
    "dropouts",
    "frozen",
    "hum",
    "inverted_channel",
    "low_level",
    "noise",
    "offset",
    "silence",
    "whistle",
]

Samples = npt.NDArray[np.float32]

HUM_FALL = 0.7  # amplitude of every harmonic against the one before
EDGE_SHARE = 0.05  # of the duration, at both ends, without gaps and clicks


def clip(samples: npt.NDArray[Any], drive_db: float = 6.0, rescale_db: float = 0.0) -> Samples:
    """Cut the peaks off at `drive_db` below the highest, then change the level by `rescale_db`."""
    rail = np.abs(samples).max() * 10 ** (-drive_db / 20)
    return _as_float32(np.clip(samples, -rail, rail) * 10 ** (rescale_db / 20))


def hum(
    samples: npt.NDArray[Any], sample_rate: int, level: float = -20.0, mains_hz: float = 50.0, n_harmonics: int = 5
) -> Samples:
    """Add the mains and its harmonics at `level` dB against the sound's own level."""
    t = np.arange(samples.shape[-1]) / sample_rate
    wave = sum(HUM_FALL**k * np.sin(2 * np.pi * (k + 1) * mains_hz * t + k) for k in range(n_harmonics))
    return _added(samples, np.asarray(wave), level)


def whistle(samples: npt.NDArray[Any], sample_rate: int, level: float = -30.0, frequency_hz: float = 1000.0) -> Samples:
    """Add a steady tone at `level` dB against the sound's own level."""
    wave = np.sin(2 * np.pi * frequency_hz / sample_rate * np.arange(samples.shape[-1]))
    return _added(samples, wave, level)


def noise(samples: npt.NDArray[Any], snr_db: float = 10.0, seed: int = 0) -> Samples:
    """Add white noise, independent in each channel, `snr_db` below the sound's own level."""
    return _added(samples, np.random.default_rng(seed).standard_normal(samples.shape), -snr_db)


def dropouts(
    samples: npt.NDArray[Any], sample_rate: int, duration_s: float = 0.03, count: int = 4, seed: int = 0
) -> Samples:
    """Replace short stretches by zeros, where there is sound, in all channels at once."""
    out = _copy(samples)
    for at in _places(samples, sample_rate, count, seed, duration_s):
        out[..., at : at + round(duration_s * sample_rate)] = 0.0
    return out


def frozen(
    samples: npt.NDArray[Any], sample_rate: int, duration_s: float = 0.03, count: int = 4, seed: int = 0
) -> Samples:
    """Hold a sample for a short stretch, where there is sound, in all channels at once."""
    out = _copy(samples)
    for at in _places(samples, sample_rate, count, seed, duration_s):
        out[..., at : at + round(duration_s * sample_rate)] = out[..., at, None] if out.ndim > 1 else out[at]
    return out


def silence(samples: npt.NDArray[Any], sample_rate: int, duration_s: float = 2.0, seed: int = 0) -> Samples:
    """Replace one long stretch by zeros."""
    return dropouts(samples, sample_rate, duration_s, 1, seed)


def clicks(
    samples: npt.NDArray[Any], sample_rate: int, height: float = 0.5, count: int = 5, width: int = 2, seed: int = 0
) -> Samples:
    """Add spikes of `width` samples and random sign, `height` times the sound's highest sample, in all channels."""
    rng = np.random.default_rng(seed + 1)
    out = _copy(samples)
    for at in _places(samples, sample_rate, count, seed, 0.01):
        out[..., at : at + width] += rng.choice([-1, 1]) * height * np.abs(samples).max()
    return _as_float32(np.clip(out, -1, 1))


def offset(samples: npt.NDArray[Any], by: float = 0.05) -> Samples:
    """Add a constant; the sound is made quieter where it would not fit."""
    highest = float(np.abs(samples).max())
    gain = min(1.0, (1.0 - abs(by)) / highest) if highest > 0 else 1.0
    return _as_float32(samples * gain + by)


def dead_channel(samples: npt.NDArray[Any], channel: int = 1) -> Samples:
    """Make one channel silent; mono becomes two channels."""
    out = _stereo(samples)
    out[channel] = 0.0
    return out


def inverted_channel(samples: npt.NDArray[Any], channel: int = 1) -> Samples:
    """Turn the polarity of one channel; mono becomes two channels."""
    out = _stereo(samples)
    out[channel] *= -1.0
    return out


def low_level(samples: npt.NDArray[Any], peak_db: float = -45.0) -> Samples:
    """Bring the highest sample to `peak_db` dBFS, in 16 bits, as a recording with the gain turned down."""
    highest = float(np.abs(samples).max())
    quiet = samples * (10 ** (peak_db / 20) / highest if highest > 0 else 1.0)
    return _as_float32(np.rint(quiet * 32768) / 32768)


def band_limit(samples: npt.NDArray[Any], sample_rate: int, to_hz: float = 8000.0) -> Samples:
    """Resample to a lower rate and back, so that nothing is left above half of it, `to_hz`."""
    there = resample(samples, sample_rate, 2 * to_hz)
    back = resample(there, 2 * to_hz, sample_rate)
    out: Samples = np.zeros_like(samples, dtype=np.float32)
    n = min(np.shape(back)[-1], np.shape(samples)[-1])
    out[..., :n] = back[..., :n]
    return out


FAULTS: dict[str, Callable[..., Samples]] = {
    "clip": clip, "hum": hum, "whistle": whistle, "dropouts": dropouts, "frozen": frozen, "silence": silence,
    "clicks": clicks, "offset": offset, "dead_channel": dead_channel, "inverted_channel": inverted_channel,
    "low_level": low_level, "band_limit": band_limit, "noise": noise,
}  # fmt: skip


def _added(samples: npt.NDArray[Any], wave: npt.NDArray[Any], level: float) -> Samples:
    """The sound with a wave at `level` dB against it, made quieter together where the sum would not fit."""
    gain = 10 ** ((level_db(samples) + level - level_db(wave)) / 20)
    mixed = samples + gain * wave
    highest = float(np.abs(mixed).max())
    return _as_float32(mixed / max(1.0, highest))


def _places(samples: npt.NDArray[Any], sample_rate: int, count: int, seed: int, duration_s: float) -> list[int]:
    """Starts of `count` stretches away from the ends, apart from one another, beginning and ending in sound."""
    n, length = samples.shape[-1], max(1, round(duration_s * sample_rate))
    mono = np.abs(np.atleast_2d(samples)).max(axis=0)
    around = max(1, round(0.01 * sample_rate))
    level = np.sqrt(np.convolve(mono**2, np.ones(around) / around, mode="same"))
    sounding = level > 0.5 * np.sqrt(np.mean(mono**2))
    margin = max(around, round(EDGE_SHARE * n))
    starts = np.arange(margin, n - margin - length)
    good = starts[sounding[starts] & sounding[starts - around // 2] & sounding[starts + length + around // 2]]
    rng, chosen = np.random.default_rng(seed), list[int]()
    for at in rng.permutation(good):
        if all(abs(int(at) - other) > 2 * length + sample_rate // 10 for other in chosen):
            chosen.append(int(at))
        if len(chosen) == count:
            return chosen
    if not chosen:
        raise InputError(f"expected sound around a stretch of {duration_s} s, found none")
    return chosen


def _copy(samples: npt.NDArray[Any]) -> Samples:
    return np.array(samples, np.float32)


def _stereo(samples: npt.NDArray[Any]) -> Samples:
    return (
        np.repeat(np.atleast_2d(samples), 2, axis=0)[:2].astype(np.float32)
        if np.ndim(samples) == 1 or len(samples) == 1
        else _copy(samples)
    )


def _as_float32(samples: npt.NDArray[Any]) -> Samples:
    return samples.astype(np.float32)
