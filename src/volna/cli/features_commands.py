"""The commands about descriptors and bands: `features` and `wavelet`."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import click

from volna.cli.options import Duration, force_option, jobs_option, json_option
from volna.cli.output import duration_text, emit_json, note, table
from volna.cli.progress import Progress
from volna.cli.reports import failure_lines, print_lines, print_notes

__all__ = ["COMMANDS", "features", "wavelet"]

WAVELET_HELP = "A discrete wavelet of PyWavelets: haar, db4, sym8, coif3, bior4.4 ..."
MFCC_SHOWN = 13  # of the table on the screen; files hold all


def _span_options(command: Any) -> Any:
    """Which part of a file is heard."""
    for name, parameter, words in (
        ("--duration", "duration_s", "Hear so much, written 90s or 5m [default: to the end]."),
        ("--start", "start_s", "Begin there, written 90s or 5m [default: 0s]."),
    ):
        default = 0.0 if parameter == "start_s" else None
        command = click.option(name, parameter, type=Duration(), default=default, metavar="TIME", help=words)(command)
    return command


@click.command(short_help="Measure every descriptor of sounds by name.")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option("-o", "--output", metavar="FILE", help="The table: .csv, .parquet or .json.")
@click.option("--per-frame", is_flag=True, help="A row for every frame, with its time, instead of one a file.")
@click.option("--pre-emphasis", type=click.FloatRange(0, 1, max_open=True), default=0.0, show_default=True,
              metavar="C", help="Before the MFCC, y[n] = x[n] - C x[n-1]; 0.97 is usual for speech.")  # fmt: skip
@click.option("--f0", type=click.Choice(("pyin", "yin")), default="pyin", show_default=True, help="The pitch tracker.")
@click.option("--n-fft", type=click.IntRange(16), default=2048, show_default=True, metavar="N",
              help="Samples a frame, even.")  # fmt: skip
@click.option("--hop", "hop_length", type=click.IntRange(1), default=512, show_default=True, metavar="N",
              help="Samples from frame to frame.")  # fmt: skip
@click.option("--n-mels", type=click.IntRange(1), default=128, show_default=True, metavar="N", help="Mel bands.")
@click.option("--n-mfcc", type=click.IntRange(1), default=20, show_default=True, metavar="N", help="MFCC kept.")
@click.option("--wavelet", default="db4", show_default=True, metavar="NAME", help=WAVELET_HELP)
@click.option("--level", type=click.IntRange(1, 16), default=5, show_default=True, help="Wavelet levels.")
@click.option("--rate", type=click.IntRange(1), metavar="HZ", help="Resample to it before [default: the file's own].")
@_span_options
@force_option
@jobs_option
@json_option
def features(paths: tuple[str, ...], as_json: bool, **options: Any) -> int:
    """Measure MFCC and their slopes, centroid, bandwidth, roll-off, flatness, flux, contrast, chroma, tonnetz, zero
    crossings, RMS, loudness, F0, formants, wavelet bands, tempo, beats and onsets of the files at and under PATH.

    Without -o a table is printed: of one file its descriptors, of several a line each. A .csv or .parquet table has a
    row a file (or a frame) and beside it, in NAME.events.csv, the times of onsets and beats; .json holds everything.

    \b
    Example:
      volna features song.flac
      volna features ~/Samples -o samples.csv
      volna features talk.wav -o talk.json --per-frame --pre-emphasis 0.97 --f0 yin
    """
    from volna import workflows

    with Progress() as progress:
        found = workflows.features(list(paths), progress=progress, **options)
    if as_json:
        emit_json(found)
    else:
        print_lines(_features_report(found))
    print_notes([*failure_lines(found.failures), *_notes_of(found.files)])
    if not found.files:
        note("volna: nothing could be measured")
    return 0 if found.files else 1


def _features_report(found: Any) -> Iterator[str]:
    if found.output:
        what = "frames" if found.per_frame else "files"
        rows = sum(file.n_frames for file in found.files) if found.per_frame else len(found.files)
        beside = f", onsets and beats in {found.events}" if found.events else ""
        yield f"{found.output}: {rows} {what} of {len(found.files)} sounds in {duration_text(found.seconds)}{beside}"
    elif len(found.files) == 1:
        yield from _one_file(found.files[0])
    elif found.files:
        yield from _many_files(found.files)


def _one_file(file: Any) -> Iterator[str]:
    """One file for people: what it is, its events, and a table of means, spreads and medians."""
    yield f"{file.path}"
    yield f"{duration_text(file.duration_s)} at {file.sample_rate} Hz, {file.n_frames} frames"
    yield ""
    about = [
        ("tempo", f"{file.tempo_bpm:.1f} BPM, clarity {file.pulse_clarity:.2f}" if file.tempo_bpm > 0 else "no pulse"),
        ("beats", _times(file.beats_s)),
        ("onsets", _times(file.onsets_s)),
        ("loudness", _number(file.integrated_lufs) + " LUFS, integrated"),
        ("voiced", f"{100 * file.voiced_share:.0f} % of the frames"),
    ]
    yield from table(about)
    yield ""
    yield from table(_rows(file.values), head=("descriptor", "mean", "spread", "median"), right=(1, 2, 3))


def _rows(values: dict[str, float]) -> list[tuple[str, str, str, str]]:
    names = [name.removesuffix("_std") for name in values if name.endswith("_std")]
    shown = [name for name in names if not (_mfcc_number(name) > MFCC_SHOWN or name.endswith(("_delta", "_delta2")))]
    return [
        (name, _number(values[f"{name}_mean"]), _number(values[f"{name}_std"]), _median(values, name)) for name in shown
    ]


def _median(values: dict[str, float], name: str) -> str:
    return _number(values[f"{name}_median"]) if f"{name}_median" in values else ""


def _mfcc_number(name: str) -> int:
    return int(name.split("_")[1]) if name.startswith("mfcc_") else 0


def _many_files(files: list[Any]) -> Iterator[str]:
    rows = [
        (
            file.path,
            f"{file.duration_s:.1f}",
            _number(file.tempo_bpm, 0),
            str(len(file.beats_s)),
            str(len(file.onsets_s)),
            _number(file.values["f0_hz_median"], 0),
            _number(file.values["centroid_hz_mean"], 0),
            _number(file.integrated_lufs, 1),
        )
        for file in files
    ]
    head = ("file", "s", "BPM", "beats", "onsets", "F0 Hz", "centroid Hz", "LUFS")
    yield from table(rows, head=head, right=range(1, 8), paths=(0,))


def _number(value: float, digits: int | None = None) -> str:
    """Four digits, a dash for what is not there."""
    if not math.isfinite(value):
        return "-"
    if digits is not None:
        return f"{value:.{digits}f}"
    return f"{value:.4g}" if abs(value) < 1000 else f"{value:.0f}"


def _times(times_s: Any) -> str:
    if not len(times_s):
        return "none"
    first = ", ".join(f"{time_s:.2f}" for time_s in times_s[:8])
    return f"{len(times_s)}: {first}{' ...' if len(times_s) > 8 else ''} s"


def _notes_of(files: list[Any]) -> list[str]:
    """The remarks of one file as they are, those of several counted."""
    if len(files) == 1:
        return list(files[0].notes)
    remarks = [remark for file in files for remark in file.notes if "channels" not in remark]
    return [f"{len(remarks)} remarks about short files; see notes in --json"] if remarks else []


@click.command(short_help="Split a file into octave bands with wavelets, and denoise it.")
@click.argument("path", metavar="FILE")
@click.option("--wavelet", default="db4", show_default=True, metavar="NAME", help=WAVELET_HELP)
@click.option("--level", type=click.IntRange(1, 16), default=5, show_default=True, help="How often the band is halved.")
@click.option("--plot", metavar="FILE", help="Draw the bands over time into this PNG.")
@click.option("--denoise", type=click.Choice(("soft", "hard")), help="Take out what is below the threshold; soft also"
              " lowers the rest by it.")  # fmt: skip
@click.option("-o", "--output", metavar="FILE", help="With --denoise: where the cleaned sound goes.")
@click.option("--threshold", type=click.Choice(("universal", "bayes")), default="universal", show_default=True,
              help="sigma sqrt(2 ln N), or BayesShrink, which takes less away.")  # fmt: skip
@click.option("--noise", type=click.Choice(("white", "coloured")), default="white", show_default=True,
              help="As strong in every band as in the finest, or estimated in each.")  # fmt: skip
@click.option("--reference", metavar="FILE", help="With --denoise: the clean recording, to measure the SNR with.")
@_span_options
@force_option
@json_option
def wavelet(path: str, as_json: bool, **options: Any) -> None:
    """Split FILE into octave bands with the discrete wavelet transform: what each holds, a picture, denoising.

    \b
    Example:
      volna wavelet song.flac --plot bands.png
      volna wavelet hiss.wav --denoise soft --threshold bayes -o cleaned.wav
    """
    from volna import workflows

    if options["output"] and not options["denoise"]:
        raise click.UsageError("-o goes with --denoise soft or --denoise hard")
    if options["reference"] and not options["denoise"]:
        raise click.UsageError("--reference goes with --denoise soft or --denoise hard")
    with Progress() as progress:
        found = workflows.wavelet(path, progress=progress, **options)
    if as_json:
        emit_json(found)
    else:
        print_lines(_wavelet_report(found))
    print_notes(found.notes)


def _wavelet_report(found: Any) -> Iterator[str]:
    yield f"{found.path}: {found.wavelet}, level {found.level}, {duration_text(found.duration_s)}"
    rows = [
        (band.name, f"{band.low_hz:.0f} - {band.high_hz:.0f}", f"{100 * band.share:.2f}", _number(band.level_db, 1))
        for band in found.bands
    ]
    yield from table(rows, head=("band", "Hz", "energy %", "level dB"), right=(1, 2, 3))
    if found.denoising is not None:
        yield ""
        yield from table(_denoising_rows(found.denoising))
    yield from (f"{what}: {file}" for what, file in (("cleaned", found.output), ("picture", found.plot)) if file)


def _denoising_rows(done: Any) -> list[tuple[str, str]]:
    sigmas = ", ".join(f"{sigma:.3g} ({_decibels(sigma)})" for sigma in done.sigma)
    rows = [
        ("noise sigma", f"{sigmas}{', the finest band' if done.noise == 'coloured' else ''}"),
        ("set to zero", f"{100 * done.zeroed_share:.1f} % of the details, {done.kind} {done.threshold} thresholds"),
        ("SNR, estimated", _change(done.snr_before_db, done.snr_after_db)),
    ]
    if done.measured_before_db is not None:
        rows.append(("SNR, measured", _change(done.measured_before_db, done.measured_after_db)))
    return rows


def _decibels(amplitude: float) -> str:
    return f"{20 * math.log10(amplitude):.1f} dBFS" if amplitude > 0 else "no noise"


def _change(before_db: float, after_db: float) -> str:
    if not (math.isfinite(before_db) and math.isfinite(after_db)):
        return "not defined: there is no noise, or nothing else"
    return f"{before_db:.1f} dB -> {after_db:.1f} dB ({after_db - before_db:+.1f} dB)"


COMMANDS = (features, wavelet)
