"""The buyer's side of a sale: the same order until the seller answers, by every way there is."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace
from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from tests.trade.cases import (
    BUYER,
    SELLER,
    STRANGER,
    FailingStore,
    HandStore,
    answer_to,
    hex_id,
    quote,
    terms,
    withdrawal,
)
from twisted_bazaar.errors import StorageError, UsageError
from twisted_bazaar.identity.signed import Envelope, seal
from twisted_bazaar.testing import FakeNode
from twisted_bazaar.trade.contract import Answer, Purchase, Withdrawal, digest_of
from twisted_bazaar.trade.messages import Answered, Buy, BuyNo, BuyOK, Cancel
from twisted_bazaar.trade.order import OrderRecord, OrderState
from twisted_bazaar.trade.purchase import Purchases, is_sold
from twisted_bazaar.trade.stores.memory import MemoryPurchases, MemoryStore
from twisted_bazaar.values.addresses import Origin, Route
from twisted_bazaar.values.sale import Offer, Outcome
from twisted_bazaar.wire.error import Error

SOLD, REFUSED, CANCELLED = Outcome.SOLD, Outcome.REFUSED, Outcome.CANCELLED
FOUND = (1, 7, 9)


class PurchaseTestCase(SynchronousTestCase):
    """Two apples at 40, ordered by node 1 from node 9 behind node 7."""

    def setUp(self) -> None:
        """Order."""
        self.begin()
        self.ordering = self.order(*FOUND)
        [(self.buy, _)] = self.sent()

    def begin(self, store: Any = None) -> None:
        """A buyer, with an empty book if there is none."""
        self.node = FakeNode(id=1, key=BUYER)
        self.node.link(7)
        self.sought: list[OrderRecord] = []
        self.store = store or FailingStore(MemoryPurchases())
        self.purchases = Purchases(self.node, self.store, self.sought.append)
        self.purchases.start()

    def order(self, *route: int, **about: Any) -> Deferred[OrderRecord]:
        """Order from the last node of a route; what is given beside is about its quote."""
        envelope = quote(**about)
        said = terms(**about)
        offer = Offer(route[-1], said.item, said.quantity, said.price, 1, route, envelope)
        return self.purchases.order(self.purchases.prepare(1, offer, 2), route)

    def sent(self) -> list[tuple[Buy | Cancel, Route]]:
        """What was sent since last asked, and by which way."""
        sent, self.node.sent = self.node.sent, []
        return [(message, route) for message, route in sent if isinstance(message, Buy | Cancel)]

    def sent_in(self, seconds: int) -> list[tuple[Buy | Cancel, Route]]:
        """What is sent in a time to come."""
        self.node.clock.pump([0.1] * (seconds * 10))
        return self.sent()

    def wait_for_repeat(self) -> list[tuple[Buy | Cancel, Route]]:
        """Let time pass until the order has gone once more."""
        while not (sent := self.sent()):
            self.node.clock.advance(0.1)
        return sent

    def bring(self, message: Answered, *route: int) -> None:
        """Let an answer come from the last node of a route."""
        self.purchases.answer_received(message, Origin(route[-1], route))

    def answer(self, outcome: Outcome, code: str = "", reason: str = "", asked: Buy | Cancel | None = None) -> None:
        """Let the seller answer."""
        self.bring(answer_to(asked or self.buy, outcome, code, reason), *FOUND)

    def error(self, code: str, *route: int) -> None:
        """Let an error about the order come."""
        error = Error(code=code, info="why", id=self.buy.id, about="buy")
        self.purchases.error_received(error, Origin(route[-1], route))

    def successResultOf(self, deferred: Deferred[Any]) -> Any:
        """What a Deferred has fired with, which can be asked for again."""
        result = super().successResultOf(deferred)
        deferred.addCallback(lambda _: result)
        return result

    def states(self) -> list[OrderState]:
        """Where the orders without an answer stand."""
        return [record.state for record in self.purchases.unanswered()]

    def kept(self) -> dict[str, OrderState]:
        """Where the orders stand by the book."""
        return {id: record.state for id, record in self.store.book.ordered.items()}

    @property
    def order_id(self) -> str:
        """The id of the order."""
        return self.buy.order.open(Purchase).id

    def events(self) -> list[str]:
        """What was reported."""
        return [event for event, _ in self.node.reports]


class OrderTests(PurchaseTestCase):
    """What an order is."""

    def test_signed(self) -> None:
        """It is a purchase that the buyer has signed, on the very quote; errors name it by a part of its id."""
        statement = self.buy.order.open(Purchase)
        expected = Purchase("bazaar", BUYER.public, statement.id, "apple", 2, quote())
        self.assertEqual((statement, self.buy.id), (expected, int(statement.id[:13], 16)))

    def test_each_its_own(self) -> None:
        """No two orders have one id."""
        for _ in range(20):
            self.order(*FOUND)
        ids = {message.order.open(Purchase).id for message, _ in self.sent()}
        self.assertEqual(len(ids | {self.order_id}), 21)

    def test_in_the_book(self) -> None:
        """The book has it, with all that is needed to ask again."""
        self.node.clock.advance(0.0)
        expected = OrderRecord(
            id=self.order_id,
            want=1,
            seller=SELLER.public,
            seller_node=9,
            item="apple",
            quantity=2,
            price=40,
            statement=self.buy.order,
            ordered_at=0.0,
        )
        self.assertEqual(self.successResultOf(self.purchases.orders()), [expected])
        self.assertEqual(self.successResultOf(self.purchases.orders(self.order_id[:5], 1)), [expected])
        self.assertEqual(self.successResultOf(self.purchases.orders("x")), [])


class AnswerTests(PurchaseTestCase):
    """An order ends with the seller's answer."""

    def assert_ended(self, state: OrderState, code: str = "", reason: str = "") -> None:
        """It has ended, on all sides, and nothing more is asked."""
        record = self.successResultOf(self.ordering)
        self.assertEqual((record.state, record.code, record.reason), (state, code, reason))
        self.assertEqual(self.successResultOf(self.purchases.orders()), [record])
        self.assertEqual((self.node.clock.getDelayedCalls(), len(self.purchases)), ([], 0))

    def test_yes(self) -> None:
        """The seller's yes makes it a sale, and ends the asking."""
        self.answer(SOLD)
        self.assert_ended(OrderState.CONFIRMED)
        record = self.successResultOf(self.ordering)
        self.assertEqual((is_sold(record), record.answer), (True, answer_to(self.buy, SOLD).answer))

    def test_no(self) -> None:
        """The seller's no makes it a refusal that says why, and ends the asking."""
        self.answer(REFUSED, "soldout", "why")
        self.assert_ended(OrderState.REFUSED, "soldout", "why")
        self.assertFalse(is_sold(self.successResultOf(self.ordering)))

    def test_cancelled(self) -> None:
        """A seller that takes an order for taken back has not sold it."""
        self.answer(CANCELLED)
        self.assert_ended(OrderState.CANCELLED)

    def test_whoever_brings_it(self) -> None:
        """The seller's answer counts by whichever way and node it comes, even under the name of the other answer."""
        for message, origin in (
            (answer_to(self.buy, SOLD), (1, 7)),
            (answer_to(self.buy, SOLD), (1, 7, 4711)),
            (BuyNo(id=self.buy.id, answer=answer_to(self.buy, SOLD).answer), (1, 7)),
        ):
            self.setUp()
            self.bring(message, *origin)
            self.assert_ended(OrderState.CONFIRMED)

    def test_only_the_seller(self) -> None:
        """What anybody else has signed counts for nothing, yes or no, and whoever brings it."""
        for outcome in Outcome:
            self.bring(answer_to(self.buy, outcome, seller=STRANGER), *FOUND)
            said = answer_to(self.buy, outcome).answer.open(Answer)
            self.bring(BuyOK(id=self.buy.id, answer=seal(STRANGER, said)), *FOUND)
        self.assertNoResult(self.ordering)
        self.answer(SOLD)
        self.assert_ended(OrderState.CONFIRMED)

    def test_about_something_else(self) -> None:
        """An answer to another order, buyer, bazaar or other words is none, though the seller has signed it."""
        said = answer_to(self.buy, SOLD).answer.open(Answer)
        other = self.order(*FOUND)
        [(second, _)] = self.sent()
        for changes in (
            *({"order": hex_id(4711)}, {"buyer": STRANGER.public}, {"bazaar": "elsewhere"}, {"digest": "0" * 64}),
            {"digest": digest_of(second.order)},
        ):
            self.bring(BuyOK(id=self.buy.id, answer=seal(SELLER, replace(said, **changes))), *FOUND)
        self.bring(BuyOK(id=self.buy.id, answer=answer_to(second, SOLD).answer), *FOUND)
        self.assertNoResult(self.ordering)
        self.assertNoResult(other)
        self.assertEqual(set(self.kept().values()), {OrderState.PENDING})

    def test_no_answer_at_all(self) -> None:
        """What is signed, even by the seller, but as something else, is no answer; nor is what is not signed."""
        whole = answer_to(self.buy, SOLD).answer
        [signature] = whole.signatures
        bad = type(signature)(signature.keyid, bytes(64))
        for envelope in (quote(), self.buy.order, Envelope(whole.payload, whole.payload_type, (bad,))):
            self.bring(BuyOK(id=self.buy.id, answer=envelope), *FOUND)
        self.assertNoResult(self.ordering)
        self.assertEqual(self.events(), ["odd"] * 3)

    def test_first_is_final(self) -> None:
        """What comes after the first answer changes nothing."""
        self.answer(SOLD)
        self.answer(SOLD)
        self.answer(REFUSED, "soldout")
        self.assert_ended(OrderState.CONFIRMED)

    def test_nobodys_order(self) -> None:
        """An answer to an order that is not open is nothing."""
        self.bring(answer_to(self.buy, SOLD).evolve(id=self.buy.id + 1), *FOUND)
        self.assertNoResult(self.ordering)
        self.assertEqual(self.events(), [])

    def test_odd_without_end(self) -> None:
        """Who says odd things for ever fills nobody's journal; what is odd about them is told."""
        for _ in range(100):
            self.bring(answer_to(self.buy, SOLD, seller=STRANGER), *FOUND)
        self.assertEqual(
            self.node.reports,
            [("odd", {"order": self.order_id, "reason": "it is by another seller, or about another order"})] * 5,
        )

    def test_errors(self) -> None:
        """No error ends an order, whoever says it, whatever it says: it is signed by nobody."""
        for code in ("soldout", "forged", "notnow", "wtf", "noslots", "notim", "linked", "noroute", "wrongway"):
            for route in (FOUND, (1, 7)):
                self.error(code, *route)
        self.purchases.error_received(Error(code="soldout"), Origin(9, FOUND))
        self.assertNoResult(self.ordering)
        self.assertEqual(self.states(), [OrderState.PENDING])
        self.assertTrue(self.sent_in(10))

    def test_what_strangers_write(self) -> None:
        """The reason of a refusal is kept without control characters."""
        self.answer(REFUSED, "soldout", "\x1b[2Jgone\r\n\u202e")
        self.assert_ended(OrderState.REFUSED, "soldout", "\ufffd[2Jgone\ufffd\ufffd\ufffd")

    def test_waited_for_by_several(self) -> None:
        """Others can wait for the end of an open order; of one that has ended, or that never was, nobody can."""
        waiting = [self.purchases.outcome(self.order_id) for _ in range(2)]
        self.answer(SOLD)
        record = self.successResultOf(self.ordering)
        self.assertEqual([self.successResultOf(each) for each in waiting], [record] * 2)
        for id in (self.order_id, hex_id(4711)):
            self.assertRaises(UsageError, self.purchases.outcome, id)


