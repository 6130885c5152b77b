"""The commands that show what a sound is made of: `spectrogram` and `spectrum`."""

from __future__ import annotations

import os
from typing import Any

import click

from volna.cli.options import force_option, jobs_option, json_option
from volna.cli.output import clip, duration_text, emit_json, note, printable, say, table, wrap
from volna.cli.progress import Progress

__all__ = ["COMMANDS", "spectrogram", "spectrum"]

KINDS = ("mel", "linear", "mfcc", "chroma", "cqt", "wavelet")
WINDOWS = ("hann", "hamming", "rectangular")
PICTURE, PICTURES = "spectrogram.png", "spectrograms"
MOST_FAILURES = 20  # lines; --json has them all


class Reference(click.ParamType):
    """A power above zero, or the word max."""

    name = "max|power"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float | str:
        if value == "max" or isinstance(value, float):
            return value
        try:
            return float(value)
        except ValueError:
            self.fail(f"expected 'max' or a number such as 1.0, got {value!r}", param, ctx)


_POSITIVE = click.FloatRange(min=0, min_open=True)
_TIME = click.FloatRange(min=0)
_KIND_HELP = "Mel bands, bins of the transform, cepstral coefficients, pitch classes, constant Q or Morlet's wavelet."
_OUTPUT_HELP = f"A .png, or the values as .npy or .npz [default: {PICTURE}]; for a FOLDER a folder [{PICTURES}]."
_HOP_HELP = "Step of the frames in samples [default: 512; in sounds beyond 16384 frames, several to a column]."
_FMIN_HELP = "Lowest frequency in Hz [default: 0; cqt and wavelet 32.7]."
_FMAX_HELP = "Highest frequency in Hz [default: half the sample rate; cqt seven octaves]."
_REF_HELP = "The power that is 0 dB, or max for the loudest cell [default: max; mfcc 1.0]."


@click.command(short_help="Draw a sound over time and frequency.")
@click.argument("path", metavar="FILE|FOLDER")
@click.option("-o", "--output", metavar="FILE", help=_OUTPUT_HELP)
@click.option("--kind", type=click.Choice(KINDS), default="mel", show_default=True, help=_KIND_HELP)
@click.option("--n-fft", type=click.IntRange(min=2), default=2048, show_default=True, help="Frame in samples.")
@click.option("--hop", "hop_length", type=click.IntRange(min=1), metavar="N", help=_HOP_HELP)
@click.option("--n-mels", type=click.IntRange(min=1), default=128, show_default=True, help="Bands of mel and mfcc.")
@click.option("--window", type=click.Choice(WINDOWS), default="hann", show_default=True, help="Of the frames.")
@click.option("--fmin", "fmin_hz", type=_TIME, metavar="HZ", help=_FMIN_HELP)
@click.option("--fmax", "fmax_hz", type=_POSITIVE, metavar="HZ", help=_FMAX_HELP)
@click.option("--ref", type=Reference(), help=_REF_HELP)
@click.option("--top-db", type=_POSITIVE, default=80.0, show_default=True, help="Range below the loudest cell.")
@click.option("--start", "start_s", type=_TIME, default=0.0, metavar="S", help="Begin here, in seconds.")
@click.option("--duration", "duration_s", type=_POSITIVE, metavar="S", help="Length in seconds [default: to the end].")
@click.option("--raw", is_flag=True, help="The bare image: frames wide, bands high, no axes, for models of vision.")
@click.option("--show-frame", "show_frame_s", type=_TIME, metavar="S", help="Also draw the spectrum at this time.")
@click.option("--cmap", default="cividis", show_default=True, help="Colour map; gray with --raw has one channel.")
@force_option
@jobs_option
@json_option
def spectrogram(path: str, output: str | None, as_json: bool, jobs: int | None, **options: Any) -> int:
    """Draw a sound over time and frequency; a FOLDER gives a folder of pictures.

    The time axis is in seconds, the frequency axis in Hz, the colours are dB. Channels are mixed by their mean; the
    rate is the file's own. With a .npy or .npz the numbers themselves are written.

    \b
    Example:
      volna spectrogram song.mp3
      volna spectrogram talk.wav -o talk.png --kind cqt --start 10 --duration 5 --show-frame 12.5
      volna spectrogram ~/Samples -o pictures --raw --cmap gray --n-mels 64
    """
    from volna import workflows

    with Progress() as progress:
        if os.path.isdir(os.path.expanduser(path)):
            summary = workflows.spectrograms(path, output or PICTURES, jobs=jobs, progress=progress, **options)
            return _show_folder(summary, as_json)
        made = workflows.spectrogram(path, output=output or PICTURE, progress=progress, **options)
    if as_json:
        emit_json(made)
    else:
        for line in _spectrogram_lines(made):
            say(line)
    _print_notes(made.notes)
    return 0


