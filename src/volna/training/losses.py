"""What training minimises: plain functions of tensors, each a mean over the batch, chosen by name."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["CONTRAST", "RECONSTRUCTION", "barlow_twins", "info_nce", "mae", "mse", "vicreg"]


def mse(predicted: Tensor, target: Tensor) -> Tensor:
    """Mean squared error."""
    return F.mse_loss(predicted, target)


def mae(predicted: Tensor, target: Tensor) -> Tensor:
    """Mean absolute error: forgives the rare large errors of attacks."""
    return F.l1_loss(predicted, target)


def info_nce(first: Tensor, second: Tensor, temperature: float = 0.1) -> Tensor:
    """Each row of ``first`` must recognise its own row of ``second`` among all rows of the batch, and back.

    Parameters
    ----------
    first, second
        ``(B, D)``, projections of two places of the same tracks. With ``B == 1`` there is nothing to tell apart: 0.
    temperature
        Divides the cosines, > 0.

    Notes
    -----
    NT-Xent of Chen et al. (2020, "A simple framework for contrastive learning"), negatives from the other view only.

    Examples
    --------
    >>> round(float(info_nce(torch.eye(4), torch.eye(4))), 4)
    0.0001
    """
    cosines = F.normalize(first, dim=1) @ F.normalize(second, dim=1).T / temperature  # (B, B)
    own = torch.arange(len(cosines), device=cosines.device)
    return (F.cross_entropy(cosines, own) + F.cross_entropy(cosines.T, own)) / 2


def vicreg(first: Tensor, second: Tensor, temperature: float = 0.1) -> Tensor:
    """Variance, invariance, covariance of Bardes et al. (2022), divided by 25; ``temperature`` is not used."""
    variance = torch.stack([F.relu(1 - (z.var(dim=0) + 1e-4).sqrt()).mean() for z in (first, second)]).sum() / 2
    covariance = _off_diagonal(_covariance(first)).square().sum() + _off_diagonal(_covariance(second)).square().sum()
    return F.mse_loss(first, second) + variance + covariance / first.shape[1] / 25


def barlow_twins(first: Tensor, second: Tensor, temperature: float = 0.1) -> Tensor:
    """Correlation between the two places towards the identity (Zbontar et al., 2021), per element."""
    scaled = [(z - z.mean(dim=0)) / (z.std(dim=0) + 1e-4) for z in (first, second)]
    correlation = scaled[0].T @ scaled[1] / len(first)  # (D, D)
    off_diagonal = _off_diagonal(correlation).square().sum()
    return ((1 - correlation.diagonal()).square().sum() + 0.005 * off_diagonal) / first.shape[1]


def _covariance(z: Tensor) -> Tensor:
    centred = z - z.mean(dim=0)
    return centred.T @ centred / max(len(z) - 1, 1)


def _off_diagonal(square: Tensor) -> Tensor:
    return square - torch.diag(square.diagonal())


RECONSTRUCTION: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"mse": mse, "mae": mae}
CONTRAST: dict[str, Callable[[Tensor, Tensor, float], Tensor]] = {
    "info_nce": info_nce,
    "vicreg": vicreg,
    "barlow_twins": barlow_twins,
}
