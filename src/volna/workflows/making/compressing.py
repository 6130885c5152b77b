"""`encode` and `decode`: a sound as a ``.volna`` file of a few kilobits a second, and back.

Both read and write in pieces, so that ten hours need the memory of seconds. The container is `volna.audio.volna_file`,
the numbers are coded by `volna.tasks.range_coding`, the model is `volna.models.codec`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from volna.audio.volna_file import CODED, MOST_CHANNELS, SAME, SILENT, Header, Payload, Writer, pack_payload
from volna.errors import AudioError, InputError, ModelError
from volna.workflows.common import Progress
from volna.workflows.files import check_free, new_file

if TYPE_CHECKING:
    from volna.models.codec_file import TrainedCodec
    from volna.workflows.listening.pieces import Piece

__all__ = ["ENDING", "KBPS", "EncodeReport", "choose_setting", "default_codec", "encode", "encode_blocks", "read_codec"]

ENDING = ".volna"
KBPS = 3.0
BLOCK_S = 5.0  # a damaged block costs this much sound; a shorter one costs more bits
SILENCE = 1e-5  # samples below it, a third of the last bit of a CD, are silence
DEFAULT_MODEL = Path(str(files("volna"))) / "data" / "default.codec"


@dataclass
class EncodeReport:
    """What `encode` made. ``kbps`` is what lies on the disk, all channels and the container together; ``setting_kbps``
    what the setting was made for."""

    input: str
    output: str
    model: str
    model_id: str
    sample_rate: int
    inner_rate: int
    n_channels: int
    setting_kbps: float
    n_samples: int = 0
    duration_s: float = 0.0
    n_bytes: int = 0
    kbps: float = 0.0
    seconds: float = 0.0
    times_real_time: float = 0.0
    notes: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def read_codec(model: str | Path | None) -> TrainedCodec:
    """The codec of a file, or the one that comes with Volna.

    Raises
    ------
    ModelError
        It cannot be read, or none comes with this Volna.
    """
    from volna.models.codec_file import load

    return default_codec() if model is None else load(Path(model).expanduser())


def default_codec() -> TrainedCodec:
    """The codec that comes with Volna, trained on sounds that `scripts/make_default_codec.py` makes.

    Raises
    ------
    ModelError
        This Volna comes without one.
    """
    from volna.models.codec_file import load

    if not DEFAULT_MODEL.is_file():
        recipe = "train one on your own sounds: volna codec train FOLDER -o codec.safetensors, then give it as --model"
        raise ModelError(f"this Volna comes without a codec of its own; {recipe}")
    return load(DEFAULT_MODEL)


def choose_setting(trained: TrainedCodec, kbps: float, n_channels: int = 1) -> int:
    """The setting whose rate, times the channels, is nearest in proportion.

    Raises
    ------
    InputError
        The rate is no number above zero.
    """
    if not 0 < kbps < float("inf"):
        raise InputError(f"expected kbps above 0, got {kbps:g}")
    wanted = 1000.0 * kbps / n_channels
    ratios = [abs(np.log(setting.bit_rate / wanted)) for setting in trained.settings]
    return int(np.argmin(ratios))


def encode(
    path: str | Path,
    output: str | Path,
    *,
    kbps: float = KBPS,
    model: str | Path | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> EncodeReport:
    """Write a sound as a ``.volna`` file.

    Parameters
    ----------
    path : str or Path
        Any sound that libav reads, of up to 8 channels.
    output : str or Path
        Ends in ``.volna``.
    kbps : float
        Kilobits a second wanted, all channels together; the nearest setting of the model is taken.
    model : str or Path, optional
        A codec file; by default the one that comes with Volna.
    force : bool
        Replace an output that exists.
    progress : callable, optional
        ``progress(stage, done, total, note)``.

    Returns
    -------
    EncodeReport

    Raises
    ------
    AudioError
        The sound cannot be decoded.
    InputError
        The output exists, has another ending, or cannot be written; a rate that makes no sense; too many channels.
    ModelError
        The model cannot be read, is none, or is missing.

    Examples
    --------
    >>> encode("talk.wav", "talk.volna", kbps=1.5).kbps  # doctest: +SKIP
    1.62
    """
    from volna.audio.channels import open_channels
    from volna.workflows.listening.pieces import channel_blocks

    started_s = time.monotonic()
    target = Path(output).expanduser()
    if target.suffix.lower() != ENDING:
        raise InputError(f"{target}: expected a name that ends in {ENDING}")
    check_free(target, force=force)
    trained = read_codec(model)
    with open_channels(path) as sound:
        if sound.n_channels > MOST_CHANNELS:
            raise InputError(f"{path}: expected up to {MOST_CHANNELS} channels, got {sound.n_channels}")
        setting = choose_setting(trained, kbps, sound.n_channels)
        nominal = trained.settings[setting].bit_rate * sound.n_channels / 1000
        shape = (sound.sample_rate, trained.sample_rate, sound.n_channels, nominal)
        report = EncodeReport(str(path), str(target), trained.name, trained.id, *shape)
        with new_file(target, force=force) as file:
            blocks = channel_blocks(sound, progress=progress)
            report.n_samples = encode_blocks(file, blocks, trained, setting, sound.sample_rate, sound.n_channels)
            report.n_bytes = file.tell()
    report.duration_s = report.n_samples / report.sample_rate
    report.kbps = round(8e-3 * report.n_bytes / report.duration_s, 3)
    report.seconds = round(time.monotonic() - started_s, 2)
    report.times_real_time = round(report.duration_s / max(report.seconds, 1e-3), 1)
    report.notes = list(_notes(report))
    return report


def _notes(report: EncodeReport) -> Iterator[str]:
    if report.sample_rate > report.inner_rate:
        yield f"what lies above {report.inner_rate / 2000:g} kHz is not kept: the model works at {report.inner_rate} Hz"
    if report.kbps > 1.5 * report.setting_kbps:
        yield f"{report.kbps:g} kbit/s instead of {report.setting_kbps:g}: a short or a busy sound"


def encode_blocks(
    file: BinaryIO,
    blocks: Iterable[np.ndarray],
    trained: TrainedCodec,
    setting: int,
    sample_rate: int,
    n_channels: int,
) -> int:
    """Write a sound that comes in blocks ``(n_channels, n_samples)`` into an open file; its length in samples.

    Raises
    ------
    AudioError
        Not one sample came.
    """
    from volna.models.codec_use import encoding_context
    from volna.workflows.listening.pieces import pieces_of, resampled

    mel, stride = trained.mel_config, trained.model.config.stride
    patch = stride * mel.hop_length  # samples of a latent
    per_block = max(1, round(BLOCK_S * mel.sample_rate / patch))
    bit_rate = trained.settings[setting].bit_rate
    header = Header(sample_rate, n_channels, None, None, trained.id, trained.name, setting, bit_rate, per_block)
    writer, coder, counted = Writer(file, header), _BlockCoder(trained, setting), _Counted(blocks)
    inner = _something(resampled(counted, sample_rate, mel.sample_rate), n_channels)
    for piece in pieces_of(inner, per_block * patch, encoding_context(trained) * patch):
        for payload in coder.payloads(piece, per_block, patch):
            writer.block(pack_payload(payload))
    if not counted.n_samples:
        raise AudioError("expected at least one sample, got none")
    writer.close(counted.n_samples)
    return counted.n_samples


def _something(blocks: Iterable[np.ndarray], n_channels: int) -> Iterator[np.ndarray]:
    """The blocks, or one sample of silence where a sound is too short to leave one at another rate."""
    n = 0
    for block in blocks:
        n += block.shape[1]
        yield block
    if not n:
        yield np.zeros((n_channels, 1), np.float32)


class _Counted:
    """Blocks passed on as they come, and counted."""

    def __init__(self, blocks: Iterable[np.ndarray]) -> None:
        self.blocks, self.n_samples = blocks, 0

    def __iter__(self) -> Iterator[np.ndarray]:
        for block in self.blocks:
            self.n_samples += block.shape[1]
            yield block


class _BlockCoder:
    """Pieces of sound to payloads."""

    def __init__(self, trained: TrainedCodec, setting: int) -> None:
        self.trained, self.setting, self.tables = trained, setting, tables_of(trained, setting)

    def payloads(self, piece: Piece, per_block: int, patch: int) -> Iterator[Payload]:
        """The blocks of a piece: one, or for the last piece as many as it takes."""
        n_latents = self._n_latents(piece, patch)
        samples = piece.samples[:, : piece.left + piece.length] if piece.last else piece.samples
        if piece.last:  # zeros up to the middle of the last frame that is wanted
            wanted = piece.left + n_latents * patch - self.trained.mel_config.hop_length
            samples = np.pad(samples, ((0, 0), (0, max(0, wanted - samples.shape[1]))))
        symbols = self._symbols(samples, piece.left // patch, n_latents)
        for begin in range(0, n_latents, per_block):
            end = min(begin + per_block, n_latents)
            yield self._payload(
                symbols[:, begin:end], samples[:, piece.left + begin * patch :][:, : (end - begin) * patch]
            )

    def _n_latents(self, piece: Piece, patch: int) -> int:
        hop_length = self.trained.mel_config.hop_length
        if not piece.last:
            return piece.length // patch
        n_frames = math.ceil(piece.length / hop_length) + 1  # the middle of the last one is at or after the end
        return math.ceil(n_frames * hop_length / patch)

    def _symbols(self, samples: np.ndarray, left: int, n_latents: int) -> np.ndarray:
        """int32 ``(n_channels, n_latents, n_dims)``."""
        from volna.models.codec_use import symbols_of

        found: list[np.ndarray] = []
        for number, channel in enumerate(samples):
            if number and np.array_equal(channel, samples[0]):
                found.append(found[0])
            else:
                symbols = symbols_of(self.trained, channel, self.setting)
                found.append(symbols[:, left : left + n_latents].T)
        return np.stack(found)

    def _payload(self, symbols: np.ndarray, samples: np.ndarray) -> Payload:
        from volna.tasks.range_coding import encode_symbols

        kinds: list[int] = []
        for number in range(len(symbols)):
            silent = not np.abs(samples[number]).max(initial=0.0) > SILENCE
            same = number and kinds[0] == CODED and np.array_equal(symbols[number], symbols[0])
            kinds.append(SILENT if silent else SAME if same else CODED)
        coded = [matrix for matrix, kind in zip(symbols, kinds, strict=True) if kind == CODED]
        data = encode_symbols(coded, self.tables) if coded else b""
        return Payload(symbols.shape[1], tuple(kinds), data)


def tables_of(trained: TrainedCodec, setting: int) -> Any:
    """The range coder's tables of a setting, checked.

    Raises
    ------
    ModelError
        They make no sense: the model is damaged.
    """
    from volna.tasks.range_coding import Tables, check_tables

    found = trained.settings[setting]
    tables = Tables(found.frequencies, found.contexts)
    try:
        check_tables(tables, trained.n_levels(setting))
    except InputError as error:
        raise ModelError(f"the codec {trained.name} is damaged: {error}") from error
    return tables
