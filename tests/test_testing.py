"""The test kit: what roles are tested with does what they run with."""

from __future__ import annotations

from typing import Any

from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import Factory, Protocol
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from tests.raw_peer import connect, link
from twisted_bazaar.discovery.flood.messages import Reply, Search
from twisted_bazaar.errors import LinkClosed, UsageError
from twisted_bazaar.interfaces import INode
from twisted_bazaar.node.control import Ping
from twisted_bazaar.role import Role
from twisted_bazaar.roles.tracker import Tracker
from twisted_bazaar.testing import FakeNode, SimulatedNetwork, deliver, deliver_datagram
from twisted_bazaar.values.addresses import Address, Origin, Peer, Whereabouts
from twisted_bazaar.wire.error import Error

REPLY = Reply(item="apple", id=40)


class FakeNodeTests(SynchronousTestCase):
    """A node that keeps what a role says."""

    def test_interface(self) -> None:
        """The node and the fake node both provide INode."""
        self.assertTrue(verifyObject(INode, SimulatedNetwork().add_node()))
        self.assertTrue(verifyObject(INode, FakeNode()))

    def test_flood(self) -> None:
        """A search is kept with this node on its return path; it goes to each link."""
        node = FakeNode(id=4)
        for id in (7, 8):
            node.link(id)
        self.assertEqual(node.flood(Search(id=1, return_path=(99,), item="apple")), 2)
        self.assertEqual(node.flooded, [Search(id=1, return_path=(4,), item="apple")])

    def test_new_flood(self) -> None:
        """A search is made with a random id and this node on its return path, as by a real node."""
        network = SimulatedNetwork()
        network.add_tracker(Tracker())
        real, fake = network.add_node(), FakeNode(id=4)
        network.run_until(lambda: real.id > 0)
        for node in (real, fake):
            one, other = (node.new_flood(Search, item="apple", ttl=2) for _ in range(2))
            self.assertEqual(one, Search(id=one.id, return_path=(node.id,), ttl=2, item="apple"))
            self.assertNotEqual(one.id, other.id)

    def test_send(self) -> None:
        """As with a node, a message goes only if the first link of its route is there."""
        node = FakeNode()
        node.link(7)
        routes = [(1, 7), (1, 7, 9), (1, 8), (1, 8, 7)]
        self.assertEqual([node.send(REPLY, route) for route in routes], [True, True, False, False])
        self.assertEqual(node.sent, [(REPLY, (1, 7)), (REPLY, (1, 7, 9))])
        self.assertEqual(node.unsent, [(REPLY, (1, 8)), (REPLY, (1, 8, 7))])

    def test_refuses_what_a_node_refuses(self) -> None:
        """Past one hop only routed messages go, and over 16 nodes at most; a real node refuses the same."""
        network = SimulatedNetwork()
        network.add_tracker(Tracker())
        real, fake = network.add_node(), FakeNode()
        network.run_until(lambda: real.id > 0)
        link(network, real, 7)
        fake.link(7)
        search = Search(id=1, return_path=(4,), item="apple")
        for node in (real, fake):
            near, far = (node.id, 7), (node.id, 7, 9)
            longest, too_long = ((node.id, 7, *range(100, 100 + more)) for more in (14, 15))
            tries = [(m, way) for m in (Ping(), search, REPLY, Error(code="wtf")) for way in (near, far)]
            sent = [node.send(*each) for each in (*tries, (REPLY, longest), (REPLY, too_long))]
            self.assertEqual(sent, [True, False, True, False, True, True, True, True, True, False])
        self.assertEqual(len(fake.sent), 7)

    def test_routes(self) -> None:
        """A direct link comes before the routes that the test has set."""
        node = FakeNode(routes={7: [(1, 8, 7)]})
        self.assertEqual((node.routes_to(7), node.routes_to(9)), ([(1, 8, 7)], []))
        node.link(7)
        self.assertEqual(node.routes_to(7), [(1, 7), (1, 8, 7)])

    def test_reach(self) -> None:
        """A link comes about if the test has said so, once; one that is there is enough."""
        node, address = FakeNode(reachable={9}), Address("10.0.0.5", 4000)
        reached = [self.successResultOf(node.try_hold_link(id, address, self)) for id in (8, 9, 9)]
        self.assertEqual((reached, node.peers()), ([False, True, True], [Peer(9, f"{9:064x}", address)]))

    def test_meet(self) -> None:
        """Whom the test has put somewhere is met there, and linked once; nobody is anywhere else."""
        node, address = FakeNode(), Address("10.0.0.5", 4000)
        node.present[address] = Peer(9, f"{9:064x}", address)
        met = [self.successResultOf(node.hold_link(address, self)) for _ in range(2)]
        self.failureResultOf(node.hold_link(Address("10.0.0.5", 4001), self), LinkClosed)
        self.assertEqual((met, node.linked), ([node.present[address]] * 2, [node.present[address]]))
        self.assertEqual(node.met, [address, address, Address("10.0.0.5", 4001)])

    def test_another(self) -> None:
        """The tracker names whom the test has given, one after the other, and then nobody."""
        named = [Whereabouts(id, Address("10.0.0.5", 4000), 4001) for id in (8, 9)]
        node = FakeNode(named=list(named))
        self.assertEqual(
            [self.successResultOf(node.ask_tracker_for("baker", [id])) for id in (7, 8, 9)], [*named, None]
        )
        self.assertEqual(node.asked, [("baker", (7,)), ("baker", (8,)), ("baker", (9,))])

    def test_datagrams(self) -> None:
        """A datagram is kept for each address; what a real node refuses as too long this one does too."""
        addresses = [Address("10.0.0.5", port) for port in (1, 2)]
        network = SimulatedNetwork()
        real, fake = network.add_node(udp=True), FakeNode()
        fake.send_datagram(Ping(), addresses)
        self.assertEqual(fake.datagrams, [(Ping(), address) for address in addresses])
        for node in (real, fake):
            for length in (2, 3):
                node.send_datagram(Error(code="wtf", info="x" * 900, about="\u00e4" * (length * 10)), addresses[:1])
            with self.assertRaises(UsageError):
                node.send_datagram(Error(code="wtf", info="\u00e4" * 900), addresses)

    def test_deliver_datagram(self) -> None:
        """A datagram is handed to the method that claims its class, with where it came from."""
        role, heard, address = Role(), list[tuple[Any, Address]](), Address("10.0.0.5", 1)
        role.datagrams = {Ping: lambda message, whence, key: heard.append((message, whence))}
        deliver_datagram(role, Ping(), address)
        self.assertEqual(heard, [(Ping(), address)])

    def test_deliver(self) -> None:
        """A message is handed to the method that claims its class, with the way back."""
        role, heard = Role(), list[tuple[Any, Origin]]()
        role.receives = {Reply: lambda message, origin: heard.append((message, origin))}
        deliver(role, REPLY, 1, 7, 9)
        self.assertEqual(heard, [(REPLY, Origin(9, (1, 7, 9)))])


