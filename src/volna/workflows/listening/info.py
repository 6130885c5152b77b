"""`info`: what a file is, and for WAV what its header says, field by field, and where that contradicts itself."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from volna.audio.decode import open_audio
from volna.audio.riff import WavHeader, read_wav_header
from volna.audio.source import explained, open_container, open_regular
from volna.errors import AudioError
from volna.workflows.common import Progress
from volna.workflows.each_file import each_file
from volna.workflows.results import Failure

__all__ = ["FileInfo", "InfoReport", "info", "info_of"]

NAMES = {"pcm_f24le": "PCM, 24 bits in four bytes"}  # libav takes integers for a rare float, see `volna.audio.odd24`
LOGARITHMIC_BITS = {"pcm_alaw": 8, "pcm_mulaw": 8}
# Where the decoder's own header ("extradata") keeps the depth: FLAC's STREAMINFO, ALAC's cookie, TTA's header.
DEPTH_AT = {"alac": 17, "tta": 8}


@dataclass(frozen=True)
class FileInfo:
    """What one file is.

    Attributes
    ----------
    path : absolute.
    size_bytes : of the file.
    container, codec : libav's short names, ``"wav"``, ``"pcm_s16le"``; ``container_name``, ``codec_name`` in words.
    lossy : whether the codec leaves something out; None where it can be either.
    sample_rate : Hz; n_channels; ``layout`` as libav names the places of the channels.
    bit_depth : bits of a sample; None for lossy codecs, which have none.
    duration_s : seconds, measured where the container does not say.
    bit_rate_bps : of the sound, bits a second; ``mean_bit_rate_bps`` is the file's size over its duration.
    n_streams : sound, pictures and all else in the container.
    tags : as they stand in the file, keys in lower case.
    wav : the header, for WAV files.
    error : why there is no sound to be had, where there is none; then the fields above are None or empty.
    """

    path: str
    size_bytes: int
    container: str | None = None
    container_name: str | None = None
    codec: str | None = None
    codec_name: str | None = None
    lossy: bool | None = None
    sample_rate: int | None = None
    n_channels: int | None = None
    layout: str | None = None
    bit_depth: int | None = None
    duration_s: float | None = None
    bit_rate_bps: int | None = None
    mean_bit_rate_bps: int | None = None
    n_streams: int | None = None
    tags: dict[str, str] = field(default_factory=dict)
    wav: WavHeader | None = None
    error: str | None = None


@dataclass
class InfoReport:
    """The answer to `info`: the files, and those of which there is no sound to be had, with the reason.

    A WAV file whose header can be read although its sound cannot is among both.
    """

    files: list[FileInfo]
    failures: list[Failure] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def info(paths: Sequence[str | Path], *, jobs: int | None = None, progress: Progress | None = None) -> InfoReport:
    """What files are: container, codec, rate, channels, bit depth, duration, tags, and the header of WAV files.

    Parameters
    ----------
    paths : sequence of str or Path
        Files, and folders, walked recursively.
    jobs : int, optional
        Processes; all cores by default.
    progress : callable, optional
        ``progress(stage, done, total, note)``.

    Returns
    -------
    InfoReport

    Raises
    ------
    InputError
        No path was given.

    Examples
    --------
    >>> info(["talk.wav"]).files[0].sample_rate  # doctest: +SKIP
    44100
    """
    found, failures = each_file(paths, f"{__name__}:info_of", stage="Reading", jobs=jobs, progress=progress)
    files = list(found.values())
    failures += [Failure(file.path, file.error) for file in files if file.error]
    return InfoReport(files, failures)


def info_of(path: str) -> FileInfo:
    """What one file is; runs in a child process.

    Raises
    ------
    AudioError
        It cannot be opened, or holds no sound and is no WAV file.
    """
    header = read_wav_header(path)
    size = os.stat(path).st_size
    try:
        about = _opened(path, size, header)
    except AudioError as error:
        if header is None:
            raise
        return FileInfo(os.path.abspath(path), size, wav=header, error=str(error).removeprefix(f"{path}: "))
    return FileInfo(os.path.abspath(path), size, wav=header, **about)


def _opened(path: str, size: int, header: WavHeader | None) -> dict[str, Any]:
    with open_audio(path) as sound:
        about: dict[str, Any] = {
            "container": sound.container,
            "codec": sound.codec,
            "sample_rate": sound.sample_rate or None,
            "n_channels": sound.n_channels or None,
            "duration_s": round(sound.duration_s, 6),
            "mean_bit_rate_bps": round(8 * size / sound.duration_s),
            "tags": sound.metadata,
        }
    return about | _stream(path, header)


def _stream(path: str, header: WavHeader | None) -> dict[str, Any]:
    """What libav knows beyond what decoding needs."""
    with explained(path):
        file, _ = open_regular(path)
        with file, open_container(file) as container:
            stream = next(s for s in container.streams.audio if s.codec_context is not None)
            context = stream.codec_context
            lossy, lossless = bool(context.codec.lossy), bool(context.codec.lossless)
            return {
                "container_name": container.format.long_name,
                "codec_name": NAMES.get(context.codec.name, context.codec.long_name),
                "lossy": None if lossy == lossless else lossy,
                "layout": context.layout.name if context.layout else None,
                "bit_depth": _bit_depth(context, header, lossy and not lossless),
                "bit_rate_bps": stream.bit_rate or context.bit_rate or None,
                "n_streams": len(container.streams),
            }


def _bit_depth(context: Any, header: WavHeader | None, lossy: bool) -> int | None:
    """Bits of a sample: what the file's own header says, else what the decoder's name or samples say."""
    name, extra = context.codec.name, bytes(context.extradata or b"")
    if name in LOGARITHMIC_BITS:
        return LOGARITHMIC_BITS[name]
    pcm = re.fullmatch(r"pcm_[a-z]+(\d+).*", name)
    if pcm:
        return (header.bits if header else None) or int(pcm[1])
    if name.startswith("dsd_"):
        return 1
    if lossy:
        return None
    if name == "flac" and len(extra) >= 34:
        return ((extra[12] & 1) << 4 | extra[13] >> 4) + 1
    if name in DEPTH_AT and len(extra) > DEPTH_AT[name]:
        return extra[DEPTH_AT[name]]
    return int(context.format.bits) if context.format else None
