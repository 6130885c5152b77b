"""Options: the parsers of durations and ranges, and the options that several commands share."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

import click

__all__ = [
    "ARCHITECTURES",
    "DEVICES",
    "GROUP_OPTIONS",
    "INPUTS",
    "LOSSES",
    "OPTIMIZERS",
    "PRESETS",
    "SEGMENTS",
    "SPACES",
    "Duration",
    "Span",
    "by_option",
    "force_option",
    "jobs_option",
    "json_option",
    "library_option",
    "m3u_option",
    "n_option",
    "parse_duration",
    "parse_span",
    "seed_option",
    "time_budget_option",
    "train_time_option",
    "with_options",
]

SEGMENTS = ("spread", "start", "middle", "end")
SPACES = ("autoencoder", "descriptors", "both")
ARCHITECTURES = (
    "conv", "pca", "dense", "recurrent", "memory", "variational", "denoising", "masked", "adversarial", "wave",
)  # fmt: skip
DEVICES = ("auto", "cpu", "cuda")
INPUTS = ("log-mel", "linear", "mfcc", "wave")
LOSSES = ("mse", "mae", "bce", "spectral_convergence")
OPTIMIZERS = ("adamw", "adam", "sgd", "rmsprop")
PRESETS = ("tiny", "small", "gpu")

_NUMBER = r"\d+(?:\.\d+)?"
_DURATION = re.compile(rf"(?:({_NUMBER})h)?(?:({_NUMBER})m)?(?:({_NUMBER})s?)?")
_SPAN = re.compile(rf"({_NUMBER})\s*[-–:]\s*({_NUMBER})")  # the en dash comes with text pasted from a page

Function = TypeVar("Function", bound=Callable[..., Any])


def parse_duration(text: str) -> float:
    """Seconds of a duration such as ``90s``, ``5m``, ``1h30m`` or ``90``.

    Raises
    ------
    ValueError
        When `text` is none of these.

    Examples
    --------
    >>> parse_duration("1h30m"), parse_duration("90s"), parse_duration("0")
    (5400.0, 90.0, 0.0)
    """
    match = _DURATION.fullmatch(text.strip().lower())
    if match is None or not any(match.groups()):
        raise ValueError(f"expected a time such as 90s, 5m or 1h30m, got {text!r}")
    hours, minutes, seconds = (float(part or 0) for part in match.groups())
    return 3600 * hours + 60 * minutes + seconds


def parse_span(text: str, *, single: bool = False) -> tuple[float, float]:
    """Lowest and highest value of a range such as ``90-130``; with `single`, one value is a range of its own.

    Raises
    ------
    ValueError
        When `text` is no range, or runs downwards.

    Examples
    --------
    >>> parse_span("90-130"), parse_span("1994", single=True)
    ((90.0, 130.0), (1994.0, 1994.0))
    """
    text = text.strip()
    if single and re.fullmatch(_NUMBER, text):
        return float(text), float(text)
    match = _SPAN.fullmatch(text)
    if match is None:
        raise ValueError(f"expected {'one number or ' if single else ''}a range such as 90-130, got {text!r}")
    low, high = float(match[1]), float(match[2])
    if low > high:
        raise ValueError(f"expected the lower number first, got {text!r}")
    return low, high


class Duration(click.ParamType):
    """A duration in seconds, written 90s, 5m or 1h."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            return value if isinstance(value, float) else parse_duration(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Span(click.ParamType):
    """A range of numbers, written 90-130; of whole numbers where one value will do (years)."""

    name = "range"

    def __init__(self, *, whole: bool = False) -> None:
        self.whole = whole

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[float, float]:
        try:
            low, high = value if isinstance(value, tuple) else parse_span(str(value), single=self.whole)
        except ValueError as error:
            self.fail(str(error), param, ctx)
        return (int(low), int(high)) if self.whole else (low, high)


def with_options(*options: Callable[[Function], Function]) -> Callable[[Function], Function]:
    """Several options as one decorator, in the order of the help."""

    def decorate(command: Function) -> Function:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


GROUP_OPTIONS: tuple[Callable[[Any], Any], ...] = (
    click.option("--label-from", metavar="REGEX",
                 help="Label, from the path: the first group of the expression, or the match [default: the folder]."),
    click.option("--group-from", metavar="REGEX",
                 help="Speaker, artist or recording, from the path: the first group of the expression, or the match."),
    click.option("--label-column", default="label", show_default=True, metavar="NAME", help="Column of a CSV."),
    click.option("--group-column", metavar="NAME",
                 help="Column of a CSV [default: group, speaker, actor, artist, fold or source]."),
)  # fmt: skip


def json_option(command: Function) -> Function:
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")(command)


def library_option(command: Function) -> Function:
    text = "The library file [default: in your user data folder]."
    return click.option("--library", metavar="FILE", envvar="VOLNA_LIBRARY", show_envvar=True, help=text)(command)


def by_option(command: Function) -> Function:
    text = "What to compare [default: both where the library has a model, otherwise descriptors]."
    return click.option("--by", type=click.Choice(SPACES), help=text)(command)


def m3u_option(command: Function) -> Function:
    return click.option("--m3u", metavar="FILE", help="Also write the tracks as a playlist (M3U8).")(command)


def n_option(default: int) -> Callable[[Function], Function]:
    def decorate(command: Function) -> Function:
        count = click.IntRange(min=1)
        text = "How many tracks."
        return click.option("-n", "n", type=count, default=default, show_default=True, metavar="N", help=text)(command)

    return decorate


def seed_option(command: Function) -> Function:
    text = "The same seed gives the same result."
    return click.option("--seed", type=int, default=0, show_default=True, metavar="N", help=text)(command)


def jobs_option(command: Function) -> Function:
    text = "Processes at work [default: one a core, at low priority]."
    return click.option("--jobs", type=click.IntRange(min=1), metavar="N", help=text)(command)


def train_time_option(command: Function) -> Function:
    text = "Longest training: 90s, 5m, 1h; 0 trains nothing."
    return click.option("--train-time", type=Duration(), default="5m", show_default=True, help=text)(command)


def time_budget_option(command: Function) -> Function:
    text = "Longest training: 90s, 5m, 1h."
    names = ("--train-time", "--time-budget", "train_time")
    return click.option(*names, type=Duration(), default="5m", show_default=True, help=text)(command)


def force_option(command: Function) -> Function:
    return click.option("--force", is_flag=True, help="Replace a file that exists.")(command)
