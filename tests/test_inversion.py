import numpy as np
import pytest

from volna.errors import InputError
from volna.features.inversion import (
    istft,
    magnitude_from_mel,
    overlap_add,
    refined_phase,
    samples_from_mel,
    samples_from_spectrum,
)
from volna.features.inversion_pieces import Weaver
from volna.features.sound_distance import mel_distance, multi_resolution_stft, si_sdr_db
from volna.features.sounding import FLOOR, sounding_config, sounding_mel
from volna.features.spectrum import mel_filters, stft

RATE = 8_000
CONFIG = sounding_config(RATE)
N = 62 * CONFIG.hop_length


def vowel(seconds=1.0, f0_hz=140.0, seed=0):
    """Harmonics whose pitch glides, over soft noise: float32 ``(n,)``."""
    t = np.arange(round(seconds * RATE)) / RATE
    turn = 2 * np.pi * np.cumsum(f0_hz * (1 + 0.1 * np.sin(3 * t))) / RATE
    tones = sum(np.sin(k * turn) / k for k in range(1, 12))
    noise = 0.01 * np.random.default_rng(seed).standard_normal(len(t))
    return (0.1 * tones + noise).astype(np.float32)


def spectral_error(made, wanted, n_fft=512, hop_length=128):
    """How far the magnitudes of a sound are from those wanted, relative (spectral convergence)."""
    own = np.abs(stft(made, n_fft, hop_length))
    return float(np.linalg.norm(own - wanted) / np.linalg.norm(wanted))


