"""The ways of queries, and of their hits back."""

from __future__ import annotations

import heapq
import random
import tracemalloc
from collections import Counter
from typing import Final

from attrs import Factory, define
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests import examples
from tests.discovery.superpeer.fakes import SuperPeerTestCase
from tests.discovery.superpeer.graphs import graphs
from tests.weighing import weighing, weight_of
from twisted_bazaar.discovery.superpeer.messages import Query
from twisted_bazaar.discovery.superpeer.ultrapeer.reverse_paths import Arrival, ReversePaths
from twisted_bazaar.values.addresses import Address

ID: Final = "0" * 32
ORIGIN: Final = 0
thorough = examples(100)


def at(number: int) -> Address:
    """Where a node takes datagrams."""
    return Address("10.0.0.1", number)


@define
class Flood:
    """Super peers that pass on one query and its hits, each datagram with a delay of its own.

    @ivar links: for each node, its neighbours.
    @ivar longest_s: how long a datagram takes at most; all take one second if it is 1.
    """

    links: dict[int, set[int]]
    rng: random.Random
    longest_s: float = 1.0
    dead: set[int] = Factory(set)
    paths: dict[int, ReversePaths] = Factory(dict)
    under_way: list[tuple[float, int, int, int, tuple[int, int] | list[int]]] = Factory(list)
    sent: Counter[tuple[int, int]] = Factory(Counter)
    answered: set[int] = Factory(set)
    hits: list[list[int]] = Factory(list)
    dropped: list[list[int]] = Factory(list)
    now: float = 0.0

    def send(self, sender: int, receiver: int, what: tuple[int, int] | list[int]) -> None:
        delay_s = 1.0 if self.longest_s == 1.0 else self.rng.uniform(0.01, self.longest_s)
        heapq.heappush(self.under_way, (self.now + delay_s, len(self.sent), receiver, sender, what))
        self.sent[sender, receiver] += isinstance(what, tuple)

    def ask(self, reach: int) -> None:
        """Begin a round, and let it come to its end."""
        self.take_query(ORIGIN, None, 0, reach)
        while self.under_way:
            self.now, _, receiver, sender, what = heapq.heappop(self.under_way)
            if receiver in self.dead:
                continue
            if isinstance(what, tuple):
                self.take_query(receiver, sender, *what)
            else:
                self.take_hit(receiver, what)

    def take_query(self, node: int, sender: int | None, hops: int, reach: int) -> None:
        paths = self.paths.setdefault(node, ReversePaths(lifetime_s=1e9))
        arrival = paths.query_received(ID, None if sender is None else at(sender), hops, reach, self.now)
        if arrival is Arrival.AGAIN:
            return
        if arrival is Arrival.NEW:
            self.answered.add(node)
            if node != ORIGIN:
                self.take_hit(node, [])
        hops = paths.hops(ID, self.now)
        if reach - hops >= 1:
            for neighbour in sorted(self.links[node] - {sender}):
                if at(neighbour) not in paths.next_hops(ID, self.now):
                    self.send(node, neighbour, (hops, reach))

    def take_hit(self, node: int, visited: list[int]) -> None:
        visited = [*visited, node]
        if node == ORIGIN:
            self.hits.append(visited)
            return
        way = self.paths[node].next_hop(ID, lambda address: address.port not in self.dead, self.now)
        if way is None:
            self.dropped.append(visited)
        else:
            self.send(node, way.port, visited)


def within(links: dict[int, set[int]], reach: int) -> set[int]:
    """Who is within reach of the origin."""
    reached = {ORIGIN}
    for _ in range(reach):
        reached |= {neighbour for node in reached for neighbour in links[node]}
    return reached


rounds = st.lists(st.integers(1, 16), min_size=1, max_size=5)


