"""The discrete Fourier transform from its definition, and what windows leak: theory to hold the fast tools against.

``X[k] = sum over n of x[n] exp(-2 pi i k n / N)``: N products for each of N values, where the fast transform needs
about ``N log2 N``.

What a window does is the shape of its own transform (Harris 1978): a tone shows as a main lobe, so wide that nearer
tones melt into one, with side lobes that hide faint tones; and between two bins it reads too low, by the scalloping.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from volna.errors import InputError
from volna.features.frames import Floats, window_of

__all__ = [
    "PER_BIN",
    "Leakage",
    "TimesOfTransforms",
    "dft",
    "measured_leakage",
    "times_of_transforms",
    "window_response",
    "window_theory",
    "zoomed",
]

ROWS_AT_ONCE = 256  # of the matrix of the definition: N = 8192 would need 1 GB at once
SIZES = (64, 128, 256, 512, 1024, 2048)
N_THEORY, FINE = 1024, 64  # length of the window, points a bin
PER_BIN = 16  # values of a zoomed spectrum from one bin to the next
NEAR_BINS = 40  # how far from a peak its side lobes are looked for
HALF_POWER_DB = -3.0103


@dataclass(frozen=True)
class Leakage:
    """What a window does to a tone; widths in bins and Hz (``None`` in theory), levels in dB re the tone.

    ``main_lobe_bins`` from null to null, ``half_power_bins`` between the points 3 dB down, ``side_lobe_db`` the highest
    beside the main lobe, ``scalloping_db`` what is lost halfway between two bins (measured: where the tone does lie).
    """

    window: str
    main_lobe_bins: float
    half_power_bins: float
    side_lobe_db: float
    scalloping_db: float
    frequency_hz: float | None = None
    level_db: float | None = None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class TimesOfTransforms:
    """Seconds that one transform of each size took, by the definition and by the fast transform."""

    sizes: tuple[int, ...]
    definition_s: tuple[float, ...]
    fast_s: tuple[float, ...]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def dft(samples: ArrayLike) -> NDArray[np.complex128]:
    """The discrete Fourier transform by its sum, ``(n_samples,)`` to complex128 ``(n_samples,)``, unscaled.

    The turn ``k n`` is taken modulo N before it becomes an angle: a large one would cost its digits.

    Raises
    ------
    InputError
        When the samples are not one-dimensional, or none.

    Examples
    --------
    >>> dft([1.0, 0.0, 0.0, 0.0]).real
    array([1., 1., 1., 1.])
    """
    x = np.asarray(samples, dtype=np.float64)
    if x.ndim != 1 or not len(x):
        raise InputError(f"expected samples of shape (n_samples,), got shape {x.shape}")
    n = np.arange(len(x), dtype=np.int64)
    turns = np.exp(-2j * np.pi * n / len(x))  # the only values that the turns take
    out = np.empty(len(x), dtype=np.complex128)
    for first in range(0, len(x), ROWS_AT_ONCE):
        k = n[first : first + ROWS_AT_ONCE, None]
        out[first : first + ROWS_AT_ONCE] = (turns[k * n % len(x)] * x).sum(axis=1)
    return out


def times_of_transforms(sizes: Sequence[int] = SIZES, *, repeats: int = 2) -> TimesOfTransforms:
    """Measure how long transforms of random numbers take, the best of some repeats each.

    Examples
    --------
    >>> times_of_transforms((8, 16)).sizes
    (8, 16)
    """
    rng = np.random.default_rng(0)
    sounds = [rng.standard_normal(n) for n in sizes]
    slow = tuple(_best_s(partial(dft, x), repeats) for x in sounds)
    fast = tuple(_best_s(partial(np.fft.fft, x), 10 * repeats) for x in sounds)
    return TimesOfTransforms(tuple(sizes), slow, fast)


def _best_s(work: Callable[[], object], repeats: int) -> float:
    best_s = np.inf
    for _ in range(repeats):
        started_s = time.perf_counter()
        work()
        best_s = min(best_s, time.perf_counter() - started_s)
    return float(best_s)


def window_theory(window: str) -> Leakage:
    """What a window does to a tone, from the window's own transform (Harris 1978, table 1).

    Examples
    --------
    >>> hann = window_theory("hann")
    >>> round(hann.main_lobe_bins, 1), round(hann.side_lobe_db, 1), round(hann.scalloping_db, 2)
    (4.0, -31.5, 1.42)
    """
    response_db, step = _window_response(window)
    null = _first_minimum(response_db)
    between = round(0.5 / step)
    return Leakage(
        window,
        main_lobe_bins=2 * null * step,
        half_power_bins=2 * _crossing(response_db) * step,
        side_lobe_db=float(response_db[null:].max()),
        scalloping_db=-float(response_db[between]),
    )


def _window_response(window: str) -> tuple[NDArray[np.float64], float]:
    """Level of a window's transform from its peak on, in dB, and how many bins lie between two values."""
    weights = np.asarray(window_of(window, N_THEORY), dtype=np.float64)
    response = np.abs(np.fft.rfft(weights, N_THEORY * FINE)) / weights.sum()
    return np.asarray(20.0 * np.log10(np.maximum(response, 1e-12)), dtype=np.float64), 1.0 / FINE


