"""Test signals against what they are by definition: frequencies, slopes, times, levels."""

from __future__ import annotations

import numpy as np
import pytest

from volna.errors import InputError
from volna.synthesis import faults, signals

RATE = 16_000


def peaks_hz(samples: np.ndarray, rate: int = RATE, within_db: float = 40.0) -> list[float]:
    """Frequencies of the local maxima of the spectrum at most `within_db` below the highest."""
    level = 20 * np.log10(np.abs(np.fft.rfft(samples * np.blackman(len(samples)))) + 1e-12)
    top = (level[1:-1] > level[:-2]) & (level[1:-1] >= level[2:]) & (level[1:-1] > level.max() - within_db)
    return [round(float(k) * rate / len(samples), 1) for k in np.flatnonzero(top) + 1]


def test_a_sine_is_the_sine_of_the_textbook():
    samples = signals.tone([1000.0], 0.5, RATE)
    np.testing.assert_allclose(samples, np.sin(2 * np.pi * 1000 * np.arange(8000) / RATE), atol=2e-6)


def test_several_tones_stand_where_they_should_and_equally_strong():
    assert peaks_hz(signals.tone([440.0, 1000.0, 3300.0], 1.0, RATE), within_db=1.0) == [440.0, 1000.0, 3300.0]


@pytest.mark.parametrize(
    ("shape", "amplitudes"),
    [
        ("square", [1, 0, 1 / 3, 0, 1 / 5]),
        ("saw", [1, 1 / 2, 1 / 3, 1 / 4, 1 / 5]),
        ("triangle", [1, 0, 1 / 9, 0, 1 / 25]),
    ],
)
def test_the_harmonics_of_a_wave_are_those_of_its_fourier_series(shape, amplitudes):
    spectrum = np.abs(np.fft.rfft(signals.tone([200.0], 1.0, RATE, shape)))[200:1001:200]
    np.testing.assert_allclose(spectrum / spectrum[0], amplitudes, atol=3e-3)


def test_a_square_does_not_alias_where_a_naive_one_does():
    frequency = 1730.0  # no divisor of the rate: what aliases stands between the harmonics
    own = signals.tone([frequency], 1.0, RATE, "square")
    naive = np.sign(np.sin(2 * np.pi * frequency * np.arange(RATE) / RATE)).astype(np.float32)
    assert peaks_hz(own) == [1730.0, 5190.0]
    assert len(peaks_hz(naive)) > 10


@pytest.mark.parametrize(("sweep", "middle_hz"), [("linear", 2050.0), ("log", 632.5)])
def test_a_chirp_passes_the_middle_frequency_in_the_middle(sweep, middle_hz):
    samples = signals.chirp(100.0, 4000.0, 4.0, RATE, sweep)
    middle = samples[2 * RATE - 400 : 2 * RATE + 400]
    crossings = np.flatnonzero(np.diff(np.signbit(middle)))
    measured_hz = (len(crossings) - 1) / 2 / ((crossings[-1] - crossings[0]) / RATE)
    assert measured_hz == pytest.approx(middle_hz, rel=0.05)


@pytest.mark.parametrize(
    ("colour", "slope_db"), [("white", 0), ("pink", -3.01), ("brown", -6.02), ("blue", 3.01), ("violet", 6.02)]
)
def test_the_slope_of_noise_is_that_of_its_colour(colour, slope_db):
    samples = signals.noise(colour, 20.0, RATE, seed=1)
    power = np.abs(np.fft.rfft(samples)) ** 2
    octaves = [np.mean(power[int(f * 20) : int(2 * f * 20)]) for f in (100, 200, 400, 800, 1600, 3200)]
    measured = np.polyfit(np.arange(6), 10 * np.log10(octaves), 1)[0]
    assert measured == pytest.approx(slope_db, abs=0.2)
    assert abs(samples.mean()) < 1e-4


def test_noise_is_the_same_for_a_seed_and_another_in_every_channel():
    one = signals.synthesise("noise", n_channels=2, seed=3, sample_rate=RATE)
    np.testing.assert_array_equal(one, signals.synthesise("noise", n_channels=2, seed=3, sample_rate=RATE))
    assert abs(np.corrcoef(one)[0, 1]) < 0.05


def test_clicks_come_at_their_tempo_and_the_accent_is_stronger():
    samples = np.abs(signals.clicks(150.0, 2.4, RATE, accent=3))
    starts = [round(k * 0.4 * RATE) for k in range(6)]
    heights = [float(samples[at : at + 400].max()) for at in starts]
    assert heights[0] == heights[3] == 1.0
    assert max(heights[1:3]) < 0.6
    silent = np.ones(len(samples), bool)
    for at in starts:
        silent[at : at + 480] = False
    assert samples[silent].max() == 0.0


