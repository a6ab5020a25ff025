"""Which connections are taken while there is room for few."""

from __future__ import annotations

import contextlib
import random
from collections import Counter
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.errors import NoSlots
from twisted_bazaar.node.admission import Admission, Tally


class AdmissionTests(SynchronousTestCase):
    """All places can be taken, and nobody takes another's."""

    def setUp(self) -> None:
        """Ten places, all of which may be taken by who is silent."""
        self.admission: Admission[str] = Admission(10, 10)
        self.host_of: dict[str, str] = {}

    def connect(self, name: str, host: str, *, settles: bool = False) -> str | None:
        """Make a connection; returns who went for it.

        @raise NoSlots: it was not taken.
        """
        gone = self.admission.admit(host)
        if gone is not None:
            self.admission.connection_closed(gone)
            del self.host_of[gone]
        self.admission.connection_opened(name, host)
        self.host_of[name] = host
        if settles:
            self.admission.connection_greeted(name)
        return gone

    def fill(self, host: str, count: int = 10, *, settles: bool = False) -> Sequence[str]:
        """Make some connections from one host."""
        names = [f"{host}-{number}" for number in range(count)]
        for name in names:
            self.connect(name, host, settles=settles)
        return names

    def test_silent_first(self) -> None:
        """When one host has all places with connections that say nothing, its oldest goes for somebody else."""
        self.fill("192.0.2.1")
        self.assertEqual(self.connect("honest", "192.0.2.2"), "192.0.2.1-0")
        self.admission.connection_greeted("honest")
        self.assertEqual(self.connect("second", "192.0.2.3"), "192.0.2.1-1")

    def test_batch(self) -> None:
        """Of a thousand that come before any socket is closed a few push out others; an honest one comes in."""
        self.fill("192.0.2.1")
        gone = []
        for number in range(1000):
            with contextlib.suppress(NoSlots):
                gone.append(self.admission.admit("192.0.2.1"))
                self.admission.connection_opened(f"more-{number}", "192.0.2.1")
        gone.append(self.admission.admit("192.0.2.2"))
        self.assertEqual(len(gone), 5)
        for connection in gone:
            self.admission.connection_closed(connection or "")
        self.admission.admit("192.0.2.1")

    def test_silent_batch(self) -> None:
        """Where only places of silent ones are few, however many come in one turn, each is taken."""
        admission: Admission[int] = Admission(1_000, 10)
        for number in range(200):
            admission.admit(f"192.0.2.{number}")
            admission.connection_opened(number, f"192.0.2.{number}")
        self.assertEqual(len(admission), 10)

    def test_its_own(self) -> None:
        """Who has most places takes one of its own when it wants more."""
        self.connect("honest", "192.0.2.2", settles=True)
        self.fill("192.0.2.1", 9)
        gone = [self.connect(f"more-{number}", "192.0.2.1") for number in range(100)]
        self.assertNotIn("honest", gone)
        self.assertEqual(Counter(self.host_of.values()), {"192.0.2.1": 9, "192.0.2.2": 1})

    def test_youngest_of_many(self) -> None:
        """When one host has all places with links, its youngest goes for another; its own next one is turned away."""
        self.fill("192.0.2.1", settles=True)
        with self.assertRaises(NoSlots):
            self.connect("more", "192.0.2.1")
        self.assertEqual(self.connect("honest", "192.0.2.2", settles=True), "192.0.2.1-9")
        self.assertEqual(len(self.admission), 10)

    def test_all_equal(self) -> None:
        """Where nobody has more than others and all have said who they are, a newcomer is turned away."""
        for number in range(10):
            self.connect(f"c{number}", f"192.0.2.{number}", settles=True)
        with self.assertRaises(NoSlots):
            self.connect("newcomer", "192.0.2.99")

    def test_silent_of_many_hosts(self) -> None:
        """Ten hosts with one silent connection each keep nobody out: the oldest goes."""
        for number in range(10):
            self.connect(f"c{number}", f"192.0.2.{number}")
        self.assertEqual(self.connect("newcomer", "192.0.2.99"), "c0")

    def test_one_network(self) -> None:
        """Who has one IPv6 address has 2**64: they count as one host."""
        for number in range(10):
            self.connect(f"c{number}", f"2001:db8::{number:x}", settles=True)
        self.assertEqual(self.connect("honest", "2001:db8:1::1"), "c9")

    def test_handed_over(self) -> None:
        """A connection that goes on as something else keeps its place until that ends."""
        self.fill("192.0.2.1", 9, settles=True)
        self.connect("asks for a file", "192.0.2.1")
        self.admission.replace("asks for a file", "upload")
        self.admission.connection_closed("asks for a file")
        self.assertEqual(len(self.admission), 10)
        self.assertEqual(self.admission.admit("192.0.2.2"), "upload")
        self.admission.connection_closed("upload")
        self.assertIsNone(self.admission.admit("192.0.2.2"))

    def test_few_silent(self) -> None:
        """Past its own limit of silent connections the oldest of who has most of them goes, whatever room there is."""
        self.admission = Admission(1000, 5)
        self.connect("other", "192.0.2.2")
        self.fill("192.0.2.1", 4)
        self.assertEqual(self.connect("more", "192.0.2.1"), "192.0.2.1-0")
        self.assertEqual(self.connect("third", "192.0.2.3"), "192.0.2.1-1")

    def test_silent_again_and_again(self) -> None:
        """Hosts with one silent connection each that come again when cut off go before those that come once."""
        self.admission = Admission(1000, 5)
        mute = [f"192.0.2.{number}" for number in range(8)]
        for number in range(40):
            self.connect(f"mute-{number}", mute[number % 8])
        self.connect("honest", "198.51.100.1")
        for number in range(40, 80):
            self.connect(f"mute-{number}", mute[number % 8])
        self.assertIn("honest", self.host_of)
        # Who has said who it is may be slow another time.
        self.admission.connection_greeted("mute-79")
        self.admission.connection_closed("mute-79")
        self.connect("slow", mute[79 % 8])
        for number in range(80, 87):
            self.connect(f"mute-{number}", mute[number % 8])
        self.assertIn("slow", self.host_of)

    @given(st.lists(st.tuples(st.integers(0, 3), st.booleans(), st.booleans()), max_size=80))
    def test_anything(self, steps: list[tuple[int, bool, bool]]) -> None:
        """There are never more than there is room for, and whoever has fewer than others by two always comes in."""
        self.setUp()
        for number, (host, settles, one_leaves) in enumerate(steps):
            before = Counter(self.host_of.values())
            try:
                gone = self.connect(str(number), f"192.0.2.{host}", settles=settles)
            except NoSlots:
                self.assertGreaterEqual(before[f"192.0.2.{host}"] + 1, max(before.values()))
            else:
                self.assertNotEqual(gone, str(number))
            self.assertLessEqual(len(self.admission), 10)
            self.assertEqual(len(self.admission), len(self.host_of))
            if one_leaves and self.host_of:
                leaves = next(iter(self.host_of))
                del self.host_of[leaves]
                self.admission.connection_closed(leaves)


class TallyTests(SynchronousTestCase):
    """Which network has most."""

    def test_busiest(self) -> None:
        """Whatever comes and goes, it is one with the largest count."""
        chance, tally, counts = random.Random(1), Tally(), Counter[str]()
        for _ in range(3000):
            network, by = f"10.0.0.{chance.randrange(9)}", chance.choice((1, 1, -1))
            if counts[network] + by < 0:
                continue
            counts[network] += by
            tally.change(network, by)
            self.assertEqual({each: tally[each] for each in counts}, counts)
            if counts.total():
                self.assertEqual(counts[tally.busiest_network], max(counts.values()))
