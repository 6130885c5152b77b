"""Constant-Q transform: bands a fixed number to the octave, each as wide as its pitch allows.

A band is a tone of ``Q`` periods under a Hann window, slid along the sound (Brown 1991); as the product of spectra that
is one transform of the sound and a short one for each band (Brown and Puckette 1992). Here the sound's spectrum is
that of a long stretch, so no band is resampled or thinned out: what comes out is the sum of the definition, kernels cut
100 dB below their peak.

Conventions: fractions of librosa's ``cqt``: L1-normalised kernels times the square root of their length, so a sine of
amplitude A in the middle of a band of ``L`` samples comes out as ``A / 2 * sqrt(L)``; frames are centred.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from volna.errors import InputError
from volna.features.blocks import segments
from volna.features.frames import Floats, checked
from volna.features.spectrum import rfft

__all__ = ["C1_HZ", "Band", "Bank", "band_signal", "constant_q", "constant_q_bank", "cut_bands", "pitch_frequencies"]

C1_HZ = 440.0 * 2.0 ** (-45 / 12)  # 32.7 Hz
N_BINS, BINS_PER_OCTAVE = 84, 12
CUT = 1e-5  # of the peak of a band's response: -100 dB
LEAST_FRAMES = 256  # a stretch: long transforms cost less a frame


class Band(NamedTuple):
    """The response of one band: ``values`` float32 from bin ``first`` of the stretch's spectrum on."""

    first: int
    values: Floats


class Bank(NamedTuple):
    """Bands, and the stretches of sound they are applied to.

    ``n_samples`` of a stretch are ``n_frames + 2 * margin`` hops or more; the margins only hold what the kernels need.
    """

    bands: tuple[Band, ...]
    frequencies_hz: Floats
    hop_length: int
    n_samples: int
    n_frames: int
    margin: int


def pitch_frequencies(fmin_hz: float, fmax_hz: float, bins_per_octave: int = BINS_PER_OCTAVE) -> NDArray[np.float64]:
    """Frequencies a fixed number to the octave, from ``fmin_hz`` to ``fmax_hz`` at most: ``(n_bins,)`` in Hz.

    Raises
    ------
    InputError
        When the numbers are not above zero, or upside down.

    Examples
    --------
    >>> pitch_frequencies(110.0, 900.0, 1)
    array([110., 220., 440., 880.])
    """
    if not (0 < fmin_hz <= fmax_hz < np.inf and bins_per_octave >= 1):
        raise InputError(
            f"expected 0 < fmin_hz <= fmax_hz and bins_per_octave >= 1, "
            f"got {fmin_hz:g}, {fmax_hz:g} and {bins_per_octave}"
        )
    n_bins = 1 + int(np.floor(bins_per_octave * np.log2(fmax_hz / fmin_hz) + 1e-9))
    return fmin_hz * 2.0 ** (np.arange(n_bins) / bins_per_octave)


def constant_q(
    samples: ArrayLike,
    sample_rate: float,
    *,
    hop_length: int = 512,
    fmin_hz: float = C1_HZ,
    n_bins: int = N_BINS,
    bins_per_octave: int = BINS_PER_OCTAVE,
) -> NDArray[np.complex64]:
    """Constant-Q transform of a sound.

    Parameters
    ----------
    samples : array_like
        ``(n_samples,)``.
    sample_rate : float
        Hz.
    fmin_hz : float
        Middle of the lowest band; C1 by default.
    n_bins, bins_per_octave : int

    Returns
    -------
    ndarray
        complex64 ``(n_bins, 1 + n_samples // hop_length)``.

    Raises
    ------
    InputError
        When the samples are none, or the highest band reaches beyond half the sample rate.

    Examples
    --------
    >>> tone = np.sin(2 * np.pi * 440 * np.arange(22_050) / 22_050)
    >>> int(np.abs(constant_q(tone, 22_050))[:, 20].argmax())  # A4 is the 45th semitone above C1
    45
    """
    bank = constant_q_bank(sample_rate, hop_length, fmin_hz, n_bins, bins_per_octave)
    parts = [
        np.stack([band_signal(spectrum, band, bank, 1)[0] for band in bank.bands])[:, :k]
        for spectrum, k in cut_bands([checked(samples)], bank)
    ]
    return np.concatenate(parts, axis=1)


def cut_bands(blocks: Iterable[Floats], bank: Bank) -> Iterator[tuple[NDArray[np.complex64], int]]:
    """Spectra of the stretches of a sound that comes in blocks, and how many frames each has to give."""
    before = bank.margin * bank.hop_length
    after = bank.n_samples - before - (bank.n_frames - 1) * bank.hop_length
    for stretch, k in segments(blocks, hop_length=bank.hop_length, before=before, after=after, n_frames=bank.n_frames):
        yield rfft(stretch[None])[0], k


