"""`volna vocode`: a sound through its mel and back; `volna vocode train`: a vocoder learnt from a folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from volna.cli import reports
from volna.cli.groups import VerbGroup
from volna.cli.options import Duration, force_option, jobs_option, json_option, seed_option
from volna.cli.output import duration_text, emit_json
from volna.cli.progress import Progress

if TYPE_CHECKING:
    from volna.workflows.making.vocoder_learning import VocoderReport
    from volna.workflows.making.vocoding import VocodeReport

__all__ = ["COMMANDS"]

METHODS = ("griffin-lim", "neural")
RATES = ("8000", "16000", "22050", "24000", "44100", "48000")

rate_option = click.option("--sample-rate", type=click.Choice(RATES), metavar="HZ",
                           help=f"Of the mel and of what is made: {', '.join(RATES)} [default: nearest to the sound's,"
                           " or the model's].")  # fmt: skip


@click.group(cls=VerbGroup, default="file", short_help="Make sound from a mel spectrogram; train a vocoder.")
def vocode() -> None:
    """Analyse FILE to its mel spectrogram and make the sound again from that alone, or make a mel audible.

    A mel is what most networks hear and make: this lets you hear what it keeps. Griffin-Lim needs nothing trained; a
    neural vocoder, trained on sounds of the same kind with `volna vocode train`, is nearer to the original.

    \b
    Example:
      volna vocode talk.wav -o again.wav
      volna vocode train ~/Samples -o samples.vocoder
      volna vocode kick.wav -o again.wav --model samples.vocoder
      volna vocode mel.npy -o sound.wav --sample-rate 16000
    """


@vocode.command("file", hidden=True, short_help="Make sound from a mel spectrogram.")
@click.argument("source", metavar="FILE|MEL.npy")
@click.option("-o", "--output", required=True, metavar="FILE", help="The sound; its ending names the format.")
@click.option(
    "--with", "method", type=click.Choice(METHODS), help="How [default: neural with --model, else griffin-lim]."
)
@click.option("--model", metavar="FILE", help="A vocoder, as volna vocode train makes it.")
@click.option("--iterations", "n_iterations", type=click.IntRange(min=0), metavar="N",
              help="Of Griffin-Lim, or of the refinement after the network [default: 64; 16 or 32].")  # fmt: skip
@rate_option
@seed_option
@force_option
@json_option
def vocode_file(source: str, output: str, as_json: bool, sample_rate: str | None, **options: Any) -> None:
    """Make a sound again from its mel, or make a mel audible.

    \b
    Example:
      volna vocode talk.wav -o again.wav --with griffin-lim --iterations 32
    """
    from volna import workflows

    rate = int(sample_rate) if sample_rate else None
    with Progress() as progress:
        made = workflows.vocode(source, output, sample_rate=rate, progress=progress, **options)
    if as_json:
        emit_json(made)
    else:
        reports.print_lines(vocode_report(made))
    reports.print_notes(made.notes)


@vocode.command(short_help="Train a vocoder on the sounds under a folder.")
@click.argument("folder")
@click.option("-o", "--output", default="vocoder.safetensors", show_default=True, metavar="FILE", help="The vocoder.")
@rate_option
@click.option("--time-budget", "--train-time", "train_time_s", type=Duration(), default="10m", show_default=True,
              help="Longest training: 90s, 5m, 1h.")  # fmt: skip
@click.option("--steps", type=click.IntRange(min=1), metavar="N", help="Steps at most [default: 8000].")
@click.option("--adversarial", is_flag=True, help="Let a second network judge the spectra in the later part.")
@click.option("--resume", is_flag=True, help="Go on from the last state.")
@seed_option
@jobs_option
@force_option
@json_option
def train(folder: str, output: str, as_json: bool, sample_rate: str | None, **options: Any) -> None:
    """Train a neural vocoder on the sounds under FOLDER, any sounds; one file in ten is held out to judge by.

    The vocoder is one file. Beside it comes a work folder with the decoded sounds and the state for --resume, which may
    be deleted.

    \b
    Example:
      volna vocode train ~/Speech -o speech.vocoder
      volna vocode train ~/Samples -o samples.vocoder --time-budget 30m --sample-rate 44100
    """
    from volna import workflows

    rate = int(sample_rate) if sample_rate else None
    with Progress() as progress:
        trained = workflows.vocode_train(folder, output, sample_rate=rate, progress=progress, **options)
    if as_json:
        emit_json(trained)
    else:
        reports.print_lines(training_report(trained))
    reports.print_notes([*reports.failure_lines(trained.failures), *trained.notes])


def vocode_report(made: VocodeReport) -> list[str]:
    """What was made, in two lines."""
    how = f"{made.method}, {made.n_iterations} iterations" + (f", {made.model}" if made.model else "")
    channels = {1: "mono", 2: "stereo"}.get(made.n_channels, f"{made.n_channels} channels")
    return [
        f"{made.output}: {duration_text(made.duration_s)}, {made.sample_rate} Hz, {channels}, from {made.n_mels} bands",
        f"{how}; {duration_text(made.seconds)}, {made.times_real_time:g} times real time",
    ]


def training_report(trained: VocoderReport) -> list[str]:
    """What was trained on what, in two lines."""
    loss = "" if trained.val_loss is None else f", loss {trained.val_loss:.3f} on {trained.n_held_out} held out"
    size = f"{trained.n_parameters / 1e6:.1f} million parameters, {trained.n_bytes / 1e6:.1f} MB"
    heard = f"{trained.n_sounds} sounds, {duration_text(trained.sound_s)} at {trained.sample_rate} Hz"
    return [
        f"{trained.output}: {size}",
        f"{heard}; {trained.steps} steps in {duration_text(trained.seconds)}{loss}",
    ]


COMMANDS: tuple[click.Command, ...] = (vocode,)
