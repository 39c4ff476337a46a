"""A click group that imports a command only when the command is called."""

from __future__ import annotations

import difflib
import importlib
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import click

from dub_uplink._cli.failures import ExitCode, exit_on_error
from dub_uplink._cli.startup import end_on_ctrl_c


class LazyCommand(NamedTuple):
    """A command that is imported when it is called.

    Attributes:
        path: the module in the package ``_cli`` and the name of the command function, such as
            ``completion:completion``.
        help: the description in the command list of the group.
    """

    path: str
    help: str

    def load(self) -> click.Command:
        """Import the command."""
        module, _, name = self.path.partition(":")
        with end_on_ctrl_c():
            imported = importlib.import_module(f"dub_uplink._cli.{module}")
        command: click.Command = getattr(imported, name)
        return command


class LazyGroup(click.Group):
    """A group that imports a command only when the command is called.

    Args:
        lazy: maps the name of a command to its location and help.
    """

    def __init__(
        self, *args: Any, lazy: Mapping[str, LazyCommand] | None = None, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.lazy = dict(lazy or {})

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands, in the order of the help."""
        return [*super().list_commands(ctx), *self.lazy]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command ``cmd_name``. Import the command if it is in ``lazy``."""
        if cmd_name in self.lazy:
            return self.lazy[cmd_name].load()
        return super().get_command(ctx, cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands to the help. Do not import the lazy commands."""
        rows = [
            (name, self.lazy[name].help)
            if name in self.lazy
            else (name, self.commands[name].get_short_help_str(formatter.width))
            for name in self.list_commands(ctx)
        ]
        if rows:
            with formatter.section("Commands"):
                formatter.write_dl(rows)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command. If the name is unknown, suggest the most similar name."""
        name = args[0]
        known_names = self.list_commands(ctx)
        if name not in known_names and not name.startswith("-") and not ctx.resilient_parsing:
            similar = difflib.get_close_matches(name, known_names, 1)
            hint = (
                f"Did you mean {similar[0]!r}?"
                if similar
                else f"Choose from: {', '.join(known_names)}."
            )
            ctx.fail(f"No such command {name!r}. {hint}")
        return super().resolve_command(ctx, args)


class RootGroup(LazyGroup):
    """The root command, which shows each error as one line."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **kwargs: Any,
    ) -> Any:
        """Run the command and exit. After Ctrl-C, the exit code is 130."""
        try:
            status = super().main(args, prog_name, complete_var, False, **kwargs)
        except click.Abort:
            status = ExitCode.INTERRUPTED
        except click.ClickException as error:
            error.show()
            status = error.exit_code
        if standalone_mode:
            sys.exit(status)
        return status

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        """Parse the options of the root command, and convert errors to exit codes."""
        with exit_on_error():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command, and convert errors to exit codes."""
        with exit_on_error():
            return super().invoke(ctx)
