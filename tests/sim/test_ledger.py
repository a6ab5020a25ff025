"""The book on a simulated disk: an answer that is told is on the disk, and the first answer is final."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from twisted_bazaar.errors import StorageError
from twisted_bazaar.interfaces import ILedger, Order, Refusal, Sale, Settlement, StockLevel
from twisted_bazaar.sim.ledger import DiskLedger
from twisted_bazaar.sim.reactor import Network
from twisted_bazaar.trade.ledger import Supply


def order(order_id: int, quantity: int = 2, buyer: int = 9, item: str = "apple") -> Order:
    """An order of node 9."""
    return Order(buyer=buyer, id=order_id, item=item, quantity=quantity, price=None)


class DiskLedgerTests(SynchronousTestCase):
    """A book of five apples."""

    def setUp(self) -> None:
        """A machine with a book."""
        self.network = Network(1)
        self.host = self.network.add_host("seller")
        self.open()

    def open(self) -> None:
        """Read the book from the disk, as a program does that starts."""
        self.ledger = DiskLedger(self.host, {"apple": Supply(5)})

    def run_for(self, seconds: float) -> None:
        """Let time pass."""
        self.network.timeline.run_until(self.network.timeline.now + seconds)

    def settle(self, *orders: Order) -> list[Any]:
        """Decide orders; returns the settlements."""
        settling = [self.ledger.settle(each, 0) for each in orders]
        self.run_for(1)
        return [self.successResultOf(each) for each in settling]

    def level(self) -> StockLevel | None:
        """The count of apples."""
        return self.successResultOf(self.ledger.level("apple"))  # type: ignore[no-any-return] # trial says Any

    def test_interface(self) -> None:
        """It is a ledger."""
        self.assertTrue(verifyObject(ILedger, self.ledger))

    def test_sale(self) -> None:
        """An order that can be met is sold, and counted."""
        self.assertEqual(self.settle(order(1)), [Settlement(Sale(order(1)), is_repeat=False)])
        self.assertEqual(self.level(), StockLevel("apple", 5, 3, 2, None))
        self.assertEqual(self.successResultOf(self.ledger.levels()), [self.level()])

    def test_unknown_item(self) -> None:
        """What the seller does not have is refused."""
        settled = self.settle(order(1, item="pear"))[0]
        self.assertEqual((type(settled.answer), self.successResultOf(self.ledger.level("pear"))), (Refusal, None))

    def test_at_once(self) -> None:
        """Orders that come at once are decided one after the other: no piece is sold twice."""
        settled = self.settle(*(order(number) for number in range(4)))
        self.assertEqual([type(each.answer) for each in settled], [Sale, Sale, Refusal, Refusal])
        self.assertEqual(self.level(), StockLevel("apple", 5, 1, 4, None))

    def test_repeat(self) -> None:
        """The first answer to an order is final, also when it is asked for twice at once."""
        first, second = self.settle(order(1), order(1))
        self.assertEqual((first.answer, second.answer, second.is_repeat), (Sale(order(1)), Sale(order(1)), True))
        self.settle(order(2))
        refused = self.settle(order(3))[0].answer
        self.assertEqual([each.answer for each in self.settle(order(1, 1), order(3, 1))], [Sale(order(1)), refused])
        self.assertEqual(self.level(), StockLevel("apple", 5, 1, 4, None))

    def test_told_is_on_disk(self) -> None:
        """When an answer is told a crash would leave it, and not before it was decided."""
        seen: list[bool] = []
        self.assertFalse(self.ledger.has_on_disk(9, 1))
        self.ledger.settle(order(1), 0).addCallback(lambda settled: seen.append(self.ledger.has_on_disk(9, 1)))
        self.run_for(1)
        self.settle(order(2, 9))
        self.assertEqual(
            (seen, [self.ledger.has_on_disk(9, number) for number in (1, 2, 3)]), ([True], [True, False, False])
        )

    def test_restart(self) -> None:
        """After a crash every answer is what it was, refusals too."""
        before = [each.answer for each in self.settle(order(1), order(2), order(3))]
        level = self.level()
        self.host.crash()
        self.host.power_up()
        self.open()
        self.assertEqual(self.level(), level)
        after = self.settle(order(1), order(2), order(3))
        self.assertEqual(([each.answer for each in after], {each.is_repeat for each in after}), (before, {True}))

    def test_crash_at_any_moment(self) -> None:
        """Whenever the power goes, what was told is in the book, and an order that is repeated is sold once."""
        for step in range(40):
            self.setUp()
            told: list[Settlement] = []
            self.ledger.settle(order(1), 0).addCallback(told.append)
            self.run_for(step * 0.0001)
            self.host.crash()
            self.host.power_up()
            self.open()
            if told:
                self.assertTrue(self.ledger.has_on_disk(9, 1))
            self.settle(order(1))
            self.assertEqual(self.level(), StockLevel("apple", 5, 3, 2, None))

    def test_full_and_failing(self) -> None:
        """What cannot be stored is not answered, not counted, and can be asked for again."""
        for is_full in (True, False):
            self.setUp()
            disk = self.host.disk
            if is_full:
                disk.fill()
            disk.is_failing = not is_full
            settling = self.ledger.settle(order(1), 0)
            self.run_for(1)
            self.failureResultOf(settling, StorageError)
            self.assertEqual(self.level(), StockLevel("apple", 5, 5, 0, None))
            disk.make_room()
            disk.is_failing = False
            self.assertEqual(self.settle(order(1))[0].is_repeat, False)

    def test_fails_between(self) -> None:
        """What was written and could not be synced is taken back."""
        disk = self.host.disk
        written = disk.append

        def write_and_fail(name: str, data: bytes) -> None:
            written(name, data)
            disk.is_failing = True

        disk.append = write_and_fail  # type: ignore[method-assign] # a disk that fails between two calls
        settling: Deferred[Settlement] = self.ledger.settle(order(1), 0)
        self.run_for(1)
        self.failureResultOf(settling, StorageError)
        disk.is_failing = False
        self.assertEqual(disk.read("ledger"), b"")
