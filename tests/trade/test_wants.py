"""What a buyer wants is remembered, each want once."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.trade.cases import HandStore, hex_id, quote
from twisted_bazaar.errors import StorageError
from twisted_bazaar.trade.order import OrderRecord
from twisted_bazaar.trade.stores.memory import MemoryPurchases
from twisted_bazaar.trade.stores.store import WantRow
from twisted_bazaar.trade.wants import WantList


class WantTests(SynchronousTestCase):
    """What a buyer wants, over several runs."""

    def setUp(self) -> None:
        """An empty book."""
        self.store = HandStore(MemoryPurchases())
        self.restart()

    def restart(self) -> None:
        """Begin again with the same book."""
        self.store.open(None)
        self.wants = WantList(self.store)

    def want(self, item: str, quantity: int) -> WantRow:
        """The row of a want."""
        wanting = self.wants.find(item, quantity)
        self.store.finish_all()
        return self.successResultOf(wanting)[0]  # type: ignore[no-any-return] # trial says Any

    def test_new(self) -> None:
        """Each want has a number of its own, two for the same item as well."""
        rows = [self.want(item, 2) for item in ("apple", "pear", "apple")]
        self.assertEqual(
            rows, [WantRow(1, "apple", 2, True), WantRow(2, "pear", 2, True), WantRow(3, "apple", 2, True)]
        )

    def test_restart(self) -> None:
        """What is wanted again after a restart is the same want, with what it has come to be."""
        for item in ("apple", "pear", "apple"):
            self.want(item, 2)
        self.restart()
        rows = [self.want(*each) for each in (("apple", 3), ("plum", 1), ("apple", 2), ("pear", 2))]
        self.assertEqual([(row.number, row.quantity) for row in rows], [(1, 3), (4, 1), (3, 2), (2, 2)])

    def test_its_orders(self) -> None:
        """With a want come its orders, and no others."""
        for number, item in ((1, "apple"), (2, "pear")):
            self.want(item, 2)
            record = OrderRecord(hex_id(number), number, "", 9, item, 1, None, quote(), 0.0)
            self.store.run_transaction(lambda book, record=record: book.put(record))
        self.store.finish_all()
        self.restart()
        wanting = self.wants.find("pear", 2)
        self.store.finish()
        self.assertEqual([record.id for record in self.successResultOf(wanting)[1]], [hex_id(2)])

    def test_closed(self) -> None:
        """What is closed is done: to want the same again is a new want. What this run does not want stays open."""
        self.want("apple", 2)
        self.want("pear", 2)
        self.restart()
        self.want("apple", 2)
        closing = self.wants.close()
        self.store.finish()
        self.successResultOf(closing)
        self.restart()
        self.assertEqual([self.want(item, 2).number for item in ("apple", "pear")], [3, 2])

    def test_at_once(self) -> None:
        """Two wants for one item that are entered at once, by a store with a thread of its own, are two."""
        wanting = [self.wants.find("apple", quantity) for quantity in (2, 3)]
        for _ in wanting:
            self.store.finish_late()
        rows = [self.successResultOf(each)[0] for each in wanting]
        self.assertEqual(rows, [WantRow(1, "apple", 2, True), WantRow(2, "apple", 3, True)])

    def test_not_written(self) -> None:
        """What could not be written was not taken up."""
        wanting = self.wants.find("apple", 2)
        self.store.fail()
        self.failureResultOf(wanting, StorageError)
        self.assertEqual(self.want("apple", 2).number, 1)
