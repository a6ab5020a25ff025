"""Promises of the seller: offers what it has, sells once, never more than it has."""

from __future__ import annotations

from typing import Any

from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from tests.configured import context_of
from tests.trade.cases import (
    BUYER,
    SELLER,
    STRANGER,
    FailingStore,
    HandStore,
    hex_id,
    purchase,
    quote,
    withdrawal,
)
from twisted_bazaar.discovery.flood.messages import Reply, Search
from twisted_bazaar.errors import UsageError
from twisted_bazaar.identity.signed import Envelope
from twisted_bazaar.interfaces import IRole
from twisted_bazaar.roles.seller import OPTIONS, Seller, make_role
from twisted_bazaar.settings.option import OptionValues
from twisted_bazaar.testing import FakeNode, deliver
from twisted_bazaar.trade.contract import Answer, Quote, digest_of
from twisted_bazaar.trade.messages import Answered, Buy, BuyNo, BuyOK, Cancel, handle_of
from twisted_bazaar.trade.stores.memory import MemorySales, MemoryStore
from twisted_bazaar.values.sale import Outcome, StockLevel, Supply
from twisted_bazaar.wire.error import Error

SOLD, REFUSED, CANCELLED = Outcome.SOLD, Outcome.REFUSED, Outcome.CANCELLED
SUPPLIES = {"apple": Supply(5, 120), "pear": Supply(1)}


class SellerTestCase(SynchronousTestCase):
    """A seller of five apples at 120 and one pear, linked to node 7."""

    def setUp(self) -> None:
        """Start it on a fake node."""
        self.store = FailingStore(MemorySales())
        self.begin()

    def begin(self, **options: Any) -> None:
        """Start it, or start it again on the same book."""
        self.node = FakeNode(id=1, key=SELLER)
        self.neighbour = self.node.link(7)
        self.seller = Seller(SUPPLIES, self.store)
        self.seller.start(self.node)

    def search(self, *route: int, item: str = "apple", quantity: int = 1, **keys: Any) -> None:
        """Let a search come, from the last node of a route."""
        passed = tuple(reversed(route[1:]))
        deliver(self.seller, Search(id=40, return_path=passed, item=item, quantity=quantity, **keys), *route)

    def on(self, item: str, number: int) -> Envelope:
        """A quote that this seller has made some time; each order has one of its own."""
        return quote(item=item, quantity=9, price=120 if item == "apple" else None, id=hex_id(number))

    def buy(self, *route: int, number: int = 3, item: str = "apple", quantity: int = 1, buyer: Any = BUYER) -> Envelope:
        """Let an order come; returns it."""
        statement = purchase(number, quantity, buyer, self.on(item, number))
        deliver(self.seller, Buy(id=handle_of(hex_id(number)), order=statement), *route)
        return statement

    def cancel(self, *route: int, number: int = 3, item: str = "apple") -> Envelope:
        """Let the word come that an order is not to be; returns it."""
        statement = withdrawal(number, BUYER, self.on(item, number))
        deliver(self.seller, Cancel(id=handle_of(hex_id(number)), order=statement), *route)
        return statement

    def said(self) -> list[Any]:
        """What it sent since last asked, with routes."""
        sent, self.node.sent = self.node.sent, []
        return sent

    def answers(self) -> list[tuple[Outcome, str, tuple[int, ...]]]:
        """The answers that it sent since last asked: outcome, id of the order, route."""
        answers = []
        for message, route in self.said():
            self.assertIsInstance(message, Answered)
            answer = message.answer.open(Answer)
            self.assertEqual(answer.seller, SELLER.public)
            self.assertIs(type(message), BuyOK if answer.outcome is SOLD else BuyNo)
            answers.append((answer.outcome, answer.order, route))
        return answers

    def outcomes(self) -> list[Outcome]:
        """How orders ended since last asked."""
        return [outcome for outcome, _, _ in self.answers()]

    def quoted(self) -> list[tuple[str, int, int | None, tuple[int, ...]]]:
        """What it offered since last asked: item, quantity, price, route; each with a quote that says the same."""
        offered = []
        for message, route in self.said():
            self.assertIsInstance(message, Reply)
            terms = message.quote.open(Quote)
            said = message.item, message.quantity, message.price
            self.assertEqual(((terms.item, terms.quantity, terms.price), message.id), (said, 40))
            offered.append((*said, route))
        return offered


