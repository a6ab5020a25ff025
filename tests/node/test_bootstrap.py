"""Promises of joining: nodes find the tracker, each other, and both again."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import pairwise, permutations

from twisted.logger import LogEvent, LogLevel, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from tests import raw_peer
from tests.watched_host import watched_host
from twisted_bazaar.identity.keys import KeyPair
from twisted_bazaar.node.node import Node
from twisted_bazaar.roles.tracker import Tracker
from twisted_bazaar.sim.engine.hosts import Host
from twisted_bazaar.testing import SimulatedNetwork
from twisted_bazaar.values.addresses import Address
from twisted_bazaar.wire.error import Error

LOWER, GREATER = sorted((KeyPair.generate(random.Random(seed)) for seed in (1, 2)), key=lambda key: key.public)


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
        self.assertEqual(
            warning,
            f"no link to the tracker or index server at tcp:{machine.address}:9000: Connection refused; trying again, "
            "at least every 15 s",
        )

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


class SomebodyElseTests(SynchronousTestCase):
    """The tracker names node 4711 at an address where another answers."""

    def test_avoided(self) -> None:
        """Whether the tracker is there or away, it is not tried again within 20 s: each try dials a linked node."""
        network = SimulatedNetwork()
        tracker = network.add_tracker(Tracker())
        other = network.add_node(min_links=0)
        network.run_until(lambda: other.id > 0)
        host, port = network.where(other)
        gone = raw_peer.connect(network, tracker)
        gone.greet(4711, host=host, port=port)
        machine = watched_host(network)
        node = network.add_node(host=machine)
        network.run(50)
        network.kill(tracker)
        network.run(100)
        tries = machine.times_to((host, port))
        self.assertGreater(len(tries), 4)
        # The first two: to link the other node, and to find it where 4711 was said to be.
        self.assertGreaterEqual(min(after - before for before, after in pairwise(tries[1:])), 20.0)
        self.assertEqual([peer.id for peer in node.peers()], [other.id])


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

    def test_strangers(self) -> None:
        """Strangers that come to the node do not get that slot; the node's own dial to the neighbour does."""
        self.network.run(1)
        strangers = [raw_peer.link(self.network, self.node, id) for id in (71, 72, 73)]
        self.assertEqual([peer.received[-1].get("code") for peer in strangers], ["noslots"] * 3)
        neighbour = self.come()
        self.network.run(30)
        self.assertEqual((self.linked()[2:], len(self.linked())), ([neighbour.id], 3))

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


class MutualTests(SynchronousTestCase):
    """Two nodes whose users each named the other as a neighbour."""

    def begin(self, *keys: KeyPair, said: str | None = None) -> None:
        """Start both; the second comes when the first has been looking for it for a while, and dials it at once.

        @param said: the host that both say they listen at, which is not where they are dialled.
        """
        self.network = SimulatedNetwork()
        self.network.add_tracker(Tracker())
        self.machines = [watched_host(self.network) for _ in keys]
        away = self.network.add_node(host=self.machines[1], min_links=0)
        self.network.kill(away)
        first = self.network.add_node(host=self.machines[0], key=keys[0], near=[away], min_links=0)
        self.advertise(first, said)
        self.network.run(3)
        second = self.network.add_node(host=self.machines[1], key=keys[1], near=[first], min_links=0)
        self.advertise(second, said)
        self.network.run(20)
        self.nodes = [first, second]

    def advertise(self, node: Node, host: str | None) -> None:
        """Let a node say that it listens at another host, as one behind a router does."""
        if host is not None:
            node._links.advertised = (host, self.network.where(node)[1])

    def dials(self) -> list[list[float]]:
        """When each of them dialled the other."""
        others = reversed(self.nodes)
        return [m.times_to(self.network.where(other)) for m, other in zip(self.machines, others, strict=True)]

    def linked(self) -> list[list[int]]:
        """Who is linked to each of them."""
        return [[peer.id for peer in node.peers()] for node in self.nodes]

    def test_one_link(self) -> None:
        """They have one link, whoever has the greater key, and nobody dials again as long as it lasts."""
        for keys in permutations((LOWER, GREATER)):
            self.begin(*keys)
            before = self.dials()
            self.network.run(120)
            first, second = self.nodes
            self.assertEqual((self.dials(), self.linked()), (before, [[second.id], [first.id]]))
            self.assertIs(first._linked[second.id].transport.far, second._linked[first.id].transport)

    def test_advertised(self) -> None:
        """The same where they say that they listen elsewhere than where they are dialled."""
        for keys in permutations((LOWER, GREATER)):
            self.begin(*keys, said="192.0.2.9")
            before = self.dials()
            self.network.run(120)
            first, second = self.nodes
            self.assertEqual((self.dials(), self.linked()), (before, [[second.id], [first.id]]))
            self.assertEqual([node._links.peers.reserved for node in self.nodes], [0, 0])

    def test_told(self) -> None:
        """The one whose dial is refused is told that they are linked, once."""
        self.begin(LOWER, GREATER)
        _, second = self.nodes
        errors = [(sender, message) for sender, _, message in self.network.traffic if isinstance(message, Error)]
        told = Error(code="linked", info="a link is open already", hop=second.id)
        self.assertEqual(errors, [(second.id, told)])

    def test_comes_back(self) -> None:
        """When the link goes, it comes back, and there is one again."""
        for keys in permutations((LOWER, GREATER)):
            self.begin(*keys)
            first, second = self.nodes
            first._linked[second.id].abort()
            self.network.run(20)
            before = self.dials()
            self.network.run(60)
            self.assertEqual((self.dials(), self.linked()), (before, [[second.id], [first.id]]))


class RefusedAsLinkedTests(SynchronousTestCase):
    """A neighbour that dialled first refuses the node that was told to stay linked to it."""

    def test_comes_back(self) -> None:
        """When the link that the neighbour made goes, the node dials: the neighbour may not."""
        network = SimulatedNetwork()
        network.add_tracker(Tracker())
        machines = [watched_host(network) for _ in range(2)]
        away = network.add_node(host=machines[1], min_links=0)
        network.kill(away)
        node = network.add_node(host=machines[0], key=LOWER, near=[away], min_links=0)
        network.run(3)
        neighbour = network.add_node(host=machines[1], key=GREATER, min_links=0)
        network.run_until(lambda: neighbour.id > 0)
        neighbour._links.dial(Address(*network.where(node)))
        network.run(20)
        self.assertTrue(neighbour._linked[node.id].dialled)
        neighbour._linked[node.id].abort()
        network.run(20)
        self.assertFalse(neighbour._linked[node.id].dialled)
        self.assertEqual(len(machines[1].times_to(network.where(node))), 1)


class StoppedTests(SynchronousTestCase):
    """A node that stops before it has found its tracker."""

    def test_while_dialling(self) -> None:
        """It leaves no timer, port or connection behind, and does not dial again."""
        network = SimulatedNetwork()
        network.tracker_address = Address("10.9.9.9", 9000)
        machine = watched_host(network)
        node = network.add_node(host=machine)
        network.run(1)
        # Not the network's stop: it would end what the node left.
        stopping = node.stop()
        network.run(0.1)
        self.successResultOf(stopping)
        self.assertEqual(network.left(), [])
        network.run(60)
        self.assertEqual(machine.dials, [(0.0, "10.9.9.9", 9000)])
