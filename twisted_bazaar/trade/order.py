"""The rules of an order, on both sides. Sans-IO.

The seller decides an order once. The buyer never takes silence for a no: an order that is not
answered becomes unknown, and only an answer ends it.
"""

from __future__ import annotations

from enum import Enum
from typing import Protocol

from attrs import define, field
from automat import TypeMachineBuilder

from twisted_bazaar.errors import PeerError, SoldOut
from twisted_bazaar.interfaces import Answer, Order, Refusal, Sale, StockLevel


def decide(order: Order, level: StockLevel | None, kept_back: int) -> Answer:
    """What a seller says to an order that it has not answered before.

    @param level: the count of the item ordered; None if it was never supplied.
    @param kept_back: pieces that are not to be sold to this buyer now.
    """
    if level is None or level.in_stock - kept_back < order.quantity:
        left = 0 if level is None else max(0, level.in_stock - kept_back)
        return Refusal(order, SoldOut.code, f"{left} left of {order.item!r}, {order.quantity} ordered")
    if level.price is not None and (order.price is None or order.price < level.price):
        return Refusal(order, PeerError.code, f"the price of {order.item!r} is {level.price}")
    return Sale(order)


class OrderState(Enum):
    """What a buyer knows of its order."""

    PENDING = "pending"
    UNKNOWN = "unknown"
    CONFIRMED = "confirmed"
    REFUSED = "refused"


class OrderLife(Protocol):
    """What can happen to an order, as its buyer sees it."""

    def confirm(self) -> None:
        """The seller said yes."""

    def refuse(self) -> None:
        """The seller said no."""

    def doubt(self) -> None:
        """No answer has come for longer than an answer takes."""


@define
class OrderRecord:
    """What the buyer keeps of one order.

    @ivar state: where it stands; only its life changes this.
    @ivar refusal: why the seller refused: the wire code, and the same for people.
    """

    order: Order
    seller: int
    state: OrderState = field(default=OrderState.PENDING)
    refusal: tuple[str, str] | None = None


_builder = TypeMachineBuilder(OrderLife, OrderRecord)
_pending = _builder.state("pending")
_unknown = _builder.state("unknown")
_confirmed = _builder.state("confirmed")
_refused = _builder.state("refused")


def _confirm(life: OrderLife, record: OrderRecord) -> None:
    record.state = OrderState.CONFIRMED


def _refuse(life: OrderLife, record: OrderRecord) -> None:
    record.state = OrderState.REFUSED


def _doubt(life: OrderLife, record: OrderRecord) -> None:
    record.state = OrderState.UNKNOWN


for _state in (_pending, _unknown):
    _state.upon(OrderLife.confirm).to(_confirmed)(_confirm)
    _state.upon(OrderLife.refuse).to(_refused)(_refuse)
_pending.upon(OrderLife.doubt).to(_unknown)(_doubt)
_unknown.upon(OrderLife.doubt).loop().returns(None)
# The first answer is final: whatever comes after it changes nothing.
for _state in (_confirmed, _refused):
    for _input in (OrderLife.confirm, OrderLife.refuse, OrderLife.doubt):
        _state.upon(_input).loop().returns(None)

order_life = _builder.build()
"""Makes the life of an L{OrderRecord}."""
