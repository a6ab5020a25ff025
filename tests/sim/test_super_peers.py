"""A network of super peers: what can be simulated of it, and what comes of a run."""

from __future__ import annotations

import json
import math
import os
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any, Final

import msgspec
from twisted.trial.unittest import SynchronousTestCase

from tests import slow
from twisted_bazaar.discovery.index.words import is_fitting, question_of
from twisted_bazaar.sim.market.scenario import MarketScenario
from twisted_bazaar.sim.scenario import setting_names
from twisted_bazaar.sim.scenario_file import ImpossibleSetting, read_file, read_scenario, write_file
from twisted_bazaar.sim.setting_fields import setting_takes
from twisted_bazaar.sim.superpeer.graph import random_regular_graph
from twisted_bazaar.sim.superpeer.run import SuperPeerRun
from twisted_bazaar.sim.superpeer.scenario import AskEntry, SuperPeerScenario
from twisted_bazaar.sim.superpeer.titles import Popularity, Titles

OTHER: Final[dict[str, Any]] = {
    "nodes": 30,
    "super-peers": 12,
    "degree": 3,
    "leaves": 20,
    "may-lead": 0.25,
    "ttl": 3,
    "results": 7,
    "ping": "2.5s",
    "files": 90,
    "shared": 4,
    "zipf": 0.5,
    "phases": ["dynamic", "flood"],
    "queries": 9,
    "asks": [{"asker": "weak-peer-18", "at": "9s", "words": "one two"}],
}
SMALL: Final = SuperPeerScenario(
    nodes=60,
    super_peers=20,
    degree=3,
    files=120,
    shared=6,
    for_="36s",
    settle="25s",
    queries=10,
    results=5,
    ping="2.5s",
)


class SuperPeerScenarioTests(SynchronousTestCase):
    """Settings of such a network."""

    def refusal(self, **settings: Any) -> str:
        """What is said of settings that cannot be."""
        return str(self.assertRaises(ImpossibleSetting, read_scenario, SuperPeerScenario, settings))

    def test_file(self) -> None:
        """What is written to a file and read again is the same, in every setting of its own."""
        scenario = read_scenario(SuperPeerScenario, OTHER)
        usual, told = msgspec.to_builtins(SuperPeerScenario()), msgspec.to_builtins(scenario)
        own = set(setting_names(SuperPeerScenario)) - set(setting_names(MarketScenario))
        self.assertEqual(own - set(OTHER), set())
        self.assertEqual([name for name in OTHER if told[name] == usual[name]], [])
        self.assertEqual(read_scenario(SuperPeerScenario, read_file(write_file(scenario).encode(), "here")), scenario)
        self.assertEqual([name for name in OTHER if setting_takes(SuperPeerScenario, name) == "a text"], [])

    def test_names(self) -> None:
        """Every member has a name by its kind; nobody stands above them."""
        self.assertEqual(
            SuperPeerScenario(nodes=3, super_peers=2).names(), ["super-peer-1", "super-peer-2", "weak-peer-1"]
        )

    def test_counts(self) -> None:
        """The settings for some numbers of nodes give these numbers."""
        for super_peers in range(1, 5):
            for weak_peers in range(1, 5):
                counts = {"super-peer": super_peers, "weak-peer": weak_peers}
                self.assertEqual(SMALL.evolve(**SMALL.with_counts(counts)).counts, counts)

    def test_phases(self) -> None:
        """Each kind of search has an equal part of the time, which ends quietly."""
        self.assertEqual(list(SMALL.drawn_phases), ["flood", "routing", "dynamic"])
        self.assertEqual((SMALL.phase_s, SMALL.asking_s), (12.0, 6.0))
        two = SMALL.evolve(phases=["flood", "dynamic"], for_="60s")
        self.assertEqual((two.phase_s, two.asking_s), (30.0, 18.0))

    def test_impossible(self) -> None:
        """What cannot be is refused with the name of the setting and what it may be."""
        self.assertEqual(self.refusal(nodes=5), "nodes: 1000 super peers and a weak one need at least 1001, not 5")
        self.assertIn("phases[0]: takes dynamic, flood or routing", self.refusal(phases=["no"]))
        self.assertIn("ttl: takes a whole number from 1 to 16", self.refusal(ttl=17))
        self.assertIn("ping: takes a time", self.refusal(ping="soon"))
        self.assertIn("ping: takes a time above 0", self.refusal(ping="0s"))
        self.assertIn("queries: ", self.refusal(queries=100_000, phases=["flood"] * 11))
        ask = {"asker": "weak-peer-1", "at": "1s", "words": "one"}
        for wrong, words in {
            "asker": "asks[0].asker: takes weak-peer-1 to weak-peer-20000, not 'x'",
            "at": "asks[0].at: takes a time",
        }.items():
            self.assertIn(words, self.refusal(asks=[{**ask, wrong: "x"}]))
        fault = {"kind": "kill", "at": "1s", "for": "1s", "nodes": ["tracker"]}
        expected = (
            "faults[0].nodes: takes super-peer-1 to super-peer-1000, weak-peer-1 to weak-peer-20000, not 'tracker'"
        )
        self.assertIn(expected, self.refusal(faults=[fault]))


