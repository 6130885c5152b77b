"""`spectrum`: what frequencies a sound is made of, its strongest tones by name, and sound made of them again."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from volna.audio.channels import open_channels
from volna.audio.encode import ENCODERS, encode
from volna.audio.signal import peak
from volna.errors import InputError, VolnaError
from volna.features.definition import (
    PER_BIN,
    dft,
    measured_leakage,
    times_of_transforms,
    window_response,
    window_theory,
    zoomed,
)
from volna.features.frames import WINDOWS, Floats
from volna.features.sinusoids import PAD, find_peaks, held_tones, note_of, rebuild, sinusoids
from volna.plots.figure import can_draw
from volna.plots.spectrum import Curves, draw_spectrum
from volna.workflows.common import Progress
from volna.workflows.files import check_free, new_file
from volna.workflows.listening.mono import mono_sound
from volna.workflows.listening.spectrum_frames import SHORTEST, Heard, mean_of_frames, one_frame
from volna.workflows.listening.spectrum_results import Definition, Peak, Resynthesis, Spectrum, Window

__all__ = ["spectrum"]

FRAME_S = 0.186  # 8192 samples at 44.1 kHz: bins of 5 Hz tell semitones apart from E2 on
REBUILT_FRAME_S = 0.046  # 2048 samples at 44.1 kHz: short enough for syllables and strokes
MOST_REBUILT_S = 1200.0  # what is rebuilt is held in memory
MOST_SINUSOIDS = 500
HELD_S = 2.0  # how long the tones of one frame are held
STANDS_DB, STANDS_DB_FRAME = 6.0, 10.0  # above the median around it: in a mean, in one frame, where noise has peaks too
AROUND_BINS = 20
FLOOR = 1e-18  # power, -180 dB
MEAN_FRAMES = 8  # from so many on, noise is even enough for the lower
FAINTEST_DB = -150.0
RANGE_DB = 80.0  # below the strongest peak: further down it is rounding
N_DEFINITION = 1024
WINDOW_ORDER = ("rectangular", "hamming", "hann")
SHOWN_BINS = 12  # of a window's leakage, on either side


def spectrum(
    path: str | Path,
    *,
    at_s: float | None = None,
    n_fft: int | None = None,
    window: str = "hann",
    n_peaks: int = 10,
    start_s: float = 0.0,
    duration_s: float | None = None,
    resynthesise: int | None = None,
    output: str | Path | None = None,
    compare_windows: bool = False,
    by_definition: bool = False,
    plot: str | Path | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> Spectrum:
    """The mean spectrum of a file (Welch 1967), or the spectrum of one frame, and its peaks.

    Channels are mixed by their mean. Frames overlap by half and lose their mean; agrees with ``scipy.signal.welch``
    (``scaling="spectrum"``, ``nfft = 2 * n_fft``) to 0.01 dB.

    Parameters
    ----------
    path : str or Path
        Any audio file that libav decodes.
    at_s : float, optional
        The one frame around this time instead of the mean.
    n_fft : int, optional
        Frame in samples; the power of two next to 0.19 s by default, the whole of a shorter sound.
    window : {"hann", "hamming", "rectangular"}
    n_peaks : int
        How many at most; what a window leaks from a stronger peak, and what noise makes, is left out.
    start_s, duration_s : float
        The part wanted.
    resynthesise : int, optional
        Rebuild the sound from so many sinusoids (in each frame of 46 ms the strongest; with ``at_s`` those of that
        frame, held for two seconds) and write it to ``output``.
    output : str or Path, optional
        Where the rebuilt sound goes, in any format that Volna writes.
    compare_windows : bool
        Also tell what each window does to the strongest peak of the loudest frame.
    by_definition : bool
        Also transform 1024 samples by the sum of the definition, and measure what that costs.
    plot : str or Path, optional
        A picture of all that, ``.png``.
    force : bool
        Replace files that exist.
    progress : callable, optional
        ``progress(stage, done, total, note)``.

    Returns
    -------
    Spectrum

    Raises
    ------
    AudioError
        The file cannot be decoded, or the span lies outside.
    InputError
        An option makes no sense, or an output exists.

    Examples
    --------
    >>> spectrum("flute.wav").peaks[0].note  # doctest: +SKIP
    'A4'
    """
    _check(at_s, n_fft, window, n_peaks, start_s, duration_s, resynthesise)
    target, picture = _outputs(resynthesise, output, plot, force)
    path = Path(path).expanduser()
    with open_channels(path) as sound:
        sample_rate, n_channels = sound.sample_rate, sound.n_channels
    length = n_fft or 1 << round(np.log2(FRAME_S * sample_rate))
    if at_s is None:
        heard = mean_of_frames(path, length, window, start_s, duration_s, progress)
    else:
        heard = one_frame(path, length, window, at_s, sample_rate)
    found = _spectrum(path, heard, at_s, sample_rate, window)
    tones = _peaks(found, max(n_peaks, resynthesise or 0))
    found.peaks = tones[:n_peaks]
    if n_channels > 1:
        found.notes.append(f"{n_channels} channels, mixed by their mean")
    if compare_windows:
        found.windows = _windows(heard.frame, sample_rate)
    if by_definition:
        found.definition = _definition(heard.frame)
    if target is not None and resynthesise is not None:
        found.resynthesis = (
            _rebuilt(path, resynthesise, target, (start_s, duration_s), sample_rate, found.notes, progress)
            if at_s is None
            else _held(tones[:resynthesise], target, sample_rate)
        )
    if picture is not None:
        _draw(found, heard.frame, picture, force)
    return found


def _check(
    at_s: float | None,
    n_fft: int | None,
    window: str,
    n_peaks: int,
    start_s: float,
    duration_s: float | None,
    resynthesise: int | None,
) -> None:
    if window not in WINDOWS:
        raise InputError(f"window: expected one of {', '.join(WINDOWS)}, got {window!r}")
    if n_fft is not None and n_fft < SHORTEST:
        raise InputError(f"n_fft: expected {SHORTEST} samples or more, got {n_fft}")
    if n_peaks < 0:
        raise InputError(f"n_peaks: expected 0 or more, got {n_peaks}")
    if resynthesise is not None and not 1 <= resynthesise <= MOST_SINUSOIDS:
        raise InputError(f"resynthesise: expected 1 to {MOST_SINUSOIDS} sinusoids, got {resynthesise}")
    if at_s is not None and (start_s or duration_s is not None):
        raise InputError("at_s takes one frame: leave out start_s and duration_s")
    if at_s is not None and not 0 <= at_s < np.inf:
        raise InputError(f"at_s: expected a time of 0 s or later, got {at_s:g}")


def _outputs(
    resynthesise: int | None, output: str | Path | None, plot: str | Path | None, force: bool
) -> tuple[Path | None, Path | None]:
    """Where sound and picture go, checked before the work."""
    if (resynthesise is None) != (output is None):
        raise InputError("resynthesise and output go together: how many sinusoids, and where their sound goes")
    target = None if output is None else Path(output).expanduser()
    picture = None if plot is None else Path(plot).expanduser()
    if target is not None and target.suffix.lower() not in ENCODERS:
        raise InputError(f"{target}: expected a sound file, as out.wav, out.flac or out.mp3")
    if picture is not None and picture.suffix.lower() != ".png":
        raise InputError(f"{picture}: expected a picture that ends in .png")
    if picture is not None and not can_draw():
        raise VolnaError("pictures need matplotlib: pip install 'volna[plots]'")
    for file in (target, picture):
        if file is not None:
            check_free(file, force=force)
    return target, picture


def _spectrum(path: Path, heard: Heard, at_s: float | None, sample_rate: int, window: str) -> Spectrum:
    n_fft = len(heard.frame)
    return Spectrum(
        os.path.abspath(path),
        at_s,
        sample_rate,
        n_fft,
        window,
        heard.n_frames,
        heard.duration_s,
        np.arange(len(heard.power)) * (sample_rate / 2 / (len(heard.power) - 1)),
        10.0 * np.log10(np.maximum(heard.power, FLOOR)),
        [],
    )


def _peaks(found: Spectrum, n: int) -> list[Peak]:
    """The strongest peaks that stand above what is around them, and above what stronger ones leak."""
    from scipy.ndimage import median_filter

    around_db = median_filter(found.levels_db, 2 * PAD * AROUND_BINS + 1, mode="nearest")
    needed_db = STANDS_DB if found.at_s is None and found.n_frames >= MEAN_FRAMES else STANDS_DB_FRAME
    tones = find_peaks(10.0 ** (found.levels_db[None] / 20.0).astype(np.float32), 4 * n + 16, found.window)
    peaks: list[Peak] = []
    for place, amplitude in zip(tones.frequencies_hz[:, 0].tolist(), tones.amplitudes[:, 0].tolist(), strict=True):
        level_db = 20.0 * float(np.log10(max(amplitude, 1e-9)))
        nearest = min(round(PAD * place), len(around_db) - 1)
        loud = level_db > max(FAINTEST_DB, peaks[0].level_db - RANGE_DB if peaks else FAINTEST_DB)
        if loud and level_db - around_db[nearest] >= needed_db:
            hz = place * found.sample_rate / found.n_fft
            note, cents = note_of(hz) or (None, None)
            peaks.append(Peak(hz, note, cents, level_db))
    return peaks[:n]


def _windows(frame: Floats, sample_rate: int) -> list[Window]:
    """Theory, and the strongest tone of a frame under each window."""
    near_hz = _strongest_hz(frame, sample_rate)
    return [
        Window(
            name, window_theory(name), None if near_hz is None else measured_leakage(frame, sample_rate, name, near_hz)
        )
        for name in WINDOW_ORDER
    ]


def _strongest_hz(frame: Floats, sample_rate: int) -> float | None:
    """Where a frame's spectrum is highest, its mean left out; None for silence."""
    levels_db = zoomed(frame - frame.mean(), "hann")
    inside = levels_db[PER_BIN:-PER_BIN]
    if inside.max() < FAINTEST_DB:
        return None
    return float((int(inside.argmax()) + PER_BIN) * sample_rate / (PER_BIN * len(frame)))


