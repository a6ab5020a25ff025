"""Books in SQLite, as one transaction sees them. Every statement is short, so that SQLite's cache holds them all."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping, Sequence
from typing import Final

from twisted_bazaar.errors import StorageError
from twisted_bazaar.trade.order import OrderRecord
from twisted_bazaar.trade.stores.row_mapping import (
    DEAL_COLUMNS,
    LEVEL_COLUMNS,
    ORDER_COLUMNS,
    WANT_COLUMNS,
    deal_of,
    deal_row,
    id_range,
    level_row,
    order_of,
    order_row,
    want_of,
    want_row,
)
from twisted_bazaar.trade.stores.store import OrderKey, WantRow
from twisted_bazaar.values.sale import Deal, StockLevel


def _insert(table: str, columns: str) -> str:
    marks = ", ".join("?" * len(columns.split(",")))
    return f"INSERT INTO {table} ({columns}) VALUES ({marks})"


def _upsert(table: str, columns: str, key: str) -> str:
    changes = ", ".join(f"{name} = excluded.{name}" for name in columns.split(", ") if name != key)
    return f"{_insert(table, columns)} ON CONFLICT ({key}) DO UPDATE SET {changes}"


_DEAL: Final = f"SELECT {DEAL_COLUMNS} FROM deals WHERE id = ? AND buyer = ?"
_LATEST: Final = f"SELECT {DEAL_COLUMNS} FROM deals ORDER BY number DESC LIMIT ?"
_LATEST_LIKE: Final = f"SELECT {DEAL_COLUMNS} FROM deals WHERE id BETWEEN ? AND ? ORDER BY number DESC LIMIT ?"
_KEEP: Final = _insert("deals", DEAL_COLUMNS)
_IS_CLOSED: Final = "SELECT 1 FROM deals WHERE quote = ? AND outcome <> 'sold'"
_GIVEN_UP: Final = "SELECT until_ms FROM given_up WHERE seller = ?"
_GIVE_UP: Final = _upsert("given_up", "seller, until_ms", "seller")
_FORGET: Final = "DELETE FROM deals WHERE outcome <> 'sold' AND seller = ? AND valid_until_ms <= ?"
_LEVEL: Final = f"SELECT {LEVEL_COLUMNS} FROM stock WHERE item = ?"
_LEVELS: Final = f"SELECT {LEVEL_COLUMNS} FROM stock ORDER BY item"
_SET_LEVEL: Final = _upsert("stock", LEVEL_COLUMNS, "item")
_SELL: Final = "UPDATE stock SET in_stock = in_stock - ?, sold = sold + ? WHERE item = ? AND in_stock >= ?"

_WANTS: Final = f"SELECT {WANT_COLUMNS} FROM wants WHERE is_open = 1 ORDER BY number"
_NEXT_WANT: Final = "SELECT coalesce(max(number), 0) + 1 FROM wants"
_PUT_WANT: Final = _upsert("wants", WANT_COLUMNS, "number")
_PUT: Final = _upsert("orders", ORDER_COLUMNS, "id")
_OPEN: Final = f"SELECT {ORDER_COLUMNS} FROM orders WHERE state IN ('pending', 'unknown') ORDER BY number"
_OF_WANT: Final = f"SELECT {ORDER_COLUMNS} FROM orders WHERE want = ? ORDER BY number"
_ORDERS: Final = f"SELECT {ORDER_COLUMNS} FROM orders ORDER BY number DESC LIMIT ?"
_ORDERS_LIKE: Final = f"SELECT {ORDER_COLUMNS} FROM orders WHERE id BETWEEN ? AND ? ORDER BY number DESC LIMIT ?"


class SqliteSales:
    """A seller's book.

    @param connection: in a transaction whenever this is used, and nobody else's.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._execute = connection.execute

    def deals(self, keys: Collection[OrderKey]) -> Mapping[OrderKey, Deal]:
        """Those of some orders that were answered before."""
        found = {}
        for key in keys:
            buyer, order_id = key
            row = self._execute(_DEAL, (bytes.fromhex(order_id), bytes.fromhex(buyer))).fetchone()
            if row is not None:
                found[key] = deal_of(row)
        return found

    def closed(self, quotes: Collection[str]) -> set[str]:
        """Those of some quotes about which a no is kept."""
        return {quote for quote in quotes if self._execute(_IS_CLOSED, (bytes.fromhex(quote),)).fetchone()}

    def closed_until_ms(self, seller: str) -> int:
        """Until when the quotes of a seller have been given up for good."""
        row = self._execute(_GIVEN_UP, (bytes.fromhex(seller),)).fetchone()
        return 0 if row is None else int(row[0])

    def levels(self, items: Collection[str] | None = None) -> dict[str, StockLevel]:
        """The counts of some items, or of all."""
        if items is None:
            rows = self._execute(_LEVELS).fetchall()
        else:
            rows = [row for item in sorted(set(items)) for row in self._execute(_LEVEL, (item,))]
        return {row[0]: StockLevel(*row) for row in rows}

    counts = levels

    def latest(self, id_prefix: str, most: int) -> Sequence[Deal]:
        """Deals whose order id begins in a certain way, the latest first."""
        if not id_prefix:
            return [deal_of(row) for row in self._execute(_LATEST, (most,))]
        ids = id_range(id_prefix)
        return [] if ids is None else [deal_of(row) for row in self._execute(_LATEST_LIKE, (*ids, most))]

    def add_deals(self, deals: Sequence[Deal]) -> None:
        """Remember answers."""
        self._connection.executemany(_KEEP, map(deal_row, deals))

    def sell(self, item: str, quantity: int) -> None:
        """Count units as sold that were in stock."""
        if self._execute(_SELL, (quantity, quantity, item, quantity)).rowcount != 1:
            raise StorageError(f"there are no {quantity} of {item!r} to be sold")

    def set_level(self, level: StockLevel) -> None:
        """Enter the count and price of an item."""
        self._execute(_SET_LEVEL, level_row(level))

    def close_until(self, seller: str, until_ms: int) -> None:
        """Give up the quotes of a seller that are valid until an instant or less."""
        if until_ms <= self.closed_until_ms(seller):
            return
        key = bytes.fromhex(seller)
        self._execute(_GIVE_UP, (key, until_ms))
        self._execute(_FORGET, (key, until_ms))