def _show_folder(summary: Any, as_json: bool) -> int:
    if as_json:
        emit_json(summary)
    else:
        say(f"{summary.written} of {summary.found} sounds drawn into {printable(summary.output)}")
    for failure in summary.failures[:MOST_FAILURES]:
        note(f"  failed: {failure.path}: {failure.reason}")
    if len(summary.failures) > MOST_FAILURES:
        note(f"  and {len(summary.failures) - MOST_FAILURES} more; --json lists them")
    _print_notes(summary.notes)
    if not summary.found:
        note("volna: found no sounds")
    return 0 if summary.written or summary.kept else 1


def _spectrogram_lines(made: Any) -> list[str]:
    n_bands, n_frames = made.values.shape
    span = "" if made.frequencies_hz is None else f", {made.frequencies_hz[0]:.0f} to {made.frequencies_hz[-1]:.0f} Hz"
    step = f"{1000 * made.step_s:.1f} ms"
    return [
        f"{made.kind} spectrogram of {printable(os.path.basename(made.path))}: {duration_text(made.duration_s)}"
        f" at {made.sample_rate} Hz",
        f"{n_bands} bands{span}; {n_frames} frames, one every {step}; values {made.values.min():.1f} to"
        f" {made.values.max():.1f}",
        f"written: {printable(made.output)}",
    ]


@click.command(short_help="The frequencies of a sound, and its strongest tones by name.")
@click.argument("path", metavar="FILE")
@click.option("--at", "at_s", type=_TIME, metavar="S", help="One frame around this time instead of the mean of all.")
@click.option("--n-fft", type=click.IntRange(min=64), metavar="N", help="Frame in samples [default: about 0.19 s].")
@click.option("--window", type=click.Choice(WINDOWS), default="hann", show_default=True, help="Of the frames.")
@click.option("--peaks", "n_peaks", type=click.IntRange(min=0), default=10, show_default=True, help="How many at most.")
@click.option("--start", "start_s", type=_TIME, default=0.0, metavar="S", help="Begin here, in seconds.")
@click.option("--duration", "duration_s", type=_POSITIVE, metavar="S", help="Length in seconds [default: to the end].")
@click.option("--resynthesise", type=click.IntRange(1, 500), metavar="K", help="Rebuild the sound from K sinusoids.")
@click.option("-o", "--output", metavar="FILE", help="With --resynthesise: where that sound goes, as out.wav.")
@click.option("--compare-windows", is_flag=True, help="What rectangular, Hamming and Hann windows leak.")
@click.option("--by-definition", is_flag=True, help="The transform by its sum beside the fast one, and their times.")
@click.option("--plot", metavar="FILE", help="A picture of all that, as spectrum.png.")
@force_option
@json_option
def spectrum(path: str, as_json: bool, **options: Any) -> int:
    """The mean spectrum of a sound (Welch) and its peaks: frequency, nearest note and cents, level.

    Levels are in dB re a full-scale sine, notes are tempered with A4 = 440 Hz. Channels are mixed by their mean.

    \b
    Example:
      volna spectrum flute.wav
      volna spectrum song.mp3 --at 12.5 --plot chord.png
      volna spectrum voice.wav --resynthesise 20 -o sines.wav
      volna spectrum tone.wav --compare-windows --by-definition --plot windows.png
    """
    from volna import workflows

    if (options["resynthesise"] is None) != (options["output"] is None):
        raise click.UsageError("--resynthesise K and -o FILE go together")
    if options["at_s"] is not None and (options["start_s"] or options["duration_s"]):
        raise click.UsageError("--at takes one frame: leave out --start and --duration")
    with Progress() as progress:
        found = workflows.spectrum(path, progress=progress, **options)
    if as_json:
        emit_json(found)
    else:
        for line in _spectrum_lines(found):
            say(line)
    _print_notes(found.notes)
    return 0


