"""Faults that levels tell: an offset, a low level, a dead channel, a channel of inverted polarity."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from volna.tasks.diagnosis.finding import Finding, Piece, certainty

__all__ = ["Levels"]

FRAME_S = 0.1
LEAST_OFFSET = 0.02  # of full scale, -34 dBFS
STEADY_OFFSET = 0.35  # spread of the frames' means against their median: an offset stays, a slow wave does not
LOPSIDED, FRAMES_A_SECOND = 0.25, 10
ONE_SIDED_SKEW, ONE_SIDED_REACH = 0.4, 0.5
START_S, AT_REST = 0.0007, 0.3
LOW_PEAK_DB, LOW_LOUD_DB = -34.0, -38.0  # the highest sample, and the loudest half second
DEAD_DB, ALIVE_DB, DEAD_BELOW_DB = -75.0, -80.0, 45.0
SILENT = 3.2e-5  # a step of 16 bits
LEAST_S = 0.2  # shorter sounds have no mean and no polarity to speak of
OPPOSITE, ALWAYS_OPPOSITE = -0.2, -0.985  # correlation of two channels: in most bands, or over all
N_BANDS = 12
LEAST_BANDS, MOST_BANDS_SHARE = 4, 0.7
BAND_FLOOR_DB = -35.0  # a band this far below the strongest says nothing
LOUD_FRAMES = 5


class Levels:
    """Means, powers and correlations in frames of 0.1 s; two numbers a frame and channel are kept."""

    def __init__(self, n_channels: int) -> None:
        self.means: list[np.ndarray] = []
        self.rests: list[np.ndarray] = []
        self.powers: list[np.ndarray] = []
        self.peaks = np.zeros(n_channels)
        self.n_channels = n_channels
        self.n = 0
        self.extremes = np.zeros((2, n_channels))
        self.first: np.ndarray | None = None
        self.sums = np.zeros((3, n_channels))  # of x, x^2, x^3
        self.cross = np.zeros((max(n_channels - 1, 0), N_BANDS))
        self.auto = np.zeros((n_channels, N_BANDS))
        self.products = np.zeros((n_channels, n_channels))

    def add(self, piece: Piece) -> None:
        own = piece.own
        n = max(1, round(FRAME_S * piece.sample_rate))
        self.peaks = np.maximum(self.peaks, np.abs(own).max(axis=1))
        self.extremes = np.stack(
            [np.minimum(self.extremes[0], own.min(axis=1)), np.maximum(self.extremes[1], own.max(axis=1))]
        )
        if self.first is None:
            self.first = np.abs(own[:, : max(8, round(START_S * piece.sample_rate))]).max(axis=1)
        square = own * own
        self.sums += [x.sum(axis=1, dtype=np.float64) for x in (own, square, square * own)]
        self.n += own.shape[1]
        whole = own[:, : max(n, own.shape[1] // n * n)]
        frames = whole.reshape(self.n_channels, -1, min(n, whole.shape[1]))
        self.means.append(frames.mean(axis=2).T)
        self.rests.append(_rest(frames).T)
        self.powers.append(np.einsum("cfn,cfn->fc", frames, frames, dtype=np.float64) / frames.shape[2])
        if self.n_channels > 1:
            self._correlate(own, piece.sample_rate)

    def _correlate(self, own: np.ndarray, sample_rate: int) -> None:
        """Sums for the correlation of the first channel with every other, in bands from 60 Hz to 6 kHz and over all."""
        import scipy.fft

        self.products += own.astype(np.float64) @ own.T.astype(np.float64)
        bins = scipy.fft.rfft(own, scipy.fft.next_fast_len(own.shape[1], real=True))
        edges_hz = np.geomspace(60, min(6000, 0.45 * sample_rate), N_BANDS + 1)
        edges = np.unique((edges_hz / sample_rate * 2 * (bins.shape[1] - 1)).astype(int))
        if len(edges) <= N_BANDS:
            return  # too short for bands
        for band, (low, high) in enumerate(itertools.pairwise(edges)):
            part = bins[:, low:high]
            self.auto[:, band] += (part.real**2 + part.imag**2).sum(axis=1)
            self.cross[:, band] += (part[0] * part[1:].conj()).real.sum(axis=1)

    @property
    def rms(self) -> np.ndarray:
        return np.sqrt(np.concatenate(self.powers).mean(axis=0))

    def measures(self) -> dict[str, Any]:
        """Peak and RMS level in dBFS, offset, and the correlation of the first two channels."""
        means = np.concatenate(self.means)
        out: dict[str, Any] = {
            "peak_db": _db(self.peaks.max()),
            "rms_db": _db(float(np.sqrt(np.mean(self.rms**2)))),
            "offset": round(float(means.mean(axis=0)[np.abs(means.mean(axis=0)).argmax()]), 6),
        }
        scale = np.sqrt(self.products[0, 0] * self.products[1, 1]) if self.n_channels > 1 else 0.0
        out["correlation"] = round(float(self.products[0, 1] / scale), 4) if scale > 0 else None
        return out

    def findings(self, duration_s: float) -> list[Finding]:
        if self.peaks.max() <= SILENT:
            return []  # the silence of a whole file is reported once, elsewhere
        whole = ((0.0, round(duration_s, 4)),)
        dead = self._dead(whole)
        found = [*dead, *self._low(whole)]
        if duration_s < LEAST_S:
            return found
        found += self._offsets(whole)
        return found if dead else [*found, *self._opposite(whole)]

    def _offsets(self, whole: tuple[tuple[float, float], ...]) -> list[Finding]:
        found = []
        for channel in range(self.n_channels):
            low, middle, high = np.percentile(self._baseline(channel), [10, 50, 90])
            spread = (high - low) / 2
            steady = abs(middle) >= LEAST_OFFSET and spread <= STEADY_OFFSET * abs(middle)
            if steady and not self._is_of_the_sound(channel, float(middle)):
                text = f"The wave swings around {middle:+.4f} of full scale instead of zero."
                sure = certainty(np.log2(abs(middle) / LEAST_OFFSET))
                found.append(
                    Finding("dc_offset", round(float(middle), 5), "of full scale", sure, text, channel + 1, whole)
                )
        return found

    def _skew(self, channel: int) -> float:
        mean, square, cube = self.sums[:, channel] / self.n
        return float((cube - 3 * mean * square + 2 * mean**3) / max(square - mean**2, 1e-12) ** 1.5)

    def _baseline(self, channel: int) -> np.ndarray:
        """What the wave swings around, second by second: its mean, or, where it is lopsided, what is nearer zero.

        Pulses, as of a voice, have a mean of their own but rest at zero.
        """
        mean, rest = (np.concatenate(frames)[:, channel] for frames in (self.means, self.rests))
        if abs(self._skew(channel)) > LOPSIDED:
            mean = np.where(mean * rest > 0, np.where(np.abs(mean) < np.abs(rest), mean, rest), 0.0)
        n = min(FRAMES_A_SECOND, len(mean))
        return np.convolve(mean, np.ones(n) / n, mode="valid")

    def _is_of_the_sound(self, channel: int, middle: float) -> bool:
        """Whether the mean is the sound's own: pulses on one side of zero, or a sound that starts at rest on zero."""
        sign = np.sign(middle)
        mean, square, _ = self.sums[:, channel] / self.n
        variance = square - mean**2
        if middle**2 > variance:
            return False  # no wave has so much of its own
        if self.first is not None and self.first[channel] < AT_REST * abs(middle):
            return True
        low, high = sorted(sign * self.extremes[:, channel])
        return bool(sign * self._skew(channel) > ONE_SIDED_SKEW and low > -ONE_SIDED_REACH * high)

    def _low(self, whole: tuple[tuple[float, float], ...]) -> list[Finding]:
        power = np.concatenate(self.powers).max(axis=1)
        n = min(LOUD_FRAMES, len(power))
        loudest_db = _db(float(np.sqrt(np.convolve(power, np.ones(n) / n, mode="valid").max())))
        peak_db = _db(self.peaks.max())
        if peak_db > LOW_PEAK_DB or loudest_db > LOW_LOUD_DB:
            return []
        text = f"The highest sample is at {peak_db:.1f} dBFS, and the loudest half second at {loudest_db:.1f} dBFS."
        return [Finding("low_level", peak_db, "dBFS", certainty((LOW_PEAK_DB - peak_db) / 6), text, None, whole)]

    def _dead(self, whole: tuple[tuple[float, float], ...]) -> list[Finding]:
        levels = 20 * np.log10(np.maximum(self.rms, 1e-7))
        best, found = levels.max(), []
        for channel in range(self.n_channels):
            below = best - levels[channel]
            if best > ALIVE_DB and levels[channel] < DEAD_DB and below > DEAD_BELOW_DB:
                text = f"Channel {channel + 1} is silent while another has {best:.1f} dBFS."
                sure = certainty((below - DEAD_BELOW_DB) / 6)
                found.append(
                    Finding("dead_channel", round(float(levels[channel]), 1), "dBFS", sure, text, channel + 1, whole)
                )
        return found

    def _opposite(self, whole: tuple[tuple[float, float], ...]) -> list[Finding]:
        found = []
        for channel in range(1, self.n_channels):
            scale = np.sqrt(self.products[0, 0] * self.products[channel, channel])
            overall = float(self.products[0, channel] / scale) if scale > 0 else 0.0
            bands = np.sqrt(self.auto[0] * self.auto[channel])
            heard = bands > bands.max() * 10 ** (BAND_FLOOR_DB / 10)
            values = self.cross[channel - 1][heard] / np.maximum(bands[heard], 1e-30)
            n_opposite = int((values < OPPOSITE).sum())
            broad = len(values) >= LEAST_BANDS and n_opposite >= MOST_BANDS_SHARE * len(values) and overall < OPPOSITE
            if broad or overall < ALWAYS_OPPOSITE:
                text = f"Channels 1 and {channel + 1} move against each other: one has the wrong polarity."
                sure = certainty((OPPOSITE - overall) / 0.15)
                found.append(
                    Finding("inverted_channel", round(overall, 3), "correlation", sure, text, channel + 1, whole)
                )
        return found


def _rest(frames: np.ndarray) -> np.ndarray:
    """Where every frame ``(n_channels, n_frames, n)`` rests: its median.

    A wave of two levels rests at one of them, so the middle between its extremes stands for the median.
    """
    median = np.median(frames[:, :, ::3], axis=2)
    low, high = frames.min(axis=2), frames.max(axis=2)
    at_an_end = np.minimum(median - low, high - median) < 0.02 * (high - low)
    return np.where(at_an_end, (low + high) / 2, median)


def _db(amplitude: float) -> float:
    return round(float(20 * np.log10(max(amplitude, 1e-7))), 2)
