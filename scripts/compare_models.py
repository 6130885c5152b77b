"""Compare the family of autoencoders on one folder: ``python scripts/compare_models.py [FOLDER] [--steps 100]``.

Every model of ``MODELS`` is trained on the same tracks, for the same steps, from the same seed, at the same size of
latent; without a folder, on clips synthesised on the spot. Held out are whole artists. Printed for each:

left over
    reconstruction error on held-out tracks, clean and whole, as a share of the error of predicting the mean spectrum
over PCA
    the same error over that of principal components at the same latent size: below 1 it beats the linear autoencoder
P@10
    share of a track's ten nearest (cosine of vectors) that lie in its folder, its own artist taken out
size, CPU time
    of the checkpoint, and of training it

The row ``conv, contrast`` is trained as `volna index` does, but shorter and with hard targets: masked input, and the
contrast of two places of a track beside the reconstruction. All others reconstruct only, each with the
corruption or the losses that it is named for.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np

from volna import metrics
from volna.audio.formats import AUDIO_EXTENSIONS
from volna.embedding import hear
from volna.errors import VolnaError
from volna.features.recipe import ANALYSIS
from volna.models import MODELS
from volna.models.checkpoint import Checkpoint, from_bytes
from volna.synthesis import write_collection
from volna.training.dataset import MelCache
from volna.training.loop import TrainConfig, train

CONTRAST = "conv, contrast"
PLAIN = {"mask_bands": 0, "mask_frames": 0, "contrast_weight": 0.0}


def listen_to(folder: Path, cache: MelCache) -> dict[str, tuple[str, str]]:
    """Fill the cache; label (folder) and artist of every track by the hash of its audio."""
    heard: dict[str, tuple[str, str]] = {}
    for path in sorted(path for path in folder.rglob("*") if path.suffix.lower() in AUDIO_EXTENSIONS):
        try:
            track = hear(path)
        except VolnaError as error:
            print(f"{path}: {error}", file=sys.stderr)
            continue
        cache.put(track.audio_hash, track.log_mels)
        heard[track.audio_hash] = (path.parent.name, track.metadata.get("artist", ""))
    return heard


def precision_at_10(checkpoint: Checkpoint, cache: MelCache, heard: dict[str, tuple[str, str]]) -> float:
    """P@10 by label over all tracks, tracks of the query's artist taken out."""
    vectors = np.stack([checkpoint.embed(cache.get(key) or []) for key in heard])
    vectors -= vectors.mean(axis=0)
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    labels = np.array([label for label, _ in heard.values()])
    artists = metrics.group_codes([artist for _, artist in heard.values()])
    ranking = metrics.rank_excluding(vectors @ vectors.T, artists, artists)
    relevant = metrics.relevance(ranking, labels, labels)
    return float(np.nanmean(metrics.precision_at_k(relevant, ranking, 10)))


def compare(name: str, cache: MelCache, heard: dict[str, tuple[str, str]], options: argparse.Namespace) -> str:
    """One row of the table."""
    settings = {} if name == CONTRAST else {"model": name, **PLAIN}
    config = TrainConfig(
        **settings,
        model_config={"latent": options.latent},
        batch_size=options.batch,
        max_steps=options.steps,
        time_budget_s=None,
        seed=options.seed,
        n_threads=1,
    )
    groups = {key: artist for key, (_, artist) in heard.items() if artist}
    started = time.process_time()
    result = train(cache.folder, config, mel_config=asdict(ANALYSIS), groups=groups)
    seconds = time.process_time() - started
    summary = result.summary
    left_over = summary["val_loss"] / summary["val_loss_mean_spectrum"]
    over_pca = summary["val_loss"] / summary["val_loss_pca"]
    precision = precision_at_10(from_bytes(result.checkpoint), cache, heard)
    size = len(result.checkpoint) / 1e6
    return f"| {name} | {left_over:.3f} | {over_pca:.2f} | {precision:.3f} | {size:.1f} MB | {seconds:.0f} s |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, help="sounds in a folder a label; synthetic clips by default")
    parser.add_argument("--clips", type=int, default=240, help="how many to synthesise without a folder")
    parser.add_argument("--models", nargs="+", default=[*MODELS, CONTRAST], choices=[*MODELS, CONTRAST])
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--batch", type=int, default=16, help="tracks a step, two windows of each")
    parser.add_argument("--latent", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary) / "music"
        if options.folder is None:
            write_collection(folder, options.clips)
        cache = MelCache(Path(temporary) / "cache")
        heard = listen_to(folder, cache)
        print(f"{len(heard)} tracks, {options.steps} steps of {2 * options.batch} windows, latent {options.latent}\n")
        print("| model | left over | over PCA | P@10 | size | CPU time |\n|---|---|---|---|---|---|")
        for name in options.models:
            print(compare(name, cache, heard, options), flush=True)


if __name__ == "__main__":
    main()
