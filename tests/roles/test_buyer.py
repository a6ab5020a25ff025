"""Promises of the buyer: the best offer, never more than wanted, never a sale forgotten."""

from __future__ import annotations

from typing import Any, Final

from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from tests.configured import context_of, typed
from tests.roles.cases import BuyerTestCase, key_of, ordered, price_of
from tests.trade.cases import HandStore, quote
from twisted_bazaar.discovery.flood.messages import Reply, Search
from twisted_bazaar.errors import UsageError
from twisted_bazaar.exit_status import ExitStatus
from twisted_bazaar.identity.signed import seal
from twisted_bazaar.interfaces import IRole
from twisted_bazaar.roles.buyer import OPTIONS, Buyer, make_role
from twisted_bazaar.roles.want import Want
from twisted_bazaar.testing import FakeNode, deliver
from twisted_bazaar.trade.contract import Presence
from twisted_bazaar.trade.messages import Buy, Cancel
from twisted_bazaar.trade.order import OrderState
from twisted_bazaar.trade.stores.memory import MemoryPurchases
from twisted_bazaar.values.addresses import Peer
from twisted_bazaar.values.sale import Outcome

SOLD, REFUSED, CANCELLED = Outcome.SOLD, Outcome.REFUSED, Outcome.CANCELLED


NOTHING_ORDERED: Final = (
    "the book cannot be read or written, so nothing can be ordered: the disk is full; trying again every 5 s"
)


class SearchTests(BuyerTestCase):
    """It looks further and further, until it finds."""

    def test_waits_for_a_link(self) -> None:
        """It asks nobody before there is somebody."""
        node = FakeNode(id=1)
        buyer = Buyer([Want("apple", 1)])
        buyer.start(node)
        node.clock.advance(100)
        self.assertEqual(node.flooded, [])
        buyer.peer_joined(node.link(7))
        self.assertEqual(len(node.flooded), 1)

    def test_growing_reach(self) -> None:
        """Rounds reach 2, 4 and 7 links far, each with an id of its own, and begin again after a pause."""
        self.begin()
        for _ in range(120):
            self.node.clock.advance(0.1)
        searches = self.node.flooded
        self.assertEqual([search.ttl for search in searches[:4]], [2, 4, 7, 2])
        self.assertEqual(len({search.id for search in searches}), len(searches))

    def test_late_seller(self) -> None:
        """It looks for ever: an offer after an hour is taken."""
        self.begin()
        for _ in range(3600):
            self.node.clock.advance(1)
        self.offer(1, 7)
        self.gathered()
        [(order, _)] = self.orders()
        self.confirm(order, 1, 7)
        self.assertEqual(self.bag(), [(7, 1)])

    def test_several_wants(self) -> None:
        """Each want is looked for on its own, at the same time."""
        self.begin(Want("apple", 1), Want("pear", 2))
        self.assertEqual([(s.item, s.quantity) for s in self.node.flooded], [("apple", 1), ("pear", 2)])

    def test_added(self) -> None:
        """What is added while it runs is looked for at once, beside the rest."""
        self.begin()
        self.buyer.add(Want("pear", 2))
        self.assertEqual([(s.item, s.quantity) for s in self.node.flooded], [("apple", 1), ("pear", 2)])
        self.assertEqual(self.buyer.wants, [Want("apple", 1, number=1), Want("pear", 2, number=2)])

    def test_journal(self) -> None:
        """What is wanted, and what each search came to, is for the journal and not for the log."""
        self.begin(Want("apple", 2))
        self.node.clock.pump([0.1] * 75)
        self.node.clock.advance(1)
        self.offer(1, 7)
        self.gathered()
        sought = [("sought", {"item": "apple", "quantity": 2, "offers": offers}) for offers in (0, 1)]
        self.assertEqual(self.node.quiet, [("wanted", {"item": "apple", "quantity": 2}), *sought])


