"""Orders and stock as lists show them: values that JSON can hold. Sans-IO."""

from __future__ import annotations

from typing import Any

import msgspec

from twisted_bazaar.trade.contract import Receipt
from twisted_bazaar.trade.order import OrderRecord
from twisted_bazaar.values.sale import Deal, StockLevel


def row_of_sale(deal: Deal, *, with_receipt: bool = False) -> dict[str, Any]:
    """An order as its seller knows it."""
    order = deal.order
    row = {
        "id": order.id,
        "side": "sale",
        "state": deal.outcome.value,
        "item": order.item,
        "quantity": order.quantity,
        "price": order.price,
        "other": order.buyer,
        "code": deal.code,
        "reason": deal.reason,
        "ordered_at": deal.decided_at_ms / 1000,
    }
    if with_receipt:
        row["receipt"] = msgspec.to_builtins(Receipt(order.statement, deal.answer))
    return row


def row_of_purchase(record: OrderRecord, *, with_receipt: bool = False) -> dict[str, Any]:
    """An order as its buyer knows it; the receipt is null while the seller has not answered."""
    row = {
        "id": record.id,
        "side": "purchase",
        "state": record.state.value,
        "item": record.item,
        "quantity": record.quantity,
        "price": record.price,
        "other": record.seller,
        "code": record.code,
        "reason": record.reason,
        "ordered_at": record.ordered_at,
        "is_taken_back": record.withdrawal is not None,
    }
    if with_receipt:
        receipt = _receipt_of(record)
        row["receipt"] = None if receipt is None else msgspec.to_builtins(receipt)
    return row


def row_of_stock(level: StockLevel) -> dict[str, Any]:
    """The count of one item."""
    return {
        "item": level.item,
        "supplied": level.supplied,
        "in_stock": level.in_stock,
        "sold": level.sold,
        "withdrawn": level.withdrawn,
        "price": level.price,
    }


def _receipt_of(record: OrderRecord) -> Receipt | None:
    """The answer to an order, with the statement that it answers."""
    if record.answer is None:
        return None
    receipt = Receipt(record.statement, record.answer)
    if record.withdrawal is None or receipt.is_about_order():
        return receipt
    return Receipt(record.withdrawal, record.answer)
