"""Sampling and quantisation, and what they cost: fewer bits with and without dither, samples taken without a filter.

Conventions: samples are floating point in [-1, 1], one or several channels. A quantiser of N bits has the step
``2 / 2^N``. From 2 bits on it is that of PCM files, mid-tread: values ``k / 2^(N-1)`` for whole k from ``-2^(N-1)`` to
``2^(N-1) - 1``, so that zero is a value and the top step is missing. At 1 bit that would be -1 and 0; the quantiser is
mid-rise there, -0.5 and 0.5, as a one-bit converter's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volna.audio.signal import Samples
from volna.errors import InputError

__all__ = [
    "DITHER_DB",
    "MOST_BITS",
    "NoiseMeter",
    "expected_snr_db",
    "full_scale_snr_db",
    "quantise",
    "resample_blocks",
    "snr_db",
    "take_nearest",
]

MOST_BITS = 32
DITHER_DB = 10 * float(np.log10(3.0))  # TPDF dither adds twice the power of the rounding: three times in all, 4.77 dB

Floats = NDArray[np.float64]


def quantise(
    samples: NDArray[Any], bits: int, *, dither: bool = False, rng: np.random.Generator | None = None
) -> Floats:
    """Round samples to the values of an N-bit quantiser.

    Parameters
    ----------
    samples
        Floating point in [-1, 1], any shape; what lies beyond the outermost values is clipped to them.
    bits
        1 to 32.
    dither
        Add noise of triangular distribution (TPDF) one step wide to either side before rounding, which makes the error
        noise of constant power instead of distortion (Lipshitz, Wannamaker and Vanderkooy, "Quantization and Dither: A
        Theoretical Survey", JAES 40, 1992).
    rng
        Where the dither comes from; seeded with 0 by default.

    Returns
    -------
    ndarray
        float64, same shape. In float64 because float32 holds 25 bits at most.

    Raises
    ------
    InputError
        For another number of bits.

    Examples
    --------
    >>> quantise(np.array([-1.0, -0.3, 0.1, 0.3, 1.0]), 3).tolist()
    [-1.0, -0.25, 0.0, 0.25, 0.75]
    >>> quantise(np.array([-0.9, 0.0, 0.1]), 1).tolist()
    [-0.5, 0.5, 0.5]
    """
    _check_bits(bits)
    half = 2.0 ** (bits - 1)
    steps = np.asarray(samples, np.float64) * half
    if dither:
        rng = rng or np.random.default_rng(0)
        steps = steps + (rng.random(steps.shape) + rng.random(steps.shape) - 1.0)
    if bits == 1:
        return np.where(steps >= 0, 0.5, -0.5)
    return np.clip(np.rint(steps), -half, half - 1) / half


def _check_bits(bits: int) -> None:
    if not 1 <= bits <= MOST_BITS:
        raise InputError(f"expected 1 to {MOST_BITS} bits, got {bits}")


def full_scale_snr_db(bits: int, *, dither: bool = False) -> float:
    """Signal-to-noise ratio of a full-scale sine after an ideal N-bit quantiser, in dB: 6.02 N + 1.76.

    The sine has the power 1/2, the rounding error, taken as uniform over a step, ``step^2 / 12``; with TPDF dither the
    noise is three times that (W. R. Bennett, "Spectra of Quantized Signals", 1948).

    Examples
    --------
    >>> round(full_scale_snr_db(16), 2), round(full_scale_snr_db(16, dither=True), 2)
    (98.09, 93.32)
    """
    _check_bits(bits)
    return float(20 * bits * np.log10(2.0) + 10 * np.log10(1.5)) - (DITHER_DB if dither else 0.0)


def expected_snr_db(bits: int, rms: float, *, dither: bool = False) -> float:
    """What `full_scale_snr_db` becomes for a sound of another level: as many dB less as it is below a full-scale sine.

    Parameters
    ----------
    rms
        Root mean square of the samples; a full-scale sine has 0.7071. Zero gives minus infinity.

    Examples
    --------
    >>> round(expected_snr_db(8, 0.07071), 2)
    29.93
    """
    below_db = 20 * float(np.log10(rms * np.sqrt(2.0))) if rms > 0 else -np.inf
    return full_scale_snr_db(bits, dither=dither) + below_db


def snr_db(samples: NDArray[Any], changed: NDArray[Any]) -> float:
    """Power of samples over the power of what a change has added to them, in dB; infinite where nothing changed.

    Raises
    ------
    InputError
        The two differ in shape.

    Examples
    --------
    >>> round(snr_db(np.array([1.0, -1.0]), np.array([1.1, -0.9])), 6)
    20.0
    """
    meter = NoiseMeter()
    meter.add(samples, changed)
    return meter.snr_db


@dataclass
class NoiseMeter:
    """Sums for a signal-to-noise ratio, block by block: ``signal`` and ``noise`` are sums of squares over ``n``."""

    signal: float = 0.0
    noise: float = 0.0
    n: int = 0

    def add(self, samples: NDArray[Any], changed: NDArray[Any]) -> None:
        x, y = np.asarray(samples, np.float64), np.asarray(changed, np.float64)
        if x.shape != y.shape:
            raise InputError(f"expected two arrays of the same shape, got {x.shape} and {y.shape}")
        self.signal += float(np.sum(x * x))
        self.noise += float(np.sum((y - x) ** 2))
        self.n += x.size

    @property
    def rms(self) -> float:
        return float(np.sqrt(self.signal / self.n)) if self.n else 0.0

    @property
    def snr_db(self) -> float:
        """Infinite without noise, minus infinity for noise without a signal, not a number for neither."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return float(10 * np.log10(np.float64(self.signal) / np.float64(self.noise)))


# --- rates


def take_nearest(samples: NDArray[Any], from_hz: int, to_hz: int, *, start: int = 0) -> tuple[NDArray[Any], int]:
    """Change the rate without any filter: of every new instant, the old sample at or before it.

    Down to a k-th of the rate this takes every k-th sample; what lay above half the new rate folds down: a tone of f Hz
    comes out at ``|f - m to_hz|`` for the whole m that brings it below ``to_hz / 2``. Upwards samples are repeated, and
    images of the spectrum appear above ``from_hz / 2``.

    Parameters
    ----------
    samples
        ``(n_samples,)`` or ``(n_channels, n_samples)``, a block that begins at the old sample ``start`` of the sound.
    start
        Old samples before this block, so that blocks taken one after the other join without a seam.

    Returns
    -------
    ndarray, int
        The new samples whose instants lie in the block, and the index of the first of them.

    Raises
    ------
    InputError
        When a rate is not above zero.

    Examples
    --------
    >>> take_nearest(np.arange(8), 8000, 4000)[0].tolist(), take_nearest(np.arange(3), 2, 3)[0].tolist()
    ([0, 2, 4, 6], [0, 0, 1, 2, 2])
    """
    if not (from_hz > 0 and to_hz > 0):
        raise InputError(f"expected sample rates above 0 Hz, got {from_hz} and {to_hz}")
    x = np.asarray(samples)
    first = -(-start * to_hz // from_hz)  # in whole numbers: no rounding adds up over hours
    end = -(-(start + x.shape[-1]) * to_hz // from_hz)
    at = np.arange(first, end, dtype=np.int64) * from_hz // to_hz - start
    return x[..., at], first


def resample_blocks(
    blocks: Iterable[Samples], from_hz: int, to_hz: int, *, anti_alias: bool = True
) -> Iterator[Samples]:
    """Blocks of a sound at another rate, in the memory of a block.

    Parameters
    ----------
    blocks
        float32 ``(n_channels, n_samples)``, one after the other.
    anti_alias
        soxr HQ, the same as `volna.audio.resample` of the whole sound; otherwise `take_nearest`.

    Yields
    ------
    ndarray
        float32 ``(n_channels, n)``; empty ones are left out.

    Examples
    --------
    >>> halves = resample_blocks([np.zeros((1, 6000), np.float32)] * 2, 16000, 8000)
    >>> sum(block.shape[1] for block in halves)
    6000
    """
    if from_hz == to_hz:
        yield from blocks
    elif anti_alias:
        yield from _filtered(blocks, from_hz, to_hz)
    else:
        start = 0
        for block in blocks:
            taken, _ = take_nearest(block, from_hz, to_hz, start=start)
            start += block.shape[1]
            if taken.shape[1]:
                yield taken


def _filtered(blocks: Iterable[Samples], from_hz: int, to_hz: int) -> Iterator[Samples]:
    import soxr

    stream = None
    n_channels = 0
    for block in blocks:
        if stream is None:
            n_channels = len(block)
            stream = soxr.ResampleStream(from_hz, to_hz, n_channels, dtype="float32", quality="HQ")
        new = stream.resample_chunk(np.ascontiguousarray(block.T, np.float32), last=False).reshape(-1, n_channels)
        if len(new):
            yield np.ascontiguousarray(new.T)
    if stream is not None:
        rest = stream.resample_chunk(np.zeros((0, n_channels), np.float32), last=True).reshape(-1, n_channels)
        if len(rest):
            yield np.ascontiguousarray(rest.T)
