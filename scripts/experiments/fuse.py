"""Join the autoencoder with the descriptors, correct hubs, and print the tables of ``docs/embedding.md``.

    python scripts/experiments/fuse.py --work /tmp/volna_experiments --runs kept

Needs ``prepare.py``, ``describe.py --copies`` and ``train_variants.py --full`` to have run. Every number of a learned
row is the mean over the seeds found; every interval is a paired bootstrap over artists of the scores of each query,
averaged over seeds first.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from hand_made import compute
from scipy.stats import norm
from score import (
    Library,
    block,
    cross_fit,
    evaluate,
    evaluate_similarity,
    join,
    line,
    load_library,
    load_mels,
    load_rows,
    paired,
    standardise,
    unit,
)
from sklearn.linear_model import LogisticRegression
from train_variants import COPIES

from volna import metrics
from volna.features.recipe import DESCRIPTOR_WEIGHTS, GROUPS

SETS = ("genres", "moods")
FLOOR_DB = 55.0
PCA_FRAMES, PCA_SIZE = 16, 64
WEIGHT = 0.6  # of the autoencoder beside the descriptors
HUB_CORRECTIONS = ("none", "half mutual proximity", "mutual proximity", "csls 0.3", "csls 0.5", "local scaling")

Scores = dict[str, np.ndarray]


def mean_scores(runs: list[Scores]) -> Scores:
    """Scores of every query, averaged over seeds."""
    return {key: np.mean([run[key] for run in runs], axis=0) for key in runs[0]}


def difference(first: Scores, second: Scores, lib: Library) -> str:
    """Genre P@10 and MAP and mood P@10 with their paired intervals."""
    told = []
    for key in ("g_p10", "g_ap", "m_p10"):
        artist = lib.artist[: lib.n_genres] if key[0] == "g" else lib.artist
        told.append("{} {:+.3f} [{:+.3f}, {:+.3f}]".format(key, *paired(first[key], second[key], artist)))
    return "; ".join(told)


def neighbours_of(similarity: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and spread of each row without its diagonal."""
    n = len(similarity)
    others = similarity[~np.eye(n, dtype=bool)].reshape(n, n - 1)
    return others.mean(1), others.std(1)


def corrected(similarity: np.ndarray, kind: str, k: int = 10) -> np.ndarray:
    """Similarities with their hubs held back."""
    mean, spread = neighbours_of(similarity)
    if kind.endswith("mutual proximity"):
        z = (similarity - mean[:, None]) / spread[:, None], (similarity - mean) / spread
        return norm.logcdf(z[0]) + (0.5 if kind.startswith("half") else 1.0) * norm.logcdf(z[1])
    top = np.sort(np.where(np.eye(len(similarity), dtype=bool), -np.inf, similarity), 1)[:, -k:]
    if kind.startswith("csls"):  # what a track's own crowding takes from all of its list alike is left out
        return similarity - float(kind.split()[1]) * top.mean(1)
    if kind == "local scaling":
        distance = np.sqrt(np.maximum(2 - 2 * similarity, 0))
        near = np.sqrt(np.maximum(2 - 2 * top, 0)).mean(1)
        return -distance / np.sqrt(near[:, None] * near)
    return similarity


def descriptors(work: Path, sets: tuple[str, ...] = SETS, key: str = "values") -> np.ndarray:
    """Raw descriptors of some sets, or of their copies."""
    return np.concatenate([np.load(work / f"descriptors_{name}.npz")[key] for name in sets])


def without(group: str) -> np.ndarray:
    """The package's weights with one group at zero."""
    names = [name for members in GROUPS.values() for name in members]
    return np.where(np.isin(names, GROUPS[group]), 0.0, DESCRIPTOR_WEIGHTS)


