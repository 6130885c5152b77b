"""Splits that keep what belongs together on one side, and the checks that come before any of them.

A *group* is what makes two recordings alike beside their label: the speaker, the artist, the machine, the recording
they were cut from. A split that tears a group apart measures how well a method knows the group again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from volna.errors import InputError

__all__ = ["FEW_GROUPS", "LEAST_FILES", "Fold", "check_classes", "grouped_folds", "inner_folds"]

FEW_GROUPS = 8  # so many or fewer: each is left out once
LEAST_FILES = 3  # of a class

Fold = tuple[np.ndarray, np.ndarray]


def grouped_folds(labels: Sequence[Any], groups: Sequence[Any], n_folds: int = 5, seed: int = 0) -> list[Fold]:
    """Folds that never tear a group apart and keep the shares of the labels as even as that allows.

    Up to `FEW_GROUPS` groups are left out one by one. Where there are more, they are dealt out, those with the most
    uneven labels first, each to the fold that leaves the labels most even over the folds, as scikit-learn's
    ``StratifiedGroupKFold`` does it.

    Parameters
    ----------
    labels, groups : sequence (n,)
        One of each for every file.
    n_folds : int
        2 or more; at most as many as there are groups.
    seed : int
        Which of equal groups comes first; without any effect where groups are left out one by one.

    Returns
    -------
    list of (train, test)
        int64 indices, both sorted; every file is in exactly one test part.

    Raises
    ------
    InputError
        There is one group only, or `n_folds` is below 2.

    Examples
    --------
    >>> folds = grouped_folds(["a", "b"] * 4, [1, 1, 2, 2, 3, 3, 4, 4])
    >>> [test.tolist() for _, test in folds]
    [[0, 1], [2, 3], [4, 5], [6, 7]]
    """
    if n_folds < 2:
        raise InputError(f"folds: expected 2 or more, got {n_folds}")
    group_of = np.unique(np.asarray(groups).astype(str), return_inverse=True)[1]
    label_of = np.unique(np.asarray(labels).astype(str), return_inverse=True)[1]
    n_groups = int(group_of.max(initial=-1)) + 1
    if n_groups < 2:
        raise InputError("expected files of two groups or more to split between, got one group")
    few = n_groups <= max(FEW_GROUPS, n_folds)
    return _folds(group_of if few else _dealt(label_of, group_of, n_folds, seed)[group_of])


def _folds(fold_of: np.ndarray) -> list[Fold]:
    every = np.arange(len(fold_of))
    return [(every[fold_of != k], every[fold_of == k]) for k in np.unique(fold_of)]


def _dealt(label_of: np.ndarray, group_of: np.ndarray, n_folds: int, seed: int) -> np.ndarray:
    """The fold of each group, int64 (n_groups,)."""
    counts = np.zeros((group_of.max() + 1, label_of.max() + 1))
    np.add.at(counts, (group_of, label_of), 1)
    share = counts / counts.sum(axis=0)  # of each label, so that rare labels weigh as much
    shuffled = np.random.default_rng(seed).permutation(len(share))
    order = shuffled[np.argsort(-counts[shuffled].std(axis=1), kind="stable")]
    held = np.zeros((n_folds, share.shape[1]))
    fold_of_group = np.zeros(len(share), np.int64)
    for group in order:
        # The unevenness that is left when the group goes to fold k differs between the k by this only; equal ones are
        # told apart by the number of files.
        cost = (2 * held * share[group]).sum(axis=1)
        fewest = np.isclose(cost, cost.min())
        fold = int(np.argmin(np.where(fewest, held.sum(axis=1), np.inf)))
        fold_of_group[group] = fold
        held[fold] += share[group]
    return fold_of_group


def inner_folds(labels: Sequence[Any], groups: Sequence[Any], n_folds: int = 3, seed: int = 0) -> list[Fold]:
    """Folds inside a training part, to choose by: a few, by group where it has two or more, else by file.

    Examples
    --------
    >>> len(inner_folds(["a", "b"] * 6, ["one speaker"] * 12))
    3
    """
    names = np.asarray(groups).astype(str)
    if len(set(names)) < 2:
        names = np.arange(len(names)).astype(str)
    group_of = np.unique(names, return_inverse=True)[1]
    label_of = np.unique(np.asarray(labels).astype(str), return_inverse=True)[1]
    return _folds(_dealt(label_of, group_of, min(n_folds, int(group_of.max()) + 1), seed)[group_of])


def check_classes(
    labels: Sequence[str], groups: Sequence[Any] | None = None, *, expected: Sequence[str] = (), failed: int = 0
) -> None:
    """Refuse labels from which nothing can be learnt, in one sentence.

    Parameters
    ----------
    labels
        One for every file that could be heard.
    groups
        Where given, every label needs files of two groups or more, else it cannot be learnt and tested.
    expected
        Labels that ought to be there, as the names of folders: one without a file is an empty class.
    failed
        Files that could not be heard; named in the message, for they may be the reason.

    Raises
    ------
    InputError
        A class is empty, has fewer than three files, is the only one, or has files of one group only.

    Examples
    --------
    >>> check_classes(["cat"] * 3 + ["dog"] * 3)
    """
    counts = Counter(labels)
    hint = f" ({failed} file{'s' if failed != 1 else ''} could not be heard)" if failed else ""
    if empty := sorted(set(expected) - set(counts)):
        raise InputError(f"expected sounds for every label, found none for {_named(empty)}{hint}")
    if few := sorted(label for label, n in counts.items() if n < LEAST_FILES):
        found = ", ".join(f"{counts[label]} for {label!r}" for label in few[:5])
        raise InputError(f"expected at least {LEAST_FILES} files for every label, found {found}{hint}")
    if len(counts) < 2:
        what = f"only {next(iter(counts))!r}" if counts else "none"
        raise InputError(f"expected files of two labels or more, found {what}{hint}")
    if groups is not None:
        seen: dict[str, set[str]] = {}
        for label, group in zip(labels, groups, strict=True):
            seen.setdefault(label, set()).add(str(group))
        if single := sorted(label for label, names in seen.items() if len(names) < 2):
            raise InputError(
                f"all files of {_named(single)} are of one group, so none is left to learn from while it is tested;"
                " use other groups, or none"
            )


def _named(labels: Sequence[str]) -> str:
    return ", ".join(map(repr, labels[:5])) + (f" and {len(labels) - 5} more" if len(labels) > 5 else "")
