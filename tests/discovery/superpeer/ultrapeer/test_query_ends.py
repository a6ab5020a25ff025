"""Ends of queries: a search is over when all have answered, and not before, in networks with loops and any delays."""

from __future__ import annotations

import heapq
import random
from typing import Final

from attrs import Factory, define
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests import examples
from tests.discovery.superpeer.graphs import graphs
from twisted_bazaar.discovery.superpeer.messages import QueryEnd
from twisted_bazaar.discovery.superpeer.ultrapeer.query_ends import LIFETIME_S, QueryEnds
from twisted_bazaar.discovery.superpeer.ultrapeer.reverse_paths import Arrival, ReversePaths
from twisted_bazaar.values.addresses import Address

ID: Final = f"{1:032x}"
ORIGIN: Final = 0
LOOKED: Final = "looked"
HIT: Final = "hit"

What = tuple[int, int] | QueryEnd | str


def at(number: int) -> Address:
    """Where a super peer takes datagrams."""
    return Address("10.0.0.1", number)


@define
class Flood:
    """Super peers that pass on one query, its hits and its ends, each datagram with a delay of its own."""

    links: dict[int, set[int]]
    rng: random.Random
    lost: float = 0.0
    paths: dict[int, ReversePaths] = Factory(dict)
    ends: dict[int, QueryEnds] = Factory(dict)
    under_way: list[tuple[float, int, int, int, What]] = Factory(list)
    sent: int = 0
    answered: set[int] = Factory(set)
    heard: int = 0
    now: float = 0.0

    def send(self, sender: int, receiver: int, what: What) -> None:
        self.sent += 1
        if sender == receiver or self.rng.random() >= self.lost:
            arrives_at = self.now + self.rng.uniform(0.0, 0.5)
            heapq.heappush(self.under_way, (arrives_at, self.sent, receiver, sender, what))

    def ask(self, reach: int) -> bool:
        """Begin a round, and go on until it is over; returns whether that was said."""
        self.paths.setdefault(ORIGIN, ReversePaths()).query_received(ID, None, 0, reach, self.now)
        ends = self.ends.setdefault(ORIGIN, QueryEnds())
        ends.passed_on(ID, None, 0, reach, map(at, self.links[ORIGIN]), self.now)
        for neighbour in sorted(self.links[ORIGIN]):
            self.send(ORIGIN, neighbour, (0, reach))
        while not ends.is_over(ID, self.now):
            if not self.under_way:
                return False
            self.step()
        return True

    def step(self) -> None:
        """Let the next datagram arrive."""
        self.now, _, node, sender, what = heapq.heappop(self.under_way)
        ends = self.ends.setdefault(node, QueryEnds())
        if isinstance(what, QueryEnd):
            self.tell(node, ends.end_received(what, at(sender), self.now))
        elif what == LOOKED:
            self.answered.add(node)
            self.send_back(node)
            self.tell(node, ends.looked(ID, self.now))
        elif what == HIT:
            if node == ORIGIN:
                self.heard += 1
            else:
                self.send_back(node)
            self.tell(node, ends.hit_received(ID, at(sender), self.now))
        else:
            assert isinstance(what, tuple)
            self.take_query(node, sender, *what)

    def take_query(self, node: int, sender: int, hops: int, reach: int) -> None:
        paths, ends = self.paths.setdefault(node, ReversePaths()), self.ends[node]
        arrival = paths.query_received(ID, at(sender), hops, reach, self.now)
        if arrival is not Arrival.AGAIN:
            depth = paths.hops(ID, self.now)
            passed = {*paths.next_hops(ID, self.now), *([] if hops > depth else [at(sender)])}
            to = [each for each in sorted(self.links[node]) if reach > depth and at(each) not in passed]
            ends.passed_on(ID, at(sender), depth, reach, map(at, to), self.now, is_looking=arrival is Arrival.NEW)
            for neighbour in to:
                self.send(node, neighbour, (depth, reach))
            if arrival is Arrival.NEW:
                self.send(node, node, LOOKED)
        self.tell(node, ends.copy_received(ID, at(sender), hops, self.now))

    def send_back(self, node: int) -> None:
        way = self.paths[node].next_hop(ID, lambda address: True, self.now)
        assert way is not None
        self.ends[node].hits_sent(ID, way, 1, self.now)
        self.send(node, way.port, HIT)

    def tell(self, node: int, askers: object) -> None:
        assert isinstance(askers, list | tuple)
        for asker in askers:
            self.send(node, asker.port, self.ends[node].end_for(ID, asker, self.now))


