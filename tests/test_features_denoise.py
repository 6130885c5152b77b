"""Noise taken out with nothing learnt: what must come back exactly, what must get nearer, what must stay."""

import numpy as np
import pytest
from scipy.special import exp1

from volna.errors import InputError
from volna.features.denoise_frames import BIN_HZ, frame_length, through_spectra
from volna.features.denoise_need import Need
from volna.features.denoise_wavelet import without_noise
from volna.features.sound_distance import si_sdr_db
from volna.features.wiener import RULES, Wiener, gains_of, log_amplitude_gain
from volna.synthesis.voice import speech_like

RATE = 8000


def mixture(snr_db: float = 0.0, seed: int = 0, duration_s: float = 4.0) -> tuple[np.ndarray, np.ndarray]:
    """Speech-like sound, and the same in white noise."""
    clean = 0.3 * speech_like(duration_s, RATE, seed)
    noise = np.random.default_rng(seed).standard_normal(len(clean)).astype(np.float32)
    return clean, clean + noise * np.float32(clean.std() * 10 ** (-snr_db / 20))


def wiener(samples: np.ndarray, rate: int = RATE, block: int | None = None, **settings) -> np.ndarray:
    x = np.atleast_2d(samples)
    blocks = [x[:, k : k + block] for k in range(0, x.shape[1], block)] if block else [x]
    out = np.concatenate(list(through_spectra(blocks, frame_length(rate), Wiener(**settings).process)), axis=1)
    return out.reshape(samples.shape)


@pytest.mark.parametrize("n", [1, 3, 100, 1000, 9999])
@pytest.mark.parametrize("block", [7, 640, 20_000])
@pytest.mark.parametrize("n_fft", [8, 256, 1412])
def test_spectra_come_back_as_the_sound_they_were(n: int, block: int, n_fft: int) -> None:
    sound = np.random.default_rng(n).standard_normal((2, n)).astype(np.float32)
    blocks = [sound[:, k : k + block] for k in range(0, n, block)]
    same = np.concatenate(list(through_spectra(blocks, n_fft, lambda spectra: spectra)), axis=1)
    assert same.shape == sound.shape
    np.testing.assert_allclose(same, sound, atol=5e-6)


def test_a_sound_without_a_sample_gives_none() -> None:
    assert list(through_spectra([], 256, lambda spectra: spectra)) == []


@pytest.mark.parametrize("rate", [4000, 8000, 11_025, 16_000, 22_050, 44_100, 48_000, 192_000])
def test_bins_lie_at_the_same_frequencies_at_every_rate(rate: int) -> None:
    assert frame_length(rate) % 2 == 0
    assert rate / frame_length(rate) == pytest.approx(BIN_HZ, rel=0.01)


def test_the_gain_is_that_of_the_paper() -> None:
    snr, posterior = np.array([0.1, 1.0, 10.0]), np.array([0.5, 2.0, 12.0])
    v = snr / (1 + snr) * posterior
    np.testing.assert_allclose(log_amplitude_gain(snr, posterior), snr / (1 + snr) * np.exp(exp1(v) / 2))
    loud = log_amplitude_gain(np.array([1e4]), np.array([1e4]))
    assert loud[0] == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("rule", RULES)
def test_speech_in_noise_comes_nearer_to_the_speech(rule: str) -> None:
    clean, noisy = mixture(0.0)
    assert si_sdr_db(wiener(noisy, rule=rule), clean) > si_sdr_db(noisy, clean) + 3


def test_the_noise_is_followed_when_it_rises() -> None:
    rng = np.random.default_rng(0)
    power = rng.exponential(size=(400, 65)).astype(np.float32)
    power[200:] *= 10
    state = Wiener()
    gains_of(power, state)
    assert 10 * np.log10(state.noise.mean()) == pytest.approx(10, abs=1.5)


def test_gains_lie_between_their_floor_and_one() -> None:
    rng = np.random.default_rng(1)
    gains = gains_of(rng.exponential(size=(50, 33)) ** 4, Wiener(least_gain_db=-12))
    assert gains.min() >= 10 ** (-12 / 20) - 1e-6
    assert gains.max() <= 1


def test_several_sounds_at_once_have_the_gains_of_each_alone() -> None:
    power = np.random.default_rng(2).exponential(size=(30, 3, 17)).astype(np.float32)
    together = gains_of(power, Wiener("wiener"))
    for k in range(3):
        np.testing.assert_allclose(together[:, k], gains_of(power[:, k], Wiener("wiener")), rtol=1e-6)


