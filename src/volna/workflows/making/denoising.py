"""`denoise`: noise taken out of a sound, and before that, where asked, clipped peaks and short gaps put back.

The sound goes through in blocks, so hours need the memory of seconds::

    decode -> declip -> fill -> denoise -> the codec's rate, where it has one of its own -> file

Levels are kept. Where the result would go beyond full scale, it is made once more, turned down by so much, and said so.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from volna.audio.channels import ChannelStream, open_channels
from volna.audio.encode import encode_blocks, written_rate
from volna.audio.signal import FLOOR_DB, Samples, decibels, peak
from volna.audio.source import fail
from volna.errors import InputError
from volna.features.denoise_frames import frame_length, through_spectra
from volna.workflows.common import Progress, silent
from volna.workflows.files import check_free
from volna.workflows.listening.convert import TAGS
from volna.workflows.listening.info import FileInfo, info_of
from volna.workflows.listening.pieces import channel_blocks, pieces_of, resampled
from volna.workflows.making.denoise_results import Denoised, remarks
from volna.workflows.making.restoring import Repairs, declipped, filled, rails_of

if TYPE_CHECKING:
    from volna.models.denoiser_file import TrainedDenoiser

__all__ = ["METHODS", "Denoised", "denoise", "denoise_samples"]

METHODS = ("neural", "wiener", "wavelet", "none")
WAVELET_PIECE_S = 4.0
FULL_SCALE = 1 - 2.0**-15  # of 16 bits
DEEPER = {24: "pcm_s24le", 32: "pcm_s32le"}
FLOATS = ("pcm_f32le", "pcm_f32be", "pcm_f64le", "pcm_f64be")
SILENT = 10 ** (FLOOR_DB / 20)


@dataclass(frozen=True)
class _Asked:
    """What is to be done."""

    method: str
    trained: TrainedDenoiser | None
    strength: float
    declip: bool
    fill: bool


def denoise(
    source: str | Path,
    output: str | Path,
    *,
    model: str | Path | None = None,
    method: str | None = None,
    strength: float = 1.0,
    declip: bool = False,
    fill: bool = False,
    plot: str | Path | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> Denoised:
    """Write a sound with its noise taken out.

    Parameters
    ----------
    source : str or Path
        Anything libav decodes, of any length and rate.
    output : str or Path
        Its ending chooses the format.
    model : str or Path, optional
        A denoiser, as `denoise_train` makes one.
    method : {"neural", "wiener", "wavelet", "none"}, optional
        By default the network where there is a model, else the Wiener filter; ``"none"`` only restores.
    strength : float
        From 0, nothing is taken out, to 1.
    declip : bool
        Put peaks back that were cut off.
    fill : bool
        Fill dropouts of up to 60 ms.
    plot : str or Path, optional
        A PNG of the spectra before and after.
    force : bool
        Replace files that exist.
    progress : callable, optional
        ``progress(stage, done, total, note)``, in seconds of sound.

    Returns
    -------
    Denoised

    Raises
    ------
    InputError
        An option or an ending that makes no sense, or an output that exists.
    ModelError
        The model is none, or none of this kind.
    AudioError
        The source cannot be decoded, is silent, or the output cannot be written.

    Examples
    --------
    >>> denoise("talk.wav", "clean.wav").method  # doctest: +SKIP
    'wiener'
    """
    started_s = time.monotonic()
    target, picture = Path(output).expanduser(), None if plot is None else Path(plot).expanduser()
    asked = _asked(model, method, strength, declip, fill)
    check_free(target, force=force)
    if picture is not None:
        _check_picture(picture, force)
    path = str(Path(source).expanduser())
    about = info_of(path)
    if about.error:
        fail(path, about.error)
    said = progress or silent
    rails = rails_of(path, said) if declip else []
    line = _written(path, target, asked, rails, about, said)
    result = _result(line, path, target, about)
    result.seconds = round(time.monotonic() - started_s, 2)
    result.times_real_time = round(result.duration_s / max(result.seconds, 0.01), 1)
    if picture is not None:
        from volna.workflows.making.denoise_picture import draw_before_after

        how = f"{asked.method}, strength {strength:g}" if asked.method != "none" else "restored"
        draw_before_after(path, target, picture, how, force=force)
        result.plot = str(picture)
    return result


def denoise_samples(
    samples: Samples,
    sample_rate: int,
    *,
    model: TrainedDenoiser | None = None,
    method: str | None = None,
    strength: float = 1.0,
) -> Samples:
    """The same on samples in memory: float32 ``(n_samples,)`` or ``(n_channels, n_samples)``, same shape.

    Raises
    ------
    InputError
        An option that makes no sense, or samples that are none.

    Examples
    --------
    >>> hiss = np.random.default_rng(0).normal(0, 0.1, 8000).astype(np.float32)
    >>> bool(denoise_samples(hiss, 8000).std() < 0.05)
    True
    """
    x = np.asarray(samples, np.float32)
    if x.ndim not in (1, 2) or not x.size or not np.isfinite(x).all():
        raise InputError(f"expected finite samples of shape (n,) or (n_channels, n), got {x.shape}")
    asked = _asked(None, method, strength, False, False, trained=model)
    blocks = iter([x[None] if x.ndim == 1 else x])
    out = np.concatenate(list(_without_noise(blocks, sample_rate, asked)), axis=1)
    return out[0] if x.ndim == 1 else out


def _asked(
    model: str | Path | None,
    method: str | None,
    strength: float,
    declip: bool,
    fill: bool,
    trained: TrainedDenoiser | None = None,
) -> _Asked:
    if method is not None and method not in METHODS:
        raise InputError(f"method: expected one of {', '.join(METHODS)}, got {method!r}")
    if not 0 <= strength <= 1:
        raise InputError(f"strength: expected a number from 0 to 1, got {strength:g}")
    has_model = model is not None or trained is not None
    if method == "neural" and not has_model:
        raise InputError("the neural way needs a model: --model FILE; volna denoise train makes one")
    if has_model and method not in (None, "neural"):
        raise InputError(f"{method} uses no model: leave out one of the two")
    if method == "none" and not (declip or fill):
        raise InputError("with none there is nothing to do: add --declip or --fill")
    if model is not None:
        from volna.models import denoiser_file

        trained = denoiser_file.load(Path(model).expanduser())
    return _Asked(method or ("neural" if trained else "wiener"), trained, strength, declip, fill)


def _check_picture(picture: Path, force: bool) -> None:
    from volna.plots.figure import can_draw

    if picture.suffix.lower() != ".png":
        raise InputError(f"{picture}: expected a name that ends in .png")
    if not can_draw():
        raise InputError("pictures need matplotlib: pip install 'volna[plots]'")
    check_free(picture, force=force)


# --- the sound


class _Line:
    """The sound on its way through the stages, and what was measured of it there."""

    def __init__(self, sound: ChannelStream, asked: _Asked, rails: list[float], gain: float, said: Progress) -> None:
        self.sound, self.asked, self.rails, self.gain, self.said = sound, asked, rails, gain, said
        self.repairs = Repairs()
        self.peak = self.peak_in = 0.0
        self.n_samples = 0
        self.power_before = self.power_after = self.power_removed = 0.0
        self._waiting: list[Samples] = []  # what went into the last stage and has not come out of it

    def blocks(self) -> Iterator[Samples]:
        sound, asked = self.sound, self.asked
        stage: Iterator[Samples] = self._heard(channel_blocks(sound, progress=_renamed(self.said)))
        if asked.declip and any(self.rails):
            stage = declipped(stage, sound.sample_rate, self.rails, self.repairs)
        if asked.fill:
            stage = filled(stage, sound.sample_rate, self.repairs)
        for block in self._compared(_without_noise(self._kept(stage), sound.sample_rate, asked)):
            self.n_samples += block.shape[1]
            self.peak = max(self.peak, peak(block))
            yield block * np.float32(self.gain) if self.gain != 1 else block
        if self.peak_in <= SILENT:
            fail(sound.path, "expected sound, this is silent: there is nothing to take noise out of")

    def _heard(self, blocks: Iterator[Samples]) -> Iterator[Samples]:
        for block in blocks:
            self.peak_in = max(self.peak_in, peak(block))
            yield block

    def _kept(self, blocks: Iterator[Samples]) -> Iterator[Samples]:
        for block in blocks:
            self._waiting.append(block)
            yield block

    def _compared(self, blocks: Iterator[Samples]) -> Iterator[Samples]:
        """The same blocks; what was taken out of each is measured."""
        for block in blocks:
            n = block.shape[1]
            had = np.concatenate(self._waiting, axis=1)
            self._waiting = [had[:, n:]]
            self.power_before += _power(had[:, :n])
            self.power_after += _power(block)
            self.power_removed += _power(had[:, :n] - block)
            yield block


def _renamed(said: Progress) -> Progress:
    return lambda stage, done, total, note: said("Denoising", done, total, note)


def _power(x: Samples) -> float:
    return float(np.einsum("cn,cn->", x, x, dtype=np.float64))


def _without_noise(blocks: Iterator[Samples], sample_rate: int, asked: _Asked) -> Iterator[Samples]:
    """The last stage: as many samples as came in."""
    if asked.method == "none" or asked.strength == 0:
        return blocks
    if asked.method == "wavelet":
        return _by_wavelets(blocks, sample_rate, asked.strength)
    n_fft = frame_length(sample_rate)
    if asked.trained is not None:
        from volna.models import denoiser_file

        trained = asked.trained
        return through_spectra(
            blocks, n_fft, lambda spectra: denoiser_file.without_noise(trained, spectra, asked.strength)
        )
    from volna.features.wiener import Wiener

    return through_spectra(blocks, n_fft, Wiener(strength=asked.strength).process)


def _by_wavelets(blocks: Iterator[Samples], sample_rate: int, strength: float) -> Iterator[Samples]:
    from volna.features.denoise_wavelet import CONTEXT, LEVEL, without_noise

    step = 2**LEVEL
    length = max(1, round(WAVELET_PIECE_S * sample_rate / step)) * step
    for piece in pieces_of(blocks, length, CONTEXT):
        yield without_noise(piece.samples, strength=strength)[:, piece.left : piece.left + piece.length]


# --- the file


def _written(path: str, target: Path, asked: _Asked, rails: list[float], about: FileInfo, said: Progress) -> _Line:
    """Write the output; a second time, turned down, where the first would have been clipped."""
    temporary = target.with_name(f".{target.stem}.{os.getpid()}{target.suffix}")
    codec = _codec(target, about)
    try:
        line = _encoded(path, temporary, codec, _tags(about), asked, rails, 1.0, said)
        if line.peak > 1 and codec != "pcm_f32le":
            gain = FULL_SCALE / line.peak
            line = _encoded(path, temporary, codec, _tags(about), asked, rails, gain, said)
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
    return line


def _encoded(
    path: str,
    temporary: Path,
    codec: str | None,
    tags: dict[str, str],
    asked: _Asked,
    rails: list[float],
    gain: float,
    said: Progress,
) -> _Line:
    with open_channels(path) as sound:
        line = _Line(sound, asked, rails, gain, said)
        file_rate = written_rate(temporary, sound.sample_rate, codec=codec)
        blocks = resampled(line.blocks(), sound.sample_rate, file_rate)
        options = _big(temporary, sound)
        encode_blocks(temporary, blocks, file_rate, codec=codec, tags=tags, container_options=options)
        return line


def _codec(target: Path, about: FileInfo) -> str | None:
    """As deep as the source, where a WAV file is written; None for the usual codec of the ending."""
    if target.suffix.lower() not in (".wav", ".w64"):
        return None
    return "pcm_f32le" if about.codec in FLOATS else DEEPER.get(about.bit_depth or 0)


def _tags(about: FileInfo) -> dict[str, str]:
    return {key: value for key, value in about.tags.items() if key in TAGS}


def _big(target: Path, sound: ChannelStream) -> dict[str, str] | None:
    """WAV beyond 4 GB is RF64."""
    large = sound.duration_s * sound.sample_rate * 4 * sound.n_channels > 4e9
    return {"rf64": "auto"} if large and target.suffix.lower() == ".wav" else None


def _result(line: _Line, path: str, target: Path, about: FileInfo) -> Denoised:
    asked, repairs, sound = line.asked, line.repairs, line.sound
    n = line.n_samples * sound.n_channels
    removed = decibels(line.power_removed / line.power_before, 10.0) if line.power_before else -math.inf
    result = Denoised(
        source=path,
        output=str(target),
        method=asked.method,
        model=asked.trained.id if asked.trained else None,
        strength=asked.strength,
        sample_rate=sound.sample_rate,
        file_rate=written_rate(target, sound.sample_rate, codec=_codec(target, about)),
        n_channels=sound.n_channels,
        n_samples=line.n_samples,
        duration_s=round(line.n_samples / sound.sample_rate, 6),
        level_before_db=round(decibels(line.power_before / n, 10.0), 2),
        level_after_db=round(decibels(line.power_after / n, 10.0), 2),
        removed_db=round(removed, 2) if math.isfinite(removed) else None,
        peak_dbfs=round(decibels(line.peak), 2),
        turned_down_db=round(-decibels(line.gain), 2) + 0.0,
    )
    if asked.declip:
        result.n_declipped = repairs.n_declipped
        result.rail_dbfs = [round(decibels(rail), 2) if rail else None for rail in line.rails]
    if asked.fill:
        result.n_filled, result.filled_s = repairs.n_filled, round(repairs.filled_s, 4)
        result.n_too_long = repairs.n_too_long
    top_hz = asked.trained.top_hz if asked.trained else None
    result.notes = remarks(result, top_hz=top_hz, n_damaged=sound.n_damaged)
    return result
