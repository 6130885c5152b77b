"""The passes of `wavelet` over a file: one to measure the bands, one to take noise out of them.

Pieces are cut at multiples of 2^level, where the coefficients of a piece are those of the whole sound but for the first
few after its beginning; a piece owns those that belong to its samples, its surroundings supply the rest.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from volna.audio.channels import open_channels
from volna.audio.signal import Samples
from volna.errors import AudioError
from volna.features import wavelet as dwt
from volna.plots.wavelet import BandCurve
from volna.workflows.common import Progress
from volna.workflows.listening.pieces import Piece, channel_blocks, pieces_of

__all__ = ["Cleaning", "Curves", "Source", "Survey", "clean", "curves_of", "survey"]

PIECE_S = 30.0
KEEP_S = 600.0  # of a longer sound the coefficients are not kept
COLUMNS = 1200  # of the picture

Bands = list[Samples]


@dataclass(frozen=True)
class Source:
    """What is read, and how it is split."""

    path: str | Path
    wavelet: str
    level: int
    start_s: float = 0.0
    duration_s: float | None = None
    progress: Progress | None = None


@dataclass
class Curves:
    """The picture as it comes: for every band, from low to high, ``(3, n_columns)`` arrays of time, lowest, highest."""

    columns_per_s: float
    wavelet: str
    pieces: list[list[np.ndarray]] = field(default_factory=list)

    def add(self, bands: Bands, piece: Piece, sample_rate: int) -> None:
        self.pieces = self.pieces or [[] for _ in bands]
        most = max(1, math.ceil(self.columns_per_s * piece.length / sample_rate))
        for k, band in enumerate(bands):
            n, step = band.shape[1], 2 ** _depth(k, len(bands))
            if not n:
                continue
            edges = np.unique(np.linspace(0, n, min(most, n) + 1).astype(int))[:-1]
            middles = (edges + np.append(edges[1:], n) - 1) / 2
            delay = dwt.delay_of(_depth(k, len(bands)), self.wavelet) if len(bands) > 1 else 0.0
            times_s = (piece.begin + np.maximum(middles * step - delay, 0.0)) / sample_rate
            low = np.minimum.reduceat(band, edges, axis=1).min(axis=0)
            self.pieces[k].append(np.stack([times_s, low, np.maximum.reduceat(band, edges, axis=1).max(axis=0)]))

    def joined(self) -> list[np.ndarray]:
        return [np.concatenate(pieces, axis=1) for pieces in self.pieces]


@dataclass
class Survey:
    """What the first pass found; bands from low to high."""

    sample_rate: int
    n_channels: int
    n_samples: int
    depth: int
    statistics: dwt.Statistics
    coefficients: Bands
    curves: Curves


@dataclass
class Cleaning:
    """The settings of the second pass, and what it found: see `volna.workflows.listening.wavelet.Denoising`."""

    kind: str
    sigmas: np.ndarray
    limits: np.ndarray
    curves: Curves | None = None
    n_zeroed: int = 0
    error: float = 0.0  # estimated squares of what the cleaned sound is off the clean one
    clean_squares: float = 0.0  # of the reference
    noise_before: float = 0.0  # squares of the differences to it
    noise_after: float = 0.0


def _depth(band: int, n_bands: int) -> int:
    """Halvings of a band, counted from low to high: ``a_L, d_L ... d_1``."""
    return n_bands - 1 - max(band - 1, 0)


@contextlib.contextmanager
def _opened(source: Source) -> Iterator[tuple[Any, Iterator[Piece]]]:
    with open_channels(source.path) as stream:
        context = dwt.context_of(source.wavelet, source.level)
        step = 2**source.level
        length = max(context, step * math.ceil(PIECE_S * stream.sample_rate / step))
        blocks = channel_blocks(stream, start_s=source.start_s, duration_s=source.duration_s, progress=source.progress)
        yield stream, pieces_of(blocks, length, context)


def _own(bands: Bands, piece: Piece) -> Bands:
    """The coefficients that belong to the samples of a piece, and at the very end those that continue it."""
    own = []
    for k, band in enumerate(bands):
        depth = _depth(k, len(bands))
        end = None if piece.last else (piece.left + piece.length) >> depth
        own.append(band[:, piece.left >> depth : end])
    return own


def survey(source: Source, draw: bool) -> Survey:
    """Read the file once: energies, medians, what the picture shows.

    Raises
    ------
    AudioError
        It cannot be decoded, or the span begins after its end.
    """
    with _opened(source) as (stream, pieces):
        rate = stream.sample_rate
        duration_s = min(source.duration_s or math.inf, max(1 / rate, stream.duration_s - source.start_s))
        curves = Curves(COLUMNS / duration_s, source.wavelet)
        found: list[dwt.Statistics] = []
        kept: list[Bands] = []
        n_samples = 0
        for piece in pieces:
            bands = _own(dwt.decompose(piece.samples, source.wavelet, source.level), piece)
            found.append(dwt.statistics(bands))
            n_samples += piece.length
            kept = [*kept, bands] if n_samples <= KEEP_S * rate else []
            if draw:
                curves.add(bands, piece, rate)
        whole = [np.concatenate(parts, axis=1) for parts in zip(*kept, strict=True)]
        depth = found[0].counts.size - 1
        return Survey(rate, stream.n_channels, n_samples, depth, _together(found), whole, curves)


def _together(found: list[dwt.Statistics]) -> dwt.Statistics:
    """Statistics of all pieces: the median is the middle one of theirs."""
    return dwt.Statistics(
        np.median([one.medians for one in found], axis=0),
        np.sum([one.squares for one in found], axis=0),
        np.sum([one.counts for one in found], axis=0),
    )


def clean(
    source: Source, surveyed: Survey, cleaning: Cleaning, into: Samples, reference: str | Path | None = None
) -> None:
    """Read the file again and write it into an array ``(n_channels, n_samples)`` without what is below the thresholds.

    Raises
    ------
    AudioError
        The reference has another rate or other channels, or cannot be decoded.
    """
    with contextlib.ExitStack() as open_files:
        _, pieces = open_files.enter_context(_opened(source))
        clean_pieces: Iterator[Piece] = iter(())
        if reference is not None:
            other = Source(reference, source.wavelet, source.level, source.start_s, source.duration_s)
            stream, clean_pieces = open_files.enter_context(_opened(other))
            if (stream.sample_rate, stream.n_channels) != (surveyed.sample_rate, surveyed.n_channels):
                raise AudioError(
                    f"{reference}: expected a clean recording of {surveyed.n_channels} channels at "
                    f"{surveyed.sample_rate} Hz, got {stream.n_channels} at {stream.sample_rate} Hz"
                )
        for piece in pieces:
            bands = dwt.decompose(piece.samples, source.wavelet, source.level)
            kept = [
                dwt.shrink(band, limit, cleaning.kind) if limit.any() else band
                for band, limit in zip(bands, cleaning.limits.T, strict=True)
            ]
            sound = dwt.reconstruct(kept, piece.samples.shape[1], source.wavelet)
            own = sound[:, piece.left : piece.left + piece.length]
            into[:, piece.begin : piece.begin + piece.length] = own
            _count(cleaning, _own(bands, piece), _own(kept, piece))
            if cleaning.curves is not None:
                cleaning.curves.add(_own(kept, piece), piece, surveyed.sample_rate)
            _compare(cleaning, piece, own, next(clean_pieces, None))


def _count(cleaning: Cleaning, bands: Bands, kept: Bands) -> None:
    """Stein's unbiased estimate of the squared error: n s^2 + sum(min(d^2, t^2)) - 2 s^2 #(|d| <= t)."""
    for k, (band, left) in enumerate(zip(bands, kept, strict=True)):
        power = cleaning.sigmas[:, k] ** 2
        limit = cleaning.limits[:, k]
        small = (np.abs(band) <= limit[:, None]) & (limit[:, None] > 0)
        n_small = small.sum(axis=1)
        moved = np.einsum("cn,cn->c", band - left, band - left, dtype=np.float64)
        cleaning.error += float((band.shape[1] * power + moved - 2.0 * power * n_small).sum())
        cleaning.n_zeroed += int(n_small.sum()) if k else 0


