"""`spectrogram`: a sound over time and frequency, as an array and as a picture."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from volna.errors import InputError
from volna.features.frames import Floats
from volna.features.over_time import Ref, Settings, make_spectrogram
from volna.plots.figure import COLOUR_MAP
from volna.plots.spectra import check_colours, draw_raw, draw_spectrogram
from volna.workflows.common import Progress
from volna.workflows.files import check_free, new_file
from volna.workflows.listening.mono import MonoSound, mono_sound

__all__ = ["Spectrogram", "check_drawing", "spectrogram"]

ENDINGS = (".png", ".npy", ".npz")
FEW_FRAMES = 16
PITCH_CLASSES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
LOUD_SHARE = 97.0  # percentile of the coefficients that the colours span
WORDS = {
    "mel": "mel bands",
    "linear": "Fourier transform",
    "mfcc": "mel-frequency cepstral coefficients",
    "chroma": "pitch classes",
    "cqt": "constant Q, 12 bands an octave",
    "wavelet": "Morlet wavelet, 12 bands an octave",
}
Y_LABELS = {
    "mel": "frequency in Hz, mel scale",
    "linear": "frequency in Hz",
    "mfcc": "coefficient",
    "chroma": "pitch class",
    "cqt": "frequency in Hz, logarithmic",
    "wavelet": "frequency in Hz, logarithmic",
}


@dataclass
class Spectrogram:
    """A sound over time.

    Attributes
    ----------
    values : ndarray
        float32 ``(n_bands, n_frames)``, lowest band first: dB (``mfcc``: its coefficients, ``chroma``: 0 to 1).
    times_s : ndarray
        Middle of every frame in the file, ``(n_frames,)``.
    frequencies_hz : ndarray or None
        Middle of every band, ``(n_bands,)``; None for ``mfcc`` and ``chroma``.
    n_fft, window
        None for ``cqt`` and ``wavelet``, whose windows depend on the frequency.
    hop_length, frames_per_column : int
        Samples from one frame to the next, and how many frames a column of ``values`` is the mean power of.
    duration_s : float
        What was heard.
    frame : int or None
        The column nearest to the time that was asked for.
    """

    path: str
    kind: str
    values: Floats
    times_s: np.ndarray
    frequencies_hz: np.ndarray | None
    sample_rate: int
    n_fft: int | None
    window: str | None
    hop_length: int
    frames_per_column: int
    ref: Ref
    top_db: float | None
    duration_s: float
    output: str | None = None
    frame: int | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def step_s(self) -> float:
        """Seconds from one column to the next."""
        return self.hop_length * self.frames_per_column / self.sample_rate

    def as_dict(self) -> dict[str, Any]:
        """What can be told in a line; the values are in the file written, but for a frame asked for."""
        arrays = ("values", "times_s", "frequencies_hz", "frame")
        about = {name: value for name, value in vars(self).items() if name not in arrays}
        n_bands, n_frames = self.values.shape
        band_hz = None if self.frequencies_hz is None else [float(self.frequencies_hz[k]) for k in (0, -1)]
        return about | {
            "n_bands": n_bands,
            "n_frames": n_frames,
            "step_s": self.step_s,
            "start_s": float(self.times_s[0]),
            "band_hz": band_hz,
            "lowest": float(self.values.min()),
            "highest": float(self.values.max()),
            "frame": None if self.frame is None else self._shown(self.frame),
        }

    def _shown(self, frame: int) -> dict[str, Any]:
        hz = None if self.frequencies_hz is None else self.frequencies_hz.tolist()
        return {"time_s": float(self.times_s[frame]), "frequencies_hz": hz, "values": self.values[:, frame].tolist()}


def spectrogram(
    path: str | Path,
    *,
    kind: str = "mel",
    output: str | Path | None = None,
    n_fft: int = 2048,
    hop_length: int | None = None,
    n_mels: int = 128,
    window: str = "hann",
    fmin_hz: float | None = None,
    fmax_hz: float | None = None,
    ref: Ref | None = None,
    top_db: float | None = 80.0,
    start_s: float = 0.0,
    duration_s: float | None = None,
    raw: bool = False,
    show_frame_s: float | None = None,
    cmap: str = COLOUR_MAP,
    force: bool = False,
    progress: Progress | None = None,
) -> Spectrogram:
    """A file over time and frequency; with an output also as a picture.

    Channels are mixed by their mean, the rate is the file's own. The numbers are librosa's (``melspectrogram``,
    ``stft``, ``mfcc``, ``chroma_stft`` with tuning 0) to the rounding of float32, those of ``cqt`` to 2 % of the
    loudest (5 % in noise).

    Parameters
    ----------
    path : str or Path
        Any audio file that libav decodes.
    kind : {"mel", "linear", "mfcc", "chroma", "cqt", "wavelet"}
        Mel bands; the bins of the transform; 20 cepstral coefficients of the mel bands; the twelve pitch classes;
        constant Q, twelve bands an octave; Morlet's wavelet, twelve bands an octave, mean power of each hop.
    output : str or Path, optional
        ``.png`` draws, ``.npy`` keeps the values, ``.npz`` values, ``times_s`` and ``frequencies_hz``.
    n_fft : int
        Frame in samples; not for ``cqt`` and ``wavelet``, whose frames depend on the frequency.
    hop_length : int, optional
        Step in samples; 512 by default, and then of more than 16 384 frames each 2, 4, 8 ... make one column.
    n_mels : int
        Bands of ``mel`` and ``mfcc``.
    window : {"hann", "hamming", "rectangular"}
    fmin_hz, fmax_hz : float, optional
        By default 0 and half the rate; from C1 (32.7 Hz) for ``cqt`` (seven octaves) and ``wavelet``.
    ref : float or "max", optional
        The power that is 0 dB; the loudest cell by default (1.0 for ``mfcc``, whose first coefficient it shifts).
    top_db : float or None
        Nothing comes out further below the loudest cell. Silence is ``-top_db`` throughout under ``"max"``.
    start_s, duration_s : float
        The part wanted.
    raw : bool
        A bare picture, one pixel a value, for models of vision.
    show_frame_s : float, optional
        Also draw the spectrum of the frame nearest to this time in the file.
    cmap : str
        A colour map of matplotlib; ``gray`` with ``raw`` makes pictures of one channel.
    force : bool
        Replace an output that exists.
    progress : callable, optional
        ``progress(stage, done, total, note)``.

    Returns
    -------
    Spectrogram

    Raises
    ------
    AudioError
        The file cannot be decoded, or the span lies outside.
    InputError
        An option makes no sense for this file, or the output exists or has another ending.

    Examples
    --------
    >>> spectrogram("song.mp3", duration_s=5.0, output="song.png").values.shape  # doctest: +SKIP
    (128, 431)
    """
    settings = Settings(kind, n_fft, hop_length, n_mels, window, fmin_hz, fmax_hz, ref, top_db)
    target = None if output is None else Path(output).expanduser()
    if target is not None:
        check_drawing(target.suffix, raw, show_frame_s, cmap)
        check_free(target, force=force)
    path = Path(path).expanduser()
    with mono_sound(path, start_s=start_s, duration_s=duration_s, progress=progress) as sound:
        made = _measure(os.path.abspath(path), sound, settings, start_s)
    if show_frame_s is not None:
        made.frame = _nearest_frame(made, show_frame_s)
    if target is not None:
        _write(made, target, raw=raw, cmap=cmap, force=force)
    return made


def check_drawing(ending: str, raw: bool, show_frame_s: float | None, cmap: str) -> None:
    """Refuse before the work what cannot be drawn: another ending, a bare picture with more on it, unknown colours."""
    if ending.lower() not in ENDINGS:
        raise InputError(f"expected an output that ends in {', '.join(ENDINGS)}, got {ending or 'no ending'!r}")
    if raw and (ending.lower() != ".png" or show_frame_s is not None):
        raise InputError("raw makes a bare picture: it goes with .png, and without the spectrum of a frame")
    if ending.lower() == ".png":
        check_colours(cmap)


def _measure(path: str, sound: MonoSound, settings: Settings, start_s: float) -> Spectrogram:
    try:
        made = make_spectrogram(sound.blocks, sound.sample_rate, settings)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    hop, per_column = settings.hop, made.per_column
    columns = np.arange(made.values.shape[1])
    notes = [*sound.notes, *made.notes]
    if per_column > 1:
        notes.append(f"long: each column is the mean of {per_column} frames; --hop {hop} keeps every frame")
    if len(columns) < FEW_FRAMES and settings.framed:
        n_frames = f"{len(columns)} frame{'s' if len(columns) > 1 else ''}"
        notes.append(f"short: {n_frames}; a smaller --n-fft and --hop show more of it")
    return Spectrogram(
        path,
        settings.kind,
        made.values,
        start_s + (columns * per_column + (per_column - 1) / 2) * hop / sound.sample_rate,
        made.frequencies_hz,
        sound.sample_rate,
        settings.n_fft if settings.framed else None,
        settings.window if settings.framed else None,
        hop,
        per_column,
        settings.reference,
        settings.top_db,
        sound.read_s,
        notes=notes,
    )


def _nearest_frame(made: Spectrogram, time_s: float) -> int:
    first_s, last_s = float(made.times_s[0]), float(made.times_s[-1])
    if not first_s - made.step_s <= time_s <= last_s + made.step_s:
        raise InputError(f"{made.path}: expected a frame between {first_s:g} and {last_s:.3f} s, got {time_s:g} s")
    return int(np.abs(made.times_s - time_s).argmin())


def _write(made: Spectrogram, target: Path, *, raw: bool, cmap: str, force: bool) -> None:
    ending = target.suffix.lower()
    with new_file(target, force=force) as file:
        if ending == ".npy":
            np.save(file, made.values)
        elif ending == ".npz":
            hz = np.zeros(0) if made.frequencies_hz is None else made.frequencies_hz
            np.savez(file, values=made.values, times_s=made.times_s, frequencies_hz=hz)
        elif raw:
            draw_raw(made.values, file, limits=_limits(made)[0], cmap=cmap)
        else:
            _draw(made, file, cmap)
    made.output = os.path.abspath(target)


def _draw(made: Spectrogram, file: Any, cmap: str) -> None:
    limits, extend = _limits(made)
    frames = f", frames of {made.n_fft} samples ({made.window})" if made.n_fft else ""
    step = f"a column every {1000 * made.step_s:.3g} ms"
    draw_spectrogram(
        made.values,
        file,
        times_s=made.times_s,
        step_s=made.step_s,
        frequencies_hz=made.frequencies_hz,
        rows=PITCH_CLASSES if made.kind == "chroma" else [str(k) for k in range(len(made.values))],
        y_label=Y_LABELS[made.kind],
        value_label=_value_label(made),
        limits=limits,
        extend=extend,
        frame=made.frame,
        cmap=cmap,
        title=os.path.basename(made.path),
        subtitle=f"{WORDS[made.kind]}{frames}, {step}, {made.sample_rate / 1000:g} kHz",
    )


def _value_label(made: Spectrogram) -> str:
    if made.kind == "chroma":
        return "energy, the strongest of a frame is 1"
    if made.kind == "mfcc":
        return "coefficient in dB"
    return "level in dB re the loudest cell" if made.ref == "max" else f"level in dB re a power of {made.ref:g}"


def _limits(made: Spectrogram) -> tuple[tuple[float, float], str]:
    """What the colours span, and which ends go beyond; a fixed range under ``max``, so that pictures compare."""
    if made.kind == "chroma":
        return (0.0, 1.0), "neither"
    if made.kind == "mfcc":  # the first coefficient is the level, many times the others
        shape = np.abs(made.values[1:]) if len(made.values) > 1 else np.abs(made.values)
        most = float(np.percentile(shape, LOUD_SHARE)) or 1.0
        return (-most, most), "both"
    low, high = float(made.values.min()), float(made.values.max())
    if made.top_db is not None:
        high = 0.0 if made.ref == "max" else high
        low = high - made.top_db
    return (low, high), "neither"
