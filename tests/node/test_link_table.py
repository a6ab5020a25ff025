"""Promises of all links of one node together: one to each node, not too many, and none under another id."""

from __future__ import annotations

import random
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, fail
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IStreamClientEndpoint
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from tests.node.cases import LinkTestCase
from tests.raw_peer import accept, connect, link
from twisted_bazaar.errors import AlreadyLinked, LinkClosed, NoSlots, PeerError
from twisted_bazaar.identity.keys import KeyPair
from twisted_bazaar.node.control import Ping
from twisted_bazaar.node.node import Node
from twisted_bazaar.role import Role
from twisted_bazaar.roles.tracker import Tracker
from twisted_bazaar.sim.engine.network_conditions import Conditions
from twisted_bazaar.testing import SimulatedNetwork
from twisted_bazaar.values.addresses import Address, Peer
from twisted_bazaar.wire.framing import frame


class Diary(Role):
    """Notes who comes and who goes."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, int]] = []

    def peer_joined(self, peer: Peer) -> None:
        self.lines.append(("joined", peer.id))

    def peer_left(self, peer: Peer) -> None:
        self.lines.append(("left", peer.id))


class OneLinkTests(LinkTestCase):
    """Two nodes have one link, however it came about."""

    def test_both_dial_at_once(self) -> None:
        """Exactly one link is left, and it is the same at both ends."""
        for seed in range(12):
            network = SimulatedNetwork(seed)
            network.add_tracker(Tracker())
            a, b = (network.add_node(min_links=1) for _ in range(2))
            network.run_until(lambda a=a, b=b: a.peers() and b.peers())
            # Whatever the bootstrap did, both dial again at the same moment.
            for dialling, other in ((a, b), (b, a)):
                dialling._links.dial(Address(*network.where(other))).addErrback(lambda failure: None)
            network.run(1)
            ends = [end for node in (a, b) for end in network.host_of(node).transports]
            self.assertEqual(len([end for end in ends if end.getPeer().port != 9000]), 2)
            self.assertEqual([[p.id for p in n.peers()] for n in (a, b)], [[b.id], [a.id]])
            self.assertIs(a._linked[b.id].transport.far, b._linked[a.id].transport)

    def test_the_later_of_two_from_one_end(self) -> None:
        """A node that comes back before its old connection is known dead is not turned away."""
        old = link(self.network, self.node, 77)
        new = link(self.network, self.node, 77)
        self.assertEqual(old.received[-1], {"type": "dc"})
        self.network.run(2.5)
        self.assertEqual((old.is_closed, new.is_closed), (True, False))
        self.assertEqual(self.linked_ids(), [77])

    def test_the_later_of_two_from_this_end_goes(self) -> None:
        """When a link goes and there is another to the same node, that one is used, and no role hears of it."""
        diary = Diary()
        network = SimulatedNetwork()
        network.add_tracker(Tracker())
        node = network.add_node(diary)
        network.run_until(lambda: node.id > 0)
        address, peers = accept(network)
        for _ in range(2):
            node._links.dial(address)
            network.run(0.1)
            peers[-1].greet(88, key=f"{88:064x}")
            network.run(0.1)
        first, second = peers
        second.transport.loseConnection()
        network.run(0.1)
        first.received.clear()
        self.assertTrue(node.send(Ping(), (node.id, 88)))
        network.run(0.1)
        self.assertEqual((first.received, diary.lines), ([{"type": "ping"}], [("joined", 88)]))
        first.transport.loseConnection()
        network.run(0.1)
        self.assertEqual((list(node.peers()), diary.lines), ([], [("joined", 88), ("left", 88)]))

    def test_told(self) -> None:
        """Who dials although there is a link to be kept is told so, and that link stays."""
        address, peers = accept(self.network)
        key = "00" * 32
        self.node.try_hold_link(88, address, self)
        self.network.run(0.1)
        peers[0].greet(88, key=key)
        self.network.run(0.1)
        late = link(self.network, self.node, 88, key=key)
        self.assertEqual([(m["type"], m.get("code")) for m in late.received], [("error", "linked")])
        self.assertEqual((late.is_closed, peers[0].is_closed, self.linked_ids()), (True, False, [88]))

    def test_refused(self) -> None:
        """Who dials and is refused knows why, by a class if the code has one, and in words for people without it."""
        address, peers = accept(self.network)
        for code, why in (("linked", AlreadyLinked), ("noslots", NoSlots), ("wtf", LinkClosed)):
            dialling = self.node._links.dial(address)
            self.network.run(0.1)
            peers[-1].tell("error", code=code, info="no")
            self.network.run(0.1)
            failure = self.failureResultOf(dialling, PeerError)
            self.assertEqual((failure.type, str(failure.value)), (why, "no"))

    def test_itself(self) -> None:
        """A node that dials itself notices."""
        dialling = self.node._links.dial(Address(*self.network.where(self.node)))
        self.network.run(0.5)
        self.failureResultOf(dialling, PeerError, LinkClosed)
        self.assertEqual(self.linked_ids(), [])


class SlotTests(LinkTestCase):
    """A node has as many links as it wants."""

    def test_noslots(self) -> None:
        """Past the maximum a stranger is accepted, told so, and closed; who is linked may come back."""
        for id in range(101, 109):
            link(self.network, self.node, id)
        stranger = link(self.network, self.node, 109)
        self.assertEqual(stranger.received, [{"type": "error", "code": "noslots", "info": "no slots available"}])
        self.assertTrue(stranger.is_closed)
        self.assertFalse(link(self.network, self.node, 101).is_closed)
        self.assertEqual(len(self.node.peers()), 8)

    def test_no_machine_takes_all(self) -> None:
        """When one machine has all links, one from another is taken: the youngest there is goes, and is told why."""
        greedy = []
        for id in range(101, 109):
            greedy.append(connect(self.network, self.node, "10.9.9.9"))
            greedy[-1].greet(id, key=f"{id:064x}", host=f"10.7.7.{id}", port=4000)
            self.network.run(0.05)
        stranger = link(self.network, self.node, 120)
        self.assertEqual(greedy[-1].received[-1]["code"], "noslots")
        self.assertEqual([peer.is_closed for peer in greedy], [False] * 7 + [True])
        self.assertEqual((stranger.is_closed, self.linked_ids()), (False, [*range(101, 108), 120]))

    def test_silent_connections_do_not_lock_others_out(self) -> None:
        """Of 200 silent connections 64 are kept, if so many may be, and a node that greets is linked all the same."""
        self.node = self.network.add_node(Role(), max_greeting=64)
        self.network.run_until(lambda: self.node.id > 0)
        silent = [connect(self.network, self.node, "10.9.9.9") for _ in range(200)]
        self.assertEqual(sum(not peer.is_closed for peer in silent), 64)
        self.assertFalse(link(self.network, self.node, 77).is_closed)
        self.assertIn(77, self.linked_ids())

    def test_the_noisiest_host_loses(self) -> None:
        """A host with many silent connections cannot push out another's."""
        self.node = self.network.add_node(Role(), max_greeting=64)
        self.network.run_until(lambda: self.node.id > 0)
        other = connect(self.network, self.node, "10.8.8.8")
        for _ in range(200):
            connect(self.network, self.node, "10.9.9.9")
        self.assertFalse(other.is_closed)


