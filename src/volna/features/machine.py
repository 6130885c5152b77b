"""What betrays a fault of a machine: windows of a second described so that a click, a whistle or a rub stands out.

A mean spectrum hides what is short or narrow. A window is therefore described by its log-mel spectrum's mean, scatter
and highest value over time, by how narrow its strongest lines are, and by the envelopes of bands: how peaky they are
(kurtosis, after Antoni 2006, "The spectral kurtosis", Mechanical Systems and Signal Processing 20) and how strongly and
how regularly they pulsate (the envelope spectrum of Randall and Antoni 2011).

Conventions: samples are mono at 16 kHz, full scale at 1. Everything is relative to the level of the whole sound, so a
gain changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from volna.errors import InputError
from volna.features.frames import Floats, checked, window_of
from volna.features.spectrum import (
    MelConfig,
    fft_frequencies,
    mel_filters,
    mel_power,
    power_spectrum,
    power_to_db,
    rfft,
    stft,
)

__all__ = [
    "FLOOR_DB",
    "MACHINE",
    "MACHINE_VERSION",
    "PIECE_S",
    "PULSES",
    "SHAPE",
    "STACK",
    "WINDOW_NAMES",
    "WINDOW_S",
    "MachineSound",
    "hear_machine",
    "joined",
    "stacked_frames",
]

MACHINE_VERSION = "1"  # raise it when the same sound gives other numbers
MACHINE = MelConfig(sample_rate=16_000, n_fft=1_024, hop_length=512, n_mels=64, fmin_hz=40.0, fmax_hz=7_800.0)
WINDOW_S, WINDOW_STEP_S = 1.0, 0.5
PIECE_S = 32.0  # of a long recording, heard one by one: a whole number of frames and of windows
STACK = 5  # frames that the autoencoder sees at once, as in the baseline of DCASE Task 2

LINES = MelConfig(sample_rate=16_000, n_fft=4_096, hop_length=2_048, n_mels=16, fmin_hz=40.0, fmax_hz=7_800.0)
ENVELOPE = MelConfig(sample_rate=16_000, n_fft=256, hop_length=32, n_mels=12, fmin_hz=60.0, fmax_hz=7_800.0)
PULSE_EDGES_HZ = (2.0, 5.0, 12.0, 25.0, 50.0, 100.0, 200.0)  # bands of the envelope spectrum; 200: clicks of 56 turns/s
FLOOR_DB = -70.0  # re the mean power of the bands: what is fainter is the noise of the format, not the machine


class MachineSound(NamedTuple):
    """A sound as the detectors hear it.

    Attributes
    ----------
    mel : float32 ``(n_mels, n_frames)``, dB re the sound's mean power per band.
    windows : float32 ``(n_windows, len(WINDOW_NAMES))``.
    start_s : float64 ``(n_windows,)``, where each window begins; a window lasts `WINDOW_S` or up to the end.
    """

    mel: Floats
    windows: Floats
    start_s: np.ndarray


def _names() -> tuple[str, ...]:
    mels = [f"{kind}_{k}" for kind in ("mean", "scatter", "peak") for k in range(MACHINE.n_mels)]
    lines = [f"line_{k}" for k in range(LINES.n_mels)]
    kinds = ["kurtosis", "crest", "regular", *(f"pulse_{low:g}hz" for low in PULSE_EDGES_HZ[:-1])]
    return (*mels, *lines, *(f"{kind}_{k}" for kind in kinds for k in range(ENVELOPE.n_mels)))


WINDOW_NAMES = _names()
SHAPE = slice(MACHINE.n_mels, None)  # of a window: all but its mean spectrum, which another microphone changes too
PULSES = slice(3 * MACHINE.n_mels, None)  # of a window: lines and envelopes


def hear_machine(samples: ArrayLike) -> MachineSound:
    """The log-mel spectrum of a sound and the description of its windows.

    Parameters
    ----------
    samples : array_like
        ``(n_samples,)`` at 16 kHz; what is shorter than a window is repeated to fill one.

    Raises
    ------
    InputError
        The samples are none, not finite, or silent.

    Examples
    --------
    >>> noise = np.random.default_rng(0).standard_normal(40_000)
    >>> hear_machine(noise).windows.shape == (4, len(WINDOW_NAMES))
    True
    """
    sound = _filled(checked(samples))
    mel = _relative_db(mel_power(power_spectrum(stft(sound, MACHINE.n_fft, MACHINE.hop_length)), MACHINE))
    duration_s = len(sound) / MACHINE.sample_rate
    n_windows = 1 + int((duration_s - WINDOW_S) / WINDOW_STEP_S + 1e-6)
    start_s = np.arange(n_windows) * WINDOW_STEP_S
    envelopes = _envelopes(sound)
    lines = _lines(sound)
    parts = [
        _mel_statistics(_cut(mel, start_s, MACHINE)),
        _cut(lines, start_s, LINES).max(axis=2),
        _pulses(_cut(envelopes, start_s, ENVELOPE)),
    ]
    return MachineSound(mel, np.concatenate(parts, axis=1).astype(np.float32), start_s)


def joined(pieces: Sequence[MachineSound | None]) -> MachineSound | None:
    """The pieces of a long recording as one sound.

    Parameters
    ----------
    pieces
        In order, each of `PIECE_S` and the half second after it, the last one of any length; None where there is
        silence, which has no windows and lies at the floor of the spectrum.

    Returns
    -------
    MachineSound or None
        None where all is silent.

    Examples
    --------
    >>> noise = np.random.default_rng(0).standard_normal(520_000)  # 32.5 s
    >>> long = joined([hear_machine(noise), None, hear_machine(noise[:32_000])])
    >>> long.start_s[[0, -1]].tolist(), long.mel.shape
    ([0.0, 65.0], (64, 2063))
    """
    if not any(piece is not None for piece in pieces):
        return None
    n_frames, n_windows = round(PIECE_S * MACHINE.frames_per_s), round(PIECE_S / WINDOW_STEP_S)
    silence = np.full((MACHINE.n_mels, n_frames), FLOOR_DB, np.float32)
    mels, windows, starts = [], [], []
    for k, piece in enumerate(pieces):
        last = k == len(pieces) - 1
        mels.append(silence if piece is None else piece.mel[:, : None if last else n_frames])
        if piece is not None:
            windows.append(piece.windows[: None if last else n_windows])
            starts.append(k * PIECE_S + piece.start_s[: None if last else n_windows])
    return MachineSound(np.concatenate(mels, axis=1), np.concatenate(windows), np.concatenate(starts))


def stacked_frames(mel: Floats, n_stacked: int = STACK) -> Floats:
    """Every run of ``n_stacked`` frames as one row.

    Parameters
    ----------
    mel : ndarray
        float32 ``(n_mels, n_frames)`` with at least ``n_stacked`` frames.

    Returns
    -------
    ndarray
        float32 ``(n_frames - n_stacked + 1, n_stacked * n_mels)``, the frames one after another.

    Examples
    --------
    >>> stacked_frames(np.arange(6, dtype=np.float32).reshape(2, 3), 2)
    array([[0., 3., 1., 4.],
           [1., 4., 2., 5.]], dtype=float32)
    """
    runs = np.lib.stride_tricks.sliding_window_view(mel, n_stacked, axis=1)  # (n_mels, n_runs, n_stacked)
    return np.ascontiguousarray(runs.transpose(1, 2, 0).reshape(runs.shape[1], -1))


def _filled(sound: Floats) -> Floats:
    """At least one window of sound: what is shorter is repeated."""
    if not np.any(sound):
        raise InputError("expected a sound, got silence")
    shortest = round(WINDOW_S * MACHINE.sample_rate)
    return sound if len(sound) >= shortest else np.resize(sound, shortest)


def _relative_db(power: Floats) -> Floats:
    """Decibels re the mean power of all bands and frames, not below `FLOOR_DB`."""
    relative = power / max(float(power.mean(dtype=np.float64)), 1e-30)
    return power_to_db(relative, amin=10.0 ** (FLOOR_DB / 10.0), top_db=None)


def _cut(rows: Floats, start_s: np.ndarray, config: MelConfig) -> Floats:
    """The frames of every window: ``(n_rows, n_frames) -> (n_windows, n_rows, n_frames of a window)``."""
    length = int(WINDOW_S * config.frames_per_s)
    first = np.minimum(np.round(start_s * config.frames_per_s).astype(int), rows.shape[1] - length)
    return np.lib.stride_tricks.sliding_window_view(rows, length, axis=1)[:, first].transpose(1, 0, 2)


def _mel_statistics(cells: Floats) -> Floats:
    """Mean, scatter and highest value above the mean of every band: ``(n_windows, 3 * n_mels)``, dB."""
    mean = cells.mean(axis=2)
    return np.concatenate([mean, cells.std(axis=2), cells.max(axis=2) - mean], axis=1)


def _lines(sound: Floats) -> Floats:
    """How far the strongest line of a band stands above the band's median, dB: ``(n_bands, n_frames)``."""
    power = power_spectrum(stft(sound, LINES.n_fft, LINES.hop_length))
    power = power / max(float(power.mean(dtype=np.float64)), 1e-30) + np.float32(10.0 ** (FLOOR_DB / 10.0))
    rows = [power[band] for band in _bins_of_bands()]
    return np.stack([10.0 * np.log10(row.max(axis=0) / np.median(row, axis=0)) for row in rows]).astype(np.float32)


