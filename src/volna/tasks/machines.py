"""Linear and kernel classifiers as plain arrays: fitted by scikit-learn, evaluated by numpy, so that a file holds them.

A *machine* turns vectors ``(n, dim)`` into scores ``(n, n_classes)``, larger for likelier. Vectors are standardised
with the centre and spread of the training ones; what lies further out than `CLIP` spreads counts as that far, so that
one strange number decides nothing.

* ``logistic``: multinomial logistic regression, scores ``W z + b``.
* ``linear``: a linear support vector machine for each class against all others, scores ``W z + b``.
* ``rbf``: the same with ``k(z, s) = exp(-|z - s|^2 / dim)``, scores ``D k(z, S) + b`` over the support vectors ``S``.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from volna.errors import InputError

__all__ = ["CLIP", "MACHINES", "Machine", "fit_machine", "machine_scores", "softmax"]

MACHINES = ("logistic", "linear", "rbf")
CLIP = 8.0  # spreads
ABSENT = -20.0  # score of a class that the training part did not hold
ROWS_AT_ONCE = 2048

Machine = dict[str, np.ndarray]


def softmax(scores: np.ndarray) -> np.ndarray:
    """Probabilities from scores, row by row.

    Examples
    --------
    >>> softmax(np.array([[0.0, 0.0]])).tolist()
    [[0.5, 0.5]]
    """
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def fit_machine(kind: str, vectors: np.ndarray, truth: np.ndarray, n_classes: int, c: float) -> Machine:
    """Fit one classifier.

    Parameters
    ----------
    kind : {"logistic", "linear", "rbf"}
    vectors : ndarray
        ``(n, dim)``, finite.
    truth : ndarray
        int ``(n,)``, class numbers below `n_classes`; two or more classes must occur.
    c : float
        The inverse strength of regularisation, as scikit-learn's ``C``.

    Returns
    -------
    dict of str to ndarray
        ``centre``, ``spread`` and ``bias``, all float32; with ``weights``, or with ``supports`` and ``duals``.

    Examples
    --------
    >>> machine = fit_machine("logistic", np.array([[-1.0], [1.0]]), np.array([0, 1]), 2, 1.0)
    >>> int(machine_scores(machine, np.array([[3.0]])).argmax())
    1
    """
    if kind not in MACHINES:
        raise InputError(f"expected a classifier out of {', '.join(MACHINES)}, got {kind!r}")
    centre, spread = vectors.mean(axis=0), vectors.std(axis=0)
    spread = np.where(spread > 1e-6 * (1.0 + np.abs(centre)), spread, 1.0)
    machine = {"centre": centre.astype(np.float32), "spread": spread.astype(np.float32)}
    z = _standardised(machine, vectors)
    fitted = _logistic(z, truth, n_classes, c) if kind == "logistic" else _svm(kind, z, truth, n_classes, c)
    return machine | {name: np.asarray(values, np.float32) for name, values in fitted.items()}


def machine_scores(machine: Mapping[str, np.ndarray], vectors: np.ndarray) -> np.ndarray:
    """Scores of vectors ``(n, dim)``: float64 ``(n, n_classes)``.

    Raises
    ------
    InputError
        The vectors have another length than those the machine was fitted on.
    """
    if vectors.ndim != 2 or vectors.shape[1] != len(machine["centre"]):
        raise InputError(f"expected vectors of {len(machine['centre'])} numbers, got shape {vectors.shape}")
    parts = [
        _scores(machine, _standardised(machine, vectors[first : first + ROWS_AT_ONCE]))
        for first in range(0, len(vectors), ROWS_AT_ONCE)
    ]
    return np.concatenate(parts) if parts else np.zeros((0, len(machine["bias"])))


def _standardised(machine: Mapping[str, np.ndarray], vectors: np.ndarray) -> np.ndarray:
    return np.clip((vectors - machine["centre"]) / machine["spread"], -CLIP, CLIP).astype(np.float64)


def _scores(machine: Mapping[str, np.ndarray], z: np.ndarray) -> np.ndarray:
    if "weights" in machine:
        return np.asarray(z @ machine["weights"].T.astype(np.float64) + machine["bias"])
    return np.asarray(_kernel(z, machine["supports"].astype(np.float64)) @ machine["duals"].T + machine["bias"])


def _kernel(z: np.ndarray, others: np.ndarray) -> np.ndarray:
    squares = (z**2).sum(axis=1)[:, None] + (others**2).sum(axis=1) - 2 * z @ others.T
    return np.asarray(np.exp(-np.maximum(squares, 0.0) / z.shape[1]))


def _logistic(z: np.ndarray, truth: np.ndarray, n_classes: int, c: float) -> Machine:
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=c, max_iter=1000, tol=1e-3).fit(z, truth)
    weights, bias = np.zeros((n_classes, z.shape[1])), np.full(n_classes, ABSENT)
    if len(model.classes_) == 2:  # scikit-learn keeps one row for two classes
        no, yes = model.classes_
        weights[yes], bias[no], bias[yes] = model.coef_[0], 0.0, model.intercept_[0]
    else:
        weights[model.classes_], bias[model.classes_] = model.coef_, model.intercept_
    return {"weights": weights, "bias": bias}


def _svm(kind: str, z: np.ndarray, truth: np.ndarray, n_classes: int, c: float) -> Machine:
    from sklearn.svm import SVC

    products = z @ z.T if kind == "linear" else _kernel(z, z)
    duals, bias = np.zeros((n_classes, len(z))), np.full(n_classes, ABSENT)
    known = np.unique(truth)
    for k in known[1:] if len(known) == 2 else known:
        model = SVC(C=c, kernel="precomputed").fit(products, truth == k)
        duals[k, model.support_], bias[k] = model.dual_coef_[0], model.intercept_[0]
    if len(known) == 2:
        duals[known[0]], bias[known[0]] = -duals[known[1]], -bias[known[1]]
    if kind == "linear":
        return {"weights": duals @ z, "bias": bias}
    used = np.flatnonzero(duals.any(axis=0))
    return {"supports": z[used], "duals": duals[:, used], "bias": bias}
