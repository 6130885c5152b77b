"""A sound is heard once, in the ways that were asked for; long ones in segments."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from volna.audio.encode import encode
from volna.embedding import hear
from volna.errors import AudioError, InputError
from volna.features.recipe import DESCRIPTOR_NAMES
from volna.workflows.task_jobs import PARTS, PITCH_NAMES, hear_segments, hear_sound, rate_of

RATE = 16_000


@pytest.fixture
def write(tmp_path):
    def written(samples: np.ndarray, name: str = "a.wav", rate: int = RATE) -> str:
        encode(tmp_path / name, samples.astype(np.float32), rate)
        return str(tmp_path / name)

    return written


def noise(seconds: float) -> np.ndarray:
    return 0.1 * np.random.default_rng(0).standard_normal(round(seconds * RATE))


def test_every_part_has_its_shape(write) -> None:
    heard = hear_sound(write(noise(2.0)), PARTS)
    shapes = {"descriptors": (len(DESCRIPTOR_NAMES),), "mfcc": (60,), "log_mel": (128,), "spectrum": (498,)}
    shapes |= {"patch": (640,), "pitch": (len(PITCH_NAMES),), "picture": (64, 201), "nuisance": (5,)}
    assert {name: getattr(heard, name).shape for name in shapes} == shapes
    assert heard.autoencoder is None  # no model is in use
    assert [mel.shape[0] for mel in heard.log_mels] == [64]
    assert heard.short
    assert heard.duration_s == pytest.approx(2.0, abs=0.01)


def test_only_what_is_wanted_is_there(write) -> None:
    heard = hear_sound(write(noise(4.0)), ("mfcc",))
    assert heard.mfcc is not None
    assert not heard.short
    assert [heard.descriptors, heard.log_mel, heard.spectrum, heard.picture, heard.log_mels] == [None] * 4 + [[]]


def test_descriptors_are_those_of_the_search(write) -> None:
    path = write(noise(5.0))
    assert hear_sound(path, ("descriptors",)).descriptors == pytest.approx(hear(path).descriptors)


def test_the_voice_of_a_woman_is_higher_than_that_of_a_man(write) -> None:
    def voice(f0_hz: float) -> np.ndarray:
        t = np.arange(RATE) / RATE
        return 0.2 * sum(np.sin(2 * np.pi * k * f0_hz * t) / k for k in range(1, 12))

    low, high = (hear_sound(write(voice(hz), f"{hz}.wav"), ("pitch",)).pitch for hz in (110.0, 220.0))
    assert np.exp([low[0], high[0]]) == pytest.approx([110, 220], rel=0.02)
    assert min(low[3], high[3]) > 0.8


def test_a_short_sound_is_heard_and_silence_is_said(write) -> None:
    assert hear_sound(write(noise(0.15)), ("descriptors", "patch")).short
    with pytest.raises(AudioError, match="holds only silence"):
        hear_sound(write(np.zeros(RATE), "hush.wav"))
    with pytest.raises(AudioError, match=r"at least 0\.1 s"):
        hear_sound(write(noise(0.05), "blink.wav"))
    with pytest.raises(InputError, match="parts out of"):
        hear_sound(write(noise(1.0)), ("smell",))


def test_pictures_of_files_of_other_rates_are_alike(write) -> None:
    slow, fast = write(noise(1.0), "slow.wav", 8000), write(noise(1.0), "fast.wav", 44_100)
    assert (rate_of(slow), rate_of(fast)) == (8000, 44_100)
    pictures = [hear_sound(path, ("picture",), picture_rate=8000).picture for path in (slow, fast)]
    assert [picture.shape[0] for picture in pictures] == [64, 64]


@pytest.mark.parametrize(("seconds", "n"), [(0.4, 1), (1.0, 1), (1.1, 2), (5.0, 9), (13.0, 25)])
def test_segments_cover_a_file_from_end_to_end(write, seconds: float, n: int) -> None:
    segments = list(hear_segments(write(noise(seconds)), ("mfcc",), 1.0, 0.5))
    assert len(segments) == n
    assert segments[0].start_s == 0.0
    assert segments[-1].end_s == pytest.approx(seconds, abs=1e-3)
    assert all(b.start_s - a.start_s <= 0.5 + 1e-6 for a, b in pairwise(segments))


def test_a_segment_is_heard_as_a_file_of_its_own_would_be(write) -> None:
    samples = noise(13.0) * np.linspace(0.1, 1.0, 13 * RATE)
    third = list(hear_segments(write(samples), ("log_mel", "picture"), 1.0, 0.5))[22]
    alone = hear_sound(write(samples[11 * RATE : 12 * RATE], "part.wav"), ("log_mel", "picture"))
    assert third.start_s == 11.0
    assert third.sound.log_mel == pytest.approx(alone.log_mel, abs=1.0)
    assert np.abs(third.sound.log_mel - alone.log_mel).mean() < 0.1


def test_silence_between_sounds_is_a_segment_without_sound(write) -> None:
    samples = np.concatenate([noise(1.5), np.zeros(2 * RATE), noise(1.5)])
    segments = list(hear_segments(write(samples), ("mfcc",), 1.0, 1.0))
    assert [segment.sound is None for segment in segments] == [False, False, True, False, False]


@pytest.mark.parametrize(("segment_s", "hop_s"), [(0.0, 0.1), (1.0, 0.0), (1.0, 2.0)])
def test_lengths_that_make_no_sense_are_refused(write, segment_s: float, hop_s: float) -> None:
    with pytest.raises(InputError, match="expected segments of"):
        list(hear_segments(write(noise(2.0)), ("mfcc",), segment_s, hop_s))
