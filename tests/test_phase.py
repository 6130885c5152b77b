import numpy as np
import pytest

from volna.errors import InputError
from volna.features.inversion import istft
from volna.features.phase import phase_from_steps, phase_steps
from volna.features.sound_distance import multi_resolution_stft
from volna.features.spectrum import stft

N_FFT, HOP = 256, 64


def sound_of(seed=0, n=4096):
    rng = np.random.default_rng(seed)
    t = np.arange(n)
    chirp = np.sin(2 * np.pi * (0.02 * t + 0.06 * t**2 / (2 * n)))
    click = np.zeros(n)
    click[n // 2] = 3.0
    return (0.3 * chirp + click + 0.02 * rng.standard_normal(n)).astype(np.float32)


def test_a_tone_between_two_bins_turns_by_its_distance_to_each():
    tone = np.cos(2 * np.pi * 20.3 * np.arange(4096) / N_FFT).astype(np.float32)
    time_step, _ = phase_steps(stft(tone, N_FFT, HOP), HOP)
    for k in (20, 21):
        angles = np.angle(time_step[k, 8:-8])
        assert np.allclose(angles, 2 * np.pi * (20.3 - k) * HOP / N_FFT, atol=2e-3)


@pytest.mark.parametrize("late", [-20, 0, 15])
def test_a_click_turns_from_bin_to_bin_by_its_distance_to_the_middle(late):
    sound = np.zeros(2048, np.float32)
    sound[16 * HOP + late] = 1.0
    _, bin_step = phase_steps(stft(sound, N_FFT, HOP), HOP)
    assert np.allclose(np.angle(bin_step[:-1, 16]), -2 * np.pi * late / N_FFT, atol=1e-3)


def test_phases_from_true_steps_give_the_sound_back():
    sound = sound_of()
    spectrum = stft(sound, N_FFT, HOP)
    magnitude = np.abs(spectrum)
    phases = phase_from_steps(magnitude, *phase_steps(spectrum, HOP), HOP)
    assert np.abs(np.abs(phases) - 1).max() < 1e-3
    made = istft(magnitude * phases, HOP)
    assert multi_resolution_stft(made, sound) < 0.15


def test_random_steps_are_much_worse_than_true_ones():
    sound = sound_of()
    spectrum = stft(sound, N_FFT, HOP)
    turn = np.exp(2j * np.pi * np.random.default_rng(0).random(spectrum.shape)).astype(np.complex64)
    made = istft(np.abs(spectrum) * phase_from_steps(np.abs(spectrum), turn, turn, HOP), HOP)
    assert multi_resolution_stft(made, sound) > 0.5


def test_pieces_go_on_where_the_one_before_ended():
    spectrum = stft(sound_of(), N_FFT, HOP)
    magnitude, steps = np.abs(spectrum), phase_steps(spectrum, HOP)
    whole = phase_from_steps(magnitude, *steps, HOP)
    first = phase_from_steps(magnitude[:, :30], *(step[:, :30] for step in steps), HOP)
    second = phase_from_steps(
        magnitude[:, 30:],
        *(step[:, 30:] for step in steps),
        HOP,
        before=first[:, -1],
        before_magnitude=magnitude[:, 29],
    )
    assert np.abs(np.concatenate([first, second], axis=1) - whole).max() < 1e-5


def test_what_is_not_sure_counts_less():
    """A step of length 0 is no step: the phases then follow the others."""
    spectrum = stft(sound_of(), N_FFT, HOP)
    magnitude, (_, bin_step) = np.abs(spectrum), phase_steps(spectrum, HOP)
    wrong = np.exp(2j * np.pi * np.random.default_rng(0).random(spectrum.shape)).astype(np.complex64)
    sure, unsure = (phase_from_steps(magnitude, length * wrong, bin_step, HOP) for length in (1.0, 1e-3))

    def error(phases):
        _, made = phase_steps(magnitude * phases, HOP)
        return np.average(np.abs(made - bin_step)[:-1], weights=magnitude[:-1])

    assert error(unsure) < 0.2 * error(sure)


def test_silence_has_phases_too():
    nothing = np.zeros((9, 4), np.float32)
    phases = phase_from_steps(nothing, nothing + 0j, nothing + 0j, 4)
    assert np.isfinite(phases).all()


def test_shapes_must_agree():
    ones = np.ones((5, 3), np.complex64)
    with pytest.raises(InputError, match="one shape"):
        phase_from_steps(ones.real[:, :2], ones, ones, 2)
