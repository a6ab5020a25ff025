"""C{bazaar ring}: a member of a ring at a prompt; and what members that run already are asked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import click
from click.core import ParameterSource

from twisted_bazaar.cli.commands.files.get import directory_for_files
from twisted_bazaar.cli.commands.ring.client_commands import COMMANDS
from twisted_bazaar.cli.control.client import check_state_or_name
from twisted_bazaar.cli.terminal.errors import UserError
from twisted_bazaar.cli.terminal.session import Interrupted, run_in_reactor
from twisted_bazaar.errors import UsageError
from twisted_bazaar.state import StateDirectory, state_path
from twisted_bazaar.taps.transfer_options import TRANSFER_OPTIONS

_HERE: Final = "tcp:0:interface=127.0.0.1"
_Command = TypeVar("_Command", bound=Callable[..., Any])
_OPTIONS: Final = (
    ("--join", "ENDPOINT", "Where a member listens, such as tcp:127.0.0.1:9300.  [begin a new ring]"),
    ("--listen", "ENDPOINT", "Where to take connections.  [a free port, for this machine only]"),
    ("--udp", "[HOST:]PORT", "Where to take datagrams.  [the port of --listen, or a free one]"),
    ("--advertise", "HOST:PORT", "Where others reach this peer, if not where it listens."),
    ("--ring-id", "N", "Its place on the ring.  [as follows from its key]"),
    ("--bits", "N", "The ring has 2 to the power of this many places.  [64; 8 with --classic]"),
    ("--successors", "N", "How many peers after itself it knows.  [8; 2 with --classic]"),
    ("--replicas", "N", "On how many peers all is besides the one it belongs to.  [3; 2 with --classic]"),
    *((f"--{name}", metavar, text) for name, metavar, text in TRANSFER_OPTIONS),
)


class _Ring(click.Group):
    """A command of its own, and several that ask a running node."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the command line up to the name of a command."""
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            with ctx:
                raise _one_line(error) from None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find a command by its name."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            raise _one_line(error) from None


def _takes_options(command: _Command) -> _Command:
    for option, metavar, text in reversed(_OPTIONS):
        command = click.option(option, metavar=metavar, help=text)(command)
    return command


@click.group(cls=_Ring, invoke_without_command=True)
@_takes_options
@click.option(
    "--classic",
    is_flag=True,
    help="A ring as in a classroom: 256 places, two successors, numbered files that come by udp, with --window 1.",
)
@click.option("-o", "--output", "directory", metavar="DIR", default=".", help="Where files go.  [this directory]")
@click.option("--quiet", is_flag=True, help="Say nothing of pings.")
@click.option("--state", metavar="DIR", help="The directory for what outlives the process.  [keep nothing]")
@click.option("--name", metavar="NAME", help="The same, by a name; then bazaar ring status --name NAME asks it too.")
@click.option("--ephemeral", is_flag=True, help="Keep nothing, which is usual here.")
@click.pass_context
def ring(ctx: click.Context, /, **options: Any) -> None:
    """Be a member of a ring, at a prompt; or ask one that runs.

    Without a command: words are store, request, delete, find, put, get, status, help, quit, from a terminal or a
    pipe. quit, the end of what is typed, and Ctrl-C hand over what is kept here and leave; Ctrl-C again ends it at
    once, as if it had died. With a command: a member that runs is asked, such as a daemon with --role ring_peer.
    """
    if ctx.invoked_subcommand is not None:
        for param in ctx.command.params:
            if ctx.get_parameter_source(param.name or "") is ParameterSource.COMMANDLINE:
                after = f"write it after {ctx.invoked_subcommand}, or leave it out"
                raise UserError(f"{param.opts[-1]} is for the prompt; {after}")
        return
    # What talks needs far more than what asks.
    from twisted_bazaar.cli.ring.run import RingRun, say_left

    directory = directory_for_files(options.pop("directory"))
    quiet = options.pop("quiet")
    state = _state(options.pop("state"), options.pop("name"), ephemeral=options.pop("ephemeral"))
    wishes = {name.replace("_", "-"): value for name, value in options.items()}
    wishes["listen"] = wishes["listen"] or _HERE
    run = RingRun({**wishes, "min-links": None, "max-links": None}, directory, state, quiet)
    try:
        status = run_in_reactor(run.work)
    except Interrupted as interrupted:
        say_left(interrupted.status)
    raise SystemExit(status)


for command in COMMANDS:
    ring.add_command(command)


def _state(state: str | None, name: str | None, *, ephemeral: bool) -> StateDirectory | None:
    """What is to outlive the process.

    @raise Refusal: that cannot be.
    """
    if ephemeral and not (state is None and name is None):
        raise UserError("--ephemeral keeps nothing: leave out --state and --name")
    check_state_or_name(state, name)
    try:
        if state is not None:
            return StateDirectory(Path(state))
        return None if name is None else StateDirectory(state_path(name))
    except UsageError as error:
        raise UserError(str(error)) from None


def _one_line(error: click.UsageError) -> UserError:
    return UserError(f"{error.format_message().rstrip('.')}; see --help")
