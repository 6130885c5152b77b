"""Fast Griffin-Lim of a mel that comes in pieces, so that hours need the memory of seconds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from volna.errors import InputError
from volna.features.frames import Floats
from volna.features.inversion import magnitude_from_mel, samples_from_spectrum
from volna.features.spectrum import MelConfig, stft

__all__ = ["Weaver"]

Spectrum = NDArray[np.complex64]


class Weaver:
    """Sound of pieces of a log-mel that overlap, cross-faded.

    ::

        |-------- piece 0 --------|
                         |-------- piece 1 --------|        overlap frames are in both
                         fades over

    The phases of Griffin-Lim are free, and those of two pieces would cancel where they meet. So a piece starts, over
    the frames that it shares, from the phases of the one before.

    Parameters
    ----------
    config : MelConfig
        How the log-mel was made.
    overlap : int
        Frames that the end of each piece shares with the start of the next, at least 2.
    n_iterations, seed : int
        See `volna.features.inversion.samples_from_spectrum`.

    Raises
    ------
    InputError
        An overlap below 2.

    Examples
    --------
    >>> from volna.features.sounding import sounding_config, sounding_mel
    >>> config = sounding_config(8_000)
    >>> mel = sounding_mel(np.sin(np.arange(8_000)), config)  # 63 frames
    >>> weaver = Weaver(config, overlap=10, n_iterations=2)
    >>> sum(map(len, [weaver.add(mel[:, :40]), weaver.add(mel[:, 30:]), weaver.rest()])) == 63 * 128
    True
    """

    def __init__(self, config: MelConfig, *, overlap: int, n_iterations: int = 32, seed: int = 0) -> None:
        if overlap < 2:
            raise InputError(f"expected an overlap of at least 2 frames, got {overlap}")
        self.config, self.overlap, self.n_iterations = config, overlap, n_iterations
        self._rng = np.random.default_rng(seed)
        self._tail: Floats | None = None

    def add(self, log_mel: Floats) -> Floats:
        """The samples that the next piece does not change.

        Parameters
        ----------
        log_mel : ndarray
            float32 ``(n_mels, n_frames)``, its first ``overlap`` frames those that the piece before ended with, its
            last ones those that the next begins with.

        Returns
        -------
        ndarray
            float32, a hop for each frame but those of the overlap.
        """
        hop_length = self.config.hop_length
        magnitude = magnitude_from_mel(log_mel, self.config)
        start = self._phases(magnitude.shape)
        sound = samples_from_spectrum(
            magnitude, hop_length, self.config.window, n_iterations=self.n_iterations, start=start,
            n_samples=magnitude.shape[1] * hop_length,
        )  # fmt: skip
        shared = self.overlap * hop_length
        if self._tail is not None:
            fade = np.linspace(0.0, 1.0, len(self._tail), dtype=np.float32)
            sound[: len(fade)] = fade * sound[: len(fade)] + (1.0 - fade) * self._tail
        n_done = max(0, len(sound) - shared)
        self._tail = sound[n_done:]
        return sound[:n_done]

    def rest(self) -> Floats:
        """What is left when there is no further piece."""
        return np.zeros(0, np.float32) if self._tail is None else self._tail

    def _phases(self, shape: tuple[int, ...]) -> Spectrum:
        turn = self._rng.random(shape, dtype=np.float32) * np.float32(2 * np.pi)
        phases: Spectrum = np.exp(1j * turn).astype(np.complex64)
        if self._tail is not None:
            n = len(self._tail) // self.config.hop_length
            phases[:, :n] = stft(self._tail, self.config.n_fft, self.config.hop_length, self.config.window)[:, :n]
        return phases
