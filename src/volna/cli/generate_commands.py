"""`volna generate` and `volna morph`: new sounds like those a model has learnt, and sounds between two."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from volna.cli import reports
from volna.cli.groups import VerbGroup
from volna.cli.options import force_option, jobs_option, json_option, seed_option, time_budget_option, with_options
from volna.cli.output import duration_text, emit_json, table
from volna.cli.progress import Progress

if TYPE_CHECKING:
    from volna.workflows.making.generating import Generated, MadeSound, Morphed
    from volna.workflows.making.generating_training import GeneratorTrained

__all__ = ["COMMANDS"]

RATES = ("8000", "16000", "22050", "24000", "44100", "48000")
ATTRIBUTES = ("brighter", "louder", "longer", "noisier", "higher")
SHOWN = 24  # sounds printed; all are in the JSON

sound_options = with_options(  # what `generate` and `morph` share
    click.option("--vocoder", metavar="FILE", help="A file of volna vocode train [default: Griffin-Lim]."),
    click.option("--sheet", metavar="PNG", help="Also draw the spectrograms of all sounds on one sheet."),
)
attribute_options = with_options(
    *(
        click.option(f"--{name}", type=float, default=0.0, metavar="X", help=f"{name.capitalize()} by X; below 0 less.")
        for name in ATTRIBUTES
    )
)


@click.group(cls=VerbGroup, default="sounds", short_help="Make new sounds like those a model has learnt.")
def generate() -> None:
    """Make new sounds like those that a model has learnt from a folder.

    \b
    Example:
      volna generate train ~/notes -o notes.generator
      volna generate --model notes.generator -n 8 -o new --sheet new.png
      volna generate --model notes.generator --like flute.wav --distance 1 -o flutes
    """


@generate.command(name="sounds", hidden=True, short_help="Make new sounds.")
@click.option("--model", required=True, metavar="FILE", help="A file of volna generate train.")
@click.option("-o", "--output", required=True, metavar="DIR", help="Where the sounds go; made where there is none.")
@click.option("-n", "n", type=click.IntRange(min=1), default=8, show_default=True, metavar="N", help="How many sounds.")
@click.option("--temperature", type=click.FloatRange(min=0), default=1.0, show_default=True, metavar="X",
              help="Under 1 nearer to the sounds learnt, over 1 further off.")  # fmt: skip
@click.option("--like", metavar="FILE", help="Vary this sound instead of drawing from all.")
@click.option("--distance", type=click.FloatRange(min=0), default=0.5, show_default=True, metavar="X",
              help="With --like: how far from it; 1 is as far as neighbouring sounds are.")  # fmt: skip
@attribute_options
@click.option("--duration", "duration_s", type=click.FloatRange(min=0.05, max=60), metavar="S",
              help="Stretch every sound to so many seconds.")  # fmt: skip
@sound_options
@seed_option
@force_option
@json_option
def make(model: str, output: str, as_json: bool, **options: Any) -> None:
    """Make N new sounds. An attribute is in units of its spread among the sounds learnt: 0.5 is a little, 2 a lot.

    \b
    Example:
      volna generate --model notes.generator -o new --brighter .5 --temperature .7
    """
    from volna import workflows

    wanted = {name: value for name in ATTRIBUTES if (value := options.pop(name))}
    with Progress() as progress:
        made = workflows.generate(model, output, wanted=wanted, progress=progress, **options)
    if as_json:
        emit_json(made)
    else:
        reports.print_lines([*_lines(made.sounds), *_written(made)])
    reports.print_notes(made.notes)


@generate.command(name="train", short_help="Learn to make sounds like those in a folder.")
@click.argument("folder")
@click.option("-o", "--output", required=True, metavar="FILE", help="The model file.")
@time_budget_option
@click.option("--sample-rate", type=click.Choice(RATES), metavar="HZ",
              help="Of what is made [default: what half of the files reach].")  # fmt: skip
@click.option("--longest", "longest_s", type=click.FloatRange(min=0.1, max=10), metavar="S",
              help="Longest sound [default: what nine in ten files do not exceed, 0.3 to 4].")  # fmt: skip
@click.option("--resume", is_flag=True, help="Go on from the last state.")
@force_option
@jobs_option
@seed_option
@json_option
def train(folder: str, output: str, as_json: bool, train_time: float, sample_rate: str | None, **options: Any) -> None:
    """Learn to make sounds like those under FOLDER: notes, words, effects, a few dozen or more of a kind.

    The autoencoder, the prior and the attributes are one file. Beside it comes a work folder for --resume.

    \b
    Example:
      volna generate train ~/notes -o notes.generator
      volna generate train digits -o digits.generator --train-time 10m
    """
    from volna import workflows

    rate = int(sample_rate) if sample_rate else None
    with Progress() as progress:
        trained = workflows.generate_train(
            folder, output, train_time_s=train_time, sample_rate=rate, progress=progress, **options
        )
    if as_json:
        emit_json(trained)
    else:
        reports.print_lines(training_report(trained))
    reports.print_notes([*reports.failure_lines(trained.failures), *trained.notes])


@click.command(short_help="Make the sounds between two.")
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
@click.option("--model", required=True, metavar="FILE", help="A file of volna generate train, of sounds of this kind.")
@click.option("-o", "--output", required=True, metavar="DIR", help="Where the sounds go; made where there is none.")
@click.option("-n", "n", type=click.IntRange(min=2), default=7, show_default=True, metavar="N",
              help="How many, both ends counted.")  # fmt: skip
@click.option("--align", type=click.Choice(("warp", "stretch")), default="warp", show_default=True,
              help="Match what is alike, or what is at the same share of the duration.")  # fmt: skip
@sound_options
@seed_option
@force_option
@json_option
def morph(first: str, second: str, output: str, as_json: bool, **options: Any) -> None:
    """Make N sounds from A to B, along the great circle between their latents, aligned in time.

    \b
    Example:
      volna morph flute.wav oboe.wav --model notes.generator -n 7 -o between --sheet between.png
    """
    from volna import workflows

    with Progress() as progress:
        morphed = workflows.morph(first, second, output, progress=progress, **options)
    if as_json:
        emit_json(morphed)
    else:
        reports.print_lines([*_lines(morphed.sounds), *_written(morphed)])
    reports.print_notes(morphed.notes)


def training_report(trained: GeneratorTrained) -> list[str]:
    """What was learnt, in lines."""
    kinds = ", ".join(f"{name} {fit:.2f}" for name, fit in trained.attributes.items()) or "none"
    held = "" if trained.val_loss is None else f", {trained.val_loss:.3f} on held-out sounds"
    return [
        f"learnt {trained.sounds} sounds of {trained.used} files at {trained.sample_rate} Hz, "
        f"up to {trained.longest_s} s",
        f"{trained.steps} steps in {duration_text(trained.seconds)}{held}",
        f"attributes, and how well each is known (1 is best): {kinds}",
        f"written to {trained.output} ({trained.n_bytes / 1e6:.1f} MB)",
    ]


def _lines(sounds: list[MadeSound]) -> list[str]:
    rows = [
        (
            sound.path,
            *([] if sound.share is None else [f"{sound.share:.2f}"]),
            f"{sound.duration_s:.2f}",
            f"{sound.level_db:.1f}",
        )
        for sound in sounds[:SHOWN]
    ]
    head = ("sound", *(["share"] if sounds[0].share is not None else []), "seconds", "dB")
    return table(rows, head=head, right=range(1, len(head)), paths=[0])


def _written(made: Generated | Morphed) -> list[str]:
    more = f" and {made.sheet}" if made.sheet else ""
    return [
        "",
        f"{len(made.sounds)} sounds at {made.sample_rate} Hz in {made.output}{more}, {duration_text(made.seconds)}",
    ]


COMMANDS = (generate, morph)
