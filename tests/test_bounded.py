"""The table that strangers fill, against a plain model of its promises."""

from __future__ import annotations

import gc
import tracemalloc
import weakref
from collections import Counter
from typing import Final

from attrs import define, field
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests import examples
from tests.weighing import weighing, weight_of
from twisted_bazaar.bounded import FairTable

LIFETIME_S: Final = 10.0

bounded = examples(200)

keys = st.integers(0, 30)
owners = st.sampled_from("ABCDEF") | st.sampled_from("ABC")
waits = st.sampled_from([0.0, 0.0, 0.0, 0.5, 4.0, 6.0, 10.0, 25.0])
puts = st.tuples(st.just("put"), keys, owners, waits)
discards = st.tuples(st.just("discard"), keys, st.just(""), waits)
expiries = st.tuples(st.just("expire"), st.just(0), st.just(""), waits)
steps = st.lists(st.one_of(puts, puts, puts, puts, discards, expiries), min_size=20, max_size=80)
sizes = st.tuples(st.integers(1, 16), st.integers(1, 8)) | st.tuples(st.integers(2, 6), st.integers(1, 2))


@define
class Entry:
    """What the model knows of one entry."""

    value: int
    owner: str
    expires: float


@define
class PlainTable:
    """What the table promises, in the simplest words; entries stand in the order of their entry."""

    cap: int
    share: int
    entries: dict[int, Entry] = field(factory=dict)

    def forget_expired(self, now: float) -> None:
        self.entries = {key: entry for key, entry in self.entries.items() if entry.expires > now}

    def of(self, owner: str) -> list[int]:
        return [key for key, entry in self.entries.items() if entry.owner == owner]

    def victims(self, owner: str) -> set[int]:
        """Which entries may have to go when this owner enters one more; of several, any one."""
        mine = self.of(owner)
        if len(mine) >= self.share:
            return {mine[0]}
        if len(self.entries) < self.cap:
            return set()
        counts = Counter(entry.owner for entry in self.entries.values())
        most = max(counts.values())
        return {self.of(each)[0] for each, count in counts.items() if count == most}


def live(table: FairTable[int, int], now: float) -> dict[int, int]:
    """Everything in a table, as its reader sees it."""
    return dict(table.items(now))


