"""The rules of an order, on the seller's side and on the buyer's."""

from __future__ import annotations

from itertools import product

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests import examples
from tests.trade.cases import VALID_UNTIL_MS, order, purchase, taken_back
from twisted_bazaar.errors import SoldOut
from twisted_bazaar.trade.order import EXPIRED, OrderRecord, OrderState, decide, end, order_life
from twisted_bazaar.values.sale import Order, Outcome, StockLevel, Verdict

bounded = examples(200)

SOLD, REFUSED, CANCELLED = Outcome.SOLD, Outcome.REFUSED, Outcome.CANCELLED
INPUTS = ("mark_sold", "mark_refused", "mark_cancelled", "mark_in_doubt")
# How a buyer gets into each state.
WAYS = {
    OrderState.PENDING: (),
    OrderState.UNKNOWN: ("mark_in_doubt",),
    OrderState.CONFIRMED: ("mark_sold",),
    OrderState.REFUSED: ("mark_refused",),
    OrderState.CANCELLED: ("mark_cancelled",),
}


def level(in_stock: int, price: int | None = None, sold: int = 0, withdrawn: int = 0) -> StockLevel:
    """So many apples."""
    return StockLevel("apple", in_stock + sold + withdrawn, in_stock, sold, withdrawn, price)


def judge(
    asked: Order,
    stock: StockLevel | None = None,
    kept_back: int = 0,
    now_ms: int = 0,
    is_closed: bool = False,
    closed_until_ms: int = 0,
) -> Verdict:
    """The verdict on an order."""
    return decide(asked, stock, kept_back, now_ms, is_closed=is_closed, closed_until_ms=closed_until_ms)


def sold_out(left: int, ordered: int) -> Verdict:
    """What is said to an order for more than there is."""
    return Verdict(REFUSED, SoldOut.code, f"{left} left, {ordered} ordered")


class DecisionTests(SynchronousTestCase):
    """A seller sells what it has, on quotes that hold, and nothing else."""

    def test_sale(self) -> None:
        """What is there is sold, to the last piece."""
        self.assertEqual(judge(order(quantity=5), level(5)), Verdict(SOLD))

    def test_all_or_nothing(self) -> None:
        """An order for more than there is gets nothing."""
        self.assertEqual(judge(order(quantity=6), level(5)), sold_out(5, 6))

    def test_never_supplied(self) -> None:
        """What was never there is sold out."""
        self.assertEqual(judge(order()), sold_out(0, 1))

    def test_kept_back(self) -> None:
        """What is held back for others is not sold to this buyer; the text never tells of a count below 0."""
        self.assertEqual(judge(order(quantity=2), level(5), 3), Verdict(SOLD))
        self.assertEqual(judge(order(quantity=3), level(5), 3), sold_out(2, 3))
        self.assertEqual(judge(order(quantity=1), level(5), 9), sold_out(0, 1))

    def test_price(self) -> None:
        """The price is the quote's, whatever is asked for the goods by now."""
        for quoted, now in product((None, 0, 119, 121), (None, 0, 120)):
            self.assertEqual(judge(order(price=quoted), level(5, now)), Verdict(SOLD))

    def test_time(self) -> None:
        """A quote is good until its instant, and not at it; a clock that goes back makes no difference."""
        last_ms = VALID_UNTIL_MS - 1
        over = Verdict(REFUSED, EXPIRED, "the quote is over", is_kept=False)
        self.assertEqual(judge(order(), level(5), now_ms=last_ms), Verdict(SOLD))
        self.assertEqual(judge(order(), level(5), now_ms=VALID_UNTIL_MS), over)
        self.assertEqual(judge(order(), level(5), closed_until_ms=last_ms), Verdict(SOLD))
        self.assertEqual(judge(order(), level(5), closed_until_ms=VALID_UNTIL_MS), over)

    def test_every_combination(self) -> None:
        """A withdrawal or not, in time or not, about a quote given up or not, of goods that are there or not.

        A no is kept exactly if the same order might be sold later otherwise.
        """
        verdicts = {}
        for withdraws, is_over, is_closed, is_there in product((False, True), repeat=4):
            asked = taken_back() if withdraws else order()
            now_ms = VALID_UNTIL_MS if is_over else 0
            verdict = judge(asked, level(1 if is_there else 0), now_ms=now_ms, is_closed=is_closed)
            verdicts[withdraws, is_over, is_closed, is_there] = verdict.outcome, verdict.code, verdict.is_kept
        expected = {}
        for is_over, is_closed, is_there in product((False, True), repeat=3):
            is_dead = is_over or is_closed
            expected[True, is_over, is_closed, is_there] = (CANCELLED, "", not is_dead)
            living = (SOLD, "", True) if is_there else (REFUSED, SoldOut.code, True)
            expected[False, is_over, is_closed, is_there] = (REFUSED, EXPIRED, False) if is_dead else living
        self.assertEqual(verdicts, expected)

    @bounded
    @given(
        st.booleans(),
        st.integers(1, 9),
        st.none() | st.integers(0, 9),
        st.integers(0, 12),
        st.integers(0, 2 * VALID_UNTIL_MS),
        st.integers(0, 2 * VALID_UNTIL_MS),
        st.booleans(),
    )
    @example(False, 1, 0, 0, 0, 0, False)
    def test_rule(
        self,
        withdraws: bool,
        quantity: int,
        stock: int | None,
        kept_back: int,
        now_ms: int,
        closed_until_ms: int,
        is_closed: bool,
    ) -> None:
        """An order is sold exactly if it is one, its quote holds and enough is free."""
        asked = taken_back() if withdraws else order(quantity=quantity)
        count = None if stock is None else level(stock)
        verdict = judge(asked, count, kept_back, now_ms, is_closed, closed_until_ms)
        holds = max(now_ms, closed_until_ms) < VALID_UNTIL_MS and not is_closed
        enough = stock is not None and stock - kept_back >= quantity
        self.assertEqual(verdict.outcome is SOLD, holds and enough and not withdraws)
        self.assertEqual(verdict.outcome is CANCELLED, withdraws)

    @bounded
    @given(st.booleans(), st.booleans(), st.lists(st.tuples(st.integers(0, 250_000), st.integers(0, 9)), max_size=6))
    def test_unkept(self, withdraws: bool, is_over: bool, later: list[tuple[int, int]]) -> None:
        """What a book need not remember is said again at any later time, in the same words, whatever there is then."""
        asked = taken_back() if withdraws else order()
        first = judge(asked, level(1), now_ms=VALID_UNTIL_MS if is_over else 0, is_closed=not is_over)
        self.assertFalse(first.is_kept)
        # What was over stays over: the book gives it up.
        for at_ms, stock in later:
            until_ms = VALID_UNTIL_MS if is_over else 0
            self.assertEqual(judge(asked, level(stock), 0, at_ms, not is_over, until_ms), first)