class ChoiceTests(BuyerTestCase):
    """It takes the best first."""

    def test_cheapest_then_nearest(self) -> None:
        """The cheapest wins, of equals the shortest path, however late within the moment it came."""
        self.begin(Want("apple", 3))
        self.offer(1, 7, price=120)
        self.node.clock.advance(0.2)
        self.offer(1, 7, 5, 8, price=90)
        self.offer(1, 7, 9, price=90)
        self.gathered()
        [(order, route)] = self.orders()
        self.assertEqual((price_of(order), route), (90, (1, 7, 9)))
        self.confirm(order, 1, 7, 9)
        [(_, route)] = self.orders()
        self.assertEqual(route, (1, 7, 5, 8))

    def test_never_more_than_wanted(self) -> None:
        """Twenty offers of ten each to a buyer of three: three are ordered, and three bought."""
        self.begin(Want("apple", 3))
        for seller in range(100, 120):
            self.offer(1, 7, seller, quantity=10)
        self.gathered()
        [(order, route)] = self.orders()
        self.assertEqual(ordered(order).quantity, 3)
        self.confirm(order, *route)
        self.node.clock.advance(60)
        self.offer_late()
        self.assertEqual((self.orders(), self.bag()), ([], [(100, 3)]))

    def offer_late(self) -> None:
        """A reply to a search that is over."""
        self.offer(1, 7, 130, quantity=10)
        self.gathered()

    def test_from_several(self) -> None:
        """What one seller lacks the next has."""
        self.begin(Want("apple", 3))
        self.offer(1, 7, 8, quantity=2)
        self.offer(1, 7, 9, quantity=2)
        self.gathered()
        for _ in range(2):
            [(order, route)] = self.orders()
            self.confirm(order, *route)
        self.assertEqual(self.bag(), [(8, 2), (9, 1)])

    def test_too_dear(self) -> None:
        """Above --max-price nothing is bought."""
        self.begin(max_price=100)
        self.offer(1, 7, price=101)
        self.gathered()
        self.assertEqual(self.orders(), [])

    def test_dear_seller_hides_nobody(self) -> None:
        """An offer that is too dear, or from who has just refused, does not end the search for others."""
        self.begin(max_price=100)
        for _ in range(60):
            self.offer(1, 7, price=200)
            self.node.clock.advance(0.1)
        self.assertEqual([search.ttl for search in self.node.flooded], [2, 4, 7])
        self.offer(1, 7, 9, price=50)
        self.gathered()
        [(order, route)] = self.orders()
        self.refuse(order, *route)
        self.node.clock.advance(2)
        self.offer(1, 7, 9, price=50)
        self.gathered()
        self.assertEqual(self.orders(), [])

    def test_sold_out_then_the_next(self) -> None:
        """A seller that has sold out meanwhile is passed over."""
        self.begin()
        self.offer(1, 7, 8, price=10)
        self.offer(1, 7, 9, price=20)
        self.gathered()
        [(order, route)] = self.orders()
        self.refuse(order, *route)
        [(order, route)] = self.orders()
        self.assertEqual(route, (1, 7, 9))
        self.confirm(order, *route)
        self.assertEqual(self.bag(), [(9, 1)])


