"""Sound in blocks -> short spectra -> the same spectra with gains -> sound in blocks, exactly as long as it was.

A frame lasts 32 ms at every sample rate, so bin ``k`` lies at ``k`` times 31.25 Hz, whatever the rate is (to within
half a sample of the frame): what looks at bins needs no resampling. Frames overlap by half and both ways are windowed
with the root of a Hann window, so with gains of one the sound comes back as it was. ::

    sample       0         hop       2 hop                  frame t is centred on sample t * hop
    frame 0  |----.----|
    frame 1       |----.----|                               before the first and after the last sample lie zeros
    frame 2            |----.----|
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from volna.features.frames import Floats, window_of

__all__ = ["BIN_HZ", "FRAME_S", "HOPS", "Process", "Spectra", "frame_length", "through_spectra"]

FRAME_S = 0.032
BIN_HZ = 1 / FRAME_S
HOPS = 2  # a frame: an overlap of one half
LEAST_HOP = 4  # samples: for rates of some hundred Hz

Spectra = NDArray[np.complex64]  # (n_channels, n_frames, n_bins)
Process = Callable[[Iterator[Spectra]], Iterator[Spectra]]


def frame_length(sample_rate: float) -> int:
    """Samples of a frame of 32 ms, a multiple of the hops in it.

    Examples
    --------
    >>> frame_length(8000), frame_length(16_000), frame_length(44_100)
    (256, 512, 1412)
    """
    return HOPS * max(LEAST_HOP, round(sample_rate * FRAME_S / HOPS))


def through_spectra(blocks: Iterable[Floats], n_fft: int, process: Process) -> Iterator[Floats]:
    """Send a sound through its short-time spectra.

    Parameters
    ----------
    blocks : iterable of ndarray
        float32 ``(n_channels, n_samples)``, one after another.
    n_fft : int
        Frame length in samples, a multiple of ``HOPS``.
    process : callable
        Takes an iterator of spectra, complex64 ``(n_channels, n_frames, n_bins)`` each, one after another, and gives
        an iterator over as many frames in all, cut as it likes.

    Yields
    ------
    ndarray
        float32 ``(n_channels, n_samples)``, in all as many samples as came in.

    Examples
    --------
    >>> sound = np.sin(np.arange(1000)).astype(np.float32)[None]
    >>> same = np.concatenate(list(through_spectra([sound[:, :300], sound[:, 300:]], 64, lambda spectra: spectra)), 1)
    >>> same.shape, bool(np.abs(same - sound).max() < 1e-6)
    ((1, 1000), True)
    """
    seen = [0]
    yield from _joined(process(_frames(blocks, n_fft, seen)), n_fft, seen)


def _root_hann(n_fft: int) -> Floats:
    return np.sqrt(window_of("hann", n_fft) * np.float32(2 / HOPS))


def _frames(blocks: Iterable[Floats], n_fft: int, seen: list[int]) -> Iterator[Spectra]:
    """Spectra of the frames as they get complete; ``seen[0]`` counts the samples that came."""
    import scipy.fft

    hop, window = n_fft // HOPS, _root_hann(n_fft)

    def spectra(held: Floats) -> Spectra:
        frames = np.lib.stride_tricks.sliding_window_view(held, n_fft, axis=1)[:, ::hop]
        return np.asarray(scipy.fft.rfft(frames * window, axis=2), np.complex64)

    held: Floats | None = None
    for block in blocks:
        seen[0] += block.shape[1]
        start = np.zeros((len(block), n_fft - hop), np.float32) if held is None else held
        held = np.concatenate([start, block], axis=1, dtype=np.float32)
        if held.shape[1] >= n_fft:
            yield spectra(held)
            held = held[:, (held.shape[1] - n_fft) // hop * hop + hop :]
    if held is not None and seen[0]:
        # Enough zeros that the last sample lies in as many frames as every other.
        yield spectra(np.pad(held, ((0, 0), (0, -held.shape[1] % hop + n_fft - hop))))


def _joined(spectra: Iterable[Spectra], n_fft: int, seen: list[int]) -> Iterator[Floats]:
    """The overlapping frames added up; what lies before the first sample and after the last is left out."""
    import scipy.fft

    hop, window = n_fft // HOPS, _root_hann(n_fft)
    before, given = n_fft - hop, 0  # samples still to be left out at the start; samples given
    rest: Floats | None = None  # the end of the frames so far, to which others will add
    for spectrum in spectra:
        n_channels, n_frames, _ = spectrum.shape
        frames = np.asarray(scipy.fft.irfft(spectrum, n_fft, axis=2), np.float32) * window
        out = np.zeros((n_channels, (n_frames + HOPS - 1) * hop), np.float32)
        if rest is not None:
            out[:, : rest.shape[1]] = rest
        for k in range(HOPS):
            part = frames[:, :, k * hop : (k + 1) * hop]
            out[:, k * hop : (k + n_frames) * hop] += part.reshape(n_channels, -1)
        rest, out = out[:, n_frames * hop :], out[:, : n_frames * hop]
        skipped = min(before, out.shape[1])
        before, out = before - skipped, out[:, skipped:]
        out = out[:, : max(0, seen[0] - given)]
        given += out.shape[1]
        if out.shape[1]:
            yield out
