"""Noise taken out by wavelet thresholds: small coefficients are noise, large ones sound.

The noise of every band is measured from the median of its coefficients (Johnstone and Silverman 1997), thresholds are
those of `volna.features.wavelet`. A stretch of some seconds at a time, as the noise may change.

Measure: SI-SDR and PESQ over noisy speech, docs/denoising.md.
"""

from __future__ import annotations

import numpy as np

from volna.features import wavelet as dwt
from volna.features.frames import Floats

__all__ = ["CONTEXT", "LEVEL", "WAVELET", "without_noise"]

WAVELET, LEVEL = "sym12", 6
CONTEXT = 2 * 24 * 2**LEVEL  # samples on either side beyond which a stretch is as if cut from the whole sound


def without_noise(
    samples: Floats,
    *,
    strength: float = 1.0,
    wavelet: str = WAVELET,
    level: int = LEVEL,
    rule: str = "bayes",
    kind: str = "soft",
) -> Floats:
    """A stretch of sound with its noise turned down.

    Parameters
    ----------
    samples : ndarray
        float32 ``(n_channels, n_samples)``, some seconds; one too short to be split comes back as it is.
    strength : float
        From 0, nothing happens, to 1.
    wavelet, level, rule, kind
        See `volna.features.wavelet`.

    Returns
    -------
    ndarray
        float32, same shape.

    Examples
    --------
    >>> hiss = np.random.default_rng(0).normal(0, 0.1, (1, 8000)).astype(np.float32)
    >>> bool(without_noise(hiss).std() < 0.05)
    True
    """
    bands = dwt.decompose(samples, wavelet, level)
    if len(bands) == 1:
        return samples
    about = dwt.statistics(bands)
    limits = dwt.thresholds(about, dwt.noise_levels(about, "coloured"), rule)
    kept = [dwt.shrink(band, limits[:, k], kind) for k, band in enumerate(bands)]
    clean = dwt.reconstruct(kept, samples.shape[-1], wavelet)
    return samples + np.float32(strength) * (clean - samples)
