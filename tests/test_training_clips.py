import numpy as np
import pytest

from volna.audio.encode import encode
from volna.errors import AudioError, InputError
from volna.training.clips import Clips, keep_sound, open_clips, span_of_files


def clips_of(*lengths, held=()):
    sounds = tuple(np.full(n, k + 1.0, np.float32) for k, n in enumerate(lengths))
    return Clips(sounds, tuple(np.full(n, 9.0, np.float32) for n in held), 8_000)


def test_clips_have_the_length_asked_for_and_come_from_the_sounds():
    drawn = clips_of(100, 300).draw(np.random.default_rng(0), 50, 40)
    assert drawn.shape == (50, 40)
    assert drawn.dtype == np.float32
    assert set(np.unique(drawn)) == {1.0, 2.0}


def test_longer_sounds_are_heard_more_often():
    drawn = clips_of(100, 900).draw(np.random.default_rng(0), 400, 20)
    share = float((drawn[:, 0] == 2.0).mean())
    assert 0.84 < share < 0.96


def test_short_sounds_are_joined_not_dropped():
    drawn = clips_of(3, 5).draw(np.random.default_rng(0), 20, 64)
    assert (drawn > 0).all()
    assert {1.0, 2.0} == set(np.unique(drawn))


def test_a_sound_of_one_sample_fills_a_clip():
    assert clips_of(1).draw(np.random.default_rng(0), 1, 8).tolist() == [[1.0] * 8]


def test_the_margin_is_silence_before_and_after():
    drawn = clips_of(4).draw(np.random.default_rng(0), 1, 12, margin=2)[0]
    assert drawn.tolist() == [0, 0, 1, 1, 1, 1, 0, 0, 0, 0, 1, 1]


def test_every_moment_is_drawn_with_a_margin_too():
    sound = np.arange(1, 21, dtype=np.float32)
    clips = Clips((sound,), (), 8_000)
    drawn = clips.draw(np.random.default_rng(0), 400, 8, margin=4)
    assert set(np.unique(drawn)) == set(range(21))
    for clip in drawn:
        heard = clip[clip > 0]
        assert (np.diff(heard) == 1).all()


def test_the_generator_decides():
    clips = clips_of(50, 70)
    a, b = (clips.draw(np.random.default_rng(3), 4, 30, margin=3) for _ in range(2))
    assert np.array_equal(a, b)


def test_silent_clips_are_rare():
    sound = np.zeros(10_000, np.float32)
    sound[:3_000] = 0.1
    drawn = Clips((sound,), (), 8_000).draw(np.random.default_rng(0), 200, 100)
    assert float((drawn.max(axis=1) == 0).mean()) < 0.4  # 0.69 without trying again


def test_held_clips_are_always_the_same():
    clips = clips_of(10, held=(5, 100))
    first, second = clips.held_clips(8, 20)
    assert first.tolist() == [9.0] * 5 + [0.0] * 15
    assert second.tolist() == [9.0] * 20
    assert clips_of(10).held_clips(8, 20).shape == (0, 20)
    assert len(clips.held_clips(1, 20)) == 1


def test_seconds():
    assert clips_of(4_000, 8_000).seconds == 1.5


@pytest.fixture
def folder(tmp_path):
    tone = 0.1 * np.sin(np.arange(8_000) / 5)
    for k in range(6):
        encode(tmp_path / f"{k}.wav", tone * (k + 1) / 6, 16_000)
    (tmp_path / "work").mkdir()
    return tmp_path


def kept(folder, n=6, **settings):
    return [keep_sound(str(folder / f"{k}.wav"), str(folder / "work"), 8_000, 60.0, **settings)[0] for k in range(n)]


def test_sounds_are_kept_at_the_rate(folder):
    name, seconds = keep_sound(str(folder / "0.wav"), str(folder / "work"), 8_000, 60.0)
    samples = np.load(folder / "work" / name)
    assert samples.dtype == np.float32
    assert len(samples) == 4_000
    assert seconds == 0.5


def test_what_is_kept_is_not_decoded_again(folder):
    name, _ = keep_sound(str(folder / "0.wav"), str(folder / "work"), 8_000, 60.0)
    place = folder / "work" / name
    np.save(place, np.ones(80, np.float32))
    assert keep_sound(str(folder / "0.wav"), str(folder / "work"), 8_000, 60.0) == (name, 0.01)


def test_of_a_long_file_a_span_is_kept(folder):
    encode(folder / "long.wav", np.sin(np.arange(160_000) / 9) * np.linspace(0.1, 1, 160_000), 16_000)
    name, seconds = keep_sound(str(folder / "long.wav"), str(folder / "work"), 8_000, 2.0)
    assert seconds == pytest.approx(2.0, abs=0.01)
    assert name == keep_sound(str(folder / "long.wav"), str(folder / "work"), 8_000, 2.0)[0]


def test_silence_and_what_is_no_audio_are_refused(folder):
    encode(folder / "silent.wav", np.zeros(8_000), 16_000)
    (folder / "text.wav").write_text("no audio")
    for name, words in (("silent.wav", "silence"), ("text.wav", "text.wav")):
        with pytest.raises(AudioError, match=words):
            keep_sound(str(folder / name), str(folder / "work"), 8_000, 60.0)


def test_whole_files_are_held_out(folder):
    names = kept(folder)
    clips = open_clips(folder / "work", names, 8_000, held_share=0.4, seed=1)
    assert (len(clips.sounds), len(clips.held)) == (4, 2)
    again = open_clips(folder / "work", names, 8_000, held_share=0.4, seed=1)
    assert [float(x.max()) for x in clips.held] == [float(x.max()) for x in again.held]
    levels = {round(float(x.max()), 3) for x in clips.sounds} & {round(float(x.max()), 3) for x in clips.held}
    assert not levels


def test_groups_are_held_out_whole(folder):
    clips = open_clips(folder / "work", kept(folder), 8_000, held_share=0.1, groups=["a", "a", "a", "b", "b", "b"])
    assert (len(clips.sounds), len(clips.held)) == (3, 3)


def test_of_a_single_file_the_end_is_held_out(folder):
    clips = open_clips(folder / "work", kept(folder, 1), 8_000)
    assert [len(x) for x in (*clips.sounds, *clips.held)] == [3_600, 400]


def test_nothing_is_held_out_unasked(folder):
    assert not open_clips(folder / "work", kept(folder, 3), 8_000, held_share=0.0).held


def test_no_names_no_clips(tmp_path):
    with pytest.raises(InputError, match="none"):
        open_clips(tmp_path, [], 8_000)


def test_many_files_give_a_span_each():
    assert span_of_files(1) == 7200.0
    assert span_of_files(100_000) == 20.0
