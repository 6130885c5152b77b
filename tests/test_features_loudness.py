"""Loudness: the cases of EBU Tech 3341 and 3342, the table of BS.1770, pyloudnorm and libav's own meter."""

from __future__ import annotations

import math

import numpy as np
import pytest

from volna.errors import InputError
from volna.features.loudness import (
    LoudnessMeter,
    TruePeakMeter,
    channel_weights,
    k_weighting,
    loudness,
    measure_loudness,
    true_peak,
)

RATE = 48_000


def tones(*parts: tuple[float, float], hz: float = 1000.0, n_channels: int = 2, rate: int = RATE) -> np.ndarray:
    """A sine whose peak level goes through ``(dBFS, seconds)``, the same in all channels."""
    level = np.concatenate([np.full(round(seconds * rate), 10 ** (db / 20)) for db, seconds in parts])
    sine = level * np.sin(2 * np.pi * hz * np.arange(len(level)) / rate)
    return np.repeat(sine[None].astype(np.float32), n_channels, axis=0)


def programme(seed: int = 0, duration_s: float = 12.0, rate: int = RATE, n_channels: int = 2) -> np.ndarray:
    """Noise whose level wanders, with pauses: what the gates are for."""
    rng = np.random.default_rng(seed)
    n = round(duration_s * rate)
    levels_db = np.interp(np.arange(n), np.linspace(0, n, 9), rng.uniform(-50, -15, 9))
    levels_db[n // 3 : n // 3 + rate] = -90
    return (10 ** (levels_db / 20) * rng.standard_normal((n_channels, n))).astype(np.float32)


# The filters


def test_at_48_khz_the_filters_are_those_of_the_standard() -> None:
    shelf, high_pass = k_weighting(48_000)
    # ITU-R BS.1770-4, tables 1 and 2
    assert shelf == pytest.approx(
        [1.53512485958697, -2.69169618940638, 1.19839281085285, 1.0, -1.69065929318241, 0.73248077421585], abs=1e-9
    )
    assert high_pass == pytest.approx([1.0, -2.0, 1.0, 1.0, -1.99004745483398, 0.99007225036621], abs=1e-9)


@pytest.mark.parametrize("rate", [8000, 11_025, 16_000, 22_050, 44_100, 96_000, 192_000])
def test_the_same_tone_is_as_loud_at_every_rate(rate: int) -> None:
    tolerance_db = 0.25 if rate < 22_050 else 0.1  # the bilinear transform bends the shelf at low rates
    for hz in (100.0, 1000.0, 3000.0):
        at_48 = loudness(tones((-20, 2), hz=hz), RATE)
        assert loudness(tones((-20, 2), hz=hz, rate=rate), rate) == pytest.approx(at_48, abs=tolerance_db)


def test_rates_too_low_for_the_shelf_have_the_high_pass_alone() -> None:
    assert k_weighting(3000).shape == (1, 6)
    assert k_weighting(3400).shape == (2, 6)
    assert math.isfinite(loudness(tones((-20, 1), hz=200, rate=1000), 1000))
    with pytest.raises(InputError, match="100 Hz"):
        k_weighting(100)


# EBU Tech 3341: loudness


@pytest.mark.parametrize(
    "parts",
    [
        ((-23, 20),),
        ((-36, 10), (-23, 60), (-36, 10)),
        ((-72, 10), (-36, 10), (-23, 60), (-36, 10), (-72, 10)),
        ((-26, 20), (-20, 20.1), (-26, 20)),
    ],
    ids=["1", "3", "4", "5"],
)
def test_integrated_loudness_of_tech_3341(parts: tuple[tuple[float, float], ...]) -> None:
    rate = 16_000  # a third of the work; the filters agree, see above
    assert loudness(tones(*parts, rate=rate), rate) == pytest.approx(-23.0, abs=0.1)


def test_momentary_and_short_term_loudness_of_tech_3341() -> None:
    steady = measure_loudness(tones((-33, 20)), RATE)  # case 2
    for value in (steady.integrated_lufs, steady.momentary_max_lufs, steady.short_term_max_lufs):
        assert value == pytest.approx(-33.0, abs=0.1)
    pulses = measure_loudness(tones(*[(-20, 1.34), (-30, 1.66)] * 5), RATE)  # case 9
    assert pulses.short_term_lufs == pytest.approx(np.full(len(pulses.short_term_lufs), -23.0), abs=0.1)
    quick = measure_loudness(tones(*[(-20, 0.18), (-30, 0.22)] * 25), RATE)  # case 12
    assert quick.momentary_lufs[6:] == pytest.approx(np.full(len(quick.momentary_lufs) - 6, -23.0), abs=0.1)


@pytest.mark.parametrize("shift_s", [0.0, 0.05, 0.15])
def test_the_loudest_moments_of_tech_3341(shift_s: float) -> None:
    short = measure_loudness(tones((-150, shift_s), (-23, 3), (-150, 1)), RATE)  # case 10
    assert short.short_term_max_lufs == pytest.approx(-23.0, abs=0.1)
    moment = measure_loudness(tones((-150, shift_s * 0.1), (-23, 0.4), (-150, 1)), RATE)  # case 13
    assert moment.momentary_max_lufs == pytest.approx(-23.0, abs=0.25)


def test_surround_channels_weigh_more_and_the_lfe_nothing() -> None:
    levels = np.array([-28.0, -28.0, -24.0, -30.0, -30.0])  # case 6
    five = tones((0, 5), n_channels=5) * (10 ** (levels / 20))[:, None].astype(np.float32)
    assert loudness(five, RATE) == pytest.approx(-23.0, abs=0.1)
    with_lfe = np.insert(five, 3, 1.0 * tones((0, 5), n_channels=1)[0], axis=0)
    assert loudness(with_lfe, RATE) == pytest.approx(loudness(five, RATE), abs=1e-6)
    assert channel_weights(8).tolist() == [1, 1, 1, 0, 1, 1, 1.41, 1.41]
    assert channel_weights(11).tolist() == [1] * 11


# EBU Tech 3342: range


@pytest.mark.parametrize(
    ("parts", "range_lu"),
    [
        (((-20, 20), (-30, 20)), 10),
        (((-20, 20), (-15, 20)), 5),
        (((-40, 20), (-20, 20)), 20),
        (((-50, 20), (-35, 20), (-20, 20), (-35, 20), (-50, 20)), 15),
    ],
)
def test_loudness_range_of_tech_3342(parts: tuple[tuple[float, float], ...], range_lu: float) -> None:
    assert measure_loudness(tones(*parts, rate=16_000), 16_000).range_lu == pytest.approx(range_lu, abs=1.0)


# EBU Tech 3341: true peak, with ends that fade so that the band limit rings nowhere


@pytest.mark.parametrize(
    ("divisor", "degrees", "amplitude", "expected_db"),
    [(4, 0, 0.5, -6.0), (4, 45, 0.5, -6.0), (6, 60, 0.5, -6.0), (8, 67.5, 0.5, -6.0), (4, 45, 1.41, 3.0)],
    ids=["15", "16", "17", "18", "19"],
)
def test_true_peak_of_tech_3341(divisor: int, degrees: float, amplitude: float, expected_db: float) -> None:
    n = np.arange(RATE)
    fade = np.minimum(1, np.minimum(n, n[::-1]) / 2000)
    sine = fade * amplitude * np.sin(2 * np.pi * n / divisor + np.radians(degrees))
    measured_db = 20 * np.log10(true_peak(sine, RATE)[0])
    assert expected_db - 0.4 <= measured_db <= expected_db + 0.2
    if (divisor, degrees) == (4, 45):
        sample_peak_db = 20 * np.log10(np.abs(sine).max())
        assert measured_db - sample_peak_db == pytest.approx(3.01, abs=0.1)


def test_true_peak_is_never_below_the_samples() -> None:
    noise = 0.3 * np.random.default_rng(0).standard_normal((3, 5000))
    assert (true_peak(noise, 8000) >= np.abs(noise).max(axis=1) - 1e-6).all()
    assert true_peak(np.zeros(100), 8000).tolist() == [0.0]


# References


@pytest.mark.parametrize("rate", [8000, 22_050, 44_100, 48_000])
@pytest.mark.parametrize("n_channels", [1, 2, 5])
def test_integrated_loudness_agrees_with_pyloudnorm(rate: int, n_channels: int) -> None:
    pyloudnorm = pytest.importorskip("pyloudnorm")
    sound = programme(rate + n_channels, 9.0, rate, n_channels)
    signal = sound.T.astype(np.float64)
    usual = pyloudnorm.Meter(rate).integrated_loudness(signal)
    assert loudness(sound, rate) == pytest.approx(usual, abs=0.1)
    if rate >= 44_100:  # "DeMan": the very filters of the standard; below, their high-pass has another gain
        exact = pyloudnorm.Meter(rate, filter_class="DeMan").integrated_loudness(signal)
        assert loudness(sound, rate) == pytest.approx(exact, abs=0.02)


@pytest.mark.parametrize("seed", [1, 2])
def test_everything_agrees_with_the_meter_of_libav(seed: int) -> None:
    """libavfilter's ``ebur128``, an implementation of its own, at 48 kHz: it resamples to nothing else."""
    av = pytest.importorskip("av")
    sound = np.clip(programme(seed, 15.0), -1, 1)
    graph = av.filter.Graph()
    source = graph.add_abuffer(format="fltp", sample_rate=RATE, layout="stereo", time_base=f"1/{RATE}")
    meter, sink = graph.add("ebur128", "metadata=1:peak=true"), graph.add("abuffersink")
    source.link_to(meter)
    meter.link_to(sink)
    graph.configure()
    momentary, last = [], {}
    for begin in range(0, sound.shape[1], 4800):
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(sound[:, begin : begin + 4800]), "fltp", "stereo")
        frame.sample_rate, frame.pts = RATE, begin
        graph.push(frame)
        while True:
            try:
                out = graph.pull()
            except (av.error.BlockingIOError, av.error.EOFError):
                break
            if not hasattr(out, "metadata"):
                pytest.skip("this PyAV does not show the metadata of frames")
            last = dict(out.metadata) or last
            momentary.append(float(last["lavfi.r128.M"]))
    mine = measure_loudness(sound, RATE)
    assert mine.integrated_lufs == pytest.approx(float(last["lavfi.r128.I"]), abs=0.1)
    assert mine.range_lu == pytest.approx(float(last["lavfi.r128.LRA"]), abs=0.2)
    assert mine.momentary_max_lufs == pytest.approx(max(momentary), abs=0.1)
    theirs = [float(last[f"lavfi.r128.true_peaks_ch{channel}"]) for channel in (0, 1)]
    assert 20 * np.log10(true_peak(sound, RATE) / theirs) == pytest.approx([0, 0], abs=0.3)


