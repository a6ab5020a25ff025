"""Promises of the exchange of tables: whatever gets lost, each neighbour has the table of the other in the end."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests import examples, slow
from twisted_bazaar.discovery.superpeer.messages import MOST_TABLE_BITS, NO_TABLE, SuperHello, Table
from twisted_bazaar.discovery.superpeer.neighbours.neighbour import Standing
from twisted_bazaar.discovery.superpeer.neighbours.neighbours import Neighbours
from twisted_bazaar.discovery.superpeer.qrp.sync import (
    BETWEEN_TABLES_S,
    MOST_TABLE_BYTES,
    NEVER,
    PARTS_AT_ONCE,
    TableSync,
    parts_limit,
)
from twisted_bazaar.discovery.superpeer.qrp.tables import OwnTable, RouteTable, hash_of
from twisted_bazaar.identity.keys import KeyPair
from twisted_bazaar.testing import FakeNode
from twisted_bazaar.values.addresses import Address
from twisted_bazaar.wire.message import Message

_LATENCY_S = 0.02


def words(count: int, first: int = 0) -> list[str]:
    """So many tokens."""
    return [f"w:word{number}" for number in range(first, first + count)]


def slots_of(table: OwnTable) -> list[int]:
    """What somebody knows of a table who was told all of it."""
    route = RouteTable()
    for part in table.changes_since(NO_TABLE, MOST_TABLE_BYTES):
        route.apply_part(part)
    return route.slots()


class AllowanceTests(SynchronousTestCase):
    """How much is sent, and taken."""

    def test_allowance(self) -> None:
        """The largest table at once, and then a little all the time; what is not used does not add up."""
        limit = parts_limit()

        def allowed(most: int, now: float) -> int:
            return sum(limit.allow(now) for _ in range(most))

        self.assertEqual(allowed(1000, 0.0), 256)
        self.assertEqual(allowed(1, 0.0), 0)
        self.assertEqual(allowed(1000, 1.0), 20)
        self.assertEqual(allowed(1000, 0.5), 0, "a clock that is set back gives nothing")
        self.assertEqual(allowed(1000, 10_000.0), 256)


class TellingTests(SynchronousTestCase):
    """What one neighbour is sent."""

    def setUp(self) -> None:
        """Have a table of one word, and a neighbour that has none of it."""
        self.table = OwnTable(began=1000)
        self.table.add(["w:apple"])
        self.telling = TableSync(self.table, 0.0)

    def send_all(self, now: float) -> list[Table]:
        """Send until nothing is due, over as much time as it takes."""
        sent: list[Table] = []
        while self.telling.due < NEVER and len(sent) < 2000:
            now = max(now, self.telling.due)
            sent += self.telling.next_parts(now)
        return sent

    def test_the_whole(self) -> None:
        """Who has none is told the whole, once, and nothing more once it says that it has it."""
        self.assertEqual(self.telling.next_parts(0.0), ())
        (part,) = self.send_all(0.0)
        self.assertEqual((part.base, part.version), (NO_TABLE, self.table.version))
        self.assertEqual(self.telling.due, NEVER)
        self.telling.version_received(self.table.version, 2.0)
        self.assertEqual(self.telling.due, NEVER)

    def test_changes(self) -> None:
        """What changes is told as a change, once a second at most."""
        version = self.table.version
        self.telling.version_received(version, 0.0)
        for round_ in range(10):
            now = 1.0 + round_ * BETWEEN_TABLES_S
            self.table.add([f"w:{round_}"])
            (part,) = self.telling.next_parts(now)
            self.assertEqual((part.base, part.version), (version, self.table.version))
            version = part.version
            self.telling.version_received(version, now + 0.1)
            self.table.add([f"w:{round_} again"])
            self.assertEqual(self.telling.next_parts(now + 0.9), ())

    def test_one_at_a_time(self) -> None:
        """What is newer waits until what is under way has come."""
        (first,) = self.send_all(1.0)
        self.table.add(["w:pear"])
        self.telling.version_received(NO_TABLE, 1.1)
        self.assertEqual(self.telling.due, NEVER)
        self.telling.version_received(first.version, 3.0)
        (second,) = self.send_all(3.0)
        self.assertEqual(second.base, first.version)

    def test_lost(self) -> None:
        """The very same parts are sent again when the neighbour says that it still has none, but not all the time."""
        self.table.add(words(20_000))
        first = self.send_all(1.0)
        self.assertGreater(len(first), 2 * PARTS_AT_ONCE)
        self.table.add(["w:pear"])
        self.telling.version_received(NO_TABLE, 5.0)
        self.assertEqual(self.send_all(5.0), first)
        resent, now = 0, 10.0
        while now < 310:
            self.telling.version_received(NO_TABLE, now)
            resent += len(self.telling.next_parts(now))
            now += 0.1
        self.assertTrue(resent <= 16 * len(first), resent)

    def test_pace(self) -> None:
        """A large table goes out in portions."""
        self.table.add(words(20_000))
        self.assertEqual(len(self.telling.next_parts(1.0)), PARTS_AT_ONCE)
        self.assertEqual(self.telling.next_parts(1.05), ())
        self.assertEqual(len(self.telling.next_parts(1.2)), PARTS_AT_ONCE)

    def test_restarted(self) -> None:
        """Who says that it has something else is told the whole anew; what was under way is let go of."""
        self.table.add(words(20_000))
        self.telling.next_parts(1.0)
        self.telling.version_received(123_456_789, 1.1)
        self.assertEqual(self.telling.next_parts(1.2), ())
        parts = self.send_all(2.0)
        self.assertEqual({(part.base, part.version) for part in parts}, {(NO_TABLE, self.table.version)})
        self.assertEqual(len(parts), parts[0].parts)

    def test_lies(self) -> None:
        """Whoever says something else each time gets no more than its allowance."""
        self.table.add(words(20_000))
        rng = random.Random(1)
        sent, now = 0, 0.0
        while now < 100:
            self.telling.version_received(rng.choice([NO_TABLE, self.table.version, rng.getrandbits(50)]), now)
            sent += len(self.telling.next_parts(now))
            now += 0.01
        self.assertTrue(sent <= 256 + 20 * 100, sent)


class Pair:
    """Two super peers that are neighbours, and ways between them on which datagrams fare as chance will.

    @param loss, twice: the shares of datagrams that get lost, and that come twice.
    @param spread_s: how much later a datagram may come than another.
    """

    def __init__(self, seed: int = 1, loss: float = 0.0, twice: float = 0.0, spread_s: float = 0.0) -> None:
        self.rng = random.Random(seed)
        self.clock = Clock()
        self.loss, self.twice, self.spread_s = loss, twice, spread_s
        self.addresses = [Address("10.0.0.1", 9200), Address("10.0.0.2", 9200)]
        self.nodes: list[FakeNode] = []
        self.tables: list[OwnTable] = []
        self.sides: list[Neighbours] = []
        self.sent: list[list[Message]] = [[], []]
        for side in range(2):
            self.nodes.append(FakeNode(side + 1, KeyPair.from_seed(bytes([side + 1]) * 32), clock=self.clock))
            self.tables.append(OwnTable(self.rng.randint(1, 2**48)))
            self.sides.append(self.make(side))

    def make(self, side: int) -> Neighbours:
        """The neighbours of one side; it knows where the other is."""
        table = self.tables[side]
        neighbours = Neighbours(self.nodes[side], table, lambda: Standing(0, 10, 9100), lambda: None)
        neighbours.start([self.addresses[1 - side]])
        return neighbours

    def restart(self, side: int, tokens: Sequence[str] | None = None) -> None:
        """Let one side lose its memory, as by a crash, and list its words anew, or others."""
        was = self.tables[side]
        self.sides[side].stop()
        # It died, and had no time to say that it leaves.
        self.nodes[side].datagrams.clear()
        self.tables[side] = OwnTable(self.rng.randint(1, 2**48))
        if tokens is None:
            self.tables[side].add_slots(slot << MOST_TABLE_BITS - was.bits for slot in slots_of(was))
        else:
            self.tables[side].add(tokens)
        self.sides[side] = self.make(side)

    def pass_time(self, seconds: float) -> None:
        """Let time pass and carry what is sent."""
        for _ in range(round(seconds / 0.02)):
            self.clock.advance(0.02)
            for side, node in enumerate(self.nodes):
                for message, _ in node.datagrams:
                    self.sent[side].append(message)
                    for _ in range(1 + (self.rng.random() < self.twice)):
                        if self.rng.random() >= self.loss:
                            delay_s = _LATENCY_S + self.rng.random() * self.spread_s
                            self.clock.callLater(delay_s, self.deliver, message, 1 - side)
                node.datagrams.clear()

    def deliver(self, message: Message, side: int) -> None:
        """Hand a message to one side."""
        take: Callable[..., None] = (
            self.sides[side].table_received if isinstance(message, Table) else self.sides[side].hello_received
        )
        take(message, self.addresses[1 - side])

    def known(self, side: int) -> Sequence[int] | None:
        """What one side knows of the other's table."""
        neighbour = self.sides[side].linked.get(self.addresses[1 - side])
        return None if neighbour is None or not neighbour.route.version else neighbour.route.slots()

    def is_even(self) -> bool:
        """Whether each side knows the table of the other."""
        return all(self.known(side) == slots_of(self.tables[1 - side]) for side in range(2))

    def seconds_until_even(self, most_s: float) -> float:
        """Let time pass until each side knows the table of the other; how much it was."""
        began = self.clock.seconds()
        while not self.is_even():
            assert self.clock.seconds() - began < most_s, f"not even after {most_s} s"
            self.pass_time(0.1)
        return self.clock.seconds() - began

    def count(self, side: int, kind: type[Message]) -> int:
        """How many messages of a kind one side has sent since this was last asked."""
        count = sum(isinstance(message, kind) for message in self.sent[side])
        self.sent[side] = [message for message in self.sent[side] if not isinstance(message, kind)]
        return count

    def add(self, side: int, tokens: Sequence[str]) -> None:
        """Have words on one side."""
        self.tables[side].add(tokens)
        self.sides[side].table_changed()