def patch_pca(work: Path) -> np.ndarray:
    """The linear baseline: mean and spread of 64 principal components of patches of 16 frames."""
    mels = [np.maximum(m, m.max() - FLOOR_DB) for name in SETS for m in load_mels(work, name)]
    patches = []
    for mel in mels:
        whole = mel[:, : mel.shape[1] // PCA_FRAMES * PCA_FRAMES] - mel.mean()
        patches.append(whole.reshape(len(mel), -1, PCA_FRAMES).transpose(1, 0, 2).reshape(-1, len(mel) * PCA_FRAMES))
    some = np.concatenate([p[::2] for p in patches])
    _, vectors = np.linalg.eigh(np.cov((some - some.mean(0)).T))
    latents = [(p - some.mean(0)) @ vectors[:, -PCA_SIZE:] for p in patches]
    return np.stack([np.concatenate([z.mean(0), z.std(0)]) for z in latents])


def rotated(x: np.ndarray, size: int = 64) -> np.ndarray:
    """Standardised, turned onto its principal axes, cut, and not rescaled: unit vectors."""
    z = standardise(x, clip=4.0)
    z = z - z.mean(0)
    return unit(z @ np.linalg.svd(z, full_matrices=False)[2][:size].T)


def instruments(vectors: np.ndarray, work: Path) -> str:
    """P@1 and P@10 among the single notes."""
    labels = np.array([row["label"] for row in load_rows(work, "instruments")])
    similarity = vectors @ vectors.T
    np.fill_diagonal(similarity, -np.inf)
    hits = labels[np.argsort(-similarity, 1)[:, :10]] == labels[:, None]
    return f"instruments P@1 {hits[:, 0].mean():.3f} P@10 {hits.mean():.3f}"


def esc10(vectors: np.ndarray, features: np.ndarray, work: Path) -> str:
    """Nearest neighbour and logistic regression, each fold against the others."""
    rows = load_rows(work, "esc10")
    labels, folds = (np.array([row[key] for row in rows]) for key in ("label", "group"))
    near, probe = [], []
    for fold in np.unique(folds):
        held = folds == fold
        near.append(labels[~held][np.argmax(vectors[held] @ vectors[~held].T, 1)] == labels[held])
        model = LogisticRegression(C=0.1, max_iter=1000).fit(features[~held], labels[~held])
        probe.append(model.predict(features[held]) == labels[held])
    return f"ESC-10 nearest {np.concatenate(near).mean():.3f} probe {np.concatenate(probe).mean():.3f}"


def like(x: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Standardise by the library's statistics."""
    both = np.concatenate([reference, x])
    centre = np.median(reference, 0)
    low, high = np.percentile(reference, [16, 84], axis=0)
    spread = np.maximum(np.maximum((high - low) / 2, 0.25 * reference.std(0)), 1e-9)
    return np.clip((both - centre) / spread, -4, 4)[len(reference) :]


def identity(library: np.ndarray, copies: np.ndarray) -> float:
    """Share of copies whose nearest clip of the library is their original."""
    return float(np.mean(np.argmax(copies @ library.T, 1) == np.arange(len(copies))))


class Run:
    """What one training left: blocks of the clips, the copies, the notes and ESC-10."""

    def __init__(self, path: Path, layer: str) -> None:
        with np.load(path) as file:
            self.values = {key: file[key] for key in file.files}
        self.layer = layer

    def raw(self, prefix: str = "") -> np.ndarray:
        return self.values[f"{prefix}{self.layer}"]


def table_of_fusion(work: Path, lib: Library, runs: list[Run], weights: list[float]) -> None:
    """Descriptors, autoencoder and both, plain and with hubs corrected."""
    z = standardise(descriptors(work), clip=4.0)
    hand = compute(work)
    rows = {
        "60 MFCC statistics, floor 80 dB": block(hand["mfcc60"]),
        "cepstral modulation alone": block(hand["mfcc_modulation"]),
        "PCA-64 of patches, floor 55 dB": block(patch_pca(work)),
        "descriptors without modulation": unit(z * without("modulation")),
        "descriptors": unit(z * DESCRIPTOR_WEIGHTS),
    }
    scores = {name: evaluate(vectors, lib) for name, vectors in rows.items()}
    for name, found in scores.items():
        print(line(name, found))
    blocks = [block(run.raw()) for run in runs]
    alone = mean_scores([evaluate(b, lib) for b in blocks])
    print(line(f"autoencoder ({len(runs)} seeds)", alone))
    print(line("  the same, 64 numbers", mean_scores([evaluate(rotated(run.raw()), lib) for run in runs])))
    for other in ("60 MFCC statistics, floor 80 dB", "PCA-64 of patches, floor 55 dB"):
        print(f"    against {other}: {difference(alone, scores[other], lib)}")
    for base in ("descriptors without modulation", "descriptors"):
        for weight in weights:
            vectors = [join({"d": rows[base], "a": b}, {"d": 1.0, "a": weight}) for b in blocks]
            both = mean_scores([evaluate(v, lib) for v in vectors])
            print(line(f"{base} + {weight:g} autoencoder", both))
            print(f"    against {base}: {difference(both, scores[base], lib)}")
    print(f"-- hubs: descriptors + {WEIGHT:g} autoencoder")
    vectors = [join({"d": rows["descriptors"], "a": b}, {"d": 1.0, "a": WEIGHT}) for b in blocks]
    first = scores["60 MFCC statistics, floor 80 dB"]
    for kind in HUB_CORRECTIONS:
        found = mean_scores([evaluate_similarity(corrected(v @ v.T, kind), lib) for v in vectors])
        each = [evaluate_similarity(corrected(v @ v.T, kind), lib)["m_n10"] for v in vectors]
        hub, never = np.mean([(metrics.hubness(n), np.mean(n == 0)) for n in each], axis=0)
        print(line(kind, found), f"of each seed: hub {hub:.2f} never {never:.3f}")
        print(f"    against 60 MFCC statistics: {difference(found, first, lib)}")


def table_of_choice(work: Path, lib: Library, runs: list[Run]) -> None:
    """The weight, chosen on one half of the artists and scored on the other."""
    z = unit(standardise(descriptors(work), clip=4.0) * DESCRIPTOR_WEIGHTS)
    weights = np.arange(0.0, 1.01, 0.1)
    table: dict[str, list[np.ndarray]] = {"g_ap": [], "m_p10": []}
    for weight in weights:
        vectors = [join({"d": z, "a": block(run.raw())}, {"d": 1.0, "a": weight}) for run in runs]
        found = mean_scores([evaluate(v, lib) for v in vectors])
        for key, rows in table.items():
            rows.append(found[key])
    for key, rows in table.items():
        artist = lib.artist[: lib.n_genres] if key[0] == "g" else lib.artist
        held, chosen = cross_fit(np.stack(rows), artist)
        told = " ".join(f"{w:.1f}:{c}" for w, c in zip(weights, chosen, strict=True))
        print(f"{key} out of fold {np.nanmean(held):.3f}, without autoencoder {np.nanmean(rows[0]):.3f}; chosen {told}")


def table_of_sounds(work: Path, runs: list[Run]) -> None:
    """Notes and ESC-10, by descriptors, by a model trained on music, and by both."""
    for name, told in (("instruments", instruments), ("esc10", esc10)):
        z = standardise(descriptors(work, (name,)), clip=4.0)
        d = unit(z * DESCRIPTOR_WEIGHTS)
        print("descriptors", told(d, work) if name == "instruments" else told(d, z, work))
        for run in runs:
            h = standardise(run.raw(f"{name}/"), clip=4.0)
            both, a = join({"d": d, "a": unit(h)}, {"d": 1.0, "a": WEIGHT}), unit(h)
            if name == "instruments":
                print("autoencoder", instruments(a, work), "| both", instruments(both, work))
            else:
                print("autoencoder", esc10(a, h, work), "| both", esc10(both, np.concatenate([z, h], 1), work))


def table_of_copies(work: Path, runs: list[Run]) -> None:
    """Whether a changed copy of a clip finds the clip."""
    original = descriptors(work)
    d0 = unit(like(original, original) * DESCRIPTOR_WEIGHTS)
    for change in COPIES:
        d1 = unit(like(descriptors(work, key=change), original) * DESCRIPTOR_WEIGHTS)
        told = [f"{change}: descriptors {identity(d0, d1):.3f}"]
        for run in runs:
            a0, a1 = unit(like(run.raw(), run.raw())), unit(like(run.raw(f"{change}/"), run.raw()))
            both = [join({"d": d, "a": a}, {"d": 1.0, "a": WEIGHT}) for d, a in ((d0, a0), (d1, a1))]
            told.append(f"autoencoder {identity(a0, a1):.3f} both {identity(*both):.3f}")
        print("; ".join(told))


def table_of_pairs(work: Path, runs: list[Run]) -> None:
    """Whether each recording at hand twice finds its other copy among all clips."""
    rows = load_rows(work, "pairs")
    labels = np.array([row["label"] for row in rows] + [""] * len(descriptors(work)))
    original = descriptors(work)
    d = unit(like(np.concatenate([descriptors(work, ("pairs",)), original]), original) * DESCRIPTOR_WEIGHTS)
    told = [f"descriptors {_paired_share(d, labels, len(rows)):.3f}"]
    for run in (run for run in runs if f"pairs/{run.layer}" in run.values):
        a = unit(like(np.concatenate([run.raw("pairs/"), run.raw()]), run.raw()))
        both = join({"d": d, "a": a}, {"d": 1.0, "a": WEIGHT})
        shares = [_paired_share(v, labels, len(rows)) for v in (a, both)]
        told.append("autoencoder {:.3f} both {:.3f}".format(*shares))
    print("; ".join(told))


def _paired_share(vectors: np.ndarray, labels: np.ndarray, n: int) -> float:
    similarity = vectors[:n] @ vectors.T
    np.fill_diagonal(similarity, -np.inf)
    return float(np.mean(labels[np.argmax(similarity, 1)] == labels[:n]))


def overlaps(rows: list[dict[str, str]], column: str) -> np.ndarray:
    """Cosine between the idf-weighted tags of all clips; tags of fewer than three clips are left out."""
    sets = [set(row[column].split("|")) for row in rows]
    flags = np.array([[tag in own for tag in sorted(set().union(*sets))] for own in sets], float)
    flags = flags[:, flags.sum(0) >= 3]
    weighted = unit(flags * np.log(len(flags) / flags.sum(0)))
    return weighted @ weighted.T


def table_of_tags(work: Path, lib: Library, runs: list[Run]) -> None:
    """The second yardstick: how much of the query's tags the first ten share, the query's artist left out."""
    rows = [row for name in SETS for row in load_rows(work, name)]
    d = unit(standardise(descriptors(work), clip=4.0) * DESCRIPTOR_WEIGHTS)
    same = lib.artist[:, None] == lib.artist[None, :]
    for column in ("moods", "genres"):
        shared = overlaps(rows, column)

        def score(vectors: np.ndarray, shared: np.ndarray = shared) -> np.ndarray:
            top = np.argsort(np.where(same, np.inf, -vectors @ vectors.T), 1)[:, :10]
            return np.take_along_axis(shared, top, 1).mean(1)

        alone = score(d)
        both = np.mean([score(join({"d": d, "a": block(run.raw())}, {"d": 1.0, "a": WEIGHT})) for run in runs], 0)
        told = "{:+.4f} [{:+.4f}, {:+.4f}]".format(*paired(both, alone, lib.artist))
        print(f"{column}: descriptors {alone.mean():.4f} both {both.mean():.4f} {told}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("/tmp/volna_experiments"))
    parser.add_argument("--runs", default="kept", help="the variant whose runs are joined")
    parser.add_argument("--layer", default="z_mean", help="which pooling of the runs (z_mean, h_mean, z_std ...)")
    parser.add_argument("--weights", nargs="+", type=float, default=[0.3, 0.5, 0.6, 0.7, 1.0])
    options = parser.parse_args()
    lib = load_library(options.work)
    paths = sorted((options.work / "runs").glob(f"{options.runs}_[0-9].npz"))
    runs = [Run(path, options.layer) for path in paths]
    table_of_fusion(options.work, lib, runs, options.weights)
    print("-- the weight of the autoencoder, by cross-fitting over artists")
    table_of_choice(options.work, lib, runs)
    print("-- tags")
    table_of_tags(options.work, lib, runs)
    full = [run for run in runs if "instruments/z_mean" in run.values]
    print("-- other sounds")
    table_of_sounds(options.work, full)
    print("-- copies")
    table_of_copies(options.work, full)
    print("-- the same recording twice")
    table_of_pairs(options.work, full)


if __name__ == "__main__":
    main()
