"""Faults of machines, made on the spot and added to recordings of sound ones: what a detector is tried on.

Four faults, each as a function of a random generator so that every draw has its own rate, pitch and colour: the clicks
of a bearing with a flaw, the whistle of a slipping belt, a rub once a turn, the knock of a loose part. `add_fault`
mixes one into a recording at a given ratio and brings the mixture back to the recording's own level, so that loudness
gives nothing away.

Conventions: samples are float32 mono ``(n_samples,)``, rates in Hz; a fault alone has a root mean square of 1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from volna.audio.signal import Samples
from volna.errors import InputError

__all__ = ["FAULTS", "FaultRange", "add_fault", "bearing_clicks", "belt_whistle", "knock", "make_fault", "rub"]

CLICKS_PER_TURN = 3.58  # flaw on the outer ring of a common ball bearing (9 balls, contact angle 0): 0.4 x 9
SLIP = 0.02  # balls slide: the time between clicks scatters by 1 to 2 % (Randall and Antoni 2011)
CLICK_DECAY_S = 0.0015
KNOCK_DECAY_S = 0.03
KNOCK_PARTIALS = (1.0, 2.76, 5.40)  # of a bar free at both ends (Fletcher and Rossing 1998)
MAX_SHARE_OF_NYQUIST = 0.9  # nothing of a fault lies above this share of half the sample rate


@dataclass(frozen=True)
class FaultRange:
    """Where the draws of a fault lie: turns a second, and its pitch or the middle of its band, both (low, high) in Hz.

    Two ranges that do not overlap make faults of which one can serve to choose a detector and the other to judge it.
    """

    rotation_hz: tuple[float, float] = (10.0, 50.0)
    pitch_hz: tuple[float, float] = (800.0, 6_000.0)


def bearing_clicks(
    n_samples: int, sample_rate: float, rotation_hz: float, resonance_hz: float, rng: np.random.Generator
) -> Samples:
    """Short ringing impulses 3.58 times a turn, louder and softer once a turn.

    The impulse train of a flaw that passes under load, through one resonance of the housing: Randall and Antoni (2011),
    "Rolling element bearing diagnostics - a tutorial", Mechanical Systems and Signal Processing 25.

    Parameters
    ----------
    n_samples, sample_rate
        Length and rate of what comes out.
    rotation_hz
        Turns of the shaft in a second.
    resonance_hz
        What the housing rings at; lowered to .9 of half the sample rate.

    Returns
    -------
    ndarray
        float32 ``(n_samples,)``, root mean square 1.

    Examples
    --------
    >>> bearing_clicks(16_000, 16_000, 25.0, 3_000.0, np.random.default_rng(0)).shape
    (16000,)
    """
    period_s = 1.0 / (CLICKS_PER_TURN * rotation_hz)
    n_clicks = int(n_samples / sample_rate / period_s) + 2
    at_s = (rng.uniform(0, 1) + np.arange(n_clicks)) * period_s + SLIP * period_s * rng.standard_normal(n_clicks)
    load = 1.0 + 0.5 * np.cos(2 * np.pi * rotation_hz * at_s + rng.uniform(0, 2 * np.pi))
    train = _impulses(n_samples, sample_rate, at_s, load)
    ring = _ringing(sample_rate, [resonance_hz], CLICK_DECAY_S)
    return _unit(_convolved(train, ring))


def belt_whistle(
    n_samples: int, sample_rate: float, rotation_hz: float, pitch_hz: float, rng: np.random.Generator
) -> Samples:
    """A tone with two overtones whose pitch wavers by 1 % and whose strength follows the turn of the pulley.

    Parameters and returns as `bearing_clicks`.

    Examples
    --------
    >>> tone = belt_whistle(16_000, 16_000, 10.0, 2_000.0, np.random.default_rng(0))
    >>> bool(abs(int(np.abs(np.fft.rfft(tone)).argmax()) - 2_000) < 60)
    True
    """
    seconds = np.arange(n_samples) / sample_rate
    pitch_hz = min(pitch_hz, MAX_SHARE_OF_NYQUIST * sample_rate / 2)
    waver_hz, start = rng.uniform(0.5, 3.0), rng.uniform(0, 2 * np.pi, 2)
    phase = 2 * np.pi * pitch_hz * (seconds - 0.01 / (2 * np.pi * waver_hz) * np.cos(2 * np.pi * waver_hz * seconds))
    slip = 0.6 + 0.4 * np.sin(2 * np.pi * rotation_hz * seconds + start[0])
    tone = np.zeros(n_samples)
    for number, gain in ((1, 1.0), (2, 0.3), (3, 0.1)):
        if number * pitch_hz <= MAX_SHARE_OF_NYQUIST * sample_rate / 2:
            tone += gain * np.sin(number * phase + start[1])
    return _unit(slip * tone)


def rub(n_samples: int, sample_rate: float, rotation_hz: float, band_hz: float, rng: np.random.Generator) -> Samples:
    """Noise of an octave around ``band_hz``, for a quarter of every turn.

    Parameters and returns as `bearing_clicks`.

    Examples
    --------
    >>> rub(8_000, 16_000, 20.0, 1_500.0, np.random.default_rng(0)).std().round(3)
    np.float32(1.0)
    """
    top_hz = MAX_SHARE_OF_NYQUIST * sample_rate / 2
    middle_hz = min(band_hz, top_hz / np.sqrt(2.0))
    spectrum = np.fft.rfft(rng.standard_normal(n_samples))
    hz = np.fft.rfftfreq(n_samples, 1.0 / sample_rate)
    spectrum[(hz < middle_hz / np.sqrt(2.0)) | (hz > middle_hz * np.sqrt(2.0))] = 0.0
    turn = rotation_hz * np.arange(n_samples) / sample_rate + rng.uniform(0, 1)
    contact = np.maximum(0.0, np.cos(2 * np.pi * turn) - np.cos(np.pi / 4))  # touches for a quarter of the turn
    return _unit(np.fft.irfft(spectrum, n_samples) * contact)


def knock(n_samples: int, sample_rate: float, rotation_hz: float, pitch_hz: float, rng: np.random.Generator) -> Samples:
    """A loose part that strikes now and then: one to three blows a second, each at a whole turn, ringing for 30 ms.

    Parameters and returns as `bearing_clicks`; ``pitch_hz`` is eight times the lowest partial, so that one range of
    pitches serves all four faults. At least one blow falls into the sound.

    Examples
    --------
    >>> struck = knock(32_000, 16_000, 20.0, 1_600.0, np.random.default_rng(0))
    >>> float(np.abs(struck).max()) > 5.0  # most of the time there is nothing
    True
    """
    duration_s = n_samples / sample_rate
    every = max(1, round(rotation_hz / rng.uniform(1.0, 3.0)))  # turns from blow to blow
    gap_s = min(every / rotation_hz, duration_s)
    at_s = np.arange(rng.uniform(0, 0.9) * gap_s, duration_s, gap_s)
    train = _impulses(n_samples, sample_rate, at_s, rng.uniform(0.7, 1.3, len(at_s)))
    ring = _ringing(sample_rate, [pitch_hz / 8 * ratio for ratio in KNOCK_PARTIALS], KNOCK_DECAY_S)
    return _unit(_convolved(train, ring))


Maker = Callable[[int, float, float, float, np.random.Generator], Samples]
FAULTS: Mapping[str, Maker] = {"clicks": bearing_clicks, "whistle": belt_whistle, "rub": rub, "knock": knock}


def make_fault(
    kind: str, n_samples: int, sample_rate: float, rng: np.random.Generator, where: FaultRange | None = None
) -> Samples:
    """A fault of one kind, its rotation rate and pitch drawn from a range, evenly on a logarithmic scale.

    Parameters
    ----------
    kind
        ``"clicks"``, ``"whistle"``, ``"rub"`` or ``"knock"``.

    Returns
    -------
    ndarray
        float32 ``(n_samples,)``, root mean square 1.

    Raises
    ------
    InputError
        The kind does not exist, or there are no samples.

    Examples
    --------
    >>> make_fault("rub", 8_000, 16_000, np.random.default_rng(1)).shape
    (8000,)
    """
    if kind not in FAULTS:
        raise InputError(f"expected a fault out of {', '.join(FAULTS)}, got {kind!r}")
    if n_samples < 1:
        raise InputError(f"expected at least one sample, got {n_samples}")
    where = where or FaultRange()
    rotation_hz, pitch_hz = (float(np.exp(rng.uniform(*np.log(span)))) for span in (where.rotation_hz, where.pitch_hz))
    return FAULTS[kind](n_samples, sample_rate, rotation_hz, pitch_hz, rng)


def add_fault(samples: ArrayLike, fault: ArrayLike, snr_db: float) -> Samples:
    """A recording with a fault in it, at the recording's own level.

    Parameters
    ----------
    samples, fault
        ``(n_samples,)`` each.
    snr_db
        Power of the fault over the power of the recording, in dB: at 0 both are equally strong, at -20 the fault is
        hard to hear.

    Returns
    -------
    ndarray
        float32 ``(n_samples,)`` with the root mean square of ``samples``; its peaks may be higher than theirs.

    Raises
    ------
    InputError
        The two differ in length, are no finite samples, or the recording is silent.

    Examples
    --------
    >>> quiet = np.sin(np.arange(8_000) * 0.3).astype(np.float32) * 0.1
    >>> faulty = add_fault(quiet, make_fault("clicks", 8_000, 16_000, np.random.default_rng(0)), 0.0)
    >>> bool(abs(faulty.std() - quiet.std()) < 1e-4)
    True
    """
    clean, added = _checked(samples), _checked(fault)
    if clean.shape != added.shape:
        raise InputError(f"expected a fault as long as the recording, {len(clean)} samples, got {len(added)}")
    level = _rms(clean)
    if not level > 0:
        raise InputError("expected a recording with sound in it, got silence")
    mixture = clean + added * (level / max(_rms(added), 1e-12)) * 10.0 ** (snr_db / 20.0)
    return (mixture * (level / max(_rms(mixture), 1e-12))).astype(np.float32)


def _checked(samples: ArrayLike) -> NDArray[np.float64]:
    array = np.asarray(samples, dtype=np.float64)
    if array.ndim != 1 or not len(array) or not np.isfinite(array).all():
        raise InputError(f"expected finite samples of shape (n_samples,), got shape {array.shape}")
    return array


def _convolved(train: np.ndarray, ring: np.ndarray) -> np.ndarray:
    """The train through the ring, as long as the train; by Fourier transform, because a ring lasts long."""
    n = len(train) + len(ring) - 1
    return np.fft.irfft(np.fft.rfft(train, n) * np.fft.rfft(ring, n), n)[: len(train)]


def _impulses(n_samples: int, sample_rate: float, at_s: np.ndarray, gains: np.ndarray) -> np.ndarray:
    train = np.zeros(n_samples)
    places = np.round(at_s * sample_rate).astype(int)
    inside = (places >= 0) & (places < n_samples)
    np.add.at(train, places[inside], gains[inside])
    return train


def _ringing(sample_rate: float, partials_hz: list[float], decay_s: float) -> np.ndarray:
    """What a blow sounds like: decaying sines, the higher ones softer; those above the rate are lowered to fit."""
    seconds = np.arange(max(2, round(6 * decay_s * sample_rate))) / sample_rate
    tone = np.zeros(len(seconds))
    for number, hz in enumerate(partials_hz, 1):
        fitting_hz = min(hz, MAX_SHARE_OF_NYQUIST * sample_rate / 2)
        tone += np.sin(2 * np.pi * fitting_hz * seconds + 0.5) / number
    return np.asarray(tone * np.exp(-seconds / decay_s))


def _rms(samples: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(samples))))


def _unit(samples: np.ndarray) -> Samples:
    return (samples / max(_rms(samples), 1e-12)).astype(np.float32)
