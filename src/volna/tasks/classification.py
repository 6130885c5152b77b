"""Labels from vectors: the linear classifier on a compressed representation, chosen and calibrated by groups.

A sound has one vector in each of several *views* (descriptors, full-band statistics, a patch in time, an autoencoder's
latents). Every view, and all of them joined, gets the machine (`volna.tasks.machines`) with the lowest log loss in
cross-validation by group. The answer is the mean of their calibrated probabilities, weighted by how well each did
there: a mean, because on few groups the best one is often so by luck. All of it sees training sounds only: whoever
measures does so on other groups.

Measure of success: accuracy on groups that were not there in training, see `volna.tasks.scores`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from volna.errors import InputError
from volna.tasks.groups import check_classes, inner_folds
from volna.tasks.machines import Machine, fit_machine, machine_scores, softmax
from volna.tasks.scores import log_loss

__all__ = ["KINDS", "Part", "VectorClassifier", "sharpened", "sharpness_of"]

# What to try for each answer to "with": a kind of machine and its C.
KINDS: dict[str, tuple[tuple[str, float], ...]] = {
    "logistic": (("logistic", 0.01), ("logistic", 0.1), ("logistic", 1.0)),
    "svm": (("linear", 0.003), ("linear", 0.03), ("rbf", 1.0), ("rbf", 10.0)),
}
KINDS["auto"] = (*KINDS["logistic"], *KINDS["svm"])
FUSION_NATS = 0.2  # a machine whose log loss is so much above that of the best one counts 1 / e of it
LEAST_WEIGHT = 0.05  # a machine that would count less is left out
JOIN = "+"  # between the names of views that are joined into one vector
SHARPNESSES = np.exp(np.linspace(-4.0, 4.0, 81))

Views = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Part:
    """One machine of a classifier: the view it hears, how it was fitted, what its probabilities count."""

    view: str
    kind: str
    c: float
    sharpness: float
    weight: float
    machine: Machine

    def probabilities(self, views: Views) -> np.ndarray:
        return softmax(self.sharpness * machine_scores(self.machine, _vectors_of(views, self.view)))


class VectorClassifier:
    """Choose, calibrate and fuse classifiers of vectors.

    Parameters
    ----------
    kind : {"auto", "logistic", "svm"}
        What may be chosen: logistic regression, support vector machines (linear or RBF), or either.
    n_folds : int
        Folds of the cross-validation, by group, that chooses.
    seed : int
        Of those folds.

    Attributes
    ----------
    classes_ : tuple of str
        Sorted; the columns of the probabilities.
    parts_ : list of Part
        The machines, those that count most first; their weights sum to 1.
    sharpness_ : float
        The probabilities' last power: above 1 the fused ones were too timid, below 1 too bold.
    held_out_ : ndarray
        float64 ``(n, n_classes)``, what the chosen parts say of each training sound when its group is held out.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> vectors = np.concatenate([rng.normal(-2, 1, (9, 3)), rng.normal(2, 1, (9, 3))])
    >>> model = VectorClassifier(kind="logistic").fit({"descriptors": vectors}, ["low"] * 9 + ["high"] * 9)
    >>> model.predict({"descriptors": np.array([[-2.0, -2.0, -2.0]])})
    ['low']
    """

    classes_: tuple[str, ...]
    parts_: list[Part]
    sharpness_: float
    held_out_: np.ndarray

    def __init__(self, *, kind: str = "auto", n_folds: int = 5, seed: int = 0) -> None:
        self.kind = kind
        self.n_folds = n_folds
        self.seed = seed

    def fit(self, views: Views, labels: Sequence[str], groups: Sequence[Any] | None = None) -> VectorClassifier:
        """Choose the machines and fit them.

        Parameters
        ----------
        views : mapping of str to ndarray
            float ``(n, dim)`` each, rows in one order.
        labels, groups : sequence (n,)
            Without groups every sound is one of its own.

        Raises
        ------
        InputError
            No view, rows that do not match, numbers that are not finite, or labels that cannot be learnt.
        """
        if self.kind not in KINDS:
            raise InputError(f"expected a classifier out of {', '.join(KINDS)}, got {self.kind!r}")
        check_classes(list(labels))
        _check_views(views, len(labels))
        self.classes_ = tuple(sorted(set(labels)))
        truth = np.array([self.classes_.index(label) for label in labels])
        folds = inner_folds(labels, groups if groups is not None else range(len(truth)), self.n_folds, self.seed)
        names = [*views, JOIN.join(views)] if len(views) > 1 else list(views)
        chosen = [_best_of_view(name, _vectors_of(views, name), truth, folds, _grid(self.kind, name)) for name in names]
        weights = _fused([held_out for _, held_out in chosen], truth)
        fitted = [
            _fitted(part, weight, views, truth) for (part, _), weight in zip(chosen, weights, strict=True) if weight
        ]
        self.parts_ = sorted(fitted, key=lambda part: -part.weight)
        fused = sum(weight * held_out for (_, held_out), weight in zip(chosen, weights, strict=True))
        self.sharpness_ = sharpness_of(np.log(np.maximum(fused, 1e-12)), truth)
        self.held_out_ = sharpened(np.asarray(fused), self.sharpness_)
        return self

    def predict_proba(self, views: Views) -> np.ndarray:
        """Calibrated probabilities, float64 ``(n, n_classes)``, of vectors in the views of the parts."""
        fused = sum(part.weight * part.probabilities(views) for part in self.parts_)
        return sharpened(np.asarray(fused), self.sharpness_)

    def predict(self, views: Views) -> list[str]:
        """The likeliest label of every row."""
        return [self.classes_[k] for k in self.predict_proba(views).argmax(axis=1)]

    @property
    def views_(self) -> tuple[str, ...]:
        """The views that are heard, each once."""
        return tuple(dict.fromkeys(name for part in self.parts_ for name in part.view.split(JOIN)))

    def as_saved(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Arrays and plain values for `volna.tasks.saved`; `from_saved` makes an equal classifier of them."""
        arrays = {f"{k}/{name}": a for k, part in enumerate(self.parts_) for name, a in part.machine.items()}
        parts = [
            {"view": p.view, "kind": p.kind, "c": p.c, "sharpness": p.sharpness, "weight": p.weight}
            for p in self.parts_
        ]
        return arrays, {"classes": list(self.classes_), "parts": parts, "sharpness": self.sharpness_}

    @classmethod
    def from_saved(cls, arrays: Mapping[str, np.ndarray], settings: Mapping[str, Any]) -> VectorClassifier:
        """The classifier that `as_saved` wrote down; other arrays are left alone."""
        model = cls()
        model.classes_ = tuple(settings["classes"])
        model.sharpness_ = float(settings["sharpness"])
        model.parts_ = [
            Part(**about, machine={n.split("/", 1)[1]: a for n, a in arrays.items() if n.startswith(f"{k}/")})
            for k, about in enumerate(settings["parts"])
        ]
        return model


