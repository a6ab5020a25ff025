"""What the tests of nodes that live as long as a command begin with."""

from __future__ import annotations

from typing import Any

from twisted_bazaar.cli.commands.files.options import GET
from twisted_bazaar.cli.node.availability import Availability
from twisted_bazaar.cli.node.ephemeral_node import EphemeralNode
from twisted_bazaar.roles.discovery.chosen import method_named
from twisted_bazaar.settings.option import OptionValues


def node_for(join_s: float = 10.0, **options: Any) -> EphemeralNode:
    """The node of a command.

    @param options: as they are typed, with C{_} for C{-}.
    """
    return EphemeralNode.read(OptionValues.of(GET, plain=True, **options), join_s)


def asked_at(via: str, *places: str) -> Availability:
    """Those who are asked in a way to find."""
    asked = method_named(via).asked
    assert asked is not None, "somebody is"
    return Availability(places, asked)
