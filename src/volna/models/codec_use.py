"""A codec at work: numpy in, numpy out, in pieces, so that hours need the memory of seconds.

Symbols are int32 ``(n_dims, n_latents)`` here, mels float32 ``(n_mels, n_frames)``, samples float32 ``(n_samples,)``.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from volna.features.frames import Floats
from volna.features.inversion import LOUDEST_LOG_MEL
from volna.features.refinement import reach, refined_piece
from volna.features.sounding import FLOOR, sounding_mel
from volna.models.codec_file import TrainedCodec
from volna.models.vocoder_file import TrainedVocoder
from volna.models.vocoder_use import spectrum_of_piece

__all__ = [
    "SpectrumMaker",
    "decoding_context",
    "encoding_context",
    "mel_of",
    "refining_context",
    "silence",
    "sound_of_frames",
    "symbols_of",
]

Symbols = NDArray[np.int32]
Spectrum = NDArray[np.complex64]


def encoding_context(trained: TrainedCodec) -> int:
    """Latents before and after that the symbols of a piece of sound depend on."""
    mel, stride = trained.mel_config, trained.model.config.stride
    return trained.model.config.context + -(-mel.n_fft // (2 * mel.hop_length * stride))


def decoding_context(trained: TrainedCodec) -> int:
    """Latents before and after that the frames of a piece depend on."""
    config = trained.model.config
    return config.context + -(-config.vocoder_config.context // config.stride)


@torch.inference_mode()
def symbols_of(trained: TrainedCodec, samples: Floats, setting: int) -> Symbols:
    """The symbols of a sound at the codec's rate: whole patches of its frames, the last frame repeated."""
    mel = sounding_mel(samples, trained.mel_config)
    step = trained.settings[setting].step
    symbols: Symbols = trained.model.symbols_of(torch.from_numpy(np.ascontiguousarray(mel))[None], step)[0].numpy()
    return symbols


def silence(trained: TrainedCodec, setting: int) -> Symbols:
    """The symbols of a latent of nothing but zeros, ``(n_dims, 1)``."""
    n_frames = trained.model.config.stride * (2 * trained.model.config.context + 1)
    mel = torch.full((1, trained.mel_config.n_mels, n_frames), FLOOR)
    with torch.inference_mode():
        symbols: Symbols = trained.model.symbols_of(mel, trained.settings[setting].step)[0].numpy()
    return symbols[:, [trained.model.config.context]]


@torch.inference_mode()
def mel_of(trained: TrainedCodec, symbols: Symbols, setting: int) -> Floats:
    """The log-mel behind symbols, ``stride`` frames for each."""
    given = torch.from_numpy(np.ascontiguousarray(symbols, dtype=np.int32))[None]
    mel: Floats = trained.model.mel_of(given, trained.settings[setting].step)[0].numpy()
    return np.clip(mel, np.float32(FLOOR), np.float32(LOUDEST_LOG_MEL))


class SpectrumMaker:
    """The first stage of decoding one channel: symbols to frames, piece after piece; phases are carried on.

    A frame is a column of ``1 + n_fft // 2`` real and as many imaginary parts and ``n_mels`` of the log-mel, float32.
    """

    def __init__(self, trained: TrainedCodec, setting: int) -> None:
        self.trained, self.setting = trained, setting
        self._before: Spectrum | None = None

    def piece(self, symbols: Symbols, left: int, length: int) -> Floats:
        """The frames of ``length`` latents from ``left`` on: float32 ``(n_rows, stride * length)``.

        Parameters
        ----------
        symbols
            int32 ``(n_dims, left + length + right)``, `decoding_context` on either side where there are as many.
        """
        stride = self.trained.model.config.stride
        mel = mel_of(self.trained, symbols, self.setting)
        vocoder = TrainedVocoder(self.trained.model.vocoder)
        spectrum = spectrum_of_piece(vocoder, mel, stride * left, stride * length, self._before)
        self._before = spectrum[:, -1]
        inside = mel[:, stride * left : stride * (left + length)]
        return np.concatenate([spectrum.real, spectrum.imag, inside]).astype(np.float32, copy=False)


def refining_context(trained: TrainedCodec) -> int:
    """Frames on either side that `sound_of_frames` needs."""
    return reach(trained.mel_config)


def sound_of_frames(trained: TrainedCodec, frames: Floats, left: int, length: int) -> Floats:
    """The second stage: samples of the ``length`` frames from ``left`` on, ``(length * hop_length,)``.

    Parameters
    ----------
    frames
        Of `SpectrumMaker`, float32 ``(n_rows, left + length + right)``.
    """
    n_bins = 1 + trained.mel_config.n_fft // 2
    spectrum = (frames[:n_bins] + 1j * frames[n_bins : 2 * n_bins]).astype(np.complex64)
    return refined_piece(spectrum, frames[2 * n_bins :], trained.mel_config, left, length)
