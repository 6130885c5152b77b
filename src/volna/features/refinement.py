"""A sound whose log-mel is a given one: Griffin-Lim steps that hold on to the mel itself.

Griffin-Lim from a mel first guesses magnitudes and then insists on them, though no sound may have them. Here a step
insists on what is known: the magnitudes of the sound so far, scaled band by band until the mel is the given one. What
the mel does not say, the finer structure, is left to the frames to agree upon. Measured on speech this gains as much as
a network does (docs/vocoder.md).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from volna.errors import InputError
from volna.features.frames import Floats, frame, window_of
from volna.features.inversion import checked_mel, inverse_of_frames, magnitude_from_mel
from volna.features.spectrum import MelConfig, mel_filters, power_spectrum, rfft

__all__ = ["REFINING_MOMENTUM", "reach", "refined_piece", "refined_sound", "refining_steps", "sound_of_mel"]

Spectrum = NDArray[np.complex64]

STEPS_A_S = 256_000  # steps times samples a second: some 70 times real time in all at 8 and 16 kHz on two cores
FEWEST_STEPS, MOST_STEPS = 16, 32
REFINING_MOMENTUM = 0.8  # measured beside 0.5 and 0.99; above 1 it does not settle
_MOST_GAIN = np.float32(20.0)  # of a band in one step
_TINY = np.float32(1e-20)


def refining_steps(config: MelConfig) -> int:
    """Steps by default, fewer at higher rates, where each takes longer.

    Examples
    --------
    >>> from volna.features.sounding import sounding_config
    >>> [refining_steps(sounding_config(rate)) for rate in (8_000, 16_000, 44_100)]
    [32, 16, 16]
    """
    return max(FEWEST_STEPS, min(MOST_STEPS, STEPS_A_S // config.sample_rate))


def reach(config: MelConfig, n_iterations: int | None = None) -> int:
    """Frames on either side that a frame depends on: each step, and turning them back, mixes those that overlap."""
    n_iterations = refining_steps(config) if n_iterations is None else n_iterations
    overlapping = -(-config.n_fft // config.hop_length) - 1
    return (n_iterations + 1) * overlapping


def refined_sound(
    start: Spectrum,
    log_mel: ArrayLike,
    config: MelConfig,
    *,
    n_iterations: int | None = None,
    momentum: float = REFINING_MOMENTUM,
    n_samples: int | None = None,
) -> Floats:
    """The sound near a spectrum that has a given log-mel, or nearly.

    Parameters
    ----------
    start : ndarray
        complex64 ``(n_bins, n_frames)``: magnitudes and phases to start from.
    log_mel : array_like
        ``(n_mels, n_frames)``, see `volna.features.sounding.sounding_mel`.
    config : MelConfig
        How the log-mel was made.
    n_iterations : int, optional
        Steps, by default `refining_steps`; 0 only turns the start back.
    momentum : float
        Of the phases, as in `volna.features.inversion.samples_from_spectrum`.
    n_samples : int, optional
        ``(n_frames - 1) * hop_length`` by default.

    Returns
    -------
    ndarray
        float32 ``(n_samples,)``.

    Raises
    ------
    InputError
        Shapes that do not fit, a mel that is not finite.

    Examples
    --------
    >>> from volna.features.sounding import sounding_config, sounding_mel
    >>> from volna.features.spectrum import stft
    >>> config, tone = sounding_config(8_000), np.sin(np.arange(8_064) / 3).astype(np.float32)
    >>> refined_sound(stft(tone, 512, 128), sounding_mel(tone, config), config).shape
    (8064,)
    """
    mel = checked_mel(log_mel, config)
    if start.shape != (1 + config.n_fft // 2, mel.shape[1]):
        raise InputError(f"expected a spectrum of {(1 + config.n_fft // 2, mel.shape[1])}, got {start.shape}")
    n_iterations = refining_steps(config) if n_iterations is None else n_iterations
    length = (mel.shape[1] - 1) * config.hop_length
    wanted = np.exp(mel.T)  # amplitudes (n_frames, n_mels)
    frames = np.ascontiguousarray(start.T, dtype=np.complex64)
    window = window_of(config.window, config.n_fft)
    before: Spectrum | None = None
    for _ in range(n_iterations if length else 0):
        sound = inverse_of_frames(frames, config.hop_length, config.window, length)
        made = rfft(frame(sound, config.n_fft, config.hop_length).T * window)
        frames = _towards(made, before, momentum, wanted, config)
        before = made
    return inverse_of_frames(frames, config.hop_length, config.window, length if n_samples is None else n_samples)


def sound_of_mel(log_mel: ArrayLike, config: MelConfig, *, n_iterations: int = MOST_STEPS, seed: int = 0) -> Floats:
    """A sound of a given log-mel, without a network: `refined_sound` from non-negative least squares, random phases.

    Parameters
    ----------
    log_mel : array_like
        ``(n_mels, n_frames)``, see `volna.features.sounding.sounding_mel`.
    config : MelConfig
        How the log-mel was made.
    seed : int
        Of the phases.

    Returns
    -------
    ndarray
        float32 ``((n_frames - 1) * hop_length,)``.

    Raises
    ------
    InputError
        As `refined_sound`.

    Examples
    --------
    >>> from volna.features.sounding import sounding_config
    >>> sound_of_mel(np.zeros((64, 9), np.float32), sounding_config(8_000), n_iterations=2).shape
    (1024,)
    """
    magnitude = magnitude_from_mel(log_mel, config)
    turn = np.exp(2j * np.pi * np.random.default_rng(seed).random(magnitude.shape))
    return refined_sound((magnitude * turn).astype(np.complex64), log_mel, config, n_iterations=n_iterations)


def refined_piece(
    start: Spectrum,
    log_mel: ArrayLike,
    config: MelConfig,
    left: int,
    length: int,
    *,
    n_iterations: int | None = None,
) -> Floats:
    """`refined_sound` of the ``length`` frames from ``left`` on: float32 ``(length * hop_length,)``.

    ``start`` and ``log_mel`` hold `reach` frames on either side where there are as many; pieces then fit together as if
    the whole had been refined at once.
    """
    skipped, n = left * config.hop_length, length * config.hop_length
    sound = refined_sound(start, log_mel, config, n_iterations=n_iterations, n_samples=skipped + n)
    return sound[skipped:]


def _towards(made: Spectrum, before: Spectrum | None, momentum: float, wanted: Floats, config: MelConfig) -> Spectrum:
    """Magnitudes of ``made``, scaled to the wanted mel, with phases that go on in the direction of the last step."""
    power = power_spectrum(made)
    filters = mel_filters(config)
    bands = np.sqrt(power @ filters.T + _TINY)
    gains = np.minimum(wanted / bands, _MOST_GAIN) @ (filters / np.maximum(filters.sum(axis=0), _TINY))
    if before is None or not momentum:
        return made * gains
    turned = made - np.float32(momentum / (1.0 + momentum)) * before
    gains *= np.sqrt(power / (power_spectrum(turned) + _TINY))
    return turned * gains
