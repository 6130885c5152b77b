"""Denoising measured: SI-SDR, PESQ and STOI of every method on pairs of clean and noisy files; what restoring gains.

    python benchmarks/denoising.py --clean CLEAN --noisy NOISY [--model denoiser.safetensors] [--only sp1 sp2]

NOISY may hold folders; each is a row (as ``car_0dB``). The clean file of a noisy one has its name, or a name that the
noisy one begins with (``sp01.wav``, ``sp01_car_sn0.wav``). Every clean file is sent through as well: what that costs is
the damage done to clean sound. PESQ is narrow band (P.862) at 8 kHz and wide band (P.862.2) at 16 kHz; it and STOI
need ``pip install pesq pystoi``, without them their columns are empty.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from volna.audio.channels import read_channels
from volna.features.restoration import declip, fill
from volna.features.sound_distance import si_sdr_db
from volna.workflows.making.denoising import denoise_samples

Samples = np.ndarray
ENDINGS = (".wav", ".flac", ".ogg", ".mp3")
METHODS = ("wavelet", "wiener", "neural")
DRIVES_DB = (6.0, 12.0)
GAPS_MS = (5, 20, 50)
GAPS_A_FILE = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clean", type=Path, required=True)
    parser.add_argument("--noisy", type=Path, required=True)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--only", nargs="*", default=[], help="Beginnings of the names of clean files.")
    parser.add_argument("--skip-restoration", action="store_true")
    asked = parser.parse_args()
    rows = pairs(asked.clean, asked.noisy, asked.only)
    if not rows:
        raise SystemExit(f"no noisy file under {asked.noisy} has a clean one under {asked.clean}")
    methods = methods_of(asked.model)
    print("| sound | method | SI-SDR dB | gain dB | PESQ | gain | STOI | gain |\n|---|---|---|---|---|---|---|---|")
    for name, files in rows.items():
        measure_row(name, files, methods)
    clean_files = sorted({clean for files in rows.values() for clean, _ in files})
    measure_row("clean", [(path, path) for path in clean_files], methods)
    print()
    speeds(methods)
    if not asked.skip_restoration:
        restoration(clean_files)


def methods_of(model: Path | None) -> dict[str, Callable[[Samples, int], Samples]]:
    """What to try, by name."""
    found: dict[str, Callable[[Samples, int], Samples]] = {
        name: lambda x, rate, name=name: denoise_samples(x, rate, method=name) for name in ("wavelet", "wiener")
    }
    if model:
        import torch

        from volna.models import denoiser_file

        torch.set_num_threads(1)
        trained = denoiser_file.load(model)
        found["neural"] = lambda x, rate: denoise_samples(x, rate, model=trained)
    return found


def pairs(clean: Path, noisy: Path, only: Iterable[str]) -> dict[str, list[tuple[Path, Path]]]:
    """Noisy files with their clean ones, by folder."""
    stems = {path.stem: path for path in sorted(clean.rglob("*")) if path.suffix.lower() in ENDINGS}
    chosen = tuple(only)
    rows: dict[str, list[tuple[Path, Path]]] = {}
    for path in sorted(noisy.rglob("*")):
        match = stems.get(path.stem) or stems.get(path.stem.split("_")[0])
        if path.suffix.lower() in ENDINGS and match and (not chosen or match.stem.startswith(chosen)):
            rows.setdefault(path.parent.name, []).append((match, path))
    return rows


def measure_row(
    name: str, files: list[tuple[Path, Path]], methods: dict[str, Callable[[Samples, int], Samples]]
) -> None:
    scores: dict[str, list[np.ndarray]] = {method: [] for method in methods}
    before = []
    for clean_path, noisy_path in files:
        (clean, rate), (noisy, _) = mono(clean_path), mono(noisy_path)
        n = min(len(clean), len(noisy))
        clean, noisy = clean[:n], noisy[:n]
        before.append(score(noisy, clean, rate))
        for method, process in methods.items():
            scores[method].append(score(process(noisy, rate), clean, rate))
    start = np.nanmean(before, axis=0)
    print(f"| {name} | (as it is) | {start[0]:.1f} | | {start[1]:.2f} | | {start[2]:.3f} | |", flush=True)
    for method, values in scores.items():
        mean = np.nanmean(values, axis=0)
        gain = mean - start
        print(
            f"| {name} | {method} | {mean[0]:.1f} | {gain[0]:+.1f} | {mean[1]:.2f} | {gain[1]:+.2f} | {mean[2]:.3f} |"
            f" {gain[2]:+.3f} |",
            flush=True,
        )


def mono(path: Path) -> tuple[Samples, int]:
    sound = read_channels(path)
    return sound.samples.mean(axis=0), sound.sample_rate


def score(made: Samples, clean: Samples, rate: int) -> np.ndarray:
    """SI-SDR in dB, PESQ, STOI; not a number where a package is missing or the sound too short."""
    return np.array([si_sdr_db(made, clean), pesq_of(made, clean, rate), stoi_of(made, clean, rate)])


def pesq_of(made: Samples, clean: Samples, rate: int) -> float:
    try:
        from pesq import PesqError, pesq
    except ImportError:
        return float("nan")
    try:
        return float(pesq(rate, clean, made, "nb" if rate == 8000 else "wb")) if rate in (8000, 16_000) else np.nan
    except PesqError:
        return float("nan")


def stoi_of(made: Samples, clean: Samples, rate: int) -> float:
    try:
        from pystoi import stoi
    except ImportError:
        return float("nan")
    return float(stoi(clean, made, rate))


def speeds(methods: dict[str, Callable[[Samples, int], Samples]]) -> None:
    print("| method | rate Hz | times real time, one core |\n|---|---|---|")
    rng = np.random.default_rng(0)
    for rate in (8000, 16_000, 44_100):
        noise = (0.1 * rng.standard_normal(30 * rate)).astype(np.float32)
        for name, process in methods.items():
            process(noise[: 2 * rate], rate)
            started = time.process_time()
            process(noise, rate)
            print(f"| {name} | {rate} | {30 / (time.process_time() - started):.0f} |", flush=True)
    print()


def restoration(files: list[Path]) -> None:
    print("| damage | left as it is, dB | restored, dB |\n|---|---|---|")
    for drive_db in DRIVES_DB:
        values = [clipped(*mono(path), drive_db) for path in files]
        left, made = np.mean(values, axis=0)
        print(f"| cut {drive_db:g} dB below the peak: SDR | {left:.1f} | {made:.1f} |", flush=True)
    for gap_ms in GAPS_MS:
        wrong, silent = np.sum([gaps(*mono(path), gap_ms / 1000) for path in files], axis=0)
        db = 10 * np.log10(silent / wrong)
        print(f"| gaps of {gap_ms} ms: SDR inside them | 0.0 | {db:.1f} |", flush=True)


def clipped(sound: Samples, rate: int, drive_db: float) -> tuple[float, float]:
    rail = float(np.abs(sound).max() * 10 ** (-drive_db / 20))
    cut = np.clip(sound, -rail, rail)
    made = declip(cut, np.abs(cut) >= rail, rail, rate)
    left, restored = (10 * np.log10(np.sum(sound**2) / np.sum((x - sound) ** 2)) for x in (cut, made))
    return float(left), float(restored)


def gaps(sound: Samples, rate: int, gap_s: float) -> tuple[float, float]:
    """Energy of the error of gaps that were filled, and of what was there, both relative to each gap's own."""
    rng, n = np.random.default_rng(0), round(gap_s * rate)
    level = float(np.sqrt(np.mean(sound**2)))
    wrong, found = 0.0, 0
    for at in rng.permutation(np.arange(rate // 5, len(sound) - rate // 5 - n, n)):
        part = sound[at : at + n]
        energy = float(np.sum(part**2))
        if energy < n * level**2:
            continue
        wrong += float(np.sum((fill(sound, int(at), int(at) + n, rate) - part) ** 2)) / energy
        found += 1
        if found == GAPS_A_FILE:
            break
    return wrong, float(found)


if __name__ == "__main__":
    main()
