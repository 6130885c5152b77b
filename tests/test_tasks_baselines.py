"""Baselines that must know nothing, know nothing; those that may know a little are fitted inside the training part."""

from __future__ import annotations

import numpy as np
import pytest

from volna.tasks.baselines import BASELINES, baseline_answers, majority_answers, prior_hits
from volna.workflows.task_jobs import HeardSound


def test_the_majority_is_of_the_training_part() -> None:
    assert majority_answers(["a", "b", "b"], 3) == ["b"] * 3
    assert majority_answers(["b", "a"], 1) == ["a"]


def test_the_prior_is_right_by_the_shares() -> None:
    hits = prior_hits(["a"] * 6 + ["b"] * 4, ["a"] * 60 + ["b"] * 40)
    assert hits.mean() == pytest.approx(0.6**2 + 0.4**2)
    assert prior_hits(["a"], ["unseen"]).tolist() == [0.0]


def test_a_baseline_learns_from_the_training_part_alone() -> None:
    rng = np.random.default_rng(0)
    labels = ["low", "high"] * 30
    vectors = np.array([[0.0] if label == "low" else [1.0] for label in labels]) + 0.1 * rng.normal(size=(60, 1))
    groups = [str(k // 4) for k in range(60)]
    train, test = np.arange(40), np.arange(40, 60)
    assert baseline_answers(vectors, labels, groups, train, test) == labels[40:]
    turned = [*labels[:40], *(["high", "low"] * 10)]
    assert baseline_answers(vectors, turned, groups, train, test) == labels[40:]


def test_every_baseline_has_its_part_of_a_heard_sound() -> None:
    sound = HeardSound(1.0, True, np.zeros(5, np.float32))
    assert all(hasattr(sound, baseline.view) for baseline in BASELINES)
    assert len({baseline.name for baseline in BASELINES}) == len(BASELINES)
