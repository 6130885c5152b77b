"""`anomaly train`: what is normal, learnt from normal recordings alone; and what testing shares with it."""

from __future__ import annotations

import re
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from volna.errors import InputError, VolnaError
from volna.features.machine import MACHINE_VERSION
from volna.pool import Pool, Task, default_jobs
from volna.tasks import saved
from volna.tasks.anomaly import detector
from volna.tasks.anomaly.detector import LEAST_FILES, RawScores
from volna.tasks.anomaly.fusion import shares_of
from volna.tasks.anomaly.thresholds import THRESHOLDS
from volna.tasks.groups import inner_folds
from volna.workflows import anomaly_jobs as jobs_of
from volna.workflows.anomaly_files import MachineFile, read_machines
from volna.workflows.anomaly_jobs import HeardMachine
from volna.workflows.anomaly_results import AnomalyTraining, TrainedSection
from volna.workflows.common import Progress, silent
from volna.workflows.each_file import as_failure, work_on
from volna.workflows.files import check_free, new_file
from volna.workflows.results import Failure

__all__ = [
    "KIND",
    "LONG_TIMEOUT_S",
    "Limits",
    "Part",
    "anomaly_train",
    "check_settings",
    "fit_parts",
    "hear_all",
    "one_source_note",
]

KIND = "anomaly"
HELD_OUT_FOLDS = 3
FIT_TIMEOUT_S = 1800.0
LONG_TIMEOUT_S = 1800.0  # hours of sound are minutes of work
Arrays = dict[str, np.ndarray]
Limits = tuple[str, float, Sequence[str] | None]  # how the threshold is found, its quantile, what is fused
Part = tuple[list[int], list[int], bool]  # learnt from, scored, whether the detector is to be kept


