"""Draw the two pictures of the listening room: ``python scripts/make_listening_pictures.py [-o docs]``.

Both are of sounds made here: a few bars of plucked strings, a drum, a bell and a rising whistle for the spectrogram,
and one string for the spectrum.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np

from volna.audio.encode import encode
from volna.synthesis.instruments import bell, hertz, kick, noise_hit, pluck
from volna.workflows.listening.spectrogram import spectrogram
from volna.workflows.listening.spectrum import spectrum

RATE = 32_000
BEAT_S = 0.4
TUNE = (57, 64, 69, 73, 76, 73, 69, 64, 54, 61, 66, 69, 73, 69, 66, 61)
N_COLOURS = 256  # of a picture on the disk


def main() -> None:
    """Make the sounds, draw them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, default=Path("docs"))
    folder = parser.parse_args().output
    with tempfile.TemporaryDirectory() as work:
        tune = encode(Path(work) / "strings, a drum and a whistle.wav", music(), RATE)
        note = encode(Path(work) / "plucked A3.wav", string(), RATE)
        spectrogram(tune, output=folder / "spectrogram.png", fmin_hz=40.0, show_frame_s=2.45, force=True)
        spectrum(note, plot=folder / "spectrum.png", compare_windows=True, n_fft=8_192, force=True)
    for name in ("spectrogram.png", "spectrum.png"):
        shrink(folder / name)
        print(f"{folder / name}: {(folder / name).stat().st_size / 1000:.0f} kB")


def music() -> np.ndarray:
    """Seven seconds of something to see: float32 ``(n_samples,)``."""
    rng = np.random.default_rng(0)
    out = np.zeros(round((len(TUNE) + 2) * BEAT_S * RATE), dtype=np.float32)
    for beat, midi in enumerate(TUNE):
        add(out, beat, 0.3 * pluck(hertz(midi), round(2.5 * RATE), RATE, brightness=0.6))
        if beat % 4 == 0:
            add(out, beat, 0.5 * kick(RATE))
            add(out, beat, 0.1 * bell(hertz(midi + 24), round(1.5 * RATE), RATE))
        if beat % 4 == 2:
            add(out, beat, 0.12 * noise_hit(rng, RATE, low_hz=3_000, high_hz=12_000, length_s=0.15))
    seconds = np.arange(round(3.0 * RATE)) / RATE
    turns = np.cumsum(800 * 2 ** (seconds * 1.1)) / RATE
    add(out, 9, 0.04 * np.sin(2 * np.pi * turns) * np.minimum(1.0, 10 * np.minimum(seconds, seconds[::-1])))
    return out / np.abs(out).max() * 0.9


def string() -> np.ndarray:
    """One plucked A3 over faint noise: float32 ``(n_samples,)``."""
    noise = np.random.default_rng(0).standard_normal(2 * RATE).astype(np.float32)
    return 0.5 * pluck(hertz(57), 2 * RATE, RATE, brightness=0.5) + 1e-4 * noise


def add(out: np.ndarray, beat: float, sound: np.ndarray) -> None:
    """Add a sound to others from a beat on."""
    begin = round(beat * BEAT_S * RATE)
    part = out[begin : begin + len(sound)]
    part += sound[: len(part)]


def shrink(file: Path) -> None:
    """Keep the picture in 256 colours: a third of the size, and nobody sees it."""
    from PIL import Image

    with Image.open(file) as picture:
        small = picture.convert("RGB").quantize(N_COLOURS, dither=Image.Dither.NONE)
    small.save(file, optimize=True)


if __name__ == "__main__":
    main()
