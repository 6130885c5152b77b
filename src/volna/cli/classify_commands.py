"""`volna classify`: train a classifier of sounds, ask it, measure it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from volna.cli import reports
from volna.cli.options import (
    GROUP_OPTIONS,
    Duration,
    force_option,
    jobs_option,
    json_option,
    library_option,
    seed_option,
    with_options,
)
from volna.cli.output import clip, duration_text, emit_json, note, table, wrap
from volna.cli.progress import Progress

if TYPE_CHECKING:
    from volna.workflows.classify import ClassifyTraining
    from volna.workflows.classify_answers import ClassifyPredictions
    from volna.workflows.classify_measuring import ClassifyEvaluation

__all__ = ["COMMANDS"]

KINDS = ("auto", "logistic", "svm", "cnn", "crnn", "backbone", "resnet50", "efficientnet", "vgg16")
BY = ("auto", "descriptors", "spectrum", "patch", "autoencoder", "both")
SHOWN = 40  # files or spans printed; the rest is in the CSV

label_options = with_options(  # what `train` and `evaluate` share
    click.option("--with", "kind", type=click.Choice(KINDS), default="auto", show_default=True,
                 help="The classifier: logistic regression or SVM on vectors, or a network on pictures."),
    click.option("--by", type=click.Choice(BY), default="auto", show_default=True,
                 help="The vectors: of music, of the full band, a patch in time, an autoencoder's."),
    click.option("--model", metavar="FILE", help="An autoencoder's checkpoint [default, where needed: the library's]."),
    click.option("--weights", metavar="FILE", help="Weights of a vision network [default: your cache]."),
    click.option("--fine-tune", is_flag=True, help="Train the body of a backbone or vision network as well."),
    *GROUP_OPTIONS,
)  # fmt: skip


@click.group(short_help="Tell labels of sounds: train, predict, evaluate.", no_args_is_help=True)
def classify() -> None:
    """Learn labels from sounds in one folder per label (or a CSV), and say them of other sounds.

    \b
    Example:
      volna classify evaluate sounds --group-from "speaker_(\\w+)"
      volna classify train sounds -o sounds.model
      volna classify predict new.wav --model sounds.model
    """


@classify.command(short_help="Learn to tell the labels of sounds.")
@click.argument("source", metavar="DIR|CSV")
@click.option("-o", "--output", required=True, metavar="FILE", help="The model file.")
@label_options
@click.option("--train-time", "train_time_s", type=Duration(), default="2m", show_default=True,
              help="Longest training of a network: 90s, 5m.")  # fmt: skip
@library_option
@seed_option
@jobs_option
@force_option
@json_option
def train(source: str, output: str, as_json: bool, **options: Any) -> None:
    """Learn to tell the labels of the sounds in DIR (a folder per label) or CSV (path, label, group).

    \b
    Example:
      volna classify train sounds -o sounds.model
      volna classify train words.csv -o words.model --with crnn --train-time 3m
    """
    from volna import workflows

    with Progress() as progress:
        trained = workflows.classify_train(source, output, progress=progress, **options)
    if as_json:
        emit_json(trained)
    else:
        reports.print_lines(training_report(trained))
    reports.print_notes([*reports.failure_lines(trained.failures), *trained.notes])


@classify.command(short_help="Say the labels of sounds.")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option("--model", required=True, metavar="FILE", help="A file of volna classify train.")
@click.option("-o", "--output", metavar="CSV", help="Write the labels with all probabilities.")
@click.option("--segments", is_flag=True, help="Label the parts of long recordings.")
@click.option("--segment-s", type=click.FloatRange(min=0.1), metavar="S",
              help="How much is heard at once [default: as long as the training sounds].")  # fmt: skip
@click.option("--hop-s", type=click.FloatRange(min=0.01), metavar="S", help="The step [default: half of it].")
@click.option("--threshold", type=click.FloatRange(0, 1), default=0.5, show_default=True, metavar="P",
              help="A part whose likeliest label is less probable is none.")  # fmt: skip
@click.option("--audacity", metavar="FILE", help="Write the spans as a label track for Audacity.")
@jobs_option
@force_option
@json_option
def predict(paths: tuple[str, ...], as_json: bool, **options: Any) -> int:
    """Say the label of every sound at or under PATH, or, with --segments, of its parts.

    \b
    Example:
      volna classify predict new.wav recordings --model sounds.model -o labels.csv
      volna classify predict day.flac --model birds.model --segments --threshold 0.7 --audacity day.txt
    """
    from volna import workflows

    with Progress() as progress:
        said = workflows.classify_predict(list(paths), progress=progress, **options)
    if as_json:
        emit_json(said)
    else:
        reports.print_lines(prediction_report(said))
    reports.print_notes(reports.failure_lines(said.failures))
    if not said.results and not said.spans:
        note("volna: nothing could be heard, so nothing was written")
        return 1
    return 0


@classify.command(short_help="Measure how well labels are told.")
@click.argument("source", metavar="DIR|CSV")
@label_options
@click.option(
    "--folds",
    type=click.IntRange(min=2),
    default=5,
    show_default=True,
    metavar="N",
    help="Parts held out in turn; up to eight groups are held out one by one.",
)
@click.option(
    "--seeds",
    type=click.IntRange(min=1),
    default=3,
    show_default=True,
    metavar="N",
    help="Everything so many times; figures are means.",
)
@click.option(
    "--pitch/--no-pitch",
    default=None,
    help="Show what pitch and formants alone give [default: for labels of women and men].",
)
@click.option(
    "--train-time",
    "train_time_s",
    type=Duration(),
    help="Longest training of one network [default: all of them in about 2.5 minutes].",
)
@click.option("--confusion", metavar="PNG", help="Draw who is taken for whom; the table goes into a CSV beside it.")
@click.option("-o", "--output", metavar="CSV", help="Write the predictions, made while the file's group was held out.")
@library_option
@seed_option
@jobs_option
@force_option
@json_option  # fmt: skip
def evaluate(source: str, as_json: bool, **options: Any) -> None:
    """Measure on groups that were held out how well labels are told, beside chance and simple baselines.

    \b
    Example:
      volna classify evaluate voices --group-from "actor(\\d+)" --confusion voices.png
      volna classify evaluate words.csv --with crnn --seeds 3
    """
    from volna import workflows

    with Progress() as progress:
        measured = workflows.classify_evaluate(source, progress=progress, **options)
    if as_json:
        emit_json(measured)
    else:
        reports.print_lines(evaluation_report(measured))
    reports.print_notes([*reports.failure_lines(measured.failures), *measured.notes])


@classify.command(short_help="Draw what a network saw in a sound.")
@click.argument("path")
@click.option("--model", required=True, metavar="FILE", help="A file of volna classify train --with cnn or crnn.")
@click.option(
    "-o", "--output", required=True, metavar="PNG", help="The sound, and the places that spoke for the label."
)
@click.option("--label", metavar="L", help="The label that is asked for [default: the likeliest].")
@click.option("--filters", metavar="PNG", help="Draw the filters of the first layer as well.")
@force_option
@json_option
def see(path: str, as_json: bool, **options: Any) -> None:
    """Draw where in time and frequency a network saw a label in the sound PATH.

    \b
    Example:
      volna classify see dog.wav --model sounds.model -o dog.png --filters filters.png
    """
    from volna import workflows

    seen = workflows.classify_see(path, **options)
    if as_json:
        emit_json(seen)
    else:
        files = [name for name in (seen.output, seen.filters) if name]
        reports.print_lines([f"{seen.label} ({seen.probability:.2f})", *(f"wrote {name}" for name in files)])


COMMANDS = (classify,)


def training_report(trained: ClassifyTraining) -> list[str]:
    """What was learnt from what, and how well it did on groups held out while it was chosen."""
    n_files = sum(trained.labels.values())
    groups = f", {trained.n_groups} groups" if trained.grouped else ""
    rows = [
        ("wrote", f"{trained.output} ({trained.n_bytes / 1e6:.2f} MB) in {duration_text(trained.seconds)}"),
        ("heard", f"{n_files} files, {len(trained.labels)} labels{groups}"),
        ("chosen", "; ".join(trained.chosen)),
    ]
    if trained.held_out:
        figures = trained.held_out
        rows.append(("held out", f"accuracy {figures['accuracy']:.3f}, log loss {figures['log_loss']:.3f}"))
    lines = table(rows, paths=[])
    if trained.held_out:
        lines += wrap("The held-out figures chose the classifier; volna classify evaluate measures it fairly.")
    return lines


def prediction_report(said: ClassifyPredictions) -> list[str]:
    """A line for every file or span, cut where there are very many."""
    if said.segment_s is None:
        rows = [(each.path, each.label, f"{each.probability:.2f}") for each in said.results]
        lines = table(rows[:SHOWN], head=("file", "label", "p"), right=[2], paths=[0])
    else:
        rows_of_spans = [
            (span.path, f"{span.start_s:.2f}", f"{span.end_s:.2f}", span.label, f"{span.probability:.2f}")
            for span in said.spans
        ]
        head = ("file", "from s", "to s", "label", "p")
        lines = table(rows_of_spans[:SHOWN], head=head, right=[1, 2, 4], paths=[0])
    n_more = len(said.results) + len(said.spans) - SHOWN
    if n_more > 0:
        lines.append(f"... and {n_more} more{'' if said.output else '; -o FILE writes all'}")
    lines += [f"wrote {name}" for name in (said.output, said.audacity) if name]
    return lines


def evaluation_report(measured: ClassifyEvaluation) -> list[str]:
    """A line for every method, the difference that counts, and a line for every label."""
    title = f"{measured.n_files} files, {len(measured.labels)} labels, {measured.n_groups} groups held out in "
    title += (
        f"{measured.folds} folds; mean over {measured.seeds} seeds" if measured.seeds > 1 else f"{measured.folds} folds"
    )
    rows = []
    for row in measured.rows:
        value, low, high = row.accuracy
        rest = [f"{x:.3f}" if x is not None else "" for x in (row.log_loss, row.calibration_error)]
        rows.append((row.name, f"{value:.3f}", f"{low:.3f}-{high:.3f}", f"{row.balanced_accuracy:.3f}", *rest))
    head = ("method", "accuracy", "95 %", "balanced", "log loss", "ECE")
    value, low, high = measured.over_best_baseline
    labels = [
        (clip(each.label, 30), str(each.n), f"{each.precision:.2f}", f"{each.recall:.2f}", f"{each.f1:.2f}")
        for each in measured.per_label
    ]
    return [
        *wrap(title),
        "",
        *table(rows, head=head, right=range(1, 6)),
        "",
        *wrap(f"{value:+.3f} ({low:+.3f} to {high:+.3f}) over the best baseline, {measured.best_baseline}"),
        "",
        *table(labels, head=("label", "files", "precision", "recall", "F1"), right=range(1, 5)),
        *(f"wrote {name}" for name in (*measured.confusion_files, *([measured.output] if measured.output else []))),
        "",
        *wrap(
            "95 %: intervals that resample whole groups. balanced: mean recall. ECE: how far confidence and share of"
            " right answers lie apart. Figures per label are of the first seed."
        ),
    ]
