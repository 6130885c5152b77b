"""`encode` and `decode`: exact lengths, rates and channels; silence, damage, wrong models; hours in little memory."""

from __future__ import annotations

import io
import json
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from codec_models import codec, codec_file, made_sound

from volna.audio.channels import read_channels
from volna.audio.encode import encode as write_sound
from volna.audio.volna_file import read_header
from volna.errors import AudioError, InputError, ModelError
from volna.features.sound_distance import mel_distance
from volna.models import codec_use
from volna.workflows.making import compressing
from volna.workflows.making.compressing import EncodeReport, choose_setting, encode, encode_blocks
from volna.workflows.making.decompressing import DecodeReport, decode, decoded_blocks

RATE = 8000


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return codec_file(tmp_path_factory.mktemp("model"))


def there_and_back(
    folder: Path, model: Path, samples: np.ndarray, rate: int = RATE, **options: object
) -> tuple[EncodeReport, DecodeReport, np.ndarray]:
    write_sound(folder / "in.wav", samples, rate, codec="pcm_f32le")
    encoded = encode(folder / "in.wav", folder / "x.volna", model=model, force=True, **options)
    decoded = decode(folder / "x.volna", folder / "out.wav", model=model, force=True)
    sound = read_channels(folder / "out.wav")
    assert sound.sample_rate == rate
    return encoded, decoded, sound.samples


@pytest.mark.parametrize("n", [1, 2, 127, 128, 129, 511, 512, 4000, 39_936, 40_000, 40_961, 60_001])
def test_every_length_comes_back_to_the_sample(tmp_path: Path, model: Path, n: int) -> None:
    encoded, decoded, made = there_and_back(tmp_path, model, made_sound(0, 8.0)[:n])
    assert made.shape == (1, n)
    assert (encoded.n_samples, decoded.n_samples, decoded.damaged) == (n, n, False)
    assert encoded.n_bytes == (tmp_path / "x.volna").stat().st_size


@pytest.mark.parametrize(("rate", "n"), [(11_025, 5000), (44_100, 30_001), (48_000, 1), (192_000, 3), (4000, 777)])
def test_every_rate_comes_back(tmp_path: Path, model: Path, rate: int, n: int) -> None:
    _, decoded, made = there_and_back(tmp_path, model, made_sound(1, 1.0, rate)[:n] if n > 9 else np.ones(n) / 2, rate)
    assert made.shape == (1, min(n, rate))
    assert not decoded.damaged


def test_it_sounds_alike_at_the_level_it_had(tmp_path: Path, model: Path) -> None:
    sound = made_sound(7, 6.0)
    distances = []
    for kbps in (0.5, 2.0):
        encoded, _, made = there_and_back(tmp_path, model, sound, kbps=kbps)
        distances.append(mel_distance(made[0], sound, RATE))
        assert abs(20 * np.log10(np.std(made) / np.std(sound))) < 3
        assert 0.5 * encoded.setting_kbps < encoded.kbps < 2 * encoded.setting_kbps
    assert distances[1] < distances[0]
    noise = np.random.default_rng(0).standard_normal(len(sound)).astype(np.float32) * np.std(sound)
    assert distances[0] < 0.5 * mel_distance(noise, sound, RATE)


def test_silence_is_silence_and_costs_almost_nothing(tmp_path: Path, model: Path) -> None:
    encoded, _, made = there_and_back(tmp_path, model, np.zeros(20 * RATE, np.float32))
    assert not made.any()
    assert encoded.n_bytes < 150
    between = np.concatenate([made_sound(0, 4.0), np.zeros(8 * RATE, np.float32), made_sound(1, 3.0)])
    _, _, made = there_and_back(tmp_path, model, between)
    assert not made[0, 5 * RATE : 9 * RATE].any()  # a whole block
    assert np.abs(made[0, 10 * RATE : 11 * RATE]).max() < 0.005  # part of one
    assert np.std(made[0, : 4 * RATE]) > 0.01
    assert np.std(made[0, 12 * RATE :]) > 0.01


