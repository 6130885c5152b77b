"""Training of a codec on clips of sound: the latents and the sound from them in one loop.

A step draws clips and, for each, a step size, so that one model learns every rate. Two things are asked for: that the
quantised latents give the log-mel back at few bits, and that the vocoder makes the spectrum of the clip from that
log-mel, faults and all. The second teaches the vocoder alone: what is best for the log-mel stays the latents' business.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from volna.errors import InputError
from volna.features.sounding import sounding_config, sounding_mel
from volna.models.codec import Codec, CodecConfig
from volna.models.pca import PcaConfig, fit_pca
from volna.models.precision import short_numbers
from volna.models.vocoder import VocoderConfig
from volna.training.clips import Clips
from volna.training.fit import FitConfig, Fitted, fit
from volna.training.sound_losses import log_mel_of, spectrum_losses, spectrum_of

__all__ = ["CodecTraining", "latents_of", "train_codec"]

N_MELS_CLIPS = 400  # clips that the linear autoencoder and the range of the vocoder are fitted on
HELD_STEPS = (1.0, 2.0, 4.0)  # in turn, of the clips held out
EXAMPLES_S = 1200.0  # of sound that the frequencies are counted in
EXAMPLE_S = 30.0  # of one sound, at most


@dataclass(frozen=True)
class CodecTraining:
    """Settings of a training.

    Attributes
    ----------
    n_frames, batch_size : frames of a clip, a multiple of ``stride``, and clips of a step.
    gain_db : every clip is made louder by as much, at random between.
    step_range : of the quantiser, drawn evenly in proportion.
    rate_weight : what a bit of a latent costs, in units of the mean error of the log-mel.
    stride, n_dims, width : of `volna.models.codec.CodecConfig`.
    dim, depth : of the vocoder.
    """

    n_frames: int = 48
    batch_size: int = 12
    gain_db: tuple[float, float] = (-15.0, 5.0)
    step_range: tuple[float, float] = (0.5, 5.0)
    rate_weight: float = 0.002
    stride: int = 4
    n_dims: int = 128
    width: int = 96
    dim: int = 128
    depth: int = 4
    fit: FitConfig = field(default_factory=lambda: FitConfig(lr=2e-3, ema=0.998))


def train_codec(
    clips: Clips, settings: CodecTraining | None = None, *, state_file: Path | None = None, fingerprint: str = ""
) -> Generator[dict[str, Any], None, Fitted]:
    """Train a `Codec`, as a generator of progress events that returns what is kept.

    Parameters
    ----------
    clips
        At one of the rates of `volna.features.sounding`.
    settings
        The defaults are meant to be used.
    state_file, fingerprint
        See `volna.training.fit.fit`.

    Raises
    ------
    InputError
        A setting that makes no sense.
    """
    settings = settings or CodecTraining()
    _check(settings)
    torch.manual_seed(settings.fit.seed)
    mel = sounding_config(clips.sample_rate)
    length = (settings.n_frames - 1) * mel.hop_length + mel.n_fft
    low, high = np.log(settings.step_range)

    def heard(samples: NDArray[np.float32]) -> tuple[Tensor, Tensor]:
        spectrum = spectrum_of(torch.from_numpy(samples), mel.n_fft, mel.hop_length, centre=False)
        return spectrum, log_mel_of(spectrum.abs(), mel)

    def draw(rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
        samples = clips.draw(rng, settings.batch_size, length, margin=mel.n_fft // 2)
        gains = 10 ** (rng.uniform(*settings.gain_db, size=(len(samples), 1)) / 20)
        steps = np.exp(rng.uniform(low, high, len(samples))).astype(np.float32)
        return (*heard(samples * gains.astype(np.float32)), torch.from_numpy(steps))

    def loss_of(model: Codec, batch: tuple[Tensor, Tensor, Tensor], done: float) -> dict[str, Tensor]:
        return _losses(model, batch, settings.rate_weight)

    held = clips.held_clips(32, length, margin=mel.n_fft // 2)
    steps = torch.tensor([HELD_STEPS[k % len(HELD_STEPS)] for k in range(len(held))])
    judged = (*heard(held), steps) if len(held) else None

    @torch.no_grad()
    def validate(model: Codec) -> float:
        assert judged is not None
        return float(torch.stack(list(_losses(model, judged, settings.rate_weight).values())).sum())

    model = _new_model(settings, clips, draw)
    return (
        yield from fit(
            model, draw, loss_of, validate=validate if judged else None, config=settings.fit, state_file=state_file,
            fingerprint=fingerprint,
        )
    )  # fmt: skip


def _losses(model: Codec, batch: tuple[Tensor, Tensor, Tensor], rate_weight: float) -> dict[str, Tensor]:
    spectrum, log_mel, steps = batch
    with torch.autocast("cpu", torch.bfloat16, enabled=short_numbers()):
        latent = model.latent_of(log_mel).float()
        made = model.mel_from(model.quantised(latent, steps), steps).float()
        heard = model.vocoder.heard(made.detach())
    # Bits of a number of size z in steps of s, about log2(1 + |z| / s): what holds the latents from growing.
    bits = torch.log2(1 + latent.abs() / steps[:, None, None]).sum(1).mean()
    losses = {"mel": 2.0 * (made - log_mel).abs().mean(), "rate": 2.0 * rate_weight * bits}
    return losses | spectrum_losses(heard, spectrum, model.config.vocoder_config.mel_config.hop_length)


def _new_model(settings: CodecTraining, clips: Clips, draw: Any) -> Codec:
    """A codec whose linear part is fitted and whose networks begin as nothing."""
    mel = sounding_config(clips.sample_rate)
    vocoder = VocoderConfig(asdict(mel), dim=settings.dim, depth=settings.depth)
    model = Codec(CodecConfig(asdict(vocoder), settings.stride, settings.n_dims, settings.width))
    rng = np.random.default_rng([settings.fit.seed, 41])
    mels = torch.cat([draw(rng)[1] for _ in range(-(-N_MELS_CLIPS // settings.batch_size))])
    config = PcaConfig(mel.n_mels, settings.n_dims, settings.stride)
    model.linear.load_state_dict(fit_pca(iter(mels.numpy()), config).state_dict())
    model.vocoder.set_range(mels.mean(dim=(0, 2)), mels.std(dim=(0, 2)).mean().expand(mel.n_mels))
    return model


def _check(settings: CodecTraining) -> None:
    if settings.n_frames % settings.stride or settings.n_frames < 2 * settings.stride or settings.batch_size < 1:
        raise InputError(f"expected clips of whole patches of {settings.stride} frames, got {settings.n_frames}")
    if not 0 < settings.step_range[0] < settings.step_range[1]:
        raise InputError(f"expected a range of steps, got {settings.step_range}")


@torch.inference_mode()
def latents_of(model: Codec, clips: Clips) -> list[NDArray[np.float32]]:
    """Latents ``(n_latents, n_dims)``, not rounded, of the sounds that frequencies are counted in."""
    mel = model.config.vocoder_config.mel_config
    share = min(1.0, EXAMPLES_S * clips.sample_rate / max(1, sum(map(len, clips.sounds))))
    found = []
    for sound in (*clips.sounds, *clips.held):
        n = max(mel.n_fft, min(int(share * len(sound)), int(EXAMPLE_S * clips.sample_rate)))
        frames = torch.from_numpy(sounding_mel(sound[:n], mel).copy())
        found.append(model.latent_of(frames[None])[0].T.numpy())
    return found
