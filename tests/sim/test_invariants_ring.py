"""Each check of a ring catches the bug that it is there for; see L{tests.sim.planted}."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from twisted.internet.defer import Deferred, succeed

from tests import endless_table
from tests.sim.planted import PlantedBugCase
from twisted_bazaar.bounded import FairTable
from twisted_bazaar.discovery.ring.member.maintenance import Maintenance
from twisted_bazaar.discovery.ring.rules.actions import NodeState
from twisted_bazaar.discovery.ring.rules.identifiers import Contact
from twisted_bazaar.discovery.ring.rules.lookup import Lookup
from twisted_bazaar.discovery.ring.rules.reconnect_candidates import ReconnectCandidates
from twisted_bazaar.discovery.ring.rules.stabilization import Stabilization
from twisted_bazaar.discovery.ring.storage.dht_client import DhtClient, Holding
from twisted_bazaar.discovery.ring.storage.repair import Repair
from twisted_bazaar.sim.invariants import RING_CHECKS
from twisted_bazaar.sim.invariants.machines import NoFaultOfOurs, NothingLeft, TablesAreBounded
from twisted_bazaar.sim.invariants.ring import (
    KeptIsFound,
    LookupsAreRight,
    NeighboursAreRight,
    NeverAnother,
    NothingIsLost,
    RingHolds,
    RingsMerge,
)
from twisted_bazaar.sim.ring.run import RingRun
from twisted_bazaar.sim.ring.scenario import RingScenario
from twisted_bazaar.sim.scenario import FaultEntry

CALM: Final = RingScenario(
    nodes=16, lookups=10, values=10, for_="20s", settle="1s", mode="safety", dead=0.0, begin="joined"
)
DYING: Final = CALM.evolve(dead=0.4, for_="30s", mode="liveness", settle="30s")
# One after the other goes, so that there is time to repair what each has left; and comes back with nothing.
RESTLESS: Final = CALM.evolve(for_="120s", churn=1.0, values=20)
SPLIT: Final = CALM.evolve(
    mode="liveness",
    settle="40s",
    for_="40s",
    faults=[FaultEntry(kind="partition", at="5s", for_="25s", nodes=[f"node-{n}" for n in range(1, 9)])],
)


class PlantedBugTests(PlantedBugCase):
    """The checks of a ring."""

    run_class = RingRun

    def assert_unchecked(self, scenario: RingScenario, *promises: str) -> None:
        """Unbroken code keeps every promise, and every check looks at something but these."""
        self.assertEqual(sorted(self.unchecked(scenario)), sorted(promises))

    def test_nothing_planted(self) -> None:
        """Unbroken code keeps every promise where nothing goes wrong."""
        unchecked = (RingsMerge, NothingIsLost, NeverAnother, NeighboursAreRight, KeptIsFound)
        self.assert_unchecked(CALM, *(check.promise for check in unchecked))

    def test_nothing_planted_restless(self) -> None:
        """Unbroken code keeps every promise where nodes come and go."""
        unchecked = (RingsMerge, NeverAnother, NeighboursAreRight, KeptIsFound)
        self.assert_unchecked(RESTLESS.evolve(for_="60s"), *(check.promise for check in unchecked))

    def test_nothing_planted_dying(self) -> None:
        """Unbroken code keeps every promise where many die at once."""
        self.assert_unchecked(DYING, RingsMerge.promise)

    def test_nothing_planted_split(self) -> None:
        """Unbroken code keeps every promise where a ring is split."""
        self.assert_unchecked(SPLIT, NothingIsLost.promise)

    def test_every_check(self) -> None:
        """Each check has a bug here that it catches."""
        self.assert_all_proved(RING_CHECKS)

    def test_list_comes_round(self) -> None:
        """A node that takes for its successors whoever is named, be it that it is once round."""

        def make(right: Callable[..., Any]) -> Callable[..., Any]:
            def fitted(stabilization: Stabilization, contacts: Iterable[Contact]) -> tuple[Contact, ...]:
                return tuple(each for each in contacts if each != stabilization.own)[: stabilization.most]

            return fitted

        self.plant(Stabilization, "_fitted", make)
        self.assert_caught(RingHolds, CALM, checks=[RingHolds])

    def test_joined_anywhere(self) -> None:
        """A node that joins behind whomever it asks first, and so may leave out others."""

        def make(right: Callable[..., Any]) -> Callable[..., Any]:
            def walk_on(stabilization: Stabilization, by: NodeState, now: float) -> Any:
                following = [each for each in by.successors if each.id != stabilization.own.id]
                stabilization.successors = tuple(following[-1:] or [by.node])
                stabilization.is_member = True
                return ()

            return walk_on

        self.plant(Stabilization, "_walk_on", make)
        self.assert_caught(RingHolds, RESTLESS, checks=[RingHolds])

    def test_never_looked_after(self) -> None:
        """A node that asks nobody how it stands once it has joined."""
        self.plant(Stabilization, "stabilize", lambda right: lambda stabilization, now: ())
        self.assert_caught(NeighboursAreRight, CALM.evolve(mode="liveness", settle="20s", values=0))

    def test_never_merged(self) -> None:
        """A node that never asks again those whom it has lost, nor where it would stand if there were others."""
        self.plant(ReconnectCandidates, "next_due", lambda right: lambda lost, now: None)
        self.plant(Maintenance, "_seek", lambda right: lambda maintenance, sought: None)
        self.assert_caught(RingsMerge, SPLIT, checks=[RingsMerge])

    def test_first_word_counts(self) -> None:
        """A lookup that is over when anybody has answered."""

        def make(right: Callable[..., None]) -> Callable[..., None]:
            def settle(lookup: Lookup) -> None:
                right(lookup)
                lookup.is_over = lookup.is_over or any(named.has_answered for named in lookup._after)

            return settle

        self.plant(Lookup, "_settle", make)
        self.assert_caught(LookupsAreRight, CALM.evolve(lookups=100))

    def test_claims_too_much(self) -> None:
        """A node that claims what belongs to the one before it."""

        def make(right: Callable[..., bool]) -> Callable[..., bool]:
            def is_responsible(stabilization: Stabilization, identifier: int) -> bool:
                return right(stabilization, identifier) or (
                    stabilization.state.predecessor is not None and identifier % 2 == 0
                )

            return is_responsible

        self.plant(Stabilization, "is_responsible", make)
        self.assert_caught(LookupsAreRight, CALM.evolve(lookups=100))

    def test_another(self) -> None:
        """A node that asks for what stands under another name, now and then."""

        def make(right: Callable[..., Deferred[Sequence[Holding]]]) -> Callable[..., Deferred[Sequence[Holding]]]:
            def get(dht: DhtClient, space: str, name: str, *more: Any) -> Deferred[Sequence[Holding]]:
                return right(dht, space, "value-1" if name == "value-2" else name, *more)

            return get

        self.plant(DhtClient, "get", make)
        self.assert_caught(NeverAnother, DYING)

    def test_not_got(self) -> None:
        """A node that says that there is nothing, and has asked nobody."""
        self.plant(DhtClient, "get", lambda right: lambda dht, *asked: succeed(()))
        self.assert_caught(KeptIsFound, DYING, checks=[KeptIsFound])

    def test_no_repair(self) -> None:
        """A node that repairs nothing when others die."""
        self.plant(Repair, "_look", lambda right: lambda repair: None)
        self.plant(Repair, "hand_over", lambda right: lambda repair: succeed(None))
        self.assert_caught(NothingIsLost, RESTLESS)

    def test_not_handed_over(self) -> None:
        """A node that goes politely, and takes with it what nobody else has."""
        self.plant(Repair, "hand_over", lambda right: lambda repair: succeed(None))
        self.assert_caught(NothingIsLost, RESTLESS.evolve(replicas=0), checks=[NothingIsLost])

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

    def test_timer_left(self) -> None:
        """A member that stops and goes on looking after its neighbours."""

        def make(right: Callable[..., None]) -> Callable[..., None]:
            def stop(maintenance: Any) -> None:
                maintenance._is_stopped = True

            return stop

        self.plant(Maintenance, "stop", make)
        self.assert_caught(NothingLeft, CALM)

    def test_fault_of_our_own(self) -> None:
        """A member that raises when somebody has gone."""

        def failed(stabilization: Stabilization, contact: Contact, now: float) -> Any:
            raise KeyError("a planted fault")

        self.plant(Stabilization, "on_failure", lambda right: failed)
        self.assert_caught(NoFaultOfOurs, RESTLESS)
        self.forgive(KeyError)
