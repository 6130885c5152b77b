"""Every descriptor of a single frame by its name, at the settings of the textbooks, from one spectrum.

`volna.features.recipe` makes the vector that searches compare, at settings of its own; this is for people: the file's
own rate, frames of 2048 samples every 512, 128 mel bands up to half the rate, as librosa's defaults.

Conventions
-----------
* A table is float32 ``(n_names, n_frames)``, its rows as `frame_names` names them; a unit ends a name, a name without
  one is a share or librosa's own measure. NaN stands where a sound has no such thing: the F0 of an unvoiced frame, a
  band of the contrast above half the rate.
* Frames are centred: frame ``t`` is centred on sample ``t * hop_length``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from volna.errors import InputError
from volna.features import descriptors as d
from volna.features.formants import N_FORMANTS, formants
from volna.features.frames import WINDOWS, Floats, pre_emphasis
from volna.features.pitch import FMAX_HZ, pyin, yin
from volna.features.spectrum import MelConfig, fft_frequencies, mel_power, power_spectrum, power_to_db, stft
from volna.features.tonal import TONNETZ_AXES, tonnetz
from volna.features.wavelet import bands_of, frame_energies, level_for

__all__ = ["PITCHES", "TRACKERS", "FrameSettings", "cepstra", "event_config", "frame_names", "frame_table", "mel_db"]

TRACKERS = ("pyin", "yin")
PITCHES = ("c", "cs", "d", "ds", "e", "f", "fs", "g", "gs", "a", "as", "b")  # s: sharp
N_CONTRAST, CONTRAST_FMIN_HZ = 7, 200.0
MEL_AMIN, MEL_TOP_DB = (
    1e-10,
    80.0,
)  # librosa's: power that counts as silence, and how far the floor is below the loudest
FLOOR_DB = -120.0  # of wavelet bands: digital silence
LONGEST_S, SHORTEST_S, BEST_S = 0.1, 0.03, 0.046  # frames that onsets can be placed with; else their own, of so long
LOWEST_PITCH_HZ = 4000  # a sample rate under it holds no F0 range worth tracking


@dataclass(frozen=True)
class FrameSettings:
    """How frames are cut and what is measured in them.

    Attributes
    ----------
    n_fft, hop_length : int
        Frame length and step in samples.
    n_mels, n_mfcc : int
        Mel bands from 0 to half the rate, and the coefficients kept of them.
    window : str
        ``"hann"``, ``"hamming"`` or ``"rectangular"``.
    pre_emphasis : float
        Of the samples before the MFCC; 0 for none, 0.97 in most speech recognisers.
    f0 : str
        ``"pyin"`` or ``"yin"``.
    wavelet, level
        See `volna.features.wavelet.decompose`.

    Raises
    ------
    InputError
        When a value makes no sense.
    """

    n_fft: int = 2048
    hop_length: int = 512
    n_mels: int = 128
    n_mfcc: int = 20
    window: str = "hann"
    pre_emphasis: float = 0.0
    f0: str = "pyin"
    wavelet: str = "db4"
    level: int = 5

    def __post_init__(self) -> None:
        if self.n_fft < 16 or self.n_fft % 2 or not 1 <= self.hop_length <= self.n_fft:
            raise InputError(
                "expected an even n_fft of 16 or more and a hop of 1 to n_fft samples, "
                f"got {self.n_fft} and {self.hop_length}"
            )
        if not 1 <= self.n_mfcc <= self.n_mels:
            raise InputError(f"expected 1 <= n_mfcc <= n_mels, got {self.n_mfcc} and {self.n_mels}")
        if not 0 <= self.pre_emphasis < 1:
            raise InputError(f"expected a pre-emphasis from 0 to below 1, got {self.pre_emphasis:g}")
        if self.f0 not in TRACKERS:
            raise InputError(f"expected f0 out of {', '.join(TRACKERS)}, got {self.f0!r}")
        if self.window not in WINDOWS:
            raise InputError(f"expected a window out of {', '.join(WINDOWS)}, got {self.window!r}")
        level_for(1, self.wavelet, self.level)

    def mel(self, sample_rate: int) -> MelConfig:
        """The mel bands at a rate."""
        return MelConfig(sample_rate, self.n_fft, self.hop_length, self.n_mels, 0.0, sample_rate / 2, self.window)


def frame_names(settings: FrameSettings) -> tuple[str, ...]:
    """Names of the rows of `frame_table`.

    Examples
    --------
    >>> frame_names(FrameSettings())[:3]
    ('centroid_hz', 'bandwidth_hz', 'rolloff_hz')
    """
    return (
        "centroid_hz", "bandwidth_hz", "rolloff_hz", "flatness", "flux", "zero_crossing_rate", "rms",
        *(f"contrast_{k}_db" for k in range(1, N_CONTRAST + 1)),
        *(f"chroma_{pitch}" for pitch in PITCHES),
        *(f"tonnetz_{axis}" for axis in TONNETZ_AXES),
        "f0_hz", "voiced_probability",
        *(f"f{k}_hz" for k in range(1, N_FORMANTS + 1)),
        *(f"f{k}_bandwidth_hz" for k in range(1, N_FORMANTS + 1)),
        *(f"wavelet_{band.name}_db" for band in bands_of(settings.level, 1.0)),
    )  # fmt: skip


def frame_table(samples: Floats, sample_rate: int, settings: FrameSettings) -> tuple[Floats, Floats]:
    """Measure every frame of a sound.

    Parameters
    ----------
    samples : ndarray
        float32 ``(n_samples,)``, at least one.
    sample_rate : int
        Hz.

    Returns
    -------
    ndarray, ndarray
        float32 ``(n_names, 1 + n_samples // hop_length)``, and the mel power ``(n_mels, n_frames)``, of which
        `cepstra` and the onsets are made when the whole sound is there: their floor is relative to its loudest cell.

    Examples
    --------
    >>> tone = np.sin(2 * np.pi * 440 * np.arange(16000) / 16000).astype(np.float32)
    >>> table, mel = frame_table(tone, 16000, FrameSettings())
    >>> row = dict(zip(frame_names(FrameSettings()), table[:, 16], strict=True))
    >>> round(float(row["f0_hz"])), round(float(row["rms"]), 2), mel.shape
    (440, 0.71, (128, 32))
    """
    s = settings
    power = power_spectrum(stft(samples, s.n_fft, s.hop_length, s.window))
    chroma = d.chroma(power, sample_rate)
    rows = [
        *_shapes(samples, power, sample_rate, s),
        *chroma,
        *tonnetz(chroma),
        *_voice(samples, sample_rate, s),
        *_wavelet_db(samples, s),
    ]
    if s.pre_emphasis:
        power = power_spectrum(stft(pre_emphasis(samples, s.pre_emphasis), s.n_fft, s.hop_length, s.window))
    return np.stack(rows).astype(np.float32, copy=False), mel_power(power, s.mel(sample_rate))


def _shapes(samples: Floats, power: Floats, sample_rate: int, s: FrameSettings) -> list[Floats]:
    """The shape of the spectrum, and what the samples say themselves."""
    magnitude, hz = np.sqrt(power), fft_frequencies(sample_rate, s.n_fft)
    contrast = np.full((N_CONTRAST, power.shape[1]), np.nan, dtype=np.float32)
    n_octaves = _octaves(sample_rate, s.n_fft)
    if n_octaves:
        contrast[: n_octaves + 1] = d.contrast(magnitude, hz, fmin_hz=CONTRAST_FMIN_HZ, n_bands=n_octaves)
    return [
        d.centroid(magnitude, hz),
        d.bandwidth(magnitude, hz),
        d.rolloff(magnitude, hz),
        d.flatness(magnitude),
        d.flux(magnitude),
        d.zero_crossing_rate(samples, s.n_fft, s.hop_length),
        d.rms(samples, s.n_fft, s.hop_length),
        *contrast,
    ]


def _octaves(sample_rate: int, n_fft: int) -> int:
    """Bands of the contrast above its first that lie below half the rate and hold a few bins each."""
    if 2 * sample_rate / n_fft > CONTRAST_FMIN_HZ:
        return 0
    fitting = int(np.ceil(np.log2(sample_rate / 2 / CONTRAST_FMIN_HZ)))
    return max(0, min(N_CONTRAST - 1, fitting))


def _voice(samples: Floats, sample_rate: int, s: FrameSettings) -> list[Floats]:
    """F0, its probability, formants and their widths."""
    resonances = formants(samples, sample_rate, s.hop_length)
    if sample_rate < LOWEST_PITCH_HZ:
        n_frames = len(resonances.times_s)
        f0, probability = np.full(n_frames, np.nan, dtype=np.float32), np.zeros(n_frames, dtype=np.float32)
    else:
        track = pyin if s.f0 == "pyin" else yin
        pitch = track(samples, sample_rate, fmax_hz=min(FMAX_HZ, sample_rate / 4), hop_length=s.hop_length)
        f0, probability = pitch.f0_hz, pitch.voiced_probability
    return [f0, probability, *resonances.frequencies_hz, *resonances.bandwidths_hz]


def _wavelet_db(samples: Floats, s: FrameSettings) -> Floats:
    energies = frame_energies(samples, s.wavelet, s.level, s.n_fft, s.hop_length)
    return np.asarray(10.0 * np.log10(np.maximum(energies, np.float32(10.0 ** (FLOOR_DB / 10)))), dtype=np.float32)


def mel_db(mels: Sequence[Floats]) -> Floats:
    """The log-mel spectrum of a sound whose mel power came in pieces: float32 ``(n_mels, n_frames)``, 80 dB deep."""
    floor = max(MEL_AMIN, max(float(mel.max(initial=0.0)) for mel in mels) * 10 ** (-MEL_TOP_DB / 10))
    return np.concatenate([power_to_db(mel, amin=floor, top_db=None) for mel in mels], axis=1)


def cepstra(mel: Floats, n_mfcc: int) -> dict[str, Floats]:
    """MFCC, their slopes, and the slopes of those (deltas and delta-deltas, HTK's regression over 9 frames), by name.

    Parameters
    ----------
    mel : ndarray
        Of `mel_db`, the whole sound.

    Returns
    -------
    dict of str to ndarray
        ``"mfcc_1"`` (the level; librosa's index 0) ..., ``"mfcc_1_delta"`` ..., ``"mfcc_1_delta2"`` ..., float32
        ``(n_frames,)`` each.

    Examples
    --------
    >>> list(cepstra(np.zeros((40, 20), dtype=np.float32), 1))
    ['mfcc_1', 'mfcc_1_delta', 'mfcc_1_delta2']
    """
    values = d.mfcc(mel, n_mfcc)
    slopes = d.delta(values)
    named = {"": values, "_delta": slopes, "_delta2": d.delta(slopes)}
    return {f"mfcc_{k + 1}{suffix}": rows[k] for suffix, rows in named.items() for k in range(n_mfcc)}


@lru_cache(maxsize=16)
def event_config(sample_rate: int, n_fft: int, hop_length: int, n_mels: int) -> MelConfig:
    """The spectrum that onsets and beats are found in: the given one where its frames last 30 to 100 ms.

    Longer frames blur two notes into one, shorter ones hear every period of a low note as an event; at other rates
    frames of about 46 ms, a quarter of that apart, are made for the events alone.

    Examples
    --------
    >>> event_config(44_100, 2048, 512, 128).hop_length, event_config(8_000, 2048, 512, 128).hop_length
    (512, 128)
    """
    if not SHORTEST_S <= n_fft / sample_rate <= LONGEST_S:
        n_fft = max(16, int(2 ** np.round(np.log2(BEST_S * sample_rate))))
        hop_length = n_fft // 4
    return MelConfig(sample_rate, n_fft, hop_length, n_mels, 0.0, sample_rate / 2)
