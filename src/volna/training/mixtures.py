"""Noisy speech made on the fly: a stretch of clean sound, a stretch of noise, and all that lies between two recordings.

Clean sounds are drawn, played faster or slower, coloured, put into a room; noises are drawn, coloured, at times two at
once, at times the babble of other clean sounds; the two are added at a ratio drawn from -5 to 20 dB, now and then far
above, so that clean sound stays as it is, or with no clean sound at all. Some mixtures lose their treble, as sounds of
a lower rate have none. What is learnt is the clean sound in its room: noise is taken out, echoes are not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import soxr

from volna.features.denoise_frames import BIN_HZ, HOPS, frame_length
from volna.features.frames import window_of
from volna.features.wiener import Wiener, gains_of
from volna.synthesis.noises import noise_like
from volna.synthesis.voice import speech_like

__all__ = ["STRETCH_S", "Batch", "Clip", "Material", "batch_of", "synthetic_noise", "synthetic_voice"]

Samples = npt.NDArray[np.float32]
Rng = np.random.Generator

STRETCH_S = 3.2
SNR_DB = (-5.0, 20.0)
NEARLY_CLEAN, CLEAN_SNR_DB = 0.12, (20.0, 45.0)  # share of such mixtures, and their ratios
NO_SPEECH = 0.04
SPEEDS = (0.75, 1.35)
PIECE_S = (0.4, 3.2)  # of clean sound, before another one is drawn: fewer sentences to know by heart
VOICES = 0.4  # share of speech that is made, so that a few talkers are not all there is
COLOUR_DB = 4.0  # spread of the random filter at each knot
ROOM, ROOM_S, ROOM_DB = 0.3, (0.1, 0.6), (-20.0, -4.0)  # share; reverberation time; level of echoes against the sound
OWN_BABBLE, SECOND_NOISE = 0.15, 0.3
TALKERS = (3, 8)
NARROW = 0.4  # share of mixtures that lose their treble
NARROW_HZ = (3000.0, 8000.0)
USUAL_NARROW_HZ = 4000.0  # half of them: that of sounds at 8 kHz
GAPS, GAP_S = 0.4, (0.05, 0.5)  # share of pauses between pieces, and their length
SWELLS, SWELL_DB, SWELL_S = 0.5, 4.0, 0.8  # share of speech that comes nearer and goes away; how much; how fast
FADE_S = 0.01
WIDE_TRIES = 6
CLIP_S = 8.0  # of a synthetic noise


@dataclass(frozen=True)
class Clip:
    """A recording at the rate of the training: ``(n_samples,)`` of any level, and where its spectrum ends, in Hz."""

    samples: Samples
    top_hz: float


@dataclass(frozen=True)
class Material:
    """What mixtures are made of."""

    clean: Sequence[Clip]
    noises: Sequence[Clip]
    voices: Sequence[Clip]  # made, as clean as the clean ones
    sample_rate: int
    n_bins: int

    def speech(self, rng: Rng) -> Clip:
        """A clip of clean sound, long ones as much more often, or one that is made."""
        if self.voices and (not self.clean or rng.random() < VOICES):
            return self.voices[int(rng.integers(len(self.voices)))]
        return self.clean[int(np.searchsorted(self._ends, rng.random() * self._ends[-1], "right"))]

    @cached_property
    def _ends(self) -> npt.NDArray[np.float64]:
        """Where each clean clip ends, if they lay end to end."""
        return np.cumsum([len(clip.samples) for clip in self.clean], dtype=np.float64)


@dataclass(frozen=True)
class Batch:
    """Spectra of mixtures: float32 ``(n_mixtures, n_frames, n_bins)`` each.

    ``noisy`` and ``clean`` are magnitudes, relative to the root mean square of the noisy ones; ``turn`` is the cosine
    of the angle between the two, as a gain that leaves phases alone sees it; ``used`` is 1 for bins that sound;
    ``wiener`` are the gains of `volna.features.wiener`.
    """

    noisy: Samples
    clean: Samples
    turn: Samples
    used: Samples
    wiener: Samples


def synthetic_noise(kind: str, sample_rate: int, rng: Rng) -> Clip:
    """Some seconds of a noise of `volna.synthesis.noises`.

    Examples
    --------
    >>> synthetic_noise("rain", 8000, np.random.default_rng(0)).samples.shape
    (64000,)
    """
    return Clip(noise_like(kind, CLIP_S, sample_rate, int(rng.integers(1 << 31))), sample_rate / 2)


def synthetic_voice(sample_rate: int, rng: Rng) -> Clip:
    """Some seconds of a voice of `volna.synthesis.voice`."""
    pauses = float(rng.uniform(0.2, 1.0))
    return Clip(speech_like(CLIP_S, sample_rate, int(rng.integers(1 << 31)), pauses), sample_rate / 2)


def batch_of(material: Material, n: int, rng: Rng, stretch_s: float = STRETCH_S) -> Batch:
    """Draw mixtures, every sound and every noise in two of them: spectra add up as waves do, and are dear."""
    n_sounds, n_samples = -(-n // 2), round(stretch_s * material.sample_rate)
    sounds = [_speech(material, rng, n_samples) for _ in range(n_sounds)]
    speech = np.stack([_spectrum(wave, material) for wave, _ in sounds])
    noise = np.stack([_spectrum(_noise(material, rng, n_samples), material) for _ in range(n_sounds)])
    pick = np.arange(n) % n_sounds
    other = (pick + np.arange(n) // n_sounds) % n_sounds
    n_used = [_n_used(material, sounds[k][1], rng) for k in pick]
    used = (np.arange(material.n_bins) < np.array(n_used)[:, None])[:, None].astype(np.float32)
    clean = speech[pick] * used * (rng.random(n) >= NO_SPEECH)[:, None, None].astype(np.float32)
    gains = [10 ** (-_snr_db(rng) / 20) for _ in range(n)]
    noisy = clean + noise[other] * used * np.array(gains, np.float32)[:, None, None]
    return _compared(noisy, clean, np.broadcast_to(used, clean.shape))


def _compared(
    noisy: npt.NDArray[np.complex64], clean: npt.NDArray[np.complex64], used: npt.NDArray[np.float32]
) -> Batch:
    sizes, clean_sizes = np.abs(noisy), np.abs(clean)
    level = np.sqrt(np.mean(sizes**2, axis=(1, 2), keepdims=True) + 1e-20)
    turn = (noisy * clean.conj()).real / np.maximum(sizes * clean_sizes, 1e-12)
    sizes, clean_sizes = sizes / level, clean_sizes / level
    wiener = gains_of(np.square(sizes).transpose(1, 0, 2), Wiener("wiener")).transpose(1, 0, 2)
    return Batch(*(np.ascontiguousarray(x, np.float32) for x in (sizes, clean_sizes, turn, used, wiener)))


def _snr_db(rng: Rng) -> float:
    return float(rng.uniform(*(CLEAN_SNR_DB if rng.random() < NEARLY_CLEAN else SNR_DB)))


def _n_used(material: Material, top_hz: float, rng: Rng) -> int:
    """Bins that sound: now and then the treble is cut off, as in sounds of a lower rate."""
    if rng.random() < NARROW:
        top_hz = min(top_hz, USUAL_NARROW_HZ if rng.random() < 0.5 else float(rng.uniform(*NARROW_HZ)))
    return min(material.n_bins, int(top_hz / BIN_HZ) + 1)


def _spectrum(x: Samples, material: Material) -> npt.NDArray[np.complex64]:
    n_fft = frame_length(material.sample_rate)
    frames = np.lib.stride_tricks.sliding_window_view(x, n_fft)[:: n_fft // HOPS]
    spectrum = np.fft.rfft(frames * np.sqrt(window_of("hann", n_fft)), axis=1)[:, : material.n_bins]
    return np.asarray(spectrum, np.complex64)


def _speech(material: Material, rng: Rng, n: int) -> tuple[Samples, float]:
    """Clean pieces end to end until they fill a stretch, coloured, in a room; and where their spectrum ends in Hz."""
    speed, clip = float(rng.uniform(*SPEEDS)), material.speech(rng)
    parts, top_hz, wanted = [np.zeros(0, np.float32)], clip.top_hz, n
    while wanted > 0:
        piece = _cut(clip.samples, rng, min(int(wanted * speed) + 64, _length(rng, PIECE_S, material)))
        piece = np.asarray(soxr.resample(piece, 1.0, 1 / speed, quality="LQ"), np.float32)
        gap = np.zeros(_length(rng, GAP_S, material) if rng.random() < GAPS else 0, np.float32)
        parts += [_faded(_unit(piece), material.sample_rate) * np.float32(10 ** (rng.normal(0, 3) / 20)), gap]
        wanted -= max(1, len(piece) + len(gap))
        if wanted > 0:
            clip = _as_wide(material, top_hz, rng)
            top_hz = min(top_hz, clip.top_hz)
    speech = np.roll(np.concatenate(parts)[:n], int(rng.integers(n)))  # a pause may come first as well as last
    if rng.random() < SWELLS:
        knots = max(2, int(n / material.sample_rate / SWELL_S) + 1)
        levels_db = np.interp(np.linspace(0, knots - 1, n), np.arange(knots), rng.normal(0, SWELL_DB, knots))
        speech = speech * (10 ** (levels_db / 20)).astype(np.float32)
    echoes = _room(rng, material.sample_rate) if rng.random() < ROOM else None
    return _unit(_filtered(speech, rng, material.sample_rate, echoes)), top_hz * speed


def _as_wide(material: Material, top_hz: float, rng: Rng) -> Clip:
    """A clip that has as much treble as those before it, if some draws find one."""
    for _ in range(WIDE_TRIES):
        clip = material.speech(rng)
        if clip.top_hz >= top_hz:
            break
    return clip


def _length(rng: Rng, span_s: tuple[float, float], material: Material) -> int:
    return round(rng.uniform(*span_s) * material.sample_rate)


def _faded(x: Samples, sample_rate: int) -> Samples:
    """Without the clicks of a cut."""
    n = min(len(x) // 2, round(FADE_S * sample_rate))
    ramp = np.linspace(0, 1, n, dtype=np.float32)
    return x * np.concatenate([ramp, np.ones(len(x) - 2 * n, np.float32), ramp[::-1]])


def _noise(material: Material, rng: Rng, n: int) -> Samples:
    """A noise, or two, or the babble of clean sounds; of root mean square 1."""
    if rng.random() < OWN_BABBLE:
        voices = [_unit(_speech_end_to_end(material, rng, n)) for _ in range(rng.integers(*TALKERS, endpoint=True))]
        noise = np.sum([v * np.float32(10 ** (rng.normal(0, 3) / 20)) for v in voices], axis=0)
    else:
        noise = _one_noise(material, rng, n)
    if rng.random() < SECOND_NOISE:
        noise = _unit(noise) + np.float32(10 ** (rng.uniform(-20, 0) / 20)) * _one_noise(material, rng, n)
    return _unit(_filtered(noise, rng, material.sample_rate))


def _one_noise(material: Material, rng: Rng, n: int) -> Samples:
    clip = material.noises[int(rng.integers(len(material.noises)))].samples
    repeated = np.tile(clip, -(-n // len(clip)) + 1) if len(clip) < 2 * n else clip
    return _unit(_cut(repeated, rng, n))


def _speech_end_to_end(material: Material, rng: Rng, n: int) -> Samples:
    parts: list[Samples] = []
    while sum(map(len, parts)) < n:
        parts.append(_unit(_cut(material.speech(rng).samples, rng, n)))
    return np.concatenate(parts)[:n]


def _cut(clip: Samples, rng: Rng, n: int) -> Samples:
    """At most so many samples from anywhere in a clip."""
    begin = int(rng.integers(max(1, len(clip) - n + 1)))
    return np.array(clip[begin : begin + n], np.float32)


def _unit(x: Samples) -> Samples:
    level = float(np.sqrt(np.mean(np.square(x, dtype=np.float64)))) if len(x) else 0.0
    return x / np.float32(level) if level > 0 else x


def _room(rng: Rng, sample_rate: int) -> Samples:
    """Echoes of a room: noise that decays, after the sound itself (a one at the start)."""
    decay_s = rng.uniform(*ROOM_S)
    t = np.arange(round(decay_s * sample_rate)) / sample_rate
    echoes = rng.standard_normal(len(t)) * 10 ** (-3 * t / decay_s)  # -60 dB at its end
    echoes[: round(rng.uniform(0.001, 0.01) * sample_rate)] = 0.0
    echoes *= 10 ** (rng.uniform(*ROOM_DB) / 20) / max(1e-9, float(np.sqrt(np.sum(echoes**2))))
    echoes[0] = 1.0
    return echoes.astype(np.float32)


def _filtered(x: Samples, rng: Rng, sample_rate: int, response: Samples | None = None) -> Samples:
    """A random colour, smooth over octaves, and a room's response, in one transform."""
    import scipy.fft

    size = scipy.fft.next_fast_len(len(x) + (0 if response is None else len(response)), real=True)
    f = np.maximum(np.arange(size // 2 + 1) * (sample_rate / size), 50.0)
    knots = np.arange(np.log2(50.0), np.log2(24_000.0) + 1, 1.0)
    levels_db = np.interp(np.log2(f), knots, rng.normal(0, COLOUR_DB, len(knots)))
    bins = scipy.fft.rfft(x, size) * (10 ** (levels_db / 20)).astype(np.float32)
    if response is not None:
        bins = bins * scipy.fft.rfft(response, size)
    return np.asarray(scipy.fft.irfft(bins, size)[: len(x)], np.float32)