class StorageTests(PurchaseTestCase):
    """What is not in the book is neither sent nor told."""

    def setUp(self) -> None:
        """A book that is written by hand; nothing is ordered yet."""
        self.begin(HandStore(MemoryPurchases()))

    def ordered(self) -> Deferred[OrderRecord]:
        """An order, sent."""
        ordering = self.order(*FOUND)
        self.store.finish()
        [(self.buy, _)] = self.sent()
        return ordering

    def test_nothing_sent_before(self) -> None:
        """An order is not sent before the book has it."""
        ordering = self.order(*FOUND)
        self.assertEqual((self.sent_in(60), len(self.purchases)), ([], 0))
        self.store.finish()
        self.assertEqual((len(self.sent()), len(self.purchases)), (1, 1))
        self.assertNoResult(ordering)

    def test_not_ordered(self) -> None:
        """What the book cannot take was not ordered: nothing is sent, then or later."""
        ordering = self.order(*FOUND)
        self.store.fail()
        self.failureResultOf(ordering, StorageError)
        self.assertEqual((self.sent_in(60), len(self.purchases), self.kept()), ([], 0, {}))

    def test_nothing_told_before(self) -> None:
        """An answer is not told before the book has it, by whichever way it is waited for."""
        ordering = self.ordered()
        waiting = self.purchases.outcome(self.order_id)
        self.answer(SOLD)
        self.assertNoResult(ordering)
        self.assertNoResult(waiting)
        self.assertEqual((self.states(), len(self.store.waiting)), ([OrderState.PENDING], 1))
        self.store.finish()
        self.assertEqual(self.kept(), {self.order_id: OrderState.CONFIRMED})
        self.assertEqual(self.successResultOf(ordering), self.successResultOf(waiting))

    def test_same_answer_meanwhile(self) -> None:
        """What comes while an answer is being written changes nothing, and nothing is asked meanwhile."""
        ordering = self.ordered()
        self.answer(SOLD)
        self.answer(REFUSED, "soldout")
        self.answer(SOLD)
        self.assertEqual((len(self.store.waiting), self.sent_in(60)), (1, []))
        self.store.finish()
        self.assertEqual(self.successResultOf(ordering).state, OrderState.CONFIRMED)
        self.assertEqual(self.node.clock.getDelayedCalls(), [])

    def test_answer_that_cannot_be_kept(self) -> None:
        """An order whose answer cannot be written stays open, is asked for again, and ends with the same answer."""
        ordering = self.ordered()
        with capturedLogs() as logged:
            self.answer(SOLD)
            self.node.clock.advance(3.0)
            self.store.fail()
        self.assertEqual([event["log_level"].name for event in logged], ["error"])
        self.assertNoResult(ordering)
        self.assertEqual((self.states(), self.kept()), ([OrderState.PENDING], {self.order_id: OrderState.PENDING}))
        self.assertEqual({message for message, _ in self.sent_in(10)}, {self.buy})
        self.answer(SOLD)
        self.store.finish()
        self.assertEqual(self.successResultOf(ordering).state, OrderState.CONFIRMED)

    def test_way_found_while_it_is_given_up(self) -> None:
        """An order that could not be sent, and is being written as never sent, is not sent meanwhile."""
        ordering = self.order(1, 4, 9)
        self.store.finish()
        self.assertEqual((self.sent(), len(self.store.waiting)), ([], 1))
        self.node.link(9)
        self.purchases.seller_found(SELLER.public, (1, 9))
        sent = self.sent()
        self.store.finish()
        self.assertEqual((sent, self.successResultOf(ordering).state), ([], OrderState.CANCELLED))

    def test_never_sent_and_not_written(self) -> None:
        """An order that could not be sent, nor be written as such, is open, and goes when there is a way."""
        ordering = self.order(1, 4, 9)
        self.store.finish()
        with capturedLogs():
            self.store.fail()
        self.assertNoResult(ordering)
        self.node.link(4)
        [self.buy] = {message for message, _ in self.sent_in(10)}
        self.answer(SOLD)
        self.store.finish()
        self.assertEqual(self.successResultOf(ordering).state, OrderState.CONFIRMED)

    def test_stopped_while_it_is_written(self) -> None:
        """An order that the book takes when the buyer has stopped is not sent; the next run goes on with it."""
        ordering = self.order(*FOUND)
        self.successResultOf(self.purchases.stop())
        self.store.finish()
        self.assertEqual((self.sent_in(60), self.node.clock.getDelayedCalls()), ([], []))
        self.assertNoResult(ordering)
        self.assertEqual(list(self.kept().values()), [OrderState.PENDING])


