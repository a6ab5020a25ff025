"""Orders: the rules of both sides, so that an order sells at most once. Sans-IO.

The seller decides an order once. The buyer never takes silence for a no: an order that is not
answered becomes unknown, and only an answer ends it.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Final, Protocol

from attrs import define
from automat import TypeMachineBuilder

from twisted_bazaar.errors import SoldOut
from twisted_bazaar.identity.signed import Envelope
from twisted_bazaar.values.sale import Order, Outcome, StockLevel, Verdict

EXPIRED: Final = "expired"


def decide(
    order: Order, level: StockLevel | None, kept_back: int, now_ms: int, *, is_closed: bool, closed_until_ms: int
) -> Verdict:
    """Decide an order that the seller has not answered before.

    A no ends the quote that it is about: nothing more is sold on it. So a book that remembers one no for each
    quote, until the quote ends, can tell every other no without remembering it.

    @param level: the count of the item ordered; None if it was never supplied.
    @param kept_back: units that are not to be sold to this buyer now.
    @param now_ms: by the seller's clock.
    @param is_closed: whether there has been a no about the same quote.
    @param closed_until_ms: what was valid until then, or less, has been given up for good, even if the clock
        goes back.
    """
    is_over = order.valid_until_ms <= max(now_ms, closed_until_ms)
    if order.is_withdrawal:
        return Verdict(Outcome.CANCELLED, is_kept=not (is_over or is_closed))
    if is_over or is_closed:
        return Verdict(Outcome.REFUSED, EXPIRED, "the quote is over", is_kept=False)
    left = 0 if level is None else max(0, level.in_stock - kept_back)
    if left < order.quantity:
        return Verdict(Outcome.REFUSED, SoldOut.code, f"{left} left, {order.quantity} ordered")
    return Verdict(Outcome.SOLD)


class OrderState(Enum):
    """The state of an order, as its buyer knows it."""

    PENDING = "pending"
    UNKNOWN = "unknown"
    CONFIRMED = "confirmed"
    REFUSED = "refused"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether the seller has answered."""
        return self not in (OrderState.PENDING, OrderState.UNKNOWN)


@define
class OrderRecord:
    """A buyer's record of one order.

    @ivar id: 32 hexadecimal digits.
    @ivar want: the number of the want that it is for.
    @ivar seller: the seller's key.
    @ivar seller_node: the id of the seller's node, as it was last heard of.
    @ivar price: for one unit; None for goods without a price.
    @ivar statement: the signed purchase.
    @ivar ordered_at: by the buyer's clock, in seconds.
    @ivar state: where it stands; only its life changes this.
    @ivar withdrawal: the signed word that it is not to be; None while it is to be.
    @ivar answer: the seller's signed answer.
    @ivar code: why it was refused, for programs.
    @ivar reason: the same for people.
    """

    id: str
    want: int
    seller: str
    seller_node: int
    item: str
    quantity: int
    price: int | None
    statement: Envelope
    ordered_at: float
    state: OrderState = OrderState.PENDING
    withdrawal: Envelope | None = None
    answer: Envelope | None = None
    code: str = ""
    reason: str = ""


class OrderLife(Protocol):
    """The life of an order as its buyer sees it, as a state machine."""

    def mark_sold(self) -> None:
        """The seller said yes."""

    def mark_refused(self) -> None:
        """The seller said no."""

    def mark_cancelled(self) -> None:
        """The seller knows that it is not to be."""

    def mark_in_doubt(self) -> None:
        """No answer has come for longer than an answer takes."""


_builder = TypeMachineBuilder(OrderLife, OrderRecord)
_states: Final = {state: _builder.state(state.value) for state in OrderState}


def _enter(state: OrderState) -> Callable[[OrderLife, OrderRecord], None]:
    def enter(life: OrderLife, record: OrderRecord) -> None:
        record.state = state

    return enter


_ENDINGS: Final = {
    OrderLife.mark_sold: OrderState.CONFIRMED,
    OrderLife.mark_refused: OrderState.REFUSED,
    OrderLife.mark_cancelled: OrderState.CANCELLED,
}
for _open_state in (OrderState.PENDING, OrderState.UNKNOWN):
    for _input, _end in _ENDINGS.items():
        _states[_open_state].upon(_input).to(_states[_end])(_enter(_end))
    _states[_open_state].upon(OrderLife.mark_in_doubt).to(_states[OrderState.UNKNOWN])(_enter(OrderState.UNKNOWN))
# The first answer is final: whatever comes after it changes nothing.
for _end in _ENDINGS.values():
    for _input in (*_ENDINGS, OrderLife.mark_in_doubt):
        _states[_end].upon(_input).loop().returns(None)

order_life: Final = _builder.build()
"""Makes the life of an L{OrderRecord}, which begins pending."""


def end(life: OrderLife, outcome: Outcome) -> None:
    """End an order by the seller's answer."""
    mark = {Outcome.SOLD: life.mark_sold, Outcome.REFUSED: life.mark_refused, Outcome.CANCELLED: life.mark_cancelled}
    mark[outcome]()
