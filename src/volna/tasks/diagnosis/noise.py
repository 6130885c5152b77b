"""How much steady noise lies under a sound: the noise floor and the signal-to-noise ratio, and whether it is plain.

Noise fills the spectrum between and below the tones and stays when these pause. In bands of a third of an octave the
valley (the median bin) of every frame is taken, and the quiet ones among the frames: the minimum statistics of Martin
(2001). A sound that is noise itself, as rain or a hiss made on purpose, has no other sound above it and is not judged.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from volna.tasks.diagnosis.finding import Finding, Floats, certainty

__all__ = ["Noise"]

N_BANDS = 32
LOWEST_HZ, LEAST_BINS = 30.0, 8
QUIET, LESS_QUIET = 10.0, 40.0  # percentiles of the frames
MEDIAN_OF_EXPONENTIAL = float(np.log(2))  # of the power of noise in one bin, against its mean
STEADY_DB, STEADY_SPREAD_DB = 1.0, 8.0  # between the two percentiles: for ever, and more by 1 / sqrt(bins)
QUIET_BIAS = 1.6  # the quiet frames of a band of n bins lie below the mean by this share over sqrt(n)
MOST_OWN = 0.55  # of the power in valleys that stay: the sound itself is noise
STEADY_BANDS = 0.3
PLAIN_SNR_DB, LEAST_SNR_DB = 15.0, 4.5
RANDOM = 0.8  # mean change of the logarithm of a bin's power between frames; of noise it is 1.39, of tones about 0


class Noise:
    """Band valleys, frame by frame; 32 numbers a frame of 0.1 s are kept for one piece only."""

    def __init__(self, sample_rate: int, n_fft: int) -> None:
        hz = np.arange(n_fft // 2 + 1) * sample_rate / n_fft
        edges = [int(np.searchsorted(hz, LOWEST_HZ))]
        for edge in np.searchsorted(hz, np.geomspace(LOWEST_HZ, 0.46 * sample_rate, N_BANDS + 1)):
            if edge - edges[-1] >= LEAST_BINS:
                edges.append(int(edge))
        self.bands = list(itertools.pairwise(edges))
        self.noise: list[float] = []
        self.total: list[float] = []
        self.steady: list[float] = []
        self.own: list[float] = []

    def add(self, power: Floats) -> None:
        """Power spectra ``(n_frames, n_bins)`` of one piece, as `spectra` makes them."""
        if len(power) < 8:
            return
        valleys = np.stack([np.median(power[:, a:b], axis=1) for a, b in self.bands], axis=1) / MEDIAN_OF_EXPONENTIAL
        quiet, less = np.percentile(valleys, [QUIET, LESS_QUIET], axis=0)
        widths = np.array([b - a for a, b in self.bands])
        quiet /= np.maximum(0.3, 1 - QUIET_BIAS / np.sqrt(widths))
        less /= np.maximum(0.3, 1 - QUIET_BIAS / np.sqrt(widths))
        spread = 10 * np.log10((less + 1e-18) / (quiet + 1e-18))
        steady = spread < STEADY_DB + STEADY_SPREAD_DB / np.sqrt(widths)
        change = np.abs(np.diff(np.log(power[::2] + np.float32(1e-18)), axis=0)).mean(axis=0)
        random = np.array([float(change[a:b].mean()) for a, b in self.bands]) > RANDOM
        steady &= random & (quiet > 1e-14)
        self.steady.append(float(steady.mean()))
        self.own.append(float((quiet * widths * random).sum()) / max(float(power.sum(axis=1).mean()), 1e-18))
        density = np.where(random, quiet, 0.0)
        if steady.any():  # elsewhere the valleys may be the sound's own: no more than in the nearest band that is noise
            places = np.flatnonzero(steady)
            nearest = places[np.abs(np.arange(len(quiet))[:, None] - places).argmin(axis=1)]
            density = np.minimum(quiet, quiet[nearest])
        self.noise.append(float((density * widths).sum()) / 3)
        self.total.append(
            float(power[:, self.bands[0][0] : self.bands[-1][1]].sum(axis=1, dtype=np.float64).mean()) / 3
        )

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
