"""What `denoise` puts back before it takes noise out: peaks that were cut off, and short stretches that are missing.

Where they are is found as `check` finds them (`volna.tasks.diagnosis`); what belongs there is guessed by
`volna.features.restoration`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from volna.audio.channels import open_channels
from volna.audio.signal import Samples
from volna.features.restoration import MOST_FILLED_S, declip, fill
from volna.tasks.diagnosis.clipping import flat_tops
from volna.tasks.diagnosis.finding import Piece as Heard
from volna.tasks.diagnosis.gaps import still_stretches
from volna.workflows.common import Progress
from volna.workflows.listening.pieces import Piece, channel_blocks, pieces_of

__all__ = ["Repairs", "declipped", "filled", "rails_of"]

PIECE_S = 4.0
DECLIP_CONTEXT_S, FILL_CONTEXT_S = 0.512, 0.25
HOP_S = 0.016  # pieces are multiples of it, so that the frames of neighbours are the same
NEAR_RAIL = 1e-3  # of the level of the cut: what is so near counts as cut


@dataclass
class Repairs:
    """What was put back, over all channels: cut samples, gaps, and how long these are in all."""

    n_declipped: int = 0
    n_filled: int = 0
    filled_s: float = 0.0
    n_too_long: int = 0  # gaps that were left as they are


def rails_of(path: str | Path, progress: Progress | None) -> list[float]:
    """The level at which each channel was cut off, the highest one found; 0 where none was."""
    with open_channels(path) as sound:
        rails = [0.0] * sound.n_channels
        length = round(PIECE_S * sound.sample_rate)
        for piece in pieces_of(channel_blocks(sound, progress=progress), length, 0):
            for channel, samples in enumerate(piece.samples):
                starts, _, rail = flat_tops(samples)
                if len(starts):
                    rails[channel] = max(rails[channel], rail)
    return rails


def declipped(
    blocks: Iterable[Samples], sample_rate: int, rails: Sequence[float], repairs: Repairs
) -> Iterator[Samples]:
    """A sound in blocks with its cut peaks put back; counts them."""
    hop = max(4, round(HOP_S * sample_rate))
    length, context = (max(1, round(seconds / HOP_S)) * hop for seconds in (PIECE_S, DECLIP_CONTEXT_S))
    for piece in pieces_of(blocks, length, context):
        out = [_declipped(samples, rail, sample_rate, piece, repairs) for samples, rail in zip(piece.samples, rails)]  # noqa: B905
        yield np.stack(out)


def _declipped(samples: Samples, rail: float, sample_rate: int, piece: Piece, repairs: Repairs) -> Samples:
    own = slice(piece.left, piece.left + piece.length)
    if not rail:
        return samples[own]
    cut = np.abs(samples) >= rail * (1 - NEAR_RAIL)
    repairs.n_declipped += int(np.count_nonzero(cut[own]))
    return declip(samples, cut, rail, sample_rate)[own]


def filled(blocks: Iterable[Samples], sample_rate: int, repairs: Repairs) -> Iterator[Samples]:
    """A sound in blocks whose short gaps, zero or frozen and cut abruptly on both sides, are filled; counts them."""
    length, context = round(PIECE_S * sample_rate), round(FILL_CONTEXT_S * sample_rate)
    for piece in pieces_of(blocks, length, context):
        yield np.stack([_filled(samples, sample_rate, piece, repairs) for samples in piece.samples])


def _filled(samples: Samples, sample_rate: int, piece: Piece, repairs: Repairs) -> Samples:
    """Gaps that reach into the next piece are filled there as well, from the same surroundings."""
    end = piece.left + piece.length
    out = samples
    for gap in still_stretches(samples, Heard(samples[None], 0, 0, samples.shape[-1], sample_rate)):
        if not (gap.cut_before and gap.cut_after) or gap.begin >= end or gap.end <= piece.left:
            continue
        short = gap.end - gap.begin <= MOST_FILLED_S * sample_rate
        if piece.left <= gap.begin:
            repairs.n_filled += short
            repairs.n_too_long += not short
            repairs.filled_s += short * (gap.end - gap.begin) / sample_rate
        if short:
            out = out.copy() if out is samples else out
            out[gap.begin : gap.end] = fill(samples, gap.begin, gap.end, sample_rate)
    return out[piece.left : end]
