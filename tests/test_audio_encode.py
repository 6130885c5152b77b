"""Writing files: what goes in comes out, tags included, and nobody sees half a file."""

from __future__ import annotations

import os

import numpy as np
import pytest
from test_audio_sounds import music

from volna.audio import decode, encode, open_audio
from volna.audio.encode import CODECS, ENCODERS
from volna.errors import AudioError, InputError

RATE = 22050
LOSSLESS = (".wav", ".w64", ".aif", ".aiff", ".au", ".caf", ".flac", ".wv", ".tta", ".alac", ".oga", ".mka")
WITHOUT_TAGS = (".w64", ".aac", ".ac3", ".mp2")


@pytest.mark.parametrize("extension", sorted(ENCODERS))
@pytest.mark.parametrize("n_channels", [1, 2])
def test_sound_and_tags_survive(tmp_path, extension, n_channels):
    x = music(2.0, RATE, n_channels)
    tags = {"title": "Волна", "artist": "Ärzte & Söhne"}
    path = encode(tmp_path / f"sound{extension}", x, RATE, tags=tags)
    y = decode(path, sample_rate=RATE)
    want = x.mean(axis=0)
    n = min(len(y), len(want))
    assert abs(len(y) - len(want)) < 0.12 * RATE
    if extension in LOSSLESS:
        np.testing.assert_allclose(y[:n], want[:n], atol=2**-14)
    else:
        assert 0.5 < np.sqrt(np.mean(y**2) / np.mean(want**2)) < 1.5
    with open_audio(path) as file:
        assert file.n_channels == n_channels
        if extension not in WITHOUT_TAGS:
            assert {key: file.metadata[key] for key in tags} == tags


@pytest.mark.parametrize(
    ("codec", "tolerance"),
    [("pcm_u8", 2**-6), ("pcm_s24le", 2**-22), ("pcm_s32le", 2**-23), ("pcm_f32le", 1e-7), ("pcm_f64le", 1e-7)],
)
def test_every_width_of_wav(tmp_path, codec, tolerance):
    x = music(1.0, RATE, 1)[0]
    path = encode(tmp_path / "x.wav", x, RATE, codec=codec)
    np.testing.assert_allclose(decode(path, sample_rate=RATE), x, atol=tolerance)


def test_every_codec_by_name(tmp_path):
    extension = {"flac": ".flac", "mp3": ".mp3", "opus": ".ogg", "vorbis": ".ogg", "wavpack": ".wv"}
    for codec in CODECS:
        kind = extension.get(codec, ".m4a" if codec in ("alac", "aac") else ".wav")
        path = encode(tmp_path / f"{codec}{kind}", music(1.0, RATE), RATE, codec=codec)
        with open_audio(path) as file:
            assert file.codec == codec


def test_up_to_eight_channels(tmp_path):
    for n_channels in range(1, 9):
        x = music(0.5, RATE, n_channels)
        path = encode(tmp_path / "x.flac", x, RATE)
        np.testing.assert_allclose(decode(path, sample_rate=RATE), x.mean(axis=0), atol=2**-14)


@pytest.mark.parametrize(("rate", "want"), [(11000, 48000), (44100, 48000), (96000, 48000)])
def test_opus_gets_the_rate_it_takes(tmp_path, rate, want):
    path = encode(tmp_path / "x.opus", music(1.0, rate, 1), rate)
    with open_audio(path) as file:
        assert file.sample_rate == want
        assert file.duration_s == pytest.approx(1.0, abs=0.03)


def test_mp3_gets_the_next_rate_above(tmp_path):
    with open_audio(encode(tmp_path / "x.mp3", music(1.0, 10000, 1), 10000)) as file:
        assert file.sample_rate == 11025


def test_samples_beyond_full_scale_are_clipped(tmp_path):
    x = np.array([2.0, -2.0, 0.5] * 100, np.float32)
    y = decode(encode(tmp_path / "x.wav", x, 8000), sample_rate=8000)
    np.testing.assert_allclose(y, np.clip(x, -1, 1), atol=2**-14)


def test_bit_rate_changes_the_size(tmp_path):
    x = music(3.0)
    sizes = [encode(tmp_path / "x.mp3", x, 44100, bit_rate=rate).stat().st_size for rate in (64_000, 192_000)]
    assert sizes[1] > 2 * sizes[0]


@pytest.mark.parametrize(
    "samples",
    [np.zeros((2, 0)), np.zeros((9, 4)), np.zeros((2, 2, 2)), np.array([0.0, np.nan]), np.array([np.inf])],
)
def test_refuses_what_is_no_sound(tmp_path, samples):
    with pytest.raises(InputError, match="expected"):
        encode(tmp_path / "x.wav", samples, RATE)
    assert not (tmp_path / "x.wav").exists()


def test_refuses_unknown_formats_codecs_and_rates(tmp_path):
    x = music(0.1)
    with pytest.raises(InputError, match=r"\.flac"):
        encode(tmp_path / "x.xyz", x, RATE)
    with pytest.raises(InputError, match="vorbis"):
        encode(tmp_path / "x.wav", x, RATE, codec="nonsense")
    with pytest.raises(InputError, match="rate"):
        encode(tmp_path / "x.wav", x, 0)


def test_a_failed_write_leaves_nothing_and_the_old_file_in_place(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    path = encode(folder / "x.mp3", music(0.5), 44100)
    before = path.read_bytes()
    with pytest.raises(AudioError, match="cannot be written"):
        encode(path, music(0.5, n_channels=6), 44100)  # MP3 has two channels at most
    assert path.read_bytes() == before
    assert os.listdir(folder) == ["x.mp3"]
    with pytest.raises(AudioError, match="cannot be written"):
        encode(tmp_path / "missing" / "x.wav", music(0.1), 44100)