def _spectrum_lines(found: Any) -> list[str]:
    which = "mean spectrum" if found.at_s is None else f"spectrum at {found.at_s:g} s"
    frames = f"{found.n_frames} frames" if found.n_frames > 1 else "one frame"
    lines = [
        f"{which} of {printable(os.path.basename(found.path))}: {frames} of {found.n_fft} samples ({found.window})"
        f" at {found.sample_rate} Hz",
        "",
        *_peak_lines(found.peaks),
    ]
    for part, render in (
        (found.windows, _window_lines),
        (found.definition, _definition_lines),
        (found.resynthesis, _resynthesis_lines),
    ):
        if part is not None:
            lines += ["", *render(part)]
    return [*lines, "", f"written: {printable(found.plot)}"] if found.plot else lines


def _peak_lines(peaks: Any) -> list[str]:
    if not peaks:
        return ["no peak stands above what is around it"]
    rows = [
        (str(k), f"{peak.frequency_hz:.2f}", peak.note or "", _cents(peak.cents), f"{peak.level_db:.1f}")
        for k, peak in enumerate(peaks, 1)
    ]
    return table(rows, head=("#", "Hz", "note", "cents", "dB"), right=(0, 1, 3, 4))


def _cents(cents: float | None) -> str:
    return "" if cents is None else f"{cents:+.1f}"


def _window_lines(windows: Any) -> list[str]:
    rows = []
    for entry in windows:
        for where, leak in (("theory", entry.theory), ("this sound", entry.measured)):
            if leak is not None:
                numbers = (leak.main_lobe_bins, leak.half_power_bins, leak.side_lobe_db, leak.scalloping_db)
                rows.append((entry.window, where, *(f"{number:.2f}" for number in numbers)))
    head = ("window", "", "main lobe, bins", "at -3 dB, bins", "highest side lobe, dB", "scalloping, dB")
    measured = [entry.measured for entry in windows if entry.measured is not None]
    lines = table(rows, head=head, right=(2, 3, 4, 5))
    if not measured:
        return [*lines, "this sound is silent: nothing to measure"]
    text = (
        f"this sound: its strongest peak at {measured[-1].frequency_hz:.1f} Hz in the frame; other tones and noise"
        " count as side lobes, and scalloping is where this tone happens to lie between two bins"
    )
    return [*lines, *wrap(text)]


def _definition_lines(definition: Any) -> list[str]:
    times = definition.times
    rows = [
        (str(size), f"{1000 * slow:.3f}", f"{1000 * fast:.3f}", f"{slow / fast:.0f}")
        for size, slow, fast in zip(times.sizes, times.definition_s, times.fast_s, strict=True)
    ]
    return [
        f"transform of {definition.n_samples} samples by its sum and by the fast algorithm: they differ by at most"
        f" {definition.largest_difference:.1e} ({definition.relative_difference:.1e} of the largest value)",
        *table(rows, head=("N", "sum, ms", "fast, ms", "times as long"), right=(0, 1, 2, 3)),
    ]


def _resynthesis_lines(made: Any) -> list[str]:
    quality = "" if made.snr_db is None else f"; the sound is {made.snr_db:.1f} dB above what is missing"
    return [
        f"rebuilt from {made.n_sinusoids} sinusoids{' a frame' if made.snr_db is not None else ''}:"
        f" {duration_text(made.duration_s)}{quality}",
        f"written: {printable(clip(made.output, 10_000))}",
    ]


def _print_notes(notes: list[str]) -> None:
    for text in notes:
        note(f"note: {text}")


COMMANDS = (spectrogram, spectrum)
