"""Noise taken out with nothing learnt: the noise of every bin is followed, and bins are turned down by what is noise.

Three steps a frame, each from the literature: the noise power by the probability that speech is present (Gerkmann and
Hendriks 2012), the signal-to-noise ratio by the decision-directed rule (Ephraim and Malah 1984), and the gain that is
best for logarithms of amplitudes (Ephraim and Malah 1985), which leaves less of the warbling ("musical") noise than a
Wiener gain or spectral subtraction does; both of these can be had as well. All channels share the gains, made from
their mean power, so that the picture between the loudspeakers stays.

Measure: SI-SDR and PESQ over noisy speech, docs/denoising.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from volna.errors import InputError
from volna.features.denoise_frames import FRAME_S, HOPS, Spectra
from volna.features.denoise_need import Need
from volna.features.frames import Floats

__all__ = ["RULES", "Wiener", "gains_of", "log_amplitude_gain"]

RULES = ("log", "wiener", "subtraction")
FRAMES_A_S = HOPS / FRAME_S

# Of the noise, Gerkmann and Hendriks: a bin where speech is has 15 dB; both is as likely before one has looked.
SPEECH_SNR = 10**1.5
SURE, SURE_MEMORY = 0.99, 0.9  # a probability that stays above it for long is a noise that rose
NOISE_MEMORY = 0.8
START_S, START_QUANTILE = 1.0, 0.2  # the noise to begin with: a low quantile of what comes first
# Median and quantiles of an exponential variable, relative to its mean: -log(1 - q).
START_BIAS = float(-np.log(1 - START_QUANTILE))
# Of the gain.
MEMORY = 0.96  # of the signal-to-noise ratio: more is smoother, and slower at onsets
LEAST_SNR_DB = -18.0
LEAST_GAIN_DB = -20.0  # what is left of noise: a floor hides the warbling
MOST_POSTERIOR = 1e4
TINY = 1e-20

Doubles = NDArray[np.float64]


@dataclass
class Wiener:
    """What is known of a sound's noise after the frames so far; state of `gains_of`, one for a sound.

    Attributes
    ----------
    rule : str
        ``"log"`` (log-spectral amplitude), ``"wiener"`` or ``"subtraction"`` (of magnitudes).
    least_gain_db : float
        Nothing is turned down by more.
    strength : float
        From 0, nothing happens, to 1.
    noise : ndarray
        Power of the noise in every bin, float64 ``(n_bins,)`` or ``(n_channels, n_bins)``; at first empty.
    """

    rule: str = "log"
    least_gain_db: float = LEAST_GAIN_DB
    strength: float = 1.0
    noise: Doubles = field(default_factory=lambda: np.zeros(0))
    presence: Doubles = field(default_factory=lambda: np.zeros(0))  # smoothed probability of speech
    clean: Doubles = field(default_factory=lambda: np.zeros(0))  # power of the last frame's estimate

    def __post_init__(self) -> None:
        if self.rule not in RULES:
            raise InputError(f"expected a rule out of {', '.join(RULES)}, got {self.rule!r}")

    def process(self, spectra: Iterator[Spectra]) -> Iterator[Spectra]:
        """The spectra with their noise turned down, for `volna.features.denoise_frames.through_spectra`."""
        need = Need()
        for spectrum in spectra:
            power = (spectrum.real**2 + spectrum.imag**2).transpose(1, 0, 2)  # (n_frames, n_channels, n_bins)
            strength = np.float32(self.strength) * need.of(power)[:, :, None]
            yield spectrum * (1 - strength * (1 - gains_of(power, self))).transpose(1, 0, 2)


def gains_of(power: Floats, state: Wiener) -> Floats:
    """The gains of some frames that follow those seen so far.

    Parameters
    ----------
    power : ndarray
        float32 ``(n_frames, n_bins)``, or ``(n_frames, n_sounds, n_bins)`` for several at once; squared magnitudes.
    state : Wiener
        Changed in place.

    Returns
    -------
    ndarray
        float32, same shape, from ``least_gain_db`` up to 1.

    Examples
    --------
    >>> hiss = np.random.default_rng(0).exponential(size=(200, 9)).astype(np.float32)
    >>> float(gains_of(hiss, Wiener())[50:].mean()) < 0.35
    True
    """
    power = np.asarray(power, np.float64)
    if not state.noise.size:
        first = power[: max(1, round(START_S * FRAMES_A_S))]
        state.noise = np.asarray(np.quantile(first, START_QUANTILE, axis=0) / START_BIAS + TINY, np.float64)
        state.presence = np.full(power.shape[1:], 0.5)
        state.clean = np.zeros(power.shape[1:])
    least = 10 ** (state.least_gain_db / 20)
    gains = np.empty(power.shape, np.float32)
    for t, frame in enumerate(power):
        _follow(frame, state)
        gains[t] = _gain(frame, state, least)
    return gains


def _follow(frame: Doubles, state: Wiener) -> None:
    """Move the noise towards the frame where it is likely to be noise."""
    ratio = np.minimum(frame / state.noise, 1e3)
    present = 1 / (1 + (1 + SPEECH_SNR) * np.exp(-ratio * (SPEECH_SNR / (1 + SPEECH_SNR))))
    state.presence = SURE_MEMORY * state.presence + (1 - SURE_MEMORY) * present
    present = np.where(state.presence > SURE, np.minimum(present, SURE), present)
    expected = present * state.noise + (1 - present) * frame
    state.noise = NOISE_MEMORY * state.noise + (1 - NOISE_MEMORY) * expected + TINY


def _gain(frame: Doubles, state: Wiener, least: float) -> Doubles:
    """The gain of a frame; its estimate of the sound is kept for the next one."""
    posterior = np.minimum(frame / state.noise, MOST_POSTERIOR)
    if state.rule == "subtraction":
        return np.clip(1 - 1 / np.sqrt(np.maximum(posterior, TINY)), least, 1.0)
    snr = MEMORY * state.clean / state.noise + (1 - MEMORY) * np.maximum(posterior - 1, 0)
    snr = np.maximum(snr, 10 ** (LEAST_SNR_DB / 10))
    gain = snr / (1 + snr) if state.rule == "wiener" else log_amplitude_gain(snr, posterior)
    gain = np.minimum(gain, 1.0)
    state.clean = np.square(gain) * frame
    return np.maximum(gain, least)


def log_amplitude_gain(snr: Doubles, posterior: Doubles) -> Doubles:
    """The gain that is best for the logarithm of the amplitude (Ephraim and Malah 1985, equation 20).

    ``snr / (1 + snr) exp(E1(v) / 2)``, ``v = snr / (1 + snr) posterior``; both are ratios of power.

    Examples
    --------
    >>> float(log_amplitude_gain(np.array([100.0]), np.array([100.0]))[0].round(3))
    0.99
    """
    from scipy.special import exp1

    share = snr / (1 + snr)
    return np.asarray(share * np.exp(0.5 * exp1(np.maximum(share * posterior, 1e-8))))
