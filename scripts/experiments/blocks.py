"""Hand-made blocks of numbers for a clip, all from its log-mel ``(n_mels, n_frames)`` in dB.

MFCC statistics (Logan 2001), correlations of MFCC (after Mandel and Ellis 2005), modulation spectra of MFCC (Lee et al.
2009), fluctuation patterns (Pampalk 2001), onset coefficients (Pohle et al. 2009) and the block-level patterns of
Seyerlehner et al. (2010). Every function returns one vector whose length does not depend on the length of the clip.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import scipy.fft

FRAMES_PER_S = 12_000 / 280
N_MFCC = 20


def mfcc(mel: np.ndarray, n: int = N_MFCC) -> np.ndarray:
    """``(n_mels, T) -> (n, T)``."""
    return scipy.fft.dct(mel, axis=0, norm="ortho")[:n]


def slope(x: np.ndarray, half: int = 4) -> np.ndarray:
    """Least-squares slope over ``2 * half + 1`` frames, same shape."""
    lags = np.arange(-half, half + 1)
    padded = np.pad(x, ((0, 0), (half, half)), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1, axis=1)
    return windows @ (lags / (lags**2).sum())


def mfcc60(mel: np.ndarray) -> np.ndarray:
    """Mean, spread and spread of the slope of 20 MFCC."""
    c = mfcc(mel)
    return np.concatenate([c.mean(1), c.std(1), slope(c).std(1)])


def mfcc_noc0(mel: np.ndarray) -> np.ndarray:
    """The same without the mean of the first one, the loudness."""
    return mfcc60(mel)[1:]


def mfcc_more(mel: np.ndarray) -> np.ndarray:
    """Percentiles 10, 50 and 90 of 20 MFCC, and 75 of the size of the slope."""
    c = mfcc(mel)
    return np.concatenate([*np.percentile(c, [10, 50, 90], axis=1), np.percentile(np.abs(slope(c)), 75, axis=1)])


def mfcc_covariance(mel: np.ndarray) -> np.ndarray:
    """Correlations between the first 13 MFCC, Fisher's z."""
    c = mfcc(mel, 13)
    r = np.corrcoef(c + 1e-6 * np.random.default_rng(0).standard_normal(c.shape))
    return np.arctanh(np.clip(r[np.triu_indices(13, 1)], -0.99, 0.99))