class SilenceTests(PurchaseTestCase):
    """No answer is not a no."""

    def test_same_order_again(self) -> None:
        """It is sent again, the same bytes, ever more rarely, for ever."""
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
        self.assertEqual(self.node.reports, [("unknown", {"seller": 9, "id": self.order_id})])

    def test_seeking(self) -> None:
        """From the third send on another way to the seller is looked for before each repeat."""
        for expected in (0, 0, 1, 2, 3):
            self.wait_for_repeat()
            self.assertEqual(self.sought, self.purchases.unanswered() * expected)

    def test_answer_after_doubt(self) -> None:
        """A late answer counts like any other."""
        self.sent_in(600)
        self.answer(SOLD)
        self.assertEqual(self.successResultOf(self.ordering).state, OrderState.CONFIRMED)

    def test_stop(self) -> None:
        """Who stops sends nothing more, and the order stays open."""
        self.successResultOf(self.purchases.stop())
        self.purchases.seller_found(SELLER.public, (1, 7, 6, 9))
        self.error("noroute", 1, 7)
        self.assertEqual((self.sent_in(600), self.node.clock.getDelayedCalls()), ([], []))
        self.assertEqual((self.states(), self.kept()), ([OrderState.PENDING], {self.order_id: OrderState.PENDING}))
        self.assertNoResult(self.ordering)


