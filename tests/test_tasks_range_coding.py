"""The range coder: nothing lost, near the entropy, the same bytes everywhere."""

from __future__ import annotations

import numpy as np
import pytest

from volna.errors import AudioError, InputError
from volna.models import codec_file
from volna.tasks.range_coding import (
    N_CONTEXTS,
    TOTAL,
    Tables,
    bits_of,
    check_tables,
    decode_symbols,
    encode_symbols,
    fit_tables,
)

LEVELS = np.array([31, 15, 9, 5, 3, 1] * 4)


def correlated(n: int, seed: int = 0) -> np.ndarray:
    """Numbers that change slowly, rounded to `LEVELS`."""
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((n, len(LEVELS)))
    for k in range(1, n):
        z[k] = 0.8 * z[k - 1] + 0.6 * z[k]
    return np.clip(np.rint(z * LEVELS / 6) + LEVELS // 2, 0, LEVELS - 1).astype(np.int32)


TABLES = fit_tables([correlated(2000)], LEVELS)


def test_what_is_coded_comes_back() -> None:
    matrices = [correlated(200, 1), correlated(1, 2), correlated(37, 3)]
    data = encode_symbols(matrices, TABLES)
    decoded = decode_symbols(data, [len(matrix) for matrix in matrices], TABLES)
    assert all(np.array_equal(a, b) for a, b in zip(matrices, decoded, strict=True))


def test_any_symbol_of_the_alphabet_can_be_coded_though_it_never_came() -> None:
    rare = np.where(np.arange(len(LEVELS)) % 2, 0, LEVELS - 1)[None].repeat(5, 0)
    (decoded,) = decode_symbols(encode_symbols([rare], TABLES), [5], TABLES)
    assert np.array_equal(decoded, rare)


def test_the_bytes_are_near_what_the_tables_say_and_below_independent_symbols() -> None:
    symbols = correlated(1000, 4)
    n_bits = 8 * len(encode_symbols([symbols], TABLES))
    assert bits_of([symbols], TABLES) <= n_bits <= bits_of([symbols], TABLES) * 1.001 + 64
    counts = [np.bincount(column, minlength=n) / len(symbols) for column, n in zip(symbols.T, LEVELS, strict=True)]
    independent = sum(-float((p[p > 0] * np.log2(p[p > 0])).sum()) for p in counts) * len(symbols)
    assert n_bits < 0.9 * independent  # what was before tells something


def test_the_bytes_are_the_same_on_every_machine() -> None:
    steps = np.arange(200)[:, None] * np.arange(1, 7)
    symbols = ((steps * steps // 3) % np.array([31, 15, 9, 5, 3, 1])).astype(np.int32)
    tables = fit_tables([symbols], np.array([31, 15, 9, 5, 3, 1]))
    data = encode_symbols([symbols[:12]], tables)
    assert data.hex() == GOLDEN
    assert np.array_equal(decode_symbols(bytes.fromhex(GOLDEN), [12], tables)[0], symbols[:12])


GOLDEN = "42660500960b774f4c8c63b706c3c00d"


def test_frequencies_are_whole_and_complete() -> None:
    assert TABLES.frequencies.dtype == np.uint16
    assert (TABLES.frequencies.sum(-1, dtype=int) == TOTAL).all()
    assert ((TABLES.frequencies > 0).sum(-1) == LEVELS[:, None]).all()
    check_tables(TABLES, LEVELS)
    assert codec_file.N_CONTEXTS == N_CONTEXTS


def test_one_example_is_enough_for_tables() -> None:
    tables = fit_tables([np.zeros((1, 2), int)], np.array([7, 1]))
    check_tables(tables, np.array([7, 1]))
    assert tables.frequencies[0, 0, 0] > tables.frequencies[0, 0, 6] > 0


@pytest.mark.parametrize("spoil", ["sum", "zero", "context", "shape"])
def test_tables_that_no_coder_could_follow_are_refused(spoil: str) -> None:
    frequencies, contexts = TABLES.frequencies.copy(), TABLES.contexts.copy()
    if spoil == "sum":
        frequencies[0, 0, 0] += 1
    elif spoil == "zero":
        frequencies[0, 0, 1] += frequencies[0, 0, 0]
        frequencies[0, 0, 0] = 0
    elif spoil == "context":
        contexts[0, 0] = N_CONTEXTS
    else:
        contexts = contexts[:, 1:]
    with pytest.raises(InputError):
        check_tables(Tables(frequencies, contexts), LEVELS)


def test_symbols_outside_the_alphabet_are_refused() -> None:
    wrong = correlated(3)
    for value in (-1, 5, 1000):
        wrong[1, 3] = value
        with pytest.raises(InputError, match="alphabet"):
            encode_symbols([wrong], TABLES)


def test_garbage_is_damage_or_other_symbols_but_never_a_crash() -> None:
    rng = np.random.default_rng(5)
    for n in (0, 4, 40, 400):
        try:
            (symbols,) = decode_symbols(rng.bytes(n), [50], TABLES)
        except AudioError:
            continue
        assert ((symbols >= 0) & (symbols < LEVELS)).all()
    with pytest.raises(AudioError, match="4 bytes"):
        decode_symbols(b"abc", [1], TABLES)


def test_constant_columns_cost_nothing() -> None:
    tables = fit_tables([np.zeros((10, 3), int)], np.array([1, 1, 1]))
    data = encode_symbols([np.zeros((500, 3), int)], tables)
    assert len(data) <= 4
    assert decode_symbols(data, [500], tables)[0].shape == (500, 3)
