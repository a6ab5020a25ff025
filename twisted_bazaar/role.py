"""A role that does nothing: the base of all that a node does beyond passing on messages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from twisted_bazaar.interfaces import Command, DatagramReceivers, INode, IRole, Opening
from twisted_bazaar.values.addresses import Origin, Peer
from twisted_bazaar.values.needs import UdpNeed
from twisted_bazaar.wire.message import Message

STOP_S: Final = 5.0


@implementer(IRole)
class Role:
    """A role that does nothing: a base for those that do something, which change what is not so for them.

    See L{IRole} for what each attribute means.

    @ivar node: the node that carries it; there from L{start} on.
    """

    receives: Mapping[type[Message], Callable[[Any, Origin], None]] = {}
    openings: Mapping[type[Message], Opening] = {}
    datagrams: DatagramReceivers = {}
    commands: Mapping[str, Command] = {}
    kind: str | None = None
    is_self_numbered: bool = False
    needs_neighbours: bool = True
    udp_need: UdpNeed | None = None
    finished: Deferred[int] | None = None
    stop_s: float = STOP_S
    limits: Mapping[str, Any] = {}
    is_stop_and_wait: bool = False
    collect_after: int | None = None
    node: INode

    def start(self, node: INode) -> None:
        """Begin; nothing is linked yet."""
        self.node = node

    def stop(self) -> Deferred[None]:
        """End every timer and wait."""
        return succeed(None)

    def peer_joined(self, peer: Peer) -> None:
        """A node is linked."""

    def peer_left(self, peer: Peer) -> None:
        """A link is gone."""

    def tracker_joined(self) -> None:
        """The node is linked to its tracker."""

    def tracker_left(self) -> None:
        """The link to the tracker is gone."""
