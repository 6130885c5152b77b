"""A network that tells true log-magnitudes from made ones, for the adversarial fine-tuning of what makes spectra.

A vocoder that is trained by distances alone gives the mean of what could be: where the mel does not tell the fine
structure, none. A judge of small patches punishes that (hinge loss, as MelGAN and Vocos; patches as Isola et al. 2017).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from volna.training.sound_losses import FLOOR

__all__ = ["JUDGED_FROM", "SpectrumJudge", "judge_losses", "judging_loss"]

JUDGED_FROM = 0.4  # of the training: before it, distances alone teach more
JUDGE_WEIGHT = 0.02
MATCHING_WEIGHT = 0.1


class SpectrumJudge(nn.Module):
    """``(B, n_bins, T) -> scores of patches``, and what its layers saw on the way."""

    def __init__(self, width: int = 24) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            [
                nn.Conv2d(1, width, (7, 5), (2, 1), (3, 2)),
                nn.Conv2d(width, width, (5, 3), (2, 1), (2, 1)),
                nn.Conv2d(width, width, (5, 3), (2, 2), (2, 1)),
                nn.Conv2d(width, width, (3, 3), (1, 1), (1, 1)),
            ]
        )
        self.last = nn.Conv2d(width, 1, 3, padding=1)

    def forward(self, log_magnitude: Tensor) -> tuple[Tensor, list[Tensor]]:
        x, seen = log_magnitude[:, None], []
        for layer in self.layers:
            x = F.leaky_relu(layer(x), 0.1)
            seen.append(x)
        return self.last(x), seen


def judging_loss(judge: SpectrumJudge, made: Tensor, spectrum: Tensor) -> Tensor:
    """Hinge loss of the judge: true patches above 1, made ones below -1."""
    true_scores, made_scores = (judge(x)[0] for x in _seen_alike(made.detach(), spectrum))
    return F.relu(1 - true_scores).mean() + F.relu(1 + made_scores).mean()


def judge_losses(judge: SpectrumJudge, made: Tensor, spectrum: Tensor) -> dict[str, Tensor]:
    """What the judge tells the one who makes: its scores, and how far its layers see apart."""
    true, own = _seen_alike(made, spectrum)
    with torch.no_grad():
        true_seen = judge(true)[1]
    scores, seen = judge(own)
    matching = torch.stack([(a - b).abs().mean() for a, b in zip(seen, true_seen, strict=True)]).mean()
    return {"judge": -JUDGE_WEIGHT * scores.mean(), "matching": MATCHING_WEIGHT * matching}


def _seen_alike(made: Tensor, spectrum: Tensor) -> tuple[Tensor, Tensor]:
    """True and made log-magnitudes, each clip less the mean of its true one, so that level tells nothing."""
    floor = spectrum.abs().new_tensor(FLOOR).log()
    true = spectrum.abs().clamp(min=FLOOR).log()
    level = true.mean(dim=(1, 2), keepdim=True)
    return true - level, torch.maximum(made.clamp(max=12.0), floor) - level
