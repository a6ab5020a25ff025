"""Promises of the seller: offers what it has, sells once, never more than it has."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from twisted_bazaar.discovery.flood.messages import Reply, Search
from twisted_bazaar.errors import StorageError, UsageError
from twisted_bazaar.interfaces import ILedger, Order, Settlement
from twisted_bazaar.node.control import Error
from twisted_bazaar.roles.seller import Seller, make_role
from twisted_bazaar.testing import FakeNode, deliver
from twisted_bazaar.trade.ledger import MemoryLedger, Supply
from twisted_bazaar.trade.messages import Buy, BuyOK


class OddLedger(MemoryLedger):
    """A ledger that cannot be written for as long as the test says."""

    is_full = False

    def settle(self, order: Order, kept_back: int) -> Deferred[Settlement]:
        """Decide an order, or nothing."""
        return fail(StorageError("the disk is full")) if self.is_full else super().settle(order, kept_back)


class SellerTestCase(SynchronousTestCase):
    """A seller of five apples at 120 and one pear, linked to node 7."""

    def setUp(self) -> None:
        """Start it on a fake node."""
        self.node = FakeNode(id=1)
        self.neighbour = self.node.link(7)
        self.ledger = OddLedger({"apple": Supply(5, 120), "pear": Supply(1)})
        self.seller = Seller(self.ledger)
        self.seller.start(self.node)

    def search(self, *route: int, item: str = "apple", quantity: int = 1, **keys: Any) -> None:
        """Let a search come, from the last node of a route."""
        passed = tuple(reversed(route[1:]))
        deliver(self.seller, Search(id=40, return_path=passed, item=item, quantity=quantity, **keys), *route)

    def buy(self, *route: int, id: int = 3, item: str = "apple", quantity: int = 1, price: int | None = 120) -> None:
        """Let an order come."""
        deliver(self.seller, Buy(id=id, item=item, quantity=quantity, price=price), *route)

    def said(self) -> list[Any]:
        """What it sent since last asked, with routes."""
        sent, self.node.sent = self.node.sent, []
        return sent


class SellerTests(SellerTestCase):
    """A seller whose ledger works."""

    def test_reply(self) -> None:
        """A search for what it has is answered with quantity and price; one for anything else is not."""
        self.search(1, 7, quantity=2)
        self.search(1, 7, item="plum")
        self.assertEqual(self.said(), [(Reply(item="apple", id=40, quantity=2, price=120), (1, 7))])

    def test_reply_along_the_path(self) -> None:
        """When the buyer cannot be reached directly, the reply goes back along the path."""
        self.search(1, 7, 8, 9, host="10.0.0.5", port=4000)
        self.assertEqual(self.said(), [(Reply(item="apple", id=40, price=120), (1, 7, 8, 9))])

    def test_what_is_held_is_free_when_the_buyer_leaves(self) -> None:
        """A buyer that is gone needs nothing."""
        self.search(1, 7, item="pear")
        self.seller.peer_left(self.neighbour)
        self.search(1, 7, 8, item="pear")
        self.assertEqual([route for _, route in self.said()], [(1, 7), (1, 7, 8)])

    def test_sale(self) -> None:
        """A buy is answered buyOK along the way it came, and the stock shrinks."""
        self.buy(1, 7, 9, quantity=2)
        self.assertEqual(self.said(), [(BuyOK(item="apple", id=3, quantity=2, price=120), (1, 7, 9))])
        self.search(1, 7, quantity=9)
        self.assertEqual(self.said(), [(Reply(item="apple", id=40, quantity=3, price=120), (1, 7))])

    def test_repeated_buy(self) -> None:
        """The same order again gets the same answer and takes nothing more."""
        self.node.link(9)
        self.buy(1, 7, 9, quantity=3)
        self.buy(1, 9, quantity=3)
        self.buy(1, 7, 9, quantity=1)
        ok = BuyOK(item="apple", id=3, quantity=3, price=120)
        self.assertEqual(self.said(), [(ok, (1, 7, 9)), (ok, (1, 9)), (ok, (1, 7, 9))])
        self.buy(1, 7, id=4, quantity=2)
        self.assertIsInstance(self.said()[0][0], BuyOK)

    def test_each_sale_is_told_once(self) -> None:
        """A repeated order is answered again, but the journal has it once."""
        for _ in range(3):
            self.buy(1, 7)
            self.buy(1, 7, id=4, quantity=9)
        self.assertEqual([event for event, _ in self.node.reports], ["sold", "refused"])

    def test_many_refusals(self) -> None:
        """All refusals enter the journal; the log has five a minute, and says later how many it left out."""
        for id in range(8):
            self.buy(1, 7, id=id, item="plum")
        self.node.clock.advance(61)
        self.buy(1, 7, id=8, item="plum")
        told = "refused node {buyer}: {reason}"
        self.assertEqual(self.node.sentences, [told] * 5 + [None] * 3 + [told + " (3 more not told)"])
        refused = [(event, details["order"]) for event, details in self.node.reports]
        self.assertEqual(refused, [("refused", id) for id in range(9)])

    def test_wanted_itself(self) -> None:
        """A search for this seller holds nothing back for who asks."""
        self.search(1, 7, item="pear", seller=1)
        self.search(1, 7, 8, item="pear")
        self.assertEqual([route for _, route in self.said()], [(1, 7), (1, 7, 8)])

    def test_same_id_of_another_buyer(self) -> None:
        """Order ids are told apart by their buyer."""
        self.buy(1, 7, 8, item="pear", price=None)
        self.buy(1, 7, 9, item="pear", price=None)
        self.assertEqual([type(message) for message, _ in self.said()], [BuyOK, Error])

    def test_sold_out(self) -> None:
        """More than there is is refused with soldout, and nothing is sold."""
        self.buy(1, 7, quantity=6)
        [(error, route)] = self.said()
        self.assertEqual((error.code, error.id, error.about, route), ("soldout", 3, "buy", (1, 7)))
        self.buy(1, 7, id=4, quantity=5)
        self.assertIsInstance(self.said()[0][0], BuyOK)

    def test_refusal_is_final(self) -> None:
        """An order that was refused stays refused when there would be enough."""
        self.search(1, 7, item="pear")
        self.buy(1, 7, 8, id=5, item="pear", price=None)
        self.node.clock.advance(31)
        self.buy(1, 7, 8, id=5, item="pear", price=None)
        self.buy(1, 7, 8, id=6, item="pear", price=None)
        self.assertEqual([type(message) for message, _ in self.said()[1:]], [Error, Error, BuyOK])

    def test_no_sale_under_the_price(self) -> None:
        """An order that names no price, or too low a one, is refused."""
        for id, price in ((1, None), (2, 119)):
            self.buy(1, 7, id=id, price=price)
        self.assertEqual([message.code for message, _ in self.said()], ["wtf", "wtf"])

    def test_other_way_back(self) -> None:
        """When the way an order came is gone, the answer takes another."""
        self.node.routes = {9: [(1, 7, 6, 9)]}
        self.buy(1, 8, 9)
        self.assertEqual([route for _, route in self.said()], [(1, 7, 6, 9)])

    def test_counts_at_the_end(self) -> None:
        """When it stops it reports each count: supplied is in stock and sold."""
        self.buy(1, 7, quantity=2)
        self.search(1, 7, 8, 9, host="10.0.0.5", port=4000)
        self.successResultOf(self.seller.stop())
        self.assertEqual(
            [details for event, details in self.node.reports if event == "stock"],
            [
                {"item": "apple", "supplied": 5, "in_stock": 3, "sold": 2},
                {"item": "pear", "supplied": 1, "in_stock": 1, "sold": 0},
            ],
        )
        self.assertEqual(self.node.clock.getDelayedCalls(), [])


class StorageTests(SellerTestCase):
    """A seller whose ledger cannot be written."""

    def setUp(self) -> None:
        """Fill its disk."""
        super().setUp()
        self.ledger.is_full = True

    def test_interface(self) -> None:
        """It is a ledger all the same."""
        self.assertTrue(verifyObject(ILedger, self.ledger))

    def test_settled_later(self) -> None:
        """The buyer hears nothing, as nothing is decided; when the ledger works again the same order is settled."""
        self.buy(1, 7)
        self.assertEqual((self.said(), self.node.reports), ([], []))
        self.ledger.is_full = False
        self.buy(1, 7)
        self.assertEqual(self.said(), [(BuyOK(item="apple", id=3, price=120), (1, 7))])

    def test_log(self) -> None:
        """The log says so in a line, and at most five times a minute."""
        with capturedLogs() as logged:
            for minute in range(2):
                self.node.clock.advance(61 * minute)
                for id in range(10):
                    self.buy(1, 7, id=id)
        lines = [(event["log_level"], formatEvent(event), "log_failure" in event) for event in logged]
        self.assertEqual(lines, [(LogLevel.error, "no order can be settled: the disk is full", False)] * 10)


class OptionsTests(SynchronousTestCase):
    """What the command line may ask for."""

    def test_bad_stock(self) -> None:
        """Each mistake has a line of its own."""
        for stock, words in (
            ([], "a seller needs goods"),
            (["apple=x"], "'x' is not a whole number"),
            (["apple=5@1.50"], "'1.50' is not a whole number"),
            (["apple=1", "apple=2"], "twice"),
            (["\tapple=1"], "control character"),
            (["=4"], "1 to 128"),
        ):
            with self.assertRaises(UsageError) as caught:
                make_role({"stock": stock})
            self.assertIn(words, str(caught.exception))
