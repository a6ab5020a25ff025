"""A test kit for people who write roles: one fake node, or many real ones in the simulator.

L{FakeNode} stands in for the node under a role: it keeps what the role sends and says. L{SimulatedNetwork}
runs real nodes, their links and their bytes included, on simulated machines, in a time that only the
test moves.
"""

from __future__ import annotations

import random
from collections import Counter, deque
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec
from attrs import define, field
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.task import Clock
from zope.interface import implementer

from twisted_bazaar.errors import LinkClosed, PeerError, ReachedItself
from twisted_bazaar.files.udp import Transfer
from twisted_bazaar.identity.keys import KeyPair
from twisted_bazaar.interfaces import AnyFlooded, INode, IRole
from twisted_bazaar.node.control import NodeReply, NodeRequest, Ping, Pong
from twisted_bazaar.node.datagrams.datagram_socket import check_fits
from twisted_bazaar.node.limits import Limits
from twisted_bazaar.node.node import Node
from twisted_bazaar.sim.cluster import NODE_PORT, Cluster, Member, Observer, Programme, limits_of
from twisted_bazaar.sim.engine.hosts import Host, Network
from twisted_bazaar.sim.engine.network_conditions import Conditions
from twisted_bazaar.system.tcp_endpoint import tcp_endpoint
from twisted_bazaar.values.addresses import Address, Origin, Peer, Route, Whereabouts
from twisted_bazaar.wire.goods import BAZAAR
from twisted_bazaar.wire.message import LARGEST_INTEGER, LONGEST_PATH, NO_ID, TRACKER_ID, Flooded, Message, Routed

_LATENCY_S: Final = 0.001
# How much of what happened last is shown by a test that has waited in vain.
_MOST_SHOWN: Final = 20
_LONGEST_SHOWN: Final = 160
_STEP_S: Final = 0.01


_CONNECT_S: Final = 4.0