class OrderLifeTests(SynchronousTestCase):
    """What a buyer may believe of its order."""

    def record(self) -> OrderRecord:
        """An order that was just made."""
        return OrderRecord(
            id="0" * 32, want=1, seller="", seller_node=3, item="apple", quantity=1, price=None, statement=purchase(),
            ordered_at=0.0,
        )  # fmt: skip

    def after(self, *inputs: str) -> OrderState:
        """Where an order stands after these things happened."""
        record = self.record()
        life = order_life(record)
        for each in inputs:
            self.assertIsNone(getattr(life, each)())
        return record.state

    def test_begins_pending(self) -> None:
        """An order that was just made is pending."""
        self.assertEqual(self.after(), OrderState.PENDING)

    def test_every_pair(self) -> None:
        """Every (state, input) pair leads where the rules say."""
        self.assertEqual(
            {state: self.after(*way) for state, way in WAYS.items()}, {state: state for state in OrderState}
        )
        pending, unknown, confirmed, refused, cancelled = WAYS
        ends = {"mark_sold": confirmed, "mark_refused": refused, "mark_cancelled": cancelled}
        expected = {(state, each): ends.get(each, unknown) for state in (pending, unknown) for each in INPUTS}
        expected |= {(state, each): state for state in (confirmed, refused, cancelled) for each in INPUTS}
        self.assertEqual(
            {(state, each): self.after(*WAYS[state], each) for state, each in product(WAYS, INPUTS)}, expected
        )

    def test_final(self) -> None:
        """An order is at its end exactly if the seller has answered."""
        final = {OrderState.CONFIRMED, OrderState.REFUSED, OrderState.CANCELLED}
        self.assertEqual({state for state in OrderState if state.is_final}, final)

    def test_outcomes(self) -> None:
        """Each answer of a seller ends an order in a way of its own."""
        ended = {}
        for outcome in Outcome:
            record = self.record()
            end(order_life(record), outcome)
            ended[outcome] = record.state
        states = {SOLD: OrderState.CONFIRMED, REFUSED: OrderState.REFUSED, CANCELLED: OrderState.CANCELLED}
        self.assertEqual(ended, states)

    @bounded
    @given(st.lists(st.sampled_from(INPUTS), max_size=12))
    def test_first_answer_is_final(self, inputs: list[str]) -> None:
        """The first answer counts, however much doubt came before it and whatever comes after it."""
        answers = [each for each in inputs if each != "mark_in_doubt"]
        if answers:
            expected = {way[0]: state for state, way in WAYS.items() if way}[answers[0]]
        else:
            expected = OrderState.UNKNOWN if inputs else OrderState.PENDING
        self.assertEqual(self.after(*inputs), expected)

    @bounded
    @given(st.integers(0, 50))
    def test_silence_is_no_answer(self, doubts: int) -> None:
        """No amount of silence ends an order."""
        self.assertFalse(self.after(*["mark_in_doubt"] * doubts).is_final)

    def test_apart(self) -> None:
        """Two orders have two lives."""
        one, other = self.record(), self.record()
        life, _ = order_life(one), order_life(other)
        life.mark_sold()
        self.assertEqual((one.state, other.state), (OrderState.CONFIRMED, OrderState.PENDING))
