"""From mel frames to sound: ConvNeXt blocks, a spectrum and how its phase turns, an inverse transform.

In the manner of Vocos (Siuzdak 2024): all work is done at the rate of the frames, and the inverse Fourier transform
makes the samples. Vocos gives the phase of every bin itself. Nothing in a mel frame tells that, so it is learnt in days
of playing against discriminators. What a mel frame does tell is how the phase *turns*: from frame to frame (the
frequency of what sounds) and from bin to bin (when it sounds). These two steps are predicted, as means of points on the
unit circle, whose lengths say how sure they are, and `volna.features.phase` adds them up.

Conventions: ``(batch, channels, n_frames)``; inside the blocks ``(batch, n_frames, dim)``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from volna.errors import ModelError
from volna.features.phase import phase_from_steps
from volna.features.spectrum import MelConfig, mel_filters

__all__ = ["Backbone", "ConvNextBlock", "Heard", "SpectrumHead", "Vocoder", "VocoderConfig", "inverse_stft"]

START_STEPS = 8  # updates of the non-negative least squares that the magnitudes start from
_TINY = 1e-12


@dataclass(frozen=True)
class VocoderConfig:
    """Sizes of a `Vocoder`.

    Attributes
    ----------
    mel : dict
        Fields of `volna.features.spectrum.MelConfig`: what sound is described by, and the frames that it is made of.
    n_inputs : int
        Channels of a frame; 0 for the bands of the mel. With another number (the latent of a codec, say) the magnitudes
        start from nothing.
    dim, depth, kernel, widening : int
        Width and number of the blocks, frames of their depthwise convolution, width inside them as a multiple.
    """

    mel: dict[str, Any]
    n_inputs: int = 0
    dim: int = 192
    depth: int = 5
    kernel: int = 7
    widening: int = 3

    def __post_init__(self) -> None:
        if min(self.dim, self.depth, self.kernel, self.widening) < 1 or self.n_inputs < 0 or not self.kernel % 2:
            raise ModelError(f"expected sizes of at least 1 and an odd kernel, got {self}")
        if self.mel_config.n_fft % 2:
            raise ModelError(f"expected an even n_fft, got {self.mel_config.n_fft}")

    @property
    def mel_config(self) -> MelConfig:
        """How sound is described."""
        return MelConfig(**self.mel)

    @property
    def from_mel(self) -> bool:
        """Whether a frame of the input is one of the log-mel."""
        return self.n_inputs in (0, self.mel_config.n_mels)

    @property
    def context(self) -> int:
        """Frames on either side that an output frame hears."""
        return (self.kernel // 2) * (self.depth + 1)


class Heard(NamedTuple):
    """What a `SpectrumHead` gives, ``(B, n_bins, T)`` each: natural logarithm of the magnitude, and the two steps of
    the phase as real and imaginary parts ``(B, 2, n_bins, T)``, see `volna.features.phase`."""

    log_magnitude: Tensor
    time_step: Tensor
    bin_step: Tensor


class ConvNextBlock(nn.Module):
    """``x + scale * W2 gelu(W1 norm(depthwise(x)))`` on ``(B, T, dim)`` (Liu et al. 2022)."""

    def __init__(self, dim: int, kernel: int = 7, widening: int = 3) -> None:
        super().__init__()
        self.depthwise = nn.Conv1d(dim, dim, kernel, padding=kernel // 2, groups=dim)
        self.norm = nn.LayerNorm(dim)
        self.widen = nn.Linear(dim, widening * dim)
        self.narrow = nn.Linear(widening * dim, dim)
        self.scale = nn.Parameter(torch.full((dim,), 0.1))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.depthwise(x.transpose(1, 2)).transpose(1, 2))
        added: Tensor = x + self.scale * self.narrow(F.gelu(self.widen(y), approximate="tanh"))
        return added


class Backbone(nn.Module):
    """``(B, n_inputs, T) -> (B, T, dim)``: a convolution and ``depth`` blocks; no frame hears beyond ``context``."""

    def __init__(self, n_inputs: int, dim: int, depth: int, kernel: int = 7, widening: int = 3) -> None:
        super().__init__()
        self.enter = nn.Conv1d(n_inputs, dim, kernel, padding=kernel // 2)
        self.first = nn.LayerNorm(dim)
        self.blocks = nn.ModuleList(ConvNextBlock(dim, kernel, widening) for _ in range(depth))
        self.last = nn.LayerNorm(dim)

    def forward(self, x: Tensor) -> Tensor:
        y = self.first(self.enter(x).transpose(1, 2))
        for block in self.blocks:
            y = block(y)
        out: Tensor = self.last(y)
        return out


class SpectrumHead(nn.Module):
    """``(B, T, dim) -> Heard``; ``start`` ``(B, n_bins, T)`` is what the logarithm of the magnitude is counted from."""

    def __init__(self, dim: int, n_bins: int) -> None:
        super().__init__()
        self.n_bins = n_bins
        self.out = nn.Linear(dim, 5 * n_bins)
        nn.init.normal_(self.out.weight, std=0.02)
        nn.init.zeros_(self.out.bias)

    def forward(self, x: Tensor, start: Tensor | None = None) -> Heard:
        y = self.out(x).float().transpose(1, 2)  # (B, 5 K, T)
        magnitude, steps = y[:, : self.n_bins], y[:, self.n_bins :]
        time_step, bin_step = steps.unflatten(1, (2, 2, self.n_bins)).unbind(1)
        return Heard(magnitude if start is None else start + magnitude, time_step, bin_step)


class Vocoder(nn.Module):
    """A network that makes sound from mel frames, or from whatever frames it is trained on.

    Examples
    --------
    >>> from dataclasses import asdict
    >>> from volna.features.sounding import sounding_config
    >>> model = Vocoder(VocoderConfig(asdict(sounding_config(8_000)), dim=16, depth=1))
    >>> model(torch.zeros(2, 64, 5)).shape
    torch.Size([2, 512])
    """

    centre: Tensor
    spread: Tensor
    filters: Tensor

    def __init__(self, config: VocoderConfig) -> None:
        super().__init__()
        self.config = config
        mel = config.mel_config
        n_inputs = config.n_inputs or mel.n_mels
        self.backbone = Backbone(n_inputs, config.dim, config.depth, config.kernel, config.widening)
        self.head = SpectrumHead(config.dim, 1 + mel.n_fft // 2)
        # What the inputs are centred on and divided by: mean and spread over the training sounds, see `set_range`.
        self.register_buffer("centre", torch.zeros(n_inputs))
        self.register_buffer("spread", torch.ones(n_inputs))

    def set_range(self, mean: Tensor, spread: Tensor) -> None:
        """Set what inputs are centred on and divided by, ``(n_inputs,)`` each."""
        self.centre.copy_(mean)
        self.spread.copy_(spread.clamp(min=1e-3))

    def heard(self, mel: Tensor) -> Heard:
        """The spectrum behind frames ``(B, n_inputs, T)``."""
        x = self.backbone((mel - self.centre[:, None]) / self.spread[:, None])
        return self.head(x, self._start(mel) if self.config.from_mel else None)

    def forward(self, mel: Tensor) -> Tensor:
        """Samples ``(B, (T - 1) * hop_length)``; what they are learnt by flows back through the magnitudes alone."""
        heard, hop_length = self.heard(mel), self.config.mel_config.hop_length
        return inverse_stft(heard.log_magnitude, phases_of(heard, hop_length), hop_length)

    def _start(self, mel: Tensor) -> Tensor:
        """Non-negative least squares as `volna.features.inversion.magnitude_from_mel`, in logarithms: (B, K, T)."""
        filters = torch.from_numpy(mel_filters(self.config.mel_config).copy()).to(mel)
        with torch.no_grad():
            level = mel.amax(dim=1, keepdim=True)  # of each frame; powers of a quiet one would vanish in float32
            powers = torch.exp(2.0 * (mel.float() - level)).transpose(1, 2)  # (B, T, n_mels)
            wanted = powers @ filters
            estimate = wanted / (filters.sum(0) * filters.sum(1).mean()).clamp(min=_TINY)
            for _ in range(START_STEPS):
                estimate = estimate * wanted / ((estimate @ filters.T) @ filters).clamp(min=_TINY)
            estimate[..., 0], estimate[..., -1] = estimate[..., 1], estimate[..., -2]  # the filters are 0 there
            return 0.5 * torch.log(estimate.clamp(min=_TINY)).transpose(1, 2) + level


def phases_of(heard: Heard, hop_length: int) -> Tensor:
    """The steps added up, complex64 ``(B, n_bins, T)``, without gradients."""
    magnitudes = heard.log_magnitude.detach().exp().cpu().numpy()
    turns = (torch.complex(step[:, 0], step[:, 1]).detach().cpu().numpy() for step in (heard.time_step, heard.bin_step))
    phases = [phase_from_steps(a, b, c, hop_length) for a, b, c in zip(magnitudes, *turns, strict=True)]
    return torch.from_numpy(np.stack(phases)).to(heard.log_magnitude.device)


def inverse_stft(log_magnitude: Tensor, phases: Tensor, hop_length: int) -> Tensor:
    """Samples ``(B, (T - 1) * hop_length)`` of a spectrum ``(B, n_bins, T)``, Hann window, centred frames."""
    spectrum = log_magnitude.clamp(max=12.0).exp() * phases
    n_fft = 2 * (spectrum.shape[1] - 1)
    window = torch.hann_window(n_fft, device=spectrum.device)
    return torch.istft(spectrum, n_fft, hop_length, window=window)
