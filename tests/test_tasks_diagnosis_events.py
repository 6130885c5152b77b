"""Dropouts, frozen samples, silence and clicks: where they are, and not in pauses, drums and metronomes."""

from __future__ import annotations

import numpy as np
import pytest
from diagnosis_sounds import RATE, found_in, music, tone, touches

from volna.synthesis import faults
from volna.tasks.diagnosis.clicks import prediction_error

TIMES_S = (0.9, 2.13, 3.71)


def cut(sound: np.ndarray, at_s: float, duration_s: float, value: float | None = 0.0) -> None:
    begin, end = round(at_s * RATE), round((at_s + duration_s) * RATE)
    sound[..., begin:end] = sound[..., begin, None] if value is None else value


@pytest.mark.parametrize("duration_s", [0.01, 0.03, 0.1])
def test_dropouts_are_found_where_they_are(duration_s):
    sound = music()
    for at_s in TIMES_S:
        cut(sound, at_s, duration_s)
    finding = found_in(sound)["dropout"]
    assert finding.channel is None
    assert sum(touches(finding, at_s + duration_s / 2) for at_s in TIMES_S) >= 2
    assert all(end - begin == pytest.approx(duration_s, abs=0.003) for begin, end in finding.spans)


def test_a_dropout_of_one_channel_names_it():
    sound = music()
    for at_s in TIMES_S:
        cut(sound[1:], at_s, 0.04)
    assert found_in(sound)["dropout"].channel == 2


def test_a_wave_that_hangs_is_frozen():
    sound = music()
    for at_s in TIMES_S:
        cut(sound, at_s, 0.03, None)
    assert set(found_in(sound)) == {"frozen"}


def test_pauses_with_fades_are_no_dropouts():
    sound, fade = music(), np.linspace(0, 1, round(0.01 * RATE))
    for at_s in TIMES_S:
        begin, end = round(at_s * RATE), round((at_s + 0.3) * RATE)
        sound[:, begin:end] = 0.0
        sound[:, begin - len(fade) : begin] *= fade[::-1]
        sound[:, end : end + len(fade)] *= fade
    assert found_in(sound) == {}


def test_beeps_without_fades_are_a_rhythm():
    beep = tone(duration_s=0.2, fade_s=0.0)
    assert found_in(np.tile(np.concatenate([beep, np.zeros(round(0.1 * RATE), np.float32)]), 12)) == {}


def test_digital_silence_inside_and_throughout():
    sound = music(0, 6.0)
    cut(sound, 2.0, 1.5)
    assert found_in(sound)["silence"].measure == pytest.approx(1.5, abs=0.01)
    silent = found_in(np.zeros((2, 3 * RATE)))
    assert list(silent) == ["silence"]
    assert "whole file" in silent["silence"].sentence


def test_silence_at_the_ends_counts_only_when_it_is_long():
    assert found_in(np.pad(music(), ((0, 0), (RATE, RATE)))) == {}
    assert found_in(np.pad(music(), ((0, 0), (0, 7 * RATE))))["silence"].measure == pytest.approx(7.0, abs=0.1)


# Clicks


@pytest.mark.parametrize("width", [1, 3])
@pytest.mark.parametrize("height", [0.5, 1.0])
def test_clicks_are_found_where_they_are(width, height):
    sound = 0.5 * music()
    for at_s in TIMES_S:
        sound[:, round(at_s * RATE) : round(at_s * RATE) + width] += height / 2
    finding = found_in(sound)["clicks"]
    assert sum(touches(finding, at_s, 0.001) for at_s in TIMES_S) == 3
    assert finding.measure == 3


def test_drums_plucks_and_metronomes_are_not_clicks():
    from volna.synthesis.instruments import kick, noise_hit, pluck

    rng = np.random.default_rng(2)
    strokes = [kick(RATE), noise_hit(rng, RATE, low_hz=900, high_hz=8000, length_s=0.15), pluck(196.0, RATE, RATE)]
    sound = np.zeros(6 * RATE)
    for k in range(22):
        stroke = strokes[k % 3] * np.linspace(1, 0, len(strokes[k % 3])) * rng.uniform(0.4, 1)
        at = round(0.22 * k * RATE)
        sound[at : at + len(stroke)] += stroke[: len(sound) - at]
    for clean in (sound / np.abs(sound).max(), tone("clicks"), tone(shape="saw", frequencies_hz=[55.0])):
        assert "clicks" not in found_in(clean)


def test_single_samples_over_silence_are_a_metronome():
    sound = np.zeros(4 * RATE)
    sound[:: RATE // 2] = 0.9
    assert "clicks" not in found_in(sound)


def test_the_error_of_prediction_is_small_for_what_can_be_predicted():
    noise = np.random.default_rng(0).standard_normal(RATE).astype(np.float32)
    sine = np.sin(0.3 * np.arange(RATE)).astype(np.float32)
    assert np.std(prediction_error(noise, 900)) == pytest.approx(1.0, abs=0.1)
    assert np.std(prediction_error(sine, 900)[2000:-2000]) < 0.01
    assert prediction_error(noise[:1234], 900).shape == (1234,)


def test_faults_of_the_library_are_found():
    assert "clicks" in found_in(faults.clicks(0.6 * music(4), RATE, 0.8, 5))
    assert "dropout" in found_in(faults.dropouts(music(4), RATE, 0.05, 4))
    assert "frozen" in found_in(faults.frozen(music(4), RATE, 0.05, 4))
