"""A ring: what can be simulated of it, and what comes of a run."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from tests import slow
from twisted_bazaar.discovery.ring.member.lookup_driver import Lookups
from twisted_bazaar.discovery.ring.rules.fingers import Fingers
from twisted_bazaar.discovery.ring.rules.identifiers import Contact, Ring
from twisted_bazaar.discovery.ring.rules.invariant import flaws
from twisted_bazaar.discovery.ring.rules.lookup import Found
from twisted_bazaar.discovery.ring.rules.stabilization import Stabilization
from twisted_bazaar.sim.ring.global_view import RingView
from twisted_bazaar.sim.ring.ideal_ring import initial_neighbours_of
from twisted_bazaar.sim.ring.report import PhaseReport
from twisted_bazaar.sim.ring.run import RingRun, ring_failures, ring_hops
from twisted_bazaar.sim.ring.scenario import LookupEntry, RingScenario
from twisted_bazaar.sim.ring.tables import TABLES
from twisted_bazaar.sim.scenario import FaultEntry
from twisted_bazaar.sim.scenario_file import read_file, read_scenario, write_file
from twisted_bazaar.values.addresses import Address

SMALL: Final = RingScenario(nodes=24, lookups=20, values=10, for_="40s", settle="30s")


class RingScenarioTests(SynchronousTestCase):
    """What can be simulated."""

    def test_names(self) -> None:
        """Nodes are numbered, and more or fewer of them are made by one setting."""
        scenario = RingScenario(nodes=3)
        self.assertEqual(scenario.names(), ["node-1", "node-2", "node-3"])
        self.assertEqual(scenario.evolve(**scenario.with_counts({"node": 2})).counts, {"node": 2})

    def test_phases(self) -> None:
        """Lookups are made before nodes die, at that instant, and when there was time for repair; else all the time."""
        scenario = RingScenario(for_="60s")
        self.assertEqual([scenario.looking(phase) for phase in scenario.phases], [(0, 24), (30, 30), (45, 50)])
        self.assertEqual(
            [scenario.phase_at(at_s) for at_s in (0, 29.9, 30, 45)], ["calm", "calm", "deaths", "repaired"]
        )
        calm = scenario.evolve(dead=0.0)
        self.assertEqual([calm.looking(phase) for phase in calm.phases], [(0, 50)])
        self.assertEqual(calm.phase_at(50), "calm")

    def test_rate(self) -> None:
        """Where nodes come and go at a rate, it is looked when some of them have done so."""
        scenario = RingScenario(for_="100s", dead=0.0, rate=0.1)
        self.assertEqual([scenario.looking(phase) for phase in scenario.phases], [(40, 90)])

    def test_round(self) -> None:
        """Who looks after its neighbours seldom waits as much longer before it finds a predecessor silent."""
        settings = RingScenario(round="5s", successors=4).settings
        self.assertEqual((settings.round_s, settings.silence_s, settings.successors), (5.0, 9.0, 4))

    def test_refused(self) -> None:
        """What cannot be is refused."""
        for settings, expected in (
            ({"round": "1ms"}, "round: takes a time"),
            ({"rate": 0.1}, "rate: goes with dead 0, not 0.3"),
            ({"rate": 0.1, "dead": 0.0, "churn": 0.5}, "rate: goes with churn 0, not 0.5"),
            ({"successors": 2, "replicas": 3}, "replicas: takes as many as there are successors, 2, not 3"),
            ({"seeks": [LookupEntry(node="node-1001", at="1s", key="a")]}, "node: takes node-1 to node-1000"),
        ):
            with self.assertRaisesRegex(ValueError, expected):
                RingScenario(**settings)


class SeatsTests(SynchronousTestCase):
    """Rings that are right from the beginning."""

    def seats(self, count: int) -> list[Stabilization]:
        """So many nodes that have taken their seats."""
        ring, rng = Ring(), random.Random(5)
        contacts = [Contact(rng.getrandbits(64), f"{n}", Address("10.0.0.1", n + 1)) for n in range(count)]
        memberships = []
        for contact, seat in initial_neighbours_of(ring, contacts, 4).items():
            stabilization = Stabilization(contact, ring, 4)
            stabilization.begin(seat)
            memberships.append(stabilization)
        return memberships

    def test_right(self) -> None:
        """Everybody knows exactly its neighbours, on rings smaller than their lists too."""
        for count in (1, 2, 3, 5, 6, 40):
            standings = [stabilization.state for stabilization in self.seats(count)]
            self.assertEqual(list(flaws(Ring(), standings, 4)), [], count)
            self.assertTrue(all(standing.is_member for standing in standings))

    def test_fingers(self) -> None:
        """Everybody knows somebody in each part of its fingers in which somebody stands."""
        ring, rng = Ring(), random.Random(6)
        contacts = [Contact(rng.getrandbits(64), f"{n}", Address("10.0.0.1", n + 1)) for n in range(100)]
        for contact, seat in initial_neighbours_of(ring, contacts, 4).items():
            fingers, other = (Fingers(contact.id, ring) for _ in range(2))
            for each in seat.known:
                fingers.learn(each)
            for each in contacts:
                other.learn(each)
            missing = {
                slot
                for slot, part in other._slots.items()
                if part.held
                and not fingers._slots.get(slot)
                and min(ring.distance(contact.id, each.id) for each in part.held)
                > ring.distance(contact.id, seat.successors[-1].id) * 2
            }
            self.assertEqual(missing, set())


class RingRunTests(SynchronousTestCase):
    """Runs of it."""

    def test_deaths(self) -> None:
        """Who is looked for is found before nodes die, at that instant and afterwards, and all of it is told."""
        report = RingRun(SMALL).run()
        self.assertEqual(report.violations, [])
        self.assertEqual([phase.name for phase in report.phases], ["calm", "deaths", "repaired"])
        self.assertEqual([phase.nodes for phase in report.phases], [24, 17, 17])
        self.assertEqual([(phase.asked, phase.unended) for phase in report.phases], [(20, 0)] * 3)
        self.assertEqual((report.dead, report.values.kept), (7, 10))
        self.assertIsNotNone(report.repaired_s)
        told = json.loads(json.dumps(report.to_json()))
        self.assertEqual(told["phases"][0]["hops_mean"], report.phase("calm").mean_hops)
        self.assertEqual(told["values"]["kept"], 10)

    def test_joined(self) -> None:
        """A ring that nodes have joined one after the other is right as well, and so are lookups on it."""
        report = RingRun(SMALL.evolve(begin="joined", dead=0.0)).run()
        self.assertEqual(report.violations, [])
        self.assertEqual([(phase.name, phase.nodes, phase.failed) for phase in report.phases], [("calm", 24, 0)])

    def test_named(self) -> None:
        """To name what chance has drawn changes nothing."""
        run = RingRun(SMALL.evolve(churn=0.5, loss=0.01, faults_a_minute=20.0, fault_kinds=["kill", "crash"], seed=5))
        report = run.run(stop_at_violation=False)
        named = run.fixed()
        self.assertTrue(named.faults)
        self.assertEqual((named.lookups, len(named.seeks)), (0, 60))
        again = RingRun(read_scenario(RingScenario, read_file(write_file(named).encode(), "here")))
        self.assertEqual((again.run(stop_at_violation=False).trace_hash, again.fixed()), (report.trace_hash, named))

    def test_named_lookup(self) -> None:
        """What is named is looked for, and nothing else; if who is to look is away, by another."""
        fault = FaultEntry(kind="kill", at="1s", for_="9s", nodes=["node-2"])
        seeks = [LookupEntry(node="node-2", at="5s", key="a")]
        scenario = SMALL.evolve(lookups=0, values=0, seeks=seeks, faults=[fault], dead=0.0, for_="12s", mode="safety")
        report = RingRun(scenario).run()
        self.assertEqual((report.wants, report.obtained, report.violations), (1, 1, []))

    def test_rate(self) -> None:
        """At a rate new nodes join, and as many die for good; the ring gets right again, and has them no more."""
        run = RingRun(SMALL.evolve(rate=0.5, dead=0.0, values=0))
        report = run.run()
        self.assertEqual(report.violations, [])
        joined = [name for name in run.cluster.members if name.startswith("newcomer-")]
        died = [member for member in run.cluster.members.values() if not run._is_to_run(member)]
        self.assertTrue(5 < len(joined) < 40 and 5 < len(died) < 40, (joined, died))
        self.assertEqual([member.name for member in died if member.starts != 1], [])
        self.assertEqual(report.phase("calm").asked, 20)

    def test_never_ended(self) -> None:
        """A lookup that does not end has failed."""
        find = Lookups.find

        def never(lookups: Lookups, identifier: int, *start: Any, **how: Any) -> Deferred[Found]:
            # Those that keep the ring right say how they are to be made.
            return find(lookups, identifier, *start, **how) if how else Deferred()

        self.patch(Lookups, "find", never)
        report = RingRun(SMALL.evolve(dead=0.0, values=0, for_="12s", mode="safety"), checks=()).run()
        phase = report.phase("calm")
        self.assertEqual((phase.asked, phase.failed, phase.unended, phase.left, phase.mean_hops), (20, 20, 20, 0, None))
        self.assertEqual((report.wants, report.obtained), (20, 0))

    def test_who_looked_died(self) -> None:
        """A lookup by a node that dies before it ends has failed too, and is told apart."""
        fault = FaultEntry(kind="kill", at="5.001s", for_="9s", nodes=["node-2"])
        seeks = [LookupEntry(node="node-2", at="5s", key="a"), LookupEntry(node="node-3", at="5s", key="a")]
        scenario = SMALL.evolve(lookups=0, values=0, seeks=seeks, faults=[fault], dead=0.0, for_="12s", mode="safety")
        phase = RingRun(scenario).run().phase("calm")
        self.assertEqual((phase.asked, phase.failed, phase.unended, phase.left), (2, 1, 1, 1))

    def test_other_bytes(self) -> None:
        """What keeps the ring right is counted by itself: lookups add little but the first words to somebody."""
        scenario = SMALL.evolve(dead=0.0, values=0, for_="60s", mode="safety")
        few, many = (RingRun(scenario.evolve(lookups=lookups)).run().phase("calm") for lookups in (0, 200))
        self.assertLess(abs(few.bytes_a_second - many.bytes_a_second), few.bytes_a_second / 4)

    def test_bytes_before(self) -> None:
        """How many nodes die does not change what each has sent until then."""
        scenario = SMALL.evolve(lookups=0, values=0, for_="12s", mode="safety")
        few, many = (RingRun(scenario.evolve(dead=dead)).run().phase("calm") for dead in (0.1, 0.5))
        self.assertEqual(few.bytes_a_second, many.bytes_a_second)

    def test_for_benchmarks(self) -> None:
        """Lookups are made alone: on a ring that is right, or at the instant when nodes die."""
        calm, dead = ring_hops(16, 1, 30), ring_failures(16, 0.25, 30, 1)
        self.assertEqual((calm.name, calm.nodes, calm.asked, calm.failed), ("calm", 16, 30, 0))
        self.assertEqual((dead.name, dead.nodes, dead.asked), ("deaths", 12, 30))

    @slow
    def test_hash_seed(self) -> None:
        """A run does not depend on how Python hashes."""
        words = "--nodes 20 --lookups 10 --values 5 --for 20s --settle 20s --churn 0.5 --faults-a-minute 20"
        command = [sys.executable, "-m", "twisted_bazaar", "simulate", "ring", "--json", "--mode", "safety"]
        told = []
        for hash_seed in ("1", "2"):
            env = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(Path(__file__).parents[2])}
            ended = subprocess.run([*command, *words.split()], capture_output=True, text=True, timeout=60, env=env)
            self.assertEqual(ended.returncode, 0, ended.stdout + ended.stderr)
            told.append(json.loads(ended.stdout))
            del told[-1]["real_s"]
        self.assertEqual(told[0], told[1])


class RingViewTests(SynchronousTestCase):
    """What is seen of a ring from outside."""

    def test_like_all(self) -> None:
        """Who has the wrong neighbours is known at every change, as if all were looked at anew."""
        run = RingRun(SMALL.evolve(churn=1.0, values=0, mode="safety", begin="joined"), checks=())
        seen, view = [], run.view

        def compare(contact: Contact) -> None:
            found = list(flaws(view.ring, view.states(), view.most))
            seen.append(len(found))
            self.assertEqual(len(view.wrong_after) + len(view.wrong_before), len(found))

        view.watch(compare, lambda contact: None)
        run.run()
        self.assertIs(RingView.of(run.cluster), view)
        self.assertGreater(len(seen), 100)
        self.assertEqual((min(seen), max(seen) > 3), (0, True))
        self.assertEqual(self.flushLoggedErrors(), [])


class PhaseReportTests(SynchronousTestCase):
    """What is told of the lookups of a phase."""

    def phase(self, nodes: int, *hops: int) -> PhaseReport:
        """A phase with ways of these lengths."""
        return PhaseReport(
            name="calm",
            nodes=nodes,
            asked=len(hops),
            failed=0,
            unfound=0,
            unended=0,
            left=0,
            hops=sorted(hops),
            questions=None,
            lates=(),
            timeouts=(),
            seconds_to_find=(),
            seconds=1.0,
            bytes_a_second=0.0,
        )

    def test_hops(self) -> None:
        """The mean, the longest but for one of a hundred, and what is to be expected of simple fingers."""
        phase = self.phase(1024, *[3] * 98, 5, 9)
        self.assertEqual((phase.mean_hops, phase.p99_hops, phase.half_log2), (3.08, 9, 5.0))

    def test_failed(self) -> None:
        """How many failed is told as of ten thousand, and how many nodes were late or dead as a mean."""
        phase = evolve(self.phase(16, *[1] * 38), asked=40, failed=2, lates=[0, 0, 3], timeouts=[0, 1])
        self.assertEqual((phase.failed_of_10_000, phase.late, phase.dead), (500, 1, 0.5))

    def test_nothing(self) -> None:
        """Of no lookups nothing is told."""
        phase = self.phase(0)
        self.assertEqual((phase.mean_hops, phase.p99_hops, phase.half_log2), (None, None, 0.0))
        self.assertEqual((phase.failed_of_10_000, phase.late), (None, None))


class RingTableTests(SynchronousTestCase):
    """Tables that several runs make."""

    SMALL: Final = RingScenario(nodes=16, lookups=5, values=2, for_="12s", mode="safety", dead=0.0)

    def test_sizes(self) -> None:
        """The length of ways is told for each size up to the one that is wished, which need not be one of them."""
        sizes = [[run.nodes for run in TABLES["path"].runs(self.SMALL.evolve(nodes=nodes))] for nodes in (64, 300)]
        self.assertEqual(sizes, [[16, 64], [16, 64, 256, 300]])

    def test_shares(self) -> None:
        """As many die as in Table II, and a row each for what becomes of the ring."""
        self.assertEqual([run.dead for run in TABLES["deaths"].runs(self.SMALL)], [0.0, 0.1, 0.2, 0.3, 0.4, 0.5])
        self.assertEqual([run.dead for run in TABLES["repair"].runs(self.SMALL)], [0.1, 0.3, 0.5])

    def test_rates(self) -> None:
        """As many come and go as in the rows of Table III, in proportion to the number of nodes."""
        rates = [run.rate for run in TABLES["churn"].runs(self.SMALL.evolve(nodes=2_000))]
        self.assertEqual([round(rate, 6) for rate in rates], [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8])

    def test_rows(self) -> None:
        """Each table has a cell for each of its columns, and all that is told stands in JSON too."""
        for name, table in TABLES.items():
            row = table.row(table.runs(self.SMALL)[-1])
            self.assertEqual(len(row.cells), len(table.columns), name)
            self.assertTrue(json.loads(json.dumps(row.figures)), name)

    def test_theirs(self) -> None:
        """What stands in the paper stands beside ours."""
        deaths, churn = (TABLES[name].row(TABLES[name].runs(self.SMALL)[1]).cells for name in ("deaths", "churn"))
        self.assertEqual((deaths[0], deaths[1], deaths[3]), ("10%", "4.03 (2, 6)", "0.60 (0, 2)"))
        self.assertEqual((churn[0], churn[2], churn[4], churn[7]), ("0.10", "3.83", "0.11", "0"))
