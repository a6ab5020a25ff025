"""Promises of the ids that a registrar hands out."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.weighing import weight_of
from twisted_bazaar.roles.node_ids import NodeIds
from twisted_bazaar.values.addresses import Address, Peer
from twisted_bazaar.wire.message import NO_ID


def peer(id: int, key: str, port: int = 4000) -> Peer:
    """A node that has an id."""
    return Peer(id, key, Address("10.0.0.1", port))


class NodeIdsTests(SynchronousTestCase):
    """Ids, and whose they are."""

    def setUp(self) -> None:
        """Nobody is there."""
        self.numbers = NodeIds(random.Random(1))

    def join(self, key: str, claimed: int = NO_ID, now: float = 0.0, port: int = 4000) -> Peer:
        """Let a node be linked; returns it with its id."""
        joined = peer(self.numbers.assign_id(key, claimed, now), key, port)
        self.numbers.id_taken(joined, 0.0)
        return joined

    def test_charged_to_where_links_come_from(self) -> None:
        """Who says that each of its nodes is on another host pushes out its own ids, and not those of others."""
        honest = self.join("honest")
        self.numbers.id_freed(honest, 1.0)
        for number in range(20_000):
            liar = Peer(
                100 + number, f"{number}", Address(f"10.1.{number >> 8}.{number & 255}", 1), seen_host="10.9.9.9"
            )
            self.numbers.id_taken(liar, 0.0)
            self.numbers.id_freed(liar, 2.0)
        self.assertEqual(self.numbers.assign_id("honest", NO_ID, 3.0), honest.id)

    def test_coming_and_going(self) -> None:
        """Whoever comes and goes under ever other ids, or keys, leaves little behind, and keeps its last id."""

        def filled() -> NodeIds:
            numbers = NodeIds(random.Random(1))
            for number in range(2_000):
                for each in (peer(1 + number, "restless"), peer(10_000 + number, f"{number % 10}")):
                    numbers.id_taken(each, 0.0)
                    numbers.id_freed(each, float(number))
            self.assertEqual(numbers.assign_id("restless", NO_ID, 2_000.0), 2_000)
            self.assertNotEqual(numbers.assign_id("another", 2_000, 2_000.0), 2_000)
            self.assertEqual(numbers.assign_id("another", 1_999, 2_000.0), 1_999, "it was left for another id")
            return numbers

        self.assertLess(weight_of(filled), 30_000)

    def test_remembered(self) -> None:
        """A node has the same id while it is there, and when it comes back within an hour."""
        first = self.join("a")
        self.assertEqual(self.numbers.assign_id("a", NO_ID, 1.0), first.id)
        self.numbers.id_freed(first, 2.0)
        self.assertEqual(self.numbers.assign_id("a", 4711, 3000.0), first.id)

    def test_claimed(self) -> None:
        """One who says what id it had gets that, if nobody else has it and it is one."""
        self.assertEqual(self.join("a", 4711).id, 4711)
        for claimed in (NO_ID, 0, -5, 1 << 31, 4711, 2**53):
            self.assertNotEqual(self.numbers.assign_id("b", claimed, 0.0), claimed)

    def test_kept(self) -> None:
        """The id of who has gone is kept for it for an hour, and then free."""
        self.numbers.id_freed(self.join("a", 4711), 0.0)
        self.assertNotEqual(self.numbers.assign_id("b", 4711, 3599.0), 4711)
        self.assertEqual(self.numbers.assign_id("b", 4711, 3601.0), 4711)

    def test_linked_twice(self) -> None:
        """When a newer link of the same node has taken over, the end of the older one is nobody's leaving."""
        old = self.join("a", port=4000)
        new = self.join("a", port=4001)
        self.assertFalse(self.numbers.id_freed(old, 1.0))
        self.assertEqual(self.numbers.holders, {new.id: new})
        self.assertTrue(self.numbers.id_freed(new, 2.0))
        self.assertFalse(self.numbers.id_freed(new, 3.0))
        self.assertEqual(self.numbers.holders, {})

    @given(st.lists(st.tuples(st.sampled_from("abcd"), st.integers(-1, 6), st.booleans()), max_size=40))
    def test_unique(self, steps: list[tuple[str, int, bool]]) -> None:
        """Whoever comes, claims and goes: no two nodes that are there have one id."""
        numbers = NodeIds(random.Random(1))
        there: dict[str, Peer] = {}
        for now, (key, claimed, is_coming) in enumerate(steps):
            if is_coming:
                there[key] = peer(numbers.assign_id(key, claimed, now), key)
                numbers.id_taken(there[key], 0.0)
            elif key in there:
                numbers.id_freed(there.pop(key), now)
            self.assertEqual(numbers.holders, {each.id: each for each in there.values()})
            self.assertEqual(len(numbers.holders), len(there))