class NewIdTests(LinkTestCase):
    """A tracker that knows the old id as another's gives a new one."""

    def setUp(self) -> None:
        """Let a tracker without memory give the node's id away while the node has a link and knows a path."""
        super().setUp()
        self.old_id = self.node.id
        self.old = link(self.network, self.node, 71)
        self.old.tell("search", id=1, item="apple", returnPath=[10, 5, 71])
        self.network.run(0.1)
        self.assertEqual(list(self.node.routes_to(10)), [(self.old_id, 71, 5, 10)])
        [tracker, _] = self.network.nodes
        machine = self.network.host_of(tracker)
        self.network.kill(tracker)
        self.network.run(10)
        again = self.network.add_node(Tracker(), host=machine, port=9000)
        connect(self.network, again).greet(self.old_id, key="cd" * 32)
        self.network.run(20)

    def test_links(self) -> None:
        """Links under the old id are closed with dc: what the other ends know of them is no longer true."""
        self.assertNotIn(self.node.id, (-1, self.old_id))
        self.assertEqual((self.old.received[-1], self.old.is_closed), ({"type": "dc"}, True))
        self.assertEqual(self.linked_ids(), [])

    def test_paths(self) -> None:
        """Paths are forgotten: all of them began with the old id."""
        link(self.network, self.node, 71)
        self.assertEqual((self.linked_ids(), list(self.node.routes_to(10))), ([71], []))


