"""CPU time of analysing a track, one thread: Volna stage by stage, a plain librosa loop, bliss.

    python benchmarks/analysis.py MUSIC... [-n 20] [--bliss-python /path/to/bliss/venv/bin/python]

All listen to the same files. Volna and librosa hear the same three windows of 10 s; librosa is the loop one would write
first: ``librosa.load`` at 22 050 Hz by offset and duration, then one call per descriptor. bliss always hears the whole
file, so compare it on clips of 30 s. Repeats alternate between the programs and the median counts, since machines are
busy; ratios of one run mean something, milliseconds of two runs little. Without MUSIC, ten clips of 30 s are made.
"""

from __future__ import annotations

import os

# Before numpy is imported: it asks for its threads only then.
os.environ.update(
    dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
)

import argparse
import itertools
import json
import subprocess
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

import numpy as np

from volna.audio.decode import open_audio, windows_of
from volna.audio.formats import AUDIO_EXTENSIONS
from volna.features import descriptors as d
from volna.features import recipe, rhythm
from volna.features.modulation import cepstral_modulation
from volna.features.recipe import ANALYSIS
from volna.features.spectrum import LOG_MEL_TOP_DB, fft_frequencies, mel_power, power_spectrum, power_to_db, stft

Stages = dict[str, float]
T = TypeVar("T")


def cpu_of(work: Callable[[], T], stages: Stages, name: str) -> T:
    """Run ``work`` and book its CPU seconds under a name."""
    start = time.process_time()
    result = work()
    stages[name] = stages.get(name, 0.0) + time.process_time() - start
    return result


def volna(path: Path) -> Stages:
    """Decode, analyse and embed as `volna index` does."""
    stages: Stages = {}
    with cpu_of(lambda: open_audio(path), stages, "open, tags") as audio:
        coded = cpu_of(lambda: audio.read_segment(), stages, "read packets, hash")
        windows = cpu_of(lambda: audio.decode(coded, ANALYSIS.sample_rate), stages, "decode, resample")
    analysis = cpu_of(lambda: recipe.analyse(windows), stages, "descriptors, log-mel")
    embed = default_model()
    cpu_of(lambda: embed(analysis.log_mels), stages, "embedding")
    return stages


@lru_cache(maxsize=1)
def default_model() -> Callable[[list[np.ndarray]], np.ndarray]:
    """The default model, untrained: what it costs does not depend on its weights."""
    import torch

    from volna.models.checkpoint import Checkpoint, build
    from volna.models.layers import Normalisation
    from volna.models.reading import fit_reading

    torch.set_num_threads(1)
    model = build("conv", {"n_mels": ANALYSIS.n_mels}).eval().requires_grad_(False)
    checkpoint = Checkpoint(model, "conv", {}, Normalisation(std_db=10.0, band_mean_share=0.5))
    n_pooled = len(checkpoint.embed([np.zeros((ANALYSIS.n_mels, 128), np.float32)]))
    checkpoint.reading = fit_reading(np.random.default_rng(0).standard_normal((200, n_pooled)).astype(np.float32))
    return checkpoint.embed


def recipe_parts(path: Path) -> Stages:
    """The stages inside the recipe, each called for itself."""
    c, stages = ANALYSIS, Stages()
    with open_audio(path) as audio:
        windows = audio.decode(audio.read_segment(), c.sample_rate)
    hz, mels = fft_frequencies(c.sample_rate, c.n_fft), []
    for samples in windows:
        power = cpu_of(lambda x=samples: power_spectrum(stft(x, c.n_fft, c.hop_length)), stages, "STFT, power")
        magnitude = np.sqrt(power)
        frame_parts: dict[str, Callable[[], object]] = {
            "centroid, bandwidth": lambda m=magnitude: (d.centroid(m, hz), d.bandwidth(m, hz)),
            "roll-off": lambda m=magnitude: d.rolloff(m, hz),
            "flatness, flux": lambda m=magnitude: (d.flatness(m), d.flux(m)),
            "contrast": lambda m=magnitude: d.contrast(m, hz, fmin_hz=recipe.CONTRAST_FMIN_HZ),
            "chroma": lambda p=power: d.chroma(p, c.sample_rate),
            "ZCR, RMS": lambda x=samples: [f(x, c.n_fft, c.hop_length) for f in (d.zero_crossing_rate, d.rms)],
        }
        for name, part in frame_parts.items():
            cpu_of(part, stages, name)
        mels.append(cpu_of(lambda p=power: power_to_db(mel_power(p, c), top_db=LOG_MEL_TOP_DB), stages, "log-mel"))
    cpu_of(lambda: [d.delta(d.mfcc(mel)) for mel in mels], stages, "MFCC, deltas")
    cpu_of(lambda: rhythm.tempo([rhythm.onset_strength(m) for m in mels], c.frames_per_s), stages, "tempo")
    cpu_of(lambda: rhythm.fluctuation_pattern(mels, c.frames_per_s), stages, "fluctuation pattern")
    cpu_of(lambda: cepstral_modulation([d.mfcc(mel, 24) for mel in mels], c.frames_per_s), stages, "modulation")
    return stages


