"""Hidden Markov models of words: the forward algorithm is hmmlearn's, and poor recordings break nothing."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from hmmlearn.hmm import GMMHMM, GaussianHMM

from volna.errors import InputError
from volna.tasks.words.hmm import LEAST_VARIANCE, WordHmms, fit_hmms, log_likelihoods


def recordings(n: int = 6, seed: int = 0, n_values: int = 4) -> tuple[list[np.ndarray], np.ndarray]:
    """Two words: the same three sounds in opposite order, at several speeds."""
    rng = np.random.default_rng(seed)
    sounds = 3 * rng.standard_normal((3, n_values))
    words, labels = [], []
    for label, order in enumerate(([0, 1, 2], [2, 1, 0])):
        for _ in range(n):
            steps = [np.repeat(sounds[[k]], rng.integers(3, 8), axis=0) for k in order]
            shape = np.concatenate(steps)
            words.append((shape + 0.5 * rng.standard_normal(shape.shape)).astype(np.float32))
            labels.append(label)
    return words, np.array(labels)


def hmmlearn_of(hmms: WordHmms, word: int):
    """The same model as hmmlearn's."""
    n_states, n_mixtures = hmms.means.shape[1:3]
    stay = hmms.stay[word].astype(float)
    model = GaussianHMM(n_states, "diag") if n_mixtures == 1 else GMMHMM(n_states, n_mixtures, covariance_type="diag")
    model.startprob_ = np.eye(n_states)[0]
    model.transmat_ = np.diag(stay) + np.diag(1 - stay[:-1], 1)
    if n_mixtures == 1:
        model.means_, model.covars_ = hmms.means[word, :, 0].astype(float), hmms.variances[word, :, 0].astype(float)
    else:
        model.means_, model.covars_ = hmms.means[word].astype(float), hmms.variances[word].astype(float)
        weights = hmms.weights[word].astype(float)
        model.weights_ = weights / weights.sum(axis=1, keepdims=True)
    return model


@pytest.mark.parametrize("n_mixtures", [1, 2])
def test_the_likelihood_is_hmmlearns(n_mixtures: int) -> None:
    words, labels = recordings()
    hmms = fit_hmms(words, labels, 2, n_states=4, n_mixtures=n_mixtures)
    found = log_likelihoods(hmms, words)
    assert found.shape == (12, 3)
    for column in range(3):
        model = hmmlearn_of(hmms, column)
        expected = [model.score(word.astype(float) / hmms.spread) for word in words]
        np.testing.assert_allclose(found[:, column], expected, rtol=1e-5)


@pytest.mark.parametrize("n_mixtures", [1, 3])
def test_words_that_differ_only_in_order_are_told(n_mixtures: int) -> None:
    words, labels = recordings()
    hmms = fit_hmms(words, labels, 2, n_states=4, n_mixtures=n_mixtures)
    others, truth = recordings(seed=0, n=9)
    found = log_likelihoods(hmms, others)
    assert (found[:, :2].argmax(axis=1) == truth).all()


def test_the_background_fits_other_sounds_better_than_a_word_does() -> None:
    words, labels = recordings()
    hmms = fit_hmms(words, labels, 2, n_states=4)
    noise = [3 * np.random.default_rng(k).standard_normal((15, 4)) for k in range(5)]
    known, unknown = log_likelihoods(hmms, words), log_likelihoods(hmms, noise)
    assert (known[:, :2].max(axis=1) > known[:, 2]).all()
    assert (unknown[:, :2].max(axis=1) < unknown[:, 2]).all()


def test_states_come_in_order_and_every_share_sums_to_one() -> None:
    words, labels = recordings()
    hmms = fit_hmms(words, labels, 2, n_states=5, n_mixtures=2)
    np.testing.assert_allclose(hmms.weights.sum(axis=2), 1, atol=0.05)
    assert ((hmms.stay >= 0) & (hmms.stay <= 1)).all()
    np.testing.assert_array_equal(hmms.stay[:, -1], 1)
    assert (hmms.variances >= np.float32(LEAST_VARIANCE)).all()


@pytest.mark.parametrize("n_mixtures", [1, 2])
@pytest.mark.parametrize(
    "make",
    [
        lambda rng: rng.standard_normal((1, 4)),  # one frame each
        lambda rng: rng.standard_normal((2, 4)),
        lambda rng: np.zeros((12, 4)),  # nothing at all
        lambda rng: np.ones((12, 4)) * np.array([1.0, 0.0, 1e6, -1e-6]),  # a value that never moves, however large
    ],
)
def test_three_poor_recordings_give_finite_models(make, n_mixtures: int, caplog) -> None:
    words = [make(np.random.default_rng(k)).astype(np.float32) for k in range(6)]
    with caplog.at_level(logging.WARNING):
        hmms = fit_hmms(words, np.array([0, 0, 0, 1, 1, 1]), 2, n_states=8, n_mixtures=n_mixtures)
    assert all(np.isfinite(array).all() for array in hmms.arrays().values())
    assert np.isfinite(log_likelihoods(hmms, [*words, np.zeros((90, 4))])).all()
    assert not caplog.records  # hmmlearn is kept quiet
    assert logging.getLogger("hmmlearn").level == logging.NOTSET


def test_every_file_is_scored_by_itself() -> None:
    words, labels = recordings()
    hmms = fit_hmms(words, labels, 2, n_states=4)
    together = log_likelihoods(hmms, words)
    one_by_one = np.concatenate([log_likelihoods(hmms, [word]) for word in words])
    np.testing.assert_allclose(together, one_by_one, rtol=1e-9)


def test_equal_recordings_give_equal_models_and_arrays_bring_them_back() -> None:
    words, labels = recordings()
    once = fit_hmms(words, labels, 2, n_states=3, n_mixtures=2, seed=5)
    again = fit_hmms(words, labels, 2, n_states=3, n_mixtures=2, seed=5)
    for name, array in once.arrays().items():
        np.testing.assert_array_equal(array, again.arrays()[name])
    back = WordHmms.from_arrays(once.arrays())
    np.testing.assert_array_equal(log_likelihoods(back, words), log_likelihoods(once, words))


def test_a_word_without_recordings_is_refused() -> None:
    with pytest.raises(InputError, match="none of word 1"):
        fit_hmms([np.zeros((5, 2))], np.array([0]), 2)