def anomaly_train(
    source: str | Path,
    output: str | Path,
    *,
    normal: str = "normal",
    label_from: str | None = None,
    section_from: str | None = None,
    group_from: str | None = None,
    threshold: str = "quantile",
    quantile: float = 0.9,
    scorers: Sequence[str] | None = None,
    seed: int = 0,
    force: bool = False,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> AnomalyTraining:
    """Learn what is normal, a detector for every machine (section), all in one file.

    Parameters
    ----------
    source : str or Path
        A folder of normal recordings, or a CSV with ``path`` and, where there are any, ``section``, ``group`` and
        ``label``. With labels (or ``label_from``) only those called `normal` are learnt from.
    output : str or Path
        The model file.
    section_from, group_from, label_from : str, optional
        Regular expressions searched in the relative path; ``section_from="folder"``: a folder for each machine.
    threshold : {"quantile", "gamma"}
        How the threshold comes from the scores of held-out normal recordings, see
        `volna.tasks.anomaly.thresholds.threshold_of`.
    quantile : float
        Share of normal recordings that are to pass.
    scorers : sequence of str, optional
        Which of `volna.tasks.anomaly.fusion.SCORERS` make the fused score, evenly; by default three of them, weighed.
    seed : int
        The same seed gives the same detector on one machine.

    Returns
    -------
    AnomalyTraining

    Raises
    ------
    InputError
        Fewer than three usable recordings of a section, a setting that makes no sense, or an output that exists.

    Examples
    --------
    >>> anomaly_train("normal", "fan.volna").sections[0].threshold  # doctest: +SKIP
    1.31
    """
    started_s, said = time.monotonic(), progress or silent
    target = Path(output).expanduser()
    check_free(target, force=force)
    check_settings(threshold, quantile, scorers)
    rules = {"label_from": label_from, "section_from": section_from, "group_from": group_from}
    files, failures = read_machines(source, labelled=label_from is not None, progress=progress, **rules)
    files = [file for file in files if file.label in ("", normal)]
    heard, failed = hear_all(files, jobs, said)
    files = [file for file in files if file.path in heard]
    failures += failed
    sections = sorted({file.section for file in files})
    if not sections:
        raise InputError(
            f"{source}: expected normal recordings, found none that could be heard ({len(failures)} failed)"
        )
    arrays, trained = _train_sections(files, heard, (threshold, quantile, scorers), seed, jobs, said)
    sections = [section.section for section in trained]
    settings = {
        "sections": sections,
        "section_from": section_from,
        "threshold": threshold,
        "quantile": quantile,
        "scorers": list(scorers) if scorers is not None else None,
    }
    with new_file(target, force=force) as file:
        saved.write(file, KIND, arrays, settings | {"seed": seed, "hears": MACHINE_VERSION})
    notes = one_source_note(files)
    seconds = round(time.monotonic() - started_s, 1)
    return AnomalyTraining(str(target), trained, target.stat().st_size, seconds, failures, notes)


def check_settings(threshold: str, quantile: float, scorers: Sequence[str] | None) -> None:
    """Refuse settings that make no sense before the work begins."""
    shares_of(scorers)
    if threshold not in THRESHOLDS:
        raise InputError(f"threshold: expected one of {', '.join(THRESHOLDS)}, got {threshold!r}")
    if not 0 < quantile < 1:
        raise InputError(f"quantile: expected a number between 0 and 1, got {quantile}")


def hear_all(
    files: Sequence[MachineFile], jobs: int | None, said: Progress
) -> tuple[dict[str, HeardMachine], list[Failure]]:
    """Hear every file in child processes; what could not be heard, and why."""
    heard: dict[str, HeardMachine] = {}
    failures: list[Failure] = []
    outcomes = work_on(
        [file.path for file in files], len(files), "volna.workflows.anomaly_jobs:hear_file", jobs=jobs,
        timeout_s=LONG_TIMEOUT_S,
        on_done=lambda done: said("Listening", done, len(files), f"{len(failures)} failed" if failures else ""),
    )  # fmt: skip
    for outcome in outcomes:
        if outcome.ok:
            heard[str(outcome.task.tag)] = outcome.result
        else:
            failures.append(as_failure(outcome))
    return heard, failures


def fit_parts(
    heard: Sequence[HeardMachine], parts: Sequence[Part], seed: int, jobs: int | None, said: Progress, stage: str
) -> list[tuple[Arrays | None, list[RawScores]]]:
    """Fit a detector for every part in child processes; results in the order of the parts.

    Raises
    ------
    VolnaError
        One could not be fitted, with the reason.
    """
    results: dict[int, tuple[Arrays | None, list[RawScores]]] = {}
    with tempfile.TemporaryDirectory(prefix="volna-") as folder:
        jobs_of.pack(folder, [one.sound for one in heard])
        tasks = [
            Task("volna.workflows.anomaly_jobs:fit_part", (folder, learnt, scored, keep, seed), number)
            for number, (learnt, scored, keep) in enumerate(parts)
        ]
        said(stage, 0, len(tasks), "")
        with Pool(min(jobs or default_jobs(), len(tasks)), timeout_s=FIT_TIMEOUT_S) as pool:
            for done, outcome in enumerate(pool.run(tasks), 1):
                if not outcome.ok:
                    raise VolnaError(f"a detector could not be fitted: {outcome.reason}")
                results[outcome.task.tag] = outcome.result
                said(stage, done, len(tasks), "")
    return [results[number] for number in range(len(parts))]


def one_source_note(files: Sequence[MachineFile]) -> list[str]:
    """A warning where names look like pieces of few recordings and no group says so."""
    if any(file.group for file in files):
        return []
    stems = Counter(re.sub(r"[ _.-]*(\d+|[A-Za-z])$", "", Path(file.path).stem) for file in files)
    shared = [(n, stem) for stem, n in stems.items() if stem and 2 <= n < len(files)]
    if sum(n for n, _ in shared) < 0.5 * len(files):
        return []
    return [
        f"many names begin alike, as {max(shared)[1]!r}: where they are pieces of one recording, name their groups with"
        " --group-from, or held-out scores are too low and the threshold with them"
    ]


def _train_sections(
    files: Sequence[MachineFile],
    heard: Mapping[str, HeardMachine],
    limits: Limits,
    seed: int,
    jobs: int | None,
    said: Progress,
) -> tuple[Arrays, list[TrainedSection]]:
    """A detector for every section, its arrays named ``NUMBER/name``."""
    sections = sorted({file.section for file in files})
    arrays: Arrays = {}
    trained = []
    for k, section in enumerate(sections):
        own = [file for file in files if file.section == section]
        stage = "Learning" if len(sections) == 1 else f"Learning {section}"
        fitted, raw = _learnt(own, heard, seed, jobs, said, stage)
        fitted |= detector.calibrate(raw, *limits)
        arrays |= {f"{k}/{name}": array for name, array in fitted.items()}
        n_windows = sum(len(heard[file.path].sound.windows) for file in own)
        trained.append(TrainedSection(section, len(own), n_windows, float(fitted["held.threshold"][0])))
    return arrays, trained


def _learnt(
    files: Sequence[MachineFile], heard: Mapping[str, HeardMachine], seed: int, jobs: int | None, said: Progress,
    stage: str,
) -> tuple[Arrays, list[RawScores]]:  # fmt: skip
    """A detector of all files, and the scores of each by one that has not learnt from it."""
    if len(files) < LEAST_FILES:
        raise InputError(
            f"section {files[0].section!r}: expected at least {LEAST_FILES} normal recordings, got {len(files)};"
            " one has to be held out while two are learnt from"
        )
    sounds = [heard[file.path] for file in files]
    groups = [file.group or file.path for file in files]
    folds = inner_folds([""] * len(files), groups, HELD_OUT_FOLDS, seed)
    parts: list[Part] = [(learnt.tolist(), held.tolist(), False) for learnt, held in folds]
    *held_out, (arrays, _) = fit_parts(sounds, [*parts, (list(range(len(files))), [], True)], seed, jobs, said, stage)
    assert arrays is not None
    return arrays, [raw for _, scores in held_out for raw in scores]
