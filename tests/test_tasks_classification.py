"""The classifier of vectors: it chooses by group, fuses what helps, and its probabilities mean what they say."""

from __future__ import annotations

import numpy as np
import pytest

from volna.errors import InputError
from volna.tasks import saved, scores
from volna.tasks.classification import KINDS, VectorClassifier, sharpened, sharpness_of
from volna.tasks.machines import softmax

N_CLASSES = 3


def sounds(n: int = 90, seed: int = 0, noise: float = 1.0) -> tuple[dict[str, np.ndarray], list[str], list[str]]:
    """Two views that each know half, one that knows nothing, labels and groups."""
    rng = np.random.default_rng(seed)
    truth = np.arange(n) % N_CLASSES
    rng_of_classes = np.random.default_rng(99)
    views = {name: rng_of_classes.normal(0, 1, (N_CLASSES, 6))[truth] for name in ("sharp", "dull")}
    views = {name: values + noise * rng.normal(size=values.shape) for name, values in views.items()}
    views["blind"] = rng.normal(size=(n, 4))
    return views, [f"label {k}" for k in truth], [f"group {k // 9}" for k in range(n)]


def right(model: VectorClassifier, views: dict[str, np.ndarray], labels: list[str]) -> float:
    return float(np.mean(np.array(model.predict(views)) == np.array(labels)))


@pytest.mark.parametrize("kind", KINDS)
def test_labels_are_learnt(kind: str) -> None:
    views, labels, groups = sounds()
    others, truth, _ = sounds(seed=1)
    model = VectorClassifier(kind=kind).fit(views, labels, groups)
    assert model.classes_ == ("label 0", "label 1", "label 2")
    assert right(model, others, truth) > 0.75
    allowed = {machine for machine, _ in KINDS[kind]}
    assert {part.kind for part in model.parts_} <= allowed
    assert sum(part.weight for part in model.parts_) == pytest.approx(1.0)


def test_views_together_know_more_than_one_and_the_blind_one_counts_little() -> None:
    views, labels, groups = sounds(noise=1.6)
    others, truth, _ = sounds(300, seed=1, noise=1.6)
    alone = [
        right(VectorClassifier().fit({name: views[name]}, labels, groups), others, truth) for name in ("sharp", "dull")
    ]
    model = VectorClassifier().fit(views, labels, groups)
    assert right(model, others, truth) > max(alone)
    weights = {part.view: part.weight for part in model.parts_}
    assert weights.get("blind", 0.0) < min(weights["sharp"], weights["sharp+dull+blind"])


def test_probabilities_are_calibrated_on_sounds_not_seen() -> None:
    views, labels, groups = sounds(240, noise=2.0)
    others, truth, _ = sounds(600, seed=1, noise=2.0)
    made = VectorClassifier(kind="svm").fit(views, labels, groups).predict_proba(others)
    numbers = np.array([int(label[-1]) for label in truth])
    assert made.sum(axis=1) == pytest.approx(np.ones(len(made)))
    assert scores.calibration_error(numbers, made) < 0.1
    bolder = sharpened(made, 4.0)
    assert scores.log_loss(numbers, made) < scores.log_loss(numbers, bolder)


def test_held_out_probabilities_are_of_sounds_whose_group_was_held_out() -> None:
    """With labels drawn at random the training is learnt by heart, and the held-out figures stay at chance."""
    views, labels, groups = sounds()
    drawn = np.random.default_rng(5).permutation(labels).tolist()
    model = VectorClassifier(kind="svm").fit(views, drawn, groups)
    truth = np.array([model.classes_.index(label) for label in drawn])
    assert scores.accuracy(truth, model.held_out_.argmax(axis=1)) < 0.5
    assert right(VectorClassifier(kind="svm").fit({"blind": views["blind"]}, drawn, groups), views, drawn) > 0.4


def test_choosing_respects_groups() -> None:
    """A view that only tells groups apart looks perfect by file; by group it is worth nothing."""
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(12), 6)
    labels = [f"label {k % 2}" for k in groups]
    views = {"group": np.eye(12)[groups] * 5 + 0.01 * rng.normal(size=(72, 12))}
    views["label"] = np.array([[float(label[-1])] for label in labels]) + 0.6 * rng.normal(size=(72, 1))
    by_group = VectorClassifier(kind="logistic").fit(views, labels, groups)
    by_file = VectorClassifier(kind="logistic").fit(views, labels)
    weight = [{part.view: part.weight for part in model.parts_}.get("group", 0.0) for model in (by_group, by_file)]
    assert weight[0] < weight[1]


def test_it_survives_a_file_without_change() -> None:
    views, labels, groups = sounds()
    model = VectorClassifier().fit(views, labels, groups)
    arrays, settings = model.as_saved()
    content = saved.to_bytes("classifier", arrays, settings)
    read = saved.from_bytes(content, "classifier")
    again = VectorClassifier.from_saved(read, read.settings)
    assert again.predict_proba(views) == pytest.approx(model.predict_proba(views), abs=1e-9)
    assert saved.to_bytes("classifier", *again.as_saved()) == content


def test_equal_training_gives_an_equal_classifier() -> None:
    views, labels, groups = sounds()
    first, second = (
        VectorClassifier(kind="logistic", seed=3).fit(views, labels, groups).predict_proba(views) for _ in range(2)
    )
    assert (first == second).all()


def test_a_class_of_one_group_is_still_answered() -> None:
    views, labels, groups = sounds()
    groups = ["lonely" if label == "label 0" else group for label, group in zip(labels, groups, strict=True)]
    model = VectorClassifier(kind="logistic").fit(views, labels, groups)
    assert "label 0" in model.predict(views)


def test_what_cannot_be_learnt_is_refused() -> None:
    views, labels, groups = sounds()
    with pytest.raises(InputError, match="a classifier out of logistic, svm, auto, got 'forest'"):
        VectorClassifier(kind="forest").fit(views, labels, groups)
    with pytest.raises(InputError, match="at least one view"):
        VectorClassifier().fit({}, labels, groups)
    with pytest.raises(InputError, match="sharp: expected 90 vectors"):
        VectorClassifier().fit({"sharp": views["sharp"][:5]}, labels, groups)
    views["dull"][3, 3] = np.nan
    with pytest.raises(InputError, match="dull: expected finite"):
        VectorClassifier().fit(views, labels, groups)


def test_sharpness_finds_the_power_that_was_taken_away() -> None:
    rng = np.random.default_rng(0)
    scores_ = rng.normal(0, 2, (3000, 3))
    truth = np.array([rng.choice(3, p=row) for row in softmax(scores_)])
    assert sharpness_of(scores_ * 5.0, truth) == pytest.approx(0.2, rel=0.15)
    assert sharpened(softmax(scores_), 1.0) == pytest.approx(softmax(scores_))
