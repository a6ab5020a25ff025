"""C{bazaar ring}: a member of a ring at a prompt; and what members that run already are asked."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click
from attrs import evolve
from click.core import ParameterSource

from twisted_bazaar.cli.commands.files.get import directory_for_files
from twisted_bazaar.cli.commands.options import OUTPUT
from twisted_bazaar.cli.commands.ring.client_commands import COMMANDS
from twisted_bazaar.cli.control.client import state_or_name
from twisted_bazaar.cli.node.configured import ConfiguredGroup
from twisted_bazaar.cli.terminal.command import in_one_line
from twisted_bazaar.cli.terminal.errors import UserError
from twisted_bazaar.cli.terminal.session import Interrupted, run_in_reactor
from twisted_bazaar.errors import UsageError
from twisted_bazaar.exit_status import WRONG_OPTION, Ending, ExitStatus
from twisted_bazaar.roles.ring.options import JOIN
from twisted_bazaar.roles.ring_peer import OPTIONS as RING_PEER_OPTIONS
from twisted_bazaar.service.options import ADVERTISE, EPHEMERAL, LISTEN, NAME, PLAIN, STATE, TRANSFER, UDP
from twisted_bazaar.settings.option import Option, OptionValues
from twisted_bazaar.state import StateDirectory, state_path

_HERE: Final = "tcp:0:interface=127.0.0.1"
OPTIONS: Final = (
    evolve(JOIN, shown="begin a new ring"),
    *(option for option in RING_PEER_OPTIONS if option.name not in ("join", "keep-bytes")),
    OUTPUT,
    Option("quiet", "Say nothing of pings."),
    evolve(STATE, help="Keep key and files in this directory from one start to the next.", shown="keep nothing"),
    evolve(
        NAME,
        help="Keep key and files under this name from one start to the next. Commands reach the node by it: bazaar "
        "ring status --name NAME.",
        shown=None,
    ),
    evolve(EPHEMERAL, help="Keep nothing. So it is without --state and --name, too."),
    evolve(LISTEN, default=_HERE, shown="a free port, for this machine only", short=None),
    ADVERTISE,
    PLAIN,
    evolve(UDP, shown="the port of --listen, or a free one"),
    *TRANSFER,
)


class _Ring(ConfiguredGroup):
    """A command of its own, and several that ask a running node."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the command line up to the name of a command."""
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            with ctx:
                raise in_one_line(error) from None


_ENDINGS: Final = (
    Ending(ExitStatus.DONE, "It has left the ring."),
    Ending(ExitStatus.NO, "It could not begin or join, or something went wrong with a word from a pipe."),
    Ending(ExitStatus.UNREACHED, "What answers at --join is no member of a ring."),
    WRONG_OPTION,
)


@click.group(
    cls=_Ring,
    declared=OPTIONS,
    endings=_ENDINGS,
    invoke_without_command=True,
    example="bazaar ring --join tcp:127.0.0.1:9300",
)
@click.pass_context
def ring(ctx: click.Context, /, options: OptionValues) -> None:
    """Join a ring and use it at a prompt, or ask a member that runs.

    Without a command this joins a ring, or begins one, and takes words from a terminal or a pipe: store, request,
    delete, find, put, get, list, status, help, die and quit. It leaves on quit, or Ctrl-D, and at the end of a pipe: it
    hands over to others what it keeps, and tells its neighbours. The word die ends it without any of that, as a power
    cut does. Ctrl-C clears the line; on an empty one it stops what is waited for, and what has come is kept.

    A command asks a member that runs already, such as a daemon with --role ring_peer. Options then stand after it.
    """
    if ctx.invoked_subcommand is not None:
        for param in ctx.command.params:
            if ctx.get_parameter_source(param.name or "") is ParameterSource.COMMANDLINE:
                after = f"write it after {ctx.invoked_subcommand}, or leave it out"
                raise UserError(f"{param.opts[-1]} is for the prompt; {after}")
        return
    # What talks needs far more than what asks.
    from twisted_bazaar.cli.ring.run import RingRun, say_left

    directory = directory_for_files(options["output"])
    state = _state(options)
    run = RingRun(options, directory, state, options["quiet"])
    try:
        status = run_in_reactor(run.work, run.interrupt)
    except Interrupted as interrupted:
        say_left(interrupted.status)
    raise SystemExit(status)


for _command in COMMANDS:
    ring.add_command(_command)


def _state(options: OptionValues) -> StateDirectory | None:
    """What is to outlive the process.

    @raise Refusal: that cannot be.
    """
    state, name = state_or_name(options)
    if options["ephemeral"] and not (state is None and name is None):
        if options.is_typed("ephemeral") and not (options.is_typed("state") or options.is_typed("name")):
            # Those that are written elsewhere are for other nodes.
            return None
        raise UserError("--ephemeral keeps nothing: leave out --state and --name")
    try:
        if state is not None:
            return StateDirectory(Path(state), ["ring_peer"])
        return None if name is None else StateDirectory(state_path(name), ["ring_peer"])
    except UsageError as error:
        raise UserError(str(error)) from None
