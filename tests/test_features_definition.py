"""The transform by its sum, and what windows leak, against numpy and Harris's table."""

from __future__ import annotations

import numpy as np
import pytest

from volna.errors import InputError
from volna.features.definition import (
    dft,
    measured_leakage,
    times_of_transforms,
    window_response,
    window_theory,
    zoomed,
)

# Harris 1978, table 1: main lobe between nulls and 3 dB width in bins, highest side lobe and scalloping in dB.
HARRIS = {
    "rectangular": (2.0, 0.89, -13.3, 3.92),
    "hamming": (4.0, 1.30, -42.7, 1.75),
    "hann": (4.0, 1.44, -31.5, 1.42),
}


@pytest.mark.parametrize("n", [1, 2, 7, 64, 601])
def test_the_sum_is_the_fast_transform(n: int) -> None:
    x = np.random.default_rng(n).standard_normal(n)
    np.testing.assert_allclose(dft(x), np.fft.fft(x), atol=1e-11 * n)


def test_the_sum_is_that_of_the_definition_value_by_value() -> None:
    x = [1.0, -2.0, 0.5]
    expected = [sum(x[n] * np.exp(-2j * np.pi * k * n / 3) for n in range(3)) for k in range(3)]
    np.testing.assert_allclose(dft(x), expected, atol=1e-14)


def test_the_sum_wants_one_dimension() -> None:
    for nothing in ([], np.zeros((2, 2))):
        with pytest.raises(InputError):
            dft(nothing)


@pytest.mark.parametrize("window", HARRIS)
def test_windows_have_harris_numbers(window: str) -> None:
    theory = window_theory(window)
    numbers = (theory.main_lobe_bins, theory.half_power_bins, theory.side_lobe_db, theory.scalloping_db)
    assert numbers == pytest.approx(HARRIS[window], abs=0.06)


@pytest.mark.parametrize("window", HARRIS)
@pytest.mark.parametrize("place", [100.0, 100.25, 100.5])
def test_a_tone_leaks_as_theory_says(window: str, place: float) -> None:
    frame = 0.5 * np.sin(2 * np.pi * place * np.arange(1_024) / 1_024).astype(np.float32)
    theory, measured = window_theory(window), measured_leakage(frame, 1_024, window, place + 0.4)
    assert measured.frequency_hz == pytest.approx(place, abs=0.07)
    assert measured.level_db == pytest.approx(-6.02, abs=0.1)
    assert measured.main_lobe_bins == pytest.approx(theory.main_lobe_bins, abs=0.3)
    assert measured.half_power_bins == pytest.approx(theory.half_power_bins, abs=0.15)
    assert measured.side_lobe_db == pytest.approx(theory.side_lobe_db, abs=1.0)
    assert measured.scalloping_db == pytest.approx(theory.scalloping_db if place % 1 == 0.5 else 0.0, abs=1.1)
    assert (measured.scalloping_db > 1.0) >= (place % 1 == 0.5)


def test_a_window_is_drawn_around_its_tone() -> None:
    bins, levels_db = window_response("hann", 4)
    assert bins[[0, -1]].tolist() == [-4.0, 4.0]
    assert levels_db[bins == 0] == 0
    np.testing.assert_allclose(levels_db, levels_db[::-1])
    assert levels_db[bins == 0.5][0] == pytest.approx(-1.42, abs=0.01)


def test_a_zoomed_spectrum_passes_through_the_bins() -> None:
    frame = np.random.default_rng(0).standard_normal(64).astype(np.float32)
    expected = 20 * np.log10(2 * np.abs(np.fft.rfft(frame)) / 64)
    np.testing.assert_allclose(zoomed(frame, "rectangular")[::16], expected, atol=1e-4)


def test_times_of_every_size_are_measured() -> None:
    times = times_of_transforms((16, 512), repeats=1)
    assert times.sizes == (16, 512)
    assert min(*times.definition_s, *times.fast_s) > 0
    assert times.definition_s[1] > times.fast_s[1]  # 262144 products against some 5000
    assert set(times.as_dict()) == {"sizes", "definition_s", "fast_s"}
