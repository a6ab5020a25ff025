"""The node of this user that an order belongs to: where several could be meant, the one whose book has it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import click

from twisted_bazaar.cli.control.client import OwnedNode, RunningNode, chosen_node, named_node, nodes_that_know
from twisted_bazaar.cli.control.stopped import StoppedNode, node_or_books, stopped_nodes, tell_stopped
from twisted_bazaar.cli.terminal.errors import NegativeAnswer, UserError
from twisted_bazaar.settings.option import OptionValues

_Node = TypeVar("_Node", bound=OwnedNode)


def running_node_of(order: str, options: OptionValues, command: str, what: str) -> RunningNode:
    """The node that the command line names; if it names none, the one that runs and has an order.

    @param order: the order's id, or its beginning.
    @param options: those of C{WHICH_NODE} are among them.
    @param command: what it is going to be asked.
    @param what: what people call such a node.
    @raise UserError: it is not one.
    """
    if named_node(options) is None:
        running = nodes_that_know(command)
        if len(running) > 1:
            node = _only_holder(order, [node for node in running if _has(node, order)], running)
            click.echo(f"node {node.name}:", err=True)
            return node
    return chosen_node(options, command, what)


def node_or_books_of(order: str, options: OptionValues, command: str, what: str) -> RunningNode | StoppedNode:
    """The same for what books can answer: a node that does not run is meant where none that runs has the order.

    @raise UserError: it is not one.
    """
    if named_node(options) is not None:
        return node_or_books(options, command, what)
    running = nodes_that_know(command)
    stopped = stopped_nodes(command, running)
    if len(running) + len(stopped) <= 1:
        return node_or_books(options, command, what)
    if holders := [node for node in running if _has(node, order)]:
        node = _only_holder(order, holders, running)
        click.echo(f"node {node.name}:", err=True)
        return node
    of_books = _only_holder(order, [each for each in stopped if _has(each, order)], [*running, *stopped])
    tell_stopped(of_books)
    return of_books


def _has(node: RunningNode | StoppedNode, order: str) -> bool:
    """Whether a node has an order whose id begins so."""
    try:
        return bool(node.rows("order", dict[str, Any], id=order))
    except UserError:
        # It tells of none; if it is the one that is meant, it is named.
        return False


def _only_holder(order: str, holders: Sequence[_Node], asked: Sequence[OwnedNode]) -> _Node:
    """The one node that has an order.

    @param asked: all that were looked at.
    @raise UserError: several have it, as buyer and seller do.
    @raise NegativeAnswer: none has it.
    """
    if not holders:
        names = ", ".join(node.name for node in asked)
        raise NegativeAnswer(
            f"no order begins with {order} at any of {names}; bazaar orders --name NAME lists those of one"
        )
    if len(holders) > 1:
        names = ", ".join(node.name for node in holders)
        raise UserError(f"several nodes here have an order that begins with {order}: {names}; choose one with --name")
    return holders[0]
