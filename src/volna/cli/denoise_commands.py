"""The commands `denoise` and `denoise train`."""

from __future__ import annotations

from typing import Any

import click

from volna.cli import reports
from volna.cli.groups import VerbGroup
from volna.cli.options import Duration, force_option, jobs_option, json_option, seed_option
from volna.cli.output import duration_text, emit_json, note, table
from volna.cli.progress import Progress

__all__ = ["COMMANDS", "denoise"]

METHODS = ("neural", "wiener", "wavelet", "none")


@click.group(cls=VerbGroup, default="file", short_help="Take noise out of a sound; put back clipped peaks and gaps.")
def denoise() -> None:
    """Take noise out of IN and write OUT, whose ending chooses the format; or train a denoiser.

    Without a model a Wiener filter does it. With one, a small network: volna denoise train makes it of clean speech
    and noise. All channels, any rate and length; levels stay as they are.

    \b
    Example:
      volna denoise talk.wav clean.wav
      volna denoise talk.wav clean.flac --model denoiser.safetensors --plot before_after.png
      volna denoise old.wav better.wav --with none --declip --fill
      volna denoise train --clean ~/Speech -o denoiser.safetensors
    """


@denoise.command("file", hidden=True, short_help="Take noise out of a sound.")
@click.argument("source", metavar="IN")
@click.argument("output", metavar="OUT")
@click.option("--model", metavar="FILE", help="A denoiser that volna denoise train has made.")
@click.option("--with", "method", type=click.Choice(METHODS),
              help="How [default: neural with --model, else wiener]; none only restores.")  # fmt: skip
@click.option("--strength", type=click.FloatRange(0, 1), default=1.0, show_default=True, metavar="0..1",
              help="How much of the noise is taken out.")  # fmt: skip
@click.option("--declip", is_flag=True, help="Put back peaks that were cut off.")
@click.option("--fill", is_flag=True, help="Fill dropouts of up to 60 ms.")
@click.option("--plot", metavar="PNG", help="Also draw the spectra before and after.")
@force_option
@json_option
def file(source: str, output: str, as_json: bool, **options: Any) -> None:
    """Take noise out of IN and write OUT.

    \b
    Example:
      volna denoise talk.wav clean.wav
    """
    from volna import workflows

    with Progress() as progress:
        done = workflows.denoise(source, output, progress=progress, **options)
    if as_json:
        emit_json(done)
    else:
        reports.print_lines(denoise_report(done))
    reports.print_notes(done.notes)


@denoise.command(short_help="Train a denoiser on clean speech and noise.")
@click.option("--clean", required=True, multiple=True, metavar="DIR",
              help="Clean sounds: speech, some minutes or more. May be given again.")  # fmt: skip
@click.option("--noise", default="synthetic", show_default=True, metavar="DIR|synthetic",
              help="Noises, or those that Volna makes itself.")  # fmt: skip
@click.option("-o", "--output", default="denoiser.safetensors", show_default=True, metavar="FILE",
              help="Where the model goes.")  # fmt: skip
@click.option("--time-budget", "--train-time", "train_time", type=Duration(), default="10m", show_default=True,
              help="Longest training: 90s, 5m, 1h.")  # fmt: skip
@click.option("--resume", is_flag=True, help="Go on from the last state.")
@force_option
@jobs_option
@seed_option
@json_option
def train(clean: tuple[str, ...], output: str, as_json: bool, train_time: float, **options: Any) -> None:
    """Train a denoiser, on mixtures of clean sounds and noises that are made on the fly. About 10 minutes on two cores.

    \b
    Example:
      volna denoise train --clean ~/Speech
      volna denoise train --clean ~/Speech --noise ~/Noises -o denoiser.safetensors --time-budget 1h
    """
    from volna import workflows

    with Progress() as progress:
        options |= {"output": output, "train_time_s": train_time, "progress": progress}
        report = workflows.denoise_train(list(clean), **options)
    if as_json:
        emit_json(report)
    else:
        reports.print_lines(train_report(report))
    reports.print_notes([*reports.failure_lines(report.failures), *report.notes])


COMMANDS = (denoise,)


def denoise_report(done: Any) -> list[str]:
    """What was done, in lines."""
    how = f"neural ({done.model})" if done.model else done.method
    rows = [("method", how if done.strength == 1 else f"{how}, strength {done.strength:g}")]
    if done.method != "none":
        removed = "nothing" if done.removed_db is None else f"{done.removed_db:.1f} dB against the sound"
        rows += [("taken out", removed), ("level", f"{done.level_before_db:.1f} to {done.level_after_db:.1f} dBFS")]
    if done.n_declipped is not None:
        rows.append(("declipped", f"{done.n_declipped} samples"))
    if done.n_filled is not None:
        rows.append(("filled", f"{done.n_filled} gaps, {1000 * done.filled_s:.0f} ms in all"))
    rows.append(("time", f"{duration_text(done.seconds)}, {done.times_real_time:.0f} times real time"))
    if done.plot:
        note(f"wrote {done.plot}")
    return [f"wrote {done.output}", *table(rows)]


def train_report(report: Any) -> list[str]:
    """What was trained, in lines."""
    rows = [
        ("clean", f"{report.n_clean} sounds, {duration_text(report.clean_s)}"),
        ("noise", report.noise if report.n_noises is None else f"{report.n_noises} sounds"),
        ("hears up to", f"{report.top_hz:g} Hz"),
        ("parameters", str(report.n_parameters)),
        ("training", f"{report.steps} steps, {duration_text(report.seconds)}, ended by {report.stopped}"),
        ("gain held out", f"{report.gain_db:+.1f} dB SI-SDR; Wiener filter {report.wiener_gain_db:+.1f} dB"),
    ]
    return [f"wrote {report.output}", *table(rows)]
