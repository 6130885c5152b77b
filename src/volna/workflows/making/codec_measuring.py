"""What `volna codec evaluate` does with one file, in a child: every codec at every rate, its bytes and its distance.

All codecs get the same sound: the mix of the file's channels at the rate of Volna's codec, at most `MEASURED_S` from
its middle. What comes back is brought to that rate again and compared; that of MP3 and Opus first moved to where it
agrees best, as they may delay.
"""

from __future__ import annotations

import importlib
import io
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from volna.errors import VolnaError
from volna.features.sound_distance import mel_distance, multi_resolution_stft, si_sdr_db
from volna.workflows.making.compressing import choose_setting, encode_blocks, read_codec

if TYPE_CHECKING:
    from volna.models.codec_file import TrainedCodec

__all__ = ["GRIFFIN_LIM", "MEASURED_S", "MP3", "OPUS", "VOLNA", "measure_file", "use_codec"]

MEASURED_S = 30.0
MOST_DELAY_S = 0.1
VOLNA, GRIFFIN_LIM, OPUS, MP3 = "volna", "mel + griffin-lim", "opus", "mp3"

Samples = np.ndarray
_loaded: dict[str, Any] = {}  # the codec of this child


class Coded(NamedTuple):
    """What a codec made of a sound."""

    n_bytes: int
    samples: Samples
    encode_s: float
    decode_s: float


def use_codec(model: str | None) -> None:
    """Load the codec once in a child."""
    _loaded["codec"] = read_codec(model)


def measure_file(path: str, rates: Mapping[str, tuple[float, ...]], scorer: str = "") -> list[dict[str, Any]]:
    """Rows of one file: ``codec``, ``rate_kbps`` asked for, ``n_bytes``, ``duration_s``, seconds, and the scores.

    Parameters
    ----------
    rates
        For each codec, kilobits a second.
    scorer
        ``"module:function"`` of further scores, called with ``(made, real, sample_rate)``, which returns a dict.
    """
    trained = _loaded["codec"]
    real = _sound(path, trained.sample_rate)
    more = _function(scorer) if scorer else lambda *_: {}
    rows = []
    for codec, kbps in _each(rates):
        coded = _CODECS[codec](trained, real, kbps)
        made = _as_long(coded.samples, real)
        row = {
            "codec": codec,
            "rate_kbps": kbps,
            "n_bytes": coded.n_bytes,
            "duration_s": len(real) / trained.sample_rate,
        }
        row |= {"encode_s": coded.encode_s, "decode_s": coded.decode_s}
        row |= {"si_sdr_db": si_sdr_db(made, real), "stft": multi_resolution_stft(made, real)}
        row |= {"mel_db": mel_distance(made, real, trained.sample_rate)} | more(made, real, trained.sample_rate)
        rows.append(row)
    return rows


def _each(rates: Mapping[str, tuple[float, ...]]) -> Iterator[tuple[str, float]]:
    for codec, several in rates.items():
        for kbps in several:
            yield codec, kbps


def _function(name: str) -> Callable[..., dict[str, float]]:
    module, function = name.split(":")
    found: Callable[..., dict[str, float]] = getattr(importlib.import_module(module), function)
    return found


def _sound(path: str, sample_rate: int) -> Samples:
    """The middle of a file, mixed to one channel."""
    from volna.audio.decode import open_audio

    with open_audio(path) as file:
        length_s = min(MEASURED_S, file.duration_s)
        start_s = (file.duration_s - length_s) / 2 if file.duration_s > MEASURED_S else 0.0
        samples = file.decode(file.read([(start_s, length_s)]), sample_rate)[0]
    return np.clip(samples, -1.0, 1.0)


def _by_volna(trained: TrainedCodec, real: Samples, kbps: float) -> Coded:
    from volna.audio.volna_file import read_header
    from volna.workflows.making.decompressing import DecodeReport, decoded_blocks

    started = time.perf_counter()
    file = io.BytesIO()
    encode_blocks(file, [real[None]], trained, choose_setting(trained, kbps), trained.sample_rate, 1)
    between = time.perf_counter()
    n_bytes = file.tell()
    file.seek(0)
    header = read_header(file)
    report = DecodeReport("", "", trained.name, trained.id, trained.sample_rate, 1, kbps)
    made = np.concatenate(list(decoded_blocks(file, header, trained, report)), axis=1)[0]
    return Coded(n_bytes, made, between - started, time.perf_counter() - between)


def _by_griffin_lim(trained: TrainedCodec, real: Samples, kbps: float) -> Coded:
    """The same quantised log-mel, the same bytes, without the networks behind it."""
    from volna.features.inversion import samples_from_mel
    from volna.models.codec_use import mel_of, symbols_of

    setting = choose_setting(trained, kbps)
    file = io.BytesIO()
    started = time.perf_counter()
    encode_blocks(file, [real[None]], trained, setting, trained.sample_rate, 1)
    between = time.perf_counter()
    config = trained.mel_config
    padded = np.pad(real, (0, config.hop_length * trained.model.config.stride))
    mel = mel_of(trained, symbols_of(trained, padded, setting), setting)
    made = samples_from_mel(mel, config)
    return Coded(file.tell(), made, between - started, time.perf_counter() - between)


def _by_libav(ending: str, options: Mapping[str, str]) -> Callable[[TrainedCodec, Samples, float], Coded]:
    def coded(trained: TrainedCodec, real: Samples, kbps: float) -> Coded:
        from volna.audio.channels import read_channels
        from volna.audio.encode import encode
        from volna.audio.signal import resample, to_mono

        with tempfile.TemporaryDirectory(prefix="volna-") as folder:
            path = Path(folder) / f"sound{ending}"
            started = time.perf_counter()
            encode(path, real, trained.sample_rate, bit_rate=round(1000 * kbps), options=options)
            between = time.perf_counter()
            sound = read_channels(path)
            made = resample(to_mono(sound.samples), sound.sample_rate, trained.sample_rate)
            decode_s = time.perf_counter() - between
            aligned = _aligned(made, real, trained.sample_rate)
            return Coded(path.stat().st_size, aligned, between - started, decode_s)

    return coded


_CODECS: dict[str, Callable[[Any, Samples, float], Coded]] = {
    VOLNA: _by_volna,
    GRIFFIN_LIM: _by_griffin_lim,
    OPUS: _by_libav(".opus", {"frame_duration": "60"}),  # the longest frames: fewest bytes of overhead
    MP3: _by_libav(".mp3", {}),
}


def _aligned(made: Samples, real: Samples, sample_rate: int) -> Samples:
    """``made`` moved by up to `MOST_DELAY_S` to where it agrees best, of codecs that keep the waveform."""
    most = round(MOST_DELAY_S * sample_rate)
    n_fft = 1 << int(np.ceil(np.log2(len(real) + len(made))))
    agreement = np.fft.irfft(np.fft.rfft(made, n_fft) * np.conj(np.fft.rfft(real, n_fft)), n_fft)
    lags = np.concatenate([np.arange(most + 1), np.arange(-most, 0)])
    lag = int(lags[np.argmax(agreement[lags])])
    return made[lag:] if lag >= 0 else np.pad(made, (-lag, 0))


def _as_long(made: Samples, real: Samples) -> Samples:
    if not len(made):
        raise VolnaError("a codec gave nothing back")
    return np.asarray(np.pad(made[: len(real)], (0, max(0, len(real) - len(made)))), np.float32)
