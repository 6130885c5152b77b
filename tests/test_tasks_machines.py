"""Machines as arrays answer as scikit-learn's own objects do."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from volna.errors import InputError
from volna.tasks.machines import ABSENT, MACHINES, fit_machine, machine_scores, softmax


def blobs(n_classes: int, n: int = 90, dim: int = 12, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = np.arange(n) % n_classes
    centres = rng.normal(0, 1.2, (n_classes, dim))
    return (centres[truth] + rng.normal(size=(n, dim))) * rng.uniform(0.1, 50, dim), truth


@pytest.mark.parametrize("n_classes", [2, 3, 5])
def test_logistic_probabilities_are_those_of_scikit_learn(n_classes: int) -> None:
    x, y = blobs(n_classes)
    scaler = StandardScaler().fit(x[:60])
    theirs = LogisticRegression(C=0.3, max_iter=1000, tol=1e-3).fit(scaler.transform(x[:60]), y[:60])
    machine = fit_machine("logistic", x[:60], y[:60], n_classes, 0.3)
    mine = softmax(machine_scores(machine, x[60:]))
    assert mine == pytest.approx(theirs.predict_proba(scaler.transform(x[60:])), abs=1e-3)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("kind", ["linear", "rbf"])
def test_support_vectors_decide_as_those_of_scikit_learn(kind: str, n_classes: int) -> None:
    x, y = blobs(n_classes)
    scaler = StandardScaler().fit(x[:60])
    svm = SVC(C=2.0, kernel=kind, gamma=1 / x.shape[1])
    theirs = OneVsRestClassifier(svm).fit(scaler.transform(x[:60]), y[:60])
    decided = theirs.decision_function(scaler.transform(x[60:]))
    mine = machine_scores(fit_machine(kind, x[:60], y[:60], n_classes, 2.0), x[60:])
    wanted = np.column_stack([-decided, decided]) if n_classes == 2 else decided
    assert mine == pytest.approx(wanted, abs=5e-3)  # libsvm stops within 1e-3 of its conditions


def test_a_machine_is_small_plain_arrays() -> None:
    x, y = blobs(3)
    for kind in MACHINES:
        machine = fit_machine(kind, x, y, 3, 0.1)
        assert {array.dtype for array in machine.values()} == {np.dtype(np.float32)}
    assert len(fit_machine("rbf", x, y, 3, 1.0)["supports"]) <= len(x)


@pytest.mark.parametrize("kind", MACHINES)
def test_a_class_that_is_not_there_is_never_answered(kind: str) -> None:
    x, y = blobs(2)
    given = machine_scores(fit_machine(kind, x, y * 2, 3, 1.0), x)
    assert given.shape == (len(x), 3)
    assert (given[:, 1] == ABSENT).all()
    assert (given.argmax(axis=1) == y * 2).mean() > 0.9


@pytest.mark.parametrize("kind", MACHINES)
def test_a_constant_number_and_a_wild_one_do_no_harm(kind: str) -> None:
    x, y = blobs(2)
    x[:, 0] = 7.0
    machine = fit_machine(kind, x, y, 2, 1.0)
    wild = x[:5].copy()
    wild[:, 1] = 1e9
    assert np.isfinite(machine_scores(machine, wild)).all()


def test_many_rows_at_once_are_rows_one_by_one() -> None:
    x, y = blobs(3)
    machine = fit_machine("rbf", x, y, 3, 1.0)
    many = np.tile(x, (40, 1))
    assert machine_scores(machine, many)[-90:] == pytest.approx(machine_scores(machine, x))
    assert machine_scores(machine, x[:0]).shape == (0, 3)


def test_what_does_not_fit_is_refused() -> None:
    x, y = blobs(2)
    with pytest.raises(InputError, match="out of logistic, linear, rbf, got 'forest'"):
        fit_machine("forest", x, y, 2, 1.0)
    with pytest.raises(InputError, match="vectors of 12 numbers, got shape"):
        machine_scores(fit_machine("linear", x, y, 2, 1.0), x[:, :5])
