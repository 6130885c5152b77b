"""The commands: each unpacks its options, calls one workflow and prints what it returns."""

from __future__ import annotations

from typing import Any

import click

from volna.cli import (
    anomaly_commands,
    check_commands,
    classify_commands,
    codec_commands,
    denoise_commands,
    features_commands,
    files_commands,
    generate_commands,
    picture_commands,
    reports,
    vocode_commands,
    words_commands,
)
from volna.cli.model_commands import embed, model, train
from volna.cli.options import (
    SEGMENTS,
    Span,
    by_option,
    jobs_option,
    json_option,
    library_option,
    m3u_option,
    n_option,
    seed_option,
    train_time_option,
)
from volna.cli.output import emit_json, note, say
from volna.cli.progress import Progress

__all__ = ["COMMANDS"]

Options = dict[str, Any]


@click.command(short_help="Listen to folders or files, and remember.")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option("--segment", type=click.Choice(SEGMENTS), help="Which part of a track to hear [default: spread].")
@click.option("--exclude", multiple=True, metavar="GLOB", help="Leave out what matches; may be repeated.")
@train_time_option
@jobs_option
@seed_option
@library_option
@json_option
def index(paths: tuple[str, ...], as_json: bool, train_time: float, **options: Any) -> int:
    """Listen to every track under PATH, train the autoencoder on them where there are enough, and remember.

    Only what is new or changed is heard; a moved, renamed or re-tagged file is recognised by its sound. Stop it
    whenever you like: the next run goes on.

    \b
    Example:
      volna index ~/Music
      volna index ~/Music --exclude "*/Audiobooks/*" --train-time 10m
    """
    from volna import workflows

    with Progress() as progress:
        summary = workflows.index(list(paths), train_time_s=train_time, progress=progress, **options)
    if as_json:
        emit_json(summary)
    else:
        reports.print_lines(reports.index_report(summary))
    why_nothing = reports.why_nothing(summary)
    if why_nothing:
        note(f"volna: {why_nothing}")
    return 1 if why_nothing else 0


@click.command(short_help="The tracks that sound most like one.")
@click.argument("track")
@n_option(20)
@by_option
@m3u_option
@library_option
@json_option
def similar(track: str, as_json: bool, m3u: str | None, **options: Any) -> None:
    """Find the tracks that sound most like TRACK.

    TRACK is a path, an id, or part of "artist - title"; a file outside the library is heard on the spot.

    \b
    Example:
      volna similar "nina simone - feeling good"
      volna similar ~/Downloads/new.mp3 -n 5 --by descriptors
    """
    from volna import workflows

    found = workflows.similar(track, **options)
    if as_json:
        emit_json(found)
    else:
        reports.print_lines(reports.similar_report(found))
    reports.print_notes(found.notes)
    _save(found.results, m3u)


@click.command(short_help="An endless playlist from any track.")
@click.argument("tracks", nargs=-1, required=True, metavar="TRACK...")
@click.option("--not", "avoid", multiple=True, metavar="TRACK", help="Keep away from this one; may be repeated.")
@n_option(50)
@by_option
@click.option("--max-per-artist", type=click.IntRange(min=1), default=3, show_default=True, metavar="N",
              help="At most N tracks of one artist.")  # fmt: skip
@click.option("--artist-gap", type=click.IntRange(min=0), default=5, show_default=True, metavar="N",
              help="At least N tracks between two of one artist.")  # fmt: skip
@click.option("--bpm", type=Span(), help="Tempo, such as 90-130.")
@click.option("--year", type=Span(whole=True), help="Year, such as 1990-1999 or 1994.")
@click.option("--genre", metavar="G", help="Genre tag.")
@seed_option
@m3u_option
@library_option
@json_option
def wave(tracks: tuple[str, ...], avoid: tuple[str, ...], as_json: bool, m3u: str | None, **options: Any) -> None:
    """Make a playlist that starts from TRACK (or between several) and stays near it.

    \b
    Example:
      volna wave "nina simone - feeling good" --m3u wave.m3u8
      volna wave 17 42 --not "metallica - one" --bpm 90-130 -n 30
    """
    from volna import workflows

    _print_playlist(workflows.wave(list(tracks), avoid=list(avoid), **options), as_json, m3u)


@click.command(short_help="A playlist that walks from one track to another.")
@click.argument("start", metavar="A")
@click.argument("end", metavar="B")
@n_option(20)
@by_option
@seed_option
@m3u_option
@library_option
@json_option
def journey(start: str, end: str, as_json: bool, m3u: str | None, **options: Any) -> None:
    """Make a playlist that walks from track A to track B in small steps.

    \b
    Example:
      volna journey "erik satie - gymnopédie" "slayer - raining blood" -n 25 --m3u journey.m3u8
    """
    from volna import workflows

    _print_playlist(workflows.journey(start, end, **options), as_json, m3u)


