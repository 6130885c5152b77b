"""Integers as few bits: frequency tables learnt from examples, and a range coder (Martin 1979) that follows them.

What is coded is a matrix of symbols ``(n_frames, n_dims)``, in row order. Every column has an alphabet of its own,
``0 .. n_levels - 1``, and a table for each context, which is what the same column held one row before. The tables are
whole numbers that add up to `TOTAL`, a power of two: as fractions they are exact in float32, so that the coder, which
wants fractions, gets the same ones on every machine. The coder is the one of the package ``constriction``, with 24-bit
probabilities and 32-bit words (`Categorical(perfect=False)`, fixed since its version 0.4).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volna.errors import AudioError, InputError

__all__ = ["N_CONTEXTS", "TOTAL", "Tables", "bits_of", "check_tables", "decode_symbols", "encode_symbols", "fit_tables"]

TOTAL = 1 << 15  # what the frequencies of a context add up to
N_CONTEXTS = 6  # context 0 is the first row, which has none before it; the others share the alphabet evenly
SMOOTHING = 0.05  # examples that every symbol of an alphabet is given beforehand

Symbols = NDArray[np.int32]


@dataclass(frozen=True)
class Tables:
    """What a range coder needs to know of the symbols.

    Attributes
    ----------
    frequencies : uint16 ``(n_dims, N_CONTEXTS, n_levels)``; those of a context add up to `TOTAL`, beyond the alphabet
        of a column they are 0.
    contexts : uint8 ``(n_dims, n_levels)``, the context, 1 and above, that a symbol makes for the row after it.
    """

    frequencies: NDArray[np.uint16]
    contexts: NDArray[np.uint8]

    @property
    def n_dims(self) -> int:
        """Columns."""
        return len(self.contexts)


def fit_tables(examples: Sequence[NDArray[np.integer]], n_levels: NDArray[np.integer]) -> Tables:
    """Count symbols in their contexts.

    Parameters
    ----------
    examples
        ``(n_frames, n_dims)`` each, a sound at a time; values from 0 to below ``n_levels`` of their column.
    n_levels
        ``(n_dims,)``, size of each column's alphabet, at least 1.

    Returns
    -------
    Tables

    Examples
    --------
    >>> tables = fit_tables([np.array([[0], [1], [1]])], np.array([2]))
    >>> tables.frequencies.shape, int(tables.frequencies[0, 0].sum())
    ((1, 6, 2), 32768)
    """
    most = int(max(n_levels))
    frequencies = np.zeros((len(n_levels), N_CONTEXTS, most), np.uint16)
    contexts = np.ones((len(n_levels), most), np.uint8)
    for dim, n in enumerate(n_levels):
        columns = [np.asarray(example[:, dim], np.int64) for example in examples]
        contexts[dim, :n] = _even_contexts(np.bincount(np.concatenate(columns), minlength=n))
        counts = np.zeros((N_CONTEXTS, n))
        for column in columns:
            before = np.concatenate([[0], contexts[dim, column[:-1]]])
            np.add.at(counts, (before[: len(column)], column), 1.0)
        for context in range(N_CONTEXTS):
            frequencies[dim, context, :n] = _whole(counts[context] + _prior(counts))
    return Tables(frequencies, contexts)


def _even_contexts(counts: NDArray[np.integer]) -> NDArray[np.uint8]:
    """A context from 1 on for every symbol, neighbours together, each of about as many examples."""
    share = (np.cumsum(counts) - counts / 2) / max(counts.sum(), 1)
    return np.asarray(1 + np.minimum(share * (N_CONTEXTS - 1), N_CONTEXTS - 2).astype(int), np.uint8)


def _prior(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """What a context is given before its own examples: a few examples spread as in all contexts together."""
    over_all = counts.sum(0) + SMOOTHING
    return np.asarray(SMOOTHING + 8.0 * over_all / over_all.sum())


def _whole(weights: NDArray[np.float64]) -> NDArray[np.uint16]:
    """Whole numbers of at least 1 that add up to `TOTAL` and are nearly in proportion."""
    share = weights / weights.sum() * (TOTAL - len(weights))
    whole = 1 + np.floor(share).astype(np.int64)
    left = TOTAL - int(whole.sum())
    whole[np.argsort(-(share % 1.0), kind="stable")[:left]] += 1
    return whole.astype(np.uint16)


def check_tables(tables: Tables, n_levels: NDArray[np.integer]) -> None:
    """Refuse tables, as from a file, that no coder could follow.

    Raises
    ------
    InputError
        A shape is wrong, a symbol has no frequency, or the frequencies do not add up.
    """
    frequencies, contexts = tables.frequencies, tables.contexts
    shape = (len(n_levels), N_CONTEXTS, int(max(n_levels)))
    if frequencies.shape != shape or contexts.shape != (shape[0], shape[2]):
        raise InputError(f"expected tables of shape {shape}, got {frequencies.shape}")
    inside = np.arange(shape[2]) < np.asarray(n_levels)[:, None]
    sound = (frequencies > 0) == inside[:, None, :]
    sums = frequencies.sum(-1, dtype=np.int64)
    if not sound.all() or (sums != TOTAL).any() or (contexts < 1).any() or (contexts >= N_CONTEXTS).any():
        raise InputError("the frequencies of the range coder make no sense")


def _model() -> Any:
    from constriction import stream

    return stream.model.Categorical(perfect=False)


def _probabilities(tables: Tables) -> NDArray[np.float32]:
    """Exact in float32: whole numbers over a power of two."""
    return tables.frequencies.astype(np.float32) / np.float32(TOTAL)


def _coded_columns(tables: Tables) -> NDArray[np.intp]:
    """Columns with more than one symbol; the others cost nothing and are left out."""
    return np.flatnonzero((tables.frequencies[:, 0] > 0).sum(1) > 1)


def _contexts_of(symbols: Symbols, tables: Tables) -> NDArray[np.intp]:
    before = np.zeros(symbols.shape, np.intp)
    before[1:] = tables.contexts[np.arange(tables.n_dims), symbols[:-1]]
    return before


def encode_symbols(matrices: Sequence[Symbols], tables: Tables) -> bytes:
    """Matrices of symbols, one after another, as bytes.

    Parameters
    ----------
    matrices
        int ``(n_frames, n_dims)`` each; the first row of each has context 0.
    tables
        Of the same columns.

    Returns
    -------
    bytes
        Little-endian words of 32 bits.

    Raises
    ------
    InputError
        A symbol is outside its alphabet.

    Examples
    --------
    >>> tables = fit_tables([np.zeros((100, 3), int)], np.array([5, 3, 1]))
    >>> len(encode_symbols([np.zeros((10, 3), int)], tables))
    4
    """
    from constriction import stream

    coder, columns, model = stream.queue.RangeEncoder(), _coded_columns(tables), _model()
    probabilities = _probabilities(tables)
    for matrix in matrices:
        symbols = np.asarray(matrix, np.int32)
        chosen = tables.frequencies.max(1)[np.arange(tables.n_dims), np.clip(symbols, 0, tables.contexts.shape[1] - 1)]
        if symbols.min(initial=0) < 0 or symbols.max(initial=0) >= tables.contexts.shape[1] or (chosen == 0).any():
            raise InputError("expected symbols of the alphabet that the tables were made for")
        rows = probabilities[columns, _contexts_of(symbols, tables)[:, columns]]  # (n_frames, n_coded, n_levels)
        if rows.size:
            coder.encode(symbols[:, columns].ravel(), model, rows.reshape(-1, rows.shape[-1]))
    return bytes(np.asarray(coder.get_compressed(), "<u4").tobytes())


def decode_symbols(data: bytes, n_frames: Sequence[int], tables: Tables) -> list[Symbols]:
    """The matrices that `encode_symbols` was given.

    Parameters
    ----------
    data
        Its result.
    n_frames
        Rows of each matrix.
    tables
        The very same ones.

    Returns
    -------
    list of ndarray
        int32 ``(n_frames, n_dims)`` each.

    Raises
    ------
    AudioError
        The bytes are no such result.

    Examples
    --------
    >>> tables = fit_tables([np.zeros((100, 3), int)], np.array([5, 3, 1]))
    >>> data = encode_symbols([np.full((2, 3), (4, 2, 0))], tables)
    >>> decode_symbols(data, [2], tables)[0].tolist()
    [[4, 2, 0], [4, 2, 0]]
    """
    from constriction import stream

    if len(data) % 4:
        raise AudioError(f"expected words of 4 bytes, got {len(data)} bytes: damaged")
    coder = stream.queue.RangeDecoder(np.frombuffer(data, "<u4").astype(np.uint32))
    columns, model = _coded_columns(tables), _model()
    probabilities, out = _probabilities(tables)[columns], []
    places, contexts = np.arange(len(columns)), tables.contexts[columns]
    try:
        for n in n_frames:
            symbols = np.zeros((n, tables.n_dims), np.int32)
            before = np.zeros(len(columns), np.intp)
            for row in symbols if len(columns) else ():
                row[columns] = coder.decode(model, probabilities[places, before])
                before = contexts[places, row[columns]].astype(np.intp)
            out.append(symbols)
    except (ValueError, AssertionError, RuntimeError) as error:
        raise AudioError(f"the coded numbers are damaged ({str(error).splitlines()[0]})") from error
    return out


def bits_of(matrices: Sequence[Symbols], tables: Tables) -> float:
    """What the tables say that the matrices cost, in bits; the coder needs up to 64 bits more.

    Examples
    --------
    >>> tables = fit_tables([np.zeros((100, 1), int)], np.array([2]))
    >>> 0 < bits_of([np.zeros((10, 1), int)], tables) < 5
    True
    """
    dims, total = np.arange(tables.n_dims), 0.0
    for matrix in matrices:
        chosen = tables.frequencies[dims, _contexts_of(np.asarray(matrix), tables), matrix]
        total -= float(np.log2(chosen / TOTAL).sum())
    return total