class GraphTests(SynchronousTestCase):
    """Who is linked to whom."""

    def test_regular(self) -> None:
        """Everybody has as many neighbours as everybody else, as many as asked for where that can be."""
        for nodes in (2, 5, 6, 7, 12, 50, 101):
            for degree in (1, 2, 3, 6, 30):
                near = random_regular_graph(nodes, degree, random.Random(7))
                possible = min(degree, nodes - 1)
                wanted = possible - 1 if nodes % 2 and possible % 2 else possible
                self.assertEqual({len(neighbours) for neighbours in near}, {wanted}, (nodes, degree))
                for node, neighbours in enumerate(near):
                    self.assertEqual((len(set(neighbours)), node in neighbours), (len(neighbours), False))
                    self.assertTrue(all(node in near[other] for other in neighbours))

    def test_random(self) -> None:
        """Nothing is left of the ring that it begins as: who is far away on it is a few links away."""
        near = random_regular_graph(1000, 6, random.Random(1))
        reached = {0}
        for _ in range(4):
            reached |= {other for node in reached for other in near[node]}
        self.assertGreater(len(reached), 500)
        self.assertEqual(near, random_regular_graph(1000, 6, random.Random(1)))
        self.assertNotEqual(near, random_regular_graph(1000, 6, random.Random(2)))

    def test_alone(self) -> None:
        """One alone has nobody."""
        self.assertEqual(random_regular_graph(1, 6, random.Random(1)), [[]])


class TitlesTests(SynchronousTestCase):
    """What there is to be found."""

    def setUp(self) -> None:
        """Some peers, and what they have."""
        self.scenario = SMALL.evolve(files=200, shared=9)
        self.peers = [f"weak-peer-{n}" for n in range(60)]
        self.titles = Titles(self.scenario, self.peers)

    def test_shared(self) -> None:
        """Everybody has about as many files as asked for, each once, and who has a file is known."""
        sizes = {len(held) for held in self.titles.held.values()}
        self.assertEqual((min(sizes), max(sizes)), (6, 12))
        for peer, held in self.titles.held.items():
            self.assertEqual(len(set(held)), len(held))
            self.assertTrue(all(peer in self.titles.holders[title] for title in held))
        files = list(self.titles.files_of("weak-peer-7"))
        self.assertEqual([file.name for file in files], [self.titles.names[n] for n in self.titles.held["weak-peer-7"]])
        self.assertEqual(len({file.digest for file in files}), len(files))

    def test_popular(self) -> None:
        """The first are had by many, most by few."""
        copies = [len(self.titles.holders.get(title, ())) for title in range(200)]
        self.assertGreater(copies[0], 40)
        self.assertGreater(sum(0 < count <= 3 for count in copies), 80)

    def test_matching(self) -> None:
        """What has all words of a question is known, as for those who are asked."""
        for title in (0, 3, 50):
            words = self.titles.names[title].split()[-1]
            whole, beginning = question_of(words)
            expected = [n for n in sorted(self.titles.holders) if is_fitting(self.titles.names[n], whole, beginning)]
            self.assertEqual(list(self.titles.matching(words)), expected)

    def test_more(self) -> None:
        """With more peers the others have what they had; and no two titles are the same."""
        self.assertEqual(len(set(self.titles.names)), 200)
        more = Titles(self.scenario, [*self.peers, "weak-peer-99"])
        self.assertEqual({name: more.held[name] for name in self.peers}, self.titles.held)

    def test_zipf(self) -> None:
        """The n-th is drawn 1/n as often as the first."""
        popularity, rng = Popularity(100, 1.0), random.Random(3)
        drawn = Counter(popularity.draw(rng) for _ in range(50_000))
        for n in (1, 3, 9):
            self.assertLess(abs(drawn[n] / drawn[0] - 1 / (n + 1)), 0.05)
        self.assertEqual(sorted(Popularity(3, 1.0).draw_several(rng, 5)), [0, 1, 2])


