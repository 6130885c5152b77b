"""What opening, reading, hashing, decoding and resampling cost, and what others take for the same.

    python benchmarks/decoding.py FILE...

Prints CPU milliseconds a file (the best of some runs, one thread), stage by stage, for the three windows of 10 s that
`volna index` listens to (the whole file when shorter than 30 s), then the same windows with soundfile and
librosa.load, as ratios from the same run. Ratios above 1 mean that Volna is faster. librosa and
soundfile come with the ``dev`` extra.
"""

from __future__ import annotations

import os
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[name] = "1"  # before numpy is imported

import numpy as np  # noqa: E402

from volna.audio import open_audio, windows_of  # noqa: E402
from volna.audio.coded import audio_hash  # noqa: E402
from volna.audio.frames import decode_packets  # noqa: E402
from volna.errors import AudioError  # noqa: E402

SAMPLE_RATE = 16000
N_RUNS = 5
STAGES = ("open", "read", "hash", "decode", "mix and resample")


def stages(path: Path) -> np.ndarray:
    """CPU milliseconds of every stage of one analysis, shape (5,)."""
    marks = [time.process_time()]
    with open_audio(path) as file:
        reader = file._reader
        marks.append(time.process_time())
        windows = [file._read_window(*window) for window in windows_of(file.duration_s)]
        marks.append(time.process_time())
        audio_hash(file.codec, file.duration_s, windows, reader.time_base, reader.hash_zero, reader.audio_end)
        marks.append(time.process_time())
        decoded = [
            decode_packets(reader.context, w.packets, reader.time_base, reader.origin, w.duration_s + 1)
            for w in windows
        ]
        marks.append(time.process_time())
        for out, window in zip(decoded, windows, strict=True):
            out.samples(window.start_s, window.duration_s, SAMPLE_RATE)
        marks.append(time.process_time())
    return 1000 * np.diff(marks)


def volna(path: Path) -> None:
    with open_audio(path) as file:
        file.decode(file.read_segment(), SAMPLE_RATE)


def with_soundfile(path: Path) -> None:
    import soundfile
    import soxr

    with soundfile.SoundFile(str(path)) as file:
        for start_s, length_s in windows_of(len(file) / file.samplerate):
            file.seek(int(start_s * file.samplerate))
            samples = file.read(int(length_s * file.samplerate), dtype="float32", always_2d=True)
            soxr.resample(samples.mean(axis=1), file.samplerate, SAMPLE_RATE, "HQ")


def with_librosa(path: Path) -> None:
    import librosa

    for start_s, length_s in windows_of(librosa.get_duration(path=path)):
        librosa.load(path, sr=SAMPLE_RATE, offset=start_s, duration=length_s)


def best(work: Callable[[Path], None], path: Path) -> float:
    """Least CPU milliseconds of some runs; not a number where the tool cannot read the file."""
    times = []
    for _ in range(N_RUNS):
        began = time.process_time()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                work(path)
        except Exception as error:
            print(f"  {work.__name__}: {type(error).__name__}: {str(error)[:80]}", file=sys.stderr)
            return float("nan")
        times.append(1000 * (time.process_time() - began))
    return min(times)


def main(names: list[str]) -> None:
    if not names:
        sys.exit(__doc__)
    print(
        f"{'ms of CPU':24}"
        + "".join(f"{stage:>17}" for stage in STAGES)
        + f"{'together':>10}{'soundfile':>11}{'librosa':>9}"
    )
    rows, others = [], []
    for name in names:
        path = Path(name)
        try:
            rows.append(np.min([stages(path) for _ in range(N_RUNS)], axis=0))
        except AudioError as error:
            print(error, file=sys.stderr)
            continue
        together = best(volna, path)
        others.append((together, best(with_soundfile, path) / together, best(with_librosa, path) / together))
        line = "".join(f"{value:17.2f}" for value in rows[-1])
        print(f"{path.name[-24:]:24}{line}{together:10.1f}{others[-1][1]:10.1f}x{others[-1][2]:8.1f}x")
    if len(rows) > 1:
        mean, other = np.mean(rows, axis=0), np.nanmean(others, axis=0)
        print(
            f"{'mean':24}" + "".join(f"{v:17.2f}" for v in mean) + f"{other[0]:10.1f}{other[1]:10.1f}x{other[2]:8.1f}x"
        )


if __name__ == "__main__":
    main(sys.argv[1:])
