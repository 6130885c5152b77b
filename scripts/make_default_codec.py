"""Make the codec that ships with Volna again: ``python scripts/make_default_codec.py [--minutes 20] [--seed 0]``.

It learns from sounds that this script makes, none recorded: of every ten, five are speech without words and three are
music (`volna.synthesis`), two are textures (bells, birds, sweeps, noises of the world). Each then goes through a room,
a tone control and a floor of noise, so that no two have the same colour. The file goes to
``src/volna/data/default.codec``; with a number of steps instead of minutes it is the same every time on one machine.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from volna.synthesis import habits_of, render, styles
from volna.synthesis.noises import NOISES, noise_like
from volna.synthesis.voice import speech_like
from volna.training.clips import Clips
from volna.training.codec import CodecTraining, train_codec
from volna.training.fit import FitConfig, run_through
from volna.workflows.making.codec_jobs import codec_of

Samples = NDArray[np.float32]
Rng = np.random.Generator

OUTPUT = Path(__file__).parents[1] / "src" / "volna" / "data" / "default.codec"
SAMPLE_RATE, DURATION_S = 16_000, 8.0
N_SOUNDS, HELD_EVERY = 400, 16
SIZES = {"n_dims": 128, "width": 40, "dim": 96, "depth": 4, "batch_size": 12, "n_frames": 48}
STEPS_A_MINUTE = 400  # about what one slow core does


def main() -> None:
    """Make the sounds, train, write the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=20.0, help="of training")
    parser.add_argument("--steps", type=int, help="of training, instead of minutes")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=OUTPUT)
    options = parser.parse_args()
    made = []
    for number, samples in enumerate(sounds(N_SOUNDS, options.seed), 1):
        made.append(samples)
        print(f"\rsounds: {number}/{N_SOUNDS}", end="", file=sys.stderr, flush=True)
    held = made[::HELD_EVERY]
    clips = Clips(tuple(x for k, x in enumerate(made) if k % HELD_EVERY), tuple(held), SAMPLE_RATE)
    seconds = None if options.steps else 60 * options.minutes
    steps = options.steps or round(10 * STEPS_A_MINUTE * options.minutes)
    fit = FitConfig(lr=2e-3, ema=0.998, max_steps=steps, time_budget_s=seconds, seed=options.seed, val_every=500)
    fitted = run_through(train_codec(clips, CodecTraining(**SIZES, fit=fit)), _say)
    codec, summary = codec_of(fitted, clips)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_bytes(codec)
    print(f"\n{options.output}: {len(codec) / 1e6:.2f} MB, {summary['kbps']} kbit/s, {summary}")


def _say(event: dict[str, float]) -> None:
    print(f"\rtraining: {event['fraction']:.0%}, step {event['step']}, {event['val_loss']}", end="", file=sys.stderr)


def sounds(n: int, seed: int) -> Iterator[Samples]:
    """Sounds of 8 s, float32 ``(n_samples,)``."""
    for number in range(n):
        rng = np.random.default_rng([seed, number])
        kind = number % 10
        if kind < 5:
            made = speech_like(
                DURATION_S, SAMPLE_RATE, seed=int(rng.integers(1 << 31)), pauses=float(rng.uniform(0.2, 1.0))
            )
        elif kind < 8:
            style = styles()[int(rng.integers(len(styles())))]
            made = render(style, rng, habits_of(rng), DURATION_S, SAMPLE_RATE)
        else:
            made = texture(rng)
        yield coloured(rng, made)


def texture(rng: Rng) -> Samples:
    """One to three of `TEXTURES`, one over another."""
    n = int(DURATION_S * SAMPLE_RATE)
    total = np.zeros(n)
    for number in rng.choice(len(TEXTURES), int(rng.integers(1, 4)), replace=False):
        made = TEXTURES[number](rng, n)
        total += rng.uniform(0.2, 1.0) * made / max(np.abs(made).max(), 1e-3)
    return (total / max(np.abs(total).max(), 1e-3)).astype(np.float32)


def _events(rng: Rng, n: int, a_second: float) -> Iterator[tuple[int, int]]:
    """Starts and lengths in samples."""
    for _ in range(max(1, rng.poisson(a_second * n / SAMPLE_RATE))):
        start = int(rng.integers(n))
        yield start, min(n - start, int(SAMPLE_RATE * rng.uniform(0.02, 1.2)))