class SellerTests(SellerTestCase):
    """A seller whose book works."""

    def test_interface(self) -> None:
        """It is a role."""
        self.assertTrue(verifyObject(IRole, self.seller))

    def test_reply(self) -> None:
        """A search for what it has is answered with quantity, price and quote; one for anything else is not."""
        self.search(1, 7, quantity=2)
        self.search(1, 7, item="plum")
        self.assertEqual(self.quoted(), [("apple", 2, 120, (1, 7))])

    def test_reply_along_the_path(self) -> None:
        """When the buyer cannot be reached directly, the reply goes back along the path."""
        self.search(1, 7, 8, 9, host="10.0.0.5", port=4000)
        self.assertEqual(self.quoted(), [("apple", 1, 120, (1, 7, 8, 9))])

    def test_what_is_held_is_free_when_the_buyer_leaves(self) -> None:
        """A buyer that is gone needs nothing."""
        self.search(1, 7, item="pear")
        self.seller.peer_left(self.neighbour)
        self.search(1, 7, 8, item="pear")
        self.assertEqual([route for _, route in self.said()], [(1, 7), (1, 7, 8)])

    def test_own_quote(self) -> None:
        """An order on the quote that it has just given is answered; the answer is about that very statement."""
        self.search(1, 7, quantity=2)
        [(reply, _)] = self.said()
        statement = purchase(3, 2, BUYER, reply.quote)
        deliver(self.seller, Buy(id=3, order=statement), 1, 7)
        [(message, _)] = self.said()
        answer = message.answer.open(Answer)
        self.assertEqual(
            (message.id, answer.outcome, answer.digest), (handle_of(hex_id(3)), SOLD, digest_of(statement))
        )

    def test_sale(self) -> None:
        """A buy is answered buyOK along the way it came, and the stock shrinks."""
        self.buy(1, 7, 9, quantity=2)
        self.assertEqual(self.answers(), [(SOLD, hex_id(3), (1, 7, 9))])
        self.search(1, 7, quantity=9)
        self.assertEqual(self.quoted(), [("apple", 3, 120, (1, 7))])

    def test_repeated_buy(self) -> None:
        """The same order again gets the same answer, by the way it came, and takes nothing more."""
        self.node.link(9)
        self.buy(1, 7, 9, quantity=3)
        self.buy(1, 9, quantity=3)
        self.buy(1, 7, 9, quantity=1)
        said = self.said()
        self.assertEqual([route for _, route in said], [(1, 7, 9), (1, 9), (1, 7, 9)])
        self.assertEqual(len({message.answer.encode() for message, _ in said}), 1)
        self.buy(1, 7, number=4, quantity=2)
        self.assertEqual(self.outcomes(), [SOLD])

    def test_after_a_restart(self) -> None:
        """A seller that was killed says the same again, to orders it sold and to those it refused."""
        for number, quantity in ((3, 4), (4, 9)):
            self.buy(1, 7, number=number, quantity=quantity)
        before = self.said()
        self.begin()
        for number, quantity in ((3, 4), (4, 9)):
            self.buy(1, 7, number=number, quantity=quantity)
        self.assertEqual((self.said(), self.node.reports), (before, []))

    def test_each_sale_is_told_once(self) -> None:
        """A repeated order is answered again, but the journal has it once."""
        for _ in range(3):
            self.buy(1, 7)
            self.buy(1, 7, number=4, quantity=9)
        self.assertEqual([event for event, _ in self.node.reports], ["sold", "refused"])
        [sold, _] = [details for _, details in self.node.reports]
        expected = {"item": "apple", "quantity": 1, "price": 120, "buyer": 7, "buyer_key": BUYER.public}
        self.assertEqual(sold, {**expected, "order": hex_id(3), "route": (1, 7)})

    def test_many_refusals(self) -> None:
        """All refusals enter the journal; the log has five a minute, and says later how many it left out."""
        for number in range(8):
            self.buy(1, 7, number=number, item="plum")
        self.node.clock.advance(61)
        self.buy(1, 7, number=8, item="plum")
        told = "refused {quantity} {item} to node {buyer}: {reason}"
        self.assertEqual(self.node.sentences, [told] * 5 + [None] * 3 + [told + " (3 more not told)"])
        refused = [(event, details["order"]) for event, details in self.node.reports]
        self.assertEqual(refused, [("refused", hex_id(number)) for number in range(9)])

    def test_wanted_itself(self) -> None:
        """A search for this seller holds nothing back for who asks."""
        self.search(1, 7, item="pear", seller=SELLER.public)
        self.search(1, 7, 8, item="pear")
        self.assertEqual([route for _, route in self.said()], [(1, 7), (1, 7, 8)])

    def test_same_id_of_another_buyer(self) -> None:
        """Orders are told apart by their buyer's key too, whoever brings them."""
        for buyer in (BUYER, STRANGER, BUYER):
            self.buy(1, 7, 8, item="pear", buyer=buyer)
        self.assertEqual(self.outcomes(), [SOLD, REFUSED, SOLD])

    def test_sold_out(self) -> None:
        """More than there is is refused with soldout, signed, and nothing is sold."""
        self.buy(1, 7, quantity=6)
        [(message, route)] = self.said()
        answer = message.answer.open(Answer)
        self.assertEqual((type(message), answer.outcome, answer.code, route), (BuyNo, REFUSED, "soldout", (1, 7)))
        self.assertEqual((message.id, answer.reason), (handle_of(hex_id(3)), "5 left, 6 ordered"))
        self.buy(1, 7, number=4, quantity=5)
        self.assertEqual(self.outcomes(), [SOLD])

    def test_refusal_is_final(self) -> None:
        """An order that was refused stays refused when there would be enough."""
        self.search(1, 7, item="pear")
        self.said()
        self.buy(1, 7, 8, number=5, item="pear")
        self.node.clock.advance(31)
        self.buy(1, 7, 8, number=5, item="pear")
        self.buy(1, 7, 8, number=6, item="pear")
        self.assertEqual(self.outcomes(), [REFUSED, REFUSED, SOLD])

    def test_cancelled(self) -> None:
        """An order that is taken back before it has come is never sold; the journal has that once."""
        self.cancel(1, 7, 9)
        self.buy(1, 7)
        self.cancel(1, 7)
        expected = [(CANCELLED, hex_id(3), route) for route in ((1, 7, 9), (1, 7), (1, 7))]
        self.assertEqual(self.answers(), expected)
        self.assertEqual([event for event, _ in self.node.reports], ["cancelled"])
        self.assertEqual(self.node.sentences, [None])

    def test_cancelled_too_late(self) -> None:
        """What is sold stays sold: the seller says so again."""
        self.buy(1, 7)
        self.cancel(1, 7)
        self.assertEqual(self.outcomes(), [SOLD, SOLD])

    def test_other_way_back(self) -> None:
        """When the way an order came is gone, the answer takes another."""
        self.node.routes = {9: [(1, 7, 6, 9)]}
        self.buy(1, 8, 9)
        self.assertEqual([route for _, route in self.said()], [(1, 7, 6, 9)])

    def test_counts_at_the_end(self) -> None:
        """When it stops it reports each count: supplied is in stock, sold and withdrawn."""
        self.buy(1, 7, quantity=2)
        self.successResultOf(self.seller.ledger.withdraw("apple", 1))
        self.search(1, 7, 8, 9, host="10.0.0.5", port=4000)
        self.successResultOf(self.seller.stop())
        self.assertEqual(
            [details for event, details in self.node.reports if event == "stock"],
            [
                {"item": "apple", "supplied": 5, "in_stock": 2, "sold": 2, "withdrawn": 1},
                {"item": "pear", "supplied": 1, "in_stock": 1, "sold": 0, "withdrawn": 0},
            ],
        )
        self.assertEqual(self.node.clock.getDelayedCalls(), [])


