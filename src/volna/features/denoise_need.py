"""Whether there is noise worth taking out: clean sound is left alone.

Noise fills the pauses. Where the quietest moments of the last ten seconds lie 33 dB and more below their mean, hardly
anybody hears a noise behind the sound, and what a denoiser takes out is the sound's; up to 21 dB it takes out less than
all. Digital silence is no moment. Measured: without this, clean speech lost 0.3 PESQ.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from volna.features.denoise_frames import FRAME_S, HOPS
from volna.features.frames import Floats

__all__ = ["Need"]

REMEMBERED_S = 10.0
QUIET = 0.05  # quantile of the frames' powers
NONE_DB, FULL_DB = -33.0, -21.0  # of it against their mean: no noise worth the name, and noise to be taken out in full
SILENT_DB = -70.0


@dataclass
class Need:
    """How much of the noise of a sound is to be taken out, frame by frame and channel by channel; one for a sound.

    Examples
    --------
    >>> hiss = np.ones((100, 2, 5), np.float32)
    >>> Need().of(hiss)[-1].tolist()
    [1.0, 1.0]
    """

    energies: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 0)))
    last: NDArray[np.float64] | None = None

    def of(self, power: Floats) -> Floats:
        """From 0, none, to 1, all, for some frames that follow those seen so far.

        Parameters
        ----------
        power : ndarray
            ``(n_frames, n_channels, n_bins)``, squared magnitudes.

        Returns
        -------
        ndarray
            float32 ``(n_frames, n_channels)``.
        """
        most = round(REMEMBERED_S * HOPS / FRAME_S)
        new = power.sum(axis=2, dtype=np.float64)
        self.energies = np.concatenate([self.energies[-most:], new]) if self.energies.size else new
        value = np.array([_needed(channel) for channel in self.energies.T])
        before = value if self.last is None else self.last
        self.last = value
        return np.linspace(before, value, len(new) + 1)[1:].astype(np.float32)


def _needed(energies: NDArray[np.float64]) -> float:
    mean = float(energies.mean()) if len(energies) else 0.0
    heard = energies[energies > mean * 10 ** (SILENT_DB / 10)]
    if not len(heard) or mean <= 0:
        return 0.0
    quiet_db = 10 * np.log10(np.quantile(heard, QUIET) / mean)
    return float(np.clip((quiet_db - NONE_DB) / (FULL_DB - NONE_DB), 0.0, 1.0))
