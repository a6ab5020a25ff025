"""The rules of an order, on the seller's side and on the buyer's."""

from __future__ import annotations

from itertools import product

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.interfaces import Order, Refusal, Sale, StockLevel
from twisted_bazaar.trade.order import OrderRecord, OrderState, decide, order_life

bounded = settings(max_examples=200, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])

INPUTS = ("confirm", "refuse", "doubt")
# How a buyer gets into each state.
WAYS = {
    OrderState.PENDING: (),
    OrderState.UNKNOWN: ("doubt",),
    OrderState.CONFIRMED: ("confirm",),
    OrderState.REFUSED: ("refuse",),
}

prices = st.none() | st.integers(0, 20)


def level(in_stock: int, price: int | None = None, sold: int = 0) -> StockLevel:
    """So many apples."""
    return StockLevel("apple", in_stock + sold, in_stock, sold, price)


def order(quantity: int = 1, price: int | None = None) -> Order:
    """An order for apples."""
    return Order(7, 1, "apple", quantity, price)


class DecisionTests(SynchronousTestCase):
    """A seller sells what it has, at its price, and nothing else."""

    def test_sale(self) -> None:
        """What is there is sold, to the last piece."""
        self.assertEqual(decide(order(5), level(5), 0), Sale(order(5)))

    def test_all_or_nothing(self) -> None:
        """An order for more than there is gets nothing."""
        answer = decide(order(6), level(5), 0)
        self.assertEqual(answer, Refusal(order(6), "soldout", "5 left of 'apple', 6 ordered"))

    def test_never_supplied(self) -> None:
        """What was never there is sold out."""
        answer = decide(order(), None, 0)
        self.assertEqual(answer, Refusal(order(), "soldout", "0 left of 'apple', 1 ordered"))

    def test_kept_back(self) -> None:
        """What is held back for others is not sold to this buyer; the text never tells of a count below 0."""
        self.assertEqual(decide(order(2), level(5), 3), Sale(order(2)))
        self.assertEqual(decide(order(3), level(5), 3), Refusal(order(3), "soldout", "2 left of 'apple', 3 ordered"))
        self.assertEqual(decide(order(1), level(5), 9), Refusal(order(1), "soldout", "0 left of 'apple', 1 ordered"))

    def test_price(self) -> None:
        """Goods with a price go to whoever agreed to it or to more, and the refusal names it."""
        self.assertEqual(decide(order(1, 120), level(5, 120), 0), Sale(order(1, 120)))
        self.assertEqual(decide(order(1, 121), level(5, 120), 0), Sale(order(1, 121)))
        for offered in (None, 0, 119):
            refusal = Refusal(order(1, offered), "wtf", "the price of 'apple' is 120")
            self.assertEqual(decide(order(1, offered), level(5, 120), 0), refusal)

    def test_without_price(self) -> None:
        """Goods without a price go to anybody, and so do those that cost 0 to whoever agreed to a price."""
        self.assertEqual(
            [decide(order(1, price), level(5), 0) for price in (None, 0, 9)], [Sale(order(1, p)) for p in (None, 0, 9)]
        )
        self.assertEqual(decide(order(1, 0), level(5, 0), 0), Sale(order(1, 0)))

    @bounded
    @given(st.integers(1, 9), prices, st.none() | st.tuples(st.integers(0, 9), prices), st.integers(0, 12))
    @example(1, None, (0, None), 0)
    def test_rule(self, quantity: int, price: int | None, stock: tuple[int, int | None] | None, kept_back: int) -> None:
        """An order is sold exactly if enough is free and the price is met; the answer is about that order."""
        wanted = order(quantity, price)
        answer = decide(wanted, None if stock is None else level(*stock), kept_back)
        enough = stock is not None and stock[0] - kept_back >= quantity
        met = stock is None or stock[1] is None or (price is not None and price >= stock[1])
        self.assertEqual(isinstance(answer, Sale), enough and met)
        self.assertEqual(answer.order, wanted)
        if isinstance(answer, Refusal):
            self.assertEqual(answer.code, "wtf" if enough else "soldout")


class OrderLifeTests(SynchronousTestCase):
    """What a buyer may believe of its order."""

    def after(self, *inputs: str) -> OrderState:
        """Where an order stands after these things happened."""
        record = OrderRecord(order(), seller=3)
        life = order_life(record)
        for each in inputs:
            self.assertIsNone(getattr(life, each)())
        return record.state

    def test_begins_pending(self) -> None:
        """An order that was just sent is pending."""
        self.assertEqual(self.after(), OrderState.PENDING)

    def test_every_pair(self) -> None:
        """Every (state, input) pair leads where the rules say."""
        self.assertEqual(
            {state: self.after(*way) for state, way in WAYS.items()}, {state: state for state in OrderState}
        )
        pending, unknown, confirmed, refused = WAYS
        self.assertEqual(
            {(state, each): self.after(*WAYS[state], each) for state, each in product(WAYS, INPUTS)},
            {
                (pending, "confirm"): confirmed,
                (pending, "refuse"): refused,
                (pending, "doubt"): unknown,
                (unknown, "confirm"): confirmed,
                (unknown, "refuse"): refused,
                (unknown, "doubt"): unknown,
                (confirmed, "confirm"): confirmed,
                (confirmed, "refuse"): confirmed,
                (confirmed, "doubt"): confirmed,
                (refused, "confirm"): refused,
                (refused, "refuse"): refused,
                (refused, "doubt"): refused,
            },
        )

    @bounded
    @given(st.lists(st.sampled_from(INPUTS), max_size=12))
    def test_first_answer_is_final(self, inputs: list[str]) -> None:
        """The first answer counts, however much doubt came before it and whatever comes after it."""
        answers = [each for each in inputs if each != "doubt"]
        if answers:
            expected = {"confirm": OrderState.CONFIRMED, "refuse": OrderState.REFUSED}[answers[0]]
        else:
            expected = OrderState.UNKNOWN if inputs else OrderState.PENDING
        self.assertEqual(self.after(*inputs), expected)

    @bounded
    @given(st.integers(0, 50))
    def test_silence_is_no_answer(self, doubts: int) -> None:
        """No amount of silence makes an order confirmed or refused."""
        self.assertIn(self.after(*["doubt"] * doubts), (OrderState.PENDING, OrderState.UNKNOWN))

    def test_apart(self) -> None:
        """Two orders have two lives."""
        one, other = OrderRecord(order(), 3), OrderRecord(order(), 3)
        life, _ = order_life(one), order_life(other)
        life.confirm()
        self.assertEqual((one.state, other.state), (OrderState.CONFIRMED, OrderState.PENDING))
