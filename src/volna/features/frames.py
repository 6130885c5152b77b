"""Samples to frames: checks, windows, cutting, pre-emphasis.

``samples`` are ``(n_samples,)``, mono, full scale at 1; what comes out is float32.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from volna.errors import InputError

__all__ = ["WINDOWS", "Floats", "checked", "frame", "frozen", "pre_emphasis", "window_of"]

Floats = NDArray[np.float32]

# Generalised cosine windows a - (1 - a) cos(2 pi n / N).
WINDOWS = {"hann": 0.5, "hamming": 0.54, "rectangular": 1.0}


@lru_cache(maxsize=64)
def window_of(name: str, n: int, periodic: bool = True) -> Floats:
    """Return a window by name.

    Textbooks print the symmetric form, whose last value repeats the first; the periodic form (default, as in librosa)
    drops that value, so that overlapping windows add up to a constant.

    Parameters
    ----------
    name : str
        ``"hann"``, ``"hamming"`` or ``"rectangular"``.
    n : int
        Length in samples.
    periodic : bool
        False for the symmetric window of the textbooks.

    Returns
    -------
    ndarray
        float32 ``(n,)``, values in [0, 1]; shared and read-only.

    Examples
    --------
    >>> window_of("hann", 4)
    array([0. , 0.5, 1. , 0.5], dtype=float32)
    >>> window_of("hann", 5, periodic=False)
    array([0. , 0.5, 1. , 0.5, 0. ], dtype=float32)
    """
    if name not in WINDOWS:
        raise InputError(f"window must be one of {', '.join(WINDOWS)}, got {name!r}")
    a = WINDOWS[name]
    turn = np.arange(n) / (n if periodic else max(n - 1, 1))
    return frozen(a - (1.0 - a) * np.cos(2.0 * np.pi * turn))


def checked(samples: ArrayLike) -> Floats:
    """Return samples as float32 ``(n_samples,)``, or raise when they are none.

    Raises
    ------
    InputError
        When they are not one-dimensional, empty, or hold NaN or infinity.

    Examples
    --------
    >>> checked([0, 1]).dtype
    dtype('float32')
    """
    array = np.ascontiguousarray(samples, dtype=np.float32)
    if array.ndim != 1 or not len(array):
        raise InputError(f"expected samples of shape (n_samples,), got shape {array.shape}")
    if not np.isfinite(array).all():
        raise InputError("expected finite samples, got NaN or infinity")
    return array


def frame(
    samples: Floats, frame_length: int, hop_length: int, *, centre: bool = True, mode: str = "constant"
) -> Floats:
    """Cut samples into overlapping frames, without copying more than the padding.

    ::

        centre=True    0 0 0 x0 x1 x2 x3 ... 0 0 0        n_frames = 1 + n_samples // hop_length
                       |--- frame 0 --|                   frame t is centred on sample t * hop_length

    Parameters
    ----------
    samples : ndarray
        float32 ``(n_samples,)``.
    centre : bool
        Pad both ends by half a frame; otherwise frame ``t`` starts at ``t * hop_length`` and a rest is left out.
    mode : str
        How to pad, as ``numpy.pad`` calls it: ``"constant"`` for zeros, ``"edge"``, ``"reflect"``.

    Returns
    -------
    ndarray
        float32 ``(frame_length, n_frames)``, a read-only view.

    Raises
    ------
    InputError
        Without centring, when the sound is shorter than a frame.

    Examples
    --------
    >>> frame(np.arange(1, 6, dtype=np.float32), 4, 2, centre=False)
    array([[1.],
           [2.],
           [3.],
           [4.]], dtype=float32)
    """
    if centre:
        samples = np.pad(samples, frame_length // 2, mode=mode)  # type: ignore[call-overload]
    if len(samples) < frame_length:
        raise InputError(f"expected at least one frame of {frame_length} samples, got {len(samples)}")
    return np.lib.stride_tricks.sliding_window_view(samples, frame_length)[::hop_length].T


def pre_emphasis(samples: Floats, coefficient: float = 0.97) -> Floats:
    """Lift the treble before an analysis, y[n] = x[n] - c x[n-1] with y[0] = x[0]; float32, same shape.

    Examples
    --------
    >>> pre_emphasis(np.array([1, 1, 1], dtype=np.float32), 0.5)
    array([1. , 0.5, 0.5], dtype=float32)
    """
    out = samples.astype(np.float32, copy=True)
    out[1:] -= np.float32(coefficient) * samples[:-1]
    return out


def frozen(values: NDArray[np.floating]) -> Floats:
    """A float32 copy that a cache may hand out: nobody can write to it."""
    array = values.astype(np.float32)
    array.setflags(write=False)
    return array