def _bells(rng: Rng, n: int) -> NDArray[np.float64]:
    out = np.zeros(n)
    for start, length in _events(rng, n, rng.uniform(0.5, 4)):
        t = np.arange(length) / SAMPLE_RATE
        for _ in range(int(rng.integers(1, 12))):
            hz = float(np.exp(rng.uniform(np.log(80), np.log(0.45 * SAMPLE_RATE))))
            tone = np.sin(2 * np.pi * hz * t) * np.exp(-t * rng.uniform(2, 60))
            out[start : start + length] += rng.uniform(0.1, 1) * tone
    return out


def _birds(rng: Rng, n: int) -> NDArray[np.float64]:
    out = np.zeros(n)
    for start, length in _events(rng, n, rng.uniform(1, 6)):
        hz = np.interp(np.arange(length), np.linspace(0, length, 4), rng.uniform(0.05, 0.45, 4) * SAMPLE_RATE)
        wobble = 1 + 0.1 * rng.uniform() * np.sin(2 * np.pi * rng.uniform(5, 60) * np.arange(length) / SAMPLE_RATE)
        tone = np.sin(2 * np.pi * np.cumsum(hz * wobble) / SAMPLE_RATE)
        out[start : start + length] += tone * np.hanning(length) * rng.uniform(0.2, 1)
    return out


def _sweep(rng: Rng, n: int) -> NDArray[np.float64]:
    """Partials of a pitch that runs up and down."""
    hz = np.exp(np.interp(np.arange(n), np.linspace(0, n, 5), rng.uniform(np.log(60), np.log(0.45 * SAMPLE_RATE), 5)))
    turns = 2 * np.pi * np.cumsum(hz) / SAMPLE_RATE
    out = np.zeros(n)
    for h in range(1, int(rng.integers(1, 8)) + 1):
        out += np.where(h * hz < 0.48 * SAMPLE_RATE, np.sin(h * turns) / h, 0.0)
    return out


def _noise(rng: Rng, n: int) -> NDArray[np.float64]:
    kind = list(NOISES)[int(rng.integers(len(NOISES)))]
    return noise_like(kind, n / SAMPLE_RATE, SAMPLE_RATE, int(rng.integers(1 << 31)))[:n].astype(np.float64)


TEXTURES = (_bells, _birds, _sweep, _noise)


def coloured(rng: Rng, samples: Samples) -> Samples:
    """A room, a tone control, a floor of noise, a level."""
    n = len(samples)
    out = samples.astype(np.float64)
    if rng.uniform() < 0.5:
        out += rng.uniform(0.02, 0.4) * _echo(rng, out)
    octaves = np.log2(np.maximum(np.fft.rfftfreq(n, 1 / SAMPLE_RATE), 30.0))
    knots = np.linspace(octaves.min(), octaves.max(), 7)
    tone_db = np.interp(octaves, knots, np.cumsum(rng.normal(0, 2.5, 7)))
    if rng.uniform() < 0.15:  # a narrow line: telephone, old tape
        tone_db -= np.where(octaves > np.log2(rng.uniform(0.2, 0.45) * SAMPLE_RATE), 60.0, 0.0)
    out = np.fft.irfft(np.fft.rfft(out) * 10 ** (np.clip(tone_db, -80, 20) / 20), n)
    out /= max(np.abs(out).max(), 1e-6)
    floor = rng.normal(size=n) * 10 ** (rng.uniform(-95, -45) / 20)
    return (10 ** (rng.uniform(-20, -1) / 20) * (out + floor)).astype(np.float32)


def _echo(rng: Rng, out: NDArray[np.float64]) -> NDArray[np.float64]:
    """A room alone, as loud as what sounds in it."""
    tail = np.arange(int(rng.uniform(0.02, 0.5) * SAMPLE_RATE)) / SAMPLE_RATE
    response = rng.normal(size=len(tail)) * np.exp(-tail * rng.uniform(8, 60))
    size = 1 << int(np.ceil(np.log2(len(out) + len(tail))))
    wet = np.fft.irfft(np.fft.rfft(out, size) * np.fft.rfft(response, size), size)[: len(out)]
    return np.asarray(wet * np.abs(out).max() / max(np.abs(wet).max(), 1e-9))


if __name__ == "__main__":
    main()
