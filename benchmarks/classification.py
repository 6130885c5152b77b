"""How well labels are told: ``python benchmarks/classification.py [--data DIR] [--only esc10] [--with auto cnn]``.

The real sounds lie in ``shared/data`` beside the checkout, or in DIR; without them nothing is measured. Printed, for
each set: every baseline and every kind of classifier, as `volna classify evaluate` measures them: nested
cross-validation that never tears a group apart, mean over seeds, 95 % intervals over groups. ``--json FILE`` keeps
every figure.
"""

from __future__ import annotations

import argparse
import csv
import json
import resource
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

WHOSE = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
Rows = list[tuple[str, str, str]]  # path, label, group


def of_handout(data: Path, folder: str) -> Rows:
    with open(data / "sounds" / "handout.csv", encoding="utf-8") as text:
        rows = [row for row in csv.DictReader(text) if row["path"].startswith(f"{folder}/")]
    return [(str(data / "sounds" / row["path"]), row["label"], row["group"]) for row in rows]


def emotion(data: Path) -> Rows:
    """The third number of a name says the emotion, eight of them."""
    return [(p, Path(p).stem.split("-")[2], actor) for p, _, actor in of_handout(data, "voice_gender_ravdess")]


def speaker(data: Path) -> Rows:
    """Who speaks a digit; all speakers' takes of one number are held out together."""
    return [(p, who, Path(p).stem.split("_")[2]) for p, _, who in of_handout(data, "words_fsdd")]


def of_manifest(data: Path, folder: str, label: str) -> Rows:
    with open(data / "music" / folder / "manifest.csv", encoding="utf-8") as text:
        rows = list(csv.DictReader(text))
    labels = [row["path"].split("/")[0] if label == "folder" else row[label] for row in rows]
    paths = [str(data / "music" / folder / row["path"]) for row in rows]
    return list(zip(paths, labels, [row["artist_group"] for row in rows], strict=True))


SETS: dict[str, tuple[str, Callable[[Path], Rows]]] = {
    "gender": ("gender of a voice, by actor", lambda data: of_handout(data, "voice_gender_ravdess")),
    "esc10": ("ESC-10, by fold", lambda data: of_handout(data, "env_esc10")),
    "digits": ("spoken digits, by speaker", lambda data: of_handout(data, "words_fsdd")),
    "heart": ("heart sounds, by block", lambda data: of_handout(data, "heart_yaseen")),
    "emotion": ("emotion of a voice, by actor", emotion),
    "speaker": ("speaker of a digit, by take", speaker),
    "birds": ("birds, by file", lambda data: of_handout(data, "birds8")),
    "genre": ("genre, by artist", lambda data: of_manifest(data, "genres", "folder")),
    "mood": (
        "mood, by artist",
        lambda data: of_manifest(data, "genres", "quadrant") + of_manifest(data, "moods", "quadrant"),
    ),
}


def shown(values: tuple[float, float, float]) -> str:
    value, low, high = values
    return f"{value:.3f} [{low:.3f}, {high:.3f}]"


def cpu_seconds() -> float:
    """Of this process and of its children that have ended."""
    return sum(use.ru_utime + use.ru_stime for use in map(resource.getrusage, WHOSE))


def measure(name: str, rows: Rows, kind: str, options: argparse.Namespace) -> dict:
    from volna.workflows.classify_measuring import classify_evaluate

    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / f"{name}.csv"
        with open(table, "w", newline="", encoding="utf-8") as text:
            csv.writer(text).writerows([("path", "label", "group"), *rows])
        before_s = cpu_seconds()
        found = classify_evaluate(
            table, kind=kind, seeds=options.seeds, jobs=options.jobs, train_time_s=options.train_time
        )
        cpu_s = cpu_seconds() - before_s
    print(
        f"\n{SETS[name][0]}: {found.n_files} files, {found.n_groups} groups, {len(found.labels)} labels,"
        f" {found.seconds} s, {cpu_s:.0f} s of CPU"
    )
    for row in found.rows:
        extra = "" if row.log_loss is None else f"  log loss {row.log_loss:.3f}  ECE {row.calibration_error:.3f}"
        print(f"  {row.name:42} {shown(row.accuracy)}  balanced {row.balanced_accuracy:.3f}{extra}")
    print(f"  over {found.best_baseline}: {shown(found.over_best_baseline)}")
    print(f"  chosen, first seed: {' | '.join(found.chosen)}", flush=True)
    return {"set": name, **asdict(found), "cpu_s": cpu_s}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    parser.add_argument("--only", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--with", dest="kinds", nargs="+", default=["auto"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int)
    parser.add_argument("--train-time", type=float, metavar="S", help="longest training of one network")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if not options.data.is_dir():
        print(f"skipped: there is no folder of real sounds at {options.data}", file=sys.stderr)
        return 0
    results = []
    for name in options.only:
        for kind in options.kinds:
            results.append(measure(name, SETS[name][1](options.data), kind, options))
            if options.json:
                options.json.write_text(json.dumps(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
