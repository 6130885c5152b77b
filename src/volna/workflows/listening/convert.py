"""`convert`: another rate, fewer bits, another format, and what that costs: sampling and quantisation made audible.

The sound goes through in blocks, so hours need the memory of seconds::

    decode -> span -> mono -> rate -> bits, and what they add -> the codec's rate, where it has one of its own -> file
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from volna.audio.channels import ChannelStream, open_channels
from volna.audio.encode import CODECS, ENCODERS, Encoder, encode_blocks, written_rate
from volna.audio.frames import HIGHEST_HZ, LOWEST_HZ
from volna.audio.quantise import (
    MOST_BITS,
    NoiseMeter,
    expected_snr_db,
    full_scale_snr_db,
    quantise,
    resample_blocks,
)
from volna.audio.signal import Samples, decibels, peak, to_mono
from volna.audio.source import fail
from volna.errors import InputError
from volna.workflows.common import Progress, silent
from volna.workflows.files import check_free
from volna.workflows.listening.conversion import Conversion, remarks
from volna.workflows.listening.info import FileInfo, info_of

__all__ = ["Conversion", "convert"]

BLOCK_S = 5.0
# Integers by the most bits they hold, in containers that take all of them
INTEGERS = {8: "pcm_u8", 16: "pcm_s16le", 24: "pcm_s24le", 32: "pcm_s32le"}
ANY_DEPTH = (".wav", ".w64")
USUAL_BITS = 16
BIG_WAV_BYTES = 4_000_000_000
TAGS = ("title", "artist", "album", "album_artist", "date", "genre", "track", "composer", "comment")


@dataclass(frozen=True)
class _Settings:
    """What was asked for, and what the file needs."""

    rate: int
    bits: int | None
    dither: bool
    mono: bool
    start_s: float
    duration_s: float | None
    anti_alias: bool
    seed: int


def convert(
    source: str | Path,
    output: str | Path,
    *,
    rate: int | None = None,
    bits: int | None = None,
    dither: bool = False,
    mono: bool = False,
    start_s: float = 0.0,
    duration_s: float | None = None,
    no_filter: bool = False,
    seed: int = 0,
    force: bool = False,
    progress: Progress | None = None,
) -> Conversion:
    """Write a sound at another rate, with fewer bits, as mono, a span of it, or in another format.

    Parameters
    ----------
    source : str or Path
        Anything libav decodes.
    output : str or Path
        Its ending chooses the format.
    rate : int, optional
        Hz; the source's by default.
    bits : int, optional
        1 to 32: samples are rounded to so many bits, see `volna.audio.quantise.quantise`, and kept in the smallest
        samples the format has that hold them.
    dither : bool
        With `bits`: add TPDF dither before rounding.
    mono : bool
        Mix all channels down to one.
    start_s, duration_s : float, optional
        The span, in seconds.
    no_filter : bool
        With `rate`: take the nearest earlier sample instead of filtering, so that aliasing is heard.
    seed : int
        Of the dither.
    force : bool
        Replace a file that exists.
    progress : callable, optional
        ``progress(stage, done, total, note)``, in seconds of sound.

    Returns
    -------
    Conversion

    Raises
    ------
    InputError
        An option or an ending that makes no sense, more bits than the format holds, or an output that exists.
    AudioError
        The source cannot be decoded, or the output not written.

    Examples
    --------
    >>> convert("talk.wav", "talk4.wav", bits=4, dither=True).snr_db  # doctest: +SKIP
    12.3
    """
    target = Path(output).expanduser()
    _check(rate, bits, dither, start_s, duration_s, no_filter)
    check_free(target, force=force)
    path = str(Path(source).expanduser())
    about = info_of(path)
    if about.error:
        fail(path, about.error)
    codec = _codec(target, bits, about)
    with open_channels(path) as sound:
        settings = _Settings(rate or sound.sample_rate, bits, dither, mono, start_s, duration_s, not no_filter, seed)
        line = _Line(sound, settings, progress or silent)
        _write(line, target, codec, about)
        return _conversion(line, path, target, codec, lossy_source=bool(about.lossy))


def _check(
    rate: int | None, bits: int | None, dither: bool, start_s: float, duration_s: float | None, no_filter: bool
) -> None:
    if rate is not None and not LOWEST_HZ <= rate <= HIGHEST_HZ:
        raise InputError(f"expected a rate between {LOWEST_HZ} and {HIGHEST_HZ} Hz, got {rate}")
    if bits is not None and not 1 <= bits <= MOST_BITS:
        raise InputError(f"expected 1 to {MOST_BITS} bits, got {bits}")
    if dither and bits is None:
        raise InputError("dither is added before rounding to fewer bits: give --bits as well")
    if no_filter and rate is None:
        raise InputError("without a filter the rate is changed: give --rate as well")
    if not (start_s >= 0 and math.isfinite(start_s)) or not (duration_s is None or 0 < duration_s < math.inf):
        raise InputError(f"expected a span that starts at 0 s or later and lasts, got {(start_s, duration_s)}")


# --- which codec


def _encoder(target: Path, codec: str | None) -> Encoder:
    extension = target.suffix.lower()
    if extension not in ENCODERS:
        raise InputError(f"expected a file name that ends in one of {' '.join(sorted(ENCODERS))}, got {target.name!r}")
    return CODECS[codec] if codec else ENCODERS[extension]


def _is_lossy(encoder: Encoder) -> bool:
    return encoder.bit_rate is not None


def _codec(target: Path, bits: int | None, about: FileInfo) -> str | None:
    """The codec whose samples hold the bits; None for the usual one of the ending."""
    usual = _encoder(target, None)
    if target.suffix.lower() not in ANY_DEPTH:
        if bits is not None and bits > USUAL_BITS and not _is_lossy(usual):
            raise InputError(
                f"{target}: {target.suffix} is written with {USUAL_BITS} bits, not {bits}: choose a name that ends in"
                f" {' or '.join(ANY_DEPTH)}"
            )
        return None
    if bits is None and about.codec in ("pcm_f32le", "pcm_f32be", "pcm_f64le", "pcm_f64be"):
        return "pcm_f32le"
    wanted = bits or max(USUAL_BITS, about.bit_depth or 0)
    return next((codec for most, codec in INTEGERS.items() if wanted <= most), INTEGERS[MOST_BITS])


def _file_bits(encoder: Encoder) -> int | None:
    if _is_lossy(encoder) or encoder.sample_format.startswith(("flt", "dbl")):
        return None
    return next((bits for bits, codec in INTEGERS.items() if codec == encoder.codec), USUAL_BITS)


# --- the sound


class _Line:
    """The sound on its way through the stages, and what was measured of it there."""

    def __init__(self, sound: ChannelStream, settings: _Settings, progress: Progress) -> None:
        self.sound, self.settings, self.progress = sound, settings, progress
        self.rng = np.random.default_rng(settings.seed)
        self.meter = NoiseMeter()
        self.peak = 0.0
        self.n_samples = self.n_clipped = self.n_channels = 0
        self.power = self.power_above = 0.0  # of the source, and of what lies above half the new rate

    def blocks(self) -> Generator[np.ndarray]:
        """The finished sound, float64 where it was quantised, else float32."""
        span = self._span()
        if self.settings.mono:
            span = (to_mono(block)[None] for block in span)
        changed = resample_blocks(
            self._watched(span), self.sound.sample_rate, self.settings.rate, anti_alias=self.settings.anti_alias
        )
        for block in changed:
            self.n_samples += block.shape[1]
            self.n_channels = len(block)
            self.peak = max(self.peak, peak(block))
            yield self._rounded(block)
        if not self.n_samples:
            fail(self.sound.path, f"too short for {self.settings.rate} Hz: not one sample would be left")

    def _span(self) -> Iterator[Samples]:
        rate, settings = self.sound.sample_rate, self.settings
        begin = round(settings.start_s * rate)
        end = (1 << 62) if settings.duration_s is None else begin + max(1, round(settings.duration_s * rate))
        total_s = min(self.sound.duration_s, end / rate)
        at, found = 0, False
        for block in self.sound.blocks(BLOCK_S):
            part = block[:, max(0, begin - at) : max(0, end - at)]
            at += block.shape[1]
            self.progress("Converting", round(min(at / rate, total_s)), round(total_s), "")
            if part.shape[1]:
                found = True
                yield part
            if at >= end:
                break
        if not found:
            fail(
                self.sound.path,
                f"expected a span inside the file, got one from {settings.start_s:.1f} s of {at / rate:.1f} s",
            )

    def _watched(self, blocks: Iterator[Samples]) -> Iterator[Samples]:
        """The same blocks; what a lower rate cannot carry is measured on the way."""
        for block in blocks:
            if self.settings.rate < self.sound.sample_rate:
                spectrum = np.fft.rfft(block * np.hanning(block.shape[1]).astype(np.float32), axis=1)
                power = np.sum(spectrum.real**2 + spectrum.imag**2, axis=0)
                first = math.ceil(block.shape[1] * self.settings.rate / 2 / self.sound.sample_rate)
                self.power += float(power.sum())
                self.power_above += float(power[first:].sum())
            yield block

    def _rounded(self, block: Samples) -> np.ndarray:
        bits = self.settings.bits
        if bits is None:
            self.meter.add(block, block)
            return block
        rounded = quantise(block, bits, dither=self.settings.dither, rng=self.rng)
        half = 2.0 ** (bits - 1)
        top = 1.0 if bits == 1 else (half - 0.5) / half
        self.n_clipped += int(np.count_nonzero((block > top) | (block < -1 - 0.5 / half)))
        self.meter.add(block, rounded)
        return rounded

    @property
    def folded_db(self) -> float | None:
        if self.settings.rate >= self.sound.sample_rate:
            return None
        return decibels(self.power_above / self.power, 10.0) if self.power else -math.inf


def _write(line: _Line, target: Path, codec: str | None, about: FileInfo) -> None:
    rate = line.settings.rate
    file_rate = written_rate(target, rate, codec=codec)
    seconds = line.settings.duration_s or about.duration_s or 0.0
    big = target.suffix.lower() == ".wav" and seconds * rate * 4 * line.sound.n_channels > BIG_WAV_BYTES
    tags = {key: value for key, value in about.tags.items() if key in TAGS}
    with closing(line.blocks()) as blocks:
        encode_blocks(
            target,
            resample_blocks(blocks, rate, file_rate),
            file_rate,
            codec=codec,
            tags=tags,
            container_options={"rf64": "auto"} if big else None,
        )


# --- what came of it


def _conversion(line: _Line, path: str, target: Path, codec: str | None, *, lossy_source: bool) -> Conversion:
    settings, encoder = line.settings, _encoder(target, codec)
    done = Conversion(
        source=path,
        output=str(target),
        codec=encoder.codec,
        lossy=_is_lossy(encoder),
        from_rate=line.sound.sample_rate,
        to_rate=settings.rate,
        file_rate=written_rate(target, settings.rate, codec=codec),
        n_channels=line.n_channels,
        n_samples=line.n_samples,
        duration_s=round(line.n_samples / settings.rate, 6),
        bits=settings.bits,
        dither=settings.dither,
        file_bits=_file_bits(encoder),
        filtered=settings.anti_alias,
        folded_db=line.folded_db,
        peak_dbfs=decibels(line.peak),
        rms_dbfs=decibels(line.meter.rms),
    )
    if settings.bits:
        done = replace(
            done,
            snr_db=line.meter.snr_db,
            full_scale_snr_db=full_scale_snr_db(settings.bits, dither=settings.dither),
            expected_snr_db=expected_snr_db(settings.bits, line.meter.rms, dither=settings.dither),
            n_clipped=line.n_clipped,
        )
    return replace(done, notes=remarks(done, line.sound.n_damaged, lossy_source=lossy_source))
