"""What of the words runs in child processes: hearing files, distances, models of one fold, networks."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from volna.audio.decode import decode, open_audio
from volna.audio.signal import peak
from volna.errors import AudioError
from volna.features.recipe import MIN_DURATION_S, SILENCE_DBFS
from volna.tasks.baselines import baseline_answers, prior_hits
from volna.tasks.words.choosing import HmmSettings, fit_hmm, held_out_hmm
from volna.tasks.words.decisions import Said, said_by_crnn
from volna.tasks.words.dtw import distances
from volna.tasks.words.endpoints import SAMPLE_RATE, cut_word, without_offset, word_bounds, word_spans
from volna.tasks.words.features import TOP_DB, word_log_mel
from volna.tasks.words.hmm import WordHmms
from volna.workflows.classify_jobs import fit_network
from volna.workflows.task_jobs import hear_sound

__all__ = [
    "HeardWord",
    "baselines_of_fold",
    "dtw_block",
    "fit_crnn",
    "fit_words",
    "hear_word",
    "hear_words",
    "network_picture",
    "say_of_fold",
]

LONGEST_FILE_S = 60.0  # with one word in it; longer ones are cut into words
LONGEST_WORD_S = 5.0  # of what is loud in between two pauses


@dataclass
class HeardWord:
    """A word: where it is in its file, its log-mel ``(26, n_frames)`` in dB, and the vectors of the baselines."""

    start_s: float
    end_s: float
    log_mel: np.ndarray
    nuisance: np.ndarray | None = None
    mfcc: np.ndarray | None = None


def hear_word(path: str, baselines: bool = False) -> HeardWord:
    """The word in a file: the stretch of most energy between pauses.

    Raises
    ------
    AudioError
        The file cannot be decoded, is silent, lasts less than 0.1 s or more than a minute, or the sound in it is longer
        than a word.
    """
    samples = _samples_of(path, LONGEST_FILE_S)
    bounds = word_bounds(samples)
    if bounds is None:
        raise AudioError(f"{path}: holds only silence")
    word = _word(samples, bounds)
    if word.end_s - word.start_s > LONGEST_WORD_S:
        raise AudioError(
            f"{path}: expected a word of {LONGEST_WORD_S:g} s at most, got {word.end_s - word.start_s:.1f} s of sound"
            " without a pause"
        )
    if baselines:
        heard = hear_sound(path, ("mfcc",))
        word.nuisance, word.mfcc = heard.nuisance, heard.mfcc
    return word


def hear_words(path: str) -> tuple[float, list[HeardWord]]:
    """The length of a recording in seconds, and every word in it, in order; what is longer than a word is left out."""
    samples = _samples_of(path, None)
    words = [_word(samples, span) for span in word_spans(samples)]
    return len(samples) / SAMPLE_RATE, [word for word in words if word.end_s - word.start_s <= LONGEST_WORD_S]


def _samples_of(path: str, longest_s: float | None) -> np.ndarray:
    with open_audio(path) as file:
        duration_s = file.duration_s
    if duration_s < MIN_DURATION_S:
        raise AudioError(f"{path}: expected at least {MIN_DURATION_S} s of sound, got {duration_s:.3f} s")
    if longest_s is not None and duration_s > longest_s:
        raise AudioError(
            f"{path}: expected a recording of one word, {longest_s:g} s at most, got {duration_s:.0f} s;"
            " predict --segments finds the words of longer ones"
        )
    samples = decode(path, sample_rate=SAMPLE_RATE)
    sound = without_offset(samples) if len(samples) else samples
    if peak(sound) < 10 ** (SILENCE_DBFS / 20):
        raise AudioError(f"{path}: holds only silence: expected a peak above {SILENCE_DBFS:.0f} dBFS")
    return sound


def _word(samples: np.ndarray, bounds: tuple[int, int]) -> HeardWord:
    start, end = bounds
    return HeardWord(start / SAMPLE_RATE, end / SAMPLE_RATE, word_log_mel(cut_word(samples, bounds)))


def network_picture(log_mel: np.ndarray) -> np.ndarray:
    """What the CRNN looks at: the log-mel without what lies so far below the word that it is noise."""
    return np.maximum(log_mel, np.float32(np.percentile(log_mel, 99.0) - TOP_DB))


def dtw_block(words: np.ndarray, templates: np.ndarray) -> np.ndarray:
    """Distances of some words ``(k, n_frames, D)`` to all templates: float32 ``(k, n_templates)``."""
    return np.stack([distances(word, templates) for word in words])


def say_of_fold(
    log_mels: Sequence[np.ndarray],
    truth: np.ndarray,
    train: np.ndarray,
    test: np.ndarray,
    n_words: int,
    settings: HmmSettings,
    seed: int,
) -> Said:
    """What hidden Markov models say of the test part."""
    return held_out_hmm(log_mels, truth, train, test, n_words, settings, seed)


def fit_words(
    log_mels: Sequence[np.ndarray], truth: np.ndarray, n_words: int, settings: HmmSettings, seed: int
) -> tuple[WordHmms, float]:
    """The hidden Markov models of all words, and the seconds that they took."""
    return fit_hmm(log_mels, truth, n_words, settings, seed)


def fit_crnn(
    log_mels: Sequence[np.ndarray],
    truth: np.ndarray,
    groups: Sequence[str],
    n_words: int,
    others: Sequence[np.ndarray],
    seed: int,
    time_budget_s: float,
) -> Generator[Any, Any, tuple[bytes, Said, float]]:
    """A network of some words, what it says of others, and the seconds that its training took."""
    started_s = time.process_time()  # of this child: what it takes on one core, however busy the machine
    settings = {"kind": "crnn", "time_budget_s": time_budget_s}
    pictures = [network_picture(each) for each in log_mels]
    network = yield from fit_network(settings, pictures, truth, groups, n_words, seed)
    seconds = time.process_time() - started_s
    return network, say_by_network(network, others, n_words), seconds


def say_by_network(network: bytes, log_mels: Sequence[np.ndarray], n_words: int) -> Said:
    """What a network says of words."""
    from volna.models.classifier_use import predict_probabilities

    if not len(log_mels):
        return said_by_crnn(np.zeros((0, n_words)) + 1.0)
    return said_by_crnn(np.asarray(predict_probabilities(network, [network_picture(each) for each in log_mels])))


def baselines_of_fold(
    vectors: dict[str, np.ndarray], labels: Sequence[str], groups: Sequence[str], train: np.ndarray, test: np.ndarray
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Whether each baseline is right about each word of the test part, and how often chance would be."""
    truth = np.array([labels[k] for k in test], dtype=object)
    hits = {
        name: np.array(baseline_answers(rows, labels, groups, train, test), dtype=object) == truth
        for name, rows in vectors.items()
    }
    return hits, prior_hits([labels[k] for k in train], [labels[k] for k in test])
