"""The messages of a flooded search. From the market's design paper; quantities and prices are added."""

from __future__ import annotations

from twisted_bazaar.wire.message import Count, Flooded, ItemName, MessageId, Price, Routed, check_item_name


class Search(Flooded, tag="search", kw_only=True):
    """Who has an item?

    @ivar quantity: how many are wanted.
    """

    item: ItemName
    quantity: Count = 1

    def __post_init__(self) -> None:
        Flooded.__post_init__(self)
        check_item_name(self.item)


class Reply(Routed, tag="reply", kw_only=True):
    """The sender has it.

    @ivar id: of the search it answers.
    @ivar quantity: how many the sender would sell.
    @ivar price: for one piece in minor units; None when none is asked.
    """

    item: ItemName
    id: MessageId
    quantity: Count = 1
    price: Price | None = None

    def __post_init__(self) -> None:
        Routed.__post_init__(self)
        check_item_name(self.item)