class SuperPeerRunTests(SynchronousTestCase):
    """Runs of it."""

    def test_compared(self) -> None:
        """The same questions are asked in each kind of search, and what comes of them is told side by side."""
        report = SuperPeerRun(SMALL.evolve(churn=0.0)).run()
        self.assertEqual(report.violations, [])
        self.assertEqual([phase.name for phase in report.phases], ["flood", "routing", "dynamic"])
        self.assertEqual({phase.searches["all"].asked for phase in report.phases}, {10})
        self.assertEqual({phase.searches["all"].recall for phase in report.phases}, {1.0})
        flood, routing, dynamic = (phase.searches["all"].messages or 0.0 for phase in report.phases)
        self.assertGreater(flood, routing)
        self.assertGreaterEqual(routing, dynamic)
        self.assertEqual(report.phases[0].tables_a_second, 0.0)
        self.assertEqual(report.obtained, report.wants)
        told = json.loads(json.dumps(report.to_json()))["phases"][2]
        self.assertEqual((told["name"], told["all"]["recall"]), ("dynamic", 1.0))

    def test_sessions(self) -> None:
        """Of those who are there at the beginning, about as many leave as churn says, whatever the shape."""
        run = SuperPeerRun(SMALL.evolve(churn=0.1))
        rng, shape = random.Random(5), 0.59
        lengths = [run._draw_session(rng, True) for _ in range(4_000)]
        self.assertLess(abs(sum(length < 60 for length in lengths) / 4_000 - 0.1), 0.02)
        later = [run._draw_session(rng, False) for _ in range(20_000)]
        self.assertLess(abs(sum(later) / 20_000 - 600.0), 40.0)
        below = sum(length < 600 / math.gamma(1 + 1 / shape) for length in later)
        self.assertLess(abs(below / 20_000 - 0.632), 0.02)

    def test_named(self) -> None:
        """To name what chance has drawn changes nothing."""
        run = SuperPeerRun(SMALL.evolve(churn=0.5, loss=0.01, faults_a_minute=20.0, seed=5))
        report = run.run()
        named = run.fixed()
        self.assertTrue(named.faults)
        self.assertEqual((named.queries, len(named.asks)), (0, 30))
        again = SuperPeerRun(read_scenario(SuperPeerScenario, read_file(write_file(named).encode(), "here")))
        self.assertEqual((again.run().trace_hash, again.fixed()), (report.trace_hash, named))

    def test_named_question(self) -> None:
        """What is named is asked, and nothing else; if the asker is away, by another."""
        title = next(iter(SuperPeerRun(SMALL).titles.files_of("weak-peer-9"))).name
        asks = [AskEntry(asker="weak-peer-2", at="5s", words=title)]
        report = SuperPeerRun(SMALL.evolve(queries=0, asks=asks, phases=["routing"], churn=0.0)).run()
        self.assertEqual((report.wants, report.obtained), (1, 1))

    @slow
    def test_hash_seed(self) -> None:
        """A run does not depend on how Python hashes."""
        words = "--nodes 40 --super-peers 8 --degree 3 --files 120 --shared 6 --queries 10 --for 36s --settle 25s"
        words += " --ping 2.5s --churn 0.5 --faults-a-minute 20"
        command = [sys.executable, "-m", "twisted_bazaar", "simulate", "superpeer", "--json", *words.split()]
        told = []
        for hash_seed in ("1", "2"):
            env = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(Path(__file__).parents[2])}
            ended = subprocess.run(command, capture_output=True, text=True, timeout=60, env=env)
            self.assertEqual(ended.returncode, 0, ended.stdout + ended.stderr)
            told.append(json.loads(ended.stdout))
            del told[-1]["real_s"]
        self.assertEqual(told[0], told[1])
