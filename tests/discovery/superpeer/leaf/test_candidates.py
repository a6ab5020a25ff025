"""Which super peer a weak peer tries next."""

from __future__ import annotations

import random

from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.discovery.superpeer.leaf.candidates import (
    KNOWN_S,
    LONGEST_WAIT_ALONE_S,
    LONGEST_WAIT_S,
    MOST_KNOWN,
    Candidate,
    Candidates,
)
from twisted_bazaar.values.addresses import Address


def address(number: int) -> Address:
    """Where a super peer is."""
    return Address(f"10.0.{number // 250}.{number % 250 + 1}", 9200)


class CandidatesTests(SynchronousTestCase):
    """One weak peer that was given two addresses."""

    def setUp(self) -> None:
        """Nobody has been tried."""
        self.now = 0.0
        self.candidates = Candidates(random.Random(1), ["a", "b"])

    def next(self, *taken: int, is_alone: bool = True) -> Candidate | None:
        """The next one."""
        return self.candidates.next(self.now, taken, is_alone=is_alone)

    def drain(self, *taken: int) -> set[object]:
        """All that would be tried now."""
        tried = []
        while (candidate := self.next(*taken)) is not None:
            tried.append(candidate)
        for candidate in tried:
            self.candidates.not_needed(candidate)
        return {candidate.where for candidate in tried}

    def learn(self, number: int, node_id: int | None = None, is_full: bool = False, owner: object = "x") -> None:
        """Have one named."""
        self.candidates.add(address(number), node_id or 100 + number, is_full, repr(owner), self.now)

    def test_each_once(self) -> None:
        """Each is tried once at a time; not everybody begins with the same."""
        self.assertEqual(self.drain(), {"a", "b"})
        firsts = set()
        for seed in range(10):
            first = Candidates(random.Random(seed), ["a", "b"]).next(0.0, (), is_alone=True)
            assert first is not None
            firsts.add(first.where)
        self.assertEqual(firsts, {"a", "b"})

    def test_failed(self) -> None:
        """One that failed is left alone for a while, each time longer, and the others come first."""
        for most_s in (LONGEST_WAIT_S, LONGEST_WAIT_ALONE_S):
            is_alone = most_s == LONGEST_WAIT_ALONE_S
            self.candidates = Candidates(random.Random(1), ["a"])
            waits = []
            for _ in range(20):
                candidate = self.next(is_alone=is_alone)
                assert candidate is not None
                self.candidates.dial_failed(candidate, self.now)
                self.assertIsNone(self.next(is_alone=is_alone))
                wait_s = self.candidates.ready_in(self.now, (), is_alone=is_alone)
                assert wait_s is not None
                waits.append(wait_s)
                self.now += wait_s + 0.001
            self.assertTrue(0.7 < waits[0] < 1.3, waits)
            self.assertTrue(0.7 * most_s < waits[-1] < 1.3 * most_s, waits)

    def test_two_addresses(self) -> None:
        """One that is known by two addresses and has no room is left alone at both, also by one who has no other."""
        self.candidates = Candidates(random.Random(1), ["a"])
        self.learn(1, node_id=7)
        full = self.next()
        assert full is not None
        full.id, full.is_full = 7, True
        if full.where != "a":
            given = self.next()
            assert given is not None
            given.id = 7
            self.candidates.not_needed(given)
        self.candidates.dial_failed(full, self.now)
        self.assertEqual(self.drain(), set())

    def test_other_first(self) -> None:
        """Of several, those that have not failed come first, and of these those with room."""
        first = self.next()
        assert first is not None
        self.candidates.dial_failed(first, self.now)
        self.now += 10
        self.learn(1, is_full=True)
        order = [candidate.where for candidate in iter(self.next, None)]
        self.assertEqual(order, [({"a", "b"} - {first.where}).pop(), address(1), first.where])

    def test_named(self) -> None:
        """Those that are named are tried too, but not those that have taken the node, by whatever address."""
        self.learn(1)
        self.learn(2)
        self.assertEqual(self.drain(102), {"a", "b", address(1)})
        candidate = self.next()
        while candidate is not None and candidate.where != "a":
            candidate = self.next()
        assert candidate is not None
        self.candidates.accepted(candidate, 101)
        self.assertNotIn(address(1), self.drain(101))

    def test_given_and_named(self) -> None:
        """One that is given and named is one."""
        self.candidates = Candidates(random.Random(1), [address(1)])
        self.learn(1)
        self.assertEqual(self.drain(), {address(1)})
        self.assertEqual(self.drain(101), set())

    def test_another_node(self) -> None:
        """Where another node is named, what the one before did counts no more."""
        self.candidates = Candidates(random.Random(1), [])
        self.learn(1)
        candidate = self.next()
        assert candidate is not None
        self.candidates.dial_failed(candidate, self.now)
        self.assertIsNone(self.next())
        self.learn(1)
        self.assertIsNone(self.next())
        self.learn(1, node_id=555)
        self.assertEqual(self.drain(), {address(1)})

    def test_many_named(self) -> None:
        """Who names very many pushes out none that others have named, and the table has an end."""
        self.learn(1, owner="other")
        for number in range(2, 500):
            self.learn(number, owner="one")
        tried = self.drain()
        self.assertIn(address(1), tried)
        self.assertEqual(len(tried), 2 + 1 + MOST_KNOWN // 4)
        for number in range(500, 2000):
            self.learn(number, owner=number)
        self.assertEqual(len(self.drain()), 2 + MOST_KNOWN)

    def test_forgotten(self) -> None:
        """What was given is never forgotten, what was named once is after a day."""
        self.learn(1)
        self.now += KNOWN_S
        self.assertEqual(self.drain(), {"a", "b"})

    def test_lost(self) -> None:
        """One that is lost after a long time is tried again soon; one that takes and drops, later and later."""
        for lasted_s, grows in ((60.0, False), (1.0, True)):
            self.candidates = Candidates(random.Random(1), ["a"])
            waits = []
            for _ in range(8):
                candidate = self.next(is_alone=False)
                assert candidate is not None
                self.candidates.accepted(candidate, 7)
                self.now += lasted_s
                self.candidates.registration_lost(candidate, lasted_s, self.now)
                waits.append(self.candidates.ready_in(self.now, (), is_alone=False) or 0.0)
                self.now += waits[-1] + 0.001
            self.assertEqual(waits[-1] > 10, grows, waits)

    def test_none_known(self) -> None:
        """Who knows nobody has nothing to wait for."""
        self.candidates = Candidates(random.Random(1), [])
        self.assertIsNone(self.next())
        self.assertIsNone(self.candidates.ready_in(self.now, (), is_alone=True))
