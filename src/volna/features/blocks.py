"""Sound that comes in blocks, as an hour of it does: cut into stretches of whole frames, spectra pooled into columns.

Frames are those of `volna.features.frames.frame`: frame ``t`` is centred on sample ``t * hop_length``, the ends are
padded with zeros, and ``n`` samples have ``1 + n // hop_length`` of them, however they come.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from volna.errors import InputError
from volna.features.frames import Floats

__all__ = ["MOST_CELLS", "pooled", "segments", "whole_frames"]

MOST_CELLS = 2e8  # 800 MB of float32: more is no picture


def segments(
    blocks: Iterable[Floats], *, hop_length: int, before: int, after: int, n_frames: int
) -> Iterator[tuple[Floats, int]]:
    """Cut sound that comes in blocks into overlapping stretches that hold ``n_frames`` frames each.

    ::

        |--before--|                          |-----after-----|
        . . . . . .c0 . . .c1 . . .c2 . . . .cK . . . . . . . .     frame i is centred on before + i * hop_length
                     hop                                            the next stretch begins n_frames * hop_length later

    Parameters
    ----------
    blocks : iterable of ndarray
        float32 ``(n_samples,)`` each, one after another.
    before, after : int
        Samples that a frame needs before its centre, and from its centre on (at least one).
    n_frames : int
        Frames a stretch.

    Yields
    ------
    ndarray, int
        float32 ``(before + (n_frames - 1) * hop_length + after,)``, and how many of its frames are the sound's: all of
        them but in the last stretch, which is filled with zeros.

    Examples
    --------
    >>> sound = np.arange(1, 6, dtype=np.float32)
    >>> [(part.tolist(), k) for part, k in segments([sound], hop_length=2, before=1, after=1, n_frames=2)]
    [([0.0, 1.0, 2.0, 3.0], 2), ([4.0, 5.0, 0.0, 0.0], 1)]
    """
    length, step = before + (n_frames - 1) * hop_length + after, n_frames * hop_length
    held = np.zeros(before, dtype=np.float32)
    n_samples = n_given = 0
    for block in blocks:
        n_samples += len(block)
        held = np.concatenate([held, block])
        while len(held) >= max(length, step):
            yield held[:length], n_frames
            held = held[step:]
            n_given += n_frames
    while n_samples and n_given < 1 + n_samples // hop_length:
        part = held[:length]
        yield np.pad(part, (0, length - len(part))), min(n_frames, 1 + n_samples // hop_length - n_given)
        held = held[step:]
        n_given += n_frames


def whole_frames(blocks: Iterable[Floats], frame_length: int, hop_length: int, n_at_once: int = 64) -> Iterator[Floats]:
    """Frames that lie inside a sound that comes in blocks, a rest at its end left out, as Welch's method has it.

    Yields
    ------
    ndarray
        float32 ``(n_frames, frame_length)``, ``n_at_once`` frames at most.

    Examples
    --------
    >>> [frames.tolist() for frames in whole_frames([np.arange(6, dtype=np.float32)], 3, 2)]
    [[[0.0, 1.0, 2.0], [2.0, 3.0, 4.0]]]
    """
    held = np.zeros(0, dtype=np.float32)
    for block in blocks:
        held = np.concatenate([held, block])
        if len(held) < frame_length:
            continue
        frames = np.lib.stride_tricks.sliding_window_view(held, frame_length)[::hop_length]
        for first in range(0, len(frames), n_at_once):
            yield frames[first : first + n_at_once]
        held = held[len(frames) * hop_length :]


def pooled(powers: Iterable[Floats], n_frames: int, most: int | None) -> tuple[Floats, int]:
    """Join spectra that come in blocks; where there are too many frames, neighbours are averaged.

    Whenever there are more than ``most`` columns, each two become one, so that hours need the memory of minutes and
    nothing falls between two columns, as it would with a wider hop.

    Parameters
    ----------
    powers : iterable of ndarray
        float32 ``(n_bands, n_frames)`` each, but for the last one, which may be shorter.
    n_frames : int
        A power of two.
    most : int or None
        Columns; None for all frames, each a column.

    Returns
    -------
    ndarray, int
        float32 ``(n_bands, n_columns)``, and how many frames each is the mean of (the last one of what is left).

    Raises
    ------
    InputError
        There is no block at all, or more cells than memory should hold.

    Examples
    --------
    >>> values, per_column = pooled([np.array([[1, 3]], np.float32), np.array([[5, 7]], np.float32)], 2, most=2)
    >>> values, per_column
    (array([[2., 6.]], dtype=float32), 2)
    """
    columns: list[Floats] = []
    per_column, n_columns = 1, 0
    for power in powers:
        columns.append(_means(power, per_column))
        n_columns += columns[-1].shape[1]
        while most is not None and n_columns > most and per_column < n_frames:
            columns = [_means(np.concatenate(columns, axis=1), 2)]
            per_column, n_columns = 2 * per_column, columns[0].shape[1]
        if n_columns * len(power) > MOST_CELLS:
            raise InputError(
                f"expected at most {MOST_CELLS:g} values, got {len(power)} bands and more than {n_columns - 1} frames: "
                "give a larger hop, a shorter duration or fewer bands"
            )
    if not columns:
        raise InputError("expected at least one sample, got none")
    return np.concatenate(columns, axis=1), per_column


def _means(values: Floats, n: int) -> Floats:
    """Means of every ``n`` columns, the last one of those that are left."""
    if n == 1:
        return np.asarray(values)
    whole = values.shape[1] // n * n
    means: Floats = values[:, :whole].reshape(len(values), -1, n).mean(axis=2)
    rest = values[:, whole:]
    return np.concatenate([means, rest.mean(axis=1, keepdims=True)], axis=1) if rest.shape[1] else means
