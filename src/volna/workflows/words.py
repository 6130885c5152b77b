"""`words train` and `words predict`: learn isolated words, and say which of them, or none, others are."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from volna.errors import InputError, ModelError
from volna.pool import Pool, Task, default_jobs
from volna.tasks import saved
from volna.tasks.scores import accuracy, log_loss
from volna.tasks.words.decisions import NONE, Answers, Calibration, calibrate, decide
from volna.tasks.words.dtw import as_templates
from volna.tasks.words.features import cepstra
from volna.tasks.words.model import KIND, RECOGNISERS, WITH, Templates, WordModel
from volna.workflows.classify_answers import write_table
from volna.workflows.classify_segments import NONE as UNLABELLED
from volna.workflows.classify_segments import LabelledSpan, write_audacity
from volna.workflows.common import Progress, silent
from volna.workflows.each_file import each_file
from volna.workflows.files import check_free, new_file
from volna.workflows.labelled import read_labelled
from volna.workflows.results import Failure
from volna.workflows.words_jobs import HeardWord
from volna.workflows.words_learning import (
    HeardWords,
    Learnt,
    Plan,
    distances_between,
    hear_labelled_words,
    learn,
)

__all__ = [
    "AUTO",
    "Recognised",
    "WordsPredictions",
    "WordsTraining",
    "model_of",
    "needed",
    "words_predict",
    "words_train",
]

TRAIN_TIME_S = 90.0  # all networks of a training together
N_NETWORKS = 4  # the one that is kept, and three to calibrate it
AUTO = "auto"
SEGMENTS_TIMEOUT_S = 1800.0


@dataclass
class WordsTraining:
    """What a training made: ``kind`` is what was chosen, ``held_out`` the figures of every choice by group.

    They chose the recogniser, so `words evaluate` gives a little less.
    """

    output: str
    kind: str
    words: dict[str, int]
    n_groups: int
    grouped: bool
    settings: dict[str, Any]
    held_out: dict[str, dict[str, float]]
    refused: float
    n_bytes: int = 0
    seconds: float = 0.0
    failures: list[Failure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Recognised:
    """A word: ``label`` is one of the model's or "none of these", ``word`` the likeliest of the model's all the same.

    ``evidence`` tells how well it fits any word of the model: 0 as those usually do, -1 a spread less.
    """

    path: str
    start_s: float
    end_s: float
    label: str
    word: str
    probability: float
    second: str | None
    second_probability: float | None
    evidence: float


@dataclass
class WordsPredictions:
    """What a model says of the words in files: one a file, or, with segments, every one between two pauses."""

    words: list[str]
    kind: str
    results: list[Recognised]
    segments: bool = False
    output: str | None = None
    audacity: str | None = None
    seconds: float = 0.0
    failures: list[Failure] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def words_train(
    source: str | Path,
    output: str | Path,
    *,
    kind: str = AUTO,
    label_from: str | None = None,
    group_from: str | None = None,
    label_column: str = "label",
    group_column: str | None = None,
    train_time_s: float = TRAIN_TIME_S,
    seed: int = 0,
    force: bool = False,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> WordsTraining:
    """Learn words from recordings of one each, and write what was learnt into a file.

    Parameters
    ----------
    source : str or Path
        A folder with a folder per word, or a CSV (path, label and, where known, group: the speaker).
    output : str or Path
        The model file.
    kind : str
        ``hmm``, ``dtw``, ``crnn``, ``hmm+dtw``, ``all``, or ``auto``: whichever does best on speakers held out.
    label_from, group_from, label_column, group_column
        See `volna.workflows.labelled.read_labelled`.
    train_time_s : float
        The longest time for all networks together; hidden Markov models and templates take seconds.
    seed, force, jobs, progress
        As everywhere.

    Raises
    ------
    InputError
        The output exists, a word has fewer than three recordings, or there is one word only.

    Examples
    --------
    >>> words_train("digits", "digits.model", kind="hmm").held_out["hmm"]["accuracy"]  # doctest: +SKIP
    0.85
    """
    started_s, said = time.monotonic(), progress or silent
    target = Path(output).expanduser()
    check_free(target, force=force)
    which = needed(kind)
    files = read_labelled(
        source, label_from=label_from, group_from=group_from, label_column=label_column, group_column=group_column,
        progress=said,
    )  # fmt: skip
    heard = hear_labelled_words(files, baselines=False, jobs=jobs, progress=said)
    apart = distances_between(heard, jobs, said, seed) if "dtw" in which else None
    rows = np.arange(len(heard.words))
    share = min(jobs or default_jobs(), N_NETWORKS) / N_NETWORKS
    plan = Plan(which, train_time_s * share, crnn_held_out=True, seed=seed)
    (learnt,) = learn(heard, [rows], [rows[:0]], plan, apart=apart, jobs=jobs, progress=said)
    figures = _held_out_figures(learnt, heard.truth, kind)
    chosen = kind if kind != AUTO else min(figures, key=lambda name: figures[name]["log_loss"])
    calibration = calibrate({part: learnt.held_out[part] for part in WITH[chosen]}, heard.truth)
    model = model_of(learnt, heard, chosen, calibration, {"held_out": figures})
    content = saved.to_bytes(KIND, *model.as_saved())
    with new_file(target, force=force) as file:
        file.write(content)
    return _training(model, learnt, heard, target, chosen, figures, len(content), time.monotonic() - started_s)


def needed(kind: str) -> tuple[str, ...]:
    """The recognisers that a choice needs.

    Raises
    ------
    InputError
        No such choice.
    """
    if kind not in (AUTO, *WITH):
        raise InputError(f"with: expected one of {', '.join((AUTO, *WITH))}, got {kind!r}")
    return RECOGNISERS if kind == AUTO else WITH[kind]


def _held_out_figures(learnt: Learnt, truth: np.ndarray, kind: str) -> dict[str, dict[str, float]]:
    """Accuracy and log loss of everything that may be chosen, on words whose group was held out."""
    figures = {}
    for name in WITH if kind == AUTO else [kind]:
        said = {part: learnt.held_out[part] for part in WITH[name]}
        answers = decide(said, calibrate(said, truth))
        figures[name] = {
            "accuracy": accuracy(truth, answers.best),
            "log_loss": log_loss(truth, answers.probabilities),
            "refused": float(np.mean(~answers.known)),
        }
    return figures


def model_of(
    learnt: Learnt, heard: HeardWords, kind: str, calibration: Calibration, about: dict[str, Any]
) -> WordModel:
    """The recognisers of one choice, as they are saved."""
    said = WITH[kind]
    model = WordModel(heard.files.classes, calibration, about={"kind": kind, **about})
    if "hmm" in said and learnt.hmms is not None and learnt.hmm_settings is not None:
        model.hmm = learnt.hmms, learnt.hmm_settings
    if "dtw" in said and learnt.templates is not None and learnt.dtw_settings is not None:
        kept = learnt.templates
        rows = as_templates([cepstra(heard.words[k].log_mel, variance=True) for k in kept])
        model.dtw = Templates(rows, heard.truth[kept]), learnt.dtw_settings
    if "crnn" in said:
        model.crnn = learnt.network
    return model


def _training(
    model: WordModel,
    learnt: Learnt,
    heard: HeardWords,
    target: Path,
    kind: str,
    figures: dict[str, dict[str, float]],
    n_bytes: int,
    seconds: float,
) -> WordsTraining:
    settings: dict[str, Any] = {}
    if model.hmm is not None:
        settings["hmm"] = model.hmm[1].as_dict()
    if model.dtw is not None:
        settings["dtw"] = {**model.dtw[1].as_dict(), "templates": len(model.dtw[0].rows)}
    for part, took_s in learnt.seconds.items():
        if part in model.parts:
            settings.setdefault(part, {})["seconds"] = round(took_s, 2)
    return WordsTraining(
        output=str(target),
        kind=kind,
        words=dict(sorted(Counter(heard.files.labels).items())),
        n_groups=len(set(heard.files.groups)),
        grouped=heard.files.grouped,
        settings=settings,
        held_out=figures,
        refused=figures[kind]["refused"],
        n_bytes=n_bytes,
        seconds=round(seconds, 1),
        failures=heard.failures,
        notes=heard.notes,
    )


def words_predict(
    paths: Sequence[str | Path],
    model: str | Path,
    *,
    output: str | Path | None = None,
    segments: bool = False,
    least_evidence: float | None = None,
    audacity: str | Path | None = None,
    force: bool = False,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> WordsPredictions:
    """Say which word each file is, or every word of longer recordings between pauses.

    Parameters
    ----------
    paths : sequence of str or Path
        Files, and folders, walked recursively.
    model : str or Path
        A file of `words_train`.
    output : str or Path, optional
        A CSV: path, start_s, end_s, label, word, probability, second, second_probability, evidence.
    segments : bool
        Several words to a file, parted by pauses of 0.3 s or more.
    least_evidence : float, optional
        A word with less evidence is "none of these"; by default the threshold that one right answer in twenty missed
        in training. Higher refuses more strangers, and more known words.
    audacity : str or Path, optional
        A label file for Audacity, of what is a known word; implies segments.
    force, jobs, progress
        As everywhere.

    Raises
    ------
    InputError
        No path, or an output that exists.
    ModelError
        The model cannot be read.

    Examples
    --------
    >>> words_predict(["new.wav"], "digits.model").results[0].label  # doctest: +SKIP
    'seven'
    """
    started_s = time.monotonic()
    targets = [Path(name).expanduser() if name else None for name in (output, audacity)]
    for target in filter(None, targets):
        check_free(target, force=force)
    words = WordModel.from_saved(saved.load(Path(model).expanduser(), KIND), str(model))
    if least_evidence is not None:
        words.calibration = replace(words.calibration, threshold=least_evidence)
    segments = segments or audacity is not None
    found, failures = each_file(
        paths,
        f"volna.workflows.words_jobs:{'hear_words' if segments else 'hear_word'}",
        stage="Listening",
        jobs=jobs,
        timeout_s=SEGMENTS_TIMEOUT_S,
        progress=progress,
    )
    lengths_s = {path: found[path][0] for path in found} if segments else {}
    heard = [(path, word) for path in found for word in (found[path][1] if segments else [found[path]])]
    answer = WordsPredictions(
        list(words.words), str(words.about.get("kind", "+".join(words.parts))), _recognised(words, heard), segments,
        failures=failures,
    )  # fmt: skip
    _write_predictions(answer, lengths_s, *targets, force=force)
    answer.seconds = round(time.monotonic() - started_s, 1)
    return answer


def _recognised(model: WordModel, heard: Sequence[tuple[str, HeardWord]]) -> list[Recognised]:
    if not heard:
        return []
    log_mels = [word.log_mel for _, word in heard]
    said = model.says(log_mels)
    if model.crnn is not None:
        arguments = (model.crnn, log_mels, len(model.words))
        with Pool(1) as pool:  # torch stays out of this process
            (outcome,) = pool.run([Task("volna.workflows.words_jobs:say_by_network", arguments)])
        if not outcome.ok:
            raise ModelError(f"the network inside the model cannot be used: {outcome.reason}; train it again")
        said["crnn"] = outcome.result
    answers = decide(said, model.calibration)
    return [_one(path, word, k, answers, model.words) for k, (path, word) in enumerate(heard)]


def _one(path: str, word: HeardWord, k: int, answers: Answers, words: Sequence[str]) -> Recognised:
    best, second = int(answers.best[k]), int(answers.second[k])
    probabilities = answers.probabilities[k]
    return Recognised(
        path=path,
        start_s=round(word.start_s, 3),
        end_s=round(word.end_s, 3),
        label=words[best] if answers.known[k] else NONE,
        word=words[best],
        probability=float(probabilities[best]),
        second=words[second] if second >= 0 else None,
        second_probability=float(probabilities[second]) if second >= 0 else None,
        evidence=float(answers.evidence[k]),
    )


def _write_predictions(
    answer: WordsPredictions, lengths_s: dict[str, float], output: Path | None, audacity: Path | None, *, force: bool
) -> None:
    if not answer.results:
        return
    if output is not None:
        with new_file(output, force=force) as file:
            write_table(file, prediction_table(answer.results))
        answer.output = str(output)
    if audacity is not None:
        with new_file(audacity, force=force) as file:
            write_audacity(file, _spans(answer.results, lengths_s))
        answer.audacity = str(audacity)


def _spans(results: Sequence[Recognised], lengths_s: dict[str, float]) -> list[LabelledSpan]:
    """The known words and, unlabelled, the end of each file: Audacity lays one file after the other."""
    spans = []
    for path, length_s in lengths_s.items():
        for each in results:
            if each.path == path and each.label != NONE:
                spans.append(LabelledSpan(path, each.start_s, each.end_s, each.word, each.probability))
        spans.append(LabelledSpan(path, length_s, length_s, UNLABELLED, 0.0))
    return spans


def prediction_table(results: Sequence[Recognised]) -> list[list[str]]:
    """Header and rows of the CSV."""
    rows = [[
        "path", "start_s", "end_s", "label", "word", "probability", "second", "second_probability", "evidence"
    ]]  # fmt: skip
    for each in results:
        second = "" if each.second_probability is None else f"{each.second_probability:.4f}"
        times = f"{each.start_s:.3f}", f"{each.end_s:.3f}"
        likely = each.label, each.word, f"{each.probability:.4f}"
        rows.append([each.path, *times, *likely, each.second or "", second, f"{each.evidence:.3f}"])
    return rows
