"""Draw the picture of the README: ``python scripts/make_picture.py DEMO_FOLDER [-o docs/map.png]``.

Takes the library that ``volna demo`` left in a folder, lays its tracks out in the plane so that what sounds alike lies
together (t-SNE on the cosines of the fused space), colours them by genre tag, and draws a wave from one of them.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import numpy as np
from matplotlib import pyplot as plt
from sklearn.manifold import TSNE

from volna.workflows import wave
from volna.workflows.common import open_current_index, open_library

# Okabe and Ito's palette: told apart by everybody.
COLOURS = ("#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7", "#555555")


def main() -> None:
    """Read the library, lay it out, draw it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("-o", "--output", type=Path, default=Path("docs/map.png"))
    parser.add_argument("--n", type=int, default=8, help="tracks of the wave")
    arguments = parser.parse_args()
    library = arguments.folder / "library.db"
    with open_library(library) as catalogue:
        index = open_current_index(catalogue)
        space = index.spaces[-1]
        ids = index.ids(space)
        rows = index.rows(space, ids)
        genres = [track.genre or "unknown" for track in catalogue.tracks(ids.tolist())]
    places = TSNE(metric="cosine", perplexity=20, init="pca", random_state=0).fit_transform(rows)
    draw(places, genres, _path(ids, int(ids[0]), library, arguments.n), arguments.output)


def _path(ids: np.ndarray, seed: int, library: Path, n: int) -> list[int]:
    """Where the tracks of a wave lie among the ids, the seed first."""
    playlist = wave([seed], library=library, n=n, artist_gap=2)  # each style has five artists only
    return [int(np.searchsorted(ids, track_id)) for track_id in [seed, *(match.id for match in playlist.results)]]


def draw(places: np.ndarray, genres: list[str], path: list[int], output: Path) -> None:
    """Tracks as dots ``(n, 2)`` coloured by genre, the wave as a line through some of them."""
    figure, axes = plt.subplots(figsize=(8, 4.6), dpi=130)
    for genre, colour in zip(sorted(set(genres)), COLOURS, strict=False):
        chosen = np.array([name == genre for name in genres])
        axes.scatter(*places[chosen].T, s=22, color=colour, label=genre, edgecolors="white", linewidths=0.4)
    axes.plot(*places[path].T, color="black", linewidth=1.1, alpha=0.8, zorder=3)
    axes.scatter(*places[path[0]], s=120, marker="*", color="black", zorder=4, label="seed of the wave")
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=9)
    axes.set_axis_off()
    figure.tight_layout()
    figure.savefig(output)


if __name__ == "__main__":
    main()
