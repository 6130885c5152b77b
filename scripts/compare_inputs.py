"""The four inputs of the textbook on one task: ``python scripts/compare_inputs.py FOLDER [--steps 300] [--seeds 3]``.

FOLDER has a folder of sounds per label. For each input (log-mel, linear spectrum in dB, MFCC, raw wave) an autoencoder
is trained on all sounds without their labels, reconstruction only, for the same steps; then, by folds of whole groups
(``--group-from REGEX``, else every file is one), the nearest neighbour and a linear probe of the labels on its vectors.
Without a folder: the demo's synthetic clips by style.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold
from sklearn.neighbors import KNeighborsClassifier

from volna.audio.decode import open_audio
from volna.features.inputs import INPUTS, as_input
from volna.features.recipe import ANALYSIS
from volna.models.checkpoint import from_bytes
from volna.synthesis import write_collection
from volna.training.dataset import MelCache
from volna.training.loop import TrainConfig, train
from volna.workflows.labelled import LabelledFiles, read_labelled

PLAIN = {"mask_bands": 0, "mask_frames": 0, "contrast_weight": 0.0, "gain": 0.0}


def listen(files: LabelledFiles) -> dict[str, list[np.ndarray]]:
    """The windows of every file, at the rate of the analysis; what cannot be heard is left out and named."""
    heard = {}
    for path in files.paths:
        try:
            with open_audio(path) as audio:
                heard[path] = audio.decode(audio.read_segment(), ANALYSIS.sample_rate)
        except Exception as error:  # a script: say it and go on
            print(f"{path}: {error}")
    return heard


def vectors_of(
    name: str, heard: dict[str, list[np.ndarray]], steps: int, seed: int
) -> tuple[np.ndarray, float, float, float]:
    """Vectors of all files, held-out error as a share of the mean's, the same of PCA, and seconds of training."""
    with tempfile.TemporaryDirectory() as folder:
        cache = MelCache(Path(folder) / "cache")
        keys = [f"{k:032x}" for k in range(len(heard))]
        for key, windows in zip(keys, heard.values(), strict=True):
            cache.put(key, [as_input(window, name) for window in windows])
        model = "wave" if name == "wave" else "conv"
        config = TrainConfig(model=model, input=name, max_steps=steps, time_budget_s=None, seed=seed, **PLAIN)
        started = time.process_time()
        result = train(cache.folder, config)
        seconds = time.process_time() - started
        checkpoint = from_bytes(result.checkpoint)
        vectors = np.stack([checkpoint.embed(cache.get(key) or []) for key in keys])
    mean = result.summary["val_loss_mean_spectrum"]
    return vectors, result.summary["val_loss"] / mean, result.summary["val_loss_pca"] / mean, seconds


def scores_of(vectors: np.ndarray, labels: np.ndarray, groups: np.ndarray) -> tuple[float, float]:
    """Accuracy by fold of the five nearest neighbours and of logistic regression.

    All columns are divided by one spread: each by its own would whiten the principal directions of the reading.
    """
    centred = (vectors - vectors.mean(axis=0)) / vectors.std()
    folds = list(GroupKFold(min(5, len(set(groups)))).split(centred, labels, groups))
    near, probe = KNeighborsClassifier(5, metric="cosine"), LogisticRegression(max_iter=2000)
    scores = [[m.fit(centred[a], labels[a]).score(centred[b], labels[b]) for a, b in folds] for m in (near, probe)]
    return float(np.mean(scores[0])), float(np.mean(scores[1]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--group-from", help="regular expression that finds the group in a path")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--inputs", nargs="+", default=list(INPUTS), choices=INPUTS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        if options.folder is None:
            write_collection(Path(made), 120)
        files = read_labelled(options.folder or made, group_from=options.group_from)
        heard = listen(files)
    files = files.only(list(heard))
    labels, groups = np.array(files.labels), np.array(files.groups)
    chance = max(float(np.mean(labels == label)) for label in set(labels))
    print(f"{len(labels)} sounds, {len(files.classes)} labels, chance {chance:.2f}")
    print("| input | left over | PCA's | 5 nearest | linear probe | CPU time |\n|---|---|---|---|---|---|")
    for name in options.inputs:
        rows = []
        for seed in range(options.seeds):
            vectors, left, pca, seconds = vectors_of(name, heard, options.steps, seed)
            rows.append((left, pca, *scores_of(vectors, labels, groups), seconds))
        mean, spread = np.mean(rows, axis=0), np.std(rows, axis=0)
        near, probe = (f"{mean[k]:.3f} ({spread[k]:.3f})" for k in (2, 3))
        print(f"| {name} | {mean[0]:.2f} | {mean[1]:.2f} | {near} | {probe} | {mean[4]:.0f} s |", flush=True)


if __name__ == "__main__":
    main()
