"""From scores to an answer: probabilities that mean what they say, several recognisers in one, and "none of these".

A recogniser *says* two things of each word: scores, one for every known word, larger is likelier; and its *evidence*
that this is any known word at all, which probabilities cannot tell, for they sum to one over the known words:

============  ============================================  ===================================================
recogniser    scores                                        evidence
============  ============================================  ===================================================
``hmm``       log density per frame under each word         that of the best word, less that of the background
``dtw``       minus the distance to each word               minus the distance to the nearest word
``crnn``      log probability of each word                  the largest of them
============  ============================================  ===================================================

What turns them into answers is learnt from words whose group was held out (`calibrate`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from volna.tasks.classification import sharpness_of
from volna.tasks.machines import softmax
from volna.tasks.scores import log_loss

__all__ = ["NONE", "Answers", "Calibration", "Said", "calibrate", "decide", "log_loss_of", "said_by_crnn",
           "said_by_dtw", "said_by_hmm"]  # fmt: skip

NONE = "none of these"
REFUSED_SHARE = 0.05  # of the right answers on held-out words may be refused
LEAST_PROBABILITY = 1e-12


@dataclass(frozen=True)
class Said:
    """What a recogniser says of n words: ``scores`` float64 ``(n, n_words)``, ``evidence`` float64 ``(n,)``."""

    scores: np.ndarray
    evidence: np.ndarray

    def of(self, rows: np.ndarray) -> Said:
        """What it says of some of them."""
        return Said(self.scores[rows], self.evidence[rows])


@dataclass(frozen=True)
class Calibration:
    """How what several recognisers say becomes one answer.

    Attributes
    ----------
    sharpness : mapping of str to float
        By recogniser: its scores are multiplied by it before the softmax.
    evidence : mapping of str to (centre, spread)
        Of the right answers on held-out words.
    fused_sharpness : float
        The power of the geometric mean of their probabilities.
    threshold : float
        Mean standardised evidence below which a word is none of the known ones.
    """

    sharpness: Mapping[str, float]
    evidence: Mapping[str, tuple[float, float]]
    fused_sharpness: float
    threshold: float


@dataclass(frozen=True)
class Answers:
    """Answers to n words.

    Attributes
    ----------
    best, second : ndarray
        int64 ``(n,)``, the likeliest word and the next; -1 where there is no second one.
    probabilities : ndarray
        float64 ``(n, n_words)``, over the known words.
    evidence : ndarray
        float64 ``(n,)``, in spreads of the right answers: 0 is that of a usual known word.
    known : ndarray
        bool ``(n,)``, false for "none of these".
    """

    best: np.ndarray
    second: np.ndarray
    probabilities: np.ndarray
    evidence: np.ndarray
    known: np.ndarray


def said_by_hmm(likelihoods: np.ndarray, n_frames: np.ndarray) -> Said:
    """Of the log likelihoods ``(n, n_words + 1)`` of words of so many frames, the background's last.

    Examples
    --------
    >>> said_by_hmm(np.array([[-10.0, -20.0, -15.0]]), np.array([5])).evidence.tolist()
    [1.0]
    """
    per_frame = likelihoods / np.asarray(n_frames, np.float64)[:, None]
    return Said(per_frame[:, :-1], per_frame[:, :-1].max(axis=1) - per_frame[:, -1])


def said_by_dtw(apart: np.ndarray) -> Said:
    """Of the distances ``(n, n_words)``."""
    return Said(-np.asarray(apart, np.float64), -np.asarray(apart, np.float64).min(axis=1))


def said_by_crnn(probabilities: np.ndarray) -> Said:
    """Of the probabilities ``(n, n_words)``."""
    scores = np.log(np.maximum(probabilities, LEAST_PROBABILITY))
    return Said(scores, scores.max(axis=1))


def calibrate(said: Mapping[str, Said], truth: np.ndarray) -> Calibration:
    """Learn the calibration from what recognisers say of words that were held out of their training.

    Parameters
    ----------
    said : mapping of str to Said
        By recogniser, rows in one order.
    truth : ndarray
        int ``(n,)``, the word that each is.

    Examples
    --------
    >>> scores = np.array([[3.0, 0.0], [0.0, 3.0], [3.0, 0.0], [0.0, 2.0]])
    >>> heard = {"dtw": Said(scores, scores.max(axis=1))}
    >>> answers = decide(heard, calibrate(heard, np.array([0, 1, 0, 1])))
    >>> answers.best.tolist(), bool(answers.probabilities.max() > 0.9)
    ([0, 1, 0, 1], True)
    """
    sharpness = {name: sharpness_of(_centred(each.scores), truth)
                 for name, each in said.items()}  # fmt: skip
    logs = _fused_logs(said, sharpness)
    fused_sharpness = sharpness_of(logs, truth)
    right = logs.argmax(axis=1) == truth
    right = right if right.any() else np.ones(len(truth), bool)
    evidence = {name: _centre_and_spread(each.evidence[right]) for name, each in said.items()}
    threshold = float(np.quantile(_fused_evidence(said, evidence)[right], REFUSED_SHARE))
    return Calibration(sharpness, evidence, fused_sharpness, threshold)


def decide(said: Mapping[str, Said], calibration: Calibration) -> Answers:
    """Answers from what the recognisers of a calibration say."""
    logs = _fused_logs(said, calibration.sharpness)
    evidence = _fused_evidence(said, calibration.evidence)
    order = np.argsort(-logs, axis=1, kind="stable")
    second = order[:, 1] if logs.shape[1] > 1 else np.full(len(logs), -1)
    probabilities = softmax(calibration.fused_sharpness * logs)
    return Answers(order[:, 0], second, probabilities, evidence, evidence >= calibration.threshold)


def log_loss_of(said: Said, truth: np.ndarray) -> float:
    """How good scores are, in nats, each at its best sharpness: what settings are chosen by."""
    scores = _centred(said.scores)
    return log_loss(truth, softmax(sharpness_of(scores, truth) * scores))


def _fused_logs(said: Mapping[str, Said], sharpness: Mapping[str, float]) -> np.ndarray:
    """Mean log probability of each word over the recognisers: float64 ``(n, n_words)``."""
    return np.asarray(np.mean([_log_softmax(value * said[name].scores) for name, value in sharpness.items()], axis=0))


def _log_softmax(scores: np.ndarray) -> np.ndarray:
    shifted = scores - scores.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))


def _centred(scores: np.ndarray) -> np.ndarray:
    return np.asarray(scores - scores.mean(axis=1, keepdims=True))


def _fused_evidence(said: Mapping[str, Said], scale: Mapping[str, tuple[float, float]]) -> np.ndarray:
    return np.asarray(np.mean([(said[name].evidence - c) / s for name, (c, s) in scale.items()], axis=0))


def _centre_and_spread(values: np.ndarray) -> tuple[float, float]:
    spread = float(values.std())
    return float(values.mean()), spread if spread > 1e-9 else 1.0
