"""The tables of commands in a settings file, each with the options that it may hold.

A command that has others under it, such as C{bazaar ring}, has one table for all of them. The module imports the
commands, so it is imported only where somebody has set something.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import click

from twisted_bazaar.cli.commands.files import options as files_options
from twisted_bazaar.cli.commands.files.files import files
from twisted_bazaar.cli.commands.goods.cancel import cancel
from twisted_bazaar.cli.commands.goods.orders import orders
from twisted_bazaar.cli.commands.goods.stock import stock
from twisted_bazaar.cli.commands.nodes.members import members
from twisted_bazaar.cli.commands.nodes.status import status
from twisted_bazaar.cli.commands.ring.ring import ring
from twisted_bazaar.cli.node.configured import ConfiguredCommand
from twisted_bazaar.settings.option import Option


def settable_options(command: click.Command) -> Sequence[Option]:
    """The options of a command, and of those under it, that a setting can stand for; of one name only the first."""
    members = command.commands.values() if isinstance(command, click.Group) else ()
    own = command.declared if isinstance(command, ConfiguredCommand) else ()
    by_name: dict[str, Option] = {}
    for option in (*own, *(option for each in members for option in settable_options(each))):
        by_name.setdefault(option.name, option)
    return tuple(by_name.values())


COMMANDS: Final[Mapping[str, Sequence[Option]]] = {
    **files_options.COMMANDS,
    **{f"bazaar-{each.name}": settable_options(each) for each in (files, stock, orders, cancel, ring, status, members)},
}
"""The options of each command that takes settings, by its table in a settings file."""