class ForgedTests(SellerTestCase):
    """Statements that do not hold."""

    def errors(self) -> list[tuple[str, str | None, int | None, tuple[int, ...]]]:
        """The errors that it sent since last asked: code, what about, and the way."""
        return [(error.code, error.about, error.id, route) for error, route in self.said() if isinstance(error, Error)]

    def test_forged(self) -> None:
        """What is not signed as it should be is answered forged, along the way it came, and decides nothing."""
        whole = purchase(3, 1, BUYER, self.on("apple", 3))
        damaged = Envelope(
            whole.payload.replace(b'"quantity":1', b'"quantity":2'), whole.payload_type, whole.signatures
        )
        for statement in (
            *(damaged, withdrawal(3), quote(), purchase(on=quote(STRANGER)), purchase(on=quote(bazaar="elsewhere"))),
            purchase(3, 10),
        ):
            deliver(self.seller, Buy(id=3, order=statement), 1, 7, 9)
        for statement in (purchase(3), quote(), withdrawal(on=quote(STRANGER))):
            deliver(self.seller, Cancel(id=3, order=statement), 1, 7, 9)
        forged = [("forged", about, 3, (1, 7, 9)) for about in ("buy",) * 6 + ("cancel",) * 3]
        self.assertEqual((self.errors(), self.node.reports), (forged, []))
        self.assertEqual(self.store.book.answered, {})
        deliver(self.seller, Buy(id=3, order=whole), 1, 7)
        self.assertEqual(self.outcomes(), [SOLD])


