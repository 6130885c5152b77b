"""The recipe: one fixed, finite, named vector for whatever sound comes."""

from __future__ import annotations

import dataclasses
import doctest
import json
import warnings

import numpy as np
import pytest
from make_golden import GOLDEN, golden_sound, golden_vector

from volna.errors import AudioError, InputError
from volna.features import descriptors as d
from volna.features import modulation, rhythm
from volna.features import recipe as r
from volna.features.spectrum import LOG_MEL_TOP_DB, log_mel

RATE = r.ANALYSIS.sample_rate


def value(analysis: r.Analysis, name: str) -> float:
    return float(analysis.descriptors[r.DESCRIPTOR_NAMES.index(name)])


def noise(seconds: float, seed: int = 0, level: float = 0.1) -> np.ndarray:
    return (level * np.random.default_rng(seed).standard_normal(round(seconds * RATE))).astype(np.float32)


def note(hz: float = 440.0, seconds: float = 0.3, level: float = 0.5) -> np.ndarray:
    t = np.arange(round(seconds * RATE)) / RATE
    return (level * np.sin(2 * np.pi * hz * t) * np.exp(-5 * t)).astype(np.float32)


def padded(sound: np.ndarray, seconds: float) -> np.ndarray:
    return np.concatenate([sound, np.zeros(round(seconds * RATE), np.float32)])