class UnansweredTests(BuyerTestCase):
    """Silence is not a no."""

    def ordered(self) -> Buy:
        """One order to node 9 behind node 7, sent."""
        self.begin()
        self.offer(1, 7, 9)
        self.gathered()
        [(order, _)] = self.orders()
        return order

    def test_same_order_again(self) -> None:
        """It is repeated with the same id, ever more rarely, for ever, and nothing else is bought."""
        order = self.ordered()
        repeated = 0
        for _ in range(3600):
            self.node.clock.advance(1)
            orders = self.orders()
            repeated += len(orders)
            self.assertTrue(all(message == order for message, _ in orders))
        self.assertGreater(repeated, 3600 / 40)
        self.assertLess(repeated, 3600 / 20)
        self.confirm(order, 1, 7, 9)
        self.assertEqual(self.bag(), [(9, 1)])

    def test_seeks(self) -> None:
        """Another way to a silent seller is searched for, and what is offered meanwhile is not bought as well."""
        order = self.ordered()
        self.node.clock.pump([1] * 5)
        self.assertEqual(len(self.node.flooded), 1)
        self.node.clock.pump([1] * 5)
        self.assertGreater(len(self.node.flooded), 1)
        self.orders()
        self.offer(1, 7, 8)
        self.gathered()
        self.node.clock.pump([1] * 30)
        # Whoever answers may be asked; it is the same order, and not another.
        self.assertEqual({message for message, _ in self.orders()}, {order})

    def test_linked_directly(self) -> None:
        """When the seller is linked the order goes there at once; to anybody else it does not."""
        order = self.ordered()
        for id in (8, 9):
            linked = self.node.link(id)
            self.buyer.peer_joined(Peer(id, key_of(id).public, linked.address))
        self.assertEqual(self.orders(), [(order, (1, 9))])

    def test_sought_and_found(self) -> None:
        """After three tries the seller alone is searched for; when it answers the order goes there at once."""
        order = self.ordered()
        self.node.link(6)
        self.node.clock.pump([0.1] * 100)
        searches = [search for search in self.node.flooded if isinstance(search, Search)]
        self.assertEqual({(search.item, search.seller) for search in searches[1:]}, {("apple", key_of(9).public)})
        self.orders()
        # Only the seller itself can say that it is there.
        self.offer(1, 6, 8)
        self.assertEqual(self.orders(), [])
        for key in (key_of(8), key_of(9)):
            there = seal(key, Presence("bazaar", key.public, self.node.flooded[-1].id))
            deliver(self.buyer, Reply(item="apple", id=self.node.flooded[-1].id, quote=there), 1, 6, 9)
        self.assertEqual(self.orders(), [(order, (1, 6, 9))])

    def test_never_sent(self) -> None:
        """An order that could not leave this node is none: the next offer is taken."""
        self.begin()
        self.offer(1, 5, 8, price=10)
        self.offer(1, 7, 9, price=20)
        self.gathered()
        [(order, route)] = self.orders()
        self.assertEqual((price_of(order), route), (20, (1, 7, 9)))

    def test_never_sent_is_no_refusal(self) -> None:
        """A seller to which there was no way any more has refused nothing: its next offer is taken."""
        self.begin()
        self.offer(1, 5, 9)
        self.gathered()
        self.assertEqual((self.orders(), self.events()[-1]), ([], "cancelled"))
        self.node.clock.pump([0.1] * 20)
        self.buy(1, 7, 9)
        self.assertEqual(self.bag(), [(9, 1)])

    def test_what_strangers_write(self) -> None:
        """The text of a refusal reaches the log without control characters."""
        order = self.ordered()
        self.refuse(order, 1, 7, 9, reason="\x1b[2Jgone\r\n")
        [reason] = [details["reason"] for event, details in self.node.reports if event == "missed"]
        self.assertTrue(reason.isprintable())
        self.assertIn("gone", reason)

    def test_errors(self) -> None:
        """No error ends an order, or the want for it; nothing else is bought meanwhile."""
        order = self.ordered()
        for code in ("soldout", "forged", "notnow", "wtf", "noroute"):
            self.error(order, code, 1, 7, 9)
        self.node.clock.pump([0.1] * 100)
        self.assertEqual({message for message, _ in self.orders()}, {order})
        self.confirm(order, 1, 7, 9)
        self.assertEqual(self.bag(), [(9, 1)])

    def test_not_the_seller(self) -> None:
        """A yes or a no that somebody else has signed is none."""
        order = self.ordered()
        for outcome in Outcome:
            self.answer(order, outcome, 1, 7)
        self.assertEqual((self.bag(), len(self.buyer.purchases)), ([], 1))

    def test_second_answer(self) -> None:
        """The first answer is final."""
        order = self.ordered()
        self.confirm(order, 1, 7, 9)
        self.confirm(order, 1, 7, 9)
        self.refuse(order, 1, 7, 9)
        self.assertEqual(self.bag(), [(9, 1)])

    def test_stop(self) -> None:
        """A buyer that stops leaves no timer, and says what it does not know."""
        self.ordered()
        self.successResultOf(self.buyer.stop())
        self.assertEqual(self.node.clock.getDelayedCalls(), [])
        self.assertEqual([event for event, _ in self.node.reports], ["wanted", "offered", "sought", "unknown"])