class RestartTests(PurchaseTestCase):
    """A process that was killed goes on where it was."""

    def restart(self) -> None:
        """End as killed, and begin again with the same book."""
        self.begin(self.store)

    def resumed(self) -> list[OrderRecord]:
        """What is gone on with."""
        return list(self.successResultOf(self.purchases.resume()))

    def test_goes_on(self) -> None:
        """What has no answer is unknown, and asked for again, the same bytes; its answer ends it."""
        before = self.successResultOf(self.purchases.orders())
        self.restart()
        [record] = self.resumed()
        self.assertEqual(
            (record.id, record.state, record.statement), (self.order_id, OrderState.UNKNOWN, before[0].statement)
        )
        waiting = self.purchases.outcome(self.order_id)
        self.node.routes = {9: [FOUND]}
        self.assertEqual(self.wait_for_repeat(), [(self.buy, FOUND)])
        self.assertEqual(self.sought[:1], [record])
        self.answer(SOLD)
        self.assertEqual(self.successResultOf(waiting).state, OrderState.CONFIRMED)
        self.assertEqual((self.kept(), self.node.clock.getDelayedCalls()), ({self.order_id: OrderState.CONFIRMED}, []))

    def test_seller_found(self) -> None:
        """It goes to its seller as soon as that is heard of, even before it is asked for by itself."""
        self.restart()
        self.resumed()
        self.purchases.seller_found(SELLER.public, (1, 7, 6, 12))
        self.assertEqual(self.sent(), [(self.buy, (1, 7, 6, 12))])

    def test_answered_meanwhile(self) -> None:
        """What has ended is not gone on with."""
        self.answer(REFUSED, "soldout")
        self.restart()
        self.assertEqual((self.resumed(), self.sent_in(60)), ([], []))

    def test_twice(self) -> None:
        """To go on twice is to go on once."""
        self.restart()
        self.assertEqual(self.resumed(), self.resumed())
        self.purchases.seller_found(SELLER.public, FOUND)
        self.assertEqual(len(self.sent()), 1)

    def test_beside_a_new_one(self) -> None:
        """What was ordered before it is gone on with is not begun again."""
        self.assertEqual([record.state for record in self.resumed()], [OrderState.PENDING])
        self.assertEqual(self.sent(), [])

    def test_taken_back(self) -> None:
        """What was taken back before is taken back still, in the same bytes."""
        self.purchases.take_back(self.order_id)
        [(cancel, _)] = self.sent()
        self.restart()
        self.resumed()
        self.purchases.seller_found(SELLER.public, FOUND)
        self.assertEqual(self.sent(), [(cancel, FOUND)])
        self.bring(answer_to(cancel, CANCELLED), *FOUND)
        self.assertEqual(self.kept(), {self.order_id: OrderState.CANCELLED})

    def test_not_readable(self) -> None:
        """While the book cannot be read nothing is gone on with; later it is."""
        self.restart()
        self.store.failures = 1
        self.failureResultOf(self.purchases.resume(), StorageError)
        self.assertEqual(len(self.resumed()), 1)

    def test_never_sent(self) -> None:
        """An order that the book took and that never left is sent by the next run: nobody knows that it was not."""
        self.begin(HandStore(MemoryPurchases()))
        self.order(*FOUND)
        self.store.finish()
        self.node.sent.clear()
        self.begin(MemoryStore(self.store.book))
        self.assertEqual([record.state for record in self.resumed()], [OrderState.UNKNOWN])
        self.purchases.seller_found(SELLER.public, FOUND)
        self.assertEqual(len(self.sent()), 1)


