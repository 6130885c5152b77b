"""From scores to answers: calibrated, fused, refused; settings chosen on held-out words; the model file."""

from __future__ import annotations

import numpy as np
import pytest

from volna.errors import ModelError
from volna.tasks import saved, scores
from volna.tasks.groups import inner_folds
from volna.tasks.words.choosing import (
    Apart,
    DtwSettings,
    HmmSettings,
    best,
    fit_hmm,
    held_out_dtw,
    held_out_hmm,
    joined,
    spread_over,
    templates_among,
    templates_of,
)
from volna.tasks.words.decisions import Said, calibrate, decide, said_by_crnn, said_by_dtw, said_by_hmm
from volna.tasks.words.dtw import as_templates, distances
from volna.tasks.words.features import cepstra
from volna.tasks.words.model import KIND, Templates, WordModel


def said(truth: np.ndarray, clear: float, seed: int, scale: float = 1.0) -> Said:
    """Scores that are right the more often the larger `clear` is."""
    rng = np.random.default_rng(seed)
    values = rng.standard_normal((len(truth), 4)) + clear * np.eye(4)[truth]
    return Said(scale * values, values.max(axis=1))


TRUTH = np.arange(400) % 4


def test_probabilities_mean_what_they_say_whatever_the_scale_of_the_scores() -> None:
    for scale in (0.1, 1.0, 20.0):
        heard = {"dtw": said(TRUTH, 1.5, 0, scale)}
        others = {"dtw": said(TRUTH, 1.5, 1, scale)}
        answers = decide(others, calibrate(heard, TRUTH))
        np.testing.assert_allclose(answers.probabilities.sum(axis=1), 1)
        assert scores.calibration_error(TRUTH, answers.probabilities) < 0.08


def test_two_recognisers_that_err_apart_are_better_together() -> None:
    held = {"hmm": said(TRUTH, 1.5, 0), "dtw": said(TRUTH, 1.5, 1, 7.0)}
    new = {"hmm": said(TRUTH, 1.5, 2), "dtw": said(TRUTH, 1.5, 3, 7.0)}
    alone = [scores.accuracy(TRUTH, decide({k: new[k]}, calibrate({k: held[k]}, TRUTH)).best) for k in ("hmm", "dtw")]
    together = scores.accuracy(TRUTH, decide(new, calibrate(held, TRUTH)).best)
    assert together > max(alone) + 0.05


def test_about_one_right_answer_in_twenty_is_refused_and_strangers_are() -> None:
    held, new = {"hmm": said(TRUTH, 6.0, 0)}, {"hmm": said(TRUTH, 6.0, 1)}
    calibration = calibrate(held, TRUTH)
    assert 0.02 < np.mean(~decide(new, calibration).known) < 0.09
    strangers = Said(np.random.default_rng(5).standard_normal((200, 4)), np.full(200, -3.0))
    assert not decide({"hmm": strangers}, calibration).known.any()


def test_best_and_second_follow_the_probabilities() -> None:
    heard = {"dtw": Said(np.array([[1.0, 3.0, 2.0], [5.0, 0.0, 4.0]]), np.zeros(2))}
    answers = decide(heard, calibrate(heard, np.array([1, 0])))
    assert answers.best.tolist() == [1, 0]
    assert answers.second.tolist() == [2, 2]


def test_a_calibration_without_a_right_answer_is_finite() -> None:
    wrong = {"hmm": Said(np.eye(4)[(TRUTH + 1) % 4] * 5, np.zeros(400))}
    answers = decide(wrong, calibrate(wrong, TRUTH))
    assert np.isfinite(answers.probabilities).all()
    assert np.isfinite(answers.evidence).all()


def test_evidence_of_each_recogniser_rises_with_the_fit() -> None:
    near, far = said_by_dtw(np.array([[1.0, 4.0]])), said_by_dtw(np.array([[3.0, 4.0]]))
    assert near.evidence > far.evidence
    assert said_by_crnn(np.array([[0.9, 0.1]])).evidence > said_by_crnn(np.array([[0.5, 0.5]])).evidence
    assert np.isfinite(said_by_crnn(np.array([[1.0, 0.0]])).scores).all()
    word = said_by_hmm(np.array([[-50.0, -90.0, -60.0]]), np.array([10]))
    assert word.scores.tolist() == [[-5.0, -9.0]]
    assert word.evidence == pytest.approx([1.0])


# Settings


def log_mel(word: int, seed: int) -> np.ndarray:
    """A band of energy that climbs or falls, of a length of its own."""
    rng = np.random.default_rng(100 * word + seed)
    n = int(rng.integers(18, 34))
    place = np.linspace(3, 20, n) if word == 0 else np.linspace(20, 3, n)
    bands = np.arange(26)[:, None]
    return (-0.5 * (bands - place - rng.normal(0, 1)) ** 2 + rng.normal(0, 1, (26, n)) - 40).astype(np.float32)


@pytest.fixture(scope="module")
def spoken() -> tuple[list[np.ndarray], np.ndarray, list[str]]:
    truth = np.arange(18) % 2
    return [log_mel(int(word), k) for k, word in enumerate(truth)], truth, [f"speaker {k // 6}" for k in range(18)]