class OnceTests(BuyerTestCase):
    """With --once the exit status says how it ended."""

    def test_bought(self) -> None:
        """0 as soon as everything is bought."""
        self.begin(Want("apple", 1), Want("pear", 1), once_s=60.0)
        self.node.flooded.pop()
        self.offer(1, 7)
        self.gathered()
        [(order, route)] = self.orders()
        self.confirm(order, *route)
        self.assertNoResult(self.buyer.finished)
        self.node.clock.advance(1)
        self.offer(1, 7, item="pear")
        self.gathered()
        [(order, route)] = self.orders()
        self.confirm(order, *route)
        self.assertEqual(self.successResultOf(self.buyer.finished), 0)

    def test_added(self) -> None:
        """0 not before what was added is bought too."""
        self.begin(once_s=60.0)
        self.buyer.add(Want("pear", 1))
        pears = self.node.flooded.pop()
        self.offer(1, 7)
        self.gathered()
        [(order, route)] = self.orders()
        self.confirm(order, *route)
        self.assertNoResult(self.buyer.finished)
        self.node.flooded.append(pears)
        self.offer(1, 7, item="pear")
        self.gathered()
        [(order, route)] = self.orders()
        self.confirm(order, *route)
        self.assertEqual(
            (self.successResultOf(self.buyer.finished), self.node.clock.getDelayedCalls()), (ExitStatus.DONE, [])
        )

    def test_not_found(self) -> None:
        """3 when nobody had it in time."""
        self.begin(once_s=20.0)
        self.node.clock.pump([1] * 20)
        self.assertEqual(self.successResultOf(self.buyer.finished), ExitStatus.NOT_FOUND)

    def test_sold_out(self) -> None:
        """4 when who had it had none left."""
        self.begin(once_s=20.0)
        self.offer(1, 7)
        self.gathered()
        [(order, route)] = self.orders()
        self.refuse(order, *route)
        self.node.clock.pump([1] * 20)
        self.assertEqual(self.successResultOf(self.buyer.finished), ExitStatus.SOLD_OUT)

    def test_too_dear(self) -> None:
        """6 when it was found only for more than was to be paid, with the lowest price; a forged one is none."""
        self.begin(once_s=20.0, max_price=39)
        self.offer(1, 7, price=55)
        self.offer(1, 8, price=40)
        self.gathered()
        self.assertEqual(self.orders(), [])
        self.node.clock.pump([1] * 20)
        self.assertEqual(self.successResultOf(self.buyer.finished), ExitStatus.TOO_DEAR)
        [missing] = [about for event, about in self.node.reports if event == "missing"]
        self.assertEqual((missing["lowest_price"], missing["max_price"]), (40, 39))

    def test_unreached(self) -> None:
        """7 when neither a tracker nor anybody else was reached; 3 if the tracker was, and knew of nobody."""
        for reaches, expected in ((False, ExitStatus.UNREACHED), (True, ExitStatus.NOT_FOUND)):
            self.setUp()
            self.begin(once_s=20.0, is_linked=False)
            if reaches:
                self.buyer.tracker_joined()
            self.node.clock.pump([1] * 20)
            self.assertEqual(self.successResultOf(self.buyer.finished), expected)

    def test_unknown(self) -> None:
        """5 when an order is without an answer: it may have been sold."""
        self.begin(once_s=20.0)
        self.offer(1, 7)
        self.gathered()
        self.node.clock.pump([1] * 20)
        self.assertEqual(self.successResultOf(self.buyer.finished), ExitStatus.UNFINISHED)

    def test_never_without_once(self) -> None:
        """Without --once it stays, as a node like any other."""
        self.begin()
        self.offer(1, 7)
        self.gathered()
        [(order, route)] = self.orders()
        self.confirm(order, *route)
        self.assertNoResult(self.buyer.finished)