class SqlitePurchases:
    """A buyer's book.

    @param connection: in a transaction whenever this is used, and nobody else's.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._execute = connection.execute

    def wants(self) -> Sequence[WantRow]:
        """The wants that are open."""
        return [want_of(row) for row in self._execute(_WANTS)]

    def next_number(self) -> int:
        """The number of the next want."""
        [(number,)] = self._execute(_NEXT_WANT)
        return int(number)

    def put_want(self, want: WantRow) -> None:
        """Enter a want, or what has changed of it."""
        self._execute(_PUT_WANT, want_row(want))

    def put(self, record: OrderRecord) -> None:
        """Enter an order, or what has changed of it."""
        self._execute(_PUT, order_row(record))

    def open_orders(self) -> Sequence[OrderRecord]:
        """The orders without an answer."""
        return [order_of(row) for row in self._execute(_OPEN)]

    def orders_of(self, want: int) -> Sequence[OrderRecord]:
        """The orders for one want."""
        return [order_of(row) for row in self._execute(_OF_WANT, (want,))]

    def latest(self, id_prefix: str, most: int) -> Sequence[OrderRecord]:
        """Orders whose id begins in a certain way, the latest first."""
        if not id_prefix:
            return [order_of(row) for row in self._execute(_ORDERS, (most,))]
        ids = id_range(id_prefix)
        return [] if ids is None else [order_of(row) for row in self._execute(_ORDERS_LIKE, (*ids, most))]