def librosa_loop(path: Path) -> Stages:
    """The same windows and descriptors with librosa, the way its tutorial does it."""
    import librosa
    from librosa import feature

    with open_audio(path) as audio:
        windows = windows_of(audio.duration_s)
    stages: Stages = {}
    calls: list[Callable[..., np.ndarray]] = [
        lambda y: feature.mfcc(y=y, n_mfcc=20),
        lambda y: feature.spectral_centroid(y=y),
        lambda y: feature.spectral_rolloff(y=y, roll_percent=0.85),
        lambda y: feature.spectral_bandwidth(y=y),
        lambda y: feature.spectral_flatness(y=y),
        lambda y: feature.spectral_contrast(y=y),
        lambda y: feature.chroma_stft(y=y),
        lambda y: feature.zero_crossing_rate(y),
        lambda y: feature.rms(y=y),
    ]
    for start_s, duration_s in windows:
        y, rate = cpu_of(
            lambda s=start_s, n=duration_s: librosa.load(path, sr=22_050, offset=s, duration=n),
            stages,
            "librosa.load",
        )
        frames = [cpu_of(lambda y=y, call=call: call(y), stages, "descriptors") for call in calls]
        cpu_of(lambda f=frames: [(v.mean(axis=1), v.std(axis=1)) for v in f], stages, "descriptors")
        cpu_of(lambda y=y, rate=rate: feature.tempo(y=y, sr=rate), stages, "descriptors")
        cpu_of(lambda y=y: librosa.power_to_db(feature.melspectrogram(y=y)), stages, "descriptors")
    return stages


BLISS = """
import json, resource, sys
from bliss_audio import Song
def cpu():
    u = resource.getrusage(resource.RUSAGE_SELF)
    return u.ru_utime + u.ru_stime
seconds = []
for path in json.load(sys.stdin):
    start = cpu(); Song(path); seconds.append(cpu() - start)
print(json.dumps(seconds))
"""


def bliss(python: str, paths: list[Path]) -> float:
    """CPU seconds of ``bliss_audio.Song(path)`` per file, all its threads together; median over the files."""
    command = [python, "-c", BLISS]
    done = subprocess.run(
        command, input=json.dumps([str(p) for p in paths]), capture_output=True, text=True, check=True
    )
    return float(np.median(json.loads(done.stdout)))


def files_under(places: Iterable[Path], n: int) -> list[Path]:
    """At most ``n`` audio files, spread evenly over what the places hold."""
    found = [p for place in places for p in (sorted(place.rglob("*")) if place.is_dir() else [place])]
    audio = [p for p in found if p.is_file() and p.suffix.lower() in AUDIO_EXTENSIONS]
    return audio[:: max(1, len(audio) // n)][:n]


def made_clips(folder: Path, n: int = 10) -> list[Path]:
    """Chords over noise, 30 s, MP3 at 44.1 kHz."""
    from volna.audio.encode import encode

    rate = 44_100
    t = np.arange(30 * rate) / rate
    paths = []
    for k in range(n):
        root, beat = 110.0 * 2 ** (k / 12), t % (60 / (90 + 7 * k))
        chord = sum(np.sin(2 * np.pi * root * ratio * t) for ratio in (1, 1.26, 1.5, 4))
        hiss = np.random.default_rng(k).standard_normal(len(t)) * np.exp(-beat / 0.05)
        paths.append(folder / f"{k}.mp3")
        encode(paths[-1], (0.1 * chord + 0.1 * hiss).astype(np.float32), rate)
    return paths


def show(title: str, runs: list[Stages], ours: float) -> float:
    """Print the median of every stage; return the sum."""
    medians = {name: float(np.median([run[name] for run in runs])) for name in runs[0]}
    total = sum(medians.values())
    ratio, rate = total / (ours or total), 1 / total
    print(f"{title:32s} {total * 1e3:8.1f} ms   {ratio:6.2f} x Volna   {rate:6.1f} tracks/CPU-second")
    for name, seconds in medians.items():
        print(f"    {name:28s} {seconds * 1e3:8.1f} ms   {100 * seconds / total:5.0f} %")
    return total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("music", nargs="*", type=Path, help="files or folders; synthesised clips when left out")
    parser.add_argument("-n", type=int, default=20, help="how many files (default 20)")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--bliss-python", help="interpreter of an environment that holds bliss-audio")
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # librosa about files soundfile cannot read
    with tempfile.TemporaryDirectory() as folder:
        compare(
            files_under(options.music, options.n) or made_clips(Path(folder)), options.repeats, options.bliss_python
        )


def compare(paths: list[Path], repeats: int, bliss_python: str | None) -> None:
    """Run all programs in turns and print the table."""
    programs: dict[str, Callable[[Path], Stages]] = {"Volna": volna, "librosa": librosa_loop, "parts": recipe_parts}
    runs: dict[str, list[Stages]] = {name: [] for name in programs}
    for program in programs.values():
        program(paths[0])  # imports and caches
    bliss_seconds = []
    for _ in range(repeats):
        for path, (name, program) in itertools.product(paths, programs.items()):
            runs[name].append(program(path))
        if bliss_python:
            bliss_seconds.append(bliss(bliss_python, paths))
    print(f"CPU time per track, one thread, median of {repeats} x {len(paths)} files")
    ours = show("Volna, embedding included", runs["Volna"], 0.0)
    show("librosa, one call a descriptor", runs["librosa"], ours)
    if bliss_seconds:
        show("bliss, whole file", [{"analysis": seconds} for seconds in bliss_seconds], ours)
    show("inside Volna's recipe", runs["parts"], ours)


if __name__ == "__main__":
    main()
