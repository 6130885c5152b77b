"""`denoise train`: a denoiser out of a folder of clean sounds, and noises from a folder or made on the spot.

Every file is decoded once, in children, into a work folder beside the output; the training runs in a child of its own
and keeps its state there, so that it can be taken up again (`resume`).
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from volna.audio.decode import open_audio
from volna.errors import InputError, VolnaError
from volna.features.denoise_frames import BIN_HZ
from volna.pool import Pool, default_jobs
from volna.training.clips import keep_sound, span_of_files
from volna.workflows.common import Progress, silent, train_in_child
from volna.workflows.each_file import each_file, files_under
from volna.workflows.files import check_free, new_file
from volna.workflows.learning import draw_sample
from volna.workflows.results import Failure

__all__ = ["DenoiserReport", "denoise_train", "keep_clip"]

HIGHEST_RATE, LEAST_RATE = 16_000, 8_000
MOST_FILES = 5_000  # of a folder; more are drawn at random
WIDE_SHARE = 0.1  # of the files, so that the training is at the highest rate
PROBED = 64  # files whose rate is looked at
LEAST_CLEAN_S = 5.0
SYNTHETIC = "synthetic"


@dataclass
class DenoiserReport:
    """What was trained.

    Attributes
    ----------
    output, id : the file, and the first digits of its hash; ``work_folder`` holds what ``resume`` needs.
    clean, noise : the folders, or ``"synthetic"``.
    n_clean, clean_s, n_noises, noise_s : files and seconds of sound used; the latter two None for synthetic noise.
    sample_rate, top_hz : Hz, of the training, and up to where the denoiser hears.
    n_parameters, steps, seconds, stopped, resumed, val_loss : of the training.
    gain_db, wiener_gain_db : how much nearer to the clean sound the spectra of held-out mixtures below 20 dB come, by
        the denoiser and by the Wiener filter.
    failures, notes : files that could not be used, and remarks for people.
    """

    output: str
    id: str
    work_folder: str
    clean: str
    noise: str
    n_clean: int
    clean_s: float
    n_noises: int | None
    noise_s: float | None
    sample_rate: int
    top_hz: float
    n_parameters: int
    steps: int
    seconds: float
    stopped: str
    resumed: bool
    val_loss: float | None
    gain_db: float
    wiener_gain_db: float
    failures: list[Failure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class _Kept:
    """The sounds of a folder in the work folder."""

    names: list[str]
    tops_hz: list[float]
    seconds: float
    failures: list[Failure]

    def settings(self, folder: Path) -> dict[str, Any]:
        return {"folder": str(folder), "names": self.names, "tops_hz": self.tops_hz}


def denoise_train(
    clean: str | Path | Sequence[str | Path],
    noise: str | Path = SYNTHETIC,
    output: str | Path = "denoiser.safetensors",
    *,
    train_time_s: float = 600.0,
    max_steps: int = 6_000,
    resume: bool = False,
    seed: int = 0,
    force: bool = False,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> DenoiserReport:
    """Train a denoiser and write it into a file.

    Parameters
    ----------
    clean : str or Path, or several
        Folder of clean sounds, some minutes of speech or more.
    noise : str or Path
        Folder of noises, or ``"synthetic"`` for those of `volna.synthesis.noises`.
    output : str or Path
        The file; its work folder lies beside it.
    train_time_s, max_steps
        Whichever comes first.
    resume : bool
        Go on from the last state of the same training.
    seed : int
        Of the weights, the mixtures, and what is held out.
    force : bool
        Replace an output that exists; `resume` does so too.
    jobs : int, optional
        Processes for decoding and threads for training; all cores by default.
    progress : callable, optional
        ``progress(stage, done, total, note)``.

    Returns
    -------
    DenoiserReport

    Raises
    ------
    InputError
        No such folder, no audio or too little in it, or the output exists.
    ModelError
        The training ended without a model.

    Examples
    --------
    >>> denoise_train("speech", output="denoiser.safetensors").top_hz  # doctest: +SKIP
    8000.0
    """
    target, said, n_jobs = Path(output).expanduser(), progress or silent, jobs or default_jobs()
    if not train_time_s > 0 or max_steps < 1:
        raise InputError(f"expected a time budget above 0 s and a step at least, got {train_time_s:g}, {max_steps}")
    check_free(target, force=force or resume)
    started_s = time.monotonic()
    folders = [clean] if isinstance(clean, str | Path) else list(clean)
    files, missing = _files(folders)
    rate = _rate(files)
    work = target.with_name(target.name + ".work")
    work.mkdir(exist_ok=True)
    voices = _keep(files, folders, work, rate, seed, n_jobs, "Listening", said)
    if voices.seconds < LEAST_CLEAN_S:
        first = f" ({voices.failures[0].path}: {voices.failures[0].reason})" if voices.failures else ""
        raise InputError(
            f"{clean}: expected {LEAST_CLEAN_S:g} s of clean sound at least, found {voices.seconds:.1f} s{first}"
        )
    noises = None
    if str(noise) != SYNTHETIC:
        noises = _keep(_files([noise])[0], [noise], work, rate, seed, n_jobs, "Listening to noise", said)
        if not noises.names:
            raise InputError(f"{noise}: none of its sounds could be heard")
    training = {
        "sample_rate": rate, "n_bins": int(rate / 2 / BIN_HZ) + 1, "max_steps": max_steps,
        "time_budget_s": train_time_s, "seed": seed,
    }  # fmt: skip
    settings = _settings(work, voices, noises, training, n_jobs, resume)
    result = _trained(settings, n_jobs, said)
    with new_file(target, force=True) as file:
        file.write(result["denoiser"])
    return _report(
        result,
        target,
        work,
        ", ".join(map(str, folders)),
        str(noise),
        voices,
        noises,
        training,
        resume,
        started_s,
        missing,
    )


def keep_clip(path: str, folder: str, sample_rate: int, span_s: float, seed: int) -> tuple[str, float, float]:
    """`volna.training.clips.keep_sound`, and where the spectrum of the file ends: half its own rate, in Hz."""
    name, seconds = keep_sound(path, folder, sample_rate, span_s, seed)
    with open_audio(path) as file:
        return name, seconds, min(file.sample_rate or sample_rate, sample_rate) / 2


def _files(folders: Sequence[str | Path]) -> tuple[list[str], list[Failure]]:
    files, missing = files_under(folders)
    if not files:
        reason = f" ({missing[0].reason})" if missing else ""
        raise InputError(f"{', '.join(map(str, folders))}: expected a folder of sounds, found none{reason}")
    return files, missing


def _rate(files: Sequence[str]) -> int:
    """The rate of the training: 16 kHz where one in ten sounds has as much, else 8 kHz.

    Sounds of less are known to end where they end (see `keep_clip`), so a few of 16 kHz teach what lies above.
    """
    rates = []
    for path in files[:: max(1, len(files) // PROBED)]:
        try:
            with open_audio(path) as file:
                rates.append(file.sample_rate)
        except VolnaError:
            continue
    wide = sum(rate >= 0.9 * HIGHEST_RATE for rate in rates)
    return HIGHEST_RATE if rates and wide >= WIDE_SHARE * len(rates) else LEAST_RATE


def _keep(
    files: Sequence[str],
    folders: Sequence[str | Path],
    work: Path,
    rate: int,
    seed: int,
    n_jobs: int,
    stage: str,
    said: Progress,
) -> _Kept:
    """Decode the files, or some of them, drawn at random."""
    chosen = list(files) if len(files) <= MOST_FILES else draw_sample(files, MOST_FILES, seed)
    span_s = span_of_files(len(chosen))
    results, failures = each_file(
        chosen, "volna.workflows.making.denoiser_learning:keep_clip", (str(work), rate, span_s, seed), stage=stage,
        jobs=n_jobs, timeout_s=600.0, progress=said,
    )  # fmt: skip
    unique = {name: (seconds, top_hz) for name, seconds, top_hz in results.values()}
    seconds = sum(value[0] for value in unique.values())
    return _Kept(list(unique), [value[1] for value in unique.values()], seconds, failures)


def _settings(
    work: Path, voices: _Kept, noises: _Kept | None, training: dict[str, Any], n_jobs: int, resume: bool
) -> dict[str, Any]:
    named = {key: value for key, value in training.items() if key not in ("time_budget_s", "max_steps")}
    names = [voices.names, noises.names if noises else SYNTHETIC]
    fingerprint = hashlib.sha256(repr((sorted(named.items()), names)).encode()).hexdigest()[:16]
    state_file = work / "denoiser.state"
    if not resume:
        state_file.unlink(missing_ok=True)
    return {
        "training": training,
        "clean": voices.settings(work),
        "noises": noises.settings(work) if noises else None,
        "state_file": str(state_file),
        "fingerprint": fingerprint,
        "n_threads": n_jobs,
    }


def _trained(settings: dict[str, Any], n_jobs: int, said: Progress) -> dict[str, Any]:
    with Pool(1, n_threads=n_jobs) as pool:
        return train_in_child(pool, "volna.training.denoiser:train_task", settings, said)


def _report(
    result: dict[str, Any],
    target: Path,
    work: Path,
    clean: str,
    noise: str,
    voices: _Kept,
    noises: _Kept | None,
    training: dict[str, Any],
    resume: bool,
    started_s: float,
    missing: list[Failure],
) -> DenoiserReport:
    summary = result["summary"]
    notes = []
    if resume and not summary["resumed"]:
        notes.append("nothing to resume: no earlier training of these settings and sounds is kept beside the output")
    if summary["gain_db"] < summary["wiener_gain_db"]:
        notes.append("on what was held out the Wiener filter does better: train for longer, or on more sounds")
    return DenoiserReport(
        output=str(target),
        id=hashlib.sha256(result["denoiser"]).hexdigest()[:16],
        work_folder=str(work),
        clean=clean,
        noise=noise,
        n_clean=len(voices.names),
        clean_s=round(voices.seconds, 1),
        n_noises=len(noises.names) if noises else None,
        noise_s=round(noises.seconds, 1) if noises else None,
        sample_rate=training["sample_rate"],
        top_hz=(training["n_bins"] - 1) * BIN_HZ,
        n_parameters=summary["n_parameters"],
        steps=summary["steps"],
        seconds=round(time.monotonic() - started_s, 1),
        stopped=summary["stopped"],
        resumed=summary["resumed"],
        val_loss=summary["val_loss"],
        gain_db=round(summary["gain_db"], 2),
        wiener_gain_db=round(summary["wiener_gain_db"], 2),
        failures=[*missing, *voices.failures, *(noises.failures if noises else [])],
        notes=notes,
    )
