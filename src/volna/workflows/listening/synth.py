"""`synth`: a test signal that is known exactly, as samples and, where wanted, as a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from volna.errors import InputError
from volna.synthesis.signals import synthesise
from volna.workflows.files import check_free

__all__ = ["Synthesised", "synth"]


@dataclass(frozen=True)
class Synthesised:
    """A test signal: ``samples`` float32 ``(n_samples,)`` or ``(n_channels, n_samples)``, and how it was made."""

    kind: str
    samples: np.ndarray
    sample_rate: int
    settings: dict[str, Any]
    output: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Everything but the samples."""
        channels = np.atleast_2d(self.samples)
        peak = float(np.abs(channels).max())
        return {
            "kind": self.kind,
            "output": self.output,
            "sample_rate": self.sample_rate,
            "n_channels": len(channels),
            "duration_s": channels.shape[1] / self.sample_rate,
            "peak_db": round(20 * float(np.log10(peak)), 2) if peak > 0 else None,
            "settings": self.settings,
        }


def synth(
    kind: str,
    output: str | Path | None = None,
    *,
    duration_s: float = 3.0,
    sample_rate: int = 44100,
    n_channels: int = 1,
    level_db: float = -6.0,
    fade_s: float = 0.01,
    seed: int = 0,
    force: bool = False,
    **options: Any,
) -> Synthesised:
    """Make a test signal.

    Parameters
    ----------
    kind : {"tone", "chirp", "noise", "clicks", "chord", "vowel"}
    output : str or Path, optional
        The file to write, in the format of its ending; none by default.
    level_db : float
        Of the highest sample, dBFS.
    options
        Of the kind: ``frequencies_hz`` and ``shape`` of a tone, ``from_hz``, ``to_hz`` and ``sweep`` of a chirp,
        ``colour`` of noise, ``bpm`` and ``accent`` of clicks, ``notes`` and ``shape`` of a chord, ``name`` and
        ``f0_hz`` of a vowel; see `volna.synthesis.signals`.

    Returns
    -------
    Synthesised

    Raises
    ------
    InputError
        For an unknown kind or option, numbers out of range, and an output that exists.
    AudioError
        The file cannot be written.

    Examples
    --------
    >>> synth("tone", frequencies_hz=[1000.0], duration_s=0.5, sample_rate=8000).samples.shape
    (4000,)
    """
    target = None if output is None else Path(output).expanduser()
    if target is not None:
        _check_ending(target)
        check_free(target, force=force)
    samples = synthesise(
        kind, duration_s=duration_s, sample_rate=sample_rate, n_channels=n_channels, level_db=level_db, fade_s=fade_s,
        seed=seed, **options,
    )  # fmt: skip
    if target is not None:
        from volna.audio.encode import encode

        encode(target, samples, sample_rate)
    settings = {"level_db": level_db, "fade_s": fade_s, "seed": seed, **options}
    return Synthesised(kind, samples, sample_rate, settings, str(target) if target else None)


def _check_ending(target: Path) -> None:
    from volna.audio.encode import ENCODERS

    if target.suffix.lower() not in ENCODERS:
        raise InputError(f"{target}: expected a name that ends in one of {' '.join(sorted(ENCODERS))}")
