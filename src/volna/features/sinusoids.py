"""Sounds as sums of sinusoids: the peaks of a spectrum, and sound made of them again.

A steady tone shows in a windowed spectrum as a lobe. A parabola through the three highest bins of its logarithm gives
its frequency and level between the bins (Smith and Serra 1987). What a window leaks from a louder tone also has peaks,
side lobes: a peak that does not stand above what a stronger one leaks there is left out.

The way back is overlap and add: every frame is the sum of its sinusoids, with the phases measured at its middle, under
a Hann window; neighbouring frames add up to one. Where a tone is steady they agree, and nothing has to be followed from
frame to frame (McAulay and Quatieri 1986 follow and interpolate instead).

Conventions: amplitude 1 is a full-scale sine, 0 dB; phases are those of a cosine at the middle of the frame.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from volna.errors import InputError
from volna.features.blocks import segments
from volna.features.frames import Floats, checked, frozen, window_of
from volna.features.spectrum import rfft

__all__ = [
    "PAD",
    "Sinusoids",
    "amplitude_spectrum",
    "find_peaks",
    "held_tones",
    "leakage_db",
    "note_of",
    "overlap_add",
    "rebuild",
    "sinusoids",
]

PAD = 2  # transforms are this many frames long, filled with zeros: parabolas fit twice as fine
FAINTEST = 1e-9  # amplitude, -180 dB: what a logarithm sees of silence
MARGIN_DB = 3.0  # above what the window leaks, for tones that are not quite steady
FINE = 16  # points a bin of the leakage table
N_TABLE = 256  # length of the window behind that table; its shape hardly depends on it
CANDIDATES = 4  # peaks looked at for each one wanted, before side lobes are told apart
FRAMES_AT_ONCE = 64
NAMES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
LOWEST_NOTE_HZ = 8.0  # C-1 is 8.18 Hz


class Sinusoids(NamedTuple):
    """``frequencies_hz``, ``amplitudes``, ``phases``: float32 ``(n, n_frames)``, strongest first; amplitude 0: none."""

    frequencies_hz: Floats
    amplitudes: Floats
    phases: Floats


def note_of(frequency_hz: float) -> tuple[str, float] | None:
    """The nearest note of the tempered scale, A4 = 440 Hz, and how many cents the frequency lies above it.

    None below 8 Hz.

    Examples
    --------
    >>> note_of(440.0), note_of(65.0)[0], round(note_of(65.0)[1], 1)
    (('A4', 0.0), 'C2', -10.8)
    """
    if not frequency_hz >= LOWEST_NOTE_HZ:
        return None
    pitch = 69.0 + 12.0 * float(np.log2(frequency_hz / 440.0))
    nearest = round(pitch)
    return f"{NAMES[nearest % 12]}{nearest // 12 - 1}", 100.0 * (pitch - nearest)


def amplitude_spectrum(frames: Floats, window: str = "hann", pad: int = PAD) -> NDArray[np.complex64]:
    """Spectra of frames, scaled so that a sine of amplitude A peaks at A; phases are those at the middle of the frame.

    Parameters
    ----------
    frames : ndarray
        float32 ``(n_frames, n_fft)``.
    pad : int
        The transform is ``pad * n_fft`` long.

    Returns
    -------
    ndarray
        complex64 ``(n_frames, 1 + pad * n_fft // 2)``.

    Examples
    --------
    >>> tone = 0.5 * np.cos(2 * np.pi * 10 * np.arange(100) / 100).astype(np.float32)
    >>> spectrum = amplitude_spectrum(tone[None])
    >>> round(float(abs(spectrum[0, 20])), 3)
    0.5
    """
    n_fft = frames.shape[1]
    weights = window_of(window, n_fft)
    turned = np.zeros((len(frames), pad * n_fft), dtype=np.float32)
    windowed = frames * (weights * np.float32(2.0 / weights.sum()))
    half = n_fft // 2
    turned[:, : n_fft - half], turned[:, len(turned[0]) - half :] = windowed[:, half:], windowed[:, :half]
    return rfft(turned)


@lru_cache(maxsize=8)
def leakage_db(window: str) -> Floats:
    """The most that a window leaks from a tone so far away or further, in dB re its peak: a value every 1/16 bin.

    Examples
    --------
    >>> envelope = leakage_db("hann")
    >>> round(float(envelope[2 * 16 + 8]))  # two and a half bins away
    -32
    """
    weights = np.asarray(window_of(window, N_TABLE), dtype=np.float64)
    response = np.abs(np.fft.rfft(weights, N_TABLE * FINE)) / weights.sum()
    return frozen(20.0 * np.log10(np.maximum(np.maximum.accumulate(response[::-1])[::-1], 1e-10)))


def find_peaks(spectrum: NDArray[np.complex64] | Floats, n: int, window: str = "hann", pad: int = PAD) -> Sinusoids:
    """The ``n`` strongest peaks of every frame, side lobes left out, placed between the bins by a parabola.

    Parameters
    ----------
    spectrum : ndarray
        ``(n_frames, n_bins)`` of `amplitude_spectrum`, or its magnitudes (then phases are 0).
    n : int

    Returns
    -------
    Sinusoids
        ``(n, n_frames)``, ``frequencies_hz`` in bins of the unpadded transform: times the sample rate over ``n_fft``
        they are Hz.

    Examples
    --------
    >>> tones = np.cos(2 * np.pi * 10.3 * np.arange(512) / 512) + 0.1 * np.cos(2 * np.pi * 50 * np.arange(512) / 512)
    >>> peaks = find_peaks(amplitude_spectrum(tones[None].astype(np.float32)), 3)
    >>> peaks.frequencies_hz[:, 0].round(2), peaks.amplitudes[:, 0].round(2)
    (array([10.3, 50. ,  0. ], dtype=float32), array([1. , 0.1, 0. ], dtype=float32))
    """
    magnitude = np.abs(spectrum).astype(np.float32)
    top = (magnitude[:, 1:-1] > magnitude[:, :-2]) & (magnitude[:, 1:-1] >= magnitude[:, 2:])
    heights = np.where(top & (magnitude[:, 1:-1] > FAINTEST), magnitude[:, 1:-1], 0.0)
    n_candidates = min(CANDIDATES * n + 8, heights.shape[1])
    order = np.argpartition(-heights, n_candidates - 1, axis=1)[:, :n_candidates]
    found = np.take_along_axis(heights, order, 1) > 0
    bins = order + 1
    places, levels_db = _parabolas(magnitude, bins)
    places /= pad
    order = np.argsort(np.where(found, -levels_db, np.inf), axis=1, kind="stable")  # between the bins some overtake
    bins, places = np.take_along_axis(bins, order, 1), np.take_along_axis(places, order, 1)
    levels_db, found = np.take_along_axis(levels_db, order, 1), np.take_along_axis(found, order, 1)
    stands = found & _above_leakage(places, np.where(found, levels_db, -400.0), window)
    best = np.argsort(~stands, axis=1, kind="stable")[:, :n]  # those that stand, still strongest first
    kept = np.take_along_axis(stands, best, 1)

    def chosen(values: np.ndarray) -> Floats:
        values = np.where(kept, np.take_along_axis(values, best, 1), 0.0)
        return np.pad(values, ((0, 0), (0, n - values.shape[1]))).T.astype(np.float32)

    phases = np.angle(np.take_along_axis(spectrum, bins, 1))
    return Sinusoids(chosen(places), chosen(10.0 ** (levels_db / 20.0)), chosen(phases))


def _parabolas(magnitude: Floats, bins: NDArray[np.intp]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Where a parabola through three levels in dB has its top, in bins, and how high it is."""
    left, middle, right = (
        20.0 * np.log10(np.maximum(np.take_along_axis(magnitude, bins + k, 1).astype(np.float64), FAINTEST))
        for k in (-1, 0, 1)
    )
    bend = left - 2.0 * middle + right
    shift = np.where(bend < 0, 0.5 * (left - right) / np.where(bend < 0, bend, 1.0), 0.0)
    shift = np.clip(shift, -0.5, 0.5)
    return np.asarray(bins + shift, dtype=np.float64), middle - 0.25 * (left - right) * shift


def _above_leakage(places: np.ndarray, levels_db: np.ndarray, window: str) -> NDArray[np.bool_]:
    """Which of some peaks ``(n_frames, n)``, strongest first, are more than a stronger one leaks there."""
    envelope = leakage_db(window) + np.float32(MARGIN_DB)
    fine, levels = (places * FINE).astype(np.float32), levels_db.astype(np.float32)
    leaked = np.full_like(levels, -np.inf)
    for k in range(places.shape[1] - 1):  # all pairs at once would need the square of the memory
        steps = np.minimum(np.abs(fine[:, k + 1 :] - fine[:, k : k + 1]), len(envelope) - 1).astype(np.intp)
        np.maximum(leaked[:, k + 1 :], levels[:, k : k + 1] + envelope[steps], out=leaked[:, k + 1 :])
    return levels >= leaked


def sinusoids(
    samples: ArrayLike, sample_rate: float, n: int, *, n_fft: int = 2048, hop_length: int | None = None
) -> Sinusoids:
    """The ``n`` strongest sinusoids of every frame of a sound.

    Parameters
    ----------
    samples : array_like
        ``(n_samples,)``.
    n_fft, hop_length : int
        Frame, Hann, and step; a quarter of the frame by default.

    Returns
    -------
    Sinusoids
        ``(n, 1 + n_samples // hop_length)``, frequencies in Hz.

    Examples
    --------
    >>> tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(8_000) / 8_000)
    >>> found = sinusoids(tone, 8_000, 1, n_fft=1_024)
    >>> found.frequencies_hz[0, 15].round(1), found.amplitudes[0, 15].round(3)
    (np.float32(440.0), np.float32(0.5))
    """
    parts = list(sinusoids_of_blocks([checked(samples)], sample_rate, n, n_fft=n_fft, hop_length=hop_length))
    return Sinusoids(*(np.concatenate(values, axis=1) for values in zip(*parts, strict=True)))


def sinusoids_of_blocks(
    blocks: Iterable[Floats], sample_rate: float, n: int, *, n_fft: int = 2048, hop_length: int | None = None
) -> Iterator[Sinusoids]:
    """`sinusoids` of a sound that comes in blocks."""
    if n < 1:
        raise InputError(f"expected at least one sinusoid, got {n}")
    hop = hop_length or n_fft // 4
    cut = segments(blocks, hop_length=hop, before=n_fft // 2, after=n_fft - n_fft // 2, n_frames=FRAMES_AT_ONCE)
    for stretch, k in cut:
        frames = np.lib.stride_tricks.sliding_window_view(stretch, n_fft)[::hop][:k]
        found = find_peaks(amplitude_spectrum(frames), n)
        yield found._replace(frequencies_hz=found.frequencies_hz * np.float32(sample_rate / n_fft))


def rebuild(found: Sinusoids, n_samples: int, sample_rate: float, *, hop_length: int = 512) -> Floats:
    """Sound of sinusoids, frame after frame, under Hann windows of four hops that add up to one.

    Parameters
    ----------
    found : Sinusoids
        Of `sinusoids` with the same hop.
    n_samples : int
        How long the sound was.

    Returns
    -------
    ndarray
        float32 ``(n_samples,)``.

    Examples
    --------
    >>> tone = (0.5 * np.sin(2 * np.pi * 440 * np.arange(8_000) / 8_000)).astype(np.float32)
    >>> again = rebuild(sinusoids(tone, 8_000, 1), len(tone), 8_000)
    >>> bool(abs(again - tone)[2000:-2000].max() < 1e-3)
    True
    """
    n_frames = found.amplitudes.shape[1]
    length = 4 * hop_length
    out = np.zeros(length + (n_frames - 1) * hop_length, dtype=np.float32)
    for first in range(0, n_frames, FRAMES_AT_ONCE):
        part = Sinusoids(*(values[:, first : first + FRAMES_AT_ONCE] for values in found))
        overlap_add(_sums(part, length, sample_rate), out[first * hop_length :], hop_length)
    sound: Floats = out[length // 2 : length // 2 + n_samples]
    return np.pad(sound, (0, n_samples - len(sound)))


def overlap_add(frames: Floats, out: Floats, hop_length: int) -> None:
    """Add frames ``(n_frames, 4 * hop_length)`` into ``out`` under Hann windows, scaled to add up to one."""
    length = frames.shape[1]
    weighted = frames * (window_of("hann", length) * np.float32(0.5))  # four Hann windows overlap to 2
    for t, row in enumerate(weighted):
        out[t * hop_length : t * hop_length + length] += row


def _sums(found: Sinusoids, length: int, sample_rate: float) -> Floats:
    """Every frame as the sum of its cosines, phases given at its middle: float32 ``(n_frames, length)``.

    A turn by ``a * step + b`` samples is the product of two: sums over the sinusoids are then products of matrices.
    """
    step = 1 << max(0, int(np.log2(max(1, length))) // 2)
    coarse = np.arange(-(-length // step)) * step - length // 2
    turn = 2j * np.pi * found.frequencies_hz.T.astype(np.float64) / sample_rate  # (n_frames, n)
    weights = found.amplitudes.T * np.exp(1j * found.phases.T)
    rows = np.exp(turn[:, None, :] * coarse[:, None]) * weights[:, None, :]  # (n_frames, n_coarse, n)
    columns = np.exp(turn[:, :, None] * np.arange(step))  # (n_frames, n, step)
    sums = (rows.astype(np.complex64) @ columns.astype(np.complex64)).real
    frames: Floats = sums.reshape(len(sums), -1)[:, :length]
    return frames


def held_tones(
    frequencies_hz: ArrayLike, amplitudes: ArrayLike, duration_s: float, sample_rate: int, *, fade_s: float = 0.01
) -> Floats:
    """A steady sound of some sinusoids, faded in and out: float32 ``(n_samples,)``.

    Phases are spread (Schroeder 1970), so that the sum does not begin with a click.

    Examples
    --------
    >>> held_tones([440.0], [0.5], 1.0, 8_000).shape
    (8000,)
    """
    hz = np.asarray(frequencies_hz, dtype=np.float64)
    weights = np.asarray(amplitudes, dtype=np.float64)
    n = max(1, round(duration_s * sample_rate))
    seconds = np.arange(n) / sample_rate
    sound = np.zeros(n)
    for k, (frequency_hz, weight) in enumerate(zip(hz, weights, strict=True)):
        sound += weight * np.cos(2.0 * np.pi * frequency_hz * seconds + np.pi * k * k / max(1, len(hz)))
    edge = np.minimum(seconds, seconds[::-1]) / fade_s
    return (sound * np.minimum(1.0, edge)).astype(np.float32)
