"""Sampling and quantisation: the theory where it holds, its limits where it does not, and blocks that join."""

from __future__ import annotations

import numpy as np
import pytest

from volna.audio.channels import read_channels
from volna.audio.encode import encode, encode_blocks, written_rate
from volna.audio.quantise import (
    DITHER_DB,
    NoiseMeter,
    expected_snr_db,
    full_scale_snr_db,
    quantise,
    resample_blocks,
    snr_db,
    take_nearest,
)
from volna.audio.signal import decibels, resample
from volna.errors import InputError

RATE = 48_000
SECONDS = np.arange(RATE) / RATE


def tone(hz: float = 997.0, amplitude: float = 1.0) -> np.ndarray:
    return amplitude * np.sin(2 * np.pi * hz * SECONDS)


def strongest_hz(samples: np.ndarray, rate: int) -> float:
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum) * rate / len(samples))


# Bits


@pytest.mark.parametrize("bits", [*range(2, 25), 32])
def test_the_values_are_those_of_pcm(bits: int) -> None:
    rounded = quantise(tone(), bits) * 2.0 ** (bits - 1)
    assert np.array_equal(rounded, np.rint(rounded))
    assert rounded.min() == -(2.0 ** (bits - 1))
    assert rounded.max() == 2.0 ** (bits - 1) - 1
    assert len(np.unique(rounded)) <= 2**bits


def test_one_bit_is_the_sign() -> None:
    assert set(np.unique(quantise(tone(), 1))) == {-0.5, 0.5}
    # The best that two symmetric values of 0.5 can do for a sine: noise 1/2 - 2/pi + 1/4.
    assert snr_db(tone(), quantise(tone(), 1)) == pytest.approx(10 * np.log10(0.5 / (0.75 - 2 / np.pi)), abs=0.01)


@pytest.mark.parametrize("bits", [0, 33, -1])
def test_other_numbers_of_bits_are_refused(bits: int) -> None:
    with pytest.raises(InputError, match="1 to 32 bits"):
        quantise(tone(), bits)


@pytest.mark.parametrize("bits", [6, 8, 10, 12, 16, 20, 24])
def test_a_full_scale_sine_has_the_snr_of_the_theory(bits: int) -> None:
    almost = tone(amplitude=1 - 2.0 ** (1 - bits))  # the top step is missing: a full sine would be clipped there
    assert full_scale_snr_db(bits) == pytest.approx(6.02 * bits + 1.76, abs=0.03)
    measured = snr_db(almost, quantise(almost, bits))
    assert measured == pytest.approx(expected_snr_db(bits, float(np.sqrt(np.mean(almost**2)))), abs=0.45)
    with_dither = snr_db(almost, quantise(almost, bits, dither=True))
    assert with_dither == pytest.approx(full_scale_snr_db(bits, dither=True), abs=0.35)
    assert measured - with_dither == pytest.approx(DITHER_DB, abs=0.5)


@pytest.mark.parametrize("amplitude", [0.5, 0.1, 0.02])
def test_noise_of_any_level_has_what_is_expected_of_its_level(amplitude: float) -> None:
    noise = amplitude / 4 * np.random.default_rng(1).standard_normal(RATE)
    for dither in (False, True):
        expected = expected_snr_db(12, float(np.sqrt(np.mean(noise**2))), dither=dither)
        assert snr_db(noise, quantise(noise, 12, dither=dither)) == pytest.approx(expected, abs=0.1)


def test_dither_turns_distortion_into_noise() -> None:
    quiet = tone(hz=1000, amplitude=1.4 / 128)  # a step and a half of 8 bits

    def third_harmonic_db(samples: np.ndarray) -> float:
        spectrum = np.abs(np.fft.rfft(samples - quiet))
        return float(20 * np.log10(spectrum[3000] / np.median(spectrum[2000:4000] + 1e-12)))

    assert third_harmonic_db(quantise(quiet, 8)) > 40
    assert third_harmonic_db(quantise(quiet, 8, dither=True)) < 15
    silent = tone(hz=1000, amplitude=0.4 / 128)  # below half a step: gone without dither, kept with it
    assert not quantise(silent, 8).any()
    kept = np.abs(np.fft.rfft(quantise(silent, 8, dither=True)))
    assert np.argmax(kept) == 1000


def test_dither_is_seeded_and_triangular() -> None:
    zeros = np.zeros(200_000)
    one = quantise(zeros, 8, dither=True)
    assert np.array_equal(one, quantise(zeros, 8, dither=True))
    assert not np.array_equal(one, quantise(zeros, 8, dither=True, rng=np.random.default_rng(1)))
    # Rounded TPDF noise of two steps' width: values -1, 0, 1 with probabilities 1/8, 3/4, 1/8.
    assert [float(np.mean(one * 128 == value)) for value in (-1, 0, 1)] == pytest.approx(
        [1 / 8, 3 / 4, 1 / 8], abs=0.01
    )


def test_what_lies_beyond_is_clipped_and_what_lies_on_the_steps_is_kept() -> None:
    assert quantise(np.array([-2.0, 2.0]), 4).tolist() == [-1.0, 0.875]
    rounded = quantise(tone(), 8)
    assert np.array_equal(quantise(rounded, 8), rounded)
    assert snr_db(rounded, quantise(rounded, 8)) == np.inf


