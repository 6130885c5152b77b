"""From a recording to the pictures that a generator hears, and back to the level that it had.

A picture is the sounding log-mel without its level, float32 ``(n_mels, n_frames)``: 0 is the middle of the range of
``RANGE`` nats (78 dB) below the loudest cell, one unit is ``UNIT`` nats. The level is the log-amplitude of the loudest
cell.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from volna.errors import InputError
from volna.features.frames import Floats
from volna.features.sounding import FLOOR

__all__ = [
    "LONGEST_S",
    "RANGE",
    "SHORTEST_S",
    "SILENCE",
    "UNIT",
    "as_log_mel",
    "as_picture",
    "cut",
    "longest_of",
    "loudness",
]

RANGE, UNIT = 9.0, 3.0
SILENCE = -RANGE / 2 / UNIT  # the lowest value of a picture
SHORTEST_S, LONGEST_S = 0.3, 4.0  # of the longest sound that a folder is learnt at
SHARE_WHOLE = 0.9  # of the sounds of a folder that are learnt to their end
LEAST_S = 0.05
SILENT = 1e-4  # peaks below it, -80 dBFS, are silence
EDGE_DB = -60.0  # under the peak: what lies before and after is not the sound
FADE_S = 0.05  # at a cut
RECORDING = 4  # times the longest sound: what lasts longer is cut into many
MOST_PIECES = 16  # of a file


def longest_of(durations_s: Sequence[float]) -> float:
    """How long sounds are learnt, in seconds, 0.3 to 4: what nine in ten of the files reach to their end.

    Examples
    --------
    >>> longest_of([0.4, 0.5, 0.6]), longest_of([200.0])
    (0.6, 4.0)
    """
    if not len(durations_s):
        raise InputError("expected the duration of one sound at least, got none")
    long = float(np.quantile(durations_s, SHARE_WHOLE, method="higher"))
    return float(round(min(max(long, SHORTEST_S), LONGEST_S), 2))


def cut(samples: Floats, sample_rate: int, longest_s: float) -> list[Floats]:
    """The sounds of a recording: without silence around, none longer than ``longest_s``.

    A sound that is longer loses its end, faded out; a recording of more than four times that is cut into pieces, 16
    at most, evenly spread.

    Parameters
    ----------
    samples
        float32 ``(n_samples,)``, full scale at 1.

    Returns
    -------
    list of ndarray
        Empty for silence and for less than 0.05 s.

    Examples
    --------
    >>> tone = np.r_[np.zeros(800), np.sin(np.arange(1600)), np.zeros(800)].astype(np.float32)
    >>> [len(sound) for sound in cut(tone, 8000, 1.0)]
    [1599]
    """
    sound, most = _trimmed(samples), max(1, round(longest_s * sample_rate))
    if len(sound) <= RECORDING * most:
        return [_faded(sound, most, sample_rate)] if len(sound) >= LEAST_S * sample_rate else []
    starts = np.linspace(0, len(sound) - most, min(MOST_PIECES, len(sound) // most)).astype(int)
    pieces = (_trimmed(sound[start : start + most]) for start in starts)
    return [_faded(piece, most, sample_rate) for piece in pieces if len(piece) >= LEAST_S * sample_rate]


def _trimmed(samples: Floats) -> Floats:
    loud = np.abs(samples)
    peak = float(loud.max(initial=0.0))
    if peak < SILENT:
        return samples[:0]
    heard = np.flatnonzero(loud > peak * 10 ** (EDGE_DB / 20))
    return samples[heard[0] : heard[-1] + 1]


def _faded(sound: Floats, most: int, sample_rate: int) -> Floats:
    if len(sound) <= most:
        return sound
    kept = sound[:most].copy()
    n = min(round(FADE_S * sample_rate), most)
    kept[most - n :] *= np.linspace(1, 0, n, dtype=np.float32)
    return kept


def as_picture(log_mel: Floats) -> tuple[Floats, float]:
    """The picture of a log-mel of `volna.features.sounding`, and its level.

    Examples
    --------
    >>> picture, level = as_picture(np.array([[-2.0, -20.0]], np.float32))
    >>> picture.tolist(), level
    ([[1.5, -1.5]], -2.0)
    """
    level = float(log_mel.max())
    return np.asarray((np.maximum(log_mel - level, -RANGE) + RANGE / 2) / UNIT, np.float32), level


def as_log_mel(picture: Floats, level: float) -> Floats:
    """The log-mel of a picture at a level: its loudest cell is at ``level``, whatever the picture's own was."""
    nats = np.clip((picture - picture.max()) * UNIT, -RANGE, 0.0)
    return np.asarray(np.maximum(nats + level, FLOOR), np.float32)


def loudness(picture: Floats) -> float:
    """Half the logarithm of the mean power of a picture's frames, its loudest cell at 0: nats under or over it.

    Examples
    --------
    >>> round(loudness(np.full((4, 10), 1.5, np.float32)), 3)  # four cells of power 1 in every frame
    0.693
    """
    power = np.exp(2 * as_log_mel(picture, 0.0).astype(np.float64)).sum(axis=0).mean()
    return float(np.log(power) / 2)
