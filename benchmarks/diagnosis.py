"""How well `volna check` finds faults, and how often it cries wolf: injected faults of graded strengths, clean sounds.

    python benchmarks/diagnosis.py [-n 12] [--first 30000] [--clean 500] [--music FOLDER_OF_HQ_RECORDINGS] [--jobs 2]

Sounds are those of diagnosis_sounds.py, made from seeds from --first on; the thresholds of the detectors were set with
seeds below 30 000, so those from there on are new to them. A fault is put into sounds that can show it (`WHERE`): a
click over white noise or the band limit of a sine is no fault that anybody hears. With --music, every recording whose
name ends in .hq.ogg is used as well, ten seconds from its middle; what is found in it as it is, is listed first.

Prints the markdown table of docs/diagnosis.md.
"""

from __future__ import annotations

import os

os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))

import argparse
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from multiprocessing import Pool
from pathlib import Path

import numpy as np
from diagnosis_sounds import KINDS, clip

from volna.audio.channels import read_channels
from volna.audio.encode import encode
from volna.errors import VolnaError
from volna.synthesis import faults
from volna.tasks.diagnosis import diagnose

AUDIBLE_TIMES = 3  # as many trials of what is plainly audible
TONES = {"sine", "square", "saw", "own tone", "many tones", "harmonics", "chord", "own vowel", "modulated"}
NOISES = {"noise", "stereo noise", "brown", "moving noise", "filtered noise"}
CORNERS = {"square", "saw", "own tone", "chord", "harmonics"}  # waves that jump by themselves
RHYTHMS = {"metronome", "own clicks", "melody", "drums"}
EVERY = set(KINDS) | {"recording"}
FULL = {"noise", "stereo noise", "moving noise", "simple mix", "music", "stereo music", "drums", "speech", "recording"}


HEARD_DB = -50.0  # of the sound: what a band limit takes away below that, nobody misses


def check_heard(x: np.ndarray, rate: int, above_hz: float) -> None:
    """Raise where a sound has nothing above a frequency that could be missed."""
    power = np.abs(np.fft.rfft(x.mean(axis=0))) ** 2
    treble = power[int(above_hz / rate * x.shape[1]) :].sum()
    if treble < power.sum() * 10 ** (HEARD_DB / 10):
        raise VolnaError("no treble to take away")


def limited(x: np.ndarray, rate: int, part: float, rng: np.random.Generator) -> np.ndarray:
    check_heard(x, rate, part * rate / 2)
    return faults.band_limit(x, rate, part * rate / 2)


def whistle(x: np.ndarray, rate: int, level: float, rng: np.random.Generator) -> np.ndarray:
    hz = float(rng.choice([1000.0, 3000.0, min(15700.0, 0.44 * rate), rng.uniform(1000, 0.44 * rate)]))
    return faults.whistle(x, rate, level, hz)


def transcoded(x: np.ndarray, rate: int, bit_rate: float, rng: np.random.Generator) -> np.ndarray:
    """To MP3 and back, so many kbit/s a channel, at 44.1 kHz."""
    if rate < 44100:
        raise VolnaError("MP3 takes little from sounds of low rates")
    check_heard(x, rate, 15_000)
    with tempfile.TemporaryDirectory() as folder:
        path = encode(Path(folder) / "a.mp3", x, rate, bit_rate=int(1000 * bit_rate * len(x)))
        return read_channels(path).samples


