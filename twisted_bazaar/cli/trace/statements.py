"""The signed statements in the messages of a trace, in words. They are not verified: a trace tells what was said."""

from __future__ import annotations

from typing import Final

import msgspec
from attrs import frozen

from twisted_bazaar.errors import UNREADABLE
from twisted_bazaar.trade.contract import Answer, Presence, Purchase, Quote, Withdrawal


class Sealed(msgspec.Struct, frozen=True, gc=False):
    """A signed statement in a message.

    @ivar payload: the statement, in JSON.
    """

    payload: bytes = b""


@frozen
class Said:
    """The content of a signed statement.

    @ivar order_id: the order that it is about; empty for an offer.
    @ivar quantity: how many units; None where it does not say so.
    @ivar price: for one unit; None for goods without a price.
    @ivar seller: the public key of the seller.
    @ivar outcome: how the order ends, if it is an answer.
    @ivar reason: why it was refused.
    @ivar is_presence: whether it says no more than that the seller is there.
    """

    order_id: str
    item: str
    quantity: int | None
    price: int | None
    seller: str
    outcome: str = ""
    reason: str = ""
    is_presence: bool = False

    @property
    def goods(self) -> str:
        """What it is about, in words."""
        return goods_in_words(self.item, self.quantity, self.price)


def goods_in_words(item: str, quantity: int | None, price: int | None) -> str:
    """How many of what, at which price, as far as it is known."""
    return f"{'' if quantity is None else f'{quantity} '}{item}{'' if price is None else f' at {price}'}"


def read_sealed(kind: str, sealed: Sealed) -> Said | None:
    """What a statement says; None if it cannot be read.

    @param kind: the wire name of the message that it came in.
    """
    payload = sealed.payload
    try:
        match kind:
            case "buy":
                purchase = _decode_purchase(payload)
                quote = _decode_quote(purchase.quote.payload)
                return Said(purchase.id, purchase.item, purchase.quantity, quote.price, quote.seller)
            case "cancel":
                withdrawal = _decode_withdrawal(payload)
                quote = _decode_quote(withdrawal.quote.payload)
                return Said(withdrawal.id, quote.item, None, quote.price, quote.seller)
            case "reply":
                return _read_reply(payload)
            case "buyOK" | "buyNO":
                answer = _decode_answer(payload)
                goods = (answer.item, answer.quantity or None, answer.price)
                return Said(answer.order, *goods, answer.seller, answer.outcome.value, answer.reason or answer.code)
    except UNREADABLE:
        pass
    return None


def _read_reply(payload: bytes) -> Said:
    """What a reply to a search says: an offer, or that who was looked for is there.

    @raise ValueError: it is neither.
    """
    try:
        quote = _decode_quote(payload)
        return Said("", quote.item, quote.quantity, quote.price, quote.seller)
    except msgspec.ValidationError:
        presence = _decode_presence(payload)
        return Said("", "", None, None, presence.seller, is_presence=True)


_decode_purchase: Final = msgspec.json.Decoder(Purchase).decode
_decode_withdrawal: Final = msgspec.json.Decoder(Withdrawal).decode
_decode_answer: Final = msgspec.json.Decoder(Answer).decode
_decode_presence: Final = msgspec.json.Decoder(Presence).decode
_decode_quote: Final = msgspec.json.Decoder(Quote).decode
