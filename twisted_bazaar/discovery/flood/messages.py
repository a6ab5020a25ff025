"""The messages of a flooded search. From the market's design paper; quantities and prices are added."""

from __future__ import annotations

from twisted_bazaar.identity.keys import PublicKey
from twisted_bazaar.identity.signed import Envelope
from twisted_bazaar.wire.goods import BAZAAR, AboutGoods, Bazaar, Count, ItemName, check_item_name
from twisted_bazaar.wire.message import RETURN_PATH_LOOP, Flooded, check_host


class Search(Flooded, tag="search", kw_only=True):
    """Who has an item?

    @ivar quantity: how many are wanted.
    @ivar seller: a public key; if given, only the node with this key answers, and even if it has none left.
    @ivar bazaar: the bazaar whose sellers are to answer.
    """

    item: ItemName
    quantity: Count = 1
    seller: PublicKey | None = None
    bazaar: Bazaar = BAZAAR

    def __post_init__(self) -> None:
        # The base's checks once more: searches are most of the traffic, and a call costs as much as they do.
        if len(self.return_path) > 1 and len(set(self.return_path)) != len(self.return_path):
            raise ValueError(RETURN_PATH_LOOP)
        if self.host is not None:
            check_host(self.host)
        check_item_name(self.item)


class Reply(AboutGoods, tag="reply", kw_only=True):
    """The sender has it.

    @ivar id: of the search it answers.
    @ivar quantity: how many the sender would sell.
    @ivar price: what it asks for one piece.
    @ivar quote: the same, signed by the seller; in the answer to a search with C{seller}, its signed word that it
        is there.
    """

    quote: Envelope | None = None