@implementer(INode)
@define
class FakeNode:
    """A node that keeps what a role says instead of sending it.

    @ivar key: its key pair; give two nodes different ones.
    @ivar sent: each message sent, with its route.
    @ivar unsent: each message that could not go, with its route.
    @ivar flooded: each message flooded.
    @ivar reports: each event reported, with its details.
    @ivar sentences: the sentence of each for the log, None for what is not to be logged.
    @ivar linked: who is linked; a route to a node that is not there cannot be used.
    @ivar routes: the routes known, by their target.
    @ivar reachable: ids of nodes to which L{try_hold_link} makes a link.
    @ivar dismissed: whom a role has sent away, and why.
    @ivar present: by address or endpoint, to whom L{hold_link} makes a link; nobody is anywhere else.
    @ivar met: where it was asked to hold a link.
    @ivar named: whom the tracker names, one after the other, whatever it is asked for.
    @ivar asked: what the tracker was asked for: the kind, and the ids not to be named.
    @ivar datagrams: each datagram sent, with its address.
    @ivar udp_port: where it takes datagrams; 0 if nowhere.
    @ivar streams: by address, where L{stream_endpoint} leads to; None anywhere else.
    @ivar streams_first: whether files are to come by streams where they can.
    @ivar behind: ids of nodes that do not read what they are sent.
    """

    id: int = 1
    key: KeyPair = field(factory=lambda: KeyPair.from_seed(bytes(32)))
    advertised: tuple[str | None, int] = (None, 9001)
    bazaar: str = BAZAAR
    clock: Clock = field(factory=Clock)
    rng: random.Random = field(factory=lambda: random.Random(1))
    sent: list[tuple[Message, Route]] = field(factory=list)
    unsent: list[tuple[Message, Route]] = field(factory=list)
    flooded: list[Flooded] = field(factory=list)
    reports: list[tuple[str, dict[str, Any]]] = field(factory=list)
    sentences: list[str | None] = field(factory=list)
    linked: list[Peer] = field(factory=list)
    routes: dict[int, list[Route]] = field(factory=dict)
    reachable: set[int] = field(factory=set)
    released: list[int] = field(factory=list)
    dismissed: list[tuple[int, PeerError]] = field(factory=list)
    present: dict[Address | IStreamClientEndpoint, Peer] = field(factory=dict)
    met: list[Address | IStreamClientEndpoint] = field(factory=list)
    named: list[Whereabouts] = field(factory=list)
    asked: list[tuple[str, tuple[int, ...]]] = field(factory=list)
    datagrams: list[tuple[Message, Address]] = field(factory=list)
    udp_port: int = 9100
    streams: dict[Address, IStreamClientEndpoint] = field(factory=dict)
    streams_first: bool = False
    behind: set[int] = field(factory=set)

    def is_behind(self, node_id: int) -> bool:
        """Whether the test has said that a node does not read."""
        return node_id in self.behind

    def new_flood(self, cls: type[AnyFlooded], **keys: Any) -> AnyFlooded:
        """Make a search with a random id, as a node does."""
        return cls(id=self.rng.randrange(LARGEST_INTEGER), return_path=(self.id,), **keys)

    def flood(self, message: Flooded) -> int:
        """Keep a search; returns how many links it would have gone to."""
        self.flooded.append(message.evolve(return_path=(self.id,)))
        return len(self.linked)

    def send(self, message: Message, route: Route) -> bool:
        """Keep a message; returns whether it could go: a real node refuses the same."""
        is_linked = route[1] in {peer.id for peer in self.linked}
        goes = is_linked and (len(route) == 2 or (isinstance(message, Routed) and len(route) <= LONGEST_PATH))
        (self.sent if goes else self.unsent).append((message, route))
        return goes

    def routes_to(self, node_id: int) -> Sequence[Route]:
        """The routes that the test has set, a direct link first."""
        direct: list[Route] = [(self.id, node_id)] if node_id in {peer.id for peer in self.linked} else []
        return [*direct, *self.routes.get(node_id, [])]

    def try_hold_link(self, node_id: int, address: Address, holder: Hashable) -> Deferred[bool]:
        """Make a link if the test has said that one can be made."""
        if node_id in self.reachable and node_id not in {peer.id for peer in self.linked}:
            self.linked.append(Peer(node_id, f"{node_id:064x}", address))
        return succeed(node_id in {peer.id for peer in self.linked})

    def hold_link(self, where: Address | IStreamClientEndpoint, holder: Hashable) -> Deferred[Peer]:
        """Make a link to whom the test has put there; the role has still to be told that it joined."""
        self.met.append(where)
        peer = self.present.get(where)
        if peer is None:
            return fail(LinkClosed(f"nobody is at {where}"))
        if peer.key == self.key.public:
            return fail(ReachedItself("this node reached itself"))
        if peer not in self.linked:
            self.linked.append(peer)
        return succeed(peer)

    def dismiss_peer(self, node_id: int, why: PeerError) -> bool:
        """Keep whom a role has sent away, and why; it has still to be told that its link is gone."""
        self.dismissed.append((node_id, why))
        return True

    def kind_changed(self) -> None:
        """Report that a role is of another kind."""
        self.report("kind_changed", None)

    def ask_tracker_for(self, kind: str, have: Sequence[int]) -> Deferred[Whereabouts | None]:
        """Name the next whom the test has given."""
        self.asked.append((kind, tuple(have)))
        return succeed(self.named.pop(0) if self.named else None)

    def send_datagram(self, message: Message, addresses: Sequence[Address], keys: Sequence[str | None] = ()) -> None:
        """Keep a datagram to each address; what does not fit is refused as by a node."""
        check_fits(message, Limits().datagram_bytes)
        self.datagrams += [(message, address) for address in addresses]

    def has_validated(self, address: Address) -> bool:
        """Everybody has."""
        return True

    def connection_endpoint(
        self, address: Address, key: str | None = None, timeout_s: float | None = None
    ) -> IStreamClientEndpoint:
        """What connects in the open."""
        return tcp_endpoint(self.clock, address.host, address.port, timeout_s or _CONNECT_S)

    def stream_endpoint(
        self, address: Address, key: str | None = None, timeout_s: float | None = None
    ) -> IStreamClientEndpoint | None:
        """What the test has put there."""
        return self.streams.get(address)

    def release_link(self, node_id: int, holder: Hashable) -> None:
        """Keep that a link is held no longer."""
        self.released.append(node_id)

    def peers(self) -> Sequence[Peer]:
        """Who is linked."""
        return list(self.linked)

    def report(self, event: str, sentence: str | None, **details: Any) -> None:
        """Keep an event."""
        self.reports.append((event, details))
        self.sentences.append(sentence)

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


