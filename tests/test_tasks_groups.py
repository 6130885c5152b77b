"""Splits never tear a group, keep labels even, and say clearly what cannot be learnt."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from volna.errors import InputError
from volna.tasks.groups import FEW_GROUPS, check_classes, grouped_folds, inner_folds


def many(n_groups: int, seed: int = 0) -> tuple[list[str], list[str]]:
    """Groups of one to nine files, labels unevenly spread over them."""
    rng = np.random.default_rng(seed)
    labels: list[str] = []
    groups: list[str] = []
    for group in range(n_groups):
        n = int(rng.integers(1, 10))
        labels += rng.choice(["a", "b", "c"], n, p=[0.6, 0.3, 0.1]).tolist()
        groups += [f"g{group}"] * n
    return labels, groups


@pytest.mark.parametrize("n_groups", [2, FEW_GROUPS, FEW_GROUPS + 1, 40])
def test_every_file_is_tested_once_and_no_group_is_torn(n_groups: int) -> None:
    labels, groups = many(n_groups)
    folds = grouped_folds(labels, groups, 5)
    assert sorted(np.concatenate([test for _, test in folds]).tolist()) == list(range(len(labels)))
    for train, test in folds:
        assert len(train)
        assert not {groups[k] for k in train} & {groups[k] for k in test}
        assert sorted([*train, *test]) == list(range(len(labels)))


def test_few_groups_are_left_out_one_by_one() -> None:
    labels, groups = many(FEW_GROUPS)
    folds = grouped_folds(labels, groups, 3)
    assert len(folds) == FEW_GROUPS
    assert all(len({groups[k] for k in test}) == 1 for _, test in folds)


def test_labels_are_as_even_as_scikit_learn_makes_them() -> None:
    from sklearn.model_selection import StratifiedGroupKFold

    labels, groups = many(60)
    whole = Counter(labels)

    def unevenness(folds) -> float:
        parts = [Counter(labels[k] for k in test) for _, test in folds]
        return float(np.mean([np.std([part[label] / whole[label] for part in parts]) for label in whole]))

    theirs = StratifiedGroupKFold(5).split(np.zeros(len(labels)), labels, groups)
    assert unevenness(grouped_folds(labels, groups, 5)) <= unevenness(theirs) + 0.02


def test_without_groups_the_split_is_stratified() -> None:
    labels = ["rare"] * 10 + ["often"] * 90
    for _, test in grouped_folds(labels, range(100), 5):
        assert Counter(labels[k] for k in test) == {"rare": 2, "often": 18}


def test_a_seed_gives_the_same_folds_and_another_seed_others() -> None:
    labels, groups = many(40)
    first, again, other = (grouped_folds(labels, groups, 5, seed)[0][1].tolist() for seed in (0, 0, 1))
    assert first == again != other


def test_inner_folds_are_few_and_fall_back_to_files() -> None:
    labels, groups = many(6)
    folds = inner_folds(labels, groups, 3)
    assert len(folds) == 3
    assert all(not {groups[k] for k in train} & {groups[k] for k in test} for train, test in folds)
    assert len(inner_folds(["a", "b"] * 5, ["one"] * 10, 5)) == 5


def test_one_group_or_one_fold_is_refused() -> None:
    with pytest.raises(InputError, match="two groups or more"):
        grouped_folds(["a", "b"], ["one", "one"])
    with pytest.raises(InputError, match="2 or more, got 1"):
        grouped_folds(["a", "b"], ["one", "two"], 1)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["cat"] * 3, "two labels or more, found only 'cat'"),
        ([], "found none"),
        (["cat"] * 3 + ["dog"] * 2, "at least 3 files for every label, found 2 for 'dog'"),
    ],
)
def test_labels_that_cannot_be_learnt_are_named(labels: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_classes(labels)


def test_an_empty_class_is_named_with_the_files_that_failed() -> None:
    with pytest.raises(InputError, match=r"none for 'eel' \(2 files could not be heard\)"):
        check_classes(["cat"] * 3 + ["dog"] * 3, expected=["cat", "dog", "eel"], failed=2)


def test_a_class_of_one_group_cannot_be_measured() -> None:
    labels, groups = ["cat"] * 4 + ["dog"] * 4, list("aaaabbcc")
    with pytest.raises(InputError, match="all files of 'cat' are of one group"):
        check_classes(labels, groups)
    check_classes(labels)
    check_classes(labels, list("aabbaabb"))
