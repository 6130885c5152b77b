"""Training a denoiser: the loss, what is held out, and the training itself as a generator of progress events.

The loss compares spectra whose magnitudes are raised to 0.3, about as loudness is heard, with their phases and
without (Braun and Tashev 2021), and adds the ratio of what is wrong to what is right in dB, which keeps the waveform.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from volna.models.denoiser import Denoiser, DenoiserConfig
from volna.models.denoiser_file import TrainedDenoiser, to_bytes
from volna.synthesis.noises import NOISES
from volna.training.clips import open_clips
from volna.training.fit import FitConfig, Fitted, fit
from volna.training.mixtures import Batch, Clip, Material, batch_of, synthetic_noise, synthetic_voice

__all__ = ["DenoiserTraining", "gain_db", "loss_of", "train_denoiser", "train_task"]

POWER = 0.3
MAGNITUDE, COMPLEX, RATIO = 10.0, 6.0, 0.5  # weights of the three parts
OVER = 1.0  # speech that is taken out counts so much more than noise that is left
EPS = 1e-6  # of power; the mean is 1
LEAST_RATIO = 1e-3  # -30 dB: better than that need not be
UNHEARD = 0.1  # of the noisy power, added to the clean one: mixtures without a clean sound count too
N_FIRST, N_NOISES = 2, 8  # synthetic noises of each kind to begin with, and at most at a time
VOICES_FIRST, N_VOICES = 16, 64
FRESH_EVERY = 2  # about every so many batches a new noise and a new voice are made, in place of old ones
N_HELD_OUT, HELD_NOISES = 32, 2  # mixtures; synthetic noises of each kind in them
PATIENCE = 20

Inputs = tuple[Tensor, ...]


@dataclass(frozen=True)
class DenoiserTraining:
    """Settings of a training; ``n_bins`` that the denoiser hears, ``batch`` mixtures a step."""

    sample_rate: int = 16_000
    n_bins: int = 257
    batch: int = 8
    max_steps: int = 6_000
    time_budget_s: float | None = 600.0
    val_every: int = 100
    seed: int = 0
    lr: float = 2e-3
    ema: float = 0.99


def as_tensors(batch: Batch) -> Inputs:
    """The parts of a batch in their order."""
    parts = (batch.noisy, batch.clean, batch.turn, batch.used, batch.wiener)
    return tuple(torch.from_numpy(part) for part in parts)


def loss_of(model: Denoiser, batch: Inputs, done: float = 0.0) -> dict[str, Tensor]:
    """The three parts of the loss of a batch, see `Batch`; ``ratio`` falls below 0 where the sound is clean.

    Examples
    --------
    >>> parts = tuple(torch.ones(1, 4, 129) for _ in range(5))
    >>> sorted(loss_of(Denoiser(DenoiserConfig(n_bins=129)), parts))
    ['complex', 'magnitude', 'ratio']
    """
    noisy, clean, turn, used, wiener = batch
    made = model(noisy.square(), wiener) * noisy
    n = used.sum(dim=(1, 2))
    # |a|^.3, and with phases |a e^i - b e^j|^2; a real gain leaves the angle between them as it is.
    a, b = (made.square() + EPS) ** (POWER / 2), (clean.square() + EPS) ** (POWER / 2)
    magnitude = ((a - b).square() * (1 + OVER * (a < b)) * used).sum(dim=(1, 2)) / n
    with_phases = ((a.square() + b.square() - 2 * a * b * turn) * used).sum(dim=(1, 2)) / n
    return {
        "magnitude": MAGNITUDE * magnitude.mean(),
        "complex": COMPLEX * with_phases.mean(),
        "ratio": RATIO * torch.log(_wrong(made, clean, turn) / _right(noisy, clean) + LEAST_RATIO).mean(),
    }


def _wrong(made: Tensor, clean: Tensor, turn: Tensor) -> Tensor:
    """Power of the difference, ``(B,)``."""
    return (made.square() + clean.square() - 2 * made * clean * turn).sum(dim=(1, 2))


def _right(noisy: Tensor, clean: Tensor) -> Tensor:
    return clean.square().sum(dim=(1, 2)) + UNHEARD * noisy.square().sum(dim=(1, 2))


@torch.no_grad()
def gain_db(model: Denoiser, batch: Inputs) -> tuple[float, float]:
    """How much nearer to the clean sound the denoiser and the Wiener gain come, means in dB over the mixtures."""
    noisy, clean, turn, _, wiener = batch
    before = _wrong(noisy, clean, turn)
    sounds = (clean.sum(dim=(1, 2)) > 0) & (before > 0.01 * clean.square().sum(dim=(1, 2)))  # below 20 dB
    if not bool(sounds.any()):
        return 0.0, 0.0
    after = [_wrong(gain * noisy, clean, turn) for gain in (model(noisy.square(), wiener), wiener)]
    gains = [float((10 * torch.log10(before / (x + 1e-9)))[sounds].mean()) for x in after]
    return gains[0], gains[1]


def train_denoiser(
    clean: Sequence[Clip],
    held: Sequence[Clip],
    noises: tuple[Sequence[Clip], Sequence[Clip]] | None,
    training: DenoiserTraining,
    *,
    state_file: Path | None = None,
    fingerprint: str = "",
    config: DenoiserConfig | None = None,
) -> Generator[dict[str, Any], None, Fitted]:
    """Train a denoiser, as a generator of progress events that returns what is kept, see `volna.training.fit`.

    Parameters
    ----------
    clean, held
        Clean sounds to learn from and to validate on, at ``training.sample_rate``.
    noises
        Noises to learn from and to validate on; None for synthetic ones.
    """
    torch.manual_seed(training.seed)
    model = Denoiser(config or DenoiserConfig(n_bins=training.n_bins))
    rng = np.random.default_rng([training.seed, 5])
    pool = list(noises[0]) if noises else _synthetic(N_FIRST, training, rng)
    unheard = list(noises[1]) if noises else _synthetic(HELD_NOISES, training, rng)
    voices = [synthetic_voice(training.sample_rate, rng) for _ in range(VOICES_FIRST)]
    material = Material(clean, pool, voices, training.sample_rate, training.n_bins)
    exam_material = Material(held or clean, unheard or pool, [], training.sample_rate, training.n_bins)
    exam = as_tensors(batch_of(exam_material, N_HELD_OUT, np.random.default_rng([training.seed, 9])))

    def draw(rng: np.random.Generator) -> Inputs:
        if rng.random() < 1 / FRESH_EVERY:
            _put(voices, synthetic_voice(training.sample_rate, rng), N_VOICES, rng)
            if noises is None:
                kind = list(NOISES)[int(rng.integers(len(NOISES)))]
                _put(pool, synthetic_noise(kind, training.sample_rate, rng), N_NOISES * len(NOISES), rng)
        return as_tensors(batch_of(material, training.batch, rng))

    @torch.no_grad()
    def validate(model: Denoiser) -> float:
        return float(sum(loss_of(model, exam).values()))

    settings = FitConfig(
        lr=training.lr,
        max_steps=training.max_steps,
        time_budget_s=training.time_budget_s,
        ema=training.ema,
        val_every=training.val_every,
        seed=training.seed,
        patience=PATIENCE,
    )
    fitted = yield from fit(
        model, draw, loss_of, validate=validate, config=settings, state_file=state_file, fingerprint=fingerprint
    )
    fitted.summary |= dict(zip(("gain_db", "wiener_gain_db"), gain_db(fitted.model, exam), strict=True))
    return fitted


def _put(clips: list[Clip], clip: Clip, most: int, rng: np.random.Generator) -> None:
    """One more, or in the place of another one."""
    if len(clips) < most:
        clips.append(clip)
    else:
        clips[int(rng.integers(len(clips)))] = clip


def _synthetic(n: int, training: DenoiserTraining, rng: np.random.Generator) -> list[Clip]:
    """So many noises of each kind, the kinds in their turn."""
    return [synthetic_noise(kind, training.sample_rate, rng) for _ in range(n) for kind in NOISES]


def train_task(settings: Mapping[str, Any]) -> Generator[tuple[str, dict[str, Any]], None, dict[str, Any]]:
    """A training as a task of `volna.pool`: yields ``("progress", event)``, returns the file's bytes and the summary.

    ``settings``: ``training`` (of `DenoiserTraining`), ``clean`` and ``noises`` (None for synthetic ones), each a dict
    of ``folder``, ``names`` and ``tops_hz`` of what `volna.training.clips.keep_sound` kept; ``state_file``,
    ``fingerprint``, ``n_threads``.
    """
    torch.set_num_threads(int(settings["n_threads"]))
    training = DenoiserTraining(**settings["training"])
    clean, held = _opened(settings["clean"], training)
    noises = _opened(settings["noises"], training) if settings["noises"] else None
    state_file = Path(settings["state_file"]) if settings["state_file"] else None
    steps = train_denoiser(clean, held, noises, training, state_file=state_file, fingerprint=settings["fingerprint"])
    while True:
        try:
            event = next(steps)
        except StopIteration as stop:
            fitted: Fitted = stop.value
            break
        yield "progress", event
    summary = fitted.summary | {"training": asdict(training), "n_parameters": _n_parameters(fitted.model)}
    data = to_bytes(TrainedDenoiser(fitted.model, summary))
    return {"denoiser": data, "summary": summary, "history": fitted.history}


def _opened(kept: Mapping[str, Any], training: DenoiserTraining) -> tuple[list[Clip], list[Clip]]:
    """What was kept of a folder: to train on, and to validate on."""
    tops = dict(zip(kept["names"], kept["tops_hz"], strict=True))
    parts = open_clips(kept["folder"], kept["names"], training.sample_rate, seed=training.seed)

    def clip(sound: Any) -> Clip:
        name = Path(str(getattr(sound, "filename", None) or "")).name  # of a memory map
        return Clip(sound, tops.get(name, training.sample_rate / 2))

    return [clip(sound) for sound in parts.sounds], [clip(sound) for sound in parts.held]


def _n_parameters(model: Denoiser) -> int:
    return sum(p.numel() for p in model.parameters())
