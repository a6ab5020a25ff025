"""A network that shares files: what can be simulated of it, what comes of a run, and what it stands on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.errors import StorageError, UsageError, WrongWhole
from twisted_bazaar.files.chunks import CHUNK_BYTES, Manifest
from twisted_bazaar.sim.cluster import Member, Observer
from twisted_bazaar.sim.engine.hosts import Network
from twisted_bazaar.sim.faults import FaultKind
from twisted_bazaar.sim.files.library import Library, original_of
from twisted_bazaar.sim.files.part_files import DiskPart, chunk_on, whole_files
from twisted_bazaar.sim.files.run import FilesRun
from twisted_bazaar.sim.files.scenario import FetchEntry, FilesScenario
from twisted_bazaar.sim.market.scenario import MarketScenario
from twisted_bazaar.sim.scenario import FaultEntry, setting_names
from twisted_bazaar.sim.scenario_file import ImpossibleSetting, read_file, read_scenario, write_file
from twisted_bazaar.sim.setting_fields import setting_takes

OTHER: Final[dict[str, Any]] = {
    "nodes": 30,
    "sharers": 12,
    "liars": 0.25,
    "lies": ["drip", "size"],
    "files": 9,
    "copies": 2,
    "size": 0.5,
    "spread": 0.1,
    "zipf": 0.5,
    "wants": 4,
    "fetches": [{"getter": "getter-18", "at": "9s", "file": "file-9"}],
}
SMALL: Final = FilesScenario(nodes=8, sharers=4, files=6, copies=2, size=0.4, for_="20s", settle="30s")


class FilesScenarioTests(SynchronousTestCase):
    """Settings of such a network."""

    def refusal(self, **settings: Any) -> str:
        """What is said of settings that cannot be."""
        return str(self.assertRaises(ImpossibleSetting, read_scenario, FilesScenario, settings))

    def test_file(self) -> None:
        """What is written to a file and read again is the same, in every setting of its own."""
        scenario = read_scenario(FilesScenario, OTHER)
        usual, told = msgspec.to_builtins(FilesScenario()), msgspec.to_builtins(scenario)
        own = set(setting_names(FilesScenario)) - set(setting_names(MarketScenario))
        self.assertEqual(own - set(OTHER), set())
        self.assertEqual([name for name in OTHER if told[name] == usual[name]], [])
        self.assertEqual(read_scenario(FilesScenario, read_file(write_file(scenario).encode(), "here")), scenario)
        self.assertEqual([name for name in OTHER if setting_takes(FilesScenario, name) == "a text"], [])

    def test_names(self) -> None:
        """Every member has a name by its kind, the index server first."""
        names = ["index", "sharer-1", "sharer-2", "sharer-3", "liar-1", "getter-1", "getter-2"]
        self.assertEqual(FilesScenario(nodes=6, sharers=4, liars=0.25).names(), names)

    def test_counts(self) -> None:
        """The settings for some numbers of nodes give these numbers."""
        for sharers in range(12):
            for liars in range(12):
                counts = {"sharer": sharers, "liar": liars, "getter": 3}
                scenario = FilesScenario()
                self.assertEqual(scenario.evolve(**scenario.with_counts(counts)).counts, counts)

    def test_impossible(self) -> None:
        """What cannot be is refused with the name of the setting and what it may be."""
        self.assertEqual(self.refusal(nodes=5), "nodes: 10 sharers need at least 10, not 5")
        self.assertIn("lies[0]: takes address, bytes, drip, manifest, silence or size", self.refusal(lies=["no"]))
        self.assertIn("liars: takes a number from 0 to 1", self.refusal(liars=2))
        self.assertIn("wants: ", self.refusal(nodes=100_000, wants=100))
        fetch = {"getter": "getter-1", "at": "1s", "file": "file-1"}
        for wrong, words in {
            "getter": "fetches[0].getter: takes getter-1 to getter-40, not 'x'",
            "file": "fetches[0].file: takes file-1 to file-100, not 'x'",
            "at": "fetches[0].at: takes a time",
        }.items():
            self.assertIn(words, self.refusal(fetches=[{**fetch, wrong: "x"}]))
        self.assertIn("there is no setting buyers; the settings are nodes, sharers, liars,", self.refusal(buyers=3))


class FilesRunTests(SynchronousTestCase):
    """Runs of it."""

    def test_fetched(self) -> None:
        """Where nothing fails everything that is wanted comes, and every file is wanted by somebody."""
        report = FilesRun(SMALL).run()
        self.assertEqual((report.violations, report.fetched), ([], report.wants))
        self.assertGreaterEqual(report.wants, 4 * 3)
        self.assertEqual(len(report.seconds_to_fetch), report.wants)
        self.assertEqual(set(report.bytes_by) - {"sharer", "getter"}, set())
        self.assertEqual(json.loads(json.dumps(report.to_json()))["fetched"], report.fetched)

    def test_liars(self) -> None:
        """Those who lie are found out, and what is wanted comes from others."""
        for lie in ("bytes", "manifest", "size", "silence", "drip", "address"):
            report = FilesRun(SMALL.evolve(sharers=5, liars=0.6, copies=1, lies=[lie], for_="40s", settle="2m")).run()
            self.assertEqual((report.violations, report.fetched), ([], report.wants), lie)
            # Others are faster than the patience with those who say little or nothing, or are not there.
            self.assertTrue(report.dropped or lie in ("silence", "drip", "address"), lie)
            self.assertEqual(report.liars_found > 0, lie in ("bytes", "manifest", "size"), lie)
            if lie not in ("manifest", "size"):
                # What came by a false manifest fits it, and so counts as right until the whole is there.
                self.assertNotIn("liar", report.bytes_by, lie)

    def test_partial_sources(self) -> None:
        """Who has some of a file serves it to others."""
        crowd = SMALL.evolve(nodes=10, sharers=1, files=1, wants=1, for_="4s", settle="2m")
        report = FilesRun(crowd.evolve(size=6.0, spread=0.0, bandwidth=300_000.0)).run()
        self.assertEqual((report.violations, report.fetched), ([], 9))
        self.assertGreater(report.partial_share or 0, 0.3)

    def test_named(self) -> None:
        """To name what chance has drawn changes nothing."""
        run = FilesRun(SMALL.evolve(liars=0.25, churn=0.3, loss=0.01, faults_a_minute=20.0, seed=5))
        report = run.run()
        named = run.fixed()
        self.assertTrue(named.faults)
        self.assertEqual((named.wants, len(named.fetches)), (0, len(run.wanted)))
        again = FilesRun(read_scenario(FilesScenario, read_file(write_file(named).encode(), "here")))
        self.assertEqual((again.run().trace_hash, again.fixed()), (report.trace_hash, named))

    def test_named_fetch(self) -> None:
        """What is named is wanted, and nothing else."""
        fetch = FetchEntry(getter="getter-2", at="5s", file="file-3")
        report = FilesRun(SMALL.evolve(wants=0, fetches=[fetch])).run()
        self.assertEqual((report.wants, report.fetched), (1, 1))

    def test_killed_getter(self) -> None:
        """A getter that loses its power in the middle of a file goes on from what was on its disk."""
        fetch = FetchEntry(getter="getter-1", at="1s", file="file-1")
        crash = FaultEntry(kind="crash", at="9s", for_="3s", nodes=["getter-1"])
        big = SMALL.evolve(files=1, size=6.0, spread=0.0, copies=1, bandwidth=300_000.0, wants=0, settle="2m")
        run = FilesRun(big.evolve(fetches=[fetch], faults=[crash]))
        listening = _Listening()
        run.cluster.observe(listening)
        report = run.run()
        self.assertEqual((report.violations, report.fetched), ([], 1))
        self.assertGreaterEqual(listening.resumed[0], CHUNK_BYTES)

    def test_index_server_dies(self) -> None:
        """While there is no index server what is under way goes on; when it is back, it knows all again."""
        down = FaultEntry(kind="crash", at="6s", for_="20s", nodes=["index"])
        fetches = [FetchEntry(getter=f"getter-{n}", at=f"{5 * n}s", file="file-1") for n in (1, 2, 3)]
        big = SMALL.evolve(files=1, size=4.0, spread=0.0, bandwidth=400_000.0, wants=0, for_="30s", settle="2m")
        report = FilesRun(big.evolve(fetches=fetches, faults=[down])).run()
        self.assertEqual((report.violations, report.fetched), ([], 3))

    def test_hash_seed(self) -> None:
        """With faults of every kind and liars, a run does not depend on how Python hashes."""
        faults = [f"--fault {kind.value}:{n + 1}s:4s:sharer-1,getter-2:1.5" for n, kind in enumerate(FaultKind)]
        words = "--nodes 8 --sharers 4 --liars 0.25 --files 6 --size 0.4 --for 20s --settle 60s --loss 0.02 --churn 0.5"
        command = [sys.executable, "-m", "twisted_bazaar", "simulate", "files", "--json", *words.split()]
        told = []
        for hash_seed in ("1", "2"):
            env = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(Path(__file__).parents[2])}
            ended = subprocess.run(
                [*command, *" ".join(faults).split()], capture_output=True, text=True, timeout=60, env=env
            )
            self.assertEqual(ended.returncode, 0, ended.stdout + ended.stderr)
            told.append(json.loads(ended.stdout))
            del told[-1]["real_s"]
        self.assertEqual(told[0], told[1])


class _Listening(Observer):
    """Hears what was there of each file that has come, when its last download was begun."""

    def __init__(self) -> None:
        self.resumed: list[int] = []

    def on_report(self, member: Member, event: str, details: Mapping[str, Any]) -> None:
        """A file may have come."""
        if event == "fetched":
            self.resumed.append(details["resumed"])


class LibraryTests(SynchronousTestCase):
    """Files that are made up."""

    def test_same(self) -> None:
        """A name and a size are a file, the same each time, and no other."""
        one = original_of("a", CHUNK_BYTES + 5)
        again = Library({"a": CHUNK_BYTES + 5}).by_title["a"]
        self.assertEqual((one, one.chunk(1)), (again, again.chunk(1)))
        self.assertEqual((len(one.chunk(0)), len(one.chunk(1)), one.manifest.count), (CHUNK_BYTES, 5, 2))
        self.assertNotEqual(one.manifest.digest, original_of("b", CHUNK_BYTES + 5).manifest.digest)

    def test_right(self) -> None:
        """What is a chunk of a file is told from what is not."""
        library = Library({"a": 10})
        [original] = library.by_title.values()
        digest, content = original.manifest.digest, original.chunk(0)
        asked = [(digest, 0, content), (digest, 0, content[1:]), (digest, 1, content), ("0" * 64, 0, content)]
        self.assertEqual([library.is_right(*each) for each in asked], [True, False, False, False])


class DiskPartTests(SynchronousTestCase):
    """A file on its way to the disk of a machine."""

    def setUp(self) -> None:
        """A machine, and a file of two chunks."""
        self.network = Network(1)
        self.host = self.network.add_host("a")
        self.library = Library({"a": CHUNK_BYTES + 5})
        [self.original] = self.library.by_title.values()
        self.digest = self.original.manifest.digest

    def wait(self, deferred: Any) -> Any:
        """What comes of something when its threads have had their time."""
        self.network.timeline.run_until(self.network.timeline.now + 1)
        return self.successResultOf(deferred)

    def begin(self) -> DiskPart:
        """A part that has a manifest."""
        part = DiskPart(self.host, self.library, self.digest)
        self.wait(part.set_manifest(self.original.manifest))
        return part

    def test_resumed(self) -> None:
        """What was written is there after a crash, and nothing else."""
        part = self.begin()
        self.assertTrue(self.wait(part.write(1, self.original.chunk(1))))
        self.host.crash()
        self.host.power_up()
        again = DiskPart(self.host, self.library, self.digest)
        again.load()
        self.assertEqual((list(again.holdings), again.manifest), ([1], self.original.manifest))
        self.assertEqual(self.wait(again.read(1)), self.original.chunk(1))

    def test_wrong_chunk(self) -> None:
        """What does not fit is not written."""
        part = self.begin()
        self.assertFalse(self.wait(part.write(1, b"wrong")))
        self.assertEqual((len(part.holdings), chunk_on(self.host.disk, self.digest, 1)), (0, b""))

    def test_finished(self) -> None:
        """When all chunks are there it is a file, also after a crash, and is not fetched again."""
        part = self.begin()
        for chunk in (0, 1):
            self.wait(part.write(chunk, self.original.chunk(chunk)))
        self.assertEqual(whole_files(self.host.disk), [])
        self.wait(part.finish())
        self.host.crash()
        self.host.power_up()
        self.assertEqual(whole_files(self.host.disk), [self.digest])
        opening = Deferred.fromCoroutine(DiskPart.open(self.host, self.library, self.digest))
        self.network.timeline.run_until(self.network.timeline.now + 1)
        self.failureResultOf(opening, UsageError)

    def test_wrong_whole(self) -> None:
        """Chunks that fit a manifest of another file do not become this one."""
        other = original_of("b", CHUNK_BYTES + 5)
        part = DiskPart(self.host, self.library, self.digest)
        self.wait(part.set_manifest(Manifest(self.digest, other.manifest.size, other.manifest.chunk_digests)))
        for chunk in (0, 1):
            self.assertTrue(self.wait(part.write(chunk, other.chunk(chunk))))
        finishing = part.finish()
        self.network.timeline.run_until(self.network.timeline.now + 1)
        self.failureResultOf(finishing, WrongWhole)
        self.assertEqual(whole_files(self.host.disk), [])

    def test_full_disk(self) -> None:
        """A full disk fails it, and what was there stays."""
        part = self.begin()
        self.host.disk.fill()
        writing = part.write(0, self.original.chunk(0))
        self.network.timeline.run_until(self.network.timeline.now + 1)
        self.failureResultOf(writing, StorageError)
        self.assertEqual(len(part.holdings), 0)
