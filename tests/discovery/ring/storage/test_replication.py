"""What is stored stays, whoever comes and goes."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests import examples
from tests.discovery.ring.keepers import SMALL, Keepers, contact, entry, identifier_of
from twisted_bazaar.discovery.ring.rules.identifiers import Contact
from twisted_bazaar.discovery.ring.storage.anti_entropy import (
    MOST_MARKS,
    AntiEntropy,
    Compared,
    compare,
    end_of,
    span_of,
)
from twisted_bazaar.discovery.ring.storage.compared_ranges import COMPARE_S, UNCLAIMED_S, ComparedRanges
from twisted_bazaar.discovery.ring.storage.entry import TAG_BITS
from twisted_bazaar.discovery.ring.storage.replication import (
    AGAIN_S,
    HANDED_ON_S,
    SETTLE_S,
    WITHDRAWN_S,
    Pacing,
    Replication,
)
from twisted_bazaar.discovery.ring.storage.store import EntryDigest, Store
from twisted_bazaar.values.addresses import Address

thorough = examples(150)
identifiers = st.integers(0, 255)
names = st.integers(0, 40).map(lambda number: str(number * 7))
happenings = st.lists(
    st.one_of(
        st.tuples(st.just("join"), identifiers),
        st.tuples(st.just("die"), identifiers),
        st.tuples(st.just("quit"), identifiers),
        st.tuples(st.just("put"), names, st.integers(1, 3)),
        st.tuples(st.just("delete"), names, st.integers(1, 3)),
        st.tuples(st.just("steps"), st.integers(1, 30)),
    ),
    max_size=40,
)


def near(ring: Keepers, identifier: int) -> int:
    """The place of the node that a place belongs to."""
    return ring.holders(identifier)[0].id


def tell(ring: Keepers, story: Sequence[Any]) -> None:
    """Let things happen."""
    versions = 0
    for what, *about in story:
        if what == "join":
            ring.join(about[0])
        elif what == "die":
            ring.die(near(ring, about[0]))
        elif what == "quit":
            ring.quit(near(ring, about[0]))
        elif what == "steps":
            for _ in range(about[0]):
                ring.now += 0.2
                ring.step(ring.rng.choice(list(ring.nodes)))
        else:
            versions += 1
            ring.put(entry(about[0], about[1], versions, deleted=what == "delete"))


def filled(count: int, identifiers: int = 1000) -> Store:
    """A store with so many entries."""
    store = Store(identifier_of)
    for number in range(count):
        store.put(entry(str(number % identifiers), number), 0.0)
    return store


def compared(one: Store, other: Store, span: tuple[int, int] | None = None) -> tuple[AntiEntropy, int]:
    """What comes of comparing, and how many questions it took."""
    comparison = AntiEntropy(one, span or span_of(0, 0))
    asked = 0
    while not comparison.is_over:
        asked += 1
        comparison.on_compared(compare(other, *comparison.next_span()))
    return comparison, asked


class NothingIsLostTests(SynchronousTestCase):
    """Rings in which anything happens."""

    @thorough
    @given(st.integers(0, 2**32), st.integers(1, 3), st.sets(identifiers, min_size=2, max_size=8), happenings)
    def test_any_story(self, seed: int, replicas: int, begin: set[int], story: Sequence[Any]) -> None:
        """After any joins, quits and deaths that leave somebody who has each thing, everything comes to be where it
        belongs and nowhere else, in its newest version, and what is deleted stays deleted."""
        ring = Keepers(random.Random(seed), replicas)
        for identifier in sorted(begin):
            ring.join(identifier)
        tell(ring, story)
        ring.rest()
        self.assertEqual(ring.flaws(), [])

    @thorough
    @given(
        st.integers(0, 2**32),
        st.sets(identifiers, min_size=6, max_size=12),
        st.lists(
            st.tuples(st.lists(identifiers, min_size=3, max_size=3), st.lists(identifiers, max_size=3)), max_size=3
        ),
    )
    def test_deaths_within_the_replicas(
        self, seed: int, begin: set[int], waves: Sequence[tuple[Sequence[int], Sequence[int]]]
    ) -> None:
        """As many may die at once as there are replicas, when what happened before has been made good."""
        ring = Keepers(random.Random(seed), 3)
        for identifier in begin:
            ring.join(identifier)
        for number in range(0, 256, 7):
            ring.put(entry(str(number), number % 5, 1))
            if number % 2:
                ring.put(entry(str(number), number % 5, 2, deleted=True))
        ring.rest(30.0)
        for dying, coming in waves:
            for identifier in coming:
                ring.join(identifier)
            ring.rest(30.0)
            for identifier in dying:
                if len(ring.nodes) > 4:
                    self.assertTrue(ring.die(near(ring, identifier)))
            ring.rest(30.0)
        ring.rest()
        self.assertEqual(ring.flaws(), [])

    def test_it_is_this_that_saves_it(self) -> None:
        """A node that does not compare, or drops without giving back, loses something: the check above would tell."""

        class Idle(Replication):
            def next(self, now: float) -> None:
                return None

            def next_misplaced(self, now: float) -> None:
                return None

        ring = Keepers(random.Random(1), 1, Idle)
        for identifier in (0, 100, 200):
            ring.join(identifier)
        ring.put(entry("50"))
        ring.join(60)
        ring.rest()
        self.assertTrue(ring.flaws())

    def test_one_that_comes_gets_what_is_its(self) -> None:
        """Whoever joins soon has what belongs to it, and what it is to keep for those before."""
        ring = Keepers(random.Random(1), 2)
        for identifier in (0, 60, 120, 180):
            ring.join(identifier)
        for number in range(256):
            ring.put(entry(str(number)))
        ring.rest(5.0)
        ring.join(150)
        ring.rest(5.0)
        # From 120, 60 and 0 on, all that it is to have.
        self.assertEqual(len(ring.nodes[contact(150)].store), 150)

    def test_many_that_come_at_once(self) -> None:
        """Each of many that come gets what is its, though each has nothing yet when it gives what it has."""
        ring = Keepers(random.Random(1), 1)
        for identifier in (0, 200):
            ring.join(identifier)
        ring.put(entry("50"))
        ring.rest(5.0)
        newcomers = (60, 70, 80, 90)
        for identifier in newcomers:
            ring.join(identifier)
        for _ in range(5):
            ring.now += SETTLE_S
            for identifier in newcomers:
                ring.step(contact(identifier))
        ring.rest(30.0)
        self.assertIsNotNone(ring.nodes[contact(60)].store.get(entry("50").key, ring.now))

    def test_what_does_not_belong_is_given_back_and_dropped(self) -> None:
        """An entry that only a stranger to its place has goes to its place, and leaves the stranger."""
        ring = Keepers(random.Random(1), 1)
        for identifier in (0, 50, 100, 150, 200):
            ring.join(identifier)
        lost = entry("10")
        ring.stored[lost.key] = lost
        ring.nodes[contact(200)].store.put(lost, 0.0)
        ring.rest(30.0)
        self.assertIsNotNone(ring.nodes[contact(200)].store.get(lost.key, ring.now))
        ring.rest()
        self.assertEqual(ring.flaws(), [])

    def test_what_one_that_follows_has(self) -> None:
        """What is found at one of those that follow goes to the others soon, be they compared with before or after."""
        for seed in range(10):
            ring = Keepers(random.Random(seed), 2)
            for identifier in (20, 40, 60, 80):
                ring.join(identifier)
            ring.stored[entry("10").key] = entry("10")
            ring.nodes[contact(60)].store.put(entry("10"), 0.0)
            ring.rest(2 * AGAIN_S)
            self.assertEqual(ring.flaws(), [], seed)

    def test_what_was_forgotten_as_nodes_came(self) -> None:
        """What one of those that keep it has forgotten, while nodes came between it and its place, is there soon, and
        not on one node alone."""
        for seed in range(20):
            ring = Keepers(random.Random(seed), 2)
            for identifier in (200, 220, 240):
                ring.join(identifier)
            ring.put(entry("10"))
            ring.rest(30.0)
            # It was away for so short that nobody has noticed.
            del ring.nodes[contact(200)]
            coming = [200, 20, 40, 60]
            random.Random(seed).shuffle(coming)
            for identifier in coming:
                ring.join(identifier)
            ring.rest(WITHDRAWN_S + 2 * AGAIN_S)
            kept = [
                identifier
                for identifier in (20, 40, 60)
                if ring.nodes[contact(identifier)].store.get(entry("10").key, ring.now)
            ]
            self.assertEqual(kept, [20, 40, 60], seed)


class ComparisonTests(SynchronousTestCase):
    """Two stores."""

    @thorough
    @given(
        st.dictionaries(st.tuples(names, st.integers(1, 40)), st.integers(1, 2), max_size=120),
        st.dictionaries(st.tuples(names, st.integers(1, 40)), st.integers(1, 2), max_size=120),
        identifiers,
        identifiers,
    )
    def test_any_two(
        self, one: dict[tuple[str, int], int], other: dict[tuple[str, int], int], low: int, high: int
    ) -> None:
        """Exactly what the other lacks or has older is to be sent, and what it has newer fetched."""
        stores = Store(identifier_of), Store(identifier_of)
        for store, content in zip(stores, (one, other), strict=True):
            for (name, owner), version in content.items():
                store.put(entry(name, owner, version), 0.0)
        comparison, _ = compared(*stores, span_of(low, high))
        inside = [key for key in one if SMALL.is_within(low, identifier_of(key[0]), high)]
        sent = {
            (each.kept.name, int(each.kept.owner, 16)) for each in map(stores[0].entry_at, comparison.to_send) if each
        }
        fetched = {
            (each.kept.name, int(each.kept.owner, 16)) for each in map(stores[1].entry_at, comparison.to_fetch) if each
        }
        self.assertEqual(sent, {key for key in inside if other.get(key, 0) < one[key]})
        self.assertEqual(fetched, {key for key in inside if other.get(key, 0) > one[key]})
        self.assertEqual(len(comparison.to_send), len(sent))

    def test_the_same(self) -> None:
        """Where nothing differs one question is enough."""
        self.assertEqual(compared(filled(1000), filled(1000))[1], 1)

    def test_one_of_many(self) -> None:
        """One difference among thousands takes few questions, even at a single place."""
        for identifiers in (1, 1000):
            lacking = filled(5000, identifiers)
            some = next(iter(lacking))
            lacking.drop(some.key)
            comparison, asked = compared(filled(5000, identifiers), lacking)
            self.assertEqual([len(comparison.to_send), comparison.to_fetch], [1, []])
            self.assertLess(asked, 40)

    def test_one_that_names_without_end(self) -> None:
        """A node that always has more to name is asked no more after a while."""
        comparison = AntiEntropy(filled(1), span_of(5, 4))
        asked = 0
        while not comparison.is_over:
            asked += 1
            (low, _), _ = comparison.next_span()
            comparison.on_compared(Compared(False, (EntryDigest(low + 1, 1),), low + 1))
        self.assertLess(asked, 300)

    def test_answers_that_cannot_be(self) -> None:
        """An answer that goes nowhere, or past the end, ends it."""
        for until in (0, end_of(100)):
            comparison = AntiEntropy(filled(5), span_of(200, 50))
            comparison.next_span()
            comparison.on_compared(Compared(False, (), until if until else end_of(200)))
            self.assertTrue(comparison.is_over)

    def test_marks_fit(self) -> None:
        """No answer names more than it has room for."""
        answer = compare(filled(200), span_of(0, 0), 0)
        self.assertEqual((answer.is_same, len(answer.marks)), (False, MOST_MARKS))
        self.assertEqual(answer.until, answer.marks[-1].position)


class ReplicationTests(SynchronousTestCase):
    """When it compares with whom."""

    def setUp(self) -> None:
        """Have a node with neighbours."""
        self.store = Store(identifier_of)
        self.replication = Replication(contact(100), SMALL, self.store, random.Random(1), 2)
        self.replication.on_neighbours(contact(50), [contact(150), contact(200), contact(250)], 0.0)

    def due(self, now: float) -> list[int]:
        """With whom it compares now, all going well."""
        due = list[int]()
        while (other := self.replication.next_neighbour(now)) is not None:
            due.append(other.id)
            self.replication.syncs_with(other)
            self.replication.on_synced(other, now)
        return sorted(due)

    def test_what_with_whom(self) -> None:
        """Its own with those that follow, the rest with the one before."""
        [rest] = self.replication.syncs_with(contact(50))
        self.assertEqual((rest.span, rest.is_own), (span_of(100, 50), False))
        self.assertEqual(self.due(0.0), [])
        self.assertEqual(self.due(2 * SETTLE_S), [50, 150, 200])
        self.assertEqual(self.replication.syncs_with(contact(250)), [])
        [own] = self.replication.syncs_with(contact(150))
        self.assertEqual((own.span, own.is_own), (span_of(50, 100), True))
        self.assertEqual(self.replication.syncs_with(contact(50)), [])

    def test_when(self) -> None:
        """It says when there is something to do: soon after a change, and when neighbours or strays are due again."""
        nobody = Replication(contact(100), SMALL, self.store, random.Random(1), 2)
        self.assertEqual(nobody.due, float("inf"))
        # Alone it looks for strays at last, and again after a while.
        nobody.on_neighbours(None, [], 0.0)
        self.assertEqual(nobody.due, UNCLAIMED_S)
        nobody.next_misplaced(UNCLAIMED_S)
        self.assertGreater(nobody.due, UNCLAIMED_S)
        for now in (0.0, 10.0, 500.0):
            due = self.replication.due
            self.assertEqual(self.due(due - 0.001), [])
            self.due(max(now, due))
            self.replication.next_misplaced(max(now, due))
            self.assertGreater(self.replication.due, max(now, due))
            self.assertLess(self.replication.due, max(now, due) + 1.3 * COMPARE_S)
        self.replication.on_neighbours(contact(50), [contact(150), contact(180), contact(200)], 500.0)
        self.assertLess(self.replication.due, 500.0 + 2 * SETTLE_S)

    def test_who_is_new(self) -> None:
        """Only who is new among the followers is compared with soon; all, when what belongs here has changed."""
        self.due(1.0)
        self.replication.on_neighbours(contact(50), [contact(150), contact(180), contact(200)], 1.0)
        self.assertEqual(self.due(2.0), [180])
        self.replication.on_neighbours(contact(20), [contact(150), contact(180), contact(200)], 2.0)
        self.assertEqual(self.due(3.0), [20, 150, 180])

    def test_what_changes_meanwhile(self) -> None:
        """What a neighbour has become while it was compared with is not done by that."""
        self.due(1.0)
        self.replication.on_neighbours(contact(80), [contact(150), contact(200)], 1.0)
        self.replication.syncs_with(contact(80))
        self.replication.on_neighbours(contact(80), [contact(80), contact(150)], 1.1)
        self.replication.on_synced(contact(80), 1.2)
        self.assertIn(80, self.due(2.0))

    def test_what_comes_from_behind(self) -> None:
        """What one that follows hands on, and does not claim, goes on to the one before, be that under way or not."""
        rest, own = 10 << TAG_BITS, 60 << TAG_BITS
        self.due(1.0)
        self.replication.compared_ranges.note(contact(200), span_of(0, 40), 1.0)
        for position, by in ((own, 150), (rest, 50), (rest, 250), (rest, 200)):
            self.replication.on_handoff(position, contact(by), 1.0)
        self.assertEqual(self.due(2.0), [])
        self.replication.on_handoff(rest, contact(150), 2.0)
        self.assertEqual(self.due(3.0), [50])
        self.replication.on_handoff(rest, contact(150), 3.0)
        self.assertEqual([each.span for each in self.replication.syncs_with(contact(50))], [span_of(100, 50)])
        self.replication.on_handoff(rest, contact(150), 3.1)
        self.replication.on_synced(contact(50), 3.2)
        self.assertEqual(self.due(4.0), [50])

    def test_what_comes_from_behind_later(self) -> None:
        """On a ring where nobody comes it does not go on: else one that lies could have anything kept by all nodes."""
        self.due(1.0)
        for position in range(10, 40):
            self.replication.on_handoff(position << TAG_BITS, contact(150), HANDED_ON_S)
        self.assertEqual(self.due(HANDED_ON_S + 1), [])
        self.replication.on_neighbours(contact(60), [contact(150), contact(200)], 100.0)
        self.assertIn(60, self.due(101.0))
        self.replication.on_handoff(10 << TAG_BITS, contact(150), 100.0 + HANDED_ON_S - 2)
        self.assertEqual(self.due(100.0 + HANDED_ON_S - 1), [60])

    def test_what_comes_without_end(self) -> None:
        """Who hands on one after another does not keep the one before from being given what there is."""
        self.due(1.0)
        for tenth in range(10, 20):
            self.replication.on_handoff(10 << TAG_BITS, contact(150), tenth / 10)
        self.assertEqual(self.replication.next_neighbour(1.9), contact(50))

    def test_what_is_given_back_to_it(self) -> None:
        """What belongs here, and came from one that is not to have it, goes to those that follow soon."""
        self.due(1.0)
        own = 60 << TAG_BITS
        self.replication.on_handoff(own, contact(150), 10.0)
        self.assertEqual(self.due(11.0), [])
        for now, by in ((20.0, 10), (30.0, 50)):
            self.replication.on_handoff(own, contact(by), now)
            self.assertEqual(self.due(now + 1.0), [150, 200])

    def test_what_is_given_back_meanwhile(self) -> None:
        """What comes while a follower is compared with goes to that one too."""
        self.due(1.0)
        self.replication.syncs_with(contact(150))
        self.replication.on_handoff(60 << TAG_BITS, contact(10), 100.0)
        self.replication.on_synced(contact(150), 100.1)
        self.assertIn(150, self.due(101.0))

    def test_given_back_without_end(self) -> None:
        """However much is given back to it, it compares now and then."""
        self.due(1.0)
        compared = list[int]()
        for tenth in range(20, 320):
            self.replication.on_handoff(60 << TAG_BITS, contact(10), tenth / 10)
            compared += self.due(tenth / 10)
        self.assertIn(compared.count(150), range(5, 8))

    def test_given_back_while_one_fails(self) -> None:
        """One with whom it fails is compared with no sooner for it."""
        self.due(1.0)
        for _ in range(6):
            self.replication.syncs_with(contact(200))
            self.replication.on_sync_failed(contact(200), 1.0)
        self.replication.on_handoff(60 << TAG_BITS, contact(10), 10.0)
        self.assertEqual(self.due(15.0), [150])

    def withdraw(self, *spans: tuple[int, int], by: int = 50, now: float = 1.0) -> None:
        """Somebody compares one span after another."""
        for span in spans:
            self.replication.on_range_compared(contact(by), span_of(*span), now)

    def given(self, now: float) -> list[str]:
        """What is to be given back now."""
        given = list[str]()
        while (back := self.replication.next_misplaced(now)) is not None:
            given.append(back.kept.name)
        return sorted(given)

    def test_what_is_not_claimed_any_more(self) -> None:
        """What another has claimed, and does not any more, is given back soon, unless somebody else claims it."""
        for name in ("20", "40", "210", "230"):
            self.store.put(entry(name), 0.0)
        self.due(1.0)
        self.withdraw((200, 50), (30, 50))
        self.withdraw((200, 215), by=215, now=2.0)
        at = 1.0 + WITHDRAWN_S
        self.assertEqual(self.replication.due, at)
        self.assertEqual(self.given(at - 0.1), [])
        self.assertEqual(self.given(at), ["20", "230"])
        self.assertGreater(self.replication.due, at)

    def test_what_is_own_is_not_given_back(self) -> None:
        """What another has claimed, and belongs here, stays."""
        for name in ("45", "60"):
            self.store.put(entry(name), 0.0)
        self.withdraw((40, 120), (110, 120), by=120)
        self.assertEqual(self.given(1.0 + WITHDRAWN_S), ["45"])

    def test_what_could_not_be_given_back(self) -> None:
        """What is still here is tried again, ever more seldom, until all that is here is looked at anyway."""
        self.store.put(entry("20"), 0.0)
        self.due(1.0)
        self.withdraw((200, 50), (30, 50))
        times = [now for now in range(1, 200) if self.given(float(now))]
        self.assertEqual(times, [6, 26, 106])

    def test_one_comes_after_another(self) -> None:
        """What one after another came in front of is given back at once, and what was meant before is not forgotten."""
        for name in ("5", "20", "210"):
            self.store.put(entry(name), 0.0)
        self.withdraw((200, 50), (10, 50))
        self.withdraw((30, 50), now=2.0)
        self.assertEqual(self.given(2.0 + WITHDRAWN_S), ["20", "210", "5"])

    def test_many_withdraw(self) -> None:
        """However many give something up, few are remembered, and those who came first."""
        self.store.put(entry("20"), 0.0)
        self.withdraw((200, 50), (30, 50))
        for number in range(1000, 1200):
            stranger = Contact(51, f"{number:x}", contact(51).address, 1)
            for span in (span_of(40, 51), span_of(45, 51)):
                self.replication.on_range_compared(stranger, span, 2.0)
        self.assertLessEqual(len(self.replication._withdrawn), 64)
        self.assertEqual(self.given(1.0 + WITHDRAWN_S), ["20"])

    def test_very_much_that_is_not_claimed_any_more(self) -> None:
        """However much that is, all of it is looked at, and a little at a time."""
        for owner in range(1500):
            self.store.put(entry("20", owner), 0.0)
        self.withdraw((200, 50), (30, 50))
        self.assertEqual(len(self.given(1.0 + WITHDRAWN_S)), 1500)

    def test_withdrawn_while_nobody_is_before(self) -> None:
        """As long as what belongs here is not known nothing is given back, and nothing is done for it."""
        self.store.put(entry("20"), 0.0)
        self.withdraw((200, 50), (30, 50))
        self.replication.on_neighbours(None, [contact(150), contact(200)], 2.0)
        self.due(4.0)
        self.assertEqual(self.given(20.0), [])
        self.assertGreater(self.replication.due, 30.0)
        self.replication.on_neighbours(contact(50), [contact(150), contact(200)], 30.0)
        self.assertEqual(self.given(30.0), ["20"])

    def test_now_and_then(self) -> None:
        """Every minute or so it is seen that all is well."""
        self.due(1.0)
        self.assertEqual(self.due(0.7 * COMPARE_S), [])
        self.assertEqual(self.due(1.3 * COMPARE_S), [150, 200])

    def test_failing(self) -> None:
        """One with whom it fails is left for longer and longer."""
        now, waits = 1.0, list[float]()
        self.replication.on_neighbours(None, [contact(150)], now)
        for _ in range(8):
            began = now
            while self.replication.next_neighbour(now) is None:
                now += 0.1
            waits.append(now - began)
            self.replication.syncs_with(contact(150))
            self.replication.on_sync_failed(contact(150), now)
        self.assertLess(waits[1], 3.0)
        self.assertLess(20.0, waits[-1])
        self.assertLess(waits[-1], 40.0)

    def test_alone(self) -> None:
        """One that is alone has nobody to compare with, and everything is its own."""
        alone = Replication(contact(1), SMALL, self.store, random.Random(1))
        alone.on_neighbours(None, [], 0.0)
        self.assertEqual((alone.next_neighbour(10.0), alone.is_own(200)), (None, True))


class ClaimsTests(SynchronousTestCase):
    """What others count on this node for."""

    def test_for_a_while(self) -> None:
        """What has been asked about is claimed, and no longer than it is asked about."""
        compared_ranges = ComparedRanges()
        compared_ranges.note(contact(1), span_of(200, 20), 0.0)
        inside, outside = 10 << TAG_BITS, 100 << TAG_BITS
        self.assertTrue(compared_ranges.has(inside, 100.0))
        self.assertFalse(compared_ranges.has(outside, 100.0))
        self.assertFalse(compared_ranges.has(inside, 1000.0))
        self.assertEqual(
            [compared_ranges.has(inside, 100.0, contact(identifier)) for identifier in (1, 2)], [True, False]
        )

    def test_parts(self) -> None:
        """Who asks on about a part has not given up the rest."""
        compared_ranges = ComparedRanges()
        compared_ranges.note(contact(1), span_of(200, 20), 0.0)
        compared_ranges.note(contact(1), span_of(200, 210), 1.0)
        self.assertTrue(compared_ranges.has(10 << TAG_BITS, 2.0))

    def test_withdrawn(self) -> None:
        """Who compares less than before, from another node's place to its own, has given up the rest; who compares
        more, or a part, or what it has not compared for long, has not."""
        compared_ranges = ComparedRanges()
        said = [
            compared_ranges.note(contact(50), span, now)
            for span, now in (
                (span_of(200, 50), 0.0),
                (span_of(240, 50), 1.0),
                ((end_of(240), 10 << TAG_BITS), 2.0),
                ((10 << TAG_BITS, end_of(50)), 3.0),
                (span_of(220, 50), 4.0),
                (span_of(20, 50), 4.0 + UNCLAIMED_S),
            )
        ]
        self.assertEqual(said, [None, span_of(200, 240), None, None, None, None])

    def test_withdrawn_by_nonsense(self) -> None:
        """Who has compared what does not end at its place gives up nothing by comparing what does."""
        compared_ranges = ComparedRanges()
        compared_ranges.note(contact(50), span_of(20, 200), 0.0)
        self.assertIsNone(compared_ranges.note(contact(50), span_of(20, 50), 1.0))

    def test_a_crowd(self) -> None:
        """However many claim something, few are remembered."""
        compared_ranges = ComparedRanges()
        for identifier in range(256):
            compared_ranges.note(contact(identifier), span_of(identifier, identifier), 0.0)
        self.assertLessEqual(len(compared_ranges._claims), 64)

    def test_a_crowd_of_one_host(self) -> None:
        """However many nodes of one host claim something, what others claim is remembered."""
        compared_ranges = ComparedRanges()
        honest = Contact(20, "f" * 64, Address("10.0.9.9", 1), 1)
        compared_ranges.note(honest, span_of(200, 20), 0.0)
        for identifier in range(256):
            compared_ranges.note(contact(identifier), span_of(identifier - 1, identifier), 1.0)
        self.assertTrue(compared_ranges.has(240 << TAG_BITS, 2.0, honest))


class PacingTests(SynchronousTestCase):
    """How fast repair goes."""

    def test_messages(self) -> None:
        """So many a second, however small, after what may go at once."""
        pacing = Pacing(100.0, 1 << 20)
        now = 0.0
        for _ in range(1000):
            now += pacing.wait_s(10, now)
        self.assertAlmostEqual(now, 9.0, delta=0.2)

    def test_bytes(self) -> None:
        """So many bytes a second, however few messages."""
        pacing = Pacing(100.0, 10_000)
        now = 0.0
        for _ in range(100):
            now += pacing.wait_s(1_000, now)
        self.assertAlmostEqual(now, 9.0, delta=0.2)
