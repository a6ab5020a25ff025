"""The buyer's side of a sale: the same order until the seller answers, by every way there is."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.interfaces import Order, Origin, Route
from twisted_bazaar.node.control import Error
from twisted_bazaar.testing import FakeNode
from twisted_bazaar.trade.messages import Buy, BuyOK
from twisted_bazaar.trade.order import OrderRecord, OrderState
from twisted_bazaar.trade.purchase import Purchases, is_sold


class PurchaseTestCase(SynchronousTestCase):
    """Two apples at 40, ordered by node 1 from node 9 behind node 7."""

    def setUp(self) -> None:
        """Order."""
        self.node = FakeNode(id=1)
        self.node.link(7)
        self.sought: list[OrderRecord] = []
        self.purchases = Purchases(self.node, self.sought.append)
        self.ordering = self.order(1, 7, 9)
        [(self.buy, _)] = self.sent()

    def order(self, *route: int) -> Deferred[OrderRecord]:
        """Order from the last node of a route."""
        return self.purchases.order(route[-1], "apple", 2, 40, route)

    def sent(self) -> list[tuple[Buy, Route]]:
        """What was sent since last asked, and by which way."""
        sent, self.node.sent = self.node.sent, []
        return [(message, route) for message, route in sent if isinstance(message, Buy)]

    def sent_in(self, seconds: int) -> list[tuple[Buy, Route]]:
        """What is sent in a time to come."""
        self.node.clock.pump([0.1] * (seconds * 10))
        return self.sent()

    def wait_for_repeat(self) -> None:
        """Let time pass until the order has gone once more."""
        while not self.sent():
            self.node.clock.advance(0.1)

    def confirm(self, *route: int, item: str = "apple", quantity: int = 2) -> None:
        """Let a buyOK come."""
        self.purchases.confirmed(
            BuyOK(item=item, id=self.buy.id, quantity=quantity, price=40), Origin(route[-1], route)
        )

    def refuse(self, code: str, *route: int) -> None:
        """Let an error about the order come."""
        self.purchases.failed(Error(code=code, info="why", id=self.buy.id, about="buy"), Origin(route[-1], route))

    def states(self) -> list[OrderState]:
        """Where the orders without an answer stand."""
        return [record.state for record in self.purchases.unanswered()]


class AnswerTests(PurchaseTestCase):
    """An order ends with the seller's answer."""

    def record(self, state: OrderState, refusal: tuple[str, str] | None = None) -> OrderRecord:
        """What is known of the order at the end."""
        return OrderRecord(Order(1, self.buy.id, "apple", 2, 40), 9, state, refusal)

    def test_yes(self) -> None:
        """The seller's yes makes it a sale, and ends the asking."""
        self.confirm(1, 7, 9)
        record = self.successResultOf(self.ordering)
        self.assertEqual((record, is_sold(record)), (self.record(OrderState.CONFIRMED), True))
        self.assertEqual((self.node.clock.getDelayedCalls(), len(self.purchases)), ([], 0))

    def test_no(self) -> None:
        """The seller's no makes it a refusal that says why, and ends the asking."""
        self.refuse("soldout", 1, 7, 9)
        record = self.successResultOf(self.ordering)
        self.assertEqual((record, is_sold(record)), (self.record(OrderState.REFUSED, ("soldout", "why")), False))
        self.assertEqual((self.node.clock.getDelayedCalls(), len(self.purchases)), ([], 0))

    def test_only_the_seller(self) -> None:
        """What anybody else says about an order, yes or no, counts for nothing."""
        self.confirm(1, 7)
        self.refuse("soldout", 1, 7)
        self.assertNoResult(self.ordering)
        self.confirm(1, 7, 9)
        self.assertEqual(self.successResultOf(self.ordering).state, OrderState.CONFIRMED)

    def test_first_is_final(self) -> None:
        """What the seller says after its first answer changes nothing."""
        self.confirm(1, 7, 9)
        self.confirm(1, 7, 9)
        self.refuse("soldout", 1, 7, 9)
        self.assertEqual(self.successResultOf(self.ordering), self.record(OrderState.CONFIRMED))

    def test_something_else(self) -> None:
        """A yes to another item or another quantity is no answer; it is told as odd."""
        self.confirm(1, 7, 9, item="pear")
        self.confirm(1, 7, 9, quantity=3)
        self.assertNoResult(self.ordering)
        odd = [{"seller": 9, "item": "pear", "quantity": 2}, {"seller": 9, "item": "apple", "quantity": 3}]
        self.assertEqual(self.node.reports, [("odd", details) for details in odd])
        self.confirm(1, 7, 9)
        self.assertEqual(self.successResultOf(self.ordering), self.record(OrderState.CONFIRMED))

    def test_odd_without_end(self) -> None:
        """A seller that says odd things for ever fills nobody's journal."""
        for _ in range(100):
            self.confirm(1, 7, 9, quantity=3)
        self.assertEqual([event for event, _ in self.node.reports], ["odd"] * 5)

    def test_other_errors(self) -> None:
        """An error that is about no order, or has another reason, is no answer."""
        for code in ("noslots", "notim", "linked"):
            self.refuse(code, 1, 7, 9)
        self.purchases.failed(Error(code="soldout"), Origin(9, (1, 7, 9)))
        self.assertNoResult(self.ordering)


