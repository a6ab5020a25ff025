"""A seller's book in PostgreSQL, as one transaction sees it.

Several sellers have such a book at once. Who reads the count of an item locks it until its transaction ends, so
what is decided by it is still so when it is written. All that is written goes to the server together, at the
next read or at the end: each wait for the server is a time in which nobody else can sell the same item.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from twisted_bazaar.errors import StorageError
from twisted_bazaar.trade.stores.row_mapping import (
    DEAL_COLUMNS,
    LEVEL_COLUMNS,
    Row,
    deal_of,
    deal_row,
    id_range,
    level_row,
)
from twisted_bazaar.trade.stores.store import OrderKey
from twisted_bazaar.values.sale import Deal, StockLevel

if TYPE_CHECKING:
    import psycopg

# Tells the locks on names of this book from those of other programs in the same database.
_LOCKS: Final = 0x627A6C67

_DEALS: Final = f"""
    SELECT {DEAL_COLUMNS} FROM twisted_bazaar.deals
    JOIN unnest(%b::bytea[], %b::bytea[]) AS asked (id, buyer) USING (id, buyer)"""
_LATEST: Final = f"SELECT {DEAL_COLUMNS} FROM twisted_bazaar.deals ORDER BY number DESC LIMIT %s"
_LATEST_LIKE: Final = f"""
    SELECT {DEAL_COLUMNS} FROM twisted_bazaar.deals WHERE id BETWEEN %b AND %b ORDER BY number DESC LIMIT %s"""
_KEEP: Final = f"""
    INSERT INTO twisted_bazaar.deals ({DEAL_COLUMNS})
    SELECT {DEAL_COLUMNS} FROM unnest(
        %b::bytea[], %b::bytea[], %b::bytea[], %b::bytea[], %s::bigint[], %s::text[], %s::bigint[],
        %s::bigint[], %s::boolean[], %s::text[], %s::text[], %s::text[], %b::bytea[], %b::bytea[],
        %s::bigint[]
    ) WITH ORDINALITY AS new ({DEAL_COLUMNS}, place) ORDER BY place"""
_CLOSED: Final = "SELECT quote FROM twisted_bazaar.deals WHERE quote = ANY(%b::bytea[]) AND outcome <> 'sold'"
_GIVEN_UP: Final = "SELECT until_ms FROM twisted_bazaar.given_up WHERE seller = %b"
_CLOSE_UNTIL: Final = """
    WITH raised AS (
        INSERT INTO twisted_bazaar.given_up AS old (seller, until_ms) VALUES (%b, %s)
        ON CONFLICT (seller) DO UPDATE SET until_ms = excluded.until_ms WHERE old.until_ms < excluded.until_ms
        RETURNING seller, until_ms
    )
    DELETE FROM twisted_bazaar.deals USING raised
    WHERE outcome <> 'sold' AND deals.seller = raised.seller AND valid_until_ms <= raised.until_ms"""
# Everybody takes locks in the order of the names, so that two rarely wait for each other.
_LEVELS: Final = f"SELECT {LEVEL_COLUMNS} FROM twisted_bazaar.stock ORDER BY item FOR NO KEY UPDATE"
_LEVELS_OF: Final = f"""
    SELECT {LEVEL_COLUMNS} FROM twisted_bazaar.stock WHERE item = ANY(%s::text[]) ORDER BY item FOR NO KEY UPDATE"""
_COUNTS: Final = f"SELECT {LEVEL_COLUMNS} FROM twisted_bazaar.stock ORDER BY item"
_COUNTS_OF: Final = f"SELECT {LEVEL_COLUMNS} FROM twisted_bazaar.stock WHERE item = ANY(%s::text[]) ORDER BY item"
_LOCK_NAMES: Final = """
    SELECT pg_advisory_xact_lock(%s::integer, lock)
    FROM (SELECT DISTINCT hashtext(item) AS lock FROM unnest(%s::text[]) AS item ORDER BY lock) AS locks"""
_SET_LEVEL: Final = f"""
    INSERT INTO twisted_bazaar.stock ({LEVEL_COLUMNS}) VALUES (%s, %s, %s, %s, %s, %s)
    ON CONFLICT (item) DO UPDATE SET supplied = excluded.supplied, in_stock = excluded.in_stock,
        sold = excluded.sold, withdrawn = excluded.withdrawn, price = excluded.price"""
_SELL: Final = """
    UPDATE twisted_bazaar.stock SET in_stock = in_stock - %s, sold = sold + %s WHERE item = %s AND in_stock >= %s"""


class PostgresSales:
    """A seller's book, for one transaction.

    @param connection: in a pipeline, at the level C{READ COMMITTED}.
    """

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection
        self._unsent: list[tuple[str, Row, Callable[[int], None] | None]] = []
        self._given_up: dict[str, int] = {}

    def deals(self, keys: Collection[OrderKey]) -> Mapping[OrderKey, Deal]:
        """Those of some orders that were answered before."""
        if not keys:
            return {}
        ids = [bytes.fromhex(order_id) for _, order_id in keys]
        buyers = [bytes.fromhex(buyer) for buyer, _ in keys]
        return {deal.order.key: deal for deal in map(deal_of, self._read(_DEALS, ids, buyers))}

    def closed(self, quotes: Collection[str]) -> set[str]:
        """Those of some quotes about which a no is kept."""
        if not quotes:
            return set()
        return {quote.hex() for (quote,) in self._read(_CLOSED, [bytes.fromhex(quote) for quote in quotes])}

    def closed_until_ms(self, seller: str) -> int:
        """Until when the quotes of a seller have been given up for good."""
        if seller not in self._given_up:
            rows = self._read(_GIVEN_UP, bytes.fromhex(seller))
            self._given_up[seller] = rows[0][0] if rows else 0
        return self._given_up[seller]

    def levels(self, items: Collection[str] | None = None) -> dict[str, StockLevel]:
        """The counts of some items, or of all; nobody else can change them, or enter those that are not there."""
        if items is None:
            return self._levels(self._read(_LEVELS))
        levels = self._levels(self._read(_LEVELS_OF, list(items))) if items else {}
        missing = [item for item in items if item not in levels]
        if missing:
            # There is no row to lock, so the name is. Meanwhile another may have entered it.
            self._read(_LOCK_NAMES, _LOCKS, missing)
            levels |= self._levels(self._read(_LEVELS_OF, missing))
        return dict(sorted(levels.items()))

    def counts(self, items: Collection[str] | None = None) -> dict[str, StockLevel]:
        """The same, only to be looked at: others may change them meanwhile."""
        if items is None:
            return self._levels(self._read(_COUNTS))
        return self._levels(self._read(_COUNTS_OF, list(items)))

    def latest(self, id_prefix: str, most: int) -> Sequence[Deal]:
        """Deals whose order id begins in a certain way, the latest first."""
        if not id_prefix:
            return [deal_of(row) for row in self._read(_LATEST, most)]
        ids = id_range(id_prefix)
        return [] if ids is None else [deal_of(row) for row in self._read(_LATEST_LIKE, *ids, most)]

    def add_deals(self, deals: Sequence[Deal]) -> None:
        """Remember answers."""
        if deals:
            columns = [list(column) for column in zip(*map(deal_row, deals), strict=True)]
            self._unsent.append((_KEEP, columns, None))

    def sell(self, item: str, quantity: int) -> None:
        """Count units as sold that were in stock; that there are not so many comes out when it is sent."""

        def check(changed: int) -> None:
            if changed != 1:
                raise StorageError(f"there are no {quantity} of {item!r} to be sold")

        self._unsent.append((_SELL, (quantity, quantity, item, quantity), check))

    def set_level(self, level: StockLevel) -> None:
        """Enter the count and price of an item."""
        self._unsent.append((_SET_LEVEL, level_row(level), None))

    def close_until(self, seller: str, until_ms: int) -> None:
        """Give up the quotes of a seller that are valid until an instant or less."""
        if until_ms > self._given_up.pop(seller, 0):
            self._unsent.append((_CLOSE_UNTIL, (bytes.fromhex(seller), until_ms), None))

    def send(self) -> None:
        """Send what has been written, and wait until it is done."""
        unsent, self._unsent = self._unsent, []
        if not unsent:
            return
        sent = [(self._connection.execute(query, values), check) for query, values, check in unsent]
        with self._connection.pipeline() as pipeline:
            pipeline.sync()
        for cursor, check in sent:
            if check is not None:
                check(cursor.rowcount)

    def _read(self, query: str, *values: Any) -> Sequence[Row]:
        self.send()
        return self._connection.cursor(binary=True).execute(query, values).fetchall()

    def _levels(self, rows: Sequence[Row]) -> dict[str, StockLevel]:
        return {row[0]: StockLevel(*row) for row in rows}
