"""Each check of a network that shares files catches the bug that it is there for; see L{tests.sim.planted}."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, Final

from twisted.internet.defer import succeed

from tests import endless_table
from tests.sim.planted import PlantedBugCase
from twisted_bazaar.bounded import FairTable
from twisted_bazaar.discovery.index.client.member import IndexMember
from twisted_bazaar.discovery.index.directory.directory import Directory
from twisted_bazaar.files.chunks import Manifest
from twisted_bazaar.files.download.picker import Picker
from twisted_bazaar.files.download.source_manager import SourceManager
from twisted_bazaar.files.upload.choking import Choker
from twisted_bazaar.files.upload.uploads import Uploads
from twisted_bazaar.node.control import Ping, Pong
from twisted_bazaar.node.links.link import Link
from twisted_bazaar.sim.files.part_files import DiskPart
from twisted_bazaar.sim.files.run import FilesRun
from twisted_bazaar.sim.files.scenario import FilesScenario
from twisted_bazaar.sim.invariants import FILES_CHECKS
from twisted_bazaar.sim.invariants.files import (
    DeadAreGone,
    DownloadsGoOn,
    FilesAreFetched,
    FilesAreRight,
    LittleInVain,
    NotAskedAgain,
)
from twisted_bazaar.sim.invariants.machines import NoFaultOfOurs, NothingLeft, TablesAreBounded
from twisted_bazaar.sim.invariants.messages import NoLoops
from twisted_bazaar.sim.scenario import FaultEntry

CALM: Final = FilesScenario(nodes=8, sharers=3, files=8, copies=2, for_="20s", settle="1s", mode="safety", size=0.5)
LYING: Final = CALM.evolve(sharers=5, nodes=10, liars=0.6)
STORMY: Final = LYING.evolve(for_="60s", faults_a_minute=20.0, fault_kinds=["pause", "kill", "slow"], loss=0.02)


class PlantedBugTests(PlantedBugCase):
    """The checks of files."""

    run_class = FilesRun

    def test_nothing_planted(self) -> None:
        """Unbroken code keeps every promise, in calm and in storm, and every check looks at something."""
        # Who renews its lease is not silent, and so nobody is pinged.
        calm, stormy = [NoLoops.promise, FilesAreFetched.promise], [FilesAreFetched.promise]
        for scenario, unchecked in (
            (LYING.evolve(for_="60s"), calm),
            (STORMY, stormy),
            (STORMY.evolve(mode="liveness", settle="2m"), []),
        ):
            self.assertEqual(self.unchecked(scenario.evolve(churn=0.5)), unchecked)

    def test_every_check(self) -> None:
        """Each check has a bug here that it catches."""
        self.assert_all_proved(FILES_CHECKS)

    def test_wrong_chunk(self) -> None:
        """A manifest that any bytes fit."""
        self.plant(Manifest, "fits", lambda right: lambda manifest, chunk, content: True)
        self.assert_caught(FilesAreRight, LYING.evolve(lies=["bytes"]))

    def test_wrong_whole(self) -> None:
        """A part that is given its name when all chunks are there, whatever they are together."""

        def finish(part: DiskPart) -> Any:
            part.is_finished = True
            return succeed(None)

        self.plant(DiskPart, "finish", lambda right: finish)
        self.assert_caught(FilesAreRight, LYING.evolve(lies=["manifest"]))

    def test_asked_again(self) -> None:
        """A download that forgets whom it has given up."""

        def make(right: Callable[..., None]) -> Callable[..., None]:
            def add(roster: SourceManager, sources: Any) -> None:
                roster._known.clear()
                roster._liars.clear()
                right(roster, sources)

            return add

        self.plant(SourceManager, "add", make)
        self.assert_caught(NotAskedAgain, LYING.evolve(size=2.0, lies=["bytes"]), checks=[NotAskedAgain])

    def test_fetched_thrice(self) -> None:
        """A download that throws away what it has asked for, twice."""
        thrown: Counter[tuple[Picker, int]] = Counter()

        def make(right: Callable[..., None]) -> Callable[..., None]:
            def came(picker: Picker, chunk: int) -> None:
                thrown[picker, chunk] += 1
                right(picker, chunk) if thrown[picker, chunk] > 2 else picker.request_dropped(chunk)

            return came

        self.plant(Picker, "chunk_received", make)
        self.assert_caught(LittleInVain, CALM)

    def test_the_dead_are_named(self) -> None:
        """An index server that believes a peer for ever."""
        crash = FaultEntry(kind="crash", at="1s", for_="95s", nodes=["sharer-1"])
        self.plant(Directory, "expire", lambda right: lambda directory, now: [])
        self.assert_caught(DeadAreGone, CALM.evolve(for_="100s", wants=6, faults=[crash]))

    def test_waiting_for_ever(self) -> None:
        """Sources that have no slot again which they have given, and downloads that wait for one."""
        self.plant(Choker, "remove", lambda right: lambda choker, asker: None)
        self.plant(Choker, "_free_slot", lambda right: lambda choker, host, now, changed: False)
        self.assert_caught(DownloadsGoOn, CALM.evolve(nodes=14, for_="3m"))

    def test_table_without_end(self) -> None:
        """Tables that drop nothing, however small they are meant to be."""

        self.plant(FairTable, "put", lambda right: endless_table.put)
        self.plant(
            FairTable, "__init__", lambda right: lambda table, cap, *rest, **more: right(table, 2, *rest, **more)
        )
        self.assert_caught(TablesAreBounded, CALM.evolve(churn=1.0, for_="60s"))

    def test_ping_loop(self) -> None:
        """A link that answers a pong with a ping."""

        def make(right: Callable[..., None]) -> Callable[..., None]:
            def receive(link: Link, message: object) -> None:
                link.send(Ping()) if isinstance(message, Pong) else right(link, message)

            return receive

        self.plant(Link, "_receive_open", make)
        self.assert_caught(NoLoops, CALM.evolve(for_="3m", faults_a_minute=10.0, fault_kinds=["pause"]))

    def test_connection_left(self) -> None:
        """A role that stops and leaves those whom it serves."""
        self.plant(Uploads, "stop", lambda right: lambda uploads: succeed(None))
        self.assert_caught(NothingLeft, CALM.evolve(bandwidth=10_000.0))

    def test_fault_of_our_own(self) -> None:
        """A role that raises when the index server is gone."""

        def tracker_left(member: IndexMember) -> None:
            raise KeyError("a planted fault")

        self.plant(IndexMember, "tracker_left", lambda right: tracker_left)
        self.assert_caught(NoFaultOfOurs, CALM.evolve(for_="60s", faults_a_minute=20.0, fault_kinds=["kill"]))
        self.forgive(KeyError)

    def test_slots_used_up(self) -> None:
        """A source that never has a slot again that it has given."""
        self.plant(Choker, "remove", lambda right: lambda choker, asker: None)
        self.plant(Choker, "_free_slot", lambda right: lambda choker, host, now, changed: False)
        self.assert_caught(FilesAreFetched, CALM.evolve(nodes=14, mode="liveness", settle="60s"))
