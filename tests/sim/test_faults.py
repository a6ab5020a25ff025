"""What goes wrong, when, with whom, and that it ends."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.sim.cluster import Cluster, Member, Observer, Programme
from twisted_bazaar.sim.engine.hosts import Network
from twisted_bazaar.sim.engine.network_conditions import Conditions
from twisted_bazaar.sim.faults import Fault, FaultKind, Faults, draw_faults

_KINDS = list(FaultKind)
_NAMES = [f"node-{number}" for number in range(10)]


class _Notes(Observer):
    """Keeps what begins and ends."""

    def __init__(self) -> None:
        self.notes: list[tuple[str, str]] = []

    def on_event(self, event: str, details: Mapping[str, Any]) -> None:
        self.notes.append((details["fault"], details["what"]))


class FaultsTests(SynchronousTestCase):
    """Faults that befall members of a cluster."""

    def setUp(self) -> None:
        """Two members that run, and one that does not."""
        self.network = Network(1, Conditions(0.01))
        self.cluster = Cluster(self.network)
        self.a, self.b, self.away = (self.cluster.add(name, Programme()) for name in ("a", "b", "away"))
        self.a.start()
        self.b.start()
        self.faults = Faults(self.cluster)
        self.run_for(1)

    def run_for(self, seconds: float) -> None:
        """Let time pass."""
        self.cluster.run(seconds)

    def schedule(self, kind: FaultKind, *spans: tuple[float, float], node: str = "a", strength: float = 1.0) -> None:
        """Let faults of one kind befall a member, each from one second to another."""
        self.faults.schedule([Fault(kind, begin, end - begin, (node,), strength) for begin, end in spans])

    def watch(self, what: Any, seconds: int = 10) -> list[object]:
        """Ask something half past every second, starting with the first."""
        seen = []
        self.run_for(0.5)
        for _ in range(seconds):
            seen.append(what())
            self.run_for(1)
        return seen

    def test_begin_and_end(self) -> None:
        """A fault begins and ends at its times, and both are told."""
        self.cluster.observe(notes := _Notes())
        fault = Fault(FaultKind.PARTITION, 2, 3, ("a",))
        self.faults.schedule([fault])
        under_way = self.watch(lambda: self.faults.under_way, 6)
        self.assertEqual(under_way, [[], [], [fault], [fault], [fault], []])
        self.assertEqual(notes.notes, [("partition", "begins"), ("partition", "ends")])

    def test_stranger(self) -> None:
        """A fault that names nobody is refused before any begins."""
        faults = [Fault(FaultKind.KILL, 1, 1, ("a",)), Fault(FaultKind.KILL, 1, 1, ("b", "nobody"))]
        with self.assertRaises(ValueError) as caught:
            self.faults.schedule(faults)
        self.run_for(5)
        self.assertEqual((str(caught.exception), self.a.starts), ("there is no member 'nobody'", 1))

    def test_crash_and_kill(self) -> None:
        """A program is down for as long as its fault lasts, and then started again; a crash takes the power too."""
        for kind, power in ((FaultKind.CRASH, [True, False, False, True]), (FaultKind.KILL, [True] * 4)):
            starts = self.a.starts
            self.schedule(kind, (1, 3))
            seen = self.watch(lambda: (self.a.node is not None, self.a.host.is_up), 4)
            with self.subTest(kind=kind):
                self.assertEqual(seen, list(zip([True, False, False, True], power, strict=True)))
                self.assertEqual(self.a.starts, starts + 1)

    def test_crashes_overlap(self) -> None:
        """A program is started again when the last fault that keeps it down has ended."""
        self.schedule(FaultKind.CRASH, (1, 4))
        self.schedule(FaultKind.KILL, (2, 6))
        self.schedule(FaultKind.CRASH, (5, 8))
        seen = self.watch(lambda: self.a.node is not None)
        self.assertEqual(seen, [True, *[False] * 7, True, True])

    def test_down_without_program(self) -> None:
        """A member whose program does not run has none when the fault has ended, but power."""
        for kind in (FaultKind.CRASH, FaultKind.KILL):
            self.schedule(kind, (1, 3), node="away")
            seen = self.watch(lambda: (self.away.node, self.away.host.is_up), 4)
            with self.subTest(kind=kind):
                self.assertEqual((seen[3], self.away.starts), ((None, True), 0))

    def test_pauses_overlap(self) -> None:
        """A program stands still until the last pause has ended."""
        self.schedule(FaultKind.PAUSE, (1, 4), (2, 6), (7, 8))
        seen = self.watch(lambda: self.a.host.is_paused, 9)
        self.assertEqual(seen, [False, *[True] * 5, False, True, False])

    def test_pause_ends_with_program(self) -> None:
        """A program that is started while a pause lasts does not stand still, nor does another pause end early."""
        self.schedule(FaultKind.PAUSE, (1, 5), (4, 7))
        self.schedule(FaultKind.KILL, (2, 3))
        seen = self.watch(lambda: self.a.host.is_paused, 8)
        self.assertEqual(seen, [False, True, False, False, True, True, True, False])

    def test_pause_without_program(self) -> None:
        """Where no program runs none stands still, also when it is started later."""
        self.schedule(FaultKind.PAUSE, (1, 5), node="away")
        self.run_for(2)
        self.away.start()
        self.assertEqual(self.away.host.is_paused, False)

    def test_partitions_overlap(self) -> None:
        """What several partitions separate stays separate until the last has ended; one of one way cuts one way."""
        self.schedule(FaultKind.PARTITION, (1, 4), (1, 4), (2, 6))
        self.schedule(FaultKind.ONE_WAY, (5, 8))
        is_cut = self.network.ways.is_cut
        seen = self.watch(lambda: (is_cut("a", "b"), is_cut("b", "a")), 9)
        self.assertEqual(seen, [(False,) * 2, *[(True, True)] * 5, *[(True, False)] * 2, (False,) * 2])

    def test_slow_overlap(self) -> None:
        """What makes a machine slow adds up, and each ends by itself."""
        self.schedule(FaultKind.SLOW, (1, 4), strength=2)
        self.schedule(FaultKind.SLOW, (2, 6), strength=10)
        seen = self.watch(lambda: round(self.network.ways.conditions("b", "a").latency_s, 3), 7)
        self.assertEqual(seen, [0.01, 0.02, 0.2, 0.2, 0.1, 0.1, 0.01])

    def test_skews_overlap(self) -> None:
        """What makes a clock wrong adds up, each ends by itself, and then the clock is exactly as fast as others."""
        self.schedule(FaultKind.SKEW, (1, 4), strength=1.1)
        self.schedule(FaultKind.SKEW, (2, 6), strength=0.7)
        seen = self.watch(lambda: round(self.a.host.clock_rate, 6), 7)
        self.assertEqual(seen, [1.0, 1.1, 0.77, 0.77, 0.7, 0.7, 1.0])
        self.assertEqual(self.a.host.clock_rate, 1.0)

    def test_disks_overlap(self) -> None:
        """A disk is full, and fails, until the last fault of that kind has ended; the kinds do not undo each other."""
        disk = self.a.host.disk
        self.schedule(FaultKind.DISK_FULL, (1, 4), (2, 6))
        self.schedule(FaultKind.DISK_ERROR, (3, 5), (4, 8))
        seen = self.watch(lambda: (disk.capacity_bytes == disk.used_bytes, disk.is_failing), 9)
        full = [False, *[True] * 5, *[False] * 3]
        failing = [*[False] * 3, *[True] * 5, False]
        self.assertEqual(seen, list(zip(full, failing, strict=True)))

    def test_end_all(self) -> None:
        """When all is to end, what is under way is undone and what was to come does not begin."""
        for kind in _KINDS:
            self.schedule(kind, (1, 100), (2, 100), (20, 100), strength=2.0)
        self.run_for(10)
        self.assertEqual(len(self.faults.under_way), 2 * len(_KINDS))
        self.faults.end_all()
        host = self.a.host
        state = (host.is_up, host.is_paused, host.clock_rate, host.disk.is_failing, self.a.node is None)
        self.assertEqual((state, self.faults.under_way), ((True, False, 1.0, False, False), []))
        self.assertEqual((self.network.ways.cuts, self.network.ways.conditions("a", "b")), ({}, Conditions(0.01)))
        self.run_for(200)
        self.assertEqual((self.faults.under_way, self.a.starts), ([], 2))

    def test_equal(self) -> None:
        """Two faults that are alike are two."""
        fault = Fault(FaultKind.SLOW, 1, 2, ("a",), 3.0)
        self.faults.schedule([fault, fault])
        self.assertEqual(self.watch(lambda: len(self.faults.under_way), 4), [0, 2, 2, 0])
        self.assertEqual(self.network.ways.conditions("a", "b"), Conditions(0.01))


class DrawTests(SynchronousTestCase):
    """Faults drawn from a seed."""

    def test_share(self) -> None:
        """Faults begin as often as was asked, and are of all kinds and with all members."""
        faults = draw_faults(random.Random(1), _NAMES, 36_000, 20, _KINDS)
        self.assertTrue(11_500 < len(faults) < 12_500, len(faults))
        kinds = Counter(fault.kind for fault in faults)
        self.assertEqual([kind for kind in _KINDS if kinds[kind] < 1000], [])
        self.assertEqual({name for fault in faults for name in fault.nodes}, set(_NAMES))

    def test_ends(self) -> None:
        """Every fault ends in time, lasts a while, and names members once."""
        faults = draw_faults(random.Random(1), _NAMES, 600, 20, _KINDS)
        self.assertEqual([fault for fault in faults if fault.at_s + fault.for_s > 600.01 or fault.for_s < 0], [])
        self.assertEqual([fault for fault in faults if list(fault.nodes) != sorted(set(fault.nodes))], [])
        self.assertEqual(faults, sorted(faults, key=lambda fault: fault.at_s))

    def test_ends_in_spite_of_rounding(self) -> None:
        """Neither rounding nor the sum of two fractions moves an end past the end of all."""
        for until_s in (60, 60.1, 90.5, 60.0004):
            faults = [
                fault for seed in range(100) for fault in draw_faults(random.Random(seed), _NAMES, until_s, 60, _KINDS)
            ]
            late = [fault for fault in faults if fault.at_s >= until_s or fault.at_s + fault.for_s > until_s]
            self.assertEqual((late, [fault for fault in faults if fault.for_s < 0]), ([], []))

    def test_sides(self) -> None:
        """Partitions cut off up to half of the members, all other faults befall one."""
        faults = draw_faults(random.Random(1), _NAMES, 6000, 20, _KINDS)
        sizes: dict[bool, set[int]] = {True: set(), False: set()}
        for fault in faults:
            sizes[fault.kind in (FaultKind.PARTITION, FaultKind.ONE_WAY)].add(len(fault.nodes))
        self.assertEqual(sizes, {True: {1, 2, 3, 4, 5}, False: {1}})

    def test_none(self) -> None:
        """Without a rate, members or kinds there are no faults."""
        rng = random.Random(1)
        drawn = [
            draw_faults(rng, _NAMES, 60, 0, _KINDS),
            draw_faults(rng, [], 60, 9, _KINDS),
            draw_faults(rng, _NAMES, 60, 9, []),
        ]
        self.assertEqual(drawn, [[], [], []])

    def test_seed(self) -> None:
        """One seed draws the same faults, another draws others."""
        first, again, other = (draw_faults(random.Random(seed), _NAMES, 600, 20, _KINDS) for seed in (1, 1, 2))
        self.assertEqual((first == again, first == other), (True, False))


class MemberTests(SynchronousTestCase):
    """Faults and starts."""

    def test_start_fails(self) -> None:
        """A program that cannot be started since its disk fails is tried again until it can."""
        network = Network(1)
        cluster = Cluster(network)
        member: Member = cluster.add("a", Programme())
        member.start()
        faults = Faults(cluster)
        faults.schedule([Fault(FaultKind.DISK_ERROR, 1, 30, ("a",)), Fault(FaultKind.KILL, 2, 1, ("a",))])
        cluster.run(20)
        self.assertEqual(member.node, None)
        cluster.run(20)
        self.assertNotEqual(member.node, None)
