"""Spectrograms of every kind from sound that comes in blocks: what is measured, over which bands, in which unit.

Every kind is power over bands and frames first, so that the frames of a long sound can be averaged before a logarithm
is taken. Definitions are librosa's (``melspectrogram``, ``stft``, ``mfcc``, ``chroma_stft`` with tuning 0, ``cqt``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from volna.errors import InputError
from volna.features import descriptors
from volna.features.blocks import pooled, segments
from volna.features.constant_q import (
    C1_HZ,
    Bank,
    band_signal,
    constant_q_bank,
    cut_bands,
    highest_band,
    pitch_frequencies,
)
from volna.features.frames import WINDOWS, Floats
from volna.features.scalogram import HIGHEST_SHARE, morlet_bank, scalogram_blocks
from volna.features.spectrum import (
    MelConfig,
    fft_frequencies,
    hz_to_mel,
    mel_filters,
    mel_power,
    mel_to_hz,
    power_spectrum,
    power_to_db,
    stft,
)

__all__ = ["KINDS", "MOST_COLUMNS", "N_MFCC", "Made", "Settings", "make_spectrogram"]

KINDS = ("mel", "linear", "mfcc", "chroma", "cqt", "wavelet")
HOP_LENGTH = 512
MOST_COLUMNS = 16_384  # three minutes at 44.1 kHz; of longer sounds a column is the mean of several frames
N_MFCC = 20
TOP_OCTAVES = 83 / 12  # of the constant-Q transform, above its lowest band: 84 bands, as librosa has them
BINS_PER_OCTAVE = 12
AT_ONCE = 1 << 21  # samples of overlapping frames: 8 MB
FEWEST_AT_ONCE, MOST_AT_ONCE = 16, 1024  # frames, powers of two
AMIN = 1e-10  # the faintest power that a logarithm sees, as in librosa
BELOW_AMIN_DB = 100.0  # what silence is below its reference where no range was given

Ref = float | Literal["max"]


@dataclass(frozen=True)
class Settings:
    """What is to be measured.

    Attributes
    ----------
    kind : {"mel", "linear", "mfcc", "chroma", "cqt", "wavelet"}
    n_fft, window
        The frame of the first four; the other two have windows of their own.
    hop_length : int or None
        None is 512 samples, and frames are averaged where there are more than `MOST_COLUMNS`.
    n_mels : int
        Bands of ``mel`` and ``mfcc``.
    fmin_hz, fmax_hz : float or None
        None for all there is; for ``cqt`` and ``wavelet`` from C1 (32.7 Hz).
    ref : float, "max" or None
        The power that is 0 dB; None is ``"max"``, and 1.0 for ``mfcc``.
    top_db : float or None
        Nothing comes out further below the loudest cell.

    Raises
    ------
    InputError
        When one of them makes no sense.

    Examples
    --------
    >>> Settings("mfcc").reference, Settings().reference
    (1.0, 'max')
    """

    kind: str = "mel"
    n_fft: int = 2048
    hop_length: int | None = None
    n_mels: int = 128
    window: str = "hann"
    fmin_hz: float | None = None
    fmax_hz: float | None = None
    ref: Ref | None = None
    top_db: float | None = 80.0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InputError(f"kind: expected one of {', '.join(KINDS)}, got {self.kind!r}")
        if self.window not in WINDOWS:
            raise InputError(f"window: expected one of {', '.join(WINDOWS)}, got {self.window!r}")
        if self.n_fft < 2 or self.n_mels < 1 or self.hop < 1:
            raise InputError(
                f"expected n_fft of 2 or more, hop_length and n_mels above 0, "
                f"got {self.n_fft}, {self.hop_length} and {self.n_mels}"
            )
        if self.top_db is not None and not 0 < self.top_db < np.inf:
            raise InputError(f"top_db: expected a number above 0, got {self.top_db:g}")
        if not (self.reference == "max" or 0 < self.reference < np.inf):
            raise InputError(f"ref: expected 'max' or a power above 0, got {self.ref!r}")
        if self.kind == "chroma" and (self.fmin_hz, self.fmax_hz) != (None, None):
            raise InputError("fmin and fmax do not go with chroma, which folds all octaves into one")

    @property
    def hop(self) -> int:
        return HOP_LENGTH if self.hop_length is None else self.hop_length

    @property
    def reference(self) -> Ref:
        if self.ref is not None:
            return self.ref
        return 1.0 if self.kind == "mfcc" else "max"

    @property
    def framed(self) -> bool:
        """Made of frames of ``n_fft`` samples under ``window``."""
        return self.kind not in ("cqt", "wavelet")


class Made(NamedTuple):
    """``values`` float32 ``(n_bands, n_frames)``; ``frequencies_hz`` ``(n_bands,)`` or None; frames in a column."""

    values: Floats
    frequencies_hz: np.ndarray | None
    per_column: int
    notes: list[str]


class _Powers(NamedTuple):
    """Power in blocks of ``n_frames`` frames (a power of two; the last one may be shorter), and the middle of bands."""

    blocks: Iterator[Floats]
    n_frames: int
    frequencies_hz: np.ndarray
    notes: list[str]


def make_spectrogram(blocks: Iterable[Floats], sample_rate: int, settings: Settings) -> Made:
    """A spectrogram of a sound that comes in blocks.

    Parameters
    ----------
    blocks : iterable of ndarray
        float32 ``(n_samples,)`` each, one after another.
    sample_rate : int
        Hz.

    Returns
    -------
    Made
        dB; for ``mfcc`` the coefficients, for ``chroma`` 0 to 1, neither with frequencies.

    Raises
    ------
    InputError
        When there is no sample, the bands do not fit the rate, or the result would not fit into memory.

    Examples
    --------
    >>> noise = np.random.default_rng(0).standard_normal(22_050).astype(np.float32)
    >>> make_spectrogram([noise], 22_050, Settings()).values.shape
    (128, 44)
    """
    powers = _POWERS[settings.kind](blocks, sample_rate, settings)
    power, per_column = pooled(powers.blocks, powers.n_frames, MOST_COLUMNS if settings.hop_length is None else None)
    if settings.kind == "chroma":
        return Made(descriptors.chroma(power, sample_rate), None, per_column, powers.notes)
    values = _decibels(power, settings.reference, settings.top_db)
    if settings.kind == "mfcc":
        n_mfcc = min(N_MFCC, settings.n_mels)
        return Made(descriptors.mfcc(values, n_mfcc), None, per_column, powers.notes)
    return Made(values, powers.frequencies_hz, per_column, powers.notes)


def _decibels(power: Floats, ref: Ref, top_db: float | None) -> Floats:
    """`power_to_db`, but silence, which has no loudest cell, is the bottom of the range instead of its top."""
    if ref == "max" and float(power.max()) <= AMIN:
        return np.full_like(power, -(BELOW_AMIN_DB if top_db is None else top_db))
    return power_to_db(power, ref, amin=AMIN, top_db=top_db)


def _frame_powers(blocks: Iterable[Floats], settings: Settings) -> tuple[Iterator[Floats], int]:
    """Squared magnitudes of the short-time spectrum, ``(1 + n_fft // 2, n_frames)`` each."""
    n_fft, hop = settings.n_fft, settings.hop
    n_frames = 1 << int(np.log2(np.clip(AT_ONCE // n_fft, FEWEST_AT_ONCE, MOST_AT_ONCE)))
    before = n_fft // 2
    cut = segments(blocks, hop_length=hop, before=before, after=n_fft - before, n_frames=n_frames)

    def powers() -> Iterator[Floats]:
        for stretch, k in cut:
            part = stretch[: n_fft + (k - 1) * hop]
            yield power_spectrum(stft(part, n_fft, hop, settings.window, centre=False))

    return powers(), n_frames


def _mel(blocks: Iterable[Floats], sample_rate: int, settings: Settings) -> _Powers:
    fmin_hz, fmax_hz = settings.fmin_hz or 0.0, settings.fmax_hz or sample_rate / 2
    config = MelConfig(
        sample_rate, settings.n_fft, settings.hop, settings.n_mels, fmin_hz, fmax_hz, settings.window
    )  # fmt: skip
    n_empty = int((~mel_filters(config).any(axis=1)).sum())
    if n_empty == settings.n_mels:
        raise InputError(f"expected bins between {fmin_hz:g} and {fmax_hz:g} Hz, there is none: give a larger n_fft")
    low, high = hz_to_mel([fmin_hz, fmax_hz])
    middles_hz = mel_to_hz(np.linspace(low, high, settings.n_mels + 2))[1:-1]
    powers, n_frames = _frame_powers(blocks, settings)
    text = f"{n_empty} of {settings.n_mels} mel bands lie between two bins and are empty: fewer bands or a larger n_fft"
    return _Powers((mel_power(power, config) for power in powers), n_frames, middles_hz, [text] if n_empty else [])


def _linear(blocks: Iterable[Floats], sample_rate: int, settings: Settings) -> _Powers:
    low_hz, high_hz = settings.fmin_hz or 0.0, settings.fmax_hz or sample_rate / 2
    middles_hz = np.asarray(fft_frequencies(sample_rate, settings.n_fft))
    inside = np.flatnonzero((middles_hz >= low_hz) & (middles_hz <= high_hz))
    if not (len(inside) and high_hz <= sample_rate / 2):
        raise InputError(
            f"expected fmin_hz <= fmax_hz <= {sample_rate / 2:g} Hz (half the sample rate), and a bin between them, "
            f"got {low_hz:g} and {high_hz:g}"
        )
    bins = slice(int(inside[0]), int(inside[-1]) + 1)
    powers, n_frames = _frame_powers(blocks, settings)
    return _Powers((power[bins] for power in powers), n_frames, middles_hz[bins], [])


def _cqt(blocks: Iterable[Floats], sample_rate: int, settings: Settings) -> _Powers:
    fmin_hz, highest_hz = settings.fmin_hz or C1_HZ, highest_band(sample_rate / 2)
    wanted_hz = settings.fmax_hz or fmin_hz * 2.0**TOP_OCTAVES
    if settings.fmax_hz is None:
        wanted_hz = min(wanted_hz, highest_hz)
    middles_hz = pitch_frequencies(fmin_hz, wanted_hz, BINS_PER_OCTAVE)
    bank = constant_q_bank(sample_rate, settings.hop, fmin_hz, len(middles_hz), BINS_PER_OCTAVE)
    return _Powers(_cqt_powers(blocks, bank), bank.n_frames, middles_hz, [])


def _cqt_powers(blocks: Iterable[Floats], bank: Bank) -> Iterator[Floats]:
    for spectrum, k in cut_bands(blocks, bank):
        yield power_spectrum(np.stack([band_signal(spectrum, band, bank, 1)[0, :k] for band in bank.bands]))


def _wavelet(blocks: Iterable[Floats], sample_rate: int, settings: Settings) -> _Powers:
    highest_hz = settings.fmax_hz or HIGHEST_SHARE * sample_rate / 2
    bank = morlet_bank(sample_rate, settings.hop, settings.fmin_hz or C1_HZ, highest_hz, BINS_PER_OCTAVE)
    return _Powers(scalogram_blocks(blocks, bank), bank.n_frames, bank.frequencies_hz, [])


_POWERS = {"mel": _mel, "mfcc": _mel, "linear": _linear, "chroma": _linear, "cqt": _cqt, "wavelet": _wavelet}
