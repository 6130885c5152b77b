"""A trained denoiser as one small file, and its use on sound that comes in blocks.

The file is that of `volna.models.weights_file`: weights, sizes and what the training used; nothing that runs code.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch

from volna.features.denoise_frames import BIN_HZ, Spectra
from volna.features.denoise_need import Need
from volna.features.frames import Floats
from volna.features.wiener import Wiener, gains_of
from volna.models.denoiser import Denoiser, DenoiserConfig
from volna.models.weights_file import bytes_of, fill, read_weights, unpacking, write_weights

__all__ = ["FORMAT", "TrainedDenoiser", "from_bytes", "load", "to_bytes", "without_noise"]

FORMAT, FORMAT_VERSION = "volna-denoiser", 1
# Frames: what the network hears at once (10 s and a second on either side), and how one such stretch fades into the
# next.
# Powers of the two gains; of .5/.5 to 1/.5 these did best on development sentences, the others within .03 of PESQ.
OWN_SHARE, CLASSICAL_SHARE = 0.8, 0.4
AT_ONCE, CONTEXT, FADE = 640, 64, 16


@dataclass
class TrainedDenoiser:
    """A denoiser and what is known of it.

    Attributes
    ----------
    model
        In evaluation mode, on the CPU.
    summary
        What the training used and reached: plain JSON values.
    id
        The first 16 hexadecimal digits of the SHA-256 of its file; empty until it was written or read.
    """

    model: Denoiser
    summary: dict[str, Any] = field(default_factory=dict)
    id: str = ""

    @property
    def top_hz(self) -> float:
        """The highest frequency that it hears."""
        return (self.model.config.n_bins - 1) * BIN_HZ


def to_bytes(trained: TrainedDenoiser) -> bytes:
    """The denoiser as the bytes of a file; sets its id."""
    header = {"config": asdict(trained.model.config), "summary": trained.summary}
    data = write_weights(FORMAT, FORMAT_VERSION, header, trained.model)
    trained.id = hashlib.sha256(data).hexdigest()[:16]
    return data


def from_bytes(data: bytes, *, source: str = "the denoiser") -> TrainedDenoiser:
    """Rebuild a denoiser from what `to_bytes` returned.

    Raises
    ------
    ModelError
        Another kind of file, damaged, or written by a newer Volna.
    """
    header, tensors = read_weights(data, FORMAT, FORMAT_VERSION, what="a denoiser", source=source)
    with unpacking(source, "volna denoise train"):
        settings = dict(header["config"])
        settings["channels"] = tuple(settings["channels"])
        with torch.device("meta"):  # sizes only: a file cannot ask for more memory than its own weights
            model = Denoiser(DenoiserConfig(**settings))
        fill(model, tensors)
        summary = dict(header["summary"])
    return TrainedDenoiser(model, summary, hashlib.sha256(data).hexdigest()[:16])


def load(path: str | os.PathLike[str]) -> TrainedDenoiser:
    """Read the file of a denoiser.

    Raises
    ------
    ModelError
        As `from_bytes`, or the file cannot be read.
    """
    return from_bytes(bytes_of(path, "the denoiser"), source=os.fspath(path))


def without_noise(trained: TrainedDenoiser, spectra: Iterator[Spectra], strength: float = 1.0) -> Iterator[Spectra]:
    """Spectra with their noise turned down, for `volna.features.denoise_frames.through_spectra`.

    Every channel has gains of its own. Above what the model hears the Wiener gain stands.

    Parameters
    ----------
    spectra : iterator
        complex64 ``(n_channels, n_frames, n_bins)`` each, one after another.
    strength : float
        From 0, nothing happens, to 1.
    """
    n_heard = trained.model.config.n_bins
    state, classical, need = Wiener("wiener"), Wiener(), Need()
    held: _Frames | None = None
    before, tail = 0, np.zeros((0, 1, n_heard), np.float32)  # held frames that were given; gains that fade
    for last, spectrum in _with_end(spectra):
        if spectrum is not None:
            power = (spectrum.real**2 + spectrum.imag**2).transpose(1, 0, 2)  # (n_frames, n_channels, n_bins)
            low, whole = _fitted(power, n_heard), gains_of(power, classical)
            gains = gains_of(low, state), _fitted(whole, n_heard), whole[:, :, n_heard:]
            new = _Frames(spectrum, low, *gains, np.float32(strength) * need.of(power))
            held = new if held is None else held.then(new)
        while held is not None and (held.n - before >= AT_ONCE + CONTEXT or (last and held.n > before)):
            ending = last and held.n - before <= AT_ONCE + CONTEXT
            own = held.n - before if ending else AT_ONCE
            gained = _gains(trained.model, held.cut(0, before + own + (0 if ending else CONTEXT)))[before:]
            n_fade = min(len(tail), len(gained))
            turn = (np.arange(n_fade)[:, None, None] + 1) / (n_fade + 1)
            gained[:n_fade] = turn * gained[:n_fade] + (1 - turn) * tail[:n_fade]
            tail = gained[own : own + FADE].copy()
            yield held.cut(before, before + own).with_gains(gained[:own])
            dropped = max(0, before + own - CONTEXT)
            held, before = held.cut(dropped, held.n), before + own - dropped


@dataclass(frozen=True)
class _Frames:
    """Frames on their way: ``spectrum`` ``(n_channels, n_frames, n_bins)``, all else ``(n_frames, n_channels, ...)``.

    ``low`` is the power that the network hears, ``wiener`` the gains that it is told; ``classical`` are the gains of
    the log-amplitude rule for the same bins, ``above`` those for all higher ones.
    """

    spectrum: Spectra
    low: Floats
    wiener: Floats
    classical: Floats
    above: Floats
    strength: Floats

    @property
    def n(self) -> int:
        return len(self.low)

    @property
    def parts(self) -> tuple[Floats, ...]:
        return self.low, self.wiener, self.classical, self.above, self.strength

    def then(self, later: _Frames) -> _Frames:
        parts = (np.concatenate(pair) for pair in zip(self.parts, later.parts, strict=True))
        return _Frames(np.concatenate([self.spectrum, later.spectrum], axis=1), *parts)

    def cut(self, begin: int, end: int) -> _Frames:
        return _Frames(self.spectrum[:, begin:end], *(part[begin:end] for part in self.parts))

    def with_gains(self, gains: Floats) -> Spectra:
        whole = np.concatenate([gains[:, :, : self.spectrum.shape[2]], self.above], axis=2)
        return self.spectrum * (1 - self.strength[:, :, None] * (1 - whole)).transpose(1, 0, 2)


def _with_end(spectra: Iterator[Spectra]) -> Iterator[tuple[bool, Spectra | None]]:
    """Each with False, then None with True."""
    for spectrum in spectra:
        yield False, spectrum
    yield True, None


def _fitted(power: Floats, n_bins: int) -> Floats:
    """So many bins; silence where there are none."""
    return np.pad(power[:, :, :n_bins], ((0, 0), (0, 0), (0, max(0, n_bins - power.shape[2]))))


def _gains(model: Denoiser, frames: _Frames) -> Floats:
    """``(n_frames, n_channels, n_bins)``; to the network a channel is a sound.

    The two ways err in different places: their product is nearer to the clean sound than either.
    """
    with torch.inference_mode():
        power, wiener = (torch.from_numpy(part).transpose(0, 1) for part in (frames.low, frames.wiener))
        own = model(power, wiener).transpose(0, 1).numpy()
    return np.asarray(own**OWN_SHARE * frames.classical**CLASSICAL_SHARE, dtype=np.float32)
