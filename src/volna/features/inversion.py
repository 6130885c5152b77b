"""From a spectrogram back to samples: inverse transform, fast Griffin-Lim, mel bands back to bins.

Conventions as in `volna.features.spectrum`: a spectrum is ``(n_bins, n_frames)`` float32 or complex64, frames are
centred on ``t * hop_length``, nothing is scaled.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from volna.errors import InputError
from volna.features.frames import Floats, frame, frozen, window_of
from volna.features.spectrum import MelConfig, mel_filters, power_spectrum, rfft

__all__ = [
    "MOMENTUM",
    "checked_mel",
    "inverse_of_frames",
    "istft",
    "magnitude_from_mel",
    "overlap_add",
    "refined_phase",
    "samples_from_mel",
    "samples_from_spectrum",
]

Spectrum = NDArray[np.complex64]

MOMENTUM = 0.99  # Perraudin et al. 2013; 0 is Griffin & Lim's own of 1984
NNLS_STEPS = 60  # the mel error then falls by less than a hundredth a step
LOUDEST_LOG_MEL = 12.0  # a full-scale tone is at 5: more than a thousand times that is another unit
_TINY = np.float32(1e-12)


def istft(spectrum: ArrayLike, hop_length: int, window: str = "hann", *, n_samples: int | None = None) -> Floats:
    """Inverse of `volna.features.spectrum.stft` with centred frames: the sound whose frames are nearest to these.

    Overlap-add of windowed frames over the sum of squared windows, the least-squares solution of Griffin & Lim (1984).

    Parameters
    ----------
    spectrum : array_like
        complex ``(n_bins, n_frames)``, ``n_fft = 2 * (n_bins - 1)``.
    hop_length : int
        Step in samples, at most half of ``n_fft``.
    window : str
        See `volna.features.frames.window_of`.
    n_samples : int, optional
        Length of the result, ``(n_frames - 1) * hop_length`` by default; beyond the last frame is silence.

    Returns
    -------
    ndarray
        float32 ``(n_samples,)``.

    Raises
    ------
    InputError
        Another shape, or a hop that leaves gaps.

    Examples
    --------
    >>> from volna.features.spectrum import stft
    >>> tone = np.sin(np.arange(1024) / 5)
    >>> bool(np.allclose(istft(stft(tone, 256, 64), 64), tone, atol=1e-5))
    True
    """
    bins = np.asarray(spectrum, dtype=np.complex64)
    if bins.ndim != 2 or bins.shape[0] < 2 or not bins.shape[1]:
        raise InputError(f"expected a spectrum of shape (n_bins, n_frames), got {bins.shape}")
    n_fft, n_frames = 2 * (bins.shape[0] - 1), bins.shape[1]
    if not 1 <= hop_length <= n_fft // 2:
        raise InputError(f"expected a hop_length from 1 to {n_fft // 2} (half a frame), got {hop_length}")
    length = (n_frames - 1) * hop_length if n_samples is None else n_samples
    return inverse_of_frames(bins.T, hop_length, window, length)


def samples_from_spectrum(
    magnitude: ArrayLike,
    hop_length: int,
    window: str = "hann",
    *,
    n_iterations: int = 32,
    momentum: float = MOMENTUM,
    n_samples: int | None = None,
    start: ArrayLike | None = None,
    seed: int = 0,
) -> Floats:
    """A sound with these magnitudes: the fast Griffin-Lim algorithm (Perraudin, Balazs & Søndergaard 2013).

    Magnitudes alone do not tell the sound; frames overlap, so few phases fit together. In turn the spectrum is made one
    of a real sound (inverse transform and transform) and given the wanted magnitudes again.

    Parameters
    ----------
    magnitude : array_like
        Real ``(n_bins, n_frames)``, not negative, ``n_fft = 2 * (n_bins - 1)``.
    hop_length, window, n_samples
        See `istft`.
    n_iterations : int
        0 keeps the phases of the start.
    momentum : float
        0 for the slower algorithm of 1984, up to 1.
    start : array_like, optional
        complex ``(n_bins, n_frames)`` whose phases to start from; random ones by default.
    seed : int
        Of the random phases.

    Returns
    -------
    ndarray
        float32 ``(n_samples,)``, ``(n_frames - 1) * hop_length`` by default.

    Raises
    ------
    InputError
        Another shape, magnitudes that are negative or not finite, a hop that leaves gaps.

    Examples
    --------
    >>> from volna.features.spectrum import stft
    >>> tone = np.sin(np.arange(4096) / 5)
    >>> samples_from_spectrum(np.abs(stft(tone, 256, 64)), 64).shape
    (4096,)
    """
    wanted = _checked_magnitude(magnitude)
    if not (n_iterations >= 0 and 0 <= momentum <= 1):
        raise InputError(f"expected 0 or more iterations and a momentum in [0, 1], got {n_iterations} and {momentum}")
    if start is None:
        turn = np.random.default_rng(seed).random(wanted.T.shape, dtype=np.float32) * np.float32(2 * np.pi)
        phases = np.exp(1j * turn).T
    else:
        phases = np.asarray(start, dtype=np.complex64)
        if phases.shape != wanted.shape:
            raise InputError(f"expected phases of shape {wanted.shape} to start from, got {phases.shape}")
    refined = refined_phase(wanted, phases, hop_length, window, n_iterations=n_iterations, momentum=momentum)
    return istft(wanted * refined, hop_length, window, n_samples=n_samples)


def refined_phase(
    magnitude: Floats,
    start: Spectrum,
    hop_length: int,
    window: str = "hann",
    *,
    n_iterations: int = 32,
    momentum: float = MOMENTUM,
) -> Spectrum:
    """Phases that fit together better than those of ``start``: `samples_from_spectrum` without the last transform.

    Parameters
    ----------
    magnitude, start
        float32 and complex64 ``(n_bins, n_frames)``; of the start only the phases count.

    Returns
    -------
    ndarray
        complex64 ``(n_bins, n_frames)``, each of length 1 (or 0).

    Examples
    --------
    >>> flat = np.ones((65, 5), dtype=np.float32)
    >>> refined_phase(flat, flat.astype(np.complex64), 32).shape
    (65, 5)
    """
    wanted = np.ascontiguousarray(magnitude.T)  # a frame in one piece
    phases = _unit(np.ascontiguousarray(start.T))
    length = (len(wanted) - 1) * hop_length
    n_fft = 2 * (wanted.shape[1] - 1)
    keep = np.float32(momentum / (1.0 + momentum))
    before: Spectrum | None = None
    for _ in range(n_iterations if length else 0):
        sound = inverse_of_frames(wanted * phases, hop_length, window, length)
        made = rfft(frame(sound, n_fft, hop_length).T * window_of(window, n_fft))
        phases = _unit(made if before is None else made - keep * before)
        before = made
    return phases.T


def magnitude_from_mel(log_mel: ArrayLike, config: MelConfig, *, n_steps: int = NNLS_STEPS) -> Floats:
    """The magnitudes behind a log-mel: non-negative least squares on the powers, by multiplicative updates.

    From the projection back, ``p <- p * (F' m) / (F' F p)`` (Lee & Seung 2001), which never leaves the positive numbers
    and never raises the error. ``F`` are the filters, ``m`` the mel powers.

    Parameters
    ----------
    log_mel : array_like
        ``(n_mels, n_frames)`` as `volna.features.sounding.sounding_mel` makes it: natural logarithm of the amplitude.
    config : MelConfig
        How it was made.
    n_steps : int
        Updates.

    Returns
    -------
    ndarray
        float32 ``(n_bins, n_frames)``.

    Raises
    ------
    InputError
        Another number of bands, or values that are not finite.

    Examples
    --------
    >>> from volna.features.sounding import sounding_config, sounding_mel
    >>> config = sounding_config(8_000)
    >>> magnitude_from_mel(sounding_mel(np.sin(np.arange(8_000)), config), config).shape
    (257, 63)
    """
    powers = np.exp(2.0 * checked_mel(log_mel, config)).T  # (n_frames, n_mels)
    filters = mel_filters(config)
    wanted = powers @ filters
    estimate = wanted / np.maximum(filters.sum(axis=0) * filters.sum(axis=1).mean(), _TINY)
    for _ in range(n_steps):
        estimate *= wanted / np.maximum((estimate @ filters.T) @ filters, _TINY)
    return np.sqrt(estimate).T


def samples_from_mel(
    log_mel: ArrayLike,
    config: MelConfig,
    n_iterations: int = 32,
    *,
    momentum: float = MOMENTUM,
    n_samples: int | None = None,
    seed: int = 0,
) -> Floats:
    """A sound with this log-mel: `magnitude_from_mel`, then `samples_from_spectrum`.

    Parameters
    ----------
    log_mel : array_like
        ``(n_mels, n_frames)``, natural logarithm of the amplitude, see `volna.features.sounding.sounding_mel`.
    config : MelConfig
        How it was made.
    n_iterations, momentum, n_samples, seed
        See `samples_from_spectrum`.

    Returns
    -------
    ndarray
        float32 ``(n_samples,)`` at ``config.sample_rate``, ``(n_frames - 1) * hop_length`` by default.

    Raises
    ------
    InputError
        Another number of bands, or values that are not finite.

    Examples
    --------
    >>> from volna.features.sounding import sounding_config, sounding_mel
    >>> config = sounding_config(8_000)
    >>> samples_from_mel(sounding_mel(np.sin(np.arange(8_000)), config), config, 4).shape
    (7936,)
    """
    return samples_from_spectrum(
        magnitude_from_mel(log_mel, config),
        config.hop_length,
        config.window,
        n_iterations=n_iterations,
        momentum=momentum,
        n_samples=n_samples,
        seed=seed,
    )


def checked_mel(log_mel: ArrayLike, config: MelConfig) -> Floats:
    """A log-mel as float32 ``(n_mels, n_frames)``.

    Raises
    ------
    InputError
        Another number of bands, values that are not finite, or too large for natural logarithms of amplitudes.

    Examples
    --------
    >>> checked_mel([[-3.0]], MelConfig(n_mels=1)).dtype
    dtype('float32')
    """
    values = np.asarray(log_mel, dtype=np.float32)
    if values.ndim != 2 or values.shape[0] != config.n_mels or not values.shape[1]:
        raise InputError(f"expected a log-mel of shape ({config.n_mels}, n_frames), got {values.shape}")
    if not np.isfinite(values).all():
        raise InputError("expected a finite log-mel, got NaN or infinity")
    if float(values.max()) > LOUDEST_LOG_MEL:
        raise InputError(
            f"expected natural logarithms of amplitudes, got values up to {float(values.max()):.0f}: a log-mel in dB?"
        )
    return values


def _checked_magnitude(magnitude: ArrayLike) -> Floats:
    values = np.asarray(magnitude, dtype=np.float32)
    if values.ndim != 2 or values.shape[0] < 2 or not values.shape[1]:
        raise InputError(f"expected magnitudes of shape (n_bins, n_frames), got {values.shape}")
    if not np.isfinite(values).all() or float(values.min()) < 0:
        raise InputError("expected magnitudes that are finite and not negative")
    return values


def _unit(spectrum: Spectrum) -> Spectrum:
    """Every bin divided by its magnitude."""
    power = power_spectrum(spectrum)
    unit: Spectrum = spectrum * (1.0 / np.sqrt(power + np.float32(1e-20)))
    return unit


def inverse_of_frames(frames: Spectrum, hop_length: int, window: str, length: int) -> Floats:
    """Overlap-add of ``(n_frames, n_bins)``, cut to ``length`` samples from the centre of the first frame on."""
    import scipy.fft

    n_fft = 2 * (frames.shape[1] - 1)
    pieces = scipy.fft.irfft(frames, n_fft) * window_of(window, n_fft)
    sound = overlap_add(pieces, hop_length)
    sound /= _envelope(len(frames), n_fft, hop_length, window)
    sound = sound[n_fft // 2 : n_fft // 2 + length]
    return np.pad(sound, (0, length - len(sound))) if len(sound) < length else sound


def overlap_add(pieces: Floats, hop_length: int) -> Floats:
    """Add rows ``(n_frames, n)`` a hop apart: float32 ``(n_frames + ceil(n / hop_length) - 1) * hop_length``.

    Every row is cut into hops; hop ``j`` of row ``t`` falls on place ``t + j``, so whole columns of hops are added.
    """
    n_frames, n = pieces.shape
    n_hops = -(-n // hop_length)
    if n % hop_length:
        pieces = np.pad(pieces, ((0, 0), (0, n_hops * hop_length - n)))
    hops = pieces.reshape(n_frames, n_hops, hop_length)
    total = np.zeros((n_frames + n_hops - 1, hop_length), dtype=np.float32)
    for j in range(n_hops):
        total[j : j + n_frames] += hops[:, j]
    return total.reshape(-1)


@lru_cache(maxsize=16)
def _envelope(n_frames: int, n_fft: int, hop_length: int, window: str) -> Floats:
    """The sum of squared windows, never so small that what is divided by it would explode."""
    squares = np.broadcast_to(window_of(window, n_fft) ** 2, (n_frames, n_fft))
    total = overlap_add(squares, hop_length)
    return frozen(np.maximum(total, 1e-3 * float(total.max())))
