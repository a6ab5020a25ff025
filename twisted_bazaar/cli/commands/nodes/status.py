"""C{bazaar status}: what a running node says about itself."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

import click
import msgspec
from attrs import evolve

from twisted_bazaar.cli.commands.nodes.own_nodes import SILENT, STOPPED, own_nodes, show_nodes
from twisted_bazaar.cli.commands.options import JSON
from twisted_bazaar.cli.control.client import ASKING, WHICH_NODE, chosen_node, nobody_runs
from twisted_bazaar.cli.node.configured import ConfiguredCommand
from twisted_bazaar.cli.node.super_peer_figures import format_super_peer
from twisted_bazaar.cli.ring.places import names_of
from twisted_bazaar.cli.ring.rows import Standing, standing_figures
from twisted_bazaar.cli.terminal.printable import printable
from twisted_bazaar.cli.terminal.results import console_for_results, show_figures
from twisted_bazaar.roles.super_peer import KIND as SUPER_PEER
from twisted_bazaar.settings.option import OptionValues
from twisted_bazaar.system.local_time import local_time

_ON_A_RING = ("ring_peer", "ring")
_MOST_LINKS = 20
# What nobody types is told by the name that pages have for it.
_TITLES: Final = {"leaf": "weak peer"}


_OPTIONS: Final = (
    evolve(
        JSON, help="Print a JSON list: of the node, and of each of its roles; without a name, of all nodes that run."
    ),
    *WHICH_NODE,
)


@click.command(cls=ConfiguredCommand, declared=_OPTIONS, endings=ASKING, example="bazaar status --name seller")
def status(options: OptionValues) -> None:
    """Show which nodes run, or how one of them is.

    Without a name there is a row for each of your nodes on this machine that runs. With one, the node tells its id,
    its key, its links, and what each of its roles says of itself.
    """
    if options["state"] is None and options["name"] is None:
        _show_all(options["json"])
        return
    node = chosen_node(options, "status", "node")
    told = node.rows("status", dict[str, Any])
    if options["json"]:
        click.echo(json.dumps(told))
        return
    own, *roles = told or [{}]
    figures = [("state", str(node.directory)), *_of_node(own)]
    for role in roles:
        title = str(role.pop("role", "role"))
        title = _TITLES.get(title, title)
        if title == SUPER_PEER and role.get("leading") is not False:
            lines = format_super_peer(role)
            figures += [("" if number else title, line) for number, line in enumerate(lines)]
            continue
        if title in _ON_A_RING:
            lines = _of_member(role)
            figures += [("" if number else title, line) for number, line in enumerate(lines)]
            continue
        figures.append((title, "; ".join(_of_role(role)) or "well"))
    show_figures(console_for_results(), *((printable(what), printable(figure)) for what, figure in figures))


def _show_all(as_json: bool) -> None:
    """Tell of each node that runs.

    @raise NotThere: none does.
    """
    running = [node for node in own_nodes() if node.state != STOPPED]
    if as_json:
        click.echo(json.dumps([node.row() for node in running]))
    elif running:
        show_nodes(running, with_state=any(node.state == SILENT for node in running))
        if len(running) == 1:
            click.echo(f"bazaar status --name {running[0].name} tells more of it", err=True)
    if not running:
        raise nobody_runs("status", "node")


def _of_node(own: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for what in ("id", "key", "bazaar"):
        figure = own.get(what)
        yield what, "none yet: it looks for its tracker" if (what, figure) == ("id", -1) else str(figure)
    if own.get("address"):
        yield "address", str(own["address"])
    if isinstance(own.get("started_at"), float | int):
        yield "since", local_time(own["started_at"])
    if own.get("udp"):
        yield "datagrams", f"port {own['udp']}"
    links = own.get("links")
    if not isinstance(links, list):
        return
    yield "links", str(len(links)) if links else "none"
    for link in links[:_MOST_LINKS]:
        if isinstance(link, dict):
            yield "", f"node {link.get('id')} at {link.get('address')}, key {str(link.get('key'))[:16]}"
    if len(links) > _MOST_LINKS:
        yield "", f"and {len(links) - _MOST_LINKS} more"


def _of_member(told: Mapping[str, Any]) -> Iterator[str]:
    """What a member of a ring says, as bazaar ring status shows it."""
    standing = msgspec.convert(told, Standing)
    for what, figure in standing_figures(standing, names_of([standing.addresses])):
        for number, line in enumerate(figure.split("\n")):
            yield f"{'' if number else what:11}  {line}"


def _of_role(told: Mapping[str, Any]) -> Iterator[str]:
    """What a role says, in words; of one that this command does not know, as it says it."""
    if told.get("leading") is False:
        yield "none yet: this node becomes one when there are too few"
        return
    for what, figure in told.items():
        match what, figure:
            case "fault", None:
                yield "its book can be written"
            case "fault", _:
                yield f"ITS BOOK CANNOT BE WRITTEN: {figure}"
            case "open_orders", 0:
                yield "no order is without an answer"
            case "open_orders", _:
                yield f"orders without an answer: {figure}"
            case _, str():
                yield f"{what}: {figure}"
            case "super_peers", []:
                yield "NO SUPER PEER HAS TAKEN THIS NODE; it waits for one"
            case "super_peers", [*places] if all(isinstance(each, dict) for each in places):
                yield "super peers: " + ", ".join(f"node {each.get('id')} at {each.get('address')}" for each in places)
            case "neighbours", [*places] if all(isinstance(each, str) for each in places):
                yield f"neighbours: {', '.join(places) or 'none'}"
            case "leading", True:
                pass
            case _:
                yield f"{what}: {msgspec.json.encode(figure).decode()}"
