"""When two tracks are one recording: by sound and duration, whatever the format."""

from __future__ import annotations

import numpy as np

__all__ = ["COPY_COSINE", "same_recording"]

# Measured over 217 clips, 37 of them also as MP3 at 64 kbit/s: the least alike copy and the most alike different tracks
# come to .986 and .951 by descriptors, .999 and .993 by the autoencoder (64 numbers leave less room), .989 and .958 by
# both. Clips cut to one length have no other evidence.
COPY_COSINE = {"descriptors": 0.965, "autoencoder": 0.997, "both": 0.965}
TAGGED_COSINE = (
    0.75  # the same artist and title, too: 68 clips against themselves at 48 kbit/s, half the band: .73 to .98
)
COPY_SECONDS = 2.0  # encoder delay, trimmed silence
COPY_SHARE = 0.01  # of the duration: a tape or record played a little faster


def same_recording(
    similarities: np.ndarray,
    durations_s: np.ndarray,
    duration_s: float | np.ndarray,
    space: str,
    tagged_alike: np.ndarray | None = None,
) -> np.ndarray:
    """Which tracks hold the recording of another: almost the same vector, and the same duration within 2 s or 1 %.

    Parameters
    ----------
    similarities : ndarray, float (...,)
        Cosine with the other track, without any correction.
    durations_s : ndarray, float (...,)
        Seconds; 0 or NaN where unknown, which agrees with any.
    duration_s : float or ndarray
        Of the other track.
    space : {"descriptors", "autoencoder", "both"}
        Each space has its own threshold.
    tagged_alike : ndarray, bool (...,), optional
        Where artist and title are known and the same, less likeness will do (a remix or a live version differs in
        duration).

    Returns
    -------
    same : ndarray, bool (...,)

    Examples
    --------
    >>> same_recording(np.array([0.99, 0.99, 0.8]), np.array([180.4, 240.0, 180.0]), 180.0, "both").tolist()
    [True, False, False]
    """
    mine, theirs = np.nan_to_num(np.asarray(durations_s, np.float64)), np.nan_to_num(np.asarray(duration_s, np.float64))
    tolerance = np.maximum(COPY_SECONDS, COPY_SHARE * np.maximum(mine, theirs))
    agree = (np.abs(mine - theirs) <= tolerance) | (mine <= 0) | (theirs <= 0)
    enough = COPY_COSINE[space] if tagged_alike is None else np.where(tagged_alike, TAGGED_COSINE, COPY_COSINE[space])
    return np.asarray(agree & (np.asarray(similarities) >= enough))