def _compare(cleaning: Cleaning, piece: Piece, own: Samples, clean_piece: Piece | None) -> None:
    if clean_piece is None:
        return
    truth = clean_piece.samples[:, clean_piece.left : clean_piece.left + clean_piece.length]
    n = min(truth.shape[1], own.shape[1])
    truth, noisy = truth[:, :n].astype(np.float64), piece.samples[:, piece.left : piece.left + n]
    cleaning.clean_squares += float(np.square(truth).sum())
    cleaning.noise_before += float(np.square(noisy - truth).sum())
    cleaning.noise_after += float(np.square(own[:, :n] - truth).sum())


def curves_of(
    surveyed: Survey, cleaning: Cleaning | None, bands: list[dwt.Band], start_s: float = 0.0
) -> list[BandCurve]:
    """What `draw_wavelet` draws, from the finest detail down."""
    was = surveyed.curves.joined()
    kept = cleaning.curves.joined() if cleaning is not None and cleaning.curves is not None else None
    drawn = []
    for k, band in reversed(list(enumerate(bands))):
        times_s, low, high = was[k]
        left = None if kept is None else kept[k][1:]
        limit = 0.0 if cleaning is None else float(cleaning.limits[:, k].max())
        drawn.append(BandCurve(band.name, band.low_hz, band.high_hz, times_s + start_s, low, high, left, limit))
    return drawn
