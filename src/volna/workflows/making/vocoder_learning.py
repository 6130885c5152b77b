"""`vocode train`: a vocoder learnt from the sounds under a folder, as one file."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from volna.errors import InputError, ModelError
from volna.features.sounding import SOUNDING_RATES, choose_rate
from volna.pool import Pool, default_jobs
from volna.workflows.common import TIMEOUT_S, Progress, silent, train_in_child
from volna.workflows.each_file import as_failure, files_under, work_on
from volna.workflows.files import check_free, new_file
from volna.workflows.learning import draw_sample, training_lock
from volna.workflows.results import Failure

__all__ = ["KeptSounds", "VocoderReport", "keep_sounds", "rates_of", "vocode_train"]

MOST_FILES = 5_000  # drawn at random from a folder that has more
N_ASKED = 200  # files whose rates say what the folder is brought to
STATE = "vocoder.state"
SIZES: dict[str, Any] = {}  # what is other than by default in `volna.training.vocoder.VocoderTraining`


@dataclass(frozen=True)
class KeptSounds:
    """Arrays that `volna.training.clips.keep_sound` made: their names in ``folder``, and what could not be kept."""

    folder: Path
    names: tuple[str, ...]
    sample_rate: int
    seconds: float
    found: int
    failures: tuple[Failure, ...]


@dataclass
class VocoderReport:
    """What was trained: ``found = n_sounds + failed + left_out`` in files; losses on what was held out."""

    output: str
    sample_rate: int
    found: int
    n_sounds: int
    n_held_out: int
    failed: int
    left_out: int
    sound_s: float
    n_parameters: int
    steps: int
    stopped: str
    resumed: bool
    adversarial: bool
    val_loss: float | None
    n_bytes: int
    seconds: float
    history: list[dict[str, Any]] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def vocode_train(
    folder: str | Path,
    output: str | Path = "vocoder.safetensors",
    *,
    sample_rate: int | None = None,
    train_time_s: float = 600.0,
    steps: int | None = None,
    adversarial: bool = False,
    resume: bool = False,
    seed: int = 0,
    force: bool = False,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> VocoderReport:
    """Train a vocoder on the sounds under a folder and write it as one file.

    Parameters
    ----------
    folder : str or Path
        Any sounds; each channel mixed to one. Whole files, one in ten, are held out to judge by.
    output : str or Path
        The vocoder. Beside it ``<output>.work``: the decoded sounds, and the state that `resume` goes on from.
    sample_rate : int, optional
        Hz, one of 8000, 16000, 22050, 24000, 44100 and 48000; by default what half of the files reach.
    train_time_s : float
        Seconds of training at most.
    steps : int, optional
        Steps at most; with a number of them and time to spare the result is the same every time.
    adversarial : bool
        Let a second network judge the magnitudes in the later part of the training.
    resume : bool
        Go on from the state of an earlier training of the same settings and sounds.
    seed : int
        Of the weights, the clips and what is held out.
    force : bool
        Replace an output that exists; `resume` does so too.
    jobs : int, optional
        Processes for decoding and threads for training; all cores by default.
    progress : callable, optional
        ``progress(stage, done, total, note)``.

    Returns
    -------
    VocoderReport

    Raises
    ------
    InputError
        A setting that makes no sense, the folder holds no audio, or the output exists.
    ModelError
        No sound could be decoded, or the training ended without a model.

    Examples
    --------
    >>> vocode_train("sounds", "vocoder.safetensors", train_time_s=60).sample_rate  # doctest: +SKIP
    16000
    """
    started_s = time.monotonic()
    target, said, n_jobs = Path(output).expanduser(), progress or silent, jobs or default_jobs()
    _check(sample_rate, train_time_s, steps)
    check_free(target, force=force or resume)
    work = target.with_name(target.name + ".work")
    with training_lock(work) as free:
        if not free:
            raise ModelError(f"{work}: another run is training there; wait for it to end")
        kept, left_out = keep_sounds(folder, work, sample_rate, seed=seed, jobs=n_jobs, progress=said)
        result = _train(kept, work, train_time_s, steps, adversarial, resume, seed, n_jobs, said)
    with new_file(target, force=force or resume) as file:
        file.write(result["file"])
    summary = result["summary"]
    notes = ["nothing to resume: no earlier training of these settings and sounds is kept beside the output"]
    return VocoderReport(
        output=str(output),
        sample_rate=kept.sample_rate,
        found=kept.found,
        n_sounds=len(kept.names),
        n_held_out=summary["n_held_out"],
        failed=len(kept.failures),
        left_out=left_out,
        sound_s=round(kept.seconds, 1),
        n_parameters=summary["n_parameters"],
        steps=summary["steps"],
        stopped=summary["stopped"],
        resumed=summary["resumed"],
        adversarial=adversarial,
        val_loss=summary["val_loss"],
        n_bytes=len(result["file"]),
        seconds=round(time.monotonic() - started_s, 1),
        history=result["history"],
        failures=list(kept.failures),
        notes=notes if resume and not summary["resumed"] else [],
    )


def keep_sounds(
    folder: str | Path,
    work: Path,
    sample_rate: int | None = None,
    *,
    seed: int = 0,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> tuple[KeptSounds, int]:
    """Decode the sounds under a folder into a work folder, at one rate, those it has already not again.

    Parameters
    ----------
    folder : str or Path
    work : Path
        Made when missing; what an earlier run kept there of other sounds goes.
    sample_rate : int, optional
        Hz; by default `volna.features.sounding.choose_rate` of the files' own.

    Returns
    -------
    KeptSounds, int
        And how many files were left out, because there are too many.

    Raises
    ------
    InputError
        No such folder, or no audio in it.
    ModelError
        None of its sounds could be decoded.
    """
    from volna.training.clips import span_of_files

    files, failures = _files_of(folder, progress)
    chosen = draw_sample(files, MOST_FILES, seed)
    rate = sample_rate or choose_rate(rates_of(chosen[:N_ASKED]) or [16_000])
    work.mkdir(parents=True, exist_ok=True)
    arguments = (str(work), rate, span_of_files(len(chosen)), seed)
    kept: dict[str, tuple[str, float]] = {}

    def report(done: int) -> None:
        (progress or silent)("Listening", done, len(chosen), f"{len(failures)} failed" if failures else "")

    task = "volna.training.clips:keep_sound"
    for outcome in work_on(chosen, len(chosen), task, arguments, jobs=jobs, timeout_s=TIMEOUT_S, on_done=report):
        if outcome.ok:
            kept[outcome.task.tag] = outcome.result
        else:
            failures.append(as_failure(outcome))
    if not kept:
        first = f": {failures[0].path}: {failures[0].reason}" if failures else ""
        raise ModelError(f"{folder}: none of its {len(chosen)} sounds could be used{first}")
    names = tuple(dict.fromkeys(kept[file][0] for file in sorted(kept)))
    for old in set(work.glob("*.npy")) - {work / name for name in names}:
        old.unlink(missing_ok=True)
    seconds = sum(seconds for _, seconds in kept.values())
    return KeptSounds(work, names, rate, seconds, len(files), tuple(failures)), len(files) - len(chosen)


def rates_of(files: Sequence[str]) -> list[int]:
    """Sample rates in Hz that some files declare; those that cannot be opened say nothing."""
    from volna.audio.decode import open_audio
    from volna.errors import AudioError

    rates = []
    for path in files:
        try:
            with open_audio(path) as file:
                rates.append(file.sample_rate)
        except AudioError:
            continue
    return [rate for rate in rates if rate > 0]


def _files_of(folder: str | Path, progress: Progress | None) -> tuple[list[str], list[Failure]]:
    files, failures = files_under([folder], progress)
    if not files:
        reason = f": {failures[0].reason}" if failures else ""
        raise InputError(f"{folder}: no audio files there, so nothing to train on{reason}")
    return files, failures


def _check(sample_rate: int | None, train_time_s: float, steps: int | None) -> None:
    if sample_rate is not None and sample_rate not in SOUNDING_RATES:
        raise InputError(f"expected a sample_rate of {', '.join(map(str, SOUNDING_RATES))} Hz, got {sample_rate}")
    if not train_time_s > 0:
        raise InputError(f"expected a time budget above 0 s, got {train_time_s:g}")
    if steps is not None and steps < 1:
        raise InputError(f"expected at least one step, got {steps}")


def _train(
    kept: KeptSounds, work: Path, train_time_s: float, steps: int | None, adversarial: bool, resume: bool, seed: int,
    n_threads: int, said: Progress,
) -> dict[str, Any]:  # fmt: skip
    """Train in a child, which this process outlives with little memory; its ``file``, ``history`` and ``summary``."""
    state = work / STATE
    if not resume:
        state.unlink(missing_ok=True)
    training = {**SIZES, "adversarial": adversarial}
    about = json.dumps([kept.names, kept.sample_rate, training, seed], sort_keys=True)
    settings = {
        "folder": str(kept.folder),
        "names": kept.names,
        "sample_rate": kept.sample_rate,
        "training": training,
        "fit": {"time_budget_s": train_time_s, "seed": seed} | ({"max_steps": steps} if steps else {}),
        "state_file": os.fspath(state),
        "fingerprint": hashlib.sha256(about.encode()).hexdigest()[:16],
        "n_threads": n_threads,
    }
    with Pool(1, n_threads=n_threads) as pool:
        return train_in_child(pool, "volna.training.vocoder:train_task", settings, said)
