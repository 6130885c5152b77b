"""The commands `check` (what is wrong with a recording) and `synth` (sounds that are known exactly)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from volna.cli.options import force_option, jobs_option, json_option, seed_option
from volna.cli.output import duration_text, emit_json, note, table, wrap
from volna.cli.progress import Progress
from volna.cli.reports import failure_lines, print_lines, print_notes

if TYPE_CHECKING:
    from volna.workflows.listening.check import Checked, CheckSummary
    from volna.workflows.listening.synth import Synthesised

__all__ = ["COMMANDS", "check", "check_report", "synth", "synth_report"]

FOUND = 3  # exit code where something was found
SIGNALS = ("tone", "chirp", "noise", "clicks", "chord", "vowel")
SHAPES = ("sine", "square", "saw", "triangle")
COLOURS = ("white", "pink", "brown", "blue", "violet")
VOWELS = ("a", "e", "i", "o", "u")
FEW_FILES = 5  # up to so many, every finding is printed with its sentence
SPANS_SHOWN = 4
# Which options go with which kind, and what the function calls them.
OPTIONS = {
    "tone": {"frequency": "frequencies_hz", "shape": "shape"},
    "chirp": {"start_frequency": "from_hz", "end_frequency": "to_hz", "sweep": "sweep"},
    "noise": {"colour": "colour"},
    "clicks": {"bpm": "bpm", "accent": "accent"},
    "chord": {"notes": "notes", "shape": "shape"},
    "vowel": {"vowel": "name", "f0": "f0_hz"},
}


@click.command(short_help="What a trained ear would flag in recordings.")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option("--plot", metavar="PNG_OR_DIR", help="Waveform and spectrogram with the findings marked: a .png for one"
              " file, else a folder for the pictures of the flagged ones.")  # fmt: skip
@force_option
@jobs_option
@json_option
def check(paths: tuple[str, ...], as_json: bool, **options: Any) -> int:
    """Look for clipping, mains hum, whistles, dropouts, frozen samples, digital silence, clicks, a DC offset, dead or
    inverted channels, a low level, band-limited or transcoded content and noise, in files or folders of them.

    Every finding comes with its time, channel, measure and certainty. Exit code 0: nothing found, 3: something found,
    1: no file could be read. What counts as plainly audible, and how often it is found, is in docs/diagnosis.md.

    \b
    Example:
      volna check talk.wav --plot talk.png
      volna check ~/Recordings --json
    """
    from volna import workflows

    with Progress() as progress:
        summary = workflows.check(*paths, progress=progress, **options)
    if as_json:
        emit_json(summary)
    else:
        print_lines(check_report(summary))
    print_notes(failure_lines(summary.failures))
    if not summary.results:
        note("volna: no file could be read")
        return 1
    return FOUND if summary.flagged else 0


def check_report(summary: CheckSummary) -> list[str]:
    """Every finding of a few files; a table of many, the flagged ones first."""
    if not summary.results:
        return []
    if len(summary.results) <= FEW_FILES:
        lines = [line for result in summary.results for line in [*_file_lines(result), ""]]
        return lines[:-1] if len(summary.results) == 1 else [*lines, _sum_line(summary)]
    flagged = [result for result in summary.results if result.findings]
    rows = [(result.path, _kinds_of(result), f"{_certainty(result):.2f}") for result in flagged]
    lines = table(rows, head=("file", "found", "certainty"), right=[2], paths=[0]) if rows else []
    counts = table([(kind, str(count)) for kind, count in summary.kinds.items()], head=("finding", "files"), right=[1])
    return [*lines, *([""] if rows else []), *(counts if rows else []), *([""] if rows else []), _sum_line(summary)]


def _file_lines(result: Checked) -> list[str]:
    measures = result.measures
    about = [f"{result.sample_rate} Hz", f"{result.n_channels} ch", duration_text(result.duration_s)]
    about += [f"peak {measures['peak_db']:.1f} dBFS"] if measures.get("peak_db") is not None else []
    if measures.get("noise_floor_db") is not None:
        about.append(f"noise floor {measures['noise_floor_db']:.0f} dBFS, SNR {measures['snr_db']:.0f} dB")
    lines = [result.path, "  " + ", ".join(about)]
    if not result.findings:
        return [*lines, "  nothing found"]
    rows = [
        (f"  {finding.kind.replace('_', ' ')}", _where(finding), f"{finding.certainty:.2f}", finding.sentence)
        for finding in result.findings
    ]
    return [*lines, *table(rows, head=("  finding", "where", "certainty", ""), right=[2])]


def _where(finding: Any) -> str:
    """Channel and the first spans, as ``ch 2, 1.20-1.25 s, 3.00 s``."""
    spans = [
        f"{begin:.2f}" if end - begin < 0.01 else f"{begin:.2f}-{end:.2f}" for begin, end in finding.spans[:SPANS_SHOWN]
    ]
    more = ["..."] if len(finding.spans) > SPANS_SHOWN else []
    channel = [f"ch {finding.channel}"] if finding.channel else []
    return ", ".join([*channel, *spans, *more]) + (" s" if spans else "")


def _kinds_of(result: Checked) -> str:
    return ", ".join(dict.fromkeys(finding.kind.replace("_", " ") for finding in result.findings))


def _certainty(result: Checked) -> float:
    return max(finding.certainty for finding in result.findings)


def _sum_line(summary: CheckSummary) -> str:
    failed = f", {summary.failed} could not be read" if summary.failed else ""
    return (
        f"{summary.found} files in {duration_text(summary.seconds)}: {summary.flagged} with findings, "
        f"{summary.clean} clean{failed}"
    )


@click.command(short_help="Tones, chirps, noise, clicks, chords and vowels to try things on.")
@click.argument("kind", type=click.Choice(SIGNALS))
@click.option("-o", "--output", required=True, metavar="FILE", help="The file, in the format of its ending.")
@click.option("--frequency", type=float, multiple=True, metavar="HZ", help="tone: its frequency; several for several"
              " tones at once [default: 440].")  # fmt: skip
@click.option("--shape", type=click.Choice(SHAPES), help="tone, chord: the wave [default: sine; of a chord triangle].")
@click.option("--start-frequency", type=float, metavar="HZ", help="chirp: where it starts [default: 100].")
@click.option("--end-frequency", type=float, metavar="HZ", help="chirp: where it ends [default: 8000].")
@click.option("--sweep", type=click.Choice(("linear", "log")), help="chirp: evenly in Hz or in octaves"
              " [default: linear].")  # fmt: skip
@click.option("--colour", type=click.Choice(COLOURS), help="noise: its colour [default: white].")
@click.option("--bpm", type=float, metavar="N", help="clicks: how many a minute [default: 120].")
@click.option("--accent", type=click.IntRange(min=0), metavar="N", help="clicks: every so many stronger"
              " [default: none].")  # fmt: skip
@click.option("--notes", metavar="TEXT", help="chord: a name such as Am7, or notes such as 'C4 E4 G4' [default: C].")
@click.option("--vowel", type=click.Choice(VOWELS), help="vowel: which one [default: a].")
@click.option("--f0", type=float, metavar="HZ", help="vowel: its pitch [default: 120].")
@click.option("--duration", "duration_s", type=float, default=3.0, show_default=True, metavar="S", help="Seconds.")
@click.option("--level", "level_db", type=float, default=-6.0, show_default=True, metavar="DB",
              help="Of the highest sample, dBFS.")  # fmt: skip
@click.option("--rate", "sample_rate", type=int, default=44100, show_default=True, metavar="HZ", help="Sample rate.")
@click.option("--channels", "n_channels", type=click.IntRange(1, 8), default=1, show_default=True, metavar="N",
              help="The same in each; noise is another in each.")  # fmt: skip
@click.option("--fade", "fade_s", type=float, default=0.01, show_default=True, metavar="S", help="Rise and fall at the"
              " ends.")  # fmt: skip
@seed_option
@force_option
@json_option
def synth(kind: str, output: str, as_json: bool, **options: Any) -> None:
    """Write a test signal that is known exactly.

    KIND is tone, chirp, noise, clicks (a metronome), chord or vowel.

    \b
    Example:
      volna synth tone -o a.wav --frequency 440 --frequency 660 --shape saw
      volna synth chirp -o sweep.flac --start-frequency 20 --end-frequency 20000 --sweep log --duration 10
      volna synth noise -o pink.wav --colour pink --channels 2
      volna synth chord -o am7.mp3 --notes Am7
      volna synth vowel -o i.wav --vowel i --f0 200
    """
    from volna import workflows

    own = {name: value for name in _every_option() if (value := options.pop(name)) not in (None, ())}
    if wrong := [name for name in own if name not in OPTIONS[kind]]:
        raise click.UsageError(f"--{wrong[0].replace('_', '-')} does not go with {kind}")
    named = {OPTIONS[kind][name]: list(value) if name == "frequency" else value for name, value in own.items()}
    made = workflows.synth(kind, output, **options, **named)
    if as_json:
        emit_json(made)
    else:
        print_lines(synth_report(made))


def _every_option() -> list[str]:
    return list(dict.fromkeys(name for names in OPTIONS.values() for name in names))


def synth_report(made: Synthesised) -> list[str]:
    """One line: what was written."""
    about = made.as_dict()
    channels = "1 channel" if about["n_channels"] == 1 else f"{about['n_channels']} channels"
    return wrap(
        f"{about['output']}: {about['kind']}, {duration_text(about['duration_s'])}, {channels} at"
        f" {about['sample_rate']} Hz, peak {about['peak_db']} dBFS"
    )


COMMANDS = (check, synth)
