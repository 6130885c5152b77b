"""Bits on the disk against what is lost: Volna's codec beside Opus, MP3 and the same mel without networks.

    python benchmarks/codec.py [FOLDER] [--model M] [--kbps 1.5 3] [--every N] [--match REGEX] [-o curve.png]

Without FOLDER the clips of `shared/data` beside the checkout are measured, each set by itself: RAVDESS sentences of
actors 15 and 16, digits of FSDD's last speaker, pop clips of `music/genres`, and whole songs of `music/full_songs`.
The codec that comes with Volna has heard nothing but made sounds; a --model should be trained on other speakers and
songs (`volna codec train`). It is `volna codec evaluate` with two scores more on the sets of speech: PESQ (ITU-T P.862,
wide band at 16 kHz, else narrow) and STOI (Taal et al. 2011), where the packages ``pesq`` and ``pystoi`` are installed.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import math
import re
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from volna.workflows.making.codec_evaluating import KBPS, CodecEvaluation, codec_evaluate

__all__ = ["SETS", "main", "speech_scores", "table"]

DATA = Path(__file__).parents[2] / "shared" / "data"
# Folder, what of it, every how many files, whether it is speech.
SETS = {
    "ravdess": ("sounds/voice_gender_ravdess", r"-1[56]\.\w+$", 2, True),
    "fsdd": ("sounds/words_fsdd", r"_yweweler_\d+\.wav$", 4, True),
    "genres": ("music/genres", r"\.mp3$", 15, False),
    "songs": ("music/full_songs", r"\.(mp3|ogg)$", 1, False),
}


def speech_scores(made: np.ndarray, real: np.ndarray, sample_rate: int) -> dict[str, float]:
    """PESQ and STOI of one pair; NaN where one cannot be told, as of too short a clip."""
    from pesq import PesqError, pesq
    from pystoi import stoi

    wide = sample_rate == 16_000
    scores = {"pesq": math.nan, "stoi": math.nan}
    if sample_rate in (8000, 16_000):
        with contextlib.suppress(PesqError, ValueError):
            scores["pesq"] = float(pesq(sample_rate, real, made, "wb" if wide else "nb"))
    if len(real) > 0.5 * sample_rate:
        scores["stoi"] = float(stoi(real, made, sample_rate))
    return scores


def table(name: str, evaluation: CodecEvaluation) -> list[str]:
    """Lines of a markdown table."""
    scores = list(evaluation.rows[0].scores) if evaluation.rows else []
    lines = [
        f"### {name}: {evaluation.n_files} sounds, {evaluation.duration_s:.0f} s, model {evaluation.model}",
        "",
        f"| codec | asked | kbit/s on disk | {' | '.join(scores)} | encodes | decodes |",
        f"|---|{'---:|' * (4 + len(scores))}",
    ]
    for row in evaluation.rows:
        values = " | ".join(f"{row.scores[score]:.2f}" for score in scores)
        speeds = f"{row.encode_times_real_time:.0f}x | {row.decode_times_real_time:.0f}x"
        lines.append(f"| {row.codec} | {row.rate_kbps:g} | {row.kbps:.2f} | {values} | {speeds} |")
    return lines


def _measured(
    paths: Sequence[Path], name: str, speech: bool, options: argparse.Namespace, picture: Path | None
) -> CodecEvaluation:
    known = importlib.util.find_spec("pesq") and importlib.util.find_spec("pystoi")
    if speech and not known:
        print("PESQ and STOI are left out: pip install pesq pystoi", file=sys.stderr)
    scorer = f"{Path(__file__).stem}:speech_scores" if speech and known else ""
    measured = codec_evaluate(
        list(paths), model=options.model, kbps=options.kbps, output=picture, force=True, jobs=options.jobs,
        scorer=scorer,
    )  # fmt: skip
    for failure in measured.failures[:5]:
        print(f"{name}: {failure.path}: {failure.reason}", file=sys.stderr)
    return measured


def _files(folder: Path, match: str, every: int) -> list[Path]:
    found = sorted(path for path in folder.rglob("*") if path.is_file() and re.search(match, path.name))
    return found[::every]


def main() -> None:
    """Measure the sets and print their tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--model")
    parser.add_argument("--kbps", nargs="+", type=float, default=list(KBPS))
    parser.add_argument("--match", default=r"\.\w+$")
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1, help="1, so that speeds are those of one core")
    parser.add_argument("--music", action="store_true", help="FOLDER holds no speech")
    parser.add_argument("-o", "--output", type=Path, help="a picture (of each set, its name before)")
    options = parser.parse_args()
    if options.folder is not None:
        sets = {options.folder.name: (_files(options.folder, options.match, options.every), not options.music)}
    else:
        chosen = {name: SETS[name] for name in options.sets}
        sets = {
            name: (_files(DATA / folder, match, every * options.every), speech)
            for name, (folder, match, every, speech) in chosen.items()
        }
    for name, (paths, speech) in sets.items():
        if not paths:
            print(f"{name}: no files there, so it is left out", file=sys.stderr)
            continue
        picture = options.output and options.output.with_name(f"{name}-{options.output.name}")
        print("\n".join(table(name, _measured(paths, name, speech, options, picture))), "\n", flush=True)


if __name__ == "__main__":
    main()