def _definition(frame: Floats) -> Definition:
    n = min(N_DEFINITION, len(frame))
    middle = frame[(len(frame) - n) // 2 :][:n].astype(np.float64)
    fast = np.fft.fft(middle)
    difference = float(np.abs(dft(middle) - fast).max())
    largest = float(np.abs(fast).max())
    return Definition(n, difference, difference / largest if largest else 0.0, times_of_transforms())


def _rebuilt(
    path: Path,
    n: int,
    target: Path,
    span: tuple[float, float | None],
    sample_rate: int,
    notes: list[str],
    progress: Progress | None,
) -> Resynthesis:
    """The sound as the strongest sinusoids of every frame."""
    samples = _whole(path, span, progress)
    n_fft = 1 << round(np.log2(REBUILT_FRAME_S * sample_rate))
    again = rebuild(sinusoids(samples, sample_rate, n, n_fft=n_fft), len(samples), sample_rate, hop_length=n_fft // 4)
    missing = float(np.sum((samples - again) ** 2, dtype=np.float64))
    sound = float(np.sum(samples**2, dtype=np.float64))
    loudest = peak(np.abs(again))
    if loudest > 1.0:
        notes.append(f"the rebuilt sound went {20 * np.log10(loudest):.1f} dB beyond full scale and was turned down")
        again = again / np.float32(loudest)
    encode(target, again, sample_rate)
    snr_db = 10.0 * float(np.log10(sound / missing)) if sound and missing else None
    return Resynthesis(os.path.abspath(target), n, len(again) / sample_rate, snr_db)


def _whole(path: Path, span: tuple[float, float | None], progress: Progress | None) -> Floats:
    blocks = []
    with mono_sound(path, start_s=span[0], duration_s=span[1], progress=progress) as sound:
        for block in sound.blocks:
            blocks.append(block)
            if sound.read_s > MOST_REBUILT_S:
                raise InputError(
                    f"{path}: expected at most {MOST_REBUILT_S / 60:g} minutes to rebuild: give a duration"
                )
    return np.concatenate(blocks)


def _held(peaks: list[Peak], target: Path, sample_rate: int) -> Resynthesis:
    """The tones of one frame, held."""
    hz, amplitudes = [peak.frequency_hz for peak in peaks], [10.0 ** (peak.level_db / 20.0) for peak in peaks]
    sound = held_tones(hz, amplitudes, HELD_S, sample_rate)
    encode(target, sound / max(1.0, peak(np.abs(sound))), sample_rate)
    return Resynthesis(os.path.abspath(target), len(peaks), HELD_S, None)


def _draw(found: Spectrum, frame: Floats, file: Path, force: bool) -> None:
    which = "mean spectrum" if found.at_s is None else f"spectrum at {found.at_s:g} s"
    frames = f"{found.n_frames} frames" if found.n_frames > 1 else "one frame"
    times = found.definition.times if found.definition else None
    with new_file(file, force=force) as out:
        draw_spectrum(
            found.frequencies_hz,
            found.levels_db,
            out,
            peaks=[(peak.frequency_hz, peak.level_db, _words(peak)) for peak in found.peaks],
            windows=None if found.windows is None else _curves(found.windows, frame, found.sample_rate),
            times=None if times is None else (times.sizes, times.definition_s, times.fast_s),
            title=os.path.basename(found.path),
            subtitle=f"{which}, {frames} of {found.n_fft} samples ({found.window}), {found.sample_rate / 1000:g} kHz",
        )
    found.plot = os.path.abspath(file)


def _words(peak: Peak) -> str:
    note = "" if peak.note is None else f"{peak.note:<3} {round(peak.cents or 0.0):+3d} ct"
    return f"{peak.frequency_hz:8.1f} Hz  {note:<10} {peak.level_db:6.1f} dB"


def _curves(windows: list[Window], frame: Floats, sample_rate: int) -> Curves:
    theory = {entry.window: window_response(entry.window, SHOWN_BINS) for entry in windows}
    measured = {}
    for entry in windows:
        if entry.measured is not None and entry.measured.frequency_hz is not None:
            levels_db = zoomed(frame, entry.window)
            middle = round(entry.measured.frequency_hz * PER_BIN * len(frame) / sample_rate)
            part = slice(max(0, middle - SHOWN_BINS * PER_BIN), middle + SHOWN_BINS * PER_BIN + 1)
            hz = np.arange(len(levels_db)) * (sample_rate / (PER_BIN * len(frame)))
            measured[entry.window] = hz[part], levels_db[part]
    return Curves(theory, measured)
