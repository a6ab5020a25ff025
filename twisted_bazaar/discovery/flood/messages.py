"""The messages of a flooded search. From the market's design paper; quantities and prices are added."""

from __future__ import annotations

from twisted_bazaar.identity.keys import PublicKey
from twisted_bazaar.identity.signed import Envelope
from twisted_bazaar.wire.goods import BAZAAR, AboutGoods, Bazaar, Count, ItemName, check_item_name, is_plain_name
from twisted_bazaar.wire.message import RETURN_PATH_LOOP, Flooded, check_host, is_address


class Search(Flooded, tag="search", kw_only=True):
    """A flooded search for who has an item.

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
        passed, host = self.return_path, self.host
        if len(passed) > 1 and len(set(passed)) != len(passed):
            raise ValueError(RETURN_PATH_LOOP)
        if host is not None and not is_address(host):
            check_host(host)
        if not is_plain_name(self.item):
            check_item_name(self.item)


class Reply(AboutGoods, tag="reply", kw_only=True):
    """The sender has it.

    @ivar id: of the search it answers.
    @ivar quantity: how many the sender would sell.
    @ivar price: what it asks for one unit.
    @ivar quote: the same, signed by the seller; in the answer to a search with C{seller}, its signed word that it
        is there.
    """

    quote: Envelope | None = None
