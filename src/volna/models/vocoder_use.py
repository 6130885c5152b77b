"""A vocoder at work: numpy in, numpy out, in pieces, so that hours need the memory of seconds.

Two stages, each with its own surroundings: the network and the phases (`spectrum_of_piece`, which hears
``config.context`` frames on either side), then the refinement of the sound (`refined_piece`, which needs
`volna.features.refinement.reach` frames of spectrum on either side). A frame's phases follow from those of the frame
before, so the first stage goes strictly forward; the second does not care.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from volna.features.frames import Floats
from volna.features.inversion import checked_mel
from volna.features.phase import phase_from_steps
from volna.features.refinement import reach, refined_piece
from volna.models.precision import short_numbers
from volna.models.vocoder import Heard
from volna.models.vocoder_file import TrainedVocoder

__all__ = ["PIECE_FRAMES", "spectrum_of_heard", "spectrum_of_piece", "vocoded"]

Spectrum = NDArray[np.complex64]

PIECE_FRAMES = 512
MOST_LOG_MAGNITUDE = 12.0


def vocoded(
    trained: TrainedVocoder, log_mel: ArrayLike, *, n_samples: int | None = None, n_iterations: int | None = None
) -> Floats:
    """The sound of a log-mel.

    Parameters
    ----------
    trained : TrainedVocoder
    log_mel : array_like
        ``(n_mels, n_frames)``, see `volna.features.sounding.sounding_mel`.
    n_samples : int, optional
        ``(n_frames - 1) * hop_length`` by default.
    n_iterations : int, optional
        Steps of `volna.features.refinement.refined_sound`, by default as many as there.

    Returns
    -------
    ndarray
        float32 ``(n_samples,)`` at ``trained.sample_rate``.

    Raises
    ------
    InputError
        Another number of bands, or values that are not finite.
    """
    config = trained.mel_config
    mel = checked_mel(log_mel, config)
    n_frames, context, margin = mel.shape[1], trained.model.config.context, reach(config, n_iterations)
    total = (n_frames - 1) * config.hop_length if n_samples is None else n_samples
    firsts = range(0, n_frames, PIECE_FRAMES)
    parts: list[Spectrum] = []
    for a in firsts:
        left, length = min(a, context), min(PIECE_FRAMES, n_frames - a)
        before = parts[-1][:, -1] if parts else None
        parts.append(spectrum_of_piece(trained, mel[:, a - left : a + length + context], left, length, before))
    spectrum, sounds = np.concatenate(parts, axis=1), []
    for a in firsts:
        left, b = min(a, margin), a + PIECE_FRAMES
        n = (b if b < n_frames else -(-total // config.hop_length)) - a
        inside = slice(a - left, b + margin)
        sound = refined_piece(spectrum[:, inside], mel[:, inside], config, left, n, n_iterations=n_iterations)
        sounds.append(sound)
    return np.concatenate(sounds)[:total]


def spectrum_of_piece(
    trained: TrainedVocoder, log_mel: Floats, left: int, length: int, before: Spectrum | None = None
) -> Spectrum:
    """The spectrum of the ``length`` frames from ``left`` on, as the network and the phases before have it.

    Parameters
    ----------
    log_mel : ndarray
        float32 ``(n_mels, left + length + right)``, ``trained.model.config.context`` frames on either side where there
        are as many.
    before : ndarray, optional
        The last column of the piece before, complex64 ``(n_bins,)``.

    Returns
    -------
    ndarray
        complex64 ``(n_bins, length)``.
    """
    short = torch.autocast("cpu", torch.bfloat16, enabled=short_numbers())
    with torch.inference_mode(), short:
        heard = trained.model.heard(torch.from_numpy(np.ascontiguousarray(log_mel, dtype=np.float32))[None])
    return spectrum_of_heard(heard, left, left + length, trained.mel_config.hop_length, before)


def spectrum_of_heard(heard: Heard, first: int, last: int, hop_length: int, before: Spectrum | None = None) -> Spectrum:
    """Frames ``first`` to ``last`` of the first of a batch, complex64 ``(n_bins, n_frames)``; ``before`` is the one
    before them."""
    magnitude = heard.log_magnitude[0, :, first:last].clamp(max=MOST_LOG_MAGNITUDE).exp().numpy()
    time_step, bin_step = (_complex(step[0, :, :, first:last]) for step in (heard.time_step, heard.bin_step))
    loud = None if before is None else np.abs(before)
    phases = phase_from_steps(magnitude, time_step, bin_step, hop_length, before=before, before_magnitude=loud)
    spectrum: Spectrum = magnitude * phases
    return spectrum


def _complex(parts: Tensor) -> Spectrum:
    values: Spectrum = torch.complex(parts[0], parts[1]).numpy()
    return values
