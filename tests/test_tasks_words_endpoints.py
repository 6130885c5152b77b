"""Where words begin and end: silence and faint noise around them change nothing, clicks and offsets are not words."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from volna.errors import InputError
from volna.tasks.words.endpoints import (
    HOP_LENGTH,
    SAMPLE_RATE,
    cut_word,
    frame_levels_db,
    without_offset,
    word_bounds,
    word_spans,
)


def word(seconds: float = 0.4, level: float = 0.3, hz: float = 300.0) -> np.ndarray:
    """A tone that swells and fades, as a syllable does."""
    t = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return (level * np.sin(np.pi * t / seconds) ** 0.5 * np.sin(2 * np.pi * hz * t)).astype(np.float32)


def silence(seconds: float) -> np.ndarray:
    return np.zeros(round(seconds * SAMPLE_RATE), np.float32)


def noise(seconds: float, level_db: float, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (10 ** (level_db / 20) * rng.standard_normal(round(seconds * SAMPLE_RATE))).astype(np.float32)


def test_levels_are_root_mean_squares_in_dbfs() -> None:
    tone = np.sin(2 * np.pi * 1000 * np.arange(SAMPLE_RATE) / SAMPLE_RATE).astype(np.float32)
    np.testing.assert_allclose(frame_levels_db(0.1 * tone), -23.01, atol=0.01)
    assert frame_levels_db(np.ones(3, np.float32)).shape == (1,)


@pytest.mark.parametrize("before_s", [0.0, 0.5, 3.0])
@pytest.mark.parametrize("after_s", [0.0, 1.0])
def test_the_word_is_found_wherever_it_is(before_s: float, after_s: float) -> None:
    start, end = word_bounds(np.concatenate([silence(before_s), word(), silence(after_s)]))
    margin = 5 * HOP_LENGTH
    assert abs(start - before_s * SAMPLE_RATE) <= margin
    assert abs(end - (before_s + 0.4) * SAMPLE_RATE) <= margin


def test_noise_close_to_the_word_does_not_become_part_of_it() -> None:
    start, end = word_bounds(np.concatenate([silence(1.0), word(), silence(1.0)]) + noise(2.4, -22.0))
    assert start > 0.9 * SAMPLE_RATE
    assert end < 1.5 * SAMPLE_RATE


@pytest.mark.parametrize("level_db", [-90.0, -60.0, -45.0])
def test_faint_noise_does_not_move_the_ends_by_more_than_the_margin(level_db: float) -> None:
    alone = np.concatenate([silence(0.5), word(), silence(0.5)])
    start, end = word_bounds(alone)
    heard = word_bounds(alone + noise(1.4, level_db))
    assert abs(heard[0] - start) <= 3 * HOP_LENGTH
    assert abs(heard[1] - end) <= 3 * HOP_LENGTH


def test_loud_steady_noise_is_told_from_the_word() -> None:
    start, end = word_bounds(np.concatenate([silence(1.0), word(), silence(1.0)]) + noise(2.4, -32.0))
    assert start > 0.8 * SAMPLE_RATE
    assert end < 1.6 * SAMPLE_RATE


def test_an_offset_is_no_sound() -> None:
    sound = np.concatenate([silence(0.5), word(), silence(0.5)])
    np.testing.assert_allclose(without_offset(sound + np.float32(0.2)), without_offset(sound), atol=1e-5)
    tone = np.sin(2 * np.pi * 300 * np.arange(4000) / SAMPLE_RATE).astype(np.float32)
    assert np.abs(without_offset(tone)[1000:]).max() == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("before", [80, 987, 5000])
def test_zeros_before_a_word_change_none_of_its_samples(before: int) -> None:
    sound = word(0.3)
    padded = np.concatenate([np.zeros(before, np.float32), sound, silence(0.2)])
    cut, cut_padded = (cut_word(x, word_bounds(x)) for x in map(without_offset, (sound, padded)))
    assert abs(len(cut) - len(cut_padded)) <= 40  # the end of the file cuts off where the filter would fade
    np.testing.assert_allclose(cut[:2000], cut_padded[:2000], atol=1e-6)


def test_a_cut_has_a_margin_of_zeros_where_the_recording_ends() -> None:
    sound = np.ones(100, np.float32)
    np.testing.assert_array_equal(cut_word(sound, (0, 100))[:240], 0)
    assert len(cut_word(sound, (0, 100))) == 580
    assert cut_word(np.ones(2000, np.float32), (500, 600)).sum() == 580


def test_a_click_is_no_word_unless_there_is_nothing_else() -> None:
    click = np.zeros(round(0.5 * SAMPLE_RATE), np.float32)
    click[100] = 0.9
    start, _ = word_bounds(np.concatenate([click, word(), silence(0.3)]))
    assert start > 0.4 * SAMPLE_RATE
    assert len(word_spans(click)) == 1


def test_a_closure_does_not_part_a_word_and_a_pause_does() -> None:
    assert len(word_spans(np.concatenate([word(), silence(0.15), word()]))) == 1
    spans = word_spans(np.concatenate([word(), silence(0.6), word(0.3), silence(0.6), word(0.5)]))
    assert len(spans) == 3
    assert all(end <= start for (_, end), (start, _) in itertools.pairwise(spans))


def test_of_several_words_the_one_of_most_energy_counts() -> None:
    sound = np.concatenate([word(level=0.1), silence(0.6), word(level=0.3)])
    assert word_bounds(sound)[0] > 0.8 * SAMPLE_RATE


def test_silence_holds_no_word() -> None:
    assert word_bounds(silence(1.0)) is None
    assert word_spans(without_offset(np.full(800, 0.5, np.float32))) == []


def test_the_shortest_sound_is_a_word() -> None:
    assert word_bounds(np.array([0.0, 0.5, -0.5], np.float32)) == (1, 3)


@pytest.mark.parametrize("samples", [np.zeros(0), np.array([0.0, np.nan]), np.zeros((2, 9))])
def test_what_is_no_sound_is_refused(samples: np.ndarray) -> None:
    with pytest.raises(InputError):
        word_spans(samples)
