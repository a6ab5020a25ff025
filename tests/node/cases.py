"""What the tests of links and of nodes have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.raw_peer import RawPeer, link
from twisted_bazaar.role import Role
from twisted_bazaar.roles.tracker import Tracker
from twisted_bazaar.testing import SimulatedNetwork


class LinkTestCase(SynchronousTestCase):
    """A node with an id, and a network to reach it by."""

    def setUp(self) -> None:
        """Start a tracker and one node."""
        self.network = SimulatedNetwork()
        self.network.add_tracker(Tracker())
        self.node = self.network.add_node()
        self.network.run_until(lambda: self.node.id > 0)

    def linked_ids(self) -> list[int]:
        """Who is linked to the node."""
        return [peer.id for peer in self.node.peers()]


class NodeTestCase(SynchronousTestCase):
    """One node with hand-played neighbours 71, 72 and 73."""

    role: Role | None = None
    limits: Mapping[str, Any] = {}

    def setUp(self) -> None:
        """Link three neighbours."""
        self.network = SimulatedNetwork()
        self.network.add_tracker(Tracker())
        self.node = self.network.add_node(*([self.role] if self.role else []), **self.limits)
        self.network.run_until(lambda: self.node.id > 0)
        self.me = self.node.id
        self.a, self.b, self.c = (link(self.network, self.node, id) for id in (71, 72, 73))
        self.forget()

    def forget(self) -> None:
        """Start to listen anew."""
        for peer in (self.a, self.b, self.c):
            peer.received.clear()

    def heard(self) -> list[list[dict[str, Any]]]:
        """What each neighbour got, after a moment."""
        self.network.run(0.1)
        return [peer.received for peer in (self.a, self.b, self.c)]

    def search(self, peer: RawPeer, **keys: Any) -> None:
        """Send a search."""
        peer.tell("search", **{"id": 5, "item": "apple", "returnPath": [71], "ttl": 4, **keys})
