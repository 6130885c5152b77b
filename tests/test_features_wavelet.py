"""The discrete wavelet transform: exact back again, energies where they belong, noise found and taken out."""

from __future__ import annotations

import numpy as np
import pytest
import pywt

from volna.errors import InputError
from volna.features.wavelet import (
    MAX_LEVEL,
    Statistics,
    bands_of,
    context_of,
    decompose,
    delay_of,
    frame_energies,
    is_orthogonal,
    level_for,
    noise_levels,
    reconstruct,
    shrink,
    statistics,
    thresholds,
)

RATE = 16_000
WAVELETS = ("haar", "db4", "sym8", "coif3", "bior4.4", "rbio3.3")


def noise(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(n).astype(np.float32)


def tone(hz: float, n: int = RATE) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * hz * np.arange(n) / RATE)).astype(np.float32)


def snr_db(clean: np.ndarray, sound: np.ndarray) -> float:
    return float(10 * np.log10(np.sum(clean**2) / np.sum((sound - clean) ** 2)))


@pytest.mark.parametrize("wavelet", WAVELETS)
@pytest.mark.parametrize("n", [1, 2, 7, 8, 100, 4_095, 44_100])
def test_back_again_is_exact_to_a_millionth(wavelet: str, n: int) -> None:
    x = 0.25 * np.clip(noise(n), -4, 4)
    assert np.abs(reconstruct(decompose(x, wavelet, 5), n, wavelet) - x).max() < 1e-6


def test_channels_are_split_one_by_one() -> None:
    x = np.stack([noise(5_000, 1), noise(5_000, 2)])
    for both, one in zip(decompose(x, "sym8", 4), decompose(x[1], "sym8", 4), strict=True):
        np.testing.assert_array_equal(both[1], one)
    assert np.abs(reconstruct(decompose(x, "sym8", 4), 5_000, "sym8") - x).max() < 4e-6  # of samples up to 4


