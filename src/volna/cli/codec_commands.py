"""The commands of compression: `encode`, `decode`, and the group `codec`."""

from __future__ import annotations

from typing import Any

import click

from volna.cli.options import Duration, force_option, jobs_option, json_option, seed_option
from volna.cli.output import duration_text, emit_json, note, say, table
from volna.cli.progress import Progress

__all__ = ["COMMANDS", "DAMAGED", "codec", "decode", "encode"]

DAMAGED = 3  # exit code of a decoding that could not give everything back

model_option = click.option(
    "--model", metavar="FILE", help="A codec from `volna codec train` [default: the one that comes with Volna]."
)


@click.command(short_help="Write a sound as a .volna file of a few kilobits a second.")
@click.argument("path", metavar="IN")
@click.argument("output", metavar="OUT.volna")
@click.option("--kbps", type=click.FloatRange(min=0, min_open=True), default=3.0, show_default=True, metavar="K",
              help="Kilobits a second, all channels together; the nearest rate of the model is taken.")  # fmt: skip
@model_option
@force_option
@json_option
def encode(path: str, output: str, as_json: bool, **options: Any) -> None:
    """Write a sound of any length as a .volna file, by a codec that was trained on sounds.

    What it gives back sounds alike but is another waveform. To read it again takes the same model: keep it.

    \b
    Example:
      volna encode talk.wav talk.volna --kbps 1.5
      volna encode song.flac song.volna --model music.codec --kbps 6
    """
    from volna import workflows

    with Progress() as progress:
        report = workflows.encode(path, output, progress=progress, **options)
    if as_json:
        emit_json(report)
    else:
        size = f"{report.n_bytes / 1000:.1f} kB, {report.kbps:.2f} kbit/s"
        made = f"{duration_text(report.duration_s)} in {size}, {report.times_real_time:.0f} times real time"
        say(f"{report.output}: {made}; model {report.model} ({report.model_id})")
    for line in report.notes:
        note(f"volna: {line}")


@click.command(short_help="Make sound of a .volna file.")
@click.argument("path", metavar="IN.volna")
@click.argument("output", metavar="OUT.wav")
@model_option
@force_option
@json_option
def decode(path: str, output: str, as_json: bool, **options: Any) -> int:
    """Make sound of a .volna file: the rate, the channels and the very length of what was encoded.

    Damaged blocks become silence, a file that breaks off gives what it holds; both are told, and the exit code is 3.

    \b
    Example:
      volna decode talk.volna talk.wav
    """
    from volna import workflows

    with Progress() as progress:
        report = workflows.decode(path, output, progress=progress, **options)
    if as_json:
        emit_json(report)
    else:
        about = f"{duration_text(report.duration_s)} at {report.sample_rate} Hz, {report.n_channels} channels"
        say(f"{report.output}: {about}, {report.times_real_time:.0f} times real time")
    for line in report.notes:
        note(f"volna: {line}")
    return DAMAGED if report.damaged else 0


@click.group(short_help="Train a codec, or measure one beside Opus and MP3.", no_args_is_help=True)
def codec() -> None:
    """Train a codec on your own sounds, or measure one.

    \b
    Example:
      volna codec train ~/Talks -o talks.codec
      volna codec evaluate ~/OtherTalks --model talks.codec -o curve.png
    """


@codec.command(short_help="Train a codec on the sounds under a folder.")
@click.argument("folder")
@click.option("-o", "--output", required=True, metavar="FILE", help="Where the model goes.")
@click.option("--time-budget", "--train-time", "time_budget", type=Duration(), default="10m", show_default=True,
              help="Longest training: 90s, 5m, 1h.")  # fmt: skip
@click.option("--sample-rate", type=int, metavar="HZ",
              help="Inside the codec: 8000, 16000, 24000 or 44100 [default: as half of the files].")  # fmt: skip
@click.option("--resume", is_flag=True, help="Go on from the last state of a training that was stopped.")
@force_option
@jobs_option
@seed_option
@json_option
def train(folder: str, output: str, as_json: bool, time_budget: float, **options: Any) -> None:
    """Train a codec on the sounds under FOLDER; the more they are like what will be encoded, the better.

    \b
    Example:
      volna codec train ~/Talks -o talks.codec --time-budget 20m
    """
    from volna import workflows

    with Progress() as progress:
        trained = workflows.codec_train(folder, output, train_time_s=time_budget, progress=progress, **options)
    if as_json:
        emit_json(trained)
    else:
        rates = ", ".join(f"{rate:.2g}" for rate in trained.kbps)
        say(f"{trained.output}: {trained.n_sounds} sounds, {duration_text(trained.sound_s)}, {trained.steps} steps")
        say(f"{trained.n_bytes / 1e6:.1f} MB, id {trained.id}, {trained.sample_rate} Hz inside")
        say(f"rates in kbit/s: {rates}")
    for failure in trained.failures:
        note(f"volna: left out {failure.path}: {failure.reason}")
    for line in trained.notes:
        note(f"volna: {line}")


@codec.command(short_help="Measure a codec beside Opus, MP3 and Griffin-Lim.")
@click.argument("paths", nargs=-1, required=True, metavar="FILES")
@model_option
@click.option("--kbps", multiple=True, type=click.FloatRange(min=0, min_open=True), metavar="K",
              help="Rate to measure at; may be repeated [default: 0.75 1.5 3 6].")  # fmt: skip
@click.option("-o", "--output", metavar="FILE", help="Also draw rate against distance into a PNG.")
@force_option
@jobs_option
@json_option
def evaluate(paths: tuple[str, ...], kbps: tuple[float, ...], as_json: bool, **options: Any) -> int:
    """Measure bits on the disk against what is lost, on files that the codec was not trained on.

    \b
    Example:
      volna codec evaluate ~/OtherTalks --kbps 1.5 --kbps 3 -o curve.png
    """
    from volna import workflows

    chosen = {"kbps": kbps} if kbps else {}
    with Progress() as progress:
        measured = workflows.codec_evaluate(list(paths), progress=progress, **chosen, **options)
    if as_json:
        emit_json(measured)
    else:
        _print_evaluation(measured)
    for failure in measured.failures:
        note(f"volna: not measured: {failure.path}: {failure.reason}")
    return 0 if measured.n_files else 1


def _print_evaluation(measured: Any) -> None:
    head = ("codec", "asked", "on disk", "SI-SDR", "STFT", "mel", "encodes", "decodes")
    rows = [
        (
            row.codec,
            f"{row.rate_kbps:g}",
            f"{row.kbps:.2f} kbit/s",
            f"{row.scores['si_sdr_db']:.1f} dB",
            f"{row.scores['stft']:.2f}",
            f"{row.scores['mel_db']:.2f} dB",
            f"{row.encode_times_real_time:.0f}x",
            f"{row.decode_times_real_time:.0f}x",
        )
        for row in measured.rows
    ]
    say(f"{measured.n_files} sounds, {duration_text(measured.duration_s)}, compared at {measured.sample_rate} Hz")
    for line in table(rows, head=head, right=range(1, len(head))):
        say(line)
    if measured.output:
        say(f"picture: {measured.output}")


COMMANDS = (encode, decode, codec)
