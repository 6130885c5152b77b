"""How loud people hear a sound: loudness and its range by ITU-R BS.1770-4 and EBU R 128, and the true peak.

::

    samples -> K-weighting -> mean square in steps of 0.1 s -> windows of 0.4 s (momentary) and 3 s (short-term)
            -> integrated: mean power of the 0.4 s windows that pass two gates        range: spread of the 3 s windows

Conventions: loudness is in LUFS, differences in LU, both as large as dB; silence has minus infinity, and what a sound
is too short for is not a number. Everything is measured block by block, so hours need the memory of seconds.

The weight of a channel follows from its place, and that from the number of channels in libav's usual order: 1 for up to
four; for 5 (L R C Ls Rs), 6 (5.1), 7 (6.1) and 8 (7.1) the surrounds at the sides have 1.41, and the LFE is left out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volna.errors import InputError

__all__ = [
    "HOP_S",
    "MOMENTARY_S",
    "SHORT_TERM_S",
    "Loudness",
    "LoudnessMeter",
    "TruePeakMeter",
    "channel_weights",
    "k_weighting",
    "loudness",
    "measure_loudness",
    "true_peak",
]

HOPS_PER_S = 10
HOP_S = 1 / HOPS_PER_S
MOMENTARY_HOPS, SHORT_TERM_HOPS = 4, 30
MOMENTARY_S, SHORT_TERM_S = MOMENTARY_HOPS * HOP_S, SHORT_TERM_HOPS * HOP_S
OFFSET_LUFS = -0.691  # BS.1770-4, equation 2: what K-weighting adds at 997 Hz
GATE_LUFS = -70.0
RELATIVE_GATE_LU, RANGE_GATE_LU = -10.0, -20.0
RANGE_SHARES = (0.10, 0.95)  # EBU Tech 3342
SURROUND, LEFT_OUT = 1.41, 0.0
WEIGHTS = {
    5: (1.0, 1.0, 1.0, SURROUND, SURROUND),
    6: (1.0, 1.0, 1.0, LEFT_OUT, SURROUND, SURROUND),
    7: (1.0, 1.0, 1.0, LEFT_OUT, 1.0, SURROUND, SURROUND),
    8: (1.0, 1.0, 1.0, LEFT_OUT, 1.0, 1.0, SURROUND, SURROUND),
}
OVERSAMPLING = 4

# The two filters of K-weighting as analogue prototypes: the table of BS.1770-4 is their bilinear transform at 48 kHz.
TABLE_HZ = 48_000
SHELF_HZ, SHELF_DB, SHELF_Q = 1681.974450955533, 3.999843853973347, 0.7071752369554196
SHELF_POWER = 0.4996667741545416
HIGH_PASS_HZ, HIGH_PASS_Q = 38.13547087602444, 0.5003270373238773

Floats = NDArray[np.float64]


def channel_weights(n_channels: int) -> Floats:
    """Weights of the channels' powers, float64 ``(n_channels,)``, see the top of this module.

    Examples
    --------
    >>> channel_weights(2).tolist(), channel_weights(6).tolist()
    ([1.0, 1.0], [1.0, 1.0, 1.0, 0.0, 1.41, 1.41])
    """
    return np.array(WEIGHTS.get(n_channels, (1.0,) * n_channels))


def k_weighting(sample_rate: int) -> Floats:
    """Second-order sections of K-weighting at any rate: float64 ``(n_sections, 6)``, as ``scipy.signal.sosfilt`` wants.

    A shelf of +4 dB above 1.7 kHz for the head, and a high-pass at 38 Hz. BS.1770-4 gives coefficients at 48 kHz only;
    they are the bilinear transform of analogue filters, which is done here for the rate asked, as in libebur128, and
    the high-pass brought to the gain that it has at 48 kHz. The transform bends the shelf at low rates: from 16 kHz on
    the curve is within 0.1 dB of that at 48 kHz, at 8 kHz within 0.3 dB. Below 3.4 kHz there is nothing above the
    shelf's corner, and it is left out.

    Raises
    ------
    InputError
        For a rate of 100 Hz or less.

    Examples
    --------
    >>> k_weighting(48000).round(6)[0].tolist()
    [1.535125, -2.691696, 1.198393, 1.0, -1.690659, 0.732481]
    """
    if not sample_rate > 100:
        raise InputError(f"expected a sample rate above 100 Hz, got {sample_rate}")
    norm, a1, a2 = _high_pass(sample_rate)
    # The standard leaves the gain of its high-pass as the transform makes it at 48 kHz: the same gain at every rate.
    gain = _high_pass(TABLE_HZ)[0] / norm
    sections = [[gain, -2 * gain, gain, 1.0, a1, a2]]
    if sample_rate > 2 * SHELF_HZ:
        k = math.tan(math.pi * SHELF_HZ / sample_rate)
        high = 10 ** (SHELF_DB / 20)
        band = high**SHELF_POWER
        norm = 1 + k / SHELF_Q + k * k
        b = (high + band * k / SHELF_Q + k * k, 2 * (k * k - high), high - band * k / SHELF_Q + k * k)
        a = (norm, 2 * (k * k - 1), 1 - k / SHELF_Q + k * k)
        sections.insert(0, [value / norm for value in (*b, *a)])
    return np.array(sections)


def _high_pass(sample_rate: int) -> tuple[float, float, float]:
    k = math.tan(math.pi * HIGH_PASS_HZ / sample_rate)
    norm = 1 + k / HIGH_PASS_Q + k * k
    return norm, 2 * (k * k - 1) / norm, (1 - k / HIGH_PASS_Q + k * k) / norm


@dataclass(frozen=True)
class Loudness:
    """How loud a sound is.

    Attributes
    ----------
    integrated_lufs
        Of the whole sound, gated; minus infinity when nothing passes the gate of -70 LUFS. Of a sound shorter than one
        window of 0.4 s, which the standard does not cover: of all of it.
    range_lu
        Loudness range (EBU Tech 3342); not a number below 3 s.
    momentary_lufs, short_term_lufs
        float64 ``(n,)``: in windows of 0.4 s and of 3 s, one every 0.1 s; the first ends at 0.4 s and 3 s.
    """

    integrated_lufs: float
    range_lu: float
    momentary_lufs: Floats = field(repr=False)
    short_term_lufs: Floats = field(repr=False)

    @property
    def momentary_max_lufs(self) -> float:
        """The loudest 0.4 s; not a number for a sound that is shorter."""
        return float(self.momentary_lufs.max()) if self.momentary_lufs.size else math.nan

    @property
    def short_term_max_lufs(self) -> float:
        """The loudest 3 s; not a number for a sound that is shorter."""
        return float(self.short_term_lufs.max()) if self.short_term_lufs.size else math.nan


class LoudnessMeter:
    """Measures a sound that comes in blocks; keeps one number for every 0.1 s.

    Examples
    --------
    >>> meter = LoudnessMeter(48000, 1)
    >>> meter.add(np.zeros((1, 48000), np.float32))
    >>> meter.result().integrated_lufs
    -inf
    """

    def __init__(self, sample_rate: int, n_channels: int) -> None:
        self._rate = int(sample_rate)
        self._weights = channel_weights(n_channels)
        self._sections = k_weighting(sample_rate)
        self._state = np.zeros((len(self._sections), n_channels, 2))
        self._energies: list[float] = []  # sums of weighted squares, of whole hops
        self._rest = 0.0  # of the hop that is not complete
        self._n = 0

    def add(self, samples: NDArray[Any]) -> None:
        """Take the next block, floating point ``(n_channels, n_samples)``."""
        if not samples.shape[1]:
            return
        from scipy.signal import sosfilt

        weighted, self._state = sosfilt(self._sections, samples.astype(np.float64), axis=1, zi=self._state)
        energy = self._weights @ (weighted * weighted)
        begin, done = self._n, len(self._energies)
        self._n += energy.size
        # Hop k ends at sample k * rate / 10, rounded down: no drift at rates that ten does not divide.
        n_whole = ((self._n + 1) * HOPS_PER_S - 1) // self._rate
        ends = self._ends(done + 1, n_whole + 1) - begin
        sums = [float(piece.sum()) for piece in np.split(energy, ends)]
        sums[0] += self._rest
        self._energies += sums[:-1]
        self._rest = sums[-1]

    def _ends(self, first: int, stop: int) -> NDArray[np.int64]:
        return np.arange(first, stop, dtype=np.int64) * self._rate // HOPS_PER_S

    def result(self) -> Loudness:
        """What all blocks so far amount to."""
        energies = np.array(self._energies)
        sizes = np.diff(self._ends(0, len(energies) + 1)).astype(np.float64)
        momentary = _windows(energies, sizes, MOMENTARY_HOPS)
        short_term = _windows(energies, sizes, SHORT_TERM_HOPS)
        if momentary.size:
            integrated = _lufs(_gated(momentary, RELATIVE_GATE_LU)[1])
        else:
            integrated = _lufs((energies.sum() + self._rest) / max(1, self._n))
        return Loudness(float(integrated), _range(short_term), _lufs(momentary), _lufs(short_term))


def _windows(energies: Floats, sizes: Floats, n_hops: int) -> Floats:
    """Mean powers in overlapping windows of `n_hops`, one a hop; empty where the sound is shorter."""
    if len(energies) < n_hops:
        return np.zeros(0)
    view = np.lib.stride_tricks.sliding_window_view
    return view(energies, n_hops).sum(axis=1) / view(sizes, n_hops).sum(axis=1)


def _lufs(power: Any) -> Any:
    with np.errstate(divide="ignore"):
        return OFFSET_LUFS + 10 * np.log10(power)


def _power(lufs: float) -> float:
    return float(10 ** ((lufs - OFFSET_LUFS) / 10))


def _gated(powers: Floats, relative_lu: float) -> tuple[Floats, float]:
    """The powers that pass the absolute gate and one relative to the mean of those, and their mean; 0 for none."""
    audible = powers[powers > _power(GATE_LUFS)]
    if not audible.size:
        return audible, 0.0
    kept = audible[audible > audible.mean() * 10 ** (relative_lu / 10)]
    return kept, float(kept.mean())


def _range(short_term: Floats) -> float:
    """EBU Tech 3342: from the 10th to the 95th percentile of the short-term loudness that passes the gates."""
    if not short_term.size:
        return math.nan
    kept = np.sort(_gated(short_term, RANGE_GATE_LU)[0])
    if not kept.size:
        return 0.0
    low, high = (kept[math.floor((kept.size - 1) * share + 0.5)] for share in RANGE_SHARES)
    return float(10 * np.log10(high / low))


class TruePeakMeter:
    """The largest value of the waveform between the samples as well (BS.1770-4, annex 2), in blocks.

    The sound is oversampled four times, by soxr in place of the short filter of the annex, which is an example there.
    A peak between the new samples is missed by 0.7 dB at most, at the very top of the band.
    """

    def __init__(self, sample_rate: int, n_channels: int) -> None:
        import soxr

        self._stream: Any = soxr.ResampleStream(sample_rate, OVERSAMPLING * sample_rate, n_channels, dtype="float32")
        self._peaks = np.zeros(n_channels)

    def add(self, samples: NDArray[Any], *, last: bool = False) -> None:
        """Take the next block, floating point ``(n_channels, n_samples)``; `last` closes the sound."""
        block = np.ascontiguousarray(samples.T, np.float32)
        between = self._stream.resample_chunk(block, last=last).reshape(-1, len(self._peaks))
        for values in (block, between):
            for channel in range(len(self._peaks) if len(values) else 0):  # far faster than along the short axis
                one = values[:, channel]
                self._peaks[channel] = max(self._peaks[channel], one.max(), -one.min())

    def result(self) -> Floats:
        """Linear true peak of every channel, float64 ``(n_channels,)``; closes the sound."""
        if self._stream is not None:
            self.add(np.zeros((len(self._peaks), 0), np.float32), last=True)
            self._stream = None
        return self._peaks


def _as_channels(samples: NDArray[Any]) -> NDArray[np.float32]:
    x = np.atleast_2d(np.asarray(samples, np.float32))
    if x.ndim != 2 or not x.size:
        raise InputError(f"expected samples of shape (n_samples,) or (n_channels, n_samples), got {np.shape(samples)}")
    if not np.isfinite(x).all():
        raise InputError("expected finite samples")
    return x


def measure_loudness(samples: NDArray[Any], sample_rate: int) -> Loudness:
    """Loudness, its range and its curves of a sound in memory.

    Parameters
    ----------
    samples
        Floating point in [-1, 1], ``(n_samples,)`` or ``(n_channels, n_samples)``.
    sample_rate
        In Hz.

    Raises
    ------
    InputError
        No samples, another shape, samples that are not finite, or a rate of 100 Hz or less.

    Examples
    --------
    >>> tone = np.sin(2 * np.pi * 1000 * np.arange(48000 * 4) / 48000)
    >>> round(measure_loudness(tone, 48000).short_term_max_lufs, 1)
    -3.0
    """
    x = _as_channels(samples)
    meter = LoudnessMeter(sample_rate, len(x))
    step = max(1, 10 * int(sample_rate))
    for begin in range(0, x.shape[1], step):
        meter.add(x[:, begin : begin + step])
    return meter.result()


def loudness(samples: NDArray[Any], sample_rate: int) -> float:
    """Integrated loudness in LUFS (ITU-R BS.1770-4); minus infinity for silence.

    Parameters, errors and what happens to sounds shorter than 0.4 s: as `measure_loudness` and `Loudness`.

    Examples
    --------
    >>> tone = 0.1 * np.sin(2 * np.pi * 1000 * np.arange(48000) / 48000)
    >>> round(loudness(tone, 48000), 1), round(loudness(np.stack([tone, tone]), 48000), 1)
    (-23.0, -20.0)
    """
    return measure_loudness(samples, sample_rate).integrated_lufs


def true_peak(samples: NDArray[Any], sample_rate: int) -> Floats:
    """Linear true peak of every channel, float64 ``(n_channels,)``; 1.0 is 0 dBTP.

    Raises
    ------
    InputError
        As `measure_loudness`.

    Examples
    --------
    >>> between = np.sin(np.pi / 4 + np.pi / 2 * np.arange(4800)) * np.hanning(4800)  # samples reach 0.707 only
    >>> true_peak(between, 48000).round(2).tolist()
    [1.0]
    """
    x = _as_channels(samples)
    meter = TruePeakMeter(sample_rate, len(x))
    meter.add(x)
    return meter.result().copy()