def test_channels_are_kept_apart_and_equal_ones_cost_nothing(tmp_path: Path, model: Path) -> None:
    one, other = made_sound(0, 6.0), made_sound(1, 6.0) * 0.2
    mono, _, _ = there_and_back(tmp_path, model, one, kbps=1.0)
    equal, _, made = there_and_back(tmp_path, model, np.stack([one, one]), kbps=2.0)
    assert np.array_equal(made[0], made[1])
    assert equal.n_bytes < mono.n_bytes + 20
    _, _, made = there_and_back(tmp_path, model, np.stack([one, other, np.zeros_like(one)]), kbps=6.0)
    assert made.shape == (3, len(one))
    assert not made[2].any()
    assert 8 < 20 * np.log10(np.std(made[0]) / np.std(made[1])) < 20


def test_the_nearest_rate_in_proportion_is_taken() -> None:
    rates = [setting.bit_rate / 1000 for setting in codec().settings]
    assert [choose_setting(codec(), kbps) for kbps in (0.001, rates[1], 1.01 * rates[1], 1e6)] == [0, 1, 1, 2]
    assert choose_setting(codec(), 2 * rates[1], 2) == 1
    for kbps in (0.0, -1.0, float("inf"), float("nan")):
        with pytest.raises(InputError, match="kbps"):
            choose_setting(codec(), kbps)


def damage(path: Path, *places: float) -> None:
    """Spoil a byte at some shares of a file."""
    data = bytearray(path.read_bytes())
    for place in places:
        data[int(place * len(data))] ^= 0xFF
    path.write_bytes(bytes(data))


def test_a_damaged_block_becomes_silence_and_is_told(tmp_path: Path, model: Path) -> None:
    sound = made_sound(2, 20.0)
    _, _, whole = there_and_back(tmp_path, model, sound)
    damage(tmp_path / "x.volna", 0.4)
    decoded = decode(tmp_path / "x.volna", tmp_path / "out.wav", model=model, force=True)
    made = read_channels(tmp_path / "out.wav").samples
    assert made.shape == whole.shape
    (lost,) = decoded.lost
    begin, end = round(lost.start_s * RATE), round(lost.end_s * RATE)
    assert 4 < lost.end_s - lost.start_s < 6
    assert not made[0, begin:end].any()
    assert np.std(made[0, end + RATE :]) > 0.01
    assert decoded.damaged
    assert "silence instead" in decoded.notes[0]


def test_a_file_that_breaks_off_gives_what_it_holds(tmp_path: Path, model: Path) -> None:
    there_and_back(tmp_path, model, made_sound(2, 20.0))
    data = (tmp_path / "x.volna").read_bytes()
    (tmp_path / "x.volna").write_bytes(data[: int(0.7 * len(data))])
    decoded = decode(tmp_path / "x.volna", tmp_path / "out.wav", model=model, force=True)
    assert decoded.truncated_at_s == decoded.duration_s
    assert 9 < decoded.duration_s < 16
    assert "breaks off" in decoded.notes[0]
    (tmp_path / "x.volna").write_bytes(data[:70])
    with pytest.raises(AudioError, match="not one of its blocks"):
        decode(tmp_path / "x.volna", tmp_path / "none.wav", model=model)
    assert not (tmp_path / "none.wav").exists()


def test_flipped_bytes_give_sound_or_an_error_and_nothing_else(tmp_path: Path, model: Path) -> None:
    there_and_back(tmp_path, model, made_sound(2, 12.0))
    data, rng = (tmp_path / "x.volna").read_bytes(), np.random.default_rng(0)
    for _ in range(12):
        broken = bytearray(data)
        for place in rng.integers(0, len(data), int(rng.integers(1, 6))):
            broken[place] ^= int(rng.integers(1, 256))
        (tmp_path / "y.volna").write_bytes(bytes(broken))
        try:
            decoded = decode(tmp_path / "y.volna", tmp_path / "y.wav", model=model, force=True)
        except (AudioError, ModelError):
            continue
        assert decoded.damaged
        assert decoded.n_samples <= 12 * RATE