class TakingBackTests(PurchaseTestCase):
    """A buyer has thought better of it."""

    def setUp(self) -> None:
        """Order, and take it back."""
        super().setUp()
        self.ending = self.purchases.take_back(self.order_id)
        [(self.cancel, self.way)] = self.sent()

    def assert_ended(self, state: OrderState) -> None:
        """All who wait hear the same."""
        record = self.successResultOf(self.ordering)
        self.assertEqual((record.state, self.successResultOf(self.ending)), (state, record))
        self.assertEqual((self.kept(), self.node.clock.getDelayedCalls()), ({self.order_id: state}, []))

    def test_asked(self) -> None:
        """The seller is asked along the way of the order: signed by the buyer, about the same order and quote."""
        expected = Withdrawal("bazaar", BUYER.public, self.order_id, quote())
        self.assertEqual((self.cancel.order.open(Withdrawal), self.way), (expected, FOUND))
        self.assertIsInstance(self.cancel, Cancel)
        self.assertEqual(self.cancel.id, self.buy.id)
        self.assertNoResult(self.ending)

    def test_in_time(self) -> None:
        """An order that the seller had not answered is cancelled."""
        self.answer(CANCELLED, asked=self.cancel)
        self.assert_ended(OrderState.CANCELLED)

    def test_too_late(self) -> None:
        """What is sold is sold: the seller says the same to the word that it is not to be."""
        self.answer(SOLD)
        self.assert_ended(OrderState.CONFIRMED)

    def test_refused_before(self) -> None:
        """What was refused is refused."""
        self.answer(REFUSED, "soldout", "gone")
        self.assert_ended(OrderState.REFUSED)

    def test_sold_in_answer_to_it(self) -> None:
        """Nothing is sold by the word that it is not to be."""
        self.answer(SOLD, asked=self.cancel)
        self.assertNoResult(self.ending)
        self.assertEqual(self.events(), ["odd"])

    def test_never_asked(self) -> None:
        """An answer about a withdrawal that the buyer has not made is none."""
        super().setUp()
        cancel = Cancel(id=self.buy.id, order=withdrawal(int(self.order_id, 16)))
        self.bring(answer_to(cancel, CANCELLED), *FOUND)
        self.assertNoResult(self.ordering)

    def test_repeats(self) -> None:
        """From then on it is the withdrawal that is repeated, the same bytes, and not the order."""
        self.assertEqual({message for message, _ in self.sent_in(600)}, {self.cancel})

    def test_twice(self) -> None:
        """To take it back twice is to take it back once; both hear of it."""
        again = self.purchases.take_back(self.order_id)
        self.assertEqual(self.sent(), [])
        self.answer(CANCELLED, asked=self.cancel)
        self.assertEqual(self.successResultOf(again), self.successResultOf(self.ending))

    def test_no_such_order(self) -> None:
        """What has ended, or never was, cannot be taken back."""
        self.answer(SOLD)
        for id in (self.order_id, hex_id(4711), ""):
            self.assertRaises(UsageError, self.purchases.take_back, id)

    def test_not_written(self) -> None:
        """While the book cannot be written nothing is taken back, and nothing said to the seller."""
        super().setUp()
        self.store.is_failing = True
        self.failureResultOf(self.purchases.take_back(self.order_id), StorageError)
        self.assertEqual({message for message, _ in self.sent_in(10)}, {self.buy})
        self.store.is_failing = False
        self.purchases.take_back(self.order_id)
        self.assertIsInstance(self.sent()[0][0], Cancel)

    def test_another_way(self) -> None:
        """When the way of the order is gone it goes by another."""
        super().setUp()
        self.node.linked.clear()
        self.node.link(6)
        self.node.routes = {9: [(1, 6, 9)]}
        self.purchases.take_back(self.order_id)
        self.assertEqual([route for _, route in self.sent()], [(1, 6, 9)])

    def test_while_it_is_answered(self) -> None:
        """Taken back while its answer is being written it ends with that answer, for the book and for all who wait."""
        self.begin(HandStore(MemoryPurchases()))
        self.ordering = self.order(*FOUND)
        self.store.finish()
        [(self.buy, _)] = self.sent()
        self.answer(SOLD)
        self.ending = self.purchases.take_back(self.order_id)
        self.store.finish_all()
        self.assertEqual(self.kept(), {self.order_id: OrderState.CONFIRMED})
        self.assertEqual(self.successResultOf(self.ordering).state, OrderState.CONFIRMED)
        self.assertEqual(self.successResultOf(self.ending).state, OrderState.CONFIRMED)
        self.assertEqual((self.sent_in(60), self.node.clock.getDelayedCalls()), ([], []))

    def test_answered_while_it_is_taken_back(self) -> None:
        """Answered while the withdrawal is being written it ends with that answer, and nobody asks any more."""
        self.begin(HandStore(MemoryPurchases()))
        self.ordering = self.order(*FOUND)
        self.store.finish()
        [(self.buy, _)] = self.sent()
        self.ending = self.purchases.take_back(self.order_id)
        self.answer(SOLD)
        self.store.finish_all()
        self.sent()
        self.assert_ended(OrderState.CONFIRMED)
        self.assertEqual(self.sent_in(60), [])


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
        self.assertEqual(self.node.reports, [("unknown", {"seller": 9, "id": self.order_id})])

    def test_no_route(self) -> None:
        """On noroute the next path is taken at once."""
        self.node.link(6)
        self.node.routes = {9: [(1, 6, 9)]}
        self.error("noroute", 1, 7)
        self.assertEqual(self.sent(), [(self.buy, (1, 6, 9))])

    def test_no_route_at_all(self) -> None:
        """Without another path it waits and asks again; noroute is not a refusal."""
        self.error("noroute", 1, 7)
        self.assertEqual(self.sent(), [])
        self.assertNoResult(self.ordering)
        self.node.routes = {9: [(1, 7, 9)]}
        self.assertIn((self.buy, (1, 7, 9)), self.sent_in(5))

    def test_detours_end(self) -> None:
        """Bad news brings each other path into use once, and then it waits for the next repeat."""
        self.node.link(6)
        self.node.routes = {9: [(1, 7, 9), (1, 6, 9)]}
        for code in ("noroute", "wrongway") * 50:
            self.error(code, 1, 7)
        self.assertEqual(self.sent(), [(self.buy, (1, 6, 9))])

    def test_another_way_at_once(self) -> None:
        """An order whose first way is gone when it is made takes another that is known."""
        self.node.routes = {8: [(1, 5, 8), (1, 7, 8)]}
        self.assertNoResult(self.order(1, 4, 8))
        self.assertEqual([route for _, route in self.sent()], [(1, 7, 8)])

    def test_never_sent(self) -> None:
        """An order that cannot leave this node is not to be: nothing can have been sold."""
        record = self.successResultOf(self.order(1, 4, 8))
        self.assertEqual((record.state, record.code, record.withdrawal), (OrderState.CANCELLED, "noroute", None))
        self.assertEqual((self.sent(), len(self.purchases)), ([], 1))
        self.assertEqual(self.kept()[record.id], OrderState.CANCELLED)


