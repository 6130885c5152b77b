"""How much steady noise lies under a sound: the noise floor and the signal-to-noise ratio, and whether it is plain.

Noise fills the spectrum between and below the tones and stays when these pause. In bands of an eighth of an octave the
valley (a bin that 30 % lie below) of every frame is taken, and the quiet ones among the frames: the minimum statistics
of Martin (2001). A sound that is noise itself, as rain or a hiss made on purpose, has no other sound above it and is
not judged.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from volna.tasks.diagnosis.finding import Finding, Floats, certainty

__all__ = ["Noise"]

N_BANDS = 64
LOWEST_HZ, LEAST_BINS = 30.0, 8
RUMBLE_HZ = 120.0  # below, power counts less for whether the sound is noise itself: brown noise is all rumble
QUIET, LESS_QUIET = 10.0, 40.0  # percentiles of the frames
VALLEY = 0.3  # quantile of the bins of a band: overtones 50 Hz apart leave that many between them
VALLEY_OF_NOISE = -float(
    np.log(1 - VALLEY)
)  # the same of noise, whose bins have an exponential power, against its mean
STEADY_DB, STEADY_SPREAD_DB = 1.0, 8.0  # between the two percentiles: for ever, and more by 1 / sqrt(bins)
QUIET_BIAS = 1.6  # the quiet frames of a band of n bins lie below the mean by this share over sqrt(n)
MOST_OWN = 0.38  # of the power in valleys that stay: the sound itself is noise
STEADY_BANDS = 0.3
PLAIN_SNR_DB, LEAST_SNR_DB = 15.0, 3.0
RANDOM = 0.8  # mean change of the logarithm of a bin's power between frames; of noise it is 1.39, of tones about 0


class Noise:
    """Band valleys, frame by frame; what is kept is four numbers a piece."""

    def __init__(self, sample_rate: int, n_fft: int) -> None:
        hz = np.arange(n_fft // 2 + 1) * sample_rate / n_fft
        edges = [int(np.searchsorted(hz, LOWEST_HZ))]
        for edge in np.searchsorted(hz, np.geomspace(LOWEST_HZ, 0.46 * sample_rate, N_BANDS + 1)):
            if edge - edges[-1] >= LEAST_BINS:
                edges.append(int(edge))
        self.bands = list(itertools.pairwise(edges))
        self.weight = (hz**2 / (hz**2 + RUMBLE_HZ**2)).astype(np.float32)
        self.noise: list[float] = []
        self.total: list[float] = []
        self.steady: list[float] = []
        self.own: list[float] = []

    def add(self, power: Floats) -> None:
        """Power spectra ``(n_frames, n_bins)`` of one piece, as `spectra` makes them."""
        if len(power) < 8:
            return
        valleys = [np.percentile(power[:, a:b], 100 * VALLEY, axis=1) for a, b in self.bands]
        quiet, less = np.percentile(np.stack(valleys, axis=1) / VALLEY_OF_NOISE, [QUIET, LESS_QUIET], axis=0)
        widths = np.array([b - a for a, b in self.bands])
        quiet /= np.maximum(0.3, 1 - QUIET_BIAS / np.sqrt(widths))
        less /= np.maximum(0.3, 1 - QUIET_BIAS / np.sqrt(widths))
        random = self._is_random(power)
        spread = 10 * np.log10((less + 1e-18) / (quiet + 1e-18))
        steady = random & (quiet > 1e-14) & (spread < STEADY_DB + STEADY_SPREAD_DB / np.sqrt(widths))
        density = _noise_alone(quiet, steady) if steady.any() else np.where(random, quiet, 0.0)
        used = power[:, self.bands[0][0] : self.bands[-1][1]]
        total = float(used.sum(axis=1, dtype=np.float64).mean())
        self.steady.append(float(steady.mean()))
        weight = self.weight[self.bands[0][0] : self.bands[-1][1]]
        weights = np.array([float(self.weight[a:b].mean()) for a, b in self.bands])
        self.own.append(float((quiet * widths * random * weights).sum()) / max(float((used @ weight).mean()), 1e-18))
        self.noise.append(float((density * widths).sum()) / 3)
        self.total.append(total / 3)

    def _is_random(self, power: Floats) -> np.ndarray:
        """Band by band, whether its bins change from frame to frame as those of noise do."""
        change = np.abs(np.diff(np.log(power[::2] + np.float32(1e-18)), axis=0)).mean(axis=0)
        return np.array([float(change[a:b].mean()) for a, b in self.bands]) > RANDOM

    def measures(self) -> dict[str, Any]:
        if not self.total:
            return {"noise_floor_db": None, "snr_db": None}
        noise, total = float(np.median(self.noise)), float(np.mean(self.total))
        floor_db = round(float(10 * np.log10(max(noise, 1e-12))), 1)
        snr = max(total - noise, 1e-3 * total, 1e-12) / max(noise, 1e-12)
        return {"noise_floor_db": floor_db, "snr_db": round(float(10 * np.log10(snr)), 1)}

    def findings(self, duration_s: float) -> list[Finding]:
        if not self.total:
            return []
        snr_db = self.measures()["snr_db"]
        if (
            not LEAST_SNR_DB < snr_db < PLAIN_SNR_DB
            or np.median(self.steady) < STEADY_BANDS
            or np.median(self.own) > MOST_OWN
        ):
            return []
        text = f"Steady noise lies {snr_db:.0f} dB below the sound."
        span = ((0.0, round(duration_s, 4)),)
        return [Finding("noise", snr_db, "dB SNR", certainty((PLAIN_SNR_DB - snr_db) / 4), text, None, span)]


def _noise_alone(quiet: np.ndarray, steady: np.ndarray) -> np.ndarray:
    """Valleys of bands that are not steady may be the sound's own: no more than in the nearest band that is noise."""
    places = np.flatnonzero(steady)
    nearest = places[np.abs(np.arange(len(quiet))[:, None] - places).argmin(axis=1)]
    return np.minimum(quiet, quiet[nearest])
