"""Decode the labelled sounds once: log-mels in two band layouts, and the same clips changed as copies are changed.

Writes one ``.npz`` a set into the working folder; everything else in this folder reads those and never the audio.

    python scripts/experiments/prepare.py --data DIR --work /tmp/volna_experiments
"""

from __future__ import annotations

import argparse
import csv
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import av
import numpy as np
import soxr

from volna.features.spectrum import LOG_MEL_AMIN, MelConfig, mel_power, power_spectrum, power_to_db, stft

LAYOUTS = {
    "low": MelConfig(sample_rate=12_000, n_fft=768, hop_length=280, n_mels=72, fmax_hz=4_700.0),
    "wide": MelConfig(sample_rate=18_000, n_fft=1_152, hop_length=420, n_mels=88, fmax_hz=8_400.0),
}
FOLDERS = {
    "instruments": "music/instruments",
    "esc10": "sounds/env_esc10",
    "songs": "music/full_songs",
    "pairs": "music/pairs",
}
LONGEST_S = 30.0
SHORT_S = 3.0
COPY_GAIN_DB = 6.0
COPY_SHIFT_S = 1.0


def decode(path: Path, seconds: float | None = None) -> tuple[np.ndarray, int]:
    """Mono float32 samples of a whole file (or its start), and its sample rate in Hz."""
    with av.open(path if hasattr(path, "read") else str(path)) as container:
        stream = container.streams.audio[0]
        resampler = av.AudioResampler(format="fltp", layout="mono")
        chunks, rate, n = [], stream.rate, 0
        for packet in container.demux(stream):
            with suppress(av.error.FFmpegError):  # a tag at the end of a file is no sound
                for frame in packet.decode():
                    chunks += [out.to_ndarray()[0] for out in resampler.resample(frame)]
                    n += frame.samples
            if seconds and n > seconds * rate:
                break
    samples = np.concatenate(chunks).astype(np.float32)
    return (samples[: int(seconds * rate)] if seconds else samples), rate


def through_mp3(samples: np.ndarray, rate: int, bit_rate: int = 64_000) -> tuple[np.ndarray, int]:
    """The samples after MP3 at ``bit_rate`` and back, in memory."""
    import io

    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp3") as container:
        stream = container.add_stream("mp3", rate=rate)
        stream.bit_rate = bit_rate
        stream.layout = "mono"
        stream.format = "fltp"
        frame = av.AudioFrame.from_ndarray(samples[None, :], format="fltp", layout="mono")
        frame.sample_rate = rate
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    buffer.seek(0)
    return decode(buffer)  # type: ignore[arg-type]


def log_mel(samples: np.ndarray, rate: int, config: MelConfig) -> np.ndarray:
    """float16 ``(n_mels, n_frames)`` dB; sounds under three seconds are repeated to fill them."""
    x = soxr.resample(samples, rate, config.sample_rate, quality="HQ") if rate != config.sample_rate else samples
    wanted = round(SHORT_S * config.sample_rate)
    x = np.resize(x, wanted) if len(x) < wanted else x
    power = mel_power(power_spectrum(stft(x, config.n_fft, config.hop_length)), config)
    return power_to_db(power, amin=LOG_MEL_AMIN, top_db=80.0).astype(np.float16)


def copies(samples: np.ndarray, rate: int) -> Iterator[tuple[str, np.ndarray, int]]:
    """What happens to a recording that is found twice."""
    yield "gain", samples * np.float32(10 ** (-COPY_GAIN_DB / 20)), rate
    yield "resample", soxr.resample(samples, rate, 16_000, quality="HQ"), 16_000
    yield "mp3", *through_mp3(samples, rate)
    yield "shift", samples[int(COPY_SHIFT_S * rate) :], rate


def rows_of(data: Path, name: str) -> list[dict[str, str]]:
    """Path, label, group and what else is known of every clip of a set."""
    if name in ("genres", "moods"):
        with (data / "music" / name / "manifest.csv").open() as file:
            rows = list(csv.DictReader(file))
        for row in rows:
            row |= {"file": f"music/{name}/{row['path']}", "label": row["path"].split("/")[0]}
            row["group"] = row["artist_group"]
        return rows
    folder = FOLDERS[name]
    audio = [p for p in sorted((data / folder).rglob("*")) if p.suffix in (".mp3", ".ogg", ".wav")]
    rows = []
    for path in audio:
        parts = path.relative_to(data / folder).parts
        label, group = parts[0], {"esc10": path.name.split("-")[0], "instruments": path.stem}.get(name, parts[0])
        if name == "pairs":  # the same recording twice: x.ogg and x.hq.ogg
            label, group = path.name.split(".")[0], "hq" if ".hq." in path.name else "low"
        rows.append({"file": str(path.relative_to(data)), "label": label, "group": group})
    return rows


def prepare(data: Path, work: Path, name: str) -> None:
    """Write ``NAME.npz`` (log-mels) and ``NAME.json`` (rows)."""
    arrays: dict[str, np.ndarray] = {}
    kept = []
    for row in rows_of(data, name):
        samples, rate = decode(data / row["file"], None if name == "songs" else LONGEST_S)
        pieces = [samples]
        if name == "songs":  # unlabelled extra: every minute of a long file is a clip of its own
            step = int(60 * rate)
            pieces = [samples[i : i + int(LONGEST_S * rate)] for i in range(0, len(samples) - int(5 * rate), step)]
        for piece in pieces:
            i = len(kept)
            kept.append(row)
            for layout, config in LAYOUTS.items():
                arrays[f"{layout}_{i}"] = log_mel(piece, rate, config)
            if name in ("genres", "moods"):
                for change, changed, new_rate in copies(piece, rate):
                    arrays[f"{change}_{i}"] = log_mel(changed, new_rate, LAYOUTS["low"])
    np.savez(work / f"{name}.npz", **arrays)
    settings = {layout: asdict(config) for layout, config in LAYOUTS.items()}
    (work / f"{name}.json").write_text(json.dumps({"rows": kept, "layouts": settings}))
    print(f"{name}: {len(kept)} clips")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with music/ and sounds/")
    parser.add_argument("--work", type=Path, default=Path("/tmp/volna_experiments"), help="where results go")
    parser.add_argument("--sets", nargs="+", default=["genres", "moods", *FOLDERS])
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    for name in options.sets:
        prepare(options.data, options.work, name)


if __name__ == "__main__":
    main()