def _segments(x: np.ndarray, length: int, step: int) -> np.ndarray:
    """``(n, T) -> (n_segments, n, length)``; a short clip is repeated to fill one."""
    if x.shape[1] < length:
        x = np.tile(x, (1, -(-length // x.shape[1])))[:, :length]
    return np.lib.stride_tricks.sliding_window_view(x, length, axis=1)[:, ::step].transpose(1, 0, 2)


def _modulation(x: np.ndarray, edges_hz: np.ndarray, length: int = 256) -> np.ndarray:
    """Root of the power of each row in each band of modulation: ``(n_segments, n, n_bands)``."""
    seg = _segments(x, length, length // 2)
    window = np.hanning(length)
    power = np.abs(scipy.fft.rfft((seg - seg.mean(-1, keepdims=True)) * window, axis=-1)) ** 2
    hz = np.arange(power.shape[-1]) * FRAMES_PER_S / length
    masks = np.stack([(hz >= lo) & (hz < hi) for lo, hi in pairwise(edges_hz)], 1)
    return np.sqrt(power @ masks / window.sum())


def mfcc_modulation(mel: np.ndarray, n: int = 30, n_bands: int = 6, top_hz: float = 20.0) -> np.ndarray:
    """Log strength of ``n`` MFCC in ``n_bands`` bands of modulation from 0.3 Hz up, in segments of 6 s."""
    edges = np.geomspace(0.3, top_hz, n_bands + 1)
    return np.log(np.mean(_modulation(mfcc(mel, n), edges), 0) + 0.1).ravel()


def patch_spread(mel: np.ndarray, n: int = 30, n_times: int = 4, length: int = 16) -> np.ndarray:
    """Spread of the 2-D cosine coefficients of patches of 16 frames: a linear autoencoder that needs no training."""
    c = mfcc(mel, n)
    whole = c[:, : c.shape[1] // length * length].reshape(n, -1, length)
    return scipy.fft.dct(whole, axis=2, norm="ortho")[..., :n_times].std(1).ravel()


def _grouped(mel: np.ndarray, n: int) -> np.ndarray:
    edges = np.linspace(0, mel.shape[0], n + 1).astype(int)
    return np.add.reduceat(mel, edges[:-1], axis=0) / np.diff(edges)[:, None]


def _dct2(pattern: np.ndarray, rows: int, columns: int) -> np.ndarray:
    return scipy.fft.dctn(pattern, norm="ortho")[:rows, :columns].ravel()


def fluctuation(mel: np.ndarray) -> np.ndarray:
    """12 bands by 12 speeds, 0.5 to 10 Hz, weighted as such fluctuations are felt."""
    edges = np.geomspace(0.5, 10, 13)
    centres = np.sqrt(edges[1:] * edges[:-1])
    weight = 1 / (centres / 4 + 4 / centres)
    return (np.median(_modulation(_grouped(mel, 12), edges), 0) * weight).ravel()


def fluctuation36(mel: np.ndarray) -> np.ndarray:
    """The package's: 6 bands by 6 speeds."""
    from volna.features.rhythm import fluctuation_pattern

    return fluctuation_pattern([mel], FRAMES_PER_S, n_bands=6, n_modulations=6).ravel()


def onset_coefficients(mel: np.ndarray) -> np.ndarray:
    """Rises of 24 bands, their log-frequency modulation spectrum, and its 2-D cosine transform (7 x 10)."""
    bands = _grouped(mel, 24)
    rise = np.maximum(np.diff(bands, axis=1), 0)
    edges = np.geomspace(0.5, 20, 26)
    return _dct2(np.log(np.mean(_modulation(rise, edges), 0) + 0.05), 7, 10)


def _blocks(x: np.ndarray, length: int, hop: int | None = None) -> np.ndarray:
    return _segments(x, length, hop or max(1, length // 2))


def spectral_pattern(mel: np.ndarray) -> np.ndarray:
    """Bands sorted in time within ten frames, 90th percentile over blocks, compressed."""
    p = np.percentile(np.sort(_blocks(mel, 10), axis=-1), 90, axis=0)
    return _dct2(p, 30, 3)


def delta_pattern(mel: np.ndarray) -> np.ndarray:
    """Rises over three frames, sorted within 25, 90th percentile over blocks, compressed."""
    d = np.maximum(mel[:, 3:] - mel[:, :-3], 0)
    p = np.percentile(np.sort(_blocks(d, 25, 5), axis=-1)[..., -14:], 90, axis=0)
    return _dct2(p, 24, 4)


def variance_pattern(mel: np.ndarray) -> np.ndarray:
    """Variance of the rises within 25 frames, sorted over blocks and compressed."""
    d = np.maximum(mel[:, 3:] - mel[:, :-3], 0)
    v = np.sqrt(_blocks(d, 25, 5).var(axis=-1))  # (n_blocks, n_mels)
    return _dct2(np.percentile(v, [15, 50, 85], axis=0).T, 24, 3)


def log_fluctuation(mel: np.ndarray) -> np.ndarray:
    """Log-frequency modulation spectrum of 24 bands in 12 s blocks, 60th percentile, compressed."""
    edges = np.geomspace(0.2, 16, 30)
    m = _modulation(_grouped(mel, 24), edges, 512)
    return _dct2(np.log(np.percentile(m, 60, axis=0) + 0.1), 10, 12)


def correlation_pattern(mel: np.ndarray) -> np.ndarray:
    """Correlations between 24 bands in 6 s blocks, median, compressed."""
    seg = _blocks(_grouped(mel, 24), 256)
    seg = seg - seg.mean(-1, keepdims=True)
    seg = seg / (seg.std(-1, keepdims=True) + 0.5)
    return _dct2(np.median(seg @ seg.transpose(0, 2, 1) / seg.shape[-1], 0), 9, 9)


def contrast_pattern(mel: np.ndarray) -> np.ndarray:
    """Local contrast of each frame (peak to valley of seven bands), percentiles over time, compressed."""
    w = np.lib.stride_tricks.sliding_window_view(mel, 7, axis=0)
    contrast = w.max(-1) - w.min(-1)
    return _dct2(np.percentile(contrast, [10, 50, 90], axis=1).T, 20, 3)


BLOCKS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "mfcc60": mfcc60,
    "mfcc_noc0": mfcc_noc0,
    "mfcc_more": mfcc_more,
    "mfcc_covariance": mfcc_covariance,
    "mfcc_modulation": mfcc_modulation,
    "patch_spread": patch_spread,
    "fluctuation": fluctuation,
    "fluctuation36": fluctuation36,
    "onset_coefficients": onset_coefficients,
    "spectral_pattern": spectral_pattern,
    "delta_pattern": delta_pattern,
    "variance_pattern": variance_pattern,
    "log_fluctuation": log_fluctuation,
    "correlation_pattern": correlation_pattern,
    "contrast_pattern": contrast_pattern,
}
