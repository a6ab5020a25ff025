"""A test kit for people who write roles: one fake node, or many real ones on a network in memory.

L{FakeNode} stands in for the node under a role: it keeps what the role sends and says. L{MemoryNetwork}
runs real nodes, their links and their bytes included, on a clock that only the test moves.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

from attrs import define, evolve, field
from twisted.internet.defer import Deferred, succeed
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer

from twisted_bazaar.identity.keys import KeyPair
from twisted_bazaar.interfaces import Address, INode, IRole, Origin, Peer, Route
from twisted_bazaar.node.limits import Limits
from twisted_bazaar.node.node import Node
from twisted_bazaar.plugin import declare_messages
from twisted_bazaar.sim.memory import MemoryHost, Wires
from twisted_bazaar.wire.message import LONGEST_PATH, Flooded, Message, Routed


@implementer(INode)
@define
class FakeNode:
    """A node that keeps what a role says instead of sending it.

    @ivar sent: each message sent, with its route.
    @ivar flooded: each message flooded.
    @ivar reports: each event reported, with its details.
    @ivar linked: who is linked; a route to a node that is not there cannot be used.
    @ivar routes: the routes known, by their target.
    @ivar reachable: ids of nodes to which L{reach} makes a link.
    """

    id: int = 1
    clock: Clock = field(factory=Clock)
    rng: random.Random = field(factory=lambda: random.Random(1))
    sent: list[tuple[Message, Route]] = field(factory=list)
    flooded: list[Flooded] = field(factory=list)
    reports: list[tuple[str, dict[str, Any]]] = field(factory=list)
    linked: list[Peer] = field(factory=list)
    routes: dict[int, list[Route]] = field(factory=dict)
    reachable: set[int] = field(factory=set)
    released: list[int] = field(factory=list)

    def flood(self, message: Flooded) -> int:
        """Keep a search; returns how many links it would have gone to."""
        self.flooded.append(message.evolve(return_path=(self.id,)))
        return len(self.linked)

    def send(self, message: Message, route: Route) -> bool:
        """Keep a message; returns whether it could go: a real node refuses the same."""
        if route[1] not in {peer.id for peer in self.linked}:
            return False
        if len(route) > 2 and (not isinstance(message, Routed) or len(route) > LONGEST_PATH):
            return False
        self.sent.append((message, route))
        return True

    def routes_to(self, node_id: int) -> Sequence[Route]:
        """The routes that the test has set, a direct link first."""
        direct: list[Route] = [(self.id, node_id)] if node_id in {peer.id for peer in self.linked} else []
        return [*direct, *self.routes.get(node_id, [])]

    def reach(self, node_id: int, address: Address) -> Deferred[bool]:
        """Make a link if the test has said that one can be made."""
        if node_id in self.reachable and node_id not in {peer.id for peer in self.linked}:
            self.linked.append(Peer(node_id, f"{node_id:064x}", address))
        return succeed(node_id in {peer.id for peer in self.linked})

    def release(self, node_id: int) -> None:
        """Keep that a link is needed no longer."""
        self.released.append(node_id)

    def peers(self) -> Sequence[Peer]:
        """Who is linked."""
        return list(self.linked)

    def report(self, event: str, sentence: str | None, **details: Any) -> None:
        """Keep an event."""
        self.reports.append((event, details))

    def link(self, node_id: int, host: str = "10.0.0.9") -> Peer:
        """Let a node be linked; for the test to call."""
        peer = Peer(node_id, f"{node_id:064x}", Address(host, 9000 + node_id % 1000))
        self.linked.append(peer)
        return peer


def deliver(role: IRole, message: Message, *route: int) -> None:
    """Hand a message to a role as its node would.

    @param route: the way back to who sent it, the role's own node first.
    """
    role.receives[type(message)](message, Origin(route[-1], route))


class MemoryNetwork(Wires):
    """Machines, nodes and wires in memory, on a clock that only the test moves.

    @param seed: decides everything that chance decides.
    @ivar events: what nodes reported: the node, the event, its details.
    @ivar traffic: every message sent: the sender's id, the receiver's or None, the message.
    """

    def __init__(self, seed: int = 1) -> None:
        super().__init__()
        declare_messages()
        self.events: list[tuple[Node, str, dict[str, Any]]] = []
        self.traffic: list[tuple[int, int | None, Message]] = []
        self._rng = random.Random(seed)
        self._next_host = 0
        self.tracker_address: Address | None = None
        self.nodes: list[Node] = []
        self._addresses: dict[Node, tuple[str, int]] = {}

    def host(self, address: str | None = None) -> MemoryHost:
        """A machine; one with an address of its own if none is given."""
        if address is None:
            self._next_host += 1
            address = f"10.0.{self._next_host // 250}.{self._next_host % 250 + 1}"
        return MemoryHost(self, address)

    def add_tracker(self, role: IRole) -> Node:
        """Start a tracker; nodes added later use it."""
        tracker = self.add_node(role, port=9000, max_links=10_000)
        self.tracker_address = Address(self.nodes_host(tracker), 9000)
        return tracker

    def add_node(
        self,
        *roles: IRole,
        near: Sequence[Node] = (),
        key: KeyPair | None = None,
        port: int = 0,
        listening: bool = True,
        host: MemoryHost | None = None,
        **limits: Any,
    ) -> Node:
        """Start a node.

        @param near: nodes that it stays linked to.
        @param listening: whether it takes connections.
        @param limits: those of its limits that are not the usual ones.
        """
        machine = host or self.host()
        rng = random.Random(self._rng.getrandbits(64))
        node = Node(
            machine,
            rng,
            key or KeyPair.generate(rng),
            roles,
            limits=evolve(Limits(), **limits),
            tracker=self._endpoint(machine, self.tracker_address) if self.tracker_address else None,
            neighbours=[TCP4ClientEndpoint(machine, *self.where(each)) for each in near],
            journal=lambda event, details: self.events.append((node, event, dict(details))),
            trace=lambda peer, message: self.traffic.append((node.id, None if peer is None else peer.id, message)),
        )
        number = port or self.free_port()
        self._addresses[node] = (machine.host, number)
        starting = Deferred.fromCoroutine(node.start(TCP4ServerEndpoint(machine, number) if listening else None))
        failures: list[Failure] = []
        starting.addErrback(failures.append)
        if failures:
            failures[0].raiseException()
        self.nodes.append(node)
        return node

    def where(self, node: Node) -> tuple[str, int]:
        """The host and port of a node."""
        return self._addresses[node]

    def nodes_host(self, node: Node) -> str:
        """The host of a node."""
        return self.where(node)[0]

    def run(self, seconds: float, step_s: float = 0.01) -> None:
        """Let time pass."""
        until = self.clock.seconds() + seconds
        while self.clock.seconds() < until:
            self.clock.advance(min(step_s, until - self.clock.seconds()))

    def run_until(self, condition: Callable[[], object], most_s: float = 60.0, step_s: float = 0.01) -> None:
        """Let time pass until something is so.

        @raise AssertionError: it is not so after C{most_s} seconds.
        """
        until = self.clock.seconds() + most_s
        while not condition():
            if self.clock.seconds() >= until:
                raise AssertionError(f"this did not come true in {most_s} s")
            self.clock.advance(step_s)

    def stop(self, node: Node) -> None:
        """Let a node leave politely."""
        node.stop()
        self.nodes.remove(node)

    def crash(self, node: Node) -> None:
        """Let a node vanish: its connections are reset, and nothing of it is heard again."""
        self.stop(node)
        for end in list(self.open_ends):
            if end.getHost().host == self.nodes_host(node):
                end.abortConnection()

    def stop_all(self) -> None:
        """Stop every node, and let them finish."""
        for node in list(self.nodes):
            self.stop(node)
        self.run(3.0, 0.1)

    def events_of(self, name: str) -> list[dict[str, Any]]:
        """The details of every event of one name."""
        return [details for _, event, details in self.events if event == name]

    @staticmethod
    def _endpoint(machine: MemoryHost, address: Address) -> TCP4ClientEndpoint:
        return TCP4ClientEndpoint(machine, address.host, address.port)
