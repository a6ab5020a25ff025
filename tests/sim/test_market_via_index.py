"""Whole markets in which sellers are found by an index server: the same roles and promises, another way of finding."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from twisted.trial.unittest import SynchronousTestCase

from tests import THOROUGH
from twisted_bazaar.discovery.index.client.search import IndexAnswers, IndexSearch
from twisted_bazaar.sim.cluster import Member, Observer
from twisted_bazaar.sim.market.report import MarketReport
from twisted_bazaar.sim.market.run import MarketRun
from twisted_bazaar.sim.market.scenario import MarketScenario, PurchaseEntry
from twisted_bazaar.sim.scenario import FaultEntry

SEEDS: Final = range(1, 4 if THOROUGH else 2)
# Nobody passes anything on.
_SMALL: Final = MarketScenario(nodes=12, sellers=5, buyers=7, items=6, kinds=3, wants=4, for_="90s", settle="90s")
INDEX: Final = "tracker"


def crash(at: str, *nodes: str, kind: str = "crash", for_: str = "20s") -> FaultEntry:
    """Something that happens to machines."""
    return FaultEntry(kind=kind, at=at, for_=for_, nodes=list(nodes))


# Each step takes 0.4 s: to ask the index, to connect, to prove keys, to greet, to ask the seller. The order leaves at
# 4.0 s.
_ONE_ORDER: Final = MarketScenario(
    nodes=2,
    sellers=1,
    buyers=1,
    items=1,
    kinds=1,
    wants=0,
    for_="60s",
    settle="60s",
    latency="200ms",
    purchases=[PurchaseEntry(buyer="buyer-1", at="2s", item="item-1")],
)
_AWAY: Final = [crash("4.1s", "seller-1")]
_MET: Final = "when faults have stopped, every want that can be met is met in time"


class _Sales(Observer):
    """Keeps what sellers report as sold, and buyers as bought."""

    def __init__(self) -> None:
        self.orders: dict[str, list[str]] = {"sold": [], "bought": []}

    def on_report(self, member: Member, event: str, details: Mapping[str, Any]) -> None:
        """Keep an order."""
        if event in self.orders:
            self.orders[event].append(details["order"])


class MarketViaIndexTests(SynchronousTestCase):
    """The promises of the market hold by this way of finding too."""

    def run_market(self, scenario: MarketScenario) -> MarketReport:
        """Make one run; it breaks no promise, and nobody floods."""
        self.market = MarketRun(scenario, via="index")
        self.sales = _Sales()
        self.market.cluster.observe(self.sales)
        report = self.market.run()
        self.assertEqual(report.violations, [], f"seed {scenario.seed}")
        self.assertEqual(report.messages.get("search", 0), 0)
        return report

    def assert_once(self) -> None:
        """Every order sold is one order, and what buyers hold is sold."""
        sold, bought = self.sales.orders["sold"], self.sales.orders["bought"]
        self.assertEqual(len(sold), len(set(sold)))
        self.assertEqual(set(bought) - set(sold), set())

    def test_calm(self) -> None:
        """Where nothing fails everything that is there is found, at the first go, and bought."""
        for seed in SEEDS:
            report = self.run_market(_SMALL.evolve(seed=seed, stock=50, settle="30s"))
            self.assertEqual((report.purchases, report.recall), (report.wants, 1.0))
            self.assertEqual(report.hops, 1.0)
            self.assert_once()

    def test_scarce(self) -> None:
        """Where there is too little for all, what there is is sold, and once."""
        for seed in SEEDS:
            self.run_market(_SMALL.evolve(seed=seed, nodes=20, buyers=15, stock=2))
            self.assert_once()
            self.assertGreater(len(self.sales.orders["sold"]), 20)

    def test_loss_and_crashes(self) -> None:
        """Packets get lost, and sellers, buyers and the index lose their power: in the end all wants are met."""
        for seed in SEEDS:
            faults = [
                crash("10s", "seller-1", "seller-2"),
                crash("15s", "buyer-1", kind="kill"),
                crash("25s", INDEX),
                crash("50s", "seller-3", kind="kill"),
                crash("55s", "buyer-2", "buyer-3"),
                crash("60s", INDEX, kind="kill", for_="5s"),
            ]
            report = self.run_market(_SMALL.evolve(seed=seed, loss=0.05, faults=faults, stock=50))
            self.assertEqual(report.purchases, report.wants)
            self.assert_once()

    def test_recovery(self) -> None:
        """Everything fails that can; when it has stopped, every want that can be met is met."""
        for seed in SEEDS:
            report = self.run_market(
                _SMALL.evolve(seed=seed, loss=0.02, churn=0.3, faults_a_minute=20.0, settle="2m", stock=50)
            )
            self.assertGreater(report.purchases, 0)
            self.assert_once()

    def test_storm(self) -> None:
        """Where faults never end nothing is sold twice, and nothing is lost."""
        for seed in SEEDS:
            report = self.run_market(_SMALL.evolve(seed=seed, stock=4, mode="safety", loss=0.05, faults_a_minute=30.0))
            self.assertGreater(report.messages["inquiry"], 0)
            self.assert_once()

    def test_index_is_gone(self) -> None:
        """When the index has gone for good, orders that are under way still end, and nothing else goes wrong."""
        for seed in SEEDS:
            report = self.run_market(
                _SMALL.evolve(seed=seed, mode="safety", stock=50, faults=[crash("45s", INDEX, for_="10m")])
            )
            self.assertGreater(report.purchases, 0)
            self.assert_once()

    def test_way_back(self) -> None:
        """A seller that loses its power with an order on its way is found again, with the index or without it."""
        for faults in (_AWAY, [*_AWAY, crash("4.1s", INDEX)], [*_AWAY, crash("4.1s", INDEX, for_="10m")]):
            report = self.run_market(_ONE_ORDER.evolve(faults=faults))
            self.assertEqual((report.purchases, len(self.sales.orders["sold"])), (1, 1))
            self.assert_once()


class PlantedBugTests(SynchronousTestCase):
    """What these runs look at is looked at: broken code is caught."""

    def broken(self, scenario: MarketScenario) -> set[str]:
        """The promises that a run breaks."""
        return {violation.promise for violation in MarketRun(scenario, via="index").run().violations}

    def test_never_published(self) -> None:
        """A seller whose goods nobody is told of."""
        self.patch(IndexAnswers, "offers_changed", lambda answers: None)
        self.assertIn(_MET, self.broken(_SMALL.evolve(stock=50)))

    def test_no_way_back(self) -> None:
        """A buyer that does not find the way back to a seller that was away."""

        def find(right: Any) -> Any:
            def broken(self: IndexSearch, item: str, quantity: int, accept: Any, seller: str | None = None) -> Any:
                return right(self, item, quantity, accept, "09" * 32 if seller else None)

            return broken

        self.patch(IndexSearch, "find", find(IndexSearch.find))
        self.assertIn(_MET, self.broken(_ONE_ORDER.evolve(faults=_AWAY)))
