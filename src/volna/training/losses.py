"""What training minimises: plain functions of tensors, each a mean over the batch, chosen by name.

The losses of one architecture only (``kl``, ``memory/entropy``, ``adversarial``) stand in its file and come with what
its ``forward`` returns; ``TrainConfig.loss_weights`` weighs them.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = [
    "CONTRAST",
    "RECONSTRUCTION",
    "barlow_twins",
    "bce",
    "info_nce",
    "mae",
    "mse",
    "spectral_convergence",
    "vicreg",
]

_EPSILON = 1e-8


def mse(predicted: Tensor, target: Tensor) -> Tensor:
    """Mean squared error."""
    return F.mse_loss(predicted, target)


def mae(predicted: Tensor, target: Tensor) -> Tensor:
    """Mean absolute error: forgives the rare large errors of attacks."""
    return F.l1_loss(predicted, target)


def bce(predicted: Tensor, target: Tensor) -> Tensor:
    """Binary cross-entropy, both sides squeezed into 0 to 1 by a sigmoid: what is far from the mean counts little.

    The entropy of the target is taken off, so that a perfect prediction costs 0.
    """
    share = torch.sigmoid(target)
    entropy = F.binary_cross_entropy_with_logits(target, share)
    return F.binary_cross_entropy_with_logits(predicted, share) - entropy


def spectral_convergence(predicted: Tensor, target: Tensor) -> Tensor:
    """Size of the error over the size of the target (Frobenius), the mean over windows ``(B, n_mels, T)``.

    After Arik et al. (2019), here on conditioned dB instead of magnitudes: predicting the mean costs 1.
    """
    sizes = [torch.linalg.vector_norm(x, dim=(1, 2)) for x in (predicted - target, target)]
    return (sizes[0] / sizes[1].clamp(min=_EPSILON)).mean()


def info_nce(first: Tensor, second: Tensor, temperature: float = 0.1, wanted: Tensor | None = None) -> Tensor:
    """Each row of ``first`` must recognise its own row of ``second`` among all rows of the batch, and back.

    Parameters
    ----------
    first, second
        ``(B, D)``, projections of two places of the same tracks. With ``B == 1`` there is nothing to tell apart: 0.
    temperature
        Divides the cosines, > 0.
    wanted
        How much each row should take each other for its own, ``(B, B)``, rows that sum to 1: soft targets, for tracks
        that are alike. Only its own, where it is not given.

    Notes
    -----
    NT-Xent of Chen et al. (2020, "A simple framework for contrastive learning"), negatives from the other view only.

    Examples
    --------
    >>> round(float(info_nce(torch.eye(4), torch.eye(4))), 4)
    0.0001
    """
    cosines = F.normalize(first, dim=1) @ F.normalize(second, dim=1).T / temperature  # (B, B)
    own = torch.arange(len(cosines), device=cosines.device) if wanted is None else wanted
    return (F.cross_entropy(cosines, own) + F.cross_entropy(cosines.T, own)) / 2


def vicreg(first: Tensor, second: Tensor, temperature: float = 0.1, wanted: Tensor | None = None) -> Tensor:
    """Variance, invariance, covariance of Bardes et al. (2022), divided by 25; only the rows are used."""
    variance = torch.stack([F.relu(1 - (z.var(dim=0) + 1e-4).sqrt()).mean() for z in (first, second)]).sum() / 2
    covariance = _off_diagonal(_covariance(first)).square().sum() + _off_diagonal(_covariance(second)).square().sum()
    return F.mse_loss(first, second) + variance + covariance / first.shape[1] / 25


def barlow_twins(first: Tensor, second: Tensor, temperature: float = 0.1, wanted: Tensor | None = None) -> Tensor:
    """Correlation between the two places towards the identity (Zbontar et al., 2021), per element; rows only."""
    scaled = [(z - z.mean(dim=0)) / (z.std(dim=0) + 1e-4) for z in (first, second)]
    correlation = scaled[0].T @ scaled[1] / len(first)  # (D, D)
    off_diagonal = _off_diagonal(correlation).square().sum()
    return ((1 - correlation.diagonal()).square().sum() + 0.005 * off_diagonal) / first.shape[1]


def _covariance(z: Tensor) -> Tensor:
    centred = z - z.mean(dim=0)
    return centred.T @ centred / max(len(z) - 1, 1)


def _off_diagonal(square: Tensor) -> Tensor:
    return square - torch.diag(square.diagonal())


RECONSTRUCTION: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mse": mse,
    "mae": mae,
    "bce": bce,
    "spectral_convergence": spectral_convergence,
}
CONTRAST: dict[str, Callable[[Tensor, Tensor, float, Tensor | None], Tensor]] = {
    "info_nce": info_nce,
    "vicreg": vicreg,
    "barlow_twins": barlow_twins,
}
