"""Training of a vocoder on clips of sound: the spectrum of a clip from its mel, see `volna.models.vocoder`."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from volna.errors import InputError
from volna.features.sounding import sounding_config
from volna.features.spectrum import MelConfig
from volna.models.precision import short_numbers
from volna.models.vocoder import Vocoder, VocoderConfig
from volna.models.vocoder_file import TrainedVocoder, to_bytes
from volna.training.clips import Clips, open_clips
from volna.training.fit import FitConfig, Fitted, fit
from volna.training.sound_losses import log_mel_of, spectrum_losses, spectrum_of
from volna.training.spectrum_judge import JUDGED_FROM, SpectrumJudge, judge_losses, judging_loss

__all__ = ["VocoderTraining", "train_task", "train_vocoder"]

N_RANGE_BATCHES = 8  # whose mels say what the inputs are centred on and divided by
N_HELD = 32  # clips to validate on


@dataclass(frozen=True)
class VocoderTraining:
    """Settings of a training.

    Attributes
    ----------
    n_frames, batch_size : frames of a clip, and clips of a step.
    gain_db : every clip is made louder by as much, at random between.
    dim, depth : of the network.
    adversarial : whether a second network judges the magnitudes in the later part.
    """

    n_frames: int = 64
    batch_size: int = 8
    gain_db: tuple[float, float] = (-15.0, 5.0)
    dim: int = 192
    depth: int = 5
    adversarial: bool = False
    fit: FitConfig = field(default_factory=lambda: FitConfig(lr=2e-3, max_steps=8_000, ema=0.996))


def train_vocoder(
    clips: Clips, settings: VocoderTraining | None = None, *, state_file: Path | None = None, fingerprint: str = ""
) -> Generator[dict[str, Any], None, Fitted]:
    """Train a `Vocoder`, as a generator of progress events that returns what is kept.

    Parameters
    ----------
    clips : Clips
        At one of the rates of `volna.features.sounding`.
    settings : VocoderTraining, optional
    state_file, fingerprint
        See `volna.training.fit.fit`.

    Raises
    ------
    InputError
        A setting that makes no sense, or no sound.
    """
    settings = settings or VocoderTraining()
    _check(settings, clips)
    mel = sounding_config(clips.sample_rate)
    draw, length = _drawer(clips, settings, mel)
    torch.manual_seed(settings.fit.seed)
    model = Vocoder(VocoderConfig(asdict(mel), dim=settings.dim, depth=settings.depth))
    _set_range(model, draw, settings.fit.seed)
    if settings.adversarial:
        model.discriminator = SpectrumJudge()

    def loss_of(model: Any, samples: Tensor, done: float) -> dict[str, Tensor]:
        spectrum = spectrum_of(samples, mel.n_fft, mel.hop_length, centre=False)
        with torch.autocast("cpu", torch.bfloat16, enabled=short_numbers()):
            heard = model.heard(log_mel_of(spectrum.abs(), mel))
        losses = spectrum_losses(heard, spectrum, mel.hop_length)
        if settings.adversarial and model.training and done > JUDGED_FROM:
            losses |= judge_losses(model.discriminator, heard.log_magnitude, spectrum)
        return losses

    def judge_loss_of(model: Any, samples: Tensor) -> Tensor:
        spectrum = spectrum_of(samples, mel.n_fft, mel.hop_length, centre=False)
        with torch.no_grad():
            heard = model.heard(log_mel_of(spectrum.abs(), mel))
        return judging_loss(model.discriminator, heard.log_magnitude, spectrum)

    held = torch.from_numpy(clips.held_clips(N_HELD, length, margin=mel.n_fft // 2))

    @torch.no_grad()
    def validate(model: Vocoder) -> float:
        return float(torch.stack(list(loss_of(model, held, 1.0).values())).sum())

    fitted = yield from fit(
        model, draw, loss_of, validate=validate if len(held) else None, config=settings.fit, state_file=state_file,
        fingerprint=fingerprint, judge_loss_of=judge_loss_of if settings.adversarial else None,
    )  # fmt: skip
    if settings.adversarial:
        del fitted.model.discriminator  # it has done its part, and the file need not carry it
    return fitted


def train_task(settings: Mapping[str, Any]) -> Generator[tuple[str, dict[str, Any]], None, dict[str, Any]]:
    """`train_vocoder` for a child of `volna.pool`: talks of its progress, returns file, history and summary.

    ``settings``: ``folder``, ``names``, ``sample_rate`` (see `volna.training.clips.open_clips`), ``training`` (fields
    of `VocoderTraining`), ``fit`` (of `FitConfig`), ``state_file``, ``fingerprint``, ``n_threads``.
    """
    torch.set_num_threads(settings["n_threads"])
    config = FitConfig(**{**asdict(VocoderTraining().fit), **settings["fit"]})
    clips = open_clips(settings["folder"], settings["names"], settings["sample_rate"], seed=config.seed)
    training = VocoderTraining(**settings["training"], fit=config)
    steps = train_vocoder(clips, training, state_file=Path(settings["state_file"]), fingerprint=settings["fingerprint"])
    while True:
        try:
            yield "progress", next(steps)
        except StopIteration as stop:
            fitted: Fitted = stop.value
            break
    summary = fitted.summary | {
        "sample_rate": clips.sample_rate,
        "n_training": len(clips.sounds),
        "n_held_out": len(clips.held),
        "training_s": round(clips.seconds, 1),
        "n_parameters": sum(p.numel() for p in fitted.model.parameters()),
        "adversarial": training.adversarial,
    }
    return {"file": to_bytes(TrainedVocoder(fitted.model, summary)), "history": fitted.history, "summary": summary}


def _drawer(
    clips: Clips, settings: VocoderTraining, mel: MelConfig
) -> tuple[Callable[[np.random.Generator], Tensor], int]:
    """What draws a batch ``(batch_size, length)``, and the length of its clips: all frames lie inside."""
    length = (settings.n_frames - 1) * mel.hop_length + mel.n_fft

    def draw(rng: np.random.Generator) -> Tensor:
        samples = clips.draw(rng, settings.batch_size, length, margin=mel.n_fft // 2)
        gains = 10 ** (rng.uniform(*settings.gain_db, size=(len(samples), 1)) / 20)
        return torch.from_numpy(samples * gains.astype(np.float32))

    return draw, length


def _set_range(model: Vocoder, draw: Callable[[np.random.Generator], Tensor], seed: int) -> None:
    """Centre every band on its mean over some batches, and divide all by one spread."""
    mel, rng = model.config.mel_config, np.random.default_rng([seed, 51])
    batches = (spectrum_of(draw(rng), mel.n_fft, mel.hop_length, centre=False) for _ in range(N_RANGE_BATCHES))
    mels = torch.cat([log_mel_of(spectrum.abs(), mel) for spectrum in batches])
    spread = mels.std(dim=(0, 2)).mean()
    model.set_range(mels.mean(dim=(0, 2)), spread.expand(mel.n_mels))


def _check(settings: VocoderTraining, clips: Clips) -> None:
    for name in ("n_frames", "batch_size", "dim", "depth"):
        if getattr(settings, name) < 1:
            raise InputError(f"expected {name} of at least 1, got {getattr(settings, name)}")
    if not clips.sounds or not sum(map(len, clips.sounds)):
        raise InputError("expected one sound to learn from at least, got none")
