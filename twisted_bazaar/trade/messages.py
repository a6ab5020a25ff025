"""The messages of a sale. From the market's design paper; quantities and prices are added."""

from __future__ import annotations

from twisted_bazaar.wire.goods import AboutGoods


class Buy(AboutGoods, tag="buy"):
    """A buyer orders; the same id again is the same order.

    @ivar id: chosen at random by the buyer.
    @ivar price: what the seller asked for one piece.
    """


class BuyOK(AboutGoods, tag="buyOK"):
    """The seller's answer: the goods of the order with this id are the buyer's."""