@lru_cache(maxsize=1)
def _bins_of_bands() -> tuple[slice, ...]:
    """The bins where each filter of `LINES` is above half its height."""
    filters = mel_filters(LINES)
    inside = [np.flatnonzero(row > 0.5 * row.max()) for row in filters]
    return tuple(slice(int(bins[0]), int(bins[-1]) + 1) for bins in inside)


def _envelopes(sound: Floats) -> Floats:
    """Amplitude of a dozen bands 500 times a second: ``(n_bands, n_frames)``, above 0."""
    power = mel_power(power_spectrum(stft(sound, ENVELOPE.n_fft, ENVELOPE.hop_length)), ENVELOPE)
    relative = power / max(float(power.mean(dtype=np.float64)), 1e-30) + np.float32(10.0 ** (FLOOR_DB / 10.0))
    return np.sqrt(relative)


def _pulses(cells: Floats) -> Floats:
    """Peakiness and pulsation of every band: ``(n_windows, 9 * n_bands)``, see `WINDOW_NAMES`."""
    mean = cells.mean(axis=2, keepdims=True)
    swing = cells / mean - 1.0
    power2 = np.maximum((swing**2).mean(axis=2), 1e-9)
    kurtosis = np.log(np.maximum((swing**4).mean(axis=2) / power2**2, 1.0))
    crest = 20.0 * np.log10(cells.max(axis=2) / np.median(cells, axis=2))
    spectrum = power_spectrum(rfft(swing * window_of("hann", cells.shape[2])))
    hz = fft_frequencies(ENVELOPE.frames_per_s, cells.shape[2])
    heard = spectrum[:, :, (hz >= PULSE_EDGES_HZ[1]) & (hz < PULSE_EDGES_HZ[-1])]
    regular = 10.0 * np.log10(heard.max(axis=2) / np.maximum(np.median(heard, axis=2), 1e-12) + 1e-12)
    bands = [
        10.0 * np.log10(spectrum[:, :, (hz >= low) & (hz < high)].mean(axis=2) + 1e-6)
        for low, high in pairwise(PULSE_EDGES_HZ)
    ]
    return np.concatenate([kurtosis, crest, regular, *bands], axis=1)
