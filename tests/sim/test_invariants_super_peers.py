"""Each check of a network of super peers catches the bug that it is there for; see L{tests.sim.planted}."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from tests import endless_table
from tests.sim.planted import PlantedBugCase
from twisted_bazaar.bounded import FairTable
from twisted_bazaar.discovery.index.directory.directory import Directory
from twisted_bazaar.discovery.superpeer.leaf.leaf import Leaf
from twisted_bazaar.discovery.superpeer.leaf.registrations import Registrations
from twisted_bazaar.discovery.superpeer.messages import Query
from twisted_bazaar.discovery.superpeer.neighbours.neighbours import Neighbours
from twisted_bazaar.discovery.superpeer.qrp.tables import OwnTable, RouteTable
from twisted_bazaar.discovery.superpeer.ultrapeer.leaves import Leaves
from twisted_bazaar.discovery.superpeer.ultrapeer.local_search import LocalSearch
from twisted_bazaar.discovery.superpeer.ultrapeer.promotion import Promotion
from twisted_bazaar.discovery.superpeer.ultrapeer.query_control import QueryControl
from twisted_bazaar.discovery.superpeer.ultrapeer.reverse_paths import Arrival, ReversePaths
from twisted_bazaar.node.control import Ping, Pong
from twisted_bazaar.node.links.link import Link
from twisted_bazaar.sim.invariants import SUPER_PEER_CHECKS
from twisted_bazaar.sim.invariants.machines import NoFaultOfOurs, NothingLeft, TablesAreBounded
from twisted_bazaar.sim.invariants.messages import NoLoops
from twisted_bazaar.sim.invariants.super_peers import (
    AnsweredOnce,
    FoundAgain,
    HitsAreTrue,
    PathsExpire,
    RoomIsMade,
    SearchesEnd,
    TablesNeverHide,
    TrafficIsBounded,
)
from twisted_bazaar.sim.scenario import FaultEntry
from twisted_bazaar.sim.superpeer.run import SuperPeerRun
from twisted_bazaar.sim.superpeer.scenario import SuperPeerScenario

CALM: Final = SuperPeerScenario(
    nodes=24,
    super_peers=6,
    degree=2,
    files=60,
    shared=5,
    for_="18s",
    settle="1s",
    mode="safety",
    queries=6,
    churn=0.0,
    ping="2.5s",
)
# Over one link nobody is asked but those whose tables say maybe.
SETTLING: Final = CALM.evolve(mode="liveness", settle="25s", ttl=1, degree=3)
CROWDED: Final = SETTLING.evolve(
    nodes=42, super_peers=2, degree=1, leaves=5, may_lead=0.5, for_="3m", phases=["dynamic"]
)
STORMY: Final = CALM.evolve(for_="60s", faults_a_minute=20.0, fault_kinds=["pause", "kill", "slow"], loss=0.02)


class PlantedBugTests(PlantedBugCase):
    """The checks of super peers."""

    run_class = SuperPeerRun

    def test_nothing_planted(self) -> None:
        """Unbroken code keeps every promise, in calm and in storm, and every check looks at something."""
        for scenario, unchecked in (
            (CALM, [RoomIsMade.promise, TablesNeverHide.promise]),
            (STORMY, [RoomIsMade.promise, TablesNeverHide.promise]),
            (SETTLING.evolve(faults_a_minute=20.0, fault_kinds=["crash", "kill", "partition"], may_lead=0.2), []),
        ):
            self.assertEqual(self.unchecked(scenario.evolve(churn=0.5)), unchecked)

    def test_every_check(self) -> None:
        """Each check has a bug here that it catches."""
        self.assert_all_proved(SUPER_PEER_CHECKS)

    def test_wrong_file(self) -> None:
        """A super peer that names everybody it has for each file."""

        def make(right: Callable[..., Any]) -> Callable[..., Any]:
            def look(
                lookups: LocalSearch, query: Query, most: int, owner: Any, tell: Any, *rest: Any, **named: Any
            ) -> None:
                def tell_more(found: Any) -> None:
                    files = found[0].files if found else ()
                    there = lookups._directory._listers.there.values()
                    tell([_naming(found[0], lister.peer, files) for lister in there] if files else found)

                right(lookups, query, most, owner, tell_more, *rest, **named)

            return look

        self.plant(LocalSearch, "search", make)
        self.assert_caught(HitsAreTrue, CALM)

    def test_the_dead_are_named(self) -> None:
        """A super peer that keeps the lists of those who have left, for ever."""
        self.plant(Leaves, "_let_go", lambda right: lambda leaves, registrant: None)
        self.plant(Directory, "expire", lambda right: lambda directory, now: [])
        crash = FaultEntry(kind="crash", at="1s", for_="99s", nodes=["weak-peer-1", "weak-peer-2"])
        scenario = CALM.evolve(for_="100s", faults=[crash], queries=30, phases=["flood"], shared=15)
        self.assert_caught(HitsAreTrue, scenario, checks=[HitsAreTrue])

    def test_answered_twice(self) -> None:
        """A super peer that answers whatever it gets."""
        self.plant(ReversePaths, "query_received", lambda right: lambda *arrived: _new_after(right(*arrived)))
        self.assert_caught(AnsweredOnce, CALM.evolve(degree=3))

    def test_forwarded_twice(self) -> None:
        """A super peer that passes on what it has passed on before."""

        def make(right: Callable[..., Arrival]) -> Callable[..., Arrival]:
            def arrive(*arrived: Any) -> Arrival:
                arrival = right(*arrived)
                return Arrival.FARTHER if arrival is Arrival.AGAIN else arrival

            return arrive

        self.plant(ReversePaths, "query_received", make)
        self.assert_caught(AnsweredOnce, CALM.evolve(degree=3), checks=[AnsweredOnce])

    def test_flood_without_end(self) -> None:
        """The same, where only the traffic is counted."""
        self.plant(ReversePaths, "query_received", lambda right: lambda *arrived: _new_after(right(*arrived)))
        self.assert_caught(TrafficIsBounded, CALM.evolve(degree=4), checks=[TrafficIsBounded])

    def test_no_end_mark(self) -> None:
        """A search that is over, of which nobody is told."""
        self.plant(QueryControl, "_end", lambda right: lambda searches, search: searches._forget(search))
        self.assert_caught(SearchesEnd, CALM.evolve(for_="60s", results=1000))

    def test_left_alone(self) -> None:
        """A weak peer that stays with the super peers that it had first."""
        self.plant(Registrations, "peer_left", lambda right: lambda registrations, peer: None)
        self.assert_caught(FoundAgain, CALM.evolve(for_="60s", churn=1.0), checks=[FoundAgain])

    def test_crowded(self) -> None:
        """A few super peers with little room are joined by weak peers, until all are taken."""
        report = SuperPeerRun(CROWDED).run()
        self.assertEqual(report.violations, [])
        self.assertGreaterEqual(report.promoted or 0, 4)
        self.assertIn(("weak peers that became super peers", f"{report.promoted}"), report.in_words(1.0))

    def test_nobody_is_asked_to_lead(self) -> None:
        """A super peer that is full and asks nobody to become one."""
        self.plant(Promotion, "consider", lambda right: lambda promotion: None)
        self.assert_caught(RoomIsMade, CROWDED, checks=[RoomIsMade])

    def test_hidden(self) -> None:
        """A table that says no now and then."""

        def make(right: Callable[..., bool]) -> Callable[..., bool]:
            def maybe(table: RouteTable, hashes: Any) -> bool:
                return right(table, hashes) and not any(each % 8 == 0 for each in hashes)

            return maybe

        self.plant(RouteTable, "may_have", make)
        self.assert_caught(TablesNeverHide, SETTLING)

    def test_change_not_told(self) -> None:
        """A table that has the same version whatever changes."""
        self.plant(OwnTable, "_turned", lambda right: lambda table, slot, by: None)
        self.assert_caught(TablesNeverHide, SETTLING.evolve(churn=1.0))

    def test_remembered_for_ever(self) -> None:
        """A super peer that forgets no query."""

        def make(right: Callable[..., None]) -> Callable[..., None]:
            return lambda paths, *rest: right(paths, 65_536, 1e9)

        self.plant(ReversePaths, "__init__", make)
        self.assert_caught(PathsExpire, CALM.evolve(for_="150s", queries=30))

    def test_table_without_end(self) -> None:
        """Tables that drop nothing, however small they are meant to be."""

        def discard(table: FairTable[Any, Any], key: object) -> None:
            table._entries.pop(key, None)

        self.plant(FairTable, "put", lambda right: endless_table.put)
        self.plant(FairTable, "discard", lambda right: discard)
        self.plant(
            FairTable, "__init__", lambda right: lambda table, cap, *rest, **more: right(table, 2, *rest, **more)
        )
        self.assert_caught(TablesAreBounded, CALM)

    def test_ping_loop(self) -> None:
        """A link that answers a pong with a ping."""

        def make(right: Callable[..., None]) -> Callable[..., None]:
            def receive(link: Link, message: object) -> None:
                link.send(Ping()) if isinstance(message, Pong) else right(link, message)

            return receive

        self.plant(Link, "_receive_open", make)
        self.assert_caught(NoLoops, CALM)

    def test_timer_left(self) -> None:
        """A super peer that stops and goes on greeting its neighbours."""
        self.plant(Neighbours, "stop", lambda right: lambda neighbours: None)
        self.assert_caught(NothingLeft, CALM)

    def test_fault_of_our_own(self) -> None:
        """A role that raises when somebody is gone."""

        def peer_left(leaf: Leaf, peer: object) -> None:
            raise KeyError("a planted fault")

        self.plant(Leaf, "peer_left", lambda right: peer_left)
        self.assert_caught(NoFaultOfOurs, CALM.evolve(churn=1.0))
        self.forgive(KeyError)


def _new_after(arrival: Arrival) -> Arrival:
    return Arrival.NEW


def _naming(found: Any, peer: Any, files: Any) -> Any:
    """A hit that names somebody else."""
    return type(found)(id=peer.id, key=peer.key, port=peer.address.port, host=peer.address.host, files=files)