class SellerFoundTests(PurchaseTestCase):
    """The seller is heard of again, by a way that may be new."""

    def setUp(self) -> None:
        """Have another neighbour."""
        super().setUp()
        self.node.link(6)

    def found(self, *route: int, key: str = SELLER.public) -> list[tuple[Buy | Cancel, Route]]:
        """Hear of a seller at the end of a route; returns what is sent at once."""
        self.purchases.seller_found(key, route)
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

    def test_under_another_id(self) -> None:
        """A seller that comes back with another id is the same: its key names it, and repeats go there."""
        self.assertEqual(self.found(1, 6, 12), [(self.buy, (1, 6, 12))])
        self.node.routes = {12: [(1, 7, 12)]}
        self.assertEqual(self.wait_for_repeat(), [(self.buy, (1, 7, 12))])

    def test_other_sellers(self) -> None:
        """Orders to other sellers are not sent."""
        self.assertNoResult(self.order(1, 7, 8, seller=STRANGER))
        [(other, _)] = self.sent()
        found = self.found(1, 6, 8, key=STRANGER.public), self.found(1, 6, 9), self.found(1, 6, 5, key="0" * 64)
        self.assertEqual(found, ([(other, (1, 6, 8))], [(self.buy, (1, 6, 9))], []))

    def test_answered(self) -> None:
        """An order that has its answer is not sent."""
        self.answer(SOLD)
        self.assertEqual(self.found(1, 6, 9), [])
