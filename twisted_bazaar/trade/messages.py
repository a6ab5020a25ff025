"""The messages of a sale. From the market's design paper; what is said in them is signed."""

from __future__ import annotations

from twisted_bazaar.identity.signed import Envelope
from twisted_bazaar.wire.message import MessageId, Routed


class Buy(Routed, tag="buy", kw_only=True):
    """A buyer orders; the same order again is the same order.

    @ivar id: by which errors on the way name it: the first 13 digits of the order's id.
    @ivar order: the signed purchase.
    """

    id: MessageId
    order: Envelope


class Cancel(Routed, tag="cancel", kw_only=True):
    """A buyer takes an order back.

    @ivar id: as in the C{buy}.
    @ivar order: the signed withdrawal.
    """

    id: MessageId
    order: Envelope


class Answered(Routed, kw_only=True):
    """A seller's final answer to an order.

    @ivar id: as in the C{buy} or the C{cancel}.
    @ivar answer: the signed answer, which says how the order has ended.
    """

    id: MessageId
    answer: Envelope


class BuyOK(Answered, tag="buyOK"):
    """The goods of the order are the buyer's."""


class BuyNo(Answered, tag="buyNO"):
    """The goods of the order are not the buyer's and never will be: it was refused, or taken back."""


def handle_of(order_id: str) -> int:
    """The number by which errors and answers on their way name an order.

    @param order_id: 32 hexadecimal digits.
    """
    return int(order_id[:13], 16)
