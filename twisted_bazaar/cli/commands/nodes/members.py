"""C{bazaar members}: who is in the network, as its tracker or index server knows it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import click
import msgspec
from attrs import evolve

from twisted_bazaar.cli.commands.options import JSON
from twisted_bazaar.cli.control.client import ASKING, WHICH_NODE, chosen_node
from twisted_bazaar.cli.node.configured import ConfiguredCommand
from twisted_bazaar.cli.terminal.amounts import format_count
from twisted_bazaar.cli.terminal.printable import printable
from twisted_bazaar.cli.terminal.results import console_for_results, show_line, show_rows
from twisted_bazaar.settings.option import OptionValues
from twisted_bazaar.system.local_time import local_time

_SHORT_KEY: Final = 8
# What those are called that tell no kind.
_NO_KIND: Final = "node"
_OPTIONS: Final = (evolve(JSON, help="Print a JSON object."), *WHICH_NODE)


class _Member(msgspec.Struct, frozen=True):
    """A node that is linked to the registrar."""

    id: int
    kind: str | None
    address: str | None
    key: str
    joined_at: float


class _Members(msgspec.Struct, frozen=True):
    """Those who are linked to it.

    @ivar by_kind: how many there are of each kind; those that tell none are under an empty name.
    @ivar members: those that joined last.
    """

    total: int
    by_kind: Mapping[str, int]
    members: list[_Member]


@click.command(cls=ConfiguredCommand, declared=_OPTIONS, endings=ASKING, example="bazaar members --name tracker")
def members(options: OptionValues) -> None:
    """List who is in the network, as its tracker knows it.

    An index server can be asked too. Those that joined last come first. The kind is what a node lets others look
    for, such as super_peer; buyers, sellers and relays tell none, and are shown as node.
    """
    node = chosen_node(options, "members", "tracker or index server")
    if options["json"]:
        [told] = node.rows("members", dict[str, Any])
        click.echo(json.dumps(told))
        return
    for found in node.rows("members", _Members):
        _show(found)


def _show(found: _Members) -> None:
    console = console_for_results()
    kinds = ", ".join(f"{number:,} {printable(kind or _NO_KIND)}" for kind, number in found.by_kind.items())
    of_kinds = f": {kinds}" if any(found.by_kind) else ""
    show_line(console, f"{format_count(found.total, 'member')}{of_kinds}")
    if not found.members:
        return
    rows = [
        (
            *(str(each.id), printable(each.kind or _NO_KIND)),
            "cannot be dialled" if each.address is None else printable(each.address),
            *(printable(each.key[:_SHORT_KEY]), local_time(each.joined_at)),
        )
        for each in found.members
    ]
    show_rows(console, ("id", "kind", "address", "key", "since"), rows, ("kind", "address", "since"))
    if len(found.members) < found.total:
        show_line(console, f"and {found.total - len(found.members):,} who joined before them")
