"""The commands about models and vectors as files: `train`, `embed`, and the group `model`."""

from __future__ import annotations

from typing import Any

import click

from volna.cli import reports
from volna.cli.options import (
    ARCHITECTURES,
    DEVICES,
    INPUTS,
    LOSSES,
    OPTIMIZERS,
    PRESETS,
    force_option,
    jobs_option,
    json_option,
    library_option,
    seed_option,
    time_budget_option,
)
from volna.cli.output import emit_json, note
from volna.cli.progress import Progress

__all__ = ["embed", "model", "train"]


@click.command(short_help="Train an autoencoder on the library, or on a folder of any sounds.")
@click.argument("folder", required=False)
@click.option("-o", "--output", metavar="FILE", help="With FOLDER: where the model goes [default: model.safetensors].")
@click.option("--model", type=click.Choice(ARCHITECTURES), default="conv", show_default=True, help="The architecture.")
@click.option("--input", type=click.Choice(INPUTS), help="With FOLDER: what it hears [default: log-mel].")
@click.option("--latent", type=click.IntRange(min=1), metavar="N", help="Numbers per latent [default: 64].")
@click.option("--loss", type=click.Choice(LOSSES), default="mse", show_default=True, help="Of the reconstruction.")
@click.option("--optimizer", type=click.Choice(OPTIMIZERS), default="adamw", show_default=True, help="What descends.")
@click.option("--preset", type=click.Choice(PRESETS), default="small", show_default=True, help="Size and steps.")
@click.option("--device", type=click.Choice(DEVICES), default="auto", show_default=True,
              help="Auto: a GPU where torch finds one.")  # fmt: skip
@time_budget_option
@click.option("--resume", is_flag=True, help="With FOLDER: go on from the last state. A library always does.")
@force_option
@jobs_option
@seed_option
@library_option
@json_option
def train(folder: str | None, as_json: bool, train_time: float, **options: Any) -> None:
    """Train a new autoencoder.

    On the library, without FOLDER: every track is embedded with the new model, and the old one answers until that is
    complete. `volna index` trains by itself the first time; this is for a library that has grown.

    On the sounds under FOLDER, any sounds, few or short: the model is one file, and no library is touched. Beside it
    come a training curve, a picture of reconstructions, and a work folder for --resume.

    \b
    Example:
      volna train --train-time 15m
      volna train ~/Samples -o samples.safetensors --preset tiny
    """
    from volna import workflows

    for_folders = {name: options.pop(name) for name in ("output", "resume", "force", "input")}
    library = options.pop("library")
    if folder is None and (for_folders["output"] or for_folders["force"] or for_folders["input"]):
        raise click.UsageError("-o, --force and --input go with a FOLDER; a library keeps its model itself")
    if folder is not None and _on_command_line("library"):
        raise click.UsageError("a FOLDER and --library exclude one another")
    with Progress() as progress:
        options |= {"train_time_s": train_time, "progress": progress}
        if folder is None:
            summary = workflows.train(library=library, **options)
        else:
            output = for_folders.pop("output") or "model.safetensors"
            summary = workflows.train_folder(folder, output, **for_folders, **options)
    if as_json:
        failures = {"failures": [vars(failure) for failure in summary["failures"]]} if "failures" in summary else {}
        emit_json(summary | failures)
    else:
        reports.print_lines(reports.train_report(summary))
    reports.print_notes([*reports.failure_lines(summary.get("failures", [])), *summary.get("notes", [])])


@click.command(short_help="Write the vectors of any sounds into a file.")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option("-o", "--output", required=True, metavar="FILE", help="The table: .npz, .csv or .parquet.")
@click.option("--model", metavar="FILE", help="A model file [default: the library's model, where there is one].")
@click.option("--by", type=click.Choice(("descriptors", "autoencoder")), help="What to write [default: autoencoder"
              " where there is a model].")  # fmt: skip
@click.option("--windows", is_flag=True, help="A row for every window of about 3 s instead of one a file.")
@force_option
@jobs_option
@library_option
@json_option
def embed(paths: tuple[str, ...], output: str, as_json: bool, **options: Any) -> int:
    """Write one vector for every file at or under PATH, or for every window of about 3 s with its start.

    Vectors are raw: standardise the columns before comparing rows.

    \b
    Example:
      volna embed ~/Samples -o vectors.npz
      volna embed song.flac talk.mp3 -o windows.csv --windows --by descriptors
    """
    from volna import workflows

    with Progress() as progress:
        summary = workflows.embed(list(paths), output, progress=progress, **options)
    if as_json:
        emit_json(summary)
    elif summary.embedded:
        reports.print_lines(reports.embed_report(summary))
    reports.print_notes([*reports.failure_lines(summary.failures), *summary.notes])
    if not summary.embedded:
        note(f"volna: nothing could be embedded ({summary.failed} failed), so nothing was written")
    return 0 if summary.embedded else 1


@click.group(short_help="Look into a model file, or export it.", no_args_is_help=True)
def model() -> None:
    """Look into a model file, or export it.

    \b
    Example:
      volna model show model.safetensors
      volna model export model.safetensors -o onnx
    """


@model.command(short_help="What a model is, and how good.")
@click.argument("file", required=False)
@library_option
@json_option
def show(file: str | None, as_json: bool, library: str | None) -> None:
    """Show the architecture of a model, its sizes, what it was trained on and its losses; the library's without FILE.

    \b
    Example:
      volna model show model.safetensors
    """
    from volna import workflows

    shown = workflows.model_show(file, library=library)
    if as_json:
        emit_json(shown)
    else:
        reports.print_lines(reports.model_report(shown))


@model.command(short_help="Write a model as ONNX.")
@click.argument("file")
@click.option("-o", "--output", required=True, metavar="DIR", help="Where encoder, decoder and description go.")
@force_option
@json_option
def export(file: str, output: str, as_json: bool, force: bool) -> None:
    """Write encoder and decoder as ONNX, checked against torch, with a description of their input.

    \b
    Example:
      volna model export model.safetensors -o onnx
    """
    from volna import workflows

    exported = workflows.export_model(file, output, force=force)
    if as_json:
        emit_json(exported)
    else:
        reports.print_lines(reports.export_report(exported))
    reports.print_notes(exported.notes)


def _on_command_line(name: str) -> bool:
    source = click.get_current_context().get_parameter_source(name)
    return source is click.core.ParameterSource.COMMANDLINE
