"""The C{bazaar} command line. Each command lives in a module of its own, imported when it is run."""

from __future__ import annotations

import io
import shutil
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import Any, Final

import click

from twisted_bazaar.cli.terminal.errors import output_or_refuse

# By the name of each, the room of C{commands} in which its module lies, and what it does.
_ELSEWHERE: Final[Mapping[str, tuple[str, str]]] = {
    "files": ("files", "See what a running sharer shares and fetches."),
    "get": ("files", "Fetch a file from everybody who has it."),
    "cancel": ("goods", "Take back an order that has no answer yet."),
    "config": ("nodes", "Show which settings are in force, and where each was written."),
    "orders": ("goods", "List the orders of a running buyer or seller, or show one."),
    "ring": ("ring", "Be a member of a ring, at a prompt; or ask one that runs."),
    "search": ("files", "Look for files."),
    "share": ("files", "Share the files of a folder."),
    "shell": ("files", "Look for files and fetch them, word by word."),
    "simulate": ("simulate", "Run a whole network in virtual time, and check its promises."),
    "status": ("nodes", "Show who a running node is, and how it is."),
    "stock": ("goods", "See and change what a running seller has."),
    "trace": ("simulate", "Show who told whom what: the searches and orders of a run."),
    "verify": ("goods", "Check a receipt, on any machine."),
}


# Longer lines are hard to read.
_WIDEST: Final = 80


class _Commands(click.Group):
    """The commands, of which those with many options are imported when they are called by name."""

    def make_context(self, *args: Any, **options: Any) -> click.Context:
        """Read the command line up to the name of the command."""
        with _ending_in_a_line():
            width = min(_WIDEST, shutil.get_terminal_size().columns)
            return super().make_context(*args, **{"terminal_width": width, **options})

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        with _ending_in_a_line():
            return super().invoke(ctx)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of all commands."""
        return sorted([*super().list_commands(ctx), *_ELSEWHERE])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """A command by its name; None if there is none."""
        if cmd_name not in _ELSEWHERE:
            return super().get_command(ctx, cmd_name)
        room, _ = _ELSEWHERE[cmd_name]
        command = getattr(import_module(f"twisted_bazaar.cli.commands.{room}.{cmd_name}"), cmd_name)
        assert isinstance(command, click.Command), "a module of a command holds it under its own name"
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands, without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, self._in_short(ctx, name)) for name in self.list_commands(ctx)])

    def _in_short(self, ctx: click.Context, name: str) -> str:
        command = None if name in _ELSEWHERE else super().get_command(ctx, name)
        return _ELSEWHERE[name][1] if command is None else command.get_short_help_str(limit=80)


@contextmanager
def _ending_in_a_line() -> Iterator[None]:
    """End as a command would by itself, also while it is not listening to signals yet, and when nothing can be told."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Goods have names in any script; a terminal that has not is told their code points.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        with output_or_refuse():
            yield
    except KeyboardInterrupt:
        click.echo("interrupted", err=True)
        raise SystemExit(128 + signal.SIGINT) from None


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="twisted_bazaar", prog_name="bazaar")
def main() -> None:
    """A peer-to-peer market on Twisted.

    The market itself runs as daemons: see twistd bazaar-tracker --help and twistd bazaar-node --help. While one
    runs, stock, orders, cancel, files, ring and status ask it. Files are found and fetched by search, get and shell,
    and shared by share.
    """


@main.command()
def demo() -> None:
    """Open a market on this machine, watch it trade, and pull its plug.

    Starts a tracker, relays, sellers and buyers as processes on loopback, and stops them all again.
    It takes about ten seconds, writes only to a temporary directory, and opens nothing to other
    machines. Ends with status 0 when everything it promises has happened, else with 1.
    """
    from twisted_bazaar.demo.command import run_demo

    raise SystemExit(run_demo())
