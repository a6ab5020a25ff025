"""The seller's book in memory."""

from __future__ import annotations

import sys
import tracemalloc

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from twisted_bazaar.interfaces import Answer, ILedger, Order, Refusal, Sale, StockLevel
from twisted_bazaar.trade.ledger import MemoryLedger, Supply

bounded = settings(max_examples=300, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])

prices = st.none() | st.integers(0, 4)
supplies = st.dictionaries(
    st.sampled_from(["apple", "pear"]), st.builds(Supply, quantity=st.integers(0, 12), price=prices), max_size=2
)
# Few buyers and few ids, so that an order often comes again, unchanged or as something else.
orders = st.builds(
    Order,
    buyer=st.integers(1, 3),
    id=st.integers(1, 4),
    item=st.sampled_from(["apple", "pear", "plum"]),
    quantity=st.integers(1, 5),
    price=prices,
)
histories = st.lists(st.tuples(orders, st.integers(0, 8)), max_size=40)


class MemoryLedgerTests(SynchronousTestCase):
    """Every answer is final, and the count is right at every moment."""

    def settle(self, ledger: MemoryLedger, order: Order, kept_back: int = 0) -> Answer:
        """The answer to an order."""
        return self.successResultOf(ledger.settle(order, kept_back)).answer

    def levels(self, ledger: MemoryLedger) -> dict[str, StockLevel]:
        """The count of every item."""
        return {level.item: level for level in self.successResultOf(ledger.levels())}

    def test_interface(self) -> None:
        """It is a ledger."""
        self.assertTrue(verifyObject(ILedger, MemoryLedger({})))

    def test_beginning(self) -> None:
        """At first everything supplied is in stock; what was never supplied has no count."""
        ledger = MemoryLedger({"apple": Supply(5), "pear": Supply(2, 120)})
        expected = {"apple": StockLevel("apple", 5, 5, 0, None), "pear": StockLevel("pear", 2, 2, 0, 120)}
        self.assertEqual(self.levels(ledger), expected)
        self.assertEqual({item: self.successResultOf(ledger.level(item)) for item in expected}, expected)
        self.assertIsNone(self.successResultOf(ledger.level("plum")))

    def test_sale(self) -> None:
        """A sale moves pieces from stock to sold, of that item alone."""
        ledger = MemoryLedger({"apple": Supply(5), "pear": Supply(2, 120)})
        order = Order(1, 1, "apple", 3, None)
        self.assertEqual(self.settle(ledger, order), Sale(order))
        self.assertEqual(
            self.levels(ledger),
            {"apple": StockLevel("apple", 5, 2, 3, None), "pear": StockLevel("pear", 2, 2, 0, 120)},
        )

    def test_again(self) -> None:
        """The same order again gets the same answer, and sells nothing more."""
        ledger = MemoryLedger({"apple": Supply(5)})
        order = Order(1, 1, "apple", 3, None)
        self.assertEqual([self.settle(ledger, order) for _ in range(4)], [Sale(order)] * 4)
        self.assertEqual(self.levels(ledger), {"apple": StockLevel("apple", 5, 2, 3, None)})

    def test_other_orders(self) -> None:
        """The same id from another buyer, and another id from the same, are other orders."""
        ledger = MemoryLedger({"apple": Supply(3)})
        all_orders = [Order(1, 1, "apple", 1, None), Order(2, 1, "apple", 1, None), Order(1, 2, "apple", 1, None)]
        self.assertEqual([self.settle(ledger, order) for order in all_orders], [Sale(order) for order in all_orders])
        self.assertEqual(self.levels(ledger), {"apple": StockLevel("apple", 3, 0, 3, None)})

    def test_refused_for_good(self) -> None:
        """An order that was refused stays refused, though it could be filled now."""
        ledger = MemoryLedger({"apple": Supply(5)})
        order = Order(1, 1, "apple", 3, None)
        refusal = self.settle(ledger, order, kept_back=4)
        self.assertEqual(refusal, Refusal(order, "soldout", "1 left of 'apple', 3 ordered"))
        self.assertEqual(self.settle(ledger, order, kept_back=0), refusal)
        self.assertEqual(self.levels(ledger), {"apple": StockLevel("apple", 5, 5, 0, None)})

    def test_name_of_an_order(self) -> None:
        """Buyer and id name an order for ever, whatever else a repeat says."""
        ledger = MemoryLedger({"apple": Supply(5), "pear": Supply(5, 10)})
        first = Order(1, 1, "apple", 1, None)
        answers = [
            self.settle(ledger, order) for order in (first, Order(1, 1, "pear", 5, 99), Order(1, 1, "apple", 4, 7))
        ]
        self.assertEqual(answers, [Sale(first)] * 3)
        self.assertEqual(self.levels(ledger)["pear"], StockLevel("pear", 5, 5, 0, 10))

    @bounded
    @given(supplies, histories)
    def test_any_history(self, supplies: dict[str, Supply], history: list[tuple[Order, int]]) -> None:
        """Supplied = in stock + sold after every order; stock is never below 0; the first answer is final.

        What is sold is what the sales say, and nobody is sold goods for less than their price.
        """
        ledger = MemoryLedger(supplies)
        answers: dict[tuple[int, int], Answer] = {}
        for order, kept_back in history:
            before = self.levels(ledger)
            answer = self.settle(ledger, order, kept_back)
            first = answers.setdefault((order.buyer, order.id), answer)
            self.assertEqual(answer, first)
            levels = self.levels(ledger)
            if isinstance(answer, Refusal):
                self.assertEqual(levels, before)
            sold = dict.fromkeys(supplies, 0)
            for each in answers.values():
                if isinstance(each, Sale):
                    sold[each.order.item] += each.order.quantity
            self.assertEqual(
                levels,
                {
                    item: StockLevel(item, supply.quantity, supply.quantity - sold[item], sold[item], supply.price)
                    for item, supply in supplies.items()
                },
            )
            self.assertTrue(all(level.in_stock >= 0 for level in levels.values()))
        for answer in answers.values():
            price = supplies[answer.order.item].price if isinstance(answer, Sale) else None
            self.assertTrue(price is None or (answer.order.price is not None and answer.order.price >= price))

    @bounded
    @given(st.integers(0, 10), st.lists(st.integers(1, 4), max_size=20))
    def test_stampede(self, quantity: int, wanted: list[int]) -> None:
        """When many want the last pieces, those that come first get them, and no piece goes twice."""
        ledger = MemoryLedger({"apple": Supply(quantity)})
        left = quantity
        for buyer, count in enumerate(wanted):
            answer = self.settle(ledger, Order(buyer, 1, "apple", count, None))
            self.assertEqual(isinstance(answer, Sale), count <= left)
            left -= count if count <= left else 0
        self.assertEqual(self.levels(ledger), {"apple": StockLevel("apple", quantity, left, quantity - left, None)})

    def test_refusals_are_bounded(self) -> None:
        """Who orders what is not there, again and again, cannot make the book grow without end."""
        ledger = MemoryLedger({"apple": Supply(1)})
        sale = self.settle(ledger, Order(1, 1, "apple", 1, None))
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        sizes_bytes = []
        for numbers in (range(20_000), range(20_000, 40_000)):
            for number in numbers:
                self.settle(ledger, Order(666, number, "apple", 1, None))
            sizes_bytes.append(tracemalloc.get_traced_memory()[0])
        self.assertLess(sizes_bytes[1], sizes_bytes[0] + 2_000_000)
        self.assertEqual(self.settle(ledger, Order(1, 1, "apple", 1, None)), sale)

    def test_many_made_up_buyers(self) -> None:
        """With a full book of refusals of made-up buyers, the next order takes few steps: it stalls nobody."""
        ledger = MemoryLedger({"apple": Supply(1)})
        for buyer in range(65_536):
            self.settle(ledger, Order(buyer, 1, "apple", 2, None))
        calls = 0

        def count(frame: object, event: str, argument: object) -> None:
            nonlocal calls
            calls += event in ("call", "c_call")

        sys.setprofile(count)
        try:
            self.settle(ledger, Order(99_999, 1, "apple", 2, None))
        finally:
            sys.setprofile(None)
        self.assertLess(calls, 1_000)