class WaysTests(SynchronousTestCase):
    """Queries and hits in networks with loops."""

    @thorough
    @given(graphs(), rounds, st.integers(0, 2**32))
    def test_hits_come_back(self, links: dict[int, set[int]], reaches: list[int], seed: int) -> None:
        """Whatever the delays, all who answer are heard, and no hit comes by a node twice."""
        flood = Flood(links, random.Random(seed), longest_s=10.0)
        for reach in reaches:
            flood.ask(reach)
        self.assertEqual(sorted(hit[0] for hit in flood.hits), sorted(flood.answered - {ORIGIN}))
        self.assertEqual((flood.dropped, [hit for hit in flood.hits if len(set(hit)) != len(hit)]), ([], []))

    @thorough
    @given(graphs(), rounds, st.integers(0, 2**32), st.data())
    def test_deaths(self, links: dict[int, set[int]], reaches: list[int], seed: int, data: st.DataObject) -> None:
        """Round those who have died hits find another way or end; none comes by a node twice."""
        flood = Flood(links, random.Random(seed), longest_s=10.0)
        for reach in reaches:
            flood.ask(reach)
            flood.dead |= data.draw(st.sets(st.sampled_from(sorted(links)[1:]), max_size=2))
            for node in sorted(flood.answered - flood.dead - {ORIGIN}):
                flood.take_hit(node, [])
        flood.ask(max(reaches))
        for hit in (*flood.hits, *flood.dropped):
            self.assertEqual(len(set(hit)), len(hit))

    @thorough
    @given(graphs(), rounds)
    def test_reach(self, links: dict[int, set[int]], reaches: list[int]) -> None:
        """Where all datagrams take equally long, exactly those within reach are asked."""
        flood = Flood(links, random.Random(1))
        for reach in reaches:
            flood.ask(reach)
        self.assertEqual(flood.answered, within(links, max(reaches)))

    @thorough
    @given(graphs(), rounds, st.integers(0, 2**32))
    def test_ends(self, links: dict[int, set[int]], reaches: list[int], seed: int) -> None:
        """A query is passed on over a link once in each round that goes farther, and no more: floods end."""
        flood = Flood(links, random.Random(seed), longest_s=10.0)
        for reach in reaches:
            flood.ask(reach)
        farther = len({max(reaches[: place + 1]) for place in range(len(reaches))})
        self.assertLessEqual(max(flood.sent.values(), default=0), farther)

    def test_around_the_dead(self) -> None:
        """When the neighbour that a query came from has died, the next who sent it takes the hits."""
        flood = Flood({0: {1, 2}, 1: {0, 3}, 2: {0, 3}, 3: {1, 2}}, random.Random(1))
        flood.ask(2)
        flood.hits.clear()
        first = flood.paths[3].next_hops(ID, flood.now)[0].port
        flood.dead.add(first)
        flood.take_hit(3, [])
        flood.ask(1)
        self.assertEqual(flood.hits, [[3, {1: 2, 2: 1}[first], 0]])
        flood.dead |= {1, 2}
        flood.take_hit(3, [])
        self.assertEqual(flood.dropped, [[3]])


