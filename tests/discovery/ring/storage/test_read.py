"""Promises of a get: few questions where enough is known; what is guessed counts only if two hosts bear it out."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred

from tests.discovery.ring.keeping_nets import KeepingTestCase
from twisted_bazaar.discovery.ring.member.lookup_driver import Lookups
from twisted_bazaar.discovery.ring.rpc.requests import WitnessedRequests
from twisted_bazaar.discovery.ring.rules.identifiers import Contact
from twisted_bazaar.discovery.ring.rules.lookup import Found
from twisted_bazaar.discovery.ring.storage.entry import VALUES
from twisted_bazaar.node.node import Node


class GuessTests(KeepingTestCase):
    """A ring of twelve; a node that keeps nothing under a name asks for it."""

    def setUp(self) -> None:
        """Have something kept under it, and count how often the asker looks for places."""
        super().setUp()
        self.ring(12)
        self.put(self.network.nodes[0], "x", b"new")
        self.holders = self.right_ones("x")
        self.asker = next(node for node in self.network.nodes if node not in self.holders)
        self.finds = 0
        asker, find = self.members[self.asker], Lookups.find

        def counted(lookups: Lookups, identifier: int, *start: Any, **how: Any) -> Deferred[Found]:
            # Those that keep its fingers right do not say until when.
            self.finds += lookups is asker.lookups and "until" in how
            return find(lookups, identifier, *start, **how)

        self.patch(Lookups, "find", counted)

    def guess(self, *nodes: Node) -> None:
        """Have the asker take some nodes for the keepers."""
        likely: tuple[Contact, ...] = tuple(self.contact(node) for node in nodes)
        self.patch(Lookups, "likely_owners", lambda lookups, identifier, most: likely)

    def age(self, *nodes: Node) -> None:
        """Have nodes keep what was there before."""
        [new] = self.dht(self.holders[0]).store.entries_of(VALUES, "x", self.network.seconds())
        for node in nodes:
            self.dht(node).store.drop(new.key)

    def test_right(self) -> None:
        """If those that are taken for the keepers have it, and one says that it belongs to it, nobody looks for it."""
        self.guess(*self.holders)
        self.assertEqual(self.get(self.asker, "x"), [b"new"])
        self.assertEqual(self.finds, 0)

    def test_hint(self) -> None:
        """One that is not known is found by the word of the one behind it."""
        self.guess(*self.holders[1:])
        self.assertEqual(self.get(self.asker, "x"), [b"new"])
        self.assertEqual(self.finds, 0)

    def test_first_is_dead(self) -> None:
        """If the nearest has died just now, two others are enough."""
        self.guess(*self.holders)
        self.network.crash(self.holders[0])
        self.assertEqual(self.get(self.asker, "x"), [b"new"])
        self.assertEqual(self.finds, 0)

    def test_all_are_dead(self) -> None:
        """If none that was taken for a keeper answers, the place is looked for long before they are taken for dead."""
        others = [node for node in self.network.nodes if node not in (*self.holders, self.asker)]
        self.guess(*others[:3])
        for node in others[:3]:
            self.network.crash(node)
        before = self.network.seconds()
        self.assertEqual(self.get(self.asker, "x"), [b"new"])
        self.assertLess(self.network.seconds() - before, 1.0)
        self.assertTrue(self.finds)

    def test_nothing_there(self) -> None:
        """Those that are taken for the keepers are not believed that there is nothing."""
        others = [node for node in self.network.nodes if node not in (*self.holders, self.asker)]
        self.guess(*others[:4])
        self.assertEqual(self.get(self.asker, "x"), [b"new"])
        self.assertTrue(self.finds)

    def test_one_is_not_enough(self) -> None:
        """What only one has is not taken for all there is, though it says that the name belongs to it."""
        self.age(*self.holders[1:3])
        self.guess(*self.holders[:3])
        self.assertEqual(self.get(self.asker, "x"), [b"new"])
        self.assertTrue(self.finds)

    def test_one_is_enough(self) -> None:
        """Who wants no more than one answer is content with the one to whom it belongs, and with no other."""
        self.age(*self.holders[1:])
        self.guess(*self.holders)
        self.assertEqual(self.get(self.asker, "x", copies=1), [b"new"])
        self.assertEqual(self.finds, 0)
        self.age(self.holders[0])
        self.put(self.network.nodes[0], "x", b"newer")
        self.guess(*self.holders[1:])
        self.assertEqual(self.get(self.asker, "x", copies=1), [b"newer"])
        self.assertEqual(self.finds, 0)

    def test_one_that_has_nothing(self) -> None:
        """Nobody is believed that there is nothing, not even then."""
        self.age(self.holders[0])
        self.guess(*self.holders)
        self.assertEqual(self.get(self.asker, "x", copies=1), [b"new"])
        self.assertTrue(self.finds)

    def test_hints_are_few(self) -> None:
        """Three at most are asked that others have named, before the place is looked for."""
        ring, identifier = self.members_ring(), self.members_ring().key_of("x")
        far = sorted(self.network.nodes, key=lambda node: ring.distance(identifier, self.members[node].own.id))
        self.guess(*far[-2:])
        asked = self.count_questions()
        self.get(self.asker, "x")
        # It need not ask itself.
        self.assertEqual((asked[0], self.finds > 0), (2 + 3 - (self.asker in far[-5:]), True))

    def test_given_up(self) -> None:
        """When nobody wants to know any more, nobody else is asked."""
        others = [node for node in self.network.nodes if node not in (*self.holders, self.asker)]
        self.guess(*others[:2])
        for finds in (0, 1):
            getting = self.dht(self.asker).get(VALUES, "x")
            self.network.run_until(lambda finds=finds: self.finds == finds, 1.0)  # type: ignore[misc]
            getting.cancel()
            self.failureResultOf(getting, CancelledError)
            asked = self.count_questions()
            self.network.run(3.0)
            self.assertEqual((asked, self.finds), ([0], finds))

    def count_questions(self) -> list[int]:
        """How many the asker asks what they have from now on, until it looks for the place."""
        asked, before = [0], self.finds
        asker, question = self.members[self.asker], WitnessedRequests.question

        def counted(requests: WitnessedRequests, *about: Any) -> None:
            asked[0] += requests is asker.requests and self.finds == before
            question(requests, *about)

        self.patch(WitnessedRequests, "question", counted)
        return asked

    def test_those_that_kept_it_once(self) -> None:
        """Two that have it, neither of which says that it belongs to it, are not enough while the nearest answers."""
        former = [node for node in self.network.nodes if node not in (*self.holders, self.asker)][:2]
        ring, identifier = self.members_ring(), self.members_ring().key_of("x")
        former.sort(key=lambda node: ring.distance(identifier, self.members[node].own.id))
        [old] = self.dht(self.holders[0]).store.entries_of(VALUES, "x", self.network.seconds())
        self.put(self.network.nodes[0], "x", b"newer")
        for node in former:
            self.dht(node).store.put(old, self.network.seconds())
            self.members[node].stabilization.predecessor = None
        self.guess(*former)
        self.assertEqual(self.get(self.asker, "x"), [b"newer"])
        self.assertTrue(self.finds)
