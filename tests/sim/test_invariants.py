"""Each check of the simulator catches the bug that it is there for.

A check that has never failed proves nothing: here production code is broken on purpose, and some seed
out of at most 200 must show it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from attrs import evolve
from twisted.internet.defer import succeed

from tests import endless_table
from tests.sim.planted import PlantedBugCase
from twisted_bazaar.bounded import FairTable
from twisted_bazaar.discovery.flood.search import FloodAnswers
from twisted_bazaar.errors import SoldOut
from twisted_bazaar.node.control import Ping, Pong
from twisted_bazaar.node.limits import Limits
from twisted_bazaar.node.links.link import Link
from twisted_bazaar.node.peers import Peers
from twisted_bazaar.node.routing.duplicate_filter import DuplicateFilter
from twisted_bazaar.node.routing.forwarding import Forwarding
from twisted_bazaar.roles.buyer import Buyer
from twisted_bazaar.roles.seller import Seller
from twisted_bazaar.sim.engine.disk import Disk
from twisted_bazaar.sim.invariants import MARKET_CHECKS
from twisted_bazaar.sim.invariants.goods import NeverFailedWhileSold, ReservationsEnd, SoldOnce, StockAddsUp
from twisted_bazaar.sim.invariants.links import LinksAgree
from twisted_bazaar.sim.invariants.machines import NoFaultOfOurs, NothingLeft, TablesAreBounded
from twisted_bazaar.sim.invariants.messages import ForwardedOnce, NoLoops
from twisted_bazaar.sim.invariants.wants import BoughtAsWanted, WantsAreMet
from twisted_bazaar.sim.market.run import MarketRun
from twisted_bazaar.sim.market.scenario import MarketScenario
from twisted_bazaar.sim.store import DiskStore
from twisted_bazaar.trade import ledger as ledger_module
from twisted_bazaar.trade.ledger import Ledger
from twisted_bazaar.trade.purchase import Purchases
from twisted_bazaar.trade.reservations import Reservations
from twisted_bazaar.trade.stores.memory import MemorySales
from twisted_bazaar.values.sale import Deal, Outcome, StockLevel, Verdict
from twisted_bazaar.wire.error import Error

CALM: Final = MarketScenario(nodes=14, sellers=3, buyers=5, items=4, kinds=2, for_="20s", settle="1s", mode="safety")
STORMY: Final = CALM.evolve(for_="60s", faults_a_minute=40.0, fault_kinds=["pause", "kill", "slow"], loss=0.05)


class PlantedBugTests(PlantedBugCase):
    """The checks of the market."""

    run_class = MarketRun

    def test_nothing_planted(self) -> None:
        """Unbroken code keeps every promise, in calm and in storm, and every check looks at something."""
        for scenario in (CALM, STORMY, STORMY.evolve(mode="liveness", settle="2m")):
            unchecked = self.unchecked(scenario.evolve(churn=0.5, stock=2))
            self.assertEqual(unchecked, [] if scenario.mode == "liveness" else [WantsAreMet.promise])

    def test_every_check(self) -> None:
        """Each check has a bug here that it catches."""
        self.assert_all_proved(MARKET_CHECKS)

    def test_stock(self) -> None:
        """A book that gives goods away without counting them sold."""

        def sell(book: MemorySales, item: str, quantity: int) -> None:
            level = book.stock[item]
            book.set_level(evolve(level, in_stock=level.in_stock - quantity))

        self.plant(MemorySales, "sell", lambda right: sell)
        self.assert_caught(StockAddsUp, CALM)

    def test_stock_that_is_not_there(self) -> None:
        """A ledger that does not look at its stock."""

        def sell(book: MemorySales, item: str, quantity: int) -> None:
            level = book.stock[item]
            book.set_level(evolve(level, in_stock=level.in_stock - quantity, sold=level.sold + quantity))

        self.plant(MemorySales, "sell", lambda right: sell)
        self.patch(ledger_module, "decide", lambda *arguments, **facts: Verdict(Outcome.SOLD))
        self.assert_caught(StockAddsUp, CALM.evolve(stock=1, buyers=8, wants=6))

    def test_withdrawn(self) -> None:
        """A seller that takes out a piece after each sale, with a ledger that does not count what is taken out."""

        def withdraw(ledger: Ledger, item: str, quantity: int) -> Any:
            def take(book: Any) -> StockLevel:
                level: StockLevel = book.levels([item])[item]
                book.set_level(evolve(level, in_stock=max(0, level.in_stock - quantity)))
                return level

            return ledger._store.run_transaction(take)

        def make(right: Callable[..., None]) -> Callable[..., None]:
            def answer(seller: Seller, settlement: Any, *asked: Any) -> None:
                right(seller, settlement, *asked)
                seller.ledger.withdraw(settlement.deal.order.item, 1).addErrback(lambda failure: failure.trap(SoldOut))

            return answer

        self.plant(Seller, "_answer", make)
        for seed in range(3):
            self.assertEqual(MarketRun(CALM.evolve(seed=seed)).run().violations, [])
        self.plant(Ledger, "withdraw", lambda right: withdraw)
        self.assert_caught(StockAddsUp, CALM)

    def test_sold_twice(self) -> None:
        """A book that forgets what it has answered."""

        def keep(book: MemorySales, deals: Sequence[Deal]) -> None:
            for deal in deals:
                book._set("answered", deal.order.key, deal)

        self.plant(MemorySales, "deals", lambda right: lambda book, keys: {})
        self.plant(MemorySales, "add_deals", lambda right: keep)
        self.assert_caught(SoldOnce, STORMY)

    def test_told_before_it_is_on_disk(self) -> None:
        """A store that writes a seller's book and does not sync it."""
        self.plant(Disk, "sync", lambda right: lambda disk, name: None if name == "sales" else right(disk, name))
        self.assert_caught(SoldOnce, CALM)

    def test_told_before_it_is_written(self) -> None:
        """A store that says it is done, and then does it."""

        def run(store: DiskStore[Any], work: Callable[[Any], Any]) -> Any:
            told = work(store.book)
            store.book.roll_back()
            store._transact(lambda: store._write(work)).addErrback(lambda failure: None)
            return succeed(told)

        self.plant(DiskStore, "run_transaction", lambda right: run)
        # Disks that fail show it, as crashes do.
        self.assert_caught(SoldOnce, STORMY.evolve(fault_kinds=["crash", "disk-full", "kill"], for_="2m"))

    def test_silence_is_no(self) -> None:
        """A buyer that takes silence for a no."""

        def make(right: Callable[..., None]) -> Callable[..., None]:
            def repeat(purchases: Purchases, opened: Any) -> None:
                if opened.tries >= 2:
                    purchases._end(opened, Outcome.REFUSED, None, "", "no answer came")
                else:
                    right(purchases, opened)

            return repeat

        self.plant(Purchases, "_repeat", make)
        self.assert_caught(NeverFailedWhileSold, STORMY)

    def test_error_is_no(self) -> None:
        """A buyer that takes an error about its order for a no, whoever says it."""

        def make(right: Callable[..., None]) -> Callable[..., None]:
            def failed(purchases: Purchases, message: Error, origin: object) -> None:
                for opened in list(purchases._open.values()):
                    if opened.record.id.startswith(f"{message.id or 0:013x}") and not opened.is_ending:
                        purchases._end(opened, Outcome.REFUSED, None, message.code, message.info)

            return failed

        self.plant(Purchases, "error_received", make)
        restless = STORMY.evolve(fault_kinds=["crash", "slow"], faults_a_minute=60.0, churn=3.0, buyers=20, nodes=30)
        self.assert_caught(NeverFailedWhileSold, restless, checks=(NeverFailedWhileSold,))

    def test_orders_lost(self) -> None:
        """A buyer that begins each run with an empty book."""

        def make(right: Callable[..., None]) -> Callable[..., None]:
            def start(buyer: Buyer, node: Any) -> None:
                host = buyer._store._host  # type: ignore[attr-defined] # it is on a disk
                host.disk.write("orders", b"")
                right(buyer, node)

            return start

        for seed in range(3):
            self.assertEqual(self.violations_of(STORMY.evolve(seed=seed, churn=0.5), BoughtAsWanted), [])
        self.plant(Buyer, "start", make)
        self.assert_caught(BoughtAsWanted, STORMY, checks=[BoughtAsWanted])

    def test_forwarded_twice(self) -> None:
        """A node that does not remember what it has passed on."""
        self.plant(DuplicateFilter, "knows", lambda right: lambda *arguments: False)
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
            def deliver(node: Forwarding, message: object, origin: Any) -> None:
                right(node, message, origin)
                if isinstance(message, Error):
                    node.send(Error(code="wtf"), origin.route)

            return deliver

        self.plant(Forwarding, "deliver", make)
        self.assert_caught(NoLoops, CALM.evolve(for_="60s", faults_a_minute=60.0, fault_kinds=["disk-full"]))

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

        self.plant(FairTable, "put", lambda right: endless_table.put)
        self.assert_caught(TablesAreBounded, CALM, limits=evolve(Limits(), seen_ids=2))

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
        self.forgive(KeyError)

    def test_order_given_up(self) -> None:
        """A buyer that asks once and never again."""
        self.plant(Purchases, "_repeat", lambda right: lambda purchases, opened: None)
        self.plant(Purchases, "seller_found", lambda right: lambda purchases, seller, route: None)
        self.assert_caught(WantsAreMet, STORMY.evolve(mode="liveness", settle="2m"))
