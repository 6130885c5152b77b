"""Every descriptor of one file: what `features` asks of each, piece by piece.

A piece of some 20 s is analysed with a second of its surroundings on either side, so the values are those of the whole
sound; what looks at all of it (the floor of the MFCC, deltas, tempo, beats) is done at the end, on the mel spectrum. An
hour takes the memory of its frames, some 0.5 GB at the usual hop, not that of its samples.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from volna.audio.channels import open_channels
from volna.audio.signal import Samples, to_mono
from volna.errors import InputError
from volna.features import beats, rhythm
from volna.features.frames import Floats
from volna.features.loudness import HOP_S, MOMENTARY_S, Loudness, LoudnessMeter
from volna.features.named import FrameSettings, cepstra, event_config, frame_names, frame_table, mel_db
from volna.features.spectrum import MelConfig, mel_power, power_spectrum, stft
from volna.workflows.common import Progress
from volna.workflows.listening.pieces import Piece, channel_blocks, check_span, pieces_of, resampled
from volna.workflows.tables import plain

__all__ = ["FileFeatures", "Hearing", "measure_file", "summary_of"]

PIECE_S, CONTEXT_S = 20.0, 1.0
LOWEST_RATE_HZ = 100  # of loudness: below, its filter makes no sense
# Medians of what has outliers; of shares, counts and bands of a spectrum the mean says as much.
MEDIANS = ("centroid_hz", "bandwidth_hz", "rolloff_hz", "flatness", "zero_crossing_rate", "rms", "loudness_lufs",
           "f0_hz", "f1_hz", "f2_hz", "f3_hz")  # fmt: skip
OF_VOICED = ("f1_hz", "f2_hz", "f3_hz", "f1_bandwidth_hz", "f2_bandwidth_hz", "f3_bandwidth_hz")


@dataclass(frozen=True)
class Hearing:
    """What of a file is heard, and how: the span in seconds, another rate in Hz (None: its own), the frames."""

    settings: FrameSettings = field(default_factory=FrameSettings)
    rate: int | None = None
    start_s: float = 0.0
    duration_s: float | None = None

    def __post_init__(self) -> None:
        if self.rate is not None and self.rate < 1:
            raise InputError(f"expected a rate of 1 Hz or more, got {self.rate}")
        check_span(self.start_s, self.duration_s)


@dataclass
class FileFeatures:
    """The descriptors of one file.

    Attributes
    ----------
    path : str
    sample_rate : int
        Hz, of the analysis.
    n_channels : int
        Of the file; everything but the loudness is measured on their mean.
    start_s, duration_s : float
        What was heard.
    tempo_bpm, pulse_clarity : float
        NaN and 0 where there is no pulse.
    integrated_lufs : float
        Of all channels, gated; minus infinity for silence.
    voiced_share : float
        Of the frames.
    values : dict of str to float
        ``..._mean``, ``..._std`` and, for some, ``..._median`` of every descriptor over the frames that have it, of
        formants over voiced frames; NaN where none has. Deltas have ``..._std`` alone.
    onsets_s, beats_s : ndarray
        float64 ``(n_events,)``, seconds from the start of the file.
    times_s : ndarray
        float64 ``(n_frames,)``, centres of the frames, seconds from the start of the file.
    frames : dict of str to ndarray
        Every descriptor over time, float32 ``(n_frames,)``; empty where only the values were asked for.
    """

    path: str
    sample_rate: int
    n_channels: int
    start_s: float
    duration_s: float
    n_frames: int
    tempo_bpm: float
    pulse_clarity: float
    integrated_lufs: float
    voiced_share: float
    values: dict[str, float]
    onsets_s: np.ndarray
    beats_s: np.ndarray
    times_s: np.ndarray = field(default_factory=lambda: np.zeros(0), repr=False)
    frames: dict[str, Floats] = field(default_factory=dict, repr=False)
    notes: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """``frames`` holds ``time_s`` and the descriptors, or is None; None also for what is not finite."""
        frames = {"time_s": self.times_s, **self.frames} if self.frames else None
        named = {name: value for name, value in vars(self).items() if name != "times_s"}
        return plain(named | {"frames": frames})


def measure_file(
    path: str | Path, hearing: Hearing, keep_frames: bool = True, progress: Progress | None = None
) -> FileFeatures:
    """Measure one file.

    Raises
    ------
    AudioError
        It cannot be decoded, or the span begins after its end.
    """
    with open_channels(path) as stream:
        rate = hearing.rate or stream.sample_rate
        sound = channel_blocks(stream, start_s=hearing.start_s, duration_s=hearing.duration_s, progress=progress)
        meter = LoudnessMeter(rate, stream.n_channels) if rate > LOWEST_RATE_HZ else None
        mono = _mixed(resampled(sound, stream.sample_rate, hearing.rate), meter)
        course = _course(mono, rate, hearing.settings)
        loudness = meter.result() if meter else None
        return _measured(str(path), rate, stream.n_channels, course, loudness, hearing, keep_frames)


def _mixed(blocks: Iterable[Samples], meter: LoudnessMeter | None) -> Iterator[Samples]:
    for block in blocks:
        if block.shape[1]:
            if meter:
                meter.add(block)
            yield to_mono(block)


@dataclass
class _Course:
    """What the pieces gave: the table of frames, the log-mel spectra of frames and events, and how those were cut."""

    table: Floats
    mel: Floats
    event_mel: Floats
    events: MelConfig
    n_samples: int


def _course(mono: Iterable[Samples], rate: int, s: FrameSettings) -> _Course:
    events = event_config(rate, s.n_fft, s.hop_length, s.n_mels)
    shared = (events.n_fft, events.hop_length) == (s.n_fft, s.hop_length) and s.window == "hann" and not s.pre_emphasis
    step = math.lcm(s.hop_length, events.hop_length)  # frames of both lie on the same places in every piece
    context = step * math.ceil(max(CONTEXT_S * rate, s.n_fft, events.n_fft) / step)
    length = step * math.ceil(PIECE_S * rate / step)
    tables, mels, event_mels = [], [], []
    n_samples = 0
    for piece in pieces_of(mono, length, context):
        table, mel = frame_table(piece.samples, rate, s)
        tables.append(_own(table, piece, s.hop_length))
        mels.append(_own(mel, piece, s.hop_length))
        if not shared:
            power = power_spectrum(stft(piece.samples, events.n_fft, events.hop_length))
            event_mels.append(_own(mel_power(power, events), piece, events.hop_length))
        n_samples += piece.length
    mel = mel_db(mels)
    return _Course(np.concatenate(tables, axis=1), mel, mel if shared else mel_db(event_mels), events, n_samples)


def _own(values: Floats, piece: Piece, hop_length: int) -> Floats:
    """The frames of a piece without those of its surroundings; the last piece has one more, as a whole sound has."""
    first = piece.left // hop_length
    n = piece.length // hop_length + piece.last
    return values[:, first : first + n].copy()


def _measured(
    path: str, rate: int, n_channels: int, course: _Course, loudness: Loudness | None, hearing: Hearing, keep: bool
) -> FileFeatures:
    s = hearing.settings
    duration_s = course.n_samples / rate
    times_s = np.arange(course.table.shape[1]) * (s.hop_length / rate)
    frames = dict(zip(frame_names(s), course.table, strict=True))
    frames |= {"loudness_lufs": _at(times_s, loudness), "onset_strength_db": rhythm.onset_strength(course.mel)}
    frames |= cepstra(course.mel, s.n_mfcc)
    pulse, onsets_s, beats_s = _events(course, duration_s)
    return FileFeatures(
        path=path,
        sample_rate=rate,
        n_channels=n_channels,
        start_s=hearing.start_s,
        duration_s=duration_s,
        n_frames=len(times_s),
        tempo_bpm=pulse.bpm,
        pulse_clarity=pulse.clarity,
        integrated_lufs=loudness.integrated_lufs if loudness else math.nan,
        voiced_share=float(np.isfinite(frames["f0_hz"]).mean()),
        values=summary_of(frames),
        onsets_s=onsets_s + hearing.start_s,
        beats_s=beats_s + hearing.start_s,
        times_s=times_s + hearing.start_s if keep else np.zeros(0),
        frames=frames if keep else {},
        notes=_notes(n_channels, rate, duration_s, s),
    )


def _at(times_s: np.ndarray, loudness: Loudness | None) -> Floats:
    """The momentary loudness of the 0.4 s around every time; of all the sound where it is shorter; NaN in silence."""
    if loudness is None:
        return np.full(len(times_s), np.nan, dtype=np.float32)
    curve = loudness.momentary_lufs if loudness.momentary_lufs.size else np.array([loudness.integrated_lufs])
    nearest = np.clip(np.round((times_s - MOMENTARY_S / 2) / HOP_S).astype(int), 0, len(curve) - 1)
    return np.where(np.isfinite(curve[nearest]), curve[nearest], np.nan).astype(np.float32)


def _events(course: _Course, duration_s: float) -> tuple[rhythm.Tempo, np.ndarray, np.ndarray]:
    config = course.events
    onset = rhythm.onset_strength(course.event_mel)
    pulse = rhythm.tempo([onset], config.frames_per_s)
    place = (config.frames_per_s, config.n_fft / config.sample_rate, duration_s)
    onsets_s = beats.times_of(beats.onset_frames(onset, config.frames_per_s), *place)
    return pulse, onsets_s, beats.times_of(beats.track_beats(onset, config.frames_per_s, pulse), *place)


def _notes(n_channels: int, rate: int, duration_s: float, s: FrameSettings) -> list[str]:
    notes = [f"{n_channels} channels, mixed by their mean"] if n_channels > 1 else []
    if duration_s * rate < s.n_fft:
        notes.append(f"{duration_s:.3g} s is shorter than one frame of {s.n_fft} samples: the values are blurred")
    if duration_s < rhythm.MIN_PULSE_S:
        notes.append(f"shorter than {rhythm.MIN_PULSE_S:g} s: no tempo, no beats")
    return notes


def summary_of(frames: dict[str, Floats]) -> dict[str, float]:
    """Mean, spread and some medians of descriptors over time; see `FileFeatures`.

    Examples
    --------
    >>> summary_of({"f0_hz": np.array([100, np.nan, 102], np.float32)})
    {'f0_hz_mean': 101.0, 'f0_hz_std': 1.0, 'f0_hz_median': 101.0}
    """
    voiced = np.isfinite(frames["f0_hz"]) if "f0_hz" in frames else None
    values = {}
    for name, row in frames.items():
        counted = row[voiced & np.isfinite(row)] if name in OF_VOICED and voiced is not None else row[np.isfinite(row)]
        kinds = ("std",) if "_delta" in name else ("mean", "std", "median") if name in MEDIANS else ("mean", "std")
        for kind in kinds:
            values[f"{name}_{kind}"] = _statistic(counted, kind)
    return values


def _statistic(values: Floats, kind: str) -> float:
    if not len(values):
        return math.nan
    if kind == "median":
        return float(np.median(values))
    return float(values.mean(dtype=np.float64) if kind == "mean" else values.std(dtype=np.float64))