class FairTableTests(SynchronousTestCase):
    """A table that no stranger can fill for the others."""

    @examples(400)
    @given(sizes, steps)
    def test_model(self, size: tuple[int, int], steps: list[tuple[str, int, str, float]]) -> None:
        """Whatever is done, it holds what the model holds, and loses only what the rules give up.

        An owner at its share loses its own oldest entry, else a full table the oldest of an owner with
        the most; nothing else goes before its time, and nothing alive goes while there is something
        expired.
        """
        cap, shares = size
        table: FairTable[int, int] = FairTable(cap, LIFETIME_S, shares)
        model = PlainTable(cap, max(1, cap // shares))
        now = 100.0
        for value, (step, key, owner, wait) in enumerate(steps):
            now += wait
            model.forget_expired(now)
            if step == "discard":
                table.discard(key)
                model.entries.pop(key, None)
            elif step == "expire":
                table.expire(now)
                self.assertEqual(len(table), len(model.entries))
            else:
                model.entries.pop(key, None)
                victims = model.victims(owner)
                table.put(key, value, owner, now)
                gone = victims - live(table, now).keys()
                self.assertEqual(len(gone), min(1, len(victims)), "not one of those that had to go went")
                for victim in gone:
                    del model.entries[victim]
                model.entries[key] = Entry(value, owner, now + LIFETIME_S)
            expected = {key: entry.value for key, entry in model.entries.items()}
            self.assertEqual(live(table, now), expected)
            self.assertEqual({key: table.get(key, now) for key in range(31)}, {k: expected.get(k) for k in range(31)})
            self.assertLessEqual(len(table), cap)
            self.assertLessEqual(max(Counter(e.owner for e in model.entries.values()).values(), default=0), model.share)

    @bounded
    @given(sizes, st.lists(st.tuples(keys, owners, waits), max_size=60))
    def test_cap(self, size: tuple[int, int], entries: list[tuple[int, str, float]]) -> None:
        """It never holds more than its cap, expired entries counted."""
        cap, shares = size
        table: FairTable[int, int] = FairTable(cap, LIFETIME_S, shares)
        now = 0.0
        for key, owner, wait in entries:
            now += wait
            table.put(key, 0, owner, now)
            self.assertLessEqual(len(table), cap)

    @bounded
    @given(st.integers(1, 64), st.integers(1, 8), st.integers(1, 200))
    def test_share(self, cap: int, shares: int, flood: int) -> None:
        """However much one owner enters, it holds its share at most, and that is its latest."""
        table: FairTable[int, int] = FairTable(cap, LIFETIME_S, shares)
        for key in range(flood):
            table.put(key, key, "noisy", 0.0)
        share = max(1, cap // shares)
        latest = range(max(0, flood - share), flood)
        self.assertEqual(live(table, 0.0), {key: key for key in latest})

    @bounded
    @given(
        st.dictionaries(owners, st.integers(0, 8), max_size=6),
        st.lists(st.integers(0, 10_000), min_size=1, max_size=200),
    )
    def test_flood(self, quiet: dict[str, int], flood: list[int]) -> None:
        """An owner loses nothing to one who floods while it holds less than the flooder's share."""
        table: FairTable[tuple[str, int], int] = FairTable(64, LIFETIME_S)
        entered = {(owner, number): number for owner, count in quiet.items() for number in range(min(count, 7))}
        for key, value in entered.items():
            table.put(key, value, key[0], 0.0)
        for position, number in enumerate(flood):
            table.put(("noisy", number), position, "noisy", 0.0)
        left = {key: value for key, value in table.items(0.0) if key[0] != "noisy"}
        self.assertEqual(left, entered)

    def test_flood_of_a_full_table(self) -> None:
        """In a full table, too, whoever has the most gives way, and never one that has less."""
        table: FairTable[tuple[str, int], int] = FairTable(16, LIFETIME_S, shares=2)
        for owner, count in (("A", 8), ("B", 3), ("C", 3), ("D", 2)):
            for number in range(count):
                table.put((owner, number), number, owner, 0.0)
        for number in range(100):
            table.put(("noisy", number), number, "noisy", 0.0)
        counts = Counter(owner for (owner, _), _ in table.items(0.0))
        self.assertEqual((counts["B"], counts["C"], counts["D"], sum(counts.values())), (3, 3, 2, 16))
        self.assertIn(counts["A"], (3, 4), "A gives way only while it has as many as the noisy one")

    def test_equals(self) -> None:
        """One who enters more takes nothing from one who has as much: it is the one that floods."""
        table: FairTable[str, int] = FairTable(4, LIFETIME_S, shares=1)
        for key in ("a1", "a2", "b1", "b2", "b3"):
            table.put(key, 0, key[0], 0.0)
        self.assertEqual(sorted(live(table, 0.0)), ["a1", "a2", "b2", "b3"])

    def test_most_after_discard(self) -> None:
        """When one of two owners with the most loses an entry, the other is the one with the most."""
        table: FairTable[str, int] = FairTable(6, LIFETIME_S, shares=1)
        for key in ("a1", "a2", "a3", "b1", "b2", "b3"):
            table.put(key, 0, key[0], 0.0)
        table.discard("a1")
        for key in ("c1", "d1"):
            table.put(key, 0, key[0], 0.0)
        self.assertEqual(list(live(table, 0.0)), ["a2", "a3", "b2", "b3", "c1", "d1"])

    def test_lifetime(self) -> None:
        """An entry is there until its lifetime is over, and not at its end."""
        table: FairTable[int, str] = FairTable(8, LIFETIME_S)
        table.put(1, "x", "A", 5.0)
        self.assertEqual([table.get(1, now) for now in (5.0, 14.999, 15.0, 99.0)], ["x", "x", None, None])
        self.assertEqual([dict(table.items(now)) for now in (5.0, 14.999, 15.0)], [{1: "x"}, {1: "x"}, {}])

    def test_entered_again(self) -> None:
        """An entry that is entered again has the new value, the new owner, and a lifetime that begins anew."""
        table: FairTable[int, str] = FairTable(2, LIFETIME_S, shares=2)
        table.put(1, "old", "A", 0.0)
        table.put(1, "new", "B", 8.0)
        self.assertEqual((len(table), table.get(1, 17.999), table.get(1, 18.0)), (1, "new", None))
        table.put(2, "a", "A", 8.0)
        self.assertEqual(live_text(table, 8.0), {1: "new", 2: "a"})
        table.put(3, "b", "B", 8.0)
        self.assertEqual(live_text(table, 8.0), {2: "a", 3: "b"})

    def test_memory_comes_back(self) -> None:
        """What has expired is let go of, and so are its owners."""
        table: FairTable[int, int] = FairTable(1_000, LIFETIME_S)
        for key in range(1_000):
            table.put(key, key, f"owner {key}", 0.0)
        table.expire(LIFETIME_S)
        self.assertEqual((len(table), live(table, 0.0)), (0, {}))

    def test_expired_goes_first(self) -> None:
        """While something has expired, nothing that has not is pushed out, whoever has the most."""
        table: FairTable[int, int] = FairTable(5, LIFETIME_S, shares=1)
        for key, owner, now in ((1, "A", 0.0), (2, "A", 0.0), (3, "B", 5.0), (4, "B", 5.0), (5, "B", 5.0)):
            table.put(key, key, owner, now)
        table.put(6, 6, "C", 12.0)
        self.assertEqual(live(table, 12.0), {3: 3, 4: 4, 5: 5, 6: 6})

    def test_renewed_goes_last(self) -> None:
        """What its owner enters again does not keep what has expired from being let go of."""
        table: FairTable[int, int] = FairTable(5, LIFETIME_S, shares=1)
        for key, now in ((1, 0.0), (2, 0.0), (1, 8.0)):
            table.put(key, key, "A", now)
        table.expire(12.0)
        self.assertEqual((len(table), live(table, 12.0)), (1, {1: 1}))

    def test_owners_are_forgotten(self) -> None:
        """Owners that hold nothing any more take no room, however many there were."""
        table: FairTable[int, int] = FairTable(8, LIFETIME_S)
        self.enterContext(weighing())
        for owner in range(5_000):
            table.put(owner, 0, owner, float(owner % 7))
        self.assertLess(tracemalloc.get_traced_memory()[0], 100_000)

    def test_weight(self) -> None:
        """What an entry takes is little, whether many have the same owner or each has one of its own."""

        def filled(owners: int) -> FairTable[int, None]:
            table: FairTable[int, None] = FairTable(2_000, LIFETIME_S, shares=1)
            for key in range(2_000):
                table.put(key, None, key % owners, 0.0)
            return table

        for owners, most in ((1, 270), (8, 270), (2_000, 400)):
            each = weight_of(lambda owners=owners: filled(owners)) / 2_000
            self.assertLess(each, most, f"bytes an entry, with {owners} owners")

    def test_nothing_holds_itself(self) -> None:
        """A table that nobody has any more is gone at once, and does not wait to be collected."""

        class Value:
            pass

        table: FairTable[int, Value] = FairTable(8, LIFETIME_S)
        value = Value()
        gone = weakref.ref(value)
        for key in range(8):
            table.put(key, value, "A", 0.0)
        gc.disable()
        self.addCleanup(gc.enable)
        del table, value
        self.assertIsNone(gone())

    def test_changed_while_read(self) -> None:
        """Reading goes on while entries are taken out and put in."""
        table: FairTable[int, int] = FairTable(64, LIFETIME_S)
        for key in range(8):
            table.put(key, key, "A", 0.0)
        seen = []
        for key, _ in table.items(0.0):
            seen.append(key)
            table.discard(key)
            table.put(key + 100, 0, "B", 0.0)
        self.assertEqual(seen, list(range(8)))

    def test_discard(self) -> None:
        """Removing what is not there changes nothing."""
        table: FairTable[int, int] = FairTable(8, LIFETIME_S)
        table.put(1, 1, "A", 0.0)
        table.discard(2)
        table.discard(1)
        table.discard(1)
        self.assertEqual((len(table), live(table, 0.0)), (0, {}))

    def test_no_expiry(self) -> None:
        """With an endless lifetime only the cap and the shares make room."""
        table: FairTable[int, int] = FairTable(16, float("inf"))
        for key in range(5):
            table.put(key, key, "A", 0.0)
        self.assertEqual(live(table, 1e300), {3: 3, 4: 4})


def live_text(table: FairTable[int, str], now: float) -> dict[int, str]:
    """Everything in a table of texts."""
    return dict(table.items(now))