class SilenceTests(PurchaseTestCase):
    """No answer is not a no."""

    def test_same_order_again(self) -> None:
        """It is sent again with the same id, ever more rarely, for ever."""
        sent = self.sent_in(3600)
        self.assertEqual({message for message, _ in sent}, {self.buy})
        self.assertTrue(3600 / 40 < len(sent) < 3600 / 20, len(sent))
        self.assertNoResult(self.ordering)

    def test_doubt(self) -> None:
        """After three sends without an answer it is unknown how it ended, and that is told once."""
        for _ in range(2):
            self.assertEqual(self.states(), [OrderState.PENDING])
            self.wait_for_repeat()
        self.assertEqual((self.states(), self.node.reports), ([OrderState.PENDING], []))
        self.wait_for_repeat()
        self.assertEqual(self.states(), [OrderState.UNKNOWN])
        self.sent_in(600)
        self.assertEqual(self.states(), [OrderState.UNKNOWN])
        self.assertEqual(self.node.reports, [("unknown", {"seller": 9, "id": self.buy.id})])

    def test_seeking(self) -> None:
        """From the third send on another way to the seller is looked for before each repeat."""
        for expected in (0, 0, 1, 2, 3):
            self.wait_for_repeat()
            self.assertEqual(self.sought, self.purchases.unanswered() * expected)

    def test_answer_after_doubt(self) -> None:
        """A late answer counts like any other."""
        self.sent_in(600)
        self.confirm(1, 7, 9)
        self.assertEqual(self.successResultOf(self.ordering).state, OrderState.CONFIRMED)

    def test_stop(self) -> None:
        """Who stops sends nothing more, and the order stays open."""
        self.purchases.stop()
        self.assertEqual((self.sent_in(600), self.node.clock.getDelayedCalls()), ([], []))
        self.assertEqual(self.states(), [OrderState.PENDING])
        self.assertNoResult(self.ordering)


