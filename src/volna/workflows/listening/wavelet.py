"""`wavelet`: the discrete wavelet decomposition of a file, band by band, and noise taken out of it by thresholds.

The file is read in pieces that overlap by more than the wavelet reaches, cut where the transform allows it, so the
coefficients are those of the whole file. Denoising reads it twice: for the thresholds, and to apply them.
"""

from __future__ import annotations

import math
import os
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from volna.audio.encode import ENCODERS, encode
from volna.audio.signal import Samples
from volna.errors import InputError
from volna.features import wavelet as dwt
from volna.plots.wavelet import draw_wavelet
from volna.workflows.common import Progress
from volna.workflows.files import check_free, new_file
from volna.workflows.listening import wavelet_passes as passes
from volna.workflows.listening.pieces import check_span
from volna.workflows.tables import plain

__all__ = ["BandEnergy", "Decomposition", "Denoising", "wavelet"]


@dataclass(frozen=True)
class BandEnergy:
    """What one band holds: its edges in Hz, its sum of squares over all channels, as a share, and as dB re full scale.

    ``level_db`` is the mean square over the sound's samples, so levels of orthogonal bands add up to that of the sound.
    """

    name: str
    low_hz: float
    high_hz: float
    n_coefficients: int
    energy: float
    share: float
    level_db: float


@dataclass(frozen=True)
class Denoising:
    """What a denoising did.

    Attributes
    ----------
    sigma : list of float
        Standard deviation of the noise of each channel, full scale 1 (``"coloured"``: of the finest detail).
    thresholds : ndarray
        float64 ``(n_channels, n_bands)``, from low to high; infinity where a band was emptied.
    zeroed_share : float
        Of the coefficients of the details.
    snr_before_db, snr_after_db : float
        Estimates that take sigma for the truth: after, from Stein's unbiased estimate of the error (1981), which holds
        for soft thresholds and is a little low for hard ones. NaN without noise.
    measured_before_db, measured_after_db : float or None
        Against the clean recording, where one was given.
    """

    kind: str
    threshold: str
    noise: str
    sigma: list[float]
    thresholds: np.ndarray
    zeroed_share: float
    snr_before_db: float
    snr_after_db: float
    measured_before_db: float | None = None
    measured_after_db: float | None = None


@dataclass
class Decomposition:
    """The answer to `wavelet`.

    Attributes
    ----------
    bands : list of BandEnergy
        From the finest detail to the approximation.
    coefficients : list of ndarray
        float32 ``(n_channels, n_coefficients)`` in the order of ``bands``; empty for more than ten minutes of sound.
    cleaned : ndarray or None
        float32 ``(n_channels, n_samples)``, where it was denoised and not written to a file.
    """

    path: str
    wavelet: str
    level: int
    sample_rate: int
    n_channels: int
    start_s: float
    duration_s: float
    bands: list[BandEnergy]
    denoising: Denoising | None = None
    output: str | None = None
    plot: str | None = None
    notes: list[str] = field(default_factory=list)
    coefficients: list[Samples] = field(default_factory=list, repr=False)
    cleaned: Samples | None = field(default=None, repr=False)

    def as_dict(self) -> dict[str, Any]:
        """Without the arrays of samples and coefficients; None for what is not finite."""
        named = {name: value for name, value in vars(self).items() if name not in ("coefficients", "cleaned")}
        denoising = None if self.denoising is None else asdict(self.denoising)
        return plain(named | {"bands": [asdict(band) for band in self.bands], "denoising": denoising})