class QuoteTests(BuyerTestCase):
    """It orders on quotes that hold, and on no others."""

    def test_interface(self) -> None:
        """It is a role that may end by itself."""
        role = self.begin()
        self.assertTrue(verifyObject(IRole, role))
        self.assertIsNotNone(role.finished)

    def test_on_the_quote(self) -> None:
        """An order is on the very quote of the offer, for what is wanted, and in the book when it is sent."""
        self.begin(Want("apple", 2))
        self.offer(1, 7, 9, price=40, quantity=5)
        self.gathered()
        [(order, route)] = self.orders()
        said = ordered(order)
        expected = (quote(key_of(9), quantity=5), "apple", 2, (1, 7, 9))
        self.assertEqual((said.quote, said.item, said.quantity, route), expected)
        self.assertEqual([record.statement for record in self.store.book.ordered.values()], [order.order])

    def test_two_things_at_once(self) -> None:
        """A reply that says something else than its quote is no offer, and the owner is told why, now and then."""
        self.begin()
        statement = quote(key_of(9), item="apple", quantity=1, price=40)
        reply = Reply(item="apple", id=self.node.flooded[-1].id, price=39, quote=statement)
        with capturedLogs() as logged:
            for _ in range(50):
                deliver(self.buyer, reply, 1, 7, 9)
        said = [formatEvent(event) for event in logged]
        self.assertEqual(
            said[0], "an offer of apple by node 9 counts as never come: quote: it says something else than the reply"
        )
        self.assertLess(len(said), 20)
        self.gathered()
        self.assertEqual(self.orders(), [])

    def test_expired(self) -> None:
        """A seller whose quote was over when the order came is not passed over: its next one is taken."""
        self.begin()
        for _ in range(3):
            self.offer(1, 7, 9)
            self.gathered()
            [(order, route)] = self.orders()
            self.refuse(order, *route, code="expired")
            self.node.clock.pump([0.1] * 40)
        self.buy(1, 7, 9)
        self.assertEqual(self.bag(), [(9, 1)])

    def test_unfair_reply(self) -> None:
        """A reply that says other things than its quote is not taken."""
        self.begin()
        for changes in ({"price": 39}, {"quantity": 2}, {"item": "pear"}, {"bazaar": "elsewhere"}):
            said = {"item": "apple", "quantity": 1, "price": 40}
            statement = quote(key_of(9), **{**said, **changes})
            deliver(self.buyer, Reply(id=self.node.flooded[-1].id, quote=statement, **said), 1, 7, 9)
        deliver(self.buyer, Reply(item="apple", id=self.node.flooded[-1].id), 1, 7, 9)
        self.gathered()
        self.assertEqual(self.orders(), [])