class StorageTests(SellerTestCase):
    """A seller whose book cannot be written for a while."""

    def setUp(self) -> None:
        """Fill its disk."""
        super().setUp()
        self.store.is_failing = True

    def test_settled_later(self) -> None:
        """The buyer is told notnow, as nothing is decided; when the book works again the same order is settled."""
        with capturedLogs():
            self.buy(1, 7, 9)
            self.cancel(1, 7, number=4)
        expected = [
            ("notnow", "buy", handle_of(hex_id(3)), (1, 7, 9)),
            ("notnow", "cancel", handle_of(hex_id(4)), (1, 7)),
        ]
        said = [(error.code, error.about, error.id, route) for error, route in self.said()]
        self.assertEqual((said, self.node.reports), (expected, []))
        self.assertEqual(self.seller.ledger.fault, "the disk is full")
        self.store.is_failing = False
        with capturedLogs() as logged:
            self.buy(1, 7)
            self.buy(1, 7)
        self.assertEqual((self.outcomes(), self.seller.ledger.fault), ([SOLD, SOLD], None))
        self.assertEqual(
            [formatEvent(event) for event in logged], ["the book can be written again: orders are settled"]
        )

    def test_log(self) -> None:
        """The log says so in a line, once."""
        with capturedLogs() as logged:
            for minute in range(2):
                self.node.clock.advance(61 * minute)
                for number in range(10):
                    self.buy(1, 7, number=number)
        lines = [(event["log_level"], formatEvent(event), "log_failure" in event) for event in logged]
        self.assertEqual(
            lines,
            [
                (
                    LogLevel.error,
                    "the book cannot be read or written, so no order can be settled: the disk is full",
                    False,
                )
            ],
        )

    def test_search(self) -> None:
        """While the book cannot be read nothing is offered."""
        self.search(1, 7)
        self.assertEqual(self.said(), [])

    def test_stop(self) -> None:
        """It can stop all the same."""
        with capturedLogs():
            self.successResultOf(self.seller.stop())
        self.assertEqual(self.node.clock.getDelayedCalls(), [])


