"""Samples become a file: WAV, FLAC, MP3, Ogg, Opus, AAC, ALAC, WavPack, WMA, AIFF and others that libav writes.

The file is written beside its destination and renamed when complete, so nobody ever sees half of one.
"""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import av.error
import numpy as np
from numpy.typing import NDArray

from volna.audio.signal import resample
from volna.audio.source import StrPath
from volna.errors import AudioError, InputError

__all__ = ["ENCODERS", "encode", "encode_blocks", "written_rate"]

CHUNK = 1 << 15  # samples handed to the encoder at once


@dataclass(frozen=True)
class Encoder:
    """How to write one kind of file, in libav's names; ``rates`` are those it takes, all if empty."""

    container: str
    codec: str
    sample_format: str
    rates: tuple[int, ...] = ()
    bit_rate: int | None = None  # a second, for two channels


MPEG_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
AAC_RATES = (7350, *MPEG_RATES, 64000, 88200, 96000)
OPUS_RATES = (48000,)  # always 48 kHz inside; libav's own resampling is worse than soxr's
AAC = Encoder("ipod", "aac", "fltp", AAC_RATES, 160_000)
ALAC = Encoder("ipod", "alac", "s16p")

ENCODERS: dict[str, Encoder] = {
    ".wav": Encoder("wav", "pcm_s16le", "s16"),
    ".w64": Encoder("w64", "pcm_s16le", "s16"),
    ".aif": Encoder("aiff", "pcm_s16be", "s16"),
    ".aiff": Encoder("aiff", "pcm_s16be", "s16"),
    ".au": Encoder("au", "pcm_s16be", "s16"),
    ".caf": Encoder("caf", "pcm_s16le", "s16"),
    ".flac": Encoder("flac", "flac", "s16"),
    ".wv": Encoder("wv", "wavpack", "s16p"),
    ".tta": Encoder("tta", "tta", "s16"),
    ".mp3": Encoder("mp3", "libmp3lame", "fltp", MPEG_RATES, 160_000),
    ".mp2": Encoder("mp2", "mp2", "s16", (16000, 22050, 24000, 32000, 44100, 48000), 128_000),
    ".m4a": AAC,
    ".m4b": AAC,
    ".mp4": Encoder("mp4", "aac", "fltp", AAC_RATES, 160_000),
    ".aac": Encoder("adts", "aac", "fltp", AAC_RATES, 160_000),
    ".alac": ALAC,
    ".ogg": Encoder("ogg", "libopus", "flt", OPUS_RATES, 128_000),
    ".opus": Encoder("ogg", "libopus", "flt", OPUS_RATES, 128_000),
    ".oga": Encoder("ogg", "flac", "s16"),
    ".mka": Encoder("matroska", "flac", "s16"),
    ".wma": Encoder("asf", "wmav2", "fltp", MPEG_RATES, 160_000),
    ".ac3": Encoder("ac3", "ac3", "fltp", (32000, 44100, 48000), 192_000),
}
# A codec by name, where it is not the usual one of the extension; the container stays that of the extension.
CODECS: dict[str, Encoder] = {
    "alac": ALAC,
    "aac": AAC,
    "mp3": ENCODERS[".mp3"],
    "flac": ENCODERS[".flac"],
    "opus": ENCODERS[".opus"],
    "vorbis": Encoder("ogg", "vorbis", "fltp", (), 160_000),
    "wavpack": ENCODERS[".wv"],
    "pcm_u8": Encoder("wav", "pcm_u8", "u8"),
    "pcm_s16le": ENCODERS[".wav"],
    "pcm_s24le": Encoder("wav", "pcm_s24le", "s32"),
    "pcm_s32le": Encoder("wav", "pcm_s32le", "s32"),
    "pcm_f32le": Encoder("wav", "pcm_f32le", "flt"),
    "pcm_f64le": Encoder("wav", "pcm_f64le", "dbl"),
    "pcm_alaw": Encoder("wav", "pcm_alaw", "s16"),
    "adpcm_ms": Encoder("wav", "adpcm_ms", "s16"),
}


MUXER_OPTIONS: dict[str, dict[str, str]] = {"aiff": {"write_id3v2": "1"}}  # else it keeps the title only