class RestartTests(BuyerTestCase):
    """A buyer that was killed, or stopped, is started again with the same words."""

    def test_counts_what_it_has(self) -> None:
        """What was bought before is not bought again: the rest is."""
        self.begin(Want("apple", 3))
        self.buy(1, 7, 9, quantity=2)
        self.begin(Want("apple", 3))
        self.assertEqual([(search.item, search.quantity) for search in self.node.flooded], [("apple", 1)])
        had = ("had", {"bought": 2, "item": "apple", "quantity": 3})
        self.assertIn(had, self.node.reports)
        self.buy(1, 7, 9)
        self.assertEqual(([want.bought for want in self.buyer.wants], self.bag()), ([3], [(9, 1)]))

    def test_has_all(self) -> None:
        """With everything bought before there is nothing to do."""
        self.begin()
        self.buy(1, 7)
        self.begin()
        self.assertEqual((self.node.flooded, self.node.clock.getDelayedCalls()), ([], []))

    def test_needs_nobody(self) -> None:
        """With everything bought before it is done, whether anybody can be reached or not."""
        self.begin(label="week 47")
        self.buy(1, 7)
        buyer = self.begin(is_linked=False, once_s=8.0, label="week 47")
        self.assertEqual(self.successResultOf(buyer.finished), ExitStatus.DONE)

    def test_wants_less_and_more(self) -> None:
        """Who says another number the next time wants that many in all."""
        self.begin(Want("apple", 2))
        self.buy(1, 7, quantity=2)
        self.begin(Want("apple", 1))
        self.assertEqual(self.node.flooded, [])
        self.assertIn("when more was wanted than now", self.node.words["had"])
        self.begin(Want("apple", 5))
        self.assertEqual([search.quantity for search in self.node.flooded], [3])

    def test_same_item_twice(self) -> None:
        """Of two wants for one item each has its own."""
        self.begin(Want("apple", 2), Want("apple", 2))
        self.buy(1, 7, quantity=2)
        bought = [want.bought for want in self.buyer.wants]
        self.begin(Want("apple", 2), Want("apple", 2))
        self.assertEqual(sorted(want.bought for want in self.buyer.wants), sorted(bought))

    def test_open_order(self) -> None:
        """An order without an answer is gone on with, told, and waited for before anything else is ordered."""
        self.begin()
        self.offer(1, 7, 9)
        self.gathered()
        [(order, _)] = self.orders()
        self.begin()
        resumed = {"order": ordered(order).id, "quantity": 1, "item": "apple"}
        self.assertEqual([details for event, details in self.node.reports if event == "resumed"], [resumed])
        self.node.routes = {9: [(1, 7, 9)]}
        self.node.clock.pump([0.1] * 30)
        self.assertEqual({message for message, _ in self.orders()}, {order})
        self.assertEqual({search.seller for search in self.node.flooded}, {key_of(9).public})
        self.confirm(order, 1, 7, 9)
        self.assertEqual((self.bag(), self.node.clock.pump([1] * 20), self.orders()), ([(9, 1)], None, []))
        self.assertIn("bought", self.events())

    def test_open_order_is_refused(self) -> None:
        """When it turns out to be refused, the want goes on."""
        self.begin()
        self.offer(1, 7, 9)
        self.gathered()
        [(order, _)] = self.orders()
        self.begin()
        self.refuse(order, 1, 7, 9)
        self.assertEqual([search.seller for search in self.node.flooded], [None])
        self.buy(1, 7, 8)
        self.assertEqual(self.bag(), [(8, 1)])

    def test_open_order_of_another_want(self) -> None:
        """An order for what is not wanted any more is gone on with all the same, and its end is told."""
        self.begin()
        self.offer(1, 7, 9)
        self.gathered()
        [(order, _)] = self.orders()
        self.begin(Want("pear", 1))
        self.confirm(order, 1, 7, 9)
        self.assertEqual(self.store.book.ordered[ordered(order).id].state, OrderState.CONFIRMED)
        self.assertIn("bought", self.events())

    def test_book_that_cannot_be_read(self) -> None:
        """While the book cannot be read nothing is done; later everything is, whatever could be read first."""
        self.begin()
        self.offer(1, 7, 9)
        self.gathered()
        [(order, _)] = self.orders()
        for failures in (1, 2, 3):
            self.store.failures = failures
            with capturedLogs() as logged:
                self.begin()
                self.node.clock.pump([0.5] * 30)
            self.assertEqual({formatEvent(each) for each in logged}, {NOTHING_ORDERED})
            self.assertLessEqual({search.seller for search in self.node.flooded}, {key_of(9).public}, failures)
        self.confirm(order, 1, 7, 9)
        self.assertEqual((self.bag(), [want.missing for want in self.buyer.wants]), ([(9, 1)], [0]))


