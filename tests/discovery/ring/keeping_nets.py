"""What tests of what rings keep begin with: rings whose nodes keep something for each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred

from tests.discovery.ring.nets import RingRole, RingTestCase, key_pair
from twisted_bazaar.discovery.ring.member.member import RingMember
from twisted_bazaar.discovery.ring.rules.identifiers import Contact
from twisted_bazaar.discovery.ring.storage.dht_client import DhtClient, Holding
from twisted_bazaar.discovery.ring.storage.entry import VALUES
from twisted_bazaar.discovery.ring.storage.repair import Repair
from twisted_bazaar.interfaces import INode
from twisted_bazaar.node.node import Node
from twisted_bazaar.values.addresses import Address


class KeepingRole(RingRole):
    """A member of a ring that keeps what it is asked to.

    @ivar dht: what it keeps.
    @ivar repair: sees that others do too.
    """

    def __init__(self, member: RingMember, join: Any = None, **options: Any) -> None:
        self.dht = DhtClient(member, **options)
        self.repair = Repair(member, self.dht)
        super().__init__(member, join)

    def start(self, node: INode) -> None:
        """Begin."""
        self.dht.start(node)
        self.repair.start(node)
        super().start(node)

    def stop(self) -> Deferred[None]:
        """Leave."""
        return super().stop().addCallback(lambda _: self.repair.stop())


class KeepingTestCase(RingTestCase):
    """Rings that keep something."""

    limits: dict[str, Any] = {}

    def add(self, by: Node | Address | None = None, **options: Any) -> Node:
        """Start a node."""
        made = options.pop("member", None) or RingMember(self.settings, options.pop("ring_id", None))
        join = Address(*self.network.where(by)) if isinstance(by, Node) else by
        role = KeepingRole(made, join, **self.limits)
        options = {"key": key_pair(len(self.roles)), "min_links": 0, **options}
        node = self.network.add_node(role, udp=True, **options)
        self.members[node], self.roles[node] = made, role
        return node

    def dht(self, node: Node) -> DhtClient:
        """What a node keeps."""
        role = self.roles[node]
        assert isinstance(role, KeepingRole)
        return role.dht

    def put(self, node: Node, name: str, value: bytes, space: str = VALUES, **said: Any) -> Any:
        """Have something kept."""
        return self.result(self.dht(node).put(space, name, value, **said))

    def delete(self, node: Node, name: str, space: str = VALUES) -> Any:
        """Have it kept no longer."""
        return self.result(self.dht(node).delete(space, name))

    def get(self, node: Node, name: str, space: str = VALUES, **how: Any) -> list[bytes]:
        """The values under a name."""
        return [holding.entry.kept.value for holding in self.holdings(node, name, space, **how)]

    def holdings(self, node: Node, name: str, space: str = VALUES, **how: Any) -> Sequence[Holding]:
        """What there is under a name."""
        found: Sequence[Holding] = self.result(self.dht(node).get(space, name, **how))
        return found

    def having(self, name: str, space: str = VALUES) -> list[Node]:
        """The nodes that have something under a name, be it a tombstone."""
        now = self.network.seconds()
        return [node for node in self.network.nodes if self.dht(node).store.entries_of(space, name, now)]

    def right_ones(self, name: str) -> list[Node]:
        """Those that are to have it, the one to which it belongs first."""
        ring = self.members_ring()
        identifier = ring.key_of(name)
        count = next(iter(self.network.nodes))
        replicas = self.dht(count).replicas
        ringed = [node for node in self.network.nodes if node in self.members]
        near = sorted(ringed, key=lambda node: ring.distance(identifier, self.members[node].own.id))
        return near[: replicas + 1]

    def contact(self, node: Node) -> Contact:
        """A node, as others know it."""
        return self.seen(self.members[node])
