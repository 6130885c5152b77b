"""How good a set of vectors is: the protocol of every table in ``docs/embedding.md``.

Genre: queries and collection are the clips of ``genres``. Mood: queries and collection are ``genres`` and ``moods``.
Hits of the query's own artist are taken out. Standardisation uses the whole library (both sets), never a label.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from volna import metrics as m


@dataclass
class Library:
    """Rows of the two music sets, genres first."""

    genre: np.ndarray
    quadrant: np.ndarray
    artist: np.ndarray
    n_genres: int


def load_rows(work: Path, name: str) -> list[dict[str, str]]:
    """Rows that ``prepare.py`` wrote."""
    return json.loads((work / f"{name}.json").read_text())["rows"]


def load_mels(work: Path, name: str, kind: str = "low") -> list[np.ndarray]:
    """Log-mels of a set, float32 ``(n_mels, T)`` each."""
    with np.load(work / f"{name}.npz") as file:
        return [file[f"{kind}_{i}"].astype(np.float32) for i in range(len(load_rows(work, name)))]


def load_library(work: Path) -> Library:
    """Labels of ``genres`` and ``moods`` together."""
    genres, moods = load_rows(work, "genres"), load_rows(work, "moods")
    rows = genres + moods
    return Library(
        np.array([r["label"] for r in genres] + [""] * len(moods)),
        np.array([r["quadrant"] for r in rows]),
        m.group_codes([r["group"] for r in rows]),
        len(genres),
    )


def standardise(x: np.ndarray, robust: bool = True, clip: float | None = None) -> np.ndarray:
    """Every column to centre 0 and spread 1."""
    if robust:
        centre = np.median(x, 0)
        low, high = np.percentile(x, [16, 84], axis=0)
        spread = (high - low) / 2
        spread = np.maximum(spread, 0.25 * x.std(0))
    else:
        centre, spread = x.mean(0), x.std(0)
    z = (x - centre) / np.maximum(spread, 1e-9)
    return np.clip(z, -clip, clip) if clip else z


def unit(z: np.ndarray) -> np.ndarray:
    """Rows to length 1."""
    return z / np.maximum(np.linalg.norm(z, axis=1, keepdims=True), 1e-12)


def block(x: np.ndarray, robust: bool = True, clip: float | None = 4.0) -> np.ndarray:
    """Standardised and unit: what is joined."""
    return unit(standardise(x, robust, clip))


def join(blocks: dict[str, np.ndarray], weights: dict[str, float]) -> np.ndarray:
    """Unit blocks side by side, each times its weight: a mean of the blocks' cosines, weights squared."""
    return unit(np.concatenate([w * blocks[name] for name, w in weights.items() if w], axis=1))


def ranking_scores(sim: np.ndarray, labels: np.ndarray, artist: np.ndarray) -> dict[str, np.ndarray]:
    """Scores of every query without its artist: ``p5``, ``p10``, ``ap``; and the 10-occurrence ``n10`` among all."""
    others = artist[:, None] != artist[None, :]
    order = np.argsort(np.where(others, -sim, np.inf), axis=1, kind="stable")
    relevant = np.take_along_axis((labels[:, None] == labels[None, :]) & others, order, axis=1)
    precision = np.cumsum(relevant, axis=1) / np.arange(1, len(sim) + 1)
    n_relevant = relevant.sum(1)
    ap = np.where(n_relevant > 0, (precision * relevant).sum(1) / np.maximum(n_relevant, 1), np.nan)
    itself = np.eye(len(sim), dtype=bool)
    top = np.argsort(np.where(itself, np.inf, -sim), axis=1, kind="stable")[:, :10]
    n10 = np.bincount(top.ravel(), minlength=len(sim))
    return {"p5": precision[:, 4], "p10": precision[:, 9], "ap": ap, "n10": n10}


def evaluate_similarity(sim: np.ndarray, lib: Library) -> dict[str, np.ndarray]:
    """Scores of every query for genre (``g_``) and mood (``m_``) from a similarity of all clips to all clips."""
    n = lib.n_genres
    genre = ranking_scores(sim[:n, :n], lib.genre[:n], lib.artist[:n])
    mood = ranking_scores(sim, lib.quadrant, lib.artist)
    return {f"g_{k}": v for k, v in genre.items()} | {f"m_{k}": v for k, v in mood.items()}


def evaluate(vectors: np.ndarray, lib: Library) -> dict[str, np.ndarray]:
    """Scores of unit vectors under the cosine."""
    return evaluate_similarity(vectors @ vectors.T, lib)


def summary(scores: dict[str, np.ndarray]) -> dict[str, float]:
    """The columns of the tables."""
    out = {name: float(np.nanmean(scores[name])) for name in ("g_p5", "g_p10", "g_ap", "m_p10", "m_ap")}
    out["hub"] = m.hubness(scores["m_n10"])
    out["never"] = m.never_recommended(scores["m_n10"])
    return out


def line(name: str, scores: dict[str, np.ndarray]) -> str:
    """One row of a table."""
    s = summary(scores)
    columns = " ".join(f"{k} {v:.3f}" for k, v in s.items())
    return f"{name:38s} {columns}"


def cross_fit(
    table: np.ndarray, groups: np.ndarray, n_splits: int = 20, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Choose among candidates on half of the artists, score on the other half, both ways, many times.

    Parameters
    ----------
    table : ndarray
        ``(n_candidates, n_queries)`` of a score.
    groups : ndarray
        Artist of every query.

    Returns
    -------
    out_of_fold : ndarray
        ``(n_queries,)``, mean over the splits of the score of the candidate chosen without that query.
    chosen : ndarray
        ``(n_candidates,)``, how often each was chosen.
    """
    rng = np.random.default_rng(seed)
    names = np.unique(groups)
    total, chosen = np.zeros(table.shape[1]), np.zeros(len(table), int)
    for _ in range(n_splits):
        half = np.isin(groups, rng.permutation(names)[: len(names) // 2])
        for fit, held in ((half, ~half), (~half, half)):
            best = int(np.nanmean(table[:, fit], axis=1).argmax())
            chosen[best] += 1
            total[held] += table[best, held]
    return total / n_splits, chosen


def paired(first: np.ndarray, second: np.ndarray, groups: np.ndarray, n: int = 2000) -> tuple[float, float, float]:
    """Mean of ``first - second`` over queries with its 95 % interval, whole artists drawn with replacement."""
    difference = np.asarray(first - second, float)
    _, codes = np.unique(groups, return_inverse=True)
    sums = np.bincount(codes, np.nan_to_num(difference))
    counts = np.bincount(codes, np.isfinite(difference).astype(float))
    draws = np.random.default_rng(0).integers(0, len(sums), (n, len(sums)))
    means = sums[draws].sum(1) / counts[draws].sum(1)
    low, high = np.percentile(means, [2.5, 97.5])
    return float(np.nanmean(difference)), float(low), float(high)