def deliver_datagram(role: IRole, message: Message, address: Address, key: str | None = None) -> None:
    """Hand a message that came by datagram to a role as its node would.

    @param address: where it came from.
    """
    role.datagrams[type(message)](message, address, key)


class SimulatedNetwork:
    """Real nodes on simulated machines, in a time that only the test moves.

    Latency is a millisecond and nothing gets lost, until the test changes C{network.ways}; hosts can be
    paused, crashed and have their disks fail.

    @param seed: decides everything that chance decides.
    @param sealed: whether connections and datagrams are sealed, by stand-ins; then nobody can be played by hand.
    @ivar network: the machines and the ways between them.
    @ivar nodes: those that run, in the order in which they were added.
    @ivar events: what nodes reported: the node, the event, its details.
    @ivar traffic: every message sent over a link: the sender's id, the receiver's or None, the message.
    @ivar datagrams: every message sent by datagram: the sender's id, the address, the message.
    """

    def __init__(self, seed: int = 1, *, sealed: bool = False) -> None:
        self.network: Network = Network(seed, Conditions(latency_s=_LATENCY_S))
        self.nodes: list[Node] = []
        self.events: list[tuple[Node, str, dict[str, Any]]] = []
        self.traffic: list[tuple[int, int | None, Message]] = []
        self.datagrams: list[tuple[int, Address, Message]] = []
        self.tracker_address: Address | None = None
        self._cluster = Cluster(self.network, sealed=sealed)
        self._cluster.observe(_Record(self))
        self._members: dict[Node, Member] = {}
        self._left_by_stopped: list[object] = []
        self._latest: deque[tuple[float, Callable[[], str]]] = deque(maxlen=_MOST_SHOWN)

    def host(self, address: str | None = None) -> Host:
        """The machine with an address, or another one."""
        if address is not None:
            known = [host for host in self.network.hosts.values() if address in host.addresses]
            return known[0] if known else self.network.add_host(address, address)
        return self.network.add_host(f"host-{len(self.network.hosts) + 1}")

    def add_tracker(self, role: IRole) -> Node:
        """Start a tracker; nodes added later use it."""
        tracker = self.add_node(role, port=NODE_PORT, max_links=10_000)
        self.tracker_address = Address(*self.where(tracker))
        return tracker

    def add_node(
        self,
        *roles: IRole,
        near: Sequence[Node] = (),
        key: KeyPair | None = None,
        port: int = NODE_PORT + 1,
        listening: bool = True,
        host: Host | None = None,
        udp: bool = False,
        transfer: Transfer | None = None,
        **limits: Any,
    ) -> Node:
        """Start a node.

        @param near: nodes that it stays linked to.
        @param listening: whether it takes connections.
        @param udp: whether it takes datagrams, at the same port.
        @param transfer: how it transfers files over them; None for not at all.
        @param limits: those of its limits that are not the usual ones.
        @raise CannotListenError: the port is taken.
        """
        self._cluster.tracker_address = self.tracker_address
        neighbours = [Address(*self.where(node)) for node in near]
        programme = Programme(
            lambda member: roles,
            limits_of(**limits),
            port if listening else None,
            neighbours,
            udp=port if udp else None,
            transfer=transfer,
        )
        member = self._cluster.add(f"node-{len(self._cluster.members) + 1}", programme, host or self.host())
        node = member.start(key)
        self._members[node] = member
        self.nodes.append(node)
        return node

    def where(self, node: Node) -> tuple[str, int]:
        """The host and port of a node."""
        member = self._members[node]
        return member.host.addresses[0], member.programme.port or NODE_PORT + 1

    def where_datagrams(self, node: Node) -> Address:
        """Where a node takes datagrams."""
        return self._members[node].udp_address

    def host_of(self, node: Node) -> Host:
        """The machine of a node."""
        return self._members[node].host

    def seconds(self) -> float:
        """How much time has passed."""
        return self.network.timeline.now

    def run(self, seconds: float) -> None:
        """Let time pass."""
        self.network.timeline.run_until(self.seconds() + seconds)

    def run_until(self, condition: Callable[[], object], most_s: float = 60.0) -> None:
        """Let time pass until something is so.

        @raise AssertionError: it is not so after C{most_s} seconds; the text shows what was sent and reported last.
        """
        until = self.seconds() + most_s
        while not condition():
            if self.seconds() >= until:
                raise AssertionError("\n".join([f"this did not come true in {most_s} s", *self._happened()]))
            # It may come true by an event, or by nothing but time.
            self.network.timeline.run_until(min(until, self.seconds() + _STEP_S), condition)

    def _happened(self) -> Iterator[str]:
        """What was sent, counted by type, and the last that happened; nothing if nothing has."""
        sent = Counter(message.wire_name for _, _, message in [*self.traffic, *self.datagrams])
        if sent:
            yield f"messages sent: {', '.join(f'{count} {name}' for name, count in sorted(sent.items()))}"
        if self._latest:
            yield "what happened last, but for pings and questions to the tracker:"
            yield from (f"{at_s:10.3f} s  {shown()[:_LONGEST_SHOWN]}" for at_s, shown in self._latest)

    def stop(self, node: Node) -> None:
        """Let a node leave politely."""
        self.nodes.remove(node)
        self._members[node].stop()

    def kill(self, node: Node) -> None:
        """End a node without a word: its machine closes its connections, and resets those with bytes left to read."""
        self.nodes.remove(node)
        self._members[node].kill()

    def crash(self, node: Node) -> None:
        """Let the machine of a node lose its power: nobody hears anything."""
        self.nodes.remove(node)
        self._members[node].crash()

    def stop_all(self) -> None:
        """Stop every node, and let them finish."""
        for node in list(self.nodes):
            self.stop(node)
        self.run(3.0)

    def left(self) -> list[object]:
        """What there is of timers, listening ports and open connections, and what nodes that stopped left of them.

        Nothing, when all have stopped as they should.
        """
        return [*self._left_by_stopped, *(thing for host in self.network.hosts.values() for thing in things_of(host))]

    def events_of(self, name: str) -> list[dict[str, Any]]:
        """The details of every event of one name."""
        return [details for _, event, details in self.events if event == name]


