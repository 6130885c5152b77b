"""A hidden Markov model per word: left to right, Gaussian mixtures on cepstra, and one of any word as background.

::

    start -> (state 0) -> (state 1) -> ... -> (state S-1)     each state may stay, none is skipped
                 |            |                   |
              mixture      mixture             mixture        of M Gaussians with diagonal covariance

Training is hmmlearn's (Baum and Welch); what it learnt is kept as arrays, and the forward algorithm that scores with
them is here, over all words and files at once, so that a saved model needs neither hmmlearn nor a pickle. Conventions:
words are rows of cepstra, float32 ``(n_frames, n_values)``; W words, S states, M Gaussians, D values.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from volna.errors import InputError

__all__ = ["WordHmms", "fit_hmms", "log_likelihoods"]

N_ITERATIONS = 5  # of expectation maximisation; more change no answers
STAY = 0.7  # to begin with; learnt
LEAST_VARIANCE = 0.02  # of standardised values
PRIOR_FRAMES = 5.0  # each Gaussian has seen so many frames of the spread PRIOR_VARIANCE before it sees any
PRIOR_VARIANCE = 0.5
MOST_FRAMES_OF_BACKGROUND = 6_000
BLOCK = 128  # words scored at once
NEVER = -1e30  # a logarithm of nothing that stays finite in sums


@dataclass(frozen=True)
class WordHmms:
    """The models of W words and, last, of the background.

    Attributes
    ----------
    spread : ndarray
        float32 ``(D,)``: cepstra are divided by it.
    means, variances : ndarray
        float32 ``(W + 1, S, M, D)``.
    weights : ndarray
        float32 ``(W + 1, S, M)``, shares of the Gaussians.
    stay : ndarray
        float32 ``(W + 1, S)``: probability to stay in a state; of the last one 1.
    """

    spread: np.ndarray
    means: np.ndarray
    variances: np.ndarray
    weights: np.ndarray
    stay: np.ndarray

    def arrays(self) -> dict[str, np.ndarray]:
        """By name, as they are saved; ``WordHmms(**arrays)`` is the same models."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> WordHmms:
        """What `arrays` gave."""
        return cls(**{name: np.asarray(arrays[name], np.float32) for name in cls.__dataclass_fields__})


def fit_hmms(
    words: Sequence[np.ndarray],
    labels: np.ndarray,
    n_words: int,
    *,
    n_states: int = 8,
    n_mixtures: int = 1,
    n_iterations: int = N_ITERATIONS,
    seed: int = 0,
) -> WordHmms:
    """Learn a model of every word, and one of all of them together.

    States begin with equal parts of every recording. Variances have a floor and a prior, so that three recordings of
    three frames are enough for finite numbers.

    Parameters
    ----------
    words : sequence of ndarray
        float32 ``(n_frames, D)`` each, one frame or more.
    labels : ndarray
        int ``(n,)``, each word in ``range(n_words)`` at least once.
    n_states, n_mixtures : int
        Of every model.
    seed : int
        Of the first guess of the mixtures.

    Raises
    ------
    InputError
        A word has no recording.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> up, down = np.arange(12.0)[:, None], np.arange(12.0)[::-1, None]
    >>> words = [shape + rng.normal(0, 1, (12, 1)) for shape in (up, up, up, down, down, down)]
    >>> hmms = fit_hmms(words, np.array([0, 0, 0, 1, 1, 1]), 2, n_states=3)
    >>> log_likelihoods(hmms, [up, down])[:, :2].argmax(axis=1).tolist()
    [0, 1]
    """
    if missing := sorted(set(range(n_words)) - set(np.asarray(labels).tolist())):
        raise InputError(f"expected recordings of all {n_words} words, got none of word {missing[0]}")
    spread = np.concatenate(words).std(axis=0).astype(np.float32)
    spread = np.where(spread > 1e-6, spread, np.float32(1.0))
    scaled = [np.asarray(word / spread, np.float64) for word in words]
    of_word = [[scaled[k] for k in np.flatnonzero(labels == word)] for word in range(n_words)]
    size = n_states, n_mixtures
    found = [_fit_one(each, *size, n_iterations, seed) for each in (*of_word, _background(scaled, seed))]
    means, variances, weights, stay = (np.stack(part).astype(np.float32) for part in zip(*found, strict=True))
    return WordHmms(spread, means, variances, weights, stay)


