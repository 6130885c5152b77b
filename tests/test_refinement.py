import numpy as np
import pytest
from test_inversion import CONFIG, RATE, N, vowel

from volna.errors import InputError
from volna.features.inversion import magnitude_from_mel, samples_from_mel
from volna.features.refinement import reach, refined_piece, refined_sound, sound_of_mel
from volna.features.sound_distance import mel_distance
from volna.features.sounding import FLOOR, sounding_config, sounding_mel
from volna.features.spectrum import stft


def random_start(log_mel, seed=0):
    magnitude = magnitude_from_mel(log_mel, CONFIG)
    turn = 2 * np.pi * np.random.default_rng(seed).random(magnitude.shape)
    return (magnitude * np.exp(1j * turn)).astype(np.complex64)


def test_the_mel_is_met_better_than_griffin_lim_meets_it():
    sound = vowel()[:N]
    log_mel = sounding_mel(sound, CONFIG)
    made = refined_sound(random_start(log_mel), log_mel, CONFIG, n_iterations=32)
    textbook = samples_from_mel(log_mel, CONFIG, 32)
    assert len(made) == N
    errors = [np.abs(sounding_mel(x, CONFIG) - log_mel).mean() for x in (made, textbook)]
    assert errors[0] < 0.7 * errors[1]
    assert mel_distance(made, sound, RATE) < mel_distance(textbook, sound, RATE)


def test_more_steps_meet_it_better():
    log_mel = sounding_mel(vowel()[:N], CONFIG)
    start = random_start(log_mel)
    errors = [
        np.abs(sounding_mel(refined_sound(start, log_mel, CONFIG, n_iterations=n), CONFIG) - log_mel).mean()
        for n in (0, 4, 32)
    ]
    assert errors[0] > 1.5 * errors[1] > 1.5 * errors[2]


def test_a_true_start_stays():
    sound = vowel()[:N]
    made = refined_sound(stft(sound, 512, 128), sounding_mel(sound, CONFIG), CONFIG)
    assert np.abs(made - sound)[512:-512].max() < 0.02


def test_pieces_fit_together_as_if_the_whole_had_been_refined_at_once():
    sound = vowel(3.0)
    log_mel, start = sounding_mel(sound, CONFIG), stft(sound, 512, 128)
    start = np.abs(start) * np.exp(1j * np.angle(start) * 0.9).astype(np.complex64)
    margin = reach(CONFIG, 4)
    whole = refined_sound(start, log_mel, CONFIG, n_iterations=4)
    for a in range(0, 150, 50):
        left = min(a, margin)
        inside = slice(a - left, a + 50 + margin)
        piece = refined_piece(start[:, inside], log_mel[:, inside], CONFIG, left, 50, n_iterations=4)
        assert np.abs(piece - whole[a * 128 : (a + 50) * 128]).max() < 1e-6


def test_silence_and_shapes():
    silent = np.full((64, 12), FLOOR, np.float32)
    assert np.abs(refined_sound(np.zeros((257, 12), np.complex64), silent, CONFIG)).max() < 1e-4
    with pytest.raises(InputError, match="spectrum"):
        refined_sound(np.zeros((257, 11), np.complex64), silent, CONFIG)
    assert len(refined_sound(np.zeros((257, 1), np.complex64), silent[:, :1], CONFIG)) == 0


def test_a_mel_alone_becomes_a_sound_of_that_mel() -> None:
    config = sounding_config(8_000)
    t = np.arange(8_000) / 8_000
    real = (np.sin(2 * np.pi * 300 * t) * np.exp(-3 * t)).astype(np.float32)
    real += 0.05 * np.random.default_rng(0).standard_normal(len(real)).astype(np.float32)
    mel = sounding_mel(real, config)

    def away(sound: np.ndarray) -> float:
        return float(np.abs(sounding_mel(sound, config)[:, : mel.shape[1]] - mel[:, : 1 + len(sound) // 128]).mean())

    assert away(sound_of_mel(mel, config)) < 0.6 * away(samples_from_mel(mel, config, 32))