class AddressTests(LinkTestCase):
    """What a node says of where it listens."""

    def greeting(self, **options: Any) -> dict[str, Any]:
        """How a node that was started so greets its tracker."""
        address, peers = accept(self.network, 9000)
        self.network.tracker_address = address
        self.network.add_node(**options)
        self.network.run(0.1)
        return peers[0].received[0]

    def test_listening(self) -> None:
        """A node that listens at all its addresses names its port, and leaves the host to be seen."""
        greeting = self.greeting(port=4711)
        self.assertEqual((greeting["id"], greeting.get("host"), greeting["port"]), (-1, None, 4711))

    def test_listening_at_one_address(self) -> None:
        """A node that listens at one address names it."""
        address, peers = accept(self.network, 9000)
        machine = self.network.host()
        endpoint = TCP4ServerEndpoint(machine, 4712, interface=machine.address)
        tracker = TCP4ClientEndpoint(machine, address.host, address.port)
        rng = random.Random(1)
        node = Node(machine, rng, KeyPair.generate(rng), tracker=tracker)
        self.successResultOf(Deferred.fromCoroutine(node.start(endpoint)))
        self.network.run(0.1)
        greeting = peers[0].received[0]
        self.assertEqual((greeting["host"], greeting["port"]), (machine.address, 4712))

    def test_not_listening(self) -> None:
        """A node that takes no connections says port 0 and no host."""
        greeting = self.greeting(listening=False)
        self.assertEqual((greeting["port"], greeting.get("host")), (0, None))


@implementer(IStreamClientEndpoint)
class Broken:
    """An endpoint with a fault."""

    def connect(self, factory: IProtocolFactory) -> Deferred[IProtocol]:
        return fail(RuntimeError("a planted fault"))


class EndpointTests(LinkTestCase):
    """Endpoints are anybody's code."""

    def test_broken(self) -> None:
        """One with a fault counts as one where nobody is, and its fault is logged."""
        dialling = Deferred.fromCoroutine(self.node._links.dial_endpoint(Broken()))
        self.failureResultOf(dialling, LinkClosed)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_given_up(self) -> None:
        """A try that is given up while it connects ends as any other wait does, and is nobody's fault."""
        nowhere = TCP4ClientEndpoint(self.network.host(), "10.9.9.9", 9000)
        dialling = Deferred.fromCoroutine(self.node._links.dial_endpoint(nowhere))
        self.network.run(1)
        dialling.cancel()
        self.failureResultOf(dialling, CancelledError)


class StoppedTests(LinkTestCase):
    """A node that stops."""

    def test_takes_nobody(self) -> None:
        """Who connects to a node that is leaving is turned away, even if its connection was under way."""
        deaf = link(self.network, self.node, 71)
        deaf.transport.pauseProducing()
        # More answers than fit on the way keep the connection open for a moment.
        deaf.transport.write(frame(b'{"type":"ping"}') * 10_000)
        self.network.run(1)
        factory = next(iter(self.network.host_of(self.node).ports.values()))._factory
        stopping = self.node.stop()
        self.assertTrue(connect(self.network, self.node).is_closed)
        self.assertIsNone(factory.buildProtocol(None))
        self.assertNoResult(stopping)


class OldIdTests(SynchronousTestCase):
    """A node that gets another id than it had."""

    def setUp(self) -> None:
        """A tracker."""
        self.network = SimulatedNetwork()
        self.tracker = self.network.add_tracker(Tracker())

    def test_greeted_under_the_old_id(self) -> None:
        """A dial under way when the tracker gives another id must not end in a link under the old one."""
        neighbour = self.network.add_node(min_links=0)
        self.network.run(1)
        connect(self.network, self.tracker).greet(4711, key="cd" * 32)
        self.network.run(0.1)
        machine, rng = self.network.host(), random.Random(1)
        ways = self.network.network.ways
        for other, latency_s in ((self.network.host_of(neighbour), 0.05), (self.network.host_of(self.tracker), 0.07)):
            ways.change(other.name, machine.name, Conditions(latency_s=latency_s))
        ways.change(machine.name, self.network.host_of(neighbour).name, Conditions(latency_s=0.05))
        node = Node(
            machine,
            rng,
            KeyPair.generate(rng),
            former_id=4711,
            tracker=TCP4ClientEndpoint(machine, *self.network.where(self.tracker)),
            neighbours=[TCP4ClientEndpoint(machine, *self.network.where(neighbour))],
        )
        self.successResultOf(Deferred.fromCoroutine(node.start(None)))
        self.network.run(60)
        self.assertEqual([peer.id for peer in neighbour.peers()], [node.id])