class PathsTests(SynchronousTestCase):
    """What is remembered."""

    def test_arrivals(self) -> None:
        """A query is answered once, and passed on once for each greater reach."""
        paths = ReversePaths()
        arrivals = [
            paths.query_received(ID, at(sender), 1, reach, 0.0)
            for sender, reach in ((1, 2), (2, 2), (1, 2), (1, 4), (2, 4), (1, 3), (3, 5))
        ]
        new, farther, again = Arrival.NEW, Arrival.FARTHER, Arrival.AGAIN
        self.assertEqual(arrivals, [new, again, again, farther, again, again, farther])
        self.assertEqual((paths.hops(ID, 0.0), paths.hops("1" * 32, 0.0)), (2, 0))

    def test_ways(self) -> None:
        """Ways back are those by which it came over no more links than the first, and of those a few."""
        paths = ReversePaths()
        for sender, hops in ((1, 3), (2, 4), (3, 3), (4, 1), (1, 3), (5, 0), (6, 0)):
            paths.query_received(ID, at(sender), hops, 4, 0.0)
        self.assertEqual(list(paths.next_hops(ID, 0.0)), [at(1), at(3), at(4), at(5)])
        self.assertEqual(paths.hops(ID, 0.0), 4, "who lies about it later does not change the way")
        self.assertEqual(paths.next_hop(ID, lambda address: address.port > 3, 0.0), at(4))
        self.assertIsNone(paths.next_hop(ID, lambda address: False, 0.0))
        self.assertIsNone(paths.next_hop("1" * 32, lambda address: True, 0.0))

    def test_own(self) -> None:
        """A search of this super peer's own weak peers goes out from here, and comes back to nobody."""
        paths = ReversePaths()
        self.assertIs(paths.query_received(ID, None, 0, 2, 0.0), Arrival.NEW)
        self.assertIs(paths.query_received(ID, at(1), 0, 2, 0.0), Arrival.AGAIN)
        self.assertIs(paths.query_received(ID, at(1), 0, 16, 0.0), Arrival.AGAIN, "somebody plays with it")
        self.assertEqual((paths.hops(ID, 0.0), list(paths.next_hops(ID, 0.0))), (0, []))
        self.assertIs(paths.query_received(ID, None, 0, 3, 0.0), Arrival.FARTHER)

    def test_forgotten(self) -> None:
        """A query is forgotten when its time is over."""
        paths = ReversePaths(lifetime_s=60.0)
        paths.query_received(ID, at(1), 0, 4, 0.0)
        self.assertIsNone(paths.next_hop(ID, lambda address: True, 60.0))
        self.assertFalse(paths.admit_hits(ID, at(2), 60.0))
        self.assertIs(paths.query_received(ID, at(1), 0, 4, 60.0), Arrival.NEW)

    def test_flood(self) -> None:
        """Whoever makes up queries pushes out its own; those of others and of this super peer stay."""
        paths = ReversePaths(cap=800)
        paths.query_received(f"{1:032x}", at(1), 0, 4, 0.0)
        paths.query_received(f"{2:032x}", None, 0, 4, 0.0)
        for number in range(3, 5_000):
            paths.query_received(f"{number:032x}", at(2), 0, 4, 0.0)
        self.assertEqual(len(paths), 102)
        self.assertEqual(paths.next_hop(f"{1:032x}", lambda address: True, 0.0), at(1))
        self.assertIs(paths.query_received(f"{2:032x}", at(1), 0, 4, 0.0), Arrival.AGAIN)

    def test_cap(self) -> None:
        """It never holds more than its cap, however many neighbours there are."""
        paths = ReversePaths(cap=800)
        for number in range(5_000):
            paths.query_received(f"{number:032x}", at(number % 50), 0, 4, 0.0)
        self.assertLessEqual(len(paths), 800)

    def test_hits(self) -> None:
        """Of one neighbour so many parts of hits for one query are taken; others' are not touched by that."""
        paths = ReversePaths(most_hits=3)
        paths.query_received(ID, at(1), 0, 4, 0.0)
        self.assertEqual([paths.admit_hits(ID, at(2), 0.0) for _ in range(5)], [True] * 3 + [False] * 2)
        self.assertTrue(paths.admit_hits(ID, at(3), 0.0))
        self.assertFalse(paths.admit_hits("1" * 32, at(3), 0.0))

    def test_counts_are_bounded(self) -> None:
        """However many neighbours bring hits for however many queries, what is counted of that takes little memory."""
        ids, neighbours = [f"{number:032x}" for number in range(1_000)], [at(number) for number in range(1, 65)]
        paths = ReversePaths(most_counted=500)
        for query_id in ids:
            paths.query_received(query_id, neighbours[0], 0, 4, 0.0)
        with weighing():
            before, _ = tracemalloc.get_traced_memory()
            for query_id in ids:
                for neighbour in neighbours:
                    paths.admit_hits(query_id, neighbour, 0.0)
            after, _ = tracemalloc.get_traced_memory()
        self.assertLess(after - before, 500 * 1_024)

    def test_weight(self) -> None:
        """What is remembered of a query is little, though it came by as many ways as are kept."""
        neighbours = [at(number) for number in range(4)]

        def filled(ways: int) -> ReversePaths:
            paths = ReversePaths(cap=2_000, shares=1)
            for number in range(2_000):
                for neighbour in neighbours[:ways]:
                    paths.query_received(f"{number:032x}", neighbour, 0, 4, 0.0)
                paths.admit_hits(f"{number:032x}", neighbours[0], 0.0)
            return paths

        for ways, most in ((1, 750), (4, 850)):
            self.assertLess(weight_of(lambda ways=ways: filled(ways)) / 2_000, most)


class PassingTests(SuperPeerTestCase):
    """What comes from neighbours is remembered under the address that each of them has anyway."""

    def test_addresses_are_shared(self) -> None:
        """With a query no address is kept that its datagram brought along."""
        address = self.neighbour(1)
        self.hear_from(1, Query(id=ID, words="film", ttl=1, hops=0))
        [own] = [each for each in self.role.neighbours.linked if each == address]
        [way] = self.role.searches.paths.next_hops(ID, self.node.clock.seconds())
        self.assertIs(way, own)
