"""The frames of a file that a spectrum is made of: the mean of all, with the loudest by itself, or one at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from volna.errors import AudioError
from volna.features.blocks import whole_frames
from volna.features.frames import Floats
from volna.features.sinusoids import PAD, amplitude_spectrum
from volna.workflows.common import Progress
from volna.workflows.listening.mono import mono_sound

__all__ = ["SHORTEST", "Heard", "mean_of_frames", "one_frame"]

SHORTEST = 64  # samples of a frame; a shorter sound is filled with zeros


@dataclass(frozen=True)
class Heard:
    """Mean power ``(1 + n_fft,)`` of some frames, and the samples of the one looked at closely ``(n_fft,)``."""

    power: np.ndarray
    frame: Floats
    n_frames: int
    duration_s: float


def mean_of_frames(
    path: Path, n_fft: int, window: str, start_s: float, duration_s: float | None, progress: Progress | None
) -> Heard:
    """Mean power over the frames of a file, and its loudest frame."""
    with mono_sound(path, start_s=start_s, duration_s=duration_s, progress=progress) as sound:
        blocks = _at_least(sound.blocks, n_fft)
        first = next(blocks)
        n_fft = min(n_fft, len(first))
        total, n_frames, loudest, frame = np.zeros(1 + PAD * n_fft // 2), 0, -1.0, first[:n_fft]
        for frames in whole_frames(_chained(first, blocks), n_fft, max(1, n_fft // 2)):
            total += _power(frames, window).sum(axis=0)
            n_frames += len(frames)
            energies = np.einsum("tn,tn->t", frames, frames)
            if energies.max() > loudest:
                loudest, frame = float(energies.max()), frames[int(energies.argmax())].copy()
        return Heard(total / n_frames, frame, n_frames, sound.read_s)


def _chained(first: Floats, blocks: Iterator[Floats]) -> Iterator[Floats]:
    yield first
    yield from blocks


def _at_least(blocks: Iterator[Floats], n: int) -> Iterator[Floats]:
    """The blocks, the first one of ``n`` samples or more; of less, all there are, filled to an even number."""
    held: list[Floats] = []
    for block in blocks:
        held.append(block)
        if sum(map(len, held)) >= n:
            yield np.concatenate(held)
            held = []
            n = 0
    if n:
        whole = np.concatenate(held)
        missing = max(SHORTEST, len(whole) + len(whole) % 2) - len(whole)
        yield np.pad(whole, (missing // 2, missing - missing // 2))


def one_frame(path: Path, n_fft: int, window: str, at_s: float, sample_rate: int) -> Heard:
    """The frame around a time, filled with zeros where it reaches beyond the sound."""
    centre = round(at_s * sample_rate)
    begin = max(0, centre - n_fft // 2)
    with mono_sound(path, start_s=begin / sample_rate, duration_s=n_fft / sample_rate) as sound:
        samples = np.concatenate(list(sound.blocks))[: n_fft - max(0, n_fft // 2 - centre)]
    if begin + len(samples) <= centre:
        raise AudioError(
            f"{path}: expected a time inside the file, got {at_s:g} s of {(begin + len(samples)) / sample_rate:g} s"
        )
    before = max(0, n_fft // 2 - centre)
    frame = np.pad(samples, (before, n_fft - before - len(samples)))
    return Heard(_power(frame[None], window)[0], frame, 1, len(samples) / sample_rate)


def _power(frames: Floats, window: str) -> np.ndarray:
    """Squared amplitudes of frames without their mean: float64 ``(n_frames, 1 + n_fft)``."""
    spectra = amplitude_spectrum(frames - frames.mean(axis=1, keepdims=True), window)
    return spectra.real.astype(np.float64) ** 2 + spectra.imag.astype(np.float64) ** 2
