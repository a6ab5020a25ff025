"""The test kit: what roles are tested with does what they run with."""

from __future__ import annotations

from typing import Any

from twisted.internet.error import CannotListenError
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from tests.raw_peer import connect, link
from twisted_bazaar.discovery.flood.messages import Reply, Search
from twisted_bazaar.interfaces import Address, INode, Origin, Peer
from twisted_bazaar.plugin import Role
from twisted_bazaar.roles.tracker import Tracker
from twisted_bazaar.testing import FakeNode, SimulatedNetwork, deliver

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

    def test_send(self) -> None:
        """As with a node, a message goes only if the first link of its route is there."""
        node = FakeNode()
        node.link(7)
        routes = [(1, 7), (1, 7, 9), (1, 8), (1, 8, 7)]
        self.assertEqual([node.send(REPLY, route) for route in routes], [True, True, False, False])
        self.assertEqual(node.sent, [(REPLY, (1, 7)), (REPLY, (1, 7, 9))])

    def test_routes(self) -> None:
        """A direct link comes before the routes that the test has set."""
        node = FakeNode(routes={7: [(1, 8, 7)]})
        self.assertEqual((node.routes_to(7), node.routes_to(9)), ([(1, 8, 7)], []))
        node.link(7)
        self.assertEqual(node.routes_to(7), [(1, 7), (1, 8, 7)])

    def test_reach(self) -> None:
        """A link comes about if the test has said so, once; one that is there is enough."""
        node, address = FakeNode(reachable={9}), Address("10.0.0.5", 4000)
        reached = [self.successResultOf(node.reach(id, address)) for id in (8, 9, 9)]
        self.assertEqual((reached, node.peers()), ([False, True, True], [Peer(9, f"{9:064x}", address)]))

    def test_deliver(self) -> None:
        """A message is handed to the method that claims its class, with the way back."""
        role, heard = Role(), list[tuple[Any, Origin]]()
        role.receives = {Reply: lambda message, origin: heard.append((message, origin))}
        deliver(role, REPLY, 1, 7, 9)
        self.assertEqual(heard, [(REPLY, Origin(9, (1, 7, 9)))])


class SimulatedNetworkTests(SynchronousTestCase):
    """Real nodes on a network in memory."""

    def setUp(self) -> None:
        """An empty network."""
        self.network = SimulatedNetwork()

    def test_time(self) -> None:
        """Time passes when the test says so, by as much as it says."""
        self.network.run(1.0)
        self.assertAlmostEqual(self.network.seconds(), 1.0)
        self.network.run_until(lambda: self.network.seconds() > 1.5)
        self.assertAlmostEqual(self.network.seconds(), 1.5, delta=0.02)

    def test_never(self) -> None:
        """What does not come true in time fails the test."""
        with self.assertRaises(AssertionError) as caught:
            self.network.run_until(lambda: False, most_s=2.0)
        self.assertEqual(str(caught.exception), "this did not come true in 2.0 s")
        self.assertAlmostEqual(self.network.seconds(), 2.0)

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

    def test_near(self) -> None:
        """A node that is added near others is linked to them."""
        self.network.add_tracker(Tracker())
        first, second = (self.network.add_node(min_links=0) for _ in range(2))
        self.network.run(1)
        third = self.network.add_node(near=[first, second], min_links=0)
        self.network.run(1)
        self.assertEqual({peer.id for peer in third.peers()}, {first.id, second.id})
        self.assertEqual([[peer.id for peer in node.peers()] for node in (first, second)], [[third.id]] * 2)

    def test_crash(self) -> None:
        """A node that crashes says no goodbye; its connections are reset, and it is gone."""
        self.network.add_tracker(Tracker())
        node = self.network.add_node()
        self.network.run(1)
        peer = link(self.network, node, 71)
        peer.received.clear()
        self.network.kill(node)
        self.network.run(1)
        self.assertEqual((peer.received, peer.is_closed, self.network.nodes.count(node)), ([], True, 0))
        self.assertTrue(connect(self.network, node).is_closed)

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