def things_of(host: Host) -> list[object]:
    """The timers, listening ports and accepted connections of a machine."""
    return [*host.timers, *host.ports, *host.udp_ports, *(each for each in host.transports if each.protocol)]


class _Record(Observer):
    """Keeps what happens in a network for its test."""

    def __init__(self, network: SimulatedNetwork) -> None:
        self._network = network

    def on_stop(self, member: Member) -> None:
        self._network._left_by_stopped += things_of(member.host)

    def on_report(self, member: Member, event: str, details: Mapping[str, Any]) -> None:
        assert member.node is not None, "only a node that runs reports"
        self._network.events.append((member.node, event, dict(details)))
        told = ", ".join(f"{name}={value!r}" for name, value in details.items())
        self._note(lambda: f"{_who(member)} reports {event}: {told}")

    def on_message(self, member: Member, peer: Peer | None, message: Message) -> None:
        self._network.traffic.append((member.id, None if peer is None else peer.id, message))
        self._note_message(member, "somebody" if peer is None else _called(peer.id), message)

    def on_datagram(self, member: Member, address: Address, message: Message, size_bytes: int) -> None:
        self._network.datagrams.append((member.id, address, message))
        self._note_message(member, str(address), message)

    def _note_message(self, member: Member, to: str, message: Message) -> None:
        if not isinstance(message, Ping | Pong | NodeRequest | NodeReply):
            # Ids are given while it runs, so a name is made now; what was said is written out if it is asked for.
            who = _who(member)
            self._note(lambda: f"{who} -> {to}: {msgspec.json.encode(message).decode()}")

    def _note(self, shown: Callable[[], str]) -> None:
        self._network._latest.append((self._network.seconds(), shown))


def _called(node_id: int) -> str:
    """What a node is called by its id."""
    return {TRACKER_ID: "the tracker", NO_ID: "a node without an id"}.get(node_id, f"node {node_id}")


def _who(member: Member) -> str:
    """A member, as a test that has waited in vain names it."""
    return f"{member.name}, {_called(member.id)}"
