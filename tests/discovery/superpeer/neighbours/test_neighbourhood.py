"""Promises of neighbours among many real nodes: they find each other, heal, and stay even over ways that lose much."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from itertools import pairwise

from twisted.internet.defer import Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.discovery.superpeer.messages import SuperHello, Table
from twisted_bazaar.discovery.superpeer.neighbours.neighbour import Entry, Standing
from twisted_bazaar.discovery.superpeer.neighbours.neighbours import Neighbours
from twisted_bazaar.discovery.superpeer.qrp.tables import OwnTable, hash_of
from twisted_bazaar.interfaces import DatagramReceivers, INode
from twisted_bazaar.node.node import Node
from twisted_bazaar.role import Role
from twisted_bazaar.roles.tracker import Tracker
from twisted_bazaar.sim.engine.network_conditions import Conditions
from twisted_bazaar.testing import SimulatedNetwork
from twisted_bazaar.values.addresses import Address

PORT = 9200
ROUGH = Conditions(latency_s=0.03, loss=0.1, duplication=0.1, reordering=0.2)


class Among(Role):
    """A super peer that has neighbours, one word, and nothing else to do."""

    is_self_numbered = True

    kind = "super_peer"

    def __init__(self, given: Sequence[Address] = (), degree: int = 4, word: str = "apple") -> None:
        self.given = given
        self.degree = degree
        self.word = word
        self.datagrams: DatagramReceivers = {
            SuperHello: lambda *received: self.neighbours.hello_received(*received),
            Table: lambda *received: self.neighbours.table_received(*received),
        }

    def start(self, node: INode) -> None:
        """Look for neighbours."""
        super().start(node)
        table = OwnTable(node.rng.randint(1, 2**48))
        table.add([f"w:{self.word}"])
        self.neighbours = Neighbours(node, table, lambda: Standing(0, 9, PORT), lambda: None, degree=self.degree)
        self.neighbours.start(self.given)

    def stop(self) -> Deferred[None]:
        """Leave."""
        self.neighbours.stop()
        return succeed(None)

    @property
    def linked(self) -> set[str]:
        """The hosts of its neighbours."""
        return {address.host for address in self.neighbours.linked}


class NeighbourhoodTestCase(SynchronousTestCase):
    """Super peers on simulated machines."""

    def setUp(self) -> None:
        """Have a network, which is empty in the end."""
        self.network = SimulatedNetwork()
        self.members: dict[str, Among] = {}
        self.nodes: dict[str, Node] = {}
        self.addCleanup(self.assert_nothing_left)

    def assert_nothing_left(self) -> None:
        """All stop, and leave no timer and no socket."""
        self.network.stop_all()
        self.assertEqual(self.network.left(), [])

    def add(self, number: int, given: Sequence[int] = (), degree: int = 4) -> Among:
        """Start a super peer on a machine of its own."""
        host = f"10.1.0.{number}"
        member = Among([Address(f"10.1.0.{each}", PORT) for each in given], degree, f"word{number}")
        self.nodes[host] = self.network.add_node(member, port=PORT, host=self.network.host(host), udp=True)
        self.members[host] = member
        return member

    def is_even(self) -> bool:
        """Whether who has a neighbour is one of it, and knows its word, and no word that it has not."""
        return all(
            host in self.members[address.host].linked
            and neighbour.may_have([hash_of(f"w:{self.members[address.host].word}")])
            and not neighbour.may_have([hash_of("w:nothing")])
            for host, member in self.members.items()
            for address, neighbour in member.neighbours.linked.items()
        )

    def until_even(self, *conditions: Callable[[], bool], most_s: float = 30.0) -> None:
        """Let time pass until all is even."""
        self.network.run_until(lambda: self.is_even() and all(each() for each in conditions), most_s)


class GivenTests(NeighbourhoodTestCase):
    """Super peers given each other by hand, without a tracker."""

    def has_edges(self, edges: set[tuple[int, int]]) -> bool:
        """Whether these are the neighbours that there are."""
        there = {
            (int(host.rsplit(".")[-1]), int(other.rsplit(".")[-1]))
            for host, member in self.members.items()
            for other in member.linked
        }
        return there == edges | {(b, a) for a, b in edges}

    def test_graph(self) -> None:
        """Neighbours are exactly those that were given, on one side or both, in loops, over the worst of ways."""
        self.network.network.ways.usual = ROUGH
        rng = random.Random(1)
        edges = {(a, b) for a, b in pairwise(range(1, 21))} | {(1, 20)}
        while len(edges) < 50:
            a, b = sorted(rng.sample(range(1, 21), 2))
            edges.add((a, b))
        both = set(rng.sample(sorted(edges), 20))
        for number in range(1, 21):
            given = [b for a, b in sorted(edges) if a == number] + [a for a, b in sorted(both) if b == number]
            self.add(number, [*given, number])
        self.until_even(lambda: self.has_edges(edges))
        # What is even stays so, but for neighbours of whom three greetings in a row were lost.
        for _ in range(12):
            self.network.run(5)
            self.until_even(lambda: self.has_edges(edges), most_s=15)

    def test_death(self) -> None:
        """Who loses its power is gone within 8 s everywhere; when it is back, so are all its neighbours."""
        for number in range(1, 7):
            self.add(number, [each for each in range(1, 7) if each < number])
        self.until_even(lambda: all(len(member.linked) == 5 for member in self.members.values()))
        host = self.network.host("10.1.0.3")
        self.network.crash(self.nodes["10.1.0.3"])
        del self.members["10.1.0.3"]
        self.network.run(8)
        self.assertEqual({len(member.linked) for member in self.members.values()}, {4})
        host.power_up()
        self.add(3, [1, 2])
        self.until_even(lambda: all(len(member.linked) == 5 for member in self.members.values()), most_s=60)

    def test_killed_and_back_at_once(self) -> None:
        """Who dies and comes back before its silence was noticed is told everything, and tells everything."""
        for number in range(1, 5):
            self.add(number, [each for each in range(1, 5) if each < number])
        self.until_even(lambda: len(self.members["10.1.0.1"].linked) == 3)
        key = self.nodes["10.1.0.1"].key
        self.network.kill(self.nodes["10.1.0.1"])
        self.network.run(1)
        back = Among((), 4, "another")
        self.members["10.1.0.1"] = back
        self.network.add_node(back, port=PORT, host=self.network.host("10.1.0.1"), udp=True, key=key)
        self.until_even(lambda: len(back.linked) == 3, most_s=8)

    def test_leaving(self) -> None:
        """Who leaves politely is gone everywhere at once."""
        for number in range(1, 5):
            self.add(number, [each for each in range(1, 5) if each < number])
        self.until_even(lambda: len(self.members["10.1.0.1"].linked) == 3)
        self.network.stop(self.nodes["10.1.0.1"])
        del self.members["10.1.0.1"]
        self.network.run(0.5)
        self.assertEqual({len(member.linked) for member in self.members.values()}, {2})

    def test_cut(self) -> None:
        """When a network was cut in two for a minute, all neighbours find each other again."""
        for number in range(1, 7):
            self.add(number, [each for each in range(1, 7) if each < number])
        all_linked = [lambda: all(len(member.linked) == 5 for member in self.members.values())]
        self.until_even(*all_linked)
        cut = self.network.network.ways.cut(["10.1.0.1", "10.1.0.2", "10.1.0.3"])
        self.network.run(60)
        self.assertEqual({len(member.linked) for member in self.members.values()}, {2})
        self.network.network.ways.heal(cut)
        self.until_even(*all_linked, most_s=60)


class FoundTests(NeighbourhoodTestCase):
    """Super peers that find each other through a tracker."""

    def setUp(self) -> None:
        """Have a tracker too."""
        super().setUp()
        self.tracker = self.network.add_tracker(Tracker())

    def test_find_each_other(self) -> None:
        """Each has as many neighbours as it wants, half of them chosen, and all are one network."""
        for number in range(1, 21):
            self.add(number)
        self.until_even(lambda: all(len(member.linked) >= 4 for member in self.members.values()), most_s=60)
        for member in self.members.values():
            chosen = [each for each in member.neighbours.linked.values() if each.entry is Entry.FOUND]
            self.assertGreaterEqual(len(chosen), 2)
            self.assertLessEqual(len(member.linked), 16)
        reached = {"10.1.0.1"}
        while any(not self.members[host].linked <= reached for host in reached):
            reached |= {other for host in list(reached) for other in self.members[host].linked}
        self.assertEqual(reached, set(self.members))

    def test_replaced(self) -> None:
        """In the place of those who died others are found, and the dead are not asked for all the time."""
        for number in range(1, 13):
            self.add(number)
        self.until_even(lambda: all(len(member.linked) >= 4 for member in self.members.values()), most_s=60)
        for number in range(1, 7):
            self.network.crash(self.nodes[f"10.1.0.{number}"])
            del self.members[f"10.1.0.{number}"]
        self.network.run(8)
        self.until_even(lambda: all(len(member.linked) >= 4 for member in self.members.values()), most_s=120)

    def test_without_tracker(self) -> None:
        """When the tracker is gone neighbours stay, and find those again who were out of reach for a while."""
        for number in range(1, 4):
            self.add(number)
        all_linked = [lambda: all(len(member.linked) == 2 for member in self.members.values())]
        self.until_even(*all_linked, most_s=60)
        self.network.kill(self.tracker)
        self.network.run(30)
        self.assertTrue(self.is_even() and all_linked[0]())
        cut = self.network.network.ways.cut(["10.1.0.1"])
        self.network.run(30)
        self.assertEqual(self.members["10.1.0.1"].linked, set())
        self.network.network.ways.heal(cut)
        self.until_even(*all_linked, most_s=60)
