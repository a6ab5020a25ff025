"""A seller's goods as the network sees them: stock and reservations together."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from twisted_bazaar.interfaces import Answer, IShelf, Order, Origin, Quote, Refusal, Sale
from twisted_bazaar.trade.ledger import MemoryLedger, Supply
from twisted_bazaar.trade.shelf import Shelf


class ShelfTests(SynchronousTestCase):
    """A shelf of eight apples at 120 and one pear; each buyer is a neighbour."""

    def setUp(self) -> None:
        """Fill it."""
        self.clock = Clock()
        self.shelf = Shelf(MemoryLedger({"apple": Supply(8, 120), "pear": Supply(1)}), self.clock)

    def quote(self, buyer: int, item: str = "apple", quantity: int = 9) -> Quote | None:
        """What a buyer is offered."""
        return self.successResultOf(self.shelf.quote(item, quantity, Origin(buyer, (1, buyer))))

    def order(self, buyer: int, item: str = "pear", quantity: int = 1, id: int = 1) -> Answer:
        """What a buyer is answered."""
        price = 120 if item == "apple" else None
        return self.successResultOf(self.shelf.settle(Order(buyer, id, item, quantity, price))).answer

    def test_interface(self) -> None:
        """It is a shelf."""
        self.assertTrue(verifyObject(IShelf, self.shelf))

    def test_quote(self) -> None:
        """A buyer is offered what it wants, as far as there is so much, at its price."""
        quotes = [self.quote(1, quantity=3), self.quote(1), self.quote(1, "pear"), self.quote(1, "plum")]
        self.assertEqual(quotes, [Quote(3, 120), Quote(8, 120), Quote(1, None), None])

    def test_held(self) -> None:
        """What one was offered, up to a quarter, is not offered to another for 30 s."""
        self.quote(1)
        self.assertEqual(self.quote(2), Quote(6, 120))
        self.clock.advance(29.9)
        self.assertEqual(self.quote(3), Quote(4, 120))
        self.clock.advance(0.1)
        self.assertEqual(self.quote(4), Quote(6, 120))

    def test_the_last_piece(self) -> None:
        """The only pear is offered to one buyer, and to the next when 30 s are over."""
        self.assertEqual([self.quote(1, "pear"), self.quote(2, "pear")], [Quote(1, None), None])
        self.clock.advance(30)
        self.assertEqual(self.quote(2, "pear"), Quote(1, None))

    def test_held_for_others(self) -> None:
        """What is held for one buyer is sold to that one, and to no other."""
        self.quote(1, "pear")
        refused = Order(2, 1, "pear", 1, None)
        self.assertEqual(self.order(2), Refusal(refused, "soldout", "0 left of 'pear', 1 ordered"))
        self.assertEqual(self.order(1), Sale(Order(1, 1, "pear", 1, None)))

    def test_bought(self) -> None:
        """Who has bought is held nothing more: what is left is free for others."""
        self.quote(1)
        self.order(1, "apple", quantity=2)
        self.assertEqual((self.quote(2), len(self.shelf.reservations)), (Quote(6, 120), 1))

    def test_refused(self) -> None:
        """Who was refused keeps what is held: it may order less."""
        self.quote(1)
        self.order(1, "apple", quantity=9)
        self.assertEqual(self.quote(2), Quote(6, 120))

    def test_sold_out(self) -> None:
        """What is sold is offered to nobody."""
        self.order(1)
        self.assertEqual([self.quote(buyer, "pear") for buyer in (1, 2)], [None, None])
