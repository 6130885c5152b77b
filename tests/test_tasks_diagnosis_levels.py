"""Clipping, offsets, levels and channels: found where they are, not where a sound is only odd."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.signal
from diagnosis_sounds import RATE, found_in, music, sixteen_bits, tone, touches

from volna.synthesis import faults
from volna.tasks.diagnosis import KINDS, diagnose
from volna.tasks.diagnosis.clipping import flat_tops
from volna.tasks.diagnosis.finding import certainty, join_spans, runs


def test_the_clean_sound_of_these_tests_is_clean():
    assert found_in(music()) == {}
    assert found_in(music(1, 3.0)) == {}


# Clipping


@pytest.mark.parametrize("drive_db", [3.0, 6.0, 12.0])
@pytest.mark.parametrize("rescale_db", [0.0, -8.0])
def test_flat_tops_are_found_after_rescaling_too(drive_db, rescale_db):
    finding = found_in(faults.clip(music(), drive_db, rescale_db))["clipping"]
    rail_db = 20 * np.log10(0.5) - drive_db + rescale_db
    assert f"{rail_db:.1f} dBFS" in finding.sentence
    assert finding.certainty > 0.7


def test_clipping_is_placed_and_counted():
    sound = np.zeros((1, 4 * RATE), np.float32)
    sound[0] = 0.2 * np.sin(2 * np.pi * 330 * np.arange(4 * RATE) / RATE)
    sound[0, 2 * RATE : 3 * RATE] = np.clip(5 * sound[0, 2 * RATE : 3 * RATE], -0.7, 0.7)
    finding = found_in(sound)["clipping"]
    assert finding.channel == 1
    assert all(1.99 <= begin < end <= 3.01 for begin, end in finding.spans)
    share = 100 * np.mean(np.abs(sixteen_bits(sound)) > 0.6999)
    assert finding.measure == pytest.approx(share, rel=0.02)


def test_a_clipped_tone_is_found_at_full_scale():
    sound = np.clip(1.6 * np.sin(2 * np.pi * 440 * np.arange(3 * RATE) / RATE), -1, 1)
    assert "at full scale" in found_in(sound)["clipping"].sentence


@pytest.mark.parametrize("frequency", [20.0, 50.0, 441.0, 1000.0, 5512.5])
@pytest.mark.parametrize("level", [1.0, 0.06])
def test_peaks_of_a_sine_are_not_flat(frequency, level):
    sound = level * np.sin(2 * np.pi * frequency * np.arange(3 * RATE) / RATE)
    assert "clipping" not in found_in(sound)


@pytest.mark.parametrize("duty", [0.5, 0.25, 0.1])
def test_a_square_wave_is_a_shape(duty):
    sound = 0.8 * scipy.signal.square(2 * np.pi * 220 * np.arange(3 * RATE) / RATE, duty)
    assert found_in(sound) == {}


def test_coarse_steps_are_not_clipping():
    eight_bits = np.rint(music() * 128) / 128
    assert "clipping" not in found_in(eight_bits)


def test_flat_tops_of_nothing():
    for sound in (np.zeros(0, np.float32), np.zeros(100, np.float32), np.ones(5, np.float32)):
        assert len(flat_tops(sound)[0]) == 0


# Offset, level, channels


@pytest.mark.parametrize("by", [0.03, -0.1])
def test_an_offset_is_found_and_measured(by):
    finding = found_in(faults.offset(music(), by))["dc_offset"]
    assert finding.measure == pytest.approx(by, abs=0.004)


def test_an_offset_of_one_channel_names_it():
    sound = music()
    sound[1] += 0.05
    findings = [f for f in diagnose([sixteen_bits(sound)], RATE).findings if f.kind == "dc_offset"]
    assert [finding.channel for finding in findings] == [2]


def test_pulses_and_slow_drifts_are_no_offset():
    pulses = (np.arange(4 * RATE) % 200 == 0).astype(float)
    voice = scipy.signal.lfilter([1.0], [1.0, -1.6, 0.8], pulses)
    drift = np.cumsum(np.random.default_rng(0).standard_normal(4 * RATE))
    for sound in (voice, drift - drift.mean()):
        assert "dc_offset" not in found_in(0.5 * sound / np.abs(sound).max())


def test_an_offset_larger_than_the_sound_is_found_though_it_fades_in():
    fade = np.minimum(np.arange(5 * RATE) / RATE, 1.0)
    assert "dc_offset" in found_in((0.1 * music() + 0.3) * fade)


def test_a_low_level_is_found_and_a_modest_one_is_not():
    assert found_in(faults.low_level(music(), -45.0))["low_level"].measure == pytest.approx(-45.0, abs=0.1)
    assert "low_level" not in found_in(faults.low_level(music(), -24.0))


@pytest.mark.parametrize("channel", [0, 1])
def test_a_dead_channel_is_named(channel):
    finding = found_in(faults.dead_channel(music(), channel))["dead_channel"]
    assert finding.channel == channel + 1
    assert "inverted_channel" not in found_in(faults.dead_channel(music(), channel))


def test_an_inverted_channel_is_found_in_wide_stereo_and_in_doubled_mono():
    for sound in (music(), music()[0]):
        assert found_in(faults.inverted_channel(sound))["inverted_channel"].measure < -0.4


def test_unlike_channels_are_not_inverted():
    noise = tone("noise", n_channels=2)
    late = np.stack([music()[0], np.roll(music()[0], 13)])
    other = np.stack([tone(frequencies_hz=[440.0]), tone(frequencies_hz=[447.0])])
    for sound in (noise, late, other):
        assert "inverted_channel" not in found_in(sound)


# What all findings have


def test_every_finding_has_kind_place_measure_and_sentence():
    sound = faults.offset(faults.clip(faults.inverted_channel(music())), 0.05)
    diagnosis = diagnose([sixteen_bits(sound)], RATE)
    assert len(diagnosis.findings) >= 4
    assert [KINDS.index(f.kind) for f in diagnosis.findings] == sorted(KINDS.index(f.kind) for f in diagnosis.findings)
    for finding in diagnosis.findings:
        assert 0.5 <= finding.certainty <= 0.99
        assert finding.sentence.endswith(".")
        assert finding.unit
        assert all(0 <= begin <= end <= diagnosis.duration_s for begin, end in finding.spans)
        assert isinstance(finding.as_dict()["measure"], int | float)


def test_blocks_make_no_difference():
    sound = sixteen_bits(faults.clicks(faults.dropouts(music(3, 9.0), RATE, 0.04, 3), RATE, 0.8, 4))
    whole = {f.kind: f.spans for f in diagnose([sound], RATE).findings}
    blocks = [sound[:, k : k + 3 * RATE] for k in range(0, sound.shape[1], 3 * RATE)]
    parted = {f.kind: f.spans for f in diagnose(blocks, RATE).findings}
    assert parted["dropout"] == whole["dropout"]
    assert len(parted["clicks"]) == pytest.approx(len(whole["clicks"]), abs=1)


@pytest.mark.parametrize("n", [0, 1, 2, 100, 3000])
def test_short_sounds_are_judged_as_far_as_they_go(n):
    diagnosis = diagnose([music()[:, :n]] if n else [], RATE)
    assert diagnosis.duration_s == pytest.approx(n / RATE, abs=1e-4)


def test_certainty_grows_and_never_reaches_one():
    values = [certainty(x) for x in (-3, 0, 0.5, 1, 2, 50)]
    assert values == sorted(values)
    assert (values[1], values[3], values[-1]) == (0.5, 0.75, 0.99)


def test_many_spans_are_joined():
    spans = join_spans(((k / 10, k / 10 + 0.01) for k in range(5000)), 0.0)
    assert len(spans) <= 200
    assert (spans[0][0], spans[-1][1]) == (0.0, 499.91)


def test_runs_of_nothing_and_of_everything():
    for mask, expected in (
        ([], []),
        ([True], [(0, 1)]),
        ([False, True], [(1, 2)]),
        ([True, False, True], [(0, 1), (2, 3)]),
    ):
        starts, ends = runs(np.array(mask, bool))
        assert list(zip(starts.tolist(), ends.tolist(), strict=True)) == expected


def test_touches_is_able_to_fail():
    finding = found_in(faults.clip(music()))["clipping"]
    assert not touches(finding, 1e6)


def test_a_clipped_passage_between_louder_ones_is_found():
    sound = music(2)
    begin, end = 2 * RATE, 4 * RATE
    sound[:, begin:end] = np.clip(0.4 * sound[:, begin:end], -0.08, 0.08)
    finding = found_in(sound)["clipping"]
    assert all(1.99 <= start < stop <= 4.01 for start, stop in finding.spans)
