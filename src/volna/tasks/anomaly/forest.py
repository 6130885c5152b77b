"""Isolation forest: what a few random cuts set apart from the rest is abnormal.

Liu, Ting and Zhou (2008), "Isolation forest". scikit-learn grows the trees; what is kept of them are plain arrays, and
the lengths of the paths are read from these here, so a saved forest needs neither pickle nor scikit-learn.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

__all__ = ["fit_forest", "forest_score"]

N_TREES = 100
MOST_SAMPLES = 256  # of a tree; the paper's choice
EULER = 0.5772156649015329

Arrays = dict[str, np.ndarray]


def fit_forest(rows: np.ndarray, seed: int = 0) -> Arrays:
    """Grow a forest.

    Parameters
    ----------
    rows : ndarray
        Standardised, float32 ``(n, dim)``.

    Returns
    -------
    dict of ndarray
        ``feature``, ``threshold``, ``left``, ``right`` and ``length`` ``(n_nodes,)`` of all trees, one after another:
        below the threshold a path goes left; a leaf leads to itself, and ``length`` is the length of the path that
        ends there. ``roots`` ``(n_trees,)``, ``depth`` and ``norm`` ``(1,)``.

    Examples
    --------
    >>> sorted(fit_forest(np.random.default_rng(0).standard_normal((50, 3))))
    ['depth', 'feature', 'left', 'length', 'norm', 'right', 'roots', 'threshold']
    """
    from sklearn.ensemble import IsolationForest

    n_samples = min(MOST_SAMPLES, len(rows))
    forest = IsolationForest(n_estimators=N_TREES, max_samples=n_samples, random_state=seed)
    forest.fit(rows.astype(np.float32))
    parts: dict[str, list[np.ndarray]] = {name: [] for name in ("feature", "threshold", "left", "right", "length")}
    roots, first, deepest = [], 0, 0
    for grown in forest.estimators_:
        tree = grown.tree_
        here = np.arange(tree.node_count)
        leaf = tree.children_left < 0
        depth = _depths(tree.children_left, tree.children_right)
        parts["feature"].append(np.where(leaf, 0, tree.feature).astype(np.int32))
        parts["threshold"].append(tree.threshold)
        parts["left"].append((first + np.where(leaf, here, tree.children_left)).astype(np.int32))
        parts["right"].append((first + np.where(leaf, here, tree.children_right)).astype(np.int32))
        parts["length"].append(np.where(leaf, depth + _mean_path(tree.n_node_samples), 0.0))
        roots.append(first)
        first, deepest = first + tree.node_count, max(deepest, int(depth.max()))
    arrays = {name: np.concatenate(values) for name, values in parts.items()}
    norm = float(_mean_path(np.array([n_samples]))[0])
    return arrays | {"roots": np.array(roots, np.int32), "depth": np.array([deepest]), "norm": np.array([norm])}


def forest_score(forest: Mapping[str, np.ndarray], rows: np.ndarray) -> np.ndarray:
    """How soon random cuts isolate each row: float64 ``(n,)`` in (0, 1), about 0.5 for a row like the others.

    ``2^(-mean path / c(n_samples))``, the anomaly score of the paper (scikit-learn's ``-score_samples``).

    Examples
    --------
    >>> rows = np.random.default_rng(0).standard_normal((100, 2))
    >>> scores = forest_score(fit_forest(rows), np.array([[0.0, 0.0], [9.0, 9.0]]))
    >>> bool(scores[1] > scores[0])
    True
    """
    values = np.asarray(rows, np.float32)
    node = np.broadcast_to(forest["roots"], (len(values), len(forest["roots"]))).copy()  # (n, n_trees)
    every = np.arange(len(values))[:, None]
    for _ in range(int(forest["depth"][0])):
        goes_left = values[every, forest["feature"][node]] <= forest["threshold"][node]
        node = np.where(goes_left, forest["left"][node], forest["right"][node])
    return np.asarray(2.0 ** (-forest["length"][node].mean(axis=1) / max(float(forest["norm"][0]), 1e-9)))


def _depths(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Cuts from the root to every node; children always come after their parent."""
    depth = np.zeros(len(left))
    for node in np.flatnonzero(left >= 0):
        depth[left[node]] = depth[right[node]] = depth[node] + 1
    return depth


def _mean_path(n: np.ndarray) -> np.ndarray:
    """Mean path of an unsuccessful search among n rows, ``2 H(n - 1) - 2 (n - 1) / n`` (eq. 1 of the paper)."""
    n = np.asarray(n, np.float64)
    many = 2.0 * (np.log(np.maximum(n - 1.0, 1.0)) + EULER) - 2.0 * (n - 1.0) / np.maximum(n, 1.0)
    return np.where(n > 2, many, np.where(n == 2, 1.0, 0.0))
