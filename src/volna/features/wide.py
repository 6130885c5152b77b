"""The whole band of a sound as vectors for tasks with labels: statistics of its log-mel, its cepstra, a patch in time.

The recipe of the search stops at 4.7 kHz, because above it a music collection tells codecs; a dog, rain and a kettle
are told apart there. Nothing here knows a label, so a vector of a file is the same whatever task it serves.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from volna.errors import InputError
from volna.features import descriptors as d
from volna.features.frames import Floats
from volna.features.modulation import modulation_frequencies_hz, modulation_power
from volna.features.recipe import HEARD_DB
from volna.features.spectrum import MelConfig, mel_power, power_spectrum, power_to_db, stft

__all__ = [
    "NUISANCE_NAMES",
    "N_WIDE_MFCC",
    "PATCH_BANDS",
    "PATCH_FRAMES",
    "WIDE",
    "WIDE_VERSION",
    "nuisance",
    "patch",
    "wide_log_mel_statistics",
    "wide_log_mels",
    "wide_mfcc_statistics",
    "wide_spectrum",
]

WIDE = MelConfig(sample_rate=24_000, n_fft=1_024, hop_length=300, n_mels=64, fmin_hz=30.0, fmax_hz=11_500.0)
WIDE_TOP_DB = 80.0  # what lies further below the loudest cell of a sound is left out
N_WIDE_MFCC = 20
N_SPECTRUM_MFCC, N_MOVING_MFCC, N_BROAD_BANDS = 30, 24, 16
SPEEDS_HZ = 0.3125 * 2.0 ** np.arange(8)  # the slowest is that of one turn in the 3.2 s of a segment
STILL_DB = 0.1  # added before the logarithm: a row that moves by less stands still
PATCH_BANDS, PATCH_FRAMES = 40, 16
# A frame further below the loudest one belongs to the silence around a word. As in the recipe: less cuts
# off the faint consonants at the ends of words (measured: 40 dB tells fewer digits apart).
PATCH_HEARD_DB = HEARD_DB
NUISANCE_NAMES = ("log_duration", "level_db", "noise_floor_db", "peak_db", "offset_db")
NUISANCE_FRAME_S = 0.03
QUIETEST = 1e-6  # -120 dBFS

# Raise the number when a definition changes that no setting shows: vectors of two versions cannot be compared.
_SETTINGS = (WIDE, WIDE_TOP_DB, N_SPECTRUM_MFCC, N_MOVING_MFCC, N_BROAD_BANDS, tuple(SPEEDS_HZ), STILL_DB)
_SETTINGS_OF_PATCH = (PATCH_BANDS, PATCH_FRAMES, PATCH_HEARD_DB)
WIDE_VERSION = "1-" + hashlib.sha256(repr((*map(str, _SETTINGS), *_SETTINGS_OF_PATCH)).encode()).hexdigest()[:8]


def wide_log_mels(windows: Sequence[Floats], config: MelConfig = WIDE) -> list[Floats]:
    """Log-mels of all windows of a sound, float32 ``(n_mels, n_frames)`` each, dB, on one scale.

    Examples
    --------
    >>> wide_log_mels([np.random.default_rng(0).normal(size=24_000).astype("float32")])[0].shape
    (64, 81)
    """
    if not windows:
        raise InputError("expected at least one window of samples, got none")
    spectra = (power_spectrum(stft(window, config.n_fft, config.hop_length, config.window)) for window in windows)
    mels = [mel_power(power, config) for power in spectra]
    joined = power_to_db(np.concatenate(mels, axis=1), amin=1e-12, top_db=WIDE_TOP_DB)
    return np.split(joined, np.cumsum([mel.shape[1] for mel in mels])[:-1], axis=1)


def wide_log_mel_statistics(log_mels: Sequence[Floats]) -> Floats:
    """Mean and spread of every band over time: float32 ``(2 * n_mels,)``, dB.

    Examples
    --------
    >>> wide_log_mel_statistics([np.zeros((64, 9), np.float32)]).shape
    (128,)
    """
    values = np.concatenate(list(log_mels), axis=1)
    return np.concatenate([values.mean(axis=1), values.std(axis=1)]).astype(np.float32)


def wide_mfcc_statistics(log_mels: Sequence[Floats], n_mfcc: int = N_WIDE_MFCC) -> Floats:
    """The classical 60: mean and spread of 20 cepstral coefficients, and the spread of their slopes; float32.

    Examples
    --------
    >>> wide_mfcc_statistics([np.zeros((64, 9), np.float32)]).shape
    (60,)
    """
    cepstra = [d.mfcc(mel, n_mfcc) for mel in log_mels]
    values = np.concatenate(cepstra, axis=1)
    slopes = np.concatenate([d.delta(cepstrum) for cepstrum in cepstra], axis=1)
    return np.concatenate([values.mean(axis=1), values.std(axis=1), slopes.std(axis=1)]).astype(np.float32)


def wide_spectrum(log_mels: Sequence[Floats]) -> Floats:
    """What a sound is made of and how fast it moves, over the whole band: float32 ``(498,)``.

    Mean and spread of 64 bands (128); mean, spread and spread of the slopes of 30 cepstral coefficients (90); and how
    strongly 24 of these and 16 broad bands move at each of seven speeds, an octave each from 0.3 to 40 Hz (280, the
    logarithm of dB; see `volna.features.modulation`).

    Examples
    --------
    >>> wide_spectrum([np.zeros((64, 9), np.float32)]).shape
    (498,)
    """
    still = [wide_log_mel_statistics(log_mels), wide_mfcc_statistics(log_mels, N_SPECTRUM_MFCC)]
    return np.concatenate([*still, _movement(log_mels)]).astype(np.float32)


def _movement(log_mels: Sequence[Floats]) -> Floats:
    """Root mean square of each row in each octave of speed, over all segments, as a logarithm."""
    broad = _shares(log_mels[0].shape[0], N_BROAD_BANDS)
    rows = [np.concatenate([d.mfcc(mel, N_MOVING_MFCC), broad @ mel]) for mel in log_mels]
    hz = modulation_frequencies_hz(WIDE.frames_per_s)[:, None]
    octaves = ((hz >= SPEEDS_HZ[:-1]) & (hz < SPEEDS_HZ[1:])).astype(np.float32)
    power = modulation_power(rows).mean(axis=0) @ octaves
    return np.log(np.sqrt(power) + np.float32(STILL_DB)).ravel()


def patch(log_mels: Sequence[Floats], n_bands: int = PATCH_BANDS, n_frames: int = PATCH_FRAMES) -> Floats:
    """The sound as a small picture of fixed size, whatever its length: float32 ``(n_bands * n_frames,)``, dB.

    Silence before and after is cut, time is divided into `n_frames` equal parts and the bands into `n_bands`; the mean
    is taken out, so that a gain changes nothing.

    Examples
    --------
    >>> patch([np.ones((64, 50), np.float32)]).shape
    (640,)
    """
    values = np.concatenate(list(log_mels), axis=1)
    loudness = values.max(axis=0)
    heard = np.flatnonzero(loudness >= loudness.max() - PATCH_HEARD_DB)
    values = values[:, heard[0] : heard[-1] + 1]
    small = _shares(values.shape[0], n_bands) @ values @ _shares(values.shape[1], n_frames).T
    return (small - small.mean()).astype(np.float32).ravel()


def _shares(n_in: int, n_out: int) -> Floats:
    """How much each of `n_in` cells counts in each of `n_out` equal parts of the same length; rows sum to 1."""
    edges = np.linspace(0, n_in, n_out + 1)
    cells = np.arange(n_in)
    overlap = np.minimum(cells + 1, edges[1:, None]) - np.maximum(cells, edges[:-1, None])
    weights = np.maximum(overlap, 0.0)
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def nuisance(windows: Sequence[Floats], sample_rate: int, duration_s: float) -> Floats:
    """What a recording tells without being listened to, named by `NUISANCE_NAMES`: float32 ``(5,)``.

    Natural logarithm of the duration in s; level, tenth percentile of the levels of 30 ms, peak, and offset, in dBFS.

    Examples
    --------
    >>> nuisance([np.full(24_000, 0.1, np.float32)], 24_000, 1.0).round(1).tolist()
    [0.0, -20.0, -20.0, -20.0, -20.0]
    """
    samples = np.concatenate(list(windows)).astype(np.float64)
    length = max(1, min(round(NUISANCE_FRAME_S * sample_rate), len(samples)))
    power = (samples[: len(samples) // length * length].reshape(-1, length) ** 2).mean(axis=1)
    values = [np.sqrt((samples**2).mean()), np.sqrt(np.percentile(power, 10)), np.abs(samples).max(), samples.mean()]
    levels = 20 * np.log10(np.maximum(np.abs(values), QUIETEST))
    return np.concatenate([[np.log(max(duration_s, 1e-3))], levels]).astype(np.float32)