def log_likelihoods(hmms: WordHmms, words: Sequence[np.ndarray]) -> np.ndarray:
    """Log of the density of each word under each model, the background last: float64 ``(n, W + 1)``.

    The forward algorithm (Rabiner 1989, "A tutorial on hidden Markov models", eq. 19 to 21) in logarithms.
    """
    out = np.zeros((len(words), len(hmms.means)))
    order = np.argsort([len(word) for word in words], kind="stable")  # words of one length make the least padding
    for start in range(0, len(order), BLOCK):
        block = order[start : start + BLOCK]
        out[block] = _forward(hmms, [words[k] for k in block])
    return out


def _forward(hmms: WordHmms, words: Sequence[np.ndarray]) -> np.ndarray:
    lengths = np.array([len(word) for word in words])
    emitted = np.split(_emissions(hmms, np.concatenate(words) / hmms.spread), np.cumsum(lengths)[:-1])
    with np.errstate(divide="ignore"):
        stay = np.maximum(np.log(hmms.stay.astype(np.float64)), NEVER)
        leave = np.maximum(np.log1p(-hmms.stay.astype(np.float64)), NEVER)
    alpha = np.full((len(words), *stay.shape), NEVER)  # (B, W, S)
    alpha[:, :, 0] = [frames[0, :, 0] for frames in emitted]
    for t in range(1, int(lengths.max())):
        going = np.flatnonzero(lengths > t)
        before = alpha[going]
        after = before + stay
        after[:, :, 1:] = np.logaddexp(after[:, :, 1:], before[:, :, :-1] + leave[:, :-1])
        alpha[going] = after + np.stack([emitted[k][t] for k in going])
    return np.asarray(np.logaddexp.reduce(alpha, axis=2))


def _emissions(hmms: WordHmms, rows: np.ndarray) -> np.ndarray:
    """Log density of every row in every state: float64 ``(n_rows, W, S)``."""
    means, variances = hmms.means.astype(np.float64), hmms.variances.astype(np.float64)
    n_values = means.shape[-1]
    inverse = 1.0 / variances
    constant = -0.5 * (np.log(2 * np.pi * variances) + means**2 * inverse).sum(axis=-1)
    with np.errstate(divide="ignore"):
        constant = constant + np.maximum(np.log(hmms.weights.astype(np.float64)), NEVER)
    rows = rows.astype(np.float64)
    density = rows @ (means * inverse).reshape(-1, n_values).T
    density -= 0.5 * (rows**2 @ inverse.reshape(-1, n_values).T)
    density = (density + constant.reshape(-1)).reshape(len(rows), *hmms.weights.shape)
    return np.asarray(density[..., 0] if density.shape[-1] == 1 else np.logaddexp.reduce(density, axis=-1))


Fitted = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]  # means, variances, weights, stay


