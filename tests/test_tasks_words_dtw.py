"""Dynamic time warping: distances are those of a plain double loop and of librosa, medoids stand in the middle."""

from __future__ import annotations

import librosa
import numpy as np
import pytest

from volna.errors import InputError
from volna.tasks.words.dtw import N_FRAMES, as_templates, distances, medoids, word_distances


def naive(word: np.ndarray, template: np.ndarray, band: int) -> float:
    """Sakoe and Chiba's symmetric form, read off the page."""
    n = len(word)
    reached = np.full((n, n), np.inf)
    for i in range(n):
        for j in range(n):
            if abs(i - j) > band:
                continue
            d = np.linalg.norm(word[i] - template[j])
            steps = [2 * d] if i == j == 0 else []
            if i:
                steps.append(reached[i - 1, j] + d)
            if j:
                steps.append(reached[i, j - 1] + d)
            if i and j:
                steps.append(reached[i - 1, j - 1] + 2 * d)
            reached[i, j] = min(steps)
    return float(reached[-1, -1] / (2 * n))


@pytest.mark.parametrize("band", [0, 2, 6, 50])
def test_distances_are_those_of_the_definition(band: int) -> None:
    rng = np.random.default_rng(band)
    word, templates = rng.standard_normal((12, 3)), rng.standard_normal((4, 12, 3))
    expected = [naive(word, template, band) for template in templates]
    np.testing.assert_allclose(distances(word, templates, band=band), expected, rtol=1e-5)


def test_distances_without_a_band_are_librosas() -> None:
    rng = np.random.default_rng(3)
    word, template = rng.standard_normal((20, 5)), rng.standard_normal((20, 5))
    steps = np.array([[1, 0], [1, 1], [0, 1]])
    cost, _ = librosa.sequence.dtw(
        word.T, template.T, step_sizes_sigma=steps, weights_mul=np.array([1.0, 2.0, 1.0]), backtrack=True
    )
    first = np.linalg.norm(word[0] - template[0])  # librosa counts the first cell once, the symmetric form twice
    expected = (cost[-1, -1] + first) / 40
    np.testing.assert_allclose(distances(word, template[None], band=20), [expected], rtol=1e-5)


def test_a_distance_is_symmetric_and_zero_to_itself() -> None:
    rows = np.random.default_rng(0).standard_normal((5, 16, 3)).astype(np.float32)
    apart = np.stack([distances(row, rows) for row in rows])
    np.testing.assert_allclose(apart, apart.T, rtol=1e-5)
    assert np.abs(np.diag(apart)).max() < 2e-3  # float32 squares
    assert (apart >= 0).all()


def test_a_wider_band_is_never_further_and_warps_what_speaks_faster() -> None:
    t = np.linspace(0, 1, N_FRAMES)
    even, hurried = np.sin(6 * t)[:, None], np.sin(6 * t**1.4)[:, None]
    far = [float(distances(even, hurried[None], band=band)[0]) for band in (0, 2, 4, 8)]
    assert far == sorted(far, reverse=True)
    assert far[-1] < 0.35 * far[0]


def test_words_of_any_length_become_templates() -> None:
    rows = as_templates([np.ones((1, 39)), np.random.default_rng(0).standard_normal((300, 39))])
    assert rows.shape == (2, N_FRAMES, 39)
    assert rows.dtype == np.float32


def test_shapes_that_differ_are_refused() -> None:
    with pytest.raises(InputError, match="expected templates"):
        distances(np.zeros((5, 3)), np.zeros((2, 6, 3)))


def test_medoids_stand_in_the_middle_of_each_cluster() -> None:
    place = np.concatenate([np.linspace(-1, 1, 9), np.linspace(9, 11, 9), np.linspace(19, 21, 9)])
    apart = np.abs(place[:, None] - place)
    chosen = place[medoids(apart, 3)]
    assert [int(round(each, -1)) for each in chosen] == [0, 10, 20]
    assert len(medoids(apart, 99)) == 27
    assert len(set(medoids(np.zeros((4, 4)), 3).tolist())) == 3  # equal recordings are not chosen twice


def test_the_nearest_templates_count() -> None:
    apart = np.array([[1.0, 5.0, 2.0, 2.0], [3.0, 3.0, 0.0, 9.0]])
    labels = np.array([0, 0, 1, 1])
    np.testing.assert_allclose(word_distances(apart, labels, 2, 1), [[1, 2], [3, 0]])
    np.testing.assert_allclose(word_distances(apart, labels, 2, 2), [[3, 2], [3, 4.5]])
    np.testing.assert_allclose(word_distances(apart, labels, 2, 9), [[3, 2], [3, 4.5]])