@pytest.fixture(scope="module")
def apart(spoken) -> Apart:
    rows = as_templates([cepstra(each, variance=True) for each in spoken[0]])
    return Apart(np.stack([distances(row, rows) for row in rows]), np.arange(18))


def test_held_out_words_are_told_by_both_recognisers(spoken, apart) -> None:
    log_mels, truth, groups = spoken
    folds = inner_folds(truth, groups)
    hmm = joined([held_out_hmm(log_mels, truth, a, b, 2, HmmSettings(4, 1)) for a, b in folds], folds)
    dtw = joined([held_out_dtw(apart, truth, a, b, 2, DtwSettings(0, 3)) for a, b in folds], folds)
    for each in (hmm, dtw):
        assert scores.accuracy(truth, each.scores.argmax(axis=1)) == 1.0
    noise = Said(np.random.default_rng(0).standard_normal((18, 2)), np.zeros(18))
    assert best([noise, dtw], truth) == 1


def test_a_word_that_a_fold_lacks_is_the_unlikeliest(spoken, apart) -> None:
    log_mels, truth, _ = spoken
    train, test = np.flatnonzero(truth == 0), np.array([1, 3])
    assert held_out_hmm(log_mels, truth, train, test, 2, HmmSettings(3, 1)).scores.shape == (2, 2)
    assert held_out_dtw(apart, truth, train, test, 2, DtwSettings(2, 1)).scores.shape == (2, 2)
    spread = spread_over(Said(np.array([[4.0, 1.0]]), np.zeros(1)), np.array([1, 2]), 3)
    assert spread.scores.tolist() == [[1.0, 4.0, 1.0]]


def test_templates_are_of_every_word_and_among_the_rows_given(spoken, apart) -> None:
    truth = spoken[1]
    rows = np.array([0, 1, 2, 3, 8, 9, 12])
    kept = templates_among(apart, truth, rows, DtwSettings(2, 1))
    assert set(kept) <= set(rows)
    assert np.bincount(truth[kept]).tolist() == [2, 2]
    assert templates_of(apart.values, truth, 0).tolist() == list(range(18))


def test_distances_to_some_columns_are_found_where_they_are() -> None:
    values = np.arange(12.0).reshape(4, 3)
    some = Apart(values, np.array([0, 2, 3]))
    assert some.between(np.array([1, 3]), np.array([2, 3])).tolist() == [[4.0, 5.0], [10.0, 11.0]]


# The model file


@pytest.fixture(scope="module")
def model(spoken, apart) -> WordModel:
    log_mels, truth, groups = spoken
    folds = inner_folds(truth, groups)
    settings = HmmSettings(4, 2, True), DtwSettings(3, 2)
    heard = {
        "hmm": joined([held_out_hmm(log_mels, truth, a, b, 2, settings[0]) for a, b in folds], folds),
        "dtw": joined([held_out_dtw(apart, truth, a, b, 2, settings[1]) for a, b in folds], folds),
    }
    hmms, _ = fit_hmm(log_mels, truth, 2, settings[0])
    kept = templates_among(apart, truth, np.arange(18), settings[1])
    rows = as_templates([cepstra(log_mels[k], variance=True) for k in kept])
    templates = Templates(rows, truth[kept])
    return WordModel(("down", "up"), calibrate(heard, truth), (hmms, settings[0]), (templates, settings[1]))


def test_a_model_comes_back_from_its_file_and_says_the_same(model, spoken) -> None:
    content = saved.to_bytes(KIND, *model.as_saved())
    back = WordModel.from_saved(saved.from_bytes(content, KIND))
    assert (back.words, back.parts) == (("down", "up"), ("hmm", "dtw"))
    before, after = model.says(spoken[0]), back.says(spoken[0])
    np.testing.assert_allclose(after["hmm"].scores, before["hmm"].scores, rtol=1e-6)
    np.testing.assert_allclose(after["dtw"].scores, before["dtw"].scores, rtol=2e-3)  # templates are float16
    assert decide(after, back.calibration).best.tolist() == spoken[1].tolist()
    assert saved.to_bytes(KIND, *back.as_saved()) == content


def test_other_sounds_are_none_of_these(model) -> None:
    rng = np.random.default_rng(1)
    noise = [(rng.normal(0, 8, (26, 25)) - 40).astype(np.float32) for _ in range(10)]
    assert not decide(model.says(noise), model.calibration).known.any()


def test_a_damaged_or_foreign_file_is_refused_in_a_sentence(model) -> None:
    arrays, settings = model.as_saved()
    del arrays["hmm/means"]
    with pytest.raises(ModelError, match=r"x\.model: is damaged .*train it again"):
        WordModel.from_saved(saved.from_bytes(saved.to_bytes(KIND, arrays, settings), KIND), "x.model")
    lacking = {**settings, "calibration": {**settings["calibration"], "sharpness": {"dtw": 1.0}}}
    with pytest.raises(ModelError, match="is damaged"):
        WordModel.from_saved(saved.from_bytes(saved.to_bytes(KIND, model.as_saved()[0], lacking), KIND))
    with pytest.raises(ModelError, match="expected a file of kind volna-words"):
        saved.from_bytes(saved.to_bytes("classifier", {}, {}), KIND)
