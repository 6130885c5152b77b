"""How well words are told: spoken digits with one speaker left out, seven words of one speaker, strangers, padding.

    python benchmarks/words.py [SOUNDS] [--seeds N] [--only digits fruits strangers padding]

SOUNDS is the folder that holds ``words_fsdd`` and ``words_fruits``; by default ``shared/data/sounds`` beside the
checkout. What is chosen is chosen inside the training part of each fold; the docs tell what was tried by hand.
"""

from __future__ import annotations

import argparse
import csv
import sys
import tempfile
from pathlib import Path

import numpy as np

from volna.audio.decode import decode
from volna.audio.encode import encode
from volna.cli.progress import Progress
from volna.cli.words_commands import evaluation_report
from volna.tasks.scores import auc
from volna.workflows.words import words_predict, words_train
from volna.workflows.words_evaluating import words_evaluate

SOUNDS = Path(__file__).parents[2] / "shared" / "data" / "sounds"
STRANGERS = (("8", "9"), ("0", "4"), ("2", "7"))  # digits that the model never hears
PADDED_DB = (None, -50.0, -35.0, -20.0)  # noise below the word's peak; None: digital silence
Row = tuple[Path, str, str]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sounds", nargs="?", type=Path, default=SOUNDS)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--train-time", type=float, help="seconds for one network")
    parser.add_argument("--only", nargs="+", choices=list(PARTS), default=list(PARTS))
    options = parser.parse_args()
    if not options.sounds.is_dir():
        sys.exit(f"{options.sounds}: no such folder; name the one that holds words_fsdd and words_fruits")
    with tempfile.TemporaryDirectory() as folder:
        for part in options.only:
            print(f"\n# {part}", flush=True)
            PARTS[part](options, Path(folder))


def digits_of(sounds: Path) -> list[Row]:
    """File, digit and speaker of every recording."""
    files = sorted((sounds / "words_fsdd").glob("*_*_*.wav"))
    return [(file, *file.stem.split("_")[:2]) for file in files]  # type: ignore[misc]


def table_of(rows: list[Row], file: Path) -> Path:
    with open(file, "w", newline="") as text:
        csv.writer(text).writerows([("path", "label", "speaker"), *rows])
    return file


def digits(options: argparse.Namespace, folder: Path) -> None:
    table = table_of(digits_of(options.sounds), folder / "digits.csv")
    with Progress() as progress:
        measured = words_evaluate(table, seeds=options.seeds, train_time_s=options.train_time, progress=progress)
    print("\n".join(evaluation_report(measured)), f"\nchosen: {measured.chosen}\n{measured.seconds:.0f} s")


def fruits(options: argparse.Namespace, folder: Path) -> None:
    with Progress() as progress:
        measured = words_evaluate(
            options.sounds / "words_fruits", seeds=1, train_time_s=options.train_time, progress=progress
        )
    print("\n".join([*evaluation_report(measured), *measured.notes]), f"\n{measured.seconds:.0f} s")


def strangers(options: argparse.Namespace, folder: Path) -> None:
    """Eight digits are learnt of three speakers; the fourth says all ten."""
    rows = digits_of(options.sounds)
    refused: dict[str, list[float]] = {"right answers refused": [], "strangers refused": [], "AUC": []}
    for speaker in sorted({speaker for _, _, speaker in rows}):
        for unknown in STRANGERS:
            train = [row for row in rows[::3] if row[2] != speaker and row[1] not in unknown]
            model = folder / "eight.model"
            words_train(table_of(train, folder / "eight.csv"), model, kind="hmm+dtw", force=True)
            truth = {str(file): digit for file, digit, who in rows[::3] if who == speaker}
            said = words_predict(list(truth), model).results
            strange = np.array([truth[each.path] in unknown for each in said])
            right = np.array([truth[each.path] == each.word for each in said])
            none = np.array([each.label != each.word for each in said])
            evidence = np.array([each.evidence for each in said])
            judged = right | strange
            figures = none[right].mean(), none[strange].mean(), auc(~strange[judged], evidence[judged])
            for name, figure in zip(refused, figures, strict=True):
                refused[name].append(float(figure))
    for name, figures in refused.items():
        print(f"{name}: {np.mean(figures):.3f} ({min(figures):.2f} to {max(figures):.2f} over speakers and digits)")


def padding(options: argparse.Namespace, folder: Path) -> None:
    """How many answers change when silence or noise stands around the words."""
    rows, rng = digits_of(options.sounds)[::3], np.random.default_rng(0)
    changed: dict[float | None, list[float]] = {level: [] for level in PADDED_DB}
    for speaker in sorted({speaker for _, _, speaker in rows}):
        model = folder / "padding.model"
        train = [row for row in rows if row[2] != speaker]
        words_train(table_of(train, folder / "padding.csv"), model, kind="hmm+dtw", force=True)
        files = [file for file, _, who in rows if who == speaker]
        alone = [each.word for each in words_predict(files, model).results]
        for level in PADDED_DB:
            for k, file in enumerate(files):
                encode(folder / f"{k:04d}.wav", padded(decode(file, sample_rate=8000), level, rng), 8000)
            around = [folder / f"{k:04d}.wav" for k in range(len(files))]
            now = [each.word for each in words_predict(around, model).results]
            changed[level].append(float(np.mean([a != b for a, b in zip(alone, now, strict=True)])))
            for file in around:
                file.unlink()
    for level, shares in changed.items():
        what = "digital silence" if level is None else f"noise {level:g} dB below the peak"
        print(f"{what}: {np.mean(shares):.3f} of the answers change")


def padded(samples: np.ndarray, level_db: float | None, rng: np.random.Generator) -> np.ndarray:
    before, after = (np.zeros(rng.integers(2000, 9000), np.float32) for _ in range(2))
    sound = np.concatenate([before, samples, after])
    if level_db is not None:
        noise = rng.standard_normal(len(sound)) * np.abs(samples).max() * 10 ** (level_db / 20)
        sound = sound + noise
    return (0.5 * sound / max(1e-9, float(np.abs(sound).max()))).astype(np.float32)


PARTS = {"digits": digits, "fruits": fruits, "strangers": strangers, "padding": padding}

if __name__ == "__main__":
    main()
