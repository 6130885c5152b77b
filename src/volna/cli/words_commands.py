"""`volna words`: learn isolated words, say which others are, measure how well."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from volna.cli import reports
from volna.cli.options import GROUP_OPTIONS, Duration, force_option, jobs_option, json_option, seed_option, with_options
from volna.cli.output import duration_text, emit_json, note, table, wrap
from volna.cli.progress import Progress

if TYPE_CHECKING:
    from volna.workflows.words import WordsPredictions, WordsTraining
    from volna.workflows.words_evaluating import WordsEvaluation, WordsRow

__all__ = ["COMMANDS"]

KINDS = ("auto", "hmm", "dtw", "crnn", "hmm+dtw", "all")
SHOWN = 40  # words printed; the rest is in the CSV

label_options = with_options(  # what `train` and `evaluate` share
    click.option("--with", "kind", type=click.Choice(KINDS), default="auto", show_default=True,
                 help="Hidden Markov models, dynamic time warping, a network, or several multiplied."),
    *GROUP_OPTIONS,
)  # fmt: skip


@click.group(short_help="Recognise isolated words: train, predict, evaluate.", no_args_is_help=True)
def words() -> None:
    """Learn words from recordings of one each, in one folder per word (or a CSV), and tell others.

    \b
    Example:
      volna words evaluate digits --group-from "speaker_(\\w+)"
      volna words train digits -o digits.model
      volna words predict new.wav --model digits.model
    """


@words.command(short_help="Learn words from recordings of one each.")
@click.argument("source", metavar="DIR|CSV")
@click.option("-o", "--output", required=True, metavar="FILE", help="The model file.")
@label_options
@click.option("--train-time", "train_time_s", type=Duration(), default="90s", show_default=True,
              help="Longest training of all networks together: 90s, 5m.")  # fmt: skip
@seed_option
@jobs_option
@force_option
@json_option
def train(source: str, output: str, as_json: bool, **options: Any) -> None:
    """Learn the words in DIR (a folder per word, one word in each file) or CSV (path, label, group).

    With auto the recogniser that does best on speakers held out is kept. Silence around the words does not matter.

    \b
    Example:
      volna words train digits -o digits.model --group-from "speaker_(\\w+)"
      volna words train digits.csv -o digits.model --with hmm
    """
    from volna import workflows

    with Progress() as progress:
        trained = workflows.words_train(source, output, progress=progress, **options)
    if as_json:
        emit_json(trained)
    else:
        reports.print_lines(training_report(trained))
    reports.print_notes([*reports.failure_lines(trained.failures), *trained.notes])


@words.command(short_help="Say which word each recording is.")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option("--model", required=True, metavar="FILE", help="A file of volna words train.")
@click.option("-o", "--output", metavar="CSV", help="Write words, probabilities and second best.")
@click.option("--segments", is_flag=True, help="Every word of longer recordings, parted by pauses of 0.3 s.")
@click.option(
    "--least-evidence",
    type=float,
    metavar="X",
    help="Less is none of these [default: what one right answer in twenty misses, about -2].",
)
@click.option("--audacity", metavar="FILE", help="Write the words found as a label track for Audacity.")
@jobs_option
@force_option
@json_option
def predict(paths: tuple[str, ...], as_json: bool, **options: Any) -> int:
    """Say which word every file at or under PATH is, or "none of these"; with --segments, every word in it.

    \b
    Example:
      volna words predict new.wav recordings --model digits.model -o words.csv
      volna words predict call.flac --model digits.model --segments --audacity call.txt
    """
    from volna import workflows

    with Progress() as progress:
        said = workflows.words_predict(list(paths), progress=progress, **options)
    if as_json:
        emit_json(said)
    else:
        reports.print_lines(prediction_report(said))
    reports.print_notes(reports.failure_lines(said.failures))
    if not said.results:
        note("volna: no word was heard, so nothing was written")
        return 1
    return 0


@words.command(short_help="Measure how well words are told.")
@click.argument("source", metavar="DIR|CSV")
@label_options
@click.option(
    "--folds",
    type=click.IntRange(min=2),
    default=5,
    show_default=True,
    metavar="N",
    help="Parts held out in turn; up to eight speakers are held out one by one.",
)
@click.option(
    "--seeds",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    metavar="N",
    help="Everything so many times; figures are means.",
)
@click.option(
    "--train-time",
    "train_time_s",
    type=Duration(),
    help="Longest training of one network [default: all of them in 100 s].",
)
@click.option("--confusion", metavar="PNG", help="Draw which word is taken for which; the table goes into a CSV.")
@click.option("-o", "--output", metavar="CSV", help="Write what was said while the file's speaker was held out.")
@seed_option
@jobs_option
@force_option
@json_option  # fmt: skip
def evaluate(source: str, as_json: bool, **options: Any) -> None:
    """Measure on speakers held out how well each recogniser tells the words, beside chance and simple baselines.

    \b
    Example:
      volna words evaluate digits --group-from "speaker_(\\w+)" --confusion digits.png
      volna words evaluate digits.csv --with hmm+dtw
    """
    from volna import workflows

    with Progress() as progress:
        measured = workflows.words_evaluate(source, progress=progress, **options)
    if as_json:
        emit_json(measured)
    else:
        reports.print_lines(evaluation_report(measured))
    reports.print_notes([*reports.failure_lines(measured.failures), *measured.notes])


COMMANDS = (words,)


def training_report(trained: WordsTraining) -> list[str]:
    """What was learnt from what, and how well every choice did on groups held out."""
    n_files = sum(trained.words.values())
    groups = f", {trained.n_groups} groups" if trained.grouped else ""
    rows = [
        ("wrote", f"{trained.output} ({trained.n_bytes / 1e6:.2f} MB) in {duration_text(trained.seconds)}"),
        ("heard", f"{n_files} files, {len(trained.words)} words{groups}"),
        ("chosen", trained.kind),
        *((part, _settings(of_part)) for part, of_part in trained.settings.items()),
    ]
    held_out = [
        (kind, f"{figures['accuracy']:.3f}", f"{figures['log_loss']:.3f}") for kind, figures in trained.held_out.items()
    ]
    return [
        *table(rows),
        "",
        *table(held_out, head=("held out", "accuracy", "log loss"), right=[1, 2]),
        "",
        *wrap("These figures chose the recogniser; volna words evaluate measures it fairly."),
    ]


def _settings(settings: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in settings.items())


def prediction_report(said: WordsPredictions) -> list[str]:
    """A line for every word, cut where there are very many."""
    head: tuple[str, ...] = ("file", "word", "p", "second", "p")
    rows = []
    for each in said.results[:SHOWN]:
        second = "" if each.second_probability is None else f"{each.second_probability:.2f}"
        answer = each.label if each.label == each.word else f"{each.label} ({each.word}?)"
        row = (each.path, answer, f"{each.probability:.2f}", each.second or "", second)
        rows.append((row[0], f"{each.start_s:.2f}", f"{each.end_s:.2f}", *row[1:]) if said.segments else row)
    if said.segments:
        head = (head[0], "from s", "to s", *head[1:])
    lines = table(rows, head=head, right=[1, 2, 4, 6] if said.segments else [2, 4], paths=[0])
    n_more = len(said.results) - SHOWN
    if n_more > 0:
        lines.append(f"... and {n_more} more{'' if said.output else '; -o FILE writes all'}")
    return lines + [f"wrote {name}" for name in (said.output, said.audacity) if name]


def evaluation_report(measured: WordsEvaluation) -> list[str]:
    """A line for every method, and every group."""
    title = f"{measured.n_files} files, {len(measured.words)} words, {measured.n_groups} groups held out in"
    title += f" {measured.folds} folds" + (f"; mean over {measured.seeds} seeds" if measured.seeds > 1 else "")
    head = ("method", "accuracy", "95 %", "+-", "log loss", "train s", "kB")
    lines = [*wrap(title), "", *table(map(_row, measured.rows), head=head, right=range(1, 7)), ""]
    if measured.per_group:
        kinds = [row.kind for row in measured.rows]
        groups = [(group, *(f"{figures[kind]:.2f}" for kind in kinds)) for group, figures in measured.per_group.items()]
        lines += [*table(groups[:SHOWN], head=("group", *kinds), right=range(1, len(kinds) + 1)), ""]
    lines += [f"wrote {name}" for name in (*measured.confusion_files, *([measured.output] if measured.output else []))]
    return lines + wrap(
        "95 %: intervals that resample whole groups. +-: standard deviation over seeds. train s: processor time of one"
        " fold on one core, without the choice of settings."
    )


def _row(row: WordsRow) -> tuple[str, ...]:
    value, low, high = row.accuracy
    return (
        row.name,
        f"{value:.3f}",
        f"{low:.3f}-{high:.3f}",
        "" if row.spread is None else f"{row.spread:.3f}",
        "" if row.log_loss is None else f"{row.log_loss:.3f}",
        "" if row.train_s is None else f"{row.train_s:.1f}",
        "" if row.n_bytes is None else f"{row.n_bytes / 1000:.0f}",
    )
