"""Hum, whistles, band limits, transcoding and noise: found beside sound that moves, not in sound made of them."""

from __future__ import annotations

import numpy as np
import pytest
from diagnosis_sounds import RATE, found_in, music, sixteen_bits, tone

from volna.synthesis import faults, signals
from volna.tasks.diagnosis import diagnose

WIDE = 44_100


# Lines


@pytest.mark.parametrize("mains_hz", [50, 60])
@pytest.mark.parametrize("level", [-28.0, -15.0])
def test_hum_is_found_with_its_frequency_and_level(mains_hz, level):
    finding = found_in(faults.hum(music(), RATE, level, mains_hz, 5))["hum"]
    assert f"{mains_hz} Hz" in finding.sentence
    assert finding.measure == pytest.approx(level, abs=3.0)


def test_a_pure_mains_tone_is_hum_beside_music_only():
    assert "hum" in found_in(faults.hum(music(), RATE, -15.0, 50, 1))
    for hz in (50.0, 60.0, 100.0, 120.0):
        assert found_in(tone(frequencies_hz=[hz])) == {}


@pytest.mark.parametrize("hz", [49.0, 51.91, 58.27, 61.74])
def test_bass_notes_near_the_mains_are_not_hum(hz):
    bass = 0.1 * np.sin(2 * np.pi * hz * np.arange(5 * RATE) / RATE)
    assert "hum" not in found_in(0.8 * music() + bass)


def test_a_vowel_on_a_multiple_of_the_mains_is_a_vowel():
    for f0 in (100.0, 120.0):
        assert found_in(tone("vowel", f0_hz=f0)) == {}


@pytest.mark.parametrize("hz", [1000.0, 3150.0, 9871.0])
def test_a_whistle_is_found_at_its_frequency(hz):
    finding = found_in(faults.whistle(music(), RATE, -26.0, hz))["whistle"]
    assert float(finding.sentence.split(" at ")[1].split(" Hz")[0]) == pytest.approx(hz, abs=3)
    assert finding.measure == pytest.approx(-26.0, abs=2.0)


@pytest.mark.parametrize("options", [
    {"frequencies_hz": [1000.0]}, {"frequencies_hz": [500.0, 1300.0, 2100.0]}, {"kind": "chord", "notes": "Am7"},
    {"frequencies_hz": [440.0], "shape": "saw"}, {"kind": "vowel", "f0_hz": 210.0}, {"kind": "chirp"},
])  # fmt: skip
def test_tones_by_themselves_are_not_whistles(options):
    assert found_in(tone(**{"kind": "tone"} | options)) == {}


def test_notes_that_change_are_not_whistles():
    notes = [tone(frequencies_hz=[hz], duration_s=1.0) for hz in (880.0, 988.0, 1175.0, 988.0)]
    assert found_in(0.2 * music(0, 4.0) + 0.2 * np.concatenate(notes)) == {}


# The end of the spectrum


@pytest.mark.parametrize("to_hz", [4000.0, 8000.0, 11025.0])
def test_resampled_sound_is_found_with_its_band(to_hz):
    sound = faults.band_limit(music(0, 4.0, WIDE), WIDE, to_hz)
    finding = found_in(sound, WIDE)["band_limited"]
    assert finding.measure == pytest.approx(to_hz, rel=0.12)


@pytest.mark.parametrize("bit_rate", [64_000, 128_000])
def test_what_came_from_mp3_is_found(tmp_path, bit_rate):
    from volna.audio.channels import read_channels
    from volna.audio.encode import encode

    clean = tone("noise", colour="pink", duration_s=3.0)[None]
    wide = signals.synthesise("noise", colour="pink", duration_s=4.0, sample_rate=WIDE, n_channels=2)
    assert found_in(wide, WIDE) == {}
    assert found_in(clean) == {}
    encode(tmp_path / "a.mp3", wide, WIDE, bit_rate=bit_rate)
    back = read_channels(tmp_path / "a.mp3").samples
    kinds = set(found_in(back, WIDE))
    assert kinds & {"transcoded", "band_limited"}


def test_a_lossy_file_may_end_where_its_codec_does():
    sound = faults.band_limit(music(0, 4.0, WIDE), WIDE, 16000.0)
    assert "band_limited" in found_in(sound, WIDE)
    assert found_in(sound, WIDE, lossy=True) == {}


def test_little_treble_is_not_a_band_limit():
    import scipy.signal

    noise = np.random.default_rng(0).standard_normal(4 * WIDE)
    soft = scipy.signal.sosfilt(scipy.signal.butter(4, 3000, fs=WIDE, output="sos"), noise)
    for sound in (0.2 * soft, 0.1 * np.cumsum(noise) / 100, signals.chirp(50, 6000, 4.0, WIDE)):
        peak = np.abs(sound).max()
        assert "band_limited" not in found_in(0.5 * sound / peak, WIDE)


# Noise


@pytest.mark.parametrize("snr_db", [9.0, 12.0])
def test_noise_is_found_and_measured(snr_db):
    noisy = faults.noise(music(), snr_db)
    finding = found_in(noisy)["noise"]
    assert finding.measure == pytest.approx(snr_db, abs=2.5)


def test_noise_floor_and_snr_are_always_measured():
    quiet = diagnose([sixteen_bits(faults.noise(music(), 40.0))], RATE)
    assert quiet.findings == ()
    assert quiet.measures["snr_db"] == pytest.approx(35.0, abs=8.0)
    level = 10 * np.log10(np.mean(music() ** 2)) - 40
    assert quiet.measures["noise_floor_db"] == pytest.approx(level, abs=8.0)


@pytest.mark.parametrize("colour", signals.COLOURS)
def test_noise_on_purpose_is_not_a_fault(colour):
    assert found_in(tone("noise", colour=colour)) == {}
    assert found_in(tone("noise", colour=colour, n_channels=2)) == {}
