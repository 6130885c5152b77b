"""Results as text: each function turns one result of a workflow into the lines that a person reads."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from volna.cli.output import clip, duration_text, note, printable, say, table, width, wrap

if TYPE_CHECKING:
    from collections.abc import Sequence

    from volna.workflows.embedding_files import EmbedSummary
    from volna.workflows.models import ExportReport, ModelReport
    from volna.workflows.results import (
        DemoReport,
        Evaluation,
        Failure,
        IndexSummary,
        Match,
        Playlist,
        Row,
        Similar,
        Status,
    )

__all__ = [
    "demo_report",
    "embed_report",
    "evaluation_report",
    "export_report",
    "failure_lines",
    "failures_report",
    "index_report",
    "model_report",
    "playlist_report",
    "print_lines",
    "print_notes",
    "similar_report",
    "status_report",
    "train_report",
    "why_nothing",
]

ONE_LINE_COLUMNS = 150  # a terminal this wide shows a track, its reason and its path on one line
FAILURES_SHOWN = 10
INDENT = "      "
LEGEND = (
    "P@k: share of the first k that match; MAP: mean average precision; hubness: skewness of 10-occurrence "
    "(0 is best); never: share of tracks that no search recommends; below each figure its 95 % interval, "
    "bootstrapped over artists."
)


def print_lines(lines: Iterable[str]) -> None:
    """Print `lines` on standard output."""
    for line in lines:
        say(line)


def print_notes(lines: Iterable[str]) -> None:
    """Print remarks on standard error."""
    for line in lines:
        note(line)


def index_report(summary: IndexSummary) -> list[str]:
    """The sum of an indexing run, the first failures, the remarks, and what to type next."""
    parts = [
        ("analysed", summary.analysed, ""),
        ("unchanged", summary.unchanged, ""),
        ("moved", summary.moved, "known by their sound: moved, renamed, re-tagged or copied"),
        ("failed", summary.failed, ""),
        ("excluded", summary.excluded, ""),
    ]
    rows = [("found", str(summary.found), f"audio files in {duration_text(summary.seconds)}")]
    rows += [(f"  {name}", str(count), remark if count else "") for name, count, remark in parts]
    rows += [("other", str(summary.other), "covers, texts and the like")] if summary.other else []
    rows += [("gone", str(summary.gone), "no longer there")] if summary.gone else []
    lines = table(rows, right=[1])
    if summary.failures:
        lines += ["", "failed:", *failures_report(summary.failures[:FAILURES_SHOWN])]
        if len(summary.failures) > FAILURES_SHOWN:
            lines.append(f"  and {len(summary.failures) - FAILURES_SHOWN} more; `volna failures` lists all")
    if summary.notes:
        lines += ["", *(part for line in summary.notes for part in wrap(line))]
    return lines if why_nothing(summary) else [*lines, *_next_steps()]


def _next_steps() -> list[str]:
    steps = [
        ('volna similar "artist - title"', "what sounds like it"),
        ('volna wave "artist - title" --m3u wave.m3u8', "a playlist from it"),
    ]
    return ["", "next:", *(f"  {line}" for line in table(steps))]


def why_nothing(summary: IndexSummary) -> str | None:
    """Why a run has nothing to show, or None when it has."""
    if summary.analysed + summary.unchanged + summary.moved:
        return None
    if not summary.found:
        other = f" (only {summary.other} other files)" if summary.other else ""
        return f"no audio files there{other}, so nothing to analyse"
    if not summary.failed:
        return f"all {summary.found} audio files are excluded, so nothing to analyse"
    return f"none of the {summary.found} audio files could be analysed; `volna failures` says why"


def failures_report(failures: Sequence[Failure]) -> list[str]:
    """A path and a reason a line; on a narrow terminal the path gives way, from its start."""
    room = width() - 4
    longest_reason = max((len(failure.reason) for failure in failures), default=0)
    path_room = max(24, room - longest_reason)
    rows = [(clip(printable(failure.path), path_room, keep_end=True), failure.reason) for failure in failures]
    return [f"  {line}" for line in table(rows, columns=room)]


def similar_report(found: Similar) -> list[str]:
    """The tracks nearest to the query."""
    title = printable(f"nearest to {found.query}, by {found.by}")
    return [clip(title, width()), "", *_tracks(found.results)] if found.results else [f"{title}: none found"]


def playlist_report(playlist: Playlist) -> list[str]:
    """The tracks of a playlist in playing order."""
    seconds = sum(match.duration_s for match in playlist.results)
    query = " + ".join(playlist.query)
    title = f"{len(playlist.results)} tracks, {duration_text(seconds)}, by {playlist.by}, from {query}"
    return [clip(printable(title), width()), "", *_tracks(playlist.results)]


def _tracks(matches: Sequence[Match]) -> list[str]:
    """A line for each track where there is room for it, otherwise a second one with its reason and its path."""
    heads = ["#", "similarity", "distance", "artist", "title", "album"]
    rows = [_cells(match) for match in matches]
    columns = width()
    if columns >= ONE_LINE_COLUMNS:
        ends = [[match.why, match.path] for match in matches]
        full = [row + end for row, end in zip(rows, ends, strict=True)]
        return table(full, head=[*heads, "why", "path"], right=[0, 1, 2], paths=[7])
    head, *lines = table(rows, head=heads, right=[0, 1, 2])
    pairs = zip(lines, matches, strict=True)
    return [head, *(text for line, match in pairs for text in (line, *_second_lines(match, columns)))]


def _cells(match: Match) -> list[str]:
    numbers = [str(match.rank), f"{match.similarity:.3f}", f"{match.distance:.3f}"]
    return [*numbers, match.artist or "?", match.title or "?", match.album or ""]


def _second_lines(match: Match, columns: int) -> list[str]:
    path, why = printable(match.path), printable(match.why)
    room = columns - len(INDENT)
    if not why:
        return [INDENT + clip(path, room, keep_end=True)]
    why = clip(why, room - 20)
    return [INDENT + why + "  " + clip(path, room - len(why) - 2, keep_end=True)]


def train_report(summary: dict[str, Any]) -> list[str]:
    """What a training run did, one figure a line; the configuration is left to ``--json``."""
    hidden = ("failures", "notes")  # these go to standard error
    items = ((key, value) for key, value in summary.items() if key not in hidden and not isinstance(value, dict))
    return table([(key.replace("_", " "), _figure(value)) for key, value in items])


def _figure(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple):
        return ", ".join(_figure(item) for item in value)
    return str(value)


def failure_lines(failures: Sequence[Failure]) -> list[str]:
    """Every file that could not be used, with its reason: no library remembers them."""
    return [f"failed: {failure.path}: {failure.reason}" for failure in failures]


def embed_report(summary: EmbedSummary) -> list[str]:
    """What was written, and of how many files."""
    kind = "windows" if summary.windows else "files"
    rows = [
        ("wrote", f"{summary.output}: {summary.rows} {kind} of {summary.dim} numbers"),
        ("by", f"{summary.by}{f', model {summary.model}' if summary.model else ''}"),
        ("embedded", f"{summary.embedded} of {summary.found} files in {duration_text(summary.seconds)}"),
        ("failed", str(summary.failed)),
    ]
    return table(rows)


def model_report(model: ModelReport) -> list[str]:
    """What a model is, a line each; losses beside those of models that learn little."""
    trained, mel = model.summary, model.mel_config
    names = {"model": "the model", "pca": "PCA of the same size", "mean_spectrum": "the mean spectrum"}
    losses = [f"{names[name]} {_figure(value)}" for name, value in model.losses.items() if value is not None]
    rows = [
        ("model", model.id),
        ("file", f"{model.file} ({model.n_bytes / 1e6:.2f} MB, volna {model.version})"),
        ("architecture", f"{model.architecture}, {model.n_parameters} weights"),
        *((f"  {key.replace('_', ' ')}", _figure(value)) for key, value in model.config.items()),
        ("vector", f"{model.dim} numbers a sound"),
    ]
    if mel:
        step_s = model.stride * mel["hop_length"] / mel["sample_rate"]
        rows.append(("latent", f"every {model.stride} frames, {step_s:.2f} s"))
        rows.append((model.input, _mel_text(mel) if model.input == "log-mel" else _frames_text(mel)))
    if trained:
        used = f"{trained.get('n_training', '?')} sounds, {trained.get('n_validation', '?')} held out"
        rows.append(
            ("trained on", f"{used}; {trained.get('steps', '?')} steps, stopped by {trained.get('stopped', '?')}")
        )
        rows += [("held-out loss", losses[0]), *(("", text) for text in losses[1:])] if losses else []
    return table(rows)


def _mel_text(mel: dict[str, Any]) -> str:
    bands = f"{mel['n_mels']} bands from {mel['fmin_hz']:g} to {mel['fmax_hz']:g} Hz ({mel['mel_scale']})"
    return f"{bands}, {_frames_text(mel)}"


def _frames_text(mel: dict[str, Any]) -> str:
    return f"{mel['n_fft']} samples every {mel['hop_length']} at {mel['sample_rate']} Hz"


def export_report(exported: ExportReport) -> list[str]:
    """The files written, and whether they were checked."""
    lines = [f"wrote {printable(path)}" for path in exported.files]
    if exported.checked:
        lines.append(f"onnxruntime and torch agree to {exported.largest_difference:.1g} of the largest value")
    return lines


def evaluation_report(evaluation: Evaluation) -> list[str]:
    """The evaluation table: a line of figures for each method, its 95 % intervals below."""
    head = ["method", "P@1", "P@5", "P@10", "MAP", "hubness", "never"]
    rows = [line for row in evaluation.rows for line in _evaluation_rows(row)]
    kinds = f" of {evaluation.n_labels} kinds" if evaluation.n_labels else ""
    rule = "; tracks of the same artist do not count as hits" if evaluation.n_labels else ""
    title = f"{evaluation.labels}: {evaluation.n_tracks} tracks{kinds}{rule}"
    return [*wrap(title), "", *table(rows, head=head, right=range(1, 7)), "", *wrap(LEGEND)]


def _evaluation_rows(row: Row) -> list[list[str]]:
    shares = [row.precision_at_1, row.precision_at_5, row.precision_at_10, row.mean_average_precision]
    figures = [f"{value:.3f}" for value, _, _ in shares]
    figures += [f"{row.hubness[0]:.1f}", f"{100 * row.never_recommended[0]:.0f} %"]
    intervals = [f"{_short(low)}-{_short(high)}" for _, low, high in shares]
    intervals += [f"{row.hubness[1]:.1f}..{row.hubness[2]:.1f}"]  # either may be negative
    intervals += [f"{100 * row.never_recommended[1]:.0f}-{100 * row.never_recommended[2]:.0f}"]
    return [[row.name, *figures], ["", *intervals]]


def _short(share: float) -> str:
    """Two decimals without the leading zero: six intervals must fit 80 columns."""
    return f"{share:.2f}".removeprefix("0")


def status_report(status: Status) -> list[str]:
    """What the library holds, a line each."""
    rows = [
        ("library", status.library),
        ("tracks", f"{status.tracks} in {status.files} files, {status.hours:.1f} hours"),
        ("failed", f"{status.failed}{' (`volna failures` lists them)' if status.failed else ''}"),
        ("gone", str(status.gone)),
        ("short", f"{status.short}{' (under 3 s: searchable, not in playlists)' if status.short else ''}"),
        ("segment", status.segment),
        ("model", _model_text(status)),
        ("searchable by", ", ".join(status.spaces) or "nothing yet"),
    ]
    return table(rows) + (["", *(printable(line) for line in status.notes)] if status.notes else [])


def _model_text(status: Status) -> str:
    if status.model is None:
        return "none yet"
    return f"{status.model}, trained on {status.trained_on} tracks, {status.embedded} tracks embedded"


def demo_report(report: DemoReport) -> list[str]:
    """What the demo did step by step: the sum, a search, a playlist, the figures, and what to type next."""
    lines = [*_heading("indexed"), *_demo_sum(report.index)]
    lines += [*_heading("similar"), *similar_report(report.similar)]
    lines += [*_heading("wave"), *playlist_report(report.playlist), "", f"written to {printable(report.playlist_path)}"]
    lines += [*_heading("evaluate: SYNTHETIC music, its styles as labels"), *evaluation_report(report.evaluation)]
    lines += ["", *(printable(line) for line in report.notes)] if report.notes else []
    lines += ["", f"the whole demo took {duration_text(report.seconds)}", *_demo_next(report)]
    return lines


def _heading(text: str) -> list[str]:
    return ["", f"== {text} =="]


def _demo_sum(summary: IndexSummary) -> list[str]:
    """The sum without the advice on what to type next: the demo is about to do it."""
    lines = index_report(summary)
    return lines[: lines.index("next:") - 1] if "next:" in lines else lines


def _demo_next(report: DemoReport) -> list[str]:
    steps = [
        (f"open {printable(report.playlist_path)} in any player", "hear the playlist"),
        (f"volna status --library {printable(report.library)}", "what the demo made"),
        ("volna index ~/Music", "now with your own music"),
    ]
    return ["", "next:", *(f"  {line}" for line in table(steps))]