class SimulatedNetworkTests(SynchronousTestCase):
    """Real nodes in the simulator."""

    def setUp(self) -> None:
        """An empty network."""
        self.network = SimulatedNetwork()

    def test_time(self) -> None:
        """Time passes when the test says so, by as much as it says."""
        self.network.run(1.0)
        self.assertAlmostEqual(self.network.seconds(), 1.0)
        self.network.run_until(lambda: self.network.seconds() > 1.5)
        self.assertAlmostEqual(self.network.seconds(), 1.5, delta=0.02)

    def test_a_moment(self) -> None:
        """What is so for a moment only, between two events, is noticed at that moment."""
        machine, seen = self.network.host(), list[str]()
        machine.callLater(1.001, seen.append, "it")
        machine.callLater(1.002, seen.clear)
        self.network.run_until(lambda: seen)
        self.assertAlmostEqual(self.network.seconds(), 1.001)

    def test_never(self) -> None:
        """What does not come true in time fails the test."""
        with self.assertRaises(AssertionError) as caught:
            self.network.run_until(lambda: False, most_s=2.0)
        self.assertEqual(str(caught.exception), "this did not come true in 2.0 s")
        self.assertAlmostEqual(self.network.seconds(), 2.0)

    def test_shows_the_traffic(self) -> None:
        """What does not come true is told with what was sent and reported last, without the pings in between."""
        self.network.add_tracker(Tracker())
        node = self.network.add_node(udp=True, min_links=0)
        self.network.run(1.0)
        node.send(REPLY.evolve(item=128 * "a"), (node.id, 0))
        node.send_datagram(Error(code="wtf"), [Address("10.9.9.9", 9001)])
        node.report("tired", None, of="waiting")
        with self.assertRaises(AssertionError) as caught:
            self.network.run_until(lambda: False, most_s=90.0)
        first, counted, heading, *happened = str(caught.exception).splitlines()
        self.assertEqual(first, "this did not come true in 90.0 s")
        self.assertRegex(counted, r"\Amessages sent: .*, 1 reply, 1 thisisme, 1 thisisyou\Z")
        self.assertRegex(counted, r"\d+ ping, \d+ pong, ")
        self.assertEqual(heading, "what happened last, but for pings and questions to the tracker:")
        who = f"node-2, node {node.id}"
        self.assertIn(f"     1.000 s  {who} reports tired: of='waiting'", happened)
        reply = next(line for line in happened if f'{who} -> the tracker: {{"type":"reply"' in line)
        self.assertEqual(len(reply), 174)
        self.assertTrue(any(f'{who} -> 10.9.9.9:9001: {{"type":"knock"' in line for line in happened))
        self.assertTrue(any('node-2, a node without an id -> somebody: {"type":"thisisme"' in n for n in happened))
        self.assertFalse(any("ping" in line for line in happened))
        self.network.stop_all()

    def test_same_seed(self) -> None:
        """With one seed everything happens the same way again."""
        told = []
        for seed in (5, 5, 6):
            network = SimulatedNetwork(seed)
            network.add_tracker(Tracker())
            for _ in range(5):
                network.add_node()
            network.run(5)
            told.append(network.traffic)
        self.assertEqual((told[0] == told[1], told[0] == told[2]), (True, False))

    def test_datagrams(self) -> None:
        """Nodes that take datagrams do so at the port of their links, and what they send is kept."""
        heard: list[Any] = []
        role = Role()
        role.datagrams = {Ping: lambda message, whence, key: heard.append((message, whence))}
        one, other = self.network.add_node(udp=True, port=9005), self.network.add_node(role, udp=True)
        self.assertEqual(self.network.where_datagrams(one), Address(*self.network.where(one)))
        self.assertEqual((one.udp_port, other.udp_port, self.network.add_node().udp_port), (9005, 9001, 0))
        one.send_datagram(Ping(), [self.network.where_datagrams(other)])
        self.network.run(0.1)
        self.assertEqual(heard, [(Ping(), self.network.where_datagrams(one))])
        self.assertEqual([message.wire_name for _, _, message in self.network.datagrams], ["knock", "cookie", "ping"])

    def test_not_started(self) -> None:
        """A node that cannot have its port leaves nothing behind."""
        first = self.network.add_node(port=9005)
        with self.assertRaises(CannotListenError):
            self.network.add_node(port=9005, udp=True, host=self.network.host_of(first))
        self.network.stop_all()
        self.assertEqual(self.network.left(), [])

    def test_near(self) -> None:
        """A node that is added near others is linked to them."""
        self.network.add_tracker(Tracker())
        first, second = (self.network.add_node(min_links=0) for _ in range(2))
        self.network.run(1)
        third = self.network.add_node(near=[first, second], min_links=0)
        self.network.run(1)
        self.assertEqual({peer.id for peer in third.peers()}, {first.id, second.id})
        self.assertEqual([[peer.id for peer in node.peers()] for node in (first, second)], [[third.id]] * 2)

    def test_kill(self) -> None:
        """A node that is killed says no goodbye; its connections are reset, and it is gone."""
        self.network.add_tracker(Tracker())
        node = self.network.add_node()
        self.network.run(1)
        peer = link(self.network, node, 71)
        peer.received.clear()
        self.network.kill(node)
        self.network.run(1)
        self.assertEqual((peer.received, peer.is_closed, self.network.nodes.count(node)), ([], True, 0))
        self.assertTrue(connect(self.network, node).is_closed)

    def test_crash(self) -> None:
        """A node whose machine loses its power says nothing at all, and its connections stay as they are."""
        self.network.add_tracker(Tracker())
        node = self.network.add_node()
        self.network.run(1)
        peer = link(self.network, node, 71)
        peer.received.clear()
        self.network.crash(node)
        self.network.run(60)
        self.assertEqual((peer.received, peer.is_closed, self.network.nodes.count(node)), ([], False, 0))

    def test_started_again(self) -> None:
        """A node that is started again on its machine is who it was, before the tracker has said so."""
        tracker = self.network.add_tracker(Tracker())
        other = self.network.add_node(min_links=0)
        self.network.run(1)
        machine = self.network.host()
        node = self.network.add_node(host=machine, near=[other], min_links=0)
        self.network.run(1)
        before = other.peers()
        for ended in (tracker, node):
            self.network.kill(ended)
        self.network.run(1)
        self.assertEqual(other.peers(), [])
        self.network.add_node(host=machine, near=[other], min_links=0)
        self.network.run(1)
        self.assertEqual((other.peers(), len(before)), (before, 1))

    def test_noticed(self) -> None:
        """The neighbour of a node that is killed knows at once, that of one that crashes by its silence of 90 s."""
        self.network.add_tracker(Tracker())
        node = self.network.add_node(min_links=0)
        self.network.run(1)
        for end, counts in ((self.network.kill, [0, 0, 0]), (self.network.crash, [1, 1, 0])):
            other = self.network.add_node(near=[node], min_links=0)
            self.network.run(1)
            self.assertEqual([peer.id for peer in node.peers()], [other.id])
            end(other)
            linked = []
            for seconds in (1, 84, 10):
                self.network.run(seconds)
                linked.append(len(node.peers()))
            self.assertEqual(linked, counts)

    def test_left(self) -> None:
        """What has not ended is listed: timers, listening ports and both ends of connections."""
        machine, other = self.network.host(), self.network.host()
        timer = machine.callLater(60, list)
        port = machine.listenTCP(4000, Factory.forProtocol(Protocol))
        endpoint = TCP4ClientEndpoint(other, machine.address, 4000)
        connecting = endpoint.connect(Factory.forProtocol(Protocol))
        self.network.run(1)
        near = self.successResultOf(connecting).transport
        self.assertEqual(set(self.network.left()), {timer, ("0.0.0.0", 4000), near, near.far})
        timer.cancel()
        port.stopListening()
        near.loseConnection()
        self.network.run(1)
        self.assertEqual(self.network.left(), [])

    def test_events(self) -> None:
        """What nodes report is kept by name."""
        self.network.add_tracker(Tracker())
        node = self.network.add_node()
        self.network.run(1)
        self.assertEqual(self.network.events_of("joined"), [{"id": node.id}])

    def test_taken(self) -> None:
        """A node that cannot start fails the test that adds it."""
        machine = self.network.host()
        self.network.add_node(host=machine, port=9000)
        self.assertRaises(CannotListenError, self.network.add_node, host=machine, port=9000)
        self.assertEqual(len(self.network.nodes), 1)

    def test_stop_all(self) -> None:
        """When all have stopped nothing is left."""
        self.network.add_tracker(Tracker())
        for _ in range(5):
            self.network.add_node()
        self.network.run(5)
        self.network.stop_all()
        self.assertEqual((self.network.nodes, self.network.left()), ([], []))


class MachineTests(SynchronousTestCase):
    """Simulated machines and what runs on them."""

    def setUp(self) -> None:
        """A tracker."""
        self.network = SimulatedNetwork()
        self.tracker = self.network.add_tracker(Tracker())

    def test_what_a_role_left(self) -> None:
        """A timer that a role left must be seen when all nodes were stopped."""

        class Leaking(Role):
            def start(self, node: object) -> None:
                node.clock.callLater(1000, list)

        self.network.add_node(Leaking())
        self.network.run(3)
        self.network.stop_all()
        self.assertEqual(len(self.network.left()), 1)

    def test_two_nodes_on_one_machine(self) -> None:
        """Two nodes on one machine must be two, and the end of one not that of the other."""
        machine = self.network.host()
        first, second = (self.network.add_node(host=machine, port=port) for port in (9001, 9002))
        self.network.run(2)
        self.assertEqual((first.id != second.id, len(self.tracker.peers())), (True, 2))
        self.network.stop(first)
        self.network.run(5)
        self.assertEqual(len(self.tracker.peers()), 1)
