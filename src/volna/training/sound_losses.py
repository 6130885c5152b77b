"""Losses of networks that make sound, on torch batches: of the samples, and of a spectrum before it is turned back."""

from __future__ import annotations

import torch
from torch import Tensor

from volna.features.sound_distance import RESOLUTIONS
from volna.features.spectrum import MelConfig, mel_filters
from volna.models.vocoder import Heard

__all__ = [
    "FLOOR",
    "log_mel_of",
    "mel_loss",
    "multi_resolution_stft_loss",
    "spectrum_losses",
    "spectrum_of",
    "true_steps",
]

FLOOR = 1e-4  # magnitudes below it count as it: the noise of 16 bits lies at 6e-5 in a frame of 1024
PHASE_POWER = 0.6  # of the magnitude, by which a step of the phase counts: as loudness grows with amplitude


def spectrum_of(samples: Tensor, n_fft: int, hop_length: int, *, centre: bool = True) -> Tensor:
    """complex64 ``(B, n_bins, T)`` of samples ``(B, n)``, as `volna.features.spectrum.stft`; without ``centre`` the
    first frame begins at the first sample."""
    window = torch.hann_window(n_fft, device=samples.device)
    return torch.stft(
        samples, n_fft, hop_length, window=window, center=centre, pad_mode="constant", return_complex=True
    )


def log_mel_of(magnitude: Tensor, config: MelConfig, *, amin: float = 1e-5) -> Tensor:
    """``(B, n_mels, T)`` as `volna.features.sounding.sounding_mel`, of magnitudes ``(B, n_bins, T)``."""
    filters = torch.from_numpy(mel_filters(config).copy()).to(magnitude)
    return 0.5 * torch.log((filters @ magnitude.square()).clamp(min=amin**2))


def multi_resolution_stft_loss(made: Tensor, real: Tensor) -> Tensor:
    """Spectral convergence and log-magnitude distance over three resolutions (Yamamoto et al. 2020), of ``(B, n)``."""
    total = made.new_zeros(())
    for n_fft, hop_length in RESOLUTIONS:
        a, b = (_magnitude(spectrum_of(x, n_fft, hop_length)) for x in (made, real))
        convergence = torch.linalg.vector_norm(a - b, dim=(1, 2)) / torch.linalg.vector_norm(b, dim=(1, 2)).clamp(
            min=FLOOR
        )
        total = total + convergence.mean() + _log_distance(a, b)
    return total / len(RESOLUTIONS)


def mel_loss(made: Tensor, real: Tensor, config: MelConfig) -> Tensor:
    """Mean absolute difference of the log-mels, in natural logarithms of amplitude; ``(B, n)`` each."""
    a, b = (
        log_mel_of(_magnitude(spectrum_of(x, config.n_fft, config.hop_length)), config, amin=FLOOR)
        for x in (made, real)
    )
    return (a - b).abs().mean()


def spectrum_losses(heard: Heard, spectrum: Tensor, hop_length: int) -> dict[str, Tensor]:
    """How far a predicted spectrum is from the true one, ``complex64 (B, n_bins, T)``.

    Returns
    -------
    dict
        ``magnitude``: mean absolute difference of logarithms; ``convergence``: of magnitudes, relative to the clip's;
        ``time_step``, ``bin_step``: squared distance of the steps of the phase, weighted by loudness. The mean of what
        could be is what they learn, so an unforeseeable step comes out short.
    """
    true = _magnitude(spectrum)
    made = heard.log_magnitude.clamp(max=12.0)
    log_true = torch.log(true.clamp(min=FLOOR))
    floored = torch.maximum(made, log_true.new_tensor(FLOOR).log())
    difference = torch.linalg.vector_norm(made.exp() - true, dim=(1, 2))
    time_step, bin_step = true_steps(spectrum, hop_length)
    loud = true**PHASE_POWER
    in_time = (loud[..., 1:] * loud[..., :-1]).sqrt()
    in_bins = (loud[:, 1:] * loud[:, :-1]).sqrt()
    return {
        "magnitude": (floored - log_true).abs().mean(),
        "convergence": (difference / torch.linalg.vector_norm(true, dim=(1, 2)).clamp(min=FLOOR)).mean(),
        "time_step": _step_distance(heard.time_step[..., 1:], time_step, in_time),
        "bin_step": _step_distance(heard.bin_step[:, :, :-1], bin_step, in_bins),
    }


def true_steps(spectrum: Tensor, hop_length: int) -> tuple[Tensor, Tensor]:
    """`volna.features.phase.phase_steps` where they mean something: ``(B, 2, K, T - 1)`` and ``(B, 2, K - 1, T)``."""
    n_bins = spectrum.shape[1]
    n_fft = 2 * (n_bins - 1)
    turn = (torch.arange(n_bins, device=spectrum.device) * hop_length) % n_fft * (2 * torch.pi / n_fft)
    back = torch.polar(torch.ones_like(turn, dtype=torch.float32), -turn.float())[:, None]
    time_step = spectrum[..., 1:] * spectrum[..., :-1].conj() * back
    bin_step = -spectrum[:, 1:] * spectrum[:, :-1].conj()
    return _on_circle(time_step), _on_circle(bin_step)


def _on_circle(values: Tensor) -> Tensor:
    unit = values / values.abs().clamp(min=1e-20)
    return torch.stack([unit.real, unit.imag], dim=1)


def _step_distance(made: Tensor, true: Tensor, weight: Tensor) -> Tensor:
    distance = (made - true).square().sum(dim=1)
    return (distance * weight).sum() / weight.sum().clamp(min=1e-6)


def _magnitude(spectrum: Tensor) -> Tensor:
    return (spectrum.real.square() + spectrum.imag.square() + 1e-12).sqrt()


def _log_distance(a: Tensor, b: Tensor) -> Tensor:
    return (a.clamp(min=FLOOR).log() - b.clamp(min=FLOOR).log()).abs().mean()