# Blocks, and edges


@pytest.mark.parametrize("rate", [8000, 11_025, 22_050])
def test_blocks_of_any_size_give_what_the_whole_gives(rate: int) -> None:
    sound = programme(3, 5.0, rate)
    whole, peaks = measure_loudness(sound, rate), true_peak(sound, rate)
    for cuts in ([1, 2, 3], [rate // 10, rate // 10 + 1, 4 * rate], list(range(0, 5 * rate, 777))):
        meter, peak_meter = LoudnessMeter(rate, 2), TruePeakMeter(rate, 2)
        for block in np.split(sound, cuts, axis=1):
            meter.add(block)
            peak_meter.add(block)
        got = meter.result()
        assert got.momentary_lufs == pytest.approx(whole.momentary_lufs, abs=1e-6)
        assert (got.integrated_lufs, got.range_lu) == pytest.approx((whole.integrated_lufs, whole.range_lu), abs=1e-6)
        assert peak_meter.result() == pytest.approx(peaks, abs=1e-5)
        assert peak_meter.result() == pytest.approx(peaks, abs=1e-5)  # asking twice changes nothing
    assert len(whole.momentary_lufs) == 50 - 3
    assert len(whole.short_term_lufs) == 50 - 29


def test_a_louder_sound_is_louder_by_as_much() -> None:
    sound = programme(4, 4.0, 16_000)
    assert loudness(4 * sound, 16_000) - loudness(sound, 16_000) == pytest.approx(20 * math.log10(4), abs=0.3)
    doubled = np.concatenate([sound, sound])
    assert loudness(doubled[:2], 16_000) == loudness(sound, 16_000)
    mono = loudness(sound[0], 16_000)
    assert loudness(np.stack([sound[0], sound[0]]), 16_000) - mono == pytest.approx(3.01, abs=0.3)


def test_silence_and_short_sounds_have_defined_answers() -> None:
    silent = measure_loudness(np.zeros(4 * 8000), 8000)
    assert (silent.integrated_lufs, silent.range_lu) == (-math.inf, 0.0)
    assert silent.momentary_max_lufs == silent.short_term_max_lufs == -math.inf
    second = measure_loudness(tones((-20, 1), rate=8000), 8000)
    assert math.isnan(second.range_lu)
    assert math.isnan(second.short_term_max_lufs)
    short = measure_loudness(tones((-20, 0.3), rate=8000), 8000)
    assert short.integrated_lufs == pytest.approx(second.integrated_lufs, abs=0.5)
    assert math.isnan(short.momentary_max_lufs)
    assert math.isfinite(loudness(np.ones(1), 8000))
    faint = measure_loudness(tones((-90, 4), rate=8000), 8000)
    assert faint.integrated_lufs == -math.inf


@pytest.mark.parametrize(
    ("samples", "words"),
    [(np.zeros(0), "shape"), (np.zeros((1, 2, 3)), "shape"), (np.array([0.0, np.nan]), "finite")],
)
def test_what_is_no_sound_is_refused(samples: np.ndarray, words: str) -> None:
    for measure in (loudness, true_peak, measure_loudness):
        with pytest.raises(InputError, match=words):
            measure(samples, 8000)
