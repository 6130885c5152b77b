"""Where normal ends: a threshold from scores of normal recordings that the detector has not learnt from.

Never from test data: a threshold that has seen an abnormal recording, or the recordings it judges, promises too much.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from volna.errors import InputError

__all__ = ["THRESHOLDS", "threshold_of"]

THRESHOLDS = ("quantile", "gamma")
LEAST_SKEW = 1e-3  # below it a gamma distribution is a normal one


def threshold_of(scores: ArrayLike, method: str = "quantile", quantile: float = 0.9) -> float:
    """The score above which a recording is called abnormal.

    Parameters
    ----------
    scores : array_like
        Of held-out normal recordings, ``(n,)``, finite; a higher one is more abnormal.
    method : {"quantile", "gamma"}
        The quantile of the scores themselves, or that of a gamma distribution with their mean, spread and skewness
        (Pearson's type III, fitted by moments, so that negative scores are welcome; DCASE Task 2 fits a gamma
        distribution too). The second looks further than the largest of few scores.
    quantile : float
        Share of normal recordings that are to stay below, between 0 and 1.

    Returns
    -------
    float

    Raises
    ------
    InputError
        There are no scores, or the settings make no sense.

    Examples
    --------
    >>> threshold_of(np.arange(11), quantile=0.9)
    9.0
    >>> threshold_of(np.random.default_rng(0).gamma(2.0, 1.0, 5_000), "gamma", 0.9).__round__(1)
    3.9
    """
    values = np.asarray(scores, np.float64)
    if values.ndim != 1 or not len(values) or not np.isfinite(values).all():
        raise InputError(f"expected finite scores of shape (n,), got shape {values.shape}")
    if method not in THRESHOLDS:
        raise InputError(f"threshold: expected one of {', '.join(THRESHOLDS)}, got {method!r}")
    if not 0 < quantile < 1:
        raise InputError(f"quantile: expected a number between 0 and 1, got {quantile}")
    if method == "quantile":
        return float(np.quantile(values, quantile))
    return _gamma_quantile(values, quantile)


def _gamma_quantile(values: np.ndarray, quantile: float) -> float:
    from scipy.stats import norm, pearson3

    mean, spread = values.mean(), values.std()
    if spread < 1e-12:
        return float(mean)
    skew = float((((values - mean) / spread) ** 3).mean())
    place = norm.ppf(quantile) if skew < LEAST_SKEW else pearson3.ppf(quantile, skew)
    return float(mean + spread * place)
