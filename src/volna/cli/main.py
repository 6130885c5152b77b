"""The command group, and the one place where errors become a line on standard error and an exit code.

Exit codes: 0 done, 1 could not be done (one line says why), 2 wrong usage, 130 stopped with Ctrl-C.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence

import click

from volna.cli import commands
from volna.cli.output import note
from volna.errors import VolnaError

__all__ = ["main", "volna"]

STOPPED = 130
KEPT = {  # what an interrupted command leaves behind
    "index": "everything analysed so far is kept; the same command goes on from there",
    "demo": "everything analysed so far is kept; the same command goes on from there",
    "train": "a model that was in use stays in use, no file was replaced, and the training can be resumed",
    "embed": "nothing was written",
    "evaluate": "the library is as it was",
}
# What the machine refuses is not a bug of ours: a full disk, a folder without permission, a read-only disk.
REFUSALS = {errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO, errno.EMFILE, errno.ENFILE}


def _print_version(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from volna import __version__

        click.echo(f"volna {__version__}")
        ctx.exit()


class InOrder(click.Group):
    """A group that lists its commands in the order of use, not of the alphabet."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


@click.group(cls=InOrder, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version, help="Print the version."
)
def volna() -> None:
    """Volna listens to your music, learns from it, and finds what sounds alike.

    \b
    Example:
      volna index ~/Music
      volna similar "nina simone - feeling good"
      volna wave "nina simone - feeling good" --m3u wave.m3u8

    \b
    No music at hand?
      volna demo
    """


for _command in commands.COMMANDS:
    volna.add_command(_command)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit code.

    Examples
    --------
    >>> main(["similar"])  # doctest: +SKIP
    2
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    _never_fail_to_print()
    try:
        result = volna.main(args=arguments, prog_name="volna", standalone_mode=False)
        sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        kept = KEPT.get(arguments[0] if arguments else "")
        note(f"volna: stopped{f'; {kept}' if kept else ''}")
        return STOPPED
    except VolnaError as error:
        for line in f"volna: {error}".split("\n  "):  # a list of candidates has a line for each
            note(line)
        return 1
    except BrokenPipeError:
        return _leave_quietly()
    except OSError as error:
        if error.errno not in REFUSALS:
            raise
        note(f"volna: {error.filename or 'output'}: {error.strerror}")
        return _leave_quietly()
    return result if isinstance(result, int) else 0


def _never_fail_to_print() -> None:
    """Let both streams show what they cannot encode as ``\\xNN`` instead of raising."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _leave_quietly() -> int:
    """Give up on standard output, so that Python's own flush at exit cannot fail a second time."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return 1