class StorageTests(BuyerTestCase):
    """A buyer whose disk is full for a while."""

    def test_ordered_later(self) -> None:
        """What the book cannot take is not sent; when it can, one order is."""
        self.begin()
        self.offer(1, 7, 9)
        self.store.is_failing = True
        with capturedLogs():
            self.gathered()
            self.node.clock.pump([1] * 12)
        self.assertEqual(self.orders(), [])
        self.store.is_failing = False
        self.node.clock.pump([1] * 5)
        self.assertEqual(len({message for message, _ in self.orders()}), 1)
        self.assertEqual(len(self.store.book.ordered), 1)

    def test_log(self) -> None:
        """The log says so, and at most five times a minute."""
        self.store.is_failing = True
        with capturedLogs() as logged:
            self.begin()
            self.node.clock.pump([1] * 59)
        self.assertEqual([formatEvent(each) for each in logged], [NOTHING_ORDERED] * 5)

    def test_stop(self) -> None:
        """It can stop all the same, whatever it waits for, and leaves no timer."""
        for offered in (False, True):
            self.store = HandStore(MemoryPurchases())
            self.begin(once_s=60.0)
            if offered:
                self.store.finish_all()
                self.offer(1, 7)
                self.gathered()
            self.successResultOf(self.buyer.stop())
            while self.store.waiting:
                self.store.fail()
            self.assertEqual((self.node.clock.getDelayedCalls(), self.flushLoggedErrors()), ([], []))


class CancelTests(BuyerTestCase):
    """Its operator has thought better of it."""

    def setUp(self) -> None:
        """Want three apples, and order two of them."""
        super().setUp()
        self.begin(Want("apple", 3))
        self.offer(1, 7, 9, quantity=2)
        self.gathered()
        [(self.order, _)] = self.orders()
        self.ending = self.buyer.purchases.take_back(ordered(self.order).id)
        [(self.taken_back, _)] = self.said()

    def missing(self) -> int:
        """How many are still looked for."""
        return self.buyer.wants[0].missing

    def test_in_time(self) -> None:
        """What is taken back is not wanted any more; the rest is."""
        self.assertIsInstance(self.taken_back, Cancel)
        self.answer(self.taken_back, CANCELLED, 1, 7, 9)
        self.assertEqual((self.missing(), self.bag(), self.events().count("cancelled")), (1, [], 1))
        self.node.clock.pump([0.1] * 30)
        self.assertEqual(self.node.flooded[-1].quantity, 1)

    def test_started_again(self) -> None:
        """A buyer that is started again with the same words does not want again what was taken back."""
        self.answer(self.taken_back, CANCELLED, 1, 7, 9)
        self.begin(Want("apple", 3))
        self.assertEqual((self.missing(), self.node.flooded[-1].quantity), (1, 1))

    def test_too_late(self) -> None:
        """What was sold is the buyer's; it is told that it was too late."""
        self.answer(self.order, SOLD, 1, 7, 9)
        self.assertEqual((self.missing(), self.bag()), (1, [(9, 2)]))
        self.assertEqual(self.events().count("not_cancelled"), 1)

    def test_refused(self) -> None:
        """What was refused is not sold either: so many less are wanted, as if it had been in time."""
        self.answer(self.order, REFUSED, 1, 7, 9, code="expired")
        self.assertEqual((self.missing(), self.bag()), (1, []))

    def test_told(self) -> None:
        """Who took it back hears how it has ended."""
        self.answer(self.taken_back, CANCELLED, 1, 7, 9)
        record = self.successResultOf(self.ending)
        self.assertIsNotNone(record)
        self.assertEqual(record.state, OrderState.CANCELLED)

    def test_cancelled_by_the_seller(self) -> None:
        """What nobody has taken back is still wanted, whatever a seller calls its no."""
        self.setUp()
        self.store = type(self.store)(MemoryPurchases())
        self.begin(Want("apple", 3))
        self.offer(1, 7, 9, quantity=2)
        self.gathered()
        [(order, _)] = self.orders()
        self.answer(order, CANCELLED, 1, 7, 9)
        self.assertEqual(self.missing(), 3)


