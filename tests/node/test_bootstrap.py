"""Promises of joining: nodes find the tracker, each other, and both again."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from twisted.logger import LogEvent, LogLevel, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from tests import raw_peer
from tests.watched_host import watched_host
from twisted_bazaar.interfaces import Address
from twisted_bazaar.node.node import Node
from twisted_bazaar.roles.tracker import Tracker
from twisted_bazaar.sim.reactor import Host
from twisted_bazaar.testing import SimulatedNetwork


def warnings(logged: Sequence[LogEvent]) -> list[str]:
    """What the log warned of."""
    return [formatEvent(event) for event in logged if event["log_level"] is LogLevel.warn]


class JoinTests(SynchronousTestCase):
    """A node joins and stays joined."""

    def setUp(self) -> None:
        """An empty network."""
        self.network = SimulatedNetwork()

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
            self.network.kill(node)
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
        self.network.run(120)
        asked = [m for sender, _, m in self.network.traffic if sender == late.id and m.wire_name == "nodereq"]
        self.assertGreaterEqual(len(asked), 8)
        self.assertLessEqual(len(asked), 20)
        self.network.kill(full[0])
        self.network.run_until(lambda: late.peers())

    def test_tracker_that_comes_later(self) -> None:
        """A tracker that is not there yet is waited for, and the log says so once."""
        machine = self.network.host()
        self.network.tracker_address = Address(machine.address, 9000)
        with capturedLogs() as logged:
            waiting = self.network.add_node()
            self.network.run(60)
            self.assertEqual(waiting.id, -1)
            self.tracker(machine)
            self.network.run(20)
        self.assertEqual(self.network.events_of("joined"), [{"id": waiting.id}])
        [warning] = warnings(logged)
        self.assertRegex(warning, "^the tracker does not answer .*; waiting for it$")

    def test_tracker_that_goes(self) -> None:
        """A tracker that goes is waited for as well, and each time the log says so once."""
        machine = self.network.host()
        self.network.tracker_address = Address(machine.address, 9000)
        with capturedLogs() as logged:
            self.network.add_node()
            for said in (1, 2, 3):
                self.network.run(30)
                self.assertEqual(len(warnings(logged)), said)
                tracker = self.tracker(machine)
                self.network.run(30)
                self.network.kill(tracker)

    def tracker(self, machine: Host) -> Node:
        """Start the tracker."""
        address, self.network.tracker_address = self.network.tracker_address, None
        tracker = self.network.add_node(Tracker(), host=machine, port=9000, max_links=1000)
        self.network.tracker_address = address
        return tracker


class TrackerLossTests(SynchronousTestCase):
    """The tracker holds soft state."""

    def setUp(self) -> None:
        """Six nodes on one tracker."""
        self.network = SimulatedNetwork()
        self.machine = self.network.host()
        self.tracker = self.network.add_node(Tracker(), host=self.machine, port=9000, max_links=1000)
        self.network.tracker_address = Address(self.machine.address, 9000)
        self.nodes = [self.network.add_node() for _ in range(6)]
        self.network.run(20)

    def test_links_stay(self) -> None:
        """Without it the nodes stay linked."""
        before = [sorted(peer.id for peer in node.peers()) for node in self.nodes]
        self.network.kill(self.tracker)
        self.network.run(100)
        self.assertEqual([sorted(peer.id for peer in node.peers()) for node in self.nodes], before)

    def test_lost_links_are_replaced_without_it(self) -> None:
        """While it is away, addresses heard of before are tried."""
        self.network.kill(self.tracker)
        self.network.run(1)
        gone, *left = self.nodes
        self.network.kill(gone)
        for node in left:
            for link in list(node._linked.values())[1:]:
                link.abort()
        self.network.run(60)
        self.assertTrue(all(len(node.peers()) >= 2 for node in left), [len(n.peers()) for n in left])
        linked = {node.id: {peer.id for peer in node.peers()} for node in left}
        reached = {left[0].id}
        for _ in left:
            reached |= {id for each in reached for id in linked[each]}
        self.assertEqual(reached, set(linked))

    def test_the_same_after_a_long_time(self) -> None:
        """Addresses of those who were linked for long are known too."""
        self.network.kill(self.tracker)
        self.network.run(700)
        for node in self.nodes:
            for link in list(node._linked.values()):
                link.abort()
        self.network.run(60)
        self.assertTrue(all(node.peers() for node in self.nodes), [len(n.peers()) for n in self.nodes])

    def test_knows_its_nodes_again(self) -> None:
        """A tracker that lost its memory knows all nodes under their old ids within 30 s."""
        before = [node.id for node in self.nodes]
        self.network.kill(self.tracker)
        self.network.run(45)
        self.network.tracker_address = None
        again = self.network.add_node(Tracker(), host=self.machine, port=9000, max_links=1000)
        self.network.run(30)
        self.assertEqual([node.id for node in self.nodes], before)
        self.assertEqual(sorted(peer.id for peer in again.peers()), sorted(before))


class RefusedTests(SynchronousTestCase):
    """A node that looks for others knows only one, and that one is full."""

    def setUp(self) -> None:
        """Let it look for 15 s; two tries come to that."""
        self.network = SimulatedNetwork()
        self.tracker = self.network.add_tracker(Tracker())
        self.full = self.network.add_node(max_links=1, min_links=0)
        self.network.run_until(lambda: self.full.id > 0)
        raw_peer.link(self.network, self.full, 71)
        self.machine = watched_host(self.network)
        self.node = self.network.add_node(host=self.machine)
        self.network.run(15)

    def tries(self) -> list[float]:
        """When it tried to be linked to the full node."""
        return self.machine.times_to(self.network.where(self.full))

    def test_the_tracker_is_told(self) -> None:
        """Who refused is named to the tracker as not wanted, for 20 s."""
        self.network.run(10)
        asked = [m.have for sender, _, m in self.network.traffic if sender == self.node.id and m.wire_name == "nodereq"]
        alone, refused = (self.node.id,), (self.node.id, self.full.id)
        self.assertEqual((asked[0], asked[1:-1]), (alone, [refused] * (len(asked) - 2)))
        self.assertGreater(len(asked), 4)

    def test_not_at_once(self) -> None:
        """Whether the tracker is there or away, who refused is tried again, and never within 20 s."""
        self.network.kill(self.tracker)
        self.network.run(150)
        tries = self.tries()
        self.assertGreater(len(tries), 3)
        self.assertGreaterEqual(min(after - before for before, after in pairwise(tries)), 20.0)


class ApartTests(SynchronousTestCase):
    """Nodes that are started together."""

    def test_tries(self) -> None:
        """Nodes that wait for the same tracker try it at different times: it is not to be run over."""
        network = SimulatedNetwork()
        network.tracker_address = Address(network.host().address, 9000)
        machines = [watched_host(network) for _ in range(2)]
        for machine in machines:
            network.add_node(host=machine)
        network.run(30)
        times = [{time for time, _, _ in machine.dials} for machine in machines]
        self.assertEqual(times[0] & times[1], {0.0})
        self.assertGreater(min(map(len, times)), 5)


class NeighbourTests(SynchronousTestCase):
    """A node is to stay linked to a neighbour that its user named."""

    def setUp(self) -> None:
        """Let five others look for nobody, and the neighbour be away."""
        self.network = SimulatedNetwork()
        self.network.add_tracker(Tracker())
        for _ in range(5):
            self.network.add_node(min_links=0)
        self.machine = self.network.host()
        away = self.come()
        self.network.run(1)
        self.network.kill(away)
        self.node = self.network.add_node(near=[away], min_links=3, max_links=3)

    def come(self) -> Node:
        """Let the neighbour come."""
        return self.network.add_node(host=self.machine, port=4711, min_links=0)

    def linked(self) -> list[int]:
        """Who is linked to the node."""
        return [peer.id for peer in self.node.peers()]

    def test_slot(self) -> None:
        """While the neighbour is missing a slot is kept for it."""
        self.network.run(30)
        self.assertEqual(len(self.linked()), 2)
        neighbour = self.come()
        self.network.run(30)
        self.assertIn(neighbour.id, self.linked())
        self.assertEqual(len(self.linked()), 3)

    def test_comes_back(self) -> None:
        """A neighbour that goes again is linked again, and its slot is kept until then."""
        neighbour = self.come()
        self.network.run(30)
        self.network.kill(neighbour)
        self.network.run(30)
        self.assertEqual(len(self.linked()), 2)
        neighbour = self.come()
        self.network.run(30)
        self.assertIn(neighbour.id, self.linked())
