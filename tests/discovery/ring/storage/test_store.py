"""What one node keeps: the newest of each owner, no more than fits, and nobody pushes out others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests import THOROUGH, examples
from tests.discovery.ring.keepers import SMALL, entry, identifier_of
from tests.weighing import weight_of
from twisted_bazaar.discovery.ring.rules.identifiers import MOST_BITS, Ring
from twisted_bazaar.discovery.ring.storage.anti_entropy import span_of
from twisted_bazaar.discovery.ring.storage.entry import (
    LONGEST_LIFETIME_S,
    TOMBSTONE_S,
    VALUE_BYTES,
    VALUES,
    Entry,
    Kept,
)
from twisted_bazaar.discovery.ring.storage.store import OF_NAME, Outcome, Store
from twisted_bazaar.files.messages import LARGEST_FILE_BYTES
from twisted_bazaar.wire.message import LARGEST_INTEGER

thorough = examples(200)
names = st.integers(0, 20).map(lambda number: str(number * 13))
owners = st.integers(1, 4)
one_put = st.tuples(names, owners, st.integers(1, 5), st.booleans())
puts = st.lists(one_put, max_size=60)
many_puts = st.lists(one_put, min_size=30, max_size=60)
deeds = st.tuples(
    names,
    st.integers(1, 12) | st.integers(1, 3),
    st.integers(1, 3),
    st.integers(0, 5),
    st.sampled_from((False,) * 9 + (True,)),
)


class NewestTests(SynchronousTestCase):
    """Which entry counts."""

    @thorough
    @given(puts)
    def test_any_order(self, story: list[tuple[str, int, int, bool]]) -> None:
        """In whatever order entries come, the newest of each owner is there in the end, and nothing else."""
        entries = [entry(name, owner, version, deleted=deleted) for name, owner, version, deleted in story]
        newest: dict[Any, Entry] = {}
        for each in entries:
            newest[each.key] = max(each, newest.get(each.key, each), key=lambda one: one.rank)
        for order in (entries, entries[::-1]):
            store = Store(identifier_of)
            for each in order:
                store.put(each, 0.0)
            self.assertEqual({each.key: each for each in store}, newest)
            self.assertEqual(len(store), len(newest))

    def test_outcomes(self) -> None:
        """Whoever sends an entry is told what has become of it."""
        store = Store(identifier_of)
        said = [store.put(entry(version=version), 0.0) for version in (2, 2, 1, 3)]
        self.assertEqual(said, [Outcome.KEPT, Outcome.KNOWN, Outcome.OLDER, Outcome.KEPT])

    def test_side_by_side(self) -> None:
        """Of several owners all are there, the newest first."""
        store = Store(identifier_of)
        for owner, version in ((1, 5), (2, 9), (3, 7)):
            store.put(entry("x", owner, version), 0.0)
        store.put(entry("x", 4, 1, space="file"), 0.0)
        self.assertEqual([each.kept.version for each in store.entries_of("value", "x", 0.0)], [9, 7, 5])

    def test_a_tombstone_holds(self) -> None:
        """What is deleted does not come back by an older entry, as long as that is remembered; a newer one does."""
        store = Store(identifier_of)
        store.put(entry(version=2, deleted=True), 0.0)
        self.assertEqual(store.put(entry(version=1), TOMBSTONE_S - 1), Outcome.OLDER)
        self.assertEqual(store.put(entry(version=3), TOMBSTONE_S - 1), Outcome.KEPT)

    def test_changes_are_told(self) -> None:
        """Whoever wants to know is told what was and what is."""
        told: list[tuple[Any, Any]] = []
        store = Store(identifier_of, changed=lambda before, after: told.append((before, after)))
        one, two = entry(version=1), entry(version=2)
        store.put(one, 0.0)
        store.put(two, 0.0)
        store.put(one, 0.0)
        store.drop(two.key)
        self.assertEqual(told, [(None, one), (one, two), (two, None)])


class LifetimeTests(SynchronousTestCase):
    """For how long."""

    def test_over(self) -> None:
        """What has had its time is not there any more, and takes no room after a while."""
        store = Store(identifier_of)
        short = entry("x", lifetime=60)
        store.put(short, 0.0)
        self.assertEqual(store.get(short.key, 59.0), short)
        self.assertIsNone(store.get(short.key, 60.0))
        store.expire(60.0)
        self.assertEqual(len(store), 0)

    def test_next(self) -> None:
        """It says when the next has had its time."""
        store = Store(identifier_of)
        self.assertEqual(store.expires_at, float("inf"))
        store.put(entry("y"), 0.0)
        store.put(entry("x", lifetime=60), 0.0)
        self.assertEqual(store.expires_at, 60.0)
        store.expire(60.0)
        self.assertEqual(store.expires_at, float("inf"))

    def test_handed_on(self) -> None:
        """Whoever hands an entry on does not make it live longer, nor does one that is there already."""
        store = Store(identifier_of)
        short = entry("x", lifetime=60)
        store.put(short, 0.0, left_s=20.0)
        store.put(short, 10.0, left_s=1000.0)
        self.assertIsNone(store.get(short.key, 21.0))
        store.put(short, 100.0, left_s=1000.0)
        self.assertIsNone(store.get(short.key, 161.0))

    def test_again(self) -> None:
        """Its owner sends it again, and it lives on."""
        store = Store(identifier_of)
        short = entry("x", lifetime=60)
        for now in (0.0, 50.0, 100.0):
            store.put(short, now)
        self.assertEqual(store.get(short.key, 159.0), short)
        store.expire(159.0)
        self.assertEqual(store.ttl_s(short, 159.0), 1.0)


class OrderTests(SynchronousTestCase):
    """By place."""

    @thorough
    @given(puts, st.integers(0, 255), st.integers(0, 255))
    def test_spans(self, story: list[tuple[str, int, int, bool]], low: int, high: int) -> None:
        """A span has exactly what belongs between its ends, and its sum is that of another with the same."""
        store, other = Store(identifier_of), Store(identifier_of)
        for name, owner, version, deleted in story:
            store.put(entry(name, owner, version, deleted=deleted), 0.0)
        span = span_of(low, high)
        inside = [each for each in store if SMALL.is_within(low, identifier_of(each.kept.name), high)]
        self.assertCountEqual(store.entries_in(span), inside)
        self.assertEqual(store.count(span), len(inside))
        for each in reversed(inside):
            other.put(each, 0.0)
        self.assertEqual(store.sum(span), other.sum(span))
        if inside:
            other.drop(inside[0].key)
            self.assertNotEqual(store.sum(span), other.sum(span))

    @thorough
    @given(puts | many_puts, st.integers(0, 255), st.integers(0, 255), st.integers(2, 9))
    def test_split(self, story: list[tuple[str, int, int, bool]], low: int, high: int, parts: int) -> None:
        """The parts of a span have together what it has, and none has all if there is much."""
        store = Store(identifier_of)
        for name, owner, version, _ in story:
            store.put(entry(name, owner, version), 0.0)
        span = span_of(low, high)
        split = store.split(span, parts) if store.count(span) else [span]
        self.assertEqual([each for part in split for each in store.entries_in(part)], store.entries_in(span))
        if store.count(span) > 2 * parts:
            self.assertLess(max(store.count(part) for part in split), store.count(span))


class RoomTests(SynchronousTestCase):
    """As much as there is room for."""

    def test_a_million_of_one(self) -> None:
        """One owner that stores without end has its share, and the rest is refused; what it had stays."""
        store = Store(identifier_of, most=800)
        others = [entry(f"o{number}", 2 + number % 50) for number in range(200)]
        for each in others:
            store.put(each, 0.0)
        said = [store.put(entry(f"n{number}", 1), 0.0) for number in range(20_000)]
        self.assertEqual((said.count(Outcome.KEPT), said[:100]), (100, [Outcome.KEPT] * 100))
        self.assertTrue(all(store.get(each.key, 0.0) == each for each in others))

    def test_a_million_owners_at_one_place(self) -> None:
        """One host that stores as ever new owners has its share too, of all and of each name."""
        store = Store(identifier_of, most=800)
        for name, kept in (("n", OF_NAME), ("o", OF_NAME), ("p", 100 - 2 * OF_NAME)):
            said = [store.put(entry(name, number), 0.0, by="10.0.0.66") for number in range(1, 2000)]
            self.assertEqual(said.count(Outcome.KEPT), kept)
        self.assertEqual(store.put(entry("x", 5000), 0.0, by="10.0.0.7"), Outcome.KEPT)
        self.assertEqual(store.put(entry("y", 5001), 0.0), Outcome.KEPT)

    def test_full(self) -> None:
        """When all is full, the owner with the most loses its oldest, and who has most gets nothing more."""
        store = Store(identifier_of, most=100, shares=2)
        for owner, count in ((1, 50), (2, 30), (3, 20)):
            for number in range(count):
                store.put(entry(f"n{number}", owner), 0.0)
        self.assertEqual(store.put(entry("new", 1), 0.0), Outcome.FULL)
        self.assertEqual(store.put(entry("new", 4), 0.0), Outcome.KEPT)
        self.assertIsNone(store.get(entry("n0", 1).key, 0.0))
        self.assertEqual(len(store), 100)
        for number in range(300):
            store.put(entry(f"m{number}", 5 + number % 3), 0.0)
        counts = [sum(each.kept.owner == f"{owner:064x}" for each in store) for owner in range(1, 8)]
        self.assertEqual(len(store), 100)
        self.assertGreaterEqual(min(counts[1:3]), 12)

    def test_bytes(self) -> None:
        """It is not the number alone that counts."""
        store = Store(identifier_of, most_bytes=80_000)
        said = [store.put(entry(f"n{number}", 1, value=bytes(1000)), 0.0) for number in range(100)]
        self.assertLess(said.count(Outcome.KEPT), 10)
        self.assertLessEqual(store.size_bytes, 10_000)

    def test_weight(self) -> None:
        """What a store takes in memory is bounded, and not only how long the texts are."""
        store = Store(identifier_of, most_weight=100_000)
        for number in range(200):
            store.put(entry(f"n{number}", 1 + number), 0.0, by=f"h{number}")
        self.assertTrue(10 < len(store) <= 100_000 // 2_304, len(store))
        self.assertLessEqual(sum(each.weight_bytes for each in store), 100_000)
        for number in range(200):
            store.drop(entry(f"n{number}", 1 + number).key)
        self.assertEqual(store.put(entry("n0", 1), 0.0), Outcome.KEPT, "what goes gives its room back")

    def test_weights_are_true(self) -> None:
        """No entry takes more than it counts for, however strange it is, of whomever and from wherever it is."""
        wide = "".join(map(chr, range(0x20000, 0x2003F)))
        kinds: dict[str, Callable[[int], dict[str, Any]]] = {
            "small": lambda number: {"name": f"n{number}"},
            "for a while": lambda number: {"name": f"n{number}", "lifetime": LONGEST_LIFETIME_S},
            "wide": lambda number: {"name": wide[:-1] + chr(0x21000 + number), "lifetime": LONGEST_LIFETIME_S},
            "a value": lambda number: {"name": f"n{number}", "value": bytes(VALUE_BYTES)},
            "a file": lambda number: {
                "name": wide[:-1] + chr(0x21000 + number),
                "lifetime": LONGEST_LIFETIME_S,
                "digest": f"{number:064x}",
                "size": LARGEST_FILE_BYTES,
                "file": wide,
            },
        }
        # Dicts have just grown, and are emptiest.
        count = 1_400 if THOROUGH else 350

        def filled(make: Callable[[int], dict[str, Any]]) -> Store:
            store = Store(Ring(MOST_BITS).key_of)
            for number in range(count):
                said = Kept(space=VALUES, owner=f"{number:064x}", version=LARGEST_INTEGER - number, **make(number))
                # As it comes from the wire: no two texts are one object.
                kept = msgspec.json.decode(msgspec.json.encode(said), type=Kept)
                text = "x" * (4 * len(msgspec.json.encode(said)) // 3 + 290)
                for now in (0.0, 1.0):
                    store.put(Entry(kept, text), now, by=f"2001:db8:0:{number:x}::/64")
            weights.append(sum(each.weight_bytes for each in store))
            self.assertEqual(len(store), count)
            return store

        for name, make in kinds.items():
            weights: list[int] = []
            size = weight_of(lambda make=make: filled(make))
            self.assertTrue(
                weights[0] / 2 < size <= weights[0], f"{name}: {size / count} bytes, {weights[0] / count} counted"
            )

    def test_deleting_at_the_limit(self) -> None:
        """Who has its share may still delete, and change."""
        store = Store(identifier_of, most=80)
        for number in range(10):
            store.put(entry(f"n{number}", 1), 0.0)
        self.assertEqual(store.put(entry("n3", 1, 2, deleted=True), 0.0), Outcome.KEPT)
        self.assertEqual(store.put(entry("n4", 1, 2), 0.0), Outcome.KEPT)

    @thorough
    @given(st.lists(deeds, max_size=20) | st.lists(deeds, min_size=100, max_size=150))
    def test_never_more(self, story: list[tuple[str, int, int, int, bool]]) -> None:
        """Whatever comes and goes, the counts are right and no limit is passed."""
        store = Store(identifier_of, most=24, shares=4, most_bytes=6_000)
        for now, (name, owner, version, host, drops) in enumerate(story):
            # Of the short ones the count is the limit, of the long ones the bytes.
            value = b"x" * 200 if version == 3 else b""
            one = entry(name, owner, version, lifetime=40 if host == 5 else 0, value=value)
            if drops:
                store.drop(one.key)
            else:
                store.put(one, float(now), by=f"h{host}" if host else None)
            entries = list(store)
            self.assertEqual(store.size_bytes, sum(len(each.text) for each in entries))
            self.assertLessEqual(len(entries), 24)
            self.assertLessEqual(store.size_bytes, 6_000)
            owned = [each.kept.owner for each in entries]
            self.assertLessEqual(max(map(owned.count, owned), default=0), 6)
            self.assertEqual(store.count(span_of(0, 0)), len(entries))
