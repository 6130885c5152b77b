"""`generate train`: a generator of sounds like those under a folder, as one file."""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from volna.errors import InputError, ModelError
from volna.pool import Pool, default_jobs
from volna.workflows import learning
from volna.workflows.common import Progress, silent, train_in_child
from volna.workflows.each_file import each_file
from volna.workflows.files import check_free, new_file
from volna.workflows.results import Failure

__all__ = ["GeneratorTrained", "generate_train"]

JOBS = "volna.workflows.making.generating_jobs"
STATE_NAME = "generator.state"
MOST_FILES = 2000  # drawn at random from a folder that has more
FEW_SOUNDS = 30


@dataclass
class GeneratorTrained:
    """What `generate train` made: ``found = used + failed + left_out`` files, cut into ``sounds``.

    ``attributes``: how well each can be asked for, as R squared on sounds left out.
    """

    output: str
    id: str
    sample_rate: int
    longest_s: float
    found: int
    used: int
    failed: int
    left_out: int
    sounds: int
    attributes: dict[str, float]
    steps: int
    stopped: str
    resumed: bool
    val_loss: float | None
    n_bytes: int
    seconds: float
    work_folder: str
    history: list[dict[str, Any]] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def generate_train(
    folder: str | Path | Sequence[str | Path],
    output: str | Path,
    *,
    train_time_s: float = 300.0,
    sample_rate: int | None = None,
    longest_s: float | None = None,
    resume: bool = False,
    seed: int = 0,
    force: bool = False,
    jobs: int | None = None,
    settings: Mapping[str, Any] | None = None,
    max_steps: int | None = None,
    progress: Progress | None = None,
) -> GeneratorTrained:
    """Learn to make sounds like those under a folder.

    Parameters
    ----------
    folder : str, Path, or sequence of them
        Sounds, walked recursively: single ones such as notes, words or effects, a few dozen or more of a kind.
    output : str or Path
        The model, one file. Beside it comes a work folder for ``resume``.
    train_time_s : float
        Seconds of training at most.
    sample_rate : int, optional
        Hz of what is made, one of `volna.features.sounding.SOUNDING_RATES`; by default what half of the files reach.
    longest_s : float, optional
        Longest sound; by default what nine in ten files do not exceed, 0.3 to 4 s. Longer sounds lose their end, and
        files of more than four times as much are cut into pieces.
    resume : bool
        Go on from the state of an earlier training of the same settings and sounds; otherwise it is discarded.
    seed : int
        Of the initial weights, the batches and what is held out.
    force : bool
        Replace an output that exists; `resume` does so too.
    jobs : int, optional
        Processes for listening and threads for training; all cores by default.
    settings : mapping, optional
        Other sizes, fields of `volna.training.generator.GeneratorTraining`.
    max_steps : int, optional
        Of training.
    progress : callable, optional
        ``progress(stage, done, total, note)``.

    Returns
    -------
    GeneratorTrained

    Raises
    ------
    InputError
        No sounds there, a setting that makes no sense, or the output exists.
    ModelError
        No sound could be used, or the training ended without a model.

    Examples
    --------
    >>> generate_train("notes", "notes.generator", train_time_s=300).sounds  # doctest: +SKIP
    317
    """
    started_s = time.monotonic()
    target, progress, n_jobs = Path(output).expanduser(), progress or silent, jobs or default_jobs()
    if longest_s is not None and not 0.1 <= longest_s <= 10:
        raise InputError(f"expected a longest sound of 0.1 to 10 s, got {longest_s:g}")
    check_free(target, force=force or resume)
    folders = [folder] if isinstance(folder, str | Path) else list(folder)
    work = target.with_name(target.name + ".work")
    with learning.training_lock(work / "pictures") as free:
        if not free:
            raise ModelError(f"{work}: another run is training there; wait for it to end")
        heard = _hear(folders, work / "pictures", sample_rate, longest_s, seed, n_jobs, progress)
        if not resume:
            with contextlib.suppress(FileNotFoundError):
                (work / STATE_NAME).unlink()
        fit = {"time_budget_s": train_time_s, "seed": seed} | ({"max_steps": max_steps} if max_steps else {})
        task = {"folder": str(work / "pictures"), "kept": heard.kept, "sample_rate": heard.sample_rate, "fit": fit}
        task |= {"longest_s": heard.longest_s, "settings": dict(settings or {}), "state_file": str(work / STATE_NAME)}
        task["fingerprint"] = _fingerprint(task)
        result = _train(task, n_jobs, progress)
        with new_file(target, force=True) as file:
            file.write(result["generator"])
    summary, model = result["summary"], result["generator"]
    return GeneratorTrained(
        output=str(target),
        id=hashlib.sha256(model).hexdigest()[:16],
        sample_rate=heard.sample_rate,
        longest_s=heard.longest_s,
        found=heard.found,
        used=heard.used,
        failed=len(heard.failures),
        left_out=heard.found - heard.used - len(heard.failures),
        sounds=len(heard.kept),
        **{name: summary[name] for name in ("attributes", "steps", "stopped", "resumed", "val_loss")},
        n_bytes=len(model),
        seconds=round(time.monotonic() - started_s, 1),
        work_folder=str(work),
        history=result["history"],
        failures=heard.failures,
        notes=_notes(summary, resume),
    )