def encode(
    path: StrPath,
    samples: NDArray[Any],
    sample_rate: int,
    *,
    codec: str | None = None,
    bit_rate: int | None = None,
    tags: Mapping[str, str] | None = None,
    options: Mapping[str, str] | None = None,
    container_options: Mapping[str, str] | None = None,
) -> Path:
    """Write samples to a file, in the format of its extension.

    Parameters
    ----------
    path
        Its extension chooses the format, one of ``ENCODERS``. A file already there is replaced, at once and only when
        the new one is complete.
    samples
        Floating point in [-1, 1], shape ``(n_samples,)``, or ``(n_channels, n_samples)`` with up to 8 channels; beyond
        is clipped, except in floating point formats.
    sample_rate
        Of the samples, in Hz. Where the format does not take this rate (Opus, MP3, AAC), the samples are resampled to
        the next one above that it does.
    codec
        Another codec than the usual one of the extension, one of ``CODECS``, as ``"alac"`` in ``.m4a``.
    bit_rate
        In bits a second, for lossy codecs.
    tags
        ``title``, ``artist``, ``album``, ``date``, ``genre``, ``track`` ...; formats without tags leave them out.
    options, container_options
        Passed to libav's encoder and muxer as they are.

    Returns
    -------
    The path.

    Raises
    ------
    InputError
        For an unknown extension or codec, and for samples of another shape, without length, or not finite.
    AudioError
        When the file cannot be written.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> tone = 0.1 * np.sin(2 * np.pi * 440 * np.arange(8000) / 8000)
    >>> encode(pathlib.Path(tempfile.mkdtemp()) / "tone.flac", tone, 8000, tags={"title": "A"}).name
    'tone.flac'
    """
    encoder = _encoder(Path(path).suffix.lower(), codec)
    x = _checked(samples, sample_rate)
    rate = _rate(encoder, sample_rate)
    return encode_blocks(
        path,
        [resample(x, sample_rate, rate)],
        rate,
        codec=codec,
        bit_rate=bit_rate,
        tags=tags,
        options=options,
        container_options=container_options,
    )


def encode_blocks(
    path: StrPath,
    blocks: Iterable[NDArray[Any]],
    sample_rate: int,
    *,
    codec: str | None = None,
    bit_rate: int | None = None,
    tags: Mapping[str, str] | None = None,
    options: Mapping[str, str] | None = None,
    container_options: Mapping[str, str] | None = None,
) -> Path:
    """Write a sound that comes in blocks, in the memory of one of them; all else as `encode`.

    Parameters
    ----------
    blocks
        Floating point ``(n_channels, n_samples)``, one after the other, the same number of channels in each. Blocks of
        float64 keep their 32 bits in ``pcm_s32le``.
    sample_rate
        One that the format takes, see `written_rate`; nothing is resampled here.

    Returns
    -------
    The path.

    Raises
    ------
    InputError
        For an unknown extension or codec, a rate that the format does not take, and blocks without a sample.
    AudioError
        When the file cannot be written.

    Examples
    --------
    >>> encode_blocks("long.wav", sound.blocks(), sound.sample_rate)  # doctest: +SKIP
    """
    target = Path(path)
    encoder = _encoder(target.suffix.lower(), codec)
    if _rate(encoder, sample_rate) != sample_rate:
        raise InputError(f"{target}: expected a rate that {encoder.codec} takes, got {sample_rate} Hz")
    temporary = ""
    try:
        handle, temporary = tempfile.mkstemp(prefix=".volna-", suffix=target.suffix, dir=target.parent)
        os.close(handle)
        muxer = {**MUXER_OPTIONS.get(encoder.container, {}), **(container_options or {})}
        with av.open(temporary, "w", format=encoder.container, options=muxer) as container:
            container.metadata.update(tags or {})
            _write(container, encoder, _chunks(blocks), sample_rate, bit_rate, dict(options or {}))
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, target)
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise AudioError(f"{target}: cannot be written: {getattr(error, 'strerror', None) or error}") from error
    finally:
        if temporary and os.path.exists(temporary):
            os.unlink(temporary)
    return target


def written_rate(path: StrPath, sample_rate: int, *, codec: str | None = None) -> int:
    """The rate in Hz that a file of this name gets: the one given, or the next one above that its format takes.

    Raises
    ------
    InputError
        For an unknown extension or codec.

    Examples
    --------
    >>> written_rate("a.wav", 11000), written_rate("a.opus", 11000), written_rate("a.mp3", 96000)
    (11000, 48000, 48000)
    """
    return _rate(_encoder(Path(path).suffix.lower(), codec), sample_rate)