class PairTests(SynchronousTestCase):
    """Two neighbours that tell each other their tables."""

    def test_both(self) -> None:
        """Two super peers given each other are one neighbour to each, and soon know each other's words."""
        pair = Pair()
        pair.add(0, words(100))
        pair.add(1, words(100, 50))
        self.assertLess(pair.seconds_until_even(5), 1.5)
        self.assertEqual([len(side.linked) for side in pair.sides], [1, 1])
        neighbour = pair.sides[0].linked[pair.addresses[1]]
        self.assertTrue(neighbour.may_have([hash_of("w:word149")]))
        self.assertFalse(neighbour.may_have([hash_of("w:word0")]))

    def test_empty(self) -> None:
        """Of a super peer without words it is known that it has none."""
        pair = Pair()
        pair.pass_time(5)
        self.assertEqual([pair.known(0), pair.known(1)], [[], []])

    def test_at_rest(self) -> None:
        """When nothing changes, no tables are sent."""
        pair = Pair()
        pair.add(0, words(1000))
        pair.pass_time(10)
        pair.count(0, Table)
        pair.pass_time(60)
        self.assertEqual(pair.count(0, Table), 0)

    def test_batches(self) -> None:
        """However often a table changes, there is a message a second and a greeting for each."""
        pair = Pair()
        pair.pass_time(5)
        for side in range(2):
            pair.count(side, Table)
            pair.count(side, SuperHello)
        for number in range(1000):
            pair.add(0, [f"w:{number}"])
            pair.pass_time(0.02)
        self.assertTrue(12 <= pair.count(0, Table) <= 21)
        self.assertTrue(pair.count(1, SuperHello) <= 21)
        self.assertLess(pair.seconds_until_even(5), 2.5)

    def test_fresh(self) -> None:
        """A change of a table that was at rest is known in half a second."""
        pair = Pair()
        pair.pass_time(10)
        pair.add(0, ["w:apple"])
        self.assertLess(pair.seconds_until_even(5), 0.5)

    @slow
    def test_large(self) -> None:
        """Large tables take some seconds, at a pace; with losses they take longer, and all the same arrive."""
        for loss, most_s in ((0.0, 6.0), (0.05, 25.0)):
            pair = Pair(loss=loss)
            pair.add(0, words(100_000))
            self.assertLess(pair.seconds_until_even(60), most_s)

    def test_lossy(self) -> None:
        """With loss, doubles and overtaking tables that change all the time become even when they rest."""
        for seed in range(5):
            pair = Pair(seed, loss=0.2, twice=0.2, spread_s=0.5)
            rng = random.Random(seed)
            for _ in range(60):
                side = rng.randrange(2)
                pair.add(side, words(rng.randrange(300), rng.randrange(10_000)))
                pair.tables[side].discard(words(rng.randrange(300), rng.randrange(10_000)))
                pair.sides[side].table_changed()
                pair.pass_time(0.5)
            pair.seconds_until_even(60)

    def test_restarts(self) -> None:
        """Whoever restarts, even before its silence was noticed, is told all and tells all."""
        pair = Pair()
        pair.add(0, words(500))
        pair.add(1, words(500, 200))
        pair.pass_time(10)
        for away_s in (0.0, 3.0):
            pair.restart(1)
            pair.add(1, words(10, 9000))
            pair.tables[1].discard(words(300, 200))
            pair.sides[1].table_changed()
            pair.pass_time(away_s)
            self.assertLess(pair.seconds_until_even(10), 8)

    def test_restarts_with_others(self) -> None:
        """Whoever restarts with as many words, but others, is not taken for who it was."""
        pair = Pair()
        pair.add(1, words(500))
        pair.pass_time(10)
        pair.restart(1, words(500, 1000))
        self.assertLess(pair.seconds_until_even(10), 8)

    def test_full(self) -> None:
        """A table that is full is told to be so, and told anew when it is no more."""
        pair = Pair()
        pair.tables[0].add_slots(range(0, 1 << 20, 4))
        pair.sides[0].table_changed()
        pair.pass_time(5)
        neighbour = pair.sides[1].linked[pair.addresses[0]]
        self.assertTrue(neighbour.route.is_full)
        self.assertTrue(neighbour.may_have([hash_of("w:anything")]))
        pair.tables[0].discard_slots(range(4000, 1 << 20, 4))
        pair.sides[0].table_changed()
        pair.pass_time(5)
        self.assertEqual(pair.known(1), slots_of(pair.tables[0]))

    def test_not_told(self) -> None:
        """Tables can be kept back, and told later on."""
        pair = Pair()
        pair.sides[0].tells_tables = False
        pair.add(0, words(100))
        pair.pass_time(10)
        self.assertEqual(pair.count(0, Table), 0)
        self.assertIsNone(pair.known(1))
        pair.sides[0].tells_tables = True
        pair.seconds_until_even(10)
        pair.sides[0].tells_tables = False
        pair.pass_time(5)
        self.assertIsNone(pair.known(1), "what is not kept up is not believed")
        self.assertTrue(pair.sides[1].linked[pair.addresses[0]].may_have([hash_of("w:anything")]))

    def test_rubbish(self) -> None:
        """Tables of rubbish, or more than is allowed, are counted and cost nothing else."""
        pair = Pair()
        pair.add(1, words(100))
        pair.pass_time(5)
        side, address = pair.sides[0], pair.addresses[1]
        before = pair.known(0)
        side.table_received(Table(base=0, version=7, on="!!!!"), address)
        side.table_received(Table(base=0, version=7, on="/////w=="), address)
        self.assertEqual(side.rubbish, 2)
        for number in range(10_000):
            side.table_received(Table(base=5, version=number + 1, part=number % 3, parts=3), address)
        self.assertTrue(side.rubbish > 9_500, side.rubbish)
        self.assertEqual(pair.known(0), before)

    def test_jumping_versions(self) -> None:
        """A neighbour whose table is another each time is greeted once a second for it, and no more often."""
        pair = Pair()
        pair.pass_time(5)
        pair.count(0, SuperHello)
        for number in range(1000):
            pair.sides[0].table_received(Table(base=0, version=1 + number * 7919 % 1000), pair.addresses[1])
            pair.pass_time(0.02)
        self.assertTrue(pair.count(0, SuperHello) <= 22)
        self.assertIsNotNone(pair.known(0))

    @examples(60)
    @given(
        st.integers(0, 2**32),
        st.lists(
            st.tuples(st.integers(0, 1), st.sampled_from(["add", "discard", "restart", "wait", "cut"])), max_size=20
        ),
    )
    def test_whatever_happens(self, seed: int, steps: list[tuple[int, str]]) -> None:
        """Whatever happens to tables, super peers and datagrams, both sides are even soon after it ends."""
        pair = Pair(seed, loss=0.1, twice=0.1, spread_s=0.3)
        for side, step in steps:
            loss = pair.loss
            if step == "add":
                pair.add(side, words(40, pair.rng.randrange(400)))
            elif step == "discard":
                pair.tables[side].discard(words(40, pair.rng.randrange(400)))
                pair.sides[side].table_changed()
            elif step == "restart":
                pair.restart(side)
            elif step == "cut":
                pair.loss = 1.0
            pair.pass_time(pair.rng.random() * 5)
            pair.loss = loss
        pair.seconds_until_even(90)
