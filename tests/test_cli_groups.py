"""One word that is a command and a group."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from volna.cli.groups import VerbGroup


@click.group(cls=VerbGroup, default="file", short_help="Both.")
def verb() -> None:
    """Do it to FILE, or learn how."""


@verb.command("file", hidden=True)
@click.argument("file")
@click.option("-o", "--output", help="Where to.")
def do(file: str, output: str | None) -> None:
    click.echo(f"file {file} {output}")


@verb.command(short_help="Learn how.")
@click.argument("folder")
def train(folder: str) -> None:
    click.echo(f"train {folder}")


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["a.wav"], "file a.wav None"),
        (["a.wav", "-o", "b"], "file a.wav b"),
        (["-o", "b", "a.wav"], "file a.wav b"),
        (["train", "dir"], "train dir"),
        (["./train"], "file ./train None"),
        (["file", "train"], "file train None"),
    ],
)
def test_the_first_argument_decides(args, said):
    assert CliRunner().invoke(verb, args).output.strip() == said


def test_the_help_shows_both():
    text = CliRunner().invoke(verb, ["--help"]).output
    for part in ("FILE", "--output", "train", "Learn how."):
        assert part in text


def test_nothing_at_all_is_help():
    assert "Usage" in CliRunner().invoke(verb, []).output


def test_a_wrong_option_is_an_error():
    result = CliRunner().invoke(verb, ["a.wav", "--no-such"])
    assert result.exit_code == 2
    assert "--no-such" in result.output
