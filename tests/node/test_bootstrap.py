"""Promises of joining: nodes find the tracker, each other, and both again."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.roles.tracker import Tracker
from twisted_bazaar.testing import MemoryNetwork


class JoinTests(SynchronousTestCase):
    """A node joins and stays joined."""

    def setUp(self) -> None:
        """An empty network."""
        self.network = MemoryNetwork()

    def test_enough_links(self) -> None:
        """Each of twenty nodes has at least three links soon, and none more than eight."""
        self.network.add_tracker(Tracker())
        nodes = [self.network.add_node() for _ in range(20)]
        self.network.run(20)
        counts = [len(node.peers()) for node in nodes]
        self.assertTrue(all(3 <= count <= 8 for count in counts), counts)

    def test_links_are_known_at_both_ends(self) -> None:
        """A link that one end knows, the other knows."""
        self.network.add_tracker(Tracker())
        nodes = {node.id: node for node in [self.network.add_node() for _ in range(20)]}
        self.network.run(20)
        nodes = {node.id: node for node in self.network.nodes[1:]}
        for node in nodes.values():
            for peer in node.peers():
                self.assertIn(node.id, [p.id for p in nodes[peer.id].peers()])

    def test_lost_links_are_replaced(self) -> None:
        """When half the nodes vanish, the others link up again."""
        self.network.add_tracker(Tracker())
        nodes = [self.network.add_node() for _ in range(20)]
        self.network.run(20)
        for node in nodes[:10]:
            self.network.crash(node)
        self.network.run(40)
        self.assertTrue(all(len(node.peers()) >= 3 for node in nodes[10:]))

    def test_full_network(self) -> None:
        """A node that everybody refuses goes on asking, ever more rarely."""
        self.network.add_tracker(Tracker())
        full = [self.network.add_node(max_links=1, min_links=1) for _ in range(2)]
        self.network.run_until(lambda: all(node.peers() for node in full))
        late = self.network.add_node()
        self.network.run(20)
        self.network.traffic.clear()
        self.network.run(120, 0.05)
        asked = [m for sender, _, m in self.network.traffic if sender == late.id and m.wire_name == "nodereq"]
        self.assertGreaterEqual(len(asked), 8)
        self.assertLessEqual(len(asked), 20)
        self.network.crash(full[0])
        self.network.run_until(lambda: late.peers())

    def test_tracker_that_comes_later(self) -> None:
        """A tracker that is not there yet is waited for, and the log says so once."""
        from twisted_bazaar.interfaces import Address

        machine = self.network.host()
        self.network.tracker_address = Address(machine.host, 9000)
        waiting = self.network.add_node()
        self.network.run(60, 0.1)
        self.assertEqual(waiting.id, -1)
        self.network.tracker_address = None
        self.network.add_node(Tracker(), host=machine, port=9000, max_links=1000)
        self.network.run(20, 0.05)
        self.assertGreater(waiting.id, 0)


class TrackerLossTests(SynchronousTestCase):
    """The tracker holds soft state."""

    def setUp(self) -> None:
        """Six nodes on one tracker."""
        self.network = MemoryNetwork()
        self.machine = self.network.host()
        self.tracker = self.network.add_node(Tracker(), host=self.machine, port=9000, max_links=1000)
        from twisted_bazaar.interfaces import Address

        self.network.tracker_address = Address(self.machine.host, 9000)
        self.nodes = [self.network.add_node() for _ in range(6)]
        self.network.run(20)

    def test_links_stay(self) -> None:
        """Without it the nodes stay linked."""
        before = [sorted(peer.id for peer in node.peers()) for node in self.nodes]
        self.network.crash(self.tracker)
        self.network.run(100, 0.1)
        self.assertEqual([sorted(peer.id for peer in node.peers()) for node in self.nodes], before)

    def test_lost_links_are_replaced_without_it(self) -> None:
        """While it is away, addresses heard of before are tried."""
        self.network.crash(self.tracker)
        self.network.run(1)
        gone, *left = self.nodes
        self.network.crash(gone)
        for node in left:
            for link in list(node._linked.values())[1:]:
                link.abort()
        self.network.run(60, 0.05)
        self.assertTrue(all(len(node.peers()) >= 2 for node in left), [len(n.peers()) for n in left])
        linked = {node.id: {peer.id for peer in node.peers()} for node in left}
        reached = {left[0].id}
        for _ in left:
            reached |= {id for each in reached for id in linked[each]}
        self.assertEqual(reached, set(linked))

    def test_the_same_after_a_long_time(self) -> None:
        """Addresses of those who were linked for long are known too."""
        self.network.crash(self.tracker)
        self.network.run(700, 0.25)
        for node in self.nodes:
            for link in list(node._linked.values()):
                link.abort()
        self.network.run(60, 0.05)
        self.assertTrue(all(node.peers() for node in self.nodes), [len(n.peers()) for n in self.nodes])

    def test_knows_its_nodes_again(self) -> None:
        """A tracker that lost its memory knows all nodes under their old ids within 30 s."""
        before = [node.id for node in self.nodes]
        self.network.crash(self.tracker)
        self.network.run(45, 0.1)
        self.network.tracker_address = None
        again = self.network.add_node(Tracker(), host=self.machine, port=9000, max_links=1000)
        self.network.run(30, 0.05)
        self.assertEqual([node.id for node in self.nodes], before)
        self.assertEqual(sorted(peer.id for peer in again.peers()), sorted(before))
