"""Books on a simulated disk: what is told is on the disk, and what is on the disk outlives a crash."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from tests.trade.cases import BUYER, SELLER, hex_id, order, purchase, seal_answer, taken_back
from twisted_bazaar.errors import StorageError
from twisted_bazaar.sim.engine.hosts import Network
from twisted_bazaar.sim.store import DiskStore, book_on
from twisted_bazaar.trade.ledger import Ledger
from twisted_bazaar.trade.order import OrderRecord, OrderState
from twisted_bazaar.trade.stores.memory import MemoryPurchases, MemorySales
from twisted_bazaar.trade.stores.store import WantRow
from twisted_bazaar.values.sale import Deal, Order, Outcome, Settlement, StockLevel, Supply

SOLD, REFUSED, CANCELLED = Outcome.SOLD, Outcome.REFUSED, Outcome.CANCELLED
FILE = "sales"


class DiskTestCase(SynchronousTestCase):
    """A machine with a disk."""

    def setUp(self) -> None:
        """A machine."""
        self.network = Network(1)
        self.host = self.network.add_host("seller")
        self.begin()

    def begin(self) -> None:
        """Start a program."""

    def run_for(self, seconds: float) -> None:
        """Let time pass."""
        self.network.timeline.run_until(self.network.timeline.now + seconds)

    def done(self, waiting: Deferred[Any]) -> Any:
        """What comes of something in time."""
        self.run_for(1)
        return self.successResultOf(waiting)

    def crash(self) -> None:
        """Lose the power, and start the program again."""
        self.host.crash()
        self.host.power_up()
        self.begin()


class SalesTests(DiskTestCase):
    """A ledger of five apples."""

    def begin(self) -> None:
        """Open the book, as a program does that starts."""
        self.store = DiskStore(self.host, FILE, MemorySales)
        self.ledger = Ledger(self.store)
        self.ledger.start(self.host)
        self.done(self.ledger.stock({"apple": Supply(5)}))

    def settle(self, *orders: Order) -> list[Settlement]:
        """Decide orders that come at once."""
        settling = [self.ledger.settle(each, 0, seal_answer) for each in orders]
        self.run_for(1)
        return [self.successResultOf(each) for each in settling]

    def outcomes(self, *orders: Order) -> list[Outcome]:
        """How orders end that come at once."""
        return [settled.deal.outcome for settled in self.settle(*orders)]

    def apples(self) -> StockLevel | None:
        """The count of apples."""
        return self.done(self.ledger.terms("apple", SELLER.public))[0]  # type: ignore[no-any-return] # trial says Any

    def on_disk(self, number: int) -> Deal | None:
        """What a crash would leave of an order."""
        return self.store.synced_book().answered.get((BUYER.public, hex_id(number)))

    def test_sale(self) -> None:
        """An order that can be met is sold, and counted."""
        [settled] = self.settle(order(1, 2))
        self.assertEqual((settled.deal.outcome, settled.is_repeat), (SOLD, False))
        self.assertEqual(self.apples(), StockLevel("apple", 5, 3, 2, 0, None))
        self.assertEqual(self.done(self.ledger.levels()), [self.apples()])

    def test_at_once(self) -> None:
        """Orders that come at once are decided one after the other: no piece is sold twice."""
        asked = [order(number, 2, id=hex_id(number)) for number in range(4)]
        self.assertEqual(self.outcomes(*asked), [SOLD, SOLD, REFUSED, REFUSED])
        self.assertEqual(self.apples(), StockLevel("apple", 5, 1, 4, 0, None))

    def test_told_is_on_disk(self) -> None:
        """When an answer is told a crash would leave it; before it was asked for there is none."""
        seen: list[bool] = []
        self.assertIsNone(self.on_disk(1))
        self.ledger.settle(order(1), 0, seal_answer).addCallback(
            lambda settled: seen.append(self.on_disk(1) == settled.deal)
        )
        self.run_for(1)
        self.settle(order(2, 9))
        outcomes = [deal and deal.outcome for deal in map(self.on_disk, (1, 2, 3))]
        self.assertEqual((seen, outcomes), ([True], [SOLD, REFUSED, None]))

    def test_restart(self) -> None:
        """After a crash every answer is what it was, refusals and cancelled orders too."""
        asked = [order(1, 2), order(2, 9, id=hex_id(2)), taken_back(3, id=hex_id(3))]
        before = [each.deal for each in self.settle(*asked)]
        level = self.apples()
        self.crash()
        self.assertEqual(self.apples(), level)
        after = self.settle(*asked)
        self.assertEqual(([each.deal for each in after], {each.is_repeat for each in after}), (before, {True}))

    def test_crash_at_any_moment(self) -> None:
        """Whenever the power goes, what was told is in the book, and an order that is repeated is sold once."""
        for step in range(40):
            self.setUp()
            told: list[Settlement] = []
            self.ledger.settle(order(1, 2), 0, seal_answer).addCallback(told.append)
            self.run_for(step * 0.0001)
            self.crash()
            if told:
                self.assertEqual(self.on_disk(1), told[0].deal)
            self.settle(order(1, 2))
            self.assertEqual(self.apples(), StockLevel("apple", 5, 3, 2, 0, None))

    def test_full_and_failing(self) -> None:
        """What cannot be stored is not answered, not counted, and can be asked for again."""
        for is_full in (True, False):
            self.setUp()
            disk = self.host.disk
            if is_full:
                disk.fill()
            disk.is_failing = not is_full
            settling = self.ledger.settle(order(1, 2), 0, seal_answer)
            self.run_for(1)
            self.failureResultOf(settling, StorageError)
            disk.make_room()
            disk.is_failing = False
            self.assertEqual(self.apples(), StockLevel("apple", 5, 5, 0, 0, None))
            self.assertEqual(self.settle(order(1, 2))[0].is_repeat, False)

    def test_full_can_be_read(self) -> None:
        """From a full disk the book can be read still."""
        self.host.disk.fill()
        self.assertEqual(self.apples(), StockLevel("apple", 5, 5, 0, 0, None))

    def test_fails_between(self) -> None:
        """What was written and could not be synced is taken back, on the disk and in what the machine sees."""
        disk = self.host.disk
        before, written = disk.read(FILE), disk.append

        def write_and_fail(name: str, data: bytes) -> None:
            written(name, data)
            disk.is_failing = True

        disk.append = write_and_fail  # type: ignore[method-assign] # a disk that fails between two calls
        settling = self.ledger.settle(order(1), 0, seal_answer)
        self.run_for(1)
        self.failureResultOf(settling, StorageError)
        disk.is_failing = False
        self.assertEqual((disk.read(FILE), self.store.book.answered), (before, {}))

    def test_unreadable_at_first(self) -> None:
        """A book that cannot be read at the start is read later: it does not begin anew."""
        self.settle(order(1, 2))
        self.host.crash()
        self.host.power_up()
        self.host.disk.is_failing = True
        self.store = DiskStore(self.host, FILE, MemorySales)
        self.ledger = Ledger(self.store)
        self.ledger.start(self.host)
        stocking = self.ledger.stock({"apple": Supply(9)})
        self.run_for(1)
        self.failureResultOf(stocking, StorageError)
        self.host.disk.is_failing = False
        self.assertEqual(self.apples(), StockLevel("apple", 5, 3, 2, 0, None))


class PurchasesTests(DiskTestCase):
    """A buyer's book."""

    def begin(self) -> None:
        """Open it."""
        self.store = DiskStore(self.host, "orders", MemoryPurchases)
        self.store.open(self.host)

    def do(self, work: Callable[[MemoryPurchases], Any]) -> Any:
        """Do something in one transaction."""
        return self.done(self.store.run_transaction(work))

    def test_outlives_a_crash(self) -> None:
        """Wants and orders are there again, with all that is known of them."""
        record = OrderRecord(hex_id(1), 1, "ab" * 32, 9, "apple", 2, 40, purchase(), 1.5)
        want = WantRow(1, "apple", 2, True)
        self.do(lambda book: (book.put_want(want), book.put(record)))
        self.crash()
        self.assertEqual(self.do(lambda book: (book.wants(), book.open_orders())), ([want], [record]))
        record.state, record.answer = OrderState.CONFIRMED, purchase()
        self.do(lambda book: book.put(record))
        self.crash()
        self.assertEqual(self.do(lambda book: (book.open_orders(), book.orders_of(1))), ([], [record]))

    def test_wholly_or_not_at_all(self) -> None:
        """What a transaction raises undoes all that it has done, and comes out again."""

        def work(book: MemoryPurchases) -> None:
            book.put_want(WantRow(1, "apple", 2, True))
            raise KeyError("a fault in the middle")

        working = self.store.run_transaction(work)
        self.run_for(1)
        self.failureResultOf(working, KeyError)
        self.crash()
        self.assertEqual(self.do(lambda book: (book.wants(), book.next_number())), ([], 1))

    def test_one_by_one(self) -> None:
        """Transactions follow one another, and reading writes nothing."""
        self.host.disk.fill()
        numbers = [self.store.run_transaction(lambda book: book.next_number()) for _ in range(3)]
        self.host.disk.make_room()
        rows = [
            self.store.run_transaction(lambda book, n=n: book.put_want(WantRow(book.next_number(), "apple", n, True)))
            for n in (7, 8)
        ]
        self.run_for(1)
        self.assertEqual([self.successResultOf(each) for each in (*numbers, *rows)], [1, 1, 1, None, None])
        self.assertEqual([row.quantity for row in self.store.synced_book().wants()], [7, 8])

    def test_end(self) -> None:
        """It is closed when all that was begun is done."""
        writing = self.store.run_transaction(lambda book: book.put_want(WantRow(1, "apple", 2, True)))
        closing = self.store.close()
        self.assertNoResult(closing)
        self.done(closing)
        self.successResultOf(writing)
        self.assertEqual(len(book_on(self.host.disk.synced("orders"), MemoryPurchases).wants()), 1)
