"""One word that is a command with arguments and the head of further commands at once."""

from __future__ import annotations

from typing import Any

import click

__all__ = ["VerbGroup"]


class VerbGroup(click.Group):
    """A group whose ``default`` command runs where the first argument names no other one.

    So ``volna vocode FILE`` and ``volna vocode train FOLDER`` are one word. A file named like a command is reached as
    ``./train``.

    Examples
    --------
    >>> @click.group(cls=VerbGroup, default="file")
    ... def vocode() -> None: ...
    """

    def __init__(self, *args: Any, default: str, **settings: Any) -> None:
        settings.setdefault("no_args_is_help", True)
        super().__init__(*args, **settings)
        self.default = default

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        helps = set(self.get_help_option_names(ctx))
        if args and args[0] not in self.commands and args[0] not in helps:
            args = [self.default, *args]
        return super().parse_args(ctx, args)

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        named = [name for name in self.commands if name != self.default]
        return [*self.commands[self.default].collect_usage_pieces(ctx), f"| {'|'.join(named)} ..."]

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The options of the default command, then the other commands."""
        self.commands[self.default].format_options(ctx, formatter)
        rows = [(name, c.get_short_help_str()) for name, c in self.commands.items() if name != self.default]
        with formatter.section("Commands"):
            formatter.write_dl(rows)