def _fit_one(words: list[np.ndarray], n_states: int, n_mixtures: int, n_iterations: int, seed: int) -> Fitted:
    """The model of one word by hmmlearn: its arrays, ``(S, M, D)``, ``(S, M, D)``, ``(S, M)``, ``(S,)``."""
    rows = np.concatenate(words)
    part = np.concatenate([np.arange(len(word)) * n_states // len(word) for word in words])
    of_state = [rows[part == state] if np.any(part == state) else rows for state in range(n_states)]
    rng = np.random.default_rng(seed)
    means = np.stack([_first_means(each, n_mixtures, rng) for each in of_state])
    spreads = np.stack([np.maximum(each.var(axis=0), LEAST_VARIANCE) for each in of_state])
    with _quiet():
        model = _hmmlearn_model(means, spreads, n_iterations, seed)
        model.fit(rows, [len(word) for word in words])
        variances = model.covars_ if n_mixtures > 1 else np.stack([np.diag(c) for c in model.covars_])[:, None]
    shape = n_states, n_mixtures, rows.shape[1]
    weights = model.weights_ if n_mixtures > 1 else np.ones(shape[:2])
    stay = np.clip(np.append(np.diag(model.transmat_)[:-1], 1.0), 0.0, 1.0)
    return model.means_.reshape(shape), np.maximum(variances.reshape(shape), LEAST_VARIANCE), weights, stay


def _first_means(rows: np.ndarray, n_mixtures: int, rng: np.random.Generator) -> np.ndarray:
    """Where the Gaussians of a state begin: the mean, moved apart along a random part of the spread."""
    if n_mixtures == 1:
        return rows.mean(axis=0, keepdims=True)
    drawn = rows[rng.integers(0, len(rows), n_mixtures)]
    return np.asarray(0.5 * (rows.mean(axis=0) + drawn))


def _hmmlearn_model(means: np.ndarray, spreads: np.ndarray, n_iterations: int, seed: int) -> Any:
    """hmmlearn's model before its training: ``(S, M, D)`` means, ``(S, D)`` variances."""
    from hmmlearn.base import BaseHMM
    from hmmlearn.hmm import GMMHMM, GaussianHMM

    n_states, n_mixtures, _ = means.shape
    shared = {"n_components": n_states, "covariance_type": "diag", "n_iter": n_iterations, "tol": 1e-2}
    shared |= {"init_params": "", "transmat_prior": 2.0, "random_state": seed}
    total = PRIOR_FRAMES * PRIOR_VARIANCE  # sum of squares of the frames that the prior has seen
    if n_mixtures == 1:
        # A variance becomes (covars_prior + scatter) / (n - 1 + covars_weight), from hmmlearn's _do_mstep; one frame
        # holds each mean where it began, for states that nothing reaches.
        held = {"means_prior": means[:, 0], "means_weight": 1.0}
        model: Any = GaussianHMM(**shared, **held, params="tmc", covars_prior=total, covars_weight=1 + PRIOR_FRAMES)
        model.means_, model.covars_ = means[:, 0], spreads
    else:
        model = GMMHMM(**shared, params="tmcw", n_mix=n_mixtures, **_mixture_priors(means, total))
        # GMMHMM clusters all rows before every training, ten times over, and drops the result when means are given.
        model._init = partial(BaseHMM._init, model)
        model.weights_ = np.full(means.shape[:2], 1 / n_mixtures)
        model.means_, model.covars_ = means, np.repeat(spreads[:, None], n_mixtures, axis=1)
    model.startprob_ = np.eye(n_states)[0]
    model.transmat_ = np.diag(np.append(np.full(n_states - 1, STAY), 1.0))
    model.transmat_ += np.diag(np.full(n_states - 1, 1 - STAY), 1)
    return model


def _mixture_priors(means: np.ndarray, total: float) -> dict[str, np.ndarray]:
    """What each Gaussian has seen before: a variance becomes (2 covars_weight + scatter) / (n + 2 covars_prior + 3)."""
    shape = means.shape
    return {
        "weights_prior": np.full(shape[:2], 2.0),
        "means_prior": means,
        "means_weight": np.ones(shape[:2]),
        "covars_prior": np.full(shape, (PRIOR_FRAMES - 3) / 2),
        "covars_weight": np.full(shape, total / 2),
    }


def _background(words: list[np.ndarray], seed: int) -> list[np.ndarray]:
    """Recordings of any word, no more than a few minutes of them."""
    order = np.random.default_rng(seed).permutation(len(words))
    total = np.cumsum([len(words[k]) for k in order])
    return [words[k] for k in order[: 1 + int(np.searchsorted(total, MOST_FRAMES_OF_BACKGROUND))]]


@contextmanager
def _quiet() -> Iterator[None]:
    """hmmlearn logs when a likelihood falls by a rounding error or a model has more numbers than the data."""
    log = logging.getLogger("hmmlearn")
    level = log.level
    log.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            yield
    finally:
        log.setLevel(level)