def _encoder(extension: str, codec: str | None) -> Encoder:
    if extension not in ENCODERS:
        raise InputError(f"expected a file name that ends in one of {' '.join(sorted(ENCODERS))}, got {extension!r}")
    usual = ENCODERS[extension]
    if codec is None:
        return usual
    if codec not in CODECS:
        raise InputError(f"expected a codec out of {', '.join(sorted(CODECS))}, got {codec!r}")
    other = CODECS[codec]
    return Encoder(usual.container, other.codec, other.sample_format, other.rates, other.bit_rate)


def _checked(samples: NDArray[Any], sample_rate: int) -> NDArray[np.float32]:
    x = np.atleast_2d(np.asarray(samples, np.float32))
    if x.ndim != 2 or not 1 <= len(x) <= 8 or not x.shape[1]:
        raise InputError(f"expected samples of shape (n_samples,) or (up to 8 channels, n_samples), got {x.shape}")
    if not np.all(np.isfinite(x)):
        raise InputError("expected finite samples")
    if sample_rate <= 0:
        raise InputError(f"expected a sample rate above 0 Hz, got {sample_rate}")
    return x


def _rate(encoder: Encoder, sample_rate: int) -> int:
    if not encoder.rates:
        return int(sample_rate)
    return next((rate for rate in sorted(encoder.rates) if rate >= sample_rate), max(encoder.rates))


LAYOUTS = ("mono", "stereo", "2.1", "quad", "5.0", "5.1", "6.1", "7.1")


def _write(
    container: Any,
    encoder: Encoder,
    chunks: Iterator[NDArray[Any]],
    rate: int,
    bit_rate: int | None,
    options: dict[str, str],
) -> None:
    first = next(chunks, None)
    if first is None:
        raise InputError("expected at least one sample, got none")
    n_channels, layout = len(first), LAYOUTS[len(first) - 1]
    vorbis = encoder.codec == "vorbis"
    if vorbis:  # libav's own encoder: two channels, and called experimental
        options, layout = {"strict": "experimental", **options}, "stereo"
    stream = container.add_stream(encoder.codec, rate=rate, options=options)
    stream.layout, stream.format = layout, encoder.sample_format
    if bit_rate or encoder.bit_rate:
        n = 2 if vorbis else n_channels
        stream.bit_rate = bit_rate or (encoder.bit_rate or 0) * max(1, n) // 2
    begin = 0
    for chunk in itertools.chain([first], chunks):
        x = np.vstack([chunk, chunk])[:2] if vorbis else chunk
        frame = av.AudioFrame.from_ndarray(_quantised(x, encoder.sample_format), encoder.sample_format, layout)
        frame.sample_rate, frame.pts = rate, begin
        container.mux(stream.encode(frame))
        begin += x.shape[1]
    container.mux(stream.encode(None))


def _chunks(blocks: Iterable[NDArray[Any]]) -> Iterator[NDArray[Any]]:
    """The same samples in pieces of `CHUNK`, the last one shorter."""
    waiting: list[NDArray[Any]] = []
    n_waiting = 0
    for block in blocks:
        if not 1 <= len(block) <= len(LAYOUTS):
            raise InputError(f"expected 1 to {len(LAYOUTS)} channels, got {len(block)}")
        waiting.append(block)
        n_waiting += block.shape[1]
        if n_waiting < CHUNK:
            continue
        joined = np.concatenate(waiting, axis=1) if len(waiting) > 1 else block
        whole = n_waiting - n_waiting % CHUNK
        for begin in range(0, whole, CHUNK):
            yield joined[:, begin : begin + CHUNK]
        waiting, n_waiting = [joined[:, whole:]], n_waiting - whole
    if n_waiting:
        yield np.concatenate(waiting, axis=1)


def _quantised(x: NDArray[Any], sample_format: str) -> NDArray[Any]:
    """To the encoder's own numbers, ``(n_channels, n)`` if planar, else interleaved ``(1, n * n_channels)``."""
    kind = sample_format.removesuffix("p")
    y: NDArray[Any]
    if kind == "flt":
        y = x.astype(np.float32, copy=False)
    elif kind == "dbl":
        y = x.astype(np.float64)
    else:
        dtype, full = {"u8": (np.uint8, 2.0**7), "s16": (np.int16, 2.0**15), "s32": (np.int32, 2.0**31)}[kind]
        scaled = np.clip(np.rint(x.astype(np.float64) * full), -full, full - 1)
        y = (scaled + (full if kind == "u8" else 0.0)).astype(dtype)
    return np.ascontiguousarray(y) if sample_format.endswith("p") else np.ascontiguousarray(y.T).reshape(1, -1)


def _umask() -> int:
    """The process's mask for new files: the temporary file was made for its owner only."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
