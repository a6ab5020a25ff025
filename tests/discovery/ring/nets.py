"""What tests of whole rings begin with: nodes on simulated machines that are members of a ring, and nothing else."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.discovery.ring.member.member import RingMember
from twisted_bazaar.discovery.ring.rules.actions import NodeState
from twisted_bazaar.discovery.ring.rules.identifiers import Contact
from twisted_bazaar.discovery.ring.rules.invariant import faults, flaws
from twisted_bazaar.discovery.ring.rules.settings import USUAL, Settings
from twisted_bazaar.identity.keys import KeyPair
from twisted_bazaar.interfaces import INode
from twisted_bazaar.node.node import Node
from twisted_bazaar.role import Role
from twisted_bazaar.testing import SimulatedNetwork
from twisted_bazaar.values.addresses import Address


class RingRole(Role):
    """A role that is a member of a ring and nothing else.

    @ivar refusal: why it could not join, if it could not.
    """

    is_self_numbered = True

    def __init__(self, member: RingMember, join: Address | IStreamClientEndpoint | None = None) -> None:
        self.member = member
        self.datagrams = member.datagrams
        self.refusal: Failure | None = None
        self._join = join

    def start(self, node: INode) -> None:
        """Begin."""
        super().start(node)
        self.member.start(node, self._join).addErrback(self._note)

    def stop(self) -> Deferred[None]:
        """Leave."""
        return self.member.stop()

    def _note(self, failure: Failure) -> None:
        self.refusal = failure


def key_pair(number: int) -> KeyPair:
    """A key pair; another for each number."""
    return KeyPair.from_seed(hashlib.sha256(f"{number}".encode()).digest())


class RingTestCase(SynchronousTestCase):
    """Rings on simulated machines."""

    seed = 1
    settings = USUAL

    def setUp(self) -> None:
        """Have machines."""
        self.network = SimulatedNetwork(self.seed)
        self.members: dict[Node, RingMember] = {}
        self.roles: dict[Node, RingRole] = {}

    def add(
        self,
        by: Node | Address | None = None,
        *,
        member: RingMember | None = None,
        settings: Settings | None = None,
        ring_id: int | None = None,
        **options: Any,
    ) -> Node:
        """Start a node.

        @param by: by whom it joins; None for one that begins a ring.
        """
        made = RingMember(settings or self.settings, ring_id) if member is None else member
        join = Address(*self.network.where(by)) if isinstance(by, Node) else by
        role = RingRole(made, join)
        # No link is needed for anything but joining.
        options = {"key": key_pair(len(self.roles)), "min_links": 0, **options}
        node = self.network.add_node(role, udp=True, **options)
        self.members[node], self.roles[node] = made, role
        return node

    def ring(self, count: int, *, at_once: bool = False) -> list[Node]:
        """A ring of so many nodes that has come to rest."""
        nodes = [self.add()]
        self.network.run(0.1)
        for _ in range(count - 1):
            nodes.append(self.add(nodes[0]))
            if not at_once:
                self.until_joined(nodes)
        self.until_joined(nodes)
        self.until_ideal()
        return nodes

    def until_joined(self, nodes: Sequence[Node], most_s: float = 30.0) -> None:
        """Let time pass until some nodes have joined."""
        self.network.run_until(lambda: all(self.members[node].is_member for node in nodes), most_s)

    def living(self) -> list[RingMember]:
        """Those that run, and have joined."""
        running = [self.members[node] for node in self.network.nodes if node in self.members]
        return [member for member in running if member.is_member]

    def until_ideal(self, most_s: float = 30.0) -> float:
        """Let time pass until everybody knows exactly whom it should, and say how long it took."""
        before = self.network.seconds()
        self.network.run_until(lambda: not self.flaws(), most_s)
        self.assertEqual(self.faults(), [])
        return self.network.seconds() - before

    def faults(self, members: Iterable[RingMember] | None = None) -> list[str]:
        """In what the ring is broken."""
        standings = self.standings(self.living() if members is None else members)
        return list(faults(self.members_ring(), standings, self.settings.successors))

    def flaws(self, members: Iterable[RingMember] | None = None) -> list[str]:
        """In what the ring is not ideal."""
        standings = self.standings(self.living() if members is None else members)
        return list(flaws(self.members_ring(), standings, self.settings.successors))

    def standings(self, members: Iterable[RingMember]) -> list[NodeState]:
        """How members stand; one that never joined anybody does not know its own address."""
        return [evolve(member.stabilization.state, node=self.seen(member)) for member in members]

    def members_ring(self) -> Any:
        """The circle that all are on."""
        return next(iter(self.members.values())).ring

    def holder(self, identifier: int) -> Contact:
        """Who is responsible for a place, as who sees all nodes knows."""
        ring = self.members_ring()
        owners = [self.seen(member) for member in self.living()]
        return min(owners, key=lambda contact: ring.distance(identifier, contact.id))

    def seen(self, member: RingMember) -> Contact:
        """A member, as others know it."""
        for node, each in self.members.items():
            if each is member:
                own = member.own
                return Contact(own.id, own.key, self.network.where_datagrams(node), own.port)
        raise AssertionError("of no node")

    def result(self, deferred: Deferred[Any], most_s: float = 10.0) -> Any:
        """What a Deferred fires with, when time passes."""
        self.network.run_until(lambda: deferred.called, most_s)
        return self.successResultOf(deferred)

    def events(self, name: str) -> list[dict[str, Any]]:
        """Events of one name."""
        return self.network.events_of(name)