@click.command(short_help="Measure how well the search works on your library.")
@click.option("--labels", metavar="CSV", help="A CSV file with the columns path and label (and artist, if known).")
@click.option("--labels-from", type=click.Choice(("folder", "genre")), help="Take labels from folders or genre tags.")
@jobs_option
@seed_option
@library_option
@json_option
def evaluate(as_json: bool, labels: str | None, labels_from: str | None, **options: Any) -> None:
    """Measure precision, hubness and coverage of every method side by side, with 95 % intervals over artists.

    Without labels: genre tags where two genres have ten tracks, else whether one half of a track finds the other.

    \b
    Example:
      volna evaluate --labels-from folder
    """
    from volna import workflows

    if labels and labels_from:
        raise click.UsageError("--labels and --labels-from exclude one another")
    with Progress() as progress:
        table = workflows.evaluate(labels=labels, labels_from=labels_from, progress=progress, **options)
    if as_json:
        emit_json(table)
    else:
        reports.print_lines(reports.evaluation_report(table))
    reports.print_notes(table.notes)


@click.command(short_help="What the library holds.")
@library_option
@json_option
def status(as_json: bool, library: str | None) -> None:
    """Show what the library holds, and its model.

    \b
    Example:
      volna status
    """
    from volna import workflows

    state = workflows.status(library=library)
    if as_json:
        emit_json(state)
    else:
        reports.print_lines(reports.status_report(state))


@click.command(short_help="Files that could not be analysed, and why.")
@library_option
@json_option
def failures(as_json: bool, library: str | None) -> None:
    """List the files that could not be analysed, each with its reason.

    \b
    Example:
      volna failures
    """
    from volna import workflows

    failed = workflows.failures(library=library)
    if as_json:
        emit_json({"failures": [{"path": failure.path, "reason": failure.reason} for failure in failed]})
    else:
        reports.print_lines(reports.failures_report(failed) if failed else ["no failures"])


@click.command(short_help="Remove files or folders from the library.")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@library_option
@json_option
def forget(paths: tuple[str, ...], as_json: bool, library: str | None) -> None:
    """Remove PATH, a file or a whole folder, from the library. The files themselves stay as they are.

    \b
    Example:
      volna forget ~/Music/Audiobooks
    """
    from volna import workflows

    forgotten = workflows.forget(list(paths), library=library)
    if as_json:
        emit_json({"forgotten": forgotten})
    else:
        say(f"forgot {forgotten} file{'' if forgotten == 1 else 's'}")


@click.command(short_help="Everything at once, on music made on the spot.")
@click.option("--folder", default="volna-demo", show_default=True, metavar="DIR", help="Where the music goes.")
@click.option("--library", metavar="FILE", help="The library file [default: one inside DIR, not your own].")
@seed_option
@json_option
def demo(folder: str, as_json: bool, **options: Any) -> None:
    """Show the whole job without any music: synthesise 240 clips, index them, train, search, make a playlist, measure.

    It takes under three minutes and no network, and leaves your own library alone.

    \b
    Example:
      volna demo
    """
    from volna import workflows

    with Progress() as progress:
        report = workflows.demo(folder, progress=progress, **options)
    if as_json:
        emit_json(report)
    else:
        reports.print_lines(reports.demo_report(report))


COMMANDS = (
    *(index, similar, wave, journey, train, evaluate, embed, model, status, failures, forget, demo),
    *files_commands.COMMANDS,
    *picture_commands.COMMANDS,
    *features_commands.COMMANDS,
    *check_commands.COMMANDS,
    *classify_commands.COMMANDS,
    *anomaly_commands.COMMANDS,
    *words_commands.COMMANDS,
    *vocode_commands.COMMANDS,
    *denoise_commands.COMMANDS,
    *generate_commands.COMMANDS,
    *codec_commands.COMMANDS,
)


def _print_playlist(playlist: Any, as_json: bool, m3u: str | None) -> None:
    if as_json:
        emit_json(playlist)
    else:
        reports.print_lines(reports.playlist_report(playlist))
    reports.print_notes([*playlist.relaxed, *playlist.notes])
    _save(playlist.results, m3u)


def _save(results: list[Any], m3u: str | None) -> None:
    if m3u is None:
        return
    from volna import workflows

    workflows.save_playlist(results, m3u)
    note(f"wrote {m3u} ({len(results)} tracks)")
