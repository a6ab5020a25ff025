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
from attrs import frozen

from twisted_bazaar.cli.terminal.command import WIDEST_COMMAND, in_one_line, write_lines
from twisted_bazaar.cli.terminal.errors import output_or_refuse
from twisted_bazaar.exit_status import status_of_signal
from twisted_bazaar.settings.help import format_examples, format_groups

# Longer lines are hard to read.
_WIDEST: Final = 80
_WIDEST_OPTION: Final = 10
_EXAMPLES: Final = ("bazaar demo", "bazaar share ~/music", "bazaar get song.mp3", "bazaar stock list")


@frozen
class Subject:
    """Commands about one thing, in a folder of C{commands} with a module for each.

    @ivar heading: over them in help.
    @ivar folder: the name of the folder.
    @ivar commands: what each does, as its own help says first; what matters first. Help imports none of them.
    """

    heading: str
    folder: str
    commands: Mapping[str, str]


SUBJECTS: Final = (
    Subject(
        "Goods",
        "goods",
        {
            "stock": "See and change what a seller has.",
            "orders": "List the orders of a buyer or seller, or show one.",
            "cancel": "Take back an order that has no answer yet.",
            "verify": "Check a receipt, on any machine.",
        },
    ),
    Subject(
        "Files",
        "files",
        {
            "search": "Find files by name, by words or by digest.",
            "get": "Fetch a file from everybody who has it.",
            "share": "Share the files of a folder until Ctrl-C.",
            "shell": "Find files and fetch them at a prompt.",
            "files": "See what a running sharer shares and fetches.",
        },
    ),
    Subject("Ring", "ring", {"ring": "Join a ring and use it at a prompt, or ask a member that runs."}),
    Subject(
        "Nodes",
        "nodes",
        {
            "status": "Show which nodes run, or how one of them is.",
            "nodes": "List your nodes on this machine, those that are stopped as well.",
            "members": "List who is in the network, as its tracker knows it.",
            "ask": "Ask a running node for anything that one of its roles answers.",
            "config": "Show which settings are in force, and where each was written.",
        },
    ),
    Subject(
        "Learn and simulate",
        "simulate",
        {
            "demo": "Watch a market trade on this machine, and survive a crash.",
            "classroom": "Watch eight peers of a ring in one window, and let them come, leave and die.",
            "simulate": "Run a whole network in virtual time, and check its promises.",
            "trace": "Show the searches, orders, queries and transfers of a run, or one of them.",
        },
    ),
)
_FOLDERS: Final[Mapping[str, str]] = {name: subject.folder for subject in SUBJECTS for name in subject.commands}


class _Commands(click.Group):
    """The commands, each imported when it is called by name."""

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
        """The names of all commands, by subject."""
        return list(_FOLDERS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """A command by its name; None if there is none."""
        if cmd_name not in _FOLDERS:
            return None
        command = getattr(import_module(f"twisted_bazaar.cli.commands.{_FOLDERS[cmd_name]}.{cmd_name}"), cmd_name)
        assert isinstance(command, click.Command), "a module of a command holds it under its own name"
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """The command that the first word calls; one that there is not is answered with those that are close."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            raise in_one_line(error, args[0], _FOLDERS) from None

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands by subject, without importing them; then the few options."""
        subjects = {subject.heading: list(subject.commands.items()) for subject in SUBJECTS}
        write_lines(formatter, format_groups(subjects, formatter.width, WIDEST_COMMAND))
        records = [each.get_help_record(ctx) for each in self.get_params(ctx)]
        more = {"More": [record for record in records if record is not None]}
        write_lines(formatter, format_groups(more, formatter.width, _WIDEST_OPTION))

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write what can be tried first."""
        write_lines(formatter, format_examples(_EXAMPLES, formatter.width))


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
        raise SystemExit(status_of_signal(signal.SIGINT)) from None


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="twisted_bazaar", prog_name="bazaar")
def main() -> None:
    """Trade goods and share files among peers, with no market in the middle.

    Buyers, sellers and other nodes that stay run as daemons: see twistd bazaar-node --help. The commands stock,
    orders, cancel, files, ring, status and ask put a question to a daemon that runs. The commands search, get, share
    and shell need none: each is a node itself while it runs.

    bazaar COMMAND --help shows the options of a command, and what its exit status means.
    """