def click(seconds: float = 5.0) -> np.ndarray:
    samples = np.zeros(round(seconds * RATE), np.float32)
    samples[len(samples) // 2] = 1.0
    return samples


def test_examples():
    assert doctest.testmod(r, extraglobs={"np": np}).failed == 0


def test_every_element_has_a_name_a_group_and_a_weight():
    assert len(set(r.DESCRIPTOR_NAMES)) == len(r.DESCRIPTOR_NAMES) == len(r.DESCRIPTOR_WEIGHTS) == 270
    assert sum(len(r.names_of(group)) for group in r.GROUPS) == 270
    assert {name.removesuffix("_mean") for name in r.names_of("chroma") if name.endswith("_mean")} == {
        f"chroma_{k}" for k in range(1, 13)
    }
    for name in ("centroid_mean", "rolloff_std", "contrast_7_mean", "rms_std", "tempo_bpm", "modulation_24_5"):
        assert name in r.DESCRIPTOR_NAMES


def test_a_group_weighs_what_its_constant_says_whatever_its_size():
    for group, weight in r.GROUP_WEIGHTS.items():
        assert np.linalg.norm(r.DESCRIPTOR_WEIGHTS[r.group_of(group)]) == pytest.approx(weight, rel=1e-5)


def test_unknown_groups_are_refused():
    with pytest.raises(InputError, match="mfcc60, mfcc, shape"):
        r.names_of("timbre")


def test_golden_numbers():
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    assert golden["features_version"] == r.FEATURES_VERSION, "run tests/make_golden.py"
    ours = golden_vector()
    assert list(ours) == list(golden["descriptors"])
    np.testing.assert_allclose(list(ours.values()), list(golden["descriptors"].values()), rtol=2e-3, atol=2e-3)


def test_the_version_follows_the_settings():
    other = dataclasses.replace(r.ANALYSIS, n_mels=80)
    assert r.features_version(other) != r.FEATURES_VERSION == r.features_version(r.ANALYSIS)


@pytest.mark.parametrize(
    ("where", "constant", "value"),
    [
        (r, "LOG_MEL_TOP_DB", 80.0),
        (r, "HEARD_DB", 40.0),
        (r, "N_MODULATION_BANDS", 6),
        (modulation, "SEGMENT_FRAMES", 512),
        (rhythm, "MAX_MODULATION_HZ", 12.0),
    ],
)
def test_the_version_follows_the_definitions(monkeypatch, where, constant, value):
    monkeypatch.setattr(where, constant, value)
    assert r.features_version(r.ANALYSIS) != r.FEATURES_VERSION


def test_log_mels_end_55_db_under_the_loudest_cell_of_the_track():
    loud, soft = r.analyse([note(seconds=4.0), 1e-4 * note(seconds=4.0)]).log_mels
    assert soft.max() == loud.min() == pytest.approx(loud.max() - 55, abs=0.01)
    assert r.HEARD_DB < LOG_MEL_TOP_DB  # else frames at the floor would be heard


def test_log_mels_are_those_of_log_mel_and_three_seconds_are_128_steps():
    analysis = r.analyse([noise(3.0)])
    assert [mel.shape for mel in analysis.log_mels] == [(64, 129)]
    np.testing.assert_allclose(analysis.log_mels[0], log_mel(noise(3.0), r.ANALYSIS), atol=1e-4)
    assert analysis.log_mels[0].dtype == analysis.descriptors.dtype == np.float32


def test_statistics_run_over_the_frames_of_all_windows():
    windows = [noise(3.0), golden_sound()[: 4 * RATE], note(220.0, 3.0)]
    analysis = r.analyse(windows)
    cepstra = np.concatenate([d.mfcc(mel) for mel in analysis.log_mels], axis=1)
    loudest = np.concatenate(analysis.log_mels, axis=1).max(axis=0)
    heard = cepstra[:, loudest >= loudest.max() - r.HEARD_DB]
    expected = np.concatenate([heard.mean(axis=1), heard.std(axis=1)])
    np.testing.assert_allclose(analysis.descriptors[r.group_of("mfcc60")][:40], expected, rtol=1e-3, atol=1e-3)


def test_sixty_mfcc_statistics_agree_with_librosa():
    librosa = pytest.importorskip("librosa", reason="the reference, librosa, is not installed")
    x = golden_sound()
    mel = librosa.feature.melspectrogram(y=x, sr=RATE, n_fft=768, hop_length=280, n_mels=64, fmin=30, fmax=4_700)
    mfcc = librosa.feature.mfcc(S=librosa.power_to_db(mel, top_db=LOG_MEL_TOP_DB), n_mfcc=20)
    expected = np.concatenate([mfcc.mean(axis=1), mfcc.std(axis=1), librosa.feature.delta(mfcc).std(axis=1)])
    np.testing.assert_allclose(r.analyse([x]).descriptors[r.group_of("mfcc60")], expected, rtol=1e-3, atol=1e-2)


def test_six_decibels_move_the_level_and_nothing_else():
    soft, loud = (r.analyse([gain * golden_sound()]) for gain in (0.5, 1.0))
    changed = {
        n for n in r.DESCRIPTOR_NAMES if abs(value(loud, n) - value(soft, n)) > 2e-3 * max(1.0, abs(value(soft, n)))
    }
    assert changed == {"mfcc_1_mean", "rms_mean", "rms_std"}
    assert value(loud, "mfcc_1_mean") - value(soft, "mfcc_1_mean") == pytest.approx(8 * 20 * np.log10(2), abs=0.05)


def test_chroma_come_strongest_first_and_in_any_key():
    def chord(root: float) -> r.Analysis:
        return r.analyse([note(root, 4.0) + note(root * 2 ** (4 / 12), 4.0) + 0.7 * note(root * 2 ** (7 / 12), 4.0)])

    in_a, in_d = (chord(hz).descriptors[r.group_of("chroma")][:12] for hz in (440.0, 587.33))
    assert (np.diff(in_a) <= 0).all()
    np.testing.assert_allclose(in_a, in_d, atol=0.15)


def test_the_tempo_of_the_golden_sound():
    analysis = r.analyse([golden_sound()])
    assert value(analysis, "tempo_bpm") == pytest.approx(105, rel=0.03)
    assert value(analysis, "pulse_clarity") > 0.5


def test_silence_around_a_note_hardly_moves_its_timbre():
    a, b = (r.analyse([padded(note(seconds=1.0), silence)]) for silence in (2.5, 8.0))
    same = slice(0, 40)
    np.testing.assert_allclose(a.descriptors[same], b.descriptors[same], rtol=0.02, atol=0.3)


@pytest.mark.parametrize("seconds", [0.1, 0.3, 1.0, 2.99])
def test_short_sounds_are_repeated_and_marked(seconds):
    analysis = r.analyse([note(seconds=seconds)])
    assert analysis.short
    assert analysis.log_mels[0].shape == (64, 129)
    assert np.isfinite(analysis.descriptors).all()
    assert value(analysis, "pulse_clarity") == 0.0
    assert value(analysis, "tempo_bpm") == r.NO_TEMPO_BPM


def test_three_seconds_are_not_short_and_crumbs_of_windows_are_left_out():
    analysis = r.analyse([noise(3.0), noise(0.05), np.zeros(0, np.float32)])
    assert not analysis.short
    assert len(analysis.log_mels) == 1


@pytest.mark.parametrize(
    ("windows", "message"),
    [
        ([], "at least 0.1 s"),
        ([np.zeros(0)], "at least 0.1 s"),
        ([note(seconds=0.09)], "at least 0.1 s"),
        ([np.zeros(5 * RATE)], "digital zero"),
        ([np.full(5 * RATE, 0.3)], "silence"),  # an offset cannot be heard
        ([noise(5.0, level=1e-5), np.zeros(RATE)], "above -70 dBFS"),
        ([np.full(5 * RATE, 1e-42)], "silence"),
        ([1e6 * noise(5.0)], "damaged"),
    ],
)
def test_what_cannot_be_heard_is_an_error_with_a_sentence(windows, message):
    with pytest.raises(AudioError, match=message):
        r.analyse(windows)


def test_one_silent_window_of_three_is_no_failure():
    assert np.isfinite(r.analyse([noise(10.0), np.zeros(10 * RATE, np.float32), noise(10.0)]).descriptors).all()


ODD = {
    "padded note": padded(note(), 5.0),
    "note behind silence": padded(note(), 5.0)[::-1],
    "one-sample click": click(),
    "one click, short": click(0.5),
    "offset and a faint tone": 0.5 + note(seconds=4.0, level=0.01),
    "full-scale square": np.sign(np.sin(2 * np.pi * 100 * np.arange(5 * RATE) / RATE) + 0.1),
    "highest frequency": np.tile([1.0, -1.0], 3 * RATE),
    "denormals around a note": padded(note(), 4.0) + np.float32(1e-41),
    "just above silence": noise(5.0, level=2e-4),
    "far beyond full scale": noise(5.0, level=8.0),
    "integers": np.tile([0, 1, 0, -1], RATE),
    "steady tone": 0.5 * np.sin(2 * np.pi * 1_000 * np.arange(5 * RATE) / RATE),
}


@pytest.mark.parametrize("name", ODD)
def test_nothing_comes_out_that_is_not_finite(name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        analysis = r.analyse([ODD[name]])
    assert analysis.descriptors.shape == (270,)
    assert np.isfinite(analysis.descriptors).all()
    assert all(np.isfinite(mel).all() for mel in analysis.log_mels)
    assert 30 <= value(analysis, "tempo_bpm") <= 300


def test_samples_that_are_not_finite_are_refused():
    with pytest.raises(InputError, match="finite"):
        r.analyse([np.array([0.0, np.nan] * RATE)])


def test_another_rate_works_as_well():
    config = dataclasses.replace(r.ANALYSIS, sample_rate=22_050, n_fft=2_048, hop_length=512, fmax_hz=11_025.0)
    analysis = r.analyse([noise(6.0)], config)
    assert np.isfinite(analysis.descriptors).all()


def test_samples_are_not_changed():
    sound = noise(3.0)
    before = sound.copy()
    r.analyse([sound])
    np.testing.assert_array_equal(sound, before)
