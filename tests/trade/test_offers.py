"""A seller's goods as the network sees them: stock, reservations and signed quotes together."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from tests.trade.cases import BUYER, SELLER, STRANGER, HandStore, quote, withdrawal
from twisted_bazaar.errors import Forged, StorageError
from twisted_bazaar.identity.signed import Envelope
from twisted_bazaar.interfaces import IOffers
from twisted_bazaar.node.node import BAZAAR
from twisted_bazaar.testing import FakeNode
from twisted_bazaar.trade.contract import Answer, Quote, make_purchase
from twisted_bazaar.trade.ledger import Ledger
from twisted_bazaar.trade.offers import Offers
from twisted_bazaar.trade.stores.memory import MemorySales, MemoryStore
from twisted_bazaar.values.addresses import Origin
from twisted_bazaar.values.sale import Deal, Outcome, Settlement, Supply

SOLD, REFUSED = Outcome.SOLD, Outcome.REFUSED


class ShelfTests(SynchronousTestCase):
    """A shelf of eight apples at 120 and one pear; each buyer is a neighbour."""

    def setUp(self) -> None:
        """Fill it."""
        self.node = FakeNode(id=1, key=SELLER)
        self.clock = self.node.clock
        self.ledger = Ledger(MemoryStore(MemorySales()))
        self.ledger.start(self.clock)
        self.successResultOf(self.ledger.stock({"apple": Supply(8, 120), "pear": Supply(1)}))
        self.shelf = Offers(self.ledger, self.node)

    def statement(self, buyer: int, item: str = "apple", quantity: int = 9) -> Envelope | None:
        """The quote that a buyer gets."""
        quoted = self.successResultOf(self.shelf.quote(item, quantity, Origin(buyer, (1, buyer))))
        if quoted is None:
            return None
        terms = quoted.statement.open(Quote)
        self.assertEqual((terms.quantity, terms.price), (quoted.quantity, quoted.price))
        return quoted.statement  # type: ignore[no-any-return] # trial says Any

    def quote(self, buyer: int, item: str = "apple", quantity: int = 9) -> tuple[int, int | None] | None:
        """What a buyer is offered, and at which price."""
        statement = self.statement(buyer, item, quantity)
        terms = None if statement is None else statement.open(Quote)
        return None if terms is None else (terms.quantity, terms.price)

    def order(self, buyer: int, on: Envelope, quantity: int = 1, id: int = 1) -> Deal:
        """What a buyer is answered."""
        statement = make_purchase(BUYER, f"{id:032x}", on, on.open(Quote), quantity)
        order = self.shelf.read(statement, is_withdrawal=False)
        return self.successResultOf(self.shelf.settle(order, Origin(buyer, (1, buyer)))).deal

    def on(self, item: str = "pear", quantity: int = 1, id: int = 99) -> Envelope:
        """A quote that this seller has made some time, without holding anything back."""
        return quote(item=item, quantity=quantity, price=120 if item == "apple" else None, id=f"{id:032x}")

    def test_interface(self) -> None:
        """It is a shelf."""
        self.assertTrue(verifyObject(IOffers, self.shelf))

    def test_quote(self) -> None:
        """A buyer is offered what it wants, as far as there is so much, at its price."""
        quotes = [self.quote(1, quantity=3), self.quote(1), self.quote(1, "pear"), self.quote(1, "plum")]
        self.assertEqual(quotes, [(3, 120), (8, 120), (1, None), None])

    def test_signed(self) -> None:
        """A quote is signed: by whom, for which bazaar, and good for two minutes; each has an id of its own."""
        self.clock.advance(1000.0)
        first, second = (self.statement(1) for _ in range(2))
        assert first is not None
        assert second is not None
        terms = first.open(Quote)
        self.assertEqual((terms.seller, terms.bazaar, terms.item), (SELLER.public, BAZAAR, "apple"))
        self.assertEqual(terms.valid_until, 1_120_000)
        self.assertNotEqual(terms.id, second.open(Quote).id)

    def test_held(self) -> None:
        """What one was offered, up to a quarter, is not offered to another for 30 s."""
        self.quote(1)
        self.assertEqual(self.quote(2), (6, 120))
        self.clock.advance(29.9)
        self.assertEqual(self.quote(3), (4, 120))
        self.clock.advance(0.1)
        self.assertEqual(self.quote(4), (6, 120))

    def test_the_last_piece(self) -> None:
        """The only pear is offered to one buyer, and to the next when 30 s are over."""
        self.assertEqual([self.quote(1, "pear"), self.quote(2, "pear")], [(1, None), None])
        self.clock.advance(30)
        self.assertEqual(self.quote(2, "pear"), (1, None))

    def test_held_for_others(self) -> None:
        """What is held for one buyer is sold to that one, and to no other."""
        held = self.statement(1, "pear")
        assert held is not None
        refused = self.order(2, self.on())
        self.assertEqual((refused.outcome, refused.code), (REFUSED, "soldout"))
        self.assertEqual(refused.reason, "0 left, 1 ordered")
        self.assertEqual(self.order(1, held, id=2).outcome, SOLD)

    def test_bought(self) -> None:
        """Who has bought is held nothing more: what is left is free for others."""
        statement = self.statement(1)
        assert statement is not None
        self.order(1, statement, quantity=2)
        self.assertEqual((self.quote(2), len(self.shelf.reservations)), ((6, 120), 1))

    def test_refused(self) -> None:
        """Who was refused keeps what is held: it may order less."""
        self.quote(1)
        self.assertEqual(self.order(1, self.on("apple", 9), quantity=9).outcome, REFUSED)
        self.assertEqual(self.quote(2), (6, 120))

    def test_sold_out(self) -> None:
        """What is sold is offered to nobody."""
        self.order(1, self.on())
        self.assertEqual([self.quote(buyer, "pear") for buyer in (1, 2)], [None, None])

    def test_answer(self) -> None:
        """The answer is signed by the seller, and says what was sold at which price."""
        statement = self.statement(1)
        assert statement is not None
        answer = self.order(1, statement, quantity=2).answer.open(Answer)
        self.assertEqual((answer.seller, answer.buyer, answer.bazaar), (SELLER.public, BUYER.public, BAZAAR))
        self.assertEqual((answer.outcome, answer.item, answer.quantity, answer.price), (SOLD, "apple", 2, 120))

    def test_own_quotes_only(self) -> None:
        """An order on a quote of another, or for another bazaar, is forged; so is one of the wrong kind."""
        for wrong in (quote(STRANGER), quote(bazaar="elsewhere")):
            statement = make_purchase(BUYER, "0" * 32, wrong, wrong.open(Quote), 1)
            self.assertRaises(Forged, self.shelf.read, statement, is_withdrawal=False)
        self.assertRaises(Forged, self.shelf.read, withdrawal(), is_withdrawal=False)
        self.assertTrue(self.shelf.read(withdrawal(), is_withdrawal=True).is_withdrawal)

    def test_known_quote_is_changed(self) -> None:
        """A quote that was just made is not taken for one that says more."""
        statement = self.statement(1, quantity=2)
        assert statement is not None
        dearer = statement.payload.replace(b'"price":120', b'"price":119')
        self.assertNotEqual(dearer, statement.payload)
        forged = Envelope(dearer, statement.payload_type, statement.signatures)
        order = make_purchase(BUYER, "0" * 32, forged, statement.open(Quote), 1)
        self.assertRaises(Forged, self.shelf.read, order, is_withdrawal=False)


class BusyTests(SynchronousTestCase):
    """A shelf of eight plums, whose book takes its time."""

    def setUp(self) -> None:
        """Fill it."""
        self.store = HandStore(MemorySales())
        self.ledger = Ledger(self.store)
        node = FakeNode(id=1, key=SELLER)
        self.ledger.start(node.clock)
        self.ledger.stock({"plum": Supply(8)})
        self.store.finish()
        self.shelf = Offers(self.ledger, node)

    def quote(self, buyer: int, quantity: int = 1) -> Envelope | None:
        """What a buyer is offered."""
        quoting = self.shelf.quote("plum", quantity, Origin(buyer, (1, buyer)))
        self.store.finish_all()
        quoted = self.successResultOf(quoting)
        return None if quoted is None else quoted.statement  # type: ignore[no-any-return] # trial says Any

    def order(
        self, buyer: int, quantity: int = 1, on: Envelope | None = None, id: int | None = None
    ) -> Deferred[Settlement]:
        """Order, on a quote that nothing is held back for if none is given."""
        name = f"{id or buyer:032x}"
        on = on or quote(item="plum", quantity=9, price=None, id=name)
        statement = make_purchase(BUYER, name, on, on.open(Quote), quantity)
        return self.shelf.settle(self.shelf.read(statement, is_withdrawal=False), Origin(buyer, (1, buyer)))

    def verdict(self, ordered: Deferred[Settlement]) -> tuple[Outcome, str]:
        """What has become of an order."""
        deal = self.successResultOf(ordered).deal
        return deal.outcome, deal.reason

    def test_crowd(self) -> None:
        """All that have been offered the last pieces get them, also when they order at once."""
        quotes = {buyer: self.quote(buyer) for buyer in range(1, 10)}
        self.assertEqual([buyer for buyer, on in quotes.items() if on is None], [9])
        orders = [self.order(buyer, on=on) for buyer, on in quotes.items() if on is not None]
        self.store.finish_all()
        self.assertEqual([self.verdict(ordered) for ordered in orders], [(Outcome.SOLD, "")] * 8)
        self.assertEqual(len(self.shelf.reservations), 0)

    def test_refused(self) -> None:
        """Who orders too much may order less: what is held for it is held still."""
        self.quote(1, 2)
        refused = self.order(1, quantity=9)
        self.store.finish_all()
        self.assertEqual(self.verdict(refused), (Outcome.REFUSED, "8 left, 9 ordered"))
        other = self.order(2, quantity=7)
        self.store.finish_all()
        self.assertEqual(self.verdict(other), (Outcome.REFUSED, "6 left, 7 ordered"))

    def test_twice(self) -> None:
        """Who orders too much and then what it was offered gets that, and takes it from nobody."""
        on = self.quote(1, 2)
        refused = self.order(1, quantity=9)
        bought = self.order(1, quantity=2, on=on, id=101)
        self.store.finish()
        other = self.order(2, quantity=6)
        self.store.finish_all()
        self.assertEqual(self.verdict(refused), (Outcome.REFUSED, "8 left, 9 ordered"))
        self.assertEqual([self.verdict(bought), self.verdict(other)], [(Outcome.SOLD, "")] * 2)

    def test_taken_back(self) -> None:
        """Who takes an order back buys nothing by that: what is held for it is kept from others."""
        self.quote(1, 2)
        asked = self.shelf.read(withdrawal(on=quote(item="plum", quantity=9, price=None)), is_withdrawal=True)
        taken_back = self.shelf.settle(asked, Origin(1, (1, 1)))
        other = self.order(2, quantity=7)
        self.store.finish_all()
        self.assertEqual(self.verdict(taken_back)[0], Outcome.CANCELLED)
        self.assertEqual(self.verdict(other), (Outcome.REFUSED, "6 left, 7 ordered"))

    def test_not_offered(self) -> None:
        """While somebody orders what it was offered, that is offered to nobody else."""
        offered = [self.quote(buyer) for buyer in range(1, 9)]
        self.order(1, on=offered[0])
        quoting = self.shelf.quote("plum", 1, Origin(9, (1, 9)))
        self.store.waiting.insert(0, self.store.waiting.pop())
        self.store.finish_all()
        self.assertIsNone(self.successResultOf(quoting))

    def test_fault(self) -> None:
        """So it is for whom nothing could be decided, as the book could not be written."""
        self.quote(1, 2)
        failed = self.order(1, quantity=2)
        with capturedLogs():
            self.store.fail()
            self.failureResultOf(failed, StorageError)
        other = self.order(2, quantity=7)
        self.store.finish_all()
        self.assertEqual(self.verdict(other), (Outcome.REFUSED, "6 left, 7 ordered"))
