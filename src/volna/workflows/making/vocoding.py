"""`vocode`: a sound through its mel and back, or a mel made audible.

A sound is analysed to the log-mel that sound is made from (`volna.features.sounding`) and made again from it alone, so
that one hears what the mel keeps. Everything flows in pieces, so that hours need the memory of seconds.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from volna.errors import InputError, ModelError
from volna.features.frames import Floats
from volna.features.sounding import FLOOR, choose_rate, sounding_config, sounding_mel
from volna.features.spectrum import MelConfig
from volna.workflows.common import Progress, silent
from volna.workflows.files import check_free
from volna.workflows.listening.pieces import channel_blocks, pieces_of, resampled

if TYPE_CHECKING:
    from volna.audio.channels import ChannelStream
    from volna.models.vocoder_file import TrainedVocoder

__all__ = ["METHODS", "VocodeReport", "mels_of", "vocode"]

METHODS = ("griffin-lim", "neural")
GRIFFIN_LIM_STEPS = 64
PIECE_FRAMES = 512
OVERLAP_FRAMES = 32  # of Griffin-Lim's pieces
MOST_CHANNELS = 8
AHEAD = 1  # pieces that the network is ahead of the refinement


@dataclass
class VocodeReport:
    """What was made: ``times_real_time`` counts everything, decoding and writing too."""

    input: str
    output: str
    method: str
    n_iterations: int = 0
    model: str | None = None
    sample_rate: int = 0
    n_mels: int = 0
    n_channels: int = 0
    duration_s: float = 0.0
    peak: float = 0.0
    seconds: float = 0.0
    times_real_time: float = 0.0
    notes: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


class _Mels(NamedTuple):
    """Log-mels ``(n_channels, n_mels, k)`` one after another; ``n_samples`` is filled when all of them are read."""

    blocks: Iterator[Floats]
    n_samples: list[int]


def vocode(
    source: str | Path,
    output: str | Path,
    *,
    method: str | None = None,
    model: str | Path | None = None,
    n_iterations: int | None = None,
    sample_rate: int | None = None,
    seed: int = 0,
    force: bool = False,
    progress: Progress | None = None,
) -> VocodeReport:
    """Make a sound again from its log-mel, each channel by itself, or make a log-mel audible.

    Parameters
    ----------
    source : str or Path
        A sound in any format; or a ``.npy`` file with a log-mel ``(n_mels, n_frames)``, natural logarithm of the
        amplitude as `volna.features.sounding.sounding_mel` makes it.
    output : str or Path
        The sound; its ending names the format.
    method : {"griffin-lim", "neural"}, optional
        "neural" where a model is given, else "griffin-lim".
    model : str or Path, optional
        A file of `volna vocode train`.
    n_iterations : int, optional
        Griffin-Lim's, 64 by default; of the refinement after the network, by default 32 at 8 kHz, 16 at 16 kHz and 8 at
        44.1 kHz.
    sample_rate : int, optional
        Hz of the mel and of what is made, one of 8000, 16000, 22050, 24000, 44100 and 48000. By default that of the
        model, or the one nearest to the sound's own; a ``.npy`` without a model needs it.
    seed : int
        Of Griffin-Lim's first phases.
    force : bool
        Replace an output that exists.
    progress : callable, optional
        ``progress(stage, done, total, note)``.

    Returns
    -------
    VocodeReport

    Raises
    ------
    InputError
        A setting that makes no sense, a mel of another shape, or the output exists.
    AudioError
        The sound cannot be read, or the output not be written.
    ModelError
        The model cannot be read, or is none of a vocoder.

    Examples
    --------
    >>> vocode("song.mp3", "again.wav").times_real_time  # doctest: +SKIP
    31.5
    """
    started_s = time.monotonic()
    target, place = Path(output).expanduser(), Path(source).expanduser()
    method = _method(method, model)
    if n_iterations is not None and n_iterations < 0:
        raise InputError(f"expected 0 iterations or more, got {n_iterations}")
    _check_name(target)
    check_free(target, force=force)
    trained = _trained(model) if method == "neural" else None
    report = VocodeReport(str(source), str(output), method, model=str(model) if trained else None)
    if place.suffix.lower() == ".npy":
        config = _config_of_mel(trained, sample_rate)
        mels = _stored_mels(place, config, progress or silent)
        _write(target, mels, config, trained, report, n_iterations, seed)
    else:
        from volna.audio.channels import open_channels

        with open_channels(place) as stream:
            config = _config_of_sound(trained, sample_rate, stream)
            n_samples: list[int] = []
            sound = resampled(channel_blocks(stream, progress=progress), stream.sample_rate, config.sample_rate)
            mels = _Mels(mels_of(_first_channels(sound), config, n_samples), n_samples)
            _write(target, mels, config, trained, report, n_iterations, seed)
    report.seconds = round(time.monotonic() - started_s, 2)
    report.times_real_time = round(report.duration_s / max(report.seconds, 0.01), 1)
    return report


def mels_of(blocks: Iterable[Floats], config: MelConfig, n_samples: list[int]) -> Iterator[Floats]:
    """The log-mel of sound that comes in blocks, frame for frame that of the whole.

    Parameters
    ----------
    blocks
        float32 ``(n_channels, n)``, one after another.
    n_samples
        Gets the number of samples when all are read.

    Yields
    ------
    ndarray
        float32 ``(n_channels, n_mels, k)``, together ``1 + n_samples // hop_length`` frames.
    """
    half, hop_length = config.n_fft // 2, config.hop_length
    for piece in pieces_of(blocks, PIECE_FRAMES * hop_length, half):
        n_frames = piece.length // hop_length + piece.last
        before = half - piece.left  # zeros before the start of the sound
        wanted = (n_frames - 1) * hop_length + config.n_fft
        whole = np.pad(piece.samples, ((0, 0), (before, max(0, wanted - before - piece.samples.shape[1]))))
        yield np.stack([_uncentred_mel(channel[:wanted], config) for channel in whole])
        if piece.last:
            n_samples.append(piece.begin + piece.length)


def _uncentred_mel(samples: Floats, config: MelConfig) -> Floats:
    """`sounding_mel` of frames that begin at the first sample: its own padding is cut off again."""
    mel = sounding_mel(samples, config)
    at = config.n_fft // 2 // config.hop_length
    return mel[:, at : mel.shape[1] - at]


def _method(method: str | None, model: str | Path | None) -> str:
    chosen = method or ("neural" if model is not None else "griffin-lim")
    if chosen not in METHODS:
        raise InputError(f"expected one of {', '.join(METHODS)}, got {chosen!r}")
    if chosen == "neural" and model is None:
        raise InputError("a neural vocoder needs --model FILE; volna vocode train makes one from a folder of sounds")
    if chosen == "griffin-lim" and model is not None:
        raise InputError("with griffin-lim no model is used: leave out one of the two")
    return chosen


def _check_name(target: Path) -> None:
    """Refuse an ending that no encoder has, before the work begins."""
    from volna.audio.encode import written_rate

    written_rate(target, 44_100)


def _trained(model: str | Path | None) -> TrainedVocoder:
    from volna.models import vocoder_file

    return vocoder_file.load(Path(str(model)).expanduser())


def _config_of_sound(trained: TrainedVocoder | None, sample_rate: int | None, stream: ChannelStream) -> MelConfig:
    if trained is None:
        return sounding_config(sample_rate or choose_rate([stream.sample_rate]))
    return _config_of_model(trained, sample_rate)


def _config_of_model(trained: TrainedVocoder, sample_rate: int | None) -> MelConfig:
    if sample_rate not in (None, trained.sample_rate):
        raise ModelError(f"the vocoder makes {trained.sample_rate} Hz, so --sample-rate {sample_rate} cannot be had")
    return trained.mel_config


def _config_of_mel(trained: TrainedVocoder | None, sample_rate: int | None) -> MelConfig:
    if trained is not None:
        return _config_of_model(trained, sample_rate)
    if sample_rate is None:
        raise InputError("a mel does not say the rate of its sound: give --sample-rate")
    return sounding_config(sample_rate)


def _stored_mels(place: Path, config: MelConfig, progress: Progress) -> _Mels:
    """The frames of a ``.npy`` file, read by and by."""
    from volna.features.inversion import checked_mel

    try:
        mel = np.load(place, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{place}: expected a log-mel as numpy.save writes it: {error}") from error
    if mel.ndim != 2 or len(mel) != config.n_mels or not mel.shape[1] or mel.dtype.kind not in "fiu":
        raise InputError(
            f"{place}: expected a log-mel of ({config.n_mels}, n_frames) at {config.sample_rate} Hz, "
            f"got {mel.shape} of {mel.dtype}"
        )

    def blocks() -> Iterator[Floats]:
        for first in range(0, mel.shape[1], PIECE_FRAMES):
            progress("Reading", min(first + PIECE_FRAMES, mel.shape[1]), mel.shape[1], "frames")
            try:
                yield checked_mel(mel[:, first : first + PIECE_FRAMES], config)[None]
            except InputError as error:
                raise InputError(f"{place}: {error}") from error

    return _Mels(blocks(), [max(1, mel.shape[1] - 1) * config.hop_length])


def _first_channels(blocks: Iterable[Floats]) -> Iterator[Floats]:
    """No format here holds more than eight; the rest is left out."""
    return (block[:MOST_CHANNELS] for block in blocks)


def _write(
    target: Path,
    mels: _Mels,
    config: MelConfig,
    trained: TrainedVocoder | None,
    report: VocodeReport,
    n_iterations: int | None,
    seed: int,
) -> None:
    """Make the sound and write it; what came goes into the report."""
    from volna.audio.encode import encode_blocks, written_rate
    from volna.features.refinement import refining_steps

    usual = GRIFFIN_LIM_STEPS if trained is None else refining_steps(config)
    report.n_iterations = usual if n_iterations is None else n_iterations
    loudest = [FLOOR]

    def watched() -> Iterator[Floats]:
        for block in mels.blocks:
            loudest[0] = max(loudest[0], float(block.max()))
            yield block

    if trained is None:
        sound = _griffin_lim(watched(), config, report.n_iterations, seed)
    else:
        sound = _neural(watched(), trained, report.n_iterations)
    rate = written_rate(target, config.sample_rate)
    counted = _counted(_cut(sound, mels.n_samples), report)
    encode_blocks(target, resampled(counted, config.sample_rate, rate), rate)
    report.sample_rate, report.n_mels = config.sample_rate, config.n_mels
    report.duration_s = round(mels.n_samples[0] / config.sample_rate, 3)
    if loudest[0] < FLOOR + 1e-3:
        report.notes.append("the sound is silent from start to end")
    if report.peak > 1.0:
        report.notes.append(f"its peaks of {report.peak:.2f} are beyond full scale: formats of whole numbers cut them")


def _griffin_lim(mels: Iterable[Floats], config: MelConfig, n_iterations: int, seed: int) -> Iterator[Floats]:
    """Every channel by itself, two at a time."""
    from volna.features.inversion_pieces import Weaver

    weavers: list[Weaver] = []
    with ThreadPoolExecutor(2) as pool:
        for piece in pieces_of(mels, PIECE_FRAMES, OVERLAP_FRAMES // 2):
            weavers = weavers or [
                Weaver(config, overlap=OVERLAP_FRAMES, n_iterations=n_iterations, seed=seed) for _ in piece.samples
            ]
            yield np.stack(list(pool.map(Weaver.add, weavers, piece.samples)))
    yield np.stack([weaver.rest() for weaver in weavers])


def _neural(mels: Iterable[Floats], trained: TrainedVocoder, n_iterations: int) -> Iterator[Floats]:
    """The network goes ahead, the refinement of earlier pieces follows in a thread of its own."""
    from volna.features.refinement import reach, refined_piece

    config = trained.mel_config

    def refined(channel: Any, left: int, length: int) -> Floats:
        spectrum, mel = channel[: -config.n_mels], channel[-config.n_mels :].real
        return refined_piece(spectrum, mel, config, left, length, n_iterations=n_iterations)

    with ThreadPoolExecutor(2) as pool:
        waiting: deque[list[Future[Floats]]] = deque()
        spectra: Any = _spectra(mels, trained)
        for piece in pieces_of(spectra, PIECE_FRAMES, reach(config, n_iterations)):
            waiting.append([pool.submit(refined, channel, piece.left, piece.length) for channel in piece.samples])
            if len(waiting) > AHEAD:
                yield np.stack([future.result() for future in waiting.popleft()])
        for futures in waiting:
            yield np.stack([future.result() for future in futures])


def _spectra(mels: Iterable[Floats], trained: TrainedVocoder) -> Iterator[NDArray[np.complex64]]:
    """Spectrum and log-mel of each piece, one below the other: complex64 ``(n_channels, n_bins + n_mels, k)``."""
    from volna.models.vocoder_use import spectrum_of_piece

    before: list[NDArray[np.complex64] | None] = []
    for piece in pieces_of(mels, PIECE_FRAMES, trained.model.config.context):
        before = before or [None] * len(piece.samples)
        spectra = [
            spectrum_of_piece(trained, channel, piece.left, piece.length, last)
            for channel, last in zip(piece.samples, before, strict=True)
        ]
        before = [spectrum[:, -1] for spectrum in spectra]
        own = piece.samples[..., piece.left : piece.left + piece.length]
        yield np.concatenate([np.stack(spectra), own.astype(np.complex64)], axis=1)


def _cut(sound: Iterable[Floats], n_samples: list[int]) -> Iterator[Floats]:
    """Without what lies beyond the end, which is known when the last block comes."""
    n_given = 0
    for block in sound:
        kept = block[:, : max(0, n_samples[0] - n_given)] if n_samples else block
        n_given += kept.shape[1]
        if kept.shape[1]:
            yield kept


def _counted(sound: Iterable[Floats], report: VocodeReport) -> Iterator[Floats]:
    from volna.audio.signal import peak

    for block in sound:
        report.n_channels = len(block)
        report.peak = max(report.peak, round(peak(block), 4))
        yield block