def test_coefficients_are_those_of_pywavelets() -> None:
    x = noise(3_000)
    for ours, theirs in zip(decompose(x, "db4", 5), pywt.wavedec(x, "db4", level=5), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("wavelet", ["haar", "db4", "sym8", "coif3"])
def test_the_energies_of_orthogonal_bands_add_up(wavelet: str) -> None:
    assert is_orthogonal(wavelet)
    x = noise(50_000)
    x[:2_000] = x[-2_000:] = 0  # nothing to continue beyond the ends
    total = statistics(decompose(x, wavelet, 6)).squares.sum()
    assert total == pytest.approx(float(np.sum(x.astype(np.float64) ** 2)), rel=1e-6)


@pytest.mark.parametrize(("hz", "band"), [(6_000, "d1"), (3_000, "d2"), (1_500, "d3"), (750, "d4"), (100, "a4")])
def test_a_tone_lies_in_its_band(hz: float, band: str) -> None:
    bands = bands_of(4, RATE)
    energies = statistics(decompose(tone(hz), "db12", 4)).squares[0]
    best = bands[int(energies.argmax())]
    assert best.name == band
    assert best.low_hz <= hz <= best.high_hz
    assert energies.max() / energies.sum() > 0.95


def test_levels_are_as_deep_as_the_sound_is_long() -> None:
    assert level_for(RATE, "db4", 5) == 5
    assert level_for(1) == 0
    assert level_for(100_000_000, "haar", MAX_LEVEL) == MAX_LEVEL
    for n in (7, 8, 14, 60, 300):
        assert level_for(n, "db4", 9) == (pywt.dwt_max_level(n, 8) if n >= 8 else 0)
    assert [len(band) for band in decompose(noise(5), "db4", 5)] == [5]


@pytest.mark.parametrize("wavelet", ["haar", "db4", "sym8"])
@pytest.mark.parametrize("level", [1, 3, 5])
def test_a_click_is_where_the_delay_says(wavelet: str, level: int) -> None:
    x = np.zeros(8_192, dtype=np.float32)
    x[4_000] = 1.0
    detail = decompose(x, wavelet, level)[1]
    middle = float(np.sum(np.arange(len(detail)) * detail**2) / np.sum(detail**2))
    assert abs(middle * 2**level - delay_of(level, wavelet) - 4_000) < 3 * 2**level


def test_pieces_with_their_context_are_the_whole() -> None:
    x = noise(40_000)
    whole = decompose(x, "db4", 5)
    context = context_of("db4", 5)
    piece = decompose(x[8_000 - context : 24_000 + context], "db4", 5)
    for depth, ours, theirs in zip((5, 5, 4, 3, 2, 1), piece, whole, strict=True):
        first, n = context >> depth, 16_000 >> depth
        np.testing.assert_array_equal(ours[first : first + n], theirs[8_000 >> depth :][:n])


def test_frame_energies_add_up_and_follow_the_sound() -> None:
    x = np.concatenate([tone(3_000), tone(750)])
    energies = frame_energies(x, "db4", 4, 2_048, 512)
    assert energies.shape == (5, 1 + len(x) // 512)
    np.testing.assert_allclose(energies.sum(axis=0)[4:-4], 0.125, rtol=0.03)
    names = [band.name for band in bands_of(4, RATE)]
    assert names[int(energies[:, 10].argmax())] == "d2"
    assert names[int(energies[:, 50].argmax())] == "d4"


def test_frame_energies_of_a_short_sound_leave_deep_levels_open() -> None:
    energies = frame_energies(tone(3_000, 20), "db4", 5, 512, 512)
    assert np.isfinite(energies[[0, 5]]).all()
    assert np.isnan(energies[1:5]).all()


def test_the_noise_is_found_under_a_loud_sound() -> None:
    x = tone(200, 60_000) + 0.01 * noise(60_000)
    of = statistics(decompose(x))
    assert noise_levels(of)[0] == pytest.approx(np.full(6, 0.01), rel=0.03)
    pink = np.cumsum(noise(60_000)) * 1e-3
    coloured = noise_levels(statistics(decompose(pink.astype(np.float32))), "coloured")[0]
    assert (np.diff(coloured[1:]) < 0).all()  # weaker from band to higher band
    assert coloured[0] == coloured[1]


def test_the_universal_threshold_is_by_the_book() -> None:
    of = statistics(decompose(noise(10_000)))
    limits = thresholds(of, np.full((1, 6), 0.5), "universal")
    assert limits[0, 0] == 0
    np.testing.assert_allclose(limits[0, 1:], 0.5 * np.sqrt(2 * np.log(of.counts.sum())))


def test_bayes_empties_a_band_of_noise_and_spares_a_loud_one() -> None:
    of = Statistics(np.ones((1, 3)), np.array([[100.0, 90.0, 10_000.0]]), np.array([100.0, 100.0, 100.0]))
    limits = thresholds(of, np.ones((1, 3)), "bayes")
    assert limits[0].tolist() == pytest.approx([0.0, np.inf, 1 / np.sqrt(99)])


def test_without_noise_there_is_no_threshold() -> None:
    of = statistics(decompose(np.zeros(1_000, np.float32)))
    for rule in ("universal", "bayes"):
        assert not thresholds(of, noise_levels(of), rule).any()


def test_shrinking() -> None:
    d = np.array([[-3.0, -1.0, 0.5, 1.0, 2.0]], dtype=np.float32)
    assert shrink(d, np.array([1.0]), "soft").tolist() == [[-2.0, 0.0, 0.0, 0.0, 1.0]]
    assert shrink(d, np.array([1.0]), "hard").tolist() == [[-3.0, 0.0, 0.0, 0.0, 2.0]]
    for kind in ("soft", "hard"):
        assert not shrink(d, np.array([np.inf]), kind).any()
        np.testing.assert_array_equal(shrink(d, np.array([0.0]), kind), d)
        reference = pywt.threshold(d, 0.7, kind)
        np.testing.assert_allclose(shrink(d, np.array([0.7]), kind), reference, atol=1e-6)


@pytest.mark.parametrize(
    ("kind", "rule", "gain_db"),
    [("soft", "universal", 4), ("hard", "universal", 8.5), ("soft", "bayes", 8.5), ("hard", "bayes", 4)],
)
def test_clicks_come_out_of_white_noise(kind: str, rule: str, gain_db: float) -> None:
    t = np.arange(2 * RATE) % 4_000 / RATE
    clean = (np.sin(2 * np.pi * 300 * t) * np.exp(-40 * t)).astype(np.float32)
    noisy = clean + 0.05 * noise(len(clean))
    bands = decompose(noisy[None], "sym8", 6)
    of = statistics(bands)
    limits = thresholds(of, noise_levels(of), rule)
    kept = [shrink(band, limit, kind) for band, limit in zip(bands, limits.T, strict=True)]
    cleaned = reconstruct(kept, len(clean), "sym8")[0]
    assert snr_db(clean, cleaned) - snr_db(clean, noisy) > gain_db


def test_wrong_settings_are_refused() -> None:
    for call in (
        lambda: decompose(noise(100), "db99"),
        lambda: decompose(noise(100), "dmey"),  # one that does not give the sound back
        lambda: decompose(noise(100), "morl"),  # a continuous one
        lambda: level_for(100, "db4", 0),
        lambda: level_for(100, "db4", MAX_LEVEL + 1),
        lambda: noise_levels(statistics([noise(8)]), "pink"),
        lambda: thresholds(statistics([noise(8)]), np.ones((1, 1)), "sure"),
        lambda: shrink(noise(8)[None], np.ones(1), "firm"),
    ):
        with pytest.raises(InputError, match="expected"):
            call()
