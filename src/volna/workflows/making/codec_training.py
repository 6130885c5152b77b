"""`codec train`: a codec of the sounds under a folder, as one file."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from volna.errors import InputError, ModelError
from volna.features.sounding import sounding_config
from volna.pool import Pool, default_jobs
from volna.workflows import learning
from volna.workflows.common import Progress, silent, train_in_child
from volna.workflows.files import check_free, new_file
from volna.workflows.making.vocoder_learning import keep_sounds
from volna.workflows.results import Failure

__all__ = ["CodecTrained", "codec_train"]

STATE_NAME = "codec.state"
SIZES: dict[str, Any] = {}  # fields of CodecTraining that are not its defaults


@dataclass
class CodecTrained:
    """What `codec train` made: ``found = n_sounds + failed + left_out``; ``kbps`` are the rates of the model."""

    output: str
    id: str
    sample_rate: int
    kbps: list[float]
    found: int
    n_sounds: int
    failed: int
    left_out: int
    sound_s: float
    steps: int
    stopped: str
    resumed: bool
    val_loss: float | None
    n_bytes: int
    seconds: float
    history: list[dict[str, Any]] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def codec_train(
    folder: str | Path,
    output: str | Path,
    *,
    train_time_s: float = 600.0,
    sample_rate: int | None = None,
    resume: bool = False,
    seed: int = 0,
    force: bool = False,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> CodecTrained:
    """Train a codec on any sounds.

    Parameters
    ----------
    folder : str or Path
        Sounds, walked recursively. The more they are like what will be encoded, the better.
    output : str or Path
        The model, one file. Beside it comes a work folder for ``resume``.
    train_time_s : float
        Seconds of training at most.
    sample_rate : int, optional
        Hz inside the codec, one of `volna.features.sounding.SOUNDING_RATES`; by default what half of the files reach.
    resume : bool
        Go on from the state of an earlier training of the same settings and sounds; otherwise it is discarded.
    seed : int
        Of the initial weights, the batches and what is held out.
    force : bool
        Replace an output that exists; `resume` does so too.
    jobs : int, optional
        Processes for listening and threads for training; all cores by default.
    progress : callable, optional
        ``progress(stage, done, total, note)``.

    Returns
    -------
    CodecTrained

    Raises
    ------
    InputError
        No sounds there, a setting that makes no sense, or the output exists.
    ModelError
        No sound could be used, or the training ended without a model.

    Examples
    --------
    >>> codec_train("talks", "talks.codec", train_time_s=600).kbps  # doctest: +SKIP
    [0.75, 1.0, 1.5, 2.0, 3.0, 4.5, 6.0]
    """
    started_s = time.monotonic()
    target, progress, n_jobs = Path(output).expanduser(), progress or silent, jobs or default_jobs()
    _check(sample_rate, train_time_s)
    check_free(target, force=force or resume)
    work = target.with_name(target.name + ".work")
    with learning.training_lock(work) as free:
        if not free:
            raise ModelError(f"{work}: another run is training there; wait for it to end")
        kept, left_out = keep_sounds(folder, work, sample_rate, seed=seed, jobs=n_jobs, progress=progress)
        if not resume:
            (work / STATE_NAME).unlink(missing_ok=True)
        fit = {"time_budget_s": train_time_s, "seed": seed}
        task = {"folder": str(work), "names": kept.names, "sample_rate": kept.sample_rate, "fit": fit}
        task |= {"settings": SIZES, "state_file": str(work / STATE_NAME)}
        task["fingerprint"] = _fingerprint(task)
        result = _train(task, n_jobs, progress)
    with new_file(target, force=force or resume) as file:
        file.write(result["codec"])
    summary, codec = result["summary"], result["codec"]
    return CodecTrained(
        output=str(target),
        id=hashlib.sha256(codec).hexdigest()[:16],
        sample_rate=kept.sample_rate,
        **{name: summary[name] for name in ("kbps", "steps", "stopped", "resumed", "val_loss")},
        found=kept.found,
        n_sounds=len(kept.names),
        failed=len(kept.failures),
        left_out=left_out,
        sound_s=round(kept.seconds, 1),
        n_bytes=len(codec),
        seconds=round(time.monotonic() - started_s, 1),
        history=result["history"],
        failures=list(kept.failures),
        notes=_notes(summary, resume),
    )


def _check(sample_rate: int | None, train_time_s: float) -> None:
    if sample_rate is not None:
        sounding_config(sample_rate)  # refuses a rate that there are no frames for
    if not train_time_s > 0:
        raise InputError(f"expected a time budget above 0 s, got {train_time_s:g}")


def _train(task: Mapping[str, Any], n_jobs: int, progress: Progress) -> dict[str, Any]:
    with Pool(1, n_threads=n_jobs) as pool:
        return train_in_child(pool, "volna.workflows.making.codec_jobs:train_task", task, progress)


def _fingerprint(task: Mapping[str, Any]) -> str:
    """Names what a saved state belongs to: the sounds and every setting but how long."""
    parts = (task["names"], task["sample_rate"], sorted(task["settings"].items()), task["fit"]["seed"])
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _notes(summary: Mapping[str, Any], resume: bool) -> list[str]:
    notes = []
    if resume and not summary["resumed"]:
        notes.append("nothing to resume: no earlier training of these settings and sounds is kept beside the output")
    if summary["sound_s"] < 60:
        notes.append(f"only {summary['sound_s']:.0f} s of sound: a codec of so little knows nothing else")
    return notes
