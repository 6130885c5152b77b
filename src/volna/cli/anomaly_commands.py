"""The commands about what is not normal: the group `anomaly` with `train`, `predict` and `evaluate`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import click

from volna.cli import reports
from volna.cli.options import Function, force_option, jobs_option, json_option, seed_option
from volna.cli.output import duration_text, emit_json, note, table
from volna.cli.progress import Progress

if TYPE_CHECKING:
    from volna.workflows.anomaly_results import AnomalyEvaluation, AnomalyPrediction, AnomalyTraining

__all__ = ["COMMANDS", "anomaly"]

THRESHOLDS = ("quantile", "gamma")
SCORERS = ("autoencoder", "pca", "mahalanobis", "neighbours", "forest")


def _source_options(command: Function) -> Function:
    """Options that say which file is what."""
    regex = "a regular expression searched in the relative path"
    for option in (
        click.option("--group-from", metavar="REGEX", help=f"Group of a file, kept on one side of a split: {regex}."),
        click.option("--section-from", metavar="REGEX", help=f"Machine of a file: {regex}, or the word folder."),
        click.option("--label-from", metavar="REGEX", help=f"Label of a file: {regex}."),
        click.option("--normal", metavar="LABEL", default="normal", show_default=True, help="Label of normal files."),
        click.option(
            "--scorer",
            "scorers",
            type=click.Choice(SCORERS),
            multiple=True,
            help="Make the score of this scorer; several times for several, evenly [default: three, weighed].",
        ),
        click.option("--threshold", type=click.Choice(THRESHOLDS), default="quantile", show_default=True,
                     help="How held-out normal scores give the threshold."),
        click.option("--quantile", type=click.FloatRange(0, 1, min_open=True, max_open=True), default=0.9,
                     show_default=True, help="Share of normal files that are to pass."),
    ):  # fmt: skip
        command = option(command)
    return command


@click.group(short_help="Find what is not normal, learnt from normal sounds alone.", no_args_is_help=True)
def anomaly() -> None:
    """Learn how machines (or hearts, or anything) sound when all is well, and find what does not sound so.

    \b
    Example:
      volna anomaly train normal -o fan.volna
      volna anomaly predict today --model fan.volna --plot pictures
      volna anomaly evaluate recordings
    """


@anomaly.command(short_help="Learn what is normal.")
@click.argument("source", metavar="NORMAL_DIR")
@click.option("-o", "--output", metavar="FILE", required=True, help="Where the model goes.")
@_source_options
@seed_option
@force_option
@jobs_option
@json_option
def train(source: str, output: str, as_json: bool, **options: Any) -> None:
    """Learn from the normal recordings under NORMAL_DIR, or those of a CSV (path, and section, group where given).

    \b
    Example:
      volna anomaly train normal -o fan.volna
      volna anomaly train plant -o plant.volna --section-from folder --quantile .95
    """
    from volna import workflows

    with Progress() as progress:
        options["scorers"] = options["scorers"] or None
        trained = workflows.anomaly_train(source, output, progress=progress, **options)
    if as_json:
        emit_json(trained)
    else:
        reports.print_lines(training_report(trained))
    reports.print_notes([*reports.failure_lines(trained.failures), *trained.notes])


@anomaly.command(short_help="Judge recordings.")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option("--model", metavar="FILE", required=True, help="From anomaly train.")
@click.option("-o", "--output", metavar="DIR", help="Where tables of scores, decisions and the time line go.")
@click.option("--plot", metavar="DIR", help="Where a picture of every file goes.")
@force_option
@jobs_option
@json_option
def predict(paths: tuple[str, ...], model: str, as_json: bool, **options: Any) -> int:
    """Judge every file at or under PATH: a score, a decision, where it is highest.

    \b
    Example:
      volna anomaly predict today --model fan.volna -o results --plot pictures
    """
    from volna import workflows

    with Progress() as progress:
        prediction = workflows.anomaly_predict(list(paths), model, progress=progress, **options)
    if as_json:
        emit_json(prediction)
    elif prediction.files:
        reports.print_lines(prediction_report(prediction))
    reports.print_notes([*reports.failure_lines(prediction.failures), *prediction.notes])
    if not prediction.files:
        note(f"volna: nothing could be judged ({len(prediction.failures)} failed)")
    return 0 if prediction.files else 1


@anomaly.command(short_help="Measure how well abnormal recordings are found.")
@click.argument("source", metavar="DIR")
@click.option("--folds", type=click.IntRange(min=2), default=5, show_default=True, metavar="N", help="Parts tested.")
@click.option("-o", "--output", metavar="DIR", help="Where the tables of scores and decisions go.")
@_source_options
@seed_option
@force_option
@jobs_option
@json_option
def evaluate(source: str, as_json: bool, **options: Any) -> None:
    """Learn from normal files and test on other normal ones and the abnormal ones of DIR: a folder for each label.

    \b
    Example:
      volna anomaly evaluate recordings
      volna anomaly evaluate hearts --normal N
      volna anomaly evaluate clips --label-from '_(normal|abnormal)_' --section-from '^[a-z]+' -o results
    """
    from volna import workflows

    with Progress() as progress:
        options["scorers"] = options["scorers"] or None
        evaluation = workflows.anomaly_evaluate(source, progress=progress, **options)
    if as_json:
        emit_json(evaluation)
    else:
        reports.print_lines(evaluation_report(evaluation))
    reports.print_notes([*reports.failure_lines(evaluation.failures), *evaluation.notes])


COMMANDS = (anomaly,)


def training_report(trained: AnomalyTraining) -> list[str]:
    """Lines about what was learnt."""
    rows = [(s.section, str(s.n_files), str(s.n_windows), f"{s.threshold:.2f}") for s in trained.sections]
    size, time = f"{trained.n_bytes / 1e6:.1f} MB", duration_text(trained.seconds)
    head = ("section", "files", "windows", "threshold")
    return [*table(rows, head=head, right=(1, 2, 3)), "", f"{trained.output}: {size}, learnt in {time}"]


def prediction_report(prediction: AnomalyPrediction) -> list[str]:
    """A line for every file, the most abnormal first."""
    files = sorted(prediction.files, key=lambda file: file.score - file.threshold, reverse=True)
    rows = [
        ("abnormal" if f.abnormal else "normal", f"{f.score:.2f}", f"{f.threshold:.2f}", f"{f.highest_s:.1f} s", f.path)
        for f in files
    ]
    lines = table(rows, head=("", "score", "threshold", "highest at", "file"), right=(1, 2, 3), paths=(4,))
    n_abnormal = sum(file.abnormal for file in files)
    return [*lines, "", f"{n_abnormal} of {len(files)} abnormal", *prediction.written]


def evaluation_report(evaluation: AnomalyEvaluation) -> list[str]:
    """The table of sections, and below it the methods side by side."""
    names = ("auc", "pauc", "precision", "recall", "f1")
    rows = [
        (s.section, str(s.n_normal), str(s.n_abnormal), *(_number(getattr(s, name)) for name in names))
        for s in evaluation.sections
    ]
    means = (("arithmetic mean", evaluation.arithmetic_mean), ("harmonic mean", evaluation.harmonic_mean))
    rows += [(title, "", "", *(_number(mean[name]) for name in names)) for title, mean in means]
    head = ("section", "normal", "abnormal", "AUC", "pAUC", "precision", "recall", "F1")
    beside = [(m.method, *(_interval(values) for values in (m.auc, m.pauc))) for m in evaluation.methods]
    return [
        *table(rows, head=head, right=range(1, 8)),
        "",
        *table(beside, head=("method", "AUC (95 % interval)", "pAUC to .1 false alarms")),
        "",
        f"measured in {duration_text(evaluation.seconds)}",
        *evaluation.written,
    ]


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}"


def _interval(values: tuple[float, float, float]) -> str:
    value, low, high = values
    return _number(value) if math.isnan(low) or low == high == value else f"{value:.3f} ({low:.3f} to {high:.3f})"
