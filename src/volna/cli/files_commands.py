"""The commands about files as they are: `info`, `convert` and `level`."""

from __future__ import annotations

from typing import Any

import click

from volna.cli import files_reports, reports
from volna.cli.options import Duration, force_option, jobs_option, json_option, seed_option
from volna.cli.output import emit_json, note
from volna.cli.progress import Progress

__all__ = ["COMMANDS", "convert", "info", "level"]


@click.command(short_help="What a file is; for WAV the header field by field.")
@click.argument("paths", nargs=-1, required=True, metavar="FILE...")
@jobs_option
@json_option
def info(paths: tuple[str, ...], as_json: bool, **options: Any) -> int:
    """Show container, codec, rate, channels, bit depth, duration, bit rate and tags of every FILE, or file in a folder.

    For WAV (RIFF, RIFX, RF64 and BW64) also every field of the header, with its offset, and what in it contradicts
    itself or the file's length. More than ten files have one line each.

    \b
    Example:
      volna info talk.wav
      volna info ~/Samples --json
    """
    from volna import workflows

    with Progress() as progress:
        report = workflows.info(list(paths), progress=progress, **options)
    if as_json:
        emit_json(report)
    else:
        reports.print_lines(files_reports.info_report(report))
    reports.print_notes(reports.failure_lines(report.failures))
    return _exit_code([file for file in report.files if not file.error], "nothing could be read")


@click.command(short_help="Another rate, fewer bits, another format; and what that costs.")
@click.argument("source", metavar="IN")
@click.argument("output", metavar="OUT")
@click.option("--rate", type=click.IntRange(min=1), metavar="HZ", help="The new sample rate [default: that of IN].")
@click.option("--bits", type=click.IntRange(1, 32), metavar="N", help="Round samples to N bits, 1 to 32.")
@click.option("--dither", is_flag=True, help="With --bits: add TPDF noise first; noise instead of distortion.")
@click.option("--mono", is_flag=True, help="Mix all channels down to one.")
@click.option("--start", "start_s", type=Duration(), default="0", show_default=True, metavar="TIME",
              help="Where to begin: 90s, 5m.")  # fmt: skip
@click.option("--duration", "duration_s", type=Duration(), metavar="TIME", help="How much [default: to the end].")
@click.option("--no-filter", is_flag=True, help="With --rate: take samples without a filter, to hear aliasing.")
@seed_option
@force_option
@json_option
def convert(source: str, output: str, as_json: bool, **options: Any) -> None:
    """Write IN as OUT, whose ending chooses the format: sampling and quantisation made audible.

    With --bits the signal-to-noise ratio is measured, beside 6.02 N + 1.76 dB, that of a full-scale sine.

    \b
    Example:
      volna convert talk.wav phone.wav --rate 8000 --bits 8
      volna convert song.flac coarse.wav --bits 4 --dither --start 30s --duration 10s
      volna convert song.flac aliased.wav --rate 6000 --no-filter
    """
    from volna import workflows

    with Progress() as progress:
        done = workflows.convert(source, output, progress=progress, **options)
    if as_json:
        emit_json(done)
    else:
        reports.print_lines(files_reports.convert_report(done))
    reports.print_notes(done.notes)


@click.command(short_help="How loud: peak, RMS, loudness, true peak, intensity.")
@click.argument("paths", nargs=-1, required=True, metavar="FILE...")
@click.option("--full-scale-pa", type=click.FloatRange(min=0, min_open=True), metavar="P",
              help="Sound pressure in pascal that full scale stands for; gives intensity.")  # fmt: skip
@click.option("--plot", metavar="PNG", help="Also draw the loudness of one FILE over time.")
@force_option
@jobs_option
@json_option
def level(paths: tuple[str, ...], as_json: bool, plot: str | None, **options: Any) -> int:
    """Measure peak, RMS, crest factor, loudness (EBU R 128), true peak and DC of every FILE, or file of a folder.

    Levels are relative to full scale: a sine of amplitude 1 has an RMS of -3.01 dBFS. With the pressure of full scale
    (from a calibrator: a tone of 94 dB is 1 Pa RMS) also I = p^2 / (2 rho c), p the amplitude, L = 10 log10(I / 1e-12).

    \b
    Example:
      volna level song.flac --plot loudness.png
      volna level measurement.wav --full-scale-pa 20
    """
    from volna import workflows

    with Progress() as progress:
        report = workflows.level(list(paths), plot=plot, progress=progress, **options)
    if as_json:
        emit_json(report)
    else:
        reports.print_lines(files_reports.level_report(report))
    if plot and report.files:
        note(f"wrote {plot}")
    reports.print_notes(reports.failure_lines(report.failures))
    return _exit_code(report.files, "nothing could be measured")


COMMANDS = (info, convert, level)


def _exit_code(good: list[Any], why_not: str) -> int:
    if not good:
        note(f"volna: {why_not}")
    return 0 if good else 1
