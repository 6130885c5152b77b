"""The spine: file -> windows -> latents -> one vector. The only place where a file becomes a vector.

Conventions: a *track* is heard through the windows of `volna.audio.decode.windows_of`; its frames, from
all windows together, give the descriptors; its log-mels give, through an encoder, one latent a sixteenth
of the frames, pooled over time into ``embedding``, float32 ``(dim,)``. Vectors are raw: whoever compares
them standardises them with the statistics of the library they live in.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from volna.audio.decode import open_audio
from volna.features.inputs import as_input
from volna.features.recipe import ANALYSIS, DESCRIPTOR_NAMES, Analysis, analyse

if TYPE_CHECKING:
    from volna.models.checkpoint import Checkpoint

__all__ = [
    "Embedder",
    "Recognised",
    "Track",
    "current_embedder",
    "embed_file",
    "hear",
    "hear_halves",
    "listen",
    "use_model",
]

TEMPO = DESCRIPTOR_NAMES.index("tempo_bpm")
PULSE_CLARITY = DESCRIPTOR_NAMES.index("pulse_clarity")


@dataclass
class Track:
    """What listening to one file gives.

    Attributes
    ----------
    audio_hash : str
        Hash of the coded audio heard, the same for every copy however tagged or named.
    duration_s : float
    metadata : dict of str
        Tags as the container has them.
    descriptors : numpy.ndarray
        float32 ``(n_descriptors,)``, raw, named by `volna.features.recipe.DESCRIPTOR_NAMES`.
    log_mels : list of numpy.ndarray
        One float32 ``(n_mels, n_frames)`` in dB per window; another input of a model where that was asked for.
    short : bool
        Less than three seconds, tiled.
    """

    audio_hash: str
    duration_s: float
    metadata: dict[str, str]
    descriptors: np.ndarray
    log_mels: list[np.ndarray]
    short: bool

    @property
    def tempo_bpm(self) -> float | None:
        """Tempo in beats per minute, None where the sound has none."""
        return float(self.descriptors[TEMPO]) if self.descriptors[PULSE_CLARITY] > 0 else None


@dataclass(frozen=True)
class Recognised:
    """A file whose audio is known already: nothing was decoded."""

    audio_hash: str
    duration_s: float
    metadata: dict[str, str]
    answer: str


def listen(
    path: str | Path, segment: str = "spread", input: str = "log-mel"
) -> Generator[str, str | None, Track | Recognised]:
    """Read the windows of a file and, unless they are known, analyse them.

    A generator in the manner of `volna.pool`: it yields the hash of the coded audio before anything is
    decoded. Sent ``"new"`` (or None) it goes on and returns a `Track`; sent anything else it returns a
    `Recognised` with that answer. `input` is what the model hears (`volna.features.inputs`); with another than the
    log-mel, ``log_mels`` holds that.

    Raises
    ------
    AudioError
        The file cannot be decoded, is silent, or lasts less than 0.1 s.
    """
    with open_audio(path) as audio:
        coded = audio.read_segment(segment)
        answer = yield coded.audio_hash
        if answer not in (None, "new"):
            return Recognised(coded.audio_hash, audio.duration_s, audio.metadata, answer or "")
        windows = audio.decode(coded, ANALYSIS.sample_rate)
        analysis = analyse(windows, ANALYSIS)
        heard = analysis.log_mels if input == "log-mel" else [as_input(window, input) for window in windows]
        return Track(
            coded.audio_hash,
            audio.duration_s,
            audio.metadata,
            analysis.descriptors,
            heard,
            analysis.short,
        )


def hear(path: str | Path, segment: str = "spread", input: str = "log-mel") -> Track:
    """`listen` to the end, without asking anybody."""
    conversation = listen(path, segment, input)
    next(conversation)
    try:
        conversation.send("new")
    except StopIteration as stop:
        track: Track = stop.value
        return track
    raise AssertionError("listen() yields once")


def hear_halves(path: str | Path, segment: str = "spread") -> tuple[Analysis, Analysis]:
    """Analyse what is heard of a file in two halves, cut in the middle of its windows laid end to end.

    Raises
    ------
    AudioError
        The file cannot be decoded, or a half of it is silent or lasts less than 0.1 s.
    """
    with open_audio(path) as audio:
        windows = audio.decode(audio.read_segment(segment), ANALYSIS.sample_rate)
    n_half = sum(len(window) for window in windows) // 2
    first: list[np.ndarray] = []
    second: list[np.ndarray] = []
    for window in windows:
        n_first = min(len(window), n_half - sum(len(part) for part in first))
        first.append(window[:n_first])
        second.append(window[n_first:])
    return analyse(first, ANALYSIS), analyse(second, ANALYSIS)


class Embedder:
    """A frozen encoder: log-mels of one track in, one vector out.

    Parameters
    ----------
    checkpoint : Checkpoint, bytes, str or Path
        A loaded checkpoint, the bytes of one, or the path of its file.

    Attributes
    ----------
    id : str
        The checkpoint's id; it names the space its vectors live in.
    """

    def __init__(self, checkpoint: Checkpoint | bytes | str | Path) -> None:
        from volna.models import checkpoint as files

        if isinstance(checkpoint, str | Path):
            checkpoint = files.load(checkpoint)
        self.checkpoint = files.from_bytes(checkpoint) if isinstance(checkpoint, bytes) else checkpoint
        self.checkpoint.model.eval()

    @property
    def id(self) -> str:
        return self.checkpoint.id

    @property
    def input(self) -> str:
        """What the model hears, one of `volna.features.inputs.INPUTS`."""
        return self.checkpoint.input

    def embed_samples(self, samples: np.ndarray) -> np.ndarray:
        """The vector of one window of samples at the rate of the analysis."""
        return self.embed([as_input(samples, self.input)])

    def embed(self, log_mels: list[np.ndarray]) -> np.ndarray:
        """Pool what the encoder hears in all windows by mean and spread over time, and read it as one vector.

        Parameters
        ----------
        log_mels : list of numpy.ndarray
            Windows of one track, each float32 ``(n_mels, n_frames)`` in dB.

        Returns
        -------
        numpy.ndarray
            float32 ``(dim,)``, raw.
        """
        return self.checkpoint.embed(log_mels)


def embed_file(path: str | Path, model: Embedder | bytes | str | Path, *, segment: str = "spread") -> np.ndarray:
    """One vector for one audio file.

    Parameters
    ----------
    path : str or Path
        Any audio file that libav decodes.
    model : Embedder, bytes, str or Path
        An embedder, the bytes of a checkpoint, or the path of one.
    segment : {"spread", "start", "middle", "end"}
        Which windows of the file are heard.

    Returns
    -------
    numpy.ndarray
        float32 ``(dim,)``, raw; compare only with vectors of the same model, after standardising.

    Raises
    ------
    AudioError
        The file cannot be decoded, is silent, or lasts less than 0.1 s.
    ModelError
        The checkpoint cannot be read.

    Examples
    --------
    >>> vector = embed_file("song.mp3", "model.safetensors")  # doctest: +SKIP
    >>> vector.shape  # doctest: +SKIP
    (128,)
    """
    embedder = model if isinstance(model, Embedder) else Embedder(model)
    return embedder.embed(hear(path, segment, embedder.input).log_mels)


_embedder: Embedder | None = None


def use_model(checkpoint: bytes | None) -> None:
    """Load the model that the tasks of this process embed with (the `setup` of a `volna.pool.Pool`)."""
    global _embedder
    _embedder = Embedder(checkpoint) if checkpoint else None


def current_embedder() -> Embedder | None:
    """The model given to `use_model` in this process."""
    return _embedder