class ClosingTests(BuyerTestCase):
    """With --once a want is done when everything is bought and the run has ended, and not before."""

    def bought(self, **options: Any) -> None:
        """Run until everything is bought."""
        self.begin(once_s=60.0, **options)
        self.buy(1, 7)
        self.assertEqual(self.successResultOf(self.buyer.finished), ExitStatus.DONE)

    def again(self, **options: Any) -> tuple[list[int], int]:
        """Run once more; returns what it has, and how often it searches at once."""
        self.begin(once_s=60.0, **options)
        return [want.bought for want in self.buyer.wants], len(self.node.flooded)

    def test_closed(self) -> None:
        """When all is bought the wants are done: the next run buys anew."""
        self.bought()
        self.successResultOf(self.buyer.stop())
        self.assertEqual(self.again(), ([0], 1))

    def test_killed(self) -> None:
        """Who is killed before that goes on with the same wants, and buys nothing twice."""
        self.bought()
        self.assertEqual(self.again(), ([1], 0))

    def test_labelled(self) -> None:
        """What is bought for something is bought for it for ever; for something else it is not."""
        self.bought(label="the feast")
        self.successResultOf(self.buyer.stop())
        self.assertEqual(self.again(label="the feast"), ([1], 0))
        self.successResultOf(self.buyer.stop())
        self.assertEqual([self.again(label="another"), self.again()], [([0], 1), ([0], 1)])

    def test_not_before_all_is_bought(self) -> None:
        """A run that found one thing and not the other ends with its wants open: the next one goes on."""
        self.begin(Want("apple", 1), Want("pear", 1), once_s=20.0)
        self.node.flooded.pop()
        self.buy(1, 7)
        self.node.clock.pump([1] * 20)
        self.assertEqual(self.successResultOf(self.buyer.finished), ExitStatus.NOT_FOUND)
        self.successResultOf(self.buyer.stop())
        self.begin(Want("apple", 1), Want("pear", 1), once_s=20.0)
        self.assertEqual([search.item for search in self.node.flooded], ["pear"])

    def test_without_once(self) -> None:
        """A buyer that stays has its wants for as long as it is told to want them."""
        self.begin()
        self.buy(1, 7)
        self.successResultOf(self.buyer.stop())
        self.assertEqual([row.is_open for row in self.store.book.wanted.values()], [True])

    def test_not_written(self) -> None:
        """When the book cannot be written at the end it says so, and what was bought will count again."""
        self.bought()
        self.store.is_failing = True
        with capturedLogs() as logged:
            self.successResultOf(self.buyer.stop())
        told = "the wants could not be closed in the book, so the next run counts them as bought: the disk is full"
        self.assertEqual([formatEvent(each) for each in logged], [told])
        self.store.is_failing = False
        self.assertEqual(self.again(), ([1], 0))


class OptionsTests(SynchronousTestCase):
    """What the command line may ask for."""

    def test_bad_options(self) -> None:
        """Each mistake has a line of its own."""
        for words, expected in (
            ([], "add --want apple"),
            (["--want", "apple=0"], "'0' is not a whole number from 1"),
            (["--want", "apple=2@5"], "--max-price"),
            (["--want", "apple", "--want", "apple=2"], "write --want apple=3"),
            (["--want", "apple", "--max-price", "cheap"], "'cheap' is not a whole number"),
            (["--want", "apple", "--once", "--timeout", "soon"], "not a number of seconds"),
            (["--want", "apple", "--timeout", "5"], "--timeout goes with --once"),
            (["--want", "apple", "--gather", "-1"], "not a number of seconds"),
            (["--want", "e\u0301"], "NFC"),
        ):
            with self.assertRaises(UsageError) as caught:
                make_role(typed(OPTIONS, *words), context_of())
            self.assertIn(expected, str(caught.exception))
