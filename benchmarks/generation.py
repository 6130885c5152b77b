"""How like real sounds generated ones are, on sounds held out: Frechet distance, copying, diversity, baselines.

    python benchmarks/generation.py notes --group-from '^([^_]+_[A-G]s?[0-9])' --train-time 5m
    python benchmarks/generation.py digits --group-from '_([0-9]+)\\.wav$'

A quarter of the groups is held out (``--fold`` says which), a model is trained on the rest with the defaults of
``volna generate train``, and as many sounds are generated as are held out, over three seeds. Every set of sounds is
written as files and heard through `volna.workflows.embed` (270 descriptors), standardised and projected on the first 8
and 16 principal components of the training sounds: a covariance of 270 numbers cannot be had from so few sounds. Real
sounds are prepared as the training prepares them: silence around them cut off, cut to the longest sound.

Every Frechet distance is between equal numbers of sounds. Few sounds raise it, the real ones among themselves too, so
the column that counts is the ratio to train / held out.
"""

from __future__ import annotations

import argparse
import re
import tempfile
from hashlib import md5
from pathlib import Path

import numpy as np

from volna.audio.decode import decode
from volna.audio.encode import encode
from volna.audio.signal import level_db
from volna.cli.options import parse_duration
from volna.features.refinement import sound_of_mel
from volna.features.sounding import sounding_mel
from volna.features.spectrum import stft
from volna.tasks.generation.attributes import measured
from volna.tasks.generation.judging import Axes, copying, diversity, fit_axes, frechet_distance
from volna.tasks.generation.prior import draw
from volna.tasks.generation.sounds import cut
from volna.workflows.each_file import files_under
from volna.workflows.embedding_files import embed
from volna.workflows.making.generating import generate
from volna.workflows.making.generating_maker import Maker, load_maker
from volna.workflows.making.generating_training import generate_train

N_COMPONENTS = (8, 16)
N_FOLDS = 4
SEEDS = (0, 1, 2)
AMOUNTS = (-1.0, 0.0, 1.0)
TRAIN, HELD = "training sounds, as many", "held-out sounds"
Sounds = list[np.ndarray]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--group-from", default=r"^(.*)$", help="what of a file name must not be torn apart")
    parser.add_argument("--fold", type=int, default=0, help="which quarter of the groups is held out, 0 to 3")
    parser.add_argument("--train-time", default="5m")
    parser.add_argument("--model", type=Path, help="keep the model here, or use the one that is here")
    parser.add_argument("--jobs", type=int)
    parser.add_argument("--vocoder", type=Path, help="of volna vocode train, beside Griffin-Lim")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        run(options, Path(scratch))


def run(options: argparse.Namespace, scratch: Path) -> None:
    training, held = split(options.folder, options.group_from, options.fold)
    model = options.model or scratch / "model.generator"
    if not model.exists():
        trained = generate_train(
            training, model, train_time_s=parse_duration(options.train_time), jobs=options.jobs, progress=None
        )
        print(f"trained on {trained.sounds} sounds at {trained.sample_rate} Hz, up to {trained.longest_s} s: ", end="")
        print(f"{trained.steps} steps in {trained.seconds:.0f} s; attributes {trained.attributes}\n")
    maker = load_maker(model)
    real = {"train": prepared(training, maker), "held": prepared(held, maker)}
    n = len(real["held"])
    sets: dict[str, list[Sounds]] = {"held-out sounds through their mel (floor)": [resynthesised(real["held"], maker)]}
    sets["generated"] = [made(maker, scratch, f"g{seed}", model, n, seed) for seed in SEEDS]
    if options.vocoder:
        sets["generated, neural vocoder"] = [
            made(maker, scratch, f"v{seed}", model, n, seed, vocoder=options.vocoder) for seed in SEEDS
        ]
    sets["prior: mixture of a few Gaussians"] = [from_prior(maker, n, "mixture")]
    sets["prior: one Gaussian"] = [from_prior(maker, n, "gaussian")]
    sets["noise with the mean spectrum"] = [shaped_noise(real["train"], n, maker)]
    report(real, sets, scratch, maker)
    attributes(model, maker, scratch)


def split(folder: Path, group_from: str, fold: int) -> tuple[list[str], list[str]]:
    """Files to train on and files held out; a group is on one side."""
    parts: tuple[list[str], list[str]] = ([], [])
    for file in files_under([folder])[0]:
        found = re.search(group_from, Path(file).name)
        name = (found[1] if found and found.groups() else found[0]) if found else Path(file).name
        parts[int(md5(name.encode()).hexdigest(), 16) % N_FOLDS == fold].append(file)
    return parts


def prepared(files: list[str], maker: Maker) -> Sounds:
    longest_s = float(maker.trained.summary["longest_s"])
    return [
        sound
        for file in files
        for sound in cut(decode(file, sample_rate=maker.sample_rate), maker.sample_rate, longest_s)
    ]


def resynthesised(sounds: Sounds, maker: Maker) -> Sounds:
    config = maker.trained.mel_config
    return [sound_of_mel(sounding_mel(sound, config), config) for sound in sounds]


def made(maker: Maker, scratch: Path, name: str, model: Path, n: int, seed: int, **how: object) -> Sounds:
    result = generate(model, scratch / name, n=n, seed=seed, **how)  # type: ignore[arg-type]
    return [decode(sound.path, sample_rate=maker.sample_rate) for sound in result.sounds]


def from_prior(maker: Maker, n: int, kind: str) -> Sounds:
    points = draw(maker.points, n, np.random.default_rng(0), kind=kind)
    return [maker.made(maker.space.sound(point, maker.stride), k)[1] for k, point in enumerate(points)]