rounds = st.lists(st.integers(1, 6), min_size=1, max_size=4, unique=True).map(sorted)


class EndsTests(SynchronousTestCase):
    """Whole networks."""

    @examples(500)
    @given(graphs(), rounds, st.integers(0, 2**32))
    def test_over(self, links: dict[int, set[int]], reaches: list[int], seed: int) -> None:
        """Each round is said to be over, and then all have answered that were asked, and all hits are there."""
        flood = Flood(links, random.Random(seed))
        for reach in reaches:
            self.assertTrue(flood.ask(reach))
            self.assertEqual(flood.heard, len(flood.answered))
        heard = flood.heard
        while flood.under_way:
            flood.step()
        self.assertEqual(flood.heard, heard)

    @given(graphs(), rounds, st.integers(0, 2**32))
    def test_loss(self, links: dict[int, set[int]], reaches: list[int], seed: int) -> None:
        """Where datagrams get lost no round is over while a hit is on its way."""
        flood = Flood(links, random.Random(seed), lost=0.1)
        for reach in reaches:
            is_over = flood.ask(reach)
        heard = flood.heard
        while is_over and flood.under_way:
            flood.step()
        self.assertEqual(flood.heard, heard)


class OneTests(SynchronousTestCase):
    """One super peer, two links from who has asked."""

    def setUp(self) -> None:
        """Let it pass on a query from 1, on the way to 2 and 3."""
        self.ends = QueryEnds()
        self.ends.passed_on(ID, at(1), 2, 5, [at(2), at(3)], 0.0)
        self.assertEqual(self.ends.copy_received(ID, at(1), 1, 0.0), ())

    def end(self, number: int, parts: int = 0, reach: int = 5) -> list[Address]:
        """Let a neighbour say that it is over."""
        return list(self.ends.end_received(QueryEnd(id=ID, reach=reach, parts=parts), at(number), 1.0))

    def test_all(self) -> None:
        """Who has asked is told once all have ended it, once, with how many parts of hits it was sent."""
        self.assertEqual((self.end(2), self.end(2)), ([], []))
        self.ends.hits_sent(ID, at(1), 3, 1.0)
        self.assertEqual((self.end(3), self.end(3)), ([at(1)], []))
        self.assertEqual(self.ends.end_for(ID, at(1), 1.0), QueryEnd(id=ID, reach=5, parts=3))

    def test_overtaken(self) -> None:
        """An end that has overtaken hits counts when they are there."""
        self.assertEqual((self.end(2), self.end(3, parts=2)), ([], []))
        self.assertEqual(self.ends.hit_received(ID, at(3), 1.0), ())
        self.assertEqual(list(self.ends.hit_received(ID, at(3), 1.0)), [at(1)])

    def test_copies(self) -> None:
        """A copy from as deep is an answer; one from deeper is none; who was not asked is answered at once."""
        self.assertEqual(self.ends.copy_received(ID, at(3), 3, 1.0), ())
        self.assertEqual((self.end(2), self.ends.is_over(ID, 1.0)), ([], False))
        self.assertEqual(list(self.ends.copy_received(ID, at(9), 3, 1.0)), [at(9)])
        self.assertEqual(list(self.ends.copy_received(ID, at(3), 2, 1.0)), [at(1)])

    def test_earlier_round(self) -> None:
        """The end of an earlier round, of another query, or from who was not asked says nothing."""
        self.assertEqual((self.end(2, reach=4), self.end(9), self.end(3)), ([], [], []))
        self.assertEqual(self.ends.end_received(QueryEnd(id=f"{2:032x}", reach=5), at(2), 1.0), ())
        self.assertEqual(self.end(2), [at(1)])

    def test_forgotten(self) -> None:
        """After a search's time nothing is known of it, and nobody is told anything."""
        late = LIFETIME_S + 1.0
        self.assertEqual(self.ends.copy_received(ID, at(9), 3, late), ())
        self.assertEqual((self.ends.looked(ID, late), self.ends.hit_received(ID, at(2), late)), ((), ()))

    def test_bounded(self) -> None:
        """However many queries there are, so many are counted, and one neighbour has its share of them."""
        ends = QueryEnds(cap=80)
        for number in range(1_000):
            ends.passed_on(f"{number:032x}", at(1), 1, 4, [at(5)], 1.0)
        self.assertEqual(len(ends), 10)