class WayTests(PurchaseTestCase):
    """An order takes whatever way leads to its seller."""

    def test_by_turns(self) -> None:
        """Repeats go by turns over the paths that are known."""
        self.node.link(6)
        self.node.routes = {9: [(1, 7, 9), (1, 6, 9)]}
        self.assertEqual(self.sent_in(10)[:2], [(self.buy, (1, 6, 9)), (self.buy, (1, 7, 9))])

    def test_directly_if_it_can(self) -> None:
        """A direct link that has come about is used."""
        self.node.link(9)
        self.node.routes = {9: [(1, 7, 9)]}
        self.assertEqual(self.sent_in(3)[0], (self.buy, (1, 9)))

    def test_every_way_is_gone(self) -> None:
        """A try that finds no way counts too: after three the order is unknown, and its seller is sought."""
        self.node.linked.clear()
        self.assertEqual((self.sent_in(10), self.states()), ([], [OrderState.UNKNOWN]))
        self.assertEqual(self.sought[:1], self.purchases.unanswered())
        self.assertEqual(self.node.reports, [("unknown", {"seller": 9, "id": self.buy.id})])

    def test_no_route(self) -> None:
        """On noroute the next path is taken at once."""
        self.node.link(6)
        self.node.routes = {9: [(1, 6, 9)]}
        self.refuse("noroute", 1, 7)
        self.assertEqual(self.sent(), [(self.buy, (1, 6, 9))])

    def test_no_route_at_all(self) -> None:
        """Without another path it waits and asks again; noroute is not a refusal."""
        self.refuse("noroute", 1, 7)
        self.assertEqual(self.sent(), [])
        self.assertNoResult(self.ordering)
        self.node.routes = {9: [(1, 7, 9)]}
        self.assertIn((self.buy, (1, 7, 9)), self.sent_in(5))

    def test_detours_end(self) -> None:
        """Bad news brings each other path into use once, and then it waits for the next repeat."""
        self.node.link(6)
        self.node.routes = {9: [(1, 7, 9), (1, 6, 9)]}
        for code in ("noroute", "wrongway") * 50:
            self.refuse(code, 1, 7)
        self.assertEqual(self.sent(), [(self.buy, (1, 6, 9))])

    def test_another_way_at_once(self) -> None:
        """An order whose first way is gone when it is made takes another that is known."""
        self.node.routes = {8: [(1, 5, 8), (1, 7, 8)]}
        self.assertNoResult(self.order(1, 4, 8))
        self.assertEqual([route for _, route in self.sent()], [(1, 7, 8)])

    def test_never_sent(self) -> None:
        """An order that cannot leave this node has failed: nothing can have been sold."""
        record = self.successResultOf(self.order(1, 4, 8))
        refusal = ("noroute", "there is no way to node 8 any more")
        self.assertEqual((record.state, record.refusal), (OrderState.REFUSED, refusal))
        self.assertEqual((self.sent(), len(self.purchases)), ([], 1))


class SellerFoundTests(PurchaseTestCase):
    """The seller is heard of again, by a way that may be new."""

    def setUp(self) -> None:
        """Have another neighbour."""
        super().setUp()
        self.node.link(6)

    def found(self, *route: int) -> list[tuple[Buy, Route]]:
        """Hear of the last node of a route; returns what is sent at once."""
        self.purchases.seller_found(route[-1], route)
        return self.sent()

    def test_at_once(self) -> None:
        """An order without an answer is sent there at once, and not along the way it was just sent."""
        self.assertEqual((self.found(1, 6, 9), self.found(1, 7, 9)), ([(self.buy, (1, 6, 9))], []))

    def test_each_way_once(self) -> None:
        """However often it is heard of by one way, the order goes there once between two repeats."""
        self.assertEqual([len(self.found(1, 6, 9)) for _ in range(5)], [1, 0, 0, 0, 0])
        self.wait_for_repeat()
        self.assertEqual([len(self.found(1, 7, 9)) for _ in range(5)], [1, 0, 0, 0, 0])

    def test_made_up_ways(self) -> None:
        """Whoever makes up ways to a seller has the order sent a few times between two repeats, not a thousand."""
        self.assertLess(sum(len(self.found(1, 6, 100 + n, 9)) for n in range(1_000)), 10)

    def test_a_way_that_is_gone(self) -> None:
        """A way by which nothing could be sent was not tried: when its link is there, the order is sent."""
        self.assertEqual(self.found(1, 5, 9), [])
        self.node.link(5)
        self.assertEqual(self.found(1, 5, 9), [(self.buy, (1, 5, 9))])

    def test_other_sellers(self) -> None:
        """Orders to other sellers are not sent."""
        self.assertNoResult(self.order(1, 7, 8))
        [(other, _)] = self.sent()
        self.assertEqual((self.found(1, 6, 8), self.found(1, 6, 9)), ([(other, (1, 6, 8))], [(self.buy, (1, 6, 9))]))

    def test_answered(self) -> None:
        """An order that has its answer is not sent."""
        self.confirm(1, 7, 9)
        self.assertEqual(self.found(1, 6, 9), [])
