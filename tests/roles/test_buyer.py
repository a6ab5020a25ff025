"""Promises of the buyer: the best offer, never more than wanted, never a sale forgotten."""

from __future__ import annotations

from typing import Any

from attrs import define, field
from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.discovery.flood.messages import Reply, Search
from twisted_bazaar.errors import UsageError
from twisted_bazaar.node.control import Error
from twisted_bazaar.roles.buyer import BOUGHT, NOT_FOUND, SOLD_OUT, UNKNOWN, Buyer, Options, Want, make_role
from twisted_bazaar.testing import FakeNode, deliver
from twisted_bazaar.trade.messages import Buy, BuyOK


@define
class TellingNode(FakeNode):
    """A node that keeps which events stay out of the log."""

    quiet: list[tuple[str, dict[str, Any]]] = field(factory=list)

    def report(self, event: str, sentence: str | None, **details: Any) -> None:
        """Keep an event."""
        super().report(event, sentence, **details)
        if sentence is None:
            self.quiet.append((event, details))


class BuyerTestCase(SynchronousTestCase):
    """A buyer on a fake node, linked to node 7."""

    def begin(self, *wants: Want, **options: Any) -> Buyer:
        """Start a buyer."""
        self.node = TellingNode(id=1)
        self.buyer = Buyer(wants or [Want("apple", 1)], **options)
        self.buyer.start(self.node)
        self.buyer.peer_joined(self.node.link(7))
        return self.buyer

    def offer(self, *route: int, price: int | None = None, quantity: int = 1, item: str = "apple") -> None:
        """Let a reply to the newest search come."""
        reply = Reply(item=item, id=self.node.flooded[-1].id, price=price, quantity=quantity)
        deliver(self.buyer, reply, *route)

    def gathered(self) -> None:
        """Let the time for collecting offers pass."""
        self.node.clock.advance(0.31)

    def orders(self) -> list[tuple[Buy, tuple[int, ...]]]:
        """What it ordered since last asked."""
        sent, self.node.sent = self.node.sent, []
        return [(message, route) for message, route in sent if isinstance(message, Buy)]

    def confirm(self, order: Buy, *route: int) -> None:
        """Let a buyOK come."""
        deliver(self.buyer, BuyOK(item=order.item, id=order.id, quantity=order.quantity, price=order.price), *route)

    def refuse(self, order: Buy, *route: int, code: str = "soldout") -> None:
        """Let a refusal come."""
        deliver(self.buyer, Error(code=code, id=order.id, about="buy"), *route)

    def bag(self) -> list[tuple[int, int]]:
        """What it has bought: seller and quantity."""
        return [(offer.seller, quantity) for offer, quantity in self.buyer.bag.purchases]


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
        self.assertEqual(self.buyer.wants, [Want("apple", 1), Want("pear", 2)])

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
        self.assertEqual((order.price, route), (90, (1, 7, 9)))
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
        self.assertEqual(order.quantity, 3)
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
        self.ordered()
        self.node.clock.pump([1] * 5)
        self.assertEqual(len(self.node.flooded), 1)
        self.node.clock.pump([1] * 5)
        self.assertGreater(len(self.node.flooded), 1)
        self.orders()
        self.offer(1, 7, 8)
        self.gathered()
        self.assertEqual(self.orders(), [])

    def test_linked_directly(self) -> None:
        """When the seller is linked the order goes there at once; to anybody else it does not."""
        order = self.ordered()
        for id in (8, 9):
            self.buyer.peer_joined(self.node.link(id))
        self.assertEqual(self.orders(), [(order, (1, 9))])

    def test_sought_and_found(self) -> None:
        """After three tries the seller alone is searched for; when it answers the order goes there at once."""
        order = self.ordered()
        self.node.link(6)
        self.node.clock.pump([0.1] * 100)
        searches = [search for search in self.node.flooded if isinstance(search, Search)]
        self.assertEqual({(search.item, search.seller) for search in searches[1:]}, {("apple", 9)})
        self.orders()
        self.offer(1, 6, 8)
        self.offer(1, 6, 9)
        self.assertEqual(self.orders(), [(order, (1, 6, 9))])

    def test_never_sent(self) -> None:
        """An order that could not leave this node is none: the next offer is taken."""
        self.begin()
        self.offer(1, 5, 8, price=10)
        self.offer(1, 7, 9, price=20)
        self.gathered()
        [(order, route)] = self.orders()
        self.assertEqual((order.price, route), (20, (1, 7, 9)))

    def test_what_strangers_write(self) -> None:
        """The text of a refusal reaches the log without control characters."""
        order = self.ordered()
        deliver(self.buyer, Error(code="soldout", id=order.id, info="\x1b[2Jgone\r\n"), 1, 7, 9)
        [reason] = [details["reason"] for event, details in self.node.reports if event == "missed"]
        self.assertTrue(reason.isprintable())
        self.assertIn("gone", reason)

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
        self.assertEqual((self.successResultOf(self.buyer.finished), self.node.clock.getDelayedCalls()), (BOUGHT, []))

    def test_not_found(self) -> None:
        """3 when nobody had it in time."""
        self.begin(once_s=20.0)
        self.node.clock.pump([1] * 20)
        self.assertEqual(self.successResultOf(self.buyer.finished), NOT_FOUND)

    def test_sold_out(self) -> None:
        """4 when who had it had none left."""
        self.begin(once_s=20.0)
        self.offer(1, 7)
        self.gathered()
        [(order, route)] = self.orders()
        self.refuse(order, *route)
        self.node.clock.pump([1] * 20)
        self.assertEqual(self.successResultOf(self.buyer.finished), SOLD_OUT)

    def test_unknown(self) -> None:
        """5 when an order is without an answer: it may have been sold."""
        self.begin(once_s=20.0)
        self.offer(1, 7)
        self.gathered()
        self.node.clock.pump([1] * 20)
        self.assertEqual(self.successResultOf(self.buyer.finished), UNKNOWN)

    def test_never_without_once(self) -> None:
        """Without --once it stays, as a node like any other."""
        self.begin()
        self.offer(1, 7)
        self.gathered()
        [(order, route)] = self.orders()
        self.confirm(order, *route)
        self.assertNoResult(self.buyer.finished)


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
            options = Options()
            options.parseOptions(words)
            with self.assertRaises(UsageError) as caught:
                make_role(options)
            self.assertIn(expected, str(caught.exception))