def wavelet(
    path: str | Path,
    output: str | Path | None = None,
    *,
    wavelet: str = "db4",
    level: int = 5,
    denoise: str | None = None,
    threshold: str = "universal",
    noise: str = "white",
    reference: str | Path | None = None,
    plot: str | Path | None = None,
    start_s: float = 0.0,
    duration_s: float | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> Decomposition:
    """Split a file into octave bands with the discrete wavelet transform, and denoise it.

    Parameters
    ----------
    path : str or Path
        Any audio file that libav decodes, any number of channels.
    output : str or Path, optional
        With ``denoise``: where the cleaned sound goes, at the level it had, in the format of the extension.
    wavelet : str
        A discrete wavelet of PyWavelets: ``"haar"``, ``"db4"``, ``"sym8"``, ``"coif3"``, ``"bior4.4"`` ...
    level : int
        How often the band is halved, 1 to 16; a sound too short for it is split less deeply.
    denoise : {"soft", "hard"}, optional
        Set coefficients below the threshold to zero; soft also lowers the others by it.
    threshold : {"universal", "bayes"}
        sigma sqrt(2 ln N), or BayesShrink, which takes less away.
    noise : {"white", "coloured"}
        Noise as strong in every band as in the finest, or estimated in every band.
    reference : str or Path, optional
        The clean recording, sample by sample beside the noisy one: the SNR is then measured against it as well.
    plot : str or Path, optional
        A PNG of the bands over time.
    start_s, duration_s : float
        The part that is read; to the end of the file by default.
    force : bool
        Replace files that exist.

    Returns
    -------
    Decomposition

    Raises
    ------
    AudioError
        The file cannot be decoded, or the reference is another recording.
    InputError
        An option makes no sense, or an output exists or cannot be written.

    Examples
    --------
    >>> [band.name for band in wavelet("song.wav", level=2).bands]  # doctest: +SKIP
    ['d1', 'd2', 'a2']
    """
    _check(output, denoise, threshold, noise, reference, plot, force)
    check_span(start_s, duration_s)
    dwt.level_for(1, wavelet, level)
    source = passes.Source(path, wavelet, level, start_s, duration_s, progress)
    surveyed = passes.survey(source, plot is not None)
    result = _described(source, surveyed)
    cleaning = None
    if denoise is not None:
        sigmas = dwt.noise_levels(surveyed.statistics, noise)
        limits = dwt.thresholds(surveyed.statistics, sigmas, threshold)
        curves = None if plot is None else passes.Curves(surveyed.curves.columns_per_s, wavelet)
        cleaning = passes.Cleaning(denoise, sigmas, limits, curves)
        target = None if output is None else Path(output).expanduser()
        result.cleaned = _cleaned(source, surveyed, cleaning, reference, target)
        result.output = None if target is None else str(target)
        result.denoising = _denoising(surveyed, cleaning, threshold, noise, reference is not None)
    if plot is not None:
        _draw(Path(plot).expanduser(), force, result, surveyed, cleaning)
    return result


def _check(
    output: str | Path | None, denoise: str | None, threshold: str, noise: str, reference: Any, plot: Any, force: bool
) -> None:
    """Everything that can be refused before the file is read."""
    for name, value, known in (("threshold", threshold, dwt.RULES), ("noise", noise, dwt.NOISES)):
        if value not in known:
            raise InputError(f"{name}: expected one of {', '.join(known)}, got {value!r}")
    if denoise is None and (output is not None or reference is not None):
        raise InputError("an output and a reference go with denoising: soft or hard")
    if denoise is not None and denoise not in dwt.KINDS:
        raise InputError(f"denoise: expected one of {', '.join(dwt.KINDS)}, got {denoise!r}")
    for place in (output, plot):
        if place is not None:
            check_free(Path(place).expanduser(), force=force)
    if plot is not None and Path(plot).suffix.lower() != ".png":
        raise InputError(f"{plot}: expected a picture that ends in .png")
    if output is not None and Path(output).suffix.lower() not in ENCODERS:
        raise InputError(f"{output}: expected a name that ends in one of {' '.join(sorted(ENCODERS))}")


def _described(source: passes.Source, surveyed: passes.Survey) -> Decomposition:
    """The bands, from the finest detail down."""
    found = surveyed.statistics
    edges = dwt.bands_of(surveyed.depth, surveyed.sample_rate)
    energies = found.squares.sum(axis=0).tolist()
    n, total = surveyed.n_samples * surveyed.n_channels, sum(energies) or 1.0
    bands = [
        BandEnergy(band.name, band.low_hz, band.high_hz, int(count), energy, energy / total, _level_db(energy / n))
        for band, count, energy in zip(edges, found.counts, energies, strict=True)
    ]
    notes = []
    if surveyed.depth < source.level:
        notes.append(f"too short for level {source.level} of {source.wavelet}: split {surveyed.depth} times")
    if not dwt.is_orthogonal(source.wavelet):
        notes.append(f"{source.wavelet} is not orthogonal: the energies of its bands do not add up exactly")
    if not surveyed.coefficients:
        notes.append(f"longer than {passes.KEEP_S / 60:.0f} minutes: the coefficients are not kept")
    return Decomposition(
        path=os.path.abspath(source.path),
        wavelet=source.wavelet,
        level=surveyed.depth,
        sample_rate=surveyed.sample_rate,
        n_channels=surveyed.n_channels,
        start_s=source.start_s,
        duration_s=surveyed.n_samples / surveyed.sample_rate,
        bands=bands[::-1],
        notes=notes,
        coefficients=surveyed.coefficients[::-1],
    )


def _level_db(mean_square: float) -> float:
    return 10 * math.log10(mean_square) if mean_square > 0 else -math.inf


def _cleaned(
    source: passes.Source,
    surveyed: passes.Survey,
    cleaning: passes.Cleaning,
    reference: str | Path | None,
    target: Path | None,
) -> Samples | None:
    """The cleaned sound, in memory or in the file asked for, by way of one without a name beside it."""
    shape = (surveyed.n_channels, surveyed.n_samples)
    if target is None:
        sound = np.empty(shape, dtype=np.float32)
        passes.clean(source, surveyed, cleaning, sound, reference)
        return sound
    with tempfile.TemporaryFile(dir=target.parent) as file:
        on_disk: Samples = np.memmap(file, dtype=np.float32, mode="w+", shape=shape)
        passes.clean(source, surveyed, cleaning, on_disk, reference)
        encode(target, on_disk, surveyed.sample_rate)
    return None


def _denoising(
    surveyed: passes.Survey, cleaning: passes.Cleaning, threshold: str, noise: str, measured: bool
) -> Denoising:
    counts = surveyed.statistics.counts
    noise_squares = float((cleaning.sigmas**2 @ counts).sum())
    sound_squares = max(float(surveyed.statistics.squares.sum()) - noise_squares, 0.0)
    n_details = max(1.0, float(counts[1:].sum()) * surveyed.n_channels)
    ratios = [_db(cleaning.clean_squares, squares) for squares in (cleaning.noise_before, cleaning.noise_after)]
    return Denoising(
        kind=cleaning.kind,
        threshold=threshold,
        noise=noise,
        sigma=cleaning.sigmas[:, -1].tolist(),
        thresholds=cleaning.limits,
        zeroed_share=cleaning.n_zeroed / n_details,
        snr_before_db=_db(sound_squares, noise_squares),
        snr_after_db=_db(sound_squares, cleaning.error),
        measured_before_db=ratios[0] if measured else None,
        measured_after_db=ratios[1] if measured else None,
    )


def _db(sound: float, noise: float) -> float:
    """10 log10 of a ratio; not a number where either is nothing."""
    return 10 * math.log10(sound / noise) if sound > 0 and noise > 0 else math.nan


def _draw(
    plot: Path, force: bool, result: Decomposition, surveyed: passes.Survey, cleaning: passes.Cleaning | None
) -> None:
    bands = dwt.bands_of(surveyed.depth, surveyed.sample_rate)
    title = f"{Path(result.path).name}: wavelet {result.wavelet}, level {result.level}"
    if result.denoising is not None:
        title += f", {result.denoising.kind} {result.denoising.threshold} thresholds"
    with new_file(plot, force=force) as file:
        curves = passes.curves_of(surveyed, cleaning, bands, result.start_s)
        draw_wavelet(curves, file, span_s=(result.start_s, result.start_s + result.duration_s), title=title)
    result.plot = str(plot)