def sharpness_of(scores: np.ndarray, truth: np.ndarray) -> float:
    """The power of probabilities (inverse temperature) with the lowest log loss: Platt scaling for several classes.

    Guo et al. (2017), "On calibration of modern neural networks". `scores` must be of sounds held out of the training.

    Examples
    --------
    >>> sharpness_of(np.array([[9.0, 0.0], [9.0, 0.0]]), np.array([0, 1])) < 0.1
    True
    """
    losses = [log_loss(truth, softmax(scores * value)) for value in SHARPNESSES]
    return float(SHARPNESSES[int(np.argmin(losses))])


def sharpened(probabilities: np.ndarray, sharpness: float) -> np.ndarray:
    """Probabilities raised to a power and made to sum to 1 again.

    Examples
    --------
    >>> sharpened(np.array([[0.2, 0.8]]), 2.0).round(3).tolist()
    [[0.059, 0.941]]
    """
    return softmax(sharpness * np.log(np.maximum(probabilities, 1e-12)))


def _check_views(views: Views, n: int) -> None:
    if not views:
        raise InputError("expected vectors in at least one view, got none")
    for name, vectors in views.items():
        if vectors.ndim != 2 or len(vectors) != n:
            raise InputError(f"{name}: expected {n} vectors, got an array of shape {vectors.shape}")
        if not np.isfinite(vectors).all():
            raise InputError(f"{name}: expected finite numbers, got NaN or infinity")


def _best_of_view(
    view: str,
    vectors: np.ndarray,
    truth: np.ndarray,
    folds: Sequence[tuple[np.ndarray, np.ndarray]],
    grid: Sequence[tuple[str, float]],
) -> tuple[Part, np.ndarray]:
    """The machine of the lowest log loss, and its probabilities of every sound with its group held out."""
    found = []
    for kind, c in grid:
        scores = np.concatenate(list(_held_out_scores(kind, vectors, truth, folds, c)))
        order = np.concatenate([test for _, test in folds])
        scores = scores[np.argsort(order)]
        sharpness = sharpness_of(scores, truth)
        held_out = softmax(sharpness * scores)
        found.append((log_loss(truth, held_out), Part(view, kind, c, sharpness, 0.0, {}), held_out))
    _, part, held_out = min(found, key=lambda each: each[0])
    return part, held_out


def _held_out_scores(
    kind: str, vectors: np.ndarray, truth: np.ndarray, folds: Sequence[tuple[np.ndarray, np.ndarray]], c: float
) -> Iterator[np.ndarray]:
    n_classes = int(truth.max()) + 1
    for train, test in folds:
        if len(np.unique(truth[train])) < 2:  # nothing to tell apart: the only class is the answer
            scores = np.full((len(test), n_classes), -1.0)
            scores[:, truth[train]] = 1.0
            yield scores
        else:
            yield machine_scores(fit_machine(kind, vectors[train], truth[train], n_classes, c), vectors[test])


def _grid(kind: str, view: str) -> tuple[tuple[str, float], ...]:
    """What to try: on joined views, long as they are, support vector machines where there is a choice."""
    return KINDS["svm" if kind == "auto" and JOIN in view else kind]


def _fused(held_out: Sequence[np.ndarray], truth: np.ndarray) -> list[float]:
    """Weights that sum to 1, by the log loss on sounds held out."""
    losses = np.array([log_loss(truth, each) for each in held_out])
    weights = np.exp(-(losses - losses.min()) / FUSION_NATS)
    weights = np.where(weights / weights.sum() < LEAST_WEIGHT, 0.0, weights)
    return [float(weight) for weight in weights / weights.sum()]


def _fitted(part: Part, weight: float, views: Views, truth: np.ndarray) -> Part:
    machine = fit_machine(part.kind, _vectors_of(views, part.view), truth, int(truth.max()) + 1, part.c)
    return replace(part, weight=weight, machine=machine)


def _vectors_of(views: Views, name: str) -> np.ndarray:
    """The vectors of a view, or of several, side by side."""
    names = name.split(JOIN)
    return np.hstack([views[each] for each in names]) if len(names) > 1 else views[name]