@pytest.mark.parametrize(
    ("text", "hz"),
    [("A", [440.0, 554.37, 659.26]), ("C4 E4 G4", [261.63, 329.63, 392.0]), ("Bbm", [466.16, 554.37, 698.46]),
     ("A3,A4", [220.0, 440.0]), ("G7", [392.0, 493.88, 587.33, 698.46])],
)  # fmt: skip
def test_chords_by_name_and_by_notes(text, hz):
    assert signals.chord_frequencies(text) == pytest.approx(hz, abs=0.01)


@pytest.mark.parametrize("text", ["", "H", "C#x", "C4 Q", "Cmaj99"])
def test_what_is_no_chord_is_refused(text):
    with pytest.raises(InputError, match="expected a chord"):
        signals.chord_frequencies(text)


@pytest.mark.parametrize("name", signals.FORMANTS_HZ)
def test_a_vowel_has_its_formants(name):
    f0 = 50.0  # close harmonics sample the formants well
    level = 20 * np.log10(np.abs(np.fft.rfft(signals.vowel(name, f0, 1.0, RATE)))[50:4000:50] + 1e-9)
    tops = [50.0 * (k + 1) for k in range(1, len(level) - 1) if level[k] > level[k - 1] and level[k] >= level[k + 1]]
    for formant in signals.FORMANTS_HZ[name]:
        assert min(abs(top - formant) for top in tops) <= 75


@pytest.mark.parametrize("kind", signals.KINDS)
@pytest.mark.parametrize("level_db", [0.0, -12.0])
def test_every_kind_keeps_level_length_channels_and_type(kind, level_db):
    samples = signals.synthesise(kind, duration_s=0.5, sample_rate=22050, n_channels=2, level_db=level_db, fade_s=0.0)
    assert samples.shape == (2, 11025)
    assert samples.dtype == np.float32
    assert np.isfinite(samples).all()
    assert 20 * np.log10(np.abs(samples).max()) == pytest.approx(level_db, abs=0.01)


def test_fades_take_the_ends_to_zero():
    samples = signals.synthesise("noise", duration_s=1.0, sample_rate=RATE, fade_s=0.1)
    assert abs(samples[0]) < 1e-3
    assert abs(samples[-1]) < 1e-3
    assert np.abs(samples[: RATE // 100]).max() < 0.1 * np.abs(samples[RATE // 4 : RATE // 2]).max()


@pytest.mark.parametrize(
    ("kind", "options"),
    [("tone", {"frequencies_hz": [9000.0]}), ("tone", {"frequencies_hz": []}), ("tone", {"shape": "round"}),
     ("tone", {"bpm": 3}), ("chirp", {"sweep": "up"}), ("noise", {"colour": "red"}), ("clicks", {"bpm": 0}),
     ("vowel", {"name": "y"}), ("bang", {}), ("tone", {"duration_s": 0}), ("tone", {"level_db": 3}),
     ("tone", {"n_channels": 0}), ("tone", {"sample_rate": 3})],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(kind, options):
    with pytest.raises(InputError):
        signals.synthesise(kind, **({"sample_rate": RATE} | options))


# Faults


def test_faults_do_what_they_say():
    sound = signals.synthesise("noise", duration_s=2.0, sample_rate=RATE, level_db=-12.0, seed=5)
    clipped = faults.clip(sound, 6.0, -3.0)
    assert np.abs(clipped).max() == pytest.approx(np.abs(sound).max() * 10 ** (-9 / 20), rel=1e-4)
    hummed = faults.hum(sound, RATE, -10.0, 50) - sound
    assert peaks_hz(hummed, within_db=20.0)[:2] == [50.0, 100.0]
    gaps = faults.dropouts(sound, RATE, 0.03, 3)
    assert np.count_nonzero(gaps == 0) >= 3 * 0.03 * RATE
    assert np.count_nonzero(faults.clicks(sound, RATE, 0.5, 4, 2) != sound) <= 4 * 2
    assert faults.offset(sound, 0.1).mean() == pytest.approx(0.1, abs=1e-3)
    np.testing.assert_array_equal(faults.inverted_channel(sound)[1], -sound)
    assert not faults.dead_channel(sound)[1].any()
    assert 20 * np.log10(np.abs(faults.low_level(sound, -50.0)).max()) == pytest.approx(-50, abs=0.1)


def test_noise_and_whistles_are_added_at_their_level():
    sound = signals.synthesise("noise", duration_s=2.0, sample_rate=RATE, level_db=-20.0, colour="brown")
    for added, below_db in ((faults.noise(sound, 12.0), 12), (faults.whistle(sound, RATE, -20.0, 3000.0), 20)):
        ratio = np.mean(sound**2) / np.mean((added - sound) ** 2)
        assert 10 * np.log10(ratio) == pytest.approx(below_db, abs=0.1)


def test_a_band_limit_leaves_nothing_above():
    limited = faults.band_limit(signals.noise("white", 2.0, RATE), RATE, 3000.0)
    power = np.abs(np.fft.rfft(limited * np.hanning(len(limited)))) ** 2
    assert power[6200:].max() < 1e-6 * power[1000:5000].mean()