def band_signal(spectrum: NDArray[np.complex64], band: Band, bank: Bank, per_hop: int) -> NDArray[np.complex64]:
    """One band of a stretch, ``per_hop`` values a hop: complex64 ``(per_hop, n_frames)``.

    Sampling in time folds the spectrum, so the product of spectra is added up in pieces as long as the result and
    transformed back at that length. Frame ``t`` has its values at ``t + i / per_hop`` hops, ``i`` from
    ``-(per_hop // 2)`` on.
    """
    import scipy.fft

    n_hops = bank.n_samples // bank.hop_length
    n_out = n_hops * per_hop
    offset = band.first % n_out
    folded = np.zeros(-(-(offset + len(band.values)) // n_out) * n_out, dtype=np.complex64)
    folded[offset : offset + len(band.values)] = spectrum[band.first : band.first + len(band.values)] * band.values
    values = scipy.fft.ifft(folded.reshape(-1, n_out).sum(axis=0)) * np.float32(n_out / bank.n_samples)
    begin = bank.margin * per_hop - per_hop // 2
    return values[begin : begin + bank.n_frames * per_hop].reshape(bank.n_frames, per_hop).T


@lru_cache(maxsize=4)
def constant_q_bank(sample_rate: float, hop_length: int, fmin_hz: float, n_bins: int, bins_per_octave: int) -> Bank:
    """The kernels of a constant-Q transform as responses over the bins of a stretch.

    Raises
    ------
    InputError
        When the highest band reaches beyond half the sample rate.
    """
    frequencies_hz = fmin_hz * 2.0 ** (np.arange(n_bins) / bins_per_octave)
    ratio = 4.0 ** (1.0 / bins_per_octave)
    quality = (ratio + 1.0) / (ratio - 1.0)  # centre over bandwidth, as librosa has it
    highest_hz = highest_band(sample_rate / 2, bins_per_octave)
    if not 0 < frequencies_hz[-1] <= highest_hz:
        raise InputError(
            f"expected a highest band of at most {highest_hz:.0f} Hz at a sample rate of {sample_rate:g} Hz, "
            f"got {frequencies_hz[-1]:.0f} Hz"
        )
    lengths = quality * sample_rate / frequencies_hz
    n_samples, n_frames, margin = stretch_of(float(lengths[0]) / 2, hop_length)
    bands = tuple(
        _kernel(float(length), hz / sample_rate, n_samples) for length, hz in zip(lengths, frequencies_hz, strict=True)
    )
    return Bank(bands, frequencies_hz.astype(np.float32), hop_length, n_samples, n_frames, margin)


def highest_band(nyquist_hz: float, bins_per_octave: int = BINS_PER_OCTAVE) -> float:
    """The highest middle of a band whose main lobe still lies below half the sample rate, in Hz."""
    ratio = 4.0 ** (1.0 / bins_per_octave)
    return nyquist_hz / (1.0 + (ratio - 1.0) / (ratio + 1.0))


def stretch_of(reach: float, hop_length: int) -> tuple[int, int, int]:
    """Samples of a stretch, its frames (a power of two) and margin in hops, for kernels that reach so far."""
    import scipy.fft

    margin = 1 + int(np.ceil(reach / hop_length))
    n_frames = 1 << int(np.ceil(np.log2(max(LEAST_FRAMES, 4 * margin))))
    n_hops = scipy.fft.next_fast_len(n_frames + 2 * margin)
    return n_hops * hop_length, n_frames, margin


def _kernel(length: float, turns: float, n_samples: int) -> Band:
    """A tone of ``turns`` cycles a sample under a Hann window of ``length`` samples: its response, real by symmetry."""
    half = int(np.ceil(length / 2)) - 1
    n = np.arange(-half, half + 1)
    window = 0.5 + 0.5 * np.cos(2.0 * np.pi * n / length)
    kernel = np.zeros(n_samples, dtype=np.complex64)
    kernel[n] = np.sqrt(length) / window.sum() * window * np.exp(2j * np.pi * turns * n)
    import scipy.fft

    response = scipy.fft.fft(kernel).real[: 1 + n_samples // 2]
    inside = np.flatnonzero(np.abs(response) > CUT * np.abs(response).max())
    return Band(int(inside[0]), response[inside[0] : inside[-1] + 1].astype(np.float32))