def test_another_model_is_named(tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there_and_back(tmp_path, model, made_sound(0, 1.0))
    (tmp_path / "other").mkdir()
    other = codec_file(tmp_path / "other", seed=1)
    with pytest.raises(ModelError, match=f"encoded with the model 'tiny' \\(id {codec().id}\\)"):
        decode(tmp_path / "x.volna", tmp_path / "y.wav", model=other)
    monkeypatch.setattr(compressing, "DEFAULT_MODEL", tmp_path / "missing")
    with pytest.raises(ModelError, match=r"volna codec train FOLDER.*encoded with the model 'tiny'"):
        decode(tmp_path / "x.volna", tmp_path / "y.wav")
    with pytest.raises(ModelError, match="volna codec train FOLDER"):
        encode(tmp_path / "in.wav", tmp_path / "y.volna")
    with pytest.raises(ModelError, match="is not a codec"):
        encode(tmp_path / "in.wav", tmp_path / "y.volna", model=tmp_path / "in.wav")
    assert not list(tmp_path.glob("y.*"))


def test_nothing_is_replaced_unasked_and_names_are_checked(tmp_path: Path, model: Path) -> None:
    there_and_back(tmp_path, model, made_sound(0, 1.0))
    for call in (
        lambda: encode(tmp_path / "in.wav", tmp_path / "x.volna", model=model),
        lambda: decode(tmp_path / "x.volna", tmp_path / "out.wav", model=model),
    ):
        with pytest.raises(InputError, match="--force"):
            call()
    with pytest.raises(InputError, match=r"ends in \.volna"):
        encode(tmp_path / "in.wav", tmp_path / "x.wav", model=model)
    with pytest.raises(InputError, match="expected a format that takes 8000 Hz"):
        decode(tmp_path / "x.volna", tmp_path / "x.opus", model=model)
    with pytest.raises(AudioError):
        encode(tmp_path / "missing.wav", tmp_path / "z.volna", model=model)
    with pytest.raises(AudioError, match=r"expected a \.volna file"):
        decode(tmp_path / "in.wav", tmp_path / "z.wav", model=model)
    assert not list(tmp_path.glob("*.tmp"))


def test_reports_are_plain_json(tmp_path: Path, model: Path) -> None:
    encoded, decoded, _ = there_and_back(tmp_path, model, made_sound(0, 1.0), 44_100)
    assert json.loads(json.dumps(encoded.as_dict()))["kbps"] == encoded.kbps
    assert json.loads(json.dumps(decoded.as_dict()))["damaged"] is False
    assert "not kept" in encoded.notes[0]


def long_sound(minutes: int) -> Iterator[np.ndarray]:
    """In blocks of 10 s."""
    block = made_sound(0, 10.0)[None]
    for _ in range(6 * minutes):
        yield block


@pytest.mark.parametrize("minutes", [10, pytest.param(60, marks=pytest.mark.slow)])
def test_hours_are_encoded_in_the_memory_of_seconds(tmp_path: Path, minutes: int) -> None:
    trained = codec()
    with open(tmp_path / "long.volna", "w+b") as file:
        encode_blocks(file, long_sound(1), trained, 0, RATE, 1)
        file.seek(0)
        tracemalloc.start()
        n_samples = encode_blocks(file, long_sound(minutes), trained, 0, RATE, 1)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        file.seek(0)
        header = read_header(file)
    assert header.n_samples == n_samples == 60 * minutes * RATE
    assert most < 8e6  # ten minutes are 19 MB


@pytest.mark.parametrize("minutes", [10, pytest.param(60, marks=pytest.mark.slow)])
def test_hours_are_decoded_in_the_memory_of_seconds(monkeypatch: pytest.MonkeyPatch, minutes: int) -> None:
    trained = codec()
    hop_length, n_rows = trained.mel_config.hop_length, 2 * 257 + trained.mel_config.n_mels
    # What a piece sounds like is tested elsewhere; here only that pieces come and go.
    monkeypatch.setattr(codec_use.SpectrumMaker, "piece", lambda _, symbols, left, n: np.ones((n_rows, 4 * n), "f4"))
    monkeypatch.setattr(codec_use, "sound_of_frames", lambda _, frames, left, n: np.ones(n * hop_length, "f4"))
    peaks = []
    for length in (2, minutes):
        file = io.BytesIO()
        encode_blocks(file, long_sound(length), trained, 0, RATE, 1)
        file.seek(0)
        tracemalloc.start()
        report = DecodeReport("", "", "", "", RATE, 1, 1.0)
        n = sum(block.shape[1] for block in decoded_blocks(file, read_header(file), trained, report))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert n == 60 * length * RATE
    assert peaks[1] < 1.2 * peaks[0] < 30e6
