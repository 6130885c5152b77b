"""How the phase of a spectrum turns from frame to frame and from bin to bin, and phases from such turns.

Conventions
-----------
Steps are points on the unit circle, complex64, or in it: the length says how sure a step is. Phases count from the
middle of each frame, so that a click in the middle has equal phases in all bins.

* ``time_step[k, t]``: from frame ``t - 1`` to ``t``, less what the middle of bin ``k`` turns in a hop: 1 for a tone in
  the middle of the bin, whatever its start. ``time_step[:, 0]`` means nothing.
* ``bin_step[k, t]``: from bin ``k`` to ``k + 1``: 1 for what sounds in the middle of the frame. The last row means
  nothing.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from volna.errors import InputError
from volna.features.frames import Floats

__all__ = ["phase_from_steps", "phase_steps"]

Spectrum = NDArray[np.complex64]

_FAINT = np.float32(1e-7)  # what an undecided bin is held by, lest the equations be singular
_SILENT = np.float32(1e-12)


def phase_steps(spectrum: Spectrum, hop_length: int) -> tuple[Spectrum, Spectrum]:
    """The steps of a spectrum, see above.

    Parameters
    ----------
    spectrum : ndarray
        complex64 ``(n_bins, n_frames)`` of `volna.features.spectrum.stft`.
    hop_length : int
        Step in samples.

    Returns
    -------
    time_step, bin_step : ndarray
        complex64 ``(n_bins, n_frames)`` each, of length 1 where there is sound.

    Examples
    --------
    >>> from volna.features.spectrum import stft
    >>> tone = np.cos(2 * np.pi * np.arange(2048) / 8)  # the middle of bin 32 of 256
    >>> time_step, bin_step = phase_steps(stft(tone, 256, 64), 64)
    >>> bool(np.abs(time_step[32, 4:-4] - 1).max() < 1e-3)
    True
    """
    turns = _turn_of_bins(len(spectrum), hop_length)[:, None]
    time_step, bin_step = np.ones_like(spectrum), np.ones_like(spectrum)
    time_step[:, 1:] = _unit(spectrum[:, 1:] * spectrum[:, :-1].conj()) * turns.conj()
    bin_step[:-1] = -_unit(spectrum[1:] * spectrum[:-1].conj())  # counted from the middle, neighbours differ by -1
    return time_step, bin_step


def phase_from_steps(
    magnitude: Floats,
    time_step: Spectrum,
    bin_step: Spectrum,
    hop_length: int,
    *,
    before: Spectrum | None = None,
    before_magnitude: Floats | None = None,
) -> Spectrum:
    """Phases that agree best with their steps, frame after frame (after Masuyama et al. 2020).

    The phases of a frame are those that the frame before leads to, and those that its own neighbours lead to, in the
    least-squares sense, each step weighted by how sure and how loud it is. Bins hang together only with their
    neighbours, so a frame is one tridiagonal system.

    Parameters
    ----------
    magnitude : ndarray
        float32 ``(n_bins, n_frames)``, not negative.
    time_step, bin_step : ndarray
        complex64 ``(n_bins, n_frames)``, lengths in [0, 1].
    hop_length : int
        Step in samples.
    before : ndarray, optional
        Phases of the frame before the first, complex64 ``(n_bins,)``, the last column of what this function gave for
        the piece before.
    before_magnitude : ndarray, optional
        And its magnitudes, float32 ``(n_bins,)``; those of the first frame by default.

    Returns
    -------
    ndarray
        complex64 ``(n_bins, n_frames)``, each of length 1, ready to be multiplied by the magnitudes.

    Raises
    ------
    InputError
        The shapes differ.

    Examples
    --------
    >>> ones = np.ones((5, 3), dtype=np.complex64)
    >>> phase_from_steps(ones.real, ones, ones, 2)[:, 0].real.tolist()
    [1.0, -1.0, 1.0, -1.0, 1.0]
    """
    if not magnitude.shape == time_step.shape == bin_step.shape or magnitude.ndim != 2:
        shapes = f"{magnitude.shape}, {time_step.shape} and {bin_step.shape}"
        raise InputError(f"expected magnitudes and steps of one shape (n_bins, n_frames), got {shapes}")
    from scipy.linalg.lapack import cptsv

    turn = _turn_of_bins(len(magnitude), hop_length)
    loud = np.ascontiguousarray(magnitude.T)
    first = loud[:1] if before_magnitude is None else before_magnitude[None]
    if before is None:
        before, first = _from_middle(len(magnitude)), np.zeros_like(loud[:1])
    # Weights are relative to the loudest bin of their frame, so that a piece comes out as it does in the whole.
    weight = 1.0 / np.maximum(loud.max(axis=1, keepdims=True, initial=0.0), _SILENT) ** 2
    onward = time_step.T * (loud * np.concatenate([first, loud[:-1]]) * weight)  # (n_frames, n_bins)
    across = (loud[:, 1:] * loud[:, :-1] * weight) * -bin_step.T[:, :-1]
    tied = np.sqrt(across.real**2 + across.imag**2)
    diagonal = np.sqrt(onward.real**2 + onward.imag**2) + _FAINT
    diagonal[:, :-1] += tied
    diagonal[:, 1:] += tied
    onward = (onward + _FAINT) * turn
    phases, before = np.empty(onward.shape, dtype=np.complex64), _unit(before)
    for t in range(len(phases)):
        led = (onward[t] * before)[:, None]
        before = _unit(cptsv(diagonal[t], -across[t], led, 1, 1, 1)[2][:, 0])
        phases[t] = before
    return phases.T


def _turn_of_bins(n_bins: int, hop_length: int) -> Spectrum:
    """What the middle of every bin turns in a hop; counted in whole numbers first, for a float would lose the turn."""
    n_fft = 2 * (n_bins - 1)
    turn = (np.arange(n_bins) * hop_length) % n_fft / n_fft
    return np.exp(2j * np.pi * turn).astype(np.complex64)


def _from_middle(n_bins: int) -> Spectrum:
    """Phases of a click in the middle of a frame, as a transform from the frame's start sees them."""
    return np.where(np.arange(n_bins) % 2, -1, 1).astype(np.complex64)


def _unit(values: Spectrum) -> Spectrum:
    unit: Spectrum = values / np.sqrt(values.real**2 + values.imag**2 + np.float32(1e-30))
    return unit
