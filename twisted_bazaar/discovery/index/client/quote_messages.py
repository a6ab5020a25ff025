"""Inquiries for a quote: the messages between a buyer and a seller that an index has named. Sans-IO.

They go over a direct link, and no farther.
"""

from __future__ import annotations

from twisted_bazaar.identity.keys import PublicKey
from twisted_bazaar.identity.signed import Envelope
from twisted_bazaar.wire.goods import BAZAAR, Bazaar, Count, ItemName, Price, check_item_name
from twisted_bazaar.wire.message import Message, MessageId


class Inquiry(Message, tag="inquiry", kw_only=True):
    """Asks a seller for a quote.

    @ivar id: the answer carries it too.
    @ivar quantity: how many are wanted.
    @ivar seller: a public key; if given, the node with this key is to say that it is there, and nothing else.
    @ivar bazaar: the bazaar to which the goods are to belong.
    """

    id: MessageId
    item: ItemName
    quantity: Count = 1
    seller: PublicKey | None = None
    bazaar: Bazaar = BAZAAR

    def __post_init__(self) -> None:
        check_item_name(self.item)


class Quotation(Message, tag="quotation", kw_only=True):
    """An answer to an inquiry; each gets one.

    @ivar id: of the inquiry.
    @ivar quantity: how many the sender would sell.
    @ivar price: what it asks for one unit; None for goods without a price.
    @ivar quote: the same, signed by the seller; in the answer to an inquiry with C{seller}, its signed word that it
        is there. Without it the sender has nothing to offer now.
    """

    id: MessageId
    item: ItemName
    quantity: Count = 1
    price: Price | None = None
    quote: Envelope | None = None

    def __post_init__(self) -> None:
        check_item_name(self.item)
