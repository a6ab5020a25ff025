"""Each check of the simulator catches the bug that it is there for.

A check that has never failed proves nothing: here production code is broken on purpose, and some seed
out of at most 200 must show it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.bounded import FairTable
from twisted_bazaar.discovery.flood.search import FloodAnswers
from twisted_bazaar.interfaces import Answer, Order, Settlement
from twisted_bazaar.node.control import Error, Ping, Pong
from twisted_bazaar.node.limits import Limits
from twisted_bazaar.node.link import Link
from twisted_bazaar.node.node import Node
from twisted_bazaar.node.peers import Peers
from twisted_bazaar.node.seen import Seen
from twisted_bazaar.roles.seller import Seller
from twisted_bazaar.sim.invariants.check import Check
from twisted_bazaar.sim.invariants.goods import ReservationsEnd, SoldOnce, StockAddsUp
from twisted_bazaar.sim.invariants.links import LinksAgree
from twisted_bazaar.sim.invariants.machines import NoFaultOfOurs, NothingLeft, TablesAreBounded
from twisted_bazaar.sim.invariants.messages import ForwardedOnce, NoLoops
from twisted_bazaar.sim.invariants.wants import WantsAreMet
from twisted_bazaar.sim.ledger import DiskLedger
from twisted_bazaar.sim.market import MarketRun
from twisted_bazaar.sim.scenario import Scenario
from twisted_bazaar.trade.purchase import Purchases
from twisted_bazaar.trade.reservations import Reservations

MOST_SEEDS: Final = 200
CALM: Final = Scenario(nodes=14, sellers=3, buyers=5, items=4, kinds=2, for_="20s", settle="1s", mode="safety")
STORMY: Final = CALM.evolve(for_="60s", faults_a_minute=40.0, fault_kinds=["pause", "kill", "slow"], loss=0.05)


class PlantedBugTests(SynchronousTestCase):
    """What a check promises to notice, it notices."""

    def broken(self, scenario: Scenario, limits: Limits | None = None) -> set[str]:
        """The promises that the first failing seed breaks."""
        for seed in range(MOST_SEEDS):
            report = MarketRun(scenario.evolve(seed=seed), limits=limits).run()
            if report.violations:
                return {violation.promise for violation in report.violations}
        raise self.failureException(f"{MOST_SEEDS} seeds have shown nothing")

    def plant(self, cls: type, name: str, make: Callable[[Any], Callable[..., Any]]) -> None:
        """Put a broken method in place of a right one, which it is made from."""
        self.patch(cls, name, make(getattr(cls, name)))

    def assert_caught(self, check: type[Check], scenario: Scenario, limits: Limits | None = None) -> None:
        """Some seed breaks the promise of this check."""
        self.assertIn(check.promise, self.broken(scenario, limits))

    def test_nothing_planted(self) -> None:
        """Unbroken code keeps every promise, in calm and in storm, and every check looks at something."""
        for scenario in (CALM, STORMY, STORMY.evolve(mode="liveness", settle="2m")):
            for seed in range(3):
                report = MarketRun(scenario.evolve(seed=seed, churn=0.5)).run()
                unchecked = [kept.promise for kept in report.promises if not kept.checked]
                asked_in_the_end = [] if scenario.mode == "liveness" else [WantsAreMet.promise]
                self.assertEqual((report.violations, unchecked), ([], asked_in_the_end))

    def test_stock(self) -> None:
        """A ledger that gives goods away without counting them sold."""

        def make(right: Callable[..., None]) -> Callable[..., None]:
            def apply(ledger: DiskLedger, answer: Answer) -> None:
                right(ledger, answer)
                levels = ledger._levels
                levels.update({item: evolve(level, sold=0) for item, level in levels.items()})

            return apply

        self.plant(DiskLedger, "_apply", make)
        self.assert_caught(StockAddsUp, CALM)

    def test_sold_twice(self) -> None:
        """A ledger that forgets what it has answered."""

        def make(right: Callable[..., Any]) -> Callable[..., Any]:
            async def settle(ledger: DiskLedger, order: Order, kept_back: int) -> Settlement:
                ledger._answers.clear()
                settlement: Settlement = await right(ledger, order, kept_back)
                return settlement

            return settle

        self.plant(DiskLedger, "_settle", make)
        self.assert_caught(SoldOnce, STORMY)

    def test_told_before_it_is_on_disk(self) -> None:
        """A ledger that writes and does not sync."""
        self.plant(DiskLedger, "_store", lambda right: lambda ledger, line: ledger._host.disk.append("ledger", line))
        self.assert_caught(SoldOnce, CALM)

    def test_forwarded_twice(self) -> None:
        """A node that does not remember what it has passed on."""
        self.plant(Seen, "knows", lambda right: lambda *arguments: False)
        # Nobody sells: an answer to each copy would be noticed before.
        self.assert_caught(ForwardedOnce, CALM.evolve(sellers=0))

    def test_ping_loop(self) -> None:
        """A link that answers a pong with a ping."""

        def make(right: Callable[..., None]) -> Callable[..., None]:
            def receive(link: Link, message: object) -> None:
                link.send(Ping()) if isinstance(message, Pong) else right(link, message)

            return receive

        self.plant(Link, "_receive_open", make)
        self.assert_caught(NoLoops, CALM.evolve(for_="60s"))

    def test_error_loop(self) -> None:
        """A node that answers errors with errors."""

        def make(right: Callable[..., None]) -> Callable[..., None]:
            def deliver(node: Node, message: object, origin: Any) -> None:
                right(node, message, origin)
                if isinstance(message, Error):
                    node.send(Error(code="wtf"), origin.route)

            return deliver

        self.plant(Node, "_deliver", make)
        self.assert_caught(NoLoops, CALM.evolve(stock=1))

    def test_answered_twice(self) -> None:
        """A seller that answers each search twice."""

        def make(right: Callable[..., None]) -> Callable[..., None]:
            def receive(answers: FloodAnswers, search: object, origin: object) -> None:
                right(answers, search, origin)
                right(answers, search, origin)

            return receive

        self.plant(FloodAnswers, "_search_received", make)
        self.assert_caught(NoLoops, CALM)

    def test_table_without_end(self) -> None:
        """A table that drops nothing."""

        def put(table: FairTable[Any, Any], key: object, value: object, owner: object, now: float) -> None:
            table._entries[key] = (value, owner, now + 600)

        self.plant(FairTable, "put", lambda right: put)
        self.assert_caught(TablesAreBounded, CALM, evolve(Limits(), seen_ids=2))

    def test_reservation_without_end(self) -> None:
        """A seller that holds back for ever."""
        self.plant(Reservations, "expire", lambda right: lambda reservations, now: None)
        self.assert_caught(ReservationsEnd, CALM.evolve(for_="60s", stock=2))

    def test_link_known_at_one_end(self) -> None:
        """A node that does not strike off who has left."""
        self.plant(Peers, "remove", lambda right: lambda peers, link: False)
        self.assert_caught(LinksAgree, CALM.evolve(churn=1.0, for_="4m"))

    def test_timer_left(self) -> None:
        """A role that stops and leaves its timers."""
        self.plant(FloodAnswers, "stop", lambda right: lambda answers: None)
        self.assert_caught(NothingLeft, CALM)

    def test_fault_of_our_own(self) -> None:
        """A role that raises when a neighbour leaves."""

        def peer_left(seller: Seller, peer: object) -> None:
            raise KeyError("a planted fault")

        self.plant(Seller, "peer_left", lambda right: peer_left)
        self.assert_caught(NoFaultOfOurs, CALM.evolve(churn=1.0, for_="60s"))
        self.flushLoggedErrors(KeyError)

    def test_order_given_up(self) -> None:
        """A buyer that asks once and never again."""
        self.plant(Purchases, "_repeat", lambda right: lambda purchases, opened: None)
        self.plant(Purchases, "seller_found", lambda right: lambda purchases, seller, route: None)
        self.assert_caught(WantsAreMet, STORMY.evolve(mode="liveness", settle="2m"))
