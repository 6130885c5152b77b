"""What an autoencoder of stacked frames cannot give back: errors by run of frames, and where they are.

The layers come from the training (`volna.training.frame_autoencoder`) as matrices, and numpy applies them, so a saved
detector needs no torch.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from volna.features.machine import MACHINE, STACK, stacked_frames

__all__ = ["as_arrays", "cell_errors", "error_picture", "run_errors", "window_errors"]

CHUNK_ROWS = 8_192  # runs at once: some 10 MB a layer

Arrays = dict[str, np.ndarray]


def as_arrays(layers: Sequence[tuple[np.ndarray, np.ndarray]]) -> Arrays:
    """Layers ``(matrix, offset)`` as named arrays, ``matrix_0``, ``offset_0`` and so on.

    Examples
    --------
    >>> sorted(as_arrays([(np.eye(2), np.zeros(2))]))
    ['matrix_0', 'offset_0']
    """
    named = {f"matrix_{k}": np.asarray(matrix, np.float32) for k, (matrix, _) in enumerate(layers)}
    return named | {f"offset_{k}": np.asarray(offset, np.float32) for k, (_, offset) in enumerate(layers)}


def run_errors(layers: Mapping[str, np.ndarray], mel: np.ndarray) -> np.ndarray:
    """Squared errors of every run of frames.

    Parameters
    ----------
    layers
        From `as_arrays`.
    mel : ndarray
        Standardised log-mel, float32 ``(n_mels, n_frames)``, at least one run long.

    Returns
    -------
    ndarray
        float32 ``(n_frames - STACK + 1, STACK * n_mels)``, in squares of the standardised unit.

    Examples
    --------
    >>> mel = np.ones((4, 9), np.float32)
    >>> run_errors(as_arrays([(np.zeros((20, 20)), np.zeros(20))]), mel).shape
    (5, 20)
    """
    rows = stacked_frames(mel, STACK)
    parts = [rows[k : k + CHUNK_ROWS] for k in range(0, len(rows), CHUNK_ROWS)]
    return np.concatenate([np.square(_given_back(layers, part) - part) for part in parts])


def _given_back(layers: Mapping[str, np.ndarray], rows: np.ndarray) -> np.ndarray:
    n_layers = sum(name.startswith("matrix_") for name in layers)
    for k in range(n_layers):
        rows = rows @ layers[f"matrix_{k}"].T + layers[f"offset_{k}"]
        if k + 1 < n_layers:
            rows = np.maximum(rows, 0.0)
    return rows


def cell_errors(errors: Iterable[np.ndarray]) -> np.ndarray:
    """Mean squared error of each cell of a run over many runs, what is usual of it: float32 ``(STACK * n_mels,)``.

    Examples
    --------
    >>> cell_errors([np.ones((2, 3)), 4 * np.ones((1, 3))]).tolist()
    [2.0, 2.0, 2.0]
    """
    total, n_runs = np.zeros(1), 0
    for part in errors:
        total, n_runs = total + part.sum(axis=0, dtype=np.float64), n_runs + len(part)
    return np.asarray(total / max(n_runs, 1), np.float32)


def error_picture(errors: np.ndarray, usual: np.ndarray) -> np.ndarray:
    """Where in time and frequency the errors are.

    A cell of the spectrogram belongs to up to five runs; its errors, each over what is usual of it, are averaged, and
    smoothed over .16 s.

    Parameters
    ----------
    errors : ndarray
        From `run_errors`, ``(n_runs, STACK * n_mels)``.
    usual : ndarray
        From `cell_errors`.

    Returns
    -------
    ndarray
        float32 ``(n_mels, n_frames)``: 1 is the usual error of that band, 2 one twice as large (root mean square).

    Examples
    --------
    >>> error_picture(np.full((5, STACK * 2), 4.0), np.ones(STACK * 2)).shape
    (2, 9)
    """
    relative = (errors / np.maximum(usual, 1e-6)).reshape(len(errors), STACK, -1)  # (n_runs, STACK, n_mels)
    n_frames = len(errors) + STACK - 1
    total, count = np.zeros((n_frames, relative.shape[2])), np.zeros((n_frames, 1))
    for place in range(STACK):
        total[place : place + len(errors)] += relative[:, place]
        count[place : place + len(errors)] += 1
    return np.sqrt(_smoothed(total / count)).T.astype(np.float32)


def _smoothed(rows: np.ndarray) -> np.ndarray:
    """Means over as many frames as a run has (.16 s), fewer at the ends: single cells are mostly chance."""
    sums = np.concatenate([np.zeros((1, rows.shape[1])), np.cumsum(rows, axis=0)])
    last = np.minimum(np.arange(len(rows)) + 1 + STACK // 2, len(rows))
    first = np.maximum(np.arange(len(rows)) - STACK // 2, 0)
    return np.asarray((sums[last] - sums[first]) / (last - first)[:, None])


def window_errors(errors: np.ndarray, start_s: np.ndarray, window_s: float) -> np.ndarray:
    """Mean squared error of the runs that lie in each window, float64 ``(n_windows,)``.

    Examples
    --------
    >>> window_errors(np.ones((60, 5)), np.array([0.0, 0.5]), 1.0).tolist()
    [1.0, 1.0]
    """
    mean = errors.mean(axis=1, dtype=np.float64)
    length = max(1, int(window_s * MACHINE.frames_per_s) - STACK + 1)
    first = np.minimum(np.round(start_s * MACHINE.frames_per_s).astype(int), max(0, len(mean) - length))
    sums = np.concatenate([[0.0], np.cumsum(mean)])
    last = np.minimum(first + length, len(mean))
    return np.asarray((sums[last] - sums[first]) / (last - first))
