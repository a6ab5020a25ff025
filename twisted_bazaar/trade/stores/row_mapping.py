"""Books as rows of a database: what a deal, a count or an order is there, and back.

Keys and ids are kept as bytes, half as long as their digits. A statement is kept as the bytes of its envelope,
so that what was signed comes out as it went in.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from twisted_bazaar.errors import Forged, StorageError
from twisted_bazaar.identity.signed import Envelope, read_envelope
from twisted_bazaar.trade.order import OrderRecord, OrderState
from twisted_bazaar.trade.stores.store import WantRow
from twisted_bazaar.values.sale import Deal, Order, Outcome, StockLevel

Row = Sequence[Any]

LEVEL_COLUMNS: Final = "item, supplied, in_stock, sold, withdrawn, price"
DEAL_COLUMNS: Final = (
    "buyer, id, seller, quote, valid_until_ms, item, quantity, price, is_withdrawal, "
    "outcome, code, reason, statement, answer, decided_at_ms"
)
WANT_COLUMNS: Final = "number, item, quantity, is_open, label"
ORDER_COLUMNS: Final = (
    "id, want, seller, seller_node, item, quantity, price, statement, ordered_at, "
    "state, withdrawal, answer, code, reason"
)

_ID_DIGITS: Final = 32
_OUTCOMES: Final = {outcome.value: outcome for outcome in Outcome}
_STATES: Final = {state.value: state for state in OrderState}


def level_row(level: StockLevel) -> Row:
    """A count, as C{LEVEL_COLUMNS}."""
    return level.item, level.supplied, level.in_stock, level.sold, level.withdrawn, level.price


def deal_row(deal: Deal) -> Row:
    """A deal, as C{DEAL_COLUMNS}."""
    order = deal.order
    return (
        bytes.fromhex(order.buyer),
        bytes.fromhex(order.id),
        bytes.fromhex(order.seller),
        bytes.fromhex(order.quote),
        order.valid_until_ms,
        order.item,
        order.quantity,
        order.price,
        order.is_withdrawal,
        deal.outcome.value,
        deal.code,
        deal.reason,
        order.statement.encode(),
        deal.answer.encode(),
        deal.decided_at_ms,
    )


def deal_of(row: Row) -> Deal:
    """The deal that C{DEAL_COLUMNS} are."""
    (buyer, order_id, seller, quote, valid_until_ms, item, quantity, price, is_withdrawal) = row[:9]
    (outcome, code, reason, statement, answer, decided_at_ms) = row[9:]
    order = Order(
        buyer=buyer.hex(),
        id=order_id.hex(),
        seller=seller.hex(),
        quote=quote.hex(),
        valid_until_ms=valid_until_ms,
        item=item,
        quantity=quantity,
        price=price,
        is_withdrawal=bool(is_withdrawal),
        statement=_kept(statement),
    )
    return Deal(order, _OUTCOMES[outcome], code, reason, _kept(answer), decided_at_ms)


def want_row(want: WantRow) -> Row:
    """A want, as C{WANT_COLUMNS}."""
    return want.number, want.item, want.quantity, want.is_open, want.label


def want_of(row: Row) -> WantRow:
    """The want that C{WANT_COLUMNS} are."""
    number, item, quantity, is_open, label = row
    return WantRow(number, item, quantity, bool(is_open), label)


def order_row(record: OrderRecord) -> Row:
    """A buyer's order, as C{ORDER_COLUMNS}."""
    return (
        bytes.fromhex(record.id),
        record.want,
        bytes.fromhex(record.seller),
        record.seller_node,
        record.item,
        record.quantity,
        record.price,
        record.statement.encode(),
        record.ordered_at,
        record.state.value,
        None if record.withdrawal is None else record.withdrawal.encode(),
        None if record.answer is None else record.answer.encode(),
        record.code,
        record.reason,
    )


def order_of(row: Row) -> OrderRecord:
    """The order that C{ORDER_COLUMNS} are."""
    (order_id, want, seller, seller_node, item, quantity, price, statement, ordered_at) = row[:9]
    (state, withdrawal, answer, code, reason) = row[9:]
    return OrderRecord(
        id=order_id.hex(),
        want=want,
        seller=seller.hex(),
        seller_node=seller_node,
        item=item,
        quantity=quantity,
        price=price,
        statement=_kept(statement),
        ordered_at=ordered_at,
        state=_STATES[state],
        withdrawal=None if withdrawal is None else _kept(withdrawal),
        answer=None if answer is None else _kept(answer),
        code=code,
        reason=reason,
    )


def id_range(prefix: str) -> tuple[bytes, bytes] | None:
    """The least and the greatest id that begin in a certain way; None if no id does."""
    if not re.fullmatch(f"[0-9a-f]{{0,{_ID_DIGITS}}}", prefix):
        return None
    return bytes.fromhex(prefix.ljust(_ID_DIGITS, "0")), bytes.fromhex(prefix.ljust(_ID_DIGITS, "f"))


def _kept(text: bytes) -> Envelope:
    """An envelope out of a book.

    @raise StorageError: the book is damaged. A peer has no part in it, so it is not called forged.
    """
    try:
        return read_envelope(text)
    except Forged as error:
        raise StorageError(f"the book is damaged: {error}") from error