@dataclass
class _Heard:
    kept: list[Any]
    used: int
    found: int
    sample_rate: int
    longest_s: float
    failures: list[Failure]


def _hear(
    folders: Sequence[str | Path],
    place: Path,
    sample_rate: int | None,
    longest_s: float | None,
    seed: int,
    n_jobs: int,
    progress: Progress,
) -> _Heard:
    """The pictures of the sounds of a folder at one rate, kept beside the output."""
    from volna.features.sounding import choose_rate, sounding_config
    from volna.tasks.generation.sounds import longest_of

    facts, failures = each_file(folders, f"{JOBS}:length_and_rate", stage="Looking", jobs=n_jobs, progress=progress)
    found, named = len(facts) + len(failures), ", ".join(map(str, folders))
    if not found:
        raise InputError(f"{named}: no audio files there, so nothing to learn")
    if not facts:
        raise ModelError(f"{named}: none of its {found} files can be learnt from: {_first(failures)}")
    chosen = learning.draw_sample(facts, MOST_FILES, seed)
    rate = sample_rate or choose_rate(facts[path][1] for path in chosen)
    sounding_config(rate)  # refuses a rate that there are no frames for
    longest_s = longest_s or longest_of([facts[path][0] for path in chosen])
    place.mkdir(parents=True, exist_ok=True)
    results, more = each_file(
        chosen,
        f"{JOBS}:keep_pictures",
        (rate, longest_s, str(place)),
        stage="Listening",
        jobs=n_jobs,
        progress=progress,
    )
    failures = failures + more
    kept = [sound for path in sorted(results) for sound in results[path]]
    if len(kept) < 2:
        raise ModelError(f"{named}: expected two sounds or more to learn from, got {len(kept)}: {_first(failures)}")
    return _Heard(kept, len(results), found, rate, longest_s, failures)


def _first(failures: Sequence[Failure]) -> str:
    return f"{failures[0].path}: {failures[0].reason}" if failures else "no other file is there"


def _train(task: Mapping[str, Any], n_jobs: int, progress: Progress) -> dict[str, Any]:
    with Pool(1, n_threads=n_jobs) as pool:
        return train_in_child(pool, f"{JOBS}:train_task", task, progress)


def _fingerprint(task: Mapping[str, Any]) -> str:
    """Changes with whatever a saved state would not fit."""
    fit = {name: value for name, value in task["fit"].items() if name != "time_budget_s"}
    names = [(kept.name, kept.ends) for kept in task["kept"]]
    parts = (names, task["sample_rate"], task["longest_s"], sorted(task["settings"].items()), sorted(fit.items()))
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _notes(summary: Mapping[str, Any], resume: bool) -> list[str]:
    notes = []
    if resume and not summary["resumed"]:
        notes.append("there was no state of these sounds and settings to go on from: trained from the start")
    if summary["n_sounds"] < FEW_SOUNDS:
        notes.append(f"only {summary['n_sounds']} sounds: what is made will be close to them")
    if summary["n_undone"]:
        notes.append(f"{summary['n_undone']} steps were undone, because the loss was not finite")
    return notes
