"""Windows, transforms, mel bands, decibels: their properties, and librosa and scipy as references."""

from __future__ import annotations

import doctest
import subprocess
import sys

import numpy as np
import pytest
import scipy.signal

from volna.errors import InputError
from volna.features import frames as f
from volna.features import spectrum as s

RATE = 12_000


@pytest.fixture(scope="module")
def librosa():
    return pytest.importorskip("librosa", reason="the reference, librosa, is not installed")


def tone(hz: float, seconds: float = 1.0, rate: int = RATE, amplitude: float = 0.5) -> np.ndarray:
    return (amplitude * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def noise(n: int = RATE, seed: int = 0) -> np.ndarray:
    return 0.1 * np.random.default_rng(seed).standard_normal(n).astype(np.float32)


def test_examples():
    assert doctest.testmod(f).failed == doctest.testmod(s).failed == 0


@pytest.mark.parametrize(("name", "scipys"), [("hann", "hann"), ("hamming", "hamming"), ("rectangular", "boxcar")])
@pytest.mark.parametrize("periodic", [True, False])
@pytest.mark.parametrize("n", [8, 9, 768])
def test_windows_are_those_of_scipy(name, scipys, periodic, n):
    expected = scipy.signal.get_window(scipys, n, fftbins=periodic)
    np.testing.assert_allclose(f.window_of(name, n, periodic), expected, atol=1e-7)


def test_a_periodic_hann_window_adds_up_to_a_constant_and_a_symmetric_one_does_not():
    for periodic, flat in ((True, True), (False, False)):
        w = f.window_of("hann", 64, periodic)
        assert np.allclose(w[:32] + w[32:], 1.0, atol=1e-6) is flat


def test_cached_arrays_cannot_be_written_to():
    for array in (f.window_of("hann", 16), s.mel_filters(s.MelConfig()), s.dct_matrix(4, 8), s.fft_frequencies(8, 8)):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1.0


@pytest.mark.parametrize("n_samples", [1, 279, 280, 281, 5_000])
def test_there_is_a_frame_for_every_hop_and_one_more(n_samples):
    assert f.frame(np.ones(n_samples, np.float32), 768, 280).shape == (768, 1 + n_samples // 280)


def test_frame_t_is_centred_on_sample_t_times_hop():
    x = np.arange(1, 101, dtype=np.float32)
    frames = f.frame(x, 8, 10)
    np.testing.assert_array_equal(frames[4], [*x[::10], 0.0])


def test_uncentred_frames_need_a_whole_frame():
    with pytest.raises(InputError, match="at least one frame of 8"):
        f.frame(np.ones(7, np.float32), 8, 4, centre=False)


def test_a_tone_peaks_in_its_bin_at_half_the_sum_of_the_window():
    magnitude = np.abs(s.stft(tone(1_500.0), 768, 280))[:, 10]
    assert magnitude.argmax() == 1_500 * 768 // RATE
    assert magnitude.max() == pytest.approx(0.5 * f.window_of("hann", 768).sum() / 2, rel=1e-4)


def test_parseval():
    x = noise(768)
    spectrum = s.stft(x, 768, 768, "rectangular", centre=False)
    both_sides = 2 * s.power_spectrum(spectrum)[:, 0].sum() - np.abs(spectrum[0, 0]) ** 2 - np.abs(spectrum[-1, 0]) ** 2
    assert both_sides / 768 == pytest.approx(float((x**2).sum()), rel=1e-5)


def test_stft_by_definition():
    x = noise(64)
    n = np.arange(64)
    expected = [(x * np.exp(-2j * np.pi * k * n / 64)).sum() for k in range(33)]
    np.testing.assert_allclose(s.stft(x, 64, 64, "rectangular", centre=False)[:, 0], expected, atol=1e-5)


def test_stft_is_that_of_scipy():
    x = noise(3_000)
    _, _, expected = scipy.signal.stft(x, window="hann", nperseg=256, noverlap=156, boundary=None, padded=False)
    ours = s.stft(x, 256, 100, centre=False) / f.window_of("hann", 256).sum()
    np.testing.assert_allclose(ours, expected, atol=1e-6)


def test_stft_is_that_of_librosa(librosa):
    x = noise(5_000)
    ours = s.stft(x, 768, 280)
    assert ours.dtype == np.complex64
    np.testing.assert_allclose(ours, librosa.stft(x, n_fft=768, hop_length=280), atol=1e-5)


@pytest.mark.parametrize(("scale", "htk"), [("htk", True), ("slaney", False)])
def test_mel_scales_are_those_of_librosa_and_invert(librosa, scale, htk):
    hz = np.array([0.0, 20.0, 700.0, 999.0, 1_000.0, 1_001.0, 4_700.0, 11_025.0])
    mel = s.hz_to_mel(hz, scale)
    np.testing.assert_allclose(mel, librosa.hz_to_mel(hz, htk=htk), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(s.mel_to_hz(mel, scale), hz, rtol=1e-12, atol=1e-9)


def test_the_textbook_mel_scale():
    assert s.hz_to_mel([700.0], "htk")[0] == pytest.approx(2595 * np.log10(2))


@pytest.mark.parametrize("scale", ["slaney", "htk"])
@pytest.mark.parametrize("norm", ["slaney", None])
def test_mel_filters_are_those_of_librosa(librosa, scale, norm):
    config = s.MelConfig(mel_scale=scale)
    expected = librosa.filters.mel(
        sr=config.sample_rate,
        n_fft=config.n_fft,
        n_mels=config.n_mels,
        fmin=30,
        fmax=4_700,
        htk=scale == "htk",
        norm=norm,
    )
    np.testing.assert_allclose(s.mel_filters(config, norm), expected, atol=1e-7)


def test_every_mel_band_hears_something_and_none_above_fmax():
    filters = s.mel_filters(s.MelConfig())
    assert (filters.sum(axis=1) > 0).all()
    assert not filters[:, s.fft_frequencies(RATE, 768) > 4_700].any()


def test_mel_power_is_the_whole_product():
    power = s.power_spectrum(s.stft(noise(), 768, 280))
    np.testing.assert_allclose(s.mel_power(power, s.MelConfig()), s.mel_filters(s.MelConfig()) @ power, rtol=1e-4)


@pytest.mark.parametrize("hz", [100.0, 440.0, 1_000.0, 3_000.0])
def test_a_tone_peaks_in_its_mel_band(hz):
    config = s.MelConfig()
    low, high = s.hz_to_mel([config.fmin_hz, config.fmax_hz])
    centres = s.mel_to_hz(np.linspace(low, high, config.n_mels + 2))[1:-1]
    band = s.log_mel(tone(hz), config)[:, 20].argmax()
    assert abs(band - np.abs(centres - hz).argmin()) <= 1


@pytest.mark.parametrize("top_db", [80.0, None])
@pytest.mark.parametrize("ref", [1.0, 3.0, "max"])
def test_decibels_are_those_of_librosa(librosa, ref, top_db):
    power = np.random.default_rng(0).random((5, 7), dtype=np.float32) ** 20
    reference = np.max if ref == "max" else ref
    np.testing.assert_allclose(
        s.power_to_db(power, ref, top_db=top_db), librosa.power_to_db(power, ref=reference, top_db=top_db), atol=1e-4
    )
    np.testing.assert_allclose(
        s.amplitude_to_db(power, ref, top_db=top_db),
        librosa.amplitude_to_db(power, ref=reference, top_db=top_db),
        atol=1e-3,
    )


def test_decibels_of_nothing_are_finite():
    for ref in (1.0, "max"):
        assert np.isfinite(s.power_to_db(np.zeros((3, 2)), ref)).all()
        assert np.isfinite(s.amplitude_to_db(np.zeros((3, 2)), ref)).all()
    assert s.power_to_db(np.zeros((3, 0))).shape == (3, 0)


def test_dct_is_that_of_scipy():
    import scipy.fft

    x = noise(64).reshape(64, 1)
    np.testing.assert_allclose(s.dct_matrix(20, 64) @ x, scipy.fft.dct(x, axis=0, norm="ortho")[:20], atol=1e-6)


def test_pre_emphasis_is_that_of_librosa_but_for_the_first_sample(librosa):
    x = noise(100)
    ours = f.pre_emphasis(x)
    np.testing.assert_allclose(ours[1:], librosa.effects.preemphasis(x)[1:], atol=1e-6)
    assert ours[0] == x[0]


def test_log_mel_is_that_of_librosa(librosa):
    x = tone(440.0) + noise()
    config = s.MelConfig()
    mel = librosa.feature.melspectrogram(
        y=x, sr=RATE, n_fft=config.n_fft, hop_length=config.hop_length, n_mels=config.n_mels, fmin=30, fmax=4_700
    )
    np.testing.assert_allclose(s.log_mel(x, config), librosa.power_to_db(mel), atol=2e-3)


def test_twice_the_gain_is_six_decibels_everywhere():
    x = tone(440.0) + 0.01 * noise()
    np.testing.assert_allclose(s.log_mel(2 * x) - s.log_mel(x), 20 * np.log10(2), atol=1e-3)


def test_pre_emphasis_tilts_the_log_mel():
    x = noise()
    tilt = (s.log_mel(x, pre_emphasis_by=0.97) - s.log_mel(x)).mean(axis=1)
    assert tilt[0] < -15 < 3 < tilt[-1]


def test_an_offset_of_the_samples_does_not_reach_the_lowest_band():
    x = tone(440.0, 2.0)
    inner = slice(3, -3)  # at the ends an offset is a step, which sounds
    np.testing.assert_allclose(s.log_mel(x + 0.5)[5:, inner], s.log_mel(x)[5:, inner], atol=0.5)


@pytest.mark.parametrize("bad", [np.zeros(0), np.zeros((2, 3)), np.array([0.0, np.nan]), np.array([np.inf, -np.inf])])
def test_what_is_no_sound_is_refused(bad):
    with pytest.raises(InputError):
        s.log_mel(bad)


@pytest.mark.parametrize(
    "settings",
    [
        {"sample_rate": 0},
        {"hop_length": 0},
        {"fmax_hz": 7_000.0},
        {"fmin_hz": 5_000.0},
        {"mel_scale": "bark"},
        {"window": "x"},
    ],
)
def test_contradictory_settings_are_refused(settings):
    with pytest.raises(InputError):
        s.MelConfig(**settings)


def test_importing_the_recipe_imports_no_scipy():
    heavy = ("scipy", "torch", "sklearn", "librosa")
    code = f"import sys, volna.features.recipe; print([m for m in {heavy} if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