# Fault: how to inject it, strengths from faint to strong (None in place of the plainly audible one's mark), where.
Inject = Callable[[np.ndarray, int, float, np.random.Generator], np.ndarray]
FAULTS: dict[str, tuple[Inject, str, tuple[float, ...], float, set[str]]] = {
    "clipping": (lambda x, r, s, g: faults.clip(x, s, g.choice([0, -3, -10])), "dB above the rail", (1, 3, 6, 12), 6,
                 EVERY - {"square", "metronome", "sine"}),
    "hum": (lambda x, r, s, g: faults.hum(x, r, s, int(g.choice([50, 60])), int(g.choice([4, 6, 8]))), "dB re sound",
            (-40, -30, -20, -12), -12, EVERY - TONES - {"brown", "metronome"}),
    "whistle": (whistle, "dB re sound", (-45, -35, -25, -15), -25,
                EVERY - TONES - NOISES - {"own clicks", "metronome"}),
    "dropout": (lambda x, r, s, g: faults.dropouts(x, r, s / 1000, 4, int(g.integers(99))), "ms, 4 times",
                (3, 10, 30, 100), 30, EVERY - RHYTHMS),
    "frozen": (lambda x, r, s, g: faults.frozen(x, r, s / 1000, 4, int(g.integers(99))), "ms, 4 times",
               (5, 10, 30, 100), 30, EVERY - RHYTHMS - {"square"}),
    "silence": (lambda x, r, s, g: faults.silence(x, r, s, int(g.integers(99))), "s, once", (0.5, 1.0, 2.0), 1.0,
                EVERY - RHYTHMS - {"speech"}),
    "clicks": (lambda x, r, s, g: faults.clicks(0.6 * x, r, s, 5, int(g.choice([1, 2, 4])), int(g.integers(99))),
               "of the peak, 5 times", (0.1, 0.25, 0.5, 1.0), 0.5, EVERY - NOISES - RHYTHMS - CORNERS),
    "dc_offset": (lambda x, r, s, g: faults.offset(x, s * g.choice([-1, 1])), "of full scale",
                  (0.005, 0.01, 0.03, 0.1), 0.03, EVERY - {"brown", "square"}),
    "dead_channel": (lambda x, r, s, g: faults.dead_channel(x, int(g.integers(2))), "one of two", (1,), 1, EVERY),
    "inverted_channel": (lambda x, r, s, g: faults.inverted_channel(x, int(g.integers(2))), "one of two", (1,), 1,
                         EVERY - {"stereo noise"}),
    "low_level": (lambda x, r, s, g: faults.low_level(x, s), "dBFS peak", (-30, -36, -45, -55), -45, EVERY),
    "band_limited": (limited, "of half the rate", (0.9, 0.7, 0.5, 0.25),
                     0.5, FULL),
    "transcoded": (transcoded, "kbit/s a channel", (96, 64, 48, 32), 48, FULL),
    "noise": (lambda x, r, s, g: faults.noise(x, s, int(g.integers(99))), "dB SNR", (30, 20, 12, 6), 12,
              EVERY - NOISES - {"metronome"}),
}  # fmt: skip
# What else is a right answer: a short silence is a long dropout, and a codec's cut-off is a band limit.
ALSO = {"dropout": {"silence"}, "silence": {"dropout"}, "band_limited": {"transcoded"}, "transcoded": {"band_limited"}}
Sound = tuple[str, np.ndarray, int]


def sixteen_bits(x: np.ndarray) -> np.ndarray:
    return (np.rint(np.clip(x, -1, 1) * 32767) / 32768).astype(np.float32)


def trial(job: tuple[str, float, int, str]) -> tuple[str, float, str, bool | None, float]:
    """Whether a fault of one strength is found in one sound; None where it could not be put there; seconds of sound."""
    fault, strength, seed, recording = job
    inject, _, _, _, where = FAULTS[fault]
    kinds = sorted(where & set(KINDS))
    name, x, rate = load(recording) if recording else clip(seed, kinds[seed % len(kinds)])
    try:
        faulty = inject(x, rate, strength, np.random.default_rng([seed, 5]))
    except VolnaError:
        return fault, strength, name, None, 0.0
    right = {fault, *ALSO.get(fault, ())}
    if right & kinds_in(x, rate):  # it had the fault already, so finding it would say nothing
        return fault, strength, name, None, 0.0
    return fault, strength, name, bool(right & kinds_in(faulty, rate)), x.shape[1] / rate


