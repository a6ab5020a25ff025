"""C{bazaar nodes}: the nodes of this user, those that run and those that are stopped."""

from __future__ import annotations

import json
from typing import Final

import click
from attrs import evolve

from twisted_bazaar.cli.commands.nodes.own_nodes import own_nodes, show_nodes
from twisted_bazaar.cli.commands.options import JSON
from twisted_bazaar.cli.terminal.command import PlainCommand
from twisted_bazaar.exit_status import WRONG_OPTION, Ending, ExitStatus
from twisted_bazaar.settings.option import OptionValues
from twisted_bazaar.state import states_root

_OPTIONS: Final = (evolve(JSON, help="Print a JSON list."),)
_ENDINGS: Final = (Ending(ExitStatus.DONE), WRONG_OPTION)


@click.command(cls=PlainCommand, declared=_OPTIONS, endings=_ENDINGS, example="bazaar nodes")
def nodes(options: OptionValues) -> None:
    """List your nodes on this machine, those that are stopped as well.

    A node that was started with --state DIR is known by that only: bazaar status --state DIR asks it.
    """
    found = list(own_nodes())
    if options["json"]:
        click.echo(json.dumps([node.row() for node in found]))
    elif found:
        show_nodes(found, with_state=True)
    else:
        click.echo(f"no node has a directory under {states_root()} yet", err=True)