def test_blocks_make_no_difference_once_the_noise_is_known() -> None:
    _, noisy = mixture(5.0)
    whole, parts = wiener(noisy), wiener(noisy, block=RATE)
    np.testing.assert_allclose(parts[2 * RATE :], whole[2 * RATE :], atol=0.02)


def test_a_channel_is_denoised_as_if_it_were_alone() -> None:
    _, noisy = mixture(0.0)
    both = wiener(np.stack([noisy, 0.25 * noisy[::-1], np.zeros_like(noisy)]))
    np.testing.assert_allclose(both[0], wiener(noisy), atol=1e-6)
    np.testing.assert_allclose(both[1], 0.25 * wiener(noisy[::-1].copy()), atol=1e-6)
    assert not both[2].any()


def test_level_does_not_matter() -> None:
    _, noisy = mixture(0.0)
    np.testing.assert_allclose(wiener(1e-3 * noisy), 1e-3 * wiener(noisy), atol=1e-6)


def test_strength_goes_from_nothing_to_all() -> None:
    _, noisy = mixture(0.0)
    np.testing.assert_allclose(wiener(noisy, strength=0.0), noisy, atol=1e-5)
    half = 0.5 * (noisy + wiener(noisy))
    np.testing.assert_allclose(wiener(noisy, strength=0.5), half, atol=1e-5)


@pytest.mark.parametrize("samples", [np.zeros(3000), np.full(3000, 0.5), np.eye(1, 3000, 1500)[0], np.ones(1)])
def test_odd_sounds_stay_finite(samples: np.ndarray) -> None:
    sound = samples.astype(np.float32)
    assert np.isfinite(wiener(sound)).all()
    assert np.isfinite(without_noise(sound[None])).all()


def test_an_unknown_rule_is_refused() -> None:
    with pytest.raises(InputError, match="rule"):
        Wiener("median")


def test_wavelets_take_white_noise_out_of_a_melody() -> None:
    t = np.arange(4 * RATE) / RATE
    clean = (0.3 * np.sin(2 * np.pi * 220 * t) * (np.sin(2 * np.pi * t) > 0)).astype(np.float32)
    noisy = clean + np.random.default_rng(0).normal(0, 0.1, len(t)).astype(np.float32)
    made = without_noise(noisy[None])[0]
    assert si_sdr_db(made, clean) > si_sdr_db(noisy, clean) + 5
    np.testing.assert_allclose(without_noise(noisy[None], strength=0.0)[0], noisy, atol=1e-6)


def test_wavelets_leave_what_is_too_short_alone() -> None:
    sound = np.ones((2, 5), np.float32)
    np.testing.assert_array_equal(without_noise(sound), sound)


def needed(samples: np.ndarray) -> float:
    power = np.abs(np.fft.rfft(samples[: len(samples) // 256 * 256].reshape(-1, 256), axis=1)) ** 2
    return float(Need().of(power.astype(np.float32)[:, None])[-1, 0])


@pytest.mark.parametrize(("snr_db", "least", "most"), [(0, 1, 1), (15, 1, 1), (30, 0.2, 0.7), (60, 0, 0)])
def test_the_less_noise_the_less_is_taken_out(snr_db: float, least: float, most: float) -> None:
    assert least <= needed(mixture(snr_db)[1]) <= most


def test_digital_silence_does_not_make_a_noisy_sound_clean() -> None:
    _, noisy = mixture(5.0)
    assert needed(np.concatenate([np.zeros(RATE, np.float32), noisy])) == 1
    assert needed(np.zeros(RATE, np.float32)) == 0


def test_a_loud_end_does_not_turn_clean_sound_noisy() -> None:
    rng = np.random.default_rng(0)
    need = Need()
    quiet, loud = 1e-6 * rng.random((300, 1, 9)), rng.random((300, 1, 9))
    assert need.of(np.concatenate([quiet, loud]).astype(np.float32))[-1] == 0
    assert need.of(loud[:20].astype(np.float32))[-1] == 0


def test_clean_speech_is_left_alone() -> None:
    _, nearly = mixture(60.0, duration_s=6.0)  # as a good recording: its pauses are not digital silence
    np.testing.assert_allclose(wiener(nearly), nearly, atol=1e-5)