@pytest.mark.parametrize(("n_fft", "hop_length"), [(512, 128), (256, 128), (512, 100), (64, 16)])
def test_the_inverse_gives_the_sound_back(n_fft, hop_length):
    sound = vowel(0.3)
    again = istft(stft(sound, n_fft, hop_length), hop_length, n_samples=len(sound))
    inside = (len(sound) // hop_length) * hop_length
    assert np.abs(again[:inside] - sound[:inside]).max() < 1e-5


@pytest.mark.parametrize("window", ["hann", "hamming"])
def test_the_inverse_is_librosas(window):
    librosa = pytest.importorskip("librosa")
    rng = np.random.default_rng(1)
    spectrum = (rng.standard_normal((129, 40)) + 1j * rng.standard_normal((129, 40))).astype(np.complex64)
    theirs = librosa.istft(spectrum, hop_length=64, window=window)
    assert np.abs(istft(spectrum, 64, window) - theirs)[64:-64].max() < 1e-4


def test_the_inverse_goes_on_behind_the_last_frame_in_silence():
    sound = istft(np.ones((65, 3), np.complex64), 32, n_samples=1000)
    assert len(sound) == 1000
    assert not sound[200:].any()


@pytest.mark.parametrize("spectrum", [np.ones(5), np.ones((1, 4)), np.ones((5, 0))])
def test_what_is_no_spectrum_is_refused(spectrum):
    with pytest.raises(InputError, match="expected"):
        istft(spectrum, 2)
    with pytest.raises(InputError, match="expected"):
        samples_from_spectrum(spectrum, 2)


@pytest.mark.parametrize("hop_length", [0, 65])
def test_a_hop_that_leaves_gaps_is_refused(hop_length):
    with pytest.raises(InputError, match="hop_length"):
        istft(np.ones((65, 4)), hop_length)


def test_overlap_add_of_rows():
    rows = np.array([[1, 2, 3], [10, 20, 30]], np.float32)
    assert overlap_add(rows, 2).tolist() == [1, 2, 13, 20, 30, 0]


def test_griffin_lim_with_momentum_comes_nearer_than_without():
    wanted = np.abs(stft(vowel()[:N], 512, 128))
    errors = [
        spectral_error(samples_from_spectrum(wanted, 128, n_iterations=n, momentum=momentum), wanted)
        for n, momentum in ((0, 0.0), (32, 0.0), (32, 0.99), (64, 0.99))
    ]
    assert errors[0] > 2 * errors[1]
    assert errors[2] < 0.8 * errors[1]
    assert errors[3] < errors[2]


def test_griffin_lim_is_as_good_as_librosas():
    librosa = pytest.importorskip("librosa")
    wanted = np.abs(stft(vowel()[:N], 512, 128))
    own = samples_from_spectrum(wanted, 128, n_iterations=32)
    theirs = librosa.griffinlim(wanted, n_iter=32, hop_length=128, momentum=0.99, random_state=0)
    assert spectral_error(own, wanted) < 1.1 * spectral_error(theirs.astype(np.float32), wanted)


def test_the_true_phases_are_kept():
    sound = vowel()[:N]
    spectrum = stft(sound, 512, 128)
    made = samples_from_spectrum(np.abs(spectrum), 128, n_iterations=4, start=spectrum)
    assert si_sdr_db(made, sound) > 40


def test_the_seed_decides_the_phases():
    wanted = np.abs(stft(vowel(0.2), 512, 128))
    a, b, c = (samples_from_spectrum(wanted, 128, n_iterations=2, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(a, b)
    assert not np.array_equal(a, c)


def test_refined_phases_have_length_one():
    spectrum = stft(vowel(0.2), 512, 128)
    phases = refined_phase(np.abs(spectrum), spectrum, 128, n_iterations=3)
    assert np.abs(np.abs(phases) - 1).max() < 1e-3


@pytest.mark.parametrize("settings", [{"n_iterations": -1}, {"momentum": 1.5}, {"start": np.ones((3, 3))}])
def test_settings_that_make_no_sense_are_refused(settings):
    with pytest.raises(InputError, match="expected"):
        samples_from_spectrum(np.ones((65, 4)), 16, **settings)


@pytest.mark.parametrize("bad", [-1.0, np.nan, np.inf])
def test_magnitudes_must_be_finite_and_not_negative(bad):
    with pytest.raises(InputError, match="not negative"):
        samples_from_spectrum(np.full((65, 4), bad), 16)


def test_a_single_frame_is_no_sound_and_silence_stays_silent():
    assert len(samples_from_spectrum(np.ones((65, 1)), 16)) == 0
    assert not samples_from_spectrum(np.zeros((65, 9)), 16).any()
    assert np.abs(samples_from_mel(np.full((64, 20), FLOOR), CONFIG, 4)).max() < 1e-4


def test_non_negative_least_squares_explains_the_mel_as_well_as_librosas():
    librosa = pytest.importorskip("librosa")
    sound = vowel()
    log_mel = sounding_mel(sound, CONFIG)
    wanted = np.exp(2 * log_mel)
    own = magnitude_from_mel(log_mel, CONFIG)
    theirs = librosa.feature.inverse.mel_to_stft(wanted, sr=RATE, n_fft=512, power=2.0, fmin=0, fmax=RATE / 2)
    filters = mel_filters(CONFIG)
    errors = [np.linalg.norm(filters @ magnitude**2 - wanted) / np.linalg.norm(wanted) for magnitude in (own, theirs)]
    assert own.min() >= 0
    assert errors[0] < max(1.2 * errors[1], 0.02)
    assert errors[0] < 0.05


def test_more_steps_explain_the_mel_better():
    log_mel = sounding_mel(vowel(), CONFIG)
    filters, wanted = mel_filters(CONFIG), np.exp(2 * log_mel)
    errors = [
        np.linalg.norm(filters @ magnitude_from_mel(log_mel, CONFIG, n_steps=n) ** 2 - wanted) for n in (0, 10, 60)
    ]
    assert errors[0] > 2 * errors[1] > 2 * errors[2]


def test_a_sound_from_its_mel_is_near_the_sound():
    sound = vowel()[:N]
    made = samples_from_mel(sounding_mel(sound, CONFIG), CONFIG)
    assert made.dtype == np.float32
    assert len(made) == len(sound)
    noise = np.random.default_rng(0).standard_normal(len(sound)).astype(np.float32) * sound.std()
    assert mel_distance(made, sound, RATE) < 0.35 * mel_distance(noise, sound, RATE)
    assert multi_resolution_stft(made, sound) < 0.5 * multi_resolution_stft(noise, sound)


def test_level_is_kept():
    sound = vowel()[:N]
    for gain in (0.01, 1.0):
        made = samples_from_mel(sounding_mel(gain * sound, CONFIG), CONFIG)
        assert 0.8 < float(np.std(made) / np.std(gain * sound)) < 1.1


@pytest.mark.parametrize(
    ("log_mel", "words"),
    [
        (np.zeros((63, 4)), "shape"),
        (np.zeros(64), "shape"),
        (np.zeros((64, 0)), "shape"),
        (np.full((64, 4), np.nan), "finite"),
        (np.full((64, 4), 40.0), "dB"),
    ],
)
def test_what_is_no_mel_is_refused(log_mel, words):
    with pytest.raises(InputError, match=words):
        samples_from_mel(log_mel, CONFIG)


def test_woven_pieces_sound_as_the_whole_does():
    sound = vowel(4.0)[: 249 * 128]
    log_mel = sounding_mel(sound, CONFIG)  # 250 frames
    weaver = Weaver(CONFIG, overlap=16, n_iterations=32)
    parts = [weaver.add(log_mel[:, a : a + 116]) for a in (0, 100)] + [weaver.add(log_mel[:, 200:]), weaver.rest()]
    woven = np.concatenate(parts)
    assert len(woven) == 250 * 128
    whole = samples_from_mel(log_mel, CONFIG)
    made = woven[: len(sound)]
    assert mel_distance(made, sound, RATE) < 1.3 * mel_distance(whole, sound, RATE) + 0.1
    # Where pieces meet the level must not dip, as it would if their phases cancelled.
    seam = slice(100 * 128, 116 * 128)
    assert 0.8 < float(np.std(made[seam]) / np.std(sound[seam])) < 1.2


def test_an_overlap_of_nothing_is_refused():
    with pytest.raises(InputError, match="overlap"):
        Weaver(CONFIG, overlap=1)


def test_no_piece_no_sound():
    assert len(Weaver(CONFIG, overlap=4).rest()) == 0
