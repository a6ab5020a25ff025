"""The messages of a sale. From the market's design paper; quantities and prices are added."""

from __future__ import annotations

from twisted_bazaar.wire.message import Count, ItemName, MessageId, Price, Routed, check_item_name


class _AboutGoods(Routed, kw_only=True):
    """A routed message that names an item."""

    item: ItemName
    id: MessageId
    quantity: Count = 1
    price: Price | None = None

    def __post_init__(self) -> None:
        Routed.__post_init__(self)
        check_item_name(self.item)


class Buy(_AboutGoods, tag="buy", kw_only=True):
    """A buyer orders; the same id again is the same order.

    @ivar id: chosen at random by the buyer.
    @ivar price: for one piece in minor units, what the seller asked; None for goods without a price.
    """


class BuyOK(_AboutGoods, tag="buyOK", kw_only=True):
    """The seller's answer: the goods of the order with this id are the buyer's."""