def kinds_in(x: np.ndarray, rate: int) -> set[str]:
    return {finding.kind for finding in diagnose([sixteen_bits(x)], rate).findings}


def load(path: str) -> Sound:
    x, rate = read_channels(path)
    middle, half = x.shape[1] // 2, 5 * rate
    return "recording", x[:, max(0, middle - half) : middle + half], rate


def clean(seed: int) -> tuple[str, list[str], float]:
    name, x, rate = clip(seed)
    return name, [finding.kind for finding in diagnose([x], rate).findings], x.shape[1] / rate


def jobs_of(n: int, first: int, recordings: list[str], only_audible: bool) -> Iterator[tuple[str, float, int, str]]:
    for fault, (_, _, strengths, audible, where) in FAULTS.items():
        for strength in [audible] if only_audible else strengths:
            for k in range(n * (AUDIBLE_TIMES if strength == audible else 1)):
                yield fault, strength, first + k, ""
            if "recording" in where:
                yield from ((fault, strength, first + k, path) for k, path in enumerate(recordings))


def table_of(outcomes: list[tuple[str, float, str, bool | None, float]]) -> None:
    rates: dict[tuple[str, float, bool], list[bool]] = defaultdict(list)
    missed: dict[str, list[str]] = defaultdict(list)
    for fault, strength, name, found, _ in outcomes:
        if found is None:
            continue
        rates[fault, strength, name == "recording"].append(found)
        if not found and strength == FAULTS[fault][3]:
            missed[fault].append(name)
    print("| fault | strength | synthesised | recordings |\n|---|---|---:|---:|")
    for fault, (_, unit, strengths, audible, _) in FAULTS.items():
        for strength in strengths:
            cells = [share(rates[fault, strength, recorded]) for recorded in (False, True)]
            mark = "**" if strength == audible else ""
            print(f"| {fault} | {mark}{strength:g} {unit}{mark} | {cells[0]} | {cells[1]} |")
    print("\nMissed although plainly audible:", {fault: sorted(names) for fault, names in missed.items()})


def share(found: list[bool]) -> str:
    return f"{100 * sum(found) / len(found):.0f} % of {len(found)}" if found else "-"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", type=int, default=12, help="sounds a strength; three times as many of what is audible")
    parser.add_argument("--first", type=int, default=30_000, help="first seed")
    parser.add_argument("--clean", type=int, default=500, help="clean clips")
    parser.add_argument("--music", type=Path, help="folder of .hq.ogg recordings")
    parser.add_argument("--audible", action="store_true", help="plainly audible strengths only")
    parser.add_argument("--jobs", type=int, default=1)
    options = parser.parse_args()
    recordings = sorted(str(path) for path in options.music.glob("*.hq.ogg")) if options.music else []
    with Pool(options.jobs) as pool:
        for path in recordings:
            _, x, rate = load(path)
            as_it_is = [finding.kind for finding in diagnose([x], rate, lossy=True).findings]
            as_pcm = [finding.kind for finding in diagnose([x], rate).findings]
            print(f"{Path(path).name}: {', '.join(as_it_is) or 'clean'}; as PCM {', '.join(as_pcm) or 'clean'}")
        started_s = time.monotonic()
        flags = pool.map(clean, range(options.first, options.first + options.clean), chunksize=5)
        flagged = [(name, kinds) for name, kinds, _ in flags if kinds]
        minutes = sum(seconds for _, _, seconds in flags) / 60
        text = f"{len(flagged)} of {len(flags)} ({100 * len(flagged) / max(1, len(flags)):.1f} %)"
        print(f"\nClean clips flagged: {text}, {len(flagged) / minutes:.3f} a minute over {minutes:.0f} minutes.")
        print(*flagged, "", sep="\n", flush=True)
        table_of(pool.map(trial, jobs_of(options.n, options.first, recordings, options.audible), chunksize=4))
        print(f"\n{time.monotonic() - started_s:.0f} s")


if __name__ == "__main__":
    main()
