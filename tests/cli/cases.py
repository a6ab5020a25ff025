"""A sale as tests of the command line need it: keys, statements, receipts, rows."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from twisted_bazaar.identity.keys import KeyPair
from twisted_bazaar.identity.signed import Envelope, seal
from twisted_bazaar.trade.contract import (
    Quote,
    Receipt,
    make_answer,
    make_purchase,
    make_withdrawal,
    read_purchase,
    read_withdrawal,
)
from twisted_bazaar.trade.listing import row_of_sale
from twisted_bazaar.trade.messages import handle_of
from twisted_bazaar.values.sale import Deal, Outcome, Verdict

BUYER: Final = KeyPair.from_seed(b"b" * 32)
SELLER: Final = KeyPair.from_seed(b"s" * 32)
ORDER_ID: Final = "6" + "a" * 31
HANDLE: Final = handle_of(ORDER_ID)
# The first of them stands on the wire too, as a number.
SHORT_ID: Final = ORDER_ID[:13]
SOLD: Final = Verdict(Outcome.SOLD)
DECIDED_AT_MS: Final = 1_790_000_000_000


def quote_for(item: str = "apple", quantity: int = 2, price: int | None = 40) -> Quote:
    """What the seller offers."""
    return Quote("bazaar", SELLER.public, "0" * 32, item, quantity, 1_800_000_000_000, price)


def order_for(terms: Quote, quantity: int = 2, order_id: str = ORDER_ID) -> Envelope:
    """What the buyer orders."""
    return make_purchase(BUYER, order_id, seal(SELLER, terms), terms, quantity)


def withdrawal_of(terms: Quote, order_id: str = ORDER_ID) -> Envelope:
    """What the buyer signs to take the order back."""
    return make_withdrawal(BUYER, order_id, seal(SELLER, terms), terms.bazaar)


def deal_for(terms: Quote, statement: Envelope, verdict: Verdict = SOLD) -> Deal:
    """What the seller's book says of an order."""
    is_withdrawal = verdict.outcome is Outcome.CANCELLED
    order = (read_withdrawal if is_withdrawal else read_purchase)(statement, lambda envelope: terms)
    answer = make_answer(SELLER, terms.bazaar, order, verdict)
    return Deal(order, verdict.outcome, verdict.code, verdict.reason, answer, DECIDED_AT_MS)


def sale(terms: Quote | None = None, quantity: int = 2, verdict: Verdict = SOLD, order_id: str = ORDER_ID) -> Deal:
    """A deal about so many pieces."""
    terms = terms or quote_for()
    is_withdrawal = verdict.outcome is Outcome.CANCELLED
    statement = withdrawal_of(terms, order_id) if is_withdrawal else order_for(terms, quantity, order_id)
    return deal_for(terms, statement, verdict)


def receipt_of(deal: Deal) -> dict[str, Any]:
    """The receipt of a deal, as it stands in JSON."""
    stated: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(Receipt(deal.order.statement, deal.answer)))
    return stated


def row_of(deal: Deal) -> dict[str, Any]:
    """A deal as the seller's node tells it, with its receipt."""
    row: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(row_of_sale(deal, with_receipt=True)))
    return row