def shaped_noise(training: Sounds, n: int, maker: Maker) -> Sounds:
    """Gaussian noise with the mean power spectrum of the training sounds, and their lengths and levels."""
    rng, config = np.random.default_rng(0), maker.trained.mel_config
    spectra = [(np.abs(stft(sound, config.n_fft, config.hop_length)) ** 2).mean(axis=1) for sound in training]
    mean, out = np.sqrt(np.mean(spectra, axis=0)), []
    for k in rng.choice(len(training), n):
        like = training[k]
        spectrum = np.fft.rfft(rng.standard_normal(len(like)))
        noise = np.fft.irfft(spectrum * np.interp(np.linspace(0, 1, len(spectrum)), np.linspace(0, 1, len(mean)), mean))
        noise *= np.sqrt((like**2).mean() / max((noise**2).mean(), 1e-20))
        out.append(np.resize(noise, len(like)).astype(np.float32))
    return out


def heard(sounds: Sounds, rate: int, folder: Path) -> np.ndarray:
    """The 270 descriptors of each sound, through files, as `volna embed` writes them."""
    folder.mkdir()
    for k, sound in enumerate(sounds):
        encode(folder / f"{k:05d}.wav", sound, rate)
    embed([folder], folder.with_suffix(".npz"), by="descriptors")
    return np.asarray(np.load(folder.with_suffix(".npz"))["vectors"])


def report(real: dict[str, Sounds], sets: dict[str, list[Sounds]], scratch: Path, maker: Maker) -> None:
    """The table, a row a set; several runs of one are averaged."""
    rate = maker.sample_rate
    train, held = (heard(real[name], rate, scratch / name) for name in ("train", "held"))
    rng, n = np.random.default_rng(0), len(held)
    some = [rng.choice(len(train), min(n, len(train)), replace=False) for _ in range(10)]
    axes = [fit_axes(train, k) for k in N_COMPONENTS]
    base = [float(np.mean([frechet_distance(ax(train[s]), ax(held)) for s in some])) for ax in axes]
    told = ", ".join(f"{value:.2f} in {k} dimensions" for k, value in zip(N_COMPONENTS, base, strict=True))
    print(f"{len(train)} training and {n} held-out sounds; train / held out: {told}\n")
    heads = [cell for k in N_COMPONENTS for cell in (f"Frechet, {k}", "ratio")]
    heads += ["to nearest train", "diversity", "in range", "flatness dB"]
    print(f"| sounds | {' | '.join(heads)} |\n|---|{'---|' * len(heads)}")
    known = {TRAIN: [train[s] for s in some], HELD: [held]}
    samples = {TRAIN: [[real["train"][k] for k in some[0]]], HELD: [real["held"]]} | sets
    for row, (title, several) in enumerate(samples.items()):
        vectors = known.get(title) or [heard(s, rate, scratch / f"{row}-{k}") for k, s in enumerate(several)]
        flat = np.median([10 / np.log(10) * measured(sound, rate)[3] for sound in several[0]])
        cells = [*_distances(vectors, held, axes, base), *_likeness(vectors, train, held, axes[-1]), f"{flat:.1f}"]
        print(f"| {title} | {' | '.join(cells)} |", flush=True)
    faults(sets["generated"], real["held"])


def _distances(vectors: list[np.ndarray], held: np.ndarray, axes: list[Axes], base: list[float]) -> list[str]:
    cells = []
    for ax, unit in zip(axes, base, strict=True):
        each = [frechet_distance(ax(v), ax(held)) for v in vectors]
        cells += [f"{np.mean(each):.2f} ± {np.std(each):.2f}", f"{np.mean(each) / unit:.2f}"]
    return cells


def _likeness(vectors: list[np.ndarray], train: np.ndarray, held: np.ndarray, ax: Axes) -> list[str]:
    least, most = train.min(axis=0), train.max(axis=0)
    copied = np.mean([copying(ax(v), ax(train), ax(held)) for v in vectors])
    unlike = np.mean([diversity(ax(v)) / diversity(ax(held)) for v in vectors])
    inside = np.mean([((v >= least) & (v <= most)).mean() for v in vectors])
    return [f"{copied:.2f}", f"{unlike:.2f}", f"{inside:.3f}"]


def faults(generated: list[Sounds], held: Sounds) -> None:
    """Count what is silent, clipped or not finite."""
    every = [sound for sounds in generated for sound in sounds]
    levels = [level_db(sound) for sound in every]
    silent = sum(level < min(map(level_db, held)) - 6 for level in levels)
    clipped = sum((np.abs(sound) >= 0.999).sum() > 2 for sound in every)
    wrong = sum(not np.isfinite(sound).all() for sound in every)
    print(f"\nof {len(every)} generated: {silent} silent (6 dB below the quietest held-out sound), ", end="")
    print(f"{clipped} clipped, {wrong} not finite")


def attributes(model: Path, maker: Maker, scratch: Path) -> None:
    """What is asked for and what comes: the mean attribute of eight sounds at every amount."""
    print("\n| asked for | R squared | " + " | ".join(f"{amount:+g}" for amount in AMOUNTS) + " |")
    print("|---|---|" + "---|" * len(AMOUNTS))
    for name, fit in maker.trained.summary["attributes"].items():
        means = []
        for k, amount in enumerate(AMOUNTS):
            result = generate(model, scratch / f"a-{name}-{k}", n=8, wanted={name: amount})
            values = [value for sound in result.sounds if (value := sound.attributes[name]) is not None]
            means.append(float(np.mean(values)) if values else float("nan"))
        print(f"| {name} | {fit:.2f} | " + " | ".join(f"{value:.2f}" for value in means) + " |", flush=True)


if __name__ == "__main__":
    main()
