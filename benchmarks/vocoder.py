"""How near sound comes back from its mel: Griffin-Lim, the same held to the mel, and a network, on sounds not heard.

    python benchmarks/vocoder.py FOLDER --group-from REGEX [--held GROUP ...] [--time-budget 600] [--every N]

The files of FOLDER are parted into groups by REGEX (speaker, actor, note); for each group of --held (by default each in
turn) a vocoder is trained with the command's defaults on the files of all others, and every N-th file of the held group
is measured. Printed: multi-resolution STFT distance, mel distance in dB, PESQ (at 8 and 16 kHz, where the package
`pesq` is installed), and times real time per core (processor time, so that a busy machine counts for nothing). All
methods are given the same mel.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from volna.audio.decode import decode
from volna.cli.progress import Progress
from volna.features.inversion import samples_from_mel
from volna.features.refinement import sound_of_mel
from volna.features.sound_distance import mel_distance, multi_resolution_stft
from volna.features.sounding import sounding_mel
from volna.features.spectrum import MelConfig
from volna.models.vocoder_file import TrainedVocoder, load
from volna.models.vocoder_use import vocoded
from volna.workflows.each_file import files_under
from volna.workflows.making.vocoder_learning import vocode_train

LONGEST_S = 10.0  # of a file that is measured
Row = tuple[float, float, float, float]  # STFT, mel dB, PESQ, times real time


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--group-from", required=True, metavar="REGEX", help="on the path below the folder")
    parser.add_argument("--held", nargs="+", metavar="GROUP", help="groups held out together [default: each in turn]")
    parser.add_argument("--time-budget", type=float, default=600.0, help="seconds of each training")
    parser.add_argument("--every", type=int, default=1, help="measure every N-th file")
    parser.add_argument("--model", type=Path, help="measure this vocoder instead of training one")
    parser.add_argument("--keep", type=Path, help="where the vocoders go")
    options = parser.parse_args()
    if not options.folder.is_dir():
        sys.exit(f"{options.folder}: no such folder")
    groups = grouped(options.folder, options.group_from)
    print("| held out | method | MR-STFT | mel dB | PESQ | x real time, one core |\n|---|---|---|---|---|---|")
    turns = [options.held] if options.held else [[group] for group in sorted(groups)]
    for held in turns:
        with tempfile.TemporaryDirectory() as work:
            model = options.model or trained_on(groups, held, Path(work), options)
            files = [file for group in held for file in groups[group]]
            report(" ".join(held), measured(files[:: options.every], load(model)))


def grouped(folder: Path, expression: str) -> dict[str, list[str]]:
    """The sounds under a folder by what the expression finds in their paths."""
    groups: dict[str, list[str]] = {}
    for file in files_under([folder])[0]:
        match = re.search(expression, str(Path(file).relative_to(folder.resolve())))
        if match:
            groups.setdefault("".join(match.groups()) if match.re.groups else match[0], []).append(file)
    return groups or sys.exit(f"{expression!r} matches no sound under {folder}")  # type: ignore[return-value]


def trained_on(groups: dict[str, list[str]], held: list[str], work: Path, options: argparse.Namespace) -> Path:
    """A vocoder of all groups but those held out."""
    sounds = work / "sounds"
    sounds.mkdir()
    for group, files in groups.items():
        for k, file in enumerate(files if group not in held else []):
            (sounds / f"{group}-{k}{Path(file).suffix}").symlink_to(file)
    output = (options.keep or work) / f"{'-'.join(held)}.vocoder"
    with Progress() as progress:
        made = vocode_train(sounds, output, train_time_s=options.time_budget, force=True, progress=progress)
    print(f"held out {held}: {made.n_sounds} sounds, {made.sound_s} s, {made.steps} steps", file=sys.stderr)
    return output


def measured(files: list[str], trained: TrainedVocoder) -> dict[str, list[Row]]:
    """What each method makes of each file."""
    rows: dict[str, list[Row]] = {}
    config = trained.mel_config
    for file in files:
        samples = decode(file, sample_rate=config.sample_rate)[: round(LONGEST_S * config.sample_rate)]
        log_mel = sounding_mel(samples, config)
        real = samples[: (log_mel.shape[1] - 1) * config.hop_length]
        if len(real) < config.n_fft or not np.any(real):
            continue
        for name, make in methods(config, trained).items():
            started = time.process_time()
            made = make(log_mel)
            speed = len(real) / config.sample_rate / max(time.process_time() - started, 1e-9)
            scores = multi_resolution_stft(made, real), mel_distance(made, real, config.sample_rate)
            rows.setdefault(name, []).append((*scores, pesq_of(made, real, config.sample_rate), speed))
    return rows


def methods(config: MelConfig, trained: TrainedVocoder) -> dict[str, Callable[[Any], Any]]:
    return {
        "Griffin-Lim, 32": lambda mel: samples_from_mel(mel, config, 32),
        "Griffin-Lim, 64": lambda mel: samples_from_mel(mel, config, 64),
        "held to the mel, 32, no network": lambda mel: sound_of_mel(mel, config),
        "network alone": lambda mel: vocoded(trained, mel, n_iterations=0),
        "neural": lambda mel: vocoded(trained, mel),
    }


def pesq_of(made: Any, real: Any, sample_rate: int) -> float:
    """PESQ (ITU-T P.862, wide band at 16 kHz); NaN at other rates, without the package, or where it hears no speech."""
    try:
        from pesq import NoUtterancesError, pesq
    except ImportError:
        return float("nan")
    if sample_rate not in (8000, 16000):
        return float("nan")
    try:
        return float(pesq(sample_rate, real, made, "wb" if sample_rate == 16000 else "nb"))
    except (NoUtterancesError, ValueError, RuntimeError):  # too short a sound, or none
        return float("nan")


def report(held: str, rows: dict[str, list[Row]]) -> None:
    for name, values in rows.items():
        table = np.array(values)
        stft, mel, speed = table[:, 0].mean(), table[:, 1].mean(), np.median(table[:, 3])
        heard = table[np.isfinite(table[:, 2]), 2]
        pesq = f"{heard.mean():.2f} ({len(heard)})" if len(heard) else "-"
        print(f"| {held} ({len(table)}) | {name} | {stft:.3f} | {mel:.3f} | {pesq} | {speed:.0f} |", flush=True)


if __name__ == "__main__":
    main()
