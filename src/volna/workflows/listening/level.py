"""`level`: peak, RMS, crest factor, loudness, true peak and DC of files, and the intensity a level would be.

Levels are in dB relative to full scale, where a square wave of amplitude 1 has an RMS of 0 dBFS and a sine -3.01.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from volna.audio.channels import open_channels
from volna.audio.signal import decibels
from volna.errors import InputError
from volna.features.loudness import HOP_S, MOMENTARY_S, SHORT_TERM_S, Loudness, LoudnessMeter, TruePeakMeter
from volna.workflows.common import Progress
from volna.workflows.each_file import each_file
from volna.workflows.files import check_free, new_file
from volna.workflows.results import Failure

__all__ = [
    "AIR_DENSITY",
    "SOUND_SPEED",
    "ChannelLevel",
    "FileLevel",
    "Intensity",
    "LevelReport",
    "intensity",
    "level",
    "level_of",
]

AIR_DENSITY = 1.204  # kg/m3, dry air at 20 C and 101.325 kPa
SOUND_SPEED = 343.2  # m/s, in the same
INTENSITY_REFERENCE = 1e-12  # W/m2
PRESSURE_REFERENCE = 20e-6  # Pa
TIMEOUT_S = 6 * 3600.0  # ten hours of stereo take a core some three minutes, a busy machine more


@dataclass(frozen=True)
class Intensity:
    """What a level would be in the air, of a plane wave, given the pressure that full scale stands for.

    ``I = p^2 / (2 rho c)`` where p is the amplitude of a sine; with its RMS pressure, ``p_rms = p / sqrt 2``, that is
    ``p_rms^2 / (rho c)``, and so it is taken for any sound. ``amplitude_pa`` is that of the sine of the same power.
    """

    full_scale_pa: float
    rms_pa: float
    amplitude_pa: float
    peak_pa: float
    intensity_w_m2: float
    intensity_level_db: float
    sound_pressure_level_db: float


@dataclass(frozen=True)
class ChannelLevel:
    """One channel: levels in dBFS (minus infinity for silence), where its peak is, and its mean, the DC offset."""

    peak_dbfs: float
    peak_at_s: float
    rms_dbfs: float
    crest_db: float
    true_peak_dbtp: float
    dc_offset: float


@dataclass(frozen=True)
class FileLevel:
    """The levels of one file, of all its channels together and of each.

    ``rms_dbfs`` is of the mean power of the channels; peaks are the largest of any channel. Not a number stands for
    what is not defined: the crest factor of silence, the range of less than 3 s.
    """

    path: str
    sample_rate: int
    n_channels: int
    duration_s: float
    peak_dbfs: float
    rms_dbfs: float
    crest_db: float
    true_peak_dbtp: float
    integrated_lufs: float
    loudness_range_lu: float
    momentary_max_lufs: float
    short_term_max_lufs: float
    channels: list[ChannelLevel]
    intensity: Intensity | None = None
    notes: list[str] = field(default_factory=list)
    momentary_lufs: np.ndarray = field(default_factory=lambda: np.zeros(0), repr=False)
    short_term_lufs: np.ndarray = field(default_factory=lambda: np.zeros(0), repr=False)

    @property
    def momentary_at_s(self) -> np.ndarray:
        """Seconds at which the windows of ``momentary_lufs`` end; the same for ``short_term_lufs`` 2.6 s later."""
        return MOMENTARY_S + HOP_S * np.arange(len(self.momentary_lufs))

    @property
    def short_term_at_s(self) -> np.ndarray:
        """Seconds at which the windows of ``short_term_lufs`` end."""
        return SHORT_TERM_S + HOP_S * np.arange(len(self.short_term_lufs))

    def as_dict(self) -> dict[str, Any]:
        """Without the curves; None for what is minus infinity or not a number."""
        plain = asdict(self)
        del plain["momentary_lufs"], plain["short_term_lufs"]
        return _finite(plain)


@dataclass
class LevelReport:
    """The answer to `level`."""

    files: list[FileLevel]
    failures: list[Failure] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return {"files": [file.as_dict() for file in self.files], "failures": [vars(f) for f in self.failures]}


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def level(
    paths: Sequence[str | Path],
    *,
    full_scale_pa: float | None = None,
    plot: str | Path | None = None,
    force: bool = False,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> LevelReport:
    """How loud files are: peak, RMS, crest factor, loudness, true peak, DC offset, and intensity where calibrated.

    Parameters
    ----------
    paths : sequence of str or Path
        Files, and folders, walked recursively.
    full_scale_pa : float, optional
        Sound pressure in pascal that a sample of 1.0 stands for; gives intensity and sound pressure level.
    plot : str or Path, optional
        A picture (PNG) of the loudness over time, of one file.
    force : bool
        Replace a picture that exists.
    jobs : int, optional
        Processes; all cores by default.
    progress : callable, optional
        ``progress(stage, done, total, note)``.

    Returns
    -------
    LevelReport

    Raises
    ------
    InputError
        No path was given, a pressure that is not above zero, a picture of several files or one that exists.
    VolnaError
        A picture was asked for and matplotlib is not installed.

    Examples
    --------
    >>> level(["song.flac"]).files[0].integrated_lufs  # doctest: +SKIP
    -14.2
    """
    if full_scale_pa is not None and not (full_scale_pa > 0 and math.isfinite(full_scale_pa)):
        raise InputError(f"expected a pressure of full scale above 0 Pa, got {full_scale_pa}")
    target = _free_picture(plot, paths, force)
    found, failures = each_file(
        paths,
        f"{__name__}:level_of",
        (full_scale_pa,),
        stage="Measuring",
        jobs=jobs,
        timeout_s=TIMEOUT_S,
        progress=progress,
    )
    report = LevelReport(list(found.values()), failures)
    if target is not None and report.files:
        from volna.plots.loudness import draw_loudness

        only = report.files[0]
        with new_file(target, force=force) as file:
            draw_loudness(only.momentary_lufs, only.short_term_lufs, file, integrated_lufs=only.integrated_lufs,
                          range_lu=only.loudness_range_lu, title=os.path.basename(only.path))  # fmt: skip
    return report


def _free_picture(plot: str | Path | None, paths: Sequence[str | Path], force: bool) -> Path | None:
    if plot is None:
        return None
    if len(paths) != 1 or os.path.isdir(os.path.expanduser(paths[0])):
        raise InputError("a picture of the loudness shows one file: name one")
    from volna.plots.figure import new_figure

    new_figure(1, 1)  # raises before the work where matplotlib is missing
    target = Path(plot).expanduser()
    check_free(target, force=force)
    return target


def intensity(rms: float, peak: float, full_scale_pa: float) -> Intensity:
    """What a sound of this RMS and peak (linear, 1.0 is full scale) is in the air, see `Intensity`.

    ``L = 10 log10(I / 1e-12)``; the sound pressure level ``20 log10(p_rms / 20e-6)`` is 0.1 dB more, since rho c of
    air at 20 degrees is 413 and not 400.

    Examples
    --------
    >>> heard = intensity(1.0, 2**0.5, 1.0)  # a sine of 1 Pa RMS
    >>> round(heard.intensity_level_db, 2), round(heard.sound_pressure_level_db, 2)
    (93.84, 93.98)
    """
    rms_pa = rms * full_scale_pa
    watts = rms_pa**2 / (AIR_DENSITY * SOUND_SPEED)
    return Intensity(
        full_scale_pa=full_scale_pa,
        rms_pa=rms_pa,
        amplitude_pa=rms_pa * math.sqrt(2.0),
        peak_pa=peak * full_scale_pa,
        intensity_w_m2=watts,
        intensity_level_db=decibels(watts / INTENSITY_REFERENCE, 10.0),
        sound_pressure_level_db=decibels(rms_pa / PRESSURE_REFERENCE),
    )


def _crest(peak: float, rms: float) -> float:
    return decibels(peak / rms) if rms > 0 else math.nan


class _Sums:
    """Running sums and extremes of every channel."""

    def __init__(self, n_channels: int) -> None:
        self.n = 0
        self.sum = np.zeros(n_channels)
        self.squares = np.zeros(n_channels)
        self.peak = np.zeros(n_channels)
        self.peak_at = np.zeros(n_channels, np.int64)

    def add(self, block: np.ndarray) -> None:
        self.sum += block.sum(axis=1, dtype=np.float64)
        self.squares += np.einsum("ij,ij->i", block, block, dtype=np.float64)
        magnitude = np.abs(block)
        at = magnitude.argmax(axis=1)
        highest = magnitude[np.arange(len(block)), at]
        louder = highest > self.peak
        self.peak[louder], self.peak_at[louder] = highest[louder], self.n + at[louder]
        self.n += block.shape[1]

    @property
    def rms(self) -> np.ndarray:
        return np.asarray(np.sqrt(self.squares / max(1, self.n)))


def level_of(path: str, full_scale_pa: float | None = None) -> FileLevel:
    """The levels of one file, read in blocks; runs in a child process.

    Raises
    ------
    AudioError
        It cannot be decoded.
    """
    with open_channels(path) as sound:
        rate = sound.sample_rate
        sums = _Sums(sound.n_channels)
        loud, peaks = LoudnessMeter(rate, sound.n_channels), TruePeakMeter(rate, sound.n_channels)
        for block in sound.blocks():
            sums.add(block)
            loud.add(block)
            peaks.add(block)
        damaged = sound.n_damaged
    return _file_level(path, rate, sums, loud.result(), peaks.result(), full_scale_pa, damaged)


def _file_level(
    path: str,
    rate: int,
    sums: _Sums,
    loud: Loudness,
    true_peaks: np.ndarray,
    full_scale_pa: float | None,
    n_damaged: int,
) -> FileLevel:
    rms, peak = float(np.sqrt(np.mean(sums.rms**2))), float(sums.peak.max())
    return FileLevel(
        path=os.path.abspath(path),
        sample_rate=rate,
        n_channels=len(sums.sum),
        duration_s=round(sums.n / rate, 6),
        peak_dbfs=decibels(peak),
        rms_dbfs=decibels(rms),
        crest_db=_crest(peak, rms),
        true_peak_dbtp=decibels(float(true_peaks.max())),
        integrated_lufs=loud.integrated_lufs,
        loudness_range_lu=loud.range_lu,
        momentary_max_lufs=loud.momentary_max_lufs,
        short_term_max_lufs=loud.short_term_max_lufs,
        channels=_channels(sums, true_peaks, rate),
        intensity=intensity(rms, peak, full_scale_pa) if full_scale_pa else None,
        notes=_notes(sums.n / rate, peak, n_damaged),
        momentary_lufs=loud.momentary_lufs,
        short_term_lufs=loud.short_term_lufs,
    )


def _channels(sums: _Sums, true_peaks: np.ndarray, rate: int) -> list[ChannelLevel]:
    return [
        ChannelLevel(
            peak_dbfs=decibels(float(peak)),
            peak_at_s=round(int(at) / rate, 6),
            rms_dbfs=decibels(float(rms)),
            crest_db=_crest(float(peak), float(rms)),
            true_peak_dbtp=decibels(float(true)),
            dc_offset=float(total) / max(1, sums.n),
        )
        for peak, at, rms, true, total in zip(sums.peak, sums.peak_at, sums.rms, true_peaks, sums.sum, strict=True)
    ]


def _notes(duration_s: float, peak: float, n_damaged: int) -> list[str]:
    notes = []
    if peak == 0:
        notes.append("digital silence: every sample is 0, and its levels are minus infinity")
    if duration_s < MOMENTARY_S:
        notes.append(
            f"shorter than {MOMENTARY_S} s, which BS.1770 does not cover: the loudness is of all of it, ungated"
        )
    elif duration_s < SHORT_TERM_S:
        notes.append(f"shorter than {SHORT_TERM_S:.0f} s: no short-term loudness and no range")
    if peak > 1:
        notes.append("samples beyond full scale: floats, or the overshoot of a lossy codec; 16 bits would clip them")
    if n_damaged:
        notes.append(f"{n_damaged} damaged packets were left out")
    return notes
