"""`decode`: from a ``.volna`` file back to sound, around what is damaged."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from volna.audio.volna_file import CODED, SILENT, Block, Header, read_blocks, read_header, unpack_payload
from volna.errors import AudioError, InputError, ModelError
from volna.workflows.common import Progress, silent
from volna.workflows.files import check_free
from volna.workflows.making.compressing import read_codec, tables_of

if TYPE_CHECKING:
    from volna.models.codec_file import TrainedCodec

__all__ = ["DecodeReport", "Lost", "decode", "decoded_blocks"]


RESAMPLED_S = 0.01  # of sound that two changes of rate may lose
PIECE_LATENTS = 160  # at once: what is around a piece is worked on twice


@dataclass(frozen=True)
class Lost:
    """A span of sound that is silence now, because its blocks are damaged."""

    start_s: float
    end_s: float


@dataclass
class DecodeReport:
    """What `decode` made; ``lost`` spans are silence, after ``truncated_at_s`` there is nothing."""

    input: str
    output: str
    model: str
    model_id: str
    sample_rate: int
    n_channels: int
    setting_kbps: float
    n_samples: int = 0
    duration_s: float = 0.0
    lost: list[Lost] = field(default_factory=list)
    truncated_at_s: float | None = None
    seconds: float = 0.0
    times_real_time: float = 0.0
    notes: list[str] = field(default_factory=list)

    @property
    def damaged(self) -> bool:
        """Whether something of the sound is missing."""
        return bool(self.lost) or self.truncated_at_s is not None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self) | {"damaged": self.damaged}


def decode(
    path: str | Path,
    output: str | Path,
    *,
    model: str | Path | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> DecodeReport:
    """Make sound of a ``.volna`` file, at the rate, in the channels and of the very length of what was encoded.

    Parameters
    ----------
    path : str or Path
        What `encode` wrote. Damaged blocks become silence; where the file ends too early, so does the sound.
    output : str or Path
        The sound, in any format that Volna writes and that takes the rate.
    model : str or Path, optional
        The codec file that it was encoded with; by default the one that comes with Volna.
    force : bool
        Replace an output that exists.
    progress : callable, optional
        ``progress(stage, done, total, note)``.

    Returns
    -------
    DecodeReport

    Raises
    ------
    AudioError
        No such file, a damaged header, or not one block that is whole.
    InputError
        The output exists, or has an ending that cannot be written.
    ModelError
        The file was encoded with another model, or that cannot be read.

    Examples
    --------
    >>> decode("talk.volna", "talk.wav").damaged  # doctest: +SKIP
    False
    """
    from volna.audio.encode import encode_blocks, written_rate

    started_s = time.monotonic()
    source, target = Path(path).expanduser(), Path(output).expanduser()
    check_free(target, force=force)
    with _opened(source) as file:
        header = read_header(file, str(source))
        if written_rate(target, header.sample_rate) != header.sample_rate:
            raise InputError(f"{target}: expected a format that takes {header.sample_rate} Hz, such as .wav")
        trained = _codec_of(header, model, source)
        nominal = trained.settings[header.setting].bit_rate * header.n_channels / 1000
        shape = (header.sample_rate, header.n_channels, nominal)
        report = DecodeReport(str(source), str(target), trained.name, trained.id, *shape)
        encode_blocks(target, decoded_blocks(file, header, trained, report, progress or silent), header.sample_rate)
    report.duration_s = report.n_samples / report.sample_rate
    report.seconds = round(time.monotonic() - started_s, 2)
    report.times_real_time = round(report.duration_s / max(report.seconds, 1e-3), 1)
    report.notes = list(_notes(report, header))
    return report


def _opened(source: Path) -> BinaryIO:
    try:
        return open(source, "rb")
    except OSError as error:
        raise AudioError(f"{source}: cannot be read: {error.strerror or error}") from error


def _codec_of(header: Header, model: str | Path | None, source: Path) -> TrainedCodec:
    """The codec that a file asks for."""
    made_by = f"{source} was encoded with the model {header.model_name!r} (id {header.model_id})"
    try:
        trained = read_codec(model)
    except ModelError as error:
        raise ModelError(f"{error}; {made_by}") from error
    if trained.id != header.model_id:
        came = f"{model} is" if model is not None else "Volna's own is"
        raise ModelError(f"{made_by}: give that one as --model; {came} {trained.id}")
    if header.setting >= len(trained.settings):
        raise AudioError(f"{source}: asks for setting {header.setting} of {len(trained.settings)}: damaged")
    return trained


def _notes(report: DecodeReport, header: Header) -> Iterator[str]:
    for span in report.lost:
        yield f"damaged, silence instead: {span.start_s:.1f} to {span.end_s:.1f} s"
    if report.truncated_at_s is not None:
        whole = f" of {header.n_samples / header.sample_rate:.1f} s" if header.n_samples is not None else ""
        yield f"the file breaks off: decoded up to {report.truncated_at_s:.1f} s{whole}"


def decoded_blocks(
    file: BinaryIO, header: Header, trained: TrainedCodec, report: DecodeReport, progress: Progress = silent
) -> Iterator[np.ndarray]:
    """The sound of an open file, float32 ``(n_channels, n_samples)``; what is missing is told in the report.

    Raises
    ------
    AudioError
        Not one block is whole.
    """
    from volna.workflows.listening.pieces import resampled

    blocks = _Blocks(file, header, trained, report)
    inner = _sounds(_spectra(blocks, header, trained), trained)
    total_s = None if header.n_samples is None else header.n_samples // header.sample_rate
    most = header.n_samples if header.n_samples is not None else 1 << 62
    for block in resampled(inner, trained.sample_rate, header.sample_rate):
        part = block[:, : max(0, most - report.n_samples)]
        report.n_samples += part.shape[1]
        progress("Decoding", report.n_samples // header.sample_rate, total_s, "s of sound")
        if part.shape[1]:
            yield part
    if not blocks.n_whole:
        raise AudioError(f"{report.input}: not one of its blocks is whole")
    missing = most - report.n_samples if header.n_samples is not None else 0
    if blocks.truncated or missing > RESAMPLED_S * header.sample_rate:
        report.truncated_at_s = report.n_samples / header.sample_rate
    elif missing > 0:  # by the resampler's rounding
        yield np.zeros((header.n_channels, missing), np.float32)
        report.n_samples += missing


class _Blocks:
    """The latents of a file, block after block; what is lost is silent and reported."""

    def __init__(self, file: BinaryIO, header: Header, trained: TrainedCodec, report: DecodeReport) -> None:
        from volna.models.codec_use import silence

        self.file, self.header, self.report = file, header, report
        self.tables = tables_of(trained, header.setting)
        self.silence = silence(trained, header.setting)
        self.block_s = header.n_latents * trained.model.config.stride / trained.mel_config.frames_per_s
        self.n_whole = self.n_seen = 0

    @property
    def truncated(self) -> bool:
        """Whether blocks are missing at the end."""
        return self.header.n_blocks is None or self.n_seen < self.header.n_blocks

    def __iter__(self) -> Iterator[np.ndarray]:
        """float32 ``(n_channels, 1 + n_dims, n_latents)``: row 0 is 1 where a channel is silent, then the symbols."""
        for block in read_blocks(self.file):
            if self.header.n_blocks is not None and block.number >= self.header.n_blocks:
                return
            latents = self._latents(block)
            self.n_seen = block.number + 1
            if latents is None:
                self._lose(block.number)
                latents = self._silent(self.header.n_channels, self.header.n_latents)
            else:
                self.n_whole += 1
            yield latents

    def _latents(self, block: Block) -> np.ndarray | None:
        from volna.tasks.range_coding import decode_symbols

        if block.payload is None:
            return None
        try:
            payload = unpack_payload(block.payload, self.header)
            n_coded = payload.kinds.count(CODED)
            coded = iter(decode_symbols(payload.data, [payload.n_latents] * n_coded, self.tables))
        except AudioError:
            return None
        channels: list[np.ndarray] = []
        for kind in payload.kinds:
            if kind == CODED:
                symbols = next(coded).T
                channels.append(np.concatenate([np.zeros((1, payload.n_latents)), symbols]).astype(np.float32))
            else:
                channels.append(self._silent(1, payload.n_latents)[0] if kind == SILENT else channels[0])
        return np.stack(channels)

    def _silent(self, n_channels: int, n_latents: int) -> np.ndarray:
        one = np.concatenate([np.ones((1, 1)), self.silence]).astype(np.float32)
        return np.tile(one, (n_channels, 1, n_latents))

    def _lose(self, index: int) -> None:
        start_s, end_s = round(index * self.block_s, 3), round((index + 1) * self.block_s, 3)
        lost = self.report.lost
        if lost and lost[-1].end_s == start_s:
            start_s = lost.pop().start_s
        lost.append(Lost(start_s, end_s))


def _spectra(latents: Iterable[np.ndarray], header: Header, trained: TrainedCodec) -> Iterator[np.ndarray]:
    """Frames, float32 ``(n_channels, 1 + n_rows, n_frames)``: row 0 as it came, then `SpectrumMaker`'s."""
    from volna.models.codec_use import SpectrumMaker, decoding_context
    from volna.workflows.listening.pieces import pieces_of

    makers = [SpectrumMaker(trained, header.setting) for _ in range(header.n_channels)]
    for piece in pieces_of(latents, PIECE_LATENTS, decoding_context(trained)):
        silent = np.repeat(piece.samples[:, :1, piece.left : piece.left + piece.length], trained.model.config.stride, 2)
        parts = zip(makers, piece.samples[:, 1:].astype(np.int32), strict=True)
        frames = np.stack([maker.piece(symbols, piece.left, piece.length) for maker, symbols in parts])
        yield np.concatenate([silent, frames], axis=1)


def _sounds(spectra: Iterable[np.ndarray], trained: TrainedCodec) -> Iterator[np.ndarray]:
    """Sound at the codec's rate, float32 ``(n_channels, n_samples)``; zeros where row 0 says silence."""
    from volna.models.codec_use import refining_context, sound_of_frames
    from volna.workflows.listening.pieces import pieces_of

    length = PIECE_LATENTS * trained.model.config.stride
    for piece in pieces_of(spectra, length, refining_context(trained)):
        inside = piece.samples[:, 0, piece.left : piece.left + piece.length]
        silent = np.repeat(inside > 0, trained.mel_config.hop_length, axis=1)
        made = [sound_of_frames(trained, frames[1:], piece.left, piece.length) for frames in piece.samples]
        yield np.where(silent, np.float32(0), np.stack(made))