def test_the_meter_adds_up_and_knows_its_edges() -> None:
    x, y = tone(), quantise(tone(), 5)
    meter = NoiseMeter()
    for part in np.array_split(np.arange(RATE), 7):
        meter.add(x[part], y[part])
    assert meter.snr_db == pytest.approx(snr_db(x, y), abs=1e-9)
    assert meter.rms == pytest.approx(2**-0.5, rel=1e-6)
    assert np.isnan(snr_db(np.zeros(4), np.zeros(4)))
    assert snr_db(np.zeros(4), np.ones(4)) == -np.inf
    assert NoiseMeter().rms == 0.0
    assert expected_snr_db(8, 0.0) == -np.inf
    with pytest.raises(InputError, match="same shape"):
        snr_db(np.zeros(4), np.zeros(5))


# Rates


@pytest.mark.parametrize(
    ("hz", "to_hz"), [(5000, 8000), (9000, 8000), (3000, 8000), (15_000, 12_000), (11_000, 16_000)]
)
def test_without_a_filter_a_tone_folds_where_the_theory_says(hz: int, to_hz: int) -> None:
    folded = abs(hz - to_hz * round(hz / to_hz))
    taken, _ = take_nearest(tone(hz), RATE, to_hz)
    assert len(taken) == to_hz
    assert strongest_hz(taken, to_hz) == pytest.approx(folded, abs=1)
    filtered = resample(tone(hz), RATE, to_hz)
    left_db = 20 * np.log10(np.std(filtered[500:-500]) + 1e-12) - 20 * np.log10(np.std(taken))
    assert (left_db < -90) == (hz > to_hz / 2)


def test_a_whole_ratio_takes_every_kth_sample_and_upwards_repeats() -> None:
    x = np.arange(24.0)
    assert np.array_equal(take_nearest(x, 48_000, 8000)[0], x[::6])
    assert np.array_equal(take_nearest(x, 8000, 24_000)[0], np.repeat(x, 3))
    at = take_nearest(np.arange(44_100), 44_100, 8000)[0]
    assert np.array_equal(at, np.arange(8000) * 44_100 // 8000)
    with pytest.raises(InputError, match="above 0 Hz"):
        take_nearest(x, 0, 8000)


@pytest.mark.parametrize(("from_hz", "to_hz"), [(44_100, 8000), (8000, 44_100), (44_100, 48_000), (16_000, 16_000)])
@pytest.mark.parametrize("anti_alias", [True, False])
def test_blocks_join_without_a_seam(from_hz: int, to_hz: int, anti_alias: bool) -> None:
    sound = np.random.default_rng(0).standard_normal((2, 60_000)).astype(np.float32)
    whole = resample(sound, from_hz, to_hz) if anti_alias else take_nearest(sound, from_hz, to_hz)[0]
    for cuts in ([], [1, 2, 40_000], [17, 17, 59_999]):
        blocks = resample_blocks(np.split(sound, cuts, axis=1), from_hz, to_hz, anti_alias=anti_alias)
        joined = np.concatenate(list(blocks), axis=1)
        assert joined.shape == whole.shape
        assert np.allclose(joined, whole, atol=1e-6)


# Files in blocks


def test_a_file_written_in_blocks_is_the_file_written_at_once(tmp_path) -> None:
    sound = (0.1 * np.random.default_rng(0).standard_normal((2, 100_000))).astype(np.float32)
    for ending in (".wav", ".flac", ".mp3"):
        encode(tmp_path / f"whole{ending}", sound, 44_100)
        encode_blocks(tmp_path / f"blocks{ending}", np.split(sound, [5, 40_000], axis=1), 44_100)
        assert (tmp_path / f"whole{ending}").read_bytes() == (tmp_path / f"blocks{ending}").read_bytes()


def test_32_bits_survive_a_file(tmp_path) -> None:
    from av import open as av_open

    values = np.random.default_rng(0).integers(-(2**31), 2**31 - 1, size=1000)
    encode_blocks(tmp_path / "a.wav", [values[None] / 2.0**31], 8000, codec="pcm_s32le")
    with av_open(str(tmp_path / "a.wav")) as container:
        back = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])
    assert np.array_equal(back, values)
    assert read_channels(tmp_path / "a.wav").samples.shape == (1, 1000)


def test_blocks_that_make_no_file_are_refused_and_leave_nothing(tmp_path) -> None:
    def broken():
        yield np.zeros((1, 70_000), np.float32)
        raise InputError("the source failed")

    some = np.zeros((1, 10), np.float32)
    for blocks, rate, name, words in (
        ([], 8000, "a.wav", "at least one sample"),
        ([np.zeros((9, 10), np.float32)], 8000, "a.wav", "1 to 8 channels"),
        ([some], 11_000, "a.opus", "rate that libopus takes"),
        (broken(), 8000, "a.wav", "the source failed"),
    ):
        with pytest.raises(InputError, match=words):
            encode_blocks(tmp_path / name, blocks, rate)
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == []
    assert (written_rate("a.opus", 11_000), written_rate("a.wav", 11_000)) == (48_000, 11_000)


def test_decibels() -> None:
    assert decibels(10.0) == 20.0
    assert decibels(100.0, 10.0) == 20.0
    assert decibels(0.0) == decibels(-1.0) == -np.inf