class BeginningTests(SellerTestCase):
    """What it begins with enters its book."""

    def levels(self) -> list[StockLevel]:
        """The count of each item."""
        return list(self.store.book.levels().values())

    def test_known(self) -> None:
        """Stock that the book has is left alone, and its price is changed; what is there is told."""
        self.store.book.set_level(StockLevel("apple", 9, 3, 4, 2, 77))
        self.store.book.commit()
        with capturedLogs() as logged:
            self.begin()
        expected = [StockLevel("apple", 9, 3, 4, 2, 120), StockLevel("pear", 1, 1, 0, 0, None)]
        self.assertEqual(self.levels(), expected)
        [line, _] = [formatEvent(event) or "" for event in logged]
        self.assertIn("apple: 3 in stock and 4 sold, as the book says", line)
        self.search(1, 7, quantity=9)
        self.assertEqual(self.quoted(), [("apple", 3, 120, (1, 7))])

    def test_many_known(self) -> None:
        """However many goods the book has, each is told: nothing that the owner causes is left out."""
        for number in range(400):
            self.store.book.set_level(StockLevel(f"good {number}", 1, 1, 0, 0, None))
        self.store.book.commit()
        node, seller = FakeNode(id=1, key=SELLER), Seller({f"good {n}": Supply(1) for n in range(400)}, self.store)
        with capturedLogs() as logged:
            seller.start(node)
        self.assertEqual(sum("as the book says" in (formatEvent(event) or "") for event in logged), 400)

    def test_not_written(self) -> None:
        """While the book cannot be written it tries again every five seconds; then there is what there should be."""
        self.store = FailingStore(MemorySales(), is_failing=True)
        with capturedLogs():
            self.begin()
            self.node.clock.pump([1] * 12)
        self.search(1, 7)
        self.assertEqual((self.said(), self.levels()), ([], []))
        self.store.is_failing = False
        self.node.clock.pump([1] * 5)
        self.search(1, 7)
        self.assertEqual(self.quoted(), [("apple", 1, 120, (1, 7))])
        self.assertEqual(self.node.clock.getDelayedCalls(), [])

    def test_stopped_before_it_is_written(self) -> None:
        """A seller that stops before its goods are in the book leaves no timer, when that fails later too."""
        for stopped_first in (False, True):
            store = HandStore(MemorySales())
            self.store = store
            with capturedLogs():
                self.begin()
                if not stopped_first:
                    store.fail()
                self.seller.stop()
                if stopped_first:
                    store.fail()
                self.assertEqual(self.node.clock.getDelayedCalls(), [])

    def test_in_memory(self) -> None:
        """Without a store the book is in memory."""
        seller = Seller(SUPPLIES)
        self.assertIsInstance(seller.store, MemoryStore)
        seller.start(FakeNode())
        self.assertEqual(len(self.successResultOf(seller.ledger.levels())), 2)


class OptionsTests(SynchronousTestCase):
    """What the command line may ask for."""

    def test_stock(self) -> None:
        """Each item with quantity and price as it stands there."""
        seller = make_role(OptionValues.of(OPTIONS, stock=["apple=5@120", "pear"]), context_of())
        seller.start(FakeNode())
        levels = {level.item: (level.in_stock, level.price) for level in self.successResultOf(seller.ledger.levels())}
        self.assertEqual(levels, {"apple": (5, 120), "pear": (1, None)})

    def test_bad_stock(self) -> None:
        """Each mistake has a line of its own."""
        for stock, words in (
            ([], "needs goods to begin with: add --stock"),
            (["apple=x"], "'x' is not a whole number"),
            (["apple=5@1.50"], "without a fraction; write 150"),
            (["apple=1", "apple=2"], "twice"),
            (["\tapple=1"], "control character"),
            (["=4"], "1 to 128"),
        ):
            with self.assertRaises(UsageError) as caught:
                make_role(OptionValues.of(OPTIONS, stock=stock), context_of())
            self.assertIn(words, str(caught.exception))