def window_response(window: str, n_bins: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The level that a window gives a tone so many bins away, ``-n_bins`` to ``n_bins``: bins, dB re its peak.

    Examples
    --------
    >>> bins, levels_db = window_response("rectangular", 2)
    >>> float(levels_db[bins == 0.0][0]), bool(levels_db[bins == 1.0][0] < -200)
    (0.0, True)
    """
    side, step = _window_response(window)
    side = side[: round(n_bins / step) + 1]
    bins = np.arange(1 - len(side), len(side), dtype=np.float64) * step
    return bins, np.concatenate([side[:0:-1], side])


def zoomed(samples: Floats, window: str) -> NDArray[np.float64]:
    """Level of one frame's spectrum in dB re a full-scale sine, 16 values a bin: ``(1 + 8 * n_samples,)``.

    Examples
    --------
    >>> tone = np.cos(2 * np.pi * 8 * np.arange(64) / 64).astype(np.float32)
    >>> round(float(zoomed(tone, "hann")[8 * 16]), 2) + 0.0
    0.0
    """
    weights = np.asarray(window_of(window, len(samples)), dtype=np.float64)
    spectrum = np.fft.rfft(samples * weights, len(samples) * PER_BIN) * (2.0 / weights.sum())
    return np.asarray(20.0 * np.log10(np.maximum(np.abs(spectrum), 1e-9)))


def measured_leakage(samples: Floats, sample_rate: float, window: str, near_hz: float) -> Leakage:
    """What a window makes of the tone of a frame that is nearest to a frequency.

    Other tones and noise count as side lobes: in a real sound they are what one sees.

    Parameters
    ----------
    samples : ndarray
        float32 ``(n_fft,)``, one frame.
    near_hz : float
        The tone is the highest point within a bin and a half of it.

    Examples
    --------
    >>> tone = np.sin(2 * np.pi * 1000 * np.arange(1024) / 8_000).astype(np.float32)
    >>> round(measured_leakage(tone, 8_000, "hann", 1000.0).side_lobe_db)
    -31
    """
    levels_db = zoomed(samples, window)
    around = PER_BIN * near_hz * len(samples) / sample_rate
    first = max(0, round(around - 1.5 * PER_BIN))
    top = first + int(np.argmax(levels_db[first : first + 3 * PER_BIN + 1]))
    right, left = levels_db[top:] - levels_db[top], levels_db[top::-1] - levels_db[top]
    nulls = _first_minimum(left), _first_minimum(right)
    beside = [
        side[null : NEAR_BINS * PER_BIN].max(initial=-np.inf) for side, null in zip((left, right), nulls, strict=True)
    ]
    at_bins = levels_db[::PER_BIN]
    nearest = min(round(top / PER_BIN), len(at_bins) - 1)
    return Leakage(
        window,
        main_lobe_bins=sum(nulls) / PER_BIN,
        half_power_bins=(_crossing(left) + _crossing(right)) / PER_BIN,
        side_lobe_db=float(max(beside)),
        scalloping_db=float(levels_db[top] - at_bins[nearest]),
        frequency_hz=top * sample_rate / (PER_BIN * len(samples)),
        level_db=float(levels_db[top]),
    )


def _first_minimum(levels_db: NDArray[np.float64]) -> int:
    """The first place from the peak on after which the level rises again."""
    rises = np.flatnonzero(np.diff(levels_db) > 0)
    return int(rises[0]) if len(rises) else len(levels_db) - 1


def _crossing(levels_db: NDArray[np.float64]) -> float:
    """Where the level first falls below half the power, between two values."""
    below = np.flatnonzero(levels_db - levels_db[0] < HALF_POWER_DB)
    if not len(below):
        return float(len(levels_db) - 1)
    k = int(below[0])
    return k - float((HALF_POWER_DB + levels_db[0] - levels_db[k]) / (levels_db[k - 1] - levels_db[k]))
