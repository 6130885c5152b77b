"""Tonnetz: librosa's numbers, and what musicians say of it."""

from __future__ import annotations

import librosa
import numpy as np
import pytest

from volna.features.tonal import TONNETZ_AXES, tonnetz


def chroma_of(*classes: int) -> np.ndarray:
    chroma = np.zeros((12, 1), dtype=np.float32)
    chroma[list(classes)] = 1.0
    return chroma


def test_it_agrees_with_librosa() -> None:
    chroma = np.random.default_rng(0).random((12, 50), dtype=np.float32)
    np.testing.assert_allclose(tonnetz(chroma), librosa.feature.tonnetz(chroma=chroma), atol=1e-6)


def test_the_level_does_not_matter_and_silence_is_zero() -> None:
    chroma = np.random.default_rng(1).random((12, 5), dtype=np.float32)
    np.testing.assert_allclose(tonnetz(7 * chroma), tonnetz(chroma), atol=1e-6)
    assert not tonnetz(np.zeros((12, 3), np.float32)).any()


@pytest.mark.parametrize("key", range(12))
def test_neighbours_in_the_circle_of_fifths_are_near(key: int) -> None:
    here, fifth, tritone = (tonnetz(chroma_of((key + step) % 12))[:2, 0] for step in (0, 7, 6))
    assert np.linalg.norm(here - fifth) < 0.55 < 1.9 < np.linalg.norm(here - tritone)


def test_names_fit_the_rows() -> None:
    out = tonnetz(chroma_of(0, 4, 7))
    assert out.shape == (len(TONNETZ_AXES), 1)
    assert out.dtype == np.float32
    assert np.abs(out[:4]).max() <= 1
    assert np.abs(out[4:]).max() <= 0.5
