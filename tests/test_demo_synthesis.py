"""The demo's music: sound, deterministic, tagged, and not told apart by any single descriptor."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from volna import synthesis
from volna.errors import InputError
from volna.synthesis import collection
from volna.synthesis.instruments import bell, envelope, held, hertz, kick, noise_hit, pluck, spectrum, tone_hit
from volna.synthesis.song import Mix, habits_of, write_song

RATE = synthesis.SAMPLE_RATE_HZ


def peak_hz(samples: np.ndarray) -> float:
    magnitude = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.fft.rfftfreq(len(samples), 1 / RATE)[magnitude.argmax()])


# Clips


@pytest.mark.parametrize("style", synthesis.styles())
def test_a_clip_is_finite_mono_audible_and_below_full_scale(style: str) -> None:
    for seed in range(4):
        samples = synthesis.render(style, seed, duration_s=4.0)
        assert samples.dtype == np.float32
        assert samples.shape == (4 * RATE,)
        assert np.isfinite(samples).all()
        assert np.abs(samples).max() < 1.0
        assert -35 < 10 * np.log10(np.mean(samples**2)) < -8
        assert abs(samples.mean()) < 0.002


@pytest.mark.parametrize("style", synthesis.styles())
def test_a_seed_is_a_song(style: str) -> None:
    first, again, other = (synthesis.render(style, seed, duration_s=1.0) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(("duration_s", "rate"), [(0.1, 8000), (2.5, 16000), (0.333, 44100)])
def test_any_length_and_rate(duration_s: float, rate: int) -> None:
    for style in synthesis.styles():
        assert len(synthesis.render(style, 0, duration_s=duration_s, sample_rate=rate)) == int(duration_s * rate)


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(InputError, match="one of the styles"):
        synthesis.render("polka")
    with pytest.raises(InputError, match="duration"):
        synthesis.render("jazz", duration_s=-1)
    with pytest.raises(InputError, match="clips"):
        synthesis.write_collection("unused", n_clips=0)


# Instruments


@pytest.mark.parametrize("midi", [45, 57, 69, 81])
def test_notes_are_in_tune(midi: int) -> None:
    n, frequency = RATE, hertz(midi)
    for samples in (
        held(frequency, n, RATE, spectrum("soft")),
        pluck(frequency, n, RATE, brightness=0.0),
        bell(frequency, n, RATE, ratio=1.0, index=0.2),
    ):
        assert abs(12 * np.log2(peak_hz(samples) / frequency)) < 0.3  # a third of a semitone: bins are 1 Hz


def test_no_note_folds_back_over_half_the_sample_rate() -> None:
    frequency = 1900.0
    magnitude = np.abs(np.fft.rfft(held(frequency, RATE, RATE, spectrum("saw", 1.0)) * np.hanning(RATE)))
    between = np.ones(len(magnitude), dtype=bool)
    for harmonic in range(1, 6):
        between[int(harmonic * frequency) - 4 : int(harmonic * frequency) + 5] = False
    assert magnitude[between].max() < 0.01 * magnitude.max()


def test_a_string_fades_and_its_upper_harmonics_fade_first() -> None:
    samples = pluck(220.0, 2 * RATE, RATE, damping=1.0)
    early, late = np.abs(np.fft.rfft(samples[: RATE // 2])), np.abs(np.fft.rfft(samples[-RATE // 2 :]))
    fade = [late[h * 110 - 3 : h * 110 + 4].max() / early[h * 110 - 3 : h * 110 + 4].max() for h in (1, 2, 4)]
    assert 1 > fade[0] > fade[1] > fade[2]


def test_drums_are_where_they_belong() -> None:
    rng = np.random.default_rng(0)
    assert peak_hz(kick(RATE)) < 120
    assert 150 < peak_hz(tone_hit(RATE, frequency_hz=200, length_s=0.4)) < 250
    assert peak_hz(noise_hit(rng, RATE, low_hz=5000, high_hz=9000, length_s=0.1)) > 3500


def test_an_envelope_starts_and_ends_near_zero() -> None:
    shape = envelope(1000, RATE, 0.005, 0.01)
    assert shape[0] == 0
    assert shape[-1] < 0.01
    assert shape.max() == 1


def test_notes_over_the_end_are_cut_and_notes_beyond_it_ignored() -> None:
    mix = Mix(100, 100)
    mix.add(0.9, np.ones(50, dtype=np.float32))
    mix.add(1.5, np.ones(50, dtype=np.float32))
    assert mix.samples.sum() == 10


# Songs


def test_swing_keeps_the_beat_and_delays_what_lies_between() -> None:
    rng = np.random.default_rng(0)
    song = write_song(rng, synthesis.Habits(swing=1 / 3), 4.0, RATE)
    beats = [song.at(b) / song.beat_s for b in (0, 0.25, 0.5, 0.75, 1, 1.5)]
    np.testing.assert_allclose(beats, [0, 1 / 3, 2 / 3, 5 / 6, 1, 5 / 3])


def test_tunes_and_chords_stay_in_the_key() -> None:
    for seed in range(20):
        rng = np.random.default_rng(seed)
        song = write_song(rng, habits_of(rng), 10.0, RATE)
        allowed = {(song.root + step) % 12 for step in song.scale}
        notes = [midi for _, _, midi in song.tune()] + [midi for bar in range(4) for midi in song.chord(bar, 5)]
        assert {midi % 12 for midi in notes} <= allowed
        assert 70 <= song.tempo_bpm <= 150


# The collection


def test_the_plan_is_balanced_at_every_size() -> None:
    for n_clips in (8, 40, 240):
        clips = collection.plan(n_clips, seed=0)
        assert set(Counter(clip.style for clip in clips).values()) == {n_clips // 8}
    assert set(Counter(clip.artist for clip in clips).values()) == {6}
    assert len({clip.path(Path()) for clip in clips}) == 240
    assert len({clip.extension for clip in clips}) == 4
    assert len({(clip.artist, clip.album) for clip in clips}) == 80


def test_a_smaller_plan_is_the_beginning_of_a_larger_one() -> None:
    assert collection.plan(240, seed=1)[:50] == collection.plan(50, seed=1)
    assert collection.plan(8, seed=1) != collection.plan(8, seed=2)
    assert len(collection.plan(collection.MAX_CLIPS, seed=0)) == collection.MAX_CLIPS


def test_tempo_key_and_level_do_not_tell_styles_apart() -> None:
    clips = collection.plan(240, seed=0)
    for name in ("tempo_bpm", "level_db", "brightness", "room"):
        values = {style: [getattr(c.habits, name) for c in clips if c.style == style] for style in synthesis.styles()}
        for style, one in values.items():
            rest = {value for other, many in values.items() if other != style for value in many}
            within = [value for value in rest if min(one) < value < max(one)]
            assert len(within) >= 5  # of the 35 artists of other styles


def test_written_files_carry_their_tags(tmp_path: Path) -> None:
    from volna.audio.decode import decode, open_audio

    reports: list[tuple[str, int, int | None]] = []
    paths = synthesis.write_collection(
        tmp_path / "new",
        n_clips=16,
        seed=3,
        progress=lambda stage, done, total, note: reports.append((stage, done, total)),
    )
    assert reports[0] == ("Synthesising", 0, 16)
    assert reports[-1] == ("Synthesising", 16, 16)
    for clip, path in zip(collection.plan(16, seed=3), paths, strict=True):
        assert path.parent.name == clip.style
        with open_audio(path) as audio:
            assert audio.metadata["artist"] == clip.artist
            assert audio.metadata["title"] == clip.title
            assert audio.metadata["genre"] == clip.style
            assert abs(audio.duration_s - 10) < 0.2
        heard = decode(path, sample_rate=RATE, start_s=1.0, duration_s=2.0)
        assert np.sqrt(np.mean(heard**2)) > 0.005


def test_a_second_run_writes_nothing_new(tmp_path: Path) -> None:
    paths = synthesis.write_collection(tmp_path, n_clips=4)
    times = [path.stat().st_mtime_ns for path in paths]
    paths[1].unlink()
    assert synthesis.write_collection(tmp_path, n_clips=4) == paths
    again = [path.stat().st_mtime_ns for path in paths]
    assert [a == b for a, b in zip(times, again, strict=True)] == [True, False, True, True]


@pytest.fixture(scope="module")
def described() -> tuple[Any, ...]:
    from volna.audio.signal import resample
    from volna.features import recipe

    clips = collection.plan(120, seed=0)
    rows = []
    for clip in clips:
        samples = synthesis.render(clip.style, np.random.default_rng(clip.seed), clip.habits, duration_s=6.0)
        samples = resample(samples, RATE, recipe.ANALYSIS.sample_rate)
        rows.append(recipe.analyse([samples], recipe.ANALYSIS).descriptors)
    return np.array(rows), np.array([clip.style for clip in clips]), np.array([clip.artist for clip in clips])


def test_no_single_descriptor_tells_the_styles_apart_but_all_together_do(described: tuple[Any, ...]) -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold, cross_val_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.tree import DecisionTreeClassifier

    vectors, labels, artists = described
    folds = list(StratifiedGroupKFold(5).split(vectors, labels, artists))  # no artist on both sides
    alone = DecisionTreeClassifier(max_leaf_nodes=12, min_samples_leaf=4, random_state=0)
    scores = [cross_val_score(alone, vectors[:, [k]], labels, cv=folds).mean() for k in range(vectors.shape[1])]
    together = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=2000))
    assert max(scores) < 0.5  # the best of all descriptors, chosen with hindsight; chance is 0.125
    assert cross_val_score(together, vectors, labels, cv=folds).mean() > 0.8
